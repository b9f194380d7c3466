// SPDX-License-Identifier: BSD-3-Clause
#include "compute_entsym_atom.h"

#include <algorithm>

#include "atom.h"
#include "comm.h"
#include "memory.h"
#include "update.h"

using namespace LAMMPS_NS;

/* ---------------------------------------------------------------------- */

ComputeEntsymAtom::ComputeEntsymAtom(LAMMPS *lmp, int narg, char **arg)
    : ComputeEntsymBase(lmp, narg, arg), nmax(0), components(kernel->n_components())
{
  peratom_flag = 1;
  size_peratom_cols = 5;
}

/* ---------------------------------------------------------------------- */

ComputeEntsymAtom::~ComputeEntsymAtom() { memory->destroy(array_atom); }

/* ---------------------------------------------------------------------- */

void ComputeEntsymAtom::compute_peratom()
{
  if (atom->nmax > nmax) {
    nmax = atom->nmax;
    memory->destroy(array_atom);
    memory->create(array_atom, nmax, size_peratom_cols, "entsym/atom:array_atom");
  }

  const entsym::Atoms atoms = collect(false, cutoff);
  invoked_peratom = evaluated_step();
  const double owned = static_cast<double>(atoms.n_owned);
  double natoms = 0.0;
  MPI_Allreduce(&owned, &natoms, 1, MPI_DOUBLE, MPI_SUM, world);
  const double density = number_density(natoms);

  entropy.resize(atoms.n_total);
  qlm.resize(atoms.n_total * components);
  neighbors.resize(atoms.n_owned);
  mean_entropy.resize(atoms.n_owned);
  mean_order.resize(atoms.n_owned);

  guarded([&] {
    kernel->local_values(atoms, density, entropy.data(), qlm.data(), neighbors.data(), workspace,
                         comm->nthreads);
  });
  share_rows(entropy, qlm);
  guarded([&] {
    kernel->neighbor_means(atoms, entropy.data(), qlm.data(), mean_entropy.data(),
                           mean_order.data(), workspace, comm->nthreads);
  });

  for (int i = 0; i < atom->nlocal; i++) {
    const int k = row_of(i);
    double *out = array_atom[i];
    if (k < 0) {
      std::fill_n(out, size_peratom_cols, 0.0);
      continue;
    }
    out[0] = entropy[k];
    out[1] = kernel->bond_order(&qlm[static_cast<std::size_t>(k) * components]);
    out[2] = mean_entropy[k];
    out[3] = mean_order[k];
    out[4] = neighbors[k];
  }
}

/* ---------------------------------------------------------------------- */

double ComputeEntsymAtom::memory_usage()
{
  return ComputeEntsymBase::memory_usage() +
         (static_cast<double>(nmax) * size_peratom_cols + entropy.capacity() + qlm.capacity() +
          neighbors.capacity() + mean_entropy.capacity() + mean_order.capacity()) *
             sizeof(double);
}
