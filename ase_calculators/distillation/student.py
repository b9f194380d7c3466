# SPDX-License-Identifier: BSD-3-Clause
"""The student: a network of DeePMD-kit or a linear potential, trained and checked."""

import json
import math
import re
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from importlib.util import find_spec
from os import PathLike, fspath
from pathlib import Path
from typing import Any, NamedTuple
from zipfile import is_zipfile

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator

from ase_calculators.argument_checks import check_whole
from ase_calculators.distillation.linear_students import (
    FILES,
    KINDS,
    Equations,
    checked_settings,
    lammps_lines,
)
from ase_calculators.distillation.prediction import structure_hash
from ase_calculators.distillation.training import (
    Training,
    TrainingProgress,
    read_profile,
    require,
    run_program,
    run_programs,
)
from ase_calculators.frame_source import read_frames
from ase_calculators.lammps_potential import LammpsPotential
from ase_calculators.periodicity import VACUUM, stress_scale, with_vacuum
from ase_calculators.provenance import file_hash, fingerprint, versions, write_json
from ase_calculators.training_sets import DFT, labels

RECORD = "student.json"
# largest allowed deviations of a compressed model: eV/atom of energy and virial, eV/Å of forces
TOLERANCE = 1e-3
# frames of the validation set on which a compressed model is compared
_CHECKED = 20
# room for more neighbours than any frame has, which simulations may need
_MARGIN = 1.1
_DP = [sys.executable, "-m", "deepmd"]
# models of deepmd-gnn; models that only PyTorch has; all others are TensorFlow's
_GNN = ("mace", "nequip")
_PYTORCH = (*_GNN, "dpa2", "dpa3")
# descriptors with an embedding of the elements, which can read deepmd/npy/mixed
_MIXED = (*_PYTORCH, "se_atten", "se_atten_v2", "dpa1")
# graphs and arrays; other files that DeePMD-kit opens may run code: .pt2 is a compiled library
_SAFE = (".pb", ".pth", ".dp", ".savedmodel", ".savedmodeltf")


class Student(NamedTuple):
    """A trained student.

    Attributes
    ----------
    model : pathlib.Path
        Frozen model; of a linear student the file of the coefficients.
    compressed : pathlib.Path
        Compressed (tabulated) model, for LAMMPS; `model` if it is not compressed.
    folder : pathlib.Path
        Folder of the training; ``student.json`` records it.
    """

    model: Path
    compressed: Path
    folder: Path


class Deviations(NamedTuple):
    """Largest differences between two models.

    Attributes
    ----------
    energy : float
        Energy, eV per atom.
    forces : float
        Component of a force, eV/Å.
    virial : float
        Component of the virial, eV per atom.
    """

    energy: float
    forces: float
    virial: float


class _Set(NamedTuple):
    """DeePMD data: systems, the weight of a frame, and the number of frames of each system."""

    systems: list[Path]
    weight: float
    n_frames: list[int]


