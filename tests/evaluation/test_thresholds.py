"""A threshold at a false accept rate, against counting by hand; its interval, against a bootstrap written out."""

import numpy as np
import pytest

from aifr_lib.evaluation.intervals import clustered_bootstrap
from aifr_lib.evaluation.thresholds import accepted_statistic, least_impostors, threshold_at_far, threshold_statistic


def pairs(seed=0, genuine=60, impostors=1500, people=20):
    rng = np.random.default_rng(seed)
    score = np.r_[rng.normal(0.6, 0.2, genuine), rng.normal(0.0, 0.2, impostors)].round(2)
    same = np.arange(len(score)) < genuine
    a = rng.integers(0, people, len(score))
    b = np.where(same, a, (a + rng.integers(1, people, len(score))) % people)
    return score, same, a, b


def by_hand(score, same, weights, far):
    """The lowest of all scores at which the weighted share of impostors is at most ``far``."""
    for value in np.unique(score):
        accepted = weights[~same & (score >= value)].sum() / weights[~same].sum()
        if accepted <= far:
            return value
    return np.inf


def test_the_lowest_threshold_that_does_not_exceed_the_rate():
    score, same, a, b = pairs()
    for far in (0.01, 0.05, 0.2):
        found = threshold_at_far(score, same, far, a, b, replicates=20)
        reached = (score[~same] >= found.value).mean()
        assert found.reached == reached <= far
        lower = score[~same][score[~same] < found.value].max()
        assert (score[~same] >= lower).mean() > far, "a lower threshold would have done"
        assert found.tar == (score[same] >= found.value).mean()


def test_each_replicate_finds_its_threshold_anew():
    score, same, _, _ = pairs(genuine=30, impostors=120)
    weights = np.random.default_rng(1).integers(0, 3, (40, len(score))).astype(float)
    statistic = threshold_statistic(score, same, 0.1)
    impostor_values = np.unique(score[~same])
    for one, value, tar in zip(
        weights, statistic(weights), accepted_statistic(score[same], same, statistic)(weights), strict=True
    ):
        wanted = by_hand(score, same, one, 0.1)
        # The same pairs of two people are accepted; between two of their scores any threshold would do.
        np.testing.assert_array_equal(impostor_values >= value, impostor_values >= wanted)
        accepted = one[same & (score >= value)].sum() / one[same].sum()
        assert tar == pytest.approx(accepted)


def test_the_interval_is_the_clustered_bootstrap_of_the_threshold():
    score, same, a, b = pairs()
    found = threshold_at_far(score, same, 0.05, a, b, replicates=200)
    assert found.interval == clustered_bootstrap(threshold_statistic(score, same, 0.05), a, b, replicates=200)
    assert found.interval.low <= found.value <= found.interval.high
    assert found.interval.low < found.interval.high


def test_a_rate_that_the_pairs_cannot_show_is_refused():
    score, same, a, b = pairs(impostors=999)
    assert least_impostors(1e-2) == 1000 and least_impostors(1e-3) == 10_000
    with pytest.raises(ValueError, match=r"shows on 1,000 impostor pairs or more; here are 999: hold out more people"):
        threshold_at_far(score, same, 0.01, a, b)
    with pytest.raises(ValueError, match="lies between 0 and 1, got 10"):
        threshold_at_far(score, same, 10, a, b)


def test_where_the_highest_impostors_are_too_many_none_is_accepted():
    score = np.r_[np.full(5, 0.9), np.full(100, 0.5), np.zeros(900)]
    same = np.arange(len(score)) < 5
    people = np.arange(len(score))
    found = threshold_at_far(score, same, 0.05, people, people + 1, replicates=10)
    assert found.value > 0.5 and found.reached == 0 and found.tar == 1
