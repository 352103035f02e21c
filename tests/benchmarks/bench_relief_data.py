"""Serving cached pictures: batches through data/loader.py against a plain numpy copy of the same rows."""

from __future__ import annotations

import os
import tempfile
import time

import numpy as np

from aifr_lib.data import relief
from aifr_lib.data.images import Images
from aifr_lib.data.loader import Rows, ShuffledBatches, loader, to_input

SIZE, PEOPLE, EACH, BATCH, ROUNDS = 64, 100, 6, 128, 20


def rates(images: Images) -> dict[str, float]:
    """Pictures a second: served as bytes, served as the network's input, copied by numpy alone."""
    rows = Rows(images, (SIZE, SIZE))
    order = ShuffledBatches(len(images), BATCH, seed=0, start=0, stop=ROUNDS * (len(images) // BATCH))
    walk = list(order)

    def served(as_input: bool) -> None:
        for pixels, _, _ in loader(rows, order, pin=False):
            if as_input:
                to_input(pixels)

    def copied() -> None:
        for chosen in walk:
            np.array(images.pixels[chosen])

    found = {}
    for name, call in {
        "loader": lambda: served(False),
        "loader and to_input": lambda: served(True),
        "numpy": copied,
    }.items():
        call()
        start = time.perf_counter()
        call()
        found[name] = len(walk) * BATCH / (time.perf_counter() - start)
    return found


def main() -> None:
    with tempfile.TemporaryDirectory() as cache:
        os.environ["AIFR_CACHE"] = cache
        counts = {"size": SIZE, "identities": PEOPLE, "per_identity": EACH}
        relief.load("test", **counts)
        start = time.perf_counter()
        images = relief.load("test", **counts)
        opened = time.perf_counter() - start
        rate = rates(images)
    print(f"opening {len(images)} cached pictures of {SIZE}px, checksums included: ours {1e3 * opened:.0f} ms")
    for name in ("loader", "loader and to_input"):
        print(
            f"cached pictures of {SIZE}px, {name}: ours {rate[name]:.0f} images/s, reference numpy copy "
            f"{rate['numpy']:.0f} images/s, ratio {rate[name] / rate['numpy']:.2f} (wanted ≥ 10000 images/s)"
        )
    plan = relief.split_plan("test", 1000, 6)
    unrendered = Images(plan.name, relief.VERSION, np.zeros((len(plan), 1, 1, 3), np.uint8), plan.table())
    start = time.perf_counter()
    relief.pairs(unrendered, "relief-agedb")
    print(f"6,000 matched pairs over 1,000 × 6 pictures: ours {time.perf_counter() - start:.2f} s (wanted ≤ 5)")


if __name__ == "__main__":
    main()
