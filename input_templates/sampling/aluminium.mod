# SPDX-License-Identifier: BSD-3-Clause
# Aluminium for in.metadynamics, biased in sS alone; edit to your metal.
#
#   -var        default       unit      meaning
#   model       eam.mod                 pair_style and pair_coeff
#   a           4.13          Å         lattice constant of the crystal to start with
#   cells       3                       cubic cells along each edge: 108 atoms
#   T           930           K         temperature; the crystal melts at 926 K
#   box         aniso                   the barostat changes the edges, so that crystals of several
#                                       orientations fit in; iso keeps the cube
#   dt          0.003         ps        time step
#   rmax        5.3           Å         of sS: between the third and the fourth shell of fcc
#   sigma       0.16          Å
#   q6cut       3.8           Å         of Q6, which is recorded and not biased
#   smooth      0.5           Å
#   pace        250           steps     between two hills
#   height      0.16          eV        of the first hill, 2 k_B T
#   biasfactor  15
#   widths                              of the hills: sS 0.08
#   walls                               ends of sS: neither hotter nor colder is of interest

variable model      index eam.mod
variable a          index 4.13
variable cells      index 3
variable T          index 930
variable box        index aniso
variable dt         index 0.003
variable rmax       index 5.3
variable sigma      index 0.16
variable q6cut      index 3.8
variable smooth     index 0.5
variable pace       index 250
variable height     index 0.16
variable biasfactor index 15
variable widths     index "width sS 0.08"
variable walls      index "wall sS upper -1.9 50.0 wall sS lower -4.8 50.0"
variable element    index Al

# a run that continues has its atoms
if "${again} == 0" then &
  "lattice fcc ${a}" &
  "region box block 0 ${cells} 0 ${cells} 0 ${cells}" &
  "create_box 1 box" &
  "create_atoms 1 box"
mass       1 26.9815
include    ${model}
