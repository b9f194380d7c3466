# SPDX-License-Identifier: BSD-3-Clause
"""finetune.py with a tiny universal model; trust.py with two embedded-atom potentials."""

import json
import sys
from pathlib import Path

import ase.io
import numpy as np
import pytest
from scipy.stats import spearmanr

sys.path.insert(0, str(Path(__file__).parents[1] / "ase_calculators"))
from emt_cells import labelled

CALCULATORS = """
from ase.calculators.emt import EMT
class Other(EMT):
    "EMT with a force that is wrong by a share of itself."
    def calculate(self, *args, **kwargs):
        super().calculate(*args, **kwargs)
        self.results["forces"] = 1.1 * self.results["forces"]
        self.results["energy"] += 0.1 * len(self.atoms)
"""


def write(path, n, seed, **options):
    ase.io.write(path, labelled(n, seed, **options))


@pytest.fixture(scope="module")
def folder(copy_of):
    folder = copy_of("distillation")
    (folder / "sets").mkdir()
    write(folder / "sets" / "standard.extxyz", 20, 0)
    write(folder / "sets" / "test.extxyz", 6, 100, strain=0.06)
    write(folder / "faults.extxyz", 5, 200)
    (folder / "calculators.py").write_text(CALCULATORS)
    return folder


def test_trust(folder, script, is_picture, monkeypatch):
    said = script("trust.py", "--model", "ase.calculators.emt:EMT", "calculators:Other", cwd=folder)
    assert "6 frames, 2 models" in said and is_picture(folder / "trust" / "trust.png")
    rows = [line.split(" | ") for line in said.splitlines() if line.startswith("| forces")]
    # the mean is off by 5 % of each force, the spread is 5 % of the largest force of a frame
    forces = [atoms.get_forces() for atoms in labelled(6, 100, strain=0.06)]
    off = [np.sqrt(np.mean(f**2)) for f in forces]
    spread = [np.linalg.norm(f, axis=1).max() for f in forces]
    assert rows[0][1] == "spread"
    assert float(rows[0][2]) == pytest.approx(spearmanr(off, spread).statistic, abs=0.006)
    assert "frames are further than one cell from each training frame" in said
    said = script("trust.py", "--model", "ase.calculators.emt:EMT", cwd=folder, fails=True)
    assert "one model has no spread; give two or more" in said
    monkeypatch.syspath_prepend(str(folder))
    import trust

    rng = np.random.default_rng(1)
    error = rng.exponential(size=30)
    assert trust.skill(error, error) == 1 and trust.skill(error, -error) < -0.5
    random = [trust.skill(error, rng.random(30)) for _ in range(2000)]
    assert abs(np.mean(random)) < 4 * np.std(random) / np.sqrt(2000)


def test_stacks(folder, monkeypatch):
    monkeypatch.syspath_prepend(str(folder))
    import finetune
    from ase.calculators.emt import EMT

    labels = Path(__file__).parents[1] / "reference" / "al_faults_pbe" / "labels.extxyz"
    frames = ase.io.read(labels, ":")
    by_name = {atoms.info["name"]: atoms for atoms in frames}
    isf, fcc = (by_name[f"{name} a=4.04 d=1.0"] for name in ("isf", "fcc"))
    # one atom a layer: the area is that of a triangular lattice
    area = 4.04**2 / 2 * np.sqrt(3) / 2
    energy = isf.get_potential_energy() - 8 * fcc.get_potential_energy() / len(fcc)
    assert finetune.intrinsic_fault(None, frames) == pytest.approx(16021.77 * energy / area)
    assert 100 < finetune.intrinsic_fault(None, frames) < 150
    assert np.isnan(finetune.intrinsic_fault(None, frames[1:]))
    # EMT: within three shells of neighbours, only their distances count
    shells = finetune.hcp_above_fcc(EMT(), 4.0), finetune.intrinsic_fault(EMT(), frames)
    assert 0 < abs(shells[0]) < 20 and 0 < abs(shells[1]) < 200


