"""The transformer-metric loss (TML): a margin loss and the loss of a training-only transformer branch, mixed.

Branch 1 is the usual network: last map O_f, embedding O_eps, margin head. Branch 2 reads O_f as tokens,
encodes them and classifies their mean. Its gradient enters at O_f, so it shapes the convolutions and never
the embedding layer.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F


def weighted_losses(margin: Tensor, transformer: Tensor, alpha: float) -> Tensor:
    """L_F = (1 - alpha) CE(O_Nc, y) + alpha CE(T_Nc, y), a scalar, from the two
    cross-entropies (TML eq. 11).

    The shapes S_f x D_f printed beside eqs. 9 and 10 are a slip of the paper.
    """
    return (1 - alpha) * margin + alpha * transformer


def summed_cross_entropy(
    margin_logits: Tensor,
    transformer_logits: Tensor,
    labels: Tensor,
) -> Tensor:
    """L_F = CE(O_Nc + T_Nc, y), a scalar, from logits ``[B, N_c]`` (TML eq. 12).

    The variant that the paper finds makes no progress after some epochs.
    """
    logits = margin_logits.float() + transformer_logits.float()
    return F.cross_entropy(logits, labels)
