"""ComFace's networks (Fig. C): one encoder for both faces, a head for who it is, one for how much changed.

The figure is an image that the text at hand lacks: sizes and the difference are inferred (Siamese, one linear layer).
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from aifr_lib.models.encoders import Encoder

Fuse = Literal["diff", "concat"]


class Comparer(nn.Module):
    """What is transferred: d̂ = w · (h_y − h_x), f shared by both faces; f and the linear layer.

    fuse: "diff" has no bias, so that d̂(x, y) = −d̂(y, x) exactly; "concat" is a linear layer over (h_x, h_y).
    forward: [B, 2, 3, H, W] in 0 … 1 → [B].
    """

    def __init__(self, encoder: Encoder, fuse: Fuse = "diff") -> None:
        super().__init__()
        self.encoder, self.fuse = encoder, fuse
        width = encoder.features
        self.linear = nn.Linear(width, 1, bias=False) if fuse == "diff" else nn.Linear(2 * width, 1)

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """h of both faces, [B, D] each, in one forward."""
        h_x, h_y = self.encoder(x.flatten(0, 1)).unflatten(0, x.shape[:2]).unbind(1)
        return h_x, h_y

    def change(self, h_x: Tensor, h_y: Tensor) -> Tensor:
        """d̂ [B] of features [B, D]."""
        fused = h_y - h_x if self.fuse == "diff" else torch.cat([h_x, h_y], dim=1)
        return self.linear(fused)[:, 0]

    def forward(self, x: Tensor) -> Tensor:
        return self.change(*self.encode(x))


def projection(width: int, out: int = 128) -> nn.Sequential:
    """g: Linear, ReLU, Linear; the loss brings z to length one (inferred: MoCo v2's head)."""
    return nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, out))
