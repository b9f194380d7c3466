# SPDX-License-Identifier: BSD-3-Clause
"""Elastic constants at temperature, from fluctuations of the stress in LAMMPS."""

from typing import Any, ClassVar

import numpy as np
from ase import Atoms
from ase.units import GPa, kB

from ase_calculators.validation.elastic import INDEX, constants, moduli, unstable
from ase_calculators.validation.molecular_dynamics import MDState, Sized, dynamics, in_state
from ase_calculators.validation.property import Property, Values, bars

BLOCKS = 4  # parts of the production run


class ElasticAtTemperature(Property):
    """Isothermal elastic constants by LAMMPS's ``compute born/matrix``.

    C_ij = <Born term> - V/kT cov(s_i, s_j) + 2 rho kT on the normal diagonal and rho kT on the
    shear one (G. Clavier et al., Mol. Simul. 43, 1413 (2017), doi:10.1080/08927022.2017.1313418;
    the LAMMPS manual's Howto_elastic), at the volume of zero pressure.

    Settings: `temperature` (K), `length` (Å) of the cell, `timestep` (fs), `equilibration` of the
    volume and `production` (ps), `every` (steps) between two Born terms, `strain` of their
    numerical differences, `seed`. An interrupted run resumes after the volume, or after the last
    finished quarter of the production.
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
        """Check that the model is a ``pair_style`` of LAMMPS.

        Raises
        ------
        ValueError
            If it is not.
        """
        super().check()
        if self.sample.commands is None:
            raise ValueError(
                "elastic_at_temperature: needs LAMMPS's compute born/matrix; give the model as a "
                "pair_style, or leave the property out"
            )

    def run(self) -> None:
        """Find the volume of zero pressure, then sample at constant volume, block by block."""
        s, crystal = self.settings, self.sample.crystal
        atoms = crystal.unit_cell() * crystal.repeats(s["length"])
        state = self.cached("volume", self._equilibrated, atoms)
        blocks = []
        for k in range(BLOCKS):
            block = self.cached(f"block {k + 1}", self._block, atoms, state, k)
            state = block["state"]
            blocks.append(block)
        V = abs(np.linalg.det(np.array(state["cell"])))
        born, stress, products = (
            np.array([block[name] for block in blocks]) for name in ("born", "stress", "products")
        )
        kT = kB * s["temperature"]

        def fluctuation(products: np.ndarray, mean: np.ndarray) -> np.ndarray:
            return V / kT * (products - np.outer(mean, mean)) * GPa

        pairs = [(i, i) for i in range(6)] + [(i, j) for i in range(6) for j in range(i + 1, 6)]

        def stiffness(born: np.ndarray) -> np.ndarray:
            B = np.zeros((6, 6))
            for (i, j), value in zip(pairs, born, strict=True):
                B[i, j] = B[j, i] = value / V / GPa  # born/matrix gives energies
            return B

        kinetic = len(atoms) / V * kT / GPa * np.diag([2, 2, 2, 1, 1, 1])
        whole = fluctuation(products.mean(axis=0), stress.mean(axis=0))
        C = _symmetrised(stiffness(born.mean(axis=0)) - whole + kinetic, crystal.structure)
        spread = [
            _symmetrised(stiffness(own) - fluctuation(*block), crystal.structure)
            for own, *block in zip(born, products, stress, strict=True)
        ]
        error = np.std(spread, axis=0, ddof=1) / np.sqrt(BLOCKS)
        if unstable(C):
            self.flags.append("unstable: some strain lowers the free energy")
        self.data = {
            "C": C, "error": error, "temperature": s["temperature"], "structure": crystal.structure,
            "volume": V / len(atoms), "atoms": len(atoms),
        }  # fmt: skip

    def _equilibrated(self, atoms: Atoms) -> MDState:
        """Return a state at the mean cell of zero pressure."""
        s = self.settings
        T, steps = s["temperature"], round(1e3 * s["equilibration"] / s["timestep"])
        run = dynamics(self.sample, atoms, s["timestep"], s["seed"])
        run.heat(2 * T)  # half of it goes into the displacements
        ensemble = "aniso" if self.sample.crystal.structure == "hcp" else "iso"
        frames = Sized(run.run(ensemble, T, steps, 10), -(-steps // 10))
        cells = [cell for cell, _ in self.track(frames, "volume")]
        run.close()
        scaled = atoms.copy()
        scaled.set_cell(np.mean(cells[len(cells) // 3 :], axis=0), scale_atoms=True)
        run = self._at_constant_volume(scaled, 0)
        run.heat(2 * T)
        run.lmp.command(f"run {min(2000, self._steps())} post no")
        state: MDState = run.state()
        run.close()
        return state

    def _block(self, atoms: Atoms, state: MDState, k: int) -> dict[str, Any]:
        """Return the averages over a quarter of the run, and its last state."""
        s = self.settings
        run = self._at_constant_volume(in_state(atoms, state), k)
        command = run.lmp.command
        command("compute virial all pressure NULL virial")
        # so large that the noise of the stress adds no more than 0.5 GPa to each sample
        noise = np.nan_to_num(self.sample.noise().stress) / GPa
        strain = max(s["strain"], min(noise / 0.5, 1e-3))
        command(f"compute born all born/matrix numdiff {strain} virial")
        files = {name: self.sample.folder / f"{name}.dat" for name in ("virial", "born")}
        # the stress is cheap and fluctuates fast: sample it more often
        for name, every in (("virial", min(5, s["every"])), ("born", s["every"])):
            command(
                f'fix {name} all ave/time {every} 1 {every} c_{name}[*] file "{files[name]}" '
                "format ' %.12g'"
            )
        pieces = -(-self._steps() // (BLOCKS * s["every"]))
        for piece in self.track(range(pieces), f"block {k + 1} of {BLOCKS}"):
            command(f"run {s['every']} pre {'no' if piece else 'yes'} post no")
        state = run.state()
        run.close()
        # LAMMPS writes bar, in the order xx yy zz xy xz yz
        stress = -1e-4 * np.loadtxt(files["virial"])[:, [1, 2, 3, 6, 5, 4]]
        born = np.loadtxt(files["born"], ndmin=2)[:, 1:]
        for path in files.values():
            path.unlink()
        return {
            "state": state, "stress": stress.mean(axis=0), "born": born.mean(axis=0),
            "products": stress.T @ stress / len(stress),
        }  # fmt: skip

    def _steps(self) -> int:
        return round(1e3 * self.settings["production"] / self.settings["timestep"])

    def _at_constant_volume(self, atoms: Atoms, k: int) -> Any:
        s = self.settings
        run = dynamics(self.sample, atoms, s["timestep"], s["seed"])
        T = s["temperature"]
        run.lmp.command(f"fix ensemble all langevin {T} {T} 0.1 {s['seed'] + k}")
        run.lmp.command("fix integrate all nve")
        return run

    def result(self) -> Values:
        """Return the elastic constants and the moduli.

        Returns
        -------
        dict of str to (float, str)
            Value and unit by quantity, named such as "C11(300 K)".
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
        """Draw the constants as bars next to the reference.

        Parameters
        ----------
        figure : matplotlib.figure.Figure
            Empty figure.
        records : list of dict
            Record of each model.
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
        # C66 = (C11 - C12) / 2: average both
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
