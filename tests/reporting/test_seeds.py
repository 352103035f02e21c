import math

import numpy as np
import pytest
from scipy import stats

from aifr_lib.reporting import seeds
from aifr_lib.reporting.rows import Measured
from aifr_lib.reporting.seeds import student_t


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


def by_seed(values):
    return dict(enumerate(values))


def test_paired_matches_scipy_and_pairs_by_seed_not_by_place():
    rng = np.random.default_rng(1)
    a, b = rng.normal(1, 1, 6), rng.normal(0, 1, 6)
    result = seeds.paired_contrast([1, -1], [by_seed(a), {seed: b[seed] for seed in (5, 3, 1, 0, 2, 4)}])
    expected = stats.ttest_rel(a, b)
    assert result.p == pytest.approx(expected.pvalue)
    assert result.interval() == pytest.approx(tuple(expected.confidence_interval()))
    assert result.p_above == pytest.approx(stats.ttest_rel(a, b, alternative="greater").pvalue)
    assert result.r == pytest.approx(np.corrcoef(a, b)[0, 1])


def test_paired_takes_the_common_seeds_only():
    result = seeds.paired_contrast([1, -1], [{0: 5.0, 1: 6.0, 2: 9.0}, {1: 5.0, 2: 6.0, 7: 0.0}])
    assert (result.seeds, result.mean) == (2, 2.0)
    with pytest.raises(ValueError, match="no seed in common"):
        seeds.paired_contrast([1, -1], [{0: 1.0}, {1: 1.0}])


def test_one_seed_proves_nothing():
    for result in (seeds.paired_contrast([1, -1], [{0: 5.0}, {0: 1.0}]), seeds.contrast([1, -1], [{0: 5.0}, {0: 1.0}])):
        assert (result.mean, result.interval(), result.p, result.detectable()) == (4.0, None, 1.0, None)


def test_differences_without_spread():
    up = seeds.paired_contrast([1, -1], [{0: 0.3, 1: 0.8}, {0: 0.1, 1: 0.6}])
    assert (up.se, up.p_above, up.p_below) == (0.0, 0.0, 1.0)
    assert seeds.paired_contrast([1, -1], [{0: 1.0, 1: 2.0}, {0: 1.0, 1: 2.0}]).p == 1.0


def test_pooled_error_worked_by_hand():
    # Variances 1, 1 and 4 of three seeds: pooled 2 with 6 degrees of freedom, standard error sqrt(2 (1/3 + 1/3)).
    arms = [by_seed([1, 2, 3]), by_seed([4, 5, 6])]
    result = seeds.contrast([-1, 1], arms, [by_seed([0, 2, 4])])
    assert (result.error, result.df, result.mean) == ("pooled", 6, 3.0)
    assert result.se == pytest.approx(math.sqrt(4 / 3))
    assert result.interval() == pytest.approx((3 - 2.4469 * 1.1547, 3 + 2.4469 * 1.1547), abs=1e-3)
    two = seeds.contrast([-1, 1], arms)
    assert two.p == pytest.approx(stats.ttest_ind([4, 5, 6], [1, 2, 3]).pvalue)


def test_where_spreads_differ_the_error_is_welch_s():
    rng = np.random.default_rng(3)
    a, b = rng.normal(0, 0.01, 8), rng.normal(0, 5, 8)
    result = seeds.contrast([1, -1], [by_seed(a), by_seed(b)])
    assert result.error == "separate" and result.spreads_p < seeds.SPREADS_LEVEL
    assert result.spreads_p == pytest.approx(stats.levene(a, b, center="mean").pvalue)
    assert result.p == pytest.approx(stats.ttest_ind(a, b, equal_var=False).pvalue)


def test_a_contrast_wants_a_weight_and_a_value_for_each_arm():
    with pytest.raises(ValueError, match="one weight and at least one value"):
        seeds.contrast([1, -1], [{0: 1.0}, {}])
    with pytest.raises(ValueError, match="one weight and at least one value"):
        seeds.contrast([1], [{0: 1.0}, {0: 2.0}])


