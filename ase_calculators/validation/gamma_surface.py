# SPDX-License-Identifier: BSD-3-Clause
"""Gamma surface: energy of a slip plane for all displacements, by atomman."""

from typing import Any, ClassVar

import numpy as np
from ase import Atoms
from ase.constraints import FixedLine
from ase.units import J, m
from scipy.ndimage import zoom

from ase_calculators.validation.crystal import METALLIC
from ase_calculators.validation.property import Property, Values
from ase_calculators.validation.surfaces import miller

SLIP = {"fcc": "111", "bcc": "110", "hcp": "0001"}
MILLIJOULE = 1e-3 * J / m**2


class GammaSurface(Property):
    """Generalised stacking-fault energy over the whole slip plane.

    The plane is (111) of fcc, (110) of bcc, (0001) of hcp. Settings: `n` points along each vector;
    `thickness` and `vacuum` (Å) of the slab; `fmax` (eV/Å), to which atoms relax, along the normal
    only.
    """

    name = "gamma_surface"
    title = "gamma surface"
    structures = METALLIC
    defaults: ClassVar[dict[str, Any]] = {"n": 12, "thickness": 28.0, "vacuum": 12.0, "fmax": 5e-3}
    libraries = ("atomman",)

    def run(self) -> None:
        """Displace half of a slab by each vector of the grid."""
        import atomman

        s, crystal = self.settings, self.sample.crystal
        plane = SLIP[crystal.structure]
        setting = {"fcc": "f", "bcc": "i", "hcp": "p"}[crystal.structure]
        cell = atomman.load("ase_Atoms", crystal.primitive())
        fault = atomman.defect.StackingFault(
            np.array(miller(plane)), cell, conventional_setting=setting
        )
        fault.surface(minwidth=s["thickness"], vacuumwidth=s["vacuum"], even=True, faultpos_rel=0.5)
        vectors = np.array([fault.a1vect_cart, fault.a2vect_cart])
        area = np.linalg.norm(np.cross(*fault.system.box.vects[:2]))
        n = s["n"]
        energy = np.zeros((n, n))
        points = [(i, j) for i in range(n) for j in range(n)]
        for i, j in self.track(points, "point"):
            system = fault.fault(a1=i / n, a2=j / n)
            atoms = system.dump("ase_Atoms")
            atoms.pbc = True
            energy[i, j] = self.cached(f"{i} {j}", relaxed_along_z, self, atoms) / area
        energy = (energy - energy[0, 0]) / MILLIJOULE
        self.data = {"energy": energy, "vectors": vectors, "plane": plane, "atoms": len(atoms)}
        error = np.sqrt(2) * len(atoms) * self.sample.noise().energy / area / MILLIJOULE
        self.doubt("gamma surface maximum", energy.max(), error, "mJ/m^2")
        if energy.min() < -1:
            self.flags.append(f"some fault has a negative energy, {energy.min():.0f} mJ/m^2")

    def result(self) -> Values:
        """Return the maximum of the surface.

        Returns
        -------
        dict of str to (float, str)
            Value and unit by quantity.
        """
        return {"gamma surface maximum": (float(np.max(self.data["energy"])), "mJ/m^2")}

    @classmethod
    def figure_size(cls, n_models: int) -> tuple[float, float]:
        """Return the size of the figure: a map for each model.

        Parameters
        ----------
        n_models : int
            Number of models.

        Returns
        -------
        (float, float)
            Width and height, inches.
        """
        return 1.5 + 3.7 * n_models, cls.size[1]

    @staticmethod
    def plot(figure: Any, records: list[dict[str, Any]]) -> None:
        """Draw the surface as a map, a panel per model.

        Parameters
        ----------
        figure : matplotlib.figure.Figure
            Empty figure.
        records : list of dict
            Record of each model.
        """
        axes = np.atleast_1d(figure.subplots(1, len(records), sharex=True, sharey=True))
        top = max(np.max(r["data"]["energy"]) for r in records)
        for ax, record in zip(axes, records, strict=True):
            d = record["data"]
            fine = 8  # a periodic spline between the points
            grid = zoom(np.array(d["energy"]), fine, mode="grid-wrap", grid_mode=True)
            n = len(grid)
            # grid_mode counts cells: the first fine point is at half a fine cell less half a cell
            at = (np.arange(n + 1) + 0.5) / fine - 0.5
            grid = np.pad(grid, (0, 1), mode="wrap")
            a1, a2 = _in_plane(np.array(d["vectors"])) / len(d["energy"])
            i, j = np.meshgrid(at, at, indexing="ij")
            x, y = i * a1[0] + j * a2[0], i * a1[1] + j * a2[1]
            drawn = ax.contourf(x, y, grid, levels=np.linspace(0, 1.001 * top, 40), cmap="viridis")
            ax.contour(x, y, grid, levels=np.linspace(0, top, 9), colors="w", linewidths=0.3)
            ax.set_aspect("equal")
            ax.set(xlabel="displacement (Å)", title=f"{record['model']} ({d['plane']})")
            ax.title.set_fontsize(9)
        axes[0].set_ylabel("displacement (Å)")
        figure.colorbar(drawn, ax=axes, label="energy (mJ/m$^2$)", format="%.0f")


def _in_plane(vectors: np.ndarray) -> np.ndarray:
    """Rotate two vectors into a plane, the first along x."""
    x = vectors[0] / np.linalg.norm(vectors[0])
    y = vectors[1] - (vectors[1] @ x) * x
    y /= np.linalg.norm(y)
    return vectors @ np.array([x, y]).T


def relaxed_along_z(prop: Property, atoms: Atoms) -> float:
    """Return the energy after a relaxation along the third direction only.

    Parameters
    ----------
    prop : Property
        Property with the setting `fmax`.
    atoms : ase.Atoms
        Slab with its normal along z.

    Returns
    -------
    float
        Energy, eV.
    """
    atoms.set_constraint(FixedLine(range(len(atoms)), (0, 0, 1)))
    return prop.relax(atoms, "slab, along z")
