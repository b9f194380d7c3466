// SPDX-License-Identifier: BSD-3-Clause
#include "polymorph_library.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <sstream>

#include "comm.h"
#include "entsym/digits.hpp"
#include "error.h"

using namespace LAMMPS_NS;

// a generation is written at once, or in parts of so many atoms, whose text takes some megabytes
static constexpr std::size_t ATOMS_PER_WRITE = 50000;
static constexpr const char *LETTERS = "DVSXG";    // of the genes, in the order of their bits
static std::string value_of(const PolymorphLibrary::Settings &settings, const std::string &name)
{
  for (const auto &[other, value] : settings)
    if (other == name) return value;
  return "none";
}

// Values are equal but for the rounding of another processor.
static bool same(const std::string &one, const std::string &other)
{
  if (one == other) return true;
  using Words = std::istream_iterator<std::string>;
  std::vector<std::string> words[2];
  for (int k = 0; k < 2; k++) {
    std::string text;
    for (const char c : k ? other : one)
      text += std::strchr("[]{},:", c) ? std::string(" ") + c + " " : std::string(1, c);
    std::istringstream stream(text);
    words[k].assign(Words(stream), Words());
  }
  if (words[0].size() != words[1].size()) return false;
  for (std::size_t k = 0; k < words[0].size(); k++) {
    const std::string &a = words[0][k], &b = words[1][k];
    char *end[2] = {nullptr, nullptr};
    const double x = std::strtod(a.c_str(), &end[0]), y = std::strtod(b.c_str(), &end[1]);
    const bool numbers = *end[0] == '\0' && *end[1] == '\0' && std::isfinite(x);
    if (a != b &&
        !(numbers && std::fabs(x - y) <= 1e-12 + 1e-10 * std::max(std::fabs(x), std::fabs(y))))
      return false;
  }
  return true;
}

/* ----------------------------------------------------------------------
   a frame of a file, its atoms sorted as those of the box
------------------------------------------------------------------------- */

bool PolymorphComposition::parse(const std::string &comment, const std::vector<std::string> &atoms,
                                 PolymorphStructure &structure, std::string &reason) const
{
  std::string text;
  const auto bad = [&](const std::string &why) {
    reason = why;
    return false;
  };
  if (!entsym::find_text(comment, "Lattice", text)) return bad("has no Lattice");
  const char *at = text.c_str();
  for (double &h : structure.cell) {
    char *end = nullptr;
    h = std::strtod(at, &end);
    if (end == at || !std::isfinite(h))
      return bad("has a Lattice of less than nine finite numbers");
    at = end;
  }
  if (entsym::find_text(comment, "pbc", text)) {
    std::string file;
    for (const char c : text)
      if (c == 'T' || c == 'F') file += c;
    if (pbc != file)
      return bad(fmt::format("has pbc {}, the box {}; all must be periodic alike", file, pbc));
  }
  // columns of symbols and positions
  int symbol_at = 0, position_at = 1, id_at = -1, column = 0;
  if (entsym::find_text(comment, "Properties", text)) {
    symbol_at = position_at = -1;
    std::vector<std::string> fields;
    for (std::size_t from = 0, to = 0; to != std::string::npos; from = to + 1) {
      to = text.find(':', from);
      fields.push_back(text.substr(from, to == std::string::npos ? to : to - from));
    }
    for (std::size_t f = 0; f + 2 < fields.size(); f += 3) {
      if (fields[f] == "species") symbol_at = column;
      if (fields[f] == "pos") position_at = column;
      if (fields[f] == "id") id_at = column;
      column += std::max(1, std::atoi(fields[f + 2].c_str()));
    }
    if (symbol_at < 0 || position_at < 0) return bad("has no species or no pos in its Properties");
  }
  struct Row {
    double id, x[3];
  };
  std::vector<std::vector<Row> > by_species(elements.size());
  for (std::size_t k = 0; k < atoms.size(); k++) {
    const std::vector<std::string> words = utils::split_words(atoms[k]);
    if (static_cast<int>(words.size()) < std::max({symbol_at + 1, position_at + 3, id_at + 1}))
      return bad(fmt::format("lacks columns in the line of atom {}", k));
    const auto kind = std::find(elements.begin(), elements.end(), words[symbol_at]);
    if (kind == elements.end())
      return bad(fmt::format("holds {}, which the box does not", words[symbol_at]));
    Row row{id_at < 0 ? static_cast<double>(k) : std::strtod(words[id_at].c_str(), nullptr), {}};
    for (int d = 0; d < 3; d++) {
      const char *word = words[position_at + d].c_str();
      char *end = nullptr;
      row.x[d] = std::strtod(word, &end);
      if (end == word || *end != '\0' || !std::isfinite(row.x[d]))
        return bad(fmt::format("has '{}' for a coordinate of atom {}", word, k));
    }
    by_species[kind - elements.begin()].push_back(row);
  }
  structure.x.clear();
  for (std::size_t e = 0; e < elements.size(); e++) {
    const auto own =
        static_cast<std::size_t>(std::count(species.begin(), species.end(), static_cast<int>(e)));
    if (by_species[e].size() != own)
      return bad(
          fmt::format("holds {} {} atoms, the box {}; all must have the same number of "
                      "atoms of each element",
                      by_species[e].size(), elements[e], own));
    std::stable_sort(by_species[e].begin(), by_species[e].end(),
                     [](const Row &a, const Row &b) { return a.id < b.id; });
    for (const Row &row : by_species[e])
      structure.x.insert(structure.x.end(), std::begin(row.x), std::end(row.x));
  }
  return true;
}

