"""StyleGAN, StyleGAN2 and StyleGAN3 networks that a user brings, as sources of faces.

NVIDIA publishes them as pickles. Opening a pickle runs the code that it names, which is NVIDIA's and under NVIDIA's
licence, so nothing here does it. There are two ways, and both begin where the user opens it with that code:

    network = legacy.load_network_pkl(file)["G_ema"]  # NVIDIA's code: stylegan2-ada-pytorch or stylegan3
    generator = stylegan.adapt(network)               # use it here and now, or
    stylegan.export(network, "ffhq.torchscript")      # write it once and from then on, anywhere:
    generator = stylegan.open_generator("ffhq.torchscript")

A network of another toolkit fits when it has the same few attributes (``NEEDED``).
"""

from __future__ import annotations

import hashlib
import json
import warnings
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from aifr_lib.faces.generators.directions import Direction
from aifr_lib.files import atomic_write

NEEDED = ("z_dim", "w_dim", "num_ws", "img_resolution", "mapping", "synthesis")
ABOUT = "aifr_stylegan.json"  # in an exported file: what TorchScript does not say
HOW = (
    "open it with NVIDIA's own code (github.com/NVlabs/stylegan3: "
    "`network = legacy.load_network_pkl(file)['G_ema']`) and hand the network to `stylegan.adapt`, "
    "or write it once with `stylegan.export(network, 'NAME.torchscript')` and open that file here"
)


@dataclass(frozen=True)
class StyleGan:
    """A StyleGAN network as ``sources`` takes it.

    name, version: for records; the version is made of the weights. width: of W. side: pixels of the square picture.
    inputs: width of Z. layers: of W+. average: mean of W, float32 [width], towards which codes are truncated.
    truncated: the first layers that truncation reaches (None: all; InterFaceGAN truncates the first 8 of
    StyleGAN). mapping: Z [B, inputs] → W [B, width]. synthesis: W+ [B, layers, width] → [B, 3, side, side], about
    −1 … 1.
    """

    name: str
    version: str
    width: int
    side: int
    inputs: int
    layers: int
    average: np.ndarray
    mapping: Callable[[Tensor], Tensor]
    synthesis: Callable[[Tensor], Tensor]
    truncated: int | None = None

    def codes(self, seeds: Sequence[int], psi: float = 0.7) -> np.ndarray:
        """W codes float32 [B, width] of integer seeds; W+ codes [B, layers, width] where ``truncated`` is set.

        A seed is the same face as in NVIDIA's ``gen_images.py``. w̄ + ψ (w − w̄) (Karras et al. 2019, appendix B);
        ψ = .7 as InterFaceGAN and stylegan3-editing have it.
        """
        z = np.stack([np.random.RandomState(seed).randn(self.inputs) for seed in seeds])
        with torch.inference_mode():
            w = self.mapping(torch.from_numpy(z).float()).numpy().astype(np.float32)
        near = self.average + np.float32(psi) * (w - self.average)
        if self.truncated is None:
            return near
        reached = np.arange(self.layers) < self.truncated
        return np.where(reached[:, None], near[:, None], w[:, None]).astype(np.float32)

    def synthesise(self, codes: np.ndarray) -> np.ndarray:
        """uint8 [B, side, side, 3] of W [B, width] or W+ [B, layers, width]; one picture at a time.

        Errors: ValueError for codes of another shape and for pictures that are not numbers.
        """
        shape = codes.shape
        if shape[1:] not in ((self.width,), (self.layers, self.width)):
            wanted = f"[B, {self.width}] or [B, {self.layers}, {self.width}]"
            raise ValueError(f"{self.name} takes codes {wanted}, got {list(shape)}")
        plus = np.broadcast_to(codes[:, None], (shape[0], self.layers, self.width)) if codes.ndim == 2 else codes
        with torch.inference_mode():
            return np.stack([self._picture(torch.from_numpy(np.array(one, dtype=np.float32))) for one in plus])

    def _picture(self, code: Tensor) -> np.ndarray:
        image = self.synthesis(code[None])
        if image.shape != (1, 3, self.side, self.side) or not torch.isfinite(image).all():
            wanted = f"numbers [1, 3, {self.side}, {self.side}]"
            raise ValueError(f"{self.name} gave {list(image.shape)}, or values that are no numbers: wanted {wanted}")
        levels = (image[0].float().permute(1, 2, 0) * 127.5 + 128).clamp(0, 255)
        return levels.to(torch.uint8).numpy()


