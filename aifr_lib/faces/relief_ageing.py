"""How a grown relief face ages: grades of each sign, on curves that are the person's own.

The order follows what is known of the means; the years were then set by eye and so that an outside age judge
(``models.judges.AgeJudge``) reads older faces as older in every decade: it is no independent witness of them.
Lines: forehead, frown and crow's feet are seen at rest from about 30 and grow steadily, nasolabial folds from the
late twenties (Hatzis, Int. J. Dermatol. 2004; Bazin and Doublet, Skin
Aging Atlas, 2007). Volume: the deep fat of the cheek is lost and the tear trough shows from 35 … 40 (Rohrich and
Pessa, Plast. Reconstr. Surg. 2007; Mendelson and Wong, Aesthetic Plast. Surg. 2012). Sagging: jowls and marionette
lines from about 45 (Reece, Pessa and Rohrich, 2008). Lips thin and lengthen through all adult life (Iblher et al.,
2008). Skin: spots, unevenness and yellowing from the thirties on (Fisher et al., NEJM 1997). How people differ is
inferred: onset by some years, rate by a fifth, each sign for itself, beside a person's pace for each kind of sign.
"""

from __future__ import annotations

from types import SimpleNamespace

from torch import Tensor

from aifr_lib.faces.relief_parameters import normal

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
