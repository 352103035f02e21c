"""The recipe of MTLFace: recognition that forgets the age, and faces drawn at another, jointly or in two stages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.optim import Optimizer

from aifr_lib.data import sets
from aifr_lib.data.images import Images
from aifr_lib.data.loader import Rows, ShuffledBatches
from aifr_lib.files import data_dir
from aifr_lib.models import weights
from aifr_lib.models.mtlface import Recogniser
from aifr_lib.models.mtlface_synthesis import Generator, IdentityConditional, MtlFace, OneHot
from aifr_lib.names import changes, flattened
from aifr_lib.settings.mtlface import AgeInvariant, MultiTask, Synthesis
from aifr_lib.settings.presets import Preset
from aifr_lib.settings.recognition import Recognition
from aifr_lib.training import recognition, sheets
from aifr_lib.training.age_estimation import check_ages
from aifr_lib.training.engine import Plan, Rate, fit
from aifr_lib.training.objectives.mtlface import CRITIC, GENERATOR, RECOGNITION
from aifr_lib.training.objectives.mtlface import MultiTask as Objective
from aifr_lib.training.sgd import WEIGHTS, Trained, finish, rate, seen, steps_of

RECIPE = "mtlface"
RECIPE_VERSION = 1  # raised by hand when the meaning of a MultiTask changes


class TargetBatches(ShuffledBatches):
    """The same walk, beside each picture a real one of an age group, both drawn evenly: micro-batches of rows [B, 2].

    group: int [N], of each row, every one of 0 … its largest there. The draws are of (seed, number of micro-batch).
    """

    def __init__(self, group: np.ndarray, count: int, batch: int, **walk: Any):
        super().__init__(count, batch, **walk)
        self.pictures = np.bincount(group)
        self.by_group = np.argsort(group, kind="stable")
        self.first = np.cumsum(self.pictures) - self.pictures

    def completed(self, rows: np.ndarray, position: int) -> np.ndarray:
        draw = np.random.default_rng((self.seed, position, 1))
        target = draw.integers(0, len(self.pictures), len(rows))
        return np.stack([rows, self.by_group[self.first[target] + draw.integers(0, self.pictures[target])]], axis=1)


def recogniser(config: AgeInvariant, network: nn.Module | None = None) -> Recogniser:
    """The recognising half over ``network`` (None: a fresh one of these settings)."""
    network = recognition.backbone(config.train) if network is None else network
    return Recogniser(network, len(config.bounds) + 1, config.afd, config.train.embedding)  # type: ignore[arg-type]


def generator(config: Synthesis, reader: Recogniser, groups: int) -> Generator:
    """The synthesising half of these settings, with fresh weights, for what ``reader`` sees."""
    channels = reader.map_shape[0]
    condition = (
        IdentityConditional(channels, groups, config.filters, config.share, config.blocks, config.form)
        if config.condition == "icm"
        else OneHot(channels, groups, config.filters, config.blocks)
    )
    return Generator(reader, condition, config.widths, config.skip, config.residual)


def objective(config: MultiTask, classes: int, taught: Recogniser | None = None) -> Objective:
    """MTLFace as it is trained; with one seed its backbone and head start as those of ``recognition.objective``.

    taught: the recogniser of the first stage, where there was one.
    """
    head, reader = None, taught
    if reader is None:
        plain = recognition.objective(config.recognition.train, classes)
        head, reader = plain.head, recogniser(config.recognition, plain.backbone)
    drawing = config.synthesis
    groups = len(config.recognition.bounds) + 1
    return Objective(config, reader, head, None if drawing is None else generator(drawing, reader, groups))


def training_faces(config: AgeInvariant) -> Images:
    """The pictures with ages that ``config`` learns from.

    Errors: FileNotFoundError where a data set that a user brings is not under ``AIFR_DATA``.
    """
    if config.faces is None:
        return recognition.training_faces(config.train)
    root = data_dir()
    if root is None or not (root / config.faces).exists():
        raise FileNotFoundError(
            f"no faces at {config.faces} below AIFR_DATA ({root or 'not set'}): put an image list there, a line "
            "'id path age gender' for each picture"
        )
    return sets.load(root / config.faces)


def groups_of(bounds: Sequence[float], images: Images, drawn: bool) -> np.ndarray:
    """The age group of each picture, int64 [N]. drawn: whether faces are to be drawn at each.

    Errors: ValueError for ages that are unknown or outside 0 … 100, and, where faces are drawn, for a group that no
    picture is of.
    """
    check_ages(images)
    found = np.searchsorted(np.asarray(bounds, np.float32), images.labels["age"].to_numpy(np.float32))
    empty = sorted(set(range(len(bounds) + 1)) - set(found.tolist()))
    if drawn and empty:
        edges = ["0", *(f"{bound:g}" for bound in bounds), "100"]
        named = ", ".join(f"{edges[one]} … {edges[one + 1]}" for one in empty)
        raise ValueError(
            f"{images.name}: no picture is of the age group {named} years, so no face can be drawn at it: "
            "change bounds or add pictures"
        )
    return found


def start(preset: Preset, asked: Mapping[str, Any]) -> MultiTask:
    """What ``aifr train mtlface`` starts from."""
    return preset.mtlface.train


def train(
    config: MultiTask,
    out: Path,
    *,
    first_stage: Path | None = None,
    device: str | None = None,
    compile: bool = False,
    progress: bool = True,
    images: Images | None = None,
    looks: int = 10,
) -> Trained[MtlFace]:
    """Train one MTLFace into ``out``, as ``recognition.train`` does a recogniser.

    first_stage: the folder of the recognising half, of two stages; None trains it first, below ``out``. images: the
    faces (None: those of ``config``). looks: sheets of drawn faces that are written on the way, below ``out/sheets``.
    Errors, before anything is trained: ConfigError and ValueError for sizes, ages, groups or a first stage that do not
    fit; those of ``recognition.train``.
    """
    images = training_faces(config.recognition) if images is None else images
    group = groups_of(config.recognition.bounds, images, config.synthesis is not None)
    rows = Rows(images, config.recognition.train.input_hw, more=("age",))
    settings: dict[str, Any] = {"recipe": RECIPE, "recipe_version": RECIPE_VERSION}
    taught = None
    if config.schedule == "two_stage":
        objective(config, rows.class_count)  # what does not fit is said before the first stage
        if first_stage is None:
            options: dict[str, Any] = {"device": device, "compile": compile, "progress": progress, "images": images}
            first_stage = train(config.first_stage, out / "recognition", **options).weights.parent
        taught, settings["first_stage"] = taught_by(config, first_stage)
    settings |= flattened(config.model_dump(mode="json"))
    plain = config.recognition.train
    torch.manual_seed(plain.seed)
    module = objective(config, rows.class_count, taught)
    per_epoch, steps = length(config, len(rows))
    plan = Plan(
        steps=steps,
        batch=stage(config).batch,
        seed=plain.seed,
        accumulate=plain.accumulate,
        clip=plain.clip,
        precision=plain.precision,
        compile=compile,
        evaluate_every=max(1, steps // looks),
        settings={"pictures": seen(images), **settings},
    )
    scalars = fit(
        module,
        optimisers(module, config),
        rates(module, rate(plain, per_epoch, steps)),
        rows,
        plan,
        out,
        records=images.labels["record"].array,
        batches=ShuffledBatches if config.synthesis is None else partial(TargetBatches, group),
        evaluate=None
        if config.synthesis is None
        else sheets.writer(out, lambda: module.trained, images, plain.input_hw),
        device=device,
        progress=progress,
    )
    return finish(module.trained, RECIPE, config, images, out, scalars)


def length(config: MultiTask, pictures: int) -> tuple[int, int]:
    """Steps an epoch (1 where epochs count steps), and in all."""
    train = stage(config)
    return (1, max(1, round(train.epochs))) if config.recognition.in_steps else steps_of(train, pictures)


def stage(config: MultiTask) -> Recognition:
    """The batches and epochs of a training; of two stages, those of the second, which starts from the first's."""
    train, drawing = config.recognition.train, config.synthesis
    if config.schedule != "two_stage" or drawing is None:
        return train
    return train.model_copy(update={"batch": drawing.batch or train.batch, "epochs": drawing.epochs or train.epochs})


