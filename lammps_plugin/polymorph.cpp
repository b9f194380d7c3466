// SPDX-License-Identifier: BSD-3-Clause
#include "polymorph.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <numeric>
#include <stdexcept>

#include "atom.h"
#include "comm.h"
#include "compute_entsym.h"
#include "covalent_radii.h"
#include "domain.h"
#include "entsym/digits.hpp"
#include "error.h"
#include "group.h"
#include "input.h"
#include "modify.h"
#include "update.h"

using namespace LAMMPS_NS;

static constexpr double COVALENT_SHARE = 0.8;    // of the radii's sum: the shortest distance

static std::string digits(double value)
{
  std::string text;
  entsym::append_digits(text, value);
  return text;
}

static std::string listed(const std::vector<double> &numbers)
{
  std::string text;
  for (const double number : numbers) text += (text.empty() ? "" : ",") + digits(number);
  return text;
}

/* ---------------------------------------------------------------------- */

void Polymorph::fail(const std::string &what) const
{
  error->all(FLERR, Error::NOPOINTER, "polymorph: {}", what);
}

/* ---------------------------------------------------------------------- */

void Polymorph::command(int narg, char **arg)
{
  if (!domain->box_exist) fail("there is no simulation box; use it after read_data or create_box");
  if (!atom->tag_enable) fail("atoms need IDs, by which they are sorted; use 'atom_modify id yes'");
  read_arguments(narg, arg);
  adopt_box();
  for (const std::string &file : parent_files) read_parents(file);
  try {
    settle();
    const entsym::Kernel hard(compute->parameters());
    entsym::Parameters smooth = compute->parameters();
    if (smooth.smooth == 0.0) smooth.smooth = 0.1 * smooth.q_cutoff;
    const entsym::Kernel soft(smooth);
    const entsym::Breeder breeder(hard, soft, genes, limits);
    breeder.check(parents());
    entsym::Breeder::check_room(individuals, composition.species.size());
    // not a member: after an error LAMMPS does not delete the command, and the file would stay locked
    PolymorphLibrary library(lmp, composition, path, q_name, seed, settings());
    evolve(breeder, library);
  } catch (const std::invalid_argument &e) {    // from the core, the same on all ranks
    fail(e.what());
  }
}

/* ---------------------------------------------------------------------- */

