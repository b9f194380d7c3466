// SPDX-License-Identifier: BSD-3-Clause
#include "entsym/periodic.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <mutex>
#include <stdexcept>
#include <string>

#include "limits.hpp"
#include "parallel.hpp"

namespace entsym {

namespace {

// Memory of an image, with its share of the arrays into which the kernel sorts it: if all images are
// listed and have their own values, and if one of each opposite pair is listed.
constexpr double kBytesPerImage[2] = {260.0, 150.0};    // all, half
constexpr double kFewImages = 1e6;                      // not worth counting beforehand

void cross(const double *a, const double *b, double *c)
{
  for (int d = 0; d < 3; d++)
    c[d] = a[(d + 1) % 3] * b[(d + 2) % 3] - a[(d + 2) % 3] * b[(d + 1) % 3];
}

double dot(const double *a, const double *b) { return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]; }

// Replace an aperiodic lattice vector by one at right angles to the periodic ones: only its
// independence matters, since fractions along it are never wrapped.
void complete(double cell[3][3], const unsigned char *pbc)
{
  for (int d = 0; d < 3; d++) {
    if (pbc[d]) continue;
    const int e = (d + 1) % 3, f = (d + 2) % 3;
    double a[3] = {0, 0, 0}, b[3] = {0, 0, 0};
    const bool use_e = pbc[e] || e < d, use_f = pbc[f] || f < d;    // periodic, or completed before
    if (use_e) std::copy(cell[e], cell[e] + 3, a);
    if (use_f) std::copy(cell[f], cell[f] + 3, b);
    if (!use_e && !use_f) {
      for (int k = 0; k < 3; k++) cell[d][k] = k == d;
      continue;
    }
    if (!use_e || !use_f) {    // one known vector: take the axis it leans on least for the other
      double *known = use_e ? a : b, *other = use_e ? b : a;
      int least = 0;
      for (int k = 1; k < 3; k++)
        if (std::abs(known[k]) < std::abs(known[least])) least = k;
      other[least] = 1.0;
    }
    cross(a, b, cell[d]);
    const double norm = std::sqrt(dot(cell[d], cell[d]));
    if (norm > 0.0)
      for (double &x : cell[d]) x /= norm;
  }
}

// The structure with its atoms wrapped into the cell, and its images.
class Images {
 public:
  // `reach`: the longest distance that counts.
  Images(const Structure &s, PeriodicWorkspace &ws, double reach, int threads = 1)
      : structure_(s), ws_(ws)
  {
    const std::size_t n = s.n_atoms;
    if (n == 0) refuse("positions: no atoms; select at least one");
    const bool periodic = s.pbc[0] || s.pbc[1] || s.pbc[2];
    if (n == 1 && !periodic)
      refuse("positions: 1 atom and no periodic direction make no pair; give at least 2 atoms");
    for (int d = 0; d < 3; d++)
      for (int k = 0; k < 3; k++) {
        cell_[d][k] = s.cell[3 * d + k];
        if (s.pbc[d] && !std::isfinite(cell_[d][k]))
          refuse("cell: lattice vector " + std::to_string(d) + " is not finite; repair it");
      }
    double product = 1.0;
    const double longest = std::min(kMaxVector, kFarAway * reach);
    for (int d = 0; d < 3; d++) {
      if (!s.pbc[d]) continue;
      const double length = std::sqrt(dot(cell_[d], cell_[d]));
      product *= length;
      if (!(length >= kMinVector && length <= longest))
        refuse("cell: lattice vector " + std::to_string(d) + " has the length " +
               text(std::hypot(cell_[d][0], cell_[d][1], cell_[d][2])) + ": must be from " +
               text(kMinVector) + " to " + text(longest) +
               "; check the units, or give pbc = False where there is no period");
    }
    complete(cell_, s.pbc);
    for (int d = 0; d < 3; d++) cross(cell_[(d + 1) % 3], cell_[(d + 2) % 3], reciprocal_[d]);
    const double volume = dot(cell_[0], reciprocal_[0]);
    if (!(std::abs(volume) > 1e-10 * product))
      refuse("cell: singular (volume " + text(volume, 4) +
             "); give three independent vectors, or pbc = False where there is no period");
    for (auto &row : reciprocal_)
      for (double &x : row) x /= volume;
    density_ = s.density;
    if (!(density_ > 0.0)) {
      if (!(s.pbc[0] && s.pbc[1] && s.pbc[2]))
        refuse(
            "number_density = None: a direction without period has no volume; give atoms per "
            "volume");
      density_ = static_cast<double>(n) / std::abs(volume);
    }
    Parameters::check_density(density_);
    wrap(threads);
    for (int d = 0; d < 3; d++)    // without a period, fractions are coordinates
      if (const double far = std::max(std::abs(low_[d]), std::abs(high_[d]));
          !s.pbc[d] && far > kFarAway * reach)
        refuse("positions: an atom is " + text(far, 4) +
               " from the origin in a direction without "
               "period: must be at most 1e9 cutoffs, " +
               text(kFarAway * reach, 4) +
               ", or distances have no digits left; move the structure to the origin");
  }

