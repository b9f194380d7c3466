# SPDX-License-Identifier: BSD-3-Clause
"""LAMMPS's unit styles, and their factors to ASE's Å and eV."""

from ase.calculators.lammps import convert

# LAMMPS's unit styles
UNITS = ("lj", "real", "metal", "si", "cgs", "electron", "micro", "nano")


def check_units(units: str | None, name: str = "units") -> None:
    """Refuse units that LAMMPS does not have.

    Parameters
    ----------
    units : str or None
        LAMMPS unit style; None says nothing.
    name : str
        Where it stands.

    Raises
    ------
    ValueError
        When there is no such style.
    """
    if units is not None and units not in UNITS:
        raise ValueError(f"{name} = {units!r}: must be one of {', '.join(UNITS)}")


def factor_to_ase(quantity: str, units: str | None) -> float:
    """Return what one LAMMPS unit is in ASE's; those of lj have none."""
    return 1.0 if units in (None, "lj") else float(convert(1.0, quantity, units, "ASE"))
