# SPDX-License-Identifier: BSD-3-Clause
"""The codes: GPAW, ABINIT and Quantum ESPRESSO if installed; VASP by a program in its place."""

import gzip
import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT

from ase_calculators.autodft import AutoDFT, DFTSettings, virial, worker

pytest.importorskip("dpdata", reason="pip install 'entsym[dft]'")
ROUGH = {"cutoff": 200.0, "k_spacing": 0.15}

# A program that reads VASP's input and writes the output that ASE reads, with EMT's numbers.
VASP = """#!{python}
import os, sys
from ase.calculators.emt import EMT
from ase.io import read
from ase.units import GPa
atoms = read("POSCAR")
incar = dict(line.split("=") for line in open("INCAR") if "=" in line)
incar = {{name.strip(): value.strip() for name, value in incar.items()}}
assert "PAW_PBE" in open("POTCAR").read() and "Gamma" in open("KPOINTS").read()
with open(os.environ["SEEN"], "a") as file:
    file.write(repr((incar, open("KPOINTS").read().split(), open("POTCAR").read(), sys.argv)))
    file.write(chr(10))
atoms.calc = EMT()
energy = atoms.get_potential_energy()
def array(name, rows):
    rows = "".join("<v>" + " ".join("%.16f" % x for x in row) + "</v>" for row in rows)
    return f'<varray name="{{name}}">' + rows + "</varray>"
energies = "<energy>" + "".join(
    f'<i name="{{n}}">{{energy + d:.16f}}</i>'
    for n, d in (("e_fr_energy", 0), ("e_wo_entrp", 0.2), ("e_0_energy", 0.1))) + "</energy>"
structure = "<crystal>" + array("basis", atoms.cell) + "</crystal>" + array(
    "positions", atoms.get_scaled_positions(wrap=False))
kinds = "".join(f"<rc><c>{{s}}</c><c>1</c></rc>" for s in atoms.get_chemical_symbols())
open("vasprun.xml", "w").write(
    "<modeling><kpoints>" + array("kpointlist", [[0, 0, 0]]) + array("weights", [[1]])
    + "</kpoints><atominfo><atoms>" + str(len(atoms)) + '</atoms><array name="atoms"><set>' + kinds
    + '</set></array></atominfo><structure name="initialpos">' + structure + "</structure>"
    "<calculation><scstep>" + energies + "</scstep><structure>" + structure + "</structure>"
    + array("forces", atoms.get_forces())
    + array("stress", -atoms.get_stress(voigt=False) / (0.1 * GPa)) + energies
    + "</calculation></modeling>")
done = incar.get("ALGO") == os.environ.get("NEEDS", "") or "NEEDS" not in os.environ
open("OUTCAR", "w").write(" vasp.6.4.3 19Mar24\\n   NELM   = 60\\n   EDIFF  = 0.1E-05\\n"
    " Iteration      1(   1)\\n"
    + ("aborting loop because EDIFF is reached\\n" if done else "")
    + " General timing and accounting:\\n")
open("CONTCAR", "w").write(open("POSCAR").read())
"""


@pytest.fixture
def vasp(tmp_path):
    """Return a machine with that program and a tree of POTCARs."""
    program = tmp_path / "vasp_std"
    program.write_text(VASP.format(python=sys.executable))
    program.chmod(0o755)
    for name in ("Al", "Cu_pv"):
        folder = tmp_path / "pot" / "potpaw_PBE" / name
        folder.mkdir(parents=True)
        (folder / "POTCAR").write_text(f"  PAW_PBE {name} licensed secret\n")
    return {
        "python": sys.executable,
        "command": f"{program} -x",
        "potentials": str(tmp_path / "pot"),
        "environment": {"SEEN": str(tmp_path / "seen")},
    }


def alloy(seed=1):
    """Return aluminium and copper in mixed order."""
    atoms = bulk("Cu", cubic=True)
    atoms.symbols[[0, 2]] = "Al"
    atoms.rattle(0.1, seed=seed)
    return atoms


