# SPDX-License-Identifier: BSD-3-Clause
"""Comparison of models on one test set: tables, figures and the properties of a crystal."""

import csv
import json
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

from ase_calculators.argument_checks import one_line
from ase_calculators.distillation.comparison_figures import (
    draw_boxes,
    draw_histograms,
    draw_landscape,
    draw_parity,
)
from ase_calculators.distillation.coverage import Visits, outside
from ase_calculators.distillation.models import NETWORKS, Model
from ase_calculators.distillation.prediction import (
    QUANTITIES,
    Errors,
    errors,
    flat_labels,
    predict,
    structure_hash,
)
from ase_calculators.entropy_symmetry import EntropySymmetry
from ase_calculators.frame_source import read_frames
from ase_calculators.landscape import LandscapeTable, map_landscape
from ase_calculators.provenance import (
    PACKAGES,
    atomic_write,
    fingerprint,
    jsonable,
    versions,
    write_json,
)
from ase_calculators.training_sets import DFT, labels
from ase_calculators.validation.report import Report, compare
from ase_calculators.validation.suite import validate


@dataclass
class Comparison:
    """Errors of several models on one test set.

    Attributes
    ----------
    folder : pathlib.Path
        Folder of all files.
    errors : dict of str to Errors
        Errors of each model that did not fail.
    failed : dict of str to str
        Reasons why the others failed.
    labels : dict of str to ndarray
        Labels of the test set: energy eV/atom, forces eV/Å, virial eV/atom, as flat arrays.
    table : LandscapeTable or None
        Landscape of the frames, if requested; ``table.frame`` are their numbers.
    reports : list of Report
        Reports of `validate`, one per model.
    notes : list of str
        Notes on the whole comparison.
    outside : dict of str to dict
        For each model and property the share of structures outside the coverage of the training
        set; None where it is not known.
    """

    folder: Path
    errors: dict[str, Errors]
    failed: dict[str, str] = field(default_factory=dict)
    labels: dict[str, np.ndarray] = field(default_factory=dict)
    table: LandscapeTable | None = None
    reports: list[Report] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    outside: dict[str, dict[str, float | None]] = field(default_factory=dict)

    def table_rows(self) -> list[dict[str, Any]]:
        """Return one row per model.

        Returns
        -------
        list of dict
            Model, and RMSE, MAE and mean of each quantity, such as "energy RMSE".
        """
        return [
            {"model": name} | {
                f"{quantity} {kind}": value
                for quantity, kinds in errors.summary().items() for kind, value in kinds.items()
            }
            for name, errors in self.errors.items()
        ]  # fmt: skip

    def markdown(self) -> str:
        """Return RMSE, MAE and mean error of the models as a table, failures and notes below it.

        Returns
        -------
        str
            The text.
        """
        n_frames = max((len(e.energy) for e in self.errors.values()), default=0)
        columns = [
            (quantity, kind)
            for quantity in QUANTITIES for kind in ("RMSE", "MAE")
        ] + [("energy", "mean")]  # fmt: skip
        head = [f"{quantity} {kind} ({QUANTITIES[quantity]})" for quantity, kind in columns]
        lines = [f"Test set of {n_frames} frames.", "", f"| model | {' | '.join(head)} |"]
        lines.append("|---" * (1 + len(head)) + "|")
        for row in self.table_rows():
            cells = [row.get(f"{quantity} {kind}") for quantity, kind in columns]
            text = ["" if cell is None else f"{cell:.4g}" for cell in cells]
            lines.append(f"| {row['model']} | {' | '.join(text)} |")
        remarks = [f"- {name}: FAILED: {reason}" for name, reason in self.failed.items()]
        remarks += [f"- {note}" for note in self.notes]
        for name, shares in self.outside.items():
            remarks += [f"- {name}, {key}: outside the coverage: {_share(share)}"
                        for key, share in shares.items() if share != 0]  # fmt: skip
        return "\n".join(lines + ([""] + remarks if remarks else [])) + "\n"

    def write(self) -> None:
        """Write ``comparison.json``, ``errors.csv``, ``comparison.md`` and the figures.

        Tables and figures of `validate` are in the folder "properties".
        """
        text = self.markdown()
        if self.reports:
            text += "\n" + compare(self.reports, self.folder / "properties")
        with atomic_write(self.folder / "comparison.md") as file:
            file.write(text)
        record = {
            "models": {name: e.summary() for name, e in self.errors.items()},
            "units": QUANTITIES, "failed": self.failed, "notes": self.notes,
            "outside": self.outside,
            "landscape": None if self.table is None else self.table.parameters,
            "versions": versions(*PACKAGES),
        }  # fmt: skip
        write_json(self.folder / "comparison.json", jsonable(record))
        self._write_csv()
        if self.errors:
            draw_histograms(self.errors, self.folder)
            draw_boxes(self.errors, self.folder)
            draw_parity(self.errors, self.labels, self.folder)
            if self.table is not None:
                draw_landscape(self.errors, self.table, self.folder)

    def _write_csv(self) -> None:
        per_frame = {name: e.of_frames() for name, e in self.errors.items()}
        place = {}
        if self.table is not None:
            rows = zip(self.table.frame.tolist(), self.table.sS.tolist(), self.table.Q.tolist())
            place = {frame: (sS, Q) for frame, sS, Q in rows}
        with atomic_write(self.folder / "errors.csv", newline="") as file:
            units = ", ".join(f"{name} {unit}" for name, unit in QUANTITIES.items())
            file.write(f"# energy: signed; forces, virial: rms over the components; {units}\n")
            writer = csv.writer(file, lineterminator="\n")
            names = [f"{model} {key}" for model, found in per_frame.items() for key in found]
            writer.writerow(["frame", "n_atoms", "sS", "Q", *names])
            if not self.errors:
                return
            n_atoms = next(iter(self.errors.values())).n_atoms
            for k, n in enumerate(n_atoms.tolist()):
                values = [
                    self.errors[model].energy[k] if key == "energy" else found[key][k]
                    for model, found in per_frame.items() for key in found
                ]  # fmt: skip
                writer.writerow([k, n, *place.get(k, ("", "")), *(f"{v:.6g}" for v in values)])


