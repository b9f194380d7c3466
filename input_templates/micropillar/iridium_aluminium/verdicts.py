# SPDX-License-Identifier: BSD-3-Clause
"""Six claims of the paper, each judged by numbers of all runs."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from measurements import MAX_OTHER, Pillar, bcc_by_temperature, fault_row


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
    number = f"in {sum(cases)} of {len(cases)} runs"
    if cases:
        each = (f"{name} {sum(found)} of {len(found)}" for name, found in groups.items())
        number += f" ({', '.join(each)})"
    if n > 1:
        number += f"; strain between them {mean:.2f} ± {error:.2f} % ({n} runs)"
    return Verdict(
        "BCC clusters come before the first fault, above the perfect crystal's",
        count(cases),
        number,
    )


def _bcc_grows(by: dict[str, list[Pillar]]) -> Verdict:
    texts, numbers = [], []
    for metal, pillars in by.items():
        contents = bcc_by_temperature(pillars)
        if len(contents) < 2:
            continue
        (cold, low), (hot, high) = min(contents.items()), max(contents.items())
        _, base, spread, _ = decide(low["excess"], 0.0)
        rise = [h - base for h in high["excess"]]
        _, mean, error, n = decide(rise, 0.0)
        error = float(np.hypot(error, spread))
        text = UNKNOWN
        if np.isfinite(error):
            text = HOLDS if mean > 2 * error else FAILS if mean < -2 * error else UNKNOWN
            # no more than the perfect crystal within a tenth of a per cent: known, and not a rise
            if text == UNKNOWN and mean + 2 * error < 0.001:
                text = FAILS
        raw = np.nanmean(high["bcc"]) - np.nanmean(low["bcc"])
        texts.append(text)
        above = f"{100 * mean:+.2f} %" if n else "unknown"
        above += f" ± {100 * error:.2f} %" if np.isfinite(error) else ""
        numbers.append(
            f"{metal}, {cold:g} to {hot:g} K at {100 * low['strain']:.1f} % of strain: BCC "
            f"{100 * raw:+.2f} % of the atoms, above the perfect crystal {above} ({text})"
        )
    text = texts[0] if texts and len(set(texts)) == 1 else UNKNOWN
    return Verdict("BCC in the elastic range grows with temperature", text, "; ".join(numbers))


def _disordered(pillars: Sequence[Pillar]) -> str:
    left_out = sum(p.numbers["other"] >= MAX_OTHER for p in pillars)
    return f"{left_out} of {len(pillars)} pillars are disordered at the end and left out"


def _percent(found: tuple[str, float, float, int]) -> str:
    _, mean, error, n = found
    if not n:
        return "an unknown share"
    return f"{100 * mean:.0f} ± {100 * error:.0f} %" if n > 1 else f"{100 * mean:.0f} % (one run)"
