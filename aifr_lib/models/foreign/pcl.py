"""PCL's encoder: a network of sixteen convolutions of its own, 64×64 pixels to 2,048 numbers (DreamMr/PCL)."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn

from aifr_lib.models.foreign.networks import Built, State

SLOPE = 0.1


class ChannelAttention(nn.Module):
    """leaky(x + φ softmax(θ)ᵀ softmax(γ)) over channels: θ is softmaxed over places, γ over channels."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.g, self.theta, self.phi = (nn.Conv2d(channels, channels, 1) for _ in range(3))
        self.activation = nn.LeakyReLU(SLOPE)

    def forward(self, x: Tensor) -> Tensor:
        value, asked, key = (one(x).flatten(2) for one in (self.g, self.theta, self.phi))
        alike = key @ asked.softmax(dim=2).transpose(1, 2)
        return self.activation(x + (alike @ value.softmax(dim=1)).view_as(x))


class Residual(nn.Module):
    """leaky(x + conv leaky conv x)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1, self.conv2 = (nn.Conv2d(channels, channels, 3, 1, 1) for _ in range(2))
        self.activation = nn.LeakyReLU(SLOPE)

    def forward(self, x: Tensor) -> Tensor:
        return self.activation(x + self.conv2(self.activation(self.conv1(x))))


class PclEncoder(nn.Module):
    """Of the two branches that PCL's training takes apart, that of expression: [B, 3, 64, 64] to [B, 2048]."""

    input_hw = (64, 64)

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = _stage([3, 64, 64], kernel=7, stride=2)
        self.layer1 = _stage([64, 64, 64], attention=True)
        self.layer2_1 = _stage([64, 128, 128], stride=2, attention=True)
        self.resblock1, self.resblock2 = Residual(128), Residual(128)
        self.layer2_2 = _stage([128, 128, 128], stride=2)
        self.layer3_1 = _stage([128, 256, 128], stride=2)
        self.layer3_2_exp = _stage([128, 128, 128])

    def forward(self, x: Tensor) -> Tensor:
        for part in self.children():
            x = part(x)
        return x.flatten(1)


def _stage(channels: list[int], kernel: int = 3, stride: int = 1, attention: bool = False) -> nn.Sequential:
    """Two convolutions, the first of its own kernel and stride, each with its activation; attention between them."""
    first, second = (
        [nn.Conv2d(inputs, outputs, size, step, size // 2), nn.LeakyReLU(SLOPE)]
        for (inputs, outputs), size, step in zip(pairwise(channels), (kernel, 3), (stride, 1), strict=True)
    )
    between = [ChannelAttention(channels[1])] if attention else []
    return nn.Sequential(*first, *between, *second)


def pcl(state: State) -> Built:
    """PCL's encoder, as its checkpoints name it (under ``module.encoder.``)."""
    network = PclEncoder()
    return network, {name: name for name, _ in network.named_modules()}
