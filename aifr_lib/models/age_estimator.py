"""The age estimator of AAD, its second teacher: a ResNet-18 that shows where a face changes with age."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torchvision.models.resnet import BasicBlock, conv1x1

from aifr_lib.models.attention import AgeAttention
from aifr_lib.models.backbone import StageMaps, check_stage
from aifr_lib.models.blocks import cells, channels, initialise

AGES = 101  # whole years, 0 … 100


def expected_age(logits: Tensor) -> Tensor:
    """Σ_k k · softmax(logits)_k in years, [B], of logits [B, 101] over the ages 0 … 100 (DEX: Rothe et al. 2018).

    In float32 under autocast too: half precision would tell 48 years in steps of a quarter.

    >>> round(float(expected_age(torch.zeros(1, 101))), 3)
    50.0
    """
    years = torch.arange(AGES, dtype=torch.float32, device=logits.device)
    with torch.autocast(logits.device.type, enabled=False):
        return logits.float().softmax(1) @ years


class AgeEstimator(nn.Module):
    """Faces ``[B, 3, H, W]``, scaled by (x - 127.5) / 128, to logits ``[B, 101]`` over the ages 0 … 100.

    ResNet-18 (AAD, caption of Fig. 3; He et al. 2016): two basic blocks a stage, an age-attention block after each
    (section III-A), and of DEX the classes (Rothe et al. 2018). Inferred: a 3 x 3 stem of stride 1 without pooling and
    four stages that each halve the map, so that 112 x 112 gives maps of 56, 28, 14 and 7 cells a side, as the student's
    have; mean over cells, one linear layer. ``masks`` are A_1 … A_4 (eq. 3).

    input_hw: height and width, multiples of 16. width: multiplies every channel count, rounded to a multiple of 8.
    attention, dropout: see ``AgeAttention``. Errors: ConfigError for a value that does not fit.

    >>> network = AgeEstimator(input_hw=(48, 48), width=0.125).eval()
    >>> [tuple(mask.shape[1:]) for mask in network.masks(torch.zeros(2, 3, 48, 48))]
    [(1, 24, 24), (1, 12, 12), (1, 6, 6), (1, 3, 3)]
    """

    def __init__(
        self,
        input_hw: tuple[int, int] = (112, 112),
        width: float = 1.0,
        attention: Literal["element", "adl"] = "element",
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        c64, c128, c256, c512 = (channels(base, width) for base in (64, 128, 256, 512))
        self.input_hw = (input_hw[0], input_hw[1])
        self.feature_hw = cells(input_hw)
        self.stem = nn.Sequential(nn.Conv2d(3, c64, 3, 1, 1, bias=False), nn.BatchNorm2d(c64), nn.ReLU())
        self.stages = nn.Sequential(  # maps at 112 x 112:
            stage(c64, c64),  #    64 x 56 x 56
            stage(c64, c128),  #  128 x 28 x 28
            stage(c128, c256),  # 256 x 14 x 14
            stage(c256, c512),  # 512 x  7 x  7
        )
        self.attention = AgeAttention(attention, dropout)
        self.fc = nn.Linear(c512, AGES)
        initialise(self)

    def look(self, x: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Logits [B, 101], and the masks A_1 … A_4, [B, 1, h_i, w_i], of one pass."""
        features, masks = self.stem(x), []
        for stage in self.stages:
            features, mask = self.attention(stage(features))
            masks.append(mask)
        return self.fc(features.mean((2, 3))), tuple(masks)

    def stage_maps(self, x: Tensor) -> StageMaps:
        """Faces to the maps F_1 … F_4 as the next stage sees them: multiplied by their masks."""
        features, maps = self.stem(x), []
        for stage in self.stages:
            features = self.attention(stage(features))[0]
            maps.append(features)
        one, two, three, four = maps
        return one, two, three, four

    def tail(self, stage: int, features: Tensor) -> Tensor:
        """F_stage to logits [B, 101], as ``FourStages.tail`` is to embeddings."""
        check_stage(stage)
        for following in self.stages[stage:]:
            features = self.attention(following(features))[0]
        return self.fc(features.mean((2, 3)))

    def masks(self, x: Tensor) -> tuple[Tensor, ...]:
        """A_1 … A_4, [B, 1, h_i, w_i]: where a face shows its age (eq. 3)."""
        return self.look(x)[1]

    def forward(self, x: Tensor) -> Tensor:
        return self.look(x)[0]


def stage(inputs: int, outputs: int) -> nn.Sequential:
    """Two basic blocks, of which the first halves the map.

    >>> [block.stride for block in stage(8, 16)]
    [2, 1]
    """
    shortcut = nn.Sequential(conv1x1(inputs, outputs, 2), nn.BatchNorm2d(outputs))
    return nn.Sequential(BasicBlock(inputs, outputs, 2, shortcut), BasicBlock(outputs, outputs))
