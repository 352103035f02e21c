"""One training of a recognition network."""

from __future__ import annotations

import math
from typing import Literal

from pydantic import Field, field_validator, model_validator

from aifr_lib.names import Strict
from aifr_lib.settings.relief import Relief


class Recognition(Strict):
    """One training of a recognition network (TML section IV-B). Where it is silent the values are inferred: 24 epochs,
    the feed-forward size of Vaswani et al., no positional encoding, no mixed precision, 512 numbers for every backbone.
    """

    data: Literal["relief", "generator-narrow", "casia-webface", "ms1mv2", "webface4m"] = "relief"
    relief: Relief = Relief()
    backbone: str = "mobilefacenet"
    width: float = Field(1.0, gt=0, le=2)
    input_hw: tuple[int, int] = (112, 112)
    embedding: int = Field(512, ge=2)
    dropout: float = Field(0.4, ge=0, lt=1, description="before the embedding layer (IResNet only)")
    loss: str = "arcface"
    s: float = Field(64.0, gt=0, description="scale of the logits")
    m: float | None = Field(None, description="margin; None takes the paper's: .35 CosFace, .45 ArcFace, .4 AdaFace")
    alpha: float = Field(0.0, ge=0, lt=1, description="weight of the transformer branch (TML eq. 11); 0 = no branch")
    combine: Literal["weighted", "sum"] = "weighted"
    classifier: Literal["linear", "margin"] = "linear"
    layers: int = Field(6, ge=1)
    heads: int = Field(8, ge=1)
    feedforward: int = Field(2048, ge=8)
    pos_encoding: Literal["none", "sinusoidal", "learned"] = "none"
    batch: int = Field(512, ge=2, description="images a step over all processes")
    accumulate: int = Field(1, ge=1, description="micro-batches a step")
    epochs: float = Field(24, gt=0)
    lr: float = Field(0.1, gt=0)
    momentum: float = Field(0.9, ge=0, lt=1)
    weight_decay: float = Field(5e-4, ge=0)
    schedule: Literal["step", "cosine"] = "step"
    drops: tuple[float, ...] = Field((10, 18, 22), description="epochs after which the rate falls to a tenth")
    warmup: float = Field(0.0, ge=0, description="epochs of linear warm-up")
    clip: float | None = Field(None, gt=0, description="largest norm of the gradient")
    precision: Literal["no", "bf16", "fp16"] = "no"
    seed: int = 0

    @model_validator(mode="after")
    def _whole_micro_batches(self) -> Recognition:
        if self.batch % self.accumulate:
            raise ValueError(f"a batch of {self.batch} does not divide into {self.accumulate} micro-batches")
        if self.batch < 2 * self.accumulate:
            raise ValueError(f"batch norm needs two pictures in each micro-batch: batch {self.batch} is too small")
        return self

    @model_validator(mode="after")
    def _margin_of_its_loss(self) -> Recognition:
        if self.m is not None and self.loss == "softmax":
            raise ValueError(f"loss 'softmax' has no margin: leave m out, it is {self.m:g}")
        if self.m is not None and not 0 <= self.m < math.pi / 2:
            raise ValueError(f"margin m {self.m:g}: must lie within [0, π/2)")
        return self

    @field_validator("drops")
    @classmethod
    def _rising(cls, drops: tuple[float, ...]) -> tuple[float, ...]:
        if list(drops) != sorted(drops):
            raise ValueError("drops must rise")
        return drops
