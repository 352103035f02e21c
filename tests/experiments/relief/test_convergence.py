"""Difficulty: plain trainings on validation people, the points between them, what must hold."""

from __future__ import annotations

import numpy as np
import pytest

from aifr_lib.data import relief
from aifr_lib.data.relief import chosen
from aifr_lib.experiments.relief import convergence
from aifr_lib.experiments.relief.convergence import (
    BASELINE,
    DOUBLING,
    GAIN,
    LONGER,
    LONGEST,
    RATE,
    SCHOOLED,
    TEACHER,
    WIDE,
)
from aifr_lib.reporting.runs import Git, Run
from aifr_lib.settings.presets import load_preset


def run_of(job, accuracy: float) -> Run:
    summary = {"accuracy": {"relief-agedb": accuracy}, "interval": {"relief-agedb": [accuracy - 3, accuracy + 2]}}
    return Run(job.spec.key, job.spec, {}, summary, "cpu", {}, Git(), 1.0)


def all_trainings(**more):
    """Classroom with every training that a calibration may have."""
    teacher = load_preset("classroom").relief_card.calibration.teacher.model_dump(mode="json")
    schooled = {**teacher, "epochs": 7, "relief": {**teacher["relief"], "train_identities": 9000}}
    calibration = {"doublings": 2, "schooled": schooled}
    changes = {f"relief_card.calibration.{name}": value for name, value in calibration.items()}
    return load_preset("classroom", {**changes, **more})


@pytest.fixture
def runs():
    jobs = convergence.convergence_jobs(all_trainings())
    base = {BASELINE: 86.0, LONGER: 86.5, LONGEST: 87.25, TEACHER: 90.0, SCHOOLED: 91.0, WIDE: 94.0}
    # A rate that was tried with one seed is compared by its scores, and these runs have none.
    return {
        (training, seed): run_of(job, base[training] + seed)
        for (training, seed), job in jobs.items()
        if training in base
    }


def test_trainings_differ_in_what_their_names_say_and_each_run_in_its_name() -> None:
    preset = all_trainings()
    found = convergence.trainings(preset.relief_card.calibration)
    plain = found[BASELINE].model_dump()
    assert plain["loss"] == "arcface" and plain["alpha"] == 0
    assert {k for k, v in found[LONGER].model_dump().items() if v != plain[k]} == {"epochs"}
    assert {k for k, v in found[LONGEST].model_dump().items() if v != plain[k]} == {"epochs"}
    assert [found[name].epochs for name in (LONGER, LONGEST)] == [2 * plain["epochs"], 4 * plain["epochs"]]
    teacher, schooled = found[TEACHER].model_dump(), found[SCHOOLED].model_dump()
    assert {k for k, v in schooled.items() if v != teacher[k]} == {"relief", "epochs"}
    more = {k for k, v in schooled["relief"].items() if v != teacher["relief"][k]}
    assert more == {"train_identities"}, "the pairs that are scored stay the same"
    assert {k for k, v in found[WIDE].relief.model_dump().items() if v != plain["relief"][k]} == {"span"}
    jobs = convergence.convergence_jobs(preset)
    rates = preset.relief_card.calibration.rates
    assert len({job.spec.key for job in jobs.values()}) == len(jobs) == 6 * 3 + len(rates)
    # Other rates are tried with the first seed alone, and in nothing else do they differ.
    for rate in rates:
        tried = found[RATE.format(rate)]
        assert {k for k, v in tried.model_dump().items() if v != plain[k]} == {"lr"} and tried.lr == rate
        assert [seed for training, seed in jobs if training == RATE.format(rate)] == [0]


def test_gains_are_paired_by_seed(runs) -> None:
    del runs[LONGER, 1]
    gained = convergence.gain(runs, LONGER, "relief-agedb")
    assert gained.per_seed == {0: 0.5, 2: 0.5} and gained.mean == 0.5
    assert convergence.gain({}, LONGER, "relief-agedb") is None
    assert convergence.gain(runs, LONGEST, "relief-agedb", above=LONGER).per_seed == {0: 0.75, 2: 0.75}
    assert convergence.accuracy(runs, TEACHER, "relief-agedb").per_seed == {0: 90, 1: 91, 2: 92}
    single = {key: run for key, run in runs.items() if key[1] == 0}
    alone = convergence.accuracy(single, TEACHER, "relief-agedb")
    assert (alone.mean, alone.ci95, alone.interval) == (90.0, (87.0, 92.0), "identities")


