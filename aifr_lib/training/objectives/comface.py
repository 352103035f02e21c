"""What a step of ComFace's pre-training computes, and what one of its rivals' does, on batches of pairs [B, 2]."""

from __future__ import annotations

import copy
from typing import Any, Self

import torch
from torch import Tensor, distributed, nn
from torch.nn import functional as F

from aifr_lib.data.loader import Batch
from aifr_lib.losses.comface import gathered, inter_loss, intra_loss, multi_positive_loss, products
from aifr_lib.models.comface import Comparer, projection
from aifr_lib.packages import missing_package
from aifr_lib.settings.comface import Pretraining

LIGHTLY = {"lightly": "losses of the self-supervised rivals (SimCLR, SwAV, Barlow Twins)"}
PROJECTED = 128


class Pretrainer(nn.Module):
    """Encoder and heads of one method; ``comparer`` is what is transferred.

    Of several processes each has its part of a batch while it trains, and in eval mode all of what validates: gathered
    there, each negative would count once for each process.
    """

    columns: tuple[str, ...] = ("images", "identity", "alpha")

    def __init__(self, config: Pretraining, comparer: Comparer) -> None:
        super().__init__()
        self.config, self.comparer = config, comparer
        self.projection = projection(comparer.encoder.features, PROJECTED)

    def projected(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """z of both pictures of each pair: [B, 2, 3, H, W] → [B, 128] twice."""
        z = self.projection(self.comparer.encoder(x.flatten(0, 1)))
        z_x, z_y = z.unflatten(0, x.shape[:2]).unbind(1)
        return z_x, z_y


class Comparing(Pretrainer):
    """L = L_inter + λ L_intra (ComFace; its ablations have one of the two)."""

    def __init__(self, config: Pretraining, comparer: Comparer) -> None:
        super().__init__(config, comparer)
        self.inter, self.intra = config.method != "intra", config.method != "inter"
        if not self.inter:
            self.projection.requires_grad_(False)
        if not self.intra:
            self.comparer.linear.requires_grad_(False)

    def forward(self, batch: Batch, part: str = "all") -> dict[str, Tensor]:
        """Scalars "loss", "inter" and "intra". images: [B, 2, 3, H, W] in 0 … 1; identity, alpha: [B, 2]."""
        h_x, h_y = self.comparer.encode(batch["images"])
        losses = {}
        if self.inter:
            z_x, z_y = self.projection(torch.cat([h_x, h_y])).chunk(2)
            losses["inter"] = inter_loss(z_x, z_y, batch["identity"][:, 0], self.config.tau, shared=self.training)
        if self.intra:
            change = batch["alpha"][:, 1] - batch["alpha"][:, 0]
            losses["intra"] = intra_loss(self.comparer.change(h_x, h_y), change, self.config.distance)
        total = losses.get("inter", 0) + self.config.weight * losses.get("intra", 0)
        return {"loss": torch.as_tensor(total), **{name: value.detach() for name, value in losses.items()}}


class Rival(Pretrainer):
    """A learner without strengths: the linear layer is not trained."""

    columns = ("images", "identity")

    def __init__(self, config: Pretraining, comparer: Comparer) -> None:
        super().__init__(config, comparer)
        self.comparer.linear.requires_grad_(False)


class MultiPositive(Rival):
    """StableRep's loss over all pictures of a person in the batch."""

    def forward(self, batch: Batch, part: str = "all") -> dict[str, Tensor]:
        """Scalars: "loss"."""
        z_x, z_y = self.projected(batch["images"])
        identity = batch["identity"].T.flatten()
        return {"loss": multi_positive_loss(torch.cat([z_x, z_y]), identity, self.config.tau, shared=self.training)}


class TwoViews(Rival):
    """A loss of lightly's over the projections of both views, in float32 under autocast too."""

    criterion: Any  # lightly has no types

    def train(self, mode: bool = True) -> Self:
        """The loss gathers over processes in training alone."""
        self.criterion.gather_distributed = mode and rank_known()
        return super().train(mode)

    def forward(self, batch: Batch, part: str = "all") -> dict[str, Tensor]:
        """Scalars: "loss"."""
        z_x, z_y = self.projected(batch["images"])
        with torch.autocast(z_x.device.type, enabled=False):
            return {"loss": self.criterion(z_x.float(), z_y.float())}


class SimClr(TwoViews):
    """SimCLR (Chen et al. 2020): the other view of a picture against all other views of the batch."""

    def __init__(self, config: Pretraining, comparer: Comparer) -> None:
        super().__init__(config, comparer)
        from lightly.loss import NTXentLoss

        self.criterion = NTXentLoss(config.tau, gather_distributed=rank_known())


class Moco(Rival):
    """MoCo v2 (Chen et al. 2020): one view against the other's key and a queue of keys of earlier batches.

    Keys come from an averaged encoder. The queue is part of the state, so that a resumed training is the same; that of
    lightly's loss is not. Batch norm is not shuffled over devices.
    """

    queue: Tensor
    place: Tensor

    def __init__(self, config: Pretraining, comparer: Comparer) -> None:
        super().__init__(config, comparer)
        self.averaged = copy.deepcopy(nn.Sequential(comparer.encoder, self.projection)).requires_grad_(False)
        self.register_buffer("queue", F.normalize(torch.randn(config.queue, PROJECTED)))
        self.register_buffer("place", torch.zeros((), dtype=torch.long))

    def forward(self, batch: Batch, part: str = "all") -> dict[str, Tensor]:
        """Scalars: "loss". In training the keys enter the queue."""
        x, y = batch["images"].unbind(1)
        query = F.normalize(self.projection(self.comparer.encoder(x)).float())
        with torch.no_grad():
            key = F.normalize(self.averaged(y).float())
        others = products(query, self.queue.clone())
        logits = torch.cat([(query * key).sum(1, keepdim=True), others], 1) / self.config.tau
        loss = F.cross_entropy(logits, torch.zeros(len(query), dtype=torch.long, device=query.device))
        if self.training:
            keys = gathered(key)
            self.queue[(self.place + torch.arange(len(keys), device=key.device)) % len(self.queue)] = keys
            self.place += len(keys)
            self.place %= len(self.queue)
        return {"loss": loss}

    @torch.no_grad()
    def after(self, step: int) -> None:
        """The averaged encoder follows the trained one."""
        trained = nn.Sequential(self.comparer.encoder, self.projection)
        for slow, fast in zip(self.averaged.parameters(), trained.parameters(), strict=True):
            slow.lerp_(fast, 1 - self.config.momentum)


class Swav(Rival):
    """SwAV (Caron et al. 2020): one view's even assignment to prototypes, told from the other view. No small crops."""

    def __init__(self, config: Pretraining, comparer: Comparer) -> None:
        super().__init__(config, comparer)
        from lightly.loss import SwaVLoss

        self.prototypes = nn.Linear(PROJECTED, config.prototypes, bias=False)
        self.criterion = SwaVLoss(config.tau, sinkhorn_gather_distributed=rank_known())

    def train(self, mode: bool = True) -> Self:
        """As in ``TwoViews``."""
        self.criterion.sinkhorn_gather_distributed = mode and rank_known()
        return super().train(mode)

    def forward(self, batch: Batch, part: str = "all") -> dict[str, Tensor]:
        """Scalars: "loss"; it starts near the logarithm of the number of prototypes."""
        towards = F.normalize(self.prototypes.weight)
        scores = [products(F.normalize(z.float()), towards) for z in self.projected(batch["images"])]
        return {"loss": self.criterion(scores, [])}


class BarlowTwins(TwoViews):
    """Barlow Twins (Zbontar et al. 2021): the cross-correlation of two views' projections near the identity.

    Of several processes each standardises the projections of its own part of the batch, as a batch norm does.
    """

    def __init__(self, config: Pretraining, comparer: Comparer) -> None:
        super().__init__(config, comparer)
        from lightly.loss import BarlowTwinsLoss

        width, wide = comparer.encoder.features, 4 * PROJECTED
        self.projection = nn.Sequential(
            nn.Linear(width, wide, bias=False), nn.BatchNorm1d(wide), nn.ReLU(), nn.Linear(wide, wide, bias=False)
        )
        self.criterion = BarlowTwinsLoss(config.redundancy, gather_distributed=rank_known())


METHODS: dict[str, type[Pretrainer]] = {
    **dict.fromkeys(("comface", "both", "inter", "intra"), Comparing),
    "multi-positive": MultiPositive,
    "simclr": SimClr,
    "moco": Moco,
    "swav": Swav,
    "barlow-twins": BarlowTwins,
}
OF_LIGHTLY = ("simclr", "swav", "barlow-twins")
OF_VIEWS = (*OF_LIGHTLY, "moco")  # compare two views of one picture; the others two pictures of one person


def missing(method: str) -> str | None:
    """Why a method cannot be trained here, in one sentence; None where it can."""
    return missing_package(LIGHTLY) if method in OF_LIGHTLY else None


def rank_known() -> bool:
    """Whether several processes train together."""
    return distributed.is_available() and distributed.is_initialized() and distributed.get_world_size() > 1
