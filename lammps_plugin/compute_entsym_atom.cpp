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
    : EntsymCompute(lmp, narg, arg), nmax(0), columns(1 + kernel->n_components()), sharing(false)
{
  peratom_flag = 1;
  size_peratom_cols = 5;
  comm_forward = columns;
}

/* ---------------------------------------------------------------------- */

ComputeEntsymAtom::~ComputeEntsymAtom() { memory->destroy(array_atom); }

/* ---------------------------------------------------------------------- */

void ComputeEntsymAtom::compute_peratom()
{
  invoked_peratom = update->ntimestep;

  if (atom->nmax > nmax) {
    nmax = atom->nmax;
    memory->destroy(array_atom);
    memory->create(array_atom, nmax, size_peratom_cols, "entsym/atom:array_atom");
  }

  const entsym::Atoms atoms = collect();
  const double owned = static_cast<double>(atoms.n_owned);
  double natoms = 0.0;
  MPI_Allreduce(&owned, &natoms, 1, MPI_DOUBLE, MPI_SUM, world);
  const double density = number_density(natoms);

  const int components = columns - 1;
  entropy.resize(atoms.n_owned);
  qlm.resize(atoms.n_owned * components);
  neighbors.resize(atoms.n_owned);
  values.resize(atoms.n_total * columns);
  means.resize(atoms.n_owned * columns);

  guarded([&] {
    kernel->local_entropy(atoms, density, entropy.data(), workspace, comm->nthreads);
    kernel->local_bonds(atoms, qlm.data(), neighbors.data(), workspace, comm->nthreads);
  });
  for (std::size_t k = 0; k < atoms.n_owned; k++) {
    values[k * columns] = entropy[k];
    std::copy_n(&qlm[k * components], components, &values[k * columns + 1]);
  }
  sharing = true;
  if (ghosts) comm->forward_comm(this);
  sharing = false;
  guarded([&] {
    kernel->neighbor_mean(atoms, values.data(), columns, means.data(), workspace, comm->nthreads);
  });

  for (int i = 0; i < atom->nlocal; i++) {
    const int k = row_of(i);
    double *out = array_atom[i];
    if (k < 0) {
      std::fill_n(out, size_peratom_cols, 0.0);
      continue;
    }
    out[0] = entropy[k];
    out[1] = kernel->bond_order(&qlm[k * components]);
    out[2] = means[k * columns];
    out[3] = kernel->bond_order(&means[k * columns + 1]);
    out[4] = neighbors[k];
  }
}

/* ---------------------------------------------------------------------- */

int ComputeEntsymAtom::pack_forward_comm(int n, int *list, double *buf, int pbc_flag, int *pbc)
{
  if (!sharing) return EntsymCompute::pack_forward_comm(n, list, buf, pbc_flag, pbc);
  double *out = buf;
  for (int k = 0; k < n; k++, out += columns) {
    const int r = row_of(list[k]);
    if (r < 0) std::fill_n(out, columns, 0.0);
    else std::copy_n(&values[static_cast<std::size_t>(r) * columns], columns, out);
  }
  return n * columns;
}

/* ---------------------------------------------------------------------- */

void ComputeEntsymAtom::unpack_forward_comm(int n, int first, double *buf)
{
  if (!sharing) return EntsymCompute::unpack_forward_comm(n, first, buf);
  for (int k = 0; k < n; k++) {
    const int r = row_of(first + k);
    if (r >= 0)
      std::copy_n(buf + k * columns, columns, &values[static_cast<std::size_t>(r) * columns]);
  }
}

/* ---------------------------------------------------------------------- */

double ComputeEntsymAtom::memory_usage()
{
  return EntsymCompute::memory_usage() +
         (static_cast<double>(nmax) * size_peratom_cols + entropy.capacity() + qlm.capacity() +
          neighbors.capacity() + values.capacity() + means.capacity()) *
             sizeof(double);
}
