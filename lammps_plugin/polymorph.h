// SPDX-License-Identifier: BSD-3-Clause
#ifdef COMMAND_CLASS
// clang-format off
CommandStyle(polymorph,Polymorph);
// clang-format on
#else

#ifndef LMP_POLYMORPH_H
#define LMP_POLYMORPH_H

#include <cstdint>
#include <string>
#include <vector>

#include "command.h"
#include "entsym/evolution.hpp"
#include "polymorph_library.h"

namespace LAMMPS_NS {

/// PolymorphGen in a deck: structures bred from the current box and from parents in files, towards
/// targets on the landscape. Ranks share out the children of a generation.
class Polymorph : public Command {
 public:
  Polymorph(class LAMMPS *lmp) : Command(lmp) {}
  void command(int, char **) override;

 private:
  // what the user gave
  class ComputeEntsym *compute = nullptr;
  std::string path, targets = "edges", q_name;
  std::vector<std::string> type_elements, parent_files, frozen;
  std::vector<entsym::Point> points;
  int per_edge = 10, generations, individuals, hits = 0, steps = 6;
  double expand = 0.1, fresh, tolerance = 0.02;
  std::vector<double> window_given, volumes_given;
  bool guided = true, elitism = false, leave_best = false;
  std::uint64_t seed = 1;
  entsym::Genes genes{0.1, 0.3, 0.05, 0.05, 0, {0.5, 0.5, 0.5, 0.5}};
  struct Distance {
    std::string a, b;    // "*" stands for all
    double least;
  };
  std::vector<Distance> distances;
  entsym::Limits limits;

  // derived from it
  PolymorphComposition composition;
  std::vector<double> id_of_row;    // IDs of the box's atoms in the order of a structure
  std::size_t n_counted = 0;
  std::vector<double> positions, cells, values;    // of the parents
  entsym::Window window;

  [[noreturn]] void fail(const std::string &what) const;
  void read_arguments(int narg, char **arg);
  void adopt_box();
  void read_parents(const std::string &file);
  void settle();
  void settle_distances();
  PolymorphLibrary::Settings settings() const;
  std::size_t n_parents() const { return cells.size() / 9; }
  entsym::Population parents() const;
  void evolve(const entsym::Breeder &breeder, PolymorphLibrary &library);
  std::vector<std::size_t> breed(const entsym::Breeder &breeder, PolymorphLibrary &library,
                                 int target, const entsym::Evolution &evolution,
                                 const std::vector<std::size_t> &there, std::uint64_t *rejected);
  void put_into_box(const PolymorphStructure &structure);
};

}    // namespace LAMMPS_NS
#endif
#endif
