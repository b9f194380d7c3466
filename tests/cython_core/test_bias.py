# SPDX-License-Identifier: BSD-3-Clause
"""The bias: its grid, slopes, heights, work and text, against formulas in NumPy."""

import numpy as np
import pytest

from cython_core import Bias

NAMES = ("sS", "Q6")
NONE = np.zeros((2, 2, 2))
STILL = [(0, 0), (0, 0)]
HILLS = dict(every=2, height=0.3, temperature=600.0, boltzmann=8.6e-5, widths=(0.1, 0.01))


def exact(hills, points, widths=(0.1, 0.01)):
    """Return the sum of Gaussians; a width of 0 leaves its variable out."""
    used = [d for d in range(2) if widths[d]]
    u = (points[:, None, used] - hills[None, :, 1:3][..., used]) / np.array(widths)[used]
    return (hills[:, 3] * np.exp(-(u**2).sum(axis=-1) / 2)).sum(axis=1)


def random_hills(n, seed=1, spread=(0.5, 0.05)):
    rng = np.random.default_rng(seed)
    centres = rng.normal((-3.0, 0.3), spread, (n, 2))
    return np.column_stack([np.arange(n), centres, rng.uniform(0.1, 0.4, n)])


@pytest.mark.parametrize("widths", [(0.1, 0.01), (0.1, 0.0), (0.0, 0.01)], ids=["2d", "sS", "Q"])
@pytest.mark.parametrize("fraction", [0.2, 0.1])
def test_interpolation(widths, fraction):
    """It differs from the exact sum by the fourth power of the spacing, and not at the nodes."""
    hills, points = random_hills(50), random_hills(200, seed=2)[:, 1:3]
    spacings = [fraction * w for w in widths]
    bias = Bias(NAMES, NONE, STILL, **{**HILLS, "widths": widths}, spacings=spacings)
    bias.add(hills)
    energies = np.array([bias.energy(p)[0] for p in points])
    # 3/384 h^4 of the fourth derivative, in one or two variables, of up to a few hills together
    np.testing.assert_allclose(energies, exact(hills, points, widths), atol=0.05 * fraction**4)
    nodes = np.where(np.array(widths) > 0, np.round(points / [0.02, 0.002]) * [0.02, 0.002], points)
    if fraction == 0.2:
        energies = [bias.energy(p + 1e-13)[0] for p in nodes]
        np.testing.assert_allclose(energies, exact(hills, nodes, widths), atol=1e-9)


def test_slopes_are_those_of_the_interpolated_energy():
    """Differences of the energy itself, much closer than the error of the interpolation."""
    bias = Bias(
        NAMES, [[(30, -2), (30, -2)], [(400, 0.2), (400, 0.2)]], STILL,
        [(0, False, -2.9, 50.0), (1, True, 0.25, 300.0)], **HILLS,
    )  # fmt: skip
    bias.add(random_hills(50))
    for point in random_hills(50, seed=3)[:, 1:3]:
        _, slopes = bias.energy(point)
        for d, h in enumerate((1e-5, 1e-6)):
            step = np.eye(2)[d] * h
            difference = (bias.energy(point + step)[0] - bias.energy(point - step)[0]) / (2 * h)
            assert slopes[d] == pytest.approx(difference, rel=1e-6, abs=1e-5)


def test_when_the_grid_grows_does_not_matter():
    """Energies are the same to the last bit, and so is the offset."""
    hills = random_hills(40, spread=(2.0, 0.1))
    points = hills[:, 1:3]
    first, second = (Bias(NAMES, NONE, STILL, **HILLS) for _ in range(2))
    for k, hill in enumerate(hills):  # grows on the way
        first.energy(points[k])
        first.add(hill[None])
    second.add(hills)
    for point in points[::-1]:
        assert first.energy(point) == second.energy(point)
    assert first.offset == pytest.approx(second.offset, rel=1e-12) and first.offset > 0


def test_heights_and_steps():
    """A hill every second step, the height from the energy before; it counts from the next step."""
    bias = Bias(NAMES, NONE, STILL, **HILLS, bias_factor=5.0)
    bias.settle(0, (-3.0, 0.3))
    lines = []
    for step in range(1, 9):
        bias.begin(step)
        V = bias.energy((-3.0, 0.3))[0]
        line = bias.visit(step, (-3.0, 0.3))
        assert (line is not None) == (step % 2 == 0)
        assert bias.energy((-3.0, 0.3))[0] == V  # not yet
        if line:
            lines.append(line)
            number, *centre, height = line.split()
            assert int(number) == step and [float(c) for c in centre] == [-3.0, 0.3]
            assert float(height) == pytest.approx(0.3 * np.exp(-V / (4 * 8.6e-5 * 600)))
            assert bias.height == float(height)
    assert bias.visit(8, (-3.0, 0.3)) is None  # once in a step
    assert len(lines) == 4 and float(lines[-1].split()[-1]) < 0.05


