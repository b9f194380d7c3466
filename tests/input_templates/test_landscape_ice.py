# SPDX-License-Identifier: BSD-3-Clause
"""input_templates/landscape/ice and the separation that it shares with the other systems."""

import csv
import importlib.util
from pathlib import Path

import ase.io
import numpy as np
import pytest

TEMPLATE = Path(__file__).parents[2] / "input_templates" / "landscape"
SHORT = (("melt", 300), ("freeze", 200), ("heat", 100), ("quench", 100), ("every", 50))


@pytest.fixture(scope="module")
def separation():
    spec = importlib.util.spec_from_file_location("separation", TEMPLATE / "separation.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_line_separates_what_a_line_can(separation):
    rng = np.random.default_rng(1)
    points = rng.random((200, 2)) * [1e-3, 50.0]
    below = points[:, 1] / 50.0 < points[:, 0] / 1e-3
    assert separation.balanced_accuracy(points[below], points[~below]) > 0.985
    # a ring around a disc: no line has more than the disc on its side and half of the ring
    angle = np.linspace(0, 2 * np.pi, 400, endpoint=False)
    ring = np.column_stack([np.cos(angle), np.sin(angle)])
    assert separation.balanced_accuracy(ring, ring * 0.01) == pytest.approx(0.75, abs=0.01)
    # sets of unequal size count alike; points at the same place cannot be told apart
    assert separation.balanced_accuracy(np.zeros((9, 2)), np.zeros((1, 2))) == pytest.approx(0.5)
    assert separation.balanced_accuracy(np.zeros((9, 2)), np.ones((1, 2))) == pytest.approx(1)
    assert separation.balanced_accuracy(
        np.array([[0, 0], [0, 0], [1, 0], [0, 0]]), np.array([[1, 0]])
    ) == pytest.approx((3 / 4 + 1) / 2)


def test_ice_shortened(lmp, script, copy_of):
    pytest.importorskip("ovito")
    folder = copy_of("landscape")
    ice = folder / "ice"
    lmp("in.ice", *SHORT, cwd=ice)
    frames = ase.io.read(ice / "ice.dump", index=":")
    assert len(frames) == 9 and set(frames[0].get_chemical_symbols()) == {"O"}
    # the seed is a quarter of the molecules: CHILL+ finds it, and the perfect crystal is all ice
    script("label.py", "ice.dump", cwd=ice)
    with open(ice / "labels.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["frame"] for row in rows] == [str(i) for i in range(9)]
    assert 0.05 < float(rows[0]["ice_fraction"]) < 0.5
    said = script(
        "../separation.py", "ice.dump", "--labels", "labels.csv", "--energies", "log.ice", cwd=ice
    )
    assert "rank correlation" in said and "mean local q4, q6" in said
    assert all((ice / f"{name}.png").stat().st_size > 5000 for name in ("landscape", "separation"))
    (ice / "labels.csv").write_text("frame,phase\n0,ice\n")
    said = script("../separation.py", "ice.dump", "--labels", "labels.csv", cwd=ice, fails=True)
    assert "labels = labels.csv: must have a row for each of the 9 frames" in said
