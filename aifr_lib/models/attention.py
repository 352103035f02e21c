"""Attention of angular distillation (AAD): masks of feature maps, and a student that sees through its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from aifr_lib.models.backbone import FourStages, StageMaps, check_stage
from aifr_lib.names import ConfigError, choose

Norm = Literal["none", "zscore"]
# Of attention-based dropout (Choe and Shim, 2019): how often a mask that drops is drawn, and what share of the largest
# mean a cell must exceed to be dropped (found in the authors' public code).
DROPPING, PEAK = 0.75, 0.8


def attention_mask(features: Tensor, norm: Norm = "none") -> Tensor:
    """A = σ(mean over channels of F), [B, 1, h, w] in [0, 1] (eq. 3): where a stage is
    active; for an age estimator, where a face shows its age.

    norm: "zscore" takes the mean map less its mean, over its standard deviation, before
    σ. Behind a ReLU the literal form lies in [.5, 1) (an option of ours: inferred).

    >>> attention_mask(torch.zeros(2, 8, 4, 4)).unique()
    tensor([0.5000])
    """
    mean = features.float().mean(1, keepdim=True)
    if choose("norm", norm, {"none": False, "zscore": True}):
        spread = mean.std((2, 3), unbiased=False, keepdim=True)
        mean = (mean - mean.mean((2, 3), keepdim=True)) / spread.clamp_min(1e-6)
    return mean.sigmoid()


class AgeAttention(nn.Module):
    """The age-attention block (AAD section III-A): F [B, C, h, w] to F · Dropout(A), A of eq. 3, and A before dropout.

    The paper names average pooling, a sigmoid and dropout and draws the block in a picture; the rest is inferred.
    kind: "element" drops cells of A with probability ``dropout``; "adl" is the attention-based dropout that the paper
    cites (Choe and Shim, 2019), in training alone: F times A, or with probability .75, one draw a forward, times a mask
    that is 0 where the mean over channels exceeds .8 of its largest value. Errors: ConfigError for another kind or a
    ``dropout`` outside [0, 1).

    >>> features, mask = AgeAttention()(torch.zeros(2, 8, 4, 4))
    >>> features.shape, mask.shape
    (torch.Size([2, 8, 4, 4]), torch.Size([2, 1, 4, 4]))
    """

    def __init__(self, kind: Literal["element", "adl"] = "element", dropout: float = 0.1) -> None:
        super().__init__()
        self.drops_cells = choose("attention", kind, {"element": True, "adl": False})
        if not 0 <= dropout < 1:
            raise ConfigError(f"dropout {dropout}: must lie in [0, 1)")
        self.dropout = dropout

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        mask = attention_mask(features)
        if self.drops_cells:
            dropped = F.dropout(mask, self.dropout, self.training)
            return features * dropped.to(features.dtype), mask
        if not self.training:
            return features, mask
        mean = features.mean(1, keepdim=True)
        kept = (mean <= PEAK * mean.amax((2, 3), keepdim=True)).to(features.dtype)
        draw = torch.rand((), device=features.device)
        chosen = torch.where(draw < DROPPING, kept, mask.to(features.dtype))
        return features * chosen, mask


def attended(
    network: FourStages,
    x: Tensor,
    feedback: Sequence[Tensor] | Literal["own", "none"] = "own",
    norm: Norm = "none",
) -> tuple[StageMaps, tuple[Tensor, Tensor, Tensor]]:
    """The maps F_1 … F_4 of faces [B, 3, H, W] and the masks A_2, A_3, A_4 of each before it is multiplied.

    feedback: what F_2, F_3 and F_4 are multiplied by, before the next stage sees them: their own mask, nothing, or the
    masks given [B, 1, h, w] (the printed product of two masks cannot be meant: inferred).
    """
    maps, masks = [], []
    features = network.stem(x)
    for number, stage in enumerate(network.stages):
        features = stage(features)
        if number:
            masks.append(attention_mask(features, norm))
            if feedback != "none":
                seen = masks[-1] if isinstance(feedback, str) else feedback[number - 1]
                features = features * seen.to(features.dtype)
        maps.append(features)
    one, two, three, four = maps
    second, third, fourth = masks
    return (one, two, three, four), (second, third, fourth)


class Attended(nn.Module):
    """A ``Backbone`` that multiplies the maps after stages 2, 3 and 4 by their own masks, at test time as in training.

    It is another network than ``network``: its weights have other names, and neither takes the other's. norm: of its
    masks (``attention_mask``).

    >>> from aifr_lib import models
    >>> network = Attended(models.build("mobilefacenet", input_hw=(48, 48), width=0.125)).eval()
    >>> network(torch.zeros(2, 3, 48, 48)).shape, network.feature_hw
    (torch.Size([2, 512]), (3, 3))
    """

    def __init__(self, network: FourStages, norm: Norm = "none") -> None:
        super().__init__()
        choose("norm", norm, dict.fromkeys(("none", "zscore")))
        self.network = network
        self.mask_norm = norm
        self.feature_channels = network.feature_channels
        self.feature_hw = network.feature_hw

    def features(self, x: Tensor) -> Tensor:
        """See ``Backbone``."""
        return self.network.last(self.stage_maps(x)[-1])

    def embed(self, features: Tensor) -> Tensor:
        """See ``Backbone``."""
        return self.network.embed(features)

    def stage_maps(self, x: Tensor) -> StageMaps:
        """See ``Backbone``; F_2, F_3 and F_4 are those that were multiplied."""
        return attended(self.network, x, "own", self.mask_norm)[0]

    def tail(self, stage: int, features: Tensor) -> Tensor:
        """See ``Backbone``."""
        check_stage(stage)
        for following in self.network.stages[stage:]:
            features = following(features)
            features = features * attention_mask(features, self.mask_norm).to(features.dtype)
        return self.embed(self.network.last(features))

    def forward(self, x: Tensor) -> Tensor:
        return self.embed(self.features(x))
