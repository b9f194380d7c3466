# SPDX-License-Identifier: BSD-3-Clause
"""The teacher: a committee of MACE models or of fine-tuned universal models."""

import hashlib
import json
import math
import re
import sys
import tempfile
import warnings
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from io import BytesIO
from os import PathLike, fspath
from pathlib import Path
from typing import Any, NamedTuple

import ase.io
import numpy as np
from ase import Atoms, units
from ase.data import atomic_numbers, chemical_symbols
from ase.stress import full_3x3_to_voigt_6_stress

from ase_calculators.argument_checks import check_whole
from ase_calculators.committee import Committee
from ase_calculators.distillation.training import (
    WEIGHT,
    Training,
    TrainingProgress,
    read_profile,
    require,
    run_programs,
)
from ase_calculators.frame_source import read_frames
from ase_calculators.periodicity import VACUUM, stress_scale, with_vacuum
from ase_calculators.provenance import atomic_write, file_hash, versions, write_json
from ase_calculators.training_sets import DFT, check_labels, labels

RECORD = "teacher.json"
# files of a matgl model, in the order in which they are hashed
MATGL_FILES = ("model.json", "model.pt", "state.pt")
# of the best epoch before a restart, next to the checkpoints
_SURVIVOR = "survivor.pt"
# that matgl knows; it takes another name for l1_loss
_LOSSES = ("huber_loss", "mse_loss", "smooth_l1_loss", "l1_loss")
# atoms of a batch: a graph network keeps some 10 MB for each
_BATCH_ATOMS = 100
# the correction of an element's energy, as mace_run_train estimates it for E0s: estimated
_SHIFT = re.compile(r"Element (\d+): foundation E0 = \S+ eV, correction = (\S+) eV")
_LINE = re.compile(
    r"Epoch (\d+): .*?loss=\s*([^,\s]+), RMSE_E_per_atom=\s*(\S+) meV, RMSE_F=\s*(\S+) meV"
)


