# SPDX-License-Identifier: BSD-3-Clause
"""Libraries bred on the landscape: content, reproducibility, resuming, refusals."""

import csv
import fcntl
import json
import os
import pickle
import re
import resource
import subprocess
import sys
import threading
import time
import warnings

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.io import read
from ase.neighborlist import neighbor_list

from ase_calculators import (
    EntropySymmetry,
    Genes,
    LandscapeTable,
    PolymorphGen,
    multi_resolution,
    polymorph,
    write_sets,
)
from ase_calculators.frame_file import FrameFile

CALC = EntropySymmetry(rmax=6.0, sigma=0.2, q6_cutoff=3.6)


def silicon(amplitudes=(0.05, 0.15, 0.25, 0.3), repeat=2):
    frames = []
    for seed, amplitude in enumerate(amplitudes):
        frames.append(bulk("Si", "diamond", a=5.431, cubic=True) * repeat)
        frames[-1].rattle(amplitude, seed=seed)
    return frames


def salt():
    frames = []
    for seed in range(3):
        frames.append(bulk("NaCl", "rocksalt", a=5.64, cubic=True) * (2, 1, 1))
        frames[-1].rattle(0.05 + 0.05 * seed, seed=seed)
    return frames


def make(parents=None, calc=CALC, **options):
    """Return a small job: 3 targets, 3 generations of 5."""
    return PolymorphGen(
        silicon((0.05, 0.15, 0.25, 0.3), (2, 1, 1)) if parents is None else parents,
        calc,
        **{
            "targets": [(-3.0, 0.3), (-2.0, 0.2), (-4.0, 0.45)],
            "generations": 3,
            "individuals": 5,
            **options,
        },
    )


