# SPDX-License-Identifier: BSD-3-Clause
"""Real executors: the same bytes by each of them, killed workers, memory, and who ends them."""

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write

from ase_calculators import EntropySymmetry, PolymorphGen, landscape, map_landscape
from ase_calculators.distillation import open_model, relabel
from ase_calculators.distillation.scaling import Trial, learning_curve
from ase_calculators.parallel import REPETITIONS, OrderedPool
from ase_calculators.validation import validate

BIN = Path(sys.executable).parent


@pytest.fixture(autouse=True)
def importable(monkeypatch):
    """Let processes that are started afresh import the functions of this file."""
    root = str(Path(__file__).parents[2])
    monkeypatch.setattr(sys, "path", [*sys.path, root])
    path = os.environ.get("PYTHONPATH", "")
    monkeypatch.setenv("PYTHONPATH", f"{path}{os.pathsep if path else ''}{root}")


# --- executors ------------------------------------------------------------------------------------


@contextmanager
def process_pool():
    spawn = multiprocessing.get_context("spawn")  # LAMMPS may have been used in this process
    with ProcessPoolExecutor(2, spawn) as executor:
        yield executor


@contextmanager
def dask_client(n_workers=2):
    distributed = pytest.importorskip("distributed", reason="pip install distributed")
    with (
        distributed.LocalCluster(
            n_workers=n_workers, threads_per_worker=1, dashboard_address=None
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


@contextmanager
def dask_cluster():
    with dask_client() as client:
        yield client.get_executor()


@contextmanager
def dask_by_address(folder):
    """A scheduler and two workers, each a program of its own, which find it by its address."""
    distributed = pytest.importorskip("distributed", reason="pip install distributed")
    file = folder / "scheduler.json"
    programs = []

    def start(*words):
        with open(folder / "dask.log", "a") as log:
            command = [sys.executable, "-m", "dask", *words]
            programs.append(subprocess.Popen(command, stdout=log, stderr=log, cwd=folder))

    try:
        start("scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard",
              "--scheduler-file", str(file))  # fmt: skip
        for _ in range(300):
            if file.exists() and file.read_text().endswith("}"):
                break
            time.sleep(0.1)
        address = json.loads(file.read_text())["address"]
        for _ in range(2):
            start("worker", address, "--nthreads", "1", "--no-dashboard")
        with distributed.Client(address) as client:
            client.wait_for_workers(2, timeout=60)
            yield client.get_executor()
    finally:
        for program in reversed(programs):
            program.terminate()
        for program in programs:
            program.wait(timeout=30)


@contextmanager
def executorlib():
    library = pytest.importorskip("executorlib", reason="pip install executorlib")
    with library.SingleNodeExecutor(max_workers=2, block_allocation=True) as executor:
        yield executor


# --- the same bytes -------------------------------------------------------------------------------


def frames_in(folder):
    """Write 60 frames of 8 atoms, the last of them cut short."""
    frames = []
    for seed in range(60):
        atoms = bulk("Al", a=4.05, cubic=True) * (2, 1, 1)
        atoms.rattle(0.1 * (3 if seed % 5 == 4 else 1), seed=seed)
        frames.append(atoms)
    write(folder / "frames.extxyz", frames)
    return folder / "frames.extxyz"


def work(source, folder, **how):
    """Map, label and breed frames, in small pieces; return the bytes of all files."""
    folder.mkdir(exist_ok=True)
    calc = EntropySymmetry(rmax=5.0, sigma=0.2, q6_cutoff=3.4)
    map_landscape(source, calc, output=folder / "map.csv", progress=False, **how)
    (folder.parent / "al.mod").write_text("pair_style eam/fs\npair_coeff * * Al_mm.eam.fs Al\n")
    teacher = partial(open_model, str(folder.parent / "al.mod"), "Al")
    relabel(source, teacher, folder / "labels.extxyz", batch_size=7, max_force=3.0,
            progress=False, **how)  # fmt: skip
    breeder(calc).run(folder / "bred.extxyz", progress=False, **how)
    table = folder / "bred.csv"  # names its library
    table.write_bytes(table.read_bytes().replace(str(folder).encode(), b""))
    return files_in(folder)


def breeder(calc, **options):
    """Return a PolymorphGen with four targets, the first of which is reached at once."""
    parents = [bulk("Al", a=4.05, cubic=True) * (2, 1, 1) for _ in range(4)]
    for seed, atoms in enumerate(parents):
        atoms.rattle(0.05 + 0.1 * seed, seed=seed)
    options = {"targets": "grid", "targets_per_edge": 2, "generations": 3, "individuals": 6,
               "hits": 4, "tolerance": 0.7, **options}  # fmt: skip
    return PolymorphGen(parents, calc, **options)


def files_in(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return frames_in(tmp_path_factory.mktemp("frames"))


@pytest.fixture
def small_pieces(monkeypatch):
    monkeypatch.setattr(landscape, "FRAMES_PER_PIECE", 5)


@pytest.fixture(scope="module")
def expected(source, tmp_path_factory):
    files = work(source, tmp_path_factory.mktemp("expected"))
    assert sorted(files) == [
        "bred.csv",
        "bred.extxyz",
        "labels.extxyz",
        "labels.rejected.extxyz",
        "map.csv",
    ]
    return files


EXECUTORS = {
    "ProcessPoolExecutor": process_pool, "LocalCluster of dask": dask_cluster,
    "dask by address": dask_by_address, "executorlib": executorlib,
}  # fmt: skip


@pytest.mark.parametrize("kind", EXECUTORS)
def test_every_executor_writes_the_same_bytes(kind, source, expected, tmp_path, small_pieces):
    arguments = [tmp_path] if kind == "dask by address" else []
    with EXECUTORS[kind](*arguments) as executor:
        assert work(source, tmp_path / "out", executor=executor) == expected
        assert executor.submit(abs, -3).result() == 3  # it is still the caller's


def test_an_unfinished_library_is_finished_by_an_executor(expected, tmp_path):
    calc = EntropySymmetry(rmax=5.0, sigma=0.2, q6_cutoff=3.4)
    whole, path = expected["bred.extxyz"], tmp_path / "bred.extxyz"
    targets = [
        line.split(b" target=")[1].split()[0] for line in whole.split(b"\n") if b" target=" in line
    ]
    assert sorted({*targets}) == [b"0", b"1", b"2", b"3"]
    with process_pool() as executor:
        for share in (0.0, 0.4, 1.0):
            path.write_bytes(whole[: int(share * len(whole))])
            gen = breeder(calc)
            gen.run(path, progress=False, executor=executor)
            assert path.read_bytes() == whole
            assert [report.frames for report in gen.reports] == [
                targets.count(b"%d" % k) for k in range(4)
            ]


def test_breeding_that_no_executor_can_do(tmp_path):
    calc = EntropySymmetry(rmax=5.0, sigma=0.2, q6_cutoff=3.4)
    with ThreadPoolExecutor(1) as executor:
        for options, match in (
            ({"targets": "gaps"}, r"executor: is for targets that are known beforehand"),
            ({"processes": 2}, r"processes = 2: .* leave it out when an executor"),
        ):
            with pytest.raises(ValueError, match=match):
                breeder(calc, **options).run(tmp_path / "a.extxyz", executor=executor)
    with pytest.raises(TypeError, match=r"executor = 4: must be a concurrent.futures.Executor"):
        breeder(calc).run(tmp_path / "a.extxyz", executor=4)
    assert not any(tmp_path.iterdir())


MPI = """
import sys
from pathlib import Path
from mpi4py.futures import MPIPoolExecutor
from ase_calculators import landscape
from tests.ase_calculators.test_executors import work

if __name__ == "__main__":
    landscape.FRAMES_PER_PIECE = 5
    with MPIPoolExecutor() as executor:
        work(sys.argv[1], Path(sys.argv[2]), executor=executor)
        print(executor.num_workers, "workers")
"""


@pytest.mark.parametrize("ranks", [2, 4])
def test_mpi_writes_the_same_bytes(ranks, source, expected, tmp_path):
    pytest.importorskip("mpi4py", reason="pip install mpi4py")
    script = tmp_path / "map.py"
    script.write_text(MPI)
    done = subprocess.run(
        [BIN / "mpirun", "-n", str(ranks), sys.executable, "-m", "mpi4py.futures", script, source,
         tmp_path / "out"], capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert f"{ranks - 1} workers" in done.stdout, done.stdout + done.stderr
    assert files_in(tmp_path / "out") == expected


def test_properties_are_those_of_one_process(tmp_path):
    names, how = ["bain_path", "equation_of_state"], {"progress": False, "name": "EMT"}
    one = validate(EMT(), "Al", properties=names, workdir=tmp_path / "1", **how)
    with process_pool() as executor:
        two = validate(
            EMT(), "Al", properties=names, workdir=tmp_path / "2", executor=executor, **how
        )
    assert two.values == one.values and list(two.records) == list(one.records)
    assert sorted(p.name for p in two.folder.iterdir()) == sorted(
        p.name for p in one.folder.iterdir()
    )
    broken = EMT()
    broken.of_the_test = lambda: None
    message = "calculator: cannot be sent to the executor .*give LAMMPS commands"
    with ThreadPoolExecutor(1) as executor, pytest.raises(ValueError, match=message):
        validate(broken, "Al", properties=names, workdir=tmp_path / "3", executor=executor, **how)


def train(frames, seed, folder):
    return EMT()


DYNAMICS = """
import sys
from mpi4py.futures import MPIPoolExecutor
from ase_calculators.validation import validate

if __name__ == "__main__":
    liquid = {"length": 8.0, "melting": 0.1, "equilibration": 0.1, "production": 0.1}
    model = ["pair_style eam/fs", "pair_coeff * * Al_mm.eam.fs Al"]
    with MPIPoolExecutor() as executor:
        for folder, where in (("one", None), ("two", executor)):
            report = validate(
                model, "Al", properties=["liquid"], settings={"liquid": liquid}, progress=False,
                workdir=f"{sys.argv[1]}/{folder}", executor=where
            )
            print(sorted(report.values.items()))
"""


def test_dynamics_of_lammps_in_one_worker_of_several(tmp_path):
    """LAMMPS in a worker does not wait for the other ranks."""
    pytest.importorskip("mpi4py", reason="pip install mpi4py")
    pytest.importorskip("freud", reason="pip install 'entsym[validation]'")
    (tmp_path / "liquid.py").write_text(DYNAMICS)
    done = subprocess.run(
        [BIN / "mpirun", "-n", "3", sys.executable, "-m", "mpi4py.futures",
         tmp_path / "liquid.py", tmp_path],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    here, there = done.stdout.splitlines()
    assert here == there and "liquid diffusion" in there, done.stderr


def test_learning_curves_are_those_of_one_process(tmp_path):
    frames = []
    for seed in range(12):
        atoms = bulk("Al", cubic=True)
        atoms.rattle(0.1, seed=seed)
        atoms.calc = EMT()
        results = {"energy": atoms.get_potential_energy() + seed, "forces": atoms.get_forces()}
        atoms.calc = SinglePointCalculator(atoms, **results)
        frames.append(atoms)
    trials = [Trial("even", np.arange(n), 1) for n in (2, 4, 6)]
    how = {"progress": False}
    one = learning_curve(trials, frames, frames[8:], train, tmp_path / "1", **how)
    with process_pool() as executor:
        two = learning_curve(
            trials, frames, frames[8:], train, tmp_path / "2", executor=executor, **how
        )
    assert two == one and one[0]["errors"]["all"]["energy"] > 100
    lines = [sorted((tmp_path / k / "curve.jsonl").read_text().splitlines()) for k in "12"]
    assert lines[0] == lines[1]


# --- what belongs to the caller -------------------------------------------------------------------


def touch(path):
    time.sleep(0.05)
    path.touch()


def test_pending_jobs_are_cancelled_and_the_executor_stays_open(tmp_path):
    paths = [tmp_path / str(k) for k in range(50)]
    with ThreadPoolExecutor(2) as executor:
        with pytest.raises(KeyboardInterrupt), OrderedPool(executor=executor) as pool:
            for _ in pool.map(touch, paths):
                raise KeyboardInterrupt
        assert executor.submit(abs, -1).result() == 1
        assert executor._work_queue.empty()
    assert 1 <= len(list(tmp_path.iterdir())) <= 5


def test_workers_that_join_later_get_jobs():
    """The number of jobs in flight follows the workers of a cluster that grows."""
    with dask_client(n_workers=1) as client:
        taken = []
        jobs = (taken.append(k) or k for k in range(300))
        with OrderedPool(executor=client.get_executor()) as pool:
            ahead = []
            for k, _ in enumerate(pool.map(abs, jobs)):
                ahead.append(len(taken) - k - 1)
                if k == 5:
                    client.cluster.scale(3)
                    client.wait_for_workers(3)
                    time.sleep(1.1)
    assert max(ahead[:5]) == 2 and max(ahead[10:]) == 6


WRONG = {
    "dask client": (lambda: {"executor": "client"}, TypeError, "executor = 'client': must be"),
    "both": (
        lambda: {"executor": ThreadPoolExecutor(1), "processes": 2}, ValueError,
        "processes = 2: is for processes of this machine",
    ),
}  # fmt: skip


@pytest.mark.parametrize("arguments, kind, message", WRONG.values(), ids=WRONG)
def test_wrong_executors_are_refused_before_anything_is_written(
    arguments, kind, message, source, tmp_path
):
    calc = EntropySymmetry(rmax=5.0, sigma=0.2, q6_cutoff=3.4)
    (tmp_path / "map.csv").write_text("kept")
    with pytest.raises(kind, match=message):
        map_landscape(source, calc, output=tmp_path / "map.csv", **arguments())
    with pytest.raises(kind, match=message):
        relabel(source, None, tmp_path / "b.extxyz", **arguments())
    assert [path.read_text() for path in tmp_path.iterdir()] == ["kept"]


# --- kill -9 --------------------------------------------------------------------------------------


def square(folder, kills, number):
    """Note the start; the job `number` kills its process as often as `kills` says."""
    start = len(list(folder.glob(f"{number}.*")))
    (folder / f"{number}.{start}").touch()
    time.sleep(0.05)
    if start < kills.get(number, 0):
        os.kill(os.getpid(), signal.SIGKILL)
    return number**2


@pytest.mark.parametrize("start_method", ["fork", "spawn"])
def test_a_killed_worker_costs_a_repetition(tmp_path, start_method):
    with OrderedPool(2, start_method) as pool:
        jobs = pool.map(partial(square, tmp_path, {3: 1, 17: 2}), range(24))
        found = [(job, future.result()) for job, future in jobs]
    assert found == [(k, k**2) for k in range(24)]
    starts = [len(list(tmp_path.glob(f"{k}.*"))) for k in range(24)]
    assert starts[3] == 2 and starts[17] >= 3
    assert sum(starts) < 24 + 3 * 4  # those that were in work, not those that were done


def test_a_job_that_kills_its_process_is_named_and_the_others_are_done(tmp_path):
    with OrderedPool(2) as pool:
        jobs = pool.map(partial(square, tmp_path, {4: 99, 5: 99}), range(12), "job {}".format)
        futures = dict(jobs)
    for k, future in futures.items():
        if k in (4, 5):
            with pytest.raises(
                BrokenExecutor, match=rf"^job {k}: kills its process, 4 times [^\n]*$"
            ):
                future.result()
            assert len(list(tmp_path.glob(f"{k}.*"))) <= 1 + REPETITIONS
        else:
            assert future.result() == k**2


def test_a_broken_pool_of_the_caller_says_what_to_do(tmp_path):
    with ProcessPoolExecutor(2) as executor, OrderedPool(executor=executor) as pool:
        with pytest.raises(
            BrokenExecutor, match=r"^executor: a process was killed [^\n]*`processes`"
        ):
            for _ in pool.map(partial(square, tmp_path, {3: 1}), range(24)):
                pass


def test_an_executor_that_was_shut_down_says_so():
    with ThreadPoolExecutor(1) as executor, OrderedPool(executor=executor) as pool:
        jobs = pool.map(time.sleep, [0.2] * 5)
        next(jobs)
        executor.shutdown(wait=False, cancel_futures=True)
        with pytest.raises(RuntimeError, match="executor: has cancelled|after shutdown"):
            list(jobs)


def test_a_dask_worker_killed_while_it_maps(source, expected, tmp_path, small_pieces):
    with dask_client() as client:
        first = next(iter(client.run(os.getpid).values()))
        killer = threading.Timer(0.3, os.kill, (first, signal.SIGKILL))
        killer.start()
        for k in range(2):  # long enough to be hit
            assert work(source, tmp_path / str(k), executor=client.get_executor()) == expected
        killer.join()
        client.wait_for_workers(2)
        assert first not in client.run(os.getpid).values()


# --- memory ---------------------------------------------------------------------------------------


def test_memory_does_not_grow_with_the_jobs():
    """2 GB go through the parent."""
    code = textwrap.dedent("""
        import resource, time
        from concurrent.futures import ProcessPoolExecutor
        from ase_calculators.parallel import OrderedPool

        def run(executor, n):
            with OrderedPool(executor=executor) as pool:
                jobs = (bytes(200_000) for _ in range(n))
                assert sum(f.result() for _, f in pool.map(len, jobs)) == 200_000 * n
            return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

        with ProcessPoolExecutor(2) as executor:
            print(run(executor, 200), run(executor, 10_000))
    """)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    before, after = map(int, done.stdout.split())
    assert after - before < 10_000  # kB
