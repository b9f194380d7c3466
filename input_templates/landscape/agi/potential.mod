# SPDX-License-Identifier: BSD-3-Clause
# Potential of in.agi; edit to your material.
#
# Form: P. Vashishta and A. Rahman, Phys. Rev. Lett. 40, 1337 (1978); M. Parrinello, A. Rahman and
# P. Vashishta, Phys. Rev. Lett. 50, 1073 (1983):
#   V(r) = H / r^n + q q' / r - P / r^4 - W / r^6, q = 0.5815 for Ag and -0.5815 for I
#            H (eV Å^n)  n   P (eV Å^4)  W (eV Å^6)
#   Ag Ag    0.16        11  0           0
#   Ag I     1310        9   14.9        0
#   I  I     5328        7   29.8        84.5
# Numbers: the "reparameterized" set of public code, as README.md says.

set type 1 charge  0.5815
set type 2 charge -0.5815

pair_style hybrid/overlay lepton 10.0 coul/long 10.0
pair_coeff 1 1 lepton "0.16/r^11"
pair_coeff 1 2 lepton "1310/r^9 - 14.9/r^4"
pair_coeff 2 2 lepton "5328/r^7 - 29.8/r^4 - 84.5/r^6"
pair_coeff * * coul/long
kspace_style pppm 1.0e-4
