#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Report on iridium against aluminium: six claims, each with its number and spread.

python report.py [FOLDER]

reads what run.py wrote to FOLDER (runs that go on from 13 % of strain on), analyses what is new,
and writes report.md and four pictures to FOLDER. 10 s of one core for each pillar of 1,728 atoms.
Needs OVITO: pip install 'entsym[analysis]'.
"""

import argparse
import os
import re
import sys
import warnings
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ase_calculators.figures import COLORS, new_figure, save_figure, tidy
from ase_calculators.pillar import COLUMNS, STRUCTURES, PillarTable, analyse_pillar
from ase_calculators.provenance import atomic_write

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from analyse import settings

NAME = re.compile(r"(?P<metal>[A-Z][a-z]?)_(?P<temperature>[\d.]+)K_(?P<rate>[^_]+)_(?P<seed>\w+)")
# A pillar with this share of atoms in no structure at its end is no longer a crystal that slips.
MAX_OTHER = 0.4
MIN_STRAIN = 0.13  # of a run in the report that goes on: one per cent after iridium's yield
MIN_ATOMS = 10  # of a fault or cluster that counts, as in PillarTable.events
# A partial that slips over an atomic plane shears its height by 1/sqrt(2).
# Compressed along [001] the leading partial of each {111} plane has a Schmid factor of sqrt(2)/3.
SCHMID_SHEAR = 1 / 3


# --- numbers of one pillar ------------------------------------------------------------------------


@dataclass(eq=False)
class Pillar:
    """A compressed pillar and the perfect crystal that it is compared with.

    Attributes
    ----------
    metal, seed : str
        Metal and seed.
    temperature, rate : float
        K and 1/s.
    table : PillarTable
        Its analysis.
    perfect : PillarTable or None
        Analysis of the perfect crystal.
    prestrain : float
        Strain of the relaxed pillar against the relaxed crystal, positive in compression.
    """

    metal: str
    temperature: float
    rate: float
    seed: str
    table: PillarTable
    perfect: PillarTable | None = None
    prestrain: float = 0.0
    numbers: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.numbers = measure(self.table, self.perfect, self.prestrain)


def fault_row(table: PillarTable) -> int:
    """Return the row of the first fault, or the number of rows.

    Parameters
    ----------
    table : PillarTable
        A run.

    Returns
    -------
    int
        First row with an ISF, ESF or CTB of `MIN_ATOMS` atoms.
    """
    rows = [e.row for e in table.events(MIN_ATOMS) if e.name in ("ISF", "ESF", "CTB")]
    return min(rows, default=len(table))


def reference_bcc(
    strain: np.ndarray, perfect: PillarTable | None, prestrain: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return the share of BCC in the perfect crystal of the pillar's temperature and strain.

    Parameters
    ----------
    strain : (n,) float64
        Engineering strains of the pillar.
    perfect : PillarTable or None
        The perfect crystal.
    prestrain : float
        As in `Pillar`.

    Returns
    -------
    share, error : (n,) float64
        The share and its standard deviation, of counts of independent atoms. NaN where the perfect
        crystal has faults of its own or was not compressed so far.
    """
    if perfect is None:
        return np.full(len(strain), np.nan), np.full(len(strain), np.nan)
    total = 1 - (1 - prestrain) * (1 - np.asarray(strain))
    sound = np.flatnonzero(np.nan_to_num(perfect["HCP"]) < 0.01)
    broken = np.flatnonzero(np.nan_to_num(perfect["HCP"]) >= 0.01)
    if len(broken):
        sound = sound[sound < broken[0]]
    if len(sound) == 0:
        return np.full(len(strain), np.nan), np.full(len(strain), np.nan)
    at, bcc = perfect["strain"][sound], perfect["BCC"][sound]
    # strain 0 is the least there is; a pillar under tension has no more BCC than that
    share = np.interp(np.maximum(total, at[0]), at, bcc, right=np.nan)
    error = np.sqrt(share * (1 - share) / perfect["n_interior"][sound][0])
    return share, error


