// SPDX-License-Identifier: BSD-3-Clause
#ifdef COMPUTE_CLASS
// clang-format off
ComputeStyle(entsym/atom,ComputeEntsymAtom);
// clang-format on
#else

#ifndef LMP_COMPUTE_ENTSYM_ATOM_H
#define LMP_COMPUTE_ENTSYM_ATOM_H

#include "compute_entsym_base.h"

namespace LAMMPS_NS {

/// Per-atom array: entropy, q_l, both averaged over neighbours, number of neighbours.
class ComputeEntsymAtom : public ComputeEntsymBase {
 public:
  ComputeEntsymAtom(class LAMMPS *, int, char **);
  ~ComputeEntsymAtom() override;
  void compute_peratom() override;
  double memory_usage() override;

 private:
  int nmax;                                                   // rows of array_atom
  int components;                                             // of q_lm
  std::vector<double> entropy, qlm;                           // of owned atoms and ghosts
  std::vector<double> neighbors, mean_entropy, mean_order;    // of owned atoms
};

}    // namespace LAMMPS_NS
#endif
#endif
