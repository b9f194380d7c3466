# SPDX-License-Identifier: BSD-3-Clause
"""What is calculated: code, functional, cutoff, mesh; and how much of it is enough."""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from os import PathLike, fspath
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols
from ase.units import GPa

from ase_calculators.autodft.worker import CODES
from ase_calculators.provenance import atomic_writes

# positions and cells are compared to this, Å; before that they are rounded to the last digit of
# extended XYZ, so that a frame that went through a file is the same one
RESOLUTION, LAST_DIGIT = 1e-6, 1e-8

# what becomes part of files' names, command lines and input files
_XC = re.compile(r"[A-Za-z0-9][A-Za-z0-9_+-]*")
_PSEUDOPOTENTIAL = re.compile(r"(?!\.+$)[A-Za-z0-9_.+-]*")
# options that have an attribute of their own, or say where a code is and what it reads and writes
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

_EXTERNAL = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")


def is_code(name: str) -> bool:
    """Say whether a name is that of a code or of an ASE calculator.

    Parameters
    ----------
    name : str
        The name.

    Returns
    -------
    bool
        Whether it is.

    Examples
    --------
    >>> is_code("vasp"), is_code("ase.calculators.emt:EMT"), is_code("vaps")
    (True, True, False)
    """
    return name in CODES or bool(_EXTERNAL.fullmatch(name))


def is_number(value: Any) -> bool:
    """Say whether a value is a number.

    Parameters
    ----------
    value : object
        The value.

    Returns
    -------
    bool
        Whether it is; True and False are not.
    """
    return isinstance(value, int | float | np.number) and not isinstance(value, bool)


