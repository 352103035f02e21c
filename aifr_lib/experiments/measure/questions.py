"""What ``aifr evaluate`` is asked: which pictures, by which protocol, against what; and the pictures themselves."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from aifr_lib.data import named, sets
from aifr_lib.data.formats import ijb
from aifr_lib.data.formats.insightface_bin import load_bin
from aifr_lib.data.formats.pair_lists import pairs_over, read_pairs
from aifr_lib.data.formats.stored import Files, StoredPixels, as_array
from aifr_lib.data.images import UNKNOWN, ChangePairs, Images, Pairs, Templates
from aifr_lib.data.named import listings, table
from aifr_lib.data.relief import chosen
from aifr_lib.data.relief.changes import UNITS, changes, pre_post
from aifr_lib.data.sets.aligned import load_folder
from aifr_lib.evaluation.features import Features
from aifr_lib.faces.align import SIDE
from aifr_lib.names import ConfigError, choose, nearest
from aifr_lib.settings.presets import Preset

DATA = ("relief", *table.table())
# What each protocol needs beside the pictures, by the names of the options.
PROTOCOLS: dict[str, tuple[str, ...]] = {
    "verification": (),
    "loo": (),
    "distractors": ("distractors",),
    "templates": ("media", "pairs"),
    "change": (),
}
MOST_CHANGES = 20_000  # pairs that a change is regressed on; of more, so many are drawn


@dataclass(frozen=True)
class Question:
    """Which pictures, by which protocol, against what.

    data: relief, a name of ``aifr data list``, or the path of a folder, ``.rec``, ``.bin`` or image list; for
    ``templates`` the folder of aligned crops that ``media`` names. A named set brings its own pairs, templates,
    detector scores, distractors and lists of noise.
    protocol: None: the first that the table has for a named set, else verification.
    pairs: a list of pairs of pictures (``pairs.txt``, ``.csv``) or of templates.
    distractors: a name, or a folder, ``.rec`` or image list of other people, or their embeddings in a ``.npy`` file.
    Errors: ConfigError for an unknown protocol, for one that the data does not fit, and for a list that the protocol
    needs and lacks, or has no use for.
    """

    data: str | Path
    protocol: str | None = None
    pairs: Path | None = None
    distractors: Path | None = None
    media: Path | None = None
    skip_bad: bool = False

    def __post_init__(self) -> None:
        needed = choose("protocol", self.asked, PROTOCOLS)
        if self.named is not None and self.asked not in self.named.protocols:
            raise ConfigError(f"{self.named.name} is not measured by '{self.asked}': {_serves(self.named)}")
        takes = ("pairs",) if self.asked == "verification" else needed
        brought = self._brought
        for name in ("pairs", "distractors", "media"):
            there = getattr(self, name) is not None
            if name in needed and name not in brought and not there:
                raise ConfigError(f"protocol {self.asked} needs --{name}")
            if there and name in brought and name != "distractors":
                raise ConfigError(f"{self.data} brings its own --{name}: leave it out")
            if there and name not in takes:
                raise ConfigError(f"protocol {self.asked} has no use for --{name}")
        for path in filter(None, (self.pairs, self.distractors, self.media)):
            if not path.exists() and str(path) not in table.table():
                raise FileNotFoundError(f"nothing at {path}")

    @property
    def _brought(self) -> tuple[str, ...]:
        """The options that a named set makes needless."""
        if self.named is None:
            return ()
        if self.asked == "templates":
            return ("media", "pairs")
        return ("distractors",) if self.named.distractors else ()

    @property
    def named(self) -> table.NamedSet | None:
        """The row of the table, where the data is a named set."""
        return table.table().get(str(self.data))

    @property
    def asked(self) -> str:
        """The protocol, chosen or by the table."""
        if self.protocol is not None:
            return self.protocol
        if self.named is None:
            return "verification"
        if not self.named.protocols:
            raise ConfigError(f"{self.named.name} is not measured: {_serves(self.named)}")
        return self.named.protocols[0]

    @property
    def sought_among(self) -> Path | None:
        """``distractors``, or those that go with the named set."""
        if self.distractors is None and self.asked == "distractors" and self.named and self.named.distractors:
            return Path(self.named.distractors)
        return self.distractors


def _serves(entry: table.NamedSet) -> str:
    if entry.protocols:
        return f"{', '.join(entry.protocols)} fit{'s' * (len(entry.protocols) == 1)}"
    if entry.reader == "listed":
        return f"it serves as --distractors {entry.name}"
    return "it names nobody; it serves for training and testing estimators of age"


@dataclass(frozen=True)
class Asked:
    """images; lists of pairs to verify (none: all pairs); templates; bad: files that could not be read, left out.

    unnamed: the data names nobody (its identities, if any, are inferred).
    """

    images: Images
    lists: list[Pairs] = field(default_factory=list)
    templates: Templates | None = None
    bad: tuple[str, ...] = ()
    unnamed: bool = False


def pictures(question: Question, preset: Preset, progress: bool) -> Asked:
    """The pictures of a question, and the lists over them.

    Errors: ConfigError with the nearest name for unknown data, and where a ``.bin`` is asked for people; those of the
    readers.
    """
    data, settings = question.data, preset.tour.train.relief
    if question.skip_bad and (question.named is not None or question.asked == "templates" or data == "relief"):
        raise ConfigError(f"--skip-bad is for folders of photographs to verify or to seek, not for {data}")
    if question.named is not None:
        return _named(question, progress)
    if question.asked == "templates":
        assert question.media is not None and question.pairs is not None
        templates = _templates(question.media, question.pairs)
        return Asked(_crops(Path(data), question.media), templates=templates, unnamed=True)
    if data == "relief":
        images = chosen.faces(settings)
        own = question.asked == "verification" and question.pairs is None
        return Asked(images, chosen.everyday_pairs(settings) if own else _listed(question, images))
    path = Path(data)
    if not path.exists():
        known = nearest(str(data), DATA)
        raise ConfigError(f"unknown data '{data}'{known}, or the path of a folder, .rec, .bin or image list")
    kind = sets.kind_of(path)
    if question.skip_bad and kind != "folder":
        raise ConfigError(f"--skip-bad is for folders of photographs, and {path} is of kind '{kind}'")
    if kind == "bin":
        _only_its_pairs(question, path)
        images, pairs = load_bin(path)
        return Asked(images, [pairs], unnamed=True)
    if kind == "folder":
        images, bad = load_folder(path, skip_bad=question.skip_bad, progress=progress)
        return Asked(images, _listed(question, images), bad=tuple(bad))
    images = sets.load(path, progress=progress)
    return Asked(images, _listed(question, images))


def distractors(question: Question, progress: bool) -> Images | Features | None:
    """The distractors: pictures to be embedded, or the file that holds their embeddings."""
    path = question.sought_among
    if path is None or path.suffix.lower() == ".npy":
        return path
    return load(path, progress=progress)


def load(data: str | Path, *, progress: bool = True) -> Images:
    """The pictures of a named set, or at a path. Errors: those of ``named.load`` and ``sets.load``."""
    if str(data) in table.table():
        return named.load(str(data), progress=progress).images
    if not Path(data).exists():
        raise ConfigError(f"unknown data '{data}'{nearest(str(data), table.table())}, or a path")
    return sets.load(data, progress=progress)


def changes_of(images: Images) -> dict[str, ChangePairs]:
    """What changes between pictures of one subject, by name: kilograms before and after, action units, or years.

    Of action units and years at most ``MOST_CHANGES`` pairs are drawn, of units equally many of each subject.
    Errors: those of ``changes`` and ``pre_post``.
    """
    if "kilograms" in images.labels:
        return {"kilograms": pre_post(images)}
    units = [name for name in UNITS if name in images.labels and name != "age"]
    if units:
        frames = images.labels["identity"].value_counts()
        pairs = min(MOST_CHANGES // len(frames), int(frames.min() * (frames.min() - 1) // 2))
        return {name: changes(images, name, per_subject=pairs) for name in units}
    every = changes(images, "age")
    rows = np.arange(len(every))
    if len(every) > MOST_CHANGES:
        rows = np.sort(np.random.default_rng(0).choice(rows, MOST_CHANGES, replace=False))
    return {"age": ChangePairs(every.name, every.a[rows], every.b[rows], every.d[rows], every.unit)}


def _named(question: Question, progress: bool) -> Asked:
    entry = question.named
    assert entry is not None
    packed = listings.packed(entry, table.folder_of(entry))
    if packed:
        _only_its_pairs(question, packed)
    found = named.load(entry.name, progress=progress)
    if question.asked == "templates":
        return Asked(found.images, templates=found.templates, unnamed=True)
    unnamed = packed is not None or (entry.regex is not None and "person" not in entry.regex.groupindex)
    own = question.asked == "verification" and question.pairs is None and found.pairs is not None
    lists = [found.pairs] if own and found.pairs else _listed(question, found.images)
    return Asked(found.images, lists, unnamed=unnamed)


def _only_its_pairs(question: Question, path: Path) -> None:
    if question.asked != "verification" or question.pairs is not None:
        raise ConfigError(f"{path} holds a list of pairs and names nobody: it can be verified, on its own pairs")


def _listed(question: Question, images: Images) -> list[Pairs]:
    """The list of pairs that ``--pairs`` names, over ``images``."""
    if question.pairs is None:
        return []
    return [pairs_over(images, read_pairs(question.pairs), question.pairs.stem)]


def _crops(folder: Path, media: Path) -> Images:
    """The aligned crops that the list of media names, in its order; a picture listed twice is there once."""
    if not folder.is_dir():
        raise FileNotFoundError(f"no folder of pictures at {folder}")
    records = pd.unique(ijb.read_media(media)["record"])
    pixels = StoredPixels(Files(folder, pa.chunked_array([records])))
    if pixels.size[0] != SIDE:
        raise ValueError(f"{folder}: {records[0]} is {pixels.size[0]} pixels high, not {SIDE}: run aifr align first")
    labels = pd.DataFrame({"record": records, "identity": UNKNOWN, "age": np.nan})
    return Images(media.stem, "1", as_array(pixels), labels)


def _templates(media: Path, pairs: Path) -> Templates:
    table, listed = ijb.read_media(media), ijb.read_template_pairs(pairs)
    ijb.check_templates(table, listed, pairs)
    rows = pd.factorize(table["record"])[0].astype(np.int64)
    columns = (listed[name].to_numpy() for name in ("a", "b", "same"))
    return Templates(pairs.stem, rows, table["template"].to_numpy(), table["media"].to_numpy(), *columns)
