# SPDX-License-Identifier: BSD-3-Clause
# Potential of in.phases, label.py and neb.py; edit to your material.
#
#   -var    default  meaning
#   carbon  lcbop    one of those below; their files ship with LAMMPS, which looks for them here and
#                    in the folder that LAMMPS_POTENTIALS names
#
#   lcbop    Los, Fasolino, Phys. Rev. B 68, 024107 (2003)
#   airebo   AIREBO-M: O'Connor, Andzelm, Robbins, J. Chem. Phys. 142, 024903 (2015)
#   tersoff  Tersoff, Phys. Rev. B 39, 5566 (1989): no forces between layers
#   snap     Willman et al., Phys. Rev. B 106, L180101 (2022): made for diamond under pressure
#
# README.md compares them.

variable carbon index lcbop

if "${carbon} == lcbop" then &
  "pair_style lcbop" &
  "pair_coeff * * C.lcbop C" &
elif "${carbon} == airebo" &
  "pair_style airebo/morse 3.0 1 1" &
  "pair_coeff * * CH.airebo-m C" &
elif "${carbon} == tersoff" &
  "pair_style tersoff" &
  "pair_coeff * * SiC.tersoff C" &
elif "${carbon} == snap" &
  "pair_style hybrid/overlay zbl 0.1 0.2 snap" &
  "pair_coeff * * zbl 6 6" &
  "pair_coeff * * snap C_SNAP_2021.10.15.quadratic.snapcoeff C_SNAP_2021.10.15.quadratic.snapparam C" &
else &
  'print "ERROR: carbon = ${carbon}: choose lcbop, airebo, tersoff or snap, or edit potential.mod"' &
  "quit 1"
