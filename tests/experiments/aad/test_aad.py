"""AAD's wing at the smallest size: what its runs are, need and leave, and the rows that they give."""

from __future__ import annotations

import math
from dataclasses import replace
from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

from aifr_lib.evaluation.verification import ten_fold
from aifr_lib.experiments import EXPERIMENTS, age_estimate
from aifr_lib.experiments.aad import (
    cost,
    geometry,
    known,
    networks,
    protocols,
    students,
    tables,
    teachers,
    tuning,
)
from aifr_lib.experiments.aad import (
    curves as logged,
)
from aifr_lib.experiments.jobs import gather, in_order, store_of
from aifr_lib.experiments.measure.curves import curves
from aifr_lib.names import ConfigError
from aifr_lib.reporting.rows import Measured, Row
from aifr_lib.reporting.runs import Run, RunStore
from aifr_lib.settings.presets import load_preset
from aifr_lib.training import distillation

FACES = {"size": 32, "train_identities": 8, "train_per_identity": 4, "test_identities": 60, "test_per_identity": 4,
         "pairs": 20}  # fmt: skip
TINY = {"relief": FACES, "input_hw": [32, 32], "width": 0.125, "embedding": 8, "batch": 16, "epochs": 1, "drops": [],
        "lr": 0.01, "s": 8.0, "m": 0.1}  # fmt: skip


@pytest.fixture(scope="module")
def preset():
    return load_preset(
        "smoke",
        {
            "aad.train": TINY,
            "aad.teacher": {**TINY, "backbone": "iresnet18"},
            "aad.age_teacher": {"train": TINY},
            "aad.ledger": [{"variants": ["self", "l2", "ad_last", "ad", "aad"], "seeds": [0]}],
            "aad.variants.l2.last_weight": 1e-6,  # maps of a teacher that learned for two steps are large
            "aad.tried": ["ad_last"],
            "aad.tried_length": 0.5,
            "aad.looked_at": {"train": {**TINY, "lr": 0.02}},
            "aad.protocols": {
                "people": 8,
                "longitudinal": 4,
                "distractors": 20,
                "templates": 8,
                "impostors": 4,
                "photographs": [],
            },
        },
    )


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    return tmp_path_factory.mktemp("figures")