/* ---------------------------------------------------------------------- */

PolymorphLibrary::PolymorphLibrary(LAMMPS *lmp, const PolymorphComposition &composition,
                                   const std::string &path, const std::string &q_name,
                                   std::uint64_t seed, const Settings &settings)
    : Pointers(lmp), composition_(composition), path_(path), q_name_(q_name), seed_(seed),
      settings_(settings)
{
  for (const auto &[name, value] : settings_)
    parameters_ += (parameters_.empty() ? "{\"" : ", \"") + name + "\": " + value;
  parameters_ += "}";
  std::string escaped;
  for (const char c : parameters_) escaped += c == '"' ? "\\\"" : std::string(1, c);
  parameters_ = " parameters=\"_JSON " + escaped + "\"";    // as ASE reads JSON

  if (comm->me == 0) read_members();
  bigint n = static_cast<bigint>(members_.size());
  MPI_Bcast(&n, 1, MPI_LMP_BIGINT, 0, world);
  members_.resize(n);
  if (n > MAXSMALLINT / static_cast<int>(sizeof(Member)))
    error->all(FLERR, Error::NOPOINTER,
               "polymorph: {} holds {} frames, too many to continue; use another file", path_, n);
  MPI_Bcast(members_.data(), static_cast<int>(n * sizeof(Member)), MPI_BYTE, 0, world);
  written_ = members_.size();
}

/* ---------------------------------------------------------------------- */

void PolymorphLibrary::refuse(const std::string &why) const
{
  error->one(FLERR, Error::NOPOINTER, "polymorph: frame {} of {} {}", members_.size(), path_, why);
}

/* ---------------------------------------------------------------------- */

