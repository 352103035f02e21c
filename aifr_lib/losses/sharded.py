"""Heads whose classes are shared out over processes: for more people than the memory of one holds.

Each process keeps the rows of W of its own classes and sees the embeddings of all. Its logits are those of its columns;
softmax over all of them takes two reductions, of the largest logit and of the sum of exponentials (Deng et al. 2019,
arXiv 1801.07698, section 3.2). With ``sampled`` < 1 the softmax runs over the people in the batch and a random share of
the others (Partial FC, An et al. 2021, arXiv 2010.05222, section 3.2). The optimiser steps all rows there, as SGD does:
those that were not drawn get no gradient, but their momentum and decay go on.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.nn import functional as F

from aifr_lib.losses import margins
from aifr_lib.names import ConfigError

DRAWN = 4096  # rows of W at a time


def rows_of(classes: int, rank: int, world: int) -> range:
    """The classes that process ``rank`` of ``world`` keeps: contiguous, their numbers at most one apart."""
    return range(classes * rank // world, classes * (rank + 1) // world)


class Sharded(nn.Module):
    """Vectors [B, D] and labels [B] of this process to the mean cross-entropy over the batch of all processes.

    ``head`` holds the rows of this process: each of its parameters [rows, …]. Their gradient is that of one process
    with the whole head. So is that of the vectors times the number of processes, whose mean DDP takes: a wrapper of DDP
    must leave ``head`` alone, as each process has its own. Every process brings equally many vectors.
    sampled: share of the classes in the softmax of a training; where the batch may hold more people, more.
    Errors: ConfigError for fewer classes than processes or a share outside (0, 1].
    """

    head: nn.Module

    def __init__(self, classes: int, sampled: float = 1.0) -> None:
        super().__init__()
        self.rank, self.world = _place()
        if classes < self.world or not 0 < sampled <= 1:
            raise ConfigError(f"{classes} classes over {self.world} processes, of which {sampled:g} is sampled")
        self.classes, self.sampled = classes, sampled
        self.rows = rows_of(classes, self.rank, self.world)

    def logits(self, vectors: Tensor, index: Tensor, own: Tensor, chosen: Tensor | None) -> Tensor:
        """Logits [B, columns] of the rows ``chosen`` of this process (None: of all).

        index [B, 1]: the column of each picture's person; own [B, 1]: whether that person is of this process at all.
        """
        raise NotImplementedError

    @torch.compiler.disable  # talk between processes is no part of a compiled graph
    def forward(self, vectors: Tensor, labels: Tensor) -> Tensor:
        vectors, labels = _Gathered.apply(vectors), margins.over_processes(labels)
        own = (labels >= self.rows.start) & (labels < self.rows.stop)
        # Of vectors whose person is elsewhere some column stands in; what comes of it
        # is masked out. Masks by place, and counts that are known beforehand: nothing
        # here waits for a GPU.
        place = (labels - self.rows.start).clamp(0, len(self.rows) - 1)
        chosen, column = self._chosen(place, own)
        logits = self.logits(vectors, column[:, None], own[:, None], chosen).float()
        largest = logits.detach().amax(1)
        _reduced(largest, distributed.ReduceOp.MAX)
        total = _Summed.apply((logits - largest[:, None]).exp().sum(1))
        named = logits.gather(1, column[:, None])[:, 0] - largest
        target = _Summed.apply(torch.where(own, named, 0))
        return (total.log() - target).mean()

    def _chosen(self, place: Tensor, own: Tensor) -> tuple[Tensor | None, Tensor]:
        """The rows in this step (None: all), and the column among them of each picture's person."""
        if self.sampled == 1 or not self.training:
            return None, place
        count = max(round(self.sampled * len(self.rows)), min(len(place), len(self.rows)))
        score = torch.rand(len(self.rows), device=place.device)
        # Those in the batch are always there.
        score.scatter_reduce_(0, place, torch.where(own, 2.0, 0.0), "amax")
        chosen = score.topk(count).indices.sort().values
        return chosen, torch.searchsorted(chosen, place).clamp(max=count - 1)

    @torch.no_grad()
    def whole(self, values: Tensor) -> Tensor | None:
        """Rows of all classes [classes, …] from those of each process, such as W or its momentum: on the CPU of the
        first process, None on the others. All must ask at once.
        """
        if self.rank:
            distributed.send(values.contiguous(), 0)
            return None
        found = torch.empty(self.classes, *values.shape[1:], dtype=values.dtype)
        found[: len(self.rows)] = values
        for rank in range(1, self.world):
            rows = rows_of(self.classes, rank, self.world)
            part = values.new_empty(len(rows), *values.shape[1:])
            distributed.recv(part, rank)
            found[rows.start : rows.stop] = part
        return found

    def own(self, whole: Tensor) -> Tensor:
        """This process's rows of what ``whole`` gave, perhaps over another number of processes.

        Errors: ConfigError for another number of classes.
        """
        if len(whole) != self.classes:
            raise ConfigError(f"{len(whole)} classes are stored, wanted {self.classes}")
        return whole[self.rows.start : self.rows.stop]

    def _start(self, fill: Callable[[Tensor], Tensor]) -> None:
        """Draw each parameter as the whole head would: the start is the same over any number of processes."""
        for parameter in self.head.parameters():
            for rows, block in _drawn(self.classes, parameter.shape[1:], fill):
                first, last = max(rows.start, self.rows.start), min(rows.stop, self.rows.stop)
                if first < last:
                    mine = slice(first - self.rows.start, last - self.rows.start)
                    parameter.data[mine] = block[first - rows.start : last - rows.start]