def train_student(
    sets: Any,
    validation: str | PathLike[str] | Sequence[str | PathLike[str]],
    folder: str | PathLike[str],
    profile: str | PathLike[str] | Mapping[str, Any] = "small",
    seed: int = 1,
    start: Student | str | PathLike[str] | None = None,
    steps: int | None = None,
    compress: bool = True,
    kind: str = "se_e2_a",
    prefix: str = DFT,
) -> Student:
    """Train a network, freeze it, compress it and compare the two models; or fit a linear student.

    An interrupted call resumes from the last checkpoint, or at the step after the training.
    ``student.json`` in the folder records settings, seed, versions, hashes of the data and of the
    models, and the deviations by compression.

    A linear student (SNAP, quadratic SNAP, POD) is fitted by weighted least squares in seconds to
    minutes, needs no DeePMD-kit, and runs in any LAMMPS that has ML-SNAP or ML-POD. It has no seed
    and no steps; ``student.json`` records its errors in place of deviations.

    Parameters
    ----------
    sets : path-like, or mapping or sequence of pairs of path-like and float
        DeePMD data, as `write_deepmd` writes it, and its weights: a frame of data with weight 2
        counts twice as much in the loss as one of data with weight 1, whatever their numbers of
        atoms. In place of a folder of data, a sequence of systems may be given; for a linear
        student also labelled frames: a file, or a list of ase.Atoms.
    validation : path-like or sequence of path-like
        DeePMD data, or labelled frames as above, whose errors are shown; nothing is learned from
        it.
    folder : path-like
        Folder of all files.
    profile : {"small", "paper"}, path-like or dict
        Settings as in DeePMD-kit's input file, without elements, systems and seeds, which are
        filled in. One number in ``sel`` means that number for each element. Default of
        ``decay_steps``: 1/200 of the steps. Models and descriptors of the types
        dpa2, dpa3, mace and nequip are trained by the PyTorch backend, all others by TensorFlow.
    seed : int
        Random seed of the network and of the order of the frames.
    start : Student or path-like, optional
        Model to continue from, of the same shape: a student, its folder, a frozen model, or a
        checkpoint (``model.ckpt-1000``); for fine-tuning on the first-principles frames. Its energy
        scale is kept. Lower ``start_lr`` in the profile, since the schedule starts again.
    steps : int, optional
        Number of steps. Default: the profile's.
    compress : bool
        Whether to compress. If not, `Student.compressed` is the frozen model: for descriptors that
        cannot be compressed, and for many students that are only tested. Models of the PyTorch
        backend are never compressed.
    kind : {"se_e2_a", "snap", "qsnap", "pod"}
        Kind: a network of DeePMD-kit, of the type that the profile says (se_e2_a in those of the
        package), SNAP, quadratic SNAP, or POD. The profiles of the linear ones are
        ``profiles/snap_small.yaml`` etc.; see `Equations` in ``linear_students.py``.
    prefix : str
        Prefix of the labels of frames, as in `labels`.

    Returns
    -------
    Student
        The models.

    Raises
    ------
    ValueError
        If an argument is out of its range, ``sel`` is below the number of neighbours that `dp
        neighbor-stat` finds, the data is deepmd/npy/mixed and the descriptor cannot read it, the
        validation data has elements that the training data lacks, the compressed model deviates,
        or the folder holds another student.
    FloatingPointError
        If the loss is not finite; the last good checkpoint is kept.
    RuntimeError
        If a step of DeePMD-kit fails, or LAMMPS cannot calculate descriptors.
    ImportError
        If DeePMD-kit is missing, or deepmd-gnn for mace and nequip.

    Examples
    --------
    >>> sets = {"standard": 2.0, "relabelled": 1.0}
    >>> train_student(sets, "validation", "student")  # doctest: +SKIP
    Student(model=PosixPath('student/frozen.pb'), ...)
    """
    if kind in KINDS:
        for name, unused in (("start", start), ("steps", steps)):
            if unused is not None:
                raise ValueError(f"{name} = {unused!r}: a student of kind {kind!r} has none")
        return _train_linear(sets, validation, folder, profile, seed, kind, prefix)
    if kind != "se_e2_a":
        raise ValueError(f"kind = {kind!r}: must be one of se_e2_a, {', '.join(KINDS)}")
    require("deepmd", "deepmd-kit", "the student")
    target = Path(fspath(folder)).resolve()
    groups = _groups(sets)
    checked = _systems(validation, "validation")
    settings = read_profile(profile, "student")
    pytorch = _type(settings) in _PYTORCH
    if _type(settings) in _GNN and find_spec("deepmd_gnn") is None:
        raise ImportError(
            f"profile: a model of type {_type(settings)} needs deepmd-gnn, in an environment of "
            "its own; see input_templates/distillation/deepmd_gnn"
        )
    compress = compress and not pytorch
    learned = [system for group in groups for system in group.systems]
    _check_format(learned + checked, _type(settings))
    elements = _elements(learned + checked)
    trained = _present(learned)
    if start is None:  # a model to continue from may have learned other elements
        _check_elements(checked, trained)
    _fill_in(settings, groups, checked, elements, seed, steps)
    total = settings["training"]["numb_steps"]
    begin = None if start is None else _start_of(start)

    target.mkdir(parents=True, exist_ok=True)
    path = target / RECORD
    used = {
        "sets": [
            {"systems": [str(s) for s in g.systems], "weight": g.weight,
             "n_frames": sum(g.n_frames), "sha256": _set_hash(g.systems)}
            for g in groups
        ],
        "validation": {"systems": [str(s) for s in checked], "sha256": _set_hash(checked)},
        "start": None if begin is None else {"file": begin[1], "sha256": begin[2]},
        "seed": seed,
        "input": settings,
    }  # fmt: skip
    record: dict[str, Any] = {}
    if path.exists():
        record = json.loads(path.read_text(encoding="utf-8"))
        for name, value in used.items():
            if record.get(name) != value:
                raise ValueError(
                    f"folder = {str(target)!r}: holds a student with another {name}; use another "
                    "folder"
                )
    record |= used | versions(
        "entsym", "deepmd-kit", "tensorflow_cpu", "tensorflow", "torch", "deepmd-gnn", "numpy"
    )
    record["elements"] = [name for name in elements if start is not None or name in trained]
    write_json(path, record)
    frozen = target / ("frozen.pth" if pytorch else "frozen.pb")
    student = Student(frozen, target / "student.pb", target)
    if "neighbours" not in record:
        record |= _check_sel(settings, groups, target)
        write_json(path, record)
    if not student.model.exists():
        _train(target, settings, total, begin)
        last = _keep(target, None)
        _program(settings, "freeze", "-c", str(last), target=target, output=student.model)
    if not compress:
        record |= {
            "last_errors": _rows(target / "lcurve.out")[-1],
            "model": file_hash(student.model),
        }
        write_json(path, record)
        return student._replace(compressed=student.model)
    if not student.compressed.exists():
        _program(
            settings, "compress", "-i", str(student.model), target=target,
            output=student.compressed,
        )  # fmt: skip
    if "deviations" not in record or record.get("compressed") != file_hash(student.compressed):
        deviations = check_compression(*student[:2], _frames(checked, _CHECKED))
        record |= {
            "deviations": deviations._asdict(),
            "last_errors": _rows(target / "lcurve.out")[-1],
            "model": file_hash(student.model),
            "compressed": file_hash(student.compressed),
        }
        write_json(path, record)
    return student


