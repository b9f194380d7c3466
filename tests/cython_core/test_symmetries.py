# SPDX-License-Identifier: BSD-3-Clause
"""Changes that leave all values as they are, and changes that affect only some values."""

import pickle

import numpy as np
import pytest
from ase.build import bulk

from cython_core import Kernel

PARAMETERS = dict(rmax=4.5, sigma=0.25, q6_cutoff=3.5, smooth=0.4)


def values_of(kernel, number_density, threads=1):
    def values(atoms):
        arguments = atoms.positions, atoms.cell.array, atoms.pbc, number_density, threads
        local = {f"local_{k}": v for k, v in kernel.local(*arguments).items()}
        g, running = kernel.radial_distribution(*arguments)
        return {**kernel.gradients(*arguments), **local, "g": g, "running": running}

    return values


@pytest.mark.parametrize("degree", [4, 6])
def test_symmetries(structure, assert_symmetries, degree):
    atoms, number_density = structure
    kernel = Kernel(**PARAMETERS, degree=degree)
    # gradients carry the rounding of positions that are moved by tens of Å, times 1/sigma^2
    assert_symmetries(values_of(kernel, number_density), atoms, rtol=2e-9)


@pytest.mark.parametrize("threads", [2, 3, 7])
def test_threads_do_not_change_a_bit(structure, threads):
    atoms, number_density = structure
    for large in (atoms, atoms * (1 + 2 * atoms.pbc)):
        kernel = Kernel(**PARAMETERS)
        one = values_of(kernel, number_density)(large)
        many = values_of(kernel, number_density, threads)(large)
        for name, value in one.items():
            assert np.array_equal(value, many[name]), name


def test_earlier_calls_do_not_change_a_bit(structures):
    """A kernel keeps the memory of a call for the next one; a new kernel has none."""
    used = Kernel(**PARAMETERS)
    for atoms, number_density in [*structures.values(), *reversed(structures.values())]:
        first = values_of(Kernel(**PARAMETERS), number_density)(atoms)
        for name, value in values_of(used, number_density)(atoms).items():
            np.testing.assert_array_equal(value, first[name], err_msg=name)
        with pytest.raises(ValueError, match="positions: atom 0 is not finite"):
            used.evaluate([[np.nan, 0, 0]], np.eye(3), True)


def test_threads_do_not_change_a_bit_where_they_share_the_work():
    """Enough atoms that each thread gets part of the wrapping, the sorting and the walks."""
    atoms = bulk("Al", "fcc", a=4.05, cubic=True) * (23, 23, 23)
    atoms.rattle(0.1, seed=5)
    atoms.positions += 300.0
    kernel = Kernel(**PARAMETERS)
    one, two, three = (values_of(kernel, None, threads)(atoms) for threads in (1, 2, 3))
    for name, value in one.items():
        assert np.array_equal(value, two[name]), name
        assert np.array_equal(value, three[name]), name


def test_moving_one_atom_changes_its_surroundings_only():
    """Local values change within the pair cutoff, neighbour numbers within the neighbour cutoff."""
    atoms = bulk("Al", "fcc", a=4.05, cubic=True) * (6, 6, 6)
    atoms.rattle(0.05, seed=2)
    kernel = Kernel(rmax=4.5, sigma=0.2, q6_cutoff=3.5)
    moved = atoms.copy()
    moved.positions[100] += 0.1, -0.05, 0.2
    old, new = (kernel.local(a.positions, a.cell.array, a.pbc) for a in (atoms, moved))
    near = [np.minimum(*(a.get_distances(100, range(len(a)), mic=True) for a in (atoms, moved)))][0]
    changed = {name: old[name] != new[name] for name in old}
    # sorted anew, sums of untouched atoms may differ by rounding
    changed["sS"] = ~np.isclose(old["sS"], new["sS"], rtol=1e-12, atol=0)
    changed["Q"] = ~np.isclose(old["Q"], new["Q"], rtol=1e-12, atol=0)
    assert not changed["sS"][near > kernel.pair_cutoff].any()
    assert not changed["Q"][near > 3.5].any()
    assert changed["sS"][near < 4.5].all()
    assert changed["Q"][near < 3.3].all()


