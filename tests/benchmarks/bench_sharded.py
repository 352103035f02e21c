"""A margin head over two processes: memory a process and seconds a step by the number of people.

What a process holds is its rows of W with gradient and momentum, and the logits of a batch: both fall with the number
of processes. ``--most 1000000`` for more people than the default, as far as the memory goes.
"""

from __future__ import annotations

import argparse
import resource
import socket
import time

import torch
from torch import distributed, multiprocessing

from aifr_lib.losses.sharded import ShardedHead

WIDTH, BATCH, STEPS = 512, 64, 3


def in_each(rank: int, world: int, port: int, classes: int, sampled: float) -> None:
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=world)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    head = ShardedHead("arcface", WIDTH, classes, sampled=sampled)
    optimiser = torch.optim.SGD([head.weight], lr=0.1, momentum=0.9)
    took = []
    for step in range(STEPS):
        torch.manual_seed(step * world + rank)
        embedding = torch.randn(BATCH // world, WIDTH, requires_grad=True)
        labels = torch.randint(0, classes, (BATCH // world,))
        start = time.process_time()
        head(embedding, labels).backward()
        optimiser.step()
        optimiser.zero_grad()
        took.append(time.process_time() - start)
    if rank == 0:
        held = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1e6
        weights = 3 * 4 * WIDTH * classes / world / 1e9
        print(
            f"{classes:,} people over {world} process{'es'[: 2 * (world > 1)]}, {sampled:g} of them sampled: "
            f"{held:.2f} GB a process ({weights:.2f} of them W, gradient, momentum), {min(took):.2f} s a step",
            flush=True,
        )
    distributed.destroy_process_group()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--most", type=int, default=100_000)
    options = parser.parse_args()
    classes = 100_000
    while classes <= options.most:
        for world, sampled in ((1, 1.0), (2, 1.0), (2, 0.1)):
            with socket.socket() as free:
                free.bind(("127.0.0.1", 0))
                port = free.getsockname()[1]
            multiprocessing.spawn(in_each, (world, port, classes, sampled), nprocs=world)
        classes *= 10


if __name__ == "__main__":
    main()
