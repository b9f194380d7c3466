# SPDX-License-Identifier: BSD-3-Clause
# cython: language_level=3, boundscheck=False, wraparound=False
"""Pair entropy and Steinhardt parameters of periodic structures, a thin layer on the C++ kernel."""

import math
from collections.abc import Iterable
from decimal import Decimal
from numbers import Real

import numpy as np

from cython_core.kernel cimport (
    AtomRows,
    Generation,
    Child,
    CppBias,
    CppBreeder,
    CppEvolution,
    CppGaps,
    CppKernel,
    CppXyzCut,
    Entry,
    Genes,
    Gradients,
    Hill,
    Limits,
    Local,
    Metadynamics,
    Names,
    Parameters,
    PeriodicWorkspace,
    Point,
    Population,
    RowText,
    Schedule,
    Structure,
    Target,
    Wall,
    Window,
    append_digits,
    check_density,
    check_target,
    count_pairs,
    cpp_atom_lines,
    cpp_fingerprint,
    cpp_target_points,
    cpp_window_of,
    evaluate,
    evaluate_batch,
    evaluate_gradients,
    evaluate_local,
    hill_line,
    only_blank_lines,
    order_rows,
    read_frames,
    read_rows,
)
from libc.stdint cimport int16_t, int32_t, int64_t
from libcpp.memory cimport unique_ptr
from libcpp.optional cimport optional
from libcpp.string cimport string
from libcpp.utility cimport move
from libcpp.vector cimport vector

DOUBLE, BOOL = np.dtype(np.float64), np.dtype(bool)

# Atoms and images up to which a kernel keeps the memory of a call for the next one: a few MB, and
# 34 MB if all of them are neighbours of each other. Larger structures take longer than allocation.
cdef size_t ROWS_KEPT = 4096


