// SPDX-License-Identifier: BSD-3-Clause
// Bias of a simulation along sS and Q_l: restraints, walls, well-tempered metadynamics. The host gives
// the two values and multiplies the slopes by their gradients.
//
//   U(s) = sum_d k_d/2 (s_d - c_d)^2                      restraint, k_d and c_d may change: work W
//        + sum_w k_w/2 (s - a_w)^2  beyond a_w            walls
//        + V(s),  V = sum_k h_k prod_d exp(-(s_d - s_kd)^2 / 2 w_d^2)   hills, interpolated on a grid
//
//   h_k = h exp(-V(s_k) / ((gamma - 1) kT))               gamma = bias factor; h for gamma = infinity
//   c   = kT ln [ int exp(gamma V / ((gamma - 1) kT)) ds / int exp(V / ((gamma - 1) kT)) ds ]
//
// Energies are in the host's unit, sS in k_B per atom. Step by step a host calls begin, energy, visit.
//
// Sources: Barducci, Bussi, Parrinello, PRL 100, 020603 (2008); Tiwary, Parrinello, JPCB 119, 736 (2015);
// Jarzynski, PRL 78, 2690 (1997).
#ifndef ENTSYM_BIAS_HPP
#define ENTSYM_BIAS_HPP

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace entsym {

/// Harmonic restraint of one variable; constant = 0 is none.
struct Restraint {
  double constant = 0.0, centre = 0.0;
};

/// Restraint that changes linearly from `first` at step `from` to `last` at step `to`, and stays there.
struct Schedule {
  Restraint first, last;
  std::int64_t from = 0, to = 0;
  Restraint at(std::int64_t step) const;
};

struct Wall {
  int variable = 0;    ///< 0: sS, 1: Q_l
  bool upper = true;
  double position = 0.0, constant = 0.0;
};

/// Settings of metadynamics.
struct Metadynamics {
  int every = 0;                     ///< steps between hills
  double height = 0.0;               ///< of the first hill, energy
  double temperature = 0.0;          ///< K, or in the host's unit
  double boltzmann = 0.0;            ///< energy per unit of temperature
  double bias_factor = HUGE_VAL;     ///< gamma; infinity is plain metadynamics
  double width[2] = {0.0, 0.0};      ///< of the hills; 0: the variable is not biased
  double spacing[2] = {0.0, 0.0};    ///< of the grid; 0 stands for width / 5
};

struct Hill {
  std::int64_t step;
  double centre[2];
  double height;    ///< as added, without a factor gamma / (gamma - 1)
};

/// Name and text of a parameter in the header of a file of hills.
using Entry = std::pair<std::string, std::string>;

/// Sum of hills on a grid with bicubic Hermite interpolation. The nodes are the multiples of the spacing
/// and hold the exact sum and its derivatives; between them the slopes are those of the interpolated
/// energy, so that dynamics conserves it. Where the grid is left, it grows by nodes with the sum of all
/// hills: the result does not depend on when it grew.
class HillGrid {
 public:
  explicit HillGrid(const Metadynamics &settings) : m_(settings) {}

  /// V(s); adds its slopes. @throws std::invalid_argument if the grid would take more than 1 GB
  double energy(const double *s, double *slope);
  void add(const Hill &hill);    ///< throws as energy()
  void clear();
  /// c, over the nodes within two widths of a hill with Q_l from 0 to 1: elsewhere V says nothing of F.
  double offset() const;
  const std::vector<Hill> &hills() const { return hills_; }
  double memory_usage() const;

 private:
  struct Node {
    double v[4] = {0.0, 0.0, 0.0, 0.0};    // V, slopes by sS, by Q_l and by both, per spacing
    bool visited = false;                  // within two widths of a hill
  };

  Metadynamics m_;
  std::vector<Hill> hills_;
  std::vector<Node> nodes_;
  std::int64_t low_[2] = {0, 0}, n_[2] = {0, 0};    // first node and number of nodes

  void cover(const double *s, double widths, std::int64_t *cell);
  void grow(const std::int64_t *first, const std::int64_t *last);
  void deposit(const Hill &hill, const std::int64_t *skip_low, const std::int64_t *skip_n);
};

class Bias {
 public:
  /// `names` of the two variables, for messages and the header.
  /// @throws std::invalid_argument naming field, value, range, remedy
  Bias(std::array<std::string, 2> names, const Schedule *schedules, std::vector<Wall> walls,
       const std::optional<Metadynamics> &metadynamics);

  /// Whether any part depends on the variable: whether its gradient is needed.
  bool acts_on(int variable) const;

  // --- step by step -----------------------------------------------------------------------------

  /// Set the restraints of a step: those of the schedules, or `given` (2,). The hill of an earlier step
  /// counts from now on.
  void begin(std::int64_t step, const Restraint *given = nullptr);
  /// U(s) and its slopes (2,), overwritten.
  double energy(const double *s, double *slope);
  /// After the forces of a step: count the work of the change since the last step, half of it at each
  /// of their values, and make a hill if it is time. Null if there is none.
  const Hill *visit(std::int64_t step, const double *s);
  /// Before the first step of a run: a change since the last run happens at these values.
  void settle(std::int64_t step, const double *s);

  const Restraint &restraint(int variable) const { return restraint_[variable]; }
  double work() const { return work_; }
  double hill_energy() const { return hill_energy_; }    ///< V of the last energy()
  double height() const;                                 ///< of the last hill
  double offset();
  /// Hills of this run and of others, in the order in which they were added.
  std::size_t n_hills() const { return grid_ ? grid_->hills().size() + pending_.size() : 0; }
  const std::vector<Hill> &own_hills() const { return own_; }
  double memory_usage() const;

  // --- hills as text ----------------------------------------------------------------------------

  /// Set what else the hills depend on: parameters of the variables, units, number of atoms.
  void define(std::vector<Entry> definition) { definition_ = std::move(definition); }
  std::string header() const;
  static std::string line(const Hill &hill);
  /// Read hills from text that starts at a line of a file; a last line without an end is left out.
  /// `end` gets the place behind the last line that was read, 0 without a whole header; at most
  /// `most` hills are read. Lines may end with a carriage return.
  /// @throws std::invalid_argument if a line is not a hill or, with `headed`, the header is of others
  std::vector<Hill> read(const std::string &text, bool headed, std::size_t &end,
                         std::size_t most = SIZE_MAX) const;
  /// Add hills of an earlier run, which then belong to this one, or of others.
  void add(const std::vector<Hill> &hills, bool own);
  /// Forget the hills of others.
  void forget_others();

  /// Everything that the next run needs.
  std::vector<double> state() const;
  /// Take it back; false if either of the two has no hills.
  bool restore(const std::vector<double> &state);

 private:
  std::array<std::string, 2> names_;
  Schedule schedules_[2];
  std::vector<Wall> walls_;
  std::optional<Metadynamics> m_;
  std::optional<HillGrid> grid_;
  std::vector<Entry> definition_;

  Restraint restraint_[2], counted_[2];    // now, and when work was counted last
  bool started_ = false;
  std::int64_t step_ = 0;
  double s_[2] = {0.0, 0.0};
  double work_ = 0.0, hill_energy_ = 0.0;
  std::vector<Hill> own_, pending_;    // pending: of the last step

  void check() const;
  void activate();
  std::vector<Entry> entries() const;
};

}    // namespace entsym
#endif
