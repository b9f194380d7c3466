# SPDX-License-Identifier: BSD-3-Clause
"""Quasi-harmonic expansion, heat capacity and Gibbs energy; expansion by molecular dynamics."""

from typing import Any, ClassVar

import numpy as np
from ase.eos import EquationOfState
from ase.units import GPa, J, mol
from scipy.interpolate import CubicSpline

from ase_calculators.figures import colored, tidy
from ase_calculators.validation.crystal import relaxed_ratio
from ase_calculators.validation.molecular_dynamics import Sized, dynamics
from ase_calculators.validation.phonons import force_constants
from ase_calculators.validation.property import Property, Values

JOULE_PER_MOL = mol / J  # one eV


class Thermodynamics(Property):
    """Quasi-harmonic properties by phonopy, and expansion by molecular dynamics.

    Settings: number of `volumes` between `smallest` and `largest` (V/V0); `length` (Å),
    `displacement` (Å) and `mesh` (Å) as in phonons; `tmax` (K). Dynamics: `md_length` (Å) of the
    cell, `temperatures` (K), for the middle one of which the expansion is reported, `timestep`
    (fs), `equilibration` and `production` (ps), `seed`. Phonons are quantum and dynamics is
    classical, so the two differ at low temperature.
    """

    name = "thermodynamics"
    title = "quasi-harmonic and dynamic expansion"
    defaults: ClassVar[dict[str, Any]] = {
        "volumes": 8, "smallest": 0.97, "largest": 1.06, "length": 16.0, "displacement": 0.01,
        "mesh": 60.0, "tmax": 1000.0, "md_length": 16.0, "temperatures": [200.0, 300.0, 400.0],
        "timestep": 2.0, "equilibration": 4.0, "production": 16.0, "seed": 4711,
    }  # fmt: skip
    libraries = ("phonopy",)
    size = (7.0, 5.6)

    def check(self) -> None:
        """Check that there is a stress for the barostat of the dynamics.

        Raises
        ------
        ValueError
            If there is none.
        """
        super().check()
        if self.settings["temperatures"]:
            self.require("stress")

    def run(self) -> None:
        """Calculate phonons at each volume, fit the free energy, then run dynamics."""
        s, crystal = self.settings, self.sample.crystal
        n_cell = len(crystal.primitive())
        temperatures = np.arange(0.0, s["tmax"] + 0.1, 10.0)
        volumes, free = [], []
        used = np.linspace(s["smallest"], s["largest"], s["volumes"])
        for x in self.track(used, "quasi-harmonic"):
            strained = relaxed_ratio(crystal.with_volume(x * crystal.volume), self.sample.energy)
            phonon = force_constants(
                self.sample, strained, s["length"], s["displacement"], self.cached
            )
            phonon.run_mesh(s["mesh"])
            if (low := float(phonon.mesh.frequencies.min())) < -0.05:
                self.flags.append(f"imaginary modes ({-low:.2f}i THz): left out {x:.3f} V0")
                continue
            phonon.run_thermal_properties(temperatures=temperatures, exclude_gamma_acoustic=True)
            vibrations = 1e3 * np.array(phonon.thermal_properties.free_energy) / JOULE_PER_MOL
            volumes.append(strained.volume)
            free.append(strained.energy + vibrations / n_cell)
        if len(volumes) < 5:
            raise ValueError(
                f"thermodynamics: {len(volumes)} of {len(used)} volumes have real phonons, 5 are "
                "needed; the crystal may not be a minimum, or change smallest and largest"
            )

        # A fit that is linear in its parameters: the iterative fits of phonopy's run_qha (4.10)
        # jump between temperatures, and the expansion is a derivative.
        def fitted(free: Any) -> np.ndarray:
            fits = [EquationOfState(volumes, F, eos="sj").fit() for F in np.transpose(free)]
            return np.array(fits).T

        def expansion(V: np.ndarray) -> np.ndarray:
            return CubicSpline(temperatures, np.log(V))(temperatures, 1) / 3

        V, G, B = fitted(free)
        # other energies within the noise, with the same phonons
        noise = self.sample.noise().energy * np.random.default_rng(0).normal(size=(8, len(free), 1))
        tried = [fitted(np.array(free) + shift) for shift in noise] if np.any(noise > 0) else []
        for name, unit, value, others in (
            ("expansion(300 K, QHA)", "1e-6/K", 1e6 * expansion(V),
             [1e6 * expansion(t[0]) for t in tried]),
            ("B(300 K, QHA)", "GPa", B / GPa, [t[2] / GPa for t in tried]),
        ):  # fmt: skip
            if tried and s["tmax"] >= 300:
                at = int(np.argmin(abs(temperatures - 300.0)))
                error = np.sqrt(np.mean((np.array(others)[:, at] - value[at]) ** 2))
                self.doubt(name, float(value[at]), float(error), unit)
        if V.max() > volumes[-1]:
            self.flags.append("expands beyond the largest volume; enlarge `largest`")
        gibbs = CubicSpline(temperatures, G)
        self.data = {
            "temperature": temperatures, "volume": V, "V0": crystal.volume,
            "expansion": expansion(V),
            "Cp": -temperatures * gibbs(temperatures, 2) * JOULE_PER_MOL, "gibbs": G,
            "bulk_modulus": B / GPa,
        }  # fmt: skip
        self.data["md"] = [self.cached(f"dynamics {T}", self._volume, T) for T in s["temperatures"]]

    def _volume(self, temperature: float) -> dict[str, float]:
        """Return the mean volume at a temperature in classical dynamics, with its error."""
        s, crystal = self.settings, self.sample.crystal
        atoms = crystal.unit_cell() * crystal.repeats(s["md_length"])
        run = dynamics(self.sample, atoms, s["timestep"], s["seed"])
        ensemble = "aniso" if crystal.structure == "hcp" else "iso"
        run.heat(2 * temperature)  # half of it goes into the displacements
        steps = round(1e3 * (s["equilibration"] + s["production"]) / s["timestep"])
        frames = run.run(ensemble, temperature, steps, 20)
        V = np.array(
            [
                np.linalg.det(cell)
                for cell, _ in self.track(Sized(frames, steps // 20), f"dynamics {temperature} K")
            ]
        )
        run.close()
        V = V[int(len(V) * s["equilibration"] / (s["equilibration"] + s["production"])) :]
        blocks = V[: len(V) // 8 * 8].reshape(8, -1).mean(axis=1)
        return {
            "temperature": temperature, "volume": V.mean() / len(atoms),
            "error": blocks.std(ddof=1) / np.sqrt(8) / len(atoms), "atoms": len(atoms),
        }  # fmt: skip

    def result(self) -> Values:
        """Return expansion, heat capacity, Gibbs energy and lattice constant at 300 K.

        Returns
        -------
        dict of str to (float, str)
            Value and unit by quantity.
        """
        d = self.data
        at = lambda y, T=300.0: float(np.interp(T, d["temperature"], y))  # noqa: E731
        crystal = self.sample.crystal
        a = [crystal.with_volume(at(d["volume"], T)).a for T in (0.0, 300.0)]
        values: Values = {
            "a(0 K, QHA)": (a[0], "Å"),
            "a(300 K, QHA)": (a[1], "Å"),
            "expansion(300 K, QHA)": (1e6 * at(d["expansion"]), "1e-6/K"),
            "Cp(300 K)": (at(d["Cp"]), "J/mol/K"),
            "B(300 K, QHA)": (at(d["bulk_modulus"]), "GPa"),
            "G(300 K) - G(0 K)": (
                (at(d["gibbs"]) - d["gibbs"][0]) * 1e-3 * JOULE_PER_MOL,
                "kJ/mol",
            ),
        }
        md = d["md"]
        T, V = (np.array([m[name] for m in md]) for name in ("temperature", "volume"))
        if len(md):
            k = len(md) // 2
            values[f"a({T[k]:.0f} K, MD)"] = (crystal.with_volume(V[k]).a, "Å")
        if len(md) >= 3:
            error = np.array([m["error"] for m in md])
            slope, _ = np.polyfit(T, np.log(V), 1, w=V / error)
            values[f"expansion({T[k]:.0f} K, MD)"] = (1e6 * slope / 3, "1e-6/K")
        return values

    @staticmethod
    def plot(figure: Any, records: list[dict[str, Any]]) -> None:
        """Draw the expansion, its coefficient, heat capacity and Gibbs energy.

        Parameters
        ----------
        figure : matplotlib.figure.Figure
            Empty figure.
        records : list of dict
            Record of each model.
        """
        axes = figure.subplots(2, 2, sharex=True)
        for color, record in colored(records):
            d = record["data"]
            T = np.array(d["temperature"])
            V0 = d["V0"]
            curves = (
                100 * (np.cbrt(np.array(d["volume"]) / V0) - 1), 1e6 * np.array(d["expansion"]),
                d["Cp"], (np.array(d["gibbs"]) - d["gibbs"][0]) * 1e-3 * JOULE_PER_MOL,
            )  # fmt: skip
            for ax, y in zip(axes.flat, curves, strict=True):
                ax.plot(T, y, color=color, lw=1.3, label=record["model"])
            if d["md"]:
                t, V, e = (
                    np.array([m[n] for m in d["md"]]) for n in ("temperature", "volume", "error")
                )
                axes[0, 0].errorbar(
                    t, 100 * (np.cbrt(V / V0) - 1), 100 / 3 * e / V, fmt="s", ms=4, color=color,
                    mfc="white", label=f"{record['model']}, MD",
                )  # fmt: skip
        reference = records[0]["reference"]
        for ax, quantity in ((axes[0, 1], "expansion(300 K, QHA)"), (axes[1, 0], "Cp(300 K)")):
            if quantity in reference:
                ax.plot(300, reference[quantity]["value"], "ko", mfc="none", label="reference")
                ax.legend(frameon=False, fontsize=7)
        for ax, label in zip(
            axes.flat,
            ("a / a(0 K static) - 1 (%)", "linear expansion ($10^{-6}$/K)", "$C_p$ (J/mol/K)",
             "G(T) - G(0) (kJ/mol)"), strict=True,
        ):  # fmt: skip
            ax.set_ylabel(label)
            tidy(ax)
        for ax in axes[1]:
            ax.set_xlabel("temperature (K)")
        axes[0, 0].legend(frameon=False, fontsize=7)
