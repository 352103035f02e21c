"""How MTLFace's data were made (section A), for any pile of faces: estimate ages, let a person correct, balance.

The paper asks a commercial service for age and gender and corrects the labels under 20 by hand. Here a packaged judge
estimates, and what a person is asked to look at is the least certain and all under 20.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from aifr_lib.data import sets
from aifr_lib.data.formats.image_list import Listed, write_image_list
from aifr_lib.data.images import Images
from aifr_lib.experiments.mtlface.judges import groups
from aifr_lib.experiments.mtlface.synthesis_rows import group_names
from aifr_lib.files import atomic_write
from aifr_lib.models import judges
from aifr_lib.progress import tqdm
from aifr_lib.reporting import plots

TABLE, PAGE, LIST, REPORT, FACES = "review.csv", "review.html", "list.txt", "report.csv", "faces"
BOUNDS = (10.0, 20.0, 30.0, 40.0, 50.0, 60.0)
YOUNG = 20.0  # years: the supplement corrects these above all
CORRECTIONS = ("corrected_age", "corrected_gender")
COLUMNS = ("record", "identity", "age", "gender", "doubt", *CORRECTIONS)
GENDERS = ("female", "male")


@dataclass(frozen=True)
class Reviewed:
    """What was written: the table of all pictures, the page of those to look at, and how many there are of each."""

    table: Path
    page: Path
    pictures: int
    shown: int


def estimated(images: Images) -> pd.DataFrame:
    """record, identity, age in years, gender ("female", "male") and doubt, as outside judges see each picture.

    doubt: the standard deviation of the ages that the judge holds possible, years. Pictures: aligned crops of 112
    pixels. Errors: ValueError for others; ImportError, with the command, without the extra ``real``.
    """
    if images.pixels.shape[1:3] != (112, 112):
        raise ValueError(
            f"{images.name}: the judges read aligned crops of 112×112 pixels, got {images.pixels.shape[1]}×"
            f"{images.pixels.shape[2]}: align the photographs first ('aifr align')"
        )
    ages, doubts, male = [], [], []
    years, gender = judges.AgeJudge(), judges.GenderJudge()
    for start in tqdm(range(0, len(images), 64), desc="estimating ages", unit="batch", delay=2):
        crops = pictures(images, range(start, min(start + 64, len(images))))
        told, doubt = years.with_doubt(crops)
        ages.append(told)
        doubts.append(doubt)
        male.append(gender(crops))
    return pd.DataFrame(
        {
            "record": images.labels["record"].to_numpy(),
            "identity": images.labels["identity"].to_numpy(),
            "age": np.concatenate(ages).round(1),
            "gender": np.where(np.concatenate(male) > 0, *GENDERS[::-1]),
            "doubt": np.concatenate(doubts).round(1),
        }
    )


def to_look_at(table: pd.DataFrame, count: int) -> np.ndarray:
    """Rows that a person should see: all under 20, and the ``count`` least certain; the
    least certain first.

    >>> table = pd.DataFrame({"age": [5.0, 30.0, 40.0], "doubt": [1.0, 9.0, 2.0]})
    >>> to_look_at(table, 1).tolist()
    [1, 0]
    """
    order = np.argsort(-table["doubt"].to_numpy(), kind="stable")
    wanted = set(np.flatnonzero(table["age"].to_numpy() < YOUNG)) | set(order[:count])
    return np.array([row for row in order if row in wanted], dtype=np.int64)


def review(source: Path, out: Path, shown: int = 200) -> Reviewed:
    """Estimate a pile of faces and write ``review.csv`` (a line a picture) and ``review.html`` into ``out``.

    Errors: FileExistsError where a review is there already: somebody may have corrected it; those of ``sets.load``.
    """
    if (out / TABLE).exists():
        raise FileExistsError(
            f"{out / TABLE} is there already and may hold corrections: give it back with --corrected, or name another "
            "folder"
        )
    images = sets.load(source)
    table = estimated(images)
    rows = to_look_at(table, shown)
    with atomic_write(out / PAGE) as path:
        path.write_text(page(images, table, rows), encoding="utf-8")
    with atomic_write(out / TABLE) as path:
        table.assign(**dict.fromkeys(CORRECTIONS, "")).to_csv(path, index=False)
    return Reviewed(out / TABLE, out / PAGE, len(table), len(rows))


def page(images: Images, table: pd.DataFrame, rows: Sequence[int] | np.ndarray) -> str:
    """The pictures of ``rows`` with what was estimated of them, as a page that needs no network."""
    cells = []
    for row in rows:
        one = table.iloc[int(row)]
        data = base64.b64encode(plots.picture(pictures(images, [int(row)])[0])).decode()
        said = f"{one['age']:g} years ± {one['doubt']:g}, {one['gender']}"
        name = escape(str(one["record"]))
        cells.append(
            f'<figure><img src="data:image/jpeg;base64,{data}" alt="{name}" width="112" height="112">'
            f"<figcaption><code>{name}</code><br>{said}</figcaption></figure>"
        )
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>Review of estimated ages</title><style>'
        "body{font:15px/1.4 system-ui,sans-serif;margin:2em}figure{display:inline-block;width:11em;margin:.4em;"
        "vertical-align:top}figcaption{font-size:.8em;overflow-wrap:anywhere}</style><h1>Review of estimated ages</h1>"
        f"<p>{len(rows)} of {len(table)} pictures: all that look under {YOUNG:g} years, and the least certain. In "
        f"<code>{TABLE}</code>, beside this page, write what is wrong into <code>{CORRECTIONS[0]}</code> (years) and "
        f"<code>{CORRECTIONS[1]}</code> ({' or '.join(GENDERS)}); leave what is right.</p>{''.join(cells)}</html>"
    )


def corrected(path: Path) -> pd.DataFrame:
    """A review, with what a person wrote in place of what was estimated. ``by_hand``: which rows that changed.

    Errors: ValueError naming the line, for missing columns, ages outside 0 … 100 or another gender.
    """
    table = pd.read_csv(path, dtype={"record": str, **dict.fromkeys(CORRECTIONS, str)}, keep_default_na=False)
    if missing := [name for name in COLUMNS if name not in table]:
        raise ValueError(f"{path} lacks the columns {', '.join(missing)}: keep those that the review was written with")
    ages, genders = (table[name].str.strip() for name in CORRECTIONS)
    for line, (age, gender) in enumerate(zip(ages, genders, strict=True), 2):
        if age and not (_number(age) is not None and 0 <= float(age) <= 100):
            raise ValueError(f"{path}, line {line}: an age of 0 to 100 years was expected, found '{age}'")
        if gender and gender not in GENDERS:
            raise ValueError(f"{path}, line {line}: {' or '.join(GENDERS)} was expected, found '{gender}'")
    return table.assign(
        age=[float(new) if new else float(old) for new, old in zip(ages, table["age"], strict=True)],
        gender=[new or old for new, old in zip(genders, table["gender"], strict=True)],
        by_hand=(ages != "") | (genders != ""),
    )


def chosen(
    table: pd.DataFrame, per_cell: int | None = None, seed: int = 0, bounds: tuple[float, ...] = BOUNDS
) -> tuple[np.ndarray, pd.DataFrame]:
    """Rows of a balanced set, in rising order, and the report: of each age group and gender how many there are, and how
    many were taken.

    per_cell: as many of each, drawn by ``seed``; None takes as many as the smallest cell that is not empty has. A cell
    with fewer gives all it has.
    """
    group = groups(table["age"].to_numpy(np.float64), bounds)
    cells = {(one, gender): np.flatnonzero((group == one) & (table["gender"] == gender))
             for one in range(len(bounds) + 1) for gender in GENDERS}  # fmt: skip
    wanted = per_cell or min(len(rows) for rows in cells.values() if len(rows))
    rng, names = np.random.default_rng(seed), group_names(bounds)
    taken, lines = [], []
    for (one, gender), rows in cells.items():
        picked = rng.permutation(rows)[:wanted]
        taken.append(picked)
        by_hand = int(table["by_hand"].to_numpy()[rows].sum()) if "by_hand" in table else 0
        lines.append({"age": names[one], "gender": gender, "there": len(rows), "corrected": by_hand,
                      "taken": len(picked)})  # fmt: skip
    return np.sort(np.concatenate(taken)), pd.DataFrame(lines)


def balanced(source: Path, out: Path, reviewed: Path, *, per_cell: int | None = None, seed: int = 0) -> pd.DataFrame:
    """Write the balanced set into ``out``: crops below ``faces``, ``report.csv``, and ``list.txt`` last.

    Returns the report. Errors: those of ``corrected``; ValueError where the review is of other pictures.
    """
    table, images = corrected(reviewed), sets.load(source)
    if table["record"].tolist() != [str(one) for one in images.labels["record"]]:
        raise ValueError(f"{reviewed} is not the review of {source}: its records are others, or in another order")
    rows, report = chosen(table, per_cell, seed)
    listed = []
    for number, row in enumerate(rows):
        name = f"{FACES}/{number:07d}.png"
        with atomic_write(out / name) as path:
            Image.fromarray(pictures(images, [int(row)])[0]).save(path)
        one = table.iloc[int(row)]
        listed.append(Listed(name, int(one["identity"]), float(one["age"]), GENDERS.index(one["gender"])))
    with atomic_write(out / REPORT) as path:
        report.to_csv(path, index=False)
    write_image_list(out / LIST, listed)
    return report


def pictures(images: Images, rows: Sequence[int]) -> np.ndarray:
    """uint8 [len(rows), H, W, 3]: decoded now, where they are stored as files."""
    return np.asarray(images.pixels[list(rows)])


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
