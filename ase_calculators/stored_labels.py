# SPDX-License-Identifier: BSD-3-Clause
"""Energy, forces and stress that came with a frame, under the names that programs use."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import PropertyNotImplementedError
from ase.stress import full_3x3_to_voigt_6_stress

# names of labels in small letters, as ASE, LAMMPS and the trainers GAP, NEP and MACE write them
_PREFIXES = ("", "ref_", "dft_")
_ENERGIES = ("energy", "potential_energy")
_FREE_ENERGIES = ("free_energy",)
_KEYS_OF_ENERGIES = {p + name for p in _PREFIXES for name in (*_ENERGIES, *_FREE_ENERGIES)}
_FORCES = ("forces", "force")
_STRESSES, _VIRIALS = ("stress",), ("virial", "virials")


def _stored(
    atoms: Atoms, names: Sequence[str], prefix: str, shape: tuple[int, ...] | None
) -> dict[str, np.ndarray]:
    """Return the entries of the frame under these names, as arrays of one shape."""
    found: dict[str, Any] = {}
    if not prefix and atoms.calc is not None:
        for name in names:
            try:
                value = atoms.calc.get_property(name, atoms, allow_calculation=False)
            except (AttributeError, PropertyNotImplementedError):  # not in it
                continue
            if value is not None:
                found[name] = value
    wanted = {p + name for p in ((prefix.lower(),) if prefix else _PREFIXES) for name in names}
    place = atoms.arrays if shape == (len(atoms), 3) else atoms.info
    for key, value in place.items():
        if isinstance(key, str) and key.lower() in wanted and value is not None:
            found.setdefault(key, value)
    numbers = {}
    for name, value in found.items():
        try:
            if isinstance(value, bool | str):
                raise ValueError
            number = np.asarray(value, dtype=float)
            numbers[name] = number if shape is None else number.reshape(shape)
        except (TypeError, ValueError):
            what = (
                "a number" if shape == () else "numbers" if shape is None else "3 numbers an atom"
            )
            raise ValueError(f"{name} = {str(value)[:40]!r}: must be {what}") from None
    return numbers


def _agreed(values: dict[str, np.ndarray], tolerance: float) -> np.ndarray | None:
    """Return the value that all names share; refuse values that differ."""
    if not values:
        return None
    (name, value), *others = values.items()
    for other, its in others:
        scale = max(1.0, float(np.abs(value).max())) if np.isfinite(value).all() else 1.0
        if not np.allclose(value, its, rtol=0, atol=tolerance * scale, equal_nan=True):
            raise ValueError(
                f"{name} and {other} are both there and differ; keep only the right one"
            )
    return value


def stored_labels(atoms: Atoms, prefix: str = "") -> dict[str, np.ndarray | None]:
    """Return energy, forces and stress that came with the atoms; never calculate one.

    They are results of a calculator, or entries of ``info`` and ``arrays`` under the names that
    programs use, in small or large letters: energy and LAMMPS's potential_energy; forces, force;
    stress; virial, virials; each also with the prefix dft_ or ref_. The energy is the one that the
    forces belong to: the free energy if the frame has it (VASP, GPAW and others also write one that
    is extrapolated to zero smearing). A virial, in eV, is -volume * stress: 9 numbers or xx, yy,
    zz, yz, xz, xy.

    Parameters
    ----------
    atoms : ase.Atoms
        The frame.
    prefix : str
        Prefix of the names; empty for the frame's own labels.

    Returns
    -------
    dict
        "energy" () eV, "forces" (n, 3) eV/Å, "stress" (6,) eV/Å^3, xx, yy, zz, yz, xz, xy with
        ASE's sign; None for what the frame lacks.

    Raises
    ------
    ValueError
        If a label is not made of numbers, or the values of two names differ.
    """
    forces = _agreed(_stored(atoms, _FORCES, prefix, (len(atoms), 3)), 1e-4)
    return {"energy": _energy(atoms, prefix), "forces": forces, "stress": _stress(atoms, prefix)}


def _energy(atoms: Atoms, prefix: str) -> np.ndarray | None:
    free = _stored(atoms, _FREE_ENERGIES, prefix, ())
    return _one_energy(free, _stored(atoms, _ENERGIES, prefix, ()), prefix)


def _one_energy(
    free_energies: dict[str, np.ndarray], energies: dict[str, np.ndarray], prefix: str
) -> np.ndarray | None:
    """Return the energy that the forces belong to; refuse energies that contradict each other."""
    free = _agreed(free_energies, 1e-6)
    if free is None:
        return _agreed(energies, 1e-6)
    own = next((v for k, v in energies.items() if k.lower() == f"{prefix}energy".lower()), free)
    for name, value in energies.items():
        if not any(
            np.isclose(value, its, rtol=1e-6, atol=1e-6, equal_nan=True) for its in (own, free)
        ):
            raise ValueError(
                f"{name} and free_energy are both there and differ; keep only the right one"
            )
    return free


@lru_cache(maxsize=256)
def is_energy(key: str) -> bool:
    """Return whether a key of a frame is one of those that `stored_energy` takes.

    Parameters
    ----------
    key : str
        The key.

    Returns
    -------
    bool
        Whether it is.
    """
    return key.lower() in _KEYS_OF_ENERGIES


def energy_of(energies: dict[str, float]) -> float:
    """Return the energy that `stored_energy` finds in a frame of extended XYZ.

    Parameters
    ----------
    energies : dict of str to float
        Values of the frame's keys that `is_energy` accepts, in their order, eV.

    Returns
    -------
    float
        Energy, eV; NaN if there is none.

    Raises
    ------
    ValueError
        If the values of two keys differ.

    Examples
    --------
    >>> energy_of({"energy": -4.5})
    -4.5
    """
    if len(energies) < 2:
        return next(iter(energies.values()), np.nan)
    # those that a calculator of ASE has come first
    names = sorted(energies, key=lambda name: name not in ("energy", "free_energy"))
    values = {name: np.asarray(energies[name]) for name in names}
    free = {k: v for k, v in values.items() if k.lower().endswith(_FREE_ENERGIES)}
    energy = _one_energy(free, {k: v for k, v in values.items() if k not in free}, "")
    assert energy is not None
    return float(energy)


def _voigt(name: str, value: np.ndarray) -> np.ndarray:
    if value.size == 9:
        full = value.reshape(3, 3)
        if not np.allclose(
            full, full.T, rtol=0, atol=1e-3 * np.abs(full).max() + 1e-12, equal_nan=True
        ):
            raise ValueError(f"{name} is not symmetric")
        return np.asarray(full_3x3_to_voigt_6_stress(full))
    if value.shape != (6,):
        raise ValueError(f"{name} has {value.size} numbers; must have 9 or 6")
    return value


def _stress(atoms: Atoms, prefix: str) -> np.ndarray | None:
    found = {k: _voigt(k, v) for k, v in _stored(atoms, _STRESSES, prefix, None).items()}
    virials = _stored(atoms, _VIRIALS, prefix, None)
    if virials and (atoms.cell.rank < 3 or not atoms.cell.volume > 0):
        raise ValueError(f"{next(iter(virials))}: needs a cell to become a stress")
    found |= {k: -_voigt(k, v) / atoms.cell.volume for k, v in virials.items()}
    largest = max((float(np.nanmax(np.abs(v), initial=0.0)) for v in found.values()), default=0.0)
    # to a thousandth, or 1e-6 eV/Å^3 if there is hardly any stress
    return _agreed(found, 1e-3 * min(1.0, largest) + 1e-6)


def stored_energy(atoms: Atoms) -> float:
    """Return the potential energy that came with the atoms; never calculate one.

    Parameters
    ----------
    atoms : ase.Atoms
        The frame, with the results of a calculator or an energy in its ``info``, as in
        `stored_labels`.

    Returns
    -------
    float
        Energy, eV, the free energy if there is one; NaN if there is no energy.

    Raises
    ------
    ValueError
        If it is not a number, or the values of two names differ.

    Examples
    --------
    >>> stored_energy(Atoms("Si", info={"energy": -4.5}))
    -4.5
    """
    energy = _energy(atoms, "")
    return np.nan if energy is None else float(energy)
