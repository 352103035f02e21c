"""ComFace's Fig. D: how good are synthetic identities, as SER-FIQ sees them, and as an outside score does?

The paper scores the unedited picture of each identity. Here a network with dropout, trained on relief faces, scores
the generator's people and relief people of the test split. Whether its score means anything on photo-real faces is
asked too: each picture is blurred and scored again, and a network that others trained on photographs scores all.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter
from scipy.stats import rankdata
from torch import nn

from aifr_lib.data import relief
from aifr_lib.data.images import crop_columns
from aifr_lib.evaluation.intervals import wilson
from aifr_lib.evaluation.ser_fiq import Quality as FoundQuality
from aifr_lib.evaluation.ser_fiq import ser_fiq
from aifr_lib.evaluation.statistics import correlation_statistic
from aifr_lib.experiments import available
from aifr_lib.experiments.comface.quality_figure import quality_figure
from aifr_lib.experiments.generator import drawing
from aifr_lib.experiments.jobs import Experiment, Job
from aifr_lib.experiments.measure.protocol_rows import mean_over_people, statistic_over_people
from aifr_lib.experiments.relief import convergence
from aifr_lib.faces import align
from aifr_lib.faces.generators import mobilestylegan
from aifr_lib.models.judges import qualityface
from aifr_lib.packages import missing_package
from aifr_lib.progress import tqdm
from aifr_lib.reporting import plots
from aifr_lib.reporting.artefacts import Artefact
from aifr_lib.reporting.prose import digits, listed, say
from aifr_lib.reporting.rows import Measured, Row, measured
from aifr_lib.reporting.runs import DataId, Result, Run, RunSpec
from aifr_lib.reporting.tables import METRIC, Shape
from aifr_lib.settings.comface import ComfaceQuality
from aifr_lib.settings.presets import Preset
from aifr_lib.training import recognition
from aifr_lib.training.engine import accelerator_for

ID = "comface_figD"
RECIPE, RECIPE_VERSION = "quality", 1
NETWORK, SER_FIQ, OUTSIDE = "network", "SER-FIQ", "outside judge"
FIRST = 3_000_000  # the generator's people here: no direction was found or certified on them
BLUR = 2.0  # pixels, standard deviation at 112
THE = {drawing.NAMES["latent"]: "the generator"}  # in a sentence
THRESHOLDS = (0.1, 0.2, 0.4, 0.6)  # of Table H; the last is "good quality" in section C.1
REACHED, FALLS = f"v ≥ {THRESHOLDS[-1]:g}, %", "lower when blurred, %"
SHOWN = (REACHED, "mean score", FALLS, "rank correlation")  # in the page's table
LOWER = "score lower for the most part, as they should"
HIGHER = "score higher for the most part: the score is no measure of sharpness here"
EITHER = "score lower about as often as higher"
THUMB = 64
LOG = logging.getLogger(__name__)
RunKey = tuple[str, str]
Scores = Mapping[str, np.ndarray]


def quality_rows(preset: Preset, runs: Mapping[RunKey, Run]) -> Iterator[Row]:
    """Shares of identities above each threshold, what blur does to the score, and its agreement with an outside one.

    One network was trained, with one seed: the scale of its scores is its own.
    """
    yield network_row(preset, runs.get((NETWORK, NETWORK)))
    for name in preset.comface_quality.sets:
        yield from set_rows(drawing.NAMES[name], runs.get((name, SER_FIQ)), runs.get((name, OUTSIDE)))


def quality_jobs(preset: Preset, seeds: Sequence[int] | None = None, device: str | None = None) -> dict[RunKey, Job]:
    """The training, then each set of faces by SER-FIQ and by the outside judge."""
    settings = preset.comface_quality
    network = convergence.job(settings.train, device)
    jobs: dict[RunKey, Job] = {(NETWORK, NETWORK): network}

    def job(name: str, score: str) -> Job:
        values = {"faces": name, "identities": settings.identities, "blur": BLUR}
        if score == SER_FIQ:
            values |= {"passes": settings.passes, "network": network.spec.key}
        else:
            values |= {"judge": qualityface.SHA256[:16]}
        spec = RunSpec(
            recipe=RECIPE, recipe_version=RECIPE_VERSION, seed=0, values=values, data=faces_id(name, settings)
        )

        if score == OUTSIDE:
            return Job(spec, lambda _: judge_run(name, settings), lambda: missing(name, score))
        return Job(
            spec,
            lambda _, network: ser_fiq_run(name, settings, network, device),
            lambda: missing(name, score),
            needs={"network": network},
        )

    for name in settings.sets:
        jobs |= {(name, score): job(name, score) for score in (SER_FIQ, OUTSIDE)}
    return jobs


def missing(name: str, score: str) -> str | None:
    """Why this run cannot be computed here, in one sentence; None where it can."""
    packages = available.ALIGNING if name == "latent" else {}
    lacking = drawing.missing(name) or missing_package(packages)
    return lacking or (qualityface.missing() if score == OUTSIDE else None)


def faces_id(name: str, settings: ComfaceQuality) -> DataId:
    """The faces that are scored, named with no picture drawn."""
    if name == "relief":
        digest = relief.digest("test", size=align.SIDE, identities=settings.identities, per_identity=1)
        return DataId(name=drawing.NAMES[name], version=relief.VERSION, hash=digest)
    source = drawing.source_id(name)
    return source.model_copy(update={"hash": f"{source.hash}-{FIRST}-{align.VERSION}"})


@lru_cache(maxsize=2)
def crops(name: str, identities: int) -> np.ndarray:
    """uint8 [N, 112, 112, 3]: the unedited face of each identity, aligned; those with no face found are left out."""
    if name == "relief":
        return np.array(relief.load("test", size=align.SIDE, identities=identities, per_identity=1).pixels)
    generator = mobilestylegan.open_generator()
    found = []
    for seed in tqdm(range(FIRST, FIRST + identities), desc="drawing people", unit="face", delay=2):
        face = align.align(generator.synthesise(generator.codes([seed]))[0])
        if face is None:
            LOG.warning("identity %d is left out: the detector sees no face in its picture", seed)
        else:
            found.append(face.pixels)
    return np.stack(found)


def blurred(pixels: np.ndarray) -> np.ndarray:
    """The same crops out of focus."""
    soft = ImageFilter.GaussianBlur(BLUR)
    return np.stack([np.asarray(Image.fromarray(one).filter(soft)) for one in pixels])


def ser_fiq_run(name: str, settings: ComfaceQuality, folder: Path, device: str | None = None) -> Result:
    """scores: ``distance`` d̄ and ``score`` v [N], ``blurred_*`` the same, small pictures (``jpeg``, ``ends``).

    folder: where the training of the network left its weights.
    """
    started = time.perf_counter()
    target = accelerator_for(device, "no").device
    network, _ = recognition.load(folder / "weights.safetensors")
    clear = crops(name, settings.identities)
    scores: dict[str, np.ndarray] = {}
    for prefix, pixels in (("", clear), ("blurred_", blurred(clear))):
        found = by_ser_fiq(network, pixels, settings, device)
        scores |= {f"{prefix}distance": found.distance, f"{prefix}score": found.score}
    thumbs = drawing.packed([plots.picture(one) for one in _resized(clear, THUMB)])
    return Result({**scores, **thumbs}, {"faces": len(clear)}, str(target), time.perf_counter() - started)


def by_ser_fiq(
    network: nn.Module, pixels: np.ndarray, settings: ComfaceQuality, device: str | None = None
) -> FoundQuality:
    """SER-FIQ of crops of 112 pixels, at the size that the network takes."""
    resized = crop_columns(_resized(pixels, settings.train.input_hw[0]), settings.train.input_hw)
    return ser_fiq(network, resized, passes=settings.passes, device=device, progress=True)


def outside(pixels: np.ndarray) -> np.ndarray:
    """The outside judge's score of crops of 112 pixels, [N]."""
    judge = qualityface.QualityJudge()
    return np.concatenate([judge(part) for part in np.array_split(pixels, -(-len(pixels) // 32))])


def judge_run(name: str, settings: ComfaceQuality) -> Result:
    """scores: ``score`` and ``blurred_score`` [N] of the outside judge."""
    started = time.perf_counter()
    clear = crops(name, settings.identities)
    scores = {"score": outside(clear), "blurred_score": outside(blurred(clear))}
    return Result(scores, {"faces": len(clear)}, "cpu", time.perf_counter() - started)


def _resized(pixels: np.ndarray, side: int) -> np.ndarray:
    return np.stack([np.asarray(Image.fromarray(one).resize((side, side), Image.Resampling.BOX)) for one in pixels])


def network_row(preset: Preset, run: Run | None) -> Row:
    """How well the network that judges knows people: its accuracy across age on validation people."""
    keys = {"faces": drawing.NAMES["relief"], "score": f"verification, {convergence.ACROSS_AGE}"}
    if run is None or convergence.ACROSS_AGE not in run.summary["accuracy"]:
        return Row(keys=keys, metric="accuracy")
    ends = tuple(run.summary["interval"][convergence.ACROSS_AGE])
    mean = run.summary["accuracy"][convergence.ACROSS_AGE]
    return Row(keys=keys, metric="accuracy", measured=Measured(mean=mean, ci95=ends, interval="identities"))


def set_rows(name: str, ours: Run | None, outside: Run | None) -> Iterator[Row]:
    """The numbers of one set of faces; without a run, no measured value."""
    v = None if ours is None else ours.scores["score"].astype(np.float64)
    for least in THRESHOLDS:
        source = "section C.1: the majority" if least == THRESHOLDS[-1] else None
        yield Row(
            keys={"faces": name, "score": SER_FIQ}, metric=f"v ≥ {least:g}, %",
            measured=None if v is None else share(v >= least), paper_source=source,
        )  # fmt: skip
    for score, run in ((SER_FIQ, ours), (OUTSIDE, outside)):
        keys = {"faces": name, "score": score}
        if run is None:
            yield Row(keys=keys, metric=FALLS)
            continue
        if score == SER_FIQ:
            yield Row(keys=keys, metric="faces scored", measured=Measured(mean=run.summary["faces"]))
        for metric in ("distance", "score") if score == SER_FIQ else ("score",):
            yield Row(keys=keys, metric=f"mean {metric}", measured=mean(run.scores[metric]))
        yield Row(keys=keys, metric=FALLS, measured=share(falls(run.scores)))
    both = {"faces": name, "score": f"{SER_FIQ} and {OUTSIDE}"}
    measured = None if ours is None or outside is None else agreement(ours.scores, outside.scores)
    yield Row(keys=both, metric="rank correlation", measured=measured)


def falls(scores: Scores) -> np.ndarray:
    """bool [N]: whether blur lowers the score; by the distance where there is one, as the score has few levels."""
    if "distance" in scores:
        return np.asarray(scores["blurred_distance"] > scores["distance"])
    return np.asarray(scores["blurred_score"] < scores["score"])


def share(hits: np.ndarray) -> Measured:
    """A percentage of people, with Wilson's interval."""
    low, high = wilson(int(hits.sum()), len(hits))
    return Measured(mean=100 * float(hits.mean()), ci95=(100 * low, 100 * high), interval="trials")


def mean(values: np.ndarray) -> Measured:
    """A mean over people, with a bootstrap over them."""
    return mean_over_people(values.astype(np.float64), np.arange(len(values)))


def agreement(ours: Scores, outside: Scores) -> Measured:
    """Spearman's correlation of the two scores, with a bootstrap over people."""
    statistic = correlation_statistic(rankdata(-ours["distance"]), rankdata(outside["score"]))
    return statistic_over_people(statistic, np.arange(len(ours["distance"])))


def found(artefact: Artefact) -> str:
    """The paper's share of good faces, and whether the score falls where pictures are made worse."""
    good: dict[str, str] = {}
    blurred: dict[str, list[str]] = {}
    for name in dict.fromkeys(str(row.keys["faces"]) for row in artefact.rows):
        reached, blur = (
            measured(artefact.rows, metric, {"faces": name, "score": SER_FIQ}) for metric in (REACHED, FALLS)
        )
        if reached:
            good[THE.get(name, name)] = digits(reached.mean)
        if blur and blur.ci95:
            low, high = blur.ci95
            kind = LOWER if low > 50 else HIGHER if high < 50 else EITHER
            blurred.setdefault(kind, []).append(THE.get(name, name))
    first, *others = (f"of {name} {share} %" for name, share in good.items()) if good else ("",)
    return say(
        {"first": first, "others": "".join(f", {one}" for one in others), "least": THRESHOLDS[-1]},
        (good, "Of pictures {first} have a score of {least:g} and more{others}."),
        *((True, f"Blurred, pictures of {listed(names)} {kind}.") for kind, names in blurred.items()),
    )


FIG_D = Experiment(
    "comface_figD",
    quality_jobs,
    quality_rows,
    lambda _, runs: quality_figure(runs),
    found=found,
    shape=Shape(down=("faces", "score"), across=(METRIC,), only={METRIC: SHOWN}),
)
