# SPDX-License-Identifier: BSD-3-Clause
"""One frame of a dump: its text, its atoms in OVITO, its row of the table."""

import os
import tempfile
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers

from ase_calculators.argument_checks import check_whole
from ase_calculators.entropy_symmetry import EntropySymmetry
from ase_calculators.fault_sequence import BCC, FAULT_NAMES, FaultType, miller_name, twin_layers
from ase_calculators.frame_source import Frame
from ase_calculators.pillar.table import BURGERS, COLUMNS, FAULTS, STRUCTURES
from ase_calculators.text_file import decoded

# the sets of columns that LAMMPS can dump positions in
_COORDINATES = ({"x", "y", "z"}, {"xu", "yu", "zu"}, {"xs", "ys", "zs"}, {"xsu", "ysu", "zsu"})


class MissingColumns(ValueError):
    """A dump lacks columns, so that none of its frames can be analysed."""


def checked_text(frame: Frame, calc: dict[str, Any] | None = None) -> bytes:
    """Return the text of a frame of a dump if it is complete and has the columns needed.

    Parameters
    ----------
    frame : Frame
        The frame.
    calc : dict, optional
        Parameters of an `EntropySymmetry`; its elements need the column element.

    Returns
    -------
    bytes
        The text.

    Raises
    ------
    MissingColumns
        If columns are missing.
    ValueError
        If the frame ends early or has no atoms.
    """
    if isinstance(frame.content, Exception):
        raise frame.content
    assert isinstance(frame.content, bytes)
    head, found, body = frame.content.partition(b"ITEM: ATOMS")
    _, has_number, number = head.partition(b"ITEM: NUMBER OF ATOMS")
    if not found or not has_number:
        raise ValueError("the frame ends early: before its atoms")
    stated = int(number.split(maxsplit=1)[0])
    # LAMMPS writes units and time in front of the next timestep
    trailer = body.rfind(b"\nITEM:")
    body = body if trailer < 0 else body[: trailer + 1]
    columns = decoded(body.split(b"\n", 1)[0]).split()
    rows = max(body.count(b"\n") - 1, 0)
    if stated == 0:
        raise ValueError("the frame has no atoms")
    complete = body.endswith(b"\n") and rows == stated
    if not complete or len(body[:-1].rsplit(b"\n", 1)[-1].split()) != len(columns):
        raise ValueError(f"the frame ends early: {min(rows, stated - 1)} of {stated} atoms")
    missing = [] if "id" in columns else ["id"]
    if not any(coordinates <= set(columns) for coordinates in _COORDINATES):
        missing.append("x y z (or xs, xu, xsu and so on)")
    if missing:
        raise MissingColumns(
            f"its columns are {' '.join(columns)}, without {' and '.join(missing)}; dump "
            "custom ... id type x y z"
        )
    if calc is not None and calc["elements"] and "element" not in columns:
        raise MissingColumns(
            f"its columns are {' '.join(columns)}, without element, which the elements of calc "
            "need; dump custom ... id type element x y z and dump_modify ... element Al ..."
        )
    return head + found + body


@dataclass(frozen=True)
class FrameOptions:
    """Options of the analysis of a frame.

    Attributes
    ----------
    rmsd_cutoff : float
        Cutoff of PTM.
    max_layers : int
        Largest number of layers of a twin.
    dislocations : bool
        Whether to run the dislocation analysis.
    calc : dict or None
        Parameters of an `EntropySymmetry`.
    """

    rmsd_cutoff: float
    max_layers: int
    dislocations: bool
    calc: dict[str, Any] | None


def checked_options(
    rmsd_cutoff: Any, max_layers: Any, dislocations: Any, calc: EntropySymmetry | None
) -> FrameOptions:
    """Check the options that a user gave.

    Parameters
    ----------
    rmsd_cutoff, max_layers, dislocations, calc : object
        Arguments of `analyse_pillar`.

    Returns
    -------
    FrameOptions
        The options, with the parameters of `calc` in place of the calculator.

    Raises
    ------
    TypeError
        If `calc` is not an EntropySymmetry.
    ValueError
        If a number is out of range.
    """
    check_whole("max_layers", max_layers)
    if not isinstance(rmsd_cutoff, int | float | np.number) or not 0 < rmsd_cutoff <= 1:
        raise ValueError(f"rmsd_cutoff = {rmsd_cutoff!r}: must be above 0 and at most 1, as 0.13")
    parameters = None
    if calc is not None:
        if not isinstance(calc, EntropySymmetry):
            raise TypeError(f"calc: must be an EntropySymmetry, is a {type(calc).__name__}")
        parameters = {**calc.todict(), "threads": calc.parameters["threads"]}
    return FrameOptions(float(rmsd_cutoff), int(max_layers), bool(dislocations), parameters)


