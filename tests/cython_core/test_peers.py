# SPDX-License-Identifier: BSD-3-Clause
"""LAMMPS's own computes and freud, as far as their definitions agree or can be written down."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from ase.io import write

from cython_core import Kernel
from cython_core.reference import pair_list

LMP = Path(sys.executable).parent / "lmp"

DECK = """
units metal
atom_modify map array sort 0 0
read_data structure.data
mass * 1.0
pair_style zero {cutoff} full
pair_coeff * *
comm_modify cutoff {cutoff}
compute s all entropy/atom {sigma} {rmax}
compute q all orientorder/atom nnn NULL degrees 1 {degree} cutoff {q_cutoff}
dump d all custom 1 result.dump id c_s c_q[1]
dump_modify d sort id format float %.15g
run 0
"""


def lammps_values(atoms, folder, **parameters):
    """Entropy and q_l of each atom by LAMMPS's entropy/atom and orientorder/atom."""
    write(folder / "structure.data", atoms, format="lammps-data", atom_style="atomic")
    (folder / "in.deck").write_text(DECK.format(cutoff=parameters["rmax"] + 2, **parameters))
    command = [str(LMP), "-in", "in.deck", "-log", "none", "-screen", "none"]
    subprocess.run(command, cwd=folder, check=True, timeout=60)
    return np.loadtxt(folder / "result.dump", skiprows=9)[:, 1:].T


def lammps_entropy(atoms, rmax, sigma, cut):
    """Write down entropy/atom: dr = sigma and, with `cut`, 3 grid points and pairs below rmax."""
    n, density = len(atoms), len(atoms) / atoms.cell.volume
    reach = rmax if cut else rmax + 5 * sigma
    i, _, D = pair_list(atoms.positions, atoms.cell.array, atoms.pbc, reach)
    r = np.linalg.norm(D, axis=1)
    n_grid = int(rmax / sigma) + 1
    grid = sigma * np.arange(n_grid)
    gaussians = np.exp(-((grid - r[:, None]) ** 2) / (2 * sigma**2))
    if cut:
        gaussians *= np.abs(np.arange(n_grid)[None, :] - np.floor(r / sigma)[:, None]) <= 3
    values = []
    for atom in range(n):
        g = gaussians[i == atom].sum(axis=0)[1:] / np.sqrt(2 * np.pi * sigma**2)
        g /= 4 * np.pi * density * grid[1:] ** 2
        integrand = (
            np.where(g < 1e-10, 1, g * np.log(np.maximum(g, 1e-300)) - g + 1) * grid[1:] ** 2
        )
        values.append(-2 * np.pi * density * sigma * (integrand.sum() - integrand[-1] / 2))
    return np.array(values)


@pytest.fixture
def crystal(structures):
    atoms = structures["triclinic"].atoms * (2, 2, 2)
    atoms.rattle(0.05, seed=8)
    return atoms


def test_lammps_entropy_atom(crystal, tmp_path):
    """On LAMMPS's grid, dr = sigma, nothing but its cuts differs: they are worth some per cent."""
    parameters = dict(rmax=6.0, sigma=0.2, q_cutoff=3.5, degree=6)
    theirs, _ = lammps_values(crystal, tmp_path, **parameters)
    with_cuts = lammps_entropy(crystal, 6.0, 0.2, cut=True)
    np.testing.assert_allclose(theirs, with_cuts, rtol=1e-10)
    ours = Kernel(rmax=6.0, sigma=0.2, q6_cutoff=3.5, dr=0.2).local(
        crystal.positions, crystal.cell.array, crystal.pbc
    )["sS"]
    without_cuts = lammps_entropy(crystal, 6.0, 0.2, cut=False)
    np.testing.assert_allclose(ours, without_cuts, rtol=1e-7)
    assert np.abs(theirs / ours - 1).max() > 0.01


@pytest.mark.parametrize("degree", [4, 6, 8, 12])
def test_lammps_orientorder_atom(crystal, tmp_path, degree):
    """Local q_l with a cutoff and all neighbours is the same quantity."""
    parameters = dict(rmax=5.0, sigma=0.2, q_cutoff=3.7, degree=degree)
    _, theirs = lammps_values(crystal, tmp_path, **parameters)
    kernel = Kernel(rmax=5.0, sigma=0.2, q6_cutoff=3.7, degree=degree)
    ours = kernel.local(crystal.positions, crystal.cell.array, crystal.pbc)["Q"]
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-10)


@pytest.mark.parametrize("degree", [4, 6])
@pytest.mark.parametrize("name", ["fcc", "gas", "triclinic"])
def test_freud_steinhardt(structures, name, degree):
    """Local, averaged (Lechner-Dellago) and global values; freud works in single precision."""
    freud = pytest.importorskip("freud")
    atoms = structures[name].atoms * (2, 2, 2)
    rotated = atoms.copy()
    rotated.set_cell(atoms.cell.standard_form()[0], scale_atoms=True)
    box = freud.box.Box.from_matrix(rotated.cell.array.T)
    neighbors = dict(r_max=3.6, exclude_ii=True)
    kernel = Kernel(rmax=4.0, sigma=0.2, q6_cutoff=3.6, degree=degree)
    local = kernel.local(atoms.positions, atoms.cell.array, atoms.pbc)
    plain = freud.order.Steinhardt(l=degree)
    averaged = freud.order.Steinhardt(l=degree, average=True)
    system = box, box.wrap(rotated.positions)
    plain.compute(system, neighbors)
    averaged.compute(system, neighbors)
    some = local["n_neighbors"] > 0
    # freud leaves NaN for atoms without neighbours
    np.testing.assert_allclose(local["Q"][some], plain.particle_order[some], atol=2e-5)
    np.testing.assert_allclose(local["mean_Q"][some], averaged.particle_order[some], atol=2e-5)
    if some.all():
        _, Q = kernel.evaluate(atoms.positions, atoms.cell.array, atoms.pbc)
        assert pytest.approx(plain.order, abs=2e-5) == Q


def test_freud_counts_the_pairs(structures):
    """The integral of g(r) is the number of pairs, which freud's histogram counts."""
    freud = pytest.importorskip("freud")
    atoms = structures["fcc"].atoms * (2, 2, 2)
    sigma = 0.02
    kernel = Kernel(rmax=3.6, sigma=sigma, q6_cutoff=3.6)
    g, _ = kernel.radial_distribution(atoms.positions, atoms.cell.array, atoms.pbc)
    density = len(atoms) / atoms.cell.volume
    box = freud.box.Box.from_matrix(atoms.cell.array.T)
    rdf = freud.density.RDF(bins=36, r_max=3.6)
    rdf.compute((box, box.wrap(atoms.positions)))
    ours = np.cumsum(4 * np.pi * density * kernel.r**2 * g) * kernel.dr
    # in a gap between shells, where no Gaussian lies across
    assert ours[-1] == pytest.approx(rdf.n_r[-1], abs=0.05)