def test_offset():
    """c of a single hill from integrals over its neighbourhood, by a fine sum."""
    bias = Bias(NAMES, NONE, STILL, **HILLS, bias_factor=6.0)
    bias.add([(0, -3.0, 0.3, 0.3)])
    bias.energy((-3.0, 0.3))
    u = (np.arange(4000) + 0.5) / 1000 - 2
    V = 0.3 * np.exp(-(u[:, None] ** 2 + u**2) / 2)
    kT = 8.6e-5 * 600
    expected = kT * np.log(np.exp(6 / 5 * V / kT).mean() / np.exp(V / 5 / kT).mean())
    # the sum over 21 x 21 nodes against the integral
    assert bias.offset == pytest.approx(expected, abs=0.02)


def test_work_of_a_move():
    """At fixed values the work is the difference of the energies; then half of each end."""
    moved = [[(10.0, -3.0), (20.0, -2.0)], [(0, 0), (0, 0)]]
    bias = Bias(NAMES, moved, [(10, 20), (0, 0)])
    point = (-2.7, 0.1)
    bias.settle(0, point)
    start = bias.energy(point)[0]
    assert start == pytest.approx(5 * 0.3**2)
    for step in range(1, 31):
        bias.begin(step)
        bias.visit(step, point)
        if step == 15:
            assert bias.centres[0] == pytest.approx(-2.5)
            assert bias.energy(point)[0] == pytest.approx(7.5 * 0.2**2)
    assert bias.work == pytest.approx(bias.energy(point)[0] - start)
    assert bias.energy(point)[0] == pytest.approx(10 * 0.7**2)
    # one jump: half at the old values, half at the new ones
    jump = Bias(NAMES, moved, [(0, 1), (0, 0)])
    jump.settle(0, (-3.0, 0.1))
    jump.begin(1)
    jump.visit(1, (-2.0, 0.1))
    assert jump.work == pytest.approx(((10.0 - 0.0) + (0.0 - 5.0)) / 2)


def test_text_is_read_as_it_was_written():
    """All digits; a line without an end is left out; the header must be that of this bias."""
    bias = Bias(NAMES, NONE, STILL, **HILLS)
    bias.define(units="metal", rmax=5.0, degree=6)
    bias.settle(0, (0.1, 0.2))
    rng = np.random.default_rng(5)
    text = bias.header
    for step in range(2, 40, 2):
        text += bias.visit(step, rng.normal(size=2) * 10.0 ** rng.integers(-12, 3))
    hills, end = bias.read(text + b"40 -2.")
    assert end == len(text)
    np.testing.assert_array_equal(hills, bias.hills)
    more, end = bias.read(b"40 1 2 3\n42 1 ", headed=False)
    assert more.tolist() == [[40, 1, 2, 3]] and end == 9
    other = Bias(NAMES, NONE, STILL, **{**HILLS, "height": 0.2})
    other.define(units="metal", rmax=5.0, degree=6)
    with pytest.raises(ValueError, match=r"of height = 0\.3, this bias has height = 0\.2"):
        other.read(text)
    other.define(units="metal", rmax=5.0, degree=6, smooth=0.1)
    with pytest.raises(ValueError, match="it does not tell its smooth"):
        other.read(text)


def test_others():
    """Hills of other walkers can be forgotten; those of this run stay."""
    own, others = random_hills(10, 1), random_hills(10, 2)
    bias = Bias(NAMES, NONE, STILL, **HILLS)
    bias.add(own)
    bias.add(others, own=False)
    assert bias.n_hills == 20 and len(bias.hills) == 10
    bias.forget_others()
    assert bias.n_hills == 10
    point = own[3, 1:3]
    assert bias.energy(point)[0] == pytest.approx(exact(own, point[None])[0], abs=1e-4)


def test_values_that_are_not_finite():
    bias = Bias(NAMES, NONE, STILL, **HILLS)
    with pytest.raises(ValueError, match="value of the biased variable = nan: must be finite"):
        bias.energy((np.nan, 0.1))
    with pytest.raises(ValueError, match="within 1000000000 grid spacings of 0"):
        bias.energy((1e9, 0.1))
