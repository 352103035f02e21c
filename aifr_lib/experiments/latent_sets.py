"""The offline generator's two sets of faces, built once, and what outside judges say of them.

``edited``: people × attributes × strengths, which ComFace learns change from (supplement A.1). ``across ages``: people
at many ages with pose, smile and light changing too, for recognition. Both lie in the cache; who wants their pictures
asks ``edited_faces`` and ``faces_across_ages``.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from aifr_lib.config import LatentSets, Preset
from aifr_lib.data import latent
from aifr_lib.data.images import Images
from aifr_lib.evaluation.embeddings import normalise
from aifr_lib.evaluation.intervals import mean_interval
from aifr_lib.experiments import latent_rows, relief_judge_rows, relief_judges
from aifr_lib.experiments.comface_faces import source_id, strengths
from aifr_lib.experiments.embedders import embeddings_of
from aifr_lib.experiments.jobs import Job, reproduce, stored, together
from aifr_lib.experiments.latent_directions import missing
from aifr_lib.experiments.relief_judge_rows import FOUND, GAPS, TOLD, UNKNOWN
from aifr_lib.faces import align, sources
from aifr_lib.models import judges
from aifr_lib.reporting.artefacts import Artefact, Measured, Row
from aifr_lib.reporting.runs import Result, Run, RunSpec

ID = "latent_sets"
RECIPE, RECIPE_VERSION = "generator_sets", 1
EDITED, AGES = "edited", "across ages"


def latent_sets(
    preset: Preset,
    *,
    seeds: Sequence[int] | None = None,
    device: str | None = None,
    compute: bool = True,
    fresh: bool = False,
    out: str | Path | None = None,
) -> Artefact:
    """Build both sets; then: whether faces are found, how old they look, and for how long SFace knows the person.

    Intervals resample people. ``seeds`` and ``device`` change nothing: a person is a seed, the generator runs on the
    CPU. Artefact ``latent_sets``.
    """
    jobs = set_jobs(preset)

    def rows(runs: Mapping[str, Run]) -> Iterator[Row]:
        if run := runs.get(EDITED):
            yield from edited_rows(run)
        if run := runs.get(AGES):
            yield from relief_judge_rows.judge_rows(run.scores, AGES)

    def figure(artefact: Artefact) -> Figure:
        return sets_figure(artefact, other_sets(preset, out))

    data = together([job.spec.data for job in jobs.values()])
    return reproduce(ID, preset, jobs, rows, data=data, figure=figure, compute=compute, fresh=fresh, out=out)


def set_jobs(preset: Preset, seeds: Sequence[int] | None = None, device: str | None = None) -> dict[str, Job]:
    """One run for each set. Naming them needs no picture and no package."""
    settings = preset.latent_sets
    people: dict[str, dict[str, Any]] = {
        EDITED: {"identities": settings.identities, "attributes": settings.attributes, "step": settings.step},
        AGES: {"identities": settings.identities_across_ages, "per_identity": settings.per_identity},
    }
    moved = {EDITED: settings.attributes, AGES: ("age", *(name for name, _, _ in latent.BETWEEN))}
    compute = {EDITED: compute_edited, AGES: compute_ages}

    def job(name: str) -> Job:
        values = {
            "set": name,
            "version": latent.VERSION,
            "alignment": align.VERSION,
            "sface": judges.JUDGE_VERSIONS["sface"],
            "age": judges.AGE_SHA256[:16],
            **people[name],
        }
        data = source_id("latent", moved[name])
        spec = RunSpec(recipe=RECIPE, recipe_version=RECIPE_VERSION, seed=0, values=values, data=data)
        return Job(spec, lambda _: compute[name](preset), partial(missing))

    return {name: job(name) for name in people}


def edited_faces(settings: LatentSets) -> Images:
    """The edited people, from the cache or drawn first. Labels and errors: ``data.latent.cached``."""
    plan = latent.edited(range(settings.identities), settings.attributes, strengths(settings.step))
    return latent.cached(plan, sources.open_source("latent"), tell_age=judges.AgeJudge())


def faces_across_ages(settings: LatentSets) -> Images:
    """The people across ages, from the cache or drawn first. Labels and errors: ``data.latent.cached``."""
    plan = latent.longitudinal(range(settings.identities_across_ages), settings.per_identity)
    return latent.cached(plan, sources.open_source("latent"), tell_age=judges.AgeJudge())


def compute_edited(preset: Preset) -> Result:
    """scores [P] over the pictures: attribute (its place in the preset's list, −1 for α = 0), alpha, person, told
    (years), found, and ``same``, cosine of SFace with the person at α = 0; ``other``: that of all pairs of different
    people at α = 0.
    """
    started = time.perf_counter()
    settings = preset.latent_sets
    images = edited_faces(settings)
    labels, names = images.labels, ("", *settings.attributes)
    unit = normalise(embeddings_of("sface", images, preset).astype(np.float64))
    alpha, person = labels["alpha"].to_numpy(dtype=np.float64), labels["identity"].to_numpy(dtype=np.int32)
    original = unit[alpha == 0]
    first = original[np.searchsorted(person[alpha == 0], person)]
    return Result(
        scores={
            "attribute": labels["attribute"].map({name: place for place, name in enumerate(names)}).to_numpy() - 1,
            "alpha": alpha.astype(np.float32),
            "person": person,
            "told": labels["age"].to_numpy(dtype=np.float32),
            "found": labels["found"].to_numpy(dtype=bool),
            "same": np.einsum("pd,pd->p", unit, first).astype(np.float32),
            "other": (original @ original.T)[np.triu_indices(len(original), 1)].astype(np.float32),
        },
        summary={"pictures": len(labels), "people": len(original)},
        device="cpu",
        wall_s=time.perf_counter() - started,
    )


def compute_ages(preset: Preset) -> Result:
    """scores: those of ``relief_judges.compute_run``. Ages are only told, so gaps are between the years told."""
    started = time.perf_counter()
    images = faces_across_ages(preset.latent_sets)
    labels = images.labels
    told = labels["age"].to_numpy(dtype=np.float64)
    return Result(
        scores={
            "picture_found": labels["found"].to_numpy(dtype=bool),
            "picture_identity": labels["identity"].to_numpy(dtype=np.int32),
            "picture_age": np.full(len(labels), UNKNOWN),
            "picture_told": told,
            **relief_judges.pair_scores(images, embeddings_of("sface", images, preset)),
        },
        summary={"pictures": len(labels), "people": int(labels["identity"].nunique())},
        device="cpu",
        wall_s=time.perf_counter() - started,
    )


def edited_rows(run: Run) -> Iterator[Row]:
    """What the judges say of the edited faces: all of them, and each attribute at each strength."""
    scores = run.scores
    found, person, alpha = scores["found"], scores["person"], scores["alpha"]
    ends = mean_interval(found, person)
    percent = Measured(mean=100 * float(found.mean()), ci95=(100 * ends.low, 100 * ends.high), interval="identities")
    yield Row(keys={"data": EDITED, "at": "all"}, metric=FOUND, measured=percent)
    for metric in ("pictures", "people"):
        yield Row(keys={"data": EDITED, "at": "all"}, metric=metric, measured=Measured(mean=run.summary[metric]))
    for place, name in enumerate(run.spec.values["attributes"]):
        here = (scores["attribute"] == place) | (alpha == 0)
        columns = {key: scores[key][here].astype(np.float64) for key in ("alpha", "same", "told")}
        who = person[here]
        for row in latent_rows.similarity_rows(name, {**columns, "person": who, "other": scores["other"]}):
            yield row.model_copy(update={"keys": {"data": EDITED, **row.keys}})
        for step in np.unique(columns["alpha"]):
            at = columns["alpha"] == step
            low, high = mean_interval(columns["told"][at], who[at])
            mean = Measured(mean=float(columns["told"][at].mean()), ci95=(low, high), interval="identities")
            keys = {"data": EDITED, "direction": name, "at": float(step)}
            yield Row(keys=keys, metric=TOLD, measured=mean)


def other_sets(preset: Preset, out: str | Path | None = None) -> list[Row]:
    """The same judges on relief faces and photographs, as far as ``relief_judges`` has stored runs of them."""
    runs = stored(preset, relief_judges.judge_jobs(preset), out)
    return [row for data, run in runs.items() for row in relief_judge_rows.judge_rows(run.scores, data)]


def sets_figure(artefact: Artefact, others: Sequence[Row] = ()) -> Figure:
    """Left: similarity of SFace to the person at α = 0. Right: AUC of SFace by age gap, ``others`` beside ours."""
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.8), layout="constrained")
    latent_rows.similarity_panel(axes[0], artefact)
    across = [row for row in artefact.rows if row.keys["data"] == relief_judge_rows.NAMES[AGES]]
    relief_judge_rows.bin_panel(axes[1], [*across, *others], "SFace", relief_judge_rows.AUC, list(GAPS))
    axes[1].set(xlabel="years between the pictures")
    return figure
