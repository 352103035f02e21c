"""Each equation of angular distillation against a slow recomputation, cell by cell and picture by picture."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from aifr_lib.losses import distillation as d
from aifr_lib.names import ConfigError


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def test_eq_4_keeps_the_face_where_age_does_not_show():
    first, mask = torch.rand(2, 1, 8, 8), torch.rand(2, 1, 4, 4)
    found = d.age_invariant_mask(first, mask)
    for b in range(2):
        for y in range(4):
            for x in range(4):
                shrunk = first[b, 0, 2 * y : 2 * y + 2, 2 * x : 2 * x + 2].mean()
                assert found[b, 0, y, x].item() == pytest.approx((shrunk * (1 - mask[b, 0, y, x])).item(), abs=1e-6)
    with pytest.raises(ValueError, match="8×8 does not shrink to one of 3×3"):
        d.age_invariant_mask(first, torch.rand(2, 1, 3, 3))


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_eq_5_is_the_squared_distance_of_the_masks_over_stages(reduction):
    theirs = [torch.rand(3, 1, n, n) for n in (4, 2)]
    ours = [torch.rand(3, 1, n, n, requires_grad=True) for n in (4, 2)]
    slow = 0.0
    for a, b in zip(theirs, ours, strict=True):
        for picture in range(3):
            cells = [
                (p - q) ** 2 for p, q in zip(a[picture].flatten().tolist(), b[picture].flatten().tolist(), strict=True)
            ]
            slow += sum(cells) / (len(cells) if reduction == "mean" else 1) / 3
    loss = d.attention_loss(theirs, ours, reduction)
    assert loss.item() == pytest.approx(slow, rel=1e-5)
    loss.backward()
    assert all(one.grad is not None for one in ours)
    with pytest.raises(ValueError, match="masks"):
        d.attention_loss(theirs, ours[:1])


def test_eq_7_squares_how_far_the_cosine_is_from_one():
    teacher, student = torch.randn(4, 6), torch.randn(4, 6)
    cosines = [
        (a @ b / (np.linalg.norm(a) * np.linalg.norm(b))).item()
        for a, b in zip(teacher.numpy(), student.numpy(), strict=True)
    ]
    assert d.angular_loss(teacher, student).item() == pytest.approx(np.mean([(1 - c) ** 2 for c in cosines]), rel=1e-5)
    linear = d.angular_loss(teacher, student, "linear").item()
    assert linear == pytest.approx(np.mean([1 - c for c in cosines]), rel=1e-5)
    assert d.angular_loss(teacher, 7 * teacher).item() == pytest.approx(0, abs=1e-10), "length says nothing"
    with pytest.raises(ValueError, match=r"embeddings are \[\(4, 6\)\], the student's \[\(4, 5\)\]"):
        d.angular_loss(teacher, student[:, :5])


def test_eq_9_lets_gradients_through_a_frozen_tail_and_into_nothing_of_it():
    tail = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.PReLU(), nn.Flatten(), nn.Linear(4 * 16, 5))
    tail.requires_grad_(False)
    whole, adapted = torch.randn(2, 3, 4, 4), torch.randn(2, 3, 4, 4, requires_grad=True)
    loss = d.tail_loss(tail(whole), adapted, tail)
    assert loss.item() == pytest.approx(d.angular_loss(tail(whole), tail(adapted)).item())
    loss.backward()
    assert adapted.grad.abs().sum() > 0 and all(weight.grad is None for weight in tail.parameters())
    assert d.tail_loss(tail(whole), whole, tail).item() == pytest.approx(0, abs=1e-10)


def test_student_1_sums_over_the_whole_map():
    teacher, student = torch.randn(2, 3, 4, 4), torch.randn(2, 3, 4, 4)
    slow = np.mean([((teacher[b] - student[b]).numpy() ** 2).sum() for b in range(2)])
    assert d.l2_loss(teacher, student).item() == pytest.approx(slow, rel=1e-5)
    doubled = d.l2_loss(teacher.repeat(1, 1, 2, 2), student.repeat(1, 1, 2, 2)).item()
    assert doubled == pytest.approx(4 * slow, rel=1e-5), "large value of the loss with large feature map"


def test_logit_distillation_is_the_divergence_of_softened_predictions():
    teacher, student = torch.randn(3, 4), torch.randn(3, 4)
    p, q = (torch.softmax(one.double() / 2, 1).numpy() for one in (teacher, student))
    assert d.logit_loss(teacher, student, 2.0).item() == pytest.approx(4 * (p * np.log(p / q)).sum(1).mean(), rel=1e-4)
    with pytest.raises(ValueError, match="temperature 0"):
        d.logit_loss(teacher, student, 0)
    with pytest.raises(ValueError, match="logits"):
        d.logit_loss(teacher, student[:, :3])


def test_a_teacher_gets_no_gradient():
    teacher = torch.randn(2, 4, requires_grad=True)
    student = torch.randn(2, 4, requires_grad=True)
    for loss in (d.angular_loss, d.l2_loss, d.logit_loss):
        loss(teacher, student).backward()
    assert teacher.grad is None and student.grad is not None


def test_weights_are_halved_towards_the_first_stage():
    assert d.halved(1.0) == (0.125, 0.25, 0.5, 1.0) and d.halved(0.001, 2) == (0.0005, 0.001)
    for wrong in (-1.0, float("nan"), float("inf")):
        with pytest.raises(ConfigError, match="weight"):
            d.halved(wrong)


def test_eqs_8_and_10_are_the_weighted_sum():
    identity, attention = torch.tensor(2.0), torch.tensor(0.5)
    angles = {stage: torch.tensor(float(stage)) for stage in (1, 2, 3, 4)}
    expected = 2 + 3 * 0.5 + 0.125 * 1 + 0.25 * 2 + 0.5 * 3 + 1 * 4
    assert d.distillation_loss(identity, angles, d.halved(1.0), attention, 3.0).item() == pytest.approx(expected)
    assert d.distillation_loss(identity, {4: angles[4]}, d.halved(16.0)).item() == pytest.approx(2 + 16 * 4)
