# SPDX-License-Identifier: BSD-3-Clause
"""Fine-tuning of a matgl potential: python -m ase_calculators.distillation.matgl_training FILE.

FILE is the ``config.json`` that `train_teacher` writes. The loss is that of matgl's
PotentialLightningModule; the loop over epochs is ours. The trainer of matgl keeps the last epoch,
not the best, needs test frames and a stress of each frame, has no averages of the weights, and its
checkpoints may be torn by a kill where the temporary folder is on another file system. Here a run
that was killed gives the same model as one that was not.
"""

import json
import math
import os
import shutil
import sys
import warnings
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
from ase import Atoms, units
from ase.stress import voigt_6_to_full_3x3_stress

from ase_calculators.distillation.training import WEIGHT
from ase_calculators.provenance import atomic_write, write_json

CHECKPOINT, BEST, RESULT = "checkpoint.pt", "best.pt", "result.json"


def graphs(potential: Any, frames: Sequence[Atoms]) -> list[tuple[Any, Any, Any]]:
    """Return frames as the potential's graphs.

    Parameters
    ----------
    potential : matgl.apps.pes.Potential
        The potential.
    frames : sequence of ase.Atoms
        Frames with three periods.

    Returns
    -------
    list of (torch_geometric.data.Data, torch.Tensor, torch.Tensor)
        Graph, cell and state of each frame.
    """
    import torch
    from matgl.ext.ase import Atoms2Graph

    converter = Atoms2Graph(potential.model.element_types, potential.model.cutoff)
    found = []
    for atoms in frames:
        graph, cell, state = converter.get_graph(atoms)
        found.append((graph, cell, torch.as_tensor(state)))
    return found


def batch_of(potential: Any, part: Sequence[tuple[Any, Any, Any]]) -> tuple[Any, Any, Any]:
    """Return the arguments of a potential for several frames.

    Parameters
    ----------
    potential : matgl.apps.pes.Potential
        The potential.
    part : sequence of tuple
        What `graphs` returns for the frames.

    Returns
    -------
    tuple
        Graph, cells and states on the potential's device.
    """
    import torch
    from torch_geometric.data import Batch

    graph, cells, states = map(list, zip(*part, strict=True))
    place = potential.data_mean.device
    return (
        Batch.from_data_list(graph).to(place),
        torch.cat([cell.reshape(1, 3, 3) for cell in cells]).to(place),
        torch.stack(states).to(place),
    )


def fit_shifts(
    potential: Any, frames: Sequence[Atoms], data: Sequence[tuple[Any, Any, Any]]
) -> dict[str, float]:
    """Fit the energy of each element by which labels and potential differ.

    Parameters
    ----------
    potential : matgl.apps.pes.Potential
        The potential.
    frames : sequence of ase.Atoms
        Frames with ``info["REF_energy"]`` in eV.
    data : sequence of tuple
        Their graphs.

    Returns
    -------
    dict of str to float
        Shift in eV for each element: the least squares solution for the energies per atom.
    """
    elements = sorted({symbol for atoms in frames for symbol in atoms.symbols})
    potential.eval()
    found = [float(potential(*batch_of(potential, [part]))[0].detach()) for part in data]
    difference = np.array([atoms.info["REF_energy"] for atoms in frames]) - found
    counts = np.array([[(atoms.symbols == name).sum() for name in elements] for atoms in frames])
    n_atoms = counts.sum(axis=1)
    shifts = np.linalg.lstsq(counts / n_atoms[:, None], difference / n_atoms, rcond=None)[0]
    return dict(zip(elements, shifts.tolist(), strict=True))


def _targets(atoms: Atoms) -> tuple[float, np.ndarray, np.ndarray, float]:
    """Return energy (eV), forces (eV/Å), stress (GPa; NaN if there is none) and energy's weight."""
    stress = atoms.info.get("REF_stress")
    full = np.full((3, 3), np.nan) if stress is None else voigt_6_to_full_3x3_stress(stress)
    weight = atoms.info.get(WEIGHT, 1.0)
    return atoms.info["REF_energy"], atoms.arrays["REF_forces"], full / units.GPa, weight


