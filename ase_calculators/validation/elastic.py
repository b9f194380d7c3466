# SPDX-License-Identifier: BSD-3-Clause
"""Elastic constants at 0 K, ions relaxed, and the moduli of a polycrystal."""

from typing import Any, ClassVar

import numpy as np
from ase.optimize import BFGS
from ase.units import GPa

from ase_calculators.validation.property import Property, Values, bars

CUBIC = ("C11", "C12", "C44")
HEXAGONAL = ("C11", "C12", "C13", "C33", "C44")
INDEX = {"C11": (0, 0), "C12": (0, 1), "C13": (0, 2), "C33": (2, 2), "C44": (3, 3)}


def constants(structure: str) -> tuple[str, ...]:
    """Return the names of the independent elastic constants.

    Parameters
    ----------
    structure : {"fcc", "bcc", "hcp", "diamond"}
        The crystal.

    Returns
    -------
    tuple of str
        Three, or five for hcp.
    """
    return HEXAGONAL if structure == "hcp" else CUBIC


def moduli(C: np.ndarray, structure: str) -> Values:
    """Return the moduli of a polycrystal that follow from the elastic constants.

    B, G, E and Poisson's ratio are Hill's averages (R. Hill, Proc. Phys. Soc. A 65, 349 (1952),
    doi:10.1088/0370-1298/65/5/307). Reuss's B, 1 / sum of S_ij over i, j <= 3, belongs to
    uniform pressure: compare it with an equation of state whose c/a is relaxed. For cubic crystals
    it equals Hill's B and is left out. The Cauchy pressure is C12 - C44 for cubic crystals and
    the mean of C13 - C44 and C12 - C66 for hexagonal ones (D. G. Pettifor, Mater. Sci. Technol. 8,
    345 (1992), doi:10.1179/mst.1992.8.4.345); it is negative for directional bonds: brittle.

    Parameters
    ----------
    C : (6, 6) float64
        Elastic constants, GPa.
    structure : {"fcc", "bcc", "hcp", "diamond"}
        The crystal.

    Returns
    -------
    dict of str to (float, str)
        Value and unit by quantity.
    """
    from atomman import ElasticConstants

    tensor = ElasticConstants(Cij=C)
    B, G = tensor.bulk(style="Hill"), tensor.shear(style="Hill")
    cauchy = C[0, 1] - C[3, 3]
    uniform: Values = {}
    if structure == "hcp":
        cauchy = 0.5 * (C[0, 2] - C[3, 3] + C[0, 1] - C[5, 5])
        uniform = {"B(Reuss)": (tensor.bulk(style="Reuss"), "GPa")}
    return uniform | {
        "B(Hill)": (B, "GPa"), "G": (G, "GPa"), "E": (9 * B * G / (3 * B + G), "GPa"),
        "Poisson": ((3 * B - 2 * G) / (6 * B + 2 * G), ""), "Cauchy pressure": (cauchy, "GPa"),
    }  # fmt: skip


def unstable(C: np.ndarray) -> bool:
    """Return whether a crystal with these constants is unstable under some strain.

    Parameters
    ----------
    C : (6, 6) float64
        Elastic constants.

    Returns
    -------
    bool
        True if an eigenvalue is not positive (M. Born's criterion).
    """
    return bool(np.linalg.eigvalsh(C).min() <= 0)


class ElasticConstants(Property):
    """Elastic constants from the stress under small strains, by matscipy.

    Settings: `n_steps` strains about zero in steps of `strain`; `fmax` (eV/Å), to which the ions
    are relaxed. The strains follow the symmetry of the crystal. If the model's noise makes a
    constant uncertain by more than 1 %, the step is doubled, up to 0.008.
    """

    name = "elastic_constants"
    title = "elastic constants at 0 K"
    defaults: ClassVar[dict[str, Any]] = {"strain": 0.001, "n_steps": 5, "fmax": 1e-4}
    needs = ("energy", "forces", "stress")
    libraries = ("matscipy", "atomman")
    size = (5.6, 3.6)

    def run(self) -> None:
        """Strain the crystal, relax the ions, fit the stress."""
        from matscipy.elasticity import fit_elastic_constants

        s, structure = self.settings, self.sample.crystal.structure
        flags = self.flags

        class Relaxation(BFGS):
            def run(self, fmax: float = 0.05, steps: int = 300) -> Any:  # type: ignore[override]
                done = super().run(fmax, steps)
                if not done:
                    flags.append(f"ions under strain: forces did not fall to fmax in {steps} steps")
                return done

        # the primitive cell of a lattice with one atom has nothing to relax
        strain = s["strain"]
        steps = np.arange(s["n_steps"]) - (s["n_steps"] - 1) / 2
        while True:
            atoms = self.sample.crystal.unit_cell()
            atoms.calc = self.sample.calculator
            C, _ = fit_elastic_constants(
                atoms, symmetry="hexagonal" if structure == "hcp" else "cubic", verbose=False,
                N_steps=s["n_steps"], delta=strain, optimizer=Relaxation, fmax=s["fmax"],
            )  # fmt: skip
            C = np.array(C) / GPa
            C = 0.5 * (C + C.T)
            smallest = min(abs(C[INDEX[name]]) for name in constants(structure))
            error = self.sample.noise().stress / GPa / (strain * np.linalg.norm(steps))
            if not error > 0.01 * smallest or 2 * strain > 0.008:
                break
            strain *= 2
        if strain > s["strain"]:
            self.flags.append(f"strain steps enlarged to {strain:g} because of noise in the stress")
        for name in constants(structure):
            self.doubt(name, float(C[INDEX[name]]), float(error), "GPa")
        if unstable(C):
            self.flags.append("unstable: some strain lowers the energy (Born's criterion)")
        self.data = {"C": C, "structure": structure, "strain": strain, "error": error}

    def result(self) -> Values:
        """Return the elastic constants and the moduli.

        Returns
        -------
        dict of str to (float, str)
            Value and unit by quantity.
        """
        C, structure = np.array(self.data["C"]), self.data["structure"]
        values: Values = {name: (float(C[INDEX[name]]), "GPa") for name in constants(structure)}
        values |= moduli(C, structure)
        ductile = values["Cauchy pressure"][0] > 0
        self.data["verdict"] = f"Cauchy pressure: {'ductile' if ductile else 'brittle'}"
        return values

    @staticmethod
    def plot(figure: Any, records: list[dict[str, Any]]) -> None:
        """Draw the constants as bars next to the reference.

        Parameters
        ----------
        figure : matplotlib.figure.Figure
            Empty figure.
        records : list of dict
            Record of each model.
        """
        bars(figure.subplots(), records, (*HEXAGONAL, "B(Hill)", "G", "E"), "GPa")
