// SPDX-License-Identifier: BSD-3-Clause
#include "compute_entsym.h"

#include <algorithm>

#include "comm.h"
#include "memory.h"
#include "modify.h"
#include "update.h"

using namespace LAMMPS_NS;

/* ---------------------------------------------------------------------- */

ComputeEntsym::ComputeEntsym(LAMMPS *lmp, int narg, char **arg)
    : ComputeEntsymBase(lmp, narg, arg), dlnrho(0.0), atoms{}
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

ComputeEntsym *ComputeEntsym::find(Modify *modify, const std::string &id, const char *lacks,
                                   std::string &reason)
{
  Compute *found = modify->get_compute_by_id(id);
  auto *entsym = dynamic_cast<ComputeEntsym *>(found);
  if (!found)
    reason = fmt::format("compute {} is not defined; define 'compute {} <group> entsym ...' before",
                         id, id);
  else if (!entsym)
    reason = fmt::format("compute {} is of style {}, which {}; use one of style entsym", id,
                         found->style, lacks);
  return entsym;
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

  measure(false);
  spare_step[part] = -1;
  if (ghosts) spare_step[1 - part] = update->ntimestep;
}

/* ----------------------------------------------------------------------
   sS, Q_l and g(r) of the atoms as they are now; with `bonds` q_lm of each atom, for the gradient. They
   need the images on all sides, one rank those of its bonds only; pairs do with half of the images.
------------------------------------------------------------------------- */

void ComputeEntsym::measure(bool bonds)
{
  double *moments = partial.data();
  double *sum = moments + kernel->n_moments();
  const bool alone = comm->nprocs == 1;
  if (bonds) {
    atoms = collect(false, alone ? kernel->parameters().q_cutoff : cutoff);
    const std::size_t components = kernel->n_components();
    qlm.resize(atoms.n_total * components);    // rows of ghosts are filled by gradients()
    neighbors.resize(atoms.n_total);
    guarded([&] {
      kernel->local_values(atoms, 1.0, nullptr, qlm.data(), neighbors.data(), workspace,
                           comm->nthreads);
    });
    std::fill_n(sum, components, 0.0);
    for (std::size_t i = 0; i < atoms.n_owned; i++)
      for (std::size_t m = 0; m < components; m++) sum[m] += qlm[i * components + m];
  }
  if (!bonds || alone) atoms = collect(true, cutoff);
  sorted = !bonds;
  guarded([&] { kernel->sums(atoms, moments, bonds ? nullptr : sum, workspace, comm->nthreads); });
  partial.back() = static_cast<double>(atoms.n_owned);
  MPI_Allreduce(partial.data(), total.data(), static_cast<int>(partial.size()), MPI_DOUBLE, MPI_SUM,
                world);

  const double natoms = total.back();
  const double density = number_density(natoms);
  guarded([&] {
    const entsym::Entropy entropy =
        kernel->entropy(total.data(), natoms, density, workspace, g.data(), running.data());
    vector[0] = entropy.value;
    dlnrho = entropy.dlnrho;
    vector[1] = kernel->bond_order(total.data() + kernel->n_moments(), natoms);
  });
  for (int k = 0; k < size_array_rows; k++) {
    array[k][1] = g[k];
    array[k][2] = running[k];
  }
}

/* ---------------------------------------------------------------------- */

bigint ComputeEntsym::evaluate_anew(bool bonds)
{
  measure(bonds);
  // for thermo output of this step; a line search moves the atoms within a step
  spare_step[VECTOR] = spare_step[ARRAY] = update->whichflag == 1 ? update->ntimestep : -1;
  return static_cast<bigint>(total.back());
}

/* ---------------------------------------------------------------------- */

void ComputeEntsym::gradients(const double *factor, std::vector<double> &gradient, double *strain)
{
  const bool bonds = factor[1] != 0.0;
  if (bonds && !atoms.owner) share_rows(neighbors, qlm);
  const double natoms = total.back(), density = number_density(natoms);
  const std::size_t n = 3 * atoms.n_owned;
  gradient.resize(n);
  part.resize(n);
  double share[9];
  guarded([&] {
    kernel->gradients(atoms, total.data(), natoms, density,
                      bonds ? total.data() + kernel->n_moments() : nullptr, qlm.data(),
                      neighbors.data(), {gradient.data(), part.data(), strain, share}, workspace,
                      comm->nthreads, sorted);
  });
  for (std::size_t k = 0; k < n; k++) gradient[k] = factor[0] * gradient[k] + factor[1] * part[k];
  for (int k = 0; k < 9; k++) strain[k] = factor[0] * strain[k] + factor[1] * share[k];
  // a strain of the box changes its density
  if (given_density() == 0.0 && comm->me == 0)
    for (int d = 0; d < 3; d++) strain[4 * d] -= factor[0] * dlnrho;
}

/* ---------------------------------------------------------------------- */

double ComputeEntsym::memory_usage()
{
  return ComputeEntsymBase::memory_usage() +
         (partial.capacity() + total.capacity() + g.capacity() + running.capacity() +
          qlm.capacity() + neighbors.capacity() + part.capacity() + 3.0 * size_array_rows) *
             sizeof(double);
}
