"""What a student costs: parameters, multiply-adds at test and in training, and time in ONNX Runtime (ours)."""

from __future__ import annotations

import statistics
import tempfile
import textwrap
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.figure import Figure
from torch import nn
from torch.optim.swa_utils import update_bn
from torch.utils.flop_counter import FlopCounterMode

from aifr_lib.experiments.aad.networks import PRINTED
from aifr_lib.experiments.aad.students import entry_of
from aifr_lib.experiments.aad.tables import STUDENT
from aifr_lib.experiments.jobs import Experiment, Job
from aifr_lib.experiments.measure.sizes import NOTHING, count, multiply_adds
from aifr_lib.models.foreign.cards import Card, Carded
from aifr_lib.models.foreign.export import INPUT, export_onnx
from aifr_lib.packages import missing_package, session
from aifr_lib.reporting import papers, plots
from aifr_lib.reporting.artefacts import Artefact
from aifr_lib.reporting.prose import digits, in_full, say
from aifr_lib.reporting.rows import METRICS, Measured, Row, in_words, measured
from aifr_lib.reporting.runs import Result, Run, RunSpec
from aifr_lib.reporting.tables import METRIC, Shape
from aifr_lib.settings.aad import Distillation
from aifr_lib.settings.presets import Preset
from aifr_lib.training import distillation, recognition
from aifr_lib.training.distillation import Recogniser
from aifr_lib.training.objectives.distillation import EMBEDDING, MASKS, Student

RECIPE, RECIPE_VERSION = "cost", 3
NEEDED = {"onnx": "an ONNX file", "onnxscript": "an ONNX file", "onnxruntime": "time in ONNX Runtime"}
WARM, TIMED = 20, 100  # pictures, one at a time
ROUNDS, PAUSE = 8, 0.2  # seconds between rounds: what disturbs a machine comes and goes
THREADS = (1, 2)
CLASSES = 1000  # of the head, whose multiply-adds are a training's own


def cost_jobs(
    preset: Preset, seeds: Sequence[int] | None = None, device: str | None = None
) -> dict[tuple[str, str], Job]:
    """A run for each student of the ledger, by (backbone, variant): weights do not change what a network costs."""
    aad = preset.aad
    named = dict.fromkeys((entry.backbone, variant) for entry in aad.ledger for variant in entry.variants)

    def job(backbone: str, variant: str) -> Job:
        config = aad.student(entry_of(aad, backbone), variant, 0)
        kept = ("backbone", "width", "input_hw", "embedding")
        values = {
            "student": {name: value for name, value in config.train.model_dump(mode="json").items() if name in kept},
            "teacher": config.teacher
            and {name: value for name, value in config.teacher.model_dump(mode="json").items() if name in kept},
            "mode": config.mode,
            "feeds_back": config.feeds_back,
            "timed": [ROUNDS, TIMED],
        }
        spec = RunSpec(recipe=RECIPE, recipe_version=RECIPE_VERSION, seed=0, values=values, data=NOTHING)
        return Job(spec, lambda _: compute(config), lambda: missing_package(NEEDED), leaves=())

    return {place: job(*place) for place in named}


def compute(config: Distillation) -> Result:
    """summary: parameters; multiply-adds of a picture at test and in a training step; megabytes of the ONNX file;
    ``latency`` by number of threads: median and 10th percentile of milliseconds a picture.
    """
    started = time.perf_counter()
    network = untrained(config)
    summary: dict[str, Any] = {
        "parameters": count(network),
        "multiply_adds": multiply_adds(network, config.train.input_hw),
    }
    summary["multiply_adds_trained"], summary["kept_megabytes"] = training_step(config)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "student.onnx"
        pixels = np.random.default_rng(0).integers(0, 256, (4, *config.train.input_hw, 3), dtype=np.uint8)
        export_onnx(Carded(network, Card(input_hw=config.train.input_hw)), path, pixels)
        summary["megabytes"] = path.stat().st_size / 1e6
        summary["latency"] = {str(threads): latency(path, config.train.input_hw, threads) for threads in THREADS}
    return Result({}, summary, "cpu", time.perf_counter() - started)


