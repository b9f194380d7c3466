// SPDX-License-Identifier: BSD-3-Clause
#include "entsym/evolution.hpp"

#include <algorithm>
#include <cmath>
#include <string>

#include "limits.hpp"

namespace entsym {

namespace {

void check_values(const double *values, std::size_t n)
{
  if (n == 0) refuse("values: no structures; give sS and Q of at least one");
  for (std::size_t k = 0; k < 2 * n; k++)
    if (!(std::abs(values[k]) <= kMaxValue))
      refuse("values: " + std::string(k % 2 ? "Q" : "sS") + " of structure " +
             std::to_string(k / 2) + " is " + text(values[k]) + ": must be finite, at most " +
             text(kMaxValue) + " in size; leave the structure out");
}

void check_window(const Window &w)
{
  for (int v = 0; v < 2; v++) {
    const double extent = w.high[v] - w.low[v];
    if (!(std::abs(w.low[v]) <= kMaxValue && std::abs(w.high[v]) <= kMaxValue &&
          extent >= kMinExtent * std::max(1.0, std::abs(w.high[v]))))
      refuse(
          "window: " + std::string(v ? "Q" : "sS") + " from " + text(w.low[v]) + " to " +
          text(w.high[v]) + ": must be finite, rise, and be at most " + text(kMaxValue) +
          " in size and not narrower than a billionth of that; give sS_min, sS_max, Q_min, Q_max");
  }
}

// `n`: what makes so many targets, or cells that may become targets.
void check_targets(int n, int least, double targets)
{
  if (n < least)
    refuse("targets_per_edge = " + std::to_string(n) + ": must be " + std::to_string(least) +
           " or more; 10 is the default");
  const double most = kMaxTargets * allowed();
  if (targets > most)
    refuse("targets_per_edge = " + std::to_string(n) + ": makes " + text(targets, 3) +
           " targets, more than " + text(most, 3) + "; give fewer, " + or_allow(targets / most));
}

}    // namespace

Window window_of(const double *values, std::size_t n, double expand)
{
  check_values(values, n);
  if (!(expand >= 0.0 && expand <= kMaxTargets))
    refuse("expand = " + text(expand) + ": must be from 0 to " + text(kMaxTargets) +
           ", a share of the window; 0.1 is the default");
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
  check_window(window);
  check_targets(n, 2, interior ? 1.0 * n * n : 4.0 * n - 4.0);
  std::vector<Point> points;
  const Target whole = window.target(window.low);
  for (int i = 0; i < n; i++)
    for (int j = 0; j < n; j += interior || i == 0 || i == n - 1 ? 1 : n - 1)
      points.push_back({window.low[0] + whole.extent[0] * i / (n - 1),
                        window.low[1] + whole.extent[1] * j / (n - 1)});
  return points;
}

Gaps::Gaps(const Window &window, int n) : window_(window)
{
  check_window(window);
  check_targets(n, 1, (n + 1.0) * (n + 1.0));
  for (int v = 0; v < 2; v++) {
    size_[v] = (window.high[v] - window.low[v]) / n;
    // rounding must not add a cell to a window that ends where one does
    first_[v] = std::floor(window.low[v] / size_[v] + 1e-9);
    shape_[v] = static_cast<int>(std::ceil(window.high[v] / size_[v] - 1e-9) - first_[v]);
  }
  for (int i = 0; i < shape_[0]; i++)
    for (int j = 0; j < shape_[1]; j++) {
      Point centre;    // of the part within the window
      for (int v = 0; v < 2; v++) {
        const double corner = (first_[v] + (v ? j : i)) * size_[v];
        centre[v] =
            0.5 * (std::max(corner, window.low[v]) + std::min(corner + size_[v], window.high[v]));
      }
      cells_.push_back({window.target(centre), HUGE_VAL, 0, true});
    }
}

void Gaps::add(const double *values, std::size_t n)
{
  for (std::size_t k = 0; k < n; k++, n_++) {
    const double *value = values + 2 * k;
    bool inside = true;
    std::size_t place[2];
    for (int v = 0; v < 2; v++) {
      inside = inside && value[v] >= window_.low[v] && value[v] <= window_.high[v];
      const double cell = std::floor(value[v] / size_[v]) - first_[v];
      place[v] = static_cast<std::size_t>(std::min(std::max(cell, 0.0), shape_[v] - 1.0));
    }
    if (inside) cells_[place[0] * shape_[1] + place[1]].open = false;
    for (Cell &cell : cells_)
      if (const double d = distance(value, cell.centre); cell.open && d < cell.distance) {
        cell.distance = d;
        cell.nearest = n_;
      }
  }
}

bool Gaps::next(Point &gap, std::size_t &nearest)
{
  Cell *best = nullptr;
  for (Cell &cell : cells_)
    if (cell.open && (!best || cell.distance < best->distance)) best = &cell;
  if (!best) return false;
  best->open = false;
  gap = {best->centre.point[0], best->centre.point[1]};
  nearest = best->nearest;
  return true;
}

Evolution::Evolution(const Target &target, const double *values, std::size_t n, int generations,
                     int hits, bool elitism, std::vector<std::size_t> pool)
    : target_(target), most_(generations), enough_(hits), elitism_(elitism), pool_(std::move(pool)),
      distance_(HUGE_VAL), best_distance_(HUGE_VAL)
{
  check(target);
  check_values(values, n);
  for (std::size_t k = 0; k < n; k++)
    if (const double d = entsym::distance(values + 2 * k, target); d < distance_) {
      distance_ = d;
      nearest_ = {values[2 * k], values[2 * k + 1]};
    }
}

void Evolution::take(const std::size_t *structures, const double *values, std::size_t n)
{
  if (n > 0) pool_.assign(structures, structures + n);
  for (std::size_t k = 0; k < n; k++) {
    const double d = entsym::distance(values + 2 * k, target_);
    if (d < target_.tolerance) hits_++;
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
