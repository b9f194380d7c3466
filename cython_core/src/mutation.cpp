// SPDX-License-Identifier: BSD-3-Clause
#include "entsym/mutation.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

#include "cell_grid.hpp"
#include "limits.hpp"

namespace entsym {

// xoshiro256** (D. Blackman, S. Vigna, doi:10.1145/3460772), seeded by splitmix64 from any number of
// integers.
class Random {
 public:
  Random(std::uint64_t seed, const std::uint64_t *stream, std::size_t n, std::uint64_t child)
  {
    std::uint64_t key = mix(seed);
    for (std::size_t k = 0; k < n; k++) key = mix(key ^ mix(stream[k] + k + 1));
    key = mix(key ^ mix(child + n + 1));
    for (std::uint64_t &word : state_) word = key = mix(key);
  }
  double uniform() { return static_cast<double>(next() >> 11) * 0x1.0p-53; }
  std::size_t below(std::size_t n)
  {
    return std::min(n - 1, static_cast<std::size_t>(uniform() * static_cast<double>(n)));
  }
  double normal()
  {
    if (has_spare_) {
      has_spare_ = false;
      return spare_;
    }
    double x, y, r;
    do {    // G. Marsaglia, T. A. Bray, SIAM Rev. 6, 260 (1964)
      x = 2.0 * uniform() - 1.0;
      y = 2.0 * uniform() - 1.0;
      r = x * x + y * y;
    } while (r >= 1.0 || r == 0.0);
    const double stretch = std::sqrt(-2.0 * std::log(r) / r);
    spare_ = y * stretch;
    has_spare_ = true;
    return x * stretch;
  }

 private:
  std::uint64_t state_[4];
  double spare_;
  bool has_spare_ = false;

  static std::uint64_t mix(std::uint64_t z)
  {
    z += 0x9e3779b97f4a7c15ULL;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
  }
  static std::uint64_t turn(std::uint64_t x, int k) { return (x << k) | (x >> (64 - k)); }
  std::uint64_t next()
  {
    const std::uint64_t result = turn(state_[1] * 5, 7) * 9, t = state_[1] << 17;
    state_[2] ^= state_[0];
    state_[3] ^= state_[1];
    state_[1] ^= state_[2];
    state_[0] ^= state_[3];
    state_[2] ^= t;
    state_[3] = turn(state_[3], 45);
    return result;
  }
};

namespace {

constexpr double kPi = 3.14159265358979323846;
constexpr double kRoulette = 0.01;    // of the window: nearer parents are hardly more likely
constexpr double kMaxTrust = 2.0;     // longest step, in amplitudes of a gene
constexpr double kMinTrust = 0.02;    // below this, the target is out of reach

std::string range(double low, double high)
{
  return "(" + text(low, 4) + ", " + text(high, 4) + ")";
}

double dot(const double *a, const double *b) { return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]; }

// Between lattice vectors d and the next one, degree.
double angle(const double *cell, int d)
{
  const double *a = cell + 3 * d, *b = cell + 3 * ((d + 1) % 3);
  const double cosine = dot(a, b) / std::sqrt(dot(a, a) * dot(b, b));
  return std::acos(std::min(1.0, std::max(-1.0, cosine))) * 180.0 / kPi;
}

double determinant(const double *h)
{
  return h[0] * (h[4] * h[8] - h[5] * h[7]) - h[1] * (h[3] * h[8] - h[5] * h[6]) +
         h[2] * (h[3] * h[7] - h[4] * h[6]);
}

}    // namespace

// A child in the making, with the scratch memory of its thread.
struct Breeder::Draft {
  std::vector<double> x;
  double cell[9], value[2], density;
  const int *species;
  std::size_t n_counted;
  unsigned char pbc[3];
  unsigned evaluations;

  PeriodicWorkspace ws;
  CellGeometry geometry;
  CellGrid grid;
  std::vector<double> push, gradient[2], best_x;
  std::vector<std::size_t> free;    // atoms that are not frozen

