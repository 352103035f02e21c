"""The recipes of CAAE, IPCGAN and the age judge: each part's step by hand, stopping and resuming, what is refused."""

from __future__ import annotations

import os
import signal

import numpy as np
import pytest
import torch
from noise_images import make_images
from PIL import Image
from torch.nn import functional as F

from aifr_lib.data.loader import to_input
from aifr_lib.models import weights
from aifr_lib.models.age_estimator import AgeEstimator, expected_age
from aifr_lib.settings.aad import AgeEstimation
from aifr_lib.settings.mtlface import AgeJudging
from aifr_lib.settings.recognition import Recognition
from aifr_lib.settings.synthesis_rivals import Caae, Ipcgan
from aifr_lib.training import age_judge, sheets, synthesis_rivals
from aifr_lib.training.engine import Stopped
from aifr_lib.training.objectives import age_judge as judging
from aifr_lib.training.objectives.synthesis_rivals import CaaeObjective, IpcganObjective, map_and_years

SMALL = Recognition(input_hw=(32, 32), width=0.125, embedding=8, batch=4, epochs=1, drops=(), lr=0.01)
CAAE = Caae(train=SMALL, bounds=(30, 60), code=6, width=0.125, smoothness_weight=0.5, image_weight=0.25, code_weight=2)
IPCGAN = Ipcgan(train=SMALL, classifier=AgeEstimation(train=SMALL), bounds=(30, 60), width=0.25, blocks=1)
ALONE = {"device": "cpu", "progress": False}


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


@pytest.fixture(scope="module")
def images():
    found = make_images(identities=4, per_identity=3, size=32)
    found.labels["age"] = np.tile([8.0, 30.0, 30.5, 60.0, 61.0, 88.0], 2)
    return found


AGES = torch.tensor([[9, 61], [30, 60], [61, 3], [90, 31.0]])


def pair():
    torch.manual_seed(1)
    return {
        "images": torch.rand(4, 2, 3, 32, 32) * 2 - 1,
        "age": torch.tensor([[9, 61], [30, 60], [61, 3], [90, 31.0]]),
    }


def test_each_step_of_caae_by_hand():
    module, given = CaaeObjective(CAAE).eval(), pair()
    images, group = given["images"][:, 0], torch.tensor([0, 0, 2, 2])
    batch = {"images": images, "age": given["age"][:, 0]}
    drawn, code = module.network(images, group), module.network.encode(images)
    assert code.abs().max() < 1 and drawn.shape == images.shape
    real, even = (critic(*on) for critic, on in ((module.image_critic, (drawn, group)), (module.code_critic, (code,))))
    down, along = drawn[:, :, 1:] - drawn[:, :, :-1], drawn[..., 1:] - drawn[..., :-1]
    expected = (drawn - images).square().mean() + 0.5 * (down.square().mean() + along.square().mean())
    expected = expected + 0.25 * -F.logsigmoid(real).mean() + 2 * -F.logsigmoid(even).mean()
    found = module(batch, "autoencoder")
    assert found["loss"].item() == pytest.approx(expected.item(), rel=1e-5)
    found["loss"].backward()
    assert all(weight.grad is None for weight in (*module.code_critic.parameters(), *module.image_critic.parameters()))
    assert all(weight.grad is not None for weight in module.network.parameters())
    module.zero_grad()

    torch.manual_seed(7)
    spread = 2 * torch.rand_like(code) - 1
    told = -F.logsigmoid(module.code_critic(spread)).mean() - F.logsigmoid(-module.code_critic(code)).mean()
    torch.manual_seed(7)
    assert module(batch, "code_critic")["loss"].item() == pytest.approx(told.item(), rel=1e-5)
    told = -F.logsigmoid(module.image_critic(images, group)).mean() - F.logsigmoid(-real).mean()
    found = module(batch, "image_critic")["loss"]
    assert found.item() == pytest.approx(told.item(), rel=1e-5)
    found.backward()
    assert all(weight.grad is None for weight in module.network.parameters())


def test_each_step_of_ipcgan_by_hand():
    estimator = AgeEstimator((32, 32), 0.25)
    module, given, target = IpcganObjective(IPCGAN, estimator).eval(), pair(), torch.tensor([2, 1, 0, 1])
    source, real = given["images"].unbind(1)
    drawn = module.network(source, target)
    before, after = (estimator.stage_maps(faces)[0] for faces in (source, drawn))  # 16 x 16 cells, the nearest to 13
    torch.testing.assert_close(map_and_years(estimator, source, 13)[1], estimator(source))
    chances = estimator(drawn).softmax(1)
    ages = torch.stack([chances[:, :31].sum(1), chances[:, 31:61].sum(1), chances[:, 61:].sum(1)], 1)
    expected = 75 * (module.critic(drawn, target) - 1).square().mean() / 2
    expected = expected + 5e-5 * (before - after).square().sum((1, 2, 3)).mean()
    expected = expected - 30 * ages.log()[torch.arange(4), target].mean()
    found = module(given, "generator")
    assert found["loss"].item() == pytest.approx(expected.item(), rel=1e-4)
    found["loss"].backward()
    assert all(weight.grad is None for weight in (*module.critic.parameters(), *estimator.parameters()))

    torch.manual_seed(7)
    another = (target + torch.randint(1, 3, (4,))) % 3
    assert (another != target).all()
    squares = (module.critic(real, target) - 1) ** 2 / 2, module.critic(real, another) ** 2 / 4
    expected = squares[0].mean() + squares[1].mean() + (module.critic(drawn, target) ** 2 / 4).mean()
    torch.manual_seed(7)
    assert module(given, "critic")["loss"].item() == pytest.approx(expected.item(), rel=1e-4)


