"""IResNet, the residual network of face recognition: encoder of MTLFace, teacher of AAD, backbone of TML."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from aifr_lib.models.backbone import FourStages
from aifr_lib.models.blocks import PReLU, cells, channels, initialise

UNITS = {  # residual units of the four stages
    "iresnet18": (2, 2, 2, 2),
    "iresnet34": (3, 4, 6, 3),
    "iresnet50": (3, 4, 14, 3),
    "iresnet90": (3, 8, 30, 3),
    "iresnet100": (3, 13, 30, 3),
}


class Unit(nn.Module):
    """The improved residual unit: BN, conv, BN, PReLU, conv, BN; nothing after the addition.

    The first unit of a stage halves the map, and its shortcut is a strided 1x1 convolution with batch norm.

    >>> [tuple(parameter.shape) for parameter in Unit(8, 16, stride=2).shortcut.parameters()]
    [(16, 8, 1, 1), (16,), (16,)]
    """

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.BatchNorm2d(inputs),
            nn.Conv2d(inputs, outputs, 3, 1, 1, bias=False),
            nn.BatchNorm2d(outputs),
            PReLU(outputs),
            nn.Conv2d(outputs, outputs, 3, stride, 1, bias=False),
            nn.BatchNorm2d(outputs),
        )
        self.shortcut = (
            nn.Identity()
            if stride == 1 and inputs == outputs
            else nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.shortcut(x) + self.layers(x)


def stage(inputs: int, outputs: int, units: int, stride: int = 2) -> nn.Sequential:
    """``units`` residual units, the first of which halves the map (unless ``stride`` is 1).

    >>> len(stage(8, 16, units=3))
    3
    """
    return nn.Sequential(Unit(inputs, outputs, stride), *(Unit(outputs, outputs, 1) for _ in range(units - 1)))


class IResNet(FourStages):
    """Faces ``[B, 3, H, W]``, scaled by (x - 127.5) / 128, to embeddings ``[B, embedding]`` (not normalised).

    Units: Han et al. 2017 (arXiv 1610.02915), as used for faces by Deng et al. 2019 (ArcFace, section 3.1:
    "E"). Parameters at 112 x 112 with 512 dimensions: 24,025,600 (2,2,2,2), 34,139,328 (3,4,6,3), 43,590,848
    (3,4,14,3), 63,677,120 (3,8,30,3: AAD's teacher, printed as 63.67M), 65,156,160 (3,13,30,3).

    units: residual units of each of the four stages. input_hw: height and width, multiples of 16. embedding:
    dimensions of the embedding; ``width`` leaves it alone. width: multiplies every channel count, rounded to
    a multiple of 8. dropout: before the embedding layer (ArcFace; MTLFace trains with .5). The scale of the
    last batch norm is learned (inferred: TML's Table IV has a total variance that changes, which a scale
    frozen at 1, as some toolkits have it, would hold near the number of dimensions). Initialisation:
    ``blocks.initialise``. last_stride: of the last stage; 1 leaves out its halving, so that a small picture keeps
    more cells, 36 at 48 x 48 where 2 leaves 9 (ours; no paper has it).
    O_f is the map after stage 4 and its batch norm, before dropout and flattening (inferred: TML says "just before
    the flattening"). Errors: ConfigError for an ``input_hw`` or ``last_stride`` that does not fit.

    >>> import torch
    >>> network = IResNet((2, 2, 2, 2), input_hw=(48, 48), width=0.125)
    >>> [tuple(one.shape[1:]) for one in network.stage_maps(torch.zeros(2, 3, 48, 48))]
    [(8, 24, 24), (16, 12, 12), (32, 6, 6), (64, 3, 3)]
    """

    def __init__(
        self,
        units: Sequence[int],
        input_hw: tuple[int, int] = (112, 112),
        embedding: int = 512,
        width: float = 1.0,
        dropout: float = 0.4,
        last_stride: int = 2,
    ) -> None:
        super().__init__()
        c64, c128, c256, c512 = (channels(base, width) for base in (64, 128, 256, 512))
        one, two, three, four = units
        self.input_hw = (input_hw[0], input_hw[1])
        self.embedding = embedding
        self.feature_channels = c512
        self.feature_hw = cells(input_hw, last_stride)

        self.stem = nn.Sequential(nn.Conv2d(3, c64, 3, 1, 1, bias=False), nn.BatchNorm2d(c64), PReLU(c64))
        self.stages = nn.Sequential(  # maps at 112 x 112:
            stage(c64, c64, one),  #     64 x 56 x 56
            stage(c64, c128, two),  #   128 x 28 x 28
            stage(c128, c256, three),  # 256 x 14 x 14
            stage(c256, c512, four, last_stride),  # 512 x  7 x  7
        )
        self.last = nn.BatchNorm2d(c512)
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(c512 * self.feature_hw[0] * self.feature_hw[1], embedding)
        self.norm = nn.BatchNorm1d(embedding)
        initialise(self)

    def embed(self, features: Tensor) -> Tensor:
        """O_f to the embedding ``[B, embedding]`` (TML eq. 5)."""
        return self.norm(self.fc(self.dropout(features).flatten(1)))
