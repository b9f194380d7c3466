#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Choose frames by QUESTS, in an environment of its own: pip install quests.

python peers.py results/Mo/pool.extxyz results/Mo/QUESTS.choice.json 25 50 100 200

selection.py, which writes the pool, then tests these choices too. Run time: a minute.
D. Schwalbe-Koda et al., Nature Communications 16, 4014 (2025), doi:10.1038/s41467-025-59232-0.
"""

import json
import sys
from pathlib import Path

import ase.io
import numpy as np


def main() -> None:
    """Choose frames of each number by QUESTS's minimum set coverage of its descriptors."""
    if len(sys.argv) < 4:
        raise SystemExit(__doc__)
    from quests.compression.fps import msc
    from quests.descriptor import get_descriptors
    from quests.entropy import entropy

    frames = ase.io.read(sys.argv[1], ":")
    descriptors = [get_descriptors([atoms]) for atoms in frames]
    entropies = np.array([entropy(x) for x in descriptors])
    found = {}
    for number in map(int, sys.argv[3:]):
        if number < len(frames):
            chosen = msc(list(descriptors), entropies, number)
            found[str(number)] = [int(k) for k in chosen]
    Path(sys.argv[2]).write_text(json.dumps(found))


if __name__ == "__main__":
    main()