void Polymorph::read_arguments(int narg, char **arg)
{
  if (narg < 4)
    fail("arguments are missing; use 'polymorph compute-ID file element <symbol of each type>'");
  std::string reason;
  compute = ComputeEntsym::find(modify, arg[0], "does not define sS and Q", reason);
  if (!compute) fail(reason);
  q_name = "Q" + std::to_string(compute->parameters().degree);
  path = arg[1];

  int i = 2;
  std::string keyword;
  const auto word = [&] {
    if (++i >= narg) fail(fmt::format("{}: a value is missing behind it", keyword));
    return std::string(arg[i]);
  };
  const auto number = [&](double least, double most, const char *range) {
    const std::string text = word();
    char *end = nullptr;
    const double value = std::strtod(text.c_str(), &end);
    if (end == text.c_str() || *end != '\0' || !(value >= least && value <= most))
      fail(fmt::format("{} = {}: must be {}", keyword, text, range));
    return value;
  };
  const auto real = [&] { return number(-1e300, 1e300, "a finite number"); };
  const auto whole = [&](int least) {
    const std::string range = fmt::format("a whole number, {} or more", least);
    const double value = number(least, MAXSMALLINT, range.c_str());
    if (value != std::floor(value))
      fail(fmt::format("{} = {}: must be {}", keyword, arg[i], range));
    return static_cast<int>(value);
  };
  const auto yes = [&] {
    const std::string value = word();
    if (value != "yes" && value != "no")
      fail(fmt::format("{} = {}: must be yes or no", keyword, value));
    return value == "yes";
  };
  const auto choice = [&](const std::vector<std::string> &choices) {
    std::string value = word();
    if (std::find(choices.begin(), choices.end(), value) == choices.end())
      fail(fmt::format("{} = {}: choose {}", keyword, value, utils::join_words(choices, ", ")));
    return value;
  };
  limits.min_angle = 30.0;
  limits.max_angle = 150.0;
  // defaults of gaps differ
  int generations_given = 0, individuals_given = 0;
  double fresh_given = -1.0;

  for (; i < narg; i++) {
    keyword = arg[i];
    if (keyword == "element") {
      type_elements.clear();
      while (static_cast<int>(type_elements.size()) < atom->ntypes) {
        const std::string name = i + 1 < narg ? arg[i + 1] : "";
        if (!entsym::is_element(name))
          fail(fmt::format(
              "element '{}' is not a chemical symbol with a known covalent radius: {} of {} "
              "names are given before it; give one like Si for each atom type",
              name, type_elements.size(), atom->ntypes));
        type_elements.push_back(word());
      }
    } else if (keyword == "parents") parent_files.push_back(word());
    else if (keyword == "targets") targets = choice({"edges", "grid", "gaps"});
    else if (keyword == "targets_per_edge") per_edge = whole(2);
    else if (keyword == "point") {
      const double sS = real();
      points.push_back({sS, real()});
    } else if (keyword == "expand") expand = number(0.0, 1e300, "0 or more, a share of the window");
    else if (keyword == "window") window_given = {real(), real(), real(), real()};
    else if (keyword == "generations") generations_given = whole(1);
    else if (keyword == "individuals") individuals_given = whole(1);
    else if (keyword == "displacement") genes.displacement = real();
    else if (keyword == "rate") genes.rate = real();
    else if (keyword == "volume") genes.volume = real();
    else if (keyword == "shape") genes.shape = real();
    else if (keyword == "swaps") genes.swaps = whole(0);
    else if (keyword == "probabilities")
      for (double &probability : genes.probability) probability = real();
    else if (keyword == "frozen") frozen.push_back(word());
    else if (keyword == "mode") guided = choice({"guided", "roulette"}) == "guided";
    else if (keyword == "min_distance") {
      Distance d{word(), word(), 0.0};
      d.least = real();
      distances.push_back(d);
    } else if (keyword == "volume_limits") volumes_given = {real(), real()};
    else if (keyword == "angle_limits") {
      limits.min_angle = real();
      limits.max_angle = real();
    } else if (keyword == "fresh") fresh_given = number(0.0, 1.0, "between 0 and 1");
    else if (keyword == "elitism") elitism = yes();
    else if (keyword == "hits") hits = whole(1);
    else if (keyword == "steps") steps = whole(1);
    else if (keyword == "tolerance")
      tolerance = number(0.0, 1e300, "0 or more, a share of the window");
    else if (keyword == "seed") seed = whole(0);
    else if (keyword == "best") leave_best = yes();
    else if (entsym::is_element(keyword))
      fail(fmt::format("element: '{}' is one name more than the {} atom types; give one for each",
                       keyword, atom->ntypes));
    else fail(fmt::format("unknown keyword '{}'; see polymorph.md for those there are", keyword));
  }
  if (type_elements.empty())
    fail(fmt::format("element is missing; give one chemical symbol for each of the {} atom types",
                     atom->ntypes));
  if (!guided) steps = 0;
  if (!points.empty()) targets = "points";
  if (leave_best && !(domain->xperiodic && domain->yperiodic && domain->zperiodic))
    fail(
        "best: the box must be periodic in all directions to take another cell; take the child "
        "from the library");
  const bool gaps = targets == "gaps";
  if (gaps) tolerance = std::min(tolerance, 0.5 / per_edge);
  if (gaps && !hits) hits = 1;
  generations = generations_given ? generations_given : gaps ? 3 : 30;
  individuals = individuals_given ? individuals_given : gaps ? 1 : 50;
  fresh = fresh_given >= 0.0 ? fresh_given : gaps ? 0.0 : 0.3;
  if (!window_given.empty() &&
      !(window_given[0] < window_given[1] && window_given[2] < window_given[3]))
    fail(fmt::format("window = {}: must be sS_min < sS_max, Q_min < Q_max", listed(window_given)));
}

/* ----------------------------------------------------------------------
   the current box is the first parent and defines the atoms
------------------------------------------------------------------------- */

