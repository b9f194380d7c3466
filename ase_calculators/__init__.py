# SPDX-License-Identifier: BSD-3-Clause
"""Pair entropy sS and Steinhardt symmetry Q_l in ASE: a calculator, landscapes, pictures."""

from ase_calculators.entropy_symmetry import EntropySymmetry
from ase_calculators.landscape import LandscapeTable, map_landscape, plot_landscape

__all__ = ["EntropySymmetry", "LandscapeTable", "map_landscape", "plot_landscape"]
