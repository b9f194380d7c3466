# SPDX-License-Identifier: BSD-3-Clause
"""fix entsym/select: the frames that it writes in every kind of run, and restarts."""

import os

import numpy as np
import pytest
from ase import Atoms
from ase.io import read

from ase_calculators import (
    EntropySymmetry,
    Genes,
    PolymorphGen,
    map_landscape,
    multi_resolution,
    write_sets,
)

CELL = (0.1, 0.02)
PARAMETERS = dict(rmax=5.0, sigma=0.2, q6_cutoff=3.4)
COMPUTE = "compute es all entsym rmax 5.0 sigma 0.2 q6cut 3.4"
LJ = {"pair": "lj/cut 5.0", "coeff": "0.2 2.5"}
MOVE = ["velocity all create 3000 4711", "timestep 0.002", "fix 1 all nve"]


def deck(*lines, compute=COMPUTE, start="read_data structure.data"):
    return "\n".join([
        "units metal", "box tilt large", start, "pair_style lj/cut 5.0",
        "pair_coeff * * 0.2 2.5", "timestep 0.002", compute, *lines,
    ]) + "\n"  # fmt: skip


def fix(file="sel.extxyz", every=1, cell=CELL, options="", group="all", elements="Al"):
    return (
        f"fix sel {group} entsym/select {every} es {cell[0]} {cell[1]} {file} "
        f"element {elements} {options}"
    )


COUNTS = 'print "RESULT counts $(f_sel) $(f_sel[1]) $(f_sel[2])"'
SHARE = 'print "RESULT share $(f_sel[3]:%.17g)"'
MD = ["velocity all create 3000 4711 loop geom", "fix 1 all nve"]
DUMP = ["dump d all custom 5 run.dump id element x y z", "dump_modify d element Al sort id",
        "dump_modify d format float %.17g"]  # fmt: skip


@pytest.fixture
def fcc(make_structure, tmp_path):
    structure = make_structure("fcc")
    structure.write(tmp_path / "structure.data")
    return structure


@pytest.fixture
def trajectory(fcc, run_deck, tmp_path):
    """Write a dump of a run, every fifth of 100 steps."""
    run_deck(deck(*MD, *DUMP, "run 100"))
    return tmp_path / "run.dump"


def first_come(points, cell=CELL):
    """Return the rows that find their cell empty, in their order."""
    seen, kept = set(), []
    for row, point in enumerate(zip(*points)):
        key = tuple(np.floor(np.array(point) / cell).tolist())
        if key not in seen:
            seen.add(key)
            kept.append(row)
    return kept


# --- which frames are written ---------------------------------------------------------------------


@pytest.mark.parametrize("ranks", [1, 2, 4])
def test_same_frames_as_python(trajectory, run_deck, tmp_path, ranks):
    """A rerun on any number of ranks writes what Python keeps of the dump, first come."""
    _, found = run_deck(deck(fix(), "rerun run.dump dump x y z", COUNTS), ranks)
    table = map_landscape(trajectory, EntropySymmetry(**PARAMETERS), progress=False)
    kept = first_come((table.sS, table.Q))
    assert 5 < len(kept) < len(table) == 21
    assert found["counts"].tolist() == [len(kept), len(kept), 21]
    frames = read(tmp_path / "sel.extxyz", ":")
    assert [atoms.info["timestep"] for atoms in frames] == [5 * row for row in kept]
    dump = read(trajectory, ":")
    for row, atoms in zip(kept, frames, strict=True):
        assert atoms.info["sS"] == pytest.approx(table.sS[row], rel=1e-10)
        assert atoms.info["Q6"] == pytest.approx(table.Q[row], rel=1e-10)
        assert {name: atoms.info[name] for name in PARAMETERS} == PARAMETERS
        assert atoms.arrays["id"].tolist() == list(range(1, 257))
        difference = atoms.positions - dump[row].positions
        difference -= 16.2 * np.round(difference / 16.2)
        np.testing.assert_allclose(difference, 0, atol=1e-10)
        assert (atoms.positions > -1e-9).all() and (atoms.positions < 16.2 + 1e-9).all()
    # one a cell: Python keeps all of them as one round
    again = map_landscape(tmp_path / "sel.extxyz", EntropySymmetry(**PARAMETERS), progress=False)
    np.testing.assert_allclose(again.sS, table.sS[kept], rtol=1e-9)
    assert (multi_resolution(again, [CELL]) == 0).all()


def test_ranks_write_the_same_file(trajectory, run_deck, tmp_path):
    texts = set()
    for ranks in (1, 2, 4):
        run_deck(deck(fix(options="energy yes"), "rerun run.dump dump x y z"), ranks)
        texts.add((tmp_path / "sel.extxyz").read_text())
    assert len(texts) == 1


@pytest.mark.parametrize("ranks", [1, 2])
def test_run_and_its_rerun(fcc, run_deck, tmp_path, ranks):
    """The first step of a run counts, each is offered once; a rerun gives the same frames."""
    run_deck(
        deck(*MD, *DUMP, fix(every=5, options="energy yes"), "run 40", "run 60", COUNTS), ranks
    )
    again = fix("again.extxyz", options="energy yes")
    _, found = run_deck(deck(again, "rerun run.dump dump x y z", COUNTS), ranks)
    first, second = (read(tmp_path / name, ":") for name in ("sel.extxyz", "again.extxyz"))
    assert [a.info["timestep"] for a in first] == [a.info["timestep"] for a in second]
    assert len(first) == found["counts"][0] and found["counts"][2] == 21
    for a, b in zip(first, second):
        np.testing.assert_allclose(a.positions, b.positions, atol=1e-9)
        assert a.get_potential_energy() == pytest.approx(b.get_potential_energy(), rel=1e-10)