  double density() const { return density_; }
  bool density_from_cell() const { return !(structure_.density > 0.0); }

  // List the atoms and their images within `cutoff` of any of them: all, or of each pair of opposite
  // images one (the first non-zero number of periods is positive). The last list is kept.
  Atoms list(double cutoff, bool half)
  {
    const std::size_t n = structure_.n_atoms;
    if (cutoff != listed_cutoff_ || half != listed_half_) {
      listed_cutoff_ = cutoff;
      listed_half_ = half;
      add_all_images(cutoff, half);
    }
    return {ws_.x.data(), n, listed_, half ? ws_.owner.data() : nullptr};
  }

  std::size_t owner(std::size_t listed) const { return ws_.owner[listed]; }

 private:
  const Structure &structure_;
  PeriodicWorkspace &ws_;
  double cell_[3][3], reciprocal_[3][3], density_, low_[3], high_[3];
  std::size_t listed_;
  double listed_cutoff_ = -1.0;
  bool listed_half_ = false;

  void add_all_images(double cutoff, bool half)
  {
    const std::size_t n = structure_.n_atoms;
    listed_ = n;
    // A displacement of length c changes the fraction by at most c times the reciprocal vector.
    double reach[3], most = 1.0;
    for (int d = 0; d < 3; d++) {
      reach[d] = structure_.pbc[d] ? cutoff * std::sqrt(dot(reciprocal_[d], reciprocal_[d])) : 0.0;
      if (structure_.pbc[d]) most *= high_[d] - low_[d] + 2.0 * reach[d] + 1.0;
    }
    if (static_cast<double>(n) * (most - 1.0) > kFewImages) {
      const double images = count(reach, half);
      check_images(static_cast<double>(n), images, cutoff, half);
      if (n + static_cast<std::size_t>(images) > ws_.owner.size())
        reserve(n + static_cast<std::size_t>(images));
    }
    std::fill_n(ws_.decided.begin(), n, !half);
    for (int d = 0; d < 3; d++) {
      if (!structure_.pbc[d]) continue;
      const double from = low_[d] - reach[d], to = high_[d] + reach[d];
      for (std::size_t i = 0, before = listed_; i < before; i++) {
        const double f = ws_.fraction[3 * i + d];
        const int last = static_cast<int>(to - f);
        const int first = ws_.decided[i] ? -static_cast<int>(f - from) : 0;
        if (last > first) add_images(i, d, first, last);
      }
    }
  }