void Polymorph::adopt_box()
{
  std::vector<std::string> &elements = composition.elements;
  std::vector<double> rows = entsym::gather_atoms(lmp, 1);    // of group all
  bigint n_numbers = static_cast<bigint>(rows.size());
  MPI_Bcast(&n_numbers, 1, MPI_LMP_BIGINT, 0, world);
  if (n_numbers == 0) fail("the box has no atoms; create or read some");
  if (n_numbers > MAXSMALLINT) fail("the box has more atoms than 4e8; use a smaller one");
  rows.resize(n_numbers);
  MPI_Bcast(rows.data(), static_cast<int>(n_numbers), MPI_DOUBLE, 0, world);
  const std::size_t n = rows.size() / entsym::kColumns;

  // which elements count in sS and Q
  for (const std::string &name : type_elements)
    if (std::find(elements.begin(), elements.end(), name) == elements.end())
      elements.push_back(name);
  const auto number_of = [&elements](const std::string &name) {
    return std::find(elements.begin(), elements.end(), name) - elements.begin();
  };
  std::vector<int> mine(2 * elements.size(), 0), total(mine.size());
  for (int i = 0; i < atom->nlocal; i++)
    mine[2 * number_of(type_elements[atom->type[i] - 1]) +
         ((atom->mask[i] & group->bitmask[compute->igroup]) ? 1 : 0)]++;
  MPI_Allreduce(mine.data(), total.data(), static_cast<int>(mine.size()), MPI_INT, MPI_SUM, world);
  std::vector<std::pair<bool, std::string> > sorted;    // does not count, name
  for (std::size_t e = 0; e < elements.size(); e++) {
    if (total[2 * e] && total[2 * e + 1])
      fail(
          fmt::format("group {} of compute {} holds some but not all {} atoms; make the group of "
                      "whole elements",
                      group->names[compute->igroup], compute->id, elements[e]));
    if (total[2 * e] || total[2 * e + 1]) sorted.emplace_back(total[2 * e] > 0, elements[e]);
  }
  std::sort(sorted.begin(), sorted.end());
  elements.clear();
  for (const auto &[aside, name] : sorted) elements.push_back(name);

  std::vector<std::size_t> order(n);
  std::iota(order.begin(), order.end(), 0);
  const auto kind = [&](std::size_t k) {
    return static_cast<int>(
        number_of(type_elements[static_cast<int>(rows[entsym::kColumns * k + 1]) - 1]));
  };
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return kind(a) < kind(b); });
  for (const std::size_t k : order) {
    const double *row = &rows[entsym::kColumns * k];
    id_of_row.push_back(row[0]);
    composition.species.push_back(kind(k));
    n_counted += sorted[composition.species.back()].first ? 0 : 1;
    positions.insert(positions.end(), row + 2, row + 5);
  }
  if (n_counted == 0)
    fail(fmt::format("group {} of compute {} has no atoms; use another group",
                     group->names[compute->igroup], compute->id));
  for (int d = 0; d < 3; d++) composition.pbc += domain->periodicity[d] ? 'T' : 'F';
  cells.resize(9);
  entsym::box_vectors(lmp, cells.data());
}

/* ---------------------------------------------------------------------- */

void Polymorph::read_parents(const std::string &file)
{
  std::vector<double> x, h;
  if (comm->me == 0) {
    if (!entsym::readable_to_its_end(file))
      error->one(
          FLERR, Error::NOPOINTER,
          "polymorph: parents: {} must be a regular file, not a pipe or a device; use another",
          file);
    entsym::FrameReader frames(file, static_cast<bigint>(composition.species.size()));
    int n = 0;
    for (; frames.next(); n++) {
      PolymorphStructure parent;
      std::string reason = "does not start with a number of atoms";
      if (!frames.valid && frames.headed)
        reason = fmt::format("says {} atoms, but there are lines of {}", frames.natoms,
                             frames.atoms.size());
      if (!frames.valid || !composition.parse(frames.comment, frames.atoms, parent, reason))
        error->one(FLERR, Error::NOPOINTER, "polymorph: parents: frame {} of {} {}", n, file,
                   reason);
      x.insert(x.end(), parent.x.begin(), parent.x.end());
      h.insert(h.end(), parent.cell, parent.cell + 9);
    }
    if (!frames.finished() && (n > 0 || frames.headed))
      error->one(
          FLERR, Error::NOPOINTER,
          "polymorph: parents: frame {} of {} is unfinished{}; complete its last line or take "
          "it out",
          n, file,
          frames.headed
              ? fmt::format(", it says {} atoms and has {}", frames.natoms, frames.atoms.size())
              : "");
    if (n == 0)
      error->one(FLERR, Error::NOPOINTER,
                 "polymorph: parents: {} cannot be read or holds no complete frame; give a file in "
                 "extended XYZ, such as fix entsym/select writes",
                 file);
  }
  int n = static_cast<int>(h.size() / 9);
  MPI_Bcast(&n, 1, MPI_INT, 0, world);
  x.resize(n * 3 * composition.species.size());
  h.resize(9 * static_cast<std::size_t>(n));
  for (int k = 0; k < n; k++) {
    const int size = static_cast<int>(3 * composition.species.size());
    MPI_Bcast(x.data() + static_cast<std::size_t>(k) * size, size, MPI_DOUBLE, 0, world);
    MPI_Bcast(h.data() + 9 * static_cast<std::size_t>(k), 9, MPI_DOUBLE, 0, world);
  }
  positions.insert(positions.end(), x.begin(), x.end());
  cells.insert(cells.end(), h.begin(), h.end());
}

