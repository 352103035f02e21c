"""The data set relief-v0: relief faces in three identity-disjoint splits, verification lists over them, a cache.

Training pictures of one identity lie within a few years (as in web-scraped training sets), test pictures span
decades: so there is an age problem to solve. ``span="wide"`` is the control in which there is none.
"""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.lib.format import open_memmap
from PIL import Image
from tqdm import tqdm

from aifr_lib.config import atomic_write, cache_dir, choose
from aifr_lib.data.images import Images, Pairs
from aifr_lib.faces.relief import MIN_SIZE, Faces, render
from aifr_lib.faces.relief_parameters import normal, uniform

VERSION = "relief-v0"
# First identity of each split; an identity's number is also its seed, so that no two splits share a person.
SPLITS = {"train": 0, "validation": 10_000_000, "test": 20_000_000}
FOLDER_IDENTITIES = 1_000_000_000
MAX_PER_IDENTITY = 10_000
AGES = (4.0, 80.0)  # years over which centres, and the pictures of a test identity, are spread
NARROW_SD = 5.0  # years around the centre of a training identity
SPANS = ("narrow", "wide")
PAIR_LISTS = ("relief-lfw", "relief-agedb")
FOLDS = 10
MIN_GAP = 30.0  # years between the members of a relief-agedb pair (AgeDB-30)
COMPILE_FROM = 20_000  # pictures from which a minute of compiling pays
PART = 1024
log = logging.getLogger(__name__)


def load(
    split: str, *, size: int, identities: int, per_identity: int, span: str = "narrow",
    compiled: bool | None = None, progress: bool = True,
) -> Images:  # fmt: skip
    """The pictures of the first ``identities`` people of a split, rendered once and then memory-mapped.

    split: train, validation or test. span: "narrow" (training ages have SD 5 years around a centre) or "wide"
    (training ages as in test). compiled: None compiles only for large sets; pixels may differ by one grey level.
    Labels: record, identity, and every scalar parameter of the picture (``relief_parameters.COLUMNS``).
    The cache lies in ``cache_dir()/relief-v0``; one that is damaged or of another version is rendered again with a
    warning, and an interrupted rendering goes on where it was.
    Errors: ConfigError for an unknown split or span; ValueError for sizes and counts out of range.
    """
    spec = _spec(split, size, identities, per_identity, span)
    folder = (
        cache_dir()
        / VERSION
        / digest(split, size=size, identities=identities, per_identity=per_identity, span=span)
    )
    name = f"{VERSION}/{split}/{size}"
    if folder.exists():
        try:
            return _read(folder, spec, name)
        except (OSError, ValueError, KeyError) as error:
            log.warning("%s: cached pictures are unusable (%s); they are rendered again", folder, error)
            shutil.rmtree(folder)
    if compiled is None:
        compiled = identities * per_identity >= COMPILE_FROM
    _build(folder, spec, split_faces(split, identities, per_identity, span), compiled, progress)
    return _read(folder, spec, name)


