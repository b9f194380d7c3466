#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Learn a dilute alloy: how many cells with an atom of rhenium does a student of iridium need?

python rhenium.py results

Learns iridium from all its labels in tests/reference/ir_pbe. Rhenium's coefficients are iridium's
and a difference, which is learned from 0, 2, 4, ... of the cells with one atom of rhenium, drawn at
random; the others are the test. Energies are compared after one shift for each element, since a
student that saw no rhenium has no zero for it. Beside them: iridium's own test cells. Writes
rhenium_KIND.json, .md.

Run time of one core: 10 s.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from learning import Learning
from reference_sets import DATA, LEARNED, read_sets
from wide_or_even import spread

from ase_calculators.distillation.linear_students import KINDS, Equations
from ase_calculators.provenance import atomic_write, write_json

ELEMENTS = ("Ir", "Re")


def differ(learning: Learning, pure: np.ndarray, rows: list[int], ridge: float) -> np.ndarray:
    """Return a student of both elements, rhenium's coefficients being iridium's and a difference.

    Parameters
    ----------
    learning : Learning
        The frames.
    pure : (n,) float64 ndarray
        Coefficients of iridium.
    rows : list of int
        Numbers of the frames with rhenium.
    ridge : float
        As in `Equations.fit`, of the differences.

    Returns
    -------
    (2 n,) float64 ndarray
        Student.
    """
    both, n = np.concatenate((pure, pure)), len(pure)
    if not rows:
        return both
    matrices = [learning.equations.matrices[k] for k in rows]
    off = [learning.equations.targets[k] - matrix @ both for k, matrix in zip(rows, matrices)]
    # the zero of rhenium's energy is free: the ridge keeps only what is beyond it small
    zeros = [matrix[0, n] for matrix in matrices]
    zero = np.linalg.lstsq(np.c_[zeros], [error[0] for error in off], rcond=None)[0][0]
    both[n] += zero
    settings = learning.equations.settings | {"ridge": ridge}
    difference = Equations(learning.kind, ["Re"], settings)
    difference.matrices = [matrix[:, n:] for matrix in matrices]
    difference.targets = [learning.equations.targets[k] - matrix @ both
                          for k, matrix in zip(rows, matrices)]  # fmt: skip
    difference.shares = [1.0] * len(rows)
    both[n:] += difference.fit()
    return both


def tested(learning: Learning, fit: np.ndarray, rows: list[int], shares: np.ndarray) -> dict:
    """Return root mean square errors after one shift of the energy for each element.

    Parameters
    ----------
    learning : Learning
        The frames.
    fit : (n_coefficients,) float64 ndarray
        Student.
    rows : list of int
        Numbers of the test frames.
    shares : (n_frames, 2) float64 ndarray
        Share of each element in them.

    Returns
    -------
    dict of str to float
        "energy", meV/atom, and "forces", meV/Å.
    """
    off = [learning.equations.matrices[k] @ fit - learning.equations.targets[k] for k in rows]
    energies = np.array([error[0] for error in off])
    shift = np.linalg.lstsq(shares, energies, rcond=None)[0]
    forces = np.concatenate([error[7:] for error in off])
    return {
        "energy": 1e3 * float(np.sqrt(np.mean((energies - shares @ shift) ** 2))),
        "forces": 1e3 * float(np.sqrt(np.mean(forces**2))),
    }


def main() -> None:
    """Read the command line, learn, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("folder", type=Path, help="where everything is written")
    add("--data", type=Path, default=DATA, help="folder of ir_pbe (%(default)s)")
    add("--kind", choices=KINDS, default="snap", help="(%(default)s)")
    add("--profile", default="small", help="(%(default)s)")
    add("--ridge", type=float, default=1.0, help="of the differences (%(default)s)")
    add("--tests", type=int, default=8, help="test cells of each draw (%(default)s)")
    add("--draws", type=int, default=10, help="(%(default)s)")
    args = parser.parse_args()
    [labelled] = read_sets(parser, args.data, "ir_pbe/labels.extxyz")
    alloy = [atoms for atoms in labelled if atoms.info["part"] == "rhenium"]
    if not 1 <= args.tests <= len(alloy) - 2:
        parser.error(f"--tests {args.tests}: must be 1 to {len(alloy) - 2}, the cells less two")
    if args.draws < 1:
        parser.error(f"--draws {args.draws}: must be at least 1")
    if args.ridge < 0:
        parser.error(f"--ridge {args.ridge:g}: must be 0 or more")
    try:
        learning = Learning(args.kind, args.profile, ELEMENTS)
    except ValueError as error:
        parser.error(str(error))
    pure = learning.add([a for a in labelled if a.info["part"] in LEARNED])
    iridium = learning.equations.fit(pure)
    iridium = iridium[: len(iridium) // 2]
    test = learning.add([a for a in labelled if a.info["part"] == "test"])
    rows = learning.add(alloy)
    shares = np.array([[np.mean(a.symbols == element) for element in ELEMENTS] for a in alloy])
    records: list[dict[str, Any]] = []
    for seed in range(args.draws):
        order = np.random.default_rng([seed, 7]).permutation(len(alloy))
        held, rest = order[: args.tests], order[args.tests :]
        for n in range(0, len(rest) + 1, 2):
            fit = differ(learning, iridium, [rows[k] for k in rest[:n]], args.ridge)
            errors = tested(learning, fit, [rows[k] for k in held], shares[held])
            records.append({"draw": seed, "n": n, "errors": errors})
    lines = ["| cells with rhenium | meV/atom | meV/Å |", "|---|---|---|"]
    own = tested(learning, np.concatenate((iridium, 0 * iridium)), test, np.ones((len(test), 1)))
    lines.append(f"| test cells of iridium | {own['energy']:.0f} | {own['forces']:.0f} |")
    for n in dict.fromkeys(record["n"] for record in records):
        found = [record["errors"] for record in records if record["n"] == n]
        cells = [spread([errors[q] for errors in found], 0) for q in ("energy", "forces")]
        lines.append(f"| {n} | {' | '.join(cells)} |")
    text = "\n".join(lines) + "\n"
    args.folder.mkdir(parents=True, exist_ok=True)
    settings = {"kind": args.kind, "profile": str(args.profile), "ridge": args.ridge,
                "pure": len(pure), "own": own}  # fmt: skip
    write_json(args.folder / f"rhenium_{args.kind}.json", settings | {"records": records})
    with atomic_write(args.folder / f"rhenium_{args.kind}.md") as file:
        file.write(text)
    print(text)


if __name__ == "__main__":
    main()
