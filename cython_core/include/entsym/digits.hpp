// SPDX-License-Identifier: BSD-3-Clause
// What a library of structures is written with: numbers as text, all digits and no more, and the
// fingerprint of its parents.
#ifndef ENTSYM_DIGITS_HPP
#define ENTSYM_DIGITS_HPP

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

namespace entsym {

/// Append the shortest text that is read as the same number.
inline void append_digits(std::string &text, double value)
{
  char buffer[32];
  text.append(buffer, std::to_chars(buffer, buffer + sizeof(buffer), value).ptr);
}

/// A line "symbol x y z" for each of `n` atoms at `positions` (n, 3); `names` by species.
inline std::string atom_lines(const std::vector<std::string> &names, const int *species,
                              const double *positions, std::size_t n)
{
  std::string text;
  for (std::size_t i = 0; i < n; i++) {
    text += names[species[i]];
    for (int d = 0; d < 3; d++) {
      text += ' ';
      append_digits(text, positions[3 * i + d]);
    }
    text += '\n';
  }
  return text;
}

/// 16 hexadecimal digits that stand for `n_structures` of the same atoms (64-bit FNV-1a): symbols by
/// `names` and `species` (n_atoms,), periodic directions `pbc` (3,), `positions` (n_structures, n_atoms,
/// 3), `cells` (n_structures, 3, 3). The last digit of a coordinate counts.
inline std::string fingerprint(const std::vector<std::string> &names, const int *species,
                               const double *positions, const double *cells,
                               std::size_t n_structures, std::size_t n_atoms,
                               const unsigned char *pbc)
{
  std::uint64_t hash = 0xcbf29ce484222325ULL;
  const auto add = [&hash](const void *data, std::size_t size) {
    const auto *bytes = static_cast<const unsigned char *>(data);
    for (std::size_t k = 0; k < size; k++) hash = (hash ^ bytes[k]) * 0x100000001b3ULL;
  };
  const auto add_numbers = [&add](const double *numbers, std::size_t n) {
    for (std::size_t k = 0; k < n; k++) {
      const double number = numbers[k] + 0.0;    // -0 is 0
      add(&number, sizeof number);
    }
  };
  for (std::size_t i = 0; i < n_atoms; i++)
    add(names[species[i]].c_str(), names[species[i]].size() + 1);
  for (int d = 0; d < 3; d++) add(pbc[d] ? "T" : "F", 1);
  add_numbers(positions, 3 * n_atoms * n_structures);
  add_numbers(cells, 9 * n_structures);
  char text[17];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(hash));
  return text;
}

}    // namespace entsym
#endif
