# SPDX-License-Identifier: BSD-3-Clause
"""Literature values from JSON files; those of Al, Ir, Mo, Si and Zr come with the package."""

import json
from math import isfinite
from os import PathLike, fspath
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "references"


def read_reference(
    source: str | PathLike[str] | dict[str, Any] | None, element: str
) -> dict[str, dict[str, Any]]:
    """Read reference values.

    Format: ``{"element": "Al", "crystal": "fcc", "values": {"a0": {"value": 4.02, "unit": "Å",
    "kind": "experiment", "source": "...", "doi": "..."}}}``, with the names and units of the
    summary table. `value` and `source` are required. In the package's files `looked_up` says
    whether the value was read in its source, or in a copy that the source names, or is quoted.

    Parameters
    ----------
    source : path-like, dict or None
        A file, one of the package's files such as "Al.json", or the content of a file. None: the
        package's file of the element, if there is one.
    element : str
        Element that is validated.

    Returns
    -------
    dict of str to dict
        Entries by quantity; empty if there are none of the element.

    Raises
    ------
    FileNotFoundError
        If the file does not exist.
    ValueError
        If the file does not have this format, or belongs to another element.

    Examples
    --------
    >>> read_reference(None, "Al")["C11"]["value"]
    114.3
    """
    content: Any = source
    name = "reference"
    if source is None:
        path = FOLDER / f"{element}.json"
        if not path.is_file():
            return {}
        content = json.loads(path.read_text(encoding="utf-8"))
    elif not isinstance(source, dict):
        name = fspath(source)
        path = next((p for p in (Path(name), FOLDER / name) if p.is_file()), Path())
        if path == Path():
            ours = ", ".join(sorted(p.name for p in FOLDER.glob("*.json")))
            raise FileNotFoundError(f"reference = {name!r}: is not a file, nor one of ours: {ours}")
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except json.JSONDecodeError as error:
            raise ValueError(f"reference = {name!r}: is not JSON: {error}") from error
    if not isinstance(content, dict) or not isinstance(content.get("values"), dict):
        raise ValueError(f"{name}: must contain 'element' and 'values', as references/Al.json does")
    if content.get("element") != element:
        raise ValueError(
            f"{name}: is of element {content.get('element')!r}, not {element!r}; pass the "
            "file of that element, or None"
        )
    for quantity, entry in content["values"].items():
        value = entry.get("value") if isinstance(entry, dict) else None
        if not isinstance(value, int | float) or not isfinite(value):
            raise ValueError(f"{name}: values[{quantity!r}] must have a number as its 'value'")
        if not entry.get("source"):
            raise ValueError(f"{name}: values[{quantity!r}] has no 'source'; add where it is from")
    return dict(content["values"])
