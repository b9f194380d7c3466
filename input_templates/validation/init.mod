# SPDX-License-Identifier: BSD-3-Clause
# Crystal of all decks; edit to your material. fcc or bcc, one element.
#
#   -var     default  unit  meaning
#   crystal  fcc            fcc or bcc
#   a        4.045    Å     lattice constant, from which each deck relaxes
#   n_basis  4              atoms in the cube: 4 for fcc, 2 for bcc

variable crystal index fcc
variable a       index 4.045
variable n_basis index 4

units       metal
atom_style  atomic
atom_modify map array
boundary    p p p
box         tilt large
