"""ComFace's losses: who is shown (inter-personal) and how much changed (intra-personal).

The supplement names the two and gives no formula; these are inferred: a contrastive loss over pairs of one person, and
a regression of the change of strength by a Siamese network. Beside them stands the loss of its rival StableRep.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, distributed
from torch.distributed.nn import functional as across
from torch.nn import functional as F

Distance = Literal["l1", "l2", "smooth_l1"]
DISTANCES = {"l1": F.l1_loss, "l2": F.mse_loss, "smooth_l1": F.smooth_l1_loss}


def inter_loss(
    x: Tensor,
    y: Tensor,
    identity: Tensor,
    tau: float = 0.1,
    *,
    shared: bool = True,
) -> Tensor:
    """L_inter = (1/2N) Σ_i [ −log( e^{s(x_i, y_i)/τ} / Σ_k e^{s(x_i, y_k)/τ} ) + the
    same with x and y exchanged ].

    x, y: [N, D], projections z of the two pictures of N pairs. identity: int [N], whose
    pair each is: one person comes more than once (with each attribute), and pairs k ≠ i
    of that person are no negatives. s: cosine. shared: of several processes each holds
    a part of the pairs, negatives come from all; False: each holds all pairs.
    Source: ComFace, inter-personal learning; formula, τ and mask are inferred
        (InfoNCE).
    """
    x, y = F.normalize(x.float()), F.normalize(y.float())
    first = rank() * len(x) if shared else 0
    own = torch.arange(first, first + len(x), device=x.device)
    masked = identity[:, None] == gathered(identity, shared)[None, :]
    masked[torch.arange(len(x), device=x.device), own] = False

    def one_way(a: Tensor, b: Tensor) -> Tensor:
        logits = products(a, gathered(b, shared)) / tau
        return F.cross_entropy(logits.masked_fill(masked, -torch.inf), own)

    return (one_way(x, y) + one_way(y, x)) / 2


def intra_loss(predicted: Tensor, change: Tensor, distance: Distance = "l1") -> Tensor:
    """L_intra = (1/N) Σ_i |d̂_i − (α_yi − α_xi)|, or squared, or Huber's.

    predicted, change: [N]. Source: ComFace, intra-personal learning ("distance-based");
        the distance is inferred.
    """
    return DISTANCES[distance](predicted.float(), change)


def multi_positive_loss(z: Tensor, identity: Tensor, tau: float = 0.1, *, shared: bool = True) -> Tensor:
    """−Σ_k p_ik log q_ik, averaged over the pictures i that have company: p is even over the other pictures of the
    person, q the softmax over all other pictures of their cosines over τ.

    z: [M, D]; identity: int [M]. Source: StableRep (Tian et al. 2023), whose positives are pictures of one caption;
    here they are pictures of one person. shared: of several processes each holds a part, and all pictures are compared;
    False: each holds all pictures.
    """
    z = F.normalize(z.float())
    first = rank() * len(z) if shared else 0
    everyone, own = gathered(identity, shared), first + torch.arange(len(z), device=z.device)
    itself = own[:, None] == torch.arange(len(everyone), device=z.device)
    positive = (identity[:, None] == everyone[None, :]) & ~itself
    log_q = (products(z, gathered(z, shared)) / tau).masked_fill(itself, -torch.inf).log_softmax(1)
    count = positive.sum(1)
    each = -log_q.masked_fill(~positive, 0).sum(1) / count.clamp(min=1)
    return each.sum() / (count > 0).sum().clamp(min=1)


def products(a: Tensor, b: Tensor) -> Tensor:
    """Each row of a [N, D] times each of b [M, D], float32 [N, M], under autocast too: of cosines near one over a
    temperature of .1 half precision would leave steps of .04.
    """
    with torch.autocast(a.device.type, enabled=False):
        return a.float() @ b.float().T


def rank() -> int:
    """The number of this process; 0 of one."""
    return distributed.get_rank() if distributed.is_available() and distributed.is_initialized() else 0


def gathered(rows: Tensor, shared: bool = True) -> Tensor:
    """Rows [n, …] of all processes, [n · processes, …]; gradients go back to the process that made them.

    Not ``shared``, where each process has all of them, the rows as they are.

    Averaged over processes, as DistributedDataParallel does, they are those of one process with all rows.
    """
    if (
        not shared
        or not (distributed.is_available() and distributed.is_initialized())
        or distributed.get_world_size() == 1
    ):
        return rows
    return torch.cat(across.all_gather(rows.contiguous()))