def test_vasp(vasp, tmp_path):
    settings = DFTSettings.paper("vasp", pseudopotentials={"Cu": "_pv"}, options={"ncore": 4})
    dft = AutoDFT(tmp_path / "l.db", settings, {"m": vasp}, poll=0.1)
    frame = alloy()
    dft.add([frame])
    dft.run()
    assert dft.failures() == []
    (label,) = dft.labelled()
    frame.calc = EMT()
    # the free energy, and atoms in the order of the frame, not of POSCAR
    assert label.get_potential_energy() == pytest.approx(frame.get_potential_energy(), abs=1e-8)
    assert label.info["energy_zero"] == pytest.approx(frame.get_potential_energy() + 0.1, abs=1e-8)
    np.testing.assert_allclose(label.get_forces(), frame.get_forces(), atol=1e-6)
    np.testing.assert_allclose(label.get_stress(), frame.get_stress(), atol=1e-6)
    assert label.info["version"] == "vasp.6.4.3"
    incar, kpoints, potcar, argv = eval((tmp_path / "seen").read_text())
    assert float(incar["ENCUT"]) == 600 and float(incar["EDIFF"]) == 1e-6
    assert (incar["ISMEAR"], incar["NSW"], incar["ISPIN"], incar["NCORE"]) == ("0", "0", "1", "4")
    assert "KSPACING" not in incar and float(incar["SIGMA"]) == 0.05
    mesh = settings.mesh(frame)
    assert [int(n) for n in kpoints[kpoints.index("Gamma") + 1 :][:3]] == list(mesh)
    assert "PAW_PBE Al" in potcar and "PAW_PBE Cu_pv" in potcar and argv[1:] == ["-x"]
    # only the hashes of licensed files are kept
    assert len(json.loads(label.info["pseudopotentials"])["Al"]) == 64
    for path in tmp_path.rglob("l.db*/**/*"):
        assert not path.is_file() or b"licensed secret" not in path.read_bytes(), path


def test_vasp_that_does_not_converge_climbs_the_ladder(vasp, tmp_path):
    vasp["environment"]["NEEDS"] = "All"
    dft = AutoDFT(tmp_path / "l.db", DFTSettings.paper("vasp"), {"m": vasp}, poll=0.1)
    dft.add([bulk("Al")])
    dft.run()
    (label,) = dft.labelled()
    assert label.info["rung"] == 2 and json.loads(label.info["changed"])["algo"] == "All"
    assert ["did not converge" in f["reason"] for f in dft.failures()] == [True, True]


@pytest.mark.parametrize("name", ["OUTCAR", "vasprun.xml"])
def test_killed_vasp_is_reported_and_gives_no_label(vasp, tmp_path, monkeypatch, name):
    """Its files end anywhere, and the program that started it returns 0, as some mpirun do."""
    program = Path(vasp["command"].split()[0])
    program.write_text(
        program.read_text()
        + "share = float(os.environ['SHARE'])\n"
        + f"text = open('{name}').read()\n"
        + f"open('{name}', 'w').write(text[:int(share * len(text))])\n"
    )
    frame = bulk("Al")
    settings = json.loads(DFTSettings.paper("vasp").to_json())
    job = {"code": "vasp", "settings": settings, "command": [str(program)],
           "potentials": vasp["potentials"], "pseudopotentials": {}}  # fmt: skip
    task = {"rung": 0, "mesh": [1, 1, 1], "numbers": [13], "positions": [[0.0, 0, 0]],
            "cell": frame.cell.array.tolist(), "pbc": [True] * 3, "magmoms": None}  # fmt: skip
    monkeypatch.setenv("SEEN", vasp["environment"]["SEEN"])
    for number, share in enumerate((1.0, 0.0, 0.5, 0.93)):
        folder = tmp_path / str(number)
        folder.mkdir()
        monkeypatch.chdir(folder)
        monkeypatch.setenv("SHARE", str(share))
        if share == 1.0:
            frame.calc = EMT()
            energy = worker.label(task, job)["energy"]
            assert energy == pytest.approx(frame.get_potential_energy(), abs=1e-8)
            continue
        with pytest.raises(RuntimeError, match=f"^{name} ended before the code did: it was killed"):
            worker.label(task, job)


def test_missing_potcar_names_the_elements(vasp, tmp_path):
    dft = AutoDFT(tmp_path / "l.db", DFTSettings.paper("vasp"), {"m": vasp}, poll=0.1)
    dft.add([alloy(), bulk("Al"), Atoms("Fe", cell=[3, 3, 3], pbc=True)])
    status = dft.run()
    assert status.states["done"] == 1 and status.states["given up"] == 2
    reasons = sorted(status.reasons)
    assert "none of vasp for Cu (" in reasons[0] and "potpaw_PBE/Cu/POTCAR" in reasons[0]
    assert "none of vasp for Fe (" in reasons[1]
    assert len(dft.failures()) == 2  # not tried again


def test_changed_pseudopotential_is_not_mixed_in(vasp, tmp_path):
    """No frame is calculated with a POTCAR that differs from that of the existing labels."""
    machines = {"m": vasp}
    dft = AutoDFT(tmp_path / "l.db", DFTSettings.paper("vasp"), machines, poll=0.1)
    dft.add([bulk("Al")])
    dft.run()
    potcar = tmp_path / "pot" / "potpaw_PBE" / "Al" / "POTCAR"
    licensed = potcar.read_text()
    potcar.write_text("  PAW_PBE Al of another year\n")
    other = bulk("Al", a=4.1)
    dft.add([other])
    with pytest.raises(RuntimeError, match=r"differ from the ledger's labels for Al \("):
        dft.run()
    assert len((tmp_path / "seen").read_text().splitlines()) == 1
    assert dft.status().states["waiting"] == 1
    potcar.write_text(licensed)
    assert dft.run().states["done"] == 2
    assert len({label.info["pseudopotentials"] for label in dft.labelled()}) == 1


