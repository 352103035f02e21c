"""ComFace's settings: galleries and quality of edited faces; pre-training by comparison; transfer to a change."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator, model_validator

from aifr_lib.names import Strict
from aifr_lib.settings.generator import leads_to_five
from aifr_lib.settings.recognition import Recognition

Method = Literal["comface", "inter", "intra", "both", "simclr", "moco", "swav", "barlow-twins", "multi-positive"]
OURS = ("comface", "inter", "intra", "both")  # one recipe with its parts switched
TaskName = Literal["age", "au6", "au12", "edema-a", "edema-b"]


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


class Augmentation(Strict):
    """Tables B to E. flip, jitter, grey: probabilities. crop: share of the area of a random resized crop, or None."""

    flip: float = Field(0.5, ge=0, le=1)
    jitter: float = Field(0.8, ge=0, le=1)
    brightness: float = Field(0.4, ge=0)
    contrast: float = Field(0.4, ge=0)
    saturation: float = Field(0.4, ge=0)
    hue: float = Field(0.1, ge=0, le=0.5)
    grey: float = Field(0.2, ge=0, le=1)
    crop: tuple[float, float] | None = (0.2, 1.0)

    @field_validator("crop")
    @classmethod
    def _share(cls, crop: tuple[float, float] | None) -> tuple[float, float] | None:
        if crop is not None and not 0 < crop[0] <= crop[1] <= 1:
            raise ValueError("crop is the least and the largest share of the area, 0 < least ≤ largest ≤ 1")
        return crop


class Stage(Strict):
    """From an epoch on, counted from 1, pairs have ``least`` ≤ |Δα| ≤ ``most`` (None: no bound)."""

    epoch: int = Field(ge=1)
    least: float = Field(0.0, ge=0)
    most: float | None = None

    @model_validator(mode="after")
    def _range(self) -> Stage:
        if self.most is not None and self.most < self.least:
            raise ValueError(f"most {self.most:g} lies below least {self.least:g}: no change fits")
        return self


# Large changes first (footnote 2 names a restriction of the range; direction and steps are inferred).
LARGE_FIRST = (
    Stage(epoch=1, least=7.5), Stage(epoch=4, least=5.0), Stage(epoch=7, least=2.5), Stage(epoch=10, least=0.1),
)  # fmt: skip


def _unset(value: object) -> bool:
    """A setting that came later leaves the names of earlier runs as they were."""
    return value is None


Quality = Literal["ser-fiq", "outside", "random"]


class Kept(Strict):
    """A part of a source's people: of the best by a score of their unedited picture, or drawn by lot (Table H)."""

    by: Quality
    share: float = Field(gt=0, lt=1, description="of the people")


class Source(Strict):
    """People with one attribute changed by known strengths. kind: "latent", the photo-real generator; "relief-edits",
    rendered people with single edits; "relief-wide", rendered people at all ages with all else free too.
    """

    kind: Literal["latent", "relief-edits", "relief-wide"] = "latent"
    people: int = Field(300, ge=2)
    attributes: tuple[str, ...] = ("age", "smile", "weight")
    step: float = Field(1.0, gt=0, le=5, description="between the strengths −5 … 5, 0 left out")
    without: str | None = Field(None, description="an attribute left out of pre-training")
    kept: Kept | None = Field(None, exclude_if=_unset, description="the people learnt from, where not all")

    @field_validator("step")
    @classmethod
    def _divides(cls, step: float) -> float:
        return leads_to_five(step)

    @model_validator(mode="after")
    def _leaves_something(self) -> Source:
        if self.without is not None and self.without not in self.attributes:
            raise ValueError(f"without '{self.without}': it is none of the attributes {', '.join(self.attributes)}")
        return self


class Pretraining(Strict):
    """One pre-training: Table B's, or a rival's on the same pictures. Where the paper is silent values are inferred."""

    method: Method = "comface"
    source: Source = Source()
    encoder: str = "resnet50"
    side: int = Field(224, ge=16, description="of a picture, pixels")
    pictures: int = Field(18_000_000, ge=4, description="seen in all: equal budgets count pictures, not epochs")
    batch: int = Field(1024, ge=2, description="pairs a step, or pictures in two views")
    lr: float = Field(4e-4, gt=0)
    halved: float = Field(10 / 12, gt=0, description="share of the training after which the rate is halved")
    augmentation: Augmentation = Augmentation()
    curriculum: tuple[Stage, ...] = LARGE_FIRST
    tau: float = Field(0.1, gt=0, description="temperature of every contrastive loss")
    weight: float = Field(1.0, ge=0, description="λ of the intra-personal loss")
    distance: Literal["l1", "l2", "smooth_l1"] = "l1"
    fuse: Literal["diff", "concat"] = "diff"
    queue: int = Field(65536, ge=2, description="MoCo's keys")
    momentum: float = Field(0.999, ge=0, lt=1, description="MoCo's averaged encoder")
    prototypes: int = Field(3000, ge=2, description="SwAV's")
    redundancy: float = Field(0.005, gt=0, description="λ of Barlow Twins")
    held_out: float = Field(0.02, gt=0, lt=1, description="share of the people who validate")
    looks: int = Field(12, ge=1, description="how often validation is asked")
    precision: Literal["no", "bf16", "fp16"] = "no"
    seed: int = 0

    @model_validator(mode="after")
    def _fits(self) -> Pretraining:
        epochs = [stage.epoch for stage in self.curriculum]
        if not epochs or epochs[0] != 1 or sorted(set(epochs)) != epochs:
            raise ValueError(f"the stages of a curriculum begin at epoch 1 and rise, got epochs {epochs}")
        if self.method == "moco" and self.queue % self.batch:
            raise ValueError(f"a queue of {self.queue} keys is no multiple of the batch of {self.batch}")
        if 2 * self.batch > self.pictures:
            raise ValueError(f"{self.pictures} pictures do not fill one step of {self.batch} pairs")
        return self

    @property
    def steps(self) -> int:
        return self.pictures // (2 * self.batch)


