"""Faces drawn at other ages: one run trains a method and judges what it draws, of people whose true faces are known.

Sources and truth are relief-wide (``data/relief/wide.py``): validation people, on whom weights are chosen, and test
people, of whom the tables speak.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from aifr_lib.data import relief
from aifr_lib.data.relief import Wide
from aifr_lib.evaluation.pictures import psnr, ssim
from aifr_lib.experiments import age_estimate, recognise
from aifr_lib.experiments.jobs import Job
from aifr_lib.experiments.measure.curves import curves
from aifr_lib.experiments.mtlface import judges, readings
from aifr_lib.models.mtlface import AgeReader
from aifr_lib.reporting.runs import DataId, Result, RunSpec
from aifr_lib.settings.mtlface import AgeJudging, Mtlface, MultiTask
from aifr_lib.settings.recognition import Recognition
from aifr_lib.settings.synthesis_rivals import Caae, Ipcgan
from aifr_lib.training import age_judge, mtlface, synthesis_rivals
from aifr_lib.training.engine import LOG, accelerator_for
from aifr_lib.training.sgd import WEIGHTS
from aifr_lib.training.sheets import across, drawn

RECIPE, RECIPE_VERSION = "age_synthesis", 1
BOUNDS_RECIPE, BOUNDS_VERSION = "age_synthesis_bounds", 1
COPY, TRUTH = "copy", "truth"
SHOWN, WORST = 6, 6  # people whose pictures a run keeps; faces that are least like the truth
VALIDATED = 3  # test people for each validation person
Method = MultiTask | Caae | Ipcgan


def method_of(asked: Mtlface, name: str, seed: int) -> Method:
    """The training of a method of Table 2: "mtlface", "mtlface-without-icm", "caae" or "ipcgan"."""
    if name == "caae" or name == "ipcgan":
        rival: Caae | Ipcgan = getattr(asked, name)
        return rival.model_copy(update={"train": rival.train.model_copy(update={"seed": seed})})
    reading = readings.config_of(asked, asked.readings[readings.MAIN], seed)
    drawing = asked.train.synthesis
    assert drawing is not None
    if name == "mtlface-without-icm":
        drawing = drawing.model_copy(update={"condition": "one_hot"})
    return MultiTask(recognition=reading.recognition, synthesis=drawing, schedule=asked.train.schedule)


def train_of(config: Method) -> Recognition:
    """The settings of pictures, size and seed within a method's."""
    return config.recognition.train if isinstance(config, MultiTask) else config.train


def job(asked: Mtlface, config: Method, device: str | None = None) -> Job:
    """The run of a method: trained, then judged on validation and on test people."""
    needs = {"judge": judges.job(asked.judge, device)}
    if isinstance(config, MultiTask) and config.schedule == "two_stage":
        needs["first_stage"] = readings.job(config.first_stage, device)
    if isinstance(config, Ipcgan):
        needs["classifier"] = age_estimate.job(config.classifier, device)
    return Job(
        spec(asked, config), lambda folder, **at: compute(asked, config, folder, device, **at), judges.missing, needs
    )


def spec(asked: Mtlface, config: Method) -> RunSpec:
    """What names a run: the method's every value but the seed, and who judges."""
    dumped = config.model_dump(mode="json")
    train = train_of(config)
    (dumped["recognition"]["train"] if isinstance(config, MultiTask) else dumped["train"]).pop("seed")
    recipe, version = recipe_of(config)
    return RunSpec(
        recipe=RECIPE,
        recipe_version=RECIPE_VERSION,
        seed=train.seed,
        values={"recipe": recipe, "trained": version, "method": dumped, **judged_by(asked)},
        data=data_of(asked, train),
    )


def recipe_of(config: Method) -> tuple[str, int]:
    """The name and version of the training."""
    if isinstance(config, MultiTask):
        return mtlface.RECIPE, mtlface.RECIPE_VERSION
    name = synthesis_rivals.CAAE if isinstance(config, Caae) else synthesis_rivals.IPCGAN
    return name, synthesis_rivals.RECIPE_VERSION


def judged_by(asked: Mtlface) -> dict[str, Any]:
    """What names the judges and whom they see."""
    return {"judge": judges.spec(asked.judge).key, "outside": judges.VERSIONS, "people": asked.people}


def data_of(asked: Mtlface, train: Recognition) -> DataId:
    """The faces that are learned from, and those that are drawn at other ages."""
    named = recognise.spec(train).data
    ages = relief.middles(asked.judge.bounds)
    own = (relief.wide_plan(split, count, ages).digest(train.relief.size) for split, count in people(asked).items())
    return named.model_copy(update={"hash": "-".join((named.hash, *own))})


