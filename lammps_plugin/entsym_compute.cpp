// SPDX-License-Identifier: BSD-3-Clause
#include "entsym_compute.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>

#include "atom.h"
#include "comm.h"
#include "domain.h"
#include "error.h"
#include "force.h"
#include "group.h"
#include "neighbor.h"
#include "pair.h"
#include "update.h"

using namespace LAMMPS_NS;

/* ---------------------------------------------------------------------- */

EntsymCompute::EntsymCompute(LAMMPS *lmp, int narg, char **arg)
    : Compute(lmp, narg, arg), ghosts(false), user_density(0.0), cutoff(0.0)
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

  try {    // dr against sigma, size of the grid; the same on every rank
    kernel = std::make_unique<entsym::Kernel>(parameters);
  } catch (const std::exception &e) {
    error->all(FLERR, "Compute {} {}: {}", style, id, e.what());
  }
  cutoff = std::max(kernel->pair_cutoff(), parameters.q_cutoff);

  dynamic_group_allow = 1;
  comm_forward = 1;
}

/* ---------------------------------------------------------------------- */

void EntsymCompute::init()
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

  // LAMMPS sets up its communication after this, with the larger of this and the neighbour cutoff.
  const double pair = force->pair ? force->pair->cutforce + neighbor->skin : 0.0;
  if (std::max(comm->cutghostuser, pair) >= needed) return;

  // Without a pair style, a cutoff of zero stands for an estimate from bond lengths: keep it.
  const double bonds = force->bond && !force->pair ? comm->get_comm_cutoff() : 0.0;
  comm->cutghostuser = std::max(needed, bonds);
}

/* ---------------------------------------------------------------------- */

void EntsymCompute::setup() { require_ghosts(cutoff + neighbor->skin); }

/* ----------------------------------------------------------------------
   ghost atoms were asked for up to `distance` when communication was set up
------------------------------------------------------------------------- */

void EntsymCompute::require_ghosts(double distance) const
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

/* ----------------------------------------------------------------------
   true where there are ghost atoms on any rank, which then are brought up to date: a fix that changes
   the box at the end of a step (deform, press/berendsen) moves the owned atoms only

   Commands like displace_atoms or create_atoms drop all ghost atoms until the next setup, and values
   would silently lack every image: an error. Communicating by the old pattern would then also write
   past the atoms, so nobody may forward anything.
------------------------------------------------------------------------- */

bool EntsymCompute::update_ghosts() const
{
  int found[2] = {atom->nghost > 0, 0};    // ghosts are there; atoms at a face have none
  if (atom->nghost == 0) {
    const double *lo = domain->triclinic ? domain->sublo_lamda : domain->sublo;
    const double *hi = domain->triclinic ? domain->subhi_lamda : domain->subhi;
    const double *boxlo = domain->triclinic ? domain->boxlo_lamda : domain->boxlo;
    const double *boxhi = domain->triclinic ? domain->boxhi_lamda : domain->boxhi;
    for (int i = 0; i < atom->nlocal && !found[1]; i++) {
      double s[3] = {atom->x[i][0], atom->x[i][1], atom->x[i][2]};
      if (domain->triclinic) domain->x2lamda(atom->x[i], s);
      for (int d = 0; d < 3; d++) {
        const bool below = domain->periodicity[d] || lo[d] > boxlo[d];
        const bool above = domain->periodicity[d] || hi[d] < boxhi[d];
        if ((below && s[d] - lo[d] < comm->cutghost[d]) ||
            (above && hi[d] - s[d] < comm->cutghost[d]))
          found[1] = 1;
      }
    }
  }
  int any[2] = {0, 0};
  MPI_Allreduce(found, any, 2, MPI_INT, MPI_MAX, world);
  if (!any[0] && any[1])
    error->all(FLERR,
               "Compute {} {}: atoms were changed since the last run and have no ghost atoms; "
               "add 'run 0' before this value is used",
               style, id);
  if (any[0]) comm->forward_comm();
  return any[0];
}

/* ---------------------------------------------------------------------- */

void EntsymCompute::require_finite(const entsym::Atoms &atoms) const
{
  int bad = 0;
  const std::size_t n = 3 * atoms.n_total;
  for (std::size_t k = 0; k < n; k++) bad |= !(std::fabs(atoms.x[k]) < HUGE_VAL);
  if (!bad) return;

  for (int i = 0; i < atom->nlocal + atom->nghost; i++) {
    const double *p = atom->x[i];
    if (row_of(i) >= 0 && !std::isfinite(p[0] + p[1] + p[2]))
      error->one(FLERR,
                 "Compute {} {}: position ({} {} {}) of atom {} must be finite; look for "
                 "overlapping atoms or a time step that is too long",
                 style, id, p[0], p[1], p[2], atom->tag_enable ? atom->tag[i] : i + 1);
  }
}

/* ---------------------------------------------------------------------- */

entsym::Atoms EntsymCompute::collect()
{
  if (!initialized_flag)
    error->all(FLERR, "Compute {} {}: not initialized; add 'run 0' after its definition", style,
               id);
  require_ghosts(cutoff);
  ghosts = update_ghosts();

  const int nlocal = atom->nlocal;
  const int nall = nlocal + atom->nghost;
  entsym::Atoms atoms{};

  row.clear();
  if (igroup == 0) {
    atoms.x = nall ? &atom->x[0][0] : nullptr;
    atoms.n_owned = nlocal;
    atoms.n_total = nall;
  } else {
    row.resize(nall, -1);
    for (int i = 0; i < nlocal; i++)
      if (atom->mask[i] & groupbit) row[i] = 0;
    if (ghosts) comm->forward_comm(this);    // their masks may be those of the last setup

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
  }
  require_finite(atoms);
  return atoms;
}

/* ---------------------------------------------------------------------- */

double EntsymCompute::number_density(double natoms) const
{
  const bool periodic = domain->xperiodic || domain->yperiodic || domain->zperiodic;
  if (natoms < (periodic ? 1.0 : 2.0))
    error->all(FLERR, "Compute {} {}: group {} has {} atoms, at least {} needed; use another group",
               style, id, group->names[igroup], static_cast<bigint>(natoms),
               periodic ? "1 is" : "2 are");
  if (user_density > 0.0) return user_density;

  if (!domain->xperiodic || !domain->yperiodic || !domain->zperiodic)
    error->all(FLERR,
               "Compute {} {}: density = box needs a box that is periodic in x, y and z; give "
               "'density <number>' in atoms per volume",
               style, id);
  return natoms / (domain->xprd * domain->yprd * domain->zprd);
}

/* ---------------------------------------------------------------------- */

void EntsymCompute::fail_one(const char *what) const
{
  error->one(FLERR, "Compute {} {}: {}", style, id, what);
}

/* ---------------------------------------------------------------------- */

int EntsymCompute::pack_forward_comm(int n, int *list, double *buf, int, int *)
{
  for (int k = 0; k < n; k++) buf[k] = row[list[k]];
  return n;
}

/* ---------------------------------------------------------------------- */

void EntsymCompute::unpack_forward_comm(int n, int first, double *buf)
{
  for (int k = 0; k < n; k++) row[first + k] = static_cast<int>(buf[k]);
}

/* ---------------------------------------------------------------------- */

double EntsymCompute::memory_usage()
{
  return row.capacity() * sizeof(int) + x.capacity() * sizeof(double);
}
