# SPDX-License-Identifier: BSD-3-Clause
"""Choices of training frames, learning curves, and the number of frames where these level off.

A learning curve takes any function from frames to a calculator, so that students, teachers and
models of your own are measured in the same way.
"""

import hashlib
import time
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor, as_completed
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from ase import Atoms
from tqdm.auto import tqdm

from ase_calculators.argument_checks import check_whole
from ase_calculators.distillation.prediction import QUANTITIES, errors, predict, structure_hash
from ase_calculators.distillation.student import open_student, train_student
from ase_calculators.distillation.teacher import open_teacher, train_teacher
from ase_calculators.distillation.training import read_profile, stop_programs
from ase_calculators.figures import COLORS, tidy
from ase_calculators.frame_source import read_frames
from ase_calculators.landscape import LandscapeTable
from ase_calculators.provenance import (
    PACKAGES,
    add_json_line,
    fingerprint,
    json_lines,
    jsonable,
    versions,
)
from ase_calculators.selection import select
from ase_calculators.training_sets import DFT, labels, write_deepmd

_SHARE = 10  # every tenth frame is for validation
SELECTIONS = ("uniform", "random", "farthest point")


def read_library(
    library: str | PathLike[str], landscape: str | PathLike[str] | None = None
) -> tuple[LandscapeTable, list[Atoms]]:
    """Read labelled frames and their landscape.

    Parameters
    ----------
    library : path-like
        The frames.
    landscape : path-like, optional
        Their table. Default: ``landscape.csv`` next to the library.

    Returns
    -------
    (LandscapeTable, list of ase.Atoms)
        The table, and the frame of each of its rows.

    Raises
    ------
    ValueError
        If the table is of other frames.
    """
    path = Path(landscape or Path(library).with_name("landscape.csv"))
    table, found = LandscapeTable.read(path), list(read_frames(library))
    frames = [found[number] for number in table.frame if number < len(found)]
    volumes = [atoms.get_volume() for atoms in frames]
    if len(frames) < len(table) or not np.allclose(volumes, table.volume, rtol=1e-6):
        raise ValueError(
            f"landscape = {str(path)!r}: is not that of {str(library)!r}; map it again with "
            "map_landscape"
        )
    return table, frames


def uniform(
    table: LandscapeTable, n: int, seed: int = 0, rows: np.ndarray | None = None
) -> np.ndarray:
    """Choose about n frames evenly from the landscape: one of each cell of a grid, drawn at random.

    Parameters
    ----------
    table : LandscapeTable
        The landscape.
    n : int
        Number of frames; the grid nearest to it is taken, as in `select`.
    seed : int
        Random seed: each one takes other frames from the same cells.
    rows : array of int, optional
        Rows to choose from. Default: all.

    Returns
    -------
    (about n,) int64
        Rows of the table, ascending.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> table = LandscapeTable(
    ...     frame=range(500), file=[""] * 500, sS=rng.uniform(-5, -1, 500),
    ...     Q=rng.uniform(0, 0.5, 500), n_atoms=[1] * 500, volume=[1] * 500, energy=[0] * 500,
    ...     parameters={"degree": 6})
    >>> len(uniform(table, 50))
    50
    """
    rows = _pool(table, n, rows)
    drawn = np.random.default_rng(seed).random(len(rows))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a grid with exactly n cells may not exist, see above
        return rows[select(table.take(rows), n, score=drawn).rows]


def random(
    table: LandscapeTable, n: int, seed: int = 0, rows: np.ndarray | None = None
) -> np.ndarray:
    """Choose n frames at random.

    Parameters
    ----------
    table : LandscapeTable
        The landscape.
    n : int
        Number of frames.
    seed : int
        Random seed.
    rows : array of int, optional
        Rows to choose from. Default: all.

    Returns
    -------
    (n,) int64
        Rows of the table, ascending.
    """
    rows = _pool(table, n, rows)
    return np.sort(np.random.default_rng(seed).choice(rows, n, replace=False))


