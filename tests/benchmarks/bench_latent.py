"""Speed of building edited faces against bare calls of the generator.

python tests/benchmarks/bench_latent.py
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from aifr_lib.data import edited as sets
from aifr_lib.faces.generators import mobilestylegan
from aifr_lib.faces.generators.sources import open_source
from aifr_lib.models import judges

PEOPLE, ALPHAS, ROUNDS = 2, (-4, -2, 2, 4), 3
EACH = 1 + len(ALPHAS)
COUNT = PEOPLE * EACH


def bare_calls(synthesise: Callable[[np.ndarray], object]) -> float:
    """Seconds a picture of a graph as OpenVINO runs it: floats, and nothing done with them."""
    codes = mobilestylegan.open_generator().codes(range(COUNT))
    synthesise(codes[:1])
    started = time.perf_counter()
    for code in codes:
        synthesise(code[None])
    return (time.perf_counter() - started) / COUNT


def graph(side: int) -> Callable[[np.ndarray], object]:
    """The package's graph as it is (1024), or cut where the library cuts it (512)."""
    import openvino

    files = mobilestylegan._files()
    core = openvino.Core()
    whole = core.read_model(files["SynthesisNetwork.xml"], files["SynthesisNetwork.bin"])
    if side != max(mobilestylegan.OUTPUTS):
        last = next(
            node for node in whole.get_ordered_ops() if node.get_friendly_name() == mobilestylegan.OUTPUTS[side][0]
        )
        whole = openvino.Model([last.output(0)], whole.get_parameters(), "synthesis")
    settings = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": torch.get_num_threads()}
    compiled: Callable[[np.ndarray], object] = core.compile_model(whole, "CPU", settings)
    return compiled


def build(folder: Path, plan: sets.Plan, estimate_age: sets.EstimateAge | None = None) -> float:
    """Seconds a picture from the first to the labels: drawing, alignment, JPEG, checksums, ages, disk."""
    source = open_source("latent")
    started = time.perf_counter()
    sets.build(folder, plan, source, estimate_age=estimate_age, progress=False)
    return (time.perf_counter() - started) / len(plan.labels)


def main() -> None:
    torch.set_num_threads(1)
    if reason := mobilestylegan.missing():
        print(reason)
        return
    cut, whole, judge = graph(512), graph(1024), judges.AgeJudge()
    names = ("bare, cut at 512", "bare, whole", "edited", "restart", "edited, ages told", "across ages, ages told")
    seconds: dict[str, list[float]] = {name: [] for name in names}
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        build(root / "warm", sets.edited(range(1), ("age",), ALPHAS), judge)
        for number in range(ROUNDS):
            people = range(10 * number, 10 * number + PEOPLE)
            edited, ages = sets.edited(people, ("age",), ALPHAS), sets.longitudinal(people, EACH)
            # In turns, so that whatever else the machine does falls on all of them.
            measured = (
                bare_calls(cut),
                bare_calls(whole),
                build(root / f"edited{number}", edited),
                build(root / f"edited{number}", edited),
                build(root / f"told{number}", edited, judge),
                build(root / f"ages{number}", ages, judge),
            )
            for name, one in zip(names, measured, strict=True):
                seconds[name].append(one)
    best = {name: min(values) for name, values in seconds.items()}
    reference, restart = best[names[0]], best["restart"]
    print(f"the package's whole graph at 1024: {1 / best['bare, whole']:.2f} pictures/s, for comparison")
    for name in ("edited", "edited, ages told", "across ages, ages told"):
        ours, ratio = 1 / best[name], reference / best[name]
        print(f"{name}: ours {ours:.2f}, reference {1 / reference:.2f} pictures/s, ratio {ratio:.2f} (wanted ≥ 0.95)")
    drawn = best["edited"]
    print(f"restart: ours {restart:.4f}, reference {drawn:.4f} s/picture, ratio {restart / drawn:.3f} (wanted ≤ 0.05)")


if __name__ == "__main__":
    main()
