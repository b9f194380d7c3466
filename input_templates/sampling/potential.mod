# SPDX-License-Identifier: BSD-3-Clause
# Potential of silicon, which plays DFT in the comparison of samplers; edit to your material.
#
#   -var       default  meaning
#   potential  Si.sw    file of Stillinger and Weber's silicon, Phys. Rev. B 31, 5262 (1985),
#                       here or in the folder that LAMMPS_POTENTIALS names; ships with LAMMPS

variable potential index Si.sw

variable folder getenv LAMMPS_POTENTIALS
variable found  equal is_file(${potential})
if "${found} == 0" then "variable found equal is_file(${folder}/${potential})"
if "${found} == 0" then &
  'print "ERROR: potential = ${potential}: no such file here or in LAMMPS_POTENTIALS = ${folder};"' &
  'print "ERROR: give its path by -var potential, or set LAMMPS_POTENTIALS to its folder"' &
  "quit 1"

pair_style sw
pair_coeff * * ${potential} Si
