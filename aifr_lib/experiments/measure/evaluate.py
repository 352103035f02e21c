"""Any embedder on any pictures by any protocol of recognition: what ``aifr evaluate`` prints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from aifr_lib.data.images import Images, Pairs
from aifr_lib.evaluation import protocol_scores
from aifr_lib.evaluation.features import Features
from aifr_lib.evaluation.protocol_scores import photograph_pair_scores, probe_scores
from aifr_lib.experiments.measure import protocol_rows, questions
from aifr_lib.experiments.measure.embedders import (
    Embedder,
    check_backbone,
    check_made_by,
    embed_with,
    load,
    made_by,
    note_of,
)
from aifr_lib.experiments.measure.questions import Asked, Question
from aifr_lib.files import atomic_writes
from aifr_lib.names import ConfigError
from aifr_lib.reporting.rows import Key, Row
from aifr_lib.settings.presets import Preset
from aifr_lib.training.engine import accelerator_for


@dataclass(frozen=True)
class Evaluation:
    """rows of numbers; pictures; people (None: the data names nobody); records without a face; bad files."""

    rows: tuple[Row, ...]
    pictures: int
    people: int | None
    embedder: Embedder
    missed: tuple[str, ...] = ()
    bad: tuple[str, ...] = ()


def evaluate(
    backbone: str | Path,
    question: Question,
    *,
    preset: Preset,
    given: Mapping[str, Any] | None = None,
    fars: Sequence[float] = (),
    device: str | None = None,
    progress: bool = True,
) -> Evaluation:
    """Embed the pictures with ``backbone`` (see ``embedders.load``) and measure.

    Relief faces are the test faces of the preset's tour, verified on the preset's pair lists; a ``.bin`` has its own
    pairs. Other pictures are aligned first unless they are crops (112×112, 112×96), and verified on ``pairs``, or on
    all genuine pairs with as many impostors. IJB's pictures are weighed by the detector's scores; where a list of noise
    is there, rank-1 among distractors is given with and without what it names. fars: false accept rates (fractions) at
    which thresholds of a verification are given besides. Under several processes each embeds a share.
    Errors: ConfigError with the nearest name for an unknown backbone, data or protocol; those of the readers, and of
    ``threshold_at_far``.
    """
    # Before minutes of aligning are spent on a name that does not exist.
    check_backbone(backbone)
    if fars and question.asked != "verification":
        raise ConfigError(f"a threshold at a false accept rate goes with verification, not with {question.asked}")
    embedder = load(backbone, preset, given=given, device=device)
    if question.asked == "distractors" and (features := question.sought_among) and features.suffix.lower() == ".npy":
        check_made_by(features, made_by(backbone, embedder, preset))
    # The first process aligns; the others then find what it kept.
    with accelerator_for(device, "no").main_process_first():
        asked = questions.pictures(question, preset, progress)
        distractors = questions.distractors(question, progress)
    images = asked.images
    embeddings = embed_with(embedder, images, device=device, progress=progress)
    keys: dict[str, Key] = {"data": images.name, "embedder": str(backbone)}
    if question.asked == "templates":
        rows = _template_rows(asked, embeddings, keys)
    elif question.asked == "distractors":
        assert distractors is not None
        noisy = distractors.labels.get("noisy") if isinstance(distractors, Images) else None
        if isinstance(distractors, Images):
            distractors = embed_with(embedder, distractors, device=device, progress=progress)
        named = None if noisy is None else noisy.to_numpy(bool)
        rows = _distractor_rows(images, embeddings, distractors, named, keys)
    elif question.asked == "change":
        rows = _change_rows(images, embeddings, keys)
    elif asked.lists:
        rows = [row for pairs in asked.lists for row in _list_rows(images, embeddings, pairs, keys, fars)]
    else:
        if question.asked == "verification":
            scores = photograph_pair_scores(images, embeddings)
            rows = protocol_rows.verification_rows(scores, keys)
            rows += protocol_rows.threshold_rows(scores, "pair", keys, fars)
        else:
            rows = protocol_rows.identification_rows(probe_scores(images, embeddings), keys)
    found = images.labels.get("found")
    missed = () if found is None else tuple(images.labels["record"][~found.astype(bool)])
    people = None if asked.unnamed else int(images.labels["identity"].nunique())
    return Evaluation(tuple(rows), len(images), people, embedder, missed, asked.bad)


def write_embeddings(
    backbone: str | Path,
    data: str | Path,
    out: Path,
    *,
    preset: Preset,
    device: str | None = None,
    progress: bool = True,
) -> tuple[int, int]:
    """Write the embeddings of all pictures of ``data`` (a name or a path) to a ``.npy`` file: its [N, D], float32.

    What made them is noted beside, in OUT.yaml: ``evaluate`` refuses them as distractors for another network.
    Under several processes each embeds a share, and the first writes.
    Errors: ConfigError for another ending of ``out``; as ``evaluate``.
    """
    if out.suffix.lower() != ".npy":
        raise ConfigError(f"OUT must name a .npy file, got '{out}'")
    check_backbone(backbone)
    embedder = load(backbone, preset, device=device)
    accelerator = accelerator_for(device, "no")
    with accelerator.main_process_first():
        images = questions.load(data, progress=progress)
    embeddings = embed_with(embedder, images, device=device, progress=progress)
    if accelerator.is_main_process:
        with atomic_writes(out, note_of(out)) as (temporary, note), temporary.open("wb") as file:
            np.save(file, embeddings)
            note.write_text(yaml.safe_dump(made_by(backbone, embedder, preset)), encoding="utf-8")
    return embeddings.shape


def _list_rows(
    images: Images, embeddings: np.ndarray, pairs: Pairs, keys: Mapping[str, Key], fars: Sequence[float]
) -> list[Row]:
    scores = protocol_scores.list_scores(images, embeddings, [pairs])
    keys = {**keys, "data": pairs.name}
    rows = protocol_rows.accuracy_rows(scores, pairs.name, keys, {"pairs": len(pairs)})
    return rows + protocol_rows.threshold_rows(scores, pairs.name, keys, fars)


def _template_rows(asked: Asked, embeddings: np.ndarray, keys: Mapping[str, Key]) -> list[Row]:
    assert asked.templates is not None
    score = asked.images.labels.get("score")
    weights = None if score is None else score.to_numpy(np.float64)
    scores = protocol_scores.template_scores(asked.images, embeddings, asked.templates, weights=weights)
    return protocol_rows.template_rows(scores, {**keys, "data": asked.templates.name})


def _distractor_rows(
    images: Images, embeddings: np.ndarray, distractors: Features, noisy: np.ndarray | None, keys: Mapping[str, Key]
) -> list[Row]:
    """Rows of P3; where a list calls probes or distractors noise, with these and without them ("cleaned")."""
    own = images.labels.get("noisy")
    if own is None and noisy is None:
        return protocol_rows.distractor_rows(protocol_scores.distractor_scores(images, embeddings, distractors), keys)
    clean = np.ones(len(images), dtype=bool) if own is None else ~own.to_numpy(bool)
    keep = None if noisy is None else ~noisy
    rows = []
    for noise, probes, kept in (("kept", None, None), ("left out", clean, keep)):
        scores = protocol_scores.distractor_scores(images, embeddings, distractors, probes=probes, keep=kept)
        rows += protocol_rows.distractor_rows(scores, {**keys, "noise": noise})
    return rows


def _change_rows(images: Images, embeddings: np.ndarray, keys: Mapping[str, Key]) -> list[Row]:
    rows = []
    for name, pairs in questions.changes_of(images).items():
        scores = protocol_scores.change_scores(images, embeddings, pairs)
        rows += protocol_rows.change_rows(scores, {**keys, "change": name}, pairs.unit, by_age=name == "age")
    return rows
