"""Sentences that are said where they hold, so that what a page says follows its numbers."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from html import escape

_SIGNED_ZERO = re.compile(r"(?<![\w.])[-+−](0(?:\.0+)?)(?!\.?\d)")
# A hyphen before a number and behind nothing that it could join.
_NEGATIVE = re.compile(r"(?<![\w.)\]])-(?=\.?\d)")
_OPENING = re.compile(r"(?<![^\s(\[–])[\"'](?=\S)")
_QUOTES, _OPENED, _CLOSED = "\"'", "“‘", "”’"


def say(numbers: Mapping[str, object], *sentences: tuple[object, str]) -> str:
    """Of (condition, sentence) the sentences whose condition holds, in order, their numbers filled in by name.

    >>> say({"gain": 1.25}, (True, "It gains {gain:.1f} points."), (None, "Nobody ran it."))
    'It gains 1.2 points.'

    Numbers have the signs of ``signs``. Errors: KeyError for a number that a sentence names and nobody gives.
    """
    return signs(" ".join(text.format(**numbers) for holds, text in sentences if holds))


def signs(text: str) -> str:
    """A text whose negative numbers have a minus, where they had a hyphen, and whose zeros have no sign: a number of
    either sign may have been rounded to one. Ranges and names keep their hyphens.

    >>> signs("-0.4 points [-0.00, +0.4] of AgeDB-30")
    '−0.4 points [0.00, +0.4] of AgeDB-30'
    """
    return _NEGATIVE.sub("−", _SIGNED_ZERO.sub(r"\1", text))


def typeset(text: str) -> str:
    """Text as HTML, its apostrophes and quotation marks those of print, as the book's prose has them.

    >>> typeset('the branch\'s "gain" & loss')
    'the branch’s “gain” &amp; loss'
    """
    opened = _OPENING.sub(lambda quote: _OPENED[_QUOTES.index(quote[0])], text)
    return escape(opened.translate(str.maketrans(_QUOTES, _CLOSED)))


def percent(share: float, decimals: int = 0) -> str:
    """A share as a page says it.

    >>> percent(0.95), percent(0.0625, 1)
    ('95 %', '6.2 %')
    """
    return f"{100 * share:.{decimals}f} %"


def counted(count: int, what: str) -> str:
    """A number of things: "1 seed", "3 seeds"."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def digits(value: float) -> str:
    """Three digits, no power of ten: "89.9", "0.448", "5.00", "1,234"; below .001 four decimals: "0.0005"."""
    if abs(value) < 0.001:
        return signs(f"{value:.4f}") if value else "0"
    if abs(value) >= 99.95:
        return signs(f"{value:,.0f}")
    return signs(f"{value:#.3g}")


def in_full(value: float) -> str:
    """A number as it is set or printed, no digit added or lost: "10", "0.0005", "99.38", "63,670,000"."""
    return f"{value:,.0f}" if value.is_integer() else f"{value:.10g}"


def listed(things: Sequence[str], last: str = " and ") -> str:
    """Things in a row: "one", "one and two", "one, two and three"; ``last`` stands before the last one."""
    return last.join(filter(None, (", ".join(things[:-1]), *things[-1:])))
