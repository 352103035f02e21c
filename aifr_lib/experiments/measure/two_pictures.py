"""Two pictures: the cosine of their embeddings, and what thresholds say of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from aifr_lib.data.formats.pictures import read_picture
from aifr_lib.data.images import UNKNOWN, Images
from aifr_lib.evaluation.checks import normalise
from aifr_lib.experiments.measure.embedders import check_backbone, embeddings_of
from aifr_lib.faces import align
from aifr_lib.settings.presets import Preset
from aifr_lib.training import own_faces


@dataclass(frozen=True)
class TwoPictures:
    """cosine of the two. thresholds: the false accept rate each was set for (None: given by hand) → cosine.

    several: pictures in which more than one face was found, and how many.
    """

    cosine: float
    thresholds: dict[float | None, float]
    several: dict[Path, int]

    def verdicts(self) -> list[str]:
        """A line for each threshold."""
        lines = []
        for far, value in self.thresholds.items():
            rate = "" if far is None else f", set for {100 * far:g} % false accepts"
            lines.append(f"{'one person' if self.cosine >= value else 'two people'} (threshold {value:.3f}{rate})")
        return lines

    def said(self) -> dict[str, Any]:
        """As it is printed for programs."""
        rows = [
            {"false_accept_rate": far, "threshold": value, "one_person": self.cosine >= value}
            for far, value in self.thresholds.items()
        ]
        return {"cosine": self.cosine, "thresholds": rows}


def score_two(
    one: Path, other: Path, backbone: str | Path, preset: Preset, *, threshold: float | None = None
) -> TwoPictures:
    """Align two pictures, unless they are crops, and compare their embeddings by ``backbone`` (``embedders.load``).

    threshold: in place of those that our own weights bring.
    Errors: ValueError for a picture without a face; BadPicture; those of ``embedders.load``.
    """
    check_backbone(backbone)
    several: dict[Path, int] = {}
    crops = np.stack([crop(path, several) for path in (one, other)])
    labels = pd.DataFrame({"record": ["one", "other"], "identity": UNKNOWN, "age": np.nan})
    unit = normalise(embeddings_of(backbone, Images("two pictures", "1", crops, labels), preset).astype(np.float64))
    set_for: dict[float | None, float] = {}
    if threshold is not None:
        set_for = {None: threshold}
    elif isinstance(backbone, Path):
        set_for = {known["far"]: known["value"] for known in own_faces.said_of(backbone).get("thresholds", ())}
    return TwoPictures(float(np.clip(unit[0] @ unit[1], -1, 1)), set_for, several)


def crop(path: Path, several: dict[Path, int]) -> np.ndarray:
    """The aligned face of a picture, uint8 [112, 112, 3]; a picture of that size is one. several: is told of pictures
    with more than one face. Errors: ValueError for a picture without a face; BadPicture.
    """
    picture = read_picture(path)
    if picture.shape[:2] == align.SIZES["112x112"]:
        return picture
    face = align.align(picture)
    if face is None:
        raise ValueError(f"{path}: no face is found in this picture")
    if face.faces > 1:
        several[path] = face.faces
    return face.pixels
