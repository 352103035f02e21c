"""The recipe of students: its teachers, what is kept of them, resuming, diverging, and what is refused beforehand."""

from __future__ import annotations

import json
import logging
import os
import shutil
import signal
from dataclasses import replace

import numpy as np
import pytest
import torch
from noise_images import make_images

from aifr_lib.data.loader import to_input
from aifr_lib.models import weights
from aifr_lib.models.attention import Attended
from aifr_lib.names import ConfigError
from aifr_lib.settings.aad import AgeEstimation, Distillation
from aifr_lib.settings.recognition import Recognition
from aifr_lib.training import age_estimation, distillation, kept, recognition
from aifr_lib.training.engine import CHECKPOINT, LOG, Stopped
from aifr_lib.training.objectives import distillation as step

SMALL = Recognition(
    input_hw=(32, 32), width=0.125, embedding=8, batch=8, epochs=2, drops=(), lr=0.02, s=8.0, m=0.1, warmup=0.5
)
TEACHER = SMALL.model_copy(update={"backbone": "iresnet18", "embedding": 12, "seed": 5})
AGES = AgeEstimation(train=SMALL.model_copy(update={"lr": 0.01, "seed": 6}))
ALONE = {"device": "cpu", "progress": False}


@pytest.fixture(scope="module")
def images():
    return make_images(identities=4, per_identity=6, size=32)


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("AIFR_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def teachers(tmp_path_factory, images):
    """Folders of a recogniser and of an age estimator, both trained on the pictures that students see."""
    root = tmp_path_factory.mktemp("teachers")
    recognition.train(TEACHER, root / "teacher", images=images, **ALONE)
    age_estimation.train(AGES, root / "age_teacher", images=images, **ALONE)
    return {"teacher": root / "teacher", "age_teacher": root / "age_teacher"}


def config(mode, **change):
    taught = {} if mode == "self" else {"teacher": TEACHER}
    if change.get("masks", "none") != "none":
        taught["age_teacher"] = AGES
    return Distillation(train=SMALL, mode=mode, **{**taught, **change})


def learn(asked, out, images, teachers):
    used = {name: teachers[name] for name in ("teacher", "age_teacher") if getattr(asked, name) is not None}
    return distillation.train(asked, out, images=images, **used, **ALONE)


def test_a_student_without_teachers_is_the_one_of_recognition_bit_for_bit(tmp_path, images):
    alone = recognition.train(SMALL, tmp_path / "a", images=images, **ALONE)
    student = distillation.train(config("self"), tmp_path / "b", images=images, **ALONE)
    assert student.checksum == alone.checksum


@pytest.mark.parametrize("asked", [config("l2", last_weight=1e-4), config("aad", masks="own", attention_weight=10.0),
                                   config("kd"), config("ad_last", masks="another")],
                         ids=lambda one: f"{one.mode}-{one.masks}")  # fmt: skip
def test_every_kind_of_student_is_trained_and_comes_back(tmp_path, images, teachers, asked):
    trained = learn(asked, tmp_path / "student", images, teachers)
    network, found = distillation.load(trained.weights)
    assert found == asked and weights.digest(network.state_dict()) == trained.checksum
    assert trained.diverged is None and trained.scalars["largest_loss"] >= trained.scalars["loss"]
    lines = [json.loads(line) for line in (tmp_path / "student" / LOG).read_text(encoding="utf-8").splitlines()]
    assert {"loss_identity", "slope_identity", "largest_loss"} <= lines[-1].keys()
    state = torch.load(tmp_path / "student" / CHECKPOINT, weights_only=True)["objective"]
    assert not any("teacher" in name for name in state)
    if asked.feeds_back:
        assert isinstance(network, Attended)
        with pytest.raises(ValueError, match="names no settings"):
            recognition.load(trained.weights)
    else:
        assert recognition.load(trained.weights)[1] == SMALL


def test_aad_trains_in_bf16_as_well(tmp_path, images, teachers):
    asked = config("aad", masks="own")
    asked = asked.model_copy(update={"train": SMALL.model_copy(update={"precision": "bf16", "clip": 1.0})})
    trained = learn(asked, tmp_path, images, teachers)
    assert trained.diverged is None and np.isfinite(trained.scalars["loss_stage2"])
    assert next(trained.backbone.parameters()).dtype == torch.float32


def test_kept_outputs_are_those_of_the_live_teachers(images, teachers):
    asked = config("aad", masks="own")
    recogniser = distillation.recogniser_of(asked, teachers["teacher"])
    live = recognition.load(teachers["teacher"] / "weights.safetensors")[0]
    live.load_state_dict({name: value.half().float() if value.is_floating_point() else value
                          for name, value in live.state_dict().items()})  # fmt: skip
    says = kept.embeddings(recogniser.run)
    found = kept.kept("embeddings", says, recogniser.run, recogniser.digest, images, (32, 32), progress=False)
    x = to_input(torch.from_numpy(images.pixels))
    with torch.no_grad():
        wanted = torch.stack([live(x), live(x.flip(-1))], 1).numpy()
    np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=1e-4)
    assert np.abs(found[:, 0] - found[:, 1]).max() > 1e-3, "a picture is not its mirror image"
    estimator, digest = distillation.age_estimator_of(asked, teachers["age_teacher"])
    masks = kept.kept("masks", kept.invariant_masks(estimator), estimator, digest, images, (32, 32), progress=False)
    assert masks.shape == (24, 2, 64 + 16 + 4)
    with torch.no_grad():
        first, *others = estimator.masks(x.flip(-1))
        third = torch.nn.functional.avg_pool2d(first, 4) * (1 - others[1])
    np.testing.assert_allclose(masks[:, 1, 64:80], third.flatten(1), rtol=1e-4, atol=1e-5)


