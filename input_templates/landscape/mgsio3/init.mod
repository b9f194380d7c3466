# SPDX-License-Identifier: BSD-3-Clause
# Structure of in.mgsio3, perovskite (Pbnm) with vacancies; edit to your material.
#
#   -var       default  unit  meaning
#   nx         2              cells of 20 atoms along a
#   ny         2              along b
#   nz         4              along c, the direction in which the slab melts: 2 x 2 x 4 cells are 320 atoms
#   vacancies  1              formula units that are taken out, an ion at a time: neutral
#   places     4711           seed of which ions
#
# Lattice constants 4.775, 4.929, 6.897 Å and positions: H. Horiuchi, E. Ito and D. J. Weidner,
# Am. Mineral. 72, 357 (1987), rounded; the deck minimises them.

variable nx        index 2
variable ny        index 2
variable nz        index 4
variable vacancies index 1
variable places    index 4711

units      metal
atom_style charge
boundary   p p p

# 4 Mg, 4 Si, 12 O
lattice custom 1.0 a1 4.775 0 0 a2 0 4.929 0 a3 0 0 6.897 &
  basis 0.5131 0.5562 0.25   basis 0.4869 0.4438 0.75 &
  basis 0.0131 0.9438 0.75   basis 0.9869 0.0562 0.25 &
  basis 0.5    0      0.5    basis 0      0.5    0.5 &
  basis 0.5    0      0      basis 0      0.5    0 &
  basis 0.1023 0.4664 0.25   basis 0.8977 0.5336 0.75 &
  basis 0.6023 0.0336 0.75   basis 0.3977 0.9664 0.25 &
  basis 0.1961 0.2014 0.5531 basis 0.8039 0.7986 0.4469 &
  basis 0.6961 0.2986 0.4469 basis 0.3039 0.7014 0.5531 &
  basis 0.8039 0.7986 0.0531 basis 0.1961 0.2014 0.9469 &
  basis 0.3039 0.7014 0.9469 basis 0.6961 0.2986 0.0531
region       box block 0 ${nx} 0 ${ny} 0 ${nz}
create_box   3 box
create_atoms 3 box basis 1 1 basis 2 1 basis 3 1 basis 4 1 basis 5 2 basis 6 2 basis 7 2 basis 8 2
mass         1 24.305
mass         2 28.085
mass         3 15.999

group     Mg type 1
group     Si type 2
group     O  type 3
if "${vacancies} > 0" then &
  "delete_atoms random count ${vacancies} yes Mg NULL ${places}" &
  "delete_atoms random count ${vacancies} yes Si NULL ${places}" &
  "delete_atoms random count $(3*v_vacancies) yes O NULL ${places}"
