# SPDX-License-Identifier: BSD-3-Clause
# No need to change. One relaxed cube of the crystal; leaves a0 (Å) and e0 (eV per atom).

include  init.mod
lattice  ${crystal} ${a}
region   cube block 0 1 0 1 0 1
create_box   1 cube
create_atoms 1 box
include  potential.mod
thermo_style custom step pe press lx
fix      relax all box/relax iso 0.0 vmax 0.001
minimize 0 1e-10 500 5000
unfix    relax
# box/relax stops a little early: three steps of Newton on the pressure
variable newton_step loop 3
label newton
  variable l equal $(lx)
  run 0 post no
  variable p equal $(press)
  variable h equal 1.0001*v_l
  change_box all x final 0 $h y final 0 $h z final 0 $h remap units box
  run 0 post no
  variable slope equal (press-v_p)/(v_h-v_l)
  variable best equal ${l}-${p}/${slope}
  change_box all x final 0 ${best} y final 0 ${best} z final 0 ${best} remap units box
  run 0 post no
next newton_step
jump relax.mod newton
variable a0 equal $(lx)
variable e0 equal $(pe/atoms)