def farthest_point(
    table: LandscapeTable, n: int, seed: int = 0, rows: np.ndarray | None = None
) -> np.ndarray:
    """Choose n frames one after the other, each farthest from those before it.

    Distances are Euclidean in (sS, Q), each in units of its extent over the rows; the first frame
    is drawn at random (T. F. Gonzalez, Theor. Comput. Sci. 38, 293 (1985)).

    Parameters
    ----------
    table : LandscapeTable
        The landscape.
    n : int
        Number of frames.
    seed : int
        Random seed of the first frame.
    rows : array of int, optional
        Rows to choose from. Default: all.

    Returns
    -------
    (n,) int64
        Rows of the table, in the order of choice: the first k are the choice of k frames.
    """
    rows = _pool(table, n, rows)
    points = np.column_stack((table.sS, table.Q))[rows]
    extent = np.ptp(points, axis=0)
    points = points / np.where(extent > 0, extent, 1.0)
    chosen = [int(np.random.default_rng(seed).integers(len(rows)))]
    distance = np.full(len(rows), np.inf)
    while len(chosen) < n:
        distance = np.minimum(distance, ((points - points[chosen[-1]]) ** 2).sum(axis=1))
        distance[chosen[-1]] = -1.0  # a frame is taken once, even if others are at its place
        chosen.append(int(distance.argmax()))
    return rows[chosen]


def choose(
    selection: str,
    table: LandscapeTable,
    n: int,
    seed: int = 0,
    rows: np.ndarray | None = None,
) -> np.ndarray:
    """Choose frames by one of the methods of this module.

    Parameters
    ----------
    selection : {"uniform", "random", "farthest point"}
        Method.
    table : LandscapeTable
        The landscape.
    n : int
        Number of frames.
    seed : int
        Random seed.
    rows : array of int, optional
        Rows to choose from. Default: all.

    Returns
    -------
    (about n,) int64
        Rows of the table.

    Raises
    ------
    ValueError
        If the method is unknown.
    """
    methods = dict(zip(SELECTIONS, (uniform, random, farthest_point), strict=True))
    if selection not in methods:
        raise ValueError(f"selection = {selection!r}: choose from {', '.join(SELECTIONS)}")
    return methods[selection](table, n, seed, rows)


