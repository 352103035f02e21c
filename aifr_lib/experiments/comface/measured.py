"""From predicted changes to rows: P5's measures over seeds, or over subjects where there is one seed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from aifr_lib.evaluation.change import averages, change
from aifr_lib.evaluation.intervals import mean_interval
from aifr_lib.reporting.rows import Key, Measured, Row
from aifr_lib.reporting.runs import Run
from aifr_lib.reporting.seeds import student_t

METRICS = ("mae", "corr")
DIRECTED = (*METRICS, "accuracy")
FINE, RIDGE, RIDGE_INNER, LAST = "fine-tuned", "kept, ridge", "kept, ridge, grey inner face", "fine-tuned, last epoch"
WORDS: dict[Key, str] = {
    "comface": "ComFace", "scratch": "Scratch", "imagenet": "ImageNet", "vggface2": "VGGFace2", "simclr": "SimCLR",
    "moco": "MoCo v2", "swav": "SwAV", "barlow-twins": "Barlow Twins", "bulat": "Bulat et al.", "farl": "FaRL",
    "pcl": "PCL", "stablerep": "StableRep", "multi-positive": "several positives a person", "sface": "SFace",
    "untrained": "untrained network", "pixels": "16×16 colour pixels",
    "colour": "eight numbers of colour and sharpness",
    "border": "border of the picture", "zero": "always no change", "inter": "inter-personal loss alone",
    "intra": "intra-personal loss alone", "both": "both losses, no curriculum",
    "comface on relief-edits": "ComFace on rendered edits",
    "comface on relief-wide": "ComFace on rendered people at all ages",
    "relief-fgnet": "rendered people", "how": "features", FINE: "fine-tuned",
    "mae": "MAE", "corr": "Pearson's r", "accuracy": "right direction, %",
    "less": "error less that of scratch",
}  # fmt: skip


class Said(NamedTuple):
    """Predicted and true changes [P] of test pairs, whose they are, and the fold each was tested in."""

    predicted: np.ndarray
    true: np.ndarray
    subject: np.ndarray
    fold: np.ndarray

    @property
    def error(self) -> np.ndarray:
        """|d̂ − d|, [P]."""
        return np.abs(self.predicted.astype(np.float64) - self.true)


def said(run: Run, which: str = "predicted") -> Said:
    """Of a fine-tuning. which: "predicted", by the best epoch's weights, or "last"."""
    return Said(run.scores[which], run.scores["true"], run.scores["subject"], run.scores["fold"])


def read(run: Run, task: str, view: str = "whole") -> Said:
    """Of kept features and ridge, or of linear layers."""
    scores = run.scores
    return Said(scores[f"predicted_{task}_{view}"], *(scores[f"{name}_{task}"] for name in ("true", "subject", "fold")))


def of_seeds(found: Mapping[int, Said], metrics: Iterable[str]) -> dict[str, Measured]:
    """Each metric's mean and interval: over seeds, or over subjects of one seed. Without an undefined correlation."""
    by_seed = {seed: averages(one.predicted, one.true, one.fold) for seed, one in found.items()}
    measured = {}
    if len(found) == 1:
        ((seed, one),) = found.items()
        whole = change(one.predicted, one.true, one.subject, fold=one.fold)
        for name in metrics:
            mean, ends = by_seed[seed][name], getattr(whole, f"{name}_interval")
            if np.isfinite(mean):
                known = bool(np.isfinite(ends).all())
                measured[name] = Measured(
                    mean=mean,
                    ci95=(float(ends.low), float(ends.high)) if known else None,
                    interval="identities" if known else None,
                    per_seed={seed: mean},
                )
        return measured
    for name in metrics:
        values = {seed: one[name] for seed, one in by_seed.items()}
        if found and np.isfinite(list(values.values())).all():
            measured[name] = student_t(values)
    return measured


def rows(
    keys: Mapping[str, Key],
    found: Mapping[int, Said],
    metrics: Iterable[str] = METRICS,
    printed: Mapping[str, Any] | None = None,
    source: str = "",
) -> Iterator[Row]:
    """A row for each metric, measured or not run, beside the paper's number where it has one.

    A correlation may be undefined, as that of always no change: its row says so beside the paper's number; where the
    paper has none there is no row.
    """
    metrics = tuple(metrics)
    measured = of_seeds(found, metrics)
    for name in metrics:
        paper = (printed or {}).get(name)
        if found and name not in measured and paper is None:
            continue
        beside = {} if paper is None else {"paper": float(paper), "paper_source": source}
        undefined = bool(found) and name not in measured
        yield Row(keys=dict(keys), metric=name, measured=measured.get(name), undefined=undefined, **beside)


def less(one: Mapping[int, Said], other: Mapping[int, Said]) -> Measured | None:
    """The mean error of one method less another's over the same pairs, seeds averaged first, over subjects."""
    if not one or not other:
        return None
    errors = [np.mean([each.error for each in found.values()], axis=0) for found in (one, other)]
    difference = errors[0] - errors[1]
    low, high = mean_interval(difference, next(iter(one.values())).subject)
    return Measured(mean=float(difference.mean()), ci95=(float(low), float(high)), interval="identities")


def by_method(runs: Mapping[Any, Run], kind: str) -> dict[str, dict[int, Run]]:
    """Runs whose key begins with ``kind``, by method and seed: (kind, method, seed, …)."""
    found: dict[str, dict[int, Run]] = {}
    for key, run in runs.items():
        if key[0] == kind:
            found.setdefault(key[1], {})[key[2]] = run
    return found
