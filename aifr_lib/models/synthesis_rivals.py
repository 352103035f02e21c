"""The networks of CAAE and of IPCGAN, the two methods of age synthesis that MTLFace is compared with.

Written after their papers and the layers that their authors' public code names; pictures of any side that is a multiple
of 16, in (−1, 1). Widths multiply every channel count.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from aifr_lib.models.blocks import cells, channels
from aifr_lib.models.mtlface_synthesis import beside


class AgeDrawer(nn.Module):
    """Faces [B, 3, H, W] and age groups [B] to faces at those ages, of the same size."""

    groups: int
    input_hw: tuple[int, int]

    def at_groups(self, x: Tensor) -> Tensor:
        """Each face at every age group, [B, G, 3, H, W], in one batch."""
        count = len(x)
        group = torch.arange(self.groups, device=x.device).repeat(count)
        return self(x.repeat_interleave(self.groups, 0), group).unflatten(0, (count, self.groups)).clamp(-1, 1)


class Caae(AgeDrawer):
    """An encoder to a code [B, C] in (−1, 1), and a generator that draws a face from a code and an age group.

    Four convolutions of 5 x 5 and stride 2 (64, 128, 256, 512) and a linear layer; back again through 1024, 512, 256,
    128, 64. The group is told as −1 and 1, as often as it fits into the length of a code.

    >>> caae = Caae((48, 48), groups=7, width=0.125)
    >>> caae(torch.zeros(2, 3, 48, 48), torch.tensor([0, 6])).shape, caae.encode(torch.zeros(2, 3, 48, 48)).shape
    (torch.Size([2, 3, 48, 48]), torch.Size([2, 50]))
    """

    def __init__(self, input_hw: tuple[int, int], groups: int, code: int = 50, width: float = 1.0) -> None:
        super().__init__()
        self.groups, self.input_hw = groups, (input_hw[0], input_hw[1])
        self.told = max(1, code // groups)
        height, across = cells(input_hw)
        widths = [channels(base, width) for base in (64, 128, 256, 512)]
        layers = [part for a, b in pairwise([3, *widths]) for part in (nn.Conv2d(a, b, 5, 2, 2), nn.ReLU())]
        self.encoder = nn.Sequential(*layers, nn.Flatten(), nn.Linear(widths[-1] * height * across, code), nn.Tanh())
        start = channels(1024, width)
        self.first = nn.Sequential(
            nn.Linear(code + groups * self.told, start * height * across),
            nn.Unflatten(1, (start, height, across)),
            nn.ReLU(),
        )
        self.generator = nn.Sequential(
            *(part for a, b in pairwise([start, *widths[::-1]]) for part in (larger(a, b, 5), nn.ReLU())),
            nn.Conv2d(widths[0], 3, 5, 1, 2),
            nn.Tanh(),
        )

    def encode(self, x: Tensor) -> Tensor:
        """Faces to codes [B, C]."""
        return self.encoder(x)

    def decode(self, code: Tensor, group: Tensor) -> Tensor:
        """Codes and age groups [B] to faces."""
        told = (2 * F.one_hot(group, self.groups) - 1).to(code.dtype).repeat(1, self.told)
        return self.generator(self.first(torch.cat([code, told], 1)))

    def forward(self, x: Tensor, group: Tensor) -> Tensor:
        return self.decode(self.encode(x), group)


class CodeCritic(nn.Sequential):
    """D_z: codes [B, C] to logits [B, 1], whether they are drawn evenly from (−1, 1)."""

    def __init__(self, code: int = 50) -> None:
        layers = [
            part for a, b in pairwise((code, 64, 32, 16)) for part in (nn.Linear(a, b), nn.BatchNorm1d(b), nn.ReLU())
        ]
        super().__init__(*layers, nn.Linear(16, 1))


class ImageCritic(nn.Module):
    """D_img of CAAE: faces and the age group they are said to be of to logits [B, 1], whether they are real.

    Convolutions of 5 x 5 and stride 2 (16, 32, 64, 128), the group beside the first's maps, and 1024 hidden numbers.
    """

    def __init__(self, input_hw: tuple[int, int], groups: int, width: float = 1.0) -> None:
        super().__init__()
        self.groups = groups
        height, across = cells(input_hw)
        widths = [channels(base, width) for base in (16, 32, 64, 128)]
        hidden = channels(1024, width)
        self.first = nn.Sequential(nn.Conv2d(3, widths[0], 5, 2, 2), nn.BatchNorm2d(widths[0]), nn.ReLU())
        sizes = pairwise([widths[0] + groups, *widths[1:]])
        self.rest = nn.Sequential(
            *(part for a, b in sizes for part in (nn.Conv2d(a, b, 5, 2, 2), nn.BatchNorm2d(b), nn.ReLU())),
            nn.Flatten(),
            nn.Linear(widths[-1] * height * across, hidden),
            nn.LeakyReLU(0.2),
            nn.Linear(hidden, 1),
        )

    def forward(self, x: Tensor, group: Tensor) -> Tensor:
        return self.rest(beside(self.first(x), group, self.groups))


class Ipcgan(AgeDrawer):
    """IPCGAN's generator: the group as maps beside the picture, two halvings, residual blocks, two doublings.

    Channels 32, 64, 128 and back, kernels of 7 at both ends and of 3 between, batch norm.

    >>> Ipcgan((48, 48), groups=7, width=0.25, blocks=1)(torch.zeros(2, 3, 48, 48), torch.tensor([0, 6])).shape
    torch.Size([2, 3, 48, 48])
    """

    def __init__(self, input_hw: tuple[int, int], groups: int, width: float = 1.0, blocks: int = 6) -> None:
        super().__init__()
        self.groups, self.input_hw = groups, (input_hw[0], input_hw[1])
        c32, c64, c128 = (channels(base, width) for base in (32, 64, 128))
        self.body = nn.Sequential(
            normed(nn.Conv2d(3 + groups, c32, 7, 1, 3)),
            normed(nn.Conv2d(c32, c64, 3, 2, 1)),
            normed(nn.Conv2d(c64, c128, 3, 2, 1)),
            *(Residual(c128) for _ in range(blocks)),
            normed(larger(c128, c64, 3)),
            normed(larger(c64, c32, 3)),
            nn.Conv2d(c32, 3, 7, 1, 3),
            nn.Tanh(),
        )

    def forward(self, x: Tensor, group: Tensor) -> Tensor:
        return self.body(beside(x, group, self.groups))


class IpcganCritic(nn.Module):
    """IPCGAN's critic: faces and an age group to confidences [B, 1, h, w] (512 maps in the public code, one here).

    Convolutions of 4 x 4 and stride 2 (64, 128, 256, 512), the group beside the first's maps, and a last one.
    """

    def __init__(self, groups: int, width: float = 1.0) -> None:
        super().__init__()
        self.groups = groups
        c64, c128, c256, c512 = (channels(base, width) for base in (64, 128, 256, 512))
        self.first = nn.Conv2d(3, c64, 4, 2, 1)
        sizes = pairwise([c64 + groups, c128, c256, c512])
        self.rest = nn.Sequential(
            *(part for a, b in sizes for part in (nn.Conv2d(a, b, 4, 2, 1), nn.BatchNorm2d(b), nn.LeakyReLU(0.2))),
            nn.Conv2d(c512, 1, 3, 1, 1),
        )

    def forward(self, x: Tensor, group: Tensor) -> Tensor:
        return self.rest(beside(F.leaky_relu(self.first(x), 0.2), group, self.groups))


class Residual(nn.Module):
    """x + norm(conv(ReLU(norm(conv(x))))), of 3 x 3 convolutions."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            normed(nn.Conv2d(width, width, 3, 1, 1)), nn.Conv2d(width, width, 3, 1, 1), nn.BatchNorm2d(width)
        )

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x + self.body(x))


def larger(inputs: int, outputs: int, kernel: int) -> nn.ConvTranspose2d:
    """A transposed convolution that doubles height and width."""
    return nn.ConvTranspose2d(inputs, outputs, kernel, 2, kernel // 2, output_padding=1)


def normed(layer: nn.Conv2d | nn.ConvTranspose2d) -> nn.Sequential:
    """A layer, batch norm, ReLU."""
    return nn.Sequential(layer, nn.BatchNorm2d(layer.out_channels), nn.ReLU())
