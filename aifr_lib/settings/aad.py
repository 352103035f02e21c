"""Attentive angular distillation (AAD): its teachers, its students, and the ledger of what is trained."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from aifr_lib.names import Strict
from aifr_lib.settings.recognition import Recognition

Mode = Literal["self", "l2", "ad_last", "ad", "aad", "kd"]
DIRECTED = ("l2", "ad_last", "ad", "aad", "kd")  # modes that a recognising teacher takes part in
STAGED = ("l2", "ad", "aad")  # those that compare what follows each stage


class AgeEstimation(Strict):
    """One training of the age estimator T^A (as DEX: cross-entropy over the ages 0 … 100).

    The paper gives IMDB-WIKI and the network; how it is trained is inferred.
    """

    train: Recognition = Field(
        description="pictures, input, width, steps; what concerns identities and embeddings is idle"
    )
    ages: Literal["imdb-wiki"] | None = Field(None, description="a set with ages; None: the pictures of train")
    attention: Literal["element", "adl"] = "element"
    dropout: float = Field(0.1, ge=0, lt=1, description="of the cells of a mask (element)")
    expectation: float = Field(0.0, ge=0, description="weight of |expected age − age| beside the cross-entropy")


class Switches(Strict):
    """What a student is asked; where the paper can be read in more than one way there is a switch.

    mode: "self" (eq. 6 alone), "l2" (Student-1: features copied), "ad_last" (eq. 8), "ad" (eq. 10 without attention),
    "aad" (eq. 10), "kd" (logits copied: Hinton et al. 2015, not in the paper).
    """

    mode: Mode = "aad"
    masks: Literal["none", "own", "another"] = Field(
        "none", description="whose age-invariant masks the student's are drawn to: another person's is a control"
    )
    last_weight: float = Field(1.0, ge=0, description="λ_n of the last term: 1 printed, .001 for l2; of kd its weight")
    halving: bool = Field(True, description="λ_i = λ_{i+1} / 2 (section IV-C); else all are λ_n")
    attention_weight: float = Field(1.0, ge=0, description="λ^A; not printed (inferred)")
    attention_norm: Literal["none", "zscore"] = "none"
    reduction: Literal["mean", "sum"] = Field("mean", description="of the attention loss over cells")
    feedback: Literal["student", "teacher", "none"] = Field(
        "student", description="what multiplies F_2 … F_4: the student's own mask, T^A's in training alone, nothing"
    )
    distance: Literal["squared", "linear"] = "squared"
    last: Literal["embedding", "map"] = Field("embedding", description="what F_n is: section III-C can mean its map")
    projection: Literal["norm", "linear", "none"] = Field(
        "norm", description="G_n: linear and batch norm (section III-C), linear (III-B), or the embedding as it is"
    )
    temperature: float = Field(4.0, gt=0, description="of kd")


class Distillation(Switches):
    """One training of a student (AAD eqs. 6 to 10).

    train.loss is the identity loss L_SM: "arcface", since the printed baselines are those of a margin loss (inferred),
    "softmax" for eq. 6 to the letter.
    """

    train: Recognition
    teacher: Recognition | None = Field(None, description="the training of T^R")
    foreign: str | None = Field(None, description="another T^R: a file of weights with its card")
    age_teacher: AgeEstimation | None = Field(None, description="the training of T^A")

    @property
    def feeds_back(self) -> bool:
        """Whether the student multiplies its maps by its own masks, at test time too: then it is another network."""
        return self.masks != "none" and self.feedback == "student"

    @model_validator(mode="after")
    def _taught(self) -> Distillation:
        if self.mode == "aad" and self.masks == "none":
            raise ValueError("mode 'aad' needs masks: own (or another, the control); without them it is 'ad'")
        if self.mode == "ad" and self.masks != "none":
            raise ValueError("mode 'ad' with masks is 'aad'")
        if self.mode in ("self", "kd") and self.masks != "none":
            raise ValueError(f"mode '{self.mode}' takes no masks: set masks to none")
        if self.masks != "none" and self.age_teacher is None:
            raise ValueError("masks need an age teacher: give age_teacher, or set masks to none")
        if self.masks == "none" and self.age_teacher is not None:
            raise ValueError("an age teacher is given and masks is none: it would teach nothing")
        teachers = sum(one is not None for one in (self.teacher, self.foreign))
        if self.mode in DIRECTED and teachers != 1:
            raise ValueError(f"mode '{self.mode}' needs one recognising teacher: give teacher or foreign, not both")
        if self.mode not in DIRECTED and teachers:
            raise ValueError(f"mode '{self.mode}' has no recognising teacher: leave teacher and foreign out")
        if self.mode == "kd" and self.foreign is not None:
            raise ValueError("kd needs the logits of a teacher of this library: give teacher, not foreign")
        if self.last == "map" and self.mode not in STAGED:
            raise ValueError(f"mode '{self.mode}' compares embeddings: last 'map' belongs to {', '.join(STAGED)}")
        return self

    @model_validator(mode="after")
    def _fits(self) -> Distillation:
        teachers = {"teacher": self.teacher, "age_teacher": self.age_teacher.train if self.age_teacher else None}
        for name, taught in teachers.items():
            if taught is not None and taught.input_hw != self.train.input_hw:
                raise ValueError(
                    f"the {name} sees {_size(taught.input_hw)} and the student {_size(self.train.input_hw)}: "
                    "train both at one input_hw"
                )
        if self.mode == "kd" and self.teacher is not None and _people(self.teacher) != _people(self.train):
            raise ValueError("kd compares logits of the same people: the teacher learned others than the student")
        if self.train.alpha or self.train.combine != "weighted":
            raise ValueError("a student has no transformer branch: leave alpha and combine at their defaults")
        return self


def _size(hw: tuple[int, int]) -> str:
    return f"{hw[0]}×{hw[1]}"


def _people(train: Recognition) -> tuple[str, int | None]:
    return train.data, train.relief.train_identities if train.data == "relief" else None


class Asked(Switches):
    """What a variant asks of a student, besides: its identity loss, and how long and at which rate it is trained."""

    loss: Literal["arcface", "softmax"] | None = Field(None, description="identity loss; None: the student's own")
    longer: float = Field(1.0, gt=0, description="epochs times this")
    lr: float = Field(1.0, gt=0, description="learning rate times this")


class Entry(Strict):
    """A line of the ledger: one student network, trained in several ways with several seeds."""

    backbone: str = "mobilefacenet"
    width: float | None = Field(None, gt=0, le=2, description="None: the student's own")
    embedding: int | None = Field(None, ge=2)
    variants: tuple[str, ...] = Field(min_length=1)
    seeds: tuple[int, ...] = Field(min_length=1)
    length: float = Field(1.0, gt=0, description="epochs times this; less than 1 is exploratory")


class Protocols(Strict):
    """What every network is scored on besides its lists of pairs, in the run that trains it."""

    people: int = Field(82, ge=4, description="people of relief-fgnet: leave-one-out, and probes among distractors")
    longitudinal: int = Field(369, ge=4, description="people of relief-logiface")
    distractors: int = Field(10_000, ge=10)
    templates: int = Field(200, ge=4, description="people of relief-ijb")
    impostors: int = Field(100, ge=1, description="impostor pairs of templates for each genuine pair")
    photographs: tuple[Literal["orl", "fgnet"], ...] = Field(("orl", "fgnet"), description="where they are there")


class Attention(Strict):
    """Faces on which masks are shown and scored against what is drawn."""

    shown: int = Field(4, ge=1, le=8, description="people in the pictures")
    people: int = Field(48, ge=4, description="people whose maps are scored")
    pictures: int = Field(8, ge=2, description="lights, poses and noises of each, one half against the other")
    years: float = Field(5.0, gt=0, description="half the step of the central difference of the truth")
    turned: float = Field(25.0, gt=0, le=45, description="degrees of yaw of a head that turns")
    followed: int = Field(24, ge=2, description="people who are followed through embedding space")


class Aad(Strict):
    """Tables II to VI of AAD: two teachers, the students, and what is trained, in the order of ``ledger``.

    tried: variants scored on validation people alone, at ``tried_length`` of the epochs and with the first seed.
    """

    train: Recognition = Field(description="the student that is self-studied")
    teacher: Recognition
    age_teacher: AgeEstimation
    looked_at: AgeEstimation = Field(description="another T^A, whose maps have cells enough to be looked at")
    variants: dict[str, Asked]
    ledger: tuple[Entry, ...] = Field(min_length=1)
    tried: tuple[str, ...] = ()
    tried_length: float = Field(0.5, gt=0)
    protocols: Protocols = Protocols()
    attention: Attention = Attention()

    @model_validator(mode="after")
    def _named(self) -> Aad:
        named = {*self.tried, *(name for entry in self.ledger for name in entry.variants)}
        if strange := sorted(named - set(self.variants)):
            raise ValueError(f"the ledger names variants that are not given: {', '.join(strange)}")
        return self

    def student(self, entry: Entry, variant: str, seed: int) -> Distillation:
        """The training of one student of the ledger."""
        asked = self.variants[variant]
        changes = {"backbone": entry.backbone, "seed": seed, "lr": self.train.lr * asked.lr}
        changes |= {"epochs": self.train.epochs * entry.length * asked.longer}
        changes |= {name: value for name, value in (("width", entry.width), ("embedding", entry.embedding)) if value}
        if asked.loss is not None:
            # A softmax has no margin: the student's own margin belongs to its own loss.
            changes |= {"loss": asked.loss, "m": self.train.m if asked.loss == self.train.loss else None}
        switches = asked.model_dump(include=set(Switches.model_fields))
        return Distillation(
            train=self.train.model_copy(update=changes),
            teacher=self.teacher if asked.mode in DIRECTED else None,
            age_teacher=self.age_teacher if asked.masks != "none" else None,
            **switches,
        )
