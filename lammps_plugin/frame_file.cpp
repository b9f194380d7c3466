// SPDX-License-Identifier: BSD-3-Clause
#include "frame_file.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "atom.h"
#include "comm.h"
#include "covalent_radii.h"
#include "domain.h"
#include "lammps.h"

using namespace LAMMPS_NS;

namespace entsym {

std::vector<Parameter> parameters_of(const ComputeEntsymBase &compute)
{
  const Parameters &p = compute.parameters();
  return {{"rmax", p.rmax},
          {"sigma", p.sigma},
          {"dr", p.dr},
          {"q6_cutoff", p.q_cutoff},
          {"degree", static_cast<double>(p.degree)},
          {"smooth", p.smooth},
          {"number_density", compute.given_density()}};
}

std::string formatted(const char *format, double value)
{
  char buffer[64];
  std::snprintf(buffer, sizeof(buffer), format, value);
  return buffer;
}

bool find_text(const std::string &comment, const std::string &name, std::string &text)
{
  const std::string key = name + "=";
  std::size_t at = comment.compare(0, key.size(), key) == 0 ? 0 : comment.find(" " + key);
  if (at == std::string::npos) return false;
  at = comment.find('=', at) + 1;
  text.clear();
  if (at >= comment.size() || comment[at] != '"') {
    text = comment.substr(at, comment.find(' ', at) - at);
    return true;
  }
  for (at++; at < comment.size() && comment[at] != '"'; at++) {
    if (comment[at] == '\\' && at + 1 < comment.size()) at++;    // as in JSON
    text += comment[at];
  }
  return at < comment.size();
}

bool find_value(const std::string &comment, const std::string &name, double &value)
{
  std::string text;
  if (!find_text(comment, name, text)) return false;
  char *end = nullptr;
  value = std::strtod(text.c_str(), &end);
  return end != text.c_str();
}

/* ---------------------------------------------------------------------- */

std::string json_of(const std::string &comment)
{
  std::string text;
  const std::string mark = "_JSON ";
  if (!find_text(comment, "parameters", text) || text.compare(0, mark.size(), mark) != 0) return "";
  return text.substr(mark.size());
}

std::vector<std::pair<std::string, std::string> > json_members(const std::string &json)
{
  std::vector<std::pair<std::string, std::string> > found;
  std::string part;
  int depth = 0;
  for (const char c : json) {
    if (c == '}' || c == ']') depth--;
    if ((c == ',' && depth == 1) || (c == '}' && depth == 0)) {
      const std::size_t open = part.find('"'), close = part.find('"', open + 1),
                        colon = part.find(':', close);
      if (open == std::string::npos || close == std::string::npos || colon == std::string::npos)
        return {};
      found.emplace_back(part.substr(open + 1, close - open - 1),
                         utils::trim(part.substr(colon + 1)));
      part.clear();
    } else if (depth > 0) part += c;
    if (c == '{' || c == '[') depth++;
  }
  return found;
}

/* ---------------------------------------------------------------------- */

bool FrameReader::next() { return read_at(end); }

bool readable_to_its_end(const std::string &path)
{
  struct stat found;
  return ::stat(path.c_str(), &found) != 0 || S_ISREG(found.st_mode);
}

/* ---------------------------------------------------------------------- */

bool FrameReader::read_at(std::uint64_t from)
{
  file_.clear();
  file_.seekg(static_cast<std::streamoff>(from));
  headed = false;
  std::string line;
  const auto next_line = [&](std::string &l) { return std::getline(file_, l) && !file_.eof(); };
  const std::string start = "Lattice=\"";
  const bool whole = next_line(line);
  // a crash of the machine may leave zeros
  while (!line.empty() && line.back() == '\0') line.pop_back();
  torn = from > 0 ? line.find_first_not_of("0123456789") == std::string::npos
                  : usual_.compare(0, line.size(), line) == 0;
  if (!whole) return false;
  char *rest = nullptr;
  natoms = std::strtol(line.c_str(), &rest, 10);
  while (*rest == ' ' || *rest == '\r') rest++;
  valid = rest != line.c_str() && *rest == '\0' && natoms >= 0;
  if (valid) {
    if (!next_line(comment)) {
      while (!comment.empty() && comment.back() == '\0') comment.pop_back();
      torn = torn && comment.compare(0, 9, start.substr(0, comment.size())) == 0;
      return false;
    }
    headed = true;
    // the number is not trusted: memory and time depend on the lines in the file
    atoms.clear();
    for (long k = 0; k < natoms; k++) {
      const bool complete = next_line(line);
      if (!complete) return false;
      std::size_t words = 0, at = 0;
      while ((at = line.find_first_not_of(" \t\r", at)) != std::string::npos && ++words < 4)
        at = line.find_first_of(" \t\r", at);
      if (words < 4 || line.find('=') != std::string::npos) {    // head of another frame
        valid = false;
        break;
      }
      atoms.push_back(line);
    }
  }
  offset = from;
  end = static_cast<std::uint64_t>(file_.tellg());
  return true;
}

/* ---------------------------------------------------------------------- */

bool FrameReader::finished()
{
  file_.clear();
  file_.seekg(static_cast<std::streamoff>(end));
  return file_.peek() == EOF;
}

/* ---------------------------------------------------------------------- */

FrameFile::~FrameFile() { close(); }

void FrameFile::close()
{
  if (descriptor_ >= 0) ::close(descriptor_);
  descriptor_ = -1;
}

std::string FrameFile::open(const std::string &path)
{
  if (descriptor_ >= 0) return "";
  const std::string what = changed();
  if (!what.empty()) return what;
  path_ = path;
  struct stat found;
  if (::stat(path.c_str(), &found) == 0 &&
      S_ISFIFO(found.st_mode))    // opening it may block for ever
    return "it is a pipe; use a regular file";
  descriptor_ = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
  if (descriptor_ < 0)
    return std::string(std::strerror(errno)) +
           "; use a path in a folder that exists and is writable";
  // some network file systems have no locks
  if (::flock(descriptor_, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
    close();
    return "another run or fix is writing to it; wait for it or use another file";
  }
  if (::fstat(descriptor_, &found) != 0) return std::strerror(errno);
  regular_ = S_ISREG(found.st_mode);
  volume_ = found.st_dev;
  inode_ = found.st_ino;
  size_ = regular_ ? static_cast<std::uint64_t>(found.st_size) : 0;
  return "";
}

std::string FrameFile::cut_off(std::uint64_t size)
{
  if (!regular_) return "";
  if (::ftruncate(descriptor_, static_cast<off_t>(size)) != 0) return std::strerror(errno);
  size_ = size;
  return "";
}

std::string FrameFile::changed() const
{
  struct stat found;
  if (!regular_) return "";
  std::string what;
  if (::stat(path_.c_str(), &found) != 0) what = "removed or renamed";
  else if (found.st_ino != inode_ || found.st_dev != volume_) what = "replaced";
  else if (static_cast<std::uint64_t>(found.st_size) < size_) what = "cut off or emptied";
  else if (static_cast<std::uint64_t>(found.st_size) > size_) what = "written to";
  else return "";
  return "it was " + what +
         " by somebody else in the meantime; leave it alone while it grows, and "
         "run again";
}

std::string FrameFile::append(const std::string &text, const std::vector<std::size_t> &starts)
{
  std::string reason = open(path_);
  if (reason.empty()) reason = changed();
  if (!reason.empty()) return reason;
  for (std::size_t done = 0; done < text.size();) {
    const ssize_t n = ::write(descriptor_, text.data() + done, text.size() - done);
    if (n >= 0) {
      done += static_cast<std::size_t>(n);
      continue;
    }
    if (errno == EINTR) continue;
    reason = std::strerror(errno);
    reason += "; make room or use another file, the frames before it are good";
    std::size_t whole = 0;
    for (const std::size_t start : starts)
      if (start <= done) whole = start;
    const std::string failed = cut_off(size_ + whole);
    return failed.empty() ? reason : reason + ", but for an unfinished one (" + failed + ")";
  }
  size_ += text.size();
  return "";
}

/* ---------------------------------------------------------------------- */

bool is_element(const std::string &name)
{
  return std::any_of(std::begin(covalent_radii), std::end(covalent_radii),
                     [&](const auto &row) { return name == row.symbol; });
}

/* ---------------------------------------------------------------------- */

std::vector<double> gather_atoms(LAMMPS *lmp, int groupbit)
{
  const Atom *atom = lmp->atom;
  std::vector<double> mine, all;
  for (int i = 0; i < atom->nlocal; i++)
    if (atom->mask[i] & groupbit) {
      mine.push_back(static_cast<double>(atom->tag[i]));
      mine.push_back(atom->type[i]);
      double x[3] = {atom->x[i][0], atom->x[i][1], atom->x[i][2]};
      lmp->domain->remap(x);    // otherwise it would depend on the last neighbor list build
      for (int d = 0; d < 3; d++) mine.push_back(x[d] - lmp->domain->boxlo[d]);
    }
  const int n_mine = static_cast<int>(mine.size()), nprocs = lmp->comm->nprocs;
  std::vector<int> counts(nprocs), starts(nprocs, 0);
  MPI_Allgather(&n_mine, 1, MPI_INT, counts.data(), 1, MPI_INT, lmp->world);
  for (int p = 1; p < nprocs; p++) starts[p] = starts[p - 1] + counts[p - 1];
  const std::size_t n = (static_cast<std::size_t>(starts.back()) + counts.back()) / kColumns;
  const bool me = lmp->comm->me == 0;
  if (me) all.resize(n * kColumns);
  MPI_Gatherv(mine.data(), n_mine, MPI_DOUBLE, all.data(), counts.data(), starts.data(), MPI_DOUBLE,
              0, lmp->world);
  if (!me) return {};
  std::vector<const double *> rows(n);
  for (std::size_t k = 0; k < n; k++) rows[k] = &all[k * kColumns];
  std::sort(rows.begin(), rows.end(), [](const double *a, const double *b) { return a[0] < b[0]; });
  std::vector<double> sorted;
  sorted.reserve(all.size());
  for (const double *row : rows) sorted.insert(sorted.end(), row, row + kColumns);
  return sorted;
}

void box_vectors(const LAMMPS *lmp, double *cell)
{
  const double *h = lmp->domain->h;
  const bool tilted = lmp->domain->triclinic;
  const double rows[9] = {
      h[0], 0.0, 0.0, tilted ? h[5] : 0.0, h[1], 0.0, tilted ? h[4] : 0.0, tilted ? h[3] : 0.0,
      h[2]};
  std::copy_n(rows, 9, cell);
}

}    // namespace entsym
