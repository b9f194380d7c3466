# SPDX-License-Identifier: BSD-3-Clause
"""Time everything side by side: ``python benchmarks/run.py [--quick] [--core N] [topic ...]``.

Everything but scaling runs on one pinned core; competitors take turns, processor time is measured
and medians are compared, because clocks vary and machines are shared. Figures are recorded, never
asserted: in results/<date>.json and, as tables, in RESULTS.md. With --quick, a few small cases, or
with a choice of topics nothing is written.
"""

import argparse
import json
import os
from pathlib import Path

import dynamics
import kernel
import memory
import peers
import polymorph
import reading
import scaling
import selection
import steering
from timing import OthersLoad, machine
from tqdm import tqdm

from cython_core import Kernel

TOPICS = {
    "kernel": kernel,
    "peers": peers,
    "dynamics": dynamics,
    "steering": steering,
    "memory": memory,
    "reading": reading,
    "polymorph": polymorph,
    "scaling": scaling,
    "selection": selection,
}
HERE = Path(__file__).parent


def progress(cases, topic):
    """Yield the cases of a topic and show a progress bar."""
    bar = tqdm(cases, desc=f"{topic:8}")
    for case in bar:
        bar.set_postfix_str(str(case))
        yield case


def number(value):
    """Return a number with three digits, or all digits before the point."""
    if isinstance(value, str):
        return value
    return f"{value:,.3g}" if abs(value) < 1000 else f"{value:,.0f}"


def table(rows):
    """Return rows as a Markdown table."""
    lines = [list(rows[0]), ["---"] * len(rows[0])]
    lines += [[number(value) for value in row.values()] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def verdicts(results):
    """Return the figures compared with their marks."""
    rows = []
    for topic, result in results.items():
        for what, value, relation, mark in TOPICS[topic].marks(result["rows"]):
            met = value >= mark if relation == ">=" else value <= mark
            rows.append(
                {
                    "figure": what,
                    "value": value,
                    "mark": f"{relation} {mark:,g}",
                    "": "met" if met else "**missed**",
                }
            )
    return rows


def report(where, results):
    """Return all tables as text."""
    load = ", ".join(f"{t} {result['others']:.1f}" for t, result in results.items())
    parts = [
        "# Benchmarks",
        "Written by `make bench`. Competitors take turns on one pinned core, because its clock "
        "varies; medians of processor time (scaling: wall time). Compare ratios within a run, not "
        "between runs.",
        table([{"": key, "value": str(value)} for key, value in where.items()]),
        f"Cores kept busy by other work during each topic: {load}.",
        "## Marks",
        table(verdicts(results)),
    ]
    for topic, result in results.items():
        parts.append(f"## {TOPICS[topic].TITLE}")
        for caption, rows in TOPICS[topic].tables(result["rows"]):
            parts += [f"{caption}.", table(rows)]
        if hasattr(TOPICS[topic], "figure"):
            parts.append(f"![{TOPICS[topic].TITLE}](results/{where['date'][:10]}-{topic}.png)")
    return "\n\n".join(parts) + "\n"


def main():
    """Read the command line, run the topics, write the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("topics", nargs="*", help=f"from {', '.join(TOPICS)}; default all")
    parser.add_argument("--quick", action="store_true", help="few small cases, nothing written")
    parser.add_argument(
        "--core", type=int, default=max(os.sched_getaffinity(0)), help="core to use"
    )
    arguments = parser.parse_args()
    if unknown := set(arguments.topics) - set(TOPICS):
        parser.error(f"no topic {', '.join(unknown)}; choose from {', '.join(TOPICS)}")

    os.sched_setaffinity(0, {arguments.core})
    where = {**machine(), "isa": Kernel(6.0, 0.1, 3.6).isa}
    results = {}
    for topic in arguments.topics or TOPICS:
        with OthersLoad() as others:
            rows = TOPICS[topic].measure(arguments.quick, progress)
        results[topic] = {"others": others.cores, "rows": rows}
    text = report(where, results)
    print(text)
    if not arguments.quick and not arguments.topics:
        path = HERE / "results" / f"{where['date'][:10]}.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps({"machine": where, "results": results}, indent=1) + "\n")
        (HERE / "RESULTS.md").write_text(text)
        for topic, result in results.items():
            if hasattr(TOPICS[topic], "figure"):
                TOPICS[topic].figure(result["rows"], path.with_name(f"{path.stem}-{topic}.png"))
        print(f"Wrote {path} and {HERE / 'RESULTS.md'}.")


if __name__ == "__main__":
    main()
