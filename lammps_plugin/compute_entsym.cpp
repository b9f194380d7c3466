// SPDX-License-Identifier: BSD-3-Clause
#include "compute_entsym.h"

#include "comm.h"
#include "memory.h"
#include "update.h"

using namespace LAMMPS_NS;

/* ---------------------------------------------------------------------- */

ComputeEntsym::ComputeEntsym(LAMMPS *lmp, int narg, char **arg) : ComputeEntsymBase(lmp, narg, arg)
{
  vector_flag = 1;
  size_vector = 2;
  extvector = 0;
  array_flag = 1;
  size_array_rows = kernel->n_grid();
  size_array_cols = 3;
  extarray = 0;

  vector = new double[size_vector];
  memory->create(array, size_array_rows, size_array_cols, "entsym:array");
  for (int k = 0; k < size_array_rows; k++) array[k][0] = k * kernel->parameters().dr;
  g.resize(size_array_rows);
  running.resize(size_array_rows);
  partial.resize(kernel->n_moments() + kernel->n_components() + 1);
  total.resize(partial.size());
  spare_step[VECTOR] = spare_step[ARRAY] = -1;
}

/* ---------------------------------------------------------------------- */

ComputeEntsym::~ComputeEntsym()
{
  delete[] vector;
  memory->destroy(array);
}

/* ---------------------------------------------------------------------- */

void ComputeEntsym::set_ghosts(bool complete)
{
  ComputeEntsymBase::set_ghosts(complete);
  spare_step[VECTOR] = spare_step[ARRAY] = -1;    // the same step may come again with other atoms
}

/* ---------------------------------------------------------------------- */

void ComputeEntsym::compute_vector()
{
  evaluate(VECTOR);
  invoked_vector = evaluated_step();
}

/* ---------------------------------------------------------------------- */

void ComputeEntsym::compute_array()
{
  evaluate(ARRAY);
  invoked_array = evaluated_step();
}

/* ----------------------------------------------------------------------
   one evaluation fills vector and array; the part that was not asked for serves the next request for
   it in the same step of a run, once
------------------------------------------------------------------------- */

void ComputeEntsym::evaluate(Part part)
{
  if (spare_step[part] == update->ntimestep) {
    spare_step[part] = -1;
    return;
  }

  const entsym::Atoms atoms = collect(true);
  double *moments = partial.data();
  double *qlm = moments + kernel->n_moments();
  guarded([&] { kernel->sums(atoms, moments, qlm, workspace, comm->nthreads); });
  partial.back() = static_cast<double>(atoms.n_owned);
  MPI_Allreduce(partial.data(), total.data(), static_cast<int>(partial.size()), MPI_DOUBLE, MPI_SUM,
                world);

  const double natoms = total.back();
  const double density = number_density(natoms);
  guarded([&] {
    vector[0] =
        kernel->entropy(total.data(), natoms, density, workspace, g.data(), running.data()).value;
    vector[1] = kernel->bond_order(total.data() + kernel->n_moments(), natoms);
  });
  for (int k = 0; k < size_array_rows; k++) {
    array[k][1] = g[k];
    array[k][2] = running[k];
  }
  spare_step[part] = -1;
  if (ghosts) spare_step[1 - part] = update->ntimestep;
}

/* ---------------------------------------------------------------------- */

double ComputeEntsym::memory_usage()
{
  return ComputeEntsymBase::memory_usage() + (partial.capacity() + total.capacity() + g.capacity() +
                                              running.capacity() + 3.0 * size_array_rows) *
                                                 sizeof(double);
}
