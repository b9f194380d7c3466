# SPDX-License-Identifier: BSD-3-Clause
"""Labels of frames, checks of them, and DeePMD data written frame by frame.

Labels come from first principles or from a teacher. Those of first principles are ASE's own
results. A teacher's are stored under keys with a prefix, so that a frame can hold both.
"""

import hashlib
import json
import shutil
from collections.abc import Iterable, Sequence
from os import PathLike, fspath
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers
from ase.neighborlist import neighbor_list
from ase.stress import voigt_6_to_full_3x3_stress

from ase_calculators.argument_checks import check_whole
from ase_calculators.frame_source import read_frames, stored_labels
from ase_calculators.periodicity import with_vacuum
from ase_calculators.provenance import versions

# prefixes of labels: of first principles, of a teacher
DFT, TEACHER = "", "teacher_"

FORMATS = ("deepmd/npy", "deepmd/npy/mixed")

# frames of a group whose energies are compared with another group's
_SAMPLE = 100
# pair terms r^-p and their range, Å, which represent the structure
_POWERS, _REACH = (1, 2, 4, 6, 9, 12), 5.0
# largest number of frames that a message names
_NAMED = 8


class Labels(NamedTuple):
    """Labels of a frame: energy, forces, stress.

    Attributes
    ----------
    energy : float
        Energy that the forces belong to, eV.
    forces : (n, 3) float64
        Forces, eV/Å.
    stress : (6,) float64 or None
        Stress xx, yy, zz, yz, xz, xy, eV/Å^3, with ASE's sign: dE/d(strain) / volume.
    """

    energy: float
    forces: np.ndarray
    stress: np.ndarray | None


class Shift(NamedTuple):
    """Shift of the energies of frames against those of others that the structure does not explain.

    Attributes
    ----------
    energies : dict of str to float
        Shift of an atom of each element, eV.
    rms : float
        Their effect on the frames' energies per atom, rms, eV; shifts of several elements may
        cancel in the mean.
    uncertainty : float
        Limit below which `rms` is not significant, eV: three times the rms of the fit's residuals,
        or five standard errors if that is more.
    """

    energies: dict[str, float]
    rms: float
    uncertainty: float

    @property
    def significant(self) -> bool:
        """Return whether the energies have another reference.

        Returns
        -------
        bool
            Whether the rms is above the uncertainty.
        """
        return self.rms > self.uncertainty

    def __str__(self) -> str:
        """Return the shift of each element."""
        each = ", ".join(f"{name} {energy:+.4f} eV" for name, energy in self.energies.items())
        return f"{each} (uncertainty {self.uncertainty:.4f} eV per atom)"


def virial(atoms: Atoms) -> np.ndarray:
    """Return the virial with DeePMD's sign: -dE/d(strain), above 0 under compression.

    ASE's stress is +dE/d(strain) / volume.

    Parameters
    ----------
    atoms : ase.Atoms
        Structure with a stress.

    Returns
    -------
    (3, 3) float64 ndarray
        Virial, eV.
    """
    return -atoms.get_stress(voigt=False) * atoms.cell.volume


def virials(stresses: np.ndarray, frames: Sequence[Atoms]) -> np.ndarray:
    """Return the virials per atom of stresses, -volume x stress / number of atoms.

    Parameters
    ----------
    stresses : (n, 6) array of float
        Stresses xx, yy, zz, yz, xz, xy, or differences of stresses, eV/Å^3.
    frames : sequence of ase.Atoms
        Their frames, which have a volume.

    Returns
    -------
    (n, 9) float64 ndarray
        All nine components, eV per atom.
    """
    scale = -np.array([atoms.get_volume() / len(atoms) for atoms in frames])
    return scale[:, None] * voigt_6_to_full_3x3_stress(stresses).reshape(-1, 9)


