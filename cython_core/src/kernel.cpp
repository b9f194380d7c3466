// SPDX-License-Identifier: BSD-3-Clause
#include "entsym/kernel.hpp"

#include <algorithm>
#include <atomic>
#include <climits>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <string>
#include <utility>

#include "cell_grid.hpp"
#include "limits.hpp"
#include "parallel.hpp"

#if defined(__x86_64__) && defined(__GNUC__)
#define ENTSYM_X86 1
#include <immintrin.h>
#endif

namespace entsym {

namespace {

constexpr double kPi = 3.14159265358979323846;
constexpr double kUnderflow = 1e-300;    // g below this counts as 0

// Relative size of the histogram's bins and how far a Gaussian is followed, in sigma: together they
// set the error of g, about 3e-10 of a pair's own peak.
constexpr double kBin = 0.5, kTail = 7.0;

}    // namespace

void Parameters::validate()
{
  require_length("rmax", rmax, "usual is about four neighbour distances");
  require_length("sigma", sigma, "usual is about a twentieth of the neighbour distance");
  require_length("q6_cutoff", q_cutoff, "usual is the first minimum of g(r)");
  if (dr == 0.0) dr = 0.25 * sigma;
  if (!(std::isfinite(dr) && dr > 0.0))
    refuse("dr = " + text(dr) + ": must be a finite length above 0; usual is sigma/4");
  if (dr > sigma * (1.0 + 1e-9))
    refuse("dr = " + text(dr) + ": must be at most sigma = " + text(sigma) +
           ", or the grid misses the peaks; sigma/4 is the default");
  if (sigma > rmax)
    refuse("sigma = " + text(sigma) + ": must be at most rmax = " + text(rmax) +
           "; usual values are 0.02 to 0.1 rmax");
  if (rmax / dr > 1e6)
    refuse("dr = " + text(dr) + ": must be at least rmax/1e6 = " + text(rmax / 1e6) +
           "; raise sigma or dr");
  if (sigma / dr > 1e4)
    refuse("dr = " + text(dr) + ": must be at least sigma/1e4 = " + text(sigma / 1e4) +
           "; sigma/4 is the default");
  if (degree < 2 || degree > max_degree || degree % 2)
    refuse("degree = " + std::to_string(degree) + ": must be one of 2, 4, 6, 8, 10, 12");
  if (smooth != 0.0 && !(smooth >= 1e-6 * q_cutoff && smooth <= q_cutoff))
    refuse("smooth = " + text(smooth) +
           ": must be 0 (hard cutoff), or lie between a millionth of " +
           "q6_cutoff and q6_cutoff = " + text(q_cutoff));
  dr = rmax / std::ceil(rmax / dr - 1e-9);
}

void Parameters::check_density(double density)
{
  if (!(density >= kMinDensity && density <= kMaxDensity))
    refuse("number_density = " + text(density) +
           ": must be a finite number of atoms per volume from " + text(kMinDensity) + " to " +
           text(kMaxDensity) + "; leave it out to take it from a cell with three periods");
}

// One bin of the histogram, or the polynomial that belongs to it: one cache line.
struct alignas(64) Line {
  double v[8];
};

// Everything that depends on the parameters alone.
//
// The pair histogram keeps, per bin of width sigma/2, the sums of 1, t, ..., t^7 over the distances
// in it, t in [-1, 1) being the place in the bin. On a bin the Gaussian around r_k is a polynomial
// of degree 7 in t (Chebyshev interpolation), so that one short sum over bins and powers gives
// g_m(r_k) for any number of pairs: a fast Gauss transform in one dimension (L. Greengard, J. Strain,
// SIAM J. Sci. Stat. Comput. 12, 79 (1991)). The same polynomials give the exact derivative.
struct Kernel::Tables {
  double dr, dr_by_sigma, inverse_bin, gauss_norm, pair_cutoff2, q_cutoff2, coincident2, q_inner,
      inverse_smooth;
  int n_grid, degree;
  int stride;        // grid points of the convolution per dr
  int bin_points;    // such points per bin
  int n_bins, overhang, taps, n_broadened;
  Array<> r2, inverse_r2, weight, weight_r2;    // (n_grid,); weight: trapezoid times dr
  Array<> response;    // (8, taps): coefficient of t^p in the Gaussian at offset j
  double legendre[Parameters::max_degree + 1][Parameters::max_degree / 2 + 1],
      slope[Parameters::max_degree + 1][Parameters::max_degree / 2 + 1];

