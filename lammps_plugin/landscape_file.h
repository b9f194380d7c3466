// SPDX-License-Identifier: BSD-3-Clause
// Places on the landscape that a file holds: a landscape CSV of Python, or extended XYZ with sS and Q_l.
#ifndef LMP_ENTSYM_LANDSCAPE_FILE_H
#define LMP_ENTSYM_LANDSCAPE_FILE_H

#include <array>
#include <cstdint>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "frame_file.h"

namespace entsym {

using Place = std::array<double, 2>;    ///< sS, Q_l

/// Finds a value by its name, as text; false if there is none.
using Lookup = std::function<bool(const std::string &name, std::string &text)>;

/// What sS and Q_l of a map mean.
struct MapDefinition {
  struct Kind {
    std::string element;
    std::int64_t counted, all;    ///< atoms in the group of the compute, atoms
    bool written;                 ///< whether frames of the fix have some of those that count
  };

  std::string compute, group, units, q_name;
  std::vector<Parameter> parameters;
  std::vector<Kind> kinds;    ///< one for each atom type

  /// Return how the origin of other values differs, or nothing. With `complete`, a missing parameter
  /// is a difference.
  std::string difference(const Lookup &find, bool complete) const;
  /// Read sS and Q_l of a frame. Return why they do not belong to the map, or nothing.
  std::string read(const Lookup &find, const std::string &remedy, Place &place) const;
  /// Whether atoms of these elements may be a configuration of the simulation.
  bool has_elements(const std::set<std::string> &of_frame) const;
};

struct Places {
  std::vector<Place> places;
  bool cut_short = false;            ///< the last frame or line is unfinished; it is left out
  std::vector<std::string> notes;    ///< what else its user should know
  std::string error;                 ///< what is wrong with the file, and the remedy
};

/// Return the units of a style of LAMMPS whose lengths are not in Å, or nothing.
std::string length_unit(const std::string &style);

/// Read all places of a landscape CSV or of extended XYZ.
Places read_places(const std::string &path, const MapDefinition &definition);

}    // namespace entsym
#endif
