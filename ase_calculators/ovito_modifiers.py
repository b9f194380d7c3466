# SPDX-License-Identifier: BSD-3-Clause
"""OVITO modifiers: the entropy view of a structure, and the stacking faults of fcc crystals.

They work in scripts, in ``ovitos`` and in the menu of OVITO Pro, where the entry-point group
``OVITO.Modifier`` lists them as "Entropy-symmetry" and "FCC fault sequence".
"""

from collections.abc import Generator
from typing import Any

import numpy as np

try:
    from ovito.data import DataCollection, DataTable, ElementType
    from ovito.pipeline import ModifierInterface
    from traits.api import Bool, Float, Int, List, Range
except ImportError as error:
    raise ImportError("OVITO is not installed: pip install 'entsym[analysis]'") from error

from ase_calculators.fault_sequence import (
    FAULT_COLORS,
    FAULT_NAMES,
    FCC,
    HCP,
    MIN_FCC_SHARE,
    FaultSequence,
    FaultType,
    Planes,
    fault_sequence,
    miller_name,
    parent_orientation,
    twin_layers,
)
from cython_core import Kernel

# the analysis itself is in `fault_sequence`, its names are here as well
__all__ = [
    "FCCFaultSequenceModifier",
    "EntropySymmetryModifier",
    "read_fault_sequence",
    "write_fault_sequence",
    "not_fcc",
    "FaultSequence",
    "FaultType",
    "Planes",
    "fault_sequence",
    "miller_name",
    "parent_orientation",
    "twin_layers",
    "FAULT_COLORS",
    "FAULT_NAMES",
]


def read_fault_sequence(
    data: DataCollection, parent: np.ndarray | None = None, max_layers: int = 12
) -> FaultSequence | None:
    """Run `fault_sequence` on the output of PTM in a data collection.

    Parameters
    ----------
    data : ovito.data.DataCollection
        Atoms with PTM's structure types and orientations. PTM's interatomic distances and elastic
        deformation gradients are used if they are there.
    parent : (4,) float64, optional
        As in `fault_sequence`.
    max_layers : int
        As in `fault_sequence`.

    Returns
    -------
    FaultSequence or None
        The faults; None if the analysis does not apply.

    Raises
    ------
    ValueError
        If there are no atoms or PTM was not run before.
    """
    particles = data.particles
    if particles is None or particles.count == 0:
        raise ValueError("FCC fault sequence: there are no atoms; load a structure first")
    if "Structure Type" not in particles or "Orientation" not in particles:
        raise ValueError(
            "FCC fault sequence: needs the structure types and orientations of PTM; insert "
            "PolyhedralTemplateMatchingModifier(output_orientation=True) before it"
        )
    structures = np.asarray(particles.structure_types)
    distance = deformation = None
    if "Interatomic Distance" in particles:
        close_packed = (structures == FCC) | (structures == HCP)
        if close_packed.any():
            distance = float(np.median(particles["Interatomic Distance"][close_packed]))
    if "Elastic Deformation Gradient" in particles:
        columns = np.asarray(particles["Elastic Deformation Gradient"]).reshape(-1, 3, 3)
        deformation = columns.transpose(0, 2, 1)
    cell, pbc = np.eye(3), (False, False, False)
    if data.cell is not None:
        cell, pbc = np.asarray(data.cell)[:, :3].T, data.cell.pbc
    return fault_sequence(
        np.asarray(particles.positions),
        cell,
        pbc,
        structures,
        np.asarray(particles["Orientation"]),
        distance,
        deformation,
        parent,
        max_layers,
    )


def not_fcc(data: DataCollection) -> str:
    """Return the reason why the fault analysis does not apply to a frame.

    Parameters
    ----------
    data : ovito.data.DataCollection
        Atoms with PTM's structure types.

    Returns
    -------
    str
        The reason, in one line.
    """
    share = np.mean(np.asarray(data.particles.structure_types) == FCC)
    return (
        f"the fault analysis does not apply: {100 * share:.1f} % of the atoms are fcc, fewer than "
        f"{100 * MIN_FCC_SHARE:.0f} %"
    )