@pytest.fixture(scope="module")
def table2(preset, out, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AIFR_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield tables.TABLE2(preset, device="cpu", out=out)


def test_a_student_needs_its_teachers_and_the_teacher_is_a_student_alone(preset):
    jobs = tables.jobs(preset)
    backbone = preset.aad.ledger[0].backbone
    assert not jobs[backbone, "self", 0].needs
    assert jobs[backbone, "ad", 0].needs.keys() == {"teacher"}
    aad = jobs[backbone, "aad", 0]
    assert aad.needs.keys() == {"teacher", "age_teacher"}
    teacher = jobs["iresnet18", "teacher", 0]
    assert aad.needs["teacher"].spec == teacher.spec and teacher.spec.values["mode"] == "self"
    recipes = [job.spec.recipe for job in in_order(jobs.values())]
    assert recipes.count("age_estimation") == 1 and recipes.count("distillation") == 6


def test_kd_needs_the_head_that_its_teacher_leaves(preset):
    config = preset.aad.student(preset.aad.ledger[0], "kd", 0)
    needed = students.student_job(config, preset.aad.protocols).needs["teacher"]
    assert needed.leaves == ("weights.safetensors", "checkpoint.pt")


def test_keys_of_students_hold_teachers_and_switches_and_not_the_seed(preset):
    aad = preset.aad

    def named(variant, seed=0):
        return students.student_job(aad.student(aad.ledger[0], variant, seed), aad.protocols).spec

    specs = {name: named(name) for name in ("l2", "ad_last", "ad", "aad")}
    assert len({spec.key for spec in specs.values()}) == 4
    other = named("ad", 3)
    assert other.values == specs["ad"].values and other.seed == 3 and "seed" not in other.values["train"]
    assert specs["ad"].values["teacher"]["backbone"] == "iresnet18"
    assert named("ad_last_printed").key == specs["ad_last"].key, "settings name a run, not what a variant is called"


def test_table_ii_has_every_student_and_the_teacher(preset, table2, out):
    assert table2.verdict == "not_run", "a smoke result is never evidence"
    accuracy = {(row.keys["variant"], row.keys["set"]): row for row in table2.rows if row.metric == "accuracy"}
    variants = {"teacher", "self", "l2", "ad_last", "ad", "aad"}
    assert {variant for variant, _ in accuracy} == variants
    assert all(0 <= row.measured.mean <= 100 for row in accuracy.values())
    ranked = [row for row in table2.rows if row.metric == "rank1"]
    assert {row.keys["set"] for row in ranked} == set(tables.RANKED)
    assert all(0 <= row.measured.mean <= 100 for row in ranked)
    losses = {row.keys["variant"]: row.measured for row in table2.rows if row.metric == "largest_loss"}
    assert {name for name, one in losses.items() if one} == variants
    diverged = [row.measured.mean for row in table2.rows if row.metric == "diverged" and row.measured]
    assert diverged == [0.0] * 6
    assert (out / "aad_table2" / "aad_table2.svg").stat().st_size > 1000


def test_the_paper_stands_beside_what_it_printed(table2):
    wanted = {"backbone": "mobilefacenet", "variant": "aad", "set": "relief-agedb"}
    (row,) = [one for one in table2.rows if one.keys == wanted and one.metric == "accuracy"]
    assert row.paper == 96.83 and row.paper_source == "Table II: AgeDB"
    assert all(one.paper is None for one in table2.rows if one.keys.get("variant") in ("teacher", "ad_last"))


def test_the_other_tables_are_made_of_the_same_runs(preset, table2, out):
    rows = {one.id: one(preset, compute=False, out=out) for one in (tables.TABLE3, tables.TABLE4, tables.TABLE5,
                                                                   tables.TABLE6)}  # fmt: skip
    assert all(artefact.runs == table2.runs for artefact in rows.values())
    found = {(row.keys["method"], row.keys["set"]): row for row in rows["aad_table3"].rows}
    assert found["mobilefacenet-aad", "relief-loo"].paper == 93.11 and found["teacher", "relief-mf1"].measured
    (student,) = [row for row in rows["aad_table4"].rows if row.keys["method"] == "mobilefacenet-aad"]
    assert student.paper == 99.6 and "those of AD" in student.paper_source
    assert {row.keys["variant"] for row in rows["aad_table5"].rows} == {"teacher", "self", "l2", "ad_last", "ad", "aad"}
    rates = [row for row in rows["aad_table6"].rows if row.measured]
    assert rates and all(
        0 <= row.measured.mean <= 100 and row.keys["set"].startswith("relief-ijb, FAR 0.") for row in rates
    )


def test_curves_of_each_term_come_from_the_log_of_the_run(preset, table2, out):
    artefact = logged.FIG5(preset, device="cpu", out=out)
    terms = {row.keys["term"] for row in artefact.rows}
    assert terms == {"identity", "last", "stage1", "stage2", "stage3", "attention"}
    assert {row.metric for row in artefact.rows} == {"loss", "norm of the weighted gradient"}


def test_what_was_tried_is_scored_on_validation_people_alone_at_half_length(preset, table2, out):
    (job,) = tuning.tuning_jobs(preset).values()
    assert job.spec.values["train"]["epochs"] == 0.5 and job.spec.recipe == "distillation_tuning"
    artefact = tuning.TUNING(preset, device="cpu", out=out)
    assert {row.keys["set"] for row in artefact.rows} == {"relief-lfw, validation", "relief-agedb, validation"}
    assert all(row.measured for row in artefact.rows)
    run = store_of(preset, out).load(job.spec.key)
    assert not run.scores and not {"accuracy", "rank1", "tar"} & run.summary.keys(), "no test person is looked at"


def test_what_was_tried_is_told_apart_by_the_settings_that_a_student_has_a_use_for():
    aad = load_preset("classroom").aad
    said = {name: tuning.settings_of(aad, name) for name in aad.tried}
    assert said["self"] == {"mode": "self", "lr": 0.2}
    assert said["try_kd_4"] == {"mode": "kd", "last_weight": 4, "lr": 0.2}
    assert said["try_ad_last_faster"] == {"mode": "ad_last", "last_weight": 64, "distance": "squared", "lr": 0.4}
    assert said["try_masks_sum"]["reduction"] == "sum" and said["try_masks_sum"]["attention_weight"] == 1
    assert len({tuple(one.items()) for one in said.values()}) == len(said), "each was tried once"


def test_a_picture_of_what_was_tried_joins_what_differs_in_one_setting():
    names, rows = ("relief-agedb", "relief-lfw"), []
    aad = load_preset("classroom").aad
    for place, variant in enumerate(aad.tried):
        for name in names:
            keys = {**tuning.settings_of(aad, variant), "set": f"{name}, validation"}
            rows.append(Row(keys=keys, metric="accuracy", measured=Measured(mean=80 + place)))
    artefact = SimpleNamespace(rows=rows)
    figure = tuning.tuning_figure(artefact)
    weights, masks, rates = ({line.get_label(): list(line.lines[0].get_xdata()) for line in axis.containers}
                             for axis in figure.axes)  # fmt: skip
    plt.close(figure)
    assert weights == {
        "AD, last layer alone, squared": [1, 16, 64, 256],
        "AD, last layer alone, linear": [1, 16],
        "ℓ2": [0.0001, 0.001, 0.01, 0.1, 1],
        "KD, the teacher's classes": [1, 4],
    }
    assert masks == {"AD, last layer alone, squared, mean": [1, 10, 100], "AD, last layer alone, squared, sum": [1]}
    assert rates == {"AD, last layer alone, squared": [0.1, 0.2, 0.4], "ℓ2": [0.1, 0.2, 0.4]}
    assert "the best is ℓ2 at weight 0.1 (" in tuning.tuning_found(artefact)


def test_a_student_that_learned_nothing_is_below_the_picture_with_its_number():
    def row(mean, **keys):
        return Row(keys={**keys, "lr": 0.2, "set": "relief-agedb, validation"}, metric="accuracy",
                   measured=Measured(mean=mean))  # fmt: skip

    rows = [row(85.0, mode="self"), row(93.0, mode="ad_last", distance="squared", last_weight=64),
            row(92.0, mode="l2", last_weight=0.1), row(49.0, mode="l2", last_weight=1)]  # fmt: skip
    artefact = SimpleNamespace(rows=rows)
    figure = tuning.tuning_figure(artefact)
    (axis,) = figure.axes
    plt.close(figure)
    assert axis.get_ylim()[0] == 83 and [text.get_text() for text in axis.texts] == ["49.0 ↓"]
    said = tuning.tuning_found(artefact)
    assert said.endswith("At its own best weight, 0.1, ℓ2 comes to 92.0 %. At weight 1 ℓ2 learns nothing.")


def test_the_age_teacher_says_how_many_years_it_errs(preset, table2, out):
    run = gather(store_of(preset, out), {0: teachers.age_teacher_job(preset.aad.age_teacher)}, compute=False,
                 fresh=False)[0]  # fmt: skip
    for split in ("validation", "test"):
        assert 0 < run.summary[split]["mae"] < 100 and run.summary[split]["mae_of_a_constant"] > 10
    errors = np.abs(run.scores["expected"].astype(float) - run.scores["age"].astype(float))
    assert errors.mean() == pytest.approx(run.summary["test"]["mae"], abs=0.1)


def test_log_odds_of_the_auc_stay_finite():
    assert tables.logit_auc({3: 0.9}, 100).per_seed == {3: pytest.approx(math.log(9))}
    assert math.isfinite(tables.logit_auc({0: 1.0}, 100).mean), "no pair is wrong"
    assert tables.logit_auc({}, 100) is None


def test_numbers_by_years_are_those_of_the_pairs_that_far_apart():
    from sklearn.metrics import roc_auc_score

    rng = np.random.default_rng(0)
    same, gap = np.tile([True, False], 300), rng.uniform(0, 40, 600)
    score = np.clip(rng.normal(0.4 * same - 0.01 * gap * same, 0.2), -1, 1)
    fold = np.repeat(np.arange(10), 60)
    found = protocols.pair_numbers(score, same, fold, gap)
    far = gap >= 30
    right = ten_fold(score, same, fold, convention="cosine").correct
    assert found["30+"] == {
        "auc": pytest.approx(roc_auc_score(same[far], score[far])),
        "pairs": far.sum(),
        "accuracy": pytest.approx(100 * right[far].mean()),
    }
    assert found["all"]["accuracy"] == pytest.approx(100 * right.mean())
    few = protocols.pair_numbers(score, same, fold, np.where(np.arange(600) < 10, 35.0, 2.0))
    assert few.keys() == {"all", "0–4"}, "ten pairs carry no number"


def test_hits_by_years_leave_out_whom_nobody_is_enrolled_for():
    hits = np.full((40, 5), -1)
    hits[:30, 0], hits[:10, 0], hits[:5, 4] = 1, 0, 1
    assert protocols.hits_by_gap(hits) == {"0–4": pytest.approx(100 * 20 / 30)}


def test_a_run_scores_everything_that_the_paper_does(preset, table2, out):
    run = tables.TABLE2.stored(preset, out=out)["mobilefacenet", "aad", 0]
    assert run.summary["rank1"].keys() == {"relief-loo", "relief-logiface", "relief-mf1", "relief-crowd"}
    assert run.summary["gaps"].keys() == run.summary["accuracy"].keys() and run.summary["tar"]
    assert run.summary["photographs"] == {}


def test_photographs_that_are_not_here_are_said_to_be_missing(preset, monkeypatch):
    monkeypatch.delenv("AIFR_DATA", raising=False)
    assert protocols.photographs(None, preset.aad.train, "fgnet", "cpu") is None


def test_committed_weights_of_teachers_teach_as_those_of_their_training_do(preset, table2, out, tmp_path, monkeypatch):
    monkeypatch.setattr(teachers, "repository_root", lambda: tmp_path)
    store, aad = store_of(preset, out), preset.aad
    kd = students.needs(aad.student(aad.ledger[0], "kd", 0), aad.protocols)["teacher"]
    both = {"teacher": kd, "age_teacher": teachers.age_teacher_job(aad.age_teacher)}
    config = aad.student(aad.ledger[0], "aad", 0)
    kept = {name: teachers.keep(store, job.spec.key, head=name == "teacher") for name, job in both.items()}
    files = {path: path.stat() for path in tmp_path.rglob("*.safetensors")}
    assert sum(one.st_size for one in files.values()) < 1e6
    for name, job in both.items():
        assert teachers.keep(store, job.spec.key, head=name == "teacher") == kept[name]
    assert {path: path.stat().st_mtime_ns for path in files} == {path: one.st_mtime_ns for path, one in files.items()}
    digests = {}
    for name, job in both.items():
        work = store.work_folder(job.spec.key)
        run = store.load(job.spec.key)
        assert job.shelved(run) == kept[name]
        digests[name] = [
            distillation.recogniser_of(config, folder).digest if name == "teacher"
            else distillation.age_estimator_of(config, folder)[1] for folder in (work, kept[name])
        ]  # fmt: skip
        other = replace(run, summary={**run.summary, "checksum": "of another training"})
        assert job.shelved(other) is None
    assert all(a == b for a, b in digests.values())
    ours, theirs = (distillation.head_of(one) for one in (store.work_folder(kd.spec.key), kept["teacher"]))
    assert torch.equal(ours.weight, theirs.weight)
    # On another machine no teacher is trained again.
    monkeypatch.setenv("AIFR_CACHE", str(tmp_path / "another machine"))
    monkeypatch.setattr(age_estimate, "compute", None)
    asked = replace(students.student_job(config, aad.protocols, "cpu"), compute=lambda folder, **at: at)
    from aifr_lib.experiments.jobs import _compute

    assert _compute(store, asked, tmp_path, True) == kept


def test_a_teacher_that_was_not_trained_here_cannot_be_kept(preset, tmp_path, out, monkeypatch):
    with pytest.raises(ConfigError, match="not stored"):
        teachers.keep(RunStore(tmp_path), "recognition-s0-000000000000")
    monkeypatch.setenv("AIFR_CACHE", str(tmp_path / "empty"))
    with pytest.raises(ConfigError, match="its weights are not here"):
        teachers.keep(store_of(preset, out), age_estimate.spec(preset.aad.age_teacher).key)


@pytest.mark.parametrize(("seeds", "said"), [((0,), "one seed each, which is no proof."), ((0, 1, 2), "a gain.")])
def test_a_gain_of_one_seed_is_no_proof_however_sure_people_are(seeds, said):
    above, below = (
        Measured(mean=mean, ci95=(mean - 0.5, mean + 0.5), interval="identities", per_seed=dict.fromkeys(seeds, mean))
        for mean in (94.0, 91.0)
    )
    assert known.against(above, below, ("a gain", "a loss", "no difference"), [above, below]) == said


def test_a_spike_is_over_the_median_of_all_terms():
    assert tables.spike({"step": [1, 2, 3], "slope_a": [3.0, 3.0, 30.0], "slope_b": [4.0, 4.0, 40.0]}) == 10
    assert tables.spike({"slope_a": [1.0, None, 1.0, 2.0]}) == 2


def test_a_long_log_is_thinned_evenly():
    log = [f'{{"step": {step}, "loss": {float(step)}}}' for step in range(1, 1002)]
    found = curves(log, points=11)
    assert found["step"] == list(range(1, 1002, 100)) == found["loss"]
    assert curves([]) == {}
    assert curves(['{"step": 20, "slope_last": Infinity}']) == {"step": [20], "slope_last": [None]}


def test_counts_of_the_published_networks_are_beside_the_printed(preset, out):
    artefact = networks.FIG2(preset, out=out)
    counts = {row.keys["network"]: row for row in artefact.rows if row.metric == "parameters"}
    assert counts["mobilefacenet"].measured.mean == 1_201_024 and counts["mobilefacenet"].paper == 1.2e6
    for name, row in counts.items():
        if row.paper is not None:
            away = abs(row.measured.mean / row.paper - 1)
            assert away < (0.02 if name == "mobilefacenet-r" else 0.002), name
    adds = {row.keys["network"]: row.measured.mean for row in artefact.rows if row.metric == "multiply_adds"}
    assert adds["iresnet90"] > 10 * adds["mobilefacenet-r"] > 10 * adds["mobilefacenet"]


def test_multiply_adds_are_those_of_the_layers():
    from torch import nn

    network = nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1, bias=False), nn.Flatten(), nn.Linear(4 * 8 * 8, 5))
    assert networks.multiply_adds(network, (16, 16)) == 8 * 8 * 4 * 27 + 4 * 64 * 5