def train_teacher(
    train: str | PathLike[str] | Iterable[Any],
    validation: str | PathLike[str] | Iterable[Any],
    folder: str | PathLike[str],
    profile: str | PathLike[str] | Mapping[str, Any] | None = None,
    seeds: Sequence[int] = (1, 2, 3),
    device: str | None = None,
    prefix: str = DFT,
    processes: int = 1,
    start: str | PathLike[str] | None = None,
    trust: bool = False,
) -> list[Path]:
    """Train a model for each seed: MACE from nothing, or a universal model from its weights.

    MACE is trained by mace_run_train, a matgl potential (TensorNet, M3GNet) by the program in
    ``matgl_training.py``. The energies of a universal model have another zero than the labels: one
    shift for each element is fitted first, by least squares, and recorded.

    Frames without a period along some direction are learned in a periodic cell with 30 Å of vacuum
    along it, and their stress refers to its volume, since MACE would replace their cell.

    An interrupted training resumes from the last checkpoints, and the best epoch before the
    interruption still counts. Models in the folder are kept, and
    further seeds are added. ``teacher.json`` in the folder records settings, versions, and hashes
    of the frames and of the models.

    Parameters
    ----------
    train, validation : path-like, or iterable of path-like, or iterable of ase.Atoms
        Labelled frames. The validation frames pick the epoch that is kept; they must not be the
        test frames. ``atoms.info["config_energy_weight"]`` tells how often the energy of a frame
        counts (1).
    folder : path-like
        Folder of all files.
    profile : {"small", "paper", "finetune"}, path-like or dict, optional
        Settings under the names of mace_run_train's options or, for matgl, of those in
        ``profiles/matgl_finetune.yaml``. Default: "small", with `start` "finetune". E0s are the
        energies of the isolated atoms, ``{"Al": -0.12}`` in eV, or "average": the energies per atom
        of each element that fit the frames best by least squares. These are not energies of
        isolated atoms: with "average" energies of condensed phases are as good, but atomization
        energies have no meaning.
    seeds : sequence of int
        Random seeds, one for each model of the committee.
    device : {"cpu", "cuda"}, optional
        Device. Default: the GPU if there is one.
    prefix : str
        Prefix of the labels, as in `labels`.
    processes : int
        Number of models that are trained at once.
    start : str or path-like, optional
        Universal model to fine-tune: a MACE model (a file), a matgl model (a folder with
        model.json, model.pt and state.pt), or a name which mace-torch ("medium-mpa-0") or matgl
        ("TensorNet-MatPES-PBE-v2025.1-PES") downloads.
    trust : bool
        Whether `start` may be a file or folder whose hash is in no ``teacher.json`` next to it:
        opening it may run code that is in it. Downloads by name are trusted.

    Returns
    -------
    list of pathlib.Path
        The models, in the order of the seeds.

    Raises
    ------
    ValueError
        If an argument is out of its range, labels are missing, the validation frames have elements
        that the training frames lack, E0s lack one of theirs, `start` is neither known nor
        trusted, or the folder holds a teacher of other frames or settings.
    FloatingPointError
        If a loss is not finite; the last good checkpoint is kept.
    RuntimeError
        If the training program fails.
    ImportError
        If mace-torch or matgl is missing.

    Examples
    --------
    >>> train_teacher("standard.extxyz", "validation.extxyz", "teacher")  # doctest: +SKIP
    [PosixPath('teacher/seed-1/teacher-1.model'), ...]
    """
    if (
        not seeds
        or len(set(seeds)) < len(seeds)
        or not all(isinstance(seed, int) and 0 <= seed < 2**32 for seed in seeds)
    ):
        raise ValueError(
            f"seeds = {seeds}: must be different whole numbers from 0 to 2^32 - 1, at least one"
        )
    check_whole("processes", processes)
    begin = _Start(*start_kind(start)) if start is not None else _Start("mace", "")
    if profile is None:
        profile = "small" if start is None else "finetune"
    settings = read_profile(profile, begin.kind)
    _check_settings(settings, begin)
    _require(begin.kind)
    target = Path(fspath(folder)).resolve()
    target.mkdir(parents=True, exist_ok=True)
    sets = {
        name: _write_frames(frames, target / f"{name}.extxyz", prefix)
        for name, frames in (("train", train), ("validation", validation))
    }
    _check_elements(settings, sets["train"]["elements"], sets["validation"]["elements"])
    path = target / RECORD
    begin = _kept_start(begin, target, trust)
    used = {"profile": settings, "prefix": prefix, "start": begin.record, **sets}
    record: dict[str, Any] = {
        **used,
        "device": _device(device),
        **versions("entsym", "mace-torch", "matgl", "torch", "e3nn", "ase", "numpy"),
        "models": {},
    }
    if start is None:
        record["receptive_field"] = settings["num_interactions"] * settings["r_max"]
    if path.exists():
        before = json.loads(path.read_text(encoding="utf-8"))
        for name, value in used.items():
            if before.get(name) != value:
                raise ValueError(
                    f"folder = {str(target)!r}: holds a teacher with another {name}; use another "
                    "folder"
                )
        record["models"] = before["models"]
    write_json(path, record)

    trainings = []
    for seed in seeds:
        found = record["models"].get(str(seed))
        if found and _is_whole(target / found["file"], found["sha256"]):
            continue
        trainings.append(_TRAININGS[begin.kind](target, record, seed, begin))
    if trainings:
        run_programs(trainings, int(settings["max_num_epochs"]), "epochs", processes, "teacher")
    return [target / record["models"][str(seed)]["file"] for seed in seeds]


class _Start(NamedTuple):
    """A model to start from.

    Attributes
    ----------
    kind : {"mace", "matgl"}
        Package that trains it.
    given : str
        Name or path; empty for a training from nothing.
    record : dict or None
        Entry in the record.
    """

    kind: str
    given: str
    record: dict[str, str] | None = None


def start_kind(start: str | PathLike[str]) -> tuple[str, str]:
    """Return the kind of a universal model and its name or path.

    Parameters
    ----------
    start : str or path-like
        As in `train_teacher`.

    Returns
    -------
    (str, str)
        "mace" or "matgl"; name or path.

    Raises
    ------
    ValueError
        If there is no such model.
    """
    path = Path(fspath(start))
    if path.is_file():
        return "mace", str(path)
    if path.is_dir():
        if missing := [name for name in MATGL_FILES if not (path / name).is_file()]:
            raise ValueError(
                f"start = {str(path)!r}: is a folder without {', '.join(missing)}; give the folder "
                "of a matgl model, or the file of a MACE model"
            )
        return "matgl", str(path)
    if path.suffix in (".model", ".pt", ".pth") or path.is_absolute() or not path.name:
        raise ValueError(
            f"start = {str(path)!r}: there is no such file or folder; give a MACE model, the "
            "folder of a matgl model, or the name of one that is downloaded"
        )
    return "mace" if str(start) in _mace_names() else "matgl", str(start)


