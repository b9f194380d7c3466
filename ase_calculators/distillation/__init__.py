# SPDX-License-Identifier: BSD-3-Clause
"""MLPKD: a costly teacher learns few frames and labels many, from which a fast student learns."""

from ase_calculators.committee import Committee
from ase_calculators.distillation.comparison import Comparison, compare_models
from ase_calculators.distillation.linear_students import Equations, lammps_lines
from ase_calculators.distillation.models import open_model
from ase_calculators.distillation.relabel import Relabelled, relabel
from ase_calculators.distillation.sets import Sets, split_sets, write_sets
from ase_calculators.distillation.speed import LabelTime, SpeedLadder, label_time, speed_ladder
from ase_calculators.distillation.student import (
    Deviations,
    Student,
    check_compression,
    open_student,
    train_student,
)
from ase_calculators.distillation.teacher import (
    MaceCommittee,
    MatglCommittee,
    open_teacher,
    train_teacher,
)
from ase_calculators.training_sets import write_deepmd

__all__ = [
    "Committee",
    "Comparison",
    "Deviations",
    "Equations",
    "LabelTime",
    "MaceCommittee",
    "MatglCommittee",
    "Relabelled",
    "Sets",
    "SpeedLadder",
    "Student",
    "check_compression",
    "compare_models",
    "label_time",
    "lammps_lines",
    "open_model",
    "open_student",
    "open_teacher",
    "relabel",
    "speed_ladder",
    "split_sets",
    "train_student",
    "train_teacher",
    "write_deepmd",
    "write_sets",
]
