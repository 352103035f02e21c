"""Pictures for the data card: grids of relief faces, one face with one thing moved, a sheet for a class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_pdf import PdfPages
from matplotlib.figure import Figure

from aifr_lib.data import relief
from aifr_lib.data.images import Images
from aifr_lib.evaluation.verification import roc
from aifr_lib.faces.relief import Faces, render
from aifr_lib.files import atomic_write
from aifr_lib.reporting import plots

# Facial action units by their names in the Facial Action Coding System (Ekman & Friesen, 1978).
UNITS = {
    "au1": "inner brow raiser", "au2": "outer brow raiser", "au4": "brow lowerer", "au5": "upper lid raiser",
    "au6": "cheek raiser", "au9": "nose wrinkler", "au12": "lip corner puller", "au17": "chin raiser",
    "au20": "lip stretcher", "au25": "lips part",
}  # fmt: skip
# A calm, evenly lit portrait: what is held while one thing moves.
CALM: dict[str, Any] = {
    "pose": [0.0, 0.0, 0.0], "framing": [0.0, 0.0, 0.0], "action_units": [0.0] * len(UNITS),
    "white_balance": [0.0, 0.0], "light_azimuth": 25.0, "light_elevation": 25.0,
    "gaze_x": 0.0, "gaze_y": 0.0, "noise": 0.004, "blur": 0.3,
}  # fmt: skip


@dataclass(frozen=True)
class Move:
    """One parameter along its way: what it is called, its values, how a value is written."""

    name: str
    values: tuple[float, ...]
    text: str


def _steps(low: float, high: float, count: int = 7) -> tuple[float, ...]:
    return tuple(np.linspace(low, high, count).round(3).tolist())


MOVES: dict[str, Move] = {
    "age": Move("Age", (2, 6, 10, 14, 18, 25, 35, 45, 55, 65, 75, 85), "{:.0f} years"),
    "gender": Move("Gender", _steps(0, 1), "{:.2f} (0 female, 1 male)"),
    "weight": Move("Weight", _steps(-2.5, 2.5), "{:+.1f} standard scores"),
    "skin_tone": Move("Skin tone", _steps(-2.2, 2.2), "{:+.1f} standard scores"),
    "face_width": Move("Width of the face", _steps(-2.2, 2.2), "{:+.1f} standard scores"),
    "nose_length": Move("Length of the nose", _steps(-2.2, 2.2), "{:+.1f} standard scores"),
    "eye_spacing": Move("Distance of the eyes", _steps(-2.2, 2.2), "{:+.1f} standard scores"),
    "yaw": Move("Yaw", _steps(-60, 60, 9), "{:+.0f}°"),
    "pitch": Move("Pitch", _steps(-30, 30), "{:+.0f}°"),
    "roll": Move("Roll", _steps(-30, 30), "{:+.0f}°"),
    "light_azimuth": Move("Light from the side", _steps(-85, 85), "{:+.0f}°"),
    "light_elevation": Move("Light from above", _steps(-30, 75), "{:+.0f}°"),
    "light_warmth": Move("Warmth of the light", _steps(-1, 1), "{:+.2f}"),
    "balance_red": Move("White balance, red", _steps(-0.5, 0.5), "{:+.2f} log gain"),
    "blur": Move("Blur", _steps(0, 3), "{:.1f} px at 112"),
    "noise": Move("Noise", _steps(0, 0.1), "{:.3f} of full scale"),
    **{unit: Move(f"AU {unit[2:]}: {name}", _steps(0, 1, 6), "{:.1f}") for unit, name in UNITS.items()},
}


STANDS_FOR = {
    "relief-fgnet": "FG-NET: probes, ages told",
    "relief-megaface": "MegaFace: distractors",
    "relief-logiface": "LogiFace: people followed for years",
    "relief-ijb": "IJB-B and IJB-C: templates",
    "relief-disfa": "DISFA: action units, frame by frame",
    "relief-edema": "Edema: before and after dialysis",
}


def moved(parameter: str, person: int, age: float = 35.0, values: Sequence[float] | None = None) -> Faces:
    """One person at one age under a calm light; only ``parameter`` takes the values (None: those of ``MOVES``).

    The age is moved as life moves it: with hair, weight and all that the years bring.
    Errors: those of ``Faces.sample``.
    """
    way = list(MOVES[parameter].values if values is None else values)
    ages = way if parameter == "age" else [age] * len(way)
    fixed = {} if parameter == "age" else {parameter: way}
    return Faces.sample([person] * len(way), ages, [person] * len(way), **{**CALM, **fixed})


def player_frames(parameter: str, person: int, size: int) -> tuple[list[bytes], list[str], int]:
    """For a slider: JPEG frames, their labels, and the frame nearest to the middle (of an age: to 35 years)."""
    move = MOVES[parameter]
    pictures = render(moved(parameter, person), size).numpy()
    start = int(np.argmin(np.abs(np.array(move.values) - 35))) if parameter == "age" else len(move.values) // 2
    start = 0 if parameter in UNITS else start
    return [plots.picture(one) for one in pictures], [move.text.format(value) for value in move.values], start


# Given names that say neither gender nor origin for certain, in alphabetical order.
PEOPLE = ("Alex", "Chris", "Dana", "Jo", "Kim", "Luca", "Max", "Noa", "Robin", "Sam")
AGES = (4, 12, 22, 38, 55, 74)
CARDS = 2_000_000_000  # the people of contact sheets, who are in no set


def contact_sheet(path: str | Path, *, seed: int = 0, size: int = 168) -> None:
    """A PDF for a class: ten people at six ages, 30 pictures on each of two A4 pages, name and age under each.

    Light, pose and background are each picture's own: cut out and with the names folded back, they are cards for the
    game "same person or not?". Written whole or not at all, with the same bytes each time.
    Errors: ValueError for a seed under 0.
    """
    if seed < 0:
        raise ValueError(f"seed {seed}: must be 0 or more")
    count = len(PEOPLE) * len(AGES)
    numbers = np.arange(count) + CARDS + seed * count
    faces = Faces.sample(np.repeat(numbers[: len(PEOPLE)], len(AGES)), AGES * len(PEOPLE), numbers)
    pictures = render(faces, size).numpy().reshape(len(PEOPLE), len(AGES), size, size, 3)
    half = len(PEOPLE) // 2
    with atomic_write(path) as temporary, PdfPages(temporary, metadata={"CreationDate": None}) as pdf:
        for page, start in enumerate((0, half)):
            shown = dict(zip(PEOPLE[start : start + half], pictures[start : start + half], strict=True))
            pdf.savefig(_page(shown, f"Relief faces, sheet {page + 1} of 2: nobody here exists"))


def _page(shown: Mapping[str, np.ndarray], title: str) -> Figure:
    """A4: a column for each person, a row for each age."""
    figure = Figure(figsize=(8.27, 11.69))
    figure.text(0.5, 0.972, title, ha="center", fontsize=11)
    axes = figure.subplots(len(AGES), len(shown), squeeze=False)
    figure.subplots_adjust(left=0.03, right=0.97, top=0.955, bottom=0.035, wspace=0.05, hspace=0.14)
    for line, age, row in zip(axes, AGES, range(len(AGES)), strict=True):
        for axis, (name, pictures) in zip(line, shown.items(), strict=True):
            axis.imshow(pictures[row], interpolation="none")
            axis.text(0.5, -0.04, f"{name}, {age}", transform=axis.transAxes, ha="center", va="top", fontsize=9)
            axis.axis("off")
    return figure


def template_gaps(impostors: int, identities: int = 300) -> float:
    """AUC with which the years between two templates of relief-ijb alone tell one person (fewer years) from two.

    impostors: as ``relief.templates`` takes them; identities: people of the set.
    """
    plan = relief.set_plan("relief-ijb", identities=identities)
    table = plan.table()
    black = np.zeros((len(plan), 1, 1, 3), dtype=np.uint8)
    lists = relief.templates(Images(plan.name, relief.VERSION, black, table), impostors=impostors)
    age = table.groupby("template")["age"].mean()
    gap = np.abs(age[lists.a].to_numpy() - age[lists.b].to_numpy())
    return roc(-gap, lists.same).auc
