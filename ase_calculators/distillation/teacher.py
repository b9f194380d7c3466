# SPDX-License-Identifier: BSD-3-Clause
"""The teacher: a committee of MACE models, trained by mace-torch's own program."""

import hashlib
import json
import math
import re
import sys
import warnings
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from io import BytesIO
from os import PathLike, fspath
from pathlib import Path
from typing import Any

import ase.io
from ase import Atoms
from ase.data import atomic_numbers, chemical_symbols
from ase.stress import full_3x3_to_voigt_6_stress

from ase_calculators.argument_checks import check_whole
from ase_calculators.committee import Committee
from ase_calculators.distillation.training import (
    Training,
    TrainingProgress,
    read_profile,
    require,
    run_programs,
)
from ase_calculators.frame_source import read_frames
from ase_calculators.periodicity import VACUUM, stress_scale, with_vacuum
from ase_calculators.provenance import file_hash, versions, write_json
from ase_calculators.training_sets import DFT, check_labels, labels

RECORD = "teacher.json"
_LINE = re.compile(
    r"Epoch (\d+): .*?loss=\s*([^,\s]+), RMSE_E_per_atom=\s*(\S+) meV, RMSE_F=\s*(\S+) meV"
)


def train_teacher(
    train: str | PathLike[str] | Iterable[Any],
    validation: str | PathLike[str] | Iterable[Any],
    folder: str | PathLike[str],
    profile: str | PathLike[str] | Mapping[str, Any] = "small",
    seeds: Sequence[int] = (1, 2, 3),
    device: str | None = None,
    prefix: str = DFT,
    processes: int = 1,
) -> list[Path]:
    """Train a MACE model for each seed, by mace_run_train.

    Frames without a period along some direction are learned in a periodic cell with 30 Å of vacuum
    along it, and their stress refers to its volume, since MACE would replace their cell.

    An interrupted training resumes from the last checkpoints. Models in the folder are kept, and
    further seeds are added. ``teacher.json`` in the folder records settings, versions, and hashes
    of the frames and of the models.

    Parameters
    ----------
    train, validation : path-like, or iterable of path-like, or iterable of ase.Atoms
        Labelled frames. The validation frames pick the epoch that is kept; they must not be the
        test frames.
    folder : path-like
        Folder of all files.
    profile : {"small", "paper"}, path-like or dict
        Settings under the names of mace_run_train's options. E0s are the energies of the isolated
        atoms, ``{"Al": -0.12}`` in eV, or "average": the energies per atom of each element that fit
        the frames best by least squares. These are not energies of isolated atoms: with "average"
        energies of condensed phases are as good, but atomization energies have no meaning.
    seeds : sequence of int
        Random seeds, one for each model of the committee.
    device : {"cpu", "cuda"}, optional
        Device. Default: the GPU if there is one.
    prefix : str
        Prefix of the labels, as in `labels`.
    processes : int
        Number of models that are trained at once.

    Returns
    -------
    list of pathlib.Path
        The models, in the order of the seeds.

    Raises
    ------
    ValueError
        If an argument is out of its range, labels are missing, the validation frames have elements
        that the training frames lack, E0s lack one of theirs, or the folder holds a teacher of
        other frames or settings.
    FloatingPointError
        If a loss is not finite; the last good checkpoint is kept.
    RuntimeError
        If mace_run_train fails.
    ImportError
        If mace-torch is missing.

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
    settings = read_profile(profile, "mace")
    for name in ("r_max", "num_interactions", "max_num_epochs"):
        if not isinstance(settings.get(name), int | float) or settings[name] <= 0:
            raise ValueError(
                f"profile: {name} = {settings.get(name)!r}: must be a number above 0; see "
                "profiles/mace_small.yaml"
            )
    if settings["r_max"] >= VACUUM:
        raise ValueError(
            f"profile: r_max = {settings['r_max']}: must be below {VACUUM:g} Å, the vacuum of "
            "frames without a period"
        )
    require("mace", "mace-torch", "the teacher")
    target = Path(fspath(folder)).resolve()
    target.mkdir(parents=True, exist_ok=True)
    sets = {
        name: _write_frames(frames, target / f"{name}.extxyz", prefix)
        for name, frames in (("train", train), ("validation", validation))
    }
    _check_elements(settings, sets["train"]["elements"], sets["validation"]["elements"])
    path = target / RECORD
    used = {"profile": settings, "prefix": prefix, **sets}
    record: dict[str, Any] = {
        **used,
        "receptive_field": settings["num_interactions"] * settings["r_max"],
        "device": _device(device),
        **versions("entsym", "mace-torch", "torch", "e3nn", "ase", "numpy"),
        "models": {},
    }
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
        trainings.append(_training(target, record, seed))
    if trainings:
        run_programs(trainings, int(settings["max_num_epochs"]), "epochs", processes, "teacher")
    return [target / record["models"][str(seed)]["file"] for seed in seeds]


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
            if label.stress is not None and scale is not None:
                bare.info["REF_stress"] = label.stress / scale
            ase.io.write(file, bare, format="extxyz")
    draft.replace(path)
    elements = sorted({symbol for atoms in found for symbol in atoms.symbols})
    return {"n_frames": len(found), "elements": elements, "sha256": file_hash(path)}


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


def _training(target: Path, record: dict[str, Any], seed: int) -> Training:
    """Return the training of one seed."""
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
    # configargparse would split a list into several words
    text = {k: str(v) if isinstance(v, list | dict) else v for k, v in settings.items()}
    (run / "config.yaml").write_text(yaml.safe_dump(text))
    _keep(checkpoints, None, torn=True)
    (run / "train.log").unlink(missing_ok=True)  # mace_run_train appends to logs of its own

    def finish() -> None:
        model = next(
            path
            for path in (run / f"{name}_stagetwo.model", run / f"{name}.model")
            if path.exists()
        )
        # the model is the best checkpoint, and the errors are those of its epoch
        kept = _keep(checkpoints, None)
        assert kept is not None
        lines = {epoch: note for epoch, _, note in _epochs(run / "logs" / f"{name}_run-{seed}.log")}
        record["models"][str(seed)] = {
            "file": str(model.relative_to(target)),
            "sha256": file_hash(model),
            "epochs": max(lines) + 1,
            "kept_epoch": _epoch(kept),
            "validation": lines[_epoch(kept)],
        }
        # in the order of the seeds, whichever ends first
        record["models"] = {key: record["models"][key] for key in sorted(record["models"], key=int)}
        write_json(target / RECORD, record)

    return Training(
        f"seed {seed}",
        [sys.executable, "-m", "mace.cli.run_train", "--config", "config.yaml"],
        run,
        partial(_state, run / "train.log"),
        partial(_keep, checkpoints),
        finish,
    )


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
    return path.is_file() and file_hash(path) == sha256


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


class MaceCommittee(Committee):
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

    def evaluate(self, frames: Sequence[Atoms]) -> list[dict[str, Any]]:
        """Calculate frames in one batch.

        Parameters
        ----------
        frames : sequence of ase.Atoms
            The frames; not modified.

        Returns
        -------
        list of dict
            Results of each frame, as from `Committee.evaluate`.
        """
        from mace.data import AtomicData, config_from_atoms
        from mace.tools import torch_geometric, torch_tools

        if not frames:
            return []
        boxes = [with_vacuum(atoms) for atoms in frames]
        scales = [stress_scale(box, atoms) for box, atoms in zip(boxes, frames, strict=True)]
        by_member = []
        for member in self.members:
            known = [chemical_symbols[z] for z in member.z_table.zs]
            for atoms in frames:
                if unknown := sorted(set(atoms.symbols) - set(known)):
                    raise ValueError(
                        f"atoms: {', '.join(unknown)} is not among the elements that the teacher "
                        f"has learned, {', '.join(known)}; leave such frames out, or train with "
                        "them"
                    )
            torch_tools.set_default_dtype(member.default_dtype)
            data = [
                AtomicData.from_config(
                    config_from_atoms(Atoms(a.numbers, a.positions, cell=a.cell, pbc=True)),
                    z_table=member.z_table, cutoff=member.r_max, heads=member.available_heads,
                )
                for a in boxes
            ]  # fmt: skip
            loader = torch_geometric.dataloader.DataLoader(data, len(data), shuffle=False)
            batch = next(iter(loader)).to(member.device)
            output = member.models[0](batch.to_dict(), compute_stress=True)
            ends = batch.ptr.cpu().numpy()
            energy, forces, stress = (
                output[name].detach().cpu().numpy().astype(float)
                for name in ("energy", "forces", "stress")
            )
            by_member.append(
                [
                    {
                        "energy": energy[k],
                        "forces": forces[ends[k] : ends[k + 1]],
                        "stress": scale and scale * full_3x3_to_voigt_6_stress(stress[k]),
                    }
                    for k, scale in enumerate(scales)
                ]
            )
        return [
            self.mean([results[k] for results in by_member], len(atoms))
            for k, atoms in enumerate(frames)
        ]


def open_teacher(
    teacher: str | PathLike[str] | Sequence[str | PathLike[str]],
    device: str | None = None,
    trust: bool = False,
) -> MaceCommittee:
    """Open MACE models as a committee.

    A MACE model is a pickle, and opening a pickle runs what is in it. Hence only files are opened
    whose SHA-256 is in the ``teacher.json`` that `train_teacher` wrote next to them. Who can write
    that file can also write the model: do not open a folder from a stranger.

    Parameters
    ----------
    teacher : path-like or sequence of path-like
        The folder of `train_teacher`, or model files.
    device : {"cpu", "cuda"}, optional
        Device. Default: the GPU if there is one.
    trust : bool
        Whether to open files with an unknown hash.

    Returns
    -------
    MaceCommittee
        ASE calculator with the mean of the models and their spread.

    Raises
    ------
    ValueError
        If there is no such model, or its hash is unknown and it is not trusted.
    ImportError
        If mace-torch is missing.

    Examples
    --------
    >>> atoms.calc = open_teacher("teacher")  # doctest: +SKIP
    """
    require("mace", "mace-torch", "the teacher")
    given = [teacher] if isinstance(teacher, str | PathLike) else list(teacher)
    paths = [Path(fspath(path)) for path in given]
    if len(paths) == 1 and paths[0].is_dir():
        known = _known(paths[0])
        paths = [paths[0] / entry["file"] for entry in known.values()]
        if not paths:
            raise ValueError(
                f"teacher = {str(given[0])!r}: has no trained models (teacher.json names none); "
                "run train_teacher, or name the model files"
            )
    contents = []
    for path in paths:
        if not path.is_file():
            raise ValueError(f"teacher = {str(path)!r}: there is no such file")
        contents.append(path.read_bytes())  # so that the bytes checked are those opened
        if not trust:
            _check_known(path, contents[-1])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of e3nn and mace, about torch.load
        import torch
        from mace.calculators import MACECalculator  # noqa: F401

    place = _device(device)
    models = [
        torch.load(BytesIO(content), map_location=place, weights_only=False) for content in contents
    ]
    return MaceCommittee(models, paths, place)


def _known(folder: Path) -> dict[str, Any]:
    record = folder / RECORD
    return json.loads(record.read_text(encoding="utf-8"))["models"] if record.is_file() else {}


def _check_known(path: Path, content: bytes) -> None:
    """Refuse a model whose hash is in no teacher.json next to it."""
    sha256 = hashlib.sha256(content).hexdigest()
    for folder in (path.parent, path.resolve().parent.parent):
        if any(entry["sha256"] == sha256 for entry in _known(folder).values()):
            return
    raise ValueError(
        f"teacher = {str(path)!r}: is a pickle whose hash is in no {RECORD} next to it, and "
        "opening it runs whatever is in it; set trust=True if you know where it comes from"
    )
