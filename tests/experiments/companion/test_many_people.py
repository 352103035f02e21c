"""What a head of many people takes: measured where it fits, told on paper beyond, beside the printed numbers."""

from __future__ import annotations

import pytest

from aifr_lib.experiments.companion import many_people
from aifr_lib.experiments.measure import sharded_step
from aifr_lib.reporting.runs import Run
from aifr_lib.settings.presets import load_preset

PRESET = load_preset("classroom")


def test_a_step_over_two_processes_is_measured() -> None:
    found = sharded_step.measured(people=300, processes=2, sampled=0.5, embedding=16, batch=4)
    assert found.keys() == {"gigabytes", "seconds"} and found["gigabytes"] >= 0 and found["seconds"] > 0


def test_on_paper_each_weight_is_three_numbers_of_four_bytes() -> None:
    assert sharded_step.on_paper(1_000_000, 1, 512) == pytest.approx(1_000_000 * 512 * 12 / 1e9)
    assert sharded_step.on_paper(11, 2, 100) == pytest.approx(6 * 100 * 12 / 1e9), "of the process that has more"


def test_rows_are_measured_where_there_is_a_run_and_printed_with_their_source() -> None:
    jobs = many_people.jobs(PRESET)
    assert len({job.spec.key for job in jobs.values()}) == len(jobs) == 3 * len(PRESET.many_people.people)
    place = (PRESET.many_people.people[0], "shared out")
    spec = jobs[place].spec
    run = Run(spec.key, spec, {}, {"gigabytes": 0.4, "seconds": 0.5}, "cpu", {}, None, 1.0)
    rows = list(many_people.rows(PRESET, {place: run}))
    measured = {row.metric: row.measured.mean for row in rows if row.measured and row.metric != "memory_on_paper"}
    assert measured == {"memory_each": 0.4, "step_seconds": 0.5}
    printed = [row for row in rows if row.paper is not None]
    assert all(row.keys["where"] == many_people.THERE and row.paper_source for row in printed)
    largest = {(row.keys["people"], row.metric): row.paper for row in printed if row.keys["head"].endswith("sampled")}
    assert largest["29,000,000", "pictures_per_s"] == 1855 and largest["125,000", "memory_each"] == pytest.approx(4.868)
    beyond = [row for row in rows if row.keys["people"] == "10,000,000"]
    assert [row.metric for row in beyond] == ["memory_on_paper"] * 3