def test_two_machines_with_other_pseudopotentials_at_once(vasp, tmp_path):
    """Neither has labels when both start; the first label decides."""
    shutil.copytree(tmp_path / "pot", tmp_path / "pot2")
    (tmp_path / "pot2" / "potpaw_PBE" / "Al" / "POTCAR").write_text("  PAW_PBE Al otherwise\n")
    second = {**vasp, "potentials": str(tmp_path / "pot2"), "root": "jobs2"}
    machines = {"a": {**vasp, "frames": 1}, "b": {**second, "frames": 1}}
    dft = AutoDFT(tmp_path / "l.db", DFTSettings.paper("vasp"), machines, poll=0.1)
    dft.add([bulk("Al", a=4.0 + 0.01 * number) for number in range(4)])
    status = dft.run()
    assert status.states["done"] == 4 and len(status.machines) == 1
    assert len({label.info["pseudopotentials"] for label in dft.labelled()}) == 1
    assert dft.failures() == []


@pytest.mark.parametrize("code", ["vasp", "espresso", "abinit"])
def test_code_that_is_not_installed(tmp_path, code):
    machine = {"python": sys.executable, "command": "/no/such/program"}
    dft = AutoDFT(tmp_path / "l.db", DFTSettings.paper(code), {"m": machine}, poll=0.1)
    dft.add([bulk("Al")])
    with pytest.raises(RuntimeError, match=rf"m: {code}: '/no/such/program' is not installed here"):
        dft.run()


def silicon():
    """Return a cell of two rattled atoms."""
    atoms = bulk("Si")
    atoms.rattle(0.05, seed=1)
    return atoms


@pytest.fixture(scope="module")
def gpaw_label(tmp_path_factory):
    """Return silicon labelled by GPAW, and the settings."""
    pytest.importorskip("gpaw", reason="install GPAW as input_templates/autodft/README.md says")
    folder = tmp_path_factory.mktemp("gpaw")
    machine = {"python": sys.executable, "environment": {"OMP_NUM_THREADS": 1}}
    settings = DFTSettings.paper("gpaw", **ROUGH)
    dft = AutoDFT(folder / "l.db", settings, {"m": machine}, poll=0.1)
    dft.add([silicon(), Atoms("Pu2", [[0, 0, 0], [2, 2, 2]], cell=[4, 4, 4], pbc=True)])
    dft.run()
    return dft, settings


def test_gpaw_is_what_a_direct_calculation_gives(gpaw_label):
    from gpaw import GPAW

    dft, settings = gpaw_label
    (label,) = dft.labelled()
    atoms = silicon()
    atoms.calc = GPAW(
        mode={"name": "pw", "ecut": 200.0}, xc="PBE", txt=None,
        kpts={"size": settings.mesh(atoms), "gamma": True},
        occupations={"name": "methfessel-paxton", "order": 0, "width": 0.05},
        convergence={"energy": 1e-8},
    )  # fmt: skip
    energy = atoms.get_potential_energy(force_consistent=True)
    assert label.get_potential_energy() == pytest.approx(energy, abs=2e-5)
    np.testing.assert_allclose(label.get_forces(), atoms.get_forces(), atol=2e-3)
    np.testing.assert_allclose(label.get_stress(), atoms.get_stress(), atol=2e-4)
    assert np.abs(virial(label)).max() > 0.5
    assert label.info["version"].startswith("gpaw ")


def test_gpaw_names_the_element_without_a_paw_set(gpaw_label):
    dft, _ = gpaw_label
    assert dft.status().states["given up"] == 1
    assert "PAW set: none of gpaw for Pu in PBE" in next(iter(dft.status().reasons))


@pytest.fixture
def paw_data(tmp_path):
    """Unpack GPAW's PAW sets for ABINIT; return a machine that uses them."""
    gpaw = pytest.importorskip(
        "gpaw", reason="install GPAW as input_templates/autodft/README.md says"
    )

    for folder in gpaw.setup_paths:
        for element in ("Al", "Si"):
            for packed in Path(folder).glob(f"{element}.PBE.gz"):
                (tmp_path / f"{element}.xml").write_bytes(gzip.decompress(packed.read_bytes()))
    return {"python": sys.executable, "potentials": str(tmp_path),
            "environment": {"OMP_NUM_THREADS": 1}}  # fmt: skip


