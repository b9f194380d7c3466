// SPDX-License-Identifier: BSD-3-Clause
// The core with random inputs, ordinary and extreme: `make fuzz` builds it with sanitizers and runs it.
//
//   fuzz kernel|images|breeding|threads <count> [seed] [only]
//
// An input is a function of the seed and its number. Each instruction set of the processor runs in its
// own process with the same inputs; this process compares the results. An input fails if it crashes,
// exceeds its time or memory, gives a value that is not finite, or gives different values on different
// instruction sets. Its number is printed; given as `only` it repeats the failure and prints the input.
// Refusals are valid results and must be the same on all instruction sets.
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

#include "entsym/evolution.hpp"

namespace {

using namespace entsym;

constexpr unsigned kSeconds = 20;     // of the processor, for one input, under a sanitizer too
constexpr double kGigabytes = 4.0;    // of one process
constexpr const char *kLimit =
    "0.01";    // ENTSYM_LIMIT: what is allowed shall not take seconds either

class Random {
 public:
  Random(std::uint64_t seed, std::uint64_t number) : state_(seed * 0x9e3779b97f4a7c15ULL + number)
  {
    next();
    state_ ^= number << 32;
  }
  std::uint64_t next()    // splitmix64
  {
    std::uint64_t z = state_ += 0x9e3779b97f4a7c15ULL;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
  }
  double uniform(double low, double high)
  {
    return low + (high - low) * static_cast<double>(next() >> 11) * 0x1.0p-53;
  }
  std::size_t below(std::size_t n) { return static_cast<std::size_t>(next() % n); }
  bool chance(double p) { return uniform(0.0, 1.0) < p; }
  // Any double: the ends of their range, thresholds, and everything between.
  double wild()
  {
    static const double ends[] = {0.0,   -0.0,         5e-324, 1e-308, 1e-162, 1e-154, 1e-30,
                                  1e-15, 1e-9,         1.0,    1e6,    1e9,    1e15,   1e30,
                                  1e100, 1e150,        1e154,  1e160,  1e300,  1e308,  HUGE_VAL,
                                  NAN,   2147483648.0, 4.0,    1e-3};
    const double value =
        chance(0.5) ? ends[below(std::size(ends))]
                    : std::pow(10.0, chance(0.5) ? uniform(-323.0, 308.0) : uniform(-12.0, 12.0));
    return chance(0.15) ? -value : value;
  }
  int wild_int()
  {
    static const int ends[] = {-2147483647 - 1, -1,     0,       1,         2, 1000,
                               46341,           100000, 1000000, 2147483647};
    return ends[below(std::size(ends))];
  }

 private:
  std::uint64_t state_;
};

struct Input {
  bool sane = true;
  Parameters p;
  std::vector<double> x;
  double cell[9], density = 0.0;
  unsigned char pbc[3];
  std::size_t n() const { return x.size() / 3; }
  Structure structure() const { return {x.data(), n(), cell, pbc, density}; }

