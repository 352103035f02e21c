"""Maps of attention against the truth, which only drawn faces have: how much each pixel changes with a year of age.

Scores are taken inside the face: most of what changes with age is outline, hair and what lies behind.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from scipy.stats import rankdata
from torch import Tensor
from torch.nn import functional as F

from aifr_lib.data.loader import to_input
from aifr_lib.data.relief.plan import MAX_PER_IDENTITY, people
from aifr_lib.faces import relief
from aifr_lib.faces.relief import Faces
from aifr_lib.losses.distillation import age_invariant_mask
from aifr_lib.models.age_estimator import AgeEstimator, expected_age
from aifr_lib.models.attention import attention_mask
from aifr_lib.models.backbone import FourStages
from aifr_lib.models.grad_cam import grad_cam
from aifr_lib.reporting.runs import Result
from aifr_lib.settings.aad import AgeEstimation, Attention
from aifr_lib.training import age_estimation, recognition
from aifr_lib.training.distillation import WEIGHTS

CELL = 8  # pixels a side: all maps are compared on one grid
YOUNGEST, OLDEST = 8.0, 78.0
TOP = 0.2  # share of the cells that count as the truth's largest
CHANGE, RELATIVE = "change with a year", "change with a year over what pictures differ by"
CEILING = "half of the pictures against the other half"
BATCH = 64
STAGED = (3, 4)  # stages of which rivals are shown


@dataclass(frozen=True)
class Sitters:
    """P people of one age each, n pictures of each: pixels uint8 [P·n, S, S, 3], the truth and the regions on the grid.

    truth: by name [P·n, g, g]; NaN outside the face. cover: by region, what share of a cell it covers, [P·n, g, g].
    """

    pixels: np.ndarray
    truth: dict[str, np.ndarray]
    cover: dict[str, np.ndarray]
    pictures: int

    @property
    def inside(self) -> np.ndarray:
        """Cells of which the face covers more than half, in the mean over a person's pictures: bool [P, g, g]."""
        return self.of_people(self.cover["face"]) > 0.5

    def of_people(self, values: np.ndarray, part: slice = slice(None)) -> np.ndarray:
        """The mean over (some of) the pictures of each person: [P·n, …] to [P, …]."""
        return known_mean(values.reshape(-1, self.pictures, *values.shape[1:])[:, part], axis=1)


def sat(asked: Attention, size: int, yaw: float | None = None) -> Sitters:
    """The first people of the test split, ages even over 8 … 78 years, drawn and
    differentiated; ``yaw`` turns all.
    """
    numbers = people("test", asked.people).repeat_interleave(asked.pictures)
    place = torch.arange(asked.pictures).repeat(asked.people)
    ages = torch.linspace(YOUNGEST, OLDEST, asked.people)
    ages = ages.repeat_interleave(asked.pictures)
    fixed = {} if yaw is None else {"yaw": yaw}
    faces = Faces.sample(numbers, ages, numbers * MAX_PER_IDENTITY + place, **fixed)
    pixels = relief.render(faces, size, frame="aligned").numpy()
    regions = relief.regions(faces, size, frame="aligned")
    cells = size // CELL
    cover = {name: to_grid(regions[name], cells).numpy() for name in ("face", "eyes")}
    change = relief.sensitivity(faces, "age", size, step=asked.years, frame="aligned")
    grey = torch.from_numpy(pixels).float().mean(-1) / 255
    spread = grey.unflatten(0, (asked.people, asked.pictures)).std(1)
    spread = spread.repeat_interleave(asked.pictures, 0)
    # Under one grey level two pictures do not differ.
    truths = {CHANGE: change, RELATIVE: change / spread.clamp_min(1 / 255)}
    drawn = {name: within(one, regions["face"], cells) for name, one in truths.items()}
    return Sitters(pixels, drawn, cover, asked.pictures)


def known_mean(values: np.ndarray, axis: int | tuple[int, ...], keepdims: bool = False) -> np.ndarray:
    """The mean of what is no NaN; NaN where nothing is."""
    count = (~np.isnan(values)).sum(axis, keepdims=keepdims)
    return np.where(count > 0, np.nansum(values, axis, keepdims=keepdims) / np.maximum(count, 1), np.nan)


def within(values: Tensor, face: Tensor, side: int) -> np.ndarray:
    """The mean over the face's part of each cell, [N, S, S] to [N, g, g]; NaN where a cell holds no face."""
    cover = to_grid(face, side)
    return torch.where(cover > 0.05, to_grid(values * face, side) / cover, torch.nan).numpy()


