#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Analyse the plasticity of compressed pillars: tables, curves, a summary, three renderings.

python analyse.py FOLDER [FOLDER ...]

In each folder in.micropillar has run, complete or not. Needs OVITO: pip install 'entsym[analysis]'.
"""

import argparse
import os
import re
from collections import Counter
from pathlib import Path

import numpy as np
from matplotlib import colormaps

from ase_calculators.figures import COLORS, new_figure, save_figure, tidy
from ase_calculators.pillar import (
    PillarTable,
    analyse_pillar,
    plot_pillar,
    read_stress_strain,
    render_pillar,
)
from ase_calculators.provenance import atomic_write


def settings(folder: Path) -> dict[str, str]:
    """Read the variables of a run.

    Parameters
    ----------
    folder : pathlib.Path
        Folder in which in.micropillar has run.

    Returns
    -------
    dict of str to str
        Variables of the run, from pillar.settings.
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
    figure = new_figure(6.0, 6.4)
    axes = figure.subplots(3, sharex=True)
    for k, (label, folder) in enumerate(runs.items()):
        curve = read_stress_strain(folder / "stress_strain.txt")
        strain = 100 * curve["strain"]
        color = COLORS[0] if len(runs) == 1 else colormaps["plasma"](0.1 + 0.75 * k / len(runs))
        axes[0].plot(strain, curve["layer_stress_GPa"], color=color, lw=0.7, alpha=0.4)
        axes[0].plot(strain, curve["stress_GPa"], color=color, lw=1.4, label=label)
        axes[1].plot(strain, curve["sS"], color=color, lw=1.1)
        axes[2].plot(strain, curve["Q6"], color=color, lw=1.1)
    for ax, name in zip(
        axes, ("stress (GPa)\nthin: on the layers", "sS ($k_\\mathrm{B}$ per atom)", "Q6"),
        strict=True,
    ):  # fmt: skip
        ax.set_ylabel(name)
        tidy(ax)
    axes[0].legend(frameon=False)
    axes[2].set(xlabel="strain (%)", xlim=(0, None))
    figure.align_ylabels(axes)
    save_figure(figure, path, dpi=120)


