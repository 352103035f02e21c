"""A trained student in the files that it could be shipped in: as it is, with other kernels, with eight bits (ours)."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from aifr_lib.data.images import Images
from aifr_lib.data.photograph_pairs import GAP_NAMES
from aifr_lib.experiments import recognise
from aifr_lib.experiments.aad.cost import NEEDED, THREADS, latency
from aifr_lib.experiments.aad.protocols import by_gap
from aifr_lib.experiments.aad.students import student_job
from aifr_lib.experiments.jobs import Experiment, Job
from aifr_lib.models.foreign.cards import Card, Carded
from aifr_lib.models.foreign.export import export_onnx
from aifr_lib.models.foreign.onnx_network import OnnxNetwork
from aifr_lib.models.foreign.quantise import quantise
from aifr_lib.packages import missing_package
from aifr_lib.reporting import plots
from aifr_lib.reporting.artefacts import Artefact
from aifr_lib.reporting.prose import digits, say
from aifr_lib.reporting.rows import METRICS, Measured, Row, measured
from aifr_lib.reporting.runs import Result, Run, RunSpec
from aifr_lib.reporting.tables import METRIC, Shape
from aifr_lib.settings.presets import Preset
from aifr_lib.settings.recognition import Recognition
from aifr_lib.training import distillation, recognition
from aifr_lib.training.distillation import WEIGHTS

RECIPE, RECIPE_VERSION = "student_files", 2
CALIBRATED = 200  # training faces that the ranges of the maps are read from
AS_IT_IS, PAIRS, INT8, INT8_PAIRS = "float32", "float32, PReLU as two ReLUs", "int8", "int8, PReLU as two ReLUs"
FILES = {AS_IT_IS: False, PAIRS: True, INT8: False, INT8_PAIRS: True}  # whether PReLU is rewritten
SHOWN = ("self", "aad")  # variants that are shipped, of the first student of the ledger


def int8_jobs(preset: Preset, seeds: Sequence[int] | None = None, device: str | None = None) -> dict[str, Job]:
    """A run by variant: the first seed of the first student; what the argument ``seeds`` says does not matter."""
    aad = preset.aad
    entry = aad.ledger[0]
    faces = aad.train.relief

    def job(variant: str) -> Job:
        config = aad.student(entry, variant, entry.seeds[0])
        student = student_job(config, aad.protocols, device)
        spec = RunSpec(
            recipe=RECIPE,
            recipe_version=RECIPE_VERSION,
            seed=student.spec.seed,
            values={"student": student.spec.key, "calibrated": CALIBRATED},
            data=student.spec.data,
        )
        return Job(
            spec,
            lambda folder, student: compute(student, config.train, calibrating(faces)),
            lambda: missing_package(NEEDED),
            needs={"student": student},
            leaves=(),
        )

    return {variant: job(variant) for variant in SHOWN if variant in entry.variants}


def calibrating(faces: Any) -> Images:
    """Training faces, evenly over all people."""
    images = recognition.relief_faces(faces)
    return images.take(np.linspace(0, len(images) - 1, min(CALIBRATED, len(images))).round().astype(int))


def compute(folder: Path, config: Recognition, calibrated: Images) -> Result:
    """summary: by file ``megabytes``, ``latency`` by threads, ``gaps`` by list and years as ``protocols.scored``."""
    started = time.perf_counter()
    network = distillation.load(folder / WEIGHTS)[0]
    carded = Carded(network, Card(input_hw=config.input_hw))
    pixels = np.array(calibrated.pixels)
    files: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as place:
        for number, (name, pairs) in enumerate(FILES.items()):
            path = Path(place) / f"{number}.onnx"
            if name in (INT8, INT8_PAIRS):
                quantise(Path(place) / f"{number - 2}.onnx", path, pixels)
            else:
                export_onnx(carded, path, pixels[:8], relu_pairs=pairs)
            scores, _ = recognise.score(OnnxNetwork(path), config, "cpu")
            files[name] = {
                "megabytes": path.stat().st_size / 1e6,
                "latency": {str(threads): latency(path, config.input_hw, threads) for threads in THREADS},
                "gaps": {list_: by_gap(config, list_, found) for list_, found in scores.items()},
            }
    return Result({}, {"files": files}, "cpu", time.perf_counter() - started)


def int8_rows(preset: Preset, runs: Mapping[str, Run]) -> Iterator[Row]:
    """By variant and file: size, latency by threads, accuracy by list and years between the pictures."""
    lists = preset.aad.train.relief.pair_lists
    for variant in int8_jobs(preset):
        run = runs.get(variant)
        for name in FILES:
            file = run.summary["files"][name] if run else None
            keys = {"variant": variant, "file": name}
            size = Measured(mean=file["megabytes"]) if file else None
            yield Row(keys={**keys, "threads": "any"}, metric="megabytes", measured=size)
            for threads in map(str, THREADS):
                for metric, what in (("latency", "median"), ("latency_p10", "p10")):
                    taken = Measured(mean=file["latency"][threads][what]) if file else None
                    yield Row(keys={**keys, "threads": threads}, metric=metric, measured=taken)
            for pairs in lists:
                for gap in ("all", *GAP_NAMES):
                    at = file["gaps"][pairs].get(gap) if file else None
                    if at is None and (file or gap != "all"):
                        continue
                    accuracy = Measured(mean=at["accuracy"]) if at else None
                    yield Row(keys={**keys, "set": pairs, "gap": gap}, metric="accuracy", measured=accuracy)


def int8_figure(artefact: Artefact, _: Mapping[str, Run]) -> Figure:
    """Milliseconds a picture and accuracy by years, file by file, of the first variant that was run."""
    shown = [row for row in artefact.rows if row.measured]
    variant = shown[-1].keys["variant"] if shown else ""
    figure, axes = plt.subplots(1, 2, figsize=(10, 3.8))
    for number, name in enumerate(FILES):
        colour, marker = plots.PALETTE[number], plots.MARKERS[number]
        keys = {"variant": variant, "file": name}
        times = [measured(artefact.rows, "latency", {**keys, "threads": str(one)}) for one in THREADS]
        axes[0].plot(THREADS, [one.mean if one else np.nan for one in times], color=colour, marker=marker, label=name)
        by = {gap: measured(artefact.rows, "accuracy", {**keys, "set": "relief-lfw", "gap": gap}) for gap in GAP_NAMES}
        axes[1].plot(GAP_NAMES, [one.mean if one else np.nan for one in by.values()], color=colour, marker=marker)
    axes[0].set(xlabel="threads", ylabel=METRICS["latency"], xticks=THREADS, ylim=(0, None))
    axes[1].set(xlabel="years between the two pictures (random relief pairs)", ylabel=METRICS["accuracy"])
    axes[0].legend(fontsize=8)
    figure.suptitle(f"MobileFaceNet, {variant}", fontsize=10)
    figure.tight_layout()
    return figure


def found(artefact: Artefact) -> str:
    """What eight bits save and cost."""

    def one(file: str, metric: str, **keys: str) -> Measured | None:
        return measured(artefact.rows, metric, {"variant": SHOWN[-1], "file": file, **keys})

    sizes = [one(file, "megabytes") for file in (AS_IT_IS, INT8)]
    times = [one(file, "latency", threads="1") for file in (AS_IT_IS, PAIRS, INT8)]
    right = [one(file, "accuracy", set="relief-agedb", gap="all") for file in (AS_IT_IS, INT8)]
    if not all((*sizes, *times, *right)):
        return ""
    values = [digits(value.mean) for value in (*sizes, *times, *right) if value]
    numbers = dict(zip(("large", "small", "is", "pairs", "int8", "before", "after"), values, strict=True))
    return say(
        numbers,
        (True, "As a file of float32 the student with attention takes {large} MB and {is} ms a picture on one thread;"),
        (True, "with PReLU written as two ReLUs it takes {pairs} ms, with eight bits {small} MB and {int8} ms."),
        (True, "Of pairs thirty years apart it is right on {before} % and, with eight bits, {after} %."),
    )


FILES_OF = Experiment(
    "aad_files",
    int8_jobs,
    int8_rows,
    int8_figure,
    found=found,
    shape=Shape(down=("variant", "file"), across=(METRIC, "threads"), only={METRIC: ("megabytes", "latency")}),
)
BY_YEARS = Shape(down=("variant", "file"), across=("gap",), only={METRIC: "accuracy", "set": "relief-lfw"})
