# SPDX-License-Identifier: BSD-3-Clause
"""Sphinx configuration. ``make docs`` builds the site, from the root of the tree.

The source folder is the root, so that manual pages, templates' READMEs and the changelog are pages
where they lie: nothing is copied.
"""

import os
import re
from importlib import metadata
from pathlib import Path

os.environ.pop("MPLBACKEND", None)  # notebooks draw into their pages
os.environ["PYTHONWARNINGS"] = "ignore:IProgress not found"  # of tqdm, for want of ipywidgets
os.environ.setdefault("OMP_NUM_THREADS", "1")

project = "entsym"
author = "the entsym developers"
project_copyright = author
try:
    release = metadata.version("entsym")
except metadata.PackageNotFoundError:
    release = ""

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "sphinx-mathjax-offline",  # MathJax and its fonts are part of the site
    "numpydoc",
    "myst_nb",
]
root_doc = "docs/index"
include_patterns = [
    "docs/**",
    "lammps_plugin/*.md",
    "input_templates/README.md",
    "input_templates/**/README.md",
    "input_templates/**/RESULTS.md",
    "input_templates/validation/four_metals.md",
    "benchmarks/RESULTS.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
]
exclude_patterns = [".*", "build", "dist", "demo*", "docs/root", "docs/_templates"]
templates_path = [str(Path(__file__).with_name("_templates"))]
highlight_language = "none"  # decks and shell lines are marked by name, where they are

# --- Markdown and notebooks ---
myst_enable_extensions = ["dollarmath", "amsmath", "html_image", "deflist", "colon_fence"]
myst_heading_anchors = 4
nb_execution_mode = "force"
nb_execution_in_temp = True
nb_execution_timeout = 120
nb_execution_raise_on_error = True
nb_merge_streams = True
nb_render_markdown_format = "myst"  # CommonMark, the default, has no tables
nb_output_stderr = "remove-warn"  # no tutorial warns

# --- API pages ---
autosummary_generate = True
autodoc_typehints = "none"  # numpydoc's sections state types, shapes and units
autodoc_default_options = {
    "members": True,
    # where the members of other packages' classes begin
    "inherited-members": "Calculator,ModifierInterface,tuple,dict,Exception",
}
autodoc_member_order = "bysource"
autodoc_mock_imports = ["ovito", "traits"]
numpydoc_show_class_members = False
numpydoc_xref_param_type = False
default_role = "autolink"
nitpicky = True
# names of other packages: there is no inventory of theirs without the network
nitpick_ignore_regex = [
    (r"py:.*", r"(?!(ase_calculators|cython_core|lammps_plugin)\b).*"),
]

# --- pages ---
html_theme = "furo"
html_title = f"entsym {release}".strip()
html_static_path = ["static"]
html_css_files = ["entsym.css"]
html_extra_path = ["root"]
html_copy_source = False
html_show_sphinx = False


def _skip(app, what, name, obj, skip, options):
    """Leave out fields of named tuples, which the section Attributes describes, and mocks."""
    mocked = getattr(obj, "__sphinx_mock__", False)
    return True if mocked or type(obj).__name__ == "_tuplegetter" else None


def _list_templates(app, docname, source):
    """Hang the templates' pages below their index, whose Markdown stays what GitHub shows."""
    if docname == "input_templates/README":
        folders = re.findall(r"\]\((\S+)/README\.md\)", source[0])
        names = ("README", "RESULTS", "four_metals")
        pages = [f"{folder}/{name}" for folder in folders for name in names]
        pages = [page for page in pages if f"input_templates/{page}" in app.env.found_docs]
        source[0] += "\n".join(("", "```{toctree}", ":hidden:", "", *pages, "```", ""))


def setup(app):
    """Register what this file adds to Sphinx."""
    app.connect("source-read", _list_templates)
    app.connect("autodoc-skip-member", _skip)
