// SPDX-License-Identifier: BSD-3-Clause
#include "fix_entsym_select.h"

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "atom.h"
#include "comm.h"
#include "compute_entsym.h"
#include "domain.h"
#include "error.h"
#include "group.h"
#include "modify.h"
#include "timer.h"
#include "update.h"

using namespace LAMMPS_NS;

static constexpr double EV_PER_KCAL_MOL = 0.043364103900593;    // CODATA 2018

/* ---------------------------------------------------------------------- */

FixEntsymSelect::FixEntsymSelect(LAMMPS *lmp, int narg, char **arg)
    : Fix(lmp, narg, arg), with_energy(false), append(false), opened(false), setup_step(-1),
      entsym(nullptr), pe(nullptr), energy_in_eV(1.0), n_written(0), n_offered(0), n_uncovered(0),
      n_here(0), stop_after(0)
{
  if (narg < 8)
    fail(-1,
         "arguments are missing; use 'fix ID group entsym/select N compute-ID dsS dQ file element "
         "<symbol of each type>'");

  char *end = nullptr;
  const auto whole = [&](int argument, const char *name, const char *what) {
    const char *text = argument < narg ? arg[argument] : "nothing";
    const double value = std::strtod(text, &end);
    if (end == text || *end != '\0' || !(value >= 1.0) || value != std::floor(value) ||
        value > MAXSMALLINT)
      fail(std::min(argument, narg - 1),
           fmt::format("{} = {} must be a whole number of {}, 1 or more", name, text, what));
    return static_cast<int>(value);
  };
  nevery = whole(3, "N", "steps");

  compute_id = arg[4];
  find_compute(4);
  adopt_compute();

  for (int d = 0; d < 2; d++) {
    size[d] = std::strtod(arg[5 + d], &end);
    if (end == arg[5 + d] || *end != '\0' || !std::isfinite(size[d]) || size[d] <= 0.0)
      fail(5 + d, fmt::format("{} = {} must be a positive number; use e.g. {}", d ? "dQ" : "dsS",
                              arg[5 + d], d ? 0.005 : 0.1));
  }
  path = arg[7];

  for (int i = 8; i < narg;) {
    const std::string keyword = arg[i];
    if (keyword == "element") {
      const int given = std::min(narg - i - 1, atom->ntypes);
      elements.assign(arg + i + 1, arg + i + 1 + given);
      for (const std::string &name : elements)
        if (!entsym::is_element(name))
          fail(i, fmt::format("element '{}' must be a chemical symbol like Si; one for each of "
                              "the {} atom types is needed",
                              name, atom->ntypes));
      if (given < atom->ntypes)
        fail(i, fmt::format("element names {} of {} atom types; give one symbol for each", given,
                            atom->ntypes));
      i += 1 + given;
    } else if (keyword == "append" || keyword == "energy") {
      const std::string value = i + 1 < narg ? arg[i + 1] : "";
      if (value != "yes" && value != "no")
        fail(i, fmt::format("{} = '{}' must be yes or no", keyword, value));
      (keyword == "append" ? append : with_energy) = value == "yes";
      i += 2;
    } else if (keyword == "known") {
      if (i + 1 >= narg)
        fail(i, "known: the name of a file is missing; give a landscape CSV or extended XYZ");
      known_files.emplace_back(i + 1, arg[i + 1]);
      i += 2;
    } else if (keyword == "stop") {
      stop_after = whole(i + 1, "stop", "frames");
      i += 2;
    } else
      fail(i,
           fmt::format("unknown keyword '{}'; use element, append, energy, known or stop, and one "
                       "element for each of the {} atom types",
                       keyword, atom->ntypes));
  }
  if (elements.empty())
    fail(-1, fmt::format("keyword element is missing; give one chemical symbol for each of the {} "
                         "atom types",
                         atom->ntypes));
  if (with_energy) {
    if (std::strcmp(update->unit_style, "real") == 0) energy_in_eV = EV_PER_KCAL_MOL;
    else if (std::strcmp(update->unit_style, "metal") != 0)
      fail(-1, fmt::format("energy = yes writes eV, which units {} has no relation to; use units "
                           "metal or real, or leave it out",
                           update->unit_style));
  }
  if (!atom->tag_enable)
    fail(-1, "atoms need IDs, by which they are sorted; use 'atom_modify id yes'");

  // Frames are read, or the file is emptied, when a run starts: after a restart the file is resumed.
  std::string reason;
  if (comm->me == 0) {
    entsym::FrameFile probe;
    reason = probe.open(path);
    if (reason.empty() && append && !entsym::readable_to_its_end(path))
      reason = "append = yes needs a regular file, not a pipe or a device; use another path";
  }
  int good = reason.empty();
  MPI_Bcast(&good, 1, MPI_INT, 0, world);
  if (!good) fail(7, fmt::format("file {} cannot be written: {}", path, reason));

  for (const auto &[argument, file] : known_files) read_known(file, argument);

  restart_global = 1;
  dynamic_group_allow = 1;
  scalar_flag = vector_flag = 1;
  size_vector = 3;
  global_freq = 1;
  extscalar = extvector = 0;
}

