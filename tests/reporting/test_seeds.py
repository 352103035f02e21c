import math

import numpy as np
import pytest
from scipy import stats

from aifr_lib.reporting import seeds


def test_student_t_worked_by_hand():
    # mean 2, sd 1, n 3: half-width 4.303 / sqrt(3) = 2.484.
    measured = seeds.student_t({0: 1.0, 1: 2.0, 2: 3.0})
    assert measured.mean == 2.0
    assert measured.ci95 == pytest.approx((2 - 2.4841, 2 + 2.4841), abs=1e-4)
    assert measured.interval == "seeds"
    assert measured.per_seed == {0: 1.0, 1: 2.0, 2: 3.0}


def test_one_seed_has_no_interval_and_none_is_an_error():
    assert seeds.student_t({4: 2.0}).ci95 is None
    with pytest.raises(ValueError, match="no seeds"):
        seeds.student_t({})


def test_interval_covers_95_percent_at_three_seeds_where_a_bootstrap_would_not():
    rng = np.random.default_rng(0)
    trials = [seeds.student_t(dict(enumerate(rng.normal(5.0, 2.0, 3)))).ci95 for _ in range(4000)]
    covered = np.mean([lo <= 5.0 <= hi for lo, hi in trials])
    assert covered == pytest.approx(0.95, abs=0.012)


def test_paired_matches_scipy_and_pairs_by_seed_not_by_place():
    rng = np.random.default_rng(1)
    a, b = rng.normal(1, 1, 6), rng.normal(0, 1, 6)
    result = seeds.paired(dict(enumerate(a)), {seed: b[seed] for seed in (5, 3, 1, 0, 2, 4)})
    expected = stats.ttest_rel(a, b)
    assert result.p == pytest.approx(expected.pvalue)
    assert result.ci95 == pytest.approx(tuple(expected.confidence_interval()))
    assert result.p_above == pytest.approx(stats.ttest_rel(a, b, alternative="greater").pvalue)


def test_paired_takes_the_common_seeds_only():
    result = seeds.paired({0: 5.0, 1: 6.0, 2: 9.0}, {1: 5.0, 2: 6.0, 7: 0.0})
    assert result.seeds == (1, 2)
    assert result.mean == 2.0
    with pytest.raises(ValueError, match="no seed in common"):
        seeds.paired({0: 1.0}, {1: 1.0})


def test_one_common_seed_proves_nothing():
    result = seeds.paired({0: 5.0}, {0: 1.0})
    assert (result.mean, result.ci95, result.p) == (4.0, None, 1.0)


def test_differences_without_spread():
    up = seeds.paired({0: 0.3, 1: 0.8}, {0: 0.1, 1: 0.6})
    assert (up.sd, up.p_above, up.p_below) == (0.0, 0.0, 1.0)
    none = seeds.paired({0: 1.0, 1: 2.0}, {0: 1.0, 1: 2.0})
    assert none.p == 1.0


def test_holm_worked_by_hand():
    assert seeds.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert seeds.holm([0.6, 0.7]) == [1.0, 1.0]
    assert seeds.holm([]) == []


@pytest.mark.parametrize("n", [2, 3, 5, 12])
def test_smallest_detectable_has_the_power_it_promises(n):
    sd = 0.87
    shift = seeds.smallest_detectable(sd, n)
    rng = np.random.default_rng(n)
    samples = rng.normal(shift, sd, (40_000, n))
    t = samples.mean(1) / (samples.std(1, ddof=1) / math.sqrt(n))
    assert np.mean(np.abs(t) > stats.t.isf(0.025, n - 1)) == pytest.approx(0.8, abs=0.012)


def test_smallest_detectable_needs_spread():
    assert seeds.smallest_detectable(0.0, 3) == 0.0
    assert seeds.smallest_detectable(1.0, 3, alpha=0.01) > seeds.smallest_detectable(1.0, 3)
    with pytest.raises(ValueError, match="two seeds"):
        seeds.smallest_detectable(1.0, 1)
