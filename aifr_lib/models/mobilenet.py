"""MobileNetV1 and MobileNetV2 as face recognition uses them: the larger and the second smallest student of AAD."""

from __future__ import annotations

from typing import Literal

from torch import nn

from aifr_lib.models.blocks import cells, channels
from aifr_lib.models.mobilefacenet import Bottleneck, DepthwiseHead, conv
from aifr_lib.names import choose


def separable(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    """Depthwise 3x3 of ``stride``, then 1x1, each with batch norm and PReLU (Howard et al. 2017, Fig. 3).

    >>> [layer[0].groups for layer in separable(8, 16, stride=2)]
    [8, 1]
    """
    return nn.Sequential(conv(inputs, inputs, 3, stride, groups=inputs), conv(inputs, outputs, 1))


class MobileNetV1(DepthwiseHead):
    """Faces ``[B, 3, H, W]``, scaled by (x - 127.5) / 128, to embeddings ``[B, embedding]`` (not normalised).

    Howard et al. 2017 (arXiv 1704.04861), Table 1, with a stem of stride 1 and PReLU: AAD prints 3.53M parameters, and
    at 112 x 112 with 512 dimensions this has 3,532,800 (inferred; public face toolkits build it so).

    input_hw: height and width, multiples of 16. embedding: dimensions of the embedding; ``width`` leaves it alone.
    width: multiplies every channel count, rounded to a multiple of 8. head: "g512", one 7 x 7 convolution in 512 groups
    from 1024 to 512 channels; "dw256", a depthwise one of 1024, which with 256 dimensions has 3,533,056 parameters and
    fits the printed count as well. last_stride: of the last stage (ours; see ``MobileFaceNet``).
    Stages end where the map is about to be halved; O_f is the map after stage 4. Errors: ConfigError for an
    ``input_hw``, ``last_stride`` or ``head`` that does not fit.

    >>> import torch
    >>> network = MobileNetV1(input_hw=(48, 48), width=0.125)
    >>> [tuple(one.shape[1:]) for one in network.stage_maps(torch.zeros(2, 3, 48, 48))]
    [(16, 24, 24), (32, 12, 12), (64, 6, 6), (128, 3, 3)]
    """

    def __init__(
        self,
        input_hw: tuple[int, int] = (112, 112),
        embedding: int = 512,
        width: float = 1.0,
        head: Literal["g512", "dw256"] = "g512",
        last_stride: int = 2,
    ) -> None:
        super().__init__()
        c32, c64, c128, c256, c512, c1024 = (channels(base, width) for base in (32, 64, 128, 256, 512, 1024))
        pooled = choose("head", head, {"g512": c512, "dw256": c1024})
        self.input_hw = (input_hw[0], input_hw[1])
        self.embedding = embedding
        self.feature_channels = c1024
        self.feature_hw = cells(input_hw, last_stride)

        self.stem = conv(3, c32, 3)
        self.stages = nn.Sequential(  # maps at 112 x 112:
            nn.Sequential(separable(c32, c64, 1), separable(c64, c128, 2), separable(c128, c128, 1)),  # 128 x 56 x 56
            nn.Sequential(separable(c128, c256, 2), separable(c256, c256, 1)),  #                        256 x 28 x 28
            nn.Sequential(separable(c256, c512, 2), *(separable(c512, c512, 1) for _ in range(5))),  #   512 x 14 x 14
            nn.Sequential(separable(c512, c1024, last_stride), separable(c1024, c1024, 1)),  #          1024 x  7 x  7
        )
        self.last = nn.Identity()
        self.end(pooled)


class MobileNetV2(DepthwiseHead):
    """Faces ``[B, 3, H, W]``, scaled by (x - 127.5) / 128, to embeddings ``[B, embedding]`` (not normalised).

    Sandler et al. 2018 (arXiv 1801.04381), Table 2, with a stem of stride 1, PReLU, a last 1 x 1 convolution to 512
    channels, and a global depthwise convolution before the embedding layer: AAD prints 2.15M parameters, and at
    112 x 112 with 256 dimensions this has 2,149,312 (inferred; public face toolkits build it so).

    input_hw, embedding, width, last_stride: as of ``MobileNetV1``. The first bottleneck does not expand and has no
    expanding convolution. Stages end where the map is about to be halved; O_f is the map of the last convolution.
    Errors: ConfigError for an ``input_hw`` or ``last_stride`` that does not fit.

    >>> import torch
    >>> network = MobileNetV2(input_hw=(48, 48), width=0.5)
    >>> [tuple(one.shape[1:]) for one in network.stage_maps(torch.zeros(2, 3, 48, 48))]
    [(16, 24, 24), (32, 12, 12), (48, 6, 6), (160, 3, 3)]
    """

    def __init__(
        self,
        input_hw: tuple[int, int] = (112, 112),
        embedding: int = 256,
        width: float = 1.0,
        last_stride: int = 2,
    ) -> None:
        super().__init__()
        c16, c24, c32, c64, c96, c160, c320, c512 = (
            channels(base, width) for base in (16, 24, 32, 64, 96, 160, 320, 512)
        )
        self.input_hw = (input_hw[0], input_hw[1])
        self.embedding = embedding
        self.feature_channels = c512
        self.feature_hw = cells(input_hw, last_stride)

        self.stem = nn.Sequential(conv(3, c32, 3), unexpanded(c32, c16))
        self.stages = nn.Sequential(  # maps at 112 x 112:
            inverted(c16, c24, units=2, stride=2),  #                                         24 x 56 x 56
            nn.Sequential(inverted(c24, c32, 3, 2), inverted(c32, c64, 4, 1)),  #             64 x 28 x 28
            nn.Sequential(inverted(c64, c96, 3, 2)),  #                                       96 x 14 x 14
            nn.Sequential(inverted(c96, c160, 3, last_stride), inverted(c160, c320, 1, 1)),  # 320 x 7 x 7
        )
        self.last = conv(c320, c512, 1)
        self.end(c512)


def unexpanded(inputs: int, outputs: int) -> nn.Sequential:
    """The first bottleneck (t = 1): depthwise 3x3, project 1x1, no activation after it.

    >>> len(unexpanded(8, 16))
    3
    """
    return nn.Sequential(
        conv(inputs, inputs, 3, groups=inputs), nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs)
    )


def inverted(inputs: int, outputs: int, units: int, stride: int) -> nn.Sequential:
    """``units`` bottlenecks that expand to six times their input; the first has ``stride`` and changes the channels.

    >>> [part.residual for part in inverted(8, 16, units=3, stride=2)]
    [False, True, True]
    """
    first = Bottleneck(inputs, 6 * inputs, outputs, stride)
    return nn.Sequential(first, *(Bottleneck(outputs, 6 * outputs, outputs, stride=1) for _ in range(units - 1)))