def test_outputs_are_computed_once_for_a_teacher_and_pictures(tmp_path, images, teachers, monkeypatch):
    learn(config("ad_last"), tmp_path / "a", images, teachers)
    monkeypatch.setattr(kept, "_compute", None)
    learn(config("ad_last", last_weight=2.0), tmp_path / "b", images, teachers)
    fewer = images.take(np.arange(16))
    with pytest.raises(TypeError, match="not callable"):
        learn(config("ad_last"), tmp_path / "c", fewer, teachers)


def test_kept_outputs_of_other_pictures_are_refused_with_what_to_do(tmp_path, images, teachers):
    learn(config("ad_last"), tmp_path / "a", images, teachers)
    (note,) = (tmp_path / "cache" / "teachers").glob("*.json")
    about = json.loads(note.read_text(encoding="utf-8"))
    note.write_text(json.dumps({**about, "pictures": "others v9"}), encoding="utf-8")
    with pytest.raises(ValueError, match=r"outputs of other pictures: others v9, wanted noise 1, 24 .*; delete "):
        learn(config("ad_last"), tmp_path / "b", images, teachers)
    note.write_text("{", encoding="utf-8")
    with pytest.raises(ValueError, match=r"cannot be read .*delete"):
        learn(config("ad_last"), tmp_path / "b", images, teachers)


def test_another_persons_masks_are_of_another_person_each_once():
    identity = np.array([3, 1, 1, 2, 3, 2, 2, 9, 9, 9])
    seeds = [kept.of_another_person(identity, seed) for seed in range(5)]
    for other in seeds:
        assert (identity[other] != identity).all() and sorted(other) == list(range(10))
    assert len({tuple(other) for other in seeds}) > 1
    with pytest.raises(ValueError, match="identity 1 has more than half"):
        kept.of_another_person(np.array([1, 1, 1, 2]), 0)


def test_rows_give_each_picture_what_was_said_of_it_or_of_another(images):
    said = np.arange(24 * 2, dtype=np.float32).reshape(24, 2, 1)
    rows = kept.TaughtRows(images, (32, 32), {"a": said, "b": said}, {"b": np.arange(24)[::-1]})
    batch = rows.__getitems__([0, 5])
    assert batch["a"].flatten().tolist() == [0, 1, 10, 11]
    assert batch["b"].flatten().tolist() == [46, 47, 36, 37]


def test_a_stopped_aad_training_goes_on_to_equal_bits(tmp_path, images, teachers, monkeypatch):
    asked = config("aad", masks="own", attention_weight=10.0)
    whole = learn(asked, tmp_path / "whole", images, teachers)
    calls, forward = [], step.Student.forward

    def stopping(self, *given):
        calls.append(1)
        if len(calls) == 3:
            os.kill(os.getpid(), signal.SIGTERM)
        return forward(self, *given)

    monkeypatch.setattr(step.Student, "forward", stopping)
    with pytest.raises(Stopped, match="stopped at step 3 of 6"):
        learn(asked, tmp_path / "cut", images, teachers)
    monkeypatch.undo()
    monkeypatch.setenv("AIFR_CACHE", str(tmp_path / "elsewhere"))
    again = learn(asked, tmp_path / "cut", images, teachers)
    assert again.checksum == whole.checksum and again.scalars["largest_loss"] == whole.scalars["largest_loss"]


def test_a_resume_under_another_teacher_is_refused(tmp_path, images, teachers):
    asked = config("ad_last")
    learn(asked, tmp_path / "student", images, teachers)
    other = tmp_path / "teacher"
    shutil.copytree(teachers["teacher"], other)
    network, _ = recognition.load(other / "weights.safetensors")
    metadata = weights.read_metadata(other / "weights.safetensors")
    network.fc.weight.data += 0.5
    weights.save_weights(network, other / "weights.safetensors", {"recognition": metadata["recognition"]})
    with pytest.raises(ValueError, match=r"other settings \(teacher_digest '[0-9a-f]{64}' → '[0-9a-f]{64}'\)"):
        learn(asked, tmp_path / "student", images, {"teacher": other})


