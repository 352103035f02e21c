"""The ledger as a graph, data → runs → tables and figures → pages, and in the words of programs that work through it.

What is written names commands of ``aifr`` alone, so that a run is computed, locked and stored in one way, whoever asks.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from aifr_lib.experiments.queue import Item
from aifr_lib.reporting import contents
from aifr_lib.reporting.prose import counted

LEAST, UNKNOWN, SPARE = 10, 240, 2  # minutes; minutes of a run whose like was never computed; times the expected ones
NOTICE = 120  # seconds before its end in which a job stops, saves and queues up again


@dataclass(frozen=True)
class Graph:
    """What the tables and figures of a preset rest on. items: the ledger, what is needed first."""

    preset: str
    items: tuple[Item, ...]

    @property
    def missing(self) -> list[Item]:
        return [item for item in self.items if not item.stored]

    @property
    def results(self) -> dict[str, list[str]]:
        """Tables and figures, in the ledger's order, with the runs that each rests on."""
        ids = dict.fromkeys(id for item in self.items for id in item.ids)
        return {id: [item.key for item in self.items if id in item.ids] for id in ids}

    @property
    def pages(self) -> dict[str, list[str]]:
        """Notebooks, with the tables and figures that each shows."""
        notebook = {id: contents.find(id).notebook for id in self.results}
        return {name: [id for id in notebook if notebook[id] == name] for name in dict.fromkeys(notebook.values())}


def needs(item: Item) -> list[str]:
    """The runs that must be there before this one."""
    return [job.spec.key for job in item.job.needs.values()]


def limit(item: Item) -> int:
    """Minutes after which a run is stopped: twice the expected ones; it goes on from its checkpoint."""
    return UNKNOWN if item.minutes is None else max(LEAST, math.ceil(SPARE * item.minutes))


def levels(items: Sequence[Item]) -> list[list[Item]]:
    """The missing runs in groups: those that need none of the others, those that need these, and so on."""
    depth: dict[str, int] = {}
    found: list[list[Item]] = []
    for item in (item for item in items if not item.stored):
        depth[item.key] = 1 + max((depth[key] for key in needs(item) if key in depth), default=-1)
        found.extend([] for _ in range(depth[item.key] + 1 - len(found)))
        found[depth[item.key]].append(item)
    return found


def as_json(graph: Graph) -> str:
    """The graph as lists of its four kinds of nodes, each with what it rests on."""
    data = {_data(item): item.job.spec.data.model_dump() for item in graph.items}
    runs = [
        {
            "key": item.key,
            "data": _data(item),
            "seed": item.job.spec.seed,
            "needs": needs(item),
            "stored": item.stored,
            "minutes": item.minutes,
        }
        for item in graph.items
    ]
    results = [{"id": id, "runs": keys} for id, keys in graph.results.items()]
    pages = [{"notebook": name, "results": ids} for name, ids in graph.pages.items()]
    named = [{"id": name, **held} for name, held in data.items()]
    nodes = {"data": named, "runs": runs, "results": results, "pages": pages}
    return json.dumps({"preset": graph.preset, **nodes}, indent=1, ensure_ascii=False)


def as_dot(graph: Graph) -> str:
    """The graph for Graphviz, left to right; runs that are stored are filled."""
    lines = ["digraph aifr {", "  rankdir=LR; node [shape=box];"]
    for name in dict.fromkeys(map(_data, graph.items)):
        lines.append(f"  {_quoted(name)} [shape=cylinder];")
    for item in graph.items:
        look = ' [style=filled, fillcolor="#dddddd"]' if item.stored else ""
        lines.append(f"  {_quoted(item.key)}{look};")
        lines += [f"  {_quoted(above)} -> {_quoted(item.key)};" for above in (_data(item), *needs(item))]
    for shape, below in (("ellipse", graph.results), ("note", graph.pages)):
        for name, held in below.items():
            # A notebook and its only figure may share a name.
            node = f"page {name}" if shape == "note" else name
            lines.append(f"  {_quoted(node)} [shape={shape}];")
            lines += [f"  {_quoted(above)} -> {_quoted(node)};" for above in held]
    return "\n".join([*lines, "}"])


