# SPDX-License-Identifier: BSD-3-Clause
"""The tables of the report, in Markdown."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from measurements import Pillar, bcc_by_temperature, by_metal_and_temperature

from ase_calculators.pillar import STRUCTURES


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return the lines of a table in Markdown.

    Parameters
    ----------
    head : sequence of str
        Titles of the columns.
    rows : iterable of sequence of str
        Cells of each row.

    Returns
    -------
    list of str
        Lines, an empty one last.
    """
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    return [*lines, *(f"| {' | '.join(row)} |" for row in rows), ""]


def mean(values: Iterable[float], scale: float = 1.0, digits: int = 1) -> str:
    """Return the mean of the runs ± their standard deviation.

    Parameters
    ----------
    values : iterable of float
        A number per run; None and NaN are left out.
    scale : float
        Factor.
    digits : int
        Digits after the point.

    Returns
    -------
    str
        One number if one is known, "-" if none is.
    """
    known = [scale * value for value in values if value is not None and np.isfinite(value)]
    if not known:
        return "-"
    if len(known) == 1:
        return f"{known[0]:.{digits}f}"
    return f"{np.mean(known):.{digits}f} ± {np.std(known, ddof=1):.{digits}f}"


class _Columns:
    """A column for each metal and temperature, with a number per run."""

    def __init__(self, pillars: Sequence[Pillar]) -> None:
        groups = by_metal_and_temperature(pillars)
        self.head = ("", *(f"{metal}, {t:g} K" for metal, t in groups))
        self.runs = [[p.numbers for p in group] for group in groups.values()]

    def row(
        self, name: str, function: Callable[[dict], float], scale: float = 1.0, digits: int = 1
    ) -> tuple[str, ...]:
        """Return a row of means."""
        return (name, *(mean(map(function, runs), scale, digits) for runs in self.runs))

    def cells(self, name: str, function: Callable[[list[dict]], str]) -> tuple[str, ...]:
        """Return a row of texts, each made of the runs of its column."""
        return (name, *map(function, self.runs))


def order_of_events(pillars: Sequence[Pillar]) -> list[str]:
    """Return the table of yield and first defects.

    Parameters
    ----------
    pillars : sequence of Pillar
        Runs of one rate.

    Returns
    -------
    list of str
        Lines.
    """
    columns = _Columns(pillars)

    def first(name: str) -> tuple[str, ...]:
        return columns.cells(
            f"first {name}, strain in % (runs)",
            lambda runs: f"{mean([n['first'].get(name) for n in runs], 100)} "
                         f"({sum(name in n['first'] for n in runs)})",
        )  # fmt: skip

    return table(columns.head, [
        columns.cells("runs", lambda runs: str(len(runs))),
        columns.row("last strain, %", lambda n: n["last_strain"], 100),
        columns.row("stress at yield, GPa", lambda n: n["yield_stress"], digits=2),
        columns.row("at strain, %", lambda n: n["yield_strain"], 100),
        *map(first, ("BCC embryo", "embryo above the perfect crystal", "ISF", "ESF", "CTB")),
        columns.row("most BCC, % of the interior", lambda n: n["bcc_peak"], 100),
        columns.row("turned HCP by way of BCC, %", lambda n: n["through_bcc"], 100, 0),
        columns.cells("frames that are not fcc", lambda runs: str(sum(n["not_fcc"] for n in runs))),
    ])  # fmt: skip


def twins_against_slip(pillars: Sequence[Pillar]) -> list[str]:
    """Return the table of what carries the plastic strain.

    Parameters
    ----------
    pillars : sequence of Pillar
        Runs of one rate.

    Returns
    -------
    list of str
        Lines.
    """
    columns = _Columns(pillars)
    return table(columns.head, [
        columns.row("plastic strain at the end, %", lambda n: n["plastic"], 100),
        columns.row("in no structure at the end, % of the atoms", lambda n: n["other"], 100),
        columns.row("of the plastic strain by twins, %", lambda n: n["by_twins"], 100, 0),
        columns.row("of it by single faults, %", lambda n: n["by_faults"], 100, 0),
        columns.row("of it by slip and the rest, %", lambda n: n["by_slip"], 100, 0),
        columns.row("twinned at the peak, % of the atoms", lambda n: n["twin_peak"], 100),
        columns.row("twinned at the end, %", lambda n: n["twin_end"], 100),
        columns.row("of the peak gone at the end, %", lambda n: n["detwinned"], 100, 0),
        columns.row("all that vanished over all that grew, %", lambda n: n["vanished"], 100, 0),
        columns.row("dislocations after yield, nm", lambda n: n["dislocations"], 0.1),
    ])  # fmt: skip


