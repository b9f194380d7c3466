# SPDX-License-Identifier: BSD-3-Clause
"""Convergence: the cheapest cutoff and mesh that keep the errors of labels within tolerances."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from os import PathLike, fspath
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from ase import Atoms
from ase.units import GPa

from ase_calculators.autodft.autodft import AutoDFT
from ase_calculators.autodft.settings import DFTSettings, is_number
from ase_calculators.figures import COLORS, new_figure, tidy
from ase_calculators.provenance import atomic_writes


class _Choice(NamedTuple):
    """Settings that hold the tolerances, and their place in the scan.

    Attributes
    ----------
    cost : float
        Expected time of all frames, s.
    cutoff, k_spacing : int
        Positions in the two scans.
    settings : DFTSettings
        Settings.
    """

    cost: float
    cutoff: int
    k_spacing: int
    settings: DFTSettings


def converged_settings(
    code: str,
    elements: Iterable[str],
    frames: Sequence[Atoms],
    *,
    machines: Any,
    ledger: str | PathLike[str] = "convergence.db",
    cutoffs: Sequence[float] = (250.0, 300.0, 350.0, 400.0, 500.0, 600.0),
    k_spacings: Sequence[float] = (0.08, 0.06, 0.05, 0.04, 0.03),
    energy: float = 1e-3,
    forces: float = 1e-2,
    stress: float = 0.1,
    figure: str | PathLike[str] = "convergence.png",
    **changes: Any,
) -> DFTSettings:
    """Return the cheapest cutoff and mesh that keep energy, forces and stress within tolerances.

    The cutoff is scanned with the coarsest mesh, and the mesh with the lowest cutoff, because the
    two errors are nearly independent. The error of a value is the largest difference from the last
    value of its scan, over all frames. The errors of cutoff and mesh are added. Every calculation
    goes through the ledger, so an interrupted scan resumes.

    Parameters
    ----------
    code : str
        Code, as in `DFTSettings`.
    elements : iterable of str
        Elements that the settings are for; each must be in a frame.
    frames : sequence of ase.Atoms
        Sample. Use rattled and strained cells: in symmetric ones the forces vanish.
    machines : path-like or dict
        Machines, as for `AutoDFT`.
    ledger : path-like
        Ledger of the scan.
    cutoffs : sequence of float
        Cutoffs, ascending, eV; the last one is the reference.
    k_spacings : sequence of float
        Spacings, descending, 2 pi / Å; the last one is the reference.
    energy : float
        Allowed error, eV per atom.
    forces : float
        Allowed error of a component, eV/Å.
    stress : float
        Allowed error of a component, GPa.
    figure : path-like
        Figure of the scan. The numbers are written next to it as JSON.
    **changes : Any
        Attributes that differ from those of `DFTSettings.paper`.

    Returns
    -------
    DFTSettings
        Cheapest settings that hold the tolerances.

    Raises
    ------
    ValueError
        If an argument is out of its range.
    RuntimeError
        If a calculation failed, or only the references hold the tolerances.
    """
    frames, cutoffs, k_spacings = list(frames), list(cutoffs), list(k_spacings)
    _require_arguments(
        elements, frames, {"cutoffs": cutoffs, "k_spacings": k_spacings},
        {"energy": energy, "forces": forces, "stress": stress},
    )  # fmt: skip

    def settings_of(cutoff: float, k_spacing: float) -> DFTSettings:
        return DFTSettings.paper(code, cutoff=cutoff, k_spacing=k_spacing, **changes)

    def labels(cutoff: float, k_spacing: float) -> list[Atoms]:
        return _labels(settings_of(cutoff, k_spacing), frames, machines, ledger)

    of_cutoff = _errors([labels(cutoff, k_spacings[0]) for cutoff in cutoffs])
    of_mesh = _errors([labels(cutoffs[0], k_spacing) for k_spacing in k_spacings])
    tolerances = np.array([energy, forces, stress])
    choices = []
    for i, cutoff in enumerate(cutoffs[:-1]):
        for j, k_spacing in enumerate(k_spacings[:-1]):
            if np.all(of_cutoff[i] + of_mesh[j] <= tolerances):
                settings = settings_of(cutoff, k_spacing)
                cost = sum(settings.cost(atoms) for atoms in frames)
                choices.append(_Choice(cost, i, j, settings))
    best = min(choices, key=lambda choice: choice[:3]) if choices else None
    path = Path(fspath(figure))
    picture = _draw(cutoffs, k_spacings, of_cutoff, of_mesh, tolerances, best)
    with (
        atomic_writes(path, mode="wb") as (drawing,),
        atomic_writes(path.with_suffix(".json")) as (file,),
    ):
        picture.savefig(drawing, format=path.suffix[1:] or "png", dpi=130)
        json.dump(
            {
                "code": code,
                "n_frames": len(frames),
                "tolerances": {"energy": energy, "forces": forces, "stress": stress},
                "cutoffs": cutoffs,
                "errors of the cutoff": of_cutoff.tolist(),
                "k_spacings": k_spacings,
                "errors of the mesh": of_mesh.tolist(),
                "chosen": asdict(best.settings) if best else None,
            },
            file,
            indent=1,
        )
    if best is None:
        raise RuntimeError(
            f"cutoffs up to {cutoffs[-1]}, k_spacings down to {k_spacings[-1]}: only these "
            f"references hold the tolerances; extend the scan (see {path})"
        )
    return best.settings


def _require_arguments(
    elements: Iterable[str],
    frames: list[Atoms],
    scans: dict[str, list[float]],
    tolerances: dict[str, float],
) -> None:
    """Check the arguments of `converged_settings`."""
    missing = set(elements) - {s for atoms in frames for s in atoms.get_chemical_symbols()}
    if missing or not frames:
        raise ValueError(
            f"elements = {sorted(missing)}: in none of the frames; add frames that hold them"
        )
    for name, values in scans.items():
        if not all(map(is_number, values)):
            raise ValueError(f"{name} = {values}: must be numbers")
    for name, allowed in tolerances.items():
        if not (is_number(allowed) and allowed > 0):
            raise ValueError(f"{name} = {allowed!r}: must be a number above 0")
    for (name, values), sign, order in zip(
        scans.items(), (1, -1), ("ascending", "descending"), strict=True
    ):
        if len(values) < 2 or np.any(sign * np.diff(values) <= 0):
            raise ValueError(f"{name} = {values}: must be two or more, {order}")


def _labels(
    settings: DFTSettings, frames: list[Atoms], machines: Any, ledger: str | PathLike[str]
) -> list[Atoms]:
    """Return the labels of all frames, in their order."""
    dft = AutoDFT(ledger, settings=settings, machines=machines)
    dft.add(frames)
    dft.run()
    keys = [settings.key(atoms) for atoms in frames]
    found = {atoms.info["key"]: atoms for atoms in dft.labelled()}
    lost = [number for number, key in enumerate(keys) if key not in found]
    if lost:
        raise RuntimeError(
            f"cutoff = {settings.cutoff}, k_spacing = {settings.k_spacing}: frames {lost} have no "
            "label; see dft.status()"
        )
    return [found[key] for key in keys]


def _errors(scan: list[list[Atoms]]) -> np.ndarray:
    """Return the errors of energy (eV/atom), forces (eV/Å) and stress (GPa) of each step."""
    rows = []
    for labels in scan:
        pairs = list(zip(labels, scan[-1], strict=True))
        rows.append((
            max(abs(a.get_potential_energy() - b.get_potential_energy()) / len(a)
                for a, b in pairs),
            max(np.abs(a.get_forces() - b.get_forces()).max() for a, b in pairs),
            max(np.abs(a.get_stress() - b.get_stress()).max() for a, b in pairs) / GPa,
        ))  # fmt: skip
    return np.array(rows)


def _draw(
    cutoffs: list[float],
    k_spacings: list[float],
    of_cutoff: np.ndarray,
    of_mesh: np.ndarray,
    allowed: np.ndarray,
    best: _Choice | None,
) -> Any:
    """Draw the errors against cutoff and mesh, with the tolerances and the choice."""
    figure = new_figure(6.4, 6.6)
    axes = figure.subplots(3, 2, sharey="row", sharex="col")
    quantities = ("energy\n(meV/atom)", "forces\n(meV/Å)", "stress\n(GPa)")
    for row, (label, factor) in enumerate(zip(quantities, (1e3, 1e3, 1.0), strict=True)):
        scans = ((cutoffs, of_cutoff, COLORS[0]), (k_spacings, of_mesh, COLORS[1]))
        for ax, (x, y, color) in zip(axes[row], scans, strict=True):
            ax.plot(x[:-1], factor * np.maximum(y[:-1, row], 1e-9), "o-", color=color, ms=4, lw=1)
            ax.axhline(factor * allowed[row], color="0.4", ls="--", lw=0.8)
            ax.set_yscale("log")
            tidy(ax)
        axes[row, 0].set_ylabel(label)
        axes[row, 1].invert_xaxis() if row == 0 else None
    if best:
        for ax in axes[:, 0]:
            ax.axvline(cutoffs[best.cutoff], color="0.7", lw=4, zorder=0)
        for ax in axes[:, 1]:
            ax.axvline(k_spacings[best.k_spacing], color="0.7", lw=4, zorder=0)
    axes[-1, 0].set_xlabel(f"cutoff (eV); reference {cutoffs[-1]:g}")
    axes[-1, 1].set_xlabel(f"k-spacing (2π/Å); reference {k_spacings[-1]:g}")
    return figure
