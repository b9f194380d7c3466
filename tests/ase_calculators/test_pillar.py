# SPDX-License-Identifier: BSD-3-Clause
"""Pillars: trajectories with known defects, tables, pictures, broken dumps."""

import doctest
import importlib.util
import multiprocessing
import os
import shutil
import subprocess
import sys
import warnings
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from ase.build import bulk

matplotlib.use("Agg")
pytest.importorskip("ovito")

from ase_calculators import (
    EntropySymmetry,
    PillarTable,
    analyse_pillar,
    pillar,
    plot_pillar,
    render_movie,
    render_pillar,
)
from ase_calculators.pillar import analysis, plots, rendering, stress_strain
from ase_calculators.pillar import frame as frame_module
from ase_calculators.pillar import table as table_module
from ase_calculators.pillar.frame import AtomStates

ROOT = Path(__file__).parents[2]
spec = importlib.util.spec_from_file_location("truth", ROOT / "benchmarks" / "fault_sequence.py")
truth = importlib.util.module_from_spec(spec)
spec.loader.exec_module(truth)

SLIPS = (0, 0, 1, 2, 4)
EVERY = 100


def frame_text(atoms, step, columns="id type x y z", **values):
    """Return a frame as LAMMPS writes it with `dump_modify time yes`: time before step."""
    cell = atoms.cell.lengths()
    bounds = " ".join("pp" if p else "ff" for p in atoms.pbc)
    head = f"ITEM: TIME\n{0.002 * step}\nITEM: TIMESTEP\n{step}\n"
    head += f"ITEM: NUMBER OF ATOMS\n{len(atoms)}\nITEM: BOX BOUNDS {bounds}\n"
    head += "".join(f"0 {length:.10g}\n" for length in cell)
    n = len(atoms)
    known = {"id": np.arange(1, n + 1), "type": np.ones(n, dtype=int)}
    known |= dict(zip("xyz", atoms.positions.T, strict=True)) | values
    rows = zip(*(known[name] for name in columns.split()), strict=True)
    body = "".join(" ".join(f"{value:.8g}" for value in row) + "\n" for row in rows)
    return f"{head}ITEM: ATOMS {columns}\n{body}"


@pytest.fixture(scope="module")
def blocks():
    """Return blocks with free sides: perfect, perfect, ISF, ESF, twin of 3 layers."""
    blocks = []
    for k, n_slips in enumerate(SLIPS):
        atoms = truth.crossing(n_slips, 0, cells=8).atoms
        blocks.append(truth.shaken(atoms, 300, seed=k))
    return blocks


@pytest.fixture(scope="module")
def dump(blocks, tmp_path_factory):
    path = tmp_path_factory.mktemp("pillar") / "pillar.dump"
    columns = "id type x y z local_sS local_q6 layer"
    texts = []
    for k, atoms in enumerate(blocks):
        n = len(atoms)
        layer = (atoms.positions[:, 2] < atoms.positions[:, 2].min() + 6).astype(int)
        texts.append(frame_text(atoms, k * EVERY, columns, local_sS=np.full(n, -3.0 - k),
                                local_q6=np.full(n, 0.5), layer=layer))  # fmt: skip
    path.write_text("ITEM: UNITS\nmetal\n" + "".join(texts))
    return path


@pytest.fixture(scope="module")
def curve(tmp_path_factory):
    path = tmp_path_factory.mktemp("curve") / "stress_strain.txt"
    lines = ["# step strain stress_GPa layer_stress_GPa temperature_K sS Q6", "# restarted here"]
    lines += [
        f"{50 * k} {0.01 * k:.4f} {k if k < 5 else 1} 0 300 {-5 - k} 0.5" for k in range(1, 9)
    ]
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture(scope="module")
def table(dump, curve):
    return analyse_pillar(dump, curve, progress=False)


def assert_same(one, other):
    for name in pillar.COLUMNS:
        if isinstance(one[name], list):
            assert one[name] == other[name]
        else:
            np.testing.assert_array_equal(one[name], other[name])