def check_compression(
    model: str | PathLike[str],
    compressed: str | PathLike[str],
    frames: Iterable[Atoms],
    tolerance: float = TOLERANCE,
) -> Deviations:
    """Compare a compressed model with the frozen one.

    Parameters
    ----------
    model, compressed : path-like
        The frozen models.
    frames : iterable of ase.Atoms
        Structures to compare them on.
    tolerance : float
        Largest allowed deviation: eV/atom in energy and virial, eV/Å in forces. Tables of the
        default step deviate by 1e-11 or less for networks in double precision, by some 1e-4 in
        single precision.

    Returns
    -------
    Deviations
        The largest deviations.

    Raises
    ------
    ValueError
        If one is above the tolerance, or there are no frames.
    """
    one, other = open_student(model), open_student(compressed)
    found = []
    for atoms in frames:
        one.calculate(atoms)
        other.calculate(atoms)
        energy, forces, virial = (
            float(np.abs(np.asarray(one.results[name]) - other.results[name]).max())
            for name in ("energy", "forces", "virial")
        )
        found.append((energy / len(atoms), forces, virial / len(atoms)))
    if not found:
        raise ValueError("frames: there are none; give at least one")
    largest = Deviations(*np.max(found, axis=0).tolist())
    if not max(largest) <= tolerance:  # NaN is not
        raise ValueError(
            f"compressed = {fspath(compressed)!r}: deviates from {fspath(model)!r} by "
            f"{largest.energy:.1e} eV/atom, {largest.forces:.1e} eV/Å, {largest.virial:.1e} eV/atom"
            f" (virial), tolerance {tolerance:g}; compress it again, with a smaller --step"
        )
    return largest


def open_student(student: Student | str | PathLike[str], trust: bool = False) -> Any:
    """Open a student as an ASE calculator.

    A linear student becomes a `LammpsPotential`, whose ``commands`` are the lines for LAMMPS.

    A frozen model is a TensorFlow graph or TorchScript (.pb, .pth, .dp, .savedmodel): opening one
    runs no code from the file. A .pt2 is a compiled library, which runs when it is opened; it and
    all other kinds are refused without `trust`.

    DeePMD knows three periods and none. A frame with one or two is calculated in a periodic cell
    with 30 Å of vacuum along the others, which is beyond the cutoff; its stress refers to the
    frame's own volume. A frame whose cell has no volume has no stress.

    Parameters
    ----------
    student : Student or path-like
        A student, its folder (in both cases the compressed model, if there is one), or a model
        file.
    trust : bool
        Whether to open files that may run code.

    Returns
    -------
    deepmd.calculator.DP or LammpsPotential
        Calculator of energy, forces and stress; ``files()`` returns the model's files. Frames with
        elements that it has not learned (``elements`` in the ``student.json`` next to it, else its
        type map) are refused with a ValueError.

    Raises
    ------
    ValueError
        If there is no such file, it cannot be opened, or it is neither safe nor trusted.
    ImportError
        If DeePMD-kit is missing.

    Examples
    --------
    >>> atoms.calc = open_student("student")  # doctest: +SKIP
    """
    home = student.folder if isinstance(student, Student) else Path(fspath(student))
    if linear := _linear_record(home):
        return LammpsPotential(lammps_lines(home), linear["elements"])
    require("deepmd", "deepmd-kit", "the student")
    path = student.compressed if isinstance(student, Student) else Path(fspath(student))
    if path.is_dir() and path.suffix not in _SAFE:
        path = path / ("frozen.pth" if (path / "frozen.pth").is_file() else "student.pb")
    if not path.exists():
        raise ValueError(
            f"student = {str(path)!r}: there is no such file; name a frozen model or the folder of "
            "train_student"
        )
    if not trust and path.suffix not in _SAFE:
        raise ValueError(
            f"student = {str(path)!r}: is none of {', '.join(_SAFE)}, and opening it may run code "
            "that is in it (a .pt2 is a compiled library); set trust=True if you know where it "
            "comes from, or freeze the model to .pth"
        )
    import os

    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    from deepmd.calculator import DP

    class StudentCalculator(DP):
        """DP with one or two periods, limited to the elements that were learned."""

        def calculate(
            self, atoms: Any = None, properties: Any = ("energy",), system_changes: Any = ()
        ) -> None:
            atoms = self.atoms if atoms is None else atoms  # type: ignore[has-type]
            unknown = sorted(set(atoms.symbols) - set(self.type_dict))
            if unknown:
                raise ValueError(
                    f"atoms: {', '.join(unknown)} is not among the elements that {str(path)!r} has "
                    f"learned, {', '.join(self.type_dict)}; leave such frames out, or train with "
                    "them"
                )
            box = atoms
            if atoms.pbc.any() and not atoms.pbc.all():
                box = with_vacuum(atoms)
                box.pbc = True
                box.info.update(atoms.info)  # DeePMD's fparam, aparam
            # the stress is not requested: for a frame without periods DP would raise
            super().calculate(box, ["energy", "forces"], system_changes)
            self.atoms = atoms.copy()
            if box is not atoms:
                scale = stress_scale(box, atoms)
                stress = self.results.pop("stress")
                if scale is not None:
                    self.results["stress"] = stress * scale
            elif not atoms.pbc.any():
                self.results.pop("stress", None)
                if atoms.cell.rank == 3:
                    w = np.asarray(self.results["virial"])
                    stress = -0.5 * (w + w.T) / atoms.cell.volume
                    self.results["stress"] = stress.flat[[0, 4, 8, 5, 2, 1]]

    try:
        calculator = StudentCalculator(path)
    except Exception as error:  # protobuf's, TensorFlow's, torch's
        raise ValueError(
            f"student = {str(path)!r}: cannot be opened "
            f"({' '.join(f'{type(error).__name__}: {error}'.split())[:200]}); name a frozen model"
        ) from error
    record = path.parent / RECORD
    if record.is_file():
        content = json.loads(record.read_text(encoding="utf-8"))
        if "elements" in content and file_hash(path) in (
            content.get("model"), content.get("compressed")
        ):  # fmt: skip
            calculator.type_dict = {
                name: k for name, k in calculator.type_dict.items() if name in content["elements"]
            }
    files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())
    calculator.files = lambda: files  # as LammpsPotential has: a committee hashes them
    return calculator


