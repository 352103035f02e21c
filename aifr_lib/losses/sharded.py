"""A margin head whose classes are shared out over processes: for more people than the memory of one holds.

Each process keeps the rows of W of its own classes and sees the embeddings of all. Its logits are those of its columns;
softmax over all of them takes two reductions, of the largest logit and of the sum of exponentials (Deng et al. 2019,
arXiv 1801.07698, section 3.2). With ``sampled`` < 1 the softmax runs over the people in the batch and a random share of
the others (Partial FC, An et al. 2021, arXiv 2010.05222, section 3.2).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, distributed, nn

from aifr_lib.losses import margins
from aifr_lib.names import ConfigError


def rows_of(classes: int, rank: int, world: int) -> range:
    """The classes that process ``rank`` of ``world`` keeps: contiguous, their numbers at most one apart."""
    return range(classes * rank // world, classes * (rank + 1) // world)


class ShardedHead(nn.Module):
    """Embeddings [B, D] and labels [B] of this process to the mean cross-entropy over the batch of all processes.

    The gradient of W is that of one process with the whole head. So is that of the embeddings times the number of
    processes, whose mean DDP takes: a wrapper of DDP must leave ``weight`` alone, as each process has its own
    (``DistributedDataParallel._set_params_and_buffers_to_ignore_for_model``). Every process brings equally many rows.
    name, options: of ``margins.build``. sampled: share of the classes in the softmax.
    Errors: ConfigError for fewer classes than processes or a share outside (0, 1]; those of ``margins.build``.
    """

    def __init__(self, name: str, embedding: int, classes: int, *, sampled: float = 1.0, **options: Any) -> None:
        super().__init__()
        self.rank, self.world = _place()
        if classes < self.world or not 0 < sampled <= 1:
            raise ConfigError(f"{classes} classes over {self.world} processes, of which {sampled:g} is sampled")
        self.classes, self.sampled = classes, sampled
        self.rows = rows_of(classes, self.rank, self.world)
        self.head = margins.build(name, embedding, len(self.rows), **options)
        self.head.whole_batch = True

    @property
    def weight(self) -> nn.Parameter:
        return self.head.weight

    def forward(self, embedding: Tensor, labels: Tensor) -> Tensor:
        embedding, labels = _Gathered.apply(embedding), margins.over_processes(labels)
        own = (labels >= self.rows.start) & (labels < self.rows.stop)
        chosen, column = self._chosen(labels[own] - self.rows.start)
        cosine = self._cosine(embedding, chosen)
        index = torch.zeros_like(labels)
        index[own] = column
        index = index[:, None]
        # Of rows whose person is elsewhere the first column stands in; what comes of it is masked out.
        replaced = self.head.target(cosine.gather(1, index), embedding)
        logits = self.head.s * torch.where(own[:, None], cosine.scatter(1, index, replaced), cosine)
        largest = logits.detach().amax(1)
        _reduced(largest, distributed.ReduceOp.MAX)
        total = _Summed.apply((logits - largest[:, None]).exp().sum(1))
        target = _Summed.apply(torch.where(own, logits.gather(1, index)[:, 0] - largest, 0))
        return (total.log() - target).mean()

    def _chosen(self, mine: Tensor) -> tuple[Tensor | None, Tensor]:
        """The rows of W in this step (None: all), and the places among them of the people ``mine``."""
        count = round(self.sampled * len(self.rows))
        if self.sampled == 1 or not self.training:
            return None, mine
        people = mine.unique()
        score = torch.rand(len(self.rows), device=mine.device)
        score[people] = 2.0  # those in the batch are always there
        chosen = score.topk(max(count, len(people), 1)).indices.sort().values
        return chosen, torch.searchsorted(chosen, mine)

    def _cosine(self, embedding: Tensor, chosen: Tensor | None) -> Tensor:
        if chosen is None:
            return self.head.cosine(embedding)
        with torch.autocast(embedding.device.type, enabled=False):
            weight = nn.functional.normalize(self.weight[chosen].float())
            cosine = nn.functional.normalize(embedding.float()) @ weight.T
        return cosine.clamp(margins.EDGE - 1, 1 - margins.EDGE)

    @torch.no_grad()
    def whole(self) -> Tensor:
        """W of all classes [classes, D], on every process: what a checkpoint keeps, however many there are."""
        largest = -(-self.classes // self.world)
        padded = self.weight.new_zeros(largest, self.weight.shape[1])
        padded[: len(self.rows)] = self.weight
        parts = margins.over_processes(padded).view(self.world, largest, -1)
        counts = [len(rows_of(self.classes, rank, self.world)) for rank in range(self.world)]
        return torch.cat([part[:count] for part, count in zip(parts, counts, strict=True)])

    @torch.no_grad()
    def take(self, whole: Tensor) -> None:
        """This process's rows of a W that ``whole`` gave, perhaps over another number of processes.

        Errors: ConfigError for a W of another shape.
        """
        if whole.shape != (self.classes, self.weight.shape[1]):
            raise ConfigError(f"W is {list(whole.shape)}, wanted {[self.classes, self.weight.shape[1]]}")
        self.weight.copy_(whole[self.rows.start : self.rows.stop])


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
