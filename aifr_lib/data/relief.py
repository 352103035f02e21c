"""The data set relief-v0: relief faces in three identity-disjoint splits, lists of pairs, a cache.

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
from filelock import FileLock
from numpy.lib.format import open_memmap
from PIL import Image
from tqdm import tqdm

from aifr_lib.config import atomic_write, cache_dir, choose
from aifr_lib.data.images import Images
from aifr_lib.data.relief_pairs import PAIR_LISTS, pairs
from aifr_lib.faces.relief import MIN_SIZE, Faces, render
from aifr_lib.faces.relief_parameters import normal, uniform

__all__ = [
    "PAIR_LISTS",
    "SPLITS",
    "VERSION",
    "digest",
    "load",
    "pairs",
    "sheet",
    "split_faces",
    "write_folder",
]

VERSION = "relief-v0"
# First identity of each split; an identity's number is also its seed, so that no two splits share a person.
SPLITS = {"train": 0, "validation": 10_000_000, "test": 20_000_000}
FOLDER_IDENTITIES = 1_000_000_000
MAX_PER_IDENTITY = 10_000
AGES = (4.0, 80.0)  # years over which centres, and the pictures of a test identity, are spread
NARROW_SD = 5.0  # years around the centre of a training identity
SPANS = ("narrow", "wide")
COMPILE_FROM = 10**9  # pixels from which minutes of compiling pay
PART = 1024
log = logging.getLogger(__name__)


def load(
    split: str, *, size: int, identities: int, per_identity: int, span: str = "narrow",
    compiled: bool | None = None, progress: bool = True,
) -> Images:  # fmt: skip
    """The pictures of the first ``identities`` people of a split, rendered once and then memory-mapped.

    split: train, validation or test. span: "narrow" (training ages have SD 5 years around a centre) or "wide"
    (training ages as in test). compiled: None compiles only for very large sets; pixels may
    differ by one grey level.
    Labels: record, identity, and every scalar parameter of the picture (``relief_parameters.COLUMNS``).
    The cache lies in ``cache_dir()/relief-v0``; one that is damaged or of another version is rendered again
    with a warning, and an interrupted rendering goes on where it was.
    Errors: ConfigError for an unknown split or span; ValueError for sizes and counts out of range.
    """
    spec = _spec(split, size, identities, per_identity, span)
    folder = (
        cache_dir() / VERSION / digest(split, size=size, identities=identities, per_identity=per_identity, span=span)
    )
    name = f"{VERSION}/{split}/{size}"
    if (images := _cached(folder, spec, name)) is not None:
        return images
    lock = cache_dir() / "locks" / f"{VERSION}-{folder.name}.lock"
    lock.parent.mkdir(parents=True, exist_ok=True)
    # Jobs of a batch and ranks of a training may want the same pictures at once: one draws them, the others wait.
    with FileLock(lock):
        if (images := _cached(folder, spec, name)) is not None:
            return images
        shutil.rmtree(folder, ignore_errors=True)
        faces = split_faces(split, identities, per_identity, span)
        chosen = len(faces) * size * size >= COMPILE_FROM if compiled is None else compiled
        _build(folder, spec, faces, chosen, progress)
        return _read(folder, spec, name)


def _cached(folder: Path, spec: dict[str, Any], name: str) -> Images | None:
    """What lies in the cache, or None where that is nothing or damaged (with a warning)."""
    if not folder.exists():
        return None
    try:
        return _read(folder, spec, name)
    except (OSError, ValueError, KeyError) as error:
        log.warning("%s: cached pictures are unusable (%s); they are rendered again", folder, error)
        return None


def digest(split: str, *, size: int, identities: int, per_identity: int, span: str = "narrow") -> str:
    """16 hex digits that name these pictures: a hash over version and parameters, not over pixels."""
    text = json.dumps(_spec(split, size, identities, per_identity, span), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def split_faces(split: str, identities: int, per_identity: int, span: str = "narrow") -> Faces:
    """The parameters behind ``load``: Faces of identities × per_identity pictures, grouped by identity."""
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
    return {"version": VERSION, "split": split, "size": size, "identities": identities,
            "per_identity": per_identity, "first": SPLITS[split], "ages": [*AGES], **ages}  # fmt: skip


def _labels(faces: Faces, records: Sequence[str]) -> pd.DataFrame:
    return pd.DataFrame({"record": records, "identity": faces.identity_seed.numpy(), **faces.table()})


def _build(folder: Path, spec: dict[str, Any], faces: Faces, compiled: bool, progress: bool) -> None:
    """Render in parts, each written atomically, join them in a hidden folder, move that into place."""
    parts = folder.with_name(f"{folder.name}.parts")
    size = spec["size"]
    starts = range(0, len(faces), PART)
    with tqdm(total=len(faces), desc=f"rendering {spec['split']} {size}px", unit="face", disable=not progress) as bar:
        for start in starts:
            part = parts / f"{start:09d}.npy"
            rows = faces[start : start + PART]
            if not part.exists():
                with atomic_write(part) as path:
                    np.save(path, render(rows, size, compiled=compiled).numpy())
            bar.update(len(rows))
    scratch = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    try:
        pixels = open_memmap(scratch / "pixels.npy", mode="w+", dtype=np.uint8, shape=(len(faces), size, size, 3))
        for start in starts:
            pixels[start : start + PART] = np.load(parts / f"{start:09d}.npy")
        pixels.flush()
        per = spec["per_identity"]
        records = [f"{spec['split']}-{n:08d}-{k % per:04d}" for k, n in enumerate(faces.identity_seed.tolist())]
        _labels(faces, records).to_parquet(scratch / "labels.parquet")
        sums = {file: _sha256(scratch / file) for file in ("pixels.npy", "labels.parquet")}
        (scratch / "about.json").write_text(json.dumps({"spec": spec, "sha256": sums}, indent=1), encoding="utf-8")
        scratch.chmod(0o755)
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


def sheet(identities: int, ages: Sequence[float], size: int, seed: int) -> np.ndarray:
    """One picture of many: a row for each of ``identities`` people, a column for each age; uint8 [H, W, 3].

    Along a row pose, light and expression stay, and only age changes. Errors: ValueError for none of either.
    """
    if identities < 1 or len(ages) < 1:
        raise ValueError(f"a sheet of {identities} identities and {len(ages)} ages: at least one of each is needed")
    people = _own_identities(seed, identities).repeat_interleave(len(ages))
    faces = Faces.sample(people, list(ages) * identities, people)
    grid = render(faces, size).numpy().reshape(identities, len(ages), size, size, 3)
    return grid.transpose(0, 2, 1, 3, 4).reshape(identities * size, len(ages) * size, 3)


def write_folder(out: str | Path, identities: int, per_identity: int, size: int, seed: int) -> pd.DataFrame:
    """PNGs of people whose pictures span decades, and ``labels.csv`` (file, identity, age, … all parameters).

    Files are named IDENTITY_PICTURE.png; labels.csv comes last, so that its presence says that all are there.
    Returns the labels. Errors: ValueError for counts or size out of range, FileExistsError for a folder that
    holds other pictures.
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
    labels = pd.DataFrame({"file": files, "identity": np.repeat(np.arange(identities), per_identity), **faces.table()})
    with atomic_write(folder / "labels.csv") as path:
        labels.to_csv(path, index=False)
    return labels


def _own_identities(seed: int, identities: int) -> torch.Tensor:
    if seed < 0:
        raise ValueError(f"seed {seed}: must be 0 or more")
    return torch.arange(identities) + FOLDER_IDENTITIES + seed * 1_000_003
