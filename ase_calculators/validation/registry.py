# SPDX-License-Identifier: BSD-3-Clause
"""The properties that `validate` knows, in the order of its table."""

from ase_calculators.validation.bain import BainPath
from ase_calculators.validation.elastic import ElasticConstants
from ase_calculators.validation.elastic_at_temperature import ElasticAtTemperature
from ase_calculators.validation.equation_of_state import EquationOfState
from ase_calculators.validation.gamma_surface import GammaSurface
from ase_calculators.validation.landscape_errors import LandscapeErrors
from ase_calculators.validation.liquid import Liquid
from ase_calculators.validation.phonons import Phonons
from ase_calculators.validation.property import Property
from ase_calculators.validation.stacking_faults import StackingFaults
from ase_calculators.validation.surfaces import Surfaces
from ase_calculators.validation.thermodynamics import Thermodynamics
from ase_calculators.validation.vacancy import Vacancy

PROPERTIES: dict[str, type[Property]] = {
    kind.name: kind
    for kind in (
        EquationOfState, ElasticConstants, ElasticAtTemperature, Vacancy, Phonons, Thermodynamics,
        BainPath, Surfaces, GammaSurface, StackingFaults, Liquid, LandscapeErrors,
    )
}  # fmt: skip
