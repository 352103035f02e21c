"""The recipe of MTLFace: each part's step by hand, both schedules, stopping and resuming, what is refused."""

from __future__ import annotations

import copy
import json
import logging
import os
import signal
from dataclasses import replace

import numpy as np
import pytest
import torch
from noise_images import make_images
from torch.nn import functional as F

from aifr_lib.models import weights
from aifr_lib.models.age_estimator import expected_age
from aifr_lib.names import ConfigError
from aifr_lib.settings.mtlface import AgeInvariant, MultiTask, Synthesis
from aifr_lib.settings.recognition import Recognition
from aifr_lib.training import mtlface, recognition
from aifr_lib.training.engine import CHECKPOINT, LOG, Stopped
from aifr_lib.training.objectives import mtlface as step
from aifr_lib.training.objectives.critic_watch import PATIENCE
from aifr_lib.training.sgd import WEIGHTS

SMALL = Recognition(
    input_hw=(32, 32), width=0.125, embedding=8, batch=4, epochs=1, drops=(), lr=0.02, loss="cosface", s=8.0, m=0.1
)
READING = AgeInvariant(train=SMALL, bounds=(30, 60))
DRAWING = Synthesis(filters=8, blocks=1, widths=(8, 8, 8, 8), critic_width=0.125)
ALONE = {"device": "cpu", "progress": False}


@pytest.fixture(scope="module")
def images():
    found = make_images(identities=4, per_identity=3, size=32)
    found.labels["age"] = np.tile([8.0, 30.0, 30.5, 60.0, 61.0, 88.0], 2)
    return found


def config(schedule="joint", reading=None, **drawing):
    return MultiTask(
        recognition=READING.model_copy(update=reading or {}),
        synthesis=DRAWING.model_copy(update=drawing),
        schedule=schedule,
    )


def batch():
    torch.manual_seed(3)
    return {
        "images": torch.rand(4, 2, 3, 32, 32) * 2 - 1,
        "identity": torch.tensor([[0, 1], [1, 1], [2, 0], [3, 3]]),
        "age": torch.tensor([[8.0, 61.0], [30.0, 60.0], [60.5, 3.0], [90.0, 31.0]]),
    }


def built(asked):
    torch.manual_seed(0)
    module = mtlface.objective(asked, classes=4)
    for weight in module.generator.decoder.parameters():
        torch.nn.init.normal_(weight, std=0.2)
    return module.train()


def test_the_step_of_recognition_by_hand():
    module, given = built(config(reading={"age_weight": 0.5, "adversary_weight": 0.25})), batch()
    byhand = copy.deepcopy(module)
    found = module(given, "recognition")
    images, age = given["images"][:, 0], given["age"][:, 0]
    network = byhand.recogniser
    x = network.network.stage_maps(images)[-1]
    identity, aged = network.decompose(x)
    cosine = F.normalize(network.network.embed(network.network.last(identity))) @ F.normalize(byhand.head.weight).T
    logits = 8 * (cosine - 0.1 * F.one_hot(torch.arange(4), 4))
    expected = F.cross_entropy(logits, torch.arange(4))
    for weight, head, part in ((0.5, network.ages, aged), (0.25, byhand.adversary, identity)):
        years, groups = head(part)
        one = (expected_age(years) - age).square().mean() + F.cross_entropy(groups, torch.tensor([0, 0, 2, 2]))
        expected = expected + weight * one
    assert found["loss"].item() == pytest.approx(expected.item(), rel=1e-4)


def test_the_steps_of_critic_and_generator_by_hand_leave_the_recogniser_as_it_was():
    asked = config(adversarial_weight=2.0, identity_weight=0.5, age_weight=3.0, reduction="sum")
    module, given, target = built(asked), batch(), torch.tensor([2, 1, 0, 1])
    source, real = given["images"].unbind(1)
    before = weights.digest(module.recogniser.state_dict())
    found = {part: module(given, part) for part in ("generator", "critic")}
    found["generator"]["loss"].backward()
    held = [*module.recogniser.parameters(), *module.critic.parameters()]
    assert all(weight.grad is None and weight.requires_grad for weight in held)
    assert all(weight.grad is not None for weight in module.generator.parameters())
    assert module.recogniser.training and weights.digest(module.recogniser.state_dict()) == before

    byhand = built(asked).eval()
    reader = byhand.recogniser
    drawn = byhand.generator(source, reader.look(source), target)
    again = reader.look(drawn)
    expected = 2 * ((byhand.critic(drawn, target) - 1) ** 2).mean() / 2
    expected = expected + 0.5 * (again.identity - reader.look(source).identity).square().sum((1, 2, 3)).mean()
    expected = expected + 3 * F.cross_entropy(reader.ages(again.age)[1], target)
    assert found["generator"]["loss"].item() == pytest.approx(expected.item(), rel=1e-4)

    critic = built(asked).critic
    squares = (critic(real, target) - 1) ** 2, critic(drawn, target) ** 2
    assert found["critic"]["loss"].item() == pytest.approx((squares[0].mean() + squares[1].mean()).item() / 2, rel=1e-4)
    assert all(weight.grad is None for weight in module.critic.parameters())
    found["critic"]["loss"].backward()
    assert all(weight.grad is not None for weight in module.critic.parameters())


