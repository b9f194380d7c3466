# SPDX-License-Identifier: BSD-3-Clause
# The student of the active learning: a linear SNAP, fitted by sampling.py, and a repulsion at distances
# that no frame has.
#
#   -var     default  meaning
#   student  student  name of the .snapparam and .snapcoeff

variable student index student

variable found equal is_file(${student}.snapcoeff)
if "${found} == 0" then &
  'print "ERROR: student = ${student}: there is no ${student}.snapcoeff; run sampling.py"' &
  "quit 1"

pair_style hybrid/overlay zbl 1.6 2.0 snap
pair_coeff * * zbl 14 14
pair_coeff * * snap ${student}.snapcoeff ${student}.snapparam Si