def test_defects_of_each_frame(table, blocks):
    assert table["frame"].tolist() == [0, 1, 2, 3, 4]
    assert table["step"].tolist() == [k * EVERY for k in range(5)]
    assert (table["n_atoms"] == len(blocks[0])).all()
    # what was slipped is there, and nothing else
    faults = np.array([table[name] for name in pillar.FAULTS[:5]]).T
    assert (faults[:2] == 0).all()
    for row, name, planes in ((2, "ISF", 2), (3, "ESF", 3), (4, "twin", 5)):
        assert faults[row].sum() == table[name][row] > 0
        assert table[name][row] == pytest.approx(planes * table["ISF"][2] / 2, rel=0.3)  # sides
    assert table["twin_layers"][:3] == [{}, {}, {}]
    assert list(table["twin_layers"][3]) == ["1"]
    assert list(table["twin_layers"][4]) == ["3"]
    np.testing.assert_allclose(sum(table[name] for name in pillar.STRUCTURES), 1, atol=1e-12)
    assert (table["FCC"][:2] == 1).all(), "surface atoms are left out"
    assert (table["HCP"][2:] > 0.1).all()
    assert (table["n_interior"] < 0.6 * table["n_atoms"]).all()
    assert table["local_sS"].tolist() == pytest.approx([-3, -4, -5, -6, -7])
    assert (table["local_q6"] == 0.5).all()
    assert len(table["planes"][4]) == 1
    (marks,) = table["planes"][4].values()
    assert marks.strip("-.") == "TTTTT"


def test_strain_and_stress_come_by_timestep(table, dump):
    np.testing.assert_allclose(table["strain"], [0.0, 0.02, 0.04, 0.06, 0.08], atol=1e-12)
    np.testing.assert_array_equal(table["stress_GPa"], [np.nan, 2, 4, 1, 1])
    np.testing.assert_array_equal(table["sS"], [np.nan, -7, -9, -11, -13])
    assert (table["temperature_K"][1:] == 300).all()
    assert table.parameters["rmsd_cutoff"] == 0.13


def test_events_come_in_their_order(table):
    events = table.events()
    assert [event.name for event in events] == ["highest stress", "ISF", "ESF", "CTB"]
    assert [event.row for event in events] == [2, 2, 3, 4]


def test_transitions_are_those_of_the_atoms(table):
    assert table["transitions"][0] == []
    for row in range(1, 5):
        matrix = np.array(table["transitions"][row])
        assert matrix.shape == (4, 4)
        assert matrix.sum() <= table["n_interior"][row]
    isf = np.array(table["transitions"][2])
    assert isf[1, 2] == table["hcp_direct"][2] > 50, "FCC to HCP"
    assert isf[2].sum() == 0
    assert (table.transition_matrix() == sum(np.array(t) for t in table["transitions"][1:])).all()
    assert table.transition_matrix(start=0.05).sum() < table.transition_matrix().sum()
    assert table.share_through_bcc() == 0


def test_transitions_through_bcc():
    steps = [
        [1, 1, 1, 1, 0],
        [3, 1, 3, 1, 1],
        [2, 2, 0, 1, 1],
        [2, 0, 2, 1, 1],
        [1, 2, 2, 3, 1],
    ]
    transitions = analysis._Transitions()
    rows = []
    for structures in steps:
        n = len(structures)
        atoms = AtomStates(np.arange(n), np.array(structures, dtype=np.int8), np.ones(n, bool))
        rows.append(transitions.follow(atoms))
    assert [row["hcp_through_bcc"] for row in rows] == [0, 0, 1, 1, 0]
    # an atom that flickers between HCP and other has turned once
    assert [row["hcp_direct"] for row in rows] == [0, 0, 1, 0, 0]
    assert rows[1]["transitions"][1][3] == 2
    # an atom is lost, another is at the surface
    here = np.array([True, False, True, True])
    left = AtomStates(np.array([0, 1, 3, 4]), np.array([2, 2, 2, 1], dtype=np.int8), here)
    row = transitions.follow(left)
    assert np.sum(row["transitions"]) == 3
    assert row["transitions"][3][2] == 1
    assert row["hcp_through_bcc"] == 1