def _mace_names() -> list[str]:
    """Return the universal models that mace-torch downloads."""
    if find_spec("mace") is None:
        return []
    from mace.calculators.foundations_models import mace_mp_names

    return [name for name in mace_mp_names if name]


def _kept_start(start: _Start, target: Path, trust: bool) -> _Start:
    """Check a model to start from and copy it, so that what was checked is what is opened."""
    path = Path(start.given)
    if not start.given:
        return start
    if not path.exists():
        return start._replace(record={"name": start.given})
    content = _read(path)
    if not trust:
        _check_known(path, content, "start")
    copy = target / ("start.model" if start.kind == "mace" else "start")
    _write(copy, content)
    return start._replace(given=str(copy), record={"name": path.name, "sha256": _hash(content)})


def _check_settings(settings: dict[str, Any], start: _Start) -> None:
    """Refuse settings that a training cannot begin with."""
    example = "profiles/mace_small.yaml"
    numbers = ["r_max", "num_interactions", "max_num_epochs"]
    if start.given:
        example = f"profiles/{start.kind}_finetune.yaml"
        numbers = ["max_num_epochs"]
    if start.kind == "matgl":
        wanted = read_profile("finetune", "matgl")
        for what, odd in (
            ("is missing", wanted.keys() - settings.keys()),
            ("is unknown", settings.keys() - wanted.keys()),
        ):
            if odd:
                raise ValueError(
                    f"profile: {', '.join(sorted(odd))} {what}; give exactly the settings of "
                    f"{example}"
                )
        numbers += ["lr", "lr_last", "batch_size", "ema_decay", "clip_grad"]
        decay = settings["ema_decay"]
        for name, allowed, is_good in (
            ("loss", " or ".join(_LOSSES), settings["loss"] in _LOSSES),
            ("freeze", "a list of names of parts", isinstance(settings["freeze"], list)),
            *((name, "a number of 0 or more", _is_number(settings[name]) and settings[name] >= 0)
              for name in ("energy_weight", "forces_weight", "stress_weight", "warmup_epochs")),
            *((name, "a whole number", isinstance(settings[name], int))
              for name in ("batch_size", "max_num_epochs")),
            ("ema_decay", "below 1", _is_number(decay) and decay < 1),
        ):  # fmt: skip
            if not is_good:
                raise ValueError(
                    f"profile: {name} = {settings[name]!r}: must be {allowed}; see {example}"
                )
    for name in numbers:
        if not _is_number(settings.get(name)) or settings[name] <= 0:
            raise ValueError(
                f"profile: {name} = {settings.get(name)!r}: must be a number above 0; see {example}"
            )
    if not start.given and settings["r_max"] >= VACUUM:
        raise ValueError(
            f"profile: r_max = {settings['r_max']}: must be below {VACUUM:g} Å, the vacuum of "
            "frames without a period"
        )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _require(kind: str) -> None:
    """Check that the package of a kind of model is installed."""
    if kind == "mace":
        require("mace", "mace-torch", "the teacher")
    else:
        require("matgl", "matgl", "the teacher", "matgl")


def _read(path: Path) -> list[bytes]:
    """Return the contents of the files of a model."""
    return [file.read_bytes() for file in model_files(path)]


def _write(path: Path, contents: Sequence[bytes]) -> None:
    """Write the files of a model."""
    if len(contents) > 1:
        path.mkdir(exist_ok=True)
    names = [path] if len(contents) == 1 else [path / name for name in MATGL_FILES]
    for name, content in zip(names, contents, strict=True):
        with atomic_write(name, "wb") as file:
            file.write(content)


def _hash(contents: Sequence[bytes]) -> str:
    return hashlib.sha256(b"".join(contents)).hexdigest()


def model_files(path: Path) -> list[Path]:
    """Return the files of a teacher's model.

    Parameters
    ----------
    path : pathlib.Path
        A MACE model, or the folder of a matgl model.

    Returns
    -------
    list of pathlib.Path
        The files.
    """
    return [path / name for name in MATGL_FILES] if path.is_dir() else [path]