class FCCFaultSequenceModifier(ModifierInterface):
    """Find ISF, ESF, CTB and multilayer twins of an fcc crystal, and letter its planes.

    Insert it after ``PolyhedralTemplateMatchingModifier(output_orientation=True)``. With
    ``output_deformation_gradient=True`` the planes of a strained crystal are lettered, too. The
    method is described at `fault_sequence`. OVITO's own ``IdentifyFCCPlanarFaultsModifier`` is not
    needed. Its types are refined here: its ISF are ISF, its coherent twin boundaries become ESF,
    CTB and multilayer twins.

    Attributes
    ----------
    max_layers : int
        Largest number of layers of a twin. Two boundaries further apart are CTBs.
    color_atoms : bool
        Color the faulted atoms by type and the others grey.
    parent : list of float
        Orientation of the parent crystal, a quaternion (x, y, z, w), for example the attribute
        FCCFaultSequence.parent of the first frame. Empty: the orientation of most atoms.

    Notes
    -----
    Particle properties: "Fault Type" (`FaultType`), "Twin Layers" (layers between the boundaries of
    the ESF or twin, 0 elsewhere), "Fault Normal" (row of `MILLER`, -1 for none), "Crystal Domain"
    (0 parent, 1 to 4 its twins, -1 for none), "Stacking Plane" and "Stacking Letter" (0 none, 1 A,
    2 B, 3 C) along the normal with most faults. Attributes, all starting with "FCCFaultSequence.":
    "applies", "message", "parent", "normal", "letters", "faults" (one character per plane, as in
    `Planes`), "sharpness", and "counts.ISF" and so on. Tables: "fault_types" and "twin_layers"
    (atoms of the boundaries by the layers between them).

    Examples
    --------
    >>> from ase.build import bulk
    >>> from ovito.io.ase import ase_to_ovito
    >>> from ovito.modifiers import PolyhedralTemplateMatchingModifier
    >>> data = ase_to_ovito(bulk("Al", "fcc", a=4.05, cubic=True) * 5)
    >>> data.apply(PolyhedralTemplateMatchingModifier(output_orientation=True))
    >>> data.apply(FCCFaultSequenceModifier())
    >>> data.attributes["FCCFaultSequence.counts.ISF"]
    0
    """

    max_layers = Range(1, 100, 12, label="Most layers of a twin")
    color_atoms = Bool(True, label="Color atoms by fault type")
    parent = List(Float, label="Orientation of the parent (x, y, z, w)")

    def modify(self, data: DataCollection, **kwargs: Any) -> None:
        """Write the properties, attributes and tables of the class.

        Parameters
        ----------
        data : ovito.data.DataCollection
            Atoms with the output of PTM.
        **kwargs
            Not used.
        """
        if len(self.parent) not in (0, 4):
            raise ValueError(
                f"parent = {list(self.parent)}: must be a quaternion (x, y, z, w), or empty for "
                "the orientation that most atoms have"
            )
        parent = np.array(self.parent) if self.parent else None
        found = read_fault_sequence(data, parent, int(self.max_layers))
        write_fault_sequence(data, found, self.color_atoms)


def write_fault_sequence(
    data: DataCollection, found: FaultSequence | None, color_atoms: bool = True
) -> None:
    """Write the result of `fault_sequence` into a data collection.

    Parameters
    ----------
    data : ovito.data.DataCollection
        Atoms that get the properties, attributes and tables of `FCCFaultSequenceModifier`.
    found : FaultSequence or None
        Faults of these atoms. None if the analysis does not apply; the attributes then say so.
    color_atoms : bool
        Color the atoms by fault type.
    """
    prefix = "FCCFaultSequence."
    data.attributes[prefix + "applies"] = int(found is not None)
    data.attributes[prefix + "message"] = "" if found else not_fcc(data)
    if found is None:
        return
    particles = data.particles_
    kind = particles.create_property("Fault Type", data=found.type.astype(np.int32))
    for id, (name, color) in enumerate(zip(FAULT_NAMES, FAULT_COLORS, strict=True)):
        kind.types.append(ElementType(id=id, name=name, color=color))
    letter = particles.create_property("Stacking Letter", data=found.letter.astype(np.int32) + 1)
    for id, name in enumerate("-ABC"):
        letter.types.append(ElementType(id=id, name=name))
    particles.create_property("Twin Layers", data=found.layers.astype(np.int32))
    particles.create_property("Fault Normal", data=found.normal.astype(np.int32))
    particles.create_property("Crystal Domain", data=found.domain.astype(np.int32))
    particles.create_property("Stacking Plane", data=found.plane)
    if color_atoms:
        particles.create_property("Color", data=np.array(FAULT_COLORS)[found.type])

    counts = np.bincount(found.type, minlength=len(FaultType))
    for type_ in FaultType:
        data.attributes[f"{prefix}counts.{type_.name}"] = int(counts[type_])
    data.attributes[prefix + "parent"] = " ".join(f"{x:.6f}" for x in found.parent)
    first = found.planes[0]
    data.attributes[prefix + "normal"] = miller_name(first.normal)
    data.attributes[prefix + "letters"] = first.letters
    data.attributes[prefix + "faults"] = first.faults
    data.attributes[prefix + "sharpness"] = first.sharpness

    table = DataTable(identifier="fault_types", title="Atoms of faults",
                      plot_mode=DataTable.PlotMode.BarChart)  # fmt: skip
    table.x = table.create_property("Fault Type", data=np.arange(len(FaultType)))
    for id, name in enumerate(FAULT_NAMES):
        table.x.types.append(ElementType(id=id, name=name))
    table.y = table.create_property("Atoms", data=counts)
    data.objects.append(table)
    histogram = twin_layers(np.asarray(particles.structure_types), found)
    table = DataTable(identifier="twin_layers", title="Twins by layers between the boundaries",
                      plot_mode=DataTable.PlotMode.BarChart)  # fmt: skip
    table.x = table.create_property("Layers", data=np.arange(len(histogram)))
    table.y = table.create_property("Atoms of the boundaries", data=histogram)
    data.objects.append(table)


