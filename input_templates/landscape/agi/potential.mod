# SPDX-License-Identifier: BSD-3-Clause
# Potential of in.agi; edit to your material.
#
# P. Vashishta and A. Rahman, Phys. Rev. Lett. 40, 1337 (1978); M. Parrinello, A. Rahman and
# P. Vashishta, Phys. Rev. Lett. 50, 1073 (1983). In units of e^2/Å = 14.39964 eV and Å:
#   V(r) = H / r^n + Z Z' / r - P / r^4 - W / r^6, Z = 0.6 for Ag and -0.6 for I
#            H         n   P       W
#   Ag Ag    0.014804  11  0       0
#   Ag I     114.48    9   1.1736  0
#   I  I     446.64    7   2.3472  6.9331
# P follows from the polarizability of iodine, 6.52 Å^3, and Z: 6.52 x 0.36 / 2 for Ag I. The charges are
# summed by damped, shifted forces (coul/dsf), not by Ewald's method. README.md names the limits.

set type 1 charge 0.6
set type 2 charge -0.6

pair_style hybrid/overlay lepton 8.5 coul/dsf 0.2 8.5
pair_coeff 1 1 lepton "14.39964*0.014804/r^11"
pair_coeff 1 2 lepton "14.39964*(114.48/r^9 - 1.1736/r^4)"
pair_coeff 2 2 lepton "14.39964*(446.64/r^7 - 2.3472/r^4 - 6.9331/r^6)"
pair_coeff * * coul/dsf
