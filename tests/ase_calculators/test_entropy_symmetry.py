# SPDX-License-Identifier: BSD-3-Clause
"""The ASE calculator: names, caching, selections, batches, errors."""

import copy
import doctest
import json
import pickle

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.calculator import PropertyNotImplementedError
from ase.io import read, write

from ase_calculators import EntropySymmetry, entropy_symmetry
from cython_core import Kernel
from cython_core.reference import Reference

PARAMETERS = dict(rmax=4.5, sigma=0.25, q6_cutoff=3.5)
SCALARS = ("sS", "Q6")
PER_ATOM = ("local_sS", "local_q6", "mean_sS", "mean_q6", "n_neighbors")
VECTORS = ("sS_gradient", "Q6_gradient")
TENSORS = ("sS_strain_gradient", "Q6_strain_gradient")


@pytest.fixture
def calc():
    return EntropySymmetry(**PARAMETERS)


@pytest.fixture
def alloy():
    """Return rattled rock salt: 16 Na and 16 Cl, in mixed order."""
    atoms = bulk("NaCl", "rocksalt", a=5.0, cubic=True) * (2, 2, 1)
    atoms.rattle(0.15, seed=4)
    return atoms[np.random.default_rng(4).permutation(len(atoms))]


def test_doctests():
    assert doctest.testmod(entropy_symmetry).failed == 0


def test_properties_equal_the_oracle(structure):
    atoms, density = structure
    calc = EntropySymmetry(**PARAMETERS, smooth=0.3, number_density=density)
    oracle = Reference(**PARAMETERS, smooth=0.3)
    local, gradients = oracle.local(*structure.arguments), oracle.gradients(*structure.arguments)
    expected = {
        "sS": gradients["sS"], "Q6": gradients["Q"],
        "local_sS": local["sS"], "local_q6": local["Q"],
        "mean_sS": local["mean_sS"], "mean_q6": local["mean_Q"],
        "n_neighbors": local["n_neighbors"],
        "sS_gradient": gradients["sS_gradient"], "Q6_gradient": gradients["Q_gradient"],
        "sS_strain_gradient": gradients["sS_strain_gradient"],
        "Q6_strain_gradient": gradients["Q_strain_gradient"],
        "radial_distribution": np.column_stack(
            [oracle.r, *oracle.radial_distribution(*structure.arguments)]
        ),
    }  # fmt: skip
    assert set(expected) == set(calc.implemented_properties)
    for name, value in expected.items():
        new = calc.get_property(name, atoms)
        assert np.shape(new) == np.shape(value)
        # the polynomials of the kernel; test_oracle.py is the precise test
        scale = np.abs(value).max() + 1
        np.testing.assert_allclose(new, value, rtol=0, atol=1e-7 * scale, err_msg=name)


def test_symmetries(alloy, assert_symmetries):
    names = (*SCALARS, *PER_ATOM, *VECTORS, *TENSORS)
    for elements in (None, "Na"):
        calc = EntropySymmetry(**PARAMETERS, elements=elements)

        def values(atoms, calc=calc):
            return {name: calc.get_property(name, atoms) for name in names}

        # the self images lie where the kernel's table of slopes steps by 1e-8 of its height
        assert_symmetries(values, alloy, rtol=1e-8)


