#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Choose frames by QUESTS or by DIRECT, in an environment of their own: pip install quests maml.

python peers.py QUESTS results/Mo/pool.extxyz results/Mo/QUESTS.choice.json 25 50 100 200
python peers.py DIRECT results/Mo/peers/pool.npz results/Mo/DIRECT.choice.json 25 50 100 200

selection.py, which writes the pool, then tests these choices too. QUESTS has descriptors of its
own. DIRECT is given the features that zero_shot.py writes: means over the atoms of the last layer
of TensorNet. It takes a frame of each cluster that it finds. Run time: a minute.
D. Schwalbe-Koda et al., Nature Communications 16, 4014 (2025), doi:10.1038/s41467-025-59232-0;
J. Qi et al., npj Computational Materials 10, 43 (2024), doi:10.1038/s41524-024-01227-4.
"""

import json
import sys
from pathlib import Path

import numpy as np


def by_quests(path: str, numbers: list[int]) -> dict[str, list[int]]:
    """Choose frames by QUESTS's minimum set coverage of its descriptors.

    Parameters
    ----------
    path : str
        File of the pool.
    numbers : list of int
        Numbers of frames.

    Returns
    -------
    dict of str to list of int
        Frames of the pool for each number.
    """
    import ase.io
    from quests.compression.fps import msc
    from quests.descriptor import get_descriptors
    from quests.entropy import entropy

    descriptors = [get_descriptors([atoms]) for atoms in ase.io.iread(path)]
    entropies = np.array([entropy(x) for x in descriptors])
    return {
        str(number): [int(k) for k in msc(list(descriptors), entropies, number)]
        for number in numbers if number < len(descriptors)
    }  # fmt: skip


def by_direct(path: str, numbers: list[int]) -> dict[str, list[int]]:
    """Choose frames by maml's DIRECT sampler, one of each cluster.

    Parameters
    ----------
    path : str
        File of the features, as zero_shot.py writes it.
    numbers : list of int
        Numbers of frames.

    Returns
    -------
    dict of str to list of int
        Frames of the pool for each number.
    """
    from maml.sampling.direct import BirchClustering, DIRECTSampler, SelectKFromClusters

    features = np.load(path)["features"]
    found = {}
    for number in numbers:
        if number >= len(features):
            continue
        sampler = DIRECTSampler(
            structure_encoder=None, clustering=BirchClustering(n=number),
            select_k_from_clusters=SelectKFromClusters(k=1),
        )  # fmt: skip
        chosen = [int(k) for k in sampler.fit_transform(features)["selected_indexes"]]
        print(f"DIRECT: {len(chosen)} of {number}", flush=True)
        found[str(number)] = chosen
    return found


def main() -> None:
    """Choose frames and write their numbers."""
    if len(sys.argv) < 5 or sys.argv[1] not in ("QUESTS", "DIRECT"):
        raise SystemExit(__doc__)
    choose = by_quests if sys.argv[1] == "QUESTS" else by_direct
    found = choose(sys.argv[2], [int(number) for number in sys.argv[4:]])
    Path(sys.argv[3]).write_text(json.dumps(found))


if __name__ == "__main__":
    main()
