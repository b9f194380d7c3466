# SPDX-License-Identifier: BSD-3-Clause
# Silicon: structure, landscape and hills of in.md and in.metadynamics; edit to your material.
#
#   -var        default        unit      meaning
#   model       potential.mod            pair_style and pair_coeff
#   a           5.46           Å         lattice constant of the crystal to start with
#   cells       2                        cubic cells along each edge: 64 atoms
#   T           1700           K         temperature; the crystal melts at 1,683 K
#   box         iso                      the barostat changes its size: iso, or edges: aniso
#   dt          0.003          ps        time step
#   rmax        5.0            Å         of sS: between the third and the fourth shell of diamond
#   sigma       0.2            Å
#   q6cut       3.2            Å         of Q6: first minimum of g(r) of the liquid
#   smooth      0.5            Å
#   pace        300            steps     between two hills
#   height      0.3            eV        of the first hill, 2 k_B T
#   biasfactor  60
#   widths                               of the hills: sS 0.1, Q6 0.025
#   walls                                ends of sS: gases are of no interest

variable model      index potential.mod
variable a          index 5.46
variable cells      index 2
variable T          index 1700
variable box        index iso
variable dt         index 0.003
variable rmax       index 5.0
variable sigma      index 0.2
variable q6cut      index 3.2
variable smooth     index 0.5
variable pace       index 300
variable height     index 0.3
variable biasfactor index 60
variable widths     index "width sS 0.1 width Q 0.025"
variable walls      index "wall sS upper -0.6 50.0"
variable element    index Si

# a run that continues has its atoms
if "${again} == 0" then &
  "lattice diamond ${a}" &
  "region box block 0 ${cells} 0 ${cells} 0 ${cells}" &
  "create_box 1 box" &
  "create_atoms 1 box"
mass       1 28.0855
include    ${model}
