# SPDX-License-Identifier: BSD-3-Clause
# Keep the output of an interrupted run up to its last restart; in.micropillar calls it.
#
#   awk -v last=5000 -f resume.awk stress_strain.txt     rows up to step 5000
#   awk -v last=5000 -f resume.awk pillar.dump           frames before step 5000, which LAMMPS
#                                                        writes again when it continues
/^ITEM: (UNITS|TIME|TIMESTEP)$/ {
  item = $2
  head = head $0 "\n"
  getline
  head = head $0 "\n"
  if (item == "TIMESTEP") {
    if ($1 >= last) exit
    printf "%s", head
    head = ""
    frame = 1
  }
  next
}
/^#/ { columns = NF - 1 }
# a row cut short may begin like an early step
frame || /^#/ || (NF == columns && $1 <= last)
