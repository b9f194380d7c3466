// SPDX-License-Identifier: BSD-3-Clause
#include "fix_entsym_ghosts.h"

#include "compute_entsym_base.h"

using namespace LAMMPS_NS;

/* ---------------------------------------------------------------------- */

FixEntsymGhosts::FixEntsymGhosts(LAMMPS *lmp, int narg, char **arg) : Fix(lmp, narg, arg) {}

/* ---------------------------------------------------------------------- */

FixEntsymGhosts::~FixEntsymGhosts() { post_run(); }

/* ---------------------------------------------------------------------- */

int FixEntsymGhosts::setmask()
{
  return FixConst::POST_NEIGHBOR | FixConst::MIN_POST_NEIGHBOR | FixConst::POST_RUN;
}

/* ---------------------------------------------------------------------- */

void FixEntsymGhosts::setup_post_neighbor() { post_neighbor(); }

/* ---------------------------------------------------------------------- */

void FixEntsymGhosts::post_neighbor()
{
  if (compute) compute->set_ghosts(true);
}

/* ---------------------------------------------------------------------- */

void FixEntsymGhosts::min_post_neighbor() { post_neighbor(); }

/* ---------------------------------------------------------------------- */

void FixEntsymGhosts::post_run()
{
  if (compute) compute->set_ghosts(false);
}
