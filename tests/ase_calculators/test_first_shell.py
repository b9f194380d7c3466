# SPDX-License-Identifier: BSD-3-Clause
"""Parameters suggested for a material: first shells of crystals, melts, glasses, compounds."""

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, make_supercell
from ase.io import read
from ase.neighborlist import neighbor_list
from ase.spacegroup import crystal
from lammps import lammps

from ase_calculators import EntropySymmetry
from ase_calculators.first_shell import first_shell

SI216 = Path(__file__).parents[1] / "reference" / "si216"


def shell_of(*frames):
    return first_shell([(a.positions, a.cell.array, a.pbc) for a in frames])


def rattled(atoms, amount, repeat=1):
    atoms = atoms * repeat
    atoms.rattle(amount, seed=1)
    return atoms


def perovskite():
    """MgSiO3, Pnma; Horiuchi, Ito, Weidner, Am. Mineral. 72, 357 (1987)."""
    sites = [(0.556, 0.25, 0.5141), (0.5, 0, 0), (0.466, 0.25, 0.1028), (0.2014, 0.5531, 0.1961)]
    cell = [4.9292, 6.8969, 4.7754, 90, 90, 90]
    return crystal(["Mg", "Si", "O", "O"], sites, spacegroup=62, cellpar=cell)


def ice():
    """Cubic ice: oxygen as silicon in diamond, a hydrogen on each bond, 0.97 Å from one end."""
    oxygen = bulk("O", "diamond", a=6.35, cubic=True)
    i, j, bonds = neighbor_list("ijD", oxygen, 3.0)
    one_way = (i < j) | ((i == j) & (bonds[:, 2] > 0))
    hydrogen = oxygen.positions[i] + 0.97 * bonds / np.linalg.norm(bonds, axis=1)[:, None]
    atoms = oxygen + Atoms(f"H{one_way.sum()}", hydrogen[one_way])
    atoms.wrap()
    return atoms


IDEAL = {
    # structure, neighbours of the first shell, last distance inside, first distance outside
    "fcc": (bulk("Al", "fcc", a=4.05, cubic=True), 12, 2.864, 4.05),
    "fcc-primitive": (bulk("Al", "fcc", a=4.05), 12, 2.864, 4.05),
    "bcc-both-shells": (bulk("Fe", "bcc", a=2.87, cubic=True), 14, 2.87, 4.059),
    "hcp": (bulk("Zr", "hcp", a=3.23, c=5.15), 12, 3.23, 4.52),
    "hcp-far-from-ideal": (bulk("Zn", "hcp", a=2.66, c=4.95), 12, 2.913, 3.76),
    "diamond": (bulk("C", "diamond", a=3.567, cubic=True), 4, 1.545, 2.522),
    "diamond-2-atoms": (bulk("Si", "diamond", a=5.431), 4, 2.352, 3.840),
    "rocksalt": (bulk("NaCl", "rocksalt", a=5.64, cubic=True), 6, 2.82, 3.988),
    "B2": (bulk("NiAl", "cesiumchloride", a=2.89), 14, 2.89, 4.087),
    "simple-cubic": (bulk("Po", "sc", a=3.35), 6, 3.35, 4.738),
    "lj-units": (bulk("Ar", "fcc", a=1.7), 12, 1.202, 1.7),
}


@pytest.mark.parametrize("name", IDEAL)
def test_ideal_crystals_end_between_their_shells(name):
    atoms, coordination, last, first_outside = IDEAL[name]
    shell = shell_of(atoms)
    assert last < shell.end < first_outside
    assert shell.coordination == pytest.approx(coordination, abs=0.01)


# thermal displacements near the melting point are about a tenth of the neighbour distance: 0.17 of
# it per pair. Within 1: a few neighbours cross the end of the shell.
@pytest.mark.parametrize("name", ["fcc", "bcc-both-shells", "hcp", "diamond", "B2"])
def test_hot_crystals_keep_their_coordination(name):
    atoms, coordination, _, _ = IDEAL[name]
    distance = shell_of(atoms).distance
    hot = rattled(atoms, 0.06 * distance, repeat=4)
    assert shell_of(hot).coordination == pytest.approx(coordination, abs=1)


