# SPDX-License-Identifier: BSD-3-Clause
"""Pair entropy sS and Steinhardt symmetry Q_l in ASE: calculator, landscapes, new structures."""

from ase_calculators.entropy_symmetry import EntropySymmetry
from ase_calculators.free_energy import FreeEnergy, Window, free_energy
from ase_calculators.landscape import LandscapeTable, map_landscape, plot_landscape
from ase_calculators.landscape_bias import LandscapeBias, Metadynamics
from ase_calculators.pillar import (
    PillarTable,
    analyse_pillar,
    plot_pillar,
    render_movie,
    render_pillar,
)
from ase_calculators.polymorph import Genes, PolymorphGen, TargetReport
from ase_calculators.selection import coverage, multi_resolution, select, write_sets
from ase_calculators.structure_path import (
    ContinuousPath,
    Match,
    continuous_path,
    match_structures,
)
from ase_calculators.substitution import substitute

__all__ = [
    "EntropySymmetry",
    "LandscapeBias",
    "Metadynamics",
    "free_energy",
    "FreeEnergy",
    "Window",
    "LandscapeTable",
    "map_landscape",
    "plot_landscape",
    "multi_resolution",
    "select",
    "coverage",
    "write_sets",
    "substitute",
    "match_structures",
    "Match",
    "continuous_path",
    "ContinuousPath",
    "PolymorphGen",
    "Genes",
    "TargetReport",
    "PillarTable",
    "analyse_pillar",
    "plot_pillar",
    "render_pillar",
    "render_movie",
]