def test_csv_reads_back_to_the_last_bit(table, tmp_path):
    table.write(tmp_path / "a.csv")
    again = PillarTable.read(tmp_path / "a.csv")
    assert_same(again, table)
    assert again.parameters == table.parameters
    again.write(tmp_path / "b.csv")
    assert (tmp_path / "a.csv").read_text() == (tmp_path / "b.csv").read_text()
    # interrupted while it wrote
    text = (tmp_path / "a.csv").read_text()
    (tmp_path / "c.csv").write_text(text[:-20])
    assert len(PillarTable.read(tmp_path / "c.csv")) == 4
    (tmp_path / "d.csv").write_text("a,b\n1,2\n")
    with pytest.raises(ValueError, match="is not a pillar table"):
        PillarTable.read(tmp_path / "d.csv")
    (tmp_path / "e.csv").write_text(text.replace("\n2,200,", "\nx,200,"))
    with pytest.raises(ValueError, match=r"e\.csv: .* repair that row"):
        PillarTable.read(tmp_path / "e.csv")
    frame = pytest.importorskip("pandas") and table.to_dataframe()
    assert frame.attrs["dump"] == table.parameters["dump"]


def test_processes_and_growing_output_give_the_same_table(table, dump, curve, tmp_path):
    output = tmp_path / "grows.csv"
    other = analyse_pillar(dump, curve, processes=2, output=output, progress=False)
    assert_same(other, table)
    other.write(tmp_path / "written.csv")
    assert output.read_text() == (tmp_path / "written.csv").read_text()


def test_an_executor_gives_the_same_table(table, dump, curve):
    spawn = multiprocessing.get_context("spawn")  # OVITO does not survive a fork
    with ProcessPoolExecutor(2, spawn) as executor:
        assert_same(analyse_pillar(dump, curve, executor=executor, progress=False), table)


def test_without_a_curve_the_cell_is_the_strain(blocks, tmp_path):
    texts = []
    for k, atoms in enumerate(blocks[:2]):
        shorter = atoms.copy()
        shorter.cell[2] *= 1 - 0.03 * k
        texts.append(frame_text(shorter, k))
    (tmp_path / "a.dump").write_text("".join(texts))
    calc = EntropySymmetry(5.0, 0.25, 3.4, number_density=0.06)
    table = analyse_pillar(tmp_path / "a.dump", calc=calc, dislocations=False, progress=False)
    np.testing.assert_allclose(table["strain"], [0, 0.03], atol=1e-9)
    assert np.isnan(table["stress_GPa"]).all()
    assert np.isnan(table["local_sS"]).all()
    assert np.isnan(table["dislocations_1/6<112>_A"]).all()
    exact = blocks[0].copy()
    assert table["sS"][0] == pytest.approx(calc.get_property("sS", exact), rel=1e-5)
    assert table["Q6"][0] == pytest.approx(calc.get_property("Q6", exact), rel=1e-5)