MELTS = {
    # pair style and potential, crystal, temperature K (about 1.3 times melting), neighbours
    # between which measured and calculated liquids lie: Waseda, The Structure of Non-Crystalline
    # Materials (1980), has 11.5 for Al, 10.6 for Fe, 11.9 for Zr and 6.4 for Si, for which this
    # potential gives 8.1 (Stillinger, Weber, Phys. Rev. B 31, 5262 (1985))
    "Al": ("eam/fs", "Al_mm.eam.fs", bulk("Al", "fcc", a=4.2, cubic=True) * 4, 1300, (11, 13.5)),
    "Fe": ("eam/fs", "Fe_mm.eam.fs", bulk("Fe", "bcc", a=2.98, cubic=True) * 5, 2400, (11, 14)),
    "Zr": ("eam/fs", "Zr_mm.eam.fs", bulk("Zr", "hcp", a=3.3, c=5.3) * (5, 5, 4), 2700, (11, 14)),
    "Si": ("sw", "Si.sw", bulk("Si", "diamond", a=5.35, cubic=True) * 3, 2200, (6, 9.5)),
}


def melt(style, file, atoms, temperature):
    """Return frames of a melt: 2 ps at twice the temperature and 3 ps at it, NVT in LAMMPS."""
    atoms = make_supercell(atoms, [[1, 0, 0], [0, 1, 0], [0, 0, 1]])
    (xx, _, _), (xy, yy, _), (xz, yz, zz) = atoms.cell.standard_form()[0]
    lmp = lammps(cmdargs=["-log", "none", "-screen", "none"])
    symbol = atoms.symbols[0]
    lmp.commands_string(f"""
        units metal
        atom_modify map array
        region box prism 0 {xx} 0 {yy} 0 {zz} {xy} {xz} {yz}
        create_box 1 box
        mass 1 {atoms.get_masses()[0]}
    """)
    standard = atoms.get_scaled_positions() @ atoms.cell.standard_form()[0].array
    n = len(atoms)
    lmp.create_atoms(n, list(range(1, n + 1)), [1] * n, standard.ravel().tolist())
    lmp.commands_string(f"""
        pair_style {style}
        pair_coeff * * {file} {symbol}
        velocity all create {2 * temperature} 1
        timestep 0.002
        fix nvt all nvt temp {2 * temperature} {2 * temperature} 0.1
        run 1000
        unfix nvt
        fix nvt all nvt temp {temperature} {temperature} 0.1
        run 1000
    """)
    frames = []
    for _ in range(5):
        lmp.command("run 100")
        positions = np.array(lmp.gather_atoms("x", 1, 3)).reshape(-1, 3)
        cell = atoms.cell.standard_form()[0]
        frames.append(Atoms([symbol] * n, positions, cell=cell, pbc=True))
    lmp.close()
    return frames


@pytest.mark.parametrize("symbol", MELTS)
def test_melts_end_at_the_first_minimum_of_a_plain_histogram(symbol):
    style, file, atoms, temperature, (fewest, most) = MELTS[symbol]
    frames = melt(style, file, atoms, temperature)
    shell = shell_of(*frames)
    distances = np.concatenate([a.get_all_distances(mic=True)[np.triu_indices(len(a), 1)]
                                for a in frames])  # fmt: skip
    density = len(atoms) / frames[0].cell.volume
    edges = np.arange(0, 2 * shell.distance, shell.distance / 40)
    r = (edges[1:] + edges[:-1]) / 2
    n_atoms = len(frames) * len(atoms)
    g = 2 * np.histogram(distances, edges)[0] / (n_atoms * density * 4 * np.pi * r**2 * edges[1])
    g = np.convolve(g, np.ones(5) / 5, "same")  # over an eighth of the distance
    window = (r > 1.1 * shell.distance) & (r < 1.4 * shell.distance)
    minimum = r[window][g[window].argmin()]
    # the minimum of a liquid is flat: g differs little over a tenth of its radius
    assert shell.end == pytest.approx(minimum, rel=0.1)
    assert g[np.searchsorted(r, shell.end)] < g[window].min() + 0.1
    assert fewest < shell.coordination < most


def test_glass_and_crystal_of_one_set_share_a_cutoff():
    frames = [read(path) for path in sorted(SI216.glob("*.vasp"))]
    shell = shell_of(*frames)
    assert 2.7 < shell.end < 3.4
    assert 4 <= shell.coordination < 6
    assert shell_of(frames[0]).coordination == pytest.approx(4, abs=0.3)


def test_compounds_by_sublattice(capsys):
    mineral = perovskite()
    silicon = EntropySymmetry.suggest(mineral * 2, elements="Si")
    # Si-Si neighbours of the octahedra: 3.43 and 3.45 Å, next 4.78 Å
    assert 3.45 < silicon.parameters["q6_cutoff"] < 4.78
    assert "sublattice" not in capsys.readouterr().out
    everything = EntropySymmetry.suggest(mineral * 2)
    # Si-O 1.78 to 1.80 and the shorter Mg-O 2.01 to 2.10; longer Mg-O from 2.28
    assert 2.1 < everything.parameters["q6_cutoff"] < 2.3
    assert "elements= takes one sublattice" in capsys.readouterr().out


