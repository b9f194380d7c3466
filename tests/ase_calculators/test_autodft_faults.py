# SPDX-License-Identifier: BSD-3-Clause
"""Auto-DFT under faults: whatever is killed, every task is done once and correctly."""

import fcntl
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import asdict

import pytest
from ase import Atoms

from ase_calculators.autodft import AutoDFT, DFTSettings, worker

CODE = "counting:Counting"
SETTINGS = DFTSettings(code=CODE)

# a driver that kills itself at the moment given in its plan, JSON
DRIVER = """
import json, os, signal, sys, time
from ase_calculators.autodft import AutoDFT, DFTSettings
from ase_calculators.autodft.machines import Connection
import ase.io
plan = json.loads(os.environ["PLAN"])
if plan.get("skew"):
    real = time.time
    time.time = lambda: real() + plan["skew"]
def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)
moment = plan.get("moment")
import ase_calculators.autodft.machines as machines
machines._dpdispatcher()
from dpdispatcher.contexts.local_context import LocalContext
from dpdispatcher.machines.shell import Shell
if moment == "before sending":
    Connection.send = die
elif moment == "after upload":
    Shell.do_submit = die
elif moment == "after submission":
    submit = Shell.do_submit
    Shell.do_submit = lambda *a, **k: (submit(*a, **k), die())
elif moment == "while collecting":
    Connection.read = die
dft = AutoDFT("labels.db", DFTSettings(code="counting:Counting"), plan["machines"], poll=0.1)
dft.add(ase.io.read("frames.traj", ":"))
print("ready", flush=True)
dft.run()
"""


def driver(lab, machines, **plan):
    """Start a driver and wait until it runs."""
    import ase.io

    ase.io.write(lab.folder / "frames.traj", lab.frames)
    process = lab.driver(DRIVER, PLAN=json.dumps({"machines": machines, **plan}))
    line = process.stdout.readline()
    while line and not line.startswith("ready"):
        line = process.stdout.readline()
    assert line, "the driver did not start"
    return process


def finish(lab, machines, settings=SETTINGS, **arguments):
    """Run to the end."""
    dft = AutoDFT(lab.folder / "labels.db", settings, machines, poll=0.1, **arguments)
    dft.add(lab.frames)
    dft.run()
    return dft


@pytest.mark.parametrize(
    "moment", ["before sending", "after upload", "after submission", "while collecting"]
)
def test_driver_killed_at_submission(laboratory, moment):
    machines = {"here": laboratory.machine(capacity=2, frames=15)}
    process = driver(laboratory, machines, moment=moment)
    assert process.wait(timeout=60) == -signal.SIGKILL
    process.stdout.close()
    dft = finish(laboratory, machines)
    laboratory.assert_right(dft)
    assert laboratory.n_starts() == {1: 40}


@pytest.mark.slow
def test_driver_killed_at_ten_random_moments(laboratory):
    machines = {"here": laboratory.machine(0.1, capacity=2, frames=4)}
    moments = random.Random(4711)
    for _ in range(10):
        process = driver(laboratory, machines)
        time.sleep(moments.uniform(0.0, 0.8))
        process.kill()
        process.wait()
        process.stdout.close()
    dft = finish(laboratory, machines)
    laboratory.assert_right(dft)
    assert laboratory.n_starts() == {1: 40}


def test_job_killed(laboratory):
    machines = {"here": laboratory.machine(0.1, capacity=2, frames=10)}
    dft = AutoDFT(laboratory.folder / "labels.db", SETTINGS, machines, poll=0.1)
    dft.add(laboratory.frames)
    killed = []

    def kill_two():
        jobs = laboratory.folder / "labels.db.files" / "jobs"
        while len(killed) < 2:
            for lock in jobs.glob("*/lock"):
                text = lock.read_text().strip()
                if text and text not in killed and len(list(lock.parent.glob("frames/*"))) > 2:
                    os.kill(int(text), signal.SIGKILL)
                    killed.append(text)
                    break
            time.sleep(0.05)

    thread = threading.Thread(target=kill_two)
    thread.start()
    dft.run()
    thread.join()
    laboratory.assert_right(dft)
    # a frame that was running when its job was killed is started again, and no other; the kill may
    # come between two frames
    failures = dft.failures()
    assert {f["reason"] for f in failures} == {"the job was killed"} and len(failures) <= 2
    starts = laboratory.n_starts()
    assert starts[1] + starts[2] == 40 and starts[2] <= len(failures)