def test_counts_and_thermo_output(lmp, fcc, tmp_path):
    """Scalar and vector at any time; 11 configurations in a run of 100 steps with N = 10."""
    path = tmp_path / "sel.extxyz"
    thermo = ["thermo_style custom step pe c_es[1] f_sel f_sel[1] f_sel[2]", "thermo 7"]
    instance = lmp(fcc, *MOVE, COMPUTE, fix(path, every=10), *thermo, "run 100", **LJ)
    written, occupied, offered = (instance.extract_fix("sel", 0, s, i) for s, i in
                                  ((0, 0), (1, 0), (1, 1)))  # fmt: skip
    assert written == occupied == len(read(path, ":")) and offered == 11
    instance.command("run 50")
    assert instance.extract_fix("sel", 0, 1, 1) == 17  # the step between the runs twice


@pytest.mark.parametrize("style", ["fire", "cg"])
def test_minimization(lmp, fcc, tmp_path, style):
    """From a rattled crystal down to the perfect one; the last configuration is far from the first.

    FIRE calculates one configuration a step, which a dump shows.
    """
    path = tmp_path / "sel.extxyz"
    dump = [line.replace("run.dump", str(tmp_path / "run.dump")).replace("custom 5", "custom 1")
            for line in DUMP]  # fmt: skip
    instance = lmp(fcc, COMPUTE, fix(path, options="energy yes"), *dump, **LJ)
    instance.commands_list([f"min_style {style}", "minimize 0 1e-6 60 200"])
    frames = read(path, ":")
    steps = [atoms.info["timestep"] for atoms in frames]
    assert steps[0] == 0 and len(frames) > 3
    assert frames[-1].info["sS"] < frames[0].info["sS"] - 0.3
    assert frames[-1].get_potential_energy() < frames[0].get_potential_energy() - 1
    if style == "fire":
        table = map_landscape(tmp_path / "run.dump", EntropySymmetry(**PARAMETERS), progress=False)
        assert steps == first_come((table.sS, table.Q))


def test_cells_are_anchored_at_zero(lmp, fcc, tmp_path):
    """Two fixes that start at other frames fill the same cells."""
    paths = [tmp_path / "1.extxyz", tmp_path / "2.extxyz"]
    second = fix(paths[1]).replace("fix sel", "fix two")
    lmp(fcc, *MOVE, COMPUTE, fix(paths[0]), "run 20", second, "run 40", **LJ)
    cells = []
    for path in paths:
        frames = read(path, ":")
        points = [(a.info["sS"], a.info["Q6"]) for a in frames if a.info["timestep"] >= 20]
        cells.append({tuple(np.floor(np.array(p) / CELL).tolist()) for p in points})
    assert cells[0] <= cells[1] and cells[0]


# --- what a frame holds ---------------------------------------------------------------------------


def test_group_elements_and_triclinic_cell(lmp, make_structure, tmp_path):
    """Atoms of the group of the fix, sS of the group of the compute, species by type."""
    salt = make_structure("rocksalt")
    path = tmp_path / "sel.extxyz"
    lmp(salt, "group half id 1:200:2", COMPUTE, fix(path, group="half", elements="Na Cl"), "run 0")
    [atoms] = read(path, ":")
    ids = atoms.arrays["id"]
    assert ids.tolist() == list(range(1, 201, 2))
    assert (atoms.numbers == np.where(salt.types[ids - 1] == 1, 11, 17)).all()
    whole = EntropySymmetry(**PARAMETERS)
    everything = Atoms("H216", positions=salt.positions, cell=salt.cell, pbc=True)
    assert atoms.info["sS"] == pytest.approx(whole.get_property("sS", everything), rel=1e-9)

    tilted = make_structure("triclinic")
    lmp(tilted, COMPUTE, fix(path), "run 0")
    [atoms] = read(path, ":")
    np.testing.assert_allclose(atoms.cell, tilted.cell, rtol=1e-11)
    assert atoms.pbc.all()
    assert atoms.info["sS"] == pytest.approx(whole.get_property("sS", atoms), rel=1e-8)


def test_box_that_is_not_periodic(lmp, make, make_structure, tmp_path):
    """pbc, the given density among the parameters, and a box that does not start at 0."""
    bulk = make_structure("fcc")
    slab = make(bulk.positions, bulk.cell + np.diag([0, 0, 12.0]), pbc=(True, True, False))
    path = tmp_path / "sel.extxyz"
    compute = f"{COMPUTE} density 0.05 smooth 0.3 degree 4"
    lmp(slab, "change_box all x final -1 15.2 units box", compute, fix(path), "run 0")
    [atoms] = read(path, ":")
    assert atoms.pbc.tolist() == [True, True, False]
    assert (atoms.info["number_density"], atoms.info["smooth"], atoms.info["degree"]) == (
        0.05, 0.3, 4
    )  # fmt: skip
    assert "Q4" in atoms.info and "Q6" not in atoms.info
    assert (atoms.positions[:, 0] >= 0).all() and (atoms.positions[:, 0] <= 16.2).all()
    calc = EntropySymmetry(**PARAMETERS, number_density=0.05, smooth=0.3, degree=4)
    assert atoms.info["sS"] == pytest.approx(calc.get_property("sS", atoms), rel=1e-9)


