#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Compress pillars of aluminium and iridium with the same deck, and a perfect crystal of each.

python run.py [FOLDER]
python run.py FOLDER --metals Al --potential pod ../../distillation/al_pod/student     a student
python run.py FOLDER --metals Ir --potential pod FILE --lattice 3.87        another crystal

runs in.micropillar for each metal, temperature, seed and rate in a folder of its own, such as
FOLDER/Ir_300K_2e10_1, and in.perfect in FOLDER/Ir_300K_2e10_perfect. Finished runs are left alone,
interrupted ones resume, and so do those that ended at a smaller strain. Start it twice to use two
cores: what one runs the other leaves to it. report.py reads FOLDER, complete or not.
"""

import argparse
import fcntl
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from tqdm import tqdm

HERE = Path(__file__).resolve().parent
LMP = str(Path(sys.executable).parent / "lmp")
# lattice constants in the same number of cells: widths, layers and cutoffs are in units of a
METALS: dict[str, dict[str, Any]] = {
    "Al": {"a": 4.045, "mass": 26.9815, "pair": "eam", "potential": "Al_mm.eam.fs"},
    "Ir": {"a": 3.84, "mass": 192.217, "pair": "meam", "potential": "library.meam"},
}
# in units of a: 6 x 6 x 12 cells, the outer one and a half at each end fixed
SHAPE = {"width": 5.93, "layer": 1.48, "q6cut": 0.84, "rmax": 1.48, "sigma": 0.05}
HEIGHT = 2.0  # in units of the width


def variables(
    metal: str, temperature: float, rate: float, seed: int, scale: float,
    potential: tuple[str, str] | None = None, lattice: float | None = None,
) -> dict:  # fmt: skip
    """Return the variables of in.micropillar.

    Parameters
    ----------
    metal : str
        "Al" or "Ir".
    temperature : float
        Temperature, K.
    rate : float
        Strain rate, 1/s.
    seed : int
        Seed of the velocities.
    scale : float
        Width over that of the paper's figure here, 6 cells.
    potential : (str, str), optional
        Its block in potential.mod and its file. Default: that of `METALS`.
    lattice : float, optional
        Lattice constant, Å. Default: that of `METALS`.

    Returns
    -------
    dict
        Values by name.
    """
    data = METALS[metal]
    if potential:
        data = data | dict(zip(("pair", "potential"), potential, strict=True))
    if lattice:
        data = data | {"a": lattice}
    return {
        "element": metal, **data,
        **{name: f"{value * data['a']:.4g}" for name, value in SHAPE.items()},
        "width": f"{scale * SHAPE['width'] * data['a']:.5g}", "height": HEIGHT,
        "temperature": f"{temperature:g}", "rate": f"{rate:g}", "seed": seed,
    }  # fmt: skip


def run_deck(folder: Path, deck: str, given: dict[str, Any]) -> None:
    """Run a deck in a folder, or the rest of it.

    Parameters
    ----------
    folder : pathlib.Path
        Folder of the run.
    deck : str
        "in.micropillar" or "in.perfect".
    given : dict
        Variables.

    Raises
    ------
    RuntimeError
        If LAMMPS stops, with its message.
    SystemExit
        If the folder was begun with other variables.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            tqdm.write(f"{folder}: is run by another run.py; left to it", file=sys.stderr)
            return
        _run_locked(folder, deck, given, lock.fileno())


