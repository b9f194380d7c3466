// SPDX-License-Identifier: BSD-3-Clause
#ifdef COMPUTE_CLASS
// clang-format off
ComputeStyle(entsym,ComputeEntsym);
// clang-format on
#else

#ifndef LMP_COMPUTE_ENTSYM_H
#define LMP_COMPUTE_ENTSYM_H

#include <string>

#include "compute_entsym_base.h"

namespace LAMMPS_NS {

/// Global vector: sS in k_B per atom, Q_l. Global array: r, g_m(r), integral of sS up to r.
class ComputeEntsym : public ComputeEntsymBase {
 public:
  ComputeEntsym(class LAMMPS *, int, char **);
  ~ComputeEntsym() override;
  void set_ghosts(bool complete) override;
  void compute_vector() override;
  void compute_array() override;
  double memory_usage() override;

  /// Return the compute of this ID, or null and the `reason`: it is not there, or its style `lacks` what
  /// is needed.
  static ComputeEntsym *find(class Modify *, const std::string &id, const char *lacks,
                             std::string &reason);

  // --- for fix entsym/steer, which calls them in a run, one after the other ---

  /// Evaluate the atoms as they are now, whatever was evaluated in this step before. `bonds`: the
  /// gradient of Q_l will be asked for. Return the number of atoms in the group.
  bigint evaluate_anew(bool bonds);
  /// factor[0] grad sS + factor[1] grad Q_l of this rank's atoms, and its share of the derivative by the
  /// strain, (3, 3): sum_ab strain_ab e_ab over all ranks. Both overwritten.
  void gradients(const double *factor, std::vector<double> &gradient, double *strain);
  /// Row of atom i of this rank in `gradient`, -1 outside the group.
  int gradient_row(int i) const { return row_of(i); }

 private:
  enum Part { VECTOR, ARRAY };
  bigint spare_step[2];    // step whose evaluation for the other part has not been asked for yet
  std::vector<double> partial, total;    // histogram, components, number of atoms
  std::vector<double> g, running;
  double dlnrho;                               // of sS in the last evaluation
  entsym::Atoms atoms;                         // of the last evaluation
  bool sorted;                                 // the workspace has them, see Kernel::gradients
  std::vector<double> qlm, neighbors, part;    // of owned atoms and ghosts; gradient of one value

  void evaluate(Part);
  void measure(bool bonds);
};

}    // namespace LAMMPS_NS
#endif
#endif
