"""Margin losses: cosines to one weight vector per class, with a margin on the true class (TML eq. 2).

``build("arcface", 512, classes)`` gives a head; its logits go into a cross-entropy.
"""

from __future__ import annotations

import inspect
import math
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.nn import functional as F

from aifr_lib.names import ConfigError, choose, nearest

STD = 0.01  # of the weights at the start
EDGE = 1e-4  # cosines stay this far from -1 and 1, where the derivative of the angle is infinite


class MarginHead(nn.Module):
    """Embeddings ``[B, embedding]`` and labels ``[B]`` to logits ``[B, classes]``, always in float32.

    The logits are s cos(theta_j); subclasses say what replaces the cosine of the true class. Labels are int64
    in [0, classes); checking them here would stall the GPU, so a training does before it starts (``check_labels``).

    whole_batch: whether the embeddings are those of all processes already (``losses/sharded.py``).

    Weights start as N(0, .01) (inferred: what public implementations share; only their direction counts).
    Errors: ConfigError for sizes, scale or margin that make no sense.
    """

    whole_batch = False

    def __init__(self, embedding: int, classes: int, s: float = 64.0, m: float = 0.0) -> None:
        super().__init__()
        if embedding < 1 or classes < 1 or not s > 0 or not 0 <= m < math.pi / 2:
            raise ConfigError(
                f"embedding={embedding} and classes={classes} must be at least 1, s={s} above 0, m={m} in [0, pi/2)"
            )
        self.embedding = embedding
        self.classes = classes
        self.s = s
        self.m = m
        self.weight = nn.Parameter(torch.empty(classes, embedding))
        nn.init.normal_(self.weight, std=STD)

    def like(self, embedding: int) -> MarginHead:
        """A fresh head of the same kind, classes, scale and margin over embeddings of another size."""
        valid = inspect.signature(type(self)).parameters
        options = {name: getattr(self, name) for name in valid if name != "embedding"}
        return type(self)(embedding, **options)

    def cosine(self, embedding: Tensor, weight: Tensor | None = None) -> Tensor:
        """cos(theta_j) ``[B, classes]``, clamped to [-1 + 1e-4, 1 - 1e-4], in float32 under autocast too.

        weight: some rows of W (None: all).
        """
        weight = self.weight if weight is None else weight
        with torch.autocast(embedding.device.type, enabled=False):
            cosine = F.linear(F.normalize(embedding.float()), F.normalize(weight.float()))
        return cosine.clamp(EDGE - 1, 1 - EDGE)

    def target(self, cosine: Tensor, embedding: Tensor) -> Tensor:
        """What replaces the cosines ``[B, 1]`` of the true classes before scaling."""
        raise NotImplementedError

    def forward(self, embedding: Tensor, labels: Tensor) -> Tensor:
        cosine = self.cosine(embedding)
        index = labels[:, None]
        return self.s * cosine.scatter(1, index, self.target(cosine.gather(1, index), embedding))

    def extra_repr(self) -> str:
        return f"embedding={self.embedding}, classes={self.classes}, s={self.s}, m={self.m}"


class Softmax(MarginHead):
    """No margin: s cos(theta_y).

    Softmax over normalised vectors rather than over W f + b, so that it differs from the others by the margin
    alone (inferred; TML's eq. 1, the plain softmax, lacks its -log and sums over the wrong index, and is not
    followed).
    """

    def __init__(self, embedding: int, classes: int, s: float = 64.0) -> None:
        super().__init__(embedding, classes, s)

    def target(self, cosine: Tensor, embedding: Tensor) -> Tensor:
        return cosine


class CosFace(MarginHead):
    """cos(theta_y) - m (Wang et al. 2018, arXiv 1801.09414, eq. 4); m = .35 in TML and MTLFace.

    >>> head = CosFace(embedding=2, classes=2, s=10, m=0.3)
    >>> head.weight.data = torch.eye(2)
    >>> head(torch.tensor([[3.0, 4.0]]), torch.tensor([1])).detach().round(decimals=4)
    tensor([[6., 5.]])
    """

    def __init__(self, embedding: int, classes: int, s: float = 64.0, m: float = 0.35) -> None:
        super().__init__(embedding, classes, s, m)

    def target(self, cosine: Tensor, embedding: Tensor) -> Tensor:
        return cosine - self.m


