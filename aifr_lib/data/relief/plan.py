"""Which relief pictures a set consists of, before any is rendered: people, ages, seeds, what is fixed by hand."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from aifr_lib.faces.relief import Faces, check_size
from aifr_lib.faces.relief.parameters import uniform
from aifr_lib.names import choose

RELEASE = 2  # the one number that freezing the data set raises: new pictures, new people, new caches
VERSION = f"relief-v{RELEASE}"
# Each kind of set has its own people: an identity's number is also its seed, so no two sets share a person.
KINDS = (
    "train", "validation", "test",
    "relief-fgnet", "relief-megaface", "relief-logiface", "relief-ijb", "relief-disfa", "relief-edema",
    "relief-edits", "relief-wide",
)  # fmt: skip
PEOPLE = 10_000_000  # identity numbers a kind
FIRST = 200_000_000  # of this release; the next begins behind the last kind of this one
MAX_PER_IDENTITY = 10_000
AGES = (4.0, 80.0)  # years over which people are spread where no paper says otherwise
TURNED = (40.0, 60.0)  # degrees of yaw that count as a profile
SURROUNDINGS = ("light", "white_balance", "style", "scene")  # what the pictures of one sitting share


@dataclass(frozen=True)
class Plan:
    """N pictures, grouped by identity.

    name: of the set, as its Images will carry it. spec: the arguments it was made from (JSON values).
    identity, picture: int64 [N] seeds. age: float64 [N], years. frame: as ``render`` takes it.
    fixed: parameters set by hand, [N] or [N, n] by name, as ``Faces.sample`` takes them.
    labels: columns of labels beside the parameters, [N]; one named as a parameter takes its place.
    coarse: int64 [N] or None, by how much a picture is shrunk and enlarged again (low resolution); 1 leaves it.
    """

    name: str
    spec: dict[str, Any]
    identity: Tensor
    age: Tensor
    picture: Tensor
    frame: str = "aligned"
    fixed: dict[str, Tensor] = field(default_factory=dict)
    labels: dict[str, np.ndarray] = field(default_factory=dict)
    coarse: Tensor | None = None

    def __len__(self) -> int:
        return len(self.identity)

    def faces(self, rows: slice = slice(None)) -> Faces:
        """The parameters of these rows."""
        fixed = {name: values[rows] for name, values in self.fixed.items()}
        return Faces.sample(self.identity[rows], self.age[rows], self.picture[rows], **fixed)

    def records(self) -> list[str]:
        """The name of each picture: set, identity, place among the identity's pictures."""
        _, first, counts = np.unique(self.identity.numpy(), return_index=True, return_counts=True)
        place = np.arange(len(self)) - np.repeat(first, counts)
        return [f"{self.name}-{n:08d}-{k:04d}" for n, k in zip(self.identity.tolist(), place.tolist(), strict=True)]

    def table(self) -> pd.DataFrame:
        """The labels: record, identity, every scalar parameter (age first), then the plan's own."""
        table = pd.DataFrame(self.faces().table()).assign(**self.labels)
        table.insert(0, "record", self.records())
        table.insert(1, "identity", self.identity.numpy())
        return table

    def about(self, size: int) -> dict[str, Any]:
        """Everything that names the pictures of this plan at ``size`` pixels, version included.

        Errors: ValueError for a size that cannot be rendered.
        """
        check_size(size)
        return {"version": VERSION, "name": self.name, "size": size, "frame": self.frame, **self.spec}

    def digest(self, size: int) -> str:
        """16 hex digits that name these pictures: a hash over version and arguments, not over pixels."""
        return hashlib.sha256(json.dumps(self.about(size), sort_keys=True).encode()).hexdigest()[:16]


def people(kind: str, count: int, what: str = "identities") -> Tensor:
    """int64 [count]: the first identity numbers of a kind of set. Errors: ValueError for a count out of range."""
    first = FIRST + choose("split", kind, {name: i for i, name in enumerate(KINDS)}) * PEOPLE
    return torch.arange(checked(what, count, 1, PEOPLE)) + first


def checked(what: str, value: int, low: int, high: int) -> int:
    """``value``. Errors: ValueError naming ``what`` where it is not in low … high."""
    if not low <= value <= high:
        raise ValueError(f"{what} {value}: must lie in {low} … {high}")
    return value


def dealt(numbers: Tensor, pictures: int, least: int, stream: int, what: str) -> Tensor:
    """int64 [len(numbers)]: how many of ``pictures`` each person gets: ``least``, and an uneven share of the rest.

    Errors: ValueError where there are fewer than ``least`` pictures for each, or some would get over 10,000.
    """
    checked(what, pictures, least * len(numbers), MAX_PER_IDENTITY * len(numbers) // 3)
    weight = 0.5 + uniform(numbers, stream, 1)[:, 0]
    share = weight / weight.sum() * (pictures - least * len(numbers))
    count = share.floor().long()
    # Largest remainders, so that the sum is exact.
    order = torch.argsort(share - count, descending=True, stable=True)
    count[order[: pictures - least * len(numbers) - int(count.sum())]] += 1
    return count + least


def pictures_of(numbers: Tensor, counts: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """For people with ``counts`` pictures each, [N] per picture: whose, the place among the person's, the seed."""
    whose = torch.repeat_interleave(torch.arange(len(numbers)), counts)
    place = torch.arange(len(whose)) - (counts.cumsum(0) - counts)[whose]
    return whose, place, numbers[whose] * MAX_PER_IDENTITY + place


def between(seeds: Tensor, stream: int, low: float, high: float) -> Tensor:
    """float64 [B], uniform between two bounds, from the seeds."""
    return low + (high - low) * uniform(seeds, stream, 1)[:, 0]


def sitting(identity: Tensor, age: Tensor, seeds: Tensor, groups: tuple[str, ...]) -> dict[str, Tensor]:
    """``fixed`` for pictures taken at one sitting (equal ``seeds``): they share these groups of parameters."""
    faces = Faces.sample(identity, age, seeds)
    return {group: getattr(faces, group) for group in groups}


def decades(seeds: Tensor, per_identity: int) -> Tensor:
    """float64 [B, per_identity] years: one age in each of equal parts of AGES, so that even few pictures span it."""
    low, high = AGES
    parts = torch.arange(per_identity) + uniform(seeds, 22, per_identity)
    return low + (high - low) * parts / per_identity
