"""A run of TML: what names it, what it is shared with, what it says, and the sets that a network is scored on."""

import json
import signal

import numpy as np
import pytest
import torch
from noise_images import make_images

from aifr_lib.data.photograph_pairs import GAP_NAMES
from aifr_lib.evaluation.verification import ten_fold
from aifr_lib.experiments import recognise
from aifr_lib.experiments.generator import photo_real
from aifr_lib.experiments.jobs import gather
from aifr_lib.experiments.tml import scored, second_source, trained
from aifr_lib.names import ConfigError
from aifr_lib.reporting.runs import RunStore
from aifr_lib.settings.presets import load_preset
from aifr_lib.settings.tml import TransformerTraining
from aifr_lib.training import recognition, transformer_metric
from aifr_lib.training.engine import Stopped


@pytest.fixture
def preset(tiny):
    return load_preset("smoke", tiny)


def training(preset, alpha=0.4, **changes):
    train = preset.alpha_sweep.train.model_copy(update={"alpha": alpha})
    return TransformerTraining(train=train, **changes)


def test_every_setting_and_every_set_is_in_the_name(preset, tiny):
    key = trained.named(preset, training(preset)).key
    assert key == trained.named(preset, training(preset)).key
    others = [training(preset, branch=one) for one in ("frozen", "pooled", "none")]
    others += [training(preset, dropout=0.0), training(preset, alpha=0.5)]
    assert len({trained.named(preset, one).key for one in others} | {key}) == 6
    for change in ({"templates": 12}, {"photographs": ["orl"]}, {"looks": 3}):
        asked = load_preset("smoke", {**tiny, "alpha_sweep.scored": {**tiny["alpha_sweep.scored"], **change}})
        assert trained.named(asked, training(asked)).key != key


def test_a_network_without_a_branch_is_a_run_of_recognition_like_any_other():
    preset = load_preset("classroom")
    plain = {
        job.needs["network"].spec.key
        for seed in range(5)
        for job in [trained.job(preset, TransformerTraining(train=preset.alpha_sweep.training(0.0, seed)))]
    }
    alone = preset.photo_real.relief
    others = {recognise.job(alone.model_copy(update={"seed": seed})).spec.key for seed in range(5)}
    assert len(plain) == 5 and plain == others
    drawn = {job.needs["network"].spec.key for job in photo_real.photo_real_jobs(preset).values()}
    for (on, _), job in second_source.source_jobs(preset).items():
        assert on or job.needs["network"].spec.key in drawn


def test_a_run_says_all_that_is_asked_and_what_was_not_here(preset, tiny, tmp_path, monkeypatch):
    monkeypatch.setenv("AIFR_DATA", str(tmp_path / "nothing"))
    tiny = {**tiny, "alpha_sweep.scored": {**tiny["alpha_sweep.scored"], "photographs": ["orl", "fgnet"]}}
    preset = load_preset("smoke", {**tiny, "alpha_sweep.train": {**tiny["alpha_sweep.train"], "epochs": 30}})
    jobs = {alpha: trained.job(preset, training(preset, alpha)) for alpha in (0.0, 0.4)}
    runs = gather(RunStore(tmp_path), jobs, compute=True, fresh=False)
    for alpha, run in runs.items():
        sets = {*trained.LISTS, scored.TEMPLATES}
        assert set(run.scores) == set(run.summary["accuracy"]) == set(run.summary["auc"]) == sets
        assert len(run.scores["relief-agedb"]) == 20 and set(run.summary["by_age"]) == set(trained.LISTS)
        assert set(run.summary["photographs"]) == {"orl"} and "fgnet" in run.summary["left_out"]
        assert set(run.summary["validation"]["accuracy"]) == set(preset.alpha_sweep.train.relief.pair_lists)
        assert set(run.summary["variance"]) == {"training", "test"}
        losses = {"step", "margin", "transformer"} if alpha else {"step", "margin"}
        assert set(run.summary["slopes"]) == losses and run.summary["slopes"]["step"] == [50, 100]
    assert runs[0.4].summary["looks"]["steps"] == [60, 120] and "looks" not in runs[0.0].summary
    assert runs[0.4].wall_s > 0


def test_looking_on_the_way_changes_no_weight(preset, tmp_path):
    config = training(preset)
    options = {"device": "cpu", "progress": False}
    quiet = transformer_metric.train(config, tmp_path / "quiet", **options)
    looked = transformer_metric.train(config, tmp_path / "looked", look=lambda network, step: None, looks=2, **options)
    assert quiet.checksum == looked.checksum
    same = recognition.train(config.train, tmp_path / "recognition", **options)
    assert same.checksum == quiet.checksum, "the recipe of recognition trains the paper's branch alike"


@pytest.mark.parametrize("branch", ["transformer", "frozen", "pooled", "none"])
def test_a_step_of_each_control(preset, branch):
    config = training(preset, branch=branch)
    torch.manual_seed(0)
    start = transformer_metric.objective(config, 4)
    before = {name: weight.clone() for name, weight in start.named_parameters()}
    module = start.train()
    optimiser = torch.optim.SGD(module.parameters(), lr=0.1, weight_decay=0.1)
    batch = {"images": torch.randn(8, 3, 32, 32), "identity": torch.arange(8) % 4}
    module(batch)["loss"].backward()
    optimiser.step()
    moved = {name for name, weight in module.named_parameters() if not torch.equal(weight, before[name])}
    held = {name for name in before if name.startswith("branch.")}
    assert bool(held) == (branch in ("transformer", "frozen"))
    assert not held & moved if branch == "frozen" else held <= moved, "not even by the weight decay"
    assert ("classifier.weight" in moved) == (branch != "none")
    assert any(name.startswith("backbone.stages") for name in moved)


