# SPDX-License-Identifier: BSD-3-Clause
"""Every message of the plugin: it names keyword, value, range and remedy."""

import numpy as np
import pytest

STYLES = pytest.mark.parametrize("style", ["entsym", "entsym/atom"])
NAMES = [("e", "entsym"), ("a", "entsym/atom")]

ARGUMENTS = {
    "unknown keyword": (
        {"cutoff": 3.0},
        "unknown keyword 'cutoff'; use rmax, sigma, dr, q6cut, degree, density or smooth",
    ),
    "word for a length": ({"rmax": "long"}, "rmax = long must be a positive length; use about"),
    "nan": ({"rmax": "nan"}, "rmax = nan must be a positive length; use about four"),
    "infinite": ({"sigma": "inf"}, "sigma = inf must be a positive length; use about a twent"),
    "trailing text": ({"sigma": "0.2A"}, "sigma = 0.2A must be a positive length; use about"),
    "negative": ({"q6cut": -3.4}, "q6cut = -3.4 must be a positive length; use the first minimum"),
    "zero": ({"rmax": 0}, "rmax = 0 must be a positive length"),
    "zero dr": ({"dr": 0}, "dr = 0 must be a positive length; use at most sigma, or no dr"),
    "negative smooth": ({"smooth": -1}, "smooth = -1 must be a non-negative length; use 0 for"),
    "wide smooth": ({"smooth": 4}, "smooth = 4 must be from 0 to q6cut = 3.4; use less"),
    "odd degree": ({"degree": 5}, "degree = 5 must be 2, 4, 6, 8, 10 or 12; leave it out for 6"),
    "large degree": ({"degree": 14}, "degree = 14 must be 2, 4, 6, 8, 10 or 12"),
    "broken degree": ({"degree": 6.5}, "degree = 6.5 must be 2, 4, 6, 8, 10 or 12"),
    "density word": ({"density": "cell"}, "density = cell must be 'box' or a positive number of"),
    "negative density": ({"density": -1}, "density = -1 must be 'box' or a positive number of"),
    "huge density": (
        {"density": 1e200},
        "number_density = 1e+200: must be a finite number of",
    ),
    "tiny density": ({"density": 1e-200}, "per volume from 1e-100 to 1e+100"),
    "no rmax": ({"rmax": None}, "keyword rmax is missing: a positive length is needed; use about"),
    "no sigma": ({"sigma": None}, "keyword sigma is missing: a positive length is needed"),
    "no q6cut": ({"q6cut": None}, "keyword q6cut is missing: a positive length is needed"),
    "dr above sigma": ({"dr": 0.3}, "dr = 0.3"),
}


@STYLES
@pytest.mark.parametrize(("changes", "message"), ARGUMENTS.values(), ids=ARGUMENTS)
def test_arguments(lmp, make_structure, keywords, style, changes, message):
    instance = lmp(make_structure("fcc"))
    with pytest.raises(Exception, match="(?s).*") as error:
        instance.command(f"compute bad all {style} {keywords(**changes)}")
    text = " ".join(str(error.value).split())
    assert f"Compute {style} bad: " in text
    assert message in text


@STYLES
def test_missing_value(lmp, make_structure, style):
    instance = lmp(make_structure("fcc"))
    with pytest.raises(Exception, match="keyword sigma has no value; give one or leave it out"):
        instance.command(f"compute bad all {style} rmax 5.0 sigma")


def test_skin_of_another_world(lmp, keywords):
    """The default skin of units si, a millimetre, would need ghosts a million boxes away."""
    metre = {"rmax": 6e-10, "sigma": 2e-11, "q6cut": 3.4e-10}
    commands = ["units si", "region b block 0 1e-9 0 1e-9 0 1e-9", "create_box 1 b", "mass 1 1e-26",
                "create_atoms 1 random 20 1 NULL", f"compute e all entsym {keywords(**metre)}",
                "thermo_style custom step c_e[1]"]  # fmt: skip
    with pytest.raises(Exception, match="neighbor skin 0.001 is more than 100 times the cutoff"):
        lmp(None, *commands, "run 0")


@STYLES
def test_two_dimensions(lmp, style, keywords):
    commands = ["dimension 2", "region b block 0 9 0 9 -1 1", "create_box 1 b"]
    with pytest.raises(Exception, match="dimension 2 is not supported; use 'dimension 3'"):
        lmp(None, *commands, f"compute bad all {style} {keywords()}")


