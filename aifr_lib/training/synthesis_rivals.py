"""The recipes of CAAE and of IPCGAN: faces drawn at other ages by the methods that MTLFace is compared with."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch.optim import Adam

from aifr_lib.data.images import Images
from aifr_lib.data.loader import Batches, Rows, ShuffledBatches
from aifr_lib.models import synthesis_rivals as models
from aifr_lib.models import weights
from aifr_lib.models.age_estimator import AgeEstimator
from aifr_lib.names import changes
from aifr_lib.settings.presets import Preset
from aifr_lib.settings.synthesis_rivals import Caae, Ipcgan
from aifr_lib.training import age_estimation, recognition, sheets
from aifr_lib.training.engine import Plan, fit
from aifr_lib.training.mtlface import TargetBatches, groups_of
from aifr_lib.training.objectives.synthesis_rivals import CaaeObjective, IpcganObjective
from aifr_lib.training.sgd import WEIGHTS, Trained, finish, seen, steps_of

CAAE, IPCGAN = "caae", "ipcgan"
RECIPE_VERSION = 1  # raised by hand when the meaning of a Caae or an Ipcgan changes
SETTINGS: dict[str, type[Caae] | type[Ipcgan]] = {CAAE: Caae, IPCGAN: Ipcgan}


def start_caae(preset: Preset, asked: Mapping[str, Any]) -> Caae:
    """What ``aifr train caae`` starts from."""
    return preset.mtlface.caae


def start_ipcgan(preset: Preset, asked: Mapping[str, Any]) -> Ipcgan:
    """What ``aifr train ipcgan`` starts from."""
    return preset.mtlface.ipcgan


def train(
    config: Caae | Ipcgan,
    out: Path,
    *,
    classifier: Path | None = None,
    device: str | None = None,
    compile: bool = False,
    progress: bool = True,
    images: Images | None = None,
    looks: int = 10,
) -> Trained[models.AgeDrawer]:
    """Train one network into ``out``, as ``training.mtlface.train`` does, with sheets of drawn faces on the way.

    classifier: the folder of IPCGAN's age classifier; None trains it first, below ``out``.
    Errors, before anything is trained: ValueError for ages or groups that do not fit, or another classifier's folder;
    those of ``recognition.train``.
    """
    images = recognition.training_faces(config.train) if images is None else images
    group = groups_of(config.bounds, images, drawn=True)
    rows = Rows(images, config.train.input_hw, more=("age",))
    recipe = CAAE if isinstance(config, Caae) else IPCGAN
    settings: dict[str, Any] = {"recipe": recipe, "recipe_version": RECIPE_VERSION, **config.model_dump(mode="json")}
    module: CaaeObjective | IpcganObjective
    batches: Batches = ShuffledBatches
    if isinstance(config, Caae):
        torch.manual_seed(config.train.seed)
        module = CaaeObjective(config)
        parts = {"autoencoder": module.network, "code_critic": module.code_critic, "image_critic": module.image_critic}
    else:
        if classifier is None:
            options: dict[str, Any] = {"device": device, "compile": compile, "progress": progress, "images": images}
            classifier = age_estimation.train(config.classifier, out / "classifier", **options).weights.parent
        told, settings["taught_by"] = classifier_of(config, classifier)
        torch.manual_seed(config.train.seed)
        module = IpcganObjective(config, told)
        parts = {"critic": module.critic, "generator": module.network}
        batches = partial(TargetBatches, group)
    _, steps = steps_of(config.train, len(rows))
    plan = Plan(
        steps=steps,
        batch=config.train.batch,
        seed=config.train.seed,
        accumulate=config.train.accumulate,
        clip=config.train.clip,
        precision=config.train.precision,
        compile=compile,
        evaluate_every=max(1, steps // looks),
        settings={"pictures": seen(images), **settings},
    )
    scalars = fit(
        module,
        {name: Adam(part.parameters(), config.lr, config.betas) for name, part in parts.items()},
        {name: lambda _: 1.0 for name in parts},
        rows,
        plan,
        out,
        records=images.labels["record"].array,
        batches=batches,
        evaluate=sheets.writer(out, lambda: module.network, images, config.train.input_hw),
        device=device,
        progress=progress,
    )
    return finish(module.network, recipe, config, images, out, scalars)


def classifier_of(config: Ipcgan, folder: Path) -> tuple[AgeEstimator, str]:
    """The age classifier that a training left in ``folder``, and its digest.

    Errors: ValueError for another training's, naming what differs.
    """
    network, trained = age_estimation.load(folder / WEIGHTS)
    if said := changes(trained.model_dump(mode="json"), config.classifier.model_dump(mode="json")):
        raise ValueError(
            f"{folder} holds another age classifier than the settings ask for ({said}): use its own folder"
        )
    return network, weights.digest(network.state_dict())


def load(path: Path) -> tuple[models.AgeDrawer, Caae | Ipcgan]:
    """A network that ``train`` wrote, in eval mode, and its settings.

    Errors: ValueError for a file without these settings; what ``weights.load_weights`` raises.
    """
    recipe = IPCGAN if IPCGAN in weights.read_metadata(path) else CAAE
    config = weights.read_settings(path, recipe, SETTINGS[recipe], "network of " + recipe.upper())
    groups = len(config.bounds) + 1
    network: models.AgeDrawer
    if isinstance(config, Caae):
        network = models.Caae(config.train.input_hw, groups, config.code, config.width)
    else:
        network = models.Ipcgan(config.train.input_hw, groups, config.width, config.blocks)
    weights.load_weights(network, path)
    return network.eval(), config