def people(asked: Mtlface) -> dict[str, int]:
    """How many people of each split are drawn."""
    return {"validation": max(2, asked.people // VALIDATED), "test": asked.people}


def compute(
    asked: Mtlface,
    config: Method,
    folder: Path,
    device: str | None = None,
    *,
    judge: Path,
    first_stage: Path | None = None,
    classifier: Path | None = None,
) -> Result:
    """Train a method into ``folder`` and judge it.

    scores: of ``judged`` for test people, and with the prefix "validation_" for the others; ``shown`` uint8
    [6, G, H, W, 3] faces drawn of six people, ``shown_source`` [6, H, W, 3]; ``worst`` [6, 3, H, W, 3]: source, drawn
    face and true face of those least like the truth, ``worst_group`` [6]. summary: ``curves``, checksum.
    """
    if isinstance(config, MultiTask):
        trained: Any = mtlface.train(config, folder, first_stage=first_stage, device=device, looks=asked.sheets)
    else:
        trained = synthesis_rivals.train(config, folder, classifier=classifier, device=device, looks=asked.sheets)
    started = time.perf_counter()
    where = accelerator_for(device, "no").device
    network = trained.network.to(where).eval()
    scores = judge_all(asked, train_of(config), judge, lambda one: drawn(network.at_groups, one.sources.pixels, where))
    log = (folder / LOG).read_text(encoding="utf-8").splitlines()
    return Result(
        scores=scores,
        summary={
            "checksum": trained.checksum,
            "images_per_s": trained.scalars["images_per_s"],
            "parameters": sum(weight.numel() for weight in network.parameters()),
            "curves": curves(log),
        },
        device=str(where),
        wall_s=trained.scalars["seconds"] + time.perf_counter() - started,
        log_tail=log,
    )


def bounds_jobs(asked: Mtlface, device: str | None = None) -> dict[str, Job]:
    """What any method lies between: a copy of the source at every age, and the true faces, judged alike."""
    train = asked.train.recognition.train

    def of(name: str) -> Job:
        named = RunSpec(
            recipe=BOUNDS_RECIPE,
            recipe_version=BOUNDS_VERSION,
            seed=0,
            values={"faces": name, "size": train.relief.size, **judged_by(asked)},
            data=data_of(asked, train),
        )

        def compute_bound(folder: Path, judge: Path) -> Result:
            started = time.perf_counter()
            scores = judge_all(asked, train, judge, (lambda one: one.truth) if name == TRUTH else copied)
            return Result(scores, {}, str(accelerator_for(device, "no").device), time.perf_counter() - started)

        return Job(named, compute_bound, judges.missing, {"judge": judges.job(asked.judge, device)}, leaves=())

    return {name: of(name) for name in (COPY, TRUTH)}


def copied(one: Wide) -> np.ndarray:
    """Each source as its face at every age."""
    return np.repeat(np.asarray(one.sources.pixels)[:, None], len(one.ages), 1)


def judge_all(
    asked: Mtlface, train: Recognition, judge: Path, draw: Callable[[Wide], np.ndarray]
) -> dict[str, np.ndarray]:
    """The scores of ``compute``: what ``draw`` makes of validation and of test people, and what the judges say."""
    reader, _ = age_judge.load(judge / WEIGHTS)
    found: dict[str, np.ndarray] = {}
    for split, count in people(asked).items():
        faces = relief.wide(split, size=train.relief.size, identities=count, ages=relief.middles(asked.judge.bounds))
        pictures = draw(faces)
        scores = judged(pictures, faces, reader, asked.judge)
        if split == "test":
            found |= scores | kept(pictures, faces, scores)
        else:
            found |= {f"{split}_{name}": values for name, values in scores.items()}
    return found


def judged(pictures: np.ndarray, faces: Wide, reader: AgeReader, asked: AgeJudging) -> dict[str, np.ndarray]:
    """What the judges say of pictures uint8 [N, G, H, W, 3], [N, G] each: ``told`` and ``outside`` (years, by the judge
    trained here and by an outside one), ``to_source`` and ``to_truth`` (cosines of SFace), ``psnr`` in dB and ``ssim``
    to the truth; and [N] ``identity``, ``age`` and ``group`` of the source.
    """
    shape = pictures.shape[:2]
    flat, truth = (one.reshape(-1, *one.shape[2:]) for one in (pictures, faces.truth))
    seen, true, sources = (judges.likeness(one) for one in (flat, truth, np.asarray(faces.sources.pixels)))
    by_face = {
        "told": judges.years(reader, flat),
        "outside": judges.outside_years(flat),
        "to_source": (seen * sources.repeat(shape[1], 0)).sum(1),
        "to_truth": (seen * true).sum(1),
        "psnr": psnr(flat, truth),
        "ssim": ssim(flat, truth),
    }
    age = faces.sources.labels["age"].to_numpy(np.float64)
    return {
        **{name: values.reshape(shape).astype(np.float32) for name, values in by_face.items()},
        "identity": faces.sources.labels["identity"].to_numpy(),
        "age": age.astype(np.float32),
        "group": judges.groups(age, asked.bounds).astype(np.int8),
    }


def kept(pictures: np.ndarray, faces: Wide, scores: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The pictures that a run keeps; see ``compute``."""
    sources = np.asarray(faces.sources.pixels)
    rows = across(scores["age"], SHOWN)
    worst = np.argsort(scores["to_truth"], axis=None, kind="stable")[:WORST]
    who, group = np.unravel_index(worst, scores["to_truth"].shape)
    return {
        "shown": pictures[rows],
        "shown_source": sources[rows],
        "shown_truth": faces.truth[rows],
        "worst": np.stack([sources[who], pictures[who, group], faces.truth[who, group]], 1),
        "worst_group": group.astype(np.int8),
    }
