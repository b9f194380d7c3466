# SPDX-License-Identifier: BSD-3-Clause
# Structure and parameters of in.paracrystalline; edit to your material.
#
#   -var    default   unit  meaning
#   data    c60.data        the crystal that c60.py has built
#   rmax    10.0      Å     upper end of the entropy integral: about half of the compressed box
#   sigma   0.125     Å     broadening of g(r)
#   q6cut   2.4       Å     neighbours of Q6; the paper's value
#
# README.md says how rmax was chosen.

variable data  index c60.data
variable rmax  index 10.0
variable sigma index 0.125
variable q6cut index 2.4

units      metal
atom_style atomic
boundary   p p p
neighbor   1.2 bin   # the cutoff is 2.1 Å; with 2.0 a step takes a third longer
if "${restart} == yes" then &
  "read_restart paracrystalline.*.restart" &
else &
  "read_data ${data}"