  explicit Tables(const Parameters &p)
      : dr(p.dr), dr_by_sigma(p.dr / p.sigma), gauss_norm(1.0 / (std::sqrt(2.0 * kPi) * p.sigma)),
        pair_cutoff2(p.pair_cutoff() * p.pair_cutoff()), q_cutoff2(p.q_cutoff * p.q_cutoff),
        coincident2(1e-24 * p.rmax * p.rmax), q_inner(p.q_cutoff - p.smooth),
        inverse_smooth(p.smooth > 0.0 ? 1.0 / p.smooth : 0.0), n_grid(p.n_grid()), degree(p.degree)
  {
    stride = dr > kBin * p.sigma * (1.0 + 1e-9) ? 2 : 1;
    const double step = dr / stride;
    bin_points = std::max(1, static_cast<int>(kBin * p.sigma / step * (1.0 + 1e-9)));
    const double bin = bin_points * step;
    inverse_bin = 1.0 / bin;
    n_bins = static_cast<int>(p.pair_cutoff() * inverse_bin) + 2;
    // A bin reaches `overhang` points to either side; by symmetry the table has its upper half only.
    taps = static_cast<int>(std::ceil(kTail * p.sigma / step)) + bin_points / 2 + 1;
    taps = (taps + kPad - 1) / kPad * kPad;
    overhang = taps - bin_points / 2 - 1;
    n_broadened = n_bins * bin_points + 2 * overhang + 1;
    fill_grid();
    fill_response(p, step, bin);
    fill_legendre();
  }

  // Switching function f of the neighbour cutoff and, where asked, its derivative.
  double switching(double r, double *derivative = nullptr) const
  {
    const double u = (r - q_inner) * inverse_smooth;
    if (derivative) *derivative = 0.0;
    if (u <= 0.0) return 1.0;
    if (u >= 1.0) return 0.0;
    if (derivative) *derivative = -30.0 * u * u * (1.0 - u) * (1.0 - u) * inverse_smooth;
    if (u >
        0.999) {    // the same with 1 - u in place of u: the difference from 1 has no digits here
      const double v = 1.0 - u;
      return v * v * v * (10.0 - v * (15.0 - 6.0 * v));
    }
    return 1.0 - u * u * u * (10.0 - u * (15.0 - 6.0 * u));
  }

  double bond_order(const double *qlm) const
  {
    const int n = 2 * degree + 1;
    double square = 0.0;
    for (int c = 0; c < n; c++) square += qlm[c] * qlm[c];
    return std::sqrt(4.0 * kPi / n * square);
  }

 private:
  void fill_grid()
  {
    for (int k = 0; k < n_grid; k++) {
      const double r = k * dr, w = k == 0 ? 0.0 : (k == n_grid - 1 ? 0.5 * dr : dr);
      r2.push_back(r * r);
      inverse_r2.push_back(k ? 1.0 / (r * r) : 0.0);    // the integrand at r = 0 is 0
      weight.push_back(w);
      weight_r2.push_back(w * r * r);
    }
  }

  void fill_response(const Parameters &p, double step, double bin)
  {
    double chebyshev[8][8] = {{1.0}, {0.0, 1.0}};    // T_q as coefficients of powers
    for (int q = 2; q < 8; q++)
      for (int k = 0; k < 8; k++)
        chebyshev[q][k] = (k ? 2.0 * chebyshev[q - 1][k - 1] : 0.0) - chebyshev[q - 2][k];
    response.assign(8 * static_cast<std::size_t>(taps), 0.0);
    for (int j = 0; j < taps; j++) {
      double value[8];
      for (int i = 0; i < 8; i++) {
        const double t = std::cos(kPi * (i + 0.5) / 8.0);
        const double d = ((j + (bin_points + 1) / 2) * step - 0.5 * (1.0 + t) * bin) / p.sigma;
        value[i] = std::exp(-0.5 * d * d);
      }
      for (int q = 0; q < 8; q++) {
        double c = 0.0;
        for (int i = 0; i < 8; i++) c += value[i] * std::cos(kPi * q * (i + 0.5) / 8.0);
        c *= q ? 0.25 : 0.125;
        if (j == 0 && bin_points % 2 == 0) c *= 0.5;    // the middle is in both halves
        for (int k = 0; k <= q; k++)
          response[static_cast<std::size_t>(k) * taps + j] += c * chebyshev[q][k];
      }
    }
  }