class ShardedHead(Sharded):
    """A margin head: embeddings [B, D] and labels [B] to the loss. name, options: of ``margins.build``.

    Errors besides: those of ``margins.build``.
    """

    head: margins.MarginHead

    def __init__(self, name: str, embedding: int, classes: int, *, sampled: float = 1.0, **options: Any) -> None:
        super().__init__(classes, sampled)
        with torch.random.fork_rng(devices=[]):
            self.head = margins.build(name, embedding, len(self.rows), **options)
        self.head.whole_batch = True
        self.name, self.options = name, options
        self._start(lambda block: nn.init.normal_(block, std=margins.STD))

    def like(self, embedding: int) -> ShardedHead:
        """A fresh head of the same kind, classes and margin over embeddings of another size."""
        return ShardedHead(self.name, embedding, self.classes, sampled=self.sampled, **self.options)

    def logits(self, vectors: Tensor, index: Tensor, own: Tensor, chosen: Tensor | None) -> Tensor:
        cosine = self.head.cosine(vectors) if chosen is None else self.head.cosine(vectors, self.head.weight[chosen])
        replaced = self.head.target(cosine.gather(1, index), vectors)
        return self.head.s * torch.where(own, cosine.scatter(1, index, replaced), cosine)


class ShardedLinear(Sharded):
    """A linear classifier with a bias: vectors [B, width] and labels [B] to the loss."""

    head: nn.Linear

    def __init__(self, width: int, classes: int, *, sampled: float = 1.0) -> None:
        super().__init__(classes, sampled)
        with torch.random.fork_rng(devices=[]):
            self.head = nn.Linear(width, len(self.rows))
        self._start(partial(_as_linear, width))

    def logits(self, vectors: Tensor, index: Tensor, own: Tensor, chosen: Tensor | None) -> Tensor:
        if chosen is None:
            return self.head(vectors)
        return F.linear(vectors, self.head.weight[chosen], self.head.bias[chosen])


def _as_linear(width: int, block: Tensor) -> Tensor:
    """Rows of the weight or of the bias, as ``nn.Linear`` starts."""
    if block.dim() == 2:
        return nn.init.kaiming_uniform_(block, a=math.sqrt(5))
    return nn.init.uniform_(block, -1 / math.sqrt(width), 1 / math.sqrt(width))


def _drawn(classes: int, shape: tuple[int, ...], fill: Callable[[Tensor], Tensor]) -> Iterator[tuple[range, Tensor]]:
    for first in range(0, classes, DRAWN):
        rows = range(first, min(first + DRAWN, classes))
        yield rows, fill(torch.empty(len(rows), *shape))


class _Gathered(torch.autograd.Function):
    """Rows of all processes; the gradient comes back summed over them, times their number (DDP takes the mean)."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor) -> Tensor:
        ctx.count = len(rows)
        return margins.over_processes(rows)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        rank, world = _place()
        gradient = gradients[0].contiguous() * world
        _reduced(gradient, distributed.ReduceOp.SUM)
        return gradient[rank * ctx.count : (rank + 1) * ctx.count]


class _Summed(torch.autograd.Function):
    """The sum over processes. All go on to the same loss, so each part's gradient is that of the sum."""

    @staticmethod
    def forward(ctx: Any, part: Tensor) -> Tensor:
        whole = part.clone()
        _reduced(whole, distributed.ReduceOp.SUM)
        return whole

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return gradients[0]


def _place() -> tuple[int, int]:
    if not (distributed.is_available() and distributed.is_initialized()):
        return 0, 1
    return distributed.get_rank(), distributed.get_world_size()


def _reduced(values: Tensor, how: Any) -> None:
    if _place()[1] > 1:
        distributed.all_reduce(values, how)
