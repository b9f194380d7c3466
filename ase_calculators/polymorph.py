# SPDX-License-Identifier: BSD-3-Clause
"""PolymorphGen: structures bred by mutation towards targets on the landscape, without energies.

The library is an extended XYZ file that only grows, one complete frame after the other, and each
frame holds the parameters it was made with. What is on disk is therefore the whole state. A run
that finds a library removes an unfinished frame at its end, makes the missing children of its last
generation from the same random streams, and resumes.
"""

import json
import math
import os
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from functools import partial
from io import StringIO
from os import PathLike, fspath
from typing import Any, NamedTuple, NoReturn

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers, covalent_radii
from ase.io.extxyz import key_val_str_to_dict
from numpy.typing import ArrayLike
from tqdm.auto import tqdm

from ase_calculators.argument_checks import check_whole
from ase_calculators.entropy_symmetry import EntropySymmetry
from ase_calculators.frame_file import FrameFile, StoredFrame
from ase_calculators.landscape import LandscapeTable, table_parameters
from ase_calculators.parallel import OrderedPool
from ase_calculators.provenance import atomic_write
from cython_core import (
    Breeder,
    Evolution,
    Gaps,
    atom_lines,
    fingerprint,
    target_points,
    window_of,
)

# default shortest distance of two atoms over the sum of their covalent radii
COVALENT_SHARE = 0.8

# a generation is written at once, or in parts of so many atoms, whose text takes some megabytes
ATOMS_PER_WRITE = 50_000

# the settings follow this in the comment line of a frame
_PARAMETERS = ' parameters="_JSON '

_GENE_LETTERS = {"D": 1, "V": 2, "S": 4, "X": 8, "G": 16}


@dataclass(frozen=True)
class Genes:
    """Define how children differ from their parents.

    Attributes
    ----------
    displacement : float
        D: standard deviation of each component of the displacements, Å.
    volume : float
        V: standard deviation of ln(volume), at most 1.
    shape : float
        S: standard deviation of the diagonal strains, before their mean is subtracted to keep the
        volume; the shears have 1/sqrt(2) of it, so that no direction is preferred. At most 1.
    rate : float
        Probability that D displaces an atom; at least one is displaced.
    swaps : int
        Number of exchanges of two unlike atoms. Default: none.
    probabilities : (float, float, float, float)
        Probabilities of D, V, S and the swaps, each drawn independently; a child gets at least one.
        A gene with a probability or an amplitude of 0 is off.
    frozen : str or iterable of str
        Elements that are neither displaced nor swapped. A change of the cell by V and S moves them
        with it; switch V and S off to keep them in place.

    Examples
    --------
    >>> Genes(shape=0.0).shape
    0.0
    """

    displacement: float = 0.1
    volume: float = 0.05
    shape: float = 0.05
    rate: float = 0.3
    swaps: int = 0
    probabilities: tuple[float, float, float, float] = (0.5, 0.5, 0.5, 0.5)
    frozen: str | tuple[str, ...] = ()


@dataclass
class TargetReport:
    """Report the outcome for a target.

    Attributes
    ----------
    point : (float, float)
        sS and Q.
    nearest : (float, float)
        sS and Q of the nearest structure, parents included.
    distance : float
        Distance from it to the target, in units of the window.
    frames : int
        Number of children in the library.
    hits : int
        Number of them within the tolerance.
    evaluations : int
        Number of evaluations of sS and Q for these children, with or without gradients.
    """

    point: tuple[float, float]
    nearest: tuple[float, float]
    distance: float
    frames: int = 0
    hits: int = 0
    evaluations: int = 0


class _Member(NamedTuple):
    """Hold a frame of the library: the start of its text, and the entries of its comment."""

    offset: int
    info: dict[str, Any]
    volume: float


