# SPDX-License-Identifier: BSD-3-Clause
# Potential of in.paracrystalline; edit it to use another.
#
#   -var       default      meaning
#   potential  SiC.tersoff  file with carbon of Tersoff, Phys. Rev. B 39, 5566 (1989), here or in
#                           the folder that LAMMPS_POTENTIALS names; ships with LAMMPS

variable potential index SiC.tersoff

variable folder getenv LAMMPS_POTENTIALS
variable found  equal is_file(${potential})
if "${found} == 0" then "variable found equal is_file(${folder}/${potential})"
if "${found} == 0" then &
  'print "ERROR: potential = ${potential}: no such file here or in LAMMPS_POTENTIALS = ${folder};"' &
  'print "ERROR: give its path by -var potential, or set LAMMPS_POTENTIALS to its folder"' &
  "quit 1"

pair_style tersoff
pair_coeff * * ${potential} C