  void print() const
  {
    std::printf("rmax %.17g sigma %.17g dr %.17g q6_cutoff %.17g degree %d smooth %.17g\n", p.rmax,
                p.sigma, p.dr, p.q_cutoff, p.degree, p.smooth);
    std::printf("pbc %d %d %d density %.17g cell", pbc[0], pbc[1], pbc[2], density);
    for (const double c : cell) std::printf(" %.17g", c);
    std::printf("\n%zu atoms", n());
    for (std::size_t k = 0; k < std::min<std::size_t>(x.size(), 60); k++)
      std::printf(" %.17g", x[k]);
    std::printf("\n");
  }
};

Input draw_input(Random &random, std::size_t most_atoms, bool only_sane)
{
  Input in;
  in.p.rmax = random.uniform(2.0, 4.5);
  in.p.sigma = random.uniform(0.05, 0.4);
  in.p.q_cutoff = random.uniform(1.5, 4.5);
  if (random.chance(0.3)) in.p.dr = in.p.sigma * random.uniform(0.1, 1.0);
  in.p.degree = 2 * (1 + static_cast<int>(random.below(6)));
  if (random.chance(0.5)) in.p.smooth = in.p.q_cutoff * random.uniform(0.02, 1.0);
  std::size_t n = 1 + random.below(random.chance(0.2) ? 40 : 8);
  if (random.chance(0.004)) n = 500 + random.below(most_atoms);
  // sane: dense as a solid, cells from cubic to fairly skewed, atoms in and around them
  const double edge = std::cbrt(static_cast<double>(n) / random.uniform(0.02, 0.1));
  for (int d = 0; d < 3; d++) in.pbc[d] = random.chance(0.8);
  if (n == 1) in.pbc[random.below(3)] = 1;
  for (int k = 0; k < 9; k++) in.cell[k] = edge * ((k % 4 == 0) + random.uniform(-0.25, 0.25));
  if (!(in.pbc[0] && in.pbc[1] && in.pbc[2]) || random.chance(0.2))
    in.density = random.uniform(0.01, 0.2);
  in.x.resize(3 * n);
  for (std::size_t i = 0; i < n; i++) {
    double f[3];
    for (double &v : f) v = random.uniform(-0.5, 1.5);
    for (int d = 0; d < 3; d++)
      in.x[3 * i + d] = f[0] * in.cell[d] + f[1] * in.cell[3 + d] + f[2] * in.cell[6 + d];
  }
  if (only_sane || random.chance(0.5)) return in;

  in.sane = false;
  const std::size_t kinds = random.chance(0.8) ? 1 : 5;    // one kind of fault, or many
  for (std::size_t k = 0; k < kinds; k++) switch (random.below(8)) {
      case 0: {
        double *fields[] = {&in.p.rmax, &in.p.sigma, &in.p.dr, &in.p.q_cutoff, &in.p.smooth};
        *fields[random.below(5)] = random.wild();
        break;
      }
      case 1:
        for (int c = 0; c < 9; c++)
          if (random.chance(0.3)) in.cell[c] = random.wild();
        break;
      case 2: {    // a vector thin, long, or almost in the plane of the others
        const double scale = random.chance(0.5) ? random.wild() : random.uniform(-0.01, 0.01);
        for (int c = 0; c < 3; c++) in.cell[6 + c] *= scale;
        if (random.chance(0.5))
          for (int c = 0; c < 3; c++) in.cell[6 + c] += in.cell[c];
        break;
      }
      case 3:
        for (double &v : in.x)
          if (random.chance(2.0 / in.x.size())) v = random.wild();
        break;
      case 4: {    // everything far away, in one place, in a plane
        const double shift = random.wild();
        for (std::size_t c = 0; c < in.x.size(); c += 1 + 2 * (shift > 0.0))
          in.x[c] = random.chance(0.5) ? shift : in.x[c] + shift;
        break;
      }
      case 5:
        in.density = random.wild();
        break;
      case 6: {    // other units: everything tiny or huge together
        const double unit = std::pow(10.0, random.uniform(-40.0, 40.0));
        for (double *v : {&in.p.rmax, &in.p.sigma, &in.p.dr, &in.p.q_cutoff, &in.p.smooth})
          *v *= unit;
        for (double &v : in.cell) v *= unit;
        for (double &v : in.x) v *= unit;
        in.density /= unit * unit * unit;
        break;
      }
      default:
        in.p.degree = random.wild_int();
        for (int d = 0; d < 3; d++) in.pbc[d] = random.chance(0.5);
    }
  return in;
}

// What a process says of an input: a refusal, or values with what they may differ by.
struct Answer {
  std::string refusal;
  std::vector<double> values, tolerance;
  std::string fault;    // found within the process