def _texts(value: Any) -> Iterator[str]:
    """Return all texts in lists and dictionaries."""
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
    """Say what is calculated, the same for every frame.

    Attributes
    ----------
    code : str
        "vasp", "gpaw", "espresso", "abinit"; or ``"module:class"`` for any other ASE calculator,
        made from `options` alone.
    xc : str
        Functional by the code's own name.
    cutoff : float
        Plane waves, eV.
    energy_tolerance : float
        At which the SCF ends, eV per cell.
    k_spacing : float
        Largest distance of points along each reciprocal vector, in units of 2 pi / Å. The mesh
        follows from it and the cell (`mesh`) when a frame is added, and is given to every code
        explicitly, with the origin in it.
    smearing : float
        Gaussian width, eV.
    spin : bool
        With spin polarisation, from the frames' initial magnetic moments.
    pseudopotentials : dict of str to str
        Which one of each element where there are several: the ending of VASP's (``{"Ca": "_sv"}``),
        GPAW's setup, the file of Quantum ESPRESSO and ABINIT.
    options : dict
        Further parameters, by the code's own names.
    ladder : sequence of dict, optional
        Options that replace these in the second attempt of a frame, in the third, ...
        ``smearing_factor`` multiplies the smearing and marks the label as altered. Default: that of
        the code (`LADDERS`).

    Raises
    ------
    ValueError
        When an argument is out of its range.

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
                f"xc = {self.xc!r}: must be 'PBE' with abinit, the only one it is given"
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
            raise ValueError(f"ladder = {ladder!r}: must be a list of dictionaries, one an attempt")
        self._require_options("options", self.options)
        for number, step in enumerate(ladder):
            self._require_options(f"ladder[{number}]", step)
        try:
            json.dumps(asdict(self), allow_nan=False)
        except (TypeError, ValueError, RecursionError) as error:
            raise ValueError(
                f"options, ladder: {error}; give only what fits in JSON: numbers, texts, lists, "
                "dictionaries"
            ) from None

    def _require_options(self, where: str, options: Any) -> None:
        """Refuse options that would say something else than the attributes, or break an input."""
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

        PBE, 600 eV, 1e-6 eV, 2 pi x 0.04 1/Å. 600 eV means the same for VASP, GPAW (plane waves)
        and the PAW of Quantum ESPRESSO and ABINIT, as the energy of the fastest plane wave: 44.1 Ry
        and 22.05 Ha; the densities' cutoffs are 8 and 2 times that. The paper names no smearing;
        0.05 eV is ours.

        Parameters
        ----------
        code : str
            The code.
        **changes : Any
            Attributes that differ.

        Returns
        -------
        DFTSettings
            The settings.
        """
        return cls(code=code, **changes)

    def mesh(self, atoms: Atoms) -> tuple[int, int, int]:
        """Return the mesh of a frame: ``ceil(|b| / k_spacing)``, b without 2 pi; 1 if not periodic.

        Parameters
        ----------
        atoms : ase.Atoms
            The frame.

        Returns
        -------
        (int, int, int)
            Points along each reciprocal vector.
        """
        cell = atoms.cell.array
        invert = np.linalg.inv if abs(np.linalg.det(cell)) > 1e-9 else np.linalg.pinv
        lengths = np.linalg.norm(invert(cell), axis=0)
        # 1e-6: a cell that came through a file with few digits keeps its mesh
        points = np.maximum(1, np.ceil(lengths / self.k_spacing - 1e-6)).astype(int)
        n1, n2, n3 = np.where(atoms.pbc, points, 1).tolist()
        return n1, n2, n3

    @cached_property
    def hash(self) -> str:
        """Name what decides about a label.

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
            The frame; what agrees to 1e-6 Å is the same one.

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
        """Guess the seconds that a frame takes on one core.

        mesh points x atoms x (1 + atoms / 100) x volume x cutoff^1.5, with a factor that fits GPAW
        and two to eight Al atoms within a factor of two or so. Only ratios matter: `AutoDFT`
        calibrates the factor with the times that it sees.

        Parameters
        ----------
        atoms : ase.Atoms
            The frame.
        mesh : (int, int, int), optional
            Its mesh, where it is known already.

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

    @classmethod
    def converged(
        cls,
        code: str,
        elements: Iterable[str],
        frames: Sequence[Atoms],
        *,
        machines: Any,
        ledger: str | PathLike[str] = "convergence.db",
        cutoffs: Sequence[float] = (250.0, 300.0, 350.0, 400.0, 500.0, 600.0),
        k_spacings: Sequence[float] = (0.08, 0.06, 0.05, 0.04, 0.03),
        energy: float = 1e-3,
        forces: float = 1e-2,
        stress: float = 0.1,
        figure: str | PathLike[str] = "convergence.png",
        **changes: Any,
    ) -> "DFTSettings":
        """Return the cheapest cutoff and mesh that hold energy, forces and stress.

        The cutoff is scanned with the coarsest mesh and the mesh with the lowest cutoff, since the
        two errors hardly know of each other; an error is the largest difference to the last of its
        scan over all frames, and those of cutoff and mesh are added. Every calculation goes through
        the ledger: a scan that was stopped goes on.

        Parameters
        ----------
        code : str
            The code.
        elements : iterable of str
            Elements the settings are for; each must be in a frame.
        frames : sequence of ase.Atoms
            A sample, best of rattled and strained cells, as in symmetric ones forces vanish.
        machines : path-like or dict
            As for `AutoDFT`.
        ledger : path-like
            The ledger.
        cutoffs : sequence of float
            Ascending, eV; the last one is the reference.
        k_spacings : sequence of float
            Descending, 2 pi / Å; the last one is the reference.
        energy : float
            Allowed error, eV per atom.
        forces : float
            Allowed error of a component, eV/Å.
        stress : float
            Allowed error of a component, GPa.
        figure : path-like
            Picture of the scan; the numbers are written beside it as JSON.
        **changes : Any
            Attributes that differ from the paper's.

        Returns
        -------
        DFTSettings
            The settings.

        Raises
        ------
        ValueError
            When an argument is out of its range.
        RuntimeError
            When a calculation failed, or nothing but the references holds the tolerances.
        """
        from ase_calculators.autodft.autodft import AutoDFT

        frames, cutoffs, k_spacings = list(frames), list(cutoffs), list(k_spacings)
        missing = set(elements) - {s for atoms in frames for s in atoms.get_chemical_symbols()}
        if missing or not frames:
            raise ValueError(
                f"elements = {sorted(missing)}: in none of the frames; add frames that hold them"
            )
        for name, values in (("cutoffs", cutoffs), ("k_spacings", k_spacings)):
            if not all(map(is_number, values)):
                raise ValueError(f"{name} = {values}: must be numbers")
        for name, allowed in (("energy", energy), ("forces", forces), ("stress", stress)):
            if not (is_number(allowed) and allowed > 0):
                raise ValueError(f"{name} = {allowed!r}: must be a number above 0")
        if len(cutoffs) < 2 or np.any(np.diff(cutoffs) <= 0):
            raise ValueError(f"cutoffs = {cutoffs}: must be two or more, ascending")
        if len(k_spacings) < 2 or np.any(np.diff(k_spacings) >= 0):
            raise ValueError(f"k_spacings = {k_spacings}: must be two or more, descending")

        def labelled(cutoff: float, k_spacing: float) -> list[Atoms]:
            settings = cls.paper(code, cutoff=cutoff, k_spacing=k_spacing, **changes)
            dft = AutoDFT(ledger, settings=settings, machines=machines)
            dft.add(frames)
            dft.run()
            keys = [settings.key(atoms) for atoms in frames]
            found = {atoms.info["key"]: atoms for atoms in dft.labelled()}
            lost = [number for number, key in enumerate(keys) if key not in found]
            if lost:
                raise RuntimeError(
                    f"cutoff = {cutoff}, k_spacing = {k_spacing}: frames {lost} have no label; see "
                    "dft.status()"
                )
            return [found[key] for key in keys]

        def errors(scan: list[list[Atoms]]) -> np.ndarray:
            rows = []
            for labels in scan:
                pairs = list(zip(labels, scan[-1], strict=True))
                rows.append((
                    max(abs(a.get_potential_energy() - b.get_potential_energy()) / len(a)
                        for a, b in pairs),
                    max(np.abs(a.get_forces() - b.get_forces()).max() for a, b in pairs),
                    max(np.abs(a.get_stress() - b.get_stress()).max() for a, b in pairs) / GPa,
                ))  # fmt: skip
            return np.array(rows)

        of_cutoff = errors([labelled(cutoff, k_spacings[0]) for cutoff in cutoffs])
        of_mesh = errors([labelled(cutoffs[0], spacing) for spacing in k_spacings])
        tolerances = np.array([energy, forces, stress])
        candidates = []
        for i, cutoff in enumerate(cutoffs[:-1]):
            for j, k_spacing in enumerate(k_spacings[:-1]):
                if np.all(of_cutoff[i] + of_mesh[j] <= tolerances):
                    settings = cls.paper(code, cutoff=cutoff, k_spacing=k_spacing, **changes)
                    cost = sum(settings.cost(atoms) for atoms in frames)
                    candidates.append((cost, i, j, settings))
        best = min(candidates, key=lambda c: c[:3]) if candidates else None
        path = Path(fspath(figure))
        picture = _draw(cutoffs, k_spacings, of_cutoff, of_mesh, tolerances, best)
        with (
            atomic_writes(path, mode="wb") as (drawing,),
            atomic_writes(path.with_suffix(".json")) as (file,),
        ):
            picture.savefig(drawing, format=path.suffix[1:] or "png", dpi=130)
            json.dump(
                {
                    "code": code,
                    "n_frames": len(frames),
                    "tolerances": {"energy": energy, "forces": forces, "stress": stress},
                    "cutoffs": cutoffs,
                    "errors of the cutoff": of_cutoff.tolist(),
                    "k_spacings": k_spacings,
                    "errors of the mesh": of_mesh.tolist(),
                    "chosen": asdict(best[3]) if best else None,
                },
                file,
                indent=1,
            )
        if best is None:
            raise RuntimeError(
                f"cutoffs up to {cutoffs[-1]}, k_spacings down to {k_spacings[-1]}: none but these "
                f"references holds the tolerances; extend the scan (see {path})"
            )
        return best[3]

    def but(self, **changes: Any) -> "DFTSettings":
        """Return these settings with some of them changed.

        Parameters
        ----------
        **changes : Any
            Attributes that differ.

        Returns
        -------
        DFTSettings
            The settings.
        """
        return replace(self, **changes)


