"""Protocols at full scale: IJB-C templates, MegaFace's million distractors, SER-FIQ's hundred passes.

Each part runs in a process of its own, so that its peak memory is its own. ``--scale 0.01`` for a quick look.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import torch
from numpy.lib.format import write_array_header_1_0

from aifr_lib.evaluation.distractors import BLOCK, among_distractors
from aifr_lib.evaluation.ser_fiq import ser_fiq
from aifr_lib.evaluation.templates import pool, verify_templates
from aifr_lib.models import build

WIDTH = 512
IMAGES, TEMPLATES, PAIRS, GENUINE = 469_375, 23_124, 15_658_489, 19_557  # IJB-C, 1:1
DISTRACTORS, PROBES, PHOTOS = 1_000_000, 1_000, 12  # FG-NET against MegaFace
FACES, PASSES = 16, 100


def seconds(call: Callable[[], object]) -> tuple[float, float]:
    """Of the clock, and of all processors together: on a busy machine the second is the steadier."""
    start, busy = time.perf_counter(), time.process_time()
    call()
    return time.perf_counter() - start, time.process_time() - busy


def write_noise(path: Path, rows: int) -> None:
    """Normal features float32 [rows, WIDTH] in a ``.npy`` file.

    Written, not mapped: a child process inherits the peak memory of its parent.
    """
    random = np.random.default_rng(0)
    with path.open("wb") as file:
        write_array_header_1_0(file, {"descr": "<f4", "fortran_order": False, "shape": (rows, WIDTH)})
        for start in range(0, rows, 65_536):
            random.standard_normal((min(65_536, rows - start), WIDTH), dtype=np.float32).tofile(file)


def ijb(scale: float, folder: Path) -> list[str]:
    images, count, pairs, genuine = (max(60, int(n * scale)) for n in (IMAGES, TEMPLATES, PAIRS, GENUINE))
    random = np.random.default_rng(1)
    template = np.sort(np.concatenate([np.arange(count), random.integers(0, count, images - count)]))
    media = random.integers(0, images // 3, images)
    scores = random.uniform(0.8, 1, images)
    first = np.sort(random.integers(0, count, pairs))
    second = random.integers(0, count, pairs)
    same = np.zeros(pairs, dtype=bool)
    same[random.choice(pairs, genuine, replace=False)] = True

    def protocol() -> None:
        pooled = pool(folder / "features.npy", template, media, scores=scores)
        verify_templates(pooled, first, second, same)

    took, busy = seconds(protocol)
    size = f"{images} pictures, {count} templates, {pairs} pairs"
    return [f"IJB-C, {size}: ours {took:.1f} s, {busy:.1f} s of processor (wanted ≤ {90 * scale:.1f})"]


def megaface(scale: float, folder: Path) -> list[str]:
    distractors, probes = int(DISTRACTORS * scale), max(24, int(PROBES * min(1, 10 * scale)))
    random = np.random.default_rng(2)
    embeddings = random.standard_normal((probes, WIDTH), dtype=np.float32)
    identities = np.arange(probes) // PHOTOS
    counts = [n for n in (10, 100, 1_000, 10_000, 100_000) if n < distractors] + [distractors]
    block = random.standard_normal((BLOCK, WIDTH), dtype=np.float32)
    products, room = 8, np.empty((probes, BLOCK), dtype=np.float32)

    def multiply() -> None:
        for _ in range(products):
            np.matmul(embeddings, block.T, out=room)

    # Before and after: other work on the machine comes and goes.
    bare = [seconds(multiply) for _ in range(4)][1:]
    took = seconds(lambda: among_distractors(embeddings, identities, folder / "features.npy", counts))
    bare += [seconds(multiply) for _ in range(3)]
    product = np.median(bare, axis=0) / products * distractors / BLOCK
    size = f"MegaFace, {probes} probes × {distractors} distractors"
    return [
        f"{size}{clock}: ours {ours:.1f} s, reference (the bare product) {reference:.1f} s, "
        f"ratio {reference / ours:.2f} (wanted ≥ 0.7)"
        for clock, ours, reference in zip(("", ", of processor"), took, product, strict=True)
    ]


def quality(scale: float, folder: Path) -> list[str]:
    torch.manual_seed(0)
    network = build("iresnet50").eval()
    faces = np.random.default_rng(3).integers(0, 256, (max(2, int(FACES * min(1, scale))), 112, 112, 3), dtype=np.uint8)
    x = torch.randn(len(faces), 3, 112, 112)

    def forward() -> None:
        with torch.inference_mode():
            network(x)

    ours, reference = [], []
    forward()
    for _ in range(3):
        reference.append(seconds(forward))
        ours.append(seconds(lambda: ser_fiq(network, faces, passes=PASSES)))
    size = f"SER-FIQ, {PASSES} passes, {len(faces)} faces"
    return [
        f"{size}{clock}: ours {a:.2f} s, reference (one forward of IResNet-50) {b:.2f} s, "
        f"ratio {a / b:.2f} (wanted ≤ 1.5)"
        for clock, a, b in zip(("", ", of processor"), np.min(ours, axis=0), np.min(reference, axis=0), strict=True)
    ]


PARTS: dict[str, tuple[Callable[[float, Path], list[str]], float, float]] = {
    # The part, rows of features in its file, GB wanted at most (0: not asked).
    "ijb": (ijb, IMAGES, 4),
    "megaface": (megaface, DISTRACTORS, 2),
    "quality": (quality, 0, 0),
}


def run(part: str, scale: float, folder: Path) -> list[str]:
    """The lines of one part and its peak memory; called in a fresh process."""
    work, _, most = PARTS[part]
    lines = work(scale, folder)
    if most:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
        lines.append(f"{part}, resident at most: ours {peak:.2f} GB (wanted ≤ {most})")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--part", choices=PARTS, nargs="*", default=list(PARTS))
    options = parser.parse_args()
    for part in options.part:
        fresh = ProcessPoolExecutor(1, multiprocessing.get_context("spawn"))
        with tempfile.TemporaryDirectory() as name, fresh:
            folder = Path(name)
            if rows := int(PARTS[part][1] * options.scale):
                write_noise(folder / "features.npy", max(60, rows))
            for line in fresh.submit(run, part, options.scale, folder).result():
                print(line, flush=True)


if __name__ == "__main__":
    main()
