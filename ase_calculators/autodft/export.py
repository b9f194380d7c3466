# SPDX-License-Identifier: BSD-3-Clause
"""Export of labelled frames as training sets."""

import json
import shutil
import tempfile
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import chain
from os import PathLike, fspath
from pathlib import Path
from typing import Any

import ase.io
from ase import Atoms
from ase.io.extxyz import key_val_dict_to_str, key_val_str_to_dict

from ase_calculators.autodft.settings import DFTSettings
from ase_calculators.provenance import atomic_writes
from ase_calculators.training_sets import FORMATS as DEEPMD_FORMATS
from ase_calculators.training_sets import virial, write_deepmd

FORMATS = (*DEEPMD_FORMATS, "extxyz")


def export(
    frames: Iterable[Atoms],
    path: str | PathLike[str],
    format: str,
    settings: DFTSettings,
    elements: Iterable[str],
) -> int:
    """Write labelled frames one by one, and their settings next to them as settings.json.

    Parameters
    ----------
    frames : iterable of ase.Atoms
        Frames with energy, forces and stress.
    path : path-like
        Folder of DeePMD data, or file of extended XYZ; replaced when the new one is complete.
    format : {"deepmd/npy", "deepmd/npy/mixed", "extxyz"}
        Format.
    settings : DFTSettings
        Settings of the labels.
    elements : iterable of str
        Elements of the frames, the type map of DeePMD.

    Returns
    -------
    int
        Number of frames.

    Raises
    ------
    ValueError
        If the format is unknown or there are no frames.
    ImportError
        If dpdata is not installed.
    OSError
        If the files cannot be written.

    Warns
    -----
    UserWarning
        If extended XYZ cannot hold an entry of a frame's ``info``, which is then left out.
    """
    if format not in FORMATS:
        raise ValueError(f"format = {format!r}: must be one of {', '.join(FORMATS)}")
    frames = iter(frames)
    first = next(frames, None)
    if first is None:
        raise ValueError("export: there are no labelled frames; see dft.status()")
    frames = chain([first], frames)
    target = Path(fspath(path))
    n_frames = 0
    if format == "extxyz":
        left_out: Counter[str] = Counter()
        target.parent.mkdir(parents=True, exist_ok=True)
        with atomic_writes(target, target.with_suffix(".settings.json")) as (file, settings_file):
            for atoms in frames:
                atoms.info = {"virial": virial(atoms), **_writable(atoms.info, left_out)}
                ase.io.write(file, atoms, format="extxyz")
                n_frames += 1
            settings_file.write(settings.to_json())
        if left_out:
            names = ", ".join(f"{name!r} of {n}" for name, n in left_out.most_common(5))
            warnings.warn(
                f"info: extended XYZ cannot hold {names} frames; left out, dft.labelled() has them",
                stacklevel=3,
            )
        return n_frames

    with tempfile.TemporaryFile("w+", encoding="utf-8") as notes:

        def noted() -> Iterator[Atoms]:
            nonlocal n_frames
            for atoms in frames:
                notes.write("," if n_frames else "")
                notes.write("\n" + json.dumps(atoms.info))
                n_frames += 1
                yield atoms

        write_deepmd(noted(), target, format=format, type_map=sorted(elements))
        notes.seek(0)
        with atomic_writes(target / "settings.json", target / "provenance.json") as (
            file,
            provenance,
        ):
            file.write(settings.to_json())
            provenance.write("[")
            shutil.copyfileobj(notes, provenance)
            provenance.write("\n]\n")
    return n_frames


def _reads_back(info: dict[str, Any]) -> bool:
    """Return whether ASE's extended XYZ gives these entries back under their names."""
    try:
        line = key_val_dict_to_str({"before": 1, **info, "after": 2})
        line.encode()
        read = key_val_str_to_dict(line)
    except Exception:  # any error of ASE's parser
        return False
    return (
        len(line.splitlines()) == 1
        and list(read) == ["before", *info, "after"]
        and read["after"] == 2
        and all(str(value).strip() for value in info.values())
    )


def _writable(info: dict[str, Any], left_out: Counter[str]) -> dict[str, Any]:
    """Return the entries that extended XYZ can hold, and count the others."""
    if _reads_back(info):
        return info
    kept = {name: value for name, value in info.items() if _reads_back({name: value})}
    left_out.update(info.keys() - kept.keys())
    return kept
