# SPDX-License-Identifier: BSD-3-Clause
"""Options with which pip compiles GPAW by g++ alone: without BLAS, libxc and MPI.

GPAW_CONFIG=siteconfig.py pip install gpaw
"""

compiler = "g++"
noblas = True
nolibxc = True
mpi = False
