// SPDX-License-Identifier: BSD-3-Clause
// The parameter object of the project: every host fills it, and every value is stored with it.
#ifndef ENTSYM_PARAMETERS_HPP
#define ENTSYM_PARAMETERS_HPP

namespace entsym {

/// Definition of the two order parameters. Lengths are in the host's length unit (Å in ASE).
struct Parameters {
  double rmax = 0.0;     ///< upper end of the entropy integral, equation (6)
  double sigma = 0.0;    ///< Gaussian broadening of g_m(r), equation (7)
  /// Grid spacing; 0 stands for sigma/4; rounded down so that rmax/dr is whole.
  double dr = 0.0;
  double q_cutoff = 0.0;    ///< neighbour cutoff of the Steinhardt parameters
  int degree = 6;           ///< l of q_lm, even, 2 to 12
  double smooth = 0.0;      ///< width of the switching below q_cutoff; 0 is a hard cutoff

  /// Pairs up to rmax + reach * sigma count: those just beyond rmax reach below it.
  static constexpr double reach = 5.0;

  static constexpr int max_degree = 12, max_components = 2 * max_degree + 1;

  double pair_cutoff() const { return rmax + reach * sigma; }
  /// Grid points r_k = k dr, k = 0 ... n_grid()-1; the last one is rmax.
  int n_grid() const { return static_cast<int>(rmax / dr + 1.5); }
  int n_components() const { return 2 * degree + 1; }

  /// Check every field and round dr. Lengths must lie between 1e-15 and 1e6, so that no product of
  /// them overflows. @throws std::invalid_argument naming field, value, range, remedy.
  void validate();
  /// Check a number density, which must be from 1e-100 to 1e100; throws in the same way.
  static void check_density(double density);
};

}    // namespace entsym
#endif