def test_energy_is_in_eV(lmp, fcc, tmp_path):
    path = tmp_path / "sel.extxyz"
    for units, factor in (("metal", 1.0), ("real", 1 / 23.0605)):
        instance = lmp(fcc, COMPUTE, fix(path, options="energy yes"), "thermo_modify norm no",
                       "run 0", units=units, **LJ)  # fmt: skip
        [atoms] = read(path, ":")
        energy = instance.get_thermo("pe") * factor
        assert atoms.get_potential_energy() == pytest.approx(energy, rel=1e-5)
    lmp(fcc, COMPUTE, fix(path), "run 0", **LJ)
    assert read(path).calc is None


# --- going on -------------------------------------------------------------------------------------


def test_a_new_run_empties_the_file(lmp, fcc, tmp_path):
    path = tmp_path / "sel.extxyz"
    for _ in range(2):
        lmp(fcc, COMPUTE, fix(path), "run 0")
        assert len(read(path, ":")) == 1


@pytest.mark.parametrize("ranks", [1, 2])
def test_restart(fcc, run_deck, tmp_path, ranks):
    """Restart half-way, with the frames that the first run wrote after the restart file."""
    whole = [*MD, fix("whole.extxyz"), "run 100", COUNTS]
    _, expected = run_deck(deck(*whole), ranks)
    first = [*MD, fix(), "run 40", "write_restart half.restart", "run 60"]
    run_deck(deck(*first), ranks)
    before = (tmp_path / "sel.extxyz").read_text()
    second = deck("fix 1 all nve", fix(), "run 60", COUNTS, start="read_restart half.restart")
    _, found = run_deck(second, ranks)
    after = (tmp_path / "sel.extxyz").read_text()
    assert after.startswith(before)
    assert len(read(tmp_path / "whole.extxyz", ":")) == expected["counts"][0]
    if ranks == 1:  # two ranks sum forces in another order after a restart
        assert after == before
        assert found["counts"][1] == expected["counts"][1]


def test_restart_without_the_file(fcc, run_deck, tmp_path):
    """The map is in the restart file: what was moved away is not written again."""
    run_deck(deck(*MD, fix(), "run 40", "write_restart half.restart", "run 60"))
    whole = (tmp_path / "sel.extxyz").read_text()
    (tmp_path / "sel.extxyz").unlink()
    second = deck("fix 1 all nve", fix(), "run 60", COUNTS, start="read_restart half.restart")
    _, found = run_deck(second)
    rest = (tmp_path / "sel.extxyz").read_text()
    assert rest and whole.endswith(rest)
    assert found["counts"][:2].tolist() == [whole.count("Lattice")] * 2
    assert found["counts"][2] == 41 + 61


def test_restart_with_a_finer_grid(fcc, run_deck, tmp_path):
    """Nested rounds: frames of the coarse grid occupy the cells of the fine one they lie in."""
    run_deck(deck(*MD, fix(), "run 40", "write_restart half.restart"))
    fine = tuple(s / 2 for s in CELL)
    second = deck("fix 1 all nve", fix(cell=fine), "run 60", start="read_restart half.restart")
    run_deck(second)
    frames = read(tmp_path / "sel.extxyz", ":")
    points = np.array([(a.info["sS"], a.info["Q6"]) for a in frames])
    assert first_come(points.T, fine) == list(range(len(frames)))
    assert len(first_come(points.T)) < len(frames)


def test_restart_with_other_parameters(fcc, run_deck, tmp_path):
    run_deck(deck(fix(), "run 0", "write_restart half.restart"))
    other = COMPUTE.replace("sigma 0.2", "sigma 0.25")
    output, _ = run_deck(deck(fix(), start="read_restart half.restart", compute=other), fails=True)
    assert (
        "Fix entsym/select sel: the restart file has its map with sigma = 0.2, compute es has 0.25"
        "; use the same parameters or another fix ID" in output
    )


@pytest.mark.parametrize("ranks", [1, 2])
def test_append(trajectory, run_deck, tmp_path, ranks):
    """Two reruns of halves give the frames of one of the whole."""
    run_deck(deck(fix("whole.extxyz"), "rerun run.dump dump x y z"), ranks)
    halves = ["rerun run.dump last 50 dump x y z", "rerun run.dump first 50 dump x y z"]
    for number, half in enumerate(halves):
        _, found = run_deck(deck(fix(options="append yes"), half, COUNTS), ranks)
        text = (tmp_path / "sel.extxyz").read_text()
        assert found["counts"][1] == text.count("Lattice")
        assert (found["counts"][0] < found["counts"][1]) == bool(number)
    assert text == (tmp_path / "whole.extxyz").read_text()


@pytest.mark.parametrize("cut", [1, 30, 3000, 8000])
def test_append_after_a_kill(trajectory, run_deck, tmp_path, cut):
    """A frame that ends early is cut off and written again."""
    run_deck(deck(fix(), "rerun run.dump dump x y z"))
    path = tmp_path / "sel.extxyz"
    whole = path.read_text()
    path.write_text(whole[:-cut])
    output, _ = run_deck(deck(fix(options="append yes"), "rerun run.dump dump x y z"), 2)
    assert f"the unfinished last frame of {path.name} was cut off" in output
    assert path.read_text() == whole


def test_append_to_a_set_of_python(trajectory, run_deck, tmp_path):
    """Files of write_sets serve as well."""
    table = map_landscape(trajectory, EntropySymmetry(**PARAMETERS), progress=False)
    rounds = multi_resolution(table, [CELL])
    n = write_sets(table, rounds, tmp_path / "sel.extxyz", tmp_path / "2", progress=False)[0]
    again = [fix(options="append yes"), "rerun run.dump dump x y z", COUNTS]
    _, found = run_deck(deck(*again))
    assert found["counts"].tolist() == [0, n, 21]
    assert len(read(tmp_path / "sel.extxyz", ":")) == n


