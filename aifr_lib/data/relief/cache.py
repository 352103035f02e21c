"""Relief pictures rendered once and then memory-mapped."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.lib.format import open_memmap
from torch import Tensor
from torch.nn import functional

from aifr_lib.data.images import Images
from aifr_lib.data.relief.plan import VERSION, Plan
from aifr_lib.faces.relief import render
from aifr_lib.files import atomic_write, cache_dir, locked
from aifr_lib.progress import tqdm

COMPILE_FROM = 10**9  # pixels from which minutes of compiling pay
PART = 1024
SUMMED = ("pixels.npy", "labels.parquet")
log = logging.getLogger(__name__)


def rendered(plan: Plan, size: int, *, compiled: bool | None = None, progress: bool = True) -> Images:
    """The pictures of a plan from the cache, rendered first where they are not there.

    compiled: None compiles only for very large sets; pixels may differ by one grey level.
    The cache lies in ``cache_dir()/VERSION``. One that is damaged or of another version is rendered again with a
    warning; an interrupted rendering goes on where it was; processes that want the same pictures wait for one.
    Labels: record, identity, age, every other scalar parameter, then the plan's own.
    """
    about, digest = plan.about(size), plan.digest(size)
    folder = cache_dir() / VERSION / digest
    if (images := _cached(folder, about)) is not None:
        return images
    lock = cache_dir() / "locks" / f"{VERSION}-{digest}.lock"
    lock.parent.mkdir(parents=True, exist_ok=True)
    # Jobs of a batch and ranks of a training may want the same pictures at once: one draws them, the others wait.
    with locked(lock):
        if (images := _cached(folder, about)) is not None:
            return images
        shutil.rmtree(folder, ignore_errors=True)
        chosen = len(plan) * size * size >= COMPILE_FROM if compiled is None else compiled
        _build(folder, about, plan, size, chosen, progress)
        return _read(folder, about)


def _cached(folder: Path, about: dict[str, Any]) -> Images | None:
    """What lies in the cache, or None where that is nothing or damaged (with a warning)."""
    if not folder.exists():
        return None
    try:
        return _read(folder, about)
    except (OSError, ValueError) as error:
        log.warning("%s: cached pictures are unusable (%s); they are rendered again", folder, error)
        return None


def _build(folder: Path, about: dict[str, Any], plan: Plan, size: int, compiled: bool, progress: bool) -> None:
    """Render in parts, each written atomically, join them in a hidden folder, move that into place."""
    parts = folder.with_name(f"{folder.name}.parts")
    starts = range(0, len(plan), PART)
    with tqdm(total=len(plan), desc=f"rendering {plan.name} {size}px", unit="face", disable=not progress) as bar:
        for start in starts:
            _part(parts, plan, start, size, compiled)
            bar.update(min(PART, len(plan) - start))
    scratch = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    try:
        joined = open_memmap(scratch / "pixels.npy", mode="w+", dtype=np.uint8, shape=(len(plan), size, size, 3))
        for start in starts:
            joined[start : start + PART] = _part(parts, plan, start, size, compiled)
        joined.flush()
        plan.table().to_parquet(scratch / "labels.parquet")
        sums = {file: _sha256(scratch / file) for file in SUMMED}
        (scratch / "about.json").write_text(json.dumps({"spec": about, "sha256": sums}, indent=1), encoding="utf-8")
        scratch.chmod(0o755)
        scratch.rename(folder)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    shutil.rmtree(parts, ignore_errors=True)


def _part(parts: Path, plan: Plan, start: int, size: int, compiled: bool) -> np.ndarray:
    """uint8 [≤ PART, size, size, 3] from ``start`` on; drawn and kept where they are not there or damaged."""
    file, shape = parts / f"{start:09d}.npz", (min(PART, len(plan) - start), size, size, 3)
    if file.exists():
        try:
            # A zip archive, because its checksums tell a changed bit.
            with np.load(file) as stored:
                pixels = stored["pixels"]
            if pixels.shape == shape and pixels.dtype == np.uint8:
                return pixels
            problem = f"{pixels.dtype} {list(pixels.shape)}"
        # RuntimeError: a flag of the archive says that it is encrypted, or packed in a way that nobody knows.
        except (OSError, EOFError, ValueError, KeyError, RuntimeError, zipfile.BadZipFile) as error:
            problem = str(error)
        log.warning("%s: a part of the pictures is unusable (%s); it is rendered again", file, problem)
    pixels = draw(plan, slice(start, start + PART), size, compiled=compiled).numpy()
    with atomic_write(file) as path, path.open("wb") as stream:
        np.savez(stream, pixels=pixels)
    return pixels


def draw(plan: Plan, rows: slice, size: int, *, compiled: bool = False) -> Tensor:
    """uint8 [B, size, size, 3]: these rows of a plan as their set shows them."""
    pixels = render(plan.faces(rows), size, frame=plan.frame, compiled=compiled)
    return pixels if plan.coarse is None else coarsened(pixels, plan.coarse[rows])


def coarsened(pixels: Tensor, factors: Tensor) -> Tensor:
    """uint8 [B, S, S, 3] pictures as a camera of 1 / factor the resolution would see them: averaged, enlarged."""
    result = pixels.clone()
    for factor in factors[factors > 1].unique().tolist():
        rows = (factors == factor).nonzero()[:, 0]
        sharp = pixels[rows].permute(0, 3, 1, 2).float()
        low = functional.adaptive_avg_pool2d(sharp, round(sharp.shape[-1] / factor))
        large = functional.interpolate(low, sharp.shape[2:], mode="bilinear", align_corners=False)
        result[rows] = large.round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1)
    return result


def _read(folder: Path, about: dict[str, Any]) -> Images:
    stored = json.loads((folder / "about.json").read_text(encoding="utf-8"))
    if not isinstance(stored, dict) or set(stored) != {"spec", "sha256"}:
        raise ValueError("about.json does not say what was made")
    if stored["spec"] != about:
        raise ValueError(f"made as {stored['spec']}, wanted {about}")
    if stored["sha256"] != {file: _sha256(folder / file) for file in SUMMED}:
        raise ValueError(f"the checksums of {' and '.join(SUMMED)} are not those that about.json has")
    pixels = np.load(folder / "pixels.npy", mmap_mode="r")
    return Images(about["name"], VERSION, pixels, pd.read_parquet(folder / "labels.parquet"))


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
