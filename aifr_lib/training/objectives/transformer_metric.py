"""What a training step of TML computes: backbone, margin head and the training-only transformer branch (Fig. 5)."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from aifr_lib.data.loader import Batch
from aifr_lib.losses.margins import MarginHead
from aifr_lib.losses.transformer_metric import summed_cross_entropy, weighted_cross_entropy
from aifr_lib.models import FourStages, TransformerBranch
from aifr_lib.names import ConfigError, choose


class TransformerMetric(nn.Module):
    """Backbone, margin head and transformer branch with their loss; a batch in, a dict out.

    backbone: has ``features`` and ``embed`` (models.build). head: a MarginHead over the backbone's embedding.
    branch: a TransformerBranch over its last map; None gives the plain baseline. alpha: weight of the branch
    in [0, 1]; the paper's range is (0, 1), at 0 the loss is the margin loss, at 1 the embedding layer gets no
    gradient. classifier: "linear", the paper's eq. 9 (Fig. 8 b), with a bias (inferred), or "margin" (Fig. 8
    c), a head of the same kind and margin with weights and statistics of its own. combine: "weighted" (eq.
    11) or "sum" (eq. 12, which has no alpha).

    At test time only ``backbone`` is used. Errors: ConfigError for values that do not fit together.
    """

    columns = ("images", "identity")

    def __init__(
        self,
        backbone: FourStages,
        head: MarginHead,
        branch: TransformerBranch | None = None,
        alpha: float = 0.0,
        classifier: Literal["linear", "margin"] = "linear",
        combine: Literal["weighted", "sum"] = "weighted",
    ) -> None:
        super().__init__()
        choose("classifier", classifier, dict.fromkeys(("linear", "margin")))
        choose("combine", combine, dict.fromkeys(("weighted", "sum")))
        if not 0 <= alpha <= 1:
            raise ConfigError(f"alpha {alpha}: the weight of the transformer branch lies in [0, 1]")
        if branch is None and (alpha or combine == "sum"):
            raise ConfigError(f"alpha {alpha} with combine '{combine}' needs a transformer branch; it is None")
        self.backbone = backbone
        self.head = head
        self.branch = branch
        self.alpha = alpha
        self.combine = combine
        self.classifier: nn.Linear | MarginHead | None = None
        if branch is not None:
            width, linear = branch.channels, classifier == "linear"
            self.classifier = nn.Linear(width, head.classes) if linear else head.like(width)

    def branch_logits(self, features: Tensor, labels: Tensor) -> Tensor:
        """T_Nc ``[B, N_c]`` from O_f (eqs. 6 to 9, or Fig. 8 c)."""
        assert self.branch is not None and self.classifier is not None
        encoded = self.branch(features)
        if isinstance(self.classifier, MarginHead):
            return self.classifier(encoded, labels)
        return self.classifier(encoded)

    def forward(self, batch: Batch, part: str = "all") -> dict[str, Tensor]:
        """Scalars: "loss", to be minimised, and its detached parts "loss_margin" and "loss_transformer".

        batch: images [B, 3, H, W], identity [B]. The baseline has no "loss_transformer".
        """
        images, labels = batch["images"], batch["identity"]
        features = self.backbone.features(images)
        margin_logits = self.head(self.backbone.embed(features), labels)
        if self.branch is None:
            loss = F.cross_entropy(margin_logits, labels)
            return {"loss": loss, "loss_margin": loss.detach()}
        transformer_logits = self.branch_logits(features, labels)
        if self.combine == "weighted":
            loss = weighted_cross_entropy(margin_logits, transformer_logits, labels, self.alpha)
        else:
            loss = summed_cross_entropy(margin_logits, transformer_logits, labels)
        with torch.no_grad():
            return {
                "loss": loss,
                "loss_margin": F.cross_entropy(margin_logits, labels),
                "loss_transformer": F.cross_entropy(transformer_logits.float(), labels),
            }
