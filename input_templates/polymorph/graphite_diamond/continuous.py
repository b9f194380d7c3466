#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Find paths from graphite to diamond whose every step is small, and relax bands through them.

python continuous.py

reads labelled.csv, its frames, and neb.csv. Each path is that of the lowest barrier whose steps
are bounded in the displacement of the atoms, the strain of the cell and the volume
(ase_calculators.continuous_path). A nudged elastic band (NEB) starts from it. Rows for several
resolutions of the landscape and several bounds are added to continuous.csv; an interrupted run
resumes with the row that it had begun. Then continuous.png and resolution.png are drawn.
"""

import argparse
import csv
import json
from itertools import pairwise
from pathlib import Path

import ase.io
import matplotlib.pyplot as plt
import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator
from breed import DIAMOND, GRAPHITE, crystal
from label import FILES, lammps_calculator
from neb import Band, between, relax_band, relaxed
from paths import COLORS, Landscape, edges, landscape
from scipy.spatial import KDTree

from ase_calculators import ContinuousPath, LandscapeTable, continuous_path, multi_resolution
from ase_calculators.figures import save_figure
from ase_calculators.provenance import atomic_write

COLUMNS = (
    "path", "dsS", "dQ6", "max_step", "frames", "longest", "length", "bare", "lines", "neb",
    "neb_lines", "force",
)  # fmt: skip
# of the frames; their cells of the finest are those of the supplementary set
RESOLUTIONS = ((0.4, 0.02), (0.2, 0.01), (0.1, 0.005), (0.05, 0.0025))
EDGES = ("over high sS", "over low sS")
STRAIGHT = "plain NEB of 24 atoms"
# a straight line has the symmetry of its ends, which a band keeps
RATTLED = "rattled NEB of 24 atoms"


def rows_to_do(step: float) -> list[tuple[str, int, tuple[float, ...]]]:
    """Return the paths to find.

    Parameters
    ----------
    step : float
        Bound of the steps, Å.

    Returns
    -------
    list of (str, int, tuple of float)
        Way over the landscape, number of the resolution, bounds to try until one has a path.
    """
    wider = tuple(round(step * factor, 6) for factor in (1, 4 / 3, 2, 4))
    return [
        (STRAIGHT, 3, (np.inf,)),
        (RATTLED, 3, (np.inf,)),
        ("anywhere", 3, wider),
        *((name, 3, wider) for name in EDGES),
        *(("anywhere", number, wider) for number in (2, 1, 0)),
        *(("anywhere", 3, (round(step * factor, 6),)) for factor in (4 / 3, 2, 2 / 3)),
    ]


def find(
    land: Landscape, frames: list[Atoms], kept: np.ndarray, size: tuple[float, float],
    max_step: float, max_volume_change: float, reach: int,
) -> ContinuousPath:  # fmt: skip
    """Return the continuous path from graphite to diamond.

    Parameters
    ----------
    land : Landscape
        Nodes.
    frames : list of ase.Atoms
        Their structures.
    kept : (n,) bool
        Nodes that may be used.
    size : (float, float)
        Cells.
    max_step, max_volume_change : float
        Bounds, as in `ase_calculators.continuous_path`.
    reach : int
        Frames at most so many cells apart may be linked.

    Returns
    -------
    ContinuousPath
        The path; its rows are nodes.

    Raises
    ------
    ValueError
        If there is none.
    """
    nodes = np.flatnonzero(kept)
    tree = KDTree(np.floor(land.points[nodes] / size))
    pairs = tree.query_pairs(reach + 0.5, p=np.inf, output_type="ndarray")
    path = continuous_path(
        [frames[node] for node in nodes], land.energy[nodes], pairs, 0, len(nodes) - 1, max_step,
        max_volume_change,
    )  # fmt: skip
    return path._replace(rows=nodes[path.rows])


def smoothed(chain: list[Atoms], steps: np.ndarray, n_images: int) -> list[Atoms]:
    """Return images evenly along a chain of structures, without its zigzag.

    The structures were bred at random, and a band that had to unfold their zigzag would take long.
    An image is the mean of the chain over a sixth of its length to both sides, or as far as to the
    nearer end; the ends stay.

    Parameters
    ----------
    chain : list of ase.Atoms
        Structures with corresponding atoms and cells.
    steps : (k - 1,) float64
        Distances between them.
    n_images : int
        Number of images, with both ends.

    Returns
    -------
    list of ase.Atoms
        Images, in cell and fractional coordinates means of the structures.
    """
    along = np.concatenate(([0.0], np.cumsum(steps))) / steps.sum()
    cells = np.array([atoms.cell.array for atoms in chain])
    points = np.array([atoms.positions for atoms in chain]) @ np.linalg.inv(cells)
    rows = np.concatenate((cells, points), axis=1).reshape(len(chain), -1)
    images = []
    for place in np.linspace(0, 1, n_images):
        width = min(place, 1 - place, 1 / 6)
        at = np.linspace(place - width, place + width, 41)
        mean = np.mean([np.interp(at, along, column) for column in rows.T], axis=1)
        atoms = chain[0].copy()
        cell, fractional = np.split(mean.reshape(-1, 3), [3])
        atoms.set_cell(cell)
        atoms.positions = fractional @ cell
        images.append(atoms)
    return images


def on_lines(chain: list[Atoms], calculator: Calculator, points: int) -> np.ndarray:
    """Return the energies on the straight lines between the structures of a chain.

    Parameters
    ----------
    chain : list of ase.Atoms
        Structures.
    calculator : ase.calculators.calculator.Calculator
        Calculator of the energy.
    points : int
        Number of points on a line, with its first end.

    Returns
    -------
    ((k - 1) points + 1,) float64
        eV per atom, from the first structure on.
    """
    shares = np.arange(points) / points
    structures = [between(one, other, share) for one, other in pairwise(chain) for share in shares]
    structures.append(chain[-1])
    energy = np.array([calculator.get_property("energy", s) / len(s) for s in structures])
    return energy - energy[0]


def save_band(band: Band, lines: np.ndarray, steps: np.ndarray, path: Path) -> None:
    """Write a band with its energies, and what it started from.

    Parameters
    ----------
    band : Band
        The relaxed band.
    lines : (m,) float64
        Energies on the lines of the path that it started from, eV per atom.
    steps : (k - 1,) float64
        Distances of its structures, Å.
    path : pathlib.Path
        Extended XYZ file.
    """
    band.frames[0].info.update(lines=lines, steps=steps)
    with atomic_write(path) as file:
        ase.io.write(file, band.frames, format="extxyz")


def band_file(row: dict[str, str]) -> Path:
    """Return the file of the band of a row.

    Parameters
    ----------
    row : dict of str to str
        Row of continuous.csv.

    Returns
    -------
    pathlib.Path
        Extended XYZ file.
    """
    name = row["path"].replace(" ", "_")
    return Path(f"band_{name}_{row['dsS']}_{row['max_step']}.extxyz")


def draw_profiles(rows: list[dict[str, str]], step: float, path: Path) -> None:
    """Draw the energies along the paths and along the bands.

    Parameters
    ----------
    rows : list of dict
        Rows of continuous.csv.
    step : float
        Smallest bound of the edge paths, Å.
    path : pathlib.Path
        The picture.
    """
    figure, axes = plt.subplots(2, figsize=(6.6, 6.2), layout="constrained", sharex=True)
    drawn = set()
    for row in rows:
        name = row["path"]
        finest = float(row["dsS"]) == RESOLUTIONS[-1][0]
        if name in drawn or not finest or not row["neb"]:
            continue
        drawn.add(name)
        color = "#cc79a7" if name == RATTLED else COLORS.get(name, COLORS["NEB"])
        frames = ase.io.read(band_file(row), index=":")
        if name not in (STRAIGHT, RATTLED):
            lines, steps = frames[0].info["lines"], np.atleast_1d(frames[0].info["steps"])
            points = (len(lines) - 1) // len(steps)
            along = np.concatenate(([0.0], np.cumsum(np.repeat(steps / points, points))))
            axes[0].plot(along / along[-1], lines, color=color, lw=0.9,
                         label=f"{name}: {float(row['lines']):.2f} eV")  # fmt: skip
        energy = np.array([atoms.get_potential_energy() / len(atoms) for atoms in frames])
        label = {STRAIGHT: "the straight line", RATTLED: "it, rattled"}.get(name, name)
        axes[1].plot(np.linspace(0, 1, len(energy)), energy - energy[0], "o-", ms=3.5, color=color,
                     label=f"from {label}: {float(row['neb_lines']):.2f} eV")  # fmt: skip
    for ax, title in zip(axes, ("paths of bounded steps, with the lines between their frames",
                                "bands (NEB) that started from them"), strict=True):  # fmt: skip
        ax.set(ylabel="eV per atom from graphite", title=title, xlim=(0, 1))
        if ax.lines:
            ax.legend(fontsize=8)
        ax.grid(color="0.92", lw=0.6)
        ax.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylim(-0.1, min(4.0, axes[0].get_ylim()[1]))
    axes[1].set_xlabel("way from graphite to diamond, as a share of its length")
    save_figure(figure, path, dpi=100)
    plt.close(figure)


def draw_barriers(rows: list[dict[str, str]], step: float, plain: float, path: Path) -> None:
    """Draw the barriers against the resolution and against the bound.

    Parameters
    ----------
    rows : list of dict
        Rows of continuous.csv.
    step : float
        Bound of the rows of several resolutions, Å.
    plain : float
        Barrier of the plain NEB, eV per atom.
    path : pathlib.Path
        The picture.
    """
    figure, axes = plt.subplots(1, 2, figsize=(7.6, 3.6), layout="constrained", sharey=True)
    anywhere = [row for row in rows if row["path"] == "anywhere" and row["bare"]]
    finest = [row for row in anywhere if float(row["dsS"]) == RESOLUTIONS[-1][0]]
    first = {row["dsS"]: row for row in reversed(anywhere)}.values()
    for ax, chosen, key in ((axes[0], first, "dsS"), (axes[1], finest, "max_step")):
        chosen = sorted(chosen, key=lambda row: float(row[key]))
        for column, marker, color, label in (
            ("lines", "s--", "0.55", "path, lines between its frames"),
            ("bare", "o-", "black", "path, its frames only"),
            ("neb_lines", "^-", "#d55e00", "NEB from the path"),
        ):
            known = [row for row in chosen if row[column]]
            ax.plot([float(row[key]) for row in known], [float(row[column]) for row in known],
                    marker, color=color, label=label, ms=5)  # fmt: skip
        ax.axhline(plain, color=COLORS["NEB"], lw=1.2, ls=":", label="plain NEB")
        ax.grid(color="0.92", lw=0.6)
        ax.spines[["top", "right"]].set_visible(False)
        if key == "dsS":
            for row in chosen:
                ax.annotate(
                    f"{float(row['max_step']):g} Å", (float(row[key]), float(row["bare"])),
                    xytext=(0, -13), textcoords="offset points", ha="center", fontsize=8,
                )  # fmt: skip
            ax.set_xscale("log")
            ax.set_xticks([x for x, _ in RESOLUTIONS], [f"{x:g}" for x, _ in RESOLUTIONS])
            ax.minorticks_off()
    axes[0].set(xlabel="resolution: width of the cells in sS", ylabel="barrier, eV per atom")
    axes[1].set(xlabel="bound of a step (Å)")
    axes[0].set_ylim(0, None)
    handles, labels = axes[1].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=4, fontsize=8, frameon=False)
    save_figure(figure, path, dpi=110)
    plt.close(figure)


def read_rows(path: Path, settings: dict) -> list[dict[str, str]]:
    """Return the rows that an earlier run has written.

    Parameters
    ----------
    path : pathlib.Path
        continuous.csv.
    settings : dict
        Settings of this run.

    Returns
    -------
    list of dict
        Rows; none if there is no file.

    Raises
    ------
    ValueError
        If they were made with other settings.
    """
    if not path.exists():
        return []
    with open(path, encoding="utf-8", newline="") as file:
        head = file.readline()
        if json.loads(head.removeprefix("# ") or "{}") != settings:
            raise ValueError(f"{path}: was made with {head.strip('# ').strip()}; remove it")
        return list(csv.DictReader(file))


def write_rows(path: Path, settings: dict, rows: list[dict[str, str]]) -> None:
    """Write the rows of a table.

    Parameters
    ----------
    path : pathlib.Path
        The table.
    settings : dict
        Settings of the run.
    rows : list of dict
        Rows, with the same columns.
    """
    with atomic_write(path, newline="") as file:
        file.write(f"# {json.dumps(settings)}\n")
        writer = csv.DictWriter(file, rows[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def main() -> None:
    """Read the command line, find the paths, relax the bands, write and draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--labelled", default="labelled.csv")
    parser.add_argument("--neb", default="neb.csv")
    parser.add_argument(
        "--step", type=float, default=0.3,
        help="bound of a step, Å: root mean square over the atoms, with the strain (%(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--volume", type=float, default=0.1, help="bound of the change of ln(volume) (%(default)s)"
    )
    parser.add_argument(
        "--reach", type=int, default=2, help="frames so many cells apart are linked (%(default)s)"
    )
    parser.add_argument("--band", type=float, default=0.1, help="as in paths.py (%(default)s)")
    parser.add_argument("--images", type=int, default=13, help="with both ends (%(default)s)")
    parser.add_argument("--fmax", type=float, default=0.05, help="eV/Å (%(default)s)")
    parser.add_argument("--steps", type=int, default=200, help="maximum number (%(default)s)")
    parser.add_argument("--rows", type=int, help="so many rows only")
    args = parser.parse_args()
    if (
        min(args.step, args.volume, args.fmax) <= 0
        or args.images < 3
        or min(args.steps, args.reach) < 1
    ):
        parser.error(
            f"--step {args.step} --volume {args.volume} --fmax {args.fmax} --images {args.images} "
            f"--steps {args.steps} --reach {args.reach}: must be above 0, above 0, above 0, 3, 1, "
            "1 or more"
        )
    output = Path("continuous.csv")
    try:
        table = LandscapeTable.read(args.labelled)
        neb = LandscapeTable.read(args.neb)
        land = landscape(table)
        potential = table.parameters["potential"]
        settings = {
            "potential": potential, "step": args.step, "volume": args.volume, "reach": args.reach,
            "band": args.band,
            "images": args.images, "fmax": args.fmax, "steps": args.steps,
        }  # fmt: skip
        rows = read_rows(output, settings)
        frames = [atoms for file in FILES for atoms in ase.io.read(file, index=":")]
    except FileNotFoundError as error:
        parser.error(f"{error.filename}: no such file here; run breed.py, label.py and neb.py")
    except ValueError as error:
        parser.error(str(error))
    frames = [frames[row] for row in land.rows]
    known = np.isfinite(land.energy)
    ways = dict(zip(EDGES, edges(land, args.band), strict=True))

    with lammps_calculator(potential) as lammps:
        for name, number, bounds in rows_to_do(args.step)[len(rows) : args.rows]:
            size = RESOLUTIONS[number]
            row = dict.fromkeys(COLUMNS, "") | {"path": name, "dsS": size[0], "dQ6": size[1]}
            kept = known & ways.get(name, True)
            kept &= (multi_resolution(table, RESOLUTIONS[: number + 1]) >= 0)[land.rows]
            kept[[0, -1]] = True
            for bound in bounds:
                row["max_step"] = bound
                if name in (STRAIGHT, RATTLED):
                    chain, steps = [crystal(*x) for x in (GRAPHITE, DIAMOND)], np.ones(1)
                    break
                try:
                    # cells of the coarse set of the paper at least
                    path = find(land, frames, kept, np.maximum(size, RESOLUTIONS[2]), bound,
                                args.volume, args.reach)  # fmt: skip
                    chain, steps = path.frames, path.steps
                    row |= {
                        "frames": len(chain), "longest": f"{steps.max():.4f}",
                        "length": f"{steps.sum():.3f}", "bare": f"{path.barrier:.4f}",
                    }  # fmt: skip
                    break
                except ValueError as error:
                    print(f"{name}, cells of {size[0]:g}: {error}")
                    chain, row["max_step"] = [], ""
            if chain:
                lines = on_lines(chain, lammps, 5)
                row["lines"] = f"{lines.max():.4f}"
            if chain and (len(bounds) > 1 or bounds[0] == np.inf):  # no bands for other bounds
                images = smoothed(chain, steps, args.images)
                for end in (0, -1):
                    images[end] = relaxed(images[end], lammps)
                if name == RATTLED:
                    for k, image in enumerate(images[1:-1]):
                        image.rattle(0.05, seed=k)
                band = relax_band(images, lammps, args.fmax, args.steps)
                across = on_lines(band.frames, lammps, 9)
                row |= {
                    "neb": f"{band.energy.max():.4f}", "neb_lines": f"{across.max():.4f}",
                    "force": f"{band.force:.3f}",
                }  # fmt: skip
                save_band(band, lines, steps, band_file({k: str(v) for k, v in row.items()}))
            rows.append({key: str(value) for key, value in row.items()})
            write_rows(output, settings, rows)
            print("  ".join(f"{key} {value}" for key, value in rows[-1].items() if value),
                  flush=True)  # fmt: skip
    energy = neb.energy / neb.n_atoms
    plain = float((energy - energy[0]).max())
    draw_profiles(rows, args.step, Path("continuous.png"))
    draw_barriers(rows, args.step, plain, Path("resolution.png"))

    print(f"barriers, eV per atom from graphite; plain NEB, {neb.n_atoms[0]} atoms: {plain:.3f}")
    print(f"{'path':20s} {'cells':>6s} {'bound':>6s} {'frames':>6s} {'longest':>7s} {'frames':>7s} "
          f"{'lines':>7s} {'NEB':>7s} {'lines':>7s} {'force':>6s}")  # fmt: skip
    for row in rows:
        print(f"{row['path']:20s} {row['dsS']:>6s} {row['max_step']:>6s} {row['frames']:>6s} "
              f"{row['longest']:>7s} {row['bare']:>7s} {row['lines']:>7s} {row['neb']:>7s} "
              f"{row['neb_lines']:>7s} {row['force']:>6s}")  # fmt: skip
    print("continuous.csv, continuous.png, resolution.png, band_*.extxyz")


if __name__ == "__main__":
    main()