void PolymorphLibrary::read_members()
{
  const std::string failed = file_.open(path_);
  if (!failed.empty())
    error->one(FLERR, Error::NOPOINTER, "polymorph: {} cannot be written: {}", path_, failed);
  if (!entsym::readable_to_its_end(path_))
    error->one(FLERR, Error::NOPOINTER,
               "polymorph: {} must be a regular file, not a pipe or a device; use another path",
               path_);
  const auto n_atoms = static_cast<long>(composition_.species.size());
  entsym::FrameReader frames(path_, n_atoms);
  std::string checked = entsym::json_of(parameters_);    // mostly the same in all frames
  while (true) {
    const bool complete = frames.next();
    if (!complete && !frames.headed) {    // nothing that tells whose it is
      if (frames.torn || frames.finished()) break;
      if (!members_.empty())
        refuse("is something else; take it out of the file, or use another one");
    }
    Member member{};
    std::string theirs;
    if (frames.valid || frames.headed) {
      member = member_of(frames);
      theirs = entsym::json_of(frames.comment);
    }
    if (theirs.empty() || member.target < 0) {
      if (!members_.empty())
        refuse("is not a frame of this command; take it out of the file, or use another one");
      error->one(FLERR, Error::NOPOINTER,
                 "polymorph: {} is not a library of this command; use another file", path_);
    }
    if (theirs != checked) {
      require_same_settings(entsym::json_members(theirs));
      checked = theirs;
    }
    if (frames.natoms != n_atoms || !frames.valid)
      refuse(
          fmt::format("says {} atoms and has lines of {}, the box has {}; repair the frame, or "
                      "cut the file off before it",
                      frames.natoms, frames.atoms.size(), n_atoms));
    if (!complete) break;
    double number = static_cast<double>(members_.size());    // older libraries do not tell it
    entsym::find_value(frames.comment, "frame", number);
    if (number != static_cast<double>(members_.size()) ||
        (!members_.empty() && !members_.back().before(member)))
      refuse(
          fmt::format("is frame {} of target {}, generation {}, individual {}: a frame is "
                      "missing, doubled or out of order; cut the file off before it, or use "
                      "another one",
                      number, member.target, member.generation, member.individual));
    if (!std::isfinite(member.values[0]) || !std::isfinite(member.values[1]))
      refuse(
          fmt::format("has sS = {}, {} = {}, which must be finite; cut the file off before it, "
                      "or use another one",
                      member.values[0], q_name_, member.values[1]));
    PolymorphStructure structure;
    std::string reason;
    if (!composition_.parse(frames.comment, frames.atoms, structure, reason))
      refuse(reason + "; cut the file off before it, or use another one");
    members_.push_back(member);
  }
  position_ = frames.end;
  if (frames.finished()) return;
  const std::string hindered = file_.cut_off(frames.end);
  if (!hindered.empty())
    error->one(FLERR, Error::NOPOINTER,
               "polymorph: the unfinished last frame of {} cannot be cut off: {}", path_, hindered);
}

/* ----------------------------------------------------------------------
   what the comment line says; target -1 where something is missing
------------------------------------------------------------------------- */

PolymorphLibrary::Member PolymorphLibrary::member_of(const entsym::FrameReader &frames) const
{
  Member member{};
  member.target = -1;
  double place[4];
  const char *names[4] = {"target", "generation", "individual", "evaluations"};
  for (int k = 0; k < 4; k++)
    if (!entsym::find_value(frames.comment, names[k], place[k]) ||
        !(place[k] >= 0.0 && place[k] <= MAXSMALLINT))
      return member;
  if (!entsym::find_value(frames.comment, "sS", member.values[0]) ||
      !entsym::find_value(frames.comment, q_name_, member.values[1]))
    return member;
  member.target = static_cast<int>(place[0]);
  member.generation = static_cast<int>(place[1]);
  member.individual = static_cast<int>(place[2]);
  member.evaluations = static_cast<std::uint32_t>(place[3]);
  member.offset = frames.offset;
  return member;
}

/* ---------------------------------------------------------------------- */

void PolymorphLibrary::require_same_settings(const Settings &theirs) const
{
  std::string made, here;
  const auto compare = [&](const std::string &name) {
    const std::string there = value_of(theirs, name), own = value_of(settings_, name);
    if (same(there, own)) return;
    made += (made.empty() ? "" : ", ") + name + " = " + there;
    here += (here.empty() ? "" : ", ") + name + " = " + own;
  };
  for (const auto &[name, value] : settings_) compare(name);
  for (const auto &[name, value] : theirs)
    if (value_of(settings_, name) == "none") compare(name);
  if (!made.empty())
    error->one(FLERR, Error::NOPOINTER,
               "polymorph: {} was made with {}; this run has {}; use another file or the same "
               "parameters",
               path_, made, here);
}

