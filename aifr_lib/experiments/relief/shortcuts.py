"""Shortcuts: how far colours and coarse pixels, with no network at all, verify relief faces.

If a cheek's colour alone tells people apart, a network needs no face. So each baseline must stay near chance on each
list of pairs. Places are those of the aligned crop, where eyes, nose and mouth always lie alike.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from scipy.stats import rankdata

from aifr_lib.data import relief
from aifr_lib.data.images import Images
from aifr_lib.evaluation.intervals import mean_interval
from aifr_lib.evaluation.verification import ten_fold
from aifr_lib.experiments.jobs import Experiment, Job
from aifr_lib.reporting import plots
from aifr_lib.reporting.artefacts import Artefact
from aifr_lib.reporting.prose import digits, say
from aifr_lib.reporting.rows import METRICS, Measured, Row, in_words
from aifr_lib.reporting.runs import DataId, Result, Run, RunSpec
from aifr_lib.reporting.tables import Shape
from aifr_lib.settings.presets import Preset
from aifr_lib.settings.relief import Relief

ID = "relief_shortcuts"
RECIPE, RECIPE_VERSION = "shortcuts", 1
LIMIT = 60.0  # % accuracy that no shortcut may pass
CHANCE = 50.0
# Fractions of the aligned crop: left, top, right, bottom.
CHEEKS = ((0.20, 0.58, 0.30, 0.70), (0.70, 0.58, 0.80, 0.70))
FOREHEAD = (0.38, 0.18, 0.62, 0.30)
CROWN = (0.20, 0.0, 0.80, 0.06)
BORDER = 0.06  # width of the ring, in picture sides
Feature = Callable[[np.ndarray], np.ndarray]
Box = tuple[float, float, float, float]


def mean_chromaticity(pixels: np.ndarray) -> np.ndarray:
    """Shares of red and green in the mean colour of uint8 [B, H, W, 3]: float64 [B, 2]."""
    return _chromaticity(pixels.mean((1, 2), dtype=np.float64))


def skin_chromaticity(pixels: np.ndarray) -> np.ndarray:
    """Chromaticity of both cheeks and the forehead: float64 [B, 6]."""
    return np.concatenate([_chromaticity(_mean(pixels, box)) for box in (*CHEEKS, FOREHEAD)], axis=1)


def hair_colour(pixels: np.ndarray) -> np.ndarray:
    """Mean colour of a band along the upper edge, where hair is if there is any: float64 [B, 3]."""
    return _mean(pixels, CROWN)


def border(pixels: np.ndarray) -> np.ndarray:
    """Mean colours of eight pieces of a ring along the edge: float64 [B, 24]."""
    far, half = 1 - BORDER, 0.5
    along = [(0, half), (half, 1)]
    ring: list[Box] = [(a, 0, b, BORDER) for a, b in along] + [(a, far, b, 1) for a, b in along]
    ring += [(0, a, BORDER, b) for a, b in along] + [(far, a, 1, b) for a, b in along]
    return np.concatenate([_mean(pixels, box) for box in ring], axis=1)


def coarse(pixels: np.ndarray) -> np.ndarray:
    """8×8 pixels, averaged: float64 [B, 192]. Errors: ValueError for a side that is no multiple of eight."""
    return blocks(pixels, 8, 8)


def blocks(pixels: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """Means of rows × columns equal blocks of uint8 [B, H, W, 3]: float64 [B, rows · columns · 3].

    Errors: ValueError for sides that do not divide.
    """
    count, height, width, _ = pixels.shape
    if height % rows or width % columns:
        raise ValueError(f"{rows}×{columns} blocks of {height}×{width} pixels: take sides that divide")
    cut = pixels.reshape(count, rows, height // rows, columns, width // columns, 3)
    return cut.mean((2, 4), dtype=np.float64).reshape(count, -1)


def coarse_pattern(pixels: np.ndarray) -> np.ndarray:
    """8×8 pixels without their mean, of length 1: their distance says as much as the cosine; float64 [B, 192]."""
    centred = coarse(pixels)
    centred -= centred.mean(1, keepdims=True)
    return centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-9)


SHORTCUTS: dict[str, Feature] = {
    "mean chromaticity": mean_chromaticity,
    "skin chromaticity": skin_chromaticity,
    "hair colour": hair_colour,
    "border": border,
    "8×8 pixels, distance": coarse,
    "8×8 pixels, cosine": coarse_pattern,
}


def shortcut_rows(preset: Preset, runs: Mapping[str, Run]) -> Iterator[Row]:
    """Accuracy (P1) of each shortcut on each list of test pairs, with intervals over people; nothing is trained."""
    for name in relief.PAIR_LISTS:
        for shortcut in SHORTCUTS:
            measured = None
            if run := runs.get(name):
                accuracy, interval = (run.summary[part][shortcut] for part in ("accuracy", "interval"))
                measured = Measured(mean=accuracy, ci95=tuple(interval), interval="identities")
            yield Row(keys={"set": name, "shortcut": shortcut}, metric="accuracy", measured=measured)


def shortcut_jobs(preset: Preset, seeds: Sequence[int] | None = None, device: str | None = None) -> dict[str, Job]:
    """One run for each list of pairs."""
    settings = preset.relief_card.shortcuts

    def job(name: str) -> Job:
        return Job(spec(settings, name), lambda _: compute_run(settings, name))

    return {name: job(name) for name in relief.PAIR_LISTS}


def spec(settings: Relief, name: str) -> RunSpec:
    """What names the run of one list."""
    values = {"list": name, "pairs": settings.pairs, "shortcuts": sorted(SHORTCUTS)}
    digest = relief.digest("test", **_pictures(settings, name))
    data = DataId(name="relief faces", version=relief.VERSION, hash=digest)
    return RunSpec(recipe=RECIPE, recipe_version=RECIPE_VERSION, seed=0, values=values, data=data)


def compute_run(settings: Relief, name: str) -> Result:
    """The shortcuts on one list. scores: by shortcut, which pairs were decided rightly (bool [P])."""
    started = time.perf_counter()
    images = relief.load("test", **_pictures(settings, name))
    correct, accuracy, interval = {}, {}, {}
    for shortcut in SHORTCUTS:
        correct[shortcut], accuracy[shortcut], interval[shortcut] = verify_shortcut(
            images, name, shortcut, count=settings.pairs
        )
    summary = {"accuracy": accuracy, "interval": interval}
    return Result(correct, summary, device="cpu", wall_s=time.perf_counter() - started)


def verify_shortcut(
    images: Images, name: str, shortcut: str, *, count: int
) -> tuple[np.ndarray, float, tuple[float, float]]:
    """Ten folds on the list ``name`` over ``images``: which pairs are right (bool [P]), % of them, its interval.

    A pair's distance is replaced by its rank, spread over the protocol's range of thresholds.
    """
    pairs = relief.pairs(images, name, count=count)
    features = SHORTCUTS[shortcut](images.pixels)
    ranks = rankdata(np.linalg.norm(features[pairs.a] - features[pairs.b], axis=1))
    result = ten_fold(4 * ranks / (len(ranks) + 1), pairs.same, pairs.fold)
    identity = images.labels["identity"].to_numpy()
    low, high = mean_interval(result.correct, identity[pairs.a], identity[pairs.b])
    return result.correct, result.accuracy, (100 * low, 100 * high)


def shortcut_figure(artefact: Artefact) -> Figure:
    """A line for each list, a mark for each shortcut; chance and the limit as lines."""
    figure, axis = plt.subplots(figsize=(8.5, 3.6), layout="constrained")
    lists = list(dict.fromkeys(str(row.keys["set"]) for row in artefact.rows))
    for number, shortcut in enumerate(SHORTCUTS):
        rows = [row for row in artefact.rows if row.keys["shortcut"] == shortcut and row.measured]
        for place, row in enumerate(rows):
            assert row.measured and row.measured.ci95
            height = lists.index(str(row.keys["set"])) + 0.1 * (number - (len(SHORTCUTS) - 1) / 2)
            colour, marker = plots.PALETTE[number], plots.MARKERS[number]
            axis.hlines(height, *row.measured.ci95, color=colour, alpha=0.6)
            axis.plot(row.measured.mean, height, marker, color=colour, label=shortcut if place == 0 else None)
    axis.axvline(CHANCE, color="0.6", linestyle=":")
    axis.axvline(LIMIT, color="0.3", linestyle="--")
    axis.set_yticks(range(len(lists)), [in_words(name) for name in lists])
    axis.invert_yaxis()
    axis.set_xlabel(f"{METRICS['accuracy']} (dotted: chance; dashed: the limit)")
    axis.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def _pictures(settings: Relief, name: str) -> dict[str, Any]:
    return {
        "size": settings.size,
        "identities": settings.test_identities,
        "per_identity": settings.test_per_identity,
        "view": relief.PAIR_LISTS[name].view,
    }


def _mean(pixels: np.ndarray, box: Box) -> np.ndarray:
    height, width = pixels.shape[1:3]
    left, right = (round(side * width) for side in (box[0], box[2]))
    top, bottom = (round(side * height) for side in (box[1], box[3]))
    return pixels[:, top:bottom, left:right].mean((1, 2), dtype=np.float64)


def _chromaticity(colours: np.ndarray) -> np.ndarray:
    return colours[:, :2] / np.maximum(colours.sum(1, keepdims=True), 1e-9)


def found(artefact: Artefact) -> str:
    """The best shortcut against the limit that none may pass."""
    best = max((row for row in artefact.rows if row.measured), key=lambda row: row.measured.mean)  # type: ignore[union-attr]
    assert best.measured
    return say(
        {
            "shortcut": best.keys["shortcut"],
            "pairs": in_words(best.keys["set"]),
            "best": digits(best.measured.mean),
            "limit": LIMIT,
            "chance": CHANCE,
        },
        (True, "With no network at all, the best shortcut ({shortcut}; {pairs}) is right on {best} % of pairs,"),
        (best.measured.mean <= LIMIT, "so none passes the limit of {limit:.0f} %."),
        (best.measured.mean > LIMIT, "which passes the limit of {limit:.0f} %."),
        (True, "Chance is {chance:.0f} %."),
    )


SHORTCUT_TABLE = Experiment(
    "relief_shortcuts",
    shortcut_jobs,
    shortcut_rows,
    lambda artefact, _: shortcut_figure(artefact),
    found=found,
    shape=Shape(down=("shortcut",), across=("set",)),
)
