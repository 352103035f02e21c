"""What a step of ComFace's fine-tuning computes: the error of the predicted change."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from aifr_lib.data.loader import Batch
from aifr_lib.losses.comface import intra_loss
from aifr_lib.models.comface import Comparer


class Change(nn.Module):
    """|d̂ − d / scale| over pairs of one subject (L1 is inferred; supplement B.2 has pairs drawn anew each epoch)."""

    def __init__(self, comparer: Comparer, label: str, scale: float = 1.0) -> None:
        super().__init__()
        self.comparer, self.label, self.scale = comparer, label, scale
        self.columns = ("images", label)

    def forward(self, batch: Batch, part: str = "all") -> dict[str, Tensor]:
        """Scalars: "loss". images: [B, 2, 3, H, W] in 0 … 1; the label: [B, 2]."""
        values = batch[self.label]
        return {"loss": intra_loss(self.comparer(batch["images"]), (values[:, 1] - values[:, 0]) / self.scale)}


class Ages(Change):
    """|w · h − (a − centre) / scale| of both pictures of each pair, each by itself: the same network, pictures and
    labels as ``Change``, but nothing is compared. A change is then the difference of two labels.
    """

    def __init__(self, comparer: Comparer, label: str, scale: float, centre: float) -> None:
        super().__init__(comparer, label, scale)
        self.centre = centre

    def forward(self, batch: Batch, part: str = "all") -> dict[str, Tensor]:
        """Scalars: "loss". images: [B, 2, 3, H, W] in 0 … 1; the label: [B, 2]."""
        said = self.comparer.linear(torch.stack(self.comparer.encode(batch["images"]), dim=1))[..., 0]
        return {"loss": intra_loss(said, (batch[self.label] - self.centre) / self.scale)}
