# SPDX-License-Identifier: BSD-3-Clause
"""A LAMMPS ``pair_style`` as an ASE calculator, and as the commands of an MD run."""

import hashlib
import re
from os import PathLike, environ, fspath
from pathlib import Path
from typing import Any

from ase.calculators.calculator import all_changes
from ase.calculators.lammpslib import LAMMPSlib

from ase_calculators.provenance import file_hash


class LammpsPotential(LAMMPSlib):
    """Calculate energy, forces and stress of one element by LAMMPS's potential commands.

    It is ASE's LAMMPSlib, kept alive between calls; LAMMPS starts afresh whenever the number of
    atoms changes.

    Parameters
    ----------
    commands : str, path-like or sequence of str
        Commands ``pair_style``, ``pair_coeff``, ..., one per line, or the path of a file of them,
        such as the `potential.mod` of a deck. ``units metal`` is assumed.
    element : str
        The element of atom type 1.

    Raises
    ------
    ValueError
        When there is no ``pair_style`` among the commands.

    Examples
    --------
    >>> from ase.build import bulk
    >>> atoms = bulk("Al", "fcc", a=4.045)
    >>> atoms.calc = LammpsPotential("pair_style eam/fs\\npair_coeff * * Al_mm.eam.fs Al", "Al")
    >>> round(atoms.get_potential_energy(), 3)
    -3.411
    """

    def __init__(self, commands: str | PathLike[str] | list[str], element: str) -> None:
        import lammps_plugin

        lammps_plugin.plugin_folder()  # MPI library and folder of potentials, also without install
        self.commands = potential_commands(commands)
        super().__init__(lmpcmds=self.commands, atom_types={element: 1}, keep_alive=True)

    def calculate(
        self, atoms: Any = None, properties: Any = ("energy",), system_changes: Any = all_changes
    ) -> None:
        """Calculate as ASE asks for it.

        Parameters
        ----------
        atoms : ase.Atoms
            The structure.
        properties : list of str
            What ASE asks for; all of it is always calculated.
        system_changes : list of str
            What has changed since the last call.
        """
        if "numbers" in system_changes or "pbc" in system_changes:
            self.clean()
            self.previous_atoms_numbers: Any = []
        try:
            super().calculate(atoms, properties, system_changes)
        except Exception:
            self.clean()  # after an error LAMMPS is in no defined state
            self.previous_atoms_numbers = []
            raise

    def files(self) -> list[Path]:
        """Return the files that the commands name: parameters, networks.

        Returns
        -------
        list of pathlib.Path
            Those that exist here or in the folder of ``LAMMPS_POTENTIALS``, also of files that
            are included.
        """
        text = "\n".join(self._with_included(self.commands))
        found = []
        for word in dict.fromkeys(re.findall(r"[^\s\"']+", text)):
            for folder in (".", environ.get("LAMMPS_POTENTIALS", ".")):
                if Path(folder, word).is_file():
                    found.append(Path(folder, word))
                    break
        return found

    def file_hashes(self) -> dict[str, str]:
        """Hash what LAMMPS reads of the files: of included ones the commands, no comments.

        Returns
        -------
        dict of str to str
            SHA-256 by the name of the file, hexadecimal.
        """
        scripts = [
            included(line) for line in self._with_included(self.commands)
            if line.startswith("include ")
        ]  # fmt: skip
        hashes = {path.name: file_hash(path) for path in self.files()}
        for path in scripts:
            if path.is_file():
                text = "\n".join(plain_commands(path.read_text()))
                hashes[path.name] = hashlib.sha256(text.encode()).hexdigest()
        return hashes

    def _with_included(self, lines: list[str], depth: int = 0) -> list[str]:
        """Return commands, each ``include`` followed by those of its file."""
        found = []
        for line in plain_commands("\n".join(lines)):
            found.append(line)
            if line.startswith("include ") and included(line).is_file() and depth < 16:
                text = included(line).read_text()
                found += self._with_included(text.split("\n"), depth + 1)
        return found


def plain_commands(text: str) -> list[str]:
    """Return the commands that LAMMPS reads from a text.

    Parameters
    ----------
    text : str
        Part of an input script.

    Returns
    -------
    list of str
        A command each, with single spaces: lines that end with & are joined, comments and empty
        lines are left out. What is in quotes stays as it is.

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


def included(line: str) -> Path:
    """Return the file that an ``include`` command names.

    Parameters
    ----------
    line : str
        The command, its file in quotes or not.

    Returns
    -------
    pathlib.Path
        The file.
    """
    return Path(line.split(maxsplit=1)[1].strip("\"' "))


def potential_commands(commands: str | PathLike[str] | list[str]) -> list[str]:
    """Turn what a user gives for a LAMMPS potential into a list of commands.

    Parameters
    ----------
    commands : str, path-like or list of str
        The commands, or the path of a file of them.

    Returns
    -------
    list of str
        The commands; for a file ``include`` with its full path.

    Raises
    ------
    ValueError
        When neither a file nor a ``pair_style`` is there.

    Examples
    --------
    >>> potential_commands("pair_style eam/fs; pair_coeff * * Al_mm.eam.fs Al")
    ['pair_style eam/fs', 'pair_coeff * * Al_mm.eam.fs Al']
    """
    if isinstance(commands, str | PathLike):
        text = fspath(commands)
        if "\n" not in text and Path(text).is_file():
            if "pair_style" not in Path(text).read_text():
                raise ValueError(f"pair_style: there is none in the file {text!r}; add it there")
            return [f'include "{Path(text).resolve()}"']
        commands = re.split(r"[\n;]", text)
    lines = [line.strip() for line in commands if line.strip() and not line.strip().startswith("#")]
    if not any(line.startswith(("pair_style", "include")) for line in lines):
        raise ValueError(
            f"pair_style: got {' / '.join(lines)[:60]!r}, neither a file nor commands with a "
            "pair_style; give 'pair_style ...' and 'pair_coeff ...' or the path of potential.mod"
        )
    return lines