def _write_frames(frames: Any, path: Path, prefix: str) -> dict[str, Any]:
    """Write frames for mace_run_train; return their number, elements and hash."""
    found = list(read_frames(frames))
    try:
        check_labels(found, prefix)
    except ValueError as error:
        raise ValueError(f"{path.stem}: {error}") from None
    draft = path.with_suffix(".writing")
    with open(draft, "w", encoding="utf-8") as file:
        for atoms in found:
            label = labels(atoms, prefix)
            bare = with_vacuum(atoms)
            scale = stress_scale(bare, atoms)
            bare.pbc = True
            bare.info["REF_energy"] = label.energy
            bare.arrays["REF_forces"] = label.forces
            bare.info.pop(WEIGHT, None)
            if WEIGHT in atoms.info:
                bare.info[WEIGHT] = _weight(atoms.info[WEIGHT], path.stem)
            if label.stress is not None and scale is not None:
                bare.info["REF_stress"] = label.stress / scale
            ase.io.write(file, bare, format="extxyz")
    draft.replace(path)
    elements = sorted({symbol for atoms in found for symbol in atoms.symbols})
    return {"n_frames": len(found), "elements": elements, "sha256": file_hash(path)}


def _weight(given: Any, name: str) -> float:
    """Return how often the energy of a frame counts."""
    if not _is_number(given) or given < 0:
        raise ValueError(
            f"{name}: {WEIGHT} = {given!r} of a frame: must be a number of 0 or more, how often "
            "its energy counts; 1 if not given"
        )
    return float(given)


def _check_elements(settings: dict[str, Any], train: list[str], validation: list[str]) -> None:
    """Refuse elements that cannot be learned."""
    if unknown := sorted(set(validation) - set(train)):
        raise ValueError(
            f"validation: has {', '.join(unknown)}, which no training frame has "
            f"({', '.join(train)}); leave such frames out, or train with them"
        )
    given = settings.get("E0s")
    if not isinstance(given, dict):
        return
    for name, energy in given.items():
        if name not in atomic_numbers or not isinstance(energy, int | float | str):
            raise ValueError(
                f"profile: E0s = {given}: must be a symbol and eV for each element, e.g. "
                "{'Al': -0.12}, or 'average'"
            )
        try:
            float(energy)
        except ValueError:
            raise ValueError(f"profile: E0s: {name} = {energy!r}: must be a number, eV") from None
    if missing := sorted(set(train) - set(given)):
        raise ValueError(
            f"profile: E0s = {given}: {', '.join(missing)} of the frames is missing; add the "
            "energy of its isolated atom, or use 'average'"
        )


def _mace_training(target: Path, record: dict[str, Any], seed: int, start: _Start) -> Training:
    """Return the training of one MACE model."""
    import yaml

    name, run = f"teacher-{seed}", target / f"seed-{seed}"
    checkpoints = run / "checkpoints"
    run.mkdir(exist_ok=True)
    settings = dict(record["profile"])
    if isinstance(settings.get("E0s"), dict):
        settings["E0s"] = {atomic_numbers[k]: float(v) for k, v in settings["E0s"].items()}
    settings |= {
        "name": name, "seed": seed, "work_dir": str(run), "model_dir": str(run),
        "checkpoints_dir": str(checkpoints), "train_file": str(target / "train.extxyz"),
        "valid_file": str(target / "validation.extxyz"), "energy_key": "REF_energy",
        "forces_key": "REF_forces", "stress_key": "REF_stress", "compute_stress": True,
        "device": record["device"], "error_table": "PerAtomRMSEstressvirials", "plot": False,
        "restart_latest": True, "keep_checkpoints": True,
    }  # fmt: skip
    if start.given:
        settings["foundation_model"] = start.given
    # configargparse would split a list into several words
    text = {k: str(v) if isinstance(v, list | dict) else v for k, v in settings.items()}
    (run / "config.yaml").write_text(yaml.safe_dump(text))
    log = run / "logs" / f"{name}_run-{seed}.log"
    last = _keep(checkpoints, None, torn=True)
    if last is not None:
        _set_aside(last, run, log)
    (run / "train.log").unlink(missing_ok=True)  # mace_run_train appends to logs of its own
    command = [sys.executable, "-m", "mace.cli.run_train", "--config", "config.yaml"]

    def finish() -> None:
        kept = _keep(checkpoints, None)
        assert kept is not None
        lines = {epoch: (loss, note) for epoch, loss, note in _epochs(log)}
        best = {"epoch": _epoch(kept), "note": lines[_epoch(kept)][1]}
        model = next(
            path
            for path in (run / f"{name}_stagetwo.model", run / f"{name}.model")
            if path.exists()
        )
        survivor = _survivor(run, kept.stem.endswith("_swa"))
        if survivor and survivor["loss"] < lines[_epoch(kept)][0]:
            best = survivor
            _put_back(run / _SURVIVOR, model)
        # the model is the best checkpoint, and the errors are those of its epoch
        entry = {
            "epochs": max(lines) + 1, "kept_epoch": best["epoch"], "validation": best["note"],
        }  # fmt: skip
        if start.given:
            found = _SHIFT.findall(log.read_text(errors="replace"))
            entry["energy_shifts"] = {chemical_symbols[int(z)]: float(eV) for z, eV in found}
        _add_model(target, record, seed, model, entry)

    return Training(
        f"seed {seed}",
        command,
        run,
        partial(_state, run / "train.log"),
        partial(_keep, checkpoints),
        finish,
    )


