# SPDX-License-Identifier: BSD-3-Clause
"""LAMMPS's unit styles, and their factors to ASE's Å and eV."""

from functools import lru_cache

from ase.calculators.lammps import convert

# LAMMPS's unit styles
UNITS = ("lj", "real", "metal", "si", "cgs", "electron", "micro", "nano")


def check_units(units: str | None, name: str = "units") -> None:
    """Check that LAMMPS has such units.

    Parameters
    ----------
    units : str or None
        LAMMPS unit style; None is accepted.
    name : str
        Name of the argument or the line, for the message.

    Raises
    ------
    ValueError
        If there is no such style.
    """
    if units is not None and units not in UNITS:
        raise ValueError(f"{name} = {units!r}: must be one of {', '.join(UNITS)}")


@lru_cache(maxsize=64)
def factor_to_ase(quantity: str, units: str | None) -> float:
    """Return one LAMMPS unit in ASE's units.

    Parameters
    ----------
    quantity : str
        Name of the quantity as `ase.calculators.lammps.convert` has it, such as "distance".
    units : str or None
        LAMMPS unit style.

    Returns
    -------
    float
        The factor; 1 for lj and None.
    """
    return 1.0 if units in (None, "lj") else float(convert(1.0, quantity, units, "ASE"))
