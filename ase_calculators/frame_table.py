# SPDX-License-Identifier: BSD-3-Clause
"""Tables with a row per frame, and their CSV files, which stay readable if a job is interrupted."""

import contextlib
import csv
import json
from collections.abc import Iterable, Sequence
from os import PathLike, fspath
from typing import IO, TYPE_CHECKING, Any, ClassVar

import numpy as np

from ase_calculators.provenance import atomic_write
from ase_calculators.text_file import read_lines, reason_of

if TYPE_CHECKING:
    from typing import Self

    import pandas


class FrameTable:
    """Hold columns with a row per frame, what they were made with, and the frames left out.

    A subclass is a dataclass. It defines the first words of its files (`TITLE`, `UNITS`), the kind
    of table, the function that makes it and a remedy (`KIND`), and its columns.

    Attributes
    ----------
    columns : dict of str to sequence
        Columns by their names in files.
    parameters : dict
        Parameters of the calculation.
    skipped : list of tuple
        File (if there are several), number and reason of each frame without a row.
    """

    TITLE: ClassVar[str]
    UNITS: ClassVar[str]
    KIND: ClassVar[tuple[str, str, str]]

    columns: Any
    parameters: dict[str, Any]
    skipped: Any

    @staticmethod
    def _names(parameters: dict[str, Any]) -> Sequence[str]:
        """Return the names of the columns."""
        raise NotImplementedError

    @classmethod
    def _of(cls, columns: Any, parameters: dict[str, Any], skipped: Any) -> "Self":
        """Return the table of these columns of text."""
        raise NotImplementedError

    def __len__(self) -> int:
        return len(self.columns["frame"])

    def write(self, path: str | PathLike[str]) -> None:
        """Write the table as CSV, parameters and skipped frames in comment lines.

        Parameters
        ----------
        path : path-like
            Path of the file, which is replaced once the table is complete.

        Raises
        ------
        OSError
            If the file cannot be written.
        """
        with atomic_write(path, newline="") as file:
            self.write_head(file, self.parameters)
            self.write_rows(file)

    @classmethod
    def write_head(cls, file: IO[str], parameters: dict[str, Any]) -> None:
        """Write the lines above the rows of a CSV.

        Parameters
        ----------
        file : text file
            Open for writing.
        parameters : dict
            Parameters of the table.
        """
        units = cls.UNITS
        if parameters.get("units") == "lj":
            units = units.replace("eV", "epsilon").replace("Å", "sigma")
        file.write(f"# {cls.TITLE}: {json.dumps(parameters)}\n# units: {units}\n")
        file.write(",".join(cls._names(parameters)) + "\n")

    def write_rows(self, file: IO[str]) -> None:
        """Write the rows and the skipped frames to a CSV that has its head already.

        Parameters
        ----------
        file : text file
            Open for writing; flushed at the end.
        """
        write_rows(file, zip(*self.columns.values(), strict=True), self.skipped)

    @classmethod
    def read(cls, path: str | PathLike[str]) -> "Self":
        """Read a table that `write`, or the `output` of the function that makes it, has written.

        A last line without its end, as an interrupted job leaves it, is dropped.

        Parameters
        ----------
        path : path-like
            The file.

        Returns
        -------
        FrameTable
            A table of this class, with the same numbers to the last bit.

        Raises
        ------
        ValueError
            If the file is not such a table, or a row is impossible.
        """
        kind, function, again = cls.KIND
        parameters, skipped, lines = None, [], []
        try:
            for line in read_lines(fspath(path)):
                if not line.endswith("\n"):
                    break
                if line.startswith(f"# {cls.TITLE}: "):
                    with contextlib.suppress(ValueError, RecursionError):
                        parameters = json.loads(line.removeprefix(f"# {cls.TITLE}: "))
                elif line.startswith("# skipped: "):
                    skipped.append(_skipped(line.removeprefix("# skipped: ")))
                elif not line.startswith("#"):
                    lines.append(line)
            rows = list(csv.reader(lines))
        except (ValueError, csv.Error) as error:
            raise ValueError(
                f"{fspath(path)}: {reason_of(error)}; repair that line or {again}"
            ) from error
        names: list[str] = []
        if isinstance(parameters, dict):
            with contextlib.suppress(TypeError, KeyError):
                names = list(cls._names(parameters))
        if not isinstance(parameters, dict) or not names or not rows:
            raise ValueError(
                f"{fspath(path)}: is not a {kind} table, which starts with '# {cls.TITLE}: ' and "
                f"its parameters; write it by {cls.__name__}.write or {function}(..., output=)"
            )
        wrong = [number for number, row in enumerate(rows) if len(row) != len(names)]
        if rows[0] != names or wrong:
            where = f"; row {wrong[0]} has {len(rows[wrong[0]])}" if rows[0] == names else ""
            raise ValueError(
                f"{fspath(path)}: must have the columns {', '.join(names)} in each row{where}"
            )
        columns: Any = zip(*rows[1:], strict=True) if rows[1:] else [()] * len(names)
        try:
            return cls._of(dict(zip(names, columns, strict=True)), parameters, skipped)
        except ValueError as error:
            raise ValueError(
                f"{fspath(path)}: {reason_of(error)}; repair that row or {again}"
            ) from error

    def to_dataframe(self) -> "pandas.DataFrame":
        """Return the columns as a pandas DataFrame, with `parameters` in its ``attrs``.

        Returns
        -------
        pandas.DataFrame
            One row per frame.

        Raises
        ------
        ImportError
            If pandas is not installed.
        """
        try:
            import pandas
        except ImportError as error:
            raise ImportError("pandas is not installed: pip install 'entsym[tables]'") from error
        frame = pandas.DataFrame(self.columns)
        frame.attrs.update(self.parameters)
        return frame


def write_rows(
    file: IO[str], rows: Iterable[Iterable[Any]], skipped: Iterable[tuple[Any, ...]]
) -> None:
    """Write rows and skipped frames to a CSV.

    Parameters
    ----------
    file : text file
        Open for writing; flushed at the end.
    rows : iterable of iterable
        Numbers and words; lists and dicts, which become JSON.
    skipped : iterable of tuple
        Skipped frames of a table.
    """
    for entry in skipped:
        file.write(f"# skipped: {json.dumps(entry)}\n")
    csv.writer(file, lineterminator="\n").writerows([_cell(x) for x in row] for row in rows)
    file.flush()


def _skipped(text: str) -> tuple[Any, ...]:
    """Return the entry behind '# skipped: '."""
    try:
        entry = json.loads(text)
    except RecursionError as error:
        raise ValueError(f"'# skipped: ' {text[:40]!r}") from error
    whole = isinstance(entry, list) and len(entry) in (2, 3) and isinstance(entry[-1], str)
    if (
        not whole
        or not isinstance(entry[-2], int)
        or not all(isinstance(file, str) for file in entry[:-2])
    ):
        raise ValueError(
            f"'# skipped: ' must be followed by [file, number, reason], got {text[:40]!r}"
        )
    return tuple(entry)


def _cell(x: Any) -> Any:
    if isinstance(x, list | dict):
        return json.dumps(x)
    # float: the shortest digits that read back as the same number
    return float(x) if isinstance(x, np.floating) else x
