# SPDX-License-Identifier: BSD-3-Clause
"""input_templates/polymorph/crystal_search, shortened, in a copy of the folder."""

import re
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

pytest.importorskip("spglib", reason="spglib of the extra 'crystals'")

TEMPLATE = Path(__file__).parents[2] / "input_templates" / "polymorph" / "crystal_search"


@pytest.fixture(scope="module")
def modules():
    """The template's modules."""
    sys.path.insert(0, str(TEMPLATE))
    names = ("systems", "crystals", "search")
    before = {name: sys.modules.pop(name, None) for name in names}
    yield tuple(import_module(name) for name in names[:2])
    sys.path.remove(str(TEMPLATE))
    for name in names:
        sys.modules.pop(name, None)
        if before[name] is not None:
            sys.modules[name] = before[name]


@pytest.fixture(scope="module")
def searched(copy_of, script):
    """Search for silicon in cells of four atoms by two methods; return the folder."""
    folder = copy_of("polymorph/crystal_search")
    for method in ("landscape", "blind"):
        script("search.py", "si_sw", method, "--number", 40, "--atoms", 4, cwd=folder)
    return folder


def test_prototypes_have_their_space_groups(modules):
    """Compare with spglib, and the shortest distance with the bond."""
    import spglib

    systems, _ = modules
    for name, (group, _, _) in systems.PROTOTYPES.items():
        atoms = systems.prototype(name, "Si", 2.4)
        found = spglib.get_symmetry_dataset(
            (atoms.cell.array, atoms.get_scaled_positions(), atoms.numbers), symprec=1e-3
        )
        assert found.number == group, name
        near = (atoms * (3, 3, 3)).get_all_distances(mic=True)
        assert near[near > 0.1].min() == pytest.approx(2.4, abs=1e-6), name


@pytest.mark.parametrize(
    ("name", "neighbours"),
    [("diamond", 4), ("M-carbon", 4), ("bct-4", 4), ("T-carbon", 4), ("K4", 3), ("graphite AB", 3),
     ("bcc", 8), ("A15", None)],
)  # fmt: skip
def test_prototypes_have_their_bonds(modules, name, neighbours):
    from ase.neighborlist import neighbor_list

    systems, _ = modules
    atoms = systems.prototype(name, "C", 1.5)
    counts = np.bincount(neighbor_list("i", atoms, 1.5 * 1.12), minlength=len(atoms))
    if neighbours is not None:
        assert (counts == neighbours).all()


def test_relaxation_reaches_the_minimum(modules):
    """Compare with published values of Stillinger-Weber silicon and of aluminium."""
    systems, crystals = modules
    relax = crystals.Relaxation(systems.SYSTEMS["si_sw"].commands, "Si")
    start = bulk("Si", "diamond", a=5.2, cubic=True)
    start.rattle(0.1, seed=1)
    found = relax(start)
    # 4.3363 eV and 5.4309 Å: Stillinger and Weber, Phys. Rev. B 31, 5262 (1985), in these units
    assert found.info["energy"] / 8 == pytest.approx(-4.3366, abs=2e-4)
    assert found.get_volume() / 8 == pytest.approx(5.431**3 / 8, rel=1e-3)
    assert crystals.space_group(found) == (227, "Fd-3m")
    relax = crystals.Relaxation(systems.SYSTEMS["al_eam"].commands, "Al")
    found = relax(bulk("Al", "fcc", a=4.2) * (2, 2, 1))
    assert found.info["energy"] / 4 == pytest.approx(-3.411, abs=1e-3)
    # two atoms at one place: no number comes out
    assert relax(Atoms("Al2", [[0, 0, 0], [0, 0, 0]], cell=[4, 4, 4], pbc=True)) is None
    # after a failure the next one is right again
    assert relax(bulk("Al", "fcc", a=4.1)).info["energy"] == pytest.approx(-3.411, abs=1e-3)


def test_fingerprint_tells_stackings_apart_and_not_cells(modules):
    systems, crystals = modules
    marks = {
        name: crystals.fingerprint(systems.prototype(name, "C", 1.5))
        for name in ("diamond", "lonsdaleite", "diamond 4H", "fcc", "hcp", "dhcp", "9R")
    }
    for one in marks:
        for other in marks:
            apart = np.linalg.norm(marks[one] - marks[other])
            assert apart > 1.5 * crystals.ALIKE if one != other else apart == 0
    atoms = systems.prototype("ST12", "C", 1.5)
    large = atoms * (2, 1, 1)
    large.rotate(40, (1, 2, 3), rotate_cell=True)
    large.positions += 0.3
    large.positions[:, 0] *= -1  # the other enantiomorph
    large.cell[:, 0] *= -1
    order = np.random.default_rng(1).permutation(len(large))
    np.testing.assert_allclose(
        crystals.fingerprint(large[order]), crystals.fingerprint(atoms), atol=1e-9
    )


@pytest.mark.parametrize(
    ("name", "reach", "expected"),
    [("diamond", 1.6, 3), ("graphite AB", 1.6, 2), ("graphite AA", 5.0, 3), ("K4", 1.6, 3),
     ("diamond", 1.0, 0)],
)  # fmt: skip
def test_dimension_of_networks(modules, name, reach, expected):
    systems, crystals = modules
    assert crystals.dimension(systems.prototype(name, "C", 1.5), reach) == expected


