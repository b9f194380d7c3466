# SPDX-License-Identifier: BSD-3-Clause
"""The oracle compared with literature and finite differences, the kernel with the oracle."""

import doctest

import numpy as np
import pytest
from ase import Atoms

from cython_core import Kernel, reference
from cython_core.reference import Reference, pair_list, switching

PARAMETERS = {
    "default": dict(rmax=5.0, sigma=0.25, q6_cutoff=3.5),
    "smooth": dict(rmax=5.0, sigma=0.25, q6_cutoff=3.6, smooth=0.7),
    "fully-smooth": dict(rmax=4.0, sigma=0.3, q6_cutoff=3.6, smooth=3.6),
    "narrow": dict(rmax=4.0, sigma=0.08, q6_cutoff=3.2),
    "long-bonds": dict(rmax=3.0, sigma=0.2, q6_cutoff=6.3),
    "coarse-grid": dict(rmax=5.0, sigma=0.25, q6_cutoff=3.5, dr=0.25),
    "fine-grid": dict(rmax=3.0, sigma=0.25, q6_cutoff=3.5, dr=0.007),
    "degree-2": dict(rmax=3.0, sigma=0.25, q6_cutoff=3.5, degree=2),
    "degree-4": dict(rmax=3.0, sigma=0.25, q6_cutoff=3.5, degree=4),
    "degree-8": dict(rmax=3.0, sigma=0.25, q6_cutoff=3.5, degree=8, smooth=0.3),
    "degree-10": dict(rmax=3.0, sigma=0.25, q6_cutoff=3.5, degree=10),
    "degree-12": dict(rmax=3.0, sigma=0.25, q6_cutoff=3.5, degree=12, smooth=0.3),
}

# The kernel takes the Gaussians for polynomials of degree 7 on bins of sigma/2, so sS carries their
# error; Q_l is exact. The derivative of a polynomial is one power of the bin's width worse.
SS, SS_GRADIENT, Q, Q_GRADIENT = 1e-9, 1e-7, 1e-12, 1e-10


def assert_close(kernel_value, oracle_value, tolerance):
    scale = np.abs(oracle_value).max() + 1.0
    np.testing.assert_allclose(kernel_value, oracle_value, rtol=0, atol=tolerance * scale)


def test_doctests():
    assert doctest.testmod(reference).failed == 0


@pytest.fixture(params=PARAMETERS)
def parameters(request):
    return PARAMETERS[request.param]


def test_kernel_equals_oracle(structure, parameters):
    kernel, oracle = Kernel(**parameters), Reference(**parameters)
    assert kernel.pair_cutoff == pytest.approx(oracle.pair_cutoff, rel=1e-15)
    np.testing.assert_allclose(kernel.r, oracle.r, rtol=1e-14)

    new, old = kernel.gradients(*structure.arguments), oracle.gradients(*structure.arguments)
    assert kernel.evaluate(*structure.arguments) == pytest.approx((new["sS"], new["Q"]), rel=1e-13)
    for name in ("sS", "sS_gradient", "sS_strain_gradient"):
        assert_close(new[name], old[name], SS if name == "sS" else SS_GRADIENT)
    for name in ("Q", "Q_gradient", "Q_strain_gradient"):
        assert_close(new[name], old[name], Q if name == "Q" else Q_GRADIENT)

    g, running = kernel.radial_distribution(*structure.arguments)
    g_oracle, running_oracle = oracle.radial_distribution(*structure.arguments)
    # 1/r^2 blows the error up towards r = 0, where r^2 g matters
    assert_close(kernel.r**2 * g, kernel.r**2 * g_oracle, SS)
    assert_close(running, running_oracle, SS)
    assert running[-1] == pytest.approx(new["sS"], rel=1e-13)

    new, old = kernel.local(*structure.arguments), oracle.local(*structure.arguments)
    for name in ("sS", "mean_sS"):
        assert_close(new[name], old[name], SS)
    for name in ("Q", "mean_Q", "n_neighbors"):
        assert_close(new[name], old[name], Q)


@pytest.mark.parametrize("rmax", [1.0, 12.0], ids=["below-the-first-shell", "far"])
def test_extreme_rmax(structures, rmax):
    for name in ("fcc", "small-cell", "slab", "cluster"):
        arguments = structures[name].arguments
        new = Kernel(rmax, 0.2, 3.5).evaluate(*arguments)
        assert_close(new[0], Reference(rmax, 0.2, 3.5).evaluate(*arguments)[0], SS)


