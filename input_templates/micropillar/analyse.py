#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Read the plasticity of compressed pillars: a table of each, the curves, three pictures.

python analyse.py FOLDER [FOLDER ...]

Each folder is one in which in.micropillar has run, complete or not. Needs OVITO:
pip install 'entsym[analysis]'.
"""

import argparse
import os
import re
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from ase_calculators.pillar import (
    PillarTable,
    analyse_pillar,
    plot_pillar,
    read_stress_strain,
    render_pillar,
)


def settings(folder: Path) -> dict[str, str]:
    """Read the variables of a run.

    Parameters
    ----------
    folder : pathlib.Path
        Where in.micropillar has run.

    Returns
    -------
    dict of str to str
        The -var of the run, from pillar.settings.
    """
    text = (folder / "pillar.settings").read_text(encoding="utf-8")
    return dict(re.findall(r"^variable (\S+)\s+index (.+)$", text, re.MULTILINE))


def draw_curves(runs: dict[str, Path], path: Path) -> None:
    """Draw both stresses, sS and Q6 against strain.

    Parameters
    ----------
    runs : dict of str to pathlib.Path
        Folders by label.
    path : pathlib.Path
        The picture.
    """
    figure, axes = plt.subplots(3, sharex=True, figsize=(6.0, 6.4), layout="constrained")
    for k, (label, folder) in enumerate(runs.items()):
        curve = read_stress_strain(folder / "stress_strain.txt")
        strain = 100 * curve["strain"]
        color = "#0072b2" if len(runs) == 1 else plt.get_cmap("plasma")(0.1 + 0.75 * k / len(runs))
        axes[0].plot(strain, curve["layer_stress_GPa"], color=color, lw=0.7, alpha=0.4)
        axes[0].plot(strain, curve["stress_GPa"], color=color, lw=1.4, label=label)
        axes[1].plot(strain, curve["sS"], color=color, lw=1.1)
        axes[2].plot(strain, curve["Q6"], color=color, lw=1.1)
    for ax, name in zip(
        axes, ("stress (GPa)\nthin: on the layers", "sS ($k_\\mathrm{B}$ per atom)", "Q6"),
        strict=True,
    ):  # fmt: skip
        ax.set_ylabel(name)
        ax.grid(color="0.92", lw=0.6)
        ax.spines[["top", "right"]].set_visible(False)
    axes[0].legend(frameon=False)
    axes[2].set(xlabel="strain (%)", xlim=(0, None))
    figure.align_ylabels(axes)
    figure.savefig(path, dpi=120)
    plt.close(figure)


def summary(label: str, table: PillarTable, folder: Path) -> str:
    """Say what happened in a run.

    Parameters
    ----------
    label : str
        Of the run.
    table : ase_calculators.pillar.PillarTable
        Its table.
    folder : pathlib.Path
        Where it ran.

    Returns
    -------
    str
        A few lines.
    """
    curve = read_stress_strain(folder / "stress_strain.txt")
    elastic = (curve["strain"] > 0.003) & (curve["strain"] < 0.05)
    lines = [
        f"{label}: {int(table['n_atoms'][0])} atoms, {len(table)} frames",
        "  stress on the layers over that of the gauge volume, mean of strains 0.3 to 5 %: "
        f"{curve['layer_stress_GPa'][elastic].mean() / curve['stress_GPa'][elastic].mean():.3f}",
    ]
    lines += [
        f"  {name:16s} at strain {100 * strain:5.2f} %" for name, strain, *_ in table.events()
    ]
    return "\n".join(lines)


def analyse(
    folders: list[Path], output: Path, frame: int | None, processes: int, render: bool = True
) -> None:
    """Analyse pillars and write tables and pictures.

    Parameters
    ----------
    folders : list of pathlib.Path
        Where in.micropillar has run.
    output : pathlib.Path
        Folder of what comes out; the table of a run goes to its own folder.
    frame : int or None
        Which frame of the first run is rendered; None: the one with most hcp atoms.
    processes : int
        Processes that analyse.
    render : bool
        Make the three pictures.
    """
    labels = [f"{float(settings(folder)['temperature']):g} K" for folder in folders]
    if len(set(labels)) < len(labels):
        labels = [folder.name for folder in folders]
    runs = dict(zip(labels, folders, strict=True))
    tables = {}
    for label, folder in runs.items():
        tables[label] = analyse_pillar(
            folder / "pillar.dump", folder / "stress_strain.txt",
            processes=processes, output=folder / "pillar.csv",
        )  # fmt: skip
    output.mkdir(parents=True, exist_ok=True)
    draw_curves(runs, output / "curves.png")
    figure = plot_pillar(
        tables if len(runs) > 1 else tables[labels[0]],
        {label: folder / "stress_strain.txt" for label, folder in runs.items()}
        if len(runs) > 1 else folders[0] / "stress_strain.txt",
    )  # fmt: skip
    figure.savefig(output / "pillar.png", dpi=110)
    for label, table in tables.items():
        print(summary(label, table, runs[label]))
    first = tables[labels[0]]
    if frame is None:
        frame = int(np.nanargmax(first["HCP"]))
    print(f"pictures of frame {frame}, strain {100 * first['strain'][frame]:.1f} %")
    for color in ("structure", "fault", "entropy") if render else ():
        render_pillar(folders[0] / "pillar.dump", output / f"{color}.png", frame, color)
    print(f"tables: {', '.join(str(folder / 'pillar.csv') for folder in folders)}")
    print(f"curves.png, pillar.png, structure.png, fault.png, entropy.png: {output}")


def main() -> None:
    """Read the command line and analyse."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", type=Path, nargs="+", help="where in.micropillar has run")
    parser.add_argument("--output", type=Path, help="folder of the pictures (the first folder)")
    parser.add_argument("--frame", type=int, help="to render (the one with most hcp atoms)")
    parser.add_argument("--processes", type=int, default=os.cpu_count(), help="(%(default)s)")
    parser.add_argument("--no-pictures", action="store_true", help="tables and curves only")
    args = parser.parse_args()
    for folder in args.folders:
        for name in ("pillar.dump", "stress_strain.txt", "pillar.settings"):
            if not (folder / name).is_file():
                parser.error(f"folder = {folder}: has no {name}; run in.micropillar there")
    analyse(
        args.folders, args.output or args.folders[0], args.frame, args.processes,
        not args.no_pictures,
    )  # fmt: skip


if __name__ == "__main__":
    main()
