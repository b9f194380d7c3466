# SPDX-License-Identifier: BSD-3-Clause
"""Bain path: tetragonal strain from bcc to fcc, at constant and at relaxed volume."""

from typing import Any, ClassVar

import numpy as np
from ase.build import bulk
from scipy.optimize import minimize_scalar

from ase_calculators.figures import colored, tidy
from ase_calculators.validation.crystal import METALLIC
from ase_calculators.validation.property import Property, Values


class BainPath(Property):
    """Energy of the body-centred tetragonal cell along c/a: bcc at 1, fcc at sqrt(2).

    Settings: `smallest` and `largest` c/a, `n_points`. The volume is that of the crystal, or is
    relaxed at each c/a between 0.75 and 1.35 of it. Both energies are relative to the lowest one
    of the relaxed path. The barrier is 0 if the energy rises all the way to the higher end.
    """

    name = "bain_path"
    title = "Bain path"
    structures = METALLIC
    defaults: ClassVar[dict[str, Any]] = {"smallest": 0.85, "largest": 1.65, "n_points": 33}
    needs = ("energy",)

    def run(self) -> None:
        """Calculate both paths, with bcc and fcc among the points."""
        s, element = self.settings, self.sample.crystal.element
        V0 = self.sample.crystal.volume

        def energy(ratio: float, volume: float) -> float:
            a = (2 * volume / ratio) ** (1 / 3)
            atoms = bulk(element, "bct", a=a, c=ratio * a)
            return self.sample.energy(atoms) / len(atoms)

        def relaxed(ratio: float) -> Any:
            found = minimize_scalar(
                lambda v: energy(ratio, v), bounds=(0.75 * V0, 1.35 * V0), method="bounded",
                options={"xatol": 1e-5 * V0},
            )  # fmt: skip
            return float(found.fun), float(found.x)

        x = np.linspace(s["smallest"], s["largest"], s["n_points"])
        x = np.unique(np.concatenate([x, [1.0, np.sqrt(2)]]))
        fixed = np.array([energy(r, V0) for r in x])
        free = np.array([relaxed(r) for r in self.track(x, "relaxed volume")])
        zero = free[:, 0].min()
        self.data = {
            "c/a": x, "fixed": fixed - zero, "relaxed": free[:, 0] - zero, "volume": free[:, 1],
        }  # fmt: skip
        bcc, fcc = (free[np.argmin(abs(x - ratio)), 0] for ratio in (1.0, np.sqrt(2)))
        error = 1e3 * np.sqrt(2) * self.sample.noise().energy
        self.doubt("Bain E(bcc) - E(fcc)", 1e3 * (bcc - fcc), error, "meV/atom")
        ends = x[(free[:, 1] < 0.76 * V0) | (free[:, 1] > 1.34 * V0)]
        if len(ends):
            self.flags.append(f"the volume runs away at c/a {ends[0]:.2f}")

    def result(self) -> Values:
        """Return the energy of bcc relative to fcc and the barriers between them.

        Returns
        -------
        dict of str to (float, str)
            Value and unit by quantity.
        """
        d = self.data
        x = np.array(d["c/a"])
        bcc, fcc = np.argmin(abs(x - 1)), np.argmin(abs(x - np.sqrt(2)))
        values: Values = {}
        for name, note in (("relaxed", ""), ("fixed", ", constant volume")):
            E = 1e3 * np.array(d[name])
            barrier = E[bcc : fcc + 1].max() - max(E[bcc], E[fcc])
            values[f"Bain E(bcc) - E(fcc){note}"] = (float(E[bcc] - E[fcc]), "meV/atom")
            values[f"Bain barrier above the higher end{note}"] = (float(barrier), "meV/atom")
        return values

    @staticmethod
    def plot(figure: Any, records: list[dict[str, Any]]) -> None:
        """Draw energy against c/a.

        Parameters
        ----------
        figure : matplotlib.figure.Figure
            Empty figure.
        records : list of dict
            Record of each model.
        """
        ax = figure.subplots()
        for color, record in colored(records):
            d = record["data"]
            for name, style in (("relaxed", "-"), ("fixed", ":")):
                label = (
                    f"{record['model']}, {'relaxed' if name == 'relaxed' else 'constant'} volume"
                )
                ax.plot(d["c/a"], 1e3 * np.array(d[name]), style, color=color, label=label)
        for ratio, name in ((1.0, "bcc"), (np.sqrt(2), "fcc")):
            ax.axvline(ratio, color="0.7", lw=0.8)
            ax.annotate(
                name, (ratio, 1.0), xycoords=("data", "axes fraction"), ha="center", va="bottom"
            )
        ax.set(xlabel="c / a", ylabel="energy (meV/atom)")
        ax.legend(frameon=False, fontsize=8)
        tidy(ax)
