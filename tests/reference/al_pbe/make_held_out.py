#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Label more test frames: frames of the libraries, in the landscape cells that no model has seen.

python make_held_out.py             # libraries and split as the distillation template's; resumes
python make_held_out.py --collect   # write what is done, run nothing

The cells are those that `sets.py --labelled --test 0.2 --test-cell 0.8 0.04` holds out of al_pbe.
`cat labels.extxyz test.extxyz library_*.extxyz` leads to the same split, with these in its test.
"""

import sys
from pathlib import Path

import ase.io
import numpy as np
from ase import Atoms
from make import CALCULATOR, SHAPES, breed

from ase_calculators import EntropySymmetry, map_landscape
from ase_calculators.autodft import DFTSettings
from ase_calculators.distillation import split_sets

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "al_faults_pbe"))
from stacks import arguments, label  # noqa: E402

# cells of each size that are labelled; the split of the distillation template; as in make.py
NUMBERS = {2: 14, 4: 14, 6: 8, 8: 4}
SPLIT = {
    "standard": (0.06, 0.003), "supplementary": (0.05, 0.0025), "test": 0.2,
    "test_cell": (0.8, 0.04),
}  # fmt: skip
KEPT = 45


def frames(folder: Path) -> list[Atoms]:
    """Return the frames to label, in an order in which each beginning has all sizes.

    Parameters
    ----------
    folder : pathlib.Path
        Where the libraries grow.

    Returns
    -------
    list of ase.Atoms
        Bare frames, each with its place on the landscape.
    """
    library = ase.io.read(HERE / "labels.extxyz", ":")
    n_known = len(library)
    for n_atoms in SHAPES:
        breed(n_atoms, KEPT, folder, 1)
        library += ase.io.read(folder / f"library_{n_atoms}.extxyz", ":")
    table = map_landscape(library, EntropySymmetry(**CALCULATOR))
    known = np.arange(len(table)) < n_known
    tested = split_sets(table, labelled=known, **SPLIT).test
    place = np.column_stack((table.sS, table.Q))
    coarse = {tuple(cell) for cell in np.floor(place[tested] / SPLIT["test_cell"])}
    fine = np.floor(place / SPLIT["supplementary"])
    used = {tuple(fine[row]) for row in tested}
    free = []
    for row in np.random.default_rng(0).permutation(np.flatnonzero(~known)):
        if (
            tuple(np.floor(place[row] / SPLIT["test_cell"])) in coarse
            and tuple(fine[row]) not in used
        ):
            used.add(tuple(fine[row]))
            free.append(row)
    chosen = []
    for n_atoms, number in NUMBERS.items():
        rows = [row for row in free if table.n_atoms[row] == n_atoms][:number]
        chosen += [((i + 0.5) / len(rows), row) for i, row in enumerate(rows)]
    cells = []
    for _, row in sorted(chosen):
        atoms = library[row]
        bare = Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=True)
        bare.info = {
            "name": f"test {len(bare)}",
            "sS": float(table.sS[row]),
            "Q6": float(table.Q[row]),
        }
        cells.append(bare)
    return cells


def main() -> None:
    """Read the command line, breed, label, write."""
    args = arguments(__doc__.splitlines()[0], HERE, "test.extxyz")
    settings = DFTSettings.paper(
        "gpaw", cutoff=300.0, k_spacing=0.04, smearing=0.2,
        options={"eigensolver": {"name": "rmm-diis"}},
    )  # fmt: skip
    label(frames(args.folder), settings, args)


if __name__ == "__main__":
    main()