def test_every_option_of_the_calculator_is_used(tmp_path):
    """The values are those that `EntropySymmetry` gives through ASE, with every option."""
    atoms = bulk("Al", "fcc", a=4.05, cubic=True) * (4, 4, 4)
    atoms.rattle(0.1, seed=2)
    symbols = np.where(np.random.default_rng(1).random(len(atoms)) < 0.3, "Cu", "Al")
    atoms.symbols = symbols
    columns = "id type element x y z"
    path = tmp_path / "a.dump"
    text = frame_text(atoms, 0, "id type x y z").replace("ATOMS id type", "ATOMS id type element")
    head, body = text.split("x y z\n")
    rows = [row.split() for row in body.splitlines()]
    types = {"Al": "1", "Cu": "2"}
    named = [
        " ".join((row[0], types[s], s, *row[2:])) for row, s in zip(rows, symbols, strict=True)
    ]
    path.write_text(head + "x y z\n" + "\n".join(named) + "\n")
    assert columns in path.read_text()
    base = {"rmax": 5.0, "sigma": 0.25, "q6_cutoff": 3.4}
    seen = []
    for options in (
        {}, {"elements": ["Al"]}, {"elements": "Cu"}, {"smooth": 0.4}, {"number_density": 0.07},
        {"dr": 0.1}, {"elements": ["Al"], "number_density": 0.05, "threads": 2},
    ):  # fmt: skip
        calc = EntropySymmetry(**base, **options)
        table = analyse_pillar(path, calc=calc, dislocations=False, progress=False)
        for name in ("sS", "Q6"):
            expected = EntropySymmetry(**base, **options).get_property(name, atoms)
            assert table[name][0] == pytest.approx(expected, rel=1e-5), options
        assert table.parameters["calc"] == calc.todict()
        seen.append((table["sS"][0], table["Q6"][0]))
        look = rendering._Look("entropy", strip_surface=False, calc=calc)
        data = rendering._colored(path.read_bytes(), look)
        local = np.sort(np.asarray(data.particles["Local entropy"]))
        counted = np.isin(symbols, calc.parameters["elements"] or symbols)
        expected = np.sort(calc.get_property("local_sS", atoms)[counted])
        np.testing.assert_allclose(local, expected, rtol=2e-5, atol=2e-5)
    assert len({np.round(pair, 6).tobytes() for pair in seen}) == len(seen)
    # an unnamed type has no element
    path.write_text(frame_text(atoms, 0))
    calc = EntropySymmetry(**base, elements="Al")
    with pytest.raises(ValueError, match="without element, which the elements of calc need"):
        analyse_pillar(path, calc=calc, progress=False)
    with pytest.raises(ValueError, match="without element, which the elements of calc need"):
        render_pillar(path, tmp_path / "a.png", color="entropy", calc=calc)


def test_an_interrupted_analysis_resumes_at_the_missing_frame(dump, curve, table, tmp_path):
    """Killed after rows and in the middle of one; other arguments are refused."""
    code = (
        "import os, signal, sys\n"
        "from ase_calculators.pillar import analyse_pillar, analysis\n"
        "write, left = analysis._Draft.write, [int(sys.argv[4])]\n"
        "def killed(self, *state):\n"
        "    write(self, *state)\n"
        "    left[0] -= 1\n"
        "    if not left[0]:\n"
        "        with open(self.output, 'a') as file:\n"
        "            file.write('# skipped: [3, \"x\"]\\n3,300,0.06,1')\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "analysis._Draft.write = killed\n"
        "analyse_pillar(sys.argv[1], sys.argv[2], output=sys.argv[3], progress=False)\n"
    )
    output = tmp_path / "pillar.csv"
    for n_rows, total in ((1, 1), (2, 3), (1, 4)):
        command = [sys.executable, "-c", code, dump, curve, output, str(n_rows)]
        assert subprocess.run(command, timeout=120).returncode == -9
        assert len(PillarTable.read(output)) == total
    kept = output.read_bytes()
    with pytest.raises(ValueError, match=r"was begun with max_layers = 12, not 5; give the same"):
        analyse_pillar(dump, curve, max_layers=5, output=output, progress=False)
    other = tmp_path / "other.dump"
    other.write_text(dump.read_text().replace("TIMESTEP\n100\n", "TIMESTEP\n101\n"))
    with pytest.raises(ValueError, match=r"was begun with dump = "):
        analyse_pillar(other, curve, output=output, progress=False)
    assert output.read_bytes() == kept
    analysed = []
    analyse = analysis.analyse_frame
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            analysis, "analyse_frame", lambda *job: analysed.append(job[0]) or analyse(*job)
        )
        spelled = [os.path.relpath(path) for path in (dump, curve)]  # are the same files
        again = analyse_pillar(*spelled, output=output, progress=False)
    assert analysed == [4]
    assert_same(again, table)
    table.write(tmp_path / "written.csv")
    assert output.read_text() == (tmp_path / "written.csv").read_text()
    assert [path.name for path in tmp_path.glob(".*")] == [".pillar.csv.state.npz"]


