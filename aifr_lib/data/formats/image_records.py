"""Image records of a ``.rec`` file as a table, and the writer of ``.rec``, ``.idx`` and ``property``.

insightface puts a *label record* first, under key 0: two labels, the number of pictures + 1 and the last key + 1. Its
pictures have the keys 1 … labels[0] − 1; behind them stands a record for each identity, without a picture, with its
range of keys as labels. Others write pictures only. So: a record with bytes behind its labels is a picture, one
without but with two labels is a label record; where key 0 is one, its count is checked.

The first label of a picture is its identity. Where age in years or gender (1 male, 0 female) are known, this library
writes identity, age and gender as three labels, and AGED as the header's id2, which others leave at 0: further labels
of other writers (boxes, landmarks, qualities) mean something else and are not read.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from aifr_lib.data.formats import recordio
from aifr_lib.data.formats.faults import BadFile
from aifr_lib.data.formats.recordio import RecordFile
from aifr_lib.data.images import OLDEST, UNKNOWN
from aifr_lib.files import atomic_writes
from aifr_lib.progress import tqdm

SPLIT = -1  # size of a picture whose record is cut into parts: it is read through RecordFile.read
EXACT = 1 << 24  # from here on float32 labels skip numbers
CHUNK = 1 << 18
AGED = int.from_bytes(b"age,sex", "little")  # id2 of a picture whose labels are identity, age and gender

Problems = list[tuple[int, str]]


def read_table(path: str | Path, *, progress: bool = True) -> pa.Table:
    """The pictures of a ``.rec`` file in the order of its ``.idx``, or of the file where there is none.

    Columns: key int64 (from the ``.idx``, else the record's place in the file); offset int64 and size int32, where
    the encoded picture lies (for a record in parts: where the record begins, and SPLIT); identity int64; age float32
    (NaN unknown); gender int8 (−1 unknown).
    Errors: BadFile that names the first record at fault; FileNotFoundError.
    """
    file = RecordFile(path)
    keys, offsets = places(file, progress=progress)
    columns, problems = examine(file, keys, offsets, progress=progress)
    problems += count_problems(file, keys, offsets, columns)
    if problems:
        row, problem = problems[0]
        raise BadFile(f"{problem} ('aifr data check' lists all faults)", path, f"record {keys[row]}")
    pictures = columns["size"] != 0
    if not pictures.any():
        raise BadFile("no record holds a picture", path)
    return pa.table({name: column[pictures] for name, column in {"key": keys, **columns}.items()})


def places(file: RecordFile, *, progress: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """Keys and offsets of all records, int64: by the ``.idx`` beside the file, or by walking through it."""
    idx = file.path.with_suffix(".idx")
    if idx.is_file():
        return recordio.read_idx(idx)
    found = []
    with tqdm(
        total=len(file), desc=f"scan {file.path.name}", unit="B", unit_scale=True, delay=1, disable=not progress
    ) as bar:
        for offset, end in file.scan():
            found.append(offset)
            bar.update(end - offset)
    return np.arange(len(found)), np.array(found, dtype=np.int64)


def examine(
    file: RecordFile, keys: np.ndarray, offsets: np.ndarray, *, progress: bool = False
) -> tuple[dict[str, np.ndarray], Problems]:
    """The columns of ``read_table`` for all records (size 0: label records), and (row, problem) for each at fault."""
    parts, problems = [], []
    starts = range(0, len(offsets), CHUNK)
    for start in tqdm(starts, desc=f"read labels of {file.path.name}", delay=1, disable=not progress):
        columns, wrong = _examine(file, offsets[start : start + CHUNK])
        parts.append(columns)
        problems += [(start + row, problem) for row, problem in wrong]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}, problems


def _examine(file: RecordFile, offsets: np.ndarray) -> tuple[dict[str, np.ndarray], Problems]:
    words = np.frombuffer(file.bytes, "<u4", len(file) // 4)
    problems: dict[int, str] = {}
    inside = (offsets >= 0) & (offsets % 4 == 0) & (offsets // 4 + 1 < len(words))
    at = np.where(inside, offsets // 4, 0)

    def word(k: int, where: np.ndarray) -> np.ndarray:
        return words[np.where(where, at + k, 0)]

    cflag, length = word(1, inside) >> recordio.LENGTH_BITS, (word(1, inside) & recordio.MAX_LENGTH).astype(np.int64)
    framed = inside & (word(0, inside) == recordio.MAGIC) & (offsets + recordio.PART.size + length <= len(file))
    simple = framed & (cflag == recordio.WHOLE) & (length >= recordio.HEADER.size)
    flag = np.where(simple, word(2, simple), 0).astype(np.int64)
    head = recordio.HEADER.size + 4 * flag
    simple &= head <= length
    flag = np.where(simple, flag, 0)
    labels = [
        np.where(flag > k, word(8 + k, simple & (flag > k)), word(3, simple) if k == 0 else 0).astype("<u4")
        for k in range(3)
    ]
    values = [label.view("<f4").copy() for label in labels]
    count = np.maximum(flag, 1)
    ours = simple & (word(6, simple) == AGED & 0xFFFFFFFF) & (word(7, simple) == AGED >> 32)
    columns = {
        "offset": np.where(simple, offsets + recordio.PART.size + head, offsets),
        "size": np.where(simple, length - head, 0),
    }
    # What is not one part with a whole header: records in parts, and faults, which read() names.
    for row in np.flatnonzero(~simple).tolist():
        try:
            record = recordio.unpack(file.read(int(offsets[row])))
        except BadFile as error:
            problems[row] = ": ".join(filter(None, (error.record, error.problem)))
            continue
        columns["size"][row] = SPLIT if record.picture else 0
        count[row], ours[row] = len(record.labels), record.id2 == AGED
        for k, value in enumerate(record.labels[:3]):
            values[k][row] = value
    picture = columns["size"] != 0
    for row in np.flatnonzero(~picture & (count == 1)).tolist():
        problems.setdefault(row, "it holds no picture, and is no label record (which has two labels)")
    identity, age, gender = values
    held = np.where(np.isfinite(identity), identity, UNKNOWN)  # rounding some NaNs warns
    wrong = picture & ~((held >= 0) & (held <= EXACT) & (held == np.floor(held)))
    for row in np.flatnonzero(wrong).tolist():
        problems[row] = f"the label must be a whole number from 0 to {EXACT}, found {identity[row]}"
    known = picture & ours & (count == 3)
    aged = known & (age >= 0) & (age <= OLDEST)
    columns["identity"] = np.where(picture & ~wrong, identity, UNKNOWN).astype(np.int64)
    columns["size"] = columns["size"].astype(np.int32)
    columns["age"] = np.where(aged, age, np.nan).astype(np.float32)
    columns["gender"] = np.where(known & ((gender == 0) | (gender == 1)), gender, UNKNOWN).astype(np.int8)
    return columns, sorted(problems.items())


def count_problems(file: RecordFile, keys: np.ndarray, offsets: np.ndarray, columns: dict[str, np.ndarray]) -> Problems:
    """(row, problem) where the label record under key 0 says another number of pictures than there are."""
    at = np.flatnonzero(keys == 0)
    if not len(at) or columns["size"][at[0]] != 0:
        return []
    try:
        labels = recordio.unpack(file.read(int(offsets[at[0]]))).labels
    except BadFile:
        return []  # examine has named it
    if len(labels) < 2:
        return []
    said, found = float(labels[0]) - 1, int((columns["size"] != 0).sum())
    if said == found or found >= EXACT:
        return []
    return [(int(at[0]), f"the label record says {said:.0f} pictures, the file holds {found}")]


@dataclass(frozen=True)
class Labelled:
    """A picture on its way into a file: encoded bytes, identity (0, 1, …), age in years and gender where known."""

    picture: bytes
    identity: int
    age: float = math.nan
    gender: int = UNKNOWN

    @property
    def labels(self) -> float | list[float]:
        """What the image record gets: the identity alone, or (identity, age, gender) where one of them is known."""
        if math.isnan(self.age) and self.gender == UNKNOWN:
            return float(self.identity)
        return [self.identity, self.age, self.gender]

    @property
    def id2(self) -> int:
        """AGED where ``labels`` says more than the identity."""
        return 0 if isinstance(self.labels, float) else AGED


def write(
    path: str | Path,
    pictures: Iterator[Labelled],
    total: int,
    *,
    size: tuple[int, int],
    label_record: bool = True,
    progress: bool = True,
) -> int:
    """Write ``path``, its ``.idx`` and a ``property`` file beside it; returns the number of pictures.

    The pictures must come grouped by identity. With ``label_record``, key 0 and the identity ranges are written as
    insightface reads them; without, pictures have the keys 0, 1, …. The three
    files take their names together, when all are written: a set that was there stays readable until then.
    total: how many pictures come. size: their height and width, for ``property``.
    Errors: ValueError for identities that come back, are negative or beyond float32.
    """
    path = Path(path)
    first = 1 if label_record else 0
    offsets: list[int] = []
    ranges: dict[int, int] = {}
    last = None
    with (
        atomic_writes(path.with_name("property"), path.with_suffix(".idx"), path) as (text, idx, temporary),
        temporary.open("wb") as file,
    ):
        if label_record:
            # The number of identities, and with it the last key, is known only at the end: written again then.
            offsets.append(recordio.write_record(file, recordio.pack([total + 1, 0], 0, b"")))
        for key, item in enumerate(tqdm(pictures, total=total, unit="picture", delay=1, disable=not progress), first):
            if item.identity != last:
                if item.identity in ranges:
                    raise ValueError(f"identity {item.identity} comes back: pictures must be grouped by identity")
                if not 0 <= item.identity <= EXACT:
                    raise ValueError(f"identity {item.identity}: a float32 label holds 0 to {EXACT}")
                ranges[item.identity], last = key, item.identity
            offsets.append(recordio.write_record(file, recordio.pack(item.labels, key, item.picture, item.id2)))
        end = len(offsets)
        if end - first != total:
            raise ValueError(f"{total} pictures were promised, {end - first} came")
        if label_record:
            ends = [*list(ranges.values())[1:], end]
            for key, (begin, stop) in enumerate(zip(ranges.values(), ends, strict=True), end):
                offsets.append(recordio.write_record(file, recordio.pack([begin, stop], key, b"")))
            file.seek(0)
            recordio.write_record(file, recordio.pack([end, len(offsets)], 0, b""))
        recordio.write_idx(idx, range(len(offsets)), offsets)
        text.write_text(f"{len(ranges)},{size[0]},{size[1]}\n", encoding="ascii")
    return total


def grouped(identities: Sequence[int] | np.ndarray) -> np.ndarray:
    """The rows in the order that ``write`` wants: by identity, and as they were within each."""
    return np.argsort(np.asarray(identities), kind="stable")