def test_only_the_angle_does_not_see_length(preset, out):
    rows = networks.TABLE1(preset, out=out).rows
    found = {(row.keys["distance"], row.keys["feature"]): row.measured.mean for row in rows}
    assert found["angle", "longer"] == 0 < found["angle", "turned"]
    assert found["ℓ2", "longer"] > 0.3 and found["logits (KD)", "longer"] > 0.01


def test_many_layouts_have_the_size_of_mobilefacenet_r():
    found = networks.sized_like(3_730_000)
    assert len(found) > 3
    ours = {"strided": (128, 256, 512), "residual": (256, 512, 512), "last": ()}
    assert ours not in found and ours in networks.sized_like(3_790_336, 1e-9), "the one that is built is 1.6 % larger"


def test_a_guided_student_opens_the_angle_between_two_people(preset, out):
    artefact = geometry.FIG4(preset, seeds=[0, 1, 2], out=out)
    angle = {row.keys["network"]: row.measured for row in artefact.rows if row.metric == "angle"}
    assert angle["guided"].mean > angle["alone"].mean + 30
    assert (out / "aad_fig4" / "aad_fig4.svg").is_file()


def test_angle_and_margin_of_a_plane_by_hand():
    degrees = np.radians([0.0, 0.0, 0.0, 90.0, 90.0, 90.0])
    person = np.array([0, 0, 0, 1, 1, 1])
    plane = geometry.Plane(3 * np.stack([np.cos(degrees), np.sin(degrees)], 1), person)
    assert plane.angle == pytest.approx(90) and plane.margin == pytest.approx(90)
    degrees = np.radians(np.r_[np.linspace(-20, 20, 41), np.linspace(80, 100, 41)])
    plane = geometry.Plane(np.stack([np.cos(degrees), np.sin(degrees)], 1), np.repeat([0, 1], 41))
    assert plane.margin == pytest.approx(90 - 18 - 9, abs=0.5)


