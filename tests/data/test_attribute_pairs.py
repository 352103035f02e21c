"""Pairs under a curriculum: disjoint, maximal, in range, anew each epoch; what is refused."""

import re

import numpy as np
import pandas as pd
import pytest

from aifr_lib.data.attribute_pairs import AttributeBatches, AttributePairs, TwiceBatches, disjoint
from aifr_lib.data.images import Images
from aifr_lib.names import ConfigError
from aifr_lib.settings.comface import LARGE_FIRST, Stage

STRENGTHS = [-5, -4, -3, -2, -1, 1, 2, 3, 4, 5]


def people(count=4, attributes=("age", "smile"), alphas=STRENGTHS):
    rows = [(who, name, float(alpha)) for who in range(count) for name in attributes for alpha in alphas]
    labels = pd.DataFrame(rows, columns=["identity", "attribute", "alpha"])
    labels.insert(0, "record", [str(n) for n in range(len(rows))])
    labels["age"] = np.nan
    return Images("people", "v", np.zeros((len(rows), 2, 2, 3), np.uint8), labels)


@pytest.mark.parametrize("least", [0.0, 2.5, 5.0, 7.5])
def test_pairs_of_an_epoch_are_disjoint_maximal_and_in_range(least):
    images = people()
    pairs = AttributePairs(images, [Stage(epoch=1, least=least)], seed=3)
    labels, listed = images.labels, pairs.epoch(1)
    a, b = (labels.iloc[side].reset_index(drop=True) for side in listed.T)
    assert (a["identity"] == b["identity"]).all() and (a["attribute"] == b["attribute"]).all()
    assert ((a["alpha"] - b["alpha"]).abs() >= least).all()
    assert len(np.unique(listed)) == listed.size
    left = np.setdiff1d(np.arange(len(images)), listed)
    for _, group in labels.iloc[left].groupby(["identity", "attribute"]):
        values = group["alpha"].to_numpy()
        assert np.abs(values[:, None] - values).max(initial=0) < max(least, 0.5), "a pair was left"
    assert 0.3 < (b["alpha"] > a["alpha"]).mean() < 0.7, "either picture may come first"


def test_the_draw_is_that_of_taking_shuffled_candidates_one_by_one():
    a, b = np.triu_indices(9, 1)
    found = disjoint(a, b, 9, np.random.default_rng(5))
    order, free, expected = np.random.default_rng(5).permutation(len(a)), set(range(9)), set()
    for k in order:
        if a[k] in free and b[k] in free:
            free -= {a[k], b[k]}
            expected.add((a[k], b[k]))
    assert {tuple(pair) for pair in found} == expected


def test_half_of_ten_strengths_find_no_partner_nine_apart_at_most():
    """Why budgets count pictures: under |Δα| ≥ 7.5 ten strengths fill less than an epoch."""
    pairs = AttributePairs(people(30), LARGE_FIRST)
    seen = [2 * len(pairs.epoch(epoch)) / 600 for epoch in (1, 4, 7, 10)]
    assert seen[0] < 0.62 and seen[-1] == 1 and seen == sorted(seen)


def test_epochs_differ_and_a_position_needs_no_history():
    images = people()
    pairs = AttributePairs(images, LARGE_FIRST, seed=1)
    assert not np.array_equal(np.sort(pairs.epoch(10), 0), np.sort(pairs.epoch(11), 0))
    whole = list(AttributeBatches(pairs, len(images), 5, seed=1, start=0, stop=40))
    later = list(AttributeBatches(pairs, len(images), 5, seed=1, start=17, stop=40))
    assert whole[17:] == later and len(whole) == 40
    parts = [list(AttributeBatches(pairs, len(images), 4, seed=1, start=0, stop=9, rank=r, world=2)) for r in (0, 1)]
    one = list(AttributeBatches(pairs, len(images), 4, seed=1, start=0, stop=9))
    assert [sorted(a + b) for a, b in zip(*parts, strict=True)] == [sorted(rows) for rows in one]


def test_no_partner_is_said_before_training_with_who_what_and_when():
    images = people(3, alphas=[-2.0, 2.0])
    message = re.escape("identity 0, attribute 'age' has no two pictures 7.5 or more apart, which epoch 4 asks for")
    with pytest.raises(ConfigError, match=message):
        AttributePairs(images, [Stage(epoch=1), Stage(epoch=4, least=7.5)])


def test_one_identity_and_batches_of_one_identity_are_refused():
    with pytest.raises(ValueError, match="one identity alone"):
        AttributePairs(people(1))
    pairs = AttributePairs(people(3))
    with pytest.raises(ValueError, match="epoch 1 has 30 pairs, which do not fill a batch of 31"):
        AttributeBatches(pairs, 60, 31, seed=0, start=0, stop=1)
    with pytest.raises(ValueError, match=r"shows identity \d alone"):
        AttributeBatches(pairs, 60, 2, seed=0, start=0, stop=200)


def test_two_views_are_a_picture_twice():
    assert all(a == b for rows in TwiceBatches(6, 3, seed=0, start=0, stop=2) for a, b in rows)
