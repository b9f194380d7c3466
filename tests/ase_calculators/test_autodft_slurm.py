# SPDX-License-Identifier: BSD-3-Clause
"""Auto-DFT on a real Slurm that the tests start themselves, and on the local shell."""

import sys
import threading
import time

import pytest
from ase.build import bulk

from ase_calculators import EntropySymmetry, map_landscape
from ase_calculators.autodft import AutoDFT, DFTSettings

SETTINGS = DFTSettings(code="counting:Counting")


def cluster(lab, partition, seconds_each=0.0, **keys):
    """Return one partition as a machine."""
    return lab.machine(
        seconds_each, scheduler="slurm", partition=partition, root=f"jobs-{partition}", **keys
    )


def start(lab, machines):
    """Start a driver in a thread; return it and a function that waits for it."""
    dft = AutoDFT(lab.folder / "labels.db", SETTINGS, machines, poll=0.2)
    dft.add(lab.frames)
    raised = []

    def run():
        try:
            dft.run()
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=run)
    thread.start()

    def finish():
        thread.join(timeout=200)
        assert not thread.is_alive() and not raised, raised

    return dft, finish


def until(condition, seconds=200):
    """Wait for a condition."""
    for _ in range(int(seconds / 0.1)):
        if condition():
            return
        time.sleep(0.1)
    raise AssertionError("waited in vain")


def test_two_partitions_and_the_shell_serve_one_ledger(laboratory, slurm):
    machines = {
        "cpu": cluster(laboratory, "cpu", 0.1, frames=4, cores=1, memory="100M"),
        "gpu": cluster(laboratory, "gpu", 0.1, frames=4, flags=["--comment=test"]),
        "here": laboratory.machine(0.1, frames=4),
    }
    dft, finish = start(laboratory, machines)
    finish()
    laboratory.assert_right(dft)
    assert laboratory.n_starts() == {1: 40}
    done = dft.status().machines
    assert set(done) == {"cpu", "gpu", "here"}
    assert sum(states["done"] for states in done.values()) == 40


def test_controller_restarted(laboratory, slurm):
    machines = {"cpu": cluster(laboratory, "cpu", 0.2, capacity=2, frames=10)}
    dft, finish = start(laboratory, machines)
    until(lambda: len(list(laboratory.starts.iterdir())) > 4)
    slurm.stop("slurmctld")
    time.sleep(3)
    slurm.start("slurmctld")
    finish()
    laboratory.assert_right(dft)
    assert laboratory.n_starts() == {1: 40}


def test_node_drained_and_the_shell_continues(laboratory, slurm):
    machines = {
        "cpu": cluster(laboratory, "cpu", 0.1, capacity=2, frames=5),
        "here": laboratory.machine(0.1, frames=5),
    }
    slurm.call("scontrol", "update", "NodeName=localhost", "State=DRAIN", "Reason=test")
    try:
        dft, finish = start(laboratory, machines)
        other = AutoDFT(laboratory.folder / "labels.db", SETTINGS)
        until(lambda: other.status().states["done"] >= 25)
        machines_seen = other.status().machines
        assert machines_seen["here"]["done"] >= 25  # nothing runs on a drained node
        assert "done" not in machines_seen["cpu"]
    finally:
        slurm.call("scontrol", "update", "NodeName=localhost", "State=RESUME")
    finish()
    laboratory.assert_right(dft)
    assert laboratory.n_starts() == {1: 40}


def test_jobs_cancelled_in_the_queue(laboratory, slurm):
    machines = {"cpu": cluster(laboratory, "cpu", 0.1, capacity=8, frames=5, cores=2)}
    dft, finish = start(laboratory, machines)
    until(lambda: "PD" in slurm.call("squeue", "--noheader", "--format=%t").stdout)
    slurm.call("scancel", "--state=PENDING", "--user", "root")
    finish()
    laboratory.assert_right(dft)
    assert laboratory.n_starts() == {1: 40}


