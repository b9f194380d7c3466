// SPDX-License-Identifier: BSD-3-Clause
// The public interface of the kernel: pair entropy and Steinhardt parameters of atoms whose periodic
// images, if any, are listed explicitly. No Python, NumPy, LAMMPS or MPI in here.
//
//   (6) sS = -2 pi rho * integral_0^rmax [g ln g - g + 1] r^2 dr           trapezoid rule
//   (7) g(r) = 1/(4 pi N rho r^2) sum_{i != j} exp(-(r - r_ij)^2 / 2 sigma^2) / sqrt(2 pi sigma^2)
//   (1) q_lm(i) = sum_j f(r_ij) Y_lm(r_ij) / sum_j f(r_ij)                 f = 1 below q_cutoff
//   (4) Q_l = sqrt(4 pi/(2l+1) sum_m |<q_lm>|^2), <> over all atoms
//
// Sources: Piaggi, Valsson, Parrinello, PRL 119, 015701 (2017); Steinhardt, Nelson, Ronchetti,
// PRB 28, 784 (1983); Lechner, Dellago, JCP 129, 114707 (2008).
#ifndef ENTSYM_KERNEL_HPP
#define ENTSYM_KERNEL_HPP

#include <cstddef>
#include <memory>
#include <vector>

#include "parameters.hpp"

namespace entsym {

/// Atoms as a host lists them: first its `n_owned` own atoms, then ghosts, which are images or atoms of
/// other ranks. Only atoms that count are listed; the host makes a selection.
///
/// Without `owner` every image within reach is listed, so that a pair of an owned atom and a ghost is
/// met from both ends (LAMMPS). With `owner`, for Kernel::sums, of each pair of opposite images one is
/// listed, and owner[k] is the owned atom that row k repeats.
struct Atoms {
  const double *x;          ///< (n_total, 3), row-major
  std::size_t n_owned;      ///< rows that are centres
  std::size_t n_total;      ///< rows that are neighbours of them
  const unsigned *owner;    ///< (n_total,) or null
};

/// Scratch memory, kept between calls so that small structures cost no allocation. One per thread
/// of the caller; contents are meaningless between calls.
struct Workspace {
  Workspace();
  ~Workspace();
  Workspace(Workspace &&) noexcept;
  Workspace &operator=(Workspace &&) noexcept;
  struct Impl;
  std::unique_ptr<Impl> impl;
};

/// Result of the entropy integral; see Kernel::entropy.
struct Entropy {
  double value;     ///< sS in k_B per atom
  double dlnrho;    ///< d sS / d ln rho at fixed distances: -2 pi rho integral (1 - g) r^2 dr
};

/// Gradients with respect to the position of every owned atom, and to the strain: the change under
/// x -> (1 + e) x of atoms and cell, to first order sum_ab strain_ab e_ab.
struct Gradients {
  double *entropy, *bond_order;                  ///< (n_owned, 3)
  double *entropy_strain, *bond_order_strain;    ///< (3, 3)
};

/// Tables for one set of parameters. Immutable after construction, so one object serves all threads.
/// `threads` splits one call; the split does not depend on it, so results are bitwise the same.
class Kernel {
 public:
  /// @throws std::invalid_argument from Parameters::validate
  explicit Kernel(const Parameters &parameters);
  ~Kernel();
  Kernel(const Kernel &) = delete;
  Kernel &operator=(const Kernel &) = delete;

  const Parameters &parameters() const { return p_; }
  double pair_cutoff() const { return p_.pair_cutoff(); }
  int n_grid() const { return p_.n_grid(); }
  int n_components() const { return p_.n_components(); }
  std::size_t n_moments() const;    ///< length of the pair histogram
  static const char *isa();         ///< instruction set in use: "avx512", "avx2" or "generic"

  // --- global: partial sums over the owned atoms, to be added over ranks, then the value ---------

  /// Both sums in one walk, overwritten. `moments` (n_moments(),): the pair histogram; coincident
  /// atoms count as a pair at r = 0. `qlm` (2l+1,), or null if it is not needed: sum_i q_lm(i) over
  /// the owned atoms as real components: m = 0, then sqrt(2) Re, sqrt(2) Im for m = 1 ... l, so that
  /// the sum of squares is sum_m |.|^2 over -l ... l. An atom without neighbours has q_lm = 0; a
  /// coincident atom is not a neighbour. `n_neighbors` (n_owned,), or null: as local_values gives it.
  void sums(const Atoms &atoms, double *moments, double *qlm, Workspace &ws, int threads = 1,
            double *n_neighbors = nullptr) const;
  /// sS from the complete histogram of `n_atoms` atoms at number density `density`.
  /// `g` and `running` (n_grid(),) may be null: g_m(r_k), 0 at r = 0, and the integral up to r_k.
  Entropy entropy(const double *moments, double n_atoms, double density, Workspace &ws,
                  double *g = nullptr, double *running = nullptr) const;

  /// sqrt(4 pi/(2l+1) sum_m (qlm_m / scale)^2): Q_l with scale = number of atoms, local q_l with 1.
  double bond_order(const double *qlm, double scale = 1.0) const;

  // --- per atom -----------------------------------------------------------------------------------

  /// Values of the owned atoms in one walk. `entropy` (n_owned,), or null if it is not needed: sS of
  /// each one's own g(r), (7) without the sum over i and the 1/N, in k_B. `qlm` (n_owned, 2l+1):
  /// q_lm(i). `n_neighbors` (n_owned,): the sum of f, whole for smooth = 0.
  void local_values(const Atoms &atoms, double density, double *entropy, double *qlm,
                    double *n_neighbors, Workspace &ws, int threads = 1) const;
  /// Means over each owned atom and its neighbours within q_cutoff, (v_i + sum_j f v_j) /
  /// (1 + sum_j f), from the values of all listed atoms: of `entropy` (n_total,) into
  /// `mean_entropy` (n_owned,); of `qlm` (n_total, 2l+1), whose bond_order (Lechner-Dellago) goes
  /// into `mean_bond_order` (n_owned,). Atoms and workspace are those of the last local_values(),
  /// which lists the neighbours.
  void neighbor_means(const Atoms &atoms, const double *entropy, const double *qlm,
                      double *mean_entropy, double *mean_bond_order, Workspace &ws,
                      int threads = 1) const;

  // --- gradients ------------------------------------------------------------------------------------

  /// Gradients of sS from the complete histogram, and of Q_l from its complete sum `qlm_sum`, in one
  /// walk over pairs. `n_neighbors` (n_owned,): as local_values gives it. `qlm` (n_owned, 2l+1):
  /// q_lm where smooth > 0, else it may be null. Without `owner` in `atoms`, both have the rows of
  /// ghosts too, and the strain is this rank's share. With `qlm_sum` null that of Q_l is zero, as
  /// it is for Q_l = 0 (not differentiable there). The density term -dlnrho * identity is the host's.
  /// `sorted`: atoms and workspace are those of the last call, which was sums() with `qlm`.
  void gradients(const Atoms &atoms, const double *moments, double n_atoms, double density,
                 const double *qlm_sum, const double *qlm, const double *n_neighbors,
                 const Gradients &, Workspace &ws, int threads = 1, bool sorted = false) const;

  /// Number of pairs that `sums` would deposit: the bare traversal, for tests and benchmarks.
  double count_pairs(const Atoms &atoms, Workspace &ws) const;

  struct Tables;

 private:
  Parameters p_;
  std::unique_ptr<Tables> t_;
};

}    // namespace entsym
#endif
