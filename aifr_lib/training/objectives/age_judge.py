"""What a training step of MTLFace's judge of age computes: ℓ_AE (section C.1)."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from aifr_lib.data.loader import Batch
from aifr_lib.losses.mtlface import age_estimation_loss
from aifr_lib.models.age_estimator import expected_age
from aifr_lib.models.mtlface import AgeReader
from aifr_lib.models.mtlface_synthesis import group_of


class AgeJudge(nn.Module):
    """The expected age and the group of each face. batch: images [B, 3, H, W], age [B] in years."""

    columns = ("images", "age")

    def __init__(self, network: AgeReader, bounds: tuple[float, ...]) -> None:
        super().__init__()
        self.network, self.bounds = network, bounds

    def forward(self, batch: Batch, part: str = "all") -> dict[str, Tensor]:
        """Scalars: "loss", and detached "mae" in years."""
        age = batch["age"]
        years, groups = self.network(batch["images"])
        expected = expected_age(years)
        loss = age_estimation_loss(expected, groups, age, group_of(age, self.bounds))
        return {"loss": loss, "mae": F.l1_loss(expected.detach(), age)}
