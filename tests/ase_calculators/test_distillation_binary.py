# SPDX-License-Identifier: BSD-3-Clause
"""Two elements, from the landscape to LAMMPS: an intermetallic compound and a salt."""

import sys
import warnings
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.singlepoint import SinglePointCalculator

from ase_calculators import EntropySymmetry, Genes, PolymorphGen, map_landscape
from ase_calculators.distillation import (
    open_model,
    open_student,
    open_teacher,
    relabel,
    split_sets,
    train_student,
    train_teacher,
)
from ase_calculators.training_sets import write_deepmd
from ase_calculators.validation import LammpsPotential

sys.path.insert(0, str(Path(__file__).parent))
from test_student import profile
from test_teacher import PROFILE

pytestmark = [pytest.mark.distillation, pytest.mark.slow]

NIAL = "pair_style eam/alloy\npair_coeff * * NiAlH_jea.eam.alloy Ni Al\n"
# Tosi and Fumi, J. Phys. Chem. Solids 25, 45 (1964), in eV and Å
NACL = """
pair_style born/coul/long 6.0
pair_coeff 1 1 0.2637 0.317 2.340 1.0486 -0.4993
pair_coeff 1 2 0.2110 0.317 2.755 6.9906 -8.6758
pair_coeff 2 2 0.1582 0.317 3.170 72.4022 -145.4285
kspace_style ewald 1e-6
set type 1 charge 1.0
set type 2 charge -1.0
"""
CASES = {
    "NiAl": (bulk("NiAl", "cesiumchloride", a=2.88) * (2, 2, 2), NIAL, "Al", 5.0, 3.5),
    "NaCl": (bulk("NaCl", "rocksalt", a=5.64, cubic=True), NACL, "Na Cl", 6.0, 4.6),
}


@pytest.mark.parametrize("name", CASES)
def test_from_the_landscape_to_lammps(name, tmp_path):
    crystal, commands, element, rmax, q6_cutoff = CASES[name]
    (tmp_path / "potential.mod").write_text(commands)
    potential = open_model(tmp_path / "potential.mod", element)
    calc = EntropySymmetry(rmax=rmax, sigma=0.2, q6_cutoff=q6_cutoff)
    parents = []
    for seed in range(6):
        parents.append(crystal.copy())
        parents[-1].rattle(0.04 * (1 + seed), seed=seed)
    gen = PolymorphGen(
        parents, calc, targets="gaps", targets_per_edge=4, generations=1, individuals=2,
        genes=Genes(swaps=2), min_distance=1.8, seed=1,
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some cells cannot be hit
        gen.run(tmp_path / "children.extxyz")
    frames = []
    for atoms in [*parents, *ase.io.read(tmp_path / "children.extxyz", ":")]:
        bare = Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=True)
        potential.calculate(bare, ["energy"])
        results = {k: potential.results[k] for k in ("energy", "forces", "stress")}
        bare.calc = SinglePointCalculator(bare, **results)
        frames.append(bare)
    sets = split_sets(map_landscape(frames, calc), (0.4, 0.02), (0.01, 0.001), 0.2, (0.8, 0.04))
    standard, more = ([frames[row] for row in rows] for rows in (sets.standard, sets.supplementary))
    # data may lack an element that other data has; the order of elements differs in each
    (pure := more[0].copy()).numbers[:] = crystal.numbers[1]
    more = [pure, *more[1:]]

    train_teacher(
        standard, standard[:2], tmp_path / "teacher",
        PROFILE | {"E0s": "average", "max_num_epochs": 1}, (1,), "cpu",
    )  # fmt: skip
    relabel(more, open_teacher(tmp_path / "teacher"), tmp_path / "more.extxyz", progress=False)
    write_deepmd(standard, tmp_path / "standard")
    write_deepmd(tmp_path / "more.extxyz", tmp_path / "more", "teacher_")
    write_deepmd([pure_frame(standard[0], crystal.symbols[0])], tmp_path / "validation")
    student = train_student(
        {tmp_path / "standard": 1.0, tmp_path / "more": 1.0}, tmp_path / "validation",
        tmp_path / "student", profile(), steps=20,
    )  # fmt: skip

    # LAMMPS has the elements in its own order
    order = sorted(set(crystal.symbols))
    lammps = LammpsPotential(
        f"pair_style deepmd {student.compressed}\npair_coeff * * {' '.join(order)}", order
    )
    model = open_student(student)
    for atoms in (standard[0], pure):
        for key in ("energy", "forces", "stress"):
            np.testing.assert_allclose(
                lammps.get_property(key, atoms), model.get_property(key, atoms), atol=1e-5
            )
    stranger = standard[0].copy()
    stranger.numbers[0] = 79
    for one in (lammps, model, open_teacher(tmp_path / "teacher")):
        with pytest.raises(ValueError, match="atoms: Au is not among the elements"):
            one.get_property("energy", stranger)


def pure_frame(atoms, symbol):
    """Return a frame of one element; the values of its labels do not matter."""
    pure = Atoms([symbol] * len(atoms), atoms.positions, cell=atoms.cell, pbc=True)
    results = {key: atoms.calc.results[key] for key in ("energy", "forces", "stress")}
    pure.calc = SinglePointCalculator(pure, **results)
    return pure