def test_the_average_follows_the_generator_and_a_critic_that_wins_is_warned_of(caplog):
    module = built(config(averaging=0.9))
    slow = next(module.averaged.parameters())
    quick = next(module.generator.parameters())
    start = slow.clone()
    quick.data += 1
    module.after(1)
    torch.testing.assert_close(slow, start + 0.1)
    assert module.trained.generator is module.averaged
    module.watch.won += PATIENCE
    with caplog.at_level(logging.WARNING):
        module.after(PATIENCE + 1)
        assert not caplog.text
        module.after(PATIENCE)
    assert "the critic's loss has been below 0.001 for 100 steps" in caplog.text


def test_decay_spares_norms_biases_slopes_and_the_adversary():
    module = built(config())
    pulled, free = mtlface.decayed(module, 5e-4)
    assert (pulled["weight_decay"], free["weight_decay"]) == (5e-4, 0.0)
    assert all(weight.dim() > 1 for weight in pulled["params"])
    spared = {id(weight) for weight in free["params"]}
    assert {id(weight) for weight in module.adversary.parameters()} <= spared
    assert id(module.head.weight) not in spared


def test_target_ages_are_drawn_evenly_and_from_their_place_alone():
    group = np.array([0] * 90 + [1] * 6 + [2] * 4)
    walk = {"count": 100, "batch": 20, "seed": 1}
    whole = list(mtlface.TargetBatches(group, **walk, start=0, stop=60))
    assert list(mtlface.TargetBatches(group, **walk, start=40, stop=60)) == whole[40:]
    shares = np.bincount(group[np.concatenate(whole)[:, 1]]) / 1200
    np.testing.assert_allclose(shares, 1 / 3, atol=0.06)
    assert {row for _, row in np.concatenate(whole) if row >= 90} == set(range(90, 100))
    plain = [row[0] for row in whole[0]]
    assert plain == next(iter(mtlface.ShuffledBatches(**walk, start=0, stop=1)))


def test_a_joint_training_is_trained_kept_and_resumed_to_equal_bits(tmp_path, images, monkeypatch):
    asked = config(averaging=0.5)
    whole = mtlface.train(asked, tmp_path / "whole", images=images, **ALONE)
    network, found = mtlface.load(whole.weights)
    assert found == asked and weights.digest(network.state_dict()) == whole.checksum
    x = torch.zeros(2, 3, 32, 32)
    assert network(x).shape == (2, 8) and network.at_groups(x).shape == (2, 3, 3, 32, 32)
    logged = json.loads((tmp_path / "whole" / LOG).read_text(encoding="utf-8").splitlines()[-1])
    assert {"recognition_spread", "critic_real", "generator_loss_age"} <= logged.keys()

    calls, forward = [], step.MultiTask.forward

    def stopping(self, given, part):
        calls.append(part)
        if len(calls) == 4:
            os.kill(os.getpid(), signal.SIGTERM)
        return forward(self, given, part)

    monkeypatch.setattr(step.MultiTask, "forward", stopping)
    with pytest.raises(Stopped, match="stopped at step 2 of 3"):
        mtlface.train(asked, tmp_path / "cut", images=images, **ALONE)
    assert calls == ["recognition", "critic", "generator"] * 2
    again = mtlface.train(asked, tmp_path / "cut", images=images, **ALONE)
    assert again.checksum == whole.checksum
    with pytest.raises(ValueError, match=r"other settings \(synthesis\.lr 0\.0001 → 0\.5\)"):
        mtlface.train(config(averaging=0.5, lr=0.5), tmp_path / "cut", images=images, **ALONE)