/* ---------------------------------------------------------------------- */

void FixEntsymSelect::fail(int argument, const std::string &what) const
{
  error->all(FLERR, argument < 0 ? Error::NOPOINTER : argument, "Fix {} {}: {}", style, id, what);
}

/* ---------------------------------------------------------------------- */

int FixEntsymSelect::setmask()
{
  return FixConst::END_OF_STEP | FixConst::MIN_POST_FORCE | FixConst::POST_RUN;
}

/* ---------------------------------------------------------------------- */

void FixEntsymSelect::find_compute(int argument)
{
  std::string reason;
  entsym = ComputeEntsym::find(modify, compute_id, "has no vector of sS and Q", reason);
  if (!entsym) fail(argument, reason);
}

/* ---------------------------------------------------------------------- */

void FixEntsymSelect::adopt_compute()
{
  made_with = entsym::parameters_of(*entsym);
  made_group = entsym->group_name();
}

/* ----------------------------------------------------------------------
   the compute may have been deleted and defined again
------------------------------------------------------------------------- */

void FixEntsymSelect::require_same_compute()
{
  find_compute(-1);
  const std::vector<entsym::Parameter> now = entsym::parameters_of(*entsym);
  for (std::size_t k = 0; k < now.size(); k++)
    if (now[k].second != made_with[k].second)
      fail(-1, fmt::format("the map of {} has {} = {}, compute {} now has {}; use the "
                           "same parameters, or another fix and file",
                           path, now[k].first, made_with[k].second, compute_id, now[k].second));
  if (made_group != entsym->group_name())
    fail(-1, fmt::format("the map of {} is of group {}, compute {} now has group {}; "
                         "use the same group, or another fix and file",
                         path, made_group, compute_id, entsym->group_name()));
}

/* ---------------------------------------------------------------------- */

void FixEntsymSelect::init()
{
  if (opened || !points.empty() || !known_files.empty()) require_same_compute();
  else {
    find_compute(-1);
    adopt_compute();
  }
  if (with_energy) {
    pe = modify->get_compute_by_id("thermo_pe");
    if (!pe) fail(-1, "energy = yes needs the compute thermo_pe, which is gone; leave it out");
    // asks LAMMPS to tally the energy in the next force calculation
    if (update->ntimestep % nevery == 0) pe->addstep(update->ntimestep);
  }
  open();
}

/* ----------------------------------------------------------------------
   what the values of the compute mean; on all ranks, because atoms are counted
------------------------------------------------------------------------- */

entsym::MapDefinition FixEntsymSelect::definition() const
{
  const int ntypes = atom->ntypes, bit = group->bitmask[entsym->igroup];
  std::vector<bigint> mine(3 * ntypes, 0), total(3 * ntypes);
  for (int i = 0; i < atom->nlocal; i++) {
    bigint *at = &mine[3 * (atom->type[i] - 1)];
    at[0]++;
    if (!(atom->mask[i] & bit)) continue;
    at[1]++;
    if (atom->mask[i] & groupbit) at[2]++;
  }
  MPI_Allreduce(mine.data(), total.data(), 3 * ntypes, MPI_LMP_BIGINT, MPI_SUM, world);
  entsym::MapDefinition map{compute_id,
                            entsym->group_name(),
                            update->unit_style,
                            "Q" + std::to_string(entsym->parameters().degree),
                            entsym::parameters_of(*entsym),
                            {}};
  for (int t = 0; t < ntypes; t++)
    map.kinds.push_back({elements[t], total[3 * t + 1], total[3 * t], total[3 * t + 2] > 0});
  return map;
}

