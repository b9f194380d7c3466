# SPDX-License-Identifier: BSD-3-Clause
"""Calculate the properties of a model, each once, and report."""

import json
import pickle
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Executor
from dataclasses import replace
from functools import partial
from os import PathLike, fspath
from pathlib import Path
from typing import Any

import ase.io
import numpy as np

from ase_calculators.argument_checks import one_line
from ase_calculators.lammps_potential import LammpsPotential, included, plain_commands
from ase_calculators.parallel import OrderedPool
from ase_calculators.provenance import (
    PACKAGES,
    file_hash,
    file_hashes,
    fingerprint,
    jsonable,
    versions,
    write_json,
)
from ase_calculators.validation.crystal import IDEAL, METALLIC, Crystal, guess, relax
from ase_calculators.validation.property import CheckedCalculator, Sample
from ase_calculators.validation.reference import read_reference
from ase_calculators.validation.registry import PROPERTIES
from ase_calculators.validation.report import Report, draw


def validate(
    calculator: Any,
    element: str,
    crystal: str = "fcc",
    properties: Iterable[str] | None = None,
    reference: "str | PathLike[str] | dict[str, Any] | Report | None" = None,
    workdir: str | PathLike[str] = "validation",
    settings: Mapping[str, Mapping[str, Any]] | None = None,
    name: str | None = None,
    checkpoint: str | PathLike[str] | Iterable[str | PathLike[str]] | Mapping[str, str] = (),
    a: float | None = None,
    c_over_a: float | None = None,
    progress: bool = True,
    executor: Executor | None = None,
    watch: Callable[[str, Any], None] | None = None,
) -> Report:
    """Calculate the properties of a crystal by a model, and compare them with a reference.

    Each property writes ``<name>.json`` and ``<name>.png`` to `workdir`. The summary is written
    after each property, with all results of this model and crystal in the folder. Results of the
    same model and settings are not calculated again. A property that fails is reported with the
    reason; the structure that the calculator failed for is in ``<name>.failed.extxyz``. The next
    properties are still calculated.

    Parameters
    ----------
    calculator : ase calculator, str, path-like or list of str
        Model: an ASE calculator, or the ``pair_style`` and ``pair_coeff`` lines of LAMMPS (units
        metal, atom type 1), or a file of them.
    element : str
        Chemical symbol.
    crystal : {"fcc", "bcc", "hcp", "diamond"}
        Crystal structure.
    properties : iterable of str, optional
        Names in `PROPERTIES`. Default: all that the crystal has, but `landscape_errors` only with
        a test set, and `elastic_at_temperature` only for a ``pair_style``.
    reference : path-like, dict, Report or None
        Source for `read_reference`, or the report of another model. Default: the package's file
        of the element.
    workdir : path-like
        Folder of all files.
    settings : dict of str to dict, optional
        Changes of default settings, by property.
    name : str, optional
        Name of the model in tables and figures.
    checkpoint : path-like, iterable of path-like, or dict of str to str
        Files of the model, whose hashes distinguish versions of it, or their SHA-256 by name. Those
        of a ``pair_style`` are found automatically.
    a, c_over_a : float, optional
        Guess of the lattice constant (Å) and of c/a. Both are relaxed.
    progress : bool
        Whether to print a line per property and show progress bars.
    executor : concurrent.futures.Executor, optional
        Executor that calculates the properties, such as that of a cluster. Its workers see
        `workdir`, and it is not shut down; give LAMMPS commands, or a calculator that can be
        pickled. Default: this process calculates them one after the other.
    watch : callable, optional
        Called with the name of the property and each structure that it calculates in this process.
        Structures of the dynamics that LAMMPS runs by itself are not seen.

    Returns
    -------
    Report
        Report with records, table, figures.

    Raises
    ------
    ValueError
        If an argument is wrong, or the model has no such crystal.
    """
    chosen = list(PROPERTIES if properties is None else properties)
    changes = _changes(chosen, settings or {})
    start = guess(element, crystal, a, c_over_a)
    if properties is None:
        chosen = [key for key in chosen if crystal in PROPERTIES[key].structures]
    for key in chosen:
        if crystal not in (fit := PROPERTIES[key].structures):
            raise ValueError(
                f"properties: {key} is of {', '.join(fit)}; leave it out for {crystal!r}"
            )
    if isinstance(reference, Report):
        reference = reference.as_reference()
    known = read_reference(reference, element)

    model = calculator
    if isinstance(calculator, str | PathLike | list | tuple):
        model = LammpsPotential(calculator, element)  # type: ignore[arg-type]
    elif not hasattr(calculator, "get_potential_energy"):
        raise ValueError(
            f"calculator = {calculator!r}: is neither an ASE calculator nor LAMMPS commands; "
            "pass one of them"
        )
    commands = model.commands if isinstance(model, LammpsPotential) else None
    sent = b"" if executor is None else _sent(commands or calculator)
    if properties is None:
        if model is calculator:
            chosen.remove("elastic_at_temperature")
        if not changes.get("landscape_errors", {}).get("test_set"):
            chosen.remove("landscape_errors")
    identity = _identity(model, checkpoint)
    name = name or _name(model)
    folder = Path(workdir)
    folder.mkdir(parents=True, exist_ok=True)

    checked = CheckedCalculator(model)
    found, others = _crystals(checked, start, folder, identity)
    notes = _notes(found, others, start, a, c_over_a)
    if not known:
        notes.append(
            f"no reference for {element}: deviations are left out; write a JSON file like "
            "references/Al.json and pass it by reference="
        )
    records = _finished(folder, identity, found, name)
    report = Report(folder, name, element, crystal, records, known, notes)
    sample = Sample(
        checked, commands, found, others, folder.resolve(), known, progress and executor is None,
        fingerprint(identity),
    )  # fmt: skip
    calculate = partial(_record, sample, changes, identity, name, watch=watch)
    if executor is not None:
        there = replace(sample, calculator=None)  # type: ignore[arg-type]
        calculate = partial(_record_there, sent, there, changes, identity, name)
    if progress:
        ratio = f", c/a {found.c_over_a:.4f}" if crystal == "hcp" else ""
        print(f"{name}: {element} {crystal}, a {found.a:.4f} Å{ratio}", flush=True)
        for note in notes:
            print(f"  {note}", flush=True)
    with OrderedPool(executor=executor) as pool:
        for number, (key, future) in enumerate(pool.map(calculate, chosen), start=1):
            record = records[key] = future.result()
            report.records = {name: records[name] for name in PROPERTIES if name in records}
            report.write()
            if progress:
                head = f"[{number:2d}/{len(chosen)}] {PROPERTIES[key].title:37s}"
                print(head + _line(record), flush=True)
    return report


