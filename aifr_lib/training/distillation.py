"""The distillation recipe: a light student beside two frozen teachers (AAD)."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from aifr_lib.data.images import Images
from aifr_lib.data.loader import gathered, to_input
from aifr_lib.losses import margins
from aifr_lib.losses.margins import MarginHead
from aifr_lib.models import FourStages, foreign, weights
from aifr_lib.models.age_estimator import AgeEstimator
from aifr_lib.models.attention import Attended
from aifr_lib.models.blocks import fold_norms
from aifr_lib.models.foreign.cards import Carded
from aifr_lib.names import ConfigError
from aifr_lib.settings.aad import STAGED, Distillation
from aifr_lib.settings.presets import Preset
from aifr_lib.training import age_estimation, kept, recognition
from aifr_lib.training.engine import CHECKPOINT, NonFiniteLoss, accelerator_for, last_logged
from aifr_lib.training.engine import LOG as LOG_FILE
from aifr_lib.training.objectives.distillation import EMBEDDING, MASKS, Student
from aifr_lib.training.sgd import descend, steps_of

LOG = logging.getLogger(__name__)
RECIPE = "distillation"
RECIPE_VERSION = 1  # raised by hand when the meaning of a Distillation changes
WEIGHTS = "weights.safetensors"
HEAD = "head.safetensors"  # of a teacher whose weights are committed: of its checkpoint, kd needs no more
LOOKED_AT = 64  # training pictures on which a trained network must give numbers
# What a training leaves for a student in its folder; of kd the head too, which lies in the checkpoint.
LEFT, LEFT_FOR_KD = (WEIGHTS,), (WEIGHTS, CHECKPOINT)


@dataclass(frozen=True)
class Trained:
    """A finished training: the student in eval mode, its weights on disk, their SHA-256, the last logged scalars.

    diverged: the step at which its loss was no longer finite; the weights are then the last good ones.
    """

    backbone: FourStages | Attended
    weights: Path
    checksum: str
    scalars: dict[str, float]
    diverged: int | None = None


@dataclass(frozen=True)
class Recogniser:
    """T^R, frozen, as it teaches. run: faces to embeddings. digest: of its weights. head: of its classes, for kd."""

    run: FourStages | Carded
    digest: str
    head: MarginHead | None = None


def student(config: Distillation) -> FourStages | Attended:
    """The network whose embedding is used at test time."""
    network = recognition.backbone(config.train)
    return Attended(network, config.attention_norm) if config.feeds_back else network


def start(preset: Preset, asked: Mapping[str, Any]) -> Distillation:
    """What ``aifr train distillation`` starts from: the first student of the preset's ledger, by the mode asked for.

    Errors: ConfigError for a mode that the preset trains nobody in.
    """
    aad, mode = preset.aad, asked.get("mode", "aad")
    named = [name for name, one in aad.variants.items() if one.mode == mode]
    if not named:
        raise ConfigError(f"no variant of preset {preset.name} has mode '{mode}': {', '.join(aad.variants)}")
    return aad.student(aad.ledger[0], named[0], aad.ledger[0].seeds[0])


def train(
    config: Distillation,
    out: Path,
    *,
    teacher: Path | None = None,
    age_teacher: Path | None = None,
    device: str | None = None,
    compile: bool = False,
    progress: bool = True,
    images: Images | None = None,
) -> Trained:
    """Train one student into ``out``, as ``recognition.train`` does.

    teacher, age_teacher: folders in which their trainings lie; None trains them first, below ``out``. images: the
    student's pictures (None: those of ``config.train``).
    A training whose loss is no longer finite ends there, with a warning, and gives its last good weights.
    Errors, before the student is trained: ConfigError and ValueError for a teacher that does not fit (its stages,
    sizes, classes, settings); those of ``recognition.train``.
    """
    images = recognition.training_faces(config.train) if images is None else images
    where = accelerator_for(device, "no").device
    options: dict[str, Any] = {"device": device, "progress": progress}
    if config.teacher is not None and teacher is None:
        teacher = recognition.train(config.teacher, out / "teacher", **options).weights.parent
    if config.age_teacher is not None and age_teacher is None:
        age_teacher = age_estimation.train(config.age_teacher, out / "age_teacher", **options).weights.parent
    recogniser = recogniser_of(config, teacher)
    rows, digests = taught(config, images, recogniser, age_teacher, where, progress)
    torch.manual_seed(config.train.seed)
    size = rows.said[EMBEDDING].shape[-1] if recogniser else None
    module = objective(config, rows.class_count, recogniser, size)
    settings = {"recipe": RECIPE, "recipe_version": RECIPE_VERSION, **digests, **settings_of(config)}
    diverged = None
    try:
        scalars = descend(module, config.train, images, rows, out, settings, inputs=to_input, device=device,
                          compile=compile, progress=progress)  # fmt: skip
    except NonFiniteLoss as error:
        LOG.warning("%s: %s", out, error)
        diverged = error.step
        scalars = last_good(module, config, out)
    network = module.backbone.eval()
    if not gives_numbers(network, images, config.train.input_hw):
        LOG.warning("%s: the trained network gives NaN or infinity: the training diverged, its start is kept", out)
        diverged = steps_of(config.train, len(rows))[1] if diverged is None else diverged
        network.load_state_dict(fresh(config))
    path = out / WEIGHTS
    metadata = {"distillation": config.model_dump_json(), "data": f"{images.name} {images.version}"}
    if not config.feeds_back:
        metadata["recognition"] = config.train.model_dump_json()
    if diverged is not None:
        metadata["diverged"] = str(diverged)
    weights.save_weights(network, path, metadata)
    return Trained(network, path, weights.digest(network.state_dict()), scalars, diverged)


def taught(
    config: Distillation,
    images: Images,
    recogniser: Recogniser | None,
    age_teacher: Path | None,
    where: torch.device | str = "cpu",
    progress: bool = True,
) -> tuple[kept.TaughtRows, dict[str, str]]:
    """The pictures with what the teachers say of them, and the digests of the teachers, which a resume compares."""
    hw, said, of, digests = config.train.input_hw, {}, {}, {}
    options: dict[str, Any] = {"device": where, "progress": progress}
    if recogniser is not None:
        digests["teacher_digest"] = digest = recogniser.digest
        says = kept.embeddings(recogniser.run)
        said[EMBEDDING] = kept.kept("teacher's embeddings", says, recogniser.run, digest, images, hw, **options)
    if config.age_teacher is not None:
        assert age_teacher is not None
        estimator, digest = age_estimator_of(config, age_teacher)
        digests["age_teacher_digest"] = digest
        says = kept.invariant_masks(estimator)
        said[MASKS] = kept.kept("age-invariant masks", says, estimator, digest, images, hw, **options)
        if config.masks == "another":
            of[MASKS] = kept.of_another_person(images.labels["identity"].to_numpy(), config.train.seed)
    return kept.TaughtRows(images, hw, said, of), digests


def objective(
    config: Distillation, classes: int, recogniser: Recogniser | None = None, size: int | None = None
) -> Student:
    """The student as it is trained; with one seed it starts from the weights of ``recognition.objective``."""
    plain = recognition.objective(config.train, classes)
    teacher = recogniser.run if recogniser and config.mode in STAGED else None
    return Student(plain.backbone, plain.head, config, teacher, size, recogniser.head if recogniser else None)


def settings_of(config: Distillation) -> dict[str, Any]:
    """What a checkpoint is compared with, flat, so that a refusal names the setting that differs."""
    values = config.model_dump(mode="json", exclude={"train"})
    return {**values, **{f"train.{name}": value for name, value in config.train.model_dump(mode="json").items()}}


def recogniser_of(config: Distillation, folder: Path | None) -> Recogniser | None:
    """T^R of a training in ``folder``, or the foreign one that ``config`` names; None where the mode has none.

    Weights of this library are rounded to half precision first: so they are committed, and no machine teaches by
    others. Errors: ValueError for a folder of another training; ConfigError for a foreign network of another input.
    """
    if config.foreign is not None:
        found = foreign.load(config.foreign)
        if found.card.input_hw != config.train.input_hw:
            height, width = found.card.input_hw
            raise ConfigError(
                f"{config.foreign} sees {height}×{width} and the student {config.train.input_hw[0]}×"
                f"{config.train.input_hw[1]}: give the student the teacher's input_hw, and pictures of that size"
            )
        with Path(config.foreign).open("rb") as file:
            total = hashlib.file_digest(file, "sha256")
        total.update(found.card.model_dump_json().encode())  # read otherwise, the same file teaches something else
        return Recogniser(found.run.eval().requires_grad_(False), total.hexdigest())
    if config.teacher is None:
        return None
    assert folder is not None
    network, trained = recognition.load(folder / WEIGHTS)
    if trained != config.teacher:
        raise ValueError(_other(folder, "teacher", trained.model_dump(), config.teacher.model_dump()))
    digest = rounded(network, folder)
    assert isinstance(network, FourStages)
    head = head_of(folder) if config.mode == "kd" else None
    return Recogniser(_frozen(network), digest, head)


def age_estimator_of(config: Distillation, folder: Path) -> tuple[AgeEstimator, str]:
    """T^A of a training in ``folder``, rounded as T^R is, and its digest. Errors: ValueError for another training's."""
    assert config.age_teacher is not None
    network, trained = age_estimation.load(folder / WEIGHTS)
    if trained != config.age_teacher:
        raise ValueError(_other(folder, "age_teacher", trained.model_dump(), config.age_teacher.model_dump()))
    digest = rounded(network, folder)
    return network.requires_grad_(False), digest


