# SPDX-License-Identifier: BSD-3-Clause
# No need to change. Makes a relaxed cell of the crystal, a cube or the two atoms of hcp. Sets a0 and c0
# (Å), v0 (Å^3 per atom) and e0 (eV per atom).

include  init.mod
if "${crystal} == hcp" then &
  "lattice custom ${a} a1 1 0 0 a2 -0.5 $(sqrt(3)/2) 0 a3 0 0 ${c_over_a} basis 0 0 0 basis $(1/3) $(2/3) 0.5" &
  "region cell prism 0 ${a} 0 $(sqrt(3)/2*v_a) 0 $(v_a*v_c_over_a) $(-v_a/2) 0 0 units box" &
  "variable box string 'aniso 0.0 couple xy'" &
else &
  "lattice ${crystal} ${a}" &
  "region cell block 0 1 0 1 0 1" &
  "variable box string 'iso 0.0'"
create_box   1 cell
create_atoms 1 box
include  potential.mod
thermo_style custom step pe press lx lz
# box/relax stops a little early: repeat it
variable again loop 6
label    again
fix      relax all box/relax ${box} vmax 0.001
minimize 0 1e-10 500 5000
unfix    relax
next     again
jump     relax.mod again
run      0 post no
variable a0 equal $(lx)
variable c0 equal $(lz)
variable v0 equal $(vol/atoms)
variable e0 equal $(pe/atoms)
