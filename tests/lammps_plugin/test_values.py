# SPDX-License-Identifier: BSD-3-Clause
"""The computes against the Python kernel: two hosts, one set of numbers.

1e-10 is the agreement asked of the hosts; they differ by the order of sums alone.
"""

from pathlib import Path

import numpy as np
import pytest
from ase.io import read

from ase_calculators import EntropySymmetry

LOCAL = ("sS", "Q", "mean_sS", "mean_Q", "n_neighbors")
OPTIONS = {
    "plain": {},
    "dr": {"dr": 0.11},
    "degree": {"degree": 4},
    "smooth": {"smooth": 0.6},
    "long": {"q6cut": 6.5, "degree": 12},
    "neighbours beyond the pairs": {"rmax": 2.0, "sigma": 0.1, "q6cut": 3.4},
}


def computes(keywords, group="all", **options):
    text = keywords(**options)
    return [f"compute e {group} entsym {text}", f"compute a {group} entsym/atom {text}", "run 0"]


def check(found, kernel, positions, cell, pbc, number_density=None, members=slice(None)):
    vector, array, local = found
    sS, Q = kernel.evaluate(positions, cell, pbc, number_density)
    g, running = kernel.radial_distribution(positions, cell, pbc, number_density)
    expected = kernel.local(positions, cell, pbc, number_density)
    np.testing.assert_allclose(vector, [sS, Q], rtol=1e-10)
    np.testing.assert_allclose(array[:, 0], kernel.r, rtol=1e-14)
    np.testing.assert_allclose(array[:, 1], g, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(array[:, 2], running, rtol=1e-10, atol=1e-12)
    assert array[-1, 2] == pytest.approx(vector[0], rel=1e-13)
    for column, name in enumerate(LOCAL):
        np.testing.assert_allclose(
            local[members, column], expected[name], rtol=1e-10, atol=1e-12, err_msg=name
        )


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_structures(lmp, values, structure, keywords, kernel_for, options):
    instance = lmp(structure, *computes(keywords, **options))
    kernel = kernel_for(**options)
    check(values(instance), kernel, structure.positions, structure.cell, structure.pbc)


@pytest.mark.parametrize("density", [None, 0.031])
def test_group_is_a_selection(lmp, values, make_structure, keywords, kernel_for, density):
    salt = make_structure("rocksalt")
    members = salt.types == 2
    commands = computes(keywords, "anions", density="box" if density is None else density)
    found = values(lmp(salt, "group anions type 2", *commands))
    kernel = kernel_for()
    check(found, kernel, salt.positions[members], salt.cell, salt.pbc, density, members)
    assert not found[2][~members].any()


@pytest.mark.parametrize("pbc", [(1, 1, 0), (0, 1, 0), (0, 0, 0)], ids=["slab", "wire", "cluster"])
def test_free_surfaces(lmp, values, make_structure, make, keywords, kernel_for, pbc):
    pbc = np.array(pbc, bool)
    bulk = make_structure("fcc")
    shift = np.where(pbc, 0.0, 2.0)  # keeps the atoms off the walls of a fixed box
    structure = make(bulk.positions + shift, bulk.cell + np.diag(2 * shift), pbc=pbc)
    found = values(lmp(structure, *computes(keywords, density=0.06)))
    check(found, kernel_for(), structure.positions, structure.cell, structure.pbc, 0.06)


def test_coincident_and_isolated_atoms(lmp, values, make, keywords, kernel_for):
    positions = [(1, 1, 1), (1, 1, 1), (3, 1, 1), (15, 15, 15)]
    structure = make(positions, 25 * np.eye(3))
    found = values(lmp(structure, *computes(keywords)))
    check(found, kernel_for(), structure.positions, structure.cell, structure.pbc)
    np.testing.assert_array_equal(found[2][:, 4], [1, 1, 2, 0])
    assert found[2][3, 1] == 0.0
    assert np.isfinite(found[0]).all()


UNITS = {"real": 1.0, "si": 1e-10, "cgs": 1e-8, "electron": 1 / 0.529177249, "micro": 1e-4,
         "nano": 0.1, "lj": 1 / 2.7}  # fmt: skip


@pytest.mark.parametrize("units", UNITS)
def test_any_unit_of_length(lmp, values, make, make_structure, keywords, kernel_for, units):
    """Lengths are the deck's: entropy and bond order have no unit."""
    base, scale = make_structure("triclinic"), UNITS[units]
    scaled = make(base.positions * scale, base.cell * scale)
    settings = {k: v * scale for k, v in (("rmax", 5.0), ("sigma", 0.2), ("q6cut", 3.4))}
    commands = [f"neighbor {0.3 * scale} bin", *computes(keywords, **settings)]
    vector, array, _ = values(lmp(scaled, *commands, units=units, pair=f"zero {3.0 * scale}"))
    # The skin is no part of the value; rounding of scaled positions is, at 1e-16 / 1e-2 or so.
    expected = kernel_for().evaluate(base.positions, base.cell, base.pbc)
    np.testing.assert_allclose(vector, expected, rtol=1e-10)
    assert array[-1, 0] == pytest.approx(5.0 * scale)


FRAMES = sorted(Path(__file__).parents[1].glob("reference/si216/*.vasp"))


def test_silicon_frames_as_in_ase(lmp, values, make, keywords):
    """The paper's 24 frames: EntropySymmetry on the file, compute entsym on a LAMMPS box."""
    assert len(FRAMES) == 24
    calc = EntropySymmetry(rmax=8.0, sigma=0.125, q6_cutoff=3.6)
    for path in FRAMES:
        atoms = read(path)
        found = values(
            lmp(
                make(atoms.get_positions(wrap=True), atoms.cell.array),
                *computes(keywords, rmax=8.0, sigma=0.125, q6cut=3.6),
            )
        )
        # Both see the same doubles, but for the wrap into the box at 1e-15 Å.
        for value, name in zip(found[0], ("sS", "Q6")):
            assert value == pytest.approx(calc.get_property(name, atoms), rel=1e-10), path.name
        for column, name in ((0, "local_sS"), (1, "local_q6")):
            expected = calc.get_property(name, atoms)
            np.testing.assert_allclose(found[2][:, column], expected, rtol=1e-10, atol=1e-12)
