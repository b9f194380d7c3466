#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Write what a universal potential predicts, in an environment of its own that has only matgl.

python zero_shot.py TensorNet-MatPES-PBE-v2025.1-PES ../../tests/reference/mlearn/Mo_test.extxyz.xz "results/Mo/TensorNet (zero-shot).npz"
python zero_shot.py TensorNet-MatPES-PBE-v2025.1-PES results/Mo/pool.extxyz results/Mo/peers/pool.npz --features

published.py reads the predictions. --features: in their place the features of each frame, for
DIRECT in peers.py: means over the atoms of TensorNet's last layer before the energy. Run time of one
core: half a minute.
"""  # noqa: E501

import argparse
import time
from pathlib import Path

import ase.io
import numpy as np


def main() -> None:
    """Predict energies and forces, and measure the processor time; or write features."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", help="name or folder of a TensorNet of matgl")
    parser.add_argument("frames", help="file of the frames")
    parser.add_argument("output", type=Path, help="file that is written")
    parser.add_argument("--features", action="store_true", help="features, not predictions")
    args = parser.parse_args()
    import matgl
    from matgl.ext.ase import PESCalculator

    potential = matgl.load_model(args.model)
    model = PESCalculator(potential=potential, stress_weight=1 / 160.21766208)
    potential.calc_forces = potential.calc_forces and not args.features
    potential.calc_stresses = potential.calc_stresses and not args.features
    energies, forces, features, used = [], [], [], 0.0
    known = ase.io.read(args.frames, ":")
    for atoms in known:
        atoms.calc = model
        start = time.process_time()
        energies.append(atoms.get_potential_energy())
        if not args.features:
            forces.append(atoms.get_forces())
        used += time.process_time() - start
        features.append(potential.model.feature_dict["readout"].detach().numpy().mean(axis=0))
    args.output.parent.mkdir(parents=True, exist_ok=True)
    each = 1e6 * used / sum(map(len, known))
    if args.features:
        np.savez(args.output, features=features)
    else:
        np.savez(args.output, energy=energies, forces=np.concatenate(forces), microseconds=each)
    print(f"{args.output}: {len(known)} frames, {each:.0f} µs per atom")


if __name__ == "__main__":
    main()
