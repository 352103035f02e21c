"""What a step of a margin head takes whose people are shared out over processes: memory and time of each of them."""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path

import torch
from torch import distributed, multiprocessing

from aifr_lib.losses.sharded import ShardedHead, rows_of

STEPS = 3
STATUS = Path("/proc/self/status")
KEPT = 3  # numbers for each weight: itself, its gradient, its momentum


def lacking() -> str | None:
    """Why the memory of a process cannot be told here."""
    return None if STATUS.exists() else f"the memory of a process is read from {STATUS}, which Linux alone has"


def measured(people: int, processes: int, sampled: float, embedding: int, batch: int) -> dict[str, float]:
    """Of the first process: ``gigabytes`` by which head, optimiser and ``STEPS`` steps raise its peak, and the least
    CPU ``seconds`` of a step on one thread. batch: pictures over all processes.
    """
    with tempfile.TemporaryDirectory() as folder:
        given = (processes, folder, people, sampled, embedding, batch)
        multiprocessing.spawn(_in_each, given, nprocs=processes)
        return json.loads((Path(folder) / "found.json").read_text(encoding="utf-8"))


def on_paper(people: int, processes: int, embedding: int) -> float:
    """Gigabytes of W, its gradient and its momentum in the process that has most rows, in float32."""
    rows = max(len(rows_of(people, rank, processes)) for rank in (0, processes - 1))
    return KEPT * 4 * embedding * rows / 1e9


def _in_each(rank: int, processes: int, folder: str, people: int, sampled: float, embedding: int, batch: int) -> None:
    torch.set_num_threads(1)
    meeting = f"file://{folder}/meeting"
    distributed.init_process_group("gloo", init_method=meeting, rank=rank, world_size=processes)
    before = _gigabytes("VmRSS")
    head = ShardedHead("arcface", embedding, people, sampled=sampled)
    optimiser = torch.optim.SGD(head.parameters(), lr=0.1, momentum=0.9)
    taken = []
    for step in range(STEPS):
        torch.manual_seed(step * processes + rank)
        vectors = torch.randn(batch // processes, embedding, requires_grad=True)
        labels = torch.randint(0, people, (batch // processes,))
        began = time.process_time()
        head(vectors, labels).backward()
        optimiser.step()
        optimiser.zero_grad()
        taken.append(time.process_time() - began)
    if rank == 0:
        found = {"gigabytes": _gigabytes("VmHWM") - before, "seconds": min(taken)}
        (Path(folder) / "found.json").write_text(json.dumps(found), encoding="utf-8")
    distributed.destroy_process_group()


def _gigabytes(what: str) -> float:
    """What this process holds ("VmRSS"), or held at most ("VmHWM"). The peak that getrusage gives is, in a process just
    started, that of the one which started it.
    """
    line = next(line for line in STATUS.read_text(encoding="utf-8").splitlines() if line.startswith(f"{what}:"))
    return int(line.split()[1]) * 1024 / 1e9
