// SPDX-License-Identifier: BSD-3-Clause
// Base class of both entsym computes: keywords, communication cutoff, the atoms of the group.
#ifndef LMP_COMPUTE_ENTSYM_BASE_H
#define LMP_COMPUTE_ENTSYM_BASE_H

#include <exception>
#include <memory>
#include <vector>

#include "compute.h"
#include "entsym/periodic.hpp"

namespace LAMMPS_NS {

class ComputeEntsymBase : public Compute {
 public:
  ComputeEntsymBase(class LAMMPS *, int, char **);
  ~ComputeEntsymBase() override;
  void init() override;
  void setup() override;
  int pack_forward_comm(int, int *, double *, int, int *) override;
  void unpack_forward_comm(int, int, double *) override;
  double memory_usage() override;

  const entsym::Parameters &parameters() const { return kernel->parameters(); }
  double given_density() const { return user_density; }    ///< 0: from the box
  const char *group_name() const;
  /// From a neighbor list build to the end of the run, LAMMPS keeps ghost atoms complete. Before and
  /// after, atoms may change at any time, so that no value is kept.
  virtual void set_ghosts(bool complete);

 protected:
  std::unique_ptr<entsym::Kernel> kernel;
  entsym::Workspace workspace;
  bool ghosts;      // LAMMPS has complete ghost atoms
  double cutoff;    // distance up to which ghosts are needed at any time

  /// Atoms of the group, owned ones first, then ghosts or images. `half`: for pairs; one rank then lists
  /// one of each pair of opposite images, with its owner. `reach`: how far one rank's images go.
  entsym::Atoms collect(bool half, double reach);
  /// Value for invoked_vector and the like: other commands evaluate again unless it is this step.
  bigint evaluated_step() const;
  /// Fill the rows behind those of the owned atoms with those of the atoms that they are or repeat: of
  /// one `value` (n_total,) and of `qlm` (n_total, 2l+1).
  void share_rows(std::vector<double> &value, std::vector<double> &qlm);
  /// Row of atom i in collect()'s list, -1 outside the group. i may be a ghost unless collect() has
  /// listed images.
  int row_of(int i) const { return row.empty() ? i : row[i]; }
  /// Atoms per volume, from the keyword or from `natoms` atoms in the box; an error if it has no meaning.
  double number_density(double natoms) const;
  /// Run kernel calls; their exceptions stop the run with the name of this compute in the message.
  template <class Call>
  void guarded(Call &&call);
  [[noreturn]] void fail_one(const char *what) const;

 private:
  bool repeated;    // the last collect() has listed images, not ghosts
  std::vector<double> *shared_value,
      *shared_qlm;          // what forward communication carries, or null: row
  double user_density;      // 0: from the box
  std::vector<int> row;     // see row_of; empty for group all
  std::vector<double> x;    // positions; ghosts of group all and their atoms are used in place
  std::vector<int> counts, starts;       // atoms of the group on each rank, and before it
  std::vector<std::size_t> source;       // atom among those of all ranks that an image repeats
  entsym::PeriodicWorkspace periodic;    // of the images

  void limit_ghosts(double distance) const;
  void require_ghosts(double distance) const;
  void require_finite() const;
  entsym::Atoms list_ghosts();
  entsym::Atoms list_images(bool half, double reach);
  void repeat_rows(std::size_t n_columns, std::vector<double> &rows) const;
  bigint gather(int n_mine, std::vector<double> &all);
};

template <class Call>
void ComputeEntsymBase::guarded(Call &&call)
{
  try {
    call();
  } catch (const std::exception &e) {
    fail_one(e.what());    // maybe on this rank only
  }
}

}    // namespace LAMMPS_NS
#endif