/* ---------------------------------------------------------------------- */

entsym::Population Polymorph::parents() const
{
  entsym::Population p{};
  p.positions = positions.data();
  p.cells = cells.data();
  p.values = values.data();
  p.species = composition.species.data();
  p.n = n_parents();
  p.n_atoms = composition.species.size();
  p.n_counted = n_counted;
  for (int d = 0; d < 3; d++) p.pbc[d] = domain->periodicity[d] ? 1 : 0;
  p.density = compute->given_density();
  return p;
}

/* ----------------------------------------------------------------------
   sS and Q of the parents, the window, the limits
------------------------------------------------------------------------- */

void Polymorph::settle()
{
  const std::vector<std::string> &elements = composition.elements;
  for (const std::string &name : frozen)
    if (std::find(elements.begin(), elements.end(), name) == elements.end())
      fail(fmt::format("frozen: {} is not an element of the box ({})", name,
                       utils::join_words(elements, ", ")));
  limits.names = elements;
  for (const std::string &name : elements)
    limits.frozen.push_back(std::count(frozen.begin(), frozen.end(), name) > 0 ? 1 : 0);
  settle_distances();

  const entsym::Kernel kernel(compute->parameters());
  const entsym::Population p = parents();
  values.resize(2 * p.n);
  std::vector<entsym::Structure> structures;
  for (std::size_t k = 0; k < p.n; k++)
    structures.push_back(
        {p.positions + 3 * p.n_atoms * k, p.n_counted, p.cells + 9 * k, p.pbc, p.density});
  entsym::evaluate_batch(kernel, structures.data(), p.n, values.data(), comm->nthreads);
  // one rank decides, because the ranks may differ in the last bit
  MPI_Bcast(values.data(), static_cast<int>(values.size()), MPI_DOUBLE, 0, world);

  if (window_given.empty()) {
    window = entsym::window_of(values.data(), p.n, 0.0);
    for (int v = 0; v < 2; v++)
      if (!(window.high[v] - window.low[v] > 1e-9 * std::fabs(window.high[v])))
        fail(
            fmt::format("parents: all {} have {} = {:.6g}, which spans no window; give parents "
                        "that differ, or window",
                        p.n, v ? q_name : "sS", window.low[v]));
    window = entsym::window_of(values.data(), p.n, expand);
  } else {
    window = {{window_given[0], window_given[2]}, {window_given[1], window_given[3]}};
    for (std::size_t k = 0; k < p.n; k++)
      for (int v = 0; v < 2; v++)
        if (!(values[2 * k + v] >= window.low[v] && values[2 * k + v] <= window.high[v]))
          fail(
              fmt::format("parents: parent {} at sS = {:.6g}, {} = {:.6g} lies outside the window "
                          "{}; widen it or leave the parent out",
                          k, values[2 * k], q_name, values[2 * k + 1], listed(window_given)));
  }
  if (targets == "edges" || targets == "grid")
    points = entsym::target_points(window, per_edge, targets == "grid");

  if (!volumes_given.empty()) {
    limits.min_volume = volumes_given[0];
    limits.max_volume = volumes_given[1];
  } else if (p.pbc[0] && p.pbc[1] && p.pbc[2]) {
    limits.min_volume = HUGE_VAL;
    limits.max_volume = 0.0;
    for (std::size_t k = 0; k < p.n; k++) {
      const double *a = p.cells + 9 * k, *b = a + 3, *c = a + 6;
      const double volume =
          std::fabs(a[0] * (b[1] * c[2] - b[2] * c[1]) - a[1] * (b[0] * c[2] - b[2] * c[0]) +
                    a[2] * (b[0] * c[1] - b[1] * c[0])) /
          static_cast<double>(p.n_atoms);
      limits.min_volume = std::min(limits.min_volume, 0.7 * volume);
      limits.max_volume = std::max(limits.max_volume, 1.5 * volume);
    }
  }
}

