# SPDX-License-Identifier: BSD-3-Clause
"""Training sets from labelled frames."""

import json
from collections.abc import Iterable
from os import PathLike, fspath
from pathlib import Path

import ase.io
import numpy as np
from ase import Atoms

from ase_calculators.autodft.settings import DFTSettings

FORMATS = ("deepmd/npy", "deepmd/npy/mixed", "extxyz")


def virial(atoms: Atoms) -> np.ndarray:
    """Return the virial as DeePMD means it: -dE/d(strain), above 0 under compression.

    ASE's stress is +dE/d(strain) / volume.

    Parameters
    ----------
    atoms : ase.Atoms
        With stress.

    Returns
    -------
    (3, 3) float64 ndarray
        Virial, eV.
    """
    return -atoms.get_stress(voigt=False) * atoms.cell.volume


def export(
    frames: Iterable[Atoms],
    path: str | PathLike[str],
    format: str,
    settings: DFTSettings,
) -> int:
    """Write labelled frames, with the settings beside them as settings.json.

    Parameters
    ----------
    frames : iterable of ase.Atoms
        With energy, forces and stress.
    path : path-like
        Folder of DeePMD systems, or file of extended XYZ.
    format : {"deepmd/npy", "deepmd/npy/mixed", "extxyz"}
        The format.
    settings : DFTSettings
        Of the labels.

    Returns
    -------
    int
        How many frames.

    Raises
    ------
    ValueError
        When the format is unknown or there are no frames.
    ImportError
        When dpdata is missing.
    """
    if format not in FORMATS:
        raise ValueError(f"format = {format!r}: must be one of {', '.join(FORMATS)}")
    frames = list(frames)
    if not frames:
        raise ValueError("export: there are no labelled frames; see dft.status()")
    target = Path(fspath(path))
    if format == "extxyz":
        target.parent.mkdir(parents=True, exist_ok=True)
        written = []
        for atoms in frames:
            copy = atoms.copy()
            copy.calc = atoms.calc
            copy.info["virial"] = virial(atoms)
            written.append(copy)
        ase.io.write(target, written, format="extxyz")
        target.with_suffix(".settings.json").write_text(settings.to_json())
        return len(frames)
    try:
        import dpdata
    except ImportError:
        raise ImportError(f"format = {format!r} needs dpdata: pip install 'entsym[dft]'") from None
    systems = dpdata.MultiSystems()
    by_formula: dict[str, list[Atoms]] = {}
    for atoms in frames:
        by_formula.setdefault(atoms.get_chemical_formula(), []).append(atoms)
    names = sorted({symbol for atoms in frames for symbol in atoms.get_chemical_symbols()})
    for same in by_formula.values():
        # atoms of one element together, in the order of the names
        orders = [np.argsort([names.index(s) for s in a.get_chemical_symbols()], kind="stable")
                  for a in same]  # fmt: skip
        symbols = np.array(same[0].get_chemical_symbols())[orders[0]]
        systems.append(dpdata.LabeledSystem(data={
            "atom_names": names,
            "atom_numbs": [int((symbols == name).sum()) for name in names],
            "atom_types": np.array([names.index(s) for s in symbols]),
            "orig": np.zeros(3),
            "cells": np.array([a.cell.array for a in same]),
            "coords": np.array([a.positions[o] for a, o in zip(same, orders, strict=True)]),
            "energies": np.array([a.get_potential_energy() for a in same]),
            "forces": np.array([a.get_forces()[o] for a, o in zip(same, orders, strict=True)]),
            "virials": np.array([virial(a) for a in same]),
        }))  # fmt: skip
    systems.to(format, str(target))
    provenance = [
        {key: value for key, value in atoms.info.items() if isinstance(value, str | int | float)}
        for atoms in frames
    ]
    (target / "settings.json").write_text(settings.to_json())
    (target / "provenance.json").write_text(json.dumps(provenance, indent=0))
    return len(frames)
