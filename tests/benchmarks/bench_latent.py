"""Speed of building edited faces against bare calls of the generator.

python tests/benchmarks/bench_latent.py
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from aifr_lib.data import latent as sets
from aifr_lib.faces import latent
from aifr_lib.faces.sources import open_source

PEOPLE, ALPHAS, ROUNDS = 2, (-4, -2, 2, 4), 3


def bare_calls(count: int) -> float:
    """Seconds of the package's own graph, whole, as OpenVINO runs it: 1024×1024 floats and nothing done with them."""
    import openvino

    files = latent._files()
    core = openvino.Core()
    graph = core.read_model(files["SynthesisNetwork.xml"], files["SynthesisNetwork.bin"])
    settings = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": torch.get_num_threads()}
    synthesise = core.compile_model(graph, "CPU", settings)
    codes = latent.open_generator().codes(range(count))
    synthesise(codes[:1])
    started = time.perf_counter()
    for code in codes:
        synthesise(code[None])
    return time.perf_counter() - started


def build(folder: Path, people: range) -> float:
    """Seconds from the first picture to the labels: drawing, alignment, JPEG, checksums, disk."""
    plan = sets.edited(people, ("age",), ALPHAS)
    source = open_source("latent")
    started = time.perf_counter()
    sets.build(folder, plan, source, progress=False)
    return time.perf_counter() - started


def main() -> None:
    torch.set_num_threads(1)
    if reason := latent.missing():
        print(reason)
        return
    count = PEOPLE * (1 + len(ALPHAS))
    ours, bare, again = [], [], []
    with tempfile.TemporaryDirectory() as scratch:
        build(Path(scratch) / "warm", range(1))
        for number in range(ROUNDS):
            people = range(10 * number, 10 * number + PEOPLE)
            bare.append(bare_calls(count) / count)
            ours.append(build(Path(scratch) / str(number), people) / count)
            again.append(build(Path(scratch) / str(number), people) / count)
    reference, mine = float(np.min(bare)), float(np.min(ours))
    print(
        f"generation: ours {1 / mine:.2f}, reference {1 / reference:.2f} pictures/s, "
        f"ratio {reference / mine:.2f} (wanted ≥ 0.95)"
    )
    print(
        f"restart: ours {min(again):.4f}, reference {mine:.4f} s/picture, ratio {min(again) / mine:.3f} (wanted ≤ 0.05)"
    )


if __name__ == "__main__":
    main()
