# SPDX-License-Identifier: BSD-3-Clause
"""The sets of small cells with labels of DFT that come with the source."""

import argparse
from pathlib import Path

import ase.io
from ase import Atoms

HERE = Path(__file__).resolve().parent
# where the sets lie: of this package's source, or a copy
DATA = next(
    (path for path in (HERE / "reference", HERE.parents[1] / "tests" / "reference")
     if path.is_dir()), HERE / "reference",
)  # fmt: skip
# parts of ir_pbe that students of pure iridium learn from
LEARNED = ("standard", "stacks", "defects", "strained")


def read_sets(parser: argparse.ArgumentParser, data: Path, *files: str) -> list[list[Atoms]]:
    """Read files of the sets; what is not there ends the program with one line.

    Parameters
    ----------
    parser : argparse.ArgumentParser
        Of the command line, with the option --data.
    data : pathlib.Path
        Its value: the folder of the sets.
    *files : str
        Files in it, such as "ir_pbe/labels.extxyz".

    Returns
    -------
    list of list of ase.Atoms
        Frames of each file.
    """
    try:
        return [ase.io.read(data / file, ":") for file in files]
    except OSError as error:
        folders = " and ".join(dict.fromkeys(file.split("/")[0] for file in files))
        parser.error(f"--data {data}: {error}; name the folder of {folders}")
