# SPDX-License-Identifier: BSD-3-Clause
"""Auto-DFT: label frames by first principles, each once, on any mix of machines."""

from ase_calculators.autodft.autodft import Added, AutoDFT, Status
from ase_calculators.autodft.convergence import converged_settings
from ase_calculators.autodft.export import virial
from ase_calculators.autodft.machines import Machine, read_machines
from ase_calculators.autodft.settings import DFTSettings
from ase_calculators.autodft.worker import LADDERS

__all__ = [
    "AutoDFT",
    "DFTSettings",
    "converged_settings",
    "Added",
    "Status",
    "Machine",
    "read_machines",
    "virial",
    "LADDERS",
]
