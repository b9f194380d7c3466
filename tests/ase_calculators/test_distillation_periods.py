# SPDX-License-Identifier: BSD-3-Clause
"""Periods of frames on their way into LAMMPS and DeePMD; atom types of several elements."""

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator
from ase.neighborlist import neighbor_list

from ase_calculators.distillation import open_model, relabel
from ase_calculators.periodicity import with_vacuum
from ase_calculators.training_sets import write_deepmd
from ase_calculators.validation import LammpsPotential

AL = "pair_style eam/fs; pair_coeff * * Al_mm.eam.fs Al"
NIAL = "pair_style eam/alloy\npair_coeff * * NiAlH_jea.eam.alloy Ni Al\n"
PERIODS = [tuple(map(bool, flags)) for flags in np.ndindex(2, 2, 2)]
# Tosi and Fumi, J. Phys. Chem. Solids 25, 45 (1964): A (eV), sigma (Å), C (eV Å^6), D (eV Å^8)
SALT = {
    (11, 11): (0.2637, 2.340, 1.0486, -0.4993),
    (11, 17): (0.2110, 2.755, 6.9906, -8.6758),
    (17, 17): (0.1582, 3.170, 72.4022, -145.4285),
}


def skewed(pbc, symbol="Al"):
    """Return a rotated triclinic cell whose atoms lie partly outside."""
    rng = np.random.default_rng(4)
    atoms = bulk(symbol, cubic=True) * (2, 1, 1)
    rotation, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    deformation = (np.eye(3) + 0.08 * rng.uniform(-1, 1, (3, 3))) @ rotation
    atoms.set_cell(atoms.cell.array @ deformation, scale_atoms=True)
    atoms.rattle(0.1, seed=4)
    atoms.positions += [3.0, -7.0, 1.0]
    atoms.pbc = pbc
    return atoms


def labelled(atoms):
    """Return the frame with EMT's labels."""
    atoms.calc = EMT()
    results = {"energy": atoms.get_potential_energy(), "forces": atoms.get_forces()}
    atoms.calc = SinglePointCalculator(atoms, **results)
    return atoms


@pytest.mark.parametrize("pbc", PERIODS, ids=str)
def test_lammps_keeps_the_periods(pbc):
    """Energies of repeated cells, from which interactions through the open faces are left out."""
    atoms = skewed(pbc)
    atoms.calc = LammpsPotential(AL, "Al")
    energy, forces, stress = atoms.get_potential_energy(), atoms.get_forces(), atoms.get_stress()
    # the same atoms, images along the periods being atoms: those of the middle cell feel the same
    repeats = [range(-4, 5) if flag else (0,) for flag in pbc]
    shifts = [(i, j, k) for i in repeats[0] for j in repeats[1] for k in repeats[2]]
    images = np.concatenate([atoms.positions + shift @ atoms.cell.array for shift in shifts])
    near = np.linalg.norm(images[:, None] - atoms.positions, axis=2).min(axis=1) < 2 * 6.6
    cluster = Atoms(f"Al{near.sum()}", images[near])
    cluster.calc = LammpsPotential(AL, "Al")
    cluster.get_potential_energy()
    middle = np.flatnonzero(np.repeat([not any(shift) for shift in shifts], len(atoms))[near])
    assert energy == pytest.approx(cluster.calc.results["energies"][middle].sum(), abs=1e-9)
    np.testing.assert_allclose(forces, cluster.get_forces()[middle], atol=1e-9)
    # stress by central differences of the energy, at the volume of the frame's own cell
    step, ends = 1e-4, []
    for sign in (1, -1):
        strained = atoms.copy()
        deformation = np.eye(3) + sign * step * np.array([[0, 0.5, 0], [0.5, 0, 0], [0, 0, 1]])
        strained.set_cell(atoms.cell.array @ deformation)
        strained.positions = atoms.positions @ deformation
        strained.calc = atoms.calc
        ends.append(strained.get_potential_energy())
    slope = (ends[0] - ends[1]) / (2 * step) / atoms.cell.volume
    # error of the differences: 2e-7
    assert stress[5] + stress[2] == pytest.approx(slope, abs=1e-6)
    with pytest.raises(NotImplementedError):
        cluster.get_stress()  # it has no volume


def test_periods_without_vectors_are_refused():
    atoms = Atoms("Al2", [[0, 0, 0], [0, 0, 2.9]], cell=[4, 0, 0], pbc=(True, True, False))
    with pytest.raises(ValueError, match="pbc = T T F: the periodic cell vectors, .* do not span"):
        LammpsPotential(AL, "Al").get_property("energy", atoms)


@pytest.mark.parametrize("pbc", PERIODS, ids=str)
@pytest.mark.parametrize("format", ["deepmd/npy", "deepmd/npy/mixed"])
def test_a_set_describes_what_was_labelled(tmp_path, pbc, format):
    """EMT of the box that DeePMD reads has the energy and the forces of the data."""
    pytest.importorskip("dpdata", reason="pip install 'entsym[dft]'")
    write_deepmd([labelled(skewed(pbc, "Cu"))], tmp_path / "set", format=format)
    (system,) = (path.parent for path in (tmp_path / "set").glob("*/type.raw"))
    assert (system / "nopbc").exists() == (not any(pbc)) == system.name.endswith(".nopbc")
    values = {name: np.load(system / "set.000" / f"{name}.npy")[0] for name in ("coord", "force")}
    box = Atoms("Cu8", values["coord"].reshape(-1, 3), pbc=any(pbc))
    if any(pbc):
        box.cell = np.load(system / "set.000" / "box.npy")[0].reshape(3, 3)
    box.calc = EMT()
    energy = np.load(system / "set.000" / "energy.npy").item()
    assert box.get_potential_energy() == pytest.approx(energy, abs=1e-9)
    np.testing.assert_allclose(box.get_forces().ravel(), values["force"], atol=1e-9)