def to_grid(maps: Tensor, side: int) -> Tensor:
    """Maps [N, h, w] on a grid of ``side`` cells: averaged where they are finer, interpolated where coarser.

    >>> to_grid(torch.arange(16.0).view(1, 4, 4), 2).tolist()
    [[[2.5, 4.5], [10.5, 12.5]]]
    """
    maps = maps.float()[:, None]
    if maps.shape[-1] >= side:
        return F.adaptive_avg_pool2d(maps, side)[:, 0]
    return F.interpolate(maps, size=(side, side), mode="bilinear", align_corners=False)[:, 0]


def maps_of(estimator: AgeEstimator, pixels: np.ndarray, side: int) -> dict[str, np.ndarray]:
    """Of pictures [N, S, S, 3] the masks A_1 … A_4 and, as they are told apart from age, 1 − Â_2 … Â_4: [N, g, g]."""
    found: dict[str, list[Tensor]] = {}
    with torch.inference_mode():
        for start in range(0, len(pixels), BATCH):
            first, *others = estimator.masks(to_input(torch.from_numpy(pixels[start : start + BATCH])))
            masks = {f"A_{stage}": mask for stage, mask in enumerate((first, *others), 1)}
            masks |= {f"1 − Â_{stage}": 1 - age_invariant_mask(first, mask) for stage, mask in enumerate(others, 2)}
            for name, mask in masks.items():
                found.setdefault(name, []).append(to_grid(mask[:, 0], side))
    return {name: torch.cat(parts).numpy() for name, parts in found.items()}


def rivals_of(
    estimator: AgeEstimator, start: AgeEstimator, recogniser: FourStages, pixels: np.ndarray, side: int
) -> dict[str, np.ndarray]:
    """Other maps of the same pictures: Grad-CAM of the expected age, masks of T^A untrained, of T^R's features."""
    found: dict[str, list[Tensor]] = {}
    for first in range(0, len(pixels), BATCH):
        x = to_input(torch.from_numpy(pixels[first : first + BATCH]))
        seen = F.interpolate(x, size=recogniser.input_hw, mode="bilinear", antialias=True, align_corners=False)
        with torch.no_grad():
            untrained, features = start.masks(x), recogniser.stage_maps(seen)
        for stage in STAGED:
            maps = {
                f"Grad-CAM, stage {stage}": grad_cam(estimator, stage, x, expected_age),
                f"T^A untrained, A_{stage}": untrained[stage - 1][:, 0],
                f"T^R, mask of stage {stage}": attention_mask(features[stage - 1])[:, 0],
            }
            for name, one in maps.items():
                found.setdefault(name, []).append(to_grid(one, side))
    return {name: torch.cat(parts).numpy() for name, parts in found.items()}