  // Number of images that `list` makes, as a double: it may be anything.
  double count(const double *reach, bool half) const
  {
    double images = 0.0;
    for (std::size_t i = 0; i < structure_.n_atoms; i++) {
      // rows of atom i whose pair of opposite images is decided, and those, itself, where it is not
      double decided = half ? 0.0 : 1.0;
      const double open = 1.0 - decided;
      for (int d = 0; d < 3; d++) {
        if (!structure_.pbc[d]) continue;
        const double f = ws_.fraction[3 * i + d], above = std::floor(high_[d] + reach[d] - f),
                     below = std::floor(f - (low_[d] - reach[d]));
        decided = decided * (1.0 + above + below) + open * above;
      }
      images += decided + open - 1.0;
    }
    return images;
  }

  void reserve(std::size_t n)
  {
    ws_.x.resize(3 * n);
    ws_.fraction.resize(3 * n);
    ws_.owner.resize(n);
    ws_.decided.resize(n);
  }

  // Atoms into the cell, and the range of their fractions.
  void wrap(int threads)
  {
    const std::size_t n = structure_.n_atoms, parts = crew_size(n / 16384, threads);
    if (ws_.owner.size() < n) reserve(n + n / 4 + 256);
    std::vector<double> range(6 * parts);    // lowest, then minus highest, of each part
    parallel(parts, threads, [&](std::size_t part, int) {
      double *low = &range[6 * part], *high = low + 3;
      std::fill_n(low, 6, std::numeric_limits<double>::max());
      for (std::size_t i = part * n / parts; i < (part + 1) * n / parts; i++) {
        ws_.owner[i] = static_cast<unsigned>(i);
        double *x = &ws_.x[3 * i];
        std::copy_n(structure_.positions + 3 * i, 3, x);
        const double size = std::abs(x[0]) + std::abs(x[1]) + std::abs(x[2]);
        if (!(size <= kMaxPosition))
          refuse("positions: atom " + std::to_string(i) +
                 (std::isfinite(x[0]) && std::isfinite(x[1]) && std::isfinite(x[2])
                      ? " is more than " + text(kMaxPosition) + " from the origin"
                      : " is not finite") +
                 "; remove or repair it");
        for (int d = 0; d < 3; d++) {
          double f = dot(x, reciprocal_[d]);
          if (structure_.pbc[d] && !(f >= 0.0 && f < 1.0)) {
            const double periods = std::floor(f);
            if (!(std::abs(periods) <= kFarAway))
              refuse("positions: atom " + std::to_string(i) +
                     " is more than 1e9 cells away; wrap the atoms into the cell");
            for (int k = 0; k < 3; k++) x[k] -= periods * cell_[d][k];
            f -= periods;
          }
          ws_.fraction[3 * i + d] = f;
          low[d] = std::min(low[d], f);
          high[d] = std::min(high[d], -f);
        }
      }
    });
    for (int d = 0; d < 3; d++) {
      low_[d] = range[d];
      high_[d] = -range[3 + d];
      for (std::size_t part = 1; part < parts; part++) {
        low_[d] = std::min(low_[d], range[6 * part + d]);
        high_[d] = std::max(high_[d], -range[6 * part + 3 + d]);
      }
    }
  }