def number(name, value):
    """Return a float; refuse anything that is not a number."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (Real, Decimal)):
        raise TypeError(f"{name} = {shown(value)}: must be a number; it is a "
                        f"{type(value).__name__}")
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def whole(name, value, least, most=2**31 - 1):
    """Return a whole number within its range."""
    if (isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, np.integer))
            or not least <= value <= most):
        raise ValueError(f"{name} = {shown(value)}: must be a whole number from {least} to {most}")
    return int(value)


def wholes(name, values, n=None):
    """Return a list of `n` whole numbers from 0 to 2^64 - 1."""
    values = list(values) if isinstance(values, Iterable) else [values]
    if n is not None and len(values) != n:
        raise ValueError(f"{name} has {len(values)} values: must be {n} whole numbers")
    return [whole(name, value, 0, 2**64 - 1) for value in values]


def shown(value):
    """Return the text of a value for a message: one line, at most 60 characters."""
    text = " ".join((value if isinstance(value, str) else repr(value)).split())
    return text if len(text) <= 60 else text[:57] + "..."


cpdef double density_of(number_density) except -1.0:
    """Return the density; 0 if it is to be computed from the cell."""
    if number_density is None:
        return 0.0
    cdef double density = number("number_density", number_density)
    check_density(density)
    return density


cdef int threads_of(threads) except -1:
    return whole("threads", threads, 1, 1024)


cdef class Frame:
    """Hold one structure as contiguous arrays while the kernel reads them."""

    cdef object positions, cell, pbc
    cdef Structure c

    def __cinit__(self, positions, cell, pbc, number_density):
        cdef const double[:, ::1] x = array(positions, (None, 3), "positions")
        cdef const double[:, ::1] h = array(cell, (3, 3), "cell")
        cdef const unsigned char[::1] p = periodic(pbc, (3,))
        self.positions, self.cell, self.pbc = x, h, p
        self.c.n_atoms = x.shape[0]
        self.c.positions = &x[0, 0] if x.shape[0] else NULL
        self.c.cell = &h[0, 0]
        self.c.pbc = &p[0]
        self.c.density = density_of(number_density)


def array(values, shape, name):
    """Return a contiguous float64 array of the given shape (None: any), a copy if need be."""
    if (type(values) is np.ndarray and values.dtype is DOUBLE and values.ndim == len(shape)
            and (shape[0] is None or shape == values.shape)
            and shape[1:] == values.shape[1:]):  # what it nearly always is
        return np.ascontiguousarray(values)
    try:
        given = np.asarray(values)
    except Exception as error:  # ragged lists, or anything that an object raises
        raise ValueError(f"{name} is not an array ({shown(str(error))}): must be real numbers, "
                         f"{wanted(shape)}") from error
    if given.dtype.kind not in "fiub":
        if given.dtype.kind == "c":
            raise ValueError(f"{name} is complex: must be real")
        try:
            if given.dtype.kind != "O":
                raise TypeError
            given = np.array([number(name, value) for value in given.ravel()]).reshape(given.shape)
        except (TypeError, ValueError):
            raise ValueError(f"{name} has dtype {given.dtype}: must be real numbers, "
                             f"{wanted(shape)}") from None
    if isinstance(values, np.ma.MaskedArray) and np.ma.getmaskarray(values).any():
        raise ValueError(f"{name} has {np.ma.count_masked(values)} masked values: must have none; "
                         "fill them in, or leave them out")
    if (given.ndim != len(shape)
            or any(n is not None and n != m for n, m in zip(shape, given.shape))):
        raise ValueError(f"{name} has shape {given.shape}: must be {wanted(shape)}")
    with np.errstate(over="ignore"):  # beyond a double is infinite, and refused as such
        return np.ascontiguousarray(given, dtype=np.float64)


def wanted(shape):
    """Return the text of a shape for a message."""
    return str(tuple("n" if n is None else n for n in shape)).replace("'", "")


def periodic(pbc, shape):
    """Return three flags per structure; one flag stands for all three directions."""
    if (type(pbc) is np.ndarray and pbc.dtype is BOOL and pbc.shape == shape
            and pbc.flags.c_contiguous):  # what it nearly always is
        return pbc.view(np.uint8)
    try:
        flags = np.asarray(pbc)
        if flags.dtype != bool:
            if flags.dtype.kind not in "iuf" or not np.isin(flags, (0, 1)).all():
                raise ValueError
            flags = flags.astype(bool)
    except ValueError:
        raise ValueError(f"pbc = {shown(pbc)}: must be True or False, one flag or three") from None
    if flags.shape not in ((), (3,), shape):
        raise ValueError(f"pbc has shape {flags.shape}: must be one flag or three")
    return np.ascontiguousarray(np.broadcast_to(flags, shape)).view(np.uint8)


cdef class Kernel:
    """Compute pair entropy sS and Steinhardt parameter Q_l for one set of parameters.

    With number density rho, grid r_k = k dr and the pair distances r_ij over all periodic images,

    - g(r) = 1 / (4 pi N rho r^2) sum_(i != j) exp(-(r - r_ij)^2 / (2 sigma^2)) / sqrt(2 pi sigma^2)
      over the pairs with r_ij < rmax + 5 sigma,
    - sS = -2 pi rho int_0^rmax [g ln g - g + 1] r^2 dr by the trapezoid rule, in k_B per atom,
    - q_lm(i) = sum_j f(r_ij) Y_lm(r_ij) / sum_j f(r_ij) over the neighbours below `q6_cutoff`,
    - ``Q_l = sqrt(4 pi / (2 l + 1) sum_m |<q_lm>|^2)``, the mean taken over all atoms.

    Two atoms in one place count as a pair at r = 0 in sS and are not neighbours in Q_l; an atom
    without neighbours has q_lm = 0. An object is immutable and may serve many threads.

    Parameters
    ----------
    rmax : float
        Upper end of the entropy integral, Å (any length unit, used throughout).
    sigma : float
        Gaussian broadening, Å.
    q6_cutoff : float
        Neighbour cutoff of the Steinhardt parameters, Å.
    dr : float, optional
        Grid spacing, Å, at most `sigma`; default sigma/4. Rounded down so that rmax/dr is whole.
    degree : int, default 6
        l of q_lm: 2, 4, 6, 8, 10 or 12.
    smooth : float, default 0
        Width, Å, of the switching below `q6_cutoff`: with u = (r - q6_cutoff + smooth) / smooth
        f = 1 - u^3 (10 - 15 u + 6 u^2) for 0 < u < 1. A hard cutoff (0) makes Q_l jump when an atom
        crosses it (Mickel et al., doi:10.1063/1.4774084).

    Raises
    ------
    TypeError
        If a parameter is not a number.
    ValueError
        If a parameter is out of range; the message names it, its value, the range and the remedy.
        Lengths must be from 1e-15 to 1e6.

    References
    ----------
    Piaggi, Valsson, Parrinello, doi:10.1103/PhysRevLett.119.015701, equations (6), (7) of the
    project's paper; Steinhardt, Nelson, Ronchetti, doi:10.1103/PhysRevB.28.784; Lechner, Dellago,
    doi:10.1063/1.2977970.

    Examples
    --------
    >>> from cython_core import Kernel
    >>> kernel = Kernel(rmax=5.7, sigma=0.25, q6_cutoff=3.5)
    >>> cell = [[0.0, 2.025, 2.025], [2.025, 0.0, 2.025], [2.025, 2.025, 0.0]]
    >>> sS, Q6 = kernel.evaluate([[0.0, 0.0, 0.0]], cell, pbc=True)
    >>> print(f"{sS:.3f} {Q6:.6f}")
    -5.712 0.574524
    """

    cdef unique_ptr[CppKernel] c
    cdef vector[PeriodicWorkspace] idle  # of finished calls; the GIL guards it

    cdef void take(self, PeriodicWorkspace &ws) noexcept:
        if not self.idle.empty():
            ws = move(self.idle.back())
            self.idle.pop_back()

    cdef int keep(self, PeriodicWorkspace &ws) except -1:
        if ws.owner.size() <= ROWS_KEPT:
            self.idle.push_back(move(ws))
        return 0

    def __cinit__(self, rmax, sigma, q6_cutoff, dr=None, degree=6, smooth=0.0):
        cdef Parameters p
        p.rmax, p.sigma = number("rmax", rmax), number("sigma", sigma)
        p.q_cutoff, p.smooth = number("q6_cutoff", q6_cutoff), number("smooth", smooth)
        p.dr = 0.0 if dr is None else number("dr", dr)
        if dr is not None and p.dr == 0.0:
            raise ValueError("dr = 0: must be a finite length above 0, or None for sigma/4")
        if not isinstance(degree, (Real, np.integer)) or degree not in (2, 4, 6, 8, 10, 12):
            raise ValueError(f"degree = {shown(degree)}: must be one of 2, 4, 6, 8, 10, 12")
        p.degree = int(degree)
        self.c.reset(new CppKernel(p))

    def __reduce__(self):
        return Kernel, tuple(self.parameters.values())

    @property
    def parameters(self):
        """All six parameters with their final values, in the order of the constructor."""
        cdef Parameters p = self.c.get().parameters()
        return {"rmax": p.rmax, "sigma": p.sigma, "q6_cutoff": p.q_cutoff, "dr": p.dr,
                "degree": p.degree, "smooth": p.smooth}

    @property
    def rmax(self):
        """Upper end of the entropy integral, Å."""
        return self.c.get().parameters().rmax

    @property
    def sigma(self):
        """Gaussian broadening, Å."""
        return self.c.get().parameters().sigma

    @property
    def dr(self):
        """Grid spacing after rounding, Å."""
        return self.c.get().parameters().dr

    @property
    def q6_cutoff(self):
        """Neighbour cutoff of the Steinhardt parameters, Å."""
        return self.c.get().parameters().q_cutoff

    @property
    def degree(self):
        """l of q_lm."""
        return self.c.get().parameters().degree

    @property
    def smooth(self):
        """Width of the switching below the neighbour cutoff, Å."""
        return self.c.get().parameters().smooth

    @property
    def pair_cutoff(self):
        """Longest pair distance that counts, rmax + 5 sigma, Å."""
        return self.c.get().pair_cutoff()

    @property
    def r(self):
        """Grid of g(r), (n_grid,) float64, Å; the last point is rmax."""
        return np.linspace(0.0, self.rmax, self.c.get().n_grid())

    @property
    def isa(self):
        """Instruction set in use: avx512, avx2 or generic; ENTSYM_ISA asks for a lower one."""
        return CppKernel.isa().decode()

    def evaluate(self, positions, cell, pbc, number_density=None, threads=1):
        """Return sS and Q_l of one structure.

        Parameters
        ----------
        positions : array_like, (n, 3)
            Å; need not lie in the cell.
        cell : array_like, (3, 3)
            Lattice vectors as rows, Å; may be smaller than the cutoffs.
        pbc : bool or array_like, (3,)
            Periodic directions.
        number_density : float, optional
            Atoms per Å^3; default n / volume, which needs three periodic directions.
        threads : int, default 1
            Results are bitwise the same for any number.

        Returns
        -------
        tuple of float
            sS in k_B per atom, Q_l.

        Raises
        ------
        ValueError
            If there are no atoms, or one atom and no periodic direction; if positions are not
            finite or are more than 1e9 cells or cutoffs away; if the cell is singular; if a
            direction is not periodic and there is no `number_density`; if the call would take too
            long or more than 1 GB, because the cell is so thin, or the atoms so dense, that there
            are millions of images or neighbours. The environment variable ENTSYM_LIMIT multiplies
            these limits.
        """
        cdef Frame frame = Frame(positions, cell, pbc, number_density)
        cdef double value[2]
        cdef PeriodicWorkspace ws
        self.take(ws)
        cdef int n_threads = threads_of(threads)
        with nogil:
            evaluate(self.c.get()[0], frame.c, value, ws, n_threads, NULL, NULL)
        self.keep(ws)
        return value[0], value[1]

    def radial_distribution(self, positions, cell, pbc, number_density=None, threads=1):
        """Return g(r) on the grid `r` and the entropy integral up to each r.

        Parameters and errors are those of `evaluate`.

        Returns
        -------
        tuple of ndarray
            g, 0 at r = 0, and the running sS in k_B, both (n_grid,) float64; the last running
            value is sS.
        """
        cdef Frame frame = Frame(positions, cell, pbc, number_density)
        cdef double value[2]
        cdef PeriodicWorkspace ws
        self.take(ws)
        cdef int n_threads = threads_of(threads)
        g = np.empty(self.c.get().n_grid())
        running = np.empty_like(g)
        cdef double[::1] g_view = g, running_view = running
        with nogil:
            evaluate(self.c.get()[0], frame.c, value, ws, n_threads, &g_view[0],
                     &running_view[0])
        self.keep(ws)
        return g, running

    def local(self, positions, cell, pbc, number_density=None, threads=1):
        """Return the values of each atom of one structure.

        Parameters and errors are those of `evaluate`.

        Returns
        -------
        dict of ndarray, each (n,) float64
            "sS": entropy of each atom's own g(r), k_B (their mean is not the global sS); "Q":
            local q_l; "mean_sS", "mean_Q": averaged over the atom and its neighbours, the latter
            through q_lm (Lechner, Dellago); "n_neighbors": the sum of f.
        """
        cdef Frame frame = Frame(positions, cell, pbc, number_density)
        cdef PeriodicWorkspace ws
        self.take(ws)
        cdef int n_threads = threads_of(threads)
        names = ("sS", "Q", "mean_sS", "mean_Q", "n_neighbors")
        out = {name: np.empty(frame.c.n_atoms) for name in names}
        if frame.c.n_atoms == 0:
            evaluate(self.c.get()[0], frame.c, NULL, ws, 1, NULL, NULL)  # raises
        cdef double[::1] s = out["sS"], s_mean = out["mean_sS"]
        cdef double[::1] q = out["Q"], q_mean = out["mean_Q"], neighbors = out["n_neighbors"]
        cdef Local local
        local.entropy, local.bond_order, local.n_neighbors = &s[0], &q[0], &neighbors[0]
        local.mean_entropy, local.mean_bond_order = &s_mean[0], &q_mean[0]
        with nogil:
            evaluate_local(self.c.get()[0], frame.c, local, ws, n_threads)
        self.keep(ws)
        return out

    def gradients(self, positions, cell, pbc, number_density=None, threads=1):
        """Return sS, Q_l and their analytic gradients.

        Parameters and errors are those of `evaluate`.

        Returns
        -------
        dict
            "sS", "Q": float; "sS_gradient", "Q_gradient": with respect to the positions, (n, 3),
            1/Å, their sums over atoms vanish; "sS_strain_gradient", "Q_strain_gradient": with
            respect to e in x -> (1 + e) x of atoms and cell, (3, 3) and symmetric. That of sS
            includes the change of the density if that comes from the cell. Those of Q_l are 0 if
            Q_l = 0; with smooth = 0 they leave out the jumps when the number of neighbours changes.
        """
        cdef Frame frame = Frame(positions, cell, pbc, number_density)
        cdef double value[2]
        cdef PeriodicWorkspace ws
        self.take(ws)
        cdef int n_threads = threads_of(threads)
        if frame.c.n_atoms == 0:
            evaluate(self.c.get()[0], frame.c, value, ws, 1, NULL, NULL)  # raises
        out = {}
        for name in ("sS_gradient", "Q_gradient"):
            out[name] = np.empty((frame.c.n_atoms, 3))
        for name in ("sS_strain_gradient", "Q_strain_gradient"):
            out[name] = np.empty((3, 3))
        cdef double[:, ::1] s = out["sS_gradient"], q = out["Q_gradient"]
        cdef double[:, ::1] s_strain = out["sS_strain_gradient"]
        cdef double[:, ::1] q_strain = out["Q_strain_gradient"]
        cdef Gradients gradients
        gradients.entropy, gradients.bond_order = &s[0, 0], &q[0, 0]
        gradients.entropy_strain = &s_strain[0, 0]
        gradients.bond_order_strain = &q_strain[0, 0]
        with nogil:
            evaluate_gradients(self.c.get()[0], frame.c, value, gradients, ws, n_threads)
        self.keep(ws)
        return {"sS": value[0], "Q": value[1], **out}

    def evaluate_batch(self, positions, offsets, cells, pbc, number_density=None, threads=1):
        """Return sS and Q_l of many structures, shared out over threads.

        Parameters
        ----------
        positions : array_like, (n_1 + ... + n_m, 3)
            Positions of all structures, one after the other, Å.
        offsets : array_like, (m + 1,)
            First row of each structure: structure k has the rows offsets[k] to offsets[k + 1].
        cells : array_like, (m, 3, 3)
            Lattice vectors as rows, Å.
        pbc : array_like, broadcast to (m, 3)
            Periodic directions.
        number_density : float or array_like (m,), optional
            Atoms per Å^3; default: from the cells.
        threads : int, default 1
            Number of threads, which share out the structures. The values are those of `evaluate`.

        Returns
        -------
        ndarray, (m, 2) float64
            sS in k_B per atom, Q_l.

        Raises
        ------
        ValueError
            As in `evaluate`, with the number of the first bad structure.
        """
        cdef const double[:, ::1] x = array(positions, (None, 3), "positions")
        cdef const double[:, :, ::1] h = array(cells, (None, 3, 3), "cells")
        cdef Py_ssize_t m = h.shape[0], k
        given = array(offsets, (None,), "offsets")
        if (given.shape != (m + 1,) or given[0] != 0 or given[m] != x.shape[0]
                or not (np.diff(given) >= 0).all() or (given != np.floor(given)).any()):
            raise ValueError(f"offsets = {np.array2string(given, threshold=6)}: must be {m + 1} "
                             f"whole numbers rising from 0 to {x.shape[0]}, the positions' number")
        rows = given.astype(np.int64)
        cdef const long long[::1] start = rows
        cdef const unsigned char[:, ::1] p = periodic(pbc, (m, 3))
        densities = np.zeros(m)
        if number_density is not None:
            if np.shape(number_density) not in ((), (m,)):
                raise ValueError(f"number_density has shape {np.shape(number_density)}: must be "
                                 f"one number or ({m},)")
            densities[:] = [density_of(d) for d in np.broadcast_to(number_density, m)]
        cdef double[::1] density = densities
        cdef int n_threads = threads_of(threads)
        cdef vector[Structure] structures
        out = np.empty((m, 2))
        if m == 0:
            return out
        structures.resize(m)
        for k in range(m):
            structures[k].n_atoms = start[k + 1] - start[k]
            structures[k].positions = &x[start[k], 0] if start[k + 1] > start[k] else NULL
            structures[k].cell = &h[k, 0, 0]
            structures[k].pbc = &p[k, 0]
            structures[k].density = density[k]
        cdef double[:, ::1] values = out
        with nogil:
            evaluate_batch(self.c.get()[0], structures.data(), m, &values[0, 0], n_threads)
        return out

    def count_pairs(self, positions, cell, pbc, number_density=None):
        """Return the number of pairs below `pair_cutoff`, each counted once: the bare traversal.

        Parameters and errors are those of `evaluate`.

        Returns
        -------
        float
            Number of pairs, images included.
        """
        cdef Frame frame = Frame(positions, cell, pbc, number_density)
        cdef PeriodicWorkspace ws
        return count_pairs(self.c.get()[0], frame.c, ws)


cdef Target target_of(point, extent, tolerance) except *:
    cdef Target target
    target.tolerance = number("tolerance", tolerance)
    for k, (p, size) in enumerate(zip(array(point, (2,), "target"), array(extent, (2,), "extent"))):
        target.point[k], target.extent[k] = p, size
    check_target(target)
    return target


def pair(name, values):
    """Return two numbers."""
    ends = [] if isinstance(values, str) or not isinstance(values, Iterable) else list(values)
    if len(ends) != 2:
        raise ValueError(f"{name} = {shown(values)}: must be two numbers, least and largest")
    return number(name, ends[0]), number(name, ends[1])


cdef class Breeder:
    """Make children of structures by mutation, optionally guided to a point of the (sS, Q_l) plane.

    The genes are applied in the order swap, D, S, V; a gene with amplitude or probability 0 is off,
    and each child gets at least one:

    - D moves each free atom with probability `rate`, at least one, by a normal displacement,
    - V and S are x -> exp(e) x of atoms and cell; V: e = identity times ln(growth) / 3, ln(growth)
      normal; S: e the traceless part of a random symmetric matrix whose distribution is the same in
      all frames of reference, so that the volume stays,
    - swap exchanges the places of two unlike free atoms.

    Frozen species keep their place in the cell, and in space where V and S are off.

    Guided children then take Newton steps of least length to the target. With the unknowns u, each
    gene over its amplitude, J the gradients of sS and Q_l by u and m what is missing, both in units
    of the window, a step is u = J^T (J J^T)^-1 m, no component longer than the trust radius. Pairs
    that come too close are pushed apart. The exact values decide whether a step is taken.

    Parameters
    ----------
    kernel : Kernel
        Definition of sS and Q_l.
    displacement : float, default 0
        Standard deviation of each component of D, Å.
    rate : float, default 0.3
        Probability of an atom to move in D.
    volume : float, default 0
        Standard deviation of ln(volume) in V, at most 1.
    shape : float, default 0
        Standard deviation in S of the diagonal strains before the trace is taken out; of the shears
        1/sqrt(2) of it. At most 1.
    swaps : int, default 0
        Exchanges per child.
    probabilities : array_like, (4,), default 0.5 each
        Probabilities of D, V, S and swap.
    min_distance : array_like, (n_species, n_species), default 0
        Shortest distance of each pair of species, Å.
    frozen : array_like, (n_species,), default none
        Species that are neither displaced nor swapped.
    volume_limits : (float, float), default (0, 1e300)
        Å^3 per atom, for structures periodic in all directions.
    angle_limits : (float, float), default (0, 180)
        Angles between periodic lattice vectors, degree.
    names : sequence of str, (n_species,), default none
        Names of the species in messages.
    attempts : int, default 20
        Number of draws after which a child that breaks limits is given up.
    smooth : float, optional
        Width of the switching below the neighbour cutoff, Å, for the gradients. Default: that of
        the kernel, or a tenth of the cutoff if that is 0.

    Raises
    ------
    ValueError
        If genes or limits are out of range or contradict each other.

    References
    ----------
    The guided step is the project's own; random numbers are xoshiro256** (Blackman, Vigna,
    doi:10.1145/3460772).

    Examples
    --------
    >>> import numpy as np
    >>> from cython_core import Breeder, Kernel
    >>> kernel = Kernel(rmax=5.7, sigma=0.25, q6_cutoff=3.5)
    >>> fcc = 4.05 * np.array([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])
    >>> x = np.concatenate([fcc, fcc + (4.05, 0.0, 0.0)])[None]
    >>> cell = np.diag([8.1, 4.05, 4.05])[None]
    >>> values = [kernel.evaluate(x[0], cell[0], True)]
    >>> breeder = Breeder(kernel, displacement=0.1)
    >>> children = breeder.breed(x, cell, values, target=(-4.0, 0.45), extent=(2.0, 0.2),
    ...                          n_children=10)
    >>> np.median(children["values"], axis=0).round(1)
    array([-4. ,  0.4])
    """

    cdef unique_ptr[CppBreeder] c
    cdef Kernel kernel, soft
    cdef size_t n_species
    cdef tuple arguments  # of the constructor

    def __cinit__(self, Kernel kernel not None, displacement=0.0, rate=0.3, volume=0.0, shape=0.0,
                  swaps=0, probabilities=(0.5, 0.5, 0.5, 0.5), min_distance=((0.0,),),
                  frozen=None, volume_limits=(0.0, 1e300), angle_limits=(0.0, 180.0), names=(),
                  attempts=20, smooth=None):
        self.kernel = self.soft = kernel
        if smooth is None:
            smooth = kernel.smooth or 0.1 * kernel.q6_cutoff
        if number("smooth", smooth) != kernel.smooth:
            self.soft = Kernel(**{**kernel.parameters, "smooth": smooth})
        cdef Genes genes
        genes.displacement, genes.rate = number("displacement", displacement), number("rate", rate)
        genes.volume, genes.shape = number("volume", volume), number("shape", shape)
        genes.swaps = whole("swaps", swaps, 0)
        for k, value in enumerate(array(probabilities, (4,), "probabilities")):
            genes.probability[k] = value
        distances = array(min_distance, (None, None), "min_distance")
        n = self.n_species = len(distances)
        flags = array(np.zeros(n) if frozen is None else frozen, (None,), "frozen") != 0
        if distances.shape != (n, n) or flags.shape != (n,) or (distances != distances.T).any():
            raise ValueError(f"min_distance has shape {distances.shape} and frozen {flags.shape}: "
                             "must be (n_species, n_species), symmetric, and (n_species,)")
        cdef Limits limits
        limits.min_distance, limits.frozen = distances.ravel().tolist(), flags.tolist()
        limits.min_volume, limits.max_volume = pair("volume_limits", volume_limits)
        limits.min_angle, limits.max_angle = pair("angle_limits", angle_limits)
        limits.attempts = whole("attempts", attempts, 1)
        if isinstance(names, str) or not isinstance(names, Iterable):
            raise ValueError(f"names = {shown(names)}: must be symbols, one for each species")
        names = [str(name) for name in names]
        limits.names = [name.encode() for name in names]
        self.arguments = (kernel, displacement, rate, volume, shape, swaps, probabilities,
                          distances, flags, volume_limits, angle_limits, names, attempts, smooth)
        self.c.reset(new CppBreeder(self.kernel.c.get()[0], self.soft.c.get()[0], genes, limits))

    def __reduce__(self):
        return Breeder, self.arguments

    cdef kinds(self, species, n_atoms):
        kinds = array(np.zeros(n_atoms) if species is None else species, (None,), "species")
        if (kinds.shape != (n_atoms,) or not (kinds >= 0).all() or (kinds != np.floor(kinds)).any()
                or (kinds >= self.n_species).any()):
            raise ValueError(f"species has shape {kinds.shape}: must be ({n_atoms},), numbers from "
                             f"0 to {int(self.n_species) - 1}")
        return kinds.astype(np.intc)

    def check(self, positions, cells, species=None, pbc=True):
        """Check that parents keep to the limits.

        Parameters
        ----------
        positions : array_like, (n, n_atoms, 3)
            The parents, Å.
        cells : array_like, (n, 3, 3)
            Lattice vectors as rows, Å.
        species : array_like, (n_atoms,), optional
            Numbers from 0; default 0 for all.
        pbc : bool or array_like, (3,)
            Periodic directions.

        Raises
        ------
        ValueError
            If the kernel refuses a parent, if a parent breaks a limit of the volume or the angles,
            if no parent keeps to the shortest distances, or if swaps are on and all free atoms are
            alike.
        """
        cdef const double[:, :, ::1] x = array(positions, (None, None, 3), "positions")
        if x.shape[0] == 0 or x.shape[1] == 0:
            raise ValueError(f"positions has shape {np.shape(positions)}: no structure or no atom; "
                             "give at least one of each")
        cdef const double[:, :, ::1] h = array(cells, (len(x), 3, 3), "cells")
        cdef const int[::1] s = self.kinds(species, x.shape[1])
        cdef const unsigned char[::1] p = periodic(pbc, (3,))
        cdef Population parents
        parents.positions, parents.cells, parents.species = &x[0, 0, 0], &h[0, 0, 0], &s[0]
        parents.n, parents.n_atoms = x.shape[0], x.shape[1]
        for k in range(3):
            parents.pbc[k] = p[k]
        self.c.get().check(parents)

    def breed(self, positions, cells, values, target, extent, n_children, species=None, pbc=True,
              number_density=None, n_library=None, n_counted=None, fresh=0.3, steps=6,
              tolerance=0.02, direct=False, seed=0, stream=(0, 0, 0), threads=1):
        """Make children of a population.

        A share `fresh` of the parents is drawn evenly from the library, the rest with weights
        1 / (d + 0.01) from the structures behind it, or from the library where there are none; d is
        the distance to the target in units of `extent`.

        Parameters
        ----------
        positions : array_like, (n, n_atoms, 3)
            The population, Å; row i is the same species in all.
        cells : array_like, (n, 3, 3)
            Lattice vectors as rows, Å.
        values : array_like, (n, 2)
            sS and Q_l.
        target : array_like, (2,)
            Target point, sS and Q_l.
        extent : array_like, (2,)
            Extents of the window, above 0.
        n_children : int
            Number of children.
        species : array_like, (n_atoms,), optional
            Numbers from 0; default 0 for all.
        pbc : bool or array_like, (3,)
            Periodic directions.
        number_density : float, optional
            As in `Kernel.evaluate`.
        n_library : int, optional
            Number of structures of the parent library, which come first. Default: all.
        n_counted : int, optional
            Number of atoms that count in sS and Q_l, which come first. Default: all.
        fresh : float, default 0.3
            Share of the children that descend from the library.
        steps : int, default 6
            Maximum number of Newton steps per child; 0 for mutation alone.
        tolerance : float, default 0.02
            Distance to the target, in units of `extent`, at which the steps end.
        direct : bool, default False
            Whether child 0 is the nearest structure, moved to the target without mutation. This
            has no effect if that structure is there already.
        seed : int, default 0
            Random seed, from 0 to 2^64 - 1.
        stream : (int, int, int)
            Numbers of this call, such as target and generation. Child k has its own random numbers
            for each seed and stream.
        threads : int, default 1
            Number of threads; the children do not depend on it.

        Returns
        -------
        dict of ndarray
            "positions" (n_children, n_atoms, 3), "cells", "values" as those of the population;
            "parent": row in the population; "genes": bits, 1 D, 2 V, 4 S, 8 swap, 16 guided;
            "evaluations": of sS and Q_l, with gradients or without; "rejected"
            (n_children, 3): draws that broke a distance, the volume, an angle; "valid": False
            if all attempts did; its values are NaN and its structure has no meaning.

        Raises
        ------
        ValueError
            If arrays do not match, if values are not finite, if swaps are on and all free atoms are
            alike, or if the children need more than 1 GB.
        """
        cdef const double[:, :, ::1] x = array(positions, (None, None, 3), "positions")
        cdef Population population
        population.n, population.n_atoms = x.shape[0], x.shape[1]
        n, n_atoms = x.shape[0], x.shape[1]
        if n == 0 or n_atoms == 0:
            raise ValueError(f"positions has shape {np.shape(positions)}: no structure or no atom; "
                             "give at least one of each")
        cdef const double[:, :, ::1] h = array(cells, (n, 3, 3), "cells")
        cdef const double[:, ::1] v = array(values, (n, 2), "values")
        cdef const int[::1] s = self.kinds(species, n_atoms)
        cdef const unsigned char[::1] p = periodic(pbc, (3,))
        population.positions, population.cells = &x[0, 0, 0], &h[0, 0, 0]
        population.values, population.species = &v[0, 0], &s[0]
        population.density = density_of(number_density)
        population.n_counted = whole("n_counted", n_atoms if n_counted is None else n_counted, 1,
                                     n_atoms)
        cdef Target aim = target_of(target, extent, tolerance)
        cdef Generation generation
        generation.n_library = whole("n_library", n if n_library is None else n_library, 1, n)
        if not 0.0 <= number("fresh", fresh) <= 1.0:
            raise ValueError(f"fresh = {fresh}: must lie between 0 and 1, a share of the children")
        generation.fresh, generation.direct = fresh, bool(direct)
        generation.steps = whole("steps", steps, 0)
        generation.seed = whole("seed", seed, 0, 2**64 - 1)
        for k, part in enumerate(wholes("stream", stream, 3)):
            population.pbc[k] = p[k]
            generation.stream[k] = part
        m = generation.n_children = whole("n_children", n_children, 0)
        CppBreeder.check_room(m, n_atoms)
        cdef int n_threads = threads_of(threads)
        out = {"positions": np.empty((m, n_atoms, 3)), "cells": np.empty((m, 3, 3)),
               "values": np.empty((m, 2))}
        dtype = np.dtype([("parent", np.uint64), ("genes", np.uint32), ("evaluations", np.uint32),
                          ("rejected", np.uint32, 3), ("valid", np.uint32)], align=True)
        records = np.zeros(m, dtype)
        cdef double[:, :, ::1] new_x = out["positions"], new_h = out["cells"]
        cdef double[:, ::1] new_v = out["values"]
        cdef unsigned char[::1] bytes = records.view(np.uint8)
        if m:
            assert dtype.itemsize == sizeof(Child)
            with nogil:
                self.c.get().breed(population, aim, generation, &new_x[0, 0, 0], &new_h[0, 0, 0],
                                   &new_v[0, 0], <Child *>&bytes[0], n_threads)
        for name in dtype.names:
            out[name] = records[name].astype(bool if name == "valid" else np.int64)
        return out


def atom_lines(names, species, positions):
    """Return the atoms of a frame of an extended XYZ file.

    Parameters
    ----------
    names : sequence of str, (n_species,)
        Chemical symbols.
    species : array_like, (n_atoms,)
        Numbers from 0.
    positions : array_like, (n_atoms, 3)
        Positions, Å.

    Returns
    -------
    bytes
        One line with symbol, x, y and z for each atom; numbers have all significant digits.
    """
    cdef vector[string] symbols = [str(name).encode() for name in names]
    cdef const int[::1] s = places_in(names, species)
    cdef const double[:, ::1] x = array(positions, (len(s), 3), "positions")
    return cpp_atom_lines(symbols, &s[0], &x[0, 0], x.shape[0]) if len(s) else b""


def places_in(names, species):
    """Return the species of atoms as whole numbers, each a place in `names`."""
    kinds = array(species, (None,), "species")
    if not ((kinds >= 0) & (kinds < len(names)) & (kinds == np.floor(kinds))).all():
        raise ValueError(f"species: must be whole numbers from 0 to {len(names) - 1}, places in "
                         "names")
    return kinds.astype(np.intc)


def fingerprint(names, species, positions, cells, pbc):
    """Return 16 hexadecimal digits that stand for structures of the same atoms.

    They are the 64-bit FNV-1a hash of symbols, periodic directions, positions and cells; the last
    digit of a coordinate counts. A library of PolymorphGen names its parents by it.

    Parameters
    ----------
    names : sequence of str, (n_species,)
        Chemical symbols.
    species : array_like, (n_atoms,)
        Numbers from 0.
    positions : array_like, (n, n_atoms, 3)
        Positions, Å.
    cells : array_like, (n, 3, 3)
        Lattice vectors as rows, Å.
    pbc : bool or array_like, (3,)
        Periodic directions.

    Returns
    -------
    str
        The digits.
    """
    cdef vector[string] symbols = [str(name).encode() for name in names]
    cdef const int[::1] s = places_in(names, species)
    if not len(s):
        raise ValueError("species: there are no atoms; give at least one")
    cdef const double[:, :, ::1] x = array(positions, (None, len(s), 3), "positions")
    if not x.shape[0]:
        raise ValueError("positions: there are no structures; give at least one")
    cdef const double[:, :, ::1] h = array(cells, (x.shape[0], 3, 3), "cells")
    cdef const unsigned char[::1] p = periodic(pbc, (3,))
    return cpp_fingerprint(symbols, &s[0], &x[0, 0, 0], &h[0, 0, 0], x.shape[0], s.shape[0],
                           &p[0]).decode()


def atom_rows(const unsigned char[::1] text, start, n, const int[::1] columns,
              const int16_t[::1] symbols, more=False):
    """Return what the rows of atoms in the text of a frame hold, if all of them are plain.

    Parameters
    ----------
    text : bytes
        Text of the frame.
    start : int
        Where the rows begin.
    n : int
        Number of rows.
    columns : (n_columns,) intc
        What each column holds: from 0, a number for that column of the result, plus 65536 if it
        must be whole; -1 any word, -2 a number and -3 a whole number, which are not kept; -4 an ID;
        -5 a symbol or a type.
    symbols : (702,) int16
        Atomic numbers by symbol, -1 for none: entry ``27 * (first - 65) + (second - 96)``, or
        ``27 * (first - 65)`` for one letter.
    more : bool
        Whether a row may have further words.

    Returns
    -------
    tuple or None
        Numbers (n, width) float64; the rows by rising ID, (n,) int64, or None if they are so;
        atomic numbers, or types as -type, (n,) int32 or None. All as in the text. None if anything
        is not as it must be, an ID is there twice, or anything but empty lines follows: a reader
        that knows more shall say what it is.
    """
    cdef size_t first = start, rows = n, k, n_columns = columns.shape[0], size = text.shape[0]
    if len(symbols) != 702:
        raise ValueError(f"symbols has {len(symbols)} entries: must have 702")
    # a row takes two characters for each word at least
    if not n_columns or first >= size or rows > (size - first) // (2 * n_columns):
        return None
    cdef int width = 0, n_ids = 0, n_kinds = 0
    for k in range(n_columns):
        width = max(width, (columns[k] & 0xffff) + 1 if columns[k] >= 0 else 0)
        n_ids += columns[k] == -4
        n_kinds += columns[k] == -5
    numbers = np.empty((rows, width))
    ids = np.empty(rows if n_ids else 0, dtype=np.int64)
    kinds = np.empty(rows if n_kinds else 0, dtype=np.int32)
    cdef double[:, ::1] x = numbers
    cdef int64_t[::1] i = ids
    cdef int32_t[::1] z = kinds
    cdef AtomRows out
    out.numbers = &x[0, 0] if rows and width else NULL
    out.width = width
    out.ids = &i[0] if rows and n_ids else NULL
    out.kinds = &z[0] if rows and n_kinds else NULL
    cdef const char *end = <const char *>&text[0] + size
    cdef const char *stop
    cdef bint may_have_more = more, sorted_by_id = True
    with nogil:
        stop = read_rows(<const char *>&text[first], end, rows, &columns[0], n_columns,
                         may_have_more, &symbols[0], out)
        if stop != NULL and not only_blank_lines(stop, end):
            stop = NULL
        if stop != NULL and n_ids:
            for k in range(1, rows):
                if i[k] <= i[k - 1]:
                    sorted_by_id = False
                    break
    if stop == NULL:
        return None
    order = None
    cdef int64_t[::1] o
    if not sorted_by_id:
        order = np.empty(rows, dtype=np.int64)
        o = order
        with nogil:
            if not order_rows(&i[0], rows, &o[0]):
                stop = NULL
        if stop == NULL:
            return None
    return numbers, order, kinds if n_kinds else None


def frame_rows(texts, starts, counts, const int[::1] columns, const int16_t[::1] symbols,
               more=False, by_id=True):
    """Return what the rows of atoms in the texts of many frames hold.

    Parameters
    ----------
    texts : (m,) sequence of bytes
        Texts of the frames.
    starts : (m,) sequence of int
        Where the rows of each begin.
    counts : (m,) sequence of int
        Numbers of rows.
    columns, symbols, more
        As in `atom_rows`.
    by_id : bool
        Whether the rows of a frame with IDs come by rising ID.

    Returns
    -------
    numbers : (n, width) float64
        Numbers of the rows of all plain frames, one frame after the other.
    kinds : (n,) int32 or None
        Their atomic numbers, or types as -type.
    plain : (m,) bool
        Which frames are; `atom_rows` would return None for the others. One without rows is not.
    """
    cdef size_t m = len(texts), k, n_columns = columns.shape[0], total = 0, first, n, size
    if len(symbols) != 702 or not n_columns or len(starts) != m or len(counts) != m:
        raise ValueError(f"{len(texts)} texts, {len(starts)} starts, {len(counts)} counts, "
                         f"{n_columns} columns and {len(symbols)} symbols: must be as many texts "
                         "as starts and counts, and 702 symbols")
    cdef vector[RowText] frames
    cdef RowText frame
    cdef bytes text
    cdef const char *begin
    cdef size_t longest = 0
    frames.reserve(m)
    for k in range(m):
        text, first, n = texts[k], starts[k], counts[k]
        begin, size = text, len(text)
        # a row takes two characters for each word at least
        if first >= size or n > (size - first) // (2 * n_columns):
            first, n = size, 0
        frame.begin, frame.end, frame.n = begin + first, begin + size, n
        frames.push_back(frame)
        total += n
        longest = max(longest, n)
    cdef int width = 0
    cdef bint has_ids = False, has_kinds = False
    for k in range(n_columns):
        width = max(width, (columns[k] & 0xffff) + 1 if columns[k] >= 0 else 0)
        has_ids = has_ids or columns[k] == -4
        has_kinds = has_kinds or columns[k] == -5
    numbers = np.empty((total, width))
    kinds = np.empty(total if has_kinds else 0, dtype=np.int32)
    plain = np.zeros(m, dtype=bool)
    if total == 0:
        return numbers, kinds if has_kinds else None, plain
    cdef vector[int64_t] ids
    ids.resize(longest if has_ids else 0)
    cdef double[:, ::1] x = numbers
    cdef int32_t[::1] z = kinds
    cdef unsigned char[::1] p = plain.view(np.uint8)
    cdef AtomRows out
    out.numbers = &x[0, 0] if width else NULL
    out.width = width
    out.ids = ids.data() if has_ids else NULL
    out.kinds = &z[0] if has_kinds else NULL
    cdef bint may_have_more = more, sort = by_id
    with nogil:
        n = read_frames(frames.data(), m, &columns[0], n_columns, may_have_more, sort, &symbols[0],
                        out, &p[0])
    return numbers[:n], kinds[:n] if has_kinds else None, plain


cdef class XyzCut:
    """Find the frames of (extended) XYZ text that comes in pieces.

    A line of digits alone begins a frame, unless it is the second of one, which is a comment; so
    does the first line that is not empty.
    """

    cdef CppXyzCut c

    def scan(self, const unsigned char[::1] text, last):
        """Return where frames begin in the lines that have not been seen.

        Parameters
        ----------
        text : bytes-like
            The text so far, less what was dropped.
        last : bool
            Whether it is complete, so that the last line needs no end.

        Returns
        -------
        list of int
            Places in the text.
        """
        cdef bint complete = last
        cdef size_t size = text.shape[0]
        self.c.starts.clear()
        if size:
            with nogil:
                self.c.scan(<const char *>&text[0], size, complete)
        return list(self.c.starts)

    def drop(self, n):
        """Forget the first characters of the text, at most those that were seen.

        Parameters
        ----------
        n : int
            Their number.
        """
        self.c.at -= min(<size_t>n, self.c.at)


cdef Window corners(window) except *:
    cdef Window w
    cdef double[::1] ends = array(window, (4,), "window")
    w.low[0], w.high[0], w.low[1], w.high[1] = ends[0], ends[1], ends[2], ends[3]
    return w


def window_of(values, expand):
    """Return the window of structures on the landscape.

    Parameters
    ----------
    values : array_like, (n, 2)
        sS and Q_l.
    expand : float
        Share of the extents by which every side moves outwards; Q_l stays within 0 and 1.

    Returns
    -------
    (float, float, float, float)
        sS_min, sS_max, Q_min, Q_max; without extent if all structures are alike.

    Raises
    ------
    ValueError
        If there are no structures, values are not finite, or `expand` is not from 0 to 1e5.
    """
    cdef const double[:, ::1] v = array(values, (None, 2), "values")
    cdef const double *first = &v[0, 0] if v.shape[0] else NULL
    cdef Window w = cpp_window_of(first, v.shape[0], number("expand", expand))
    return w.low[0], w.high[0], w.low[1], w.high[1]


def target_points(window, n, interior=False):
    """Return points spread evenly over a window.

    Parameters
    ----------
    window : (float, float, float, float)
        sS_min, sS_max, Q_min, Q_max.
    n : int
        Points along each edge, 2 or more.
    interior : bool, default False
        Whether to return all n x n points of a grid, not only those on the edges.

    Returns
    -------
    ndarray, (4 n - 4, 2) or (n^2, 2)
        sS and Q_l; sS rises from row to row, Q_l within a row. Corners come once.

    Raises
    ------
    ValueError
        If the window is not finite or has no extent, or if `n` is below 2 or makes more than 1e5
        points.
    """
    cdef vector[Point] points = cpp_target_points(corners(window), whole("n", n, 2), bool(interior))
    return np.array([(p[0], p[1]) for p in points])


cdef class Gaps:
    """List the empty cells of a window while structures fill it.

    Cells are anchored at 0, as in the multi-resolution classification. Every cell that overlaps
    with the window counts.

    Parameters
    ----------
    window : (float, float, float, float)
        sS_min, sS_max, Q_min, Q_max.
    n : int
        Number of cells along each extent of the window.

    Raises
    ------
    ValueError
        If the window is not finite or has no extent, or if `n` is below 1 or makes more than 1e5
        cells.

    Examples
    --------
    >>> import numpy as np
    >>> from cython_core import Gaps
    >>> gaps = Gaps((-1.0, 0.0, 0.0, 0.2), 2)
    >>> gaps.add([(-0.1, 0.01), (-0.8, 0.05)])
    >>> point, nearest = gaps.next()
    >>> np.round(point, 9).tolist(), nearest
    ([-0.75, 0.15], 1)
    """

    cdef unique_ptr[CppGaps] c

    def __cinit__(self, window, n):
        self.c.reset(new CppGaps(corners(window), whole("n", n, 1)))

    def add(self, values):
        """Mark the cells of structures as filled.

        Parameters
        ----------
        values : array_like, (n, 2)
            sS and Q_l of more structures; their numbers follow those of the earlier ones.
        """
        cdef const double[:, ::1] v = array(values, (None, 2), "values")
        if v.shape[0]:
            self.c.get().add(&v[0, 0], v.shape[0])

    def next(self):
        """Return the empty cell that is nearest to a structure; each is returned once.

        Returns
        -------
        ((float, float), int) or None
            sS and Q_l of the middle of the cell's part within the window, and the number of that
            structure; None if no cell is left.
        """
        cdef Point point
        cdef size_t nearest = 0
        if self.c.get().next(point, nearest):
            return (point[0], point[1]), nearest
        return None


cdef class Evolution:
    """Follow the evolution towards one target: the possible parents and the end.

    A generation descends from the parent library and from the generation before, to which elitism
    adds the nearest child so far. Structures are numbers that the caller assigns.

    Parameters
    ----------
    target : array_like, (2,)
        Target point, sS and Q_l.
    extent : array_like, (2,)
        Extents of the window, above 0.
    values : array_like, (n, 2)
        sS and Q_l of the library.
    generations : int
        Maximum number of generations.
    hits : int, optional
        Number of children that have hit the target after which the evolution ends with the
        generation. Default: all generations are made.
    elitism : bool, default False
        Whether the nearest child so far stays among the possible parents.
    tolerance : float, default 0.02
        Distance to the target, in units of `extent`, within which a child has hit it.
    pool : sequence of int, default none
        Numbers of further possible parents, which follow the library.

    Examples
    --------
    >>> from cython_core import Evolution
    >>> evolution = Evolution((-2.0, 0.3), (1.0, 0.1), [(-3.0, 0.4)], generations=5, hits=1)
    >>> evolution.take([7, 8], [(-2.5, 0.35), (-2.0, 0.3)])
    >>> evolution.pool, evolution.hits, evolution.nearest, evolution.done
    ([7, 8], 1, (-2.0, 0.3), True)
    """

    cdef unique_ptr[CppEvolution] c

    def __cinit__(self, target, extent, values, generations, hits=None, elitism=False,
                  tolerance=0.02, pool=()):
        cdef const double[:, ::1] v = array(values, (None, 2), "values")
        cdef vector[size_t] numbers = wholes("pool", pool)
        self.c.reset(new CppEvolution(target_of(target, extent, tolerance),
                                      &v[0, 0] if v.shape[0] else NULL, v.shape[0],
                                      whole("generations", generations, 1),
                                      0 if hits is None else whole("hits", hits, 1), bool(elitism),
                                      numbers))

    def take(self, structures, values):
        """Take the children of a complete generation.

        Parameters
        ----------
        structures : sequence of int
            Numbers of the children; they are the `pool` of the next generation.
        values : array_like, (n, 2)
            sS and Q_l of the children.
        """
        cdef vector[size_t] numbers = wholes("structures", structures)
        cdef const double[:, ::1] v = array(values, (numbers.size(), 2), "values")
        self.c.get().take(numbers.data(), &v[0, 0] if numbers.size() else NULL, numbers.size())

    @property
    def generation(self):
        """Number of the next generation, from 0."""
        return self.c.get().generation()

    @property
    def done(self):
        """Whether no generation is left."""
        return bool(self.c.get().done())

    @property
    def pool(self):
        """Numbers of the structures that follow the library in the population."""
        return list(self.c.get().pool())

    @property
    def n_children(self):
        """Number of children so far."""
        return self.c.get().n_children()

    @property
    def hits(self):
        """Children nearer to the target than the tolerance."""
        return self.c.get().hits()

    @property
    def nearest(self):
        """Values sS and Q_l of the nearest structure, the library included."""
        cdef Point point = self.c.get().nearest()
        return point[0], point[1]

    @property
    def distance(self):
        """Distance of the nearest structure from the target, in units of the window."""
        return self.c.get().distance()


cdef class Bias:
    """Evaluate restraints, walls and metadynamics in the two variables sS and Q_l.

    U(s) = sum_d k_d/2 (s_d - c_d)^2 + sum_walls k/2 (s - a)^2 beyond a + sum of the hills; formulas
    and conventions are in ``entsym/bias.hpp``. Step by step a host calls `begin`, `energy` and
    `visit`. Energies are in any unit, used throughout.

    Parameters
    ----------
    names : (str, str)
        Names of the variables, for messages and the header of the hills.
    restraints : array_like, (2, 2, 2)
        For each variable force constant and centre, at the start and at the end of its move.
    steps : array_like, (2, 2)
        For each variable the first and the last step of its move.
    walls : sequence of (int, bool, float, float), default none
        Variable, whether it is an upper wall, position, force constant.
    every : int, default 0
        Steps between hills; 0 is no metadynamics.
    height, temperature, boltzmann : float
        Height of the first hill, temperature, Boltzmann constant.
    bias_factor : float, default infinity
        Bias factor of well-tempered metadynamics.
    widths, spacings : (float, float)
        Widths of the hills, 0 where a variable is not biased, and spacings of their grid, 0 for a
        fifth of the width.

    Raises
    ------
    ValueError
        If a parameter is out of its range; the message names it, its value, the range, the remedy.
    """

    cdef unique_ptr[CppBias] c

    def __cinit__(self, names, restraints, steps, walls=(), every=0, height=0.0, temperature=0.0,
                  boltzmann=0.0, bias_factor=math.inf, widths=(0.0, 0.0), spacings=(0.0, 0.0)):
        cdef const double[:, :, ::1] r = array(restraints, (2, 2, 2), "restraints")
        cdef Names n
        cdef Schedule schedules[2]
        cdef vector[Wall] w
        cdef Wall wall
        cdef Metadynamics m
        cdef optional[Metadynamics] hills
        for d in range(2):
            n[d] = names[d].encode()
            schedules[d].first.constant, schedules[d].first.centre = r[d, 0, 0], r[d, 0, 1]
            schedules[d].last.constant, schedules[d].last.centre = r[d, 1, 0], r[d, 1, 1]
            schedules[d].start, schedules[d].stop = steps[d][0], steps[d][1]
        for variable, upper, position, constant in walls:
            wall.variable, wall.upper = variable, upper
            wall.position, wall.constant = position, constant
            w.push_back(wall)
        if every:
            m.every = whole("every", every, 1)
            m.height, m.temperature = number("height", height), number("temperature", temperature)
            m.boltzmann = number("boltzmann", boltzmann)
            m.bias_factor = number("bias_factor", bias_factor)
            for d in range(2):
                m.width[d] = number(f"width of {names[d]}", widths[d])
                m.spacing[d] = number(f"spacing of {names[d]}", spacings[d])
            hills = m
        self.c.reset(new CppBias(n, schedules, w, hills))

    def acts_on(self, variable):
        """Return whether the energy depends on variable 0 or 1."""
        return bool(self.c.get().acts_on(variable))

    def begin(self, step):
        """Set the restraints of a step; a hill of an earlier step counts from now on."""
        self.c.get().begin(step)

    def energy(self, values):
        """Return U and its slopes.

        Parameters
        ----------
        values : array_like, (2,)
            The variables.

        Returns
        -------
        (float, (float, float))
            Energy, and its derivatives by the variables.
        """
        cdef double s[2]
        cdef double slope[2]
        s[0], s[1] = values
        cdef double U = self.c.get().energy(s, slope)
        return U, (slope[0], slope[1])

    def visit(self, step, values):
        """Count work and make a hill if it is time; return its line for the file, or None."""
        cdef double s[2]
        s[0], s[1] = values
        cdef const Hill *hill = self.c.get().visit(step, s)
        return None if hill == NULL else hill_line(hill[0])

    def settle(self, step, values):
        """Start at a step: restraints that have changed since the last one change here."""
        cdef double s[2]
        s[0], s[1] = values
        self.c.get().settle(step, s)

    @property
    def centres(self):
        """Centres of the restraints."""
        return self.c.get().restraint(0).centre, self.c.get().restraint(1).centre

    @property
    def work(self):
        """Work of the changes of the restraints so far."""
        return self.c.get().work()

    @property
    def hill_energy(self):
        """Sum of the hills in the last energy."""
        return self.c.get().hill_energy()

    @property
    def height(self):
        """Height of the last hill."""
        return self.c.get().height()

    @property
    def offset(self):
        """Offset c(t) of the hills: a configuration has the weight exp((V - c) / kT)."""
        return self.c.get().offset()

    @property
    def n_hills(self):
        """Number of hills, those of other walkers included."""
        return self.c.get().n_hills()

    @property
    def hills(self):
        """Hills of this run, (n, 4): step, the variables, height."""
        cdef vector[Hill] own = self.c.get().own_hills()
        return hill_rows(own)

    def define(self, **entries):
        """Set what the hills depend on besides their own parameters: text by name."""
        cdef vector[Entry] all
        for name, value in entries.items():
            all.push_back(Entry(<string>name.encode(), exact_text(value)))
        self.c.get().define(all)

    @property
    def header(self):
        """First lines of a file of hills, bytes."""
        return self.c.get().header()

    @property
    def state(self):
        """What another run needs to continue, (n,): work, last step, hills of this run."""
        return np.array(self.c.get().state())

    def restore(self, state):
        """Continue from a `state` of the same bias; return whether it has hills."""
        cdef vector[double] numbers
        for number in array(state, (None,), "state"):
            numbers.push_back(number)
        if numbers.size() < 10 or (numbers.size() - 10) % 4:
            raise ValueError(f"state: has {numbers.size()} numbers; use that of a bias")
        return bool(self.c.get().restore(numbers))

    @staticmethod
    def line(hill):
        """Return the line of a hill, (4,): step, the variables, height."""
        cdef Hill h
        h.step, h.height = <int64_t>hill[0], hill[3]
        h.centre[0], h.centre[1] = hill[1], hill[2]
        return hill_line(h)

    def read(self, text, headed=True, most=None):
        """Return the hills of a file, or of the text that follows in it.

        Parameters
        ----------
        text : bytes
            Text that starts with a line.
        headed : bool
            Whether it starts with the header, which is then compared with that of this bias.
        most : int, optional
            Largest number of hills. Default: all.

        Returns
        -------
        ((n, 4) ndarray, int)
            Step, the variables and height of each, and the place behind the last whole line, 0
            without a whole header.

        Raises
        ------
        ValueError
            If a line is not a hill, or the header is that of another bias.
        """
        cdef size_t end = 0
        cdef vector[Hill] found = self.c.get().read(
            text, bool(headed), end, <size_t>-1 if most is None else <size_t>most
        )
        return hill_rows(found), end

    def add(self, hills, own=True):
        """Add hills of an earlier run, or with ``own=False`` of other walkers, (n, 4)."""
        cdef const double[:, ::1] rows = array(hills, (None, 4), "hills")
        cdef vector[Hill] all
        cdef Hill hill
        for k in range(rows.shape[0]):
            hill.step, hill.height = <int64_t>rows[k, 0], rows[k, 3]
            hill.centre[0], hill.centre[1] = rows[k, 1], rows[k, 2]
            all.push_back(hill)
        self.c.get().add(all, bool(own))

    def forget_others(self):
        """Remove the hills of other walkers."""
        self.c.get().forget_others()


cdef hill_rows(const vector[Hill] &hills):
    rows = np.empty((hills.size(), 4))
    cdef double[:, ::1] view = rows
    cdef size_t k
    for k in range(hills.size()):
        view[k, 0], view[k, 3] = <double>hills[k].step, hills[k].height
        view[k, 1], view[k, 2] = hills[k].centre[0], hills[k].centre[1]
    return rows


cdef string exact_text(value):
    """Return a number as the core writes it, with all digits and no more; other values as text."""
    cdef string text
    if isinstance(value, (float, np.floating)):
        append_digits(text, value)
        return text
    return str(value).encode()
