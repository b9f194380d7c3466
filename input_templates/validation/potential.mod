# SPDX-License-Identifier: BSD-3-Clause
# Potential of all decks and of validate.py; edit to your model. Atom type 1 is the element. For a
# pair_style that does not set the mass (SNAP, a network), add a line such as "mass 1 95.95".
#
#   -var       default       meaning
#   pair       eam           which of the blocks below: eam or meam
#   potential  Al_mm.eam.fs  M. I. Mendelev's Al, which ships with LAMMPS; a file here or
#                            in the folder LAMMPS_POTENTIALS
#   element    Al            its name in that file
#
#   lmp -in in.stacking_faults -var pair meam -var potential library.meam -var element Ir -var a 3.84

variable pair      index eam
variable potential index Al_mm.eam.fs
variable element   index Al

# LAMMPS itself refuses the name of a style that it does not have
if "${pair} != eam && ${pair} != meam" then &
  'print "ERROR: pair = ${pair}: must be eam or meam, or add a block to potential.mod"' &
  "pair_style ${pair}"
if "${pair} == eam" then &
  "pair_style eam/fs" &
  "pair_coeff * * ${potential} ${element}"
# one element of Baskes's library, first neighbours: Ir and other metals
if "${pair} == meam" then &
  "pair_style meam" &
  "pair_coeff * * ${potential} ${element} NULL ${element}"
