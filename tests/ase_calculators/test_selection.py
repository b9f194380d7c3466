# SPDX-License-Identifier: BSD-3-Clause
"""Multi-resolution classification: kept frames, coverage, files, substitution."""

import doctest
import tracemalloc
import warnings
from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.calculators.singlepoint import SinglePointCalculator
from ase.data import atomic_numbers
from ase.io import read, write

from ase_calculators import (
    EntropySymmetry,
    LandscapeTable,
    coverage,
    map_landscape,
    multi_resolution,
    select,
    selection,
    substitute,
    substitution,
    write_sets,
)

SEED = 20240
ROUNDS = ((0.1, 0.005), (0.05, 0.0025))


def table_of(sS, Q, energy=None, frame=None, file=None, n_atoms=None):
    n = len(sS)
    return LandscapeTable(
        frame=np.arange(n) if frame is None else frame,
        file=["a.dump"] * n if file is None else file,
        sS=sS, Q=Q, n_atoms=[2] * n if n_atoms is None else n_atoms, volume=[20.0] * n,
        energy=[np.nan] * n if energy is None else energy, parameters={"degree": 6},
    )  # fmt: skip


def reordered(table, order):
    columns = {name: getattr(table, name)[order] for name in
               ("frame", "file", "sS", "Q", "n_atoms", "volume", "energy")}  # fmt: skip
    return replace(table, **columns)


@pytest.fixture
def cloud():
    """Return 2,000 frames of two files, a hundred of them twice, in a dense and a thin region."""
    rng = np.random.default_rng(SEED)
    sS = np.r_[rng.normal(-3.0, 0.1, 1500), rng.uniform(-5.0, 0.5, 400)]
    Q = np.r_[rng.normal(0.1, 0.01, 1500), rng.uniform(0.0, 0.5, 400)]
    sS, Q = np.r_[sS, sS[:100]], np.r_[Q, Q[:100]]
    file = np.where(np.arange(2000) < 1000, "a.dump", "b.dump")
    return table_of(sS, Q, rng.normal(-8, 1, 2000), np.arange(2000) % 1000, file)


def cells(table, rows, size):
    values = np.column_stack((table.sS[rows], table.Q[rows]))
    return [tuple(cell) for cell in np.floor(values / size).astype(int).tolist()]


def slow(table, resolutions, rank):
    """Return the rounds by dictionaries, frame by frame; `rank` returns the value to minimise."""
    rounds = np.full(len(table), -1)
    for number, size in enumerate(resolutions):
        covered = set(cells(table, rounds >= 0, size))
        best = {}
        for row in range(len(table)):
            if rounds[row] >= 0 or not np.isfinite(table.sS[row] + table.Q[row]):
                continue
            cell = (np.floor(table.sS[row] / size[0]), np.floor(table.Q[row] / size[1]))
            if cell in covered:
                continue
            offset = np.array([table.sS[row], table.Q[row]]) / size - np.array(cell) - 0.5
            key = (rank(row, (offset**2).sum()), (offset**2).sum(), table.sS[row], table.Q[row],
                   str(table.file[row]), table.frame[row], row)  # fmt: skip
            best[cell] = min(best.get(cell, key), key)
        rounds[[key[-1] for key in best.values()]] = number
    return rounds


def test_doctests():
    assert doctest.testmod(selection).failed == 0
    assert doctest.testmod(substitution).failed == 0


# --- rounds ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("score", [None, "energy", "own"])
def test_against_a_slow_program(cloud, score):
    own = np.round(np.abs(cloud.energy), 1)  # with ties
    rank = {
        None: lambda row, distance: distance,
        "energy": lambda row, distance: cloud.energy[row] / cloud.n_atoms[row],
        "own": lambda row, distance: own[row],
    }[score]
    found = multi_resolution(cloud, ROUNDS, own if score == "own" else score)
    np.testing.assert_array_equal(found, slow(cloud, ROUNDS, rank))
    assert np.bincount(found + 1).min() > 50  # each round keeps some, and some are left


