# SPDX-License-Identifier: BSD-3-Clause
"""fix entsym/steer: forces, virial, energy, work, hills, restarts, and each error."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import ase.io
import numpy as np
import pytest
from scipy.interpolate import CubicHermiteSpline

from ase_calculators import EntropySymmetry

BIN = Path(sys.executable).parent

BAR = 1.602176634e6  # per eV/Å^3
COMPUTE = "compute es all entsym rmax 5.0 sigma 0.2 q6cut 3.4 smooth 0.6"
PARAMETERS = dict(rmax=5.0, sigma=0.2, q6cut=3.4, smooth=0.6)
EAM = {"pair": "eam/fs", "coeff": "Al_mm.eam.fs Al"}  # smooth up to its cutoff
LJ = {"pair": "lj/cut 5.0", "coeff": "0.2 2.5"}
# energies in eV; sS and Q6 of a hot crystal are outside both walls
BIAS = "restrain sS 30 -2.0 restrain Q6 400 0.2 wall sS lower -1.0 50 wall Q upper 0.05 100"
MD = ["velocity all create 600 4711 loop geom", "fix 1 all nve"]


def bias_energy(sS, Q):
    """Return the energy of BIAS."""
    return (
        15 * (sS + 2.0) ** 2
        + 200 * (Q - 0.2) ** 2
        + 25 * min(sS + 1.0, 0) ** 2
        + 50 * max(Q - 0.05, 0) ** 2
    )


def random_structure(make_structure, seed):
    """Return a small random triclinic cell of two elements, some smaller than the cutoffs."""
    rng = np.random.default_rng(seed)
    cell = np.array([(4.1, 0, 0), (0.9, 3.9, 0), (-0.7, 1.1, 4.3)]) * rng.uniform(0.95, 1.1)
    basis = [(0, 0, 0), (0.5, 0.5, 0), (0.5, 0, 0.5), (0, 0.5, 0.5)]
    return make_structure(
        cell=cell, basis=basis, repeat=int(rng.integers(1, 4)), types=[1, 2, 1, 2],
        rattle=rng.uniform(0.05, 0.4), seed=seed,
    )  # fmt: skip


def forces_of(instance):
    order = np.argsort(instance.numpy.extract_atom("id")[: instance.extract_global("nlocal")])
    return instance.numpy.extract_atom("f")[order].copy()


def deck(*lines, compute=COMPUTE, start="read_data structure.data"):
    return "\n".join([
        "units metal", "box tilt large", start, "pair_style lj/cut 5.0",
        "pair_coeff * * 0.2 2.5", "timestep 0.002", compute, *lines,
    ]) + "\n"  # fmt: skip


# --- forces, virial, energy -----------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("counted", ["all", "group"])
def test_forces_and_virial(lmp, make_structure, kernel_for, seed, counted):
    """Central differences of the energy of the bias, by the Python kernel, at two steps."""
    structure = random_structure(make_structure, seed)
    mask = np.ones(len(structure.positions), bool)
    if counted == "group":
        mask = structure.types == 1
    instance = lmp(
        structure, "group some type 1" + (" 2" if counted == "all" else ""),
        COMPUTE.replace("all", "some"), f"fix st some entsym/steer es {BIAS}",
        "compute p all pressure NULL virial", "thermo_style custom step c_p[1]", "run 0",
    )  # fmt: skip
    kernel = kernel_for(**PARAMETERS)

    def energy(positions, cell):
        return bias_energy(*kernel.evaluate(positions[mask], cell, structure.pbc))

    x, cell = structure.positions, structure.cell
    assert instance.extract_fix("st", 0, 0) == pytest.approx(energy(x, cell), rel=1e-10)
    forces = forces_of(instance)
    assert np.abs(forces[mask]).max() > 1e-2 and not forces[~mask].any()
    np.testing.assert_allclose(forces.sum(axis=0), 0, atol=1e-10)

    rng = np.random.default_rng(seed)

    def derivative(at):
        h = 1e-3
        central = [(at(s * h) - at(-s * h)) / (2 * s * h) for s in (1, 0.5)]
        return (4 * central[1] - central[0]) / 3

    for _ in range(3):
        move = rng.normal(size=x.shape) * mask[:, None]
        expected = derivative(lambda h, move=move: energy(x + h * move, cell))
        # pairs that cross rmax + 5 sigma come and go with 4e-6 of their height
        scale = np.linalg.norm(forces) * np.linalg.norm(move) / np.sqrt(move.size)
        assert -(forces * move).sum() == pytest.approx(expected, abs=1e-4 * scale)

    pressure = instance.numpy.extract_compute("p", 0, 1) / BAR * np.linalg.det(cell)
    assert np.abs(pressure).max() > 1e-2
    for k, (a, b) in enumerate([(0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2)]):

        def strained(h, a=a, b=b):
            F = np.eye(3)
            F[a, b] += h
            return energy(x @ F.T, cell @ F.T)

        expected = derivative(strained)
        assert -pressure[k] == pytest.approx(expected, abs=5e-5 * np.abs(pressure).max())


def test_given_density(lmp, make_structure, kernel_for):
    """With a number for the density the box may change without changing it: virial of a slab."""
    structure = random_structure(make_structure, 3)
    instance = lmp(
        structure, COMPUTE + " density 0.06", f"fix st all entsym/steer es {BIAS}",
        "compute p all pressure NULL virial", "thermo_style custom step c_p[1]", "run 0",
    )  # fmt: skip
    kernel = kernel_for(**PARAMETERS)

    def energy(h):
        F = np.eye(3) * (1 + h)
        values = kernel.evaluate(
            structure.positions @ F, structure.cell @ F, structure.pbc, number_density=0.06
        )
        return bias_energy(*values)

    pressure = instance.numpy.extract_compute("p", 0, 1) / BAR * np.linalg.det(structure.cell)
    expected = (energy(1e-4) - energy(-1e-4)) / 2e-4
    assert -pressure[:3].sum() == pytest.approx(expected, rel=2e-5)


@pytest.mark.parametrize("group", ["all", "odd"])
def test_ranks(make_structure, run_deck, read_dump, tmp_path, group):
    """Energy, vector, forces and pressure on 1, 2 and 4 ranks, newton on and off."""
    structure = make_structure("triclinic")
    structure.write(tmp_path / "structure.data")
    lines = [
        "group odd id 1:200:2", COMPUTE.replace("all", group),
        f"fix st {group} entsym/steer es {BIAS} metad 1 0.05 300 width sS 0.1 width Q 0.02",
        "fix_modify st energy yes", *MD, "thermo_style custom step press pe f_st[1] f_st[9]",
        "dump d all custom 5 run.dump id fx fy fz", "dump_modify d format float %.17g", "run 0",
        'print "RESULT u $(f_st:%.16g) $(f_st[1]:%.16g) $(f_st[2]:%.16g)"', "run 5",
        'print "RESULT v $(f_st:%.16g) $(f_st[1]:%.16g) $(f_st[2]:%.16g) $(f_st[7]:%.16g) '
        '$(pe:%.16g) $(press:%.16g) $(pxy:%.16g)"',
    ]  # fmt: skip
    found = []
    for ranks, newton in ((1, "on"), (2, "on"), (4, "on"), (2, "off")):
        _, values = run_deck(f"newton {newton}\n" + deck(*lines, compute=""), ranks)
        found.append((values, read_dump("run.dump")))
    for values, forces in found[1:]:
        np.testing.assert_allclose(values["u"], found[0][0]["u"], rtol=1e-12)
        # after five steps of motion
        np.testing.assert_allclose(values["v"], found[0][0]["v"], rtol=1e-10, atol=1e-10)
        np.testing.assert_allclose(forces, found[0][1], rtol=0, atol=1e-10)


def test_threads(lmp, make_structure, monkeypatch):
    """The number of threads does not change a bit."""
    results = []
    for threads in ("1", "3"):
        monkeypatch.setenv("OMP_NUM_THREADS", threads)
        instance = lmp(
            make_structure("fcc"), COMPUTE, f"fix st all entsym/steer es {BIAS}", *MD, **LJ
        )
        instance.command("run 10")
        results.append((instance.extract_fix("st", 0, 0), forces_of(instance)))
    assert results[0][0] == results[1][0]
    assert (results[0][1] == results[1][1]).all()


def run_energies(instance, steps, name="etotal"):
    """Return the total energy of each step of a run."""
    energies = []
    for _ in range(steps):
        instance.command("run 1 pre no post no")
        energies.append(instance.get_thermo(name))
    return np.array(energies)


def test_energy_is_conserved(lmp, make_structure, tmp_path):
    """NVE with restraint, wall and hills at rest conserves energy as well as without.

    What is left is the error of the time step, which falls with its square.
    """
    structure = make_structure("fcc")
    path = tmp_path / "hills"
    metad = f"metad {{}} 0.3 600 width sS 0.3 width Q 0.03 biasfactor 5 file {path}"
    start = ["timestep 0.001", "run 200"]
    first = lmp(structure, COMPUTE, *MD, *start, **EAM)
    first.commands_list([f"fix st all entsym/steer es {metad.format(2)}", "run 300"])
    deviations = {}
    for bias, step in ((False, 0.001), (True, 0.001), (True, 0.0005)):
        instance = lmp(structure, COMPUTE, *MD, *start, "thermo 1", **EAM)
        if bias:
            sS, Q = (instance.extract_compute("es", 0, 1)[k] for k in (0, 1))
            instance.command(
                f"fix st all entsym/steer es restrain sS 3 {sS} wall Q upper {Q} 200 "
                + metad.format(10**6)
            )
            instance.command("fix_modify st energy yes")
        instance.commands_list([f"timestep {step}", "run 0 post no"])
        deviations[bias, step] = np.std(run_energies(instance, round(0.3 / step)))
        if bias:
            # the forces of the bias are a good part of all
            work, hills, energy = [instance.extract_fix("st", 0, 1, k) for k in (4, 7, 8)]
            assert work == 0 and hills == 150 and energy > 0.05
    assert 0 < deviations[True, 0.001] < 2 * deviations[False, 0.001]
    assert 3 < deviations[True, 0.001] / deviations[True, 0.0005] < 5


@pytest.mark.parametrize("kind", ["linear", "variable"])
def test_work(lmp, make_structure, kind):
    """In NVE the work of a moving restraint is the change of the total energy with the bias."""
    structure = make_structure("fcc")
    restrain = {
        "linear": "restrain sS 2 -2.5 move sS 5 -4.0 50 350",
        "variable": "restrain sS v_k v_c",
    }[kind]
    variables = [
        "variable x equal (v_now-50)/300*(v_now>50)*(v_now<350)+(v_now>=350)",
        "variable now equal step", "variable k equal 2+3*v_x", "variable c equal -2.5-1.5*v_x",
    ]  # fmt: skip
    instance = lmp(
        structure, COMPUTE, *MD, *variables, "timestep 0.001", "thermo 1",
        "run 200", "reset_timestep 0", f"fix st all entsym/steer es {restrain}",
        "fix_modify st energy yes", "run 0 post no", **EAM,
    )  # fmt: skip
    start = instance.get_thermo("etotal")
    energies = run_energies(instance, 400)
    work = instance.extract_fix("st", 0, 1, 4)
    assert instance.extract_fix("st", 0, 1, 2) == pytest.approx(-4.0)
    assert abs(work) > 1
    # the energy of the integrator fluctuates by this much without a bias
    assert energies[-1] - start == pytest.approx(work, abs=0.02)
    # and the same work in two runs
    assert energies[349:].std() < 0.01


def test_change_between_runs_is_work(lmp, make_structure):
    instance = lmp(make_structure("fcc"), COMPUTE, "variable c equal -2",
                   "fix st all entsym/steer es restrain sS 10 v_c", "run 0", **LJ)  # fmt: skip
    before = instance.extract_fix("st", 0, 0)
    instance.commands_list(["variable c equal -1", "run 0"])
    after = instance.extract_fix("st", 0, 0)
    assert abs(after - before) > 1
    assert instance.extract_fix("st", 0, 1, 4) == pytest.approx(after - before)


def test_minimization_and_box(lmp, make_structure):
    """The forces of potential and bias vanish, then also the pressure of both."""
    instance = lmp(make_structure("fcc"), COMPUTE.replace("5.0", "5.1"),
                   "fix st all entsym/steer es restrain sS 30 -3", "fix_modify st energy yes",
                   "run 0", **EAM)  # fmt: skip
    start = instance.extract_fix("st", 0, 0)
    instance.command("minimize 0 1e-4 1000 3000")
    assert instance.extract_fix("st", 0, 0) < start / 5
    assert np.abs(forces_of(instance)).max() < 1e-3
    instance.command("fix b all box/relax iso 0.0 vmax 0.001")
    instance.command("minimize 0 1e-4 1000 3000")
    assert abs(instance.get_thermo("press")) < 10
    instance.commands_list(["unfix b", "fix_modify st virial no", "run 0"])
    assert abs(instance.get_thermo("press")) > 100
    assert instance.extract_fix("st", 0, 1, 4) == 0


def test_npt(lmp, make_structure):
    """A barostat sees the virial of the bias: the conserved quantity stays."""
    drifts = []
    for bias in (False, True):
        instance = lmp(make_structure("fcc"), COMPUTE, MD[0], "timestep 0.001",
                       "fix 1 all nph iso 0 0 0.1", "thermo_style custom step econserve vol",
                       "thermo 1", **EAM)  # fmt: skip
        if bias:
            instance.commands_list(["fix st all entsym/steer es restrain sS 20 -1.8",
                                    "fix_modify st energy yes"])  # fmt: skip
        instance.command("run 0 post no")
        start, volume = instance.get_thermo("econserve"), instance.get_thermo("vol")
        energies = run_energies(instance, 200, "econserve")
        assert abs(instance.get_thermo("vol") / volume - 1) > 1e-3
        drifts.append(np.abs(energies - start).max())
    assert drifts[1] < 3 * drifts[0] + 0.005


def test_barostat_that_is_defined_first(make_structure, run_deck, monkeypatch, tmp_path):
    """It asks for the pressure before the first forces: memory that was never written is huge."""
    monkeypatch.setenv("MALLOC_PERTURB_", "128")
    make_structure("fcc").write(tmp_path / "structure.data")
    _, found = run_deck(deck(
        MD[0], "fix 1 all nph iso 0 0 0.1", "fix st all entsym/steer es restrain sS 20 -1.8",
        "run 5", 'print "RESULT volume $(vol)"',
    ))  # fmt: skip
    assert np.isfinite(found["volume"]).all()


def test_rerun(make_structure, run_deck, tmp_path):
    """A rerun gives the energies of the run, with the hills that the file has, and adds none."""
    make_structure("fcc").write(tmp_path / "structure.data")
    steer = "fix st all entsym/steer es {} metad {} 0.2 600 width sS 0.1 file hills"
    values = 'print "RESULT v{} $(f_st:%.14g) $(f_st[1]:%.14g) $(f_st[8]:%.14g)"'
    run_deck(deck(*MD, steer.format("restrain Q 300 0.2", 5), "run 50"))
    hills = (tmp_path / "hills").read_text()
    fix = steer.format("restrain Q 300 0.2", 1)
    _, first = run_deck(deck(
        *MD, fix.replace("metad 1 ", "metad 1000 "),
        "dump d all custom 10 run.dump id x y z vx vy vz",
        "dump_modify d format float %.17g", "run 30", values.format("a"), "unfix st", fix,
        "rerun run.dump dump x y z vx vy vz", values.format("b"),
    ))  # fmt: skip
    np.testing.assert_allclose(first["va"], first["vb"], rtol=1e-9)
    assert (tmp_path / "hills").read_text() == hills


# --- hills ----------------------------------------------------------------------------------------

KB = 8.617343e-5  # eV/K, as LAMMPS has it in units metal
METAD = "metad 5 0.3 600 width sS 0.1 width Q6 0.01 biasfactor 8"
WIDTHS = np.array([0.1, 0.01])


def interpolated(hills, point, spacing=WIDTHS / 5):
    """Return the sum of hills at a point, by bicubic Hermite interpolation from exact nodes."""
    low = np.floor(point / spacing)
    nodes = (low + np.array([(0, 0), (0, 1), (1, 0), (1, 1)])) * spacing
    V = np.zeros((4, 4))  # V, its slopes by sS, by Q, by both, at each node
    for centre, height in hills:
        u = (nodes - centre) / WIDTHS
        value = height * np.exp(-(u**2).sum(axis=1) / 2)
        slopes = -u / WIDTHS
        V += value * np.array([np.ones(4), *slopes.T, slopes.prod(axis=1)])
    V = V.reshape(4, 2, 2)
    at = [CubicHermiteSpline(nodes[[0, 2], 0], V[0, :, k], V[1, :, k])(point[0]) for k in (0, 1)]
    slope = [CubicHermiteSpline(nodes[[0, 2], 0], V[2, :, k], V[3, :, k])(point[0]) for k in (0, 1)]
    return float(CubicHermiteSpline(nodes[[0, 1], 1], at, slope)(point[1]))


def script_hills(points, every=5, height=0.3, kT=KB * 600, factor=8):
    """Return rows step, sS, Q6, height of a run that visits `points` at steps 0, 1, ..."""
    hills, rows = [], []
    for step, point in enumerate(points):
        if step and step % every == 0:
            h = height * np.exp(-interpolated(hills, point) / ((factor - 1) * kT))
            rows.append((step, *point, h))
            hills.append((point, h))
    return np.array(rows)


def read_hills(path):
    return np.loadtxt(path, ndmin=2)


@pytest.mark.parametrize("ranks", [1, 2])
def test_hills_are_those_of_a_script(make_structure, run_deck, kernel_for, tmp_path, ranks):
    """Hills from the dumped positions: values by the kernel, heights by NumPy and SciPy."""
    structure = make_structure("fcc")
    structure.write(tmp_path / "structure.data")
    _, found = run_deck(deck(
        *MD, f"fix st all entsym/steer es {METAD} file hills",
        "dump d all custom 1 run.dump x y z", "dump_modify d sort id format float %.17g", "run 100",
        'print "RESULT v $(f_st[6]:%.16g) $(f_st[7]:%.16g) $(f_st[8]) $(f_st[9]:%.16g)"',
    ), ranks)  # fmt: skip
    kernel = kernel_for(**PARAMETERS)
    frames = (tmp_path / "run.dump").read_text().split("ITEM: ATOMS x y z")[1:]
    points = np.array([
        kernel.evaluate(np.array(frame.split("ITEM")[0].split(), float).reshape(-1, 3),
                        structure.cell, True)
        for frame in frames
    ])  # fmt: skip
    expected = script_hills(points)
    hills = read_hills(tmp_path / "hills")
    assert len(hills) == 20
    np.testing.assert_allclose(hills, expected, rtol=1e-9)
    assert 0.1 < hills[:, 3].min() / hills[:, 3].max() < 0.9
    height, offset, n, energy = found["v"]
    assert n == 20 and height == pytest.approx(expected[-1, 3])
    # the last hill counts from the next step
    before = [(row[1:3], row[3]) for row in expected[:-1]]
    assert energy == pytest.approx(interpolated(before, points[-1]), rel=1e-8)
    # c(t) from the exact sum at the nodes within two widths of a hill
    spacing, visited = WIDTHS / 5, set()
    for centre, _ in before:
        low = np.ceil((centre - 2 * WIDTHS) / spacing).astype(int)
        high = np.floor((centre + 2 * WIDTHS) / spacing).astype(int)
        visited |= {(i, j) for i in range(low[0], high[0] + 1) for j in range(low[1], high[1] + 1)}
    nodes = np.array(sorted(node for node in visited if node[1] >= 0)) * spacing
    V = sum(h * np.exp(-(((nodes - c) / WIDTHS) ** 2).sum(axis=1) / 2) for c, h in before)
    kT = KB * 600
    c = kT * np.log(np.exp(8 / 7 * V / kT).sum() / np.exp(V / 7 / kT).sum())
    assert offset == pytest.approx(c, rel=1e-8)


def test_header(make_structure, run_deck, tmp_path):
    """The file says what its hills are of."""
    make_structure("fcc").write(tmp_path / "structure.data")
    run_deck(deck(*MD, f"fix st all entsym/steer es {METAD} file hills", "run 5"))
    first, second, third, *hills = (tmp_path / "hills").read_text().splitlines()
    assert (first, third) == ("# entsym hills", "# step sS Q6 height")
    entries = dict(word.split("=") for word in second[2:].split())
    assert entries == {
        "units": "metal", "group": "all", "natoms": "256", "rmax": "5", "sigma": "0.2",
        "dr": "0.05", "q6_cutoff": "3.4", "degree": "6", "smooth": "0.6", "number_density": "0",
        "height": "0.3", "temperature": "600", "bias_factor": "8", "width_sS": "0.1",
        "width_Q6": "0.01", "spacing_sS": "0.02", "spacing_Q6": "0.002",
    }  # fmt: skip
    assert len(hills) == 1 and hills[0].split()[0] == "5"


@pytest.mark.parametrize("ranks", [1, 2])
def test_killed_and_continued(make_structure, tmp_path, ranks):
    """kill -9 in the middle, a restart from the last restart file: the same hills, bit by bit."""
    make_structure("fcc").write(tmp_path / "structure.data")
    work = "restrain sS 2 -2.5 move sS 4 -3.5 0 600"
    fix = f"fix st all entsym/steer es {work} {METAD} file {{}}"
    lines = ["restart 100 one.restart two.restart", "thermo 100", "thermo_modify flush yes"]
    tail = ["run 600 upto", 'print "RESULT v $(f_st:%.16g) $(f_st[5]:%.16g) $(f_st[8])"']
    mpirun = [BIN / "mpirun", "-n", str(ranks), BIN / "lmp", "-nocite", "-log", "none", "-in"]

    def run(name, text):
        # LAMMPS sorts atoms at the start of a run, which would change the order of its sums
        (tmp_path / name).write_text("atom_modify sort 0 0\n" + text)
        return subprocess.Popen([*mpirun, name], cwd=tmp_path, stdout=subprocess.PIPE, text=True,
                                process_group=0)  # fmt: skip

    whole = run("in.whole", deck(*MD, fix.format("whole"), *lines, *tail))
    reference = re.search("RESULT v (.*)", whole.communicate(timeout=100)[0])[1]
    for name in ("one.restart", "two.restart"):
        (tmp_path / name).unlink()

    killed = run("in.killed", deck(*MD, fix.format("hills"), *lines, *tail))
    path = tmp_path / "hills"
    deadline = time.monotonic() + 100
    while not (path.exists() and path.read_bytes().count(b"\n") > 3 + 55):
        assert time.monotonic() < deadline and killed.poll() is None
        time.sleep(0.005)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.communicate()
    with path.open("ab") as file:
        file.write(b"9999 -2.5 0.0")  # the start of a line
    # the file that was being written may be broken, the older one is whole
    restarts = sorted((tmp_path / n for n in ("one.restart", "two.restart")),
                      key=lambda p: p.stat().st_mtime)  # fmt: skip
    again = deck("fix 1 all nve", fix.format("hills"), *lines, *tail,
                 start=f"read_restart {restarts[0].name}")  # fmt: skip
    output = run("in.again", again).communicate(timeout=100)[0]
    assert "unfinished last line of hills was cut off" in output
    assert re.search(r"\d+ hills of hills are later than the restart file", output)
    if ranks == 1:
        assert path.read_text() == (tmp_path / "whole").read_text()
        assert re.search("RESULT v (.*)", output)[1] == reference
    else:  # after a restart the ranks may sum forces in another order
        np.testing.assert_allclose(read_hills(path)[:45], read_hills(tmp_path / "whole")[:45], 1e-6)


def test_continued_without_restart_file(make_structure, run_deck, tmp_path):
    """A second run starts with the hills of the file and appends to it."""
    make_structure("fcc").write(tmp_path / "structure.data")
    fix = f"fix st all entsym/steer es {METAD} file hills"
    values = 'print "RESULT v $(f_st[6]:%.16g) $(f_st[8]) $(f_st[9]:%.16g)"'
    run_deck(deck(*MD, fix, "run 50"))
    first = (tmp_path / "hills").read_text()
    (tmp_path / "hills").write_text(first + "50 -2.")
    output, found = run_deck(deck(*MD, fix, "run 0", values, "run 20"))
    assert "unfinished last line of hills was cut off" in output
    assert "10 hills of hills are continued" in output
    hills = read_hills(tmp_path / "hills")
    assert (tmp_path / "hills").read_text().startswith(first)
    assert found["v"][0] == hills[9, 3] and found["v"][1] == 10
    assert len(hills) == 14 and hills[10, 0] == 5


def test_restart_without_the_file(make_structure, run_deck, tmp_path):
    """The restart file has all hills: what was moved away is written again."""
    make_structure("fcc").write(tmp_path / "structure.data")
    fix = f"fix st all entsym/steer es {METAD} file hills"
    run_deck(deck(*MD, fix, "run 50", "write_restart 50.restart", "run 50"))
    whole = (tmp_path / "hills").rename(tmp_path / "whole").read_text()
    run_deck(deck("fix 1 all nve", fix, "run 50", start="read_restart 50.restart"))
    again = (tmp_path / "hills").read_text()
    assert again.splitlines()[:13] == whole.splitlines()[:13]
    np.testing.assert_allclose(
        read_hills(tmp_path / "hills"), read_hills(tmp_path / "whole"), rtol=1e-6
    )


def test_hills_added_to_a_restart_without(make_structure, run_deck, tmp_path):
    """A restart file of a restraint does not touch the hills of another run."""
    make_structure("fcc").write(tmp_path / "structure.data")
    fix = "fix st all entsym/steer es "
    run_deck(deck(*MD, fix + METAD + " file hills", "run 20"))
    text = (tmp_path / "hills").read_text()
    run_deck(deck(*MD, fix + "restrain sS 1 -2", "run 10", "write_restart 10.restart"))
    output, _ = run_deck(deck(fix + METAD + " file hills", "run 0",
                              start="read_restart 10.restart"))  # fmt: skip
    assert "4 hills of hills are continued" in output
    assert (tmp_path / "hills").read_text() == text


def test_select_in_a_minimization(lmp, make_structure, tmp_path):
    """A fix before this one sees the atoms as they are, not those of its last evaluation."""
    path = tmp_path / "sel.extxyz"
    instance = lmp(make_structure("fcc"), COMPUTE,
                   f"fix sel all entsym/select 1 es 1e-9 1e-9 {path} element Al",
                   "fix st all entsym/steer es restrain sS 1 -3", "fix_modify st energy yes",
                   "minimize 0 1e-4 5 20", **LJ)  # fmt: skip
    offered, written = instance.extract_fix("sel", 0, 1, 1), instance.extract_fix("sel", 0, 0)
    calc = EntropySymmetry(5.0, 0.2, 3.4, smooth=0.6)
    frames = ase.io.read(path, ":")
    assert written == len(frames) == offered > 6  # each configuration of the line search is another
    for atoms in frames:
        assert atoms.info["sS"] == pytest.approx(calc.get_property("sS", atoms), rel=1e-9)


def test_growing_grid(lmp, make_structure, tmp_path):
    """Where the walk leaves the grid it grows, and the energy is that of all hills.

    The start has hills at both ends of a wide range, which no grid of the start covers.
    """
    structure = make_structure("fcc")
    path = tmp_path / "hills"
    metad = f"metad 1000 0.3 600 width sS 0.02 width Q 0.002 file {path}"
    instance = lmp(structure, COMPUTE, f"fix st all entsym/steer es {metad}", "run 0", **LJ)
    sS, Q = (instance.extract_fix("st", 0, 1, k) for k in (0, 1))
    instance.close()
    with path.open("a") as file:
        for step, (a, b) in enumerate([(sS, Q), (sS + 0.1, Q), (sS - 5, Q + 0.3), (sS - 5, Q)]):
            file.write(f"{step} {a!r} {b!r} 0.1\n")
    instance = lmp(structure, COMPUTE, f"fix st all entsym/steer es {metad}", "run 0", **LJ)
    energy = instance.extract_fix("st", 0, 0)
    assert energy == pytest.approx(0.1 * (1 + np.exp(-12.5)), rel=2e-5)
    # denser, ten widths away where the grid has ended, and back: the same energy
    instance.commands_list(["change_box all x scale 0.9 y scale 0.9 z scale 0.9 remap", "run 0"])
    assert abs(instance.extract_fix("st", 0, 1, 0) - sS) > 0.2
    assert instance.extract_fix("st", 0, 0) < 1e-3
    back = f"x final 0 {structure.cell[0, 0]} y final 0 {structure.cell[0, 0]}"
    back += f" z final 0 {structure.cell[0, 0]}"
    instance.commands_list([f"change_box all {back} remap", "run 0"])
    assert instance.extract_fix("st", 0, 0) == pytest.approx(energy, rel=1e-9)


def test_walkers(make_structure, run_deck, tmp_path):
    """Each of two runs at the same time has the hills of both."""
    make_structure("fcc").write(tmp_path / "structure.data")
    lines = [
        "variable w world a b", "variable s world 4711 4712",
        "velocity all create 600 ${s} loop geom", "fix 1 all nve",
        f"fix st all entsym/steer es {METAD} file hills.${{w}} walkers hills.* 5",
        "run 100", "fix 2 all print 1 ''", "run 0 post no", "unfix 2",
        'print "n ${w} $(f_st[8])" append counts',
    ]  # fmt: skip
    (tmp_path / "in.walkers").write_text(deck(*lines))
    subprocess.run(
        [BIN / "mpirun", "-n", "2", BIN / "lmp", "-nocite", "-log", "none", "-partition", "2x1",
         "-in", "in.walkers"], cwd=tmp_path, check=True, capture_output=True, timeout=100,
    )  # fmt: skip
    counts = [line.split() for line in (tmp_path / "counts").read_text().splitlines()]
    assert {row[1] for row in counts} == {"a", "b"}
    numbers = sorted(int(row[2]) for row in counts)
    assert numbers[0] > 20 and numbers[1] <= 40
    for name in ("hills.a", "hills.b"):
        assert len(read_hills(tmp_path / name)) == 20  # each file has its own only
    # a third walker reads both
    _, found = run_deck(deck(
        *MD, f"fix st all entsym/steer es {METAD} file hills.c walkers hills.* 5", "run 0",
        'print "RESULT n $(f_st[8])"',
    ))  # fmt: skip
    assert found["n"] == 40


# --- bad input ------------------------------------------------------------------------------------

HARD = COMPUTE.replace(" smooth 0.6", "")
FIX = "fix st all entsym/steer es "

WRONG = {
    # what the bias is of
    "no arguments": ("fix st all entsym/steer es", "arguments are missing"),
    "no such compute": (FIX.replace("es ", "no ") + "restrain sS 1 0", "compute no is not defined"),
    "other style": (
        ["compute t all temp", FIX.replace("es ", "t ") + "restrain sS 1 0"],
        "compute t is of style temp, which has no gradients",
    ),
    "other group": (
        ["group g id 1:9", "fix st g entsym/steer es restrain sS 1 0"],
        "group g must be that of compute es, which is all",
    ),
    "hard cutoff": ([HARD, FIX + "restrain Q6 1 0", "run 0"], "hard neighbor cutoff"),
    "hard cutoff, wall": ([HARD, FIX + "wall Q upper 0.3 5", "run 0"], "hard neighbor cutoff"),
    "hard cutoff, hills": (
        [HARD, FIX + "metad 1 0.1 300 width Q 0.01", "run 0"],
        "add 'smooth <width>' to the compute",
    ),
    "variable": (FIX + "restrain Q4 1 0", "variable 'Q4' must be sS or Q6"),
    "no bias": (FIX + "limit 5", "no bias is given; use restrain, wall or metad"),
    "unknown": (FIX + "pull sS 1 0", "unknown keyword 'pull'; use restrain"),
    "respa": ([FIX + "restrain sS 1 0", "run_style respa 1", "run 0"], "respa is not supported"),
    "dynamic group": (
        ["region r block 0 8 INF INF INF INF", "group d dynamic all region r",
         COMPUTE.replace("es all", "ds d"), "fix st d entsym/steer ds restrain sS 1 0", "run 0"],
        "group d is dynamic",
    ),
    # numbers
    "too few": (FIX + "restrain sS 1", "values of restrain are missing; use 'restrain"),
    "not a number": (FIX + "restrain sS x 0", "force constant = x must be a finite number"),
    "nan": (FIX + "restrain sS 1 nan", "centre = nan must be a finite number"),
    "negative": (FIX + "restrain sS -1 0", "force constant of sS = -1: must be finite, 0 or more"),
    "far": (FIX + "restrain sS 1 1e10", r"centre of sS = 1e\+10: must be from"),
    "wall side": (FIX + "wall sS above 1 1", "wall = 'above' must be upper or lower"),
    "twice": (FIX + "restrain sS 1 0 restrain sS 2 0", "restrain sS is given twice"),
    "move without restrain": (FIX + "move sS 1 0 0 10", "move sS needs a 'restrain sS"),
    "move backwards": (
        FIX + "restrain sS 1 0 move sS 1 1 10 5",
        "last step of the move of sS = 5: must not be before the first, 10",
    ),
    "no variable": (
        [FIX + "restrain sS v_none 0", "run 0"],
        "variable none must be defined and of style equal",
    ),
    "variable negative": (
        ["variable k equal -1", FIX + "restrain sS v_k 0", "run 0"],
        "force constant of sS = -1: must be finite",
    ),
    # hills
    "height": (FIX + "metad 1 0 300 width sS 1", "height of the hills = 0 must be above 0"),
    "sigma": (FIX + "metad 1 1 300 width sS -1", "width of the hills = -1 must be above 0"),
    "no width": (FIX + "metad 1 1 300", "width of the hills: none is given"),
    "steps": (FIX + "metad 0 1 300 width sS 1", "steps between hills = 0 must be a whole number"),
    "part of a step": (FIX + "metad 1.5 1 300 width sS 1", "steps between hills = 1.5 must be"),
    "temperature": (FIX + "metad 1 1 0 width sS 1", "temperature = 0 must be above 0"),
    "bias factor": (
        FIX + "metad 1 1 300 width sS 1 biasfactor 1",
        "bias factor = 1: must be above 1",
    ),
    "coarse grid": (
        FIX + "metad 1 1 300 width sS 1 grid sS 0.6",
        "grid spacing of sS = 0.6: must be from a twentieth to half",
    ),
    "grid of nothing": (
        FIX + "metad 1 1 300 width sS 1 grid Q 0.1",
        "grid Q6 needs the width of the hills",
    ),
    "width without metad": (FIX + "restrain sS 1 0 width sS 1", "width needs the keyword metad"),
    "walkers without file": (
        FIX + "metad 1 1 300 width sS 1 walkers h.* 5",
        "walkers needs a file of its own",
    ),
    "no folder": (
        [FIX + "metad 1 1 300 width sS 1 file no/such/hills", "run 0"],
        "file no/such/hills cannot be written: No such file",
    ),
    "minimization without energy": (
        [FIX + "restrain sS 1 0", "minimize 0 1e-3 5 5"],
        "add 'fix_modify st energy yes'",
    ),
    "limit": (
        [FIX + "restrain sS 1000 -1 limit 0.5", "run 0"],
        r"the bias pulls atom \d+ with a force of .*, the limit is 0.5",
    ),
    "atoms lost": (
        ["velocity all set 0 0 0", "change_box all boundary f f f", "displace_atoms all move 0 0 1",
         COMPUTE + " density 0.06", FIX + "restrain sS 1 0", "thermo_modify lost ignore",
         "group one id 1", "velocity one set -900 0 0", "fix 1 all nve", "run 200"],
        r"group all has \d+ atoms, it had 256 when",
    ),
    "huge grid": (
        [FIX + "metad 1 1e3 300 width sS 1e-6 width Q 1e-6 file h", "fix 1 all nve", "run 0",
         "velocity all create 600 1", "run 5"],
        "the grid of the hills would have .* nodes: use wider hills",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_wrong_input(lmp, make_structure, name, monkeypatch, tmp_path):
    """Each mistake is one line: which value, what is allowed, what to do."""
    monkeypatch.chdir(tmp_path)
    commands, message = WRONG[name]
    commands = [commands] if isinstance(commands, str) else commands
    if not any(line.startswith("compute es") for line in commands):
        commands = [COMPUTE, *commands]
    with pytest.raises(Exception, match=message):
        lmp(make_structure("fcc"), *commands, **LJ)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("rmax 5.0", "rmax 5.1"), "its hills are of rmax = 5, this bias has rmax = 5.1"),
        (("smooth 0.6", "smooth 0.5"), "smooth = 0.6, this bias has smooth = 0.5"),
        (("width sS 0.1", "width sS 0.2"), "width_sS = 0.1, this bias has width_sS = 0.2"),
        (("biasfactor 8", ""), "bias_factor = 8, this bias has bias_factor = inf"),
        ((" 600 ", " 500 "), "temperature = 600, this bias has temperature = 500"),
        (("es all", "es half"), "group = all, this bias has group = half"),
    ],
)
def test_hills_of_other_parameters(lmp, make_structure, tmp_path, change, message):
    """They are refused, both values are shown, and the file stays as it is."""
    path = tmp_path / "hills"
    fix = f"fix st all entsym/steer es {METAD} file {path}"
    lmp(make_structure("fcc"), COMPUTE, *MD, fix, "run 10", **LJ)
    text = path.read_text()
    compute, fix = COMPUTE.replace(*change), fix.replace(*change)
    if "half" in compute:
        fix = fix.replace("all", "half")
    with pytest.raises(Exception, match=message):
        lmp(make_structure("fcc"), "group half id 1:128", compute, *MD, fix, "run 10", **LJ)
    assert path.read_text() == text


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("10 -2.0 0.1", "is not a hill: must be step, sS, Q6 and height"),
        ("10 -2.0 0.1 0.3 5", "is not a hill"),
        ("10 -2.0 nan 0.3", "is not a hill"),
        ("10 -2.0 0.1 -0.3", "is not a hill"),
        ("", "line 6 '' is not a hill"),
    ],
)
def test_broken_line(lmp, make_structure, tmp_path, line, message):
    """A broken line with others behind it is an error, not dropped."""
    path = tmp_path / "hills"
    fix = f"fix st all entsym/steer es {METAD} file {path}"
    lmp(make_structure("fcc"), COMPUTE, *MD, fix, "run 10", **LJ)
    with path.open("a") as file:
        file.write(f"{line}\n15 -2.0 0.1 0.3\n")
    with pytest.raises(Exception, match=message):
        lmp(make_structure("fcc"), COMPUTE, *MD, fix, "run 10", **LJ)


def test_other_file(lmp, make_structure, tmp_path):
    """A file that is not of hills is left alone; one run at a time writes to a file."""
    path = tmp_path / "hills"
    path.write_text("a letter\n")
    fix = f"fix st all entsym/steer es {METAD} file {path}"
    with pytest.raises(Exception, match="its first line is not '# entsym hills'"):
        lmp(make_structure("fcc"), COMPUTE, *MD, fix, "run 10", **LJ)
    assert path.read_text() == "a letter\n"
    path.unlink()
    second = fix.replace("fix st", "fix two")
    with pytest.raises(Exception, match="another run or fix is writing to it"):
        lmp(make_structure("fcc"), COMPUTE, *MD, fix, second, "run 10", **LJ)


def test_other_compute_between_runs(lmp, make_structure):
    instance = lmp(
        make_structure("fcc"), COMPUTE, FIX + "restrain sS 1 -2", "run 0", "uncompute es", **LJ
    )
    with pytest.raises(Exception, match="compute es is not defined"):
        instance.command("run 0")
    instance.command(COMPUTE.replace("rmax 5.0", "rmax 4.5"))
    message = "the bias was started with rmax = 5, compute es has rmax = 4.5"
    with pytest.raises(Exception, match=message):
        instance.command("run 0")
