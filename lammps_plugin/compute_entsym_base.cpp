// SPDX-License-Identifier: BSD-3-Clause
#include "compute_entsym_base.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>

#include "atom.h"
#include "comm.h"
#include "domain.h"
#include "error.h"
#include "fix_entsym_ghosts.h"
#include "force.h"
#include "group.h"
#include "modify.h"
#include "neighbor.h"
#include "pair.h"
#include "update.h"

using namespace LAMMPS_NS;

/* ---------------------------------------------------------------------- */

ComputeEntsymBase::ComputeEntsymBase(LAMMPS *lmp, int narg, char **arg)
    : Compute(lmp, narg, arg), ghosts(false), cutoff(0.0), repeated(false), shared_value(nullptr),
      shared_qlm(nullptr), user_density(0.0)
{
  if (domain->dimension == 2)
    error->all(FLERR, "Compute {} {}: dimension 2 is not supported; use 'dimension 3'", style, id);

  entsym::Parameters parameters;
  struct Length {
    const char *keyword;
    double *value;
    bool may_be_zero;
    const char *example;
  };
  const Length lengths[] = {
      {"rmax", &parameters.rmax, false, "about four neighbour distances"},
      {"sigma", &parameters.sigma, false, "about a twentieth of the neighbour distance"},
      {"q6cut", &parameters.q_cutoff, false, "the first minimum of g(r)"},
      {"dr", &parameters.dr, false, "at most sigma, or no dr for sigma/4"},
      {"smooth", &parameters.smooth, true, "0 for a hard neighbour cutoff"},
  };

  for (int i = 3; i < narg; i += 2) {
    const std::string keyword = arg[i];
    const auto length = std::find_if(std::begin(lengths), std::end(lengths),
                                     [&](const Length &l) { return keyword == l.keyword; });
    if (length == std::end(lengths) && keyword != "degree" && keyword != "density")
      error->all(FLERR, i,
                 "Compute {} {}: unknown keyword '{}'; use rmax, sigma, dr, q6cut, degree, "
                 "density or smooth",
                 style, id, keyword);
    if (i + 1 == narg)
      error->all(FLERR, i, "Compute {} {}: keyword {} has no value; give one or leave it out",
                 style, id, keyword);

    const char *text = arg[i + 1];
    if (keyword == "density" && std::strcmp(text, "box") == 0) {
      user_density = 0.0;
      continue;
    }
    char *end = nullptr;
    const double value = std::strtod(text, &end);
    const bool number = end != text && *end == '\0' && std::isfinite(value);

    if (keyword == "density") {
      if (!number || value <= 0.0)
        error->all(FLERR, i + 1,
                   "Compute {} {}: density = {} must be 'box' or a positive number of atoms per "
                   "volume; use 'density box' in a fully periodic box",
                   style, id, text);
      user_density = value;
    } else if (keyword == "degree") {
      if (!number || value != std::floor(value) || value < 2.0 || value > 12.0 ||
          std::fmod(value, 2.0) != 0.0)
        error->all(FLERR, i + 1,
                   "Compute {} {}: degree = {} must be 2, 4, 6, 8, 10 or 12; leave it out for 6",
                   style, id, text);
      parameters.degree = static_cast<int>(value);
    } else {
      if (!number || value < 0.0 || (value == 0.0 && !length->may_be_zero))
        error->all(FLERR, i + 1, "Compute {} {}: {} = {} must be a {} length; use {}", style, id,
                   keyword, text, length->may_be_zero ? "non-negative" : "positive",
                   length->example);
      *length->value = value;
    }
  }

  for (const Length &length : lengths)
    if (length.value != &parameters.dr && !length.may_be_zero && *length.value == 0.0)
      error->all(FLERR, "Compute {} {}: keyword {} is missing: a positive length is needed; use {}",
                 style, id, length.keyword, length.example);
  if (parameters.smooth > parameters.q_cutoff)
    error->all(FLERR, "Compute {} {}: smooth = {} must be from 0 to q6cut = {}; use less", style,
               id, parameters.smooth, parameters.q_cutoff);

  try {    // ranges, dr against sigma, size of the grid; the same on every rank
    kernel = std::make_unique<entsym::Kernel>(parameters);
    if (user_density > 0.0) entsym::Parameters::check_density(user_density);
  } catch (const std::exception &e) {
    error->all(FLERR, "Compute {} {}: {}", style, id, e.what());
  }
  cutoff = std::max(kernel->pair_cutoff(), parameters.q_cutoff);

  dynamic_group_allow = 1;
  comm_forward = 1 + kernel->n_components();    // see share_rows

  auto *watch = dynamic_cast<FixEntsymGhosts *>(
      modify->add_fix(fmt::format("{}_ENTSYM_GHOSTS all ENTSYM/GHOSTS", id)));
  if (watch) watch->compute = this;
}

