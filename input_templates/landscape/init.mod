# SPDX-License-Identifier: BSD-3-Clause
# Structure and parameters of in.melt; edit to your material.
#
#   -var    default  unit  meaning
#   cells   3              cubic cells along each edge
#   a       5.431    Å     lattice constant
#   rmax    8.0      Å     upper end of the entropy integral: about half of the box
#   sigma   0.125    Å     broadening of g(r)
#   q6cut   3.0      Å     neighbours: between the first two shells of silicon, 2.35 and 3.84 Å
#
# RESULTS.md says how rmax, sigma and q6cut were chosen.

variable cells index 3
variable a     index 5.431
variable rmax  index 8.0
variable sigma index 0.125
variable q6cut index 3.0

units      metal
atom_style atomic
boundary   p p p

lattice    diamond ${a}
region     box block 0 ${cells} 0 ${cells} 0 ${cells}
create_box 1 box
create_atoms 1 box
mass       1 28.0855
