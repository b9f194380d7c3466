#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Freeze and melt a liquid by metadynamics, and tell its free energy with errors.

python freezing.py results/silicon
python freezing.py results/aluminium --system aluminium.mod --split -3.3

Runs in.metadynamics in pieces and draws the walk on the landscape and the free energy. An
interrupted run resumes; with more `--steps` it goes on. --steps 0 draws what there is.
"""

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.filters import FrechetCellFilter
from ase.optimize import FIRE
from ase.units import kB

from ase_calculators import EntropySymmetry, free_energy
from ase_calculators.figures import COLORS, new_figure, save_figure, tidy
from ase_calculators.frame_source import open_frames
from ase_calculators.lammps_potential import LammpsPotential
from ase_calculators.provenance import add_json_line, atomic_write, json_lines, write_json

HERE = Path(__file__).resolve().parent
DECKS = ("in.metadynamics", "in.md", "silicon.mod", "potential.mod", "tersoff.mod", "student.mod",
         "aluminium.mod", "eam.mod")  # fmt: skip


def copy_decks(folder: Path) -> None:
    """Copy the decks to a folder, unless it has them.

    Parameters
    ----------
    folder : pathlib.Path
        The folder; it is made.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name in DECKS:
        if not (folder / name).exists():
            shutil.copy(HERE / name, folder)


