#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Label the frames of one job, one after the other: the part that runs on the machine itself.

python worker.py runs in a folder with job.json. AutoDFT copies it there. It needs Python, NumPy,
ASE and the code, but not entsym. Each frame has its own process and folder, so that its failure
does not affect the others. Every event is appended to results.jsonl, one line with a checksum. The
state of a job is on the disk only.
"""

import contextlib
import ctypes
import fcntl
import hashlib
import importlib
import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
import traceback
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from ase import Atoms
from ase.calculators.calculator import PropertyNotImplementedError
from ase.units import Hartree, Rydberg

RESULTS = "results.jsonl"
LOG_TAIL = 4000
# files to delete: large ones of no further use, and licensed ones
DROPPED = ("WAVECAR", "CHG", "CHGCAR", "POTCAR", "*_WFK*", "*_DEN*", "pwscf.save", "pwscf.wfc*")

# content and size of a file that is written at the start, to be renamed and cut if the disk is
# full: neither operation needs space
RESERVE = b"writing failed: the disk of the run folder is full\n"
RESERVE_BYTES = 1 << 17


class NotInstalled(Exception):
    """A code, or what it needs, is not installed on this machine."""


class PseudopotentialMismatch(Exception):
    """The pseudopotentials on this machine differ from those of the existing labels."""


class Calculation(NamedTuple):
    """A code, ready for one frame.

    Attributes
    ----------
    calculator : ase.calculators.calculator.BaseCalculator
        ASE calculator.
    version : str
        Version of the code.
    pseudopotentials : dict of str to str
        SHA-256 of the data of each element.
    convergence_marker : (str, str, bool), optional
        Name of an output file, a text, and whether a converged SCF writes the text (True) or an SCF
        that has not converged writes it (False). Default: the calculator raises.
    ends : dict of str to str
        Names of output files, and the text that each contains if the code has reached its end.
    energy_patterns : (str, str, float), optional
        Patterns of the free energy and of -TS in that output file, and their unit, eV. Default: ASE
        reads both the free energy and its extrapolation.
    """

    calculator: Any
    version: str
    pseudopotentials: dict[str, str]
    convergence_marker: tuple[str, str, bool] | None = None
    ends: Mapping[str, str] = MappingProxyType({})
    energy_patterns: tuple[str, str, float] | None = None


# Changes of the attempts after the first. Another mixing or algorithm does not change the label;
# another smearing does, so such labels are marked as altered. Each attempt also gets twice the time
# and memory of the one before.
LADDERS: dict[str, list[dict[str, Any]]] = {
    "gpaw": [
        {"mixer": {"method": "separate", "beta": 0.02, "nmaxold": 5, "weight": 100.0}},
        {"eigensolver": {"name": "davidson", "niter": 5}, "maxiter": 1000},
        {"smearing_factor": 2.0, "maxiter": 1000},
    ],
    "vasp": [
        {"amix": 0.1, "bmix": 0.0001, "nelm": 200},
        {"algo": "All", "nelm": 400},
        {"smearing_factor": 2.0, "algo": "Normal", "nelm": 400},
    ],
    "espresso": [
        {"mixing_beta": 0.2, "mixing_ndim": 12, "electron_maxstep": 200},
        {"diagonalization": "cg", "mixing_beta": 0.1, "electron_maxstep": 400},
        {"smearing_factor": 2.0, "mixing_beta": 0.2, "electron_maxstep": 400},
    ],
    "abinit": [
        {"diemix": 0.3, "nstep": 200},
        {"iscf": 7, "diemix": 0.2, "nstep": 400},
        {"smearing_factor": 2.0, "diemix": 0.3, "nstep": 400},
    ],
}


def other_pseudopotentials(known: dict[str, str], used: dict[str, str]) -> str:
    """Return an error text that names the pseudopotentials that differ from the existing labels.

    Parameters
    ----------
    known : dict of str to str
        SHA-256 of the data of each element in the ledger.
    used : dict of str to str
        SHA-256 of the data of each element on this machine.

    Returns
    -------
    str
        Text with the elements and both hashes; empty if all agree.
    """
    other = [f"{element} ({used[element][:8]}..., not {known[element][:8]}...)"
             for element in sorted(used.keys() & known.keys())
             if used[element] != known[element]]  # fmt: skip
    if not other:
        return ""
    return (
        f"pseudopotentials: those here differ from the ledger's labels for {', '.join(other)}; "
        "install the same ones, or start another ledger"
    )


def _hashes(files: dict[str, Path], code: str) -> dict[str, str]:
    """Return the hashes of the pseudopotentials; raise `NotInstalled` if an element has none."""
    missing = [f"{element} ({path})" for element, path in files.items() if not path.is_file()]
    if missing:
        raise NotInstalled(f"pseudopotentials: none of {code} for {', '.join(missing)}")
    return {e: hashlib.sha256(path.read_bytes()).hexdigest() for e, path in files.items()}


def _gpaw(settings: dict[str, Any], atoms: Atoms, mesh: list[int], job: dict[str, Any]):
    try:
        import gpaw
        from gpaw.convergence_criteria import Energy
        from gpaw.setup_data import search_for_file
    except ImportError as error:
        raise NotInstalled(f"gpaw: is not installed here ({error}); pip install gpaw") from None
    if job["potentials"]:
        gpaw.setup_paths.insert(0, job["potentials"])
    names = settings["pseudopotentials"]
    hashes, missing = {}, []
    for element in sorted(set(atoms.get_chemical_symbols())):
        kind = f"{names[element]}." if names.get(element) else ""
        try:
            _, data = search_for_file(f"{element}.{kind}{settings['xc']}")
        except FileNotFoundError:
            missing.append(element)
        else:
            hashes[element] = hashlib.sha256(data).hexdigest()
    if missing:
        raise NotInstalled(
            f"PAW set: none of gpaw for {', '.join(missing)} in {settings['xc']}; install "
            "gpaw-data or give the machine's key potentials"
        )
    extra = dict(settings["options"])
    maxiter = extra.pop("maxiter", 333)
    calculator = gpaw.GPAW(
        mode={"name": "pw", "ecut": settings["cutoff"]},
        xc=settings["xc"],
        kpts={"size": tuple(mesh), "gamma": True},
        occupations={"name": "methfessel-paxton", "order": 0, "width": settings["smearing"]},
        convergence={"energy": Energy(settings["energy_tolerance"], relative=False),
                     "maximum iterations": maxiter},
        setups={"default": "paw", **{e: n for e, n in names.items() if n}},
        spinpol=settings["spin"],
        txt="gpaw.txt",
        **extra,
    )  # fmt: skip
    return Calculation(calculator, f"gpaw {gpaw.__version__}", hashes)


def _program(job: dict[str, Any], default: str) -> str:
    """Return the machine's command of a code, quoted; raise `NotInstalled` if it is not there."""
    command = job["command"] or [default]
    if shutil.which(command[0]) is None:
        raise NotInstalled(
            f"{job['code']}: {command[0]!r} is not installed here; give the machine's key command "
            "or its modules"
        )
    return shlex.join(command)


