// SPDX-License-Identifier: BSD-3-Clause
// Ranges of numbers, limits of the cost of a call, and errors. Private to the kernel.
#ifndef ENTSYM_LIMITS_HPP
#define ENTSYM_LIMITS_HPP

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <string>

namespace entsym {

// Lengths, whatever their unit (cutoffs of atoms are 1e-10 in si and 1e1 in real): so far from the
// ends of the doubles that no product of them overflows, underflows or meets a marker.
constexpr double kMinLength = 1e-15, kMaxLength = 1e6;     // cutoffs, widths, shortest distances
constexpr double kMinVector = 1e-30, kMaxVector = 1e30;    // lattice vectors
constexpr double kMaxPosition = 1e100;                     // coordinates
constexpr double kMinDensity = 1e-100, kMaxDensity = 1e100;
// Beyond so many cutoffs or cells from the origin, differences of positions have lost their digits.
constexpr double kFarAway = 1e9;

// Limits of the cost of a call, which ENTSYM_LIMIT multiplies: bytes for images and lists of neighbours,
// tests of a distance (seconds to minutes), points of the atoms' own g(r), points of a plan. Large
// structures may cost more, up to an ordinary share for each atom.
constexpr double kMaxBytes = 1e9;
constexpr double kMaxTests = 2e9, kTestsPerAtom = 1e5;
constexpr double kMaxBondsPerAtom = 1e3;
constexpr double kMaxGridPoints = 1e9, kGridPointsPerAtom = 1e4;
constexpr double kMaxTargets = 1e5;
constexpr int kMaxRepeats = 1000000;    // of swaps, attempts, steps within one child

// Values on the landscape have no unit: sS is of the order of 1 to 100, Q of 0.1.
constexpr double kMaxValue = 1e9, kMinExtent = 1e-9;

[[noreturn]] inline void refuse(const std::string &message)
{
  throw std::invalid_argument(message);
}

inline std::string text(double x, int digits = 10)
{
  char buffer[40];
  std::snprintf(buffer, sizeof buffer, "%.*g", digits, x);
  return buffer;
}

/// Multiple of the default cost that is allowed.
inline double allowed()
{
  const char *wish = std::getenv("ENTSYM_LIMIT");
  if (!wish || !*wish) return 1.0;
  char *end;
  const double factor = std::strtod(wish, &end);
  if (*end || !(factor > 0.0 && std::isfinite(factor)))
    refuse(std::string("ENTSYM_LIMIT = ") + wish +
           ": must be a finite number above 0, the allowed multiple of the default cost; unset it");
  return factor;
}

/// The remedy that is always possible: allow `excess` times as much as now.
inline std::string or_allow(double excess)
{
  return "or allow more with ENTSYM_LIMIT=" + text(1.01 * excess * allowed(), 3) +
         " in the environment";
}

/// Refuse a length that is not within (kMinLength, kMaxLength); 0 too, unless it stands for "off".
inline void require_length(const std::string &name, double value, const std::string &usual,
                           bool may_be_zero = false)
{
  if (may_be_zero && value == 0.0) return;
  if (!(value >= kMinLength && value <= kMaxLength))
    refuse(name + " = " + text(value) +
           (may_be_zero ? ": must be finite, 0 or a length from "
                        : ": must be a finite length from ") +
           text(kMinLength) + " to " + text(kMaxLength) + "; " + usual);
}

}    // namespace entsym
#endif