REFUSED = {
    "other parameters": ("3\nsS=-1 Q6=0.1 rmax=6 sigma=0.2\n",
                         "frame 0 of sel.extxyz was made with rmax = 6, compute es has rmax = 5; "
                         "use the same parameters or another file"),
    "no parameters": ("3\nsS=-1 Q6=0.1\n",
                      "frame 0 of sel.extxyz does not tell its rmax, compute es has rmax = 5; use "
                      "the same parameters or another file"),
    "no values": ('1\nLattice="1 0 0 0 1 0 0 0 1"\nAl 0 0 0\n',
                  "frame 0 of sel.extxyz has no sS and Q6 in its comment line; append only to a "
                  "file of this fix or of ase_calculators.write_sets"),
    "no xyz": ("ITEM: TIMESTEP\n0\n",
               "frame 0 of sel.extxyz does not start with a number of atoms; append only to "
               "extended XYZ"),
}  # fmt: skip


@pytest.mark.parametrize(("text", "message"), REFUSED.values(), ids=REFUSED)
def test_append_to_other_files(fcc, run_deck, tmp_path, text, message):
    (tmp_path / "sel.extxyz").write_text(text)
    output, _ = run_deck(deck(fix(options="append yes"), "run 0"), fails=True)
    assert f"Fix entsym/select sel: {message}" in output
    assert (tmp_path / "sel.extxyz").read_text() == text


def test_append_to_no_file(lmp, fcc, tmp_path):
    path = tmp_path / "sel.extxyz"
    lmp(fcc, COMPUTE, fix(path, options="append yes"), "run 0")
    assert len(read(path, ":")) == 1


# --- a known set ----------------------------------------------------------------------------------


def cells_of(points, cell=CELL):
    """Return the cells of (n, 2) points as tuples."""
    return [tuple(c) for c in np.floor(np.asarray(points) / cell).tolist()]


def uncovered(points, known, cell=CELL):
    """Return the rows that a fix with a known set writes, and the share of rows outside the set."""
    seen = set(cells_of(known, cell))
    outside = [row for row, c in enumerate(cells_of(points, cell)) if c not in seen]
    kept = []
    for row in outside:
        if (c := cells_of(points[row : row + 1], cell)[0]) not in seen:
            seen.add(c)
            kept.append(row)
    return kept, len(outside) / len(points)


@pytest.fixture
def landscape(trajectory):
    return map_landscape(trajectory, EntropySymmetry(**PARAMETERS), progress=False)


def write_known(kind, table, tmp_path, run_deck):
    """Write rows 0, 3, 6, ... of the table as a known set of one kind; return its rows and path."""
    rows, path = np.arange(0, len(table), 3), tmp_path / "known"
    if kind == "table":
        table.take(rows).write(path)
    elif kind == "growing table":  # a line is unfinished, as an interrupted map_landscape leaves it
        table.take(rows).write(path)
        path.write_text(path.read_text() + "18,run.dump,-5.0,0.1")
    elif kind == "sets":
        rounds = np.where(np.arange(len(table)) % 3, -1, 0)
        write_sets(table, rounds, path, tmp_path / "none", progress=False)
    else:
        every = [fix("known", every=15, cell=(1e-9, 1e-9)), "rerun run.dump every 15 dump x y z"]
        run_deck(deck(*every))
        if kind == "growing frames":
            path.write_text(path.read_text() + path.read_text()[:2000])
    return rows, path


@pytest.mark.parametrize("ranks", [1, 2, 4])
@pytest.mark.parametrize(
    "kind", ["table", "growing table", "sets", "frames of the fix", "growing frames"]
)
def test_known_cells_are_not_written(landscape, run_deck, tmp_path, kind, ranks):
    """Frames and share are those of a calculation in Python; the known set stays as it is."""
    rows, path = write_known(kind, landscape, tmp_path, run_deck)
    points = np.column_stack((landscape.sS, landscape.Q))
    kept, share = uncovered(points, points[rows])
    assert 3 < len(kept) < len(points) - len(rows) and kept != first_come(points.T)
    before = path.read_bytes()
    output, found = run_deck(
        deck(fix(options="known known"), "rerun run.dump dump x y z", COUNTS, SHARE), ranks
    )
    assert path.read_bytes() == before
    assert found["counts"].tolist() == [len(kept), len(kept), 21]
    assert found["share"] == pytest.approx(share, rel=1e-15)
    steps = [atoms.info["timestep"] for atoms in read(tmp_path / "sel.extxyz", ":")]
    assert steps == [5 * row for row in kept]
    n_cells = len(set(cells_of(points[rows])))
    assert f"{len(rows)} frames of known; the known set holds {n_cells} cells" in output
    assert ("the unfinished end of known was left out" in output) == kind.startswith("growing")


def test_several_known_sets_and_append(landscape, run_deck, tmp_path):
    """Two known sets count together; frames that are appended to are occupied, but not known."""
    points = np.column_stack((landscape.sS, landscape.Q))
    landscape.take(slice(1, 3)).write(tmp_path / "1.csv")
    landscape.take(slice(3, 4)).write(tmp_path / "2.csv")
    kept, share = uncovered(points, points[1:4])
    known = "known 1.csv known 2.csv"
    again = deck(fix(options=f"append yes {known}"), "rerun run.dump dump x y z", COUNTS, SHARE)
    run_deck(deck(fix(options=known), "rerun run.dump last 30 dump x y z"))
    first = (tmp_path / "sel.extxyz").read_text()
    n_first = first.count("Lattice")
    assert 0 < n_first < len(kept)
    _, found = run_deck(again, 2)
    assert (tmp_path / "sel.extxyz").read_text().startswith(first)
    assert found["counts"].tolist() == [len(kept) - n_first, len(kept), 21]
    assert found["share"] == pytest.approx(share, rel=1e-15)


