# SPDX-License-Identifier: BSD-3-Clause
"""Write si216_oracle.csv: sS and Q6 of the silicon frames by the oracle, for every host.

Run it again only if the definition changes: ``python tests/reference/si216_oracle.py``.
"""

from pathlib import Path

import numpy as np
from ase.io import read

from ase_calculators import LandscapeTable
from cython_core.reference import Reference

HERE = Path(__file__).parent
PARAMETERS = dict(rmax=7.0, sigma=0.125, q6_cutoff=3.6)

if __name__ == "__main__":
    oracle = Reference(**PARAMETERS)
    paths = sorted((HERE / "si216").glob("POSCAR_*.vasp"))
    frames = [read(path) for path in paths]
    values = [oracle.evaluate(a.positions, a.cell.array, a.pbc) for a in frames]
    sS, Q6 = np.transpose(values)
    LandscapeTable(
        frame=np.zeros(len(frames)),
        file=[path.name for path in paths],
        sS=sS,
        Q=Q6,
        n_atoms=[len(a) for a in frames],
        volume=[a.cell.volume for a in frames],
        energy=np.full(len(frames), np.nan),
        parameters={**oracle.parameters, "elements": None, "number_density": None},
    ).write(HERE / "si216_oracle.csv")
