"""The ledger as a graph, and as files for Graphviz, Snakemake and Slurm: one content, four forms."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from aifr_lib.experiments import plan, submit
from aifr_lib.experiments.jobs import Job
from aifr_lib.experiments.plan import Graph
from aifr_lib.experiments.queue import Item
from aifr_lib.names import ConfigError
from aifr_lib.reporting.runs import DataId, Result, RunSpec


def job(seed: int, **needs: Job) -> Job:
    data = DataId(name="faces", version="v1", hash="0123456789")
    spec = RunSpec(recipe="stand_in", recipe_version=1, seed=seed, values={}, data=data)
    return Job(spec, lambda _: Result({"s": np.zeros(1)}, {}, "cpu", 1.0), needs=needs)


TEACHER = job(0)
STUDENT = job(1, teacher=TEACHER)
ALONE = job(2)
ITEMS = (
    Item(TEACHER, ("tml_fig6", "tml_fig7"), False, 40.0),
    Item(STUDENT, ("tml_fig6",), False, None),
    Item(ALONE, ("tml_fig7",), False, 1.0),
    Item(job(3), ("tml_fig7",), True, 5.0),
)
KEYS = [item.key for item in ITEMS]
GRAPH = Graph("classroom", ITEMS)


def test_json_leads_from_data_to_pages() -> None:
    graph = json.loads(plan.as_json(GRAPH))
    assert [one["id"] for one in graph["data"]] == ["faces v1 01234567"]
    assert [one["key"] for one in graph["runs"]] == KEYS and graph["runs"][1]["needs"] == [KEYS[0]]
    assert graph["results"][0] == {"id": "tml_fig6", "runs": KEYS[:2]}
    assert {"notebook": "tml_alpha_sweep", "results": ["tml_fig6"]} in graph["pages"]
    assert sum(len(page["results"]) for page in graph["pages"]) == 2


def test_dot_has_an_arrow_for_each_thing_that_rests_on_another() -> None:
    text = plan.as_dot(GRAPH)
    arrows = {
        tuple(json.loads(f"[{line.strip(' ;').replace(' -> ', ',')}]")) for line in text.splitlines() if "->" in line
    }
    data = "faces v1 01234567"
    assert {(data, KEYS[1]), (KEYS[0], KEYS[1]), (KEYS[1], "tml_fig6"), ("tml_fig6", "page tml_alpha_sweep")} <= arrows
    assert text.count("filled") == 1


def test_a_run_may_take_twice_what_is_expected() -> None:
    assert [plan.limit(item) for item in ITEMS] == [80, plan.UNKNOWN, plan.LEAST, plan.LEAST]


def test_what_is_needed_stands_in_an_earlier_level() -> None:
    assert [[item.key for item in level] for level in plan.levels(ITEMS)] == [[KEYS[0], KEYS[2]], [KEYS[1]]]
    assert plan.levels(ITEMS[3:]) == []


def test_the_snakefile_names_what_is_missing_and_writes_no_folder_of_a_run() -> None:
    text = plan.as_snakemake(GRAPH)
    heads, rules = text.split("\n\n\n", 1)
    values = {node.targets[0].id: ast.literal_eval(node.value) for node in ast.parse(heads).body}
    assert values["NEEDS"] == {KEYS[0]: [], KEYS[1]: [KEYS[0]], KEYS[2]: []}
    assert values["MINUTES"][KEYS[0]] == 80 and values["RESULTS"]["tml_fig7"] == [KEYS[0], KEYS[2]]
    outputs = [line for line in rules.splitlines() if "touch(" in line]
    assert len(outputs) == 3 and all("touch(FLAGS +" in line for line in outputs)
    assert values["FLAGS"] == "build/plan/classroom" and "aifr run {wildcards.key} --preset classroom" in rules


def test_the_script_submits_an_array_a_level_which_waits_for_the_one_before(tmp_path: Path) -> None:
    """Against a stand-in for sbatch that notes what it is given, and numbers the jobs."""
    sbatch = tmp_path / "sbatch"
    sbatch.write_text(
        '#!/bin/bash\nnumber=$(($(ls "$0".* 2>/dev/null | wc -l) + 1))\n'
        '(printf "%s\\n" "$@"; cat) > "$0.$number"\necho $number\n'
    )
    sbatch.chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    script = ["bash", "-c", plan.as_slurm(GRAPH), "plan", "--partition=gpu"]
    said = subprocess.run(script, env=environment, capture_output=True, text=True, check=True).stdout
    first, second = ((tmp_path / f"sbatch.{number}").read_text() for number in (1, 2))
    assert {"--array=0-1", "--time=80", "--requeue", "--partition=gpu"} <= set(first.splitlines())
    assert "--dependency" not in first and "--dependency=afterany:1" in second.splitlines()
    assert f"runs=({KEYS[0]} {KEYS[2]})" in first and f"runs=({KEYS[1]})" in second
    assert "array 2: 1 run, at most 240 minutes each" in said


@pytest.mark.parametrize("signal", ["USR1", ""])
def test_a_task_that_is_told_of_its_end_stops_the_run_and_queues_up_again(tmp_path: Path, signal: str) -> None:
    """The script of a task alone, with stand-ins for aifr and scontrol."""
    text = plan.as_slurm(GRAPH)
    task = text.split("<<'JOB'\n")[1].split("\nJOB\n")[0]
    told = f"sleep .5; kill -{signal} $PPID; " if signal else "exit 0; "
    programs = {
        "aifr": f"trap 'echo saved; exit 130' TERM\necho \"$@\"\n{told}while true; do sleep .05; done",
        "scontrol": 'echo "$@"',
    }
    for name, lines in programs.items():
        (tmp_path / name).write_text(f"#!/bin/bash\n{lines}\n")
        (tmp_path / name).chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    environment |= {"SLURM_ARRAY_TASK_ID": "1", "SLURM_ARRAY_JOB_ID": "7"}
    done = subprocess.run(
        ["bash", "-c", task], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    ended = ["saved", "requeue 7_1"] if signal else []
    assert done.stdout.splitlines() == [f"run {KEYS[2]} --preset classroom", *ended]


def test_where_no_jobs_can_be_submitted_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "submitit", None)
    with pytest.raises(ImportError, match=r"needs submitit: .*pip install -e '\.\[cluster\]'"):
        submit.submit(ITEMS, "smoke", {})
    monkeypatch.undo()
    pytest.importorskip("submitit", reason="needs the extra 'cluster'")
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ConfigError, match="there is no sbatch here: submit on a machine from which the cluster takes"):
        submit.submit(ITEMS, "smoke", {})
