"""Speed of relief faces: pictures a second at 112², drawn eagerly and compiled, and how far the two differ.

python tests/benchmarks/bench_relief.py
"""

from __future__ import annotations

import time

import torch

from aifr_lib.faces.relief import Faces, render

SIZE, THREADS = 112, 2
EAGER, COMPILED = 50.0, 300.0  # wanted, pictures a second on two cores


def faces(count: int) -> Faces:
    return Faces.sample(range(count), [5 + 70 * k / count for k in range(count)], range(count))


def speed(pictures: Faces, compiled: bool) -> float:
    """Pictures a second, the best of three runs."""
    best = 0.0
    for _ in range(3):
        start = time.perf_counter()
        render(pictures, SIZE, frame="aligned", compiled=compiled)
        best = max(best, len(pictures) / (time.perf_counter() - start))
    return best


def main() -> None:
    torch.set_num_threads(THREADS)
    few, many = faces(64), faces(512)
    render(few[:8], SIZE, frame="aligned")
    eager = speed(few, compiled=False)
    print(f"eager pictures/s: ours {eager:.0f}, reference {EAGER:.0f}, ratio {eager / EAGER:.2f} (wanted ≥ 1)")
    start = time.perf_counter()
    drawn = render(few, SIZE, frame="aligned", compiled=True)
    print(f"compiling: {time.perf_counter() - start:.0f} s")
    fast = speed(many, compiled=True)
    print(f"compiled pictures/s: ours {fast:.0f}, reference {COMPILED:.0f}, ratio {fast / COMPILED:.2f} (wanted ≥ 1)")
    apart = (drawn.int() - render(few, SIZE, frame="aligned").int()).abs()
    most, share = int(apart.max()), float((apart > 0).float().mean())
    print(
        f"eager against compiled, grey levels: ours {most}, reference 1, ratio {most} (wanted ≤ 1); {share:.1e} differ"
    )


if __name__ == "__main__":
    main()
