# SPDX-License-Identifier: BSD-3-Clause
"""Choices of frames, learning curves of a model that learns in milliseconds, their knee."""

import sys
import threading
import time
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator
from matplotlib.figure import Figure
from scipy.spatial.distance import cdist

from ase_calculators import EntropySymmetry, LandscapeTable, map_landscape
from ase_calculators.distillation.scaling import (
    Trial,
    choose,
    farthest_point,
    fit_knee,
    gapped,
    halvings,
    inside,
    learning_curve,
    mean_and_spread,
    plot_curves,
    random,
    read_library,
    trainer,
    uniform,
)
from ase_calculators.distillation.training import Training, TrainingProgress, run_programs
from ase_calculators.provenance import json_lines

sys.path.insert(0, str(Path(__file__).parent))
from pair_model import PairModel

GAP = (-3.5, -2.0, 0.1, 0.3)


@pytest.fixture(scope="module")
def table():
    """3,000 points, crowded in one corner."""
    rng = np.random.default_rng(4)
    n = 3000
    sS, Q = -5 + 4 * rng.random(n) ** 2, 0.5 * rng.random(n) ** 2
    return LandscapeTable(
        frame=range(n), file=[""] * n, sS=sS, Q=Q, n_atoms=[1] * n, volume=[1] * n,
        energy=[0] * n, parameters={"degree": 6},
    )  # fmt: skip


def test_uniform_takes_other_frames_of_the_same_cells(table):
    one, two = uniform(table, 100, 1), uniform(table, 100, 2)
    assert (one == uniform(table, 100, 1)).all()
    assert abs(len(one) - 100) <= 5 and len(one) == len(two)
    assert len(np.setdiff1d(one, two)) > 30
    # even: the crowded corner has no larger share than its area; at random it has
    corner = (table.sS < -4) & (table.Q < 0.125)
    assert corner.mean() > 0.2
    assert corner[one].mean() < 0.12 < corner[random(table, 100, 1)].mean()


@pytest.mark.parametrize("way", ["uniform", "random", "farthest point"])
def test_choices_keep_to_the_rows(table, way):
    rows = np.arange(500, 900)
    chosen = choose(way, table, 50, 3, rows)
    assert set(chosen) <= set(rows.tolist()) and len(set(chosen.tolist())) == len(chosen)
    assert len(choose(way, table, 400, 3, rows)) > 380
    with pytest.raises(ValueError, match="n = 401: must be a whole number from 1 to 400"):
        choose(way, table, 401, 3, rows)


def test_random_counts(table):
    chosen = random(table, 70, 1)
    assert len(np.unique(chosen)) == 70
    assert len(np.intersect1d(chosen, random(table, 70, 2))) < 20


def test_farthest_point_is_the_farthest_and_nested(table):
    chosen = farthest_point(table, 40, 5)
    points = np.column_stack((table.sS, table.Q)) / np.ptp((table.sS, table.Q), axis=1)
    for k in (1, 7, 39):
        distance = cdist(points, points[chosen[:k]]).min(axis=1)
        assert distance[chosen[k]] == distance.max()
    assert (farthest_point(table, 15, 5) == chosen[:15]).all()


def test_gapped_leaves_the_window_out(table):
    within = inside(table, GAP)
    assert 50 < within.sum() < 1000
    chosen = gapped(table, GAP, 100, 1)
    assert not within[chosen].any() and abs(len(chosen) - 100) <= 5
    assert within[uniform(table, 100, 1)].any()
    with pytest.raises(ValueError, match=r"gap = .*: must be sS_min < sS_max"):
        gapped(table, (-2.0, -3.5, 0.1, 0.3), 100)


def test_halvings():
    assert halvings(800, 25) == [25, 50, 100, 200, 400, 800]
    assert halvings(100, 30) == [50, 100]
    with pytest.raises(ValueError, match="minimum = 9: must be from 1 to n = 8"):
        halvings(8, 9)


# --- the knee -------------------------------------------------------------------------------------


def test_knee_is_found_in_noise():
    n = np.repeat([25, 50, 100, 200, 400, 800, 1600], 3)
    noise = np.random.default_rng(1).normal(0, 0.03, len(n))
    knee = fit_knee(n, 20 * (1 + (150 / n) ** 0.9) * np.exp(noise))
    # three times the standard error of the fit
    assert abs(np.log(knee.number / 150)) < 3 * np.log(knee.factor)
    assert 1.02 < knee.factor < 2 and knee.resolved
    assert knee.plateau == pytest.approx(20, rel=0.1) and knee.exponent == pytest.approx(0.9, 0.2)
    assert knee(150) == pytest.approx(2 * knee.plateau, rel=0.2)
    assert "knee at" in str(knee)


