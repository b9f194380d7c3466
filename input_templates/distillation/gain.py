#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Say what the teacher's labels gain: groups of models, one for each seed, on the test frames.

python gain.py --group DNN DNN-1 DNN-2 --group DNN-KD DNN-KD-1 DNN-KD-2 --group MPNN teacher
python gain.py ... --faults labels.extxyz                             held-out faults apart
python gain.py ... --properties elastic_constants vacancy phonons     and the crystal

The first group is what the others are compared with. A gain is 1 - RMSE / RMSE of the first group,
by the means over the seeds; its error is that of 2,000 draws with replacement, of the test frames
and of the seeds. Models are those of compare.py; an interrupted run resumes with the next. Writes
gain.md and gain.png.
"""

import argparse
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from teacher import split_faults

from ase_calculators.distillation import Comparison, compare_models
from ase_calculators.distillation.prediction import QUANTITIES
from ase_calculators.figures import save_figure
from ase_calculators.frame_source import read_frames
from ase_calculators.provenance import atomic_write
from ase_calculators.validation import read_reference

N_DRAWS = 2000
SHARE = 0.3  # the paper's gain
# quantities of a crystal whose deviations are averaged
CRYSTAL = ("B", "C11", "C12", "C44", "vacancy formation", "vacancy migration",
           "phonon X 1", "phonon X 2", "phonon L 1", "phonon L 2")  # fmt: skip
Squares = dict[str, list[tuple[np.ndarray, np.ndarray]]]


def squares(comparison: Comparison, names: list[str]) -> Squares:
    """Return the sums of squared errors of each frame, and how many numbers they are of.

    Parameters
    ----------
    comparison : Comparison
        Errors of all models.
    names : list of str
        Models of one group.

    Returns
    -------
    dict of str to list of tuple
        For each quantity and model the sums and the numbers, two arrays of n frames.
    """
    found: Squares = {quantity: [] for quantity in QUANTITIES}
    for name in names:
        errors = comparison.errors[name]
        of_frame = errors.of_frames()
        for quantity in QUANTITIES:
            number = {"energy": 1.0, "virial": 9.0}.get(quantity, 3.0 * errors.n_atoms)
            if quantity in of_frame:
                count = np.broadcast_to(number, errors.n_atoms.shape)
                found[quantity].append((of_frame[quantity] ** 2 * count, count))
    return found


def rmse(of_models: list[tuple[np.ndarray, np.ndarray]], frames: np.ndarray) -> np.ndarray:
    """Return the RMSE of each model on some frames.

    Parameters
    ----------
    of_models : list of tuple
        Sums and numbers, as of `squares`.
    frames : array of int
        Numbers of the frames; one may come several times.

    Returns
    -------
    (n,) array
        RMSE of each model.
    """
    return np.array([np.sqrt(total[frames].sum() / n[frames].sum()) for total, n in of_models])


def gain(base: list, other: list, rng: np.random.Generator) -> tuple[float, float]:
    """Return what a group gains on another, and the standard error.

    Parameters
    ----------
    base, other : list of tuple
        Sums and numbers of the models of both groups.
    rng : numpy.random.Generator
        Source of the draws.

    Returns
    -------
    (float, float)
        Gain and its standard error, shares.
    """
    n_frames = len(base[0][0])
    draws = []
    for _ in range(N_DRAWS):
        frames = rng.integers(n_frames, size=n_frames)
        means = [
            rmse([group[k] for k in rng.integers(len(group), size=len(group))], frames).mean()
            for group in (base, other)
        ]
        draws.append(1 - means[1] / means[0])
    everything = np.arange(n_frames)
    return float(1 - rmse(other, everything).mean() / rmse(base, everything).mean()), float(
        np.std(draws)
    )


def spread(values: np.ndarray, digits: int) -> str:
    """Return mean and standard deviation as text, the mean alone of one value."""
    text = f"{np.mean(values):.{digits}f}"
    return text + (f" ± {np.std(values, ddof=1):.{digits}f}" if len(values) > 1 else "")


def error_table(title: str, groups: dict[str, Squares]) -> tuple[str, dict[str, list]]:
    """Return the table of errors and gains, and the gains.

    Parameters
    ----------
    title : str
        What the frames are.
    groups : dict of str to dict
        Of each group, as of `squares`.

    Returns
    -------
    (str, dict of str to list)
        The text; for each group and quantity gain and error.
    """
    first = next(iter(groups.values()))
    n_frames = len(first["energy"][0][0])
    heads = [f"{quantity}, {unit} | gain, %" for quantity, unit in QUANTITIES.items()]
    lines = [f"{title}, {n_frames} frames:", "", f"| models | seeds | {' | '.join(heads)} |"]
    lines.append("|---" * (2 + 2 * len(heads)) + "|")
    rng, gains = np.random.default_rng(0), {}
    for name, found in groups.items():
        cells, gains[name] = [], []
        for quantity in QUANTITIES:
            of_models = found[quantity]
            if not of_models or not first[quantity]:  # labels or models without stress
                cells += ["", ""]
                gains[name] += [(np.nan, 0.0)] * (found is not first)
                continue
            values = rmse(of_models, np.arange(n_frames))
            text = ""
            if found is not first:
                gains[name].append(gain(first[quantity], of_models, rng))
                text = f"{100 * gains[name][-1][0]:.0f} ± {100 * gains[name][-1][1]:.0f}"
            cells += [spread(values, 1), text]
        lines.append(f"| {name} | {len(found['energy'])} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n", gains


def crystal_table(comparison: Comparison, names: dict[str, list[str]], element: str) -> str:
    """Return the table of the crystal's properties.

    Parameters
    ----------
    comparison : Comparison
        With the reports of all models.
    names : dict of str to list of str
        Models of each group.
    element : str
        Chemical symbol, of the reference.

    Returns
    -------
    str
        The text.
    """
    values = {report.model: report.values for report in comparison.reports}
    reference = {key: entry["value"] for key, entry in read_reference(None, element).items()}
    units = {
        key: entry.get("unit", "") for report in comparison.reports
        for record in report.records.values() for key, entry in record["values"].items()
    }  # fmt: skip
    lines = [
        f"| quantity | unit | {' | '.join(names)} | measured |",
        "|---" * (3 + len(names)) + "|",
    ]
    for key, unit in units.items():
        cells = []
        for group in names.values():
            found = np.array([values[name][key] for name in group if key in values.get(name, {})])
            cells.append(spread(found, 2 if abs(found).mean() < 20 else 1) if len(found) else "")
        known = f"{reference[key]:.4g}" if key in reference else ""
        lines.append(f"| {key} | {unit} | {' | '.join(cells)} | {known} |")
    wanted = [key for key in CRYSTAL if key in reference and key in units]
    cells = []
    for group in names.values():
        off = [
            100 * np.mean([abs(values[name][key] / reference[key] - 1) for key in wanted])
            for name in group if all(key in values.get(name, {}) for key in wanted)
        ]  # fmt: skip
        cells.append(spread(np.array(off), 1) if off else "")
    lines.append(
        f"| mean deviation of {len(wanted)}: {', '.join(wanted)} | % | {' | '.join(cells)} | |"
    )
    return "\n".join(lines) + "\n"


def main() -> None:
    """Read the command line, compare, write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--group", nargs="+", action="append", required=True, metavar=("NAME", "MODEL"),
        help="a name, and models that differ by their seed",
    )  # fmt: skip
    parser.add_argument("--test", default="sets/test.extxyz", help="(%(default)s)")
    parser.add_argument("--faults", help="labelled stacks; the held-out fifth is tested")
    parser.add_argument("--properties", nargs="*", default=(), help="of validate (none)")
    parser.add_argument("--element", default="Al", help="(%(default)s)")
    parser.add_argument("--crystal", default="fcc", help="(%(default)s)")
    parser.add_argument("--output", type=Path, default=Path("gain"), help="(%(default)s)")
    args = parser.parse_args()
    if short := [group[0] for group in args.group if len(group) < 2]:
        parser.error(f"--group {short[0]}: has no models; give NAME MODEL ...")
    names = {
        group[0]: [f"{group[0]} {k + 1}" for k in range(len(group) - 1)] for group in args.group
    }
    if len(names) < len(args.group):
        parser.error(f"--group: {', '.join(g[0] for g in args.group)}: name each group once")
    models = {
        name: model for group in args.group
        for name, model in zip(names[group[0]], group[1:], strict=True)
    }  # fmt: skip
    try:
        tests = {"Test frames": ("test", list(read_frames(args.test)))}
        if args.faults:
            tests["Held-out stacks and faults"] = ("faults", split_faults(args.faults)[1])
        text, all_gains = "", {}
        for title, (slug, frames) in tests.items():
            compared = compare_models(
                frames, models, args.output / slug, element=args.element, crystal=args.crystal,
                properties=args.properties if slug == "test" else (),
            )  # fmt: skip
            if compared.failed:
                name, reason = next(iter(compared.failed.items()))
                parser.error(f"--group: {name}: {reason}")
            groups = {name: squares(compared, members) for name, members in names.items()}
            table, all_gains[title] = error_table(title, groups)
            text += table + "\n"
            if compared.reports:
                text += crystal_table(compared, names, args.element) + "\n"
    except (ImportError, OSError, ValueError) as error:
        parser.error(str(error))
    with atomic_write(args.output / "gain.md") as file:
        file.write(text)
    print(text)
    size = 4.2 * len(tests) + 1.4, 3.4
    figure, axes = plt.subplots(1, len(tests), figsize=size, layout="constrained", squeeze=False)
    for ax, (title, gains) in zip(axes[0], all_gains.items(), strict=True):
        shown = {name: found for name, found in gains.items() if found}
        width = 0.8 / max(len(shown), 1)
        for number, (name, found) in enumerate(shown.items()):
            place = np.arange(len(found)) + (number - (len(shown) - 1) / 2) * width
            ax.bar(place, [100 * share for share, _ in found], width,
                   yerr=[100 * error for _, error in found], label=name, capsize=2)  # fmt: skip
        ax.axhline(100 * SHARE, c="k", ls=":", lw=1)
        ax.axhline(0, c="k", lw=0.8)
        ax.set_xticks(range(len(QUANTITIES)), list(QUANTITIES))
        ax.set_title(title, fontsize=9)
    axes[0, 0].set_ylabel(f"gain on {next(iter(names))} (%)")
    handles, shown_names = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, shown_names, loc="outside right upper", frameon=False, fontsize=8)
    save_figure(figure, args.output / "gain.png", dpi=150)
    plt.close(figure)


if __name__ == "__main__":
    main()