def test_large_broadening(structures):
    """A sigma beyond the nearest distances: g is smooth and its tail reaches r = 0."""
    arguments = structures["fcc"].arguments
    new, old = Kernel(5.0, 2.0, 3.5), Reference(5.0, 2.0, 3.5)
    assert_close(new.evaluate(*arguments)[0], old.evaluate(*arguments)[0], SS)


def test_near_cutoffs():
    """Pairs a rounding error inside and outside of both cutoffs count as the oracle says."""
    parameters = dict(rmax=4.0, sigma=0.2, q6_cutoff=3.0)
    for cutoff in (3.0, 4.0, 5.0):
        for shift in (-1e-9, 1e-9):
            atoms = Atoms("Al3", positions=[[0, 0, 0], [0, cutoff + shift, 0], [2.0, 0, 0.5]])
            arguments = atoms.positions, np.zeros((3, 3)), (False,) * 3, 0.05
            new = Kernel(**parameters).local(*arguments)
            old = Reference(**parameters).local(*arguments)
            assert (new["n_neighbors"] == old["n_neighbors"]).all()
            # at rmax + 5 sigma the Gaussian is cut where it is 4e-6 of its height
            assert_close(new["sS"], old["sS"], SS)


def test_kernel_beside_an_empty_region():
    """A box with most of its volume empty gives the same as the cluster in it."""
    rng = np.random.default_rng(3)
    positions = rng.uniform(0, 6, (20, 3))
    kernel = Kernel(4.0, 0.2, 3.0)
    boxed = kernel.evaluate(positions, np.eye(3) * 500, (True,) * 3, 0.05)
    free = kernel.evaluate(positions, np.zeros((3, 3)), (False,) * 3, 0.05)
    assert boxed == pytest.approx(free, rel=1e-13)


# --- the oracle on its own ------------------------------------------------------------------------


def test_pair_list_counts_lattice_shells():
    """Shells of fcc by the number of atoms in them: 12, 6, 24, 12."""
    a = 4.0
    cell = a / 2 * np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0]])
    _, _, D = pair_list(np.zeros((1, 3)), cell, (True,) * 3, 1.45 * a)
    r2 = np.round((np.linalg.norm(D, axis=1) / a) ** 2 * 2).astype(int)
    assert [(r2 == k).sum() for k in (1, 2, 3, 4)] == [12, 6, 24, 12]


def test_pair_list_is_symmetric(structure):
    i, j, D = pair_list(*structure.arguments[:3], 4.5)
    forward = sorted(zip(i, j, *np.round(D.T, 6), strict=True))
    backward = sorted(zip(j, i, *np.round(-D.T, 6), strict=True))
    np.testing.assert_allclose(forward, backward, atol=2e-6)


def test_switching_is_smooth():
    r = np.linspace(2.5, 3.5, 2001)
    f, df = switching(r, 3.3, 0.5)
    assert (f[r <= 2.8] == 1).all() and (f[r >= 3.3] == 0).all() and (np.diff(f) <= 0).all()
    np.testing.assert_allclose(np.gradient(f, r, edge_order=2), df, atol=1e-4)
    # the second derivative reaches 23 in between and vanishes at both ends
    second = np.gradient(df, r)
    assert np.abs(second).max() > 20
    np.testing.assert_allclose(second[[600, 1600]], 0, atol=0.1)


@pytest.mark.parametrize("smooth", [0.0, 0.7], ids=["hard", "smooth"])
@pytest.mark.parametrize("name", ["small-cell", "slab"])
def test_oracle_derivatives(structures, assert_derivatives, name, smooth):
    structure = structures[name]
    atoms, density = structure
    oracle = Reference(rmax=4.0, sigma=0.25, q6_cutoff=3.3, smooth=smooth)
    exact = oracle.gradients(*structure.arguments)
    for index, (value, tolerance) in enumerate((("sS", 1e-5), ("Q", 1e-6))):
        assert_derivatives(
            lambda x, cell, index=index: oracle.evaluate(x, cell, atoms.pbc, density)[index],
            exact[f"{value}_gradient"],
            exact[f"{value}_strain_gradient"],
            atoms,
            tolerance,
        )
