# SPDX-License-Identifier: BSD-3-Clause
"""Pair entropy and Steinhardt parameters straight from their equations: the slow oracle.

Nothing here is shared with the compiled kernel: images are found by trying every lattice
translation, Gaussians are summed pair by pair and grid point by grid point, spherical harmonics
come from SciPy and the gradient of :math:`Q_l` from the addition theorem. Memory grows with the
number of pairs times the number of grid points, so a few hundred atoms are the practical limit.
Arguments are not checked.

Equation numbers follow the paper: (1) :math:`q_{lm}(i)`, (3) local :math:`q_l`, (4) and (5) global
:math:`Q_l`, (6) pair entropy, (7) broadened radial distribution. Sources: P. M. Piaggi, O. Valsson,
M. Parrinello, `doi:10.1103/PhysRevLett.119.015701`; P. J. Steinhardt, D. R. Nelson, M. Ronchetti,
`doi:10.1103/PhysRevB.28.784`; W. Lechner, C. Dellago, `doi:10.1063/1.2977970`.
"""

from itertools import product

import numpy as np
from scipy.special import eval_legendre, sph_harm_y

#: Pairs up to ``rmax + REACH * sigma`` count.
REACH = 5.0


def translations(cell, pbc, reach):
    """List every lattice translation that can bring two atoms of one cell within `reach`.

    Parameters
    ----------
    cell : (3, 3) array_like
        Lattice vectors as rows, Å. Rows of aperiodic directions are ignored.
    pbc : (3,) array_like of bool
        Periodic directions.
    reach : float
        Largest distance of interest, Å, between atoms whose fractional coordinates differ by less
        than one along the periodic directions.

    Returns
    -------
    (n_translations, 3) float64
        Translation vectors, Å; the zero vector is among them.
    """
    periodic = np.asarray(cell, dtype=float)[np.asarray(pbc, dtype=bool)]
    if len(periodic) == 0:
        return np.zeros((1, 3))
    # rows of the pseudo-inverse are the reciprocal vectors: 1 / length = distance of lattice planes
    heights = 1.0 / np.linalg.norm(np.linalg.pinv(periodic), axis=0)
    counts = [int(np.floor(reach / height)) + 1 for height in heights]
    steps = product(*(range(-count, count + 1) for count in counts))
    return np.array(list(steps), dtype=float) @ periodic


def pair_list(positions, cell, pbc, cutoff):
    """List all ordered pairs closer than `cutoff`, over all images, by brute force.

    A pair of an atom and its own image counts. A pair of two different atoms at the same position
    counts with zero distance. An atom paired with itself does not count.

    Parameters
    ----------
    positions : (n_atoms, 3) array_like
        Positions, Å, inside or outside the cell.
    cell, pbc : array_like
        As for `translations`.
    cutoff : float
        Pairs with a distance below it are listed, Å.

    Returns
    -------
    i, j : (n_pairs,) int64
        Centre and neighbour.
    D : (n_pairs, 3) float64
        ``positions[j] - positions[i] + S @ cell``, Å.

    Examples
    --------
    >>> i, j, D = pair_list([[0.0, 0.0, 0.0]], 2.0 * np.eye(3), [True, True, True], 2.1)
    >>> len(i), np.linalg.norm(D, axis=1).max()
    (6, np.float64(2.0))
    """
    positions = np.asarray(positions, dtype=float)
    pbc = np.asarray(pbc, dtype=bool)
    if pbc.any() and len(positions):
        periodic = np.asarray(cell, dtype=float)[pbc]
        positions = positions - np.floor(positions @ np.linalg.pinv(periodic)) @ periodic
    found = []
    for shift in translations(cell, pbc, cutoff):
        D = positions[None, :, :] - positions[:, None, :] + shift
        close = (D**2).sum(axis=2) < cutoff**2
        if not shift.any():
            np.fill_diagonal(close, False)
        i, j = np.nonzero(close)
        found.append((i, j, D[i, j]))
    i, j, D = (np.concatenate(part) for part in zip(*found, strict=True))
    return i, j, D


