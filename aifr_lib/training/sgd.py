"""What the recipes share: SGD over a set of pictures, and what a finished training leaves.

SGD with momentum on all modules, one weight decay for all of them, rate falling to a tenth at given epochs (TML section
IV-B) or along a cosine, linear warm-up, random mirroring.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch
from pydantic import BaseModel
from torch import Tensor, nn

from aifr_lib.data.images import Images
from aifr_lib.data.loader import Rows, mirrored
from aifr_lib.models import weights
from aifr_lib.settings.recognition import Recognition
from aifr_lib.training.engine import Plan, fit

WEIGHTS = "weights.safetensors"
PIECE = 1 << 16  # records at a time
Network = TypeVar("Network", bound=nn.Module)


@dataclass(frozen=True)
class Trained(Generic[Network]):
    """A finished training: the network in eval mode, its weights on disk, their SHA-256, the last logged scalars."""

    network: Network
    weights: Path
    checksum: str
    scalars: dict[str, float]


def rate(config: Recognition, steps_per_epoch: int, steps: int) -> Callable[[int], float]:
    """Step → factor on the learning rate: linear warm-up, then tenths after each drop, or half a cosine to zero."""
    warm = round(config.warmup * steps_per_epoch)
    drops = [drop * steps_per_epoch for drop in config.drops]

    def factor(step: int) -> float:
        if step < warm:
            return (step + 1) / warm
        if config.schedule == "cosine":
            return 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, steps - warm)))
        return 0.1 ** sum(step >= drop for drop in drops)

    return factor


def steps_of(config: Recognition, pictures: int) -> tuple[int, int]:
    """Steps an epoch, and in all."""
    steps_per_epoch = max(1, pictures // config.batch)
    return steps_per_epoch, max(1, round(config.epochs * steps_per_epoch))


def descend(
    module: nn.Module,
    config: Recognition,
    images: Images,
    rows: Rows,
    out: Path,
    settings: Mapping[str, Any],
    *,
    inputs: Callable[[Tensor], Tensor] = mirrored,
    look: Callable[[int], None] | None = None,
    looks: int = 1,
    log_every: int = 20,
    device: str | None = None,
    compile: bool = False,
    progress: bool = True,
) -> dict[str, float]:
    """Train ``module`` in place as ``config`` says of steps, batches and rates; what ``fit`` returns, and raises.

    settings: what the training was asked to be, besides its pictures; a checkpoint of other settings is refused.
    look(step): called ``looks`` times, evenly over the training and at its end, in evaluation mode. It changes nothing:
    the weights at the end are kept, whatever it sees. log_every: in steps.
    """

    def later_is_better(step: int) -> float:
        assert look is not None
        look(step)
        return -step

    steps_per_epoch, steps = steps_of(config, len(rows))
    optimiser = torch.optim.SGD(
        module.parameters(), lr=config.lr, momentum=config.momentum, weight_decay=config.weight_decay
    )
    plan = Plan(
        steps=steps,
        batch=config.batch,
        seed=config.seed,
        accumulate=config.accumulate,
        clip=config.clip,
        precision=config.precision,
        log_every=log_every,
        compile=compile,
        evaluate_every=max(1, steps // looks),
        settings={"pictures": seen(images), **settings},
    )
    return fit(
        module,
        optimiser,
        rate(config, steps_per_epoch, steps),
        rows,
        plan,
        out,
        records=images.labels["record"].array,
        inputs=inputs,
        evaluate=None if look is None else later_is_better,
        device=device,
        progress=progress,
    )


def seen(images: Images) -> str:
    """What tells these pictures from others: set, version, number, and a sum over their records."""
    records = images.labels["record"].array
    crc = zlib.crc32(b"[")  # of the list as Python writes it, but never all of it at a time
    for first in range(0, len(records), PIECE):
        piece = repr(records[first : first + PIECE].tolist())[1:-1]
        crc = zlib.crc32((f", {piece}" if first else piece).encode(), crc)
    return f"{images.name} {images.version}, {len(records)} pictures, crc {zlib.crc32(b']', crc):08x}"


def finish(
    network: Network, recipe: str, config: BaseModel, images: Images, out: Path, scalars: dict[str, float]
) -> Trained[Network]:
    """Store a trained network in ``out``, its settings under the recipe's name and its pictures beside it."""
    path = out / WEIGHTS
    metadata = {recipe: config.model_dump_json(), "data": f"{images.name} {images.version}"}
    weights.save_weights(network.eval(), path, metadata)
    return Trained(network, path, weights.digest(network.state_dict()), scalars)
