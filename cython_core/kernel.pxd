# SPDX-License-Identifier: BSD-3-Clause
"""Declarations of the C++ kernel for Cython; shapes and units are in the headers."""

from libc.stdint cimport int16_t, int32_t, int64_t, uint32_t, uint64_t
from libcpp.optional cimport optional
from libcpp.string cimport string
from libcpp.vector cimport vector


cdef extern from "entsym/parameters.hpp" namespace "entsym" nogil:
    cdef cppclass Parameters:
        double rmax, sigma, dr, q_cutoff, smooth
        int degree
        double pair_cutoff()
        int n_grid()

    void check_density "entsym::Parameters::check_density"(double) except +


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
        vector[unsigned int] owner

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


cdef extern from "entsym/mutation.hpp" namespace "entsym" nogil:
    cdef cppclass Genes:
        Genes() except +
        double displacement, rate, volume, shape
        int swaps
        double probability[4]

    cdef cppclass Limits:
        Limits() except +
        vector[double] min_distance
        double min_volume, max_volume, min_angle, max_angle
        vector[unsigned char] frozen
        int attempts
        vector[string] names

    cdef cppclass Population:
        const double *positions
        const double *cells
        const double *values
        const int *species
        size_t n, n_atoms, n_counted
        unsigned char pbc[3]
        double density

    cdef cppclass Target:
        double point[2]
        double extent[2]
        double tolerance

    void check_target "entsym::check"(const Target &) except +

    cdef cppclass Generation:
        size_t n_library
        double fresh
        int steps
        uint64_t seed
        uint64_t stream[3]
        size_t n_children, first
        bint direct

    cdef cppclass Child:
        uint64_t parent
        uint32_t genes, evaluations
        uint32_t rejected[3]
        uint32_t valid

    cdef cppclass CppBreeder "entsym::Breeder":
        CppBreeder(const CppKernel &, const CppKernel &, const Genes &, const Limits &) except +
        void check(const Population &) except +
        @staticmethod
        void check_room(size_t, size_t) except +
        void breed(const Population &, const Target &, const Generation &, double *, double *,
                   double *, Child *, int) except +


cdef extern from "entsym/digits.hpp" namespace "entsym" nogil:
    void append_digits(string &, double)
    string cpp_atom_lines "entsym::atom_lines"(const vector[string] &, const int *, const double *,
                                               size_t) except +
    string cpp_fingerprint "entsym::fingerprint"(const vector[string] &, const int *,
                                                 const double *, const double *, size_t, size_t,
                                                 const unsigned char *) except +


cdef extern from "entsym/text_frames.hpp" namespace "entsym" nogil:
    cdef struct AtomRows:
        double *numbers
        size_t width
        int64_t *ids
        int32_t *kinds

    const char *read_rows(const char *, const char *, size_t, const int *, size_t, bint,
                          const int16_t *, const AtomRows &)
    bint only_blank_lines(const char *, const char *)
    bint order_rows(const int64_t *, size_t, int64_t *) except +

    cdef struct RowText:
        const char *begin
        const char *end
        size_t n

    size_t read_frames(const RowText *, size_t, const int *, size_t, bint, bint, const int16_t *,
                       const AtomRows &, unsigned char *) except +

    cdef cppclass CppXyzCut "entsym::XyzCut":
        size_t at
        vector[size_t] starts
        void scan(const char *, size_t, bint) except +


cdef extern from "<array>" namespace "std" nogil:
    cdef cppclass Names "std::array<std::string, 2>":
        string &operator[](size_t)

    cdef cppclass Point "std::array<double, 2>":
        double &operator[](size_t)


cdef extern from "entsym/bias.hpp" namespace "entsym" nogil:
    cdef cppclass Restraint:
        double constant, centre

    cdef cppclass Schedule:
        Restraint first, last
        int64_t start "from", stop "to"

    cdef cppclass Wall:
        int variable
        bint upper
        double position, constant

    cdef cppclass Metadynamics:
        Metadynamics()
        int every
        double height, temperature, boltzmann, bias_factor
        double width[2]
        double spacing[2]

    cdef cppclass Hill:
        int64_t step
        double centre[2]
        double height

    cdef cppclass Entry:
        Entry(string, string)

    cdef cppclass CppBias "entsym::Bias":
        CppBias(const Names &, const Schedule *, vector[Wall],
                const optional[Metadynamics] &) except +
        bint acts_on(int)
        void begin(int64_t) except +
        double energy(const double *, double *) except +
        const Hill *visit(int64_t, const double *) except +
        void settle(int64_t, const double *)
        const Restraint &restraint(int)
        double work()
        double hill_energy()
        double height()
        double offset()
        size_t n_hills()
        const vector[Hill] &own_hills()
        void define(vector[Entry])
        string header()
        vector[Hill] read(const string &, bint, size_t &, size_t) except +
        vector[double] state()
        bint restore(const vector[double] &) except +
        void add(const vector[Hill] &, bint) except +
        void forget_others() except +

    string hill_line "entsym::Bias::line"(const Hill &)


cdef extern from "entsym/evolution.hpp" namespace "entsym" nogil:
    cdef cppclass Window:
        Point low
        Point high

    cdef cppclass CppGaps "entsym::Gaps":
        CppGaps(const Window &, int) except +
        void add(const double *, size_t)
        bint next(Point &, size_t &)

    cdef cppclass CppEvolution "entsym::Evolution":
        CppEvolution(const Target &, const double *, size_t, int, int, bint,
                     vector[size_t]) except +
        int generation()
        bint done()
        const vector[size_t] &pool()
        void take(const size_t *, const double *, size_t) except +
        size_t n_children()
        size_t hits()
        const Point &nearest()
        double distance()
        size_t best()

    Window cpp_window_of "entsym::window_of"(const double *, size_t, double) except +
    vector[Point] cpp_target_points "entsym::target_points"(const Window &, int, bint) except +
