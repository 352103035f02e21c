"""How a face changes with the years: a head grows until 18, then signs of age come on curves that are the person's own.

Growth: mean lengths by age and gender, in millimetres, rounded from the anthropometric tables of Farkas (Anthropometry
of the Head and Face, 1994) where they have the measure and the age; the years under 5, the iris and the visible width
of the jaw are inferred to join them. The cranium is nearly full at 5, the eyes at 8; nose and jaw grow until 18, and
longer in boys.

Signs: the order follows what is known of the means; the years were then set by eye and so that an outside age judge
(``models.judges.AgeJudge``) reads older faces as older in every decade: it is no independent witness of them.
Lines at rest come first (the nasolabial fold, then forehead, frown and crow's feet), then volume goes from cheeks and
under the eyes, then jowls and marionette lines; lips thin and skin grows uneven all the while (Fitzgerald et al.,
Aesthetic Surgery Journal 2010; Swift et al., 2021). Wrinkles, grey hair and thin lips are what makes a face look old,
and people of one age differ in them (Gunn et al., PLoS ONE 2009). By how much is inferred: onset by some years, rate by
a fifth, each sign for itself, beside a person's pace for each kind of sign.
"""

from __future__ import annotations

from types import SimpleNamespace

import torch
from torch import Tensor

from aifr_lib.faces.relief.parameters import normal

AGES = (0.0, 2.0, 5.0, 9.0, 13.0, 18.0)
# Means at AGES for a girl; the last number is a man's at 18.
LENGTHS: dict[str, tuple[float, ...]] = {
    "head_width": (112.0, 130.0, 139.0, 143.0, 146.0, 147.0, 153.0),
    "face_width": (92.0, 108.0, 116.0, 122.0, 128.0, 132.0, 139.0),
    "jaw_width": (74.0, 86.0, 92.0, 97.0, 102.0, 105.0, 115.0),
    "vertex_nasion": (92.0, 104.0, 108.0, 110.0, 111.0, 112.0, 115.0),
    "nose_length": (25.0, 32.0, 37.5, 42.5, 47.0, 50.0, 53.5),
    "upper_lip_length": (14.0, 17.0, 18.5, 19.5, 20.5, 20.5, 22.5),
    "lower_face": (26.0, 31.0, 35.0, 38.5, 41.5, 44.0, 49.5),
    "between_eyes": (23.0, 26.5, 29.0, 30.5, 31.5, 32.0, 33.0),
    "eye_width": (20.5, 24.0, 26.5, 28.2, 29.7, 30.8, 31.3),
    "eye_opening": (8.6, 9.8, 10.2, 10.3, 10.5, 10.8, 10.2),
    "iris_radius": (5.1, 5.5, 5.7, 5.8, 5.9, 5.9, 5.9),
    "nose_width": (21.0, 25.0, 27.0, 29.0, 31.0, 32.0, 35.5),
    "nose_height": (7.5, 9.5, 11.5, 14.0, 16.5, 18.5, 20.5),
    "bridge_height": (1.0, 1.8, 3.0, 5.0, 7.5, 9.0, 10.5),
    "mouth_width": (27.0, 33.0, 38.0, 42.5, 46.5, 49.5, 52.5),
    "upper_lip": (5.6, 6.4, 7.0, 7.8, 8.4, 8.6, 8.0),
    "lower_lip": (6.2, 7.2, 8.0, 8.8, 9.5, 9.8, 9.8),
    "brow_rise": (15.5, 17.5, 19.0, 20.5, 22.0, 23.0, 19.5),
    "brow_ridge": (0.2, 0.4, 0.7, 1.2, 1.9, 2.4, 5.2),
    "chin_height": (2.0, 2.6, 3.2, 4.2, 5.2, 6.0, 7.4),
}


