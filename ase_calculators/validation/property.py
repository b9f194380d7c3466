# SPDX-License-Identifier: BSD-3-Clause
"""What every property has in common: a sample to work on and the interface run, result, plot."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from importlib import import_module
from math import comb
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, PropertyNotImplementedError, all_changes
from ase.optimize import LBFGS
from tqdm.auto import tqdm

from ase_calculators.figures import COLORS, tidy
from ase_calculators.provenance import add_json_line, fingerprint, json_lines, jsonable
from ase_calculators.validation.crystal import Crystal

Values = dict[str, tuple[float, str]]


class CalculationFailed(RuntimeError):
    """The calculator raised or returned what is not a number."""


class CheckedCalculator(Calculator):
    """Hand on a calculator's results, if they are numbers, and remember the structure.

    Parameters
    ----------
    calculator : ase.calculators.calculator.BaseCalculator
        The model.
    """

    def __init__(self, calculator: Any) -> None:
        super().__init__()
        self.model = calculator
        self.implemented_properties = list(calculator.implemented_properties)
        self.n_calls = 0

    def calculate(
        self, atoms: Any = None, properties: Any = ("energy",), system_changes: Any = all_changes
    ) -> None:
        """Calculate as ASE asks for it.

        Parameters
        ----------
        atoms : ase.Atoms
            The structure.
        properties : list of str
            What is asked for.
        system_changes : list of str
            What has changed since the last call.

        Raises
        ------
        CalculationFailed
            When the model fails or returns NaN or infinity.
        """
        super().calculate(atoms, properties, system_changes)
        self.n_calls += 1
        try:
            for name in properties:
                self.model.get_property(name, self.atoms)
        except PropertyNotImplementedError:
            raise
        except Exception as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            raise CalculationFailed(f"the calculator failed: {reason}") from error
        self.results = {
            name: value for name, value in self.model.results.items()
            if name in self.implemented_properties
        }  # fmt: skip
        # also what was not asked for: it is there for the next question
        for name in {*properties, "energy", "forces", "stress"} & set(self.results):
            if not np.isfinite(self.results[name]).all():
                raise CalculationFailed(f"the calculator returned {name} that is not finite")


class Noise(NamedTuple):
    """How far the results of a model scatter about smooth functions of the positions.

    Attributes
    ----------
    energy : float
        Standard deviation, eV per atom.
    forces : float
        Of a component, eV/Å; NaN for a model without.
    stress : float
        Of a component, eV/Å^3; NaN for a model without.
    """

    energy: float
    forces: float
    stress: float


def scatter(values: Any) -> float:
    """Return the standard deviation of equally spaced values about a smooth function.

    From their sixth differences, to which a smooth function adds nothing: J. J. Moré, S. M. Wild,
    SIAM J. Sci. Comput. 33, 1292 (2011), doi:10.1137/100786125.

    Parameters
    ----------
    values : (n, ...) array_like
        At least seven.

    Returns
    -------
    float
        In the unit of the values.

    Examples
    --------
    >>> x = np.linspace(0, 1, 101)
    >>> noise = 1e-6 * np.random.default_rng(0).normal(size=101)
    >>> scatter(np.exp(x)) < 1e-12, 0.8e-6 < scatter(np.exp(x) + noise) < 1.2e-6
    (True, True)
    """
    differences = np.diff(np.asarray(values, dtype=float), n=6, axis=0)
    return float(np.sqrt((differences**2).mean() / comb(12, 6)))


@dataclass
class Sample:
    """What properties are calculated of: a model, its crystal, and a folder for what is unfinished.

    Attributes
    ----------
    calculator : CheckedCalculator
        The model for single structures.
    commands : list of str or None
        LAMMPS's commands of the same model, where it is a ``pair_style``.
    crystal : Crystal
        The relaxed crystal.
    others : dict of str to Crystal
        The element's crystals of all structures, relaxed; those without a minimum are missing.
    folder : pathlib.Path
        Where files go.
    reference : dict of str to dict
        Literature values by quantity.
    progress : bool
        Whether bars are shown.
    identity : str
        Fingerprint of the model: pieces of an interrupted run of another one are not taken up.
    """

    calculator: CheckedCalculator
    commands: list[str] | None
    crystal: Crystal
    others: dict[str, Crystal]
    folder: Path
    reference: dict[str, Any]
    progress: bool = True
    identity: str = ""
    _noise: Noise | None = None

    def noise(self) -> Noise:
        """Measure the noise of the model, once, on small steps of a distorted cell of the crystal.

        Returns
        -------
        Noise
            The noise; rounding to single precision is one. NaN where the model fails.
        """
        if self._noise is None:
            rng = np.random.default_rng(0)
            atoms = self.crystal.unit_cell() * (2, 2, 2)
            atoms.rattle(0.05, seed=0)
            cell, scaled = atoms.cell.array, atoms.get_scaled_positions()
            strain, shift = rng.normal(size=(3, 3)), rng.normal(size=scaled.shape)
            names = [n for n in ("energy", "forces", "stress")
                     if n == "energy" or n in self.calculator.implemented_properties]  # fmt: skip
            seen: dict[str, list[Any]] = {name: [] for name in names}
            atoms.calc = self.calculator
            try:
                for step in range(13):
                    # both together move atoms by about 1e-3 Å a step
                    atoms.set_cell(cell @ (np.eye(3) + 1e-4 * step * (strain + strain.T) / 2))
                    atoms.set_scaled_positions(scaled)
                    atoms.positions += 1e-3 * step * shift
                    for name in names:
                        seen[name].append(self.calculator.get_property(name, atoms))
                energy = scatter(seen["energy"]) / len(atoms)
                others = [scatter(seen[n]) if n in seen else np.nan for n in ("forces", "stress")]
                self._noise = Noise(energy, *others)
            except (CalculationFailed, PropertyNotImplementedError):
                self._noise = Noise(np.nan, np.nan, np.nan)
        return self._noise

    def energy(self, atoms: Atoms) -> float:
        """Return the energy of a structure.

        Parameters
        ----------
        atoms : ase.Atoms
            The structure; it keeps the calculator.

        Returns
        -------
        float
            Energy, eV.
        """
        atoms.calc = self.calculator
        return float(atoms.get_potential_energy())

    def reference_value(self, quantity: str) -> float | None:
        """Return what the literature says.

        Parameters
        ----------
        quantity : str
            Its name, such as "B".

        Returns
        -------
        float or None
            The value, in the unit of the table; None where unknown.
        """
        entry = self.reference.get(quantity)
        return None if entry is None else float(entry["value"])


class Property(ABC):
    """One property of a crystal: calculate it, say its values, draw it.

    A subclass in a file of its own, named in ``PROPERTIES``, is all that a new property takes.

    Parameters
    ----------
    sample : Sample
        The model and its crystal.
    **settings
        Differences from `defaults`.

    Attributes
    ----------
    data : dict
        What `run` calculates, of numbers, strings, lists and dicts: it goes into the record.
    flags : list of str
        What a user must know about the result.

    Raises
    ------
    ValueError
        When a setting is unknown.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    defaults: ClassVar[dict[str, Any]]
    needs: ClassVar[tuple[str, ...]] = ("energy", "forces")
    libraries: ClassVar[tuple[str, ...]] = ()
    uses: ClassVar[tuple[str, ...]] = ()  # reference values that the result depends on
    size: ClassVar[tuple[float, float]] = (5.2, 4.0)

    def __init__(self, sample: Sample, **settings: Any) -> None:
        for name in settings:
            if name not in self.defaults:
                raise ValueError(
                    f"settings[{self.name!r}]: has no {name!r}; choose from "
                    f"{', '.join(self.defaults)}"
                )
        self.sample = sample
        self.settings = {**self.defaults, **settings}
        self.data: dict[str, Any] = {}
        self.flags: list[str] = []
        self._parts: dict[str, Any] | None = None

    @abstractmethod
    def run(self) -> None:
        """Calculate `data` and `flags`."""

    @abstractmethod
    def result(self) -> Values:
        """Say the values that `data` amounts to.

        Returns
        -------
        dict of str to (float, str)
            Value and unit of each quantity.
        """

    @classmethod
    def figure_size(cls, n_models: int) -> tuple[float, float]:
        """Return the size of the figure of so many models.

        Parameters
        ----------
        n_models : int
            Number of models.

        Returns
        -------
        (float, float)
            Width and height, inches.
        """
        return cls.size

    @staticmethod
    @abstractmethod
    def plot(figure: Any, records: list[dict[str, Any]]) -> None:
        """Draw the property of one or several models.

        Parameters
        ----------
        figure : matplotlib.figure.Figure
            Empty.
        records : list of dict
            The record of each model, with "data", "values", "model" and "reference".
        """

    # --- for subclasses ---------------------------------------------------------------------------

    def check(self) -> None:
        """Make sure that calculator and libraries are there before anything is calculated.

        Raises
        ------
        ValueError
            When the calculator does not have what the property needs.
        ImportError
            When a library is missing.
        """
        for library in self.libraries:
            try:
                import_module(library)
            except ImportError as error:
                raise ImportError(
                    f"{self.name}: {library.split('.')[0]} is not installed: "
                    "pip install 'entsym[validation]'"
                ) from error
        self.require(*self.needs)

    def require(self, *quantities: str) -> None:
        """Make sure that the calculator gives what is needed.

        Parameters
        ----------
        *quantities : str
            Such as "stress".

        Raises
        ------
        ValueError
            When it does not.
        """
        atoms = self.sample.crystal.primitive()
        atoms.calc = self.sample.calculator
        for quantity in quantities:
            try:
                self.sample.calculator.get_property(quantity, atoms)
            except (PropertyNotImplementedError, NotImplementedError) as error:
                raise ValueError(
                    f"{self.name}: needs the {quantity}, which the calculator does not give; "
                    "leave the property out or take a calculator with it"
                ) from error

    def track(self, items: Iterable[Any], what: str) -> Iterator[Any]:
        """Go through a list below a progress bar.

        Parameters
        ----------
        items : iterable
            The list.
        what : str
            Its name.

        Yields
        ------
        object
            Its members.
        """
        yield from tqdm(
            items, desc=f"{self.name}: {what}", leave=False, disable=not self.sample.progress
        )

    def relax(self, atoms: Atoms, what: str) -> float:
        """Relax atoms to the setting `fmax`, and flag it where that takes too long.

        Parameters
        ----------
        atoms : ase.Atoms
            The structure, moved.
        what : str
            Its name, for the flag.

        Returns
        -------
        float
            Energy, eV.
        """
        atoms.calc = self.sample.calculator
        optimizer: Any = LBFGS(atoms, logfile=None, maxstep=0.1)  # type: ignore[arg-type]
        if not optimizer.run(fmax=self.settings["fmax"], steps=300):
            self.flags.append(f"{what}: forces did not fall to fmax in 300 steps")
        return float(atoms.get_potential_energy())

    def doubt(self, what: str, value: float, error: float, unit: str) -> None:
        """Flag a value that the model's noise makes uncertain by more than 1 %.

        Parameters
        ----------
        what : str
            Its name.
        value : float
            The value.
        error : float
            Its standard error from the noise; NaN where unknown.
        unit : str
            Of both.
        """
        if error > 0.01 * abs(value):
            self.flags.append(
                f"{what}: {value:.4g} ± {error:.1g} {unit}".rstrip() + " from the model's noise, "
                f"{self.sample.noise().energy:.1g} eV/atom in energies; calculate it in double "
                "precision"
            )

    def cached(self, key: str, calculate: Callable[..., Any], *arguments: Any) -> Any:
        """Calculate a piece of work, or take it from the interrupted run that did it before.

        Parameters
        ----------
        key : str
            Name of the piece, unique within the property.
        calculate : callable
            Returns it, of numbers, strings, lists and dicts.
        *arguments
            What it is called with.

        Returns
        -------
        object
            The piece.
        """
        path = self.sample.folder / f"{self.name}.parts.jsonl"
        used = [self.settings, vars(self.sample.crystal), self.sample.identity]
        key = f"{key} {fingerprint(used)}"
        if self._parts is None:
            self._parts = {name: (value, flags) for name, value, flags in json_lines(path)}
        if key not in self._parts:
            before = len(self.flags)
            value = jsonable(calculate(*arguments))
            self._parts[key] = value, self.flags[before:]
            add_json_line(path, [key, *self._parts[key]])
            return value
        value, flags = self._parts[key]
        self.flags += flags
        return value


