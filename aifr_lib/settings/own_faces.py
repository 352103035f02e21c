"""A network trained further on pictures that somebody brings."""

from __future__ import annotations

from pydantic import Field, model_validator

from aifr_lib.names import Strict
from aifr_lib.settings.recognition import Recognition

FARS = (1e-2, 1e-3)  # false accept rates at which a training of one's own ends with a threshold


class OwnFaces(Strict):
    """Fine-tuning on one's own pictures: a new head first, then all weights, stopped early, on people held out.

    train: loss, batch, epochs and rates; without weights to start from, the network too. No paper says how; the
    values are inferred: few pictures, so a small batch, a cosine, and a tenth of the rate for what is trained already.
    """

    train: Recognition = Recognition(batch=32, epochs=20, lr=0.05, schedule="cosine", drops=(), warmup=1)
    head_epochs: float = Field(5, ge=0, description="epochs in which the new head alone is trained")
    backbone_rate: float = Field(0.1, gt=0, le=1, description="rate of the network, as a share of the head's")
    patience: int = Field(5, ge=1, description="epochs without a better value after which the training ends")
    watched: float = Field(0.15, gt=0, lt=1, description="share of the people who say when to stop")
    held_out: float = Field(0.3, gt=0, lt=1, description="share of the people who set the thresholds")
    most_people: int = Field(1000, ge=4, description="people watched, and held out, at most")
    most_pictures: int = Field(20, ge=2, description="pictures of each of them at most")

    @model_validator(mode="after")
    def _some_are_trained_on(self) -> OwnFaces:
        if self.watched + self.held_out >= 1:
            raise ValueError(f"watched {self.watched:g} and held_out {self.held_out:g} leave nobody to train on")
        if self.train.alpha or self.train.combine == "sum":
            raise ValueError("pictures of one's own are trained without the transformer branch: leave alpha at 0")
        return self
