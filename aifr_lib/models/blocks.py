"""What the backbones share: widths, cells of the last map, initialisation, and PReLU with a quick gradient."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from aifr_lib.names import ConfigError

STRIDE = 16  # both backbones halve the picture four times: 112 x 112 leaves 7 x 7 cells


def channels(base: int, width: float) -> int:
    """``base`` channels scaled by ``width``, to the nearest multiple of 8 and at least 8.

    >>> channels(64, 0.3)
    16
    """
    return max(8, int(base * width / 8 + 0.5) * 8)


def cells(input_hw: tuple[int, int], last_stride: int = 2) -> tuple[int, int]:
    """Height and width of the last map, a sixteenth of the picture's; an eighth where ``last_stride`` is 1.

    Errors: ConfigError for a height or width that is not a positive multiple of 16 (of 8), or another stride.

    >>> cells((112, 96)), cells((48, 48)), cells((48, 48), last_stride=1)
    ((7, 6), (3, 3), (6, 6))
    """
    if last_stride not in (1, 2):
        raise ConfigError(f"last_stride must be 1 or 2, got {last_stride}")
    height, width = input_hw
    stride = STRIDE * last_stride // 2
    if min(input_hw) < stride or height % stride or width % stride:
        raise ConfigError(
            f"input_hw {height}x{width}: height and width must be multiples of {stride}, "
            f"such as 112x112, 112x96 or 64x64"
        )
    return height // stride, width // stride


def initialise(module: nn.Module) -> None:
    """He normal (fan-in) for convolutions and linear layers, zero biases; PReLU .25 and batch norm 1, 0.

    Inferred, the papers are silent. Fan-in, since it is the one that fits depthwise convolutions too. The
    scale matters little: a batch norm follows every convolution and linear layer of these backbones.

    >>> layer = nn.Linear(2, 3)
    >>> initialise(layer)
    >>> layer.bias.tolist()
    [0.0, 0.0, 0.0]
    """
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


class PReLU(nn.PReLU):
    """``nn.PReLU`` with a weight for each channel of ``[B, C, ...]``, whose gradient costs a CPU a seventh.

    torch's own takes two fifths of a training step of a small MobileFaceNet on a CPU. Values are the same, gradients
    but for the order of a sum; parameters and their names are ``nn.PReLU``'s.

    >>> PReLU(1)(torch.tensor([[-2.0], [2.0]])).tolist()
    [[-0.5], [2.0]]
    """

    def forward(self, x: Tensor) -> Tensor:
        # A frozen teacher is in evaluation mode, and gradients pass through it: they set out from its input.
        if x.is_cpu and (self.training or x.requires_grad) and torch.is_grad_enabled():
            return _PReLU.apply(x, self.weight)
        return super().forward(x)


class _PReLU(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        return F.prelu(x, weight.to(x.dtype))

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor | None]:
        x, weight = ctx.saved_tensors
        positive = torch.ops.aten.threshold_backward(grad, x, 0)
        slope = weight.to(x.dtype).reshape(-1, *[1] * (x.dim() - 2))
        of_x = torch.lerp(positive, grad, slope)
        if not ctx.needs_input_grad[1]:
            return of_x, None
        return of_x, x.clamp(max=0).mul_(grad).sum([0, *range(2, x.dim())]).to(weight.dtype)


@torch.no_grad()
def fold_norms(module: nn.Module) -> nn.Module:
    """Put each batch norm that follows a convolution in a ``Sequential`` into its weights, in place; for a network that
    is frozen in evaluation mode, whose function stays but for rounding. Returns ``module``.

    >>> fold_norms(nn.Sequential(nn.Conv2d(3, 4, 1, bias=False), nn.BatchNorm2d(4)).eval())
    Sequential(
      (0): Conv2d(3, 4, kernel_size=(1, 1), stride=(1, 1))
      (1): Identity()
    )
    """
    for part in list(module.modules()):
        if isinstance(part, nn.Sequential):
            for number, (layer, norm) in enumerate(pairwise(part)):
                if isinstance(layer, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                    part[number], part[number + 1] = fuse_conv_bn_eval(layer, norm), nn.Identity()
    return module
