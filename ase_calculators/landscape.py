# SPDX-License-Identifier: BSD-3-Clause
"""Entropy-symmetry landscapes: from many frames to a table, from a table to a picture."""

import warnings
from collections.abc import Iterable, Iterator
from concurrent.futures import Executor
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from os import PathLike, fspath
from os.path import realpath
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, NoReturn, TextIO

import numpy as np
from tqdm.auto import tqdm

from ase_calculators.argument_checks import check_whole
from ase_calculators.entropy_symmetry import EntropySymmetry
from ase_calculators.frame_arrays import FrameArrays, FrameBlock
from ase_calculators.frame_source import (
    Frame,
    Thermo,
    frame_files,
    open_frames,
    read_block,
    read_thermo,
    source_units,
    with_step,
)
from ase_calculators.frame_table import FrameTable
from ase_calculators.frame_table import write_rows as _write_rows
from ase_calculators.lammps_units import check_units
from ase_calculators.parallel import OrderedPool
from ase_calculators.provenance import versions
from ase_calculators.text_file import reason_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# largest piece of work for one process: frames or bytes, whichever is reached first
FRAMES_PER_PIECE = 256
BYTES_PER_PIECE = 4_000_000


@dataclass(eq=False)
class LandscapeTable(FrameTable):
    """Hold sS and Q_l of many frames, with their files and parameters.

    Attributes
    ----------
    frame : (n,) int64
        Number of the frame within its file, or within the iterable, from 0.
    file : (n,) str
        File of the frame; empty for frames that came from an iterable.
    sS : (n,) float64
        Pair entropy, k_B per atom.
    Q : (n,) float64
        Global Steinhardt parameter of the degree in `parameters`.
    n_atoms : (n,) int64
        Number of all atoms of the frame, including those that `elements` leaves out.
    volume : (n,) float64
        Cell volume, Å^3; NaN without a cell.
    energy : (n,) float64
        Potential energy of the frame, eV; NaN if unknown.
    parameters : dict
        rmax, sigma, dr, q6_cutoff, degree, smooth, elements, number_density and the version of the
        package.
    skipped : list of (str, int, str)
        File, number and reason of each frame without a row.

    Examples
    --------
    >>> from ase.build import bulk
    >>> calc = EntropySymmetry(rmax=7.0, sigma=0.125, q6_cutoff=3.5)
    >>> table = map_landscape([bulk("Al", "fcc", a=4.05)], calc, progress=False)
    >>> len(table), table.Q6.round(6), table.parameters["sigma"]
    (1, array([0.574524]), 0.125)
    """

    TITLE: ClassVar = "entsym"
    UNITS: ClassVar = "sS k_B per atom, volume Å^3, energy eV per frame"
    KIND: ClassVar = ("landscape", "map_landscape", "map the landscape again")

    frame: np.ndarray
    file: np.ndarray
    sS: np.ndarray
    Q: np.ndarray
    n_atoms: np.ndarray
    volume: np.ndarray
    energy: np.ndarray
    parameters: dict[str, Any]
    skipped: list[tuple[str, int, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        for name, dtype in (
            ("frame", np.int64), ("file", np.str_), ("sS", float), ("Q", float),
            ("n_atoms", np.int64), ("volume", float), ("energy", float),
        ):  # fmt: skip
            column = np.asarray(getattr(self, name), dtype=dtype)
            if column.shape != (len(self.frame),):
                raise ValueError(
                    f"{name}: has shape {column.shape}; every column must be as long as frame, "
                    f"{len(self.frame)}"
                )
            setattr(self, name, column)

    @staticmethod
    def _names(parameters: dict[str, Any]) -> list[str]:
        return ["frame", "file", "sS", f"Q{parameters['degree']}", "n_atoms", "volume", "energy"]

    @classmethod
    def _of(
        cls, columns: dict[str, Any], parameters: dict[str, Any], skipped: Any
    ) -> "LandscapeTable":
        """Return the table of columns of text; refuse rows that no frame can have."""
        if any(len(entry) != 3 for entry in skipped):
            raise ValueError("'# skipped: ' must be followed by [file, number, reason]")
        fields: dict[str, Any] = dict(zip(_Rows._fields, columns.values(), strict=True))
        dtypes = {"frame": np.int64, "n_atoms": np.int64, "file": np.str_}
        for name, column in fields.items():
            try:
                fields[name] = np.array(column, dtype=dtypes.get(name, float))
            except (ValueError, OverflowError):
                _locate(name, column, dtypes.get(name, float))
        table = cls(**fields, parameters=parameters, skipped=skipped)
        faults = {
            "sS must be a finite number": ~np.isfinite(table.sS),
            f"{cls._names(parameters)[3]} must be from 0 to 1": ~(
                (table.Q >= 0) & (table.Q < 1.001)
            ),
            "frame must be 0 or more": table.frame < 0,
            "n_atoms must be 1 or more": table.n_atoms < 1,
            "volume must be above 0, or nan": ~(np.isnan(table.volume) | (table.volume > 0)),
            "energy must be finite, or nan": np.isinf(table.energy),
        }
        for fault, rows in faults.items():
            if rows.any():
                raise ValueError(f"row {np.flatnonzero(rows)[0] + 1}: {fault}")
        _check_frames(table)
        return table

    @property
    def Q6(self) -> np.ndarray:
        """Return Q of a table of degree 6.

        Returns
        -------
        (n,) float64
            The same array.

        Raises
        ------
        AttributeError
            If the table is of another degree.
        """
        if self.parameters["degree"] != 6:
            raise AttributeError(
                f"Q6: this table holds Q{self.parameters['degree']}; read it from .Q"
            )
        return self.Q

    @property
    def columns(self) -> dict[str, np.ndarray]:  # type: ignore[override]
        """Return the columns by their names in files.

        Returns
        -------
        dict of str to ndarray
            frame, file, sS, Q6 (or with another degree), n_atoms, volume, energy.
        """
        values = (
            self.frame, self.file, self.sS, self.Q, self.n_atoms, self.volume, self.energy,
        )  # fmt: skip
        return dict(zip(self._names(self.parameters), values, strict=True))

    def take(self, rows: Any) -> "LandscapeTable":
        """Return some rows as a table.

        Parameters
        ----------
        rows : (k,) int, (n,) bool or slice
            The rows, as NumPy takes them.

        Returns
        -------
        LandscapeTable
            Copies of these rows, with the same `parameters` and without skipped frames.

        Raises
        ------
        IndexError
            If there is no such row.
        """
        columns = {name: getattr(self, name)[rows].copy() for name in _Rows._fields}
        return replace(self, **columns, parameters=dict(self.parameters), skipped=[])


def _locate(name: str, column: Any, dtype: Any) -> NoReturn:
    """Raise ValueError for the first word of a column that is not a number."""
    for number, word in enumerate(column):
        try:
            np.array(word, dtype=dtype)
        except (ValueError, OverflowError) as error:
            raise ValueError(f"{reason_of(error)} in row {number + 1}, column {name}") from None
    raise ValueError(f"{name}: must be numbers")


def _check_frames(table: LandscapeTable) -> None:
    """Check that no frame is there twice, or missing between others."""
    rows: dict[str, dict[int, str]] = {}
    numbers = zip(table.file.tolist(), table.frame.tolist(), strict=True)
    for place, (file, frame) in [
        *((f"row {k + 1}", entry) for k, entry in enumerate(numbers)),
        *((f"skipped entry {k + 1}", entry[:2]) for k, entry in enumerate(table.skipped)),
    ]:
        seen = rows.setdefault(file, {})
        if frame in seen:
            of_file = f" of {file}" if file else ""
            raise ValueError(f"{place}: frame {frame}{of_file} is in {seen[frame]} already")
        seen[frame] = place
    for file, seen in rows.items():
        frames = np.sort(np.array(list(seen), dtype=np.int64))
        steps = np.diff(frames)
        if len(set(steps.tolist())) > 1:  # with a stride, the distances are equal
            stride = int(steps.min())
            before = int(frames[np.flatnonzero(steps != stride)[0]])
            of_file = f" of {file}" if file else ""
            raise ValueError(
                f"{seen[before]}: frame {before + stride}{of_file} is missing after it"
            )


class _Rows(NamedTuple):
    """Rows of the table, which take less memory by column; in the order of the columns."""

    frame: np.ndarray
    file: list[str]
    sS: np.ndarray
    Q: np.ndarray
    n_atoms: np.ndarray
    volume: np.ndarray
    energy: np.ndarray


def _pieces(frames: Iterable[Frame]) -> Iterator[list[Frame]]:
    """Group frames into pieces of work."""
    piece: list[Frame] = []
    size = 0
    for frame in frames:
        piece.append(frame)
        content = frame.content
        size += len(content) if isinstance(content, bytes) else 0
        size += content.positions.nbytes if isinstance(content, FrameArrays) else 0
        if len(piece) >= FRAMES_PER_PIECE or size >= BYTES_PER_PIECE:
            yield piece
            piece, size = [], 0
    if piece:
        yield piece


# --- mapping --------------------------------------------------------------------------------------


def _map_piece(
    calc: EntropySymmetry, options: dict[str, Any], thermo: Thermo | None, piece: list[Frame]
) -> tuple[_Rows, list[tuple[str, int, str]]]:
    """Return the rows of one piece of work, and the frames that failed."""
    block, places, errors = read_block(piece, options, thermo is None)
    skipped = [(piece[k].file, piece[k].number, reason_of(error)) for k, error in errors]
    try:
        values = np.column_stack(list(calc.evaluate(block).values()))
    except ValueError:
        good, parts = [], []
        for place, arrays in zip(places, block, strict=True):
            try:
                parts.append(np.array(list(calc.evaluate([arrays]).values())).T)
                good.append((place, arrays))
            except ValueError as error:
                reason = reason_of(ValueError(str(error).removeprefix("frame 0: ")))
                skipped.append((piece[place].file, piece[place].number, reason))
        places = [place for place, _ in good]
        block = FrameBlock.of([arrays for _, arrays in good])
        values = np.concatenate([np.empty((0, 2)), *parts])

    spanned = (block.cells != 0).any(axis=2).sum(axis=1) == 3
    volumes = np.where(spanned, np.abs(np.linalg.det(block.cells)), np.nan)
    frames = [piece[place] for place in places]
    n_atoms = np.diff(block.offsets)
    energies = block.energies
    if thermo is not None:
        steps = [np.nan if f.step is None else thermo.energies.get(f.step, np.nan) for f in frames]
        energies = np.array(steps) * (n_atoms if thermo.per_atom else 1)
    numbers = np.array([frame.number for frame in frames], dtype=np.int64)
    files = [frame.file for frame in frames]
    rows = _Rows(
        numbers, files, values[:, 0].copy(), values[:, 1].copy(), n_atoms, volumes, energies
    )
    return rows, skipped


class _Output:
    """Write the CSV of a map; if the disk is full, the map continues in memory."""

    def __init__(self, path: str | PathLike[str], parameters: dict[str, Any]) -> None:
        self.path = fspath(path)
        self.file: TextIO | None
        self.file = open(self.path, "w", encoding="utf-8", newline="")  # noqa: SIM115
        try:
            LandscapeTable.write_head(self.file, parameters)
            self.file.flush()
        except OSError as error:  # nothing is lost yet
            self._close()
            raise OSError(f"output = {self.path!r}: cannot be written: {error}") from error

    def __enter__(self) -> "_Output":
        return self

    def __exit__(self, *error: object) -> None:
        self._close()

    def _close(self) -> None:
        if self.file:
            with suppress(OSError):  # it was flushed; the error has been reported
                self.file.close()
        self.file = None

    def add(self, rows: _Rows, skipped: list[tuple[str, int, str]]) -> None:
        if self.file is None:
            return
        try:
            frame, file, *columns = rows
            lists = frame.tolist(), file, *(column.tolist() for column in columns)
            _write_rows(self.file, [*zip(*lists, strict=True)], skipped)
        except OSError as error:
            self._close()
            warnings.warn(
                f"output = {self.path!r}: cannot be written any more: {error}; the table that is "
                "returned is complete, write it elsewhere",
                stacklevel=3,
            )


def map_landscape(
    source: str | PathLike[str] | Iterable[Any],
    calc: EntropySymmetry,
    processes: int = 1,
    energies: str | PathLike[str] | None = None,
    stride: int = 1,
    output: str | PathLike[str] | None = None,
    format: str | None = None,
    progress: bool = True,
    executor: Executor | None = None,
    **read_options: Any,
) -> LandscapeTable:
    """Calculate sS and Q_l of every frame of files or of an iterable.

    Frames are read, calculated and dropped piece by piece, and a progress bar counts them. LAMMPS
    text dumps and (extended) XYZ files are cut into frames here, so that their size does not
    matter; other formats stream as far as ASE's own reader does. The table does not depend on
    `processes` and `executor`.

    Parameters
    ----------
    source : path-like, or iterable of path-like, or iterable of ase.Atoms
        A file of any format that ASE reads, a glob pattern such as "run*/POSCAR" (sorted), several
        files, or structures. Each structure is copied when it is read, so that a generator may
        yield one object that moves.
    calc : EntropySymmetry
        Calculator with the parameters.
    processes : int
        Number of processes, which also read the frames of dumps and XYZ files. On platforms that
        start processes afresh, a script needs ``if __name__ == "__main__":`` around its calls.
    energies : path-like or "extxyz", optional
        A LAMMPS log, or any text with a table whose columns include Step or TimeStep and PotEng,
        c_thermo_pe, v_pe or pe. Its energies are matched by the timestep of each frame of a dump or
        an extended XYZ file (or ``atoms.info["timestep"]``) and converted to eV from the units that
        the log, the dump (``ITEM: UNITS``) or `units` name; if none of them does, it is refused.
        Default, and "extxyz": the energy stored with each frame, as in `stored_energy`; NaN if
        there is none.
    stride : int
        Step between the frames taken of each source, from the first.
    output : path-like, optional
        CSV file that grows with the frames, so that an interrupted job loses little. An older file
        is overwritten; `LandscapeTable.read` reads it, complete or not.
    format : str, optional
        ASE's name of the file format. Default: as ASE guesses.
    progress : bool
        Whether to show the progress bar.
    executor : concurrent.futures.Executor, optional
        Executor that works on the frames in place of `processes`, such as that of a cluster; see
        "From a laptop to a cluster". The files are read here, and the executor is not shut down.
    **read_options
        Options of the reader. For dumps without an `element` column: ``specorder=["Si", "C"]``
        names the elements of types 1, 2; without it they are H, He. ``units="electron"`` names the
        LAMMPS units of dumps and of the log if the files do not; without it, lengths of a dump are
        in the units of the log, or in Å, whatever another file says. In lj units, lengths are in
        sigma and energies in epsilon, also for the parameters of `calc` and in the table, whose
        ``parameters`` record it.
        ``pbc=False`` is for dumps that do not name boundaries and are not periodic.

    Returns
    -------
    LandscapeTable
        A row per good frame, in order. Frames that could not be read or have no value are listed
        in its ``skipped`` and in a warning.

    Raises
    ------
    FileNotFoundError
        If a file does not exist or a pattern matches none.
    ValueError
        If no frame is good, a file comes twice, or the energies cannot be matched or their units
        are unknown or contradictory.
    BrokenExecutor
        If frames kill the process that works on them again and again, or `executor` has lost a
        process and cannot continue.
    OSError
        If `output` cannot be opened. If it fails later, there is a warning, and the table is
        returned.

    Examples
    --------
    >>> from ase.build import bulk
    >>> calc = EntropySymmetry(rmax=7.0, sigma=0.125, q6_cutoff=3.5)
    >>> frames = [bulk("Al", "fcc", a=4.05, cubic=True) * (2, 2, 2) for _ in range(3)]
    >>> for seed, atoms in enumerate(frames):
    ...     atoms.rattle(0.05 * seed, seed=seed)
    >>> map_landscape(frames, calc, progress=False).sS.round(1)
    array([-24.5, -20.4, -11.5])
    """
    pool, stride = OrderedPool(processes, executor=executor), check_whole("stride", stride)
    paths = frame_files(source) or []
    known: set[str] = set()
    for path in paths:
        if realpath(path) in known:
            raise ValueError(f"source: names the file {path!r} twice; name each once")
        known.add(realpath(path))
    units = read_options.get("units")
    check_units(units)
    thermo = None
    if energies is not None and energies != "extxyz":
        thermo = read_thermo(energies, source_units(paths, format, units))
        units = read_options["units"] = thermo.units
    elif source_units(paths[:1], format, units) == "lj":  # lengths and the table are in sigma
        units = read_options["units"] = "lj"
    frames, total = open_frames(source, format, stride, read_options)
    # a new calculator: the caller's may carry atoms and results into every process
    calc = EntropySymmetry(**calc.todict(), threads=calc.parameters["threads"])
    parameters = table_parameters(calc) | ({"units": "lj"} if units == "lj" else {})

    parts: list[_Rows] = []
    skipped: list[tuple[str, int, str]] = []
    function = partial(_map_piece, calc, read_options, thermo)
    pieces = _pieces(with_step(frames, energies) if thermo else frames)
    with ExitStack() as stack:
        file = None if output is None else stack.enter_context(_Output(output, parameters))
        bar = stack.enter_context(tqdm(total=total, unit=" frames", disable=not progress))
        stack.enter_context(pool)
        for piece, future in pool.map(function, pieces, _name):
            rows, new_skipped = future.result()
            parts.append(rows)
            skipped += new_skipped
            if file:
                file.add(rows, new_skipped)
            bar.update(len(piece))

    n_good = sum(len(rows.frame) for rows in parts)
    if not n_good:
        reason = "it has no frames; check the path or the iterable"
        if skipped:
            reason = f"no frame is good; the first: {_describe(skipped[0])}"
        raise ValueError(f"source: {reason}")
    if skipped:
        warnings.warn(
            f"{len(skipped)} of {n_good + len(skipped)} frames skipped: "
            f"{'; '.join(_describe(entry) for entry in skipped[:3])}"
            f"{'; ...' if len(skipped) > 3 else ''} (all of them in table.skipped)",
            stacklevel=2,
        )
    columns: dict[str, Any] = dict(
        zip(_Rows._fields, map(np.concatenate, zip(*parts, strict=True)))
    )
    table = LandscapeTable(**columns, parameters=parameters, skipped=skipped)
    if energies and thermo and (n_without := int(np.isnan(table.energy).sum())):
        warnings.warn(
            f"energies = {fspath(energies)!r}: has no line for the timestep of {n_without} of "
            f"{len(table)} frames, or several that differ; their energy is NaN",
            stacklevel=2,
        )
    return table


def _name(piece: list[Frame]) -> str:
    first, last = piece[0], piece[-1]
    return f"frames {(first.file + ' ').lstrip()}{first.number} to {last.number}"


def _describe(entry: tuple[str, int, str]) -> str:
    file, number, reason = entry
    return f"{file + ' ' if file else ''}frame {number}: {reason}"


def table_parameters(calc: EntropySymmetry) -> dict[str, Any]:
    """Return the `parameters` of a table of a calculator's values.

    Parameters
    ----------
    calc : EntropySymmetry
        The calculator.

    Returns
    -------
    dict
        Its parameters, as in its ``todict``, and the version of the package.
    """
    return {**calc.todict(), "version": versions("entsym").get("entsym", "unknown")}


# --- picture --------------------------------------------------------------------------------------


def plot_landscape(
    table: LandscapeTable,
    color: str | None = "energy",
    ax: "Axes | None" = None,
    style: str = "points",
    marginals: bool = True,
) -> "Axes":
    """Draw Q_l against sS: a point per frame, or the density of frames.

    Parameters
    ----------
    table : LandscapeTable
        The landscape.
    color : {"energy", "volume", "n_atoms", "frame"} or None
        Quantity of the colour: energy per atom (eV), volume per atom (Å^3), number of atoms or
        number of the frame; in lj units, epsilon and sigma^3. Frames without it are grey. With
        None, points have one colour and densities show the number of frames.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on; the histograms need room around them, which a figure with
        ``layout="constrained"`` makes. Default: a new figure.
    style : {"points", "density"}
        Points for frames, or hexagons with the number of frames or the mean of `color`.
    marginals : bool
        Whether to add histograms of both axes on top and on the right.

    Returns
    -------
    matplotlib.axes.Axes
        The axes of the landscape; histograms and colour bar are its children.

    Raises
    ------
    ValueError
        If `color` or `style` is unknown, or no frame has the quantity of `color`.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> from ase.build import bulk
    >>> calc = EntropySymmetry(rmax=7.0, sigma=0.125, q6_cutoff=3.5)
    >>> table = map_landscape([bulk("Al", "fcc", a=a) for a in (4.0, 4.1)], calc, progress=False)
    >>> ax = plot_landscape(table, color="volume")
    >>> ax.figure.savefig("landscape.png", dpi=200)  # doctest: +SKIP
    """
    import matplotlib.pyplot as plt
    from matplotlib.colors import LogNorm
    from matplotlib.ticker import MaxNLocator

    length, energy = _units(table)
    quantities = {
        "energy": (f"energy per atom ({energy})", lambda: table.energy / table.n_atoms),
        "volume": (f"volume per atom ({length}$^3$)", lambda: table.volume / table.n_atoms),
        "n_atoms": ("number of atoms", lambda: table.n_atoms.astype(float)),
        "frame": ("frame", lambda: table.frame.astype(float)),
    }
    if color is not None and color not in quantities:
        raise ValueError(f"color = {color!r}: choose from {', '.join(quantities)} or None")
    if style not in ("points", "density"):
        raise ValueError(f"style = {style!r}: choose points or density")
    label, values = None, None
    if color is not None:
        label, values = quantities[color][0], quantities[color][1]()
        if not np.isfinite(values).any():
            raise ValueError(
                f"color = {color!r}: no frame of the table has it; choose another or None"
                + (", or map the landscape with energies=" if color == "energy" else "")
            )

    if ax is None:
        _, ax = plt.subplots(figsize=(5.6, 4.8), layout="constrained")
    grey, blue = "0.72", "#2f5d8c"
    x, y = table.sS, table.Q
    known = np.ones(len(table), dtype=bool) if values is None else np.isfinite(values)
    drawn: Any = None
    if style == "points":
        look: dict[str, Any] = {
            "s": float(np.clip(8000 / max(len(table), 1), 3, 28)),
            "linewidths": 0,
            "alpha": 0.85,
            "rasterized": len(table) > 5000,
        }
        ax.scatter(x[~known], y[~known], color=grey, **look)
        if values is None:
            ax.scatter(x, y, color=blue, **look)
        else:
            drawn = ax.scatter(x[known], y[known], c=values[known], cmap="viridis", **look)
    else:
        look = {"gridsize": 45, "mincnt": 1, "linewidths": 0.2, "cmap": "viridis"}
        if values is None:
            label, look["norm"] = "frames", LogNorm()
        else:
            label, look["C"] = f"mean {label}", values[known]
        drawn = ax.hexbin(x[known], y[known], **look)
    ax.set_xlabel(r"sS ($k_\mathrm{B}$ per atom)")
    ax.set_ylabel(f"Q{table.parameters['degree']}")
    ax.xaxis.set_major_locator(MaxNLocator(6))
    ax.margins(0.04)

    if marginals:
        top = ax.inset_axes((0.0, 1.02, 1.0, 0.15), sharex=ax)
        right = ax.inset_axes((1.02, 0.0, 0.15, 1.0), sharey=ax)
        n_bins = int(np.clip(np.sqrt(len(table)) * 2, 10, 60))
        top.hist(x, bins=n_bins, color=grey)
        right.hist(y, bins=n_bins, color=grey, orientation="horizontal")
        for side in (top, right):
            side.axis("off")
    if drawn is not None:
        # without a layout engine, Matplotlib does not leave room for the histogram on the right
        pad = 0.02 if ax.figure.get_layout_engine() else 0.05 + 0.18 * marginals
        bar = ax.figure.colorbar(drawn, ax=ax, label=label, pad=pad, aspect=25)
        if bar.solids is not None:
            bar.solids.set_alpha(1.0)
    ax.annotate(
        _caption(table),
        xy=(0.0, 0.0), xycoords="axes fraction", xytext=(0, -38), textcoords="offset points",
        fontsize=6.5, color="0.4", va="top",
    )  # fmt: skip
    return ax


def _units(table: LandscapeTable) -> tuple[str, str]:
    """Return the units of length and energy of a table, for labels."""
    return (r"$\sigma$", r"$\epsilon$") if table.parameters.get("units") == "lj" else ("Å", "eV")


def _caption(table: LandscapeTable) -> str:
    """Return the number of frames and the parameters, for the caption."""
    p = table.parameters
    length, _ = _units(table)
    parts = [
        f"{len(table)} frames",
        f"rmax {p['rmax']:g} {length}",
        f"sigma {p['sigma']:g} {length}",
        f"dr {p['dr']:.4g} {length}",
        f"Q{p['degree']} cutoff {p['q6_cutoff']:g} {length}",
    ]
    if p["smooth"]:
        parts.append(f"smooth {p['smooth']:g} {length}")
    if p["elements"]:
        parts.append("+".join(p["elements"]))
    if p["number_density"]:
        parts.append(f"density {p['number_density']:g} {length}$^{{-3}}$")
    return ", ".join(parts)
