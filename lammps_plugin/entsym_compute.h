// SPDX-License-Identifier: BSD-3-Clause
// What both entsym styles share: keywords, communication cutoff, the atoms of the group.
#ifndef LMP_ENTSYM_COMPUTE_H
#define LMP_ENTSYM_COMPUTE_H

#include <exception>
#include <memory>
#include <vector>

#include "compute.h"
#include "entsym/kernel.hpp"

namespace LAMMPS_NS {

class EntsymCompute : public Compute {
 public:
  EntsymCompute(class LAMMPS *, int, char **);
  void init() override;
  void setup() override;
  int pack_forward_comm(int, int *, double *, int, int *) override;
  void unpack_forward_comm(int, int, double *) override;
  double memory_usage() override;

  const entsym::Parameters &parameters() const { return kernel->parameters(); }
  double given_density() const { return user_density; }    ///< 0: from the box

 protected:
  std::unique_ptr<entsym::Kernel> kernel;
  entsym::Workspace workspace;
  bool ghosts;    // after collect(): any rank has ghost atoms to forward to

  /// Atoms of the group, owned ones first, then ghosts. Errors where the ghosts cannot be complete.
  entsym::Atoms collect();
  /// Row of atom i (owned or ghost) in collect()'s list, -1 outside the group.
  int row_of(int i) const { return row.empty() ? i : row[i]; }
  /// Atoms per volume, from the keyword or `natoms` atoms in the box. Errors where it has no meaning.
  double number_density(double natoms) const;
  /// Run kernel calls, nothing else; their exceptions stop the run with this compute's name in front.
  template <class Call>
  void guarded(Call &&call);
  [[noreturn]] void fail_one(const char *what) const;

 private:
  double user_density;      // 0: from the box
  double cutoff;            // distance up to which ghosts are needed at any time
  std::vector<int> row;     // see row_of; empty for group all
  std::vector<double> x;    // positions of a group's atoms; those of group all are used in place

  void require_ghosts(double distance) const;
  bool update_ghosts() const;
  void require_finite(const entsym::Atoms &) const;
};

template <class Call>
void EntsymCompute::guarded(Call &&call)
{
  try {
    call();
  } catch (const std::exception &e) {
    fail_one(e.what());    // maybe on this rank only
  }
}

}    // namespace LAMMPS_NS
#endif