def test_always_failing_and_crashing_frames_cost_no_other(laboratory):
    # EMT of two atoms at one place is not finite; a frame of an element that EMT lacks raises
    frames = laboratory.frames
    bad = [Atoms("Al2", [[0, 0, 0], [0, 0, 0]], cell=[4, 4, 4], pbc=True),
           Atoms("Fe", cell=[3, 3, 3], pbc=True)]  # fmt: skip
    machines = {"here": laboratory.machine(capacity=2)}
    dft = AutoDFT(
        laboratory.folder / "labels.db", SETTINGS, machines, poll=0.1, closest=0.0, attempts=3
    )
    dft.add([*frames[:20], *bad, *frames[20:]])
    status = dft.run()
    assert status.states["done"] == 40 and status.states["given up"] == 2
    failures = dft.failures()
    assert Counter(f["attempt"] for f in failures) == {0: 2, 1: 2, 2: 2}
    assert all(f["state"] == "given up" and "Traceback" in f["log"] for f in failures)
    assert any("not finite" in f["reason"] for f in failures)
    assert dft.retry() == 2
    assert dft.status().states["waiting"] == 2


def test_frame_that_fails_twice_is_done_in_the_third_attempt(laboratory):
    ladder = ({"mixing": 0.1}, {"mixing": 0.02, "fails": 2})
    settings = DFTSettings(code=CODE, options={"fails": 2}, ladder=ladder)
    dft = finish(laboratory, {"here": laboratory.machine(capacity=2)}, settings)
    laboratory.assert_right(dft)
    assert laboratory.n_starts() == {3: 40}
    infos = [atoms.info for atoms in dft.labelled()]
    assert {info["rung"] for info in infos} == {2}
    assert json.loads(infos[0]["changed"]) == ladder[1]
    assert len(dft.failures()) == 80


def test_truncated_results(laboratory):
    machines = {"here": laboratory.machine(capacity=2, frames=20)}
    process = driver(laboratory, machines, moment="while collecting")
    process.wait(timeout=60)
    process.stdout.close()
    jobs = laboratory.folder / "labels.db.files" / "jobs"
    while len(list(jobs.glob("*/finished"))) < len(list(jobs.glob("*/job.json"))):
        time.sleep(0.1)
    n_cut = 0
    for path in jobs.glob("*/results.jsonl"):
        data = path.read_bytes()
        path.write_bytes(data[: len(data) - 300])
        n_cut += 1
    dft = finish(laboratory, machines)
    laboratory.assert_right(dft)
    assert n_cut >= 1
    assert laboratory.n_starts() == {1: 40 - n_cut, 2: n_cut}
    assert Counter(f["reason"] for f in dft.failures()) == {
        "the result is lost or truncated": n_cut
    }


def test_two_drivers_with_clocks_apart_on_one_ledger(laboratory):
    # the machine's clock is off as well, in the other direction
    machines = {"here": laboratory.machine(0.05, skew=-1e6, capacity=2, frames=5)}
    drivers = [driver(laboratory, machines, skew=skew) for skew in (86400.0, -86400.0)]
    for process in drivers:
        said, _ = process.communicate(timeout=120)
        assert process.returncode == 0, said
    dft = finish(laboratory, machines)
    laboratory.assert_right(dft)
    assert laboratory.n_starts() == {1: 40}


def test_full_disk_in_the_run_folder(laboratory):
    small = laboratory.folder / "small"
    small.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "none", str(small)]
    if os.geteuid() or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("a small file system cannot be mounted here: needs root")
    try:
        filler = small / "filler"
        machines = {"here": laboratory.machine(0.1, root=str(small / "jobs"), frames=20)}
        dft = AutoDFT(laboratory.folder / "labels.db", SETTINGS, machines, poll=0.1)
        dft.add(laboratory.frames)

        def fill_and_free():
            while not list(small.glob("jobs/*/frames/0003")):
                time.sleep(0.05)
            with pytest.raises(OSError, match="No space"), open(filler, "wb") as file:
                while True:
                    file.write(bytes(1 << 12))
                    file.flush()
            time.sleep(3)
            filler.unlink()

        thread = threading.Thread(target=fill_and_free)
        thread.start()
        dft.run()
        thread.join()
        laboratory.assert_right(dft)
        starts = laboratory.n_starts()
        # the frame that was running on the full disk is started again, without a failure
        assert starts[1] >= 38 and max(starts) == 2
        assert [f["reason"] for f in dft.failures()] == []
    finally:
        subprocess.run(["umount", str(small)], check=True)


def test_unreachable_machine_and_one_without_the_code_cost_nothing(laboratory):
    lacking = laboratory.machine(capacity=2)
    lacking["environment"] = {"STARTS": str(laboratory.starts)}  # cannot import the calculator
    machines = {
        "away": laboratory.machine(ssh={"host": "127.0.0.1", "port": 9}, root="/nowhere"),
        "lacking": lacking,
        "broken": laboratory.machine() | {"python": "/no/such/python"},
        "here": laboratory.machine(0.05, capacity=2, frames=5),
    }
    dft = finish(laboratory, machines)
    laboratory.assert_right(dft)
    assert laboratory.n_starts() == {1: 40}
    assert set(dft.status().machines) == {"here"}