def head_of(folder: Path) -> MarginHead:
    """The teacher's own head, committed or in the checkpoint of its training. Errors: ConfigError where it is gone."""
    if (folder / HEAD).is_file():
        found = load_file(folder / HEAD)
    elif (folder / CHECKPOINT).is_file():
        state = torch.load(folder / CHECKPOINT, map_location="cpu", weights_only=True)["objective"]
        found = {"weight": state["head.weight"]}
    else:
        raise ConfigError(f"kd needs the teacher's head, which lies in {folder / CHECKPOINT}: train the teacher here")
    trained = recognition.load(folder / WEIGHTS)[1]
    head = margins.build("softmax", found["weight"].shape[1], found["weight"].shape[0], s=trained.s)
    head.load_state_dict({"weight": found["weight"].half().float()})
    return head


def rounded(network: nn.Module, where: Path) -> str:
    """Round the weights of ``network`` to half precision, in place; the digest of what they are then.

    Errors: ValueError for weights that half precision cannot hold.
    """
    state = {name: value.half().float() if value.is_floating_point() else value
             for name, value in network.state_dict().items()}  # fmt: skip
    for name, value in state.items():
        if value.is_floating_point() and not bool(value.isfinite().all()):
            raise ValueError(f"{where}: '{name}' of the teacher is too large for half precision: train it anew")
    network.load_state_dict(state)
    return weights.digest(state)