def labels(atoms: Atoms, prefix: str = DFT) -> Labels:
    """Return the labels of a frame, without calculating any.

    The energy is the one that the forces belong to: the free energy if the frame has one. Files of
    VASP and GPAW have it next to the energy extrapolated to zero smearing. A virial is converted to
    a stress, -virial / volume. ``stored_labels.py`` lists the known names.

    Parameters
    ----------
    atoms : ase.Atoms
        The frame.
    prefix : str
        `DFT` (empty) for the frame's own labels: results in ``atoms.calc``, or values in ``info``
        and ``arrays``. Else the labels are ``info[prefix + "energy"]``, ``arrays[prefix +
        "forces"]`` and ``info[prefix + "stress"]``, as `relabel` writes them with `TEACHER`,
        "teacher\\_".

    Returns
    -------
    Labels
        Energy, forces and, if there is one, stress.

    Raises
    ------
    ValueError
        If there is no energy or there are no forces, one of them is not finite, or two names
        have different values.

    Examples
    --------
    >>> from ase.build import bulk
    >>> atoms = bulk("Al")
    >>> atoms.info["teacher_energy"] = -3.4
    >>> atoms.arrays["teacher_forces"] = np.zeros((1, 3))
    >>> labels(atoms, "teacher_").energy
    -3.4
    """
    found = stored_labels(atoms, prefix)
    energy, forces = found["energy"], found["forces"]
    for name, value in found.items():
        if value is None and name != "stress":
            raise ValueError(f"{prefix}{name} is missing")
        if value is not None and not np.isfinite(value).all():
            raise ValueError(f"{prefix}{name} is not finite")
    assert energy is not None and forces is not None
    return Labels(float(energy), np.array(forces), found["stress"])


def check_labels(
    frames: str | PathLike[str] | Iterable[Any],
    prefix: str = DFT,
    type_map: Sequence[str] | None = None,
    mixed: bool = False,
) -> int:
    """Check that frames can be learned from together.

    Parameters
    ----------
    frames : path-like, or iterable of path-like, or iterable of ase.Atoms
        The labelled frames; each is read once.
    prefix : str
        Prefix of the labels, as in `labels`.
    type_map : sequence of str, optional
        Allowed elements. Default: any.
    mixed : bool
        Whether to allow labels of different settings (``info["settings"]``, as Auto-DFT writes
        it, or ``info[prefix + "hash"]``) whose energies have the same reference.

    Returns
    -------
    int
        Number of frames.

    Raises
    ------
    ValueError
        If labels are missing or not finite, only some frames have a stress, cells do not
        span space, elements are not in `type_map`, settings are mixed, or energies of one setting
        are shifted against another's.

    Examples
    --------
    >>> check_labels("standard.extxyz")  # doctest: +SKIP
    77
    """
    check = _Check(prefix, type_map, mixed)
    for atoms in read_frames(frames):
        check.take(atoms)
    check.finish()
    return check.n_frames


class _Check:
    """Check of frames, one after the other, for what they must have in common."""

    def __init__(self, prefix: str, type_map: Sequence[str] | None, mixed: bool) -> None:
        for name in type_map or ():
            if name not in atomic_numbers or name == "X":
                raise ValueError(
                    f"type_map: {name!r} is not a chemical element; use symbols like 'Al'"
                )
        self.prefix, self.mixed = prefix, mixed
        self.allowed = set(type_map) if type_map is not None else None
        self.n_frames = 0
        self.virial: bool | None = None
        self.groups: dict[str, list[Atoms]] = {}
        self._counts: dict[str, int] = {}
        self._faults: dict[str, list[int]] = {}
        self._rng = np.random.default_rng(0)

    def take(self, atoms: Atoms) -> Labels | None:
        """Return the labels of the next frame, or None if it has a fault."""
        number = self.n_frames
        self.n_frames += 1
        label, fault = None, ""
        unknown = set(atoms.symbols) - self.allowed if self.allowed is not None else set()
        try:
            label = labels(atoms, self.prefix)
        except ValueError as error:
            fault = str(error)
        if label is not None:
            if atoms.cell.rank < 3:
                fault = "three cell vectors are needed, with vacuum where there is no period"
            elif unknown:
                fault = f"{', '.join(sorted(unknown))} is not in type_map"
            elif self.virial is None:
                self.virial = label.stress is not None
            elif self.virial and label.stress is None:
                fault = f"{self.prefix}stress is missing, which frame 0 has"
            elif not self.virial and label.stress is not None:
                fault = f"{self.prefix}stress is there, which frame 0 lacks"
        if fault:
            self._faults.setdefault(fault, []).append(number)
            return None
        key = f"{self.prefix}hash" if self.prefix else "settings"
        group = str(atoms.info.get(key, ""))
        sample = self.groups.setdefault(group, [])
        count = self._counts[group] = self._counts.get(group, 0) + 1
        # every frame of the group is in the sample with the same probability
        if len(sample) < _SAMPLE:
            sample.append(atoms)
        elif (place := int(self._rng.integers(count))) < _SAMPLE:
            sample[place] = atoms
        return label

    @property
    def good(self) -> bool:
        return not self._faults and (self.mixed or len(self.groups) < 2)

    def finish(self) -> None:
        """Raise an error that names all faults, if there are any."""
        if not self.n_frames:
            raise ValueError("frames: there are none; give at least one labelled frame")
        if self._faults:
            what = "; ".join(
                f"{fault} (frame{'s' * (len(numbers) > 1)} "
                f"{', '.join(map(str, numbers[:_NAMED]))}"
                f"{f' and {len(numbers) - _NAMED} more' * (len(numbers) > _NAMED)})"
                for fault, numbers in self._faults.items()
            )
            raise ValueError(f"frames: {what}; label them or leave them out")
        if len(self.groups) < 2:
            return
        told = ", ".join(
            f"{name[:12] or 'none named'} ({self._counts[name]} frames)" for name in self.groups
        )
        if not self.mixed:
            raise ValueError(
                f"frames: their labels are of {len(self.groups)} settings, {told}; write each "
                "of them on its own, or set mixed=True"
            )
        (first, one), *others = self.groups.items()
        for name, other in others:
            shift = reference_shift(one, other, self.prefix, self.prefix)
            if shift.significant:
                raise ValueError(
                    f"frames: energies of {name[:12] or 'none named'} lie {shift} above those of "
                    f"{first[:12] or 'none named'}: another reference; subtract it, or leave them "
                    "out"
                )


