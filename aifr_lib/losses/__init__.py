"""Losses by the names the papers give them."""

from aifr_lib.losses.margins import HEADS, AdaFace, ArcFace, CosFace, MarginHead, Softmax, build
from aifr_lib.losses.sharded import ShardedHead
from aifr_lib.losses.transformer_metric import summed_cross_entropy, weighted_losses

__all__ = [
    "HEADS",
    "AdaFace",
    "ArcFace",
    "CosFace",
    "MarginHead",
    "ShardedHead",
    "Softmax",
    "build",
    "summed_cross_entropy",
    "weighted_losses",
]
