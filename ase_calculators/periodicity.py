# SPDX-License-Identifier: BSD-3-Clause
"""Frames that are not periodic along some direction, for codes that need a box around all atoms."""

import numpy as np
from ase import Atoms
from ase.geometry import complete_cell

# distance between the atoms of a box and their images for codes that know only periodic boxes, Å;
# more than the cutoff of any model
VACUUM = 30.0


def with_vacuum(atoms: Atoms, vacuum: float = VACUUM) -> Atoms:
    """Return a frame in a cell that holds its atoms along each direction that is not periodic.

    Periodic vectors stay. Each of the others has no physical meaning. It becomes normal to all
    other vectors, its length the extent of the atoms plus the vacuum, and the atoms are moved to
    its middle. Energy, forces and virial stay the same. They also stay the same in a periodic cell
    of that shape, for a model without interactions beyond `vacuum`. Its stress, virial / volume,
    belongs to the other volume; see `stress_scale`.

    Parameters
    ----------
    atoms : ase.Atoms
        Frame; not modified.
    vacuum : float
        Empty length along each direction that is not periodic, Å.

    Returns
    -------
    ase.Atoms
        Elements and positions in the new cell, `pbc` as it was; no labels.

    Raises
    ------
    ValueError
        If periodic cell vectors are zero or do not span their space.

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
            f"pbc = {' '.join('FT'[int(flag)] for flag in box.pbc)}: the periodic cell "
            f"vectors, {box.cell.array[box.pbc].round(3).tolist()} Å, do not span their space; "
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
    """Return the factor from the stress of a box to the stress of the frame in it.

    Parameters
    ----------
    box : ase.Atoms
        Box that `with_vacuum` has returned.
    atoms : ase.Atoms
        Frame in the box.

    Returns
    -------
    float or None
        Volume of the box / volume of the frame's cell; None if the frame has no volume and
        therefore no stress.
    """
    if box.pbc.all() and atoms.pbc.all():
        return 1.0
    return float(box.cell.volume / atoms.cell.volume) if atoms.cell.rank == 3 else None