  // Normalised d^m P_l/dz^m as coefficients of every other power of z, the highest first; `slope` is
  // its derivative. For m > 0 the factor sqrt(2) of the real harmonics and the sign (-1)^m are in it.
  void fill_legendre()
  {
    const int l = degree;
    for (int m = 0; m <= l; m++) {
      double norm = (2 * l + 1) / (4.0 * kPi);
      for (int k = l - m + 1; k <= l + m; k++) norm /= k;
      norm = std::sqrt(norm) * (m ? std::sqrt(2.0) : 1.0) * (m % 2 ? -1.0 : 1.0);
      for (int k = 0; 2 * k <= l - m; k++) {
        // (-1)^k (2l-2k)! / (2^l k! (l-k)! (l-2k)!) times (l-2k)!/(l-2k-m)!
        const int power = l - 2 * k - m;
        const double log_c = std::lgamma(2 * l - 2 * k + 1.0) - std::lgamma(k + 1.0) -
                             std::lgamma(l - k + 1.0) - std::lgamma(power + 1.0);
        const double whole = std::round(std::exp(log_c));    // an integer below 2^53
        legendre[m][k] = (k % 2 ? -1.0 : 1.0) * norm * std::ldexp(whole, -l);
        slope[m][k] = power * legendre[m][k];    // its last entry is not used where power = 0
      }
    }
  }
};

namespace {

using Tables = Kernel::Tables;

template <class Vector>
__attribute__((noinline)) void grow(Vector &v, std::size_t n)
{
  v.resize(n + n / 2);
}

// Scratch memory of a thread that walks cells.
struct Scratch {
  Array<1536> bx, by, bz;    // candidates around a cell
  Indices<1536> bi;          // their rows in the list
  Array<> hx, hy, hz, hw;    // vectors to neighbours, weights
  Indices<1024> hi;          // their rows in the list
  Indices<> place;           // candidates that are neighbours
  Array<> r2, broadened, g, log_g, adjoint, integrand;
  Array<> own;    // an atom's own sum of Gaussians, 0 when it is not at work
  std::vector<Line> moments, slope;

  void reserve_candidates(std::size_t n)
  {
    if (bx.size() < n) {
      for (auto *v : {&bx, &by, &bz}) grow(*v, n);
      grow(bi, n);
    }
  }
  void reserve_hits(std::size_t n)
  {
    if (hx.size() < n) {
      for (auto *v : {&hx, &hy, &hz, &hw}) grow(*v, n);
      grow(hi, n);
      grow(place, n);
    }
  }
  void reserve_r2(std::size_t n)
  {
    if (r2.size() < n) grow(r2, n);
  }
};

// Room for neighbours in all the lists of a walk.
struct BondRoom {
  double most;
  std::atomic<std::size_t> taken;
};

// The neighbours that a walk met: bonds end[c-1] to end[c] are those of centre[c].
struct Bonds {
  std::vector<int> centre;
  std::vector<std::size_t> end;
  Indices<> neighbor;
  std::size_t n;
  BondRoom *room;