def bcc_content(pillars: Sequence[Pillar]) -> list[str]:
    """Return the table of BCC in the elastic range, and the strain that the sides' tension adds.

    Parameters
    ----------
    pillars : sequence of Pillar
        Runs of one rate.

    Returns
    -------
    list of str
        Lines.
    """
    rows = []
    for metal in sorted({p.metal for p in pillars}):
        for t, entry in bcc_by_temperature([p for p in pillars if p.metal == metal]).items():
            rows.append((
                metal, f"{t:g}", f"{100 * entry['strain']:.2f}", mean(entry["bcc"], 100, 2),
                mean(np.subtract(entry["bcc"], entry["excess"]), 100, 2),
                mean(entry["excess"], 100, 2),
            ))  # fmt: skip
    prestrains = ", ".join(
        f"{metal} {t:g} K {mean([p.prestrain for p in group], 100, 2)}"
        for (metal, t), group in by_metal_and_temperature(pillars).items()
    )
    return [
        *table(("metal", "K", "strain, %", "BCC, %", "perfect crystal, %", "above it, %"), rows),
        "The perfect crystal has the pillar's temperature and its strain against the relaxed "
        f"crystal. The sides' tension compresses the relaxed pillar by (%): {prestrains}.",
        "",
    ]


def transitions(pillars: Sequence[Pillar]) -> list[str]:
    """Return the table of atoms that change their structure between two frames.

    Parameters
    ----------
    pillars : sequence of Pillar
        Runs of one rate.

    Returns
    -------
    list of str
        Lines.
    """
    pairs = [(a, b) for a in (1, 2, 3) for b in (1, 2, 3) if a != b]
    rows = []
    for (metal, t), group in by_metal_and_temperature(pillars).items():
        matrix = np.asarray(sum(p.table.transition_matrix() for p in group))
        shares = 100 * matrix / np.maximum(matrix.sum(1, keepdims=True), 1)
        rows.append((f"{metal}, {t:g} K", *(f"{shares[pair]:.2f}" for pair in pairs)))
    return table(("", *(f"{STRUCTURES[a]} to {STRUCTURES[b]}" for a, b in pairs)), rows)


def stacking(pillars: Sequence[Pillar]) -> list[str]:
    """Return the table of the slip order at the thickest twin of each run.

    Parameters
    ----------
    pillars : sequence of Pillar
        Runs of one rate.

    Returns
    -------
    list of str
        Lines.
    """
    rows = []
    for p in pillars:
        route = p.numbers["route"]
        if route is not None:
            rows.append((
                p.metal, f"{p.temperature:g}", p.seed, route.normal,
                "-".join(map(str, route.order)),
                "yes" if route.is_132 else "no", " ".join(route.letters),
            ))  # fmt: skip
    return table(("metal", "K", "seed", "normal", "order", "1-3-2", "letters"), rows)


def rates(pillars: Sequence[Pillar]) -> list[str]:
    """Return the table of the rates, at the lowest temperature of each metal.

    Parameters
    ----------
    pillars : sequence of Pillar
        Runs of all rates.

    Returns
    -------
    list of str
        Lines.
    """
    rows = []
    for metal in sorted({p.metal for p in pillars}):
        cold = min(p.temperature for p in pillars if p.metal == metal)
        for rate in sorted({p.rate for p in pillars}):
            runs: list[dict[str, Any]] = [
                p.numbers for p in pillars
                if (p.metal, p.temperature, p.rate) == (metal, cold, rate)
            ]  # fmt: skip
            if runs:
                rows.append((
                    metal, f"{cold:g}", f"{rate:.2g}", str(len(runs)),
                    mean([n["yield_stress"] for n in runs], 1, 2),
                    mean([n["yield_strain"] for n in runs], 100),
                    mean([n["by_twins"] for n in runs], 100, 0),
                    mean([n["by_slip"] for n in runs], 100, 0),
                    mean([n["bcc_peak"] for n in runs], 100),
                ))  # fmt: skip
    return table(
        ("metal", "K", "rate, 1/s", "runs", "stress at yield, GPa", "at strain, %",
         "by twins, %", "by slip, %", "most BCC, %"), rows,
    )  # fmt: skip
