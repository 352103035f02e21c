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

from aifr_lib.data import edited
from aifr_lib.data.images import Images
from aifr_lib.data.photograph_pairs import impostors
from aifr_lib.evaluation.checks import normalise
from aifr_lib.experiments.generator import edit_rows
from aifr_lib.experiments.generator.drawing import source_id, strengths
from aifr_lib.experiments.generator.latent_directions import missing
from aifr_lib.experiments.jobs import Experiment, Job
from aifr_lib.experiments.measure.embedders import embeddings_of
from aifr_lib.experiments.measure.protocol_rows import mean_over_people
from aifr_lib.experiments.relief import judged, judged_rows
from aifr_lib.experiments.relief.judged_rows import ESTIMATED, GAPS, UNKNOWN
from aifr_lib.faces import align
from aifr_lib.faces.generators import sources
from aifr_lib.models import judges
from aifr_lib.progress import tqdm
from aifr_lib.reporting.artefacts import Artefact
from aifr_lib.reporting.prose import digits, say
from aifr_lib.reporting.rows import Measured, Row, measured
from aifr_lib.reporting.runs import Result, Run, RunSpec
from aifr_lib.settings.generator import LatentSets
from aifr_lib.settings.presets import Preset

ID = "latent_sets"
RECIPE, RECIPE_VERSION = "generator_sets", 1
EDITED, AGES = "edited", "across ages"
FOUND_UNEDITED = "people whose unedited face is found, %"
AT_ONCE = 64  # crops


def set_rows(preset: Preset, runs: Mapping[str, Run]) -> Iterator[Row]:
    """Whether faces are found, how old they look, for how long SFace knows the person. Intervals resample people."""
    if run := runs.get(EDITED):
        yield from edited_rows(run)
    if run := runs.get(AGES):
        yield from judged_rows.judge_rows(run.scores, AGES)


def set_jobs(preset: Preset, seeds: Sequence[int] | None = None, device: str | None = None) -> dict[str, Job]:
    """One run for each set. Naming them needs no picture and no package."""
    settings = preset.latent_sets
    people: dict[str, dict[str, Any]] = {
        EDITED: {"identities": settings.identities, "attributes": settings.attributes, "step": settings.step},
        AGES: {"identities": settings.identities_across_ages, "per_identity": settings.per_identity},
    }
    moved = {EDITED: settings.attributes, AGES: ("age", *(name for name, _, _ in edited.BETWEEN))}
    compute = {EDITED: compute_edited, AGES: compute_ages}

    def job(name: str) -> Job:
        values = {
            "set": name,
            "version": edited.VERSION,
            "alignment": align.VERSION,
            "sface": judges.JUDGE_VERSIONS["sface"],
            "age": judges.AGE_SHA256[:16],
            "impostors": judged.IMPOSTORS,
            **people[name],
        }
        data = source_id("latent", moved[name])
        spec = RunSpec(recipe=RECIPE, recipe_version=RECIPE_VERSION, seed=0, values=values, data=data)
        return Job(spec, lambda _: compute[name](preset), partial(missing))

    return {name: job(name) for name in people}


def edited_faces(settings: LatentSets) -> Images:
    """The edited people, from the cache or drawn first. Labels and errors: ``data.edited.cached``."""
    plan = edited.edited(range(settings.identities), settings.attributes, strengths(settings.step))
    return edited.cached(plan, sources.open_source("latent"), estimate_age=judges.AgeJudge())


def faces_across_ages(settings: LatentSets) -> Images:
    """The people across ages, from the cache or drawn first. Labels and errors: ``data.edited.cached``."""
    plan = edited.longitudinal(range(settings.identities_across_ages), settings.per_identity)
    return edited.cached(plan, sources.open_source("latent"), estimate_age=judges.AgeJudge())


def compute_edited(preset: Preset) -> Result:
    """scores [P] over the pictures: attribute (its place in the preset's list, −1 for α = 0), alpha, person, told
    (years), found (the unedited face of the person), and ``same``, cosine of SFace with the person at α = 0;
    ``other``: that of at most 20,000 pairs of different people at α = 0. A person has one crop for all edits, and
    SFace sees it as it is, not mirrored too. summary: also ``seconds_a_picture``, as ``pace`` says.
    """
    started = time.perf_counter()
    settings = preset.latent_sets
    images = edited_faces(settings)
    labels, names = images.labels, ("", *settings.attributes)
    unit = normalise(_embedded(images).astype(np.float64))
    alpha, person = labels["alpha"].to_numpy(dtype=np.float64), labels["identity"].to_numpy(dtype=np.int32)
    originals = np.flatnonzero(alpha == 0)
    first = unit[originals[np.searchsorted(person[originals], person)]]
    a, b = (originals[rows] for rows in impostors(images.take(originals), count=judged.IMPOSTORS))
    summary = {"pictures": len(labels), "people": len(originals), "seconds_a_picture": pace(settings.attributes[0])}
    return Result(
        scores={
            "attribute": labels["attribute"].map({name: place for place, name in enumerate(names)}).to_numpy() - 1,
            "alpha": alpha.astype(np.float32),
            "person": person,
            "told": labels["age"].to_numpy(dtype=np.float32),
            "found": labels["found"].to_numpy(dtype=bool),
            "same": np.einsum("pd,pd->p", unit, first).astype(np.float32),
            "other": np.einsum("pd,pd->p", unit[a], unit[b]).astype(np.float32),
        },
        summary=summary,
        device="cpu",
        wall_s=time.perf_counter() - started,
    )


