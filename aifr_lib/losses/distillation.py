"""Attentive angular distillation (AAD): what a student is asked beside telling people apart, one function an equation.

Eq. 3, the mask of a map, is ``models.attention.attention_mask``: it is part of the networks too.
A heavy recogniser says which way features must point, at the end (eq. 7) and after each stage (eq. 9); an age estimator
shows where a face changes with age, and the student is drawn to the rest of it (eqs. 3 to 5). Maps are
``[B, C, h, w]``, masks ``[B, 1, h, w]``, embeddings ``[B, D]``; every loss is a scalar, a mean over the batch.
Teachers are frozen: what comes from one carries no gradient, but gradients pass through its later stages (eq. 9).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from aifr_lib.names import ConfigError, choose

Distance = Literal["squared", "linear"]
Reduction = Literal["mean", "sum"]


def age_invariant_mask(first: Tensor, mask: Tensor) -> Tensor:
    """Â_i = D_i(A_1) · (1 − A_i), [B, 1, h, w], i > 1 (eq. 4): face, as the first stage
    sees it, that no age shows on.

    first: A_1 of the age estimator; D_i shrinks it to the size of ``mask``, A_i, by
    averaging (inferred). Errors: ValueError where A_1 is no whole number of times as
    large.
    """
    (height, width), (h, w) = first.shape[-2:], mask.shape[-2:]
    if height % h or width % w:
        sizes = f"a mask of {height}×{width} does not shrink to one of {h}×{w}"
        raise ValueError(f"{sizes} by averaging whole cells")
    return F.avg_pool2d(first, (height // h, width // w)) * (1 - mask)


def attention_loss(
    invariant: Sequence[Tensor],
    student: Sequence[Tensor],
    reduction: Reduction = "mean",
) -> Tensor:
    """L_Att = Σ_{i>1} ‖Â_i − A_i^S‖² (eq. 5). reduction: "sum" as printed, over the
    cells of a mask; "mean" over them, so that stages weigh alike (inferred).

    Errors: ValueError for other numbers or sizes of masks.
    """
    _alike("masks", invariant, student)
    power = choose("reduction", reduction, {"mean": 1.0, "sum": 0.0})
    terms = [
        (theirs.detach() - ours).square().flatten(1).sum(1).mean() / theirs[0].numel() ** power
        for theirs, ours in zip(invariant, student, strict=True)
    ]
    return torch.stack(terms).sum()


def angular_loss(
    teacher: Tensor,
    student: Tensor,
    distance: Distance = "squared",
) -> Tensor:
    """L_n = (1 − cos(F^t, G(F^s)))² over embeddings [B, D] (eq. 7). distance: "linear"
    is 1 − cos, which all public code uses and whose slope does not vanish near the end.

    >>> angular_loss(torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 3.0]]))
    tensor(1.)

    Errors: ValueError for embeddings of other sizes.
    """
    _alike("embeddings", [teacher], [student])
    away = 1 - F.cosine_similarity(teacher.detach().float(), student.float())
    squared = choose("distance", distance, {"squared": True, "linear": False})
    return (away.square() if squared else away).mean()


def tail_loss(
    embedding: Tensor,
    adapted: Tensor,
    tail: Callable[[Tensor], Tensor],
    distance: Distance = "squared",
) -> Tensor:
    """L_i = (1 − cos(Tail_i(F_i^t), Tail_i(H_i(F_i^s))))² (eq. 9): the teacher finishes
    the student's half-done work.

    embedding: Tail_i(F_i^t), which is the teacher's embedding [B, D]. adapted:
    H_i(F_i^s), of the shape of F_i^t. tail: the teacher's later stages; the printed
    [H_i ∘ Tail_i] composes from left to right, as eq. 1 does.
    """
    return angular_loss(embedding, tail(adapted), distance)


def l2_loss(teacher: Tensor, student: Tensor) -> Tensor:
    """‖F^t − G(F^s)‖², summed over an embedding or a whole map (Student-1 of section
    IV-C).

    Errors: ValueError for features of other sizes.
    """
    _alike("features", [teacher], [student])
    away = teacher.detach().float() - student.float()
    return away.square().flatten(1).sum(1).mean()


def logit_loss(teacher: Tensor, student: Tensor, temperature: float = 4.0) -> Tensor:
    """T² KL(softmax(teacher / T) ‖ softmax(student / T)) over logits [B, N] of the same
    classes (Hinton et al., 2015): the rival that the paper does not try.

    Errors: ValueError for logits of other classes, or a temperature that is not
    positive.
    """
    _alike("logits", [teacher], [student])
    if not temperature > 0:
        raise ValueError(f"temperature {temperature}: must be positive")
    wanted = F.log_softmax(teacher.detach().float() / temperature, 1)
    said = F.log_softmax(student.float() / temperature, 1)
    away = F.kl_div(said, wanted, reduction="batchmean", log_target=True)
    return temperature**2 * away


def halved(last: float, stages: int = 4) -> tuple[float, ...]:
    """λ_1 … λ_n with λ_i = λ_{i+1} / 2 (section IV-C).

    >>> halved(1.0)
    (0.125, 0.25, 0.5, 1.0)

    Errors: ConfigError for a weight that is negative or no number.
    """
    if not 0 <= last < float("inf"):
        raise ConfigError(f"the weight of a loss is a number of 0 or more, got {last}")
    return tuple(last / 2 ** (stages - 1 - stage) for stage in range(stages))


def distillation_loss(
    identity: Tensor,
    angles: Mapping[int, Tensor],
    weights: Sequence[float],
    attention: Tensor | None = None,
    attention_weight: float = 1.0,
) -> Tensor:
    """L = L_SM + λ^A L_Att + Σ_i λ_i L_i (eq. 10); without attention and with the last
    stage alone, eq. 8.

    identity: L_SM of eq. 6 or a margin loss. angles: L_i by stage, 1 … n. weights: λ_1
    … λ_n.
    """
    total = identity + sum(weights[stage - 1] * loss for stage, loss in angles.items())
    return total if attention is None else total + attention_weight * attention


def _alike(what: str, theirs: Sequence[Tensor], ours: Sequence[Tensor]) -> None:
    sizes = [[tuple(one.shape) for one in side] for side in (theirs, ours)]
    if sizes[0] != sizes[1]:
        raise ValueError(f"the teacher's {what} are {sizes[0]}, the student's {sizes[1]}: they must be of one size")