def test_sheared_description_of_one_lattice():
    """Other lattice vectors of the same crystal, and a deformed box, give the same values."""
    atoms = bulk("Al", "fcc", a=4.05, cubic=True)
    atoms.rattle(0.1, seed=3)
    kernel = Kernel(**PARAMETERS)
    old = kernel.evaluate(atoms.positions, atoms.cell.array, atoms.pbc)
    for matrix in ([[1, 1, 0], [0, 1, 0], [0, 0, 1]], [[1, 0, 0], [-4, 1, 0], [3, 7, -1]]):
        new = kernel.evaluate(atoms.positions, np.array(matrix) @ atoms.cell.array, atoms.pbc)
        assert new == pytest.approx(old, rel=1e-11)


def test_scale_invariance():
    """sS and Q_l do not change when every length does, the density included."""
    atoms = bulk("Al", "fcc", a=4.05, cubic=True)
    atoms.rattle(0.1, seed=3)
    old = Kernel(**PARAMETERS).evaluate(atoms.positions, atoms.cell.array, atoms.pbc)
    for scale in (0.1, 0.5291772, 10.0):
        lengths = {name: scale * value for name, value in PARAMETERS.items()}
        new = Kernel(**lengths).evaluate(scale * atoms.positions, scale * atoms.cell.array, True)
        assert new == pytest.approx(old, rel=1e-8)


def test_array_layouts(structures):
    """Lists, Fortran order, float32, strided and read-only arrays are all fine and left alone."""
    positions, cell, pbc, _ = structures["fcc"].arguments
    kernel = Kernel(**PARAMETERS)
    old = kernel.evaluate(positions, cell, pbc)
    wide = np.zeros((len(positions), 6))
    wide[:, ::2] = positions
    frozen = positions.copy()
    frozen.flags.writeable = False
    for x in (positions.tolist(), np.asfortranarray(positions), wide[:, ::2], frozen):
        assert kernel.evaluate(x, cell.tolist(), list(pbc)) == old
    single = kernel.evaluate(positions.astype(np.float32), cell, pbc)
    assert single == pytest.approx(old, rel=1e-5)


def test_pickle_and_parameters():
    kernel = Kernel(rmax=5.0, sigma=0.3, q6_cutoff=3.5, dr=0.07, degree=8, smooth=0.2)
    copy = pickle.loads(pickle.dumps(kernel))
    assert copy.parameters == kernel.parameters
    assert Kernel(**kernel.parameters).parameters == kernel.parameters
    # rounded down, so that rmax is a grid point
    assert kernel.dr <= 0.07 and kernel.r[-1] == pytest.approx(5.0, rel=1e-15)
    assert Kernel(rmax=5.0, sigma=0.3, q6_cutoff=3.5).dr <= 0.075
    assert kernel.isa in ("avx512", "avx2", "generic")
    with pytest.raises(AttributeError):
        kernel.rmax = 3.0


@pytest.mark.parametrize("density", [None, 0.05], ids=["cell-density", "given-density"])
@pytest.mark.parametrize("threads", [1, 3])
def test_batch_equals_single(structures, density, threads):
    names = [n for n, s in structures.items() if density or s.number_density is None]
    atoms = [structures[name].atoms for name in names] * 5
    kernel = Kernel(**PARAMETERS)
    batch = kernel.evaluate_batch(
        np.concatenate([a.positions for a in atoms]),
        np.cumsum([0] + [len(a) for a in atoms]),
        np.array([a.cell.array for a in atoms]),
        np.array([a.pbc for a in atoms]),
        density,
        threads,
    )
    assert batch.shape == (len(atoms), 2)
    for row, a in zip(batch, atoms, strict=True):
        assert tuple(row) == kernel.evaluate(a.positions, a.cell.array, a.pbc, density)


def test_batch_with_a_density_for_each():
    atoms = bulk("Al", "fcc", a=4.05, cubic=True)
    kernel = Kernel(**PARAMETERS)
    batch = kernel.evaluate_batch(
        np.tile(atoms.positions, (3, 1)), [0, 4, 8, 12], [atoms.cell.array] * 3,
        [[True] * 3] * 3, np.array([0.05, 0.06, 0.07]),
    )  # fmt: skip
    for row, density in zip(batch, (0.05, 0.06, 0.07), strict=True):
        assert row[0] == kernel.evaluate(atoms.positions, atoms.cell.array, True, density)[0]


def test_empty_batch():
    kernel = Kernel(**PARAMETERS)
    empty = kernel.evaluate_batch(np.empty((0, 3)), [0], np.empty((0, 3, 3)), np.empty((0, 3)))
    assert empty.shape == (0, 2)
