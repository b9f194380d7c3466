// SPDX-License-Identifier: BSD-3-Clause
// Registers the styles with the LAMMPS that loads this file.
#include <cstring>

#include "comm.h"
#include "compute_entsym.h"
#include "compute_entsym_atom.h"
#include "error.h"
#include "fix_entsym_ghosts.h"
#include "fix_entsym_select.h"
#include "fix_entsym_steer.h"
#include "lammps.h"
#include "lammps_abi.h"
#include "polymorph.h"

using namespace LAMMPS_NS;

template <class Base, class Style>
static Base *create(LAMMPS *lmp, int narg, char **arg)
{
  return new Style(lmp, narg, arg);
}

static Command *create_polymorph(LAMMPS *lmp) { return new Polymorph(lmp); }

extern "C" __attribute__((visibility("default"))) void lammpsplugin_init(void *ptr, void *handle,
                                                                         void *regfunc)
{
  auto *lmp = static_cast<LAMMPS *>(ptr);

  // Classes of another version have another layout, and using them would corrupt memory. LAMMPS only
  // warns, so this plugin does not register its styles; an input script then stops at its compute.
  if (std::strcmp(lmp->version, LAMMPS_VERSION) != 0) {
    if (lmp->comm->me == 0)
      lmp->error->warning(FLERR,
                          "entsym plugin not loaded: built for LAMMPS {}, this is LAMMPS {}; "
                          "install entsym again with ENTSYM_LAMMPS_HEADERS set to the src folder "
                          "of this LAMMPS",
                          LAMMPS_VERSION, lmp->version);
    return;
  }

  auto register_style = reinterpret_cast<entsym::RegisterStyle>(regfunc);
  entsym::PluginStyle plugin{};
  plugin.version = LAMMPS_VERSION;
  plugin.style = "compute";
  plugin.author = "the entsym developers";
  plugin.handle = handle;

  plugin.name = "entsym";
  plugin.info = "entsym: pair entropy and global bond order";
  plugin.creator = reinterpret_cast<void *>(&create<Compute, ComputeEntsym>);
  register_style(&plugin, lmp);

  plugin.name = "entsym/atom";
  plugin.info = "entsym/atom: local pair entropy and bond order";
  plugin.creator = reinterpret_cast<void *>(&create<Compute, ComputeEntsymAtom>);
  register_style(&plugin, lmp);

  plugin.style = "fix";
  plugin.name = "ENTSYM/GHOSTS";
  plugin.info = "ENTSYM/GHOSTS: of the computes, not for decks";
  plugin.creator = reinterpret_cast<void *>(&create<Fix, FixEntsymGhosts>);
  register_style(&plugin, lmp);

  plugin.name = "entsym/select";
  plugin.info = "entsym/select: configurations spread evenly over the landscape";
  plugin.creator = reinterpret_cast<void *>(&create<Fix, FixEntsymSelect>);
  register_style(&plugin, lmp);

  plugin.name = "entsym/steer";
  plugin.info = "entsym/steer: restraints and metadynamics on the landscape";
  plugin.creator = reinterpret_cast<void *>(&create<Fix, FixEntsymSteer>);
  register_style(&plugin, lmp);

  plugin.style = "command";
  plugin.name = "polymorph";
  plugin.info = "polymorph: structures bred towards points of the landscape";
  plugin.creator = reinterpret_cast<void *>(&create_polymorph);
  register_style(&plugin, lmp);
}
