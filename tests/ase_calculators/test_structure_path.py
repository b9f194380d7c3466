# SPDX-License-Identifier: BSD-3-Clause
"""Best match of two crystals against all permutations, cells and shifts; bounded paths."""

import itertools

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from ase_calculators import continuous_path, match_structures

UNIMODULAR = np.array(
    [
        M for M in itertools.product(itertools.product((-1, 0, 1), repeat=3), repeat=3)
        if abs(round(np.linalg.det(M))) == 1
    ]
)  # fmt: skip
SHIFTS = np.array(list(itertools.product((-1, 0, 1), repeat=3)))


def random_crystal(symbols, seed):
    rng = np.random.default_rng(seed)
    cell = 2.6 * np.eye(3) + 0.4 * rng.normal(size=(3, 3))
    return Atoms(symbols, scaled_positions=rng.random((len(symbols), 3)), cell=cell, pbc=True)


def brute_force(one, other):
    """Return d over all cells with entries up to 1, all permutations and all shifts of atoms."""
    n, H = len(one), one.cell.array
    size = (one.get_volume() * other.get_volume()) ** 0.5 / n
    best = np.inf
    shifts = np.array([((0, 0, 0), *s) for s in itertools.product(SHIFTS, repeat=n - 1)])
    for M in UNIMODULAR:
        there = M @ other.cell.array
        F = np.linalg.inv(H) @ there
        squares, axes = np.linalg.eigh(F @ F.T)
        strained = size ** (2 / 3) * (np.log(squares) ** 2).sum() / 4
        if strained > best:
            continue
        middle = H @ axes @ np.diag(squares**0.25) @ axes.T
        for order in itertools.permutations(range(n)):
            if (one.numbers != other.numbers[list(order)]).any():
                continue
            D = other.positions[list(order)] @ np.linalg.inv(there)
            D -= one.positions @ np.linalg.inv(H)
            D -= np.round(D - D[0]) + D[0]
            u = D + shifts
            u = (u - u.mean(axis=1, keepdims=True)) @ middle
            best = min(best, (u**2).sum(axis=(1, 2)).min() / n + strained)
    return best**0.5


@pytest.mark.parametrize("symbols", ["CC", "CO", "CCO", "CCC"])
@pytest.mark.parametrize("seed", range(3))
def test_distance_is_that_of_brute_force(symbols, seed):
    symbols = list(symbols)
    one, other = random_crystal(symbols, seed), random_crystal(symbols[::-1], 100 + seed)
    expected = brute_force(one, other)
    found = match_structures(one, other)
    assert found.distance == pytest.approx(expected, rel=1e-9)
    assert match_structures(other, one).distance == pytest.approx(expected, rel=1e-9)
    assert match_structures(one, other, 1.01 * expected).distance == pytest.approx(expected)
    assert match_structures(one, other, 0.99 * expected) is None


def scrambled(atoms, seed):
    """Return another description of a crystal."""
    rng = np.random.default_rng(seed)
    other = atoms[rng.permutation(len(atoms))]
    other.set_cell(np.array([[1, 0, 0], [1, 1, 0], [0, -1, 1]]) @ other.cell.array)
    other.rotate(40, (1, 2, 3), rotate_cell=True)
    other.positions += rng.normal(size=3)
    other.positions += rng.integers(-1, 2, size=(len(atoms), 3)) @ other.cell.array
    return other


@pytest.mark.parametrize("mirrored", [False, True])
def test_descriptions_of_one_crystal_are_zero_apart(mirrored):
    one = bulk("NaCl", "rocksalt", a=5.6, cubic=True)
    one.rattle(0.2, seed=2)
    one.set_cell(one.cell.array @ (np.eye(3) + 0.05 * np.arange(9).reshape(3, 3) / 9), True)
    other = scrambled(one, 3)
    if mirrored:
        other.set_cell(other.cell.array * [1, 1, -1], scale_atoms=True)
    found = match_structures(one, other)
    assert found.distance < 1e-7
    np.testing.assert_allclose(found.atoms.positions, one.positions, atol=1e-6)
    np.testing.assert_allclose(found.atoms.cell.array, one.cell.array, atol=1e-6)
    assert (found.atoms.numbers == one.numbers).all()
    assert (other.numbers[found.order] == one.numbers).all()


def test_a_known_strain_and_known_displacements():
    one = bulk("Al", "fcc", a=4.0, cubic=True) * (2, 1, 1)
    rng = np.random.default_rng(1)
    strain = np.diag([0.02, -0.01, 0.03])
    u = 0.1 * rng.normal(size=(8, 3))
    u -= u.mean(axis=0)
    other = one.copy()
    other.positions += u @ np.diag(np.exp(-np.diag(strain) / 2))
    other.set_cell(other.cell.array @ np.diag(np.exp(np.diag(strain))), scale_atoms=True)
    found = match_structures(one, scrambled(other, 4))
    size = 4.0**3 / 4 * np.exp(0.04 / 2)
    rms = ((u**2).sum() / 8) ** 0.5
    assert found.displacement == pytest.approx(rms, rel=1e-9)
    # the first crystal is the same with y and z exchanged
    np.testing.assert_allclose(np.linalg.eigvalsh(found.strain), [-0.01, 0.02, 0.03], atol=1e-9)
    assert found.distance == pytest.approx((rms**2 + size ** (2 / 3) * 14e-4) ** 0.5, rel=1e-9)
    # the description is that of the other crystal: its distances
    expected = np.sort(other.get_all_distances(mic=True), axis=None)
    np.testing.assert_allclose(
        np.sort(found.atoms.get_all_distances(mic=True), axis=None), expected, atol=1e-8
    )


