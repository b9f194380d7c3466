// SPDX-License-Identifier: BSD-3-Clause
// Rows of atoms in text: LAMMPS dumps and (extended) XYZ files. Only what is written plainly is read;
// anything else is left to a reader that can say what is wrong with it.
#ifndef ENTSYM_TEXT_FRAMES_HPP
#define ENTSYM_TEXT_FRAMES_HPP

#include <cstddef>
#include <cstdint>
#include <vector>

namespace entsym {

/// What is done with the word of a column; 0 and above: a number for that place of `AtomRows::numbers`.
enum Column : int {
  SKIPPED = -1,           ///< any word
  NUMBER = -2,            ///< must be a number, which is not kept
  WHOLE = -3,             ///< must be a whole number of at most 18 digits, which is not kept
  ID = -4,                ///< a whole number
  KIND = -5,              ///< a chemical symbol, or a type of at most three digits
  KEPT_WHOLE = 1 << 16    ///< added to a place: the number must be whole, of at most 15 digits
};

/// Places for what is read of `n` atoms, in the order of the rows.
struct AtomRows {
  double *numbers;    ///< (n, width)
  std::size_t width;
  std::int64_t *ids;      ///< (n,), or null without a column ID
  std::int32_t *kinds;    ///< (n,), or null without a column KIND: atomic number, or -type
};

/// Atomic numbers by symbol, -1 for none: entry 27 * (first - 'A') + (second - 'a' + 1), and
/// 27 * (first - 'A') for one letter. (702,)
using Symbols = const std::int16_t *;

/// Read `n` rows that begin at `text`, each of the `n_columns` words that `columns` (n_columns,) names.
/// With `more`, a row may have further words. Words are separated by blanks and tabs, and each row
/// ends with a line feed. Numbers are rounded correctly, as Python's float.
/// @return the first character behind the rows, or null if any word or row is not as it must be:
///   nan, inf, a leading +, numbers beyond a double, unknown symbols, characters that are not ASCII
const char *read_rows(const char *text, const char *end, std::size_t n, const int *columns,
                      std::size_t n_columns, bool more, Symbols symbols, const AtomRows &rows);

/// Whether only blanks, tabs and line feeds are left.
bool only_blank_lines(const char *text, const char *end);

/// Write the rows in rising order of their `ids` (n,) into `order` (n,).
/// @return whether each ID is there once
bool order_rows(const std::int64_t *ids, std::size_t n, std::int64_t *order);

/// The rows of a frame, with all that follows them in its text.
struct RowText {
  const char *begin, *end;
  std::size_t n;
};

/// Read the rows of `m` frames, one frame after the other, those of each by rising ID if there are IDs
/// and `by_id`. A frame without atoms, with an ID twice or with anything but empty lines behind its
/// rows is left out, as one that `read_rows` cannot read. `rows` needs room for the atoms of all frames;
/// its IDs are used as scratch.
/// @param plain (m,), whether each frame was read
/// @return the number of atoms that were read
std::size_t read_frames(const RowText *frames, std::size_t m, const int *columns,
                        std::size_t n_columns, bool more, bool by_id, Symbols symbols,
                        const AtomRows &rows, unsigned char *plain);

/// Cut of (extended) XYZ text into frames, which may come in pieces.
struct XyzCut {
  std::size_t at = 0;                 ///< characters seen, up to the end of a line
  std::size_t line = 0;               ///< lines of the frame seen; 0 before the first frame
  std::vector<std::size_t> starts;    ///< where frames begin

  /// Look at the lines of `text` (size,) from `at` on. A line of digits alone begins a frame, unless it
  /// is the second of one, which is a comment; so does the first line that is not empty. Without
  /// `last`, a line without its end waits for more text.
  void scan(const char *text, std::size_t size, bool last);
};

}    // namespace entsym
#endif