def test_caching(calc, monkeypatch):
    """Nothing is calculated twice for the same atoms; after a change it is calculated again."""
    atoms = bulk("Al", "fcc", a=4.05, cubic=True)
    atoms.rattle(0.1, seed=1)
    atoms.calc = calc
    calls = []
    calculate = EntropySymmetry.calculate
    monkeypatch.setattr(
        EntropySymmetry, "calculate", lambda self, *a: (calls.append(a), calculate(self, *a))[1]
    )
    first = calc.get_property("sS", atoms)
    assert calc.get_property("Q6", atoms) == calc.results["Q6"]
    assert calc.get_property("sS") == first
    assert len(calls) == 1
    gradient = calc.get_property("sS_gradient", atoms)
    calc.get_property("Q6_strain_gradient", atoms)
    assert len(calls) == 2
    assert calc.get_property("sS", atoms) == first and len(calls) == 2

    # a result that the caller spoils is not spoilt for the next
    gradient[:] = 0
    assert np.abs(calc.get_property("sS_gradient", atoms)).max() > 0

    atoms.set_initial_charges([1, 0, 0, -1])
    calc.get_property("sS", atoms)
    assert len(calls) == 2
    for change in (
        lambda: atoms.rattle(0.01, seed=2),
        lambda: atoms.set_cell(atoms.cell * 1.01),
        lambda: atoms.set_pbc([True, True, False]),
    ):
        before = calc.get_property("sS", atoms)
        change()
        if not atoms.pbc.all():
            calc.set(number_density=0.06)
        assert calc.get_property("sS", atoms) != before
    assert calc.get_property("sS", atoms, allow_calculation=False) is not None
    atoms.rattle(0.01, seed=3)
    assert calc.get_property("sS", atoms, allow_calculation=False) is None


def test_calculate_itself_forgets_the_structure_before(calc, structures):
    """`calculate` always calculates, as in ASE; `get_property` keeps results."""
    one, other = (structures[name].atoms for name in ("fcc", "triclinic"))
    expected = calc.get_property("sS", other)
    calc.calculate(one)
    assert calc.results["sS"] != expected
    calc.calculate(other)
    assert calc.results["sS"] == expected


def test_atoms_are_not_modified(calc, alloy):
    before = alloy.copy()
    for name in calc.implemented_properties:
        calc.get_property(name, alloy)
    calc.evaluate([alloy])
    assert alloy == before


@pytest.mark.parametrize("degree", [2, 4, 8, 10, 12])
def test_names_carry_the_degree(degree):
    atoms = bulk("Al", "fcc", a=4.05, cubic=True)
    atoms.rattle(0.1, seed=1)
    calc = EntropySymmetry(**PARAMETERS, degree=degree)
    oracle = Reference(**PARAMETERS, degree=degree)
    arguments = atoms.positions, atoms.cell.array, atoms.pbc
    assert calc.get_property(f"Q{degree}", atoms) == pytest.approx(oracle.evaluate(*arguments)[1])
    for name, key in ((f"local_q{degree}", "Q"), (f"mean_q{degree}", "mean_Q")):
        np.testing.assert_allclose(calc.get_property(name, atoms), oracle.local(*arguments)[key])
    assert list(calc.evaluate([atoms])) == ["sS", f"Q{degree}"]
    for name in ("Q6", "local_q6", "Q6_gradient"):
        with pytest.raises(
            PropertyNotImplementedError, match=f"{name!r}: with degree = {degree} .*Q{degree}"
        ):
            calc.get_property(name, atoms)


def test_standard_properties_are_not_there(calc):
    atoms = bulk("Al", "fcc", a=4.05)
    atoms.calc = calc
    with pytest.raises(PropertyNotImplementedError, match="'energy'"):
        atoms.get_potential_energy()


def test_elements(alloy):
    """Selected atoms count as if the others were not there, and these have zeros."""
    sodium = alloy.numbers == 11
    selected = EntropySymmetry(**PARAMETERS, elements="Na", smooth=0.2)
    alone = EntropySymmetry(**PARAMETERS, smooth=0.2)
    for name in (*SCALARS, *TENSORS, "radial_distribution"):
        new, old = (c.get_property(name, a) for c, a in ((selected, alloy), (alone, alloy[sodium])))
        np.testing.assert_array_equal(new, old)
    for name in (*PER_ATOM, *VECTORS):
        new, old = (c.get_property(name, a) for c, a in ((selected, alloy), (alone, alloy[sodium])))
        assert len(new) == len(alloy)
        np.testing.assert_array_equal(new[sodium], old)
        assert (new[~sodium] == 0).all()
    assert selected.evaluate([alloy])["sS"][0] == selected.get_property("sS", alloy)
    both = EntropySymmetry(**PARAMETERS, elements=["Cl", "Na"], smooth=0.2)
    for name in (*SCALARS, *PER_ATOM):
        np.testing.assert_array_equal(
            both.get_property(name, alloy), alone.get_property(name, alloy)
        )


