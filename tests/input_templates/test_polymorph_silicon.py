# SPDX-License-Identifier: BSD-3-Clause
"""input_templates/polymorph/silicon, shortened, in a copy of the folder."""

import re
import shutil

import ase.io
import numpy as np
import pytest

from ase_calculators import EntropySymmetry, LandscapeTable

PARAMETERS = {"rmax": 8.0, "sigma": 0.125, "q6_cutoff": 3.2, "smooth": 0.4}
SHORT = ("--per-edge", 3, "--generations", 4, "--individuals", 20)
# 64 atoms, two generations of three for each corner of the window
DECK = (
    ("cells", 2), ("rmax", 5.4), ("settle", 100), ("heat", 2000), ("every", 20), ("per_edge", 2),
    ("generations", 2), ("individuals", 3),
)  # fmt: skip
LIBRARIES = ("parents.extxyz", "library.extxyz", "target.extxyz")


def results(said):
    """Return the lines with results, without progress bars."""
    return [line for line in said.splitlines() if "%" in line and "%|" not in line]


@pytest.fixture(scope="module")
def bred(copy_of, script):
    """Run a short job; return the folder and its output."""
    folder = copy_of("polymorph/silicon")
    return folder, script("silicon.py", *SHORT, cwd=folder)


def test_both_modes_get_the_same_targets_and_evaluations(bred, is_picture):
    folder, said = bred
    targets = np.genfromtxt(
        folder / "results" / "targets.csv", delimiter=",", names=True, skip_header=1
    )
    assert len(targets) == 1 + 9
    assert "seed 1" in (folder / "results" / "targets.csv").read_text().splitlines()[0]
    np.testing.assert_array_less(targets["roulette_evaluations"], 80.5)
    # children per generation: a sixth
    np.testing.assert_array_less(targets["guided_evaluations"], 4 * 3 * 7 + 0.5)
    evaluations = [targets[f"{mode}_evaluations"].sum() for mode in ("roulette", "guided")]
    # a guided child takes about six evaluations; the two differ by a tenth in a full run
    assert evaluations[1] == pytest.approx(evaluations[0], rel=0.25)
    # the public example's target lies where the crystal ends, which both modes come near to, and
    # which gradients hit
    assert targets["guided_distance"][0] < 0.02
    assert targets["guided_hits"].sum() > targets["roulette_hits"].sum()
    # roulette cannot leave the line of the parents
    nearer = targets["guided_distance"] < targets["roulette_distance"]
    assert np.mean(nearer) > 0.7
    for name in ("landscape.png", "distance.png"):
        assert is_picture(folder / "results" / name)
    rates = re.findall(r"([\d.]+) hits per 1,000 evaluations", said)
    expected = [
        1000 * targets[f"{mode}_hits"].sum() / targets[f"{mode}_evaluations"].sum()
        for mode in ("roulette", "guided")
    ]
    np.testing.assert_allclose([float(rate) for rate in rates], expected, atol=0.006)


@pytest.mark.parametrize("mode", ["roulette", "guided"])
def test_children_are_where_the_library_says(bred, mode):
    folder, _ = bred
    frames = ase.io.read(folder / "results" / f"{mode}.extxyz", index="::25")
    found = EntropySymmetry(**PARAMETERS).evaluate(frames)
    # values to rounding: the positions are written with all digits
    np.testing.assert_allclose([a.info["sS"] for a in frames], found["sS"], rtol=1e-10)
    np.testing.assert_allclose([a.info["Q6"] for a in frames], found["Q6"], atol=1e-10)
    for atoms in frames:
        assert len(atoms) == 216
        distances = atoms.get_all_distances(mic=True)[np.triu_indices(216, 1)]
        assert distances.min() >= 2.0


def test_started_again_it_goes_on(bred, script):
    folder, said = bred
    library = folder / "results" / "guided.extxyz"
    before = library.read_bytes()
    library.write_bytes(before[: int(0.6 * len(before))])
    again = script("silicon.py", *SHORT, cwd=folder)
    assert library.read_bytes() == before
    assert results(again) == results(said) != []


def test_parents_are_those_of_the_public_example(bred, request):
    folder, _ = bred
    source = request.path.parents[1] / "reference" / "si216"
    parents = sorted(folder.glob("POSCAR_*.vasp"))
    assert len(parents) == 4
    for path in parents:
        assert path.read_bytes() == (source / path.name).read_bytes()


def test_library_is_mapped_beside(bred):
    folder, _ = bred
    table = LandscapeTable.read(folder / "results" / "guided.csv")
    assert table.parameters["smooth"] == 0.4
    assert np.ptp(table.sS) > 5.0


WRONG = {
    "individuals": (("--individuals", 5), "--individuals 5: must be 6 or more"),
    "per edge": (("--per-edge", 1), "targets_per_edge = 1: must be a whole number from 2 to"),
    "another seed": ((*SHORT, "--seed", 2), "seed = 1; this run has seed = 2"),
}


@pytest.mark.parametrize("arguments, message", WRONG.values(), ids=WRONG)
def test_wrong_usage(bred, script, arguments, message):
    said = script("silicon.py", *arguments, cwd=bred[0], fails=True)
    assert message in said
    assert "Traceback" not in said


