# SPDX-License-Identifier: BSD-3-Clause
"""Elastic constants at temperature, from the fluctuations of the stress in LAMMPS."""

from typing import Any, ClassVar

import numpy as np
from ase.units import GPa, kB

from ase_calculators.validation.elastic import INDEX, bars, constants, moduli, unstable
from ase_calculators.validation.molecular_dynamics import dynamics
from ase_calculators.validation.property import Property, Values


class ElasticAtTemperature(Property):
    """Isothermal elastic constants by LAMMPS's ``compute born/matrix``.

    C_ij = <Born term> - V/kT cov(s_i, s_j) + 2 rho kT on the normal diagonal and rho kT on the
    shear one (G. Clavier et al., Mol. Simul. 43, 1413 (2017), doi:10.1080/08927022.2017.1313418;
    the LAMMPS manual's Howto_elastic), at the volume of zero pressure.

    Settings: `temperature` (K), `length` (Å) of the cell, `timestep` (fs), `equilibration` of the
    volume and `production` (ps), `every` steps between two Born terms, `strain` of their numerical
    differences, `seed`.
    """

    name = "elastic_at_temperature"
    title = "elastic constants at temperature"
    defaults: ClassVar[dict[str, Any]] = {
        "temperature": 300.0, "length": 16.0, "timestep": 2.0, "equilibration": 10.0,
        "production": 60.0, "every": 100, "strain": 1e-5, "seed": 4711,
    }  # fmt: skip
    libraries = ("atomman",)
    size = (5.6, 3.6)

    def check(self) -> None:
        """Make sure that the model is one of LAMMPS.

        Raises
        ------
        ValueError
            When it is not.
        """
        super().check()
        if self.sample.commands is None:
            raise ValueError(
                "elastic_at_temperature: needs LAMMPS's compute born/matrix; give the model as a "
                "pair_style, or leave the property out"
            )

    def run(self) -> None:
        """Find the volume, then sample at constant volume."""
        s, crystal = self.settings, self.sample.crystal
        atoms = crystal.unit_cell() * crystal.repeats(s["length"])
        T = s["temperature"]
        n_npt = round(1e3 * s["equilibration"] / s["timestep"])
        n_nvt = round(1e3 * s["production"] / s["timestep"])
        run = dynamics(self.sample, atoms, s["timestep"], s["seed"])
        run.heat(2 * T)
        ensemble = "aniso" if crystal.structure == "hcp" else "iso"
        cells = [cell for cell, _ in run.run(ensemble, T, n_npt, 10)]
        cell = np.mean(cells[len(cells) // 3 :], axis=0)
        scaled = atoms.copy()
        scaled.set_cell(cell, scale_atoms=True)
        run.close()

        run = dynamics(self.sample, scaled, s["timestep"], s["seed"])
        run.heat(2 * T)
        command = run.lmp.command
        command(f"fix ensemble all langevin {T} {T} 0.1 {s['seed']}")
        command("fix integrate all nve")
        command(f"run {min(2000, n_nvt)} post no")
        command("compute virial all pressure NULL virial")
        command(f"compute born all born/matrix numdiff {s['strain']} virial")
        files = {name: self.sample.folder / f"{name}.dat" for name in ("virial", "born")}
        # the stress is cheap and fluctuates fast
        for name, every in (("virial", min(5, s["every"])), ("born", s["every"])):
            command(
                f'fix {name} all ave/time {every} 1 {every} c_{name}[*] file "{files[name]}" '
                "format ' %.12g'"
            )
        piece = 10 * s["every"]
        for k in self.track(range(-(-n_nvt // piece)), "stress and Born term"):
            command(f"run {piece} pre {'no' if k else 'yes'} post no")
        V = abs(np.linalg.det(cell))
        run.close()
        # LAMMPS: bar; xx yy zz xy xz yz
        stress = -1e-4 * np.loadtxt(files["virial"])[:, [1, 2, 3, 6, 5, 4]]
        born = np.loadtxt(files["born"])[:, 1:]
        for path in files.values():
            path.unlink()
        B = np.zeros((6, 6))
        pairs = [(i, i) for i in range(6)] + [(i, j) for i in range(6) for j in range(i + 1, 6)]
        for (i, j), value in zip(pairs, np.mean(born, axis=0), strict=True):
            B[i, j] = B[j, i] = value / V / GPa  # born/matrix gives energies
        kT = kB * T
        fluctuation = V / kT * np.cov(stress.T) * GPa
        kinetic = len(atoms) / V * kT / GPa * np.diag([2, 2, 2, 1, 1, 1])
        C = _symmetrised(B - fluctuation + kinetic, crystal.structure)
        parts = np.array_split(stress, 4)
        spread = [_symmetrised(-V / kT * np.cov(p.T) * GPa, crystal.structure) for p in parts]
        error = np.std(spread, axis=0, ddof=1) / 2
        if unstable(C):
            self.flags.append("unstable: some strain lowers the free energy")
        self.data = {
            "C": C, "error": error, "temperature": T, "structure": crystal.structure,
            "volume": V / len(atoms), "atoms": len(atoms),
        }  # fmt: skip

    def result(self) -> Values:
        """Say the constants and moduli.

        Returns
        -------
        dict of str to (float, str)
            The values, named such as "C11(300 K)".
        """
        d = self.data
        C, T = np.array(d["C"]), f"({d['temperature']:.0f} K)"
        values: Values = {
            name + T: (float(C[INDEX[name]]), "GPa") for name in constants(d["structure"])
        }
        return values | {
            name.replace("(Hill)", "") + T: value
            for name, value in moduli(C, d["structure"]).items()
        }

    @staticmethod
    def plot(figure: Any, records: list[dict[str, Any]]) -> None:
        """Draw the constants as bars beside the reference.

        Parameters
        ----------
        figure : matplotlib.figure.Figure
            Empty.
        records : list of dict
            Models.
        """
        names = [n for n in records[0]["values"] if n.startswith(("C1", "C3", "C4"))]
        bars(figure.subplots(), records, tuple(names), "GPa")


def _symmetrised(C: np.ndarray, structure: str) -> np.ndarray:
    """Average over the components that the crystal's symmetry makes equal."""
    C = 0.5 * (C + C.T)
    out = np.zeros((6, 6))
    if structure == "hcp":
        c11, c33 = C[[0, 1], [0, 1]].mean(), C[2, 2]
        c12, c13, c44 = C[0, 1], 0.5 * (C[0, 2] + C[1, 2]), 0.5 * (C[3, 3] + C[4, 4])
        # C66 is half of C11 - C12: both measure it
        c66 = 0.5 * (C[5, 5] + 0.5 * (c11 - c12))
        mean = 0.5 * (c11 + c12)
        out[0, 0] = out[1, 1] = mean + c66
        out[0, 1] = mean - c66
        out[2, 2], out[0, 2], out[1, 2] = c33, c13, c13
        out[3, 3] = out[4, 4] = c44
        out[5, 5] = c66
    else:
        np.fill_diagonal(
            out, [C[[0, 1, 2], [0, 1, 2]].mean()] * 3 + [C[[3, 4, 5], [3, 4, 5]].mean()] * 3
        )
        out[0, 1] = out[0, 2] = out[1, 2] = C[[0, 0, 1], [1, 2, 2]].mean()
    return np.triu(out) + np.triu(out, 1).T