  void add(double value, double tolerated)
  {
    values.push_back(value);
    tolerance.push_back(tolerated);
  }
  void add(const std::vector<double> &all, double relative)
  {
    double size = 1.0;
    for (const double v : all) size = std::max(size, std::abs(v));
    for (const double v : all) add(v, relative * size);
  }
  void demand(bool right, const char *what)
  {
    if (!right && fault.empty()) fault = what;
  }
};

std::vector<double> of_kernel(const Kernel &kernel, const Input &in, PeriodicWorkspace &ws,
                              int threads, Answer *answer)
{
  const std::size_t n = in.n();
  std::vector<double> value(2), g(kernel.n_grid()), running(kernel.n_grid()), local(5 * n),
      gradient(6 * n), strain(18);
  evaluate(kernel, in.structure(), value.data(), ws, threads, g.data(), running.data());
  evaluate_local(kernel, in.structure(),
                 {&local[0], &local[n], &local[2 * n], &local[3 * n], &local[4 * n]}, ws, threads);
  double same[2];
  evaluate_gradients(kernel, in.structure(), same,
                     {&gradient[0], &gradient[3 * n], &strain[0], &strain[9]}, ws, threads);
  if (answer) {
    answer->demand(std::memcmp(same, value.data(), sizeof same) == 0,
                   "evaluate and evaluate_gradients differ");
    answer->demand(running.back() == 0.0 ||
                       std::abs(running.back() - value[0]) <= 1e-9 * (1.0 + std::abs(value[0])),
                   "the last running value is not sS");
    // As far as agreement goes: ln g at the level of the noise; Q_l near 0; an atom whose neighbours
    // all are about to fade out, so that q_lm is a ratio of weights that the last bit of r changes.
    const double bonds = in.p.smooth > 0.0 ? 1e-4 : 1e-9;
    const double slopes = value[1] > 1e-4 ? (in.p.smooth > 0.0 ? 1e-2 : 1e-6) : HUGE_VAL;
    const auto part = [](const std::vector<double> &of, std::size_t from, std::size_t to) {
      return std::vector<double>(of.begin() + from, of.begin() + to);
    };
    answer->add(part(value, 0, 1), 1e-9);
    answer->add(part(value, 1, 2), bonds);
    answer->add(g, 1e-8);
    answer->add(running, 1e-8);
    answer->add(part(local, 0, n), 1e-8);
    answer->add(part(local, n, 2 * n), bonds);
    answer->add(part(local, 2 * n, 5 * n), std::max(1e-8, bonds));
    answer->add(part(gradient, 0, 3 * n), 1e-5);
    answer->add(part(gradient, 3 * n, 6 * n), slopes);
    answer->add(part(strain, 0, 9), 1e-5);
    answer->add(part(strain, 9, 18), slopes);
  }
  for (const auto *part : {&g, &running, &local, &gradient, &strain})
    value.insert(value.end(), part->begin(), part->end());
  return value;
}

void ask_kernel(Random &random, Answer &answer, bool print)
{
  const Input in = draw_input(random, 1500, false);
  if (print) in.print();
  static PeriodicWorkspace ws;    // as hosts do, with what the input before has left in it
  try {
    const Kernel kernel(in.p);
    if (!(in.density == 0.0)) Parameters::check_density(in.density);    // as hosts do
    of_kernel(kernel, in, ws, 1, &answer);
    for (const double v : answer.values) answer.demand(std::isfinite(v), "a value is not finite");
    // borders that rounding may cross either way are met on purpose
    if (!in.sane) std::fill(answer.tolerance.begin(), answer.tolerance.end(), HUGE_VAL);
  } catch (const std::invalid_argument &error) {
    answer.demand(!in.sane, error.what());
    answer.refusal = error.what();
  }
}

// Pairs below a cutoff, by every shift of a box of shifts that is surely large enough.
double brute_pairs(const Input &in, double cutoff)
{
  const double *h = in.cell;
  int most[3] = {0, 0, 0};
  for (int d = 0; d < 3; d++) {
    if (!in.pbc[d]) continue;
    const double *a = h + 3 * ((d + 1) % 3), *b = h + 3 * ((d + 2) % 3), *c = h + 3 * d;
    const double normal[3] = {a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2],
                              a[0] * b[1] - a[1] * b[0]};
    const double area = std::hypot(normal[0], normal[1], normal[2]);
    const double height = std::abs(c[0] * normal[0] + c[1] * normal[1] + c[2] * normal[2]) / area;
    double spread = 0.0;    // of the atoms along the normal
    for (std::size_t i = 0; i < in.n(); i++)
      for (std::size_t j = 0; j < i; j++) {
        double s = 0.0;
        for (int k = 0; k < 3; k++) s += (in.x[3 * i + k] - in.x[3 * j + k]) * normal[k] / area;
        spread = std::max(spread, std::abs(s));
      }
    most[d] = static_cast<int>((cutoff + spread) / height) + 1;
  }
  double pairs = 0.0;
  for (int a = -most[0]; a <= most[0]; a++)
    for (int b = -most[1]; b <= most[1]; b++)
      for (int c = -most[2]; c <= most[2]; c++)
        for (std::size_t i = 0; i < in.n(); i++)
          for (std::size_t j = 0; j < in.n(); j++) {
            if (i == j && a == 0 && b == 0 && c == 0) continue;
            double r2 = 0.0;
            for (int k = 0; k < 3; k++) {
              const double d =
                  in.x[3 * j + k] - in.x[3 * i + k] + a * h[k] + b * h[3 + k] + c * h[6 + k];
              r2 += d * d;
            }
            pairs += r2 < cutoff * cutoff ? 0.5 : 0.0;
          }
  return pairs;
}