/* ---------------------------------------------------------------------- */

ComputeEntsymBase::~ComputeEntsymBase()
{
  const std::string watch = std::string(id) + "_ENTSYM_GHOSTS";
  if (modify->get_fix_by_id(watch))
    modify->delete_fix(watch);    // LAMMPS deletes fixes first when it ends
}

/* ---------------------------------------------------------------------- */

void ComputeEntsymBase::init()
{
  // The default skin of units si and cgs is many orders of magnitude wider than any cutoff of atoms.
  if (neighbor->skin > 100.0 * cutoff)
    error->all(FLERR,
               "Compute {} {}: neighbor skin {:.8} is more than 100 times the cutoff {:.8}; use "
               "'neighbor <skin> bin' with a skin of about a tenth of the cutoff",
               style, id, neighbor->skin, cutoff);
  const double needed = cutoff + neighbor->skin;
  if (comm->mode != Comm::SINGLE)
    error->all(FLERR,
               "Compute {} {}: communication mode multi cuts off ghost atoms by type, all are "
               "needed up to {:.8}; use 'comm_modify mode single cutoff {:.8}'",
               style, id, needed, needed);
  limit_ghosts(needed);

  // LAMMPS sets up its communication after this, with the larger of this and the neighbour cutoff.
  const double pair = force->pair ? force->pair->cutforce + neighbor->skin : 0.0;
  if (std::max(comm->cutghostuser, pair) >= needed) return;

  // Without a pair style, a cutoff of zero stands for an estimate from bond lengths: keep it.
  const double bonds = force->bond && !force->pair ? comm->get_comm_cutoff() : 0.0;
  comm->cutghostuser = std::max(needed, bonds);
}

/* ----------------------------------------------------------------------
   LAMMPS makes ghost atoms for many periods of the box without a limit: apply the limit of the core
------------------------------------------------------------------------- */

void ComputeEntsymBase::limit_ghosts(double distance) const
{
  const double *h = domain->h_inv;    // zero off the diagonal where the box is not triclinic
  const double period[3] = {std::sqrt(h[0] * h[0] + h[5] * h[5] + h[4] * h[4]),
                            std::sqrt(h[1] * h[1] + h[3] * h[3]), h[2]};
  double share = 1.0;    // of the atoms that a rank has, owned and ghosts
  for (int d = 0; d < 3; d++) {
    const double width = 1.0 / comm->procgrid[d] + 2.0 * distance * period[d];
    share *= domain->periodicity[d] ? width : std::min(width, 1.0);
  }
  const double natoms = static_cast<double>(atom->natoms), owned = natoms / comm->nprocs;
  try {
    entsym::check_images(owned, natoms * share - owned, distance);
  } catch (const std::exception &e) {    // the same on every rank
    error->all(FLERR, "Compute {} {}: {}", style, id, e.what());
  }
}

/* ---------------------------------------------------------------------- */

void ComputeEntsymBase::setup() { require_ghosts(cutoff + neighbor->skin); }

/* ----------------------------------------------------------------------
   check that communication was set up for ghost atoms up to `distance`
------------------------------------------------------------------------- */

void ComputeEntsymBase::require_ghosts(double distance) const
{
  if (comm->nprocs == 1 && domain->nonperiodic && !domain->xperiodic && !domain->yperiodic &&
      !domain->zperiodic)
    return;

  double scale[3] = {1.0, 1.0, 1.0};    // in a triclinic box cutghost is in reduced coordinates
  if (domain->triclinic) {
    const double *h = domain->h_inv;
    scale[0] = std::sqrt(h[0] * h[0] + h[5] * h[5] + h[4] * h[4]);
    scale[1] = std::sqrt(h[1] * h[1] + h[3] * h[3]);
    scale[2] = h[2];
  }
  double reach = comm->cutghost[0] / scale[0];
  for (int d = 1; d < 3; d++) reach = std::min(reach, comm->cutghost[d] / scale[d]);

  if (reach < distance * (1.0 - 1e-9))
    error->all(FLERR,
               "Compute {} {}: communication cutoff {:.8} is too short, {:.8} is needed; add "
               "'comm_modify cutoff {:.8}' before the run",
               style, id, reach, distance, cutoff + neighbor->skin);
}