def one_value(style):
    """Return commands for thermo output that uses the compute named bad."""
    if style == "entsym":
        return ["thermo_style custom step c_bad[1]"]
    return ["compute sum all reduce sum c_bad[1]", "thermo_style custom step c_sum"]


@STYLES
@pytest.mark.parametrize(
    ("group", "message"),
    [
        ("group some empty", "group some has 0 atoms, at least 1 is needed; use another group"),
        ("group some id 1:8", "density = box needs a box that is periodic in x, y and z; give "
         "'density <number>' in atoms per volume"),
    ],
    ids=["empty group", "no density"],
)  # fmt: skip
def test_selection(lmp, make_structure, keywords, style, group, message):
    structure = make_structure("fcc")
    if "density" in message:
        structure.pbc[2] = False
        structure.cell[2, 2] += 2.0
    commands = [group, f"compute bad some {style} {keywords()}", *one_value(style)]
    with pytest.raises(Exception, match="(?s).*") as error:
        lmp(structure, *commands, "run 0")
    assert message in str(error.value)


@STYLES
def test_single_atom_without_images(lmp, make, keywords, style):
    structure = make([(5.0, 5.0, 5.0)], 10 * np.eye(3), pbc=(False, False, False))
    compute = f"compute bad all {style} {keywords(density=0.1)}"
    with pytest.raises(Exception, match="group all has 1 atoms, at least 2 are needed"):
        lmp(structure, compute, *one_value(style), "run 0")


@STYLES
def test_multi_communication(lmp, make_structure, keywords, style):
    """In mode multi LAMMPS cuts ghosts off by type; cutoff = 5 + 5 * 0.2, skin 2."""
    compute = f"compute bad all {style} {keywords()}"
    multi = ["neighbor 2.0 multi", "comm_modify mode multi"]
    instance = lmp(make_structure("rocksalt"), *multi, compute)
    with pytest.raises(Exception, match="use 'comm_modify mode single cutoff 8'"):
        instance.command("run 0")
    instance.commands_list(["comm_modify mode single cutoff 8", "run 0"])


@STYLES
def test_cutoff_of_many_boxes(lmp, make_structure, keywords, style):
    """Ghosts up to 300 + 5 * 0.2 + 2 of an atom in 2.7^3: (1 + 606 / 2.7)^3 = 1.15e7, 3 GB."""
    compute = f"compute bad all {style} {keywords(rmax=300)}"
    with pytest.raises(Exception, match="(?s).*") as error:
        lmp(make_structure("one atom"), compute, *one_value(style), "run 0")
    text = " ".join(str(error.value).split())
    assert f"Compute {style} bad: cell: 1 atoms with a cutoff of 303 have 1.15e+07" in text
    assert "shorten rmax" in text
    assert "or allow more with ENTSYM_LIMIT=3.01 in the environment" in text


@STYLES
def test_short_communication(lmp, make_structure, keywords, style):
    """A cutoff made smaller takes effect where a run without init meets a changing box."""
    compute = f"compute bad all {style} {keywords()}"
    deform = ["fix 1 all deform 1 x scale 1.001", "neigh_modify every 1 delay 0 check no"]
    instance = lmp(make_structure("fcc"), compute, *deform, *one_value(style), "thermo 1", "run 0")
    instance.command("comm_modify cutoff 4")
    with pytest.raises(Exception, match="(?s).*") as error:
        instance.command("run 1 pre no")
    assert (
        f"Compute {style} bad: communication cutoff 5 is too short, 6 is needed; "
        "add 'comm_modify cutoff 8' before the run" in str(error.value)
    )


@STYLES
def test_positions_not_finite(lmp, make_structure, keywords, style):
    compute = f"compute bad all {style} {keywords()}"
    instance = lmp(make_structure("fcc"), compute, *one_value(style), "run 0")
    instance.numpy.extract_atom("x")[7, 1] = np.nan
    instance.command("neigh_modify every 100 delay 100 check no")
    with pytest.raises(Exception, match=r"position \(\S+ -?nan \S+\) of atom \d+ must be finite"):
        instance.command("run 1 pre no")


def test_not_initialized(lmp, make_structure, keywords):
    instance = lmp(make_structure("fcc"), "run 0", f"compute bad all entsym {keywords()}")
    with pytest.raises(Exception, match="before initialization by a run|not initialized"):
        instance.command("print $(c_bad[1])")


def test_kernel_errors_carry_the_name_of_the_compute(lmp, make_structure, keywords):
    with pytest.raises(Exception, match="Compute entsym bad: .*dr"):
        lmp(make_structure("fcc"), f"compute bad all entsym {keywords(dr=0.3)}")