def last_good(module: Student, config: Distillation, out: Path) -> dict[str, float]:
    """Put the weights of the last checkpoint, or of the start, into ``module``; what was logged last."""
    path = out / CHECKPOINT
    if path.is_file():
        module.load_state_dict(torch.load(path, map_location="cpu", weights_only=True)["objective"])
    else:
        module.backbone.load_state_dict(fresh(config))
    return last_logged(out / LOG_FILE)


def fresh(config: Distillation) -> dict[str, Tensor]:
    """The weights that a training of ``config`` starts from."""
    torch.manual_seed(config.train.seed)
    return student(config).state_dict()


def gives_numbers(network: nn.Module, images: Images, hw: tuple[int, int]) -> bool:
    """Whether the embeddings of some training pictures are finite, as they may not be though all weights are."""
    x = to_input(gathered(images.pixels, torch.arange(min(len(images), LOOKED_AT)), hw))
    with torch.inference_mode():
        return bool(network(x.to(next(network.parameters()).device)).isfinite().all())


def load(path: Path) -> tuple[FourStages | Attended, Distillation]:
    """A student that ``train`` wrote, in eval mode, and its settings.

    Errors: ValueError for a file without these settings; what ``weights.load_weights`` raises.
    """
    config = weights.read_settings(path, "distillation", Distillation, "distilled student")
    network = student(config)
    weights.load_weights(network, path)
    return network.eval(), config


def _frozen(network: FourStages) -> FourStages:
    fold_norms(network.eval())
    return network.requires_grad_(False)


def _other(folder: Path, name: str, found: Mapping[str, Any], wanted: Mapping[str, Any]) -> str:
    differing = ", ".join(f"{key} {found[key]!r} → {wanted[key]!r}" for key in wanted if found[key] != wanted[key])
    return f"{folder} holds another {name} than the settings ask for ({differing}): use its own folder"
