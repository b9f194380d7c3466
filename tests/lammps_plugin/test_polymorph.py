# SPDX-License-Identifier: BSD-3-Clause
"""The polymorph command: children as in ASE, on any number of ranks, after any interruption."""

import contextlib
import re
import resource
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.data import chemical_symbols, covalent_radii
from ase.io import read, write

from ase_calculators import EntropySymmetry, Genes, PolymorphGen

COMPUTE = "compute es all entsym rmax 5.0 sigma 0.2 q6cut 3.4"
PARAMETERS = dict(rmax=5.0, sigma=0.2, q6_cutoff=3.4)
SHORT = "generations 3 individuals 8 targets_per_edge 2"
SHORTENED = dict(generations=3, individuals=8, targets_per_edge=2)


def deck(*lines, compute=COMPUTE):
    return "\n".join(["units metal", "box tilt large", "read_data structure.data", compute, *lines])


def polymorph(*options, elements="Al", file="library.extxyz"):
    return " ".join(["polymorph es", file, "element", elements, *options])


def parents(make_structure, folder, name="fcc", symbols=("Al",), **parts):
    """Write the box and a file of two more parents; return the three as Atoms."""
    frames = []
    for k, rattle in enumerate((0.05, 0.15, 0.3)):
        structure = make_structure(**{"repeat": 2, "rattle": rattle, "seed": 5 + k, **parts})
        if k == 0:
            structure.write(folder / "structure.data")
        names = [symbols[t - 1] for t in structure.types]
        frames.append(Atoms(names, structure.positions, cell=structure.cell, pbc=structure.pbc))
    write(folder / "parents.extxyz", frames[1:])
    # positions as the file has them
    return [frames[0], *read(folder / "parents.extxyz", ":")]


def aluminium(make_structure, folder):
    from_parts = {"cell": 4.05 * np.eye(3), "basis": [(0, 0, 0), (0.5, 0.5, 0), (0.5, 0, 0.5),
                                                      (0, 0.5, 0.5)]}  # fmt: skip
    return parents(make_structure, folder, **from_parts)


def salt(make_structure, folder):
    """Rock salt, types mixed up in the order of the IDs."""
    half = np.array([(0, 0, 0), (0.5, 0.5, 0), (0.5, 0, 0.5), (0, 0.5, 0.5)])
    basis = np.empty((8, 3))
    basis[::2], basis[1::2] = half, (half + 0.5) % 1
    return parents(
        make_structure, folder, symbols=("Na", "Cl"), cell=5.2 * np.eye(3), basis=basis,
        types=[1, 2] * 4, repeat=2,
    )  # fmt: skip


