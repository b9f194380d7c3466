# SPDX-License-Identifier: BSD-3-Clause
"""Configurations of one element transferred to another element or to a dilute alloy."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers, chemical_symbols, covalent_radii, reference_states

from ase_calculators.argument_checks import check_whole, is_number

# atoms per cell of ase.data.reference_states, by lattice, or by element if they differ
_ATOMS_PER_CELL = {
    "fcc": 4, "bcc": 2, "hcp": 2, "diamond": 8, "sc": 1, "bct": 2, "rhombohedral": 2,
    "Hg": 1, "Sm": 3, "Sn": 4, "Ga": 8, "Mn": 58, "Pa": 2, "U": 4, "Np": 8,
}  # fmt: skip


def substitute(
    frames: Iterable[Atoms],
    elements: Mapping[str, str | Mapping[str, float]],
    scale: float | Mapping[str, float] | None = None,
    seed: int = 0,
) -> list[Atoms]:
    """Transfer configurations to another element or to a dilute alloy.

    Species are replaced and the volume is scaled; fractional coordinates stay.

    Parameters
    ----------
    frames : iterable of ase.Atoms
        Configurations; not modified.
    elements : dict of str to str or to dict
        Replacement of each element: another element, ``{"Ir": "Al"}``, or several with their
        fractions, ``{"Ir": {"Ir": 0.95, "Re": 0.05}}``, on randomly chosen sites. The number of
        atoms of each follows its fraction, rounded up or down at random such that the mean over
        many frames is exact.
    scale : float or dict of str to float, optional
        Factor of the volume, or volumes per atom by element (Å^3), which replace the reference
        volumes. Default: the ratio of the reference volumes of new and old elements, averaged over
        the atoms with the given fractions. Reference volumes are those of the crystals in
        ``ase.data.reference_states``. Elements without one there (gases, B, P, S, halogens, Pu and
        beyond) get the covalent radius cubed, times the median of volume over radius cubed of the
        others. For molecular crystals this is too small by a factor of two to five: give volumes.
    seed : int
        Random seed of the choice of sites, which also depends on the number of the frame.

    Returns
    -------
    list of ase.Atoms
        Frames with species, positions, cell and pbc; all else belonged to the old elements.

    Raises
    ------
    TypeError
        If `frames` is a single structure.
    ValueError
        If an element is unknown or in none of the frames, fractions do not add up to 1, or the
        scale is not positive.

    Examples
    --------
    >>> from ase.build import bulk
    >>> [al] = substitute([bulk("Ir", cubic=True)], {"Ir": "Al"})
    >>> al.symbols.get_chemical_formula(), float(al.cell[0, 0].round(3))
    ('Al4', 4.05)
    >>> [alloy] = substitute([bulk("Ir", cubic=True) * (2, 2, 2)], {"Ir": {"Ir": 0.75, "Re": 0.25}})
    >>> alloy.symbols.get_chemical_formula()
    'Ir24Re8'
    """
    if isinstance(frames, Atoms):
        raise TypeError("frames: must be an iterable of Atoms, not one Atoms; pass [atoms]")
    if not isinstance(elements, Mapping):
        raise ValueError(f"elements = {elements!r}: must be a dictionary, such as {{'Ir': 'Al'}}")
    seed = check_whole("seed", seed, 0)
    shares = {_number(old): _fractions(old, new) for old, new in elements.items()}
    given: Any = scale.values() if isinstance(scale, Mapping) else [scale]
    for value in given if scale is not None else ():
        if not (is_number(value) and np.isfinite(value) and value > 0):
            raise ValueError(
                f"scale = {scale!r}: must be a positive factor of the volume, positive volumes per "
                "atom in Å^3 by element, or None for the reference volumes"
            )
    volumes: dict[int, float] = {}
    factor = None
    if isinstance(scale, Mapping):
        volumes = {_number(name): float(volume) for name, volume in scale.items()}
    elif scale is not None:
        factor = float(scale)

    def volume(number: int) -> float:
        return volumes.get(number) or _reference_volume(number)

    results, missing = [], set(shares)
    for index, atoms in enumerate(frames):
        if not isinstance(atoms, Atoms):
            raise TypeError(f"frames: must be ase.Atoms, number {index} is {type(atoms)}")
        rng = np.random.default_rng((seed, index))
        numbers = atoms.numbers.copy()
        old_volume = new_volume = 0.0
        for number in np.unique(atoms.numbers).tolist():
            sites = np.flatnonzero(atoms.numbers == number)
            share = shares.get(number, {number: 1.0})
            if factor is None:
                old_volume += len(sites) * volume(number)
                new_volume += len(sites) * sum(f * volume(new) for new, f in share.items())
            # evenly spaced marks over the fractions laid end to end give each element its number
            marks = (np.arange(len(sites)) + rng.random()) / len(sites)
            chosen = np.searchsorted(np.cumsum(list(share.values()))[:-1], marks, side="right")
            numbers[rng.permutation(sites)] = np.array(list(share))[chosen]
            missing.discard(number)
        if factor is None:
            stretch = (new_volume / old_volume) ** (1 / 3) if len(atoms) else 1.0
        else:
            stretch = factor ** (1 / 3)
        results.append(
            Atoms(
                numbers=numbers,
                positions=atoms.positions * stretch,
                cell=atoms.cell.array * stretch,
                pbc=atoms.pbc,
            )
        )
    if missing:
        names = ", ".join(chemical_symbols[number] for number in sorted(missing))
        raise ValueError(f"elements: {names} is in none of the frames; name an element they have")
    return results


def _number(name: Any) -> int:
    number = atomic_numbers.get(name, 0) if isinstance(name, str) else 0
    if number == 0:
        raise ValueError(f"elements: {name!r} is not a chemical element; use a symbol like 'Al'")
    return number


def _fractions(old: str, new: str | Mapping[str, float]) -> dict[int, float]:
    """Return atomic numbers and fractions of the replacement of an element."""
    if isinstance(new, str):
        return {_number(new): 1.0}
    if not isinstance(new, Mapping) or not all(map(is_number, new.values())):
        raise ValueError(
            f"elements[{old!r}] = {' '.join(repr(new).split())}: must be an element or fractions "
            "by element, such as {'Ir': 0.95, 'Re': 0.05}"
        )
    shares = {_number(name): float(share) for name, share in new.items()}
    total = sum(shares.values())
    if not all(share >= 0 for share in shares.values()) or abs(total - 1.0) > 1e-9:
        raise ValueError(
            f"elements: the fractions for {old!r} must not be negative and add up to 1, got "
            f"{dict(new)} with the sum {total:g}"
        )
    return shares


def _lattice_volume(number: int) -> float | None:
    """Return the volume per atom of an element, Å^3, or None if ASE has no crystal of it."""
    state: dict[str, Any] | None = reference_states[number]  # type: ignore[assignment]
    if state is None:
        return None
    name, symmetry = chemical_symbols[number], state["symmetry"]
    per_cell = _ATOMS_PER_CELL.get(name) or _ATOMS_PER_CELL.get(symmetry)
    if per_cell is None:
        return None
    volume = state["a"] ** 3 * state.get("b/a", 1.0) * state.get("c/a", 1.0)
    if symmetry == "hcp":
        volume *= math.sqrt(3) / 2
    elif symmetry == "rhombohedral":
        cosine = math.cos(math.radians(state["alpha"]))
        volume *= math.sqrt(1 - 3 * cosine**2 + 2 * cosine**3)
    return volume / per_cell


def _reference_volume(number: int) -> float:
    """Return the volume per atom of the crystal, or one scaled from the covalent radius, Å^3."""
    volume = _lattice_volume(number)
    if volume is not None:
        return volume
    ratios = [
        volume / covalent_radii[other] ** 3
        for other in range(1, len(reference_states))
        if (volume := _lattice_volume(other)) is not None
    ]
    return float(np.median(ratios) * covalent_radii[number] ** 3)