def test_two_stages_hold_the_first_and_share_it(tmp_path, images):
    asked = config("two_stage")
    trained = mtlface.train(asked, tmp_path / "icm", images=images, **ALONE)
    first, settings = mtlface.load(tmp_path / "icm" / "recognition" / WEIGHTS)
    assert settings == asked.first_stage and first.generator is None
    assert weights.digest(trained.network.recogniser.state_dict()) == weights.digest(first.recogniser.state_dict())
    state = torch.load(tmp_path / "icm" / CHECKPOINT, weights_only=True)
    assert set(state["optimiser"]) == {"critic", "generator"}
    assert not any(name.startswith(("recogniser", "held")) for name in state["objective"])

    shared = {"first_stage": tmp_path / "icm" / "recognition", "images": images, **ALONE}
    one_hot = mtlface.train(config("two_stage", condition="one_hot"), tmp_path / "one_hot", **shared)
    assert not (tmp_path / "one_hot" / "recognition").exists() and one_hot.checksum != trained.checksum
    with pytest.raises(ValueError, match=r"another first stage than .*\(recognition\.afd 'both' → 'none'\)"):
        mtlface.train(config("two_stage", reading={"afd": "none"}), tmp_path / "none", **shared)


def test_the_backbone_starts_as_the_one_of_recognition():
    torch.manual_seed(0)
    plain = recognition.objective(SMALL, 4)
    torch.manual_seed(0)
    module = mtlface.objective(MultiTask(recognition=READING, synthesis=None), 4)
    assert weights.digest(plain.backbone.state_dict()) == weights.digest(module.recogniser.network.state_dict())
    assert torch.equal(plain.head.weight, module.head.weight) and module.parts == ("recognition",)


def test_lengths_are_in_epochs_or_in_steps():
    assert mtlface.length(config(), 40) == (10, 10)
    assert mtlface.length(config("two_stage", epochs=2.5), 40) == (10, 25)
    counted = {"in_steps": True, "train": SMALL.model_copy(update={"epochs": 36000, "warmup": 1000, "drops": (20000,)})}
    assert mtlface.length(config(reading=counted), 40) == (1, 36000)


def test_faces_that_do_not_fit_are_refused_before_training(tmp_path, images, monkeypatch):
    def refused(match, given=images, asked=None, error=ValueError):
        with pytest.raises(error, match=match):
            mtlface.train(asked or config(), tmp_path / "out", images=given, **ALONE)
        assert not (tmp_path / "out").exists()

    aged = replace(images, labels=images.labels.assign(age=[float("nan"), *images.labels["age"][1:]]))
    refused(r"noise: the age of 1 pictures is unknown or outside 0 … 100, such as picture-000 \(unknown\)", aged)
    refused("noise: no picture is of the age group 88 … 100 years", asked=config(reading={"bounds": (30, 60, 88)}))
    refused("no picture is of the age group 0 … 5", asked=config("two_stage", reading={"bounds": (5, 60)}))
    refused("pictures of 32×32 cannot give the network's input of 48×48",
            asked=config(reading={"train": SMALL.model_copy(update={"input_hw": (48, 48)})}))  # fmt: skip
    misspelt = {"train": SMALL.model_copy(update={"backbone": "mobilefacenett"})}
    refused("unknown backbone 'mobilefacenett'; did you mean 'mobilefacenet'", asked=config("two_stage", misspelt))
    refused("a share of 0.3 of 8 filters", asked=config("two_stage", share=0.3), error=ConfigError)
    refused("skip 'stem'", asked=config("two_stage", skip="stem"), error=ConfigError)
    monkeypatch.setenv("AIFR_DATA", str(tmp_path))
    listed = MultiTask(recognition=READING.model_copy(update={"faces": "scaf/list.txt"}))
    with pytest.raises(FileNotFoundError, match=r"no faces at scaf/list\.txt below AIFR_DATA .*'id path age gender'"):
        mtlface.train(listed, tmp_path / "out", **ALONE)


def test_weights_of_another_recipe_are_refused(tmp_path):
    path = tmp_path / "plain.safetensors"
    weights.save_weights(recognition.backbone(SMALL), path, {"recognition": SMALL.model_dump_json()})
    with pytest.raises(ValueError, match="is no MTLFace of this library"):
        mtlface.load(path)
