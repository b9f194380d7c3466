// SPDX-License-Identifier: BSD-3-Clause
// Structures in a periodic cell, for hosts without ghost atoms: makes the images that the kernel needs,
// for any triclinic cell, any periodicity, and cells far smaller than the cutoffs.
#ifndef ENTSYM_PERIODIC_HPP
#define ENTSYM_PERIODIC_HPP

#include <vector>

#include "kernel.hpp"

namespace entsym {

struct Structure {
  const double *positions;    ///< (n_atoms, 3)
  std::size_t n_atoms;
  const double *cell;          ///< (3, 3), rows are the lattice vectors
  const unsigned char *pbc;    ///< (3,)
  double density;              ///< atoms per volume; <= 0 stands for n_atoms / cell volume
};

/// Scratch memory, kept between calls so that small structures cost no allocation; one per thread of
/// the caller.
struct PeriodicWorkspace {
  Workspace kernel;
  std::vector<double> x, fraction, moments, qlm, n_neighbors;
  double qlm_sum[Parameters::max_components];
  Entropy entropy;    // of the last evaluate(), whose histogram is in `moments`
  std::vector<unsigned> owner;
  std::vector<unsigned char> decided;
};

struct Local {
  double *entropy, *bond_order, *mean_entropy, *mean_bond_order, *n_neighbors;    ///< (n_atoms,)
};
/// All of these throw std::invalid_argument for no atoms, a single atom without a periodic direction,
/// positions that are not finite, a singular cell, or an aperiodic direction without density.
/// `value` (2,) gets sS and Q_l; `g`, `running` as Kernel::entropy.
void evaluate(const Kernel &, const Structure &, double *value, PeriodicWorkspace &,
              int threads = 1, double *g = nullptr, double *running = nullptr);
void evaluate_local(const Kernel &, const Structure &, const Local &, PeriodicWorkspace &,
                    int threads = 1);
/// Gradients of the structure of the last evaluate() with this workspace, from its histogram. The
/// kernel may differ in the parameters of the bonds, such as a smooth neighbour cutoff.
void gradients(const Kernel &, const Structure &, const Gradients &, PeriodicWorkspace &,
               int threads = 1);
/// evaluate() and gradients() in one.
void evaluate_gradients(const Kernel &, const Structure &, double *value, const Gradients &,
                        PeriodicWorkspace &, int threads = 1);
/// The structure's atoms, wrapped into the cell, and all images within `cutoff` of any of them. They
/// stay in the workspace; ws.owner[k] is the atom that row k repeats. `half`: one image of each pair of
/// opposite ones, for Kernel::sums.
Atoms list_images(const Structure &, double cutoff, PeriodicWorkspace &, bool half = false,
                  int threads = 1);
/// Hosts that make their own images call this first. `half`: one image of each opposite pair.
/// @throws std::invalid_argument if they take more than 1 GB, or more than ENTSYM_LIMIT allows
void check_images(double n_atoms, double images, double cutoff, bool half = false);
/// Many structures, shared out over threads; `values` (n_structures, 2). An error names the index.
void evaluate_batch(const Kernel &, const Structure *, std::size_t n_structures, double *values,
                    int threads = 1);
/// Number of pairs below the pair cutoff, each once: the bare traversal, for tests and benchmarks.
double count_pairs(const Kernel &, const Structure &, PeriodicWorkspace &);

}    // namespace entsym
#endif
