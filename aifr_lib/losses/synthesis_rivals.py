"""The losses of CAAE and of IPCGAN. Pictures [B, 3, H, W] lie in (−1, 1); a loss is a scalar, a mean over the batch.

CAAE: Zhang, Song and Qi, CVPR 2017. IPCGAN: Wang, Tang, Luo and Gao, CVPR 2018.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F


def total_variation(images: Tensor) -> Tensor:
    """The mean squared difference of neighbouring pixels, down and across (CAAE's smoothness).

    >>> total_variation(torch.ones(1, 3, 4, 4)), total_variation(torch.arange(4.0).expand(1, 1, 4, 4))
    (tensor(0.), tensor(1.))
    """
    return images.diff(dim=-2).square().mean() + images.diff(dim=-1).square().mean()


def told_real(logits: Tensor) -> Tensor:
    """−log of the probability that is given to "real".

    >>> round(float(told_real(torch.zeros(2, 1))), 4)
    0.6931
    """
    return F.softplus(-logits.float()).mean()


def told_apart(real: Tensor, drawn: Tensor) -> Tensor:
    """Cross-entropy of a critic of logits: "real" of the first, "drawn" of the second.

    >>> round(float(told_apart(torch.zeros(2, 1), torch.zeros(2, 1))), 4)
    1.3863
    """
    return told_real(real) + F.softplus(drawn.float()).mean()


def matching_critic_loss(real: Tensor, of_another_age: Tensor, drawn: Tensor) -> Tensor:
    """IPCGAN's critic: ½ E[(D(J, t) − 1)²] + ¼ E[D(J, t')²] + ¼ E[D(I_t, t)²], J a real
    face of the group t, t' ≠ t.

    >>> matching_critic_loss(torch.zeros(1), torch.ones(1), torch.full((1,), 2.0))
    tensor(1.7500)
    """
    wrong = of_another_age.float().square().mean() + drawn.float().square().mean()
    return (real.float() - 1).square().mean() / 2 + wrong / 4


def group_logits(years: Tensor, bounds: Sequence[float]) -> Tensor:
    """Logits [B, 101] over the years 0 … 100 to those of age groups [B, G], whose probabilities are sums of the years'.

    >>> found = group_logits(torch.zeros(1, 101), (10, 60)).softmax(1)
    >>> [round(float(one), 4) for one in found[0]]  # 11, 50 and 40 years of 101
    [0.1089, 0.495, 0.396]
    """
    ends = [int(bound) + 1 for bound in bounds]
    parts = torch.tensor_split(years.float(), ends, dim=1)
    return torch.stack([part.logsumexp(1) for part in parts], 1)