def run(gen, path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return gen.run(path, progress=False)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Return the path of an uninterrupted library."""
    path = tmp_path_factory.mktemp("whole") / "library.extxyz"
    run(make(), path)
    return path


def test_frames_tell_their_lineage_and_the_table_is_that_of_the_frames(whole):
    gen = make()
    table = run(gen, whole)  # complete: read, not made again
    frames = read(whole, ":")
    assert len(table) == len(frames) == 45
    values = CALC.evaluate(frames)
    assert (values["sS"] == table.sS).all() and (values["Q6"] == table.Q6).all()
    volumes = np.array([a.cell.volume for a in frames])
    np.testing.assert_allclose(table.volume, volumes, rtol=1e-12)
    assert (table.file == str(whole)).all() and (table.frame == np.arange(45)).all()
    lineage = [(a.info["target"], a.info["generation"], a.info["individual"]) for a in frames]
    assert lineage == [(t, g, k) for t in range(3) for g in range(3) for k in range(5)]
    for number, atoms in enumerate(frames):
        info = atoms.info
        assert (info["sS"], info["Q6"]) == (table.sS[number], table.Q6[number])
        assert info["seed"] == 1 and info["parameters"] == gen.settings
        assert set(info["genes"]) <= set("DVSG") and "G" in info["genes"]
        origin, row = info["parent"][0], int(info["parent"][1:])
        if origin == "p":
            assert row < 4
        else:
            assert lineage[row][:2] == (info["target"], info["generation"] - 1)
    assert {a.info["parent"][0] for a in frames} == {"p", "f"}
    assert gen.settings["rmax"] == 6.0 and gen.settings["genes"]["rate"] == 0.3
    report = gen.reports[0]
    assert report.frames == 15 and report.evaluations == sum(
        a.info["evaluations"] for a in frames[:15]
    )
    assert report.hits > 0 and report.distance < 0.02


def test_the_map_beside_it_is_a_landscape_table(whole, tmp_path):
    table = LandscapeTable.read(whole.with_suffix(".csv"))
    assert table.parameters["sigma"] == 0.2
    again = run(make(), whole)
    for name, column in again.columns.items():
        np.testing.assert_array_equal(column, table.columns[name])
    # and the library is fit for selection
    rounds = multi_resolution(table, [(0.2, 0.02)])
    n, _ = write_sets(table, rounds, tmp_path / "a.extxyz", tmp_path / "b.extxyz", progress=False)
    assert n == (rounds == 0).sum() == len(read(tmp_path / "a.extxyz", ":"))


def test_same_library_for_any_number_of_cores_and_another_for_another_seed(whole, tmp_path):
    for processes in (2, 3):
        run(make(processes=processes), tmp_path / f"{processes}.extxyz")
        assert (tmp_path / f"{processes}.extxyz").read_bytes() == whole.read_bytes()
    run(make(seed=2), tmp_path / "other.extxyz")
    ours, others = read(whole, ":"), read(tmp_path / "other.extxyz", ":")
    for a, b in zip(ours, others):
        # but for the first one, which is not mutated
        direct = a.info["generation"] == a.info["individual"] == 0
        assert direct or (a.positions != b.positions).any()


@pytest.mark.parametrize("options", [{}, {"elitism": True, "hits": 3}, {"mode": "roulette"}],
                         ids=["guided", "elite", "roulette"])  # fmt: skip
def test_goes_on_after_a_kill_at_any_byte(options, tmp_path):
    path = tmp_path / "library.extxyz"
    run(make(**options), path)
    text, table = path.read_bytes(), path.with_suffix(".csv").read_bytes()
    frame = len(text) // len(read(path, ":"))
    cuts = [0, 1, 2, 3, 100, frame - 1, frame + 1, 5 * frame, 20 * frame + 7, len(text) - 1]
    rng = np.random.default_rng(1)
    cuts += rng.integers(0, len(text), 15).tolist()
    ends = [k + 1 for k, byte in enumerate(text) if byte == 10]
    cuts += rng.choice(ends, 10).tolist()  # whole lines
    for cut in cuts:
        path.write_bytes(text[:cut])
        run(make(**options), path)
        assert path.read_bytes() == text, cut
        assert path.with_suffix(".csv").read_bytes() == table, cut


KILLED = """
import pickle, sys
from ase_calculators import EntropySymmetry, PolymorphGen
parents, options = pickle.load(open(sys.argv[1], "rb"))
PolymorphGen(parents, EntropySymmetry(rmax=6.0, sigma=0.2, q6_cutoff=3.6), **options).run(
    sys.argv[2], progress=False
)
"""


def test_goes_on_after_real_kills(tmp_path):
    """SIGKILL at any moment: what stands in the file is kept, and the bytes are the same."""
    parents = silicon((0.05, 0.15, 0.25, 0.3), (2, 1, 1))
    options = {"targets": [(-3.0, 0.3)], "generations": 60, "individuals": 30, "mode": "roulette"}
    path, job = tmp_path / "library.extxyz", tmp_path / "job"
    job.write_bytes(pickle.dumps((parents, options)))
    before = b""
    for size in (1, 600_000):
        command = [sys.executable, "-c", KILLED, job, path]
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        try:
            while process.poll() is None and not (path.exists() and path.stat().st_size >= size):
                time.sleep(0.002)
        finally:
            process.kill()
            process.wait()
        frames = path.read_bytes()
        assert frames.startswith(before)
        with FrameFile(path) as file:
            before = b"".join(frame.text for frame in file if frame.complete)
        assert len(before) > 0
    run(make(parents, **options), path)
    run(make(parents, **options), tmp_path / "whole.extxyz")
    assert path.read_bytes() == (tmp_path / "whole.extxyz").read_bytes()
    assert path.read_bytes().startswith(before)


@pytest.mark.skipif(not os.path.exists("/proc/self/io"), reason="the system does not count writes")
def test_a_generation_is_written_at_once(tmp_path):
    """Each generation takes one write of frames and one of the map's rows."""

    def writes():
        with open("/proc/self/io") as file:
            return int(dict(line.split(":") for line in file)["syscw"])

    counts = []
    for individuals in (5, 40):
        gen = make(generations=10, individuals=individuals, mode="roulette")
        start = writes()
        run(gen, tmp_path / f"{individuals}.extxyz")
        counts.append(writes() - start)
    assert min(counts) >= 60 and max(counts) < 75  # 30 generations


def test_parts_of_a_generation(tmp_path, whole, monkeypatch):
    """A generation of many atoms is written in parts, with the same bytes."""
    monkeypatch.setattr(polymorph, "ATOMS_PER_WRITE", 33)  # of 16 atoms each: after three frames
    run(make(), tmp_path / "library.extxyz")
    assert (tmp_path / "library.extxyz").read_bytes() == whole.read_bytes()


def test_gaps_go_on_too(tmp_path):
    path = tmp_path / "library.extxyz"
    options = {"targets": "gaps", "targets_per_edge": 3, "generations": 2}
    gen = make(**options)
    with pytest.warns(UserWarning, match=r"targets not reached in 2 generations of 5: target"):
        gen.run(path, progress=False)
    text = path.read_bytes()
    assert len(gen.targets) == len(gen.reports) > 2
    for cut in (10, len(text) // 3, len(text) // 2, len(text) - 5):
        path.write_bytes(text[:cut])
        again = make(**options)
        run(again, path)
        assert path.read_bytes() == text
        assert (again.targets == gen.targets).all() and again.reports == gen.reports


def test_limits_hold_in_the_library(tmp_path):
    # one direction only is open to the genes; the volume and the angles are pressed against
    gen = make(
        silicon((0.05, 0.12, 0.15), (2, 1, 1)),
        genes=Genes(displacement=0.15, volume=0.1, shape=0.1), min_distance={("Si", "Si"): 1.8},
        volume_limits=(19.0, 21.0), angle_limits=(86.0, 94.0),
    )  # fmt: skip
    table = run(gen, tmp_path / "library.extxyz")
    assert len(table) > 30
    assert gen.rejected["volume"] > 0 and gen.rejected["angle"] > 0
    per_atom = table.volume / 16
    assert per_atom.min() >= 19 and per_atom.max() <= 21
    for atoms in read(tmp_path / "library.extxyz", ":"):
        assert neighbor_list("d", atoms, 3.0).min() >= 1.8
        assert np.abs(atoms.cell.angles() - 90).max() <= 4.0


def test_frozen_elements_stay_and_swaps_keep_the_composition(tmp_path):
    parents = salt()
    order = np.argsort(parents[0].get_chemical_symbols(), kind="stable")
    calc = EntropySymmetry(rmax=6.0, sigma=0.2, q6_cutoff=3.6)
    genes = Genes(volume=0.0, shape=0.0, frozen="Cl")
    run(make(parents, calc, genes=genes, targets=[(-3.0, 0.2)]), tmp_path / "a.extxyz")
    frames = read(tmp_path / "a.extxyz", ":")
    chlorine = frames[0].symbols == "Cl"
    starts = [parent.positions[order][chlorine] for parent in parents]
    for atoms in frames:
        assert any((atoms.positions[chlorine] == start).all() for start in starts)

    genes = Genes(swaps=2, probabilities=(0.0, 0.0, 0.0, 1.0))
    run(make(parents, genes=genes, mode="roulette", min_distance=1.0), tmp_path / "b.extxyz")
    frames = read(tmp_path / "b.extxyz", ":")
    assert {str(a.symbols.formula.format("metal")) for a in frames} == {"Na8Cl8"}
    assert {a.info["genes"] for a in frames} == {"X"}


def test_elements_that_do_not_count(tmp_path):
    calc = EntropySymmetry(rmax=6.0, sigma=0.2, q6_cutoff=4.5, elements="Na")
    table = run(make(salt(), calc, targets=[(-3.0, 0.2)]), tmp_path / "library.extxyz")
    values = calc.evaluate(read(tmp_path / "library.extxyz", ":"))
    np.testing.assert_allclose(values["sS"], table.sS, rtol=1e-12)
    np.testing.assert_allclose(values["Q6"], table.Q, rtol=1e-12)


def test_clusters(tmp_path):
    calc = EntropySymmetry(rmax=4.0, sigma=0.2, q6_cutoff=3.5, number_density=0.05)
    parents = [Atoms("Si8", atoms.positions) for atoms in silicon((0.05, 0.1, 0.2), 1)]
    table = run(make(parents, calc, targets="edges", targets_per_edge=2), tmp_path / "l.extxyz")
    assert len(table) == 60 and np.isnan(table.volume).all()
    values = calc.evaluate(read(tmp_path / "l.extxyz", ":"))
    assert (values["sS"] == table.sS).all()


def test_targets_and_window():
    window = (-6.0, 0.0, 0.0, 0.9)
    edges = make(targets="edges", targets_per_edge=4, window=window).targets
    assert len(edges) == len({tuple(p) for p in edges.round(9).tolist()}) == 12
    for point in edges:
        assert point[0] in window[:2] or point[1] in window[2:]
    for corner in ((-6.0, 0.0), (-6.0, 0.9), (0.0, 0.0), (0.0, 0.9)):
        assert (np.abs(edges - corner).max(axis=1) < 1e-12).sum() == 1
    grid = make(targets="grid", targets_per_edge=4, window=window).targets
    assert len(grid) == 16 and [-4.0, 0.3] in grid.round(9).tolist()
    # the parents' own window, moved outwards by a share of its extents, Q not below 0
    parents = silicon()
    values = np.column_stack(list(CALC.evaluate(parents).values()))
    low, high = values.min(axis=0), values.max(axis=0)
    low, high = low - 0.1 * (high - low), high + 0.1 * (high - low)
    expected = low[0], high[0], max(low[1], 0.0), high[1]
    assert make(parents).window == pytest.approx(expected)


def test_guided_reaches_a_target_off_the_ridge_that_roulette_does_not(tmp_path):
    parents = silicon()
    target = [(-1.0, 0.45)]  # as disordered as the last parent, twice as symmetric as the second
    reports = {}
    for mode, individuals in (("guided", 10), ("roulette", 40)):
        gen = make(parents, targets=target, mode=mode, individuals=individuals, generations=12,
                   hits=10 if mode == "guided" else None)  # fmt: skip
        run(gen, tmp_path / f"{mode}.extxyz")
        reports[mode] = gen.reports[0]
    guided, roulette = reports["guided"], reports["roulette"]
    # measured: 12 hits, nearest 0.0002, in 319 evaluations; none, nearest 0.09, in 436
    assert guided.evaluations < roulette.evaluations
    assert guided.hits >= 10 and guided.distance < 0.005
    assert roulette.hits == 0


def test_unreachable_target_stops_and_tells_the_nearest_point(tmp_path):
    gen = make(targets=[(-3.0, 0.3), (5.0, 0.99)])
    with pytest.warns(
        UserWarning,
        match=r"^1 of 2 targets not reached in 3 generations of 5: target 1 at sS = 5, Q = 0.99, "
        r"nearest sS = -?[\d.]+, Q = [\d.]+, [\d.]+ of the window away",
    ):
        table = gen.run(tmp_path / "library.extxyz", progress=False)
    report = gen.reports[1]
    assert report.frames <= 15 and report.hits == 0
    extent = np.array([gen.window[1] - gen.window[0], gen.window[3] - gen.window[2]])
    d = np.linalg.norm((np.column_stack((table.sS, table.Q)) - (5.0, 0.99)) / extent, axis=1)
    assert report.distance <= d[15:].min() + 1e-12


def test_a_target_ends_after_enough_hits(tmp_path):
    gen = make(targets=[(-3.0, 0.3)], hits=2, generations=10)
    run(gen, tmp_path / "library.extxyz")
    assert gen.reports[0].hits >= 2 and gen.reports[0].frames <= 15


def test_a_full_disk_leaves_a_readable_library(tmp_path):
    path = tmp_path / "library.extxyz"
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    try:
        with pytest.raises(OSError, match=r"written so far stay readable.*library.extxyz") as error:
            make().run(path, progress=False)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "\n" not in str(error.value)
    assert 0 < len(read(path, ":")) < 45
    run(make(), path)
    assert len(read(path, ":")) == 45


def test_one_run_at_a_time(tmp_path):
    with open(tmp_path / "library.extxyz", "ab") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(ValueError, match=r"another run is writing to it; wait for it or use"):
            run(make(), tmp_path / "library.extxyz")
    run(make(generations=1), tmp_path / "library.extxyz")


def test_unwritable_path(tmp_path):
    with pytest.raises(OSError, match="nowhere"):
        make().run(tmp_path / "nowhere" / "library.extxyz", progress=False)
    with pytest.raises(ValueError, match=r"library.csv': the map is written as .csv"):
        make().run(tmp_path / "library.csv")


def test_a_library_of_other_parameters_is_refused_and_left_alone(whole):
    before = whole.read_bytes()
    for options, message in (
        ({"seed": 7}, r"was made with seed = 1; this run has seed = 7; use another file"),
        ({"generations": 4, "mode": "roulette"},
         r"generations = 3, mode = guided, steps = 6; this run has generations = 4, mode = roul"),
        ({"calc": EntropySymmetry(rmax=6.0, sigma=0.25, q6_cutoff=3.6)}, r"sigma = 0.2.*= 0.25"),
        ({"parents": silicon((0.05, 0.3), (2, 1, 1))}, r"parents = \w+.*this run has.*parents = "),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=message) as error:
            make(**options).run(whole, progress=False)
        assert "\n" not in str(error.value)
    assert whole.read_bytes() == before


def test_whole_numbers_and_rounding_are_no_other_parameters(tmp_path):
    """The last digit of the window depends on the processor, as sS and Q do."""
    path, options = tmp_path / "library.extxyz", {"generations": 1}
    gen = make(angle_limits=(30, 150), genes=Genes(volume=0), **options)
    run(gen, path)
    low = gen.window[0]
    text = path.read_text().replace(repr(low), repr(float(np.nextafter(low, 0.0))))
    path.write_text(text[: len(text) * 2 // 3])
    run(make(genes=Genes(volume=0.0), **options), path)
    frames = read(path, ":")
    assert len(frames) == text.count("Lattice")
    assert {frame.info["target"] for frame in frames} == {0, 1, 2}
    with pytest.raises(ValueError, match=r"volume_limits = \[[\d., ]+\]; this run has volume_lim"):
        make(genes=Genes(volume=0.0), volume_limits=(1, 99.0), **options).run(path, progress=False)


def test_zeros_behind_the_last_frame_are_cut_off(tmp_path):
    path = tmp_path / "library.extxyz"
    run(make(generations=1), path)
    before = path.read_bytes()
    path.write_bytes(before + bytes(10_000))
    run(make(generations=1), path)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "text",
    ["hello\n", "1\nH\nH 0 0 0\n", "1\nH\nH 0 0 0", json.dumps({}) + "\n", "hello", "1\nhello",
     "\n", "42\n", "99999999999\n", "7", "42\nLattice="],
    ids=["words", "xyz", "unfinished", "json", "one-line", "comment", "empty-line", "number",
         "large-number", "digit", "other-number"],
)  # fmt: skip
def test_other_files_are_refused_and_left_alone(text, tmp_path):
    path = tmp_path / "library.extxyz"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"is not a library of PolymorphGen; use another file"):
        make().run(path, progress=False)
    assert path.read_text() == text


def skewed():
    atoms = silicon((0.2,), (2, 1, 1))[0]
    atoms.set_cell(atoms.cell.array @ [[1, 0, 0], [3, 1, 0], [0, 0, 1]])
    return [*silicon((0.05,), (2, 1, 1)), atoms]


def slabs():
    frames = silicon((0.05, 0.2), (2, 1, 1))
    frames[1].pbc = True, True, False
    return frames


SI = Genes()
BAD = {
    "no-parents": ({"parents": []}, r"parents: there are none"),
    "other-numbers": (
        {"parents": [*silicon((0.1,), 1), *silicon((0.1,), 2)]},
        r"parents: parent 1 is Si64, parent 0 is Si8; all must have",
    ),
    "other-elements": (
        {"parents": [*silicon((0.1,), (2, 1, 1)), salt()[0]]}, r"parent 1 is Na8Cl8"
    ),
    "other-pbc": ({"parents": slabs()}, r"pbc of parent 1 is \[True, True, False\]"),
    "one-point": ({"parents": silicon((0.1,))}, r"parents: all have sS = .* spans no window"),
    "outside": (
        {"window": (-3.0, -2.0, 0.1, 0.2)},
        r"parents: parent 0 at sS = .* lies outside the window \(-3.0, -2.0, 0.1, 0.2\); widen",
    ),
    "window": ({"window": (-2.0, -3.0, 0.1, 0.2)}, r"window = .*: must be sS_min < sS_max"),
    "targets": ({"targets": "corners"}, r"targets = 'corners': choose edges, grid, gaps"),
    "targets-shape": ({"targets": [1.0, 2.0]}, r"targets: has shape \(2,\)"),
    "targets-nan": ({"targets": [(np.nan, 0.1)]}, r"targets: every sS and Q must be finite"),
    "per-edge": ({"targets_per_edge": 1}, r"targets_per_edge = 1: must be a whole number from 2"),
    "expand": ({"expand": -0.1}, r"expand = -0.1: must be 0 or more"),
    "generations": ({"generations": 0}, r"generations = 0: must be a whole number from 1 to"),
    "individuals": ({"individuals": 2.5}, r"individuals = 2.5: must be a whole number from 1 to"),
    "mode": ({"mode": "blind"}, r"mode = 'blind': choose guided or roulette"),
    "processes": ({"processes": 0}, r"processes = 0: must be"),
    "fresh": ({"fresh": 2.0}, r"fresh = 2.0: must lie between 0 and 1"),
    "seed": ({"seed": -1}, r"seed = -1: must be"),
    "hits": ({"hits": 0}, r"hits = 0: must be"),
    "zero-amplitudes": (
        {"genes": Genes(0.0, 0.0, 0.0)}, r"genes: every amplitude or probability is 0"
    ),
    "negative": ({"genes": Genes(displacement=-1.0)}, r"displacement = -1: must be finite"),
    "frozen": (
        {"genes": Genes(frozen="Ge")}, r"frozen: 'Ge' is not an element of the parents \(Si\)",
    ),
    "all-frozen": ({"genes": Genes(volume=0, shape=0, frozen="Si")}, r"frozen: every element is"),
    "swaps": ({"genes": Genes(swaps=1)}, r"swaps = 1: needs free atoms of two elements"),
    "impossible-distance": (
        {"min_distance": 3.0},
        r"min_distance Si-Si = 3: no parent keeps to it, the best has such a pair at [\d.]+; low",
    ),
    "negative-distance": ({"min_distance": -1.0}, r"min_distance Si-Si = -1: must be finite"),
    "other-pair": (
        {"min_distance": {("Si", "O"): 1.0}}, r"min_distance: \('Si', 'O'\) is not a pair",
    ),
    "volume": ({"volume_limits": (30.0, 40.0)}, r"volume_limits = .*: parent 0 has 20.02 per"),
    "volume-order": ({"volume_limits": (30.0, 20.0)}, r"volume_limits = .*: must be .* rise"),
    "angle": ({"parents": skewed()}, r"angle_limits = .*: parent 1 has an angle of 18.43 degrees"),
    "volume-number": ({"volume_limits": 20.0}, r"volume_limits = 20.0: must be two numbers"),
    "angle-number": ({"angle_limits": (30.0,)}, r"angle_limits = \(30.0,\): must be two numbers"),
    "angle-order": ({"angle_limits": (120.0, 60.0)}, r"angle_limits = .*: must be .* rise"),
}  # fmt: skip


@pytest.mark.parametrize(("options", "message"), BAD.values(), ids=BAD)
def test_bad_input_is_told_in_one_line(options, message):
    with pytest.raises(ValueError, match=message) as error:
        make(**options)
    assert "\n" not in str(error.value)


def test_one_atoms_object_is_no_list():
    with pytest.raises(TypeError, match=r"parents: must be an iterable of Atoms.*pass \[atoms\]"):
        make(parents=silicon((0.1,))[0])


def test_default_distance_is_a_share_of_the_covalent_radii():
    gen = make(salt(), min_distance={("Na", "Cl"): 2.0})
    assert gen.settings["min_distance"] == pytest.approx(
        np.array([[0.8 * 2 * 1.02, 2.0], [2.0, 0.8 * 2 * 1.66]])
    )
    assert polymorph.COVALENT_SHARE == 0.8


def test_small_numbers_survive_the_file():
    assert [polymorph._digits(x) for x in (1e-5, -2.5e-7, 0.1, -3.0)] == [
        "1.0e-05", "-2.5e-07", "0.1", "-3.0",
    ]  # fmt: skip


def test_map_grows_with_the_library(whole):
    with open(whole.with_suffix(".csv"), newline="") as file:
        rows = list(csv.reader(line for line in file if not line.startswith("#")))
    assert rows[0] == ["frame", "file", "sS", "Q6", "n_atoms", "volume", "energy"]
    assert [int(row[0]) for row in rows[1:]] == list(range(45))


# --- a library that is damaged, or changed by others ----------------------------------------------


def frames_of(text):
    lines = text.splitlines(keepends=True)
    return ["".join(lines[k : k + 18]) for k in range(0, len(lines), 18)]


DAMAGE = {
    "NaN value": (lambda f: [*f[:3], re.sub(r" sS=\S+", " sS=nan", f[3]), *f[4:]],
                  r"frame 3 has sS and Q that are not finite; cut the file off before it"),
    "NaN position": (lambda f: [*f[:3], re.sub(r"\nSi \S+", "\nSi nan", f[3], count=1), *f[4:]],
                     r"frame 3 has positions that are not finite"),
    "word": (lambda f: [*f[:3], re.sub(r"\nSi \S+", "\nSi one", f[3], count=1), *f[4:]],
             r"frame 3 is damaged \(.*one"),
    "element": (lambda f: [*f[:3], re.sub(r"\nSi ", "\nGe ", f[3], count=1), *f[4:]],
                r"frame 3 holds other atoms"),
    "no value": (lambda f: [*f[:3], re.sub(r" sS=\S+", "", f[3]), *f[4:]], r"frame 3 is damaged"),
    "doubled": (lambda f: [*f[:4], f[3], *f[4:]],
                r"frame 4 is frame 3 of target 0, generation 0, individual 3: a frame is missing, "
                r"doubled or out of order"),
    "missing": (lambda f: [*f[:3], *f[4:]], r"frame 3 is frame 4 of target 0"),
    "doubled, of old": (lambda f: [re.sub(r" frame=\d+", "", x) for x in (*f[:4], f[3], *f[4:])],
                        r"frame 4 is frame \? of target 0"),
    "count": (lambda f: [*f[:3], "99999999999" + f[3][2:], *f[4:]],
              r"frame 3 says 99999999999 atoms, the parents have 16"),
}  # fmt: skip


@pytest.mark.parametrize(("damage", "message"), DAMAGE.values(), ids=DAMAGE)
def test_damaged_library(whole, tmp_path, damage, message):
    path = tmp_path / "library.extxyz"
    path.write_text("".join(damage(frames_of(whole.read_text()))))
    before = path.read_bytes()
    with pytest.raises(ValueError, match=message) as error:
        make().run(path, progress=False)
    assert "\n" not in str(error.value) and str(path) in str(error.value)
    assert path.read_bytes() == before


@pytest.mark.parametrize("name", ["library.extxyz", "library.csv"])
@pytest.mark.parametrize("tamper", ["removed", "emptied", "replaced", "written to"])
def test_library_or_map_changed_while_it_grows(tmp_path, name, tamper):
    path, errors = tmp_path / "library.extxyz", []

    def work():
        try:
            make(generations=500, individuals=10).run(path, progress=False)
        except ValueError as error:
            errors.append(str(error))

    thread = threading.Thread(target=work)
    thread.start()
    while not (path.exists() and path.stat().st_size > 30_000):
        time.sleep(0.01)
    victim = tmp_path / name
    if tamper == "removed":
        victim.unlink()
    elif tamper == "emptied":
        os.truncate(victim, 0)
    elif tamper == "replaced":
        (tmp_path / "other").write_bytes(victim.read_bytes())
        os.replace(tmp_path / "other", victim)
    else:
        with open(victim, "a") as file:
            file.write("mine\n")
    thread.join(60)
    assert not thread.is_alive()
    [message] = errors
    assert message.startswith(f"{victim}: was ") and tamper in message


def test_another_file_in_the_place_of_the_map(tmp_path):
    (tmp_path / "library.csv").write_text("a,b\n1,2\n")
    with pytest.raises(ValueError, match=r"library.csv: the map of the library is to be written"):
        make().run(tmp_path / "library.extxyz", progress=False)
    assert (tmp_path / "library.csv").read_text() == "a,b\n1,2\n"


def test_devices_and_pipes(tmp_path):
    for name in ("library.extxyz", "library.csv"):
        (tmp_path / name).symlink_to("/dev/full")
        with pytest.raises(ValueError, match=f"{name}: must be a regular file; use another path"):
            make().run(tmp_path / "library.extxyz", progress=False)
        (tmp_path / name).unlink()
    os.mkfifo(tmp_path / "library.extxyz")
    with pytest.raises(ValueError, match="must be a regular file"):
        make().run(tmp_path / "library.extxyz", progress=False)