/* ---------------------------------------------------------------------- */

void PolymorphLibrary::append(PolymorphStructure structure, const Member &member,
                              const std::string &parent, unsigned genes)
{
  const std::size_t number = members_.size();
  members_.push_back(member);
  if (comm->me == 0) {
    const auto digits = [](double value) {
      std::string text;
      entsym::append_digits(text, value);
      return text;
    };
    std::string frame = std::to_string(composition_.species.size()) + "\nLattice=\"";
    for (int k = 0; k < 9; k++) frame += (k ? " " : "") + digits(structure.cell[k]);
    frame += "\" Properties=species:S:1:pos:R:3 pbc=\"";
    for (int d = 0; d < 3; d++) frame += std::string(d ? " " : "") + composition_.pbc[d];
    std::string letters;
    for (int b = 0; b < 5; b++)
      if (genes & (1u << b)) letters += LETTERS[b];
    frame += fmt::format(
        "\" frame={} target={} generation={} individual={} parent={} genes={} evaluations={} sS={} "
        "{}={} seed={}{}\n",
        number, member.target, member.generation, member.individual, parent, letters,
        member.evaluations, digits(member.values[0]), q_name_, digits(member.values[1]), seed_,
        parameters_);
    frame += entsym::atom_lines(composition_.elements, composition_.species.data(),
                                structure.x.data(), composition_.species.size());
    members_.back().offset = position_;
    position_ += frame.size();
    starts_.push_back(pending_.size());
    pending_ += frame;
  }
  kept_[number] = std::move(structure);
  if ((members_.size() - written_) * composition_.species.size() >= ATOMS_PER_WRITE) write();
}

/* ---------------------------------------------------------------------- */

void PolymorphLibrary::write()
{
  if (written_ == members_.size()) return;
  std::string reason;
  if (comm->me == 0) reason = file_.append(pending_, starts_);
  int good = reason.empty();
  MPI_Bcast(&good, 1, MPI_INT, 0, world);
  if (!good) {
    while (written_ < members_.size() && members_[written_].offset < file_.size()) written_++;
    error->all(FLERR, Error::NOPOINTER,
               "polymorph: frame {} could not be written to {}: {}; run again to resume", written_,
               path_, reason);
  }
  written_ = members_.size();
  pending_.clear();
  starts_.clear();
}

/* ---------------------------------------------------------------------- */

const PolymorphStructure &PolymorphLibrary::structure(std::size_t frame)
{
  const auto known = kept_.find(frame);
  if (known != kept_.end()) return known->second;
  PolymorphStructure &s = kept_[frame];
  s.x.resize(3 * composition_.species.size());
  if (comm->me == 0) {
    entsym::FrameReader frames(path_, static_cast<bigint>(composition_.species.size()));
    std::string reason = "is gone";
    if (!frames.read_at(members_[frame].offset) ||
        !composition_.parse(frames.comment, frames.atoms, s, reason))
      error->one(FLERR, Error::NOPOINTER, "polymorph: frame {} of {} {}", frame, path_, reason);
  }
  MPI_Bcast(s.x.data(), static_cast<int>(s.x.size()), MPI_DOUBLE, 0, world);
  MPI_Bcast(s.cell, 9, MPI_DOUBLE, 0, world);
  return s;
}

/* ---------------------------------------------------------------------- */

void PolymorphLibrary::keep_only(const std::vector<std::size_t> &frames)
{
  std::map<std::size_t, PolymorphStructure> kept;
  for (const std::size_t frame : frames) kept[frame] = structure(frame);
  kept_.swap(kept);
}

/* ---------------------------------------------------------------------- */

void PolymorphLibrary::require_unchanged() const
{
  if (comm->me != 0) return;
  const std::string changed = file_.changed();
  if (!changed.empty())
    error->one(FLERR, Error::NOPOINTER, "polymorph: {} is not the library: {}", path_, changed);
}
