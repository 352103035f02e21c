"""One's own pictures: who is trained on, watched and held out; the training; thresholds on people it never saw."""

from __future__ import annotations

import csv
import importlib.util
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
from torch import nn

from aifr_lib.data.images import Images
from aifr_lib.data.people import check_apart, split_people, without_doubles
from aifr_lib.data.photograph_pairs import genuine_pairs, impostors
from aifr_lib.evaluation.embeddings import embed, normalise
from aifr_lib.evaluation.intervals import Interval, clustered_bootstrap
from aifr_lib.evaluation.statistics import auc_statistic
from aifr_lib.evaluation.thresholds import Threshold, least_impostors, threshold_at_far
from aifr_lib.evaluation.verification import roc
from aifr_lib.experiments.measure import questions
from aifr_lib.files import atomic_write
from aifr_lib.models.foreign.cards import Carded
from aifr_lib.names import ConfigError
from aifr_lib.settings.own_faces import FARS, OwnFaces
from aifr_lib.training import own_faces
from aifr_lib.training.engine import accelerator_for, alone_in

WEIGHTS, WATCHED, PICTURES, REPORT = "weights.safetensors", "watched.jsonl", "pictures.csv", "report.html"
IMPOSTORS = 50_000  # pairs of two people at most
BATCH = 64


@dataclass(frozen=True)
class Split:
    """Pictures to train on, of people who say when to stop, and of people who set the thresholds.

    left_out: record → why it is in none of them. alone: people of one picture, who are only trained on.
    """

    train: Images
    watched: Images
    held_out: Images
    left_out: dict[str, str]
    alone: int


@dataclass(frozen=True)
class Scored:
    """Pairs of held-out pictures, [P] each: cosine, whether of one person, the two people."""

    score: np.ndarray
    same: np.ndarray
    a: np.ndarray
    b: np.ndarray


@dataclass(frozen=True)
class Own:
    """A finished training. before, after: the held-out pairs by the network it began with, and by the trained one.

    gain: how much the area under the ROC curve grew, with its interval. thresholds: of the trained network, at the
    rates of ``FARS`` that the held-out people can show. watched: what was seen after each epoch, from 0.
    """

    out: Path
    about: str
    checksum: str
    split: Split
    before: Scored
    after: Scored
    gain: tuple[float, Interval]
    thresholds: tuple[Threshold, ...]
    watched: list[dict[str, float]] = field(default_factory=list)
    scalars: Mapping[str, float] = field(default_factory=dict)

    @property
    def weights(self) -> Path:
        return self.out / WEIGHTS


def fine_tune(
    data: str | Path,
    out: Path,
    settings: OwnFaces,
    *,
    init: Path | None = None,
    val: str | Path | None = None,
    device: str | None = None,
    compile: bool = False,
    progress: bool = True,
) -> Own:
    """Train on the pictures at ``data`` into ``out``, and set thresholds on people held out, or on those of ``val``.

    data, val: a name of ``aifr data list``, a folder, ``.rec``, image list or ``.csv``; photographs are aligned first.
    init: weights to go on from (None: a new network). Run again, it goes on where it was.
    Errors: ConfigError where another process trains in ``out``, and for fewer pictures than a batch; ValueError for too
    few people, for one picture under two people, and for ``val`` that shares people or pictures; those of the
    readers, of ``own_faces.start`` and of ``fit``.
    """
    accelerator = accelerator_for(device, "no")
    begun = own_faces.start(settings, init)
    out.mkdir(parents=True, exist_ok=True)
    with alone_in(out, accelerator):
        with accelerator.main_process_first():
            split = split_of(data, settings, val, progress)
        if len(split.train) < settings.train.batch:
            raise ConfigError(
                f"the {len(split.train)} pictures to train on do not fill one batch of {settings.train.batch}: "
                f"give -p train.batch={len(split.train)} or less, or more pictures"
            )
        target = accelerator.device
        begun.network.to(target)
        before = scored(split.held_out, begun.network)
        note = Watched(split.watched, out / WATCHED, write=accelerator.is_main_process)
        if not note.lines:
            note(begun.network, 0)
        scalars = own_faces.train(
            settings, begun, split.train, out, watch=note, device=device, compile=compile, progress=progress
        )
        if accelerator.is_main_process:  # not before: what lies there may be another training's
            write_pictures(split, out)
        begun.network.to(target)
        after = scored(split.held_out, begun.network)
        thresholds = tuple(
            threshold_at_far(after.score, after.same, far, after.a, after.b)
            for far in FARS
            if (~after.same).sum() >= least_impostors(far)
        )
        own = Own(out, begun.about, "", split, before, after, gain(before, after), thresholds, note.lines, scalars)
        if not accelerator.is_main_process:
            return own
        said = {"pictures": f"{split.train.name} {split.train.version}", "thresholds": list(map(asdict, thresholds))}
        checksum = own_faces.save(settings, begun, own.weights, said)
        return Own(**{**vars(own), "checksum": checksum})


