"""What every network of AAD is scored on, in the run that trains it: P1 to P4, and photographs where they are there."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from torch import nn

from aifr_lib.data import relief
from aifr_lib.data.images import Images
from aifr_lib.data.photograph_pairs import GAP_NAMES, gap_bins
from aifr_lib.data.relief import chosen
from aifr_lib.evaluation import protocol_scores
from aifr_lib.evaluation.embeddings import embed, normalise
from aifr_lib.evaluation.templates import LEAST_ACCEPTS
from aifr_lib.evaluation.verification import roc
from aifr_lib.experiments import recognise
from aifr_lib.experiments.available import ALIGNING, SETS, missing_set
from aifr_lib.experiments.measure.parts import by_part
from aifr_lib.models.foreign.cards import Card, Carded
from aifr_lib.packages import missing_package
from aifr_lib.reporting.runs import DataId
from aifr_lib.settings.aad import Protocols
from aifr_lib.settings.recognition import Recognition

PROBES, LONGITUDINAL, CROWD, TEMPLATES = "relief-fgnet", "relief-logiface", "relief-megaface", "relief-ijb"
FARS = (1e-1, 1e-2, 1e-3, 1e-4)
LEAST = 20  # pairs of either kind that a number of an age gap rests on
Scores = dict[str, np.ndarray]
Summary = dict[str, Any]


def scored(network: nn.Module, config: Recognition, asked: Protocols, device: str) -> tuple[Scores, Summary]:
    """A network of ``config`` through all protocols: scores of pairs and probes, and the summary of a run.

    summary: ``accuracy`` and ``interval`` by list and ``validation`` as in ``recognise.compute``; ``gaps``, the
    accuracy in %, the AUC and the number of pairs by list and years between its pictures; ``rank1`` and ``tar`` as
    ``identified``; ``photographs`` by set, None where it is not here.
    """
    scores, summary = recognise.score(network, config, device)
    _, summary["validation"] = recognise.score(network, config, device, split="validation")
    summary["gaps"] = {
        name: by_gap(config, name, scores[name]) for names in chosen.lists_of(config.relief).values() for name in names
    }
    hits, found = identified(network, config, asked, device)
    photographed = {name: photographs(network, config, name, device) for name in asked.photographs}
    return {**scores, **hits}, {**summary, **found, "photographs": photographed}


def data_of(config: Recognition, asked: Protocols) -> DataId:
    """The faces that a network learns from and is scored on, named."""
    data = recognise.spec(config).data
    return data.model_copy(update={"hash": f"{data.hash}-{sets_of(config.relief.size, asked)}"})


@cache
def sets_of(size: int, asked: Protocols) -> str:
    """The sets of ``identified``, named; kept, since all networks are sought in the same."""
    digests = (
        relief.set_digest(PROBES, size=size, **probed(asked.people)),
        relief.set_digest(LONGITUDINAL, size=size, **followed(asked.longitudinal)),
        relief.set_digest(CROWD, size=size, count=asked.distractors),
        relief.set_digest(TEMPLATES, size=size, identities=asked.templates),
    )
    return "-".join(digests)


def by_gap(config: Recognition, name: str, score: np.ndarray) -> dict[str, dict[str, float]]:
    """``gaps`` of one list of relief faces, from the cosines of its pairs."""
    pairs = chosen.face_pairs(config.relief, name)
    age = chosen.faces(config.relief, "test", relief.PAIR_LISTS[name].view).labels["age"].to_numpy(np.float64)
    return pair_numbers(score, pairs.same, pairs.fold, np.abs(age[pairs.a] - age[pairs.b]))


def pair_numbers(score: np.ndarray, same: np.ndarray, fold: np.ndarray, gap: np.ndarray) -> dict[str, dict[str, float]]:
    """P1 of cosines [P] over all pairs ("all") and by years between the pictures: accuracy in %, AUC, number of pairs.

    A gap with fewer than twenty pairs of either kind is left out.
    """
    bins = gap_bins(gap)
    parts = {"all": np.ones(len(same), bool), **{name: bins == at for at, name in enumerate(GAP_NAMES)}}
    return by_part(score, same, fold, parts, LEAST)


def identified(network: nn.Module, config: Recognition, asked: Protocols, device: str) -> tuple[Scores, Summary]:
    """P2, P3 and P4 on relief faces.

    summary: ``rank1`` in % by set: "relief-loo" and "relief-logiface" (P2; of the first ``rank1_gaps`` by years),
    "relief-mf1" (relief-fgnet among the distractors), "relief-crowd" (test people among them, FaceScrub's place);
    ``tar`` in % by false acceptance rate on "relief-ijb". scores: the hits of the probes.
    """
    size = config.relief.size

    def seen(images: Images) -> np.ndarray:
        # Of length 1 already: those of a training that diverged may be longer than single precision can square.
        embeddings = embed(network, images, input_hw=config.input_hw, device=device, progress=True)
        return normalise(embeddings.astype(np.float64)).astype(np.float32)

    probes = relief.load_set(PROBES, size=size, **probed(asked.people))
    subjects = relief.load_set(LONGITUDINAL, size=size, **followed(asked.longitudinal))
    people, embedded = chosen.faces(config.relief), seen(probes)
    strangers = seen(relief.load_set(CROWD, size=size, count=asked.distractors))
    found = protocol_scores.probe_scores(probes, embedded)
    hits = {
        "relief-loo": found["probe_hit"],
        LONGITUDINAL: protocol_scores.probe_scores(subjects, seen(subjects))["probe_hit"],
        "relief-mf1": protocol_scores.distractor_scores(probes, embedded, strangers)["crowd_hit"][-1],
        "relief-crowd": protocol_scores.distractor_scores(people, seen(people), strangers)["crowd_hit"][-1],
    }
    sets = relief.load_set(TEMPLATES, size=size, identities=asked.templates)
    pairs = protocol_scores.template_scores(sets, seen(sets), relief.templates(sets, impostors=asked.impostors))
    curve, strange = roc(pairs["score"].astype(np.float64), pairs["same"]), int((~pairs["same"]).sum())
    rates = {far: curve.at(far).tar for far in FARS if far * strange >= LEAST_ACCEPTS}
    return hits, {
        "rank1": {name: 100 * float(hit.mean()) for name, hit in hits.items()},
        "rank1_gaps": hits_by_gap(found["probe_gap_hit"]),
        "tar": {f"{far:g}": 100 * tar for far, tar in rates.items()},
    }


def hits_by_gap(hits: np.ndarray) -> dict[str, float]:
    """Rank-1 in % by years, of hits [N, 5] when only the genuine pictures that far away are enrolled (−1: none is)."""
    return {
        name: 100 * float(hit[hit >= 0].mean())
        for name, hit in zip(GAP_NAMES, hits.T, strict=True)
        if (hit >= 0).sum() >= LEAST
    }


def photographs(network: nn.Module, config: Recognition, name: str, device: str) -> Summary | None:
    """P1 and leave-one-out rank-1 on photographs, with their age gaps; None where they are not here.

    Numbers alone: of scores of all pairs one could compute embeddings back.
    """
    if missing_set(name) or missing_package(ALIGNING):
        return None
    images: Images = SETS[name].load()
    embeddings = embed(Carded(network, Card(input_hw=config.input_hw)), images, device=device, progress=True)
    found = protocol_scores.measure(images, normalise(embeddings.astype(np.float64)))
    gap = np.where(found["pair_gap"] < 0, np.nan, found["pair_gap"])
    return {
        "pairs": pair_numbers(found["pair_score"], found["pair_same"], found["pair_fold"], gap),
        "rank1": 100 * float(found["probe_hit"].mean()),
        "rank1_gaps": hits_by_gap(found["probe_gap_hit"]),
    }


def probed(people: int) -> dict[str, Any]:
    """The counts of relief-fgnet: of 82 people there are 1,002 pictures, of fewer as many each."""
    return {"people": people, "pictures": round(1002 * people / 82)}


def followed(subjects: int) -> dict[str, Any]:
    """The counts of relief-logiface: of 369 subjects there are 12,656 pictures, of fewer as many each."""
    return {"subjects": subjects, "pictures": round(12_656 * subjects / 369)}
