# SPDX-License-Identifier: BSD-3-Clause
"""fix entsym/steer: forces, virial, energy, work, hills, restarts, and each error."""

import numpy as np
import pytest

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
        "dump d all custom 5 run.dump id fx fy fz", "dump_modify d format float %.17g", "run 5",
        'print "RESULT v $(f_st:%.16g) $(f_st[1]:%.16g) $(f_st[2]:%.16g) $(f_st[7]:%.16g) '
        '$(pe:%.16g) $(press:%.16g) $(pxy:%.16g)"',
    ]  # fmt: skip
    found = []
    for ranks, newton in ((1, "on"), (2, "on"), (4, "on"), (2, "off")):
        _, values = run_deck(f"newton {newton}\n" + deck(*lines, compute=""), ranks)
        found.append((values["v"], read_dump("run.dump")))
    for values, forces in found[1:]:
        np.testing.assert_allclose(values, found[0][0], rtol=1e-12 * 50, atol=1e-10)
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
        "run 200", "reset_timestep 0", f"fix st all entsym/steer es {restrain}", "fix_modify st energy yes", "run 0 post no", **EAM,
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


def test_rerun(make_structure, run_deck, tmp_path):
    """A rerun gives the energies of the run, with the hills that the file has, and adds none."""
    make_structure("fcc").write(tmp_path / "structure.data")
    steer = "fix st all entsym/steer es {} metad {} 0.2 600 width sS 0.1 file hills"
    values = 'print "RESULT v{} $(f_st:%.14g) $(f_st[1]:%.14g) $(f_st[8]:%.14g)"'
    run_deck(deck(*MD, steer.format("restrain Q 300 0.2", 5), "run 50"))
    hills = (tmp_path / "hills").read_text()
    fix = steer.format("restrain Q 300 0.2", 1)
    _, first = run_deck(deck(
        *MD, fix.replace("metad 1 ", "metad 1000 "), "dump d all custom 10 run.dump id x y z vx vy vz",
        "dump_modify d format float %.17g", "run 30", values.format("a"), "unfix st", fix,
        "rerun run.dump dump x y z vx vy vz", values.format("b"),
    ))  # fmt: skip
    np.testing.assert_allclose(first["va"], first["vb"], rtol=1e-9)
    assert (tmp_path / "hills").read_text() == hills
