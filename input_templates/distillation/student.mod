# SPDX-License-Identifier: BSD-3-Clause
# The student as a LAMMPS potential, for in.student and in.relabel; edit the element to yours.
#
#   -var     default             meaning
#   student  student/student.pb  compressed model of student.py
#   element  Al                  of atom type 1; of several types "Ni Al"; the model's type map must
#                                hold them

variable student index student/student.pb
variable element index Al

variable found equal is_file(${student})
if "${found} == 0" then &
  'print "ERROR: student = ${student}: there is no such file; run python student.py or give its path by -var student"' &
  "quit 1"

pair_style deepmd ${student}
pair_coeff * * ${element}