def test_no_knee_in_a_power_law():
    n = np.array([25, 50, 100, 200, 400, 800])
    knee = fit_knee(n, 100 * n**-0.5)
    assert not knee.resolved and knee.exponent == pytest.approx(0.5, abs=0.02)
    assert "no knee" in str(knee)
    with pytest.raises(ValueError, match="four different numbers"):
        fit_knee([10, 20, 40, 40], [3, 2, 1, 1])


# --- learning curves ------------------------------------------------------------------------------


def labelled(n, seed):
    """Strained and rattled fcc cells of Al with EMT's labels."""
    rng = np.random.default_rng(seed)
    frames = []
    for _ in range(n):
        atoms = bulk("Al", cubic=True) * (2, 2, 1)
        atoms.set_cell(atoms.cell.array @ (np.eye(3) + rng.uniform(-0.04, 0.04, (3, 3))), True)
        atoms.positions += rng.normal(0, rng.uniform(0.02, 0.15), atoms.positions.shape)
        atoms.calc = EMT()
        results = {key: atoms.calc.get_property(key, atoms) for key in ("energy", "forces")}
        atoms.calc = SinglePointCalculator(atoms, **results)
        frames.append(atoms)
    return frames


@pytest.fixture(scope="module")
def library():
    """Training frames, test frames, and the landscape of the former."""
    frames = labelled(90, 1)
    calc = EntropySymmetry(5.5, 0.2, 3.5)
    return frames, labelled(15, 2), map_landscape(frames, calc, progress=False)


class Counting:
    """Train pair models and count them."""

    def __init__(self):
        self.n = 0

    def __call__(self, frames, seed, folder):
        self.n += 1
        return PairModel(frames)


def curve(library, folder, train, numbers=(2, 4, 8, 64), **options):
    frames, test, table = library
    trials = [
        Trial(way, choose(way, table, n, seed), seed)
        for seed in (1, 2) for n in numbers for way in ("uniform", "random")
    ]  # fmt: skip
    return learning_curve(trials, frames, test, train, folder, progress=False, **options)


def test_errors_fall_and_a_killed_curve_goes_on(library, tmp_path):
    train = Counting()
    records = curve(library, tmp_path, train)
    assert train.n == len(records) == 16
    rmse = mean_and_spread(records, "errors", "all", "forces")["random"]
    assert rmse[0, 1] > 2 * rmse[-1, 1] and (rmse[:, 3] == 2).all() and rmse[0, 2] > 0
    # by hand, from the last model's own results
    frames, test, table = library
    model = PairModel([frames[k] for k in random(table, 64, 2)])
    difference = []
    for atoms in test:
        copy = atoms.copy()
        copy.calc = model
        difference.append(copy.get_forces() - atoms.get_forces())
    by_hand = 1e3 * np.sqrt(np.mean(np.square(difference)))
    assert records[-1]["errors"]["all"]["forces"] == pytest.approx(by_hand, rel=1e-9)

    # a kill in the middle of a line: that model is trained again, and no other
    path = tmp_path / "curve.jsonl"
    path.write_text(path.read_text()[:-200])
    again = curve(library, tmp_path, train)
    assert train.n == 17
    assert [r["errors"] for r in again] == [r["errors"] for r in records]
    assert again[0]["versions"]["numpy"] == np.__version__ and again[0]["test_set"]
    # other settings are other models
    curve(library, tmp_path, train, numbers=(8,), settings={"steps": 5})
    assert train.n == 21
    at_once = curve(library, tmp_path / "at_once", Counting(), processes=2)
    assert [r["errors"] for r in at_once] == [r["errors"] for r in records]


def test_other_labels_are_another_model_and_equal_trials_one(library, tmp_path):
    frames, test, table = library
    train = Counting()
    trial = Trial("random", choose("random", table, 8, 1), 1)
    (first,) = learning_curve([trial, trial], frames, test, train, tmp_path, progress=False)
    assert train.n == 1
    relabelled = [atoms.copy() for atoms in frames]
    for new, old in zip(relabelled, frames, strict=True):
        new.calc = SinglePointCalculator(
            new, energy=2 * old.get_potential_energy(), forces=2 * old.get_forces()
        )
    (other,) = learning_curve([trial], relabelled, test, train, tmp_path, progress=False)
    assert train.n == 2 and other["key"] != first["key"]


