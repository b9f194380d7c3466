# SPDX-License-Identifier: BSD-3-Clause
"""free_energy: walkers in a known potential, from hills and from umbrella windows."""

import sys

import numpy as np
import pytest
from ase.units import kB

from ase_calculators import Window, free_energy
from cython_core import Bias

TEMPERATURE = 600.0
KT = kB * TEMPERATURE
EDGES = np.linspace(-1.4, 1.4, 29)


def double_well(x):
    """Return a potential with a barrier of 6 kT and wells that differ by 1.5 kT."""
    return KT * (6 * (x**2 - 1) ** 2 + 0.75 * x)


def slope(x):
    return KT * (24 * x * (x**2 - 1) + 0.75)


def exact_profile():
    """Return the mean free energy of each bin, from the integral of the Boltzmann factor."""
    x = EDGES[:-1, None] + np.diff(EDGES)[:, None] * (np.arange(50) + 0.5) / 50
    F = -KT * np.log(np.exp(-double_well(x) / KT).mean(axis=1))
    return F - F.min()


@pytest.fixture(scope="module")
def hills(tmp_path_factory):
    """Write the hills of a well-tempered walk in the double well; sS is the coordinate."""
    bias = Bias(
        ("sS", "Q6"), np.zeros((2, 2, 2)), [(0, 0), (0, 0)], every=50, height=0.5 * KT,
        temperature=TEMPERATURE, boltzmann=kB, bias_factor=8.0, widths=(0.1, 0.0),
    )  # fmt: skip
    bias.define(units="metal", group="all", natoms=1)
    rng = np.random.default_rng(1)
    step = 2e-3 / KT  # of the overdamped Langevin equation
    text, x, samples = bias.header, -1.0, []
    noise = rng.normal(size=150_000) * np.sqrt(2 * KT * step)
    bias.settle(0, (x, 0.1))
    for n, kick in enumerate(noise, 1):
        bias.begin(n)
        x += -(slope(x) + bias.energy((x, 0.1))[1][0]) * step + kick
        if line := bias.visit(n, (x, 0.1)):
            text += line
        if n % 25 == 0:
            samples.append((n, x, 0.1))
    path = tmp_path_factory.mktemp("hills") / "hills"
    path.write_bytes(text)
    return path, np.array(samples)


@pytest.mark.parametrize("given", [False, True], ids=["hills alone", "samples"])
def test_hills(hills, given, tmp_path):
    """The known profile within three standard errors, which are small against the barrier."""
    path, samples = hills
    found = free_energy(path, bins=(EDGES, 1), samples=samples if given else None, blocks=8)
    expected = exact_profile()
    F, error = found.values[:, 0], found.errors[:, 0]
    low = expected < 6 * KT
    assert np.isfinite(F[low]).all() and np.isfinite(error[low]).all()
    # both are known up to a constant
    shift = np.average((F - expected)[low], weights=1 / (error[low] ** 2 + 1e-6))
    deviation = (F - shift - expected)[low] / np.hypot(error[low], 0.02 * KT)
    assert np.abs(deviation).max() < 4 and np.sqrt((deviation**2).mean()) < 1.7
    assert error[low].max() < 0.7 * KT
    assert found.temperature == TEMPERATURE and found.names == ("sS", "Q6")
    assert found.n_samples == (4800 if given else 2400)
    assert found.n_samples / 20 < found.n_effective < found.n_samples
    found.plot(tmp_path / "profile.png")
    assert (tmp_path / "profile.png").stat().st_size > 5000


def test_units_and_walkers(hills, tmp_path):
    """The same hills in kcal/mol give the same eV; several files are those of walkers."""
    path, _ = hills
    metal = free_energy(path, bins=(EDGES, 1))
    lines = path.read_text().splitlines()
    factor = 23.060549  # kcal/mol per eV
    header = lines[1].replace("units=metal", "units=real")
    height = float(header.split("height=")[1].split()[0])
    header = header.replace(f"height={height!r}", f"height={height * factor!r}")
    rows = [line.split() for line in lines[3:]]
    real = [lines[0], header, lines[2]]
    real += [" ".join([*row[:3], repr(float(row[3]) * factor)]) for row in rows]
    (tmp_path / "real").write_text("\n".join(real) + "\n")
    again = free_energy(tmp_path / "real", bins=(EDGES, 1))
    np.testing.assert_allclose(again.values, metal.values, rtol=1e-4, atol=1e-5)
    for k in range(2):  # hills of odd and even number
        part = [*lines[:3], *lines[3 + k :: 2]]
        (tmp_path / f"hills.{k}").write_text("\n".join(part) + "\n")
    (tmp_path / "windows").write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    again = free_energy(tmp_path / "windows", bins=(EDGES, 1))
    np.testing.assert_array_equal(again.values, metal.values)
    both = free_energy([tmp_path / "hills.0", tmp_path / "hills.1"], bins=(EDGES, 1))
    np.testing.assert_allclose(both.values, metal.values, rtol=1e-9)


