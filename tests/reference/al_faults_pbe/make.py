#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Label stacks, faults, vacancies and surfaces of aluminium with GPAW, PBE.

python make.py                      # all cells; resumes where it was stopped
python make.py --collect            # write what is done, run nothing
python make.py --labels 5           # the first cells only

The cells are labelled in the order of `frames`, ten at a time.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.build import bulk, fcc100, fcc110, fcc111, make_supercell
from stacks import STACKS, StackSettings, arguments, label, slab
from stacks import stack as stack_of

ELEMENT, LATTICE = "Al", 4.04
SEED = 4712
NAMES = ("fcc", "hcp", "dhcp", "isf", "esf", "6h", "9r", "twin")


def stack(*args, **options) -> Atoms:
    """Return a stack of aluminium."""
    return stack_of(ELEMENT, *args, **options)


def perfect(
    lattice: float, spacing: float = 1.0, names: Sequence[str] = NAMES
) -> Iterator[tuple[Atoms, str]]:
    """Yield the named stacks at a lattice constant and spacing."""
    for name in names:
        yield stack(STACKS[name], lattice, spacing), f"{name} a={lattice} d={spacing}"


def sheared(lattice: float) -> Iterator[tuple[Atoms, str]]:
    """Yield steps of the fault energy curves: of one plane, of the next, of a third."""
    for name, rest, path in (
        ("gsf", [1] * 5, (0.25, 0.5, 0.75, 1.3, 1.6)),
        ("gpf2", [1] * 4 + [-1], (0.25, 0.5, 0.75)),
        ("gpf3", [1] * 3 + [-1, -1], (0.5,)),
    ):
        for step in path:
            yield stack([*rest, 1 + step], lattice), f"{name} t={step} a={lattice}"


def opened() -> Iterator[tuple[Atoms, str]]:
    """Yield sheared planes that give way."""
    for step, gap in ((0.5, 1.05), (-0.7, 1.12), (1.97, 1.12)):
        yield stack([1] * 5 + [1 + step], LATTICE, [1] * 5 + [gap]), f"gsf t={step} gap={gap}"


def rattled(rng: np.random.Generator) -> Iterator[tuple[Atoms, str]]:
    """Yield stacks of 4 to 6 layers in random order, sheared here and there, hot."""
    for number in range(18):
        n_layers = (4, 6, 5)[number % 3]
        steps = rng.choice([1.0, -1.0], n_layers)
        if number % 2:
            steps[-1] = rng.uniform(0, 3)
        low = 1.0 if abs(steps[-1] - 3 * np.rint(steps[-1] / 3)) > 0.7 else 1.1
        atoms = stack(
            steps, LATTICE * rng.uniform(0.965, 1.03),
            [*rng.uniform(0.97, 1.04, n_layers - 1), low * rng.uniform(0.98, 1.05)],
        )  # fmt: skip
        amount = (0.03, 0.06, 0.1)[(number // 3) % 3]
        atoms.rattle(amount, rng=rng)
        yield atoms, f"rattled {amount}"


def vacancies(rng: np.random.Generator) -> Iterator[tuple[Atoms, str]]:
    """Yield fcc cells without one atom, and the same cell with all of them."""
    whole = make_supercell(bulk(ELEMENT, "fcc", a=LATTICE), np.diag([2, 2, 2]))
    yield whole, "8 of 8"
    for scale in (1.0, 0.98, 1.02):
        atoms = whole.copy()
        atoms.set_cell(atoms.cell * scale, scale_atoms=True)
        del atoms[0]
        yield atoms, f"vacancy, 7 of 8, a={LATTICE * scale:.3f}"
    for amount in (0.03, 0.06, 0.1):
        atoms = whole.copy()
        del atoms[0]
        atoms.rattle(amount, rng=rng)
        yield atoms, f"vacancy, 7 of 8, rattled {amount}"
    whole = bulk(ELEMENT, "fcc", a=LATTICE, cubic=True) * (2, 2, 2)
    del whole[0]
    yield whole.copy(), "vacancy, 31 of 32"
    whole.rattle(0.05, rng=rng)
    yield whole, "vacancy, 31 of 32, rattled 0.05"


def slabs(rng: np.random.Generator) -> Iterator[tuple[Atoms, str]]:
    """Yield surfaces, one atom a layer, 9 Å of vacuum; with the outer layers moved, and hot."""
    for make, name, numbers in (
        (fcc111, "111", (5, 7)), (fcc100, "100", (5, 7)), (fcc110, "110", (7,)),
    ):  # fmt: skip
        for n_layers in numbers:
            yield slab(make, ELEMENT, n_layers, LATTICE), f"slab {name}, {n_layers} layers"
        for amount, shift in ((0.0, -0.08), (0.06, 0.0)):
            atoms = slab(make, ELEMENT, numbers[0], LATTICE, shift)
            if amount:
                atoms.rattle(amount, rng=rng)
            yield atoms, f"slab {name}, outer layers {shift:+} Å, rattled {amount}"


def frames() -> list[Atoms]:
    """Return all cells in the order in which they are labelled.

    Returns
    -------
    list of ase.Atoms
        The cells; ``info["name"]`` says what each is.
    """
    rng = np.random.default_rng(SEED)
    stacks = [
        *perfect(LATTICE), *perfect(3.92), *sheared(LATTICE), *perfect(4.16),
        *perfect(LATTICE, 0.95, ("fcc", "hcp", "isf")),
        *perfect(LATTICE, 1.06, ("fcc", "hcp", "isf")),
        *opened(),
    ]  # fmt: skip
    groups = [list(rattled(rng)), list(vacancies(rng)), list(slabs(rng)), list(sheared(3.96))]
    rest = [group[i] for i in range(max(map(len, groups))) for group in groups if i < len(group)]
    cells = []
    for atoms, name in stacks + rest:
        bare = Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=True)
        bare.info = {"name": name}
        cells.append(bare)
    return cells


def main() -> None:
    """Read the command line, label, write."""
    args = arguments(__doc__.splitlines()[0], Path(__file__).parent)
    # code, PAW set, functional, cutoff, smearing and eigensolver of al_pbe
    settings = StackSettings(
        "gpaw", cutoff=300.0, k_spacing=0.0215, smearing=0.2, in_plane=20, layers=24,
        options={"eigensolver": {"name": "rmm-diis"}},
    )  # fmt: skip
    label(frames(), settings, args)


if __name__ == "__main__":
    main()
