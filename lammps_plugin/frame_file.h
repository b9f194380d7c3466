// SPDX-License-Identifier: BSD-3-Clause
// Frames in extended XYZ: how fix entsym/select and the polymorph command write and read them.
#ifndef LMP_ENTSYM_FRAME_FILE_H
#define LMP_ENTSYM_FRAME_FILE_H

#include <cstdint>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "entsym_compute.h"

namespace entsym {

/// Name and value of a parameter that sS and Q_l depend on, as the comment line of a frame has them;
/// a number density only where it was given.
using Parameter = std::pair<const char *, double>;
std::vector<Parameter> parameters_of(const LAMMPS_NS::EntsymCompute &compute);

std::string formatted(const char *format, double value);

/// What `name=value` or `name="text"` says in a comment line; false where it is not there.
bool find_value(const std::string &comment, const std::string &name, double &value);
bool find_text(const std::string &comment, const std::string &name, std::string &text);

/// Reads frames one after the other; a line without its end is unfinished.
class FrameReader {
 public:
  explicit FrameReader(const std::string &path) : file_(path, std::ios::binary) {}
  /// The frame that starts at `offset`, the next one by default; false where there is none that is
  /// complete. A first line that is no number of atoms is a frame of 0 lines, `valid` being false.
  bool next();
  bool read_at(std::uint64_t offset);
  bool finished();    ///< after next() was false: nothing stands behind the last complete frame

  bool valid = false;
  bool headed = false;    ///< the comment line is there, whether the atoms are or not
  bool torn = true;       ///< after next() was false: what is there may be the start of a frame
  std::string comment;
  std::vector<std::string> atoms;       ///< their lines
  std::uint64_t offset = 0, end = 0;    ///< where the frame starts, and where the next one does

 private:
  std::ifstream file_;
};

/// Cut a file off; what hinders it, or nothing.
std::string cut_off(const std::string &path, std::uint64_t size);
/// Add text to a file, which is closed after it, so that it stays whatever happens to the run. Where
/// that fails the file is left as it was; what hinders it, or nothing.
std::string append_text(const std::string &path, const std::string &text);

/// ID, type, x, y, z of the group's atoms on rank 0, sorted by ID, wrapped into the box, whose lower
/// corner is moved to the origin.
constexpr int kColumns = 5;
std::vector<double> gather_atoms(LAMMPS_NS::LAMMPS *lmp, int groupbit);
/// The box's vectors as rows.
void box_vectors(const LAMMPS_NS::LAMMPS *lmp, double *cell);

}    // namespace entsym
#endif
