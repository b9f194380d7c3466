# SPDX-License-Identifier: BSD-3-Clause
"""Vacancy: formation energy, and migration barrier by a nudged elastic band."""

from typing import Any, ClassVar

import numpy as np
from ase import Atoms
from ase.mep import NEB
from ase.optimize import FIRE

from ase_calculators.figures import colored, tidy
from ase_calculators.validation.property import Property, Values, bars


class Vacancy(Property):
    """Formation energy in two supercells at constant volume, and migration barriers.

    Settings: `length` (Å) of the supercell's edges, and `smaller` (Å) for a second supercell, to
    compare with; `fmax` (eV/Å) of the relaxation, `neb_fmax` of the band; number of `images`
    between the ends of the band. hcp has two jumps, in the basal plane and out of it.
    """

    name = "vacancy"
    title = "vacancy"
    defaults: ClassVar[dict[str, Any]] = {
        "length": 16.0,
        "smaller": 12.0,
        "fmax": 1e-3,
        "neb_fmax": 0.01,
        "images": 5,
    }
    size = (6.4, 3.4)

    def run(self) -> None:
        """Relax the vacancy in both cells, then move each kind of neighbour into it."""
        s, crystal = self.settings, self.sample.crystal

        def formation(length: float) -> dict[str, Any]:
            atoms = crystal.unit_cell() * crystal.repeats(length)
            n = len(atoms)
            atoms = atoms[1:]
            energy = self.relax(atoms, f"{n - 1} atoms") - (n - 1) * crystal.energy
            return {"energy": energy, "atoms": n, "positions": atoms.positions}

        sizes = list(self.track((s["smaller"], s["length"]), "formation energy"))
        small, large = (self.cached(f"formation {x}", formation, x) for x in sizes)
        change = abs(large["energy"] - small["energy"]) / abs(large["energy"])
        if change > 0.01:
            self.flags.append(f"formation energy changes by {100 * change:.1f} % between the sizes")

        perfect = crystal.unit_cell() * crystal.repeats(s["length"])
        vectors = perfect.get_distances(0, range(1, len(perfect)), mic=True, vector=True)
        lengths = np.linalg.norm(vectors, axis=1)
        shells = {"jump": int(np.argmin(lengths))}
        if crystal.structure == "hcp":
            near = np.flatnonzero(lengths < 1.25 * lengths.min())
            flat = np.abs(vectors[near, 2]) < 0.1
            shells = {"basal": int(near[flat][0]), "out of plane": int(near[~flat][0])}
        start = perfect[1:]
        start.positions = large["positions"]
        bands = {
            name: self.cached(f"band {name}", self._barrier, start, k, -vectors[k])
            for name, k in self.track(list(shells.items()), "migration")
        }
        error = np.sqrt(2) * large["atoms"] * self.sample.noise().energy
        self.doubt("vacancy formation", large["energy"], error, "eV")
        for name, band in bands.items():
            self.doubt(f"vacancy migration ({name})", band["barrier"], error, "eV")
        self.data = {
            "formation": large["energy"], "formation_small": small["energy"],
            "atoms": [small["atoms"], large["atoms"]], "bands": bands,
        }  # fmt: skip

    def _barrier(self, start: Atoms, k: int, jump: np.ndarray) -> dict[str, Any]:
        """Return the energies along the path of atom k, which jumps by the vector `jump`."""
        end = start.copy()
        end.positions[k] += jump
        self.relax(end, "end of the jump")
        images = [start.copy(), *(start.copy() for _ in range(self.settings["images"])), end]
        for image in images:
            image.calc = self.sample.calculator
        band = NEB(
            images, climb=True, allow_shared_calculator=True, method="improvedtangent", k=1.0
        )
        band.interpolate(mic=True)
        done = FIRE(band, logfile=None).run(fmax=self.settings["neb_fmax"], steps=300)
        if not done:
            self.flags.append("the band did not converge to neb_fmax in 300 steps")
        energies = np.array([self.sample.energy(image) for image in images])
        return {"energy": energies - energies[0], "barrier": energies.max() - energies[0]}

    def result(self) -> Values:
        """Return the formation energy and the barriers.

        Returns
        -------
        dict of str to (float, str)
            Value and unit by quantity.
        """
        d = self.data
        values: Values = {"vacancy formation": (d["formation"], "eV")}
        for name, band in d["bands"].items():
            suffix = "" if name == "jump" else f" ({name})"
            values[f"vacancy migration{suffix}"] = (band["barrier"], "eV")
        return values

    @staticmethod
    def plot(figure: Any, records: list[dict[str, Any]]) -> None:
        """Draw formation energies and barriers, and the bands.

        Parameters
        ----------
        figure : matplotlib.figure.Figure
            Empty figure.
        records : list of dict
            Record of each model.
        """
        left, right = figure.subplots(1, 2, width_ratios=(1, 1.3))
        names = [name for name in records[0]["values"] if name.startswith("vacancy")]
        bars(left, records, tuple(names), "energy (eV)")
        left.set_xticks(
            range(len(names)), [n.removeprefix("vacancy ").replace(" (", "\n(") for n in names],
            fontsize=7,
        )  # fmt: skip
        for color, record in colored(records):
            for style, (name, band) in zip("-:", record["data"]["bands"].items(), strict=False):
                x = np.linspace(0, 1, len(band["energy"]))
                label = record["model"] if name == "jump" else f"{record['model']}, {name}"
                right.plot(x, band["energy"], "o" + style, ms=4, lw=1.2, color=color, label=label)
        right.set(xlabel="along the path", ylabel="energy (eV)")
        right.legend(frameon=False, fontsize=7)
        tidy(right)