# --- linear students ------------------------------------------------------------------------------


def _linear_record(folder: Path) -> dict[str, Any] | None:
    """Return the record of a linear student, if the folder has one."""
    try:
        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return record if isinstance(record, dict) and record.get("kind") in KINDS else None


def _train_linear(
    sets: Any, validation: Any, folder: str | PathLike[str], profile: Any, seed: int, kind: str,
    prefix: str,
) -> Student:  # fmt: skip
    """Fit a linear student, and write it with its errors."""
    check_whole("seed", seed, 0, 2**32 - 1)
    settings = checked_settings(kind, read_profile(profile, kind))
    target = Path(fspath(folder)).resolve()
    groups = [(_labelled(given, prefix, "sets"), weight) for given, weight in _pairs(sets)]
    checked = _labelled(validation, prefix, "validation")
    elements = list(dict.fromkeys(s for frames, _ in groups for a in frames for s in a.symbols))
    unknown = sorted({symbol for a in checked for symbol in a.symbols} - set(elements))
    if unknown:
        raise ValueError(
            f"validation: holds {', '.join(unknown)}, which no training frame has "
            f"({', '.join(elements)}); leave such frames out, or train with them"
        )
    used = {
        "kind": kind, "profile": settings, "seed": seed, "elements": elements,
        "sets": [{"weight": weight, "n_frames": len(frames), "sha256": _frames_hash(frames)}
                 for frames, weight in groups],
        "validation": {"n_frames": len(checked), "sha256": _frames_hash(checked)},
    }  # fmt: skip
    student = Student(*(target / FILES[kind][1],) * 2, target)
    if (target / RECORD).exists():
        record = _linear_record(target)
        for name, value in used.items():
            if record is None or record.get(name) != value:
                raise ValueError(
                    f"folder = {str(target)!r}: holds a student with another {name}; use another "
                    "folder"
                )
        lammps_lines(target)  # refuses files that were changed
        return student
    equations = Equations(kind, elements, settings)
    for frames, weight in groups:
        equations.extend(frames, weight=weight)
    known = len(equations.matrices)
    equations.extend(checked)
    coefficients = equations.fit(range(known))
    target.mkdir(parents=True, exist_ok=True)
    files = equations.write(coefficients, target)
    errors = {
        "training": equations.rms(coefficients, range(known)),
        "validation": equations.rms(coefficients, range(known, len(equations.matrices))),
    }
    write_json(target / RECORD, used | {
        "errors": errors, "n_coefficients": len(coefficients),
        "files": {path.name: file_hash(path) for path in files},
        **versions("entsym", "lammps", "numpy"),
    })  # fmt: skip
    return student