  std::size_t n_atoms() const { return x.size() / 3; }
  Structure structure(std::size_t n) const { return {x.data(), n, cell, pbc, density}; }
  bool periodic() const { return pbc[0] && pbc[1] && pbc[2]; }
  double volume() const { return std::abs(determinant(cell)) / static_cast<double>(n_atoms()); }

  void set(const Population &population)
  {
    species = population.species;
    n_counted = population.n_counted;
    density = population.density;
    std::copy_n(population.pbc, 3, pbc);
  }
  void start_from(const Population &population, std::size_t row)
  {
    const double *from = population.positions + 3 * population.n_atoms * row;
    x.assign(from, from + 3 * population.n_atoms);
    std::copy_n(population.cells + 9 * row, 9, cell);
  }

  void evaluate(const Kernel &kernel)
  {
    entsym::evaluate(kernel, structure(n_counted), value, ws);
    evaluations++;
  }

  // x -> exp(e) x of atoms and cell, e symmetric: a traceless e keeps the volume exactly.
  void strain(const double *e)
  {
    double f[9] = {1, 0, 0, 0, 1, 0, 0, 0, 1}, term[9] = {1, 0, 0, 0, 1, 0, 0, 0, 1};
    for (int k = 1; k < 30; k++) {
      double next[9];
      for (int a = 0; a < 3; a++)
        for (int b = 0; b < 3; b++)
          next[3 * a + b] =
              (term[3 * a] * e[b] + term[3 * a + 1] * e[3 + b] + term[3 * a + 2] * e[6 + b]) / k;
      for (int m = 0; m < 9; m++) f[m] += term[m] = next[m];
    }
    const auto carry = [&f](double *rows, std::size_t n) {
      for (double *r = rows; r < rows + 3 * n; r += 3) {
        const double a = r[0], b = r[1], c = r[2];
        for (int d = 0; d < 3; d++) r[d] = f[3 * d] * a + f[3 * d + 1] * b + f[3 * d + 2] * c;
      }
    };
    carry(x.data(), n_atoms());
    carry(cell, 3);
  }
};

double distance(const double *value, const Target &target)
{
  const double a = (value[0] - target.point[0]) / target.extent[0],
               b = (value[1] - target.point[1]) / target.extent[1];
  return std::sqrt(a * a + b * b);
}

void check(const Target &target)
{
  for (int v = 0; v < 2; v++)
    if (!(std::abs(target.point[v]) <= kMaxValue && target.extent[v] >= kMinExtent &&
          target.extent[v] <= kMaxValue))
      refuse("target = " + text(target.point[v]) + ", extent = " + text(target.extent[v]) +
             ": must be finite, at most " + text(kMaxValue) + " in size, the extent from " +
             text(kMinExtent) + " to " + text(kMaxValue) + "; give values of sS and Q");
  if (!(target.tolerance >= 0.0 && std::isfinite(target.tolerance)))
    refuse("tolerance = " + text(target.tolerance) +
           ": must be 0 or more and finite, a share of the window; 0.02 is the default");
}

