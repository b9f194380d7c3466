# SPDX-License-Identifier: BSD-3-Clause
"""ASE calculator of a bias along sS and Q_l, with the engine and the files of fix entsym/steer."""

import json
import warnings
from collections.abc import Iterable, Mapping, Sequence
from glob import glob
from math import inf
from os import PathLike, fspath
from os.path import exists, getsize, samefile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, PropertyNotImplementedError, all_changes
from ase.stress import full_3x3_to_voigt_6_stress
from ase.units import kB

from ase_calculators.argument_checks import check_whole
from ase_calculators.entropy_symmetry import EntropySymmetry
from ase_calculators.frame_file import FrameFile
from ase_calculators.provenance import write_json
from cython_core import Bias


class Metadynamics(NamedTuple):
    """Hold the settings of metadynamics.

    Attributes
    ----------
    every : int
        Steps between hills.
    height : float
        Height of the first hill, eV.
    temperature : float
        Temperature of the thermostat, K.
    width : dict of str to float
        Width of the hills in "sS" (k_B), in "Q6", or in both; others are not biased.
    bias_factor : float
        Bias factor of well-tempered metadynamics. Default: infinity, all hills have one height.
    grid : dict of str to float, optional
        Spacing of the grid of the hills. Default: a fifth of the width.
    file : path-like, optional
        File of hills, which is continued if it exists.
    walkers : (str, int), optional
        Pattern of the files of all walkers, such as "hills.*", and steps between reading them.
    """

    every: int
    height: float
    temperature: float
    width: Mapping[str, float]
    bias_factor: float = inf
    grid: Mapping[str, float] | None = None
    file: str | PathLike[str] | None = None
    walkers: tuple[str, int] | None = None


