// SPDX-License-Identifier: BSD-3-Clause
#include "entsym/text_frames.hpp"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <numeric>

namespace entsym {

namespace {

bool is_blank(char c) { return c == ' ' || c == '\t'; }

bool is_digit(char c) { return static_cast<unsigned char>(c - '0') < 10; }

/// Whether a character may be within a word: ASCII, neither blank nor control.
bool is_plain(char c) { return c > ' ' && c < 127; }

const char *end_of_word(const char *text)
{
  while (is_plain(*text)) text++;
  return text;
}

const char *skip_digits(const char *text)
{
  while (is_digit(*text)) text++;
  return text;
}

/// The end of a number at `text`, or null; std::from_chars and Python's float read the same.
const char *end_of_number(const char *text)
{
  if (*text == '-') text++;
  const char *const whole = text;
  text = skip_digits(text);
  std::ptrdiff_t n_digits = text - whole;
  if (*text == '.') {
    const char *const fraction = ++text;
    text = skip_digits(text);
    n_digits += text - fraction;
  }
  if (n_digits == 0) return nullptr;
  if (*text == 'e' || *text == 'E') {
    text++;
    if (*text == '-' || *text == '+') text++;
    const char *const exponent = text;
    text = skip_digits(text);
    if (text == exponent) return nullptr;
  }
  return text;
}

/// The end of a whole number of at most `most` digits at `text`, or null.
const char *end_of_whole(const char *text, std::ptrdiff_t most)
{
  const char *const digits = text + (*text == '-');
  const char *const stop = skip_digits(digits);
  return stop > digits && stop - digits <= most ? stop : nullptr;
}

const char *read_number(const char *text, const char *end, double &value)
{
  // not nan and inf
  const char first = text[*text == '-'];
  if (!is_digit(first) && first != '.') return nullptr;
  const auto [stop, error] = std::from_chars(text, end, value);
  return error == std::errc() ? stop : nullptr;
}

const char *read_kind(const char *text, Symbols symbols, std::int32_t &kind)
{
  if (is_digit(*text)) {
    const char *const stop = skip_digits(text);
    if (stop - text > 3) return nullptr;
    kind = 0;
    for (; text < stop; text++) kind = kind * 10 - (*text - '0');
    return kind < 0 ? stop : nullptr;
  }
  if (*text < 'A' || *text > 'Z') return nullptr;
  int place = 27 * (*text++ - 'A');
  if (*text >= 'a' && *text <= 'z') place += *text++ - 'a' + 1;
  kind = symbols[place];
  return kind >= 0 ? text : nullptr;
}

const char *read_word(const char *text, const char *end, int column, Symbols symbols,
                      std::size_t row, const AtomRows &rows)
{
  switch (column) {
    case SKIPPED:
      return end_of_word(text);
    case NUMBER:
      return end_of_number(text);
    case WHOLE:
      return end_of_whole(text, 18);
    case ID: {
      const auto [stop, error] = std::from_chars(text, end, rows.ids[row]);
      return error == std::errc() ? stop : nullptr;
    }
    case KIND:
      return read_kind(text, symbols, rows.kinds[row]);
    default:
      if (column >= KEPT_WHOLE) {
        if (end_of_whole(text, 15) == nullptr) return nullptr;    // exact as a double
        column -= KEPT_WHOLE;
      }
      return read_number(text, end, rows.numbers[row * rows.width + column]);
  }
}

}    // namespace

const char *read_rows(const char *text, const char *end, std::size_t n, const int *columns,
                      std::size_t n_columns, bool more, Symbols symbols, const AtomRows &rows)
{
  // every word ends before the last line feed, so that nothing behind `end` is looked at
  while (end > text && end[-1] != '\n') end--;
  for (std::size_t row = 0; row < n; row++) {
    if (text >= end) return nullptr;
    for (std::size_t k = 0; k < n_columns; k++) {
      while (is_blank(*text)) text++;
      if (!is_plain(*text)) return nullptr;
      text = read_word(text, end, columns[k], symbols, row, rows);
      if (text == nullptr || (!is_blank(*text) && *text != '\n')) return nullptr;
    }
    while (is_blank(*text) || (more && is_plain(*text))) text++;
    if (*text++ != '\n') return nullptr;
  }
  return text;
}

bool only_blank_lines(const char *text, const char *end)
{
  while (text < end && (is_blank(*text) || *text == '\n')) text++;
  return text == end;
}

bool order_rows(const std::int64_t *ids, std::size_t n, std::int64_t *order)
{
  if (n == 0) return true;
  const auto [low, high] = std::minmax_element(ids, ids + n);
  const std::uint64_t first = static_cast<std::uint64_t>(*low);
  const std::uint64_t span = static_cast<std::uint64_t>(*high) - first;
  if (span / 4 < n) {    // as usual: a place for each ID, and no need to compare
    std::vector<std::int64_t> row(span + 1, -1);
    for (std::size_t k = 0; k < n; k++) {
      std::int64_t &place = row[static_cast<std::uint64_t>(ids[k]) - first];
      if (place >= 0) return false;
      place = static_cast<std::int64_t>(k);
    }
    std::copy_if(row.begin(), row.end(), order, [](std::int64_t k) { return k >= 0; });
    return true;
  }
  std::iota(order, order + n, 0);
  std::sort(order, order + n, [ids](std::int64_t a, std::int64_t b) { return ids[a] < ids[b]; });
  return std::adjacent_find(order, order + n, [ids](std::int64_t a, std::int64_t b) {
           return ids[a] == ids[b];
         }) == order + n;
}

std::size_t read_frames(const RowText *frames, std::size_t m, const int *columns,
                        std::size_t n_columns, bool more, bool by_id, Symbols symbols,
                        const AtomRows &rows, unsigned char *plain)
{
  std::size_t done = 0;
  std::vector<std::int64_t> order;
  std::vector<double> numbers;
  std::vector<std::int32_t> kinds;
  for (std::size_t k = 0; k < m; k++) {
    const auto [begin, end, n] = frames[k];
    const std::size_t width = rows.width;
    double *const x = rows.numbers + done * width;
    std::int32_t *const z = rows.kinds ? rows.kinds + done : nullptr;
    const char *const stop = n == 0 ? nullptr
                                    : read_rows(begin, end, n, columns, n_columns, more, symbols,
                                                {x, width, rows.ids, z});
    plain[k] = stop != nullptr && only_blank_lines(stop, end);
    if (!plain[k]) continue;
    const std::int64_t *const ids = rows.ids;
    const auto falls = [](std::int64_t a, std::int64_t b) { return a >= b; };
    if (ids != nullptr && std::adjacent_find(ids, ids + n, falls) != ids + n) {
      order.resize(n);
      plain[k] = order_rows(ids, n, order.data());
      if (!plain[k]) continue;
      if (by_id) {
        numbers.assign(x, x + n * width);
        for (std::size_t row = 0; row < n; row++)
          std::copy_n(&numbers[static_cast<std::size_t>(order[row]) * width], width,
                      x + row * width);
        if (z != nullptr) {
          kinds.assign(z, z + n);
          for (std::size_t row = 0; row < n; row++)
            z[row] = kinds[static_cast<std::size_t>(order[row])];
        }
      }
    }
    done += n;
  }
  return done;
}

void XyzCut::scan(const char *text, std::size_t size, bool last)
{
  while (at < size) {
    const char *const begin = text + at;
    const auto *stop = static_cast<const char *>(std::memchr(begin, '\n', size - at));
    if (stop == nullptr) {
      if (!last) return;
      stop = text + size;
    }
    const auto is_space = [](char c) { return c == ' ' || (c >= '\t' && c <= '\r'); };
    const char *word = begin;
    while (word < stop && is_space(*word)) word++;
    const bool empty = word == stop;
    const char *word_end = word;
    while (word_end < stop && is_digit(*word_end)) word_end++;
    bool count = word_end > word;
    while (count && word_end < stop) count = is_space(*word_end++);
    if (line != 1 && (count || (line == 0 && !empty))) {
      starts.push_back(at);
      line = 1;
    } else if (line) {
      line++;
    }
    at = static_cast<std::size_t>(stop - text) + (stop < text + size);
  }
}

}    // namespace entsym
