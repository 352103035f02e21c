"""MobileFaceNet: the light backbone of the ablations of TML and the smallest student of AAD."""

from __future__ import annotations

from torch import Tensor, nn

from aifr_lib.models.backbone import FourStages
from aifr_lib.models.blocks import PReLU, cells, channels, initialise


def conv(inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    """Convolution, batch norm, PReLU; a map keeps its size, over ``stride``.

    >>> [type(layer).__name__ for layer in conv(3, 8, kernel=3, stride=2)]
    ['Conv2d', 'BatchNorm2d', 'PReLU']
    """
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
        PReLU(outputs),
    )


class Bottleneck(nn.Module):
    """Expand 1x1, depthwise 3x3, project 1x1 (no activation); added to its input where both are of one size.

    >>> Bottleneck(8, 16, 8, stride=1).residual, Bottleneck(8, 16, 8, stride=2).residual
    (True, False)
    """

    def __init__(self, inputs: int, hidden: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.residual = stride == 1 and inputs == outputs
        self.layers = nn.Sequential(
            conv(inputs, hidden, 1),
            conv(hidden, hidden, 3, stride, groups=hidden),
            nn.Conv2d(hidden, outputs, 1, bias=False),
            nn.BatchNorm2d(outputs),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x) if self.residual else self.layers(x)


def stage(inputs: int, outputs: int, strided: int, residual: int, units: int, stride: int = 2) -> nn.Sequential:
    """A bottleneck of ``stride`` and ``strided`` hidden channels, then ``units`` residual ones.

    >>> len(stage(8, 8, strided=16, residual=16, units=4))
    5
    """
    first = Bottleneck(inputs, strided, outputs, stride)
    return nn.Sequential(first, *(Bottleneck(outputs, residual, outputs, stride=1) for _ in range(units)))


class DepthwiseHead(FourStages):
    """Networks that end as MobileFaceNet does: a weight for each cell of each channel, a linear layer, batch norm."""

    embedding: int
    pool: nn.Module
    fc: nn.Linear
    norm: nn.BatchNorm1d

    def end(self, pooled: int, bias: bool = True) -> None:
        """The layers behind O_f, and the start of all weights. pooled: groups and channels of the convolution over all
        cells. bias: of the embedding layer.
        """
        self.pool = nn.Sequential(
            nn.Conv2d(self.feature_channels, pooled, self.feature_hw, groups=pooled, bias=False), nn.BatchNorm2d(pooled)
        )
        self.fc = nn.Linear(pooled, self.embedding, bias=bias)
        self.norm = nn.BatchNorm1d(self.embedding)
        initialise(self)

    def embed(self, features: Tensor) -> Tensor:
        """O_f ``[B, C, h, w]`` to the embedding ``[B, embedding]`` (TML eq. 5)."""
        embedding: Tensor = self.norm(self.fc(self.pool(features).flatten(1)))
        return embedding


class MobileFaceNet(DepthwiseHead):
    """Faces ``[B, 3, H, W]``, scaled by (x - 127.5) / 128, to embeddings ``[B, embedding]`` (not normalised).

    Chen et al. 2018 (arXiv 1804.07573), Table 1. 1,201,024 parameters at 112 x 112 with 512 dimensions and
    1,200,512 without the last bias; with 128 dimensions 1,003,264 and 1,003,136 (at 112 x 96: 999,680).

    input_hw: height and width, multiples of 16. embedding: dimensions of the embedding; ``width`` leaves it
    alone. width: multiplies every channel count, rounded to a multiple of 8. bias: of the embedding layer;
    idle before a batch norm, and there because AAD's 1.2M and TML's 0.99M fit either way (inferred).
    last_stride: of the last stage; 1 leaves out its halving, so that a small picture keeps more cells, 36 at 48 x 48
    where 2 leaves 9 (ours; no paper has it). Initialisation: ``blocks.initialise``.

    The four stages end where the map is about to be halved (inferred: AAD matches the student's maps to its
    teacher's, cell for cell, so they must have 56, 28, 14 and 7 cells a side; the wide convolution behind the last
    bottleneck belongs to what follows, since its map is the head's). O_f is the map of that convolution.
    Errors: ConfigError for an ``input_hw`` or ``last_stride`` that does not fit.

    >>> import torch
    >>> network = MobileFaceNet(input_hw=(48, 48), width=0.125)
    >>> [tuple(one.shape[1:]) for one in network.stage_maps(torch.zeros(2, 3, 48, 48))]
    [(8, 24, 24), (8, 12, 12), (16, 6, 6), (16, 3, 3)]
    """

    def __init__(
        self,
        input_hw: tuple[int, int] = (112, 112),
        embedding: int = 512,
        width: float = 1.0,
        bias: bool = True,
        last_stride: int = 2,
    ) -> None:
        super().__init__()
        c64, c128, c256, c512 = (channels(base, width) for base in (64, 128, 256, 512))
        self.input_hw = (input_hw[0], input_hw[1])
        self.embedding = embedding
        self.feature_channels = c512
        self.feature_hw = cells(input_hw, last_stride)

        self.stem = conv(3, c64, 3, stride=2)
        self.stages = nn.Sequential(  # maps at 112 x 112:
            conv(c64, c64, 3, groups=c64),  #                64 x 56 x 56
            stage(c64, c64, c128, c128, units=4),  #         64 x 28 x 28
            stage(c64, c128, c256, c256, units=6),  #       128 x 14 x 14
            stage(c128, c128, c512, c256, 2, last_stride),  # 128 x  7 x  7
        )
        self.last = conv(c128, c512, 1)
        self.end(c512, bias)


class MobileFaceNetR(DepthwiseHead):
    """MobileFaceNet whose stages are as wide as its teacher's, AAD's MobileFacenet-R; faces in, embeddings out.

    AAD prints 3.73M parameters and no layout. This one has 3,790,336 (1.6 % more) at 112 x 112 with 512 dimensions: 64,
    128, 256 and 512 channels after the stages, hidden channels 128 / 256, 256 / 512 and 512 / 512 (strided / residual),
    no wide convolution behind them (inferred: section III-C sizes the intermediate maps to the teacher's. Many other
    layouts lie nearer to the printed count, so the count does not say which was meant).

    input_hw, embedding, width, last_stride: as of ``MobileFaceNet``. O_f is the map after stage 4.

    >>> import torch
    >>> network = MobileFaceNetR(input_hw=(48, 48), width=0.125)
    >>> [tuple(one.shape[1:]) for one in network.stage_maps(torch.zeros(2, 3, 48, 48))]
    [(8, 24, 24), (16, 12, 12), (32, 6, 6), (64, 3, 3)]
    """

    def __init__(
        self, input_hw: tuple[int, int] = (112, 112), embedding: int = 512, width: float = 1.0, last_stride: int = 2
    ) -> None:
        super().__init__()
        c64, c128, c256, c512 = (channels(base, width) for base in (64, 128, 256, 512))
        self.input_hw = (input_hw[0], input_hw[1])
        self.embedding = embedding
        self.feature_channels = c512
        self.feature_hw = cells(input_hw, last_stride)

        self.stem = conv(3, c64, 3, stride=2)
        self.stages = nn.Sequential(  # maps at 112 x 112:
            conv(c64, c64, 3, groups=c64),  #                 64 x 56 x 56
            stage(c64, c128, c128, c256, units=4),  #        128 x 28 x 28
            stage(c128, c256, c256, c512, units=6),  #       256 x 14 x 14
            stage(c256, c512, c512, c512, 2, last_stride),  # 512 x 7 x  7
        )
        self.last = nn.Identity()
        self.end(c512)