def test_known_library_of_polymorphgen(fcc, run_deck, tmp_path):
    """The parameters of such a library are in the JSON of its frames."""
    atoms = Atoms("Al256", positions=fcc.positions, cell=fcc.cell, pbc=True)
    second = atoms.copy()
    second.rattle(0.4, seed=5)
    gen = PolymorphGen(
        [atoms, second], EntropySymmetry(**PARAMETERS), targets=[(-5, 0.3)], generations=1,
        individuals=6, genes=Genes(displacement=0.4), min_distance=1.0, seed=3,
    )  # fmt: skip
    with pytest.warns(UserWarning, match="target"):
        table = gen.run(tmp_path / "known", progress=False)
    output, found = run_deck(deck(fix(options="known known"), "run 0", SHARE))
    cells = set(cells_of(np.column_stack((table.sS, table.Q))))
    assert f"6 frames of known; the known set holds {len(cells)} cells" in output
    own = EntropySymmetry(**PARAMETERS)
    here = [(own.get_property("sS", atoms), own.get_property("Q6", atoms))]
    assert found["share"] == (cells_of(here)[0] not in cells)


@pytest.mark.parametrize("ranks", [1, 2, 4])
@pytest.mark.parametrize("suffix", ["", "known known.csv"], ids=["alone", "known"])
def test_stop(landscape, run_deck, tmp_path, suffix, ranks):
    """The run ends with the third new frame; later runs end at once, until the fix is gone."""
    landscape.take(slice(0, 3)).write(tmp_path / "known.csv")
    steps = 'print "RESULT {} $(step)"'
    run_deck(deck(*MD, fix("whole.extxyz", options=suffix), "run 100"), ranks)
    expected = read(tmp_path / "whole.extxyz", ":3")
    output, found = run_deck(
        deck(*MD, fix(options=f"{suffix} stop 3"), "run 100", steps.format("first"), COUNTS,
             "run 5", "run 20 every 5 NULL", steps.format("second"), "run 20 pre no",
             steps.format("third"), "unfix sel", "run 5", steps.format("last")), ranks,
    )  # fmt: skip
    frames = read(tmp_path / "sel.extxyz", ":")
    last = expected[-1].info["timestep"]
    assert [a.info["timestep"] for a in frames] == [a.info["timestep"] for a in expected]
    np.testing.assert_allclose(frames[-1].positions, expected[-1].positions, atol=1e-9)
    assert [found[name][0] for name in ("first", "second")] == [last, last]
    assert [found[name][0] for name in ("third", "last")] == [last + 1, last + 6]
    assert found["counts"].tolist() == [3, 3, last + 1]
    assert f"the run ends at step {last}, 3 new frames are in sel.extxyz" in output
    assert "this run ends at once, because 3 new frames are written; define the fix" in output


def test_stop_in_a_rerun_and_a_minimization(trajectory, run_deck, lmp, fcc, tmp_path):
    """Nothing is looked at after the last frame, though a rerun reads on."""
    lines = [fix(options="stop 4"), "rerun run.dump dump x y z", COUNTS, "unfix sel", "run 5",
             'print "RESULT step $(step)"']  # fmt: skip
    _, found = run_deck(deck(*lines))
    assert found["step"] == 105
    frames = read(tmp_path / "sel.extxyz", ":")
    assert len(frames) == found["counts"][0] == 4
    assert found["counts"][2] == frames[-1].info["timestep"] / 5 + 1
    path = tmp_path / "min.extxyz"
    instance = lmp(fcc, COMPUTE, fix(path, options="stop 2"), **LJ)
    instance.command("minimize 0 1e-6 60 200")
    assert len(read(path, ":")) == 2
    assert instance.extract_global("ntimestep") == read(path, 1).info["timestep"]


def test_user_timeout_survives_a_stop(lmp, fcc, tmp_path):
    """The wall time that `timer timeout` sets holds again in later runs."""
    instance = lmp(fcc, *MOVE, "timer timeout 9:00:00", COMPUTE,
                   fix(tmp_path / "f", options="stop 1"), "run 50", "unfix sel", **LJ)  # fmt: skip
    assert instance.extract_global("ntimestep") == 0
    instance.command("run 7")
    assert instance.extract_global("ntimestep") == 7
    instance.commands_list(["timer timeout 0:00:00 every 1", "run 50"])
    assert instance.extract_global("ntimestep") < 57