def lmp(folder: Path, deck: str, check: bool = True, **variables: Any) -> float:
    """Run a deck.

    Parameters
    ----------
    folder : pathlib.Path
        Where it runs.
    deck : str
        Its name.
    check : bool
        Whether to stop if LAMMPS fails.
    **variables
        Variables of the deck.

    Returns
    -------
    float
        Processor time, s.

    Raises
    ------
    SystemExit
        If LAMMPS fails.
    """
    flags = [str(word) for name, value in variables.items() for word in ("-var", name, value)]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [str(Path(sys.executable).parent / "lmp"), "-nocite", "-log", "none", "-in", deck, *flags],
        cwd=folder, capture_output=True, text=True, env={"OMP_NUM_THREADS": "1", **os.environ},
    )  # fmt: skip
    if check and "Total wall time" not in done.stdout:
        text = "\n".join((done.stdout + done.stderr).splitlines()[-5:])
        raise SystemExit(f"{deck} failed in {folder}:\n{text}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def hills_of(folder: Path) -> tuple[dict[str, str], np.ndarray]:
    """Return the header and the rows of the file of hills.

    Parameters
    ----------
    folder : pathlib.Path
        Folder of the run.

    Returns
    -------
    (dict of str to str, (n, 4) ndarray)
        Parameters, and step, sS, Q6, height.
    """
    path = folder / "hills"
    with open(path) as file:
        words = [line.split() for line in (next(file), next(file))][1]
    # the last line of a run that writes may be unfinished
    lines = [line.split() for line in path.read_text().split("\n")[:-1] if line[:1] != "#"]
    return dict(word.split("=", 1) for word in words[1:]), np.array(lines, float).reshape(-1, 4)


def run(folder: Path, steps: int, piece: int, **variables: Any) -> None:
    """Run in.metadynamics until a step, in pieces of which runs.jsonl has the cost.

    Parameters
    ----------
    folder : pathlib.Path
        Folder of the run.
    steps : int
        Last step.
    piece : int
        Steps of a piece.
    **variables
        Variables of the deck.
    """
    copy_decks(folder)
    path = folder / "runs.jsonl"
    done = max((record["steps"] for record in json_lines(path)), default=0)
    if (folder / "metadynamics.restart").exists():
        # a killed piece may have got further; its last restart file is not later than its last hill
        done = max([done, *hills_of(folder)[1][:, 0].astype(int).tolist()])
    while done < steps:
        done = min(done // piece * piece + piece, steps)
        seconds = lmp(folder, "in.metadynamics", steps=done, **variables)
        # a file of frames has the name of the step at which its run started
        start = max(starts_of(folder))
        add_json_line(path, {"from": start, "steps": done, "seconds": seconds})


def starts_of(folder: Path) -> dict[int, Path]:
    """Return the files of frames of a run.

    Parameters
    ----------
    folder : pathlib.Path
        Folder of the run.

    Returns
    -------
    dict of int to pathlib.Path
        Each file and the step at which its run started, in order.
    """
    paths = {int(path.name.split(".")[1]): path for path in folder.glob("frames.*.dump")}
    return dict(sorted(paths.items()))


def dump_of(path: Path) -> list[Atoms]:
    """Return the complete frames of a dump with the columns id, element, x, y, z.

    Parameters
    ----------
    path : pathlib.Path
        Dump of a rectangular box. Its last frame may be unfinished.

    Returns
    -------
    list of ase.Atoms
        Frames, with ``info["step"]``.
    """
    frames = []
    for frame in open_frames(path, "lammps-dump-text", 1, {})[0]:
        try:
            atoms = frame.atoms({"order": False})
        except ValueError:  # a run that was killed
            break
        frames.append(Atoms(
            atoms.numbers, atoms.positions - atoms.get_celldisp().ravel(), cell=atoms.cell,
            pbc=True, info={"step": frame.step},
        ))  # fmt: skip
    return frames


def frames_of(folder: Path) -> list[Atoms]:
    """Return the frames of a run, each step once.

    Parameters
    ----------
    folder : pathlib.Path
        Folder of the run.

    Returns
    -------
    list of ase.Atoms
        Frames, with ``info["step"]``.
    """
    frames: dict[int, Atoms] = {}
    for first, path in starts_of(folder).items():
        # what a killed run wrote after its last restart file was made again
        frames = {step: atoms for step, atoms in frames.items() if step < first}
        frames |= {atoms.info["step"]: atoms for atoms in dump_of(path)}
    return list(frames.values())


def crossings(values: np.ndarray, low: float, high: float) -> list[int]:
    """Return where a walk has come from one side to the other.

    Parameters
    ----------
    values : (n,) ndarray
        The walk.
    low, high : float
        The two sides; in between belongs to the side where it was before.

    Returns
    -------
    list of int
        Numbers of the values at which a side is reached for the first time after the other.
    """
    outside = [(k, v > high) for k, v in enumerate(values) if v < low or v > high]
    return [k for (_, before), (k, after) in pairwise(outside) if before != after]


def analyse(
    folder: Path, split: float | None, blocks: int, skip: float, fusion: float | None
) -> dict[str, Any]:
    """Return what a run says of solid and liquid, and draw it.

    Parameters
    ----------
    folder : pathlib.Path
        Folder of the run.
    split : float or None
        Where solid and liquid are divided: in Q6 with hills in Q6, otherwise in sS. Default: the
        middle of the walk.
    blocks : int
        Blocks of the errors.
    skip : float
        Share of the hills that is left out at the start.
    fusion : float or None
        Enthalpy of melting, eV per atom, with which the difference of the free energies gives the
        melting temperature.

    Returns
    -------
    dict
        Numbers of result.json.
    """
    header, hills = hills_of(folder)
    both = "width_Q6" in header and float(header["width_Q6"]) > 0
    d = 2 if both else 1
    walk = hills[:, d]
    low, high = walk.min(), walk.max()
    split = (low + high) / 2 if split is None else split
    # Q6 tells crossings, whatever is biased: sS of a hot solid reaches that of the liquid
    centre, extent = (hills[:, 2].max() + hills[:, 2].min()) / 2, np.ptp(hills[:, 2])
    sides = crossings(hills[:, 2], centre - extent / 8, centre + extent / 8)
    n_bins = 40
    edges = np.linspace(low - 1e-9, high + 1e-9, n_bins + 1)
    of_one = (1, edges) if both else (edges, 1)
    profile = free_energy(folder / "hills", bins=of_one, blocks=blocks, skip=skip)
    width = max(high - split, split - low) + 1e-9
    halves = [split - width, split, split + width]
    two = free_energy(
        folder / "hills", bins=(1, halves) if both else (halves, 1), blocks=blocks, skip=skip
    )
    values, errors = two.values.ravel(), two.errors.ravel()
    # of two shares that make one, one rises where the other falls
    solid = 1 if both else 0
    difference, error = values[solid] - values[1 - solid], errors.sum()
    kT = kB * two.temperature
    result = {
        "temperature": two.temperature, "natoms": int(header["natoms"]), "steps": int(hills[-1, 0]),
        "hills": len(hills), "variable": "Q6" if both else "sS", "split": split,
        "crossings": len(sides), "F_solid_minus_liquid": float(difference), "error": float(error),
        "in_kT": float(difference / kT), "n_effective": two.n_effective,
    }  # fmt: skip
    if fusion is not None:
        # G_solid - G_liquid = N fusion (T / T_melting - 1)
        whole = int(header["natoms"]) * fusion
        melting = [two.temperature / (1 + F / whole) for F in (
            difference, difference - error, difference + error
        )]  # fmt: skip
        result |= {"melting": float(melting[0]), "melting_error": float(np.ptp(melting) / 2)}
    runs = list(json_lines(folder / "runs.jsonl"))
    if runs:
        steps = sum(r["steps"] - r["from"] for r in runs)
        result["microseconds_per_step"] = 1e6 * sum(r["seconds"] for r in runs) / steps
    write_json(folder / "result.json", result)

    figure = new_figure(11.5, 3.6)
    left, middle, right = figure.subplots(1, 3, width_ratios=(1.3, 1, 1))
    time = hills[:, 0] * float(header.get("dt", 0.003)) / 1000
    name = "Q6" if both else "sS ($k_\\mathrm{B}$ per atom)"
    left.plot(time, walk, lw=0.6, color=COLORS[0])
    left.axhline(split, color="0.6", lw=0.8, ls="--")
    left.set(xlabel="time (ns)", ylabel=name)
    points = middle.scatter(hills[:, 1], hills[:, 2], c=time, s=3, lw=0, cmap="viridis")
    figure.colorbar(points, ax=middle, label="time (ns)")
    middle.set(xlabel="sS ($k_\\mathrm{B}$ per atom)", ylabel="Q6")
    centres = profile.centres[d - 1]
    F, F_error = profile.values.ravel(), profile.errors.ravel()
    right.fill_between(centres, F - F_error, F + F_error, color=COLORS[0], alpha=0.3, lw=0)
    right.plot(centres, F, color=COLORS[0])
    right.axvline(split, color="0.6", lw=0.8, ls="--")
    right.set(xlabel=name, ylabel="F (eV)")
    for ax in (left, middle, right):
        tidy(ax)
    save_figure(figure, folder / "freezing.png", dpi=80)
    return result


def relaxed(folder: Path, model: str, number: int, split: float) -> list[dict[str, Any]]:
    """Relax frames of the solid, to see what it is.

    Parameters
    ----------
    folder : pathlib.Path
        Folder of the run.
    model : str
        File in it with pair_style and pair_coeff.
    number : int
        Number of frames, evenly spaced in time.
    split : float
        Where solid and liquid are divided, as in `analyse`.

    Returns
    -------
    list of dict
        Lines of relaxed.jsonl: step, energies before and after (eV per atom), number of neighbours
        within the cutoff of Q6 with the number of atoms that have it, sS, Q6.
    """
    header, _ = hills_of(folder)
    rmax, sigma, cutoff, smooth = (
        float(header[name]) for name in ("rmax", "sigma", "q6_cutoff", "smooth")
    )
    calc = EntropySymmetry(rmax=rmax, sigma=sigma, q6_cutoff=cutoff, smooth=smooth)
    frames = frames_of(folder)
    both = float(header["width_Q6"]) > 0
    solid = [a for a in frames if (
        calc.get_property("Q6", a) > split if both else calc.get_property("sS", a) < split
    )]  # fmt: skip
    potential = LammpsPotential(folder / model, frames[0].get_chemical_symbols()[0])
    records = []
    for k in np.unique(np.linspace(0, len(solid) - 1, number).astype(int)) if solid else []:
        atoms, n = solid[k].copy(), len(solid[k])
        atoms.calc = potential
        before = atoms.get_potential_energy() / n
        FIRE(FrechetCellFilter(atoms, mask=(1, 1, 1, 0, 0, 0)), logfile=None).run(0.01, 500)
        after = atoms.get_potential_energy() / n
        atoms.calc = None
        found, counts = np.unique(calc.get_property("n_neighbors", atoms), return_counts=True)
        records.append({
            "step": atoms.info["step"], "energy": before, "relaxed": after,
            "neighbours": int(found[counts.argmax()]), "atoms": int(counts.max()),
            "sS": calc.get_property("sS", atoms), "Q6": calc.get_property("Q6", atoms),
        })  # fmt: skip
    with atomic_write(folder / "relaxed.jsonl") as file:
        file.writelines(json.dumps(record) + "\n" for record in records)
    return records


def main() -> None:
    """Run and analyse."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="folder of this run")
    parser.add_argument("--system", default="silicon.mod", help="(%(default)s)")
    parser.add_argument("--steps", type=int, default=3_000_000, help="at the end (%(default)s)")
    parser.add_argument("--piece", type=int, default=100_000, help="steps (%(default)s)")
    parser.add_argument("--split", type=float, help="between solid and liquid (middle of the walk)")
    parser.add_argument("--fusion", type=float, help="enthalpy of melting, eV per atom")
    parser.add_argument("--relax", type=int, default=0, help="frames of the solid (%(default)s)")
    parser.add_argument("--model", default="potential.mod", help="for them (%(default)s)")
    parser.add_argument("--blocks", type=int, default=5, help="of the errors (%(default)s)")
    parser.add_argument("--skip", type=float, default=0.2, help="share at the start (%(default)s)")
    parser.add_argument("--seed", type=int, default=4711, help="(%(default)s)")
    args = parser.parse_args()
    for name in ("piece", "seed"):
        if getattr(args, name) < 1:
            parser.error(f"--{name} {getattr(args, name)}: must be 1 or more")
    run(args.folder, args.steps, args.piece, system=args.system, seed=args.seed)
    result = analyse(args.folder, args.split, args.blocks, args.skip, args.fusion)
    for name, value in result.items():
        print(f"{name:24s}{value:.4g}" if isinstance(value, float) else f"{name:24s}{value}")
    if args.relax > 0:
        print("    step    energy   relaxed  neighbours      sS     Q6")
        for r in relaxed(args.folder, args.model, args.relax, result["split"]):
            print(
                f"{r['step']:8d}{r['energy']:10.3f}{r['relaxed']:10.4f}"
                f"{r['neighbours']:6d} ({r['atoms']:3d}){r['sS']:8.2f}{r['Q6']:7.3f}"
            )


if __name__ == "__main__":
    main()
