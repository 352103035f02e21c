"""The tasks that ComFace is transferred to: pictures of subjects, what changes between two of them, the test pairs.

Age is FG-NET's, at the sizes that run without it relief-fgnet's. DISFA and Edema cannot be had: relief-disfa and two
wards of relief-edema stand in, by their own names.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from aifr_lib.data import relief
from aifr_lib.data.edited import shrunk
from aifr_lib.data.images import ChangePairs, Images
from aifr_lib.data.named import fgnet
from aifr_lib.data.photograph_pairs import genuine_pairs
from aifr_lib.data.sets.aligned import labels_digest
from aifr_lib.faces.relief.parameters import ACTION_UNITS
from aifr_lib.names import choose
from aifr_lib.settings.comface import Tasks

AGE, WARDS = "age", {"edema-a": 1, "edema-b": 2}
SETS = {**dict.fromkeys(ACTION_UNITS, "relief-disfa"), **dict.fromkeys(WARDS, "relief-edema")}
GROUPS = {"age": (AGE,), "expression": ACTION_UNITS, "weight": tuple(WARDS)}  # tasks on the same pictures
LABELS = {AGE: "age", **{unit: unit for unit in ACTION_UNITS}, **dict.fromkeys(WARDS, "kilograms")}
SAMPLE_SEED = 30_6  # of the pairs of frames


@dataclass(frozen=True)
class Task:
    """One change to be learnt from pictures of subjects.

    label: the column of the labels that changes. learnt: pairs within a subject to learn from where pairs are listed.
    tested: the pairs of the test, each once. directed: whether a right direction is asked of these too (Edema).
    """

    name: str
    images: Images
    label: str
    learnt: ChangePairs
    tested: ChangePairs
    directed: bool = False

    @property
    def subjects(self) -> np.ndarray:
        """Whose each picture is, int64 [N]."""
        return self.images.labels["identity"].to_numpy(np.int64)

    @property
    def values(self) -> np.ndarray:
        """The label of each picture, float64 [N]."""
        return self.images.labels[self.label].to_numpy(np.float64)


def load(name: str, settings: Tasks, side: int, *, still: bool = False, drawn: bool = True) -> Task:
    """The task of that name with pictures of ``side`` pixels.

    Pairs of the test: FG-NET all within a subject (5,808), relief-disfa a drawn sample for each subject, relief-edema
    before and after one day's dialysis.
    still: whether the label may be one that never changes in these pictures. drawn: False leaves relief pictures out
    (black, 1×1), for who asks about labels and pairs alone.
    Errors: ConfigError with the nearest name; FileNotFoundError where FG-NET is not under ``AIFR_DATA``; ValueError for
    targets that do not vary.
    """
    label = LABELS[choose("task", name, dict.fromkeys(LABELS, name))]
    if name == AGE:
        if settings.ages == "fgnet":
            images = fgnet.load(identities=settings.people, progress=False)
            images = images if images.pixels.shape[1] == side else shrunk(images, side)
        else:
            images = _relief(settings.ages, side, counts(name, settings), drawn)
        tested = learnt = _all_pairs(images, label, "years")
    else:
        images = _relief(SETS[name], side, counts(name, settings), drawn)
        if name in WARDS:
            tested, learnt = relief.pre_post(images), relief.changes(images, label)
        else:
            tested = learnt = relief.changes(images, label, per_subject=settings.frame_pairs, seed=SAMPLE_SEED)
    task = Task(name, images, label, learnt, tested, name in WARDS)
    if not still:
        check(task)
    return task


def _relief(name: str, side: int, asked: dict[str, Any], drawn: bool) -> Images:
    return relief.load_set(name, size=side, **asked) if drawn else relief.undrawn(relief.set_plan(name, **asked))


def check(task: Task) -> None:
    """Errors: ValueError for a label that is unknown of a picture, or never changes."""
    if not np.isfinite(task.values).all():
        first = task.images.labels["record"].iloc[int(np.argmin(np.isfinite(task.values)))]
        raise ValueError(f"{task.images.name}: {task.label} of {first} is not known: leave the picture out")
    if not np.ptp(task.learnt.d) > 0:
        raise ValueError(
            f"{task.images.name}: {task.label} never changes within a subject: nothing can be learnt of it"
        )


def counts(name: str, settings: Tasks) -> dict[str, Any]:
    """What the set of a task is asked for."""
    if name == AGE:
        people = settings.people or fgnet.PEOPLE
        return {"people": people, "pictures": round(fgnet.PHOTOGRAPHS * people / fgnet.PEOPLE)}
    if name in WARDS:
        ward = {} if WARDS[name] == 1 else {"ward": WARDS[name]}
        return {"subjects": settings.patients, "days": settings.days, "frames": settings.pictures, **ward}
    return {"subjects": settings.subjects, "frames": settings.frames}


def identified(name: str, settings: Tasks, side: int) -> dict[str, Any]:
    """Name, version and hash of a task's pictures, before any is drawn; of FG-NET, whether it is here or not."""
    if name == AGE and settings.ages == "fgnet":
        digest = labels_digest(fgnet.table()) if fgnet.available() else fgnet.DIGEST
        return {"name": fgnet.NAME, "version": fgnet.VERSION, "hash": digest}
    drawn = settings.ages if name == AGE else SETS[name]
    digest = relief.set_digest(drawn, size=side, **counts(name, settings))
    return {"name": drawn, "version": relief.VERSION, "hash": digest}


def _all_pairs(images: Images, label: str, unit: str) -> ChangePairs:
    a, b = genuine_pairs(images.labels["identity"].to_numpy())
    values = images.labels[label].to_numpy(np.float64)
    return ChangePairs(f"{images.name}: {label}", a, b, values[b] - values[a], unit)


def both_orders(pairs: ChangePairs) -> ChangePairs:
    """Each pair as (x, y), then each as (y, x), [2P]: one set of predictions gives quite another correlation over
    pairs in the order of time alone (ComFace's tables fit both orders far better).

    >>> one = ChangePairs("ages", np.array([0]), np.array([1]), np.array([4.0]), "years")
    >>> both_orders(one).d
    array([ 4., -4.])
    """
    a, b = np.concatenate([pairs.a, pairs.b]), np.concatenate([pairs.b, pairs.a])
    return ChangePairs(pairs.name, a, b, np.concatenate([pairs.d, -pairs.d]), pairs.unit)


def within(pairs: ChangePairs, pictures: np.ndarray) -> np.ndarray:
    """The pairs, int64, whose first picture is among these; the second is of the same subject."""
    return np.flatnonzero(np.isin(pairs.a, pictures))


def some(pairs: ChangePairs, rows: np.ndarray) -> ChangePairs:
    """The pairs of these rows."""
    return ChangePairs(pairs.name, pairs.a[rows], pairs.b[rows], pairs.d[rows], pairs.unit)
