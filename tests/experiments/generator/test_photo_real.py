"""Two sources of training faces: what a run rests on, what is drawn, and how seeds become rows."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from aifr_lib.data import edited
from aifr_lib.data.images import Images
from aifr_lib.experiments import recognise
from aifr_lib.experiments.generator import photo_real
from aifr_lib.names import ConfigError
from aifr_lib.reporting.runs import Git, Run
from aifr_lib.settings.presets import load_preset
from aifr_lib.training import recognition


def run_with(job, scores) -> Run:
    return Run(job.spec.key, job.spec, scores, {}, "cpu", {}, Git(), 1.0)


def scores(accepted: float, seed: int) -> dict[str, np.ndarray]:
    """What ``measure`` gives, of 40 people with two pictures each; a share of them is known."""
    rng = np.random.default_rng(seed)
    people = np.arange(40)
    genuine = np.where(people < 40 * accepted, 0.9, -0.5) + rng.normal(0, 1e-3, 40)
    a, b = rng.permuted(np.stack([people, (people + 1) % 40], 1), axis=1).T
    return {
        "pair_score": np.r_[genuine, np.full(40, 0.1)].astype(np.float16), "pair_same": np.arange(80) < 40,
        "pair_fold": np.tile(np.arange(40) % 10, 2).astype(np.int8), "pair_a": np.r_[people, a],
        "pair_b": np.r_[people, b], "pair_gap": np.full(80, 3.0),
        "impostor_score": rng.uniform(-0.4, 0.4, 500), "impostor_a": rng.integers(0, 40, 500),
        "impostor_b": rng.integers(0, 40, 500),
        "probe_hit": np.repeat(people < 40 * accepted, 2), "probe_identity": np.repeat(people, 2),
        "probe_gap_hit": np.full((80, 5), -1, np.int8),
    }  # fmt: skip


def test_each_network_is_trained_once_and_a_run_names_it() -> None:
    preset = load_preset("classroom")
    jobs = photo_real.photo_real_jobs(preset)
    assert len(jobs) == 3 * 2 * 3 and len({job.spec.key for job in jobs.values()}) == len(jobs)
    for (source, _, seed), job in jobs.items():
        network = job.needs["network"].spec
        assert job.spec.values["network"] == network.key and network.seed == seed == job.spec.seed
        assert network.values["data"] == {"relief": "relief", "generator": "generator-narrow"}[source]
    assert len({job.needs["network"].spec.key for job in jobs.values()}) == 6


def test_steps_and_rates_are_those_of_the_other_source() -> None:
    settings = load_preset("classroom").photo_real
    steps = {}
    for name in photo_real.NAMES:
        config = getattr(settings, name)
        pictures = config.relief.train_identities * config.relief.train_per_identity
        steps[name] = round(config.epochs * (pictures // config.batch))
    assert steps["relief"] == steps["generator"]
    other = {"data", "relief", "epochs"}
    assert settings.relief.model_dump(exclude=other) == settings.generator.model_dump(exclude=other)


def test_sources_that_are_exchanged_are_refused() -> None:
    with pytest.raises(ConfigError, match="train on faces of those names"):
        load_preset("smoke", {"photo_real.generator.data": "relief"})


def test_rows_are_means_over_seeds_of_the_rows_of_one_seed() -> None:
    preset = load_preset("classroom")
    jobs = photo_real.photo_real_jobs(preset)
    runs = {place: run_with(job, scores(0.5 + 0.1 * place[2], place[2])) for place, job in jobs.items()}
    rows = list(photo_real.photo_real_rows(preset, runs))
    one = next(
        r for r in rows if r.keys == {"data": "orl", "embedder": "relief", "gap": "all"} and r.metric == "rank-1"
    )
    assert one.measured.per_seed == pytest.approx({0: 50.0, 1: 60.0, 2: 70.0}) and one.measured.interval == "seeds"
    alone = {place: run for place, run in runs.items() if place[2] == 1}
    rows = list(photo_real.photo_real_rows(preset, alone))
    one = next(
        r for r in rows if r.keys == {"data": "orl", "embedder": "relief", "gap": "all"} and r.metric == "rank-1"
    )
    assert one.measured.mean == pytest.approx(60.0) and one.measured.interval == "identities"
    assert all(row.measured is None for row in photo_real.photo_real_rows(preset, {}))


def test_every_recipe_reads_the_generators_people(monkeypatch) -> None:
    asked = []

    def cached(plan, source, *, estimate_age):
        asked.append((plan.name, len(plan.labels), plan.labels["identity"].nunique()))
        pixels = np.full((len(plan.labels), 112, 112, 3), 200, dtype=np.uint8)
        return Images(plan.name, "1", pixels, pd.DataFrame(plan.labels).assign(age=40.0))

    monkeypatch.setattr(recognition.edited, "cached", cached)
    monkeypatch.setattr(recognition.sources, "open_source", lambda name: None)
    monkeypatch.setattr(recognition.judges, "AgeJudge", lambda: None)
    recognition.generator_faces.cache_clear()
    config = load_preset("smoke").photo_real.generator
    images = recognition.training_faces(config)
    recognition.generator_faces.cache_clear()
    assert asked == [("generator-narrow", 36, 6)]
    assert images.pixels.shape == (36, 48, 48, 3) and (images.pixels == 200).all()


def test_a_run_on_the_generators_people_is_named_by_the_generator(monkeypatch) -> None:
    config = load_preset("classroom").photo_real.generator

    def key() -> str:
        recognise.data_of.cache_clear()
        return recognise.spec(config).key

    before = key()
    monkeypatch.setattr(edited.mobilestylegan, "VERSION", "another generator")
    assert key() != before
    monkeypatch.undo()
    assert key() == before
