# SPDX-License-Identifier: BSD-3-Clause
# Potential of in.ice; edit to your material. mW.sw is in this folder, with its citation.

pair_style sw
pair_coeff * * mW.sw O
