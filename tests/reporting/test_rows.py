"""Rows found by their keys, and names as a reader sees them."""

import pytest

from aifr_lib.reporting.rows import Measured, Row, in_words, measured

ROWS = [
    Row(keys={"alpha": 0.4, "set": "relief-lfw"}, metric="accuracy", measured=Measured(mean=90.0)),
    Row(keys={"alpha": 0.4, "set": "relief-agedb"}, metric="accuracy", measured=Measured(mean=80.0)),
    Row(keys={"alpha": 0.9, "set": "relief-agedb"}, metric="accuracy"),
]


@pytest.mark.parametrize(
    ("keys", "mean"),
    [
        ({"alpha": 0.4, "set": "relief-agedb"}, 80.0),
        ({"alpha": 0.4}, 90.0),
        ({"alpha": 0.9}, None),
        ({"alpha": 0.5}, None),
        ({"people": "test"}, None),
    ],
)
def test_a_number_is_found_by_its_keys(keys, mean):
    found = measured(ROWS, "accuracy", keys)
    assert (found and found.mean) == mean
    assert measured(ROWS, "ratio", keys) is None


def test_a_number_may_be_undefined_which_is_neither_measured_nor_not_run():
    known = Row(keys={"unit": "au9"}, metric="corr", undefined=True)
    assert known.model_dump()["undefined"] and "undefined" not in ROWS[2].model_dump()
    assert Row.model_validate(known.model_dump()) == known
    with pytest.raises(ValueError, match="undefined has no measured value"):
        Row(keys={}, metric="corr", undefined=True, measured=Measured(mean=0.5))


def test_names_are_words():
    assert [in_words(name) for name in ("alpha", "relief-agedb", "train_identities", 0.5, 3, True)] == [
        "α",
        "relief pairs 30 years apart",
        "train identities",
        "0.5",
        "3",
        "yes",
    ]
