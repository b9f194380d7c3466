# SPDX-License-Identifier: BSD-3-Clause
# Potential of aluminium; edit to your metal.
#
#   -var       default       meaning
#   potential  Al_mm.eam.fs  file of Mendelev's aluminium, Phil. Mag. 88, 1723 (2008), here or in the
#                            folder that LAMMPS_POTENTIALS names; ships with LAMMPS

variable potential index Al_mm.eam.fs

variable folder getenv LAMMPS_POTENTIALS
variable found  equal is_file(${potential})
if "${found} == 0" then "variable found equal is_file(${folder}/${potential})"
if "${found} == 0" then &
  'print "ERROR: potential = ${potential}: no such file here or in LAMMPS_POTENTIALS = ${folder};"' &
  'print "ERROR: give its path by -var potential, or set LAMMPS_POTENTIALS to its folder"' &
  "quit 1"

pair_style eam/fs
pair_coeff * * ${potential} Al
