# SPDX-License-Identifier: BSD-3-Clause
"""A pool of published or of bred frames, a student of any part of it (POD, network), its errors.

The equations of all frames are calculated once; a student of some of them is one least-squares fit.
"""

from pathlib import Path
from typing import Any

import ase.io
import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from published_sets import HERE, LANDSCAPE, bred, groups_of, labelled, published_lines, read_set

from ase_calculators import EntropySymmetry, LandscapeTable, map_landscape
from ase_calculators.distillation import open_student, train_student, write_deepmd
from ase_calculators.distillation.linear_students import Equations
from ase_calculators.distillation.prediction import errors, predict
from ase_calculators.distillation.scaling import mean_and_spread
from ase_calculators.distillation.training import read_profile
from ase_calculators.figures import COLORS
from ase_calculators.lammps_potential import LammpsPotential
from ase_calculators.provenance import atomic_write

KIND = "pod"  # of pod_Mo.yaml or pod_Si.yaml: 215 coefficients
_SHARE = 4  # every fourth frame is held out


class Learning:
    """Frames to learn from and frames to test on, with their equations.

    Parameters
    ----------
    element : str
        Mo or Si.
    data : pathlib.Path
        Folder of the sets.
    folder : pathlib.Path
        Folder for ``pool.extxyz``, the frames to learn from, which peers may choose from.
    stride : int
        Use one in so many frames, for a trial.
    n_bred : int
        Number of frames that are bred over the landscape, for the pool and for testing, in place of
        the published ones. All labels are then of the published quadratic SNAP: without noise, and
        as many as wanted.

    Attributes
    ----------
    pool : list of ase.Atoms
        Training frames of mlearn and, of Mo, the molecular dynamics of maml, or bred frames;
        without every fourth. Their energies have one zero, as those of tests.
    tests : list of ase.Atoms
        Test frames: every fourth, and the published ones.
    groups : dict of str to (n_test,) bool ndarray
        Test frames: "all" (of a bred pool, all bred ones), those of mlearn's test set
        ("published"), and the hot, the strained and the cold ones.
    table : LandscapeTable
        Landscape of the pool.
    """

    def __init__(
        self, element: str, data: Path, folder: Path, stride: int = 1, n_bred: int = 0
    ) -> None:
        frames = read_set(f"mlearn/{element}_training", data)[::stride]
        known = read_set(f"mlearn/{element}_test", data)[::stride]
        if n_bred:
            model = LammpsPotential(published_lines(element, "qsnap"), element)
            folder.mkdir(parents=True, exist_ok=True)
            frames = labelled(bred(frames, element, n_bred, folder / "bred_pool.extxyz"), model)
            known = labelled(known, model)
        self.element = element
        settings = read_profile(HERE / f"pod_{element}.yaml", KIND)
        settings["weights"]["virial"] = 0  # ten times faster
        self.equations = Equations(KIND, [element], settings)
        self.equations.extend(frames)
        if element == "Mo" and not n_bred:
            others = read_set("maml_mo/Mo_AIMD", data)[::stride]
            first = len(frames)
            self.equations.extend(others)
            frames = frames + others
            # the two sets have zeros of their own: the second is moved onto a fit of the first
            fit = self.equations.fit(range(first))
            later = range(first, len(frames))
            shift = np.mean([
                self.equations.targets[k][0] - self.equations.matrices[k][0] @ fit for k in later
            ])  # fmt: skip
            for k in later:
                self.equations.targets[k][0] -= shift
            frames[first:] = [_moved(atoms, shift) for atoms in others]
        held = np.arange(len(frames)) % _SHARE == _SHARE - 1
        self.rows = np.flatnonzero(~held)  # of the equations
        self.pool = [frames[k] for k in self.rows]
        self.tests = [frames[k] for k in np.flatnonzero(held)] + known
        self.test_rows = np.r_[np.flatnonzero(held), len(frames) + np.arange(len(known))]
        self.equations.extend(known)
        published = np.arange(len(self.tests)) >= held.sum()
        counted = published if n_bred else np.ones(len(self.tests), bool)
        parts = {name: mask & counted for name, mask in groups_of(self.tests, element).items()}
        self.groups = {"all": ~published if n_bred else counted, "published": published, **parts}
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "pool.extxyz"
        bare = [_bare(atoms) for atoms in self.pool]
        if not n_bred and not path.exists():
            with atomic_write(path) as file:
                ase.io.write(file, bare, format="extxyz")
        calc = EntropySymmetry(**LANDSCAPE[element])
        self.table: LandscapeTable = map_landscape(bare, calc, progress=False)

    def errors(self, chosen: Any) -> dict[str, dict[str, float]]:
        """Return the errors of a student of some frames of the pool.

        Parameters
        ----------
        chosen : sequence of int
            Numbers of the frames.

        Returns
        -------
        dict of str to dict
            Of each group: root mean squares, "energy" (meV/atom) and "forces" (meV/Å).
        """
        fit = self.equations.fit(self.rows[np.asarray(chosen, dtype=int)].tolist())
        found = {}
        for name, mask in self.groups.items():
            rms = self.equations.rms(fit, self.test_rows[mask].tolist())
            found[name] = {quantity: rms[quantity] for quantity in ("energy", "forces")}
        return found

    def errors_of_network(
        self, chosen: Any, seed: int, steps: int | None, folder: Path
    ) -> dict[str, dict[str, float]]:
        """Train se_e2_a with some frames of the pool and return its errors, as `errors` does.

        Parameters
        ----------
        chosen : sequence of int
            Numbers of the frames.
        seed : int
            Seed of the network.
        steps : int, optional
            Number of steps. Default: that of se_e2_a.json.
        folder : pathlib.Path
            Folder of the student; a finished training is not repeated.

        Returns
        -------
        dict of str to dict
            Of each group: "energy" (meV/atom) and "forces" (meV/Å).
        """
        frames = [self.pool[k] for k in chosen]
        for part, some in (("set", frames), ("validation", frames[::8])):
            write_deepmd(some, folder / part)
        student = train_student(
            folder / "set", folder / "validation", folder, HERE / "se_e2_a.json", seed=seed,
            steps=steps, compress=False,
        )  # fmt: skip
        found = errors(predict(open_student(student), self.tests, progress=False), self.tests)
        return {name: found.take(mask).rmse() for name, mask in self.groups.items()}

    def resolution(self, chosen: Any) -> float:
        """Return how well the test frames tell the error of the forces, "all" of them.

        Parameters
        ----------
        chosen : sequence of int
            Numbers of the frames of the pool that a student learns from.

        Returns
        -------
        float
            Relative standard error of the root mean square from the spread between test frames.
        """
        fit = self.equations.fit(self.rows[np.asarray(chosen, dtype=int)].tolist())
        squares = [self.equations.rms(fit, [k])["forces"] ** 2  # type: ignore[operator]
                   for k in self.test_rows[self.groups["all"]].tolist()]  # fmt: skip
        return float(np.std(squares, ddof=1) / np.mean(squares) / 2 / np.sqrt(len(squares)))