class _Set:
    """Labelled frames as batches."""

    def __init__(self, potential: Any, frames: Sequence[Atoms], data: Sequence[Any]) -> None:
        self.potential, self.data = potential, data
        self.labels = [_targets(atoms) for atoms in frames]

    def batches(self, size: int, order: Sequence[int]) -> Any:
        """Yield batches for PotentialLightningModule.step, and weights of the energies."""
        import torch

        place, dtype = self.potential.data_mean.device, self.potential.data_mean.dtype
        for start in range(0, len(order), size):
            part = order[start : start + size]
            energy, forces, stress, weight = zip(*(self.labels[k] for k in part), strict=True)
            arrays = (
                np.array(energy), np.concatenate(forces), np.concatenate(stress), np.array(weight),
            )  # fmt: skip
            yield (
                *batch_of(self.potential, [self.data[k] for k in part]),
                *(torch.as_tensor(array, dtype=dtype, device=place) for array in arrays),
            )


def _loss(module: Any, batch: tuple[Any, ...]) -> Any:
    """Return the loss of a batch; of one without any stress, that of energies and forces."""
    *others, stress, weight = batch
    module.model.calc_stresses = not bool(stress.isnan().all())
    if not module.model.calc_stresses:
        stress = stress.new_zeros(1)
    results, _ = module.step((*others, stress))
    # the step counts each energy once
    n_atoms = module._last_num_atoms
    pair = (
        module._last_preds[0].reshape(weight.shape),
        module._last_labels[0].reshape(weight.shape),
    )
    each = module.loss(*(energy / n_atoms for energy in pair), reduction="none")
    return results["Total_Loss"] + module.energy_weight * ((weight - 1) * each).mean()


def _errors(module: Any, frames: _Set, size: int) -> tuple[float, float, float, float]:
    """Return loss and the RMSE of energy (meV/atom), forces (meV/Å) and stress (GPa)."""
    module.eval()
    losses, numbers, squares = [], [], np.zeros((3, 2))
    for batch in frames.batches(size, range(len(frames.data))):
        losses.append(float(_loss(module, batch).detach()))
        numbers.append(len(batch[3]))
        n_atoms = module._last_num_atoms
        for k in range(3 if module.model.calc_stresses else 2):
            label = module._last_labels[k]
            off = (module._last_preds[k].detach().reshape(label.shape) - label).double()
            off = off / n_atoms if k == 0 else off[~label.isnan()]
            squares[k] += [float((off**2).sum()), off.numel()]
    energy, forces, stress = np.sqrt(squares[:, 0] / np.maximum(squares[:, 1], 1))
    loss = float(np.average(losses, weights=numbers))
    return loss, 1e3 * energy, 1e3 * forces, stress


def _save(path: Path, content: Any) -> None:
    import torch

    with atomic_write(path, "wb") as file:
        torch.save(content, file)


def _rate(step: int, config: Mapping[str, Any], per_epoch: int) -> float:
    """Return the learning rate over its maximum: first it rises, then it falls as a cosine does.

    Adam's first steps are as long for each weight: at the full rate they would move the energies of
    all frames together by 0.1 eV/atom, which takes ten epochs to learn back.
    """
    last = config["lr_last"] / config["lr"]
    cosine = 0.5 * (1 + math.cos(math.pi * min(1.0, step / (per_epoch * config["max_num_epochs"]))))
    rising = (step + 1) / (per_epoch * config["warmup_epochs"] + 1)
    return min(1.0, rising) * (last + (1 - last) * cosine)


