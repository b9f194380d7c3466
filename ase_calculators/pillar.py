# SPDX-License-Identifier: BSD-3-Clause
"""Compressed pillars: a trajectory to a table of its defects, the table and frames to pictures."""

import contextlib
import json
import multiprocessing
import os
import tempfile
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers
from tqdm.auto import tqdm

from ase_calculators.entropy_symmetry import EntropySymmetry
from ase_calculators.fault_sequence import FaultType, miller_name, twin_layers
from ase_calculators.frame_source import Frame, open_frames
from ase_calculators.frame_table import FrameTable
from ase_calculators.provenance import atomic_write, versions

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

STRUCTURES = ("other", "FCC", "HCP", "BCC")
FAULTS = ("ISF", "ESF", "CTB", "twin", "lamella", "indeterminate")
BURGERS = ("1/2<110>", "1/6<112>", "1/6<110>", "1/3<100>", "1/3<111>", "other")

# the columns of a table: whole numbers, numbers and JSON
_WHOLE = ("frame", "step", "n_atoms", "n_interior", "bcc_clusters")
_NUMBERS = (
    "strain", "stress_GPa", "temperature_K", *STRUCTURES, *FAULTS,
    *(f"dislocations_{b}_A" for b in BURGERS), "sS", "Q6", "local_sS", "local_q6",
    "hcp_direct", "hcp_through_bcc",
)  # fmt: skip
_JSON = ("bcc_cluster_sizes", "twin_layers", "transitions", "planes", "letters")
COLUMNS = (
    "frame", "step", "strain", "stress_GPa", "temperature_K", "n_atoms", "n_interior", *STRUCTURES,
    *FAULTS, "bcc_clusters", "bcc_cluster_sizes", *(f"dislocations_{b}_A" for b in BURGERS),
    "twin_layers", "sS", "Q6", "local_sS", "local_q6", "hcp_direct", "hcp_through_bcc",
    "transitions", "planes", "letters",
)  # fmt: skip

# of a frame: what goes on an error line when a dump lacks it
_COORDINATES = ({"x", "y", "z"}, {"xu", "yu", "zu"}, {"xs", "ys", "zs"}, {"xsu", "ysu", "zsu"})

VULKAN = (
    "rendering needs Vulkan, which this machine lacks: apt-get install libvulkan1 "
    "mesa-vulkan-drivers"
)


# --- the table ------------------------------------------------------------------------------------


class Event(NamedTuple):
    """When something is there for the first time.

    Attributes
    ----------
    name : str
        What: "highest stress", "BCC embryo", "ISF", "ESF", "CTB".
    strain : float
        Of the frame.
    row : int
        Of the table.
    """

    name: str
    strain: float
    row: int


