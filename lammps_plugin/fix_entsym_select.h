// SPDX-License-Identifier: BSD-3-Clause
#ifdef FIX_CLASS
// clang-format off
FixStyle(entsym/select,FixEntsymSelect);
// clang-format on
#else

#ifndef LMP_FIX_ENTSYM_SELECT_H
#define LMP_FIX_ENTSYM_SELECT_H

#include <array>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "fix.h"
#include "frame_file.h"

namespace LAMMPS_NS {

/// Writes a configuration if its cell (floor(sS/dsS), floor(Q/dQ)) is still empty.
/// Global scalar: configurations written. Global vector: cells occupied, configurations offered.
class FixEntsymSelect : public Fix {
 public:
  FixEntsymSelect(class LAMMPS *, int, char **);
  int setmask() override;
  void init() override;
  void setup(int) override;
  void min_setup(int) override;
  void end_of_step() override;
  void min_post_force(int) override;
  void post_run() override;
  void write_restart(FILE *) override;
  void restart(char *) override;
  double compute_scalar() override;
  double compute_vector(int) override;
  double memory_usage() override;

 private:
  using Point = std::array<double, 2>;    // sS, Q_l

  std::string compute_id, path;
  double size[2];    // of a cell: dsS, dQ
  std::vector<std::string> elements;
  bool with_energy, append, opened;
  bigint setup_step;         // last step that setup() has seen
  entsym::FrameFile file;    // on rank 0, open during a run
  class ComputeEntsym *entsym;
  // definition of sS and Q in the map
  std::vector<entsym::Parameter> made_with;
  std::string made_group;
  class Compute *pe;
  double energy_in_eV;    // the unit of energy

  // the same on all ranks
  std::vector<Point> points;                     // of the frames that are in the map
  std::set<std::pair<double, double> > cells;    // occupied
  bigint n_written, n_offered;

  [[noreturn]] void fail(int argument, const std::string &what) const;
  void find_compute(int argument);
  void adopt_compute();
  void require_same_compute();
  bool occupy(double sS, double Q);
  void open();
  std::vector<Point> read_frames(bigint n_atoms);
  void offer();
  void write_frame(double sS, double Q);
};

}    // namespace LAMMPS_NS
#endif
#endif