/* ---------------------------------------------------------------------- */

void Polymorph::settle_distances()
{
  const std::vector<std::string> &elements = composition.elements;
  const bool angstrom =
      std::strcmp(update->unit_style, "metal") == 0 || std::strcmp(update->unit_style, "real") == 0;
  const std::size_t n = elements.size();
  std::vector<double> radius(n, 0.0);
  for (std::size_t e = 0; e < n; e++) {
    for (const auto &[symbol, value] : entsym::covalent_radii)
      if (elements[e] == symbol) radius[e] = value;
    if (radius[e] == 0.0)
      fail(
          fmt::format("element '{}' is not a chemical symbol with a known covalent radius; use one "
                      "like Si",
                      elements[e]));
  }
  limits.min_distance.resize(n * n);
  std::vector<bool> given(n * n, false);
  for (std::size_t a = 0; a < n; a++)
    for (std::size_t b = 0; b < n; b++)
      limits.min_distance[a * n + b] = COVALENT_SHARE * (radius[a] + radius[b]);
  for (const Distance &d : distances) {
    bool found = false;
    for (std::size_t a = 0; a < n; a++)
      for (std::size_t b = 0; b < n; b++)
        if ((d.a == "*" || d.a == elements[a]) && (d.b == "*" || d.b == elements[b])) {
          limits.min_distance[a * n + b] = limits.min_distance[b * n + a] = d.least;
          given[a * n + b] = given[b * n + a] = found = true;
        }
    if (!found)
      fail(fmt::format(
          "min_distance: {} {} is not a pair of the elements {}; write it like 'Si O 1.4' "
          "or '* * 1.4'",
          d.a, d.b, utils::join_words(elements, ", ")));
  }
  if (!angstrom && std::find(given.begin(), given.end(), false) != given.end())
    fail(
        fmt::format("min_distance: has no default in units {}; give it for all pairs, as in "
                    "'min_distance * * 1.4'",
                    update->unit_style));
}

/* ----------------------------------------------------------------------
   all that the library depends on; names, order and values are those of PolymorphGen.settings
------------------------------------------------------------------------- */

PolymorphLibrary::Settings Polymorph::settings() const
{
  const auto quoted = [](const std::string &text) { return '"' + text + '"'; };
  const auto list = [](const std::vector<double> &numbers) { return "[" + listed(numbers) + "]"; };
  const auto names = [&](const std::vector<std::string> &texts, std::size_t n) {
    std::string text;
    for (std::size_t k = 0; k < n; k++) text += (k ? ", " : "") + quoted(texts[k]);
    return "[" + text + "]";
  };
  std::string aims, least;
  for (const entsym::Point &point : points)
    aims += (aims.empty() ? "" : ", ") + list({point[0], point[1]});
  const std::vector<std::string> &elements = composition.elements;
  const double *distance = limits.min_distance.data();
  for (std::size_t e = 0; e < elements.size(); e++, distance += elements.size())
    least += (e ? ", " : "") + list({distance, distance + elements.size()});
  const auto n_species = 1 + static_cast<std::size_t>(composition.species[n_counted - 1]);
  const double *probability = genes.probability;

  PolymorphLibrary::Settings all;
  for (const entsym::Parameter &p : entsym::parameters_of(*compute))
    if (std::strcmp(p.first, "number_density") != 0) all.emplace_back(p.first, digits(p.second));
  const double density = compute->given_density();
  all.insert(
      all.end(),
      {{"elements", n_species == elements.size() ? "null" : names(elements, n_species)},
       {"number_density", density > 0.0 ? digits(density) : "null"},
       {"parents", quoted(entsym::fingerprint(elements, composition.species.data(),
                                              positions.data(), cells.data(), n_parents(),
                                              composition.species.size(), parents().pbc))},
       {"targets", targets == "points" ? "[" + aims + "]" : quoted(targets)},
       {"targets_per_edge", std::to_string(per_edge)},
       {"window", list({window.low[0], window.high[0], window.low[1], window.high[1]})},
       {"generations", std::to_string(generations)},
       {"individuals", std::to_string(individuals)},
       {"genes", fmt::format("{{\"displacement\": {}, \"volume\": {}, \"shape\": {}, \"rate\": {}, "
                             "\"swaps\": {}, \"probabilities\": {}, \"frozen\": {}}}",
                             digits(genes.displacement), digits(genes.volume), digits(genes.shape),
                             digits(genes.rate), genes.swaps, list({probability, probability + 4}),
                             names(frozen, frozen.size()))},
       {"mode", quoted(guided ? "guided" : "roulette")},
       {"min_distance", "[" + least + "]"},
       {"volume_limits", list({limits.min_volume, limits.max_volume})},
       {"angle_limits", list({limits.min_angle, limits.max_angle})},
       {"fresh", digits(fresh)},
       {"elitism", elitism ? "true" : "false"},
       {"hits", hits ? std::to_string(hits) : "null"},
       {"steps", std::to_string(steps)},
       {"tolerance", digits(tolerance)},
       {"seed", std::to_string(seed)}});
  return all;
}

