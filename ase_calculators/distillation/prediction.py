# SPDX-License-Identifier: BSD-3-Clause
"""Predictions of models for labelled frames, and their errors."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from ase import Atoms
from tqdm.auto import tqdm

from ase_calculators.argument_checks import one_line
from ase_calculators.committee import results_of
from ase_calculators.training_sets import DFT, labels, virials

QUANTITIES = {"energy": "meV/atom", "forces": "meV/Å", "virial": "meV/atom"}


# frames between two updates of the progress bar, and in a batch of a model that has batches
_BATCH = 32


class Errors(NamedTuple):
    """Model minus label, for each frame of a test set.

    Attributes
    ----------
    energy : (n,) float64
        Energy, meV per atom.
    forces : (k, 3) float64
        Force on each atom of each frame in turn, meV/Å.
    virial : (n, 9) float64 or None
        Virial -V stress, meV per atom, all nine components; None if labels or model have none.
    n_atoms : (n,) int64
        Number of atoms of each frame.
    """

    energy: np.ndarray
    forces: np.ndarray
    virial: np.ndarray | None
    n_atoms: np.ndarray

    def of_frames(self) -> dict[str, np.ndarray]:
        """Return one number per frame and quantity.

        Returns
        -------
        dict of str to (n,) float64
            The absolute energy error, and the root mean square over the components of forces and
            virial.
        """
        starts = np.concatenate([[0], np.cumsum(self.n_atoms)[:-1]])
        squares = np.add.reduceat((self.forces**2).sum(axis=1), starts) / (3 * self.n_atoms)
        found = {"energy": np.abs(self.energy), "forces": np.sqrt(squares)}
        if self.virial is not None:
            found["virial"] = np.sqrt((self.virial**2).mean(axis=1))
        return found

    def summary(self) -> dict[str, dict[str, float]]:
        """Return RMSE and MAE over all components of all frames.

        A force component counts once, whatever the size of its frame.

        Returns
        -------
        dict of str to dict
            "RMSE", "MAE" and "mean" (of the signed errors) of each quantity.
        """
        return {
            name: {
                "RMSE": float(np.sqrt(np.mean(values**2))),
                "MAE": float(np.mean(np.abs(values))),
                "mean": float(np.mean(values)),
            }
            for name in QUANTITIES if (values := getattr(self, name)) is not None
        }  # fmt: skip

    def rmse(self) -> dict[str, float]:
        """Return the RMSE of each quantity, as in `summary`.

        Returns
        -------
        dict of str to float
            In the units of `QUANTITIES`.
        """
        return {name: kinds["RMSE"] for name, kinds in self.summary().items()}

    def aligned(self) -> "Errors":
        """Return the errors without the mean error of the energy.

        Returns
        -------
        Errors
            Those of a model whose energies have another zero than the labels.
        """
        return self._replace(energy=self.energy - self.energy.mean())

    def take(self, frames: np.ndarray) -> "Errors":
        """Return the errors of some frames.

        Parameters
        ----------
        frames : (n,) array of bool
            Mask of the frames.

        Returns
        -------
        Errors
            Their errors.
        """
        frames = np.asarray(frames, dtype=bool)
        return Errors(
            self.energy[frames],
            self.forces[np.repeat(frames, self.n_atoms)],
            None if self.virial is None else self.virial[frames],
            self.n_atoms[frames],
        )


def predict(calculator: Any, frames: Sequence[Atoms], name: str = "", progress: bool = True) -> Any:
    """Calculate energy, forces and stress of frames.

    Parameters
    ----------
    calculator : ase calculator
        The model; if it has ``evaluate``, it is given batches.
    frames : sequence of ase.Atoms
        The frames; not modified.
    name : str
        Name in the progress bar and messages.
    progress : bool
        Show the bar.

    Returns
    -------
    dict of str to ndarray
        energy (n,) eV, forces (k, 3) eV/Å of all atoms in turn and, if the model has it, stress
        (n, 6) eV/Å^3.

    Raises
    ------
    RuntimeError
        If the model fails for a frame, or a result is not finite.
    """
    found: list[dict[str, Any]] = []
    bar = tqdm(total=len(frames), desc=name, unit=" frames", disable=not progress, leave=False)
    for start in range(0, len(frames), _BATCH):
        batch = frames[start : start + _BATCH]
        if hasattr(calculator, "evaluate"):
            found += calculator.evaluate(batch)
        else:
            for number, atoms in enumerate(batch, start=start):
                found.append(_calculate(calculator, atoms, f"{name}: frame {number}"))
        bar.update(len(batch))
    bar.close()
    keys = [key for key in ("energy", "forces", "stress")
            if all(results.get(key) is not None for results in found)]  # fmt: skip
    for key in keys:
        for number, results in enumerate(found):
            if not np.isfinite(results[key]).all():
                raise RuntimeError(f"{name}: frame {number}: the {key} is not finite")
    return {
        key: np.concatenate(values) if key == "forces" else np.array(values)
        for key in keys
        if (values := [results[key] for results in found])
    }


def _calculate(calculator: Any, atoms: Atoms, where: str) -> dict[str, Any]:
    bare = Atoms(numbers=atoms.numbers, positions=atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
    try:
        return results_of(calculator, bare)
    except Exception as error:  # whatever a model or a library raises
        reason = one_line(error)
        raise RuntimeError(f"{where}: the calculator failed: {reason}") from error


def errors(
    predicted: Mapping[str, np.ndarray], frames: Sequence[Atoms], prefix: str = DFT
) -> Errors:
    """Compute the errors of a model's predictions for labelled frames.

    Parameters
    ----------
    predicted : dict of str to ndarray
        Predictions, as `predict` returns them.
    frames : sequence of ase.Atoms
        The labelled frames.
    prefix : str
        Prefix of the labels, as in `labels`.

    Returns
    -------
    Errors
        Model minus label.

    Raises
    ------
    ValueError
        If a frame has no labels.
    """
    n_atoms = np.array([len(atoms) for atoms in frames])
    known = [labels(atoms, prefix) for atoms in frames]
    energy = 1e3 * (predicted["energy"] - [label.energy for label in known]) / n_atoms
    forces = 1e3 * (predicted["forces"] - np.concatenate([label.forces for label in known]))
    virial = None
    if "stress" in predicted and all(label.stress is not None for label in known):
        stress = predicted["stress"] - np.array([label.stress for label in known])
        virial = 1e3 * virials(stress, frames)
    return Errors(energy, forces, virial, n_atoms)


def structure_hash(frames: Iterable[Atoms]) -> str:
    """Return a fingerprint of structures.

    Parameters
    ----------
    frames : iterable of ase.Atoms
        The structures.

    Returns
    -------
    str
        SHA-256 over species, positions, cells and periodicity.
    """
    found = hashlib.sha256()
    for atoms in frames:
        for array in (atoms.numbers, atoms.positions, atoms.cell.array, atoms.pbc):
            found.update(np.ascontiguousarray(array).tobytes())
    return found.hexdigest()


def flat_labels(frames: Sequence[Atoms], prefix: str = DFT) -> dict[str, np.ndarray]:
    """Return the labels of frames in the quantities of `Errors`.

    Parameters
    ----------
    frames : sequence of ase.Atoms
        The labelled frames.
    prefix : str
        Prefix of the labels, as in `labels`.

    Returns
    -------
    dict of str to ndarray
        Energy (eV/atom), forces (eV/Å) and, if all frames have a stress, virial (eV/atom), each as
        a flat array.
    """
    known = [labels(atoms, prefix) for atoms in frames]
    n_atoms = np.array([len(atoms) for atoms in frames])
    found = {
        "energy": np.array([label.energy for label in known]) / n_atoms,
        "forces": np.concatenate([label.forces for label in known]).ravel(),
    }
    stresses = [label.stress for label in known if label.stress is not None]
    if len(stresses) == len(known):
        found["virial"] = virials(np.array(stresses), frames).ravel()
    return found