def compare_models(
    test_set: str | PathLike[str] | Iterable[Any],
    models: Mapping[str, Any],
    workdir: str | PathLike[str] = "comparison",
    calc: EntropySymmetry | None = None,
    properties: Iterable[str] = (),
    element: str | None = None,
    crystal: str = "fcc",
    prefix: str = DFT,
    align: bool = False,
    settings: Mapping[str, Mapping[str, Any]] | None = None,
    reference: Any = None,
    progress: bool = True,
    train: str | PathLike[str] | Iterable[Any] | None = None,
    cell: tuple[float, float] = (0.4, 0.02),
) -> Comparison:
    """Compare models on one labelled test set and, if requested, by the properties of a crystal.

    The predictions of each model are kept in ``<workdir>/<model>.npz`` and are not calculated again
    for the same model and frames: an interrupted comparison loses only the model it was at. A model
    that fails is reported with its reason; the others are still compared.

    Parameters
    ----------
    test_set : path-like, or iterable of ase.Atoms
        Labelled frames that no model was trained on.
    models : dict of str to ase calculator, path-like, str or list of str
        The models by their names in tables and figures: an ASE calculator, a path or name that
        `open_model` takes, or LAMMPS's commands ``pair_style`` and ``pair_coeff``.
    workdir : path-like
        Folder of all files: ``comparison.md``, ``.json``, ``errors.csv`` (a line per
        frame), ``histograms.png``, ``boxes.png``, ``parity.png``, ``landscape.png``, and
        ``properties``.
    calc : EntropySymmetry, optional
        Map the errors on the landscape with these parameters.
    properties : iterable of str
        Names in ``validation.PROPERTIES``, calculated by `validate` for each model.
    element : str, optional
        Chemical symbol; needed for `properties` and for LAMMPS commands.
    crystal : {"fcc", "bcc", "hcp"}
        The crystal of the properties.
    prefix : str
        Prefix of the labels, as in `labels`: "teacher\\_" compares with a teacher.
    align : bool
        Subtract each model's mean energy error per atom, for labels with another zero of
        energy.
    settings : dict of str to dict, optional
        Changes of the properties' defaults, as for `validate`.
    reference : path-like, dict, Report or None
        Reference of the properties, as for `validate`.
    progress : bool
        Show progress bars and a line per model.
    train : path-like, or iterable of path-like, or iterable of ase.Atoms, optional
        The training set; needs `calc`. Structures of the properties that are further than one
        `cell` from each of its frames on the landscape are outside its coverage: what the models
        say there is extrapolated. Structures of the dynamics that LAMMPS runs are not seen.
    cell : (float, float)
        Cell (dsS, dQ) of the coverage.

    Returns
    -------
    Comparison
        Errors, table, figures.

    Raises
    ------
    ValueError
        If there are no frames or models, frames have no labels, or an argument is out of its
        range.

    Examples
    --------
    >>> compare_models("test.extxyz", {"DNN": "dnn.pb", "DNN-KD": "kd.pb", "MPNN": "teacher"},
    ...                calc=EntropySymmetry(6.0, 0.2, 3.75))  # doctest: +SKIP
    """
    frames = list(read_frames(test_set))
    if not frames:
        raise ValueError("test_set: there are no frames; give at least one labelled frame")
    if not models:
        raise ValueError("models: there are none; give at least one")
    properties = list(properties)
    if properties and element is None:
        raise ValueError("element = None: properties need it; give the symbol of the crystal")
    if train is not None and calc is None:
        raise ValueError("calc = None: train needs it; give an EntropySymmetry")
    if np.shape(cell) != (2,) or not all(np.isfinite(cell)) or min(cell) <= 0:
        raise ValueError(f"cell = {cell}: must be (dsS, dQ), two positive numbers; use (0.4, 0.02)")
    slugs = _slugs(models)
    _check_labels(frames, prefix)
    folder = Path(workdir)
    folder.mkdir(parents=True, exist_ok=True)
    comparison = Comparison(folder, {}, labels=flat_labels(frames, prefix))
    if align:
        comparison.notes.append("the mean energy error per atom of each model was subtracted")
    if calc is not None:
        comparison.table = map_landscape(frames, calc, progress=False)
    known = None
    if train is not None and properties:
        known = map_landscape(train, calc, progress=False)  # type: ignore[arg-type]
    frames_hash = structure_hash(frames)
    for name, given in models.items():
        started = time.perf_counter()
        model = Model(name, given, element)
        try:
            predicted, resumed = _kept_or_new(
                model, frames, frames_hash, folder / slugs[name], progress
            )
            found = errors(predicted, frames, prefix)
        except (RuntimeError, ImportError, OSError, ValueError) as error:
            comparison.failed[name] = one_line(error).removeprefix(f"{name}: ")
            if progress:
                print(f"{name}: FAILED: {comparison.failed[name]}", flush=True)
            continue
        if align:
            found = found.aligned()
        comparison.errors[name] = found
        if progress:
            summary = ", ".join(
                f"{quantity} {kinds['RMSE']:.4g} {QUANTITIES[quantity]}"
                for quantity, kinds in found.summary().items()
            )
            seconds = "there already" if resumed else f"{time.perf_counter() - started:.1f} s"
            print(f"{name}: RMSE {summary}  ({seconds})", flush=True)
        if properties:
            place = folder / "properties" / slugs[name]
            visits = Visits(place, calc)
            report = validate(
                model.calculator, str(element), crystal, properties, reference, place, settings,
                name, model.identity["files"], progress=progress, watch=visits,
            )  # fmt: skip
            comparison.reports.append(report)
            visits.write()
            if known is not None:
                done = [key for key in properties if key not in report.failed]
                comparison.outside[name] = outside(place, done, known, cell)
    comparison.write()
    return comparison


