# SPDX-License-Identifier: BSD-3-Clause
"""Frames without a period along some direction, for codes that need a box around all atoms."""

import numpy as np
from ase import Atoms
from ase.geometry import complete_cell

# Å between the atoms of a box and of its images, where a code knows only periodic ones; more than
# the cutoff of any model
VACUUM = 30.0


def with_vacuum(atoms: Atoms, vacuum: float = VACUUM) -> Atoms:
    """Return a frame in a cell that holds its atoms along each direction without a period.

    Vectors with a period stay. Each of the others, which has no physical meaning, becomes normal to
    all other vectors, as long as the atoms' extent and the vacuum together, and the atoms are moved
    into the middle. Energy, forces and virial stay the same. So they do in a periodic cell of that
    shape, for a model without interactions beyond `vacuum`; its stress, virial / volume, belongs to
    the other volume, see `stress_scale`.

    Parameters
    ----------
    atoms : ase.Atoms
        The frame; not modified.
    vacuum : float
        Empty length along each direction without a period, Å.

    Returns
    -------
    ase.Atoms
        Elements and positions in the new cell, `pbc` as it was; no labels.

    Raises
    ------
    ValueError
        When cell vectors with a period are zero or do not span their space.

    Examples
    --------
    >>> from ase.build import fcc111
    >>> slab = with_vacuum(fcc111("Al", (1, 1, 3), vacuum=1.0))
    >>> slab.pbc.tolist(), round(slab.cell.lengths()[2] - np.ptp(slab.positions[:, 2]), 6)
    ([True, True, False], 30.0)
    """
    box = Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
    if np.linalg.matrix_rank(box.cell.array[box.pbc]) < box.pbc.sum():
        raise ValueError(
            f"pbc = {' '.join('FT'[int(flag)] for flag in box.pbc)}: the cell vectors of these "
            f"periods, {box.cell.array[box.pbc].round(3).tolist()} Å, do not span their space; "
            "give the cell"
        )
    if box.pbc.all():
        return box
    cell = complete_cell(np.where(box.pbc[:, None], box.cell.array, 0.0))
    for k in np.flatnonzero(~box.pbc):
        along = box.positions @ cell[k]
        box.positions += (vacuum / 2 - along.min(initial=np.inf)) * cell[k]
        cell[k] *= np.ptp(along) + vacuum
    box.set_cell(cell)
    return box


def stress_scale(box: Atoms, atoms: Atoms) -> float | None:
    """Return the factor that turns the stress of a box into that of the frame in it.

    Parameters
    ----------
    box : ase.Atoms
        What `with_vacuum` has returned.
    atoms : ase.Atoms
        The frame.

    Returns
    -------
    float or None
        Volume of the box / volume of the frame's cell; None where the frame has no volume, and so
        no stress.
    """
    if box.pbc.all() and atoms.pbc.all():
        return 1.0
    return float(box.cell.volume / atoms.cell.volume) if atoms.cell.rank == 3 else None
