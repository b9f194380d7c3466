# SPDX-License-Identifier: BSD-3-Clause
# Crystal of all decks; edit to your material. fcc, bcc or hcp, one element.
#
#   -var      default  unit  meaning
#   crystal   fcc            fcc, bcc or hcp
#   a         4.045    Å     lattice constant, relaxed by each deck
#   c_over_a  1.633          axial ratio of hcp, relaxed by each deck

variable crystal  index fcc
variable a        index 4.045
variable c_over_a index 1.633

units       metal
atom_style  atomic
atom_modify map array
boundary    p p p
box         tilt large
