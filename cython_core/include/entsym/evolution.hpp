// SPDX-License-Identifier: BSD-3-Clause
// The plan of PolymorphGen, the same for every host: the targets, the possible parents of the next
// generation, and the end of a target. Hosts keep the structures.
#ifndef ENTSYM_EVOLUTION_HPP
#define ENTSYM_EVOLUTION_HPP

#include <array>
#include <vector>

#include "mutation.hpp"

namespace entsym {

using Point = std::array<double, 2>;    ///< sS, Q_l

struct Window {
  Point low, high;

  Target target(const Point &point, double tolerance = 0.02) const
  {
    return {{point[0], point[1]}, {high[0] - low[0], high[1] - low[1]}, tolerance};
  }
};

/// The window of `n` structures at `values` (n, 2), each side moved outwards by `expand` of the
/// extent; Q_l stays within 0 and 1. Its extents are 0 if all structures are alike.
/// @throws std::invalid_argument if there are no structures or if values or `expand` are out of range
Window window_of(const double *values, std::size_t n, double expand);

/// `n` points evenly along each edge, corners once, or with the interior the n x n of a grid; sS
/// rises from row to row, Q_l within a row.
/// @throws std::invalid_argument for a window without extent, fewer than 2 or more than 1e5 points
std::vector<Point> target_points(const Window &window, int n, bool interior);

/// The empty cells of a window while structures fill it. Cells are `n`-ths of its extents and anchored at
/// 0, as in the multi-resolution classification; all that overlap with the window count. Throws as
/// target_points.
class Gaps {
 public:
  Gaps(const Window &window, int n);
  /// More structures, numbered on: `values` (n, 2). Those outside the window fill no cell.
  void add(const double *values, std::size_t n);
  /// The centre of the empty cell nearest to a structure, in units of the window, and that structure.
  /// A cell comes once. False: none is left.
  bool next(Point &gap, std::size_t &nearest);

 private:
  struct Cell {
    Target centre;
    double distance;    // to the nearest structure
    std::size_t nearest;
    bool open;    // neither occupied nor tried
  };
  Window window_;
  double size_[2], first_[2];
  int shape_[2];
  std::vector<Cell> cells_;
  std::size_t n_ = 0;
};

/// The evolution towards one target; a child within its tolerance is a hit. A generation descends from
/// the parent library and from the generation before, to which elitism adds the nearest child so far.
class Evolution {
 public:
  static constexpr std::size_t kNone = static_cast<std::size_t>(-1);

  /// From a library of parents at `values` (n, 2), and from the structures `pool`, by the host's
  /// numbers. Ends after so many `generations`, or after the one in which the number of hits reaches
  /// `hits`; 0: never before.
  Evolution(const Target &target, const double *values, std::size_t n, int generations, int hits,
            bool elitism, std::vector<std::size_t> pool = {});

  const Target &target() const { return target_; }
  int generation() const { return generation_; }    ///< number of the next one, from 0
  bool done() const { return generation_ >= most_ || (enough_ > 0 && hits_ >= enough_); }
  /// Structures, by the host's numbers, that follow the library in the population.
  const std::vector<std::size_t> &pool() const { return pool_; }
  /// The generation is complete: `n` structures, by the host's numbers, at `values` (n, 2). Without
  /// any the pool stays as it is.
  void take(const std::size_t *structures, const double *values, std::size_t n);

  std::size_t n_children() const { return n_children_; }
  std::size_t hits() const { return hits_; }
  /// Of all structures, parents included.
  const Point &nearest() const { return nearest_; }
  double distance() const { return distance_; }
  /// The nearest child, or kNone, and its distance.
  std::size_t best() const { return best_; }
  double best_distance() const { return best_distance_; }

 private:
  Target target_;
  int most_;
  std::size_t enough_;
  bool elitism_;
  int generation_ = 0;
  std::vector<std::size_t> pool_;
  std::size_t n_children_ = 0, hits_ = 0, best_ = kNone;
  Point nearest_;
  double distance_, best_distance_;
};

}    // namespace entsym
#endif