def reference_shift(
    one: Iterable[Atoms], other: Iterable[Atoms], prefix: str = DFT, other_prefix: str = DFT
) -> Shift:
    """Find the shift of energies between two groups of frames, which need share no structure.

    Both are fitted at once by least squares, frame by frame: E/n = sum_e x_e (mu_e + [other] d_e)
    + sum_p c_p s_p, with the fractions x_e of the elements and the pair sums
    s_p = 1/n sum_{i<j} (2 Å / r_ij)^p (1 - (r_ij / 5 Å)^2)^2 for six powers p, and the square root
    of the one for p = 6. The d_e are the differences by other pseudopotentials, codes or subtracted
    atoms; the pair sums account for most of the structure.

    Parameters
    ----------
    one, other : iterable of ase.Atoms
        Labelled frames.
    prefix, other_prefix : str
        Prefixes of the labels of the one and of the other, as in `labels`.

    Returns
    -------
    Shift
        Shift of `other`; of infinite uncertainty if there are too few frames for the fit.

    Raises
    ------
    ValueError
        If a frame has no labels.
    """
    rows, energies, is_other = [], [], []
    for frames, its_prefix, flag in ((one, prefix, 0.0), (other, other_prefix, 1.0)):
        for atoms in frames:
            energies.append(labels(atoms, its_prefix).energy / len(atoms))
            rows.append((atoms.numbers, _pair_sums(atoms)))
            is_other.append(flag)
    flags = np.array(is_other)
    second = flags == 1.0
    elements = np.unique(np.concatenate([numbers for numbers, _ in rows]))
    shares = np.array([[(numbers == e).mean() for e in elements] for numbers, _ in rows])
    known = shares[second].any(axis=0) & shares[~second].any(axis=0)
    shifted = shares[:, known] * flags[:, None]
    names = [Atoms(numbers=[e]).get_chemical_symbols()[0] for e in elements[known]]
    sums = np.array([terms for _, terms in rows])
    spare = (len(rows) - 2 * len(elements)) // 3  # terms of the structure must not fit the noise
    columns = np.column_stack((shifted, shares, sums[:, : max(spare, 0)]))
    scale = np.abs(columns).max(axis=0)
    columns /= np.where(scale > 0, scale, 1.0)
    freedom = len(rows) - np.linalg.matrix_rank(columns)
    if not known.any() or freedom < 3 or min(second.sum(), (~second).sum()) < 2:
        return Shift(dict.fromkeys(names, np.nan), 0.0, np.inf)
    inverse = np.linalg.pinv(columns)
    values = np.array(energies)
    solution = inverse @ values
    residual = values - columns @ solution
    variance = float(residual @ residual) / freedom
    n = int(known.sum())
    shift = columns[second, :n] @ solution[:n]
    errors = np.linalg.norm(columns[second, :n] @ inverse[:n], axis=1) * np.sqrt(variance)
    per_element = solution[:n] / np.where(scale[:n] > 0, scale[:n], 1.0)
    return Shift(
        dict(zip(names, per_element.tolist(), strict=True)),
        float(np.sqrt((shift**2).mean())),
        max(3 * float(np.sqrt(variance)), 5 * float(np.sqrt((errors**2).mean())), 1e-6),
    )


