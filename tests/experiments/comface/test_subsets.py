"""Fewer people: who is kept and why, what the tables need, what their rows say."""

import numpy as np
import pandas as pd
import pytest
from experiments.comface.test_comface_tables import made_up, pairs

from aifr_lib.data.images import Images
from aifr_lib.experiments.comface import subsets, weight
from aifr_lib.experiments.comface.measured import FINE
from aifr_lib.names import ConfigError
from aifr_lib.settings.comface import Kept, Pretraining, Source
from aifr_lib.settings.presets import load_preset
from aifr_lib.training import comface as pretraining


@pytest.fixture(scope="module")
def classroom():
    return load_preset("classroom")


@pytest.fixture(scope="module")
def people():
    """Twelve people by unordered numbers, three pictures each."""
    identity = np.repeat(np.random.default_rng(0).permutation(100)[:12], 3)
    labels = pd.DataFrame({"record": [f"r{n}" for n in range(36)], "identity": identity, "age": np.nan})
    return Images("people", "v", np.zeros((36, 8, 8, 3), np.uint8), labels)


def who(images):
    return set(images.labels["identity"])


def test_the_best_by_a_score_are_kept_with_all_their_pictures(people):
    score = tuple(np.random.default_rng(1).random(12))
    kept = pretraining.best_people(people, Kept(by="outside", share=0.25), score)
    ordered = np.unique(people.labels["identity"])
    assert who(kept) == set(ordered[np.argsort(score)[-3:]]) and len(kept) == 9


def test_lots_are_nested_and_regard_no_score(people):
    parts = [pretraining.best_people(people, Kept(by="random", share=share)) for share in (0.25, 0.5, 0.75)]
    assert [len(who(part)) for part in parts] == [3, 6, 9]
    assert who(parts[0]) < who(parts[1]) < who(parts[2])


def test_without_a_score_of_each_person_nobody_is_best(people):
    for score in (None, (1.0,) * 11):
        with pytest.raises(ConfigError, match="need a score of each of 12, got"):
            pretraining.best_people(people, Kept(by="ser-fiq", share=0.5), score)


def test_a_setting_that_came_later_is_in_no_earlier_name():
    plain = Pretraining().model_dump(mode="json")
    assert "kept" not in plain["source"]
    kept = Source(kept=Kept(by="random", share=0.5)).model_dump(mode="json")
    assert kept["kept"] == {"by": "random", "share": 0.5}


def test_what_a_subset_needs(classroom):
    jobs = subsets.subsets_jobs(classroom)
    best = jobs["ser-fiq", 25.0, FINE, "age", 0].needs["pretraining"]
    assert "scores" in best.needs and "network" in best.needs["scores"].needs
    assert best.spec.values["scores"] == best.needs["scores"].spec.key
    assert "network" not in jobs["outside", 25.0, subsets.KEPT, "age", 0].needs["pretraining"].needs["scores"].needs
    lot = jobs["random", 25.0, FINE, "age", 0].needs["pretraining"]
    assert not lot.needs and lot.spec.values["pictures"] == best.spec.values["pictures"]
    whole = jobs[subsets.ALL, 100.0, FINE, "age", 0]
    assert whole.spec == weight.varied_jobs("setting", classroom)["d", "age", 0].spec
    assert len({job.spec.key for job in jobs.values()}) == len(jobs)


def test_scores_of_halves_and_quarters_are_one_run(classroom):
    jobs = subsets.subsets_jobs(classroom)
    keys = {
        jobs[by, share, subsets.KEPT, "age", 0].needs["pretraining"].needs["scores"].spec.key
        for by in ("ser-fiq", "outside")
        for share in (25.0, 50.0)
    }
    assert len(keys) == 2


def test_rows_stand_beside_the_papers_bounds():
    smoke = load_preset("smoke")
    found = {
        (subsets.ALL, 100.0, FINE, "age", 0): made_up(pairs(4)),
        ("random", 50.0, FINE, "age", 0): made_up(pairs(8)),
    }
    rows = list(subsets.subsets_rows(smoke, found))
    by = {(r.keys["by"], r.keys["share"], r.keys["task"], r.keys["how"], r.metric): r for r in rows}
    assert by[subsets.ALL, 100.0, "age", FINE, "corr"].paper == 0.87
    assert (
        by[subsets.ALL, 100.0, "age", FINE, "mae"].measured.mean < by["random", 50.0, "age", FINE, "mae"].measured.mean
    )
    bound = by["bound", "v ≥ 0.6", "au12", FINE, "corr"]
    assert bound.paper == 0.831 and bound.measured is None
    assert by["ser-fiq", 50.0, "age", FINE, "corr"].measured is None


def test_backbones_that_are_too_large_have_rows_without_runs(classroom):
    jobs = weight.varied_jobs("backbone", classroom)
    assert {key[0] for key in jobs} == {"resnet18", "resnet50"}
    rows = {(r.keys["backbone"], r.keys["task"], r.metric): r for r in weight.varied_rows("backbone", classroom, {})}
    assert rows["vit-b-16", "age", "corr"].paper == 0.843 and rows["vit-b-16", "age", "corr"].measured is None
