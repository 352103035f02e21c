"""TML's training step with the people shared out over processes: each holds the head's rows of some of them."""

from __future__ import annotations

from torch import Tensor, nn

from aifr_lib.data.loader import Batch
from aifr_lib.losses.sharded import ShardedHead, ShardedLinear
from aifr_lib.losses.transformer_metric import weighted_losses
from aifr_lib.models import FourStages, MeanBranch, TransformerBranch


class ShardedMetric(nn.Module):
    """Backbone, sharded margin head and transformer branch with its sharded classifier; a batch in, a dict out.

    What ``TransformerMetric`` computes where its losses are weighted (eq. 11), over any number of processes and from
    the same start. alpha: weight of the branch. The slopes of the losses are not asked for.
    """

    columns = ("images", "identity")

    def __init__(
        self,
        backbone: FourStages,
        head: ShardedHead,
        branch: TransformerBranch | MeanBranch | None = None,
        classifier: ShardedHead | ShardedLinear | None = None,
        alpha: float = 0.0,
    ) -> None:
        super().__init__()
        self.backbone, self.head, self.branch, self.classifier, self.alpha = backbone, head, branch, classifier, alpha

    def forward(self, batch: Batch, part: str = "all") -> dict[str, Tensor]:
        """Scalars over the batch of all processes: "loss", and detached "loss_margin" and "loss_transformer"."""
        labels = batch["identity"]
        features = self.backbone.features(batch["images"])
        losses = {"margin": self.head(self.backbone.embed(features), labels)}
        loss = losses["margin"]
        if self.branch is not None and self.classifier is not None:
            losses["transformer"] = self.classifier(self.branch(features), labels)
            loss = weighted_losses(loss, losses["transformer"], self.alpha)
        return {"loss": loss, **{f"loss_{name}": one.detach() for name, one in losses.items()}}
