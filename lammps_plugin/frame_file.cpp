// SPDX-License-Identifier: BSD-3-Clause
#include "frame_file.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <system_error>

#include "atom.h"
#include "comm.h"
#include "domain.h"
#include "lammps.h"

using namespace LAMMPS_NS;

namespace entsym {

std::vector<Parameter> parameters_of(const EntsymCompute &compute)
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
  const bool quoted = at < comment.size() && comment[at] == '"';
  const std::size_t end = comment.find(quoted ? '"' : ' ', at + quoted);
  if (quoted && end == std::string::npos) return false;
  text = comment.substr(at + quoted, end == std::string::npos ? end : end - at - quoted);
  return true;
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

bool FrameReader::next() { return read_at(end); }

bool FrameReader::read_at(std::uint64_t from)
{
  file_.clear();
  file_.seekg(static_cast<std::streamoff>(from));
  headed = false;
  std::string line;
  const auto next_line = [&](std::string &l) { return std::getline(file_, l) && !file_.eof(); };
  torn = true;
  if (!next_line(line)) {
    torn = line.find_first_not_of("0123456789") == std::string::npos;
    return false;
  }
  char *rest = nullptr;
  const long natoms = std::strtol(line.c_str(), &rest, 10);
  while (*rest == ' ' || *rest == '\r') rest++;
  valid = rest != line.c_str() && *rest == '\0' && natoms >= 0;
  if (valid) {
    if (!next_line(comment)) {
      torn = comment.compare(0, 9, std::string("Lattice=\"").substr(0, comment.size())) == 0;
      return false;
    }
    headed = true;
    atoms.resize(natoms);
    for (std::string &atom : atoms)
      if (!next_line(atom)) return false;
  }
  offset = from;
  end = static_cast<std::uint64_t>(file_.tellg());
  return true;
}

bool FrameReader::finished()
{
  file_.clear();
  file_.seekg(static_cast<std::streamoff>(end));
  return file_.peek() == EOF;
}

/* ---------------------------------------------------------------------- */

std::string cut_off(const std::string &path, std::uint64_t size)
{
  std::error_code failed;
  std::filesystem::resize_file(path, size, failed);
  return failed ? failed.message() : "";
}

std::string append_text(const std::string &path, const std::string &text)
{
  std::FILE *file = std::fopen(path.c_str(), "ab");
  if (!file) return std::strerror(errno);
  std::fseek(file, 0, SEEK_END);
  const long before = std::ftell(file);
  bool good = std::fwrite(text.data(), 1, text.size(), file) == text.size();
  good = std::fflush(file) == 0 && good;
  std::string reason = good ? "" : std::strerror(errno);
  if (std::fclose(file) != 0 && good) reason = std::strerror(errno);
  // a device has no size
  if (!reason.empty() && before >= 0) cut_off(path, static_cast<std::uint64_t>(before));
  return reason;
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
      lmp->domain->remap(x);    // else it would depend on when neighbor lists were built
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
