# SPDX-License-Identifier: BSD-3-Clause
"""The whole chain of input_templates/distillation, very short: from a library to LAMMPS."""

import json
import os
import re
import subprocess
import sys

import pytest

pytestmark = [pytest.mark.distillation, pytest.mark.slow]
for module in ("mace", "deepmd"):
    pytest.importorskip(module, reason="pip install 'entsym[distillation]'")

SHORT = ("--per-edge", 6, "--heat", 2000, "--standard", 1.0, 0.05, "--epochs", 3, "--steps", 100,
         "--md-steps", 20)  # fmt: skip


def test_demo(copy_of, is_picture):
    folder = copy_of("distillation")
    command = [sys.executable, "demo.py", "demo", *map(str, SHORT)]
    said = ""
    for _ in range(2):  # the second time all is there
        done = subprocess.run(
            command, cwd=folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            env=os.environ | {"OMP_NUM_THREADS": "1", "MPLBACKEND": "Agg"}, timeout=900,
        )  # fmt: skip
        said = done.stdout
        assert done.returncode == 0, said[-3000:]
    for name in ("DNN", "POD"):
        assert f"what the teachers' labels take off the RMSE of the {name}: energy" in said
    assert re.search(r"which student to take.*: DNN-KD \d+ meV/Å, \d+ µs; POD-KD \d+ meV/Å", said)
    result = (folder / "demo" / "result.txt").read_text()
    assert result.startswith("temperature ")
    models = json.loads((folder / "demo" / "comparison" / "comparison.json").read_text())["models"]
    assert set(models) == {"DNN", "DNN-KD", "POD", "POD-KD", "MPNN", "POD, five bodies"}
    assert is_picture(folder / "demo" / "comparison" / "boxes.png")
