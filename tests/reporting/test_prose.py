"""What a page says follows its numbers: a sentence is there exactly where its condition holds."""

import pytest

from aifr_lib.reporting.prose import counted, digits, in_full, listed, percent, say, signs, typeset


def test_sentences_are_said_where_they_hold_and_in_order():
    said = say({"a": 2.0, "b": None}, (True, "A is {a:.1f}."), (False, "B is {b:.1f}."), (3, "C."), (None, "D."))
    assert said == "A is 2.0. C."
    assert say({}) == ""
    with pytest.raises(KeyError, match="gain"):
        say({}, (True, "{gain} points"))


def test_a_zero_has_no_sign_however_it_was_rounded():
    assert say({"a": -0.04, "b": "−0.0 with c"}, (True, "It makes {a:+.1f}; {b}.")) == "It makes 0.0; 0.0 with c."
    assert say({"a": 0.04, "b": -0.0}, (True, "{a:+.1f} and {b:+.0f}.")) == "0.0 and 0."
    kept = "−0.04, +0.10, 5-0, a-0.0, −0.0.1, −10.0 and −0.5"
    assert signs(kept) == kept
    assert signs("[-0.00, +0.30]") == "[0.00, +0.30]"


def test_a_negative_number_has_a_minus_and_a_name_keeps_its_hyphen():
    assert say({"by": -0.42}, (True, "{by:+.1f} points.")) == "−0.4 points."
    assert signs("[-1.2, -.5] (-3)") == "[−1.2, −.5] (−3)"
    kept = "AgeDB-30, 10-30 years, 1e-4, rank-1, a well-known network"
    assert signs(kept) == kept


def test_things_are_counted():
    assert [counted(1, "seed"), counted(3, "seed"), counted(3000, "pair")] == ["1 seed", "3 seeds", "3,000 pairs"]


def test_numbers_have_three_digits_and_no_power_of_ten():
    values = (0, 0.0000123, 0.0005, 0.001, 0.44812, 5.0, 9.996, 89.93, 99.94, 99.96, 1234.5, -0.36, -0.00001)
    said = [digits(one) for one in values]
    assert said == [
        "0",
        "0.0000",
        "0.0005",
        "0.00100",
        "0.448",
        "5.00",
        "10.0",
        "89.9",
        "99.9",
        "100",
        "1,234",
        "−0.360",
        "0.0000",
    ]


def test_what_is_set_or_printed_keeps_its_digits():
    values = (10.0, 0.0005, 99.38, 63_670_000.0, 999_680.0, 0.0)
    assert [in_full(one) for one in values] == ["10", "0.0005", "99.38", "63,670,000", "999,680", "0"]


def test_things_are_listed():
    assert [listed(["a"][:0]), listed(["a"]), listed(["a", "b"]), listed(["a", "b", "c"])] == [
        "",
        "a",
        "a and b",
        "a, b and c",
    ]


def test_a_share_is_a_number_a_space_and_a_sign():
    assert [percent(1.0), percent(0.123456, 1), percent(0.0005, 2)] == ["100 %", "12.3 %", "0.05 %"]


def test_text_is_typeset_as_the_prose_of_the_book_is():
    assert typeset("the teacher's \"guide\" ('eq. 8')") == "the teacher’s “guide” (‘eq. 8’)"
    assert typeset("two seeds' mean < 5 & A_1") == "two seeds’ mean &lt; 5 &amp; A_1"
    assert typeset("d′ of 30″") == "d′ of 30″", "primes are primes"