def test_points_of_one_seed_have_the_interval_of_the_same_people() -> None:
    """Two runs that decide every pair alike but some of a few people: the spread is that of those people alone."""
    preset = load_preset("classroom", {"relief_card.calibration.train.relief": {"test_identities": 120, "pairs": 400}})
    jobs = convergence.convergence_jobs(preset)
    pairs, identities = convergence.validation_pairs(preset.relief_card.calibration.train.relief, "relief-agedb")
    rng = np.random.default_rng(0)
    clear = np.where(pairs.same, 0.9, -0.1) + rng.normal(0, 0.01, 400)
    wrong = pairs.same & np.isin(identities[pairs.a], rng.choice(np.unique(identities), 12, replace=False))

    def run(training: str, scores: np.ndarray, accuracy: float) -> Run:
        job = jobs[training, 0]
        summary = {"accuracy": {"relief-agedb": accuracy}}
        return Run(job.spec.key, job.spec, {"relief-agedb": scores}, summary, "cpu", {}, Git(), 1.0)

    points = 100 * wrong.mean()
    runs = {
        (BASELINE, 0): run(BASELINE, np.where(wrong, -0.1, clear), 100 - points),
        (LONGER, 0): run(LONGER, clear, 100.0),
    }
    gained = convergence.gain(runs, LONGER, "relief-agedb")
    assert gained.mean == pytest.approx(points) and gained.interval == "identities"
    # By hand: 5,000 times as many people as there are, drawn with replacement, each bringing all pairs of theirs.
    people, a, b = np.unique(identities), identities[pairs.a], identities[pairs.b]
    drawn = rng.multinomial(len(people), np.full(len(people), 1 / len(people)), 5_000)
    times = {who: drawn[:, k] for k, who in enumerate(people)}
    weights = np.stack([times[i] if i == j else times[i] * times[j] for i, j in zip(a, b, strict=True)], axis=1)
    low, high = np.quantile(100 * (weights @ wrong) / weights.sum(1), [0.025, 0.975])
    assert gained.ci95 == pytest.approx((low, high), abs=0.1 * (high - low))
    assert convergence.gain_interval(runs[LONGER, 0], runs[LONGER, 0], "relief-agedb") == (0, 0)


@pytest.mark.parametrize(("longer", "holds"), [(0.9, True), (1.1, False), (-1.1, False)])
def test_the_decision_is_computed_from_the_table(runs, monkeypatch, longer: float, holds: bool) -> None:
    for (training, seed), run in list(runs.items()):
        if training == LONGER:
            runs[training, seed] = run_of(run, 86.0 + longer + seed)
    monkeypatch.setattr("aifr_lib.experiments.jobs.gather", lambda *_, **__: runs)
    preset = all_trainings(**{"relief_card.calibration.train.relief.pair_lists": ["relief-agedb"]})
    artefact = convergence.CONVERGENCE(preset, compute=False)
    decided = {condition.training: (value, verdict) for condition, value, verdict in convergence.decision(artefact)}
    assert decided[LONGEST][0].mean == pytest.approx(1.25 - longer) and decided[LONGEST][1] is (abs(1.25 - longer) <= 1)
    assert decided[SCHOOLED][0].mean == pytest.approx(5) and decided[SCHOOLED][1] is True
    assert decided[BASELINE][1] is True and decided[BASELINE][0].mean == pytest.approx(87)
    assert decided[LONGER][1] is holds and decided[LONGER][0].mean == pytest.approx(longer)
    assert decided[TEACHER][1] is True
    assert sum(row.metric == GAIN for row in artefact.rows) == 5 + len(preset.relief_card.calibration.rates)
    assert sum(row.metric == DOUBLING for row in artefact.rows) == 1


