"""A folder of pictures, aligned once into a folder of crops: interrupted, it goes on; what was missed is listed.

Beside the crops lie ``labels.csv`` (who, how old, was a face found, how many were there, how sure was the detector),
``misses.csv`` (each picture without a face or that could not be read) and ``align.jsonl``, one line a picture as it
is done, from which a later call goes on.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from aifr_lib.data.formats.folder import LABELS, contents, list_pictures, read_each
from aifr_lib.data.images import crop_columns
from aifr_lib.faces import align
from aifr_lib.files import atomic_write
from aifr_lib.names import choose

JOURNAL, MISSES = "align.jsonl", "misses.csv"


@dataclass(frozen=True)
class Report:
    """What became of a folder, by record.

    written: crops there are. before: how many of them an earlier call made. missed: no face found, cropped in the
    centre. several: several faces found, the foremost taken. bad: unreadable, left out.
    """

    out: Path
    written: int
    before: int
    missed: tuple[str, ...]
    several: tuple[str, ...]
    bad: tuple[str, ...]


@dataclass(frozen=True)
class Done:
    """A line of the journal. stamp: size and time of the picture's file. points: [5][2], in the picture."""

    record: str
    stamp: tuple[int, int]
    found: bool
    faces: int
    confidence: float | None
    points: list[list[float]] | None


def align_folder(
    folder: str | Path,
    out: str | Path,
    *,
    size: str = "112x112",
    skip_bad: bool = False,
    progress: bool = True,
) -> Report:
    """Align each picture of ``folder`` into ``out``: PNG files under the same names, and the lists named above.

    A picture whose crop is there, and whose file has not changed since, is not done again.
    Errors: those of ``list_pictures`` and ``read_each``; ConfigError for an unknown size; ValueError where ``out`` is
    or lies in ``folder``, holds crops of another size, or two pictures would get one name; FileExistsError where it
    holds other files.
    """
    folder, out = Path(folder), Path(out)
    hw = choose("size", size, align.SIZES)
    if out.resolve().is_relative_to(folder.resolve()):
        raise ValueError(f"{out} lies in {folder}: its crops would be read as pictures next time; take another")
    if (there := contents(out)) and JOURNAL not in there:
        raise FileExistsError(f"{out} already holds {there[0]}: name an empty folder")
    table = list_pictures(folder)
    table["file"] = [str(Path(record).with_suffix(".png").as_posix()) for record in table["record"]]
    if (twice := table["file"].duplicated(keep=False)).any():
        raise ValueError(f"{', '.join(table['record'][twice][:2])} would both become {table['file'][twice].iloc[0]}")

    done = {
        one.record: one
        for one, path, file in _known(table, _read_journal(out, size))
        if (out / file).is_file() and one.stamp == _stamp(path)
    }
    before = len(done)
    left = table[~table["record"].isin(done)].reset_index(drop=True)
    with (out / JOURNAL).open("a", encoding="utf-8") as journal:
        for row, picture in read_each(left, skip_bad=skip_bad, progress=progress, desc="align"):
            if picture is None:
                continue
            crop, one = _aligned(left["record"][row], Path(left["path"][row]), picture)
            with atomic_write(out / left["file"][row]) as path:
                Image.fromarray(crop_columns(crop[None], hw)[0]).save(path)
            journal.write(json.dumps(asdict(one)) + "\n")
            journal.flush()
            done[one.record] = one
    return _write_lists(table, done, out, before)


def _aligned(record: str, path: Path, picture: np.ndarray) -> tuple[np.ndarray, Done]:
    face = align.align(picture)
    if face is None:
        return align.centre_crop(picture), Done(record, _stamp(path), False, 0, None, None)
    points = np.round(face.points, 2).tolist()
    return face.pixels, Done(record, _stamp(path), True, face.faces, round(face.confidence, 4), points)


def _write_lists(table: pd.DataFrame, done: dict[str, Done], out: Path, before: int) -> Report:
    there = table["record"].isin(done)
    kept, bad = table[there], tuple(table["record"][~there])
    ones = [done[record] for record in kept["record"]]
    measured = {name: [getattr(one, name) for one in ones] for name in ("found", "faces", "confidence")}
    kept = kept.assign(**measured)
    first = ["file", "identity", "age", *measured]
    rest = [column for column in kept if column not in (*first, "record", "path")]
    with atomic_write(out / LABELS) as path:
        kept[first + rest].to_csv(path, index=False)
    missed = tuple(one.record for one in ones if not one.found)
    misses = [(record, "no face found: cropped in the centre") for record in missed]
    misses += [(record, "unreadable: left out") for record in bad]
    with atomic_write(out / MISSES) as path:
        pd.DataFrame(misses, columns=["record", "problem"]).to_csv(path, index=False)
    several = tuple(one.record for one in ones if one.faces > 1)
    return Report(out, len(kept), before, missed, several, bad)


def _read_journal(out: Path, size: str) -> dict[str, Done]:
    """What an earlier call did; a last line that was cut short by a kill is dropped. Begins the journal if none is."""
    path, head = out / JOURNAL, {"version": align.VERSION, "size": size}
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    entries: list[dict[str, Any]] = []
    for line in lines:
        try:
            entries.append(json.loads(line))
        except json.JSONDecodeError:
            break
    if entries and entries[0] != head:
        raise ValueError(f"{out} holds crops made otherwise ({entries[0]}, now {head}): take another folder")
    with atomic_write(path) as temporary:
        temporary.write_text("".join(json.dumps(entry) + "\n" for entry in entries or [head]), encoding="utf-8")
    done = (Done(**{**entry, "stamp": tuple(entry["stamp"])}) for entry in entries[1:])
    return {one.record: one for one in done}


def _known(table: pd.DataFrame, journal: dict[str, Done]) -> list[tuple[Done, Path, str]]:
    rows = zip(table["record"], table["path"], table["file"], strict=True)
    return [(journal[record], Path(path), file) for record, path, file in rows if record in journal]


def _stamp(path: Path) -> tuple[int, int]:
    state = path.stat()
    return state.st_size, state.st_mtime_ns