SNAKEFILE = """\
# What preset {preset} lacks: {runs}, then its tables, figures and pages. In the repository's folder:
#   snakemake --snakefile THIS --cores 2
# Every output is a flag below build/plan; the folder of a run is made by aifr alone, whole or not at all.
NEEDS = {needs}
MINUTES = {minutes}
RESULTS = {results}
PAGES = {pages}
FLAGS = "build/plan/{preset}"


wildcard_constraints:
    key="[^/]+",
    id="[^/]+",
    page="[^/]+",


rule all:
    input:
        expand(FLAGS + "/pages/{{page}}", page=PAGES),


rule compute:
    input:
        lambda wildcards: [FLAGS + "/runs/" + key for key in NEEDS[wildcards.key]],
    output:
        touch(FLAGS + "/runs/{{key}}"),
    resources:
        runtime=lambda wildcards: MINUTES[wildcards.key],
    shell:
        "aifr run {{wildcards.key}} --preset {preset}"


rule draw:
    input:
        lambda wildcards: [FLAGS + "/runs/" + key for key in RESULTS[wildcards.id]],
    output:
        touch(FLAGS + "/results/{{id}}"),
    shell:
        "aifr draw {{wildcards.id}} --preset {preset}"


rule page:
    input:
        lambda wildcards: [FLAGS + "/results/" + id for id in PAGES[wildcards.page]],
    output:
        touch(FLAGS + "/pages/{{page}}"),
    shell:
        "aifr reproduce {{wildcards.page}} --preset {preset}"
"""


def as_snakemake(graph: Graph) -> str:
    """A Snakefile of what is missing, with what is drawn from it."""
    missing = {item.key: item for item in graph.missing}
    return SNAKEFILE.format(
        preset=graph.preset,
        runs=counted(len(missing), "run"),
        needs=_literal({key: [one for one in needs(item) if one in missing] for key, item in missing.items()}),
        minutes=_literal({key: limit(item) for key, item in missing.items()}),
        results=_literal({id: [key for key in keys if key in missing] for id, keys in graph.results.items()}),
        pages=_literal(graph.pages),
    )


ARRAY = """
{name}=$(sbatch --parsable --job-name=aifr --array=0-{last} --time={minutes} --requeue --open-mode=append \\
  --signal=B:USR1@{notice}{after} "$@" <<'JOB'
#!/bin/bash
runs=({keys})
again() {{ kill -TERM "$run"; wait "$run"; scontrol requeue "${{SLURM_ARRAY_JOB_ID}}_$SLURM_ARRAY_TASK_ID"; }}
trap again USR1
aifr run "${{runs[$SLURM_ARRAY_TASK_ID]}}" --preset {preset} &
run=$!
wait "$run"
JOB
)
echo "array ${name}: {runs}, at most {minutes} minutes each"
"""


def as_slurm(graph: Graph) -> str:
    """A shell script that submits what is missing: an array for each level of needs, with the time that it may take."""
    runs = counted(len(graph.missing), "run")
    parts = [
        f"#!/bin/bash\n# What preset {graph.preset} lacks: {runs}. In the repository's folder, with aifr on the PATH\n"
        "# and AIFR_CACHE on a file system that all nodes see: bash THIS [--partition=… --gres=…]\n"
        "set -euo pipefail"
    ]
    for number, level in enumerate(levels(graph.items)):
        parts.append(
            ARRAY.format(
                keys=" ".join(item.key for item in level),
                name=f"level{number}",
                after=f' --dependency="afterany:$level{number - 1}"' if number else "",
                last=len(level) - 1,
                runs=counted(len(level), "run"),
                minutes=max(map(limit, level)),
                notice=NOTICE,
                preset=graph.preset,
            )
        )
    return "\n".join(parts)


FORMATS: dict[str, Callable[[Graph], str]] = {
    "json": as_json,
    "dot": as_dot,
    "snakemake": as_snakemake,
    "slurm": as_slurm,
}


def _data(item: Item) -> str:
    data = item.job.spec.data
    return f"{data.name} {data.version} {data.hash[:8]}"


def _quoted(name: str) -> str:
    return json.dumps(name, ensure_ascii=False)


def _literal(values: dict) -> str:
    return json.dumps(values, indent=4)