def _vasp(settings: dict[str, Any], atoms: Atoms, mesh: list[int], job: dict[str, Any]):
    from ase.calculators.vasp import Vasp

    command = _program(job, "vasp_std")
    names = settings["pseudopotentials"]
    tree = Path(job["potentials"] or os.environ.get("VASP_PP_PATH", "POTCAR"))
    files = {}
    for element in sorted(set(atoms.get_chemical_symbols())):
        file = tree / f"potpaw_{settings['xc']}" / f"{element}{names.get(element, '')}" / "POTCAR"
        packed = [Path(f"{file}{end}") for end in (".Z", ".gz")]
        files[element] = next((path for path in packed if path.is_file()), file)
    hashes = _hashes(files, "vasp")
    os.environ["VASP_PP_PATH"] = str(tree)
    calculator = Vasp(
        command=command,
        xc=settings["xc"],
        encut=settings["cutoff"],
        ediff=settings["energy_tolerance"],
        ismear=0,
        sigma=settings["smearing"],
        ispin=2 if settings["spin"] else 1,
        kpts=mesh,
        gamma=True,
        setups={"base": "minimal", **{e: n for e, n in names.items() if n}},
        **{"prec": "Accurate", "ibrion": -1, "nsw": 0, "isif": 2, "lreal": False, "lwave": False,
           "lcharg": False, "lasph": True, "nelm": 100, **settings["options"]},
    )  # fmt: skip
    return Calculation(
        calculator,
        "vasp",
        hashes,
        convergence_marker=("OUTCAR", "aborting loop because EDIFF is reached", True),
        ends={"OUTCAR": "General timing and accounting", "vasprun.xml": "</modeling>"},
    )


