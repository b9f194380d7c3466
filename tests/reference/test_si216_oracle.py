# SPDX-License-Identifier: BSD-3-Clause
"""Kernel and ASE give the oracle's numbers of the 24 silicon frames."""

from pathlib import Path

import numpy as np
import pytest

from ase_calculators import EntropySymmetry, LandscapeTable, map_landscape

HERE = Path(__file__).parent


@pytest.mark.parametrize("processes", [1, 2])
def test_si216(processes):
    oracle = LandscapeTable.read(HERE / "si216_oracle.csv")
    calc = EntropySymmetry(rmax=7.0, sigma=0.125, q6_cutoff=3.6)
    assert calc.todict() == pytest.approx(oracle.parameters)
    source = str(HERE / "si216" / "POSCAR_*.vasp")
    table = map_landscape(source, calc, processes=processes, progress=False)
    assert [Path(file).name for file in table.file] == oracle.file.tolist()
    np.testing.assert_allclose(table.sS, oracle.sS, rtol=2e-10)
    np.testing.assert_allclose(table.Q6, oracle.Q6, rtol=1e-12)
    np.testing.assert_allclose(table.volume, oracle.volume)