def _pair_sums(atoms: Atoms) -> np.ndarray:
    """Return the terms of the structure in an energy per atom, the most important ones first."""
    r = neighbor_list("d", atoms, _REACH)
    fade = (1 - (r / _REACH) ** 2) ** 2
    sums = {p: float(((2.0 / r) ** p * fade).sum()) / (2 * len(atoms)) for p in _POWERS}
    return np.array([sums[6], np.sqrt(sums[6]), *(sums[p] for p in (12, 2, 4, 9, 1))])


# --- DeePMD data ----------------------------------------------------------------------------------


def write_deepmd(
    frames: str | PathLike[str] | Iterable[Any],
    folder: str | PathLike[str],
    prefix: str = DFT,
    format: str = "deepmd/npy",
    chunk: int = 2000,
    type_map: Sequence[str] | None = None,
    mixed: bool = False,
) -> list[Path]:
    """Write labelled frames as DeePMD data, in double precision.

    Frames are read one after the other, and written in chunks by dpdata. The folder appears under
    its name when it is complete; an interrupted conversion leaves ``<folder>.part``, which the next
    one removes. ``set.json`` records format, prefix, number of frames and their settings, elements,
    versions and the SHA-256 of all labels and structures.

    DeePMD has frames with three periods and frames with none. The latter are in separate systems,
    ``<name>.nopbc``. A frame with one or two periods becomes one with three, in a cell with 30
    Å of vacuum along the other directions (``periodicity.with_vacuum``): no atom sees an image of
    itself there, so that energy, forces and virial are those of the frame.

    Parameters
    ----------
    frames : path-like, or iterable of path-like, or iterable of ase.Atoms
        The labelled frames.
    folder : path-like
        Folder of the data. Earlier data is replaced; any other folder is refused.
    prefix : str
        Prefix of the labels, as in `labels`.
    format : {"deepmd/npy", "deepmd/npy/mixed"}
        One system for each formula, or for each number of atoms. The latter can only be learned by
        networks with one descriptor for all elements, such as se_atten; those of the profiles of
        `train_student` cannot.
    chunk : int
        Largest number of frames in memory, and in a ``set.*``.
    type_map : sequence of str, optional
        Elements, in the order of their types. Default: in the order of their appearance.
    mixed : bool
        Whether to allow different settings, as in `check_labels`.

    Returns
    -------
    list of pathlib.Path
        The systems, sorted.

    Raises
    ------
    ValueError
        If an argument is out of its range, or `check_labels` refuses the frames.
    ImportError
        If dpdata is missing.

    Examples
    --------
    >>> write_deepmd("relabelled.extxyz", "supplementary", prefix="teacher_")  # doctest: +SKIP
    [PosixPath('supplementary/Al32')]
    """
    if format not in FORMATS:
        raise ValueError(f"format = {format!r}: must be one of {', '.join(FORMATS)}")
    check_whole("chunk", chunk)
    try:
        import dpdata  # noqa: F401
    except ImportError:
        raise ImportError(
            f"format = {format!r} needs dpdata: pip install 'entsym[distillation]'"
        ) from None
    target = Path(fspath(folder))
    ours = not target.exists() or (target / "set.json").exists()
    if not ours and not (target.is_dir() and not any(target.iterdir())):
        raise ValueError(
            f"folder = {str(target)!r}: exists and is not data of write_deepmd (no set.json in "
            "it); use another name"
        )
    check = _Check(prefix, type_map, mixed)
    part = target.with_name(target.name + ".part")
    if part.exists():
        shutil.rmtree(part)
    part.mkdir(parents=True)
    names = list(type_map or ())
    digest = hashlib.sha256()
    counts: dict[str, int] = {}
    buffer: list[tuple[Atoms, Labels]] = []
    try:
        for atoms in read_frames(frames):
            label = check.take(atoms)
            if label is None or not check.good:
                buffer.clear()  # nothing more is written, but all faults are reported
                continue
            names += [name for name in dict.fromkeys(atoms.symbols) if name not in names]
            for array in (atoms.numbers, atoms.positions, atoms.cell.array, atoms.pbc, *label):
                if array is not None:
                    digest.update(np.ascontiguousarray(array).tobytes())
            buffer.append((atoms, label))
            if len(buffer) == chunk:
                _write_chunk(part, buffer, names, format, counts)
                buffer.clear()
        check.finish()
        _write_chunk(part, buffer, names, format, counts)
    except BaseException:
        shutil.rmtree(part)
        raise
    for name in counts:
        (part / name / "type_map.raw").write_text("".join(f"{symbol}\n" for symbol in names))
    key = f"{prefix}hash" if prefix else "settings"
    content = {
        "format": format,
        "prefix": prefix,
        "n_frames": check.n_frames,
        "systems": dict(sorted(counts.items())),
        "type_map": names,
        "virial": bool(check.virial),
        key: sorted(name for name in check.groups if name),
        "hash": digest.hexdigest(),
        **versions("entsym", "dpdata", "numpy"),
    }
    (part / "set.json").write_text(json.dumps(content, indent=1) + "\n")
    if target.exists():
        old = target.with_name(target.name + ".old")
        shutil.rmtree(old, ignore_errors=True)
        target.rename(old)
        part.rename(target)
        shutil.rmtree(old)
    else:
        part.rename(target)
    return sorted(target / name for name in counts)