def switching(r, q6_cutoff, smooth):
    """Return the weight of a neighbour at distance `r` and its derivative.

    The weight is 1 up to ``q6_cutoff - smooth`` and 0 from `q6_cutoff` on. In between it is
    ``f = 1 - u^3 (10 - 15 u + 6 u^2)`` with ``u = (r - q6_cutoff + smooth) / smooth``, whose first
    and second derivatives vanish at both ends. ``smooth = 0`` is the hard cutoff.

    Parameters
    ----------
    r : (n,) array_like
        Distances, Å.
    q6_cutoff, smooth : float
        Cutoff and width of the switching, Å.

    Returns
    -------
    f, df_dr : (n,) float64
        Weight and its derivative, 1/Å.

    Examples
    --------
    >>> switching([2.0, 3.25, 3.5], q6_cutoff=3.5, smooth=0.5)[0].tolist()
    [1.0, 0.5, 0.0]
    """
    r = np.asarray(r, dtype=float)
    if smooth == 0:
        return (r < q6_cutoff).astype(float), np.zeros_like(r)
    u = np.clip((r - q6_cutoff + smooth) / smooth, 0.0, 1.0)
    return 1 - u**3 * (10 - 15 * u + 6 * u**2), -30 * u**2 * (1 - u) ** 2 / smooth


def _x_ln_x(x):
    """Return ``x ln x``, which is 0 at 0."""
    return np.where(x > 0, x * np.log(np.where(x > 0, x, 1.0)), 0.0)