def import_ovito() -> Any:
    """Import OVITO's modules, which takes a second and is not needed for tables.

    Returns
    -------
    module
        The package ovito.

    Raises
    ------
    ImportError
        If OVITO is not installed; the message names the extra.
    """
    try:
        import ovito.data
        import ovito.io
        import ovito.modifiers
        import ovito.pipeline
        import ovito.vis
    except ImportError as error:
        raise ImportError("OVITO is not installed: pip install 'entsym[analysis]'") from error
    return ovito


def load_frame(text: bytes) -> Any:
    """Read one frame of a dump into OVITO.

    Parameters
    ----------
    text : bytes
        The frame.

    Returns
    -------
    ovito.data.DataCollection
        Its atoms, sorted by identifier.
    """
    ovito = import_ovito()
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.NamedTemporaryFile(suffix=".dump", dir=memory) as file:
        file.write(text)
        file.flush()
        return ovito.io.import_file(file.name, sort_particles=True).compute(0)


def dump_column(particles: Any, name: str) -> np.ndarray | None:
    """Return a column of the dump; OVITO changes the case of some names.

    Parameters
    ----------
    particles : ovito.data.Particles
        The atoms.
    name : str
        Name of the column.

    Returns
    -------
    ndarray or None
        Its values; None without such a column.
    """
    for key in particles:
        if key.lower() == name.lower():
            return np.asarray(particles[key])
    return None


def as_atoms(data: Any) -> Atoms:
    """Return a frame as the calculator takes it.

    Parameters
    ----------
    data : ovito.data.DataCollection
        The frame.

    Returns
    -------
    ase.Atoms
        Its atoms; those of unnamed types have no element, number 0.
    """
    particles = data.particles
    numbers = np.zeros(particles.count, dtype=int)
    if (types := particles.particle_types) is not None:
        for type_ in types.types:
            numbers[np.asarray(types) == type_.id] = atomic_numbers.get(type_.name, 0)
    cell = np.asarray(data.cell)[:, :3].T
    return Atoms(numbers, np.asarray(particles.positions), cell=cell, pbc=data.cell.pbc)


def identify(data: Any, options: FrameOptions) -> float:
    """Run PTM on a frame and select the atoms at the surface and next to it.

    Parameters
    ----------
    data : ovito.data.DataCollection
        The frame; the property "Selection" marks these atoms.
    options : FrameOptions
        Options of PTM.

    Returns
    -------
    float
        Neighbour distance, Å.
    """
    modifiers = import_ovito().modifiers
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


class AtomStates(NamedTuple):
    """What the transitions need to know of the atoms of a frame.

    Attributes
    ----------
    identifiers : (n,) int64
        Identifiers in the dump.
    structures : (n,) int8
        PTM's structure types.
    interior : (n,) bool
        Whether an atom is interior.
    """

    identifiers: np.ndarray
    structures: np.ndarray
    interior: np.ndarray


class FrameResult(NamedTuple):
    """The analysis of one frame.

    Attributes
    ----------
    row : dict
        Its row of the table, but for the transitions and the stress-strain file.
    atoms : AtomStates
        Its atoms.
    parent : list of float or None
        Orientation of the parent crystal.
    height : float
        Length of the cell along z, Å.
    message : str
        Reason why the fault analysis does not apply; empty if it does.
    """

    row: dict[str, Any]
    atoms: AtomStates
    parent: list[float] | None
    height: float
    message: str


