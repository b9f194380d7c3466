# SPDX-License-Identifier: BSD-3-Clause
"""The numbers published with the silicon frames follow from the convention of their scripts."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from ase.io import read

from cython_core import Kernel

HERE = Path(__file__).parent
spec = importlib.util.spec_from_file_location("convention", HERE / "published_convention.py")
convention = importlib.util.module_from_spec(spec)
spec.loader.exec_module(convention)


@pytest.mark.parametrize("name", convention.published())
def test_published_numbers(name):
    atoms = read(HERE / "si216" / f"{name}.vasp")
    sS, Q6 = convention.published()[name]
    # nine decimals were published
    assert convention.pair_entropy(atoms) == pytest.approx(sS, abs=2e-9)
    assert convention.mean_local_q6(atoms) == pytest.approx(Q6, abs=2e-9)


def test_published_q6_is_the_mean_of_the_local_one():
    """The kernel gives the published Q6 as a mean of local values, and another global one."""
    atoms = read(HERE / "si216" / "POSCAR_211.vasp")
    kernel = Kernel(rmax=4.0, sigma=0.1, q6_cutoff=convention.Q6_CUTOFF)
    structure = atoms.positions, atoms.cell.array, atoms.pbc
    local = kernel.local(*structure)["Q"]
    assert np.mean(local) == pytest.approx(convention.published()["POSCAR_211"][1], abs=2e-9)
    assert kernel.evaluate(*structure)[1] < 0.3 * np.mean(local)
