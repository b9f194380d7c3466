# SPDX-License-Identifier: BSD-3-Clause
"""Errors of a model for a labelled test set, on the entropy-symmetry landscape."""

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from ase.io import read
from matplotlib.colors import LogNorm

from ase_calculators.entropy_symmetry import EntropySymmetry
from ase_calculators.figures import tidy
from ase_calculators.landscape import map_landscape
from ase_calculators.training_sets import virials
from ase_calculators.validation.property import Property, Values


class LandscapeErrors(Property):
    """Errors of energy, forces and virial of each frame, at its (sS, Q6).

    Settings: `test_set`, a file that ASE reads, with energies and forces (eV, eV/Å) and optionally
    stress (eV/Å^3); `rmax`, `sigma`, `q6_cutoff` (Å) of the landscape; `align`, whether the mean
    energy difference per atom is subtracted, for labels with another zero of energy. The virial
    error is that of -V sigma per atom, over all nine components, as in `compare_models`.
    """

    name = "landscape_errors"
    title = "errors on the landscape"
    defaults: ClassVar[dict[str, Any]] = {
        "test_set": None,
        "rmax": 8.0,
        "sigma": 0.125,
        "q6_cutoff": None,
        "align": True,
    }
    needs = ("energy", "forces")
    size = (9.0, 3.4)

    def check(self) -> None:
        """Check that the test set exists.

        Raises
        ------
        ValueError
            If it does not.
        """
        super().check()
        path = self.settings["test_set"]
        if path is None or not Path(path).is_file():
            raise ValueError(
                f"landscape_errors: test_set = {path!r}: is not a file; pass labelled frames by "
                "settings={'landscape_errors': {'test_set': 'test.extxyz'}}"
            )
        if self.settings["q6_cutoff"] is None:
            crystal = self.sample.crystal
            # between the first and second shell, after two of bcc
            factor = {"fcc": 0.854, "bcc": 1.207, "hcp": 1.207, "diamond": 0.570}[crystal.structure]
            self.settings["q6_cutoff"] = round(factor * crystal.a, 3)

    def run(self) -> None:
        """Calculate the frames by the model, and map them."""
        s = self.settings
        frames = read(s["test_set"], index=":")
        calc = EntropySymmetry(s["rmax"], s["sigma"], s["q6_cutoff"])
        table = map_landscape(frames, calc, progress=False)
        has_stress = "stress" in self.sample.calculator.implemented_properties
        energy, force, virial, components = [], [], [], []
        for k in self.track(table.frame, "frame"):
            labelled = frames[k]
            results = labelled.calc.results if labelled.calc else {}
            if "energy" not in results or "forces" not in results:
                raise ValueError(
                    f"landscape_errors: frame {k} of {s['test_set']} has no energy and forces; "
                    "label it, as ASE's extxyz does by energy= and forces"
                )
            atoms = labelled.copy()
            atoms.calc = self.sample.calculator
            energy.append((atoms.get_potential_energy() - results["energy"]) / len(atoms))
            difference = 1e3 * (atoms.get_forces() - results["forces"])
            force.append(np.sqrt((difference**2).mean()))
            components.append(difference.size)
            if has_stress and "stress" in results:
                d = 1e3 * virials(np.array([atoms.get_stress() - results["stress"]]), [atoms])
                virial.append(np.sqrt((d**2).mean()))
        E = np.array(energy)
        shift = float(E.mean()) if s["align"] else 0.0
        self.data = {
            "sS": table.sS, "Q6": table.Q6, "energy": 1e3 * (E - shift), "force": force,
            "force RMSE": float(np.sqrt(np.average(np.square(force), weights=components))),
            "virial": np.array(virial) if len(virial) == len(E) else None,
            "shift": shift, "parameters": table.parameters,
        }  # fmt: skip

    def result(self) -> Values:
        """Return the root-mean-square errors.

        Returns
        -------
        dict of str to (float, str)
            Value and unit by quantity.
        """
        d = self.data
        rms = lambda y: float(np.sqrt(np.mean(np.square(np.array(y, float)))))  # noqa: E731
        values: Values = {
            "RMSE energy": (rms(d["energy"]), "meV/atom"),
            "RMSE force": (d["force RMSE"], "meV/Å"),
        }
        if d["virial"] is not None:
            values["RMSE virial"] = (rms(d["virial"]), "meV/atom")
        return values

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
        return cls.size[0], cls.size[1] * n_models

    @staticmethod
    def plot(figure: Any, records: list[dict[str, Any]]) -> None:
        """Draw the errors over (sS, Q6), a row of panels per model.

        Parameters
        ----------
        figure : matplotlib.figure.Figure
            Empty figure.
        records : list of dict
            Record of each model.
        """
        kinds = {
            "energy": "|energy| error (meV/atom)", "force": "force error (meV/Å)",
            "virial": "virial error (meV/atom)",
        }  # fmt: skip
        shown = [k for k in kinds if all(r["data"][k] is not None for r in records)]
        axes = figure.subplots(len(records), len(shown), squeeze=False, sharex=True, sharey=True)
        for row, record in zip(axes, records, strict=True):
            d = record["data"]
            for ax, kind in zip(row, shown, strict=True):
                error = np.abs(np.array(d[kind], float))
                error = np.maximum(error, max(1e-3 * error.max(), 1e-12))
                drawn = ax.scatter(
                    d["sS"], d["Q6"], c=error, s=14, cmap="viridis", linewidths=0, norm=LogNorm()
                )
                figure.colorbar(drawn, ax=ax, label=kinds[kind])
                ax.set_xlabel(r"sS ($k_\mathrm{B}$ per atom)")
                tidy(ax)
            row[0].set_ylabel(f"{record['model']}\nQ6")
