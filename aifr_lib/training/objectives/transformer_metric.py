"""What a training step of TML computes: backbone, margin head and the training-only transformer branch (Fig. 5)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from aifr_lib.data.loader import Batch
from aifr_lib.losses.margins import MarginHead
from aifr_lib.losses.transformer_metric import summed_cross_entropy, weighted_losses
from aifr_lib.models import FourStages, MeanBranch, TransformerBranch
from aifr_lib.names import ConfigError, choose


class TransformerMetric(nn.Module):
    """Backbone, margin head and transformer branch with their loss; a batch in, a dict out.

    backbone: has ``features`` and ``embed`` (models.build). head: a MarginHead over the backbone's embedding.
    branch: a TransformerBranch over its last map, or a control in its place; None gives the plain baseline. alpha:
    weight of the branch, in (0, 1) as the paper has it. classifier: "linear", the paper's eq. 9 (Fig. 8 b), with a bias
    (inferred), or "margin" (Fig. 8 c), a head of the same kind and margin with weights and statistics of its own.
    combine: "weighted" (eq. 11) or "sum" (eq. 12, which has no alpha). rescaled: no branch, and the margin loss times
    1 - alpha: what eq. 11 leaves of it (a control of ours). slopes_every: see ``forward``; 0 is never.

    At test time only ``backbone`` is used. Errors: ConfigError for values that do not fit together.
    """

    columns = ("images", "identity")

    def __init__(
        self,
        backbone: FourStages,
        head: MarginHead,
        branch: TransformerBranch | MeanBranch | None = None,
        alpha: float = 0.0,
        classifier: Literal["linear", "margin"] = "linear",
        combine: Literal["weighted", "sum"] = "weighted",
        rescaled: bool = False,
        slopes_every: int = 0,
    ) -> None:
        super().__init__()
        choose("classifier", classifier, dict.fromkeys(("linear", "margin")))
        choose("combine", combine, dict.fromkeys(("weighted", "sum")))
        mixed = (branch is not None and combine == "weighted") or rescaled
        if mixed and not 0 < alpha < 1:
            raise ConfigError(f"alpha {alpha}: the weight of a branch lies in (0, 1); without one leave branch None")
        if not mixed and alpha:
            raise ConfigError(f"alpha {alpha} with combine '{combine}': a sum has none, and without a branch it is 0")
        if branch is None and combine == "sum":
            raise ConfigError("combine 'sum' needs a transformer branch; it is None")
        if head.classes < 2:
            raise ConfigError("one class: a loss that tells people apart needs two people to learn from")
        if rescaled and branch is not None:
            raise ConfigError("rescaled is the margin loss alone, and a branch is given")
        self.backbone = backbone
        self.head = head
        self.branch = branch
        self.alpha = alpha
        self.combine = combine
        self.rescaled = rescaled
        self.slopes_every = slopes_every
        self.asked = False
        self.classifier: nn.Linear | MarginHead | None = None
        if branch is not None:
            width, linear = branch.channels, classifier == "linear"
            self.classifier = nn.Linear(width, head.classes) if linear else head.like(width)

    def after(self, step: int) -> None:
        """Called after each step of a training: whether the next one is asked for its slopes."""
        self.asked = bool(self.slopes_every) and (step + 1) % self.slopes_every == 0

    def branch_logits(self, features: Tensor, labels: Tensor) -> Tensor:
        """T_Nc ``[B, N_c]`` from O_f (eqs. 6 to 9, or Fig. 8 c)."""
        assert self.branch is not None and self.classifier is not None
        encoded = self.branch(features)
        if isinstance(self.classifier, MarginHead):
            return self.classifier(encoded, labels)
        return self.classifier(encoded)

    def forward(self, batch: Batch, part: str = "all") -> dict[str, Tensor]:
        """Scalars: "loss", to be minimised, and detached "loss_margin" and "loss_transformer" before their weights.

        batch: images [B, 3, H, W], identity [B]. The baseline has no "loss_transformer", and a sum has neither. Every
        ``slopes_every`` steps "slope_margin" and "slope_transformer" besides (``slopes``).
        """
        images, labels = batch["images"], batch["identity"]
        features = self.backbone.features(images)
        logits = {"margin": self.head(self.backbone.embed(features), labels)}
        if self.branch is not None:
            logits["transformer"] = self.branch_logits(features, labels)
        losses: dict[str, Tensor] = {}
        if self.combine == "sum":
            loss = summed_cross_entropy(logits["margin"], logits["transformer"], labels)
        else:
            losses = {name: F.cross_entropy(one.float(), labels) for name, one in logits.items()}
            loss = losses["margin"]
            if self.branch is not None:
                loss = weighted_losses(loss, losses["transformer"], self.alpha)
            elif self.rescaled:
                loss = (1 - self.alpha) * loss
        found = {"loss": loss, **{f"loss_{name}": one.detach() for name, one in losses.items()}}
        # A gradient within the step would break the graph that is compiled; then the log goes without.
        if self.asked and loss.requires_grad and not torch.compiler.is_compiling():
            found |= slopes(loss, logits, features)
        return found


def slopes(
    loss: Tensor,
    logits: Mapping[str, Tensor],
    features: Tensor,
) -> dict[str, Tensor]:
    """By branch, the norm of the gradient that the loss sends to O_f through its
    logits, its weight included.

    Of a weighted loss these are the gradients of its two terms; of a sum, of its two
    paths.
    """
    pulls = torch.autograd.grad(loss, list(logits.values()), retain_graph=True)
    found = {}
    for (name, one), pull in zip(logits.items(), pulls, strict=True):
        (slope,) = torch.autograd.grad(one, features, pull, retain_graph=True)
        found[f"slope_{name}"] = slope.detach().float().norm()
    return found
