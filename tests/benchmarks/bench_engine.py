"""The training loop against a bare hand-written loop of the same network on the same batches; PReLU against torch's.

Both loops do the same arithmetic: gather, scale, mirror, forward, backward, SGD. They take turns in short rounds, so
that a machine whose speed drifts slows both alike; the ratio is the median over rounds.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import nn
from torch.nn import functional as F

from aifr_lib import models
from aifr_lib.data.images import Images
from aifr_lib.data.loader import Rows
from aifr_lib.models.blocks import PReLU
from aifr_lib.settings.recognition import Recognition
from aifr_lib.training.engine import Plan, fit
from aifr_lib.training.recognition import objective

CONFIG = Recognition(input_hw=(64, 64), width=0.5, embedding=128, batch=64)
STEPS, ROUNDS = 24, 9


def pictures() -> Images:
    rng = np.random.default_rng(0)
    labels = pd.DataFrame({"record": [str(i) for i in range(640)], "identity": np.arange(640) // 10, "age": 30.0})
    return Images("noise", "1", rng.integers(0, 256, (640, 64, 64, 3), dtype=np.uint8), labels)


def new(module_seed: int = 0):
    torch.manual_seed(module_seed)
    module = objective(CONFIG, 64).to(memory_format=torch.channels_last)
    optimiser = torch.optim.SGD(module.parameters(), lr=0.01, momentum=0.9, weight_decay=5e-4)
    return module, optimiser


def bare(images: Images) -> float:
    module, optimiser = new()
    pixels, labels = torch.from_numpy(images.pixels), torch.tensor(images.labels["identity"].to_numpy())
    order = torch.randperm(len(images))
    module.train()
    started = time.perf_counter()
    for step in range(STEPS):
        rows = order[torch.arange(step * 64, step * 64 + 64) % len(order)]
        x = (pixels[rows].permute(0, 3, 1, 2).float() - 127.5) / 128
        x = torch.where(torch.rand(64, 1, 1, 1) < 0.5, x.flip(-1), x)
        optimiser.zero_grad()
        loss = F.cross_entropy(module.head(module.backbone(x), labels[rows]), labels[rows])
        loss.backward()
        optimiser.step()
    return time.perf_counter() - started


def ours(images: Images) -> float:
    module, optimiser = new()
    plan = Plan(steps=STEPS, batch=64, seed=0, log_every=20, checkpoint_every=1e9)
    with tempfile.TemporaryDirectory() as out:
        rows = Rows(images, (64, 64))
        records = images.labels["record"].tolist()
        scalars = fit(
            module,
            optimiser,
            lambda step: 1.0,
            rows,
            plan,
            Path(out),
            records=records,
            device="cpu",
            progress=False,
        )
    return scalars["seconds"]


def backbone_step(prelu: type[nn.Module], pixels: torch.Tensor) -> float:
    """Seconds for one forward and backward of the backbone, its activations replaced by ``prelu``."""
    module = models.build("mobilefacenet", input_hw=(64, 64), width=0.5, embedding=128).train()
    for part in list(module.modules()):
        for name, child in part.named_children():
            if isinstance(child, nn.PReLU):
                setattr(part, name, prelu(child.num_parameters))
    module.to(memory_format=torch.channels_last)
    module(pixels).sum().backward()
    started = time.perf_counter()
    module(pixels).sum().backward()
    return time.perf_counter() - started


def main() -> None:
    images = pictures()
    bare(images), ours(images)
    rounds = [(ours(images), bare(images)) for _ in range(ROUNDS)]
    ratio = statistics.median(a / b for a, b in rounds)
    mine, reference = (statistics.median(times) / STEPS * 1000 for times in zip(*rounds, strict=True))
    print(
        f"engine step: ours {mine:.1f} ms, bare loop {reference:.1f} ms, ratio {ratio:.3f} (wanted ≤ 1.03, "
        f"the final checkpoint of {STEPS} steps included)"
    )
    pixels = torch.randn(64, 3, 64, 64).to(memory_format=torch.channels_last)
    rounds = [(backbone_step(PReLU, pixels), backbone_step(nn.PReLU, pixels)) for _ in range(ROUNDS)]
    ratio = statistics.median(a / b for a, b in rounds)
    mine, reference = (statistics.median(times) * 1000 for times in zip(*rounds, strict=True))
    print(f"backbone with PReLU: ours {mine:.0f} ms, torch's {reference:.0f} ms, ratio {ratio:.2f} (wanted ≤ .8)")


if __name__ == "__main__":
    main()