def test_elements_change_with_the_numbers(alloy):
    """Exchanging two elements counts as a change of the structure."""
    calc = EntropySymmetry(**PARAMETERS, elements="Na")
    before = calc.get_property("sS", alloy)
    alloy.numbers = alloy.numbers[::-1]
    assert calc.get_property("sS", alloy) != before


def test_number_density(structures):
    """A slab in vacuum needs the density of its bulk."""
    atoms = structures["slab"].atoms
    values = [
        EntropySymmetry(**PARAMETERS, number_density=density).get_property("sS", atoms)
        for density in (0.05, 0.06)
    ]
    assert values[0] != values[1]
    atoms.pbc = True
    given = EntropySymmetry(**PARAMETERS, number_density=len(atoms) / atoms.cell.volume)
    free = EntropySymmetry(**PARAMETERS)
    assert given.get_property("sS", atoms) == pytest.approx(free.get_property("sS", atoms))


def test_evaluate_equals_single(structures, monkeypatch):
    frames = [structure.atoms for structure in structures.values()] * 3
    calc = EntropySymmetry(**PARAMETERS, number_density=0.05)
    expected = {name: [calc.get_property(name, a) for a in frames] for name in SCALARS}
    for threads in (1, 2):
        calc.set(threads=threads)
        for n_frames, n_atoms in ((1024, 1_000_000), (7, 1_000_000), (1024, 50)):
            monkeypatch.setattr(entropy_symmetry, "FRAMES_PER_BATCH", n_frames)
            monkeypatch.setattr(entropy_symmetry, "ATOMS_PER_BATCH", n_atoms)
            for source in (frames, tuple(frames), iter(frames)):
                values = calc.evaluate(source)
                assert list(values) == list(SCALARS)
                for name in SCALARS:
                    assert values[name].dtype == float and values[name].flags.c_contiguous
                    assert values[name].tolist() == expected[name]
    assert calc.evaluate([])["sS"].shape == (0,)


def test_evaluate_follows_a_moving_object(calc):
    """A generator may yield one object that it moves."""

    def run():
        atoms = bulk("Al", "fcc", a=4.05, cubic=True)
        for seed in range(5):
            atoms.rattle(0.05, seed=seed)
            atoms.set_cell(atoms.cell * 1.01, scale_atoms=True)
            yield atoms

    expected = [calc.get_property("sS", atoms.copy()) for atoms in run()]
    assert calc.evaluate(run())["sS"].tolist() == expected


def test_parameters_travel(calc):
    atoms = bulk("Al", "fcc", a=4.05)
    parameters = calc.todict()
    assert parameters == {
        "rmax": 4.5, "sigma": 0.25, "dr": 0.0625, "q6_cutoff": 3.5, "degree": 6, "smooth": 0.0,
        "elements": None, "number_density": None,
    }  # fmt: skip
    value = calc.get_property("sS", atoms)
    for other in (
        EntropySymmetry(**parameters),
        pickle.loads(pickle.dumps(calc)),
        copy.deepcopy(calc),
    ):
        assert other.todict() == parameters
        assert other.get_property("sS", atoms) == value


def test_files_of_ase_take_the_calculator(calc, tmp_path):
    """Atoms with the calculator can be written in every format that asks it for results."""
    atoms = bulk("Al", "fcc", a=4.05)
    atoms.calc = calc
    calc.get_property("sS", atoms)
    for name in ("a.traj", "a.extxyz", "a.json"):
        write(tmp_path / name, atoms)
        assert len(read(tmp_path / name)) == 1


