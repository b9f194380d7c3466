# SPDX-License-Identifier: BSD-3-Clause
"""Equation of state: a0, B, B', E0, and a test at large compression."""

from typing import Any, ClassVar

import numpy as np
from ase.eos import EquationOfState as Fit
from ase.units import GPa

from ase_calculators.figures import colored, tidy
from ase_calculators.validation.crystal import Crystal, relaxed_ratio
from ase_calculators.validation.property import Property, Values, scatter


def vinet(x: Any, B: float, Bp: float) -> Any:
    """Return the pressure of the Rydberg-Vinet equation of state.

    P = 3 B (1 - y) / y^2 exp(1.5 (B' - 1) (1 - y)), y = (V/V0)^(1/3); P. Vinet et al., Phys. Rev. B
    35, 1945 (1987), doi:10.1103/PhysRevB.35.1945.

    Parameters
    ----------
    x : float or ndarray
        V/V0.
    B : float
        Bulk modulus.
    Bp : float
        Pressure derivative of B.

    Returns
    -------
    float or ndarray
        Pressure in the unit of B.

    Examples
    --------
    >>> round(float(vinet(0.9, 100.0, 4.0)), 2)
    12.97
    """
    y = np.cbrt(x)
    return 3 * B * (1 - y) / y**2 * np.exp(1.5 * (Bp - 1) * (1 - y))