/* ----------------------------------------------------------------------
   send points of rank 0 to all
------------------------------------------------------------------------- */

static void share(std::vector<entsym::Place> &points, MPI_Comm world)
{
  int n = static_cast<int>(points.size());
  MPI_Bcast(&n, 1, MPI_INT, 0, world);
  points.resize(n);
  if (n) MPI_Bcast(points[0].data(), 2 * n, MPI_DOUBLE, 0, world);
}

/* ---------------------------------------------------------------------- */

void FixEntsymSelect::read_known(const std::string &file, int argument)
{
  const entsym::MapDefinition map = definition();
  entsym::Places found;
  if (comm->me == 0) found = entsym::read_places(file, map);
  int good = found.error.empty();
  MPI_Bcast(&good, 1, MPI_INT, 0, world);
  if (!good) fail(argument, "known: " + found.error);
  share(found.places, world);
  for (const Point &point : found.places) known.insert(cell_of(point));
  if (comm->me != 0) return;
  if (found.cut_short)
    error->warning(FLERR, "Fix {} {}: known: the unfinished end of {} was left out", style, id,
                   file);
  for (const std::string &note : found.notes)
    error->warning(FLERR, "Fix {} {}: known: {} {}", style, id, file, note);
  utils::logmesg(lmp, "Fix {} {}: {} frames of {}; the known set holds {} cells\n", style, id,
                 found.places.size(), file, known.size());
}

/* ----------------------------------------------------------------------
   lock the file for a run; before the first run empty it, or add its frames to the map
------------------------------------------------------------------------- */

void FixEntsymSelect::open()
{
  std::vector<Point> found;
  const bigint n_atoms = group->count(igroup);
  const entsym::MapDefinition map = definition();
  if (comm->me == 0) {
    std::string reason;
    std::error_code none;
    if (!opened && !append)
      for (const auto &[argument, known_file] : known_files)
        if (std::filesystem::equivalent(known_file, path, none))
          reason = "it is the known set, and would be emptied; use another file or append yes";
    if (reason.empty()) reason = file.open(path);
    if (reason.empty() && !opened && append) found = read_frames(map, n_atoms);
    else if (reason.empty() && !opened) reason = file.cut_off(0);
    if (!reason.empty())
      error->one(FLERR, "Fix {} {}: file {} cannot be written: {}", style, id, path, reason);
  }
  opened = true;
  share(found, world);
  for (const Point &point : found) occupy(point);
}

/* ----------------------------------------------------------------------
   read sS and Q of the frames in the file; cut off an unfinished last one of an interrupted run
------------------------------------------------------------------------- */

std::vector<FixEntsymSelect::Point> FixEntsymSelect::read_frames(const entsym::MapDefinition &map,
                                                                 bigint n_atoms)
{
  std::vector<Point> found;
  entsym::FrameReader frames(path, n_atoms);
  for (bool complete = true; complete;) {
    complete = frames.next();
    if (!complete && !frames.headed) {    // nothing identifies the frame
      if (frames.torn) break;
      frames.valid = frames.headed = false;
    }
    if (!frames.valid)
      error->one(FLERR, "Fix {} {}: frame {} of {} {}; append only to extended XYZ", style, id,
                 found.size(), path,
                 frames.headed ? fmt::format("says {} atoms, but there are lines of {}",
                                             frames.natoms, frames.atoms.size())
                               : "does not start with a number of atoms");
    Point point;
    const std::string reason =
        map.read([&](const std::string &name,
                     std::string &text) { return entsym::find_text(frames.comment, name, text); },
                 "append only to a file of this fix or of ase_calculators.write_sets", point);
    if (!reason.empty())
      error->one(FLERR, "Fix {} {}: frame {} of {} {}", style, id, found.size(), path, reason);
    if (complete) found.push_back(point);
  }
  if (!frames.finished()) {
    const std::string failed = file.cut_off(frames.end);
    if (!failed.empty())
      error->one(FLERR, "Fix {} {}: the unfinished last frame of {} cannot be cut off: {}", style,
                 id, path, failed);
    error->warning(FLERR, "Fix {} {}: the unfinished last frame of {} was cut off", style, id,
                   path);
  }
  return found;
}

/* ---------------------------------------------------------------------- */

