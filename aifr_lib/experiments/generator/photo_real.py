"""A second source of training faces: does a network that learns from photo-real people know real ones better?

The same small network takes the same steps on relief faces and on the offline generator's people, each of whom is seen
within two years of an age of their own (``data.edited.narrow``). Both are asked about photographs, on FG-NET by the age
gap, and about other people of the generator across ages.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path

from aifr_lib.data import edited
from aifr_lib.data.images import Images
from aifr_lib.evaluation.protocol_scores import IMPOSTORS, measure
from aifr_lib.experiments.available import SETS, data_id, missing_set
from aifr_lib.experiments.companion.real_photographs import MAIN, gap_figure
from aifr_lib.experiments.generator import latent_sets
from aifr_lib.experiments.generator.drawing import source_id
from aifr_lib.experiments.generator.latent_directions import missing as missing_generator
from aifr_lib.experiments.jobs import Experiment, Job
from aifr_lib.experiments.measure.embedders import device_of, embeddings_of
from aifr_lib.experiments.measure.protocol_rows import identification_rows, verification_rows
from aifr_lib.experiments.relief import convergence
from aifr_lib.faces import align
from aifr_lib.reporting.artefacts import Artefact
from aifr_lib.reporting.prose import digits, listed, say
from aifr_lib.reporting.rows import Row, measured
from aifr_lib.reporting.runs import DataId, Result, Run, RunSpec
from aifr_lib.reporting.seeds import apart, student_t
from aifr_lib.reporting.tables import METRIC, Shape
from aifr_lib.settings.presets import Preset
from aifr_lib.settings.recognition import Recognition

ID = "photo_real"
RECIPE, RECIPE_VERSION = "photo_real", 1
AGES = "across ages"  # its people across ages, none of whom is trained on
PHOTOGRAPHS = {"orl": "ORL", "fgnet": "FG-NET"}
NAMES = {"relief": "trained on relief faces", "generator": "trained on the generator's people"}
RunKey = tuple[str, str, int]  # source, data, seed


def photo_real_rows(preset: Preset, runs: Mapping[RunKey, Run]) -> Iterator[Row]:
    """Verification and leave-one-out rank-1 of each source on each data set, by age gap where ages are known.

    Means over seeds with Student's t; with one seed the intervals resample people.
    """
    for source, data in product(NAMES, datasets(preset)):
        keys = {"data": data, "embedder": source}
        found = {seed: run for (one, at, seed), run in runs.items() if (one, at) == (source, data)}
        rows = {
            seed: verification_rows(run.scores, keys) + identification_rows(run.scores, keys)
            for seed, run in found.items()
        }
        if not rows:
            yield from (Row(keys={**keys, "gap": "all"}, metric=metric) for metric in MAIN)
        elif len(rows) == 1:
            yield from next(iter(rows.values()))
        else:
            for same in zip(*rows.values(), strict=True):
                by_seed = {seed: row.measured.mean for seed, row in zip(rows, same, strict=True) if row.measured}
                yield same[0].model_copy(update={"measured": student_t(by_seed) if by_seed else None})


def photo_real_jobs(preset: Preset, seeds: Sequence[int] | None = None, device: str | None = None) -> dict[RunKey, Job]:
    """Each network on each data set; what they need are the trainings."""
    settings = preset.photo_real

    def job(source: str, data: str, seed: int) -> Job:
        config: Recognition = getattr(settings, source).model_copy(update={"seed": seed})
        training = convergence.job(config, device)
        if source == "generator":
            training = replace(training, lacking=missing_generator)
        values = {
            "data": data,
            "network": training.spec.key,
            "alignment": align.VERSION,
            "identities": preset.real.identities,
            "impostors": IMPOSTORS,
        }
        if data == AGES:
            counts = preset.latent_sets
            values |= {"version": edited.VERSION, "identities": counts.identities_across_ages}
            values["per_identity"] = counts.per_identity
        spec = RunSpec(recipe=RECIPE, recipe_version=RECIPE_VERSION, seed=seed, values=values, data=faces_id(data))
        return Job(
            spec,
            lambda _, network: compute_run(preset, data, network, device),
            lambda: missing_generator() if data == AGES else missing_set(data),
            needs={"network": training},
        )

    chosen = settings.seeds if seeds is None else seeds
    return {
        (source, data, seed): job(source, data, seed) for seed, source, data in product(chosen, NAMES, datasets(preset))
    }


def datasets(preset: Preset) -> tuple[str, ...]:
    """The photographs of the preset, and the generator's people across ages."""
    return (*preset.real.datasets, AGES)


def faces_id(data: str) -> DataId:
    """The data set, named with no picture drawn."""
    return source_id("latent", ("age", *(name for name, _, _ in edited.BETWEEN))) if data == AGES else data_id(data)


def faces(preset: Preset, data: str) -> Images:
    """The aligned pictures of a data set."""
    if data == AGES:
        return latent_sets.faces_across_ages(preset.latent_sets)
    return SETS[data].load(identities=preset.real.identities)


def compute_run(preset: Preset, data: str, network: Path, device: str | None = None) -> Result:
    """Embed and score with the network that lies in the folder ``network``; what ``measure`` gives, and counts."""
    started = time.perf_counter()
    images, path = faces(preset, data), network / "weights.safetensors"
    embeddings = embeddings_of(path, images, preset, device=device)
    return Result(
        scores=measure(images, embeddings),
        summary={"pictures": len(images), "people": int(images.labels["identity"].nunique())},
        device=device_of(path, device),
        wall_s=time.perf_counter() - started,
    )


def found(artefact: Artefact) -> str:
    """Which source teaches more of real people: rank-1 on each set of photographs."""
    ranks = {
        (data, source): measured(artefact.rows, "rank-1", {"data": data, "embedder": source, "gap": "all"})
        for data in PHOTOGRAPHS
        for source in NAMES
    }
    told = [
        f"{name} {digits(drawn.mean)} % after relief faces, {digits(real.mean)} % after the generator's people"
        for data, name in PHOTOGRAPHS.items()
        if (drawn := ranks[data, "relief"]) and (real := ranks[data, "generator"])
    ]
    better = [apart(ranks[data, "generator"], ranks[data, "relief"]) for data in PHOTOGRAPHS]
    return say(
        {"told": listed(told, "; on ")},
        (told, "After equally many steps of training, the nearest photograph is of the same person: on {told}."),
        (told and all(one > 0 for one in better), "Photo-real faces teach more of real ones."),
        (told and all(one < 0 for one in better), "Drawn faces teach more of real ones."),
        (told and not any(better), "These seeds cannot tell the two sources apart."),
        (
            told and any(better) and len({one > 0 for one in better}) > 1,
            "Which source teaches more depends on the photographs.",
        ),
    )


PHOTO_REAL = Experiment(
    ID,
    photo_real_jobs,
    photo_real_rows,
    lambda artefact, _: gap_figure(artefact, NAMES),
    found=found,
    shape=Shape(
        down=("data", "embedder"),
        across=(METRIC,),
        only={"gap": "all", METRIC: MAIN},
        names=dict([*NAMES.items(), (AGES, "the generator's people across ages")]),
    ),
)