def test_cost_is_counted_and_timed(preset, out):
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    one = {("mobilefacenet", "aad"): cost.cost_jobs(preset)["mobilefacenet", "aad"]}
    run = gather(RunStore(out), one, compute=True, fresh=False)["mobilefacenet", "aad"]
    assert run.summary["multiply_adds_trained"] > 3 * run.summary["multiply_adds"] > 0
    for threads in ("1", "2"):
        assert 0 < run.summary["latency"][threads]["p10"] <= run.summary["latency"][threads]["median"]
    rows = list(cost.cost_rows(preset, {("mobilefacenet", "aad"): run}))
    measured = [row for row in rows if row.measured]
    assert {row.keys["variant"] for row in measured} == {"aad"} and len(measured) == 9


@pytest.mark.parametrize("variant", ["aad", "ad_last_masks"])
def test_maps_of_an_untrained_student_do_not_fade_under_its_masks(variant):
    aad = load_preset("classroom").aad
    config = aad.student(aad.ledger[0], variant, 0)
    assert config.feeds_back
    with torch.inference_mode():
        found = cost.untrained(config)(torch.randn(4, 3, *config.train.input_hw))
    assert found.norm(dim=1).min() > 0.1


def test_a_student_alone_costs_less_to_train_than_one_with_tails(preset):
    configs = {name: preset.aad.student(preset.aad.ledger[0], name, 0) for name in ("self", "ad_last", "ad", "kd")}
    steps = {name: cost.training_step(config) for name, config in configs.items()}
    adds = {name: step[0] for name, step in steps.items()}
    assert 0 < steps["self"][1] < steps["ad"][1], "three tails of the teacher are kept for the way back"
    assert adds["self"] < adds["ad_last"] < 1.2 * adds["self"] and adds["ad"] > 1.2 * adds["self"] and adds["kd"] > 0