@pytest.fixture(scope="module")
def in_lammps(copy_of, lmp):
    """Run a short deck; return the folder and its output."""
    folder = copy_of("polymorph/silicon")
    return folder, lmp("in.silicon", *DECK, cwd=folder)


def test_deck_goes_from_a_crystal_to_a_relaxed_point(in_lammps):
    folder, said = in_lammps
    parents, library, children = (ase.io.read(folder / name, index=":") for name in LIBRARIES)
    # even, and from the crystal to the melt
    points = np.array([[a.info["sS"], a.info["Q6"]] for a in parents])
    assert len(np.unique(np.floor(points / (0.5, 0.03)), axis=0)) == len(parents) > 10
    assert points[:, 1].min() < 0.1 < 0.6 < points[:, 1].max()
    # four corners and a point, two generations of three each
    assert [len(library), len(children)] == [4 * 6, 6]
    for atoms in library + children:
        assert atoms.get_all_distances(mic=True)[np.triu_indices(64, 1)].min() >= 2.0
    calc = EntropySymmetry(**PARAMETERS | {"rmax": 5.4})
    values = calc.evaluate(library + children)
    np.testing.assert_allclose(
        [[a.info["sS"], a.info["Q6"]] for a in library + children],
        np.column_stack(list(values.values())), rtol=1e-9,
    )  # fmt: skip
    # the nearest child was put into the box and relaxed
    frame, distance = re.search(r"frame (\d+), (\S+) of the window from its target", said).groups()
    assert float(distance) < 0.02
    best = children[int(frame)]
    energies = re.search(r"Energy initial, next-to-last, final = *\n(.*)", said)[1].split()
    rows = [line.split() for line in said.splitlines() if len(line.split()) == 7]
    row = next(row for row in rows if row[4] == f"{float(energies[0]):.8g}")
    np.testing.assert_allclose(
        [float(x) for x in row[3:4] + row[5:]],
        [best.get_volume(), best.info["sS"], best.info["Q6"]], rtol=1e-6,
    )  # fmt: skip
    assert float(energies[2]) < float(energies[0]) - 0.1 * 64
    relaxed = ase.io.read(folder / "relaxed.data", format="lammps-data")
    assert len(relaxed) == 64
    assert relaxed.get_volume() == pytest.approx(best.get_volume(), rel=1e-9)


def test_deck_started_again_adds_nothing(in_lammps, lmp):
    folder, _ = in_lammps
    before = [(folder / name).read_bytes() for name in LIBRARIES]
    said = lmp("in.silicon", *DECK, cwd=folder)
    assert [(folder / name).read_bytes() for name in LIBRARIES] == before
    assert "24 frames are there already" in said
    (folder / "library.extxyz").write_bytes(before[1][: len(before[1]) // 2])
    lmp("in.silicon", *DECK, cwd=folder)
    assert [(folder / name).read_bytes() for name in LIBRARIES] == before


def test_deck_on_two_ranks(in_lammps, lmp, tmp_path):
    """Libraries agree to the byte for equal parents; frames of dynamics agree up to rounding."""
    folder, _ = in_lammps
    lines = ["units metal", "box tilt large", f"read_data {folder / 'relaxed.data'}"]
    lines += ["compute es all entsym rmax 5.4 sigma 0.125 q6cut 3.2 smooth 0.4"]
    lines += [f"polymorph es $n.extxyz element Si parents {folder / 'parents.extxyz'} targets grid "
              "targets_per_edge 2 generations 2 individuals 3 min_distance * * 1.9"]  # fmt: skip
    (tmp_path / "in.again").write_text("\n".join(lines))
    for ranks in (1, 2):
        lmp("in.again", ("n", ranks), cwd=tmp_path, ranks=ranks)
        copy = tmp_path / str(ranks)
        copy.mkdir()
        for name in ("in.silicon", "potential.mod"):
            shutil.copy(folder / name, copy)
        # after 2 ps more, rounding has grown from 1e-13 to 1e-7 Å
        lmp("in.silicon", *(dict(DECK) | {"heat": 300}).items(), cwd=copy, ranks=ranks)
    assert (tmp_path / "1.extxyz").read_bytes() == (tmp_path / "2.extxyz").read_bytes()
    for name in LIBRARIES[1:]:
        one, two = (ase.io.read(tmp_path / ranks / name, index=":") for ranks in "12")
        for a, b in zip(one, two, strict=True):
            for key in ("target", "generation", "individual", "parent", "genes", "evaluations"):
                assert a.info[key] == b.info[key]
            np.testing.assert_allclose(a.positions, b.positions, rtol=0, atol=1e-8)


def test_deck_without_its_potential_says_where_to_give_it(in_lammps, lmp, tmp_path):
    folder, _ = in_lammps
    for name in ("in.silicon", "potential.mod"):
        shutil.copy(folder / name, tmp_path)
    said = lmp("in.silicon", cwd=tmp_path, fails=True, LAMMPS_POTENTIALS="/nowhere")
    assert "potential = Si.sw: no such file here or in LAMMPS_POTENTIALS = /nowhere" in said
    assert not (tmp_path / "parents.extxyz").exists()


def test_deck_refuses_a_library_of_another_seed(in_lammps, lmp):
    folder, _ = in_lammps
    said = lmp("in.silicon", *DECK, ("seed", 2), cwd=folder, fails=True)
    assert "library.extxyz was made with seed = 1; this run has seed = 2" in said