@pytest.mark.parametrize("score", [None, "energy", "own"])
@pytest.mark.parametrize("far", [False, True], ids=["map", "sorted"])
@pytest.mark.parametrize("gaps", [False, True], ids=["finite", "gaps"])
def test_the_table_is_read_in_parts(cloud, monkeypatch, score, far, gaps):
    """The same frames are kept if parts are short, the plane is nearly empty, or values are NaN."""
    monkeypatch.setattr(selection, "POINTS_PER_PART", 7)
    cloud.energy[::3] = np.nan
    if far:
        cloud.sS[:4] = [1e6, -1e6, 1e6, 3e5]
    if gaps:
        cloud.sS[::50], cloud.Q[1::50] = np.nan, np.inf
    own = np.round(np.abs(np.arange(2000) % 17 / 10.0))
    per_atom = np.where(np.isnan(cloud.energy), np.inf, cloud.energy / cloud.n_atoms)
    rank = {
        None: lambda row, distance: distance,
        "energy": lambda row, distance: per_atom[row],
        "own": lambda row, distance: own[row],
    }[score]
    found = multi_resolution(cloud, ROUNDS, own if score == "own" else score)
    np.testing.assert_array_equal(found, slow(cloud, ROUNDS, rank))
    good = np.isfinite(cloud.sS + cloud.Q)
    inside = good & (cloud.sS > -4.0) & (cloud.sS < -1.0) & (cloud.Q > 0.05) & (cloud.Q < 0.3)
    counts = coverage(cloud, (-4.0, -1.0, 0.05, 0.3)).counts
    expected = np.histogram2d(cloud.sS[inside], cloud.Q[inside], counts.shape,
                              ((-4.0, -1.0), (0.05, 0.3)))[0]  # fmt: skip
    np.testing.assert_array_equal(counts, expected)


@pytest.mark.parametrize("far", [False, True], ids=["map", "sorted"])
def test_select_counts_cells_in_a_nearly_empty_plane(cloud, far):
    """The resolution gives as many cells as a set of them has, and coarser ones fewer frames."""
    if far:
        cloud.sS[0] = -1e4
    rows, size = select(cloud, 300, 20.0)
    assert len(rows) == 300 == len(set(cells(cloud, slice(None), size)))


def test_memory():
    """Beyond the table: the rounds, 8 bytes per frame, a mark of finite frames, and the map."""
    n = 300_000
    rng = np.random.default_rng(SEED)
    table = table_of(rng.uniform(-5, -1, n), rng.uniform(0, 0.5, n))
    tracemalloc.start()
    multi_resolution(table, ROUNDS)
    rounds = tracemalloc.get_traced_memory()[1]
    tracemalloc.reset_peak()
    select(table, 500)
    selected = tracemalloc.get_traced_memory()[1]
    tracemalloc.reset_peak()
    coverage(table)
    covered = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    parts = 8e6
    assert rounds < 12 * n + parts and selected < 12 * n + parts and covered < 2 * n + parts


def test_one_frame_far_away_takes_no_memory(cloud):
    """A map of all cells would take 10^15 entries; the others are kept as without it."""
    near = multi_resolution(reordered(cloud, slice(1, None)), ROUNDS)
    cloud.sS[0] = 1e9
    with_it = multi_resolution(cloud, ROUNDS)
    assert with_it[0] == 0
    np.testing.assert_array_equal(with_it[1:], near)


def test_columns_on_disk(cloud, tmp_path):
    """Memory-mapped columns are read, not copied."""
    for name in ("sS", "Q"):
        np.save(tmp_path / name, getattr(cloud, name))
    mapped = {name: np.load(tmp_path / f"{name}.npy", mmap_mode="r") for name in ("sS", "Q")}
    on_disk = replace(cloud, **mapped)
    assert np.shares_memory(on_disk.sS, mapped["sS"])
    np.testing.assert_array_equal(multi_resolution(on_disk), multi_resolution(cloud))


def test_rounds_nest_and_are_even(cloud):
    """Rounds 0 to k fill each cell of grid k that contains any frame, with exactly one frame."""
    resolutions = [(0.4, 0.02), *ROUNDS]
    rounds = multi_resolution(cloud, resolutions)
    for number, size in enumerate(resolutions):
        kept = cells(cloud, (rounds >= 0) & (rounds <= number), size)
        assert len(kept) == len(set(kept))
        assert set(kept) == set(cells(cloud, slice(None), size))


def test_first_rounds_do_not_depend_on_later_ones(cloud):
    coarse = multi_resolution(cloud, ROUNDS[:1])
    both = multi_resolution(cloud, ROUNDS)
    np.testing.assert_array_equal(both == 0, coarse == 0)


def test_grids_that_do_not_divide(cloud):
    """The paper's list of grids; every cell is filled nevertheless."""
    resolutions = [(0.2, 0.006), (0.1, 0.005), (0.05, 0.0025), (0.04, 0.0024), (0.02, 0.0022)]
    rounds = multi_resolution(cloud, resolutions)
    for number, size in enumerate(resolutions):
        kept = cells(cloud, (rounds >= 0) & (rounds <= number), size)
        assert set(kept) == set(cells(cloud, slice(None), size))


@pytest.mark.parametrize("score", [None, "energy"])
def test_order_does_not_matter(cloud, score):
    """The same frames are kept, also among frames at the same place."""
    rounds = multi_resolution(cloud, ROUNDS, score)
    rng = np.random.default_rng(SEED)
    for _ in range(5):
        order = rng.permutation(len(cloud))
        found = multi_resolution(reordered(cloud, order), ROUNDS, score)
        np.testing.assert_array_equal(found, rounds[order])