def measure(
    table: PillarTable, perfect: PillarTable | None = None, prestrain: float = 0.0
) -> dict[str, Any]:
    """Return the numbers of a pillar that the claims are about.

    Parameters
    ----------
    table : PillarTable
        The pillar.
    perfect : PillarTable, optional
        The perfect crystal.
    prestrain : float
        As in `Pillar`.

    Returns
    -------
    dict
        Numbers by name:

        - first: strain of the first BCC embryo, ISF, ESF, CTB, embryo above the perfect crystal.
        - yield_stress, yield_strain: GPa and strain of the highest stress up to the fifth frame
          with faults.
        - plastic: plastic strain at the end, the strain beyond the loading curve at this stress.
        - other: share of atoms in no structure at the end.
        - by_twins, by_faults, by_slip: shares of it; NaN if the pillar has not yielded or is
          disordered (`MAX_OTHER`). An fcc atom in twin orientation is on a
          slipped plane, of two hcp atoms one is; each adds a third of its share to the strain. The
          rest is slip by whole dislocations (and BCC, bending, ...).
        - twin_peak, twin_end: largest and last share of twinned atoms, means over five frames.
        - detwinned: 1 - twin_end / twin_peak; NaN if there were no twins.
        - vanished: sum of all falls of the mean share over its sum of all rises.
        - dislocations: mean length after yield, Å.
        - bcc_peak: largest share of BCC.
        - elastic: rows before the first fault and up to the highest stress.
        - reference, excess: the perfect crystal's BCC at each row, and the BCC above it.
        - route: slip order at the thickest twin, see `slip_order`.
    """
    stress = np.nan_to_num(table["stress_GPa"], nan=-np.inf)
    # yield: a pillar may harden to more than that later
    top, strain = int(stress[: fault_row(table) + 5].argmax()), table["strain"]
    first = {event.name: event.strain for event in table.events(MIN_ATOMS)}
    share, error = reference_bcc(strain, perfect, prestrain)
    excess = table["BCC"] - share
    largest = np.array([max(sizes, default=0) for sizes in table["bcc_cluster_sizes"]])
    n = np.maximum(table["n_interior"], 1)
    spread = np.sqrt(error**2 + share * (1 - share) / n)
    real = (largest >= MIN_ATOMS) & (excess * n >= MIN_ATOMS) & (excess > 3 * spread)
    if real.any():
        first["embryo above the perfect crystal"] = float(strain[real.argmax()])
    elastic = np.arange(min(fault_row(table), top + 1))

    # loading curve: the highest stress reached so far, so that it can be inverted
    loading = np.maximum.accumulate(np.where(np.isfinite(stress), stress, 0.0)[: top + 1])
    last = slice(-5, None)
    end = float(np.nanmean(table["stress_GPa"][last]))
    plastic = float(strain[last].mean() - np.interp(end, loading, strain[: top + 1]))
    twinned = np.nan_to_num(table["twinned"])
    told = np.array([not text for text in table["not_fcc"]])
    mean = np.convolve(twinned, np.ones(5) / 5, "valid") if len(twinned) >= 5 else twinned
    hcp = float(table["HCP"][last].mean())
    other = float(table["other"][last].mean())
    by_twins = by_faults = np.nan
    if plastic > 0.01 and other < MAX_OTHER:
        by_twins = float(SCHMID_SHEAR * twinned[last].mean() / plastic)
        by_faults = float(SCHMID_SHEAR * hcp / 2 / plastic)
    change = np.diff(mean)
    rises, falls = change[change > 0].sum(), change[change < 0].sum()
    peak = float(mean.max())
    had_twins = peak * n[0] >= MIN_ATOMS and other < MAX_OTHER
    length = sum(
        np.nan_to_num(table[f"dislocations_{b}_A"]) for b in ("1/2<110>", "1/6<112>")
    )  # fmt: skip
    return {
        "first": first, "yield_stress": float(stress[top]), "yield_strain": float(strain[top]),
        "other": other, "last_strain": float(strain[-1]), "plastic": plastic,
        "by_twins": by_twins, "by_faults": by_faults,
        "by_slip": 1 - by_twins - by_faults, "twin_peak": peak, "twin_end": float(mean[-1]),
        "detwinned": float(1 - mean[-1] / peak) if had_twins else np.nan,
        "vanished": float(abs(falls) / rises) if had_twins else np.nan,
        "dislocations": float(length[top:].mean()), "bcc_peak": float(table["BCC"].max()),
        "through_bcc": table.share_through_bcc(), "elastic": elastic, "reference": share,
        "excess": excess, "not_fcc": int((~told).sum()),
        "route": slip_order(table),
    }  # fmt: skip


# --- the stacking at a growing twin ---------------------------------------------------------------


class Route(NamedTuple):
    """How planes of one twin slipped.

    Attributes
    ----------
    normal : str
        Normal of the planes.
    order : list of int
        Slipped steps of the stacking, the first to slip first; numbers along the normal.
    frames : list of int
        Row in which each slipped.
    letters : list of str
        Stacking of the planes about the twin before the first slip and after each.
    """

    normal: str
    order: list[int]
    frames: list[int]
    letters: list[str]

    @property
    def is_132(self) -> bool:
        """Return whether a plane between two planes that had slipped slipped after both.

        Returns
        -------
        bool
            True for the order 1-3-2 of L. Wang et al., Nature Communications 8, 2142 (2017).
        """
        when = dict(zip(self.order, self.frames, strict=True))
        return any(
            when.get(k - 1, 10**9) < when[k] and when.get(k + 1, 10**9) < when[k] for k in when
        )


def _steps(letters: str) -> np.ndarray:
    """Return the steps of a stacking: 1 up (A to B), -1 down, 0 unknown."""
    numbers = np.array(["ABC.".index(letter) for letter in letters])
    steps = (np.diff(numbers) + 1) % 3 - 1
    steps[(numbers[1:] == 3) | (numbers[:-1] == 3)] = 0
    return steps


def _shifted(steps: np.ndarray, *others: np.ndarray) -> np.ndarray:
    """Return the steps at the planes of other frames, with which most of them agree."""
    best, size = -1, len(others[0])
    found = np.zeros(size, dtype=int)
    for shift in range(-3, 4):
        moved = np.zeros(size, dtype=int)
        start, end = max(0, shift), min(size, len(steps) + shift)
        if end <= start:
            continue
        moved[start:end] = steps[start - shift : end - shift]
        # ties: a crystal without faults tells nothing, keep the numbers of the planes
        score = 10 * sum(int((moved == other).sum()) for other in others) - abs(shift)
        if score > best:
            best, found = score, moved
    return found


