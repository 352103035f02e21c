"""The Transformer-metric loss: its sweep over α, and what is compared at one α."""

from __future__ import annotations

import math
from typing import Any, Literal

from pydantic import Field, model_validator

from aifr_lib.names import Strict
from aifr_lib.settings.recognition import Recognition

Branch = Literal["transformer", "frozen", "pooled", "none"]


class TransformerTraining(Strict):
    """One training with the transformer-metric loss (TML eqs. 11 and 12), or with a control in its branch's place.

    What concerns the backbone, the head and the paper's branch is ``train``'s; its α of 0 is the margin loss alone,
    unless the logits are summed.
    """

    train: Recognition
    branch: Branch = Field(
        "transformer",
        description="controls of ours: frozen, its encoder stays as it is drawn at random; pooled, the mean of the "
        "cells in place of the encoder; none, the margin loss times 1 - α, alone",
    )
    dropout: float = Field(0.1, ge=0, lt=1, description="of the encoder (inferred, as Vaswani et al. 2017)")

    @property
    def plain(self) -> bool:
        """Whether it is the margin loss alone, as any training of recognition is."""
        return self.train.alpha == 0 and self.train.combine == "weighted"

    @model_validator(mode="after")
    def _fits(self) -> TransformerTraining:
        if self.train.combine == "sum" and self.train.alpha:
            raise ValueError(f"a sum (eq. 12) has no α: leave train.alpha at 0, it is {self.train.alpha:g}")
        if self.branch == "none" and self.train.combine == "sum":
            raise ValueError("branch 'none' leaves nothing to add: leave train.combine at weighted")
        if self.plain and self.branch != "transformer":
            raise ValueError(f"branch '{self.branch}' stands in a branch's place: give train.alpha within (0, 1)")
        return self


class Scored(Strict):
    """What every network of TML is scored on, besides all lists of relief pairs."""

    templates: int = Field(200, ge=4, description="people of relief-ijb")
    impostors: int = Field(100, ge=1, description="impostor pairs of templates for each genuine pair")
    photographs: tuple[Literal["orl", "fgnet", "across ages"], ...] = Field(
        (), description="those that are here, and the offline generator's people"
    )
    looks: int = Field(8, ge=2, description="at validation people, evenly over a training with a branch")


class AlphaSweep(Strict):
    """TML Fig. 6, accuracy against the loss balancing factor α, and Table IV from the same runs."""

    alphas: tuple[float, ...]
    seeds: tuple[int, ...]
    main: tuple[float, ...] = Field((), description="the α that a claim rests on: more seeds, a learning rate tuned")
    main_seeds: tuple[int, ...] = ()
    lrs: tuple[float, ...] = Field((), description="rates tried for each main α, scored on validation people")
    lr: dict[float, float] = Field({}, description="the best of them; the other α take that of the nearest main α")
    scored: Scored = Scored()
    train: Recognition

    def training(self, alpha: float, seed: int, lr: float | None = None) -> Recognition:
        """The training of one point; ``lr`` None takes the rate tuned for the nearest main α (ties: the lower)."""
        tuned = self.lr[min(sorted(self.main), key=lambda main: abs(main - alpha))] if self.lr else self.train.lr
        return self.train.model_copy(update={"alpha": alpha, "seed": seed, "lr": lr or tuned})

    @model_validator(mode="after")
    def _tuned(self) -> AlphaSweep:
        if strange := set(self.main) - set(self.alphas):
            raise ValueError(f"main names α that alphas lacks: {sorted(strange)}")
        if self.lrs and set(self.lr) != set(self.main):
            raise ValueError(f"lr must give a rate for each main α: {sorted(self.main)}, it has {sorted(self.lr)}")
        if strange := set(self.lr.values()) - set(self.lrs):
            raise ValueError(f"lr chooses rates that lrs did not try: {sorted(strange)}")
        if self.lr and self.train.lr not in self.lr.values():
            raise ValueError(
                f"train.lr {self.train.lr:g} would not be used: lr holds the rates, {sorted(self.lr.values())}"
            )
        return self


Configuration = Literal["standard", "linear", "margin", "sum"]


class Configurations(Strict):
    """TML Fig. 7: the loss alone, with the block of Fig. 8 b or c, with summed logits (eq. 12); each has its seeds.

    Each is a point of the sweep over α, with its tuned rate, so that what both have is trained once. A sum has no α; it
    takes the rate of the branch (inferred).
    """

    alpha: float = Field(0.4, gt=0, lt=1, description="of the branch; not printed, inferred from Fig. 6")
    seeds: dict[Configuration, tuple[int, ...]] = Field(min_length=1)

    def training(self, sweep: AlphaSweep, name: Configuration, seed: int) -> Recognition:
        """The training of one configuration."""
        if name == "standard":
            return sweep.training(0.0, seed)
        changes: dict[str, dict[str, Any]] = {
            "linear": {},
            "margin": {"classifier": "margin"},
            "sum": {"alpha": 0.0, "combine": "sum"},
        }
        return sweep.training(self.alpha, seed).model_copy(update=changes[name])


