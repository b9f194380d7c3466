// SPDX-License-Identifier: BSD-3-Clause
// Atoms sorted into cells, z fastest, so that a row of neighbouring cells along z is one stretch of
// memory. Private to the kernel.
#ifndef ENTSYM_CELL_GRID_HPP
#define ENTSYM_CELL_GRID_HPP

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <new>
#include <utility>
#include <vector>

#include "limits.hpp"
#include "parallel.hpp"

namespace entsym {

/// Arrays that are read by whole vectors end in so many values more.
constexpr int kPad = 8;

/// Arrays that start `offset` bytes behind a page, and so on a cache line, and that are not cleared when
/// they grow. A processor compares the last twelve bits of addresses to see whether a load needs what
/// a store still holds: a loop that reads arrays and writes others at the same place of a page may
/// wait for each of its stores.
template <class T, std::size_t offset>
struct Placed {
  using value_type = T;
  template <class U>
  struct rebind {
    using other = Placed<U, offset>;
  };
  Placed() = default;
  template <class U>
  Placed(const Placed<U, offset> &)
  {
  }
  static constexpr std::align_val_t page{4096};
  T *allocate(std::size_t n)
  {
    return reinterpret_cast<T *>(static_cast<char *>(::operator new(offset + n * sizeof(T), page)) +
                                 offset);
  }
  void deallocate(T *p, std::size_t)
  {
    ::operator delete(reinterpret_cast<char *>(p) - offset, page);
  }
  template <class U, class... Args>
  void construct(U *p, Args &&...args)
  {
    if constexpr (sizeof...(Args) == 0) ::new (static_cast<void *>(p)) U;
    else ::new (static_cast<void *>(p)) U(std::forward<Args>(args)...);
  }
  bool operator==(const Placed &) const { return true; }
  bool operator!=(const Placed &) const { return false; }
};
template <std::size_t offset = 0>
using Array = std::vector<double, Placed<double, offset>>;
template <std::size_t offset = 0>
using Indices = std::vector<int, Placed<int, offset>>;

/// Cells of equal size around all atoms, with a margin of empty cells as wide as the cutoff so that
/// no stencil runs over the edge; and the stencil: rows of cells along z that the cutoff reaches.
struct CellGeometry {
  struct Row {
    std::ptrdiff_t first, last;    ///< from the own cell's number to those of the row's ends
  };
  std::vector<Row> full;
  std::vector<Row> half;    ///< of each pair of opposite cells one, without the own cell
  std::size_t n_cells;

  /// Up to `few` atoms go into one cell: testing every pair is then faster than sorting. `x` is
  /// finite. @throws std::invalid_argument where atoms are more than 2e100 apart
  void set(const double *x, std::size_t n_atoms, double cutoff, std::size_t few = 512)
  {
    full.clear();
    half.clear();
    if (n_atoms <= few) {
      n_cells = 1;
      full.push_back({0, 0});
      return;
    }
    double hi[3];
    for (int d = 0; d < 3; d++) lo_[d] = hi[d] = x[d];
    for (std::size_t i = 0; i < n_atoms; i++)
      for (int d = 0; d < 3; d++) {
        lo_[d] = std::min(lo_[d], x[3 * i + d]);
        hi[d] = std::max(hi[d], x[3 * i + d]);
      }
    for (int d = 0; d < 3; d++)
      if (!(hi[d] - lo_[d] <= 2.0 * kMaxPosition))    // or no size below would be large enough
        refuse("positions: atoms are " + text(hi[d] - lo_[d]) + " apart, must be at most " +
               text(2.0 * kMaxPosition) + "; remove or repair those far away");
    // Half a cutoff; a whole one where that would hold less than eight atoms on average. Never many
    // more cells than atoms (two atoms far apart in vacuum).
    const double count = static_cast<double>(n_atoms);
    double cells;
    for (double size = 0.5 * cutoff;; size *= 2.0) {
      inverse_ = 1.0 / size;
      margin_ = static_cast<int>(std::ceil(cutoff * inverse_ * (1.0 - 1e-12)));
      cells = 1.0;
      for (int d = 0; d < 3; d++) cells *= std::floor((hi[d] - lo_[d]) * inverse_) + 1.0;
      if (cells <= (margin_ > 1 ? count / 8.0 : 4.0 * count)) break;
    }
    n_cells = 1;
    for (int d = 0; d < 3; d++) {
      n_[d] = static_cast<int>((hi[d] - lo_[d]) * inverse_) + 1 + 2 * margin_;
      n_cells *= n_[d];
    }
    const double reach = cutoff * inverse_;
    for (int dx = -margin_; dx <= margin_; dx++)
      for (int dy = -margin_; dy <= margin_; dy++) {
        const int gx = std::max(0, std::abs(dx) - 1), gy = std::max(0, std::abs(dy) - 1);
        const double left = reach * reach - gx * gx - gy * gy;
        if (left <= 0.0) continue;
        const std::ptrdiff_t middle = (static_cast<std::ptrdiff_t>(dx) * n_[1] + dy) * n_[2];
        const int span = std::min(margin_, static_cast<int>(std::ceil(std::sqrt(left))));
        full.push_back({middle - span, middle + span});
        if (dx == 0 && dy == 0) half.push_back({1, span});
        else if (middle > 0) half.push_back({middle - span, middle + span});
      }
  }

