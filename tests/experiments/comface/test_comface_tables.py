"""ComFace's tables as functions of runs: what is needed and in which order, rows of runs made up, keys, settings."""

from dataclasses import replace

import numpy as np
import pytest

from aifr_lib.evaluation.change import averages, change
from aifr_lib.experiments.comface import EXPERIMENTS, age, expression, frozen, measured, networks, runs, weight
from aifr_lib.experiments.comface.measured import FINE, LAST, RIDGE, RIDGE_INNER
from aifr_lib.experiments.jobs import in_order
from aifr_lib.reporting.runs import DataId, Git, Run, RunSpec
from aifr_lib.settings.presets import load_preset

RANDOM = np.random.default_rng(0)


@pytest.fixture(scope="module")
def classroom():
    return load_preset("classroom")


def made_up(scores, seed=0, **summary):
    spec = RunSpec(
        recipe="made_up", recipe_version=1, seed=seed, values={}, data=DataId(name="d", version="v", hash="h")
    )
    return Run(spec.key, spec, scores, summary, "cpu", {}, Git(), 1.0)


def pairs(error, pairs=160, shift=0.0):
    """Predictions of pairs in both orders of eight subjects in four folds, off by ``error``."""
    true = RANDOM.normal(0, 10, pairs)
    said = true + RANDOM.normal(0, error, pairs) + shift
    return {
        "predicted": np.r_[said, -said],
        "last": np.r_[said, -said] * 0.5,
        "true": np.r_[true, -true],
        "subject": np.tile(np.arange(pairs) % 8, 2),
        "fold": np.tile(np.arange(pairs) % 4, 2),
    }


def test_kept_features_come_first_and_the_pilot_is_the_head_of_table_n(classroom):
    keys = list(age.age_jobs(classroom))
    first = keys.index((FINE, "comface", 0))
    assert {key[1] for key in keys[:first]} >= {"zero", "untrained", "pixels", "colour", "border", "imagenet", "sface"}
    pilot = age.pilot_jobs(classroom)
    assert {key for key in pilot if key[0] == FINE} == {
        (FINE, "comface", 0), (FINE, "comface", 1), (FINE, "scratch", 0), (FINE, "scratch", 1), (FINE, "imagenet", 0),
    }  # fmt: skip
    assert all(age.age_jobs(classroom)[key].spec == job.spec for key, job in pilot.items())


def test_what_a_fine_tuning_needs(classroom):
    job = age.age_jobs(classroom)[FINE, "comface", 1]
    assert list(job.needs) == ["rate", "pretraining"], "the rate's own needs are met before ours are locked"
    assert job.needs["pretraining"].spec.seed == 1
    assert job.needs["rate"].spec.seed == 0, "a method's rate is chosen once"
    assert job.needs["rate"].needs["pretraining"].spec.seed == 0
    assert not age.age_jobs(classroom)[FINE, "scratch", 0].needs.keys() - {"rate"}
    assert len({one.spec.key for one in in_order(age.age_jobs(classroom).values())}) > 30


def test_tables_share_runs_and_every_value_is_in_the_key(classroom):
    kept = {job.spec.key for job in weight.weight_jobs(classroom).values()}
    assert kept == {job.spec.key for job in weight.weight_jobs(load_preset("classroom")).values()}
    settings = classroom.comface
    one, _ = next(runs.starts(settings, "age"))
    key = runs.transfer_job(settings, "age", one, "d").spec.key
    assert key != runs.transfer_job(settings, "age", one, "c").spec.key
    assert key != runs.transfer_job(settings, "age", replace(one, method="both"), "d").spec.key
    other = settings.model_copy(update={"age": settings.age.model_copy(update={"epochs": 3})})
    assert key != runs.transfer_job(other, "age", one, "d").spec.key
    layers = weight.varied_jobs("setting", classroom)
    assert layers["d", "age", 0].spec.key == key and ("c", "age", 0) in layers


def test_rows_of_table_n_have_the_papers_numbers_and_say_what_was_not_run():
    found = {
        (FINE, "comface", 0): made_up(pairs(4)),
        (FINE, "comface", 1): made_up(pairs(4), 1),
        (FINE, "scratch", 0): made_up(pairs(8)),
    }
    rows = {(r.keys["method"], r.keys["how"], r.metric): r for r in age.age_rows(load_preset("smoke"), found)}
    ours = rows["comface", FINE, "mae"]
    assert ours.paper == 4.914 and ours.measured.interval == "seeds" and set(ours.measured.per_seed) == {0, 1}
    assert rows["scratch", FINE, "mae"].measured.interval == "identities"
    assert rows["farl", FINE, "corr"].measured is None and rows["farl", FINE, "corr"].paper == 0.851
    last = rows["comface", LAST, "mae"]
    assert last.measured.mean > ours.measured.mean
    assert rows["scratch", FINE, "mae"].measured.mean == pytest.approx(
        averages(*(found[FINE, "scratch", 0].scores[n] for n in ("predicted", "true", "fold")))["mae"]
    )


def test_the_correlation_with_what_never_moves_is_undefined_not_forgotten():
    still = {**pairs(4), "true": np.zeros(320)}
    printed = {"mae": 1.0, "corr": 0.5}
    error, corr = measured.rows({"unit": "au9"}, {0: measured.said(made_up(still))}, printed=printed, source="Table J")
    assert error.measured and not error.undefined
    assert corr.undefined and corr.measured is None and corr.paper == 0.5
    assert [row.metric for row in measured.rows({}, {0: measured.said(made_up(still))})] == ["mae"]
    assert not any(row.undefined for row in measured.rows({}, {}, printed=printed, source="Table J"))


