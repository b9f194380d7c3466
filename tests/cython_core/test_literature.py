# SPDX-License-Identifier: BSD-3-Clause
"""Values of perfect crystals and simple clusters from the literature, for kernel and oracle.

The Steinhardt values are those of Mickel et al., doi:10.1063/1.4774084, and Lechner and Dellago,
doi:10.1063/1.2977970, to more digits; the entropies were computed independently on a fine grid.
"""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from cython_core import Kernel
from cython_core.reference import Reference

ROOT = np.sqrt(8 / 3)


def lonsdaleite():
    """Hexagonal diamond with ideal tetrahedra, bond length 1.54 Å."""
    bond = 1.54
    a, c = bond * ROOT, bond * 8 / 3
    third = 1 / 3
    return Atoms(
        "C4",
        scaled_positions=[
            (third, 2 * third, 1 / 16), (2 * third, third, 9 / 16),
            (third, 2 * third, 7 / 16), (2 * third, third, 15 / 16),
        ],
        cell=[[a, 0, 0], [-a / 2, a * np.sqrt(3) / 2, 0], [0, 0, c]],
        pbc=True,
    )  # fmt: skip


CRYSTALS = {
    # structure, cutoff, number of neighbours, q4, q6
    "fcc-12": (bulk("Al", "fcc", a=4.0), 3.4, 12, 0.190941, 0.574524),
    "hcp-12": (bulk("Mg", "hcp", a=3.0, c=3.0 * ROOT), 3.5, 12, 0.097222, 0.484762),
    "bcc-8": (bulk("Fe", "bcc", a=3.0), 2.8, 8, 0.509175, 0.628539),
    "bcc-14": (bulk("Fe", "bcc", a=3.0), 3.5, 14, 0.036370, 0.510688),
    "sc-6": (bulk("Po", "sc", a=3.0), 3.5, 6, 0.763763, 0.353553),
    "diamond-4": (bulk("Si", "diamond", a=5.431), 3.0, 4, 0.509175, 0.628539),
    "diamond-16": (bulk("Si", "diamond", a=5.431), 4.2, 16, 0.270499, 0.273758),
}


@pytest.mark.parametrize("method", [Kernel, Reference], ids=["kernel", "oracle"])
@pytest.mark.parametrize("name", CRYSTALS)
def test_steinhardt_of_crystals(name, method):
    atoms, cutoff, n_neighbors, *expected = CRYSTALS[name]
    for degree, value in zip((4, 6), expected, strict=True):
        calculation = method(rmax=3.0, sigma=0.2, q6_cutoff=cutoff, degree=degree)
        arguments = atoms.positions, atoms.cell.array, atoms.pbc
        local = calculation.local(*arguments)
        assert (local["n_neighbors"] == n_neighbors).all()
        # six digits are tabulated
        assert local["Q"] == pytest.approx(value, abs=6e-7)
        assert calculation.evaluate(*arguments)[1] == pytest.approx(value, abs=6e-7)


@pytest.mark.parametrize("method", [Kernel, Reference], ids=["kernel", "oracle"])
def test_lonsdaleite_tells_local_from_global(method):
    atoms = lonsdaleite()
    calculation = method(rmax=3.0, sigma=0.2, q6_cutoff=2.0)
    arguments = atoms.positions, atoms.cell.array, atoms.pbc
    assert (calculation.local(*arguments)["n_neighbors"] == 4).all()
    assert calculation.local(*arguments)["Q"] == pytest.approx(0.628539, abs=6e-7)
    assert calculation.evaluate(*arguments)[1] == pytest.approx(0.530338, abs=6e-7)


@pytest.mark.parametrize("method", [Kernel, Reference], ids=["kernel", "oracle"])
def test_icosahedron(method):
    """Twelve vertices around a centre: q4 = 0, q6 = 0.663325."""
    phi = (1 + np.sqrt(5)) / 2
    corners = [(0, s, t * phi) for s in (1, -1) for t in (1, -1)]
    corners = np.array([np.roll(corner, k) for corner in corners for k in range(3)], dtype=float)
    positions = np.vstack([np.zeros((1, 3)), 2.5 * corners / np.linalg.norm(corners[0])])
    for degree, value in ((4, 0.0), (6, 0.663325)):
        calculation = method(rmax=3.0, sigma=0.2, q6_cutoff=2.55, degree=degree)
        local = calculation.local(positions, np.zeros((3, 3)), (False,) * 3, 0.05)
        assert local["n_neighbors"][0] == 12
        assert local["Q"][0] == pytest.approx(value, abs=6e-7)