def _stacking(table: PillarTable, normal: str) -> tuple[list[int], np.ndarray]:
    """Return the rows with letters along a normal, and the steps of each at the same planes."""
    rows = [
        row for row, frame in enumerate(table["letters"])
        if len(frame.get(normal, "")) > 2 and not table["not_fcc"][row]
    ]  # fmt: skip
    steps = [_steps(table["letters"][row][normal]) for row in rows]
    for _ in range(2 if rows else 0):
        # the second time also like the frame with most slip: which side has a plane less is often
        # ambiguous from one frame to the next
        most = max(steps, key=lambda line: int((line == -1).sum()))
        aligned = steps[:1]
        for line in steps[1:]:
            others = (aligned[-1],) if len(most) != len(aligned[0]) else (aligned[-1], most)
            aligned.append(_shifted(line, *others))
        steps = aligned
    return rows, np.array(steps)


def slip_order(table: PillarTable) -> Route | None:
    """Return the order in which the planes of the thickest twin slipped.

    A step of the stacking down (A to C) has slipped. Planes are followed from frame to frame along
    each normal; a step counts from the first of two frames in a row.

    Parameters
    ----------
    table : PillarTable
        The run.

    Returns
    -------
    Route or None
        The largest number of neighbouring slipped steps, at least three; None without any.
    """
    best: Route | None = None
    for normal in {name for frame in table["letters"] for name in frame}:
        rows, matrix = _stacking(table, normal)
        if not rows:
            continue
        size = matrix.shape[1]
        slipped = matrix == -1
        stays = slipped.copy()
        stays[:-1] &= slipped[1:]
        widest, place = 0, (0, 0, 0)
        for k, line in enumerate(slipped):
            edges = np.flatnonzero(np.diff(np.concatenate([[0], line.astype(int), [0]])))
            for start, end in edges.reshape(-1, 2):
                if end - start > widest and stays[: k + 1, start:end].any(0).all():
                    widest, place = int(end - start), (k, int(start), int(end))
        if widest < 3 or (best is not None and widest <= len(best.order)):
            continue
        _, start, end = place
        when = {s: int(stays[:, s].argmax()) for s in range(start, end)}
        order = sorted(when, key=lambda s: (when[s], s))
        lines = [when[order[0]] - 1, *sorted({when[s] for s in order})]
        low, high = max(0, start - 2), min(size, end + 2)
        letters = [_letters(matrix[max(k, 0)][low:high]) for k in lines]
        best = Route(
            normal, [s - start + 1 for s in order], [rows[when[s]] for s in order], letters
        )
    return best


def _letters(steps: np.ndarray) -> str:
    """Return the letters of steps, from A on."""
    text, letter = "A", 0
    for step in steps:
        letter = (letter + int(step)) % 3
        text += "ABC"[letter] if step else "."
    return text


# --- verdicts -------------------------------------------------------------------------------------


class Verdict(NamedTuple):
    """What the runs say of a claim.

    Attributes
    ----------
    claim, text : str
        The claim; "holds", "does not hold" or "cannot be told".
    number : str
        The number behind it, with its spread.
    """

    claim: str
    text: str
    number: str


HOLDS, FAILS, UNKNOWN = "holds", "does not hold", "cannot be told"


def decide(values: Iterable[float], limit: float) -> tuple[str, float, float, int]:
    """Compare numbers of several runs with a limit.

    Parameters
    ----------
    values : iterable of float
        A number per run; NaN are left out.
    limit : float
        What they must exceed.

    Returns
    -------
    text, mean, error, n : str, float, float, int
        "holds" if mean - 2 standard errors is above the limit, "does not hold" if mean + 2 standard
        errors is below, else, or with fewer than two runs, "cannot be told".
    """
    known = np.array([value for value in values if np.isfinite(value)])
    if len(known) == 0:
        return UNKNOWN, np.nan, np.nan, 0
    mean = float(known.mean())
    if len(known) < 2:
        return UNKNOWN, mean, np.nan, 1
    error = float(known.std(ddof=1) / np.sqrt(len(known)))
    text = UNKNOWN
    if mean - 2 * error > limit:
        text = HOLDS
    elif mean + 2 * error < limit:
        text = FAILS
    return text, mean, error, len(known)


def count(cases: Sequence[bool]) -> str:
    """Return the verdict of cases that are true or false.

    Parameters
    ----------
    cases : sequence of bool
        A case per run.

    Returns
    -------
    str
        "holds" if all of at least two are true, "does not hold" if none is, else "cannot be told".
    """
    if len(cases) < 2 or any(cases) != all(cases):
        return UNKNOWN
    return HOLDS if all(cases) else FAILS


def verdicts(pillars: Sequence[Pillar]) -> list[Verdict]:
    """Judge the six claims.

    Parameters
    ----------
    pillars : sequence of Pillar
        Runs of one rate, of Al and Ir.

    Returns
    -------
    list of Verdict
        One per claim.
    """
    by = {metal: [p for p in pillars if p.metal == metal] for metal in ("Al", "Ir")}
    return [
        _al_slips(by["Al"]), _ir_twins(by["Ir"]), _three_faults(by["Ir"]), _route(by["Ir"]),
        _bcc_first(pillars), _bcc_grows(by),
    ]  # fmt: skip