class ArcFace(MarginHead):
    """cos(theta_y + m) (Deng et al. 2019, arXiv 1801.07698, eq. 3); m = .45 in TML, .5 in the original.

    Where theta_y > pi - m the angle would pass pi and the logit rise again, so there it is
    cos(theta_y) - m sin(m): the hardest samples keep a margin and their gradient (inferred; clipping the
    angle at pi would leave them none).

    >>> head = ArcFace(embedding=2, classes=2, s=10, m=math.pi / 4)
    >>> head.weight.data = torch.eye(2)
    >>> head(torch.tensor([[1.0, 1.0]]), torch.tensor([0])).detach().abs().round(decimals=4)
    tensor([[0.0000, 7.0711]])
    """

    def __init__(self, embedding: int, classes: int, s: float = 64.0, m: float = 0.45) -> None:
        super().__init__(embedding, classes, s, m)

    def target(self, cosine: Tensor, embedding: Tensor) -> Tensor:
        sine = torch.sqrt(1 - cosine.square())
        shifted = cosine * math.cos(self.m) - sine * math.sin(self.m)
        return torch.where(cosine >= math.cos(math.pi - self.m), shifted, cosine - self.m * math.sin(self.m))


class AdaFace(MarginHead):
    """cos(theta_y - m z) - (m + m z): a margin by image quality (Kim et al. 2022, arXiv 2204.00964).

    Quality is the norm of the embedding, clipped to [.001, 100], detached and standardised by running
    statistics: z = clip(h (|f| - mean) / (std + .001), -1, 1). In training each forward first moves ``mean``
    and ``std`` (from 20 and 100) by ``t_alpha`` towards those of its batch, that of all processes together;
    in evaluation they stand still. The angle stays within [.001, pi - .001], as in the published code.

    >>> head = AdaFace(embedding=2, classes=2, s=10).eval()
    >>> head.weight.data = torch.eye(2)
    >>> head(torch.tensor([[12.0, 16.0]]), torch.tensor([1])).detach().round(decimals=4)  # z = 0: CosFace's margin
    tensor([[6., 4.]])
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        embedding: int,
        classes: int,
        s: float = 64.0,
        m: float = 0.4,
        h: float = 0.333,
        t_alpha: float = 0.01,
    ) -> None:
        super().__init__(embedding, classes, s, m)
        self.h = h
        self.t_alpha = t_alpha
        self.register_buffer("mean", torch.tensor(20.0))
        self.register_buffer("std", torch.tensor(100.0))

    @torch.no_grad()
    def quality(self, embedding: Tensor) -> Tensor:
        """z ``[B, 1]`` in [-1, 1]; in training the running statistics move first."""
        norms = embedding.float().norm(dim=1, keepdim=True).clamp(1e-3, 100)
        if self.training:
            batch = norms if self.whole_batch else over_processes(norms)
            self.mean.lerp_(batch.mean(), self.t_alpha)
            # One picture has no sample deviation; 0 instead of NaN, which would stay in ``std`` for good.
            self.std.lerp_(batch.std(correction=min(1, len(batch) - 1)), self.t_alpha)
        return (self.h * (norms - self.mean) / (self.std + 1e-3)).clamp(-1, 1)

    def target(self, cosine: Tensor, embedding: Tensor) -> Tensor:
        z = self.quality(embedding)
        angle = (torch.acos(cosine) - self.m * z).clamp(1e-3, math.pi - 1e-3)
        return torch.cos(angle) - (self.m + self.m * z)


def check_labels(labels: Tensor, classes: int) -> None:
    """Errors: ValueError that names the first of the labels [N] which is not in [0, classes)."""
    outside = ((labels < 0) | (labels >= classes)).nonzero()
    if len(outside):
        row = int(outside[0])
        raise ValueError(
            f"label {int(labels[row])} of picture {row}: the head tells {classes} people apart, 0 to {classes - 1}"
        )


def over_processes(rows: Tensor) -> Tensor:
    """The rows [B, …] of all processes, [B · processes, …], without gradient; each must bring equally many."""
    if not (distributed.is_available() and distributed.is_initialized()) or distributed.get_world_size() == 1:
        return rows
    parts = [torch.empty_like(rows) for _ in range(distributed.get_world_size())]
    distributed.all_gather(parts, rows.contiguous())
    return torch.cat(parts)


HEADS: dict[str, type[MarginHead]] = {
    "softmax": Softmax,
    "cosface": CosFace,
    "arcface": ArcFace,
    "adaface": AdaFace,
}


def build(name: str, embedding: int, classes: int, **options: Any) -> MarginHead:
    """The head ``name``: ``build("cosface", 512, 1000, m=0.4)``.

    Errors: ConfigError for an unknown name, an option this head does not have, or a value that makes no
    sense.
    """
    head = choose("loss", name, HEADS)
    valid = [option for option in inspect.signature(head).parameters if option not in ("embedding", "classes")]
    for option in options:
        if option not in valid:
            raise ConfigError(f"loss '{name}' has no option '{option}'{nearest(option, valid)}")
    return head(embedding, classes, **options)