def test_ties():
    """At equal places file and frame decide, at equal distances sS and then Q."""
    twins = table_of([-1.02] * 4, [0.101] * 4, frame=[5, 7, 3, 9], file=["b", "a", "b", "a"])
    assert multi_resolution(twins, ROUNDS[:1]).tolist() == [-1, 0, -1, -1]
    mirror = table_of([-0.75, -0.25, -0.25, -0.75], [0.75, 0.25, 0.75, 0.25])
    assert multi_resolution(mirror, [(1.0, 1.0)]).tolist() == [-1, -1, -1, 0]


def test_representative():
    table = table_of([-1.04, -1.05, -1.09], [0.1025] * 3, energy=[-3.0, -2.0, np.nan])
    one = ROUNDS[:1]
    assert multi_resolution(table, one).tolist() == [-1, 0, -1]
    assert multi_resolution(table, one, "energy").tolist() == [0, -1, -1]
    assert multi_resolution(table, one, [3.0, 2.0, 1.0]).tolist() == [-1, -1, 0]
    # NaN ranks behind any number, and is kept if there is nothing else
    assert multi_resolution(table, one, [np.nan, np.inf, 1.0]).tolist() == [-1, -1, 0]
    assert multi_resolution(table, one, [np.nan] * 3).tolist() == [-1, 0, -1]
    per_atom = table_of([-1.04, -1.05], [0.1025] * 2, energy=[-3.0, -2.0], n_atoms=[3, 1])
    assert multi_resolution(per_atom, one, "energy").tolist() == [-1, 0]


def test_grid_is_anchored_at_zero():
    """The cell of a frame does not depend on the other frames, nor on the sign."""
    table = table_of([-0.05, 0.05, -0.001, 0.099], [0.001, 0.001, 0.001, 0.0049])
    assert multi_resolution(table, [(0.1, 0.005)]).tolist() == [0, 0, -1, -1]
    alone = table_of([-0.001], [0.001])
    assert multi_resolution(alone).tolist() == [0]


def test_not_a_number_is_never_kept():
    table = table_of([np.nan, -1.0, np.inf, -1.0], [0.1, np.nan, 0.1, 0.1])
    assert multi_resolution(table).tolist() == [-1, -1, -1, 0]
    assert multi_resolution(table_of([np.nan], [np.nan])).tolist() == [-1]


@pytest.mark.parametrize(
    ("resolutions", "message"),
    [
        ([(0.1, 0.0)], r"resolution = \(0.1, 0.0\): dsS and dQ must be positive; use e.g."),
        ([(-0.1, 0.005)], r"resolution = \(-0.1, 0.005\): dsS and dQ must be positive"),
        ([(np.nan, 0.005)], r"resolution = \(nan, 0.005\): dsS and dQ must be positive"),
        (ROUNDS[::-1], r"\(0.1, 0.005\) comes after \(0.05, 0.0025\); rounds must go from coarse"),
        ([(0.1, 0.005), (0.05, 0.006)], "rounds must go from coarse to fine"),
        ([(0.1, 0.005)] * 2, "rounds must go from coarse to fine"),
        ((0.1, 0.005), r"resolutions = \(0.1, 0.005\): must be pairs"),
        ([], r"resolutions = \[\]: must be pairs"),
        ([(1e-300, 0.005)], r"resolution = \(1e-300, 0.005\): too fine for landscapes of .* cells"),
    ],
    ids=["zero", "negative", "nan", "fine first", "mixed", "equal", "no pairs", "none", "tiny"],
)
def test_bad_resolutions(cloud, resolutions, message):
    with pytest.raises(ValueError, match=message):
        multi_resolution(cloud, resolutions)


