#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Check the landscape on melting silicon against the energy, next to the fraction of diamond atoms.

python sensitivity_melt.py FOLDER

FOLDER is that of demo.py, with melt.dump and log.melt. OVITO is needed:
pip install 'entsym[analysis]'.

The frames are split at the melting of the crystal, the first one with Q6 < 0.2, without the two
picoseconds on either side of it, and in the quench at the point where the temperature, averaged
over 1 ps, falls below the melting point. For each part, the rank correlation of every parameter
with the potential energy is printed, and the partial one at equal temperature, because the
temperature drives both.
"""

import argparse
from pathlib import Path

import ase.io
import matplotlib.pyplot as plt
import numpy as np
from demo import read_log, write_table
from landscape import SILICON
from scipy.ndimage import uniform_filter1d
from scipy.stats import rankdata
from tqdm import tqdm

from ase_calculators import EntropySymmetry, map_landscape
from ase_calculators.figures import save_figure

# K, of Stillinger and Weber's silicon: Broughton and Li, Phys. Rev. B 35, 9120 (1987)
MELTING_POINT = 1691.0


def diamond_fraction(path: Path) -> np.ndarray:
    """Return the fraction of cubic diamond atoms in each frame of a dump.

    Parameters
    ----------
    path : pathlib.Path
        The dump.

    Returns
    -------
    (n_frames,) float64
        Atoms that OVITO identifies as cubic diamond, which have their first and second neighbours
        in the places of that lattice (E. Maras et al., Comp. Phys. Comm. 205, 13 (2016)), over
        all atoms.
    """
    from ovito.io import import_file
    from ovito.modifiers import IdentifyDiamondModifier

    pipeline = import_file(path)
    pipeline.modifiers.append(IdentifyDiamondModifier())
    fractions = []
    for frame in tqdm(range(pipeline.source.num_frames), unit=" frames", desc="OVITO"):
        data = pipeline.compute(frame)
        count = data.attributes["IdentifyDiamond.counts.CUBIC_DIAMOND"]
        fractions.append(count / data.particles.count)
    return np.array(fractions)


def rank_correlations(
    x: np.ndarray, energy: np.ndarray, temperature: np.ndarray
) -> tuple[float, float]:
    """Return Spearman's rank correlation with the energy, and that at equal temperature.

    Parameters
    ----------
    x, energy, temperature : (n,) float64
        The values of the frames.

    Returns
    -------
    correlation, partial : float
        NaN if x is constant or there are fewer than three frames.
    """
    if len(x) < 3 or np.ptp(x) == 0:
        return np.nan, np.nan
    xe, xt, et = np.corrcoef([rankdata(values) for values in (x, energy, temperature)])[
        [0, 0, 1], [1, 2, 2]
    ]
    return float(xe), float((xe - xt * et) / np.sqrt((1 - xt**2) * (1 - et**2)))


def split(time: np.ndarray, temperature: np.ndarray, Q6: np.ndarray) -> dict[str, np.ndarray]:
    """Split the frames into solid, liquid and quenched (below the melting point).

    Parameters
    ----------
    time, temperature, Q6 : (n,) float64
        Values of the frames in ps, K and 1.

    Returns
    -------
    dict of str to (n,) bool
        Masks of the parts.
    """
    melted = time[np.argmax(Q6 < 0.2)] if (Q6 < 0.2).any() else np.inf
    width = max(1, round(1.0 / (time[1] - time[0])))
    smooth = uniform_filter1d(temperature, width)
    after = time > melted + 2.0
    return {
        "solid": time < melted - 2.0,
        "liquid": after & (smooth >= MELTING_POINT),
        "quenched": after & (smooth < MELTING_POINT),
    }


def draw(
    energy: np.ndarray,
    parameters: dict[str, np.ndarray],
    parts: dict[str, np.ndarray],
    note: str,
    path: Path,
) -> None:
    """Draw each parameter against the energy.

    Parameters
    ----------
    energy : (n,) float64
        Energy per atom, eV.
    parameters : dict of str to (n,) float64
        Parameters to draw.
    parts : dict of str to (n,) bool
        Parts of the run, each in its own colour.
    note : str
        Caption.
    path : pathlib.Path
        The picture.
    """
    colors = {"solid": "#0072b2", "liquid": "#d55e00", "quenched": "#009e73"}
    figure, axes = plt.subplots(2, 2, sharex=True, figsize=(6.6, 5.4), layout="constrained")
    for ax, (label, values) in zip(axes.flat, parameters.items(), strict=True):
        ax.scatter(energy, values, s=3, color="0.75", linewidths=0)
        for name, mask in parts.items():
            ax.scatter(
                energy[mask], values[mask], s=4, color=colors[name], linewidths=0, label=name
            )
        ax.set_ylabel(label)
        ax.grid(color="0.92", lw=0.6)
        ax.set_axisbelow(True)
        ax.spines[["top", "right"]].set_visible(False)
    # the liquid end of sS, which the crystal's scale hides
    inset = axes[0, 0].inset_axes((0.56, 0.14, 0.42, 0.44))
    for name in ("liquid", "quenched"):
        mask = parts[name]
        inset.scatter(
            energy[mask], next(iter(parameters.values()))[mask], s=2, color=colors[name],
            linewidths=0,
        )  # fmt: skip
    inset.tick_params(labelsize=7)
    axes[0, 1].legend(frameon=False, markerscale=3)
    for ax in axes[1]:
        ax.set_xlabel("potential energy per atom (eV)")
    figure.suptitle(note, fontsize=8, color="0.4")
    save_figure(figure, path, dpi=150)


def main() -> None:
    """Read the run, print the correlations and draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="folder of demo.py, with melt.dump and log.melt")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--output", default="sensitivity_melt", help="name of .csv and .png")
    args = parser.parse_args()
    dump, log_file = args.folder / "melt.dump", args.folder / "log.melt"
    for path in (dump, log_file):
        if not path.exists():
            parser.error(f"folder = {args.folder}: has no {path.name}; run demo.py there first")
    try:
        import ovito  # noqa: F401
    except ImportError as error:
        parser.error(f"OVITO cannot be loaded ({error}): pip install 'entsym[analysis]'")

    calc = EntropySymmetry(**SILICON)
    table = map_landscape(dump, calc, processes=args.processes, energies=log_file)
    log = read_log(log_file)
    if len(log["Step"]) != len(table):
        parser.error(
            f"folder = {args.folder}: {len(table)} frames and {len(log['Step'])} lines of thermo "
            "output do not match; run demo.py there again"
        )
    frames = tqdm(ase.io.iread(dump, index=":"), unit=" frames", total=len(table), desc="local q6")
    energy = table.energy / table.n_atoms
    parameters = {
        "sS ($k_\\mathrm{B}$ per atom)": table.sS,
        "Q6 (global)": table.Q6,
        "mean of the local q6": np.array(
            [calc.get_property("local_q6", atoms).mean() for atoms in frames]
        ),
        "fraction of diamond atoms": diamond_fraction(dump),
    }
    parts = split(log["Time"], log["Temp"], table.Q6)

    settings = " ".join(f"{name} {value:g}" for name, value in SILICON.items())
    csv, png = Path(f"{args.output}.csv"), Path(f"{args.output}.png")
    names = ("sS_kB_per_atom", "Q6", "mean_local_q6", "diamond_fraction")
    columns = {"time_ps": log["Time"], "temperature_K": log["Temp"], "energy_eV_per_atom": energy}
    write_table(
        csv,
        f"Stillinger-Weber Si, {settings} (A)",
        columns | dict(zip(names, parameters.values(), strict=True)),
    )
    draw(energy, parameters, parts, f"Si, {table.n_atoms[0]} atoms, {settings} Å", png)

    print("rank correlation with the energy (at equal temperature); - if a value is constant")
    print(f"{'':<18}" + "".join(f"{f'{k}, {v.sum()} frames':>24}" for k, v in parts.items()))
    for name, values in zip(names, parameters.values(), strict=True):
        pairs = (
            rank_correlations(values[mask], energy[mask], log["Temp"][mask])
            for mask in parts.values()
        )
        texts = ("-" if np.isnan(x) else f"{x:+.3f} ({y:+.3f})" for x, y in pairs)
        print(f"{name:<18}" + "".join(f"{text:>24}" for text in texts))
    print(f"table {csv}, picture {png}")


if __name__ == "__main__":
    main()
