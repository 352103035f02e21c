"""The recognising half of MTLFace: a map split into what is a person's and what is the age's.

Section B of the supplement and the main paper it belongs to say little of the layers. What is not said here to be
stated is found in the authors' public code, which is described and not followed line by line.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from aifr_lib.models.age_estimator import AGES, expected_age
from aifr_lib.models.backbone import FourStages
from aifr_lib.names import ConfigError, choose

Attention = Literal["channel", "spatial", "both", "none"]
GRIDS = (1, 2, 3)  # cells a side of the pooled maps that the channel branch sees
SQUEEZE = 16  # its hidden layer is that many times narrower


def reverse(x: Tensor) -> Tensor:
    """``x`` itself, whose gradient is turned round: what follows learns to tell, what comes before to conceal.

    (Ganin and Lempitsky, 2015, with their λ at 1 throughout.)

    >>> x = torch.ones(2, requires_grad=True)
    >>> reverse(x).sum().backward()
    >>> x.grad
    tensor([-1., -1.])
    """
    return _Reverse.apply(x)


class _Reverse(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        return -grad


class Decomposition(nn.Module):
    """Attention-based feature decomposition (AFD): X [B, C, h, w] to X_id and X_age of the same size.

    X_age = σ · X and X_id = X − X_age, σ in (0, 1) the mean of a mask of channels [B, C, 1, 1] and one of cells
    [B, 1, h, w]. Channels: the map's averages over 1, 4 and 9 cells, and its maxima, added, and two layers of which
    the first is 16 times narrower. Cells: the maximum and the mean over channels, and a 7 x 7 convolution.

    kind: "both"; "channel" or "spatial" masks by the one alone; with "none" both parts are X (the ablations).
    Parameters at 512 channels: 3,441,664 and 100. Errors: ConfigError for another kind.

    >>> identity, age = Decomposition(32)(torch.ones(2, 32, 7, 7))
    >>> torch.allclose(identity + age, torch.ones(2, 32, 7, 7))
    True
    """

    def __init__(self, channels: int, kind: Attention = "both") -> None:
        super().__init__()
        by_channel, by_cell = choose("afd", kind, {"both": (True, True), "channel": (True, False),
                                                   "spatial": (False, True), "none": (False, False)})  # fmt: skip
        pooled = channels * sum(side * side for side in GRIDS)
        self.channel = (
            nn.Sequential(
                nn.Conv2d(pooled, pooled // SQUEEZE, 1, bias=False),
                nn.ReLU(),
                nn.Conv2d(pooled // SQUEEZE, channels, 1, bias=False),
                nn.BatchNorm2d(channels, momentum=0.01),
            )
            if by_channel
            else None
        )
        self.spatial = nn.Sequential(nn.Conv2d(2, 1, 7, 1, 3, bias=False), nn.BatchNorm2d(1)) if by_cell else None

    def mask(self, features: Tensor) -> Tensor | None:
        """σ, [B, C, h, w] or of a size that spreads to it; None where nothing is split."""
        masks = []
        if self.channel is not None:
            masks.append(self.channel(pyramid(features)).sigmoid())
        if self.spatial is not None:
            cells = torch.cat([features.amax(1, keepdim=True), features.mean(1, keepdim=True)], 1)
            masks.append(self.spatial(cells).sigmoid())
        return sum(masks[1:], masks[0]) / len(masks) if masks else None

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        mask = self.mask(features)
        if mask is None:
            return features, features
        age = mask * features
        return features - age, age


def pyramid(features: Tensor) -> Tensor:
    """Averages of a map [B, C, h, w] over 1, 2 x 2 and 3 x 3 cells, plus the maxima there: [B, 14 C, 1, 1].

    >>> pyramid(torch.ones(2, 8, 7, 7)).shape
    torch.Size([2, 112, 1, 1])
    """
    pooled = [F.adaptive_avg_pool2d(features, side).flatten(1) for side in GRIDS]
    peaks = [F.adaptive_max_pool2d(features, side).flatten(1) for side in GRIDS]
    return (torch.cat(pooled, 1) + torch.cat(peaks, 1))[:, :, None, None]


class AgeHead(nn.Module):
    """A map [B, C, h, w] to logits [B, 101] over the ages 0 … 100, and from them to logits [B, G] over age groups.

    Batch norm, a hidden layer, and the groups' logits linear in those of the ages before any softmax. 12,899,119
    parameters on 512 x 7 x 7 cells with seven groups.

    >>> ages, groups = AgeHead(32, (3, 3), groups=7, hidden=16)(torch.zeros(2, 32, 3, 3))
    >>> ages.shape, groups.shape
    (torch.Size([2, 101]), torch.Size([2, 7]))
    """

    def __init__(self, channels: int, hw: tuple[int, int], groups: int, hidden: int = 512) -> None:
        super().__init__()
        self.ages = nn.Sequential(
            nn.BatchNorm2d(channels),
            nn.Flatten(),
            nn.Linear(channels * hw[0] * hw[1], hidden),
            nn.ReLU(),
            nn.Linear(hidden, AGES),
        )
        self.groups = nn.Linear(AGES, groups)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        ages = self.ages(features)
        return ages, self.groups(ages)


class Seen(NamedTuple):
    """What one look at faces gives: the maps after stem and stages 1 to 3, and the two parts of the fourth's."""

    stem: Tensor
    stages: tuple[Tensor, Tensor, Tensor]
    identity: Tensor
    age: Tensor


