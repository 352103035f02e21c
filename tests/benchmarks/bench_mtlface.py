"""Speed of MTLFace's synthesis, as ratios in one process: mask over gather form, seven calls over one.

ICM's gather form computes a group's 128 filters of 800: at least three times as fast on one group's batch (it is
(800/128)² times less work). Seven ages of a face are one batched call over one look of the encoder.
"""

from __future__ import annotations

import time
from statistics import median

import torch

from aifr_lib import models
from aifr_lib.models.mtlface import Recogniser
from aifr_lib.models.mtlface_synthesis import Generator, IdentityConditional


def seconds(call, rounds: int) -> float:
    """Median seconds of a call, after one that does not count."""
    call()
    found = []
    for _ in range(rounds):
        started = time.perf_counter()
        call()
        found.append(time.perf_counter() - started)
    return median(found)


def forms(rounds: int = 5) -> float:
    """Mask over gather form, on 32 faces of one group at the paper's sizes, forwards and backwards."""
    gather, mask = IdentityConditional(512, 7), IdentityConditional(512, 7, form="mask")
    mask.load_state_dict(gather.state_dict())
    x, group = torch.randn(32, 512, 7, 7), torch.full((32,), 3)
    spent = [seconds(lambda icm=icm: icm(x, group).sum().backward(), rounds) for icm in (mask, gather)]
    return spent[0] / spent[1]


def batched(rounds: int = 5) -> float:
    """Seven calls that each look anew, over one batched call, for a face of 112 pixels and small networks."""
    network = models.build("mobilefacenet", input_hw=(112, 112), width=0.5, embedding=64)
    reader = Recogniser(network, groups=7, hidden=64).eval()
    icm = IdentityConditional(reader.map_shape[0], 7, filters=64)
    generator = Generator(reader, icm, widths=(64, 48, 32, 16)).eval()
    x = torch.randn(1, 3, 112, 112)

    @torch.inference_mode()
    def one_by_one() -> None:
        for group in range(7):
            generator(x, reader.look(x), torch.tensor([group]))

    @torch.inference_mode()
    def at_once() -> None:
        generator.all_groups(x, reader.look(x))

    return seconds(one_by_one, rounds) / seconds(at_once, rounds)


def main() -> None:
    print(f"ICM, mask over gather form, one group's batch: {forms():.1f} ×")
    print(f"seven ages of a face, seven calls over one:    {batched():.1f} ×")


if __name__ == "__main__":
    main()
