# SPDX-License-Identifier: BSD-3-Clause
"""What the tests of Auto-DFT share: a calculator that counts, frames, and a Slurm of their own."""

import os
import shutil
import subprocess
import sys
import textwrap
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.emt import EMT

CALCULATOR = '''
import os, time, uuid
from ase.calculators.emt import EMT

skew = float(os.environ.get("SKEW", 0))
if skew:
    real = time.time
    time.time = lambda: real() + skew

class Counting(EMT):
    """EMT that notes each start, and takes its time."""

    def __init__(self, fails=0, **options):
        super().__init__()
        self._fails = fails

    def calculate(self, atoms=None, properties=None, system_changes=()):
        folder = os.environ["STARTS"]
        name = f"{atoms.positions[0, 0]:.12f}"
        open(os.path.join(folder, f"{name}_{uuid.uuid4().hex}"), "w").close()
        time.sleep(float(os.environ.get("SECONDS_EACH", 0)))
        super().calculate(atoms)
        started = [entry for entry in os.listdir(folder) if entry.startswith(name + "_")]
        if len(started) <= self._fails:
            raise RuntimeError("the SCF did not converge, says the test")
'''


class Laboratory:
    """A folder with a ledger-to-be, a calculator that notes its starts, and 40 frames."""

    def __init__(self, folder, n_frames=40):
        self.folder = folder
        self.starts = folder / "starts"
        self.starts.mkdir()
        (folder / "counting.py").write_text(CALCULATOR)
        self.frames = []
        for seed in range(n_frames):
            atoms = bulk("Al", cubic=True)
            atoms.rattle(0.1, seed=seed)
            self.frames.append(atoms)

    def machine(self, seconds_each=0.0, skew=0.0, **keys):
        """Return a machine that runs the calculator."""
        environment = {
            "PYTHONPATH": str(self.folder), "STARTS": str(self.starts),
            "SECONDS_EACH": seconds_each, "SKEW": skew, "OMP_NUM_THREADS": 1,
        }  # fmt: skip
        return {"python": sys.executable, "environment": environment, **keys}

    def n_starts(self):
        """Return how often each frame was started, as a Counter of these numbers."""
        names = Counter(path.name.partition("_")[0] for path in self.starts.iterdir())
        return Counter(names.values())

    def assert_right(self, dft):
        """Every task is done, once, and is what a direct calculation gives."""
        status = dft.status()
        assert status.states["done"] == len(self.frames) == sum(status.states.values()), status
        labels = dft.labelled()
        assert len(labels) == len(self.frames)
        for frame, label in zip(self.frames, labels, strict=True):
            direct = frame.copy()
            direct.calc = EMT()
            np.testing.assert_array_equal(label.positions, frame.positions)
            assert label.get_potential_energy() == direct.get_potential_energy()
            np.testing.assert_array_equal(label.get_forces(), direct.get_forces())
            np.testing.assert_allclose(label.get_stress(), direct.get_stress(), rtol=1e-12)

    def driver(self, body, **variables):
        """Start a driver as a process of its own: Python with `dft` and `lab_machines` at hand."""
        code = textwrap.dedent(body)
        return subprocess.Popen(
            [sys.executable, "-c", code], cwd=self.folder, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, env={**os.environ, **variables},
        )  # fmt: skip


@pytest.fixture
def laboratory(tmp_path):
    """A laboratory of 40 frames."""
    pytest.importorskip("dpdata", reason="pip install 'entsym[dft]'")
    return Laboratory(tmp_path)


SLURM_CONF = """
ClusterName=test
SlurmctldHost=localhost
AuthType=auth/munge
CryptoType=crypto/munge
SlurmUser=root
SlurmdUser=root
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
SlurmctldPort=16817
SlurmdPort=16818
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SlurmdParameters=config_overrides
ReturnToService=2
MailProg=/bin/true
SchedulerParameters=sched_interval=1,sched_min_interval=0
MinJobAge=2
NodeName=localhost CPUs=4 RealMemory=1000 State=UNKNOWN
PartitionName=cpu Nodes=localhost Default=YES State=UP MaxTime=INFINITE
PartitionName=gpu Nodes=localhost Default=NO State=UP MaxTime=INFINITE
"""


class Slurm:
    """A Slurm on this machine: controller, one node, partitions cpu and gpu."""

    def __init__(self, folder):
        self.folder = folder
        for name in ("state", "spool"):
            (folder / name).mkdir()
        self.conf = folder / "slurm.conf"
        self.conf.write_text(SLURM_CONF.format(folder=folder))
        self.environment = {**os.environ, "SLURM_CONF": str(self.conf)}
        self._daemons = {}

    def start(self, name):
        """Start slurmctld or slurmd, in the foreground of a process of ours."""
        with open(self.folder / f"{name}.out", "a") as out:
            self._daemons[name] = subprocess.Popen(
                [name, "-D", "-f", str(self.conf)], env=self.environment, stdout=out, stderr=out
            )

    def stop(self, name):
        """End it."""
        daemon = self._daemons.pop(name)
        daemon.terminate()
        try:
            daemon.wait(timeout=10)
        except subprocess.TimeoutExpired:
            daemon.kill()
            daemon.wait()

    def stop_all(self):
        """End both."""
        for name in list(self._daemons):
            self.stop(name)

    def call(self, *command):
        """Run one of Slurm's commands."""
        return subprocess.run(
            command, env=self.environment, capture_output=True, text=True, timeout=30, check=False
        )

    def wait(self):
        """Wait until the node takes jobs."""
        for _ in range(100):
            if "idle" in self.call("sinfo", "--noheader", "--format=%t").stdout:
                return
            time.sleep(0.2)
        logs = "\n".join(path.read_text()[-600:] for path in self.folder.glob("*.log"))
        raise RuntimeError(f"Slurm did not come up: {logs}")


@pytest.fixture(scope="session")
def slurm(tmp_path_factory):
    """A running Slurm; skips where Slurm or munge is missing."""
    needed = ("slurmctld", "slurmd", "sbatch", "munged")
    missing = [name for name in needed if shutil.which(name) is None]
    if missing:
        pytest.skip(f"{', '.join(missing)} not found: apt-get install slurm-wlm munge")
    if os.geteuid():
        pytest.skip("slurmd must be started by root")
    munge = None
    if (
        not Path("/run/munge/munge.socket.2").exists()
        or subprocess.run(["munge", "-n"], capture_output=True, check=False).returncode
    ):
        Path("/run/munge").mkdir(exist_ok=True)
        shutil.chown("/run/munge", "munge", "munge")
        munge = subprocess.Popen(
            ["runuser", "-u", "munge", "--", "munged", "--foreground"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        for _ in range(50):
            if not subprocess.run(["munge", "-n"], capture_output=True, check=False).returncode:
                break
            time.sleep(0.1)
        else:
            pytest.skip("munged does not start here")
    slurm = Slurm(tmp_path_factory.mktemp("slurm"))
    slurm.start("slurmctld")
    slurm.start("slurmd")
    os.environ["SLURM_CONF"] = str(slurm.conf)
    try:
        slurm.wait()
        yield slurm
    finally:
        slurm.call("scancel", "--user", "root")
        slurm.stop_all()
        os.environ.pop("SLURM_CONF", None)
        if munge:
            munge.terminate()
            munge.wait()