FixEntsymSelect::Cell FixEntsymSelect::cell_of(const Point &point) const
{
  // the same as multi_resolution in Python, to the last bit: anchored at 0
  return {std::floor(point[0] / size[0]), std::floor(point[1] / size[1])};
}

/* ---------------------------------------------------------------------- */

void FixEntsymSelect::occupy(const Point &point)
{
  if (cells.insert(cell_of(point)).second) points.push_back(point);
}

/* ---------------------------------------------------------------------- */

void FixEntsymSelect::setup(int)
{
  setup_step = update->ntimestep;
  if (stopped()) {
    timer->force_timeout();
    if (comm->me == 0)
      error->warning(FLERR,
                     "Fix {} {}: this run ends at once, because {} new frames are written; define "
                     "the fix again, or unfix it",
                     style, id, n_here);
  }
  if (setup_step % nevery == 0) offer();
}

/* ---------------------------------------------------------------------- */

void FixEntsymSelect::min_setup(int) { setup(0); }

/* ----------------------------------------------------------------------
   rerun calls this with the frame that setup() has seen
------------------------------------------------------------------------- */

void FixEntsymSelect::end_of_step()
{
  if (update->ntimestep != setup_step) offer();
}

/* ---------------------------------------------------------------------- */

void FixEntsymSelect::post_run()
{
  file.close();
  if (stopped()) timer->reset_timeout();    // of other runs
}

/* ----------------------------------------------------------------------
   a minimizer does not call end_of_step; line searches call this several times in a step
------------------------------------------------------------------------- */

void FixEntsymSelect::min_post_force(int)
{
  if (update->ntimestep % nevery == 0) end_of_step();
}

/* ---------------------------------------------------------------------- */

void FixEntsymSelect::offer()
{
  if (stopped()) {    // a rerun and a line search go on for a while
    timer->force_timeout();
    return;
  }
  require_same_compute();    // a run without setup has no init
  modify->clearstep_compute();
  if (!(entsym->invoked_flag & Compute::INVOKED_VECTOR)) {
    entsym->compute_vector();
    entsym->invoked_flag |= Compute::INVOKED_VECTOR;
  }
  // one rank decides, because the ranks may differ in the last bit
  Point point = {entsym->vector[0], entsym->vector[1]};
  MPI_Bcast(point.data(), 2, MPI_DOUBLE, 0, world);
  n_offered++;
  const bool finite = std::isfinite(point[0]) && std::isfinite(point[1]);
  const bool covered = finite && known.count(cell_of(point));
  if (!covered) n_uncovered++;
  if (finite && !covered && !cells.count(cell_of(point))) {
    write_frame(point);
    occupy(point);
    n_written++;
    n_here++;
    if (stopped()) {
      timer->force_timeout();
      if (comm->me == 0)
        utils::logmesg(lmp, "Fix {} {}: the run ends at step {}, {} new frames are in {}\n", style,
                       id, update->ntimestep, n_here, path);
    }
  }
  if (with_energy) pe->addstep((update->ntimestep / nevery + 1) * nevery);
}

/* ----------------------------------------------------------------------
   add a frame to the file: atoms of the group, sorted by ID
------------------------------------------------------------------------- */

