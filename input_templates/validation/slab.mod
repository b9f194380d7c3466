# SPDX-License-Identifier: BSD-3-Clause
# No need to change. A slab of 21 (111) planes of fcc, x along [1-10], y along [11-2], of the lattice
# constant a0; two atoms a plane.

lattice  fcc ${a0} orient x 1 -1 0 orient y 1 1 -2 orient z 1 1 1
variable h equal ${a0}*sqrt(3)
region   box block 0 $(v_a0/sqrt(2)) 0 $(v_a0*sqrt(1.5)) 0 $(7*v_h+v_vacuum) units box
region   slab block -9 9 -9 9 -0.1 $(7*v_h-0.1) units box
create_box   1 box
create_atoms 1 region slab
include  potential.mod
min_modify dmax 0.1
thermo_style custom step pe
