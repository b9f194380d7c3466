#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Compress a small pillar of aluminium in LAMMPS and analyse its plasticity.

python demo.py FOLDER

runs in.micropillar in FOLDER and analyses the run as analyse.py does. A second run starts over.
"""

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

from analyse import analyse
from tqdm import tqdm

HERE = Path(__file__).resolve().parent
BIN = Path(sys.executable).parent
DECK = ("in.micropillar", "init.mod", "potential.mod", "resume.awk")
# its thermo output: seven columns while it relaxes, eight while it is compressed
THERMO_LINE = re.compile(r"\s*\d+(\s+[-+.\de]+){6,7}\s*")


def run_lammps(folder: Path, variables: dict[str, float], ranks: int) -> None:
    """Run in.micropillar in `folder` with a progress bar.

    Parameters
    ----------
    folder : pathlib.Path
        Folder of the deck and its output.
    variables : dict of str to float
        Variables for ``-var``.
    ranks : int
        Number of MPI processes.

    Raises
    ------
    SystemExit
        If LAMMPS fails, with its message.
    """
    command = [str(BIN / "lmp"), "-nocite", "-log", "none", "-in", "in.micropillar"]
    for name, value in variables.items():
        command += ["-var", name, f"{value:g}"]
    if ranks > 1:
        command = [str(BIN / "mpirun"), "-n", str(ranks), *command]
    output: list[str] = []
    process = subprocess.Popen(
        command, cwd=folder, env={"OMP_NUM_THREADS": "1", **os.environ}, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
    )  # fmt: skip
    try:
        # steps of 2 fs; a step of compression is a strain of 1e-12 dt rate
        n_relax = round(variables["relax"] / 0.002)
        n_compress = round(variables["strain"] / (variables["rate"] * 1e-12 * 0.002))
        with tqdm(total=n_relax + n_compress, unit=" steps", desc="LAMMPS") as bar:
            assert process.stdout is not None
            for line in process.stdout:
                output.append(line)
                if THERMO_LINE.fullmatch(line):
                    columns = [float(word) for word in line.split()]
                    done = int(columns[0])
                    if len(columns) == 8:
                        done += n_relax
                        bar.set_postfix_str(
                            f"strain {100 * columns[1]:.1f} %, {columns[2]:.2f} GPa", refresh=False
                        )
                    bar.update(done - bar.n)
    finally:
        if process.poll() is None:
            # lmp and mpirun start processes of their own
            os.killpg(process.pid, signal.SIGTERM)
        process.wait()
    if not any(line.startswith("compressed to a strain") for line in output):
        errors = [line for line in output if "ERROR" in line] or output[-5:]
        raise SystemExit(f"LAMMPS stopped:\n{''.join(errors).rstrip()}")


def main() -> None:
    """Read the command line and run the demo."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="folder of all output")
    parser.add_argument("--width", type=float, default=33.0, help="Å (%(default)s)")
    parser.add_argument("--temperature", type=float, default=300.0, help="K (%(default)s)")
    parser.add_argument("--rate", type=float, default=2e10, help="1/s (%(default)g)")
    parser.add_argument("--strain", type=float, default=0.15, help="final strain (%(default)s)")
    parser.add_argument("--relax", type=float, default=10.0, help="ps (%(default)s)")
    parser.add_argument("--seed", type=int, default=4711, help="of the velocities (%(default)s)")
    parser.add_argument("--ranks", type=int, default=2, help="MPI processes (%(default)s)")
    parser.add_argument("--no-pictures", action="store_true", help="tables and curves only")
    args = parser.parse_args()
    if args.ranks < 1:
        parser.error(f"--ranks {args.ranks}: must be 1 or more")
    # on SIGTERM stop LAMMPS as well, as on Ctrl-C
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated"))
    folder = args.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    for old in (*folder.glob("*.restart"), folder / "pillar.dump", folder / "stress_strain.txt"):
        old.unlink(missing_ok=True)
    for name in DECK:
        shutil.copy(HERE / name, folder)
    names = ("width", "temperature", "rate", "strain", "relax", "seed")
    run_lammps(folder, {name: getattr(args, name) for name in names}, args.ranks)
    analyse([folder], folder, args.ranks, not args.no_pictures)


if __name__ == "__main__":
    main()