def _al_slips(pillars: Sequence[Pillar]) -> Verdict:
    claim = "Aluminium slips after a transient of twinning and detwinning"
    slip = decide((p.numbers["by_slip"] for p in pillars), 0.5)
    gone = decide((p.numbers["detwinned"] for p in pillars), 0.5)
    texts = {slip[0], gone[0]}
    text = HOLDS if texts == {HOLDS} else FAILS if FAILS in texts else UNKNOWN
    return Verdict(
        claim, text,
        f"slip carries {_percent(slip)} of the plastic strain at the end (more than half wanted); "
        f"{_percent(gone)} of the twins at their peak are gone at the end (more than half wanted)"
        f"; {_disordered(pillars)}",
    )  # fmt: skip


def _ir_twins(pillars: Sequence[Pillar]) -> Verdict:
    twins = decide((p.numbers["by_twins"] - p.numbers["by_slip"] for p in pillars), 0.0)
    share = decide((p.numbers["by_twins"] for p in pillars), 0.5)
    faults = decide((p.numbers["by_faults"] for p in pillars), 0.5)
    grown = sum("CTB" in p.numbers["first"] for p in pillars)
    return Verdict(
        "Iridium twins", twins[0],
        f"twins carry {_percent(share)} of the plastic strain, single faults {_percent(faults)}; "
        f"twins less slip {_percent(twins)} (more than 0 wanted); twins of two layers and more in "
        f"{grown} of {len(pillars)} runs; {_disordered(pillars)}",
    )  # fmt: skip


def _three_faults(pillars: Sequence[Pillar]) -> Verdict:
    names = ("ISF", "ESF", "CTB")
    firsts = [p.numbers["first"] for p in pillars]
    all_three = [all(name in first for name in names) for first in firsts]
    ordered = [
        all(name in first for name in names) and first["ISF"] <= first["ESF"] <= first["CTB"]
        for first in firsts
    ]
    seen = ", ".join(f"{name} in {sum(name in first for first in firsts)}" for name in names)
    return Verdict(
        "Its defects are ISF, then ESF, then coherent boundaries", count(ordered),
        f"{sum(ordered)} of {len(pillars)} runs have all three in this order, {sum(all_three)} all "
        f"three; {seen}",
    )  # fmt: skip


def _route(pillars: Sequence[Pillar]) -> Verdict:
    routes = [p.numbers["route"] for p in pillars if p.numbers["route"] is not None]
    cases = [route.is_132 for route in routes]
    planes = ", ".join("-".join(map(str, route.order)) for route in routes) or "none"
    return Verdict(
        "Its twins grow by the 1-3-2 route", count(cases),
        f"{sum(cases)} of {len(routes)} growing twins ({len(pillars)} runs); orders: {planes}",
    )  # fmt: skip


def _bcc_first(pillars: Sequence[Pillar]) -> Verdict:
    cases, lead = [], []
    groups: dict[str, list[bool]] = {}
    for p in pillars:
        if p.perfect is None:
            continue
        row = fault_row(p.table)
        fault = float(p.table["strain"][row]) if row < len(p.table) else np.inf
        embryo = p.numbers["first"].get("embryo above the perfect crystal", np.inf)
        if np.isfinite(fault) or np.isfinite(embryo):
            cases.append(embryo < fault)
            groups.setdefault(f"{p.metal} {p.temperature:g} K", []).append(embryo < fault)
            lead.append(100 * (fault - embryo) if np.isfinite(fault - embryo) else np.nan)
    _, mean, error, n = decide(lead, 0.0)
    return Verdict(
        "BCC clusters come before the first fault, above the perfect crystal's", count(cases),
        f"in {sum(cases)} of {len(cases)} runs ("
        + ", ".join(f"{name} {sum(found)} of {len(found)}" for name, found in groups.items())
        + f"); strain between them {mean:.2f} ± {error:.2f} % ({n} runs)",
    )  # fmt: skip


def _bcc_grows(by: dict[str, list[Pillar]]) -> Verdict:
    texts, numbers = [], []
    for metal, pillars in by.items():
        contents = bcc_by_temperature(pillars)
        if len(contents) < 2:
            continue
        (cold, low), (hot, high) = min(contents.items()), max(contents.items())
        rise = [h - np.nanmean(low["excess"]) for h in high["excess"]]
        spread = decide(low["excess"], 0.0)[2]
        text, mean, error, _ = decide(rise, 0.0)
        error = float(np.hypot(error, spread))
        text = UNKNOWN
        if np.isfinite(error):
            text = HOLDS if mean > 2 * error else FAILS if mean < -2 * error else UNKNOWN
            # no more than the perfect crystal within a tenth of a per cent: known, and not a rise
            if text == UNKNOWN and mean + 2 * error < 0.001:
                text = FAILS
        raw = np.nanmean(high["bcc"]) - np.nanmean(low["bcc"])
        texts.append(text)
        numbers.append(
            f"{metal}, {cold:g} to {hot:g} K at {100 * low['strain']:.1f} % of strain: BCC "
            f"{100 * raw:+.2f} % of the atoms, above the perfect crystal {100 * mean:+.2f} ± "
            f"{100 * error:.2f} % ({text})"
        )
    text = texts[0] if texts and len(set(texts)) == 1 else UNKNOWN
    return Verdict("BCC in the elastic range grows with temperature", text, "; ".join(numbers))


