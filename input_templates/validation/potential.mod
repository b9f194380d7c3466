# SPDX-License-Identifier: BSD-3-Clause
# Potential of all decks and of validate.py; edit to your model. Atom type 1 is the element. A
# pair_style that does not bring the mass with it (SNAP, a network) takes a line "mass 1 95.95" too.
#
#   -var       default       meaning
#   potential  Al_mm.eam.fs  file of M. I. Mendelev's Al, here or in the folder that
#                            LAMMPS_POTENTIALS names; ships with LAMMPS

variable potential index Al_mm.eam.fs

pair_style eam/fs
pair_coeff * * ${potential} Al
