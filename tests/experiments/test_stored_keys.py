"""What is stored stays named: a run's key is made of its settings, so a setting that changes its dump loses hours.

``stored_keys.txt`` is the frozen list of the runs of ``figures/classroom``. A line leaves it only with its run, when a
recipe or its data changed on purpose.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from aifr_lib.experiments import EXPERIMENTS
from aifr_lib.experiments.jobs import in_order
from aifr_lib.files import repository_root
from aifr_lib.reporting.runs import RunSpec
from aifr_lib.settings.presets import load_preset
from aifr_lib.settings.recognition import Recognition
from aifr_lib.settings.relief import Relief

FROZEN = Path(__file__).with_name("stored_keys.txt").read_text(encoding="utf-8").split()
RUNS = repository_root() / "figures" / "classroom" / "_runs"


def recorded(key: str) -> dict[str, Any]:
    return json.loads((RUNS / key / "run.json").read_text(encoding="utf-8"))["spec"]


def test_every_frozen_run_is_there_and_no_other():
    assert sorted(FROZEN) == sorted(path.name for path in RUNS.iterdir())


def test_every_frozen_run_is_named_by_an_experiment_of_classroom_or_needed_by_one():
    preset = load_preset("classroom")
    jobs = [job for experiment in EXPERIMENTS.values() for job in experiment.jobs(preset, None, None).values()]
    assert set(FROZEN) <= {job.spec.key for job in in_order(jobs)}


@pytest.mark.parametrize("key", FROZEN)
def test_the_stored_settings_validate_to_the_same_key(key: str):
    stored = recorded(key)
    values = stored["values"]
    if "backbone" in values:
        values = Recognition(**values, seed=stored["seed"]).model_dump(mode="json", exclude={"seed"})
    elif isinstance(values.get("relief"), dict):  # elsewhere the word is a digest or a set's name
        values = {**values, "relief": Relief(**values["relief"]).model_dump(mode="json")}
    assert RunSpec(**{**stored, "values": values}).key == key