ENTROPIES = {
    "Al-0.25": (bulk("Al", "fcc", a=4.05), 0.25, 5.7, -5.7117),
    "Al-0.125": (bulk("Al", "fcc", a=4.05), 0.125, 7.0, -24.4803),
    "Na-0.25": (bulk("Na", "bcc", a=4.23), 0.25, 7.3, -9.6554),
    "Na-0.125": (bulk("Na", "bcc", a=4.23), 0.125, 7.0, -17.3923),
    "Si-0.25": (bulk("Si", "diamond", a=5.431), 0.25, 5.7, -4.1059),
    "Si-0.125": (bulk("Si", "diamond", a=5.431), 0.125, 7.0, -16.9620),
}


@pytest.mark.parametrize("method", [Kernel, Reference], ids=["kernel", "oracle"])
@pytest.mark.parametrize("name", ENTROPIES)
def test_converged_entropy_of_crystals(name, method):
    atoms, sigma, rmax, expected = ENTROPIES[name]
    arguments = atoms.positions, atoms.cell.array, atoms.pbc
    fine = method(rmax, sigma, 3.0, dr=sigma / 50).evaluate(*arguments)[0]
    assert fine == pytest.approx(expected, rel=1e-4)
    # the default grid is within 1e-3 of the limit
    assert method(rmax, sigma, 3.0).evaluate(*arguments)[0] == pytest.approx(fine, rel=1e-3)


def test_trapezoid_converges_with_the_square_of_dr():
    """The error of the grid falls fourfold: dr is part of the definition."""
    atoms = bulk("Na", "bcc", a=4.23)
    arguments = atoms.positions, atoms.cell.array, atoms.pbc
    values = [Kernel(7.3, 0.25, 3.0, dr=0.25 / k).evaluate(*arguments)[0] for k in (8, 16, 32, 128)]
    errors = [value - values[-1] for value in values[:3]]
    assert errors[0] / errors[1] == pytest.approx(4.0, rel=0.1)


@pytest.mark.parametrize(
    ("amplitude", "expected"), [(0.05, -19.8), (0.1, -11.3), (0.2, -4.5), (0.3, -1.8)]
)
def test_entropy_of_rattled_aluminium(amplitude, expected):
    """256 atoms; the values are about right, and another seed changes them by a few per cent."""
    atoms = bulk("Al", "fcc", a=4.05, cubic=True) * (4, 4, 4)
    atoms.rattle(amplitude, seed=5)
    kernel = Kernel(rmax=7.0, sigma=0.125, q6_cutoff=3.5)
    sS, _ = kernel.evaluate(atoms.positions, atoms.cell.array, atoms.pbc)
    assert sS == pytest.approx(expected, rel=0.08)


def test_ideal_gas_has_no_entropy_to_lose():
    """Noise of the pair counts alone: about -1/(number of pairs a bin), here -0.02."""
    rng = np.random.default_rng(1)
    n, length = 4000, 40.0
    kernel = Kernel(rmax=8.0, sigma=0.25, q6_cutoff=3.5)
    sS, Q6 = kernel.evaluate(rng.uniform(0, length, (n, 3)), length * np.eye(3), True)
    assert -0.05 < sS < 0
    assert Q6 < 0.05


def test_mean_of_local_entropies_is_not_the_global_one():
    atoms = bulk("Al", "fcc", a=4.05, cubic=True) * (2, 2, 2)
    atoms.rattle(0.1, seed=1)
    kernel = Kernel(rmax=5.0, sigma=0.2, q6_cutoff=3.5)
    arguments = atoms.positions, atoms.cell.array, atoms.pbc
    assert kernel.local(*arguments)["sS"].mean() < kernel.evaluate(*arguments)[0] - 0.1


def test_isolated_and_coincident_atoms():
    """Without neighbours q_l is 0; a coincident atom is not a neighbour."""
    positions = np.array([[0, 0, 0], [0, 0, 0], [2, 0, 0], [30, 0, 0]], dtype=float)
    for method in (Kernel, Reference):
        calculation = method(rmax=4.0, sigma=0.2, q6_cutoff=3.0)
        local = calculation.local(positions, np.zeros((3, 3)), (False,) * 3, 0.05)
        assert local["n_neighbors"].tolist() == [1, 1, 2, 0]
        assert local["Q"] == pytest.approx([1, 1, 1, 0])
        assert local["mean_Q"][3] == 0
        assert local["mean_sS"][3] == local["sS"][3]
        # an atom without any pair: the integrand is r^2 throughout
        r, dr = calculation.r, calculation.dr
        lost = -2 * np.pi * 0.05 * dr * (np.sum(r**2) - r[-1] ** 2 / 2)
        assert local["sS"][3] == pytest.approx(lost, rel=1e-12)
