"""What a network of TML is scored on: relief pairs by their ages, templates, photographs."""

from __future__ import annotations

import logging
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from aifr_lib.data import edited, relief
from aifr_lib.data.images import Images
from aifr_lib.data.photograph_pairs import GAP_NAMES, gap_bins
from aifr_lib.data.relief import chosen
from aifr_lib.data.relief.pairs import GROWN_UP
from aifr_lib.evaluation import protocol_scores
from aifr_lib.evaluation.embeddings import embed
from aifr_lib.evaluation.intervals import mean_interval
from aifr_lib.evaluation.templates import LEAST_ACCEPTS
from aifr_lib.evaluation.verification import roc, ten_fold
from aifr_lib.experiments.available import ALIGNING, SETS, missing_set
from aifr_lib.experiments.generator import latent_sets
from aifr_lib.experiments.generator.latent_directions import missing as missing_generator
from aifr_lib.experiments.measure.embedders import embeddings_of
from aifr_lib.experiments.measure.parts import by_part
from aifr_lib.experiments.measure.protocol_rows import FARS as FARS_OF
from aifr_lib.experiments.measure.protocol_rows import scored_pairs
from aifr_lib.faces import align
from aifr_lib.packages import missing_package
from aifr_lib.settings.presets import Preset
from aifr_lib.settings.recognition import Recognition
from aifr_lib.settings.relief import PairList, Relief
from aifr_lib.settings.tml import Scored

LOG = logging.getLogger(__name__)
TEMPLATES = "relief-ijb"
AGES = latent_sets.AGES  # the generator's people, none of whom is trained on
FARS = (1e-1, 1e-2, 1e-3, 1e-4)
FOLDS = 10
CHILD, ADULT = "child", "adult"
RANK, ACCEPTED = "rank-1", "TAR@FAR=1e-2"  # of photographs


def by_age(faces: Relief, name: PairList, cosines: np.ndarray) -> tuple[float, dict[str, Any]]:
    """AUC of a list of test pairs, and what of it depends on ages: ``gap`` by years between the pictures and ``people``
    by whether the younger one shows a child, each with ``accuracy`` in %, ``auc`` and number of ``pairs``; ``slope``,
    points of accuracy a decade. Decided at the thresholds of the whole list, as in use.

    A part with pairs of one kind alone is left out. cosines: [P].
    """
    pairs = chosen.face_pairs(faces, name)
    images = chosen.faces(faces, view=relief.PAIR_LISTS[name].view)
    ages = images.labels["age"].to_numpy(dtype=np.float64)
    cosines, gap = cosines.astype(np.float64), np.abs(ages[pairs.a] - ages[pairs.b])
    young = np.minimum(ages[pairs.a], ages[pairs.b]) < GROWN_UP
    gaps = {GAP_NAMES[at]: gap_bins(gap) == at for at in range(len(GAP_NAMES))}
    listed = (cosines, pairs.same, pairs.fold)
    return roc(cosines, pairs.same).auc, {
        "gap": by_part(*listed, gaps),
        "people": by_part(*listed, {CHILD: young, ADULT: ~young}),
        "slope": slope(gap, ten_fold(*listed, convention="cosine").correct),
    }


def slope(gap: np.ndarray, correct: np.ndarray) -> float:
    """Points of accuracy that ten years more between two pictures add, by least squares over pairs [P].

    >>> slope(np.array([0.0, 10.0, 20.0]), np.array([True, True, False]))
    -50.0
    """
    return round(1000 * float(np.polyfit(gap, correct.astype(np.float64), 1)[0]), 9)


def templates(network: nn.Module, config: Recognition, asked: Scored, where: str) -> tuple[np.ndarray, dict[str, Any]]:
    """relief-ijb: the cosines of all pairs of templates; ``tar`` in % by false accept rate, as IJB is measured, and,
    ours, ``accuracy`` in %, ``interval`` and ``auc`` over as many impostor pairs as genuine ones.
    """
    images = relief.load_set(TEMPLATES, size=config.relief.size, identities=asked.templates)
    embeddings = embed(network, images, input_hw=config.input_hw, device=where, progress=True)
    pairs = relief.templates(images, impostors=asked.impostors)
    found = protocol_scores.template_scores(images, embeddings, pairs)
    accuracy, interval = even_accuracy(found["score"], found["same"], found["people"])
    curve, strange = roc(found["score"].astype(np.float64), found["same"]), int((~found["same"]).sum())
    tar = {f"{far:g}": 100 * curve.at(far).tar for far in FARS if far * strange >= LEAST_ACCEPTS}
    return found["score"], {"accuracy": accuracy, "interval": interval, "auc": curve.auc, "tar": tar}