def test_what_the_teachers_know_is_told_of_each(preset, table2, out):
    artefact = known.TEACHERS(preset, device="cpu", out=out)
    assert len({row.keys["teacher"] for row in artefact.rows}) == 3 and all(row.measured for row in artefact.rows)
    assert "errs by" in known.found(artefact)


def test_a_run_that_diverged_is_counted():
    def run(seed, diverged):
        return Run("k", None, {}, {"diverged": diverged, "largest_loss": 3.0 + seed}, "cpu", {}, None, 0.0)

    found = {seed: run(seed, diverged).summary for seed, diverged in enumerate((None, 40, None, None))}
    assert tables.stability(found)["diverged"].mean == 25 and tables.stability(found)["spike"] is None
    assert tables.stability(found)["largest_loss"].mean == 4.5


def test_all_of_the_wing_is_listed():
    ids = ("aad_table1", "aad_table2", "aad_table3", "aad_table4", "aad_table5", "aad_table6", "aad_fig2", "aad_fig4",
           "aad_fig5", "aad_cost", "aad_tuning", "aad_teachers")  # fmt: skip
    assert set(ids) <= set(EXPERIMENTS)


def test_a_student_that_feeds_back_embeds_as_it_was_trained_and_is_exported(preset, table2, out, tmp_path):
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    from aifr_lib.data.relief import chosen
    from aifr_lib.experiments.measure import embedders
    from aifr_lib.models.attention import Attended

    job = tables.jobs(preset)["mobilefacenet", "aad", 0]
    path = store_of(preset, out).work_folder(job.spec.key) / "weights.safetensors"
    found = embedders.load(path, preset)
    assert isinstance(found.run.network, Attended) and found.about == "mobilefacenet distilled by this library (aad)"
    faces = chosen.faces(preset.aad.train.relief)
    embedded = embedders.embed_with(found, faces.take(np.arange(6)), device="cpu", progress=False)
    assert embedded.shape == (6, 8) and np.isfinite(embedded).all()
    away, _ = embedders.export(found, tmp_path / "student.onnx", preset)
    assert away < 1e-4
    again = embedders.load(tmp_path / "student.onnx", preset)
    exported = embedders.embed_with(again, faces.take(np.arange(6)), device="cpu", progress=False)
    np.testing.assert_allclose(exported, embedded, rtol=1e-3, atol=1e-4)
