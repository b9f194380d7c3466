// SPDX-License-Identifier: BSD-3-Clause
#include "landscape_file.h"

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sstream>

#include "fmt/format.h"

namespace entsym {

static constexpr const char *HEAD = "# entsym: ";    // of a landscape CSV, then its parameters
static constexpr const char *REMEDY =
    "use a landscape of LandscapeTable.write or map_landscape(output=), or frames of write_sets, "
    "PolymorphGen or this fix";

/* ---------------------------------------------------------------------- */

static bool read_number(const std::string &text, double &value)
{
  char *end = nullptr;
  value = std::strtod(text.c_str(), &end);
  return end != text.c_str() && (*end == '\0' || *end == '\r');
}

std::string length_unit(const std::string &style)
{
  return style == "metal" || style == "real" ? "" : style;
}

/* ---------------------------------------------------------------------- */

// the elements of a frame
static std::set<std::string> elements_of(const FrameReader &frames)
{
  std::string properties, word;
  std::size_t column = 0;
  if (find_text(frames.comment, "Properties", properties)) {    // name:type:columns:name:...
    std::istringstream words(properties);
    std::string type, columns;
    std::size_t at = 0;
    while (std::getline(words, word, ':') && std::getline(words, type, ':') &&
           std::getline(words, columns, ':')) {
      if (word == "species") column = at;
      at += std::strtoul(columns.c_str(), nullptr, 10);
    }
  }
  std::set<std::string> elements;
  for (const std::string &atom : frames.atoms) {
    std::istringstream cells(atom);
    for (std::size_t k = 0; k <= column; k++) cells >> word;
    elements.insert(word);
  }
  return elements;
}

/* ---------------------------------------------------------------------- */

// the words of a list, written as JSON or as ASE writes it into a comment line
static std::vector<std::string> words_of(const std::string &list)
{
  std::vector<std::string> words(1);
  for (const char c : list.compare(0, 6, "_JSON ") == 0 ? list.substr(6) : list) {
    if (std::isalnum(static_cast<unsigned char>(c))) words.back() += c;
    else if (!words.back().empty()) words.emplace_back();
  }
  if (words.back().empty()) words.pop_back();
  return words;
}

/* ---------------------------------------------------------------------- */

std::string MapDefinition::difference(const Lookup &find, bool complete) const
{
  std::string text, theirs;
  for (const Parameter &mine : parameters) {
    double value = 0.0;
    const bool given = find(mine.first, text) && read_number(text, value);
    if (!given && !complete) continue;
    if (!(std::fabs(value - mine.second) <= 1e-9 * std::fabs(mine.second)))
      return fmt::format("{}, compute {} has {} = {}; use the same parameters or another file",
                         given ? fmt::format("was made with {} = {}", mine.first, value)
                               : fmt::format("does not tell its {}", mine.first),
                         compute, mine.first, mine.second);
  }
  // Python counts whole elements, LAMMPS groups of any atoms
  if (find("group", text)) {
    if (text != group) theirs = "group " + text;
  } else if (find("elements", text) && text != "null") {
    const std::vector<std::string> counted = words_of(text);
    for (const Kind &kind : kinds) {
      const bool named = std::find(counted.begin(), counted.end(), kind.element) != counted.end();
      if (kind.counted != (named ? kind.all : 0)) theirs = "elements " + text;
    }
  } else if (group != "all") theirs = "group all";
  if (!theirs.empty())
    return fmt::format(
        "has the values of {}, compute {} those of group {}; use the same group or "
        "another file",
        theirs, compute, group);
  if (find("units", text) && length_unit(text) != length_unit(units))
    return fmt::format("has lengths in units {}, the simulation in units {}; use another file",
                       text, units);
  return "";
}

/* ---------------------------------------------------------------------- */

bool MapDefinition::has_elements(const std::set<std::string> &of_frame) const
{
  std::set<std::string> all;
  for (const Kind &kind : kinds) {
    if (kind.written && !of_frame.count(kind.element)) return false;
    if (kind.all) all.insert(kind.element);
  }
  return std::includes(all.begin(), all.end(), of_frame.begin(), of_frame.end());
}

/* ---------------------------------------------------------------------- */

std::string MapDefinition::read(const Lookup &find, const std::string &remedy, Place &place) const
{
  const std::string other = difference(find, false);
  if (!other.empty()) return other;
  std::string text[2];
  if (!find("sS", text[0]) || !find(q_name, text[1]) || !read_number(text[0], place[0]) ||
      !read_number(text[1], place[1]))
    return fmt::format("has no sS and {} in its comment line; {}", q_name, remedy);
  if (!std::isfinite(place[0]) || !std::isfinite(place[1]))
    return fmt::format("has sS = {}, {} = {}, which must be finite; take the frame out", place[0],
                       q_name, place[1]);
  return difference(find, true);
}

/* ---------------------------------------------------------------------- */

static Lookup members_of(const std::string &json)
{
  return [members = json_members(json)](const std::string &name, std::string &text) {
    for (const auto &[other, value] : members)
      if (other == name) {
        text = value;
        if (text.size() > 1 && text.front() == '"') text = text.substr(1, text.size() - 2);
        return true;
      }
    return false;
  };
}

/* ----------------------------------------------------------------------
   a line of a CSV; one in quotes may contain line ends. False if it is unfinished or not there
------------------------------------------------------------------------- */

static bool next_row(std::istream &file, std::vector<std::string> &cells, bool &cut_short)
{
  std::string line;
  cells.assign(1, "");
  bool quoted = false;
  while (std::getline(file, line)) {
    if (file.eof()) {
      cut_short = true;
      return false;
    }
    if (!quoted && (line.empty() || line == "\r" || line[0] == '#')) continue;
    for (const char c : line) {
      if (c == '"') quoted = !quoted;    // a doubled one opens again; numbers have none
      else if (c == ',' && !quoted) cells.emplace_back();
      else if (c != '\r') cells.back() += c;
    }
    if (!quoted) return true;
  }
  cut_short = quoted;
  return false;
}

/* ---------------------------------------------------------------------- */

// what to say about a file that does not tell its units
static std::string units_note(const MapDefinition &definition)
{
  return fmt::format("does not tell its units: see to it that its lengths are in units {}",
                     definition.units);
}

/* ---------------------------------------------------------------------- */

static Places read_table(std::istream &file, const std::string &path,
                         const MapDefinition &definition)
{
  Places found;
  std::string head;
  std::getline(file, head);
  const Lookup find = members_of(head.substr(std::strlen(HEAD)));
  found.error = definition.difference(find, false);
  if (found.error.empty()) found.error = definition.difference(find, true);
  if (!found.error.empty()) {
    found.error = path + " " + found.error;
    return found;
  }
  std::vector<std::string> cells;
  std::size_t column[2], width = 0;
  if (next_row(file, cells, found.cut_short)) {
    width = cells.size();
    const auto at = [&](const std::string &name) {
      return static_cast<std::size_t>(std::find(cells.begin(), cells.end(), name) - cells.begin());
    };
    column[0] = at("sS");
    column[1] = at(definition.q_name);
  }
  if (width == 0 || column[0] == width || column[1] == width) {
    found.error =
        fmt::format("{} must have the columns sS and {}; {}", path, definition.q_name, REMEDY);
    return found;
  }
  found.notes.push_back(
      "does not tell the elements of its frames: see to it that they are those of "
      "the simulation");
  std::string units;
  if (!find("units", units) && !length_unit(definition.units).empty())
    found.notes.push_back(units_note(definition));
  for (std::size_t row = 1; next_row(file, cells, found.cut_short); row++) {
    Place place;
    if (cells.size() != width || !read_number(cells[column[0]], place[0]) ||
        !read_number(cells[column[1]], place[1]) || !std::isfinite(place[0]) ||
        !std::isfinite(place[1])) {
      found.error = fmt::format(
          "row {} of {} must have {} cells, sS and {} finite numbers; repair it or map the "
          "landscape again",
          row, path, width, definition.q_name);
      return found;
    }
    found.places.push_back(place);
  }
  return found;
}

/* ---------------------------------------------------------------------- */

static Places read_frames(const std::string &path, const MapDefinition &definition)
{
  Places found;
  FrameReader frames(path, 0);
  std::size_t n = 0, n_other = 0;
  bool units_told = true;
  for (; frames.next(); n++) {
    std::string reason = "is not extended XYZ; " + std::string(REMEDY);
    if (frames.valid) {
      const std::string json = json_of(frames.comment);    // of a library of PolymorphGen
      const Lookup of_json = members_of(json);
      Place place;
      const Lookup find = [&](const std::string &name, std::string &text) {
        return find_text(frames.comment, name, text) || of_json(name, text);
      };
      std::string units;
      reason = definition.read(find, REMEDY, place);
      units_told = units_told && find("units", units);
      if (!definition.has_elements(elements_of(frames))) n_other++;
      else if (reason.empty()) found.places.push_back(place);
    }
    if (!reason.empty()) {
      found.error = fmt::format("frame {} of {} {}", n, path, reason);
      return found;
    }
  }
  if (n_other && n_other == n)
    found.error =
        fmt::format("{} has no frame of the elements of the simulation; use another file", path);
  else if (n_other)
    found.notes.push_back(
        fmt::format("has {} frames of other elements than the simulation, which "
                    "were left out",
                    n_other));
  if (!units_told && !length_unit(definition.units).empty())
    found.notes.push_back(units_note(definition));
  found.cut_short = !frames.finished();
  return found;
}

/* ---------------------------------------------------------------------- */

Places read_places(const std::string &path, const MapDefinition &definition)
{
  Places found;
  if (!readable_to_its_end(path)) {    // opening a pipe may block for ever
    found.error = path + " must be a regular file; use another path";
    return found;
  }
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    found.error = fmt::format("{} cannot be read: {}; {}", path, std::strerror(errno), REMEDY);
    return found;
  }
  std::string start(std::strlen(HEAD), '\0');    // not blanks, which HEAD ends with
  file.read(&start[0], static_cast<std::streamsize>(start.size()));
  file.clear();
  file.seekg(0);
  if (start == HEAD) return read_table(file, path, definition);
  if (std::isdigit(static_cast<unsigned char>(start[0]))) return read_frames(path, definition);
  found.error = fmt::format(
      "{} is neither a landscape CSV, whose first line is '{}{{...}}' with the "
      "parameters, nor extended XYZ; {}",
      path, HEAD, REMEDY);
  return found;
}

}    // namespace entsym
