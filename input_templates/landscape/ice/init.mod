# SPDX-License-Identifier: BSD-3-Clause
# Structure of in.ice, hexagonal ice of one particle per molecule; edit to your material.
#
#   -var    default  unit  meaning
#   nx      6              cells along x, the direction of growth: 6 x 3 x 3 cells are 432 molecules
#   ny      3
#   nz      3
#   a       4.45     Å     lattice constant; c is a sqrt(8/3)

variable nx index 6
variable ny index 3
variable nz index 3
variable a  index 4.45

units      metal
atom_style atomic
boundary   p p p

# four layers of two molecules, in an orthogonal cell of a, a sqrt(3), a sqrt(8/3)
lattice custom ${a} a1 1 0 0 a2 0 $(sqrt(3)) 0 a3 0 0 $(sqrt(8/3)) &
  basis 0   0      0.0625 basis 0.5 0.5    0.0625 &
  basis 0   0.3333333333 0.9375 basis 0.5 0.8333333333 0.9375 &
  basis 0   0      0.4375 basis 0.5 0.5    0.4375 &
  basis 0   0.3333333333 0.5625 basis 0.5 0.8333333333 0.5625
region       box block 0 ${nx} 0 ${ny} 0 ${nz}
create_box   1 box
create_atoms 1 box
mass         1 18.015
