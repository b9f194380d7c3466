# SPDX-License-Identifier: BSD-3-Clause
"""Split of a landscape: which frames may be in which part, and the files."""

import shutil
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.singlepoint import SinglePointCalculator

from ase_calculators import EntropySymmetry, LandscapeTable, map_landscape, multi_resolution
from ase_calculators.distillation import Sets, split_sets, write_sets
from ase_calculators.training_sets import DFT, TEACHER, labels

STANDARD, SUPPLEMENTARY, TEST_CELL = (0.25, 0.025), (0.125, 0.0125), (0.5, 0.05)
SIZES = {"standard": STANDARD, "supplementary": SUPPLEMENTARY, "test_cell": TEST_CELL}


def landscape(n, seed=1, bad=0):
    """Return a landscape that is crowded in one corner, as those of MD are."""
    rng = np.random.default_rng(seed)
    sS = -5 + 4 * rng.uniform(0, 1, n) ** 3
    sS[:bad] = np.nan
    return LandscapeTable(
        frame=np.arange(n), file=["a"] * n, sS=sS, Q=0.5 * rng.uniform(0, 1, n) ** 2,
        n_atoms=[4] * n, volume=[66.0] * n, energy=[np.nan] * n, parameters={"degree": 6},
    )  # fmt: skip


def cells(table, rows, size):
    """Return the cell of each row."""
    return np.floor(np.column_stack((table.sS[rows], table.Q[rows])) / size)


def occupied(table, rows, size):
    """Return the set of cells that rows lie in."""
    return set(map(tuple, cells(table, rows, size).tolist()))


@pytest.fixture(scope="module")
def table():
    return landscape(20_000, bad=7)


@pytest.fixture(scope="module")
def sets(table):
    return split_sets(table, **SIZES)


def test_no_frame_is_in_two_sets_and_none_without_a_value(table, sets):
    rows = np.concatenate(sets)
    assert len(np.unique(rows)) == len(rows) > 500
    assert np.isfinite(table.sS[rows]).all()
    assert all(np.array_equal(part, np.sort(part)) for part in sets)


def test_test_cells_hold_no_other_frame(table, sets):
    tested = occupied(table, sets.test, TEST_CELL)
    learned = occupied(table, np.concatenate(sets[:2]), TEST_CELL)
    assert tested and learned and not tested & learned
    every = occupied(table, np.flatnonzero(np.isfinite(table.sS)), TEST_CELL)
    assert tested | learned == every
    assert len(tested) == round(0.1 * len(every))


def test_the_test_is_uniform(table, sets):
    """One frame for each fine cell of the cells held out, however many there were."""
    fine = occupied(table, sets.test, SUPPLEMENTARY)
    assert len(fine) == len(sets.test)
    in_tested = [
        row for row in np.flatnonzero(np.isfinite(table.sS))
        if tuple(cells(table, [row], TEST_CELL)[0]) in occupied(table, sets.test, TEST_CELL)
    ]  # fmt: skip
    assert fine == occupied(table, in_tested, SUPPLEMENTARY)
    assert len(in_tested) > 3 * len(fine)  # it was crowded


def test_the_rest_is_multi_resolution(table, sets):
    learned = np.concatenate(sets[:2])
    assert len(occupied(table, sets.standard, STANDARD)) == len(sets.standard)
    assert len(occupied(table, learned, SUPPLEMENTARY)) == len(learned)


def test_without_a_test_it_is_multi_resolution_itself(table):
    sets = split_sets(table, **SIZES, test=0.0)
    rounds = multi_resolution(table, [STANDARD, SUPPLEMENTARY])
    assert len(sets.test) == 0
    np.testing.assert_array_equal(sets.standard, np.flatnonzero(rounds == 0))
    np.testing.assert_array_equal(sets.supplementary, np.flatnonzero(rounds == 1))


def test_seed_and_order(table, sets):
    again = split_sets(table, **SIZES)
    other = split_sets(table, **SIZES, seed=1)
    for one, two in zip(sets, again, strict=True):
        np.testing.assert_array_equal(one, two)
    assert set(other.test) != set(sets.test)
    # the draw is among cells, so that the order of the frames does not matter
    order = np.random.default_rng(5).permutation(len(table))
    names = ("frame", "file", "sS", "Q", "n_atoms", "volume", "energy")
    mixed = LandscapeTable(**{k: getattr(table, k)[order] for k in names},
                           parameters=table.parameters)  # fmt: skip
    shuffled = split_sets(mixed, **SIZES)
    for one, two in zip(sets, shuffled, strict=True):
        assert set(one.tolist()) == set(order[two].tolist())


def test_frames_that_have_labels_already(table):
    """Standard and test frames are labelled ones, supplementary frames are not."""
    labelled = np.random.default_rng(3).random(len(table)) < 0.02
    sets = split_sets(table, **SIZES, labelled=labelled)
    assert labelled[sets.standard].all() and labelled[sets.test].all()
    assert not labelled[sets.supplementary].any()
    held_out = occupied(table, sets.test, TEST_CELL)
    assert not held_out & occupied(table, np.concatenate(sets[:2]), TEST_CELL)
    finite = np.isfinite(table.sS)
    of_labels = occupied(table, np.flatnonzero(labelled & finite), TEST_CELL)
    assert len(held_out) == round(0.1 * len(of_labels))
    learned = np.concatenate(sets[:2])
    fine = [tuple(cell) for cell in cells(table, learned, SUPPLEMENTARY).tolist()]
    of_standard = occupied(table, sets.standard, SUPPLEMENTARY)
    assert all(fine.count(cell) == 1 for cell in set(fine) - of_standard)
    assert not of_standard & occupied(table, sets.supplementary, SUPPLEMENTARY)