class Transfer(Strict):
    """Fine-tuning or linear evaluation on one task (Tables C to E).

    setting: a and b freeze the backbone, c and d train it; a and c start with a fresh linear layer, b and d with the
    pre-trained one (C.4, C.5). rates: of which the best on validation subjects is taken; one is taken as it is.
    """

    setting: Literal["a", "b", "c", "d"] = "d"
    batch: int = Field(16, ge=2, description="pairs a step")
    rates: tuple[float, ...] = Field((4.6e-4,), min_length=1)
    epochs: int = Field(10, ge=1)
    tuning_epochs: int = Field(5, ge=1, description="of each rate's short training, on one fold")
    augmentation: Augmentation = Augmentation(crop=(0.5, 1.0))
    pairs_per_epoch: int | None = Field(None, ge=2, description="None: each training picture once as x")
    target: Literal["raw", "scaled"] = Field("raw", description="scaled: divided by the SD of the training pairs")
    linear_rescale: bool = Field(False, description="b, d: the layer's unit is fitted to the task's before training")
    folds: int = Field(4, ge=2)
    validation: float = Field(0.2, gt=0, lt=1, description="share of the training subjects")
    views: int = Field(4, ge=1, description="a, b: augmented views whose features are kept")
    ages: Literal[True] | None = Field(
        None, exclude_if=_unset, description="learnt is the label of each picture by itself, told is a difference"
    )
    precision: Literal["no", "bf16", "fp16"] = "no"

    @property
    def frozen(self) -> bool:
        return self.setting in ("a", "b")

    @property
    def keeps_layer(self) -> bool:
        return self.setting in ("b", "d")


class Tasks(Strict):
    """The data of the three tasks: FG-NET's people (None: all), and the relief stand-ins of DISFA and Edema.

    ages: "relief-fgnet" stands in for FG-NET where a size must run without it.
    """

    ages: Literal["fgnet", "relief-fgnet"] = "fgnet"
    people: int | None = Field(None, ge=4, description="of FG-NET")
    subjects: int = Field(27, ge=4, description="of relief-disfa")
    frames: int = Field(240, ge=8, description="a subject")
    frame_pairs: int = Field(200, ge=4, description="test pairs a subject, drawn once")
    patients: int = Field(39, ge=4, description="of each ward of relief-edema")
    days: int = Field(4, ge=1)
    pictures: int = Field(4, ge=1, description="a sitting")


class Entry(Strict):
    """A line of the ledger: a method with its seeds, pre-trained, and on which tasks it is fine-tuned."""

    method: Method | Literal["scratch", "imagenet"]
    seeds: tuple[int, ...] = (0,)
    tasks: tuple[TaskName, ...] = ()
    settings: tuple[Literal["c", "d"], ...] = Field((), description="None named: the method's own")
    source: Source | None = Field(None, description="None: the preset's")
    encoder: str | None = None
    pictures: int | None = Field(None, ge=4, description="seen in pre-training; None: the preset's")
    fuse: Literal["concat"] | None = Field(None, description="None: the difference")
    ages: Literal[True] | None = Field(None, description="fine-tuned to tell the label of each picture by itself")

    def changes(self) -> dict[str, object]:
        """What its pre-training has in place of the preset's."""
        own: dict[str, object] = {"encoder": self.encoder, "pictures": self.pictures, "fuse": self.fuse}
        own["source"] = None if self.source is None else self.source.model_dump()
        return {name: value for name, value in own.items() if value is not None}


class Ward(Strict):
    """Models of one patient each (supplement B.2): pre-trained on some patients, then on days of another."""

    pretrained_on: int = Field(24, ge=4, description="patients")
    days: tuple[int, ...] = Field((1, 2, 3), min_length=1, description="of a patient, learnt from")
    penalties: tuple[float, ...] = Field((0.01, 0.1, 1.0, 10.0, 100.0), min_length=1)


class Comface(Strict):
    """ComFace at one size: one pre-training and the transfers, and the ledger of what is run, in its order."""

    pretraining: Pretraining
    tasks: Tasks = Tasks()
    age: Transfer
    expression: Transfer
    linear: Transfer
    weight: Transfer
    ledger: tuple[Entry, ...]
    frozen: tuple[str, ...] = Field(description="what is read by ridge without any training of its features")
    subsets: tuple[Entry, ...] = Field((), description="of Tables H and I: fewer people, other encoders")
    beyond: tuple[Entry, ...] = Field((), description="of the companion's own questions")
    ward: Ward = Ward()
    drawn: int = Field(64, ge=2, description="drawn people on whom it is asked where a change is seen")

    def transfer(self, task: str) -> Transfer:
        """How a task is learnt by fine-tuning."""
        return self.age if task == "age" else self.weight if task.startswith("edema") else self.expression

    def training(self, entry: Entry, seed: int) -> Pretraining:
        """The pre-training of an entry of the ledger."""
        changed = {**entry.changes(), "method": entry.method, "seed": seed}
        return Pretraining.model_validate(self.pretraining.model_dump() | changed)
