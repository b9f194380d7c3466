# SPDX-License-Identifier: BSD-3-Clause
"""Files are replaced completely or not at all, even by a process that is killed."""

import bz2
import gzip
import json
import lzma
import os
import random
import signal
import stat
import subprocess
import sys
import threading
import time
from itertools import cycle

import ase.io
import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.singlepoint import SinglePointCalculator
from tqdm import tqdm

from ase_calculators.autodft import DFTSettings
from ase_calculators.autodft.export import export
from ase_calculators.landscape import LandscapeTable
from ase_calculators.provenance import (
    add_json_line,
    atomic_write,
    atomic_writes,
    json_lines,
    write_json,
)
from ase_calculators.selection import write_sets

SEED = 3


def drafts(folder):
    """Names of the drafts in a folder."""
    return sorted(path.name for path in folder.rglob("*.draft"))


# --- kills ----------------------------------------------------------------------------------------


def _text(folder, number):
    with atomic_write(folder / "a.txt") as file:
        file.writelines(f"{number} {line}\n" for line in range(20_000))


def _packed(folder, number):
    with atomic_write(folder / "a.txt.gz") as file:
        file.writelines(f"{number} {line}\n" for line in range(20_000))


def _json(folder, number):
    write_json(folder / "a.json", {str(line): number for line in range(20_000)})


def _frames():
    frames = []
    for number in range(60):
        atoms = bulk("Al", cubic=True)
        atoms.rattle(0.1, seed=number)
        frames.append(atoms)
    return frames


FRAMES = _frames()
TABLE = LandscapeTable(
    frame=range(60), file=[""] * 60, sS=[-1.0] * 60, Q=[0.1] * 60, n_atoms=[4] * 60,
    volume=[66.0] * 60, energy=[0.0] * 60, parameters={"degree": 6},
)  # fmt: skip


def _sets(folder, number):
    rounds = np.arange(60) % 3 - number
    write_sets(
        TABLE, rounds, folder / "1.extxyz", folder / "2.extxyz", frames=FRAMES, progress=False
    )


def _labels(folder, number):
    labelled = []
    for atoms in FRAMES:
        atoms = atoms.copy()
        results = {"energy": float(number), "forces": np.zeros((4, 3)), "stress": np.zeros(6)}
        atoms.calc = SinglePointCalculator(atoms, **results)
        labelled.append(atoms)
    settings = DFTSettings(cutoff=300.0 + number)
    export(labelled, folder / "labels.extxyz", "extxyz", settings, ["Al"])


@pytest.mark.parametrize("write", [_text, _packed, _json, _sets, _labels])
def test_killed_at_any_moment_old_or_new_is_there(write, tmp_path):
    """Write two contents in turn; after each kill every file has one of them, all the same."""
    wholes = []
    for number in (0, 1):
        write(tmp_path, number)
        wholes.append({path.name: path.read_bytes() for path in tmp_path.iterdir()})
    assert wholes[0].keys() == wholes[1].keys()
    assert all(wholes[0][name] != wholes[1][name] for name in wholes[0])
    rng, n_mixed = random.Random(SEED), 0
    for _ in range(25):
        child = os.fork()
        if child == 0:
            tqdm.set_lock(threading.RLock())  # the shared one stays locked if its holder is killed
            try:
                for number in cycle((0, 1)):
                    write(tmp_path, number)
            finally:
                os._exit(1)
        time.sleep(rng.uniform(0.002, 0.06))
        os.kill(child, signal.SIGKILL)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
        found = {name: (tmp_path / name).read_bytes() for name in wholes[0]}
        for name, content in found.items():
            assert content in (wholes[0][name], wholes[1][name])
        n_mixed += found not in wholes
    assert n_mixed <= 1  # the two replacements of a pair are 30 us apart
    assert len(drafts(tmp_path)) <= len(wholes[0])
    write(tmp_path, 0)  # uses the drafts of the killed processes
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == wholes[0]


def test_the_two_sets_show_whether_they_belong_together(tmp_path):
    paths = tmp_path / "1.extxyz", tmp_path / "2.extxyz"
    marks = []
    for number in (0, 1):
        _sets(tmp_path, number)
        (mark,) = {atoms.info["selection"] for path in paths for atoms in ase.io.read(path, ":")}
        marks.append(mark)
    assert marks[0] != marks[1]


def test_an_error_keeps_all_old_files(tmp_path):
    a, b = tmp_path / "a", tmp_path / "b"
    for path in (a, b):
        path.write_text("old")
    for error in (KeyboardInterrupt, ValueError):
        with pytest.raises(error), atomic_writes(a, b) as (first, second):
            first.write("new")
            second.write("new")
            raise error
        assert (a.read_text(), b.read_text(), drafts(tmp_path)) == ("old", "old", [])


