# SPDX-License-Identifier: BSD-3-Clause
"""The stress-strain file of a run in LAMMPS."""

import contextlib
from os import PathLike, fspath
from typing import Any

import numpy as np


def read_stress_strain(path: str | PathLike[str]) -> dict[str, np.ndarray]:
    """Read the stress-strain file of in.micropillar, or another file written by fix print.

    Parameters
    ----------
    path : path-like
        Text with a comment line that names the columns: "# step strain stress_GPa ...".

    Returns
    -------
    dict of str to ndarray
        The columns. If a step comes twice, as after a restart, the last one counts.

    Raises
    ------
    ValueError
        If there are no such columns or no rows.
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
            with contextlib.suppress(ValueError):  # a line cut short by an interrupted run
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


def at_step(curve: dict[str, np.ndarray], step: int) -> dict[str, Any]:
    """Interpolate a stress-strain file at a timestep.

    Parameters
    ----------
    curve : dict of str to ndarray
        Columns, as `read_stress_strain` returns them.
    step : int
        LAMMPS timestep.

    Returns
    -------
    dict of str to float
        The columns of a table that the file has; NaN outside of its steps. The strain is
        extrapolated to steps before the first row.
    """
    steps, strains = curve["step"], curve["strain"]
    found: dict[str, Any] = {
        name: float(np.interp(step, steps, curve[name], left=np.nan, right=np.nan))
        for name in ("strain", "stress_GPa", "temperature_K", "sS", "Q6")
        if name in curve
    }
    if step < steps[0] and len(steps) > 1:  # the rate is constant
        slope = (strains[1] - strains[0]) / (steps[1] - steps[0])
        found["strain"] = float(strains[0] + slope * (step - steps[0]))
    return found
