// SPDX-License-Identifier: BSD-3-Clause
// Internal, as its capitals say: each entsym compute has one, decks do not use it.
#ifdef FIX_CLASS
// clang-format off
FixStyle(ENTSYM/GHOSTS,FixEntsymGhosts);
// clang-format on
#else

#ifndef LMP_FIX_ENTSYM_GHOSTS_H
#define LMP_FIX_ENTSYM_GHOSTS_H

#include "fix.h"

namespace LAMMPS_NS {

/// Tells its compute from when to when LAMMPS keeps ghost atoms complete: from the neighbor list
/// build of a setup, or of a step, to the end of the run. No compute has a hook for either.
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
