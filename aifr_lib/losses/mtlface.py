"""The losses of MTLFace: of recognition that forgets the age, and of faces drawn at another one.

The supplement names weights and terms (section B) and not their form, which is found in the authors' public code. Ages
are in years, groups are counted from 0, confidences of the critic are maps [B, 1, h, w]; every loss is a scalar, a mean
over the batch.
"""

from __future__ import annotations

from typing import Literal

from torch import Tensor
from torch.nn import functional as F

from aifr_lib.names import choose

Reduction = Literal["mean", "sum"]


def age_estimation_loss(expected: Tensor, groups: Tensor, age: Tensor, group: Tensor) -> Tensor:
    """ℓ_AE = (ŷ − y)² + CE(groups, g(y)): the expected age ŷ [B] (DEX) against the age [B], and the logits [B, G] of
    the age groups against the group [B].

    >>> import torch
    >>> round(float(age_estimation_loss(torch.tensor([33.0]), torch.zeros(1, 7), torch.tensor([30.0]),
    ...                                 torch.tensor([2]))), 4)  # 9 years², and log 7
    10.9459
    """
    return F.mse_loss(expected.float(), age.float()) + F.cross_entropy(groups.float(), group)


def recognition_loss(
    identity: Tensor,
    age: Tensor,
    adversary: Tensor,
    age_weight: float = 0.001,
    adversary_weight: float = 0.002,
) -> Tensor:
    """L_AIFR = L_CosFace + λ_age ℓ_AE(A(X_age)) + λ_id ℓ_AE(A'(GRL(X_id))).

    The last two are ``age_estimation_loss``, of which the second reaches X_id with its
    gradient reversed (``models.mtlface.reverse``): the same sum lets A' learn the age
    and X_id lose it.

    >>> import torch
    >>> recognition_loss(torch.tensor(5.0), torch.tensor(100.0), torch.tensor(200.0))
    tensor(5.5000)
    """
    return identity + age_weight * age + adversary_weight * adversary


def critic_loss(real: Tensor, drawn: Tensor) -> Tensor:
    """½ E[(D(J, t) − 1)²] + ½ E[D(I_t, t)²], least squares (Mao et al. 2017): J is a real face of the group t.

    >>> import torch
    >>> critic_loss(torch.tensor([0.0]), torch.tensor([2.0]))
    tensor(2.5000)
    """
    return ((real.float() - 1).square().mean() + drawn.float().square().mean()) / 2


def adversarial_loss(drawn: Tensor) -> Tensor:
    """L_adv = ½ E[(D(I_t, t) − 1)²].

    >>> import torch
    >>> adversarial_loss(torch.tensor([3.0]))
    tensor(2.)
    """
    return (drawn.float() - 1).square().mean() / 2


def kept_identity_loss(source: Tensor, drawn: Tensor, reduction: Reduction = "mean") -> Tensor:
    """L_id, the squared distance of X_id(I) and X_id(I_t), maps [B, C, h, w] of a person before and after.

    reduction: "mean" over a map, as in the code, where the printed weight of .002 does next to nothing; "sum", as a
    squared norm is commonly written: 25,088 times as much at 112 pixels.

    >>> import torch
    >>> a, b = torch.zeros(1, 2, 2, 2), torch.ones(1, 2, 2, 2)
    >>> kept_identity_loss(a, b), kept_identity_loss(a, b, "sum")
    (tensor(1.), tensor(8.))
    """
    away = F.mse_loss(drawn.float(), source.detach().float())
    return away * (source[0].numel() if choose("reduction", reduction, {"mean": False, "sum": True}) else 1)


def target_age_loss(groups: Tensor, target: Tensor) -> Tensor:
    """L_age = CE(groups, t): the logits [B, G] that the age head gives of X_age(I_t), against the group asked for [B].

    >>> import torch
    >>> round(float(target_age_loss(torch.zeros(1, 7), torch.tensor([2]))), 4)
    1.9459
    """
    return F.cross_entropy(groups.float(), target)


def synthesis_loss(
    adversarial: Tensor,
    identity: Tensor,
    age: Tensor,
    adversarial_weight: float = 75.0,
    identity_weight: float = 0.002,
    age_weight: float = 10.0,
) -> Tensor:
    """L_FAS = λ_adv L_adv + λ_id L_id + λ_age L_age.

    >>> import torch
    >>> synthesis_loss(torch.tensor(1.0), torch.tensor(1.0), torch.tensor(1.0))
    tensor(85.0020)
    """
    realism = adversarial_weight * adversarial
    return realism + identity_weight * identity + age_weight * age
