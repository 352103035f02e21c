"""Linear evaluation: layers over frozen features, of all action units and rates at once.

The engine trains one network and keeps its best weights; here hundreds of layers share one batch, and each keeps its
own best epoch. Adam acts on each number by itself, so that a layer is the same whoever stands beside it.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from aifr_lib.data.augment import augment, scaled
from aifr_lib.data.change_tasks import both_orders, some, within
from aifr_lib.data.images import ChangePairs, Images
from aifr_lib.data.loader import PairBatches
from aifr_lib.evaluation.change import Fold
from aifr_lib.models.comface import Comparer
from aifr_lib.models.encoders import features
from aifr_lib.settings.comface import Transfer

AT_ONCE = 256


class Linear(NamedTuple):
    """What was learnt for each of U units in one fold. predicted: [U, 2P], d̂ of the test pairs in both orders.

    rate, epoch: [U], those of the least error on validation subjects, ``mae`` [U].
    """

    predicted: np.ndarray
    rate: np.ndarray
    epoch: np.ndarray
    mae: np.ndarray


def view_features(
    config: Transfer,
    comparer: Comparer,
    images: Images,
    view: int,
    seed: int,
) -> Tensor:
    """h of one augmented view of each picture, float32 [N, D]: drawn from (seed, view),
    the same whenever it is asked.

    Of ``config.views`` views the epochs take turns; as many views as epochs are what
    training without a cache sees.
    """
    parts = []
    for start in range(0, len(images), AT_ONCE):
        pixels = torch.from_numpy(np.array(images.pixels[start : start + AT_ONCE]))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(zlib.crc32(f"{seed}/{view}/{start}".encode()))
            seen = augment(config.augmentation, pixels)
            parts.append(features(comparer.encoder, seen))
    return torch.cat(parts)


def plain_features(comparer: Comparer, images: Images) -> Tensor:
    """h of each picture as it is, float32 [N, D]."""
    starts = range(0, len(images), AT_ONCE)
    pixels = (torch.from_numpy(np.array(images.pixels[at : at + AT_ONCE])) for at in starts)
    return torch.cat([features(comparer.encoder, scaled(part)) for part in pixels])


def evaluate_linear(
    config: Transfer,
    views: Sequence[Tensor],
    plain: Tensor,
    values: np.ndarray,
    subjects: np.ndarray,
    tested: Sequence[ChangePairs],
    fold: Fold,
    layer: Tensor,
    seed: int,
) -> Linear:
    """Train the layers d̂ = w · (h_y − h_x) of U units at each rate on one fold.

    views: features [N, D] of augmented views; epoch e takes view e mod K. plain: of the pictures as they are. values:
    [N, U], the labels. tested: for each unit its pairs. layer: [D], what each layer starts from.
    A unit that never changes among the training subjects is learnt to stand still.
    """
    units, rates = values.shape[1], config.rates
    rows = fold.train
    learnt = [some(pairs, within(pairs, rows)) for pairs in tested]
    scale = np.array([both_orders(pairs).d.std() if config.target == "scaled" else 1.0 for pairs in learnt])
    scale[scale == 0] = 1.0
    target = torch.from_numpy((values / scale).astype(np.float32))
    layers = [layer.repeat(units, 1).clone().requires_grad_(True) for _ in rates]
    adam = torch.optim.Adam([{"params": [w], "lr": lr} for w, lr in zip(layers, rates, strict=True)])
    per_epoch = config.pairs_per_epoch or len(rows)
    steps = max(1, per_epoch // config.batch)
    order = PairBatches(subjects[rows], len(rows), config.batch, seed=seed, start=0, stop=steps * config.epochs)
    validating = [both_orders(some(pairs, within(pairs, fold.validation))) for pairs in tested]
    testing = [both_orders(some(pairs, within(pairs, fold.test))) for pairs in tested]
    best = np.full(units, np.inf)
    kept, rate, epoch = torch.zeros(units, plain.shape[1]), np.zeros(units), np.zeros(units, dtype=int)
    for step, listed in enumerate(order):
        pairs = torch.from_numpy(rows[np.asarray(listed)])
        h = views[step // steps % len(views)]
        difference = h[pairs[:, 1]] - h[pairs[:, 0]]
        wanted = target[pairs[:, 1]] - target[pairs[:, 0]]
        loss = torch.stack([(difference @ w.T - wanted).abs().mean(0).sum() for w in layers]).sum()
        adam.zero_grad()
        loss.backward()
        adam.step()
        if (step + 1) % steps == 0:
            for w, lr in zip(layers, rates, strict=True):
                said = scale * (plain.numpy() @ w.detach().numpy().T)
                for unit, one in enumerate(validating):
                    error = np.abs(said[one.b, unit] - said[one.a, unit] - one.d).mean()
                    if error < best[unit]:
                        best[unit], rate[unit], epoch[unit] = error, lr, (step + 1) // steps
                        kept[unit] = w.detach()[unit]
    said = scale * (plain.numpy() @ kept.numpy().T)
    predicted = np.stack([said[one.b, unit] - said[one.a, unit] for unit, one in enumerate(testing)])
    return Linear(predicted, rate, epoch, best)
