"""The people in a set of pictures: split into groups that share nobody, and no picture twice."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from aifr_lib.data.images import Images

BLOCK = 1024  # pictures read at once


def split_people(images: Images, shares: Sequence[float], *, most: int, each: int, seed: int) -> list[np.ndarray]:
    """Rows of the pictures to train on, then of a group for each share of the people, int64: nobody is in two.

    Drawn for the groups are people with two pictures or more: others make no genuine pair. most: people a group, and
    each: pictures of each of them, at most; what is beyond ``each`` is in no group.
    Errors: ValueError where the people are too few for two in each group.
    """
    identity = images.labels["identity"].to_numpy()
    people, counts = np.unique(identity, return_counts=True)
    random = np.random.default_rng(seed)
    several = random.permutation(people[counts > 1])
    sizes = [min(most, max(2, round(share * len(people)))) for share in shares]
    if len(several) < sum(sizes) or len(people) < sum(sizes) + 2:
        raise ValueError(
            f"{images.name} has too few people ({len(people)}, with two pictures or more: {len(several)}): "
            f"{sum(sizes)} with two pictures are held out, and two others are needed to train on. Bring more people, "
            "or more pictures of each"
        )
    groups, start = [], 0
    for size in sizes:
        chosen = several[start : start + size]
        groups.append(_some_of_each(identity, chosen, each, random))
        start += size
    return [np.flatnonzero(~np.isin(identity, several[:start])), *groups]


def _some_of_each(identity: np.ndarray, people: np.ndarray, each: int, random: np.random.Generator) -> np.ndarray:
    shuffled = random.permutation(np.flatnonzero(np.isin(identity, people)))
    order = shuffled[np.argsort(identity[shuffled], kind="stable")]
    first = np.flatnonzero(np.r_[True, np.diff(identity[order]) != 0])
    place = np.arange(len(order)) - np.repeat(first, np.diff(np.r_[first, len(order)]))
    return np.sort(order[place < each])


def digests(images: Images) -> np.ndarray:
    """What tells the pixels of pictures apart, str [N]: equal for the same picture alone."""
    starts = range(0, len(images), BLOCK)
    blocks = (np.ascontiguousarray(images.pixels[start : start + BLOCK]) for start in starts)
    return np.array([hashlib.blake2b(one.tobytes(), digest_size=16).hexdigest() for block in blocks for one in block])


def without_doubles(images: Images) -> tuple[Images, dict[str, str]]:
    """The pictures, each once, and the records left out: record → the one of the same person that is kept.

    Errors: ValueError for a picture that two people share, naming both records.
    """
    identity, record = images.labels["identity"].to_numpy(), images.labels["record"].to_numpy()
    _, first, group = np.unique(digests(images), return_index=True, return_inverse=True)
    kept = first[group]
    if len(shared := np.flatnonzero(identity[kept] != identity)):
        row = int(shared[0])
        others = f" ({len(shared) - 1} more are, too)" if len(shared) > 1 else ""
        raise ValueError(
            f"{images.name}: {record[kept[row]]} and {record[row]} are one picture under two people{others}: leave "
            "each to the person it shows"
        )
    rows = np.arange(len(images))
    double = kept != rows
    left_out = dict(zip(record[double].tolist(), record[kept[double]].tolist(), strict=True))
    return (images.take(rows[~double]) if left_out else images), left_out


def check_apart(images: Images, others: Images) -> None:
    """Errors: ValueError where two sets share a person, by name or number, or a picture."""
    mine, theirs = _names(images), _names(others)
    if shared := sorted(mine & theirs):
        raise ValueError(
            f"{others.name} shares people with {images.name}, such as {shared[0]} (in all: {len(shared)}): who is "
            "trained on says nothing of strangers. Take them out of one of the two, or, if they are others of the same "
            "name or number, rename them"
        )
    if len(same := np.intersect1d(digests(images), digests(others))):
        raise ValueError(
            f"{others.name} shares pictures with {images.name} (in all: {len(same)}), under other names: take other "
            "people"
        )


def _names(images: Images) -> set[str]:
    column = "subject" if "subject" in images.labels else "identity"
    return set(images.labels[column].astype(str))