def _pairs(sets: Any) -> list[tuple[Any, float]]:
    """Return training data of a linear student and its weights."""
    if isinstance(sets, str | PathLike):
        sets = {sets: 1.0}
    if not isinstance(sets, Iterable):
        raise ValueError(f"sets = {sets!r}: must be labelled frames, or pairs of them and a weight")
    given = list(sets.items()) if isinstance(sets, Mapping) else list(sets)
    if not given:
        raise ValueError("sets: there are none; give at least one labelled frame")
    if not all(isinstance(pair, tuple | list) and len(pair) == 2 for pair in given):
        given = [(given, 1.0)]
    for _, weight in given:
        if not isinstance(weight, int | float) or not (math.isfinite(weight) and weight > 0):
            raise ValueError(f"sets: weight = {weight!r}: must be a number above 0")
    return [(frames, float(weight)) for frames, weight in given]


def _labelled(given: Any, prefix: str, name: str) -> list[Atoms]:
    """Return the labelled frames of DeePMD data, or of what `read_frames` takes."""
    parts = [given] if isinstance(given, str | PathLike) else list(given)
    found: list[Atoms] = []
    for part in parts:
        if isinstance(part, str | PathLike) and Path(part).is_dir():
            for system in _systems(part, name):
                found += _frames_of(system, _elements([system]))
        else:
            for atoms in read_frames([part]):
                label = labels(atoms, prefix)
                bare = Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
                found.append(_with_labels(bare, label.energy, label.forces, label.stress))
    if not found:
        raise ValueError(f"{name}: there are no frames; give at least one labelled frame")
    return found


def _with_labels(atoms: Atoms, energy: float, forces: Any, stress: Any) -> Atoms:
    known = {"energy": energy, "forces": forces} | ({} if stress is None else {"stress": stress})
    atoms.calc = SinglePointCalculator(atoms, **known)
    return atoms


def _frames_of(system: Path, names: Sequence[str]) -> list[Atoms]:
    """Return all frames of a system of DeePMD data, with their labels."""
    found = []
    pbc = not (system / "nopbc").exists()
    for folder in sorted(system.glob("set.*")):
        data = {key: np.load(folder / f"{key}.npy") for key in ("coord", "energy", "force")}
        boxes = np.load(folder / "box.npy") if pbc else np.zeros((len(data["coord"]), 9))
        path = folder / "virial.npy"
        virials = np.load(path) if pbc and path.exists() else None
        kinds = folder / "real_atom_types.npy"  # deepmd/npy/mixed
        types = np.loadtxt(system / "type.raw", dtype=int, ndmin=1)
        of_frames = np.load(kinds) if kinds.exists() else [types] * len(boxes)
        for k, box in enumerate(boxes):
            symbols = [names[number] for number in of_frames[k]]
            atoms = Atoms(symbols, data["coord"][k].reshape(-1, 3), cell=box.reshape(3, 3), pbc=pbc)
            stress = None
            if virials is not None:
                stress = -virials[k].reshape(9)[[0, 4, 8, 5, 2, 1]] / atoms.cell.volume
            energy = float(np.ravel(data["energy"])[k])
            found.append(_with_labels(atoms, energy, data["force"][k].reshape(-1, 3), stress))
    return found


def _frames_hash(frames: Sequence[Atoms]) -> str:
    """Return a fingerprint of frames and their labels."""
    each = [labels(atoms) for atoms in frames]
    return fingerprint([structure_hash(frames), [
        [label.energy, label.forces.tolist(), None if label.stress is None else list(label.stress)]
        for label in each
    ]])  # fmt: skip


# --- what goes in ---------------------------------------------------------------------------------


def _groups(sets: Any) -> list[_Set]:
    """Return DeePMD data and weights that a user gives."""
    if isinstance(sets, str | PathLike):
        sets = {sets: 1.0}
    if not isinstance(sets, Iterable):
        raise ValueError(
            f"sets = {sets!r}: must be a folder of DeePMD data, or pairs of one and its weight"
        )
    pairs = list(sets.items()) if isinstance(sets, Mapping) else list(sets)
    if not pairs:
        raise ValueError("sets: there are none; give at least one folder of DeePMD data")
    found = []
    for pair in pairs:
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            raise ValueError(
                f"sets: {pair!r} must be a pair of a folder of DeePMD data and its weight"
            )
        given, weight = pair
        if not isinstance(weight, int | float) or not (math.isfinite(weight) and weight > 0):
            raise ValueError(f"sets: weight = {weight!r} of {given}: must be a number above 0")
        systems = _systems(given, "sets")
        n_frames = [
            sum(np.load(file, mmap_mode="r").shape[0] for file in system.glob("set.*/coord.npy"))
            for system in systems
        ]
        found.append(_Set(systems, float(weight), n_frames))
    return found


