# SPDX-License-Identifier: BSD-3-Clause
"""Gradients of the kernel against central differences of its own values."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from cython_core import Kernel

CASES = {
    "rattled": ("fcc", dict(q6_cutoff=3.6, smooth=0.5)),
    "triclinic": ("triclinic", dict(q6_cutoff=4.0, smooth=1.0)),
    "multi-species": ("compound", dict(q6_cutoff=4.0, smooth=0.8)),
    "small-cell": ("small-cell", dict(q6_cutoff=3.0, smooth=0.5)),
    "slab": ("slab", dict(q6_cutoff=3.6, smooth=0.5)),
    "cluster": ("cluster", dict(q6_cutoff=2.2, smooth=0.5)),
    "gas-near-cutoff": ("gas", dict(q6_cutoff=4.0, smooth=0.1)),
    "fully-smooth": ("fcc", dict(q6_cutoff=4.0, smooth=4.0)),
    "hard-cutoff": ("cluster", dict(q6_cutoff=2.0)),
    "degree-4": ("small-cell", dict(q6_cutoff=3.0, smooth=0.5, degree=4)),
    "degree-12": ("fcc", dict(q6_cutoff=3.6, smooth=0.5, degree=12)),
}


# without all three periodic directions there is no density but a given one
DENSITIES = {
    f"{case}-{'given' if density else 'cell'}-density": (case, density)
    for case in CASES
    for density in (None, 0.05)
    if density or case not in ("slab", "cluster", "hard-cutoff")
}


@pytest.mark.parametrize(("case", "number_density"), DENSITIES.values(), ids=DENSITIES)
def test_derivatives(structures, assert_derivatives, case, number_density):
    name, parameters = CASES[case]
    atoms = structures[name].atoms
    kernel = Kernel(rmax=4.5, sigma=0.25, **parameters)
    exact = kernel.gradients(atoms.positions, atoms.cell.array, atoms.pbc, number_density)
    # the third derivative of a narrow switching is large, and jumps
    steps = {"sS": 0.002, "Q": 0.0005 if case == "gas-near-cutoff" else 0.002}
    for index, (value, tolerance) in enumerate((("sS", 1e-5), ("Q", 1e-6))):
        assert_derivatives(
            lambda x, cell, index=index: kernel.evaluate(x, cell, atoms.pbc, number_density)[index],
            exact[f"{value}_gradient"],
            exact[f"{value}_strain_gradient"],
            atoms,
            tolerance,
            steps[value],
        )


def test_density_term(structures):
    """A given density stays the same under strain; that of the cell falls by the trace."""
    atoms, _ = structures["fcc"]
    kernel = Kernel(rmax=4.5, sigma=0.25, q6_cutoff=3.6)
    density = len(atoms) / atoms.cell.volume
    structure = atoms.positions, atoms.cell.array, atoms.pbc
    free, held = kernel.gradients(*structure), kernel.gradients(*structure, density)
    difference = free["sS_strain_gradient"] - held["sS_strain_gradient"]
    h = 1e-4
    slope = [kernel.evaluate(*structure, density * np.exp(s * h))[0] for s in (1, -1)]
    dlnrho = (slope[0] - slope[1]) / (2 * h)
    assert abs(dlnrho) > 0.1
    np.testing.assert_allclose(difference, -dlnrho * np.eye(3), rtol=0, atol=1e-6 * abs(dlnrho))
    np.testing.assert_array_equal(free["Q_strain_gradient"], held["Q_strain_gradient"])
    np.testing.assert_allclose(free["sS_gradient"], held["sS_gradient"], rtol=0, atol=1e-14)


def test_smooth_cutoff_makes_q_continuous():
    """An atom that crosses the cutoff makes Q6 jump if it is hard and not if it is smooth."""
    atoms = bulk("Al", "fcc", a=4.05, cubic=True)
    atoms.rattle(0.05, seed=1)
    D = atoms.get_all_distances(mic=True)
    cutoff = np.sort(D[np.triu_indices(4, 1)])[-1]
    stretched = atoms.copy()
    stretched.set_cell(atoms.cell.array * (1 + 1e-7), scale_atoms=True)
    for smooth, lower, upper in ((0.0, 1e-4, 1.0), (0.3, 0.0, 1e-5)):
        kernel = Kernel(rmax=4.0, sigma=0.25, q6_cutoff=cutoff * (1 + 5e-8), smooth=smooth)
        Q = [kernel.evaluate(a.positions, a.cell.array, a.pbc)[1] for a in (atoms, stretched)]
        assert lower <= abs(Q[1] - Q[0]) <= upper


def test_perfect_crystal_has_no_force():
    atoms = bulk("Si", "diamond", a=5.431, cubic=True)
    kernel = Kernel(rmax=5.0, sigma=0.2, q6_cutoff=2.6)
    exact = kernel.gradients(atoms.positions, atoms.cell.array, atoms.pbc)
    np.testing.assert_allclose(exact["sS_gradient"], 0, atol=1e-10)
    np.testing.assert_allclose(exact["Q_gradient"], 0, atol=1e-12)
    # cubic: the strain gradient of sS is a pressure
    sS = exact["sS_strain_gradient"]
    np.testing.assert_allclose(sS, sS[0, 0] * np.eye(3), atol=1e-10 * abs(sS[0, 0]))


def test_zero_q_is_not_differentiable():
    """Where Q_l vanishes the gradient is zero by convention, and never NaN."""
    lonely = Atoms("Al2", positions=[[0, 0, 0], [9, 0, 0]])
    kernel = Kernel(rmax=4.0, sigma=0.25, q6_cutoff=3.0)
    exact = kernel.gradients(lonely.positions, np.zeros((3, 3)), (False,) * 3, 0.01)
    assert exact["Q"] == 0
    assert (exact["Q_gradient"] == 0).all() and (exact["Q_strain_gradient"] == 0).all()
    assert (exact["sS_gradient"] == 0).all()


def test_coincident_pair_has_no_force():
    """The direction of a pair at r = 0 is undefined: it pulls nowhere."""
    positions = np.zeros((2, 3))
    kernel = Kernel(rmax=4.0, sigma=0.25, q6_cutoff=3.0)
    exact = kernel.gradients(positions, np.zeros((3, 3)), (False,) * 3, 0.01)
    for name, value in exact.items():
        assert np.isfinite(value).all(), name
        if name.endswith("gradient"):
            assert (value == 0).all(), name


@pytest.mark.parametrize("smooth", [0.0, 0.6])
def test_a_repeated_cell_shares_the_gradient_among_its_copies(smooth):
    # The large cell is walked in several stretches of cells, the small one in one.
    small = bulk("Al", a=4.05, cubic=True) * 5
    small.rattle(0.1, seed=5)
    small.set_cell(small.cell.array @ (np.eye(3) + [[0, 0.1, 0], [0, 0, 0.05], [0, 0, 0]]), True)
    large = small * (1, 2, 2)
    kernel = Kernel(5.0, 0.25, 3.6, smooth=smooth)
    one, all_copies = (
        kernel.gradients(atoms.positions, atoms.cell.array, atoms.pbc) for atoms in (small, large)
    )
    for name in ("sS_gradient", "Q_gradient"):
        shared = all_copies[name].reshape(4, len(small), 3)
        np.testing.assert_allclose(4 * shared, [one[name]] * 4, atol=1e-12)
    for name in ("sS_strain_gradient", "Q_strain_gradient"):
        np.testing.assert_allclose(all_copies[name], one[name], atol=1e-11)