  // Repeat atom i from `first` to `last` periods along d, itself left out.
  void add_images(std::size_t i, int d, int first, int last)
  {
    if (listed_ + (last - first) > ws_.owner.size())
      reserve(listed_ + listed_ / 4 + (last - first));
    const double x[3] = {ws_.x[3 * i], ws_.x[3 * i + 1], ws_.x[3 * i + 2]};
    const double f[3] = {ws_.fraction[3 * i], ws_.fraction[3 * i + 1], ws_.fraction[3 * i + 2]};
    const double *a = cell_[d];
    double *new_x = &ws_.x[3 * listed_], *new_f = &ws_.fraction[3 * listed_];
    for (int s = first; s <= last; s++) {
      if (s == 0) continue;
      for (int k = 0; k < 3; k++) {
        new_x[k] = x[k] + s * a[k];
        new_f[k] = f[k];
      }
      new_f[d] += s;
      new_x += 3;
      new_f += 3;
      ws_.owner[listed_] = ws_.owner[i];
      ws_.decided[listed_] = 1;
      listed_++;
    }
  }
};

double reach_of(const Kernel &kernel)
{
  return std::max(kernel.pair_cutoff(), kernel.parameters().q_cutoff);
}

// sS and Q_l; the histogram stays in the workspace, n_neighbors (n_atoms,) if not null.
void evaluate(const Kernel &kernel, const Structure &s, Images &images, double *value,
              PeriodicWorkspace &ws, int threads, double *g, double *running, double *n_neighbors)
{
  const double n = static_cast<double>(s.n_atoms);
  const double cutoff = reach_of(kernel);
  ws.moments.resize(kernel.n_moments());
  kernel.sums(images.list(cutoff, true), ws.moments.data(), ws.qlm_sum, ws.kernel, threads,
              n_neighbors);
  ws.entropy = kernel.entropy(ws.moments.data(), n, images.density(), ws.kernel, g, running);
  value[0] = ws.entropy.value;
  value[1] = kernel.bond_order(ws.qlm_sum, n);
}

// Append the images' rows to those of the atoms that they repeat.
void repeat_rows(const Images &images, const Atoms &atoms, std::size_t n_columns,
                 std::vector<double> &rows)
{
  rows.resize(atoms.n_total * n_columns);
  for (std::size_t k = atoms.n_owned; k < atoms.n_total; k++)
    std::copy_n(&rows[images.owner(k) * n_columns], n_columns, &rows[k * n_columns]);
}

// The atoms' own values, q_lm and number of neighbours in the workspace; `entropy` as local_values().
void local_values(const Kernel &kernel, const Images &images, const Atoms &atoms, double *entropy,
                  PeriodicWorkspace &ws, int threads)
{
  ws.qlm.resize(atoms.n_owned * kernel.n_components());
  ws.n_neighbors.resize(atoms.n_owned);
  kernel.local_values(atoms, images.density(), entropy, ws.qlm.data(), ws.n_neighbors.data(),
                      ws.kernel, threads);
  repeat_rows(images, atoms, kernel.n_components(), ws.qlm);
  repeat_rows(images, atoms, 1, ws.n_neighbors);
}

// Gradients from the histogram in the workspace and, where `with_bonds`, from what it has of the
// kernel's bonds: their sum, and the number of each atom's neighbours.
void gradients(const Kernel &kernel, const Structure &s, Images &images, const Gradients &out,
               PeriodicWorkspace &ws, int threads, bool with_bonds)
{
  if (!with_bonds) {
    local_values(kernel, images, images.list(kernel.parameters().q_cutoff, false), nullptr, ws,
                 threads);
    const std::size_t columns = kernel.n_components();
    std::fill_n(ws.qlm_sum, columns, 0.0);
    for (std::size_t k = 0; k < s.n_atoms * columns; k++) ws.qlm_sum[k % columns] += ws.qlm[k];
  }
  const bool smooth = kernel.parameters().smooth > 0.0;
  kernel.gradients(images.list(reach_of(kernel), true), ws.moments.data(),
                   static_cast<double>(s.n_atoms), images.density(), ws.qlm_sum,
                   smooth ? ws.qlm.data() : nullptr, ws.n_neighbors.data(), out, ws.kernel, threads,
                   with_bonds);
  if (images.density_from_cell())    // the volume grows with the trace of the strain
    for (int d = 0; d < 3; d++) out.entropy_strain[4 * d] -= ws.entropy.dlnrho;
}

}    // namespace