def test_set(calc):
    atoms = bulk("Al", "fcc", a=4.05, cubic=True)
    atoms.rattle(0.1, seed=1)
    before = calc.get_property("sS", atoms)
    assert calc.set(sigma=0.25) == {}
    assert "sS" in calc.results
    assert calc.set(sigma=0.2) == {"sigma": 0.2}
    assert calc.results == {} and calc.todict()["dr"] == 0.05
    after = calc.get_property("sS", atoms)
    assert after != before
    with pytest.raises(ValueError, match="sigma = -1"):
        calc.set(sigma=-1.0, rmax=3.0)
    assert calc.parameters["rmax"] == 4.5 and calc.get_property("sS", atoms) == after
    with pytest.raises(TypeError, match="cutoff: no such parameter; choose from rmax, sigma"):
        calc.set(cutoff=3.0)


BAD_PARAMETERS = {
    "rmax": (dict(rmax=-1.0), "rmax = -1"),
    "sigma": (dict(sigma=float("nan")), "sigma = nan"),
    "q6_cutoff": (dict(q6_cutoff=0.0), "q6_cutoff = 0"),
    "dr": (dict(dr=0.3), "dr = 0.3"),
    "odd-degree": (dict(degree=5), "degree = 5"),
    "large-degree": (dict(degree=14), "degree = 14"),
    "smooth": (dict(smooth=4.0), "smooth = 4"),
    "density": (
        dict(number_density=-0.1),
        "number_density = -0.1: must be a finite number",
    ),
    "density-nan": (dict(number_density=float("nan")), "number_density = nan"),
    "threads": (dict(threads=0), "threads = 0: must be a whole number"),
    "no-elements": (dict(elements=()), r"elements = \(\): no atom counts; name an element"),
    "many-threads": (dict(threads=1025), "threads = 1025: must be a whole number from 1 to 1024"),
    "degree-nan": (dict(degree=float("nan")), "degree = nan: must be one of 2, 4, 6, 8, 10, 12"),
    "degree-fraction": (dict(degree=6.5), "degree = 6.5: must be one of"),
    "bad-element": (dict(elements=["Si", "Unobtainium"]), "'Unobtainium' is not a chemical symbol"),
}


@pytest.mark.parametrize("case", BAD_PARAMETERS)
def test_bad_parameters(case):
    change, text = BAD_PARAMETERS[case]
    with pytest.raises(ValueError, match=rf"^[^\n]*{text}[^\n]*$"):
        EntropySymmetry(**{**PARAMETERS, **change})


NUMBERS = ["rmax", "sigma", "q6_cutoff", "smooth", "degree"]
NO_NUMBERS = [(n, v) for n in (*NUMBERS, "dr", "number_density") for v in ("8", [1.0, 2.0])]


# None asks for the default of dr and number_density
@pytest.mark.parametrize(("name", "value"), NO_NUMBERS + [(n, None) for n in NUMBERS])
def test_parameters_that_are_no_number(name, value):
    with pytest.raises(TypeError, match=rf"^{name} = [^\n]*: must be a number; it is a "):
        EntropySymmetry(**{**PARAMETERS, name: value})


def test_elements_that_are_no_symbols():
    with pytest.raises(TypeError, match="^elements = 13: must be symbols"):
        EntropySymmetry(**PARAMETERS, elements=13)


def test_numbers_of_any_type_can_be_written():
    calc = EntropySymmetry(
        np.float32(8), 0.25, 3, degree=np.int64(4), number_density=np.float32(0.05), threads=1
    )
    assert json.loads(json.dumps(calc.todict())) == calc.todict()
    assert calc.value_names == ("sS", "Q4")


@pytest.mark.parametrize("missing", PARAMETERS)
def test_required_parameters(missing):
    with pytest.raises(TypeError, match=missing):
        EntropySymmetry(**{name: v for name, v in PARAMETERS.items() if name != missing})


