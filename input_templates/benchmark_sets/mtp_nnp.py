#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Write what the published MTP and NNP predict, in an environment of its own: pip install motep.

python mtp_nnp.py MTP Mo/mtp.2020.01 ../../tests/reference/mlearn/Mo_test.extxyz.xz "results/Mo/MTP (Zuo).npz"
python mtp_nnp.py NNP Mo/nnp.2020.01 ../../tests/reference/mlearn/Mo_test.extxyz.xz "results/Mo/NNP (Zuo).npz"

The folders are those of materialsvirtuallab/maml on GitHub, mvl_models/pes (BSD-3-Clause). MTP runs by
motep; NNP by the program nnp-predict of n2p2 (CompPhysVienna/n2p2), which has to be on PATH: make
nnp-predict in its src. published.py reads the predictions. Run time of one core: a minute.
A. V. Shapeev, Multiscale Modeling & Simulation 14, 1153 (2016), doi:10.1137/15M1054183;
J. Behler, M. Parrinello, Phys. Rev. Lett. 98, 146401 (2007), doi:10.1103/PhysRevLett.98.146401.
"""  # noqa: E501

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import ase.io
import numpy as np
from ase import Atoms
from ase.units import Bohr, Hartree


def by_mtp(folder: Path, frames: list[Atoms]) -> tuple[list[float], list[np.ndarray]]:
    """Predict by a moment tensor potential.

    Parameters
    ----------
    folder : pathlib.Path
        Has fitted.mtp.
    frames : list of ase.Atoms
        Frames.

    Returns
    -------
    (list of float, list of (n_atoms, 3) float64 ndarray)
        Energies, eV; forces, eV/Å.
    """
    from motep.calculator import MTP
    from motep.io.mlip.mtp import read_mtp

    data = read_mtp(folder / "fitted.mtp")
    data.species = [frames[0].numbers[0]]
    energies, forces = [], []
    for atoms in frames:
        atoms.calc = MTP(data)  # its list of neighbours is of one number of atoms
        energies.append(atoms.get_potential_energy())
        forces.append(atoms.get_forces())
    return energies, forces


def by_nnp(folder: Path, frames: list[Atoms]) -> tuple[list[float], list[np.ndarray]]:
    """Predict by a high-dimensional neural network potential.

    Parameters
    ----------
    folder : pathlib.Path
        Has input.nn, scaling.data and the weights.
    frames : list of ase.Atoms
        Frames.

    Returns
    -------
    (list of float, list of (n_atoms, 3) float64 ndarray)
        Energies, eV; forces, eV/Å.
    """
    if shutil.which("nnp-predict") is None:
        sys.exit("nnp-predict: is not on PATH; build n2p2 and add its bin")
    energies, forces = [], []
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        for path in folder.iterdir():
            shutil.copy(path, work)
        for atoms in frames:
            write_structure(work / "input.data", atoms)
            done = subprocess.run(
                ["nnp-predict", "0"], cwd=work, capture_output=True, text=True, check=False
            )
            if done.returncode:
                sys.exit(f"nnp-predict: stopped:\n{(done.stdout + done.stderr)[-500:]}")
            words = [line.split() for line in (work / "output.data").read_text().splitlines()]
            [energy] = [float(line[1]) for line in words if line[0] == "energy"]
            rows = [[float(x) for x in line[-3:]] for line in words if line[0] == "atom"]
            energies.append(energy * Hartree)
            forces.append(np.array(rows) * Hartree / Bohr)
    return energies, forces


def write_structure(path: Path, atoms: Atoms) -> None:
    """Write a frame as n2p2 reads it.

    Parameters
    ----------
    path : pathlib.Path
        File that is written.
    atoms : ase.Atoms
        The frame; lengths become Bohr.
    """
    lines = ["begin"]
    lines += [f"lattice {x:.12f} {y:.12f} {z:.12f}" for x, y, z in atoms.cell.array / Bohr]
    for symbol, (x, y, z) in zip(atoms.symbols, atoms.positions / Bohr, strict=True):
        lines.append(f"atom {x:.12f} {y:.12f} {z:.12f} {symbol} 0 0 0 0 0")
    path.write_text("\n".join([*lines, "energy 0", "charge 0", "end", ""]))


def main() -> None:
    """Predict energies and forces."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kind", choices=("MTP", "NNP"))
    parser.add_argument("folder", type=Path, help="folder of the potential")
    parser.add_argument("frames", help="file of the frames")
    parser.add_argument("output", type=Path, help="file that is written")
    args = parser.parse_args()
    if not args.folder.is_dir():
        parser.error(f"folder = {args.folder}: there is no such folder; give that of {args.kind}")
    frames = ase.io.read(args.frames, ":")
    energies, forces = (by_mtp if args.kind == "MTP" else by_nnp)(args.folder, frames)
    args.output.parent.mkdir(parents=True, exist_ok=True)
    np.savez(args.output, energy=energies, forces=np.concatenate(forces))
    print(f"{args.output}: {len(frames)} frames")


if __name__ == "__main__":
    main()
