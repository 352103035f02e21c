"""Edited faces on the disk: people × attributes × strengths, and people across ages, from any source of faces.

    FOLDER/about.json             what is being built: source, people, strengths, alignment
    FOLDER/images/000007/*.jpg    aligned crops of 112×112 pixels; original.jpg is the person at α = 0
    FOLDER/labels.parquet         one row a picture with its SHA-256; written last, so that its presence says all

A build that was stopped goes on where it was and draws no picture twice.
"""

from __future__ import annotations

import hashlib
import json
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import torch
import torch.nn.functional as F

from aifr_lib.data.formats.pictures import QUALITY, BadPicture, decode, encode_jpeg
from aifr_lib.data.formats.stored import Files, StoredPixels
from aifr_lib.data.images import Images
from aifr_lib.faces import align
from aifr_lib.faces.generators import mobilestylegan
from aifr_lib.faces.generators.directions import check_alpha, found_directions
from aifr_lib.faces.generators.sources import Source
from aifr_lib.files import atomic_write, cache_dir, locked
from aifr_lib.progress import tqdm

VERSION = "edited-faces-v1"
NARROW = "generator-narrow"
ORIGINAL = "original"
# How much pictures of one person differ beside age: (attribute, SD of α, largest |α|); the project's own choice.
BETWEEN = (("yaw", 1.8, 4.5), ("smile", 1.8, 4.0), ("light", 1.8, 4.5))
BETWEEN_SEED = 5_400
NARROW_SEED = 5_401
NARROW_FIRST = 10_000  # the first of the training people: none of them is edited, approved on or scored elsewhere
# One unit of age is some five years of looks, so this is two years to either side of an age of one's own.
NARROW_ALPHA, NARROW_CENTRE = 0.4, 4.0
WAITING = 64  # pictures that may wait for the disk
CROPS_AT_ONCE = 64
SHRUNK_AT_ONCE = 256
EstimateAge = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Plan:
    """The pictures of a set: one row each in ``labels``, and in ``alphas`` what is moved by how much.

    labels: record (IDENTITY/NAME), identity, then the set's own columns. shared: the person's similarity onto the
    template is that of the picture at α = 0, so that nothing but the attribute moves between edits; otherwise each
    picture is aligned by itself, as a recogniser would.
    """

    name: str
    labels: pd.DataFrame
    alphas: tuple[Mapping[str, float], ...]
    shared: bool

    def about(self, source: Source, estimate_age: EstimateAge | None = None) -> dict[str, Any]:
        """What names the set: where it is the same, pictures and labels are."""
        rows = [[r, dict(a)] for r, a in zip(self.labels["record"], self.alphas, strict=True)]
        return {
            "version": VERSION,
            "name": self.name,
            "source": [source.name, source.version],
            "pictures": len(self.labels),
            "plan": hashlib.sha256(json.dumps(rows).encode()).hexdigest(),
            "alignment": f"{align.VERSION}, {'one a person' if self.shared else 'one a picture'}",
            "quality": QUALITY,
            "ages": _judge_version(estimate_age),
        }


def edited(identities: Sequence[int], attributes: Sequence[str], alphas: Sequence[float]) -> Plan:
    """ComFace's pre-training faces: every person with every attribute at every strength, α = 0 once a person.

    α = 0 is the same picture for all attributes (supplement A.1, footnote 1). Labels: record, identity, attribute,
    alpha. Errors: ConfigError for α outside −5 … 5; ValueError for a plan of nothing or one that repeats itself.
    """
    steps = [alpha for alpha in map(check_alpha, alphas) if alpha]
    edits = [("", 0.0), *((name, alpha) for name in attributes for alpha in steps)]
    rows = [(who, name, alpha) for who in identities for name, alpha in edits]
    labels = pd.DataFrame(rows, columns=["identity", "attribute", "alpha"])
    names = [f"{w:06d}/{f'{n}{_signed(a)}' if n else ORIGINAL}" for w, n, a in rows]
    labels.insert(0, "record", names)
    return _checked(Plan("edited faces", labels, tuple({n: a} if n else {} for _, n, a in rows), shared=True))


def longitudinal(identities: Sequence[int], per_identity: int = 8, strongest: float = 4.0) -> Plan:
    """People across ages: pictures spread evenly from α = −strongest to strongest of age, all else changing too.

    Pose, smile and light are drawn for each picture from a seed of its own (``BETWEEN``). Labels: record, identity,
    and the α of each attribute. Errors: as ``edited``.
    """
    check_alpha(strongest)
    ages = np.linspace(-strongest, strongest, per_identity)
    return _pictured("faces across ages", [(who, ages) for who in identities])


def narrow(people: int = 1500, per_identity: int = 8) -> Plan:
    """Training people as web-scraped ones are seen: each within some two years of an age of their own, all else
    changing as in ``longitudinal``. Ages are even over all that the generator draws.

    Labels and errors: as ``longitudinal``.
    """
    ages = []
    for who in range(NARROW_FIRST, NARROW_FIRST + people):
        draw = np.random.default_rng([NARROW_SEED, who])
        centre = draw.uniform(-NARROW_CENTRE, NARROW_CENTRE)
        ages.append((who, centre + draw.uniform(-NARROW_ALPHA, NARROW_ALPHA, per_identity)))
    return _pictured(NARROW, ages)


