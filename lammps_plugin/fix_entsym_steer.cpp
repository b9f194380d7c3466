// SPDX-License-Identifier: BSD-3-Clause
#include "fix_entsym_steer.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <fstream>
#include <iterator>

#include <glob.h>
#include <sys/stat.h>

#include "atom.h"
#include "comm.h"
#include "compute_entsym.h"
#include "entsym/digits.hpp"
#include "error.h"
#include "force.h"
#include "group.h"
#include "input.h"
#include "modify.h"
#include "update.h"
#include "utils.h"
#include "variable.h"

using namespace LAMMPS_NS;

/* ----------------------------------------------------------------------
   contents of a file, without the zeros that a crash of the machine may leave at its end
------------------------------------------------------------------------- */

static std::string contents(const std::string &path)
{
  std::ifstream stream(path, std::ios::binary);
  std::string text{std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
  while (!text.empty() && text.back() == '\0') text.pop_back();
  return text;
}

/* ---------------------------------------------------------------------- */

FixEntsymSteer::FixEntsymSteer(LAMMPS *lmp, int narg, char **arg)
    : Fix(lmp, narg, arg), entsym(nullptr), acts{false, false}, limit(0.0), natoms(-1),
      value{0.0, 0.0}, energy(0.0), has_hills(false), walkers_every(0), opened(false),
      restored(false)
{
  if (narg < 5)
    fail(-1,
         "arguments are missing; use 'fix ID group entsym/steer compute-ID restrain sS <constant> "
         "<centre>' or another of the keywords restrain, wall, metad");
  compute_id = arg[3];
  find_compute(3);
  const std::string q_name = "Q" + std::to_string(entsym->parameters().degree);

  entsym::Schedule schedules[2];
  bool restrained[2] = {false, false}, moved[2] = {false, false};
  std::vector<entsym::Wall> walls;
  entsym::Metadynamics m;
  const char *of_metad = nullptr;    // a keyword that needs metad

  int i = 4;
  // words after the keyword
  const auto require = [&](int n, const char *usage) {
    if (i + n >= narg)
      fail(i, fmt::format("values of {} are missing; use '{} {}'", arg[i], arg[i], usage));
  };
  const auto number = [&](int k, const char *what) {
    char *end = nullptr;
    const double x = std::strtod(arg[k], &end);
    if (end == arg[k] || *end != '\0' || !std::isfinite(x))
      fail(k, fmt::format("{} = {} must be a finite number", what, arg[k]));
    return x;
  };
  const auto positive = [&](int k, const char *what) {
    const double x = number(k, what);
    if (x <= 0.0) fail(k, fmt::format("{} = {} must be above 0", what, arg[k]));
    return x;
  };
  const auto steps = [&](int k, const char *what, double least) {
    const double x = number(k, what);
    if (x != std::floor(x) || x < least || x > (least > 0.0 ? MAXSMALLINT : 9e15))
      fail(k, fmt::format("{} = {} must be a whole number, {} or more", what, arg[k], least));
    return static_cast<bigint>(x);
  };
  const auto variable_of = [&](int k) {
    if (std::strcmp(arg[k], "sS") == 0) return 0;
    if (arg[k] != q_name && std::strcmp(arg[k], "Q") != 0)
      fail(k, fmt::format("variable '{}' must be sS or {}, the values of compute {}", arg[k],
                          q_name, compute_id));
    return 1;
  };

  while (i < narg) {
    const std::string keyword = arg[i];
    if (keyword == "restrain") {
      require(3, "<sS or Q> <constant> <centre>");
      const int d = variable_of(i + 1);
      if (restrained[d]) fail(i, fmt::format("restrain {} is given twice; keep one", arg[i + 1]));
      restrained[d] = true;
      double *const values[2] = {&schedules[d].first.constant, &schedules[d].first.centre};
      for (int k = 0; k < 2; k++) {
        if (std::strncmp(arg[i + 2 + k], "v_", 2) == 0) variables[d][k] = arg[i + 2 + k] + 2;
        else *values[k] = number(i + 2 + k, k ? "centre" : "force constant");
      }
      schedules[d].last = schedules[d].first;
      i += 4;
    } else if (keyword == "move") {
      require(5, "<sS or Q> <constant> <centre> <first step> <last step>");
      const int d = variable_of(i + 1);
      if (!restrained[d] || !variables[d][0].empty() || !variables[d][1].empty())
        fail(i, fmt::format("move {} needs a 'restrain {} <constant> <centre>' with numbers before "
                            "it, where it starts",
                            arg[i + 1], arg[i + 1]));
      if (moved[d]) fail(i, fmt::format("move {} is given twice; keep one", arg[i + 1]));
      moved[d] = true;
      schedules[d].last = {number(i + 2, "force constant"), number(i + 3, "centre")};
      schedules[d].from = steps(i + 4, "first step", 0.0);
      schedules[d].to = steps(i + 5, "last step", 0.0);
      i += 6;
    } else if (keyword == "wall") {
      require(4, "<sS or Q> <upper or lower> <position> <constant>");
      entsym::Wall wall;
      wall.variable = variable_of(i + 1);
      wall.upper = std::strcmp(arg[i + 2], "upper") == 0;
      if (!wall.upper && std::strcmp(arg[i + 2], "lower") != 0)
        fail(i + 2, fmt::format("wall = '{}' must be upper or lower", arg[i + 2]));
      wall.position = number(i + 3, "position");
      wall.constant = number(i + 4, "force constant");
      walls.push_back(wall);
      i += 5;
    } else if (keyword == "metad") {
      require(3, "<steps between hills> <height> <temperature>");
      if (has_hills) fail(i, "metad is given twice; keep one");
      has_hills = true;
      m.every = static_cast<int>(steps(i + 1, "steps between hills", 1.0));
      m.height = positive(i + 2, "height of the hills");
      m.temperature = positive(i + 3, "temperature");
      m.boltzmann = force->boltz;
      i += 4;
    } else if (keyword == "width" || keyword == "grid") {
      require(2, "<sS or Q> <value>");
      of_metad = arg[i];
      (keyword == "width" ? m.width : m.spacing)[variable_of(i + 1)] =
          positive(i + 2, keyword == "width" ? "width of the hills" : "grid spacing");
      i += 3;
    } else if (keyword == "biasfactor") {
      require(1, "<number above 1>");
      of_metad = arg[i];
      m.bias_factor = number(i + 1, "biasfactor");
      i += 2;
    } else if (keyword == "file") {
      require(1, "<name>");
      of_metad = arg[i];
      path = arg[i + 1];
      i += 2;
    } else if (keyword == "walkers") {
      require(2, "<pattern of the files> <steps between reading>");
      of_metad = arg[i];
      walkers = arg[i + 1];
      walkers_every = static_cast<int>(steps(i + 2, "steps between reading", 1.0));
      i += 3;
    } else if (keyword == "limit") {
      require(1, "<force>");
      limit = positive(i + 1, "limit of the force");
      i += 2;
    } else
      fail(i,
           fmt::format("unknown keyword '{}'; use restrain, move, wall, metad, width, biasfactor, "
                       "grid, file, walkers or limit",
                       keyword));
  }
  if (of_metad && !has_hills)
    fail(-1, fmt::format("{} needs the keyword metad; add 'metad <steps> <height> <temperature>'",
                         of_metad));
  if (!has_hills && walls.empty() && !restrained[0] && !restrained[1])
    fail(-1, "no bias is given; use restrain, wall or metad");
  if (!walkers.empty() && path.empty())
    fail(-1,
         "walkers needs a file of its own for each; add 'file <name>' with another name in "
         "each run");
  for (int d = 0; d < 2; d++)
    if (m.spacing[d] > 0.0 && m.width[d] == 0.0)
      fail(-1, fmt::format("grid {} needs the width of the hills in it; add 'width {} <value>'",
                           d ? q_name : "sS", d ? q_name : "sS"));
  try {
    bias = std::make_unique<entsym::Bias>(
        std::array<std::string, 2>{"sS", q_name}, schedules, walls,
        has_hills ? std::optional<entsym::Metadynamics>(m) : std::nullopt);
  } catch (const std::exception &e) {
    fail(-1, e.what());
  }
  for (int d = 0; d < 2; d++) acts[d] = bias->acts_on(d) || restrained[d];

  restart_global = 1;
  scalar_flag = vector_flag = 1;
  size_vector = 9;
  global_freq = 1;
  extscalar = 1;
  extvector = 0;
  energy_global_flag = virial_global_flag = 1;
  thermo_virial = 1;
  // a barostat that is defined before this fix asks for the pressure before the first forces
  std::fill_n(virial, 6, 0.0);
}

/* ---------------------------------------------------------------------- */

void FixEntsymSteer::fail(int argument, const std::string &what) const
{
  error->all(FLERR, argument < 0 ? Error::NOPOINTER : argument, "Fix {} {}: {}", style, id, what);
}

/* ---------------------------------------------------------------------- */

int FixEntsymSteer::setmask()
{
  return FixConst::POST_FORCE | FixConst::MIN_POST_FORCE | FixConst::POST_RUN;
}

/* ---------------------------------------------------------------------- */

void FixEntsymSteer::find_compute(int argument)
{
  Compute *found = modify->get_compute_by_id(compute_id);
  if (!found)
    fail(argument,
         fmt::format("compute {} is not defined; define 'compute {} <group> entsym ...' before",
                     compute_id, compute_id));
  entsym = dynamic_cast<ComputeEntsym *>(found);
  if (!entsym)
    fail(argument,
         fmt::format("compute {} is of style {}, which has no gradients of sS and Q; use one of "
                     "style entsym",
                     compute_id, found->style));
  if (entsym->igroup != igroup)
    fail(argument,
         fmt::format("group {} must be that of compute {}, which is {}: the forces act on the "
                     "atoms that count; use 'fix {} {} ...'",
                     group->names[igroup], compute_id, entsym->group_name(), id,
                     entsym->group_name()));
}

/* ----------------------------------------------------------------------
   what the bias depends on may not change while the fix exists, nor from run to run
------------------------------------------------------------------------- */

void FixEntsymSteer::define()
{
  natoms = group->count(igroup);
  std::vector<entsym::Entry> now = {{"units", update->unit_style},
                                    {"group", entsym->group_name()},
                                    {"natoms", std::to_string(natoms)}};
  for (const entsym::Parameter &p : entsym::parameters_of(*entsym)) {
    std::string text;
    entsym::append_digits(text, p.second);
    now.emplace_back(p.first, text);
  }
  for (std::size_t k = 0; k < definition.size(); k++)
    if (now[k].second != definition[k].second)
      fail(-1,
           fmt::format("the bias was started with {} = {}, compute {} has {} = {}; use the same, "
                       "or another fix ID and file",
                       definition[k].first, definition[k].second, compute_id, now[k].first,
                       now[k].second));
  definition = now;
  bias->define(now);
}

/* ---------------------------------------------------------------------- */

void FixEntsymSteer::init()
{
  if (utils::strmatch(update->integrate_style, "^respa"))
    fail(-1, "run_style respa is not supported; use 'run_style verlet'");
  find_compute(-1);
  if (group->dynamic[igroup])
    fail(-1, fmt::format("group {} is dynamic: the bias needs the same atoms in each step; use a "
                         "static group",
                         group->names[igroup]));
  if (acts[1] && entsym->parameters().smooth == 0.0)
    fail(-1,
         fmt::format("compute {} has a hard neighbor cutoff, at which Q jumps, so that it has no "
                     "forces; add 'smooth <width>' to the compute, a tenth of q6cut",
                     compute_id));
  for (const auto &names : variables)
    for (const std::string &name : names) {
      if (name.empty()) continue;
      const int found = input->variable->find(name.c_str());
      if (found < 0 || !input->variable->equalstyle(found))
        fail(-1, fmt::format("variable {} must be defined and of style equal; use 'variable {} "
                             "equal ...'",
                             name, name));
    }
  define();
  if (has_hills && !path.empty()) open();
}

/* ----------------------------------------------------------------------
   lock the file for a run; before the first run read its hills. After a restart those of the restart
   file count: later ones are cut off, missing ones are added.
------------------------------------------------------------------------- */

void FixEntsymSteer::open()
{
  std::vector<entsym::Hill> found;
  if (comm->me == 0) {
    const auto stop = [&](const char *what, const std::string &why) {
      error->one(FLERR, "Fix {} {}: file {} cannot be {}: {}", style, id, path, what, why);
    };
    std::string reason = file.open(path);
    if (reason.empty() && !entsym::readable_to_its_end(path))
      reason = "it is not a regular file; use another path";
    if (!reason.empty()) stop("written", reason);
    if (!opened) {
      const std::string text = contents(path), header = bias->header();
      const std::vector<entsym::Hill> &own = bias->own_hills();
      std::size_t end = 0, later = 0;
      // an interrupted run may have left the start of the header
      if (text.size() >= header.size() || header.compare(0, text.size(), text) != 0) {
        try {
          found = bias->read(text, true, end);
          if (end < text.size())
            error->warning(FLERR, "Fix {} {}: the unfinished last line of {} was cut off", style,
                           id, path);
          if (restored && found.size() > own.size()) {
            later = found.size() - own.size();
            found = bias->read(text, true, end, own.size());
          }
        } catch (const std::exception &e) {
          stop("continued", e.what());
        }
      }
      std::string missing = end ? "" : header;
      if (restored) {
        for (std::size_t k = 0; k < own.size(); k++) {
          const std::string line = entsym::Bias::line(own[k]);
          if (k >= found.size()) missing += line;
          else if (entsym::Bias::line(found[k]) != line)
            stop("continued",
                 fmt::format("its hill {} differs from that of the restart file; use the file of "
                             "the run that wrote the restart file, or a new one",
                             k));
        }
        found.clear();
      }
      reason = file.cut_off(end);
      if (reason.empty() && !missing.empty()) reason = file.append(missing);
      if (!reason.empty()) stop("written", reason);
      if (later)
        utils::logmesg(
            lmp, "Fix {} {}: {} hills of {} are later than the restart file and were cut off\n",
            style, id, later, path);
      if (!found.empty())
        utils::logmesg(lmp, "Fix {} {}: {} hills of {} are continued\n", style, id, found.size(),
                       path);
    }
  }
  if (!opened) {
    add(found, true);
    if (!walkers.empty()) take_hills();
  }
  opened = true;
}

/* ----------------------------------------------------------------------
   add hills of rank 0 on all ranks
------------------------------------------------------------------------- */

void FixEntsymSteer::add(std::vector<entsym::Hill> &hills, bool own)
{
  int n = static_cast<int>(hills.size());
  MPI_Bcast(&n, 1, MPI_INT, 0, world);
  hills.resize(n);
  MPI_Bcast(hills.data(), n * static_cast<int>(sizeof(entsym::Hill)), MPI_BYTE, 0, world);
  try {
    bias->add(hills, own);
  } catch (const std::exception &e) {
    fail(-1, e.what());    // the same on every rank
  }
}

/* ----------------------------------------------------------------------
   add what other walkers have written since the last time
------------------------------------------------------------------------- */

void FixEntsymSteer::take_hills()
{
  std::vector<entsym::Hill> fresh;
  int again = 0;    // a walker was restarted and has cut its file: read all files anew
  if (comm->me == 0) {
    glob_t names;
    struct stat own, other;
    const bool known = ::stat(path.c_str(), &own) == 0;
    const int failed = ::glob(walkers.c_str(), 0, nullptr, &names);
    std::vector<std::string> paths;
    for (std::size_t k = 0; !failed && k < names.gl_pathc; k++)
      if (::stat(names.gl_pathv[k], &other) == 0 &&
          !(known && own.st_ino == other.st_ino && own.st_dev == other.st_dev)) {
        paths.emplace_back(names.gl_pathv[k]);
        if (static_cast<std::size_t>(other.st_size) < taken[paths.back()]) again = 1;
      }
    if (!failed) ::globfree(&names);
    if (again) taken.clear();
    for (const std::string &name : paths) {
      std::string text = contents(name);
      std::size_t &start = taken[name], end = 0;
      if (text.size() < start) text.resize(start);    // zeros of a crash
      // the header is written in one piece with the first line behind it at a later time
      if (start == 0 && std::count(text.begin(), text.end(), '\n') < 3) continue;
      try {
        const std::vector<entsym::Hill> found = bias->read(text.substr(start), start == 0, end);
        fresh.insert(fresh.end(), found.begin(), found.end());
      } catch (const std::exception &e) {
        error->one(FLERR, "Fix {} {}: the hills of {} cannot be shared: {}", style, id, name,
                   e.what());
      }
      start += end;
    }
  }
  MPI_Bcast(&again, 1, MPI_INT, 0, world);
  if (again) bias->forget_others();
  add(fresh, false);
}

/* ---------------------------------------------------------------------- */

void FixEntsymSteer::setup(int vflag) { apply(vflag, SETUP); }

/* ---------------------------------------------------------------------- */

void FixEntsymSteer::min_setup(int vflag)
{
  if (!thermo_energy)
    fail(-1,
         fmt::format("a minimization needs the energy of the bias with its forces; add 'fix_modify "
                     "{} energy yes'",
                     id));
  apply(vflag, MINIMIZE);
}

/* ---------------------------------------------------------------------- */

void FixEntsymSteer::post_force(int vflag) { apply(vflag, STEP); }

/* ---------------------------------------------------------------------- */

void FixEntsymSteer::min_post_force(int vflag) { apply(vflag, MINIMIZE); }

/* ---------------------------------------------------------------------- */

void FixEntsymSteer::post_run() { file.close(); }

/* ----------------------------------------------------------------------
   restraints of this step
------------------------------------------------------------------------- */

void FixEntsymSteer::begin()
{
  const bigint step = update->ntimestep;
  bias->begin(step);
  bool any = false;
  entsym::Restraint given[2] = {bias->restraint(0), bias->restraint(1)};
  for (int d = 0; d < 2; d++)
    for (int k = 0; k < 2; k++) {
      if (variables[d][k].empty()) continue;
      if (!any) modify->clearstep_compute();
      any = true;
      (k ? given[d].centre : given[d].constant) =
          input->variable->compute_equal(input->variable->find(variables[d][k].c_str()));
    }
  if (!any) return;
  modify->addstep_compute(step + 1);
  MPI_Bcast(given, sizeof(given), MPI_BYTE, 0, world);
  bias->begin(step, given);
}

/* ---------------------------------------------------------------------- */

void FixEntsymSteer::apply(int vflag, Moment moment)
{
  const bigint step = update->ntimestep;
  v_init(vflag);
  const bigint now = entsym->evaluate_anew(acts[1]);
  if (now != natoms)
    fail(-1, fmt::format(
                 "group {} has {} atoms, it had {} when the run started: atoms were lost, added "
                 "or deleted; look at the forces, or use another fix for another number",
                 group->names[igroup], now, natoms));
  // one rank decides, because the ranks may differ in the last bit
  std::copy_n(entsym->vector, 2, value);
  MPI_Bcast(value, 2, MPI_DOUBLE, 0, world);

  double slope[2], strain[9];
  try {
    if (moment != MINIMIZE) begin();
    energy = bias->energy(value, slope);
  } catch (const std::exception &e) {
    fail(-1, e.what());    // the same on every rank
  }
  const double factor[2] = {-slope[0], -slope[1]};
  entsym->gradients(factor, gradient, strain);

  double **f = atom->f;
  double largest = 0.0;
  tagint at = 0;
  for (int i = 0; i < atom->nlocal; i++) {
    const int k = entsym->gradient_row(i);
    if (k < 0) continue;
    const double *add = &gradient[3 * k];
    for (int d = 0; d < 3; d++) f[i][d] += add[d];
    const double square = add[0] * add[0] + add[1] * add[1] + add[2] * add[2];
    if (square > largest) {
      largest = square;
      at = atom->tag_enable ? atom->tag[i] : i + 1;
    }
  }
  if (limit > 0.0 && largest > limit * limit)
    error->one(
        FLERR,
        "Fix {} {}: the bias pulls atom {} with a force of {:.8}, the limit is {:.8}, at sS = "
        "{:.8}, Q = {:.8}; use a smaller force constant, a slower move or lower hills",
        style, id, at, std::sqrt(largest), limit, value[0], value[1]);
  if (vflag_global) {    // force times distance is minus the derivative by the strain
    virial[0] += strain[0];
    virial[1] += strain[4];
    virial[2] += strain[8];
    virial[3] += 0.5 * (strain[1] + strain[3]);
    virial[4] += 0.5 * (strain[2] + strain[6]);
    virial[5] += 0.5 * (strain[5] + strain[7]);
  }

  if (moment == SETUP) bias->settle(step, value);
  if (moment != STEP) return;
  if (const entsym::Hill *hill = bias->visit(step, value)) {
    if (comm->me == 0 && !path.empty()) {
      const std::string reason = file.append(entsym::Bias::line(*hill));
      if (!reason.empty())
        error->one(FLERR, "Fix {} {}: hill of step {} could not be written to {}: {}", style, id,
                   step, path, reason);
    }
  }
  if (!walkers.empty() && step % walkers_every == 0) take_hills();
}

/* ---------------------------------------------------------------------- */

void FixEntsymSteer::write_restart(FILE *restart)
{
  if (comm->me != 0) return;
  std::vector<double> data = {static_cast<double>(definition.size())};
  for (const entsym::Entry &entry : definition) {
    data.push_back(static_cast<double>(entry.second.size()));
    data.insert(data.end(), entry.second.begin(), entry.second.end());
  }
  const std::vector<double> state = bias->state();
  data.push_back(static_cast<double>(state.size()));
  data.insert(data.end(), state.begin(), state.end());
  const int bytes = static_cast<int>(data.size() * sizeof(double));
  std::fwrite(&bytes, sizeof(int), 1, restart);
  std::fwrite(data.data(), sizeof(double), data.size(), restart);
}

/* ---------------------------------------------------------------------- */

void FixEntsymSteer::restart(char *buffer)
{
  const auto next = [&buffer]() {
    double number;    // the buffer is not aligned
    std::memcpy(&number, buffer, sizeof(double));
    buffer += sizeof(double);
    return number;
  };
  const auto n = static_cast<std::size_t>(next());
  std::vector<std::string> texts(n);
  for (std::string &text : texts) {
    text.resize(static_cast<std::size_t>(next()));
    for (char &letter : text) letter = static_cast<char>(next());
  }
  if (n) {
    define();
    for (std::size_t k = 0; k < n; k++)
      if (texts[k] != definition[k].second)
        fail(-1, fmt::format(
                     "the restart file has its bias with {} = {}, here {} = {}; use the same, or "
                     "another fix ID",
                     definition[k].first, texts[k], definition[k].first, definition[k].second));
  }
  std::vector<double> state(static_cast<std::size_t>(next()));
  for (double &number : state) number = next();
  restored = bias->restore(state);    // otherwise hills in the file are of other runs
}

/* ---------------------------------------------------------------------- */

double FixEntsymSteer::compute_scalar() { return energy; }

/* ---------------------------------------------------------------------- */

double FixEntsymSteer::compute_vector(int k)
{
  switch (k) {
    case 0:
    case 1:
      return value[k];
    case 2:
    case 3:
      return bias->restraint(k - 2).centre;
    case 4:
      return bias->work();
    case 5:
      return bias->height();
    case 6:
      return bias->offset();
    case 7:
      return static_cast<double>(bias->n_hills());
    default:
      return bias->hill_energy();
  }
}

/* ---------------------------------------------------------------------- */

double FixEntsymSteer::memory_usage()
{
  return bias->memory_usage() + gradient.capacity() * sizeof(double);
}