class Base(Strict):
    """A margin loss that is trained with the branch and without: a pair of rows of Tables II and III."""

    loss: Literal["arcface", "cosface", "adaface"]
    m: float | None = Field(None, ge=0, lt=math.pi / 2, description="None: that of the training it starts from")
    data: Literal["ms1mv2", "webface4m"] | None = Field(None, description="training faces; None: of that training")
    seeds: tuple[int, ...] = Field(min_length=1)


class Verification(Strict):
    """TML Tables II and III: margin losses with the branch and without, scored on every set."""

    alpha: float = Field(0.4, gt=0, lt=1, description="not printed; inferred from the range that Fig. 6 calls good")
    bases: dict[str, Base] = Field(min_length=1)
    train: Recognition | None = Field(None, description="None: a point of the sweep, with the rate tuned for its α")

    def training(self, sweep: AlphaSweep, base: str, transformer: bool, seed: int) -> Recognition:
        """The training of one row of the tables."""
        asked, alpha = self.bases[base], self.alpha if transformer else 0.0
        if self.train is None:
            start = sweep.training(alpha, seed)
        else:
            start = self.train.model_copy(update={"alpha": alpha, "seed": seed})
        changes = asked.model_dump(include={"loss", "m", "data"}, exclude_none=True)
        return start.model_copy(update=changes)


class Arm(Strict):
    """What is changed of a training of the sweep; what is not given stays as it is there."""

    alpha: float | None = Field(None, ge=0, lt=1, description="None: that of the tables; 0: no branch")
    branch: Branch = "transformer"
    pos_encoding: Literal["none", "sinusoidal", "learned"] | None = None
    backbone: str | None = None
    layers: int | None = Field(None, ge=1)
    longer: float = Field(1.0, gt=0, description="epochs times this")
    lr: float | None = Field(
        None, gt=0, description="the best of the rates, all tried for this arm; None: the rate of the sweep at its α"
    )


class Entry(Strict):
    """A line of a ledger: some arms with some seeds, a seed of all arms after the other."""

    arms: tuple[str, ...] = Field(min_length=1)
    seeds: tuple[int, ...] = Field(min_length=1)


class Beyond(Strict):
    """What the paper does not ask: does the branch help across ages, and is it the branch?

    ledger: what is trained, in this order; variants: other branches, and maps of more cells. source_seeds: of the
    trainings on the generator's people, which are those of ``photo_real``, with the branch and without.
    """

    arms: dict[str, Arm]
    lrs: tuple[float, ...] = Field((), description="tried with the first seed for each arm that has a rate of its own")
    ledger: tuple[Entry, ...] = Field(min_length=1)
    variants: tuple[Entry, ...] = ()
    source_seeds: tuple[int, ...] = Field(min_length=1)

    def training(
        self, sweep: AlphaSweep, alpha: float, name: str, seed: int, lr: float | None = None
    ) -> TransformerTraining:
        """The training of one arm; ``alpha`` is that of the tables, ``lr`` None takes the arm's rate."""
        arm = self.arms[name]
        start = sweep.training(alpha if arm.alpha is None else arm.alpha, seed, lr or arm.lr)
        changes = arm.model_dump(include={"pos_encoding", "backbone", "layers"}, exclude_none=True)
        train = start.model_copy(update={**changes, "epochs": start.epochs * arm.longer})
        return TransformerTraining(train=train, branch=arm.branch)

    @model_validator(mode="after")
    def _named(self) -> Beyond:
        listed = {arm for entry in (*self.ledger, *self.variants) for arm in entry.arms}
        if strange := sorted(listed ^ set(self.arms)):
            raise ValueError(f"arms and the ledgers must name the same: {', '.join(strange)} is not in both")
        if untried := {arm.lr for arm in self.arms.values() if arm.lr is not None} - set(self.lrs):
            raise ValueError(f"an arm's lr must be one of lrs: {sorted(untried)}")
        return self


class FeatureMaps(Strict):
    """TML Figs. 1, 3 and 4: the first test people, each youngest and oldest, through a network of the sweep."""

    people: int = Field(ge=2)
    pictures: int = Field(6, ge=2, description="of each person, of which two are shown")
    faces: int = Field(200, ge=4, description="people, a face of each, on which attention is compared with ageing")
    side: int = Field(
        112, ge=32, multiple_of=16, description="of the pictures; a sixteenth of it is the cells of the map"
    )
