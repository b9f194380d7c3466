// SPDX-License-Identifier: BSD-3-Clause
#include "entsym/bias.hpp"

#include <algorithm>
#include <charconv>
#include <cstring>

#include "entsym/digits.hpp"
#include "limits.hpp"

namespace entsym {

namespace {

// Beyond so many widths a hill is less than the last digit of its height.
constexpr double kHillReach = 8.5;
// The grid ends so many widths beyond the value that has left it.
constexpr double kMargin = 9.0;
// So many widths from a hill, V is not that of a place that was never visited.
constexpr double kVisited = 2.0;

std::string digits(double value)
{
  std::string text;
  append_digits(text, value);
  return text;
}

bool same(const Restraint &a, const Restraint &b)
{
  return a.constant == b.constant && a.centre == b.centre;
}

double harmonic(const Restraint &r, double s)
{
  return 0.5 * r.constant * (s - r.centre) * (s - r.centre);
}

void require_positive(const std::string &name, double value, const std::string &remedy)
{
  if (!(value > 0.0 && std::isfinite(value)))
    refuse(name + " = " + text(value) + ": must be finite and above 0; " + remedy);
}

void check_restraint(const Restraint &r, const std::string &name)
{
  if (!(r.constant >= 0.0 && std::isfinite(r.constant)))
    refuse("force constant of " + name + " = " + text(r.constant) +
           ": must be finite, 0 or more; use an energy divided by the square of the spread that is "
           "wanted");
  if (!(std::fabs(r.centre) <= kMaxValue))
    refuse("centre of " + name + " = " + text(r.centre) + ": must be from -" + text(kMaxValue) +
           " to " + text(kMaxValue) + "; use a value of the landscape");
}

}    // namespace

Restraint Schedule::at(std::int64_t step) const
{
  if (step <= from) return first;
  if (step >= to) return last;
  const double share = static_cast<double>(step - from) / static_cast<double>(to - from);
  return {first.constant + share * (last.constant - first.constant),
          first.centre + share * (last.centre - first.centre)};
}

// --- hills ----------------------------------------------------------------------------------------

/// Find the cell of a value, and grow unless the grid reaches `widths` beyond it.
void HillGrid::cover(const double *s, double widths, std::int64_t *cell)
{
  bool inside = true;
  std::int64_t first[2], last[2];
  for (int d = 0; d < 2; d++) {
    const bool flat = m_.width[d] == 0.0;    // one node
    const double u = flat ? 0.0 : s[d] / m_.spacing[d];
    if (!(std::fabs(u) < kFarAway))
      refuse("value of the biased variable = " + text(s[d]) + ": must be finite and within " +
             text(kFarAway) + " grid spacings of 0; look at the forces, or use wider hills");
    const auto nodes = [&](double n) {
      return flat ? std::int64_t{0}
                  : static_cast<std::int64_t>(std::ceil(n * m_.width[d] / m_.spacing[d]));
    };
    cell[d] = static_cast<std::int64_t>(std::floor(u));
    inside = inside && cell[d] - nodes(widths) >= low_[d] &&
             cell[d] + !flat + nodes(widths) < low_[d] + n_[d];
    first[d] = cell[d] - nodes(kMargin);
    last[d] = cell[d] + !flat + nodes(kMargin);
  }
  if (!inside) grow(first, last);
}

double HillGrid::energy(const double *s, double *slope)
{
  std::int64_t cell[2];
  cover(s, 0.0, cell);
  double value[2][4], derivative[2][4];    // of the basis: V at both nodes, slopes at both nodes
  for (int d = 0; d < 2; d++) {
    if (m_.width[d] == 0.0) {    // no slope
      value[d][0] = 1.0;
      continue;
    }
    const double u = s[d] / m_.spacing[d], t = u - std::floor(u), r = 1.0 - t;
    value[d][0] = (1.0 + 2.0 * t) * r * r;
    value[d][1] = t * t * (3.0 - 2.0 * t);
    value[d][2] = t * r * r;
    value[d][3] = -t * t * r;
    derivative[d][0] = -6.0 * t * r;
    derivative[d][1] = 6.0 * t * r;
    derivative[d][2] = r * (1.0 - 3.0 * t);
    derivative[d][3] = t * (3.0 * t - 2.0);
  }

  double V = 0.0, dV[2] = {0.0, 0.0};
  for (int a = 0; a < (m_.width[0] == 0.0 ? 1 : 2); a++)
    for (int b = 0; b < (m_.width[1] == 0.0 ? 1 : 2); b++) {
      const Node &node = nodes_[(cell[0] - low_[0] + a) * n_[1] + cell[1] - low_[1] + b];
      for (int k = 0; k < 4; k++) {
        const int i = a + 2 * (k & 1), j = b + 2 * (k >> 1);
        if ((k & 1 && m_.width[0] == 0.0) || (k >> 1 && m_.width[1] == 0.0)) continue;
        V += node.v[k] * value[0][i] * value[1][j];
        if (m_.width[0] != 0.0) dV[0] += node.v[k] * derivative[0][i] * value[1][j];
        if (m_.width[1] != 0.0) dV[1] += node.v[k] * value[0][i] * derivative[1][j];
      }
    }
  for (int d = 0; d < 2; d++)
    if (m_.width[d] != 0.0) slope[d] += dV[d] / m_.spacing[d];
  return V;
}

void HillGrid::add(const Hill &hill)
{
  std::int64_t cell[2];
  cover(hill.centre, kVisited, cell);    // its neighbourhood counts in the offset
  hills_.push_back(hill);
  const std::int64_t none[2] = {0, 0};
  deposit(hill, low_, none);
}

void HillGrid::clear()
{
  hills_.clear();
  nodes_.clear();
  for (int d = 0; d < 2; d++) low_[d] = n_[d] = 0;
}

void HillGrid::grow(const std::int64_t *first, const std::int64_t *last)
{
  std::int64_t low[2], n[2];
  for (int d = 0; d < 2; d++) {
    low[d] = n_[d] ? std::min(first[d], low_[d]) : first[d];
    n[d] = (n_[d] ? std::max(last[d], low_[d] + n_[d] - 1) : last[d]) - low[d] + 1;
  }
  const double bytes = static_cast<double>(n[0]) * static_cast<double>(n[1]) * sizeof(Node);
  if (bytes > kMaxBytes * allowed())
    refuse("the grid of the hills would have " + text(static_cast<double>(n[0])) + " x " +
           text(static_cast<double>(n[1])) +
           " nodes: use wider hills, keep the run in its region with walls, " +
           or_allow(bytes / (kMaxBytes * allowed())));
  std::vector<Node> nodes(n[0] * n[1]);
  for (std::int64_t i = 0; i < n_[0]; i++)
    std::copy_n(&nodes_[i * n_[1]], n_[1],
                &nodes[(i + low_[0] - low[0]) * n[1] + low_[1] - low[1]]);
  nodes_.swap(nodes);
  std::int64_t old_low[2], old_n[2];
  for (int d = 0; d < 2; d++) {
    old_low[d] = low_[d];
    old_n[d] = n_[d];
    low_[d] = low[d];
    n_[d] = n[d];
  }
  for (const Hill &hill : hills_) deposit(hill, old_low, old_n);
}

/// Add a hill to all nodes but those of a rectangle, which have it.
void HillGrid::deposit(const Hill &hill, const std::int64_t *skip_low, const std::int64_t *skip_n)
{
  std::int64_t first[2], last[2];
  std::vector<double> value[2], slope[2];
  std::vector<bool> visited[2];
  for (int d = 0; d < 2; d++) {
    const double width = m_.width[d], h = m_.spacing[d];
    first[d] = low_[d];
    last[d] = low_[d] + n_[d] - 1;
    if (width == 0.0) {
      value[d].assign(1, 1.0);
      slope[d].assign(1, 0.0);
      visited[d].assign(1, true);
      continue;
    }
    const double lowest = std::ceil((hill.centre[d] - kHillReach * width) / h);
    const double highest = std::floor((hill.centre[d] + kHillReach * width) / h);
    if (lowest > static_cast<double>(last[d]) || highest < static_cast<double>(first[d])) return;
    first[d] = std::max(first[d], static_cast<std::int64_t>(lowest));
    last[d] = std::min(last[d], static_cast<std::int64_t>(highest));
    for (std::int64_t i = first[d]; i <= last[d]; i++) {
      const double u = (static_cast<double>(i) * h - hill.centre[d]) / width;
      value[d].push_back(std::exp(-0.5 * u * u));
      slope[d].push_back(-u * h / width * value[d].back());
      visited[d].push_back(std::fabs(u) <= kVisited);
    }
  }
  for (std::int64_t i = first[0]; i <= last[0]; i++) {
    const double v = hill.height * value[0][i - first[0]],
                 dv = hill.height * slope[0][i - first[0]];
    const bool row = i >= skip_low[0] && i < skip_low[0] + skip_n[0];
    for (std::int64_t j = first[1]; j <= last[1]; j++) {
      if (row && j >= skip_low[1] && j < skip_low[1] + skip_n[1]) continue;
      Node &node = nodes_[(i - low_[0]) * n_[1] + j - low_[1]];
      const double w = value[1][j - first[1]], dw = slope[1][j - first[1]];
      node.v[0] += v * w;
      node.v[1] += dv * w;
      node.v[2] += v * dw;
      node.v[3] += dv * dw;
      if (visited[0][i - first[0]] && visited[1][j - first[1]]) node.visited = true;
    }
  }
}

double HillGrid::offset() const
{
  const double kT = m_.boltzmann * m_.temperature;
  const double lower = std::isfinite(m_.bias_factor) ? 1.0 / ((m_.bias_factor - 1.0) * kT) : 0.0;
  const double upper = 1.0 / kT + lower;    // gamma / ((gamma - 1) kT)
  double highest = 0.0;
  for (const Node &node : nodes_) highest = std::max(highest, node.v[0]);
  double numerator = 0.0, denominator = 0.0;
  for (std::int64_t i = 0; i < n_[0]; i++)
    for (std::int64_t j = 0; j < n_[1]; j++) {
      const double Q = static_cast<double>(low_[1] + j) * m_.spacing[1];
      if (m_.width[1] != 0.0 && (Q < 0.0 || Q > 1.0)) continue;
      const Node &node = nodes_[i * n_[1] + j];
      if (!node.visited) continue;
      const double V = node.v[0] - highest;
      numerator += std::exp(upper * V);
      denominator += std::exp(lower * V);
    }
  if (numerator == 0.0) return 0.0;
  return kT * std::log(numerator / denominator) + highest;    // kT (upper - lower) = 1
}

double HillGrid::memory_usage() const
{
  return static_cast<double>(nodes_.capacity() * sizeof(Node) + hills_.capacity() * sizeof(Hill));
}

// --- all of it ------------------------------------------------------------------------------------

Bias::Bias(std::array<std::string, 2> names, const Schedule *schedules, std::vector<Wall> walls,
           const std::optional<Metadynamics> &metadynamics)
    : names_(std::move(names)), schedules_{schedules[0], schedules[1]}, walls_(std::move(walls)),
      m_(metadynamics)
{
  check();
  if (m_) {
    for (int d = 0; d < 2; d++)
      if (m_->spacing[d] == 0.0) m_->spacing[d] = m_->width[d] / 5.0;
    grid_.emplace(*m_);
  }
  for (int d = 0; d < 2; d++) restraint_[d] = counted_[d] = schedules_[d].first;
}

void Bias::check() const
{
  for (int d = 0; d < 2; d++) {
    check_restraint(schedules_[d].first, names_[d]);
    check_restraint(schedules_[d].last, names_[d]);
    if (schedules_[d].to < schedules_[d].from)
      refuse("last step of the move of " + names_[d] + " = " + std::to_string(schedules_[d].to) +
             ": must not be before the first, " + std::to_string(schedules_[d].from) +
             "; exchange them");
  }
  for (const Wall &wall : walls_) {
    check_restraint({wall.constant, wall.position}, "the wall of " + names_[wall.variable]);
  }
  if (!m_) return;
  if (m_->every < 1)
    refuse("steps between hills = " + std::to_string(m_->every) +
           ": must be 1 or more; use a few hundred");
  require_positive("height of the hills", m_->height, "use about kT");
  require_positive("temperature of the bias", m_->temperature, "use that of the thermostat");
  if (!(m_->bias_factor > 1.0))
    refuse("bias factor = " + text(m_->bias_factor) +
           ": must be above 1; use the barrier divided by kT, or leave it out");
  bool biased = false;
  for (int d = 0; d < 2; d++) {
    const std::string width = "width of the hills in " + names_[d];
    if (m_->width[d] == 0.0) continue;
    biased = true;
    require_positive(width, m_->width[d], "use a third of the fluctuation of an unbiased run");
    if (m_->width[d] < kMinExtent || m_->width[d] > kMaxValue)
      refuse(width + " = " + text(m_->width[d]) + ": must be from " + text(kMinExtent) + " to " +
             text(kMaxValue) + "; use a third of the fluctuation of an unbiased run");
    // a coarser grid does not resolve the hills
    if (m_->spacing[d] != 0.0 && !(m_->spacing[d] > 0.0 && m_->spacing[d] <= 0.5 * m_->width[d] &&
                                   m_->spacing[d] >= 0.05 * m_->width[d]))
      refuse("grid spacing of " + names_[d] + " = " + text(m_->spacing[d]) +
             ": must be from a twentieth to half of the width of the hills, " + text(m_->width[d]) +
             "; leave it out for a fifth");
  }
  if (!biased)
    refuse("width of the hills: none is given; give one for " + names_[0] + ", for " + names_[1] +
           " or for both");
}

bool Bias::acts_on(int variable) const
{
  const Schedule &schedule = schedules_[variable];
  return schedule.first.constant > 0.0 || schedule.last.constant > 0.0 ||
         restraint_[variable].constant > 0.0 || (m_ && m_->width[variable] > 0.0) ||
         std::any_of(walls_.begin(), walls_.end(),
                     [&](const Wall &wall) { return wall.variable == variable; });
}

void Bias::activate()
{
  for (const Hill &hill : pending_) grid_->add(hill);
  pending_.clear();
}

void Bias::begin(std::int64_t step, const Restraint *given)
{
  if (!pending_.empty() && pending_.back().step != step) activate();
  for (int d = 0; d < 2; d++) {
    restraint_[d] = given ? given[d] : schedules_[d].at(step);
    if (given) check_restraint(given[d], names_[d]);
  }
}

double Bias::energy(const double *s, double *slope)
{
  double U = 0.0;
  for (int d = 0; d < 2; d++) {
    U += harmonic(restraint_[d], s[d]);
    slope[d] = restraint_[d].constant * (s[d] - restraint_[d].centre);
  }
  for (const Wall &wall : walls_) {
    const double beyond = s[wall.variable] - wall.position;
    if (wall.upper ? beyond <= 0.0 : beyond >= 0.0) continue;
    U += 0.5 * wall.constant * beyond * beyond;
    slope[wall.variable] += wall.constant * beyond;
  }
  hill_energy_ = grid_ ? grid_->energy(s, slope) : 0.0;
  return U + hill_energy_;
}

const Hill *Bias::visit(std::int64_t step, const double *s)
{
  if (!started_ || step == step_) {
    settle(step, s);
    return nullptr;
  }
  for (int d = 0; d < 2; d++) {
    if (!same(restraint_[d], counted_[d]))
      work_ += 0.5 * (harmonic(restraint_[d], s_[d]) - harmonic(counted_[d], s_[d]) +
                      harmonic(restraint_[d], s[d]) - harmonic(counted_[d], s[d]));
    counted_[d] = restraint_[d];
    s_[d] = s[d];
  }
  step_ = step;
  if (!m_ || step % m_->every != 0) return nullptr;
  double slope[2] = {0.0, 0.0};
  const double V = grid_->energy(s, slope), kT = m_->boltzmann * m_->temperature;
  const double height = std::isfinite(m_->bias_factor)
                            ? m_->height * std::exp(-V / ((m_->bias_factor - 1.0) * kT))
                            : m_->height;
  pending_.push_back({step, {s[0], s[1]}, height});
  own_.push_back(pending_.back());
  return &own_.back();
}

void Bias::settle(std::int64_t step, const double *s)
{
  for (int d = 0; d < 2; d++) {
    if (started_) work_ += harmonic(restraint_[d], s[d]) - harmonic(counted_[d], s[d]);
    counted_[d] = restraint_[d];
    s_[d] = s[d];
  }
  started_ = true;
  step_ = step;
}

double Bias::height() const
{
  if (!pending_.empty()) return pending_.back().height;
  if (grid_ && !grid_->hills().empty()) return grid_->hills().back().height;
  return 0.0;
}

double Bias::offset() { return grid_ ? grid_->offset() : 0.0; }

double Bias::memory_usage() const
{
  return (grid_ ? grid_->memory_usage() : 0.0) +
         static_cast<double>(own_.capacity() * sizeof(Hill));
}

// --- text -----------------------------------------------------------------------------------------

std::vector<Entry> Bias::entries() const
{
  std::vector<Entry> all = definition_;
  all.emplace_back("height", digits(m_->height));
  all.emplace_back("temperature", digits(m_->temperature));
  all.emplace_back("bias_factor", digits(m_->bias_factor));
  for (int d = 0; d < 2; d++) all.emplace_back("width_" + names_[d], digits(m_->width[d]));
  for (int d = 0; d < 2; d++) all.emplace_back("spacing_" + names_[d], digits(m_->spacing[d]));
  return all;
}

std::string Bias::header() const
{
  std::string text = "# entsym hills\n#";
  for (const Entry &entry : entries()) text += " " + entry.first + "=" + entry.second;
  return text + "\n# step " + names_[0] + " " + names_[1] + " height\n";
}

std::string Bias::line(const Hill &hill)
{
  std::string text = std::to_string(hill.step);
  for (const double value : {hill.centre[0], hill.centre[1], hill.height}) {
    text += ' ';
    append_digits(text, value);
  }
  return text + "\n";
}

std::vector<Hill> Bias::read(const std::string &text, bool headed, std::size_t &end,
                             std::size_t most) const
{
  constexpr std::size_t kHeaderLines = 3;
  std::vector<Hill> hills;
  end = 0;
  std::size_t number = 1;
  for (; end < text.size(); number++) {
    const std::size_t stop = text.find('\n', end);
    if (stop == std::string::npos) break;
    const char *at = text.data() + end, *last = text.data() + stop;
    if (last > at && last[-1] == '\r') last--;    // of an editor or a mail
    const std::string where = "line " + std::to_string(number);
    if (headed && number == 1 && std::string(at, last) != "# entsym hills")
      refuse("its first line is not '# entsym hills'; use a file of hills");
    if (headed && number == 2) {
      const std::string words(at, last);
      for (const Entry &mine : entries()) {
        const std::string key = " " + mine.first + "=";
        const std::size_t found = words.find(key);
        if (found == std::string::npos)
          refuse("it does not tell its " + mine.first + "; use a file of hills");
        const std::size_t value = found + key.size();
        const std::string theirs = words.substr(value, words.find(' ', value) - value);
        if (theirs != mine.second)
          refuse("its hills are of " + mine.first + " = " + theirs + ", this bias has " +
                 mine.first + " = " + mine.second + "; use the same, or another file");
      }
    }
    if (at == last || *at != '#') {
      if (hills.size() == most) break;
      Hill hill{};
      double *const numbers[] = {&hill.centre[0], &hill.centre[1], &hill.height};
      auto parsed = std::from_chars(at, last, hill.step);
      bool good = parsed.ec == std::errc();
      for (double *value : numbers) {
        good = good && parsed.ptr < last && *parsed.ptr == ' ';
        if (!good) break;
        parsed = std::from_chars(parsed.ptr + 1, last, *value);
        good = parsed.ec == std::errc() && std::isfinite(*value);
      }
      if (!good || parsed.ptr != last || hill.height < 0.0)
        refuse(where + " '" + std::string(at, std::min<std::ptrdiff_t>(last - at, 60)) +
               "' is not a hill: must be step, " + names_[0] + ", " + names_[1] +
               " and height; remove the line");
      hills.push_back(hill);
    }
    end = stop + 1;
  }
  if (headed && number <= kHeaderLines) {    // an interrupted run may have left the start of it
    std::string start = text;
    start.erase(std::remove(start.begin(), start.end(), '\r'), start.end());
    if (header().compare(0, start.size(), start) != 0)
      refuse("it has no header of hills; use a file of hills");
    end = 0;
  }
  return hills;
}

void Bias::add(const std::vector<Hill> &hills, bool own)
{
  for (const Hill &hill : hills) {
    grid_->add(hill);
    if (own) own_.push_back(hill);
  }
}

void Bias::forget_others()
{
  grid_->clear();
  for (std::size_t k = 0; k + pending_.size() < own_.size(); k++) grid_->add(own_[k]);
}

std::vector<double> Bias::state() const
{
  std::vector<double> state = {static_cast<double>(started_), static_cast<double>(step_), s_[0],
                               s_[1], work_};
  for (int d = 0; d < 2; d++) {
    state.push_back(counted_[d].constant);
    state.push_back(counted_[d].centre);
  }
  // -1: a bias without hills
  state.push_back(grid_ ? static_cast<double>(pending_.size()) : -1.0);
  for (const Hill &hill : own_) {
    state.push_back(static_cast<double>(hill.step));
    state.insert(state.end(), {hill.centre[0], hill.centre[1], hill.height});
  }
  return state;
}

bool Bias::restore(const std::vector<double> &state)
{
  constexpr std::size_t kHead = 10;
  started_ = state[0] != 0.0;
  step_ = static_cast<std::int64_t>(state[1]);
  s_[0] = state[2];
  s_[1] = state[3];
  work_ = state[4];
  for (int d = 0; d < 2; d++) restraint_[d] = counted_[d] = {state[5 + 2 * d], state[6 + 2 * d]};
  own_.clear();
  pending_.clear();
  if (!grid_ || state[9] < 0.0) return false;
  const auto waiting = static_cast<std::size_t>(state[9]);
  grid_->clear();
  const std::size_t n = (state.size() - kHead) / 4;
  for (std::size_t k = 0; k < n; k++) {
    const double *row = &state[kHead + 4 * k];
    own_.push_back({static_cast<std::int64_t>(row[0]), {row[1], row[2]}, row[3]});
    if (k + waiting < n) grid_->add(own_.back());
    else pending_.push_back(own_.back());
  }
  return true;
}

}    // namespace entsym