/* ---------------------------------------------------------------------- */

void Polymorph::evolve(const entsym::Breeder &breeder, PolymorphLibrary &library)
{
  const double start = platform::walltime();
  const bool gaps = targets == "gaps";
  std::size_t found = 0;    // number of frames of the library that were taken so far
  const std::vector<PolymorphLibrary::Member> &members = library.members();
  const std::size_t before = members.size();
  std::uint64_t rejected[3] = {0, 0, 0};
  std::size_t best = entsym::Evolution::kNone, missed = 0;
  double best_distance = HUGE_VAL;
  std::string nearest_missed;
  entsym::Gaps map(window, per_edge);
  if (gaps) {
    points.clear();
    map.add(values.data(), n_parents());
  }
  if (comm->me == 0)
    utils::logmesg(lmp,
                   "PolymorphGen: {} parents, {} targets in sS {:.6g} to {:.6g}, {} {:.6g} to "
                   "{:.6g}; {} frames are there already\n"
                   "  Target           sS           {}    nearest sS    nearest {}   Distance   "
                   "Frames     Hits Evaluations  Time(s)\n",
                   n_parents(), gaps ? "gaps as" : std::to_string(points.size()), window.low[0],
                   window.high[0], q_name, window.low[1], window.high[1], before, q_name, q_name);

  for (std::size_t number = 0;; number++) {
    std::vector<std::size_t> pool;
    if (gaps) {
      entsym::Point gap;
      std::size_t nearest;
      if (!map.next(gap, nearest)) break;
      points.push_back(gap);
      if (nearest >= n_parents()) pool.push_back(nearest - n_parents());
    } else if (number == points.size()) break;

    entsym::Evolution evolution(window.target(points[number], tolerance), values.data(),
                                n_parents(), generations, hits, elitism, pool);
    const std::size_t first = found;
    std::uint64_t evaluations = 0;
    while (!evolution.done()) {
      std::vector<std::size_t> mine;
      for (; found < members.size() && members[found].target == static_cast<int>(number) &&
             members[found].generation == evolution.generation();
           found++)
        mine.push_back(found);
      // the last generation in the file may lack children
      if (found == members.size()) {
        const auto made =
            breed(breeder, library, static_cast<int>(number), evolution, mine, rejected);
        mine.insert(mine.end(), made.begin(), made.end());
        found = members.size();
      }
      std::vector<double> v;
      for (const std::size_t frame : mine) {
        v.insert(v.end(), members[frame].values, members[frame].values + 2);
        evaluations += members[frame].evaluations;
      }
      evolution.take(mine.data(), v.data(), mine.size());
    }
    for (std::size_t k = first; gaps && k < found; k++) map.add(members[k].values, 1);
    if (evolution.best_distance() < best_distance) {
      best_distance = evolution.best_distance();
      best = evolution.best();
    }
    const entsym::Point &point = points[number], &nearest = evolution.nearest();
    if (evolution.distance() >= tolerance && missed++ < 3)
      nearest_missed += fmt::format(
          "{}target {} at sS = {:.4g}, {} = {:.4g}, nearest sS = {:.4g}, "
          "{} = {:.4g}, {:.2g} of the window away",
          missed > 1 ? "; " : "", number, point[0], q_name, point[1], nearest[0], q_name,
          nearest[1], evolution.distance());
    if (comm->me == 0)
      utils::logmesg(
          lmp, "{:8} {:12.6g} {:12.6g}  {:12.6g} {:12.6g} {:10.4g} {:8} {:8} {:11} {:8.1f}\n",
          number, point[0], point[1], nearest[0], nearest[1], evolution.distance(),
          evolution.n_children(), evolution.hits(), evaluations, platform::walltime() - start);
  }
  if (found < members.size())
    fail(fmt::format("{}: frame {} fits no target; use another file", path, found));
  library.require_unchanged();
  if (comm->me == 0) {
    utils::logmesg(lmp,
                   "PolymorphGen: {} frames written, {} in all; draws rejected for a distance {}, "
                   "the volume {}, an angle {}\n",
                   members.size() - before, members.size(), rejected[0], rejected[1], rejected[2]);
    if (missed)
      error->warning(FLERR, "polymorph: {} of {} targets not reached in {} generations of {}: {}{}",
                     missed, points.size(), generations, individuals, nearest_missed,
                     missed > 3 ? "; ..." : "");
  }
  if (!leave_best) return;
  if (best == entsym::Evolution::kNone) fail("best: there is no child to leave in the box");
  put_into_box(library.structure(best));
  if (comm->me == 0)
    utils::logmesg(lmp,
                   "PolymorphGen: frame {}, {:.4g} of the window from its target, is in the box\n",
                   best, best_distance);
}

