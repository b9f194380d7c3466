# SPDX-License-Identifier: BSD-3-Clause
"""A universal potential as an ASE calculator, for the scripts in ti3o5 and gete."""

import argparse
from pathlib import Path

import ase.io
from ase import Atoms
from ase.calculators.calculator import Calculator
from ase.calculators.singlepoint import SinglePointCalculator
from ase.spacegroup import crystal

MODEL = "TensorNet-MatPES-PBE-v2025.1-PES"
# rutile, whose pressure at the measured cell is known to be small
RUTILE = (
    ["Ti", "O"],
    [(0.0, 0.0, 0.0), (0.305, 0.305, 0.0)],
    136,
    [4.594, 4.594, 2.959, 90, 90, 90],
)
# eV/Å^3 (16 GPa); PBE has 0.03
PRESSURE = 0.1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the potential to a command line.

    Parameters
    ----------
    parser : argparse.ArgumentParser
        The command line.
    """
    parser.add_argument("--model", default=MODEL, help="name or folder of a model of matgl")
    parser.add_argument("--threads", type=int, default=1, help="of PyTorch (%(default)s)")


def load(args: argparse.Namespace, parser: argparse.ArgumentParser) -> Calculator:
    """Load the potential, and check that its weights fit the installed matgl.

    Weights that do not fit are loaded without an error. Then the pressure of rutile is wrong by a
    factor of 30, which is checked here.

    Parameters
    ----------
    args : argparse.Namespace
        With `model` and `threads`, see `add_arguments`.
    parser : argparse.ArgumentParser
        For errors.

    Returns
    -------
    ase.calculators.calculator.Calculator
        Calculator of energies in eV, forces in eV/Å and stresses in eV/Å^3.
    """
    try:
        import matgl
        import torch
        from matgl.ext.ase import PESCalculator
    except ImportError as error:
        parser.error(f"matgl cannot be loaded ({error}): pip install matgl, python 3.11 or later")
    torch.set_num_threads(args.threads)
    try:
        potential = matgl.load_model(args.model)
    except (OSError, ValueError, RuntimeError) as error:
        parser.error(f"model = {args.model}: cannot be loaded ({str(error)[:200]})")
    # matgl's stresses are in GPa
    calc = PESCalculator(potential, stress_weight=1 / 160.21766208)
    symbols, basis, group, cell = RUTILE
    rutile = crystal(symbols, basis, spacegroup=group, cellpar=cell)
    rutile.calc = calc
    pressure = -rutile.get_stress()[:3].mean()
    if abs(pressure) > PRESSURE:
        parser.error(
            f"model = {args.model}: rutile has a pressure of {pressure:.2f} eV/Å^3 at its measured "
            "cell; the weights belong to another version of matgl, those of v2025.1 to matgl 2.0.4"
        )
    return calc


def append_frame(path: Path, atoms: Atoms) -> None:
    """Append a structure with its energy and forces to an extended XYZ file.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    atoms : ase.Atoms
        Structure with a calculator.
    """
    frame = atoms.copy()
    frame.calc = SinglePointCalculator(
        frame, energy=float(atoms.get_potential_energy()), forces=atoms.get_forces()
    )
    ase.io.write(path, frame, append=True, format="extxyz")