def _sent(model: Any) -> bytes:
    """Return a calculator, or LAMMPS commands, pickled for other processes."""
    try:
        return pickle.dumps(model)
    except Exception as error:  # its parts may raise anything
        raise ValueError(
            f"calculator: cannot be sent to the executor ({one_line(error)}); give LAMMPS commands "
            "or a calculator that can be pickled, or leave executor out"
        ) from None


def _record_there(
    sent: bytes, sample: Sample, changes: dict[str, dict[str, Any]], identity: dict[str, Any],
    name: str, key: str,
) -> dict[str, Any]:  # fmt: skip
    """Return the record of a property from another process."""
    model = pickle.loads(sent)
    if sample.commands is not None:
        model = LammpsPotential(model, sample.crystal.element)
    own = replace(sample, calculator=CheckedCalculator(model))
    return _record(own, changes, identity, name, key)


def _changes(
    chosen: list[str], settings: Mapping[str, Mapping[str, Any]]
) -> dict[str, dict[str, Any]]:
    """Return the changes of settings by property, after checks of all names."""
    for key, value in settings.items():
        if not isinstance(value, Mapping):
            raise ValueError(
                f"settings[{key!r}] = {value!r}: must be a dict, such as {{'n_points': 20}}"
            )
    changes = {key: dict(value) for key, value in settings.items()}
    for key in (*chosen, *changes):
        if key not in PROPERTIES:
            raise ValueError(f"properties: has no {key!r}; choose from {', '.join(PROPERTIES)}")
    for key, values in changes.items():
        for setting in values:
            if setting not in PROPERTIES[key].defaults:
                raise ValueError(
                    f"settings[{key!r}]: has no {setting!r}; choose from "
                    f"{', '.join(PROPERTIES[key].defaults)}"
                )
    return changes