def test_another_dump_of_the_same_name_is_refused(dump, curve, tmp_path):
    path, output = tmp_path / "a.dump", tmp_path / "a.csv"
    path.write_text(dump.read_text())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(analysis._Progress, "add", interrupted(analysis._Progress.add, 3))
        with pytest.raises(KeyboardInterrupt):
            analyse_pillar(path, curve, output=output, dislocations=False, progress=False)
    path.write_text(dump.read_text().replace("TIMESTEP\n100\n", "TIMESTEP\n101\n"))
    with pytest.raises(ValueError, match=r"frame 1 is of step 101, in .*a\.csv' of step 100"):
        analyse_pillar(path, curve, output=output, dislocations=False, progress=False)


def interrupted(function, calls):
    """Return the function, interrupted in one of its calls."""
    left = [calls]

    def call(*arguments):
        left[0] -= 1
        if left[0] == 0:
            raise KeyboardInterrupt
        return function(*arguments)

    return call


def test_a_frame_that_is_no_longer_fcc_is_reported(dump, tmp_path):
    molten = bulk("Al", "fcc", a=4.05, cubic=True) * (8, 8, 8)
    molten.rattle(0.8, seed=1)
    frames = dump.read_text().split("ITEM: TIME\n")
    path = tmp_path / "a.dump"
    path.write_text("ITEM: TIME\n".join(frames[:3]) + frame_text(molten, 200))
    with pytest.warns(
        UserWarning, match=r"1 of 3 frames are not fcc and have .*frame 2, .* of the atoms are fcc"
    ):
        table = analyse_pillar(path, progress=False, output=tmp_path / "a.csv")
    assert [bool(text) for text in table["not_fcc"]] == [False, False, True]
    assert "\n" not in table["not_fcc"][2] and "fewer than 10 %" in table["not_fcc"][2]
    for name in (*pillar.FAULTS, "twinned", "dislocations_1/6<112>_A"):
        assert table[name][2] == 0, name
    assert_same(PillarTable.read(tmp_path / "a.csv"), table)


def test_a_finished_analysis_goes_on_when_the_dump_has_grown(
    dump, curve, table, tmp_path, monkeypatch
):
    path, output = tmp_path / "a.dump", tmp_path / "a.csv"
    frames = dump.read_text().split("ITEM: TIME\n")
    path.write_text("ITEM: TIME\n".join(frames[:4]))
    options = dict(output=output, progress=False)
    first = analyse_pillar(path, curve, **options)
    assert len(first) == 3
    analysed = []
    analyse = analysis.analyse_frame
    monkeypatch.setattr(
        analysis, "analyse_frame", lambda *a: [analysed.append(a[0]), analyse(*a)][1]
    )
    path.write_text(dump.read_text())
    grown = analyse_pillar(path, curve, **options)
    assert analysed == [3, 4]
    assert_same(grown, table)
    assert_same(PillarTable.read(output), table)
    analysed.clear()  # nothing new
    assert_same(analyse_pillar(path, curve, **options), table)
    assert_same(PillarTable.read(output), table)
    assert analysed == []
    # another run of the same steps, another curve, other options: from the start
    changed = tmp_path / "stress_strain.txt"
    changed.write_text(curve.read_text().replace("0.0200 2 ", "0.0200 2.5 "))
    path.write_text(dump.read_text())
    shutil.copy(curve, tmp_path / "same.txt")
    analyse_pillar(path, tmp_path / "same.txt", **options)
    analysed.clear()
    shutil.copy(changed, tmp_path / "same.txt")
    assert analyse_pillar(path, tmp_path / "same.txt", **options)["stress_GPa"][1] == 2.5
    assert analysed == [0, 1, 2, 3, 4]
    analysed.clear()
    head, _, body = dump.read_text().rpartition("ITEM: ATOMS")
    path.write_text(f"{head}ITEM: ATOMS{body.replace('.1', '.2')}")
    analyse_pillar(path, tmp_path / "same.txt", **options)
    assert analysed == [0, 1, 2, 3, 4]


