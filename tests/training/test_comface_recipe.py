"""ComFace's pre-training: a step by hand, stop and resume to equal bits, every rival's step, what is refused."""

import copy
import json
import math
import os
import signal

import numpy as np
import pandas as pd
import pytest
import torch
from torch.nn import functional as F

from aifr_lib.data.images import Images
from aifr_lib.losses.comface import inter_loss
from aifr_lib.models import encoders
from aifr_lib.models.comface import Comparer
from aifr_lib.models.encoders import Encoder
from aifr_lib.names import ConfigError
from aifr_lib.settings.comface import Pretraining, Stage
from aifr_lib.training import comface
from aifr_lib.training.engine import LOG, Stopped
from aifr_lib.training.objectives.comface import METHODS, Moco

ALONE = {"device": "cpu", "progress": False}
SMALL = Pretraining(
    encoder="tiny", side=16, pictures=96, batch=4, lr=1e-3, looks=3, queue=8, prototypes=6, held_out=0.2, momentum=0.5,
    curriculum=(Stage(epoch=1, least=5.0), Stage(epoch=2, least=0.1)),
)  # fmt: skip


def tiny(side):
    network = torch.nn.Sequential(
        torch.nn.Conv2d(3, 6, 3, 2), torch.nn.BatchNorm2d(6), torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(2),
        torch.nn.Flatten(),
    )  # fmt: skip
    return Encoder(network, 24)


@pytest.fixture(autouse=True)
def _tiny_encoder(monkeypatch):
    monkeypatch.setitem(encoders.ENCODERS, "tiny", tiny)


@pytest.fixture(scope="module")
def images():
    """Seven people whose brightness is the strength of the one attribute they have."""
    rows = [(who, "age", float(alpha)) for who in range(7) for alpha in (-5, -3, -1, 1, 3, 5)]
    labels = pd.DataFrame(rows, columns=["identity", "attribute", "alpha"])
    labels.insert(0, "record", [f"r{n}" for n in range(len(rows))])
    labels["age"] = np.nan
    pixels = np.random.default_rng(0).integers(0, 60, (len(rows), 16, 16, 3))
    pixels += (20 * (labels["alpha"].to_numpy() + 5)).astype(int)[:, None, None, None]
    return Images("people", "v1", pixels.astype(np.uint8), labels)


def batch(count=4):
    torch.manual_seed(3)
    return {
        "images": torch.rand(count, 2, 3, 16, 16),
        "identity": torch.tensor([[0, 0], [1, 1], [0, 0], [2, 2]])[:count],
        "alpha": torch.tensor([[-5.0, 3.0], [1.0, -1.0], [3.0, 5.0], [-3.0, -5.0]])[:count],
    }


@pytest.mark.parametrize(("method", "inter", "intra"), [("comface", 1, 1), ("inter", 1, 0), ("intra", 0, 1)])
def test_the_step_by_hand(method, inter, intra):
    torch.manual_seed(0)
    module = comface.objective(SMALL.model_copy(update={"method": method, "weight": 0.5}))
    given = batch()
    by_hand = copy.deepcopy(module)
    found = module(given)
    h = by_hand.comparer.encoder(given["images"].reshape(8, 3, 16, 16)).reshape(4, 2, -1)
    z = by_hand.projection(h)
    w = by_hand.comparer.linear.weight[0]
    change = torch.stack([h[i, 1] @ w - h[i, 0] @ w for i in range(4)])
    strengths = given["alpha"][:, 1] - given["alpha"][:, 0]
    expected = inter * inter_loss(z[:, 0], z[:, 1], given["identity"][:, 0])
    expected = expected + intra * 0.5 * (change - strengths).abs().mean() if intra else expected
    torch.testing.assert_close(found["loss"], expected)
    trained = {name for name, weight in module.named_parameters() if weight.requires_grad}
    assert any(name.startswith("projection") for name in trained) == bool(inter)
    assert ("comparer.linear.weight" in trained) == bool(intra)


