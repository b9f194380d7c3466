// SPDX-License-Identifier: BSD-3-Clause
// Frames in extended XYZ: how fix entsym/select and the polymorph command write and read them.
#ifndef LMP_ENTSYM_FRAME_FILE_H
#define LMP_ENTSYM_FRAME_FILE_H

#include <cstdint>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "compute_entsym_base.h"

namespace entsym {

/// Name and value of a parameter that sS and Q_l depend on, as the comment line of a frame has them;
/// a number density only where it was given.
using Parameter = std::pair<const char *, double>;
std::vector<Parameter> parameters_of(const LAMMPS_NS::ComputeEntsymBase &compute);

std::string formatted(const char *format, double value);

/// What `name=value` or `name="text"` says in a comment line; false where it is not there.
bool find_value(const std::string &comment, const std::string &name, double &value);
bool find_text(const std::string &comment, const std::string &name, std::string &text);

/// Whether there is a file that can be read to its end, or none: no pipe, no device.
bool readable_to_its_end(const std::string &path);

/// Reads frames one after the other; a line without its end is unfinished.
class FrameReader {
 public:
  /// `usual` is the number of atoms that the first frame of such a file has.
  FrameReader(const std::string &path, std::int64_t usual)
      : file_(path, std::ios::binary), usual_(std::to_string(usual))
  {
  }
  /// The frame that starts at `offset`, the next one by default; false where there is none that is
  /// complete. A first line that is no number of atoms is a frame of 0 lines, `valid` being false.
  bool next();
  bool read_at(std::uint64_t offset);
  bool finished();    ///< after next() was false: nothing stands behind the last complete frame

  bool valid = false;
  bool headed = false;    ///< the comment line is there, whether the atoms are or not
  /// After next() was false: what is there may be the start of a frame that was being written. Without
  /// a frame before it, another number than the usual one may be anybody's.
  bool torn = true;
  long natoms = 0;    ///< what the first line says
  std::string comment;
  std::vector<std::string> atoms;       ///< their lines
  std::uint64_t offset = 0, end = 0;    ///< where the frame starts, and where the next one does

 private:
  std::ifstream file_;
  std::string usual_;
};

/// A file of frames that grows. While it is open it is locked: no other run writes to it, on LAMMPS's
/// side or on that of Python. What returns text says what hinders it and what to do, or nothing.
class FrameFile {
 public:
  FrameFile() = default;
  ~FrameFile();
  FrameFile(const FrameFile &) = delete;
  FrameFile &operator=(const FrameFile &) = delete;

  /// Nothing more is done where it is open; opened again, it must be as it was left.
  std::string open(const std::string &path);
  void close();
  std::string cut_off(std::uint64_t size);
  /// In one piece or not at all: where that fails the file is left as it was.
  std::string append(const std::string &text);
  /// Somebody else has removed, replaced, cut or written to the file.
  std::string changed() const;

 private:
  std::string path_;
  int descriptor_ = -1;
  bool regular_ = false;                               // else it is a device, or was not opened yet
  std::uint64_t inode_ = 0, volume_ = 0, size_ = 0;    // as we left it
};

/// Whether LAMMPS's user may have meant a chemical symbol: H to Cm.
bool is_element(const std::string &name);

/// ID, type, x, y, z of the group's atoms on rank 0, sorted by ID, wrapped into the box, whose lower
/// corner is moved to the origin.
constexpr int kColumns = 5;
std::vector<double> gather_atoms(LAMMPS_NS::LAMMPS *lmp, int groupbit);
/// The box's vectors as rows.
void box_vectors(const LAMMPS_NS::LAMMPS *lmp, double *cell);

}    // namespace entsym
#endif
