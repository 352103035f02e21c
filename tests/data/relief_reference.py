"""Reference of the frozen relief faces: a picture of each split and set, with parameters and pairs.

Written once for a release, with ``python tests/data/relief_reference.py`` after ``RELEASE`` in
``aifr_lib/data/relief_plan.py`` was raised; ``test_relief_frozen.py`` compares with it from then on.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from aifr_lib.config import atomic_write
from aifr_lib.data import relief
from aifr_lib.data.images import Images
from aifr_lib.data.relief_cache import draw
from aifr_lib.data.relief_plan import Plan

FILE = Path(__file__).with_name("relief_reference.npz")
SIZE, ROWS = 48, 6
COUNTS = {
    "relief-fgnet": {"people": 3, "pictures": 12},
    "relief-megaface": {"count": 6},
    "relief-logiface": {"subjects": 2, "pictures": 12},
    "relief-ijb": {"identities": 2},
    "relief-disfa": {"subjects": 1, "frames": 60},
    "relief-edema": {"subjects": 1, "days": 1, "frames": 3},
}


def plans() -> dict[str, Plan]:
    """A small plan of each split, view and set."""
    splits = [relief.split_plan(split, 3, 6) for split in relief.SPLITS]
    splits += [relief.split_plan("test", 3, 6, view="pose"), relief.split_plan("test", 3, 6, frame="portrait")]
    sets = [relief.set_plan(name, **COUNTS[name]) for name in relief.SETS]
    return {f"{plan.name} {plan.frame}": plan for plan in (*splits, *sets)}


def content() -> dict[str, np.ndarray]:
    """pixels uint8 [plans, 48, 48, 3] of the last of six rows, their parameters, and the rows of each pair list."""
    every = plans()
    tables = [plan.table()[:ROWS].select_dtypes("number") for plan in every.values()]
    columns = sorted(set.intersection(*(set(table) for table in tables)))
    found = {
        "version": np.array(relief.VERSION),
        "plans": np.array(list(every)),
        "columns": np.array(columns),
        "parameters": np.stack([table[columns].to_numpy(np.float64) for table in tables]),
        "pixels": np.stack([draw(plan, slice(ROWS - 1, ROWS), SIZE)[0].numpy() for plan in every.values()]),
    }
    for name, one in relief.PAIR_LISTS.items():
        plan = relief.split_plan("test", 40, 6, view=one.view)
        pairs = relief.pairs(unrendered(plan), name, count=40)
        found[name] = np.stack([pairs.a, pairs.b])
    return found


def unrendered(plan: Plan) -> Images:
    """The pictures of a plan, black and of one pixel, for what needs their labels alone."""
    return Images(plan.name, relief.VERSION, np.zeros((len(plan), 1, 1, 3), np.uint8), plan.table())


def drift(reference: dict[str, np.ndarray], now: dict[str, np.ndarray]) -> str:
    """What differs between two contents, in words; empty where no pixel moved by more than one grey level."""
    for key in ("version", "plans", "columns", *relief.PAIR_LISTS):
        if not np.array_equal(reference[key], now[key]):
            return f"{key} differs"
    apart = ~np.isclose(reference["parameters"], now["parameters"], rtol=1e-5, atol=1e-5)
    if apart.any():
        plan, row, column = np.argwhere(apart)[0]
        return f"{now['columns'][column]} of picture {row} of {now['plans'][plan]} differs"
    levels = np.abs(reference["pixels"].astype(int) - now["pixels"]).max((1, 2, 3))
    return f"{now['plans'][levels.argmax()]}: {levels.max()} grey levels" if levels.max() > 1 else ""


def main() -> None:
    with atomic_write(FILE) as path:
        np.savez_compressed(path, **content())


if __name__ == "__main__":
    main()
