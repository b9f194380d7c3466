# SPDX-License-Identifier: BSD-3-Clause
"""Training sets from labelled frames."""

import json
from collections.abc import Iterable
from os import PathLike, fspath
from pathlib import Path

import ase.io
from ase import Atoms

from ase_calculators.autodft.settings import DFTSettings
from ase_calculators.training_sets import FORMATS as DEEPMD_FORMATS
from ase_calculators.training_sets import virial, write_deepmd

FORMATS = (*DEEPMD_FORMATS, "extxyz")


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
    elements = sorted({symbol for atoms in frames for symbol in atoms.symbols})
    write_deepmd(frames, target, format=format, type_map=elements)
    provenance = [
        {key: value for key, value in atoms.info.items() if isinstance(value, str | int | float)}
        for atoms in frames
    ]
    (target / "settings.json").write_text(settings.to_json())
    (target / "provenance.json").write_text(json.dumps(provenance, indent=0))
    return len(frames)
