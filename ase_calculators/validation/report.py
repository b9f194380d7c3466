# SPDX-License-Identifier: BSD-3-Clause
"""Results of a validation: records, tables, figures; comparison of several models."""

import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any

from ase_calculators.figures import new_figure, save_figure
from ase_calculators.provenance import atomic_write, write_json
from ase_calculators.validation.property import Property
from ase_calculators.validation.registry import PROPERTIES


@dataclass
class Report:
    """The records of one model.

    Attributes
    ----------
    folder : pathlib.Path
        Folder of ``<property>.json`` and ``.png``, ``summary.md``, ``summary.csv``.
    model : str
        Name of the model.
    element, structure : str
        Crystal that was calculated.
    records : dict of str to dict
        Record of each property by name.
    reference : dict of str to dict
        Reference values by quantity.
    notes : list of str
        Remarks on the whole report.
    """

    folder: Path
    model: str
    element: str
    structure: str
    records: dict[str, dict[str, Any]]
    reference: dict[str, dict[str, Any]]
    notes: list[str] = field(default_factory=list)

    @property
    def failed(self) -> dict[str, str]:
        """Properties that failed.

        Returns
        -------
        dict of str to str
            Reasons by name.
        """
        return {n: r["error"] for n, r in self.records.items() if r["status"] == "failed"}

    @property
    def values(self) -> dict[str, float]:
        """Values of all properties.

        Returns
        -------
        dict of str to float
            Values by quantity, in the units of the table.
        """
        return {
            quantity: entry["value"]
            for record in self.records.values() for quantity, entry in record["values"].items()
        }  # fmt: skip

    def rows(self) -> list[dict[str, Any]]:
        """Return the table's rows.

        Returns
        -------
        list of dict
            Keys: property, quantity, value, unit, reference, deviation_percent, kind, source, doi.
        """
        rows = []
        for name, record in self.records.items():
            for quantity, entry in record["values"].items():
                known = self.reference.get(quantity, {})
                deviation = None
                if known and entry["value"] is not None and known["value"]:
                    deviation = 100 * (entry["value"] / known["value"] - 1)
                rows.append(
                    {
                        "property": name, "quantity": quantity, **entry,
                        "reference": known.get("value"), "deviation_percent": deviation,
                        "kind": known.get("kind", ""), "source": known.get("source", ""),
                        "doi": known.get("doi", ""),
                    }
                )  # fmt: skip
        return rows

    def table(self) -> str:
        """Return the summary as a Markdown table with the flags below it.

        Returns
        -------
        str
            Text.
        """
        lines = [
            f"{self.model}: {self.element} {self.structure}", "",
            "| quantity | value | unit | reference | deviation | kind |",
            "|---" * 6 + "|",
        ]  # fmt: skip
        for row in self.rows():
            known = "" if row["reference"] is None else _number(row["reference"])
            off = row["deviation_percent"]
            off = "" if off is None else f"{off:+.1f} %"
            value = "" if row["value"] is None else _number(row["value"])
            lines.append(
                f"| {row['quantity']} | {value} | {row['unit']} | {known} | {off} | {row['kind']} |"
            )
        remarks = [f"- {note}" for note in self.notes]
        for name, record in self.records.items():
            if record["status"] == "failed":
                remarks.append(f"- {name}: FAILED: {record['error']}")
            remarks += [f"- {name}: {flag}" for flag in record["flags"]]
            if "verdict" in record["data"]:
                remarks.append(f"- {name}: {record['data']['verdict']}")
        return "\n".join(lines + ([""] + remarks if remarks else [])) + "\n"

    def write(self) -> None:
        """Write ``summary.md``, ``summary.csv`` and ``report.json`` to the folder."""
        with atomic_write(self.folder / "summary.md") as file:
            file.write(self.table())
        rows = self.rows()
        with atomic_write(self.folder / "summary.csv", newline="") as file:
            names = list(rows[0]) if rows else ["property"]
            writer = csv.DictWriter(file, names, lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
        head = {
            "model": self.model, "element": self.element, "structure": self.structure,
            "reference": self.reference, "notes": self.notes, "properties": list(self.records),
        }  # fmt: skip
        write_json(self.folder / "report.json", head)

    @classmethod
    def read(cls, folder: str | PathLike[str]) -> "Report":
        """Read the report that `validate` wrote to a folder.

        Parameters
        ----------
        folder : path-like
            The `workdir` of `validate`.

        Returns
        -------
        Report
            Report.

        Raises
        ------
        FileNotFoundError
            If the folder has no report.
        ValueError
            If the report is damaged.
        """
        path = Path(folder)
        if not (path / "report.json").is_file():
            raise FileNotFoundError(
                f"folder = {str(path)!r}: has no report.json; run validate first"
            )
        try:
            head = json.loads((path / "report.json").read_text(encoding="utf-8"))
            records = {
                name: json.loads((path / f"{name}.json").read_text(encoding="utf-8"))
                for name in head["properties"]
            }
            return cls(
                path, head["model"], head["element"], head["structure"], records,
                head["reference"], head["notes"],
            )  # fmt: skip
        except (ValueError, LookupError, TypeError, FileNotFoundError) as error:
            raise ValueError(
                f"folder = {str(path)!r}: its report is damaged ({type(error).__name__}: {error}); "
                "run validate again, which keeps undamaged records"
            ) from error

    def as_reference(self) -> dict[str, Any]:
        """Return the values in the format of a reference, to compare other models with this one.

        Returns
        -------
        dict
            Argument `reference` of `validate`.
        """
        values = {
            row["quantity"]: {
                "value": row["value"], "unit": row["unit"], "kind": "model", "source": self.model,
            }
            for row in self.rows() if row["value"] is not None
        }  # fmt: skip
        return {"element": self.element, "crystal": self.structure, "values": values}


def _number(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 1e4 else f"{value:.4g}"


def draw(
    kind: type[Property], records: list[dict[str, Any]], path: Path, reference: dict[str, Any]
) -> None:
    """Draw a property of one or several models and write the picture.

    Parameters
    ----------
    kind : type of Property
        Property.
    records : list of dict
        Record of each model.
    path : pathlib.Path
        Picture.
    reference : dict of str to dict
        Reference values by quantity.
    """
    figure = new_figure(*kind.figure_size(len(records)))
    kind.plot(figure, [{**record, "reference": reference} for record in records])
    save_figure(figure, path)


def compare(reports: Sequence[Report], folder: str | PathLike[str] = "properties") -> str:
    """Compare several models: write a figure of each property and one table of all.

    Parameters
    ----------
    reports : sequence of Report
        Reports, at least one, of the same crystal. The reference is that of the first.
    folder : path-like
        Folder of ``<property>.png`` and ``properties.md``.

    Returns
    -------
    str
        Table in Markdown.

    Raises
    ------
    ValueError
        If there are no reports, or if they are of different crystals.
    """
    crystals = {(r.element, r.structure) for r in reports}
    if len(crystals) != 1:
        raise ValueError(
            f"reports: are of {len(crystals)} different crystals, {sorted(crystals)}; "
            "compare models of one crystal"
        )
    path = Path(folder)
    path.mkdir(parents=True, exist_ok=True)
    for name, kind in PROPERTIES.items():
        records = [
            r.records[name] for r in reports
            if name in r.records and r.records[name]["status"] == "done"
        ]  # fmt: skip
        if records:
            draw(kind, records, path / f"{name}.png", reports[0].reference)
    quantities: dict[str, str] = {}
    for report in reports:
        quantities |= {row["quantity"]: row["unit"] for row in report.rows()}
    lines = [
        f"| quantity | unit | reference | {' | '.join(r.model for r in reports)} |",
        "|---" * (3 + len(reports)) + "|",
    ]
    for quantity, unit in quantities.items():
        known = reports[0].reference.get(quantity)
        cells = ["" if known is None else _number(known["value"])]
        for report in reports:
            value = report.values.get(quantity)
            cells.append("" if value is None else _number(value))
        lines.append(f"| {quantity} | {unit} | {' | '.join(cells)} |")
    text = "\n".join(lines) + "\n"
    with atomic_write(path / "properties.md") as file:
        file.write(text)
    return text