def test_full_disk_keeps_the_old_file(tmp_path):
    """A limit on the size of files replaces the full disk."""
    path = tmp_path / "a"
    path.write_text("old")
    code = (
        "import resource, signal, sys\nfrom ase_calculators.provenance import atomic_write\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))\n"
        "try:\n    with atomic_write(sys.argv[1]) as file: file.write('x' * 100_000)\n"
        "except OSError as error: print('told', error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, path], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("told")
    assert path.read_text() == "old" and drafts(tmp_path) == []


# --- what a file keeps ----------------------------------------------------------------------------


def test_mode_owner_and_link_stay(tmp_path):
    path, link = tmp_path / "a", tmp_path / "link"
    path.write_text("old")
    path.chmod(0o640)
    if os.geteuid() == 0:
        os.chown(path, 12, 34)
    before = path.stat()
    link.symlink_to(path)
    with atomic_write(link) as file:
        file.write("né\n")
    after = path.stat()
    assert link.is_symlink() and path.read_bytes() == "né\n".encode()
    assert (after.st_mode, after.st_uid, after.st_gid) == (
        before.st_mode, before.st_uid, before.st_gid
    )  # fmt: skip
    mask = os.umask(0o027)
    try:
        with atomic_write(tmp_path / "new", "wb") as file:
            file.write(b"x")
    finally:
        os.umask(mask)
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o640


@pytest.mark.parametrize(("suffix", "module"), [(".gz", gzip), (".bz2", bz2), (".xz", lzma)])
def test_suffixes_compress(tmp_path, suffix, module):
    path = tmp_path / f"a.extxyz{suffix}"
    with atomic_write(path) as file:
        ase.io.write(file, FRAMES[0], format="extxyz")
    with module.open(path, "rt") as file:
        assert file.readline() == "4\n"
    np.testing.assert_allclose(ase.io.read(path).positions, FRAMES[0].positions, atol=1e-8)


def test_devices_are_written_to_and_stay(tmp_path):
    with atomic_write("/dev/null") as file:
        file.write("x")
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)
    os.mkfifo(tmp_path / "pipe")
    read = []
    thread = threading.Thread(target=lambda: read.append((tmp_path / "pipe").read_text()))
    thread.start()
    with atomic_write(tmp_path / "pipe") as file:
        file.write("through")
    thread.join(timeout=10)
    assert read == ["through"]


def test_what_cannot_be_written_is_reported_before_the_work(tmp_path):
    for path, message in (
        (tmp_path, "Is a directory: '"), (tmp_path / "none" / "a", "No such file .*none/a'"),
        (tmp_path / ("n" * 300), "File name too long: '.*n'"),
    ):  # fmt: skip
        with pytest.raises(OSError, match=message), atomic_write(path):
            pytest.fail("the block was entered")
    for arguments, message in (
        ({"mode": "a"}, "mode = 'a': must be 'w' or 'wb'"), ({}, "must be different files"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=message):
            with atomic_writes(tmp_path / "a", tmp_path / "." / "a", **arguments):
                pytest.fail("the block was entered")
    with atomic_write(tmp_path / ("n" * 255)) as file:
        file.write("the longest name")
    assert [path.name for path in tmp_path.iterdir()] == ["n" * 255]


def test_several_write_one_file_at_once(tmp_path):
    """The last one wins; no writer sees the draft of another."""

    def write(letter):
        for _ in range(40):
            with atomic_write(tmp_path / "a") as file:
                file.write(letter * 20_000)

    threads = [threading.Thread(target=write, args=(letter,)) for letter in "abcdef"]
    children = []
    for letter in "ghi":
        child = os.fork()
        if child == 0:
            try:
                write(letter)
                os._exit(0)
            finally:
                os._exit(1)
        children.append(child)
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [os.waitpid(child, 0)[1] for child in children] == [0, 0, 0]
    text = (tmp_path / "a").read_text()
    assert len(text) == 20_000 and len(set(text)) == 1 and drafts(tmp_path) == []


# --- JSON lines -----------------------------------------------------------------------------------


def test_json_lines_have_no_blank_ones_and_survive_a_torn_one(tmp_path):
    path = tmp_path / "a.jsonl"
    for number in range(3):
        add_json_line(path, {"n": number})
    assert path.read_text() == '{"n": 0}\n{"n": 1}\n{"n": 2}\n'
    path.write_text(path.read_text() + '{"n": 3')
    add_json_line(path, {"n": 4})
    assert path.read_text().splitlines()[3:] == ['{"n": 3', '{"n": 4}']
    assert [line["n"] for line in json_lines(path)] == [0, 1, 2, 4]
    assert [json.loads(line)["n"] for line in path.read_text().splitlines()[:3]] == [0, 1, 2]
