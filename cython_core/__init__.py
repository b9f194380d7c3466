# SPDX-License-Identifier: BSD-3-Clause
"""The kernel of the entropy-symmetry method: pair entropy sS and Steinhardt parameter Q_l."""

from cython_core._kernel import (
    TOLERANCE,
    Breeder,
    Evolution,
    Kernel,
    next_gap,
    target_points,
    window_of,
)

__all__ = [
    "TOLERANCE",
    "Breeder",
    "Evolution",
    "Kernel",
    "next_gap",
    "target_points",
    "window_of",
]
