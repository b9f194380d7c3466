# SPDX-License-Identifier: BSD-3-Clause
"""Settings of a calculation: code, functional, cutoff, mesh and all else that defines a label."""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols

from ase_calculators.autodft.worker import CODES, is_code

# resolution at which positions and cells are compared, Å; before that they are rounded to the last
# digit of extended XYZ, so that a frame keeps its key when it is written and read
RESOLUTION, LAST_DIGIT = 1e-6, 1e-8

# texts that become part of file names, command lines and input files
_XC = re.compile(r"[A-Za-z0-9][A-Za-z0-9_+-]*")
_PSEUDOPOTENTIAL = re.compile(r"(?!\.+$)[A-Za-z0-9_.+-]*")
# options that follow from an attribute, or determine where a code is and what it reads and writes
_OPTIONS_SET = {
    "gpaw": "mode xc kpts occupations convergence setups spinpol txt restart label directory",
    "vasp": "command xc encut ediff ismear sigma ispin kpts gamma setups pp kspacing kgamma label "
    "directory restart txt atoms nsw magmom",
    "espresso": "ecutwfc ecutrho input_dft occupations smearing degauss nspin conv_thr ibrav nat "
    "ntyp pseudo_dir outdir prefix calculation",
    "abinit": "profile pps pp_paths xc ixc ecut pawecutdg toldfe occopt tsmear kptopt ngkpt "
    "nshiftk shiftk kptrlatt optforces optstress nsppol label directory command atoms pp_dirpath "
    "pseudos "
    "natom ntypat typat znucl xred xcart acell rprim",
}


def is_number(value: Any) -> bool:
    """Return whether a value is a number.

    Parameters
    ----------
    value : object
        Value to check.

    Returns
    -------
    bool
        True for a number; True and False are not numbers.
    """
    return isinstance(value, int | float | np.number) and not isinstance(value, bool)


