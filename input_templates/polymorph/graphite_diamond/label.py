#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Calculate energies of the parents and of the frames that breed.py kept, by LAMMPS.

python label.py

writes labelled.csv, which grows. An interrupted run resumes where it stopped.
"""

import argparse
from itertools import islice
from pathlib import Path

import ase.io
import numpy as np
from ase.calculators.lammpslib import LAMMPSlib
from breed import CARBON
from tqdm import tqdm

from ase_calculators import EntropySymmetry, LandscapeTable, map_landscape

HERE = Path(__file__).resolve().parent
FILES = ("parents.extxyz", "standard.extxyz", "supplementary.extxyz")
POTENTIALS = ("lcbop", "airebo", "tersoff", "snap")
# an interrupted run loses so many
FRAMES_AT_ONCE = 20


def lammps_calculator(carbon: str) -> LAMMPSlib:
    """Start LAMMPS with potential.mod.

    Parameters
    ----------
    carbon : str
        Name of a potential in that file.

    Returns
    -------
    LAMMPSlib
        Calculator of energies, forces and stresses, with one LAMMPS for all structures.
    """
    return LAMMPSlib(
        # a skin would cost ghosts and save nothing, since every structure has new neighbours
        lmpcmds=[
            f"variable carbon index {carbon}",
            f'include "{HERE / "potential.mod"}"',
            "neighbor 0.05 bin",
        ],
        atom_types={"C": 1},
        keep_alive=True,
    )


def label(table: LandscapeTable, output: Path, carbon: str) -> LandscapeTable:
    """Calculate the energies that `output` lacks.

    Parameters
    ----------
    table : LandscapeTable
        Frames of extended XYZ files, each file from its start.
    output : pathlib.Path
        File of the same table with the energies so far.
    carbon : str
        Name of the potential.

    Returns
    -------
    LandscapeTable
        The table with energies, eV.

    Raises
    ------
    ValueError
        If `output` belongs to another landscape or potential.
    """
    table.parameters = table.parameters | {"potential": carbon}
    if not output.exists():
        table.take(slice(0)).write(output)
    done = LandscapeTable.read(output)
    n = len(done)
    same = done.parameters == table.parameters and n <= len(table)
    if not (same and (done.sS == table.sS[:n]).all() and (table.Q[:n] == done.Q).all()):
        raise ValueError(
            f"output = {output}: holds energies of another landscape or potential; name another "
            "file or remove it"
        )
    done.write(output)  # without a line that was cut short
    energies = done.energy.tolist()
    with (
        lammps_calculator(carbon) as calc,
        open(output, "a", encoding="utf-8", newline="") as file,
        tqdm(total=len(table), initial=n, unit=" frames") as bar,
    ):
        while n < len(table):
            frames = ase.io.iread(table.file[n], index=f"{table.frame[n]}:")
            while batch := list(islice(frames, FRAMES_AT_ONCE)):
                new = [calc.get_property("energy", atoms) for atoms in batch]
                part = table.take(slice(n, n + len(new)))
                part.energy[:] = new
                part.write_rows(file)
                energies += new
                n += len(new)
                bar.update(len(new))
    done = table.take(slice(None))
    done.energy[:] = energies
    return done


def main() -> None:
    """Read the command line and label."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--potential", default="lcbop", choices=POTENTIALS)
    parser.add_argument("--output", type=Path, default=Path("labelled.csv"))
    args = parser.parse_args()
    try:
        table = map_landscape(FILES, EntropySymmetry(**CARBON))
        table = label(table, args.output, args.potential)
    except FileNotFoundError as error:
        parser.error(f"{error}; run breed.py")
    except ValueError as error:
        parser.error(str(error))
    energy = table.energy / table.n_atoms
    low, middle, high = np.percentile(energy, (0, 50, 100))
    print(f"{args.output}: {len(table)} energies, {low:.3f} to {high:.3f} eV per atom, "
          f"median {middle:.3f}")  # fmt: skip


if __name__ == "__main__":
    main()
