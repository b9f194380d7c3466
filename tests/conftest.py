# SPDX-License-Identifier: BSD-3-Clause
"""Structures and checks for the tests of all folders."""

from collections import Counter
from typing import NamedTuple

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule

SEED = 20240


def pytest_collection_modifyitems(items):
    """Put the files with the most slow tests first, so that no process ends with them alone."""
    slow = Counter(item.path for item in items if item.get_closest_marker("slow"))
    items.sort(key=lambda item: -slow[item.path])


class Structure(NamedTuple):
    """A structure and its number density, which is None if the cell defines it."""

    atoms: Atoms
    number_density: float | None = None

    @property
    def arguments(self):
        """Return the first arguments of every method of the kernel."""
        atoms = self.atoms
        return atoms.positions, atoms.cell.array, atoms.pbc, self.number_density


def _strained(atoms, amount, seed=SEED):
    rng = np.random.default_rng(seed)
    deformation = np.eye(3) + amount * rng.uniform(-1, 1, (3, 3))
    atoms.set_cell(atoms.cell.array @ deformation, scale_atoms=True)
    return atoms


def _rattled(atoms, amount, seed=SEED):
    atoms.rattle(amount, seed=seed)
    return atoms


def _fcc():
    return Structure(_rattled(bulk("Al", "fcc", a=4.05, cubic=True) * (2, 2, 2), 0.1))


def _triclinic():
    return Structure(_rattled(_strained(bulk("Ti", "hcp", a=2.95, c=4.68) * (3, 2, 2), 0.15), 0.1))


def _compound():
    return Structure(
        _rattled(_strained(bulk("NaCl", "rocksalt", a=5.0, cubic=True) * (2, 1, 1), 0.05), 0.2)
    )


def _one_atom():
    return Structure(_strained(bulk("Al", "fcc", a=4.05), 0.1))


def _small_cell():
    return Structure(_rattled(_strained(bulk("Si", "diamond", a=5.431), 0.1), 0.15))


def _skewed():
    # the same lattice as a compact cell, in vectors that are far from orthogonal
    atoms = _rattled(bulk("Al", "fcc", a=4.05, cubic=True) * (2, 1, 1), 0.1)
    atoms.set_cell(np.array([[1, 0, 0], [2, 1, 0], [-1, 3, 1]]) @ atoms.cell.array)
    return Structure(atoms)


def _slab():
    atoms = _rattled(bulk("Al", "fcc", a=4.05, cubic=True) * (2, 2, 2), 0.1)
    atoms.pbc = True, True, False
    return Structure(atoms, 0.06)


def _slab_without_third_vector():
    atoms = _slab().atoms
    atoms.cell[2] = 0.0
    return Structure(atoms, 0.05)


def _wire():
    atoms = _rattled(bulk("W", "bcc", a=3.17, cubic=True) * (2, 2, 2), 0.1)
    atoms.pbc = False, True, False
    return Structure(atoms, 0.06)


def _cluster():
    return Structure(_rattled(molecule("C60"), 0.05), 0.1)


def _gas():
    rng = np.random.default_rng(SEED)
    return Structure(Atoms("Ar40", positions=rng.uniform(0, 11, (40, 3)), cell=[11] * 3, pbc=True))


def _unwrapped():
    atoms = _fcc().atoms
    rng = np.random.default_rng(SEED)
    atoms.positions += rng.integers(-3, 4, (len(atoms), 3)) @ atoms.cell.array
    return Structure(atoms)


def _coincident():
    atoms = _fcc().atoms
    atoms.positions[5] = atoms.positions[6]
    return Structure(atoms)


def _lonely():
    # the last atom has no neighbour and no pair
    atoms = _fcc().atoms + Atoms("Al", positions=[[40.0, 0.0, 0.0]])
    atoms.pbc = False
    return Structure(atoms, 0.06)


STRUCTURES = {
    "fcc": _fcc,
    "triclinic": _triclinic,
    "compound": _compound,
    "one-atom": _one_atom,
    "small-cell": _small_cell,
    "skewed": _skewed,
    "slab": _slab,
    "slab-without-third-vector": _slab_without_third_vector,
    "wire": _wire,
    "cluster": _cluster,
    "gas": _gas,
    "unwrapped": _unwrapped,
    "coincident": _coincident,
    "lonely": _lonely,
}


@pytest.fixture(params=STRUCTURES)
def structure(request):
    """Return one structure of every kind that the kernel must handle."""
    return STRUCTURES[request.param]()


@pytest.fixture
def structures():
    """Return all structures by name."""
    return {name: build() for name, build in STRUCTURES.items()}


def _rotation(rng):
    q, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    return q * np.sign(np.linalg.det(q))


def _assert_same(new, old, rtol, what):
    for name, value in old.items():
        scale = np.abs(value).max() + 1.0
        np.testing.assert_allclose(
            new[name], value, rtol=0, atol=rtol * scale, err_msg=f"{name} under {what}"
        )