def of_others(maps: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """What says nothing of the face at hand: the mask of a person half the list, and so half of life, away, and the
    mean of all people's; [P, g, g].
    """
    found = {}
    for stage in STAGED:
        own = maps[f"A_{stage}"]
        found[f"another person's A_{stage}"] = np.roll(own, -(len(own) // 2), axis=0)
        found[f"mean A_{stage} of all people"] = np.broadcast_to(own.mean(0), own.shape)
    return found


def scores(
    maps: np.ndarray,
    truth: np.ndarray,
    inside: np.ndarray,
) -> dict[str, np.ndarray]:
    """Of P people, [P] each: ``rank_corr``, ``pointing`` (hits), ``beyond_mean``, of
    maps and truth [P, g, g].

    inside: bool [P, g, g], the cells that count. beyond_mean: the rank correlation once
    from both, standardised over the cells of a face, the mean over all people is taken
    away. A map that does not vary correlates by 0.
    """
    ours, theirs = (standardised(values, inside) for values in (maps, truth))
    left, right = (one - known_mean(one, 0) for one in (ours, theirs))

    def each(measure: Callable[..., float], a: np.ndarray, b: np.ndarray) -> np.ndarray:
        people = zip(a, b, inside, strict=True)
        return np.array([measure(x[at], y[at]) for x, y, at in people])

    return {
        "rank_corr": each(spearman, ours, theirs),
        "pointing": each(pointed, ours, theirs),
        "beyond_mean": each(spearman, left, right),
    }


def standardised(values: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Less the mean over the cells that count, over their deviation; NaN elsewhere."""
    shown = np.where(inside, values, np.nan)
    away = shown - known_mean(shown, (1, 2), keepdims=True)
    spread = np.sqrt(known_mean(away**2, (1, 2), keepdims=True))
    return away / np.where(spread > 1e-9, spread, 1.0)


def spearman(one: np.ndarray, other: np.ndarray) -> float:
    """Rank correlation; 0 where either does not vary.

    >>> spearman(np.array([1.0, 2.0, 3.0]), np.array([1.0, 4.0, 9.0]))
    1.0
    """
    a, b = rankdata(one.round(9)), rankdata(other.round(9))
    if a.std() == 0 or b.std() == 0:
        return 0.0
    return float(np.corrcoef(a, b)[0, 1].round(12))


def pointed(ours: np.ndarray, theirs: np.ndarray) -> bool:
    """Whether the largest cell of a map is among the truth's largest fifth."""
    return bool(theirs[ours.argmax()] >= np.quantile(theirs, 1 - TOP))


def compute(config: AgeEstimation, asked: Attention, age_teacher: Path, teacher: Path) -> Result:
    """Score all maps of all people.

    scores: ``MAP|TRUTH|SCORE`` [P]; ``MAP|REGION|POSE`` [P], means of A_1 in the face and around it and of Â_3 and Â_4
    at the eyes and in the rest of the face, for heads as they come and heads that turn; of the first people ``pixels``
    [shown, S, S, 3] and ``shown|NAME`` [shown, g, g].
    """
    started = time.perf_counter()
    size = config.train.input_hw[0]
    side = size // CELL
    estimator, _ = age_estimation.load(age_teacher / WEIGHTS)
    torch.manual_seed(config.train.seed)
    start = age_estimation.network(config).eval()
    recogniser, _ = recognition.load(teacher / WEIGHTS)
    assert isinstance(recogniser, FourStages)
    straight, turned = sat(asked, size), sat(asked, size, yaw=asked.turned)
    drawn = maps_of(estimator, straight.pixels, side)
    drawn |= rivals_of(estimator, start, recogniser, straight.pixels, side)
    maps = {name: straight.of_people(one) for name, one in drawn.items()}
    maps |= of_others(maps)
    found: dict[str, np.ndarray] = {}
    for truth, values in straight.truth.items():
        whole = straight.of_people(values)
        halves = [straight.of_people(values, slice(first, None, 2)) for first in (0, 1)]
        for name, one in (*maps.items(), (CEILING, halves[0])):
            found |= {f"{name}|{truth}|{score}": values for score, values in
                      scores(one, halves[1] if name == CEILING else whole, straight.inside).items()}  # fmt: skip
        found[f"shown|{truth}"] = np.where(straight.inside, whole, np.nan)[: asked.shown]
    for pose, sitters in (("as they come", straight), ("turned", turned)):
        found |= regional(maps_of(estimator, sitters.pixels, side), sitters, pose)
    found |= {f"shown|{name}": maps[name][: asked.shown] for name in ("A_3", "A_4", "1 − Â_4", "Grad-CAM, stage 4")}
    found["pixels"] = straight.pixels[:: asked.pictures][: asked.shown]
    return Result({name: shown(one) for name, one in found.items()}, {}, "cpu", time.perf_counter() - started)


def shown(values: np.ndarray) -> np.ndarray:
    """As a run keeps them: −1 for a cell outside the face."""
    return np.nan_to_num(values, nan=-1.0) if values.dtype.kind == "f" else values


def regional(maps: Mapping[str, np.ndarray], sitters: Sitters, pose: str) -> dict[str, np.ndarray]:
    """Means of masks over parts of the pictures, [P]: by ``MAP|REGION|POSE``."""
    face, eyes = sitters.cover["face"], sitters.cover["eyes"]
    parts = {"A_1": {"face": face, "around it": 1 - face}}
    parts |= {f"Â_{stage}": {"eyes": eyes, "rest of the face": (face - eyes).clip(0)} for stage in STAGED}
    found = {}
    for name, regions in parts.items():
        values = maps[name] if name == "A_1" else 1 - maps[f"1 − {name}"]
        for region, weight in regions.items():
            means = (values * weight).sum((1, 2)) / np.maximum(weight.sum((1, 2)), 1e-6)
            found[f"{name}|{region}|{pose}"] = sitters.of_people(means)
    return found
