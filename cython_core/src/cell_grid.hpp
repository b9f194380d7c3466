// SPDX-License-Identifier: BSD-3-Clause
// Atoms sorted into cells, z fastest, so that a row of neighbouring cells along z is one stretch of
// memory. Private to the kernel.
#ifndef ENTSYM_CELL_GRID_HPP
#define ENTSYM_CELL_GRID_HPP

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

namespace entsym {

/// Arrays that are read by whole vectors end in so many values more.
constexpr int kPad = 8;

/// Origin, cell size and number of cells; the rows of cells around a cell that a cutoff reaches.
struct CellGeometry {
  double lo[3], inverse;
  int n[3];
  struct Row {
    int dx, dy, span;    ///< cells from iz - span to iz + span
  };
  std::vector<Row> rows;

  void set(const double *x, std::size_t n_atoms, double cutoff)
  {
    double hi[3];
    for (int d = 0; d < 3; d++) lo[d] = hi[d] = n_atoms ? x[d] : 0.0;
    for (std::size_t i = 0; i < n_atoms; i++)
      for (int d = 0; d < 3; d++) {
        lo[d] = std::min(lo[d], x[3 * i + d]);
        hi[d] = std::max(hi[d], x[3 * i + d]);
      }
    // Half a cutoff, or more where that would hold fewer than four atoms. Few atoms: one cell, in
    // which testing every pair is faster than sorting.
    double size = 0.5 * cutoff, volume = 1.0;
    for (int d = 0; d < 3; d++) volume *= hi[d] - lo[d] + 0.1 * cutoff;
    const double count = static_cast<double>(n_atoms);
    size = std::max(size, std::min(cutoff, std::cbrt(4.0 * volume / (count + 1.0))));
    if (n_atoms <= few_atoms)
      for (int d = 0; d < 3; d++) size = std::max(size, 1.01 * (hi[d] - lo[d]) + 0.1 * cutoff);
    // Never many more cells than atoms (two atoms far apart in vacuum).
    for (;; size *= 2.0) {
      double cells = 1.0;
      for (int d = 0; d < 3; d++) cells *= std::floor((hi[d] - lo[d]) / size) + 1.0;
      if (cells <= 4.0 * count + 64.0) break;
    }
    inverse = 1.0 / size;
    for (int d = 0; d < 3; d++) n[d] = static_cast<int>((hi[d] - lo[d]) * inverse) + 1;

    rows.clear();
    const int reach = static_cast<int>(std::ceil(cutoff * inverse));
    for (int dx = -reach; dx <= reach; dx++)
      for (int dy = -reach; dy <= reach; dy++) {
        const double gx = std::max(0, std::abs(dx) - 1) * size, gy = std::max(0, std::abs(dy) - 1) * size;
        const double left = cutoff * cutoff - gx * gx - gy * gy;
        if (left > 0.0)
          rows.push_back({dx, dy, static_cast<int>(std::ceil(std::sqrt(left) * inverse))});
      }
  }

  int along(int d, double x) const
  {
    const int i = static_cast<int>((x - lo[d]) * inverse);
    return std::min(std::max(i, 0), n[d] - 1);
  }
  std::size_t cell(const double *x) const
  {
    return (static_cast<std::size_t>(along(0, x[0])) * n[1] + along(1, x[1])) * n[2] + along(2, x[2]);
  }
  std::size_t n_cells() const { return static_cast<std::size_t>(n[0]) * n[1] * n[2]; }

  static constexpr std::size_t few_atoms = 256;
};

/// Atoms [first, last) of a list in the order of their cells.
struct CellGrid {
  std::vector<unsigned> start;              ///< (n_cells + 1,)
  std::vector<double> x, y, z, index;       ///< index: row in the list, exact as a double

  void build(const CellGeometry &geometry, const double *atoms, std::size_t first, std::size_t last)
  {
    const std::size_t n_cells = geometry.n_cells(), n = last - first;
    for (std::vector<double> *v : {&x, &y, &z, &index}) v->resize(n + kPad);
    start.assign(n_cells + 1, 0);
    if (n_cells == 1) {
      for (std::size_t k = 0; k < n; k++) put(k, atoms, first + k);
      start[1] = static_cast<unsigned>(n);
      return;
    }
    cell_of.resize(n);
    for (std::size_t k = 0; k < n; k++) {
      cell_of[k] = static_cast<unsigned>(geometry.cell(atoms + 3 * (first + k)));
      start[cell_of[k] + 1]++;
    }
    for (std::size_t c = 0; c < n_cells; c++) start[c + 1] += start[c];
    // Filling moves each start to the next cell's; shifting them back restores them.
    for (std::size_t k = 0; k < n; k++) put(start[cell_of[k]]++, atoms, first + k);
    for (std::size_t c = n_cells; c > 0; c--) start[c] = start[c - 1];
    start[0] = 0;
  }

 private:
  std::vector<unsigned> cell_of;
  void put(std::size_t at, const double *atoms, std::size_t i)
  {
    x[at] = atoms[3 * i];
    y[at] = atoms[3 * i + 1];
    z[at] = atoms[3 * i + 2];
    index[at] = static_cast<double>(i);
  }
};

}    // namespace entsym
#endif