class LandscapeBias(Calculator):
    r"""Calculate energy, forces and stress of a bias in sS and Q_l.

    .. math::

        U(s) = \sum_d \frac{k_d}{2} (s_d - c_d)^2
             + \sum_{walls} \frac{k}{2} (s - a)^2
             + \sum_k h_k \prod_d e^{-(s_d - s_{kd})^2 / 2 w_d^2}

    with walls counting only beyond their position. The manual page of fix entsym/steer has the
    formulas of the work, of the heights h_k and of c(t). Add it to a potential with ASE's
    ``SumCalculator([potential, bias])``.

    Parameters
    ----------
    calc : EntropySymmetry
        Definition of sS and Q_l. A bias in Q_l needs one with `smooth`.
    restrain : dict of str to (float, float), optional
        Force constant (eV) and centre for "sS", for "Q6" (or with the degree of `calc`), or both.
    move : dict of str to (float, float, int, int), optional
        Force constant and centre to which the restraint goes linearly, and the first and the last
        step of the move.
    walls : iterable of (str, str, float, float)
        Variable, "upper" or "lower", position and force constant (eV).
    metadynamics : Metadynamics, optional
        Hills to be added during the run.
    limit : float, optional
        Largest force of the bias on an atom, eV/Å. Default: no limit.

    Attributes
    ----------
    bias : cython_core.Bias
        The bias: ``work``, ``offset`` (c(t)), ``hills``, ``centres``, ``hill_energy``.
    values : (float, float)
        sS and Q_l of the last calculation.

    Raises
    ------
    TypeError
        If `calc` is not an EntropySymmetry.
    ValueError
        If a variable is unknown, a number is out of range, or `calc` has a hard cutoff and the bias
        acts on Q_l; in a calculation, if the hills in the file are those of another bias, the
        number of atoms changes, or a force is above the `limit`.

    Notes
    -----
    Without steps the bias is that of the start: optimizers, cell filters, NEB and phonons work on
    it. For `move` and `metadynamics`, `attach` tells it the steps of a dynamics.

    Examples
    --------
    >>> from ase.build import bulk
    >>> from ase_calculators import EntropySymmetry, LandscapeBias
    >>> atoms = bulk("Al", cubic=True) * 2
    >>> atoms.rattle(0.1, seed=1)
    >>> calc = EntropySymmetry(rmax=5.0, sigma=0.2, q6_cutoff=3.4, smooth=0.4)
    >>> atoms.calc = LandscapeBias(calc, restrain={"sS": (2.0, -3.0), "Q6": (50.0, 0.1)})
    >>> sS, Q6 = (calc.get_property(name, atoms) for name in ("sS", "Q6"))
    >>> energy = atoms.get_potential_energy()
    >>> bool(np.isclose(energy, (sS + 3.0) ** 2 + 25 * (Q6 - 0.1) ** 2))
    True
    """

    implemented_properties = ["energy", "free_energy", "forces", "stress"]  # noqa: RUF012
    ignored_changes = {"initial_charges", "initial_magmoms"}  # noqa: RUF012, as in ASE

    def __init__(
        self,
        calc: EntropySymmetry,
        restrain: Mapping[str, tuple[float, float]] | None = None,
        move: Mapping[str, tuple[float, float, int, int]] | None = None,
        walls: Iterable[tuple[str, str, float, float]] = (),
        metadynamics: Metadynamics | None = None,
        limit: float | None = None,
    ) -> None:
        if not isinstance(calc, EntropySymmetry):
            raise TypeError(f"calc: must be an EntropySymmetry, is a {type(calc).__name__}")
        super().__init__()
        self.calc, self.metadynamics, self.limit = calc, metadynamics, limit
        names = calc.value_names
        restraints, steps = np.zeros((2, 2, 2)), [(0, 0), (0, 0)]
        for name, values in (restrain or {}).items():
            restraints[_place(name, names, "restrain")] = _numbers(f"restrain {name}", values, 2)
        for name, end in (move or {}).items():
            if name not in (restrain or {}):
                raise ValueError(f"move {name}: restrain has no {name}; give where it starts")
            d = _place(name, names, "move")
            constant, centre, *_ = _numbers(f"move {name}", end, 4)
            restraints[d, 1] = constant, centre
            steps[d] = (
                check_whole(f"first step of move {name}", end[2], 0),
                check_whole(f"last step of move {name}", end[3], 0),
            )
        sides = []
        for wall in walls:
            if len(wall) != 4 or wall[1] not in ("upper", "lower"):
                raise ValueError(
                    f"walls: {wall!r} must be a variable, 'upper' or 'lower', position, constant"
                )
            position, constant = _numbers(f"wall of {wall[0]}", wall[2:], 2)
            place = _place(wall[0], names, "walls")
            sides.append((place, wall[1] == "upper", position, constant))
        hills: dict[str, Any] = {}
        if metadynamics is not None:
            m = metadynamics
            hills = {
                "every": check_whole("every", m.every),
                "height": m.height,
                "temperature": m.temperature,
                "boltzmann": kB,
                "bias_factor": m.bias_factor,
                "widths": _by_variable("width", m.width, names),
                "spacings": _by_variable("grid", m.grid or {}, names),
            }
            if m.walkers is not None:
                check_whole("steps between reading the walkers", m.walkers[1])
                if m.file is None:
                    raise ValueError("walkers: each needs a file of its own; give file")
        elif not sides and restrain is None:
            raise ValueError("no bias is given; use restrain, walls or metadynamics")
        self.bias = Bias(names, restraints, steps, sides, **hills)
        if self.bias.acts_on(1) and not calc.parameters["smooth"]:
            raise ValueError(
                f"calc: has a hard neighbour cutoff, at which {names[1]} jumps, so that it has no "
                "forces; give it smooth=<width>, a tenth of q6_cutoff"
            )
        self.bias.begin(0)
        self.values = (np.nan, np.nan)
        self._n_atoms: int | None = None
        self._file: FrameFile | None = None
        self._taken: dict[str, int] = {}
        self._definition: dict[str, Any] = {}
        self._loaded: dict[str, Any] | None = None
        self._restored = False  # with hills

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Iterable[str] = ("energy",),
        system_changes: Sequence[str] = all_changes,
    ) -> None:
        """Calculate energy, forces and, in three periodic directions, stress.

        Parameters
        ----------
        atoms : ase.Atoms, optional
            The structure. Default: that of the last calculation.
        properties : iterable of str
            "energy", "free_energy", "forces" (eV/Å) or "stress" (eV/Å^3).
        system_changes : sequence of str
            Differences from the last calculation.
        """
        super().calculate(atoms, properties, system_changes)
        atoms = self.get_atoms() if atoms is None else atoms
        sS, Q = self.calc.value_names
        gradients = [self.calc.get_property(f"{name}_gradient", atoms) for name in (sS, Q)]
        self._start(atoms)
        self.values = tuple(self.calc.get_property(name, atoms) for name in (sS, Q))
        energy, slope = self.bias.energy(self.values)
        forces = -sum(k * gradient for k, gradient in zip(slope, gradients, strict=True))
        if self.limit is not None:
            sizes = np.linalg.norm(forces, axis=1)
            if sizes.max() > self.limit:
                raise ValueError(
                    f"limit: the bias pulls atom {sizes.argmax()} with a force of "
                    f"{sizes.max():.6g} eV/Å, the limit is {self.limit:g}; use a smaller force "
                    "constant, a slower move or lower hills"
                )
        self.results = {"energy": energy, "free_energy": energy, "forces": forces}
        if atoms.pbc.all():
            strain = sum(
                k * self.calc.get_property(f"{name}_strain_gradient", atoms)
                for k, name in zip(slope, (sS, Q), strict=True)
            )
            self.results["stress"] = full_3x3_to_voigt_6_stress(strain) / atoms.get_volume()
        elif "stress" in properties:
            raise PropertyNotImplementedError("stress: needs three periodic directions")

    def attach(self, dynamics: Any, first_step: int | None = None) -> None:
        """Follow a dynamics: count its steps, move the restraints, add hills.

        Parameters
        ----------
        dynamics : ase.md.md.MolecularDynamics
            The dynamics; its atoms have a calculator that contains this one.
        first_step : int, optional
            Number of its first step, for a run that continues another. Default: the last step of a
            state that was loaded, or 0.
        """
        if first_step is None:
            first_step = int(self.bias.state[1]) if self._loaded else 0
        start = check_whole("first_step", first_step, 0) - dynamics.nsteps
        self.bias.begin(start + dynamics.nsteps)
        dynamics.attach(lambda: self.update(start + dynamics.nsteps, dynamics.atoms))

    def update(self, step: int, atoms: Atoms) -> None:
        """Tell that a step is complete; `attach` does it for a dynamics.

        Work is counted, a hill is added if it is time, and the restraints are set for the next
        step. The first call, and one with the same step as the last, only start.

        Parameters
        ----------
        step : int
            Number of the step.
        atoms : ase.Atoms
            The structure after it.

        Raises
        ------
        ValueError
            If somebody else has changed the file of hills.
        OSError
            If it cannot be written.
        """
        self.get_property("energy", atoms)
        line = self.bias.visit(step, self.values)
        if line is not None and self._file is not None:
            self._file.append(line)
        self.bias.begin(step + 1)
        m = self.metadynamics
        if m is not None and m.walkers is not None and step % m.walkers[1] == 0:
            self._take_hills()

    def save(self, path: str | PathLike[str]) -> None:
        """Write the state of the bias after a step: work, last step and hills of this run.

        Parameters
        ----------
        path : path-like
            JSON file, replaced completely or not at all.
        """
        state, hills = self.bias.state, self.bias.hills
        if len(hills) and hills[-1, 0] == state[1]:
            state[9] = 1  # the forces of its step, with which the next run starts, are without it
        content = {"definition": self._definition, "state": state.tolist()}
        write_json(Path(path), {"entsym": "state of LandscapeBias", **content})

    def load(self, path: str | PathLike[str]) -> None:
        """Continue from a saved state, before the first calculation.

        The bias must be made with the same arguments, and `attach` be called after this. Hills in
        the file that are later than the state are cut off, since the run makes them again; missing
        ones are added.

        Parameters
        ----------
        path : path-like
            File of `save`.

        Raises
        ------
        RuntimeError
            If something was calculated already.
        ValueError
            If the file is not one of `save`; in the first calculation, if it is of another
            definition of sS and Q_l or another number of atoms.
        """
        if self._n_atoms is not None:
            raise RuntimeError("load: something was calculated already; load the state before")
        try:
            content = json.loads(Path(path).read_text())
            restored = self.bias.restore(content["state"])
            definition = dict(content["definition"])
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{path}: is not a state of LandscapeBias.save") from error
        self._loaded, self._restored = definition, restored
        self.bias.begin(int(self.bias.state[1]))

    def close(self) -> None:
        """Close the file of hills, so that another run can write to it."""
        if self._file is not None:
            self._file.__exit__()
            self._file = None

    def _start(self, atoms: Atoms) -> None:
        """Check the number of atoms; the first time, open the file of hills."""
        elements = self.calc.parameters["elements"]
        n_atoms = sum(elements is None or symbol in elements for symbol in atoms.symbols)
        if self._n_atoms == n_atoms:
            return
        if self._n_atoms is not None:
            raise ValueError(
                f"atoms: {n_atoms} atoms count, there were {self._n_atoms} before; make another "
                "LandscapeBias for another number"
            )
        parameters = self.calc.todict()
        density = parameters.pop("number_density")
        parameters.pop("elements")
        names = ("rmax", "sigma", "dr", "q6_cutoff", "degree", "smooth")
        definition = {
            "units": "metal",
            "group": "all" if elements is None else "_".join(elements),
            "natoms": n_atoms,
            **{name: parameters[name] for name in names},
            "number_density": 0.0 if density is None else float(density),
        }
        for name, value in (self._loaded or {}).items():
            if value != definition.get(name):
                raise ValueError(
                    f"the bias was loaded with {name} = {value}, here it is "
                    f"{definition.get(name)}; use the same, or another LandscapeBias"
                )
        self.bias.define(**definition)
        self._definition = definition
        if self.metadynamics is not None and self.metadynamics.file is not None:
            self._open(fspath(self.metadynamics.file))
        self._n_atoms = n_atoms

    def _open(self, path: str) -> None:
        file = FrameFile(path)
        try:
            text = _contents(path)
            try:
                hills, end = self.bias.read(text)
            except ValueError as error:
                raise ValueError(f"{path}: cannot be continued: {error}") from error
            if 0 < end < len(text):
                warnings.warn(f"{path}: the unfinished last line was cut off", stacklevel=2)
            missing = b"" if end else self.bias.header
            if self._restored:
                own = self.bias.hills
                hills, end = self.bias.read(text, most=len(own))
                if not np.array_equal(hills, own[: len(hills)]):
                    raise ValueError(
                        f"{path}: its hills differ from those of the state that was loaded; use "
                        "the file of the same run, or a new one"
                    )
                missing += b"".join(self.bias.line(row) for row in own[len(hills) :])
            else:
                self.bias.add(hills)
            file.cut(end)
            if missing:
                file.append(missing)
        except BaseException:
            file.__exit__()
            raise
        self._file = file
        if self.metadynamics is not None and self.metadynamics.walkers is not None:
            self._take_hills()

    def _take_hills(self) -> None:
        """Add what other walkers have written since the last time."""
        m = self.metadynamics
        assert m is not None and m.walkers is not None and m.file is not None
        paths = [p for p in sorted(glob(m.walkers[0])) if exists(p) and not samefile(p, m.file)]
        # a walker was restarted and has cut its file: read all files anew
        if any(getsize(path) < self._taken.get(path, 0) for path in paths):
            self.bias.forget_others()
            self._taken.clear()
        for path in paths:
            start = self._taken.get(path, 0)
            try:
                hills, end = self.bias.read(_contents(path)[start:], headed=not start)
            except ValueError as error:
                raise ValueError(f"{path}: its hills cannot be shared: {error}") from error
            self.bias.add(hills, own=False)
            self._taken[path] = start + end


