# SPDX-License-Identifier: BSD-3-Clause
"""How pip compiles GPAW where there is nothing but g++: without BLAS, libxc and MPI.

GPAW_CONFIG=siteconfig.py pip install gpaw
"""

compiler = "g++"
noblas = True
nolibxc = True
mpi = False