def even_accuracy(scores: np.ndarray, same: np.ndarray, people: np.ndarray) -> tuple[float, list[float]]:
    """Accuracy in % over all genuine pairs of templates and as many impostor pairs, evenly taken from their list, and
    its 95 % interval; ten folds in turn (P1's rule; inferred, since IJB has none).

    scores, same, people: [P], as ``protocol_scores.template_scores`` gives them.
    """
    genuine, impostor = np.flatnonzero(same), np.flatnonzero(~same)
    taken = impostor[np.linspace(0, len(impostor) - 1, len(genuine)).round().astype(int)]
    rows = np.stack([genuine, taken], 1).ravel()
    cosines = np.clip(scores[rows].astype(np.float64), -1, 1)
    result = ten_fold(cosines, same[rows], np.arange(len(rows)) // 2 % FOLDS, convention="cosine")
    # A genuine pair is resampled with its person; an impostor pair stands for itself.
    whose = np.where(same[rows], people[rows], people.max() + 1 + np.arange(len(rows)))
    ends = mean_interval(result.correct, whose)
    return result.accuracy, [100 * end for end in ends]


def photographs(
    preset: Preset, weights: Path, device: str | None = None
) -> tuple[dict[str, dict[str, Any]], dict[str, str]]:
    """By set of photographs the ``numbers`` of a network, and why those that are not here were left out."""
    found: dict[str, dict[str, Any]] = {}
    left_out: dict[str, str] = {}
    for name in preset.alpha_sweep.scored.photographs:
        if why := missing(name):
            LOG.warning("%s is left out: %s", name, why)
            left_out[name] = why
            continue
        images = faces(preset, name)
        embeddings = embeddings_of(weights, images, preset, device=device, progress=False)
        found[name] = numbers(protocol_scores.measure(images, embeddings))
    return found, left_out


def numbers(scores: protocol_scores.Scores) -> dict[str, Any]:
    """Of one set of photographs, over all pictures and by years between them where these are known: ``rank-1`` (P2),
    ``TAR@FAR=1e-2`` of genuine pairs, both in %; over all also ``auc``.

    No embedding, no score of a single photograph.
    """
    score, same, _, _, gap = scored_pairs(scores, "pair")
    curve = roc(score, same)
    accepted = score[same] >= curve.at(FARS_OF[ACCEPTED]).threshold
    at = gap_bins(np.where(gap[same] < 0, np.nan, gap[same]))
    hits = scores["probe_gap_hit"]
    parts: dict[str, Any] = {
        "all": {RANK: _percent(scores["probe_hit"]), ACCEPTED: _percent(accepted), "auc": curve.auc}
    }
    for number, name in enumerate(GAP_NAMES):
        there = hits[:, number] >= 0
        if there.any() and (at == number).any():
            parts[name] = {RANK: _percent(hits[there, number]), ACCEPTED: _percent(accepted[at == number])}
    return parts


def _percent(hits: np.ndarray) -> float:
    return 100 * float(hits.mean())


def missing(name: str) -> str | None:
    """Why these photographs cannot be had here, in one sentence; None where they can."""
    return missing_generator() if name == AGES else missing_set(name) or missing_package(ALIGNING)


def version(preset: Preset, name: str) -> list[Any]:
    """What names a set of photographs, whether it is here or not."""
    if name == AGES:
        counts = preset.latent_sets
        return [edited.VERSION, align.VERSION, counts.identities_across_ages, counts.per_identity]
    return [SETS[name].VERSION, align.VERSION, preset.real.identities]


def faces(preset: Preset, name: str) -> Images:
    """The aligned pictures of a set."""
    return _across_ages(preset.latent_sets) if name == AGES else _photographs(name, preset.real.identities)


# Kept: all runs of a sitting see the same.
_across_ages = lru_cache(maxsize=1)(latent_sets.faces_across_ages)


@lru_cache(maxsize=4)
def _photographs(name: str, people: int | None) -> Images:
    return SETS[name].load(identities=people)
