"""One network through every protocol of the four papers: what each asks, and what it finds on the same faces.

Numbers only: of photographs the runs keep scores of pairs, ranks and hits, never an embedding.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from aifr_lib.data import relief
from aifr_lib.data.images import Images
from aifr_lib.data.relief import chosen
from aifr_lib.evaluation import protocol_scores
from aifr_lib.evaluation.protocol_scores import Scores
from aifr_lib.experiments import available
from aifr_lib.experiments.companion import protocol_figure, real_photographs
from aifr_lib.experiments.jobs import Experiment, Job
from aifr_lib.experiments.measure import embedders, protocol_rows
from aifr_lib.experiments.measure.embedders import embeddings_of
from aifr_lib.faces import align
from aifr_lib.files import atomic_write, cache_dir
from aifr_lib.reporting.artefacts import Artefact
from aifr_lib.reporting.prose import digits, say
from aifr_lib.reporting.rows import Row, in_words, measured
from aifr_lib.reporting.runs import DataId, Result, Run, RunSpec
from aifr_lib.reporting.tables import METRIC, Shape
from aifr_lib.settings.presets import Preset

ID = "protocols"
RECIPE, RECIPE_VERSION = "protocols", 1
LISTS, DISTRACTORS, TEMPLATES, EDEMA = "relief-lists", "relief-megaface", "relief-ijb", "relief-edema"


def rows(preset: Preset, runs: Mapping[str, Run]) -> Iterator[Row]:
    """P1 to P5 by the preset's embedder on photographs and relief faces, with intervals and by age gap.

    What cannot be computed here stays without a measured value. The seed draws impostor pairs and folds; of ``seeds``
    the first is taken.
    """
    found = [row for key in run_keys(preset) for row in rows_of(preset, key, runs.get(key))]
    yield from sorted(found, key=lambda row: str(row.keys["protocol"]))


def protocol_jobs(preset: Preset, seeds: Sequence[int] | None = None, device: str | None = None) -> dict[str, Job]:
    """The runs of ``protocols``, by the name of their pictures. Naming them needs no picture."""

    def job(key: str) -> Job:
        return Job(
            spec(preset, key, seeds),
            lambda _: compute_run(preset, key, seeds, device),
            lambda: missing(preset, key),
        )

    return {key: job(key) for key in run_keys(preset)}


def run_keys(preset: Preset) -> tuple[str, ...]:
    """Names of sets of photographs, then of relief faces: each is the key of a run."""
    return (*preset.protocols.photographs, LISTS, TEMPLATES, EDEMA)


def missing(preset: Preset, key: str) -> str | None:
    """Why this run cannot be computed here, in one sentence; None where it can."""
    if key in available.SETS:
        return real_photographs.missing(key, preset.protocols.embedder, preset)
    return embedders.missing_embedder(preset.protocols.embedder, preset)


def spec(preset: Preset, key: str, seeds: Sequence[int] | None = None) -> RunSpec:
    """What names a run: data, embedder with its version, and what else its scores depend on."""
    settings = preset.protocols
    values: dict[str, Any] = {
        "place": key,
        "embedder": settings.embedder,
        "embedder_version": embedders.embedder_version(settings.embedder, preset),
    }
    if key in available.SETS:
        digest = relief.set_digest(DISTRACTORS, size=settings.relief.size, **_counts(preset, DISTRACTORS))
        values |= {"alignment": align.VERSION, "identities": settings.identities, "crowd": digest}
        values |= {"impostors": protocol_scores.IMPOSTORS}
    elif key == LISTS:
        values |= {"lists": settings.relief.pair_lists, "pairs": settings.relief.pairs}
    elif key == TEMPLATES:
        values |= {"impostors": settings.impostors}
    return RunSpec(
        recipe=RECIPE,
        recipe_version=RECIPE_VERSION,
        seed=_seed(seeds),
        values=values,
        data=data_id(preset, key),
    )


def data_id(preset: Preset, key: str) -> DataId:
    """The data of a run, named with no picture drawn."""
    settings = preset.protocols
    faces = settings.relief
    if key in available.SETS:
        return available.data_id(key)
    if key == LISTS:
        counts: dict[str, Any] = {"identities": faces.test_identities, "per_identity": faces.test_per_identity}
        return DataId(name=key, version=relief.VERSION, hash=relief.digest("test", size=faces.size, **counts))
    digest = relief.set_digest(key, size=faces.size, **_counts(preset, key))
    return DataId(name=key, version=relief.VERSION, hash=digest)


def compute_run(preset: Preset, key: str, seeds: Sequence[int] | None = None, device: str | None = None) -> Result:
    """Embed the pictures of a run and score them by its protocols. summary: pictures, people."""
    started = time.perf_counter()
    images = _images(preset, key)
    embeddings = embeddings_of(preset.protocols.embedder, images, preset, device=device)
    scores = _scorer(preset, key, _seed(seeds), device)(images, embeddings)
    return Result(
        scores=scores,
        summary={"pictures": len(images), "people": int(images.labels["identity"].nunique())},
        device=embedders.device_of(preset.protocols.embedder, device),
        wall_s=time.perf_counter() - started,
    )


def _images(preset: Preset, key: str) -> Images:
    settings = preset.protocols
    if key in available.SETS:
        images: Images = available.SETS[key].load(identities=settings.identities)
        return images
    if key == LISTS:
        return chosen.faces(settings.relief)
    return relief.load_set(key, size=settings.relief.size, **_counts(preset, key))


def _counts(preset: Preset, key: str) -> dict[str, Any]:
    settings = preset.protocols
    sizes = {DISTRACTORS: ("count", settings.distractors), TEMPLATES: ("identities", settings.templates),
             EDEMA: ("subjects", settings.subjects)}  # fmt: skip
    name, count = sizes[key]
    return {name: count}


def _scorer(preset: Preset, key: str, seed: int, device: str | None) -> Callable[[Images, np.ndarray], Scores]:
    settings = preset.protocols

    def of_photographs(images: Images, embeddings: np.ndarray) -> Scores:
        scores = protocol_scores.measure(images, embeddings, seed=seed)
        scores |= protocol_scores.rank_scores(images, embeddings)
        scores |= protocol_scores.distractor_scores(images, embeddings, _distractors(preset, device))
        if images.labels["age"].notna().all():
            ages = relief.changes(images, "age", seed=seed)
            scores |= protocol_scores.change_scores(images, embeddings, ages, seed=seed)
        return scores

    def of_lists(images: Images, embeddings: np.ndarray) -> Scores:
        return protocol_scores.list_scores(images, embeddings, chosen.everyday_pairs(settings.relief))

    def of_templates(images: Images, embeddings: np.ndarray) -> Scores:
        lists = relief.templates(images, impostors=settings.impostors, seed=seed)
        return protocol_scores.template_scores(images, embeddings, lists)

    def of_edema(images: Images, embeddings: np.ndarray) -> Scores:
        return protocol_scores.change_scores(images, embeddings, relief.pre_post(images), seed=seed)

    return {LISTS: of_lists, TEMPLATES: of_templates, EDEMA: of_edema}.get(key, of_photographs)


def _distractors(preset: Preset, device: str | None) -> Path:
    """Embeddings of the distractors in a file: each set of photographs is sought among the same."""
    settings = preset.protocols
    digest = relief.set_digest(DISTRACTORS, size=settings.relief.size, **_counts(preset, DISTRACTORS))
    version = hashlib.sha256(embedders.embedder_version(settings.embedder, preset).encode()).hexdigest()[:16]
    path = cache_dir() / "features" / f"{digest}-{settings.embedder}-{version}.npy"
    if not path.is_file():
        embeddings = embeddings_of(settings.embedder, _images(preset, DISTRACTORS), preset, device=device)
        with atomic_write(path) as temporary:
            np.save(temporary, embeddings)
    return path


def rows_of(preset: Preset, key: str, run: Run | None) -> list[Row]:
    """All numbers of one set of pictures; without its run, the main ones with no measured value."""
    scores = run.scores if run else {}
    protocol = {name: {"protocol": name, "data": key} for name in ("P1", "P2", "P3", "P4", "P5")}
    if run is None:
        main = {LISTS: ("P1", "accuracy"), TEMPLATES: ("P4", "TAR@FAR=1e-2"), EDEMA: ("P5", "MAE, kg")}
        name, metric = main.get(key, ("P2", "rank-1"))
        return [Row(keys={**protocol[name], "gap": "all"}, metric=metric)]
    if key == LISTS:
        rows = []
        for name in preset.protocols.relief.pair_lists:
            keys = {"protocol": "P1", "data": name}
            rows += protocol_rows.accuracy_rows(scores, name, keys) + protocol_rows.curve_rows(scores, name, keys)
        return rows
    if key == TEMPLATES:
        return protocol_rows.template_rows(scores, protocol["P4"])
    if key == EDEMA:
        return protocol_rows.change_rows(scores, protocol["P5"], "kg", by_age=False)
    rows = protocol_rows.accuracy_rows(scores, "pair", protocol["P1"])
    rows += protocol_rows.curve_rows(scores, "pair", protocol["P1"])
    rows += protocol_rows.identification_rows(scores, protocol["P2"])
    rows += protocol_rows.rank_rows(scores, protocol["P2"])
    rows += protocol_rows.distractor_rows(scores, protocol["P3"])
    if "change_true" in scores:
        rows += protocol_rows.change_rows(scores, protocol["P5"], "years", by_age=True)
    return rows


def _seed(seeds: Sequence[int] | None) -> int:
    return seeds[0] if seeds else 0


def found(artefact: Artefact) -> str:
    """How far apart the protocols' numbers of one network lie, and what a crowd costs and more pictures bring."""
    there = {str(row.keys["data"]) for row in artefact.rows if row.measured and row.keys["protocol"] == "P2"}
    data = next((name for name in ("fgnet", "orl") if name in there), "")
    of = {"data": data, "gap": "all"}
    crowd = [row for row in artefact.rows if row.measured and {**of, "protocol": "P3"}.items() <= row.keys.items()]
    crowd = sorted((row for row in crowd if row.metric == "rank-1"), key=lambda row: float(row.keys["distractors"]))
    pooled = {
        which: measured(artefact.rows, "TAR@FAR=1e-1", {"data": TEMPLATES, "protocol": "P4", "pictures": which})
        for which in ("one", "all")
    }
    given = {
        "accuracy": measured(artefact.rows, "accuracy", {**of, "protocol": "P1"}),
        "accepted": measured(artefact.rows, "TAR@FAR=1e-2", {**of, "protocol": "P1"}),
        "rank": measured(artefact.rows, "rank-1", {**of, "protocol": "P2"}),
        "few": crowd[0].measured if crowd else None,
        "many": crowd[-1].measured if crowd else None,
        **pooled,
    }
    pairs = given["accuracy"] and given["accepted"]
    return say(
        {name: digits(one.mean) for name, one in given.items() if one}
        | {"data": in_words(data)}
        | ({"least": crowd[0].keys["distractors"], "most": crowd[-1].keys["distractors"]} if crowd else {}),
        (pairs, "One network on one set of photographs ({data}) is right on {accuracy} % of pairs, and accepts"),
        (pairs, "{accepted} % of those of one person where one stranger in a hundred may pass."),
        (given["rank"], "Sought among all other photographs ({data}), a person is found at once in {rank} % of cases."),
        (len(crowd) > 1, "Among {least:,} strangers it finds {few} %, among {most:,} it finds {many} %."),
        (
            all(pooled.values()),
            "Of pairs of templates of drawn people, where one stranger in ten may pass, {one} % of those of one person"
            " are accepted from one picture each, {all} % from all.",
        ),
    )


PROTOCOLS = Experiment(
    "protocols",
    protocol_jobs,
    rows,
    protocol_figure.protocol_figure,
    found=found,
    shape=Shape(down=("protocol", METRIC, "distractors", "pictures"), across=("data",), only={"gap": "all"}),
)