/* ----------------------------------------------------------------------
   make a generation, write the children that are missing, return the frames written
------------------------------------------------------------------------- */

std::vector<std::size_t> Polymorph::breed(const entsym::Breeder &breeder, PolymorphLibrary &library,
                                          int target, const entsym::Evolution &evolution,
                                          const std::vector<std::size_t> &there,
                                          std::uint64_t *rejected)
{
  const std::size_t n_atoms = composition.species.size(), size = 3 * n_atoms, n = individuals;
  std::vector<double> all_x = positions, all_h = cells, all_v = values;
  const std::vector<PolymorphLibrary::Member> &members = library.members();
  library.keep_only(evolution.pool());
  for (const std::size_t frame : evolution.pool()) {
    const PolymorphStructure &s = library.structure(frame);
    all_x.insert(all_x.end(), s.x.begin(), s.x.end());
    all_h.insert(all_h.end(), s.cell, s.cell + 9);
    all_v.insert(all_v.end(), members[frame].values, members[frame].values + 2);
  }
  entsym::Population population = parents();
  population.positions = all_x.data();
  population.cells = all_h.data();
  population.values = all_v.data();
  population.n = all_h.size() / 9;

  // each rank makes its share
  std::vector<int> first(comm->nprocs + 1), counts(comm->nprocs), starts(comm->nprocs);
  for (int p = 0; p <= comm->nprocs; p++)
    first[p] = static_cast<int>(n * p / static_cast<std::size_t>(comm->nprocs));
  entsym::Generation generation{};
  generation.n_library = n_parents();
  generation.fresh = fresh;
  generation.steps = steps;
  generation.seed = seed;
  generation.stream[0] = target;
  generation.stream[1] = evolution.generation();
  generation.direct = evolution.generation() == 0;
  generation.first = first[comm->me];
  generation.n_children = first[comm->me + 1] - first[comm->me];
  std::vector<double> x(n * size), h(9 * n), v(2 * n);
  std::vector<entsym::Child> children(n);
  try {
    breeder.breed(population, evolution.target(), generation, &x[generation.first * size],
                  &h[9 * generation.first], &v[2 * generation.first], &children[generation.first],
                  comm->nthreads);
  } catch (const std::exception &e) {
    error->one(FLERR, Error::NOPOINTER, "polymorph: {}", e.what());
  }
  const auto share = [&](void *data, std::size_t bytes_each) {
    for (int p = 0; p < comm->nprocs; p++) {
      counts[p] = static_cast<int>((first[p + 1] - first[p]) * bytes_each);
      starts[p] = static_cast<int>(first[p] * bytes_each);
    }
    MPI_Allgatherv(MPI_IN_PLACE, 0, MPI_BYTE, data, counts.data(), starts.data(), MPI_BYTE, world);
  };
  share(x.data(), size * sizeof(double));
  share(h.data(), 9 * sizeof(double));
  share(v.data(), 2 * sizeof(double));
  share(children.data(), sizeof(entsym::Child));

  std::vector<std::size_t> written;
  for (std::size_t k = 0; k < n; k++) {
    const entsym::Child &child = children[k];
    for (int r = 0; r < 3; r++) rejected[r] += child.rejected[r];
    const bool has = std::any_of(there.begin(), there.end(), [&](std::size_t frame) {
      return members[frame].individual == static_cast<int>(k);
    });
    if (!child.valid || has) continue;
    PolymorphStructure s;
    s.x.assign(&x[k * size], &x[k * size] + size);
    std::copy_n(&h[9 * k], 9, s.cell);
    written.push_back(members.size());
    library.append(std::move(s),
                   {target,
                    evolution.generation(),
                    static_cast<int>(k),
                    child.evaluations,
                    {v[2 * k], v[2 * k + 1]},
                    0},
                   child.parent < n_parents()
                       ? fmt::format("p{}", child.parent)
                       : fmt::format("f{}", evolution.pool()[child.parent - n_parents()]),
                   child.genes);
  }
  library.write();
  return written;
}

