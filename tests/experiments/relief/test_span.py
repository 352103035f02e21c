"""A few years of each training person, or decades: one thing differs, and what it gains is told with its interval."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pytest

from aifr_lib.experiments.relief import convergence, span
from aifr_lib.experiments.relief.span import GAIN, NARROW, WIDE
from aifr_lib.reporting.runs import Git, Run
from aifr_lib.settings.presets import PRESETS, load_preset

ACROSS = "relief-agedb"


def run_of(job, accuracy: float, scores: dict[str, np.ndarray]) -> Run:
    summary = {"accuracy": {"relief-lfw": 80.0, ACROSS: accuracy}, "interval": {}}
    summary["interval"] = {name: [one - 3, one + 2] for name, one in summary["accuracy"].items()}
    return Run(job.spec.key, job.spec, scores, summary, "cpu", {}, Git(), 1.0)


@pytest.mark.parametrize("name", PRESETS)
def test_the_two_trainings_differ_in_the_years_of_a_training_person_alone(name: str) -> None:
    plain = load_preset(name).relief_card.spans.train
    narrow, wide = (span.trainings(plain)[people].model_dump() for people in (NARROW, WIDE))
    assert (narrow["relief"].pop("span"), wide["relief"].pop("span")) == ("narrow", "wide")
    assert narrow == wide


def test_the_published_runs_are_those_of_the_calibration() -> None:
    preset = load_preset("classroom")
    keys = {job.spec.key for job in span.span_jobs(preset).values()}
    assert len(keys) == 6 and keys <= {job.spec.key for job in convergence.convergence_jobs(preset).values()}


def test_the_gain_is_paired_by_seed_and_said_with_its_interval() -> None:
    preset = load_preset("classroom")
    reached = {NARROW: (80.0, 81.0, 85.0), WIDE: (90.0, 92.0, 95.0)}
    runs = {
        (people, seed): run_of(job, reached[people][seed], {}) for (people, seed), job in span.span_jobs(preset).items()
    }
    rows = list(span.span_rows(preset, runs))
    (gained,) = [row.measured for row in rows if row.metric == GAIN and row.keys["set"] == ACROSS]
    assert gained is not None and gained.per_seed == {0: 10.0, 1: 11.0, 2: 10.0}
    assert gained.ci95 == pytest.approx((31 / 3 - 4.303 / 3, 31 / 3 + 4.303 / 3), abs=0.01)
    figure = span.span_figure(type("Artefact", (), {"rows": rows})())
    assert "+10.3 points" in [text.get_text() for text in figure.axes[0].texts]
    plt.close(figure)


def test_scores_are_drawn_of_the_first_seed_that_both_have() -> None:
    preset = load_preset("smoke")
    jobs = span.span_jobs(preset, seeds=[0, 1])
    pairs, _ = convergence.validation_pairs(preset.relief_card.spans.train.relief, ACROSS)
    perfect = {ACROSS: np.where(pairs.same, 0.9, 0.1).astype(np.float16)}
    runs = {key: run_of(job, 90.0, perfect) for key, job in jobs.items() if key != (NARROW, 0)}
    figure = span.score_figure(runs)
    assert figure is not None
    titles = [axis.get_title() for axis in figure.axes]
    assert titles == [f"{people}: 100 % of one person accepted" for people in (NARROW, WIDE)]
    plt.close(figure)
    assert span.score_figure({key: run for key, run in runs.items() if key[0] == WIDE}) is None