class Reference:
    """Slow oracle with the interface of `cython_core.Kernel`.

    Parameters
    ----------
    rmax : float
        Upper end of the entropy integral, Å.
    sigma : float
        Gaussian broadening of the radial distribution, Å.
    q6_cutoff : float
        Neighbour cutoff of the Steinhardt parameters, Å.
    dr : float, optional
        Grid spacing, Å, rounded down so that ``rmax / dr`` is whole. Default ``sigma / 4``.
    degree : int
        Even degree l.
    smooth : float
        Width of the switching below `q6_cutoff`, Å; 0 is a hard cutoff.

    Examples
    --------
    >>> fcc = 2.025 * np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0]])
    >>> oracle = Reference(rmax=5.7, sigma=0.25, q6_cutoff=3.5)
    >>> sS, Q6 = oracle.evaluate(np.zeros((1, 3)), fcc, (True, True, True))
    >>> print(f"{sS:.3f} {Q6:.6f}")
    -5.712 0.574524
    """

    def __init__(self, rmax, sigma, q6_cutoff, dr=None, degree=6, smooth=0.0):
        self.rmax, self.sigma, self.q6_cutoff = float(rmax), float(sigma), float(q6_cutoff)
        self.degree, self.smooth = int(degree), float(smooth)
        # a ratio that misses a whole number by rounding alone is that number
        n_intervals = int(np.ceil(self.rmax / (dr or self.sigma / 4) * (1 - 1e-12)))
        self.dr = self.rmax / n_intervals
        self.r = self.dr * np.arange(n_intervals + 1)
        self.pair_cutoff = self.rmax + REACH * self.sigma
        self._weights = np.full(n_intervals + 1, self.dr)  # trapezoid
        self._weights[[0, -1]] /= 2

    @property
    def parameters(self):
        """Parameters in use, with `dr` rounded.

        Returns
        -------
        dict
            The arguments of the constructor.
        """
        names = ("rmax", "sigma", "dr", "q6_cutoff", "degree", "smooth")
        return {name: getattr(self, name) for name in names}

    @staticmethod
    def _density(n_atoms, cell, number_density):
        if number_density is not None:
            return number_density
        return n_atoms / abs(np.linalg.det(np.asarray(cell, dtype=float)))

    # --- entropy ---------------------------------------------------------------------------------

    def _gaussians(self, distances):
        """Return the normalised Gaussian of each distance on the grid, (n_pairs, n_grid), 1/Å."""
        z = (self.r[None, :] - distances[:, None]) / self.sigma
        return np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi * self.sigma**2)

    def _g(self, kernel_sum, n_centres, density):
        """Turn summed Gaussians into equation (7); g = 0 at r = 0."""
        shell = 4 * np.pi * n_centres * density * self.r[1:] ** 2
        return np.concatenate([[0.0], kernel_sum[1:] / shell])

    def _integrand(self, g, density):
        """Return the integrand of equation (6) with its prefactor, (n_grid,)."""
        return -2 * np.pi * density * (_x_ln_x(g) - g + 1) * self.r**2

    def radial_distribution(self, positions, cell, pbc, number_density=None, threads=1):
        """Compute g(r) and the entropy integral up to each r.

        Parameters
        ----------
        positions : (n_atoms, 3) array_like
            Positions, Å.
        cell, pbc : array_like
            Lattice vectors as rows, Å, (3, 3), and periodic directions, (3,).
        number_density : float, optional
            Atoms per Å^3. Default: number of atoms over the volume of the cell.
        threads : int
            Ignored.

        Returns
        -------
        g, running : (n_grid,) float64
            Equation (7) on the grid `r`, and (6) up to each of its points, k_B.
        """
        n = len(positions)
        density = self._density(n, cell, number_density)
        _, _, D = pair_list(positions, cell, pbc, self.pair_cutoff)
        g = self._g(self._gaussians(np.linalg.norm(D, axis=1)).sum(axis=0), n, density)
        f = self._integrand(g, density)
        running = np.concatenate([[0.0], np.cumsum((f[1:] + f[:-1]) / 2 * self.dr)])
        return g, running

    def _local_entropy(self, positions, cell, pbc, density):
        """Return equation (6) with each atom's own g(r): (7) without the average over i."""
        i, _, D = pair_list(positions, cell, pbc, self.pair_cutoff)
        gaussians = self._gaussians(np.linalg.norm(D, axis=1))
        values = []
        for atom in range(len(positions)):
            g = self._g(gaussians[i == atom].sum(axis=0), 1, density)
            values.append(self._weights @ self._integrand(g, density))
        return np.array(values)

    def _entropy_gradient(self, positions, cell, pbc, number_density):
        """Return the derivatives of the trapezoid sum with respect to positions and strain."""
        n = len(positions)
        density = self._density(n, cell, number_density)
        i, j, D = pair_list(positions, cell, pbc, self.pair_cutoff)
        r = np.linalg.norm(D, axis=1)
        gaussians = self._gaussians(r)
        g = self._g(gaussians.sum(axis=0), n, density)
        log_g = np.log(np.where(g > 0, g, 1.0))
        # d sS / d g_k = -2 pi rho w_k r_k^2 ln g_k and d g_k / d r_ij = K' / (4 pi N rho r_k^2)
        slope = gaussians * (self.r[None, :] - r[:, None]) / self.sigma**2
        ds_dr = slope @ (-self._weights * log_g) / (2 * n)
        apart = r > 0  # the direction of a coincident pair is undefined: it gives no force
        ds_dD = np.zeros_like(D)
        ds_dD[apart] = (ds_dr[apart] / r[apart])[:, None] * D[apart]
        gradient, strain = _collect(n, i, j, D, ds_dD)
        if number_density is None:  # straining the cell changes rho as well: d ln rho = -tr(e)
            dlnrho = -2 * np.pi * density * (self._weights @ ((1 - g) * self.r**2))
            strain -= dlnrho * np.eye(3)
        return gradient, strain

    # --- bond order ------------------------------------------------------------------------------

    def _bonds(self, positions, cell, pbc):
        """Return i, j, D, r, f, df/dr of all neighbours; coincident atoms are not neighbours."""
        i, j, D = pair_list(positions, cell, pbc, self.q6_cutoff)
        r = np.linalg.norm(D, axis=1)
        apart = r > 0
        i, j, D, r = i[apart], j[apart], D[apart], r[apart]
        return i, j, D, r, *switching(r, self.q6_cutoff, self.smooth)

    def _qlm(self, positions, cell, pbc):
        """Return equation (1), complex (n_atoms, 2l+1), and the sum of weights (n_atoms,)."""
        i, _, D, r, f, _ = self._bonds(positions, cell, pbc)
        polar, azimuth = np.arccos(np.clip(D[:, 2] / r, -1, 1)), np.arctan2(D[:, 1], D[:, 0])
        orders = np.arange(-self.degree, self.degree + 1)
        Y = sph_harm_y(self.degree, orders[None, :], polar[:, None], azimuth[:, None])
        qlm = np.zeros((len(positions), 2 * self.degree + 1), dtype=complex)
        n_neighbors = np.zeros(len(positions))
        np.add.at(qlm, i, f[:, None] * Y)
        np.add.at(n_neighbors, i, f)
        some = n_neighbors > 0
        qlm[some] /= n_neighbors[some, None]
        return qlm, n_neighbors

    def _order(self, qlm):
        """Return equation (3), or (4) for averaged components, over the last axis."""
        return np.sqrt(4 * np.pi / (2 * self.degree + 1) * (abs(qlm) ** 2).sum(axis=-1))

    def _bond_gradient(self, positions, cell, pbc):
        r"""Return the derivatives of Q_l with respect to positions and strain.

        By the addition theorem equation (4) is :math:`Q_l^2 = \sum_{bb'} w_b w_{b'} P_l(n_b \cdot
        n_{b'})` over all bonds b with :math:`w_b = f_b / (N \sum_{b \in i} f_b)`.
        """
        n = len(positions)
        i, j, D, r, f, df = self._bonds(positions, cell, pbc)
        if len(r) == 0:
            return np.zeros((n, 3)), np.zeros((3, 3))
        total = np.bincount(i, weights=f, minlength=n)[i]
        w = f / (n * total)
        direction = D / r[:, None]
        cosine = np.clip(direction @ direction.T, -1, 1)
        P = eval_legendre(self.degree, cosine)
        # (1 - x^2) P_l' = l (P_{l-1} - x P_l); the limit at x = +-1 is (+-1)^(l+1) l (l+1) / 2
        sine2 = 1 - cosine**2
        end = np.sign(cosine) ** (self.degree + 1) * self.degree * (self.degree + 1) / 2
        dP = np.where(
            sine2 > 1e-7,
            self.degree
            * (eval_legendre(self.degree - 1, cosine) - cosine * P)
            / np.where(sine2 > 1e-7, sine2, 1.0),
            end * (1 - sine2 * ((self.degree - 1) * (self.degree + 2)) / 8),
        )
        Q = np.sqrt(w @ P @ w)
        if Q < 1e-9:  # not differentiable at 0
            return np.zeros((n, 3)), np.zeros((3, 3))
        # turn of the bond, perpendicular to it
        turn = w[:, None] * ((dP * w) @ direction)
        turn -= (turn * direction).sum(axis=1)[:, None] * direction
        # stretch of the bond, through the weights
        dQ2_dw = P @ w
        mean = np.bincount(i, weights=f * dQ2_dw, minlength=n)[i] / total
        stretch = df / (n * total) * (dQ2_dw - mean)
        dQ_dD = (turn / r[:, None] + stretch[:, None] * direction) / Q
        return _collect(n, i, j, D, dQ_dD)

    # --- public ----------------------------------------------------------------------------------

    def evaluate(self, positions, cell, pbc, number_density=None, threads=1):
        """Compute the two global order parameters.

        Parameters
        ----------
        positions : (n_atoms, 3) array_like
            Positions, Å.
        cell, pbc : array_like
            Lattice vectors as rows, Å, (3, 3), and periodic directions, (3,).
        number_density : float, optional
            Atoms per Å^3. Default: number of atoms over the volume of the cell.
        threads : int
            Ignored.

        Returns
        -------
        sS, Q : float
            Equation (6), k_B per atom, and equation (4).
        """
        _, running = self.radial_distribution(positions, cell, pbc, number_density)
        qlm, _ = self._qlm(positions, cell, pbc)
        return float(running[-1]), float(self._order(qlm.mean(axis=0)))

    def local(self, positions, cell, pbc, number_density=None, threads=1):
        """Compute the order parameters of each atom.

        Parameters
        ----------
        positions : (n_atoms, 3) array_like
            Positions, Å.
        cell, pbc : array_like
            Lattice vectors as rows, Å, (3, 3), and periodic directions, (3,).
        number_density : float, optional
            Atoms per Å^3. Default: number of atoms over the volume of the cell.
        threads : int
            Ignored.

        Returns
        -------
        dict of str to (n_atoms,) float64
            "sS": equation (6) with each atom's own g(r), k_B; "Q": equation (3); "mean_sS" and
            "mean_Q": after averaging the entropy and q_lm over each atom and its neighbours;
            "n_neighbors": sum of the neighbours' weights.
        """
        n = len(positions)
        density = self._density(n, cell, number_density)
        sS = self._local_entropy(positions, cell, pbc, density)
        qlm, n_neighbors = self._qlm(positions, cell, pbc)
        i, j, _, _, f, _ = self._bonds(positions, cell, pbc)
        W = np.eye(n)
        np.add.at(W, (i, j), f)
        W /= W.sum(axis=1, keepdims=True)
        return {
            "sS": sS,
            "Q": self._order(qlm),
            "mean_sS": W @ sS,
            "mean_Q": self._order(W @ qlm),
            "n_neighbors": n_neighbors,
        }

    def gradients(self, positions, cell, pbc, number_density=None, threads=1):
        """Compute the two global order parameters and their derivatives.

        Parameters
        ----------
        positions : (n_atoms, 3) array_like
            Positions, Å.
        cell, pbc : array_like
            Lattice vectors as rows, Å, (3, 3), and periodic directions, (3,).
        number_density : float, optional
            Atoms per Å^3. Default: number of atoms over the volume of the cell.
        threads : int
            Ignored.

        Returns
        -------
        dict
            "sS", "Q": the values; "sS_gradient", "Q_gradient": (n_atoms, 3), 1/Å, by positions;
            "sS_strain_gradient", "Q_strain_gradient": (3, 3), by a strain of atoms and cell.
        """
        sS, Q = self.evaluate(positions, cell, pbc, number_density)
        sS_gradient, sS_strain = self._entropy_gradient(positions, cell, pbc, number_density)
        Q_gradient, Q_strain = self._bond_gradient(positions, cell, pbc)
        return {
            "sS": sS,
            "Q": Q,
            "sS_gradient": sS_gradient,
            "Q_gradient": Q_gradient,
            "sS_strain_gradient": sS_strain,
            "Q_strain_gradient": Q_strain,
        }

    def evaluate_batch(self, positions, offsets, cells, pbc, number_density=None, threads=1):
        """Compute the two global order parameters of many structures.

        Parameters
        ----------
        positions : (n_all, 3) array_like
            Positions of all structures one after the other, Å.
        offsets : (n_structures + 1,) array_like of int
            First row of each structure: structure k has the rows offsets[k] to offsets[k + 1].
        cells, pbc : array_like
            Lattice vectors, (n_structures, 3, 3), Å, and periodic directions, (n_structures, 3).
        number_density : float or (n_structures,) array_like, optional
            Atoms per Å^3. Default: number of atoms over the volume of the cell.
        threads : int
            Ignored.

        Returns
        -------
        (n_structures, 2) float64
            sS and Q_l.
        """
        m = len(offsets) - 1
        densities = [None] * m if number_density is None else np.broadcast_to(number_density, m)
        return np.array(
            [
                self.evaluate(
                    positions[offsets[k] : offsets[k + 1]], cells[k], pbc[k], densities[k]
                )
                for k in range(m)
            ]
        ).reshape(m, 2)


def _collect(n, i, j, D, dv_dD):
    """Add up the derivatives of a value with respect to each D = r_j - r_i + S cell.

    Returns
    -------
    gradient : (n, 3) float64
        With respect to positions, 1/Å.
    strain : (3, 3) float64
        With respect to a strain e of atoms and cell, x -> (1 + e) x; symmetric.
    """
    gradient = np.zeros((n, 3))
    np.add.at(gradient, j, dv_dD)
    np.subtract.at(gradient, i, dv_dD)
    strain = dv_dD.T @ D
    return gradient, (strain + strain.T) / 2
