#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Measure the processor time of first-principles labels of small silicon cells, with GPAW.

python dft_cost.py results

Each label (energy, forces and stress: PBE, 600 eV, smearing 0.05 eV) is a line of dft.jsonl. An
interrupted run resumes with the label that it was in.
"""

import argparse
import time
from pathlib import Path

import numpy as np
from ase.build import bulk

from ase_calculators.provenance import add_json_line, json_lines


def main() -> None:
    """Label cells of eight atoms with several meshes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="where dft.jsonl is written")
    parser.add_argument("--cutoff", type=float, default=600.0, help="eV (%(default)s)")
    parser.add_argument(
        "--meshes", type=int, nargs="+", default=(1, 2, 3, 5),
        help="k-points along each edge; 1 is Gamma, 5 the mesh of the paper (%(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--rattle", type=float, nargs="+", default=(0.05, 0.1, 0.2),
        help="displacements of the cells, Å (%(default)s)",
    )  # fmt: skip
    parser.add_argument("--primitive", action="store_true", help="cells of two atoms")
    args = parser.parse_args()
    try:
        from gpaw import GPAW, PW
    except ImportError:
        raise SystemExit("dft_cost.py needs GPAW: pip install gpaw, see autodft") from None

    args.folder.mkdir(parents=True, exist_ok=True)
    path = args.folder / "dft.jsonl"
    known = {(r["rattle"], r["mesh"], r["n_atoms"]) for r in json_lines(path)}
    for mesh in args.meshes:
        for k, rattle in enumerate(args.rattle):
            atoms = bulk("Si", "diamond", a=5.431, cubic=not args.primitive)
            atoms.rattle(rattle, seed=k + 1)
            if (rattle, mesh, len(atoms)) in known:
                continue
            start = time.process_time()
            atoms.calc = GPAW(
                mode=PW(args.cutoff), xc="PBE", kpts={"size": (mesh,) * 3, "gamma": True},
                occupations={"name": "methfessel-paxton", "order": 0, "width": 0.05}, txt=None,
            )  # fmt: skip
            record = {
                "rattle": rattle, "mesh": mesh, "n_atoms": len(atoms), "cutoff": args.cutoff,
                "energy": atoms.get_potential_energy() / len(atoms),
                "force": float(np.abs(atoms.get_forces()).max()),
                "pressure": float(-atoms.get_stress()[:3].mean()),
                "k_points": len(atoms.calc.get_ibz_k_points()),
            }  # fmt: skip
            record["seconds"] = time.process_time() - start
            add_json_line(path, record)
    print("k-points  atoms  labels  processor time (s, median)")
    records = list(json_lines(path))
    for mesh, n in sorted({(r["mesh"], r["n_atoms"]) for r in records}):
        some = [r for r in records if (r["mesh"], r["n_atoms"]) == (mesh, n)]
        seconds = np.median([r["seconds"] for r in some])
        print(f"{some[0]['k_points']:8d}{n:7d}{len(some):8d}{seconds:12.1f}")


if __name__ == "__main__":
    main()
