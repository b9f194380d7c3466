// SPDX-License-Identifier: BSD-3-Clause
#ifdef FIX_CLASS
// clang-format off
FixStyle(entsym/steer,FixEntsymSteer);
// clang-format on
#else

#ifndef LMP_FIX_ENTSYM_STEER_H
#define LMP_FIX_ENTSYM_STEER_H

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "entsym/bias.hpp"
#include "fix.h"
#include "frame_file.h"

namespace LAMMPS_NS {

/// Adds the forces and the virial of a bias in sS and Q_l: restraints, walls, metadynamics.
/// Global scalar: energy of the bias. Global vector: sS, Q_l, both centres, work, height of the last
/// hill, c(t), number of hills, energy of the hills.
class FixEntsymSteer : public Fix {
 public:
  FixEntsymSteer(class LAMMPS *, int, char **);
  int setmask() override;
  void init() override;
  void setup(int) override;
  void min_setup(int) override;
  void post_force(int) override;
  void min_post_force(int) override;
  void post_run() override;
  void write_restart(FILE *) override;
  void restart(char *) override;
  double compute_scalar() override;
  double compute_vector(int) override;
  double memory_usage() override;

 private:
  enum Moment { SETUP, STEP, MINIMIZE };

  std::string compute_id;
  class ComputeEntsym *entsym;
  std::unique_ptr<entsym::Bias> bias;       // the same on all ranks
  std::vector<entsym::Entry> definition;    // of the variables: what the bias was used with so far
  std::string variables[2][2];              // names of constant and centre of each restraint
  bool acts[2];                             // on sS, on Q_l
  double limit;                             // of the force on an atom; 0 is none
  bigint natoms;                            // of the group; -1 before the first run
  double value[2], energy;                  // of the last evaluation
  std::vector<double> gradient;

  bool has_hills;
  std::string path, walkers;    // file of hills; pattern of the files of others
  int walkers_every;
  bool opened, restored;
  entsym::FrameFile file;                      // on rank 0, open during a run
  std::map<std::string, std::size_t> taken;    // bytes of each file of others, on rank 0

  [[noreturn]] void fail(int argument, const std::string &what) const;
  void find_compute(int argument);
  void define();
  void apply(int, Moment);
  void begin();
  void open();
  void take_hills();
  void add(std::vector<entsym::Hill> &hills, bool own);
};

}    // namespace LAMMPS_NS
#endif
#endif