@pytest.mark.parametrize("ranks", [1, 2])
def test_restart_with_a_known_set(landscape, run_deck, tmp_path, ranks):
    """Counts go on; the known set is that of the new input, and `stop` counts anew."""
    points, fine = np.column_stack((landscape.sS, landscape.Q)), (CELL[0] / 4, CELL[1] / 4)
    landscape.take(slice(0, 3)).write(tmp_path / "1.csv")
    landscape.take(slice(13, 15)).write(tmp_path / "2.csv")
    first = [*MD, fix(every=5, options="known 1.csv stop 50"), "run 60",
             "write_restart half.restart"]  # fmt: skip
    _, before = run_deck(deck(*first, COUNTS, SHARE), ranks)
    second = deck("fix 1 all nve", fix(every=5, cell=fine, options="known 2.csv stop 2"), "run 40",
                  COUNTS, SHARE, start="read_restart half.restart")  # fmt: skip
    _, after = run_deck(second, ranks)

    kept, share = uncovered(points[:13], points[:3])
    assert before["counts"].tolist() == [len(kept), len(kept), 13]
    assert before["share"] == pytest.approx(share, rel=1e-15)
    rest = points[12:]
    outside = [c not in cells_of(points[13:15], fine) for c in cells_of(rest, fine)]
    new, _ = uncovered(rest, np.vstack((points[13:15], points[kept])), fine)
    looked_at = new[1] + 1  # it stops at the second one
    assert after["counts"].tolist() == [len(kept) + 2, len(kept) + 2, 13 + looked_at]
    n_outside = round(13 * share) + sum(outside[:looked_at])
    assert after["share"] == pytest.approx(n_outside / (13 + looked_at), rel=1e-15)


ATOMS = "\nAl 0 0 0\n"
VALUES = "1\nsS=-1 Q6=0.1 rmax=5 sigma=0.2 dr=0.05 q6_cutoff=3.4 degree=6 smooth=0"
JSON = '{"rmax": 5.0, "sigma": 0.2, "dr": 0.05, "q6_cutoff": 3.4, "degree": 6, "smooth": 0.0, '
HEAD = f'# entsym: {JSON}"elements": null, "number_density": null}}\n'
ROWS = "frame,file,sS,Q6,n_atoms,volume,energy\n"
UNKNOWN = {
    "missing": (None, "known cannot be read: No such file or directory; use a landscape of"),
    "empty": ("", "known is neither a landscape CSV, whose first line is '# entsym: {...}' with the"
              " parameters, nor extended XYZ; use a landscape of LandscapeTable.write or map_lands"
              "cape(output=), or frames of write_sets, PolymorphGen or this fix"),
    "cut off": ("# entsym:", "known is neither a landscape CSV"),
    "pillar": ('# entsym pillar: {"rmax": 5}\nframe,sS,Q6\n0,-1,0.1\n', "known is neither a lands"),
    "no parameters": (ROWS + "0,,-1,0.1,4,60,nan\n", "known is neither a landscape CSV"),
    "broken parameters": ("# entsym: {\n" + ROWS, "known does not tell its rmax, compute es has rma"
                          "x = 5; use the same parameters or another file"),
    "missing parameter": ('# entsym: {"rmax": 5.0}\n' + ROWS, "known does not tell its sigma"),
    "other sigma": (HEAD.replace("0.2", "0.25") + ROWS, "known was made with sigma = 0.25, compute "
                    "es has sigma = 0.2; use the same parameters or another file"),
    "other density": (HEAD.replace('"number_density": null', '"number_density": 0.05') + ROWS,
                      "known was made with number_density = 0.05, compute es has number_density"),
    "other degree": (HEAD.replace('"degree": 6', '"degree": 4') + ROWS.replace("Q6", "Q4"),
                     "known was made with degree = 4, compute es has degree = 6"),
    "elements": (HEAD.replace("null", '["Si", "O"]', 1) + ROWS, 'known has the values of elements '
                 '["Si", "O"], compute es those of group all; use the same group'),
    "units": (HEAD.replace("}", ', "units": "lj"}') + ROWS, "known has lengths in units lj, the sim"
              "ulation in units metal"),
    "other columns": (HEAD + "frame,sS\n0,-1\n", "known must have the columns sS and Q6; use a"),
    "no columns": (HEAD, "known must have the columns sS and Q6; use a landscape of Landsca"),
    "short row": (HEAD + ROWS + "0,,-1,0.1,4,60,nan\n1,,-1\n", "row 2 of known must have 7 cells, s"
                  "S and Q6 finite numbers; repair it or map the landscape again"),
    "word": (HEAD + ROWS + "0,,x,0.1,4,60,nan\n", "row 1 of known must have 7 cells, sS and Q6"),
    "nan": (HEAD + ROWS + "0,,nan,0.1,4,60,nan\n", "row 1 of known must have 7 cells, sS and Q6"),
    "frame without values": ("1\nrmax=5" + ATOMS, "frame 0 of known has no sS and Q6 in its comment"
                             " line; use a landscape of LandscapeTable.write"),
    "frame without parameters": ("1\nsS=-1 Q6=0.1" + ATOMS, "frame 0 of known does not tell its rm"
                                 "ax, compute es has rmax = 5"),
    "second frame": (VALUES + ATOMS + VALUES.replace("0.2", "0.3") + ATOMS, "frame 1 of known was m"
                     "ade with sigma = 0.3, compute es has sigma = 0.2"),
    "frame of degree 4": ("1\nsS=-1 Q4=0.1 rmax=5 degree=4" + ATOMS, "frame 0 of known was made "
                          "with degree = 4, compute es has degree = 6"),
    "infinite": (VALUES.replace("-1", "inf") + ATOMS, "frame 0 of known has sS = inf, Q6 = 0.1, whi"
                 "ch must be finite"),
    "group": (VALUES + " group=half" + ATOMS, "frame 0 of known has the values of group half, compu"
              "te es those of group all"),
    "no frame": ("12 x\n", "frame 0 of known is not extended XYZ; use a landscape of"),
}  # fmt: skip


