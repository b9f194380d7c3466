# SPDX-License-Identifier: BSD-3-Clause
# The student: a linear SNAP, fitted by active_learning.py, and a repulsion at distances that no frame
# has. Another model needs other lines here, and another `equations_of` there.
#
#   -var     default  meaning
#   student  student  name of the .snapparam and .snapcoeff

variable student index student

variable found equal is_file(${student}.snapcoeff)
if "${found} == 0" then &
  'print "ERROR: student = ${student}: there is no ${student}.snapcoeff; run active_learning.py"' &
  "quit 1"

pair_style hybrid/overlay zbl 2.0 2.5 snap
pair_coeff * * zbl 13 13
pair_coeff * * snap ${student}.snapcoeff ${student}.snapparam Al
