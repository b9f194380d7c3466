# SPDX-License-Identifier: BSD-3-Clause
# Box of carbon between graphite and diamond, for in.phases, in.steer and in.forces: x by y orthogonal cells
# of 12 atoms, with a and c of the hexagonal cell and half the height u of a layer in units of c.

# layers at 1/6, 1/2, 5/6 of c, each of two triangular lattices u c below and above it
lattice  custom 1.0 a1 $a 0 0 a2 0 $(v_a*sqrt(3)) 0 a3 0 0 $c &
  basis 0.0 0.0      $(1/6-v_u)  basis 0.5 0.5      $(1/6-v_u) &
  basis 0.0 $(1/3)   $(1/6+v_u)  basis 0.5 $(5/6)   $(1/6+v_u) &
  basis 0.0 $(1/3)   $(1/2-v_u)  basis 0.5 $(5/6)   $(1/2-v_u) &
  basis 0.0 $(2/3)   $(1/2+v_u)  basis 0.5 $(1/6)   $(1/2+v_u) &
  basis 0.0 $(2/3)   $(5/6-v_u)  basis 0.5 $(1/6)   $(5/6-v_u) &
  basis 0.0 0.0      $(5/6+v_u)  basis 0.5 0.5      $(5/6+v_u)
region   box block 0 $x 0 $y 0 1
create_box 1 box
create_atoms 1 box
mass     1 12.011