void ask_images(Random &random, Answer &answer, bool print)
{
  const Input in = draw_input(random, 1, random.chance(0.7));
  if (print) in.print();
  static PeriodicWorkspace ws;
  try {
    const Kernel kernel(in.p);
    if (!(in.density == 0.0)) Parameters::check_density(in.density);
    const double pairs = count_pairs(kernel, in.structure(), ws);
    answer.demand(std::isfinite(pairs), "the number of pairs is not finite");
    if (in.sane && in.n() < 20)
      answer.demand(pairs == brute_pairs(in, kernel.pair_cutoff()),
                    "pairs are missing, or too many");
    answer.add(pairs, in.sane ? 0.0 : HUGE_VAL);
    double cutoff = random.chance(0.5) ? in.p.rmax : std::abs(random.wild());
    if (!(cutoff <= 1e6)) cutoff = 0.0;    // hosts take care of it
    const entsym::Atoms atoms = list_images(in.structure(), cutoff, ws);
    answer.add(static_cast<double>(atoms.n_total), HUGE_VAL);
    for (std::size_t k = 0; k < 3 * atoms.n_total; k++)
      answer.demand(std::isfinite(atoms.x[k]), "an image is nowhere");
  } catch (const std::invalid_argument &error) {
    answer.refusal = error.what();
  }
}

