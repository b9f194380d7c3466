#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Melt a nanoparticle of GeTe in vacuum and cool the droplet, with a universal potential.

python gete.py
python gete.py --model /path/to/TensorNet-MatPES-PBE-v2025.1-PES

Writes gete.xyz, a frame each 20 fs with energy, temperature and positions, and continues it where
it ends if it is started again. 64 atoms and 1,200 steps take about 5 minutes of a core.
"""

import argparse
import sys
from pathlib import Path

import ase.io
import numpy as np
from ase import Atoms, units
from ase.build import bulk
from ase.md.langevin import Langevin
from ase.md.velocitydistribution import MaxwellBoltzmannDistribution, Stationary, ZeroRotation

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import universal

# Å, rock salt; measured 6.01 at the Curie point
LATTICE = 6.0
# Å of vacuum about the particle
VACUUM = 8.0


def particle(edge: int) -> Atoms:
    """Return a cube of rock-salt GeTe in vacuum, as many Ge as Te.

    Parameters
    ----------
    edge : int
        Atoms along an edge, even.

    Returns
    -------
    ase.Atoms
        edge^3 atoms, not periodic, in the middle of a cell.
    """
    atoms = bulk("GeTe", "rocksalt", a=LATTICE, cubic=True).repeat(edge // 2)
    atoms.center(vacuum=VACUUM)
    atoms.pbc = False
    return atoms


def temperature(step: int, steps: int, hot: float, cold: float) -> float:
    """Return the temperature of the thermostat at a step.

    Parameters
    ----------
    step, steps : int
        Step and total number of steps.
    hot, cold : float
        Highest and lowest temperature, K.

    Returns
    -------
    float
        From `cold` to `hot` in the first 0.4 of the run, `hot` for 0.1, then back to `cold`, K.
    """
    return float(np.interp(step / steps, [0.0, 0.4, 0.5, 1.0], [cold, hot, hot, cold]))


def main() -> None:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    universal.add_arguments(parser)
    parser.add_argument("--edge", type=int, default=4, help="atoms along an edge (%(default)s)")
    parser.add_argument("--steps", type=int, default=1200, help="steps of 4 fs (%(default)s)")
    parser.add_argument("--every", type=int, default=5, help="steps per frame (%(default)s)")
    parser.add_argument("--hot", type=float, default=1600.0, help="K (%(default)s)")
    parser.add_argument("--cold", type=float, default=300.0, help="K (%(default)s)")
    parser.add_argument("--seed", type=int, default=4711)
    parser.add_argument("--output", type=Path, default=Path("gete.xyz"))
    args = parser.parse_args()
    if args.edge < 2 or args.edge % 2:
        parser.error(f"edge = {args.edge}: must be even and at least 2")
    calc = universal.load(args, parser)
    done = 0
    if args.output.exists():
        atoms = ase.io.read(args.output, index=-1)
        done = int(atoms.info["step"]) + args.every
    rng = np.random.default_rng(args.seed + done)
    if done == 0:
        atoms = particle(args.edge)
        MaxwellBoltzmannDistribution(atoms, temperature_K=2 * args.cold, rng=rng)
        Stationary(atoms)
        ZeroRotation(atoms)
    atoms.calc = calc
    dynamics = Langevin(
        atoms, 4 * units.fs, temperature_K=args.cold, friction=0.01 / units.fs, rng=rng,
        fixcm=False,
    )  # fmt: skip
    for step in range(done, args.steps + 1, args.every):
        if step > 0:
            dynamics.set_temperature(
                temperature_K=temperature(step, args.steps, args.hot, args.cold)
            )
            dynamics.run(args.every)
        Stationary(atoms)
        atoms.info["step"] = step
        atoms.info["temperature"] = atoms.get_temperature()
        universal.append_frame(args.output, atoms)
    print(f"{args.output}: up to step {args.steps}")


if __name__ == "__main__":
    main()