Breeder::Breeder(const Kernel &hard, const Kernel &soft, const Genes &genes, const Limits &limits)
    : hard_(hard), soft_(soft), genes_(genes), limits_(limits), max_distance_(0.0)
{
  const char *names[4] = {"displacement", "volume", "shape", "swaps"};
  double *amplitudes[3] = {&genes_.displacement, &genes_.volume, &genes_.shape};
  bool any = false;
  for (int k = 0; k < 4; k++) {
    const double amplitude = k < 3 ? *amplitudes[k] : genes.swaps, most = k == 0   ? kMaxLength
                                                                          : k == 3 ? kMaxRepeats
                                                                                   : 1.0;
    if (!(amplitude >= 0.0 && amplitude <= most))
      refuse(std::string(names[k]) + " = " + text(amplitude) +
             ": must be finite, 0 (off) or more and at most " + text(most));
    const double probability = genes.probability[k];
    if (!(probability >= 0.0 && probability <= 1.0))
      refuse("probabilities: that of " + std::string(names[k]) + " is " + text(probability, 4) +
             "; must lie between 0 (off) and 1");
    if (amplitude == 0.0) genes_.probability[k] = 0.0;
    if (k < 3 && probability == 0.0) *amplitudes[k] = 0.0;
    any = any || genes_.probability[k] > 0.0;
  }
  if (!any)
    refuse(
        "genes: every amplitude or probability is 0; switch on displacement, volume, shape or "
        "swaps");
  if (!(genes.rate > 0.0 && genes.rate <= 1.0))
    refuse("rate = " + text(genes.rate) +
           ": must be above 0 and at most 1, the share of atoms that D moves; 0.3 is the default");
  const std::size_t n = limits.frozen.size();
  if (limits.min_distance.size() != n * n)
    refuse("min_distance: has " + std::to_string(limits.min_distance.size()) +
           " values: must be (n_species, n_species) with frozen (n_species,), n_species = " +
           std::to_string(n));
  if (!limits.names.empty() && limits.names.size() != n)
    refuse("names: are " + std::to_string(limits.names.size()) +
           ": must be n_species = " + std::to_string(n) + ", or none");
  for (std::size_t k = 0; k < n * n; k++) {
    const double d = limits.min_distance[k];
    require_length(named_distance(k / n, k % n), d, "usual is half a bond length", true);
    max_distance_ = std::max(max_distance_, d);
  }
  if (!(limits.min_volume >= 0.0 && limits.min_volume < limits.max_volume &&
        std::isfinite(limits.max_volume)))
    refuse("volume_limits = " + range(limits.min_volume, limits.max_volume) +
           ": must be 0 or more, finite, and rise, in volume per atom");
  if (!(limits.min_angle >= 0.0 && limits.min_angle < limits.max_angle &&
        std::isfinite(limits.max_angle)))
    refuse("angle_limits = " + range(limits.min_angle, limits.max_angle) +
           ": must be 0 or more, finite, and rise, in degrees");
  const bool all_frozen =
      n > 0 && std::find(limits.frozen.begin(), limits.frozen.end(), 0) == limits.frozen.end();
  if (all_frozen && genes_.probability[1] == 0.0 && genes_.probability[2] == 0.0)
    refuse("frozen: every element is, and volume and shape are off; free one");
  if (all_frozen) genes_.probability[0] = genes_.displacement = 0.0;
  if (limits.attempts < 1 || limits.attempts > kMaxRepeats)
    refuse("attempts = " + std::to_string(limits.attempts) + ": must be from 1 to " +
           std::to_string(kMaxRepeats) + "; 20 is the default");
}

std::string Breeder::named_distance(std::size_t a, std::size_t b) const
{
  if (limits_.names.empty()) return "min_distance";
  return "min_distance " + limits_.names[std::min(a, b)] + "-" + limits_.names[std::max(a, b)];
}

// Call visit(i, j, d, r, least) for every atom i and every other listed atom, an image of j, that is
// r = |d| < least away, until it returns true. Each pair is met from both ends.
template <class Visit>
void Breeder::close_pairs(Draft &draft, const Visit &visit) const
{
  if (max_distance_ == 0.0) return;
  const Atoms atoms = list_images(draft.structure(draft.n_atoms()), max_distance_, draft.ws);
  draft.geometry.set(atoms.x, atoms.n_total, max_distance_, 64);
  draft.grid.build(draft.geometry, atoms.x, 0, atoms.n_total, 1);
  const CellGrid &grid = draft.grid;
  const double reach2 = max_distance_ * max_distance_;
  for (std::size_t c = 0; c < draft.geometry.n_cells; c++)
    for (unsigned p = grid.start[c]; p < grid.start[c + 1]; p++) {
      const std::size_t i = grid.index[p];
      if (i >= atoms.n_owned) continue;
      const double *limit = &limits_.min_distance[draft.species[i] * limits_.frozen.size()];
      for (const CellGeometry::Row &row : draft.geometry.full)
        for (unsigned q = grid.start[c + row.first]; q < grid.start[c + row.last + 1]; q++) {
          const double d[3] = {grid.x[q] - grid.x[p], grid.y[q] - grid.y[p], grid.z[q] - grid.z[p]};
          const double r2 = dot(d, d);
          if (r2 >= reach2 || q == p) continue;
          const std::size_t j = draft.ws.owner[grid.index[q]];
          const double least = limit[draft.species[j]];
          if (r2 < least * least && visit(i, j, d, std::sqrt(r2), least)) return;
        }
    }
}

