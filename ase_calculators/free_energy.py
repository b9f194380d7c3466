# SPDX-License-Identifier: BSD-3-Clause
"""Free energy on the landscape, from metadynamics or from umbrella windows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os import PathLike, fspath
from typing import Any, NamedTuple

import numpy as np
from ase.units import kB
from numpy.typing import ArrayLike, NDArray

from ase_calculators.argument_checks import check_whole, is_number
from ase_calculators.figures import COLORS, new_figure, save_figure, tidy
from ase_calculators.lammps_units import check_units, factor_to_ase
from cython_core import Bias

Float = NDArray[np.float64]


class Window(NamedTuple):
    """Hold the values of a run with a restraint at rest.

    Attributes
    ----------
    values : array_like, (n, 2)
        sS and Q_l of its configurations, in the order of the run.
    restrain : dict of str to (float, float)
        Force constant (eV) and centre for "sS", for "Q6" (or another degree), or both, as in
        `LandscapeBias`.
    """

    values: ArrayLike
    restrain: Mapping[str, tuple[float, float]]


@dataclass
class FreeEnergy:
    """Hold F(sS, Q_l) on a grid.

    Attributes
    ----------
    names : (str, str)
        Names of the variables.
    edges : (ndarray, ndarray)
        Edges of the bins, (n_sS + 1,) and (n_Q + 1,).
    values : ndarray, (n_sS, n_Q)
        Free energy, eV, 0 at its minimum; NaN where no configuration was. In units lj, epsilon.
    errors : ndarray, (n_sS, n_Q)
        Standard errors, eV; NaN where fewer than two blocks have been.
    temperature : float
        Temperature, K.
    n_samples : int
        Number of configurations used.
    n_effective : float
        Number of independent weights, (sum w)^2 / sum w^2.
    """

    names: tuple[str, str]
    edges: tuple[Float, Float]
    values: Float
    errors: Float
    temperature: float
    n_samples: int
    n_effective: float

    @property
    def centres(self) -> tuple[Float, Float]:
        """Return the centres of the bins.

        Returns
        -------
        (ndarray, ndarray)
            Those of sS and of Q_l.
        """
        first, second = ((e[1:] + e[:-1]) / 2 for e in self.edges)
        return first, second

    def plot(self, path: str | PathLike[str]) -> None:
        """Draw the free energy with its errors.

        A grid with one bin in a variable becomes a curve with a band of one standard error, others
        two maps.

        Parameters
        ----------
        path : path-like
            File; its suffix is the format.
        """
        curve = [d for d in range(2) if self.values.shape[1 - d] == 1]
        if curve:
            d = curve[0]
            figure = new_figure(5, 3.5)
            ax = figure.subplots()
            x, F, error = self.centres[d], self.values.ravel(), self.errors.ravel()
            ax.fill_between(x, F - error, F + error, color=COLORS[0], alpha=0.3, lw=0)
            ax.plot(x, F, color=COLORS[0])
            ax.set(xlabel=_label(self.names[d]), ylabel="F (eV)")
            tidy(ax)
        else:
            figure = new_figure(9, 3.8)
            for ax, data, title in zip(
                figure.subplots(1, 2), (self.values, self.errors), ("F", "error"), strict=True
            ):
                mesh = ax.pcolormesh(*self.edges, data.T, cmap="viridis")
                figure.colorbar(mesh, ax=ax, label=f"{title} (eV)")
                ax.set(xlabel=_label(self.names[0]), ylabel=self.names[1])
                tidy(ax)
        save_figure(figure, path)


def free_energy(
    source: str | PathLike[str] | Sequence[Any],
    bins: tuple[ArrayLike, ArrayLike] = (40, 40),
    temperature: float | None = None,
    samples: ArrayLike | None = None,
    blocks: int = 5,
    skip: float = 0.2,
) -> FreeEnergy:
    r"""Return the free energy F(sS, Q_l) of a biased simulation.

    From files of hills, each configuration has the weight

    .. math:: w = e^{(V(s, t) - c(t)) / k_B T}

    with the hills V and the offset c(t) at its time (Tiwary, Parrinello,
    doi:10.1021/jp504920s). From umbrella windows, the weights are those of MBAR (Shirts, Chodera,
    doi:10.1063/1.2978177; needs pymbar). F = -kT ln of the weighted histogram, 0 at its minimum.

    The errors are those of the jackknife over `blocks`, consecutive parts of the run or of each
    window. They are right if a block is longer than the walks between the states.

    Parameters
    ----------
    source : path-like, list of path-like, or list of Window
        File of hills of `LandscapeBias` or fix entsym/steer, those of all walkers, or windows.
    bins : (int or array_like, int or array_like)
        Number of bins in sS and in Q_l, or their edges. One bin gives the profile in the other.
    temperature : float, optional
        Temperature of the windows, K. Hills have their own.
    samples : array_like, (n, 3), optional
        Step, sS and Q_l of configurations of the run with hills. Default: the centres of the hills.
    blocks : int
        Number of blocks for the errors, 2 or more.
    skip : float
        Share of the configurations at the start that is left out, from 0 to below 1; of windows,
        at the start of each.

    Returns
    -------
    FreeEnergy
        Values and errors in eV.

    Raises
    ------
    ModuleNotFoundError
        If there are windows and pymbar is not installed.
    ValueError
        If a file is not one of hills or the files differ in their parameters, if there are too few
        configurations, or an argument is out of its range.

    Examples
    --------
    >>> profile = free_energy("hills", bins=(60, 1))  # doctest: +SKIP
    >>> profile.plot("profile.png")  # doctest: +SKIP
    """
    check_whole("blocks", blocks, 2)
    if not is_number(skip) or not 0 <= skip < 1:
        raise ValueError(f"skip = {skip!r}: must be from 0 to below 1")
    if isinstance(source, str | PathLike):
        source = [source]
    source = list(source)
    if not source:
        raise ValueError("source: is empty; give files of hills or windows")
    if isinstance(source[0], Window):
        if temperature is None or not is_number(temperature) or not 0 < temperature < np.inf:
            raise ValueError(
                f"temperature = {temperature!r}: must be that of the windows in K, above 0"
            )
        names, values, log_weights, owner = _windows(source, temperature, blocks, skip)
        kT = kB * temperature
    else:
        if temperature is not None:
            raise ValueError("temperature: the files of hills have theirs; leave it out")
        names, values, logs, kT, temperature = _hills(source, samples, skip)
        if len(values) < blocks:
            raise ValueError(
                f"samples: {len(values)} are left, {blocks} blocks need at least as many; run "
                "longer, or use fewer blocks or a smaller skip"
            )
        owner = np.arange(len(values)) * blocks // len(values)
        log_weights = [logs] * (blocks + 1)

    edges = [_edges(given, values[:, d], names[d]) for d, given in enumerate(bins)]

    def histogram(kept: NDArray[np.bool_], logs: Float) -> Float:
        weights = np.exp(logs - logs[kept].max())
        sS, Q = values[kept].T
        counts, _, _ = np.histogram2d(sS, Q, bins=edges, weights=weights[kept])
        return np.asarray(counts / weights[kept].sum())

    everything = np.ones(len(values), bool)
    with np.errstate(divide="ignore", invalid="ignore"):
        area = np.outer(*(np.diff(e) for e in edges))
        F = -kT * np.log(histogram(everything, log_weights[0]) / area)
        without = np.array(
            [-kT * np.log(histogram(owner != b, log_weights[b + 1]) / area) for b in range(blocks)]
        )
        without[~np.isfinite(without)] = np.nan
        errors = np.sqrt((blocks - 1) * np.var(without, axis=0))
    F[~np.isfinite(F)] = np.nan
    if np.isnan(F).all():
        raise ValueError("bins: no configuration is within the edges; give others")
    weights = np.exp(log_weights[0] - log_weights[0].max())
    return FreeEnergy(
        names=names,
        edges=(edges[0], edges[1]),
        values=F - np.nanmin(F),
        errors=errors,
        temperature=float(temperature),
        n_samples=len(values),
        n_effective=float(weights.sum() ** 2 / (weights**2).sum()),
    )


def _hills(
    paths: list[Any], samples: ArrayLike | None, skip: float
) -> tuple[tuple[str, str], Float, Float, float, float]:
    """Return names, values (n, 2), logarithms of weights (n,), kT in eV and temperature."""
    texts = {}
    for path in map(fspath, paths):
        with open(path, "rb") as file:
            texts[path] = file.read().rstrip(b"\0").replace(b"\r\n", b"\n")
    engine, names, entries = _engine(*next(iter(texts.items())))
    rows = []
    for path, text in texts.items():
        try:
            rows.append(engine.read(text)[0])
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error
    hills = np.concatenate(rows)
    hills = hills[np.argsort(hills[:, 0], kind="stable")] if len(rows) > 1 else hills
    if samples is None:
        # the steps of a run that continues another without a restart start anew
        points, before = hills[:, 1:3], np.arange(len(hills))
    else:
        given = np.asarray(samples, float)
        if given.ndim != 2 or given.shape[1] != 3 or not np.isfinite(given).all():
            raise ValueError(
                f"samples: have shape {given.shape}; must be finite rows of step, {names[0]}, "
                f"{names[1]}"
            )
        if (np.diff(hills[:, 0]) < 0).any():
            raise ValueError(
                "samples: the steps of the hills start anew in the file; leave the samples out"
            )
        points, before = given[:, 1:], np.searchsorted(hills[:, 0], given[:, 0])
        if (np.diff(before) < 0).any():
            raise ValueError("samples: must be in the order of their steps")
    first = int(skip * len(points))
    logs = np.empty(len(points))
    kT = entries["kT"]
    n, offset = 0, 0.0
    for k, (point, n_before) in enumerate(zip(points, before.tolist(), strict=True)):
        if n_before > n:
            engine.add(hills[n:n_before])
            n = n_before
            if k >= first:
                offset = engine.offset
        if k == first:
            offset = engine.offset
        if k >= first:
            logs[k] = (engine.energy(point)[0] - offset) / kT
    factor = factor_to_ase("energy", entries["units"])
    return names, points[first:], logs[first:], kT * factor, entries["temperature"]


def _engine(path: str, text: bytes) -> tuple[Bias, tuple[str, str], dict[str, Any]]:
    """Return a bias with the parameters in the header of a file of hills, and these."""
    lines = text.decode("ascii", "replace").splitlines()
    try:
        if lines[0] != "# entsym hills":
            raise ValueError
        entries: dict[str, Any] = dict(word.split("=", 1) for word in lines[1].split()[1:])
        _, _, *columns, _ = lines[2].split()
        names = (columns[0], columns[1])
        check_units(entries["units"])
        # lj has a Boltzmann constant of 1
        boltzmann = 1.0
        if entries["units"] != "lj":
            boltzmann = kB / factor_to_ase("energy", entries["units"])
        entries["temperature"] = float(entries["temperature"])
        entries["kT"] = boltzmann * entries["temperature"]
        engine = Bias(
            names,
            np.zeros((2, 2, 2)),
            [(0, 0), (0, 0)],
            every=1,
            height=float(entries["height"]),
            temperature=entries["temperature"],
            boltzmann=boltzmann,
            bias_factor=float(entries["bias_factor"]),
            widths=[float(entries[f"width_{name}"]) for name in names],
            spacings=[float(entries[f"spacing_{name}"]) for name in names],
        )
    except (IndexError, KeyError, ValueError) as error:
        raise ValueError(f"{path}: has no header of hills; give a file of hills") from error
    own = ("height", "temperature", "bias_factor", "width_", "spacing_", "kT")
    engine.define(**{k: v for k, v in entries.items() if not k.startswith(own)})
    return engine, names, entries


def _windows(
    windows: list[Any], temperature: float, blocks: int, skip: float
) -> tuple[tuple[str, str], Float, list[Float], NDArray[np.intp]]:
    """Return names, values (n, 2), log weights of all and without each block, and the blocks."""
    try:
        from pymbar import MBAR
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "free_energy of windows needs pymbar: pip install 'entsym[sampling]'"
        ) from error
    names = sorted({name for w in windows for name in w.restrain} - {"sS"})
    if len(names) > 1:
        raise ValueError(f"windows: restrain {', '.join(names)}; all must have one degree")
    both = ("sS", names[0] if names else "Q6")
    parts, owners, counts = [], [], []
    for k, window in enumerate(windows):
        given = np.asarray(window.values, float)
        if given.ndim != 2 or given.shape[1] != 2 or not np.isfinite(given).all():
            raise ValueError(f"window {k}: values have shape {given.shape}; must be finite (n, 2)")
        given = given[int(skip * len(given)) :]
        if len(given) < blocks:
            raise ValueError(
                f"window {k}: {len(given)} values are left, {blocks} blocks need at least as many"
            )
        parts.append(given)
        owners.append(np.arange(len(given)) * blocks // len(given))
        counts.append(len(given))
    values, owner = np.concatenate(parts), np.concatenate(owners)
    window_of = np.repeat(np.arange(len(windows)), counts)
    # the last state is without a bias; nothing was sampled in it
    reduced = np.zeros((len(windows) + 1, len(values)))
    for k, window in enumerate(windows):
        for name, (constant, centre) in window.restrain.items():
            s = values[:, both.index(name)]
            reduced[k] += 0.5 * constant * (s - centre) ** 2 / (kB * temperature)

    def log_weights(kept: NDArray[np.bool_]) -> Float:
        numbers = [*np.bincount(window_of[kept], minlength=len(windows)), 0]
        logs = np.full(len(values), -np.inf)
        with np.errstate(divide="ignore"):
            logs[kept] = np.log(MBAR(reduced[:, kept], np.array(numbers)).weights()[:, -1])
        return logs

    kept = [np.ones(len(values), bool), *(owner != b for b in range(blocks))]
    return both, values, [log_weights(k) for k in kept], owner


def _edges(given: Any, values: Float, name: str) -> Float:
    """Return the edges of the bins of a variable."""
    if isinstance(given, int | np.integer) and not isinstance(given, bool):
        check_whole(f"bins of {name}", given)
        return np.asarray(np.histogram_bin_edges(values, int(given)))
    try:
        edges = np.asarray(given, float)
    except (TypeError, ValueError):
        edges = np.empty(0)
    if edges.ndim != 1 or len(edges) < 2 or not (np.diff(edges) > 0).all():
        raise ValueError(f"bins of {name} = {given!r}: must be a whole number or rising edges")
    return edges


def _label(name: str) -> str:
    return f"{name} (k_B per atom)" if name == "sS" else name
