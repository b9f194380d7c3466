# SPDX-License-Identifier: BSD-3-Clause
"""Phonons by phonopy: dispersion along the path of seekpath, density of states."""

from typing import Any, ClassVar

import numpy as np
from ase import Atoms

from ase_calculators.figures import colored, tidy
from ase_calculators.validation.crystal import Crystal
from ase_calculators.validation.property import Property, Sample, Values


def force_constants(
    sample: Sample, crystal: Crystal, length: float, displacement: float, keep: Any = None
) -> Any:
    """Return a phonopy object with the force constants of a crystal.

    Parameters
    ----------
    sample : Sample
        Model.
    crystal : Crystal
        Crystal.
    length : float
        Length of the supercell's edges, Å.
    displacement : float
        Displacement of an atom, Å; doubled, up to 0.08, until the noise of the model is below a
        hundredth of the largest force.
    keep : callable, optional
        Function such as `Property.cached`, called with a key and a function that calculates forces.

    Returns
    -------
    phonopy.Phonopy
        Object that is ready to calculate frequencies.
    """
    from phonopy import Phonopy
    from phonopy.structure.atoms import PhonopyAtoms

    cell = crystal.unit_cell()
    centring: Any = {"fcc": "F", "bcc": "I", "hcp": "P", "diamond": "F"}[crystal.structure]
    # an even number of cells, so that the zone boundary is commensurate
    n = [max(2, 2 * round(float(length / edge / 2))) for edge in cell.cell.lengths()]
    phonon: Any = Phonopy(
        PhonopyAtoms(
            symbols=cell.get_chemical_symbols(), cell=cell.cell.array,
            scaled_positions=cell.get_scaled_positions(),
        ),
        np.diag(n), primitive_matrix=centring,
    )  # fmt: skip

    def forces() -> list[np.ndarray]:
        sets = []
        for c in phonon.supercells_with_displacements:
            atoms = Atoms(c.symbols, cell=c.cell, scaled_positions=c.scaled_positions, pbc=True)
            atoms.calc = sample.calculator
            sets.append(atoms.get_forces())
        return sets

    while True:
        phonon.generate_displacements(distance=displacement)
        key = f"forces {crystal.volume:.6f} {displacement:g}"
        sets = np.array(keep(key, forces) if keep else forces())
        noisy = sample.noise().forces > 0.01 * np.abs(sets).max()
        if not noisy or 2 * displacement > 0.08:
            break
        displacement *= 2
    phonon.forces = sets
    phonon.produce_force_constants()
    phonon.symmetrize_force_constants()
    return phonon