def test_the_difference_of_two_methods_is_over_subjects():
    base, better = pairs(8), pairs(8)
    better = {**base, "predicted": base["true"] + 0.5 * (base["predicted"] - base["true"])}
    said = [{0: measured.said(made_up(one))} for one in (better, base)]
    found = measured.less(*said)
    errors = [np.abs(one["predicted"] - one["true"]).mean() for one in (better, base)]
    assert found.mean == pytest.approx(errors[0] - errors[1]) and found.ci95[1] < 0
    assert measured.less({}, said[1]) is None


def test_averages_are_those_of_the_protocol():
    one = pairs(5)
    whole = change(one["predicted"], one["true"], one["subject"], fold=one["fold"])
    found = averages(one["predicted"], one["true"], one["fold"])
    assert (found["mae"], found["corr"], found["accuracy"]) == pytest.approx((whole.mae, whole.corr, whole.accuracy))


def test_the_pilot_reads_validation_alone():
    found = {
        (FINE, "comface", 0): made_up(pairs(1), validation=6.5, mae=[{"1": 7.0, "2": 6.5}]),
        (RIDGE, "comface", 0): made_up({}, validation={"age": {"whole": {"mae": 8.5}}}),
    }
    rows = {(r.keys["method"], r.keys["how"]): r.measured for r in age.pilot_rows(load_preset("smoke"), found)}
    assert rows["comface", FINE].mean == 6.5 and rows["comface", RIDGE].mean == 8.5
    assert rows["scratch", FINE] is None


def test_models_of_the_first_ward_are_a_fold_each_on_the_second():
    other = pairs(1, 20)
    stacked = np.stack([other["predicted"], other["true"]])
    run = made_up({"other_predicted": stacked, "other_true": other["true"], "other_subject": other["subject"]})
    said = weight.other_ward(run)
    expected = [np.abs(row - other["true"]).mean() for row in stacked]
    assert averages(said.predicted, said.true, said.fold)["mae"] == pytest.approx(np.mean(expected))


@pytest.mark.parametrize("letter", "BCDE")
def test_the_papers_preset_has_the_printed_settings(letter):
    """Table B's twelve epochs are those of the curriculum, whose length is counted in pictures here."""
    printed = networks.printed_values(letter)
    assert networks.our_values(letter, load_preset("paper").comface) == printed
    assert len(printed) >= 13


def test_figure_c_has_the_published_sizes():
    found = networks.compute().summary["networks"]
    assert found["resnet50"]["parameters"] == {"encoder": 23_508_032, "projection": 4_458_624, "linear": 2048}
    assert found["resnet18"]["features"] == 512 and found["vit-b-16"]["features"] == 768
    assert found["vit-b-16"]["parameters"]["encoder"] == 85_798_656
    assert found["resnet101"]["parameters"]["encoder"] == 42_500_160


def test_inner_faces_have_one_mean_and_no_colour():
    from noise_images import make_images

    images = make_images(identities=2, per_identity=2, size=64)
    images.pixels[0] //= 3
    found = frozen.inner_faces(images).pixels.astype(float)
    assert (found[..., 0] == found[..., 2]).all()
    assert np.ptp(found.mean((1, 2, 3))) < 4 and found.shape == images.pixels.shape


def test_simple_readers_have_the_sizes_they_name():
    from noise_images import make_images

    images = make_images(identities=2, per_identity=2, size=64)
    sizes = {name: reader(images).shape[1] for name, reader in frozen.READERS.items() if name not in frozen.JUDGED}
    assert sizes == {"zero": 1, "pixels": 768, "colour": 8, "border": 468}


def test_units_of_table_j_and_ways_of_table_k():
    scores = {}
    for unit in (*expression.UNITS, *expression.MAIN):
        one = pairs(4)
        scores |= {f"{name}_{unit}": one[name] for name in ("true", "subject", "fold")}
        scores[f"predicted_{unit}_whole"] = one["predicted"]
    found = {("a", "comface", 0): made_up(scores), ("b", "comface", 0): made_up(scores)}
    units = list(expression.units_rows(load_preset("smoke"), found))
    assert sum(row.measured is not None for row in units) == 8
    assert {row.keys["unit"]: row.paper for row in units if row.keys["method"] == "farl"}["au4"] == 0.627
    ways = {
        (r.keys["setting"], r.keys["task"], r.metric): r for r in expression.layer_rows(load_preset("smoke"), found)
    }
    assert ways["a", "au6", "mae"].paper == 0.639 and ways["b", "au12", "corr"].paper == 0.752
    assert ways["b-rescaled", "au6", "mae"].measured is None


def test_every_table_has_a_finding_only_where_something_was_measured():
    preset = load_preset("classroom")
    for experiment in EXPERIMENTS:
        artefact = experiment(preset, compute=False, out="/nonexistent")
        assert "not run yet" in experiment.finding(artefact)


def test_the_inner_face_stands_beside_the_whole_in_table_n():
    one = pairs(3)
    scores = {f"{name}_age": one[name] for name in ("true", "subject", "fold")}
    scores |= {"predicted_age_whole": one["predicted"], "predicted_age_inner": one["predicted"] * 0}
    rows = list(age.age_rows(load_preset("smoke"), {(RIDGE, "zero", 0): made_up(scores)}))
    inner = {row.metric: row.measured for row in rows if row.keys["how"] == RIDGE_INNER}
    assert inner["mae"].mean == pytest.approx(np.abs(one["true"]).mean(), rel=0.2)
    assert "corr" not in inner, "a correlation of nothing is none"