def test_a_control_that_is_stopped_goes_on_to_equal_bits(preset, tmp_path):
    changes = {"input_hw": (16, 16), "backbone": "mobilefacenet-fine", "epochs": 2}
    config = training(preset, branch="frozen", dropout=0.2)
    config = config.model_copy(update={"train": config.train.model_copy(update=changes)})
    options = {"images": make_images(), "device": "cpu", "progress": False}
    whole = transformer_metric.train(config, tmp_path / "whole", **options)

    seen = []

    def look(network, step):
        seen.append(step)
        if seen == [1, 2]:
            signal.raise_signal(signal.SIGTERM)

    options |= {"look": look, "looks": 100}
    with pytest.raises(Stopped):
        transformer_metric.train(config, tmp_path / "parts", **options)
    other = config.model_copy(update={"dropout": 0.1})
    with pytest.raises(ValueError, match=r"other settings \(dropout 0.2 → 0.1\)"):
        transformer_metric.train(other, tmp_path / "parts", **options)
    assert transformer_metric.train(config, tmp_path / "parts", **options).checksum == whole.checksum


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"branch": "pooled", "alpha": 0.0}, "stands in a branch's place"),
        ({"combine": "sum"}, "a sum (eq. 12) has no α"),
        ({"combine": "sum", "alpha": 0.0, "branch": "none"}, "leaves nothing to add"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(preset, change, says):
    branch = change.pop("branch", "transformer")
    train = preset.alpha_sweep.train.model_copy(update={"alpha": 0.4, **change})
    with pytest.raises(ValueError, match=says.replace("(", r"\(").replace(")", r"\)")):
        TransformerTraining(train=train, branch=branch)


def test_heads_that_do_not_divide_are_refused_before_any_face_is_drawn(preset, tmp_path, monkeypatch):
    monkeypatch.setattr(recognition, "training_faces", None)
    config = training(preset)
    config = config.model_copy(update={"train": config.train.model_copy(update={"heads": 7})})
    with pytest.raises(ConfigError, match="64 channels do not divide among 7 heads"):
        transformer_metric.train(config, tmp_path, device="cpu")


def test_what_depends_on_age_by_hand(preset):
    faces = trained.every_list(preset.alpha_sweep.train.relief)
    pairs = recognise.face_pairs(faces, "relief-lfw")
    ages = recognise.faces(faces).labels["age"].to_numpy()
    gap, young = np.abs(ages[pairs.a] - ages[pairs.b]), np.minimum(ages[pairs.a], ages[pairs.b])
    cosines = np.random.default_rng(0).uniform(-1, 1, len(gap)) + 0.3 * pairs.same
    cosines = np.clip(cosines, -1, 1)
    correct = ten_fold(cosines, pairs.same, pairs.fold, convention="cosine").correct
    auc, found = scored.by_age(faces, "relief-lfw", cosines)
    for name, low, high in zip(GAP_NAMES, (0, 5, 10, 20, 30), (5, 10, 20, 30, 999), strict=True):
        right = [bool(one) for one, years in zip(correct, gap, strict=True) if low <= years < high]
        there = pairs.same[(low <= gap) & (gap < high)]
        assert (name in found["gap"]) == (0 < there.sum() < len(there)), "a part of one kind alone says nothing"
        if name in found["gap"]:
            assert found["gap"][name]["pairs"] == len(right)
            assert found["gap"][name]["accuracy"] == pytest.approx(100 * sum(right) / len(right))
    children = [bool(one) for one, age in zip(correct, young, strict=True) if age < 16]
    assert found["people"]["child"]["accuracy"] == pytest.approx(100 * sum(children) / len(children))
    assert found["slope"] == pytest.approx(1000 * np.cov(gap, correct, bias=True)[0, 1] / gap.var())
    ranks = [a > b for a in cosines[pairs.same] for b in cosines[~pairs.same]]
    assert auc == pytest.approx(np.mean(ranks))


def test_accuracy_of_templates_is_over_as_many_of_both_kinds():
    same = np.r_[np.ones(40, bool), np.zeros(400, bool)]
    people = np.r_[np.arange(40) // 4, np.full(400, -1)]
    scores = np.r_[np.full(40, 0.8), np.full(400, 0.1)].astype(np.float32)
    assert scored.even_accuracy(scores, same, people)[0] == 100
    scores[40:] = 0.8
    accuracy, (low, high) = scored.even_accuracy(scores, same, people)
    assert accuracy == 50 and low <= 50 <= high


def test_numbers_of_photographs_by_hand():
    scores = {
        "pair_score": np.array([0.9, 0.3, 0.2, 0.1]), "pair_same": np.array([True, True, False, False]),
        "pair_a": np.array([1, 2, 1, 2]), "pair_b": np.array([1, 2, 3, 3]), "pair_gap": np.array([2.0, 40.0, 1.0, 1.0]),
        "impostor_score": np.r_[np.full(98, 0.1), 0.35, 0.5], "impostor_a": np.ones(100), "impostor_b": np.ones(100),
        "probe_hit": np.array([True, True, False]),
        "probe_gap_hit": np.array([[1, -1, -1, -1, 0], [1, -1, -1, -1, -1]]),
    }  # fmt: skip
    found = scored.numbers(scores)
    assert found["all"]["rank-1"] == pytest.approx(200 / 3)
    assert found["all"]["TAR@FAR=1e-2"] == 50, "one of a hundred strangers is as near as .5"
    assert found["0–4"] == {"rank-1": 100, "TAR@FAR=1e-2": 100}
    assert found["30+"] == {"rank-1": 0, "TAR@FAR=1e-2": 0} and set(found) == {"all", "0–4", "30+"}
    assert json.dumps(found)