def _matgl_training(target: Path, record: dict[str, Any], seed: int, start: _Start) -> Training:
    """Return the fine-tuning of one matgl model."""
    name, run = f"teacher-{seed}", target / f"seed-{seed}"
    run.mkdir(exist_ok=True)
    settings = record["profile"] | {
        "start": start.given, "seed": seed, "device": record["device"], "output": name,
        "train_file": str(target / "train.extxyz"),
        "valid_file": str(target / "validation.extxyz"),
    }  # fmt: skip
    write_json(run / "config.json", settings)
    (run / "train.log").unlink(missing_ok=True)

    def keep(diverged: int | None) -> Path | None:
        """Return the last checkpoint; the program writes none that is not finite."""
        path = run / "checkpoint.pt"
        return path if path.exists() else None

    def finish() -> None:
        entry = json.loads((run / "result.json").read_text(encoding="utf-8"))
        _add_model(target, record, seed, run / name, entry)

    return Training(
        f"seed {seed}",
        [sys.executable, "-m", "ase_calculators.distillation.matgl_training", "config.json"],
        run,
        partial(_state, run / "train.log"),
        keep,
        finish,
    )


_TRAININGS = {"mace": _mace_training, "matgl": _matgl_training}


def _add_model(
    target: Path, record: dict[str, Any], seed: int, model: Path, entry: dict[str, Any]
) -> None:
    """Add a trained model to the record."""
    known = {"file": str(model.relative_to(target)), "sha256": file_hash(*model_files(model))}
    models = record["models"] | {str(seed): known | entry}
    # in the order of the seeds, whichever ends first
    record["models"] = {key: models[key] for key in sorted(models, key=int)}
    write_json(target / RECORD, record)


def _set_aside(checkpoint: Path, run: Path, log: Path) -> None:
    """Copy the best checkpoint before a restart, which forgets it.

    mace_run_train goes on from it, and its first epoch, good or bad, replaces it.
    """
    lines = {epoch: (loss, note) for epoch, loss, note in _epochs(log)}
    epoch, second = _epoch(checkpoint), checkpoint.stem.endswith("_swa")
    if epoch not in lines:
        return
    before = _survivor(run, second)
    if before and before["loss"] <= lines[epoch][0]:
        return
    with atomic_write(run / _SURVIVOR, "wb") as file:
        file.write(checkpoint.read_bytes())
    write_json(run / "survivor.json", {
        "epoch": epoch, "second_stage": second,
        "loss": lines[epoch][0], "note": lines[epoch][1],
    })  # fmt: skip


def _survivor(run: Path, second_stage: bool) -> dict[str, Any] | None:
    """Return what is known of the best epoch of a stage before a restart."""
    path = run / "survivor.json"
    found = json.loads(path.read_text(encoding="utf-8")) if path.exists() else None
    return found if found and found["second_stage"] == second_stage else None


def _put_back(checkpoint: Path, model: Path) -> None:
    """Give a model that has just been trained the weights of one of its checkpoints."""
    import torch

    found = torch.load(model, map_location="cpu", weights_only=False)
    kept = torch.load(checkpoint, map_location="cpu", weights_only=False)
    found.load_state_dict(kept["model"])
    with atomic_write(model, "wb") as file:
        torch.save(found, file)


def _epochs(log: Path) -> list[tuple[int, float, str]]:
    """Read epochs, their losses and errors from the output of mace_run_train."""
    found = _LINE.findall(log.read_text(errors="replace")) if log.exists() else []
    return [
        (int(epoch), float(loss), f"{energy} meV/atom, {forces} meV/Å")
        for epoch, loss, energy, forces in found
    ]


