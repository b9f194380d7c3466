#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Label iridium with GPAW, PBE: a landscape of small cells, stacks with faults, defects, rhenium.

python make.py                      # all cells; resumes where it was stopped
python make.py --collect            # write what is done, run nothing
python make.py --labels 50          # the first cells only, an even set as well
python make.py --cheapest --cores 2 # most labels an hour

The landscape is made like that of aluminium (al_pbe), with all lengths scaled. Its cells are bred
once, chosen evenly over sS and Q6, and labelled in an order in which each beginning is spread over
sizes and landscape.
"""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import ase.io
import numpy as np
from ase import Atoms
from ase.build import bulk, fcc100, fcc110, fcc111, make_supercell

from ase_calculators import (
    EntropySymmetry,
    Genes,
    PolymorphGen,
    map_landscape,
    select,
    substitute,
)
from ase_calculators.autodft import DFTSettings

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "al_faults_pbe"))
from stacks import STACKS, StackSettings, arguments, label, slab  # noqa: E402
from stacks import stack as stack_of  # noqa: E402

ELEMENT, LATTICE = "Ir", 3.87
VOLUME = LATTICE**3 / 4
# lengths of al_pbe times 3.87 / 4.05
CALCULATOR = {"rmax": 5.73, "sigma": 0.24, "q6_cutoff": 3.44}
# cells of each size: bred, kept evenly, those of them that cost least; supercells of one atom
SIZES = {1: (24, 20), 2: (52, 44), 4: (48, 40), 6: (14, 10), 8: (10, 6)}
TEST_SIZES = {1: (6, 5), 2: (14, 12), 4: (12, 10), 6: (4, 3)}
SHAPES = {1: (1, 1, 1), 2: (1, 1, 2), 4: (1, 2, 2), 6: (1, 2, 3), 8: (2, 2, 2)}
SEED = 4713
NAMES = ("fcc", "hcp", "dhcp", "isf5", "esf", "6h", "isf")
FILE_NAMES = {"isf5": "isf", "isf": "isf8"}  # others are as in STACKS


def stack(
    steps: Sequence[float], lattice: float = LATTICE, spacings: float | Sequence[float] = 1.0
) -> Atoms:
    """Return a stack of iridium."""
    return stack_of(ELEMENT, steps, lattice, spacings)


def crystals(n_atoms: int) -> list[Atoms]:
    """Return fcc, bcc, hcp, simple cubic and diamond cells of so many atoms.

    Parameters
    ----------
    n_atoms : int
        1, 2, 4, 6 or 8.

    Returns
    -------
    list of ase.Atoms
        The cells.
    """
    one = [bulk("Ir", "fcc", a=3.87), bulk("Ir", "bcc", a=3.09), bulk("Ir", "sc", a=2.6)]
    two = [bulk("Ir", "hcp", a=2.74, c=4.47), bulk("Ir", "diamond", a=5.28)]
    repeats = {2: (1, 1, 1), 4: (2, 1, 1), 6: (3, 1, 1), 8: (2, 2, 1)}
    cells = [make_supercell(atoms, np.diag(SHAPES[n_atoms])) for atoms in one]
    if n_atoms == 1:
        return cells
    return cells + [make_supercell(atoms, np.diag(repeats[n_atoms])) for atoms in two]


def disordered(n_atoms: int, n_cells: int, rng: np.random.Generator) -> list[Atoms]:
    """Return crystals shaken until nothing is left of them, no two atoms closer than 2.2 Å.

    Parameters
    ----------
    n_atoms : int
        Atoms of each.
    n_cells : int
        How many.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    list of ase.Atoms
        The cells.
    """
    cells: list[Atoms] = []
    while len(cells) < n_cells:
        kinds = crystals(n_atoms)
        atoms = kinds[rng.integers(len(kinds))]
        strain = np.eye(3) + rng.normal(0.0, 0.1, (3, 3))
        volume = n_atoms * VOLUME * rng.uniform(1.0, 1.25)
        strain *= np.cbrt(volume / atoms.cell.volume / np.linalg.det(strain))
        atoms.set_cell(atoms.cell.array @ strain, scale_atoms=True)
        atoms.rattle(0.38, rng=rng)
        distances = (atoms * (2, 2, 2)).get_all_distances(mic=True)
        np.fill_diagonal(distances, np.inf)
        if distances.min() > 2.2:
            cells.append(atoms)
    return cells


def breed(
    n_atoms: int, n_kept: int, n_cheapest: int, settings: DFTSettings, path: Path, seed: int
) -> list[Atoms]:
    """Breed a library of cells of one size, keep an even set of it, and of this what costs least.

    Parameters
    ----------
    n_atoms : int
        Atoms of each.
    n_kept : int
        About how many to keep.
    n_cheapest : int
        How many of these to return.
    settings : DFTSettings
        For the costs.
    path : pathlib.Path
        Where the library grows.
    seed : int
        Random seed.

    Returns
    -------
    list of ase.Atoms
        The cells, in an order of which each beginning is spread over the landscape.
    """
    rng = np.random.default_rng([seed, n_atoms])
    parents = []
    for crystal in crystals(n_atoms):
        for amount in (0.02, 0.06):
            atoms = crystal.copy()
            atoms.rattle(amount, rng=rng)
            parents.append(atoms)
    parents += disordered(n_atoms, 6, rng)
    calculator = EntropySymmetry(**CALCULATOR)
    generator = PolymorphGen(
        parents, calculator, targets="grid", targets_per_edge=6, generations=3, individuals=10,
        genes=Genes(displacement=0.14, volume=0.07, shape=0.06), min_distance=2.1,
        volume_limits=(0.7 * VOLUME, 1.3 * VOLUME), seed=seed + n_atoms, processes=1,
    )  # fmt: skip
    generator.run(path)
    library = ase.io.read(path, ":")
    table = map_landscape(library, calculator)
    kept = []
    for row in np.asarray(select(table, n_kept).rows)[:n_kept]:
        atoms = library[int(table.frame[row])]
        bare = Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=True)
        bare.info = {"library": path.name, "frame": int(table.frame[row]),
                     "sS": float(table.sS[row]), "Q6": float(table.Q[row])}  # fmt: skip
        kept.append(bare)
    kept = sorted(kept, key=settings.cost)[:n_cheapest]
    # farthest point first
    places = np.array([(atoms.info["sS"], atoms.info["Q6"]) for atoms in kept])
    places = (places - places.mean(axis=0)) / places.std(axis=0)
    order = [int(np.argmin((places**2).sum(axis=1)))]
    nearest = np.full(len(places), np.inf)
    while len(order) < len(places):
        nearest = np.minimum(nearest, ((places - places[order[-1]]) ** 2).sum(axis=1))
        nearest[order] = -1.0
        order.append(int(nearest.argmax()))
    return [kept[i] for i in order]


def stacks(rng: np.random.Generator) -> Iterator[tuple[Atoms, str]]:
    """Yield stacks, sheared and hot ones, at three volumes."""
    for name in NAMES:
        yield stack(STACKS[name]), f"{FILE_NAMES.get(name, name)} a={LATTICE}"
    for lattice in (3.75, 3.97):
        for name in ("fcc", "hcp", "dhcp", "isf5"):
            yield stack(STACKS[name], lattice), f"{FILE_NAMES.get(name, name)} a={lattice}"
    for step, gap in ((0.5, 1.0), (0.25, 1.0), (0.75, 1.0), (1.5, 1.0), (0.5, 1.05), (1.97, 1.12)):
        atoms = stack([1] * 4 + [1 + step], LATTICE, [1] * 4 + [gap])
        yield atoms, f"gsf t={step} gap={gap}"
    for step in (0.5, 0.25, 0.75):
        yield stack([1] * 3 + [-1, 1 + step]), f"gpf2 t={step}"
    for number in range(8):
        n_layers = (3, 4)[number % 2]
        steps = rng.choice([1.0, -1.0], n_layers)
        atoms = stack(steps, LATTICE * rng.uniform(0.96, 1.03), rng.uniform(0.97, 1.04, n_layers))
        amount = (0.03, 0.06, 0.1)[number % 3]
        atoms.rattle(amount, rng=rng)
        yield atoms, f"rattled {amount}"


def defects(rng: np.random.Generator) -> Iterator[tuple[Atoms, str]]:
    """Yield fcc cells without one atom, and surfaces, one atom a layer, 9 Å of vacuum."""
    whole = make_supercell(bulk(ELEMENT, "fcc", a=LATTICE), np.diag([2, 2, 2]))
    for scale, amount in ((1.0, 0.0), (0.98, 0.0), (1.0, 0.06)):
        atoms = whole.copy()
        atoms.set_cell(atoms.cell * scale, scale_atoms=True)
        del atoms[0]
        if amount:
            atoms.rattle(amount, rng=rng)
        yield atoms, f"vacancy, 7 of 8, a={LATTICE * scale:.3f}, rattled {amount}"
    for make, name, n_layers in ((fcc111, "111", 5), (fcc100, "100", 5), (fcc110, "110", 7)):
        for shift in (0.0, -0.08):
            atoms = slab(make, ELEMENT, n_layers, LATTICE, shift)
            yield atoms, f"slab {name}, {n_layers} layers, outer ones {shift:+} Å"
    # no atom has more than one vacancy beside it
    cubic = bulk(ELEMENT, "fcc", a=LATTICE, cubic=True)
    atoms = make_supercell(cubic, [[-1, 1, 1], [1, -1, 1], [1, 1, -1]])
    del atoms[0]
    yield atoms, f"vacancy, 15 of 16, a={LATTICE:.3f}"


def strained(rng: np.random.Generator) -> Iterator[tuple[Atoms, str]]:
    """Yield fcc cells near the crystal, of which the landscape has few: strained, and shaken."""
    for n_atoms, number, amount in ((1, 12, 0.0), (2, 6, 0.08), (4, 4, 0.08)):
        for _ in range(number):
            atoms = make_supercell(bulk(ELEMENT, "fcc", a=LATTICE), np.diag(SHAPES[n_atoms]))
            strain = rng.normal(0.0, 0.04, (3, 3))
            strain = np.eye(3) * rng.uniform(0.95, 1.02) + (strain + strain.T) / 2
            atoms.set_cell(atoms.cell.array @ strain, scale_atoms=True)
            if amount:
                atoms.rattle(amount, rng=rng)
            yield atoms, f"fcc {n_atoms}, strained, rattled {amount}"


def elastic() -> Iterator[tuple[Atoms, str]]:
    """Yield fcc cells under strains of 1 %: their stresses are the labels' elastic constants."""
    for i, j, name in ((0, 0, "xx"), (1, 2, "yz")):
        for sign in (1, -1):
            atoms = bulk(ELEMENT, "fcc", a=LATTICE)
            strain = np.zeros((3, 3))
            strain[i, j] = strain[j, i] = 0.01 * sign / (1 if i == j else 2)
            atoms.set_cell(atoms.cell.array @ (np.eye(3) + strain), scale_atoms=True)
            yield atoms, f"fcc, strain {name} {sign:+} %"