void Breeder::check(const Population &parents) const
{
  if (parents.n == 0 || parents.n_atoms == 0)
    refuse("parents: " + std::to_string(parents.n) + " of " + std::to_string(parents.n_atoms) +
           " atoms; give at least one, with atoms");
  free_atoms(parents);
  Draft draft;
  draft.set(parents);
  draft.density = 1.0;       // of no use here, but images of clusters ask for it
  double best = HUGE_VAL;    // of the parents' worst shortages
  std::string complaint;
  for (std::size_t k = 0; k < parents.n; k++) {
    draft.start_from(parents, k);
    try {
      list_images(draft.structure(draft.n_atoms()), max_distance_, draft.ws);
    } catch (const std::invalid_argument &error) {
      refuse("parent " + std::to_string(k) + ": " + error.what());
    }
    const std::string parent = ": parent " + std::to_string(k) + " has ",
                      remedy = "; widen them or leave the parent out";
    for (int d = 0; d < 3; d++) {
      if (!draft.pbc[d] || !draft.pbc[(d + 1) % 3]) continue;
      const double degrees = angle(draft.cell, d);
      if (!(degrees >= limits_.min_angle && degrees <= limits_.max_angle))
        refuse("angle_limits = " + range(limits_.min_angle, limits_.max_angle) + parent +
               "an angle of " + text(degrees, 4) + " degrees" + remedy);
    }
    const double volume = draft.volume();
    if (draft.periodic() && !(volume >= limits_.min_volume && volume <= limits_.max_volume))
      refuse("volume_limits = " + range(limits_.min_volume, limits_.max_volume) + parent +
             text(volume, 4) + " per atom" + remedy);
    if (best == 0.0) continue;
    double worst = 0.0;
    std::string pair;
    close_pairs(draft, [&](std::size_t i, std::size_t j, const double *, double r, double least) {
      if (least - r > worst) {
        worst = least - r;
        pair = named_distance(draft.species[i], draft.species[j]) + " = " + text(least, 4) +
               ": no parent keeps to it, the best has such a pair at " + text(r, 4) + "; lower it";
      }
      return false;
    });
    if (worst < best) {
      best = worst;
      complaint = pair;
    }
  }
  if (best > 0.0) refuse(complaint);
}

bool Breeder::too_close(Draft &draft) const
{
  bool close = false;
  close_pairs(draft, [&](std::size_t, std::size_t, const double *, double, double) {
    return close = true;
  });
  return close;
}

// Move pairs apart that are too close, each atom by half of the missing distance, in a few sweeps, as in
// position-based dynamics. Frozen atoms stay. False if some are still too close.
bool Breeder::push_apart(Draft &draft) const
{
  for (int sweep = 0; sweep < 8; sweep++) {
    bool close = false, helpless = false;
    draft.push.assign(draft.x.size(), 0.0);
    close_pairs(draft, [&](std::size_t i, std::size_t j, const double *d, double r, double least) {
      const bool fixed_i = limits_.frozen[draft.species[i]] != 0,
                 fixed_j = limits_.frozen[draft.species[j]] != 0;
      close = true;
      // an atom's own image moves with it, two frozen atoms stay, coincident atoms have no direction
      if (i == j || (fixed_i && fixed_j) || r < 1e-6 * least) return helpless = true;
      if (fixed_i) return false;
      // a little more than is missing, so that rounding does not leave them short
      const double move = (fixed_j ? 1.0 : 0.5) * (1.001 * least - r) / r;
      for (int k = 0; k < 3; k++) draft.push[3 * i + k] -= move * d[k];
      return false;
    });
    if (!close) return true;
    if (helpless) return false;
    for (std::size_t k = 0; k < draft.x.size(); k++) draft.x[k] += draft.push[k];
  }
  return !too_close(draft);
}

