# SPDX-License-Identifier: BSD-3-Clause
"""Several models as one calculator: their mean and their spread."""

import hashlib
import json
from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, PropertyNotImplementedError, all_changes

from ase_calculators.provenance import file_hash


class Committee(Calculator):
    """Average models and measure how far they disagree.

    With E_m and F_m of the models m, and means over them in angle brackets:
    ``energy_spread = sqrt(<(E_m - <E>)^2>) / n`` and
    ``forces_spread = max_i sqrt(<|F_im - <F_i>|^2>)``, as in DP-GEN
    (doi:10.1016/j.cpc.2020.107206). One model has no spread.

    Parameters
    ----------
    members : sequence of ase.calculators.calculator.Calculator
        The models.
    checkpoints : sequence of path-like
        Their files. Default: those that the members name (``files()``).

    Attributes
    ----------
    members : list of ase.calculators.calculator.Calculator
        The models.
    checkpoints : list of pathlib.Path
        Their files.
    hash : str
        SHA-256 over the files and, of models without files, over their classes and parameters.

    Raises
    ------
    ValueError
        If there are no members.

    Examples
    --------
    >>> from ase.build import bulk
    >>> from ase.calculators.emt import EMT
    >>> atoms = bulk("Al", cubic=True)
    >>> atoms.calc = Committee([EMT(), EMT()])
    >>> round(atoms.get_potential_energy(), 4), atoms.calc.results["energy_spread"]
    (-0.006, 0.0)
    """

    implemented_properties = [  # noqa: RUF012
        "energy",
        "free_energy",
        "forces",
        "stress",
        "energy_spread",
        "forces_spread",
    ]

    def __init__(
        self,
        members: Sequence[Any],
        checkpoints: Sequence[str | PathLike[str]] | None = None,
    ) -> None:
        super().__init__()
        if not members:
            raise ValueError("members: there are none; give at least one calculator")
        self.members = list(members)
        nameless: list[Any] = []
        if checkpoints is None:
            named = [member.files() if hasattr(member, "files") else [] for member in members]
            checkpoints = [path for paths in named for path in paths]
            nameless = [m for m, paths in zip(members, named, strict=True) if not paths]
        self.checkpoints = [Path(path) for path in checkpoints]
        digest = hashlib.sha256()
        for path in self.checkpoints:
            digest.update(bytes.fromhex(file_hash(path)))
        for member in nameless:
            described = [type(member).__qualname__, getattr(member, "parameters", {})]
            digest.update(json.dumps(described, default=str, sort_keys=True).encode())
        self.hash = digest.hexdigest()

    def files(self) -> list[Path]:
        """Return the files of the models.

        Returns
        -------
        list of pathlib.Path
            The files; none if the models have none.
        """
        return self.checkpoints

    def evaluate(self, frames: Sequence[Atoms]) -> list[dict[str, Any]]:
        """Calculate frames, in batches if the models can.

        Parameters
        ----------
        frames : sequence of ase.Atoms
            The frames; not modified.

        Returns
        -------
        list of dict
            Results of each frame: energy (eV), forces ((n, 3), eV/Å), stress ((6,), eV/Å^3, if
            every model has one) and, of two models or more, energy_spread (eV/atom) and
            forces_spread (eV/Å).
        """
        results = [
            member.evaluate(frames)
            if isinstance(member, Committee)
            else [results_of(member, atoms) for atoms in frames]
            for member in self.members
        ]
        return [
            self.mean(of_frame, len(atoms))
            for atoms, of_frame in zip(frames, zip(*results, strict=True), strict=True)
        ]

    @staticmethod
    def mean(results: Sequence[dict[str, Any]], n_atoms: int) -> dict[str, Any]:
        """Average the results of the models for one frame.

        Parameters
        ----------
        results : sequence of dict
            Energy, forces and, if there is one, stress of each model.
        n_atoms : int
            Number of atoms.

        Returns
        -------
        dict
            As in `evaluate`.
        """
        energies = np.array([result["energy"] for result in results], dtype=float)
        forces = np.array([result["forces"] for result in results], dtype=float)
        found: dict[str, Any] = {"energy": float(energies.mean()), "forces": forces.mean(axis=0)}
        if all(result.get("stress") is not None for result in results):
            found["stress"] = np.mean([result["stress"] for result in results], axis=0)
        if len(results) > 1:
            squares = ((forces - found["forces"]) ** 2).sum(axis=2).mean(axis=0)
            found["energy_spread"] = float(energies.std()) / n_atoms
            found["forces_spread"] = float(np.sqrt(squares.max()))
        return found

    def calculate(
        self, atoms: Any = None, properties: Any = ("energy",), system_changes: Any = all_changes
    ) -> None:
        """Calculate a structure, as ASE calls it.

        Parameters
        ----------
        atoms : ase.Atoms
            The structure.
        properties : list of str
            Properties that ASE requests; all of them are always calculated.
        system_changes : list of str
            Changes since the last call.
        """
        super().calculate(atoms, properties, system_changes)
        (self.results,) = self.evaluate([atoms])
        self.results["free_energy"] = self.results["energy"]


def results_of(calc: Any, atoms: Atoms) -> dict[str, Any]:
    """Return energy, forces and, if the calculator has one, stress.

    Parameters
    ----------
    calc : ase.calculators.calculator.Calculator
        The model.
    atoms : ase.Atoms
        The structure.

    Returns
    -------
    dict
        Energy (eV), forces ((n, 3), eV/Å) and stress ((6,), eV/Å^3; None if it has none).
    """
    found = {name: calc.get_property(name, atoms) for name in ("energy", "forces")}
    try:
        found["stress"] = calc.get_property("stress", atoms)
    except (NotImplementedError, PropertyNotImplementedError):
        found["stress"] = None
    return found
