"""The run queue: one run once, whoever asks; a dead process holds nothing; a failed run stops no other."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from aifr_lib.experiments import queue
from aifr_lib.experiments.jobs import Experiment, Job
from aifr_lib.names import ConfigError
from aifr_lib.reporting.runs import DataId, Result, RunSpec, RunStore
from aifr_lib.settings.presets import load_preset

PRESET = load_preset("smoke")


def spec(seed: int = 0, **values: float) -> RunSpec:
    data = DataId(name="none", version="1", hash="0")
    return RunSpec(recipe="stand_in", recipe_version=1, seed=seed, values=values, data=data)


def result(minutes: float = 1.0) -> Result:
    return Result(scores={"s": np.zeros(2)}, summary={}, device="cpu", wall_s=60 * minutes)


def experiment(*jobs: Job) -> Experiment:
    return Experiment("figure", lambda preset, seeds, device: dict(enumerate(jobs)))


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunStore:
    monkeypatch.setenv("AIFR_CACHE", str(tmp_path / "cache"))
    return RunStore(tmp_path / "figures" / "smoke")


def test_the_ledger_names_each_run_once_with_all_that_need_it(store: RunStore) -> None:
    shared, other = Job(spec(alpha=0.0), lambda _: result()), Job(spec(alpha=0.4), lambda _: result())
    same = Job(spec(alpha=0.0), lambda _: result())
    store.load_or_compute(other.spec, other.compute)
    items = queue.ledger({"figure": experiment(shared, other), "table": experiment(same)}, PRESET, store)
    assert [(item.key, item.ids, item.stored) for item in items] == [
        (shared.spec.key, ("figure", "table"), False),
        (other.spec.key, ("figure",), True),
    ]


def test_estimates_come_from_runs_that_differ_in_the_seed_alone_where_there_are_any(store: RunStore) -> None:
    past = []
    for seed, (alpha, minutes) in enumerate([(0.0, 2), (0.0, 4), (0.4, 10)]):
        run = store.load_or_compute(spec(seed, alpha=alpha), lambda _, minutes=minutes: result(minutes))
        assert run is not None
        past.append(run)
    assert queue.expected_minutes(spec(9, alpha=0.0), past) == pytest.approx(3)
    assert queue.expected_minutes(spec(9, alpha=0.9), past) == pytest.approx(4)
    assert queue.expected_minutes(spec(9, alpha=0.0), []) is None


def ready(store: RunStore, *jobs: Job) -> list[queue.Item]:
    return queue.ledger({"figure": experiment(*jobs)}, PRESET, store)


def test_what_a_run_needs_stands_before_it_under_the_same_ids(store: RunStore) -> None:
    teacher = Job(spec(0), lambda _: result())
    student = Job(spec(1), lambda _, teacher: result(), needs={"teacher": teacher})
    items = queue.ledger({"figure": experiment(student), "table": experiment(teacher)}, PRESET, store)
    assert [(item.key, item.ids) for item in items] == [(spec(0).key, ("figure", "table")), (spec(1).key, ("figure",))]


def test_a_run_whose_teacher_failed_is_left_and_others_go_on(store: RunStore) -> None:
    def fail(_: Path) -> Result:
        raise RuntimeError("diverged")

    teacher, alone = Job(spec(0), fail), Job(spec(2), lambda _: result())
    student = Job(spec(1), lambda _, teacher: result(), needs={"teacher": teacher})
    lines: list[str] = []
    tally = queue.work(ready(store, student, alone), store, say=lines.append)
    assert (list(tally.failed), tally.left, tally.done) == ([spec(0).key], [spec(1).key], [spec(2).key])
    assert f"2/3 {spec(1).key}: cannot be computed here: it needs {spec(0).key}, which is not there" in lines


def test_a_run_is_found_by_the_beginning_of_its_key(store: RunStore) -> None:
    jobs = [Job(spec(seed), lambda _: result()) for seed in (0, 1)]
    experiments = {"figure": experiment(*jobs)}
    assert queue.find(spec(1).key[:-4], experiments, PRESET) is jobs[1]
    with pytest.raises(ConfigError, match=r"no one run 'stand_in' at preset smoke \(it begins 2 keys"):
        queue.find("stand_in", experiments, PRESET)
    with pytest.raises(ConfigError, match=f"no one run 'stand_in-s7' .*did you mean '{spec(0).key[:10]}"):
        queue.find("stand_in-s7", experiments, PRESET)


def test_a_failed_run_is_noted_and_the_next_one_runs(store: RunStore) -> None:
    def fail(_: Path) -> Result:
        raise RuntimeError("no luck")

    lines: list[str] = []
    bad, good = Job(spec(1), fail), Job(spec(2), lambda _: result())
    tally = queue.work(ready(store, bad, good), store, say=lines.append)
    assert tally.failed == {bad.spec.key: "RuntimeError: no luck"} and tally.done == [good.spec.key]
    assert store.load(good.spec.key) is not None
    assert lines[0] == f"1/2 {bad.spec.key}: minutes unknown"
    assert lines[1] == f"1/2 {bad.spec.key}: failed: RuntimeError: no luck"
    assert queue.work(ready(store, good), store, say=lines.append) == queue.Tally()


def test_a_run_whose_data_is_not_here_is_left_for_another_machine(store: RunStore) -> None:
    def absent(_: Path) -> Result:
        raise FileNotFoundError("no folder fgnet")

    lines: list[str] = []
    tally = queue.work(ready(store, Job(spec(), absent)), store, say=lines.append)
    assert tally == queue.Tally(left=[spec().key])
    assert lines[-1].endswith("cannot be computed here: no folder fgnet")


def test_ctrl_c_leaves_at_once_and_the_run_can_be_taken_again(store: RunStore) -> None:
    def interrupted(folder: Path) -> Result:
        (folder / "checkpoint").write_text("half way")
        raise KeyboardInterrupt

    def resumed(folder: Path) -> Result:
        assert (folder / "checkpoint").read_text() == "half way"
        return result()

    with pytest.raises(KeyboardInterrupt):
        queue.work(ready(store, Job(spec(), interrupted)), store, say=lambda _: None)
    assert queue.work(ready(store, Job(spec(), resumed)), store, say=lambda _: None).done == [spec().key]


def test_no_run_is_started_that_would_end_too_late(store: RunStore) -> None:
    jobs = [Job(spec(seed), lambda _: result()) for seed in range(3)]
    items = [
        queue.Item(job, ("figure",), False, minutes) for job, minutes in zip(jobs, [100.0, 1.0, None], strict=True)
    ]
    tally = queue.work(items, store, max_minutes=50, say=lambda _: None)
    assert tally.left == [jobs[0].spec.key] and tally.done == [jobs[1].spec.key, jobs[2].spec.key]
    assert queue.work(items, store, max_minutes=0, say=lambda _: None).left == [job.spec.key for job in jobs]


WORKER = """
import sys, time
sys.path.insert(0, {folder!r})
from pathlib import Path
import test_queue as t
from aifr_lib.experiments import queue
from aifr_lib.names import ConfigError
from aifr_lib.reporting.runs import RunStore