def digest(split: str, *, size: int, identities: int, per_identity: int, span: str = "narrow") -> str:
    """16 hex digits that name these pictures: a hash over version and parameters, not over pixels."""
    text = json.dumps(_spec(split, size, identities, per_identity, span), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def split_faces(split: str, identities: int, per_identity: int, span: str = "narrow") -> Faces:
    """The parameters behind ``load``: Faces of identities × per_identity pictures, one identity after another."""
    numbers = torch.arange(identities) + choose("split", split, SPLITS)
    narrow = split == "train" and choose("span", span, {s: s for s in SPANS}) == "narrow"
    return _faces(numbers, per_identity, narrow)


def _faces(numbers: torch.Tensor, per_identity: int, narrow: bool) -> Faces:
    low, high = AGES
    if narrow:
        centre = low + (high - low) * uniform(numbers, 20, 1)
        ages = (centre + NARROW_SD * normal(numbers, 21, per_identity, limit=2.5)).clamp(1, 90)
    else:
        # One age in each of per_identity equal parts, so that even few pictures span decades.
        parts = torch.arange(per_identity) + uniform(numbers, 22, per_identity)
        ages = low + (high - low) * parts / per_identity
    pictures = numbers[:, None] * MAX_PER_IDENTITY + torch.arange(per_identity)
    return Faces.sample(numbers.repeat_interleave(per_identity), ages.flatten(), pictures.flatten())


def _spec(split: str, size: int, identities: int, per_identity: int, span: str) -> dict[str, Any]:
    choose("split", split, SPLITS)
    choose("span", span, {s: s for s in SPANS})
    if size < MIN_SIZE:
        raise ValueError(f"size {size}: a relief face needs a side of at least {MIN_SIZE} pixels")
    if not 1 <= identities <= 10_000_000:
        raise ValueError(f"identities {identities}: must lie in 1 … 10000000")
    if not 1 <= per_identity <= MAX_PER_IDENTITY:
        raise ValueError(f"per_identity {per_identity}: must lie in 1 … {MAX_PER_IDENTITY}")
    # The span says nothing outside training; one cache serves both.
    ages = {"span": span, "sd": NARROW_SD} if split == "train" else {}
    return {"version": VERSION, "split": split, "size": size, "identities": identities, "per_identity": per_identity,
            "first": SPLITS[split], "ages": [*AGES], **ages}  # fmt: skip


def _labels(faces: Faces, records: Sequence[str]) -> pd.DataFrame:
    return pd.DataFrame({"record": records, "identity": faces.identity_seed.numpy(), **faces.table()})


def _build(folder: Path, spec: dict[str, Any], faces: Faces, compiled: bool, progress: bool) -> None:
    """Render in parts that are each written atomically, join them in a hidden folder, and move that into place."""
    parts = folder.with_name(f"{folder.name}.parts")
    size = spec["size"]
    starts = range(0, len(faces), PART)
    with tqdm(
        total=len(faces), desc=f"rendering {spec['split']} {size}px", unit="face", disable=not progress
    ) as bar:
        for start in starts:
            part = parts / f"{start:09d}.npy"
            rows = faces[start : start + PART]
            if not part.exists():
                with atomic_write(part) as path:
                    np.save(path, render(rows, size, compiled=compiled).numpy())
            bar.update(len(rows))
    scratch = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    try:
        pixels = open_memmap(
            scratch / "pixels.npy", mode="w+", dtype=np.uint8, shape=(len(faces), size, size, 3)
        )
        for start in starts:
            pixels[start : start + PART] = np.load(parts / f"{start:09d}.npy")
        pixels.flush()
        per = spec["per_identity"]
        records = [
            f"{spec['split']}-{n:08d}-{k % per:04d}" for k, n in enumerate(faces.identity_seed.tolist())
        ]
        _labels(faces, records).to_parquet(scratch / "labels.parquet")
        sums = {file: _sha256(scratch / file) for file in ("pixels.npy", "labels.parquet")}
        (scratch / "about.json").write_text(
            json.dumps({"spec": spec, "sha256": sums}, indent=1), encoding="utf-8"
        )
        scratch.chmod(0o755)
        if not folder.exists():  # else another process was first, with the same pictures
            scratch.rename(folder)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    shutil.rmtree(parts, ignore_errors=True)


def _read(folder: Path, spec: dict[str, Any], name: str) -> Images:
    about = json.loads((folder / "about.json").read_text(encoding="utf-8"))
    if about["spec"] != spec:
        raise ValueError(f"made as {about['spec']}, wanted {spec}")
    for file, expected in about["sha256"].items():
        if _sha256(folder / file) != expected:
            raise ValueError(f"checksum of {file} differs")
    return Images(
        name,
        VERSION,
        np.load(folder / "pixels.npy", mmap_mode="r"),
        pd.read_parquet(folder / "labels.parquet"),
    )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def pairs(images: Images, name: str, *, count: int = 6000, seed: int = 0) -> Pairs:
    """A verification list: ten folds disjoint in identity, count / 10 pairs each, half of them positive.

    relief-lfw: positives and negatives drawn at random. relief-agedb: members of a positive are ≥ 30 years apart; each
    negative keeps one member of a positive and replaces the other by another person of the same gender, nearest in
    skin tone and age and also ≥ 30 years away.
    Errors: ConfigError for an unknown list; ValueError where the images have too few such pairs, with the numbers.
    """
    draw = choose("pair list", name, {"relief-lfw": _random_pairs, "relief-agedb": _aged_pairs})
    if count < 2 * FOLDS or count % (2 * FOLDS):
        raise ValueError(
            f"count {count}: must be a positive multiple of {2 * FOLDS} (ten folds, half positive)"
        )
    if missing := {"identity", "age", "gender", "skin_tone"} - set(images.labels):
        raise ValueError(
            f"{images.name}: labels lack {', '.join(sorted(missing))}, which {name} matches negatives by"
        )
    rng = np.random.default_rng([seed, PAIR_LISTS.index(name)])
    identity = images.labels["identity"].to_numpy()
    folds = _folds(identity, images.labels["gender"].to_numpy(), rng)
    half = count // (2 * FOLDS)
    a, b, same = [], [], []
    for fold in range(FOLDS):
        rows = np.flatnonzero(folds == fold)
        positive, negative = draw(
            images.labels.iloc[rows], half, rng, f"{name}, fold {fold} of {images.name}"
        )
        chosen = rows[np.concatenate([positive, negative])]
        a.append(chosen[:, 0])
        b.append(chosen[:, 1])
        same.append(np.repeat([True, False], half))
    fold_of = np.repeat(np.arange(FOLDS), 2 * half)
    return Pairs(name, np.concatenate(a), np.concatenate(b), np.concatenate(same), fold_of)


def _folds(identity: np.ndarray, gender: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The fold of each row. People are dealt in twos (an odd one out makes a three) of one gender, so that a small fold has negatives."""
    people, first = np.unique(identity, return_index=True)
    couples: list[np.ndarray] = []
    for members in (rng.permutation(np.flatnonzero(gender[first] == g)) for g in np.unique(gender)):
        couples += np.array_split(members, max(1, len(members) // 2))
    fold = np.empty(len(people), dtype=np.int64)
    for number, couple in enumerate(rng.permutation(len(couples))):
        fold[couples[couple]] = number % FOLDS
    return fold[np.searchsorted(people, identity)]


def _pick(candidates: np.ndarray, half: int, rng: np.random.Generator, what: str) -> np.ndarray:
    if len(candidates) < half:
        raise ValueError(
            f"{what}: {half} pairs wanted, {len(candidates)} exist; ask for fewer pairs or load more people"
        )
    return rng.permuted(candidates[rng.choice(len(candidates), half, replace=False)], axis=1)


def _random_pairs(
    labels: pd.DataFrame, half: int, rng: np.random.Generator, what: str
) -> tuple[np.ndarray, np.ndarray]:
    identity = labels["identity"].to_numpy()
    every = np.stack(np.triu_indices(len(labels), 1), -1)
    same = identity[every[:, 0]] == identity[every[:, 1]]
    return (
        _pick(every[same], half, rng, f"{what}: positives"),
        _pick(every[~same], half, rng, f"{what}: negatives"),
    )


def _aged_pairs(
    labels: pd.DataFrame, half: int, rng: np.random.Generator, what: str
) -> tuple[np.ndarray, np.ndarray]:
    identity, age, gender, tone = (labels[c].to_numpy() for c in ("identity", "age", "gender", "skin_tone"))
    every = np.stack(np.triu_indices(len(labels), 1), -1)
    apart = np.abs(age[every[:, 0]] - age[every[:, 1]]) >= MIN_GAP
    same = identity[every[:, 0]] == identity[every[:, 1]]
    candidates = rng.permuted(rng.permutation(every[same & apart]), axis=1)
    positive: list[tuple[int, int]] = []
    negative: list[tuple[int, int]] = []
    used: set[frozenset[int]] = set()
    for keep, replaced in candidates.tolist():
        other = (identity != identity[keep]) & (gender == gender[keep]) & (np.abs(age - age[keep]) >= MIN_GAP)
        # A fifth of a standard score of skin tone weighs as much as one year.
        cost = np.abs(age - age[replaced]) + 5 * np.abs(tone - tone[replaced])
        order = np.argsort(np.where(other, cost, np.inf), kind="stable")[: other.sum()].tolist()
        choice = next((k for k in order if frozenset((keep, k)) not in used), None)
        if choice is not None:
            used.add(frozenset((keep, choice)))
            positive.append((keep, replaced))
            negative.append((keep, choice))
        if len(positive) == half:
            return np.array(positive), np.array(negative)
    raise ValueError(
        f"{what}: {half} pairs {MIN_GAP:g} years apart with a matched negative wanted, {len(positive)} exist; "
        "ask for fewer pairs or load more people"
    )


def sheet(identities: int, ages: Sequence[float], size: int, seed: int) -> np.ndarray:
    """One picture of many: a row for each of ``identities`` people, a column for each age; uint8 [H, W, 3].

    Along a row pose, light and expression stay, and only age changes. Errors: ValueError for none of either.
    """
    if identities < 1 or len(ages) < 1:
        raise ValueError(
            f"a sheet of {identities} identities and {len(ages)} ages: at least one of each is needed"
        )
    people = _own_identities(seed, identities).repeat_interleave(len(ages))
    faces = Faces.sample(people, list(ages) * identities, people)
    grid = render(faces, size).numpy().reshape(identities, len(ages), size, size, 3)
    return grid.transpose(0, 2, 1, 3, 4).reshape(identities * size, len(ages) * size, 3)


def write_folder(out: str | Path, identities: int, per_identity: int, size: int, seed: int) -> pd.DataFrame:
    """PNGs of people whose pictures span decades, and ``labels.csv`` (file, identity, age, … all parameters).

    Files are named IDENTITY_PICTURE.png; labels.csv comes last, so that its presence says that all are there.
    Returns the labels. Errors: ValueError for counts or size out of range, FileExistsError for a folder that holds
    other pictures.
    """
    _spec("test", size, identities, per_identity, "narrow")
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    faces = _faces(_own_identities(seed, identities), per_identity, narrow=False)
    files = [f"{n:05d}_{k:04d}.png" for n in range(identities) for k in range(per_identity)]
    if strangers := {path.name for path in folder.glob("*.png")} - set(files):
        raise FileExistsError(f"{folder} already holds {min(strangers)}: name an empty folder")
    for start in tqdm(range(0, len(faces), 64), desc=f"writing {folder}", unit="batch"):
        for file, pixels in zip(files[start:], render(faces[start : start + 64], size).numpy(), strict=False):
            with atomic_write(folder / file) as path:
                Image.fromarray(pixels).save(path)
    labels = pd.DataFrame(
        {"file": files, "identity": np.repeat(np.arange(identities), per_identity), **faces.table()}
    )
    with atomic_write(folder / "labels.csv") as path:
        labels.to_csv(path, index=False)
    return labels


def _own_identities(seed: int, identities: int) -> torch.Tensor:
    if seed < 0:
        raise ValueError(f"seed {seed}: must be 0 or more")
    return torch.arange(identities) + FOLDER_IDENTITIES + seed * 1_000_003
