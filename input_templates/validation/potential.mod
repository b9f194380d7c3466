# SPDX-License-Identifier: BSD-3-Clause
# Potential of all decks and of validate.py; edit to your model. Atom type 1 is the element. For a
# pair_style that does not set the mass (SNAP, a network), add a line such as "mass 1 95.95".
#
#   -var       default       meaning
#   potential  Al_mm.eam.fs  M. I. Mendelev's Al, which ships with LAMMPS; a file here or
#                            in the folder LAMMPS_POTENTIALS

variable potential index Al_mm.eam.fs

pair_style eam/fs
pair_coeff * * ${potential} Al
