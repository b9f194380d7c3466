#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Search for crystals: relax structures of PolymorphGen, of blind mutation or of random cells.

python search.py si_sw landscape --seed 1

An interrupted search resumes where it stopped. Nothing is written twice, and the same seed gives
the same structures.
"""

import argparse
import math
from collections.abc import Iterator
from io import StringIO
from itertools import chain
from pathlib import Path

import ase.io
import numpy as np
from ase import Atoms
from ase.build import niggli_reduce
from crystals import Relaxation, alike, dimension, fingerprint, pairs
from systems import SYSTEMS, System, prototype, supercell
from tqdm import tqdm

from ase_calculators import EntropySymmetry, Genes, PolymorphGen, multi_resolution
from ase_calculators.frame_file import FrameFile

METHODS = ("landscape", "rounds", "blind", "blindrounds", "random", "symmetric")
# mutations of PolymorphGen and of the blind search, in units of the bond and of 1
DISPLACEMENT, VOLUME, SHAPE, RATE = 0.15, 0.1, 0.1, 0.5
# generations of the blind search
GENERATIONS = 30
# shortest distance over the bond, and volume over the smallest and the largest parent's
SHORTEST = 0.8
STRETCH = (0.7, 1.5)
# targets along each edge of the landscape, and frames of the library per relaxation
GRID = 5
SHARE = 2.0
ROUNDS = 4
# "rounds": relaxations and generations of a round, its mutations (displacement; volume, shape,
# rate), and cells along each edge of the landscape, those that are relaxed once and those of the
# shares of new crystals
ROUND, ROUND_GENERATIONS = 50, 5
ROUND_DISPLACEMENT, ROUND_GENES = 0.22, (0.12, 0.15, 1.0)
FINE, COARSE = 32, 8
# a target so far away that all structures are equally near: parents are drawn evenly
NOWHERE = {"targets": [(9e5, 0.5)], "window": (-1e6, 1e6, 0.0, 1.0), "mode": "roulette"}
# bonds by which random crystals are rattled: exact symmetry would end on saddles
RATTLE = 0.01


def parents_of(system: System, n_atoms: int, relax: Relaxation) -> list[Atoms]:
    """Return the parents, relaxed, as supercells of one number of atoms.

    Parameters
    ----------
    system : System
        System.
    n_atoms : int
        Number of atoms.
    relax : Relaxation
        Its potential.

    Returns
    -------
    list of ase.Atoms
        Parents.

    Raises
    ------
    ValueError
        If the number does not fit a parent, or one does not relax.
    """
    found = []
    for name in system.parents:
        atoms = relax(prototype(name, system.element, system.bond))
        if atoms is None:
            raise ValueError(f"parents: {name} does not relax with this potential; use another")
        found.append(supercell(atoms, n_atoms))
    return found


def bred(
    system: System, method: str, parents: list[Atoms], number: int, seed: int, path: Path
) -> list[Atoms]:
    """Breed a library and return as many of its frames, in the order to relax them.

    landscape: PolymorphGen fills the empty cells of the landscape between sS of the parents and 0
    and Q6 of 0 and 1; of these frames, `multi_resolution` keeps one per cell in rounds from a
    coarse grid to a fine one, and in a round the order is random. blind: the same mutations
    of the same parents, without a target and at random, GENERATIONS in a row.

    Parameters
    ----------
    system : System
        System.
    method : {"landscape", "blind"}
        How.
    parents : list of ase.Atoms
        Parents.
    number : int
        Number of frames.
    seed : int
        Random seed.
    path : pathlib.Path
        Library; resumed if it is there.

    Returns
    -------
    list of ase.Atoms
        Frames, `number` or fewer.
    """
    calc = EntropySymmetry(**system.calc)
    sS = calc.evaluate(parents)["sS"]
    volumes = [atoms.get_volume() / len(atoms) for atoms in parents]
    common = {
        "genes": Genes(DISPLACEMENT * system.bond, VOLUME, SHAPE, RATE),
        "min_distance": SHORTEST * system.bond,
        "volume_limits": (STRETCH[0] * min(volumes), STRETCH[1] * max(volumes)),
        "angle_limits": (40.0, 140.0),
        "seed": seed,
    }
    rng = np.random.default_rng(seed)
    if method == "blind":
        gen = PolymorphGen(
            parents, calc, **NOWHERE, generations=GENERATIONS, fresh=0.0,
            individuals=math.ceil(number / GENERATIONS), **common,
        )  # fmt: skip
        table = gen.run(path)
        order = rng.permutation(len(table))
    else:
        window = (float(sS.min()) - 0.5, 0.0, 0.0, 1.0)
        gen = PolymorphGen(
            parents, calc, targets="grid", targets_per_edge=GRID, window=window,
            generations=GENERATIONS, fresh=0.0,
            individuals=math.ceil(SHARE * number / (GRID**2 * GENERATIONS)), **common,
        )  # fmt: skip
        table = gen.run(path)
        # cells of the finest grid are about as many as frames are asked for
        cell = np.array([window[1] - window[0], 1.0]) / math.ceil(math.sqrt(number))
        grids = [tuple(cell * 2**k) for k in reversed(range(ROUNDS))]
        kept = multi_resolution(table, grids)
        order = rng.permutation(len(table))
        # beyond one frame per cell come the others
        rank = np.where(kept < 0, ROUNDS, kept)
        order = order[np.argsort(rank[order], kind="stable")]
    frames = ase.io.read(path, index=":")
    return [frames[k] for k in order[:number]]


def drawn(
    points: np.ndarray, relaxed: list[np.ndarray], new: set[int], seed: list[int]
) -> list[int]:
    """Draw the frames of a library to relax, in their order.

    A frame is drawn with a probability that is proportional to (new + 1) / (relaxed + 2), the
    share of relaxations that gave a new crystal in its cell of the coarse grid. Frames in fine
    cells that were relaxed or drawn before come last.

    Parameters
    ----------
    points : (n, 2) float64
        sS and Q6 of the frames, in units of the fine cells.
    relaxed : list of (2,) float64
        The same of the frames that were relaxed before.
    new : set of int
        Places among `relaxed` of those that gave a new crystal.
    seed : list of int
        Random seed.

    Returns
    -------
    list of int
        Frames.
    """
    tried: dict[tuple[int, ...], list[int]] = {}
    for place, point in enumerate(relaxed):
        count = tried.setdefault(tuple(np.floor(point * COARSE / FINE).astype(int)), [0, 0])
        count[0] += place in new
        count[1] += 1
    weights = np.empty(len(points))
    for row, cell in enumerate(np.floor(points * COARSE / FINE).astype(int)):
        good, number = tried.get(tuple(cell), (0, 0))
        weights[row] = (good + 1) / (number + 2)
    # draws without replacement: the smallest of exponential numbers over the weights come first
    order = np.argsort(np.random.default_rng(seed).exponential(size=len(points)) / weights)
    taken = {tuple(np.floor(point).astype(int)) for point in relaxed}
    first, last = [], []
    for row in order:
        cell = tuple(np.floor(points[row]).astype(int))
        (last if cell in taken else first).append(int(row))
        taken.add(cell)
    return first + last


def grown(
    system: System, method: str, parents: list[Atoms], seed: int, path: Path,
    minima: list[Atoms | None],
) -> Iterator[Atoms]:  # fmt: skip
    """Breed in rounds, each from the crystals found before it, where crystals were found.

    A round is a PolymorphGen library of its own, with the parents and all distinct crystals so far
    as its parents, and ROUND relaxations of frames that `drawn` chooses. blindrounds: the same
    without the landscape, neither targets nor a choice of frames.

    Parameters
    ----------
    system : System
        System.
    method : {"rounds", "blindrounds"}
        How.
    parents : list of ase.Atoms
        Parents.
    seed : int
        Random seed.
    path : pathlib.Path
        Library; the number of the round is added to its name.
    minima : list of (ase.Atoms or None)
        What the relaxations found so far, which the caller adds to.

    Yields
    ------
    ase.Atoms
        Frame to relax.
    """
    calc = EntropySymmetry(**system.calc)
    cells = np.array([0.5 - float(calc.evaluate(parents)["sS"].min()), 1.0]) / FINE
    relaxed: list[np.ndarray] = []
    # energy, fingerprint, cell and place among the minima of each distinct crystal
    crystals: list[tuple[float, np.ndarray, Atoms, int]] = []
    lowest = np.inf
    k = 0
    while True:
        for place in range(max(0, k - 1) * ROUND, k * ROUND):
            atoms = minima[place]
            if atoms is None:
                continue
            energy = float(atoms.info["energy_per_atom"])
            lowest = min(lowest, energy)
            near = len(pairs(atoms, SHORTEST * system.bond)[0])
            if energy > lowest + system.window or dimension(atoms, system.reach) < 3 or near:
                continue
            mark = fingerprint(atoms)
            if not any(alike(energy, mark, *other[:2]) for other in crystals):
                crystal = Atoms(atoms.symbols, atoms.positions, cell=atoms.cell, pbc=True)
                niggli_reduce(crystal)  # a minimum may have a very oblique cell
                crystals.append((energy, mark, crystal, place))
        crystals = [one for one in crystals if one[0] <= lowest + system.window]
        some = parents + [one[2] for one in crystals]
        volumes = [atoms.get_volume() / len(atoms) for atoms in some]
        children = 4 * ROUND / ROUND_GENERATIONS
        if method == "rounds":
            aim = {
                "targets": "grid", "targets_per_edge": GRID,
                "window": (float(calc.evaluate(some)["sS"].min()) - 0.5, 0.0, 0.0, 1.0),
                "individuals": math.ceil(children / GRID**2),
            }  # fmt: skip
        else:
            aim = NOWHERE | {"individuals": math.ceil(children)}
        gen = PolymorphGen(
            some, calc, **aim, generations=ROUND_GENERATIONS, fresh=0.0,
            genes=Genes(ROUND_DISPLACEMENT * system.bond, *ROUND_GENES),
            min_distance=SHORTEST * system.bond,
            volume_limits=(STRETCH[0] * min(volumes), STRETCH[1] * max(volumes)),
            angle_limits=(40.0, 140.0), seed=seed + 1000 * k,
        )  # fmt: skip
        library = path.with_stem(f"{path.stem}_{k}")
        table = gen.run(library)
        points = np.column_stack([table.sS, table.Q])
        if method == "rounds":
            order = drawn(points / cells, relaxed, {one[3] for one in crystals}, [seed, k])
        else:
            order = np.random.default_rng([seed, k]).permutation(len(table)).tolist()
        frames = ase.io.read(library, index=":")
        for row in order[:ROUND]:
            relaxed.append(points[row] / cells)
            yield frames[row]
        k += 1


def random_cells(system: System, parents: list[Atoms], seed: int) -> Iterator[Atoms]:
    """Make random cells by ASE's StartGenerator, half of them of two equal parts.

    Parameters
    ----------
    system : System
        System.
    parents : list of ase.Atoms
        Parents, of which only the number of atoms and the volume count.
    seed : int
        Random seed.

    Yields
    ------
    ase.Atoms
        Cell.
    """
    from ase_ga.startgenerator import StartGenerator
    from ase_ga.utilities import CellBounds

    n = len(parents[0])
    number = int(parents[0].numbers[0])
    volumes = [atoms.get_volume() / n for atoms in parents]
    k = 0
    while True:
        rng = np.random.default_rng([seed, k])
        k += 1
        volume = n * rng.uniform(STRETCH[0] * min(volumes), STRETCH[1] * max(volumes))
        edge = volume ** (1 / 3)
        bounds = CellBounds(
            {"phi": [40, 140], "chi": [40, 140], "psi": [40, 140],
             "a": [0.4 * edge, 2.5 * edge], "b": [0.4 * edge, 2.5 * edge],
             "c": [0.4 * edge, 2.5 * edge]}
        )  # fmt: skip
        generator = StartGenerator(
            Atoms("", pbc=True), [(system.element, n)],
            {(number, number): SHORTEST * system.bond}, number_of_variable_cell_vectors=3,
            box_volume=volume, cellbounds=bounds,
            splits={(1,): 1, (2,): 1}, test_too_far=False,
            rng=np.random.RandomState(rng.integers(2**31)),
        )  # fmt: skip
        try:
            atoms = generator.get_new_candidate(maxiter=200)
        except AssertionError:  # a rare fault of ase-ga 1.0.3: atoms too close after all
            continue
        if atoms is not None:
            yield atoms


def symmetric_cells(system: System, parents: list[Atoms], seed: int) -> Iterator[Atoms]:
    """Make random crystals by PyXtal: any space group that has sites for so many atoms.

    The atoms are rattled a little. A relaxation from exact symmetry keeps it, and would end on
    saddles that the other methods leave.

    Parameters
    ----------
    system : System
        System.
    parents : list of ase.Atoms
        Parents, of which only the number of atoms counts; PyXtal sets the volume.
    seed : int
        Random seed.

    Yields
    ------
    ase.Atoms
        Conventional cell, with as many atoms as the parents.
    """
    from pyxtal import pyxtal

    n = len(parents[0])
    k = 0
    while True:
        rng = np.random.default_rng([seed, k])
        k += 1
        found = pyxtal()
        group = int(rng.integers(2, 231))
        try:
            found.from_random(
                3, group, [system.element], [n], factor=rng.uniform(0.8, 1.6),
                random_state=int(rng.integers(2**31)),
            )  # fmt: skip
        except Exception:  # a group without such sites
            continue
        if found.valid:
            atoms = found.to_ase()
            atoms = Atoms(atoms.symbols, atoms.positions, cell=atoms.cell, pbc=True)
            atoms.positions += rng.normal(0, RATTLE * system.bond, (len(atoms), 3))
            yield atoms


def written(atoms: Atoms, info: dict[str, object]) -> bytes:
    """Return a structure as a frame of extended XYZ.

    Parameters
    ----------
    atoms : ase.Atoms
        Structure.
    info : dict
        Entries of the comment line.

    Returns
    -------
    bytes
        Frame.
    """
    lattice = " ".join(f"{value:.10g}" for value in atoms.cell.array.ravel())
    entries = " ".join(f"{key}={value}" for key, value in info.items())
    rows = "".join(
        f"{symbol} {x:.10g} {y:.10g} {z:.10g}\n"
        for symbol, (x, y, z) in zip(atoms.symbols, atoms.positions, strict=True)
    )
    head = f'{len(atoms)}\nLattice="{lattice}" Properties=species:S:1:pos:R:3 pbc="T T T" {entries}'
    return f"{head}\n{rows}".encode()


def main() -> None:
    """Read the command line and search."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("system", choices=SYSTEMS, help="of systems.py")
    parser.add_argument("method", choices=METHODS)
    parser.add_argument("--seed", type=int, default=1, help="%(default)s")
    parser.add_argument("--number", type=int, default=1000, help="of relaxations (%(default)s)")
    parser.add_argument("--atoms", type=int, default=8, help="in the cell (%(default)s)")
    parser.add_argument("--output", type=Path, default=Path("runs"), help="folder (%(default)s)")
    args = parser.parse_args()
    if args.number < 1 or args.seed < 0 or args.atoms < 1:
        parser.error(
            f"--number {args.number} --seed {args.seed} --atoms {args.atoms}: number and atoms "
            "must be 1 or more, seed 0 or more"
        )
    system = SYSTEMS[args.system]
    args.output.mkdir(parents=True, exist_ok=True)
    name = f"{args.system}_{args.atoms}_{args.method}_{args.seed}"
    relax = Relaxation(system.commands, system.element)
    minima: list[Atoms | None] = []
    try:
        parents = parents_of(system, args.atoms, relax)
        if args.method in ("landscape", "blind"):
            library = args.output / f"library_{name}_{args.number}.extxyz"
            starts = iter(bred(system, args.method, parents, args.number, args.seed, library))
        elif args.method in ("rounds", "blindrounds"):
            library = args.output / f"library_{name}.extxyz"
            starts = grown(system, args.method, parents, args.seed, library, minima)
        elif args.method == "random":
            starts = random_cells(system, parents, args.seed)
        else:
            starts = symmetric_cells(system, parents, args.seed)
        # the packages that only one method needs are imported here
        starts = chain([next(starts)], starts)
    except (OSError, ValueError) as error:
        parser.error(str(error))
    except ImportError as error:
        parser.error(f"a package is missing ({error}): pip install 'entsym[crystals]'")
    output = args.output / f"{name}.extxyz"
    with FrameFile(output) as file:
        done, end = 0, 0
        for frame in file:
            if not frame.complete:
                break
            done, end = done + 1, frame.end
        file.cut(end)
        if done:
            minima += [
                atoms if np.isfinite(atoms.info["energy_per_atom"]) else None
                for atoms in ase.io.read(output, index=":")
            ]
        for k in tqdm(range(args.number), initial=0, unit=" relaxations", desc=name):
            start = next(starts, None)
            if start is None:
                print(f"the library has {k} frames, fewer than --number {args.number}")
                break
            if k < done:
                continue
            found = relax(start)
            energy = math.nan if found is None else found.info["energy"] / len(found)
            # what did not converge counts as a relaxation too
            info = {"relaxation": k, "energy_per_atom": f"{energy:.10g}"}
            text = written(start if found is None else found, info)
            file.append(text)
            # as an interrupted search reads it
            stored = ase.io.read(StringIO(text.decode()), format="extxyz")
            minima.append(None if found is None else stored)
    print(f"{output}: {minima.count(None)} of {len(minima)} relaxations did not converge")


if __name__ == "__main__":
    main()