def test_a_change_turned_round_is_its_negative():
    comparer = Comparer(tiny(16)).eval()
    x = torch.rand(3, 2, 3, 16, 16)
    torch.testing.assert_close(comparer(x), -comparer(x.flip(1)))
    assert comparer.linear.bias is None
    other = Comparer(tiny(16), "concat").eval()
    assert not torch.allclose(other(x), -other(x.flip(1)))


def test_it_learns_what_changed(images, tmp_path):
    config = SMALL.model_copy(update={"method": "intra", "pictures": 960, "lr": 1e-2})
    trained = comface.train(config, tmp_path, images=images, **ALONE)
    assert comface.fell(trained.scalars["untrained"], trained.scalars["best"])
    network, read = comface.load(trained.weights)
    assert read == config
    x = torch.from_numpy(images.pixels[[36, 41]]).permute(0, 3, 1, 2)[None] / 255
    assert float(network(x).detach()) > 3, "the last person from −5 to 5"


@pytest.mark.parametrize("method", ["comface", "moco", "multi-positive"])
def test_stopped_and_resumed_it_is_the_same(method, images, tmp_path, monkeypatch):
    config = SMALL.model_copy(update={"method": method})
    whole = comface.train(config, tmp_path / "whole", images=images, **ALONE)
    forward, calls = METHODS[method].forward, iter(range(1, 10_000))

    def stopping(self, *given):
        if self.training and next(calls) == 7:
            os.kill(os.getpid(), signal.SIGTERM)
        return forward(self, *given)

    monkeypatch.setattr(METHODS[method], "forward", stopping)
    with pytest.raises(Stopped):
        comface.train(config, tmp_path / "parts", images=images, **ALONE)
    monkeypatch.undo()
    monkeypatch.setitem(encoders.ENCODERS, "tiny", tiny)
    parts = comface.train(config, tmp_path / "parts", images=images, **ALONE)
    assert parts.checksum == whole.checksum
    assert parts.scalars["untrained"] == whole.scalars["untrained"]
    steps = [json.loads(line)["step"] for line in (tmp_path / "parts" / LOG).read_text().splitlines()]
    assert steps == sorted(set(steps))


def test_moco_by_hand():
    torch.manual_seed(0)
    module = comface.objective(SMALL.model_copy(update={"method": "moco"}))
    assert isinstance(module, Moco)
    given, before = batch(), module.queue.clone()
    frozen = copy.deepcopy(module)
    found = module(given)["loss"]
    q = F.normalize(frozen.projection(frozen.comparer.encoder(given["images"][:, 0])))
    k = F.normalize(frozen.averaged(given["images"][:, 1]))
    total = 0.0
    for i in range(4):
        right = math.exp(float(q[i] @ k[i]) / SMALL.tau)
        wrong = sum(math.exp(float(q[i] @ other) / SMALL.tau) for other in before)
        total -= math.log(right / (right + wrong)) / 4
    assert float(found) == pytest.approx(total, rel=1e-4)
    torch.testing.assert_close(module.queue[:4], k)
    torch.testing.assert_close(module.queue[4:], before[4:])
    weight = module.comparer.encoder.network[0].weight
    with torch.no_grad():
        weight.add_(1.0)
    slow = module.averaged[0].network[0].weight
    was = slow.clone()
    module.after(1)
    torch.testing.assert_close(slow, was + 0.5)
    module.eval()
    queue = module.queue.clone()
    module(given)
    torch.testing.assert_close(module.queue, queue)


@pytest.mark.parametrize("method", ["simclr", "swav", "barlow-twins"])
def test_the_losses_of_lightly_take_a_step(method):
    pytest.importorskip("lightly.loss")
    torch.manual_seed(0)
    module = comface.objective(SMALL.model_copy(update={"method": method}))
    found = module(batch())["loss"]
    found.backward()
    assert math.isfinite(float(found))
    assert float(module.comparer.encoder.network[0].weight.grad.abs().sum()) > 0
    assert module.comparer.linear.weight.grad is None