@dataclass(eq=False)
class PillarTable(FrameTable):
    """Hold what `analyse_pillar` has found, one row per frame.

    ``table["strain"]`` is a column; numbers are arrays, the others lists.

    Attributes
    ----------
    columns : dict of str to sequence
        The columns, in the order of `COLUMNS`:

        - frame, step: number of the frame in the dump, LAMMPS timestep.
        - strain, stress_GPa, temperature_K: positive in compression; NaN where unknown.
        - n_atoms, n_interior: atoms, and those of them that are neither in a fixed layer nor at the
          surface nor next to it.
        - FCC, HCP, BCC, other: shares of the interior atoms, by PTM.
        - ISF, ESF, CTB, twin, lamella, indeterminate: atoms by `FaultType`; those of ESFs and
          twins include the layers between the boundaries.
        - bcc_clusters, bcc_cluster_sizes: interior BCC atoms that are neighbours.
        - dislocations_1/2<110>_A, ...: length by Burgers vector, Å.
        - twin_layers: {layers between the boundaries: atoms of the boundaries}.
        - sS, Q6: global; local_sS, local_q6: means over the interior.
        - transitions: 4 x 4 atoms from (rows) the structure in the row before to (columns) that
          here, in the order other, FCC, HCP, BCC; atoms that are interior in both.
        - hcp_direct, hcp_through_bcc: atoms that became HCP here and were not, or were, BCC in a
          frame since they were last FCC.
        - planes, letters: {normal: one character per plane}, as in `fault_sequence.Planes`.
    parameters : dict
        What the numbers were made with.
    skipped : list of (int, str)
        Number and reason of each frame that has no row.

    Examples
    --------
    >>> table = PillarTable.read("pillar.csv")  # doctest: +SKIP
    >>> table["strain"][table["ISF"] > 10][0]  # doctest: +SKIP
    0.061
    """

    TITLE: ClassVar = "entsym pillar"
    UNITS: ClassVar = (
        "strain positive in compression; other, FCC, HCP, BCC: shares of the interior atoms; ISF "
        "to indeterminate, hcp_direct, hcp_through_bcc: atoms; dislocations: Å; sS: k_B"
    )
    KIND: ClassVar = ("pillar", "analyse_pillar", "analyse the dump again")

    columns: dict[str, Any]
    parameters: dict[str, Any]
    skipped: list[tuple[int, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        missing = [name for name in COLUMNS if name not in self.columns]
        if missing:
            raise ValueError(f"columns: lack {', '.join(missing)}; see PillarTable")
        settled: dict[str, Any] = {}
        for name in COLUMNS:
            column = self.columns[name]
            if name in _WHOLE:
                column = np.asarray(column, dtype=np.int64)
            elif name in _NUMBERS:
                column = np.asarray(column, dtype=float)
            else:
                column = [json.loads(x) if isinstance(x, str) else x for x in column]
            if len(column) != len(self.columns["frame"]):
                raise ValueError(
                    f"{name}: has {len(column)} rows; every column must be as long as frame, "
                    f"{len(self.columns['frame'])}"
                )
            settled[name] = column
        self.columns = settled

    @staticmethod
    def _names(parameters: dict[str, Any]) -> tuple[str, ...]:
        return COLUMNS

    @classmethod
    def _of(
        cls, columns: dict[str, Any], parameters: dict[str, Any], skipped: Any
    ) -> "PillarTable":
        return cls(columns, parameters, skipped)

    def __getitem__(self, name: str) -> Any:
        if name not in self.columns:
            raise KeyError(f"{name!r}: no such column; choose from {', '.join(COLUMNS)}")
        return self.columns[name]

    def transition_matrix(self, start: float = -np.inf, end: float = np.inf) -> np.ndarray:
        """Sum the transitions of the atoms over a range of strain.

        Parameters
        ----------
        start, end : float
            Strains, both included.

        Returns
        -------
        (4, 4) int64
            Atoms times frames from (rows) to (columns) other, FCC, HCP, BCC.
        """
        matrix = np.zeros((4, 4), dtype=np.int64)
        for strain, transitions in zip(self["strain"], self["transitions"], strict=True):
            if start <= strain <= end and transitions:
                matrix += np.array(transitions)
        return matrix

    def share_through_bcc(self) -> float:
        """Return the share of the atoms turned HCP that were BCC since they were last FCC.

        A stay shorter than the interval of the frames is not seen, so that this is a lower bound.

        Returns
        -------
        float
            0 to 1; NaN where no atom has turned HCP.
        """
        through, direct = np.nansum(self["hcp_through_bcc"]), np.nansum(self["hcp_direct"])
        return float(through / (through + direct)) if through + direct else np.nan

    def events(self, least: int = 10) -> list[Event]:
        """Find the frame of the highest stress and those where each defect is first there.

        Parameters
        ----------
        least : int
            A BCC embryo is a cluster of so many atoms; a fault is there with so many atoms more
            than in the first frame. CTB are all boundaries but those of ESFs: open ones and those
            of multilayer twins.

        Returns
        -------
        list of Event
            In the order of strain.
        """
        events = []
        if np.isfinite(self["stress_GPa"]).any():
            row = int(np.nanargmax(self["stress_GPa"]))
            events.append(Event("highest stress", float(self["strain"][row]), row))
        boundaries = self["CTB"] + np.array([
            sum(atoms for layers, atoms in twins.items() if int(layers) > 1)
            for twins in self["twin_layers"]
        ])  # fmt: skip
        counts = {
            "BCC embryo": np.array([max(sizes, default=0) for sizes in self["bcc_cluster_sizes"]]),
            "ISF": self["ISF"],
            "ESF": self["ESF"],
            "CTB": boundaries,
        }
        for name, values in counts.items():
            values = np.nan_to_num(values)
            level = least + (values[:1].sum() if name != "BCC embryo" else 0)
            rows = np.flatnonzero(values >= level)
            if len(rows):
                events.append(Event(name, float(self["strain"][rows[0]]), int(rows[0])))
        return sorted(events, key=lambda event: event.row)


# --- LAMMPS's files -------------------------------------------------------------------------------


def read_stress_strain(path: str | PathLike[str]) -> dict[str, np.ndarray]:
    """Read the stress-strain file of in.micropillar, or another that fix print has written.

    Parameters
    ----------
    path : path-like
        Text with a comment line that names the columns: "# step strain stress_GPa ...".

    Returns
    -------
    dict of str to ndarray
        The columns; where a step comes twice, as after a restart, the last one counts.

    Raises
    ------
    ValueError
        When there are no such columns or no rows.
    """
    names: list[str] = []
    rows: dict[float, list[float]] = {}
    with open(path, encoding="utf-8") as file:
        for line in file:
            words = line.split()
            if line.startswith("#"):
                named = line.lstrip("# ").split()
                if named[:1] in (["step"], ["TimeStep"]):  # not the note of a restart
                    names = ["step", *named[1:]]
                continue
            with contextlib.suppress(ValueError):  # a line cut short by a killed run
                numbers = [float(word) for word in words]
                if numbers and len(numbers) == len(names) and line.endswith("\n"):
                    rows[numbers[0]] = numbers
    if not rows or "strain" not in names:
        raise ValueError(
            f"stress_strain = {fspath(path)!r}: has no rows below a line '# step strain stress_GPa "
            "...'; give the file that in.micropillar writes"
        )
    columns = np.array([rows[step] for step in sorted(rows)]).T
    return dict(zip(names, columns, strict=True))


def _checked_text(frame: Frame, calc: dict[str, Any] | None = None) -> str:
    """Return the text of a frame of a dump that is complete and has what the analysis needs."""
    if isinstance(frame.content, Exception):
        raise frame.content
    assert isinstance(frame.content, str)
    head, found, body = frame.content.partition("ITEM: ATOMS")
    _, has_number, number = head.partition("ITEM: NUMBER OF ATOMS")
    if not found or not has_number:
        raise ValueError("the frame ends early: before its atoms")
    stated = int(number.split(maxsplit=1)[0])
    # what LAMMPS writes in front of the next timestep
    trailer = body.rfind("\nITEM:")
    body = body if trailer < 0 else body[: trailer + 1]
    columns = body.split("\n", 1)[0].split()
    rows = max(body.count("\n") - 1, 0)
    if stated == 0:
        raise ValueError("the frame has no atoms")
    complete = body.endswith("\n") and rows == stated
    if not complete or len(body[:-1].rsplit("\n", 1)[-1].split()) != len(columns):
        raise ValueError(f"the frame ends early: {min(rows, stated - 1)} of {stated} atoms")
    missing = [] if "id" in columns else ["id"]
    if not any(coordinates <= set(columns) for coordinates in _COORDINATES):
        missing.append("x y z (or xs, xu, xsu and so on)")
    if missing:
        raise _MissingColumns(
            f"its columns are {' '.join(columns)}, without {' and '.join(missing)}; dump "
            "custom ... id type x y z"
        )
    if calc is not None and calc["elements"] and "element" not in columns:
        raise _MissingColumns(
            f"its columns are {' '.join(columns)}, without element, which the elements of calc "
            "need; dump custom ... id type element x y z and dump_modify ... element Al ..."
        )
    return head + found + body


class _MissingColumns(ValueError):
    """A dump cannot be analysed, in any of its frames."""


# --- the analysis of a frame ----------------------------------------------------------------------


class _Found(NamedTuple):
    """What one frame gives: a row without the transitions, and what these are made of."""

    row: dict[str, Any]
    identifiers: np.ndarray
    structures: np.ndarray
    interior: np.ndarray
    parent: list[float] | None
    message: str


@dataclass(frozen=True)
class _Options:
    """Parameters of the analysis of a frame."""

    rmsd_cutoff: float = 0.13
    max_layers: int = 12
    dislocations: bool = True
    calc: dict[str, Any] | None = None


def _checked_options(
    rmsd_cutoff: Any, max_layers: Any, dislocations: Any, calc: EntropySymmetry | None
) -> _Options:
    """Check what a user gave; the calculator becomes what it takes to make it again."""
    _check_whole("max_layers", max_layers)
    if not isinstance(rmsd_cutoff, int | float | np.number) or not 0 < rmsd_cutoff <= 1:
        raise ValueError(f"rmsd_cutoff = {rmsd_cutoff!r}: must be above 0 and at most 1, as 0.13")
    parameters = None
    if calc is not None:
        if not isinstance(calc, EntropySymmetry):
            raise TypeError(f"calc: must be an EntropySymmetry, is a {type(calc).__name__}")
        parameters = {**calc.todict(), "threads": calc.parameters["threads"]}
    return _Options(float(rmsd_cutoff), int(max_layers), bool(dislocations), parameters)


def _check_whole(name: str, value: Any) -> None:
    if not isinstance(value, int | np.integer) or value < 1:
        raise ValueError(f"{name} = {value!r}: must be a whole number, 1 or more")


def _ovito() -> Any:
    """Import OVITO's modules, which takes a second and is not needed for tables."""
    try:
        import ovito.data
        import ovito.io
        import ovito.modifiers
        import ovito.pipeline
        import ovito.vis
    except ImportError as error:
        raise ImportError("OVITO is not installed: pip install 'entsym[analysis]'") from error
    return ovito


def _load(text: str) -> Any:
    """Let OVITO read one frame of a dump."""
    ovito = _ovito()
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.NamedTemporaryFile("w", suffix=".dump", dir=memory) as file:
        file.write(text)
        file.flush()
        return ovito.io.import_file(file.name, sort_particles=True).compute(0)


def _property(particles: Any, name: str) -> np.ndarray | None:
    """Return a column of the dump, in whatever case OVITO has put its name."""
    for key in particles:
        if key.lower() == name.lower():
            return np.asarray(particles[key])
    return None


def _as_atoms(data: Any) -> Atoms:
    """Turn a frame into what the calculator takes; atoms of unnamed types have no element."""
    particles = data.particles
    numbers = np.zeros(particles.count, dtype=int)
    if (types := particles.particle_types) is not None:
        for type_ in types.types:
            numbers[np.asarray(types) == type_.id] = atomic_numbers.get(type_.name, 0)
    cell = np.asarray(data.cell)[:, :3].T
    return Atoms(numbers, np.asarray(particles.positions), cell=cell, pbc=data.cell.pbc)


def _identify(data: Any, options: _Options) -> float:
    """Run PTM and mark the surface in "Selection"; return the neighbour distance, Å."""
    modifiers = _ovito().modifiers
    data.apply(modifiers.PolyhedralTemplateMatchingModifier(
        rmsd_cutoff=options.rmsd_cutoff, output_orientation=True, output_interatomic_distance=True,
        output_deformation_gradient=True,
    ))  # fmt: skip
    known = np.asarray(data.particles.structure_types) > 0
    distance = 3.0
    if known.any():
        distance = float(np.median(data.particles["Interatomic Distance"][known]))
    data.apply(
        modifiers.ConstructSurfaceModifier(radius=1.4 * distance, select_surface_particles=True)
    )
    data.apply(modifiers.ExpandSelectionModifier(
        cutoff=1.25 * distance, mode=modifiers.ExpandSelectionModifier.ExpansionMode.Cutoff
    ))  # fmt: skip
    return distance


def _analyse(
    number: int, step: int, text: str, parent: list[float] | None, options: _Options
) -> _Found:
    """Analyse one frame."""
    from ase_calculators import ovito_modifiers

    modifiers = _ovito().modifiers
    data = _load(text)
    distance = _identify(data, options)
    particles = data.particles
    structures = np.asarray(particles.structure_types).astype(np.int8)
    interior = np.asarray(particles.selection) == 0
    layer = _property(particles, "layer")
    if layer is not None:
        interior &= layer == 0
    row: dict[str, Any] = dict.fromkeys(COLUMNS, np.nan)
    row |= {"frame": number, "step": step, "n_atoms": particles.count,
            "n_interior": int(interior.sum())}  # fmt: skip
    shares = np.bincount(structures[interior], minlength=4) / max(interior.sum(), 1)
    row |= dict(zip(STRUCTURES, shares.tolist(), strict=True))
    for name in ("local_sS", "local_q6"):
        values = _property(particles, name)
        if values is not None and interior.any():
            row[name] = float(values[interior].mean())

    found = ovito_modifiers.read_fault_sequence(
        data, None if parent is None else np.array(parent), options.max_layers
    )
    row |= {"twin_layers": {}, "planes": {}, "letters": {}}
    message = ""
    if found is None:
        message = ovito_modifiers.not_fcc(data)
    else:
        parent = found.parent.tolist()
        counts = np.bincount(found.type, minlength=len(FaultType))
        row |= {name: int(counts[FaultType[name.upper()]]) for name in FAULTS}
        histogram = twin_layers(structures, found)
        row["twin_layers"] = {str(k): int(histogram[k]) for k in np.flatnonzero(histogram)}
        for planes in found.planes:
            name = miller_name(planes.normal)
            row["planes"][name], row["letters"][name] = planes.faults, planes.letters

    row["bcc_cluster_sizes"] = []
    bcc = interior & (structures == 3)
    if bcc.any():
        data.particles_.create_property("Selection", data=bcc.astype(np.int8))
        data.apply(modifiers.ClusterAnalysisModifier(
            cutoff=1.25 * distance, only_selected=True
        ))  # fmt: skip
        # numbers of clusters start at 1 up to OVITO 3.16 and at 0 since
        _, sizes = np.unique(np.asarray(data.particles["Cluster"])[bcc], return_counts=True)
        row["bcc_cluster_sizes"] = sorted(sizes.tolist(), reverse=True)
    row["bcc_clusters"] = len(row["bcc_cluster_sizes"])

    if options.calc is not None:
        calc, atoms = EntropySymmetry(**options.calc), _as_atoms(data)
        row["sS"], row["Q6"] = (calc.get_property(name, atoms) for name in ("sS", "Q6"))
    if options.dislocations and found is not None:
        data.apply(modifiers.DislocationAnalysisModifier())
        for name in BURGERS:
            key = f"DislocationAnalysis.length.{name}"
            row[f"dislocations_{name}_A"] = float(data.attributes.get(key, 0.0))
    row["_height"] = float(np.linalg.norm(np.asarray(data.cell)[:, 2]))
    identifiers = np.asarray(particles["Particle Identifier"])
    return _Found(row, identifiers, structures, interior, parent, message)


class _Transitions:
    """Follow each atom from frame to frame; memory for one frame."""

    def __init__(self) -> None:
        self.before: _Found | None = None
        # since it was last FCC: 0 nothing, 1 has been BCC, 2 has been counted as HCP
        self.path = np.zeros(0, dtype=np.int8)

    def take(self, found: _Found) -> None:
        """Add the transitions to the row of the next frame."""
        now, row = found.structures, found.row
        row |= {"transitions": [], "hcp_direct": 0, "hcp_through_bcc": 0}
        path = np.zeros(len(now), dtype=np.int8)
        before = self.before
        if before is not None:
            if len(now) == len(before.identifiers) and np.array_equal(
                found.identifiers, before.identifiers
            ):
                was, was_interior = before.structures, before.interior
                path = self.path
            else:  # atoms were lost
                _, here, there = np.intersect1d(
                    found.identifiers, before.identifiers, return_indices=True
                )
                was = np.zeros(len(now), dtype=np.int8)
                was_interior = np.zeros(len(now), dtype=bool)
                was[here], was_interior[here] = before.structures[there], before.interior[there]
                path[here] = self.path[there]
            both = found.interior & was_interior
            matrix = np.bincount(4 * was[both] + now[both], minlength=16).reshape(4, 4)
            row["transitions"] = matrix.tolist()
            turned = both & (now == 2) & (was != 2) & (path != 2)
            row["hcp_through_bcc"] = int((turned & (path == 1)).sum())
            row["hcp_direct"] = int(turned.sum()) - row["hcp_through_bcc"]
        path = np.where(now == 1, 0, np.where(now == 3, 1, np.where(now == 2, 2, path)))
        self.path, self.before = path.astype(np.int8), found


# --- the analysis of a trajectory -----------------------------------------------------------------


class _Begun(NamedTuple):
    """What an interrupted analysis left."""

    rows: list[dict[str, Any]]
    skipped: list[tuple[int, str]]
    parameters: dict[str, Any]
    transitions: _Transitions
    parent: list[float] | None
    first_height: float


class _Draft:
    """A table that grows, and beside it what the next row needs to know of the rows before."""

    def __init__(self, output: Path) -> None:
        self.output = output
        self.state = output.with_name(f".{output.name}.state.npz")

    def write(
        self, size: int, transitions: _Transitions, parent: list[float] | None, height: float
    ) -> None:
        """Keep the state after the last row, which ends at `size` bytes of the table."""
        before = transitions.before
        assert before is not None
        with atomic_write(self.state, "wb") as file:
            np.savez(
                file, size=size, parent=[] if parent is None else parent, height=height,
                path=transitions.path, identifiers=before.identifiers,
                structures=before.structures, interior=before.interior,
            )  # fmt: skip

    def read(self, parameters: dict[str, Any]) -> _Begun | None:
        """Return what is there and cut the table back to it; None to begin."""
        if not (self.state.exists() and self.output.exists()):
            self.state.unlink(missing_ok=True)
            return None
        with np.load(self.state) as state:
            table = PillarTable.read(self.output)
            for name, value in parameters.items():
                old = table.parameters.get(name)
                if name != "fault_analysis" and json.loads(json.dumps(value)) != old:
                    raise ValueError(
                        f"output = {fspath(self.output)!r}: was begun with {name} = {old!r}, not "
                        f"{value!r}; give the same arguments to go on, or another output"
                    )
            os.truncate(self.output, int(state["size"]))
            table = PillarTable.read(self.output)
            transitions = _Transitions()
            transitions.path = state["path"]
            parent = state["parent"].tolist() or None
            transitions.before = _Found(
                {}, state["identifiers"], state["structures"], state["interior"], parent, ""
            )
            rows = [{name: table[name][k] for name in COLUMNS} for k in range(len(table))]
            height = float(state["height"])
        return _Begun(rows, table.skipped, table.parameters, transitions, parent, height)


def _in_order(
    jobs: Iterator[tuple[Any, ...]], run: Callable[..., Any], executor: Any, ahead: int
) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Run jobs in their order, a few ahead of the reader and no more; errors are results."""

    def done(call: Callable[[], Any]) -> Any:
        try:
            return call()
        except Exception as error:  # a frame that OVITO cannot read must not cost the others
            return error

    if executor is None:
        for job in jobs:
            yield job, done(partial(run, *job))
        return
    running: deque[Any] = deque()
    try:
        for job in jobs:
            running.append((job, executor.submit(run, *job)))
            if len(running) > ahead:
                job, future = running.popleft()
                yield job, done(future.result)
        while running:
            job, future = running.popleft()
            yield job, done(future.result)
    finally:
        for _, future in running:
            future.cancel()


def analyse_pillar(
    dump: str | PathLike[str],
    stress_strain: str | PathLike[str] | None = None,
    calc: EntropySymmetry | None = None,
    processes: int = 1,
    stride: int = 1,
    rmsd_cutoff: float = 0.13,
    max_layers: int = 12,
    dislocations: bool = True,
    output: str | PathLike[str] | None = None,
    progress: bool = True,
) -> PillarTable:
    """Read the plasticity of a compressed pillar, or of any fcc crystal, frame by frame.

    Each frame goes through OVITO's polyhedral template matching, surface construction, cluster and
    dislocation analyses and our `fault_sequence.fault_sequence`. Frames are read one after the
    other and forgotten; memory does not depend on their number, and the table not on `processes`.

    Parameters
    ----------
    dump : path-like
        LAMMPS text dump, also compressed, with the columns id and x y z; with "local_sS" and
        "local_q6" (of compute entsym/atom) their means are in the table, and atoms whose column
        "layer" is not 0 (fixed layers) are no interior.
    stress_strain : path-like, optional
        The stress-strain file of the run; see `read_stress_strain`. Its strain, stress,
        temperature, sS and Q6 are interpolated at the timestep of each frame. Default: the
        engineering strain of the cell along z, against the first frame; no stress.
    calc : EntropySymmetry, optional
        Calculates sS and Q6 of each frame where the stress-strain file has none. Vacuum counts as
        volume unless its `number_density` is given; its `elements` need the column element.
    processes : int
        Processes that analyse. They start afresh, so that a script needs
        ``if __name__ == "__main__":`` around its calls.
    stride : int
        Take every so many frames.
    rmsd_cutoff : float
        Of PTM: atoms further from every template are "other". Up to 500 K nothing depends on it
        above 0.12. At 800 K, 0.15 finds 1 to 7 % more of the atoms of faults, but takes more of a
        strained crystal for HCP; see ``input_templates/micropillar/README.md``. Runs that are
        compared need the same.
    max_layers : int
        Two twin boundaries further apart are CTBs.
    dislocations : bool
        Run the dislocation analysis (DXA), about half of the time.
    output : path-like, optional
        CSV file that grows as frames are done; `PillarTable.read` reads it, complete or not. After
        an interrupt or a kill the same call goes on with the first frame that it lacks; until it
        is complete, a hidden file beside it holds what that takes. A complete one is overwritten.
    progress : bool
        Show the progress bar.

    Returns
    -------
    PillarTable
        A row per frame. Frames that are broken or cut short are left out, listed in its `skipped`
        and told in a warning. Where the crystal is not fcc, the columns of faults and dislocations
        are NaN, and a warning says so; ``parameters["fault_analysis"]`` tells it of the first row.

    Raises
    ------
    FileNotFoundError
        When a file does not exist.
    ImportError
        When OVITO is not installed.
    ValueError
        When the dump has no whole frame or lacks columns, for arguments out of range, and where
        `output` was begun with other arguments or of another dump.

    Examples
    --------
    >>> table = analyse_pillar("pillar.dump", "stress_strain.txt")  # doctest: +SKIP
    >>> table.write("pillar.csv")  # doctest: +SKIP
    >>> [(event.name, event.strain) for event in table.events()]  # doctest: +SKIP
    [('BCC embryo', 0.05), ('highest stress', 0.06), ('ISF', 0.06), ('CTB', 0.08)]
    """
    _check_whole("processes", processes)
    _check_whole("stride", stride)
    curve = None if stress_strain is None else read_stress_strain(stress_strain)
    options = _checked_options(rmsd_cutoff, max_layers, dislocations, calc)
    if calc is not None and calc.parameters["degree"] != 6:
        raise ValueError(
            f"calc: has degree = {calc.parameters['degree']}; the table holds Q6, give 6"
        )
    if curve and "sS" in curve and "Q6" in curve:
        calc, options = None, replace(options, calc=None)
    parameters = {
        "dump": fspath(dump), "stride": int(stride), "rmsd_cutoff": options.rmsd_cutoff,
        "max_layers": options.max_layers, "dislocations": options.dislocations,
        "calc": None if calc is None else calc.todict(),
        "strain": "of the cell" if curve is None else fspath(stress_strain or ""),
        "fault_analysis": "applies", "version": versions("entsym").get("entsym", "unknown"),
        "ovito": _ovito().version_string,
    }  # fmt: skip
    frames, _ = open_frames(dump, "lammps-dump-text", stride, {})
    rows: list[dict[str, Any]] = []
    skipped: list[tuple[int, str]] = []
    transitions = _Transitions()
    parent: list[float] | None = None
    first_height = np.nan
    broken: list[tuple[int, str]] = []
    not_fcc: list[tuple[int, str]] = []
    draft = None if output is None else _Draft(Path(output))
    if draft is not None and (old := draft.read(parameters)) is not None:
        rows, skipped, parameters = old.rows, old.skipped, old.parameters
        transitions, parent, first_height = old.transitions, old.parent, old.first_height
        not_fcc = [(row["frame"], "") for row in rows if np.isnan(row["ISF"])]
    done = {int(row["frame"]): int(row["step"]) for row in rows}
    last = max(done, default=-1)

    def jobs() -> Iterator[tuple[Any, ...]]:
        for frame in frames:
            if frame.number <= last:
                if done.get(frame.number, frame.step) != frame.step:
                    raise ValueError(
                        f"dump = {fspath(dump)!r}: frame {frame.number} is of step {frame.step}, "
                        f"in {fspath(output or '')!r} of step {done[frame.number]}: it is another "
                        "dump; remove that file or give another output"
                    )
                bar.update(len(frame.content) if sized and isinstance(frame.content, str) else 1)
                continue
            try:
                text = _checked_text(frame, options.calc)
            except _MissingColumns as error:
                if not rows:
                    raise ValueError(f"dump = {fspath(dump)!r}: {error}") from None
                broken.append((frame.number, str(error)))
            except (ValueError, OSError) as error:
                broken.append((frame.number, " ".join(str(error).split())))
            else:
                bar.update(len(text) if sized else 1)
                yield frame.number, frame.step, text, parent, options

    sized = Path(dump).suffix not in (".gz", ".bz2", ".xz")
    size = os.path.getsize(dump) // stride if sized and os.path.exists(dump) else None
    with ExitStack() as stack:
        bar = stack.enter_context(tqdm(
            total=size, unit="B" if sized else "frame", unit_scale=sized, desc="pillar",
            disable=None if progress else True,
        ))  # fmt: skip
        file: Any = stack.enter_context(
            open(output or os.devnull, "a" if rows else "w", encoding="utf-8", newline="")
        )
        executor = None
        if processes > 1:
            context = multiprocessing.get_context("spawn")  # OVITO does not survive a fork
            executor = stack.enter_context(ProcessPoolExecutor(processes, context))

        def results() -> Iterator[tuple[tuple[Any, ...], Any]]:
            # the first frame by itself: its orientation is the parent of the others
            work = jobs()
            while not rows and (job := next(work, None)) is not None:
                yield from _in_order(iter([job]), _analyse, executor, 0)
            yield from _in_order(work, _analyse, executor, 2 * processes)

        for job, found in results():
            if isinstance(found, Exception):
                if isinstance(found, ImportError):
                    raise found
                broken.append((job[0], " ".join(f"{type(found).__name__}: {found}".split())))
            else:
                transitions.take(found)
                row = found.row
                if found.message:
                    not_fcc.append((row["frame"], found.message))
                if not rows:
                    first_height, parent = row["_height"], found.parent
                    parameters["fault_analysis"] = found.message or "applies"
                    PillarTable.write_head(file, parameters)
                _add_curve(row, curve, row.pop("_height"), first_height)
                rows.append(row)
            if rows:
                _table(
                    [] if isinstance(found, Exception) else rows[-1:], parameters, broken
                ).write_rows(file)
                skipped += broken
                broken.clear()
                if draft is not None and not isinstance(found, Exception):
                    draft.write(file.tell(), transitions, parent, first_height)
        _table([], parameters, broken).write_rows(file)
        skipped += broken
    if draft is not None:
        draft.state.unlink(missing_ok=True)
    if not rows:
        reason = f" ({skipped[0][1]})" if skipped else ""
        raise ValueError(
            f"dump = {fspath(dump)!r}: holds no whole frame{reason}; give a LAMMPS text dump with "
            "at least one"
        )
    if skipped:
        warnings.warn(
            f"{fspath(dump)}: {len(skipped)} of {len(rows) + len(skipped)} frames left out, the "
            f"first: frame {skipped[0][0]}, {skipped[0][1]}",
            stacklevel=2,
        )
    if not_fcc:
        number, reason = not_fcc[0]
        warnings.warn(
            f"{fspath(dump)}: {len(not_fcc)} of {len(rows)} frames have no faults and dislocations "
            f"(NaN), the first: frame {number}{': ' if reason else ''}{reason}",
            stacklevel=2,
        )
    return _table(rows, parameters, skipped)


def _table(
    rows: list[dict[str, Any]], parameters: dict[str, Any], skipped: list[tuple[int, str]]
) -> PillarTable:
    return PillarTable({name: [row[name] for row in rows] for name in COLUMNS}, parameters, skipped)


def _add_curve(
    row: dict[str, Any], curve: dict[str, np.ndarray] | None, height: float, first: float
) -> None:
    """Add what the stress-strain file has at the timestep of a row."""
    if curve is None:
        row["strain"] = 1.0 - height / first
        return
    wanted = {"strain": "strain", "stress_GPa": "stress_GPa", "temperature_K": "temperature_K",
              "sS": "sS", "Q6": "Q6"}  # fmt: skip
    for name, source in wanted.items():
        if source in curve:
            row[name] = float(np.interp(
                row["step"], curve["step"], curve[source], left=np.nan, right=np.nan
            ))  # fmt: skip
    steps, strains = curve["step"], curve["strain"]
    if row["step"] < steps[0] and len(steps) > 1:  # the rate is constant
        slope = (strains[1] - strains[0]) / (steps[1] - steps[0])
        row["strain"] = float(strains[0] + slope * (row["step"] - steps[0]))


# --- pictures -------------------------------------------------------------------------------------

_FAULT_COLORS = {
    "ISF": "#e69f00", "ESF": "#cc3311", "CTB": "#0059b3", "twin": "#009e73",
    "lamella": "#99409f", "indeterminate": "#8c8c8c",
}  # fmt: skip
_MARKS = {
    "-": ("parent", "#ececec"), "t": ("open twin", "#bcd4ea"), "I": ("ISF", _FAULT_COLORS["ISF"]),
    "E": ("ESF", _FAULT_COLORS["ESF"]), "C": ("CTB", _FAULT_COLORS["CTB"]),
    "T": ("twin", _FAULT_COLORS["twin"]), "L": ("hcp lamella", _FAULT_COLORS["lamella"]),
}  # fmt: skip
_EVENT_STYLE = {"highest stress": ("k", "^"), "BCC embryo": ("#cc79a7", "s"), **{
    name: (_FAULT_COLORS[name], "o") for name in FAULTS[:3]
}}  # fmt: skip


def plot_pillar(
    tables: PillarTable | Mapping[Any, PillarTable],
    stress_strain: Any = None,
    least: int = 10,
) -> "Figure":
    """Draw stress and events, defects, BCC content and the fault map against strain.

    Parameters
    ----------
    tables : PillarTable or mapping of a temperature to PillarTable
        One run, or several, such as ``{300: cold, 800: hot}``; numbers are taken for kelvin.
        Events, defects and the fault map are those of the first.
    stress_strain : path-like or mapping, optional
        The stress-strain file of the run, or one for each, to draw the whole curve beside the
        stress at the frames.
    least : int
        As in `PillarTable.events`.

    Returns
    -------
    matplotlib.figure.Figure
        Four panels: stress with the events marked; atoms in faults and dislocation length; share of
        BCC, for each run; what covers each plane along the normal with most faults.

    Raises
    ------
    ValueError
        When there is no table or a table has no rows.
    """
    from matplotlib.figure import Figure

    runs = tables if isinstance(tables, Mapping) else {"": tables}
    curves = stress_strain if isinstance(stress_strain, Mapping) else {}
    if stress_strain is not None and not curves:
        curves = {next(iter(runs), ""): stress_strain}
    if not runs or any(len(table) == 0 for table in runs.values()):
        raise ValueError("tables: give at least one table, each with at least one row")
    figure = Figure(figsize=(9.0, 7.0), layout="constrained")
    axes = figure.subplots(2, 2)
    first = next(iter(runs.values()))
    _plot_stress(axes[0, 0], runs, curves, least)
    _plot_defects(axes[0, 1], first)
    for k, (label, table) in enumerate(runs.items()):
        axes[1, 0].plot(100 * table["strain"], 100 * table["BCC"], color=_shade(k, len(runs)),
                        label=_label(label))  # fmt: skip
    axes[1, 0].set(xlabel="strain (%)", ylabel="BCC (% of interior atoms)", ylim=(0, None))
    if len(runs) > 1:
        axes[1, 0].legend(frameon=False)
        for ax in (axes[0, 1], axes[1, 1]):
            ax.set_title(_label(next(iter(runs))), loc="right", fontsize="medium")
    plot_fault_map(first, axes[1, 1])
    for ax, letter in zip(axes.flat, "abcd", strict=True):
        ax.set_title(letter, loc="left", fontweight="bold")
    return figure


def _label(label: Any) -> str:
    return f"{label} K" if isinstance(label, int | float) else str(label)


def _shade(k: int, n: int) -> Any:
    from matplotlib import colormaps

    return "k" if n == 1 else colormaps["plasma"](0.1 + 0.75 * k / (n - 1))


def _plot_stress(
    ax: "Axes", runs: Mapping[Any, PillarTable], curves: Mapping[Any, Any], least: int
) -> None:
    for k, (label, table) in enumerate(runs.items()):
        shade = _shade(k, len(runs))
        if label in curves:
            curve = read_stress_strain(curves[label])
            ax.plot(100 * curve["strain"], curve["stress_GPa"], color=shade, lw=0.6, alpha=0.5)
        marker = "." if label in curves else None
        ax.plot(100 * table["strain"], table["stress_GPa"], color=shade, marker=marker, lw=1.2,
                label=_label(label) if len(runs) > 1 else None)  # fmt: skip
    first = next(iter(runs.values()))
    events = first.events(least)
    for k, event in enumerate(events):
        color, marker = _EVENT_STYLE[event.name]
        stress = first["stress_GPa"][event.row]
        above = sum(other.row == event.row for other in events[k + 1 :])
        ax.axvline(100 * event.strain, color=color, lw=0.7, ls=":")
        ax.plot(100 * event.strain, stress, marker, color=color, ms=7 + 5 * above, mec="w", mew=0.6,
                label=f"{event.name}, {100 * event.strain:.1f} %", zorder=3)  # fmt: skip
    ax.set(xlabel="strain (%)", ylabel="stress (GPa)")
    if ax.get_legend_handles_labels()[0]:
        ax.legend(edgecolor="none", framealpha=0.9, fontsize=7)


def _plot_defects(ax: "Axes", table: PillarTable) -> None:
    strain = 100 * table["strain"]
    for name in FAULTS[:5]:
        if np.nansum(table[name]):
            ax.plot(strain, table[name], color=_FAULT_COLORS[name], label=name)
    ax.set(xlabel="strain (%)", ylabel="atoms in faults", ylim=(0, None))
    lengths = np.array([table[f"dislocations_{name}_A"] for name in BURGERS])
    if np.isfinite(lengths).any():
        right = ax.twinx()
        for name, style in (("1/6<112>", "--"), ("1/2<110>", ":")):
            length = table[f"dislocations_{name}_A"]
            right.plot(strain, length / 10, color="0.45", ls=style, lw=1)
            ax.plot([], [], color="0.45", ls=style, lw=1, label=f"{name} dislocations")
        right.set(ylabel="dislocation length (nm)", ylim=(0, None))
    if ax.get_legend_handles_labels()[0]:
        ax.legend(frameon=False, fontsize=7)


def plot_fault_map(table: PillarTable, ax: "Axes | None" = None) -> "Axes":
    """Draw what covers each (111) plane along the normal with most faults, against strain.

    Parameters
    ----------
    table : PillarTable
        The run.
    ax : matplotlib axes, optional
        Where to draw.

    Returns
    -------
    matplotlib axes
        The map: strain to the right, planes from the bottom to the top. A plane has the color of a
        fault that covers at least a tenth of it.
    """
    from matplotlib.colors import ListedColormap
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    if ax is None:
        ax = Figure(figsize=(5.0, 4.0), layout="constrained").subplots()
    normals = {name for planes in table["planes"] for name in planes}
    number = {
        name: sum(
            len(planes.get(name, "").translate(str.maketrans("", "", "-.")))
            for planes in table["planes"]
        )
        for name in sorted(normals)
    }
    ax.set(xlabel="strain (%)", ylabel="(111) plane")
    if not normals:
        ax.text(0.5, 0.5, "no fault analysis", ha="center", transform=ax.transAxes)
        return ax
    normal = max(number, key=lambda name: number[name])
    columns = [planes.get(normal, "") for planes in table["planes"]]
    height = max(len(column) for column in columns)
    codes = "".join(_MARKS)
    image = np.full((height, len(columns)), np.nan)
    for k, column in enumerate(columns):
        # a frame without faults along this normal: all of it is parent
        for i, mark in enumerate(column or "-" * height):
            if mark in codes:
                image[i, k] = codes.index(mark)
    known = np.isfinite(table["strain"])
    image, strain = image[:, known], 100 * table["strain"][known]
    if len(strain) == 0:
        raise ValueError("table: no frame has a strain; give the stress-strain file of the run")
    edges = np.concatenate([strain[:1], (strain[1:] + strain[:-1]) / 2, strain[-1:]])
    if len(strain) == 1:
        edges = strain[0] + np.array([-0.5, 0.5])
    colors = [color for _, color in _MARKS.values()]
    ax.pcolormesh(edges, np.arange(height + 1), image, cmap=ListedColormap(colors), vmin=-0.5,
                  vmax=len(codes) - 0.5)  # fmt: skip
    ax.set_ylabel(f"plane along {normal}")
    ax.legend(
        handles=[
            Patch(color=colors[k], label=name)
            for k, (name, _) in enumerate(_MARKS.values()) if (image == k).any()
        ],
        frameon=True, framealpha=0.8, fontsize=7, loc="upper left",
    )  # fmt: skip
    return ax


def _picked(source: Any, frame: int, calc: dict[str, Any] | None) -> str:
    """Return the text of one frame of a dump."""
    if not isinstance(frame, int | np.integer):
        raise ValueError(f"frame = {frame!r}: must be a whole number, from 0 or, from the last, -1")
    frames, _ = open_frames(source, "lammps-dump-text", 1, {})
    last: deque[str] = deque(maxlen=max(-frame, 1))
    for number, candidate in enumerate(frames):
        try:
            last.append(_checked_text(candidate, calc))
        except _MissingColumns as error:
            raise ValueError(f"source = {fspath(source)!r}: {error}") from None
        except ValueError:
            continue
        if number == frame:
            return last[-1]
    if frame >= 0 or len(last) < -frame:
        raise ValueError(f"frame = {frame}: {fspath(source)} has no such whole frame")
    return last[0]


def _coloured(
    text: str, color: str, strip_surface: bool, hide_fcc: bool, options: _Options,
    limits: tuple[float, float] | None,
) -> Any:  # fmt: skip
    """Return a frame with colours, without the atoms that are not shown."""
    from ase_calculators import ovito_modifiers

    modifiers = _ovito().modifiers
    data = _load(text)
    _identify(data, options)
    hidden = np.asarray(data.particles.selection) != 0
    if not strip_surface:
        hidden[:] = False
    structures = np.asarray(data.particles.structure_types)
    found = ovito_modifiers.read_fault_sequence(data, None, options.max_layers)
    if color == "fault":
        if found is None:
            raise ValueError(f"color = 'fault': {ovito_modifiers.not_fcc(data)}; use 'structure'")
        ovito_modifiers.write_fault_sequence(data, found)
        if hide_fcc:
            hidden |= (found.type == 0) & (structures == 1)
    elif color == "entropy":
        values = _property(data.particles, "local_sS")
        if values is None:
            if options.calc is None:
                raise ValueError(
                    "color = 'entropy': the dump has no column local_sS; dump it by compute "
                    "entsym/atom, or give calc"
                )
            atoms = _as_atoms(data)
            values = EntropySymmetry(**options.calc).get_property("local_sS", atoms)
            if elements := options.calc["elements"]:
                hidden |= ~np.isin(atoms.numbers, [atomic_numbers[x] for x in elements])
        data.particles_.create_property("Local entropy", data=np.asarray(values, dtype=float))
        shown = values[~hidden] if (~hidden).any() else values
        start, end = limits or tuple(np.percentile(shown, [2, 98]))
        data.particles_.create_property(
            "Local entropy range", data=np.tile([float(start), float(end)], (len(values), 1))
        )
        data.apply(modifiers.ColorCodingModifier(
            property="Local entropy", start_value=float(start), end_value=float(end),
            gradient=modifiers.ColorCodingModifier.Viridis(),
        ))  # fmt: skip
        if hide_fcc:
            hidden |= structures == 1
    elif hide_fcc:
        hidden |= structures == 1
    if hidden.all():
        hidden[:] = False
    data.particles_.create_property("Selection", data=hidden.astype(np.int8))
    data.apply(modifiers.DeleteSelectedModifier())
    for name in list(data.surfaces):
        data.objects.remove(data.surfaces[name])
    return data


def render_pillar(
    source: str | PathLike[str],
    output: str | PathLike[str],
    frame: int = -1,
    color: str = "structure",
    strip_surface: bool = True,
    hide_fcc: bool = False,
    calc: EntropySymmetry | None = None,
    limits: tuple[float, float] | None = None,
    size: tuple[int, int] = (480, 720),
    direction: Sequence[float] = (2.0, 3.0, -1.0),
    rmsd_cutoff: float = 0.13,
    max_layers: int = 12,
) -> Path:
    """Render a frame of a dump by OVITO's Tachyon into a PNG.

    Parameters
    ----------
    source : path-like
        The dump.
    output : path-like
        The picture.
    frame : int
        Its number in the dump, from 0, or from the last, -1.
    color : {"structure", "fault", "entropy"}
        By PTM's structure type, by `FaultType`, or by the local entropy.
    strip_surface : bool
        Leave out the atoms at the surface and next to it.
    hide_fcc : bool
        Leave out the atoms of the perfect crystal.
    calc : EntropySymmetry, optional
        For color "entropy", where the dump has no column local_sS. With `elements`, which need the
        column element, the other atoms are left out.
    limits : (float, float), optional
        Of the local entropy, k_B. Default: those of 96 % of the atoms.
    size : (int, int)
        Pixels.
    direction : (3,) sequence of float
        In which one looks.
    rmsd_cutoff, max_layers : float, int
        As in `analyse_pillar`.

    Returns
    -------
    pathlib.Path
        The picture.

    Raises
    ------
    RuntimeError
        When the machine lacks what rendering needs; the message names the packages.
    ValueError
        When there is no such frame or color.
    """
    options = _checked_options(rmsd_cutoff, max_layers, False, calc)
    _check_view(color, limits, size, direction)
    text = _picked(source, frame, options.calc if color == "entropy" else None)
    data = _coloured(text, color, strip_surface, hide_fcc, options, limits)
    _render(data, color, output, size, direction, None)
    return Path(output)


def render_movie(
    dump: str | PathLike[str],
    folder: str | PathLike[str],
    color: str = "structure",
    stride: int = 1,
    progress: bool = True,
    **options: Any,
) -> list[Path]:
    """Render the frames of a dump into a numbered sequence of PNGs, from one point of view.

    ``ffmpeg -i folder/%05d.png movie.mp4`` makes a movie of them. Pictures that are there already
    are kept, so that a killed run goes on.

    Parameters
    ----------
    dump : path-like
        The dump.
    folder : path-like
        Of the pictures, made where it is missing.
    color : {"structure", "fault", "entropy"}
        As in `render_pillar`.
    stride : int
        Take every so many frames.
    progress : bool
        Show the progress bar.
    **options
        strip_surface, hide_fcc, calc, limits, size, direction, rmsd_cutoff, max_layers of
        `render_pillar`. Give `limits` so that the colors of all frames mean the same.

    Returns
    -------
    list of pathlib.Path
        The pictures, numbered from 0; frames that are broken have none.

    Raises
    ------
    RuntimeError
        When the machine lacks what rendering needs; the message names the packages.
    """
    calc = options.pop("calc", None)
    settings = _checked_options(
        options.pop("rmsd_cutoff", 0.13), options.pop("max_layers", 12), False, calc
    )
    size, direction = options.pop("size", (480, 720)), options.pop("direction", (2.0, 3.0, -1.0))
    strip, hide = options.pop("strip_surface", True), options.pop("hide_fcc", False)
    limits = options.pop("limits", None)
    if options:
        raise TypeError(f"{', '.join(options)}: no such option of render_pillar")
    _check_view(color, limits, size, direction)
    _check_whole("stride", stride)
    Path(folder).mkdir(parents=True, exist_ok=True)
    frames, _ = open_frames(dump, "lammps-dump-text", stride, {})
    pictures: list[Path] = []
    view = None
    for frame in tqdm(frames, desc="pictures", disable=None if progress else True):
        picture = Path(folder) / f"{len(pictures):05d}.png"
        try:
            text = _checked_text(frame, settings.calc if color == "entropy" else None)
            if not picture.exists() or view is None:
                data = _coloured(text, color, strip, hide, settings, limits)
                view = _render(data, color, picture, size, direction, view)
        except _MissingColumns as error:
            raise ValueError(f"dump = {fspath(dump)!r}: {error}") from None
        except ValueError:  # a broken frame must not cost the others
            continue
        pictures.append(picture)
    return pictures


def _check_view(color: Any, limits: Any, size: Any, direction: Any) -> None:
    """Check the options of a picture."""
    if color not in ("structure", "fault", "entropy"):
        raise ValueError(f"color = {color!r}: must be 'structure', 'fault' or 'entropy'")
    for name, value, n in (("limits", limits, 2), ("size", size, 2), ("direction", direction, 3)):
        if value is None and name == "limits":
            continue
        try:
            numbers = np.array(value, dtype=float)
        except (TypeError, ValueError):
            numbers = np.array([np.nan])
        wanted = f"{n} finite numbers"
        right = numbers.shape == (n,) and bool(np.isfinite(numbers).all())
        if name == "limits":
            wanted, right = "two numbers, the smaller one first", right and numbers[0] < numbers[1]
        elif name == "size":
            wanted = "two whole numbers of pixels, 16 or more"
            right = right and bool((numbers >= 16).all() and (numbers % 1 == 0).all())
        elif name == "direction":
            wanted, right = "three numbers, not all of them 0", right and bool(numbers.any())
        if not right:
            raise ValueError(f"{name} = {value!r}: must be {wanted}")


def _render(
    data: Any, color: str, output: str | PathLike[str], size: tuple[int, int],
    direction: Sequence[float], view: tuple[Any, float] | None,
) -> tuple[Any, float]:  # fmt: skip
    """Render; return the point of view, for the next picture."""
    ovito = _ovito()
    pipeline = ovito.pipeline.Pipeline(source=ovito.pipeline.StaticSource(data=data))
    pipeline.add_to_scene()
    try:
        cell = pipeline.compute().cell
        if cell is not None:
            cell.vis.enabled = False
        viewport = ovito.vis.Viewport(type=ovito.vis.Viewport.Type.Ortho, camera_dir=direction)
        if view is None:
            viewport.zoom_all(size=tuple(size))
        else:
            viewport.camera_pos, viewport.fov = view
        with tempfile.TemporaryDirectory() as folder:
            bare = os.path.join(folder, "bare.png")
            viewport.render_image(filename=bare, size=tuple(size),
                                  renderer=ovito.vis.TachyonRenderer(shadows=False))  # fmt: skip
            _add_legend(bare, output, pipeline.compute().particles, color)
        return viewport.camera_pos, viewport.fov
    except RuntimeError as error:
        if "Vulkan" in str(error):
            raise RuntimeError(VULKAN) from error
        raise
    finally:
        pipeline.remove_from_scene()


def _add_legend(bare: str, output: str | PathLike[str], particles: Any, color: str) -> None:
    """Add what the colors mean, and save in 256 colors, a third of the size."""
    from matplotlib import colormaps
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch
    from PIL import Image

    pixels = np.asarray(Image.open(bare).convert("RGB"))
    height, width = pixels.shape[:2]
    figure = Figure(figsize=(width / 100, height / 100), dpi=100)
    figure.figimage(pixels, zorder=-1)
    if color == "entropy":
        values = np.asarray(particles["Local entropy"])
        start, end = particles["Local entropy range"][0]
        bar = figure.add_axes((0.08, 0.93, 0.4, 0.02))
        scale = ScalarMappable(Normalize(start, end), colormaps["viridis"])
        extend = "both" if (values < start).any() or (values > end).any() else "neither"
        figure.colorbar(scale, cax=bar, orientation="horizontal", extend=extend)
        bar.tick_params(labelsize=8)
        bar.set_title("local entropy ($k_B$)", fontsize=9)
    else:
        kind = particles["Structure Type" if color == "structure" else "Fault Type"]
        present = np.unique(kind)
        names = {0: "other"} if color == "structure" else {0: "no fault"}
        figure.legend(
            handles=[
                Patch(facecolor=type_.color, edgecolor="0.6", lw=0.5,
                      label=names.get(type_.id, type_.name))
                for type_ in kind.types if type_.id in present
            ],
            loc="upper left", frameon=False, fontsize=9,
        )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "picture.png")
        figure.savefig(path, dpi=100)
        picture = Image.open(path).convert("RGB")
        picture = picture.quantize(palette=picture.quantize(256))  # the second time with dithering
        with atomic_write(output, "wb") as file:
            picture.save(file, format="PNG", optimize=True)