def draw(rng, constant, centre, n):
    """Return independent samples of the double well with a restraint."""
    x = np.linspace(-2, 2, 40_001)
    weights = np.exp(-(double_well(x) + constant / 2 * (x - centre) ** 2) / KT)
    return rng.choice(x, n, p=weights / weights.sum())


def test_windows():
    pytest.importorskip("pymbar")
    rng = np.random.default_rng(3)
    windows = []
    for centre in np.linspace(-1.2, 1.2, 13):
        x = draw(rng, 60 * KT, centre, 400)
        windows.append(Window(np.column_stack([x, 0.1 + 0 * x]), {"sS": (60 * KT, centre)}))
    found = free_energy(windows, bins=(EDGES, 1), temperature=TEMPERATURE, skip=0, blocks=10)
    expected = exact_profile()
    low = expected < 7 * KT
    F, error = found.values[low, 0], found.errors[low, 0]
    shift = np.average(F - expected[low], weights=1 / error**2)
    deviation = (F - shift - expected[low]) / error
    assert np.abs(deviation).max() < 4.5 and np.sqrt((deviation**2).mean()) < 1.8
    assert np.median(error) < 0.5 * KT


def test_map(hills, tmp_path):
    """In two variables; bins without a configuration are NaN."""
    path, samples = hills
    samples = samples.copy()
    samples[:, 2] = np.random.default_rng(2).uniform(0.1, 0.2, len(samples))
    found = free_energy(path, bins=(EDGES, 5), samples=samples)
    assert found.values.shape == found.errors.shape == (28, 5)
    assert np.nanmin(found.values) == 0
    # no force along Q: rows agree within their errors
    spread = np.nanstd(found.values[8], ddof=1)
    assert spread < 4 * np.nanmax(found.errors[8])
    wide = free_energy(path, bins=(np.linspace(-9, 9, 19), 1))
    assert np.isnan(wide.values[0, 0]) and np.isnan(wide.errors[0, 0])
    found.plot(tmp_path / "map.pdf")
    assert (tmp_path / "map.pdf").read_bytes().startswith(b"%PDF")


def test_wrong_arguments(hills, tmp_path):
    path, samples = hills
    window = Window(np.zeros((10, 2)), {"sS": (1.0, 0.0)})
    for arguments, message in [
        (dict(source=path, blocks=1), "blocks = 1: must be a whole number, 2 or more"),
        (dict(source=path, skip=1), "skip = 1: must be from 0 to below 1"),
        (dict(source=[]), "source: is empty"),
        (dict(source=path, temperature=300), "temperature: the files of hills have theirs"),
        (dict(source=[window]), "temperature = None: must be that of the windows"),
        (dict(source=path, skip=0.9999), "blocks need at least as many"),
        (dict(source=path, bins=(0, 1)), "bins of sS = 0: must be a whole number"),
        (dict(source=path, bins=([1, 0], 1)), "must be a whole number or rising edges"),
        (dict(source=path, bins=([7, 8], 1)), "no configuration is within the edges"),
        (dict(source=path, samples=[[1, 2]]), r"samples: have shape \(1, 2\)"),
        (dict(source=path, samples=samples[::-1]), "in the order of their steps"),
    ]:
        with pytest.raises(ValueError, match=message):
            free_energy(**arguments)
    (tmp_path / "letter").write_text("Dear all,\n")
    with pytest.raises(ValueError, match="letter: has no header of hills"):
        free_energy(tmp_path / "letter")
    text = path.read_text()
    (tmp_path / "other").write_text(text.replace("width_sS=0.1 ", "width_sS=0.2 "))
    with pytest.raises(ValueError, match=r"width_sS = 0\.2, this bias has width_sS = 0\.1"):
        free_energy([path, tmp_path / "other"])
    (tmp_path / "torn").write_text(text + "1 2\n3")
    with pytest.raises(ValueError, match="torn: line 3004 '1 2' is not a hill"):
        free_energy(tmp_path / "torn")
    pytest.importorskip("pymbar")
    with pytest.raises(ValueError, match="restrain Q4, Q6; all must have one degree"):
        both = [window._replace(restrain={name: (1, 0)}) for name in ("Q4", "Q6")]
        free_energy(both, temperature=300)
    with pytest.raises(ValueError, match=r"window 1: values have shape \(4,\)"):
        free_energy([window, window._replace(values=np.zeros(4))], temperature=300)


def test_without_pymbar(monkeypatch):
    monkeypatch.setitem(sys.modules, "pymbar", None)
    window = Window(np.zeros((10, 2)), {"sS": (1.0, 0.0)})
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'entsym\[sampling\]'"):
        free_energy([window], temperature=300)
