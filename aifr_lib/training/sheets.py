"""Looks at drawn faces while they are learned: a sheet of pictures every so many steps, to be opened meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from aifr_lib.data.images import Images
from aifr_lib.data.loader import crop_columns, to_input
from aifr_lib.files import atomic_write

SHEETS = "sheets"  # below the folder of a training
FACES = 8  # a sheet

Draw = Callable[[Tensor], Tensor]  # faces [B, 3, H, W] to faces at every age group [B, G, 3, H, W]


def across(ages: Sequence[float] | np.ndarray, count: int = FACES) -> np.ndarray:
    """Rows of ``count`` pictures whose ages are spread evenly from the youngest to the oldest.

    >>> across([30.0, 3.0, 80.0, 50.0], 3).tolist()
    [1, 0, 2]
    """
    order = np.argsort(np.asarray(ages), kind="stable")
    return order[np.linspace(0, len(order) - 1, min(count, len(order))).astype(int)]


def levels(faces: Tensor) -> np.ndarray:
    """Faces [..., 3, H, W] in (−1, 1) as pictures: uint8 [..., H, W, 3], what ``to_input`` came from.

    >>> int(levels(to_input(torch.full((1, 2, 2, 3), 200, dtype=torch.uint8))).max())
    200
    """
    stored = (faces.float() * 128 + 127.5).round().clamp(0, 255).to(torch.uint8)
    return stored.movedim(-3, -1).cpu().numpy()


def drawn(draw: Draw, pictures: np.ndarray, device: torch.device | str, batch: int = 64) -> np.ndarray:
    """Pictures uint8 [N, H, W, 3] at every age group: uint8 [N, G, H, W, 3]."""
    parts = []
    with torch.inference_mode():
        for start in range(0, len(pictures), batch):
            one = torch.from_numpy(np.array(pictures[start : start + batch])).to(device)
            parts.append(levels(draw(to_input(one))))
    return np.concatenate(parts)


def sheet(pictures: np.ndarray, at_groups: np.ndarray) -> np.ndarray:
    """One picture: a line for each face, itself first, then at every age group; uint8 [N H, (1 + G) W, 3]."""
    lines = np.concatenate([pictures[:, None], at_groups], 1)
    count, columns, height, width, _ = lines.shape
    return lines.transpose(0, 2, 1, 3, 4).reshape(count * height, columns * width, 3)


def writer(out: Path, network: Callable[[], Any], images: Images, hw: tuple[int, int]) -> Callable[[int], float]:
    """What ``fit`` asks on the way: it writes a sheet, ``out/sheets/000500.png``, and says that later is better.

    network: gives what is trained, which has ``at_groups``. Its faces are training faces, of ages spread evenly.
    """
    rows = across(images.labels["age"].to_numpy(np.float64))
    pictures = crop_columns(np.asarray(images.pixels[np.sort(rows)]), hw)[np.argsort(np.argsort(rows))]

    def later_is_better(step: int) -> float:
        drawing = network()
        device = next(drawing.parameters()).device
        whole = Image.fromarray(sheet(pictures, drawn(drawing.at_groups, pictures, device)))
        with atomic_write(out / SHEETS / f"{step:06d}.png") as temporary:
            whole.resize((2 * whole.width, 2 * whole.height), Image.Resampling.BILINEAR).save(temporary)
        return -step

    return later_is_better
