"""What ``aifr show`` says: settings in words, what runs cost, what would be computed again and why."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aifr_lib.experiments import provenance
from aifr_lib.experiments.jobs import Experiment, Job
from aifr_lib.reporting.artefacts import Artefact
from aifr_lib.reporting.runs import DataId, Git, Result, RunSpec, RunStore
from aifr_lib.settings.presets import load_preset

PRESET = load_preset("smoke")


def spec(seed: int = 0, data: str = "v1", version: int = 1, recipe: str = "stand_in", **values: Any) -> RunSpec:
    named = DataId(name="faces", version=data, hash=data)
    values = {"alpha": 0.0, "relief": {"span": "narrow", "size": 48}, **values}
    return RunSpec(recipe=recipe, recipe_version=version, seed=seed, values=values, data=named)


def experiment(*specs: RunSpec) -> Experiment:
    jobs = {number: Job(one, lambda _: result(2.0)) for number, one in enumerate(specs)}
    return Experiment("tml_fig6", lambda preset, seeds, device: jobs)


def result(minutes: float) -> Result:
    return Result(scores={"s": np.zeros(2)}, summary={}, device="cpu", wall_s=60 * minutes)


def artefact(*specs: RunSpec) -> Artefact:
    return Artefact(
        id="tml_fig6",
        kind="experiment",
        preset="smoke",
        seeds=(0,),
        data=None,
        device="cpu",
        versions={},
        git=Git(),
        wall_s=0,
        runs=tuple(one.key for one in specs),
        rows=(),
        verdict="not_run",
    )


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunStore:
    monkeypatch.setenv("AIFR_CACHE", str(tmp_path / "cache"))
    return RunStore(tmp_path / "figures" / "smoke")


def test_settings_are_those_that_differ_within_a_recipe_and_the_seed() -> None:
    specs = [spec(0), spec(1, alpha=0.4), spec(0, recipe="other", alpha=0.9, lr=0.1)]
    assert list(provenance.in_settings(specs).values()) == ["α 0, seed 0", "α 0.4, seed 1", "seed 0"]


def test_settings_in_groups_are_told_apart_by_their_own_name() -> None:
    wide = {"span": "wide", "size": 48}
    assert list(provenance.in_settings([spec(0), spec(0, relief=wide)]).values()) == [
        "span narrow, seed 0",
        "span wide, seed 0",
    ]


def test_a_group_that_some_lack_is_said_once_and_its_settings_only_where_it_is() -> None:
    taught = [spec(0, teacher={"backbone": "iresnet18", "width": width}) for width in (0.25, 0.5)]
    assert list(provenance.in_settings([spec(0, teacher=None), *taught]).values()) == [
        "teacher none, seed 0",
        "width 0.25, seed 0",
        "width 0.5, seed 0",
    ]


def test_what_all_share_is_said_once_for_each_recipe() -> None:
    shared = provenance.shared_settings(
        [spec(0), spec(1, alpha=0.4), spec(0, recipe="other", lists=["relief-lfw", "x"])]
    )
    assert shared == {
        "stand_in": "span narrow, size 48",
        "other": "α 0, span narrow, size 48, lists random relief pairs/x",
    }


def test_a_stored_run_says_its_cost_and_a_missing_one_what_is_expected(store: RunStore) -> None:
    stored, missing = spec(0), spec(1)
    store.load_or_compute(stored, lambda _: result(3.0))
    first, second = provenance.lines(experiment(stored, missing), PRESET, store, artefact(stored))
    assert (first.key, first.state, first.minutes, first.device) == (stored.key, "stored", 3.0, "cpu")
    assert (second.state, second.minutes, second.why) == ("missing", 3.0, provenance.NEVER)


def test_a_run_that_new_data_replaced_says_so_on_both_sides(store: RunStore) -> None:
    old, new = spec(0, data="v1"), spec(0, data="v2")
    store.load_or_compute(old, lambda _: result(3.0))
    missing, unused = provenance.lines(experiment(new), PRESET, store, artefact(old))
    assert (missing.state, missing.why) == ("missing", f"differs from {old.key} in data faces v1 → faces v2")
    assert (unused.key, unused.state) == (old.key, "no longer used")
    assert unused.why == "now asked for with data faces v1 → faces v2"


def test_changes_are_told_in_words() -> None:
    said = provenance.changes(spec(0, alpha=0.4), spec(1, version=2, alpha=0.5))
    assert said == "α 0.4 → 0.5, seed 0 → 1 and version of the recipe 1 → 2"


def test_a_run_unlike_all_that_are_stored_was_never_computed(store: RunStore) -> None:
    store.load_or_compute(spec(5, data="v1", alpha=0.9, lr=1.0), lambda _: result(1.0))
    (line,) = provenance.lines(experiment(spec(0, data="v2")), PRESET, store, None)
    assert line.why == provenance.NEVER


def test_a_run_of_which_nothing_is_asked_for_any_more(store: RunStore) -> None:
    gone = spec(0, recipe="other")
    store.load_or_compute(gone, lambda _: result(1.0))
    lines = provenance.lines(experiment(spec(0)), PRESET, store, artefact(gone))
    assert lines[-1].why == "nothing of its kind is asked for"