void ask_breeding(Random &random, Answer &answer, bool print)
{
  Input in = draw_input(random, 1, random.chance(0.5));
  if (print) in.print();
  const bool wild = random.chance(0.6);
  const auto maybe = [&](double usual) {
    return wild && random.chance(0.15) ? random.wild() : usual;
  };
  const auto maybe_int = [&](int usual) {
    return wild && random.chance(0.15) ? random.wild_int() : usual;
  };
  Genes genes;
  genes.displacement = maybe(0.2);
  genes.rate = maybe(0.3);
  genes.volume = maybe(0.05);
  genes.shape = maybe(0.05);
  genes.swaps = maybe_int(1);
  for (double &p : genes.probability) p = maybe(0.5);
  Limits limits;
  limits.min_distance = {maybe(0.3), 0.2, 0.2, maybe(0.1)};
  limits.frozen = {static_cast<unsigned char>(random.chance(0.2)), 0};
  limits.min_volume = maybe(0.0);
  limits.max_volume = maybe(1e300);
  limits.min_angle = maybe(10.0);
  limits.max_angle = maybe(170.0);
  limits.attempts = std::min(maybe_int(5), 50);
  if (random.chance(0.3)) limits.names = {"A", "B"};
  try {
    const Kernel hard(in.p);
    Parameters smooth = in.p;
    if (smooth.smooth == 0.0) smooth.smooth = 0.1 * smooth.q_cutoff;
    const Kernel soft(smooth);
    if (!(in.density == 0.0)) Parameters::check_density(in.density);
    const std::size_t m = 2, n = in.n();
    std::vector<double> x(in.x), cells(in.cell, in.cell + 9), values(2 * m);
    for (const double v : in.x) x.push_back(v + random.uniform(-0.05, 0.05));
    cells.insert(cells.end(), in.cell, in.cell + 9);
    std::vector<int> species;
    for (std::size_t i = 0; i < n; i++) species.push_back(static_cast<int>(i % 2));
    std::vector<Structure> structures;
    for (std::size_t k = 0; k < m; k++)
      structures.push_back({&x[3 * n * k], n, &cells[9 * k], in.pbc, in.density});
    evaluate_batch(hard, structures.data(), m, values.data(), 1);
    const Breeder breeder(hard, soft, genes, limits);
    Population population{x.data(),
                          cells.data(),
                          values.data(),
                          species.data(),
                          m,
                          n,
                          n,
                          {in.pbc[0], in.pbc[1], in.pbc[2]},
                          in.density};
    breeder.check(population);
    const Window window = random.chance(0.5)
                              ? window_of(values.data(), m, maybe(0.1))
                              : Window{{maybe(-5.0), maybe(0.0)}, {maybe(0.0), maybe(0.6)}};
    const std::vector<Point> targets = target_points(window, maybe_int(3), random.chance(0.5));
    for (const Point &point : targets)
      answer.demand(std::isfinite(point[0]) && std::isfinite(point[1]), "a target is nowhere");
    Gaps gaps(window, maybe_int(4));
    gaps.add(values.data(), m);
    Point gap = targets[random.below(targets.size())];
    std::size_t nearest;
    if (random.chance(0.5) && gaps.next(gap, nearest))
      answer.demand(nearest < m, "a gap is nearest to no structure");
    Target target = window.target(gap);
    if (wild && random.chance(0.1)) target.extent[random.below(2)] = random.wild();
    target.tolerance = maybe(0.02);
    const std::size_t children = 4;
    Breeder::check_room(children, n);
    Generation generation{m,         0.3,      std::min(maybe_int(3), 20), random.next(),
                          {1, 2, 3}, children, random.chance(0.5),         0};
    std::vector<double> new_x(3 * n * children), new_cells(9 * children), new_values(2 * children);
    std::vector<Child> born(children);
    breeder.breed(population, target, generation, new_x.data(), new_cells.data(), new_values.data(),
                  born.data(), 1);
    Evolution evolution(target, values.data(), m, maybe_int(2), 1, true);
    std::vector<std::size_t> numbers;
    std::vector<double> good;
    for (std::size_t k = 0; k < children; k++) {
      answer.demand(born[k].parent < m, "a child has no parent");
      if (!born[k].valid) continue;
      for (std::size_t c = 3 * n * k; c < 3 * n * (k + 1); c++)
        answer.demand(std::isfinite(new_x[c]), "a valid child has an atom that is nowhere");
      numbers.push_back(k);
      for (int v = 0; v < 2; v++) {
        answer.demand(std::isfinite(new_values[2 * k + v]), "a valid child has no value");
        good.push_back(new_values[2 * k + v]);
      }
    }
    evolution.take(numbers.data(), good.data(), numbers.size());
    answer.demand(std::isfinite(evolution.distance()), "the nearest structure is nowhere");
  } catch (const std::invalid_argument &error) {
    answer.refusal = error.what();
  }
}

