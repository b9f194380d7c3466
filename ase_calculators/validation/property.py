# SPDX-License-Identifier: BSD-3-Clause
"""Base class of all properties (check, run, result, plot) and the sample that they work on."""

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

from ase_calculators.argument_checks import one_line
from ase_calculators.figures import COLORS, tidy
from ase_calculators.provenance import add_json_line, fingerprint, json_lines, jsonable
from ase_calculators.validation.crystal import STRUCTURES, Crystal

Values = dict[str, tuple[float, str]]


class CalculationFailed(RuntimeError):
    """The calculator raised an error, or returned a value that is not finite."""


class CheckedCalculator(Calculator):
    """Calculator that passes on the results of another one, and checks that they are finite.

    The last structure stays in `atoms`; `n_calls` counts the calculations. `watch`, if it is not
    None, is called with each structure before it is calculated.

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
        self.watch: Callable[[Any], None] | None = None

    def calculate(
        self, atoms: Any = None, properties: Any = ("energy",), system_changes: Any = all_changes
    ) -> None:
        """Calculate by the model.

        Parameters
        ----------
        atoms : ase.Atoms
            The structure.
        properties : list of str
            Names of the results to calculate.
        system_changes : list of str
            What changed since the last call.

        Raises
        ------
        CalculationFailed
            If the model fails, or returns NaN or infinity.
        """
        super().calculate(atoms, properties, system_changes)
        self.n_calls += 1
        if self.watch is not None:
            self.watch(self.atoms)
        try:
            for name in properties:
                self.model.get_property(name, self.atoms)
        except PropertyNotImplementedError:
            raise
        except Exception as error:
            reason = one_line(error)
            raise CalculationFailed(f"the calculator failed: {reason}") from error
        self.results = {
            name: value for name, value in self.model.results.items()
            if name in self.implemented_properties
        }  # fmt: skip
        # also results that were not asked for: the next call may take them from here
        for name in {*properties, "energy", "forces", "stress"} & set(self.results):
            if not np.isfinite(self.results[name]).all():
                raise CalculationFailed(f"the calculator returned {name} that is not finite")


class Noise(NamedTuple):
    """Scatter of a model's results about smooth functions of the positions.

    Attributes
    ----------
    energy : float
        Standard deviation, eV per atom.
    forces : float
        Standard deviation of a component, eV/Å; NaN for a model without forces.
    stress : float
        Standard deviation of a component, eV/Å^3; NaN for a model without a stress.
    """

    energy: float
    forces: float
    stress: float


def scatter(values: Any) -> float:
    """Return the standard deviation of equally spaced values about a smooth function.

    It follows from their sixth differences, to which a smooth function adds nothing: J. J. Moré,
    S. M. Wild, SIAM J. Sci. Comput. 33, 1292 (2011), doi:10.1137/100786125.

    Parameters
    ----------
    values : (n, ...) array_like
        Values, at least seven.

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
    """A model, its crystal, and the folder of their results.

    Attributes
    ----------
    calculator : CheckedCalculator
        Model for single structures.
    commands : list of str or None
        LAMMPS commands of the same model; None if it is not a ``pair_style``.
    crystal : Crystal
        The relaxed crystal.
    others : dict of str to Crystal
        Relaxed crystals of the element in all structures that have a minimum.
    folder : pathlib.Path
        Folder of all files.
    reference : dict of str to dict
        Literature values by quantity.
    progress : bool
        Whether progress bars are shown.
    identity : str
        Fingerprint of the model. Unfinished work of another model is not resumed.
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
        """Measure the noise of the model on small steps of a distorted cell; done once.

        Returns
        -------
        Noise
            The noise, such as that of rounding to single precision. NaN if the model fails.
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
                    # strain and shift together move atoms by about 1e-3 Å a step
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
            Structure; the calculator stays attached to it.

        Returns
        -------
        float
            Energy, eV.
        """
        atoms.calc = self.calculator
        return float(atoms.get_potential_energy())

    def reference_value(self, quantity: str) -> float | None:
        """Return the literature value of a quantity.

        Parameters
        ----------
        quantity : str
            Name, such as "B".

        Returns
        -------
        float or None
            Value in the unit of the table; None if unknown.
        """
        entry = self.reference.get(quantity)
        return None if entry is None else float(entry["value"])


class Property(ABC):
    """Base class: one property of a crystal.

    To add a property, write a subclass in a file of its own and name it in ``PROPERTIES``.

    Parameters
    ----------
    sample : Sample
        Model and crystal.
    **settings
        Changes of `defaults`.

    Attributes
    ----------
    data : dict
        Results of `run`: numbers, strings, lists and dicts. They go into the record.
    flags : list of str
        Warnings about the result.

    Raises
    ------
    ValueError
        If a setting is unknown.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    defaults: ClassVar[dict[str, Any]]
    needs: ClassVar[tuple[str, ...]] = ("energy", "forces")
    libraries: ClassVar[tuple[str, ...]] = ()
    uses: ClassVar[tuple[str, ...]] = ()  # reference values that the result depends on
    structures: ClassVar[tuple[str, ...]] = STRUCTURES  # crystals that have it
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
        """Return the values derived from `data`.

        Returns
        -------
        dict of str to (float, str)
            Value and unit of each quantity.
        """

    @classmethod
    def figure_size(cls, n_models: int) -> tuple[float, float]:
        """Return the size of the figure.

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
            Empty figure.
        records : list of dict
            Record of each model, with "data", "values", "model" and "reference".
        """

    # --- for subclasses ---------------------------------------------------------------------------

    def check(self) -> None:
        """Check that the calculator and the libraries suffice, before anything is calculated.

        Raises
        ------
        ValueError
            If the calculator lacks a result that the property needs.
        ImportError
            If a library is missing.
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
        """Check that the calculator returns the quantities needed.

        Parameters
        ----------
        *quantities : str
            Names, such as "stress".

        Raises
        ------
        ValueError
            If one is missing.
        """
        atoms = self.sample.crystal.primitive()
        atoms.calc = self.sample.calculator
        for quantity in quantities:
            try:
                self.sample.calculator.get_property(quantity, atoms)
            except (PropertyNotImplementedError, NotImplementedError) as error:
                raise ValueError(
                    f"{self.name}: needs the {quantity}, which the calculator does not return; "
                    "leave the property out or take a calculator with it"
                ) from error

    def track(self, items: Iterable[Any], what: str) -> Iterator[Any]:
        """Yield the items of a list and show a progress bar.

        Parameters
        ----------
        items : iterable
            List.
        what : str
            Label of the bar.

        Yields
        ------
        object
            An item.
        """
        yield from tqdm(
            items, desc=f"{self.name}: {what}", leave=False, disable=not self.sample.progress
        )

    def relax(self, atoms: Atoms, what: str) -> float:
        """Relax atoms to the setting `fmax`; add a flag if this takes more than 300 steps.

        Parameters
        ----------
        atoms : ase.Atoms
            Structure; its atoms are moved.
        what : str
            Name of the structure, for the flag.

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
        """Add a flag if the model's noise makes a value uncertain by more than 1 %.

        Parameters
        ----------
        what : str
            Name of the quantity.
        value : float
            Value.
        error : float
            Standard error from the noise; NaN if unknown.
        unit : str
            Unit of both.
        """
        if error > 0.01 * abs(value):
            self.flags.append(
                f"{what}: {value:.4g} ± {error:.1g} {unit}".rstrip() + " from the model's noise, "
                f"{self.sample.noise().energy:.1g} eV/atom in energies; calculate it in double "
                "precision"
            )

    def cached(self, key: str, calculate: Callable[..., Any], *arguments: Any) -> Any:
        """Return a piece of work: from an interrupted run if it is there, otherwise calculated.

        Parameters
        ----------
        key : str
            Name of the piece, unique within the property.
        calculate : callable
            Function that returns the piece: numbers, strings, lists and dicts.
        *arguments
            Arguments of the function.

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
    """Draw values of several models as bars, and the reference as a line across them.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Axes.
    records : list of dict
        Record of each model.
    names : tuple of str
        Quantities; missing ones are left out.
    unit : str
        Label of the axis.
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