def train(config: dict[str, Any], folder: Path) -> None:
    """Fine-tune a potential and save the epoch with the lowest loss on the validation frames.

    Parameters
    ----------
    config : dict
        "start", "train_file", "valid_file", "seed", "device", "output" and the profile's settings.
    folder : pathlib.Path
        Folder of checkpoints and of the model.
    """
    import matgl
    import torch
    from matgl.utils.training import PotentialLightningModule
    from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

    seed, epochs = config["seed"], config["max_num_epochs"]
    torch.manual_seed(seed)
    start = matgl.load_model(config["start"])
    learned, checked = (
        list(ase.io.iread(config[key], format="extxyz")) for key in ("train_file", "valid_file")
    )
    kinds = list(start.model.element_types)
    if unknown := sorted({name for atoms in learned for name in atoms.symbols} - set(kinds)):
        raise ValueError(
            f"start: {', '.join(unknown)} is not among its elements, {', '.join(kinds)}"
        )
    data = graphs(start, learned)
    shifts = fit_shifts(matgl.load_model(config["start"]), learned, data)
    offsets = np.zeros(len(kinds))
    if start.element_refs is not None:
        offsets += start.element_refs.property_offset.detach().cpu().numpy()
    for name, shift in shifts.items():
        offsets[kinds.index(name)] += shift
    module = PotentialLightningModule(
        model=start.model,
        element_refs=offsets,
        energy_weight=config["energy_weight"],
        force_weight=config["forces_weight"],
        stress_weight=config["stress_weight"],
        data_mean=float(start.data_mean),
        data_std=float(start.data_std),
        loss=config["loss"],
        allow_missing_labels=True,
    ).to(config["device"])
    parts = dict(start.model.named_modules())
    for name in config["freeze"]:
        if name not in parts:
            raise ValueError(f"freeze: {name} is none of the model's parts, {', '.join(parts)}")
        parts[name].requires_grad_(False)
    # a copy, possible only before the first energy
    average = AveragedModel(
        module, multi_avg_fn=get_ema_multi_avg_fn(config["ema_decay"]), use_buffers=False
    )
    optimizer = torch.optim.Adam(
        [weights for weights in module.parameters() if weights.requires_grad], config["lr"]
    )
    per_epoch = math.ceil(len(learned) / config["batch_size"])
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, partial(_rate, config=config, per_epoch=per_epoch)
    )
    training = _Set(module.model, learned, data)
    validation = _Set(module.model, checked, graphs(module.model, checked))

    begin = 0
    best: dict[str, Any] = {"loss": math.inf}
    if (folder / CHECKPOINT).exists():
        # weights_only: tensors and numbers, no code
        kept = torch.load(folder / CHECKPOINT, map_location=config["device"], weights_only=True)
        for name, part in _parts(module, average, optimizer, schedule).items():
            part.load_state_dict(kept[name])
        begin, best = kept["epochs"], kept["best"]
    for epoch in range(begin, epochs):
        module.train()
        order = np.random.default_rng([seed, epoch]).permutation(len(learned)).tolist()
        for batch in training.batches(config["batch_size"], order):
            optimizer.zero_grad()
            _loss(module, batch).backward()
            torch.nn.utils.clip_grad_norm_(module.parameters(), config["clip_grad"])
            optimizer.step()
            schedule.step()
            average.update_parameters(module)
        loss, energy, forces, stress = _errors(average.module, validation, config["batch_size"])
        print(
            f"Epoch {epoch}: loss={loss:.6g}, RMSE_E_per_atom={energy:.2f} meV, "
            f"RMSE_F={forces:.2f} meV / A, RMSE_stress={stress:.3f} GPa",
            flush=True,
        )
        if not math.isfinite(loss):
            return
        if loss < best["loss"]:
            best = {
                "loss": loss, "kept_epoch": epoch,
                "validation": f"{energy:.2f} meV/atom, {forces:.2f} meV/Å",
            }  # fmt: skip
            _save(folder / BEST, average.module.state_dict())
        states = {
            name: part.state_dict()
            for name, part in _parts(module, average, optimizer, schedule).items()
        }
        _save(folder / CHECKPOINT, states | {"epochs": epoch + 1, "best": best})

    module.load_state_dict(torch.load(folder / BEST, map_location="cpu", weights_only=True))
    draft = folder / "writing"
    shutil.rmtree(draft, ignore_errors=True)
    module.model.cpu().save(draft, {"elements": list(shifts)})
    shutil.rmtree(folder / config["output"], ignore_errors=True)
    os.replace(draft, folder / config["output"])
    write_json(folder / RESULT, {"epochs": epochs, **best, "energy_shifts": shifts})


def _parts(module: Any, average: Any, optimizer: Any, schedule: Any) -> dict[str, Any]:
    return {"module": module, "average": average, "optimizer": optimizer, "schedule": schedule}


if __name__ == "__main__":
    warnings.simplefilter("ignore")  # of torch and lightning, about tensors in arguments
    path = Path(sys.argv[1]).resolve()
    train(json.loads(path.read_text(encoding="utf-8")), path.parent)