class PolymorphGen:
    """Breed structures towards targets on the entropy-symmetry landscape.

    Each target has its own evolution, which starts from the parents; a target in a gap also starts
    from the nearest structure of the library. In each generation, a share `fresh` of the children
    descends from the parents, drawn evenly. The others descend from the generation before, by
    roulette with the weights 1 / (d + 0.01), where d is the distance to the target in units of the
    window. Children are mutated. With ``mode="guided"`` they are then moved to the target along the
    gradients of sS and Q, by the smallest correction in units of the genes' amplitudes (see
    `cython_core.Breeder`); the first guided child of a target is the nearest structure, not
    mutated. A child that breaks a limit is drawn again, up to 20 times. No energies are evaluated.

    Parameters
    ----------
    parents : iterable of ase.Atoms
        Structures with the same numbers of atoms of each element and the same periodicity.
    calc : EntropySymmetry
        Calculator of sS and Q.
    targets : {"edges", "grid", "gaps"} or (k, 2) array_like
        "edges": `targets_per_edge` points evenly along each edge of the window, corners once.
        "grid": as many along both axes of a grid, with the interior. "gaps": the empty cells of the
        growing map, the one nearest to an occupied cell first, each until it is hit. Or points
        (sS, Q).
    targets_per_edge : int
        Number of points, 2 or more; for "gaps", number of cells along both axes of the window.
    expand : float
        Share of the extents by which the window of the parents grows on every side; Q stays within
        0 and 1.
    generations : int, optional
        Number of generations per target. Default: 30; 3 for "gaps".
    individuals : int, optional
        Number of children per generation. Default: 50; 1 for "gaps".
    genes : Genes
        Mutations.
    mode : {"guided", "roulette"}
        Breeding with or without the correction towards the target.
    min_distance : float or dict of (str, str) to float, optional
        Shortest distance of two atoms, Å, for all pairs or for some pairs of elements, such as
        ``{("Si", "O"): 1.4}``. Default, and for pairs not named: 0.8 of the sum of the covalent
        radii (``ase.data.covalent_radii``).
    seed : int
        Random seed. The same seed gives the same library for any `processes` and executor.
    processes : int
        Number of threads of the compiled core; scripts need no guard.
    window : (float, float, float, float), optional
        sS_min, sS_max, Q_min, Q_max. Default: the extents of the parents, widened by `expand`.
    volume_limits : (float, float), optional
        Smallest and largest volume, Å^3 per atom, of structures that are periodic in all
        directions. Default: 0.7 times the smallest to 1.5 times the largest of the parents.
    angle_limits : (float, float)
        Smallest and largest angle of two periodic lattice vectors, degree.
    fresh : float, optional
        Share of children that descend from the parents. Default: 0.3; 0 for "gaps".
    elitism : bool
        Whether the nearest child so far stays among the possible parents.
    hits : int, optional
        Number of children that hit a target, after which its evolution ends with the generation.
        Default: all generations; 1 for "gaps".
    steps : int
        Maximum number of Newton steps of a guided child.
    tolerance : float
        Distance, in units of the window, within which a child has hit its target and is not moved
        further; for "gaps" at most half a cell.

    Attributes
    ----------
    window : (float, float, float, float)
        sS_min, sS_max, Q_min, Q_max.
    targets : (k, 2) ndarray
        Points; for "gaps" those that were tried.
    reports : list of TargetReport
        Reports of the targets, after `run`.
    rejected : dict of str to int
        Number of draws of the last `run` that broke a "distance", the "volume", an "angle".

    Raises
    ------
    ValueError
        If there are no parents, or if they differ in composition or periodicity, lie outside the
        window or at one point of it, or break limits; if an argument is out of its range.

    References
    ----------
    Roulette on the landscape follows the paper of the project; the guided step is new here.

    Examples
    --------
    >>> from ase.build import bulk
    >>> calc = EntropySymmetry(rmax=5.0, sigma=0.25, q6_cutoff=3.5)
    >>> parents = [bulk("Al", "fcc", a=4.05, cubic=True) * (2, 2, 1) for _ in range(3)]
    >>> for seed, atoms in enumerate(parents):
    ...     atoms.rattle(0.05 + 0.1 * seed, seed=seed)
    >>> gen = PolymorphGen(parents, calc, targets=[(-2.5, 0.4)], generations=2, individuals=5)
    >>> table = gen.run("library.extxyz")  # doctest: +SKIP
    """

    def __init__(
        self,
        parents: Iterable[Atoms],
        calc: EntropySymmetry,
        targets: str | ArrayLike = "edges",
        targets_per_edge: int = 10,
        expand: float = 0.10,
        generations: int | None = None,
        individuals: int | None = None,
        genes: Genes | None = None,
        mode: str = "guided",
        min_distance: float | Mapping[tuple[str, str], float] | None = None,
        seed: int = 1,
        processes: int = 1,
        window: tuple[float, float, float, float] | None = None,
        volume_limits: tuple[float, float] | None = None,
        angle_limits: tuple[float, float] = (30.0, 150.0),
        fresh: float | None = None,
        elitism: bool = False,
        hits: int | None = None,
        steps: int = 6,
        tolerance: float = 0.02,
    ) -> None:
        self._gaps = isinstance(targets, str) and targets == "gaps"
        generations = generations if generations is not None else 3 if self._gaps else 30
        individuals = individuals if individuals is not None else 1 if self._gaps else 50
        fresh = fresh if fresh is not None else 0.0 if self._gaps else 0.3
        for name, value, minimum in (
            ("targets_per_edge", targets_per_edge, 2), ("generations", generations, 1),
            ("individuals", individuals, 1), ("seed", seed, 0), ("processes", processes, 1),
            ("hits", 1 if hits is None else hits, 1), ("steps", steps, 1),
        ):  # fmt: skip
            # what the core and files take
            check_whole(name, value, minimum, 2**63 if name == "seed" else 2**31 - 1)
        if mode not in ("guided", "roulette"):
            raise ValueError(f"mode = {mode!r}: choose guided or roulette")
        if not (np.isfinite(expand) and expand >= 0):
            raise ValueError(f"expand = {expand}: must be 0 or more, a share of the window")
        if not 0 <= fresh <= 1:
            raise ValueError(f"fresh = {fresh}: must lie between 0 and 1")
        if not 0 <= tolerance < np.inf:
            raise ValueError(f"tolerance = {tolerance}: must be 0 or more, a share of the window")
        self.calc, self.genes = calc, Genes() if genes is None else genes
        self.generations, self.individuals = int(generations), int(individuals)
        self.fresh, self.elitism, self.processes = float(fresh), bool(elitism), int(processes)
        self.steps, self.seed = int(steps) if mode == "guided" else 0, int(seed)
        self._adopt(parents)
        self.window = self._resolved_window(window, expand)
        self._extent = np.array([self.window[1] - self.window[0], self.window[3] - self.window[2]])
        self._per_edge = int(targets_per_edge)
        self.tolerance = min(tolerance, 0.5 / self._per_edge) if self._gaps else float(tolerance)
        self.targets = self._resolved_targets(targets)
        self.hits = (1 if self._gaps else None) if hits is None else int(hits)
        distances = self._resolved_distances(min_distance)
        volumes = self._resolved_volumes(volume_limits)
        angles = _pair("angle_limits", angle_limits)
        frozen = self.genes.frozen
        frozen = (frozen,) if isinstance(frozen, str) else tuple(frozen)
        for symbol in frozen:
            if symbol not in self._elements:
                raise ValueError(
                    f"frozen: {symbol!r} is not an element of the parents "
                    f"({', '.join(self._elements)})"
                )
        amplitudes = asdict(self.genes)
        amplitudes.pop("frozen")
        self._breeder = Breeder(
            calc.kernel,
            **amplitudes,
            min_distance=distances,
            frozen=[symbol in frozen for symbol in self._elements],
            volume_limits=volumes,
            angle_limits=angles,
            names=self._elements,
        )
        self._breeder.check(self._positions, self._cells, self._species, self._pbc)
        self.reports: list[TargetReport] = []
        self.rejected = dict.fromkeys(("distance", "volume", "angle"), 0)
        self.settings: dict[str, Any] = {
            **calc.todict(),
            # as the polymorph command of LAMMPS says it: none where all count
            "elements": sorted({*self._symbols[: self._n_counted]})
            if self._n_counted < len(self._symbols)
            else None,
            "parents": self._fingerprint,
            "targets": targets if isinstance(targets, str) else self.targets.tolist(),
            "targets_per_edge": self._per_edge,
            "window": list(self.window),
            "generations": self.generations,
            "individuals": self.individuals,
            "genes": {**amplitudes, "frozen": list(frozen)},
            "mode": mode,
            "min_distance": distances.tolist(),
            "volume_limits": list(volumes),
            "angle_limits": list(angles),
            "fresh": self.fresh,
            "elitism": self.elitism,
            "hits": self.hits,
            "steps": self.steps,
            "tolerance": self.tolerance,
            "seed": self.seed,
        }
        text = json.dumps(self.settings, default=float)
        self.settings = json.loads(text)
        escaped = text.replace("\\", "\\\\").replace('"', '\\"')
        self._parameters = f'{_PARAMETERS}{escaped}"'
        self._map_parameters = table_parameters(calc)  # of the installed package, slow to ask for

    # --- arguments ------------------------------------------------------------------------------

    def _adopt(self, parents: Iterable[Atoms]) -> None:
        """Store the parents as arrays, atoms sorted by element, those that count first."""
        if isinstance(parents, Atoms):
            raise TypeError("parents: must be an iterable of Atoms, not one Atoms; pass [atoms]")
        parents = list(parents)
        if not parents:
            raise ValueError("parents: there are none; give at least two structures")
        counted = self.calc.parameters["elements"]
        first = parents[0]
        formula = first.symbols.formula.format("metal")
        elements = sorted(
            set(first.get_chemical_symbols()),
            key=lambda symbol: (counted is not None and symbol not in counted, symbol),
        )
        order = {symbol: number for number, symbol in enumerate(elements)}
        rows = []
        for number, atoms in enumerate(parents):
            other = atoms.symbols.formula.format("metal")
            if other != formula:
                raise ValueError(
                    f"parents: parent {number} is {other}, parent 0 is {formula}; all must have "
                    "the same number of atoms of each element"
                )
            if (atoms.pbc != first.pbc).any():
                raise ValueError(
                    f"parents: pbc of parent {number} is {atoms.pbc.tolist()}, that of parent 0 "
                    f"{first.pbc.tolist()}; all must be periodic alike"
                )
            kinds = np.array([order[symbol] for symbol in atoms.get_chemical_symbols()])
            rows.append(np.argsort(kinds, kind="stable"))
        self._elements = elements
        self._species = np.sort(kinds)
        self._symbols = [elements[kind] for kind in self._species]
        self._positions = np.array([p.positions[r] for p, r in zip(parents, rows, strict=True)])
        self._cells = np.array([p.cell.array for p in parents])
        self._pbc = first.pbc.copy()
        n_counted = sum(counted is None or symbol in counted for symbol in self._symbols)
        self._n_counted = n_counted
        try:
            values = list(self.calc.evaluate(parents).values())
        except ValueError as error:
            raise ValueError(f"parents: {error}") from error
        self._values = np.column_stack(values)
        self._fingerprint = fingerprint(
            elements, self._species, self._positions, self._cells, self._pbc
        )

    def _resolved_window(
        self, window: tuple[float, float, float, float] | None, expand: float
    ) -> tuple[float, float, float, float]:
        if window is None:
            low, high = self._values.min(axis=0), self._values.max(axis=0)
            extent = high - low
            if not (extent > 1e-9 * np.abs(high)).all():
                raise ValueError(
                    f"parents: all have sS = {low[0]:.6g} or all Q = {low[1]:.6g}, which spans no "
                    "window; give parents that differ, or window="
                )
            return window_of(self._values, expand)
        ends = np.array(window, dtype=float)
        if ends.shape != (4,) or not (
            np.isfinite(ends).all() and ends[0] < ends[1] and ends[2] < ends[3]
        ):
            raise ValueError(
                f"window = {window}: must be sS_min < sS_max, Q_min < Q_max, all finite"
            )
        low, high = ends.reshape(2, 2).T
        outside = ((self._values < low) | (self._values > high)).any(axis=1)
        if outside.any():
            number = int(outside.argmax())
            sS, Q = self._values[number]
            raise ValueError(
                f"parents: parent {number} at sS = {sS:.6g}, Q = {Q:.6g} lies outside the window "
                f"{tuple(ends.tolist())}; widen it or leave the parent out"
            )
        return float(ends[0]), float(ends[1]), float(ends[2]), float(ends[3])

    def _resolved_targets(self, targets: str | ArrayLike) -> np.ndarray:
        if isinstance(targets, str):
            if targets not in ("edges", "grid", "gaps"):
                raise ValueError(
                    f"targets = {targets!r}: choose edges, grid, gaps, or give points (sS, Q)"
                )
            if targets == "gaps":
                Gaps(self.window, self._per_edge)  # refuses too many
                return np.empty((0, 2))
            return target_points(self.window, self._per_edge, interior=targets == "grid")
        points = np.array(targets, dtype=float)
        if points.ndim != 2 or points.shape[1] != 2 or not len(points):
            raise ValueError(
                f"targets: has shape {points.shape}; points are (k, 2), each (sS, Q), at least one"
            )
        if not np.isfinite(points).all():
            raise ValueError("targets: every sS and Q must be finite")
        return points

    def _resolved_distances(
        self, min_distance: float | Mapping[tuple[str, str], float] | None
    ) -> np.ndarray:
        radii = np.array([covalent_radii[atomic_numbers[symbol]] for symbol in self._elements])
        distances = COVALENT_SHARE * (radii[:, None] + radii)
        if isinstance(min_distance, Mapping):
            for key, value in min_distance.items():
                if isinstance(key, str) or len(key) != 2 or set(key) - set(self._elements):
                    raise ValueError(
                        f"min_distance: {key!r} is not a pair of the elements "
                        f"{', '.join(self._elements)}; write it like ('Si', 'O')"
                    )
                i, j = (self._elements.index(symbol) for symbol in key)
                distances[i, j] = distances[j, i] = value
        elif min_distance is not None:
            distances[:] = min_distance
        return distances

    def _resolved_volumes(self, limits: tuple[float, float] | None) -> tuple[float, float]:
        if limits is not None:
            return _pair("volume_limits", limits)
        if not self._pbc.all():
            return 0.0, 1e300
        volumes = np.abs(np.linalg.det(self._cells)) / len(self._species)
        return 0.7 * float(volumes.min()), 1.5 * float(volumes.max())

    # --- the run --------------------------------------------------------------------------------

    def run(
        self,
        path: str | PathLike[str],
        progress: bool = True,
        executor: Executor | None = None,
    ) -> LandscapeTable:
        """Breed towards all targets and write the library as it grows, or resume one.

        `path` gets the frames as extended XYZ, atoms sorted by element, all digits written.
        ``info`` of a frame holds frame (its number), target and generation (from 0), individual,
        parent ("p3": parent 3; "f120": frame 120 of the file), genes (letters D, V, S, X for
        swaps, G for guided), evaluations, sS, Q6, seed and `parameters`. The map is written next to
        it as CSV.

        Parameters
        ----------
        path : path-like
            Path of the library. If it exists, it must have been made with the same parameters; an
            unfinished frame at its end is removed, and the run resumes where it stopped.
        progress : bool
            Whether to show the progress bar.
        executor : concurrent.futures.Executor, optional
            Executor that breeds the targets, one job each, as in the documentation's "From a laptop
            to a cluster"; this process writes the library, in the order of the targets. The library
            is the same, byte by byte. Not for targets in gaps, each of which depends on the one
            before, and not together with `processes`.

        Returns
        -------
        LandscapeTable
            Map of all frames of the library.

        Raises
        ------
        ValueError
            If the library was made with other parameters, is something else, lacks a frame, or has
            one twice or with values that are not finite; if another run is writing to it; if the
            library or the map is removed, replaced, cut or written to in the meantime; if the file
            in the place of the map is something else; if an executor is given for targets in gaps
            or together with `processes`.
        TypeError
            If `executor` is something else.
        BrokenExecutor
            If `executor` has lost a process and cannot continue; another run resumes.
        OSError
            If a file cannot be written; what was written before stays readable.

        Warns
        -----
        UserWarning
            If targets were not reached within the tolerance; the warning names the nearest points.
        """
        name = fspath(path)
        if os.path.splitext(name)[1] == ".csv":
            raise ValueError(f"{name!r}: the map is written as .csv; name the library .extxyz")
        csv = os.path.splitext(name)[0] + ".csv"
        for path in (name, csv):
            if os.path.exists(path) and not os.path.isfile(path):
                raise ValueError(f"{path}: must be a regular file; use another path")
        if os.path.exists(csv):
            with open(csv, "rb") as old:
                if not (start := b"# " + LandscapeTable.TITLE.encode()).startswith(
                    old.read(len(start))
                ):
                    raise ValueError(
                        f"{csv}: the map of the library is to be written there, but this is not a "
                        "map; move it away or give the library another name"
                    )
        if executor is not None and self._gaps:
            raise ValueError(
                "executor: is for targets that are known beforehand; each in a gap depends on "
                "the one before: leave it out and give `processes`"
            )
        self._pool = None if executor is None else OrderedPool(self.processes, executor=executor)
        self._bred: Iterator[tuple[tuple[int, np.ndarray], Future[list[Any]]]] | None = None
        self.rejected = dict.fromkeys(self.rejected, 0)
        self.reports = []
        if self._gaps:
            self.targets = np.empty((0, 2))
        try:
            with FrameFile(name) as self._file:
                self._members, size = self._read(name)
                self._file.cut(size)
                table = self._table(name)
                text = StringIO()
                table.write_head(text, table.parameters)
                table.write_rows(text)
                with atomic_write(csv, newline="") as draft:
                    draft.write(text.getvalue())
                with FrameFile(csv) as map_file, self._pool or nullcontext():
                    self._evolve(name, map_file, progress)
        except OSError as error:
            raise OSError(
                error.errno,
                f"{error.strerror}; the frames written so far stay readable, and another run "
                "resumes",
                error.filename or name,
            ) from error
        missed = [
            (k, report)
            for k, report in enumerate(self.reports)
            if report.distance >= self.tolerance
        ]
        if missed:
            warnings.warn(
                f"{len(missed)} of {len(self.reports)} targets not reached in {self.generations} "
                f"generations of {self.individuals}: "
                + "; ".join(
                    f"target {k} at sS = {r.point[0]:.4g}, Q = {r.point[1]:.4g}, nearest sS = "
                    f"{r.nearest[0]:.4g}, Q = {r.nearest[1]:.4g}, {r.distance:.2g} of the window "
                    "away"
                    for k, r in missed[:3]
                )
                + ("; ..." if len(missed) > 3 else "")
                + " (all of them in reports)",
                stacklevel=2,
            )
        return self._table(name)

    def _evolve(self, name: str, map_file: FrameFile, progress: bool) -> None:
        """Go through targets and generations; frames of the library are not made again."""
        found = 0  # frames of the library that belong to the generations so far
        total = len(self.targets) * self.generations * self.individuals
        self._kept: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        with tqdm(total=total or None, unit=" children", disable=not progress) as bar:
            for number, (target, pool) in enumerate(self._targets_to_come()):
                first = found
                evolution = self._evolution(target, pool)
                while not evolution.done:
                    mine = []
                    while found < len(self._members) and _of(self._members[found].info) == (
                        number, evolution.generation,
                    ):  # fmt: skip
                        mine.append(found)
                        found += 1
                    # the last generation that is there may lack children
                    if found == len(self._members):
                        mine += self._breed(number, target, evolution, mine)
                        rows = StringIO()
                        self._table(name, found).write_rows(rows)
                        map_file.append(rows.getvalue().encode())
                        found = len(self._members)
                    evolution.take(mine, self._values_of(mine))
                    bar.update(self.individuals)
                bar.update((self.generations - evolution.generation) * self.individuals)
                children = self._members[first:found]
                self.reports.append(
                    TargetReport(
                        point=(float(target[0]), float(target[1])),
                        nearest=evolution.nearest,
                        distance=evolution.distance,
                        frames=len(children),
                        hits=evolution.hits,
                        evaluations=sum(int(child.info["evaluations"]) for child in children),
                    )
                )
            if found < len(self._members):
                raise ValueError(f"{name}: frame {found} does not fit any target; use another file")
            self._file.check()

    def _targets_to_come(self) -> Iterator[tuple[np.ndarray, list[int]]]:
        """Return the targets, each with frames to start from in addition to the parents.

        Targets in gaps depend on the frames that the library has by then; they start from the
        nearest one.
        """
        if not self._gaps:
            yield from ((target, []) for target in self.targets)
            return
        gaps = Gaps(self.window, self._per_edge)
        gaps.add(self._values)
        seen = 0
        while (gap := gaps.next()) is not None:
            target, nearest = np.array(gap[0]), gap[1] - len(self._values)
            self.targets = np.vstack((self.targets, target))
            yield target, [nearest] if nearest >= 0 else []
            more = sum(report.frames for report in self.reports[len(self.targets) - 1 :])
            gaps.add(self._values_of(range(seen, seen + more)))
            seen += more

    def _values_of(self, frames: Sequence[int]) -> np.ndarray:
        """Return sS and Q of frames of the library."""
        names = self.calc.value_names
        infos = [self._members[frame].info for frame in frames]
        return np.array([[info[name] for name in names] for info in infos]).reshape(-1, 2)

    def _breed(
        self,
        number: int,
        target: np.ndarray,
        evolution: Evolution,
        there: list[int],
    ) -> list[int]:
        """Make a generation, write the children that are missing, and return their frames."""
        pool, generation = evolution.pool, evolution.generation
        names = self.calc.value_names
        if self._pool is not None:
            children = self._generations_of(number)[generation]
        else:
            structures = [self._kept.get(frame) or self._structure(frame) for frame in pool]
            self._kept = dict(zip(pool, structures, strict=True))
            children = self._children(number, target, generation, structures, self._values_of(pool))
        for name, count in zip(self.rejected, children["rejected"].sum(axis=0).tolist()):
            self.rejected[name] += count
        done = {self._members[frame].info["individual"] for frame in there}
        before = len(self._members)
        n_parents = len(self._values)
        pending: list[tuple[np.ndarray, np.ndarray, dict[str, Any]]] = []
        columns = ("valid", "parent", "genes", "evaluations", "values")
        rows = zip(*(children[name].tolist() for name in columns), strict=True)
        for k, (valid, parent, genes, evaluations, values) in enumerate(rows):
            if not valid or k in done:
                continue
            info = {
                "frame": len(self._members) + len(pending),
                "target": number,
                "generation": generation,
                "individual": k,
                "parent": f"p{parent}" if parent < n_parents else f"f{pool[parent - n_parents]}",
                "genes": "".join(letter for letter, bit in _GENE_LETTERS.items() if genes & bit),
                "evaluations": evaluations,
                names[0]: values[0],
                names[1]: values[1],
                "seed": self.seed,
            }
            pending.append((children["positions"][k], children["cells"][k], info))
            if len(pending) * len(self._species) >= ATOMS_PER_WRITE:
                self._write(pending)
                pending = []
        self._write(pending)
        return list(range(before, len(self._members)))

    def _evolution(self, target: np.ndarray, pool: list[int]) -> Evolution:
        return Evolution(
            target,
            self._extent,
            self._values,
            self.generations,
            self.hits,
            self.elitism,
            self.tolerance,
            pool,
        )

    def _children(
        self,
        number: int,
        target: np.ndarray,
        generation: int,
        structures: list[tuple[np.ndarray, np.ndarray]],
        values: np.ndarray,
    ) -> dict[str, np.ndarray]:
        """Breed a generation from the parents and from the structures of the generation before."""
        return self._breeder.breed(
            np.concatenate([self._positions, *(x[None] for x, _ in structures)]),
            np.concatenate([self._cells, *(cell[None] for _, cell in structures)]),
            np.concatenate([self._values, values]),
            target,
            self._extent,
            self.individuals,
            species=self._species,
            pbc=self._pbc,
            number_density=self.calc.parameters["number_density"],
            n_library=len(self._values),
            n_counted=self._n_counted,
            fresh=self.fresh,
            steps=self.steps,
            tolerance=self.tolerance,
            direct=generation == 0,
            seed=self.seed,
            stream=(number, generation, 0),
            threads=self.processes,
        )

    # --- other processes ------------------------------------------------------------------------

    def __getstate__(self) -> dict[str, Any]:
        """Return what a worker needs to breed: not the library and its files."""
        here = ("_pool", "_bred", "_generations", "_file", "_members", "_kept", "reports")
        return {name: value for name, value in vars(self).items() if name not in here}

    def _generations_of(self, number: int) -> list[dict[str, np.ndarray]]:
        """Return the generations of a target, which a worker has bred; it is the next in order."""
        if self._bred is None:  # all that follow are missing too
            assert self._pool is not None
            jobs = [(k, self.targets[k]) for k in range(number, len(self.targets))]
            self._bred = self._pool.map(
                partial(_bred_generations, self), jobs, lambda job: f"target {job[0]}"
            )
            self._generations: tuple[int, list[dict[str, np.ndarray]]] = (-1, [])
        if self._generations[0] != number:
            (k, _), future = next(self._bred)
            self._generations = k, future.result()
        return self._generations[1]

    # --- the file -------------------------------------------------------------------------------

    def _write(self, frames: list[tuple[np.ndarray, np.ndarray, dict[str, Any]]]) -> None:
        """Append positions, cells and infos as frames; if that fails, those that fit are there."""
        pbc = " ".join("FT"[int(flag)] for flag in self._pbc)
        fixed = f'Properties=species:S:1:pos:R:3 pbc="{pbc}"'
        texts = []
        for positions, cell, info in frames:
            lattice = " ".join(map(_digits, cell.ravel().tolist()))
            entries = " ".join(
                f"{key}={_digits(value) if isinstance(value, float) else value}"
                for key, value in info.items()
            )
            head = f'{len(positions)}\nLattice="{lattice}" {fixed} {entries}{self._parameters}\n'
            texts.append(head.encode() + atom_lines(self._elements, self._species, positions))
        offset = self._file.append(*texts)
        for text, (positions, cell, info) in zip(texts, frames, strict=True):
            self._kept[len(self._members)] = positions, cell
            self._members.append(_Member(offset, info, _volume(cell)))
            offset += len(text)

    def _structure(self, frame: int) -> tuple[np.ndarray, np.ndarray]:
        """Return positions and cell of a frame of the library, with all digits."""
        stored = self._file.read(self._members[frame].offset)
        head = stored.comment.decode().partition(_PARAMETERS)[0]
        rows = [line.split()[1:] for line in stored.atoms]
        # ASE's parser returns the vectors in columns
        cell = np.array(key_val_str_to_dict(head)["Lattice"], dtype=float).T
        return np.array(rows, dtype=float), np.ascontiguousarray(cell)

    def _read(self, name: str) -> tuple[list[_Member], int]:
        """Return the complete frames of a library, checked, and the end of the last one."""
        members: list[_Member] = []
        end = 0
        ours = {self._parameters}
        number = f"{len(self._species)}\n".encode()
        for frame in self._file:
            if not frame.head.strip().isdigit():
                self._refuse(name, None)
            if not members and not number.startswith(frame.head):  # a number may be anybody's
                self._refuse(name, None)
            if not frame.comment.endswith(b"\n"):  # cut short
                if not b'Lattice="'.startswith(frame.comment[:9]):
                    self._refuse(name, None)
                break
            comment = frame.comment.decode(errors="replace").rstrip("\n")
            head, mark, theirs = comment.partition(_PARAMETERS)
            if mark + theirs not in ours:
                made_with = key_val_str_to_dict(comment).get("parameters")
                if not _same(made_with, self.settings):
                    self._refuse(name, made_with)
                ours.add(mark + theirs)
            where = f"{name}: frame {len(members)}"
            if frame.head != number:
                raise ValueError(
                    f"{where} says {int(frame.head)} atoms, the parents have {len(self._species)}; "
                    "repair it, or cut the file off before it"
                )
            if not frame.complete:
                break
            members.append(self._member(where, frame, head, members))
            end = frame.end
        return members, end

    def _member(self, where: str, frame: StoredFrame, head: str, before: list[_Member]) -> _Member:
        """Return a frame of the library; check its numbers and its place."""
        remedy = "cut the file off before it, or use another one"
        names = self.calc.value_names
        try:
            info = key_val_str_to_dict(head)
            numbers = np.array([line.split()[1:] for line in frame.atoms], dtype=float)
            cell = np.array(info.pop("Lattice"), dtype=float).T
            values = np.array([info[name] for name in names], dtype=float)
            volume = _volume(cell)
            symbols = [line.split()[0].decode() for line in frame.atoms]
            place, last = (
                (*_of(i), int(i["individual"])) for i in (info, before[-1].info if before else info)
            )
        except (KeyError, ValueError, TypeError, AttributeError, IndexError) as error:
            raise ValueError(f"{where} is damaged ({error}); {remedy}") from error
        if numbers.shape != (len(self._species), 3) or symbols != self._symbols:
            raise ValueError(f"{where} holds other atoms or columns than the parents; {remedy}")
        for what, found in (("positions", numbers), ("Lattice", cell), ("sS and Q", values)):
            if not np.isfinite(found).all():
                raise ValueError(f"{where} has {what} that are not finite; {remedy}")
        # old libraries lack the number
        if info.get("frame", len(before)) != len(before) or (before and place <= last):
            raise ValueError(
                f"{where} is frame {info.get('frame', '?')} of target {place[0]}, generation "
                f"{place[1]}, individual {place[2]}: a frame is missing, doubled or out of order; "
                f"{remedy}"
            )
        info = {key: value for key, value in info.items() if key not in ("Properties", "pbc")}
        return _Member(frame.offset, info, volume)

    def _refuse(self, name: str, made_with: Any) -> NoReturn:
        """Raise ValueError with the parameters of a library that differ from those of this run."""
        if not isinstance(made_with, dict):
            raise ValueError(f"{name}: is not a library of PolymorphGen; use another file")
        differing = [
            key
            for key in sorted({*made_with, *self.settings})
            if not _same(made_with.get(key), self.settings.get(key))
        ]

        def described(settings: dict[str, Any]) -> str:
            texts = [f"{key} = {settings.get(key)}" for key in differing]
            return ", ".join(t if len(t) < 100 else t[:97] + "..." for t in texts)

        raise ValueError(
            f"{name}: was made with {described(made_with)}; this run has "
            f"{described(self.settings)}; use another file or the same parameters"
        )

    def _table(self, name: str, first: int = 0) -> LandscapeTable:
        """Return the map of the library from a frame on."""
        names = self.calc.value_names
        members = self._members[first:]
        n = len(members)
        return LandscapeTable(
            frame=np.arange(first, first + n),
            file=np.full(n, name),
            sS=np.array([m.info[names[0]] for m in members]),
            Q=np.array([m.info[names[1]] for m in members]),
            n_atoms=np.full(n, len(self._species)),
            volume=np.array([m.volume if self._pbc.all() else np.nan for m in members]),
            energy=np.full(n, np.nan),
            parameters=dict(self._map_parameters),
        )


