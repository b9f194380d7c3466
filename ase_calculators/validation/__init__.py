# SPDX-License-Identifier: BSD-3-Clause
"""Validation of potentials: properties of their crystals, compared with experiment and DFT.

>>> from ase_calculators.validation import validate
>>> report = validate("potential.mod", "Al", crystal="fcc", workdir="Al")  # doctest: +SKIP
>>> print(report.table())  # doctest: +SKIP
"""

from ase_calculators.lammps_potential import LammpsPotential
from ase_calculators.validation.property import Property, Sample
from ase_calculators.validation.reference import read_reference
from ase_calculators.validation.registry import PROPERTIES
from ase_calculators.validation.report import Report, compare
from ase_calculators.validation.suite import validate

__all__ = [
    "validate",
    "compare",
    "Report",
    "PROPERTIES",
    "Property",
    "Sample",
    "LammpsPotential",
    "read_reference",
]
