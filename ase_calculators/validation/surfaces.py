# SPDX-License-Identifier: BSD-3-Clause
"""Energies of free surfaces."""

from typing import Any, ClassVar

import numpy as np
from ase.units import J, m

from ase_calculators.validation.crystal import METALLIC
from ase_calculators.validation.property import Property, Values, bars

PLANES = {
    "fcc": ["100", "110", "111"],
    "bcc": ["100", "110", "111"],
    "hcp": ["0001", "10-10", "11-20"],
}


class Surfaces(Property):
    """Relaxed energies of the low-index surfaces, from slabs by atomman.

    Settings: `thickness` and `vacuum` (Å) of the slab, `fmax` (eV/Å). If a surface has several
    terminations, as (10-10) has, the lowest energy counts.
    """

    name = "surfaces"
    title = "surfaces"
    structures = METALLIC
    defaults: ClassVar[dict[str, Any]] = {"thickness": 30.0, "vacuum": 12.0, "fmax": 1e-3}
    libraries = ("atomman",)
    size = (4.8, 3.4)

    def run(self) -> None:
        """Cut each plane with each termination, and relax."""
        import atomman

        s, crystal = self.settings, self.sample.crystal
        cell = atomman.load("ase_Atoms", crystal.unit_cell())
        self.data = {"planes": {}}
        for plane in self.track(PLANES[crystal.structure], "plane"):
            indices = miller(plane)
            maker = atomman.defect.FreeSurface(np.array(indices), cell)
            best: dict[str, Any] = {}
            for shift in range(len(maker.shifts)):
                slab = maker.surface(
                    shiftindex=shift, minwidth=s["thickness"], vacuumwidth=s["vacuum"]
                ).dump("ase_Atoms")
                slab.pbc = True
                slab.calc = self.sample.calculator
                area = np.linalg.norm(np.cross(slab.cell[0], slab.cell[1]))
                unit = 2 * area * J / m**2
                unrelaxed = (self.sample.energy(slab) - len(slab) * crystal.energy) / unit
                energy = (self.relax(slab, f"({plane})") - len(slab) * crystal.energy) / unit
                if not best or energy < best["energy"]:
                    best = {"energy": energy, "unrelaxed": unrelaxed, "atoms": len(slab)}
            self.data["planes"][plane] = best
            error = np.sqrt(2) * len(slab) * self.sample.noise().energy / unit
            self.doubt(f"surface ({plane})", best["energy"], error, "J/m^2")

    def result(self) -> Values:
        """Return the relaxed surface energies.

        Returns
        -------
        dict of str to (float, str)
            Value and unit by quantity.
        """
        return {
            f"surface ({plane})": (d["energy"], "J/m^2") for plane, d in self.data["planes"].items()
        }

    @staticmethod
    def plot(figure: Any, records: list[dict[str, Any]]) -> None:
        """Draw the energies as bars.

        Parameters
        ----------
        figure : matplotlib.figure.Figure
            Empty figure.
        records : list of dict
            Record of each model.
        """
        bars(figure.subplots(), records, tuple(records[0]["values"]), "surface energy (J/m$^2$)")


def miller(plane: str) -> list[int]:
    """Return the indices of a plane.

    Parameters
    ----------
    plane : str
        Name, such as "110" or "10-10".

    Returns
    -------
    list of int
        Three Miller or four Miller-Bravais indices.

    Examples
    --------
    >>> miller("11-20")
    [1, 1, -2, 0]
    """
    indices, sign = [], 1
    for letter in plane:
        if letter == "-":
            sign = -1
        else:
            indices.append(sign * int(letter))
            sign = 1
    return indices