void ask_threads(Random &random, Answer &answer, bool print)
{
  Input in;
  do in = draw_input(random, 8000, true);
  while (in.n() < 500);
  if (print) in.print();
  const Kernel kernel(in.p);
  PeriodicWorkspace ws;
  const std::vector<double> one = of_kernel(kernel, in, ws, 1, nullptr);
  for (const int threads : {2, 5})
    answer.demand(std::memcmp(one.data(), of_kernel(kernel, in, ws, threads, nullptr).data(),
                              one.size() * sizeof(double)) == 0,
                  "the number of threads changes a value");
  const std::vector<Structure> same(12, in.structure());
  std::vector<double> values(24);
  evaluate_batch(kernel, same.data(), same.size(), values.data(), 4);
  for (std::size_t k = 0; k < values.size(); k++)
    answer.demand(values[k] == one[k % 2], "a batch on threads gives another value");
}

using Ask = void (*)(Random &, Answer &, bool);
const std::map<std::string, Ask> kinds = {{"kernel", ask_kernel},
                                          {"images", ask_images},
                                          {"breeding", ask_breeding},
                                          {"threads", ask_threads}};

void send(FILE *to, const void *data, std::size_t n)
{
  if (n && std::fwrite(data, 1, n, to) != n) std::exit(3);
}
void send(FILE *to, const std::string &s)
{
  const std::size_t n = s.size();
  send(to, &n, sizeof n);
  send(to, s.data(), n);
}
void send(FILE *to, const std::vector<double> &v)
{
  const std::size_t n = v.size();
  send(to, &n, sizeof n);
  send(to, v.data(), n * sizeof(double));
}
bool receive(FILE *from, void *data, std::size_t n)
{
  return n == 0 || std::fread(data, 1, n, from) == n;
}
template <class Container>
bool receive(FILE *from, Container &all)
{
  std::size_t n;
  if (!receive(from, &n, sizeof n)) return false;
  all.resize(n);
  return receive(from, all.data(), n * sizeof(all[0]));
}

// One path: its answers go down the pipe, an input that hangs ends in SIGPROF.
struct Path {
  std::string isa;
  FILE *from;
  pid_t process;
};

Path start(const char *isa, Ask ask, std::uint64_t seed, std::uint64_t first, std::uint64_t last,
           bool print)
{
  int ends[2];
  if (pipe(ends)) std::exit(3);
  const pid_t process = fork();
  if (process == 0) {
    close(ends[0]);
    setenv("ENTSYM_ISA", isa, 1);
    FILE *to = fdopen(ends[1], "wb");
    send(to, std::string(Kernel::isa()));
    for (std::uint64_t number = first; number < last; number++) {
      Random random(seed, number);
      Answer answer;
      const itimerval limit{{0, 0}, {kSeconds, 0}};    // not of the clock: the machine may be busy
      setitimer(ITIMER_PROF, &limit, nullptr);
      ask(random, answer, print);
      for (const std::string &s : {answer.refusal, answer.fault}) send(to, s);
      for (const auto *v : {&answer.values, &answer.tolerance}) send(to, *v);
    }
    std::fclose(to);
    std::_Exit(0);
  }
  close(ends[1]);
  Path path{"", fdopen(ends[0], "rb"), process};
  if (!receive(path.from, path.isa)) path.isa = isa;
  return path;
}

std::string digits(double value)
{
  char buffer[32];
  std::snprintf(buffer, sizeof buffer, "%.17g", value);
  return buffer;
}

[[noreturn]] void fail(const std::string &kind, std::uint64_t seed, std::uint64_t number,
                       const Path &path, const std::string &what)
{
  std::printf("FAILED: %s, input %llu, %s: %s\nagain with: fuzz %s 1 %llu %llu\n", kind.c_str(),
              static_cast<unsigned long long>(number), path.isa.c_str(), what.c_str(), kind.c_str(),
              static_cast<unsigned long long>(seed), static_cast<unsigned long long>(number));
  std::exit(1);
}