def test_search_writes_relaxed_structures_and_resumes(searched, script):
    path = searched / "runs" / "si_sw_4_landscape_1.extxyz"
    whole = path.read_bytes()
    frames = ase.io.read(path, index=":")
    assert [atoms.info["relaxation"] for atoms in frames] == list(range(40))
    energies = np.array([atoms.info["energy_per_atom"] for atoms in frames], dtype=float)
    assert np.nanmin(energies) == pytest.approx(-4.3366, abs=2e-4)
    assert len(np.unique(np.round(energies[np.isfinite(energies)], 2))) > 3
    path.write_bytes(whole[: int(0.6 * len(whole))])  # as after a kill
    script("search.py", "si_sw", "landscape", "--number", 40, "--atoms", 4, cwd=searched)
    again = ase.io.read(path, index=":")
    assert len(again) == 40
    np.testing.assert_allclose(
        [atoms.info["energy_per_atom"] for atoms in again], energies, atol=1e-6
    )


def test_rounds_resume_to_the_same_minima(searched, script):
    """60 relaxations are a round and a part of the next, which is bred from the first."""
    arguments = ("search.py", "si_sw", "rounds", "--number", 60, "--atoms", 4)
    said = script(*arguments, cwd=searched)
    path = searched / "runs" / "si_sw_4_rounds_1.extxyz"
    whole = path.read_bytes()
    energies = [atoms.info["energy_per_atom"] for atoms in ase.io.read(path, index=":")]
    assert f"{np.isnan(energies).sum()} of 60 relaxations did not converge" in said
    path.write_bytes(whole[: int(0.95 * len(whole))])  # in the second round
    again = script(*arguments, cwd=searched)
    assert path.read_bytes() == whole
    assert "of 60 relaxations did not converge" in again
    first, second = (
        ase.io.read(searched / "runs" / f"library_si_sw_4_rounds_1_{k}.extxyz", index=":")
        for k in (0, 1)
    )
    assert len(first) == len(second) >= 50


def test_rounds_draw_where_crystals_were_found(modules):
    search = import_module("search")
    edge = search.FINE // search.COARSE
    # two coarse cells: in one each relaxation was new, in the other none; a third was not tried
    relaxed = [np.array([0.5, 0.5])] * 8 + [np.array([edge + 0.5, 0.5])] * 8
    rng = np.random.default_rng(2)
    inside = rng.uniform(1, edge, (3000, 2))
    points = np.concatenate([inside, inside + [edge, 0], inside + [2 * edge, 0]])
    firsts = [
        search.drawn(points, relaxed, set(range(8)), [seed])[0] // 3000 for seed in range(400)
    ]
    shares = np.bincount(firsts, minlength=3) / 400
    expected = np.array([9 / 10, 1 / 10, 1 / 2])
    np.testing.assert_allclose(shares, expected / expected.sum(), atol=0.06)
    # each frame once; a second one of a fine cell after the first of every cell
    order = search.drawn(points, relaxed, set(), [1])
    assert sorted(order) == list(range(9000))
    cells = np.floor(points[order]).astype(int)
    new = len(np.unique(cells, axis=0))
    assert len(np.unique(cells[:new], axis=0)) == new


def test_random_methods_make_cells_of_their_own(searched, script):
    pytest.importorskip("ase_ga", reason="ase-ga of the extra 'crystals'")
    script("search.py", "si_sw", "random", "--number", 6, "--atoms", 4, cwd=searched)
    found = ase.io.read(searched / "runs" / "si_sw_4_random_1.extxyz", index=":")
    assert [len(atoms) for atoms in found] == [4] * 6


def test_compare_names_what_was_found(searched, script, is_picture):
    said = script("compare.py", "si_sw", "--atoms", 4, cwd=searched)
    assert re.search(r"^diamond +Fd-3m +2 +0\.0 +20\.02 +yes", said, re.MULTILINE)
    assert re.search(r"^beta-tin +I4_1/amd +2 +199\.\d +17\.2\d +yes +\d+ +\d+", said, re.MULTILINE)
    assert re.search(r"^PolymorphGen +1 ", said, re.MULTILINE)
    rows = (searched / "si_sw.csv").read_text().splitlines()
    crystals = ase.io.read(searched / "si_sw.extxyz", index=":")
    assert len(crystals) == len(rows) - 2 > 3
    assert is_picture(searched / "si_sw.png")


def test_wrong_arguments_are_told(searched, script):
    said = script("search.py", "si_sw", "landscape", "--atoms", 3, cwd=searched, fails=True)
    assert "n_atoms = 3: must be a multiple of 2" in said
    said = script("search.py", "si_sw", "landscape", "--number", 0, cwd=searched, fails=True)
    assert "--number 0" in said
    if find_spec("pyxtal") is None:
        said = script("search.py", "si_sw", "symmetric", cwd=searched, fails=True)
        assert "pip install 'entsym[crystals]'" in said
    said = script("compare.py", "al_eam", cwd=searched, fails=True)
    assert "run search.py first" in said
    assert "Traceback" not in said


def test_pairs_are_those_of_ase(modules):
    from ase.neighborlist import neighbor_list

    _, crystals = modules
    rng = np.random.default_rng(3)
    atoms = Atoms(
        "Si5", scaled_positions=rng.random((5, 3)) * 3 - 1,
        cell=[[3.0, 0.1, 0.2], [-1.4, 2.8, 0.0], [1.1, 1.9, 6.0]], pbc=True,
    )  # fmt: skip
    i, j, _, d = crystals.pairs(atoms, 7.0)
    expected = neighbor_list("ijd", atoms, 7.0)
    order = np.lexsort((d.round(8), j, i))
    other = np.lexsort((expected[2].round(8), expected[1], expected[0]))
    np.testing.assert_array_equal(i[order], expected[0][other])
    np.testing.assert_array_equal(j[order], expected[1][other])
    np.testing.assert_allclose(d[order], expected[2][other], atol=1e-10)