def _bred_generations(
    gen: PolymorphGen, job: tuple[int, np.ndarray]
) -> list[dict[str, np.ndarray]]:
    """Return the children of all generations of a target, bred without the library."""
    number, target = job
    evolution = gen._evolution(target, [])
    structures: list[tuple[np.ndarray, np.ndarray]] = []
    values = np.empty((0, 2))
    generations = []
    while not evolution.done:
        pool = evolution.pool
        children = gen._children(
            number, target, evolution.generation, [structures[k] for k in pool], values[pool]
        )
        valid = np.flatnonzero(children["valid"])
        mine = list(range(len(structures), len(structures) + len(valid)))
        structures += [(children["positions"][k], children["cells"][k]) for k in valid]
        values = np.concatenate([values, children["values"][valid]])
        evolution.take(mine, values[mine])
        generations.append(children)
    return generations


def _pair(name: str, limits: Any) -> tuple[float, float]:
    """Return two numbers of an argument."""
    try:
        low, high = limits
        return float(low), float(high)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"{name} = {limits!r}: must be two numbers, smallest and largest"
        ) from error


def _same(one: Any, other: Any) -> bool:
    """Return whether two settings are equal, up to the rounding of another processor."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    if isinstance(one, float) and isinstance(other, int | float):
        return math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-12)
    return _same(other, one) if isinstance(other, float) and isinstance(one, int) else one == other


def _of(info: dict[str, Any]) -> tuple[int, int]:
    return info["target"], info["generation"]


def _volume(cell: np.ndarray) -> float:
    """Return the volume of a cell, the same bits for any layout of the array."""
    a, b, c = cell.astype(float).tolist()
    return abs(
        c[0] * (a[1] * b[2] - a[2] * b[1])
        + c[1] * (a[2] * b[0] - a[0] * b[2])
        + c[2] * (a[0] * b[1] - a[1] * b[0])
    )


def _digits(x: float) -> str:
    """Return all digits, with a point, without which ASE reads a whole number."""
    text = repr(x)
    return text if "." in text else text.replace("e", ".0e")
