# SPDX-License-Identifier: BSD-3-Clause
"""Files that are damaged, foreign, or in use by another run are refused and left as they are."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from ase.build import bulk
from ase.io import read, write

from ase_calculators import EntropySymmetry, PolymorphGen

BIN = Path(sys.executable).parent
COMPUTE = "compute es all entsym rmax 5.0 sigma 0.2 q6cut 3.4"
START = ["units metal", "lattice fcc 4.05", "region b block 0 2 0 2 0 2", "create_box 1 b",
         "create_atoms 1 box", "displace_atoms all random 0.1 0.1 0.1 7", "mass 1 27.0",
         "pair_style lj/cut 5.0", "pair_coeff * * 0.2 2.5"]  # fmt: skip
BREED = "polymorph es library.extxyz element Al window -12 2 0 1 targets_per_edge 2 generations 2 "\
        "individuals 4"  # fmt: skip
SELECT = "fix sel all entsym/select 1 es 0.001 0.0001 u.extxyz element Al"
MOVE = ["velocity all create 3000 3", "fix nve all nve"]


def deck(*lines):
    return "\n".join([*START, COMPUTE, *lines])


@pytest.fixture
def library(run_deck, tmp_path):
    run_deck(deck(BREED))
    return tmp_path / "library.extxyz"


def frames_of(text):
    lines = text.splitlines(keepends=True)
    return ["".join(lines[k : k + 34]) for k in range(0, len(lines), 34)]


DAMAGE = {
    "NaN value": (lambda f: [*f[:3], re.sub(r" sS=\S+", " sS=nan", f[3]), *f[4:]],
                  "frame 3 of library.extxyz has sS = nan, Q6 = .*must be finite"),
    "NaN position": (lambda f: [*f[:3], re.sub(r"\nAl \S+", "\nAl nan", f[3], count=1), *f[4:]],
                     "frame 3 of library.extxyz has 'nan' for a coordinate of atom 0"),
    "doubled": (lambda f: [*f[:4], f[3], *f[4:]],
                "frame 4 of library.extxyz is frame 3 of target .* missing, doubled or out of ord"),
    "missing": (lambda f: [*f[:3], *f[4:]], "frame 3 of library.extxyz is frame 4 of target"),
    "count": (lambda f: [*f[:3], "99999999999" + f[3][2:], *f[4:]],
              "frame 3 of library.extxyz says 99999999999 atoms and has lines of 32, the b"),
    "count of the last": (lambda f: [*f[:-1], "33" + f[-1][2:]],
                          "says 33 atoms and has lines of 32, the box has 32"),
    "note behind": (lambda f: [*f, "my note"], "is something else; take it out of the file"),
}  # fmt: skip


@pytest.mark.parametrize(("damage", "message"), DAMAGE.values(), ids=DAMAGE)
def test_damaged_library(library, run_deck, damage, message):
    text = "".join(damage(frames_of(library.read_text())))
    library.write_text(text)
    output, _ = run_deck(deck(BREED), fails=True)
    assert re.search(message, output), output
    assert library.read_text() == text


@pytest.mark.parametrize("text", ["42\n", "7", "99999999999\n", "42\nLattice="])
def test_a_number_alone_is_no_library(run_deck, tmp_path, text):
    for name, line in (("library.extxyz", BREED), ("u.extxyz", SELECT + " append yes\nrun 0")):
        (tmp_path / name).write_text(text)
        output, _ = run_deck(deck(line), fails=True)
        assert "is not a library of this command" in output or "does not start with a num" in output
        assert (tmp_path / name).read_text() == text


@pytest.mark.parametrize("count", ["99999999999", "9" * 30, "33", "31"])
def test_parents_with_another_count(run_deck, tmp_path, count):
    atoms = bulk("Al", cubic=True) * 2
    write(tmp_path / "parents.extxyz", [atoms, atoms])
    text = (tmp_path / "parents.extxyz").read_text()
    (tmp_path / "parents.extxyz").write_text(count + text[2:])
    output, _ = run_deck(deck(BREED + " parents parents.extxyz"), fails=True)
    assert re.search(r"parents: frame \d of parents.extxyz (says|holds|does not start)", output)


def test_device_for_a_library(run_deck, tmp_path):
    (tmp_path / "library.extxyz").symlink_to("/dev/full")
    output, _ = run_deck(deck(BREED), fails=True)
    assert "library.extxyz must be a regular file, not a pipe or a device" in output
    for options, message in (
        ("append yes", "append = yes needs a regular file"),
        ("", "frame 0 could not be written to library.extxyz: No space left on device; make room"),
    ):
        select = SELECT.replace("u.extxyz", "library.extxyz")
        output, _ = run_deck(deck(f"{select} {options}", "run 0"), fails=True)
        assert message in output
    os.mkfifo(tmp_path / "u.extxyz")
    output, _ = run_deck(deck(SELECT, "run 0"), fails=True)
    assert "file u.extxyz cannot be written: it is a pipe; use a regular file" in output


REDEFINED = {
    "parameters": ("compute es all entsym rmax 4.0 sigma 0.2 q6cut 3.4", "rmax = 5, compute es"),
    "group": ("group half id 1:16\n" + COMPUTE.replace("all", "half"), "now has group half; use"),
    "style": ("compute es all pe", "compute es is of style pe"),
    "nothing": ("", "compute es is not defined"),
}  # fmt: skip


@pytest.mark.parametrize(("again", "message"), REDEFINED.values(), ids=REDEFINED)
def test_compute_defined_again(run_deck, tmp_path, again, message):
    output, _ = run_deck(deck(*MOVE, SELECT, "run 2", "uncompute es", again, "run 2"), fails=True)
    assert message in output
    assert len({a.info["rmax"] for a in read(tmp_path / "u.extxyz", ":")}) == 1


def test_same_definition_continues(run_deck, tmp_path):
    run_deck(deck(*MOVE, SELECT, "run 2", "uncompute es", COMPUTE, "run 2"))
    assert len(read(tmp_path / "u.extxyz", ":")) > 3


def test_append_of_another_group(run_deck, tmp_path):
    select = SELECT.replace(" es ", " part ") + " append yes"
    half = ["group half id 1:16", COMPUTE.replace("es all", "part half"), select]
    run_deck(deck(*half, "run 0"))
    assert read(tmp_path / "u.extxyz").info["group"] == "half"
    run_deck(deck(*half, "run 0"))
    output, _ = run_deck(deck(SELECT + " append yes", "run 0"), fails=True)
    assert "frame 0 of u.extxyz has the values of group half, compute es those of gro" in output


def test_append_of_frames_without_finite_values(run_deck, tmp_path):
    run_deck(deck(SELECT, "run 0"))
    text = re.sub(" sS=[^ ]+", " sS=nan", (tmp_path / "u.extxyz").read_text())
    (tmp_path / "u.extxyz").write_text(text)
    output, _ = run_deck(deck(SELECT + " append yes", "run 0"), fails=True)
    assert "frame 0 of u.extxyz has sS = nan" in output
    assert (tmp_path / "u.extxyz").read_text() == text


# --- two at a time, and others ------------------------------------------------------------------

TAMPER = {
    "removed": "shell rm u.extxyz",
    "renamed": "shell mv u.extxyz v.extxyz",
    "replaced": "shell cp u.extxyz v.extxyz\nshell mv v.extxyz u.extxyz",
    "cut off or emptied": "shell truncate -s 100 u.extxyz",
    "written to": "shell cp u.extxyz v.extxyz\n"
                  "shell dd if=v.extxyz of=u.extxyz oflag=append conv=notrunc",
}  # fmt: skip


@pytest.mark.parametrize("ranks", [1, 2])
@pytest.mark.parametrize(("what", "command"), TAMPER.items(), ids=TAMPER)
def test_file_of_the_fix_changed_by_others(run_deck, what, command, ranks):
    output, _ = run_deck(deck(*MOVE, SELECT, "run 2", command, "run 2"), ranks, fails=True)
    assert re.search(f"it was .*{what.split()[0]}.* by somebody else in the meantime", output)
    assert "u.extxyz" in output


def test_two_fixes_on_one_file(run_deck):
    output, _ = run_deck(deck(SELECT, SELECT.replace("sel ", "other "), "run 0"), fails=True)
    assert "u.extxyz cannot be written: another run or fix is writing to it" in output


def start(folder, lines, name):
    (folder / name).write_text(deck(*lines))
    return subprocess.Popen([BIN / "lmp", "-log", "none", "-in", name], cwd=folder, text=True,
                            start_new_session=True,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)  # fmt: skip


def stop(process):
    """End the launcher and the LAMMPS that it has started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def wait_for(path, process):
    for _ in range(400):
        if path.exists() and path.stat().st_size > 20_000:
            return
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.05)


