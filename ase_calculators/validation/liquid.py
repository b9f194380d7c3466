# SPDX-License-Identifier: BSD-3-Clause
"""The liquid: g(r), coordination and diffusion, from molecular dynamics by freud."""

from typing import Any, ClassVar

import numpy as np

from ase_calculators.figures import colored, tidy
from ase_calculators.validation.molecular_dynamics import MDState, Sized, dynamics, in_state
from ase_calculators.validation.property import Property, Values


class Liquid(Property):
    """Pair distribution and mean-square displacement at zero pressure.

    Settings: `temperature` (K; default 1.1 of the reference's melting point), `melt` (K, at which
    the crystal is melted; default twice `temperature`), `length` (Å) of the cell, `timestep` (fs),
    `melting`, `equilibration` and `production` (ps), `rmax` (Å), `dr` (Å), `seed`. An interrupted
    run resumes after melting or equilibration.
    """

    name = "liquid"
    title = "liquid"
    defaults: ClassVar[dict[str, Any]] = {
        "temperature": None, "melt": None, "length": 20.0, "timestep": 2.0, "melting": 4.0,
        "equilibration": 6.0, "production": 10.0, "rmax": 8.0, "dr": 0.05, "seed": 4711,
    }  # fmt: skip
    needs = ("energy", "forces", "stress")
    libraries = ("freud",)
    uses = ("melting point",)
    size = (7.2, 3.4)

    def check(self) -> None:
        """Check that the temperature is known.

        Raises
        ------
        ValueError
            If neither the settings nor the reference contain it.
        """
        super().check()
        point = self.sample.reference_value("melting point")
        if self.settings["temperature"] is None:
            if point is None:
                raise ValueError(
                    "liquid: temperature = None and the reference has no melting point; pass "
                    "settings={'liquid': {'temperature': K}}"
                )
            self.settings["temperature"] = round(1.1 * point, 1)
        if self.settings["melt"] is None:
            self.settings["melt"] = 2 * self.settings["temperature"]

    def run(self) -> None:
        """Melt, cool, equilibrate the volume, then average."""
        import freud

        s, crystal = self.settings, self.sample.crystal
        T = s["temperature"]
        atoms = crystal.unit_cell() * crystal.repeats(s["length"])
        every = max(1, round(20 / s["timestep"]))

        def stage(state: MDState | None, name: str, temperature: float, fresh: bool) -> Any:
            start = in_state(atoms, state) if state else atoms
            run = dynamics(self.sample, start, s["timestep"], s["seed"])
            if fresh:
                run.heat(temperature)
            n = round(1e3 * s[name] / s["timestep"]) // every
            frames = Sized(run.run("iso", temperature, n * every, every), n)
            kept = list(self.track(frames, name))
            state = run.state()
            run.close()
            return kept, state

        molten = self.cached("melting", lambda: stage(None, "melting", s["melt"], True)[1])
        equilibrated = self.cached(
            "equilibration", lambda: stage(molten, "equilibration", T, True)[1]
        )
        frames, _ = stage(equilibrated, "production", T, False)
        V = np.array([np.linalg.det(cell) for cell, _ in frames])
        r_max = min(s["rmax"], 0.499 * min(_width(cell) for cell, _ in frames))
        rdf = freud.density.RDF(round(r_max / s["dr"]), r_max)
        for cell, x in self.track(frames, "g(r)"):
            box = freud.box.Box.from_matrix(cell.T)
            rdf.compute((box, box.wrap(x)), reset=False)
        r, g = np.array(rdf.bin_centers, float), np.array(rdf.rdf, float)
        # the barostat scales all positions: take displacements of fractional coordinates
        mean_cell = np.mean([cell for cell, _ in frames], axis=0)
        path = np.array([x @ np.linalg.inv(cell) @ mean_cell for cell, x in frames])
        path -= path.mean(axis=1, keepdims=True)
        msd = freud.msd.MSD(mode="window")
        msd.compute(path)
        time = np.arange(len(frames)) * every * s["timestep"] * 1e-3
        half = slice(len(time) // 5, len(time) // 2)
        slope = float(np.polyfit(time[half], np.array(msd.msd)[half], 1)[0])

        peak = int(np.argmax(g))
        minimum = peak + int(np.argmin(_smooth(g)[peak : peak + round(2.5 / s["dr"])]))
        density = len(atoms) / V.mean()
        shell = r <= r[minimum]
        self.data = {
            "r": r, "g": g, "time": time, "msd": np.array(msd.msd), "temperature": T,
            "peak": _vertex(r, g, peak), "height": float(g[peak]), "minimum": float(r[minimum]),
            "coordination": float((4 * np.pi * density * r**2 * g)[shell].sum() * (r[1] - r[0])),
            "diffusion": slope / 6, "volume": V.mean() / len(atoms), "atoms": len(atoms),
        }  # fmt: skip
        if slope / 6 < 0.005:
            self.flags.append(f"does not flow at {T:.0f} K: it did not melt, or froze")

    def result(self) -> Values:
        """Return the first peak of g(r), coordination, diffusion and volume.

        Returns
        -------
        dict of str to (float, str)
            Value and unit by quantity.
        """
        d = self.data
        return {
            "liquid first peak": (d["peak"], "Å"),
            "liquid peak height": (d["height"], ""),
            "liquid coordination": (d["coordination"], ""),
            "liquid diffusion": (10 * d["diffusion"], "1e-9 m^2/s"),
            "liquid volume": (d["volume"], "Å^3/atom"),
        }

    @staticmethod
    def plot(figure: Any, records: list[dict[str, Any]]) -> None:
        """Draw g(r) and the mean-square displacement.

        Parameters
        ----------
        figure : matplotlib.figure.Figure
            Empty figure.
        records : list of dict
            Record of each model.
        """
        left, right = figure.subplots(1, 2)
        for color, record in colored(records):
            d = record["data"]
            label = f"{record['model']}, {d['temperature']:.0f} K"
            left.plot(d["r"], d["g"], color=color, lw=1.2, label=label)
            right.plot(d["time"], d["msd"], color=color, lw=1.2)
        reference = records[0]["reference"]
        if "liquid first peak" in reference:
            left.axvline(
                reference["liquid first peak"]["value"], color="k", ls="--", lw=0.8,
                label="reference",
            )  # fmt: skip
        left.axhline(1, color="0.7", lw=0.6)
        left.set(xlabel="r (Å)", ylabel="g(r)")
        right.set(xlabel="time (ps)", ylabel="mean-square displacement (Å$^2$)")
        left.legend(frameon=False, fontsize=8)
        tidy(left)
        tidy(right)


def _width(cell: np.ndarray) -> float:
    """Return the smallest distance between opposite faces."""
    volume = abs(np.linalg.det(cell))
    return float(min(volume / np.linalg.norm(np.cross(cell[k - 1], cell[k - 2])) for k in range(3)))


def _smooth(y: np.ndarray) -> np.ndarray:
    return np.convolve(np.pad(y, 2, mode="edge"), np.ones(5) / 5, mode="valid")


def _vertex(x: np.ndarray, y: np.ndarray, k: int) -> float:
    """Return the vertex of the parabola through the highest points."""
    near = slice(max(0, k - 3), k + 4)
    a, b, _ = np.polyfit(x[near], y[near], 2)
    return float(-b / (2 * a))
