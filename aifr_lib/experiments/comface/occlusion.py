"""Where a change is seen: a region of both pictures is made one flat colour, and the predicted change moves or not."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from aifr_lib.faces.align import SIDE

# Boxes in the 112×112 crop of ``faces.align.TEMPLATE``: top, bottom, left, right. A pixel belongs to the first that
# holds it; what no box holds is around the face.
BOXES: dict[str, tuple[tuple[int, int, int, int], ...]] = {
    "eyes": ((40, 62, 24, 50), (40, 62, 62, 88)),
    "nose": ((40, 80, 46, 66),),
    "mouth": ((80, 102, 36, 76),),
    "forehead": ((8, 40, 24, 88),),
    "cheeks": ((62, 92, 16, 46), (62, 92, 66, 96)),
    "chin": ((92, 112, 28, 84),),
}
AROUND = "around the face"
REGIONS = (*BOXES, AROUND)


def regions(side: int) -> dict[str, np.ndarray]:
    """The regions of an aligned crop of ``side`` pixels: bool [side, side] each, disjoint, together all of it."""
    place = (np.arange(side) + 0.5) * SIDE / side
    free = np.ones((side, side), dtype=bool)
    found = {}
    for name, boxes in BOXES.items():
        inside = np.zeros_like(free)
        for top, bottom, left, right in boxes:
            inside |= ((place >= top) & (place < bottom))[:, None] & ((place >= left) & (place < right))[None]
        found[name] = inside & free
        free &= ~inside
    return {**found, AROUND: free}


def flattened(x: np.ndarray, y: np.ndarray, region: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both pictures of each pair, uint8 [P, S, S, 3], with one and the same flat colour in a region: the mean of what
    both show there, so that nothing in it differs any more.
    """
    colour = (x[:, region].mean(1, dtype=np.float64) + y[:, region].mean(1, dtype=np.float64)) / 2
    changed = []
    for one in (x, y):
        flat = one.copy()
        flat[:, region] = colour.round().astype(np.uint8)[:, None]
        changed.append(flat)
    return changed[0], changed[1]


def effects(predict: Callable[[np.ndarray, np.ndarray], np.ndarray], x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """How much of d̂ comes from each of ``REGIONS``, [P, R], in its unit: d̂ less what is left of it without the region.

    predict: pictures uint8 [P, S, S, 3] twice → d̂ [P]. Effects need not sum to d̂.
    """
    whole = predict(x, y)
    masks = regions(x.shape[1])
    return np.stack([whole - predict(*flattened(x, y, masks[name])) for name in REGIONS], axis=1)
