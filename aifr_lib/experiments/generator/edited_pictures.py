"""Edited faces for a user: a sheet to look at, or a folder to train on (``aifr faces --source … --attribute …``)."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from aifr_lib.data import edited
from aifr_lib.data.formats.folder import SUFFIXES
from aifr_lib.data.images import Images
from aifr_lib.faces import align
from aifr_lib.faces.generators import sources
from aifr_lib.files import atomic_write
from aifr_lib.models import judges
from aifr_lib.names import ConfigError, choose, whole

NO_FOLDER = SUFFIXES | {".webp", ".gif", ".tif", ".tiff", ".svg", ".pdf"}
MOST = 1001  # strengths: ComFace has 101


def strengths(text: str) -> list[float]:
    """ "-5:5:2.5" (from, to, step; both ends count) or "-3,0,3" → strengths. Errors: ConfigError for anything else."""
    try:
        if ":" not in text:
            return [float(part) for part in text.split(",")]
        first, last, step = map(float, text.split(":"))
    except ValueError:
        raise ConfigError(f"--alpha takes FROM:TO:STEP or numbers with commas between them, got '{text}'") from None
    count = (last - first) / step if step else -1.0
    if not (0 <= count < MOST and whole(count)):
        raise ConfigError(f"--alpha '{text}': STEP must lead from FROM to TO in fewer than {MOST} whole steps")
    return [round(first + number * step, 6) for number in range(round(count) + 1)]


def sheet(
    out: Path, source: str, attribute: str, alphas: list[float], identities: int, seed: int, size: int, beyond: bool
) -> None:
    """A .png: a row for each person, a column for each strength. Errors: those of ``sources.sheet``."""
    people = range(seed, seed + identities)
    pixels = sources.sheet(sources.open_source(source), attribute, alphas, people, size, beyond=beyond)
    with atomic_write(out) as path:
        Image.fromarray(pixels).save(path)


def folder(out: Path, source: str, attributes: list[str], alphas: list[float], identities: int, seed: int) -> Images:
    """A set of ``data.edited``: each person with each attribute at each strength, and once unedited.

    Ages are the source's own, else the age judge's. Errors: those of ``edited.build``.
    """
    chosen = sources.open_source(source)
    names = [choose("attribute", name, dict.fromkeys(chosen.attributes, name)) for name in attributes]
    plan = edited.edited(range(seed, seed + identities), names, alphas)
    return edited.build(out, plan, chosen, estimate_age=_judge(chosen))


def across_ages(out: Path, source: str, per_identity: int, identities: int, seed: int) -> Images:
    """A set of ``data.edited``: people across ages, as ``edited.longitudinal`` plans them. Errors: as ``folder``."""
    chosen = sources.open_source(source)
    plan = edited.longitudinal(range(seed, seed + identities), per_identity)
    return edited.build(out, plan, chosen, estimate_age=_judge(chosen))


def check_folder(out: Path, size: int, beyond: bool) -> None:
    """Errors: ConfigError for what a folder cannot be: named like a picture, of other crops, beyond α = ±5."""
    if out.suffix.lower() in NO_FOLDER:
        raise ConfigError(f"--out must name a folder here, or a .png for a sheet of one attribute, got '{out}'")
    if beyond:
        raise ConfigError("--beyond is for a sheet (--out NAME.png): a folder to train on stays within −5 … 5")
    if size != align.SIDE:
        raise ConfigError(f"--size {size}: a folder of edited faces holds aligned crops of {align.SIDE} pixels")


def _judge(source: sources.Source) -> edited.EstimateAge | None:
    """Who tells ages: nobody where the source knows them."""
    return judges.AgeJudge() if source.age(0, {}) is None else None