def _finished(
    folder: Path, identity: dict[str, Any], crystal: Crystal, name: str
) -> dict[str, dict[str, Any]]:
    """Return the finished records of this model and crystal in a folder, of any settings."""
    lattice = [crystal.a, crystal.c, crystal.energy]
    found = {}
    for key in PROPERTIES:
        try:
            record = json.loads((folder / f"{key}.json").read_text(encoding="utf-8"))
            model = {part: v for part, v in record["identity"].items() if part != "test_set"}
            same = record["status"] == "done" and model == identity
            of = [record["lattice"][part] for part in ("a", "c", "energy")]
        except (OSError, ValueError, LookupError):
            continue
        same = same and record["crystal"] == crystal.structure
        if same and np.allclose(of, lattice, rtol=1e-6, atol=0):
            found[key] = {**record, "model": name}
    return found


def _record(
    sample: Sample, changes: dict[str, dict[str, Any]], identity: dict[str, Any], name: str,
    key: str, watch: Callable[[str, Any], None] | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Return the record of a property: the existing one, or a new one."""
    kind, path = PROPERTIES[key], sample.folder / f"{key}.json"
    settings = jsonable({**kind.defaults, **changes.get(key, {})})
    test_set = settings.get("test_set")
    if test_set and Path(test_set).is_file():
        identity = {**identity, "test_set": file_hash(Path(test_set))}
    crystal = sample.crystal
    used = [sample.reference_value(quantity) for quantity in kind.uses]
    asked = fingerprint([settings, identity, vars(crystal), used])
    if path.is_file():
        try:
            old: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        except ValueError:
            old = {}
        if old.get("status") == "done" and old.get("asked") == asked:
            old["model"] = name
            old["resumed"] = True
            return old
    started = time.perf_counter()
    prop = kind(sample, **changes.get(key, {}))
    if watch is not None:
        sample.calculator.watch = partial(watch, key)
    record: dict[str, Any] = {
        "property": key, "title": kind.title, "model": name, "status": "failed", "asked": asked,
        "element": crystal.element, "crystal": crystal.structure, "identity": identity,
        "values": {}, "data": {}, "flags": [], "error": "",
    }  # fmt: skip
    failed = path.with_name(f"{key}.failed.extxyz")
    failed.unlink(missing_ok=True)
    try:
        prop.check()
        prop.run()
        values = prop.result()
        record["values"] = {q: {"value": v, "unit": u} for q, (v, u) in values.items()}
        record["data"] = prop.data
        record["status"] = "done"
    except Exception as error:  # of any model or library: continue with the next property
        text = one_line(error)
        record["error"] = text
        if not isinstance(error, ValueError | ImportError | RuntimeError):
            record["error"] = f"{type(error).__name__}: {text}"
        if sample.calculator.atoms is not None:
            atoms = sample.calculator.atoms.copy()
            ase.io.write(failed, atoms, format="extxyz")
            record["structure"] = failed.name
    record |= {
        "flags": list(dict.fromkeys(prop.flags)), "settings": prop.settings,
        "lattice": {"a": crystal.a, "c": crystal.c, "energy": crystal.energy},
        "versions": versions(*PACKAGES), "seconds": round(time.perf_counter() - started, 2),
    }  # fmt: skip
    record = jsonable(record)
    if record["status"] == "done":
        try:
            draw(kind, [record], path.with_suffix(".png"), sample.reference)
        except Exception as error:  # the numbers are there: continue
            record["flags"].append(f"no figure: {type(error).__name__}: {error}")
    write_json(path, record)
    if record["status"] == "done":
        path.with_name(f"{key}.parts.jsonl").unlink(missing_ok=True)
    return record


def _line(record: dict[str, Any]) -> str:
    """Return the result of a property in one line."""
    if record["status"] == "failed":
        return f" FAILED  {record['error']}"
    shown = [
        f"{quantity} {entry['value']:.4g} {entry['unit']}".strip()
        for quantity, entry in list(record["values"].items())[:3] if entry["value"] is not None
    ]  # fmt: skip
    seconds = "there already" if record.get("resumed") else f"{record['seconds']:7.1f} s"
    flags = "".join(f"\n        ! {flag}" for flag in record["flags"])
    return f" {seconds}  {', '.join(shown)}{flags}"


def _crystals(
    checked: CheckedCalculator, start: Crystal, folder: Path, identity: dict[str, Any]
) -> tuple[Crystal, dict[str, Crystal]]:
    """Return the relaxed crystal and those of the other structures, from a file if it is there."""

    def energy(atoms: Any) -> float:
        atoms.calc = checked
        return float(atoms.get_potential_energy())

    def is_of_this_model(crystal: Crystal) -> bool:
        # nothing in a calculator may distinguish two networks of one class
        atoms = crystal.primitive()
        try:
            return bool(np.isclose(energy(atoms) / len(atoms), crystal.energy, 1e-5, 1e-5))
        except RuntimeError:
            return False

    path = folder / "crystal.json"
    asked = fingerprint([identity, start.element, start.structure, start.volume, start.c_over_a])
    if path.is_file():
        try:
            old = json.loads(path.read_text(encoding="utf-8"))
        except ValueError:
            old = {}
        if old.get("asked") == asked:
            others = {key: Crystal(**value) for key, value in old["crystals"].items()}
            if all(is_of_this_model(crystal) for crystal in others.values()):
                return others[start.structure], others

    others = {start.structure: relax(start, energy)}
    for structure in METALLIC:
        if structure != start.structure:
            volume = others[start.structure].volume
            other = Crystal(start.element, structure, volume, IDEAL if structure == "hcp" else 1.0)
            try:
                others[structure] = relax(other, energy)
            except (ValueError, RuntimeError):
                continue  # not every model has every crystal
    write_json(
        path, {"asked": asked, "crystals": {key: jsonable(vars(c)) for key, c in others.items()}}
    )
    return others[start.structure], others


def _notes(
    found: Crystal, others: dict[str, Crystal], start: Crystal, a: float | None, ratio: float | None
) -> list[str]:
    notes = []
    lowest = min(others.values(), key=lambda c: c.energy)
    if lowest.energy < found.energy - 1e-5:
        gap = 1e3 * (found.energy - lowest.energy)
        notes.append(
            f"{found.structure} is not the minimum: {lowest.structure} (a {lowest.a:.4f} Å) is "
            f"lower by {gap:.2f} meV/atom"
        )
    if a is not None and abs(start.a / found.a - 1) > 0.005:
        notes.append(f"a = {a} Å is not the minimum, which is at {found.a:.4f} Å and was taken")
    if found.structure == "hcp" and ratio is not None and abs(ratio / found.c_over_a - 1) > 0.005:
        notes.append(
            f"c/a = {ratio} is not the minimum, which is at {found.c_over_a:.4f} and was taken"
        )
    return notes


def _identity(model: Any, checkpoint: Any) -> dict[str, Any]:
    """Return the identity of a model: class, parameters, hashes of its files."""
    kind = type(model)
    identity: dict[str, Any] = {"class": f"{kind.__module__}.{kind.__qualname__}"}
    known = dict(checkpoint) if isinstance(checkpoint, Mapping) else {}
    files = [checkpoint] if isinstance(checkpoint, str | PathLike) else list(checkpoint)
    paths = [] if known else [Path(path) for path in files]
    for path in paths:
        if not path.is_file():
            raise ValueError(f"checkpoint = {fspath(path)!r}: is not a file; pass an existing one")
    if isinstance(model, LammpsPotential):
        commands = plain_commands("\n".join(model.commands))
        identity["commands"] = [line for line in commands if not line.startswith("include ")]
        known = known or model.file_hashes()
    else:
        parameters = dict(getattr(model, "parameters", {}) or {})
        identity["parameters"] = {
            key: value for key, value in sorted(parameters.items())
            if isinstance(value, str | int | float | bool | None | list | tuple)
        }  # fmt: skip
        paths += [
            Path(value) for value in identity["parameters"].values()
            if isinstance(value, str) and len(value) < 500 and Path(value).is_file()
        ]  # fmt: skip
    identity["files"] = file_hashes(*paths) | known
    return dict(jsonable(identity))


def _name(model: Any) -> str:
    if isinstance(model, LammpsPotential):
        scripts = [included(line) for line in model.commands if line.startswith("include ")]
        if scripts and scripts[0].name != "potential.mod":
            return scripts[0].name
        if files := [path for path in model.files() if path not in scripts]:
            return files[0].name
    return type(model).__name__
