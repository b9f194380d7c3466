# SPDX-License-Identifier: BSD-3-Clause
"""A LAMMPS ``pair_style`` as an ASE calculator."""

import hashlib
import re
import sys
from collections.abc import Sequence
from os import PathLike, environ, fspath
from pathlib import Path
from typing import Any

import numpy as np
from ase.calculators.calculator import all_changes
from ase.calculators.lammpslib import LAMMPSlib
from ase.data import atomic_numbers
from ase.neighborlist import neighbor_list

from ase_calculators.periodicity import stress_scale, with_vacuum
from ase_calculators.provenance import distinct_names, file_hash

# vacuum along a direction without a period, Å
_MARGIN = 2.0
# of LAMMPS's neighbour lists in metal units, Å
_SKIN = 2.0


class LammpsPotential(LAMMPSlib):
    """Calculate energy, forces and stress from the commands of a LAMMPS potential.

    This is LAMMPSlib of ASE, kept alive between calls. LAMMPS restarts if the elements, the number
    of atoms or the periods change. Along a direction without a period the boundary is ``f``, and
    the box contains all atoms, independent of the frame's cell. A frame whose cell has no volume
    has no stress.

    Parameters
    ----------
    commands : str, path-like or sequence of str
        Commands ``pair_style``, ``pair_coeff``, ..., one per line, or the path of a file of them,
        such as the `potential.mod` of a deck. ``units metal`` is assumed. With a ``set type ...
        charge`` among them atoms have charges.
    element : str or sequence of str
        Elements of the atom types 1, 2, ..., as a list or as words ("Na Cl"). If ``pair_coeff *
        *`` names several, one of them is enough; the order is that of ``pair_coeff``.

    Attributes
    ----------
    elements : list of str
        Elements of the atom types 1, 2, ...

    Raises
    ------
    ValueError
        If there is no ``pair_style`` among the commands, or `element` differs from the elements in
        ``pair_coeff``.

    Examples
    --------
    >>> from ase.build import bulk
    >>> atoms = bulk("Al", "fcc", a=4.045)
    >>> atoms.calc = LammpsPotential("pair_style eam/fs\\npair_coeff * * Al_mm.eam.fs Al", "Al")
    >>> round(atoms.get_potential_energy(), 3)
    -3.411
    """

    def __init__(
        self, commands: str | PathLike[str] | list[str], element: str | Sequence[str]
    ) -> None:
        import lammps_plugin

        lammps_plugin.plugin_folder()  # finds the MPI library and the potentials
        self.commands = potential_commands(commands)
        text = "\n".join(self._with_included(self.commands))
        self.elements = _elements(element, _named(text))
        style = "charge" if re.search(r"^\s*set\s.*\scharge\s", text, re.MULTILINE) else "atomic"
        super().__init__(
            lmpcmds=self.commands,
            atom_types={name: number for number, name in enumerate(self.elements, 1)},
            lammps_header=["units metal", f"atom_style {style}", "atom_modify map array sort 0 0"],
            keep_alive=True,
            comm=own_communicator(),
        )

    def calculate(
        self, atoms: Any = None, properties: Any = ("energy",), system_changes: Any = all_changes
    ) -> None:
        """Calculate energy, forces and stress.

        Parameters
        ----------
        atoms : ase.Atoms
            The structure.
        properties : list of str
            Names of the results; all are always calculated.
        system_changes : list of str
            What changed since the last call.

        Raises
        ------
        ValueError
            If an element has no atom type, periodic cell vectors are linearly dependent, or the
            potential is a POD and no atom has two neighbours: that crashes LAMMPS
            (https://github.com/lammps/lammps/issues/5114).
        """
        if not system_changes:  # asked for what does not exist: stress without a volume
            return
        unknown = sorted(set(atoms.symbols) - set(self.elements))
        if unknown:
            raise ValueError(
                f"atoms: {', '.join(unknown)} is not among the elements of the potential's atom "
                f"types, {', '.join(self.elements)}; leave such frames out, or use a potential of "
                "all elements"
            )
        box = with_vacuum(atoms, _MARGIN)
        if "numbers" in system_changes or "pbc" in system_changes:
            self._refuse_single_neighbours(box)
            self.clean()
            self.previous_atoms_numbers: Any = []
        try:
            super().calculate(box, properties, system_changes)
        except Exception:
            self.clean()  # after an error the state of LAMMPS is undefined
            self.previous_atoms_numbers = []
            raise
        self.atoms = atoms.copy()  # not the box: ASE would calculate everything again
        scale = stress_scale(box, atoms)
        if scale is None:
            del self.results["stress"]
        else:
            self.results["stress"] *= scale

    def _refuse_single_neighbours(self, box: Any) -> None:
        """Refuse what LAMMPS's POD writes beyond its memory for: isolated atoms and pairs."""
        texts = [path.read_text() for path in self.files() if path.suffix == ".pod"]
        found = re.findall(r"^rcut\s+(\S+)", "\n".join(texts), re.MULTILINE)
        if not found:
            return
        reach = float(found[0]) + _SKIN
        neighbours = np.bincount(neighbor_list("i", box, reach), minlength=1)
        if neighbours.max() < 2:
            raise ValueError(
                f"atoms: no atom has two neighbours within {reach:g} Å, where LAMMPS's POD "
                "crashes; leave isolated atoms and pairs out"
            )

    def files(self) -> list[Path]:
        """Return the files named in the commands, such as parameters and networks.

        Returns
        -------
        list of pathlib.Path
            Files that exist here or in the folder ``LAMMPS_POTENTIALS``, those in included files
            among them.
        """
        found = []
        text = "\n".join(self._with_included(self.commands))
        words = [word.strip("\"'") for word in re.findall(r"""\"[^"]*"|'[^']*'|[^\s"']+""", text)]
        for word in dict.fromkeys(words):
            for folder in (".", environ.get("LAMMPS_POTENTIALS", ".")):
                if _is_file(Path(folder, word)):
                    found.append(Path(folder, word))
                    break
        return found

    def file_hashes(self) -> dict[str, str]:
        """Return hashes of the files; of included files the commands count, not the comments.

        Returns
        -------
        dict of str to str
            SHA-256 by file name, as `distinct_names` returns it, hexadecimal.
        """
        scripts = [
            included(line) for line in self._with_included(self.commands)
            if line.startswith("include ")
        ]  # fmt: skip
        found = {}
        names = distinct_names([*self.files(), *(path for path in scripts if path.is_file())])
        for path, name in names.items():
            if path in scripts:
                text = "\n".join(plain_commands(path.read_text()))
                found[name] = hashlib.sha256(text.encode()).hexdigest()
            else:
                found[name] = file_hash(path)
        return found

    def _with_included(self, lines: list[str], depth: int = 0) -> list[str]:
        """Return the commands, each ``include`` followed by the commands of its file."""
        found = []
        for line in plain_commands("\n".join(lines)):
            found.append(line)
            if line.startswith("include ") and included(line).is_file() and depth < 16:
                text = included(line).read_text()
                found += self._with_included(text.split("\n"), depth + 1)
        return found


