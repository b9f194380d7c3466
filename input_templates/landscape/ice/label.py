#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Label each frame of ice.dump as ice, water or both by CHILL+, without sS and Q6.

python label.py ice.dump --output labels.csv

CHILL+ tells ice from water by the order of the four bonds of each molecule (A. H. Nguyen and
V. Molinero, J. Phys. Chem. B 119, 9369 (2015)). OVITO is needed: pip install 'entsym[analysis]'.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from labels import write_labels

# Å, the first minimum of g(r) of water and ice
CUTOFF = 3.5
# fraction of ice molecules, cubic and hexagonal, above and below which a frame is one phase
ICE, WATER = 0.75, 0.15


def ice_fractions(path: Path) -> list[float]:
    """Return the fraction of molecules in cubic or hexagonal ice in each frame of a dump.

    Parameters
    ----------
    path : pathlib.Path
        The dump, one particle per molecule.

    Returns
    -------
    list of float
        Fractions, a frame each.
    """
    from ovito.io import import_file
    from ovito.modifiers import ChillPlusModifier

    pipeline = import_file(path)
    pipeline.modifiers.append(ChillPlusModifier(cutoff=CUTOFF))
    fractions = []
    for frame in range(pipeline.source.num_frames):
        data = pipeline.compute(frame)
        counts = (
            data.attributes[f"ChillPlus.counts.{name}_ICE"] for name in ("CUBIC", "HEXAGONAL")
        )
        fractions.append(sum(counts) / data.particles.count)
    return fractions


def main() -> None:
    """Read the command line and write the labels."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dump", type=Path)
    parser.add_argument("--output", type=Path, default=Path("labels.csv"))
    args = parser.parse_args()
    if not args.dump.exists():
        parser.error(f"dump = {args.dump}: no such file; run in.ice first")
    try:
        import ovito  # noqa: F401
    except ImportError as error:
        parser.error(f"OVITO cannot be loaded ({error}): pip install 'entsym[analysis]'")
    fractions = ice_fractions(args.dump)
    phases = ["ice" if f >= ICE else "water" if f <= WATER else "both" for f in fractions]
    write_labels(args.output, phases, {"ice_fraction": fractions})
    print({phase: phases.count(phase) for phase in sorted(set(phases))}, f"table {args.output}")


if __name__ == "__main__":
    main()