def simulated(spreads, count, shift=0.0, trials=600, shared=0.0):
    """Contrasts of the first two of arms with these spreads, the first of them ``shift`` higher."""
    rng = np.random.default_rng(0)
    for _ in range(trials):
        values = rng.normal(0, 1, (len(spreads), count)) * np.array(spreads)[:, None]
        values += shared * rng.normal(0, 1, count)
        values[0] += shift
        yield seeds.contrast([1, -1], [by_seed(arm) for arm in values[:2]], [by_seed(arm) for arm in values[2:]])


def test_intervals_cover_and_nulls_are_rejected_as_often_as_they_say():
    within = 3 * math.sqrt(0.05 * 0.95 / 600)
    found = list(simulated([1] * 10, 5))
    assert np.mean([one.p < 0.05 for one in found]) == pytest.approx(0.05, abs=within)
    covered = [lo <= 0.0 <= hi for lo, hi in (one.interval() for one in found)]
    assert np.mean(covered) == pytest.approx(0.95, abs=within)


def test_what_arms_share_by_seed_makes_the_unpaired_error_too_large_never_too_small():
    assert np.mean([one.p < 0.05 for one in simulated([1] * 10, 5, shared=1.0)]) < 0.05


def test_unequal_spreads_cost_what_the_module_says():
    assert np.mean([one.p < 0.05 for one in simulated([2, 2] + [1] * 8, 3)]) < 0.15


def test_pooling_sees_what_it_says_it_sees():
    shift = seeds.smallest_detectable(math.sqrt(2 / 5), 40)
    power = np.mean([one.p < 0.05 for one in simulated([1] * 10, 5, shift)])
    assert power == pytest.approx(0.8, abs=3 * math.sqrt(0.16 / 600))
    assert shift < seeds.smallest_detectable(math.sqrt(2 / 5), 4)


def test_holm_s_steps_worked_by_hand():
    # .005 × 4 and .01 × 3 pass; .03 × 2 does not, and with it .04 stays.
    assert seeds.holm_steps([0.01, 0.04, 0.03, 0.005]) == [3, 2, 2, 4]
    assert seeds.holm_steps([0.6, 0.7]) == [2, 2]
    assert seeds.holm_steps([0.001], family=13) == [13]
    assert seeds.holm_steps([]) == []


@pytest.mark.parametrize("n", [2, 3, 5, 12])
def test_smallest_detectable_has_the_power_it_promises(n):
    sd = 0.87
    shift = seeds.smallest_detectable(sd / math.sqrt(n), n - 1)
    rng = np.random.default_rng(n)
    samples = rng.normal(shift, sd, (40_000, n))
    t = samples.mean(1) / (samples.std(1, ddof=1) / math.sqrt(n))
    assert np.mean(np.abs(t) > stats.t.isf(0.025, n - 1)) == pytest.approx(0.8, abs=0.012)


def test_smallest_detectable_needs_spread():
    assert seeds.smallest_detectable(0.0, 2) == 0.0
    assert seeds.smallest_detectable(1.0, 2, alpha=0.01) > seeds.smallest_detectable(1.0, 2)
    with pytest.raises(ValueError, match="two seeds"):
        seeds.smallest_detectable(1.0, 0)


def people(mean: float, half: float) -> Measured:
    return Measured(mean=mean, ci95=(mean - half, mean + half), interval="identities")


def test_two_numbers_are_apart_by_student_t_where_both_have_seeds() -> None:
    low, high = student_t({0: 89.9, 1: 90.0, 2: 90.1}), student_t({0: 90.9, 1: 91.0, 2: 91.1})
    assert (seeds.apart(high, low), seeds.apart(low, high), seeds.apart(low, low)) == (1, -1, 0)
    wide = student_t({0: 85.0, 1: 91.0, 2: 96.0})
    assert seeds.apart(wide, low) == 0


def test_two_numbers_without_seeds_are_apart_where_their_intervals_do_not_meet() -> None:
    assert seeds.apart(people(90, 1), people(87, 1)) == 1
    assert seeds.apart(people(87, 1), people(90, 1)) == -1
    assert seeds.apart(people(90, 2), people(87, 2)) == 0
    assert seeds.apart(people(90, 1), student_t({0: 80.0})) == 0, "one seed has no interval"
    assert seeds.apart(None, people(90, 1)) == seeds.apart(people(90, 1), None) == 0