def _is_file(text: str | Path) -> bool:
    """Return whether a text is the path of a file; commands may be longer than a path may be."""
    try:
        return Path(text).is_file()
    except OSError:
        return False


def own_communicator() -> Any:
    """Return the communicator of a LAMMPS that calculates alone.

    LAMMPS otherwise waits for all ranks, also in a worker of mpi4py's executor.

    Returns
    -------
    mpi4py.MPI.Comm or None
        ``COMM_SELF`` where mpi4py's executor is in use; None, LAMMPS's default, elsewhere.
    """
    return sys.modules["mpi4py.MPI"].COMM_SELF if "mpi4py.futures" in sys.modules else None


def plain_commands(text: str) -> list[str]:
    """Return the commands that LAMMPS reads from a text.

    Parameters
    ----------
    text : str
        Input script, or a part of it.

    Returns
    -------
    list of str
        Commands with single spaces. Lines that end with & are joined; comments and empty lines are
        left out. Quoted text stays unchanged.

    Examples
    --------
    >>> plain_commands("pair_style  eam/fs # good\\n\\npair_coeff * * &\\n  Al_mm.eam.fs 'A # l'")
    ['pair_style eam/fs', "pair_coeff * * Al_mm.eam.fs 'A # l'"]
    """
    joined = re.sub(r"&[ \t\r]*(\n|$)", "", text)
    part = r"""\"{3}.*?\"{3}|"[^"\n]*"|'[^'\n]*'|#[^\n]*|\n|[^\S\n]+|."""
    lines = [""]
    for piece in re.findall(part, joined, re.DOTALL):
        if piece == "\n":
            lines.append("")
        elif not piece.startswith("#"):
            lines[-1] += " " if piece.isspace() else piece
    return [line.strip() for line in lines if line.strip()]


