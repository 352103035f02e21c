"""ComFace: its edited faces and their quality."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from aifr_lib.names import Strict
from aifr_lib.settings.generator import leads_to_five
from aifr_lib.settings.recognition import Recognition


class ComfaceFaces(Strict):
    """Edited faces for ComFace's Figs. A and B: the first people of each source, none of them chosen."""

    sources: tuple[Literal["relief", "latent"], ...]
    identities: int = Field(ge=1)
    step: float = Field(gt=0, le=5, description="between the strengths −5 … 5, of which 0 is one")
    side: int = Field(144, ge=32, le=512, description="of a stored picture, pixels")

    @field_validator("step")
    @classmethod
    def _divides(cls, step: float) -> float:
        return leads_to_five(step)


class ComfaceQuality(Strict):
    """ComFace's Fig. D: a network trained with dropout on relief faces judges faces by SER-FIQ."""

    train: Recognition
    sets: tuple[Literal["relief", "latent"], ...]
    identities: int = Field(ge=8, description="people of each set, one picture each")
    passes: int = Field(100, ge=2, description="stochastic passes; the paper's 100")
