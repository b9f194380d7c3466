# SPDX-License-Identifier: BSD-3-Clause
"""What is measured of a pillar: first defects, twins and slip, BCC above the perfect crystal."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from slip_order import slip_order

from ase_calculators.pillar import PillarTable

# A pillar with this share of atoms in no structure at its end is no longer a crystal that slips.
MAX_OTHER = 0.4
MIN_ATOMS = 10  # of a fault or cluster that counts, as in PillarTable.events
# A partial that slips over an atomic plane shears its height by 1/sqrt(2).
# Compressed along [001] the leading partial of each {111} plane has a Schmid factor of sqrt(2)/3.
SCHMID_SHEAR = 1 / 3


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


def by_metal_and_temperature(pillars: Sequence[Pillar]) -> dict[tuple[str, float], list[Pillar]]:
    """Return the runs by metal and temperature.

    Parameters
    ----------
    pillars : sequence of Pillar
        Runs.

    Returns
    -------
    dict
        Runs of each (metal, temperature).
    """
    groups: dict[tuple[str, float], list[Pillar]] = {}
    for p in pillars:
        groups.setdefault((p.metal, p.temperature), []).append(p)
    return groups
