"""Directions in a latent space: w(α) = w₀ + α · s · n, and the files they come in.

ComFace moves a code along the unit normal n of an attribute's boundary, the same offset in all layers, relative to
the code itself (supplement A.1 and its footnote 1: α = 0 is one picture for all attributes; spec: inferred). The
paper's boundaries have s = 1. A direction that was found here carries its own s, so that α = ±5 spans as much.
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from aifr_lib.files import atomic_write
from aifr_lib.names import ConfigError

STRONGEST = 5.0  # |α| in ComFace A.1
FOUND = Path(__file__).with_name("latent_directions.safetensors")
ABOUT = "about"  # the key of the JSON in a direction file's metadata
LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Direction:
    """An attribute's way through a latent space.

    name: the attribute. normal: float32 [width], length 1. scale: units of the space that α = 1 moves.
    about: where it comes from, as JSON holds it.
    Errors: ValueError for a normal that is no vector, not finite or zero, or a scale that is not above 0.
    """

    name: str
    normal: np.ndarray
    scale: float
    about: Mapping[str, Any]

    def __post_init__(self) -> None:
        normal = np.asarray(self.normal, dtype=np.float64)
        if normal.ndim != 1 or not np.isfinite(normal).all() or not normal.any():
            raise ValueError(f"direction {self.name}: a finite vector that is not 0 is needed, got {normal.shape}")
        if not (math.isfinite(self.scale) and self.scale > 0):
            raise ValueError(f"direction {self.name}: scale {self.scale} must be above 0")
        object.__setattr__(self, "normal", (normal / np.linalg.norm(normal)).astype(np.float32))


def edit(
    codes: np.ndarray,
    direction: Direction,
    alpha: float,
    *,
    beyond: bool = False,
) -> np.ndarray:
    """w₀ + α · s · n: codes [..., width], which are W [B, 512] or W+ [B, layers, 512].

    In W+ every layer gets the same offset. It is relative to the code given
    (InterFaceGAN's own tool sets the distance to the boundary instead).
    Errors: ConfigError for α outside −5 … 5 unless ``beyond``; ValueError for codes of
    another width.
    """
    alpha = check_alpha(alpha, beyond=beyond)
    if codes.shape[-1] != len(direction.normal):
        raise ValueError(
            f"direction {direction.name} has {len(direction.normal)} numbers, "
            f"the codes {codes.shape[-1]}: it belongs to another network"
        )
    return codes + np.float32(alpha * direction.scale) * direction.normal


def check_alpha(alpha: float, *, beyond: bool = False) -> float:
    """α as a float. Errors: ConfigError unless −5 ≤ α ≤ 5; ``beyond`` lets any finite α pass, with a warning."""
    if not math.isfinite(alpha):
        raise ConfigError(f"strength α = {alpha}: a number is needed")
    if abs(alpha) > STRONGEST:
        if not beyond:
            raise ConfigError(
                f"strength α = {alpha:g}: ComFace edits with −5 … 5, and beyond it faces fall apart; "
                "--beyond (beyond=True) draws them all the same"
            )
        LOG.warning("strength α = %g lies outside −5 … 5: the face may fall apart", alpha)
    return float(alpha)


def read_boundary(path: str | Path, *, width: int = 512, scale: float = 1.0, name: str | None = None) -> Direction:
    """A boundary file of InterFaceGAN or stylegan3-editing: .npy, [width] or [1, width], any floating type.

    scale: 1 is the paper's rule, w + α·n with |n| = 1. name: else the file's, without ``_boundary`` and the like.
    Errors: ValueError naming the file, for pickled objects (never opened), another shape, NaN or zeros;
    FileNotFoundError.
    """
    path = Path(path)
    try:
        values = np.load(path, allow_pickle=False)
    except FileNotFoundError:
        raise FileNotFoundError(f"no direction file {path}") from None
    except (ValueError, EOFError, OSError) as error:
        problem = "it holds pickled objects, which are never opened" if "ickle" in str(error) else str(error)
        raise ValueError(f"{path} is no direction: {problem}; a .npy of {width} numbers is needed") from None
    if not isinstance(values, np.ndarray) or values.dtype.kind != "f":
        raise ValueError(f"{path} is no direction: a .npy of {width} floating numbers is needed")
    if values.shape not in ((width,), (1, width)):
        raise ValueError(f"{path}: shape {list(values.shape)}, but this network's codes need [1, {width}]")
    short = path.stem.removesuffix("_boundary").removesuffix("_w").removeprefix("stylegan_ffhq_")
    try:
        return Direction(name or short, values.reshape(-1), scale, {"file": path.name})
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def save_directions(path: str | Path, directions: Mapping[str, Direction], about: Mapping[str, Any]) -> None:
    """All directions in one safetensors file: n by name, and JSON for s, each one's provenance and the file's."""
    facts = {"directions": {k: {"scale": d.scale, "about": dict(d.about)} for k, d in directions.items()}}
    metadata = {ABOUT: json.dumps({**facts, "about": dict(about)}, ensure_ascii=False, allow_nan=False)}
    with atomic_write(path) as temporary:
        save_file({name: direction.normal for name, direction in directions.items()}, temporary, metadata)


def load_directions(path: str | Path, *, width: int = 512) -> dict[str, Direction]:
    """The directions of a file that ``save_directions`` wrote, by name.

    Errors: FileNotFoundError; ValueError naming the file, and the direction of another width or with NaN.
    """
    path = Path(path)
    facts = _facts(path)["directions"]
    try:
        with safe_open(path, "np") as file:
            normals = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        found = {n: Direction(n, normals[n], fact["scale"], fact["about"]) for n, fact in facts.items()}
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} is no file of directions: {error}") from None
    for name, direction in found.items():
        if len(direction.normal) != width:
            raise ValueError(f"{path}: direction {name} has {len(direction.normal)} numbers, not {width}")
    return found


def provenance(path: str | Path = FOUND) -> dict[str, Any]:
    """What ``save_directions`` was told of the whole file; of ours: people (``seeds``, first and end), ψ, run, judges.

    Errors: as ``load_directions``.
    """
    about: dict[str, Any] = _facts(Path(path))["about"]
    return about


def _facts(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise FileNotFoundError(f"no direction file {path}")
    try:
        with safe_open(path, "np") as file:
            facts: dict[str, Any] = json.loads((file.metadata() or {})[ABOUT])
        return {key: dict(facts[key]) for key in ("directions", "about")}
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} is no file of directions: {error}") from None


@cache
def found_directions() -> Mapping[str, Direction]:
    """The directions found for the offline generator (``experiments/generator/latent_directions.py``), by attribute."""
    return load_directions(FOUND)
