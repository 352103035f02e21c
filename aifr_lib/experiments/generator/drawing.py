"""What experiments with edited faces share: strengths, what names a source, pictures as a run holds them."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image

from aifr_lib.faces.generators import mobilestylegan, sources
from aifr_lib.faces.generators.directions import STRONGEST, found_directions
from aifr_lib.names import ConfigError, whole
from aifr_lib.reporting.runs import DataId

NAMES = {"relief": "relief faces", "latent": "generator"}


def strengths(step: float) -> tuple[float, ...]:
    """−5 … 5 in steps, through 0 (which the paper leaves out of training, as it is one picture for all attributes).

    Errors: ConfigError for a step that does not lead from 0 to 5.
    """
    if not whole(STRONGEST / step):
        raise ConfigError(f"step {step:g} does not lead from 0 to {STRONGEST:g}")
    count = round(STRONGEST / step)
    return tuple(round(number * step, 6) for number in range(-count, count + 1))


def source_id(source: str, attributes: Sequence[str] = ()) -> DataId:
    """The source, and for the generator the directions of ``attributes``, by their content."""
    if source == "relief":
        moves = repr([(name, sources.RELIEF_MOVES[name]) for name in attributes])
        digest = hashlib.sha256(moves.encode())
        version = sources.ReliefSource.version
    else:
        digest = hashlib.sha256(mobilestylegan.VERSION.encode())
        for name in attributes:
            direction = found_directions()[name]
            digest.update(f"{name} {direction.scale:.6g}".encode() + direction.normal.tobytes())
        version = mobilestylegan.VERSION
    return DataId(name=NAMES[source], version=version, hash=digest.hexdigest()[:16])


def missing(source: str) -> str | None:
    """Why the source draws nothing here, in one sentence; None where it does."""
    return mobilestylegan.missing() if source == "latent" else None


def packed(pictures: Sequence[bytes]) -> dict[str, np.ndarray]:
    """Pictures as arrays that a run can hold."""
    ends = np.cumsum([len(one) for one in pictures], dtype=np.int64)
    return {"jpeg": np.frombuffer(b"".join(pictures), dtype=np.uint8), "ends": ends}


def unpacked(scores: Mapping[str, np.ndarray]) -> np.ndarray:
    """uint8 [N, S, S, 3]: the pictures that ``packed`` put in a run."""
    content = np.split(scores["jpeg"], scores["ends"][:-1])
    return np.stack([np.asarray(Image.open(io.BytesIO(one.tobytes())).convert("RGB")) for one in content])