def _draw(
    cutoffs: list[float],
    k_spacings: list[float],
    of_cutoff: np.ndarray,
    of_mesh: np.ndarray,
    allowed: np.ndarray,
    best: Any,
) -> Any:
    """Draw the errors against cutoff and mesh, with what is allowed and what was chosen."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 6.6), layout="constrained")
    axes = figure.subplots(3, 2, sharey="row", sharex="col")
    quantities = ("energy\n(meV/atom)", "forces\n(meV/Å)", "stress\n(GPa)")
    for row, (label, factor) in enumerate(zip(quantities, (1e3, 1e3, 1.0), strict=True)):
        scans = ((cutoffs, of_cutoff, "#0072b2"), (k_spacings, of_mesh, "#d55e00"))
        for ax, (x, y, color) in zip(axes[row], scans, strict=True):
            ax.plot(x[:-1], factor * np.maximum(y[:-1, row], 1e-9), "o-", color=color, ms=4, lw=1)
            ax.axhline(factor * allowed[row], color="0.4", ls="--", lw=0.8)
            ax.set_yscale("log")
            ax.grid(color="0.92", lw=0.6)
            ax.set_axisbelow(True)
            ax.spines[["top", "right"]].set_visible(False)
        axes[row, 0].set_ylabel(label)
        axes[row, 1].invert_xaxis() if row == 0 else None
    if best:
        for ax in axes[:, 0]:
            ax.axvline(cutoffs[best[1]], color="0.7", lw=4, zorder=0)
        for ax in axes[:, 1]:
            ax.axvline(k_spacings[best[2]], color="0.7", lw=4, zorder=0)
    axes[-1, 0].set_xlabel(f"cutoff (eV); reference {cutoffs[-1]:g}")
    axes[-1, 1].set_xlabel(f"k-spacing (2π/Å); reference {k_spacings[-1]:g}")
    return figure