class Parts(nn.Module):
    """The two functions of a network that editing needs, with noise that is the same in every picture."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network

    def forward(self, ws: Tensor) -> Tensor:
        # Older layers compute in half precision, which a CPU lacks, unless they are told not to.
        image: Tensor = self.network.synthesis(ws, noise_mode="const", force_fp32=True)
        return image

    def mapping(self, z: Tensor) -> Tensor:
        ws: Tensor = self.network.mapping(z, None)
        return ws[:, 0]


def adapt(network: nn.Module, *, name: str = "stylegan", truncated: int | None = None) -> StyleGan:
    """A network that NVIDIA's code (or code of the same interface) has opened, moved to the CPU.

    Errors: TypeError that names what the network lacks; ValueError for one that wants class labels.
    """
    about = _about(network)
    parts = Parts(network.cpu().eval().requires_grad_(False))
    return StyleGan(name, _digest(network), mapping=parts.mapping, synthesis=parts, truncated=truncated, **about)


def export(network: nn.Module, path: str | Path) -> None:
    """Write a network as TorchScript, which opens without NVIDIA's code. The weights keep NVIDIA's licence.

    Errors: those of ``adapt``; what torch raises for a network that cannot be traced.
    """
    about = _about(network)
    about["average"] = about["average"].tolist()
    parts = Parts(network.cpu().eval().requires_grad_(False))
    inputs = {"mapping": torch.zeros(1, about["inputs"]), "forward": torch.zeros(1, about["layers"], about["width"])}
    with warnings.catch_warnings(), atomic_write(path) as temporary:
        warnings.simplefilter("ignore")  # shapes become constants, which is what is wanted of a fixed network
        traced = torch.jit.trace_module(parts, inputs, check_trace=False)
        torch.jit.save(traced, str(temporary), _extra_files={ABOUT: json.dumps(about)})


def open_generator(path: str | Path, *, truncated: int | None = None) -> StyleGan:
    """A network that ``export`` wrote. Nothing is unpickled.

    Errors: FileNotFoundError; ValueError that says what the file is instead and what to do.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no network at {path}")
    if (kind := _kind(path)) is not None:
        raise ValueError(f"{path} is {kind}: {HOW}")
    extra = {ABOUT: ""}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            parts = torch.jit.load(str(path), map_location="cpu", _extra_files=extra)
        about = json.loads(extra[ABOUT])
    except (RuntimeError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ValueError(f"{path} is no network that `stylegan.export` wrote ({reason}): {HOW}") from None
    about["average"] = np.array(about["average"], dtype=np.float32)
    with path.open("rb") as file:
        version = hashlib.file_digest(file, "sha256").hexdigest()[:16]
    return StyleGan(path.stem, version, mapping=parts.mapping, synthesis=parts, truncated=truncated, **about)


def alpha_at(code: np.ndarray, direction: Direction, distance: float) -> np.ndarray:
    """The α [B] that takes each W code [B, width] to the signed ``distance`` from the boundary through the origin.

    InterFaceGAN's script moves W codes *to* a distance, d = n·w (``linear_interpolate``), where ComFace, and
    stylegan3-editing with its W+ codes, move them *by* a strength: w + α n. With this, numbers of the one can be had
    by the rule of the other. That ComFace means the latter is inferred: its footnote 1 says that α = 0 is the same
    picture for all attributes, which only a relative rule gives.
    """
    return np.asarray((distance - code @ direction.normal) / direction.scale)


def _about(network: Any) -> dict[str, Any]:
    lacking = [name for name in NEEDED if not hasattr(network, name)]
    if lacking or not hasattr(network.mapping, "w_avg"):
        lacking = lacking or ["mapping.w_avg"]
        raise TypeError(f"{type(network).__name__} is no StyleGAN generator: it has no {', '.join(lacking)}. {HOW}")
    if getattr(network, "c_dim", 0):
        raise ValueError(f"{type(network).__name__} wants one of {network.c_dim} class labels: face networks have none")
    average: Any = network.mapping.w_avg
    return {
        "width": int(network.w_dim),
        "side": int(network.img_resolution),
        "inputs": int(network.z_dim),
        "layers": int(network.num_ws),
        "average": average.detach().cpu().numpy().astype(np.float32),
    }


def _digest(network: nn.Module) -> str:
    digest = hashlib.sha256()
    for name, values in sorted(network.state_dict().items()):
        digest.update(name.encode() + values.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]


def _kind(path: Path) -> str | None:
    """What a file is, in words, unless it may be TorchScript."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
        script = any("/code/" in name for name in names)
        return None if script else "a file of weights alone, without the network they belong to"
    with path.open("rb") as file:
        head = file.read(2)
    if head[:1] == b"\x80" or path.suffix == ".pkl":
        return "a pickle, which runs the code that it names when it is opened"
    return "no file of a network that is known here"