def _state(log: Path) -> TrainingProgress:
    """Return the progress of a running training."""
    found = _epochs(log)
    if not found:
        return TrainingProgress(0, "")
    # several epochs may end between two readings
    diverged = next((epoch for epoch, loss, _ in found if not math.isfinite(loss)), None)
    return TrainingProgress(found[-1][0] + 1, found[-1][2], diverged)


def _epoch(checkpoint: Path) -> int:
    return int(checkpoint.stem.partition("_epoch-")[2].partition("_")[0])


def _keep(checkpoints: Path, diverged: int | None, torn: bool = False) -> Path | None:
    """Keep the last two checkpoints of each stage that are good; return the last one."""
    good: dict[bool, list[tuple[int, Path]]] = {False: [], True: []}
    for path in checkpoints.glob("*_epoch-*.pt"):
        epoch, second_stage = _epoch(path), path.stem.endswith("_swa")
        if (diverged is not None and epoch >= diverged) or (torn and not _is_readable(path)):
            path.unlink()
        else:
            good[second_stage].append((epoch, path))
    for found in good.values():
        found.sort()
        for _, path in found[:-2]:
            path.unlink()
    last = good[True] or good[False]
    return last[-1][1] if last else None


def _is_readable(path: Path) -> bool:
    """Return whether a checkpoint is complete."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is None
    except (zipfile.BadZipFile, OSError):
        return False


def _is_whole(path: Path, sha256: str) -> bool:
    files = model_files(path)
    return all(file.is_file() for file in files) and file_hash(*files) == sha256


def _device(device: str | None) -> str:
    """Return the device: the GPU if there is one."""
    if device not in (None, "cpu", "cuda"):
        raise ValueError(f"device = {device!r}: must be 'cpu', 'cuda' or None")
    if device == "cpu":
        return device
    import torch

    if torch.cuda.is_available():
        return "cuda"
    if device == "cuda":
        raise ValueError("device = 'cuda': PyTorch finds no GPU here; use 'cpu' or None")
    return "cpu"


@contextmanager
def _default_dtype(name: str) -> Iterator[None]:
    """Set the default type of PyTorch: mace-torch changes it, and matgl relies on it."""
    import torch

    before = torch.get_default_dtype()
    torch.set_default_dtype(getattr(torch, name))
    try:
        yield
    finally:
        torch.set_default_dtype(before)


class _NetworkCommittee(Committee):
    """Average networks that know periodic boxes only, in batches."""

    def _elements(self, member: Any) -> Sequence[str]:
        """Return the elements that a member has learned."""
        raise NotImplementedError

    def _dtype(self, member: Any) -> str:
        """Return the type of a member's numbers."""
        raise NotImplementedError

    def _results(self, member: Any, boxes: Sequence[Atoms]) -> list[tuple[float, Any, Any]]:
        """Return energy (eV), forces (eV/Å) and stress (3 x 3, eV/Å^3) of each box."""
        raise NotImplementedError

    def evaluate(self, frames: Sequence[Atoms]) -> list[dict[str, Any]]:
        """Calculate frames in batches.

        Parameters
        ----------
        frames : sequence of ase.Atoms
            The frames; not modified.

        Returns
        -------
        list of dict
            Results of each frame, as from `Committee.evaluate`.
        """
        boxes = [with_vacuum(atoms) for atoms in frames]
        scales = [stress_scale(box, atoms) for box, atoms in zip(boxes, frames, strict=True)]
        for box in boxes:
            box.pbc = True
        by_member = []
        for member in self.members if frames else ():
            known = self._elements(member)
            for atoms in frames:
                if unknown := sorted(set(atoms.symbols) - set(known)):
                    raise ValueError(
                        f"atoms: {', '.join(unknown)} is not among the elements that the teacher "
                        f"has learned, {', '.join(known)}; leave such frames out, or train with "
                        "them"
                    )
            with _default_dtype(self._dtype(member)):
                found = self._results(member, boxes)
            by_member.append(
                [
                    {
                        "energy": energy,
                        "forces": forces,
                        "stress": scale and scale * full_3x3_to_voigt_6_stress(stress),
                    }
                    for (energy, forces, stress), scale in zip(found, scales, strict=True)
                ]
            )
        return [
            self.mean([results[k] for results in by_member], len(atoms))
            for k, atoms in enumerate(frames)
        ]