  void clear()
  {
    centre.clear();
    end.clear();
    n = 0;
  }
  void reserve(std::size_t size)
  {
    if (neighbor.size() < size) {
      const std::size_t before = neighbor.size(), more = size + size / 2 - before;
      const double all = static_cast<double>(room->taken += more);
      if (all > room->most && all > room->most * allowed())
        refuse("q6_cutoff: the neighbours within it need more than " +
               text(1e-9 * sizeof(int) * room->most * allowed(), 3) +
               " GB; atoms lie too close: check the units, shorten q6_cutoff, " + or_allow(2.0));
      grow(neighbor, size);
    }
  }
};

// Which pairs a walk meets: those among owned atoms, those of owned atoms and ghosts, both of these, or
// of each owned atom with all listed ones.
enum class Pairs { owned, ghosts, both, all };

struct Neighborhood {
  CellGeometry geometry;
  CellGrid owned;    // not for Pairs::all
  CellGrid
      listed;    // the ghosts, or for Pairs::all the owned atoms, first in their cells, and ghosts
  int n_owned;
};

// Values of the owned atoms; `entropy` may be null.
struct LocalValues {
  double *entropy, *qlm, *n_neighbors;
};

// What gradients are made of: d sS / d r_ij of each bin; c of Q_l (see GradientVisitor), and for
// every owned atom 1/n and c.q.
struct Slopes {
  const Line *entropy;
  const double *c, *share, *projection;
};

// What the pairs of one stretch add to the gradients of its atoms and of those around it: these have
// slots, first the owned atoms from place `first_owned` of their grid on, then the ghosts.
struct Forces {
  std::size_t first_owned, n_owned, first_ghost;
  std::vector<unsigned> owner;    // row of each slot's atom, or of the one that it repeats
  std::vector<double> entropy, bond_order;    // (slots, 3)
  double strain[12];                          // xx, yy, zz, yz, xz, xy of both
  bool both_ends;                             // pairs with ghosts are met from both ends
};

// Weight of the bond between atoms at xi and xj in q_lm.
inline double bond_weight(const Tables &tab, const double *xi, const double *xj)
{
  if (tab.inverse_smooth == 0.0) return 1.0;
  const double x = xj[0] - xi[0], y = xj[1] - xi[1], z = xj[2] - xi[2];
  return tab.switching(std::sqrt(x * x + y * y + z * z));
}

// The loops of one instruction set.
struct Loops {
  void (*deposit)(const Tables &, const Neighborhood &, Pairs, std::size_t begin, std::size_t end,
                  Scratch &, Line *moments, Bonds *bonds);
  double (*count)(const Tables &, const Neighborhood &, Pairs, std::size_t begin, std::size_t end,
                  Scratch &);
  Entropy (*entropy)(const Tables &, const double *moments, double n_atoms, double density,
                     Scratch &, double *g, double *running);
  void (*entropy_slope)(const Tables &, const double *moments, double n_atoms, double density,
                        Scratch &);
  void (*bond_sum)(const Tables &, const double *x, const Bonds &, const double *share, Scratch &,
                   double *qlm);
  void (*local)(const Tables &, const Neighborhood &, std::size_t begin, std::size_t end,
                double density, Scratch &, const LocalValues &out, Bonds &bonds);
  void (*means)(const Tables &, const double *x, const Bonds &, const double *entropy,
                const double *qlm, double *mean_entropy, double *mean_bond_order);
  void (*gradient)(const Tables &, const Neighborhood &, std::size_t begin, std::size_t end,
                   const Slopes &, Scratch &, Forces &);
};

#ifdef ENTSYM_X86
#ifdef __clang__
#pragma clang attribute push(__attribute__((target("avx2,fma,popcnt,bmi,bmi2"))), \
                             apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma,popcnt,bmi,bmi2")
#endif
#define ENTSYM_ISA 2
namespace avx2 {
#include "kernel_loops.inc"
}
#undef ENTSYM_ISA
#ifdef __clang__
#pragma clang attribute pop
#pragma clang attribute push(                                                      \
    __attribute__((target("avx512f,avx512vl,avx512dq,avx2,fma,popcnt,bmi,bmi2"))), \
    apply_to = function)
#else
#pragma GCC pop_options
#pragma GCC push_options
#pragma GCC target("avx512f,avx512vl,avx512dq,avx2,fma,popcnt,bmi,bmi2,prefer-vector-width=512")
#endif
#define ENTSYM_ISA 5
namespace avx512 {
#include "kernel_loops.inc"
}
#undef ENTSYM_ISA
#ifdef __clang__
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif

#define ENTSYM_ISA 0
namespace generic {
#include "kernel_loops.inc"
}
#undef ENTSYM_ISA

// ENTSYM_ISA=avx2 or generic in the environment selects less than the best of the machine.
std::pair<const Loops *, const char *> choose_loops()
{
#ifdef ENTSYM_X86
  const char *wish = std::getenv("ENTSYM_ISA");
  const bool plain = wish && std::strcmp(wish, "generic") == 0;
  const bool at_most_avx2 = wish && std::strcmp(wish, "avx2") == 0;
  const bool has_avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                        __builtin_cpu_supports("bmi2");
  if (has_avx2 && !plain && !at_most_avx2 && __builtin_cpu_supports("avx512f") &&
      __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq"))
    return {&avx512::loops, "avx512"};
  if (has_avx2 && !plain) return {&avx2::loops, "avx2"};
#endif
  return {&generic::loops, "generic"};
}

const std::pair<const Loops *, const char *> &chosen()
{
  static const std::pair<const Loops *, const char *> choice = choose_loops();
  return choice;
}

const Loops &loops() { return *chosen().first; }

}    // namespace

const char *Kernel::isa() { return chosen().second; }

struct Workspace::Impl {
  Neighborhood near;
  std::vector<Scratch> threads;
  std::vector<Line> lines;
  std::vector<Bonds> bonds;
  std::vector<Forces> forces;
  BondRoom room;
  std::vector<double> partial, share, projection;