def test_a_folder_of_another_teacher_is_refused(tmp_path, images, teachers):
    asked = config("ad_last", teacher=TEACHER.model_copy(update={"seed": 7}))
    with pytest.raises(ValueError, match=r"holds another teacher than the settings ask for \(seed 5 → 7\)"):
        learn(asked, tmp_path, images, teachers)
    ages = AGES.model_copy(update={"dropout": 0.2})
    asked = config("aad", masks="own", age_teacher=ages)
    with pytest.raises(ValueError, match=r"another age_teacher than .*\(dropout 0.1 → 0.2\)"):
        learn(asked, tmp_path, images, teachers)
    with pytest.raises(ValueError, match="is no age estimator"):
        learn(config("aad", masks="own"), tmp_path, images, {**teachers, "age_teacher": teachers["teacher"]})


def test_teachers_that_are_not_there_are_trained_first(tmp_path, images, monkeypatch):
    monkeypatch.setattr(recognition, "training_faces", lambda _: images)
    trained = distillation.train(config("aad", masks="own"), tmp_path, **ALONE)
    assert (tmp_path / "teacher" / "weights.safetensors").is_file()
    assert (tmp_path / "age_teacher" / "weights.safetensors").is_file()
    again = distillation.train(config("aad", masks="own"), tmp_path, **ALONE)
    assert again.checksum == trained.checksum


def test_a_diverged_training_is_a_result_with_its_step_and_last_good_weights(tmp_path, images, monkeypatch, caplog):
    calls, forward = [], step.Student.forward

    def diverging(self, *given):
        calls.append(1)
        found = forward(self, *given)
        return {**found, "loss": found["loss"] * (float("nan") if len(calls) == 5 else 1)}

    monkeypatch.setattr(step.Student, "forward", diverging)
    with caplog.at_level(logging.WARNING):
        trained = distillation.train(config("self"), tmp_path / "a", images=images, **ALONE)
    assert trained.diverged == 4 and "the loss is nan at step 4" in caplog.text
    assert weights.read_metadata(trained.weights)["diverged"] == "4"
    network, _ = distillation.load(trained.weights)
    assert all(value.isfinite().all() for value in network.state_dict().values())
    torch.manual_seed(0)
    fresh = recognition.objective(SMALL, 4).backbone
    assert trained.checksum == weights.digest(fresh.state_dict()), "no checkpoint yet: the start is good"


def test_a_network_whose_weights_are_finite_and_whose_embeddings_are_not_has_diverged(
    tmp_path, images, monkeypatch, caplog
):
    def spoiled(module, *_, **__):
        module.backbone.norm.running_mean.fill_(-3e38)
        module.backbone.norm.weight.data.fill_(1e4)
        return {"loss": 1.0}

    monkeypatch.setattr(distillation, "descend", spoiled)
    with caplog.at_level(logging.WARNING):
        trained = distillation.train(config("self"), tmp_path, images=images, **ALONE)
    assert trained.diverged == 6 and "gives NaN or infinity: the training diverged" in caplog.text
    torch.manual_seed(0)
    assert trained.checksum == weights.digest(recognition.objective(SMALL, 4).backbone.state_dict())


def test_weights_are_rounded_before_they_teach(teachers, images):
    recogniser = distillation.recogniser_of(config("ad_last"), teachers["teacher"])
    again = distillation.recogniser_of(config("kd"), teachers["teacher"])
    assert recogniser.digest == again.digest and again.head.classes == 4
    network, _ = recognition.load(teachers["teacher"] / "weights.safetensors")
    before = weights.digest(network.state_dict())
    assert distillation.rounded(network, teachers["teacher"]) == recogniser.digest != before
    assert all(torch.equal(one, one.half().float()) for one in network.parameters())
    network.fc.weight.data[0, 0] = 1e6
    with pytest.raises(ValueError, match=r"'fc\.weight' of the teacher is too large for half precision"):
        distillation.rounded(network, teachers["teacher"])


def test_kd_without_the_teachers_checkpoint_says_what_to_do(tmp_path, images, teachers):
    folder = tmp_path / "teacher"
    folder.mkdir()
    shutil.copy(teachers["teacher"] / "weights.safetensors", folder)
    with pytest.raises(ConfigError, match=r"kd needs the teacher's head, which lies in .*checkpoint\.pt: train"):
        learn(config("kd"), tmp_path / "student", images, {"teacher": folder})