def phonons() -> Iterator[tuple[Atoms, str]]:
    """Yield fcc cells of two atoms, one moved by 0.05 Å: the force on it gives a mode at X or L."""
    tetragonal = [[1, 0, 0], [0, 1, -1], [-1, 1, 1]]  # the last one is the cubic axis x
    at_x = make_supercell(bulk(ELEMENT, "fcc", a=LATTICE), tetragonal)
    for point, cell, directions in (
        ("X", at_x, {"transverse": (0, 1, 1), "longitudinal": (1, 0, 0)}),
        ("L", stack([1, 1]), {"transverse": (1, 0, 0), "longitudinal": (0, 0, 1)}),
    ):
        for kind, direction in directions.items():
            atoms = cell.copy()
            atoms.positions[1] += 0.05 * np.array(direction) / np.linalg.norm(direction)
            yield atoms, f"phonon {point}, {kind}"


def compressed() -> Iterator[tuple[Atoms, str]]:
    """Yield fcc to 0.6 of its volume, as stacks, and bcc around its minimum."""
    for volume in (0.6, 0.7, 0.8):
        yield stack([1] * 3, LATTICE * np.cbrt(volume)), f"fcc, {volume} of the volume"
    for volume in (0.95, 1.0, 1.05):
        atoms = bulk(ELEMENT, "bcc", a=np.cbrt(2 * volume * VOLUME))
        yield atoms, f"bcc, {volume} of the volume"