class EntropySymmetryModifier(ModifierInterface):
    """Compute the pair entropy and the bond-orientational symmetry of atoms and structure.

    The kernel and the definitions are those of `EntropySymmetry`.

    Attributes
    ----------
    rmax : float
        Upper end of the entropy integral, Å.
    sigma : float
        Gaussian broadening of g(r), Å.
    q6_cutoff : float
        Cutoff for the neighbours of q_l and of the averages, Å.
    dr : float
        Spacing of the radial grid, Å; 0 for sigma / 4.
    degree : int
        Even degree l, 2 to 12; it is part of the names of the results.
    smooth : float
        Width over which a neighbour fades out, Å.
    number_density : float
        Atoms per Å^3; 0 for the number of atoms over the volume of the cell. With vacuum around the
        atoms, give the density of the crystal.
    per_atom : bool
        Compute the values of the atoms, too, at a few times the cost.
    only_selected : bool
        Restrict centres and neighbours to selected atoms. The others get zeros.
    threads : int
        Number of threads.

    Notes
    -----
    Attributes "EntropySymmetry.sS" and "EntropySymmetry.Q6"; particle properties "Local sS", "Local
    q6", "Mean sS" and "Mean q6" (averaged over an atom and its neighbours), entropies in k_B.

    Examples
    --------
    >>> from ase.build import bulk
    >>> from ovito.io.ase import ase_to_ovito
    >>> data = ase_to_ovito(bulk("Al", "fcc", a=4.05, cubic=True))
    >>> data.apply(EntropySymmetryModifier(rmax=7.0, sigma=0.125, q6_cutoff=3.5))
    >>> print(f"{data.attributes['EntropySymmetry.sS']:.2f}")
    -24.48
    """

    rmax = Float(7.0, label="rmax (Å)")
    sigma = Float(0.2, label="sigma (Å)")
    q6_cutoff = Float(3.5, label="Neighbor cutoff (Å)")
    dr = Float(0.0, label="dr (Å), 0: sigma/4")
    degree = Int(6, label="Degree l")
    smooth = Float(0.0, label="Fade-out width (Å)")
    number_density = Float(0.0, label="Number density (1/Å³), 0: of the cell")
    per_atom = Bool(True, label="Values of atoms")
    only_selected = Bool(False, label="Only selected atoms")
    threads = Range(1, 1024, 1, label="Threads")

    def modify(self, data: DataCollection, **kwargs: Any) -> Generator[str, None, None]:
        """Write the attributes and properties of the class.

        Parameters
        ----------
        data : ovito.data.DataCollection
            The structure.
        **kwargs
            Not used.

        Yields
        ------
        str
            Text for the status bar.
        """
        if data.particles is None or data.particles.count == 0:
            raise ValueError("Entropy-symmetry: there are no atoms; load a structure first")
        if data.cell is None:
            raise ValueError("Entropy-symmetry: there is no simulation cell; load one or set one")
        kernel = Kernel(
            self.rmax, self.sigma, self.q6_cutoff, self.dr or None, self.degree, self.smooth
        )
        positions = np.asarray(data.particles.positions)
        selected: Any = slice(None)
        if self.only_selected:
            if "Selection" not in data.particles:
                raise ValueError("Entropy-symmetry: nothing is selected; insert a selection first")
            selected = np.flatnonzero(data.particles.selection)
        structure: dict[str, Any] = {
            "positions": positions[selected],
            "cell": np.asarray(data.cell)[:, :3].T,
            "pbc": data.cell.pbc,
            "number_density": self.number_density or None,
            "threads": self.threads,
        }
        yield "Calculating sS and Q"
        sS, Q = kernel.evaluate(**structure)
        data.attributes["EntropySymmetry.sS"] = sS
        data.attributes[f"EntropySymmetry.Q{self.degree}"] = Q
        if not self.per_atom:
            return
        yield "Calculating local values"
        local = kernel.local(**structure)
        names = {
            "Local sS": "sS", f"Local q{self.degree}": "Q",
            "Mean sS": "mean_sS", f"Mean q{self.degree}": "mean_Q",
        }  # fmt: skip
        for name, key in names.items():
            values = np.zeros(len(positions))
            values[selected] = local[key]
            data.particles_.create_property(name, data=values)
