// SPDX-License-Identifier: BSD-3-Clause
#ifdef COMMAND_CLASS
// clang-format off
CommandStyle(polymorph,Polymorph);
// clang-format on
#else

#ifndef LMP_POLYMORPH_H
#define LMP_POLYMORPH_H

#include <cstdint>
#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "command.h"
#include "entsym/evolution.hpp"
#include "frame_file.h"

namespace LAMMPS_NS {

/// PolymorphGen in a deck: structures bred from the current box and from parents in files, towards
/// targets on the landscape. Ranks share out the children of a generation.
class Polymorph : public Command {
 public:
  Polymorph(class LAMMPS *lmp) : Command(lmp) {}
  void command(int, char **) override;

 private:
  /// Atoms sorted by element, those that count first.
  struct Structure {
    std::vector<double> x;
    double cell[9];
  };
  /// A frame of the library.
  struct Member {
    int target, generation, individual;
    std::uint32_t evaluations;
    double values[2];
    std::uint64_t offset;

    bool before(const Member &other) const
    {
      return std::tie(target, generation, individual) <
             std::tie(other.target, other.generation, other.individual);
    }
  };

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

  // what comes of it
  std::vector<std::string> elements;    // names of the species
  std::vector<int> species;
  std::vector<double> id_of_row;    // IDs of the box's atoms in the order of a structure
  std::size_t n_counted = 0;
  std::vector<double> positions, cells, values;    // of the parents
  entsym::Window window;
  std::string settings;
  std::vector<Member> members;
  entsym::FrameFile library;                // on rank 0
  std::uint64_t position = 0;               // where the next frame starts, there
  std::map<std::size_t, Structure> kept;    // structures of the library by frame

  [[noreturn]] void fail(const std::string &what) const;
  void read_arguments(int narg, char **arg);
  void adopt_box();
  void read_parents(const std::string &file);
  void settle();
  void settle_distances();
  void open_library();
  void say_settings();
  std::size_t n_parents() const { return cells.size() / 9; }
  entsym::Population parents() const;
  void evolve(const entsym::Breeder &breeder);
  std::vector<std::size_t> breed(const entsym::Breeder &breeder, int target,
                                 const entsym::Evolution &evolution,
                                 const std::vector<std::size_t> &there, std::uint64_t *rejected);
  void write(const Structure &structure, const Member &member, const std::string &parent,
             unsigned bits);
  const Structure &structure(std::size_t frame);
  bool parse(const std::string &comment, const std::vector<std::string> &atoms,
             Structure &structure, std::string &reason) const;
  void put_into_box(const Structure &structure);
};

}    // namespace LAMMPS_NS
#endif
#endif