def test_a_set_keeps_the_virial_of_a_slab(tmp_path):
    pytest.importorskip("dpdata", reason="pip install 'entsym[dft]'")
    slab = skewed((True, True, False))
    results = {"energy": -1.0, "forces": np.zeros((8, 3)), "stress": np.arange(6) / 100}
    slab.calc = SinglePointCalculator(slab, **results)
    (system,) = write_deepmd([slab], tmp_path / "set")
    found = np.load(system / "set.000" / "virial.npy")[0].reshape(3, 3)
    expected = -np.array([[0, 5, 4], [5, 1, 3], [4, 3, 2]]) / 100 * slab.cell.volume
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_frames_with_and_without_periods_are_systems_of_their_own(tmp_path):
    pytest.importorskip("dpdata", reason="pip install 'entsym[dft]'")
    free = molecule("CO", vacuum=1.5)
    whole = free.copy()
    whole.pbc = True
    systems = write_deepmd([labelled(whole), labelled(free)], tmp_path / "set", chunk=1)
    assert [path.name for path in systems] == ["CO", "CO.nopbc"]


def test_vacuum_leaves_distances(tmp_path):
    atoms = skewed((False, True, True))
    box = with_vacuum(atoms, 12.0)
    np.testing.assert_allclose(box.get_all_distances(), atoms.get_all_distances(), atol=1e-9)
    box.pbc = True
    i, j, d = neighbor_list("ijd", box, 11.9)
    assert len(d) == len(neighbor_list("i", atoms, 11.9)) and len(i) == len(j)
    assert box.cell.handedness == 1 or np.linalg.det(atoms.cell) < 0


def test_other_periods_are_other_frames(tmp_path):
    frame = skewed((True, True, True))
    arguments = (LammpsPotential(AL, "Al"), tmp_path / "a.extxyz")
    relabel([frame], *arguments, progress=False)
    label = ase.io.read(tmp_path / "a.extxyz").info["teacher_energy"]
    frame.pbc = (True, True, False)
    assert abs(frame.copy().positions - frame.positions).max() == 0 and label < 0
    with pytest.raises(ValueError, match="holds labels of other frames, number 0 differs"):
        relabel([frame], *arguments, progress=False)


# --- elements -------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", ["Ni Al", "Al Ni"])
@pytest.mark.parametrize("element", ["Al", "Ni", None], ids=["Al", "Ni", "all"])
def test_a_pair_style_of_two_elements(tmp_path, order, element):
    """By the names in pair_coeff, compared with ASE's EAM."""
    from os import environ

    from ase.calculators.eam import EAM

    path = tmp_path / "potential.mod"
    path.write_text(NIAL.replace("Ni Al\n", f"{order}\n"))
    model = open_model(path, element or order.split())
    other = EAM(potential=f"{environ['LAMMPS_POTENTIALS']}/NiAlH_jea.eam.alloy")
    for atoms in (
        bulk("NiAl", "cesiumchloride", a=2.88) * (3, 3, 3),
        bulk("Ni", cubic=True) * (3, 3, 3),
        bulk("Al", cubic=True) * (3, 3, 3),
    ):
        atoms.rattle(0.05, seed=1)
        # splines of the two codes differ
        expected = other.get_potential_energy(atoms) / len(atoms)
        assert model.get_potential_energy(atoms) / len(atoms) == pytest.approx(expected, abs=2e-3)
    atoms.numbers[0] = 29
    with pytest.raises(ValueError, match="atoms: Cu is not among the elements of the potential's"):
        model.get_potential_energy(atoms)


def test_a_salt_has_charges():
    """Against pair sums of our own and Madelung's constant of rock salt."""
    commands = ["pair_style born/coul/long 6.0", "kspace_style ewald 1e-7"]
    for (one, two), (a, sigma, c, d) in SALT.items():
        types = f"{1 + (one == 17)} {1 + (two == 17)}"
        commands.insert(1, f"pair_coeff {types} {a} 0.317 {sigma} {c} {d}")
    commands += ["set type 1 charge 1.0", "set type 2 charge -1.0"]
    atoms = bulk("NaCl", "rocksalt", a=5.64, cubic=True) * (2, 2, 2)
    atoms.calc = LammpsPotential(commands, ["Na", "Cl"])
    i, j, r = neighbor_list("ijd", atoms, 6.0)
    pairs = np.sort(atoms.numbers[np.column_stack((i, j))], axis=1)
    energy = 0.0
    for kinds, (a, sigma, c, d) in SALT.items():
        x = r[(pairs == kinds).all(axis=1)]
        energy += 0.5 * (a * np.exp((sigma - x) / 0.317) - c / x**6 + d / x**8).sum()
    energy -= 32 * 1.747564594633 * 14.3996454 / 2.82
    assert atoms.get_potential_energy() == pytest.approx(energy, abs=2e-3)


@pytest.mark.parametrize(
    "element, message",
    [
        (["Al", "Ni"], r"pair_coeff names Ni, Al for the atom types"),
        ("Cu", "element = 'Cu': pair_coeff names Ni, Al"),
        ("Xx", "element = 'Xx': must be the symbols"),
        ([], "must be the symbols of the atom types"),
    ],
    ids=["order", "another", "none", "empty"],
)
def test_wrong_elements(element, message):
    with pytest.raises(ValueError, match=message):
        LammpsPotential(NIAL, element)
