// SPDX-License-Identifier: BSD-3-Clause
#ifdef COMPUTE_CLASS
// clang-format off
ComputeStyle(entsym,ComputeEntsym);
// clang-format on
#else

#ifndef LMP_COMPUTE_ENTSYM_H
#define LMP_COMPUTE_ENTSYM_H

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

 private:
  enum Part { VECTOR, ARRAY };
  bigint spare_step[2];    // step whose evaluation for the other part has not been asked for yet
  std::vector<double> partial, total;    // histogram, components, number of atoms
  std::vector<double> g, running;

  void evaluate(Part);
};

}    // namespace LAMMPS_NS
#endif
#endif
