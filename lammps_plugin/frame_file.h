// SPDX-License-Identifier: BSD-3-Clause
// Frames in extended XYZ, written and read by fix entsym/select and the polymorph command.
#ifndef LMP_ENTSYM_FRAME_FILE_H
#define LMP_ENTSYM_FRAME_FILE_H

#include <cstdint>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "compute_entsym_base.h"

namespace entsym {

/// Name and value of a parameter of sS and Q_l, as in the comment line of a frame. The number density is
/// 0 if it was not given.
using Parameter = std::pair<const char *, double>;
std::vector<Parameter> parameters_of(const LAMMPS_NS::ComputeEntsymBase &compute);

std::string formatted(const char *format, double value);

/// Find the value of `name=value` or `name="text"` in a comment line; false if there is none.
bool find_value(const std::string &comment, const std::string &name, double &value);
bool find_text(const std::string &comment, const std::string &name, std::string &text);

/// Return the JSON that a library's frame has as `parameters`; empty if there is none.
std::string json_of(const std::string &comment);
/// Return names and values, as JSON, of the members of an object; empty if it is not one.
std::vector<std::pair<std::string, std::string> > json_members(const std::string &json);

/// Whether the path is a regular file or does not exist; a pipe or a device cannot be read to its end.
bool readable_to_its_end(const std::string &path);

/// Reads frames one after the other. A line without a line end is unfinished.
class FrameReader {
 public:
  /// `usual` is the number of atoms in the first frame of such a file.
  FrameReader(const std::string &path, std::int64_t usual)
      : file_(path, std::ios::binary), usual_(std::to_string(usual))
  {
  }
  /// Read the next frame, or the one that starts at `offset`; false if there is no complete one. If the
  /// first line is not a number of atoms, the frame has 0 lines and `valid` is false.
  bool next();
  bool read_at(std::uint64_t offset);
  bool finished();    ///< after next() was false: the file ends with the last complete frame

  bool valid = false;
  bool headed = false;    ///< the comment line is there, with or without the atoms
  /// After next() was false: the rest may be the start of a frame that was being written. Without a
  /// frame before it, only the usual number of atoms counts as such a start.
  bool torn = true;
  long natoms = 0;    ///< number in the first line
  std::string comment;
  std::vector<std::string> atoms;       ///< their lines
  std::uint64_t offset = 0, end = 0;    ///< where the frame starts, and where the next one does

 private:
  std::ifstream file_;
  std::string usual_;
};

/// A file of frames that grows. While it is open it is locked: no other run of LAMMPS or Python writes
/// to it. Functions that return text return the error and its remedy, or nothing on success.
class FrameFile {
 public:
  FrameFile() = default;
  ~FrameFile();
  FrameFile(const FrameFile &) = delete;
  FrameFile &operator=(const FrameFile &) = delete;

  /// Has no effect if the file is open. If it is opened again it must be unchanged.
  std::string open(const std::string &path);
  void close();
  std::string cut_off(std::uint64_t size);
  /// Append all of the text; if that fails the file stays as it was, but for whole frames where `starts`
  /// tells where they begin in the text.
  std::string append(const std::string &text, const std::vector<std::size_t> &starts = {});
  /// Bytes that belong to this run.
  std::uint64_t size() const { return size_; }
  /// Whether somebody else has removed, replaced, cut or written to the file.
  std::string changed() const;

 private:
  std::string path_;
  int descriptor_ = -1;
  bool regular_ = false;    // otherwise it is a device, or was not opened yet
  std::uint64_t inode_ = 0, volume_ = 0, size_ = 0;    // after the last write
};

/// Whether the name is a chemical symbol from H to Cm.
bool is_element(const std::string &name);

/// Return ID, type, x, y, z of the group's atoms on rank 0, sorted by ID and wrapped into the box. The
/// lower corner of the box is moved to the origin.
constexpr int kColumns = 5;
std::vector<double> gather_atoms(LAMMPS_NS::LAMMPS *lmp, int groupbit);
/// Write the vectors of the box as rows.
void box_vectors(const LAMMPS_NS::LAMMPS *lmp, double *cell);

}    // namespace entsym
#endif
