# SPDX-License-Identifier: BSD-3-Clause
# A second opinion on the energies of silicon.
#
#   -var       default     meaning
#   tersoff    Si.tersoff  file of Tersoff's silicon, Phys. Rev. B 38, 9902 (1988), here or in
#                          the folder that LAMMPS_POTENTIALS names; ships with LAMMPS

variable tersoff index Si.tersoff

variable folder getenv LAMMPS_POTENTIALS
variable found  equal is_file(${tersoff})
if "${found} == 0" then "variable found equal is_file(${folder}/${tersoff})"
if "${found} == 0" then &
  'print "ERROR: tersoff = ${tersoff}: no such file here or in LAMMPS_POTENTIALS = ${folder};"' &
  'print "ERROR: give its path by -var tersoff, or set LAMMPS_POTENTIALS to its folder"' &
  "quit 1"

pair_style tersoff
pair_coeff * * ${tersoff} Si
