# SPDX-License-Identifier: BSD-3-Clause
# Structure, and the parameters and cells of the landscape; edit to your material. active_learning.py
# gives all of them by -var.
#
#   -var   default  unit         meaning
#   a      4.05     Å            lattice constant of the fcc crystal to start with
#   cells  3                     cubic cells along each edge: 108 atoms
#   mass   26.9815  g/mol
#   rmax   6.0      Å            half of the box
#   sigma  0.2      Å
#   q6cut  3.5      Å            first minimum of g(r)
#   dsS    0.5      k_B/atom     size of a cell of the landscape
#   dQ     0.05

variable a     index 4.05
variable cells index 3
variable mass  index 26.9815
variable rmax  index 6.0
variable sigma index 0.2
variable q6cut index 3.5
variable dsS   index 0.5
variable dQ    index 0.05

lattice    fcc ${a}
region     box block 0 ${cells} 0 ${cells} 0 ${cells}
create_box 1 box
create_atoms 1 box
mass       1 ${mass}
