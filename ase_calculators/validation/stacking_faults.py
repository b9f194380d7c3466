# SPDX-License-Identifier: BSD-3-Clause
"""Slip along a line: stacking faults, twin faults, and the twinnability that follows."""

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from ase import Atoms
from ase.build import surface

from ase_calculators.figures import colored, tidy
from ase_calculators.validation.crystal import METALLIC
from ase_calculators.validation.gamma_surface import MILLIJOULE, relaxed_along_z
from ase_calculators.validation.property import Property, Values

# Plane and name of the slip, number of planes that slip one after the other; "alone": one plane
# that slips by a whole lattice vector, and the number of steps
SYSTEMS: dict[str, dict[str, Any]] = {
    "fcc": {"plane": (1, 1, 1), "name": "(111)<112>", "layers": 3},
    "bcc": {
        "plane": (1, 1, 2), "name": "(112)<111>", "layers": 4,
        "alone": {"plane": (1, 1, 2), "name": "(112)<111>", "steps": 3},
    },
    "hcp": {
        "plane": (0, 0, 1), "name": "(0001)<10-10>", "layers": 1,
        "alone": {"plane": (1, 0, 0), "name": "(10-10)<11-20>", "steps": 2},
    },
}  # fmt: skip
NO_TWINNABILITY = {
    "bcc": "twinnability is not defined for bcc: no stable fault on (112), so no trailing partial",
    "hcp": "twinnability is not defined for hcp: its twins need shuffles, not slip of planes alone",
}


def twinnability(usf: float, isf: float, utf: float) -> float:
    """Return the twinnability of an fcc crystal.

    Parameters
    ----------
    usf, isf, utf : float
        Unstable, intrinsic and unstable twin fault, of one unit.

    Returns
    -------
    float
        ``(1.136 - 0.151 ISF / USF) sqrt(USF / UTF)``; above 1 a crystal prefers to twin. E. B.
        Tadmor, N. Bernstein, J. Mech. Phys. Solids 52, 2507 (2004), doi:10.1016/j.jmps.2004.05.002.
    """
    return float((1.136 - 0.151 * isf / usf) * np.sqrt(usf / utf))


def fault_energies(stacks: Sequence[Atoms], calculator: Any = None) -> np.ndarray:
    """Return the fault energies of stacks as they are, nothing relaxed.

    Parameters
    ----------
    stacks : sequence of ase.Atoms
        Stacks of equal area, layers along the third vector, the perfect crystal first; numbers of
        atoms may differ.
    calculator : ase calculator, optional
        The model. Default: the stacks' own, such as labels.

    Returns
    -------
    (n,) float64 ndarray
        Energy above the perfect crystal with as many atoms, over the area of a layer, mJ/m^2.

    Raises
    ------
    ValueError
        If areas differ, or a stack has neither a label nor a model.
    """
    areas = [np.linalg.norm(np.cross(*atoms.cell[:2])) for atoms in stacks]
    if not np.allclose(areas, areas[0], rtol=1e-6):
        raise ValueError(
            f"stacks: have areas of {min(areas):.4g} to {max(areas):.4g} Å^2; give stacks of one "
            "lattice constant"
        )
    if calculator is None and any(atoms.calc is None for atoms in stacks):
        raise ValueError("stacks: some have no label; give a calculator, or labelled stacks")
    total = np.array([(calculator or a.calc).get_potential_energy(a) for a in stacks])
    number = np.array([len(atoms) for atoms in stacks])
    return (total - total[0] / number[0] * number) / areas[0] / MILLIJOULE


