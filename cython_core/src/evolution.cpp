// SPDX-License-Identifier: BSD-3-Clause
#include "entsym/evolution.hpp"

#include <algorithm>
#include <cmath>

namespace entsym {

Window window_of(const double *values, std::size_t n, double expand)
{
  Window w{{values[0], values[1]}, {values[0], values[1]}};
  for (std::size_t k = 1; k < n; k++)
    for (int v = 0; v < 2; v++) {
      w.low[v] = std::min(w.low[v], values[2 * k + v]);
      w.high[v] = std::max(w.high[v], values[2 * k + v]);
    }
  for (int v = 0; v < 2; v++) {
    const double margin = expand * (w.high[v] - w.low[v]);
    w.low[v] -= margin;
    w.high[v] += margin;
  }
  w.low[1] = std::max(w.low[1], 0.0);
  w.high[1] = std::min(w.high[1], 1.0);
  return w;
}

std::vector<Point> target_points(const Window &window, int n, bool interior)
{
  std::vector<Point> points;
  const Target whole = window.target(window.low);
  for (int i = 0; i < n; i++)
    for (int j = 0; j < n; j++)
      if (interior || i == 0 || j == 0 || i == n - 1 || j == n - 1)
        points.push_back({window.low[0] + whole.extent[0] * i / (n - 1),
                          window.low[1] + whole.extent[1] * j / (n - 1)});
  return points;
}

bool next_gap(const Window &window, int n, const double *values, std::size_t n_values,
              const std::vector<Point> &tried, Point &gap)
{
  Target cell = window.target(window.low);
  std::vector<unsigned char> occupied(static_cast<std::size_t>(n) * n, 0);
  for (std::size_t k = 0; k < n_values; k++) {
    double place[2];
    for (int v = 0; v < 2; v++)
      place[v] = std::floor((values[2 * k + v] - window.low[v]) / cell.extent[v] * n);
    if (place[0] >= 0.0 && place[0] < n && place[1] >= 0.0 && place[1] < n)
      occupied[static_cast<std::size_t>(place[0] * n + place[1])] = 1;
  }
  double least = HUGE_VAL;
  for (int i = 0; i < n; i++)
    for (int j = 0; j < n; j++) {
      const Point centre{window.low[0] + cell.extent[0] * (i + 0.5) / n,
                         window.low[1] + cell.extent[1] * (j + 0.5) / n};
      if (occupied[static_cast<std::size_t>(i) * n + j] ||
          std::find(tried.begin(), tried.end(), centre) != tried.end())
        continue;
      std::copy(centre.begin(), centre.end(), cell.point);
      for (std::size_t k = 0; k < n_values; k++)
        if (const double d = distance(values + 2 * k, cell); d < least) {
          least = d;
          gap = centre;
        }
    }
  return least < HUGE_VAL;
}

Evolution::Evolution(const Target &target, const double *values, std::size_t n, int generations,
                     int hits, bool elitism)
    : target_(target), most_(generations), enough_(hits), elitism_(elitism), distance_(HUGE_VAL),
      best_distance_(HUGE_VAL)
{
  for (std::size_t k = 0; k < n; k++)
    if (const double d = entsym::distance(values + 2 * k, target); d < distance_) {
      distance_ = d;
      nearest_ = {values[2 * k], values[2 * k + 1]};
    }
}

void Evolution::take(const std::size_t *structures, const double *values, std::size_t n)
{
  pool_.assign(structures, structures + n);
  for (std::size_t k = 0; k < n; k++) {
    const double d = entsym::distance(values + 2 * k, target_);
    if (d < kTolerance) hits_++;
    if (d < best_distance_) {
      best_distance_ = d;
      best_ = structures[k];
    }
    if (d < distance_) {
      distance_ = d;
      nearest_ = {values[2 * k], values[2 * k + 1]};
    }
  }
  if (elitism_ && best_ != kNone && std::find(pool_.begin(), pool_.end(), best_) == pool_.end())
    pool_.push_back(best_);
  n_children_ += n;
  generation_++;
}

}    // namespace entsym
