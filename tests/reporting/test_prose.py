"""What a page says follows its numbers: a sentence is there exactly where its condition holds."""

import pytest

from aifr_lib.reporting.prose import counted, say


def test_sentences_are_said_where_they_hold_and_in_order():
    said = say({"a": 2.0, "b": None}, (True, "A is {a:.1f}."), (False, "B is {b:.1f}."), (3, "C."), (None, "D."))
    assert said == "A is 2.0. C."
    assert say({}) == ""
    with pytest.raises(KeyError, match="gain"):
        say({}, (True, "{gain} points"))


def test_things_are_counted():
    assert [counted(1, "seed"), counted(3, "seed"), counted(3000, "pair")] == ["1 seed", "3 seeds", "3,000 pairs"]