class MaceCommittee(_NetworkCommittee):
    """Average MACE models, which calculate frames in batches.

    Parameters
    ----------
    models : sequence of torch.nn.Module
        The models.
    checkpoints : sequence of path-like
        Their files.
    device : str
        Device that they are on.

    See Also
    --------
    open_teacher : Open models from their files.
    """

    def __init__(
        self, models: Sequence[Any], checkpoints: Sequence[str | PathLike[str]], device: str
    ) -> None:
        from mace.calculators import MACECalculator
        from mace.calculators.mace import get_model_dtype

        dtype = get_model_dtype(models[0])
        members = [
            MACECalculator(models=[model], device=device, default_dtype=dtype) for model in models
        ]
        super().__init__(members, checkpoints)

    def _elements(self, member: Any) -> Sequence[str]:
        return [chemical_symbols[z] for z in member.z_table.zs]

    def _dtype(self, member: Any) -> str:
        return member.default_dtype

    def _results(self, member: Any, boxes: Sequence[Atoms]) -> list[tuple[float, Any, Any]]:
        from mace.data import AtomicData, config_from_atoms
        from mace.tools import torch_geometric

        data = [
            AtomicData.from_config(
                config_from_atoms(box),
                z_table=member.z_table, cutoff=member.r_max, heads=member.available_heads,
            )
            for box in boxes
        ]  # fmt: skip
        loader = torch_geometric.dataloader.DataLoader(data, len(data), shuffle=False)
        batch = next(iter(loader)).to(member.device)
        output = member.models[0](batch.to_dict(), compute_stress=True)
        ends = batch.ptr.cpu().numpy()
        energy, forces, stress = (
            output[name].detach().cpu().numpy().astype(float)
            for name in ("energy", "forces", "stress")
        )
        return [(energy[k], forces[ends[k] : ends[k + 1]], stress[k]) for k in range(len(boxes))]


class MatglCommittee(_NetworkCommittee):
    """Average matgl potentials, which calculate frames in batches.

    Parameters
    ----------
    models : sequence of matgl.apps.pes.Potential
        The potentials.
    checkpoints : sequence of path-like
        Their files.
    elements : sequence of sequence of str
        Elements that each has learned.

    See Also
    --------
    open_teacher : Open models from their files.
    """

    def __init__(
        self,
        models: Sequence[Any],
        checkpoints: Sequence[str | PathLike[str]],
        elements: Sequence[Sequence[str]],
    ) -> None:
        from matgl.ext.ase import PESCalculator

        members = [
            PESCalculator(model.eval(), stress_unit="eV/A3", use_voigt=True) for model in models
        ]
        super().__init__(members, checkpoints)
        self._known = dict(zip(map(id, members), elements, strict=True))

    def _elements(self, member: Any) -> Sequence[str]:
        return self._known[id(member)]

    def _dtype(self, member: Any) -> str:
        return "float32"  # of matgl's graphs

    def _results(self, member: Any, boxes: Sequence[Atoms]) -> list[tuple[float, Any, Any]]:
        from ase_calculators.distillation.matgl_training import batch_of, graphs

        found: list[tuple[float, Any, Any]] = []
        begin = 0
        while begin < len(boxes):
            end, n_atoms = begin + 1, len(boxes[begin])
            while end < len(boxes) and n_atoms + len(boxes[end]) <= _BATCH_ATOMS:
                n_atoms += len(boxes[end])
                end += 1
            part = boxes[begin:end]
            output = member.potential(*batch_of(member.potential, graphs(member.potential, part)))
            energy, forces, stress = (
                value.detach().cpu().numpy().astype(float) for value in output[:3]
            )
            parts = np.split(forces, np.cumsum([len(box) for box in part])[:-1])
            tensors = stress.reshape(-1, 3, 3) * units.GPa
            found += zip(np.atleast_1d(energy).tolist(), parts, tensors, strict=True)
            begin = end
        return found


