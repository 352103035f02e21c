"""The offline generator: its directions and its sets."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator, model_validator

from aifr_lib.names import Strict, whole
from aifr_lib.settings.recognition import Recognition


def leads_to_five(step: float) -> float:
    """``step``, where a whole number of it leads from 0 to the strongest edit. Errors: ValueError elsewhere."""
    if not whole(5 / step):
        raise ValueError(f"a step of {step:g} does not lead from 0 to 5")
    return step


class LatentDirections(Strict):
    """Directions of the offline generator: how many people they are found on, and on whom they are approved."""

    samples: int = Field(ge=20, description="people read to find directions")
    psi: float = Field(1.0, gt=0, le=1, description="truncation of their codes")
    attributes: tuple[Literal["age", "smile", "weight", "yaw", "light"], ...] = Field(description="those approved")
    identities: int = Field(ge=3, description="new people on whom a direction is approved")
    age_alphas: tuple[float, ...] = (-5, -3, -1.5, 0, 1.5, 3, 5)
    alphas: tuple[float, ...] = (-5, -3, 0, 3, 5)

    @field_validator("age_alphas", "alphas")
    @classmethod
    def _hold_three(cls, alphas: tuple[float, ...]) -> tuple[float, ...]:
        if not {-3, 0, 3} <= set(alphas) or max(map(abs, alphas)) > 5:
            raise ValueError("strengths must lie within −5 … 5, and −3, 0 and 3 be among them")
        return alphas


class LatentSets(Strict):
    """The offline generator's two sets: people × attributes × strengths, and people across ages."""

    identities: int = Field(ge=2, description="people who are edited")
    attributes: tuple[Literal["age", "smile", "weight", "yaw", "gender", "light"], ...] = ("age", "smile", "weight")
    step: float = Field(gt=0, le=5, description="between the strengths −5 … 5")
    identities_across_ages: int = Field(ge=2)
    per_identity: int = Field(8, ge=2, description="pictures of each person across ages")

    @field_validator("step")
    @classmethod
    def _divides(cls, step: float) -> float:
        return leads_to_five(step)


class PhotoReal(Strict):
    """One small network trained on relief faces and on the generator's people, compared on photographs."""

    seeds: tuple[int, ...]
    relief: Recognition
    generator: Recognition = Field(description="as many steps on `generator-narrow`")

    @model_validator(mode="after")
    def _sources(self) -> PhotoReal:
        if (found := (self.relief.data, self.generator.data)) != ("relief", "generator-narrow"):
            raise ValueError(f"relief and generator train on faces of those names, not on {' and '.join(found)}")
        return self