void FixEntsymSelect::write_frame(const Point &point)
{
  double energy = 0.0;
  if (with_energy) energy = pe->compute_scalar() * energy_in_eV;

  const std::vector<double> rows = entsym::gather_atoms(lmp, groupbit);
  bigint n = static_cast<bigint>(rows.size()) / entsym::kColumns;
  MPI_Bcast(&n, 1, MPI_LMP_BIGINT, 0, world);
  if (n == 0)
    fail(-1,
         fmt::format("group {} has no atoms to write; use another group", group->names[igroup]));

  int good = 1;
  std::string reason;
  if (comm->me == 0) {
    // twelve digits are the same for any number of ranks
    std::string frame = std::to_string(n) + "\nLattice=\"";
    double lattice[9];
    entsym::box_vectors(lmp, lattice);
    for (int k = 0; k < 9; k++) frame += entsym::formatted(k ? " %.12g" : "%.12g", lattice[k]);
    frame += "\" Properties=species:S:1:pos:R:3:id:I:1 pbc=\"";
    for (int d = 0; d < 3; d++)
      frame += std::string(d ? " " : "") + (domain->periodicity[d] ? "T" : "F");
    frame += "\"";
    if (with_energy) frame += entsym::formatted(" energy=%.12g", energy);
    frame += entsym::formatted(" sS=%.12g", point[0]);
    frame +=
        " Q" + std::to_string(entsym->parameters().degree) + entsym::formatted("=%.12g", point[1]);
    frame += " timestep=" + std::to_string(update->ntimestep);
    for (const entsym::Parameter &p : entsym::parameters_of(*entsym))
      if (std::strcmp(p.first, "number_density") != 0 || p.second > 0.0)
        frame += std::string(" ") + p.first + entsym::formatted("=%.12g", p.second);
    if (made_group != "all") frame += " group=" + made_group;
    if (const std::string units = entsym::length_unit(update->unit_style); !units.empty())
      frame += " units=" + units;
    frame += "\n";
    for (const double *row = rows.data(); row < rows.data() + rows.size();
         row += entsym::kColumns) {
      char line[128];
      const char *element = elements[static_cast<int>(row[1]) - 1].c_str();
      std::snprintf(line, sizeof(line), "%s %.12g %.12g %.12g %.0f\n", element, row[2], row[3],
                    row[4], row[0]);
      frame += line;
    }
    reason = file.append(frame);
    good = reason.empty();
  }
  MPI_Bcast(&good, 1, MPI_INT, 0, world);
  if (!good)
    fail(-1, fmt::format("frame {} could not be written to {}: {}", n_written, path, reason));
}

/* ----------------------------------------------------------------------
   write points instead of cells, so that a restarted run may have another resolution
------------------------------------------------------------------------- */

void FixEntsymSelect::write_restart(FILE *file)
{
  if (comm->me != 0) return;
  std::vector<double> state = {static_cast<double>(n_written), static_cast<double>(n_offered),
                               static_cast<double>(n_uncovered)};
  for (const entsym::Parameter &p : made_with) state.push_back(p.second);
  state.push_back(static_cast<double>(made_group.size()));
  state.insert(state.end(), made_group.begin(), made_group.end());
  state.push_back(static_cast<double>(points.size()));
  for (const Point &point : points) state.insert(state.end(), point.begin(), point.end());
  const int bytes = static_cast<int>(state.size() * sizeof(double));
  std::fwrite(&bytes, sizeof(int), 1, file);
  std::fwrite(state.data(), sizeof(double), state.size(), file);
}

/* ---------------------------------------------------------------------- */

void FixEntsymSelect::restart(char *buffer)
{
  auto next = [&buffer]() {
    double value;    // the buffer is not aligned
    std::memcpy(&value, buffer, sizeof(double));
    buffer += sizeof(double);
    return value;
  };
  n_written = static_cast<bigint>(next());
  n_offered = static_cast<bigint>(next());
  n_uncovered = static_cast<bigint>(next());
  for (const entsym::Parameter &mine : made_with) {
    const double value = next();
    if (value != mine.second)
      fail(-1, fmt::format("the restart file has its map with {} = {}, compute {} has {}; use the "
                           "same parameters or another fix ID",
                           mine.first, value, compute_id, mine.second));
  }
  std::string group(static_cast<std::size_t>(next()), ' ');
  for (char &letter : group) letter = static_cast<char>(next());
  if (group != made_group)
    fail(-1, fmt::format("the restart file has its map of group {}, compute {} is of group {}; use "
                         "the same group or another fix ID",
                         group, compute_id, made_group));
  const auto n = static_cast<std::size_t>(next());
  for (std::size_t k = 0; k < n; k++) {
    const double sS = next();
    occupy({sS, next()});
  }
  append = true;    // the map has all frames of the file, also those after the restart file
}

/* ---------------------------------------------------------------------- */

double FixEntsymSelect::compute_scalar() { return static_cast<double>(n_written); }

/* ---------------------------------------------------------------------- */

double FixEntsymSelect::compute_vector(int k)
{
  if (k == 0) return static_cast<double>(cells.size());
  if (k == 1) return static_cast<double>(n_offered);
  return n_offered ? static_cast<double>(n_uncovered) / static_cast<double>(n_offered) : 0.0;
}

/* ---------------------------------------------------------------------- */

double FixEntsymSelect::memory_usage()
{
  // a node of the set: three pointers, a colour, two doubles
  return static_cast<double>(points.capacity() * sizeof(Point) +
                             (cells.size() + known.size()) * 48);
}