def test_fault_curves(folder, script, is_picture, monkeypatch):
    monkeypatch.syspath_prepend(str(folder))
    import fault_curves
    from ase.calculators.emt import EMT

    from ase_calculators.validation.stacking_faults import fault_energies

    labels = Path(__file__).parents[1] / "reference" / "al_faults_pbe" / "labels.extxyz"
    places, stacks = fault_curves.path_of(ase.io.read(labels, ":"), 4.04)
    assert places.tolist() == [0, 0.25, 0.5, 0.75, 1, 1.25, 1.5, 1.75, 2, 2.5]
    curve = fault_energies(stacks)
    # an independent count of the intrinsic fault and of its saddle
    area = 4.04**2 / 2 * np.sqrt(3) / 2
    fcc = stacks[0].get_potential_energy() / len(stacks[0])
    for place in (0.5, 1.0):
        atoms = stacks[places.tolist().index(place)]
        above = atoms.get_potential_energy() - len(atoms) * fcc
        assert curve[places == place] == pytest.approx(16021.77 * above / area)
    assert curve[0] == 0 and curve[2] > curve[4] > 100  # USF above ISF
    # as many planes that cost as much the second time: UTF / USF alone decides
    assert fault_curves.twinnability(
        np.array([0.5, 1, 1.5]), np.array([100.0, 0, 100])
    ) == pytest.approx(1.136)
    assert np.isnan(fault_curves.twinnability(np.array([0.5]), np.array([1.0])))
    emt = "ase.calculators.emt:EMT"
    models = ("--model", f"EMT={emt}") * 2
    said = script("fault_curves.py", labels, *models, cwd=folder)
    row = fault_energies(stacks, EMT())
    assert f"| EMT | {row[2]:.0f} ± 0 | {row[4]:.0f} ± 0 |" in said and is_picture(
        folder / "faults" / "fault_curves.png"
    )
    said = script("fault_curves.py", labels, *models, "--lattice", 5, cwd=folder, fails=True)
    assert "no stack is named 'fcc a=5 d=1.0'" in said


def test_gain(folder, script, is_picture, monkeypatch):
    monkeypatch.syspath_prepend(str(folder))
    import gain

    # a group whose errors are half of those of the other, on whatever frames
    sums, counts = np.array([4.0, 1, 9, 16]), np.array([1.0, 2, 3, 4])
    share, error = gain.gain([(sums, counts)], [(sums / 4, counts)], np.random.default_rng(0))
    assert share == pytest.approx(0.5) and error == pytest.approx(0, abs=1e-12)
    # seeds and frames that differ have an error: of the mean of n frames
    rng = np.random.default_rng(1)
    noisy = [(rng.exponential(size=100), np.ones(100)) for _ in range(2)]
    share, error = gain.gain([(np.ones(100), np.ones(100))], noisy, rng)
    assert share == pytest.approx(1 - gain.rmse(noisy, np.arange(100)).mean())
    assert 0.02 < error < 0.1
    emt, other = "ase.calculators.emt:EMT", "calculators:Other"
    said = script("gain.py", "--group", "other", other, other, "--group", "EMT", emt, "--faults",
                  "faults.extxyz", "--properties", "elastic_constants", cwd=folder)  # fmt: skip
    # the labels are EMT's
    assert "| EMT | 1 | 0.0 | 100 ± 0 | 0.0 | 100 ± 0 |" in said
    assert "| other | 2 | 100.0 ± 0.0 |" in said and "Held-out stacks and faults, 1 frames" in said
    assert "mean deviation of 3: C11, C12, C44" in said
    assert said.strip() and is_picture(folder / "gain" / "gain.png")
    said = script("gain.py", "--group", "alone", cwd=folder, fails=True)
    assert "--group alone: has no models" in said


