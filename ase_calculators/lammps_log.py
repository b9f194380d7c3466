# SPDX-License-Identifier: BSD-3-Clause
"""Potential energies of LAMMPS logs, by timestep."""

import re
from os import PathLike, fspath
from typing import NamedTuple

import numpy as np

from ase_calculators.lammps_units import UNITS, check_units, factor_to_ase
from ase_calculators.text_file import read_lines


class Thermo(NamedTuple):
    """Potential energies of a LAMMPS log.

    Attributes
    ----------
    energies : dict of int to float
        Energy by timestep, eV; in epsilon with ``units lj``. NaN for a step with several
        energies that differ.
    per_atom : bool
        Whether LAMMPS divided them by the number of atoms.
    units : str
        LAMMPS unit style of the log.
    """

    energies: dict[int, float]
    per_atom: bool
    units: str


_ENERGY_COLUMNS = ("PotEng", "c_thermo_pe", "v_pe", "pe")
_MULTI_STEP = re.compile(r"-+ Step\s+(-?\d{1,18})\s+-+ CPU")


class _Log:
    """Collect energies and units from the lines of a log, in any style of its tables."""

    def __init__(self) -> None:
        self.rows: dict[int, float] = {}
        self.units: dict[str, None] = {}  # in the order in which they come
        self.norms: set[bool | None] = set()
        self.tables: list[str] = []
        self._norm: bool | None = None
        self._renamed: dict[str, str] = {}
        self._columns: tuple[int, int, int] | None = None  # of step, energy, and their number
        self._of_fix = False
        self._step: int | None = None  # of thermo_modify line multi

    def take(self, line: str) -> None:
        words = line.split("#", 1)[-1].split() if line.startswith("#") else line.split()
        if not words:
            return
        if words[0] in ("units", "thermo_modify", "thermo_style", "Unit", "Loop"):
            self._setting(line, words)
        elif found := _MULTI_STEP.match(line):
            self._step, self._columns = int(found[1]), None
            self._begin(["line multi,"])
        elif self._step is not None and "=" in words:
            found = re.search(rf"(?:^|\s){re.escape(self._name('PotEng'))}\s*=\s*(\S+)", line)
            if found:
                self._add(str(self._step), found[1])
            elif not self.rows and len(self.tables[-1]) < 200:
                names = [words[k - 1] for k, word in enumerate(words) if k and word == "="]
                self.tables[-1] = f"{self.tables[-1]} {' '.join(names)}"[:200]
        elif words[0] == "keywords:" or "TimeStep" in words or self._name("Step") in words:
            self._table(line, words)
        elif self._columns:
            if words[0] == "-":  # YAML
                words = re.sub(r"[\[\],]", " ", line).split()[1:]
            step, energy, width = self._columns
            if len(words) == width:
                self._add(words[step], words[energy])

    def _name(self, column: str) -> str:
        return self._renamed.get(column, column)

    def _setting(self, line: str, words: list[str]) -> None:
        if words[0] == "units" and len(words) > 1 and words[1] in UNITS:
            self.units[words[1]] = None
        elif words[:2] == ["Unit", "style"] and words[-1] in UNITS:
            self.units[words[-1]] = None
        elif words[0] == "thermo_style":
            self._norm, self._renamed = None, {}
        elif words[0] == "thermo_modify":
            if found := re.search(r"\bnorm\s+(yes|no|on|off|true|false)\b", line):
                self._norm = found[1] in ("yes", "on", "true")
            for column, name in re.findall(r"\bcolname\s+(\S+)\s+(\S+)", line):
                column = {"pe": "PotEng", "step": "Step"}.get(column, column)
                self._renamed[column] = name.strip("'\"")
        elif words[:2] == ["Loop", "time"]:
            self._columns = self._step = None

    def _table(self, line: str, words: list[str]) -> None:
        """Note the columns of step and energy, if this is the head of a table."""
        of_yaml = words[0] == "keywords:"
        if of_yaml:
            words = [word.strip("'\"") for word in re.sub(r"[\[\],]", " ", line).split()[1:]]
        steps = [word for word in (self._name("Step"), "TimeStep") if word in words]
        if not steps:
            return
        names = [self._name(name) for name in _ENERGY_COLUMNS]
        names = [name for name in names if name in words]
        if not names and words[0] != steps[0]:
            return  # a sentence
        self._of_fix = line.startswith("#") and bool(names) and names[0].startswith("c_")
        self._begin(words)
        self._step = None
        self._columns = (
            (words.index(steps[0]), words.index(names[0]), len(words)) if names else None
        )

    def _begin(self, words: list[str]) -> None:
        if len(self.tables) < 5:
            self.tables.append(" ".join(words)[:200])

    def _add(self, step: str, energy: str) -> None:
        try:
            number, value = int(step[:20]), float(energy)
        except ValueError:  # a sentence between the rows
            return
        old = self.rows.get(number, value)
        same = abs(old - value) <= 1e-6 * max(1.0, abs(old)) or old == value
        self.rows[number] = value if same else np.nan
        self.norms.add(False if self._of_fix else self._norm)


def read_thermo(path: str | PathLike[str], units: str | None) -> Thermo:
    """Read the potential energies of a LAMMPS log or of a table written by a fix.

    Parameters
    ----------
    path : path-like
        Text with at least one table with a column Step or TimeStep and a column PotEng,
        c_thermo_pe, v_pe or pe (or the names of ``thermo_modify colname``), in the styles one,
        multi or yaml of thermo_modify. A step that comes twice with different energies has none.
    units : str or None
        LAMMPS units of the energies. None: those that the log names, in its `units` line or its
        "Unit style" above a run.

    Returns
    -------
    Thermo
        The energies. In lj units LAMMPS prints them per atom, unless the log has ``thermo_modify
        norm no``; a compute in the file of a fix is never per atom.

    Raises
    ------
    ValueError
        If there is no such table, or the units are unknown or contradictory.
    """
    name = f"energies = {fspath(path)!r}"
    check_units(units)
    log, line = _Log(), ""
    try:
        for line in read_lines(fspath(path)):
            if line.endswith("\n"):  # else an interrupted run may have cut its last number
                log.take(line)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error
    if not log.rows:
        found = f" (its tables: {'; '.join(log.tables)})" if log.tables else ""
        raise ValueError(
            f"{name}: has no table with the columns Step and PotEng; give a LAMMPS log with "
            f"thermo_style custom step pe ...{found}"
        )
    styles = list(dict.fromkeys([*([units] if units else []), *log.units]))
    if not styles:
        raise ValueError(
            f"{name}: does not name its units, nor do units= or the dump; give units='metal', or "
            "real, lj, ..."
        )
    if len(styles) > 1:
        stated = f"is in units {' and '.join(log.units)}"
        raise ValueError(
            f"{name}: {stated}" + (f", and units= or the dump says {units!r}" if units else "")
            + "; give files of one run, or the right units="
        )  # fmt: skip
    norms = {styles[0] == "lj" if norm is None else norm for norm in log.norms}
    if len(norms) > 1:
        raise ValueError(f"{name}: thermo_modify norm changes in it; give a log with one setting")
    factor = factor_to_ase("energy", styles[0])
    return Thermo(
        {step: factor * energy for step, energy in log.rows.items()}, norms.pop(), styles[0]
    )
