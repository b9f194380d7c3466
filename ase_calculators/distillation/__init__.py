# SPDX-License-Identifier: BSD-3-Clause
"""MLPKD: a costly teacher, trained on few frames, labels many, from which a fast student learns."""

from ase_calculators.distillation.comparison import (
    Comparison,
    LabelTime,
    SpeedLadder,
    compare_models,
    label_time,
    speed_ladder,
)
from ase_calculators.distillation.relabel import Committee, Relabelled, open_model, relabel
from ase_calculators.distillation.sets import Sets, split_sets
from ase_calculators.distillation.student import (
    Deviations,
    Student,
    check_compression,
    open_student,
    train_student,
)
from ase_calculators.distillation.teacher import MaceCommittee, open_teacher, train_teacher

__all__ = [
    "Committee",
    "Comparison",
    "Deviations",
    "LabelTime",
    "MaceCommittee",
    "Relabelled",
    "Sets",
    "SpeedLadder",
    "Student",
    "check_compression",
    "compare_models",
    "label_time",
    "open_model",
    "open_student",
    "open_teacher",
    "relabel",
    "speed_ladder",
    "split_sets",
    "train_student",
    "train_teacher",
]
