"""ComFace's losses, pair by pair and number by number."""

import math

import pytest
import torch
from torch.nn import functional as F

from aifr_lib.losses.comface import inter_loss, intra_loss, multi_positive_loss


def cosine(a, b):
    return float(a @ b / (a.norm() * b.norm()))


def test_inter_personal_loss_by_hand():
    torch.manual_seed(0)
    x, y = torch.randn(2, 5, 4, dtype=torch.float64)
    identity, tau, total = [3, 7, 3, 1, 7], 0.1, 0.0
    for i in range(5):
        for one, other in ((x, y), (y, x)):
            compared = [k for k in range(5) if k == i or identity[k] != identity[i]]
            shares = [math.exp(cosine(one[i], other[k]) / tau) for k in compared]
            total -= math.log(math.exp(cosine(one[i], other[i]) / tau) / sum(shares))
    found = inter_loss(x, y, torch.tensor(identity), tau)
    assert float(found) == pytest.approx(total / 10, rel=1e-5)


def test_pairs_of_one_person_alone_have_nothing_to_be_told_from():
    x, y = torch.randn(2, 3, 4)
    assert float(inter_loss(x, y, torch.tensor([1, 1, 1]))) == 0


@pytest.mark.parametrize(("distance", "by_hand"), [("l1", 4 / 3), ("l2", (1 + 9) / 3), ("smooth_l1", (0.5 + 2.5) / 3)])
def test_intra_personal_loss_by_hand(distance, by_hand):
    predicted, change = torch.tensor([1.0, 2.0, -4.0]), torch.tensor([2.0, 2.0, -1.0])
    assert float(intra_loss(predicted, change, distance)) == pytest.approx(by_hand)


def test_multi_positive_loss_by_hand():
    torch.manual_seed(1)
    z, identity, tau = torch.randn(5, 4, dtype=torch.float64), [0, 1, 0, 0, 2], 0.2
    values = []
    for i in (0, 2, 3):
        others = [k for k in range(5) if k != i]
        total = sum(math.exp(cosine(z[i], z[k]) / tau) for k in others)
        alike = [k for k in others if identity[k] == identity[i]]
        values.append(-sum(math.log(math.exp(cosine(z[i], z[k]) / tau) / total) for k in alike) / len(alike))
    found = multi_positive_loss(z, torch.tensor(identity), tau)
    assert float(found) == pytest.approx(sum(values) / 3, rel=1e-5)


def test_two_views_of_every_person_are_simclr():
    """With one pair a person the multi-positive loss is NT-Xent."""
    lightly = pytest.importorskip("lightly.loss")
    torch.manual_seed(2)
    x, y = torch.randn(2, 6, 8)
    ours = multi_positive_loss(torch.cat([x, y]), torch.arange(6).repeat(2), 0.1)
    torch.testing.assert_close(ours, lightly.NTXentLoss(0.1)(x, y))


@pytest.mark.parametrize("loss", [lambda z: inter_loss(z, z.flip(0), torch.arange(6)),
                                  lambda z: multi_positive_loss(z, torch.arange(6) // 2)])  # fmt: skip
def test_cosines_keep_their_digits_under_autocast(loss):
    z = torch.randn(6, 64)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = loss(z)
    torch.testing.assert_close(found, loss(z), rtol=0, atol=0)


def test_the_gradient_reaches_both_pictures():
    x, y = torch.randn(2, 4, 3, requires_grad=True).unbind()
    x.retain_grad(), y.retain_grad()
    inter_loss(x, y, torch.arange(4)).backward()
    assert x.grad.norm() > 0 and y.grad.norm() > 0
    assert F.cosine_similarity(x, x.grad).abs().max() < 1e-4, "the length of a projection does not matter"