/* ---------------------------------------------------------------------- */

void ComputeEntsymBase::set_ghosts(bool complete)
{
  ghosts = complete;
  // values of the last step do not hold for atoms that have changed since
  if (complete) return;
  invoked_flag = INVOKED_NONE;
  invoked_vector = invoked_array = invoked_peratom = -1;
}

/* ---------------------------------------------------------------------- */

bigint ComputeEntsymBase::evaluated_step() const { return ghosts ? update->ntimestep : -1; }

/* ---------------------------------------------------------------------- */

void ComputeEntsymBase::require_finite() const
{
  for (int i = 0; i < atom->nlocal; i++) {
    const double *p = atom->x[i];
    if ((atom->mask[i] & groupbit) && !std::isfinite(p[0] + p[1] + p[2]))
      error->one(FLERR,
                 "Compute {} {}: position ({} {} {}) of atom {} must be finite; look for "
                 "overlapping atoms or a time step that is too long",
                 style, id, p[0], p[1], p[2], atom->tag_enable ? atom->tag[i] : i + 1);
  }
}

/* ---------------------------------------------------------------------- */

entsym::Atoms ComputeEntsymBase::collect(bool half, double reach)
{
  if (!initialized_flag)
    error->all(FLERR, "Compute {} {}: not initialized; add 'run 0' after its definition", style,
               id);
  require_finite();
  if (!update->whichflag) set_ghosts(false);    // an error has ended the run
  if (ghosts) require_ghosts(cutoff);
  repeated = !ghosts || comm->nprocs == 1;
  return repeated ? list_images(half, reach) : list_ghosts();
}

/* ---------------------------------------------------------------------- */

entsym::Atoms ComputeEntsymBase::list_ghosts()
{
  // a fix that changes the box at the end of a step (deform, press/berendsen) moves owned atoms only
  comm->forward_comm();

  const int nlocal = atom->nlocal;
  const int nall = nlocal + atom->nghost;
  entsym::Atoms atoms{};

  row.clear();
  if (igroup == 0) {
    atoms.x = nall ? &atom->x[0][0] : nullptr;
    atoms.n_owned = nlocal;
    atoms.n_total = nall;
    return atoms;
  }
  row.resize(nall, -1);
  for (int i = 0; i < nlocal; i++)
    if (atom->mask[i] & groupbit) row[i] = 0;
  comm->forward_comm(this);    // masks of ghosts may be out of date

  x.clear();
  int n = 0;
  for (int i = 0; i < nall; i++) {
    if (i == nlocal) atoms.n_owned = n;
    if (row[i] < 0) continue;
    row[i] = n++;
    x.insert(x.end(), atom->x[i], atom->x[i] + 3);
  }
  if (nall == nlocal) atoms.n_owned = n;
  atoms.n_total = n;
  atoms.x = x.data();
  return atoms;
}

/* ----------------------------------------------------------------------
   between runs any command, library call or script may have moved, added, removed or sorted atoms or
   changed the box. The ghost atoms of LAMMPS are then incomplete, missing, or those of other atoms, and
   communication in the old pattern would write past the atoms. The owned atoms of all ranks are right at
   any time: take them and repeat them. A single rank does so in a run too: of the ghost atoms, which
   lie on all sides up to the skin beyond the cutoff, it needs less than half.
------------------------------------------------------------------------- */