def split_of(data: str | Path, settings: OwnFaces, val: str | Path | None, progress: bool) -> Split:
    """The pictures of ``data``, each once and with a face, split by people; ``val`` in place of people held out."""
    images, left_out = usable(questions.load(data, progress=progress))
    bounds = {"most": settings.most_people, "each": settings.most_pictures, "seed": settings.train.seed}
    if val is None:
        train, watched, held_out = split_people(images, (settings.watched, settings.held_out), **bounds)
        strangers = images.take(held_out)
    else:
        others, more = usable(questions.load(val, progress=progress))
        check_apart(images, others)
        train, watched = split_people(images, (settings.watched,), **bounds)
        strangers, left_out = others, {**left_out, **more}
        held_out = np.empty(0, dtype=np.int64)
    used = np.zeros(len(images), dtype=bool)
    used[np.concatenate([train, watched, held_out])] = True
    spare = images.labels["record"].to_numpy()[~used]
    left_out |= dict.fromkeys(spare, f"its person is held out with {settings.most_pictures} others")
    alone = int((images.labels["identity"].iloc[train].value_counts() == 1).sum())
    return Split(images.take(train), images.take(watched), strangers, left_out, alone)


def usable(images: Images) -> tuple[Images, dict[str, str]]:
    """The pictures with a face in them, each once, and why the others are left out, by record.

    Errors: ValueError where no face is found in any, and for one picture under two people.
    """
    found = images.labels["found"].to_numpy(bool) if "found" in images.labels else np.ones(len(images), dtype=bool)
    if not found.any():
        raise ValueError(f"{images.name}: no face is found in any of {len(images)} pictures")
    left_out = dict.fromkeys(images.labels["record"][~found], "no face found")
    images, doubles = without_doubles(images.take(np.flatnonzero(found)) if left_out else images)
    return images, left_out | {record: f"the same picture as {kept}" for record, kept in doubles.items()}


class Watched:
    """What the watched people show after an epoch: 100 (1 − area under the ROC curve), noted in a file of lines."""

    def __init__(self, images: Images, path: Path, *, write: bool):
        self.images, self.path, self.write = images, path, write
        there = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
        self.lines: list[dict[str, float]] = [json.loads(line) for line in there]

    def __call__(self, network: nn.Module, step: int) -> float:
        pairs = scored(self.images, network)
        error = 100 * (1 - roc(pairs.score, pairs.same).auc)
        # A resumed training looks again at what an interrupted one saw.
        self.lines = [line for line in self.lines if line["step"] < step] + [{"step": step, "error": error}]
        if self.write:
            with atomic_write(self.path) as temporary:
                temporary.write_text("".join(json.dumps(line) + "\n" for line in self.lines), encoding="utf-8")
            _to_tensorboard(self.path.parent, step, error)
        return error


def _to_tensorboard(out: Path, step: int, error: float) -> None:
    """The watched error on TensorBoard's page too, where that is installed."""
    if importlib.util.find_spec("tensorboard") is None:
        return
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(str(out)) as board:
        board.add_scalar("watched people/error", error, step)


def scored(images: Images, network: nn.Module, *, seed: int = 0) -> Scored:
    """All genuine pairs and at most ``IMPOSTORS`` impostor pairs, by the cosine of their embeddings."""
    assert isinstance(network, Carded)
    unit = normalise(embed(network, images, batch_size=BATCH, flip=network.card.flip).astype(np.float64))
    identity = images.labels["identity"].to_numpy()
    genuine, others = genuine_pairs(identity), impostors(images, count=IMPOSTORS, seed=seed)
    a, b = (np.concatenate(side) for side in zip(genuine, others, strict=True))
    score = np.clip(np.einsum("pd,pd->p", unit[a], unit[b]), -1, 1)
    return Scored(score, np.arange(len(a)) < len(genuine[0]), identity[a], identity[b])


def gain(before: Scored, after: Scored) -> tuple[float, Interval]:
    """How much the area under the ROC curve grew, in points, with its 95 % interval over people."""
    old, new = (auc_statistic(pairs.score, pairs.same) for pairs in (before, after))

    def grown(weights: np.ndarray) -> np.ndarray:
        return 100 * (new(weights) - old(weights))

    spread = clustered_bootstrap(grown, after.a, after.b)
    return float(grown(np.ones((1, len(after.score))))[0]), spread


def write_pictures(split: Split, out: Path) -> None:
    """``pictures.csv``: each record, its person, and where it went or why it is left out."""
    with atomic_write(out / PICTURES) as path, path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["record", "person", "part"])
        for part, images in (("train", split.train), ("watched", split.watched), ("held out", split.held_out)):
            who = "subject" if "subject" in images.labels else "identity"
            table.writerows(zip(images.labels["record"], images.labels[who], [part] * len(images), strict=True))
        table.writerows((record, "", f"left out: {why}") for record, why in split.left_out.items())