def optimisers(module: Objective, config: MultiTask) -> dict[str, Optimizer]:
    """SGD for recognition, Adam for critic and generator (section B)."""
    found: dict[str, Optimizer] = {}
    if RECOGNITION in module.parts:
        plain = config.recognition.train
        groups = decayed(module, plain.weight_decay)
        found[RECOGNITION] = torch.optim.SGD(groups, lr=plain.lr, momentum=plain.momentum)
    if module.critic is not None and module.generator is not None:
        drawing = config.synthesis
        assert drawing is not None
        found[CRITIC] = torch.optim.Adam(module.critic.parameters(), drawing.critic_lr or drawing.lr, drawing.betas)
        found[GENERATOR] = torch.optim.Adam(module.generator.parameters(), drawing.lr, drawing.betas)
    return found


def decayed(module: Objective, decay: float) -> list[dict[str, Any]]:
    """The weights of recognition with their decay: none on norms, biases, slopes or the adversary (code)."""
    pulled: list[nn.Parameter] = []
    free = [] if module.adversary is None else list(module.adversary.parameters())
    for weight in (*module.recogniser.parameters(), *module.head.parameters()):
        (pulled if weight.dim() > 1 else free).append(weight)
    return [{"params": pulled, "weight_decay": decay}, {"params": free, "weight_decay": 0.0}]


def rates(module: Objective, recognising: Rate) -> dict[str, Rate]:
    """The schedule of recognition; critic and generator keep their rate (section B)."""
    return {part: recognising if part == RECOGNITION else (lambda _: 1.0) for part in module.parts}


def taught_by(config: MultiTask, folder: Path) -> tuple[Recogniser, str]:
    """The recogniser of the first stage in ``folder``, and its digest. Errors: ValueError for another training's."""
    network, trained = load(folder / WEIGHTS)
    if said := changes(trained.model_dump(mode="json"), config.first_stage.model_dump(mode="json")):
        raise ValueError(f"{folder} holds another first stage than the settings ask for ({said}): use its own folder")
    return network.recogniser, weights.digest(network.recogniser.state_dict())


def load(path: Path) -> tuple[MtlFace, MultiTask]:
    """A network that ``train`` wrote, in eval mode, and its settings.

    Errors: ValueError for a file without these settings; what ``weights.load_weights`` raises.
    """
    config = weights.read_settings(path, RECIPE, MultiTask, "MTLFace")
    reader = recogniser(config.recognition)
    groups = len(config.recognition.bounds) + 1
    network = MtlFace(reader, None if config.synthesis is None else generator(config.synthesis, reader, groups))
    weights.load_weights(network, path)
    return network.eval(), config