def test_water_takes_oxygen():
    frozen = ice()
    calc = EntropySymmetry.suggest(frozen * 2, elements="O", logfile=None)
    assert 2.75 < calc.parameters["q6_cutoff"] < 4.49
    assert (calc.get_property("n_neighbors", frozen)[frozen.numbers == 8] == 4).all()
    bonds = EntropySymmetry.suggest(frozen * 2, logfile=None)
    assert bonds.parameters["q6_cutoff"] < 1.8


def test_rmax_and_sigma_follow_the_distance_and_the_smallest_cell(capsys):
    large, middle = bulk("Al", cubic=True) * 5, bulk("Al", cubic=True) * 2
    distance = 4.05 / np.sqrt(2)
    wide = EntropySymmetry.suggest(large)
    assert wide.parameters["rmax"] == pytest.approx(4 * distance, rel=0.05)
    assert wide.parameters["sigma"] == pytest.approx(distance / 20, rel=0.05)
    assert "four times" in capsys.readouterr().out
    held = EntropySymmetry.suggest([large, middle])
    assert held.kernel.pair_cutoff <= 8.1 + 0.05 * held.parameters["rmax"]  # rounding
    assert held.parameters["rmax"] < wide.parameters["rmax"]
    assert "images of the same atom" in capsys.readouterr().out
    small = EntropySymmetry.suggest(bulk("Si"))
    assert small.parameters["rmax"] == pytest.approx(2 * 2.352, rel=0.05)
    assert "compare cells of one size" in capsys.readouterr().out


def test_a_skewed_cell_counts_by_its_shortest_vector():
    atoms = bulk("Al", cubic=True) * 4
    skewed = atoms.copy()
    skewed.set_cell(np.array([[1, 0, 0], [3, 1, 0], [-2, 2, 1]]) @ atoms.cell.array)
    one, two = (EntropySymmetry.suggest(a, logfile=None) for a in (atoms, skewed))
    assert one.todict() == two.todict()


def test_given_parameters_are_kept():
    calc = EntropySymmetry.suggest(
        bulk("Fe", cubic=True), sigma=0.2, smooth=0.3, degree=4, logfile=None
    )
    assert calc.parameters["sigma"] == 0.2
    assert calc.parameters["smooth"] == 0.3
    assert calc.value_names == ("sS", "Q4")


def test_log_file_and_the_line_for_a_deck(tmp_path):
    atoms = rattled(bulk("Al", cubic=True), 0.1, repeat=3)
    calc = EntropySymmetry.suggest(atoms, tmp_path / "log", smooth=0.4, number_density=0.06)
    line = (tmp_path / "log").read_text().splitlines()[-1]
    assert line == calc.lammps_command()
    lmp = lammps(cmdargs=["-log", "none", "-screen", "none"])
    lmp.commands_string("""
        units metal
        atom_modify map array
        region b block 0 12.15 0 12.15 0 12.15
        create_box 1 b
        mass 1 27
        pair_style zero 14.0
        pair_coeff * *
    """)
    n = len(atoms)
    lmp.create_atoms(n, list(range(1, n + 1)), [1] * n, atoms.positions.ravel().tolist())
    lmp.command(line.replace(" es ", " mine "))
    lmp.command("run 0")
    values = lmp.numpy.extract_compute("mine", 0, 1)
    expected = [calc.get_property(name, atoms) for name in ("sS", "Q6")]
    np.testing.assert_allclose(values, expected, rtol=1e-10)
    lmp.close()


@pytest.mark.parametrize(
    "frames, message",
    [
        ([], "there are none"),
        ([bulk("Al"), "Al"], "frame 1: must be ase.Atoms, is str"),
        ([bulk("Al"), Atoms("Al")], "frame 1: .*at least 2 atoms"),
        (Atoms("N2", [[0, 0, 0], [0, 0, 1.1]]), "no minimum of g"),
    ],
    ids=["none", "not-atoms", "one-atom", "one-pair"],
)
def test_bad_frames_are_named(frames, message):
    with pytest.raises((ValueError, TypeError), match=message):
        EntropySymmetry.suggest(frames, logfile=None)


def test_missing_elements_are_named():
    with pytest.raises(ValueError, match="frame 0: elements: Si is not in the structure"):
        EntropySymmetry.suggest(bulk("Al"), elements="Si", logfile=None)


def test_frames_stay_as_they_are():
    atoms = rattled(bulk("Al", cubic=True), 0.1, repeat=2)
    before = atoms.copy()
    EntropySymmetry.suggest(atoms, logfile=None)
    assert atoms == before