@pytest.mark.parametrize(("text", "message"), UNKNOWN.values(), ids=UNKNOWN)
def test_known_file_that_is_refused(lmp, fcc, tmp_path, monkeypatch, text, message):
    monkeypatch.chdir(tmp_path)
    if text is not None:
        (tmp_path / "known").write_text(text)
    with pytest.raises(Exception, match="(?s).*") as error:
        lmp(fcc, COMPUTE, fix(options="known known"))
    assert f"Fix entsym/select sel: known: {message}" in " ".join(str(error.value).split())


@pytest.mark.parametrize(
    ("frames", "n", "note"),
    [
        (["Al"], 0, None),  # refused
        (["Na Cl"], 1, ""),
        (["Na", "Na Cl", "Na Cl K"], 1, "has 2 frames of other elements than the simulation"),
    ],
)
def test_frames_of_other_elements(lmp, make_structure, tmp_path, monkeypatch, frames, n, note):
    """Frames that lack an element of the simulation, or have another one, cover nothing."""
    monkeypatch.chdir(tmp_path)
    header = VALUES.split("\n")[1] + " Properties=pos:R:3:species:S:1"
    (tmp_path / "known").write_text("".join(
        f"{len(names.split())}\n{header}\n" + "".join(f"0 0 0 {e}\n" for e in names.split())
        for names in frames
    ))  # fmt: skip
    line = fix(options="known known", elements="Na Cl")
    if n == 0:
        with pytest.raises(Exception, match="known has no frame of the elements of the simulation"):
            lmp(make_structure("rocksalt"), COMPUTE, line)
        return
    instance = lmp(make_structure("rocksalt"), COMPUTE, "log log", line)
    instance.close()
    log = " ".join((tmp_path / "log").read_text().split())
    assert f"{n} frames of known; the known set holds 1 cells" in log
    assert (note or "other elements") in log or not note


def test_units_of_a_known_set(lmp, fcc, tmp_path, monkeypatch):
    """Frames of lj units tell them; lengths of other units are refused or stated."""
    monkeypatch.chdir(tmp_path)
    lj = lmp(fcc, COMPUTE, fix("lj"), "run 0", units="lj")
    lj.close()
    assert " units=lj" in (tmp_path / "lj").read_text().splitlines()[1]
    with pytest.raises(Exception, match="known: frame 0 of lj has lengths in units lj, the simul"):
        lmp(fcc, COMPUTE, fix(options="known lj"))
    (tmp_path / "silent").write_text(VALUES + ATOMS)
    for units, stated in (("lj", True), ("metal", False)):
        lmp(fcc, COMPUTE, f"log log.{units}", fix(options="known silent"), units=units).close()
        log = " ".join((tmp_path / f"log.{units}").read_text().split())
        assert ("see to it that its lengths are in units lj" in log) == stated


def test_known_file_is_refused_on_all_ranks(fcc, run_deck, tmp_path):
    (tmp_path / "known").write_text(HEAD.replace("0.2", "0.25") + ROWS)
    output, _ = run_deck(deck(fix(options="known known"), "run 0"), 4, fails=True)
    assert output.count("known was made with sigma = 0.25, compute es has sigma = 0.2") == 1
    assert "known must be a regular file" in run_deck(
        deck("shell mkdir folder", fix(options="known folder"), "run 0"), 2, fails=True
    )[0].replace("folder", "known")


def test_elements_of_a_known_set(lmp, make_structure, tmp_path, monkeypatch):
    """A set of Python that counts some elements fits a compute of the group of these atoms."""
    monkeypatch.chdir(tmp_path)
    head = HEAD.replace("null", '["Na"]', 1)
    (tmp_path / "known").write_text(head + ROWS + "0,,-1,0.1,4,60,nan\n")
    salt, na, half = make_structure("rocksalt"), "group na type 1", "group half id 1:100"
    compute = COMPUTE.replace("all", "{}")
    line = fix(options="known known", elements="Na Cl")
    lmp(salt, na, compute.format("na"), line)
    for group in ("all", "half"):
        with pytest.raises(Exception, match=rf'\["Na"\], compute es those of group {group}'):
            lmp(salt, half, compute.format(group), line)


def test_known_set_is_not_emptied(lmp, fcc, tmp_path):
    """The file of the fix may be the known set only if it is appended to."""
    path = tmp_path / "sel.extxyz"
    lmp(fcc, COMPUTE, fix(path), "run 0", **LJ)
    text = path.read_text()
    with pytest.raises(Exception, match="it is the known set, and would be emptied; use another"):
        lmp(fcc, COMPUTE, fix(path, options=f"known {path}"), "run 0", **LJ)
    assert path.read_text() == text
    instance = lmp(fcc, COMPUTE, fix(path, options=f"append yes known {path}"), "run 0", **LJ)
    assert [instance.extract_fix("sel", 0, 1, k) for k in range(3)] == [1, 1, 0]
    instance.commands_list(["uncompute es", COMPUTE.replace("0.2", "0.3")])
    with pytest.raises(Exception, match="has sigma = 0.2, compute es now has 0.3"):
        instance.command("run 0")


# --- errors ---------------------------------------------------------------------------------------