// Return 0 if all limits are kept, 1 for a distance, 2 for the volume, 3 for an angle.
int Breeder::broken_limit(Draft &draft, bool guided) const
{
  if (draft.periodic()) {
    const double volume = draft.volume();
    if (!(volume >= limits_.min_volume && volume <= limits_.max_volume)) return 2;
  }
  for (int d = 0; d < 3; d++) {
    if (!draft.pbc[d] || !draft.pbc[(d + 1) % 3]) continue;
    const double degrees = angle(draft.cell, d);
    if (!(degrees >= limits_.min_angle && degrees <= limits_.max_angle)) return 3;
  }
  return (guided ? !push_apart(draft) : too_close(draft)) ? 1 : 0;
}

// Apply the genes of a random draw and return their bits.
unsigned Breeder::mutate(Draft &draft, Random &random) const
{
  unsigned drawn = 0;
  double sum[4], total = 0.0;
  for (int k = 0; k < 4; k++) {
    if (random.uniform() < genes_.probability[k]) drawn |= 1u << k;
    sum[k] = total += genes_.probability[k];
  }
  if (!drawn) {
    const double mark = random.uniform() * total;
    int k = 0;
    while (k < 3 && !(mark < sum[k])) k++;
    drawn = 1u << k;
  }

  if (drawn & Genes::Swap)    // places are exchanged, so that the species of a row stays
    for (int s = 0; s < genes_.swaps; s++) {
      std::size_t i, j;
      do {
        i = draft.free[random.below(draft.free.size())];
        j = draft.free[random.below(draft.free.size())];
      } while (draft.species[i] == draft.species[j]);
      std::swap_ranges(&draft.x[3 * i], &draft.x[3 * i] + 3, &draft.x[3 * j]);
    }
  if ((drawn & Genes::D) && !draft.free.empty()) {
    const auto move = [&](std::size_t i) {
      for (int d = 0; d < 3; d++) draft.x[3 * i + d] += genes_.displacement * random.normal();
    };
    bool moved = false;
    for (const std::size_t i : draft.free)
      if (random.uniform() < genes_.rate) {
        move(i);
        moved = true;
      }
    if (!moved) move(draft.free[random.below(draft.free.size())]);
  }
  if (drawn & (Genes::S | Genes::V)) {
    double e[9] = {};
    if (drawn & Genes::S) {
      // A symmetric matrix with off-diagonal elements 1/sqrt(2) of the diagonal ones has the same
      // distribution in all frames of reference.
      for (int a = 0; a < 3; a++)
        for (int b = a; b < 3; b++)
          e[3 * a + b] = e[3 * b + a] =
              genes_.shape * random.normal() * (a == b ? 1.0 : std::sqrt(0.5));
      const double mean = (e[0] + e[4] + e[8]) / 3.0;
      for (int d = 0; d < 3; d++) e[4 * d] -= mean;
    }
    if (drawn & Genes::V) {
      const double grow = genes_.volume * random.normal() / 3.0;
      for (int d = 0; d < 3; d++) e[4 * d] += grow;
    }
    draft.strain(e);
  }
  return drawn;
}

