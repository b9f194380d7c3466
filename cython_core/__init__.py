# SPDX-License-Identifier: BSD-3-Clause
"""The kernel of the entropy-symmetry method: pair entropy sS and Steinhardt parameter Q_l."""

from cython_core._kernel import (
    Bias,
    Breeder,
    Evolution,
    Gaps,
    Kernel,
    atom_lines,
    fingerprint,
    target_points,
    window_of,
)

__all__ = [
    "Bias",
    "Breeder",
    "Evolution",
    "Gaps",
    "Kernel",
    "atom_lines",
    "fingerprint",
    "target_points",
    "window_of",
]
