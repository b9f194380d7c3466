# SPDX-License-Identifier: BSD-3-Clause
# Potential of in.mgsio3; edit to your material.
#
# A. R. Oganov, J. P. Brodholt and G. D. Price, Phys. Earth Planet. Inter. 122, 277 (2000),
# doi:10.1016/S0031-9201(00)00197-7: V(r) = q q' / r + b exp(-r / rho) - c / r^6
#            b (eV)    rho (Å)  c (eV Å^6)   q: Mg 1.9104, Si 2.9043, O -1.6049
#   Mg O     1041.435  0.2866   0
#   Si O     1137.028  0.2827   0
#   O  O     2023.8    0.2674   13.83
# README.md says how these numbers were checked.

set type 1 charge  1.9104
set type 2 charge  2.9043
set type 3 charge -1.6049

pair_style   buck/coul/long 8.0
pair_coeff   * * 0.0      1.0    0.0
pair_coeff   1 3 1041.435 0.2866 0.0
pair_coeff   2 3 1137.028 0.2827 0.0
pair_coeff   3 3 2023.8   0.2674 13.83
kspace_style pppm 1.0e-4