def test_twinned_is_the_share_of_fcc_atoms_in_twin_orientation(table):
    assert table["twinned"][:3].tolist() == [0, 0, 0]  # both layers of an ISF are hcp
    # of three layers of an ESF the middle one is fcc, of five of this twin the three between; atoms
    # next to the surface have a fault and are not interior
    for row, name, layers in ((3, "ESF", 1 / 3), (4, "twin", 3 / 5)):
        atoms = table["twinned"][row] * table["n_interior"][row]
        assert 0.5 * layers * table[name][row] < atoms <= 1.02 * layers * table[name][row]


def test_dislocations_have_their_burgers_vector(tmp_path):
    # two partials of 6 cells of a sqrt(3/2) along the line, which is periodic
    atoms = truth.ribbons(1).atoms
    (tmp_path / "a.dump").write_text(frame_text(atoms, 0))
    table = analyse_pillar(tmp_path / "a.dump", progress=False)
    line = atoms.cell[1, 1]
    assert table["dislocations_1/6<112>_A"][0] == pytest.approx(2 * line, rel=0.1)
    assert table["dislocations_1/2<110>_A"][0] == 0


def test_bcc_clusters_without_the_surface_and_not_fcc(tmp_path):
    unit = bulk("Fe", "bcc", a=2.87, cubic=True) * (8, 8, 8)
    atoms = unit.copy()
    other = unit.copy()
    other.positions[:, 0] += 40
    atoms += other[other.positions[:, 2] < 17]
    atoms.center(vacuum=12)
    atoms.pbc = True
    (tmp_path / "a.dump").write_text(frame_text(atoms, 0))
    with pytest.warns(UserWarning, match="the fault analysis does not apply: 0.0 % of the atoms"):
        table = analyse_pillar(tmp_path / "a.dump", progress=False)
    assert table["bcc_clusters"][0] == 2
    sizes = table["bcc_cluster_sizes"][0]
    assert sizes == sorted(sizes, reverse=True)
    assert sum(sizes) == round(table["BCC"][0] * table["n_interior"][0]) < 0.7 * len(atoms)
    assert table["BCC"][0] > 0.95
    assert np.isnan(table["ISF"]).all()
    assert "does not apply" in table.parameters["fault_analysis"]
    assert plot_pillar(table).axes


def test_broken_frames_are_left_out_and_reported(dump, table, tmp_path):
    text = dump.read_text()
    path = tmp_path / "cut.dump"
    path.write_text(text[: int(0.9 * len(text))])  # ends within the last frame
    with pytest.warns(UserWarning, match=r"1 of 5 frames left out, the first: frame 4, .* early"):
        cut = analyse_pillar(path, progress=False)
    assert len(cut) == 4
    assert cut["ISF"].tolist() == table["ISF"][:4].tolist()
    cut.write(tmp_path / "cut.csv")
    assert PillarTable.read(tmp_path / "cut.csv").skipped == cut.skipped
    # in the middle of a number of the last line
    path.write_text(text[:-3])
    with pytest.warns(UserWarning, match="frame 4"):
        assert len(analyse_pillar(path, stride=4, dislocations=False, progress=False)) == 1
    # nonsense in frames between others: they stand in their place, however far one reads ahead
    frames = text.split("ITEM: TIMESTEP")
    for k in (2, 4):
        frames[k] = frames[k].replace("ITEM: ATOMS", "ITEM: ATOMS oops", 1)
    path.write_text("ITEM: TIMESTEP".join(frames))
    options = {"dislocations": False, "progress": False}
    outputs = tmp_path / "whole.csv", tmp_path / "resumed.csv"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(analysis._Progress, "add", interrupted(analysis._Progress.add, 3))
        with pytest.raises(KeyboardInterrupt):
            analyse_pillar(path, processes=2, output=outputs[1], **options)
    for output in outputs:
        with pytest.warns(UserWarning, match="2 of 5 frames left out, the first: frame 1"):
            cut = analyse_pillar(path, output=output, **options)
        assert cut["frame"].tolist() == [0, 2, 4]
        assert [number for number, _ in cut.skipped] == [1, 3]
    texts = [output.read_text() for output in outputs]
    assert texts[0] == texts[1]
    rows = [line.partition(",")[0] for line in texts[0].splitlines()[3:]]
    assert rows == ["0", "# skipped: [1", "2", "# skipped: [3", "4"]