def _espresso(settings: dict[str, Any], atoms: Atoms, mesh: list[int], job: dict[str, Any]):
    from ase.calculators.espresso import Espresso, EspressoProfile

    command = _program(job, "pw.x")
    names = settings["pseudopotentials"]
    folder = Path(job["potentials"] or ".")
    elements = sorted(set(atoms.get_chemical_symbols()))
    hashes = _hashes({e: folder / (names.get(e) or f"{e}.UPF") for e in elements}, "espresso")
    electrons = ("mixing_beta", "mixing_ndim", "mixing_mode", "diagonalization", "electron_maxstep")
    extra = dict(settings["options"])
    ratio = extra.pop("density_cutoff_ratio", 8.0)
    calculator = Espresso(
        profile=EspressoProfile(command, folder),
        pseudopotentials={e: names.get(e) or f"{e}.UPF" for e in elements},
        kpts=mesh,
        koffset=(0, 0, 0),
        input_data={
            "control": {"tprnfor": True, "tstress": True, "disk_io": "none"},
            "system": {
                "ecutwfc": settings["cutoff"] / Rydberg,
                "ecutrho": ratio * settings["cutoff"] / Rydberg,
                "input_dft": settings["xc"],
                "occupations": "smearing",
                "smearing": "gaussian",
                "degauss": settings["smearing"] / Rydberg,
                "nspin": 2 if settings["spin"] else 1,
                **{name: value for name, value in extra.items() if name not in electrons},
            },
            "electrons": {
                "conv_thr": settings["energy_tolerance"] / Rydberg,
                **{name: value for name, value in extra.items() if name in electrons},
            },
        },
    )
    return Calculation(
        calculator,
        "espresso",
        hashes,
        convergence_marker=("espresso.pwo", "convergence has been achieved", True),
        ends={"espresso.pwo": "JOB DONE."},
        energy_patterns=(
            r"^! +total energy +=(.*)Ry", r"smearing contrib. \(-TS\) +=(.*)Ry", Rydberg
        ),
    )  # fmt: skip


def _abinit(settings: dict[str, Any], atoms: Atoms, mesh: list[int], job: dict[str, Any]):
    from ase.calculators.abinit import Abinit, AbinitProfile

    command = _program(job, "abinit")
    names = settings["pseudopotentials"]
    folder = Path(job["potentials"] or ".")
    numbers = sorted(set(atoms.numbers))
    elements = [str(Atoms([number]).symbols) for number in numbers]
    files = {e: folder / (names.get(e) or f"{e}.xml") for e in elements}
    hashes = _hashes(files, "abinit")
    # ASE finds potentials by their names alone
    Path("potentials").mkdir(exist_ok=True)
    for element, file in files.items():
        link = Path("potentials") / f"{element}.GGA.xml"
        link.unlink(missing_ok=True)
        link.symlink_to(file.resolve())
    # all in eV; the mesh contains the origin, as for the other codes
    calculator = Abinit(
        profile=AbinitProfile(command),
        pps="pawxml",
        pp_paths=["potentials"],
        xc="PBE",
        ecut=settings["cutoff"],
        pawecutdg=2 * settings["cutoff"],
        toldfe=settings["energy_tolerance"],
        occopt=7,
        tsmear=settings["smearing"],
        kptopt=1,
        ngkpt=list(mesh),
        nshiftk=1,
        shiftk=[0.0, 0.0, 0.0],
        chksymtnons=0,  # rattled atoms lie on no grid
        optforces=1,
        optstress=1,
        prtwf=0,
        prtden=0,
        **{"nstep": 100, **settings["options"]},
    )
    return Calculation(
        calculator,
        "abinit",
        hashes,
        convergence_marker=("abinit.abo", "not enough SCF cycles to converge", False),
        ends={"abinit.abo": "Calculation completed."},
        # ASE reads the direct sum instead, which is off by 1e-4 eV when this energy is converged
        energy_patterns=(r"^ +etotal1? +(\S+)", r"'-kT\*entropy' +:(.*)", Hartree),
    )


def _any(settings: dict[str, Any], atoms: Atoms, mesh: list[int], job: dict[str, Any]):
    """Return any ASE calculator, "module:class", made from the options."""
    module, _, name = job["code"].partition(":")
    try:
        factory = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise NotInstalled(f"code = {job['code']!r}: cannot be imported here ({error})") from None
    version = getattr(sys.modules[module.partition(".")[0]], "__version__", "unknown")
    return Calculation(factory(**settings["options"]), f"{job['code']} {version}", {})


CODES = {"gpaw": _gpaw, "vasp": _vasp, "espresso": _espresso, "abinit": _abinit}
_EXTERNAL = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")