def narrow_digest(people: int, per_identity: int) -> str:
    """16 hex digits that name the set of ``narrow`` before it is drawn: generator, directions, alignment, arguments."""
    chosen = (NARROW_SEED, NARROW_FIRST, NARROW_ALPHA, NARROW_CENTRE, BETWEEN_SEED, BETWEEN, people, per_identity)
    total = hashlib.sha256(repr((VERSION, mobilestylegan.VERSION, align.VERSION, QUALITY, chosen)).encode())
    for name in ("age", *(name for name, _, _ in BETWEEN)):
        total.update(found_directions()[name].normal.tobytes())
    return total.hexdigest()[:16]


def _pictured(name: str, ages: Sequence[tuple[int, np.ndarray]]) -> Plan:
    """A plan of people by the strengths of age at which each is pictured, with ``BETWEEN`` drawn for every picture."""
    rows, alphas = [], []
    for who, strengths in ages:
        for number, age in enumerate(strengths):
            draw = np.random.default_rng([BETWEEN_SEED, who, number]).standard_normal(len(BETWEEN))
            other = {n: float(np.clip(sd * d, -top, top)) for (n, sd, top), d in zip(BETWEEN, draw, strict=True)}
            alphas.append({"age": float(age), **other})
            rows.append({"record": f"{who:06d}/{number:03d}", "identity": who})
    moved = pd.DataFrame(alphas).add_prefix("alpha_")
    labels = pd.concat([pd.DataFrame(rows, columns=["record", "identity"]), moved], axis=1)
    return _checked(Plan(name, labels, tuple(alphas), shared=False))


def shrunk(images: Images, side: int) -> Images:
    """The same pictures at ``side`` pixels, in memory: as small networks are trained on them."""
    small = np.empty((len(images), side, side, 3), dtype=np.uint8)
    for start in range(0, len(images), SHRUNK_AT_ONCE):
        rows = slice(start, start + SHRUNK_AT_ONCE)
        pixels = torch.from_numpy(np.ascontiguousarray(images.pixels[rows])).permute(0, 3, 1, 2).float()
        pixels = F.interpolate(pixels, size=(side, side), mode="bilinear", antialias=True, align_corners=False)
        small[rows] = pixels.round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).numpy()
    return Images(images.name, images.version, small, images.labels)


def cached(plan: Plan, source: Source, *, estimate_age: EstimateAge | None = None, progress: bool = True) -> Images:
    """The set from ``cache_dir()``, built first where it is not there. Arguments and errors: as ``build``."""
    digest = hashlib.sha256(json.dumps(plan.about(source, estimate_age), sort_keys=True).encode()).hexdigest()[:16]
    return build(cache_dir() / VERSION / digest, plan, source, estimate_age=estimate_age, progress=progress)


def build(
    folder: str | Path, plan: Plan, source: Source, *, estimate_age: EstimateAge | None = None, progress: bool = True
) -> Images:
    """Draw what is missing of a set, and read it. Encoding and the disk wait behind the drawing.

    The column ``age`` is what the source knows. Where it knows nothing, it is how old a person who does not exist
    looks to ``estimate_age`` (aligned crops uint8 [B, 112, 112, 3] → years [B]; its ``version``, else its name, is part
    of what the set is), or NaN. Processes that want the same folder wait for one.
    Errors: FileExistsError for a folder that holds something else; those of the source; BadPicture as ``load``.
    """
    folder = Path(folder)
    about = plan.about(source, estimate_age)
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder.with_name(f".{folder.name}.lock")):
        _claim(folder, about)
        if not (folder / "labels.parquet").is_file():
            _draw(folder, plan, source, progress)
            _label(folder, plan, source, estimate_age, progress)
        return load(folder)


def load(folder: str | Path) -> Images:
    """A set that ``build`` has finished; every picture is held against its checksum.

    Labels: record, identity, age, the plan's own, found (whether the detector saw the face; of a plan whose edits share
    one crop, whether it saw the person's unedited face), file, sha256.
    Errors: FileNotFoundError for a folder without a finished set; BadPicture naming a file that is missing or changed.
    """
    folder = Path(folder)
    if not (folder / "labels.parquet").is_file():
        raise FileNotFoundError(f"{folder} holds no finished set: there is no labels.parquet in it")
    about = json.loads((folder / "about.json").read_text(encoding="utf-8"))
    table = pq.read_table(folder / "labels.parquet")
    labels = table.to_pandas()
    for file, expected in zip(labels["file"], labels["sha256"], strict=True):
        if hashlib.sha256(_bytes(folder / file)).hexdigest() != expected:
            raise BadPicture("the file is not the one that was built (SHA-256): delete the folder", folder / file)
    pixels: Any = StoredPixels(Files(folder, table.column("file")), (align.SIDE, align.SIDE))
    return Images(about["name"], about["version"], pixels, labels)