class Recogniser(nn.Module):
    """Faces [B, 3, H, W], scaled by (x − 127.5) / 128, to embeddings [B, D] of X_id, from which the age is taken out.

    The scaling is that of all networks here; the supplement's, to [−1, 1], is wider by one part in 255 (section B).
    network: any backbone of four stages. X is its map after stage 4; what follows there, up to the embedding, is the
    identity head over X_id: of an IResNet batch norm, dropout, linear layer and batch norm. A head of ages reads X_age.
    groups: of ages. afd: see ``Decomposition``. hidden: of the age head. Errors: ConfigError for a network without
    four stages.

    >>> from aifr_lib import models
    >>> network = models.build("iresnet18", input_hw=(48, 48), width=0.125, embedding=32)
    >>> recogniser = Recogniser(network, groups=7, hidden=32).eval()
    >>> recogniser(torch.zeros(2, 3, 48, 48)).shape, recogniser.estimated_age(torch.zeros(2, 3, 48, 48)).shape
    (torch.Size([2, 32]), torch.Size([2]))
    """

    def __init__(self, network: FourStages, groups: int, afd: Attention = "both", hidden: int = 512) -> None:
        super().__init__()
        if not isinstance(network, FourStages):
            raise ConfigError(
                f"{type(network).__name__} does not show its stages (an ONNX file gives an embedding alone): MTLFace "
                "splits the map after stage 4 and draws from those before, so name a backbone of this library"
            )
        self.network = network
        self.input_hw = network.input_hw
        was = network.training
        with torch.no_grad():
            _, channels, height, width = network.eval().stage_maps(torch.zeros(1, 3, *self.input_hw))[-1].shape
        network.train(was)
        self.map_shape = (channels, height, width)
        self.decompose = Decomposition(channels, afd)
        self.ages = AgeHead(channels, (height, width), groups, hidden)

    def look(self, x: Tensor) -> Seen:
        """The maps on the way, X_id and X_age, of one pass."""
        stem = self.network.stem(x)
        one, two, three, four = self.network.stages
        first = one(stem)
        second = two(first)
        third = three(second)
        return Seen(stem, (first, second, third), *self.decompose(four(third)))

    def embed(self, identity: Tensor) -> Tensor:
        """X_id to the embedding [B, D]."""
        return self.network.embed(self.network.last(identity))

    def estimated_age(self, x: Tensor) -> Tensor:
        """The expected age in years, [B], that X_age tells of faces."""
        return expected_age(self.ages(self.look(x).age)[0])

    def forward(self, x: Tensor) -> Tensor:
        return self.embed(self.look(x).identity)


class AgeReader(nn.Module):
    """A judge of age: faces [B, 3, H, W] to logits [B, 101] over the ages and [B, G] over groups (section C.1).

    network: a backbone of four stages, whose last map an age head reads; what follows there is idle.

    >>> from aifr_lib import models
    >>> reader = AgeReader(models.build("iresnet18", input_hw=(48, 48), width=0.125, embedding=32), groups=7).eval()
    >>> reader.estimated_age(torch.zeros(2, 3, 48, 48)).shape
    torch.Size([2])
    """

    def __init__(self, network: FourStages, groups: int, hidden: int = 512) -> None:
        super().__init__()
        self.input_hw = network.input_hw
        self.stem, self.stages = network.stem, network.stages
        was = network.training
        with torch.no_grad():
            _, channels, height, width = self.eval().last_map(torch.zeros(1, 3, *self.input_hw)).shape
        self.train(was)
        self.head = AgeHead(channels, (height, width), groups, hidden)

    def last_map(self, x: Tensor) -> Tensor:
        """The map after stage 4, [B, C, h, w]."""
        x = self.stem(x)
        for stage in self.stages:
            x = stage(x)
        return x

    def estimated_age(self, x: Tensor) -> Tensor:
        """The expected age in years, [B]."""
        return expected_age(self(x)[0])

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.head(self.last_map(x))
