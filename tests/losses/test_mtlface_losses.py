"""Each loss of MTLFace against a slow recomputation, face by face."""

from __future__ import annotations

import math

import pytest
import torch

from aifr_lib.losses import mtlface as m
from aifr_lib.models.age_estimator import expected_age
from aifr_lib.models.mtlface import reverse
from aifr_lib.names import ConfigError


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def cross_entropy(logits, target):
    rows = zip(logits.tolist(), target.tolist(), strict=True)
    return sum(math.log(sum(math.exp(one) for one in row)) - row[t] for row, t in rows) / len(target)


def test_l_ae_is_squared_years_and_the_cross_entropy_of_groups():
    logits, groups = torch.randn(3, 101), torch.randn(3, 7)
    age, group = torch.tensor([3.0, 33.5, 80.0]), torch.tensor([0, 3, 6])
    slow = 0.0
    for row, years in zip(logits.double(), age.tolist(), strict=True):
        shares = [math.exp(one) for one in row.tolist()]
        expected = sum(k * one for k, one in enumerate(shares)) / sum(shares)
        slow += (expected - years) ** 2 / 3
    found = m.age_estimation_loss(expected_age(logits), groups, age, group)
    assert found.item() == pytest.approx(slow + cross_entropy(groups, group), rel=1e-5)


def test_l_aifr_teaches_the_adversary_and_turns_its_gradient_round_for_the_features():
    features, weight = torch.randn(4, 5, requires_grad=True), torch.randn(5, requires_grad=True)

    def adversary(x):
        return (x @ weight).square().mean()

    adversary(features).backward()
    of_features, of_weight = features.grad.clone(), weight.grad.clone()
    features.grad = weight.grad = None
    zero = torch.tensor(0.0)
    m.recognition_loss(zero, zero, adversary(reverse(features)), adversary_weight=0.5).backward()
    torch.testing.assert_close(weight.grad, 0.5 * of_weight)
    torch.testing.assert_close(features.grad, -0.5 * of_features)


def test_l_aifr_is_the_weighted_sum_with_the_printed_weights():
    terms = torch.tensor(2.0), torch.tensor(3.0), torch.tensor(7.0)
    assert m.recognition_loss(*terms).item() == pytest.approx(2 + 0.001 * 3 + 0.002 * 7)
    assert m.recognition_loss(*terms, 1.0, 2.0).item() == pytest.approx(2 + 3 + 14)


def test_least_squares_of_critic_and_generator_cell_by_cell():
    real, drawn = torch.randn(2, 1, 3, 3), torch.randn(2, 1, 3, 3)
    cells = list(zip(real.flatten().tolist(), drawn.flatten().tolist(), strict=True))
    slow = sum((a - 1) ** 2 / 2 + b**2 / 2 for a, b in cells) / len(cells)
    assert m.critic_loss(real, drawn).item() == pytest.approx(slow, rel=1e-5)
    assert m.adversarial_loss(drawn).item() == pytest.approx(sum((b - 1) ** 2 / 2 for _, b in cells) / 18, rel=1e-5)
    assert m.critic_loss(torch.ones(2), torch.zeros(2)).item() == 0, "a critic that is never deceived"


def test_l_id_by_mean_and_by_sum_differ_by_the_size_of_a_map_and_hold_the_source():
    source, drawn = torch.randn(3, 4, 2, 2, requires_grad=True), torch.randn(3, 4, 2, 2, requires_grad=True)
    slow = sum(((source[b] - drawn[b]) ** 2).sum().item() for b in range(3)) / 3
    assert m.kept_identity_loss(source, drawn, "sum").item() == pytest.approx(slow, rel=1e-5)
    loss = m.kept_identity_loss(source, drawn)
    assert loss.item() == pytest.approx(slow / 16, rel=1e-5)
    loss.backward()
    assert source.grad is None and drawn.grad.abs().sum() > 0
    with pytest.raises(ConfigError, match="unknown reduction 'men'; did you mean 'mean'"):
        m.kept_identity_loss(source, drawn, "men")


def test_l_fas_is_the_weighted_sum_with_the_printed_weights():
    groups, target = torch.randn(3, 7), torch.tensor([6, 0, 2])
    age = m.target_age_loss(groups, target)
    assert age.item() == pytest.approx(cross_entropy(groups, target), rel=1e-5)
    found = m.synthesis_loss(torch.tensor(0.5), torch.tensor(4.0), age)
    assert found.item() == pytest.approx(75 * 0.5 + 0.002 * 4 + 10 * age.item(), rel=1e-6)
