"""A .rec read through the library against the bare decoding of the same JPEG bytes, and an index of millions of rows.

Both sides decode with libjpeg-turbo in one thread and take turns, batch by batch, in one process.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import simplejpeg

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "data"))

from stored_examples import jpegs

from aifr_lib.data import sets
from aifr_lib.data.formats import image_records, index
from aifr_lib.data.formats.image_records import Labelled
from aifr_lib.data.formats.insightface_bin import read_bin, write_bin
from aifr_lib.data.formats.stored import StoredPixels
from aifr_lib.data.images import Images

PICTURES, BATCH, TURNS = 3000, 64, 15
ROWS = 5_000_000


def rates(calls: dict[str, Callable[[np.ndarray], object]], order: dict[str, np.ndarray]) -> dict[str, float]:
    """Pictures per second of each call: batch by batch in turns, and of each batch the fastest of TURNS.

    What else the machine does then slows all calls alike, or none.
    """
    starts = range(0, PICTURES, BATCH)
    fastest = {name: np.full(len(starts), np.inf) for name in calls}
    for turn in range(TURNS):
        for number, start in enumerate(starts):
            # None always comes first: what one leaves in the memory's caches serves the next.
            for name, call in [*calls.items()][turn % len(calls) :] + [*calls.items()][: turn % len(calls)]:
                rows = order[name][start : start + BATCH]
                began = time.perf_counter()
                call(rows)
                fastest[name][number] = min(fastest[name][number], time.perf_counter() - began)
    return {name: PICTURES / float(times.sum()) for name, times in fastest.items()}


def records(folder: Path) -> None:
    pictures = [jpegs()[row % len(jpegs())] for row in range(PICTURES)]
    path = folder / "train.rec"
    start = time.perf_counter()
    image_records.write(
        path,
        (Labelled(data, row // 10) for row, data in enumerate(pictures)),
        PICTURES,
        size=(112, 112),
        progress=False,
    )
    spent = time.perf_counter() - start
    print(f".rec: {PICTURES} pictures of {path.stat().st_size / PICTURES:.0f} bytes written in {spent:.2f} s")
    pixels = sets.load(path, progress=False).pixels
    in_order = np.arange(PICTURES)
    shuffled = np.random.default_rng(0).permutation(PICTURES)

    def raw(rows: np.ndarray) -> list[np.ndarray]:
        return [simplejpeg.decode_jpeg(pictures[row]) for row in rows]

    rate = rates(
        {"raw": raw, "sequential": pixels.__getitem__, "random": pixels.__getitem__},
        {"raw": in_order, "sequential": in_order, "random": shuffled},
    )
    for name, wanted in (("sequential", 0.9), ("random", 0.8)):
        print(
            f".rec {name}: ours {rate[name]:.0f} pictures/s, reference (bare decoding) {rate['raw']:.0f}, "
            f"ratio {rate[name] / rate['raw']:.2f} (wanted ≥ {wanted})"
        )


def pairs(folder: Path) -> None:
    path = folder / "lfw.bin"
    write_bin(path, [jpegs()[row % len(jpegs())] for row in range(12_000)], [row % 2 == 0 for row in range(6000)])
    start = time.perf_counter()
    read_bin(path)
    print(f".bin: 6000 pairs opened in {time.perf_counter() - start:.2f} s (wanted ≤ 1)")


def resident() -> float:
    """Memory of this process now, in MB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


class Nothing:
    def __init__(self, count: int):
        self.count = count

    def __len__(self) -> int:
        return self.count


def millions(folder: Path) -> None:
    source = folder / "big.rec"
    source.write_bytes(bytes(64))
    random = np.random.default_rng(0)

    def make() -> pa.Table:
        columns = {
            "key": np.arange(1, ROWS + 1),
            "offset": np.cumsum(random.integers(5000, 9000, ROWS)),
            "size": random.integers(5000, 9000, ROWS).astype(np.int32),
            "identity": np.arange(ROWS) // 50,
            "age": np.full(ROWS, np.nan, np.float32),
            "gender": np.full(ROWS, -1, np.int8),
        }
        return sets._with_version(pa.table(columns))

    index.cached("rec", source, make)

    def opened() -> Images:
        table = index.cached("rec", source, make)
        return sets._images("big", table, StoredPixels(Nothing(ROWS), (112, 112)))  # type: ignore[arg-type]

    before = resident()
    images = opened()
    grown = resident() - before
    times = []
    for _ in range(3):
        start = time.perf_counter()
        opened()
        times.append(time.perf_counter() - start)
    print(
        f"index of {len(images)} pictures: opened in {min(times):.2f} s (wanted ≤ 2), "
        f"{grown:.0f} MB more in memory (wanted ≤ 500)"
    )


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        os.environ["AIFR_CACHE"] = f"{name}/cache"
        for part in (records, pairs, millions):
            part(Path(name))


if __name__ == "__main__":
    main()