def test_bad_tables_and_scores(cloud):
    with pytest.raises(ValueError, match="^table: has no frames; map at least one"):
        multi_resolution(table_of([], []))
    with pytest.raises(ValueError, match=r"score: has shape \(3,\); one number per row .* \(2000,"):
        multi_resolution(cloud, score=[1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match="score = 'volume': must be 'energy', an array, or None"):
        multi_resolution(cloud, score="volume")
    with pytest.raises(ValueError, match="score = 'energy': no frame of the table has one; map"):
        multi_resolution(table_of([-1.0], [0.1]), score="energy")


# --- a number of frames ---------------------------------------------------------------------------


@pytest.mark.parametrize("n", [2, 10, 100, 700])
@pytest.mark.parametrize("ratio", [None, 20.0])
def test_select(cloud, n, ratio):
    rows, (dsS, dQ) = select(cloud, n, ratio)
    assert abs(len(rows) - n) <= max(1, 0.05 * n)
    expected = np.ptp(cloud.sS) / np.ptp(cloud.Q) if ratio is None else ratio
    assert dsS / dQ == pytest.approx(expected)
    rounds = multi_resolution(cloud, [(dsS, dQ)])
    np.testing.assert_array_equal(rows, np.flatnonzero(rounds == 0))


def test_select_by_score(cloud):
    rows, resolution = select(cloud, 50, score="energy")
    rounds = multi_resolution(cloud, [resolution], "energy")
    np.testing.assert_array_equal(rows, np.flatnonzero(rounds == 0))


def test_select_every_frame_there_is():
    table = table_of([-1.0, -2.0, -3.5, np.nan], [0.1, 0.2, 0.4, 0.3])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert select(table, 3).rows.tolist() == [0, 1, 2]
        assert len(select(table_of([-1.0], [0.1]), 1).rows) == 1
        assert select(table_of([0.0], [0.0]), 1).rows.tolist() == [0]


def test_select_reports_how_close(cloud):
    """2,100 frames at 1,900 places."""
    more = reordered(cloud, np.r_[np.arange(2000), np.arange(100)])
    with pytest.warns(UserWarning, match="n = 2100: the nearest that a grid gives is 1900 frames"):
        assert len(select(more, 2100).rows) == 1900


def test_bad_select(cloud):
    for n in (0, -1, 2001, 1.5):
        with pytest.raises(ValueError, match=f"n = {n}: must be a whole number from 1 to 2000"):
            select(cloud, n)
    for ratio in (0, -1, np.nan):
        with pytest.raises(ValueError, match=f"ratio = {ratio}: must be dsS / dQ, a positive"):
            select(cloud, 10, ratio)


# --- coverage -------------------------------------------------------------------------------------


def test_coverage():
    """Four by three cells; five of them hold 4, 2, 1, 1 and 1 frames; some frames are outside."""
    sS = [-1.9, -1.8, -1.7, -1.6, -0.5, -0.4, 0.5, 1.5, -2.0, -2.5, 5.0]
    Q = [0.05, 0.06, 0.07, 0.08, 0.15, 0.15, 0.25, 0.05, 0.3, 0.1, 0.1]
    found = coverage(table_of(sS, Q), (-2, 2, 0, 0.3), (1.0, 0.1))
    assert found.counts.tolist() == [[4, 0, 1], [0, 2, 0], [0, 0, 1], [1, 0, 0]]
    assert found.share == 5 / 12
    p = np.array([4, 2, 1, 1, 1]) / 9
    assert found.evenness == pytest.approx(-(p * np.log(p)).sum() / np.log(12))
    np.testing.assert_allclose(found.empty, [
        (-1.5, 0.15), (-0.5, 0.05), (-0.5, 0.25), (0.5, 0.05), (0.5, 0.15), (1.5, 0.15), (1.5, 0.25)
    ])  # fmt: skip


def test_coverage_extremes():
    full = table_of([0.5, 0.5, 1.5, 1.5], [0.5, 1.5, 0.5, 1.5])
    found = coverage(full, (0, 2, 0, 2), (1.0, 1.0))
    assert (found.share, found.evenness, len(found.empty)) == (1.0, pytest.approx(1.0), 0)
    one = coverage(full, (0, 1, 0, 1), (0.25, 1.0))
    assert (one.share, one.evenness) == (0.25, 0.0)
    none = coverage(full, (-2, -1, 0, 1), (0.5, 0.5))
    assert (none.share, none.evenness, len(none.empty)) == (0.0, 0.0, 4)
    single = coverage(full, (0, 1, 0, 1), (1.0, 1.0))
    assert (single.share, single.evenness) == (1.0, 1.0)
    assert coverage(table_of([], []), (0, 1, 0, 1), (1.0, 1.0))[:2] == (0.0, 0.0)


def test_coverage_without_window(cloud):
    found = coverage(cloud, None, (0.1, 0.005))
    assert found.counts.sum() == len(cloud)
    assert np.count_nonzero(found.counts) == (multi_resolution(cloud, ROUNDS[:1]) == 0).sum()


def test_cells_of_a_window():
    """A border at a multiple of the cell adds no cell; any other adds a part of one."""
    table = table_of([0.05], [0.05])
    for end in (0.3, 0.1 * 3, 0.7, 0.6):
        assert coverage(table, (0.0, end, 0.0, 0.1), (0.1, 0.1)).counts.shape == (
            round(end * 10),
            1,
        )
    part = coverage(table, (-0.13, 0.14, 0.0, 0.1), (0.1, 0.1))
    assert part.counts.shape == (4, 1)
    np.testing.assert_allclose(part.empty[:, 0], [-0.115, -0.05, 0.12])


def test_multi_resolution_makes_coverage_even(cloud):
    kept = reordered(cloud, np.flatnonzero(multi_resolution(cloud, [(0.2, 0.02)]) == 0))
    window = (-5, 0.5, 0, 0.5)
    before, after = (coverage(t, window, (0.2, 0.02)) for t in (cloud, kept))
    assert before.share == after.share
    assert after.evenness > before.evenness + 0.1


@pytest.mark.parametrize(
    ("window", "resolution", "message"),
    [
        ((0, 0, 0, 1), (0.1, 0.1), r"window = \(0, 0, 0, 1\): must be sS_min < sS_max, Q_min < Q"),
        ((0, 1, 1, 0), (0.1, 0.1), "must be sS_min < sS_max"),
        ((0, np.nan, 0, 1), (0.1, 0.1), "must be sS_min < sS_max"),
        ((0, 1, 0, 1), (0.1, 0), r"resolution = \(0.1, 0.0\): dsS and dQ must be positive"),
        ((0, 1, 0, 1), (1e-6, 1e-6), r"resolution = \(1e-06, 1e-06\): cuts the window into 1e\+12"),
        (None, (0.1, 0.1), "window = None: the table has no frames to take it from; give one"),
    ],
    ids=["empty", "reversed", "nan", "resolution", "too fine", "no frames"],
)
def test_bad_windows(window, resolution, message):
    with pytest.raises(ValueError, match=message):
        coverage(table_of([], []), window, resolution)


# --- files ----------------------------------------------------------------------------------------

CALC = EntropySymmetry(rmax=4.5, sigma=0.25, q6_cutoff=3.5)


@pytest.fixture
def frames():
    """Return frames that are rattled more and more, so that each has its own place."""
    frames = []
    for k in range(12):
        atoms = bulk("Al", "fcc", a=4.05, cubic=True)
        atoms.symbols[3] = "Cu"
        atoms.rattle(0.02 * (k + 1), seed=k)
        atoms.calc = SinglePointCalculator(atoms, energy=-10.0 - k, forces=np.zeros((4, 3)))
        frames.append(atoms)
    return frames


@pytest.fixture
def mapped(frames, tmp_path):
    """Return the table of two files, and two rounds that both keep frames."""
    write(tmp_path / "b.extxyz", frames[:7])
    write(tmp_path / "a.traj", frames[7:])
    paths = [tmp_path / "b.extxyz", tmp_path / "a.traj"]
    table = map_landscape(paths, CALC, progress=False)
    rounds = multi_resolution(table, [(2.0, 0.2), (0.5, 0.05)])
    assert 1 < (rounds == 0).sum() < 8 and (rounds == 1).sum() > 1
    return table, rounds


def test_write_sets(mapped, frames, tmp_path):
    table, rounds = mapped
    paths = tmp_path / "standard.extxyz", tmp_path / "supplementary.extxyz"
    assert write_sets(table, rounds, *paths, progress=False) == (
        (rounds == 0).sum(), (rounds == 1).sum()
    )  # fmt: skip
    for number, path in enumerate(paths):
        written = read(path, ":")
        # sorted by file, then frame: a.traj comes after b.extxyz in the table
        rows = np.flatnonzero(rounds == number)
        rows = sorted(rows.tolist(), key=lambda row: (table.file[row], table.frame[row]))
        assert len(written) == len(rows)
        for row, atoms in zip(rows, written):
            np.testing.assert_allclose(atoms.positions, frames[row].positions, atol=1e-8)
            np.testing.assert_allclose(atoms.cell, frames[row].cell)
            assert (atoms.numbers == frames[row].numbers).all() and atoms.pbc.all()
            info = atoms.info
            assert (info["sS"], info["Q6"]) == pytest.approx((table.sS[row], table.Q[row]))
            assert info["round"] == number
            assert (info["file"], info["frame"]) == (table.file[row], table.frame[row])
            assert info["source_energy"] == pytest.approx(-10 - row)
            names = ("rmax", "sigma", "dr", "q6_cutoff", "degree", "smooth")
            assert [info[name] for name in names] == [4.5, 0.25, 0.0625, 3.5, 6, 0.0]
            # the energy of the source is not a label of the new set
            assert atoms.calc is None and set(atoms.arrays) == {"numbers", "positions"}
    again = map_landscape(paths[0], CALC, progress=False)
    np.testing.assert_allclose(sorted(again.sS), sorted(table.sS[rounds == 0]), rtol=1e-6)


def test_sets_do_not_depend_on_the_order_of_the_table(mapped, tmp_path):
    table, rounds = mapped
    order = np.random.default_rng(SEED).permutation(len(table))
    texts = []
    for t, r in ((table, rounds), (reordered(table, order), rounds[order])):
        paths = tmp_path / "1.extxyz", tmp_path / "2.extxyz"
        write_sets(t, r, *paths, progress=False)
        texts.append([path.read_text() for path in paths])
    assert texts[0] == texts[1]


def test_sets_of_several_rounds(mapped, tmp_path):
    table, rounds = mapped
    paths = tmp_path / "1.extxyz", tmp_path / "2.extxyz"
    counts = write_sets(table, rounds, *paths, standard_rounds=2, progress=False)
    assert counts == ((rounds >= 0).sum(), 0)
    assert paths[1].read_text() == ""


def test_sets_from_structures(frames, tmp_path):
    table = map_landscape(frames, EntropySymmetry(rmax=4.5, sigma=0.25, q6_cutoff=3.5,
                                                  elements=["Al"]), progress=False)  # fmt: skip
    rounds = multi_resolution(table, [(2.0, 0.2)])
    paths = tmp_path / "1.extxyz", tmp_path / "2.extxyz"
    with pytest.raises(ValueError, match="^frames: the table was mapped from structures, not fil"):
        write_sets(table, rounds, *paths, progress=False)
    write_sets(table, rounds, *paths, frames=iter(frames), progress=False)
    written = read(paths[0], ":")
    assert [atoms.info["frame"] for atoms in written] == np.flatnonzero(rounds == 0).tolist()
    assert "file" not in written[0].info
    assert np.atleast_1d(written[0].info["elements"]).tolist() == ["Al"]


def test_sets_from_a_dump_without_elements(tmp_path):
    """The reader gets its options, as for mapping; frames that are not kept are not parsed."""
    frame = "ITEM: TIMESTEP\n{}\nITEM: NUMBER OF ATOMS\n1\nITEM: BOX BOUNDS pp pp pp\n" + (
        "0.0 2.{}\n" * 3 + "ITEM: ATOMS id type x y z\n1 1 0.5 0.5 0.5\n"
    )
    path = tmp_path / "run.dump"
    path.write_text("".join(frame.format(k, 5 + k, 5 + k, 5 + k) for k in range(3)))
    table = map_landscape(path, CALC, progress=False, specorder=["Cu"])
    path.write_text(path.read_text().replace("1 1 0.5", "broken", 1))
    paths = tmp_path / "1.extxyz", tmp_path / "2.extxyz"
    counts = write_sets(table, np.array([-1, 0, 1]), *paths, progress=False, specorder=["Cu"])
    assert counts == (1, 1)
    for path, step in zip(paths, (1, 2)):
        atoms = read(path)
        assert atoms.symbols[0] == "Cu" and atoms.info["frame"] == step
        assert atoms.cell.lengths() == pytest.approx(2.5 + 0.1 * step)


def test_bad_sets(mapped, frames, tmp_path):
    table, rounds = mapped
    paths = tmp_path / "1.extxyz", tmp_path / "2.extxyz"
    with pytest.raises(ValueError, match=r"rounds: has shape \(3,\); one number per row is needed"):
        write_sets(table, rounds[:3], *paths, progress=False)
    with pytest.raises(ValueError, match="must be two files"):
        write_sets(table, rounds, paths[0], paths[0], progress=False)
    with pytest.raises(ValueError, match="is a file that frames are read from; use another"):
        write_sets(table, rounds, tmp_path / "b.extxyz", paths[1], progress=False)
    write(tmp_path / "b.extxyz", [atoms * (2, 1, 1) for atoms in frames[:7]])
    with pytest.raises(ValueError, match="has 8 atoms and had 4 when it was mapped; map the land"):
        write_sets(table, rounds, *paths, progress=False)
    write(tmp_path / "b.extxyz", frames[:1])
    with pytest.raises(ValueError, match=r"b.extxyz: has no frame \d any more; map the landscape"):
        write_sets(table, np.where(table.frame == 0, -1, 0), *paths, progress=False)


def test_a_damaged_frame(mapped, tmp_path):
    table, rounds = mapped
    path = tmp_path / "b.extxyz"
    path.write_text(path.read_text().replace("Cu", "Qq"))
    with pytest.raises(ValueError, match=r"b.extxyz: frame \d cannot be read: "):
        write_sets(table, rounds, tmp_path / "1", tmp_path / "2", progress=False)


# --- substitution ---------------------------------------------------------------------------------


def test_substitute_an_element():
    """Perfect Ir becomes perfect Al; positions scale with the cell."""
    iridium = bulk("Ir", cubic=True) * (2, 1, 1)
    iridium.rattle(0.1, seed=1)
    iridium.set_tags(range(8))
    iridium.info["energy"] = -1.0
    before = iridium.copy()
    [aluminium] = substitute([iridium], {"Ir": "Al"})
    assert set(aluminium.symbols) == {"Al"}
    assert aluminium.cell.lengths() == pytest.approx([8.1, 4.05, 4.05])
    assert aluminium.pbc.all() and not aluminium.info and not aluminium.has("tags")
    np.testing.assert_allclose(aluminium.get_scaled_positions(), iridium.get_scaled_positions())
    assert iridium == before


def test_substitute_two_elements_at_once():
    """Each element has its own rule; both replacements use the original species."""
    salt = bulk("NaCl", "rocksalt", a=5.64, cubic=True)
    [swapped] = substitute([salt], {"Na": "Cl", "Cl": "Na"})
    assert (swapped.numbers == np.where(salt.numbers == 11, 17, 11)).all()
    assert swapped.cell.volume == pytest.approx(salt.cell.volume)


@pytest.mark.parametrize("share", [0.05, 0.33])
def test_dilute_alloy(share):
    """Numbers of atoms are next to the fraction and exact in the mean; sites differ by frame."""
    parent = bulk("Ir", cubic=True) * (2, 2, 2)
    mixture = {"Ir": {"Ir": 1 - share, "Re": share}}
    frames = substitute([parent] * 200, mixture, seed=7)
    counts = np.array([(atoms.symbols == "Re").sum() for atoms in frames])
    assert set(counts) <= {np.floor(32 * share), np.ceil(32 * share)}
    assert counts.mean() == pytest.approx(32 * share, abs=0.15)  # four standard errors
    sites = np.array([atoms.symbols == "Re" for atoms in frames]).mean(axis=0)
    assert sites.std() < 2 * np.sqrt(share / 200) and len(set(sites)) > 5
    # one volume for one composition, for any rounding of the numbers
    assert len({round(atoms.cell.volume, 8) for atoms in frames}) == 1


def test_seed():
    parent = bulk("Ir", cubic=True) * (2, 2, 2)
    mixture = {"Ir": {"Ir": 0.8, "Re": 0.2}}
    first, same, other = (substitute([parent] * 3, mixture, seed=s) for s in (1, 1, 2))
    assert first == same and first != other
    assert len({tuple(atoms.numbers) for atoms in first}) == 3


def test_scale():
    frames = [bulk("Ir", cubic=True), molecule("C60")]
    iridium, c60 = substitute(frames, {"Ir": "Al"}, scale=1.331)
    assert iridium.cell.lengths() == pytest.approx(3.84 * 1.1)
    np.testing.assert_allclose(c60.positions, frames[1].positions * 1.1)
    assert not c60.cell.array.any()
    [own] = substitute(frames[:1], {"Ir": "Al"}, scale={"Ir": 10.0, "Al": 20.0})
    assert own.cell.volume == pytest.approx(2 * frames[0].cell.volume)
    [part] = substitute(frames[:1], {"Ir": {"Ir": 0.5, "Al": 0.5}}, scale={"Ir": 10.0, "Al": 20.0})
    assert part.cell.volume == pytest.approx(1.5 * frames[0].cell.volume)


@pytest.mark.parametrize(
    ("symbol", "volume"),
    [
        ("Al", 4.05**3 / 4), ("Fe", 2.87**3 / 2), ("Si", 5.43**3 / 8), ("Po", 3.35**3),
        # atomic mass over density (CRC Handbook): lattices with more than one length
        ("Mg", 23.2), ("In", 26.1), ("Sn", 27.0), ("Ga", 19.6), ("Mn", 12.2), ("Sb", 30.2),
        ("Bi", 35.4), ("Hg", 23.1), ("Sm", 33.2), ("U", 20.7), ("Np", 19.2), ("Pa", 25.0),
    ],
)  # fmt: skip
def test_reference_volumes(symbol, volume):
    number = atomic_numbers[symbol]
    assert substitution._reference_volume(number) == pytest.approx(volume, rel=0.03)


def test_reference_volume_without_a_lattice():
    """Each element has a volume by its radius, too small for molecular crystals (S: 25.7)."""
    assert 25.7 / 5 < substitution._reference_volume(atomic_numbers["S"]) < 25.7
    for number in range(1, 97):
        assert substitution._reference_volume(number) > 0


@pytest.mark.parametrize(
    ("elements", "options", "message"),
    [
        ({"Ir": "Xx"}, {}, "elements: 'Xx' is not a chemical element; use a symbol like 'Al'"),
        ({"iridium": "Al"}, {}, "elements: 'iridium' is not a chemical element"),
        ({"X": "Al"}, {}, "elements: 'X' is not a chemical element"),
        ({"Ir": {"Ir": 0.9, "Re": 0.2}}, {}, "for 'Ir' must not be negative and add up to 1, got .*"
         " with the sum 1.1"),
        ({"Ir": {"Ir": 1.2, "Re": -0.2}}, {}, "for 'Ir' must not be negative"),
        ({"Ir": {}}, {}, "with the sum 0"),
        ({"Ir": "Al", "Re": "W"}, {}, "elements: Re is in none of the frames; name an element"),
        ({"Ir": "Al"}, {"scale": 0}, "scale = 0: must be a positive factor of the volume"),
        ({"Ir": "Al"}, {"scale": {"Al": np.nan}}, "scale = {'Al': nan}: must be a positive"),
        ({"Ir": "Al"}, {"scale": "Al"}, "scale = 'Al': must be a positive factor of the volume"),
        ({"Ir": "Al"}, {"scale": {"Qq": 1.0}}, "elements: 'Qq' is not a chemical element"),
    ],
    ids=["new", "old", "dummy", "sum", "negative", "none", "absent", "zero", "nan", "word", "who"],
)  # fmt: skip
def test_bad_substitutions(elements, options, message):
    with pytest.raises(ValueError, match=message):
        substitute([bulk("Ir")], elements, **options)


def test_one_structure_is_not_a_list():
    with pytest.raises(TypeError, match=r"^frames: must be an iterable of Atoms, not one Atoms;"):
        substitute(Atoms("Ir"), {"Ir": "Al"})


# --- wrong arguments ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda t: multi_resolution(t, "x"), "resolutions = 'x': must be pairs"),
        (lambda t: multi_resolution(t, [(1, 2), (1,)]), r"resolutions = \[\(1, 2\), \(1,\)\]"),
        (lambda t: multi_resolution(t, score={"a": 1}), "score = {'a': 1}: must be 'energy', an"),
        (lambda t: select(t, True), "n = True: must be a whole number"),
        (lambda t: select(t, 2, ratio="x"), "ratio = x: must be dsS / dQ"),
        (lambda t: select(t, 2, ratio=[1, 2]), r"ratio = \[1, 2\]: must be dsS / dQ"),
        (lambda t: coverage(t, (1, 2, 3)), r"window = \(1, 2, 3\): must be sS_min < sS_max"),
        (lambda t: coverage(t, (1, 2, 3, "x")), r"window = \(1, 2, 3, 'x'\): must be sS_min"),
        (lambda t: coverage(t, resolution="x"), r"resolutions = \['x'\]: must be pairs"),
        (lambda t: write_sets(t, "x"), "rounds = 'x': must be whole numbers, one per row"),
        (lambda t: write_sets(t, [0] * 5, standard_rounds="x"), "standard_rounds = 'x': must be a"),
        (lambda t: write_sets(t, [0] * 5, standard_rounds=-1), "standard_rounds = -1: must be a w"),
        (lambda t: write_sets(t, [0] * 5, 5), "standard = 5: must be the name of a file"),
        (lambda t: substitute([bulk("Al")], "Al"), "elements = 'Al': must be a dictionary"),
        (lambda t: substitute([bulk("Al")], {"Al": 5}), r"elements\['Al'\] = 5: must be an"),
        (lambda t: substitute([bulk("Al")], {5: "Al"}), "elements: 5 is not a chemical element"),
        (lambda t: substitute([bulk("Al")], {"Al": {"Cu": "x"}}), r"elements\['Al'\] = {'Cu': 'x'"),
        (lambda t: substitute(["a"], {"Al": "Cu"}), "frames: must be ase.Atoms, number 0 is"),
        (lambda t: substitute([bulk("Al")], {"Al": "Cu"}, seed=-1), "seed = -1: must be a whole n"),
    ],
)  # fmt: skip
def test_other_kinds_of_arguments_are_reported_in_a_line(call, message):
    n = 5
    table = LandscapeTable(
        frame=range(n), file=[""] * n, sS=np.linspace(-5, -1, n), Q=np.linspace(0, 0.5, n),
        n_atoms=[1] * n, volume=[1] * n, energy=[0] * n, parameters={"degree": 6},
    )  # fmt: skip
    with pytest.raises((ValueError, TypeError), match=message) as error:
        call(table)
    assert "\n" not in str(error.value)


def test_sets_are_compressed_by_suffix_and_kept_if_a_frame_is_damaged(mapped, tmp_path):
    table, rounds = mapped
    paths = tmp_path / "1.extxyz.gz", tmp_path / "2.extxyz"
    counts = write_sets(table, rounds, *paths, progress=False)
    assert counts == tuple(len(read(path, ":")) for path in paths)
    old = [path.read_bytes() for path in paths]
    source = tmp_path / "b.extxyz"
    source.write_text(source.read_text().replace("Cu", "Qq"))
    with pytest.raises(ValueError, match=r"b.extxyz: frame \d cannot be read: "):
        write_sets(table, rounds, *paths, progress=False)
    assert [path.read_bytes() for path in paths] == old
    assert not list(tmp_path.glob(".*"))