class Phonons(Property):
    """Dispersion and density of states.

    Settings: `length` (Å) of the supercell's edges, `displacement` (Å), `mesh` (Å), the
    length that sets the q-mesh of the density of states, `n_points` per segment of the path. Modes
    below `-imaginary` THz are flagged. Frequencies are in THz, imaginary ones negative.
    """

    name = "phonons"
    title = "phonons"
    defaults: ClassVar[dict[str, Any]] = {
        "length": 16.0, "displacement": 0.01, "mesh": 100.0, "n_points": 51, "imaginary": 0.05,
    }  # fmt: skip
    libraries = ("phonopy", "seekpath")
    size = (7.2, 3.8)

    def run(self) -> None:
        """Calculate force constants, then frequencies along the path and on a mesh."""
        from phonopy.phonon.band_structure import get_band_qpoints_by_seekpath

        s = self.settings
        phonon = force_constants(
            self.sample, self.sample.crystal, s["length"], s["displacement"], self.cached
        )
        q, labels, connections = get_band_qpoints_by_seekpath(phonon.primitive, s["n_points"])
        phonon.run_band_structure(q, path_connections=connections, labels=labels)
        band = phonon.band_structure
        phonon.run_mesh(s["mesh"])
        phonon.run_total_dos()
        dos = phonon.total_dos

        # each segment has two ends; connected segments share a label
        segments, k = [], 0
        for connected in connections:
            segments.append((labels[k], labels[k + 1]))
            k += 1 if connected else 2
        clean = {"$\\Gamma$": "Γ", "\\Gamma": "Γ"}
        ends = [[_plain_label(clean.get(a, a)) for a in pair] for pair in segments]
        special: dict[str, list[float]] = {}
        for (first, last), f in zip(ends, band.frequencies, strict=True):
            for label, row in ((first, f[0]), (last, f[-1])):
                if label != "Γ":
                    special.setdefault(label, _distinct(row))
        highest = max(float(np.max(f)) for f in band.frequencies)
        # a force constant is a force over a displacement; a frequency is its square root
        share = self.sample.noise().forces / np.abs(phonon.forces).max()
        self.doubt("highest phonon", highest, highest * share / 2, "THz")
        lowest = min(float(np.min(f)) for f in band.frequencies)
        lowest = min(lowest, float(phonon.mesh.frequencies.min()))
        if lowest < -s["imaginary"]:
            # a force constant is a squared frequency, and so is its error
            within = lowest**2 < share * highest**2
            self.flags.append(
                f"imaginary modes, down to {-lowest:.2f}i THz"
                + (", which the noise of the model can cause" if within else "")
            )
        self.data = {
            "distance": band.distances, "frequency": band.frequencies, "ends": ends,
            "special": special, "dos_frequency": dos.frequency_points, "dos": dos.dos,
            "lowest": lowest, "atoms": len(phonon.supercell),
        }  # fmt: skip

    def result(self) -> Values:
        """Return the distinct frequencies of each special point and the highest frequency.

        Returns
        -------
        dict of str to (float, str)
            Value and unit by quantity, such as "phonon X 1".
        """
        values: Values = {}
        for label, row in self.data["special"].items():
            for k, f in enumerate(row, start=1):
                values[f"phonon {label} {k}"] = (f, "THz")
        values["highest phonon"] = (
            float(np.max([np.max(f) for f in self.data["frequency"]])),
            "THz",
        )
        return values

    @staticmethod
    def plot(figure: Any, records: list[dict[str, Any]]) -> None:
        """Draw the dispersion and the density of states.

        Parameters
        ----------
        figure : matplotlib.figure.Figure
            Empty figure.
        records : list of dict
            Record of each model.
        """
        left, right = figure.subplots(1, 2, sharey=True, width_ratios=(3.2, 1))
        first = records[0]["data"]
        total = first["distance"][-1][-1]
        for color, record in colored(records):
            d = record["data"]
            scale = total / d["distance"][-1][-1]
            label = record["model"]
            for x, f in zip(d["distance"], d["frequency"], strict=True):
                for branch in np.array(f).T:
                    left.plot(scale * np.array(x), branch, color=color, lw=1.1, label=label)
                    label = None
            right.plot(d["dos"], d["dos_frequency"], color=color, lw=1.1)
        ticks, names = [0.0], [first["ends"][0][0]]
        for x, (a, b) in zip(first["distance"], first["ends"], strict=True):
            if a != names[-1]:
                names[-1] += f"|{a}"
            ticks.append(x[-1])
            names.append(b)
        for x in ticks:
            left.axvline(x, color="0.8", lw=0.6)
        reference = records[0]["reference"]
        mark: str | None = "reference"
        for x, name in zip(ticks, names, strict=True):
            for quantity, entry in reference.items():
                if quantity.rsplit(" ", 1)[0] in [f"phonon {part}" for part in name.split("|")]:
                    left.plot(x, entry["value"], "ko", ms=4, mfc="none", label=mark, clip_on=False)
                    mark = None
        tidy(left)
        tidy(right)
        left.grid(visible=False)
        left.set_xticks(ticks, names, fontsize=8)
        left.set(xlim=(0, total), ylabel="frequency (THz)")
        left.axhline(0, color="0.5", lw=0.6)
        left.legend(frameon=True, framealpha=0.9, edgecolor="none", fontsize=8, loc="lower right")
        right.set(xlabel="DOS (1/THz)", xlim=(0, None))


def _distinct(row: Any) -> list[float]:
    """Return the frequencies of a q-point, degenerate ones once."""
    kept: list[float] = []
    for f in sorted(float(f) for f in row):
        if not kept or f - kept[-1] > 0.01:
            kept.append(f)
    return kept


def _plain_label(label: str) -> str:
    """Return the name of a q-point by seekpath or in LaTeX as plain text."""
    label = label.replace("$", "").replace("\\mathrm{", "").replace("}", "").replace("\\", "")
    label = label.replace("_{", "").replace("_", "")
    return "Γ" if label.upper() in ("GAMMA", "Γ") else label