@contextlib.contextmanager
def full_disk(size):
    """Let no file grow beyond a size, bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


LINEAGE = ("target", "generation", "individual", "parent", "genes", "evaluations", "seed")


def same(library, other, tolerance=0.0):
    """Check that two libraries have the same children with the same lineage."""
    a, b = read(library, ":"), read(other, ":")
    assert len(a) == len(b) > 10
    for one, two in zip(a, b):
        assert {k: one.info[k] for k in LINEAGE} == {k: two.info[k] for k in LINEAGE}
        assert one.symbols.get_chemical_formula() == two.symbols.get_chemical_formula()
        for x, y in ((one.positions, two.positions), (one.cell.array, two.cell.array)):
            np.testing.assert_allclose(x, y, rtol=0, atol=tolerance)
        assert one.info["sS"] == pytest.approx(two.info["sS"], rel=0, abs=10 * tolerance)
        assert one.info["Q6"] == pytest.approx(two.info["Q6"], rel=0, abs=10 * tolerance)


OPTIONS = {
    "defaults": ("", {}),
    "roulette": ("mode roulette elitism yes fresh 0.5 seed 7", dict(
        mode="roulette", elitism=True, fresh=0.5, seed=7)),
    "grid": ("targets grid targets_per_edge 3 hits 2 steps 3 expand 0.3", dict(
        targets="grid", targets_per_edge=3, hits=2, steps=3, expand=0.3)),
    "gaps": ("targets gaps targets_per_edge 4", dict(targets="gaps", targets_per_edge=4)),
    "gaps' defaults": ("targets gaps", dict(targets="gaps", targets_per_edge=2, generations=None,
                                            individuals=None)),
    "tolerance": ("tolerance 1e-5 rate 0.7", dict(tolerance=1e-5, genes=Genes(rate=0.7))),
    "points": ("point -2.0 0.4 point -1.5 0.3", dict(targets=[(-2.0, 0.4), (-1.5, 0.3)])),
    "window": ("window -9 0 0.1 0.7", dict(window=(-9.0, 0.0, 0.1, 0.7))),
    "genes": ("displacement 0.2 volume 0 shape 0.02 rate 1 probabilities 0.9 0 0.4 0", dict(
        genes=Genes(0.2, 0.0, 0.02, 1.0, probabilities=(0.9, 0.0, 0.4, 0.0)))),
    "limits": (
        "min_distance * * 2.2 volume_limits 15 20 angle_limits 80 100",
        dict(min_distance=2.2, volume_limits=(15.0, 20.0), angle_limits=(80.0, 100.0))),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:.*targets not reached")
@pytest.mark.parametrize("case", OPTIONS)
def test_same_children_as_ase(make_structure, run_deck, tmp_path, case):
    """Every digit: there is one engine, and atoms of one element are in the same order."""
    frames = aluminium(make_structure, tmp_path)
    given, options = OPTIONS[case]
    short = "targets_per_edge 2" if "defaults" in case and given else SHORT
    run_deck(deck(polymorph("parents parents.extxyz", short, given)), ranks=2)
    gen = PolymorphGen(frames, EntropySymmetry(**PARAMETERS), **{**SHORTENED, **options})
    gen.run(tmp_path / "ase.extxyz", progress=False)
    same(tmp_path / "library.extxyz", tmp_path / "ase.extxyz")


@pytest.mark.parametrize("targets", ["edges", "gaps"])
def test_every_default_is_that_of_python(lmp, make_structure, tmp_path, targets):
    """The first frames tell the settings; a disk that is soon full ends the run."""
    frames = aluminium(make_structure, tmp_path)
    instance = lmp()
    instance.commands_list(["units metal", "box tilt large"])
    instance.command(f"read_data {tmp_path / 'structure.data'}")
    instance.command(COMPUTE)
    path = tmp_path / "library.extxyz"
    given = "" if targets == "edges" else "targets gaps"
    with full_disk(20_000), pytest.raises(Exception, match="could not be written"):
        instance.command(polymorph(f"parents {tmp_path}/parents.extxyz", given, file=str(path)))
    theirs = read(path, 0).info["parameters"]
    ours = PolymorphGen(frames, EntropySymmetry(**PARAMETERS), targets=targets).settings
    assert theirs.keys() == ours.keys()
    rounded = ("window", "min_distance", "volume_limits")  # derived from the parents
    for name in rounded:
        np.testing.assert_allclose(theirs.pop(name), ours[name], rtol=1e-9)
    assert theirs == {name: value for name, value in ours.items() if name not in rounded}


@pytest.mark.filterwarnings("ignore:.*targets not reached")
@pytest.mark.parametrize(
    ("group", "elements"), [("all", None), ("chlorine", "Cl")], ids=["all", "one element counts"]
)
def test_same_children_of_a_compound(make_structure, run_deck, tmp_path, group, elements):
    """Elements are sorted; the analyser adds pairs in another order, so not every digit."""
    frames = salt(make_structure, tmp_path)
    run_deck(
        deck(
            polymorph(
                "parents parents.extxyz swaps 1 frozen Na min_distance Na Cl 1.6", SHORT,
                "probabilities 0.5 0.5 0.5 0", elements="Na Cl",
            ),
            compute="group chlorine type 2\n"
            + COMPUTE.replace(" all ", f" {group} ").replace("3.4", "3.9"),
        ),
        ranks=2,
    )  # fmt: skip
    calc = EntropySymmetry(**{**PARAMETERS, "q6_cutoff": 3.9}, elements=elements)
    gen = PolymorphGen(
        frames, calc, min_distance={("Na", "Cl"): 1.6},
        genes=Genes(frozen="Na", swaps=1, probabilities=(0.5, 0.5, 0.5, 0.0)), **SHORTENED,
    )  # fmt: skip
    gen.run(tmp_path / "ase.extxyz", progress=False)
    same(tmp_path / "library.extxyz", tmp_path / "ase.extxyz", tolerance=1e-7)
    before = (tmp_path / "library.extxyz").read_bytes()
    gen.run(tmp_path / "library.extxyz", progress=False)  # complete, and its own
    assert (tmp_path / "library.extxyz").read_bytes() == before


@pytest.mark.filterwarnings("ignore:.*targets not reached")
@pytest.mark.parametrize("first", ["ase", "lammps"])
@pytest.mark.parametrize("case", ["defaults", "roulette", "gaps", "points", "genes", "limits"])
def test_each_host_continues_the_library_of_the_other(
    make_structure, run_deck, tmp_path, case, first
):
    """Cut off in the middle, it becomes the library that one host makes alone."""
    frames = aluminium(make_structure, tmp_path)
    given, options = OPTIONS[case]
    gen = PolymorphGen(frames, EntropySymmetry(**PARAMETERS), **{**SHORTENED, **options})
    path = tmp_path / "library.extxyz"

    def lammps():
        run_deck(deck(polymorph("parents parents.extxyz", SHORT, given)), ranks=2)

    def ase():
        gen.run(path, progress=False)

    start, finish = (ase, lammps) if first == "ase" else (lammps, ase)
    start()
    whole = path.read_bytes()
    (tmp_path / "whole.extxyz").write_bytes(whole)
    path.write_bytes(whole[: len(whole) * 2 // 5])
    finish()
    same(path, tmp_path / "whole.extxyz")
    mixed = path.read_bytes()
    start()
    assert path.read_bytes() == mixed


@pytest.mark.filterwarnings("ignore:.*targets not reached")
def test_each_host_refuses_other_settings_of_the_other(make_structure, run_deck, tmp_path):
    frames = aluminium(make_structure, tmp_path)
    calc = EntropySymmetry(**PARAMETERS)
    path = tmp_path / "library.extxyz"
    run_deck(deck(polymorph("parents parents.extxyz", SHORT)))
    before = path.read_bytes()
    with pytest.raises(ValueError, match="was made with seed = 1; this run has seed = 2; use"):
        PolymorphGen(frames, calc, seed=2, **SHORTENED).run(path, progress=False)
    with pytest.raises(ValueError, match=r"with parents = \w{16}; this run has parents = \w{16}"):
        PolymorphGen([*frames[::-1]], calc, **SHORTENED).run(path, progress=False)
    assert path.read_bytes() == before
    path.unlink()
    PolymorphGen(frames, calc, hits=2, **SHORTENED).run(path, progress=False)
    before = path.read_bytes()
    output, _ = run_deck(deck(polymorph("parents parents.extxyz", SHORT)), fails=True)
    assert "was made with hits = 2; this run has hits = null; use another file" in output
    assert path.read_bytes() == before


def test_same_library_on_any_number_of_ranks(make_structure, run_deck, tmp_path):
    aluminium(make_structure, tmp_path)
    texts = set()
    for ranks in (1, 2, 4):
        (tmp_path / "library.extxyz").unlink(missing_ok=True)
        run_deck(deck(polymorph("parents parents.extxyz", SHORT)), ranks)
        texts.add((tmp_path / "library.extxyz").read_bytes())
    assert len(texts) == 1
    frames = read(tmp_path / "library.extxyz", ":")
    calc = EntropySymmetry(**PARAMETERS)
    for atoms in frames[::17]:
        values = calc.evaluate([atoms])
        assert atoms.info["sS"] == pytest.approx(values["sS"][0], rel=1e-12)
        assert atoms.info["Q6"] == pytest.approx(values["Q6"][0], rel=1e-12)


@pytest.mark.parametrize("ranks", [1, 2])
@pytest.mark.parametrize("share", [0.0, 0.21, 0.5, 0.77, 1.0])
def test_goes_on_after_a_kill_at_any_byte(make_structure, run_deck, tmp_path, share, ranks):
    aluminium(make_structure, tmp_path)
    command = deck(polymorph("parents parents.extxyz elitism yes", SHORT))
    path = tmp_path / "library.extxyz"
    run_deck(command)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    output, _ = run_deck(command, ranks)
    assert path.read_bytes() == whole
    if share == 1.0:
        assert "0 frames written, 96 in all" in output


def test_frames_of_other_files_may_come_in_any_order_with_ids(make_structure, run_deck, tmp_path):
    """What fix entsym/select writes serves as parents, and a shuffled file with IDs is the same."""
    aluminium(make_structure, tmp_path)
    select = [
        "pair_style lj/cut 5.0", "pair_coeff * * 0.2 2.5", "velocity all create 3000 4711",
        "fix 1 all nve", "fix s all entsym/select 5 es 0.01 0.001 parents.extxyz element Al",
        "run 20", "unfix s",
    ]  # fmt: skip
    run_deck(deck(*select, polymorph("parents parents.extxyz", SHORT)))
    first = (tmp_path / "library.extxyz").read_bytes()
    lines = (tmp_path / "parents.extxyz").read_text().splitlines()
    n = 34
    assert len(lines) % n == 0 and len(lines) >= 2 * n
    shuffled = []
    for k in range(0, len(lines), n):
        shuffled += lines[k : k + 2] + lines[k + 2 : k + n][::-1]
    (tmp_path / "shuffled.extxyz").write_text("\n".join(shuffled) + "\n")
    select = select[:4] + ["run 20"]
    run_deck(deck(*select, polymorph("parents shuffled.extxyz", SHORT, file="second.extxyz")))
    assert (tmp_path / "second.extxyz").read_bytes() == first


@pytest.mark.parametrize("ranks", [1, 2])
@pytest.mark.parametrize("tilted", [False, True])
def test_best_child_is_left_in_the_box(make_structure, run_deck, tmp_path, ranks, tilted):
    """The script continues with it: the compute gives its sS and Q6 in the rotated cell."""
    cell = [(4.1, 0, 0), (0.9, 3.9, 0), (-0.7, 1.1, 4.3)] if tilted else 4.05 * np.eye(3)
    basis = [(0, 0, 0), (0.5, 0.5, 0), (0.5, 0, 0.5), (0, 0.5, 0.5)]
    parents(make_structure, tmp_path, cell=cell, basis=basis)
    output, found = run_deck(
        deck(
            polymorph("parents parents.extxyz best yes point -2.2 0.35", SHORT),
            "pair_style lj/cut 5.0", "pair_coeff * * 0.2 2.5", "thermo_style custom c_es[1]",
            "run 0", 'print "RESULT values $(c_es[1]) $(c_es[2]) $(vol) $(atoms)"',
            "minimize 0 1e-3 50 100", "fix 1 all nve", "run 10",
        ),
        ranks,
    )  # fmt: skip
    frames = read(tmp_path / "library.extxyz", ":")
    number = int(re.search(r"frame (\d+), .* is in the box", output).group(1))
    best = frames[number]
    away = [np.hypot((a.info["sS"] + 2.2), 10 * (a.info["Q6"] - 0.35)) for a in frames]
    assert away[number] < 0.05
    sS, Q6, volume, n_atoms = found["values"]
    assert (sS, Q6) == (
        pytest.approx(best.info["sS"], rel=1e-6), pytest.approx(best.info["Q6"], rel=1e-6)
    )  # fmt: skip
    assert volume == pytest.approx(best.get_volume(), rel=1e-6)
    assert n_atoms == 32


def test_a_full_disk_leaves_a_readable_library(lmp, make_structure, run_deck, tmp_path):
    aluminium(make_structure, tmp_path)
    command = deck(polymorph("parents parents.extxyz", SHORT))
    run_deck(command)
    path = tmp_path / "library.extxyz"
    whole = path.read_bytes()
    path.unlink()
    instance = lmp()
    instance.commands_list(["units metal", "box tilt large"])
    instance.command(f"read_data {tmp_path / 'structure.data'}")
    instance.command(COMPUTE)
    message = r"frame (\d+) could not be written to .*: File too large; make"
    with full_disk(20_000), pytest.raises(Exception, match=message) as error:
        instance.command(polymorph(f"parents {tmp_path}/parents.extxyz", SHORT, file=str(path)))
    frames = read(path, ":")
    assert 1 < len(frames) < 20
    assert int(re.search(message, str(error.value)).group(1)) == len(frames)
    room = 20_000 - path.stat().st_size
    assert 0 <= room < path.stat().st_size / len(frames) * 1.1  # no room for another one
    run_deck(command)
    assert path.read_bytes() == whole


def test_a_library_of_other_parameters_is_refused_and_left_alone(
    make_structure, run_deck, tmp_path
):
    aluminium(make_structure, tmp_path)
    run_deck(deck(polymorph("parents parents.extxyz", SHORT)))
    before = (tmp_path / "library.extxyz").read_bytes()
    output, _ = run_deck(
        deck(polymorph("parents parents.extxyz seed 2 rate 0.5", SHORT)), fails=True
    )
    assert re.search(
        r'library.extxyz was made with genes = {"displacement": 0.1, .*"rate": 0.3, .*}, seed = 1; '
        r'this run has genes = {.*"rate": 0.5, .*}, seed = 2; use another file or the same '
        "parameters", " ".join(output.split()),
    )  # fmt: skip
    assert (tmp_path / "library.extxyz").read_bytes() == before
    for text in ("no library\n", "2\nof another one\nAl 0 0 0\nAl 0 0 2"):
        (tmp_path / "other.extxyz").write_text(text)
        output, _ = run_deck(
            deck(polymorph("parents parents.extxyz", SHORT, file="other.extxyz")), fails=True
        )
        assert "other.extxyz is not a library of this command; use another file" in output
        assert (tmp_path / "other.extxyz").read_text() == text


def test_unreachable_target_stops_and_tells_the_nearest_point(make_structure, run_deck, tmp_path):
    aluminium(make_structure, tmp_path)
    output, _ = run_deck(deck(polymorph("parents parents.extxyz point 5.0 0.9", SHORT)))
    assert re.search(
        r"1 of 1 targets not reached in 3 generations of 8: target 0 at sS = 5, Q6 = 0.9, nearest "
        r"sS = -[\d.]+, Q6 = 0[\d.]+, [\d.]+ of the window away", output,
    )  # fmt: skip


BAD = {
    "nothing": ("polymorph es", "arguments are missing"),
    "compute": (polymorph().replace("es", "no", 1), "compute no is not defined"),
    "style": ("compute t all temp\n" + polymorph().replace("es", "t", 1), "is of style temp"),
    "element": ("polymorph es l.extxyz parents parents.extxyz", "element is missing; give one"),
    "symbol": (polymorph(elements="Xx"), "element 'Xx' is not a chemical symbol"),
    "keyword": (polymorph("target 3"), "unknown keyword 'target'"),
    "value": (polymorph("generations"), "generations: a value is missing"),
    "number": (polymorph("expand -1"), "expand = -1: must be 0 or more"),
    "text": (polymorph("rate much"), "rate = much: must be a finite number"),
    "whole": (polymorph("individuals 2.5"), "individuals = 2.5: must be a whole number, 1"),
    "targets": (polymorph("targets corners"), "targets = corners: choose edges, grid, gaps"),
    "yes": (polymorph("best maybe"), "best = maybe: must be yes or no"),
    "window": (polymorph("window 0 -1 0 1"), "window = 0,-1,0,1: must be sS_min < sS_max"),
    "outside": (polymorph("window 0 1 0 1"),
                "parent 0 at sS = -.* lies outside the window 0,1,0,1"),
    "alone": (polymorph(), "parents: all 1 have sS = .* which spans no window"),
    "missing file": (polymorph("parents no.extxyz"), "parents: no.extxyz cannot be read"),
    "no frames": (polymorph("parents structure.data"), "frame 0 of structure.data does not start"),
    "zero genes": (polymorph("parents parents.extxyz displacement 0 volume 0 shape 0"),
                   "genes: every amplitude or probability is 0"),
    "distance": (polymorph("parents parents.extxyz min_distance * * 3.5"),
                 "min_distance Al-Al = 3.5: no parent keeps to it, the best has such a pair at"),
    "pair": (polymorph("parents parents.extxyz min_distance Al O 1"),
             "min_distance: Al O is not a pair of the elements Al"),
    "volume": (polymorph("parents parents.extxyz volume_limits 30 40"),
               r"volume_limits = \(30, 40\): parent 0 has 16.61 per atom"),
    "frozen": (polymorph("parents parents.extxyz frozen Ge"),
               "frozen: Ge is not an element of the box"),
    "swaps": (polymorph("parents parents.extxyz swaps 1"), "swaps = 1: needs free atoms of two"),
    "room": (polymorph("parents parents.extxyz individuals 100000000"),
             "n_children = 100000000: so many individuals of 32 atoms need 88.8 GB, more than"),
    "path": (polymorph("parents parents.extxyz", file="no/such/l.extxyz"),
             "no/such/l.extxyz cannot be written: No such file or directory; use a path"),
    "other numbers": (polymorph("parents eight.extxyz"),
                      "frame 0 of eight.extxyz holds 4 Al atoms"),
    "other elements": (polymorph("parents copper.extxyz"), "holds Cu, which the box does not"),
    "other pbc": (polymorph("parents slab.extxyz"), "has pbc TTF, the box TTT; all must be"),
}  # fmt: skip


@pytest.mark.parametrize(("command", "message"), BAD.values(), ids=BAD)
def test_bad_input_is_told_in_one_line(make_structure, run_deck, tmp_path, command, message):
    frames = aluminium(make_structure, tmp_path)
    write(tmp_path / "eight.extxyz", frames[1][:4])
    copper = frames[1].copy()
    copper.symbols = "Cu"
    write(tmp_path / "copper.extxyz", copper)
    slab = frames[1].copy()
    slab.pbc = True, True, False
    write(tmp_path / "slab.extxyz", slab)
    output, _ = run_deck(deck(command), fails=True)
    lines = [line for line in output.splitlines() if re.search("polymorph: .*" + message, line)]
    assert lines, output


def test_half_an_element_cannot_count(make_structure, run_deck, tmp_path):
    aluminium(make_structure, tmp_path)
    output, _ = run_deck(
        deck(
            "group few id 1:10", "compute f few entsym rmax 5.0 sigma 0.2 q6cut 3.4",
            polymorph("parents parents.extxyz").replace("es", "f", 1),
        ),
        fails=True,
    )  # fmt: skip
    assert "group few of compute f holds some but not all Al atoms" in output


def test_units_without_radii_need_distances(make_structure, run_deck, tmp_path):
    aluminium(make_structure, tmp_path)
    command = deck(polymorph("parents parents.extxyz", SHORT)).replace("units metal", "units lj")
    output, _ = run_deck(command, fails=True)
    assert "min_distance: has no default in units lj" in output
    run_deck(command + " min_distance * * 1.9")


def test_radii_are_those_of_ase():
    header = Path(__file__).parents[2] / "lammps_plugin" / "covalent_radii.h"
    found = dict(re.findall(r'\{"(\w+)", ([\d.]+)\}', header.read_text()))
    assert len(found) == 96
    for symbol, radius in found.items():
        assert covalent_radii[chemical_symbols.index(symbol)] == pytest.approx(float(radius))


def test_elements_and_the_group_are_settings(make_structure, run_deck, tmp_path):
    salt(make_structure, tmp_path)
    options = ("parents parents.extxyz window -50 50 0 1 point -2 0.3 generations 1 individuals 2",
               "min_distance * * 1.6 volume_limits 1 99")  # fmt: skip
    run_deck(deck(polymorph(*options, elements="Na Cl")))
    chlorine = "group chlorine type 2\n" + COMPUTE.replace(" all ", " chlorine ")
    output, _ = run_deck(deck(polymorph(*options, elements="Na Cl"), compute=chlorine), fails=True)
    assert re.search(r'elements = null; this run has elements = \["Cl"\]; use', output)


def test_a_parent_without_end_and_words_for_numbers(make_structure, run_deck, tmp_path):
    aluminium(make_structure, tmp_path)
    path = tmp_path / "parents.extxyz"
    text = path.read_text()
    path.write_text(text[:-1])
    output, _ = run_deck(deck(polymorph("parents parents.extxyz", SHORT)), fails=True)
    assert "frame 1 of parents.extxyz is unfinished" in output
    lines = text.splitlines()
    lines[2] = "Al abc 1.0 1.0"
    path.write_text("\n".join(lines) + "\n")
    output, _ = run_deck(deck(polymorph("parents parents.extxyz", SHORT)), fails=True)
    assert "frame 0 of parents.extxyz has 'abc' for a coordinate of atom 0" in output


def test_a_note_is_left_alone(make_structure, run_deck, tmp_path):
    aluminium(make_structure, tmp_path)
    (tmp_path / "library.extxyz").write_text("my note")
    output, _ = run_deck(deck(polymorph("parents parents.extxyz", SHORT)), fails=True)
    assert "is not a library of this command" in output
    assert (tmp_path / "library.extxyz").read_text() == "my note"