@pytest.mark.parametrize(
    "text, message",
    [
        ("", "holds no whole frame"),
        ("ITEM: TIMESTEP\n0\nITEM: NUMBER OF ATOMS\n5\n", "ends early: before its atoms"),
        (frame_text(bulk("Al", cubic=True), 0, "id type x y"), "without x y z .or xs, xu"),
        (frame_text(bulk("Al", cubic=True), 0, "type x y z"), "without id"),
    ],
    ids=["empty", "head only", "no z", "no id"],
)
def test_unusable_dumps(text, message, tmp_path):
    (tmp_path / "a.dump").write_text(text)
    with pytest.raises(ValueError, match=message):
        analyse_pillar(tmp_path / "a.dump", progress=False)


def test_bad_arguments(dump, tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no file"):
        analyse_pillar(tmp_path / "none.dump")
    with pytest.raises(ValueError, match="processes = 0: must be a whole number"):
        analyse_pillar(dump, processes=0)
    with pytest.raises(ValueError, match="rmsd_cutoff = 0: must be above 0"):
        analyse_pillar(dump, rmsd_cutoff=0)
    with pytest.raises(ValueError, match="calc: has degree = 4"):
        analyse_pillar(dump, calc=EntropySymmetry(5.0, 0.25, 3.4, degree=4))
    (tmp_path / "curve.txt").write_text("# step temperature\n1 300\n")
    with pytest.raises(ValueError, match="has no rows below a line"):
        analyse_pillar(dump, tmp_path / "curve.txt")
    with pytest.raises(ValueError, match="color = 'red'"):
        render_pillar(dump, tmp_path / "a.png", color="red")
    with pytest.raises(ValueError, match="frame = 9: .* has no such whole frame"):
        render_pillar(dump, tmp_path / "a.png", frame=9)
    with pytest.raises(TypeError, match="calc: must be an EntropySymmetry, is a dict"):
        analyse_pillar(dump, calc={"rmax": 5.0})
    with pytest.raises(ValueError, match="rmsd_cutoff = '0.1': must be above 0"):
        analyse_pillar(dump, rmsd_cutoff="0.1")
    for option, message in (
        ({"frame": 0.5}, "frame = 0.5: must be a whole number"),
        ({"max_layers": 0}, "max_layers = 0: must be a whole number"),
        ({"size": (480, 0)}, "size = .480, 0.: must be two whole numbers of pixels"),
        ({"direction": (0, 0, 0)}, "direction = .0, 0, 0.: must be three numbers"),
        ({"limits": (1, 1)}, "limits = .1, 1.: must be two numbers, the smaller one first"),
        ({"limits": "wide"}, "limits = 'wide': must be two numbers"),
    ):
        with pytest.raises(ValueError, match=message):
            render_pillar(dump, tmp_path / "a.png", **option)
    with pytest.raises(ValueError, match="stride = 0: must be a whole number"):
        render_movie(dump, tmp_path / "movie", stride=0)
    with pytest.raises(ValueError, match="at least one table"):
        plot_pillar({})


def test_memory_does_not_grow_with_the_frames(blocks, tmp_path):
    """Compare the peak memory of 4 and 16 frames; a frame kept would add 1 MB at least."""
    text = frame_text(blocks[3], 0)
    code = (
        "import sys\n"
        "from ase_calculators import analyse_pillar\n"
        "analyse_pillar(sys.argv[1], dislocations=False, progress=False)\n"
        "peak = open('/proc/self/status').read().split('VmHWM:')[1]\n"
        "print(int(peak.split()[0]) / 1024)\n"
    )
    peaks = []
    for n_frames in (4, 16):
        (tmp_path / "a.dump").write_text(text * n_frames)
        done = subprocess.run([sys.executable, "-c", code, tmp_path / "a.dump"], text=True,
                              capture_output=True, check=True, timeout=120)  # fmt: skip
        peaks.append(float(done.stdout))
    # a frame is 0.1 MB of text and 1 MB of properties; allocators vary by a few
    assert peaks[1] - peaks[0] < 6


def test_pictures_of_a_table(table, curve, tmp_path):
    figure = plot_pillar({300: table, 800: table}, {300: curve})
    assert [ax.get_ylabel() for ax in figure.axes[:3]] == [
        "stress (GPa)", "atoms in faults", "BCC (% of interior atoms)",
    ]  # fmt: skip
    labels = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert "ISF, 4.0 %" in labels
    assert [text.get_text() for text in figure.axes[2].get_legend().get_texts()] == [
        "300 K", "800 K",
    ]  # fmt: skip
    mesh = figure.axes[3].collections[0].get_array()
    twin = list(plots._MARKS).index("T")
    assert (np.asarray(mesh).reshape(-1, 5) == twin).sum(axis=0).tolist() == [0, 0, 0, 0, 5]
    figure.savefig(tmp_path / "a.png")


def needs_vulkan(error):
    if "Vulkan" in str(error):
        pytest.skip(str(error))
    raise error


def test_rendering(dump, tmp_path):
    from PIL import Image

    try:
        render_pillar(dump, tmp_path / "a.png", color="fault", hide_fcc=True, size=(120, 160))
    except RuntimeError as error:
        needs_vulkan(error)
    pixels = np.asarray(Image.open(tmp_path / "a.png").convert("RGB")).astype(int)
    assert pixels.shape == (160, 120, 3)
    red, green, blue = np.moveaxis(pixels[60:], 2, 0)
    assert ((green > red + 40) & (green > blue)).mean() > 0.05, "the twin is green"

    pictures = render_movie(dump, tmp_path / "movie", "entropy", stride=4, progress=False,
                            size=(60, 80), limits=(-8, -2))  # fmt: skip
    assert [picture.name for picture in pictures] == ["00000.png", "00001.png"]
    assert all(Image.open(picture).size == (60, 80) for picture in pictures)


def test_what_rendering_lacks_is_named(dump, tmp_path, monkeypatch):
    import ovito.vis

    def fail(self, **options):
        raise RuntimeError("Could not initialize the Vulkan graphics backend.\n\nOn and on.")

    monkeypatch.setattr(ovito.vis.Viewport, "render_image", fail)
    with pytest.raises(RuntimeError, match="^rendering needs Vulkan.* mesa-vulkan-drivers$"):
        render_pillar(dump, tmp_path / "a.png")


def test_without_ovito_the_extra_is_named(dump, monkeypatch):
    monkeypatch.setitem(sys.modules, "ovito.data", None)
    with pytest.raises(ImportError, match=r"pip install 'entsym\[analysis\]'"):
        analyse_pillar(dump)


def test_a_table_alone_needs_no_ovito():
    code = "import sys, ase_calculators; assert not any(m.startswith('ovito') for m in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_pieces_that_are_not_numbers():
    with pytest.raises(ValueError, match="columns: lack frame"):
        PillarTable({}, {})
    columns = {name: [0] for name in pillar.COLUMNS} | {"BCC": [1, 2]}
    with pytest.raises(ValueError, match="BCC: has 2 rows"):
        PillarTable(columns, {})
    with pytest.raises(KeyError, match="no such column"):
        PillarTable({name: [] for name in pillar.COLUMNS}, {})["bcc"]


def test_examples_of_the_docstrings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for module in (analysis, frame_module, plots, rendering, stress_strain, table_module):
            assert doctest.testmod(module).failed == 0