entsym::Atoms ComputeEntsymBase::list_images(bool half, double reach)
{
  const bool everyone = igroup == 0;
  const int nlocal = atom->nlocal;
  row.assign(everyone ? 0 : nlocal, -1);
  x.resize(3 * static_cast<std::size_t>(nlocal));
  int n_mine = 0;
  for (int i = 0; i < nlocal; i++) {
    if (!everyone) {
      if (!(atom->mask[i] & groupbit)) continue;
      row[i] = n_mine;
    }
    double *p = &x[3 * static_cast<std::size_t>(n_mine++)];
    for (int d = 0; d < 3; d++) p[d] = atom->x[i][d] - domain->boxlo[d];
  }
  entsym::Atoms atoms{x.data(), static_cast<std::size_t>(n_mine), static_cast<std::size_t>(n_mine),
                      nullptr};
  const bool alone = comm->nprocs == 1;
  bigint n = n_mine;
  std::vector<double> all;
  if (!alone) n = gather(n_mine, all);

  source.clear();
  const bool periodic_box = domain->xperiodic || domain->yperiodic || domain->zperiodic;
  if (n < (periodic_box ? 1 : 2)) return atoms;    // number_density() refuses them

  const double *h = domain->h;    // zero off the diagonal where the box is not triclinic
  const double cell[9] = {h[0], 0.0, 0.0, h[5], h[1], 0.0, h[4], h[3], h[2]};
  const unsigned char pbc[3] = {domain->xperiodic != 0, domain->yperiodic != 0,
                                domain->zperiodic != 0};
  const entsym::Structure structure{alone ? x.data() : all.data(), static_cast<std::size_t>(n),
                                    cell, pbc, 1.0};
  entsym::Atoms listed{};
  guarded([&] {
    listed = entsym::list_images(structure, alone ? reach : cutoff, periodic, alone && half,
                                 comm->nthreads);
  });
  if (alone) {
    if (!half) source.assign(&periodic.owner[n_mine], periodic.owner.data() + listed.n_total);
    return listed;
  }

  // own atoms first, then atoms of other ranks and images within their reach
  const std::size_t first = starts[comm->me], end = first + n_mine;
  x.assign(listed.x + 3 * first, listed.x + 3 * end);
  double low[3], high[3];
  for (int d = 0; d < 3; d++) {
    low[d] = HUGE_VAL;
    high[d] = -HUGE_VAL;
    for (int k = 0; k < n_mine; k++) {
      low[d] = std::min(low[d], x[3 * k + d] - cutoff);
      high[d] = std::max(high[d], x[3 * k + d] + cutoff);
    }
  }
  for (std::size_t k = 0; k < listed.n_total; k++) {
    const double *p = listed.x + 3 * k;
    if (k >= first && k < end) continue;
    if (p[0] < low[0] || p[0] > high[0] || p[1] < low[1] || p[1] > high[1] || p[2] < low[2] ||
        p[2] > high[2])
      continue;
    x.insert(x.end(), p, p + 3);
    source.push_back(periodic.owner[k]);
  }
  atoms.x = x.data();
  atoms.n_total = x.size() / 3;
  return atoms;
}

/* ----------------------------------------------------------------------
   positions `x` of all ranks, in the order of the ranks; returns their number
------------------------------------------------------------------------- */

bigint ComputeEntsymBase::gather(int n_mine, std::vector<double> &all)
{
  const int nprocs = comm->nprocs;
  counts.resize(nprocs);
  starts.assign(nprocs, 0);
  MPI_Allgather(&n_mine, 1, MPI_INT, counts.data(), 1, MPI_INT, world);
  bigint n = 0;
  for (const int count : counts) n += count;
  // each rank holds all atoms and their values, and MPI counts them in an int
  const bigint most = MAXSMALLINT / (1 + kernel->n_components());
  if (n > most)
    error->all(FLERR,
               "Compute {} {}: group {} has {} atoms, at most {} can be evaluated between runs; "
               "have the value written in a run, by thermo_style or a fix",
               style, id, group_name(), n, most);
  std::vector<int> sizes(nprocs), places(nprocs);
  for (int p = 0; p < nprocs; p++) {
    if (p) starts[p] = starts[p - 1] + counts[p - 1];
    sizes[p] = 3 * counts[p];
    places[p] = 3 * starts[p];
  }
  all.resize(3 * n);
  MPI_Allgatherv(x.data(), 3 * n_mine, MPI_DOUBLE, all.data(), sizes.data(), places.data(),
                 MPI_DOUBLE, world);
  return n;
}

/* ---------------------------------------------------------------------- */