def rhenium(standard: Sequence[Atoms]) -> Iterator[tuple[Atoms, str]]:
    """Yield cells with one atom of rhenium: fcc of 8 atoms, stacks, the first standard cells."""
    for scale in (1.0, 0.98, 1.02):
        atoms = make_supercell(bulk(ELEMENT, "fcc", a=LATTICE * scale), np.diag([2, 2, 2]))
        atoms.symbols[0] = "Re"
        yield atoms, f"fcc, 1 of 8 rhenium, a={LATTICE * scale:.3f}"
    for name in ("fcc", "hcp", "dhcp", "isf5"):
        atoms = stack(STACKS[name])
        atoms.symbols[0] = "Re"  # beside the fault
        yield atoms, f"{name}, 1 of {len(atoms)} layers rhenium"
    for n_atoms, number in ((4, 14), (6, 3)):
        parents = [atoms for atoms in standard if len(atoms) == n_atoms][:number]
        share = 1 / n_atoms
        for atoms in substitute(parents, {"Ir": {"Ir": 1 - share, "Re": share}}, seed=SEED):
            yield atoms, f"standard {n_atoms}, 1 rhenium"


def shuffle(lists: Sequence[list[Atoms]]) -> list[Atoms]:
    """Merge lists evenly, each in its order.

    Parameters
    ----------
    lists : sequence of list of ase.Atoms
        The lists.

    Returns
    -------
    list of ase.Atoms
        All of them; a beginning has the same share of each.
    """
    places = [((i + 0.5) / len(cells), number, i)
              for number, cells in enumerate(lists) for i in range(len(cells))]  # fmt: skip
    return [lists[number][i] for _, number, i in sorted(places)]