def summary(tables: dict[str, PillarTable], runs: dict[str, Path]) -> str:
    """Compare the runs.

    Parameters
    ----------
    tables : dict of str to ase_calculators.pillar.PillarTable
        Tables by label.
    runs : dict of str to pathlib.Path
        Folders by label.

    Returns
    -------
    str
        A Markdown table, a column per run.
    """
    columns = {}
    for label, table in tables.items():
        curve = read_stress_strain(runs[label] / "stress_strain.txt")
        elastic = (curve["strain"] > 0.003) & (curve["strain"] < 0.05)
        gauge, layers = (curve[f"{name}stress_GPa"][elastic].sum() for name in ("", "layer_"))
        top, most = np.argmax(curve["stress_GPa"]), np.argmax(table["BCC"])
        first = {event.name: f"{100 * event.strain:.1f}" for event in table.events()}
        clusters = table["bcc_cluster_sizes"]
        twins: Counter[int] = Counter()  # atoms of boundaries, in all frames
        for frame in table["twin_layers"]:
            twins.update({int(n): atoms for n, atoms in frame.items() if int(n) > 1})
        thickness = "none"
        if twins:
            mean = sum(n * atoms for n, atoms in twins.items()) / twins.total()
            thickness = f"{mean:.1f}, {twins.most_common(1)[0][0]}, {max(twins)}"
        columns[label] = {
            "atoms": f"{table['n_atoms'][0]:,}",
            "frames, the last at strain, %": f"{len(table)}, {100 * table['strain'][-1]:.1f}",
            "highest stress, GPa": f"{curve['stress_GPa'][top]:.2f}",
            "at strain, %": f"{100 * curve['strain'][top]:.1f}",
            **{f"first {name}, strain in %": first.get(name, "-")
               for name in ("BCC embryo", "ISF", "ESF", "CTB")},
            "most BCC, % of the interior": f"{100 * table['BCC'][most]:.2f}",
            "at strain, %, of the most BCC": f"{100 * table['strain'][most]:.1f}",
            "largest BCC cluster, atoms": str(max(max(sizes, default=0) for sizes in clusters)),
            "turned HCP by way of BCC, %": f"{100 * table.share_through_bcc():.0f}",
            **{f"most atoms in {name}": f"{np.nan_to_num(table[name]).max():.0f}"
               for name in ("ISF", "ESF", "CTB", "twin")},
            "layers of twins: mean, most frequent, most": thickness,
            "1/6<112> dislocations at the end, Å": f"{table['dislocations_1/6<112>_A'][-1]:.0f}",
            "stress on the layers / of the gauge volume, 0.3 to 5 %": f"{layers / gauge:.3f}",
        }  # fmt: skip
    lines = [f"| | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
    for name in columns[next(iter(columns))]:
        lines.append(f"| {name} | {' | '.join(column[name] for column in columns.values())} |")
    cutoff = next(iter(tables.values())).parameters["rmsd_cutoff"]
    lines.append(
        f"\nPTM with a cutoff of {cutoff:g}. First: the first frame with 10 atoms (CTB: of all "
        "boundaries but those of ESFs). Layers of twins: between the two boundaries, over all "
        "frames, weighted by the atoms of the boundaries."
    )
    return "\n".join(lines)


def analyse(
    folders: list[Path], output: Path, processes: int, render: bool = True,
    frame: int | None = None, rmsd_cutoff: float = 0.13,
) -> None:  # fmt: skip
    """Analyse pillars and write tables and pictures.

    Parameters
    ----------
    folders : list of pathlib.Path
        Folders in which in.micropillar has run.
    output : pathlib.Path
        Folder of summary and pictures; the table of a run goes to its own folder.
    processes : int
        Number of processes.
    render : bool
        Make the three renderings.
    frame : int, optional
        Number of the frame of the first run that is rendered. Default: the one with most hcp atoms.
    rmsd_cutoff : float
        Cutoff of PTM, for all runs.
    """
    labels = [f"{float(settings(folder)['temperature']):g} K" for folder in folders]
    if len(set(labels)) < len(labels):
        labels = [folder.name for folder in folders]
    runs = dict(zip(labels, folders, strict=True))
    tables = {}
    for label, folder in runs.items():
        tables[label] = analyse_pillar(
            folder / "pillar.dump", folder / "stress_strain.txt",
            processes=processes, rmsd_cutoff=rmsd_cutoff, output=folder / "pillar.csv",
        )  # fmt: skip
    output.mkdir(parents=True, exist_ok=True)
    draw_curves(runs, output / "curves.png")
    figure = plot_pillar(
        tables if len(runs) > 1 else tables[labels[0]],
        {label: folder / "stress_strain.txt" for label, folder in runs.items()}
        if len(runs) > 1 else folders[0] / "stress_strain.txt",
    )  # fmt: skip
    save_figure(figure, output / "pillar.png", dpi=110)
    text = summary(tables, runs)
    with atomic_write(output / "summary.md") as file:
        file.write(text + "\n")
    print(text)
    first = tables[labels[0]]
    if frame is None:
        frame = int(first["frame"][np.argmax(first["HCP"])])
    for color in ("structure", "fault", "entropy") if render else ():
        render_pillar(
            folders[0] / "pillar.dump", output / f"{color}.png", frame, color,
            rmsd_cutoff=rmsd_cutoff,
        )  # fmt: skip
    print(f"tables: {', '.join(str(folder / 'pillar.csv') for folder in folders)}")
    pictures = "structure.png, fault.png, entropy.png of frame " + str(frame) if render else ""
    print(f"summary.md, curves.png, pillar.png{', ' * render}{pictures}: {output}")


def main() -> None:
    """Read the command line and analyse."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", type=Path, nargs="+", help="of runs of in.micropillar")
    parser.add_argument("--output", type=Path, help="folder of the pictures (the first folder)")
    parser.add_argument("--frame", type=int, help="to render (the one with most hcp atoms)")
    parser.add_argument("--rmsd", type=float, default=0.13, help="cutoff of PTM (%(default)s)")
    parser.add_argument("--processes", type=int, default=os.cpu_count(), help="(%(default)s)")
    parser.add_argument("--no-pictures", action="store_true", help="tables and curves only")
    args = parser.parse_args()
    for folder in args.folders:
        for name in ("pillar.dump", "stress_strain.txt", "pillar.settings"):
            if not (folder / name).is_file():
                parser.error(f"folder = {folder}: has no {name}; run in.micropillar there")
    analyse(
        args.folders, args.output or args.folders[0], args.processes, not args.no_pictures,
        args.frame, args.rmsd,
    )  # fmt: skip


if __name__ == "__main__":
    main()