def test_large_crystals_are_matched_in_any_order():
    one = bulk("C", "diamond", a=3.567, cubic=True) * (2, 1, 1)
    other = one.copy()
    other.rattle(0.05, seed=1)
    other.positions -= (other.positions - one.positions).mean(axis=0)
    expected = ((other.positions - one.positions) ** 2).sum() / len(one)
    found = match_structures(one, scrambled(other, 5))
    assert found.distance == pytest.approx(expected**0.5, rel=1e-6)


def line(n=6):
    """Return cubic crystals whose volume grows evenly, each in another description."""
    return [scrambled(bulk("Al", "fcc", a=4.0 * np.exp(0.02 * k), cubic=True), k) for k in range(n)]


def all_pairs(n):
    return np.array(list(itertools.combinations(range(n), 2)))


# d of neighbours of `line`: strain 0.02 in three directions, times the cube root of the volume
STEP = 0.02 * 3**0.5 * 4.0 / 4 ** (1 / 3)


def test_path_has_the_lowest_barrier_of_its_bound():
    frames, energies = line(), np.array([0.0, 1.0, 3.0, 1.0, 2.0, 0.0])
    for reach, rows in ((1.2, [0, 1, 2, 3, 4, 5]), (2.4, [0, 1, 3, 5]), (9.0, [0, 5])):
        path = continuous_path(frames, energies, all_pairs(6), 0, 5, reach * STEP, 9.0)
        assert path.rows.tolist() == rows
        assert path.barrier == energies[rows].max()
        assert (path.steps <= reach * STEP).all()
        centres = np.exp(0.02 * (np.array(rows[1:]) + rows[:-1]) / 2)
        np.testing.assert_allclose(path.steps, np.diff(rows) * STEP * centres, rtol=1e-6)
        # one after the other, atom for atom
        for one, other in itertools.pairwise(path.frames):
            change = other.get_scaled_positions() - one.get_scaled_positions()
            change -= np.round(change - change[0]) + change[0]
            np.testing.assert_allclose(change, 0, atol=1e-7)
    # the volume alone
    path = continuous_path(frames, energies, all_pairs(6), 0, 5, 9.0, 0.0601)
    assert path.rows.tolist() == [0, 1, 2, 3, 4, 5]
    # only pairs that were given
    pairs = [(0, 2), (2, 5), (0, 1)]
    assert continuous_path(frames, energies, pairs, 0, 5, 9.0, 9.0).rows.tolist() == [0, 2, 5]
    # a frame without energy
    energies[1] = np.nan
    path = continuous_path(frames, energies, all_pairs(6), 0, 5, 2.4 * STEP, 9.0)
    assert path.rows.tolist() == [0, 2, 3, 5]


def test_no_path_says_which_bound_would_do():
    frames, energies = [line()[k] for k in (0, 1, 4, 5)], np.zeros(4)
    with pytest.raises(ValueError, match="max_step = 0.1 Å: no path .* frame 3; 0.276 would do"):
        continuous_path(frames, energies, all_pairs(4), 0, 3, 0.1, 9.0)
    assert 0.275 < 3 * STEP * np.exp(0.05) < 0.276
    with pytest.raises(ValueError, match="max_volume_change = 0.1: .* frame 3; 0.181 would do"):
        continuous_path(frames, energies, all_pairs(4), 0, 3, 9.0, 0.1)
    continuous_path(frames, energies, all_pairs(4), 0, 3, 9.0, 0.181)
    with pytest.raises(ValueError, match="pairs: do not connect frame 0 with frame 3"):
        continuous_path(frames, energies, [(0, 1), (2, 3)], 0, 3)


WRONG = {
    "max_step": ({"max_step": 0.0}, "max_step = 0.0: must be a number above 0, Å"),
    "max_volume_change": ({"max_volume_change": "a"}, "max_volume_change = 'a': must be a number"),
    "energies": ({"energies": [0.0]}, r"energies: have shape \(1,\); there must be one for each"),
    "pairs": ({"pairs": [0, 1]}, r"pairs: have shape \(2,\); must be \(k, 2\) numbers"),
    "pairs, range": ({"pairs": [(0, 6)]}, "pairs: there is no frame 6; must be from 0 to 5"),
    "start": ({"start": -1}, "start: there is no frame -1"),
    "start, NaN": ({"energies": [np.nan] * 6}, "start = 0: its energy is NaN"),
    "end": ({"end": 0}, "start = 0: is the end as well"),
}


@pytest.mark.parametrize("change, message", WRONG.values(), ids=WRONG)
def test_wrong_arguments(change, message):
    given = {"energies": np.zeros(6), "pairs": all_pairs(6), "start": 0, "end": 5} | change
    with pytest.raises(ValueError, match=message):
        continuous_path(line(), **given)


def test_crystals_that_cannot_be_matched():
    al = bulk("Al", "fcc", a=4.0, cubic=True)
    with pytest.raises(ValueError, match="frame 1 is Al, frame 0 is Al4; structures that are"):
        match_structures(al, bulk("Al"))
    slab = al.copy()
    slab.pbc = (True, True, False)
    with pytest.raises(ValueError, match="frame 1 has no cell that is periodic in three"):
        match_structures(al, slab)
    with pytest.raises(ValueError, match="max_distance = -1: must be a number above 0"):
        match_structures(al, al, -1)