@pytest.mark.parametrize(("input_hw", "cells"), [((48, 48), 12), ((112, 112), 14)])
def test_ipcgan_keeps_a_map_as_fine_as_the_papers(input_hw, cells):
    estimator = AgeEstimator(input_hw, 0.25).eval()
    kept, _ = map_and_years(estimator, torch.zeros(1, 3, *input_hw), IPCGAN.map_side)
    assert kept.shape[-2:] == (cells, cells)


@pytest.mark.parametrize("config", [CAAE, IPCGAN], ids=["caae", "ipcgan"])
def test_a_rival_is_trained_watched_kept_and_resumed_to_equal_bits(tmp_path, images, monkeypatch, config):
    whole = synthesis_rivals.train(config, tmp_path / "whole", images=images, looks=3, **ALONE)
    network, found = synthesis_rivals.load(whole.weights)
    assert found == config and weights.digest(network.state_dict()) == whole.checksum
    faces = network.at_groups(torch.zeros(2, 3, 32, 32))
    assert faces.shape == (2, 3, 3, 32, 32) and faces.abs().max() <= 1
    assert sorted(path.name for path in (tmp_path / "whole" / "sheets").iterdir()) == [
        "000001.png", "000002.png", "000003.png"]  # fmt: skip
    assert Image.open(tmp_path / "whole" / "sheets" / "000003.png").size == (2 * 4 * 32, 2 * 8 * 32)

    kind = CaaeObjective if config is CAAE else IpcganObjective
    calls, forward = [], kind.forward

    def stopping(self, given, part):
        calls.append(part)
        if len(calls) == len(kind.parts) + 1:
            os.kill(os.getpid(), signal.SIGTERM)
        return forward(self, given, part)

    monkeypatch.setattr(kind, "forward", stopping)
    shared = {} if config is CAAE else {"classifier": tmp_path / "whole" / "classifier"}
    with pytest.raises(Stopped, match="stopped at step 2 of 3"):
        synthesis_rivals.train(config, tmp_path / "cut", images=images, **shared, **ALONE)
    again = synthesis_rivals.train(config, tmp_path / "cut", images=images, **shared, **ALONE)
    assert again.checksum == whole.checksum


def test_what_does_not_fit_is_refused_before_anything_is_trained(tmp_path, images):
    with pytest.raises(ValueError, match="no picture is of the age group 90 … 100 years"):
        synthesis_rivals.train(CAAE.model_copy(update={"bounds": (30, 90)}), tmp_path, images=images, **ALONE)
    other = AgeEstimation(train=SMALL.model_copy(update={"lr": 0.5}))
    synthesis_rivals.train(IPCGAN, tmp_path / "one", images=images, **ALONE)
    asked = IPCGAN.model_copy(update={"classifier": other})
    with pytest.raises(ValueError, match=r"another age classifier than .*\(train\.lr 0\.01 → 0\.5\)"):
        synthesis_rivals.train(
            asked, tmp_path / "two", images=images, classifier=tmp_path / "one" / "classifier", **ALONE
        )
    assert not (tmp_path / "two").exists()


def test_the_judge_learns_from_four_fifths_of_the_people_by_l_ae(tmp_path, images):
    config = AgeJudging(train=SMALL, bounds=(30, 60), share=0.75)
    taken = age_judge.learned_from(config, images)
    assert images.labels["identity"][taken].nunique() == 3 and images.labels["identity"][~taken].nunique() == 1
    trained = age_judge.train(config, tmp_path, images=images, **ALONE)
    network, found = age_judge.load(trained.weights)
    assert found == config and weights.digest(network.state_dict()) == trained.checksum
    x, age = torch.randn(4, 3, 32, 32), torch.tensor([5.0, 30.0, 31.0, 80.0])
    years, groups = network(x)
    expected = (expected_age(years) - age).square().mean() + F.cross_entropy(groups, torch.tensor([0, 0, 1, 2]))
    module = judging.AgeJudge(network, config.bounds).eval()
    assert module({"images": x, "age": age})["loss"].item() == pytest.approx(expected.item(), rel=1e-5)
    torch.testing.assert_close(network.estimated_age(x), expected_age(years))
    with pytest.raises(ValueError, match="leave nobody to learn from, or nobody to be held out"):
        age_judge.learned_from(config.model_copy(update={"share": 0.01}), images)


def test_a_sheet_shows_each_face_then_itself_at_every_age():
    pictures = np.random.default_rng(0).integers(0, 256, (2, 4, 4, 3), dtype=np.uint8)
    at_groups = sheets.drawn(lambda x: torch.stack([x, -x, x.flip(-1)], 1), pictures, "cpu", batch=1)
    np.testing.assert_array_equal(at_groups[:, 0], pictures)
    np.testing.assert_array_equal(at_groups[:, 2], pictures[:, :, ::-1])
    whole = sheets.sheet(pictures, at_groups)
    assert whole.shape == (8, 16, 3)
    np.testing.assert_array_equal(whole[4:, :4], pictures[1])
    np.testing.assert_array_equal(sheets.levels(to_input(torch.from_numpy(pictures))), pictures)