std::string end_of(const Path &path)
{
  int status = 0;
  waitpid(path.process, &status, 0);
  if (WIFSIGNALED(status) && WTERMSIG(status) == SIGPROF)
    return "took more than " + std::to_string(kSeconds) + " s";
  if (WIFSIGNALED(status)) return std::string("ended by ") + strsignal(WTERMSIG(status));
  return "ended with " + std::to_string(WEXITSTATUS(status)) + ", see above";
}

}    // namespace

extern "C" const char *__asan_default_options() { return "hard_rss_limit_mb=4096:detect_leaks=0"; }

int main(int argc, char **argv)
{
  const auto kind = argc > 2 ? kinds.find(argv[1]) : kinds.end();
  if (kind == kinds.end()) {
    std::printf("usage: fuzz kernel|images|breeding|threads <count> [seed] [only]\n");
    return 2;
  }
  const std::uint64_t count = std::strtoull(argv[2], nullptr, 10),
                      seed = argc > 3 ? std::strtoull(argv[3], nullptr, 10) : 1,
                      first = argc > 4 ? std::strtoull(argv[4], nullptr, 10) : 0;
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  setenv("ENTSYM_LIMIT", kLimit, 1);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  const rlim_t bytes = static_cast<rlim_t>(kGigabytes * (1 << 30));
  const rlimit memory{bytes, bytes};
  setrlimit(RLIMIT_AS, &memory);
#endif
  const auto began = std::chrono::steady_clock::now();
  std::vector<Path> paths;
  for (const char *isa : {"avx512", "avx2", "generic"}) {
    Path path = start(isa, kind->second, seed, first, first + count, argc > 4);
    if (path.isa == isa) paths.push_back(path);
    else {    // the processor lacks it
      std::fclose(path.from);
      waitpid(path.process, nullptr, 0);
    }
  }
  std::size_t refused = 0;
  std::map<std::string, std::size_t> reasons;
  for (std::uint64_t number = first; number < first + count; number++) {
    std::vector<Answer> answers(paths.size());
    for (std::size_t k = 0; k < paths.size(); k++) {
      Answer &a = answers[k], &b = answers[0];
      FILE *from = paths[k].from;
      if (!receive(from, a.refusal) || !receive(from, a.fault) || !receive(from, a.values) ||
          !receive(from, a.tolerance))
        fail(kind->first, seed, number, paths[k], end_of(paths[k]));
      if (!a.fault.empty()) fail(kind->first, seed, number, paths[k], a.fault);
      if (a.refusal != b.refusal && kind->first != "breeding")
        fail(kind->first, seed, number, paths[k], "'" + a.refusal + "', not '" + b.refusal + "'");
      if (a.refusal.find('\n') != std::string::npos ||
          (!a.refusal.empty() && a.refusal.size() < 40))
        fail(kind->first, seed, number, paths[k], "not one line of some words: " + a.refusal);
      for (std::size_t v = 0; v < a.values.size(); v++)
        if (!(std::abs(a.values[v] - b.values[v]) <= a.tolerance[v]))
          fail(kind->first, seed, number, paths[k],
               "value " + std::to_string(v) + " is " + digits(a.values[v]) + ", with " +
                   paths[0].isa + " " + digits(b.values[v]) + ", tolerated " +
                   digits(a.tolerance[v]));
    }
    refused += !answers[0].refusal.empty();
    const std::string &reason = answers[0].refusal;
    if (!reason.empty()) reasons[reason.substr(0, reason.find_first_of(" :="))]++;
  }
  for (const Path &path : paths)
    if (const std::string end = end_of(path); end != "ended with 0, see above")
      fail(kind->first, seed, first + count, path, end);
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
  std::printf("%s: %llu inputs from seed %llu, %zu refused, on", kind->first.c_str(),
              static_cast<unsigned long long>(count), static_cast<unsigned long long>(seed),
              refused);
  for (const Path &path : paths) std::printf(" %s", path.isa.c_str());
  std::printf(", %.0f s; refused for", took.count());
  for (const auto &[reason, n] : reasons) std::printf(" %s %zu", reason.c_str(), n);
  std::printf("\n");
  return 0;
}
