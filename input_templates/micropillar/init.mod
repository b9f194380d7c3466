# SPDX-License-Identifier: BSD-3-Clause
# The material of in.micropillar and in.fault_reference; edit to yours.
#
#   -var      default  unit   meaning
#   element   Al
#   mass      26.9815  g/mol
#   crystal   fcc             fcc, bcc or diamond; in.fault_reference is for fcc only
#   a         4.045    Å      lattice constant, that of the potential

variable element   index Al
variable mass      index 26.9815
variable crystal   index fcc
variable a         index 4.045