def bcc_by_temperature(pillars: Sequence[Pillar]) -> dict[float, dict[str, Any]]:
    """Return the BCC content of each temperature, at a strain at which its runs are elastic.

    Parameters
    ----------
    pillars : sequence of Pillar
        Runs of a metal.

    Returns
    -------
    dict of float to dict
        By temperature: strain; bcc and excess, a number per run, means of three frames. Runs that
        have faults at this strain are left out.
    """
    found: dict[float, dict[str, Any]] = {}
    ends = {p: float(p.table["strain"][p.numbers["elastic"][-1:]].max(initial=0)) for p in pillars}
    by = {t: sorted(end for p, end in ends.items() if p.temperature == t)
          for t in {p.temperature for p in pillars}}  # fmt: skip
    if not by:
        return found
    # half of the runs of each temperature, or more, are elastic there
    strain = min(of_one[(len(of_one) - 1) // 2] for of_one in by.values())
    for p in pillars:
        if ends[p] < strain:
            continue
        rows = np.flatnonzero(p.table["strain"] <= strain + 1e-9)[-3:]
        entry = found.setdefault(p.temperature, {"strain": strain, "bcc": [], "excess": []})
        entry["bcc"].append(float(p.table["BCC"][rows].mean()))
        entry["excess"].append(float(p.numbers["excess"][rows].mean()))
    return dict(sorted(found.items()))


def _disordered(pillars: Sequence[Pillar]) -> str:
    left_out = sum(p.numbers["other"] >= MAX_OTHER for p in pillars)
    return f"{left_out} of {len(pillars)} pillars are disordered at the end and left out"


def _percent(found: tuple[str, float, float, int]) -> str:
    _, mean, error, n = found
    if not n:
        return "an unknown share"
    return f"{100 * mean:.0f} ± {100 * error:.0f} %" if n > 1 else f"{100 * mean:.0f} % (one run)"


# --- reading --------------------------------------------------------------------------------------


def read_pillars(folder: Path, processes: int) -> list[Pillar]:
    """Read and analyse the runs of a folder.

    Parameters
    ----------
    folder : pathlib.Path
        Folder of run.py.
    processes : int
        Number of processes.

    Returns
    -------
    list of Pillar
        The runs, by metal, rate, temperature and seed.

    Raises
    ------
    FileNotFoundError
        If there is no run.
    """
    tables, lengths = {}, {}
    for path in sorted(folder.iterdir() if folder.is_dir() else ()):
        name, curve = NAME.fullmatch(path.name), path / "stress_strain.txt"
        if not name or not curve.exists():
            continue
        finished, rows = (path / "finished").exists(), curve.read_text().splitlines()[1:-1]
        if not finished and (not rows or float(rows[-1].split()[1]) < MIN_STRAIN):
            continue
        with warnings.catch_warnings():
            # a run that goes on ends in half a frame; frames that are not fcc are in the report
            warnings.simplefilter("ignore", UserWarning)
            tables[path] = _with_strain(analyse_pillar(
                path / "pillar.dump", curve, processes=processes, output=path / "pillar.csv",
                progress=False, dislocations=name["seed"] != "perfect",
            ))  # fmt: skip
        if (path / "length.txt").exists():
            length, cells = (path / "length.txt").read_text().split()
            lengths[path] = float(length) / float(cells)
    pillars = []
    for path, table in tables.items():
        name = NAME.fullmatch(path.name)
        assert name is not None
        if name["seed"] == "perfect":
            continue
        metal, temperature, rate, seed = name.groups()
        perfect, prestrain = path.with_name(f"{path.name.rpartition('_')[0]}_perfect"), 0.0
        if perfect in lengths:
            given = settings(path)
            a, width, height = (float(given[key]) for key in ("a", "width", "height"))
            prestrain = 1 - _length(path) / (round(width * height / a) * lengths[perfect])
        pillars.append(Pillar(
            metal, float(temperature), float(rate), seed, table, tables.get(perfect), prestrain
        ))  # fmt: skip
    if not pillars:
        raise FileNotFoundError(
            f"folder = {str(folder)!r}: has no run of run.py; start run.py first"
        )
    return sorted(pillars, key=lambda p: (p.metal, p.rate, p.temperature, p.seed))


def _with_strain(table: PillarTable) -> PillarTable:
    """Return the rows within the curve; the last frame of a run that goes on may be ahead of it."""
    known = np.flatnonzero(np.isfinite(table["strain"]))
    columns = {name: [table[name][k] for k in known] for name in COLUMNS}
    return PillarTable(columns, table.parameters, table.skipped)


def _length(path: Path) -> float:
    """Return the length of the relaxed pillar, Å."""
    with open(path / "pillar.dump", encoding="utf-8") as file:
        for line in file:
            if line.startswith("ITEM: BOX BOUNDS"):
                low, high = [next(file).split() for _ in range(3)][2]
                return float(high) - float(low)
    raise ValueError(f"{path / 'pillar.dump'}: has no box")


# --- pictures and report --------------------------------------------------------------------------

EVENTS = {"BCC embryo": "s", "ISF": "o", "ESF": "^", "CTB": "D"}


def _groups(pillars: Sequence[Pillar]) -> dict[tuple[str, float], list[Pillar]]:
    """Return the runs by metal and temperature."""
    groups: dict[tuple[str, float], list[Pillar]] = {}
    for p in pillars:
        groups.setdefault((p.metal, p.temperature), []).append(p)
    return groups


def draw(pillars: Sequence[Pillar], folder: Path) -> list[str]:
    """Draw the four pictures.

    Parameters
    ----------
    pillars : sequence of Pillar
        Runs of one rate.
    folder : pathlib.Path
        Folder of the pictures.

    Returns
    -------
    list of str
        Names of the pictures.
    """
    groups = _groups(pillars)
    metals = sorted({metal for metal, _ in groups})
    temperatures = sorted({temperature for _, temperature in groups})
    color = {t: COLORS[k % len(COLORS)] for k, t in enumerate(temperatures)}

    figure = new_figure(9.0, 3.6)
    for ax, metal in zip(figure.subplots(1, len(metals), squeeze=False)[0], metals, strict=True):
        for temperature in temperatures:
            for k, p in enumerate(groups.get((metal, temperature), [])):
                strain, stress = 100 * p.table["strain"], p.table["stress_GPa"]
                ax.plot(strain, stress, color=color[temperature], lw=1.0, alpha=1 if not k else 0.4,
                        label=None if k else f"{temperature:g} K")  # fmt: skip
                if k:
                    continue
                for event in p.table.events(MIN_ATOMS):
                    if event.name in EVENTS:
                        ax.plot(strain[event.row], stress[event.row], EVENTS[event.name], ms=5,
                                color=color[temperature], mec="k", mew=0.5)  # fmt: skip
        for name, marker in EVENTS.items():
            ax.plot([], [], marker, color="w", mec="k", ms=5, label=f"first {name}")
        ax.set(title=metal, xlabel="strain (%)", ylabel="stress (GPa)")
        ax.legend(frameon=False, fontsize=7)
        tidy(ax)
    save_figure(figure, folder / "order.png", dpi=100)

    figure = new_figure(9.0, 3.6)
    for ax, metal in zip(figure.subplots(1, len(metals), squeeze=False)[0], metals, strict=True):
        for temperature in temperatures:
            for k, p in enumerate(groups.get((metal, temperature), [])):
                ax.plot(100 * p.table["strain"], 100 * p.table["BCC"], color=color[temperature],
                        lw=1.0, alpha=1 if not k else 0.4,
                        label=None if k else f"pillar, {temperature:g} K")  # fmt: skip
                if not k:
                    ax.plot(100 * p.table["strain"], 100 * p.numbers["reference"], "--", lw=1.2,
                            color=color[temperature],
                            label=f"perfect crystal, {temperature:g} K")  # fmt: skip
        ax.set(title=metal, xlabel="strain (%)", ylabel="BCC (% of interior atoms)")
        ax.legend(frameon=False, fontsize=7)
        tidy(ax)
    save_figure(figure, folder / "bcc.png", dpi=100)

    figure = new_figure(9.0, 6.4)
    axes = figure.subplots(2, len(metals), squeeze=False)
    for metal, (top, bottom) in zip(metals, axes.T, strict=True):
        cold = groups[min(key for key in groups if key[0] == metal)]
        table = cold[0].table
        strain = 100 * table["strain"]
        n = np.maximum(table["n_interior"], 1)
        for name, values, k in (
            ("twinned", table["twinned"], 0), ("ISF", table["ISF"] / n, 1),
            ("ESF", table["ESF"] / n, 2), ("CTB and twin", (table["CTB"] + table["twin"]) / n, 3),
        ):  # fmt: skip
            top.plot(strain, 100 * np.asarray(values), color=COLORS[k], lw=1.1, label=name)
        right = top.twinx()
        right.plot(strain, table["dislocations_1/6<112>_A"] / 10, color="0.5", lw=0.9, ls="--")
        right.plot(strain, table["dislocations_1/2<110>_A"] / 10, color="0.5", lw=0.9, ls=":")
        right.set_ylabel("dislocations (nm): - - 1/6<112>, ... 1/2<110>", fontsize=7)
        top.set(title=f"{metal}, {cold[0].temperature:g} K", xlabel="strain (%)",
                ylabel="share of interior atoms (%)")  # fmt: skip
        top.legend(frameon=False, fontsize=7, loc="upper left")
        edges = np.linspace(0, max(strain[-1], 1e-9), 23)
        image = np.zeros((13, 22))
        for p in cold:
            for x, twins in zip(100 * p.table["strain"], p.table["twin_layers"], strict=True):
                column = min(int(np.searchsorted(edges, x, "right")) - 1, 21)
                for layers, atoms in twins.items():
                    image[min(int(layers), 12), max(column, 0)] += atoms
        most = max(3, int(np.flatnonzero(image.any(1)).max(initial=0)))
        shown = bottom.pcolormesh(edges, np.arange(14) - 0.5, np.where(image > 0, image, np.nan),
                                  cmap="viridis")  # fmt: skip
        figure.colorbar(shown, ax=bottom, label="atoms of boundaries")
        bottom.set(
            xlabel="strain (%)", ylabel="layers between boundaries (1: ESF)", ylim=(0.5, most + 0.5)
        )
    save_figure(figure, folder / "twins.png", dpi=100)

    figure = new_figure(9.0, 3.8)
    for ax, metal in zip(figure.subplots(1, len(metals), squeeze=False)[0], metals, strict=True):
        with_route = [p for p in pillars if p.metal == metal and p.numbers["route"] is not None]
        chosen = max(with_route, key=lambda p: len(p.numbers["route"].order), default=None)
        if chosen is None:
            chosen = next(p for p in pillars if p.metal == metal)
        _draw_stacking(ax, chosen)
    save_figure(figure, folder / "stacking.png", dpi=110)
    return ["order.png", "bcc.png", "twins.png", "stacking.png"]


def _draw_stacking(ax: Any, pillar: Pillar) -> None:
    """Draw the letters of the planes along one normal over strain."""
    from matplotlib.colors import ListedColormap

    table, route = pillar.table, pillar.numbers["route"]
    counts = Counter(name for frame in table["letters"] for name in frame)
    normal = route.normal if route else counts.most_common(1)[0][0]
    rows, matrix = _stacking(table, normal)
    image = np.full((matrix.shape[1], len(table)), np.nan)
    image[:, rows] = matrix.T
    x = 100 * table["strain"]
    ax.pcolormesh(x, np.arange(len(image)), np.ma.masked_invalid(image), vmin=-1, vmax=1,
                  shading="nearest",
                  cmap=ListedColormap([COLORS[1], "0.8", "#e4ecf4"]))  # fmt: skip
    title = f"{pillar.metal}, {pillar.temperature:g} K, seed {pillar.seed}, planes along {normal}"
    if route:
        title += f"\nslip order {'-'.join(map(str, route.order))}"
    else:
        title += "\nno three neighbouring steps slipped"
    ax.set_title(title, fontsize=9)
    ax.set(xlabel="strain (%)", ylabel="step from plane to plane")
    for name, shade in (
        ("up: parent", "#e4ecf4"),
        ("down: slipped", COLORS[1]),
        ("unknown", "0.8"),
    ):
        ax.plot([], [], "s", color=shade, mec="0.5", label=name)
    ax.legend(fontsize=7, loc="upper left", framealpha=0.9)


def _mean(values: Iterable[float], scale: float = 1.0, digits: int = 1) -> str:
    known = [scale * value for value in values if value is not None and np.isfinite(value)]
    if not known:
        return "-"
    if len(known) == 1:
        return f"{known[0]:.{digits}f}"
    return f"{np.mean(known):.{digits}f} ± {np.std(known, ddof=1):.{digits}f}"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    return [*lines, *(f"| {' | '.join(row)} |" for row in rows), ""]


def write_report(pillars: Sequence[Pillar], folder: Path) -> str:
    """Write report.md and its pictures.

    Parameters
    ----------
    pillars : sequence of Pillar
        All runs. The rate with most runs is the report's, the others are its last table.
    folder : pathlib.Path
        Folder of the files.

    Returns
    -------
    str
        The report.
    """
    rate = max({p.rate for p in pillars}, key=lambda r: sum(p.rate == r for p in pillars))
    main = [p for p in pillars if p.rate == rate]
    groups = _groups(main)
    atoms = " and ".join(str(n) for n in sorted({int(p.table["n_atoms"][0]) for p in main}))
    counts = [int(p.table["n_interior"][0]) for p in main]
    interior = f"{min(counts)} to {max(counts)}"
    end = max(float(p.table["strain"][-1]) for p in main)
    lines = [
        "# Iridium against aluminium", "",
        f"{len(main)} pillars of {atoms} atoms ({interior} interior), compressed along [001] to "
        f"{100 * end:.0f} % at {rate:.2g} 1/s. ± is the standard deviation of the seeds; in the "
        "verdicts it is the standard error of all runs. A claim holds, or does not, if its number "
        "is "
        "on one side of the limit by two standard errors, or if all runs say the same.", "",
        "## Verdicts", "",
        *_table(
            ("", "claim", "verdict", "number"),
            [(str(k), *v) for k, v in enumerate(_in_order(verdicts(main)), 1)],
        ),
    ]  # fmt: skip
    head = ("", *(f"{metal}, {t:g} K" for metal, t in groups))
    of = {key: [p.numbers for p in group] for key, group in groups.items()}

    def row(name: str, function: Any, scale: float = 1.0, digits: int = 1) -> tuple[str, ...]:
        return (name, *(_mean(map(function, ns), scale, digits) for ns in of.values()))

    lines += ["## Order of events", "", *_table(head, [
        ("runs", *(str(len(ns)) for ns in of.values())),
        row("last strain, %", lambda n: n["last_strain"], 100),
        row("stress at yield, GPa", lambda n: n["yield_stress"], digits=2),
        row("at strain, %", lambda n: n["yield_strain"], 100),
        *(
            (
                f"first {name}, strain in % (runs)",
                *(
                    f"{_mean([n['first'].get(name) for n in ns], 100)} "
                    f"({sum(name in n['first'] for n in ns)})"
                    for ns in of.values()
                ),
            )
            for name in ("BCC embryo", "embryo above the perfect crystal", "ISF", "ESF", "CTB")
        ),
        row("most BCC, % of the interior", lambda n: n["bcc_peak"], 100),
        row("turned HCP by way of BCC, %", lambda n: n["through_bcc"], 100, 0),
        ("frames that are not fcc", *(str(sum(n["not_fcc"] for n in ns)) for ns in of.values())),
    ]), "![stress and events](order.png)", ""]  # fmt: skip
    lines += ["## Twins against slip", "", *_table(head, [
        row("plastic strain at the end, %", lambda n: n["plastic"], 100),
        row("in no structure at the end, % of the atoms", lambda n: n["other"], 100),
        row("of the plastic strain by twins, %", lambda n: n["by_twins"], 100, 0),
        row("of it by single faults, %", lambda n: n["by_faults"], 100, 0),
        row("of it by slip and the rest, %", lambda n: n["by_slip"], 100, 0),
        row("twinned at the peak, % of the atoms", lambda n: n["twin_peak"], 100),
        row("twinned at the end, %", lambda n: n["twin_end"], 100),
        row("of the peak gone at the end, %", lambda n: n["detwinned"], 100, 0),
        row("all that vanished over all that grew, %", lambda n: n["vanished"], 100, 0),
        row("dislocations after yield, nm", lambda n: n["dislocations"], 0.1),
    ]), "![twins and slip](twins.png)", ""]  # fmt: skip

    lines += ["## BCC in the elastic range", ""]
    rows = []
    for metal in sorted({p.metal for p in main}):
        for t, entry in bcc_by_temperature([p for p in main if p.metal == metal]).items():
            rows.append((
                metal, f"{t:g}", f"{100 * entry['strain']:.2f}", _mean(entry["bcc"], 100, 2),
                _mean(np.subtract(entry["bcc"], entry["excess"]), 100, 2),
                _mean(entry["excess"], 100, 2),
            ))  # fmt: skip
    lines += _table(
        ("metal", "K", "strain, %", "BCC, %", "perfect crystal, %", "above it, %"), rows
    )
    prestrains = ", ".join(
        f"{metal} {t:g} K {_mean([p.prestrain for p in group], 100, 2)}"
        for (metal, t), group in groups.items()
    )
    lines += [
        "The perfect crystal has the pillar's temperature and its strain against the relaxed "
        "crystal. "
        f"The sides' tension compresses the relaxed pillar by (%): {prestrains}.", "",
        "![BCC](bcc.png)", "", "## Transitions between frames", "",
        "Atoms that change, % of the atoms that were there before, over the whole run.", "",
        *_table(
            ("", *(f"{a} to {b}" for a in STRUCTURES[1:] for b in STRUCTURES[1:] if a != b)),
            [
                (f"{metal}, {t:g} K", *_transitions(group)) for (metal, t), group in groups.items()
            ],
        ),
        "## Stacking at the thickest twin", "",
        "Steps of the stacking in the order in which they slipped (1 is the lowest of the twin), "
        "and "
        "the letters before the first and after each.", "",
    ]  # fmt: skip
    rows = []
    for p in main:
        route = p.numbers["route"]
        if route is not None:
            rows.append((
                p.metal, f"{p.temperature:g}", p.seed, route.normal,
                "-".join(map(str, route.order)),
                "yes" if route.is_132 else "no", " ".join(route.letters),
            ))  # fmt: skip
    lines += _table(("metal", "K", "seed", "normal", "order", "1-3-2", "letters"), rows)
    lines += ["![stacking](stacking.png)", ""]
    if len({p.rate for p in pillars}) > 1:
        lines += ["## Rates", ""]
        rows = []
        for metal in sorted({p.metal for p in pillars}):
            cold = min(p.temperature for p in pillars if p.metal == metal)
            for r in sorted({p.rate for p in pillars}):
                ns = [p.numbers for p in pillars
                      if (p.metal, p.temperature, p.rate) == (metal, cold, r)]  # fmt: skip
                if ns:
                    rows.append((
                        metal, f"{cold:g}", f"{r:.2g}", str(len(ns)),
                        _mean([n["yield_stress"] for n in ns], 1, 2),
                        _mean([n["yield_strain"] for n in ns], 100),
                        _mean([n["by_twins"] for n in ns], 100, 0),
                        _mean([n["by_slip"] for n in ns], 100, 0),
                        _mean([n["bcc_peak"] for n in ns], 100),
                    ))  # fmt: skip
        lines += _table(
            ("metal", "K", "rate, 1/s", "runs", "stress at yield, GPa", "at strain, %",
             "by twins, %", "by slip, %", "most BCC, %"), rows,
        )  # fmt: skip
    text = "\n".join(lines).rstrip() + "\n"
    draw(main, folder)
    with atomic_write(folder / "report.md") as file:
        file.write(text)
    return text


def _in_order(found: Sequence[Verdict]) -> list[tuple[str, str, str]]:
    return [(v.claim, f"**{v.text}**", v.number) for v in found]


def _transitions(group: Sequence[Pillar]) -> list[str]:
    """Return shares of atoms that change their structure between two frames, in per cent."""
    matrix = sum(p.table.transition_matrix() for p in group)
    before = np.maximum(np.asarray(matrix).sum(1, keepdims=True), 1)
    shares = 100 * np.asarray(matrix) / before
    return [f"{shares[a, b]:.2f}" for a in (1, 2, 3) for b in (1, 2, 3) if a != b]


def main() -> None:
    """Read the command line and report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?", default=Path("results"))
    parser.add_argument("--processes", type=int, default=os.cpu_count(), help="(%(default)s)")
    args = parser.parse_args()
    try:
        pillars = read_pillars(args.folder, args.processes)
    except FileNotFoundError as error:
        parser.error(str(error))
    print(write_report(pillars, args.folder))


if __name__ == "__main__":
    main()