def _run_locked(folder: Path, deck: str, given: dict[str, Any], lock: int) -> None:
    """Do what `run_deck` says; LAMMPS holds the lock, so that an orphan of it is not disturbed."""
    finished, record = folder / "finished", folder / "variables.json"
    asked = {name: str(value) for name, value in given.items() if name != "strain"}
    if record.exists() and (begun := json.loads(record.read_text())) != asked:
        other = ", ".join(sorted({name for name, _ in begun.items() ^ asked.items()}))
        raise SystemExit(
            f"{folder}: was begun with other values of {other}; give the same ones, or another "
            "FOLDER"
        )
    if finished.exists() and float(finished.read_text()) >= given["strain"]:
        return
    record.write_text(json.dumps(asked, indent=1) + "\n")
    for name in ("init.mod", "potential.mod", "resume.awk", "in.micropillar"):
        shutil.copy(HERE.parent / name, folder)
    shutil.copy(HERE / "in.perfect", folder)
    restarts = [name for name in ("pillar", "relax") if any(folder.glob(f"{name}.*.restart"))]
    if restarts and deck == "in.micropillar":
        given = {"restart": f"{restarts[0]}.*.restart", "strain": given["strain"]}
    command = [LMP, "-nocite", "-log", "none", "-in", deck]
    for name, value in given.items():
        command += ["-var", name, str(value)]
    said = subprocess.run(
        command, cwd=folder, env={"OMP_NUM_THREADS": "1", **os.environ}, capture_output=True,
        text=True, check=False, pass_fds=[lock],
    )  # fmt: skip
    if "compressed to a strain of" not in said.stdout:
        lines = (said.stdout + said.stderr).splitlines()
        errors = [line for line in lines if "ERROR" in line] or lines[-5:]
        raise RuntimeError(f"{folder}: LAMMPS stopped:\n" + "\n".join(errors))
    # the last one is for a run to a larger strain
    old = sorted(folder.glob("*.restart"), key=lambda path: path.stat().st_mtime)[:-1]
    for restart in old:
        restart.unlink()
    finished.write_text(f"{given['strain']}\n")


def main() -> None:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?", default=Path("results"))
    parser.add_argument("--metals", nargs="+", default=list(METALS), choices=list(METALS))
    parser.add_argument("--temperatures", type=float, nargs="+", default=[300, 500, 800], help="K")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3], help="%(default)s")
    parser.add_argument("--rate", type=float, default=2e10, help="1/s (%(default)g)")
    parser.add_argument("--strain", type=float, default=0.22, help="final strain (%(default)s)")
    parser.add_argument("--relax", type=float, default=5.0, help="ps (%(default)s)")
    parser.add_argument("--dump-strain", type=float, default=0.0025, help="(%(default)s)")
    parser.add_argument("--potential", nargs=2, metavar=("PAIR", "FILE"),
                        help="block of potential.mod, and file, of one metal")  # fmt: skip
    parser.add_argument("--lattice", type=float, help="lattice constant of that potential, Å")
    parser.add_argument("--scale", type=float, default=1.0, help="of the width (%(default)s)")
    args = parser.parse_args()
    if args.potential and len(args.metals) > 1:
        parser.error(f"--potential {' '.join(args.potential)}: is of one metal; give --metals Al")
    if args.lattice and not args.potential:
        parser.error(f"--lattice {args.lattice:g}: is that of --potential; give both")
    if args.potential:  # each run has a folder of its own
        file = args.potential[1]
        if "/" in file or any(Path(file + end).exists() for end in ("", ".pod", ".snapcoeff")):
            args.potential[1] = str(Path(file).resolve())
    # seed by seed, so that a run stopped half-way has both metals at all temperatures
    runs = [
        (metal, temperature, seed)
        for seed in args.seeds for temperature in args.temperatures for metal in args.metals
    ]  # fmt: skip
    same = {"strain": args.strain, "relax": args.relax, "dump_strain": args.dump_strain}
    stopped = []
    for metal, temperature, seed in tqdm(runs, unit=" pillars"):
        start = f"{metal}_{temperature:g}K_{args.rate:g}".replace("e+", "e")
        given = variables(
            metal, temperature, args.rate, seed, args.scale, args.potential, args.lattice
        ) | same  # fmt: skip
        decks = [(f"{start}_{seed}", "in.micropillar", given)]
        if seed == args.seeds[0]:
            names = ("element", "a", "mass", "pair", "potential", "temperature", "rate", *same)
            perfect = {name: given[name] for name in names}
            decks.append((f"{start}_perfect", "in.perfect", perfect))
        for name, deck, values in decks:
            try:
                run_deck(args.folder / name, deck, values)
            except RuntimeError as error:  # the other runs go on
                stopped.append(str(error))
    if stopped:
        raise SystemExit("\n".join(stopped))


if __name__ == "__main__":
    main()
