// SPDX-License-Identifier: BSD-3-Clause
// Numbers as text, all digits and no more: what a library of structures is written with.
#ifndef ENTSYM_DIGITS_HPP
#define ENTSYM_DIGITS_HPP

#include <charconv>
#include <cstddef>
#include <string>
#include <vector>

namespace entsym {

/// Append the shortest text that reads back as the same number.
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

}    // namespace entsym
#endif
