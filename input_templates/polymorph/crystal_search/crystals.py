# SPDX-License-Identifier: BSD-3-Clause
"""Relax structures in LAMMPS and tell crystals apart. No need to change anything here."""

from collections import deque

import numpy as np
import spglib
from ase import Atoms

from ase_calculators.lammps_potential import LammpsPotential

# converged: largest force, eV/Å, and largest component of the stress, bar
FORCE = 2e-3
STRESS = 300.0
# rounds of minimisation; each refers to the box that the last has reached
ROUNDS = 6
# two crystals are one if their fingerprints differ by less, and their energies, eV per atom
ALIKE = 0.08
ENERGY = 0.01
# Å: tolerance of spglib
SYMPREC = 0.05


class Relaxation:
    """Relax positions and cell by a LAMMPS potential at no pressure.

    Parameters
    ----------
    commands : str
        Commands of the potential in ``units metal``.
    element : str
        Chemical symbol.
    """

    def __init__(self, commands: str, element: str) -> None:
        self.calc = LammpsPotential(commands, element)

    def __call__(self, start: Atoms) -> Atoms | None:
        """Relax a structure by conjugate gradients, ``fix box/relax tri 0``.

        Parameters
        ----------
        start : ase.Atoms
            Structure, periodic in all directions.

        Returns
        -------
        ase.Atoms or None
            Minimum with `info` energy (eV), or None if LAMMPS fails or does not converge.
        """
        atoms = Atoms(start.symbols, start.positions, cell=start.cell, pbc=True)
        try:
            self.calc.calculate(atoms)
            lmp = self.calc.lmp
            lmp.command("min_modify dmax 0.1")
            for _ in range(ROUNDS):
                lmp.commands_list(
                    [
                        "fix relax all box/relax tri 0.0 vmax 0.02",
                        "minimize 0 1e-4 120 1200",
                        "unfix relax",
                        "run 0",
                    ]
                )
                low, high, xy, yz, xz, _, _ = lmp.extract_box()
                size = np.subtract(high, low)
                if np.prod(size) > 20 * start.get_volume():
                    return None  # it evaporates
                force = np.abs(np.array(lmp.gather_atoms("f", 1, 3))).max()
                stress = max(
                    abs(lmp.get_thermo(name)) for name in ("pxx", "pyy", "pzz", "pxy", "pxz", "pyz")
                )
                if force < FORCE and stress < STRESS:
                    break
            else:
                return None
            positions = np.array(lmp.gather_atoms("x", 1, 3)).reshape(-1, 3) - low
            cell = [[size[0], 0, 0], [xy, size[1], 0], [xz, yz, size[2]]]
            found = Atoms(start.symbols, positions, cell=cell, pbc=True)
            found.info["energy"] = lmp.get_thermo("pe")
        except Exception:  # the lammps module's own class; atoms that are lost, boxes too flat
            self.calc.clean()
            self.calc.previous_atoms_numbers = []
            return None
        return found


