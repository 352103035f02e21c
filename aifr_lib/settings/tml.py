"""The Transformer-metric loss: its sweep over α, and what is compared at one α."""

from __future__ import annotations

from itertools import chain
from typing import Any, Literal

from pydantic import Field, model_validator

from aifr_lib.names import Strict
from aifr_lib.settings.recognition import Recognition


class AlphaSweep(Strict):
    """TML Fig. 6, accuracy against the loss balancing factor α, and Table IV from the same runs."""

    alphas: tuple[float, ...]
    seeds: tuple[int, ...]
    main: tuple[float, ...] = Field((), description="the α that a claim rests on: more seeds, a learning rate tuned")
    main_seeds: tuple[int, ...] = ()
    lrs: tuple[float, ...] = Field((), description="rates tried for each main α, scored on validation people")
    finals: dict[float, tuple[float, ...]] = Field(
        {}, description="by main α, the best rates of the first seed: those that are tried with all `seeds`"
    )
    lr: dict[float, float] = Field({}, description="the best of them; the other α take that of the nearest main α")
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
        if strange := {*self.lr.values(), *chain.from_iterable(self.finals.values())} - set(self.lrs):
            raise ValueError(f"lr and finals choose rates that lrs did not try: {sorted(strange)}")
        if self.lr and self.train.lr not in self.lr.values():
            raise ValueError(
                f"train.lr {self.train.lr:g} would not be used: lr holds the rates, {sorted(self.lr.values())}"
            )
        if self.finals and set(self.finals) != set(self.main):
            raise ValueError(f"finals must give rates for each main α: {sorted(self.main)}")
        if few := [alpha for alpha, rates in self.finals.items() if len(set(rates)) < 2]:
            raise ValueError(f"finals need at least two rates, they have fewer at α = {few}")
        if lost := [alpha for alpha, rates in self.finals.items() if self.lr.get(alpha) not in rates]:
            raise ValueError(f"lr must be one of the finals, it is not at α = {lost}")
        if self.finals and self.main_seeds[:1] != self.seeds[:1]:
            raise ValueError("seeds and main_seeds must begin with the same seed, which every rate is tried with")
        return self


Configuration = Literal["standard", "linear", "margin", "sum"]


class Configurations(Strict):
    """TML Fig. 7: the loss alone, with the block of Fig. 8 b or c, with summed logits (eq. 12); each has its seeds.

    Each is a point of the sweep over α, with its tuned rate, so that what both have is trained once. A sum has no α; it
    takes the rate of the branch (inferred).
    """

    alpha: float = Field(0.4, gt=0, lt=1, description="of the branch; not printed, inferred from Fig. 6")
    seeds: dict[Configuration, tuple[int, ...]] = Field(min_length=1)
    watched: dict[Configuration, tuple[int, ...]] = Field(
        {}, description="those that are trained once more and looked at on the way"
    )
    looks: int = Field(8, ge=2, description="at validation people, evenly over a training")

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
    m: float | None = Field(None, ge=0, description="margin; None takes that of the training it starts from")
    data: Literal["ms1mv2", "webface4m"] | None = Field(None, description="training faces; None: of that training")
    seeds: tuple[int, ...] = Field(min_length=1)


class Verification(Strict):
    """TML Tables II and III: margin losses with the branch and without, scored on every set."""

    alpha: float = Field(0.4, gt=0, lt=1, description="not printed; inferred from the range that Fig. 6 calls good")
    bases: dict[str, Base] = Field(min_length=1)
    train: Recognition | None = Field(None, description="None: a point of the sweep, with the rate tuned for its α")
    templates: int = Field(200, ge=4, description="people of relief-ijb")
    impostors: int = Field(100, ge=1, description="impostor pairs of templates for each genuine pair")

    def training(self, sweep: AlphaSweep, base: str, transformer: bool, seed: int) -> Recognition:
        """The training of one row of the tables."""
        asked, alpha = self.bases[base], self.alpha if transformer else 0.0
        if self.train is None:
            start = sweep.training(alpha, seed)
        else:
            start = self.train.model_copy(update={"alpha": alpha, "seed": seed})
        changes = asked.model_dump(include={"loss", "m", "data"}, exclude_none=True)
        return start.model_copy(update=changes)


class FeatureMaps(Strict):
    """TML Figs. 1, 3 and 4: the first test people, each youngest and oldest, through a network of the sweep."""

    people: int = Field(ge=2)
    pictures: int = Field(6, ge=2, description="of each person, of which two are shown")
    side: int = Field(
        112, ge=32, multiple_of=16, description="of the pictures; a sixteenth of it is the cells of the map"
    )