class EquationOfState(Property):
    """Energy and pressure against volume.

    Settings:

    - `window`, largest |V/V0 - 1| of the Birch-Murnaghan fit, and `n_fit`, its number of points, at
      least 7. If the model's noise makes B' uncertain by more than 1 %, the window is doubled, up
      to 0.08; the one with the smallest error from noise and width is taken, and flagged.
    - `compression` and `expansion`, the ends of the long curve in V/V0, and `n_curve`, its number
      of points.
    - `tolerance`, the factor by which the pressure at the compressed end may differ from the Vinet
      curve of the reference (without a reference, of the model's own B and B') before the branch is
      called exploding or collapsing.

    c/a of hcp is relaxed at each volume.
    """

    name = "equation_of_state"
    title = "equation of state"
    defaults: ClassVar[dict[str, Any]] = {
        "window": 0.01, "n_fit": 13, "compression": 0.6, "expansion": 1.2, "n_curve": 31,
        "tolerance": 1.5,
    }  # fmt: skip
    needs = ("energy",)
    uses = ("B", "Bp")
    size = (5.6, 6.0)

    def run(self) -> None:
        """Calculate the curve and fit its middle."""
        s, crystal = self.settings, self.sample.crystal
        V0 = crystal.volume

        def point(x: float) -> Any:
            return relaxed_ratio(crystal.with_volume(x * V0), self.sample.energy)

        if s["n_fit"] < 7:
            raise ValueError(f"equation_of_state: n_fit = {s['n_fit']}: must be 7 or more")

        def fitted(width: float) -> dict[str, Any]:
            window = 1 + width * np.linspace(-1, 1, s["n_fit"])
            energies = [point(x).energy for x in self.track(window, "fit")]
            fit = Fit(window * V0, energies, eos="birchmurnaghan")
            v0, e0, B = fit.fit()
            # the term of third order is -B (B' + 1) / 6 V0 x^3
            powers = np.vander(window - 1, 4)
            share = np.sqrt(np.linalg.inv(powers.T @ powers)[0, 0])
            return {
                "window": width, "fit_volumes": window * V0, "fit_energies": energies, "V0": v0,
                "E0": e0, "B": B, "Bp": float(fit.eos_parameters[2]),
                "Bp_error": float(6 * share * scatter(energies) / (B * V0)),
            }  # fmt: skip

        fit = fitted(s["window"])
        noisy = fit["Bp_error"] > 0.01 * abs(fit["Bp"])
        if noisy:
            fits = [fit]
            while 2 * fits[-1]["window"] <= 0.08:
                fits.append(fitted(2 * fits[-1]["window"]))
            # The terms left out grow with the square of the window; the two widest windows
            # show how fast.
            change = abs(fits[-1]["Bp"] - fits[-2]["Bp"]) * 4 / 3 if len(fits) > 1 else 0.0
            for each in fits:
                bias = change * (each["window"] / fits[-1]["window"]) ** 2
                each["Bp_error"] = float(np.hypot(each["Bp_error"], bias))
            fit = min(fits, key=lambda each: each["Bp_error"])
        v0, e0, B, Bp = (fit[name] for name in ("V0", "E0", "B", "Bp"))
        if noisy:
            self.flags.append(
                f"B' {Bp:.2f} ± {fit['Bp_error']:.1g}: energies scatter by "
                f"{scatter(fit['fit_energies']):.1g} eV/atom, the fit is over "
                f"±{100 * fit['window']:g} % of V0; calculate it in double precision"
            )
        ratio = relaxed_ratio(crystal.with_volume(v0), self.sample.energy).c_over_a
        bottom = crystal.with_volume(v0, ratio)

        x = np.linspace(s["compression"], s["expansion"], s["n_curve"])
        has_stress = "stress" in self.sample.calculator.implemented_properties
        curve, pressures = [], []
        for f in self.track(x, "compression"):
            curve.append(point(f))
            pressures.append(self._pressure(curve[-1], has_stress))  # no second calculation
        E = np.array([c.energy for c in curve])
        pressure = np.array(pressures) / GPa
        own = B / GPa, Bp
        known = self.sample.reference_value("B"), self.sample.reference_value("Bp")
        expected = vinet(x, *(known if None not in known else own))

        below = x < 0.999
        falls = np.flatnonzero(np.diff(pressure[below]) > 0)
        if len(falls):
            at = float(x[below][falls[-1]])
            self.flags.append(f"non-monotonic: the pressure falls on compression below {at:.2f} V0")
        wrong = np.flatnonzero(below & (np.diff(E, append=E[-1]) > 0) & (x < 0.98))
        if len(wrong):
            self.flags.append(
                f"non-monotonic: the energy falls on compression at {x[wrong[-1]]:.2f} V0"
            )
        quotient = float(pressure[0] / expected[0])
        if not 1 / s["tolerance"] < quotient < s["tolerance"]:
            word = "exploding" if quotient > 1 else "collapsing"
            self.flags.append(
                f"{word} branch: {pressure[0]:.0f} GPa at {x[0]:.2f} V0, {quotient:.2f} of the "
                + ("reference" if None not in known else "extrapolated fit")
            )
        ratios = np.array([c.c_over_a for c in curve])
        away = x[np.abs(ratios / crystal.c_over_a - 1) > 0.19]
        if len(away):
            self.flags.append(f"c/a runs away at {away[-1]:.2f} V0")
        self.data = {
            **fit, "B": B / GPa, "a": bottom.a, "c": bottom.c,
            "V/V0": x, "energy": E - e0, "pressure": pressure, "from_stress": has_stress,
            "c/a": ratios,
            "phases": {n: c.energy for n, c in self.sample.others.items()},
        }  # fmt: skip

    def _pressure(self, crystal: Crystal, has_stress: bool) -> float:
        """Return the pressure, eV/Å^3; without a stress, by energies at 0.1 % more and less volume.

        The difference of volume is larger if the energy is noisy. At the c/a of lowest energy, its
        change with the volume does not count.
        """
        if has_stress:
            atoms = crystal.primitive()
            atoms.calc = self.sample.calculator
            return float(-np.trace(atoms.get_stress(voigt=False)) / 3)
        noise = np.nan_to_num(self.sample.noise().energy)
        # rounding then costs as much as curvature, for B' = 4 and B = 0.5 eV/Å^3
        step = max(1e-3, (noise / crystal.volume) ** (1 / 3)) * crystal.volume
        cells = [crystal.with_volume(crystal.volume + h).primitive() for h in (-step, step)]
        less, more = (self.sample.energy(cell) / len(cell) for cell in cells)
        return (less - more) / (2 * step)

    def result(self) -> Values:
        """Return a0, E0, B, B', the pressure at the compressed end, and energies of other crystals.

        Returns
        -------
        dict of str to (float, str)
            Value and unit by quantity.
        """
        d = self.data
        values: Values = {"a0": (d["a"], "Å")}
        structure = self.sample.crystal.structure
        if structure == "hcp":
            values["c/a"] = (d["c"] / d["a"], "")
        values |= {
            "E0": (d["E0"], "eV/atom"),
            "V0": (d["V0"], "Å^3/atom"),
            "B": (d["B"], "GPa"),
            "Bp": (d["Bp"], ""),
            f"P at {d['V/V0'][0]:.2f} V0": (d["pressure"][0], "GPa"),
        }
        for name, energy in d["phases"].items():
            if name != structure:
                values[f"E({name}) - E({structure})"] = (
                    1e3 * (energy - d["phases"][structure]), "meV/atom",
                )  # fmt: skip
        return values

    @staticmethod
    def plot(figure: Any, records: list[dict[str, Any]]) -> None:
        """Draw energy and pressure against V/V0.

        Parameters
        ----------
        figure : matplotlib.figure.Figure
            Empty figure.
        records : list of dict
            Record of each model.
        """
        top, bottom = figure.subplots(2, sharex=True)
        for color, record in colored(records):
            d = record["data"]
            for ax, y in ((top, d["energy"]), (bottom, d["pressure"])):
                ax.plot(d["V/V0"], y, "o-", ms=2.5, lw=1.2, color=color, label=record["model"])
        known = {name: entry["value"] for name, entry in records[0]["reference"].items()}
        d = records[0]["data"]
        x = np.linspace(min(d["V/V0"]), max(d["V/V0"]), 200)
        P = vinet(x, known.get("B", d["B"]), known.get("Bp", d["Bp"]))
        steps = 0.5 * (P[1:] + P[:-1]) * np.diff(x) * known.get("V0", d["V0"]) * GPa
        E = -np.concatenate([[0.0], np.cumsum(steps)])
        E -= np.interp(1.0, x, E)
        if "B" in known and "Bp" in known:
            kind = records[0]["reference"]["B"].get("kind", "literature")
            top.plot(x, E, "k--", lw=1.0, label=f"reference: {kind}, Vinet")
            bottom.plot(x, P, "k--", lw=1.0)
        # an exploding branch may leave the picture
        for ax, y in ((top, E), (bottom, P)):
            low, high = ax.get_ylim()
            low = max(y.min() - 0.15 * y.max(), min(y.min() - 0.05 * y.max(), low))
            ax.set_ylim(low, min(high, 2 * y.max()))
        top.set_ylabel("energy (eV/atom)")
        bottom.set(xlabel="V / V0", ylabel="pressure (GPa)")
        top.legend(frameon=False, fontsize=8)
        for ax in (top, bottom):
            tidy(ax)
