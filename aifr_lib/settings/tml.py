"""The Transformer-metric loss: its sweep over α."""

from __future__ import annotations

from itertools import chain

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
