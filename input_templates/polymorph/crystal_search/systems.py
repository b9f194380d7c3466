# SPDX-License-Identifier: BSD-3-Clause
"""Systems that search.py searches, and the known crystals that compare.py looks for. Yours to edit.

Prototypes are standard ones: space group, cell and sites, as the AFLOW library of
prototypes lists them (M. J. Mehl et al., Comp. Mater. Sci. 136, S1 (2017)). Only their symmetry
matters: each is scaled to the system's bond and relaxed by the system's potential.
"""

from dataclasses import dataclass

import numpy as np
from ase import Atoms
from ase.build import find_optimal_cell_shape, make_supercell, niggli_reduce
from ase.spacegroup import crystal
from crystals import pairs


@dataclass(frozen=True)
class System:
    """Describe a material, its potential and its landscape.

    Attributes
    ----------
    element : str
        Chemical symbol.
    commands : str
        Commands of a LAMMPS potential in ``units metal``.
    bond : float
        Length to which the shortest distance of a prototype is scaled, Å.
    reach : float
        Distance up to which atoms hold together, Å: the middle of the range in which a bond is
        switched off, or the cutoff. A crystal must hold together by it.
    window : float
        Energy above the ground state up to which crystals are counted, eV per atom.
    parents : tuple of str
        One or two prototypes from which PolymorphGen breeds.
    calc : dict
        Arguments of `EntropySymmetry`.
    known : tuple of str
        Prototypes that compare.py looks for.
    """

    element: str
    commands: str
    bond: float
    reach: float
    window: float
    parents: tuple[str, ...]
    calc: dict[str, float]
    known: tuple[str, ...]


# space group, (a, b, c, alpha, beta, gamma) in any unit, sites
_HEXAGONAL = (90.0, 90.0, 120.0)
_RIGHT = (90.0, 90.0, 90.0)
PROTOTYPES: dict[str, tuple[int, tuple[float, ...], tuple[tuple[float, float, float], ...]]] = {
    "diamond": (227, (1, 1, 1, *_RIGHT), ((0.125, 0.125, 0.125),)),
    "lonsdaleite": (194, (1, 1, 1.633, *_HEXAGONAL), ((1 / 3, 2 / 3, 0.0625),)),
    "diamond 4H": (
        194, (1, 1, 3.266, *_HEXAGONAL), ((0, 0, 0.09375), (1 / 3, 2 / 3, 0.15625)),
    ),
    "graphite AA": (191, (1, 1, 1.36, *_HEXAGONAL), ((1 / 3, 2 / 3, 0),)),
    "graphite AB": (194, (1, 1, 2.72, *_HEXAGONAL), ((0, 0, 0.25), (1 / 3, 2 / 3, 0.25))),
    "graphite ABC": (166, (1, 1, 4.08, *_HEXAGONAL), ((0, 0, 1 / 6),)),
    "BC8": (206, (1, 1, 1, *_RIGHT), ((0.1003, 0.1003, 0.1003),)),
    "ST12": (
        96, (1, 1, 1.18, *_RIGHT), ((0.0910, 0.0910, 0.0), (0.1730, 0.3784, 0.2486)),
    ),
    "R8": (148, (1, 1, 1, 110.1, 110.1, 110.1), ((0.289, 0.289, 0.289), (0.464, 0.035, 0.246))),
    "bct-4": (139, (1, 1, 0.572, *_RIGHT), ((0.1804, 0.1804, 0),)),
    "M-carbon": (
        12, (9.089, 2.496, 4.104, 90.0, 96.96, 90.0),
        ((-0.0572, 0, 0.1206), (0.4419, 0, 0.3467), (0.7858, 0, -0.0594), (0.2715, 0, 0.4149)),
    ),
    "T-carbon": (227, (1, 1, 1, *_RIGHT), ((0.0706, 0.0706, 0.0706),)),
    "K4": (214, (1, 1, 1, *_RIGHT), ((0.125, 0.125, 0.125),)),
    "cubane": (229, (1, 1, 1, *_RIGHT), ((0.168, 0.168, 0.168),)),
    "beta-tin": (141, (1, 1, 0.552, *_RIGHT), ((0, 0, 0),)),
    "simple hexagonal": (191, (1, 1, 0.94, *_HEXAGONAL), ((0, 0, 0),)),
    "bct-5": (139, (1, 1, 1.75, *_RIGHT), ((0, 0, 0.2),)),
    "simple cubic": (221, (1, 1, 1, *_RIGHT), ((0, 0, 0),)),
    "bcc": (229, (1, 1, 1, *_RIGHT), ((0, 0, 0),)),
    "fcc": (225, (1, 1, 1, *_RIGHT), ((0, 0, 0),)),
    "hcp": (194, (1, 1, 1.633, *_HEXAGONAL), ((1 / 3, 2 / 3, 0.25),)),
    "dhcp": (194, (1, 1, 3.266, *_HEXAGONAL), ((0, 0, 0), (1 / 3, 2 / 3, 0.25))),
    "9R": (166, (1, 1, 7.35, *_HEXAGONAL), ((0, 0, 0), (0, 0, 0.222))),
    "omega": (191, (1, 1, 0.61, *_HEXAGONAL), ((0, 0, 0), (1 / 3, 2 / 3, 0.5))),
    "A15": (223, (1, 1, 1, *_RIGHT), ((0, 0, 0), (0.25, 0, 0.5))),
    "alpha-U": (63, (1, 2.06, 1.74, *_RIGHT), ((0, 0.105, 0.25),)),
    "alpha-Ga": (64, (1, 1.69, 1.0, *_RIGHT), ((0, 0.155, 0.081),)),
    "black P": (64, (1, 3.16, 1.32, *_RIGHT), ((0, 0.102, 0.081),)),
    "alpha-As": (166, (1, 1, 2.8, *_HEXAGONAL), ((0, 0, 0.227),)),
    "cI16": (220, (1, 1, 1, *_RIGHT), ((0.049, 0.049, 0.049),)),
    "clathrate I": (
        223, (1, 1, 1, *_RIGHT),
        ((0.25, 0, 0.5), (0.1837, 0.1837, 0.1837), (0, 0.3077, 0.1172)),
    ),
    "clathrate II": (
        227, (1, 1, 1, *_RIGHT),
        ((0.125, 0.125, 0.125), (0.2177, 0.2177, 0.2177), (0.1823, 0.1823, 0.3705)),
    ),
}  # fmt: skip

