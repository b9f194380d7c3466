#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Write the published sets of mlearn and maml as extended XYZ.

python make.py mlearn/data/Mo/training.json Mo_training.extxyz.xz
python make.py maml/mvl_models/pes/MoNbTaW/training/Mo_AIMD.json ../maml_mo/Mo_AIMD.extxyz.xz

Positions in Å, energies in eV, forces in eV/Å. The stresses of the sources are in kbar and positive
if compressed; the one written is ASE's: eV/Å^3, dE/d(strain) / volume, as the nine components that
extended XYZ has. The order of the sources is not the same everywhere, see `ORDERS`.
"""

import json
import lzma
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
from ase import Atoms, units
from ase.calculators.singlepoint import SinglePointCalculator

KBAR = 0.1 * units.GPa
# places of yz, xz, xy in the six numbers: VASP's order is xx yy zz xy yz zx, which maml's set has,
# and mlearn's elastic cells and surfaces of silicon; all others of mlearn have xx yy zz xy xz yz.
# Shears of known direction show it and, in other frames, published potentials.
ORDERS = {"vasp": [0, 1, 2, 4, 5, 3], "mlearn": [0, 1, 2, 5, 4, 3]}


def frame_of(entry: Mapping[str, Any]) -> Atoms:
    """Return an entry of the source as a frame.

    Parameters
    ----------
    entry : dict
        Entry.

    Returns
    -------
    ase.Atoms
        Frame with energy, forces and stress; ``info`` has group, description and, of molecular
        dynamics, temperature (K).
    """
    structure, outputs = entry["structure"], entry["outputs"]
    sites = structure["sites"]
    atoms = Atoms(
        [site["species"][0]["element"] for site in sites],
        [site["xyz"] for site in sites],
        cell=structure["lattice"]["matrix"],
        pbc=True,
    )
    stress, order = outputs.get("stress"), ORDERS["vasp"]
    if stress is None:  # of mlearn
        stress = outputs["virial_stress"]
        if (entry["element"], entry["group"]) not in (("Si", "Elastic"), ("Si", "Surface")):
            order = ORDERS["mlearn"]
    atoms.calc = SinglePointCalculator(
        atoms, energy=outputs["energy"], forces=np.array(outputs["forces"]),
        stress=-KBAR * np.array(stress)[order],
    )  # fmt: skip
    tags = entry.get("notes", {})
    dynamics = any(tag.startswith("Md") for tag in tags)
    atoms.info["group"] = "AIMD-NVT" if dynamics else entry.get("group")
    atoms.info["description"] = entry.get("description") or " ".join(map(str, tags.values()))
    found = re.search(r"(\d+) K\b|^(\d+)-\d+$", atoms.info["description"])
    if found:
        atoms.info["temperature"] = int(found[1] or found[2])
    return atoms


def main() -> None:
    """Convert one file."""
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    source, target = map(Path, sys.argv[1:])
    frames = [frame_of(entry) for entry in json.loads(source.read_text())]
    with lzma.open(target, "wt", encoding="utf-8") as file:
        ase.io.write(file, frames, format="extxyz")
    print(f"{target}: {len(frames)} frames, {sum(map(len, frames))} atoms")


if __name__ == "__main__":
    main()