void Breeder::guide(Draft &draft, const Target &target, int steps) const
{
  const std::size_t n = 3 * draft.n_counted;
  const double a_x = genes_.displacement, a_s = genes_.shape, a_v = genes_.volume / 3.0;
  if (a_x == 0.0 && a_s == 0.0 && a_v == 0.0) return;
  for (auto &g : draft.gradient) g.resize(n);
  const double *row[2] = {draft.gradient[0].data(), draft.gradient[1].data()};
  double strain[2][9], trace[2], jj[3], best_cell[9], best_value[2];
  double best = distance(draft.value, target), trust = 1.0;
  bool moved = true;    // since the last gradient

  for (int step = 0; step < steps && best >= target.tolerance && trust > kMinTrust; step++) {
    if (moved) {
      draft.best_x = draft.x;
      std::copy_n(draft.cell, 9, best_cell);
      std::copy_n(draft.value, 2, best_value);
      // of the last evaluation
      gradients(soft_, draft.structure(draft.n_counted),
                {draft.gradient[0].data(), draft.gradient[1].data(), strain[0], strain[1]},
                draft.ws);
      for (std::size_t i = 0; i < draft.n_counted; i++)
        if (limits_.frozen[draft.species[i]])
          for (auto &g : draft.gradient) std::fill_n(&g[3 * i], 3, 0.0);
      for (int v = 0; v < 2; v++) {
        trace[v] = strain[v][0] + strain[v][4] + strain[v][8];
        for (int d = 0; d < 3; d++) strain[v][4 * d] -= trace[v] / 3.0;
      }
      for (int v = 0; v < 2; v++)
        for (int w = v; w < 2; w++) {
          double sum = 0.0, shear = 0.0;
          for (std::size_t k = 0; k < n; k++) sum += row[v][k] * row[w][k];
          for (int k = 0; k < 9; k++) shear += strain[v][k] * strain[w][k];
          jj[v + w] = (a_x * a_x * sum + a_s * a_s * shear + a_v * a_v * trace[v] * trace[w]) /
                      (target.extent[v] * target.extent[w]);
        }
    }
    // (J J^T) lambda = missing; the diagonal, a little raised, bounds the step along parallel rows
    const double a = jj[0] * (1.0 + 1e-4) + 1e-30, b = jj[1], c = jj[2] * (1.0 + 1e-4) + 1e-30;
    const double m0 = (target.point[0] - best_value[0]) / target.extent[0],
                 m1 = (target.point[1] - best_value[1]) / target.extent[1];
    const double l0 = (c * m0 - b * m1) / (a * c - b * b) / target.extent[0],
                 l1 = (a * m1 - b * m0) / (a * c - b * b) / target.extent[1];

    double longest = std::abs(a_v * (l0 * trace[0] + l1 * trace[1]));
    for (std::size_t k = 0; k < n; k++)
      longest = std::max(longest, a_x * std::abs(l0 * row[0][k] + l1 * row[1][k]));
    double e[9];
    for (int k = 0; k < 9; k++) {
      e[k] = a_s * (l0 * strain[0][k] + l1 * strain[1][k]);
      longest = std::max(longest, std::abs(e[k]));
    }
    const double scale = longest > trust ? trust / longest : 1.0;
    for (std::size_t k = 0; k < n; k++)
      draft.x[k] += scale * a_x * a_x * (l0 * row[0][k] + l1 * row[1][k]);
    for (int k = 0; k < 9; k++)
      e[k] =
          scale * (a_s * e[k] + (k % 4 == 0 ? a_v * a_v * (l0 * trace[0] + l1 * trace[1]) : 0.0));
    draft.strain(e);

    moved = false;
    if (broken_limit(draft, true) == 0) {
      draft.evaluate(hard_);
      const double now = distance(draft.value, target);
      moved = now < best;
      if (moved) best = now;
    }
    if (moved) {
      trust = std::min(2.0 * trust, kMaxTrust);
    } else {    // go back and try a shorter step
      trust = 0.3 * std::min(trust, longest);
      draft.x = draft.best_x;
      std::copy_n(best_cell, 9, draft.cell);
      std::copy_n(best_value, 2, draft.value);
    }
  }
}

// Atoms that are not frozen.
std::vector<std::size_t> Breeder::free_atoms(const Population &population) const
{
  std::vector<std::size_t> free;
  bool alike = true;
  for (std::size_t i = 0; i < population.n_atoms; i++)
    if (!limits_.frozen[population.species[i]]) {
      free.push_back(i);
      alike = alike && population.species[i] == population.species[free[0]];
    }
  if (genes_.probability[3] > 0.0 && alike)
    refuse("swaps = " + std::to_string(genes_.swaps) +
           ": needs free atoms of two elements; give 0, or freeze fewer");
  return free;
}