def bars(ax: Any, records: list[dict[str, Any]], names: tuple[str, ...], unit: str) -> None:
    """Draw values of several models as bars, the reference as a line across them.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Where.
    records : list of dict
        Models.
    names : tuple of str
        Quantities; those that are missing are left out.
    unit : str
        For the axis.
    """
    names = tuple(name for name in names if any(name in r["values"] for r in records))
    width = 0.8 / len(records)
    for k, record in enumerate(records):
        heights = [record["values"].get(n, {"value": np.nan})["value"] for n in names]
        at = np.arange(len(names)) + (k - (len(records) - 1) / 2) * width
        ax.bar(at, heights, 0.92 * width, color=COLORS[k % len(COLORS)], label=record["model"])
    label: str | None = "reference"
    for k, name in enumerate(names):
        if name in records[0]["reference"]:
            y = records[0]["reference"][name]["value"]
            ax.plot([k - 0.45, k + 0.45], [y, y], "k-", lw=1.6, label=label)
            label = None
    ax.set_xticks(range(len(names)), names)
    ax.set_ylabel(unit)
    ax.legend(frameon=False, fontsize=7, ncol=2, loc="lower center", bbox_to_anchor=(0.5, 1.0))
    tidy(ax)
    ax.grid(visible=False, axis="x")