def with_spread(values: list[float], digits: int) -> str:
    """Return mean and standard deviation as text, without the latter for one value.

    Parameters
    ----------
    values : list of float
        Values of several seeds.
    digits : int
        Digits after the point.

    Returns
    -------
    str
        Text.
    """
    spread = f" ± {np.std(values, ddof=1):.{digits}f}" if len(values) > 1 else ""
    return f"{np.mean(values):.{digits}f}{spread}"


def draw_curves(ax: Any, records: list[dict[str, Any]], group: str, quantity: str) -> None:
    """Draw errors against the number of frames, with error bars, a curve for each name.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Axes.
    records : list of dict
        Records of several seeds.
    group : str
        Group of test frames.
    quantity : {"energy", "forces"}
        Error to draw.
    """
    curves = mean_and_spread(records, "errors", group, quantity)
    for color, (name, points) in zip(COLORS, curves.items(), strict=False):
        n, mean, spread, _ = points.T
        ax.errorbar(n, mean, yerr=np.nan_to_num(spread), fmt="o-", ms=3.5, lw=1.2, capsize=2,
                    color=color, label=name)  # fmt: skip
    ax.set(xscale="log", yscale="log", xlabel="frames")


def _moved(atoms: Atoms, shift: float) -> Atoms:
    """Return a frame with its energy lowered by a shift per atom."""
    copy = Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=True, info=atoms.info)
    energy = atoms.get_potential_energy() - shift * len(atoms)
    copy.calc = SinglePointCalculator(
        copy, energy=energy, forces=atoms.get_forces(), stress=atoms.get_stress()
    )
    return copy


def _bare(atoms: Atoms) -> Atoms:
    """Return a frame without labels but with its energy, which the landscape table holds."""
    bare = Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=True)
    bare.calc = SinglePointCalculator(bare, energy=atoms.get_potential_energy())
    return bare