def test_what_is_done_is_kept_when_another_model_fails(library, tmp_path):
    frames, test, table = library
    failed = threading.Event()

    def train(frames, seed, folder):
        if seed == 2:
            failed.set()
            raise FloatingPointError("the loss is not finite")
        assert failed.wait(60)
        return PairModel(frames)

    trials = [Trial("random", choose("random", table, 8, seed), seed) for seed in (1, 2, 3)]
    with pytest.raises(FloatingPointError, match="the loss is not finite"):
        learning_curve(trials, frames, test, train, tmp_path, processes=2, progress=False)
    assert {1} <= {line["seed"] for line in json_lines(tmp_path / "curve.jsonl")} <= {1, 3}


def test_programs_of_other_models_stop_when_one_fails(library, tmp_path):
    frames, test, table = library
    began = threading.Event()

    def look():
        began.set()
        return TrainingProgress(0, "")

    def train(frames, seed, folder):
        if seed == 1:
            program = [sys.executable, "-c", "import time; time.sleep(600)"]
            run_programs(
                [Training("long", program, folder, look, lambda at: None, lambda: None)], 1, "steps"
            )
        assert began.wait(60)
        raise FloatingPointError("the loss is not finite")

    trials = [Trial("random", choose("random", table, 8, seed), seed) for seed in (1, 2)]
    start = time.monotonic()
    with pytest.raises(FloatingPointError, match="the loss is not finite"):
        learning_curve(trials, frames, test, train, tmp_path, processes=2, progress=False)
    assert time.monotonic() - start < 120  # and not the 600 s of the other


def test_library_and_its_table(library, tmp_path):
    frames, _, table = library
    ase.io.write(tmp_path / "library.extxyz", frames)
    table.write(tmp_path / "landscape.csv")
    read, found = read_library(tmp_path / "library.extxyz")
    assert len(read) == len(found) == len(frames)
    ase.io.write(tmp_path / "library.extxyz", frames[1:])
    with pytest.raises(ValueError, match=r"landscape.csv': is not that of .*map it again"):
        read_library(tmp_path / "library.extxyz")


def test_groups_judge_and_picture(library, tmp_path):
    _, test, _ = library
    quiet = np.array([np.abs(a.get_forces()).max() < 1.2 for a in test])
    assert 3 < quiet.sum() < 13
    records = curve(
        library, tmp_path, Counting(), groups={"quiet": quiet, "loud": ~quiet},
        judge=lambda model, folder: {"first": float(model.weights[0])},
    )  # fmt: skip
    e = records[-1]["errors"]
    parts = quiet.mean() * e["quiet"]["forces"] ** 2 + (~quiet).mean() * e["loud"]["forces"] ** 2
    assert parts == pytest.approx(e["all"]["forces"] ** 2)
    assert e["quiet"]["forces"] < e["loud"]["forces"]
    assert mean_and_spread(records, "judged", "first")["uniform"].shape == (4, 4)
    figure = Figure()
    knee = plot_curves(figure.subplots(), records, "all", "forces", fit="uniform")
    assert knee.plateau > 0
    assert len(figure.axes[0].lines) >= 3


def test_bad_input(library, tmp_path):
    frames, test, table = library
    bad = [Trial("own", np.array([0, 1]), 1)]
    with pytest.raises(ValueError, match="trial 'own': holds frames of the test set"):
        learning_curve(bad, frames, frames[:3], Counting(), tmp_path, progress=False)
    with pytest.raises(ValueError, match="trial 'none': has no frames"):
        learning_curve([Trial("none", np.array([], int), 1)], frames, test, Counting(), tmp_path)
    with pytest.raises(ValueError, match=r"groups\['no'\]: must mark some of the 15"):
        learning_curve(bad, frames, test, Counting(), tmp_path, {"no": np.zeros(15, bool)})
    with pytest.raises(ValueError, match="processes = 0: must be a whole number, 1 or more"):
        learning_curve([], frames, test, Counting(), tmp_path, processes=0, progress=False)
    with pytest.raises(ValueError, match="selection = 'best': choose from uniform, random"):
        choose("best", table, 3)
    with pytest.raises(ValueError, match="model = 'DFT': must be student or teacher"):
        trainer("DFT")