def test_stacks_for_the_teacher(folder, script):
    labels = Path(__file__).parents[1] / "reference" / "al_faults_pbe" / "labels.extxyz"
    said = script("stacks.py", labels, "--frames", 60, cwd=folder)
    frames = ase.io.read(folder / "sets" / "stacks.extxyz", ":")
    assert f"{len(frames)} stacks" in said and 40 < len(frames) < 80
    assert {len(atoms) for atoms in frames} == {2, 3, 4, 5, 6, 7, 8, 9}
    for atoms in frames:
        distances = (atoms * (3, 3, 1)).get_all_distances(mic=True)
        assert distances[distances > 0].min() > 2.3 and not atoms.calc


@pytest.mark.slow
@pytest.mark.distillation
def test_finetune(folder, script, monkeypatch):
    monkeypatch.delenv("ENTSYM_UNIVERSAL_MODEL", raising=False)
    torch = pytest.importorskip("torch", reason="pip install 'entsym[matgl]'")
    pytest.importorskip("matgl", reason="pip install 'entsym[matgl]'")
    from matgl.apps.pes import Potential
    from matgl.models import TensorNet

    torch.manual_seed(0)
    network = TensorNet(element_types=("Al", "Cu"), units=8, nblocks=1, is_intensive=False)
    Potential(network, element_refs=[-3.0, -4.0]).save(folder / "universal")
    said = script("finetune.py", cwd=folder, fails=True)
    assert "--start: name a universal model, or set ENTSYM_UNIVERSAL_MODEL" in said
    options = ("--start", "universal", "--faults", "faults.extxyz", "--seeds", 1, "--epochs", 1)
    said = script("finetune.py", *options, cwd=folder, fails=True)
    assert "set trust=True if you know where it comes from" in said
    said = script("finetune.py", *options, "--trust", "--only", "standard and faults", cwd=folder)
    rows = json.loads((folder / "finetune" / "finetune.json").read_text())
    assert list(rows) == ["zero-shot", "standard and faults"]
    for name, row in rows.items():
        assert f"| {name} |" in said and row["test"].keys() == row["faults"].keys()
    record = json.loads((folder / "finetune" / "standard-and-faults" / "teacher.json").read_text())
    assert record["train"]["n_frames"] == 18 + 4 and record["validation"]["n_frames"] == 2
    known = (folder / "finetune" / "standard-and-faults" / "train.extxyz").read_text()
    assert known.count("config_energy_weight=1.0") == 22
    said = script("finetune.py", *options, "--trust", "--only", "none", "--also",
                  "again=finetune/standard-and-faults", cwd=folder)  # fmt: skip
    again = json.loads((folder / "finetune" / "finetune.json").read_text())
    assert again["again"] == rows["standard and faults"]
    # one block of cutoff 5 Å and no angle beyond l = 2: fcc and hcp look alike
    assert abs(again["again"]["wide"]) < 1e-2


@pytest.mark.slow
@pytest.mark.distillation
def test_blind(folder, script):
    pytest.importorskip("mace", reason="pip install 'entsym[distillation]'")
    common = (
        (folder / "mace_al_pbe.yaml").read_text().replace("num_channels: 16", "num_channels: 4")
    )
    (folder / "l2.yaml").write_text(common)
    (folder / "l3.yaml").write_text(common.replace("max_ell: 2", "max_ell: 3"))
    said = script("blind.py", "l2.yaml", "l3.yaml", "--frames", 4, "--a", 4.04, 4.4, cwd=folder)
    near, far = {}, {}
    for line in (line for line in said.splitlines() if line.startswith("| l")):
        name, cutoff, *values = line.strip("| ").split(" | ")
        assert cutoff == "5"
        near[name], far[name] = map(float, values)
    assert abs(far["l2.yaml"]) < 1e-8 < 1e-6 < abs(far["l3.yaml"])
    assert abs(near["l2.yaml"]) > 1e-6  # two neighbours just within the cutoff