def compute(folder):
    with (Path({log!r})).open("a") as file:
        file.write("computed\\n")
    print("computing", flush=True)
    time.sleep({seconds})
    return t.result()

store = RunStore({root!r})
jobs = [t.Job(t.spec(seed), compute) for seed in range({count})]
{work}
"""
QUEUE = "queue.work(t.ready(store, *jobs), store, say=lambda line: None)"
TABLE = "assert all(store.load_or_compute(job.spec, job.compute) for job in jobs)"


def worker(store: RunStore, log: Path, seconds: float, count: int, work: str = QUEUE) -> subprocess.Popen[bytes]:
    code = WORKER.format(
        folder=str(Path(__file__).parent), log=str(log), seconds=seconds, root=str(store.root), count=count, work=work
    )
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)


@pytest.mark.parametrize("kinds", [(QUEUE, QUEUE), (TABLE, TABLE), (QUEUE, TABLE)])
def test_two_processes_compute_each_run_once(store: RunStore, tmp_path: Path, kinds: tuple[str, str]) -> None:
    log = tmp_path / "log"
    workers = [worker(store, log, 0.3, 4, work) for work in kinds]
    for process in workers:
        process.communicate()  # to its end, however busy the machine is
    assert [process.returncode for process in workers] == [0, 0]
    assert log.read_text().count("computed") == 4
    assert all(store.load(spec(seed).key) is not None for seed in range(4))


def test_a_killed_process_holds_no_lock(store: RunStore, tmp_path: Path) -> None:
    log = tmp_path / "log"
    first = worker(store, log, 600, 1)
    assert first.stdout is not None and first.stdout.readline() == b"computing\n"  # or its end, if it fails before
    job = Job(spec(0), lambda _: result())
    assert queue.work(ready(store, job), store, say=lambda _: None).elsewhere == [job.spec.key]
    first.send_signal(signal.SIGKILL)
    first.communicate()
    assert (store.work_folder(job.spec.key) / "lock").exists()
    assert queue.work(ready(store, job), store, say=lambda _: None).done == [job.spec.key]