def _contents(path: str) -> bytes:
    """Return a file without the zeros that a crash of the machine may leave at its end."""
    with open(path, "rb") as file:
        return file.read().rstrip(b"\0")


def _place(name: str, names: tuple[str, ...], argument: str) -> int:
    """Return 0 for sS and 1 for Q_l."""
    if name not in names:
        raise ValueError(f"{argument}: variable {name!r} must be {names[0]} or {names[1]}")
    return names.index(name)


def _numbers(what: str, values: Any, n: int) -> list[float]:
    """Return `n` finite numbers."""
    try:
        numbers = [float(value) for value in values]
    except (TypeError, ValueError):
        numbers = []
    if len(numbers) != n or not np.isfinite(numbers).all():
        raise ValueError(f"{what} = {values!r}: must be {n} finite numbers")
    return numbers


def _by_variable(what: str, values: Mapping[str, float], names: tuple[str, ...]) -> list[float]:
    """Return a number for each variable, 0 where none is given."""
    numbers = [0.0, 0.0]
    for name, value in values.items():
        (number,) = _numbers(f"{what} of {name}", (value,), 1)
        if number <= 0:
            raise ValueError(f"{what} of {name} = {value!r}: must be above 0")
        numbers[_place(name, names, what)] = number
    return numbers