def test_kd_over_other_people_is_refused_before_training(tmp_path, images, teachers):
    with pytest.raises(ConfigError, match="tells 4 classes apart and the student 3"):
        learn(config("kd"), tmp_path, images.take(np.arange(18)), teachers)
    assert not (tmp_path / CHECKPOINT).exists()


def test_any_file_with_a_card_can_teach_and_onnx_the_last_loss_alone(tmp_path, images, teachers):
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    from aifr_lib.models.foreign.cards import Card, Carded
    from aifr_lib.models.foreign.export import export_onnx

    network, _ = recognition.load(teachers["teacher"] / "weights.safetensors")
    path = tmp_path / "teacher.onnx"
    export_onnx(Carded(network, Card(input_hw=(32, 32))), path, images.pixels[:4])
    asked = config("ad_last", teacher=None, foreign=str(path))
    trained = distillation.train(asked, tmp_path / "student", images=images, **ALONE)
    assert trained.scalars["loss_last"] >= 0
    with pytest.raises(ConfigError, match="an ONNX file gives an embedding alone"):
        distillation.train(config("ad", teacher=None, foreign=str(path)), tmp_path / "ad", images=images, **ALONE)
    state = tmp_path / "teacher.safetensors"
    weights.save_weights(network, state)
    (tmp_path / "teacher.safetensors.yaml").write_text("input_hw: [32, 32]\n")
    trained = distillation.train(
        config("ad", teacher=None, foreign=str(state)), tmp_path / "ad", images=images, **ALONE
    )
    assert trained.scalars["loss_stage1"] >= 0
    with pytest.raises(ConfigError, match=r"sees 32×32 and the student 16×16: give the student the teacher's input_hw"):
        small = SMALL.model_copy(update={"input_hw": (16, 16)})
        distillation.train(Distillation(train=small, mode="ad_last", foreign=str(path)), tmp_path / "s",
                           images=make_images(), **ALONE)  # fmt: skip


def test_ages_that_are_unknown_or_out_of_range_are_named_before_training(tmp_path, images):
    for age, said in ((np.nan, "unknown"), (130.0, "130"), (-2.0, "-2")):
        labels = images.labels.copy()
        labels.loc[7, "age"] = age
        with pytest.raises(ValueError, match=rf"the age of 1 pictures is unknown or outside 0 … 100.*-007 \({said}\)"):
            age_estimation.train(AGES, tmp_path, images=replace(images, labels=labels), **ALONE)
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("expectation", [0.0, 0.1])
def test_an_age_estimator_learns_ages_that_show(tmp_path, expectation):
    images = make_images(identities=6, per_identity=8, size=16)
    ages = 10.0 + 80 * images.pixels.mean((1, 2, 3)) / 255
    images = replace(images, labels=images.labels.assign(age=ages))
    train = Recognition(input_hw=(16, 16), width=0.125, batch=16, epochs=40, drops=(), lr=0.02)
    asked = AgeEstimation(train=train, expectation=expectation, dropout=0.0)
    trained = age_estimation.train(asked, tmp_path, images=images, **ALONE)
    assert trained.scalars["mae"] < 0.7 * np.abs(ages - ages.mean()).mean()
    network, found = age_estimation.load(trained.weights)
    assert found == asked and weights.digest(network.state_dict()) == trained.checksum


def test_the_paper_preset_takes_one_step_at_full_size(tmp_path):
    """R90 and ResNet-18 at 112×112 teach MobileFaceNet: 1 picture of each of 4 people, on a CPU, untrained teachers."""
    from aifr_lib.settings.presets import load_preset

    aad = load_preset("paper").aad
    entry = next(one for one in aad.ledger if one.backbone == "mobilefacenet")
    asked = aad.student(entry, "aad", 0)
    changes = {"batch": 4, "epochs": 1, "precision": "no"}
    asked = asked.model_copy(update={"train": asked.train.model_copy(update=changes)})
    for name, made, about in (
        ("teacher", recognition.backbone(asked.teacher), {"recognition": asked.teacher.model_dump_json()}),
        ("age_teacher", age_estimation.network(asked.age_teacher),
         {"age_estimation": asked.age_teacher.model_dump_json()}),
    ):  # fmt: skip
        weights.save_weights(made, tmp_path / name / "weights.safetensors", about)
    images = make_images(identities=2, per_identity=2, size=112)
    trained = learn(asked, tmp_path / "student", images, {n: tmp_path / n for n in ("teacher", "age_teacher")})
    assert sum(one.numel() for one in trained.backbone.parameters()) == 1_201_024
    assert trained.diverged is None and np.isfinite(trained.scalars["loss"])
    assert {"loss_stage1", "loss_stage2", "loss_stage3", "loss_last", "loss_attention"} <= trained.scalars.keys()
