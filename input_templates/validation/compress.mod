# SPDX-License-Identifier: BSD-3-Clause
# No need to change. Sets the relaxed cell to x of its volume. For hcp, c/a has the lowest energy, so that
# the pressures along a and c are equal (Newton steps of at most 5 %, from c/a of the last volume).

variable ratio index 1.0
variable steps equal 1
if "${crystal} == hcp" then "variable steps equal 8"
variable newton loop ${steps}
label    newton
variable here equal ${ratio}
variable at index 1.0001 1.0
label    near
variable l equal ${a0}*(v_x/(v_here*v_at))^(1/3)
variable h equal ${c0}*(v_x*(v_here*v_at)^2)^(1/3)
variable t equal xy/lx*v_l
change_box all x final 0 $l y final 0 $(ly/lx*v_l) z final 0 $h xy final $t remap units box
run      0 post no
if       "${at} == 1.0001" then "variable above equal $(pzz-pxx)"
next     at
jump     compress.mod near
variable change equal 1e-4*(pzz-pxx)/(v_above-pzz+pxx)
if       "${steps} > 1" then "variable ratio delete" "variable ratio index $(v_here*(1-v_change*ternary(abs(v_change)>0.05,0.05/abs(v_change),1)))"
next     newton
jump     compress.mod newton