def _claim(folder: Path, about: dict[str, Any]) -> None:
    """Mark the folder as this set's. Errors: FileExistsError where it is another's."""
    path = folder / "about.json"
    if path.is_file():
        there = json.loads(path.read_text(encoding="utf-8"))
        if there != about:
            differs = next(key for key in {**about, **there} if there.get(key, "") != about.get(key, ""))
            raise FileExistsError(
                f"{folder} holds another set: its {differs} is {there.get(differs)}, wanted {about.get(differs)}"
            )
    elif any(folder.iterdir()):
        raise FileExistsError(f"{folder} already holds other files: name an empty folder")
    else:
        with atomic_write(path) as temporary:
            temporary.write_text(json.dumps(about, indent=1), encoding="utf-8")


def _draw(folder: Path, plan: Plan, source: Source, progress: bool) -> None:
    missing = [row for row, record in enumerate(plan.labels["record"]) if not _file(folder, record).is_file()]
    # One thread stores in the order of drawing, so that whoever shares the person's similarity finds it there.
    waiting: deque[Future[None]] = deque()
    with ThreadPoolExecutor(1) as disk:
        try:
            for row in tqdm(missing, desc=f"drawing {plan.name}", unit="face", disable=not progress):
                who = int(plan.labels["identity"].iloc[row])
                picture = source.combined(who, plan.alphas[row])
                waiting.append(disk.submit(_store, folder, plan, row, picture))
                if len(waiting) > WAITING:
                    waiting.popleft().result()
            for stored in waiting:
                stored.result()
        except BaseException:
            disk.shutdown(cancel_futures=True)
            raise


def _store(folder: Path, plan: Plan, row: int, picture: np.ndarray) -> None:
    path = _file(folder, plan.labels["record"].iloc[row])
    similarity = path.parent / "crop.json" if plan.shared else path.with_suffix(".json")
    if not (plan.shared and similarity.is_file()):
        face = align.align(picture)
        matrix = None if face is None else face.matrix.tolist()
        with atomic_write(similarity) as temporary:
            temporary.write_text(json.dumps(matrix), encoding="utf-8")
    matrix = json.loads(similarity.read_text(encoding="utf-8"))
    crop = align.centre_crop(picture) if matrix is None else align.warp(picture, np.array(matrix))
    with atomic_write(path) as temporary:
        temporary.write_bytes(encode_jpeg(crop))


def _label(folder: Path, plan: Plan, source: Source, estimate_age: EstimateAge | None, progress: bool) -> None:
    records = list(plan.labels["record"])
    known = [source.age(int(who), alphas) for who, alphas in zip(plan.labels["identity"], plan.alphas, strict=True)]
    if None not in known:
        estimate_age = None
    ages, sums, found = [], [], []
    batches = range(0, len(records), CROPS_AT_ONCE)
    for start in tqdm(batches, desc="labelling", unit="batch", disable=not progress or estimate_age is None):
        files = [_file(folder, record) for record in records[start : start + CROPS_AT_ONCE]]
        stored = [_bytes(file) for file in files]
        sums += [hashlib.sha256(one).hexdigest() for one in stored]
        if estimate_age is None:
            ages.append(np.full(len(files), np.nan))
        else:
            ages.append(np.asarray(estimate_age(np.stack([decode(one) for one in stored])), dtype=np.float64))
        for file in files:
            similarity = file.parent / "crop.json" if plan.shared else file.with_suffix(".json")
            found.append(json.loads(similarity.read_text(encoding="utf-8")) is not None)
    labels = plan.labels.copy()
    estimated = np.concatenate(ages)
    labels.insert(2, "age", [one if years is None else years for years, one in zip(known, estimated, strict=True)])
    labels["found"], labels["file"] = found, [f"images/{record}.jpg" for record in records]
    labels["sha256"] = sums
    with atomic_write(folder / "labels.parquet") as temporary:
        labels.to_parquet(temporary, index=False)


def _judge_version(estimate_age: EstimateAge | None) -> str | None:
    if estimate_age is None:
        return None
    name = getattr(estimate_age, "__name__", type(estimate_age).__name__)
    return str(getattr(estimate_age, "version", name))


def _signed(alpha: float) -> str:
    """A strength in a file's name: two decimals, or as many as it takes to tell it from every other."""
    short = f"{alpha:+.2f}"
    return short if float(short) == alpha else f"{alpha:+}"


def _file(folder: Path, record: str) -> Path:
    return folder / "images" / f"{record}.jpg"


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadPicture(f"cannot read the picture: {error.strerror}", path) from error


def _checked(plan: Plan) -> Plan:
    if not len(plan.labels):
        raise ValueError(f"{plan.name}: at least one identity is needed")
    if not plan.labels["record"].is_unique:
        double = plan.labels["record"][plan.labels["record"].duplicated()].iloc[0]
        raise ValueError(f"{plan.name}: {double} is asked for more than once")
    if (plan.labels["identity"] < 0).any():
        raise ValueError(f"{plan.name}: an identity is a seed, 0 or more")
    return plan
