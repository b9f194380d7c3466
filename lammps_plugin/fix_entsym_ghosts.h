// SPDX-License-Identifier: BSD-3-Clause
// Internal, therefore in capitals: each entsym compute has one, and input scripts do not use it.
#ifdef FIX_CLASS
// clang-format off
FixStyle(ENTSYM/GHOSTS,FixEntsymGhosts);
// clang-format on
#else

#ifndef LMP_FIX_ENTSYM_GHOSTS_H
#define LMP_FIX_ENTSYM_GHOSTS_H

#include "fix.h"

namespace LAMMPS_NS {

/// Tells its compute while LAMMPS keeps ghost atoms complete: from the neighbor list build of a setup
/// or a step to the end of the run. Computes have no hooks for these events.
class FixEntsymGhosts : public Fix {
 public:
  FixEntsymGhosts(class LAMMPS *, int, char **);
  ~FixEntsymGhosts() override;
  int setmask() override;
  void setup_post_neighbor() override;
  void post_neighbor() override;
  void min_post_neighbor() override;
  void post_run() override;

  class ComputeEntsymBase *compute = nullptr;
};

}    // namespace LAMMPS_NS
#endif
#endif
