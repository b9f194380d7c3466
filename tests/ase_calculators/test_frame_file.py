# SPDX-License-Identifier: BSD-3-Clause
"""Extended XYZ files that only grow: what an interruption leaves, and who may write."""

import os
import resource
import signal

import pytest

from ase_calculators.frame_file import FrameFile

FRAMES = [b"1\nLattice=a k=0\nAl 0 0 0\n", b"2\nLattice=a k=1\nAl 0 0 0\nAl 1 1 1\n"]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "library.extxyz"


def test_frames_are_read_back_and_go_on(path):
    with FrameFile(path) as file:
        assert [file.append(text) for text in FRAMES] == [0, len(FRAMES[0])]
        assert [frame.text for frame in file] == FRAMES
    with FrameFile(path) as file:
        second = list(file)[1]
        assert second == file.read(len(FRAMES[0]))
        assert (second.head, second.comment) == (b"2\n", b"Lattice=a k=1\n")
        assert second.atoms == [b"Al 0 0 0\n", b"Al 1 1 1\n"]
        file.append(FRAMES[0])
    assert path.read_bytes() == b"".join([*FRAMES, FRAMES[0]])


@pytest.mark.parametrize("zeros", [0, 100], ids=["cut", "zeros"])
def test_whole_frames_of_a_file_cut_anywhere(path, zeros):
    whole = b"".join(FRAMES)
    for size in range(len(whole) + 1):
        path.write_bytes(whole[:size] + bytes(zeros))
        with FrameFile(path) as file:
            ends = [frame.end for frame in file if frame.complete]
            assert ends == [end for end in (len(FRAMES[0]), len(whole)) if end <= size]
            file.cut(ends[-1] if ends else 0)
        assert path.read_bytes() == whole[: ends[-1] if ends else 0]


def test_what_is_not_a_number_of_atoms_is_handed_on(path):
    for start in (b"hello\n", b"\n", b"\0\0" + FRAMES[0], b"-1\n", b"1" * 40 + b"\n"):
        path.write_bytes(start)
        with FrameFile(path) as file:
            (frame,) = file
        assert not frame.complete and frame.comment == b""


def test_more_atoms_than_the_file_has_lines_take_no_time(path):
    path.write_bytes(b"9" * 30 + b"\nLattice=a\nAl 0 0 0\n")
    with FrameFile(path) as file:
        (frame,) = file
    assert not frame.complete and len(frame.atoms) == 1


def test_one_run_at_a_time(path):
    with FrameFile(path):
        with pytest.raises(ValueError, match=r"library.extxyz: another run is writing to it; wait"):
            FrameFile(path)
    with FrameFile(path) as file:
        file.append(FRAMES[0])


@pytest.mark.parametrize(
    "change, what",
    [
        (lambda path: path.unlink(), "removed or renamed"),
        (lambda path: (path.rename(f"{path}.old"), path.write_bytes(FRAMES[0])), "replaced"),
        (lambda path: os.truncate(path, 3), "cut, emptied or written to"),
        (lambda path: path.open("ab").write(b"x"), "cut, emptied or written to"),
    ],
    ids=["removed", "replaced", "cut", "written"],
)
def test_a_file_that_somebody_else_changes(path, change, what):
    with FrameFile(path) as file:
        file.append(FRAMES[0])
        file.check()
        change(path)
        with pytest.raises(ValueError, match=f"library.extxyz: was {what} by somebody else"):
            file.append(FRAMES[1])


def test_a_full_disk_leaves_whole_frames(path):
    with FrameFile(path) as file:
        file.append(FRAMES[0])
        old = resource.getrlimit(resource.RLIMIT_FSIZE)
        handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (len(FRAMES[0]) + 5, old[1]))
            with pytest.raises(OSError, match="too large"):
                file.append(FRAMES[1])
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, old)
            signal.signal(signal.SIGXFSZ, handler)
        file.append(FRAMES[1])
    assert path.read_bytes() == b"".join(FRAMES)


def test_frames_of_one_write_that_fit_a_full_disk_stay(path):
    room = len(FRAMES[0]) + 5
    with FrameFile(path) as file:
        old = resource.getrlimit(resource.RLIMIT_FSIZE)
        handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (room, old[1]))
            with pytest.raises(OSError, match="too large: '.*library.extxyz'"):
                file.append(*FRAMES, FRAMES[0])
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, old)
            signal.signal(signal.SIGXFSZ, handler)
        assert path.read_bytes() == FRAMES[0]
        assert file.append(FRAMES[1], FRAMES[0]) == len(FRAMES[0])
        assert [frame.text for frame in file] == [FRAMES[0], FRAMES[1], FRAMES[0]]