def compute_ages(preset: Preset) -> Result:
    """scores: those of ``judged.compute_run``, but for two things. Ages are only estimated, so gaps are between the
    estimated years; and a face counts as found from the detector's default confidence on, as the set was built with it.

    Errors: ValueError where no face was found.
    """
    started = time.perf_counter()
    images = faces_across_ages(preset.latent_sets)
    labels = images.labels
    found = labels["found"].to_numpy(dtype=bool)
    if not found.any():
        raise ValueError(f"the detector found a face in none of {len(labels)} pictures of {images.name}")
    estimated = np.where(found, labels["age"].to_numpy(dtype=np.float64), UNKNOWN)
    seen = images.take(np.flatnonzero(found))
    return Result(
        scores={
            "picture_found": found,
            "picture_identity": labels["identity"].to_numpy(dtype=np.int32),
            "picture_age": np.full(len(labels), UNKNOWN),
            "picture_told": estimated,
            **judged.pair_scores(seen, embeddings_of("sface", seen, preset)),
        },
        summary={"pictures": len(labels), "people": int(labels["identity"].nunique())},
        device="cpu",
        wall_s=time.perf_counter() - started,
    )


def _embedded(images: Images) -> np.ndarray:
    """SFace's embeddings float32 [N, 128] of aligned crops."""
    embed = judges.sface()
    starts = tqdm(range(0, len(images), AT_ONCE), desc="embedding edited faces", unit="batch", delay=2)
    return np.concatenate([embed(images.pixels[start : start + AT_ONCE]) for start in starts])


def pace(attribute: str, rounds: int = 5) -> float:
    """Seconds that the generator takes for a picture, median of ``rounds`` after one to warm up."""
    source, seconds = sources.open_source("latent"), []
    for number in range(rounds + 1):
        started = time.perf_counter()
        source.render(number, attribute, 1.0)
        seconds.append(time.perf_counter() - started)
    return float(np.median(seconds[1:]))


def edited_rows(run: Run) -> Iterator[Row]:
    """What the judges say of the edited faces: all of them, and each attribute at each strength."""
    step = float(run.spec.values["step"])
    # float16 has lost the decimals of a strength.
    alpha = np.round(np.round(run.scores["alpha"].astype(np.float64) / step) * step, 6)
    scores = {**run.scores, "alpha": alpha}
    person = scores["person"]
    percent = mean_over_people(scores["found"][alpha == 0], person[alpha == 0], scale=100)
    yield Row(keys={"data": EDITED, "at": "all"}, metric=FOUND_UNEDITED, measured=percent)
    for metric in ("pictures", "people"):
        yield Row(keys={"data": EDITED, "at": "all"}, metric=metric, measured=Measured(mean=run.summary[metric]))
    for place, name in enumerate(run.spec.values["attributes"]):
        here = (scores["attribute"] == place) | (alpha == 0)
        columns = {key: scores[key][here].astype(np.float64) for key in ("alpha", "same", "told")}
        who = person[here]
        for row in edit_rows.similarity_rows(name, {**columns, "person": who, "other": scores["other"]}):
            yield row.model_copy(update={"keys": {"data": EDITED, **row.keys}})
        for strength in np.unique(columns["alpha"]):
            at = columns["alpha"] == strength
            mean = mean_over_people(columns["told"][at], who[at])
            keys = {"data": EDITED, "direction": name, "at": float(strength)}
            yield Row(keys=keys, metric=ESTIMATED, measured=mean)


def other_sets(preset: Preset, out: str | Path | None = None) -> list[Row]:
    """The same judges on relief faces and photographs, as far as ``relief_judges`` has stored runs of them."""
    runs = judged.JUDGES.stored(preset, out=out)
    return [row for data, run in runs.items() for row in judged_rows.judge_rows(run.scores, data)]


def sets_figure(artefact: Artefact, others: Sequence[Row] = ()) -> Figure:
    """Left: similarity of SFace to the person at α = 0. Right: AUC of SFace by age gap, ``others`` beside ours."""
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.8), layout="constrained")
    edit_rows.similarity_panel(axes[0], artefact)
    across = [row for row in artefact.rows if row.keys["data"] == judged_rows.NAMES[AGES]]
    judged_rows.bin_panel(axes[1], [*across, *others], "SFace", judged_rows.AUC, list(GAPS))
    axes[1].set(xlabel="years between the pictures")
    return figure


def found(artefact: Artefact) -> str:
    """How large the set is, and what years cost a recogniser on the people across ages."""
    people, pictures = (measured(artefact.rows, what, {"data": EDITED}) for what in ("people", "pictures"))
    across = {"data": judged_rows.NAMES[AGES], "judge": "SFace"}
    near, far = (
        measured(artefact.rows, judged_rows.AUC, {**across, "over": over}) for over in list(GAPS)[:: len(GAPS) - 1]
    )
    return say(
        {
            "people": people and people.mean,
            "pictures": pictures and pictures.mean,
            "near": near and digits(near.mean),
            "far": far and digits(far.mean),
        },
        (
            people and pictures,
            "The edited set holds {pictures:,.0f} pictures of {people:,.0f} people who do not exist.",
        ),
        (
            near and far,
            "In the set across ages a recogniser made for photographs tells people apart with an area under",
        ),
        (near and far, "the curve of {near} when near in age and {far} thirty years apart."),
    )


SETS = Experiment(ID, set_jobs, set_rows, lambda artefact, _: sets_figure(artefact), found=found)
