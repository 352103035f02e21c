"""Networks by the names the papers give them."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any

from aifr_lib.models.backbone import Backbone, FourStages
from aifr_lib.models.grad_cam import grad_cam
from aifr_lib.models.iresnet import UNITS, IResNet
from aifr_lib.models.mobilefacenet import MobileFaceNet, MobileFaceNetR
from aifr_lib.models.mobilenet import MobileNetV1, MobileNetV2
from aifr_lib.models.transformer_branch import MeanBranch, TransformerBranch
from aifr_lib.names import ConfigError, choose, nearest

__all__ = [
    "BACKBONES",
    "Backbone",
    "FourStages",
    "IResNet",
    "MeanBranch",
    "MobileFaceNet",
    "MobileFaceNetR",
    "MobileNetV1",
    "MobileNetV2",
    "TransformerBranch",
    "build",
    "grad_cam",
]

BACKBONES: dict[str, Callable[..., FourStages]] = {
    "mobilefacenet": MobileFaceNet,
    "mobilefacenet-fine": partial(MobileFaceNet, last_stride=1),  # four times the cells in the last map
    "mobilefacenet-r": MobileFaceNetR,
    "mobilenetv1": MobileNetV1,
    "mobilenetv2": MobileNetV2,
    **{name: partial(IResNet, units) for name, units in UNITS.items()},
}


def build(name: str, **options: Any) -> FourStages:
    """The backbone ``name``, one of ``BACKBONES``, with the options of its class.

    Errors: ConfigError for an unknown name, an option this backbone does not have, or a value that does not
    fit.

    >>> build("iresnet18", input_hw=(64, 64), width=0.5).feature_hw
    (4, 4)
    """
    backbone = choose("backbone", name, BACKBONES)
    valid = inspect.signature(backbone).parameters
    for option in options:
        if option not in valid:
            raise ConfigError(f"backbone '{name}' has no option '{option}'{nearest(option, valid)}")
    return backbone(**options)