def _named(text: str) -> list[str]:
    """Return the elements of types 1, 2, ... named by ``pair_coeff * *``, or an empty list."""
    meam = re.search(r"^\s*pair_style\s.*\bmeam", text, re.MULTILINE)
    types: dict[int, str] = {}
    for words in re.findall(r"^\s*pair_coeff\s+\*\s+\*\s+([^#\n]*)", text, re.MULTILINE):
        last: list[str] = []
        for word in reversed(words.split()):
            # NULL leaves a type to another style; in meam it replaces a file
            if word not in atomic_numbers and (word != "NULL" or meam):
                break
            last.insert(0, word)
        types |= {number: name for number, name in enumerate(last) if name != "NULL"}
    whole = len(types) > 0 and max(types) == len(types) - 1
    return [types[number] for number in sorted(types)] if whole else []


def _elements(given: str | Sequence[str], named: list[str]) -> list[str]:
    """Return the elements of the atom types from the argument and from ``pair_coeff``."""
    elements = re.split(r"[\s,]+", given.strip()) if isinstance(given, str) else list(given)
    wrong = [name for name in elements if name not in atomic_numbers]
    if wrong or not elements or len(set(elements)) < len(elements):
        raise ValueError(
            f"element = {given!r}: must be the symbols of the atom types 1, 2, ..., each once; "
            "use e.g. 'Al' or ['Ni', 'Al']"
        )
    if len(elements) == 1 and (len(named) < 2 or elements[0] in named):
        elements = named if len(named) > 1 else elements
    elif named and elements != named:
        raise ValueError(
            f"element = {given!r}: pair_coeff names {', '.join(named)} for the atom types from 1 "
            "on; use these in this order, or correct pair_coeff"
        )
    if len(set(elements)) < len(elements):
        raise ValueError(
            f"pair_coeff: names {', '.join(elements)}, an element twice; a frame cannot "
            "distinguish these types, name each element once"
        )
    return elements


def included(line: str) -> Path:
    """Return the file of an ``include`` command.

    Parameters
    ----------
    line : str
        Command; the file may be in quotes.

    Returns
    -------
    pathlib.Path
        File.
    """
    return Path(line.split(maxsplit=1)[1].strip("\"' "))


def potential_commands(commands: str | PathLike[str] | list[str]) -> list[str]:
    """Return the commands of a LAMMPS potential as a list.

    Parameters
    ----------
    commands : str, path-like or list of str
        Commands, or the path of a file of them.

    Returns
    -------
    list of str
        Commands; for a file, ``include`` with its absolute path.

    Raises
    ------
    ValueError
        If `commands` is neither a file nor contains a ``pair_style``.

    Examples
    --------
    >>> potential_commands("pair_style eam/fs; pair_coeff * * Al_mm.eam.fs Al")
    ['pair_style eam/fs', 'pair_coeff * * Al_mm.eam.fs Al']
    """
    if isinstance(commands, str | PathLike):
        text = fspath(commands)
        if "\n" not in text and _is_file(text):
            if "pair_style" not in Path(text).read_text():
                raise ValueError(f"pair_style: there is none in the file {text!r}; add one")
            return [f'include "{Path(text).resolve()}"']
        commands = re.split(r"[\n;]", text)
    lines = [line.strip() for line in commands if line.strip() and not line.strip().startswith("#")]
    if not any(line.startswith(("pair_style", "include")) for line in lines):
        raise ValueError(
            f"pair_style: got {' / '.join(lines)[:60]!r}, neither a file nor commands with a "
            "pair_style; use 'pair_style ...' and 'pair_coeff ...' or the path of potential.mod"
        )
    return lines
