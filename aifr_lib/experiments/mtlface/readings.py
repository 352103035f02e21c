"""Recognition by MTLFace: how its map is split, with the adversary and without, and what either part holds.

Each run trains one recogniser and scores it at once: lists of pairs, the age told, linear probes of X_age and X_id.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.figure import Figure

from aifr_lib.data.images import Images
from aifr_lib.data.loader import check_columns, to_input
from aifr_lib.data.relief import chosen
from aifr_lib.evaluation.probes import age_probe, identity_probe
from aifr_lib.experiments import recognise
from aifr_lib.experiments.age_estimate import told
from aifr_lib.experiments.jobs import Experiment, Job
from aifr_lib.experiments.measure.curves import curves
from aifr_lib.models.mtlface import Recogniser
from aifr_lib.reporting import plots
from aifr_lib.reporting.artefacts import Artefact
from aifr_lib.reporting.prose import digits, say
from aifr_lib.reporting.rows import METRICS, Key, Measured, Row, measured
from aifr_lib.reporting.runs import Result, Run, RunSpec
from aifr_lib.reporting.seeds import apart, student_t
from aifr_lib.reporting.tables import METRIC, Shape
from aifr_lib.settings.mtlface import Mtlface, MultiTask, Reading
from aifr_lib.settings.presets import Preset
from aifr_lib.training import mtlface
from aifr_lib.training.engine import LOG, accelerator_for

PARTS = ("identity", "age")  # X_id, X_age
MAIN, PLAIN = "both", "none_without_adversary"
ACROSS, NEAR = "relief-agedb", "relief-near"
Place = tuple[str, int]  # variant, seed
NAMES: dict[Key, str] = {
    "both": "both masks, adversary",
    "both_without_adversary": "both masks",
    "none": "no split, adversary",
    "none_without_adversary": "no split",
    "channel": "channel mask, adversary",
    "spatial": "spatial mask, adversary",
    "identity": "X_id",
    "age": "X_age",
}


def config_of(asked: Mtlface, reading: Reading, seed: int) -> MultiTask:
    """The training of one variant: the recognising half of ``train``, changed as the variant says."""
    changes: dict[str, Any] = {"afd": reading.afd}
    if not reading.adversary:
        changes["adversary_weight"] = 0.0
    recognition = asked.train.recognition
    train = recognition.train.model_copy(update={"seed": seed})
    return MultiTask(recognition=recognition.model_copy(update={"train": train, **changes}), synthesis=None)


def jobs_of(readings: Mapping[str, Reading], asked: Mtlface, seeds: Sequence[int] | None, device: str | None) -> Any:
    """The runs by (variant, seed), seed by seed, so that what is compared grows together."""
    planned = {name: one.seeds if seeds is None else tuple(seeds) for name, one in readings.items()}
    every = sorted({seed for own in planned.values() for seed in own})
    return {
        (name, seed): job(config_of(asked, one, seed), device)
        for seed in every
        for name, one in readings.items()
        if seed in planned[name]
    }


def jobs(preset: Preset, seeds: Sequence[int] | None = None, device: str | None = None) -> dict[Place, Job]:
    """With the adversary and without, split and not split."""
    return jobs_of(preset.mtlface.readings, preset.mtlface, seeds, device)


def attention_jobs(preset: Preset, seeds: Sequence[int] | None = None, device: str | None = None) -> dict[Place, Job]:
    """Both masks, beside each of them alone."""
    asked = preset.mtlface
    both = {MAIN: asked.readings[MAIN]} | asked.attentions
    return jobs_of(both, asked, seeds, device)


def job(config: MultiTask, device: str | None = None) -> Job:
    """The run of one recogniser."""
    return Job(spec(config), lambda folder: compute(config, folder, device))


def spec(config: MultiTask) -> RunSpec:
    """What names the run: every value but the seed, which stands apart, and the data."""
    train = config.recognition.train
    return RunSpec(
        recipe=mtlface.RECIPE,
        recipe_version=mtlface.RECIPE_VERSION,
        seed=train.seed,
        values=config.model_dump(mode="json", exclude={"recognition": {"train": {"seed"}}}),
        data=recognise.spec(train).data,
    )


def compute(config: MultiTask, folder: Path, device: str | None = None) -> Result:
    """Train into ``folder``; score on the lists of pairs as ``recognise.compute`` does; then look into the parts.

    summary, besides: ``age`` (mae in years of the age head on test people), ``probes`` by part (``mae`` and ``r`` of a
    linear probe of the age, fitted to validation people; ``rank1`` in % of one of who it is, fitted to all pictures but
    the last of each test person), ``curves``.
    """
    train = config.recognition.train
    check_columns((0, train.relief.size, train.relief.size, 3), train.input_hw)
    trained = mtlface.train(config, folder, device=device)
    started = time.perf_counter()
    where = accelerator_for(device, "no").device
    reader = trained.network.recogniser.to(where).eval()
    scores, summary = recognise.score(reader, train, str(where))
    _, validation = recognise.score(reader, train, str(where), split="validation")
    log = (folder / LOG).read_text(encoding="utf-8").splitlines()
    return Result(
        scores=scores,
        summary={
            **summary,
            "validation": validation,
            **parts_of(reader, chosen.faces(train.relief, "validation"), chosen.faces(train.relief), where),
            "checksum": trained.checksum,
            "images_per_s": trained.scalars["images_per_s"],
            "curves": curves(log),
        },
        device=str(where),
        wall_s=trained.scalars["seconds"] + time.perf_counter() - started,
        log_tail=log,
    )


def parts_of(reader: Recogniser, fitted: Images, tested: Images, where: torch.device | str) -> dict[str, Any]:
    """``age`` and ``probes`` of ``compute``: probes of the age are fitted to the people ``fitted``."""
    before, after = features(reader, fitted, where), features(reader, tested, where)
    ages, others = (one.labels["age"].to_numpy(np.float64) for one in (tested, fitted))
    identity = tested.labels["identity"].to_numpy()
    last = np.append(identity[1:] != identity[:-1], True)  # pictures are grouped by person
    probes = {}
    for part in PARTS:
        found = age_probe(before[part], others, after[part])
        who = identity_probe(after[part][~last], identity[~last], after[part][last])
        probes[part] = {
            "mae": float(np.abs(found - ages).mean()),
            "r": float(np.corrcoef(found, ages)[0, 1]),
            "rank1": 100 * float((who == identity[last]).mean()),
        }
    head = told(reader.estimated_age, np.asarray(tested.pixels), where)
    return {"age": {"mae": float(np.abs(head - ages).mean())}, "probes": probes}


def features(reader: Recogniser, images: Images, where: torch.device | str) -> dict[str, np.ndarray]:
    """X_id and X_age of pictures, flattened: float32 [N, C h w] each."""
    found: dict[str, list[np.ndarray]] = {part: [] for part in PARTS}
    with torch.inference_mode():
        for start in range(0, len(images), 256):
            x = to_input(torch.from_numpy(np.array(images.pixels[start : start + 256])).to(where))
            seen = reader.look(x)
            for part, values in zip(PARTS, (seen.identity, seen.age), strict=True):
                found[part].append(values.flatten(1).float().cpu().numpy())
    return {part: np.concatenate(values) for part, values in found.items()}


def rows_of(names: Sequence[str], preset: Preset, runs: Mapping[Place, Run]) -> Iterator[Row]:
    """By variant: accuracy on each list; years that the age head errs; what linear probes find in each part."""
    for name in names:
        found = {seed: run.summary for (variant, seed), run in runs.items() if variant == name}
        for pairs in preset.mtlface.train.recognition.train.relief.pair_lists:
            keys = {"variant": name, "set": pairs}
            yield Row(keys=keys, metric="accuracy", measured=recognise.over_seeds(found, pairs))
        yield Row(keys={"variant": name, "part": "age head"}, metric="mae", measured=over(found, "age", "mae"))
        for part in PARTS:
            for metric, value in {"mae": "mae", "corr": "r", "rank1": "rank1"}.items():
                keys = {"variant": name, "part": part}
                yield Row(keys=keys, metric=metric, measured=over(found, "probes", part, value))


def over(found: Mapping[int, Mapping[str, Any]], *path: str) -> Measured | None:
    """The number at ``path`` of each seed's summary: mean and Student's t; None of none."""
    picked: dict[int, float] = {}
    for seed, summary in found.items():
        node: Any = summary
        for name in path:
            node = node[name]
        picked[seed] = float(node)
    return student_t(picked) if picked else None


def decomposition_rows(preset: Preset, runs: Mapping[Place, Run]) -> Iterator[Row]:
    """The variants with and without split and adversary."""
    yield from rows_of(list(preset.mtlface.readings), preset, runs)


def attention_rows(preset: Preset, runs: Mapping[Place, Run]) -> Iterator[Row]:
    """Both masks, and each alone."""
    yield from rows_of([MAIN, *preset.mtlface.attentions], preset, runs)


def figure(artefact: Artefact) -> Figure:
    """Left: accuracy by list. Right: what probes find in each part, the age's years against the person's rank-1."""
    variants = list(dict.fromkeys(str(row.keys["variant"]) for row in artefact.rows))
    lists = list(dict.fromkeys(str(row.keys["set"]) for row in artefact.rows if "set" in row.keys))
    drawn, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
    for number, variant in enumerate(variants):
        colour, marker = plots.PALETTE[number], plots.MARKERS[number]
        for place, name in enumerate(lists):
            one = measured(artefact.rows, "accuracy", {"variant": variant, "set": name})
            if one:
                x = place + 0.12 * (number - (len(variants) - 1) / 2)
                label = NAMES.get(variant, variant) if place == 0 else None
                left.plot(x, one.mean, marker, color=colour, label=label)
                if one.ci95:
                    left.vlines(x, *one.ci95, color=colour, alpha=0.6)
        for part, filled in (("identity", True), ("age", False)):
            mae, rank = (measured(artefact.rows, m, {"variant": variant, "part": part}) for m in ("mae", "rank1"))
            if mae and rank:
                right.plot(mae.mean, rank.mean, marker, color=colour, fillstyle="full" if filled else "none", ms=9)
    words = {"relief-agedb": "30 years apart", "relief-lfw": "random", "relief-near": "near in age"}
    left.set_xticks(range(len(lists)), [words.get(name, name) for name in lists])
    left.set(xlabel="relief pairs", ylabel=METRICS["accuracy"])
    left.legend(fontsize=8, loc="best")
    right.set(xlabel="probe of the age: mean error, years", ylabel="probe of the person: rank-1, %")
    right.set_title("filled: X_id, hollow: X_age", fontsize=10)
    return drawn


def found(artefact: Artefact) -> str:
    """What the adversary takes out of X_id, and what recognition across ages makes of it."""

    def one(variant: str, metric: str, **keys: str) -> Measured | None:
        return measured(artefact.rows, metric, {"variant": variant, **keys})

    with_, without = (one(name, "mae", part="identity") for name in (MAIN, "both_without_adversary"))
    both, plain = (one(name, "accuracy", set=ACROSS) for name in (MAIN, PLAIN))
    unlearned, gained = apart(with_, without), apart(both, plain)
    numbers = {name: digits(value.mean) for name, value in (("with_", with_), ("without", without), ("both", both),
                                                            ("plain", plain)) if value}  # fmt: skip
    return say(
        numbers,
        (with_ and without, "A linear probe reads the age out of X_id to {without} years without the adversary and to"
                            " {with_} years with it:"),
        (with_ and without and unlearned > 0, "the adversary hides some of it."),
        (with_ and without and unlearned < 0, "with the adversary the age is easier to read."),
        (with_ and without and not unlearned, "no difference that these seeds can tell from chance."),
        (both and plain, "Of pairs thirty years apart, {both} % are told rightly with split and adversary, and"
                         " {plain} % without either:"),
        (both and plain and gained > 0, "a gain."),
        (both and plain and gained < 0, "a loss."),
        (both and plain and not gained, "no difference that these seeds can tell from chance."),
    )  # fmt: skip


SHAPE = Shape(down=("variant",), across=("part", "set", METRIC), names=NAMES)
DECOMPOSITION = Experiment(
    "mtlface_decomposition", jobs, decomposition_rows, lambda artefact, _: figure(artefact), found=found, shape=SHAPE
)
ATTENTION = Experiment(
    "mtlface_attention", attention_jobs, attention_rows, lambda artefact, _: figure(artefact), shape=SHAPE
)