void ComputeEntsymBase::repeat_rows(std::size_t n_columns, std::vector<double> &rows) const
{
  const int nprocs = comm->nprocs;
  const std::size_t n_mine = rows.size() / n_columns - source.size();
  if (nprocs == 1) {
    for (std::size_t k = 0; k < source.size(); k++)
      std::copy_n(&rows[source[k] * n_columns], n_columns, &rows[(n_mine + k) * n_columns]);
    return;
  }
  const int columns = static_cast<int>(n_columns);
  std::vector<int> sizes(nprocs), places(nprocs);
  for (int p = 0; p < nprocs; p++) {
    sizes[p] = columns * counts[p];
    places[p] = columns * starts[p];
  }
  std::vector<double> all(static_cast<std::size_t>(places.back()) + sizes.back());
  MPI_Allgatherv(rows.data(), sizes[comm->me], MPI_DOUBLE, all.data(), sizes.data(), places.data(),
                 MPI_DOUBLE, world);
  for (std::size_t k = 0; k < source.size(); k++)
    std::copy_n(&all[source[k] * n_columns], n_columns, &rows[(n_mine + k) * n_columns]);
}

/* ---------------------------------------------------------------------- */

double ComputeEntsymBase::number_density(double natoms) const
{
  const bool periodic = domain->xperiodic || domain->yperiodic || domain->zperiodic;
  if (natoms < (periodic ? 1.0 : 2.0))
    error->all(FLERR, "Compute {} {}: group {} has {} atoms, at least {} needed; use another group",
               style, id, group_name(), static_cast<bigint>(natoms), periodic ? "1 is" : "2 are");
  if (user_density > 0.0) return user_density;

  if (!domain->xperiodic || !domain->yperiodic || !domain->zperiodic)
    error->all(FLERR,
               "Compute {} {}: density = box needs a box that is periodic in x, y and z; give "
               "'density <number>' in atoms per volume",
               style, id);
  return natoms / (domain->xprd * domain->yprd * domain->zprd);
}

/* ---------------------------------------------------------------------- */

const char *ComputeEntsymBase::group_name() const { return group->names[igroup]; }

/* ---------------------------------------------------------------------- */

void ComputeEntsymBase::fail_one(const char *what) const
{
  error->one(FLERR, "Compute {} {}: {}", style, id, what);
}

/* ---------------------------------------------------------------------- */

void ComputeEntsymBase::share_rows(std::vector<double> &value, std::vector<double> &qlm)
{
  if (repeated) {
    repeat_rows(1, value);
    repeat_rows(kernel->n_components(), qlm);
    return;
  }
  shared_value = &value;
  shared_qlm = &qlm;
  comm->forward_comm(this);
  shared_value = shared_qlm = nullptr;
}

/* ---------------------------------------------------------------------- */

int ComputeEntsymBase::pack_forward_comm(int n, int *list, double *buf, int, int *)
{
  if (!shared_value) {
    for (int k = 0; k < n; k++) buf[k] = row[list[k]];
    return n;
  }
  const int components = kernel->n_components();
  for (int k = 0; k < n; k++, buf += comm_forward) {
    const int r = row_of(list[k]);
    if (r < 0) continue;    // nobody reads the values of atoms outside the group
    buf[0] = (*shared_value)[r];
    std::copy_n(&(*shared_qlm)[static_cast<std::size_t>(r) * components], components, buf + 1);
  }
  return n * comm_forward;
}

/* ---------------------------------------------------------------------- */

void ComputeEntsymBase::unpack_forward_comm(int n, int first, double *buf)
{
  if (!shared_value) {
    for (int k = 0; k < n; k++) row[first + k] = static_cast<int>(buf[k]);
    return;
  }
  const int components = kernel->n_components();
  for (int k = 0; k < n; k++, buf += comm_forward) {
    const int r = row_of(first + k);
    if (r < 0) continue;
    (*shared_value)[r] = buf[0];
    std::copy_n(buf + 1, components, &(*shared_qlm)[static_cast<std::size_t>(r) * components]);
  }
}

/* ---------------------------------------------------------------------- */

double ComputeEntsymBase::memory_usage()
{
  return row.capacity() * sizeof(int) + source.capacity() * sizeof(std::size_t) +
         (x.capacity() + periodic.x.capacity() + periodic.fraction.capacity()) * sizeof(double) +
         periodic.owner.capacity() * sizeof(unsigned) + periodic.decided.capacity();
}
