# SPDX-License-Identifier: BSD-3-Clause
"""ASE calculator for the pair entropy and the Steinhardt parameters of a structure."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import islice
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, PropertyNotImplementedError, all_changes
from ase.data import atomic_numbers, chemical_symbols
from ase.geometry import minkowski_reduce
from ase.parallel import world
from ase.utils import IOContext

from ase_calculators.argument_checks import check_whole
from ase_calculators.first_shell import first_shell
from ase_calculators.frame_arrays import FrameArrays, FrameBlock
from cython_core import Kernel
from cython_core._kernel import density_of

# size of a batch: large enough to hide the cost of a call, small enough for the memory
FRAMES_PER_BATCH = 1024
ATOMS_PER_BATCH = 1_000_000

# limits of the kernel
DEGREES = (2, 4, 6, 8, 10, 12)
MAX_THREADS = 1024


class EntropySymmetry(Calculator):
    r"""Calculate the pair entropy sS, the Steinhardt parameter Q_l and their local forms.

    .. math::

        g(r) &= \frac{1}{4 \pi N \rho r^2} \sum_{i \neq j}
            \frac{e^{-(r - r_{ij})^2 / 2 \sigma^2}}{\sqrt{2 \pi \sigma^2}} \\
        sS &= -2 \pi \rho \int_0^{r_\mathrm{max}} [g \ln g - g + 1] r^2 dr \\
        q_{lm}(i) &= \sum_j f(r_{ij}) Y_{lm}(r_{ij}) / \sum_j f(r_{ij}) \\
        Q_l &= \Big[\frac{4 \pi}{2l + 1} \sum_m |\langle q_{lm} \rangle|^2\Big]^{1/2}

    sS is in k_B per atom and goes to minus infinity for a perfect crystal as sigma goes to 0, so
    that a value has a meaning only together with its parameters. Q_l averages q_lm over all atoms
    before the modulus is taken; the mean of the local q_l is another quantity.

    Parameters
    ----------
    rmax : float
        Upper end of the entropy integral, Å. Pairs up to ``rmax + 5 sigma`` count.
    sigma : float
        Gaussian broadening of g(r), Å.
    q6_cutoff : float
        Cutoff distance of the neighbours in the Steinhardt parameters and the neighbour averages,
        Å, for any `degree`.
    dr : float, optional
        Spacing of the radial grid, Å, at most sigma. Default ``sigma / 4``. It is rounded down so
        that rmax is a grid point.
    degree : int
        Even degree l, 2 to 12. The names of the properties carry it: "Q6", "local_q6", or "Q4",
        "local_q4" with ``degree=4``.
    elements : str or iterable of str, optional
        Elements whose atoms count, as centres, as neighbours and in the number density. The other
        atoms have zeros in per-atom arrays. Default: all atoms.
    number_density : float, optional
        Number density of the atoms that count, 1/Å^3. Default: their number over the cell volume.
        Required if a direction is not periodic, because the cell then has no meaningful volume.
    smooth : float
        Width below `q6_cutoff`, Å, over which the weight f of a neighbour falls from 1 to 0 as
        ``1 - u^3 (10 - 15 u + 6 u^2)``. 0 is a hard cutoff, with which Q_l jumps when a neighbour
        crosses it.
    threads : int
        Number of threads of the kernel. The values do not depend on it.

    Attributes
    ----------
    kernel : cython_core.Kernel
        The kernel with its tables.
    value_names : tuple of str
        ("sS", "Q6"), or with the degree in place of 6.

    Raises
    ------
    ValueError
        If a parameter is out of its range.

    Notes
    -----
    Properties, for `degree` 6, n atoms:

    ========================  ============  ======================================================
    name                      shape, unit   meaning
    ========================  ============  ======================================================
    "sS"                      float, k_B    pair entropy per atom
    "Q6"                      float         global Steinhardt parameter
    "local_sS"                (n,), k_B     pair entropy from each atom's own g(r)
    "local_q6"                (n,)          local q_l; 0 for an atom without neighbours
    "mean_sS"                 (n,), k_B     local_sS averaged over the atom and its neighbours
    "mean_q6"                 (n,)          q_l after averaging q_lm in this way (Lechner-Dellago)
    "n_neighbors"             (n,)          number of neighbours; sum of their weights f if smooth
    "sS_gradient"             (n, 3), 1/Å   derivative of sS by positions
    "Q6_gradient"             (n, 3), 1/Å   derivative of Q6 by positions
    "sS_strain_gradient"      (3, 3)        derivative of sS by a strain e of atoms and cell
    "Q6_strain_gradient"      (3, 3)        derivative of Q6 by a strain e of atoms and cell
    "radial_distribution"     (n_grid, 3)   columns r (Å), g(r), integral of sS up to r (k_B)
    ========================  ============  ======================================================

    The strain derivative of sS contains the change of the number density with the cell, unless
    `number_density` is given, which then stays. With a hard cutoff the gradient of Q_l is that
    between two jumps. The mean of "local_sS" is not "sS".

    A pair of atoms at the same place counts at r = 0 in g(r) and not as neighbours. In a cell
    smaller than the cutoffs the self images count; they are sharp peaks of g(r), so that sS of a
    small cell differs from that of a larger one as soon as the atoms move.

    References
    ----------
    P. M. Piaggi, O. Valsson, M. Parrinello, Phys. Rev. Lett. 119, 015701 (2017),
    doi:10.1103/PhysRevLett.119.015701; P. J. Steinhardt, D. R. Nelson, M. Ronchetti, Phys. Rev. B
    28, 784 (1983), doi:10.1103/PhysRevB.28.784; W. Lechner, C. Dellago, J. Chem. Phys. 129, 114707
    (2008), doi:10.1063/1.2977970.

    Examples
    --------
    >>> from ase.build import bulk
    >>> from ase_calculators import EntropySymmetry
    >>> atoms = bulk("Al", "fcc", a=4.05, cubic=True)
    >>> atoms.calc = EntropySymmetry(rmax=7.0, sigma=0.125, q6_cutoff=3.5)
    >>> sS, Q6 = (atoms.calc.get_property(name, atoms) for name in ("sS", "Q6"))
    >>> print(f"{sS:.2f} {Q6:.6f}")
    -24.48 0.574524
    >>> atoms.calc.get_property("n_neighbors", atoms)
    array([12., 12., 12., 12.])
    """

    ignored_changes = {"initial_charges", "initial_magmoms"}  # noqa: RUF012, as in ASE
    use_cache = False  # `calculate` copies the atoms; ASE would copy them twice

    def __init__(
        self,
        rmax: float,
        sigma: float,
        q6_cutoff: float,
        dr: float | None = None,
        degree: int = 6,
        elements: str | Iterable[str] | None = None,
        number_density: float | None = None,
        smooth: float = 0.0,
        threads: int = 1,
    ) -> None:
        super().__init__(
            rmax=rmax,
            sigma=sigma,
            q6_cutoff=q6_cutoff,
            dr=dr,
            degree=degree,
            elements=elements,
            number_density=number_density,
            smooth=smooth,
            threads=threads,
        )

    @classmethod
    def suggest(
        cls,
        frames: Atoms | Iterable[Atoms],
        logfile: Any = "-",
        **parameters: Any,
    ) -> "EntropySymmetry":
        r"""Return a calculator whose rmax, sigma and q6_cutoff suit the structures.

        They follow from the first shell of neighbours, at the mean distance d, of all structures
        together:

        - `q6_cutoff` is the end of that shell, the first minimum of g(r) after it. Shells closer
          together than 9 % of the distance count as one, such as the 8 + 6 neighbours of bcc.
        - `sigma` is d / 20.
        - `rmax` is 4 d, or less if an atom of the smallest cell would see its own image, which is a
          sharp peak in g(r): ``rmax + 5 sigma`` is at most the shortest lattice vector. It is at
          least 2 d; below that, sS no longer distinguishes structures.

        Parameters
        ----------
        frames : ase.Atoms or iterable of ase.Atoms
            Structures to be compared with each other; a few dozen of a large set are enough.
            Include different states, such as crystal and melt, and the smallest cell.
        logfile : str, path-like, file object or None
            File for the choice and its reasons, with the line for a LAMMPS deck; "-" is standard
            output, None writes nothing.
        **parameters
            Parameters of the constructor. Given values are kept: ``suggest(frames, sigma=0.2)``
            chooses only the other two.

        Returns
        -------
        EntropySymmetry
            The calculator.

        Raises
        ------
        TypeError
            If a frame is not an ase.Atoms.
        ValueError
            If there is no frame, a frame has no pair of atoms or lacks one of the `elements`, or
            g(r) has no minimum after a first shell, as in a gas.

        Examples
        --------
        >>> from ase.build import bulk
        >>> calc = EntropySymmetry.suggest(bulk("Al", cubic=True) * 4)
        Parameters from 1 frame (Al):
          q6_cutoff = 3.48  end of the first shell: 12.0 neighbours at 2.86 Å on average
          sigma     = 0.14  a twentieth of that distance
          rmax      = 11    four times that distance
        compute es all entsym rmax 11 sigma 0.14 q6cut 3.48
        """
        frames = [frames] if isinstance(frames, Atoms) else list(frames)
        selection = cls(1.0, 0.1, 1.0, elements=parameters.get("elements"))
        structures, vectors = [], []
        for number, atoms in enumerate(frames):
            if not isinstance(atoms, Atoms):
                raise TypeError(f"frame {number}: must be ase.Atoms, is {type(atoms).__name__}")
            try:
                selected = selection._selected(atoms)
                positions = atoms.positions if selected is None else atoms.positions[selected]
                cell, pbc = atoms.cell.array, atoms.pbc
                selection.kernel.evaluate(positions, cell, pbc, number_density=1.0)
            except ValueError as error:
                raise ValueError(f"frame {number}: {error}") from error
            structures.append((positions, cell, pbc))
            if pbc.any():
                reduced, _ = minkowski_reduce(atoms.cell.complete(), pbc)
                vectors.append(np.linalg.norm(reduced[pbc], axis=1).min())
        if not frames:
            raise ValueError("frames: there are none; give at least one structure")
        shell = first_shell(structures)

        sigma = parameters.setdefault("sigma", _rounded(shell.distance / 20, 2))
        longest = min(vectors, default=np.inf) - 5 * sigma
        wide, narrow = 4 * shell.distance, 2 * shell.distance
        parameters.setdefault("rmax", _rounded(np.clip(longest, narrow, wide), 2))
        parameters.setdefault("q6_cutoff", _rounded(shell.end, 3))
        calc = cls(**parameters)
        reasons = {
            "q6_cutoff": f"end of the first shell: {shell.coordination:.1f} neighbours at "
            f"{shell.distance:.3g} Å on average",
            "sigma": "a twentieth of that distance",
            "rmax": "four times that distance"
            if longest >= wide
            else "as far as the smallest cell allows without images of the same atom"
            if longest >= narrow
            else "twice that distance; the smallest cell is smaller, so that images of the same "
            "atom count: compare cells of one size",
        }
        symbols = sorted({symbol for atoms in frames for symbol in set(atoms.symbols)})
        counted = calc.parameters["elements"] or symbols
        lines = [
            f"Parameters from {len(frames)} frame{'s' * (len(frames) > 1)} ({', '.join(counted)}):"
        ]
        lines += [f"  {name:9} = {calc.parameters[name]:<5g} {reasons[name]}" for name in reasons]
        if len(counted) > 1:
            lines.append("  All elements share one g(r); elements= takes one sublattice.")
        with IOContext() as files:
            log = files.openfile(logfile, comm=world, mode="a")
            log.write("\n".join([*lines, calc.lammps_command()]) + "\n")
        return calc

    def lammps_command(self, compute_id: str = "es", group: str = "all") -> str:
        """Return the LAMMPS command that computes the same sS and Q_l.

        Parameters
        ----------
        compute_id : str
            ID of the compute.
        group : str
            LAMMPS group of the atoms that count; with `elements`, define it by their atom types.

        Returns
        -------
        str
            ``compute ID group entsym rmax ... sigma ... q6cut ...``, in the length unit of this
            calculator, and with dr, degree, density and smooth if they are not the defaults.

        Examples
        --------
        >>> EntropySymmetry(rmax=8.0, sigma=0.125, q6_cutoff=3.6, degree=4).lammps_command()
        'compute es all entsym rmax 8 sigma 0.125 q6cut 3.6 degree 4'
        """
        keywords = {"rmax": "rmax", "sigma": "sigma", "q6_cutoff": "q6cut"}
        defaults = {"dr": None, "degree": 6, "number_density": None, "smooth": 0.0}
        names = {"number_density": "density"}
        for name, default in defaults.items():
            if self.parameters[name] != default:
                keywords[name] = names.get(name, name)
        words = [f"{word} {self.parameters[name]:.15g}" for name, word in keywords.items()]
        return f"compute {compute_id} {group} entsym {' '.join(words)}"

    def set(self, **kwargs: Any) -> dict[str, Any]:
        """Change parameters; if any of them changes, the results are dropped.

        Parameters
        ----------
        **kwargs
            Parameters of the constructor.

        Returns
        -------
        dict
            The parameters that changed.

        Raises
        ------
        TypeError
            If there is no such parameter, or it must be a number and is not.
        ValueError
            If a parameter is out of its range; the calculator then stays as it was.
        """
        allowed = (
            "rmax", "sigma", "q6_cutoff", "dr", "degree", "elements", "number_density", "smooth",
            "threads",
        )  # fmt: skip
        for name in kwargs:
            if name not in allowed:
                raise TypeError(f"{name}: no such parameter; choose from {', '.join(allowed)}")
        new = {**self.parameters, **kwargs}
        new["elements"] = _resolved_elements(new["elements"])
        for name in ("rmax", "sigma", "q6_cutoff", "dr", "smooth", "number_density", "degree"):
            if new[name] is not None or name not in ("dr", "number_density"):
                new[name] = _resolved_number(name, new[name])
        density_of(new["number_density"])
        if new["degree"] not in DEGREES:
            raise ValueError(
                f"degree = {new['degree']:g}: must be one of {', '.join(map(str, DEGREES))}"
            )
        new["degree"] = int(new["degree"])
        check_whole("threads", new["threads"], 1, MAX_THREADS)
        names = ("rmax", "sigma", "q6_cutoff", "dr", "degree", "smooth")
        kernel = Kernel(**{name: new[name] for name in names})

        changed = super().set(**{name: new[name] for name in allowed})
        if changed:
            self.reset()
            self.kernel = kernel
            degree = kernel.degree
            self.value_names = ("sS", f"Q{degree}")
            self._local = {
                "local_sS": "sS",
                f"local_q{degree}": "Q",
                "mean_sS": "mean_sS",
                f"mean_q{degree}": "mean_Q",
                "n_neighbors": "n_neighbors",
            }
            self._gradients = {
                "sS_gradient": "sS_gradient",
                f"Q{degree}_gradient": "Q_gradient",
                "sS_strain_gradient": "sS_strain_gradient",
                f"Q{degree}_strain_gradient": "Q_strain_gradient",
            }
            self.implemented_properties = [
                *self.value_names,
                *self._local,
                *self._gradients,
                "radial_distribution",
            ]
        return changed

    def todict(self, skip_default: bool = False) -> dict[str, Any]:
        """Return the parameters that define the values, with the `dr` in use.

        Parameters
        ----------
        skip_default : bool
            No effect: every parameter is part of the definition.

        Returns
        -------
        dict
            rmax, sigma, dr, q6_cutoff, degree, smooth, elements (list or None) and number_density.
            ``EntropySymmetry(**calc.todict())`` gives the same values.

        Examples
        --------
        >>> EntropySymmetry(rmax=8.0, sigma=0.125, q6_cutoff=3.6).todict()["dr"]
        0.03125
        """
        elements = self.parameters["elements"]
        return {
            **self.kernel.parameters,
            "elements": None if elements is None else list(elements),
            "number_density": self.parameters["number_density"],
        }

    def get_property(
        self, name: str, atoms: Atoms | None = None, allow_calculation: bool = True
    ) -> Any:
        """Return one property of the class's table, calculated or from the last calculation.

        Parameters
        ----------
        name : str
            Name of the property.
        atoms : ase.Atoms, optional
            The structure. Default: that of the last calculation.
        allow_calculation : bool
            Whether it may be calculated; if not, None is returned for an unknown value.

        Returns
        -------
        float or ndarray
            The value, or a copy of the array.

        Raises
        ------
        ase.calculators.calculator.PropertyNotImplementedError
            If there is no such property.
        ValueError
            If the structure has no such value; see `evaluate`.
        """
        if name not in self.implemented_properties:
            raise PropertyNotImplementedError(
                f"property {name!r}: with degree = {self.kernel.degree} choose from "
                f"{', '.join(self.implemented_properties)}"
            )
        return super().get_property(name, atoms, allow_calculation)

    def check_state(self, atoms: Atoms, tol: float = 0.0) -> list[str]:
        """Return what differs from the atoms of the last calculation.

        ASE's own comparison takes longer than the calculation of a small structure.

        Parameters
        ----------
        atoms : ase.Atoms
            The structure.
        tol : float
            No effect: any difference counts.

        Returns
        -------
        list of str
            From "positions", "numbers", "cell" and "pbc"; all of ASE's if there is no calculation.
        """
        known = self.atoms
        if known is None:
            return list(all_changes)
        pairs = {
            "positions": (known.positions, atoms.positions),
            "numbers": (known.numbers, atoms.numbers),
            "cell": (known.cell.array, atoms.cell.array),
            "pbc": (known.pbc, atoms.pbc),
        }
        return [name for name, (a, b) in pairs.items() if a.tobytes() != b.tobytes()]

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Iterable[str] = ("sS",),
        system_changes: Iterable[str] = all_changes,
    ) -> None:
        """Calculate `properties` and all that the kernel returns with them.

        Parameters
        ----------
        atoms : ase.Atoms, optional
            The structure. Default: that of the last calculation.
        properties : iterable of str
            Names of the class's table.
        system_changes : iterable of str
            Differences from the last calculation; without any, its results are kept.
        """
        # not that of ASE, which looks for its folder on the disk: no files are written
        if atoms is not None:
            self.atoms = atoms.copy()
        if system_changes:
            self.results = {}
        atoms = self.get_atoms() if atoms is None else atoms
        selected = self._selected(atoms)
        structure = {
            "positions": atoms.positions if selected is None else atoms.positions[selected],
            "cell": atoms.cell.array,
            "pbc": atoms.pbc,
            "number_density": self.parameters["number_density"],
            "threads": self.parameters["threads"],
        }
        wanted = {name for name in properties if name not in self.results}
        if wanted & set(self.value_names):
            self.results.update(
                zip(self.value_names, self.kernel.evaluate(**structure), strict=True)
            )
        if wanted & set(self._local):
            values = self.kernel.local(**structure)
            for name, key in self._local.items():
                self.results[name] = _scatter(values[key], selected)
        if wanted & set(self._gradients):
            values = self.kernel.gradients(**structure)
            self.results.update(zip(self.value_names, (values["sS"], values["Q"]), strict=True))
            for name, key in self._gradients.items():
                is_strain = name.endswith("_strain_gradient")
                self.results[name] = values[key] if is_strain else _scatter(values[key], selected)
        if "radial_distribution" in wanted:
            g, running = self.kernel.radial_distribution(**structure)
            self.results["radial_distribution"] = np.column_stack([self.kernel.r, g, running])

    def evaluate(self, frames: Iterable[Atoms | FrameArrays] | FrameBlock) -> dict[str, np.ndarray]:
        """Return sS and Q_l of many structures at once.

        Parameters
        ----------
        frames : iterable of ase.Atoms or FrameArrays, or FrameBlock
            Structures; an iterator is read in batches, never held as a whole.

        Returns
        -------
        dict of str to (n_frames,) float64
            "sS", k_B per atom, and "Q6", or with the degree in place of 6.

        Raises
        ------
        TypeError
            If a frame is not an ase.Atoms.
        ValueError
            If a frame, which the message names, has no atoms, a single atom without a periodic
            direction, positions that are not finite, a singular cell, a direction that is not
            periodic without `number_density`, or lacks one of the `elements`.

        Examples
        --------
        >>> from ase.build import bulk
        >>> calc = EntropySymmetry(rmax=7.0, sigma=0.125, q6_cutoff=3.5)
        >>> values = calc.evaluate(bulk("Al", "fcc", a=a) for a in (4.0, 4.1))
        >>> values["Q6"].round(6)
        array([0.574524, 0.574524])
        """
        if type(frames) is list and len(frames) == 1 and isinstance(frames[0], Atoms):
            atoms = frames[0]  # no copies
            try:
                selected = self._selected(atoms)
            except ValueError as error:
                raise ValueError(f"frame 0: {error}") from error
            x = atoms.positions if selected is None else atoms.positions[selected]
            values = self._evaluate_one(x, atoms.cell.array, atoms.pbc, 0)
            return {name: np.array([v]) for name, v in zip(self.value_names, values, strict=True)}
        if isinstance(frames, Atoms) or not isinstance(frames, Iterable):
            kind = type(frames).__name__
            raise TypeError(f"frames: must be an iterable of Atoms, not one {kind}; pass [atoms]")
        parts = [np.empty((0, 2))]
        n_done = 0
        if isinstance(frames, FrameBlock) and self.parameters["elements"] is None:
            parts.append(self._evaluate_block(frames, 0))
        else:
            remaining = iter(frames)
            while len(block := self._next_block(remaining, n_done)):
                parts.append(self._evaluate_block(block, n_done))
                n_done += len(block)
        return dict(zip(self.value_names, np.concatenate(parts).T.copy(), strict=True))

    def _next_block(self, frames: Iterator[Atoms | FrameArrays], first: int) -> FrameBlock:
        """Return what counts of the next `frames`; errors count from `first`."""
        taken: list[FrameArrays] = []
        n_atoms = 0
        for frame in islice(frames, FRAMES_PER_BATCH):
            if isinstance(frame, Atoms):  # a copy: an iterator may yield one object that it moves
                frame = FrameArrays.of(frame)
            elif not isinstance(frame, FrameArrays):
                raise TypeError(
                    f"frame {first + len(taken)}: must be ase.Atoms, is {type(frame).__name__}"
                )
            n_atoms += len(frame)
            try:
                selected = self._selected(frame)
            except ValueError as error:
                raise ValueError(f"frame {first + len(taken)}: {error}") from error
            if selected is not None:
                frame = replace(
                    frame, numbers=frame.numbers[selected], positions=frame.positions[selected]
                )
            taken.append(frame)
            if n_atoms >= ATOMS_PER_BATCH:
                break
        return FrameBlock.of(taken)

    def _evaluate_block(self, block: FrameBlock, first: int) -> np.ndarray:
        """Return sS and Q_l of all atoms of frames, (n_frames, 2); errors count from `first`."""
        density, threads = self.parameters["number_density"], self.parameters["threads"]
        x, cells, pbc = block.positions, block.cells, block.pbc
        if len(block) == 1:
            return np.array([self._evaluate_one(x, cells[0], pbc[0], first)])
        try:
            return self.kernel.evaluate_batch(x, block.offsets, cells, pbc, density, threads)
        except ValueError:
            # the kernel counts from this block, the caller from the first frame
            for k, frame in enumerate(block):
                try:
                    self.kernel.evaluate(frame.positions, frame.cell, frame.pbc, density)
                except ValueError as error:
                    raise ValueError(f"frame {first + k}: {error}") from error
            raise

    def _evaluate_one(
        self, positions: np.ndarray, cell: np.ndarray, pbc: np.ndarray, number: int
    ) -> tuple[float, float]:
        """Return sS and Q_l of one frame, whose atoms the threads share out."""
        density, threads = self.parameters["number_density"], self.parameters["threads"]
        try:
            return self.kernel.evaluate(positions, cell, pbc, density, threads)
        except ValueError as error:
            raise ValueError(f"frame {number}: {error}") from error

    def _selected(self, atoms: Atoms | FrameArrays) -> np.ndarray | None:
        """Return the mask of the atoms that count, or None for all."""
        elements = self.parameters["elements"]
        if elements is None:
            return None
        for symbol in elements:
            if not (atoms.numbers == atomic_numbers[symbol]).any():
                present = sorted({chemical_symbols[z] for z in atoms.numbers})
                raise ValueError(
                    f"elements: {symbol} is not in the structure, which has "
                    f"{', '.join(present) or 'no atoms'}; name elements that every structure has"
                )
        selected = np.isin(atoms.numbers, [atomic_numbers[symbol] for symbol in elements])
        # the kernel would count among the selected atoms
        broken = selected & ~np.isfinite(atoms.positions).all(axis=1)
        if broken.any():
            raise ValueError(
                f"positions: atom {broken.argmax()} is not finite; remove or repair it"
            )
        return selected


def _rounded(value: float, digits: int) -> float:
    """Return the value rounded to a number of significant digits."""
    return float(f"{value:.{digits}g}")


def _resolved_number(name: str, value: Any) -> float:
    """Return the number as a Python float, which can be written to any file."""
    try:
        if not isinstance(value, str | bytes | bool | np.bool_):
            return float(value)
    except OverflowError:
        return np.inf if value > 0 else -np.inf
    except (TypeError, ValueError):
        pass
    raise TypeError(f"{name} = {value!r}: must be a number; it is a {type(value).__name__}")


def _resolved_elements(elements: str | Iterable[str] | None) -> tuple[str, ...] | None:
    """Return the symbols as a tuple, each known to ASE."""
    if elements is None:
        return None
    if not isinstance(elements, Iterable):
        raise TypeError(f"elements = {elements!r}: must be symbols, such as 'Si' or ['Si', 'C']")
    symbols = (elements,) if isinstance(elements, str) else tuple(elements)
    if not symbols:
        raise ValueError(
            "elements = (): no atom counts; name an element, or give None for all atoms"
        )
    for symbol in symbols:
        if not isinstance(symbol, str) or symbol not in atomic_numbers:
            raise ValueError(f"elements: {symbol!r} is not a chemical symbol; write it like 'Si'")
    return symbols


def _scatter(values: np.ndarray, selected: np.ndarray | None) -> np.ndarray:
    """Return per-atom values in the order of all atoms, zero for those that do not count."""
    if selected is None:
        return values
    scattered = np.zeros((len(selected), *values.shape[1:]))
    scattered[selected] = values
    return scattered
