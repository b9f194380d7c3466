# SPDX-License-Identifier: BSD-3-Clause
"""The order in which the planes of a growing twin slip."""

from typing import NamedTuple

import numpy as np

from ase_calculators.pillar import PillarTable


class Route(NamedTuple):
    """How planes of one twin slipped.

    Attributes
    ----------
    normal : str
        Normal of the planes.
    order : list of int
        Slipped steps of the stacking, the first to slip first; numbers along the normal.
    frames : list of int
        Row in which each slipped.
    letters : list of str
        Stacking of the planes about the twin before the first slip and after each.
    """

    normal: str
    order: list[int]
    frames: list[int]
    letters: list[str]

    @property
    def is_132(self) -> bool:
        """Return whether a plane between two planes that had slipped slipped after both.

        Returns
        -------
        bool
            True for the order 1-3-2 of L. Wang et al., Nature Communications 8, 2142 (2017).
        """
        when = dict(zip(self.order, self.frames, strict=True))
        return any(
            when.get(k - 1, 10**9) < when[k] and when.get(k + 1, 10**9) < when[k] for k in when
        )


def _steps(letters: str) -> np.ndarray:
    """Return the steps of a stacking: 1 up (A to B), -1 down, 0 unknown."""
    numbers = np.array(["ABC.".index(letter) for letter in letters])
    steps = (np.diff(numbers) + 1) % 3 - 1
    steps[(numbers[1:] == 3) | (numbers[:-1] == 3)] = 0
    return steps


def _shifted(steps: np.ndarray, *others: np.ndarray) -> np.ndarray:
    """Return the steps at the planes of other frames, with which most of them agree."""
    best, size = -1, len(others[0])
    found = np.zeros(size, dtype=int)
    for shift in range(-3, 4):
        moved = np.zeros(size, dtype=int)
        start, end = max(0, shift), min(size, len(steps) + shift)
        if end <= start:
            continue
        moved[start:end] = steps[start - shift : end - shift]
        # ties: a crystal without faults tells nothing, keep the numbers of the planes
        score = 10 * sum(int((moved == other).sum()) for other in others) - abs(shift)
        if score > best:
            best, found = score, moved
    return found


def stacking_steps(table: PillarTable, normal: str) -> tuple[list[int], np.ndarray]:
    """Follow the stacking along a normal from frame to frame.

    Parameters
    ----------
    table : PillarTable
        The run.
    normal : str
        Normal of the planes.

    Returns
    -------
    rows : list of int
        Rows with letters along this normal.
    steps : (len(rows), n_planes - 1) int
        Steps at the same planes in each row: 1 up (A to B), -1 down, 0 unknown.
    """
    rows = [
        row for row, frame in enumerate(table["letters"])
        if len(frame.get(normal, "")) > 2 and not table["not_fcc"][row]
    ]  # fmt: skip
    steps = [_steps(table["letters"][row][normal]) for row in rows]
    for _ in range(2 if rows else 0):
        # the second time also like the frame with most slip: which side has a plane less is often
        # ambiguous from one frame to the next
        most = max(steps, key=lambda line: int((line == -1).sum()))
        aligned = steps[:1]
        for line in steps[1:]:
            others = (aligned[-1],) if len(most) != len(aligned[0]) else (aligned[-1], most)
            aligned.append(_shifted(line, *others))
        steps = aligned
    return rows, np.array(steps)


def slip_order(table: PillarTable) -> Route | None:
    """Return the order in which the planes of the thickest twin slipped.

    A step of the stacking down (A to C) has slipped. Planes are followed from frame to frame along
    each normal; a step counts from the first of two frames in a row.

    Parameters
    ----------
    table : PillarTable
        The run.

    Returns
    -------
    Route or None
        The largest number of neighbouring slipped steps, at least three; None without any.
    """
    best: Route | None = None
    for normal in sorted({name for frame in table["letters"] for name in frame}):
        rows, matrix = stacking_steps(table, normal)
        if not rows:
            continue
        size = matrix.shape[1]
        slipped = matrix == -1
        stays = slipped.copy()
        stays[:-1] &= slipped[1:]
        widest, place = 0, (0, 0, 0)
        for k, line in enumerate(slipped):
            edges = np.flatnonzero(np.diff(np.concatenate([[0], line.astype(int), [0]])))
            for start, end in edges.reshape(-1, 2):
                if end - start > widest and stays[: k + 1, start:end].any(0).all():
                    widest, place = int(end - start), (k, int(start), int(end))
        if widest < 3 or (best is not None and widest <= len(best.order)):
            continue
        _, start, end = place
        when = {s: int(stays[:, s].argmax()) for s in range(start, end)}
        order = sorted(when, key=lambda s: (when[s], s))
        lines = [when[order[0]] - 1, *sorted({when[s] for s in order})]
        low, high = max(0, start - 2), min(size, end + 2)
        letters = [_letters(matrix[max(k, 0)][low:high]) for k in lines]
        best = Route(
            normal, [s - start + 1 for s in order], [rows[when[s]] for s in order], letters
        )
    return best


def _letters(steps: np.ndarray) -> str:
    """Return the letters of steps, from A on."""
    text, letter = "A", 0
    for step in steps:
        letter = (letter + int(step)) % 3
        text += "ABC"[letter] if step else "."
    return text