def analyse_frame(
    number: int, step: int, text: bytes, parent: list[float] | None, options: FrameOptions
) -> FrameResult:
    """Analyse one frame.

    Parameters
    ----------
    number, step : int
        Number of the frame in the dump, LAMMPS timestep.
    text : bytes
        The frame, checked by `checked_text`.
    parent : list of float or None
        Orientation of the parent crystal in an earlier frame.
    options : FrameOptions
        Options of the analysis.

    Returns
    -------
    FrameResult
        The result.
    """
    data = load_frame(text)
    distance = identify(data, options)
    particles = data.particles
    atoms = AtomStates(
        np.array(particles["Particle Identifier"]),
        np.asarray(particles.structure_types).astype(np.int8),
        np.asarray(particles.selection) == 0,
    )
    if (layer := dump_column(particles, "layer")) is not None:
        atoms = atoms._replace(interior=atoms.interior & (layer == 0))
    n_interior = int(atoms.interior.sum())
    row: dict[str, Any] = dict.fromkeys(COLUMNS, np.nan)
    row |= {"frame": number, "step": step, "n_atoms": particles.count, "n_interior": n_interior}
    shares = np.bincount(atoms.structures[atoms.interior], minlength=4) / max(n_interior, 1)
    row |= dict(zip(STRUCTURES, shares.tolist(), strict=True))
    for name in ("local_sS", "local_q6"):
        values = dump_column(particles, name)
        if values is not None and n_interior:
            row[name] = float(values[atoms.interior].mean())
    faults, found_parent, message = _faults(data, atoms, parent, options)
    row |= faults
    sizes = _bcc_clusters(data, atoms, distance)
    row |= {"bcc_clusters": len(sizes), "bcc_cluster_sizes": sizes}
    if options.calc is not None:
        calc, structure = EntropySymmetry(**options.calc), as_atoms(data)
        row |= {name: calc.get_property(name, structure) for name in ("sS", "Q6")}
    if options.dislocations and not message:
        row |= _dislocations(data)
    height = float(np.linalg.norm(np.asarray(data.cell)[:, 2]))
    return FrameResult(row, atoms, found_parent, height, message)


def _faults(
    data: Any, atoms: AtomStates, parent: list[float] | None, options: FrameOptions
) -> tuple[dict[str, Any], list[float] | None, str]:
    """Return the columns of the faults, the parent's orientation, and why there are no faults."""
    from ase_calculators import ovito_modifiers

    columns: dict[str, Any] = {"twin_layers": {}, "planes": {}, "letters": {}, "not_fcc": ""}
    found = ovito_modifiers.read_fault_sequence(
        data, None if parent is None else np.array(parent), options.max_layers
    )
    if found is None:
        message = ovito_modifiers.not_fcc(data)
        if parent is not None:  # a crystal that is no longer fcc: it has none of these
            columns |= dict.fromkeys((*FAULTS, "twinned"), 0)
            columns |= {f"dislocations_{name}_A": 0.0 for name in BURGERS if options.dislocations}
        return columns | {"not_fcc": message}, parent, message
    counts = np.bincount(found.type, minlength=len(FaultType))
    columns |= {FAULT_NAMES[type_]: int(counts[type_]) for type_ in FaultType if type_}
    twinned = atoms.interior & (found.domain > 0)
    columns["twinned"] = float(twinned.sum() / max(atoms.interior.sum(), 1))
    histogram = twin_layers(atoms.structures, found)
    columns["twin_layers"] = {str(k): int(histogram[k]) for k in np.flatnonzero(histogram)}
    for planes in found.planes:
        name = miller_name(planes.normal)
        columns["planes"][name], columns["letters"][name] = planes.faults, planes.letters
    return columns, found.parent.tolist(), ""


def _bcc_clusters(data: Any, atoms: AtomStates, distance: float) -> list[int]:
    """Return the sizes of the clusters of interior BCC atoms, the largest first."""
    bcc = atoms.interior & (atoms.structures == BCC)
    if not bcc.any():
        return []
    data.particles_.create_property("Selection", data=bcc.astype(np.int8))
    data.apply(
        import_ovito().modifiers.ClusterAnalysisModifier(cutoff=1.25 * distance, only_selected=True)
    )
    # numbers of clusters start at 1 up to OVITO 3.16 and at 0 since
    _, sizes = np.unique(np.asarray(data.particles["Cluster"])[bcc], return_counts=True)
    return sorted(sizes.tolist(), reverse=True)


def _dislocations(data: Any) -> dict[str, float]:
    """Return the lengths of the dislocations by Burgers vector, Å."""
    data.apply(import_ovito().modifiers.DislocationAnalysisModifier())
    return {
        f"dislocations_{name}_A": float(
            data.attributes.get(f"DislocationAnalysis.length.{name}", 0.0)
        )
        for name in BURGERS
    }