def open_teacher(teacher: Any, device: str | None = None, trust: bool = False) -> Committee:
    """Open models as a committee.

    A MACE model is a pickle, and opening a pickle runs what is in it; a matgl model may name any
    function to call. Hence only files are opened whose SHA-256 is in the ``teacher.json`` that
    `train_teacher` wrote next to them. Who can write that file can also write the model: do not
    open a folder from a stranger.

    Parameters
    ----------
    teacher : path-like, ase calculator, or sequence of them
        The folder of `train_teacher`; models, each the file of MACE or the folder of matgl, trained
        or universal; or any ASE calculators, which are taken as they are.
    device : {"cpu", "cuda"}, optional
        Device. Default: the GPU if there is one.
    trust : bool
        Whether to open files with an unknown hash.

    Returns
    -------
    Committee
        ASE calculator with the mean of the models and their spread. Models of one package
        calculate frames in batches.

    Raises
    ------
    ValueError
        If there is no such model, or its hash is unknown and it is not trusted.
    ImportError
        If mace-torch or matgl is missing.

    Examples
    --------
    >>> from ase.calculators.emt import EMT
    >>> len(open_teacher([EMT(), EMT()]).members)
    2
    >>> atoms.calc = open_teacher("teacher")  # doctest: +SKIP
    """
    if isinstance(teacher, Committee):
        return teacher
    single = isinstance(teacher, str | PathLike) or hasattr(teacher, "get_property")
    given = [teacher] if single else list(teacher)
    if given and all(hasattr(part, "get_property") for part in given):
        return Committee(given)
    if bad := [part for part in given if not isinstance(part, str | PathLike)]:
        raise ValueError(
            f"teacher = {bad[0]!r}: must be a folder of train_teacher, a model, or an ASE "
            "calculator, and calculators and files cannot be mixed"
        )
    paths = [Path(fspath(path)) for path in given]
    if not paths:
        raise ValueError("teacher: there are no models; give at least one")
    if len(paths) == 1 and paths[0].is_dir() and not (paths[0] / MATGL_FILES[0]).exists():
        known = _known(paths[0])
        paths = [paths[0] / entry["file"] for entry in known.values()]
        if not paths:
            raise ValueError(
                f"teacher = {str(given[0])!r}: has no trained models (teacher.json names none); "
                "run train_teacher, or name the model files"
            )
    contents = []
    for path in paths:
        if missing := [file for file in model_files(path) if not file.is_file()]:
            raise ValueError(f"teacher = {str(missing[0])!r}: there is no such file")
        contents.append(_read(path))  # so that the bytes checked are those opened
    kinds = ["matgl" if len(content) > 1 else "mace" for content in contents]
    for kind in dict.fromkeys(kinds):
        _require(kind)
    for path, content in zip(paths, contents, strict=True):
        if not trust:
            _check_known(path, content, "teacher")
    place, openers = _device(device), {"mace": _open_mace, "matgl": _open_matgl}
    if len(set(kinds)) == 1:
        return openers[kinds[0]](paths, contents, place)
    mixed = [
        openers[kind]([path], [content], place)
        for kind, path, content in zip(kinds, paths, contents, strict=True)
    ]
    return Committee(mixed)


def _open_mace(paths: list[Path], contents: list[list[bytes]], device: str) -> MaceCommittee:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of e3nn and mace, about torch.load
        import torch
        from mace.calculators import MACECalculator  # noqa: F401

    models = [
        torch.load(BytesIO(content), map_location=device, weights_only=False)
        for (content,) in contents
    ]
    return MaceCommittee(models, paths, device)


def _open_matgl(paths: list[Path], contents: list[list[bytes]], device: str) -> MatglCommittee:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import matgl

    models, elements = [], []
    for content in contents:
        with tempfile.TemporaryDirectory() as folder:
            _write(Path(folder), content)
            with _default_dtype("float32"):
                models.append(matgl.load_model(folder).to(device))
        models[-1].calc_stresses = True  # whatever it was trained on
        metadata = json.loads(content[0])["metadata"] or {}
        elements.append(metadata.get("elements", models[-1].model.element_types))
    return MatglCommittee(models, [file for path in paths for file in model_files(path)], elements)


def _known(folder: Path) -> dict[str, Any]:
    record = folder / RECORD
    return json.loads(record.read_text(encoding="utf-8"))["models"] if record.is_file() else {}


def _check_known(path: Path, contents: Sequence[bytes], name: str) -> None:
    """Refuse a model whose hash is in no teacher.json next to it."""
    sha256 = _hash(contents)
    for folder in (path.parent, path.resolve().parent.parent):
        if any(entry["sha256"] == sha256 for entry in _known(folder).values()):
            return
    raise ValueError(
        f"{name} = {str(path)!r}: is a pickle whose hash is in no {RECORD} next to it, and "
        "opening it runs whatever is in it; set trust=True if you know where it comes from"
    )
