"""What a backbone offers, and the four stages of which every one of them is made."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor, nn

STAGES = 4
StageMaps = tuple[Tensor, Tensor, Tensor, Tensor]


def check_stage(stage: int) -> None:
    """Errors: ValueError for a stage that is not 1 … 4."""
    if stage not in range(1, STAGES + 1):
        raise ValueError(f"stage {stage}: a backbone has the stages 1 to {STAGES}")


class Backbone(Protocol):
    """A network from faces to embeddings that can be left after each of its four stages, and entered there.

    feature_channels, feature_hw: channels, and height and width, of O_f, the last map with spatial extent.
    """

    feature_channels: int
    feature_hw: tuple[int, int]

    def features(self, x: Tensor) -> Tensor:
        """Faces ``[B, 3, H, W]`` to O_f ``[B, feature_channels, *feature_hw]`` (TML eq. 4)."""

    def embed(self, features: Tensor) -> Tensor:
        """O_f to the embedding ``[B, D]`` (TML eq. 5)."""

    def stage_maps(self, x: Tensor) -> StageMaps:
        """Faces to the maps ``F_1 … F_4`` after each stage, ``[B, C_i, H_i, W_i]`` (AAD eq. 1)."""

    def tail(self, stage: int, features: Tensor) -> Tensor:
        """F_stage to the embedding ``[B, D]``: stages ``stage`` + 1 … 4 and what follows (AAD eq. 9, Tail_i).

        ``tail(k, stage_maps(x)[k - 1])`` is the network itself. Errors: ValueError for a stage that is not 1 … 4.
        """


class FourStages(nn.Module):
    """A ``Backbone`` made of a stem, four ``stages``, the ``last`` layers before O_f, and ``embed``."""

    input_hw: tuple[int, int]
    feature_channels: int
    feature_hw: tuple[int, int]
    stem: nn.Sequential
    stages: nn.Sequential
    last: nn.Module

    @abstractmethod
    def embed(self, features: Tensor) -> Tensor:
        """See ``Backbone``."""

    def features(self, x: Tensor) -> Tensor:
        """See ``Backbone``."""
        return self.last(self.stages(self.stem(x)))

    def stage_maps(self, x: Tensor) -> StageMaps:
        """See ``Backbone``."""
        one, two, three, four = self.stages
        first = one(self.stem(x))
        second = two(first)
        third = three(second)
        return first, second, third, four(third)

    def tail(self, stage: int, features: Tensor) -> Tensor:
        """See ``Backbone``."""
        check_stage(stage)
        return self.embed(self.last(self.stages[stage:](features)))

    def tails(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """``tail(i, maps[i - 1])`` for the stages 1 … ``len(maps)``, up to rounding, in one growing batch.

        In evaluation mode alone: a batch norm in training mode would mix them.
        """
        batch = maps[0]
        for stage, following in zip(self.stages[1:], [*maps[1:], *[None] * (STAGES - len(maps))], strict=True):
            batch = stage(batch)
            if following is not None:
                batch = torch.cat([batch, following])
        return list(self.embed(self.last(batch)).chunk(len(maps)))

    def forward(self, x: Tensor) -> Tensor:
        return self.embed(self.features(x))