def is_code(name: str) -> bool:
    """Return whether a name is that of a code or of an ASE calculator.

    Parameters
    ----------
    name : str
        Name, such as "vasp" or "module:class".

    Returns
    -------
    bool
        True for a name in `CODES` and for "module:class".

    Examples
    --------
    >>> is_code("vasp"), is_code("ase.calculators.emt:EMT"), is_code("vaps")
    (True, True, False)
    """
    return name in CODES or bool(_EXTERNAL.fullmatch(name))


def rung_of(settings: dict[str, Any], rung: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the settings of an attempt.

    Parameters
    ----------
    settings : dict
        Settings of the first attempt.
    rung : int
        Failures so far; the last step of the ladder serves for all further attempts.

    Returns
    -------
    settings : dict
        Settings of this attempt.
    changed : dict
        Step of the ladder that was applied.
    """
    ladder = settings["ladder"]
    if ladder is None:
        ladder = LADDERS.get(settings["code"], [])
    changed = dict(ladder[min(rung, len(ladder)) - 1]) if rung and ladder else {}
    options = {name: value for name, value in changed.items() if name != "smearing_factor"}
    changed_settings = {
        **settings,
        "smearing": settings["smearing"] * changed.get("smearing_factor", 1.0),
        "options": {**settings["options"], **options},
    }
    return changed_settings, changed


def _read_atoms(task: dict[str, Any]) -> Atoms:
    atoms = Atoms(
        numbers=task["numbers"], positions=task["positions"], cell=task["cell"], pbc=task["pbc"]
    )
    if task.get("magmoms") is not None:
        atoms.set_initial_magnetic_moments(task["magmoms"])
    return atoms


def _log(folder: Path) -> str:
    """Return the end of the logs of a frame."""
    text = ""
    for name in ("log", "gpaw.txt", "vasp.out", "OUTCAR", "espresso.pwo", "abinit.log"):
        file = folder / name
        if file.is_file() and file.stat().st_size:
            with open(file, "rb") as opened:
                opened.seek(max(0, file.stat().st_size - LOG_TAIL))
                text = opened.read().decode(errors="replace") if not text else text + (
                    f"\n--- {name} ---\n" + opened.read().decode(errors="replace")
                )  # fmt: skip
    return text[-2 * LOG_TAIL :]


def _cut(ends: Mapping[str, str]) -> str:
    """Return an error text for files that end early, which some readers of ASE do not notice."""
    early = [
        name
        for name, text in ends.items()
        if not Path(name).is_file() or text not in Path(name).read_text(errors="replace")
    ]
    if not early:
        return ""
    return f"{', '.join(early)} ended before the code did: it was killed, or its disk is full"


def label(task: dict[str, Any], job: dict[str, Any]) -> dict[str, Any]:
    """Calculate one frame in the present folder, and check the result.

    Parameters
    ----------
    task : dict
        Frame, mesh and attempt, from job.json.
    job : dict
        Content of job.json.

    Returns
    -------
    dict
        Energy (the free energy that belongs to the forces), its extrapolation to no smearing,
        forces, stress, and their provenance.

    Raises
    ------
    NotInstalled
        If the code or its potentials are not installed.
    PseudopotentialMismatch
        If the potentials are not those of the ledger's labels.
    RuntimeError
        If the result may not be used.
    """
    settings, changed = rung_of(job["settings"], task["rung"])
    atoms = _read_atoms(task)
    made = CODES.get(job["code"], _any)(settings, atoms, task["mesh"], job)
    other = other_pseudopotentials(job["pseudopotentials"], made.pseudopotentials)
    if other:
        raise PseudopotentialMismatch(other)
    atoms.calc = made.calculator
    try:
        zero = float(atoms.get_potential_energy())
        try:
            energy = float(atoms.get_potential_energy(force_consistent=True))
        except PropertyNotImplementedError:
            energy = zero
        forces = np.asarray(atoms.get_forces(), dtype=float)
        stress = np.asarray(atoms.get_stress(voigt=False), dtype=float)
    except Exception as error:
        cut = _cut(made.ends)
        if cut:
            raise RuntimeError(f"{cut} ({type(error).__name__}: {error})") from error
        raise
    cut = _cut(made.ends)
    if cut:
        raise RuntimeError(cut)
    if made.convergence_marker is not None:
        name, text, good = made.convergence_marker
        output = Path(name).read_text(errors="replace")
        if (text in output) != good:
            raise RuntimeError("the SCF did not converge")
        if made.energy_patterns is not None:
            *patterns, unit = made.energy_patterns
            free, entropy = (float(re.findall(pattern, output, re.MULTILINE)[-1]) * unit
                             for pattern in patterns)  # fmt: skip
            energy, zero = free, free - entropy / 2
    if not (np.isfinite([energy, zero]).all() and np.isfinite(stress).all()):
        raise RuntimeError("energy or stress is not finite")
    if forces.shape != (len(task["numbers"]), 3) or not np.isfinite(forces).all():
        raise RuntimeError(f"forces are not {len(task['numbers'])} finite vectors")
    for seen in (atoms, getattr(made.calculator, "atoms", None)):
        if seen is not None and (
            len(seen) != len(task["numbers"])
            or not np.allclose(seen.cell.array, task["cell"], rtol=0, atol=1e-5)
        ):
            raise RuntimeError("the code changed the cell or the number of atoms")
    version = made.version
    if " " not in version:
        # programs report their version in their output only
        with contextlib.suppress(Exception):
            files = [path for path in Path().iterdir() if path.is_file()]
            text = "".join(path.read_text(errors="replace")[:5000] for path in files)
            found = re.search(r"(vasp\.[\w.]+|PWSCF v\.[\w.]+|Version +[\d.]+ +of ABINIT)", text)
            version = " ".join(found[1].split()) if found else version
    return {
        "energy": energy,
        "energy_zero": zero,
        "forces": forces.tolist(),
        "stress": stress.tolist(),
        "version": version,
        "pseudopotentials": made.pseudopotentials,
        "rung": task["rung"],
        "changed": changed,
        "altered": "smearing_factor" in changed,
    }


def _run_frame(number: int, job: dict[str, Any]) -> None:
    """Label one frame in the present folder and write result.json; runs in its own process."""
    task = job["tasks"][number]
    try:
        result = {"ok": True, **label(task, job)}
    except NotInstalled as error:
        result = {"ok": False, "reason": str(error), "final": True}
    except PseudopotentialMismatch as error:
        result = {"ok": False, "reason": str(error), "refused": str(error)}
    except BaseException as error:  # whatever a code raises, only this frame fails
        traceback.print_exc()
        result = {"ok": False, "reason": f"{type(error).__name__}: {error}"[:500]}
    from ase.parallel import world

    if world.rank == 0:
        with open("result.tmp", "w") as file:
            json.dump(result, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace("result.tmp", "result.json")


def _die_with_parent() -> None:
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def _attempt(number: int, job: dict[str, Any]) -> dict[str, Any]:
    """Run one frame as a process, and return its result."""
    task = job["tasks"][number]
    folder = Path("frames") / f"{number:04d}"
    folder.mkdir(parents=True, exist_ok=True)
    here = Path.cwd()
    start = time.monotonic()
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.setsid()
            _die_with_parent()
            os.chdir(folder)
            log = os.open("log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(log, 1)
            os.dup2(log, 2)
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.setitimer(signal.ITIMER_REAL, task["timeout"])
            if job["command"] and job["code"] not in ("vasp", "espresso", "abinit"):
                worker = [str(here / "worker.py"), str(here / "job.json"), str(number)]
                os.execvp(job["command"][0], [*job["command"], *worker])
            _run_frame(number, job)
            code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child, signal.SIGKILL)  # processes that a code may have left behind
    wall = time.monotonic() - start
    try:
        result = json.loads((folder / "result.json").read_text())
    except (OSError, ValueError):
        end = os.waitstatus_to_exitcode(status)
        if end == -signal.SIGALRM:
            reason = f"took longer than {task['timeout']:.0f} s"
        elif end < 0:
            reason = f"the process was killed by {signal.Signals(-end).name}"
        else:
            reason = f"the process left no result (exit {end})"
        result = {"ok": False, "reason": reason}
    if not result["ok"]:
        with open("space", "wb") as probe:  # if the disk is full, the frame has not failed
            probe.write(bytes(RESERVE_BYTES // 2))
            probe.flush()
            os.fsync(probe.fileno())
        os.unlink("space")
        result["log"] = _log(folder)
    for pattern in DROPPED:
        for path in folder.glob(pattern):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    return {**result, "key": task["key"], "wall": wall}


def write_line(path: Path, entry: dict[str, Any]) -> None:
    """Append an entry with its checksum, completely or not at all.

    Parameters
    ----------
    path : pathlib.Path
        File of results.
    entry : dict
        Entry, which JSON can hold.

    Raises
    ------
    OSError
        If the disk is full; the file is then unchanged.
    """
    body = json.dumps(entry)
    line = f"{hashlib.sha256(body.encode()).hexdigest()[:16]} {body}\n".encode()
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        size = os.lseek(file, 0, os.SEEK_END)
        try:
            written = os.write(file, line)
            os.fsync(file)
            if written != len(line):
                raise OSError(28, "the disk is full")
        except OSError:
            os.ftruncate(file, size)
            raise
    finally:
        os.close(file)


def read_lines(text: str) -> list[dict[str, Any]]:
    """Return the entries of a results file that are complete.

    Parameters
    ----------
    text : str
        Content of the file.

    Returns
    -------
    list of dict
        Entries whose checksum is right.
    """
    entries = []
    for line in text.split("\n"):
        checksum, _, body = line.partition(" ")
        if body and hashlib.sha256(body.encode()).hexdigest()[:16] == checksum:
            entries.append(json.loads(body))
    return entries


def main() -> int:
    """Run the job; a second process that runs the same job exits.

    Returns
    -------
    int
        0 if the job is done or was started or withdrawn before, 1 if it had to stop.
    """
    if len(sys.argv) == 3:  # one frame, started by a command of the machine
        with open(sys.argv[1]) as file:
            _run_frame(int(sys.argv[2]), json.load(file))
        return 0
    with contextlib.suppress(OSError):
        os.setsid()  # Ctrl-C in the driver's terminal must not stop the job
    lock = os.open("lock", os.O_RDWR | os.O_CREAT)  # held until this process ends
    for _ in range(100):
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(0.01)  # a driver tests it for a moment, or another process runs the job
        except OSError:
            break  # no locks here
        else:
            os.write(lock, f"{os.getpid()}\n".encode())  # for a user who wants to end the job
            break
    try:
        os.mkdir("started")
    except FileExistsError:
        print("this job was started or withdrawn before")
        return 0
    with open("job.json") as file:
        job = json.load(file)
    results = Path(RESULTS)
    try:
        write_line(results, {"host": socket.gethostname(), "python": sys.version.split()[0]})
        Path("reserve").write_bytes(RESERVE + bytes(RESERVE_BYTES))
        if job["code"] == "gpaw" and not job["command"]:
            # imported once, not once per frame
            with contextlib.suppress(ImportError):
                importlib.import_module("gpaw")
        refused = ""
        try:
            _installed(job)
        except NotInstalled as error:
            refused = str(error)
            write_line(results, {"refused": refused})
        for number, task in enumerate(job["tasks"]):
            if refused:
                break
            write_line(results, {"start": task["key"]})
            result = _attempt(number, job)
            refused = result.get("refused", "")
            write_line(results, {"refused": refused} if refused else result)
    except OSError as error:
        if Path("reserve").exists():
            os.rename("reserve", "stopped")
            os.truncate("stopped", len(RESERVE))
        Path("space").unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            print(f"stopped: {error}", file=sys.stderr, flush=True)
        return 1
    os.unlink("reserve")
    os.mkdir("finished")
    return 0


def _installed(job: dict[str, Any]) -> None:
    """Raise `NotInstalled` if the code of a job is not installed."""
    if job["code"] in ("vasp", "espresso", "abinit"):
        _program(job, {"vasp": "vasp_std", "espresso": "pw.x", "abinit": "abinit"}[job["code"]])
    elif job["command"]:
        if shutil.which(job["command"][0]) is None:
            raise NotInstalled(f"command: {job['command'][0]!r} is not installed here")
        probe = "gpaw" if job["code"] == "gpaw" else job["code"].partition(":")[0]
        done = subprocess.run(
            [sys.executable, "-c", "import importlib, sys; importlib.import_module(sys.argv[1])",
             probe], capture_output=True, check=False,
        )  # fmt: skip
        if done.returncode and job["code"] != "gpaw":
            raise NotInstalled(f"code = {job['code']!r}: cannot be imported here")
    elif job["code"] == "gpaw":
        try:
            importlib.import_module("gpaw")
        except ImportError as error:
            raise NotInstalled(f"gpaw: is not installed here ({error}); pip install gpaw") from None
    else:
        module, _, name = job["code"].partition(":")
        try:
            getattr(importlib.import_module(module), name)
        except (ImportError, AttributeError) as error:
            raise NotInstalled(
                f"code = {job['code']!r}: cannot be imported here ({error})"
            ) from None


if __name__ == "__main__":
    sys.exit(main())
