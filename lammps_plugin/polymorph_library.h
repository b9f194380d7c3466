// SPDX-License-Identifier: BSD-3-Clause
// The library of the polymorph command: a file of structures that grows, in the dialect of PolymorphGen
// in Python, so that each continues what the other has written.
#ifndef LMP_POLYMORPH_LIBRARY_H
#define LMP_POLYMORPH_LIBRARY_H

#include <cstdint>
#include <map>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "frame_file.h"
#include "pointers.h"

namespace LAMMPS_NS {

/// Positions of the atoms in the order of PolymorphComposition, and the vectors of the cell as rows.
struct PolymorphStructure {
  std::vector<double> x;
  double cell[9];
};

/// What all structures have in common: their atoms, sorted by element, those that count in sS and Q
/// first.
struct PolymorphComposition {
  std::vector<std::string> elements;    ///< names of the species
  std::vector<int> species;             ///< (n_atoms,)
  std::string pbc;                      ///< such as "TTF"

  /// Read a frame of a file and sort its atoms. Where that fails `reason` tells what is wrong.
  bool parse(const std::string &comment, const std::vector<std::string> &atoms,
             PolymorphStructure &structure, std::string &reason) const;
};

class PolymorphLibrary : protected Pointers {
 public:
  /// Name and value, as JSON, of all that a library depends on.
  using Settings = std::vector<std::pair<std::string, std::string> >;

  struct Member {
    int target, generation, individual;
    std::uint32_t evaluations;
    double values[2];
    std::uint64_t offset;    ///< where the frame starts in the file

    bool before(const Member &other) const
    {
      return std::tie(target, generation, individual) <
             std::tie(other.target, other.generation, other.individual);
    }
  };

  /// Open and lock the file, check the frames that are there, and cut off an unfinished last one.
  /// Errors stop the run: other settings, another kind of file, a frame that is damaged or missing.
  PolymorphLibrary(class LAMMPS *lmp, const PolymorphComposition &composition,
                   const std::string &path, const std::string &q_name, std::uint64_t seed,
                   const Settings &settings);

  const std::vector<Member> &members() const { return members_; }
  /// Add a frame. It stands in the file after the next call of write().
  void append(PolymorphStructure structure, const Member &member, const std::string &parent,
              unsigned genes);
  /// Write the frames that were added, at once, on rank 0. An error stops the run; those that fit stay.
  void write();
  /// A structure of the library, the same on all ranks, from memory or from the file.
  const PolymorphStructure &structure(std::size_t frame);
  /// Hold these structures in memory and forget the others.
  void keep_only(const std::vector<std::size_t> &frames);
  /// Stop the run if somebody else has removed, replaced, cut or written to the file.
  void require_unchanged() const;

 private:
  const PolymorphComposition &composition_;
  const std::string path_, q_name_;
  const std::uint64_t seed_;
  const Settings settings_;
  std::string parameters_;    // the settings as they stand in a frame
  std::vector<Member> members_;
  entsym::FrameFile file_;        // on rank 0, locked
  std::uint64_t position_ = 0;    // where the next frame starts, there
  std::string pending_;           // frames to write, there
  std::vector<std::size_t> starts_;
  std::size_t written_ = 0;    // members in the file
  std::map<std::size_t, PolymorphStructure> kept_;

  void read_members();
  Member member_of(const entsym::FrameReader &frames) const;
  void require_same_settings(const Settings &theirs) const;
  [[noreturn]] void refuse(const std::string &why) const;
};

}    // namespace LAMMPS_NS
#endif
