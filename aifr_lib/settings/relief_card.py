"""The data card of the relief faces."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from aifr_lib.names import Strict
from aifr_lib.settings.recognition import Recognition
from aifr_lib.settings.relief import Relief


class JudgedFaces(Strict):
    """The relief faces that outside judges see, as portraits: the first of the test split, and as many others."""

    identities: int = Field(ge=4)
    per_identity: int = Field(ge=2)
    again: int | None = Field(None, ge=0, description="the seed of `aifr faces` that draws the others; None: no others")
    size: int = Field(224, ge=64, le=1024)


class Calibration(Strict):
    """How hard the data set is: the plain baseline and larger teachers, scored on validation people alone."""

    seeds: tuple[int, ...]
    train: Recognition
    teacher: Recognition = Field(description="a larger network, on the same pictures")
    schooled: Recognition | None = Field(
        None, description="a larger network that sees more training people, for longer"
    )
    doublings: int = Field(1, ge=1, le=2, description="how often the baseline's epochs are doubled")
    rates: tuple[float, ...] = Field((), description="other learning rates of the baseline, each tried with one seed")


class Spans(Strict):
    """Training people pictured within a few years, against training people pictured across decades."""

    seeds: tuple[int, ...]
    train: Recognition


class ReliefCard(Strict):
    """The data card of the relief faces: outside judges, shortcuts, difficulty, the years of training people."""

    judged: JudgedFaces
    photographs: tuple[Literal["orl", "fgnet"], ...]
    shortcuts: Relief
    calibration: Calibration
    spans: Spans
