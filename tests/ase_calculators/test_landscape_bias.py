# SPDX-License-Identifier: BSD-3-Clause
"""LandscapeBias: forces, stress, dynamics, optimizers, and the files that it shares with LAMMPS."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.calculators.mixing import SumCalculator
from ase.filters import FrechetCellFilter
from ase.io import read
from ase.md.verlet import VelocityVerlet
from ase.mep import NEB
from ase.optimize import BFGS

from ase_calculators import EntropySymmetry, LandscapeBias, Metadynamics

BIN = Path(sys.executable).parent
PARAMETERS = dict(rmax=5.0, sigma=0.2, q6_cutoff=3.4, smooth=0.6)
BIAS = dict(
    restrain={"sS": (30.0, -2.0), "Q6": (400.0, 0.2)},
    walls=[("sS", "lower", -1.0, 50.0), ("Q6", "upper", 0.05, 100.0)],
)
HILLS = Metadynamics(5, 0.3, 600, {"sS": 0.1, "Q6": 0.01}, bias_factor=8)


def bias_energy(sS, Q):
    return (
        15 * (sS + 2.0) ** 2
        + 200 * (Q - 0.2) ** 2
        + 25 * min(sS + 1.0, 0) ** 2
        + 50 * max(Q - 0.05, 0) ** 2
    )


def make_atoms(size=2, rattle=0.15, seed=1, symbol="Al"):
    atoms = bulk(symbol, cubic=True) * size
    atoms.rattle(rattle, seed=seed)
    return atoms


def definition(**changes):
    return EntropySymmetry(**{**PARAMETERS, **changes})


@pytest.mark.parametrize("elements", [None, ["Al"]], ids=["all", "one element"])
@pytest.mark.parametrize("seed", range(5))
def test_forces_and_stress(seed, elements):
    """Central differences of the energy, from values of EntropySymmetry, at two steps."""
    rng = np.random.default_rng(seed)
    cell = np.array([(4.1, 0, 0), (0.9, 3.9, 0), (-0.7, 1.1, 4.3)]) + rng.normal(0, 0.1, (3, 3))
    basis = [(0, 0, 0), (0.5, 0.5, 0), (0.5, 0, 0.5), (0, 0.5, 0.5)]
    atoms = Atoms("AlNiAlNi", cell=cell, scaled_positions=basis, pbc=True) * (1 + seed % 3)
    atoms.rattle(0.2, seed=seed)
    calc = definition(elements=elements)
    atoms.calc = LandscapeBias(calc, **BIAS)

    def energy(moved):
        return bias_energy(*(calc.get_property(name, moved) for name in ("sS", "Q6")))

    def derivative(change):
        h = 1e-3
        central = [(energy(change(s * h)) - energy(change(-s * h))) / (2 * s * h) for s in (1, 0.5)]
        return (4 * central[1] - central[0]) / 3

    assert atoms.get_potential_energy() == pytest.approx(energy(atoms), rel=1e-12)
    forces, stress = atoms.get_forces(), atoms.get_stress(voigt=False)
    for _ in range(3):
        move = rng.normal(size=(len(atoms), 3))

        def moved(h, move=move):
            copy = atoms.copy()
            copy.positions += h * move
            return copy

        # pairs that cross rmax + 5 sigma come and go with 4e-6 of their height
        scale = np.linalg.norm(forces) * np.linalg.norm(move) / np.sqrt(move.size)
        assert -(forces * move).sum() == pytest.approx(derivative(moved), abs=1e-4 * scale)
    for a, b in ((0, 0), (1, 1), (0, 2), (1, 2)):

        def strained(h, a=a, b=b):
            F = np.eye(3)
            F[a, b] += h
            copy = atoms.copy()
            copy.set_cell(atoms.cell.array @ F.T)
            copy.positions = atoms.positions @ F.T
            return copy

        expected = derivative(strained) / atoms.get_volume()
        assert stress[a, b] == pytest.approx(expected, abs=5e-5 * np.abs(stress).max())


def test_sum_with_a_potential():
    """SumCalculator adds energy, forces and stress; a slab has no stress of the bias."""
    atoms = make_atoms()
    bias = LandscapeBias(definition(), **BIAS)
    results = {}
    for name, calc in {"EMT": EMT(), "bias": bias, "sum": SumCalculator([EMT(), bias])}.items():
        atoms.calc = calc
        results[name] = atoms.get_potential_energy(), atoms.get_forces(), atoms.get_stress()
    for a, b, c in zip(results["EMT"], results["bias"], results["sum"], strict=True):
        np.testing.assert_allclose(np.add(a, b), c, rtol=1e-10, atol=1e-12)
    slab = atoms.copy()
    slab.pbc = (True, True, False)
    slab.calc = LandscapeBias(definition(number_density=0.06), **BIAS)
    slab.get_forces()
    with pytest.raises(Exception, match="stress: needs three periodic directions"):
        slab.get_stress()


def test_optimizer_cell_filter_and_neb():
    """Each ends where the forces of potential and bias vanish."""
    calc = definition(rmax=5.1)
    atoms = make_atoms()
    bias = LandscapeBias(calc, restrain={"sS": (5.0, -4.0)})
    atoms.calc = SumCalculator([EMT(), bias])
    with BFGS(FrechetCellFilter(atoms), logfile=None) as optimizer:
        assert optimizer.run(fmax=0.02, steps=300)
    assert np.abs(atoms.get_forces()).max() < 0.02
    np.testing.assert_allclose(atoms.get_stress(), 0, atol=1e-3)
    assert bias.bias.work == 0
    images = [make_atoms(1, 0.0), make_atoms(1, 0.0), make_atoms(1, 0.0)]
    images[2].positions += 0.1
    images[1].rattle(0.05, seed=3)
    for image in images:
        image.calc = SumCalculator([EMT(), LandscapeBias(calc, restrain={"sS": (1.0, -4.0)})])
    neb = NEB(images, method="improvedtangent")
    with BFGS(neb, logfile=None) as optimizer:
        assert optimizer.run(fmax=0.05, steps=200)


def dynamics(atoms, bias, seed=4):
    atoms.calc = SumCalculator([EMT(), bias])
    spread = np.sqrt(atoms.get_masses()[:, None] * units.kB * 600)
    atoms.set_momenta(np.random.default_rng(seed).normal(size=(len(atoms), 3)) * spread)
    return VelocityVerlet(atoms, 1.0 * units.fs)


def test_work():
    """In NVE the work of a moving restraint is the change of the total energy with the bias."""
    atoms = make_atoms(rattle=0.02)
    bias = LandscapeBias(
        definition(), restrain={"sS": (1.0, -4.0)}, move={"sS": (3.0, -2.0, 20, 220)}
    )
    dyn = dynamics(atoms, bias)
    bias.attach(dyn)
    start = atoms.get_total_energy()
    dyn.run(100)
    dyn.run(150)
    assert bias.bias.centres[0] == -2.0
    assert abs(bias.bias.work) > 0.3
    assert atoms.get_total_energy() - start == pytest.approx(bias.bias.work, abs=0.01)


def test_hills(tmp_path):
    """Heights follow from the energy of the hills before; a hill counts from the next step."""
    path = tmp_path / "hills"
    atoms = make_atoms(rattle=0.02)
    bias = LandscapeBias(definition(), metadynamics=HILLS._replace(file=path))
    dyn = dynamics(atoms, bias)
    bias.attach(dyn)
    seen = []
    dyn.attach(lambda: seen.append((*bias.values, bias.bias.hill_energy)))
    dyn.run(60)
    rows = np.loadtxt(path)
    assert rows[:, 0].tolist() == list(range(5, 61, 5))
    width, kT = np.array([0.1, 0.01]), 600 * units.kB
    for k, (step, *centre, height) in enumerate(rows):
        sS, Q, V = seen[int(step)]
        assert (sS, Q) == tuple(centre)
        total = sum(
            h * np.exp(-(((np.array(centre) - c) / width) ** 2).sum() / 2)
            for c, h in zip(rows[:k, 1:3], rows[:k, 3], strict=True)
        )
        assert abs(V - total) < 1e-4  # the interpolation
        assert height == pytest.approx(0.3 * np.exp(-V / (7 * kT)), rel=1e-9)
    np.testing.assert_array_equal(bias.bias.hills, rows)


def test_continues_a_file(tmp_path):
    """A line cut short by a kill is dropped and told; the hills count from the start."""
    path = tmp_path / "hills"
    atoms = make_atoms(rattle=0.02)
    with_file = HILLS._replace(file=path)
    bias = LandscapeBias(definition(), metadynamics=with_file)
    dyn = dynamics(atoms, bias)
    bias.attach(dyn)
    dyn.run(50)
    with pytest.raises(ValueError, match="another run is writing to it"):
        LandscapeBias(definition(), metadynamics=with_file).get_potential_energy(atoms)
    bias.close()
    whole = path.read_bytes()
    path.write_bytes(whole + b"55 -2.")
    again = LandscapeBias(definition(), metadynamics=with_file)
    with pytest.warns(UserWarning, match="unfinished last line was cut off"):
        energy = again.get_potential_energy(atoms)
    assert path.read_bytes() == whole and again.bias.n_hills == 10
    bias.bias.begin(51)
    assert energy == bias.bias.energy(bias.values)[0] > 0


@pytest.mark.parametrize("file", ["grown", "moved away", "with carriage returns"])
def test_state(tmp_path, file):
    """A run that continues from a state has hills, work and path of an uninterrupted one."""
    arguments = dict(restrain={"sS": (1.0, -4.0)}, move={"sS": (3.0, -2.0, 20, 220)})

    def start(name, loaded=None):
        atoms = make_atoms(rattle=0.02)
        bias = LandscapeBias(
            definition(), **arguments, metadynamics=HILLS._replace(file=tmp_path / name)
        )
        dyn = dynamics(atoms, bias)
        if loaded is not None:
            bias.load(tmp_path / "state")
            atoms.positions, momenta = loaded
            atoms.set_momenta(momenta)
        bias.attach(dyn)
        return atoms, bias, dyn

    atoms, whole, dyn = start("whole")
    dyn.run(50)
    whole.save(tmp_path / "state")
    now = atoms.positions.copy(), atoms.get_momenta()
    text = (tmp_path / "whole").read_bytes()
    if file == "grown":
        text += b"55 -2.0 0.1 0.3\n60 -2."
    elif file == "with carriage returns":
        text = text.replace(b"\n", b"\r\n")
    if file != "moved away":
        (tmp_path / "hills").write_bytes(text)
    dyn.run(30)
    again, bias, dyn = start("hills", now)
    if file == "grown":
        with pytest.warns(UserWarning, match="unfinished last line was cut off"):
            dyn.run(30)
    else:
        dyn.run(30)
    np.testing.assert_allclose(again.positions, atoms.positions, atol=1e-10)
    assert abs(whole.bias.work) > 0.01
    assert bias.bias.work == pytest.approx(whole.bias.work, rel=1e-9)
    rows = [np.loadtxt(tmp_path / name) for name in ("hills", "whole")]
    assert rows[0][:, 0].tolist() == list(range(5, 81, 5))
    np.testing.assert_allclose(*rows, rtol=1e-8)
    np.testing.assert_allclose(bias.bias.hills, whole.bias.hills, rtol=1e-8)


def test_state_of_another_bias(tmp_path):
    """What does not belong together is refused, and the file of hills stays as it is."""
    atoms = make_atoms()
    path, hills = tmp_path / "state", tmp_path / "hills"
    bias = LandscapeBias(definition(), metadynamics=HILLS._replace(file=hills))
    dyn = dynamics(atoms, bias)
    bias.attach(dyn)
    dyn.run(10)
    bias.save(path)
    bias.close()
    with pytest.raises(RuntimeError, match="something was calculated already"):
        bias.load(path)
    other = LandscapeBias(definition(rmax=4.5), restrain={"sS": (1.0, -4.0)})
    other.load(path)
    with pytest.raises(ValueError, match=r"loaded with rmax = 5.0, here it is 4.5; use the same"):
        other.get_potential_energy(atoms)
    path.with_name("broken").write_text("{}")
    with pytest.raises(ValueError, match="broken: is not a state of LandscapeBias.save"):
        other.load(path.with_name("broken"))
    lines = hills.read_text().splitlines(keepends=True)
    hills.write_text("".join([*lines[:-1], "10 -1.0 0.1 0.3\n"]))
    text = hills.read_bytes()
    again = LandscapeBias(definition(), metadynamics=HILLS._replace(file=hills))
    again.load(path)
    with pytest.raises(ValueError, match="its hills differ from those of the state"):
        again.get_potential_energy(atoms)
    assert hills.read_bytes() == text


@pytest.mark.parametrize("units_", ["metal", "real"])
def test_file_of_lammps(tmp_path, units_):
    """LAMMPS continues a file of ASE and ASE one of LAMMPS: energy, height, forces agree."""
    path = tmp_path / "hills"
    atoms = make_atoms(3, 0.05)
    bias = LandscapeBias(definition(), metadynamics=HILLS._replace(file=path))
    dyn = dynamics(atoms, bias)
    bias.attach(dyn)
    dyn.run(30)
    bias.close()
    atoms.wrap()
    atoms.write(tmp_path / "structure.data", format="lammps-data", masses=True)
    deck = f"""
        units {units_}
        read_data structure.data
        pair_style lj/cut 5.0
        pair_coeff * * 0.2 2.5
        compute es all entsym rmax 5.0 sigma 0.2 q6cut 3.4 smooth 0.6
        fix st all entsym/steer es metad 5 0.3 600 width sS 0.1 width Q6 0.01 &
            biasfactor 8 file hills
        velocity all create 600 1
        fix 1 all nve
        timestep 0.001
        run 0
        print "RESULT $(f_st:%.16g) $(f_st[1]:%.16g) $(f_st[2]:%.16g) $(f_st[8]) $(f_st[9]:%.16g)"
        run 30
        write_data after.data
        write_dump all custom after.dump id element x y z modify element Al sort id &
            format float %.17g
        run 0
        print "RESULT $(f_st:%.16g) $(f_st[1]:%.16g) $(f_st[2]:%.16g) $(f_st[8]) $(f_st[9]:%.16g)"
    """
    (tmp_path / "in.deck").write_text(deck)
    done = subprocess.run(
        [BIN / "lmp", "-nocite", "-log", "none", "-in", "in.deck"],
        cwd=tmp_path, capture_output=True, text=True, timeout=100,
    )  # fmt: skip
    if units_ == "real":
        assert "its hills are of units = metal, this bias has units = real" in done.stdout
        return
    first, last = (np.array(text.split(), float) for text in re.findall("RESULT (.*)", done.stdout))
    bias.bias.begin(31)
    sS, Q = bias.values
    np.testing.assert_allclose(first[1:3], [sS, Q], rtol=1e-9)
    assert first[3] == 6 and first[0] == pytest.approx(bias.bias.energy((sS, Q))[0], rel=1e-6)
    assert len(np.loadtxt(path)) == 12
    after = read(tmp_path / "after.dump", format="lammps-dump-text")
    after.pbc = True
    again = LandscapeBias(definition(), metadynamics=HILLS._replace(file=path))
    energy = again.get_potential_energy(after)
    assert again.bias.n_hills == 12
    # at its own step LAMMPS counts the hills before
    again.bias.begin(1000)
    assert energy > last[0] > 0
    assert again.values == pytest.approx(last[1:3], rel=1e-9)


def test_walkers(tmp_path):
    """Two runs that take turns have the hills of both."""
    biases = []
    for k in range(2):
        hills = HILLS._replace(file=tmp_path / f"hills.{k}", walkers=(f"{tmp_path}/hills.*", 5))
        bias = LandscapeBias(definition(), metadynamics=hills)
        dyn = dynamics(make_atoms(rattle=0.02), bias, seed=k)
        bias.attach(dyn)
        biases.append((bias, dyn))
    for _ in range(4):
        for _, dyn in biases:
            dyn.run(10)
    assert [bias.bias.n_hills for bias, _ in biases] == [14, 16]
    assert [len(bias.bias.hills) for bias, _ in biases] == [8, 8]


CASES = {
    "other calculator": (dict(calc=EMT()), TypeError, "calc: must be an EntropySymmetry"),
    "hard cutoff": (
        dict(calc=EntropySymmetry(5.0, 0.2, 3.4), restrain={"Q6": (1, 0)}),
        ValueError,
        "calc: has a hard neighbour cutoff, at which Q6 jumps",
    ),
    "hard cutoff, hills": (
        dict(calc=EntropySymmetry(5.0, 0.2, 3.4), metadynamics=HILLS),
        ValueError,
        "give it smooth",
    ),
    "no bias": ({}, ValueError, "no bias is given"),
    "variable": (dict(restrain={"Q4": (1, 0)}), ValueError, "'Q4' must be sS or Q6"),
    "negative": (dict(restrain={"sS": (-1, 0)}), ValueError, "force constant of sS = -1: must be"),
    "one number": (dict(restrain={"sS": 1}), ValueError, "restrain sS = 1: must be 2 finite"),
    "word": (dict(restrain={"sS": ("a", 0)}), ValueError, "must be 2 finite numbers"),
    "nan": (dict(restrain={"sS": (1, np.nan)}), ValueError, "must be 2 finite numbers"),
    "move alone": (
        dict(walls=[("sS", "upper", 0, 1)], move={"sS": (1, 1, 0, 5)}),
        ValueError,
        "move sS: restrain has no sS",
    ),
    "half a step": (
        dict(restrain={"sS": (1, 0)}, move={"sS": (1, 1, 0, 5.5)}),
        ValueError,
        "last step of move sS = 5.5",
    ),
    "backwards": (
        dict(restrain={"sS": (1, 0)}, move={"sS": (1, 1, 9, 5)}),
        ValueError,
        "must not be before the first, 9",
    ),
    "wall": (dict(walls=[("sS", "above", 0, 1)]), ValueError, "'upper' or 'lower'"),
    "height": (
        dict(metadynamics=HILLS._replace(height=0.0)),
        ValueError,
        "height of the hills = 0: must be finite and above 0",
    ),
    "width": (
        dict(metadynamics=HILLS._replace(width={"sS": -0.1})),
        ValueError,
        "width of sS = -0.1: must be above 0",
    ),
    "no width": (dict(metadynamics=HILLS._replace(width={})), ValueError, "none is given"),
    "every": (dict(metadynamics=HILLS._replace(every=0)), ValueError, "every = 0"),
    "bias factor": (
        dict(metadynamics=HILLS._replace(bias_factor=1)),
        ValueError,
        "bias factor = 1: must be above 1",
    ),
    "grid": (
        dict(metadynamics=HILLS._replace(grid={"sS": 0.09})),
        ValueError,
        "grid spacing of sS = 0.09: must be from a twentieth to half",
    ),
    "walkers": (
        dict(metadynamics=HILLS._replace(walkers=("h.*", 5))),
        ValueError,
        "walkers: each needs a file of its own",
    ),
}


@pytest.mark.parametrize(("arguments", "kind", "message"), CASES.values(), ids=CASES)
def test_wrong_arguments(arguments, kind, message):
    with pytest.raises(kind, match=message):
        LandscapeBias(**{"calc": definition(), **arguments})


def test_wrong_in_a_calculation(tmp_path):
    atoms = make_atoms()
    bias = LandscapeBias(definition(), restrain={"sS": (1.0, 0.0)})
    bias.get_potential_energy(atoms)
    with pytest.raises(ValueError, match="31 atoms count, there were 32 before"):
        bias.get_potential_energy(atoms[1:])
    with pytest.raises(ValueError, match=r"limit: the bias pulls atom \d+ with a force of"):
        LandscapeBias(definition(), **BIAS, limit=0.1).get_potential_energy(atoms)
    path = tmp_path / "hills"
    hills = HILLS._replace(file=path)
    first = LandscapeBias(definition(), metadynamics=hills)
    first.get_potential_energy(atoms)
    first.close()
    other = LandscapeBias(definition(rmax=5.1), metadynamics=hills)
    with pytest.raises(ValueError, match=r"hills are of rmax = 5, this bias has rmax = 5\.1"):
        other.get_potential_energy(atoms)
    with pytest.raises(ValueError, match="natoms = 32, this bias has natoms = 31"):
        LandscapeBias(definition(), metadynamics=hills).get_potential_energy(atoms[1:])
    path.write_bytes(first.bias.header + b"5 -2 0.1\n10 -2 0.1 0.3\n")
    with pytest.raises(ValueError, match="line 4 '5 -2 0.1' is not a hill"):
        LandscapeBias(definition(), metadynamics=hills).get_potential_energy(atoms)
