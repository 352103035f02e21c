"""Photo-real people who do not exist, with no network needed: MobileStyleGAN and its W space, through OpenVINO.

    generator = open_generator()
    w = generator.codes([7, 8])              # float32 [2, 512], the same for the same seeds
    pixels = generator.synthesise(w)         # uint8 [2, 512, 512, 3], RGB

The two networks lie in the package random-face (Belousov, 2021, arXiv 2104.04767; Apache-2.0), which is never
imported: its own code asks for a runtime that no longer exists. They were distilled from StyleGAN2 trained on FFHQ,
whose weights NVIDIA licenses for non-commercial use.
"""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from aifr_lib.names import choose

# Its own list of requirements would bring a second OpenCV and all of Jupyter.
INSTALL = "in the repository, pip install -e '.[real]' && pip install --no-deps random-face==2021.7.21.1"
PACKAGE = "random_face"
VERSION = "mobilestylegan-2021.7.21.1"
SHA256 = {
    "MappingNetwork.xml": "73e2096cad6e696e4af47df2477e048ab4c42c0e0dec83c7c66604822689e55b",
    "MappingNetwork.bin": "212dd716bdb556e18db603ea97300d4fa3c872b878c726b2402fea80820e7305",
    "SynthesisNetwork.xml": "7918fce515243954d3e06628cb39a23902d6b1d5d02932cc0c2faee7a2aeeedd",
    "SynthesisNetwork.bin": "c7da15fa22d508c82e1c30dd6b4cdf67fe3ccdddaf85b310ee764dbf0c289645",
}
WIDTH = 512
# The last step of the network is an inverse Haar transform. The low band before it is, over 2, the mean of every 2×2
# pixels of the whole picture: the same face at half the side, without the work of enlarging it.
LOW_BAND = "Slice_764/Split"
# side → (name of the node whose first output is the picture, what it is to be multiplied with to lie in −1 … 1)
OUTPUTS = {512: (LOW_BAND, 0.5), 1024: ("img", 1.0)}
MEAN_SEED, MEAN_CODES = 0, 4096


class MobileStyleGAN:
    """Codes from seeds and pictures from codes, on the CPU, one picture at a time (batches are no faster).

    side: 512, or 1024 for the full picture. Pictures are framed as FFHQ's are. Threads: as many as torch uses
    (OMP_NUM_THREADS). Noise inside the network is constant, so a code is a picture.
    Errors: ImportError, with the command, without the extra ``real``; ValueError for a file of another content;
    ConfigError for another side.
    """

    name = "MobileStyleGAN"
    version = VERSION
    width = WIDTH

    def __init__(self, side: int = 512):
        output, self.gain = choose("side", str(side), {str(key): value for key, value in OUTPUTS.items()})
        self.side = side
        openvino, files = _openvino(), _files()
        core = openvino.Core()
        # f32 is both the faster and the exact way here; bf16 costs more in conversions than it saves.
        settings = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": torch.get_num_threads()}
        mapping = core.read_model(files["MappingNetwork.xml"], files["MappingNetwork.bin"])
        mapping.reshape([-1, WIDTH])
        self._map = core.compile_model(mapping, "CPU", settings)
        whole = core.read_model(files["SynthesisNetwork.xml"], files["SynthesisNetwork.bin"])
        last = next(node for node in whole.get_ordered_ops() if node.get_friendly_name() == output)
        picture = openvino.Model([last.output(0)], whole.get_parameters(), "synthesis")
        self._synthesise = core.compile_model(picture, "CPU", settings)
        noise = np.random.default_rng(MEAN_SEED).standard_normal((MEAN_CODES, WIDTH), dtype=np.float32)
        self.mean = self.mapped(noise).mean(0, dtype=np.float64).astype(np.float32)

    def mapped(self, z: np.ndarray) -> np.ndarray:
        """float32 [B, 512] → W, float32 [B, 512], not truncated."""
        return np.array(self._map(np.asarray(z, dtype=np.float32))[0])

    def codes(self, seeds: Sequence[int], psi: float = 0.7) -> np.ndarray:
        """W codes of people, float32 [B, 512], one a seed ≥ 0: w̄ + ψ (w − w̄), truncation.

        ψ = .7 is what the code of InterFaceGAN and of stylegan3-editing has; that ComFace has it is inferred. w̄ is the
        mean of 4,096 codes of a fixed seed. Whom a seed gives depends on no other seed.
        """
        z = np.array([np.random.default_rng(int(seed)).standard_normal(WIDTH, dtype=np.float32) for seed in seeds])
        return self.mean + np.float32(psi) * (self.mapped(z.reshape(-1, WIDTH)) - self.mean)

    def synthesise(self, codes: np.ndarray) -> np.ndarray:
        """uint8 [B, side, side, 3], RGB, of W codes [B, 512]. Errors: ValueError for another shape or NaN."""
        if codes.ndim != 2 or codes.shape[1] != WIDTH or not np.isfinite(codes).all():
            raise ValueError(f"codes must be finite [B, {WIDTH}], got {list(codes.shape)}")
        pictures = np.empty((len(codes), self.side, self.side, 3), dtype=np.uint8)
        for place, code in zip(pictures, codes.astype(np.float32), strict=True):
            planes = self._synthesise(code[None])[0][0]
            place[:] = np.clip(planes * (127.5 * self.gain) + 128, 0, 255).transpose(1, 2, 0)
        return pictures


@cache
def open_generator(side: int = 512) -> MobileStyleGAN:
    """The generator, read and compiled once in a process (2 s). Errors: as the class."""
    return MobileStyleGAN(side)


def missing() -> str | None:
    """Why the generator cannot run here, in one sentence; None where it can."""
    lacking = [name for name in ("openvino", PACKAGE) if importlib.util.find_spec(name) is None]
    if not lacking:
        return None
    names = " and ".join(name.replace("_", "-") for name in lacking)
    return f"the photo-real generator needs {names}: {INSTALL}"


def _openvino() -> Any:
    if problem := missing():
        raise ImportError(problem)
    import openvino

    return openvino


def _files() -> dict[str, Path]:
    """The four files of the networks, each of the content it should have; the package itself is never imported."""
    found = importlib.util.find_spec(PACKAGE)
    if found is None or found.origin is None:
        raise ImportError(missing())
    folder = Path(found.origin).parent / "data"
    for name, expected in SHA256.items():
        path = folder / name
        if not path.is_file():
            raise ImportError(f"{path} is missing; install the package anew: {INSTALL}")
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        if digest != expected:
            raise ValueError(f"{path}: SHA-256 is {digest[:16]}…, not {expected[:16]}…; reinstall random-face")
    return {name: folder / name for name in SHA256}
