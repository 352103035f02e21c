"""Two pictures of one person: what changed between them, how sure that is, and where it is seen (``aifr change``)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from aifr_lib.data.augment import scaled
from aifr_lib.data.edited import shrunk
from aifr_lib.data.images import UNKNOWN, Images
from aifr_lib.evaluation.change import half_width
from aifr_lib.experiments.comface import measured, occlusion
from aifr_lib.experiments.comface.runs import own_setting, starts, transfer_job
from aifr_lib.experiments.jobs import Job
from aifr_lib.experiments.measure.two_pictures import crop
from aifr_lib.models.comface import Comparer
from aifr_lib.models.encoders import features
from aifr_lib.names import ConfigError, choose
from aifr_lib.reporting.runs import RunStore
from aifr_lib.settings.presets import Preset
from aifr_lib.training import transfer
from aifr_lib.training.sgd import WEIGHTS

LEVEL = 0.9
UNITS = {"age": "years", "edema-a": "kg", "edema-b": "kg", "au6": "levels", "au12": "levels"}


@dataclass(frozen=True)
class Told:
    """What is told of two pictures. change: from the first to the second, in ``unit``. half: of the interval, infinite
    where too few people calibrate it. regions: how much of the change each holds. learnt: the set that taught it.
    several: pictures in which more than one face was found, and how many.
    """

    change: float
    half: float
    people: int
    unit: str
    regions: dict[str, float]
    learnt: str
    run: str
    several: dict[Path, int]

    def lines(self) -> list[str]:
        """As a person reads it."""
        low, high = self.change - self.half, self.change + self.half
        interval = (
            f"{100 * LEVEL:g} % interval {low:+z.1f} … {high:+z.1f}, from {self.people} people who taught it nothing"
            if math.isfinite(self.half)
            else f"no {100 * LEVEL:g} % interval: {self.people} people calibrate it, nine are needed"
        )
        wide = max(map(len, self.regions))
        return [
            f"{self.change:+z.1f} {self.unit} from the first to the second",
            interval,
            *(f"  {name:<{wide}}  {value:+z.1f}" for name, value in self.regions.items()),
            f"learnt on {self.learnt} ({self.run})",
        ]

    def said(self) -> dict[str, Any]:
        """As it is printed for programs."""
        finite = math.isfinite(self.half)
        return {
            "change": self.change,
            "unit": self.unit,
            "level": LEVEL,
            "interval": [self.change - self.half, self.change + self.half] if finite else None,
            "calibrated_on": self.people,
            "regions": self.regions,
            "learnt_on": self.learnt,
            "run": self.run,
        }


def tuned_job(preset: Preset, task: str) -> Job:
    """The fine-tuning that answers for a task: ComFace's at its first seed. Errors: ConfigError where the ledger of the
    preset has none.
    """
    settings, known = preset.comface, dict[str, Job]()
    for one in UNITS:
        for start, setting in starts(settings, one):
            if start.name == "comface" and setting == own_setting(start):
                known.setdefault(one, transfer_job(settings, one, start, setting))
    if not known:
        raise ConfigError(f"the ledger of preset {preset.name} fine-tunes ComFace to no task")
    return choose("task", task, known)


def tell(one: Path, other: Path, task: str, preset: Preset, store: RunStore) -> Told:
    """The change between two pictures, aligned unless they are crops of 112 pixels already.

    The network is the first fold's; its interval comes from that fold's test people (split-conformal, by person).
    Errors: ConfigError that names the run which makes the network, where it is not here; ValueError for a picture
    without a face; BadPicture.
    """
    job = tuned_job(preset, task)
    run, path = store.load(job.spec.key), store.work_folder(job.spec.key) / WEIGHTS
    if run is None or not path.is_file():
        raise ConfigError(
            f"no network fine-tuned to a change of {task} is here, and none is shipped: "
            f"'aifr run {job.spec.key} --preset {preset.name}{'' if run is None else ' --fresh'}' makes it"
        )
    comparer, about = transfer.load(path)
    several: dict[Path, int] = {}
    crops = np.stack([crop(picture, several) for picture in (one, other)])
    labels = pd.DataFrame({"record": ["one", "other"], "identity": UNKNOWN, "age": np.nan})
    x, y = shrunk(Images("two pictures", "1", crops, labels), about.side).pixels[:, None]
    predict = predictor(comparer, about.scale)
    held = measured.said(run)
    first = held.fold == 0
    effect = occlusion.effects(predict, x, y)[0]
    regions = dict(zip(occlusion.REGIONS, map(float, effect), strict=True))
    return Told(
        change=float(predict(x, y)[0]),
        half=half_width(held.error[first], held.subject[first], LEVEL),
        people=len(np.unique(held.subject[first])),
        unit=UNITS[task],
        regions=dict(sorted(regions.items(), key=lambda region: -abs(region[1]))),
        learnt=run.spec.data.name,
        run=run.key,
        several=several,
    )


def predictor(comparer: Comparer, scale: float) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """d̂ in the task's unit of pictures uint8 [P, S, S, 3] twice."""

    def encoded(pixels: np.ndarray) -> Tensor:
        return features(comparer.encoder, scaled(torch.from_numpy(np.ascontiguousarray(pixels))))

    def predict(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            said = comparer.change(encoded(x), encoded(y))
        return scale * said.double().numpy()

    return predict