  Scratch &thread(int t)
  {
    if (threads.size() <= static_cast<std::size_t>(t)) threads.resize(t + 1);
    return threads[t];
  }
  // Lists of bonds for the stretches of a walk, empty.
  void room_for_bonds(std::size_t stretches, std::size_t n_owned)
  {
    if (bonds.size() < stretches) bonds.resize(stretches);
    room.most = std::max(kMaxBytes / sizeof(int), kMaxBondsPerAtom * static_cast<double>(n_owned));
    room.taken = 0;
    for (Bonds &list : bonds) {
      room.taken += list.neighbor.size();
      list.room = &room;
      list.clear();
    }
  }
};

Workspace::Workspace() : impl(new Impl) {}
Workspace::~Workspace() = default;
Workspace::Workspace(Workspace &&) noexcept = default;
Workspace &Workspace::operator=(Workspace &&) noexcept = default;

namespace {

template <class Body>
void share_out(Workspace::Impl &ws, std::size_t n_tasks, int threads, const Body &body)
{
  ws.thread(crew_size(n_tasks, threads) - 1);
  parallel(n_tasks, threads, [&](std::size_t task, int thread) { body(task, ws.threads[thread]); });
}

// Cells are cut into stretches whose number depends on the atoms and the parameters alone: partial
// sums added in their order are the same for any number of threads. The histograms of all of them
// stay below about 256 MB.
std::size_t n_stretches(const Tables &tab, const Atoms &atoms)
{
  const std::size_t most = std::min<std::size_t>(64, (std::size_t{1} << 21) / tab.n_bins);
  return std::max<std::size_t>(1, std::min(most, atoms.n_owned / 512));
}

template <class Body>
void walk(Workspace::Impl &ws, const Tables &tab, const Atoms &atoms, int threads, const Body &body)
{
  const std::size_t stretches = n_stretches(tab, atoms), cells = ws.near.geometry.n_cells;
  share_out(ws, stretches, threads, [&](std::size_t s, Scratch &scratch) {
    body(s, s * cells / stretches, (s + 1) * cells / stretches, scratch);
  });
}

// Refuse a walk that would take too long before it starts: atoms far too dense for the cutoff, or one of
// them so far away that all others share a cell. Bounds that cost nothing are tested first.
void limit_tests(const Neighborhood &near, const Atoms &atoms, double cutoff, bool all)
{
  const double n = static_cast<double>(atoms.n_owned);
  const double usual = std::max(kMaxTests, kTestsPerAtom * n);
  if (n * static_cast<double>(atoms.n_total) <= usual) return;
  double stencil = 0.0;
  for (const CellGeometry::Row &row : near.geometry.full)
    stencil += static_cast<double>(row.last - row.first + 1);
  const auto count = [](const CellGrid &grid, std::ptrdiff_t first, std::ptrdiff_t last) {
    return static_cast<double>(grid.start[last + 1] - grid.start[first]);
  };
  double tests = 0.0;    // every pair from both ends
  for (const CellGrid *grid : {all ? nullptr : &near.owned, &near.listed}) {
    if (!grid) continue;
    double fullest = 0.0;
    const std::ptrdiff_t n_cells = static_cast<std::ptrdiff_t>(near.geometry.n_cells);
    for (std::ptrdiff_t c = 0; c < n_cells; c++) fullest = std::max(fullest, count(*grid, c, c));
    tests += n * stencil * fullest;
  }
  if (tests <= usual) return;
  tests = 0.0;
  const CellGrid &centres = all ? near.listed : near.owned;
  for (std::ptrdiff_t c = 0; c < static_cast<std::ptrdiff_t>(near.geometry.n_cells); c++) {
    const double here = count(centres, c, c);
    if (here == 0.0) continue;
    for (const CellGeometry::Row &row : near.geometry.full) {
      tests += here * count(near.listed, c + row.first, c + row.last);
      if (!all) tests += here * count(near.owned, c + row.first, c + row.last);
    }
  }
  if (all) tests *= n / static_cast<double>(atoms.n_total);    // of cells with ghosts and owned
  const double most = usual * allowed();
  if (tests > most)
    refuse("positions: " + text(tests, 3) + " distances would be tested for the cutoff of " +
           text(cutoff) + ", more than " + text(most, 3) +
           " take too long; atoms lie too close, or few of them very far from the others: check "
           "the units, shorten rmax and q6_cutoff, take stray atoms out, " +
           or_allow(tests / most));
}

// For a walk over Pairs::all, or over Pairs::owned and then Pairs::ghosts.
void sort_atoms(Workspace::Impl &ws, const Atoms &atoms, double cutoff, bool all, int threads)
{
  ws.near.geometry.set(atoms.x, atoms.n_total, cutoff);
  ws.near.n_owned = static_cast<int>(atoms.n_owned);
  if (!all) ws.near.owned.build(ws.near.geometry, atoms.x, 0, atoms.n_owned, threads);
  ws.near.listed.build(ws.near.geometry, atoms.x, all ? 0 : atoms.n_owned, atoms.n_total, threads);
  limit_tests(ws.near, atoms, cutoff, all);
}

void add_partials(const std::vector<double> &partial, std::size_t n, double *total)
{
  std::fill_n(total, n, 0.0);
  for (std::size_t k = 0; k < partial.size(); k++) total[k % n] += partial[k];
}

// ws.share: 1/n of each listed atom's neighbours, for ghosts that of their owner, or 0 where they are
// another rank's.
void count_bonds(Workspace::Impl &ws, const Kernel::Tables &tab, const Atoms &atoms,
                 std::size_t stretches, double *n_neighbors)
{
  ws.share.assign(atoms.n_total, 0.0);
  for (std::size_t s = 0; s < stretches; s++) {
    const Bonds &bonds = ws.bonds[s];
    for (std::size_t c = 0, b = 0; c < bonds.centre.size(); c++) {
      const std::size_t i = bonds.centre[c];
      for (; b < bonds.end[c]; b++) {
        const std::size_t j = bonds.neighbor[b];
        const double f = bond_weight(tab, atoms.x + 3 * i, atoms.x + 3 * j);
        ws.share[i] += f;
        if (j < atoms.n_owned) ws.share[j] += f;
        else if (atoms.owner) ws.share[atoms.owner[j]] += f;
      }
    }
  }
  if (n_neighbors) std::copy_n(ws.share.begin(), atoms.n_owned, n_neighbors);
  for (std::size_t i = 0; i < atoms.n_owned; i++)
    if (ws.share[i] > 0.0) ws.share[i] = 1.0 / ws.share[i];
  if (atoms.owner)
    for (std::size_t k = atoms.n_owned; k < atoms.n_total; k++)
      ws.share[k] = ws.share[atoms.owner[k]];
}

// Slots for all that the pairs of cells [begin, end) can move.
void give_slots(Forces &forces, const Neighborhood &near, const Atoms &atoms, std::size_t begin,
                std::size_t end)
{
  const std::size_t cells = near.geometry.n_cells;
  std::ptrdiff_t furthest = 0;    // of the cells ahead; those behind are as far
  for (const CellGeometry::Row &row : near.geometry.full) furthest = std::max(furthest, row.last);
  const std::size_t around = static_cast<std::size_t>(furthest);
  const std::vector<unsigned> &owned = near.owned.start, &ghosts = near.listed.start;
  const std::size_t last_owned = owned[std::min(end + around, cells)],
                    last_ghost = ghosts[std::min(end + around, cells)];
  forces.first_owned = owned[begin];
  forces.first_ghost = ghosts[begin - std::min(begin, around)];
  forces.n_owned = last_owned - forces.first_owned;
  forces.owner.clear();
  for (std::size_t k = forces.first_owned; k < last_owned; k++)
    forces.owner.push_back(static_cast<unsigned>(near.owned.index[k]));
  for (std::size_t k = forces.first_ghost; k < last_ghost; k++) {
    const std::size_t row = near.listed.index[k];
    forces.owner.push_back(atoms.owner ? atoms.owner[row] : static_cast<unsigned>(row));
  }
  forces.both_ends = !atoms.owner;
  forces.entropy.assign(3 * forces.owner.size(), 0.0);
  forces.bond_order.assign(3 * forces.owner.size(), 0.0);
}

void add_strain(const double *v, double *matrix)
{
  const double full[9] = {v[0], v[5], v[4], v[5], v[1], v[3], v[4], v[3], v[2]};
  for (int k = 0; k < 9; k++) matrix[k] += full[k];
}

}    // namespace

Kernel::Kernel(const Parameters &parameters) : p_(parameters)
{
  p_.validate();
  t_.reset(new Tables(p_));
}

Kernel::~Kernel() = default;

std::size_t Kernel::n_moments() const { return 8 * static_cast<std::size_t>(t_->n_bins); }

void Kernel::sums(const Atoms &atoms, double *moments, double *qlm, Workspace &workspace,
                  int threads, double *n_neighbors) const
{
  Workspace::Impl &ws = *workspace.impl;
  sort_atoms(ws, atoms, qlm ? std::max(pair_cutoff(), p_.q_cutoff) : pair_cutoff(), false, threads);
  const std::size_t bins = t_->n_bins, stretches = n_stretches(*t_, atoms);
  const bool ghosts = atoms.n_total > atoms.n_owned, apart = ghosts && !atoms.owner;
  // Per stretch one histogram, or two where pairs with ghosts weigh half.
  const std::size_t per_stretch = apart ? 2 * bins : bins;
  ws.lines.resize(stretches * per_stretch);
  std::memset(static_cast<void *>(ws.lines.data()), 0, ws.lines.size() * sizeof(Line));
  ws.room_for_bonds(stretches, atoms.n_owned);
  walk(ws, *t_, atoms, threads,
       [&](std::size_t s, std::size_t begin, std::size_t end, Scratch &scratch) {
         Line *own = ws.lines.data() + s * per_stretch;
         Bonds *bonds = qlm ? &ws.bonds[s] : nullptr;
         loops().deposit(*t_, ws.near, ghosts && !apart ? Pairs::both : Pairs::owned, begin, end,
                         scratch, own, bonds);
         if (apart)
           loops().deposit(*t_, ws.near, Pairs::ghosts, begin, end, scratch, own + bins, bonds);
       });
  std::copy_n(ws.lines[0].v, n_moments(), moments);
  for (std::size_t h = 1; h * bins < ws.lines.size(); h++) {
    const double weight = apart && h % 2 ? 0.5 : 1.0, *line = ws.lines[h * bins].v;
    for (std::size_t k = 0; k < n_moments(); k++) moments[k] += weight * line[k];
  }
  if (!qlm) return;

  count_bonds(ws, *t_, atoms, stretches, n_neighbors);
  const std::size_t n = n_components();
  ws.partial.assign(stretches * n, 0.0);
  share_out(ws, stretches, threads, [&](std::size_t s, Scratch &scratch) {
    loops().bond_sum(*t_, atoms.x, ws.bonds[s], ws.share.data(), scratch, &ws.partial[s * n]);
  });
  add_partials(ws.partial, n, qlm);
}

Entropy Kernel::entropy(const double *moments, double n_atoms, double density, Workspace &ws,
                        double *g, double *running) const
{
  Parameters::check_density(density);
  return loops().entropy(*t_, moments, n_atoms, density, ws.impl->thread(0), g, running);
}

double Kernel::bond_order(const double *qlm, double scale) const
{
  return t_->bond_order(qlm) / scale;
}

void Kernel::local_values(const Atoms &atoms, double density, double *entropy, double *qlm,
                          double *n_neighbors, Workspace &workspace, int threads) const
{
  if (entropy) {
    Parameters::check_density(density);
    const double points = static_cast<double>(atoms.n_owned) * n_grid();
    const double most =
        std::max(kMaxGridPoints, kGridPointsPerAtom * static_cast<double>(atoms.n_owned));
    if (points > most && points > most * allowed())
      refuse("dr = " + text(p_.dr) + ": " + text(points, 3) +
             " points of the atoms' own g(r), more than " + text(most * allowed(), 3) +
             " take too long; raise dr or sigma, shorten rmax, " +
             or_allow(points / (most * allowed())));
  }
  Workspace::Impl &ws = *workspace.impl;
  sort_atoms(ws, atoms, entropy ? std::max(pair_cutoff(), p_.q_cutoff) : p_.q_cutoff, true,
             threads);
  ws.room_for_bonds(n_stretches(*t_, atoms), atoms.n_owned);
  walk(ws, *t_, atoms, threads,
       [&](std::size_t s, std::size_t begin, std::size_t end, Scratch &scratch) {
         loops().local(*t_, ws.near, begin, end, density, scratch, {entropy, qlm, n_neighbors},
                       ws.bonds[s]);
       });
}

void Kernel::neighbor_means(const Atoms &atoms, const double *entropy, const double *qlm,
                            double *mean_entropy, double *mean_bond_order, Workspace &workspace,
                            int threads) const
{
  Workspace::Impl &ws = *workspace.impl;
  share_out(ws, n_stretches(*t_, atoms), threads, [&](std::size_t s, Scratch &) {
    loops().means(*t_, atoms.x, ws.bonds[s], entropy, qlm, mean_entropy, mean_bond_order);
  });
}

void Kernel::gradients(const Atoms &atoms, const double *moments, double n_atoms, double density,
                       const double *qlm_sum, const double *qlm, const double *n_neighbors,
                       const Gradients &out, Workspace &workspace, int threads, bool sorted) const
{
  Parameters::check_density(density);
  Workspace::Impl &ws = *workspace.impl;
  loops().entropy_slope(*t_, moments, n_atoms, density, ws.thread(0));
  ws.lines = ws.thread(0).slope;
  const int n = n_components();
  const double order = qlm_sum ? bond_order(qlm_sum, n_atoms) : 0.0;
  double c[Parameters::max_components];
  for (int m = 0; m < n; m++)
    c[m] = order > 0.0 ? 4.0 * kPi / n * qlm_sum[m] / (n_atoms * n_atoms * order) : 0.0;
  const std::size_t rows = atoms.owner ? atoms.n_owned : atoms.n_total;
  ws.share.assign(rows, 0.0);
  ws.projection.assign(rows, 0.0);
  for (std::size_t i = 0; i < (qlm_sum ? rows : 0); i++) {
    if (n_neighbors[i] > 0.0) ws.share[i] = 1.0 / n_neighbors[i];
    if (qlm)
      for (int m = 0; m < n; m++) ws.projection[i] += c[m] * qlm[n * i + m];
  }
  const Slopes slopes = {ws.lines.data(), qlm_sum ? c : nullptr, ws.share.data(),
                         ws.projection.data()};

  if (!sorted) sort_atoms(ws, atoms, std::max(pair_cutoff(), p_.q_cutoff), false, threads);
  const std::size_t stretches = n_stretches(*t_, atoms);
  ws.forces.resize(stretches);
  walk(ws, *t_, atoms, threads,
       [&](std::size_t s, std::size_t begin, std::size_t end, Scratch &scratch) {
         give_slots(ws.forces[s], ws.near, atoms, begin, end);
         loops().gradient(*t_, ws.near, begin, end, slopes, scratch, ws.forces[s]);
       });
  std::fill_n(out.entropy, 3 * atoms.n_owned, 0.0);
  std::fill_n(out.bond_order, 3 * atoms.n_owned, 0.0);
  std::fill_n(out.entropy_strain, 9, 0.0);
  std::fill_n(out.bond_order_strain, 9, 0.0);
  for (const Forces &forces : ws.forces) {
    for (std::size_t k = 0; k < forces.owner.size(); k++)
      for (std::size_t d = 0; d < 3 && forces.owner[k] < atoms.n_owned; d++) {
        out.entropy[3 * forces.owner[k] + d] += forces.entropy[3 * k + d];
        out.bond_order[3 * forces.owner[k] + d] += forces.bond_order[3 * k + d];
      }
    add_strain(forces.strain, out.entropy_strain);
    add_strain(forces.strain + 6, out.bond_order_strain);
  }
}

double Kernel::count_pairs(const Atoms &atoms, Workspace &workspace) const
{
  Workspace::Impl &ws = *workspace.impl;
  sort_atoms(ws, atoms, pair_cutoff(), false, 1);
  const std::size_t cells = ws.near.geometry.n_cells;
  return loops().count(*t_, ws.near, Pairs::both, 0, cells, ws.thread(0));
}

}    // namespace entsym