def test_what_is_said_follows_the_table(runs, monkeypatch) -> None:
    monkeypatch.setattr("aifr_lib.experiments.jobs.gather", lambda *_, **__: runs)
    preset = all_trainings(**{"relief_card.calibration.train.relief.pair_lists": ["relief-agedb"]})
    calibration = preset.relief_card.calibration

    def said(**levels: float) -> str:
        for (training, seed), run in list(runs.items()):
            if training in levels:
                runs[training, seed] = run_of(run, levels[training] + seed)
        return convergence.findings(convergence.CONVERGENCE(preset, compute=False), calibration)

    assert said() == ""
    # Means over seeds 0, 1, 2 lie one point higher.
    lasting = said(**{LONGER: 88.0, LONGEST: 88.5, TEACHER: 87.0})
    assert "Twice the epochs move the baseline by +2.0 points. Doubling them again moves it by +0.5." in lasting
    assert "it has converged, at 89.0 %." in lasting and "It gains 1.0 points" in lasting
    steps = calibration.schooled.epochs * 9000 / (calibration.train.epochs * calibration.train.relief.train_identities)
    assert f"9,000 people to learn from, a few years of each, and {steps:.1f} times" in lasting
    assert "it gains 5.0 points. That is enough. Above the small one at twice its epochs it gains 3.0." in lasting
    restless = said(**{LONGEST: 90.0, SCHOOLED: 88.0})
    assert "So it has not converged there either." in restless and "2.0 points. That is not enough either." in restless
    for key in [key for key in runs if key[0] in (LONGEST, SCHOOLED) and key != (LONGEST, 0)]:
        del runs[key]
    monkeypatch.setattr(convergence, "gain_interval", lambda *_: (0.0, 1.0))  # the runs have no scores
    assert "again moves it by +0.5. (That is one seed.) So at twice its epochs it has converged" in said(
        **{LONGEST: 88.5}
    )
    del runs[LONGEST, 0]
    assert "by +2.0 points. Methods" in said() and "people to learn from" not in said()


def test_no_test_picture_is_looked_at(tmp_path, monkeypatch) -> None:
    seen = set()
    load = relief.load

    def watched(split, **options):
        seen.add(split)
        return load(split, **options)

    monkeypatch.setattr(relief, "load", watched)
    chosen.faces.cache_clear()
    preset = load_preset("smoke", {"relief_card.calibration.train.relief.pair_lists": ["relief-agedb", "relief-cplfw"]})
    artefact = convergence.CONVERGENCE(preset, out=tmp_path)
    assert {row.keys["set"] for row in artefact.rows} == {"relief-agedb"}
    assert seen <= {"train", "validation"} and "validation" in seen
    assert all(row.measured for row in artefact.rows)
    assert [verdict for *_, verdict in convergence.decision(artefact)].count(None) == 0


def test_the_budget_is_told_of_the_trainings_that_have_it(runs, monkeypatch) -> None:
    monkeypatch.setattr("aifr_lib.experiments.jobs.gather", lambda *_, **__: runs)
    preset = all_trainings(**{"relief_card.calibration.train.relief.pair_lists": ["relief-agedb"]})
    plain = preset.relief_card.calibration.train
    branch = plain.model_copy(update={"alpha": 0.4, "layers": 1, "lr": 0.4, "seed": 3})
    note = convergence.budget_note(preset, branch)
    assert "by +0.5 points on relief pairs 30 years apart (validation people, 3 seeds). It has converged." in note
    for (training, seed), run in list(runs.items()):
        if training == LONGER:
            runs[training, seed] = run_of(run, 88.0 + seed)
    assert "+2.0 points" in convergence.budget_note(preset, branch)
    assert "not converged" in convergence.budget_note(preset, branch)
    assert convergence.budget_note(preset, plain.model_copy(update={"epochs": 64})) == ""
    # The sweep of the book has the budget of its calibration.
    classroom = load_preset("classroom")
    free = {"alpha", "layers", "heads", "feedforward", "lr", "seed"}
    same = (classroom.alpha_sweep.train, classroom.relief_card.calibration.train)
    assert same[0].model_dump(exclude=free) == same[1].model_dump(exclude=free)