def _texts(value: Any) -> Iterator[str]:
    """Yield all texts in lists and dictionaries."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.items():
            yield from _texts(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _texts(item)


@dataclass(frozen=True)
class DFTSettings:
    """Settings of a calculation, the same for every frame.

    Attributes
    ----------
    code : str
        "vasp", "gpaw", "espresso" or "abinit", or ``"module:class"`` of any other ASE calculator,
        which is made from `options` alone.
    xc : str
        Functional, by the code's own name.
    cutoff : float
        Cutoff of the plane waves, eV.
    energy_tolerance : float
        Tolerance of the SCF, eV per cell.
    k_spacing : float
        Largest distance of points along each reciprocal vector, in units of 2 pi / Å. The mesh
        follows from it and the cell (`mesh`) when a frame is added. Every code gets the mesh
        explicitly; it contains the origin.
    smearing : float
        Width of the Gaussian smearing, eV.
    spin : bool
        Spin polarisation, which starts from the frames' initial magnetic moments.
    pseudopotentials : dict of str to str
        Choice for each element that has several: the ending of VASP's (``{"Ca": "_sv"}``), GPAW's
        setup, the file of Quantum ESPRESSO and ABINIT.
    options : dict
        Further parameters, by the code's own names.
    ladder : sequence of dict, optional
        Options that replace these in the second attempt of a frame, in the third, and so on.
        ``smearing_factor`` multiplies the smearing and marks the label as altered. Default: the
        ladder of the code (`LADDERS`).

    Raises
    ------
    ValueError
        If an argument is out of its range.

    Examples
    --------
    >>> from ase.build import bulk
    >>> DFTSettings.paper("vasp").mesh(bulk("Al", "fcc", a=4.05, cubic=True))
    (7, 7, 7)
    """

    code: str = "gpaw"
    xc: str = "PBE"
    cutoff: float = 600.0
    energy_tolerance: float = 1e-6
    k_spacing: float = 0.04
    smearing: float = 0.05
    spin: bool = False
    pseudopotentials: dict[str, str] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    ladder: tuple[dict[str, Any], ...] | None = None

    def __post_init__(self) -> None:
        """Check the arguments."""
        if not (isinstance(self.code, str) and is_code(self.code)):
            raise ValueError(
                f"code = {self.code!r}: must be one of {', '.join(CODES)}, or 'module:class' of an "
                "ASE calculator"
            )
        if not (isinstance(self.xc, str) and _XC.fullmatch(self.xc)):
            raise ValueError(
                f"xc = {self.xc!r}: must be the code's name of a functional, of letters, digits "
                "and _ + -"
            )
        if self.code == "abinit" and self.xc != "PBE":
            raise ValueError(
                f"xc = {self.xc!r}: must be 'PBE' with abinit, for which no other is implemented"
            )
        for name in ("cutoff", "energy_tolerance", "k_spacing", "smearing"):
            value = getattr(self, name)
            if not (is_number(value) and 0 < value < np.inf):
                raise ValueError(f"{name} = {value!r}: must be a number above 0")
            object.__setattr__(self, name, float(value))  # 300 and 300.0 have one hash
        if not isinstance(self.spin, int | np.bool_) or self.spin not in (True, False):
            raise ValueError(f"spin = {self.spin!r}: must be True or False")
        object.__setattr__(self, "spin", bool(self.spin))
        if not isinstance(self.pseudopotentials, Mapping):
            raise ValueError(
                f"pseudopotentials = {self.pseudopotentials!r}: must be names by element, such as "
                "{'Ca': '_sv'}"
            )
        for element, name in self.pseudopotentials.items():
            if element not in chemical_symbols[1:] or not (
                isinstance(name, str) and _PSEUDOPOTENTIAL.fullmatch(name)
            ):
                raise ValueError(
                    f"pseudopotentials = {{{element!r}: {name!r}}}: must be an element and a name "
                    "of letters, digits and . _ + -, without a folder"
                )
        ladder = () if self.ladder is None else self.ladder
        if not isinstance(ladder, list | tuple):
            raise ValueError(f"ladder = {ladder!r}: must be a list of dictionaries")
        self._require_options("options", self.options)
        for number, step in enumerate(ladder):
            self._require_options(f"ladder[{number}]", step)
        try:
            json.dumps(asdict(self), allow_nan=False)
        except (TypeError, ValueError, RecursionError) as error:
            raise ValueError(
                f"options, ladder: {error}; use only what JSON can hold: numbers, texts, lists, "
                "dictionaries"
            ) from None

    def _require_options(self, where: str, options: Any) -> None:
        """Refuse options that would contradict the attributes or break an input file."""
        if not isinstance(options, Mapping):
            raise ValueError(
                f"{where} = {options!r}: must be a dictionary of the code's parameters"
            )
        factor = options.get("smearing_factor", 1.0)
        if where == "options" and "smearing_factor" in options:
            raise ValueError(f"options['smearing_factor'] = {factor!r}: belongs in a ladder")
        if not (is_number(factor) and 0 < factor < np.inf):
            raise ValueError(f"{where}['smearing_factor'] = {factor!r}: must be a number above 0")
        taken = _OPTIONS_SET.get(self.code, "").split()
        for name, value in options.items():
            if not (isinstance(name, str) and re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name)):
                raise ValueError(f"{where}: {name!r} is not the name of a parameter")
            if name.lower() in taken:
                raise ValueError(
                    f"{where}[{name!r}] = {value!r}: is not an option; it follows from the other "
                    f"arguments of DFTSettings, from the machine or from the frame: {self.code}'s "
                    f"are {', '.join(taken)}"
                )
            if self.code in CODES and not all(map(str.isprintable, _texts(value))):
                raise ValueError(f"{where}[{name!r}] = {value!r}: must be text of one line")

    @classmethod
    def paper(cls, code: str = "gpaw", **changes: Any) -> "DFTSettings":
        """Return the paper's settings for a code.

        They are PBE, 600 eV, 1e-6 eV and 2 pi x 0.04 1/Å. 600 eV is the energy of the fastest plane
        wave in VASP, GPAW and the PAW of Quantum ESPRESSO (44.1 Ry) and ABINIT (22.05 Ha); the
        cutoffs of the density are 8 and 2 times that in the latter two. The paper gives no
        smearing; 0.05 eV is our choice.

        Parameters
        ----------
        code : str
            Code, as in `DFTSettings`.
        **changes : Any
            Attributes that differ from the paper's.

        Returns
        -------
        DFTSettings
            Settings of the paper, with the changes.
        """
        return cls(code=code, **changes)

    def mesh(self, atoms: Atoms) -> tuple[int, int, int]:
        """Return the mesh of a frame: ``ceil(|b| / k_spacing)``, b without 2 pi; 1 if not periodic.

        Parameters
        ----------
        atoms : ase.Atoms
            Frame.

        Returns
        -------
        (int, int, int)
            Number of points along each reciprocal vector.
        """
        cell = atoms.cell.array
        invert = np.linalg.inv if abs(np.linalg.det(cell)) > 1e-9 else np.linalg.pinv
        lengths = np.linalg.norm(invert(cell), axis=0)
        # 1e-6: a cell that was written with few digits and read keeps its mesh
        points = np.maximum(1, np.ceil(lengths / self.k_spacing - 1e-6)).astype(int)
        n1, n2, n3 = np.where(atoms.pbc, points, 1).tolist()
        return n1, n2, n3

    @cached_property
    def hash(self) -> str:
        """Return a hash of all settings.

        Returns
        -------
        str
            16 hexadecimal digits.
        """
        return hashlib.sha256(self.to_json().encode()).hexdigest()[:16]

    def to_json(self) -> str:
        """Return the settings as text, keys in order.

        Returns
        -------
        str
            JSON.
        """
        return json.dumps(asdict(self), sort_keys=True)

    def key(self, atoms: Atoms) -> str:
        """Return the identity of a task: structure, settings, code and pseudopotentials.

        Parameters
        ----------
        atoms : ase.Atoms
            Frame; frames that agree to 1e-6 Å have the same key.

        Returns
        -------
        str
            64 hexadecimal digits.
        """
        sha = hashlib.sha256(self.hash.encode())
        sha.update(np.asarray(atoms.numbers, np.int64).tobytes())
        sha.update(np.asarray(atoms.pbc, np.int64).tobytes())
        step = round(RESOLUTION / LAST_DIGIT)
        for lengths in (atoms.cell.array, atoms.positions):
            digits = np.rint(lengths / LAST_DIGIT).astype(np.int64)
            sha.update(((digits + step // 2) // step).tobytes())
        if self.spin:
            moments = atoms.get_initial_magnetic_moments()
            sha.update(np.rint(moments * 1e3).astype(np.int64).tobytes())
        return sha.hexdigest()

    def cost(self, atoms: Atoms, mesh: tuple[int, int, int] | None = None) -> float:
        """Return a rough estimate of the seconds that a frame takes on one core.

        The estimate is mesh points x atoms x (1 + atoms / 100) x volume x cutoff^1.5, with a factor
        that fits GPAW and two to eight Al atoms within about a factor of two. Only ratios matter:
        `AutoDFT` calibrates the factor with measured times.

        Parameters
        ----------
        atoms : ase.Atoms
            Frame.
        mesh : (int, int, int), optional
            Mesh of the frame, if it is known already.

        Returns
        -------
        float
            Time, s.
        """
        n_points = (np.prod(mesh or self.mesh(atoms)) + 1) // 2
        volume = atoms.cell.volume
        spin = 2.0 if self.spin else 1.0
        n = len(atoms)
        return float(4e-7 * spin * n_points * n * (1 + n / 100) * volume * self.cutoff**1.5)

    def but(self, **changes: Any) -> "DFTSettings":
        """Return a copy of these settings with changes.

        Parameters
        ----------
        **changes : Any
            Attributes that differ.

        Returns
        -------
        DFTSettings
            Changed settings.
        """
        return replace(self, **changes)