def _share(share: float | None) -> str:
    if share is None:
        return "not known, since none of its structures was seen"
    return f"{100 * share:.0f} % of its structures"


def _slugs(names: Iterable[str]) -> dict[str, str]:
    """Return the file name of each model, without suffix."""
    found = {name: "".join(c if c.isalnum() or c in "-_." else "_" for c in name)
             for name in names}  # fmt: skip
    if len(set(found.values())) < len(found):
        raise ValueError(f"models: {', '.join(found)} give the same file names; rename them")
    return found


def _check_labels(frames: Sequence[Atoms], prefix: str) -> None:
    """Refuse a test set with frames that have no labels."""
    faults = []
    for number, atoms in enumerate(frames):
        try:
            labels(atoms, prefix)
        except ValueError as error:
            faults.append(f"frame {number}: {error}")
    if faults:
        more = f" and {len(faults) - 8} more" if len(faults) > 8 else ""
        raise ValueError(f"test_set: {'; '.join(faults[:8])}{more}; label them or leave them out")


def _kept_or_new(
    model: Model, frames: Sequence[Atoms], frames_hash: str, path: Path, progress: bool
) -> tuple[dict[str, np.ndarray], bool]:
    """Return what a model predicts, and whether it was kept from an earlier run."""
    asked = fingerprint([model.identity, frames_hash])
    record, arrays = path.with_name(path.name + ".json"), path.with_name(path.name + ".npz")
    if record.is_file() and arrays.is_file():
        try:
            old = json.loads(record.read_text(encoding="utf-8"))
            with np.load(arrays) as file:
                kept = {key: file[key] for key in file.files}
        except (ValueError, OSError, EOFError):
            old, kept = {}, {}
        if old.get("asked") == asked:
            if model.files:
                return kept, True
            # two networks of one class may have the same parameters
            first = predict(model.calculator, frames[:1], model.name, progress=False)
            if all(
                np.allclose(first[key], kept[key][: len(first[key])], 1e-6, 1e-5)
                for key in ("energy", "forces")  # a perfect crystal has no forces
            ):
                return kept, True
    started, cpu = time.perf_counter(), time.process_time()
    predicted = predict(model.calculator, frames, model.name, progress)
    with atomic_write(arrays, "wb") as file:
        np.savez_compressed(file, **predicted)
    write_json(record, {
        "model": model.name, "asked": asked, "identity": model.identity, "test_set": frames_hash,
        "n_frames": len(frames), "versions": versions(*PACKAGES, *NETWORKS),
        "seconds": round(time.perf_counter() - started, 2),
        "cpu_seconds": round(time.process_time() - cpu, 2),
    })  # fmt: skip
    return predicted, False
