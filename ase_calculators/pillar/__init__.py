# SPDX-License-Identifier: BSD-3-Clause
"""Compressed pillars: from a trajectory to a table of its defects, from both to pictures."""

from ase_calculators.pillar.analysis import analyse_pillar
from ase_calculators.pillar.plots import plot_fault_map, plot_pillar
from ase_calculators.pillar.rendering import VULKAN, render_movie, render_pillar
from ase_calculators.pillar.stress_strain import read_stress_strain
from ase_calculators.pillar.table import (
    BURGERS,
    COLUMNS,
    FAULTS,
    STRUCTURES,
    Event,
    PillarTable,
)

__all__ = [
    "PillarTable",
    "Event",
    "analyse_pillar",
    "plot_pillar",
    "plot_fault_map",
    "render_pillar",
    "render_movie",
    "read_stress_strain",
    "BURGERS",
    "COLUMNS",
    "FAULTS",
    "STRUCTURES",
    "VULKAN",
]