def _broken(kind):
    atoms = bulk("Al", "fcc", a=4.05, cubic=True)
    if kind == "nan":
        atoms.positions[2, 1] = np.nan
    elif kind == "singular-cell":
        atoms.cell[2] = atoms.cell[1]
    elif kind == "no-cell":
        atoms.cell[:] = 0
    elif kind == "aperiodic":
        atoms.pbc = True, False, True
    elif kind == "no-atoms":
        atoms = atoms[:0]
    return atoms


BAD_STRUCTURES = {
    "nan": "finite", "singular-cell": "cell", "no-cell": "cell",
    "aperiodic": "density", "no-atoms": "atom",
}  # fmt: skip


@pytest.mark.parametrize("kind", BAD_STRUCTURES)
def test_bad_structures(calc, kind):
    text = BAD_STRUCTURES[kind]
    for name in ("sS", "local_q6", "Q6_gradient", "radial_distribution"):
        with pytest.raises(ValueError, match=rf"^[^\n]*{text}[^\n]*$"):
            calc.get_property(name, _broken(kind))
    good = bulk("Al", "fcc", a=4.05)
    with pytest.raises(ValueError, match=rf"^frame 3: [^\n]*{text}[^\n]*$"):
        calc.evaluate([good, good, good, _broken(kind), good])


def test_broken_atom_among_selected_ones(calc, alloy):
    """The message counts all atoms, not the selected ones; the others may be anywhere."""
    calc.set(elements="Na")
    number = np.flatnonzero(alloy.symbols == "Na")[-1]
    other = alloy.copy()
    other.positions[alloy.symbols == "Cl"] = np.nan
    assert calc.get_property("sS", other) == calc.get_property("sS", alloy)
    alloy.positions[number] = np.inf
    for name in ("sS", "local_q6"):
        with pytest.raises(ValueError, match=f"^positions: atom {number} is not finite; remove"):
            calc.get_property(name, alloy)
    with pytest.raises(ValueError, match=f"^frame 1: positions: atom {number} is not finite"):
        calc.evaluate([other, alloy])


def test_frames_are_counted_over_batches(calc, monkeypatch):
    monkeypatch.setattr(entropy_symmetry, "FRAMES_PER_BATCH", 4)
    good = bulk("Al", "fcc", a=4.05)
    with pytest.raises(ValueError, match=r"^frame 9: .*finite"):
        calc.evaluate([good] * 9 + [_broken("nan")])
    silicon = EntropySymmetry(**PARAMETERS, elements="Al")
    with pytest.raises(ValueError, match=r"^frame 6: elements: Al is not in the structure"):
        silicon.evaluate([good] * 6 + [bulk("Si")])


def test_missing_elements(calc, alloy):
    calc.set(elements=["Na", "Si"])
    text = "elements: Si is not in the structure, which has Cl, Na; name elements"
    with pytest.raises(ValueError, match=text):
        calc.get_property("sS", alloy)
    with pytest.raises(ValueError, match="which has no atoms"):
        calc.get_property("sS", Atoms(cell=[4, 4, 4], pbc=True))


def test_single_atom_is_too_few(calc):
    calc.set(number_density=0.05)
    with pytest.raises(ValueError, match="atom"):
        calc.get_property("sS", Atoms("Al"))


def test_one_structure_is_no_iterable(calc):
    with pytest.raises(TypeError, match=r"frames: .* pass \[atoms\]"):
        calc.evaluate(bulk("Al"))


def test_coincident_atoms_have_a_value(calc, structures):
    """Coincident atoms are a pair at r = 0 and not neighbours; see the class."""
    atoms = structures["coincident"].atoms
    for name in calc.implemented_properties:
        assert np.isfinite(calc.get_property(name, atoms)).all(), name


def test_kernel_is_the_public_one(calc):
    assert isinstance(calc.kernel, Kernel)
    assert calc.kernel.parameters["sigma"] == 0.25


def test_frames_must_be_atoms():
    with pytest.raises(TypeError, match=r"^frame 1: must be ase\.Atoms, is str$"):
        EntropySymmetry(5.0, 0.25, 3.5).evaluate([bulk("Al"), "run.dump"])