@pytest.fixture(scope="session")
def assert_symmetries():
    """Check that values behave under translation, rotation, permutation and supercells.

    Call it with a function that turns Atoms into a dict of values, and with Atoms. The shape tells
    the kind of a value: a number, a number per atom, (n, 3) a vector per atom, (3, 3) a tensor.
    """

    def check(values, atoms, rtol=1e-10):
        rng = np.random.default_rng(SEED)
        n = len(atoms)
        before = atoms.copy()
        old = values(atoms)
        assert (atoms.positions == before.positions).all(), "positions were modified"
        assert (atoms.cell.array == before.cell.array).all(), "cell was modified"
        _assert_same(values(atoms), old, 0.0, "repetition")

        moved = atoms.copy()
        moved.positions += rng.uniform(-20, 20, 3)
        _assert_same(values(moved), old, rtol, "translation")

        moved = atoms.copy()
        jumps = rng.integers(-2, 3, (n, 3)) * atoms.pbc
        moved.positions += jumps @ atoms.cell.array
        _assert_same(values(moved), old, rtol, "lattice translations of single atoms")

        R = _rotation(rng)
        moved = atoms.copy()
        moved.set_cell(atoms.cell.array @ R.T)
        moved.positions = atoms.positions @ R.T
        rotated = dict(old)
        for name, value in old.items():
            if np.shape(value) == (3, 3):
                rotated[name] = R @ value @ R.T
            elif np.shape(value) == (n, 3):
                rotated[name] = value @ R.T
        _assert_same(values(moved), rotated, rtol, "rotation")

        order = rng.permutation(n)
        permuted = dict(old)
        for name, value in old.items():
            if np.shape(value) in ((n,), (n, 3)) and np.shape(value) != (3, 3):
                permuted[name] = value[order]
        _assert_same(values(atoms[order]), permuted, rtol, "permutation")

        if atoms.pbc.all():
            copies = np.array([2, 1, 3])
            large = values(atoms * copies)
            tiled = {}
            for name, value in old.items():
                if np.shape(value) == (n, 3):
                    tiled[name] = np.tile(value, (6, 1)) / 6
                else:
                    tiled[name] = np.tile(value, 6) if np.shape(value) == (n,) else value
            _assert_same(large, tiled, rtol, "a supercell")

    return check


@pytest.fixture(scope="session")
def assert_derivatives():
    """Check gradients against central differences at two steps.

    Call it with a function that turns positions and cell into a value, its gradient (n, 3) and its
    strain gradient (3, 3), and with Atoms. Small steps must give the gradient. At larger steps
    there must be an error that falls fourfold when the step halves. The derivatives must not be so
    small that anything would pass. `tolerance` is relative to the largest component. For sS it
    cannot be finer than 1e-5: a pair that crosses rmax + 5 sigma comes and goes with a Gaussian of
    4e-6 of its height, which no derivative contains.
    """

    def compare(central, exact, step, allowed, what):
        small = (4 * central(step / 2) - central(step)) / 3
        assert exact == pytest.approx(small, rel=0, abs=allowed), what
        coarse, fine = central(12 * step) - exact, central(6 * step) - exact
        if abs(fine) > 10 * allowed:
            # 4, but for the next order and the jumps of the switching's third derivative; a wrong
            # gradient gives 1
            assert 2.7 < coarse / fine < 6, what
            return True
        return False

    def check(value, gradient, strain_gradient, atoms, tolerance=1e-5, step=0.002):
        rng = np.random.default_rng(SEED)
        n = len(atoms)
        cell = atoms.cell.array
        steps_told_apart = []
        if n > 1:
            scale = np.abs(gradient).max()
            assert scale > 2e-3, "gradients too small to tell anything"
            np.testing.assert_allclose(gradient.sum(axis=0), 0, atol=1e-12 * max(scale, 1))
            for atom in rng.choice(n, min(n, 4), replace=False):
                # along the gradient, so that the derivative is not small by chance
                direction = np.zeros((n, 3))
                direction[atom] = gradient[atom] / np.linalg.norm(gradient[atom])
                steps_told_apart.append(compare(
                    lambda h, d=direction: (
                        value(atoms.positions + h * d, cell) - value(atoms.positions - h * d, cell)
                    ) / (2 * h),
                    (gradient * direction).sum(), step, tolerance * scale, f"atom {atom}",
                ))  # fmt: skip

        scale = np.abs(strain_gradient).max()
        assert scale > 2e-3, "strain gradients too small to tell anything"
        np.testing.assert_allclose(strain_gradient, strain_gradient.T, atol=1e-9 * max(scale, 1))
        for a, b in ((0, 0), (1, 1), (2, 2), (0, 1), (2, 1), (2, 0)):

            def strained(h, a=a, b=b):
                F = np.eye(3)
                F[a, b] += h
                return value(atoms.positions @ F.T, cell @ F.T)

            steps_told_apart.append(compare(
                lambda h, f=strained: (f(h) - f(-h)) / (2 * h),
                strain_gradient[a, b], step / 4, tolerance * scale, f"strain {a}{b}",
            ))  # fmt: skip
        assert any(steps_told_apart), "steps too small to see the error fall"

    return check
