import math

import pytest
import torch
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode
from torch.nn import functional as F

from aifr_lib import losses
from aifr_lib.losses.margins import HEADS, AdaFace, ArcFace
from aifr_lib.names import ConfigError

SEED = 0


def case(batch: int = 12, embedding: int = 6, classes: int = 5) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(SEED)
    embeddings = torch.randn(batch, embedding) * torch.linspace(0.01, 30, batch)[:, None]
    return embeddings, torch.arange(batch) % classes


def slow(head, embeddings, labels) -> list[list[float]]:
    """Each logit from its angle, one sample and one class at a time, in double precision."""
    norms = [min(max(math.sqrt(sum(v * v for v in f)), 1e-3), 100) for f in embeddings.double().tolist()]
    if isinstance(head, AdaFace):
        mean, std = float(head.mean), float(head.std)
        if head.training:
            batch_mean = sum(norms) / len(norms)
            batch_std = math.sqrt(sum((n - batch_mean) ** 2 for n in norms) / (len(norms) - 1))
            mean = (1 - head.t_alpha) * mean + head.t_alpha * batch_mean
            std = (1 - head.t_alpha) * std + head.t_alpha * batch_std
    logits = []
    for f, y, norm in zip(embeddings.double(), labels.tolist(), norms, strict=True):
        row = []
        for j, w in enumerate(head.weight.detach().double()):
            cosine = float(f @ w / (f.norm() * w.norm()))
            cosine = min(max(cosine, -1 + 1e-4), 1 - 1e-4)
            theta = math.acos(cosine)
            name = type(head).__name__
            if j == y and name == "CosFace":
                cosine = cosine - head.m
            elif j == y and name == "ArcFace":
                over = theta > math.pi - head.m
                cosine = cosine - head.m * math.sin(head.m) if over else math.cos(theta + head.m)
            elif j == y and name == "AdaFace":
                z = min(max((norm - mean) / (std + 1e-3) * head.h, -1), 1)
                angle = min(max(theta - head.m * z, 1e-3), math.pi - 1e-3)
                cosine = math.cos(angle) - (head.m + head.m * z)
            row.append(head.s * cosine)
        logits.append(row)
    return logits


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", HEADS)
def test_against_a_slow_recomputation(name, training):
    embeddings, labels = case()
    head = losses.build(name, 6, 5).train(training)
    if name == "adaface":  # statistics that put z inside [-1, 1] and at both ends
        head.mean.fill_(30.0)
        head.std.fill_(8.0)
        z = head.eval().quality(embeddings)
        assert z.min() == -1 and z.max() == 1 and ((z > -1) & (z < 1)).any()
        head.train(training)
    # Samples on, behind and between the class directions, so that every branch of every margin is taken.
    with torch.no_grad():
        for i, angle in enumerate((0.0, 0.3, 2.6, 2.8, math.pi, math.pi, 2.8, 0.0, 0.3, 2.6)):
            w = F.normalize(head.weight[labels[i]], dim=0)
            side = F.normalize(embeddings[i] - (embeddings[i] @ w) * w, dim=0)
            embeddings[i] = embeddings[i].norm() * (math.cos(angle) * w + math.sin(angle) * side)
    expected = torch.tensor(slow(head, embeddings, labels))
    torch.testing.assert_close(head(embeddings, labels), expected, rtol=1e-4, atol=2e-3)


def test_defaults_are_those_of_the_papers():
    heads = {name: losses.build(name, 2, 2) for name in HEADS}
    assert {name: (head.s, head.m) for name, head in heads.items()} == {
        "softmax": (64, 0),
        "cosface": (64, 0.35),
        "arcface": (64, 0.45),
        "adaface": (64, 0.4),
    }
    ada = heads["adaface"]
    assert (ada.h, ada.t_alpha, float(ada.mean), float(ada.std)) == (0.333, 0.01, 20, 100)


def circle(head, angles: torch.Tensor) -> torch.Tensor:
    """Target logits / s of unit embeddings at ``angles`` from the direction of class 0."""
    with torch.no_grad():
        head.weight.copy_(torch.tensor([[1.0, 0.0], [0.0, 1.0]]))
    embeddings = torch.stack([angles.cos(), angles.sin()], dim=1)
    return head(embeddings, torch.zeros(len(angles), dtype=torch.long))[:, 0] / head.s


def test_arcface_branches_at_pi_minus_m_by_hand():
    m = 0.45
    head = ArcFace(2, 2, m=m)
    below, above = circle(head, torch.tensor([math.pi - m - 0.01, math.pi - m + 0.01]))
    assert below.item() == pytest.approx(math.cos(math.pi - 0.01), abs=1e-5)
    assert above.item() == pytest.approx(math.cos(math.pi - m + 0.01) - m * math.sin(m), abs=1e-5)


@pytest.mark.parametrize("name", ["softmax", "cosface", "arcface"])
def test_the_target_logit_falls_with_the_angle(name):
    angles = torch.linspace(0.02, math.pi - 0.02, 400)
    target = circle(losses.build(name, 2, 2), angles)
    assert (target.diff() < 0).all()
    assert (target <= angles.cos() + 1e-6).all()


def test_the_hardest_samples_of_arcface_keep_their_gradient():
    angles = torch.linspace(math.pi - 0.44, math.pi - 0.02, 50, requires_grad=True)
    circle(ArcFace(2, 2), angles).sum().backward()
    assert (angles.grad < -1e-3).all()