LONG = BREED.replace("generations 2 individuals 4", "generations 2000 individuals 20")


@pytest.mark.parametrize("tamper", ["removed", "emptied", "replaced"])
def test_library_changed_while_it_grows(tmp_path, tamper):
    path = tmp_path / "library.extxyz"
    process = start(tmp_path, [LONG], "in.long")
    try:
        wait_for(path, process)
        if tamper == "removed":
            path.unlink()
        elif tamper == "emptied":
            os.truncate(path, 0)
        else:
            (tmp_path / "other").write_bytes(path.read_bytes())
            os.replace(tmp_path / "other", path)
        output, _ = process.communicate(timeout=60)
    finally:
        stop(process)
    assert re.search(r"ERROR: polymorph: frame \d+ could not be written to library.extxyz: it was "
                     f".*{tamper}.* by somebody else", output), output  # fmt: skip


def test_two_writers_of_both_hosts(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "library.extxyz"
    process = start(tmp_path, [LONG], "in.long")
    try:
        wait_for(path, process)
        second = start(tmp_path, [LONG], "in.second")
        output, _ = second.communicate(timeout=60)
        assert "library.extxyz cannot be written: another run or fix is writing to it" in output
        parents = [bulk("Al", cubic=True) * 2 for _ in range(2)]
        for seed, atoms in enumerate(parents):
            atoms.rattle(0.1 + 0.1 * seed, seed=seed)
        gen = PolymorphGen(parents, EntropySymmetry(rmax=5.0, sigma=0.2, q6_cutoff=3.4),
                           targets=[(-2.0, 0.3)])  # fmt: skip
        with pytest.raises(ValueError, match="another run is writing to it"):
            gen.run(path, progress=False)
    finally:
        stop(process)
    text = path.read_text()
    places = re.findall(r" frame=(\d+) ", text)
    assert places == [str(k) for k in range(len(places))]


def test_best_child_has_no_image_flags(run_deck):
    """Unwrapped positions are those in the box: the child's atoms have crossed no face."""
    lines = ["set group all image 2 -1 3", BREED + " best yes point -2.0 0.4",
             "compute u all property/atom xu yu zu x y z",
             "variable d atom (c_u[1]-c_u[4])^2+(c_u[2]-c_u[5])^2+(c_u[3]-c_u[6])^2",
             "compute m all reduce max v_d", "thermo_style custom step c_m", "run 0",
             'print "RESULT away $(c_m)"']  # fmt: skip
    _, found = run_deck(deck(*lines))
    np.testing.assert_array_equal(found["away"], 0.0)


ELEMENTS = {
    "too few": ("element Na generations 2", "element 'generations' is not a chemical symbol"),
    "at the end": ("element Na", "element '' is not a chemical symbol"),
    "too many": ("element Na Cl Cs", "element: 'Cs' is one name more than the 2 atom types"),
    "no symbol": ("element Na Xx", "element 'Xx' is not a chemical symbol"),
}  # fmt: skip


@pytest.mark.parametrize(("words", "message"), ELEMENTS.values(), ids=ELEMENTS)
def test_element_names(lmp, make_structure, words, message):
    instance = lmp(make_structure("rocksalt"), COMPUTE)
    with pytest.raises(Exception, match="(?s).*") as error:
        instance.command(f"polymorph es library.extxyz {words}")
    assert message in " ".join(str(error.value).split())
