"""The splits of the relief faces, and sets in the manner of those that the papers use."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from aifr_lib.data.images import Images
from aifr_lib.data.relief.cache import rendered
from aifr_lib.data.relief.changes import disfa, edema
from aifr_lib.data.relief.plan import (
    AGES,
    MAX_PER_IDENTITY,
    TURNED,
    VERSION,
    Plan,
    between,
    checked,
    decades,
    people,
    pictures_of,
)
from aifr_lib.data.relief.probes import distractors, fgnet, logiface
from aifr_lib.data.relief.templates import ijb
from aifr_lib.faces.relief import Faces
from aifr_lib.faces.relief.parameters import normal, uniform
from aifr_lib.faces.relief.pose import FRAMES
from aifr_lib.names import choose

SPLITS = ("train", "validation", "test")
SPANS = ("narrow", "wide")
VIEWS = ("everyday", "pose", "near")
NARROW_SD = 5.0  # years around the centre of a training identity
NEAR_SD = 2.0  # years around an age of the view "near"
OBLIQUE = (15.0, 35.0)
FRONTAL = 10.0  # degrees of yaw


def load(
    split: str, *, size: int, identities: int, per_identity: int, span: str = "narrow", view: str = "everyday",
    frame: str = "aligned", compiled: bool | None = None, progress: bool = True,
) -> Images:  # fmt: skip
    """The pictures of the first ``identities`` people of a split, rendered once and then memory-mapped.

    split: train, validation or test. size: side in pixels, 16 … 1024.
    span: "narrow" (training ages have SD 5 years around a centre, centres even over 4 … 80 years) or "wide" (training
    ages as in validation and test: one in each of ``per_identity`` equal parts of 4 … 80 years).
    view: "everyday" (``faces.relief.parameters.POSE_SD``) or "pose": in turn a frontal picture (|yaw| ≤ 10°), a profile
    (40 … 60°) and an oblique one of the other side (15 … 35°), at the narrow ages, so that pose is what varies; or
    "near": everyday pictures, in threes within a few years, about ages that people share.
    frame: "aligned" (as cropped for recognition) or "portrait". compiled: None compiles only for very large sets;
    pixels may differ by one grey level.
    Labels: record, identity, and every scalar parameter of the picture (``faces.relief.parameters.COLUMNS``).
    The cache lies in ``cache_dir()/VERSION``; one that is damaged or of another version is rendered again with a
    warning, and an interrupted rendering goes on where it was.
    Errors: ConfigError for an unknown split, span, view or frame; ValueError for sizes and counts out of range.
    """
    plan = split_plan(split, identities, per_identity, span, view, frame)
    return rendered(plan, size, compiled=compiled, progress=progress)


def digest(
    split: str, *, size: int, identities: int, per_identity: int, span: str = "narrow", view: str = "everyday",
    frame: str = "aligned",
) -> str:  # fmt: skip
    """16 hex digits that name these pictures: a hash over version and arguments, not over pixels."""
    return split_plan(split, identities, per_identity, span, view, frame).digest(size)


def split_faces(
    split: str, identities: int, per_identity: int, span: str = "narrow", view: str = "everyday"
) -> Faces:  # fmt: skip
    """The parameters behind ``load``: Faces of identities × per_identity pictures, grouped by identity."""
    return split_plan(split, identities, per_identity, span, view).faces()


def aged(count: int, ages: Sequence[float]) -> Faces:
    """The first people of the test split at each age in years, in pictures that are else alike: [count × ages] faces,
    person by person.
    """
    numbers = people("test", count).repeat_interleave(len(ages))
    return Faces.sample(numbers, torch.tensor(ages, dtype=torch.float64).repeat(count), numbers * MAX_PER_IDENTITY)


def split_plan(
    split: str, identities: int, per_identity: int, span: str = "narrow", view: str = "everyday",
    frame: str = "aligned",
) -> Plan:  # fmt: skip
    """What ``load`` renders: people, ages, seeds; its ``table()`` is the labels, with no picture drawn."""
    for kind, name, valid in (("split", split, SPLITS), ("span", span, SPANS), ("view", view, VIEWS)):
        choose(kind, name, dict.fromkeys(valid))
    choose("frame", frame, FRAMES)
    numbers = people(split, identities)
    counts = torch.full_like(numbers, checked("per_identity", per_identity, 1, MAX_PER_IDENTITY))
    whose, place, picture = pictures_of(numbers, counts)
    # The span says nothing outside training, nor where only pose varies; one cache serves both.
    narrow = view == "pose" or (view == "everyday" and split == "train" and span == "narrow")
    spec = {"identities": identities, "per_identity": per_identity, "narrow": narrow, "view": view}
    if view == "near":
        ages = _near_ages(numbers, per_identity)
    else:
        ages = _narrow_ages(numbers, per_identity) if narrow else decades(numbers, per_identity)
    fixed = {"yaw": _posed(numbers, whose, place, picture)} if view == "pose" else {}
    name = f"relief-{split}" if view == "everyday" else f"relief-{split}-{view}"
    return Plan(name, spec, numbers[whose], ages.flatten(), picture, frame, fixed)


def _narrow_ages(numbers: Tensor, per_identity: int) -> Tensor:
    centre = between(numbers, 20, *AGES)[:, None]
    return (centre + NARROW_SD * normal(numbers, 21, per_identity, limit=2.5)).clamp(1, 90)


def _near_ages(numbers: Tensor, per_identity: int) -> Tensor:
    """In threes about one age in the middle of each of equal parts of AGES, so that others have pictures near it."""
    low, high = AGES
    parts = -(-per_identity // 3)
    centre = low + (high - low) * (torch.arange(parts) + 0.3 + 0.4 * uniform(numbers, 26, parts)) / parts
    beside = NEAR_SD * normal(numbers, 27, per_identity, limit=2.5)
    return (centre.repeat_interleave(3, 1)[:, :per_identity] + beside).clamp(1, 90)


def _posed(numbers: Tensor, whose: Tensor, place: Tensor, picture: Tensor) -> Tensor:
    """Yaw in degrees: frontal, profile, oblique to the other side, and so on; the side changes every three."""
    side = 1 - 2.0 * ((place // 3 + (uniform(numbers, 23, 1)[:, 0] < 0.5)[whose]) % 2)
    bands = torch.stack([between(picture, 24, -FRONTAL, FRONTAL), between(picture, 24, *TURNED) * side,
                         -between(picture, 24, *OBLIQUE) * side])  # fmt: skip
    return bands[place % 3, torch.arange(len(place))]


# Sets in the manner of those that the papers use: the plan of each, by name.
SETS: dict[str, Callable[..., Plan]] = {
    "relief-fgnet": fgnet,
    "relief-megaface": distractors,
    "relief-logiface": logiface,
    "relief-ijb": ijb,
    "relief-disfa": disfa,
    "relief-edema": edema,
}


def load_set(
    name: str, *, size: int, frame: str = "aligned", compiled: bool | None = None, progress: bool = True,
    **counts: int,
) -> Images:  # fmt: skip
    """The pictures of a set of ``SETS``, rendered once and then memory-mapped, as ``load`` does.

    counts: what the set's own function takes (``SETS[name]``; defaults are the papers' numbers), as ``people=82``.
    frame: "aligned" (as cropped for recognition) or "portrait".
    Labels: as ``load``, and the set's own.
    Errors: ConfigError for an unknown set, count or frame; ValueError for sizes and counts out of range.
    """
    return rendered(set_plan(name, frame=frame, **counts), size, compiled=compiled, progress=progress)


def set_digest(name: str, *, size: int, frame: str = "aligned", **counts: int) -> str:
    """16 hex digits that name the pictures of ``load_set``: a hash over version and arguments, not over pixels."""
    return set_plan(name, frame=frame, **counts).digest(size)


def set_plan(name: str, *, frame: str = "aligned", **counts: int) -> Plan:
    """What ``load_set`` renders; its ``table()`` is the labels, with no picture drawn."""
    make = choose("relief set", name, SETS)
    for count in counts:
        choose(f"count of {name}", count, inspect.signature(make).parameters)
    choose("frame", frame, FRAMES)
    return replace(make(**counts), frame=frame)


def labels_only(
    split: str, identities: int, per_identity: int, *, span: str = "narrow", view: str = "everyday"
) -> Images:
    """A split without its pictures (black, 1×1): enough for distributions and lists of pairs."""
    return undrawn(split_plan(split, identities, per_identity, span, view))


def undrawn(plan: Plan) -> Images:
    """What ``rendered`` gives of a plan, with black pictures of 1×1: enough for labels and lists of pairs."""
    return Images(plan.name, VERSION, np.zeros((len(plan), 1, 1, 3), dtype=np.uint8), plan.table())