def untrained(config: Distillation) -> nn.Module:
    """A student, in eval mode, whose norms have the statistics of noise: with none, maps that masks multiply fade from
    stage to stage down to nothing.
    """
    torch.manual_seed(0)
    network = distillation.student(config)
    update_bn([torch.randn(16, 3, *config.train.input_hw)], network)
    return network.eval()


def latency(path: Path, input_hw: tuple[int, int], threads: int) -> dict[str, float]:
    """Milliseconds for one picture, ``median`` and ``p10`` of ``TIMED`` after ``WARM``, of the quickest of ``ROUNDS``
    rounds, since other work only lengthens; threads do not spin.
    """
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(threads)  # which ``session`` takes
        run = session(str(path), "the time of a student")
    finally:
        torch.set_num_threads(before)
    picture = np.zeros((1, 3, *input_hw), dtype=np.float32)
    rounds = []
    for _ in range(ROUNDS):
        taken = []
        for _ in range(WARM + TIMED):
            began = time.perf_counter()
            run.run(None, {INPUT: picture})
            taken.append(1000 * (time.perf_counter() - began))
        timed = sorted(taken[WARM:])
        rounds.append({"median": statistics.median(timed), "p10": timed[len(timed) // 10]})
        time.sleep(PAUSE)
    return min(rounds, key=lambda one: one["median"])


def training_step(config: Distillation) -> tuple[float, float]:
    """Of a training step a picture, there and back, with kept outputs of the teachers:
    multiply-adds, and megabytes of what is kept on the way there for the way back.
    """
    kept: dict[int, int] = {}

    def pack(one: torch.Tensor) -> torch.Tensor:
        kept[one.data_ptr()] = max(kept.get(one.data_ptr(), 0), one.nbytes)
        return one

    batch: dict[str, torch.Tensor] = {}
    batch["images"] = torch.randn(2, 3, *config.train.input_hw)
    batch["identity"] = torch.tensor([0, 1])
    recogniser = None
    if config.teacher is not None:
        asked = config.mode == "kd"
        head = recognition.objective(config.teacher, CLASSES).head if asked else None
        teacher = recognition.backbone(config.teacher).eval().requires_grad_(False)
        recogniser = Recogniser(teacher, "untrained", head)
        batch[EMBEDDING] = torch.randn(2, 2, config.teacher.embedding)
    size = None if config.teacher is None else config.teacher.embedding
    module: Student = distillation.objective(config, CLASSES, recogniser, size)
    if config.masks != "none":
        cells = sum(height * width for height, width in module.sides)
        batch[MASKS] = torch.rand(2, 2, cells)
    weights = {one.data_ptr() for one in module.parameters()}
    with (
        FlopCounterMode(display=False) as counter,
        torch.autograd.graph.saved_tensors_hooks(pack, lambda one: one),
    ):
        module.train()(batch)["loss"].backward()
    pictures = len(batch["identity"])
    maps = sum(size for place, size in kept.items() if place not in weights)
    return counter.get_total_flops() / 2 / pictures, maps / pictures / 1e6


def cost_rows(preset: Preset, runs: Mapping[tuple[str, str], Run]) -> Iterator[Row]:
    """By backbone and variant: parameters, multiply-adds in millions, memory, size of the file, latency by threads."""
    for place in cost_jobs(preset):
        run = runs.get(place)
        keys = dict(zip(("backbone", "variant"), place, strict=True))
        scales = {"parameters": 1.0, "multiply_adds": 1e-6, "multiply_adds_trained": 1e-6, "megabytes": 1.0,
                  "kept_megabytes": 1.0}  # fmt: skip
        for metric, scale in scales.items():
            measured = Measured(mean=scale * run.summary[metric]) if run else None
            yield Row(keys={**keys, "threads": "any"}, metric=metric, measured=measured)
        for threads in THREADS:
            taken = run.summary["latency"][str(threads)] if run else {}
            for metric, name in (("latency", "median"), ("latency_p10", "p10")):
                measured = Measured(mean=taken[name]) if taken else None
                yield Row(keys={**keys, "threads": str(threads)}, metric=metric, measured=measured)


def cost_figure(artefact: Artefact) -> Figure:
    """A line a student: milliseconds a picture on one and two threads, and multiply-adds of a training step."""
    found = {(row.keys["backbone"], row.keys["variant"], row.keys["threads"], row.metric): row.measured.mean
             for row in artefact.rows if row.measured}  # fmt: skip
    backbones = list(dict.fromkeys(place[0] for place in found))
    students = sorted(dict.fromkeys(place[:2] for place in found), key=lambda student: backbones.index(student[0]))
    figure, axes = plt.subplots(1, 2, figsize=(11, 1.4 + 0.3 * len(students)), layout="constrained", sharey=True)
    colours = [plots.PALETTE[backbones.index(backbone)] for backbone, _ in students]
    shown = (("latency", [str(threads) for threads in THREADS]), ("multiply_adds_trained", ["any"]))
    for axis, (metric, kinds) in zip(axes, shown, strict=True):
        for marker, threads in zip(plots.MARKERS, kinds, strict=False):
            x = [found.get((*student, threads, metric), np.nan) for student in students]
            axis.scatter(x, range(len(students)), marker=marker, color=colours)
            axis.plot([], [], marker, color="0.4", label=f"threads: {threads}")
        axis.set(xlabel=textwrap.fill(METRICS[metric], 32), xlim=(0, None))
    axes[0].set_yticks(range(len(students)), [", ".join(map(in_words, student)) for student in students], fontsize=8)
    axes[0].invert_yaxis()
    axes[0].legend(fontsize=8)
    return figure


def found(artefact: Artefact) -> str:
    """What the way of teaching costs the student that all ways teach: at test, in time, in training."""

    def one(variant: str, metric: str, threads: str = "any") -> Measured | None:
        return measured(artefact.rows, metric, {"backbone": STUDENT, "variant": variant, "threads": threads})

    test, taught = one("self", "multiply_adds"), one("aad", "multiply_adds")
    time_alone, time_taught = (one(variant, "latency", "1") for variant in ("self", "aad"))
    step, step_taught = (one(variant, "multiply_adds_trained") for variant in ("self", "aad"))
    both, timed, trained = test and taught, time_alone and time_taught, step and step_taught
    named = {"test": test, "taught": taught, "time": time_alone, "longer": time_taught, "step": step}
    return say(
        {name: digits(value.mean) for name, value in (named | {"more": step_taught}).items() if value},
        (both, "MobileFaceNet alone takes {test} million multiply-adds a picture, and {taught} million with AAD,"),
        (both, "whose masks stay in the student."),
        (timed, "On one thread that is {time} and {longer} ms."),
        (trained, "A training step takes {step} million a picture alone, {more} million with AAD."),
    )


def printed_costs(sizes: Artefact, timed: bool) -> str:
    """What is known of cost before a student is timed: what the paper prints, and what its networks compute.

    sizes: the artefact of Fig. 2, which counts multiply-adds of the published networks. timed: whether ours were.
    """
    printed = {str(row["backbone"]): float(str(row["params_M"])) for row in papers.load("aad_table2").rows}
    teacher, *students = (printed[label] for label in PRINTED.values())
    counted = (measured(sizes.rows, "multiply_adds", {"network": name}) for name in PRINTED)
    large, *small = (one.mean if one else 0.0 for one in counted)
    built = large and all(small)
    numbers = {"teacher": in_full(teacher), "least": in_full(min(students)), "most": in_full(max(students))}
    numbers |= {"adds": digits(large), "few": digits(min(small)), "many": digits(max(small))}
    return say(
        numbers,
        (
            True,
            "Of cost Table II prints parameters alone: {least} to {most} million of a student, {teacher} million of",
        ),
        (True, "the teacher."),
        (built, "Built as published, the students compute {few} to {many} million multiply-adds a picture and the"),
        (built, "teacher {adds} million."),
        (
            not timed,
            "How long a student of this book takes, and what it costs to train, was not measured at this size.",
        ),
    )


COST = Experiment(
    "aad_cost",
    cost_jobs,
    cost_rows,
    lambda artefact, _: cost_figure(artefact),
    found=found,
    shape=Shape(
        down=("backbone", "variant"),
        across=(METRIC,),
        only={METRIC: ("parameters", "multiply_adds", "multiply_adds_trained", "latency"), "threads": ("any", "1")},
        names={"latency": "milliseconds a picture, one thread"},
    ),
)
