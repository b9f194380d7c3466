# SPDX-License-Identifier: BSD-3-Clause
"""The table of a pillar's defects, one row per frame."""

import json
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple

import numpy as np

from ase_calculators.fault_sequence import FAULT_NAMES, FaultType
from ase_calculators.frame_table import FrameTable

STRUCTURES = ("other", "FCC", "HCP", "BCC")
FAULTS = (*FAULT_NAMES[FaultType.ISF :], FAULT_NAMES[FaultType.INDETERMINATE])
BURGERS = ("1/2<110>", "1/6<112>", "1/6<110>", "1/3<100>", "1/3<111>", "other")

# columns of whole numbers, of text and of other numbers; the rest are JSON
_TEXT = ("not_fcc",)
_WHOLE = ("frame", "step", "n_atoms", "n_interior", "bcc_clusters")
_NUMBERS = (
    "strain", "stress_GPa", "temperature_K", *STRUCTURES, *FAULTS, "twinned",
    *(f"dislocations_{b}_A" for b in BURGERS), "sS", "Q6", "local_sS", "local_q6",
    "hcp_direct", "hcp_through_bcc",
)  # fmt: skip
COLUMNS = (
    "frame", "step", "strain", "stress_GPa", "temperature_K", "n_atoms", "n_interior", *STRUCTURES,
    *FAULTS, "twinned", "not_fcc", "bcc_clusters", "bcc_cluster_sizes",
    *(f"dislocations_{b}_A" for b in BURGERS), "twin_layers", "sS", "Q6", "local_sS", "local_q6",
    "hcp_direct", "hcp_through_bcc", "transitions", "planes", "letters",
)  # fmt: skip


class Event(NamedTuple):
    """The first appearance of a defect, or the highest stress.

    Attributes
    ----------
    name : str
        "highest stress", "BCC embryo", "ISF", "ESF" or "CTB".
    strain : float
        Strain of the frame.
    row : int
        Row of the table.
    """

    name: str
    strain: float
    row: int


@dataclass(eq=False)
class PillarTable(FrameTable):
    """Hold the results of `analyse_pillar`, one row per frame.

    ``table["strain"]`` is a column; numbers are arrays, the others lists.

    Attributes
    ----------
    columns : dict of str to sequence
        The columns, in the order of `COLUMNS`:

        - frame, step: number of the frame in the dump, LAMMPS timestep.
        - strain, stress_GPa, temperature_K: positive in compression; NaN if unknown.
        - n_atoms, n_interior: all atoms, and the interior atoms: those neither in a fixed layer nor
          at the surface nor next to it.
        - FCC, HCP, BCC, other: shares of the interior atoms, by PTM.
        - ISF, ESF, CTB, twin, lamella, indeterminate: atoms by `FaultType`; those of ESFs and
          twins include the layers between the boundaries.
        - twinned: share of the interior atoms that are fcc and in twin orientation, of twins of any
          thickness and open ones.
        - not_fcc: the reason why the fault analysis does not apply to the frame; empty if it does.
          A crystal that was fcc before has no faults, twins and dislocations then (0); one that
          never was has NaN.
        - bcc_clusters, bcc_cluster_sizes: clusters of neighbouring interior BCC atoms.
        - dislocations_1/2<110>_A, ...: length by Burgers vector, Å.
        - twin_layers: {layers between the boundaries: atoms of the boundaries}.
        - sS, Q6: global; local_sS, local_q6: means over the interior.
        - transitions: 4 x 4 atoms from (rows) the structure in the row before to (columns) the
          structure here, in the order other, FCC, HCP, BCC; atoms that are interior in both.
        - hcp_direct, hcp_through_bcc: atoms that became HCP here and were not, or were, BCC in a
          frame since they were last FCC.
        - planes, letters: {normal: one character per plane}, as in `fault_sequence.Planes`.
    parameters : dict
        Input files, options and versions behind the numbers.
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
        converted: dict[str, Any] = {}
        for name in COLUMNS:
            column = self.columns[name]
            if name in _WHOLE:
                column = np.asarray(column, dtype=np.int64)
            elif name in _NUMBERS:
                column = np.asarray(column, dtype=float)
            elif name in _TEXT:
                column = [str(text) for text in column]
            else:
                column = [json.loads(x) if isinstance(x, str) else x for x in column]
            if len(column) != len(self.columns["frame"]):
                raise ValueError(
                    f"{name}: has {len(column)} rows; every column must be as long as frame, "
                    f"{len(self.columns['frame'])}"
                )
            converted[name] = column
        self.columns = converted

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

        BCC between two frames is not seen, so that this is a lower bound.

        Returns
        -------
        float
            Share, 0 to 1; NaN if no atom has turned HCP.
        """
        through, direct = np.nansum(self["hcp_through_bcc"]), np.nansum(self["hcp_direct"])
        return float(through / (through + direct)) if through + direct else np.nan

    def events(self, min_atoms: int = 10) -> list[Event]:
        """Find the frame of the highest stress and the first frame with each defect.

        Parameters
        ----------
        min_atoms : int
            Smallest cluster that counts as a BCC embryo, and smallest increase over the first frame
            that counts as a fault, both in atoms. CTB are all boundaries but those of ESFs: open
            ones and those of multilayer twins.

        Returns
        -------
        list of Event
            The events, in the order of strain.
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
            level = min_atoms + (values[:1].sum() if name != "BCC embryo" else 0)
            rows = np.flatnonzero(values >= level)
            if len(rows):
                events.append(Event(name, float(self["strain"][rows[0]]), int(rows[0])))
        return sorted(events, key=lambda event: event.row)
