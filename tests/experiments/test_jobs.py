"""Runs that rest on runs: what is needed is computed first, locked while it is read, and never trained twice."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
from filelock import FileLock, Timeout

from aifr_lib.experiments.jobs import Experiment, Job, gather, have, in_order, union
from aifr_lib.names import ConfigError
from aifr_lib.reporting import artefacts, runs
from aifr_lib.reporting.rows import Measured, Row
from aifr_lib.reporting.runs import DataId, Result, Run, RunSpec, RunStore
from aifr_lib.settings.presets import load_preset


def data(name: str, version: str = "1") -> DataId:
    return DataId(name=name, version=version, hash=name[0])


def spec(seed: int, name: str = "none") -> RunSpec:
    return RunSpec(recipe="stand_in", recipe_version=1, seed=seed, values={}, data=data(name))


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunStore:
    monkeypatch.setenv("AIFR_CACHE", str(tmp_path / "cache"))
    return RunStore(tmp_path / "figures" / "smoke")


class Bench:
    """A teacher that leaves weights, and a student that reads them; ``done`` lists who computed."""

    def __init__(self, lacking: str | None = None) -> None:
        self.done: list[str] = []
        self.teacher = Job(spec(0), self.teach, lambda: lacking)
        self.student = Job(spec(1), self.learn, needs={"teacher": self.teacher})

    def teach(self, folder: Path) -> Result:
        self.done.append("teacher")
        (folder / "weights.safetensors").write_text("wise")
        return Result({"s": np.zeros(1)}, {}, "cpu", 600.0)

    def learn(self, folder: Path, teacher: Path) -> Result:
        self.done.append("student")
        with pytest.raises(Timeout):
            FileLock(teacher / runs.LOCK, timeout=0, is_singleton=False).acquire()
        return Result({"s": np.ones(1)}, {"read": (teacher / "weights.safetensors").read_text()}, "cpu", 60.0)


def test_what_a_run_needs_is_computed_first_stored_and_billed_to_itself(store: RunStore) -> None:
    bench = Bench()
    student = have(store, bench.student)
    assert bench.done == ["teacher", "student"] and student.summary == {"read": "wise"}
    assert student.wall_s == 60.0
    assert (teacher := store.load(spec(0).key)) is not None and teacher.wall_s == 600.0
    have(store, bench.student, fresh=True)
    assert bench.done == ["teacher", "student", "student"], "what is needed is not computed anew"


def test_a_stored_run_whose_files_are_elsewhere_has_them_made_anew_and_stays(store: RunStore) -> None:
    bench = Bench()
    first = have(store, bench.teacher)
    (store.work_folder(spec(0).key) / "weights.safetensors").unlink()
    assert have(store, bench.student).summary == {"read": "wise"}
    assert bench.done == ["teacher", "teacher", "student"]
    assert store.load(spec(0).key) is first


def test_what_another_process_trains_is_waited_for_or_refused(store: RunStore) -> None:
    bench = Bench()
    have(store, bench.teacher)
    with FileLock(store.work_folder(spec(0).key) / runs.LOCK, is_singleton=False), pytest.raises(Timeout):
        have(store, bench.student, wait=False)
    assert have(store, bench.student, wait=False).summary == {"read": "wise"}


def test_needs_that_cannot_be_had_are_said_before_anything_is_computed(store: RunStore, caplog) -> None:
    bench = Bench(lacking="no folder ms1mv2")
    with pytest.raises(ConfigError, match=f"{spec(0).key} is needed, is not stored, .*: no folder ms1mv2"):
        have(store, bench.student)
    with caplog.at_level(logging.WARNING):
        assert gather(store, {("aad", 1): bench.student}, compute=True, fresh=False) == {}
    assert "aad by 1 is left out: its teacher cannot be computed: no folder ms1mv2" in caplog.text
    assert bench.done == []
    able = Bench()
    have(store, able.teacher)
    assert have(store, bench.student).summary == {"read": "wise"}, "stored with its files, it need not be computable"


def test_needs_in_a_circle_are_an_error_that_names_it() -> None:
    needs: dict[str, Job] = {}
    a = Job(spec(0), lambda folder, b: None, needs=needs)  # type: ignore[arg-type, return-value]
    b = Job(spec(1), lambda folder, a: None, needs={"a": a})  # type: ignore[arg-type, return-value]
    needs["b"] = b
    with pytest.raises(ConfigError, match=f"in a circle: {spec(0).key} → {spec(1).key} → {spec(0).key}"):
        in_order([a])


def test_a_run_may_need_another_and_what_that_one_needs(store: RunStore) -> None:
    bench = Bench()
    bench.student = dataclasses.replace(bench.student, leaves=())
    both = Job(
        spec(2),
        lambda folder, teacher, student: Result({"s": np.zeros(1)}, {"of": teacher.name + student.name}, "cpu", 1.0),
        needs={"teacher": bench.teacher, "student": bench.student},
    )
    run = have(store, both, wait=False)
    assert run.summary == {"of": spec(0).key + spec(1).key}
    assert bench.done == ["teacher", "student"]


def test_needs_come_first_and_once() -> None:
    bench = Bench()
    other = Job(spec(2), bench.learn, needs={"teacher": bench.teacher})
    assert [job.spec.seed for job in in_order([other, bench.student, bench.teacher])] == [0, 2, 1]


def test_an_experiment_is_a_pure_function_of_its_runs(store: RunStore, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Mapping[int, Run]] = []

    def rows(preset, runs):
        for seed, run in runs.items():
            yield Row(keys={"seed": seed}, metric="accuracy", measured=Measured(mean=float(run.scores["s"][0])))

    def figure(artefact, runs):
        seen.append(runs)
        return plt.figure()

    def job(seed: int) -> Job:
        return Job(spec(seed, "train" if seed else "test"), lambda _: Result({"s": np.array([seed])}, {}, "cpu", 1.0))

    def jobs(preset, seeds, device):
        return {seed: job(seed) for seed in seeds or (0, 1)}

    def read(path, expected, real=runs._read_scores):
        reads.append(path)
        return real(path, expected)

    reads: list[Path] = []
    experiment = Experiment("tour", jobs, rows, figure)
    monkeypatch.setattr(runs, "_read_scores", read)
    preset = load_preset("smoke")
    artefact = experiment(preset, out=store.root)
    assert [row.measured.mean for row in artefact.rows if row.measured] == [0.0, 1.0]
    assert artefact.data == union([data("test"), data("train")]) and artefact.data.name == "test, train"
    assert (artefact.seeds, artefact.wall_s, artefact.device) == ((0, 1), 2.0, "cpu")
    assert artefacts.load("tour", "smoke", store.root) == artefact
    assert experiment.stored(preset, out=store.root)[1] is seen[0][1]
    assert len(reads) == 2, "a run was read from disk twice"
    assert experiment(preset, seeds=[5], compute=False, out=store.root).rows == ()


def test_data_sets_are_united_by_name_version_and_hash() -> None:
    assert union([]) is None and union([data("a"), data("a")]) == data("a")
    both = union([data("a"), data("b", "2"), data("a")])
    assert both == DataId(name="a, b", version="1, 2", hash="a-b")
