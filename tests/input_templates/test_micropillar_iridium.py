# SPDX-License-Identifier: BSD-3-Clause
"""Iridium against aluminium: verdicts on tables whose answer is known, the runs and the report."""

import fcntl
import importlib
import json
import re
import shutil
import sys
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import create_autospec

import numpy as np
import pytest

pytest.importorskip("ovito")

import ase_calculators
from ase_calculators.pillar import COLUMNS, PillarTable

FOLDER = Path(__file__).parents[2] / "input_templates" / "micropillar" / "iridium_aluminium"


MODULES = ("measurements", "slip_order", "verdicts", "report_tables", "report_plots", "report")


@pytest.fixture(scope="module")
def template():
    """Return the template's modules by name."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(FOLDER))
        yield SimpleNamespace(**{name: importlib.import_module(name) for name in MODULES})
    for name in (*MODULES, "analyse"):
        sys.modules.pop(name, None)


def stack(slipped, n=12):
    """Return the letters of n planes of which these steps go down."""
    level = np.cumsum([0, *(-1 if k in slipped else 1 for k in range(1, n))])
    return "".join("ABC"[k % 3] for k in level)


def make_table(n=41, end=0.2, **columns):
    """Return a table of 1000 interior atoms: elastic to 8 %, then at 2 GPa, no defects."""
    strain = np.linspace(0, end, n)
    stress = np.where(strain <= 0.08 + 1e-9, 100 * strain, 2.0)
    filled = {name: np.zeros(n) for name in COLUMNS}
    filled |= {
        "frame": np.arange(n), "step": np.arange(n), "n_atoms": np.full(n, 1500),
        "n_interior": np.full(n, 1000), "strain": strain, "stress_GPa": stress,
        "bcc_cluster_sizes": [[]] * n, "twin_layers": [{}] * n, "transitions": [[]] * n,
        "planes": [{}] * n, "letters": [{}] * n, "not_fcc": [""] * n,
    }  # fmt: skip
    return PillarTable(filled | columns, {})


def ramp(table_strain, start, end):
    """Return 0 before start, rising to `end` at the last strain."""
    return end * np.clip((table_strain - start) / (table_strain[-1] - start), 0, 1)


STRAIN = np.linspace(0, 0.2, 41)


def pillars(template, metal, tables, perfect=None, temperatures=(300.0,)):
    """Return pillars of these tables, each at one of the temperatures in turn."""
    return [
        template.measurements.Pillar(
            metal, temperatures[k % len(temperatures)], 2e10, str(k), table, perfect
        )
        for k, table in enumerate(tables)
    ]


def test_a_partial_strains_by_a_third(template):
    normal, slip, axis = np.array([1, 1, 1]), np.array([1, 1, -2]), np.array([0, 0, 1])
    shear = np.linalg.norm(slip / 6) / (1 / np.sqrt(3))  # Burgers vector over spacing, a = 1
    schmid = abs(axis @ normal) * abs(axis @ slip) / np.linalg.norm(normal) / np.linalg.norm(slip)
    assert pytest.approx(shear * schmid) == template.measurements.SCHMID_SHEAR


def test_plastic_strain_is_shared(template):
    found = template.measurements.measure(
        make_table(twinned=np.where(STRAIN > 0.1, 0.3, 0), HCP=np.where(STRAIN > 0.1, 0.12, 0))
    )
    # the last five frames are at 19 % on the mean, 2 GPa are 2 % of elastic strain
    assert found["plastic"] == pytest.approx(0.17)
    assert found["by_twins"] == pytest.approx(0.3 / 3 / 0.17)
    assert found["by_faults"] == pytest.approx(0.06 / 3 / 0.17)
    assert found["by_twins"] + found["by_faults"] + found["by_slip"] == pytest.approx(1)
    assert found["yield_stress"] == pytest.approx(8) and found["detwinned"] == pytest.approx(0)


def test_yield_is_before_what_hardens_later(template):
    stress = np.where(STRAIN <= 0.08 + 1e-9, 100 * STRAIN, np.interp(STRAIN, [0.08, 0.2], [2, 20]))
    table = make_table(stress_GPa=stress, ISF=np.where(STRAIN > 0.08, 50, 0))
    found = template.measurements.measure(table)
    assert found["yield_stress"] == pytest.approx(8) and found["yield_strain"] == pytest.approx(
        0.08
    )
    # at a stress above that of yield the elastic strain is that of yield
    assert found["plastic"] == pytest.approx(0.19 - 0.08)


def test_detwinning_is_what_is_gone(template):
    twinned = np.interp(STRAIN, [0.08, 0.1, 0.12, 0.14, 0.16], [0, 0.2, 0.2, 0.05, 0.05])
    found = template.measurements.measure(make_table(twinned=twinned))
    assert found["detwinned"] == pytest.approx(0.75, abs=0.01)
    assert found["vanished"] == pytest.approx(0.75, abs=0.01)
    assert np.isnan(template.measurements.measure(make_table())["detwinned"])
    # a molten pillar has no twins either, and is not counted
    molten = template.measurements.measure(
        make_table(twinned=twinned, other=np.where(STRAIN > 0.15, 0.8, 0))
    )
    assert np.isnan([molten["detwinned"], molten["by_twins"], molten["by_slip"]]).all()


def test_bcc_is_compared_at_the_strain_of_the_perfect_crystal(template):
    perfect = make_table(BCC=np.maximum(0, STRAIN - 0.05))
    share, error = template.measurements.reference_bcc(
        np.array([0.0, 0.05, 0.1, 0.19]), perfect, 0.02
    )
    total = 1 - 0.98 * (1 - np.array([0.0, 0.05, 0.1]))
    np.testing.assert_allclose(share[:3], np.maximum(0, total - 0.05), atol=1e-9)
    assert np.isnan(share[3])  # 20.6 % of strain: beyond its end
    np.testing.assert_allclose(error[2], np.sqrt(share[2] * (1 - share[2]) / 1000))
    broken = make_table(BCC=np.maximum(0, STRAIN - 0.05), HCP=np.where(STRAIN > 0.1, 0.2, 0))
    assert np.isnan(template.measurements.reference_bcc(np.array([0.12]), broken, 0.0)[0]).all()


ROUTES = {
    "1-3-2": ([{}, {4}, {4, 6}, {4, 5, 6}, {4, 5, 6}], [1, 3, 2], True),
    "1-2-3": ([{}, {4}, {4, 5}, {4, 5, 6}, {4, 5, 6}], [1, 2, 3], False),
    "3-1-2": ([{}, {6}, {6}, {4, 6}, {4, 5, 6}, {4, 5, 6}], [3, 1, 2], True),
    "to both sides": ([{}, {5}, {4, 5}, {4, 5, 6}, {4, 5, 6}], [2, 1, 3], False),
    "a flicker does not count": (
        [{}, {4}, {4, 6}, {4}, {4, 5}, {4, 5, 6}, {4, 5, 6}],
        [1, 2, 3],
        False,
    ),
    "two planes only": ([{}, {4}, {4, 5}, {4, 5}], None, False),
}


@pytest.mark.parametrize("states, order, is_132", ROUTES.values(), ids=ROUTES)
@pytest.mark.parametrize("moved", [0, 1], ids=["same planes", "a plane less"])
def test_order_of_slip_at_a_twin(template, states, order, is_132, moved):
    frames = [{"(111)": stack(state)} for state in states]
    # the lowest plane, a few atoms, is found in some frames only
    frames[2] = {"(111)": frames[2]["(111)"][moved:]}
    found = template.slip_order.slip_order(make_table(len(frames), letters=frames))
    assert (found.order if found else None) == order
    if found:
        assert found.is_132 is is_132
        down = [sum((ord(b) - ord(a)) % 3 == 2 for a, b in pairwise(t)) for t in found.letters]
        assert down[0] == 0 and down[-1] == len(order)


def test_decide_and_count(template):
    assert template.verdicts.decide([0.7, 0.8, 0.9], 0.5)[0] == "holds"
    assert template.verdicts.decide([0.1, 0.2, np.nan], 0.5)[0] == "does not hold"
    assert template.verdicts.decide([0.1, 0.9], 0.5)[0] == "cannot be told"
    assert template.verdicts.decide([0.9], 0.5)[0] == "cannot be told"
    assert template.verdicts.decide([], 0.5)[3] == 0
    _, mean, error, n = template.verdicts.decide([1.0, 2.0, 3.0], 0.0)
    assert (mean, n) == (2.0, 3) and error == pytest.approx(1 / np.sqrt(3))
    assert (
        template.verdicts.count([True] * 3) == "holds"
        and template.verdicts.count([False] * 3) == "does not hold"
    )
    assert (
        template.verdicts.count([True, False])
        == template.verdicts.count([True])
        == "cannot be told"
    )


def transient(amount):
    return make_table(twinned=amount * np.interp(STRAIN, [0.08, 0.1, 0.13, 0.16], [0, 1, 1, 0.1]))


def twinning(amount):
    faults = np.where(STRAIN > 0.12, 30, 0)
    return make_table(
        twinned=ramp(STRAIN, 0.08, amount), ISF=np.where(STRAIN > 0.08, 20, 0), ESF=faults,
        CTB=np.where(STRAIN > 0.15, 40, 0),
    )  # fmt: skip


def test_verdicts_of_the_paper_and_of_its_opposite(template):
    paper = {
        v.claim: v.text
        for v in template.verdicts.verdicts(
            pillars(template, "Al", [transient(a) for a in (0.1, 0.12, 0.11)])
            + pillars(template, "Ir", [twinning(a) for a in (0.45, 0.5, 0.48)])
        )
    }
    texts = list(paper.values())
    assert texts[:3] == ["holds"] * 3
    opposite = template.verdicts.verdicts(
        pillars(template, "Al", [twinning(a) for a in (0.45, 0.5, 0.48)])
        + pillars(template, "Ir", [transient(a) for a in (0.1, 0.12, 0.11)])
    )
    assert [v.text for v in opposite[:3]] == ["does not hold"] * 3
    mixed = template.verdicts.verdicts(
        pillars(template, "Al", [transient(0.1), twinning(0.5)])
        + pillars(template, "Ir", [transient(0.1), twinning(0.5)])
    )
    assert [v.text for v in mixed[:3]] == ["cannot be told"] * 3
    nothing = template.verdicts.verdicts([])
    assert len(nothing) == 6 and {v.text for v in nothing} == {"cannot be told"}


def test_verdict_of_the_route(template):
    one, other = (
        make_table(len(states), letters=[{"(111)": stack(s)} for s in states])
        for states, _, _ in (ROUTES["1-3-2"], ROUTES["1-2-3"])
    )
    cases = (
        ([one, one], "holds"), ([other, other], "does not hold"),
        ([one, other], "cannot be told"), ([make_table()] * 2, "cannot be told"),
    )  # fmt: skip
    for tables, text in cases:
        assert template.verdicts.verdicts(pillars(template, "Ir", tables))[3].text == text


def embryos(start, fault, share=0.03):
    """Return a table with BCC from one strain on and faults from another."""
    bcc = np.where(start - 1e-9 < STRAIN, share, 0)
    sizes = [[30] if b else [] for b in bcc]
    faults = np.where(fault - 1e-9 < STRAIN, 50, 0)
    return make_table(BCC=bcc, bcc_cluster_sizes=sizes, ISF=faults)


def test_verdict_of_bcc_first(template):
    cold, hot = make_table(), make_table(BCC=np.where(STRAIN > 0.05, 0.03, 0))
    cases = (
        ([embryos(0.06, 0.08)] * 2, cold, "holds"),
        ([embryos(0.09, 0.08)] * 2, cold, "does not hold"),
        ([embryos(0.06, 0.08), embryos(0.09, 0.08)], cold, "cannot be told"),
        # as much in the perfect crystal: noise and elastic strain
        ([embryos(0.06, 0.08)] * 2, hot, "does not hold"),
    )  # fmt: skip
    for tables, perfect, text in cases:
        found = template.verdicts.verdicts(pillars(template, "Ir", tables, perfect))[4]
        assert found.text == text, found
        assert "nan" not in found.number
    # without a perfect crystal to compare with, and with one run
    for runs in (pillars(template, "Ir", [embryos(0.06, 0.08)] * 2, None),
                 pillars(template, "Ir", [embryos(0.06, 0.08)], cold)):  # fmt: skip
        found = template.verdicts.verdicts(runs)[4]
        assert found.text == "cannot be told" and "nan" not in found.number


def test_verdict_of_bcc_with_temperature(template):
    def judge(cold, hot, noise):
        found = []
        for metal in ("Al", "Ir"):
            for temperature, share in ((300.0, cold), (800.0, hot)):
                perfect = make_table(BCC=ramp(STRAIN, 0.0, noise * temperature / 800))
                for k in range(3):
                    table = make_table(
                        BCC=ramp(STRAIN, 0.0, share + 1e-3 * k), ISF=np.where(STRAIN > 0.07, 50, 0)
                    )
                    found.append(
                        template.measurements.Pillar(
                            metal, temperature, 2e10, str(k), table, perfect
                        )
                    )
        return template.verdicts.verdicts(found)[5]

    assert judge(0.05, 0.25, 0.0).text == "holds"
    # the same growth in the perfect crystal, or none at all
    assert judge(0.075, 0.2, 0.2).text == "does not hold"
    assert judge(0.05, 0.05, 0.0).text == "does not hold"
    assert judge(0.25, 0.05, 0.0).text == "does not hold"


def test_bcc_with_temperature_needs_a_perfect_crystal(template):
    tables = [make_table(BCC=ramp(STRAIN, 0.0, 0.1 + 0.01 * k)) for k in range(4)]
    found = template.verdicts.verdicts(
        pillars(template, "Ir", tables, temperatures=(300.0, 800.0))
    )[5]
    assert found.text == "cannot be told"
    assert "above the perfect crystal unknown" in found.number and "nan" not in found.number


def test_runs_and_report(copy_of, script, is_picture):
    folder = copy_of("micropillar") / "iridium_aluminium"
    small = ("--temperatures", 300, "--scale", 0.68, "--rate", 2e11, "--relax", 0.2,
             "--dump-strain", 0.01)  # fmt: skip
    script("run.py", "out", *small, "--strain", 0.05, "--seeds", 1, cwd=folder)
    runs = sorted(path.name for path in (folder / "out").iterdir())
    assert runs == [f"{m}_300K_2e11_{s}" for m in ("Al", "Ir") for s in ("1", "perfect")]
    script("report.py", "out", "--processes", 1, cwd=folder)
    # further, and another seed; what is finished stays
    before = (folder / "out" / "Ir_300K_2e11_1" / "pillar.dump").read_text()
    script("run.py", "out", *small, "--strain", 0.1, "--seeds", 1, 2, cwd=folder)
    after = (folder / "out" / "Ir_300K_2e11_1" / "pillar.dump").read_text()
    assert after.startswith(before[: len(before) // 2]) and len(after) > 1.5 * len(before)
    finished = folder / "out" / "Ir_300K_2e11_2" / "finished"
    time = finished.stat().st_mtime_ns
    script("run.py", "out", *small, "--strain", 0.1, "--seeds", 1, 2, cwd=folder)
    assert finished.stat().st_mtime_ns == time
    # what another process runs is left to it
    finished.unlink()
    with (finished.parent / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        said = script("run.py", "out", *small, "--strain", 0.1, "--seeds", 1, 2, cwd=folder)
    assert "Ir_300K_2e11_2: is run by another run.py; left to it" in said
    assert not finished.exists()
    # another width belongs in another folder
    said = script("run.py", "out", "--temperatures", 300, "--rate", 2e11, "--scale", 1, cwd=folder,
                  fails=True)  # fmt: skip
    assert "was begun with other values of dump_strain, relax, width; give the same" in said
    said = script("report.py", "out", "--processes", 1, cwd=folder)
    text = (folder / "out" / "report.md").read_text()
    assert text.strip() == said.strip()
    assert "Left out, stopped or not yet past 13 % of strain: Ir_300K_2e11_2 (" in text
    rows = re.findall(r"^\| [1-6] \| .* \| \*\*(.*)\*\* \|", text, re.MULTILINE)
    assert len(rows) == 6 and set(rows) <= {"holds", "does not hold", "cannot be told"}
    for name in ("order.png", "bcc.png", "twins.png", "stacking.png"):
        assert is_picture(folder / "out" / name)
        assert f"({name})" in text
    assert "|  | Al, 300 K | Ir, 300 K |" in text


def test_a_pillar_of_a_student(copy_of, script):
    folder = copy_of("micropillar") / "iridium_aluminium"
    shutil.copytree(FOLDER.parents[1] / "distillation" / "al_pod", folder / "al_pod")
    small = ("--temperatures", 300, "--scale", 0.5, "--rate", 2e11, "--relax", 0.01, "--seeds", 1,
             "--dump-strain", 0.01, "--strain", 0.04)  # fmt: skip
    potential = ("--potential", "pod", "al_pod/student")
    said = script("run.py", "out", *small, *potential, cwd=folder, fails=True)
    assert "al_pod/student: is of one metal; give --metals Al" in said
    said = script("run.py", "out", *small, "--lattice", 4.03, cwd=folder, fails=True)
    assert "--lattice 4.03: is that of --potential; give both" in said
    # a pillar that stops does not stop the others
    damaged = folder / "out" / "Al_300K_2e11_1" / "pillar.10.restart"
    damaged.parent.mkdir(parents=True)
    damaged.write_text("no restart")
    command = ("run.py", "out", *small, *potential, "--lattice", 4.03, "--metals", "Al")
    said = script(*command, cwd=folder, fails=True)
    assert "Al_300K_2e11_1: LAMMPS stopped" in said and "Traceback" not in said
    assert (folder / "out" / "Al_300K_2e11_perfect" / "finished").exists()
    damaged.unlink()
    script(*command, cwd=folder)
    for name in ("1", "perfect"):
        run = folder / "out" / f"Al_300K_2e11_{name}"
        assert (run / "finished").exists()
        given = json.loads((run / "variables.json").read_text())
        assert (given["pair"], given["a"]) == ("pod", "4.03")


def test_a_folder_without_runs_is_named(copy_of, script):
    folder = copy_of("micropillar") / "iridium_aluminium"
    said = script("report.py", "nowhere", cwd=folder, fails=True)
    assert "folder = 'nowhere': has no run of run.py; start run.py first" in said


def test_the_line_that_renders_a_movie(monkeypatch):
    line = re.search(r'^python -c "(.*)"$', (FOLDER / "README.md").read_text(), re.MULTILINE)[1]
    movie = create_autospec(ase_calculators.render_movie)
    monkeypatch.setattr(ase_calculators, "render_movie", movie)
    exec(line)
    assert movie.call_args.args[2] in ("structure", "fault", "entropy")
