"""The interval of a predicted change holds for new people: by hand, too few people, subjects drawn anew."""

import math

import numpy as np
import pytest

from aifr_lib.evaluation.change import half_width, left_out_coverage


def test_by_hand():
    """Four people, of whom one has two pairs: the weights are 1/5, 1/5, 1/10 + 1/10, 1/5."""
    error, subjects = np.array([1.0, 2.0, 3.0, 5.0, 4.0]), np.array([0, 1, 2, 2, 3])
    assert half_width(error, subjects, 0.5) == 3.0
    assert half_width(error, subjects, 0.6) == 4.0
    assert half_width(error, subjects, 0.8) == 5.0
    assert half_width(error, subjects, 0.81) == math.inf


@pytest.mark.parametrize(("people", "finite"), [(8, False), (9, True)])
def test_nine_people_are_needed_for_ninety_per_cent(people, finite):
    assert math.isfinite(half_width(np.ones(people), np.arange(people))) == finite


def test_one_pair_a_person_is_the_usual_quantile():
    error = np.random.default_rng(0).exponential(size=99)
    assert half_width(error, np.arange(99)) == np.sort(error)[89]


def test_new_people_are_covered():
    """Errors of one person are alike and people have from one pair to a hundred: over many draws the truth of a new
    person lies inside in 90 % or more, and the quantile of all pairs without regard to people does not reach that.
    """
    random = np.random.default_rng(1)

    def drawn(count):
        pairs = np.where(random.random(count) < 0.2, 100, 2)
        size = np.where(pairs == 100, 1.0, random.gamma(2.0, 2.0, count))
        return np.repeat(size, pairs) * random.random(pairs.sum()), np.repeat(np.arange(count), pairs)

    def coverage(error, subjects, half):
        return np.mean([(error[subjects == one] <= half).mean() for one in np.unique(subjects)])

    ours, pooled = [], []
    for _ in range(300):
        known, new = drawn(21), drawn(40)
        ours.append(coverage(*new, half_width(*known)))
        pooled.append(coverage(*new, np.quantile(known[0], 0.9)))
    assert 0.89 < np.mean(ours) < 0.96
    assert np.mean(pooled) < 0.8


def test_each_person_is_held_against_the_others():
    """Nineteen people off by their number, one pair each: q of the other eighteen is the 18th smallest of them."""
    error = np.arange(19.0)
    assert half_width(np.delete(error, 0), np.arange(18)) == 18.0
    assert left_out_coverage(error, np.arange(19)) == pytest.approx(18 / 19)


@pytest.mark.parametrize(
    ("error", "subjects", "level"),
    [([1.0], [0, 1], 0.9), ([np.nan], [0], 0.9), ([1.0], [0], 1.0), ([1.0], [0], 0.0)],
)
def test_what_cannot_be_said_is_refused(error, subjects, level):
    with pytest.raises(ValueError, match=r"error|interval"):
        half_width(np.array(error), np.array(subjects), level)