def halvings(n: int, minimum: int) -> list[int]:
    """Return n, n/2, n/4, ... down to a smallest number, in ascending order.

    Parameters
    ----------
    n : int
        Largest number.
    minimum : int
        Smallest number allowed.

    Returns
    -------
    list of int
        The numbers.

    Examples
    --------
    >>> halvings(1600, 25)
    [25, 50, 100, 200, 400, 800, 1600]
    """
    if not 1 <= minimum <= n:
        raise ValueError(f"minimum = {minimum}: must be from 1 to n = {n}")
    found = [n]
    while found[-1] // 2 >= minimum:
        found.append(found[-1] // 2)
    return found[::-1]


def inside(table: LandscapeTable, window: tuple[float, float, float, float]) -> np.ndarray:
    """Return which frames lie in a window of the landscape.

    Parameters
    ----------
    table : LandscapeTable
        The landscape.
    window : (float, float, float, float)
        sS_min, sS_max, Q_min, Q_max.

    Returns
    -------
    (n,) bool
        Whether each frame lies in it.

    Raises
    ------
    ValueError
        If the window is empty.
    """
    low, high = np.array(window, dtype=float).reshape(2, 2).T
    if not (low < high).all():
        raise ValueError(f"gap = {tuple(window)}: must be sS_min < sS_max, Q_min < Q_max")
    points = np.column_stack((table.sS, table.Q))
    return np.all((points >= low) & (points <= high), axis=1)


def gapped(
    table: LandscapeTable,
    gap: tuple[float, float, float, float],
    n: int,
    seed: int = 0,
    rows: np.ndarray | None = None,
) -> np.ndarray:
    """Choose about n frames evenly from the landscape outside a window of it.

    Parameters
    ----------
    table : LandscapeTable
        The landscape.
    gap : (float, float, float, float)
        sS_min, sS_max, Q_min, Q_max of the window that is left out.
    n : int
        Number of frames.
    seed : int
        Random seed.
    rows : array of int, optional
        Rows to choose from. Default: all.

    Returns
    -------
    (about n,) int64
        Rows of the table, ascending.

    Raises
    ------
    ValueError
        If the window is empty, or fewer than n frames are outside it.
    """
    rows = np.arange(len(table)) if rows is None else np.asarray(rows)
    return uniform(table, n, seed, rows[~inside(table, gap)[rows]])


def _pool(table: LandscapeTable, n: int, rows: np.ndarray | None) -> np.ndarray:
    """Return the rows to choose from, those with a place on the landscape."""
    rows = np.arange(len(table)) if rows is None else np.asarray(rows)
    rows = rows[np.isfinite(table.sS[rows]) & np.isfinite(table.Q[rows])]
    if not isinstance(n, int | np.integer) or not 1 <= n <= len(rows):
        raise ValueError(
            f"n = {n}: must be a whole number from 1 to {len(rows)}, the frames to choose from; "
            "ask for fewer or make more"
        )
    return rows


# --- learning curves ------------------------------------------------------------------------------


class Trial(NamedTuple):
    """A model to train: its name in the curve, its frames and its seed.

    Attributes
    ----------
    name : str
        Name of the curve, such as "uniform".
    rows : (n,) int64
        Rows of the training frames.
    seed : int
        Random seed of the model.
    """

    name: str
    rows: np.ndarray
    seed: int


def learning_curve(
    trials: Iterable[Trial],
    frames: Sequence[Atoms],
    test: Sequence[Atoms],
    train: Callable[[list[Atoms], int, Path], Any],
    folder: str | PathLike[str],
    groups: Mapping[str, np.ndarray] | None = None,
    settings: Any = None,
    prefix: str = DFT,
    judge: Callable[[Any, Path], Mapping[str, float]] | None = None,
    processes: int = 1,
    progress: bool = True,
    executor: Executor | None = None,
) -> list[dict[str, Any]]:
    """Train a model on each choice of frames and measure its errors on one test set.

    Each model is a line of ``curve.jsonl``, written when it is done. A model of the same frames,
    labels, test set, seed and settings is not trained again. Equal trials are trained once.

    Parameters
    ----------
    trials : iterable of Trial
        Models to train.
    frames : sequence of ase.Atoms
        The labelled library that the rows of the trials belong to.
    test : sequence of ase.Atoms
        Labelled frames that are in none of the trials.
    train : callable
        Called with frames, seed and a folder for files; returns an ASE calculator.
    folder : path-like
        Folder of ``curve.jsonl`` and of the models' folders.
    groups : dict of str to (n_test,) array of bool, optional
        Masks of parts of the test set whose errors are also reported; "all" always is.
    settings : object, optional
        Settings of the model, as JSON can hold them; other settings are another model.
    prefix : str
        Prefix of the labels, as in `labels`.
    judge : callable, optional
        Called with the calculator and its folder; returns further numbers, by name.
    processes : int
        Number of models that are trained at once.
    progress : bool
        Show the progress bar.
    executor : concurrent.futures.Executor, optional
        Executor that trains the models in place of `processes`, such as that of a cluster. Its
        workers see `folder`, and `train` and `judge` can be pickled. It is not shut down.

    Returns
    -------
    list of dict
        name, n, seed, "errors" (of each group the RMSE of energy meV/atom, forces meV/Å and virial
        meV/atom), "judged", and the provenance: hashes, settings, versions.

    Raises
    ------
    ValueError
        If a trial has no frames, frames of the test set are in it, or an argument is out of its
        range.
    """
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    path = target / "curve.jsonl"
    masks = {"all": np.ones(len(test), dtype=bool), **(groups or {})}
    for name, mask in masks.items():
        if np.shape(mask) != (len(test),) or not np.any(mask):
            raise ValueError(f"groups[{name!r}]: must mark some of the {len(test)} test frames")
    check_whole("processes", processes)
    tested = {structure_hash([atoms]) for atoms in test}
    test_hash = _label_hash(test, prefix)
    trials = list(trials)
    of_frame = {
        row: _label_hash([frames[row]], prefix) for row in {r for t in trials for r in t.rows}
    }
    leaked = {row for row in of_frame if structure_hash([frames[row]]) in tested}
    known = {record["key"]: record for record in json_lines(path)}
    todo: dict[str, tuple[Trial, dict[str, Any]]] = {}
    for trial in trials:
        if len(trial.rows) == 0:
            raise ValueError(f"trial {trial.name!r}: has no frames")
        if leaked.intersection(trial.rows):
            raise ValueError(f"trial {trial.name!r}: holds frames of the test set; leave them out")
        of_set = hashlib.sha256("".join(of_frame[row] for row in trial.rows).encode())
        used = {
            "name": trial.name, "n": len(trial.rows), "seed": int(trial.seed),
            "frames": of_set.hexdigest(), "test_set": test_hash, "settings": settings,
            "groups": {name: int(np.sum(mask)) for name, mask in masks.items()},
        }  # fmt: skip
        key = fingerprint([used, [np.flatnonzero(mask) for mask in masks.values()], bool(judge)])
        todo[key] = trial, used
    n_known = len(todo.keys() & known.keys())
    calculate = partial(_measure, train, list(test), masks, prefix, judge)

    def keep(future: Future[dict[str, Any]]) -> dict[str, Any]:
        line = future.result()
        add_json_line(path, line)
        known[line["key"]] = line
        return line

    pool = executor or ThreadPoolExecutor(processes)
    waiting: list[Future[dict[str, Any]]] = []
    with tqdm(total=len(todo), initial=n_known, unit=" models", disable=not progress) as bar:
        try:
            for key, (trial, used) in todo.items():
                if key not in known:
                    chosen = [frames[row] for row in trial.rows]
                    waiting.append(
                        pool.submit(calculate, chosen, used, key, target.resolve() / key)
                    )
            for future in as_completed(waiting):
                line = keep(future)
                bar.update()
                bar.set_postfix_str(f"{line['name']}, {line['n']} frames, seed {line['seed']}")
        except BaseException:
            for future in waiting:
                future.cancel()
            while executor is None and not all(future.done() for future in waiting):
                stop_programs()  # repeatedly, as a thread may be about to start a program
                time.sleep(0.5)
            for future in waiting:
                done = future.done() and not future.cancelled() and future.exception() is None
                if done and future.result()["key"] not in known:
                    keep(future)
            raise
        finally:
            if executor is None:
                pool.shutdown()
    return [known[key] for key in todo]


def _measure(
    train: Callable[[list[Atoms], int, Path], Any], test: list[Atoms],
    masks: Mapping[str, np.ndarray], prefix: str,
    judge: Callable[[Any, Path], Mapping[str, float]] | None,
    frames: list[Atoms], used: dict[str, Any], key: str, folder: Path,
) -> dict[str, Any]:  # fmt: skip
    """Train a model and return its line of the curve."""
    model = train(frames, used["seed"], folder)
    of_model = errors(predict(model, test, progress=False), test, prefix)
    rmse = {name: of_model.take(mask).rmse() for name, mask in masks.items()}
    line = {
        **used, "key": key, "errors": rmse, "units": QUANTITIES,
        "judged": dict(judge(model, folder)) if judge else {}, "versions": versions(*PACKAGES),
    }  # fmt: skip
    return dict(jsonable(line))


def _label_hash(frames: Iterable[Atoms], prefix: str) -> str:
    """Return a fingerprint of structures and their labels."""
    found = hashlib.sha256()
    for atoms in frames:
        found.update(structure_hash([atoms]).encode())
        for part in labels(atoms, prefix):
            found.update(b"" if part is None else np.asarray(part, dtype=float).tobytes())
    return found.hexdigest()


class Knee(NamedTuple):
    """Fit of a learning curve that levels off: e(n) = plateau (1 + (number / n)^exponent).

    Attributes
    ----------
    plateau : float
        Error in the limit of many frames, in the unit of the errors.
    number : float
        Frames at which the error is twice that: the knee.
    exponent : float
        Exponent of the power law before the plateau.
    factor : float
        Standard error of `number`, as a factor: it lies between number / factor and number * factor
        with 68 %. Infinite if the errors show no plateau.
    resolved : bool
        Whether the knee lies within the measured numbers, to within a factor of 3.
    """

    plateau: float
    number: float
    exponent: float
    factor: float
    resolved: bool

    def __call__(self, n: Any) -> Any:
        """Return the error at a number of frames."""
        return self.plateau * (1 + (self.number / np.asarray(n, dtype=float)) ** self.exponent)

    def __str__(self) -> str:
        """Return a description of the knee."""
        if not self.resolved:
            return f"no knee within the numbers measured (exponent {self.exponent:.2f})"
        return (
            f"knee at {self.number:.0f} frames (within a factor {self.factor:.2g}), "
            f"plateau {self.plateau:.3g}, exponent {self.exponent:.2f}"
        )


def fit_knee(n: Sequence[float], error: Sequence[float]) -> Knee:
    """Fit a power law with a plateau to a learning curve.

    Least squares of ln e over all models, so that relative errors count.

    Parameters
    ----------
    n : sequence of float
        Number of frames of each model.
    error : sequence of float
        Error of each model.

    Returns
    -------
    Knee
        The fit.

    Raises
    ------
    ValueError
        If there are fewer than four different numbers.

    Examples
    --------
    >>> n = np.array([25, 50, 100, 200, 400, 800, 1600])
    >>> knee = fit_knee(n, 20 * (1 + (100 / n) ** 1.5))
    >>> round(knee.number), round(knee.plateau), round(knee.exponent, 2), knee.resolved
    (100, 20, 1.5, True)
    """
    from scipy.optimize import curve_fit

    x, y = np.log(np.array(n, dtype=float)), np.log(np.array(error, dtype=float))
    if len(np.unique(x)) < 4:
        raise ValueError(f"n = {sorted(set(n))}: four different numbers or more are needed")

    def law(x: Any, level: float, knee: float, exponent: float) -> Any:
        return level + np.logaddexp(0.0, exponent * (knee - x))

    start = (y[x == x.max()].mean(), 0.5 * (x.min() + x.max()), 1.0)
    # without a plateau the knee would diverge: it is bounded far outside the measured numbers
    low, high = x.min() - 7.0, x.max() + 7.0
    bounds = ((-np.inf, low, 0.05), (np.inf, high, 5.0))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a covariance that cannot be estimated is infinite
        (level, knee, exponent), covariance = curve_fit(law, x, y, start, bounds=bounds)
    spread = np.sqrt(covariance[1, 1])
    factor = float(np.exp(min(spread, 500.0))) if np.isfinite(spread) else np.inf
    resolved = bool(x.min() <= knee <= x.max() and factor <= 3)
    return Knee(float(np.exp(level)), float(np.exp(knee)), float(exponent), factor, resolved)


def mean_and_spread(records: Iterable[Mapping[str, Any]], *path: str) -> dict[str, np.ndarray]:
    """Average models of equal name and number of frames over their seeds.

    Parameters
    ----------
    records : iterable of dict
        As `learning_curve` returns them.
    *path : str
        Path of the value in a record, such as "errors", "all", "forces".

    Returns
    -------
    dict of str to (k, 4) float64
        Rows for each name, ascending: frames, mean, standard deviation (NaN for one model), number
        of models. Numbers of frames within 10 % of each other count as equal.
    """
    by_name: dict[str, list[tuple[float, float]]] = {}
    for record in records:
        value: Any = record
        for key in path:
            value = value.get(key)
            if value is None:
                break
        if value is not None:
            by_name.setdefault(str(record["name"]), []).append((record["n"], value))
    found = {}
    for name, points in by_name.items():
        rows: list[list[tuple[float, float]]] = []
        for point in sorted(points):
            if rows and point[0] <= 1.1 * rows[-1][0][0]:
                rows[-1].append(point)
            else:
                rows.append([point])
        found[name] = np.array([
            [np.mean([p[0] for p in row]), np.mean(values := [p[1] for p in row]),
             np.std(values, ddof=1) if len(values) > 1 else np.nan, len(values)]
            for row in rows
        ])  # fmt: skip
    return found


def plot_curves(
    ax: Any,
    records: Sequence[Mapping[str, Any]],
    group: str = "all",
    quantity: str = "forces",
    fit: str | None = None,
) -> Knee | None:
    """Draw errors against the number of frames, a line per name, with the spread of the seeds.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Axes to draw in.
    records : sequence of dict
        As `learning_curve` returns them.
    group : str
        Part of the test set.
    quantity : {"energy", "forces", "virial"}
        Quantity.
    fit : str, optional
        Name of the curve to fit by `fit_knee`.

    Returns
    -------
    Knee or None
        The fit.
    """
    for color, (name, points) in zip(
        COLORS, mean_and_spread(records, "errors", group, quantity).items(), strict=False
    ):
        n, mean, spread, _ = points.T
        ax.errorbar(n, mean, yerr=spread, fmt="o-", ms=4, lw=1.2, capsize=3, color=color,
                    label=name)  # fmt: skip
    knee = None
    if fit is not None:
        mine = [r for r in records if r["name"] == fit and quantity in r["errors"][group]]
        values = [r["errors"][group][quantity] for r in mine]
        if len({r["n"] for r in mine}) >= 4:
            knee = fit_knee([r["n"] for r in mine], values)
            n = np.geomspace(min(r["n"] for r in mine), max(r["n"] for r in mine), 100)
            ax.plot(n, knee(n), "k--", lw=1.0, label=f"fit of {fit}")
            if knee.resolved:
                ax.axvline(knee.number, color="0.5", lw=0.8, ls=":")
    ax.set(xscale="log", yscale="log", xlabel="frames",
           ylabel=f"{quantity} RMSE ({QUANTITIES[quantity]})")  # fmt: skip
    ax.set_xticks(sorted({record["n"] for record in records}))
    tidy(ax)
    return knee


def model_settings(
    model: str, profile: str | PathLike[str] | Mapping[str, Any], steps: int | None = None
) -> dict[str, Any]:
    """Return the settings of a model of `trainer`, by which `learning_curve` tells models apart.

    Parameters
    ----------
    model : {"student", "teacher"}
        Kind of model, as in `trainer`.
    profile : {"small", "paper"}, path-like or dict
        Profile, as in `trainer`.
    steps : int, optional
        Number of steps, as in `trainer`.

    Returns
    -------
    dict
        Model, profile and, for a student, steps.
    """
    if model == "teacher":
        return {"model": model, "profile": read_profile(profile, "mace")}
    return {"model": model, "profile": read_profile(profile, "student"), "steps": steps}


def trainer(
    model: str, profile: Any = "small", steps: int | None = None, prefix: str = DFT
) -> Callable[[list[Atoms], int, Path], Any]:
    """Return a function by which `learning_curve` trains students, or teachers of one seed.

    One frame in ten is for validation. A teacher does not learn from it, but picks its best epoch
    by it; a student learns from all frames.

    Parameters
    ----------
    model : {"student", "teacher"}
        Kind of model: of `train_student`, not compressed, or of `train_teacher`.
    profile : {"small", "paper"}, path-like or dict
        Profile, as in these functions.
    steps : int, optional
        Number of steps of a student. Default: the profile's.
    prefix : str
        Prefix of the labels, as in `labels`.

    Returns
    -------
    callable
        Called with frames, seed and a folder; returns an ASE calculator.

    Raises
    ------
    ValueError
        If the model is neither.
    """
    if model not in ("student", "teacher"):
        raise ValueError(f"model = {model!r}: must be student or teacher")

    if model == "teacher":
        return partial(_trained_teacher, profile, prefix)
    return partial(_trained_student, profile, steps, prefix)


def _trained_teacher(
    profile: Any, prefix: str, frames: list[Atoms], seed: int, folder: Path
) -> Any:
    held = frames[::_SHARE]
    kept = [atoms for number, atoms in enumerate(frames) if number % _SHARE]
    train_teacher(kept, held, folder, profile, (seed,), prefix=prefix)
    return open_teacher(folder)


def _trained_student(
    profile: Any, steps: int | None, prefix: str, frames: list[Atoms], seed: int, folder: Path
) -> Any:
    write_deepmd(frames, folder / "set", prefix)
    write_deepmd(frames[::_SHARE], folder / "validation", prefix)
    trained = train_student(
        {folder / "set": 1.0}, folder / "validation", folder / "student", profile, seed,
        steps=steps, compress=False,
    )  # fmt: skip
    return open_student(trained.model)