WRONG = {
    "one cell": ({"test_cell": (50, 5)}, r"test_cell = \(50, 5\): the frames lie in 1 of such"),
    "labelled": ({"labelled": np.zeros(100, bool)}, r"labelled: must mark some of the 100"),
    "test": ({"test": 1.0}, r"test = 1.0: must be a share, at least 0 and below 1"),
    "not a number": ({"test": float("nan")}, r"test = nan: must be a share"),
    "standard": ({"standard": (0.1, 0)}, r"standard = \(0.1, 0\): must be a cell"),
    "supplementary": ({"supplementary": 0.1}, r"supplementary = 0.1: must be a cell"),
    "test_cell": ({"test_cell": (0.05, 0.1)}, r"test_cell = \(0.05, 0.1\): must be .* not finer"),
    "order": ({"supplementary": (0.5, 0.05)}, r"rounds must go from coarse to fine"),
}


@pytest.mark.parametrize("options, message", WRONG.values(), ids=WRONG)
def test_wrong_arguments(options, message):
    with pytest.raises(ValueError, match=message):
        split_sets(landscape(100), **options)


def test_an_empty_landscape():
    with pytest.raises(ValueError, match="table: has no frames"):
        split_sets(landscape(0))


# --- files ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def labelled(tmp_path_factory):
    """Two files of rattled cells: with energy and forces, and with a teacher's labels."""
    folder = tmp_path_factory.mktemp("labelled")
    for name, n in (("a", 20), ("b", 30)):
        frames = []
        for seed in range(n):
            atoms = bulk("Al", cubic=True)
            atoms.rattle(0.02 * (1 + seed), seed=seed)
            if name == "a":
                atoms.calc = SinglePointCalculator(
                    atoms, energy=-3.0 - seed, forces=np.full((4, 3), 0.125 * seed)
                )
            else:
                atoms.info["teacher_energy"] = -4.0 - seed
                atoms.arrays["teacher_forces"] = np.full((4, 3), 0.25 * seed)
            frames.append(atoms)
        ase.io.write(folder / f"{name}.extxyz", frames)
    return folder


def test_what_is_written_is_what_was_split(labelled, tmp_path):
    """Frames of two files, with their labels and places; numbers begin anew in each file."""
    files = [labelled / "a.extxyz", labelled / "b.extxyz"]
    table = map_landscape(files, EntropySymmetry(5.0, 0.2, 3.5), progress=False)
    sets = split_sets(table, (0.4, 0.04), (0.1, 0.01), test_cell=(0.8, 0.08))
    assert min(map(len, sets)) > 0 and {"a.extxyz", "b.extxyz"} == {
        Path(table.file[row]).name for row in np.concatenate(sets)
    }
    source = ase.io.read(files[0], ":") + ase.io.read(files[1], ":")
    moved = tmp_path / "moved"  # the landscape was mapped in another folder
    shutil.copytree(labelled, moved)
    paths = write_sets(
        sets, table, [moved / "a.extxyz", moved / "b.extxyz"], tmp_path / "sets", progress=False
    )
    for name, rows in sets._asdict().items():
        found = ase.io.read(paths[name], ":")
        assert paths[name] == tmp_path / "sets" / f"{name}.extxyz" and len(found) == len(rows)
        for atoms, row in zip(found, rows, strict=True):
            original = source[row]  # one row for each frame
            np.testing.assert_allclose(atoms.positions, original.positions, atol=1e-7)
            assert atoms.info["sS"] == pytest.approx(table.sS[row])
            assert atoms.info["Q6"] == pytest.approx(table.Q[row])
            assert atoms.info["library_frame"] == (row if row < 20 else row - 20)
            prefix = DFT if row < 20 else TEACHER
            one, other = labels(atoms, prefix), labels(original, prefix)
            assert one.energy == other.energy == (-3.0 - row if row < 20 else -4.0 - (row - 20))
            np.testing.assert_array_equal(one.forces, other.forces)


def test_frames_of_another_landscape_replace_nothing(labelled, tmp_path):
    frames = ase.io.read(labelled / "a.extxyz", ":")
    table = map_landscape(frames, EntropySymmetry(5.0, 0.2, 3.5), progress=False)
    sets = Sets(np.array([0, 19]), np.array([1]), np.array([2]))
    write_sets(sets, table, frames, tmp_path, progress=False)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert set(before) == {"standard.extxyz", "supplementary.extxyz", "test.extxyz"}
    assert "library_frame" not in frames[0].info  # what was given is not changed
    larger = [frames[0] * (2, 1, 1), *frames[1:]]
    for wrong, message in (
        (frames[:10], "frames: number 19 is missing, which the landscape has; give the frames"),
        (larger, "frames: number 0 has 8 atoms, and the landscape says 4; give the frames"),
    ):
        with pytest.raises(ValueError, match=message):
            write_sets(sets, table, wrong, tmp_path, progress=False)
        assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
