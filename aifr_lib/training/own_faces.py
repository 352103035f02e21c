"""A network trained further on somebody's own pictures: a new margin head first, then all weights, stopped early."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F

from aifr_lib.data.images import Images
from aifr_lib.data.loader import Batch, Rows, mirrored
from aifr_lib.files import atomic_write
from aifr_lib.losses import margins
from aifr_lib.models import weights
from aifr_lib.models.foreign import layouts, read
from aifr_lib.models.foreign.cards import Card, Carded, read_card, settle
from aifr_lib.models.foreign.layouts import Match
from aifr_lib.names import ConfigError
from aifr_lib.settings.own_faces import OwnFaces
from aifr_lib.training import recognition
from aifr_lib.training.engine import Frozen, Plan, fit
from aifr_lib.training.sgd import rate, seen, steps_of

RECIPE_VERSION = 1
HEADER = "own_faces"  # under which a file of weights holds what is said of it


@dataclass(frozen=True)
class Start:
    """The network to go on from, behind its card. match: whose names its file has; None: one of ours, new.

    digest: of its weights.
    """

    network: Carded
    match: Match | None
    digest: str
    about: str


class Classified(nn.Module):
    """Pictures [B, 3, H, W] and identities [B] to the cross-entropy of a margin head over a network's embedding."""

    columns = ("images", "identity")

    def __init__(self, network: Callable[[Tensor], Tensor], head: margins.MarginHead) -> None:
        super().__init__()
        self.network, self.head = network, head

    def forward(self, batch: Batch, part: str = "all") -> dict[str, Tensor]:
        labels = batch["identity"]
        logits = self.head(self.network(batch["images"]), labels)
        with torch.no_grad():
            right = (logits.argmax(1) == labels).float().mean()
        return {"loss": F.cross_entropy(logits, labels), "right": right}


def start(settings: OwnFaces, init: Path | None) -> Start:
    """The network that ``init`` holds, or a new one as ``settings.train`` says.

    Errors: ConfigError for a file that holds no weights to train (ONNX, TorchScript), and for settings of a network
    beside one; those of ``foreign.load``.
    """
    if init is None:
        torch.manual_seed(settings.train.seed)
        network: nn.Module = recognition.backbone(settings.train)
        card = Card(input_hw=settings.train.input_hw)
        about = f"{settings.train.backbone}, from scratch"
        return Start(Carded(network, card, about), None, weights.digest(network.state_dict()), about)
    if not init.is_file():
        raise FileNotFoundError(f"no file of weights at {init}")
    if init.suffix.lower() == ".onnx" or read.is_torchscript(init):
        raise ConfigError(
            f"{init} is a network to be run and holds no weights to go on from: give the state dict that it was made of"
        )
    network_fields = ("backbone", "width", "input_hw", "embedding", "dropout")
    usual = type(settings)().train
    if changed := [name for name in network_fields if getattr(settings.train, name) != getattr(usual, name)]:
        raise ConfigError(f"{init} says what the network is: leave out train.{changed[0]}")
    state, beside = read.read_state(init), read_card(init)
    match = layouts.find(state, str(init), beside.get("layout"))
    card = settle({**match.card, "layout": match.layout}, beside, {}, str(init))
    network = match.network.to_empty(device="cpu")
    network.load_state_dict(match.values)
    return Start(
        Carded(network, card, str(init)), match, weights.digest(network.state_dict()), f"{match} of {init.name}"
    )


def train(
    settings: OwnFaces,
    begun: Start,
    images: Images,
    out: Path,
    *,
    watch: Callable[[nn.Module, int], float],
    device: str | None = None,
    compile: bool = False,
    progress: bool = True,
) -> dict[str, float]:
    """Train ``begun.network`` in place on ``images``; what ``fit`` returns of its second part.

    The head alone is trained in ``out/head``, then all weights in ``out/all``; run again, each goes on where it was.
    watch(network, step): asked after each epoch of the second part; the lower the better, and the best weights stay.
    Errors: ValueError for pictures that the network cannot take, and what ``fit`` raises.
    """
    config = settings.train
    rows = Rows(images, images.pixels.shape[1:3])
    begun.network.prepare(torch.zeros(1, 3, *images.pixels.shape[1:3]))  # pictures too narrow are refused here
    width = _width(begun.network, images)
    torch.manual_seed(config.seed)
    head = margins.build(config.loss, width, rows.class_count, **recognition.options_of(config))
    steps_per_epoch, steps = steps_of(config, len(rows))
    asked = {
        "recipe_version": RECIPE_VERSION,
        "pictures": seen(images),
        "start": begun.digest,
        **settings.model_dump(mode="json"),
    }

    def part(
        name: str, module: nn.Module, groups: list[dict[str, Any]], steps: int, factor: Callable[[int], float]
    ) -> dict[str, float]:
        optimiser = torch.optim.SGD(groups, lr=config.lr, momentum=config.momentum, weight_decay=config.weight_decay)
        second = name == "all"
        plan = Plan(
            steps=steps,
            batch=config.batch,
            seed=config.seed,
            accumulate=config.accumulate,
            clip=config.clip,
            precision=config.precision,
            compile=compile,
            log_every=min(20, steps_per_epoch),
            evaluate_every=steps_per_epoch,
            patience=settings.patience if second else None,
            settings={"part": name, **asked},
        )
        return fit(
            module,
            optimiser,
            factor,
            rows,
            plan,
            out / name,
            records=images.labels["record"].array,
            inputs=mirrored,
            evaluate=(lambda step: watch(begun.network, step)) if second else None,
            device=device,
            progress=progress,
        )

    fresh = begun.match is None  # nothing in it is trained yet
    if settings.head_epochs and not fresh:
        alone = Classified(Frozen(begun.network), head)
        part("head", alone, [{"params": head.parameters()}], round(settings.head_epochs * steps_per_epoch), lambda _: 1)
        begun.network.train().requires_grad_(True)
    groups: list[dict[str, Any]] = [
        {"params": head.parameters()},
        {"params": begun.network.parameters(), "lr": (1.0 if fresh else settings.backbone_rate) * config.lr},
    ]
    return part("all", Classified(begun.network, head), groups, steps, rate(config, steps_per_epoch, steps))


def save(settings: OwnFaces, begun: Start, path: Path, about: Mapping[str, object]) -> str:
    """Write the trained network so that ``aifr evaluate`` and ``aifr compare`` open it; the digest of its weights.

    Weights keep the names of the file that they came from. about: what else the header says, such as thresholds.
    """
    network = begun.network.network
    header = {HEADER: json.dumps({**about, "settings": settings.model_dump(mode="json")})}
    if begun.match is None:
        config = settings.train
        weights.save_weights(network, path, {**header, "recognition": config.model_dump_json()})
        return weights.digest(network.state_dict())
    state = {
        begun.match.names[name]: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()
    }
    header |= {"card": begun.network.card.model_dump_json(), "architecture": begun.match.layout}
    digest = weights.digest(state)
    with atomic_write(path) as temporary:
        save_file(state, temporary, metadata={**header, "digest": digest})
    return digest


def said_of(path: Path) -> dict:
    """What ``save`` put into the header; empty for weights of another origin."""
    if path.suffix.lower() != ".safetensors":
        return {}
    return json.loads(weights.read_metadata(path).get(HEADER, "{}"))


def _width(network: Carded, images: Images) -> int:
    pixels = torch.zeros(1, 3, *images.pixels.shape[1:3])
    with torch.no_grad():
        return network.eval()(pixels).shape[1]