  std::size_t cell(const double *x) const
  {
    std::size_t c = 0;
    for (int d = 0; d < 3; d++)
      c = c * n_[d] + margin_ + static_cast<int>((x[d] - lo_[d]) * inverse_);
    return c;
  }

 private:
  double lo_[3], inverse_;
  int n_[3], margin_;
};

/// Atoms [first, last) of a list in the order of their cells.
struct CellGrid {
  std::vector<unsigned> start;    ///< (n_cells + 1,)
  Array<> x, y, z;
  Indices<> index;    ///< row in the list

  /// Within a cell the atoms keep the order of the list, whatever the number of threads.
  void build(const CellGeometry &geometry, const double *atoms, std::size_t first, std::size_t last,
             int threads)
  {
    const std::size_t n_cells = geometry.n_cells, n = last - first;
    for (Array<> *v : {&x, &y, &z}) v->resize(n + kPad);
    index.resize(n + kPad);
    start.assign(n_cells + 1, 0);
    if (n_cells == 1) {
      for (std::size_t k = 0; k < n; k++) put(k, atoms, first + k);
      start[1] = static_cast<unsigned>(n);
      return;
    }
    // Each part of the list counts its atoms in every cell, which tells where each part's atoms go.
    const std::size_t parts = crew_size(n / 16384, threads);
    cell_of.resize(n);
    next.assign(parts * n_cells, 0);
    parallel(parts, threads, [&](std::size_t part, int) {
      unsigned *count = &next[part * n_cells];
      for (std::size_t k = part * n / parts; k < (part + 1) * n / parts; k++)
        count[cell_of[k] = static_cast<unsigned>(geometry.cell(atoms + 3 * (first + k)))]++;
    });
    unsigned total = 0;
    for (std::size_t c = 0; c < n_cells; c++) {
      for (std::size_t part = 0; part < parts; part++) {
        const unsigned count = next[part * n_cells + c];
        next[part * n_cells + c] = total;
        total += count;
      }
      start[c + 1] = total;
    }
    parallel(parts, threads, [&](std::size_t part, int) {
      unsigned *at = &next[part * n_cells];
      for (std::size_t k = part * n / parts; k < (part + 1) * n / parts; k++)
        put(at[cell_of[k]]++, atoms, first + k);
    });
  }

 private:
  std::vector<unsigned> cell_of, next;
  void put(std::size_t at, const double *atoms, std::size_t i)
  {
    x[at] = atoms[3 * i];
    y[at] = atoms[3 * i + 1];
    z[at] = atoms[3 * i + 2];
    index[at] = static_cast<int>(i);
  }
};

}    // namespace entsym
#endif