ARGUMENTS = {
    "no known file": ("1 es 0.1 0.02 f element Na Cl known", "known: the name of a file is"),
    "no stop": ("1 es 0.1 0.02 f element Na Cl stop", "stop = nothing must be a whole number of f"),
    "stop 0": ("1 es 0.1 0.02 f element Na Cl stop 0", "stop = 0 must be a whole number of frames, "
               "1 or more"),
    "stop -3": ("1 es 0.1 0.02 f element Na Cl stop -3", "stop = -3 must be a whole number"),
    "stop 1.5": ("1 es 0.1 0.02 f element Na Cl stop 1.5", "stop = 1.5 must be a whole number"),
    "stop word": ("1 es 0.1 0.02 f element Na Cl stop no", "stop = no must be a whole number"),
    "too few": ("1 es 0.1", "arguments are missing; use 'fix ID group entsym/select N compute-ID"),
    "zero steps": ("0 es 0.1 0.02 f element Al", "N = 0 must be a whole number of steps, 1 or"),
    "negative steps": ("-5 es 0.1 0.02 f element Al", "N = -5 must be a whole number of steps"),
    "half a step": ("0.5 es 0.1 0.02 f element Al", "N = 0.5 must be a whole number of steps"),
    "word for steps": ("all es 0.1 0.02 f element Al", "N = all must be a whole number of steps"),
    "unknown compute": ("1 no 0.1 0.02 f element Al",
                        "compute no is not defined; define 'compute no <group> entsym ...' before"),
    "no vector": ("1 loc 0.1 0.02 f element Al", "compute loc is of style entsym/atom, which has no"
                  " vector of sS and Q; use one of style entsym"),
    "other compute": ("1 thermo_pe 0.1 0.02 f element Al", "compute thermo_pe is of style pe"),
    "zero dsS": ("1 es 0 0.02 f element Al", "dsS = 0 must be a positive number; use e.g. 0.1"),
    "negative dQ": ("1 es 0.1 -0.02 f element Al", "dQ = -0.02 must be a positive number; use e.g. "
                    "0.005"),
    "nan": ("1 es nan 0.02 f element Al", "dsS = nan must be a positive number"),
    "no elements": ("1 es 0.1 0.02 f", "keyword element is missing; give one chemical symbol for "
                    "each of the 2 atom types"),
    "few elements": ("1 es 0.1 0.02 f element Na", "element names 1 of 2 atom types; give one symb"
                     "ol for each"),
    "many elements": ("1 es 0.1 0.02 f element Na Cl Cs", "unknown keyword 'Cs'; use element, "
                      "append, energy, known or stop, and one element for each of the 2 atom"),
    "no element": ("1 es 0.1 0.02 f element Na append yes", "element 'append' must be a chemical "
                   "symbol like Si; one for each of the 2 atom types is needed"),
    "number": ("1 es 0.1 0.02 f element 11 17", "element '11' must be a chemical symbol like Si"),
    "keyword": ("1 es 0.1 0.02 f sort yes", "unknown keyword 'sort'; use element, append, energ"),
    "append": ("1 es 0.1 0.02 f element Na Cl append maybe", "append = 'maybe' must be yes or no"),
    "no value": ("1 es 0.1 0.02 f element Na Cl energy", "energy = '' must be yes or no"),
    "path": ("1 es 0.1 0.02 no/such/folder/f element Na Cl", "file no/such/folder/f cannot be "
             "written: No such file or directory; use a path in a folder that exists"),
}  # fmt: skip


@pytest.fixture
def salt(lmp, make_structure, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    local = COMPUTE.replace("es all entsym", "loc all entsym/atom")
    return lmp(make_structure("rocksalt"), COMPUTE, local)


@pytest.mark.parametrize(("arguments", "message"), ARGUMENTS.values(), ids=ARGUMENTS)
def test_arguments(salt, arguments, message):
    with pytest.raises(Exception, match="(?s).*") as error:
        salt.command(f"fix sel all entsym/select {arguments}")
    assert f"Fix entsym/select sel: {message}" in " ".join(str(error.value).split())


def test_energy_in_other_units(lmp, fcc, tmp_path):
    with pytest.raises(
        Exception, match="energy = yes writes eV, which units lj has no relation to"
    ):
        lmp(fcc, COMPUTE, fix(tmp_path / "f", options="energy yes"), units="lj")


def test_atoms_without_ids(lmp, tmp_path):
    box = ["atom_modify id no", "region b block 0 9 0 9 0 9", "create_box 1 b", COMPUTE]
    with pytest.raises(
        Exception, match="atoms need IDs, by which they are sorted; use 'atom_modif"
    ):
        lmp(None, *box, fix(tmp_path / "f"))


def test_compute_that_was_deleted(lmp, fcc, tmp_path):
    instance = lmp(fcc, COMPUTE, fix(tmp_path / "f"), "run 0", "uncompute es")
    with pytest.raises(Exception, match="compute es is not defined; define 'compute es <group>"):
        instance.command("run 0")
    instance.commands_list([COMPUTE, "run 0"])
    assert instance.extract_fix("sel", 0, 0, 0) == 1


def test_empty_group(lmp, fcc, tmp_path):
    commands = ["group none empty", COMPUTE, fix(tmp_path / "f", group="none")]
    with pytest.raises(Exception, match="group none has no atoms to write; use another group"):
        lmp(fcc, *commands, "run 0")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_full_disk(fcc, run_deck):
    for ranks in (1, 2):
        output, _ = run_deck(deck(fix("/dev/full"), "run 0"), ranks, fails=True)
        assert (
            "frame 0 could not be written to /dev/full: No space left on device; make room or use "
            "another file, the frames before it are good" in output
        )


def test_unload(lmp, fcc, tmp_path):
    from lammps_plugin import plugin_folder

    instance = lmp(fcc, COMPUTE, fix(tmp_path / "f"), "run 0")
    instance.command("plugin unload fix entsym/select")
    assert "sel" not in instance.available_ids("fix")
    instance.command(f"plugin load {plugin_folder()}/entsymplugin.so")
    instance.commands_list([fix(tmp_path / "f"), "run 0"])
