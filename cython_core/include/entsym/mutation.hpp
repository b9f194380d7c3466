// SPDX-License-Identifier: BSD-3-Clause
// PolymorphGen's engine: children of structures by mutation of displacements (D), volume (V), shape
// (S) and by swaps of unlike atoms, with parents chosen by roulette, and guided onto a target by the
// gradients of sS and Q_l. No energies. A child is a function of its parents and of its random stream
// alone: it does not matter which thread, process or rank makes it.
#ifndef ENTSYM_MUTATION_HPP
#define ENTSYM_MUTATION_HPP

#include <cstdint>
#include <string>
#include <vector>

#include "periodic.hpp"

namespace entsym {

/// Amplitude and probability of each gene. A gene is off if either is 0; each child gets at least one of
/// the others.
struct Genes {
  double displacement = 0.0;    ///< D: standard deviation of each component, length
  double rate = 0.3;            ///< D: probability of an atom to move; at least one does
  double volume = 0.0;          ///< V: standard deviation of ln(volume)
  double shape = 0.0;    ///< S: standard deviation of the diagonal strain before its trace goes
  int swaps = 0;         ///< exchanges of two unlike atoms
  double probability[4] = {0.0, 0.0, 0.0, 0.0};    ///< of D, V, S, swap

  enum : unsigned { D = 1, V = 2, S = 4, Swap = 8, Guided = 16 };    ///< bits in Child::genes
};

/// Limits of a child; a child that breaks one is drawn again.
struct Limits {
  std::vector<double> min_distance;               ///< (n_species, n_species), length, symmetric
  double min_volume = 0.0, max_volume = 1e300;    ///< per atom; of fully periodic structures
  double min_angle = 0.0, max_angle = 180.0;      ///< between periodic lattice vectors, degree
  std::vector<unsigned char> frozen;              ///< (n_species,): keep their place in the cell
  int attempts = 20;                              ///< draws before a child is given up
  std::vector<std::string> names;                 ///< (n_species,): for messages, or empty
};

/// `n` structures of the same atoms. Row i is the same species in all; the first `n_counted` rows
/// count in sS and Q_l.
struct Population {
  const double *positions;    ///< (n, n_atoms, 3)
  const double *cells;        ///< (n, 3, 3)
  const double *values;       ///< (n, 2): sS, Q_l
  const int *species;         ///< (n_atoms,), from 0
  std::size_t n, n_atoms, n_counted;
  unsigned char pbc[3];
  double density;    ///< as Structure::density
};

/// Target of the children: a point, and the extent of the window that makes distances comparable,
/// d^2 = sum_k ((value_k - point_k) / extent_k)^2.
struct Target {
  double point[2], extent[2];
  double tolerance = 0.02;    ///< distance within which the target is reached
};
double distance(const double *value, const Target &target);
/// @throws std::invalid_argument if a value or an extent does not belong to a landscape
void check(const Target &target);

/// One generation of children, or the part of it that a call makes.
struct Generation {
  std::size_t n_library;    ///< the first structures of the population are the parent library
  double fresh;             ///< share of parents drawn evenly from it
  int steps;                ///< Newton steps towards the target; 0: mutation alone
  std::uint64_t seed, stream[3];
  std::size_t n_children;
  /// Guided child 0 is not mutated: it is the structure nearest to the target, moved to the target. No
  /// effect if the structure is there already.
  bool direct = false;
  std::size_t first = 0;    ///< number of the first child: hosts may share out a generation
};

struct Child {
  std::uint64_t parent;         ///< row in the population
  std::uint32_t genes;          ///< bits of Genes
  std::uint32_t evaluations;    ///< of sS and Q_l, with gradients or without
  std::uint32_t rejected[3];    ///< draws that broke a distance, the volume, an angle
  std::uint32_t valid;          ///< 0: every attempt broke a limit; values are NaN
};

class Breeder {
 public:
  /// `hard` defines the values; `soft`, with a smooth neighbour cutoff, gives the gradients. Both are
  /// kept by reference.
  /// @throws std::invalid_argument if genes or limits are out of range or contradict each other
  Breeder(const Kernel &hard, const Kernel &soft, const Genes &genes, const Limits &limits);

  /// Parents must be structures that the kernel takes, keep to the limits of volume and angles, and one
  /// at least to all distances.
  /// @throws std::invalid_argument otherwise, or if swaps are on and all free atoms are alike
  void check(const Population &parents) const;

  /// Hosts call this before they allocate the children of one call.
  /// @throws std::invalid_argument if that takes more than 1 GB, or more than ENTSYM_LIMIT allows
  static void check_room(std::size_t n_children, std::size_t n_atoms);

  /// Make children, written to `positions`, `cells`, `values` (as in Population, by child) and
  /// `children`. A share `fresh` of the parents comes evenly from the library, the rest by roulette
  /// on 1/(d + 0.01) from the structures behind it (from the library where there are none).
  /// A child that is moved to its target stops within the tolerance.
  ///
  /// Guided: after mutation, Newton steps of least length lead to the target. In the unknowns u, the
  /// displacements over `displacement`, the traceless strain over `shape` and ln(volume) over
  /// `volume`, a step is u = J^T (J J^T)^-1 m with J the gradients and m what is missing, both in
  /// units of the window, shortened where a component exceeds the trust radius (1 at first). Pairs
  /// that come too close are pushed apart; the exact values decide whether the step is taken.
  /// @throws std::invalid_argument if swaps are on and all free atoms are alike, or if the target or
  /// values do not belong to a landscape
  void breed(const Population &population, const Target &target, const Generation &generation,
             double *positions, double *cells, double *values, Child *children, int threads) const;

 private:
  struct Draft;
  const Kernel &hard_, &soft_;
  Genes genes_;
  Limits limits_;
  double max_distance_;

  template <class Visit>
  void close_pairs(Draft &draft, const Visit &visit) const;
  std::string named_distance(std::size_t a, std::size_t b) const;
  std::vector<std::size_t> free_atoms(const Population &population) const;
  bool too_close(Draft &draft) const;
  bool push_apart(Draft &draft) const;
  int broken_limit(Draft &draft, bool guided) const;
  unsigned mutate(Draft &draft, class Random &random) const;
  void guide(Draft &draft, const Target &target, int steps) const;
};

}    // namespace entsym
#endif