void Breeder::check_room(std::size_t n_children, std::size_t n_atoms)
{
  const double bytes = static_cast<double>(n_children) *
                       (sizeof(Child) + 8.0 * (3.0 * static_cast<double>(n_atoms) + 9.0 + 2.0));
  const double most = kMaxBytes * allowed();
  if (bytes > most)
    refuse("n_children = " + std::to_string(n_children) + ": so many individuals of " +
           std::to_string(n_atoms) + " atoms need " + text(1e-9 * bytes, 3) + " GB, more than " +
           text(1e-9 * most, 3) + " GB; make fewer at once, " + or_allow(bytes / most));
}

void Breeder::breed(const Population &population, const Target &target,
                    const Generation &generation, double *positions, double *cells, double *values,
                    Child *children, int threads) const
{
  const std::size_t n_atoms = population.n_atoms;
  entsym::check(target);
  if (generation.steps < 0 || generation.steps > kMaxRepeats)
    refuse("steps = " + std::to_string(generation.steps) + ": must be from 0 to " +
           std::to_string(kMaxRepeats) + "; 6 is the default");
  for (std::size_t k = 0; k < 2 * population.n; k++)
    if (!(std::abs(population.values[k]) <= kMaxValue))
      refuse("values: " + std::string(k % 2 ? "Q" : "sS") + " of structure " +
             std::to_string(k / 2) + " is " + text(population.values[k]) +
             ": must be finite, at most " + text(kMaxValue) + " in size; leave the structure out");
  const std::vector<std::size_t> free = free_atoms(population);

  // The wheel: running sums over the structures behind the library.
  const std::size_t first = population.n > generation.n_library ? generation.n_library : 0;
  std::vector<double> wheel;
  double total = 0.0;
  for (std::size_t k = first; k < population.n; k++)
    wheel.push_back(total += 1.0 / (distance(population.values + 2 * k, target) + kRoulette));

  std::size_t closest = 0;
  for (std::size_t k = 1; k < population.n; k++)
    if (distance(population.values + 2 * k, target) <
        distance(population.values + 2 * closest, target))
      closest = k;
  const bool there = distance(population.values + 2 * closest, target) < target.tolerance;

  std::vector<Draft> drafts(crew_size(generation.n_children, threads));
  for (Draft &draft : drafts) {
    draft.free = free;
    draft.set(population);
  }
  const bool guided = generation.steps > 0;
  parallel(generation.n_children, threads, [&](std::size_t number, int thread) {
    Draft &draft = drafts[thread];
    Random random(generation.seed, generation.stream, 3, generation.first + number);
    Child &child = children[number] = Child{};
    const bool direct = generation.direct && guided && generation.first + number == 0 && !there;
    if (direct) child.parent = closest;
    else if (random.uniform() < generation.fresh) child.parent = random.below(generation.n_library);
    else {
      const auto stop = std::upper_bound(wheel.begin(), wheel.end(), random.uniform() * total);
      child.parent = first + std::min<std::size_t>(stop - wheel.begin(), wheel.size() - 1);
    }
    draft.evaluations = 0;
    for (int attempt = 0; attempt < limits_.attempts && !child.valid; attempt++) {
      draft.start_from(population, child.parent);
      child.genes = direct && attempt == 0 ? 0 : mutate(draft, random);
      try {
        if (const int broken = broken_limit(draft, guided)) {
          child.rejected[broken - 1]++;
          continue;
        }
        draft.evaluate(hard_);
        if (guided) {
          child.genes |= Genes::Guided;
          guide(draft, target, generation.steps);
        }
      } catch (const std::invalid_argument &) {    // such as a cell without volume
        child.rejected[1]++;
        continue;
      }
      child.valid = 1;
    }
    if (!child.valid) std::fill_n(draft.value, 2, std::numeric_limits<double>::quiet_NaN());
    child.evaluations = draft.evaluations;
    std::copy_n(draft.x.data(), 3 * n_atoms, positions + 3 * n_atoms * number);
    std::copy_n(draft.cell, 9, cells + 9 * number);
    std::copy_n(draft.value, 2, values + 2 * number);
  });
}

}    // namespace entsym