def _systems(given: Any, name: str) -> list[Path]:
    """Return the systems of DeePMD data: folders with type.raw."""
    found: list[Path] = []
    parts = [given] if isinstance(given, str | PathLike) else list(given)
    if not parts:
        raise ValueError(f"{name}: there are none; give at least one folder of DeePMD data")
    for part in parts:
        systems = sorted(path.parent.resolve() for path in Path(fspath(part)).rglob("type.raw"))
        if not systems:
            raise ValueError(
                f"{name} = {fspath(part)!r}: is not DeePMD data (no type.raw in it); write "
                "it by write_deepmd"
            )
        found += systems
    return found


def _elements(systems: Iterable[Path]) -> list[str]:
    """Return the elements of systems, in the order in which they come."""
    found: dict[str, None] = {}
    for system in systems:
        names = system / "type_map.raw"
        if not names.is_file():
            raise ValueError(
                f"sets: {system} has no type_map.raw, so its elements are unknown; write one"
            )
        found |= dict.fromkeys(names.read_text().split())
    return list(found)


def _types(system: Path) -> np.ndarray:
    """Return the types that atoms of a system have, ascending."""
    kinds = sorted(system.glob("set.*/real_atom_types.npy"))  # deepmd/npy/mixed
    if kinds:
        return np.unique(np.concatenate([np.load(file).ravel() for file in kinds]))
    return np.unique(np.loadtxt(system / "type.raw", dtype=int, ndmin=1))


def _present(systems: Iterable[Path]) -> set[str]:
    """Return the elements that atoms of systems have; a type map may name more."""
    found = set()
    for system in systems:
        names, types = (system / "type_map.raw").read_text().split(), _types(system)
        if types.max(initial=0) >= len(names):
            raise ValueError(
                f"sets: {system} has atoms of type {types.max()}, and its type_map.raw names "
                f"{len(names)} elements; write the data again"
            )
        found |= {names[number] for number in types if number >= 0}
    return found


def _check_elements(checked: Iterable[Path], trained: set[str]) -> None:
    """Refuse validation data with elements that are not learned."""
    for system in checked:
        unknown = sorted(_present([system]) - trained)
        if unknown:
            raise ValueError(
                f"validation: {system} holds {', '.join(unknown)}, which no training frame has "
                f"({', '.join(sorted(trained))}); leave such frames out, or train with them"
            )


def _check_format(systems: Iterable[Path], kind: str) -> None:
    """Refuse data that the descriptor cannot read."""
    formats: dict[bool, Path] = {}
    for system in systems:
        formats.setdefault(any(system.glob("set.*/real_atom_types.npy")), system)
    if True in formats and kind not in _MIXED:
        raise ValueError(
            f"sets: {formats[True]} is deepmd/npy/mixed, which a descriptor of type {kind} cannot "
            "read; write it with write_deepmd(..., format='deepmd/npy'), or use a profile "
            "with a descriptor of type se_atten"
        )
    if len(formats) > 1:
        raise ValueError(
            f"sets: {formats[True]} is deepmd/npy/mixed and {formats[False]} is deepmd/npy; write "
            "all of them in one format"
        )


