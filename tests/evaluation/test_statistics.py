import numpy as np
import pytest
from scipy.optimize import brentq

from aifr_lib.evaluation.intervals import clustered_bootstrap
from aifr_lib.evaluation.statistics import eer_statistic, tar_statistic
from aifr_lib.evaluation.verification import roc


def pairs(seed=0, count=500):
    random = np.random.default_rng(seed)
    same = random.random(count) < 0.4
    return np.round(random.normal(size=count) + 1.5 * same, 2), same


def test_the_equal_error_rate_is_where_the_curves_cross():
    scores, same = pairs()
    curve = roc(scores, same)
    # far and frr along the curve as piecewise linear functions of one parameter.
    at = np.arange(len(curve.far))
    place = brentq(lambda t: np.interp(t, at, curve.far) - np.interp(t, at, curve.frr), 0, at[-1])
    assert curve.eer == pytest.approx(np.interp(place, at, curve.far))


def test_equal_error_rates_by_hand():
    same = np.array([True, True, False, False])
    assert roc(np.array([0.9, 0.8, 0.2, 0.1]), same).eer == 0
    assert roc(np.array([0.9, 0.3, 0.4, 0.1]), same).eer == 0.5
    assert roc(np.ones(4), same).eer == 0.5
    assert roc(np.array([0.1, 0.2, 0.8, 0.9]), same).eer == 1


def test_of_equal_weights_and_of_repeated_pairs():
    scores, same = pairs(1)
    weights = np.random.default_rng(2).integers(0, 3, (6, len(scores)))
    found = eer_statistic(scores, same)(np.vstack([np.ones(len(scores)), weights]).astype(float))
    assert found[0] == pytest.approx(roc(scores, same).eer)
    for weight, eer in zip(weights, found[1:], strict=True):
        assert eer == pytest.approx(roc(np.repeat(scores, weight), np.repeat(same, weight)).eer)


def test_one_kind_alone_has_no_rate():
    scores, same = pairs(3)
    assert np.isnan(eer_statistic(scores, same)(np.stack([same, ~same, 0 * same]).astype(float))).all()


@pytest.mark.parametrize("make", [eer_statistic, lambda scores, same: tar_statistic(scores, same, 0.05)])
def test_intervals_hold_the_estimate(make):
    scores, same = pairs(4)
    people = np.random.default_rng(5).integers(0, 60, len(scores))
    other = np.where(same, people, (people + 7) % 60)
    statistic = make(scores, same)
    low, high = clustered_bootstrap(statistic, people, other, replicates=200)
    assert low < statistic(np.ones((1, len(scores))))[0] < high