def test_driver_killed_between_submission_and_the_ledger(laboratory, slurm):
    """The new driver finds the jobs by their names and does not send them again."""
    machines = {"cpu": cluster(laboratory, "cpu", 0.05, capacity=2, frames=20)}
    import ase.io

    ase.io.write(laboratory.folder / "frames.traj", laboratory.frames)
    process = laboratory.driver(
        f"""
        import os, signal, ase.io
        from ase_calculators.autodft import AutoDFT, DFTSettings, machines
        machines._dpdispatcher()
        from dpdispatcher.machines.slurm import Slurm
        submit = Slurm.do_submit
        def once(*a, **k):
            submit(*a, **k)
            os.kill(os.getpid(), signal.SIGKILL)
        Slurm.do_submit = once
        dft = AutoDFT("labels.db", DFTSettings(code="counting:Counting"), {machines!r}, poll=0.1)
        dft.add(ase.io.read("frames.traj", ":"))
        dft.run()
        """
    )
    said, _ = process.communicate(timeout=60)
    assert process.returncode == -9, said
    (sent,) = (laboratory.folder / "labels.db.files" / "jobs-cpu").iterdir()
    dft, finish = start(laboratory, machines)
    finish()
    laboratory.assert_right(dft)
    assert laboratory.n_starts() == {1: 40}
    assert (sent / "finished").exists()


@pytest.mark.slow
def test_gpaw_on_slurm_and_on_the_shell(tmp_path, slurm):
    pytest.importorskip("gpaw", reason="pip install gpaw as the README says")
    frames = []
    for seed in range(4):
        atoms = bulk("Si")
        atoms.rattle(0.05, seed=seed)
        frames.append(atoms)
    settings = DFTSettings.paper("gpaw", cutoff=200.0, k_spacing=0.15)
    keys = {"python": sys.executable, "frames": 1, "environment": {"OMP_NUM_THREADS": 1}}
    machines = {
        "cpu": {**keys, "scheduler": "slurm", "partition": "cpu", "root": "cpu"},
        "gpu": {**keys, "scheduler": "slurm", "partition": "gpu", "root": "gpu"},
        "here": keys,
    }
    dft = AutoDFT(tmp_path / "labels.db", settings, machines, poll=0.5)
    dft.add(frames)
    status = dft.run()
    assert status.states["done"] == 4
    assert len(status.machines) >= 2
    for label in dft.labelled():
        assert label.info["version"].startswith("gpaw 2")
        assert -6 < label.get_potential_energy() / 2 < -4


def test_frames_are_mapped_by_dask_in_jobs_of_slurm(slurm, tmp_path):
    """The lines of "From a laptop to a cluster"; here, as there is one Slurm for all its tests."""
    jobqueue = pytest.importorskip("dask_jobqueue", reason="pip install dask-jobqueue")
    from distributed import Client

    frames = [bulk("Al", cubic=True) * (2, 2, 2) for _ in range(30)]
    for seed, atoms in enumerate(frames):
        atoms.rattle(0.01 * seed, seed=seed)
    calc = EntropySymmetry(rmax=6.0, sigma=0.2, q6_cutoff=3.4)
    map_landscape(frames, calc, output=tmp_path / "here.csv", progress=False)
    with (
        jobqueue.SLURMCluster(
            queue="cpu", cores=1, processes=1, memory="450MB", walltime="00:05:00",
            python=sys.executable, log_directory=str(tmp_path), local_directory=str(tmp_path),
            job_extra_directives=["--job-name=map"], interface="lo",
            scheduler_options={"dashboard_address": None, "interface": "lo"},
        ) as cluster,
        Client(cluster) as client,
    ):  # fmt: skip
        cluster.scale(jobs=2)
        client.wait_for_workers(2, timeout=120)
        names = slurm.call("squeue", "--noheader", "--format=%j %t").stdout.split("\n")
        assert names[:2] == ["map R", "map R"]
        map_landscape(
            frames, calc, output=tmp_path / "there.csv", progress=False,
            executor=client.get_executor(),
        )  # fmt: skip
    assert (tmp_path / "there.csv").read_bytes() == (tmp_path / "here.csv").read_bytes()
    until(lambda: not slurm.call("squeue", "--noheader").stdout, 30)