def _fill_in(
    settings: dict[str, Any],
    groups: Sequence[_Set],
    checked: Sequence[Path],
    elements: Sequence[str],
    seed: int,
    steps: int | None,
) -> None:
    """Complete a profile to DeePMD-kit's input: elements, systems, weights, seeds, steps."""
    try:
        model, training = settings["model"], settings["training"]
        (cutoff, _), _ = _reach(model), settings["learning_rate"]
        if steps is None:
            steps = training["numb_steps"]
    except KeyError as error:
        raise ValueError(f"profile: {error} is missing; see profiles/student_small.json") from None
    check_whole("steps", steps)
    check_whole("seed", seed, 0, 2**32 - 1)
    if not isinstance(cutoff, int | float) or not 0 < cutoff < VACUUM:
        raise ValueError(
            f"profile: cutoff = {cutoff!r}: must be a number above 0 and below {VACUUM:g} Å, the "
            "vacuum of frames without a period"
        )
    model.setdefault("type_map", list(elements))
    unknown = set(elements) - set(model["type_map"])
    if unknown:
        raise ValueError(
            f"profile: type_map = {model['type_map']}: {', '.join(sorted(unknown))} of the data is "
            "not in it; add it or leave type_map out"
        )
    descriptor = model.get("descriptor", {})
    if isinstance(descriptor.get("sel"), list) and len(descriptor["sel"]) == 1:
        descriptor["sel"] *= len(model["type_map"])
    training["seed"] = seed
    for part in ("descriptor", "fitting_net"):
        if part in model:
            model[part]["seed"] = seed
    training["numb_steps"] = steps
    # a checkpoint is saved only at a step whose errors are shown, so it is known to be finite
    shown = training["disp_freq"] = min(training.get("disp_freq", 1000), steps)
    training["save_freq"] = shown * max(1, training.get("save_freq", 10 * shown) // shown)
    settings["learning_rate"].setdefault("decay_steps", max(1, steps // 200))
    # a batch is from one system and its loss a mean: with these shares each frame counts the same
    shares = np.array([group.weight * n for group in groups for n in group.n_frames])
    training.setdefault("training_data", {}).update(
        systems=[str(system) for group in groups for system in group.systems],
        sys_probs=(shares / shares.sum()).tolist(),
    )
    training.setdefault("validation_data", {})["systems"] = [str(system) for system in checked]


def _type(settings: Mapping[str, Any]) -> str:
    """Return the type of a standard model's descriptor, else of the model."""
    model = settings.get("model", {})
    kind = model.get("type", "standard")
    return model.get("descriptor", {}).get("type", "") if kind == "standard" else kind


def _reach(model: Mapping[str, Any]) -> tuple[float, Any]:
    """Return the cutoff of a model and its maximum number of neighbours."""
    if "type" in model and "r_max" in model:  # mace, nequip
        return model["r_max"], model["sel"]
    descriptor = model["descriptor"]
    model["fitting_net"]
    flow = descriptor.get("repflow", descriptor.get("repinit"))  # dpa3, dpa2
    if flow is None:
        return descriptor["rcut"], descriptor.get("sel", "auto")
    names = ("e_rcut", "e_sel") if "repflow" in descriptor else ("rcut", "nsel")
    return flow[names[0]], flow[names[1]]


def _dp(settings: Mapping[str, Any]) -> list[str]:
    """Return DeePMD-kit's command for the backend of a model."""
    return [*_DP, "--pt"] if _type(settings) in _PYTORCH else _DP


def _set_hash(systems: Iterable[Path]) -> str:
    return file_hash(
        *(path for system in systems for path in sorted(system.rglob("*")) if path.is_file())
    )


def _start_of(start: Any) -> tuple[str, str, str]:
    """Return option, file and hash of a model to continue from."""
    path = start.model if isinstance(start, Student) else Path(fspath(start))
    path = (next(path.glob("frozen.*"), path) if path.is_dir() else path).resolve()
    if path.suffix in (".pb", ".pth") and path.is_file():
        return "--init-frz-model", str(path), file_hash(path)
    if path.suffix == ".pt" and path.is_file():
        return "--init-model", str(path), file_hash(path)
    pieces = sorted(path.parent.glob(path.name + ".*"))
    if Path(f"{path}.index") in pieces:
        return "--init-model", str(path), file_hash(*pieces)
    raise ValueError(
        f"start = {str(path)!r}: must be a student, its folder, a frozen model (.pb, .pth) or a "
        "checkpoint (model.ckpt-1000, model.ckpt-1000.pt)"
    )


def _check_sel(settings: dict[str, Any], groups: Sequence[_Set], target: Path) -> dict[str, Any]:
    """Check that sel is at least the number of neighbours in the data."""
    names = settings["model"]["type_map"]
    rcut, sel = _reach(settings["model"])
    together = isinstance(sel, int)  # the neighbours of all elements, as se_atten takes them
    largest = np.zeros(1 if together else len(names), dtype=int)
    nearest = math.inf
    # systems of one write_deepmd share a folder, for which one call is enough
    folders = dict.fromkeys(
        system.parent if (system.parent / "set.json").exists() else system
        for group in groups
        for system in group.systems
    )
    for folder in folders:
        output = run_program(
            [*_dp(settings), "neighbor-stat", "-s", str(folder), "-r", str(rcut), "-t", *names,
             *(["--mixed-type"] if together else [])],
            target, "neighbor_stat.log",
        )  # fmt: skip
        # printed by NumPy: [15 45], over several lines for many elements
        sizes = re.search(r"max_nbor_size: \[([\d,\s]+)\]", output)
        distance = re.search(r"min_nbor_dist: (\S+)", output)
        if sizes is None or distance is None:
            raise RuntimeError(
                f"dp neighbor-stat printed no numbers: {target / 'neighbor_stat.log'}"
            )
        largest = np.maximum(largest, [int(word) for word in re.findall(r"\d+", sizes[1])])
        nearest = min(nearest, float(distance[1]))
    given = np.atleast_1d(sel)
    if not isinstance(sel, str) and (len(given) != len(largest) or (given < largest).any()):
        enough = [math.ceil(_MARGIN * number) for number in largest.tolist()]
        raise ValueError(
            f"sel = {sel}: atoms of the data have up to {largest.tolist()} neighbours "
            f"({' '.join(names)}) within rcut = {rcut} Å, by dp neighbor-stat; set "
            f"sel to {enough[0] if together else enough} or more"
        )
    return {"neighbours": largest.tolist(), "nearest": nearest}


# --- DeePMD-kit -----------------------------------------------------------------------------------


def _train(
    target: Path, settings: dict[str, Any], total: int, begin: tuple[str, str, str] | None
) -> None:
    """Train from the last checkpoint, if there is one."""
    last = _keep(target, None)
    if last is not None and _step(last) >= total:
        return
    (target / "input.json").write_text(json.dumps(settings, indent=1) + "\n")
    (target / "train.log").unlink(missing_ok=True)
    command = [*_dp(settings), "train", "input.json"]
    if last is not None:
        command += ["--restart", str(last)]
    else:
        (target / "lcurve.out").unlink(missing_ok=True)
        if begin is not None:
            command += begin[:2]
    training = Training(
        target.name, command, target, partial(_state, target), partial(_keep, target), lambda: None
    )
    run_programs([training], total, "steps", title=target.name)


def _program(
    settings: Mapping[str, Any], name: str, *words: str, target: Path, output: Path
) -> None:
    """Run a program of DeePMD-kit; its output appears only when it is complete."""
    scratch = target / name
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    run_program([*_dp(settings), name, *words, "-o", output.name], scratch, f"../{name}.log")
    (scratch / output.name).replace(output)
    shutil.rmtree(scratch)


def _rows(lcurve: Path) -> list[dict[str, float]]:
    """Return the complete rows of a learning curve."""
    if not lcurve.exists():
        return []
    lines = lcurve.read_text().splitlines(keepends=True)
    heads = [line.split()[1:] for line in lines if line.startswith("#") and " step " in line]
    rows = [line.split() for line in lines if not line.startswith("#") and line.endswith("\n")]
    return [
        dict(zip(heads[0], map(float, row), strict=True))
        for row in rows
        if len(row) == len(heads[0])
    ]


def _state(target: Path) -> TrainingProgress:
    """Return the progress from the learning curve, or the step at which DeePMD-kit found NaN."""
    rows = _rows(target / "lcurve.out")
    log = target / "train.log"
    found = log.exists() and re.search(
        r"NaN detected at batch\s+(\d+)", log.read_text(errors="replace")
    )
    if found:  # DeePMD-kit stops before it writes that row
        rows.append({"step": float(found[1]), "rmse_trn": math.nan})
    if not rows:
        return TrainingProgress(0, "")
    row = rows[-1]
    note = ", ".join(
        f"{scale * row[key]:.3g} {unit}"
        for key, scale, unit in (
            ("rmse_e_val", 1e3, "meV/atom"),
            ("rmse_f_val", 1e3, "meV/Å"),
        )
        if key in row
    )
    # several rows may be written between two readings
    diverged = next((int(r["step"]) for r in rows if not math.isfinite(r["rmse_trn"])), None)
    return TrainingProgress(int(row["step"]), note, diverged)


def _keep(target: Path, diverged: int | None) -> Path | None:
    """Return the last complete checkpoint; remove those at or after a divergence."""
    found = []
    for path in [*target.glob("model.ckpt-*.index"), *target.glob("model.ckpt-*.pt")]:
        checkpoint = path if path.suffix == ".pt" else path.with_suffix("")
        if diverged is not None and _step(checkpoint) >= diverged:
            for piece in target.glob(f"{path.stem}.*"):
                piece.unlink()
        elif is_zipfile(path) or path.with_suffix(".meta").exists():  # PyTorch's, TensorFlow's
            found.append(checkpoint)
    return max(found, key=_step, default=None)


def _step(checkpoint: Path) -> int:
    """Return the step of a checkpoint: model.ckpt-1000 (TensorFlow), model.ckpt-1000.pt."""
    return int(checkpoint.name.removesuffix(".pt").rpartition("-")[2])


def _frames(systems: Iterable[Path], n: int) -> list[Atoms]:
    """Return about n frames of systems, evenly spread over them."""
    files = [
        (system, folder)
        for system in systems
        for folder in sorted(system.glob("set.*"))
        if (folder / "coord.npy").exists()
    ]
    found = []
    for system, folder in files:
        names = (system / "type_map.raw").read_text().split()
        symbols = [names[int(word)] for word in (system / "type.raw").read_text().split()]
        coordinates = np.load(folder / "coord.npy")
        pbc = not (system / "nopbc").exists()
        boxes = np.load(folder / "box.npy") if pbc else np.zeros((len(coordinates), 9))
        kinds = folder / "real_atom_types.npy"  # deepmd/npy/mixed
        types = np.load(kinds) if kinds.exists() else None
        for k in np.linspace(0, len(boxes) - 1, max(1, n // len(files))).astype(int):
            if types is not None:
                symbols = [names[number] for number in types[k]]
            found.append(
                Atoms(symbols, coordinates[k].reshape(-1, 3), cell=boxes[k].reshape(3, 3), pbc=pbc)
            )
    return found
