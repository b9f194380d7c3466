# SPDX-License-Identifier: BSD-3-Clause
"""input_templates/polymorph/silicon, shortened, in a copy of the folder."""

import re

import ase.io
import numpy as np
import pytest

from ase_calculators import EntropySymmetry, LandscapeTable

PARAMETERS = {"rmax": 8.0, "sigma": 0.125, "q6_cutoff": 3.2, "smooth": 0.4}
SHORT = ("--per-edge", 3, "--generations", 4, "--individuals", 20)


def results(said):
    """Return the lines with results, without progress bars."""
    return [line for line in said.splitlines() if "%" in line and "%|" not in line]


@pytest.fixture(scope="module")
def bred(copy_of, script):
    """A short run: the folder and what was said."""
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
    evaluations = [targets[f"{mode}_evaluations"].sum() for mode in ("roulette", "guided")]
    # a guided child takes about ten evaluations; the two differ by a few percent in a full run
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
    "individuals": (("--individuals", 5), "--individuals 5: must be 10 or more"),
    "per edge": (("--per-edge", 1), "targets_per_edge = 1: must be a whole number, 2 or more"),
    "another seed": ((*SHORT, "--seed", 2), "seed = 1; this run has seed = 2"),
}


@pytest.mark.parametrize("arguments, message", WRONG.values(), ids=WRONG)
def test_wrong_usage(bred, script, arguments, message):
    said = script("silicon.py", *arguments, cwd=bred[0], fails=True)
    assert message in said
    assert "Traceback" not in said
