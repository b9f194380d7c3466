# SPDX-License-Identifier: BSD-3-Clause
"""MLPKD: a costly teacher, trained on few frames, labels many, from which a fast student learns."""

from ase_calculators.distillation.relabel import Committee, Relabelled, open_model, relabel
from ase_calculators.distillation.sets import Sets, split_sets

__all__ = [
    "Committee",
    "Relabelled",
    "Sets",
    "open_model",
    "relabel",
    "split_sets",
]
