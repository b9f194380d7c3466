# SPDX-License-Identifier: BSD-3-Clause
"""What the documentation says about the code, and the site that `make docs` builds.

The site's own tests run where ENTSYM_SITE names it, as `make docs` does.
"""

import csv
import importlib
import json
import os
import pkgutil
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import ase.io
import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.emt import EMT

import ase_calculators
import cython_core
from ase_calculators import (
    EntropySymmetry,
    PolymorphGen,
    map_landscape,
    multi_resolution,
    write_sets,
)

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
TEMPLATES = ROOT / "input_templates"
TUTORIALS = sorted((DOCS / "tutorials").glob("*.md"))
# keys of ASE's extended XYZ itself
OF_THE_FORMAT = {"Lattice", "Properties", "pbc"}


# --- every name has a page ------------------------------------------------------------------------


def public_names():
    """Yield module and name of every entry of an `__all__`, each object once."""
    yield "lammps_plugin", "plugin_folder"
    for package in (cython_core, ase_calculators):
        names = [m.name for m in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")]
        for name in (package.__name__, *names):
            # names of pillar are documented as names of ase_calculators
            if name.endswith(("worker", "pillar")) or "._" in name:
                continue
            try:
                module = importlib.import_module(name)
            except ImportError:  # of an extra
                continue
            # a package says what is public; a module below it lists the same objects again
            if hasattr(module, "__path__"):
                for entry in getattr(module, "__all__", ()):
                    yield name, entry


def names_with_a_page():
    """Return module and name of the entries of docs/api.md."""
    found, module, listing = set(), "", False
    for line in (DOCS / "api.md").read_text(encoding="utf-8").splitlines():
        if match := re.match(r"\.\. currentmodule:: (\S+)", line):
            module = match[1]
        elif match := re.match(r"\.\. py:data:: (\S+)", line):
            found.add((module, match[1]))
        elif line.startswith(".. autosummary::"):
            listing = True
        elif line and not line.startswith(" "):
            listing = False
        elif listing and (match := re.fullmatch(r"   (\w+)", line)):
            found.add((module, match[1]))
    return found


def test_every_public_name_has_an_api_page():
    names = set(public_names())
    assert len(names) > 50
    missing = names - names_with_a_page()
    assert not missing, f"list them in docs/api.md: {sorted(missing)}"


def test_every_api_page_is_of_a_name_that_exists():
    for module, name in names_with_a_page():
        try:
            found = importlib.import_module(module)
        except ImportError as error:
            assert "pip install 'entsym[" in str(error), module  # of an extra
            continue
        assert hasattr(found, name), f"{module}.{name}"


# --- every template has an entry ------------------------------------------------------------------


def index_rows():
    """Return the rows of the index of the templates: picture, folder, line, needs, run time."""
    rows = []
    for line in (TEMPLATES / "README.md").read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        if match := re.match(r"\[\*\*(\S+)\*\*\]\((\S+)\): (.+)", cells[1] if cells[1:] else ""):
            rows.append((cells[0], match[1], match[2], match[3], *cells[2:]))
    return rows


def test_every_template_is_in_the_index():
    folders = {str(p.parent.relative_to(TEMPLATES)) for p in TEMPLATES.glob("*/**/README.md")}
    rows = index_rows()
    assert sorted(row[1] for row in rows) == sorted(folders)
    for picture, folder, link, line, needs, time in rows:
        assert link == f"{folder}/README.md"
        source = re.search(r'<img src="(\S+)" alt="[^"]+"', picture)
        assert source and (TEMPLATES / source[1]).is_file(), picture
        assert line.endswith(".") and needs and re.search(r"\d", time), folder


# --- every key and column is in the page of the file formats --------------------------------------


@pytest.fixture(scope="module")
def formats():
    return (DOCS / "file_formats.md").read_text(encoding="utf-8")


def section(text, heading):
    """Return the part of a page below a heading, up to the next one of its level or above."""
    level = re.search(rf"^(#+) {re.escape(heading)}$", text, re.MULTILINE)
    assert level, heading
    rest = text[level.end() :]
    end = re.search(rf"^#{{1,{len(level[1])}}} ", rest, re.MULTILINE)
    return rest[: end.start()] if end else rest


def documented(text, *headings):
    """Return the names in the first column of the tables below headings."""
    rows = "\n".join(section(text, heading) for heading in headings)
    cells = re.findall(r"^\| (`[^|]+`(?: \(array\))?) \|", rows, re.MULTILINE)
    return {name for cell in cells for name in re.findall(r"`([^`]+)`", cell)}


def written_keys(path):
    """Return the keys of the comment lines of extended XYZ, and names of its arrays."""
    from ase.io.extxyz import key_val_str_to_dict

    keys = set()
    with open(path, encoding="utf-8") as file:
        while head := file.readline():
            info = key_val_str_to_dict(file.readline())
            keys |= set(info) - OF_THE_FORMAT
            keys |= set(info["Properties"].split(":")[::3]) - {"species", "pos"}
            for _ in range(int(head)):
                file.readline()
    assert keys, path
    return keys


PARAMETERS = "Parameters of sS and Q6"


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """Map, select and breed a few small cells; return the folder of the files."""
    folder = tmp_path_factory.mktemp("small")
    frames = [bulk("Al", cubic=True) * (2, 1, 1) for _ in range(6)]
    for seed, atoms in enumerate(frames):
        atoms.rattle(0.05 + 0.05 * seed, seed=seed)
        atoms.calc = EMT()
        atoms.get_potential_energy()
    ase.io.write(folder / "frames.extxyz", frames)
    calc = EntropySymmetry(5.0, 0.2, 3.4, elements="Al", number_density=0.06)
    table = map_landscape(folder / "frames.extxyz", calc, progress=False)
    table.write(folder / "landscape.csv")
    rounds = multi_resolution(table, [(2.0, 0.2), (0.01, 0.001)])
    names = folder / "standard.extxyz", folder / "supplementary.extxyz"
    assert min(write_sets(table, rounds, *names, progress=False)) > 0
    gen = PolymorphGen(frames, calc, targets=[(-2.5, 0.4)], generations=1, individuals=2)
    gen.run(folder / "library.extxyz", progress=False)
    return folder


@pytest.mark.parametrize(
    ("name", "headings"),
    [
        ("standard.extxyz", ["Sets of `write_sets`", PARAMETERS]),
        ("supplementary.extxyz", ["Sets of `write_sets`", PARAMETERS]),
        ("library.extxyz", ["Libraries of `PolymorphGen` and `polymorph`"]),
    ],
)
def test_keys_of_frames(formats, small, name, headings):
    written = written_keys(small / name)
    assert written <= documented(formats, *headings)


def test_parameters_of_a_library(formats, small):
    [first, *_] = ase.io.read(small / "library.extxyz", ":")
    text = section(formats, "Libraries of `PolymorphGen` and `polymorph`")
    settings = first.info["parameters"]
    for key in (*settings, *settings["genes"]):
        assert f"`{key}`" in text, key


def test_keys_of_relabelled_frames(formats, small):
    from ase_calculators.distillation import Committee, relabel

    for limit in (0.1, 1e3):
        relabel(
            small / "frames.extxyz", Committee([EMT(), EMT()]), small / f"labelled{limit}.extxyz",
            max_force=limit, progress=False,
        )  # fmt: skip
    known = documented(formats, "Frames of `relabel`")
    for path in (small / "labelled0.1.rejected.extxyz", small / "labelled1000.0.extxyz"):
        written = {key for key in written_keys(path) if key.startswith("teacher_")}
        assert written and written <= known
    rejected = written_keys(small / "labelled0.1.rejected.extxyz")
    assert {key for key in rejected if key.startswith("teacher_")} == known


def test_keys_of_lammps_frames(formats, tmp_path):
    deck = """
    units metal
    lattice fcc 4.05
    region b block 0 2 0 2 0 2
    create_box 1 b
    create_atoms 1 box
    mass 1 27.0
    pair_style eam/fs
    pair_coeff * * Al_mm.eam.fs Al
    velocity all create 1500 1
    fix n all nve
    compute es all entsym rmax 5 sigma 0.2 q6cut 3.4 density 0.06
    fix s all entsym/select 20 es 0.5 0.05 select.extxyz element Al energy yes
    fix h all entsym/steer es metad 50 0.01 1500 width sS 0.1 file hills
    run 100
    polymorph es library.extxyz element Al parents select.extxyz generations 1 individuals 2 &
      point -2.5 0.4
    """
    (tmp_path / "in.keys").write_text(deck)
    lmp = Path(sys.executable).with_name("lmp")
    done = subprocess.run(
        [lmp, "-in", "in.keys", "-log", "none"], cwd=tmp_path, capture_output=True, text=True
    )
    assert "ERROR" not in done.stdout + done.stderr
    frames = documented(formats, "Frames of `fix entsym/select`", PARAMETERS)
    assert written_keys(tmp_path / "select.extxyz") <= frames
    library = documented(formats, "Libraries of `PolymorphGen` and `polymorph`", PARAMETERS)
    assert written_keys(tmp_path / "library.extxyz") <= library
    _, words, columns, *rows = (tmp_path / "hills").read_text().splitlines()
    names = {word.split("=")[0] for word in words[2:].split()} | set(columns[2:].split())
    assert len(rows) == 2 and names == documented(formats, "Files of hills")


def header(path):
    with open(path, encoding="utf-8", newline="") as file:
        return next(csv.reader(line for line in file if not line.startswith("#")))


def test_columns_of_landscapes(formats, small):
    known = documented(formats, "Landscapes")
    assert set(header(small / "landscape.csv")) == known
    assert set(header(small / "library.csv")) == known
    parameters = json.loads((small / "landscape.csv").read_text().splitlines()[0][10:])
    assert set(parameters) <= documented(formats, PARAMETERS) | {"version"}


def test_columns_of_pillars(formats):
    from ase_calculators.pillar import PillarTable

    with pytest.raises(ValueError, match="columns: lack ") as error:
        PillarTable(columns={}, parameters={})
    names = set(re.split(r", |; ", str(error.value).removeprefix("columns: lack "))[:-1])
    assert len(names) > 30
    assert names == documented(formats, "Pillars")


def test_columns_of_validation(formats, tmp_path):
    pytest.importorskip("scipy")
    from ase_calculators.validation import validate

    validate(EMT(), "Al", properties=["equation_of_state"], workdir=tmp_path, progress=False)
    assert set(header(tmp_path / "summary.csv")) == documented(formats, "Validation")
    text = section(formats, "Validation records")
    record = json.loads((tmp_path / "equation_of_state.json").read_text())
    report = json.loads((tmp_path / "report.json").read_text())
    for key in (*record, *report):
        assert f"`{key}`" in text, key


def test_keys_of_deepmd_sets(formats, tmp_path):
    pytest.importorskip("dpdata")
    from ase_calculators.training_sets import write_deepmd

    atoms = bulk("Al", cubic=True)
    atoms.calc = EMT()
    atoms.get_forces(), atoms.get_stress()
    write_deepmd([atoms], tmp_path / "set")
    content = json.loads((tmp_path / "set" / "set.json").read_text())
    assert set(content) <= documented(formats, "DeePMD data")


def test_labels_and_ledger_of_autodft(formats, tmp_path, monkeypatch):
    """Of one frame, labelled here by a calculator of ASE."""
    import sqlite3

    monkeypatch.chdir(tmp_path)  # dpdispatcher starts a log where it is imported
    pytest.importorskip("dpdispatcher")
    from ase_calculators.autodft import AutoDFT, DFTSettings

    settings = DFTSettings(code="ase.calculators.emt:EMT")
    dft = AutoDFT("labels.db", settings, {"here": {"capacity": 1}}, poll=0.1)
    atoms = bulk("Al", cubic=True)
    atoms.rattle(0.1, seed=1)
    dft.add([atoms])
    dft.run()
    assert dft.export("set.extxyz", format="extxyz") == 1
    results = {"energy", "free_energy", "forces", "stress"}
    known = documented(formats, "Labels of Auto-DFT")
    assert written_keys(Path("set.extxyz")) == known | results

    text = section(formats, "The ledger of Auto-DFT")
    with sqlite3.connect("labels.db") as database:
        tables = {row[0] for row in database.execute("SELECT name FROM sqlite_master")}
        for table in ("tasks", "jobs", "attempts", "settings", "pseudopotentials"):
            assert table in tables
            [row] = re.findall(rf"^\| `{table}` \| (.+) \|$", text, re.MULTILINE)
            columns = {column[1] for column in database.execute(f"PRAGMA table_info({table})")}
            assert columns == set(re.findall(r"`(\w+)`", row))


# --- tutorials ------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", TUTORIALS, ids=lambda page: page.stem)
def test_tutorial(page, tmp_path):
    """Each cell runs, and each assertion in it holds; without Jupyter, in an empty folder."""
    cells = re.findall(r"^```\{code-cell\}[^\n]*\n(.*?)^```", page.read_text(), re.M | re.S)
    code = "\n".join(cells)
    assert "assert" in code
    if "write_deepmd" in code:
        pytest.importorskip("dpdata")
    (tmp_path / "tutorial.py").write_text(code)
    done = subprocess.run(
        [sys.executable, "tutorial.py"], cwd=tmp_path, capture_output=True, text=True, timeout=300,
        env={**os.environ, "MPLBACKEND": "Agg", "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


# --- the site -------------------------------------------------------------------------------------


class Page(HTMLParser):
    """Collect what a page links to, what it loads, and its anchors."""

    def __init__(self, path):
        super().__init__()
        self.links, self.loaded, self.anchors = [], [], set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        if "id" in values:
            self.anchors.add(values["id"])
        if tag == "a" and values.get("href"):
            self.links.append(values["href"])
        if tag in ("img", "script", "source", "iframe") and values.get("src"):
            self.loaded.append(values["src"])
        if tag == "link" and values.get("rel") in ("stylesheet", "icon", "preload", "preconnect"):
            self.loaded.append(values["href"])


@pytest.fixture(scope="module")
def site():
    folder = os.environ.get("ENTSYM_SITE")
    if not folder:
        pytest.skip("make docs builds the site and runs these tests")
    folder = Path(folder)
    return folder, {path: Page(path) for path in folder.rglob("*.html")}


def test_tables_are_tables(site):
    """Markdown that is not understood stays as it is written, its pipes in a paragraph."""
    for path in site[1]:
        assert not re.search(r"<p>[^<]*\|\s*[—-]", path.read_text()), path


def test_nothing_comes_from_the_network(site):
    folder, pages = site
    for path, page in pages.items():
        for address in page.loaded:
            assert not urlsplit(address).netloc, f"{path}: loads {address}"
            target = (path.parent / unquote(urlsplit(address).path)).resolve()
            assert target.is_file(), f"{path}: {address} is missing"
    for style in folder.rglob("*.css"):
        assert not re.search(r"(?:url\(|@import)[\s'\"]*(?:https?:)?//", style.read_text()), style


def test_links_resolve(site):
    folder, pages = site
    assert len(pages) > 60
    broken = []
    for path, page in pages.items():
        for address in page.links:
            parts = urlsplit(address)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            anchor = unquote(parts.fragment)
            if not target.is_file():
                broken.append(f"{path.relative_to(folder)}: {address}")
            elif anchor and target in pages and anchor not in pages[target].anchors:
                broken.append(f"{path.relative_to(folder)}: {address}, no such anchor")
    assert not broken, "\n".join(broken)


def test_pages_hold_what_they_are_for(site):
    folder, _ = site
    for module, name in names_with_a_page():
        html = folder / "docs" / "api" / f"{module}.{name}.html"
        index = (folder / "docs" / "api.html").read_text()
        assert html.is_file() or f'id="{module}.{name}"' in index, f"{module}.{name}"
        if html.is_file():
            assert f'id="{module}.{name}"' in html.read_text(), f"{html} is empty"
    for style in (ROOT / "lammps_plugin").glob("*.md"):
        assert (folder / "lammps_plugin" / f"{style.stem}.html").is_file()
    for row in index_rows():
        assert (folder / "input_templates" / row[1] / "README.html").is_file()
    for page in TUTORIALS:
        notebook = (folder / "docs" / "tutorials" / f"{page.stem}.html").read_text()
        assert "cell_output" in notebook and ".png" in notebook


def test_search_finds_the_styles(site):
    """All words of a style's name are in the index with its manual page."""
    folder, _ = site
    text = (folder / "searchindex.js").read_text(encoding="utf-8")
    index = json.loads(text[text.index("(") + 1 : text.rindex(")")])
    page = index["docnames"].index("lammps_plugin/compute_entsym")
    for word in ("comput", "entsym"):  # stemmed
        found = [*np.ravel(index["terms"][word]), *np.ravel(index["titleterms"].get(word, []))]
        assert page in found, word
