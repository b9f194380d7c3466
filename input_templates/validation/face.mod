# SPDX-License-Identifier: BSD-3-Clause
# No need to change. Makes a slab with the plane ${face} normal to z, ${repeats} repeat units thick, below
# ${vacuum} Å of vacuum. Sets repeat (Å), the height of a unit, and wide and deep (Å), the periods along x
# and y. The constants a0 and c0 come from relax.mod.
#
#   face                 x        y        repeat unit
#   p100                 [100]    [010]    a
#   p110                 [001]    [1-10]   a sqrt(2)
#   p111                 [1-10]   [11-2]   a sqrt(3)
#   p112, of bcc         [11-1]   [-110]   a sqrt(6)
#   basal, (0001)        [11-20]  [1-100]  c
#   prism1, (10-10)      [11-20]  [0001]   a sqrt(3)
#   prism2, (11-20)      [1-100]  [0001]   a

variable below equal 0.1
if "${face} == p100" then "lattice ${crystal} ${a0}" &
  "variable wide equal ${a0}" "variable deep equal ${a0}" "variable repeat equal ${a0}"
if "${face} == p110" then "lattice ${crystal} ${a0} orient x 0 0 1 orient y 1 -1 0 orient z 1 1 0" &
  "variable wide equal ${a0}" "variable deep equal ${a0}*sqrt(2)" "variable repeat equal ${a0}*sqrt(2)"
if "${face} == p111" then "lattice ${crystal} ${a0} orient x 1 -1 0 orient y 1 1 -2 orient z 1 1 1" &
  "variable wide equal ${a0}*sqrt(2)" "variable deep equal ${a0}*sqrt(6)" "variable repeat equal ${a0}*sqrt(3)"
if "${face} == p111 && ${crystal} == fcc" then &
  "variable wide equal ${a0}/sqrt(2)" "variable deep equal ${a0}*sqrt(1.5)"
if "${face} == p112" then "lattice bcc ${a0} orient x 1 1 -1 orient y -1 1 0 orient z 1 1 2" &
  "variable wide equal ${a0}*sqrt(0.75)" "variable deep equal ${a0}*sqrt(2)" "variable repeat equal ${a0}*sqrt(6)"
# hcp: four atoms in the cell of edges a, a sqrt(3) and c, with axes in the order of the face
if "${face} == basal" then "variable wide equal ${a0}" "variable deep equal ${a0}*sqrt(3)" "variable repeat equal ${c0}" &
  "lattice custom 1.0 a1 $(v_wide) 0 0 a2 0 $(v_deep) 0 a3 0 0 $(v_repeat) basis 0 0 0 basis 0.5 0.5 0 basis 0.5 $(5/6) 0.5 basis 0 $(1/3) 0.5"
if "${face} == prism1" then "variable wide equal ${a0}" "variable deep equal ${c0}" "variable repeat equal ${a0}*sqrt(3)" &
  "lattice custom 1.0 a1 $(v_wide) 0 0 a2 0 $(v_deep) 0 a3 0 0 $(v_repeat) basis 0 0 0 basis 0.5 0 0.5 basis 0.5 0.5 $(5/6) basis 0 0.5 $(1/3)" &
  "variable below equal -$(sqrt(3)/6*v_a0)"
if "${face} == prism2" then "variable wide equal ${a0}*sqrt(3)" "variable deep equal ${c0}" "variable repeat equal ${a0}" &
  "lattice custom 1.0 a1 $(v_wide) 0 0 a2 0 $(v_deep) 0 a3 0 0 $(v_repeat) basis 0 0 0 basis 0.5 0 0.5 basis $(5/6) 0.5 0.5 basis $(1/3) 0.5 0"
variable top equal ${repeats}*${repeat}
region   box block 0 $(v_wide) 0 $(v_deep) $(-v_below) $(v_top-v_below+v_vacuum) units box
region   slab block -99 99 -99 99 $(-v_below) $(v_top-v_below) units box
create_box   1 box
create_atoms 1 region slab
include  potential.mod
min_modify dmax 0.1
thermo_style custom step pe
