"""Pairs of one person with one attribute changed, drawn anew each epoch, and the curriculum on how large the change is.

In each set of one identity and one attribute disjoint random pairs are drawn whose |Δα| lies in the range of the epoch,
until none is left (ComFace, supplement A.1 and footnote 2; the law of the draw is inferred).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from aifr_lib.data.images import Images
from aifr_lib.data.loader import ShuffledBatches
from aifr_lib.data.photograph_pairs import genuine_pairs
from aifr_lib.names import ConfigError
from aifr_lib.settings.comface import Stage

ANY = (Stage(epoch=1, least=0.0),)  # no curriculum


def groups_of(images: Images) -> np.ndarray:
    """The set of one identity and one attribute that each picture belongs to, int64 [N]."""
    return images.labels.groupby(["identity", "attribute"], sort=True).ngroup().to_numpy(np.int64)


def stage_of(epoch: int, curriculum: Sequence[Stage]) -> Stage:
    """The stage of an epoch, counted from 1."""
    return [stage for stage in curriculum if stage.epoch <= epoch][-1]


def disjoint(a: np.ndarray, b: np.ndarray, count: int, random: np.random.Generator) -> np.ndarray:
    """Of candidate pairs (a, b) of ``count`` pictures, a random maximal set in which no picture comes twice: [P, 2].

    As if the candidates were shuffled and each taken whose pictures are both free; done for all sets at once.
    """
    order = random.permutation(len(a))
    a, b = a[order], b[order]
    taken, used = [], np.zeros(count, dtype=bool)
    while len(a):
        place = np.arange(len(a))
        first = np.full(count, len(a))
        np.minimum.at(first, a, place)
        np.minimum.at(first, b, place)
        chosen = (first[a] == place) & (first[b] == place)
        taken.append(np.stack([a[chosen], b[chosen]], axis=1))
        used[taken[-1]] = True
        free = ~(used[a] | used[b])
        a, b = a[free], b[free]
    return np.concatenate(taken) if taken else np.empty((0, 2), dtype=np.int64)


class AttributePairs:
    """The pairs of each epoch over ``images``, labelled with identity, attribute and alpha.

    ``epoch(e)``: int64 [P, 2], shuffled, either picture first; a function of (seed, e) alone.
    Errors: ConfigError naming an identity, its attribute and the epoch where a set has no pair in the range of a stage;
    ValueError for one identity, of which all negatives are masked.
    """

    def __init__(self, images: Images, curriculum: Sequence[Stage] = ANY, *, seed: int = 0):
        self.labels, self.curriculum, self.seed = images.labels, tuple(curriculum), seed
        self.identity = images.labels["identity"].to_numpy()
        if len(np.unique(self.identity)) < 2:
            raise ValueError(
                f"{images.name}: one identity alone: all negatives of the inter-personal loss are masked; two or more"
            )
        self.groups = groups_of(images)
        self.a, self.b = genuine_pairs(self.groups)
        alpha = images.labels["alpha"].to_numpy(np.float64)
        self.change = np.abs(alpha[self.a] - alpha[self.b])
        for stage in self.curriculum:
            self._allowed(stage)

    def _allowed(self, stage: Stage) -> np.ndarray:
        allowed = (self.change >= stage.least - 1e-9) & (self.change > 0)
        if stage.most is not None:
            allowed &= self.change <= stage.most + 1e-9
        without = np.setdiff1d(self.groups, self.groups[self.a[allowed]])
        if len(without):
            row = self.labels.iloc[int(np.flatnonzero(self.groups == without[0])[0])]
            most = "" if stage.most is None else f" … {stage.most:g}"
            raise ConfigError(
                f"no partner under the curriculum: identity {row['identity']}, attribute {row['attribute']!r} "
                f"has no two pictures {stage.least:g}{most or ' or more'} apart, which epoch {stage.epoch} asks for "
                f"({len(without)} sets have none): lower its least, or draw stronger edits"
            )
        return allowed

    def epoch(self, number: int) -> np.ndarray:
        """The pairs of an epoch, counted from 1."""
        random = np.random.default_rng((self.seed, number))
        allowed = self._allowed(stage_of(number, self.curriculum))
        pairs = disjoint(self.a[allowed], self.b[allowed], len(self.groups), random)
        return random.permuted(random.permutation(pairs), axis=1)


class AttributeBatches(ShuffledBatches):
    """Micro-batches of ``pairs``, epoch by epoch, as ``fit`` asks for them: rows [B, 2]; whole batches only.

    Errors: ValueError where an epoch does not fill a batch, or a batch would show one identity alone.
    """

    def __init__(self, pairs: AttributePairs, count: int, batch: int, **walk: Any):
        super().__init__(count, batch, **walk)
        self.pairs = pairs
        self.ends: list[int] = []  # of each epoch, in micro-batches
        while (self.ends[-1] if self.ends else 0) < self.stop:
            epoch = len(self.ends) + 1
            listed = pairs.epoch(epoch)
            whole = len(listed) // batch
            if not whole:
                raise ValueError(
                    f"epoch {epoch} has {len(listed)} pairs, which do not fill a batch of {batch}: lower the batch"
                )
            people = pairs.identity[listed[: whole * batch, 0]].reshape(whole, batch)
            if (alone := (people == people[:, :1]).all(axis=1)).any():
                raise ValueError(
                    f"batch {int(alone.argmax())} of epoch {epoch} shows identity {people[alone.argmax(), 0]} alone, "
                    "so that all its negatives are masked: raise the batch or add people"
                )
            self.ends.append((self.ends[-1] if self.ends else 0) + whole)

    def __iter__(self) -> Any:
        epoch, listed, first = 0, np.empty((0, 2), dtype=np.int64), 0
        for position in range(self.start, self.stop):
            number = int(np.searchsorted(self.ends, position, side="right")) + 1
            if number != epoch:
                epoch, listed = number, self.pairs.epoch(number)
                first = self.ends[number - 2] if number > 1 else 0
            place = position - first
            rows = listed[place * self.batch : (place + 1) * self.batch]
            yield rows[self.rank :: self.world].tolist()


class TwiceBatches(ShuffledBatches):
    """Each picture beside itself, for learners that compare two views of one picture: rows [B, 2]."""

    def completed(self, rows: np.ndarray, position: int) -> np.ndarray:
        return np.stack([rows, rows], axis=1)
