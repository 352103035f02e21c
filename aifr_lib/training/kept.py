"""What teachers say of each picture and of its mirror image, computed once and kept by (teacher, pictures).

Mirroring is the only augmentation, so that two outputs a picture are all that a frozen teacher can ever give.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.lib.format import open_memmap
from torch import Tensor, nn

from aifr_lib.data.images import Images
from aifr_lib.data.loader import Batch, Rows, gathered, to_input
from aifr_lib.files import atomic_writes, cache_dir, locked
from aifr_lib.losses.distillation import age_invariant_mask
from aifr_lib.models.age_estimator import AgeEstimator
from aifr_lib.progress import tqdm
from aifr_lib.training.sgd import seen

BATCH = 128
SAMPLED = 32  # pictures whose pixels go into what names a set


class TaughtRows(Rows):
    """``Rows`` with what teachers say of each picture besides, float32 [B, 2, …]: as it is, and mirrored.

    said: by column, arrays [N, 2, …] (kept ones are memory maps). of: by column, the picture [N] whose output each
    picture is given, where that is not its own.
    """

    def __init__(
        self, images: Images, hw: tuple[int, int], said: dict[str, np.ndarray], of: dict[str, np.ndarray] | None = None
    ) -> None:
        super().__init__(images, hw)
        self.said, self.of = said, of or {}
        self.columns = (*self.columns, *said)

    def __getitems__(self, rows: list[int] | list[list[int]]) -> Batch:
        said = {}
        for column, values in self.said.items():
            whose = np.asarray(rows) if column not in self.of else self.of[column][rows]
            said[column] = torch.from_numpy(np.array(values[whose]))
        return {**super().__getitems__(rows), **said}


def of_another_person(identity: np.ndarray, seed: int) -> np.ndarray:
    """For each of N pictures, one of another person, int64 [N], no two alike: people are shuffled by ``seed``.

    Errors: ValueError where one person has more than half of the pictures.

    >>> of_another_person(np.array([5, 5, 7, 7]), seed=0)
    array([2, 3, 0, 1])
    """
    people, person, counts = np.unique(identity, return_inverse=True, return_counts=True)
    if 2 * counts.max() > len(identity):
        raise ValueError(f"identity {people[counts.argmax()]} has more than half of the pictures: no other has as many")
    shuffled = np.random.default_rng(seed).permutation(len(people))
    order = np.argsort(shuffled[person], kind="stable")
    other = np.empty(len(identity), dtype=np.int64)
    other[order] = np.roll(order, -counts.max())
    return other


def embeddings(teacher: nn.Module) -> Callable[[Tensor], Tensor]:
    """What T^R says of faces [B, 3, H, W]: F_n, its embedding [B, D]."""
    return lambda x: teacher(x).float()


def invariant_masks(teacher: AgeEstimator) -> Callable[[Tensor], Tensor]:
    """What T^A says of faces [B, 3, H, W]: Â_2, Â_3 and Â_4 (eq. 4), flattened one after the other, [B, cells]."""

    def said(x: Tensor) -> Tensor:
        first, *others = teacher.masks(x)
        return torch.cat([age_invariant_mask(first, mask).flatten(1) for mask in others], 1)

    return said


def kept(
    what: str,
    says: Callable[[Tensor], Tensor],
    teacher: nn.Module,
    digest: str,
    images: Images,
    hw: tuple[int, int],
    *,
    device: torch.device | str = "cpu",
    progress: bool = True,
) -> np.ndarray:
    """``says`` of every picture and of its mirror image, float32 [N, 2, …], a memory map; computed where none is kept.

    what: names the output. teacher: the network that ``says`` runs, frozen; moved to ``device``. digest: of its weights
    Errors: ValueError for outputs in the cache that are of other pictures or of another teacher, or not finite.
    """
    about = {"what": what, "teacher": digest, "pictures": seen(images), "pixels": _pixels(images), "input": list(hw)}
    name = hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:16]
    path = cache_dir() / "teachers" / f"{name}.npy"
    path.parent.mkdir(parents=True, exist_ok=True)
    with locked(path.with_suffix(".lock")):
        if not path.is_file():
            _compute(path, about, says, teacher.to(device), images, hw, device, progress)
    return _read(path, about, len(images))


def _compute(
    path: Path,
    about: dict[str, Any],
    says: Callable[[Tensor], Tensor],
    teacher: nn.Module,
    images: Images,
    hw: tuple[int, int],
    device: torch.device | str,
    progress: bool,
) -> None:
    assert not teacher.training, "a teacher is frozen"
    with atomic_writes(path, _note(path)) as (temporary, note), torch.inference_mode():
        out = None
        for start in tqdm(range(0, len(images), BATCH), desc=about["what"], unit="batch", disable=not progress):
            index = torch.arange(start, min(start + BATCH, len(images)))
            x = to_input(gathered(images.pixels, index, hw).to(device))
            found = torch.stack([says(x), says(x.flip(-1))], 1).cpu().numpy()
            if not np.isfinite(found).all():
                raise ValueError(
                    f"{about['what']}: a teacher gave NaN or infinity on pictures {start} … {start + len(x)}"
                )
            if out is None:
                out = open_memmap(temporary, mode="w+", dtype=np.float32, shape=(len(images), *found.shape[1:]))
            out[start : start + len(found)] = found
        assert out is not None
        out.flush()
        note.write_text(json.dumps(about), encoding="utf-8")


def _read(path: Path, about: dict[str, Any], count: int) -> np.ndarray:
    remedy = f"delete {path} and it is computed again"
    try:
        noted, found = json.loads(_note(path).read_text(encoding="utf-8")), np.load(path, mmap_mode="r")
    except (OSError, ValueError) as error:
        raise ValueError(f"{path}: kept outputs of a teacher cannot be read ({error}); {remedy}") from None
    if noted != about or len(found) != count:
        differing = sorted(key for key in about if noted.get(key) != about[key]) or ["number"]
        raise ValueError(
            f"{path} holds a teacher's outputs of other {', '.join(differing)}: {noted.get('pictures')}, "
            f"wanted {about['pictures']}; {remedy}"
        )
    return found


def _note(path: Path) -> Path:
    return path.with_suffix(".json")


def _pixels(images: Images) -> str:
    """A sum over some pictures: names and records do not say how large they are, or how they were drawn."""
    rows = np.unique(np.linspace(0, len(images) - 1, SAMPLED).round().astype(int)).tolist()
    return f"{images.pixels.shape[1:]} crc {zlib.crc32(np.ascontiguousarray(images.pixels[rows]).tobytes()):08x}"
