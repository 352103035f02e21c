"""What a training step of the age estimator computes (AAD section III-A; DEX)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from aifr_lib.data.loader import Batch
from aifr_lib.models.age_estimator import AgeEstimator, expected_age


class AgeEstimation(nn.Module):
    """Cross-entropy over the whole years 0 … 100 and, with ``expectation`` > 0, that many times |E − age|.

    DEX (Rothe et al. 2018) learns classes and reads their expectation; the second term is ours, off by default.
    """

    columns = ("images", "age")

    def __init__(self, network: AgeEstimator, expectation: float = 0.0) -> None:
        super().__init__()
        self.network = network
        self.expectation = expectation

    def forward(self, batch: Batch, part: str = "all") -> dict[str, Tensor]:
        """Scalars: "loss", and detached "loss_years" (cross-entropy) and "mae" (years, of the expectation).

        batch: images [B, 3, H, W], age [B] in years, 0 … 100.
        """
        logits, age = self.network(batch["images"]).float(), batch["age"]
        years = F.cross_entropy(logits, age.round().long())
        if self.expectation:
            away = F.l1_loss(expected_age(logits), age)
            return {"loss": years + self.expectation * away, "loss_years": years.detach(), "mae": away.detach()}
        with torch.no_grad():
            return {"loss": years, "loss_years": years, "mae": F.l1_loss(expected_age(logits), age)}
