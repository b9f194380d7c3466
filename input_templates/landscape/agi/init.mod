# SPDX-License-Identifier: BSD-3-Clause
# Structure of in.agi, alpha-AgI: iodine on a bcc lattice, silver between; edit to your material.
#
#   -var    default  unit  meaning
#   cells   4              cubic cells of 2 AgI along each edge: 256 atoms
#   a       5.06     Å     lattice constant

variable cells index 4
variable a     index 5.06

units      metal
atom_style charge
boundary   p p p

# silver starts on two of the twelve tetrahedral places of a cell
lattice custom ${a} a1 1 0 0 a2 0 1 0 a3 0 0 1 &
  basis 0 0 0 basis 0.5 0.5 0.5 basis 0 0.5 0.25 basis 0.5 0 0.75
region       box block 0 ${cells} 0 ${cells} 0 ${cells}
create_box   2 box
create_atoms 1 box basis 1 2 basis 2 2 basis 3 1 basis 4 1
mass         1 107.868
mass         2 126.904
