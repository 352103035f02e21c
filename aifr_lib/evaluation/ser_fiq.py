"""SER-FIQ: the quality of a face picture as the agreement of random subnetworks about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, cast

import numpy as np
import torch
from torch import Tensor, nn

from aifr_lib.data.images import Images
from aifr_lib.data.loader import to_input
from aifr_lib.evaluation.checks import directed
from aifr_lib.evaluation.embeddings import evaluating, opened, place
from aifr_lib.progress import BAR_AFTER, tqdm

PASSES = 100
SLOPE, CENTRE = 130.0, 0.88  # of the rescaled score


class Headed(Protocol):
    """What a backbone needs: maps, a head that begins with the dropout, and that dropout."""

    dropout: nn.Dropout

    def features(self, x: Tensor) -> Tensor: ...
    def embed(self, features: Tensor) -> Tensor: ...


@dataclass(frozen=True)
class Quality:
    """Scores of N pictures, float64 [N] each.

    distance: mean pairwise Euclidean distance of the stochastic unit embeddings. raw: 2σ(−distance).
    score: the rescaled quality, 0 … 1; ComFace calls .6 and above good.
    """

    distance: np.ndarray
    raw: np.ndarray
    score: np.ndarray


def quality_of(distance: np.ndarray) -> Quality:
    """q = 2σ(−d̄) and its rescaling v = σ(130(q − .88)).

    Without any spread q = 1, v = σ(15.6).
    Source: Terhörst et al. 2020, eq. 2, where the sum over pairs is divided by T² / 2
    and in their published code, as here, by their number; the rescaling is that code's
    since 2021.
    """
    distance = np.asarray(distance, dtype=np.float64)
    raw = 2 / (1 + np.exp(distance))
    return Quality(distance, raw, 1 / (1 + np.exp(-SLOPE * (raw - CENTRE))))


def ser_fiq(
    model: nn.Module,
    pictures: Images | np.ndarray,
    *,
    passes: int = PASSES,
    seed: int = 0,
    batch_size: int = 32,
    device: torch.device | str | None = None,
    progress: bool = False,
) -> Quality:
    """Quality of pictures by ``passes`` stochastic passes through the head of a backbone trained with dropout.

    The maps before the dropout are computed once a picture; only what follows is repeated. The masks are
    drawn once from the seed and serve all pictures: the same subnetworks judge each, so scores compare well,
    and a score does not depend on which pictures stand beside it.

    model: IResNet, or any module with ``features``, ``embed`` (which begins with the dropout) and
        ``dropout``; the rate is the one it was trained with. Batch norms use their running statistics.
    pictures: Images, or uint8 [N, H, W, 3] RGB, of the network's input size.
    Errors: TypeError for a model without dropout or pictures that are not uint8 [N, H, W, 3]; ValueError for
        a rate of 0, fewer than two passes, no pictures or pictures of another size, and, naming the records,
        where the network gives NaN or zero.
    Source: SER-FIQ (Terhörst et al., CVPR 2020), same-model form; T = 100 as ComFace (appendix C.1).
    """
    rate = _rate(model)
    if passes < 2 or batch_size < 1:
        raise ValueError(f"passes {passes}, batch_size {batch_size}: at least 2 passes and a batch of 1 are needed")
    pixels, names = opened(pictures)
    wanted = tuple(getattr(model, "input_hw", pixels.shape[1:3]))
    if pixels.shape[1:3] != wanted:
        raise ValueError(f"the network takes {wanted} pixels, the pictures have {pixels.shape[1:3]}: resize them")
    head = cast(Headed, model)
    where = place(model, device)
    distances = np.empty(len(pixels))
    masks: Tensor | None = None
    with torch.inference_mode(), evaluating(model):
        for start in tqdm(
            range(0, len(pixels), batch_size), desc="quality", unit="batch", delay=BAR_AFTER, disable=not progress
        ):
            rows = slice(start, start + batch_size)
            maps = head.features(to_input(torch.from_numpy(np.array(pixels[rows])).to(where)))
            if masks is None:
                masks = _masks(passes, tuple(maps.shape[1:]), rate, seed).to(maps)
            # Apple's GPUs have no float64.
            passed = [head.embed(one * masks).cpu().double() for one in maps]
            norms = torch.stack([e.norm(dim=1) for e in passed])
            directed("embeddings", norms.numpy(), rows="records of a batch", name=names[rows].__getitem__)
            distances[rows] = [_spread(e / norm[:, None]) for e, norm in zip(passed, norms, strict=True)]
    return quality_of(distances)


def _rate(model: nn.Module) -> float:
    dropout = getattr(model, "dropout", None)
    if not isinstance(dropout, nn.Dropout) or not all(hasattr(model, name) for name in ("features", "embed")):
        raise TypeError(
            f"{type(model).__name__} has no dropout before its embedding layer: SER-FIQ needs a network that was "
            "trained with one, such as an IResNet"
        )
    if not 0 < dropout.p < 1:
        raise ValueError(f"{type(model).__name__} was built with dropout {dropout.p:g}: SER-FIQ needs 0 < rate < 1")
    return dropout.p


def _masks(passes: int, shape: tuple[int, ...], rate: float, seed: int) -> Tensor:
    """float32 [passes, *shape]: 0 with probability ``rate``, else 1 / (1 − rate)."""
    # On the CPU, whatever the device: one seed, one set of subnetworks.
    kept = torch.rand((passes, *shape), generator=torch.Generator().manual_seed(seed)) >= rate
    return kept / (1 - rate)


def _spread(unit: Tensor) -> float:
    """Mean Euclidean distance over all pairs of the rows [T, D] of length 1."""
    first, second = torch.triu_indices(len(unit), len(unit), 1)
    return float((2 - 2 * (unit @ unit.T)[first, second]).clamp(min=0).sqrt().mean())
