"""Fig. 7 and Table I: what they share with the sweep, and trainings that are looked at on the way."""

import pytest

from aifr_lib.experiments.tml import alpha_sweep, configurations
from aifr_lib.settings.presets import load_preset


@pytest.fixture
def preset(tiny):
    return load_preset("smoke", tiny)


def test_what_the_sweep_trains_too_is_one_run(preset):
    jobs = configurations.fig7_jobs(preset)
    sweep = alpha_sweep.alpha_sweep_jobs(preset)
    for name, alpha in (("standard", 0.0), ("linear", 0.4)):
        assert jobs[name, 0].spec == sweep[alpha, 0].spec
    assert len({job.spec.key for job in jobs.values()}) == len(jobs) == 4
    margin, added = (jobs[name, 0].spec.values["train"] for name in ("margin", "sum"))
    assert (margin["classifier"], margin["alpha"]) == ("margin", 0.4)
    assert (added["combine"], added["alpha"]) == ("sum", 0.0)


def test_at_the_published_size_only_two_configurations_are_new():
    preset = load_preset("classroom")
    shared = {job.spec.key for job in alpha_sweep.alpha_sweep_jobs(preset).values()}
    new = {name for (name, _), job in configurations.fig7_jobs(preset).items() if job.spec.key not in shared}
    assert new == {"margin", "sum"}


def test_rows_have_late_gains_and_the_papers_numbers(preset, untrained, tmp_path):
    artefact = configurations.FIG7(preset, out=tmp_path)
    assert artefact.verdict == "not_run", "a smoke result is never evidence"
    accuracy = {(row.keys["configuration"], row.keys["set"]): row for row in artefact.rows if row.metric == "accuracy"}
    assert accuracy["margin", "relief-lfw"].measured.mean == pytest.approx(84.9)
    assert accuracy["linear", "relief-lfw"].measured.mean == pytest.approx(83.9)
    assert accuracy["margin", "relief-lfw"].paper == accuracy["linear", "relief-lfw"].paper == 99.38
    assert accuracy["sum", "relief-lfw"].paper is None and accuracy["linear", "relief-agedb"].paper is None
    late = {row.keys["configuration"]: row.measured.mean for row in artefact.rows
            if row.metric == "late_gain" and row.keys["set"] == "relief-lfw"}  # fmt: skip
    assert late == {"linear": 3.0, "margin": 3.0, "sum": 0.5}
    along = [row.keys["trained"] for row in artefact.rows if row.metric == "on_the_way"
             and (row.keys["configuration"], row.keys["set"]) == ("sum", "relief-lfw")]  # fmt: skip
    assert along == [25.0, 50.0, 100.0]
    assert (tmp_path / "tml_fig7" / "tml_fig7.svg").stat().st_size > 1000


def test_table_i_is_drawn_from_the_same_runs_and_quotes_what_was_not_trained(preset, untrained, tmp_path):
    whole = configurations.FIG7(preset, out=tmp_path)
    artefact = configurations.TABLE1(preset, out=tmp_path)
    assert set(artefact.runs) < set(whole.runs) and len(artefact.runs) == 2
    rows = {row.keys["loss"]: row for row in artefact.rows if row.keys["set"] == "relief-lfw"}
    assert rows["sym-arcface"].measured is None and rows["sym-arcface"].paper == 99.32
    assert rows["arcface"].measured.mean == pytest.approx(79.9) and rows["transformer-arcface"].paper == 99.38


def test_a_gain_is_counted_from_the_look_nearest_to_the_middle():
    assert configurations.late_gain([4, 8, 12], [1.0, 2.0, 4.0]) == 3.0, "of two that are equally near, the first"
    assert configurations.late_gain([4, 8], [1.0, 2.0]) == 1.0