@pytest.mark.parametrize("method", ["simclr", "swav", "barlow-twins"])
def test_the_losses_of_lightly_keep_their_digits_under_autocast(method, monkeypatch):
    pytest.importorskip("lightly.loss")
    torch.manual_seed(0)
    module = comface.objective(SMALL.model_copy(update={"method": method}))
    z = torch.randn(2, 4, 128)
    monkeypatch.setattr(module, "projected", lambda x: z.unbind())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = module(batch())["loss"]
    torch.testing.assert_close(found, module(batch())["loss"], rtol=0, atol=0)


def test_the_processes_are_known_before_a_loss_asks_for_them(images, tmp_path, monkeypatch):
    """Else the rivals' losses, which are told when they are made, would compare within each process alone."""
    order, made = [], comface.objective
    monkeypatch.setattr(comface, "accelerator_for", lambda *asked: order.append("processes"))
    monkeypatch.setattr(comface, "objective", lambda config: order.append("loss") or made(config))
    comface.train(SMALL, tmp_path, images=images, **ALONE)
    assert order == ["processes", "loss"]


def test_without_its_package_a_rival_says_what_to_install(images, tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ImportError, match="package lightly"):
        comface.train(SMALL.model_copy(update={"method": "simclr"}), tmp_path, images=images, **ALONE)


def test_what_does_not_fit_is_said_before_training(images, tmp_path):
    few = images.take(np.flatnonzero(images.labels["identity"] < 2))
    with pytest.raises(ValueError, match="2 people leave 1 to train on"):
        comface.train(SMALL, tmp_path, images=few, **ALONE)
    far = SMALL.model_copy(update={"curriculum": (Stage(epoch=1, least=11.0),)})
    with pytest.raises(ConfigError, match="identity 0, attribute 'age' has no two pictures 11 or more apart"):
        comface.train(far, tmp_path, images=images, **ALONE)
    for wrong, message in (
        ({"method": "moco", "queue": 9}, "no multiple of the batch"),
        ({"curriculum": [{"epoch": 2}]}, "begin at epoch 1"),
        ({"pictures": 6}, "do not fill one step"),
        ({"tau": 0}, "greater than 0"),
        ({"weight": -1}, "greater than or equal to 0"),
    ):
        with pytest.raises(ValueError, match=message):
            Pretraining.model_validate(SMALL.model_dump() | wrong)
    assert not (tmp_path / "weights.safetensors").exists()


def test_a_folder_of_other_settings_is_refused(images, tmp_path):
    comface.train(SMALL, tmp_path, images=images, **ALONE)
    with pytest.raises(ValueError, match="tau"):
        comface.train(SMALL.model_copy(update={"tau": 0.2}), tmp_path, images=images, **ALONE)


@pytest.mark.parametrize("name", ["resnet50", "resnet101", "vit-b-16"])
def test_the_papers_networks_take_one_step_at_full_size(name):
    """Both losses at 224 pixels: what Table I trains, and what is too large to be trained here."""
    torch.manual_seed(0)
    module = comface.objective(Pretraining(encoder=name))
    optimiser = torch.optim.Adam(module.parameters(), lr=Pretraining().lr)
    given = {
        "images": torch.rand(2, 2, 3, 224, 224),
        "identity": torch.tensor([[0, 0], [1, 1]]),
        "alpha": torch.tensor([[-5.0, 3.0], [1.0, -1.0]]),
    }
    before = module.comparer.linear.weight.detach().clone()
    found = module(given)
    found["loss"].backward()
    optimiser.step()
    assert math.isfinite(float(found["inter"])) and math.isfinite(float(found["intra"]))
    assert module.comparer.linear.weight.isfinite().all()
    assert not torch.equal(module.comparer.linear.weight, before)
