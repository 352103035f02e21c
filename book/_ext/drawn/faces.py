"""The faces of the tour and where its committed network puts them: what several pictures show."""

from __future__ import annotations

from functools import cache

import numpy as np

from aifr_lib.data.images import Images
from aifr_lib.data.relief import chosen
from aifr_lib.evaluation.embeddings import embed, normalise
from aifr_lib.evaluation.verification import Verification, verify
from aifr_lib.experiments.measure import embedders
from aifr_lib.settings.presets import load_preset

LIST = "relief-agedb"


@cache
def embedded() -> tuple[Images, np.ndarray]:
    """Relief faces of test people [N] and their unit embeddings [N, D]."""
    network, config = _network()
    faces = chosen.faces(config.relief)
    return faces, normalise(embed(network, faces))


@cache
def verified() -> tuple[Verification, np.ndarray, np.ndarray, np.ndarray]:
    """The ten-fold result on pairs far apart in age; same [P]; the identities of both sides [P]."""
    faces, embeddings = embedded()
    pairs = chosen.face_pairs(_network()[1].relief, LIST)
    identity = faces.labels["identity"].to_numpy()
    return verify(embeddings, pairs, convention="cosine"), pairs.same, identity[pairs.a], identity[pairs.b]


@cache
def _network():
    return embedders.committed_network(load_preset("classroom").tour.train.relief)