_TETRAHEDRAL = ("diamond", "lonsdaleite", "diamond 4H", "BC8", "R8", "ST12", "bct-4", "M-carbon",
                "clathrate I", "clathrate II")  # fmt: skip
_CARBON = ("graphite AA", "graphite AB", "graphite ABC", *_TETRAHEDRAL, "T-carbon", "K4",
           "cubane", "black P", "alpha-As", "simple cubic")  # fmt: skip
_SILICON = (*_TETRAHEDRAL, "beta-tin", "simple hexagonal", "bct-5", "simple cubic", "bcc", "fcc",
            "hcp", "alpha-Ga", "alpha-As", "black P", "T-carbon", "cI16", "A15")  # fmt: skip
_METAL = ("fcc", "hcp", "dhcp", "9R", "bcc", "A15", "omega", "alpha-U", "simple hexagonal",
          "beta-tin", "bct-5", "alpha-Ga", "cI16", "simple cubic", "diamond")  # fmt: skip

_C = {"rmax": 6.2, "sigma": 0.1, "q6_cutoff": 2.0}
_SI = {"rmax": 9.4, "sigma": 0.15, "q6_cutoff": 2.9}
_AL = {"rmax": 8.0, "sigma": 0.2, "q6_cutoff": 3.5}

SYSTEMS = {
    "c_lcbop": System(
        "C", "pair_style lcbop; pair_coeff * * C.lcbop C", 1.5, 1.95, 0.6,
        ("diamond", "graphite AB"), _C, _CARBON,
    ),
    "c_tersoff": System(
        "C", "pair_style tersoff; pair_coeff * * SiC.tersoff C", 1.5, 1.95, 0.6,
        ("diamond", "graphite AB"), _C, _CARBON,
    ),
    "si_sw": System(
        "Si", "pair_style sw; pair_coeff * * Si.sw Si", 2.4, 3.77, 0.3,
        ("diamond", "beta-tin"), _SI, _SILICON,
    ),
    "si_tersoff": System(
        "Si", "pair_style tersoff; pair_coeff * * SiC.tersoff Si", 2.4, 2.85, 0.3,
        ("diamond", "beta-tin"), _SI, _SILICON,
    ),
    "al_eam": System(
        "Al", "pair_style eam/fs; pair_coeff * * Al_mm.eam.fs Al", 2.8, 6.5, 0.15,
        ("fcc", "hcp"), _AL, _METAL,
    ),
}  # fmt: skip


def prototype(name: str, element: str, bond: float) -> Atoms:
    """Return the primitive cell of a prototype, scaled to a bond length.

    Parameters
    ----------
    name : str
        Key of PROTOTYPES.
    element : str
        Chemical symbol.
    bond : float
        Shortest distance of two atoms, Å.

    Returns
    -------
    ase.Atoms
        The primitive cell.
    """
    group, cell, sites = PROTOTYPES[name]
    # far from each other, so that no two images count as one site
    cell = (*(10.0 * length for length in cell[:3]), *cell[3:])
    # origin of the sites of these at a centre of inversion; R8 in rhombohedral axes
    setting = 2 if name in ("diamond", "R8", "clathrate II") else 1
    atoms = crystal(
        [element] * len(sites), sites, spacegroup=group, cellpar=cell, primitive_cell=True,
        symprec=1e-3, setting=setting,
    )  # fmt: skip
    shortest = pairs(atoms, 1.2 * atoms.get_volume() ** (1 / 3))[3].min()
    atoms.set_cell(atoms.cell * (bond / shortest), scale_atoms=True)
    return Atoms(atoms.symbols, atoms.positions, cell=atoms.cell, pbc=True)


def supercell(atoms: Atoms, n_atoms: int) -> Atoms:
    """Return the most compact supercell of a number of atoms.

    Parameters
    ----------
    atoms : ase.Atoms
        Primitive cell.
    n_atoms : int
        Number of atoms, a multiple of the cell's.

    Returns
    -------
    ase.Atoms
        The supercell.

    Raises
    ------
    ValueError
        If `n_atoms` is not a multiple.
    """
    if n_atoms % len(atoms):
        raise ValueError(
            f"n_atoms = {n_atoms}: must be a multiple of {len(atoms)}, the atoms of the parent's "
            "primitive cell"
        )
    if n_atoms == len(atoms):
        return atoms.copy()
    shape = find_optimal_cell_shape(np.asarray(atoms.cell), n_atoms // len(atoms), "sc", 0, 3)
    found = make_supercell(atoms, shape)
    if not 40 < found.cell.angles().min() <= found.cell.angles().max() < 140:
        niggli_reduce(found)
    return found
