// SPDX-License-Identifier: BSD-3-Clause
#ifdef FIX_CLASS
// clang-format off
FixStyle(entsym/select,FixEntsymSelect);
// clang-format on
#else

#ifndef LMP_FIX_ENTSYM_SELECT_H
#define LMP_FIX_ENTSYM_SELECT_H

#include <set>
#include <string>
#include <utility>
#include <vector>

#include "fix.h"
#include "frame_file.h"
#include "landscape_file.h"

namespace LAMMPS_NS {

/// Writes a configuration if its cell (floor(sS/dsS), floor(Q/dQ)) is still empty.
/// Global scalar: configurations written. Global vector: cells occupied, configurations offered, share
/// of them in cells that the known set does not hold.
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
  using Point = entsym::Place;               // sS, Q_l
  using Cell = std::pair<double, double>;    // whole numbers

  std::string compute_id, path;
  std::vector<std::pair<int, std::string> > known_files;    // with their places in the command
  double size[2];                                           // of a cell: dsS, dQ
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
  std::vector<Point> points;    // of the frames that are in the map
  std::set<Cell> cells;         // occupied by them
  std::set<Cell> known;         // of the known set
  bigint n_written, n_offered, n_uncovered;
  bigint n_here, stop_after;    // frames written since the fix was defined; 0 = do not stop

  [[noreturn]] void fail(int argument, const std::string &what) const;
  void find_compute(int argument);
  void adopt_compute();
  void require_same_compute();
  entsym::MapDefinition definition() const;
  void read_known(const std::string &file, int argument);
  Cell cell_of(const Point &point) const;
  void occupy(const Point &point);
  bool stopped() const { return stop_after > 0 && n_here >= stop_after; }
  void open();
  std::vector<Point> read_frames(const entsym::MapDefinition &map, bigint n_atoms);
  void offer();
  void write_frame(const Point &point);
};

}    // namespace LAMMPS_NS
#endif
#endif
