"""MTLFace: recognition that forgets the age, and faces drawn at another one."""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

from pydantic import Field, model_validator

from aifr_lib.names import Strict
from aifr_lib.settings.recognition import Recognition
from aifr_lib.settings.synthesis_rivals import Caae, Ipcgan

OLDEST_CLASS = 100  # years: the age heads tell 0 … 100 apart


class AgeInvariant(Strict):
    """The recognising half: a map split by attention, ages told from the one part and driven out of the other."""

    train: Recognition = Field(description="pictures, backbone, identity loss, batches, rates")
    faces: str | None = Field(
        None, description="pictures with ages below AIFR_DATA (list, .rec, folder): SCAF; None: those of train"
    )
    in_steps: bool = Field(
        False, description="epochs, warm-up and drops count steps: the paper prints iterations, not how many pictures"
    )
    afd: Literal["channel", "spatial", "both", "none"] = "both"
    bounds: tuple[float, ...] = Field((10, 20, 30, 40, 50, 60), description="last year of each age group but the last")
    age_weight: float = Field(0.001, ge=0, description="λ_age of L_AIFR")
    adversary_weight: float = Field(0.002, ge=0, description="λ_id of L_AIFR; 0: no adversary")

    @model_validator(mode="after")
    def _groups(self) -> AgeInvariant:
        edges = (0.0, *self.bounds, float(OLDEST_CLASS))
        if not self.bounds or any(low >= high for low, high in pairwise(edges)):
            raise ValueError(
                f"bounds {list(self.bounds)} leave no age to some group: give the last year of each group but the "
                f"last, rising and between 0 and {OLDEST_CLASS}, such as [10, 20, 30, 40, 50, 60]"
            )
        return self

    @model_validator(mode="after")
    def _plain(self) -> AgeInvariant:
        if self.train.alpha or self.train.combine != "weighted":
            raise ValueError("MTLFace has no transformer branch: leave alpha and combine at their defaults")
        return self


class Synthesis(Strict):
    """The synthesising half: generator, critic and their weights."""

    condition: Literal["icm", "one_hot"] = Field("icm", description="one_hot: the variant without ICM")
    filters: int = Field(128, ge=1, description="of one age group; the width of one_hot")
    share: float = Field(0.125, ge=0, le=0.5, description="of them, with each neighbouring group")
    blocks: int = Field(4, ge=1)
    form: Literal["gather", "mask"] = Field("gather", description="how ICM is computed: the same but for rounding")
    widths: tuple[int, int, int, int] = Field((256, 128, 64, 32), description="channels of the decoder's levels")
    skip: Literal["image", "stem"] = Field("image", description="what its last level sees: the code's, or the text's")
    residual: bool = Field(True, description="whether it draws what changes")
    critic_width: float = Field(1.0, gt=0, le=2)
    adversarial_weight: float = Field(75.0, ge=0)
    identity_weight: float = Field(0.002, ge=0)
    age_weight: float = Field(10.0, ge=0)
    reduction: Literal["mean", "sum"] = Field("mean", description="of the identity loss over a map")
    lr: float = Field(1e-4, gt=0)
    critic_lr: float | None = Field(None, gt=0, description="None: as lr")
    betas: tuple[float, float] = (0.9, 0.99)
    epochs: float | None = Field(None, gt=0, description="of the second stage; None: as many as the first")
    batch: int | None = Field(None, ge=2, description="pictures a step of the second stage; None: as the first")
    averaging: float = Field(0.0, ge=0, lt=1, description="how much of the averaged generator a step leaves; 0: none")


class MultiTask(Strict):
    """One training of MTLFace. schedule: "joint" trains all parts in turn on each batch; "two_stage" the recognising
    half first, which is then held while faces are drawn (the author allows for both). synthesis: None recognises alone.
    """

    recognition: AgeInvariant
    synthesis: Synthesis | None = Synthesis()
    schedule: Literal["joint", "two_stage"] = "joint"

    @property
    def first_stage(self) -> MultiTask:
        """The training of the recognising half alone."""
        return MultiTask(recognition=self.recognition, synthesis=None)

    @model_validator(mode="after")
    def _stages(self) -> MultiTask:
        if self.synthesis is None:
            if self.schedule == "two_stage":
                raise ValueError("schedule two_stage without a synthesis has no second stage: leave it at joint")
        elif self.recognition.age_weight == 0:
            raise ValueError("synthesis learns from the age head, which age_weight 0 never trains: raise age_weight")
        elif self.schedule == "joint" and (self.synthesis.epochs, self.synthesis.batch) != (None, None):
            raise ValueError(
                "a joint training has one length and one batch, those of recognition.train: leave synthesis.epochs and "
                "synthesis.batch out"
            )
        return self


class AgeJudging(Strict):
    """One training of the judge of age (section C.1): ℓ_AE on 80 % of a set, whose other people say how much it errs.

    The paper trains a ResNet-100 on 80 % of LCAF's faces; by people instead of faces, since pictures of one person near
    in age are alike (inferred).
    """

    train: Recognition = Field(description="pictures, network, batches, rates; what concerns identities is idle")
    bounds: tuple[float, ...] = (10, 20, 30, 40, 50, 60)
    share: float = Field(0.8, gt=0, lt=1, description="of the people, to learn from")


class Reading(Strict):
    """A variant of recognition: how its map is split, and whether an adversary unlearns the age."""

    afd: Literal["channel", "spatial", "both", "none"] = "both"
    adversary: bool = True
    seeds: tuple[int, ...] = Field((0, 1, 2), min_length=1)


class Weighting(Strict):
    """What the pilot tries of the synthesis: weights of its losses and rates."""

    adversarial_weight: float = Field(75.0, ge=0)
    identity_weight: float = Field(0.002, ge=0)
    age_weight: float = Field(10.0, ge=0)
    reduction: Literal["mean", "sum"] = "mean"
    lr: float = Field(1e-4, gt=0)
    critic_lr: float | None = Field(None, gt=0)
    betas: tuple[float, float] = (0.9, 0.99)


class Labelled(Strict):
    """The piles of faces that are labelled by a judge and balanced (Fig. A.1)."""

    people: int = Field(150, ge=2, description="relief people")
    each: int = Field(6, ge=2, description="pictures of each")
    generated: int = Field(0, ge=0, description="generator people, at three ages each; 0: none")
    per_cell: int | None = Field(None, ge=1, description="pictures of each age group and gender; None: the fewest")


class Mtlface(Strict):
    """MTLFace at one size. train: in two stages, the first of which is the variant "both" of ``readings``.

    large: of the paper, the training on the larger set too. methods: the rivals, which learn from the same pictures, as
    many and in batches as large as the second stage of ``train``.
    """

    train: MultiTask
    large: MultiTask | None = None
    judge: AgeJudging
    readings: dict[str, Reading] = Field(min_length=1)
    attentions: dict[str, Reading] = Field({}, description="more of them, trained after the faces are drawn")
    pilot: dict[str, Weighting] = Field({}, description="weightings of the synthesis tried on validation people")
    caae: Caae
    ipcgan: Ipcgan
    synthesis_seeds: tuple[int, ...] = Field((0, 1, 2), min_length=1)
    beyond_seeds: tuple[int, ...] = Field((0,), min_length=1)
    people: int = Field(300, ge=4, description="of relief-wide, whose faces are drawn at every age group")
    labelled: Labelled = Labelled()
    sheets: int = Field(10, ge=1, description="looks at the drawn faces while they are learned")