/* ----------------------------------------------------------------------
   rotate the structure so that the first vector lies along x and the second in the xy plane, and reduce
   the vectors as LAMMPS requires: the lattice stays the same
------------------------------------------------------------------------- */

void Polymorph::put_into_box(const PolymorphStructure &s)
{
  double cell[9];
  std::copy_n(s.cell, 9, cell);
  const auto dot = [](const double *a, const double *b) {
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
  };
  const double *a = cell, *b = cell + 3;
  double *c = cell + 6;
  double normal[3] = {a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2],
                      a[0] * b[1] - a[1] * b[0]};
  if (dot(c, normal) < 0.0)    // the opposite vector spans the same lattice, right-handed
    for (int d = 0; d < 3; d++) c[d] = -c[d];
  const double lx = std::sqrt(dot(a, a)), area = std::sqrt(dot(normal, normal));
  double e[3][3];    // axes of the new frame
  for (int d = 0; d < 3; d++) {
    e[0][d] = a[d] / lx;
    e[2][d] = normal[d] / area;
  }
  for (int d = 0; d < 3; d++)
    e[1][d] = e[2][(d + 1) % 3] * e[0][(d + 2) % 3] - e[2][(d + 2) % 3] * e[0][(d + 1) % 3];
  const double ly = area / lx, lz = dot(c, e[2]);
  double xy = dot(b, e[0]), xz = dot(c, e[0]), yz = dot(c, e[1]);
  xy -= lx * std::round(xy / lx);
  const double n = std::round(yz / ly);
  yz -= n * ly;
  xz -= n * xy;
  xz -= lx * std::round(xz / lx);

  if (!domain->triclinic && (xy != 0.0 || xz != 0.0 || yz != 0.0))
    input->one("change_box all triclinic");
  const double lengths[3] = {lx, ly, lz};
  std::string change = "change_box all";
  if (domain->triclinic) change += " xy final 0.0 xz final 0.0 yz final 0.0";
  for (int d = 0; d < 3; d++)
    change += fmt::format(" {} final {} {}", "xyz"[d], digits(domain->boxlo[d]),
                          digits(domain->boxlo[d] + lengths[d]));
  if (domain->triclinic)
    change +=
        fmt::format(" xy final {} xz final {} yz final {}", digits(xy), digits(xz), digits(yz));
  input->one(change + " units box");

  std::vector<std::pair<double, std::size_t> > rows;    // by ID
  for (std::size_t k = 0; k < id_of_row.size(); k++) rows.emplace_back(id_of_row[k], k);
  std::sort(rows.begin(), rows.end());
  for (int i = 0; i < atom->nlocal; i++) {
    const std::pair<double, std::size_t> id(static_cast<double>(atom->tag[i]), 0);
    const double *x = &s.x[3 * std::lower_bound(rows.begin(), rows.end(), id)->second];
    for (int d = 0; d < 3; d++) atom->x[i][d] = domain->boxlo[d] + dot(x, e[d]);
  }
  input->one(
      "displace_atoms all move 0.0 0.0 0.0 units box");    // wraps atoms and sends them to their ranks
  // earlier unwrapped positions have no meaning
  const imageint none = (static_cast<imageint>(IMGMAX) << IMG2BITS) |
                        (static_cast<imageint>(IMGMAX) << IMGBITS) | IMGMAX;
  std::fill_n(atom->image, atom->nlocal, none);
}