@pytest.mark.skipif(shutil.which("abinit") is None, reason="apt-get install abinit")
def test_abinit_agrees_with_gpaw_on_the_same_paw_data(gpaw_label, paw_data, tmp_path):
    dft = AutoDFT(
        tmp_path / "l.db", DFTSettings.paper("abinit", **ROUGH), {"m": paw_data}, poll=0.1
    )
    dft.add([silicon()])
    dft.run()
    assert dft.failures() == []
    (label,), (other,) = dft.labelled(), gpaw_label[0].labelled()
    # 200 eV: the two interpolate densities differently
    np.testing.assert_allclose(label.get_forces(), other.get_forces(), atol=0.05)
    np.testing.assert_allclose(label.get_stress(), other.get_stress(), atol=2e-3)
    assert "ABINIT" in label.info["version"]
    assert label.info["pseudopotentials"] == other.info["pseudopotentials"]


@pytest.mark.skipif(shutil.which("abinit") is None, reason="apt-get install abinit")
def test_abinits_energy_is_the_one_that_is_converged(paw_data, tmp_path):
    """Another mixing gives the same to the tolerance; ABINIT's direct sum differs by 1e-4 eV."""
    pytest.importorskip("gpaw", reason="install GPAW as input_templates/autodft/README.md says")
    energies, gaps = [], []
    rough = {"cutoff": 200.0, "k_spacing": 0.2, "smearing": 0.3}
    for code, options in (("abinit", {}), ("abinit", {"diemix": 0.3}), ("gpaw", {})):
        settings = DFTSettings.paper(code, options=options, **rough)
        machine = paw_data if code == "abinit" else {**paw_data, "potentials": ""}
        dft = AutoDFT(tmp_path / "l.db", settings, {code: machine}, poll=0.1)
        dft.add([bulk("Al")])
        dft.run()
        (label,) = dft.labelled()
        energies.append(label.get_potential_energy())
        gaps.append(label.info["energy_zero"] - energies[-1])
    assert energies[0] == pytest.approx(energies[1], abs=1e-6)
    # -TS/2 of a metal, 22 meV: the same smearing in both codes
    assert gaps[0] == pytest.approx(gaps[2], abs=1e-4) and gaps[2] > 0.02


PSEUDO = Path("/usr/share/espresso/pseudo")  # folder of Debian's quantum-espresso-data


@pytest.mark.skipif(
    shutil.which("pw.x") is None or not (PSEUDO / "Si.pbe-rrkj.UPF").is_file(),
    reason="apt-get install quantum-espresso quantum-espresso-data",
)
def test_espresso(gpaw_label, tmp_path):
    """Silicon by Quantum ESPRESSO, next to GPAW; an element without a file is named."""
    settings = DFTSettings.paper(
        "espresso",
        **ROUGH,
        pseudopotentials={"Si": "Si.pbe-rrkj.UPF"},
        options={"mixing_beta": 0.5},
    )
    machine = {"python": sys.executable, "potentials": str(PSEUDO),
               "environment": {"OMP_NUM_THREADS": 1}}  # fmt: skip
    dft = AutoDFT(tmp_path / "l.db", settings, {"m": machine}, poll=0.1)
    dft.add([silicon(), Atoms("Pu", cell=[4, 4, 4], pbc=True)])
    status = dft.run()
    assert "none of espresso for Pu" in next(iter(status.reasons))
    (label,), (other,) = dft.labelled(), gpaw_label[0].labelled()
    # another pseudopotential: stresses shift by Pulay's, 1 GPa at 200 eV, but not their deviator
    np.testing.assert_allclose(label.get_forces(), other.get_forces(), atol=0.05)
    shear = [atoms.get_stress(voigt=False) - np.eye(3) * np.trace(atoms.get_stress(voigt=False)) / 3
             for atoms in (label, other)]  # fmt: skip
    np.testing.assert_allclose(*shear, atol=2e-3)
    np.testing.assert_allclose(label.get_stress()[:3], other.get_stress()[:3], atol=0.01)
    assert label.info["version"].startswith("PWSCF")
    # smearing hardly affects a semiconductor: F and its extrapolation agree
    assert 0 < label.info["energy_zero"] - label.get_potential_energy() < 5e-3
    (given,) = (tmp_path / "l.db.files").rglob("espresso.pwi")
    words = given.read_text().split()
    assert float(words[words.index("ecutwfc") + 2]) == pytest.approx(200 / 13.605693, rel=1e-6)
    mesh = words.index("K_POINTS") + 2
    assert [int(word) for word in words[mesh : mesh + 6]] == [*settings.mesh(silicon()), 0, 0, 0]
