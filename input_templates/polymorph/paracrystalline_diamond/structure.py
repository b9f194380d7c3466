#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Compare models that breed.py has generated with those of the molecular dynamics.

python structure.py

prints density, bonds and the shares of cubic and hexagonal diamond of some models spread evenly
over the library's landscape, and of the dynamics' hot and last frame, and draws their structure
factors S(Q) and the sp3 share of every model of the library. freud and OVITO are needed:
pip install 'entsym[analysis]'.
"""

import argparse
import csv
import json
from importlib import import_module
from pathlib import Path

import ase.io
import matplotlib.pyplot as plt
import numpy as np
from ase import Atoms
from ase.neighborlist import neighbor_list
from ase.units import kg, m
from tqdm import tqdm

from ase_calculators import EntropySymmetry, LandscapeTable, select
from ase_calculators.figures import save_figure
from ase_calculators.provenance import atomic_write

# Å; carbon's first shell ends before it, README.md says how it was chosen
BOND = 1.9
# bins of S(Q), 1/Å
K_STEP = 0.1


def structure_factor(atoms: Atoms, k_max: float = 10.0) -> tuple[np.ndarray, np.ndarray]:
    """Calculate S(Q) from reciprocal vectors of the cell, by freud.

    S(Q) = |sum_i exp(i Q r_i)|^2 / N, averaged over the vectors whose length is in a bin. freud
    takes those without negative indices, one octant of all directions; in a tilted cell a few near
    `k_max` are missing.

    Parameters
    ----------
    atoms : ase.Atoms
        Periodic structure.
    k_max : float
        Upper end of Q, 1/Å.

    Returns
    -------
    Q, S : (n,) float64
        Middles of the bins of 0.1 1/Å, 1/Å, and S; bins without a vector are left out.
    """
    import freud

    factor = freud.diffraction.StaticStructureFactorDirect(
        bins=round(k_max / K_STEP), k_max=k_max, k_min=K_STEP
    )
    # freud's cells have the first vector along x
    cell = atoms.cell.standard_form()[0].array
    factor.compute((freud.Box.from_matrix(cell.T), atoms.get_scaled_positions() @ cell))
    there = np.isfinite(factor.S_k)
    return np.array(factor.bin_centers)[there], np.array(factor.S_k, dtype=float)[there]


def shares(atoms: Atoms) -> dict[str, float]:
    """Count the atoms by their bonds and by their lattice.

    Parameters
    ----------
    atoms : ase.Atoms
        Periodic structure of carbon.

    Returns
    -------
    dict of str to float
        density in g/cm^3, and shares of all atoms: with fewer than three bonds, with three (sp2),
        four (sp3) and more, shorter than 1.9 Å; of cubic and of hexagonal diamond, which
        have all first and second neighbours in the places of that lattice, and of both together
        with these neighbours: OVITO's IdentifyDiamondModifier (E. Maras et al., Comp. Phys. Comm.
        205, 13 (2016)).
    """
    from ovito.io.ase import ase_to_ovito
    from ovito.modifiers import IdentifyDiamondModifier

    n = len(atoms)
    bonds = np.bincount(neighbor_list("i", atoms, BOND), minlength=n)
    data = ase_to_ovito(atoms)
    data.apply(IdentifyDiamondModifier())
    count = {
        name.rpartition(".")[2]: value / n
        for name, value in data.attributes.items()
        if name.startswith("IdentifyDiamond.counts.")
    }
    return {
        "density": atoms.get_masses().sum() / atoms.get_volume() / (1e3 * kg / m**3),
        "under3": float(np.mean(bonds < 3)),
        "sp2": float(np.mean(bonds == 3)),
        "sp3": float(np.mean(bonds == 4)),
        "over4": float(np.mean(bonds > 4)),
        "cubic": count["CUBIC_DIAMOND"],
        "hexagonal": count["HEX_DIAMOND"],
        "shells": sum(count.values()) - count["OTHER"],
    }


def draw(
    factors: dict[str, tuple[np.ndarray, np.ndarray]],
    library: LandscapeTable,
    sp3: np.ndarray,
    marked: dict[str, tuple[float, float]],
    peaks: np.ndarray,
    path: Path,
) -> None:
    """Draw structure factors, one above the other, and the sp3 share over the library's landscape.

    Parameters
    ----------
    factors : dict of str to (Q, S)
        Structure factors by the names of the models.
    library : LandscapeTable
        The library.
    sp3 : (n_library,) float64
        Share of atoms with four bonds.
    marked : dict of str to (sS, Q6)
        Positions of the models on the landscape.
    peaks : (n,) float64
        Q of peaks of diamond, 1/Å.
    path : pathlib.Path
        The picture.
    """
    figure, (left, right) = plt.subplots(
        1, 2, figsize=(9.0, 4.6), layout="constrained", width_ratios=(1, 1.15)
    )
    for q in peaks:
        left.axvline(q, color="0.8", lw=0.8)
    height, highest = 2.0, 3.0
    for k, (name, (Q, S)) in enumerate(factors.items()):
        color = "#0072b2" if name.startswith("MD") else "#d55e00"
        left.plot(Q, np.minimum(S, highest) + height * k, color=color, lw=1.1)
        left.text(Q[-1], height * k + 1.5, name, ha="right", fontsize=8, color=color)
    left.set(
        xlabel="Q (1/Å)",
        ylabel=f"S(Q), shifted by {height:g} each, cut at {highest:g}",
        xlim=(0.5, None),
    )
    shown = right.scatter(library.sS, library.Q, s=6, c=sp3, cmap="viridis", linewidths=0)
    for name, place in marked.items():
        color = "#0072b2" if name.startswith("MD") else "#d55e00"
        right.plot(*place, "o", ms=6, mfc="none", mec=color, mew=1.3)
        right.annotate(
            name.split()[-1], place, xytext=(5, -11 if name.startswith("MD") else 4),
            textcoords="offset points", fontsize=8, color=color,
        )  # fmt: skip
    right.set(xlabel="sS ($k_\\mathrm{B}$ per atom)", ylabel="Q6")
    figure.colorbar(shown, ax=right, label="share of sp3 atoms", aspect=25)
    save_figure(figure, path, dpi=110)
    plt.close(figure)


def main() -> None:
    """Read the command line, analyse, print and draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--library", type=Path, default=Path("library.extxyz"), help="%(default)s")
    parser.add_argument("--hot", type=Path, default=Path("hot.data"), help="%(default)s")
    parser.add_argument("--final", type=Path, default=Path("final.data"), help="%(default)s")
    parser.add_argument("--models", type=int, default=4, help="of the library (%(default)s)")
    parser.add_argument("--k-max", type=float, default=10.0, help="of S(Q), 1/Å (%(default)s)")
    parser.add_argument("--processes", type=int, default=1, help="cores for S(Q) (%(default)s)")
    parser.add_argument("--output", default="structure", help="name of the .csv and the .png")
    args = parser.parse_args()
    if not K_STEP < args.k_max <= 30:
        parser.error(f"--k-max {args.k_max:g}: must lie between {K_STEP} and 30 1/Å; use 10")
    for package, name in (("freud", "freud"), ("ovito.modifiers", "OVITO")):
        try:
            import_module(package)
        except ImportError as error:
            parser.error(f"{name} cannot be loaded ({error}): pip install 'entsym[analysis]'")
    import_module("freud").parallel.set_num_threads(args.processes)
    try:
        library = LandscapeTable.read(args.library.with_suffix(".csv"))
        chosen = select(library, args.models).rows
        md = {
            name: ase.io.read(path, format="lammps-data")
            for name, path in (("MD, end of hold", args.hot), ("MD, end of quench", args.final))
        }
        frames = ase.io.iread(args.library, index=":")
        models, table = {}, []
        for k, atoms in enumerate(tqdm(frames, total=len(library), unit=" frames", desc="shares")):
            table.append({"name": str(k), "sS": library.sS[k], "Q6": library.Q[k], **shares(atoms)})
            if k in chosen:
                models[f"model {k}"] = atoms
    except (OSError, ValueError) as error:
        parser.error(str(error))
    names = ("rmax", "sigma", "dr", "q6_cutoff", "smooth")
    calc = EntropySymmetry(**{name: library.parameters[name] for name in names})
    for name, atoms in md.items():
        values = {key: float(value[0]) for key, value in calc.evaluate([atoms]).items()}
        table.append({"name": name, **values, **shares(atoms)})
    sp3 = np.array([row["sp3"] for row in table[: len(library)]])

    chosen_rows = [table[k] | {"name": f"model {k}"} for k in chosen] + table[len(library) :]
    factors = {
        name: structure_factor(atoms, args.k_max)
        for name, atoms in tqdm((models | md).items(), unit=" models", desc="S(Q)")
    }
    # 111, 220 and 311 of diamond as dense as the last frame
    a = (8 * md["MD, end of quench"].get_volume() / len(md["MD, end of quench"])) ** (1 / 3)
    peaks = 2 * np.pi * np.sqrt([3, 8, 11]) / a
    csv_path, png = Path(f"{args.output}.csv"), Path(f"{args.output}.png")
    with atomic_write(csv_path, newline="") as file:
        settings = {name: library.parameters[name] for name in names} | {"bond": BOND}
        file.write(f"# {json.dumps(settings)}, density g/cm^3, shares of all atoms\n")
        writer = csv.DictWriter(file, table[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(table)
    draw(
        factors, library, sp3, {row["name"]: (row["sS"], row["Q6"]) for row in chosen_rows},
        peaks, png,
    )  # fmt: skip

    print(
        f"{'':<18}" + "".join(f"{name:>10}" for name in list(table[0])[1:]) + f"{'first peak':>12}"
    )
    for row in chosen_rows:
        Q, S = factors[row["name"]]
        low = (Q > 2.0) & (Q < 4.0)
        print(
            f"{row['name']:<18}"
            + "".join(f"{value:>10.4g}" for value in list(row.values())[1:])
            + f"{Q[low][S[low].argmax()]:>12.2f}"
        )
    diamond = sum(row["cubic"] + row["hexagonal"] > 0 for row in table[: len(library)])
    print(
        f"library of {len(library)}: sp3 {sp3.min():.3f} to {sp3.max():.3f}; {diamond} with atoms "
        f"of cubic or hexagonal diamond\n"
        f"diamond of that density has peaks at {', '.join(f'{q:.2f}' for q in peaks)} 1/Å\n"
        f"table {csv_path}, picture {png}"
    )


if __name__ == "__main__":
    main()