def pairs(atoms: Atoms, reach: float) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Find the neighbours of all atoms of a small cell, an atom's own images among them.

    Parameters
    ----------
    atoms : ase.Atoms
        Crystal, periodic in all directions.
    reach : float
        Largest distance, Å.

    Returns
    -------
    i, j : (n,) int64
        Atom and neighbour.
    shift : (n, 3) int64
        Cells by which the neighbour is shifted, with all atoms wrapped into the cell.
    d : (n,) float64
        Distance, Å.
    """
    cell = atoms.cell.array
    positions = (atoms.get_scaled_positions() % 1.0) @ cell
    # planes of the cell are 1 / |reciprocal vector| apart
    most = np.floor(reach * np.linalg.norm(np.linalg.inv(cell), axis=0)).astype(int) + 1
    shifts = np.stack(np.meshgrid(*(np.arange(-n, n + 1) for n in most), indexing="ij"), axis=-1)
    shifts = shifts.reshape(-1, 3)
    apart = positions[None, :] - positions[:, None]
    d = np.linalg.norm(apart[:, :, None] + shifts @ cell, axis=-1)
    i, j, k = np.nonzero((d < reach) & (d > 1e-6))
    return i, j, shifts[k], d[i, j, k]


def fingerprint(atoms: Atoms) -> np.ndarray:
    """Describe a crystal by the distances of its atoms, whatever its cell.

    With lengths in units of the cube root of the volume per atom, the neighbours of atom i up to
    R = 3.2 make the function f_i(r) = sum_j exp(-(r - r_ij)^2 / (2 w^2)) / r, w = 0.03. The
    fingerprint is the mean of f_i over the atoms, followed by its standard deviation.

    Parameters
    ----------
    atoms : ase.Atoms
        Crystal.

    Returns
    -------
    (n,) float64
        Fingerprint, the mean part normalised to 1.
    """
    scale = (atoms.get_volume() / len(atoms)) ** (1 / 3)
    reach, width, step = 3.2, 0.03, 0.02
    i, _, _, d = pairs(atoms, (reach + 3 * width) * scale)
    d = d / scale
    grid = np.arange(0.4, reach, step)
    shells = np.zeros((len(atoms), len(grid)))
    near = np.rint((d - grid[0]) / step).astype(int)
    half = int(np.ceil(4 * width / step))
    for shift in range(-half, half + 1):
        at = near + shift
        ok = (at >= 0) & (at < len(grid))
        value = np.exp(-((grid[at[ok]] - d[ok]) ** 2) / (2 * width**2)) / d[ok]
        np.add.at(shells, (i[ok], at[ok]), value)
    mean, spread = shells.mean(axis=0), shells.std(axis=0)
    return np.concatenate([mean, spread]) / np.linalg.norm(mean)


def dimension(atoms: Atoms, reach: float) -> int:
    """Count the directions in which a crystal holds together.

    Parameters
    ----------
    atoms : ase.Atoms
        Crystal.
    reach : float
        Length up to which two atoms hold together, Å.

    Returns
    -------
    int
        3 if all atoms form one network in three dimensions, 2 for layers, 1 for chains, 0 for
        molecules; the smallest of the parts, at most 2 for networks that do not touch.
    """
    i, j, shift, _ = pairs(atoms, reach)
    bonds: list[list[tuple[int, np.ndarray]]] = [[] for _ in range(len(atoms))]
    for a, b, s in zip(i, j, shift, strict=True):
        bonds[a].append((b, s))
    place: dict[int, np.ndarray] = {}
    ranks = []
    for first in range(len(atoms)):
        if first in place:
            continue
        place[first] = np.zeros(3, dtype=int)
        queue, loops = deque([first]), [np.zeros(3, dtype=int)]
        while queue:
            a = queue.popleft()
            for b, s in bonds[a]:
                if b not in place:
                    place[b] = place[a] + s
                    queue.append(b)
                else:
                    loops.append(place[a] + s - place[b])
        ranks.append(int(np.linalg.matrix_rank(np.array(loops))))
    return min(ranks) if len(ranks) == 1 else min(2, *ranks)


def space_group(atoms: Atoms) -> tuple[int, str]:
    """Return the space group of a crystal.

    Parameters
    ----------
    atoms : ase.Atoms
        Crystal.

    Returns
    -------
    int, str
        Number and international symbol; 1 and P1 where spglib finds none.
    """
    found = spglib.get_symmetry_dataset(
        (atoms.cell.array, atoms.get_scaled_positions(), atoms.numbers), symprec=SYMPREC
    )
    return (1, "P1") if found is None else (found.number, found.international)


def alike(energy: float, mark: np.ndarray, other_energy: float, other_mark: np.ndarray) -> bool:
    """Return whether two crystals are one.

    Parameters
    ----------
    energy, other_energy : float
        Energies, eV per atom.
    mark, other_mark : (n,) float64
        Fingerprints.

    Returns
    -------
    bool
        Whether the fingerprints differ by less than ALIKE and the energies by less than ENERGY.
    """
    return abs(energy - other_energy) < ENERGY and bool(np.linalg.norm(mark - other_mark) < ALIKE)