@pytest.mark.parametrize("name", HEADS)
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_gradients_are_finite_at_the_ends_of_the_cosine(name, sign):
    head = losses.build(name, 4, 3)
    embeddings = (sign * 7 * head.weight.detach()).requires_grad_()
    F.cross_entropy(head(embeddings, torch.arange(3)), torch.arange(3)).backward()
    assert embeddings.grad.isfinite().all() and head.weight.grad.isfinite().all()


@pytest.mark.parametrize("name", HEADS)
def test_a_zero_embedding_gives_finite_logits_and_gradients(name):
    head = losses.build(name, 4, 3)
    embeddings = torch.zeros(2, 4, requires_grad=True)
    F.cross_entropy(head(embeddings, torch.tensor([0, 2])), torch.tensor([0, 2])).backward()
    assert embeddings.grad.isfinite().all() and head.weight.grad.isfinite().all()


@pytest.mark.parametrize("name", HEADS)
def test_logits_stay_float32_and_exact_under_autocast(name):
    embeddings, labels = case()
    head = losses.build(name, 6, 5).eval()
    expected = head(embeddings, labels)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = head(embeddings, labels)
        half = head(embeddings.bfloat16(), labels)
    assert logits.dtype == half.dtype == torch.float32
    torch.testing.assert_close(logits, expected, rtol=0, atol=0)
    torch.testing.assert_close(half, head(embeddings.bfloat16().float(), labels), rtol=0, atol=0)


@pytest.mark.parametrize("name", HEADS)
def test_no_step_of_the_loss_waits_for_a_value(name):
    """Fake tensors have no values: anything like ``.item()`` or ``if tensor`` raises on them."""
    with FakeTensorMode():
        head = losses.build(name, 6, 5)
        labels = torch.zeros(4, dtype=torch.long)
        loss = F.cross_entropy(head(torch.randn(4, 6, requires_grad=True), labels), labels)
        loss.backward()
        with pytest.raises(DataDependentOutputException):
            loss.item()


def test_adaface_statistics_move_in_training_only():
    embeddings, labels = case()
    norms = embeddings.norm(dim=1).clamp(1e-3, 100)
    head = AdaFace(6, 5)
    head.eval()(embeddings, labels)
    assert (float(head.mean), float(head.std)) == (20, 100)
    head.train()(embeddings, labels)
    assert float(head.mean) == pytest.approx(0.99 * 20 + 0.01 * float(norms.mean()), rel=1e-6)
    assert float(head.std) == pytest.approx(0.99 * 100 + 0.01 * float(norms.std()), rel=1e-6)
    assert {"mean", "std"} <= set(head.state_dict()), "a resumed training needs the statistics"


def test_adaface_survives_a_batch_of_one():
    head = AdaFace(6, 5)
    head(torch.ones(1, 6), torch.tensor([2]))
    assert float(head.std) == pytest.approx(99)


def test_adaface_does_not_teach_through_the_norm():
    head = AdaFace(6, 5).eval()
    embeddings, labels = case()
    embeddings.requires_grad_()
    F.cross_entropy(head(embeddings, labels), labels).backward()
    radial = (embeddings.grad * embeddings).sum(1)  # a loss of directions alone has none of this
    tangential = embeddings.grad.norm(dim=1) * embeddings.norm(dim=1)
    assert (radial.abs() <= 1e-4 * tangential + 1e-5).all()


def test_adaface_gives_clear_faces_the_larger_margin_on_easy_samples():
    head = AdaFace(2, 2).eval()
    head.mean.fill_(10.0)
    head.std.fill_(3.0)
    with torch.no_grad():
        head.weight.copy_(torch.tensor([[1.0, 0.0], [0.0, 1.0]]))
    direction = torch.tensor([math.cos(0.8), math.sin(0.8)])
    blurred, clear = head(torch.stack([direction, 19.9 * direction]), torch.tensor([0, 0]))[:, 0]
    assert clear < blurred


@pytest.mark.parametrize("name", HEADS)
def test_like_keeps_the_margin_and_nothing_learned(name):
    options = {"s": 30.0} if name == "softmax" else {"s": 30.0, "m": 0.2}
    head = losses.build(name, 6, 5, **options)
    head(*case())
    fresh = head.like(9)
    assert type(fresh) is type(head) and (fresh.s, fresh.m) == (head.s, head.m)
    assert fresh.weight.shape == (5, 9)
    if name == "adaface":
        assert float(fresh.mean) == 20 and fresh.mean is not head.mean


def test_errors():
    with pytest.raises(ConfigError, match="unknown loss 'arcfase'; did you mean 'arcface'"):
        losses.build("arcfase", 8, 3)
    with pytest.raises(ConfigError, match=r"loss 'softmax' has no option 'm'"):
        losses.build("softmax", 8, 3, m=0.5)
    with pytest.raises(ConfigError, match="'adaface' has no option 't_alfa'; did you mean 't_alpha'"):
        losses.build("adaface", 8, 3, t_alfa=0.5)
    for bad in ({"m": -0.1}, {"m": 2.0}, {"s": 0.0}):
        with pytest.raises(ConfigError, match="must be"):
            losses.build("cosface", 8, 3, **bad)
