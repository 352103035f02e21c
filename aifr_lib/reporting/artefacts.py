"""Artefacts: the checked files behind every table and figure, under ``figures/<preset>/<id>/``."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, model_validator

from aifr_lib.files import atomic_write, repository_root
from aifr_lib.names import ConfigError, Strict, choose, nearest, validate
from aifr_lib.reporting.rows import COLUMNS, Row
from aifr_lib.reporting.runs import DataId, Git
from aifr_lib.reporting.slider import picture_type
from aifr_lib.settings.presets import PRESETS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Kind = Literal["experiment", "settings", "diagram", "gallery"]
Outcome = Literal["supported", "contradicted", "no_gain", "inconclusive", "untested", "mixed", "not_run", "none"]

# Presets too small for a verdict.
UNJUDGED = ("smoke", "lesson")


class Artefact(Strict):
    """A table or figure, and all that a reader needs to judge it. Pages render from this and nothing else.

    versions, git: of what drew it. computed_at: the commits that its runs were computed at.
    """

    id: str = Field(pattern=r"^[A-Za-z0-9_]+$")
    kind: Kind
    preset: str
    seeds: tuple[int, ...]
    data: DataId | None
    device: str | None
    versions: dict[str, str]
    git: Git
    computed_at: tuple[Git, ...] = ()
    wall_s: float = Field(ge=0)
    runs: tuple[str, ...]
    rows: tuple[Row, ...]
    verdict: Outcome

    @property
    def has_results(self) -> bool:
        """Whether a run is there and says something: one that others still have to join may fill no row."""
        return bool(self.runs) and (not self.rows or any(row.measured for row in self.rows))

    @model_validator(mode="after")
    def _honest(self) -> Artefact:
        if self.preset not in PRESETS:
            raise ValueError(f"unknown preset '{self.preset}'{nearest(self.preset, PRESETS)}")
        if self.preset in UNJUDGED and self.verdict not in ("not_run", "none"):
            raise ValueError(f"a {self.preset} run never gives a verdict, got '{self.verdict}'")
        names = [(tuple(sorted(row.keys.items())), row.metric) for row in self.rows]
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise ValueError(f"two rows with keys {dict(twice[0])} and metric '{twice[1]}'")
        return self


def figures_root(preset: str) -> Path:
    """``figures/<preset>`` of this checkout. Errors: ConfigError for an unknown preset."""
    return repository_root() / "figures" / choose("preset", preset, {name: name for name in PRESETS})


def save(
    artefact: Artefact,
    root: str | Path | None = None,
    figure: Figure | None = None,
    frames: Sequence[str | bytes] | None = None,
) -> Path:
    """Write ``<root>/<id>/``: ``<id>.csv``, ``.svg`` and ``.png`` of a figure, ``frames/``, ``<id>.json``.

    The JSON comes last, so that where it is new all the rest is. ``root`` defaults to ``figures/<preset>``;
    the folder is returned. Frames are SVG text, or PNG or JPEG bytes.
    """
    folder = (Path(root) if root else figures_root(artefact.preset)) / artefact.id
    with (
        atomic_write(folder / f"{artefact.id}.csv") as path,
        path.open("w", newline="", encoding="utf-8") as file,
    ):
        csv.writer(file, lineterminator="\n").writerows(csv_lines(artefact.rows))
    if figure is not None:
        # Imported here so that reading an artefact does not load a plotting library.
        from aifr_lib.reporting.plots import save_figure

        save_figure(figure, folder / artefact.id)
    else:  # one of another day would show what the table no longer has
        for suffix in ("svg", "png"):
            (folder / f"{artefact.id}.{suffix}").unlink(missing_ok=True)
    if frames is not None:
        shutil.rmtree(folder / "frames", ignore_errors=True)
        for number, frame in enumerate(frames):
            with atomic_write(folder / "frames" / f"{number:02d}.{picture_type(frame)}") as path:
                path.write_bytes(frame.encode() if isinstance(frame, str) else frame)
    with atomic_write(folder / f"{artefact.id}.json") as path:
        text = json.dumps(artefact.model_dump(mode="json"), indent=1, ensure_ascii=False, allow_nan=False)
        path.write_text(text + "\n", encoding="utf-8")
    return folder


def load(id: str, preset: str, root: str | Path | None = None) -> Artefact:
    """Read and check ``<root>/<id>/<id>.json``.

    Errors: FileNotFoundError that says how to make it; ConfigError that names the file and key at fault.
    """
    path = (Path(root) if root else figures_root(preset)) / id / f"{id}.json"
    if not path.is_file():
        raise FileNotFoundError(f"no results at {path}: `aifr reproduce {id} --preset {preset}` makes them")
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ConfigError(f"{path} is not JSON ({error}): `aifr reproduce {id} --fresh` remakes it") from None
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: expected one artefact, found {type(values).__name__}")
    artefact = validate(Artefact, values, str(path))
    if (artefact.id, artefact.preset) != (id, preset):
        raise ConfigError(f"{path} holds '{artefact.id}' at '{artefact.preset}', not '{id}' at '{preset}'")
    return artefact


def stale(artefact: Artefact, expected: Iterable[str]) -> tuple[str, ...]:
    """The runs behind an artefact whose keys are not ``expected`` of recipe and preset as they are now."""
    valid = set(expected)
    return tuple(key for key in artefact.runs if key not in valid)


def csv_lines(rows: Iterable[Row]) -> Iterator[list[Any]]:
    """The rows as lines of a table: a head of keys and ``COLUMNS``, then one line a row."""
    rows = list(rows)
    names = list(dict.fromkeys(name for row in rows for name in row.keys))
    yield [*names, *COLUMNS]
    for row in rows:
        yield [row.keys.get(name, "") for name in names] + _cells(row)


def _cells(row: Row) -> list[Any]:
    measured = row.measured
    lo, hi = (measured.ci95 or ("", "")) if measured else ("", "")
    mean, count = (measured.mean, len(measured.per_seed) or "") if measured else ("", "")
    paper = "" if row.paper is None else row.paper
    return [row.metric, mean, lo, hi, count, paper, row.paper_source or ""]