// Images may take the usual limit of memory, or as much as the atoms themselves.
void check_images(double n_atoms, double images, double cutoff, bool half)
{
  const double bytes = kBytesPerImage[half];
  const double most = std::min(std::max(kMaxBytes / bytes, n_atoms) * allowed(), 2e9 - n_atoms);
  if (images > most)
    refuse("cell: " + text(n_atoms) + " atoms with a cutoff of " + text(cutoff) + " have " +
           text(images, 3) + " periodic images, which need " + text(1e-9 * bytes * images, 3) +
           " GB, more than " + text(1e-9 * bytes * most, 3) +
           " GB; check the units, shorten rmax and q6_cutoff, take a thicker or less skewed cell "
           "(ase.build.niggli_reduce), " +
           or_allow(images / most));
}

void evaluate(const Kernel &kernel, const Structure &s, double *value, PeriodicWorkspace &ws,
              int threads, double *g, double *running)
{
  Images images(s, ws, reach_of(kernel), threads);
  evaluate(kernel, s, images, value, ws, threads, g, running, nullptr);
}

void evaluate_local(const Kernel &kernel, const Structure &s, const Local &local,
                    PeriodicWorkspace &ws, int threads)
{
  Images images(s, ws, reach_of(kernel), threads);
  const std::size_t n = s.n_atoms, columns = kernel.n_components();
  const Atoms atoms = images.list(reach_of(kernel), false);
  local_values(kernel, images, atoms, local.entropy, ws, threads);
  std::copy_n(ws.n_neighbors.begin(), n, local.n_neighbors);
  for (std::size_t i = 0; i < n; i++) local.bond_order[i] = kernel.bond_order(&ws.qlm[i * columns]);

  std::vector<double> entropy(local.entropy, local.entropy + n);
  repeat_rows(images, atoms, 1, entropy);
  kernel.neighbor_means(atoms, entropy.data(), ws.qlm.data(), local.mean_entropy,
                        local.mean_bond_order, ws.kernel, threads);
}

void gradients(const Kernel &kernel, const Structure &s, const Gradients &out,
               PeriodicWorkspace &ws, int threads)
{
  Images images(s, ws, reach_of(kernel), threads);
  gradients(kernel, s, images, out, ws, threads, false);
}

void evaluate_gradients(const Kernel &kernel, const Structure &s, double *value,
                        const Gradients &out, PeriodicWorkspace &ws, int threads)
{
  Images images(s, ws, reach_of(kernel), threads);
  const bool hard = kernel.parameters().smooth == 0.0;
  ws.n_neighbors.resize(s.n_atoms);
  evaluate(kernel, s, images, value, ws, threads, nullptr, nullptr,
           hard ? ws.n_neighbors.data() : nullptr);
  gradients(kernel, s, images, out, ws, threads, hard);
}

void evaluate_batch(const Kernel &kernel, const Structure *structures, std::size_t n_structures,
                    double *values, int threads)
{
  std::mutex guard;
  std::size_t failed = n_structures;    // the first one that failed, whatever thread met it
  std::string reason;
  std::vector<PeriodicWorkspace> workspaces(crew_size(n_structures, threads));
  parallel(n_structures, threads, [&](std::size_t i, int thread) {
    try {
      evaluate(kernel, structures[i], values + 2 * i, workspaces[thread]);
    } catch (const std::invalid_argument &error) {
      const std::lock_guard<std::mutex> lock(guard);
      if (i < failed) {
        failed = i;
        reason = error.what();
      }
    }
  });
  if (failed < n_structures) refuse("frame " + std::to_string(failed) + ": " + reason);
}

Atoms list_images(const Structure &s, double cutoff, PeriodicWorkspace &ws, bool half, int threads)
{
  return Images(s, ws, HUGE_VAL, threads).list(cutoff, half);
}

double count_pairs(const Kernel &kernel, const Structure &s, PeriodicWorkspace &ws)
{
  Images images(s, ws, reach_of(kernel));
  return kernel.count_pairs(images.list(kernel.pair_cutoff(), true), ws.kernel);
}

}    // namespace entsym
