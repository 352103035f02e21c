"""Directions of the offline generator, found: outside readings of its faces, ridge regression on their W codes.

    y_k = the k-th reading of N people, standardised,    ŷ_k = c_k · (w − w̄)
    n_k = Σ Cᵀ (C Σ Cᵀ)⁻¹ e_k,    Σ = covariance of the codes, C = the rows c

Of all steps that raise reading k by 1 and, by the model, leave the others where they are, n_k leads least far from
where faces are (least Mahalanobis length). Some readings (glasses, teeth, …) are there only to be left.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from sklearn.covariance import LedoitWolf
from sklearn.linear_model import Ridge
from sklearn.model_selection import KFold, cross_val_predict

from aifr_lib.faces.generators.directions import STRONGEST, Direction
from aifr_lib.faces.generators.sources import Generator
from aifr_lib.files import atomic_write
from aifr_lib.models import judges
from aifr_lib.models.judges import readings
from aifr_lib.progress import tqdm

FIRST_SEED = 1_000_000  # of the people who are read; nobody else here has such a seed


class Attribute(NamedTuple):
    """reading: which reading it raises. span: by how many of its standard deviations from α = 0 to 5.

    moves: readings that it may move along: a smile shows teeth.
    """

    reading: str
    span: float
    moves: tuple[str, ...] = ()


# Spans were chosen by looking: ±5 is as far as a face stays a face, ±3 as far as it stays the same person.
ATTRIBUTES = {
    "age": Attribute("age", 2.0),
    "smile": Attribute("smile", 2.0, ("teeth",)),
    "weight": Attribute("width", 2.0),
    "yaw": Attribute("yaw", 1.5),
    "gender": Attribute("gender", 1.5),
    "light": Attribute("light", 2.5),
}
CONTROLS = ("glasses", "teeth", "brightness", "crown", "turn")  # turn: how far the head is turned either way
NAMES = (*(attribute.reading for attribute in ATTRIBUTES.values()), *CONTROLS)
PENALTIES = (10.0, 30.0, 100.0, 300.0, 1000.0, 3000.0)
FOLDS = 10
EVERY = 25  # people after which what was read is kept
Readings = Mapping[str, np.ndarray]


def read_people(generator: Generator, samples: int, psi: float, work: Path) -> dict[str, np.ndarray]:
    """float32 [samples] of each of ``NAMES``, people ``FIRST_SEED`` …, truncated by ψ; ``found``: False where no face
    was seen, whose readings are 0.

    work: a folder that keeps what has been read, so that a reading that was stopped goes on.
    """
    kept = work / "readings.npy"
    table = np.load(kept) if kept.is_file() else np.zeros((0, len(NAMES)), np.float32)
    with tqdm(total=samples, initial=len(table), desc="reading faces", unit="face") as bar:
        while len(table) < samples:
            count = min(EVERY, samples - len(table))
            first = FIRST_SEED + len(table)
            pictures = (generator.synthesise(generator.codes([seed], psi))[0] for seed in range(first, first + count))
            table = np.concatenate([table, _read(pictures)])
            with atomic_write(kept) as path, path.open("wb") as file:
                np.save(file, table)
            bar.update(count)
    table = table[:samples]
    readings = dict(zip(NAMES, np.nan_to_num(table).T, strict=True))
    return {**readings, "found": ~np.isnan(table).any(axis=1)}


def _read(pictures: Iterable[np.ndarray]) -> np.ndarray:
    seen = [readings.read_first(picture) for picture in pictures]
    blank = np.zeros((112, 112, 3), np.uint8)
    crops = np.stack([one[0] if one else blank for one in seen])
    ages, genders = judges.AgeJudge()(crops), judges.GenderJudge()(crops)
    rows = []
    for one, age, gender in zip(seen, ages, genders, strict=True):
        values = {"age": age, "gender": gender, **one[1], "turn": one[1]["yaw"] ** 2} if one else {}
        rows.append([values.get(name, np.nan) for name in NAMES])
    return np.array(rows, dtype=np.float32)


def fit(codes: np.ndarray, readings: Readings) -> dict[str, Direction]:
    """Directions by attribute; each says its reading, the correlation r that ten-fold cross-validation gives the
    model of it, and the ridge penalty that cross-validation chose.

    codes: float32 [N, D] of the people read, in their order. People without a face are left out.
    """
    found = readings["found"]
    x = codes[found].astype(np.float64)
    covariance = LedoitWolf().fit(x).covariance_
    x -= x.mean(0)
    slopes, facts = {}, {}
    for name in NAMES:
        slopes[name], facts[name] = _slope(x, standardised(readings[name][found]))
    directions = {}
    for name, attribute in ATTRIBUTES.items():
        others = [slopes[other] for other in NAMES if other not in (attribute.reading, *attribute.moves)]
        step = free_of(slopes[attribute.reading], np.array(others), covariance)
        scale = float(np.linalg.norm(step)) * attribute.span / STRONGEST
        about = {"reading": attribute.reading, **facts[attribute.reading], "span": attribute.span}
        directions[name] = Direction(name, step, scale, about)
    return directions


def free_of(slope: np.ndarray, others: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    """[D]: the step along which ``slope`` [D] rises by 1 and each of ``others`` [K, D] by 0, shortest in Mahalanobis'
    sense: min n Σ⁻¹ n under C n = e gives n = Σ Cᵀ (C Σ Cᵀ)⁻¹ e (Lagrange).
    """
    rows = np.vstack([slope, *others])
    carried = rows @ covariance
    wanted = np.eye(len(rows))[0]
    step: np.ndarray = carried.T @ np.linalg.solve(carried @ rows.T, wanted)
    return step


def standardised(values: np.ndarray) -> np.ndarray:
    """Minus the mean, over the standard deviation; clipped at ±3, so that one wild reading pulls no direction."""
    y = values.astype(np.float64)
    return np.clip((y - y.mean()) / y.std(), -3, 3)


def _slope(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, dict[str, float]]:
    folds = KFold(FOLDS, shuffle=True, random_state=0)
    trials = [(cross_val_predict(Ridge(penalty), x, y, cv=folds), penalty) for penalty in PENALTIES]
    predicted, penalty = min(trials, key=lambda trial: float(((trial[0] - y) ** 2).mean()))
    r = float(np.corrcoef(predicted, y)[0, 1])
    return Ridge(penalty).fit(x, y).coef_, {"r": round(r, 4), "penalty": penalty}
