"""Any embedder on any pictures by any protocol of recognition: what ``aifr evaluate`` prints."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import pyarrow as pa

from aifr_lib.config import ConfigError, Preset, choose, nearest
from aifr_lib.data import ijb, named, named_table, sets
from aifr_lib.data.aligned import load_folder
from aifr_lib.data.images import Images, Pairs, Templates
from aifr_lib.data.insightface_bin import load_bin
from aifr_lib.data.pairs import pairs_over, read_pairs
from aifr_lib.data.stored import Files, StoredPixels
from aifr_lib.evaluation.features import Features
from aifr_lib.experiments import protocol_rows, protocol_scores, recognise
from aifr_lib.experiments.embedders import Embedder, check_backbone, embed_with, load
from aifr_lib.experiments.photographs import identification_rows, list_rows, measure, verification_rows
from aifr_lib.faces.align import SIDE
from aifr_lib.reporting.artefacts import Key, Row
from aifr_lib.training.engine import accelerator_for

DATA = ("relief", *named_table.table())
# What each protocol needs beside the pictures, by the names of the options.
PROTOCOLS: dict[str, tuple[str, ...]] = {
    "verification": (),
    "loo": (),
    "distractors": ("distractors",),
    "templates": ("media", "pairs"),
}


@dataclass(frozen=True)
class Question:
    """Which pictures, by which protocol, against what.

    data: relief, a name of ``aifr data list`` (verified on its own pairs, where it has any), or the path of a folder,
    ``.rec``, ``.bin`` or image list; for ``templates`` the folder of aligned crops that ``media`` names.
    pairs: a list of pairs of pictures (``pairs.txt``, ``.csv``) or of templates.
    distractors: a folder, ``.rec`` or image list of strangers, or their embeddings in a ``.npy`` file.
    Errors: ConfigError for an unknown protocol, and for a list that the protocol needs and lacks, or has no use for.
    """

    data: str | Path
    protocol: str = "verification"
    pairs: Path | None = None
    distractors: Path | None = None
    media: Path | None = None
    skip_bad: bool = False

    def __post_init__(self) -> None:
        needed = choose("protocol", self.protocol, PROTOCOLS)
        for name in ("pairs", "distractors", "media"):
            there = getattr(self, name) is not None
            if name in needed and not there:
                raise ConfigError(f"protocol {self.protocol} needs --{name}")
            if there and name not in (*needed, *(("pairs",) if self.protocol == "verification" else ())):
                raise ConfigError(f"protocol {self.protocol} has no use for --{name}")
        for path in filter(None, (self.pairs, self.distractors, self.media)):
            if not path.exists():
                raise FileNotFoundError(f"nothing at {path}")


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
    device: str | None = None,
    progress: bool = True,
) -> Evaluation:
    """Embed the pictures with ``backbone`` (see ``embedders.load``) and measure.

    Relief faces are the test faces of the preset's tour, verified on the preset's pair lists; a ``.bin`` has its own
    pairs. Other pictures are aligned first unless they are 112×112, and verified on ``pairs``, or on all genuine pairs
    with as many impostors. Under several processes each embeds a share.
    Errors: ConfigError with the nearest name for an unknown backbone, data or protocol; those of the readers.
    """
    # Before minutes of aligning are spent on a name that does not exist.
    check_backbone(backbone)
    embedder = load(backbone, preset, given=given, device=device)
    # The first process aligns; the others then find what it kept.
    with accelerator_for(device, "no").main_process_first():
        images, lists, bad = _pictures(question, preset, progress)
        strangers = _strangers(question, progress)
    embeddings = embed_with(embedder, images, device=device, progress=progress)
    keys: dict[str, Key] = {"data": images.name, "embedder": str(backbone)}
    if question.protocol == "templates":
        assert question.media is not None and question.pairs is not None
        templates = _templates(question.media, question.pairs)
        scores = protocol_scores.template_scores(images, embeddings, templates)
        rows = protocol_rows.template_rows(scores, {**keys, "data": templates.name})
    elif question.protocol == "distractors":
        assert strangers is not None
        if isinstance(strangers, Images):
            strangers = embed_with(embedder, strangers, device=device, progress=progress)
        scores = protocol_scores.crowd_scores(images, embeddings, strangers)
        rows = protocol_rows.crowd_rows(scores, keys)
    elif lists:
        rows = [row for pairs in lists for row in list_rows(embeddings, images, pairs, keys)]
    else:
        rows_of = verification_rows if question.protocol == "verification" else identification_rows
        rows = rows_of(measure(images, embeddings), keys)
    found = images.labels.get("found")
    missed = () if found is None else tuple(images.labels["record"][~found.astype(bool)])
    people = None if question.protocol == "templates" else int(images.labels["identity"].nunique())
    return Evaluation(tuple(rows), len(images), people, embedder, missed, tuple(bad))


def _pictures(question: Question, preset: Preset, progress: bool) -> tuple[Images, list[Pairs], list[str]]:
    """The pictures, the lists of pairs to verify (none: all pairs), and the files that could not be read."""
    data, settings = question.data, preset.tour.train.relief
    if question.protocol == "templates":
        assert question.media is not None
        return _crops(Path(data), question.media), [], []
    if data == "relief":
        images = recognise.faces(settings)
        own = question.protocol == "verification" and question.pairs is None
        lists = recognise.everyday_pairs(settings) if own else []
        return images, lists + _named(question, images), []
    if data in named_table.table():
        found = named.load(str(data), progress=progress)
        own = question.protocol == "verification" and question.pairs is None and found.pairs is not None
        return found.images, [found.pairs] if own and found.pairs else _named(question, found.images), []
    path = Path(data)
    if not path.exists():
        known = nearest(str(data), DATA)
        raise ConfigError(f"unknown data '{data}'{known}, or the path of a folder, .rec, .bin or image list")
    kind = sets.kind_of(path)
    if kind == "bin":
        if question.protocol != "verification" or question.pairs is not None:
            raise ConfigError(f"{path} holds a list of pairs and names nobody: it can be verified, on its own pairs")
        images, pairs = load_bin(path)
        return images, [pairs], []
    if kind == "folder":
        images, bad = load_folder(path, skip_bad=question.skip_bad, progress=progress)
        return images, _named(question, images), bad
    images = sets.load(path, progress=progress)
    return images, _named(question, images), []


def _named(question: Question, images: Images) -> list[Pairs]:
    """The list of pairs that ``--pairs`` names, over ``images``."""
    if question.pairs is None:
        return []
    return [pairs_over(images, read_pairs(question.pairs), question.pairs.stem)]


def _strangers(question: Question, progress: bool) -> Images | Features | None:
    """The strangers: pictures to be embedded, or the file that holds their embeddings."""
    path = question.distractors
    if path is None or path.suffix == ".npy":
        return path
    return sets.load(path, progress=progress)


def _crops(folder: Path, media: Path) -> Images:
    """The aligned crops that the list of media names, in its order; a picture listed twice is there once."""
    if not folder.is_dir():
        raise FileNotFoundError(f"no folder of pictures at {folder}")
    records = pd.unique(ijb.read_media(media)["record"])
    pixels = StoredPixels(Files(folder, pa.chunked_array([records])))
    if pixels.size[0] != SIDE:
        raise ValueError(f"{folder}: {records[0]} is {pixels.size[0]} pixels high, not {SIDE}: run aifr align first")
    labels = pd.DataFrame({"record": records, "identity": -1, "age": np.nan})
    # It reads as an array does; Images and their users index it, and nothing else.
    return Images(media.stem, "1", cast("np.ndarray", pixels), labels)


def _templates(media: Path, pairs: Path) -> Templates:
    table, listed = ijb.read_media(media), ijb.read_template_pairs(pairs)
    ijb.check_templates(table, listed, pairs)
    rows = pd.factorize(table["record"])[0].astype(np.int64)
    columns = (listed[name].to_numpy() for name in ("a", "b", "same"))
    return Templates(pairs.stem, rows, table["template"].to_numpy(), table["media"].to_numpy(), *columns)
