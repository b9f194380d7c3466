# SPDX-License-Identifier: BSD-3-Clause
"""The C++ kernel as Cython sees it; shapes and units stand in the headers."""


cdef extern from "entsym/parameters.hpp" namespace "entsym" nogil:
    cdef cppclass Parameters:
        double rmax, sigma, dr, q_cutoff, smooth
        int degree
        double pair_cutoff()
        int n_grid()


cdef extern from "entsym/kernel.hpp" namespace "entsym" nogil:
    cdef cppclass CppKernel "entsym::Kernel":
        CppKernel(const Parameters &) except +
        const Parameters &parameters()
        double pair_cutoff()
        int n_grid()
        @staticmethod
        const char *isa()


cdef extern from "entsym/periodic.hpp" namespace "entsym" nogil:
    cdef cppclass PeriodicWorkspace:
        PeriodicWorkspace() except +

    cdef cppclass Structure:
        const double *positions
        size_t n_atoms
        const double *cell
        const unsigned char *pbc
        double density

    cdef cppclass Local:
        double *entropy
        double *bond_order
        double *mean_entropy
        double *mean_bond_order
        double *n_neighbors

    cdef cppclass Gradients:
        double *entropy
        double *bond_order
        double *entropy_strain
        double *bond_order_strain

    void evaluate(const CppKernel &, const Structure &, double *, PeriodicWorkspace &, int,
                  double *, double *) except +
    void evaluate_local(const CppKernel &, const Structure &, const Local &, PeriodicWorkspace &,
                        int) except +
    void evaluate_gradients(const CppKernel &, const Structure &, double *, const Gradients &,
                            PeriodicWorkspace &, int) except +
    void evaluate_batch(const CppKernel &, const Structure *, size_t, double *, int) except +
    double count_pairs(const CppKernel &, const Structure &, PeriodicWorkspace &) except +
