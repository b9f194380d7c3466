# SPDX-License-Identifier: BSD-3-Clause
"""Models by name or path: opened, read and hashed once."""

import json
from collections.abc import Sequence
from functools import cached_property
from importlib import import_module
from os import PathLike, fspath
from pathlib import Path
from typing import Any

from ase_calculators.committee import Committee
from ase_calculators.distillation.student import open_student
from ase_calculators.distillation.teacher import RECORD, model_files, open_teacher
from ase_calculators.lammps_potential import (
    LammpsPotential,
    plain_commands,
    potential_commands,
)
from ase_calculators.provenance import file_hashes, jsonable

# packages whose versions a record of predictions names
NETWORKS = ("deepmd-kit", "mace-torch", "torch", "tensorflow-cpu", "tensorflow")
# suffixes of DeePMD's models; open_student knows which of them are safe
_STUDENTS = (".pb", ".pth", ".pt", ".pt2", ".pte", ".dp", ".savedmodel", ".savedmodeltf")


def open_model(
    name: str | PathLike[str] | Sequence[str | PathLike[str]],
    element: str | Sequence[str] | None = None,
) -> Any:
    """Open a model by its name or path, or several as a committee.

    Parameters
    ----------
    name : str, path-like, or sequence of them
        A folder of `train_teacher`, or of a linear `train_student`; a DeePMD model, known by its
        suffix (.pb, .pth, ...); a file with ``pair_style`` and ``pair_coeff``; or
        ``module:callable`` of any ASE calculator. Several of any kinds are one `Committee`: errors
        of models that differ cancel in part in their mean.
    element : str or sequence of str, optional
        Elements of the atom types 1, 2, ... of a ``pair_style``, as in `LammpsPotential`: one of
        several that ``pair_coeff`` names is enough.

    Returns
    -------
    ase.calculators.calculator.Calculator
        The model.

    Raises
    ------
    ValueError
        If the name is none of these, the element is missing, or a file is neither safe nor
        trusted (see `open_student`, `open_teacher`).

    Examples
    --------
    >>> open_model("ase.calculators.emt:EMT").name
    'emt'
    """
    if not isinstance(name, str | PathLike):
        members = [open_model(part, element) for part in name]
        return members[0] if len(members) == 1 else Committee(members)
    path = Path(name)
    if path.is_dir() and not path.suffix.startswith(".savedmodel"):
        return open_student(path) if (path / "student.json").exists() else open_teacher(path)
    if path.exists() and path.suffix in _STUDENTS:
        return open_student(path)
    if path.is_file():
        if element is None:
            raise ValueError(
                f"element = None: {str(path)!r} is taken for a pair_style; name the element of "
                "atom type 1, e.g. 'Al'"
            )
        return LammpsPotential(path, element)
    module, _, attribute = str(name).partition(":")
    if not attribute:
        raise ValueError(
            f"model = {str(name)!r}: there is no such file or folder, and it is not a "
            "module:callable; give a teacher's folder, a DeePMD model, a file with a pair_style, "
            "or e.g. ase.calculators.emt:EMT"
        )
    try:
        return getattr(import_module(module), attribute)()
    except Exception as error:  # whatever is in the user's module
        reason = " ".join(f"{error}".split()) or type(error).__name__
        raise ValueError(f"model = {str(name)!r}: {reason}; give the path of a model") from error


class Model:
    """A model as a user gives it; it is opened, read and hashed at first use, and only once.

    Parameters
    ----------
    name : str
        Name in tables and figures.
    given : ase calculator, path-like, str or list of str
        An ASE calculator, a path or name that `open_model` takes, or LAMMPS's commands
        ``pair_style`` and ``pair_coeff``.
    element : str or sequence of str, optional
        Elements of the atom types 1, 2, ..., needed for LAMMPS's commands.
    """

    def __init__(self, name: str, given: Any, element: str | Sequence[str] | None = None) -> None:
        self.name, self.given, self.element = name, given, element

    @cached_property
    def commands(self) -> list[str] | None:
        """Return LAMMPS's commands, if the model was given as such.

        Returns
        -------
        list of str or None
            The commands.

        Raises
        ------
        ValueError
            If no ``pair_style`` is among them.
        """
        given = self.given
        if isinstance(given, list | tuple) or (isinstance(given, str) and "pair_style" in given):
            return potential_commands(given)  # type: ignore[arg-type]
        return None

    @cached_property
    def calculator(self) -> Any:
        """Return the model as an ASE calculator.

        Returns
        -------
        ase.calculators.calculator.Calculator
            The calculator.

        Raises
        ------
        ValueError
            If the model is neither a calculator nor a path nor commands, the element is missing, or
            the model cannot be opened.
        """
        if hasattr(self.given, "get_property"):
            return self.given
        if self.commands is not None:
            if self.element is None:
                raise ValueError(
                    "element = None: LAMMPS commands need that of atom type 1, e.g. 'Al'"
                )
            return LammpsPotential(self.commands, self.element)
        if isinstance(self.given, str | PathLike):
            return open_model(self.given, self.element)
        raise ValueError(
            f"model = {self.given!r}: is neither an ASE calculator nor a path nor LAMMPS commands"
        )

    @cached_property
    def files(self) -> list[Path]:
        """Return the files that the model consists of, as far as it names them.

        Returns
        -------
        list of pathlib.Path
            The files.
        """
        if self._closed_files is not None:
            return self._closed_files
        return list(self.calculator.files()) if hasattr(self.calculator, "files") else []

    @cached_property
    def _closed_files(self) -> list[Path] | None:
        """Return the files of a teacher or a network, which need not be opened for that."""
        if self.commands is None and isinstance(self.given, str | PathLike):
            path = Path(self.given)
            if (path / RECORD).is_file():
                known = json.loads((path / RECORD).read_text(encoding="utf-8"))["models"]
                return [
                    file for entry in known.values() for file in model_files(path / entry["file"])
                ]
            if path.is_file() and path.suffix in _STUDENTS:
                return [path]
        return None

    @cached_property
    def identity(self) -> dict[str, Any]:
        """Return what tells the model apart from others.

        Returns
        -------
        dict
            "files", SHA-256 by name, and "commands", "path", or "class" and "parameters". Models
            without files may have the same identity and differ only in what they calculate.

        Raises
        ------
        ValueError
            If the model has to be opened for it and cannot be.
        """
        if self._closed_files is None and isinstance(self.calculator, LammpsPotential):
            hashes = self.calculator.file_hashes()  # of commands what LAMMPS reads, no comments
        else:
            hashes = file_hashes(*self.files)
        identity: dict[str, Any] = {"files": hashes}
        if self.commands is not None:
            identity["commands"] = plain_commands("\n".join(self.commands))
        elif isinstance(self.given, str | PathLike):
            identity["path"] = fspath(self.given)
        else:
            parameters = dict(getattr(self.given, "parameters", {}) or {})
            identity["class"] = type(self.given).__qualname__
            identity["parameters"] = {
                key: value for key, value in parameters.items()
                if isinstance(value, str | int | float | bool | None)
            }  # fmt: skip
            if isinstance(self.given, LammpsPotential):
                lines = plain_commands("\n".join(self.given.commands))
                # the commands of an included file are among the hashes, wherever it is
                identity["commands"] = [x for x in lines if not x.startswith("include ")]
        return dict(jsonable(identity))