def _write_chunk(
    part: Path,
    buffer: list[tuple[Atoms, Labels]],
    names: list[str],
    format: str,
    counts: dict[str, int],
) -> None:
    """Add the frames of a chunk to their systems, a new ``set.*`` of each."""
    import dpdata

    by_system: dict[tuple[str, bool], list[tuple[Atoms, Labels]]] = {}
    for frame in buffer:
        system = frame[0].get_chemical_formula(), not frame[0].pbc.any()
        by_system.setdefault(system, []).append(frame)
    for (formula, aperiodic), same in by_system.items():
        # atoms of one element together, in the order of the names
        kinds = [np.array([names.index(s) for s in atoms.symbols]) for atoms, _ in same]
        orders = [np.argsort(kind, kind="stable") for kind in kinds]
        types = kinds[0][orders[0]]
        boxes = [atoms if aperiodic else with_vacuum(atoms) for atoms, _ in same]
        data = {
            "atom_names": list(names),
            "atom_numbs": np.bincount(types, minlength=len(names)).tolist(),
            "atom_types": types,
            "orig": np.zeros(3),
            "cells": np.array([box.cell.array for box in boxes]),
            "coords": np.array(
                [box.positions[order] for box, order in zip(boxes, orders, strict=True)]
            ),
            "energies": np.array([label.energy for _, label in same]),
            "forces": np.array(
                [label.forces[order] for (_, label), order in zip(same, orders, strict=True)]
            ),
        }
        if aperiodic:
            data["nopbc"] = True
        if same[0][1].stress is not None:
            data["virials"] = np.array(
                [
                    -voigt_6_to_full_3x3_stress(label.stress) * atoms.cell.volume
                    for atoms, label in same
                    if label.stress is not None
                ]
            )
        name = str(len(types)) if format.endswith("mixed") else formula
        name += ".nopbc" * aperiodic
        folder, scratch = part / name, part / "scratch"
        dpdata.LabeledSystem(data=data).to(
            format, str(scratch), set_size=len(same), prec=np.float64
        )
        folder.mkdir(exist_ok=True)
        n_sets = len(list(folder.glob("set.*")))
        (scratch / "set.000").rename(folder / f"set.{n_sets:03d}")
        for file in ("type.raw", *["nopbc"] * aperiodic):
            (scratch / file).replace(folder / file)
        shutil.rmtree(scratch)
        counts[name] = counts.get(name, 0) + len(same)