def test_no_machine_left_reports_the_reasons(laboratory):
    lacking = laboratory.machine()
    lacking["environment"] = {}
    dft = AutoDFT(laboratory.folder / "labels.db", SETTINGS, {"lacking": lacking}, poll=0.1)
    dft.add(laboratory.frames)
    with pytest.raises(RuntimeError, match=r"lacking: code = 'counting:Counting': cannot be"):
        dft.run()
    assert dft.status().states["waiting"] == 40


def test_jobs_of_other_settings_do_not_block_a_machine(laboratory):
    """The jobs of a driver that has ended take room; any driver of the ledger collects them."""
    machines = {"here": laboratory.machine(capacity=1, frames=20)}
    process = driver(laboratory, machines, moment="while collecting")
    assert process.wait(timeout=60) == -signal.SIGKILL
    process.stdout.close()
    other = finish(laboratory, machines, SETTINGS.but(cutoff=300.0))
    laboratory.assert_right(other)
    first = AutoDFT(laboratory.folder / "labels.db", SETTINGS, machines, poll=0.1)
    assert 0 < first.status().states["done"] < 40
    first.run()
    laboratory.assert_right(first)
    assert laboratory.n_starts() == {2: 40}


def test_machine_that_fails_everything_gets_no_more_jobs(laboratory):
    """It is fast and would get all frames; a retry without it does those that it gave up."""
    broken = laboratory.machine(frames=5)
    broken["environment"] |= {"STARTS": "/no/such/folder"}  # the calculator raises
    machines = {"broken": broken, "here": laboratory.machine(0.05, frames=5)}
    dft = finish(laboratory, machines)
    states = dft.status().states
    # jobs of five frames: one job four times, or the frames that the other machine has left of it
    assert states["done"] + states["given up"] == 40 and 5 <= states["given up"] < 15
    assert {f["machine"] for f in dft.failures()} == {"broken"}
    assert dft.retry() == states["given up"]
    del machines["broken"]
    laboratory.assert_right(finish(laboratory, machines))
    assert laboratory.n_starts() == {1: 40}


def test_only_machine_fails_everything(laboratory):
    broken = laboratory.machine(frames=5)
    broken["environment"] |= {"STARTS": "/no/such/folder"}
    dft = AutoDFT(laboratory.folder / "labels.db", SETTINGS, {"broken": broken}, poll=0.1)
    dft.add(laboratory.frames)
    with pytest.raises(RuntimeError, match="broken: gave up 5 frames and labelled none"):
        dft.run()
    # 35 frames are unchanged
    assert dft.status().states["waiting"] == 35


def test_worker_takes_its_lock_though_somebody_looks(laboratory, tmp_path):
    """A driver tests the lock of a job that is about to take it; the job must not count as dead."""
    job = {"code": CODE, "command": [], "potentials": "", "pseudopotentials": {},
           "settings": asdict(SETTINGS), "tasks": [
               {"key": "a", "rung": 0, "mesh": [1, 1, 1], "timeout": 30.0, "magmoms": None,
                "numbers": [13], "positions": [[0.0, 0.0, 0.0]],
                "cell": [[4.0, 0, 0], [0, 4.0, 0], [0, 0, 4.0]], "pbc": [True] * 3}]}  # fmt: skip
    (tmp_path / "job.json").write_text(json.dumps(job))
    environment = laboratory.machine(1.0)["environment"]
    with open(tmp_path / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        process = subprocess.Popen(
            [sys.executable, worker.__file__], cwd=tmp_path, stdout=subprocess.DEVNULL,
            env={**os.environ, **{name: str(value) for name, value in environment.items()}},
        )  # fmt: skip
        while not (tmp_path / "started").exists() and lock.tell() < 50:
            time.sleep(0.01)
            lock.seek(lock.tell() + 1)
    while not (tmp_path / "frames").exists():
        time.sleep(0.01)
    with open(tmp_path / "lock") as lock, pytest.raises(BlockingIOError):
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    assert process.wait(timeout=60) == 0


def test_ledger_survives_without_its_folder(laboratory):
    """Labels are in the database; run folders may be deleted once all is done."""
    machines = {"here": laboratory.machine(capacity=2)}
    dft = finish(laboratory, machines)
    dft.close()
    folder = laboratory.folder / "labels.db.files"
    for _ in range(100):  # the shell of the last job may still write there
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            break
        time.sleep(0.1)
    assert not folder.exists()
    laboratory.assert_right(AutoDFT(laboratory.folder / "labels.db", SETTINGS))
