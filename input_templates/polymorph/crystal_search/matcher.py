#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Check the fingerprint by which compare.py tells crystals apart against pymatgen.

python matcher.py si_sw runs/si_sw_8_random_1.extxyz

compares each two relaxed structures of a run whose energies differ by less than ENERGY, by both.
Needs pymatgen: pip install 'entsym[crystals]'.
"""

import argparse
from pathlib import Path

import ase.io
import numpy as np
from crystals import ENERGY, alike, dimension, fingerprint
from systems import SYSTEMS
from tqdm import tqdm

# tolerances of StructureMatcher: lengths as a share, positions in units of the cube root of the
# volume per atom, angles in degrees; the lengths are not scaled
LENGTH, POSITION, ANGLE = 0.05, 0.1, 2.0


def main() -> None:
    """Read the command line and compare."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("system", choices=SYSTEMS, help="of systems.py")
    parser.add_argument("run", type=Path, help="file of search.py")
    parser.add_argument("--number", type=int, default=200, help="of structures (%(default)s)")
    args = parser.parse_args()
    try:
        from pymatgen.analysis.structure_matcher import StructureMatcher
        from pymatgen.io.ase import AseAtomsAdaptor
    except ImportError as error:
        parser.error(f"pymatgen cannot be loaded ({error}): pip install 'entsym[crystals]'")
    system = SYSTEMS[args.system]
    try:
        frames = ase.io.read(args.run, index=f":{args.number}")
    except OSError as error:
        parser.error(str(error))
    energies = np.array([atoms.info["energy_per_atom"] for atoms in frames], dtype=float)
    limit = np.nanmin(energies) + system.window
    kept = [
        k for k in range(len(frames))
        if energies[k] <= limit and dimension(frames[k], system.reach) == 3
    ]  # fmt: skip
    marks = {k: fingerprint(frames[k]) for k in kept}
    matcher = StructureMatcher(
        ltol=LENGTH, stol=POSITION, angle_tol=ANGLE, scale=False, primitive_cell=True
    )
    structures = {k: AseAtomsAdaptor.get_structure(frames[k]) for k in kept}
    pairs = [
        (i, j) for i in kept for j in kept if i < j and abs(energies[i] - energies[j]) < ENERGY
    ]
    count = np.zeros((2, 2), dtype=int)
    for i, j in tqdm(pairs, unit=" pairs"):
        ours = alike(energies[i], marks[i], energies[j], marks[j])
        count[int(ours), int(matcher.fit(structures[i], structures[j]))] += 1
    print(f"{len(kept)} structures, {len(pairs)} pairs closer than {1e3 * ENERGY:g} meV per atom: "
          f"one crystal by both {count[1, 1]}, two by both {count[0, 0]}, one only by the "
          f"fingerprint {count[1, 0]}, one only by StructureMatcher {count[0, 1]}")  # fmt: skip


if __name__ == "__main__":
    main()
