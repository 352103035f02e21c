"""What a page says of students that were taught step by step: alone, by directions (AD), with attention (AAD)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from aifr_lib.reporting.prose import digits, say
from aifr_lib.reporting.rows import Key, Measured, Row, measured
from aifr_lib.reporting.seeds import apart
from aifr_lib.reporting.tables import METRIC, Shape

STUDENTS = Shape(down=("backbone", "variant"), across=(METRIC,))


def step_by_step(rows: Sequence[Row], metric: str, student: str, keys: Mapping[str, Key], alone_said: str) -> str:
    """What each way of teaching adds to a student, by one metric where ``keys`` hold.

    alone_said: the sentence on the student without a teacher, with {alone} for its number, which is a percentage.
    """

    def one(variant: str) -> Measured | None:
        return measured(rows, metric, {"backbone": student, "variant": variant, **keys})

    alone, ad, aad = (one(variant) for variant in ("self", "ad", "aad"))
    teacher = measured(rows, metric, {"variant": "teacher", **keys})
    helps, more = apart(ad, alone), apart(aad, ad)
    named = (("alone", alone), ("ad", ad), ("aad", aad), ("teacher", teacher))
    return say(
        {name: digits(value.mean) for name, value in named if value},
        (alone, alone_said),
        (alone and ad, "With its teacher's directions (AD) that becomes {ad} %:"),
        (alone and ad and helps > 0, "a gain."),
        (alone and ad and helps < 0, "a loss."),
        (alone and ad and not helps, "no difference that these seeds can tell from chance."),
        (ad and aad, "With attention besides (AAD) it is {aad} %:"),
        (ad and aad and more > 0, "a gain over AD."),
        (ad and aad and more < 0, "a loss against AD."),
        (ad and aad and not more, "no difference to AD that these seeds can tell from chance."),
        (alone and teacher, "Its teacher reaches {teacher} %."),
    )