class StackingFaults(Property):
    """Energies along the slip of neighbouring planes: GSFE of the first, GPFE of the next ones.

    - fcc slips by a/sqrt(6) along <112> on successive (111) planes. The intrinsic fault (ISF), the
      extrinsic fault (ESF) and then a twin form, past the unstable energies USF and UTF.
    - bcc slips by a sqrt(3)/6 along <111> on successive (112) planes. It has no low fault before
      the twin. Its USF lies beyond the first of these steps, so the first plane also slips alone,
      by three steps, which are a whole lattice vector.
    - hcp slips once on (0001), by a/sqrt(3) along <10-10> to its I2 fault; another plane cannot
      follow in this direction. It also slips between the (10-10) planes that are far apart, by a
      lattice vector a along <11-20> in two steps. If the energy has a minimum between them, it is
      reported as a fault.

    Settings: `n` points per slip; `planes`, minimum number of planes of atoms on each side of the
    faults; `vacuum` (Å); `fmax` (eV/Å), to which atoms relax along the normal.

    The twinnability is tau = (1.136 - 0.151 ISF/USF) sqrt(USF/UTF), E. B. Tadmor, N. Bernstein, J.
    Mech. Phys. Solids 52, 2507 (2004), doi:10.1016/j.jmps.2004.05.002: above 1 a crack tip emits
    twins. After the leading partial, a trailing partial has to overcome USF - ISF and a twin
    UTF - ISF; the lower one forms. This holds for the partial dislocations of fcc: bcc and hcp get
    a flag instead.
    """

    name = "stacking_faults"
    title = "stacking faults"
    structures = METALLIC
    defaults: ClassVar[dict[str, Any]] = {"n": 12, "planes": 9, "vacuum": 12.0, "fmax": 1e-3}
    size = (6.0, 4.0)

    def run(self) -> None:
        """Slip plane after plane, then one plane alone."""
        n, structure = self.settings["n"], self.sample.crystal.structure
        system = SYSTEMS[structure]
        self.data = {"system": system["name"]}
        slab = self._slab(system["plane"], system["layers"])
        steps = [divmod(k, n) for k in range(system["layers"] * n + 1)]
        self.data |= self._line(slab, [[1.0] * done + [part / n] for done, part in steps], "")
        if alone := system.get("alone"):
            slab = self._slab(alone["plane"], 1) if alone["plane"] != system["plane"] else slab
            line = [[k / n] for k in range(alone["steps"] * n + 1)]
            self.data["alone"] = {
                "system": alone["name"],
                **self._line(slab, line, f"{alone['name']}, one plane, "),
            }
        values = self.result()
        if "ISF" in values and values["ISF"][0] < 0:
            self.flags.append("the intrinsic stacking fault is lower than the crystal")
        if structure in NO_TWINNABILITY:
            self.flags.append(NO_TWINNABILITY[structure])

    def _line(
        self, slab: tuple[Atoms, int, np.ndarray], line: list[list[float]], what: str
    ) -> dict[str, Any]:
        """Return the energies for the steps by which successive planes have slipped."""
        perfect, first, slip = slab
        area = np.linalg.norm(np.cross(perfect.cell[0], perfect.cell[1]))
        heights = np.round(perfect.positions[:, 2], 4)
        planes = np.unique(heights)

        def energy(kind: str, slips: list[float]) -> float:
            # each plane slips together with all planes above it
            atoms = perfect.copy()
            for layer, share in enumerate(slips):
                atoms.positions[heights >= planes[first + layer] - 0.01] += share * slip
            if kind == "rigid":
                return self.sample.energy(atoms)
            return float(self.cached(f"{what}{slips}", relaxed_along_z, self, atoms))

        found: dict[str, Any] = {"slip": [sum(slips) for slips in line], "atoms": len(perfect)}
        for kind in ("rigid", "relaxed"):
            E = np.array([energy(kind, slips) for slips in self.track(line, f"{what}{kind}")])
            found[kind] = (E - E[0]) / area / MILLIJOULE
        error = np.sqrt(2) * len(perfect) * self.sample.noise().energy / area / MILLIJOULE
        self.doubt(f"{what}highest point", max(found["relaxed"]), error, "mJ/m^2")
        return found

    def _slab(self, plane: tuple[int, int, int], layers: int) -> tuple[Atoms, int, np.ndarray]:
        """Return a slab, the first plane that slips, and the vector of its slip."""
        s, crystal = self.settings, self.sample.crystal
        # indices of the plane in the primitive cell, so that a plane of the slab has one atom
        cell = crystal.primitive()
        if crystal.structure != "hcp":
            h, k, l = np.rint(cell.cell.array @ plane / crystal.a).astype(int).tolist()
            plane = h, k, l
        # one cell of the surface is as thick as the period of its planes
        thick = surface(cell, plane, 1, vacuum=None, periodic=True)
        per_cell = len(np.unique(np.round(thick.positions[:, 2], 4)))
        n = -(-(2 * s["planes"] + layers - 1) // per_cell)
        slab = surface(cell, plane, n, vacuum=s["vacuum"] / 2, periodic=True)
        slab.pbc = True
        planes = np.unique(np.round(slab.positions[:, 2], 4))
        first = (len(planes) - layers + 1) // 2
        if crystal.structure == "hcp" and plane == (1, 0, 0):
            # the planes come in pairs: slip between two pairs
            if planes[first + 1] - planes[first] > planes[first] - planes[first - 1] + 0.01:
                first += 1
            return slab, first, 0.5 * crystal.a * self._close_packed(slab)
        # The vector from one plane to the next, without its normal part, is t; slipping by t once
        # more turns the stacking t, t into t, 2t, which is its mirror image: the shear of a twin.
        lower = slab.positions[np.abs(slab.positions[:, 2] - planes[first - 1]) < 0.01]
        upper = slab.positions[np.abs(slab.positions[:, 2] - planes[first]) < 0.01]
        images = (i * slab.cell[0] + j * slab.cell[1] for i in range(-2, 3) for j in range(-2, 3))
        steps = np.array([u - lower[0] + image for image in images for u in upper])
        steps[:, 2] = 0.0
        if crystal.structure == "bcc":
            # only the part of the step along <111> shears
            direction = self._close_packed(slab)
            part = steps @ direction
            target = np.sqrt(3) / 6 * crystal.a
            return slab, first, direction * part[np.argmin(np.abs(np.abs(part) - target))]
        return slab, first, steps[np.argmin(np.linalg.norm(steps, axis=1))]

    def _close_packed(self, slab: Atoms) -> np.ndarray:
        """Return the direction of the shortest lattice vector in the plane of the slab."""
        vectors = [
            i * slab.cell[0] + j * slab.cell[1]
            for i in range(-3, 4) for j in range(-3, 4) if (i, j) != (0, 0)
        ]  # fmt: skip
        shortest = min(vectors, key=np.linalg.norm)
        return np.array(shortest / np.linalg.norm(shortest))

    def result(self) -> Values:
        """Return the energies of the faults, and the twinnability.

        Returns
        -------
        dict of str to (float, str)
            Value and unit by quantity.
        """
        d, values = self.data, {}
        n = round(1 / (d["slip"][1] - d["slip"][0]))
        E = np.array(d["relaxed"])
        unit = "mJ/m^2"
        structure = self.sample.crystal.structure
        if structure == "bcc":
            values["twin energy after 4 planes"] = (float(E[4 * n]), unit)
            return values | self._alone(n)
        values["USF"] = (_peak(d["slip"], E, 0, n), unit)
        name = "ISF" if structure == "fcc" else "I2 fault"
        values[name] = (float(E[n]), unit)
        values[f"{name}, rigid"] = (float(np.array(d["rigid"])[n]), unit)
        values["USF, rigid"] = (_peak(d["slip"], np.array(d["rigid"]), 0, n), unit)
        if structure == "fcc":
            values["UTF"] = (_peak(d["slip"], E, n, 2 * n), unit)
            values["ESF"] = (float(E[2 * n]), unit)
            usf, isf, utf = (values[k][0] for k in ("USF", "ISF", "UTF"))
            tau = twinnability(usf, isf, utf)
            values["twinnability"] = (tau, "")
            trailing, twin = usf - isf, utf - isf
            mode = "full dislocations, the trailing partial follows"
            if twin < trailing:
                mode = "deformation twins"
            elif trailing > 0.5 * usf:
                mode = "partial dislocations with wide stacking faults"
            self.data["verdict"] = (
                f"favours {mode}: trailing partial {trailing:.0f}, twin {twin:.0f} mJ/m^2; "
                f"crack tip: {'twins' if tau > 1 else 'dislocations'} (tau {tau:.2f})"
            )
        return values | self._alone(n)

    def _alone(self, n: int) -> Values:
        """Return the USF of the plane that slips alone and, for hcp, the fault halfway."""
        alone = self.data.get("alone")
        if alone is None:
            return {}
        line, name = np.array(alone["relaxed"]), alone["system"]
        top = _peak(alone["slip"], line, 0, len(line) - 1)
        values: Values = {f"USF {name}": (top, "mJ/m^2")}
        if self.sample.crystal.structure == "hcp" and line[n] < top - 1:
            values[f"fault {name}"] = (float(line[n]), "mJ/m^2")
        return values

    @staticmethod
    def plot(figure: Any, records: list[dict[str, Any]]) -> None:
        """Draw energy against slip.

        Parameters
        ----------
        figure : matplotlib.figure.Figure
            Empty figure.
        records : list of dict
            Record of each model.
        """
        ax = figure.subplots()
        for color, record in colored(records):
            d = record["data"]
            ax.plot(d["slip"], d["relaxed"], "o-", ms=3, lw=1.2, color=color, label=record["model"])
            ax.plot(d["slip"], d["rigid"], ":", lw=1.0, color=color)
            if alone := d.get("alone"):
                other = f"{record['model']}, {alone['system']}, one plane"
                ax.plot(alone["slip"], alone["relaxed"], "--", lw=1.0, color=color, label=other)
        reference = records[0]["reference"]
        label: str | None = "reference"
        for name, x in (("USF", 0.5), ("ISF", 1.0), ("UTF", 1.5), ("ESF", 2.0)):
            if name in reference and record["data"]["system"].startswith("(111)"):
                ax.plot(x, reference[name]["value"], "ks", ms=5, mfc="none", label=label)
                label = None
        ax.set(xlabel=f"slip {d['system']}, in steps of one plane each", ylabel="energy (mJ/m$^2$)")
        ax.set_ylim(bottom=min(0, ax.get_ylim()[0]))
        above = {"loc": "lower center", "bbox_to_anchor": (0.5, 1.0), "ncol": 4}
        ax.legend(
            frameon=False, fontsize=8, title="solid: relaxed, dotted: rigid", title_fontsize=7,
            **(above if len(records) > 3 else {}),
        )  # fmt: skip
        tidy(ax)


def _peak(x: Any, y: np.ndarray, first: int, last: int) -> float:
    """Return the maximum between two points of a spline through all points."""
    from scipy.interpolate import CubicSpline

    fine = np.linspace(x[first], x[last], 501)
    return float(CubicSpline(x, y)(fine).max())
