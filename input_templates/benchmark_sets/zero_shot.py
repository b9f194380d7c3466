#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Write the predictions of a universal potential, in an environment of its own that has only matgl.

python zero_shot.py TensorNet-MatPES-PBE-v2025.1-PES Mo_test.extxyz.xz results/Mo/TensorNet.npz

published.py reads the predictions. Run time: half a minute.
"""

import sys
import time

import ase.io
import numpy as np


def main() -> None:
    """Predict energies and forces, and measure the processor time."""
    if len(sys.argv) != 4:
        raise SystemExit(__doc__)
    import matgl
    from matgl.ext.ase import PESCalculator

    model = PESCalculator(potential=matgl.load_model(sys.argv[1]), stress_weight=1 / 160.21766208)
    energies, forces, used = [], [], 0.0
    known = ase.io.read(sys.argv[2], ":")
    for atoms in known:
        atoms.calc = model
        start = time.process_time()
        energies.append(atoms.get_potential_energy())
        forces.append(atoms.get_forces())
        used += time.process_time() - start
    each = 1e6 * used / sum(map(len, known))
    np.savez(sys.argv[3], energy=energies, forces=np.concatenate(forces), microseconds=each)
    print(f"{sys.argv[3]}: {len(known)} frames, {each:.0f} µs per atom")


if __name__ == "__main__":
    main()