def frames(settings: DFTSettings, folder: Path) -> list[Atoms]:
    """Return all cells in the order in which they are labelled.

    Parameters
    ----------
    settings : DFTSettings
        For the costs.
    folder : pathlib.Path
        Where the libraries grow. The chosen cells are in frames.extxyz beside this file; to breed
        them again, remove it.

    Returns
    -------
    list of ase.Atoms
        The cells. ``info["name"]`` says what each is, ``info["part"]`` which part it belongs to:
        standard, test, stacks, defects, rhenium, strained, elastic, phonons or compressed.
    """
    path = HERE / "frames.extxyz"
    if path.exists():
        return ase.io.read(path, ":")
    parts = []
    for part, sizes, seed in (("standard", SIZES, SEED), ("test", TEST_SIZES, SEED + 100)):
        for n_atoms, (n_kept, n_cheapest) in sizes.items():
            library = folder / f"{part}_{n_atoms}.extxyz"
            cells = breed(n_atoms, n_kept, n_cheapest, settings, library, seed)
            for atoms in cells:
                atoms.info.update(part=part, name=f"{part} {n_atoms}")
            parts.append(cells)
    cells = []
    for atoms, name in stacks(np.random.default_rng(SEED)):
        atoms.info = {"part": "stacks", "name": name}
        cells.append(atoms)
    # a few stacks at once: what they say of the settings is wanted first
    merged = cells[:4] + shuffle([*parts, cells[4:]])
    standard = [atoms for atoms in merged if atoms.info["part"] == "standard"]
    for part, more in (
        ("defects", defects(np.random.default_rng(SEED))),
        ("rhenium", rhenium(standard)),
        ("strained", strained(np.random.default_rng(SEED))),
        ("elastic", elastic()),
        ("phonons", phonons()),
        ("compressed", compressed()),
    ):
        for atoms, name in more:
            bare = Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=True)
            bare.info = {"part": part, "name": name}
            merged.append(bare)
    ase.io.write(path, merged)
    return ase.io.read(path, ":")


def main() -> None:
    """Read the command line, breed, label, write."""
    args = arguments(__doc__.splitlines()[0], HERE)
    # with RMM-DIIS the PAW set of 15 electrons does not converge
    settings = StackSettings(
        "gpaw", cutoff=500.0, k_spacing=0.04, smearing=0.2, in_plane=12, layers=24,
        options={"eigensolver": {"name": "davidson"}},
    )  # fmt: skip
    label(frames(settings, args.folder), settings, args)


if __name__ == "__main__":
    main()