def grown(age: Tensor, gender: Tensor) -> dict[str, Tensor]:
    """Mean lengths in mm, float32 [B, 1, 1] each, at age (years, [B, 1, 1]) and gender (0 female … 1 male)."""
    table = torch.tensor(list(LENGTHS.values()), dtype=torch.float32, device=age.device)
    girl, man = table[:, :6], table[:, 6]
    knots = torch.tensor(AGES, dtype=torch.float32, device=age.device)
    years, sex = age.reshape(-1, 1), gender.reshape(-1, 1)
    part = ((years - knots[:-1]) / (knots[1:] - knots[:-1])).clamp(0, 1)
    # Boys and girls part at puberty; a boy's last years of growth are the larger ones.
    puberty = ((years - 10) / 8).clamp(0, 1) ** 1.3
    mean = girl[:, 0] + (part.unsqueeze(1) * girl.diff(dim=1)).sum(-1) + sex * puberty * (man - girl[:, -1])
    return {name: mean[:, n].reshape(-1, 1, 1) for n, name in enumerate(LENGTHS)}


# First year and year of the full grade at a mean person's pace.
YEARS = {
    "laugh_lines": (20.0, 66.0), "brow_lines": (27.0, 68.0), "crows_feet": (28.0, 68.0), "frown_lines": (30.0, 70.0),
    "lip_lines": (45.0, 80.0), "crepe": (44.0, 80.0), "worn": (20.0, 70.0), "bags": (26.0, 64.0),
    "sag": (29.0, 73.0), "marionette": (34.0, 64.0), "hollow": (32.0, 78.0), "thinned": (24.0, 76.0),
}  # fmt: skip
OTHERS = ("grey", "spots", "recession")
ONSET, RATE = 2.5, 0.18  # SD of the first year; SD of the log rate
# The grade that a mean person nears and nobody passes; how early most of it is there.
FULL, MOST, CURVE = 1.32, 1.7, 1.4
STREAM = 17


def paces(seeds: Tensor) -> SimpleNamespace:
    """Standard scores of a person's onset of each sign and, as ``rate_*``, of its rate: [B, 1, 1] by name."""
    names = (*YEARS, *OTHERS)
    drawn = normal(seeds, STREAM, 2 * len(names), limit=2.2).reshape(-1, 2 * len(names), 1, 1)
    onset = {name: drawn[:, n] for n, name in enumerate(names)}
    return SimpleNamespace(**onset, **{f"rate_{name}": drawn[:, len(names) + n] for n, name in enumerate(names)})


def signs_of_age(i: SimpleNamespace, pace: SimpleNamespace, age: Tensor, weight: Tensor) -> dict[str, Tensor]:
    """Grades [B, 1, 1], 0 none … 1 full: each sign has years of its own, and each person a pace for each sign."""
    grown_up = (age - 18).clamp(min=0)
    # Fat beneath the skin keeps it smooth, but pulls it down.
    lined = age + 0.14 * grown_up * i.ageing_folds - 2.0 * weight
    slack = age + 0.14 * grown_up * i.ageing_sag
    years = {
        **dict.fromkeys(("laugh_lines", "brow_lines", "crows_feet", "frown_lines", "lip_lines", "crepe"), lined),
        **dict.fromkeys(("bags", "sag", "marionette"), slack),
        "worn": age + 0.10 * grown_up * i.ageing_spots,
        "hollow": age - 4 * i.cheek_fullness - 5 * weight,
        "thinned": age,
    }

    def grade(name: str) -> Tensor:
        first, full = YEARS[name]
        rate = (RATE * getattr(pace, f"rate_{name}")).exp()
        part = ((years[name] - first - ONSET * getattr(pace, name)) / (full - first)).clamp(min=0)
        # Fast at first, slower later: 0.66 half way, 1 at the full grade's year.
        return (FULL * rate * (1 - (-CURVE * part).exp())).clamp(max=MOST)

    return {
        "child": ((18 - age) / 18).clamp(0, 1) ** 1.1,
        "youth": 1 - ((age - 16) / 20).clamp(0, 1),
        "old": ((age - 24) / 50).clamp(0, 1.4),
        **{name: grade(name) for name in YEARS},
    }
