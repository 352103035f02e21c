"""Intervals: known Wilson values, what the bootstrap draws, and coverage where pairs share people."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from aifr_lib.evaluation import intervals
from aifr_lib.evaluation.intervals import by_gap, clustered_bootstrap, mean_interval, weighted_mean, wilson


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_gives_the_published_values(successes, trials, low, high):
    # Newcombe 1998, table I, method 3
    assert wilson(successes, trials) == pytest.approx((low, high), abs=5e-5)


@pytest.mark.parametrize(("successes", "trials"), [(0, 0), (3, 2), (-1, 5)])
def test_wilson_needs_a_proportion(successes, trials):
    with pytest.raises(ValueError, match=f"got {successes} of {trials}"):
        wilson(successes, trials)


def weights_drawn(a, b, **options):
    seen = []

    def statistic(weights):
        seen.append(weights.copy())
        return weights.sum(axis=1)

    interval = clustered_bootstrap(statistic, a, b, **options)
    return np.concatenate(seen), interval


def test_weights_are_multiplicities_and_their_products(monkeypatch):
    a = np.array([5, 6, 7, 5, 6, 5])  # a genuine pair of each of three people, then all pairs of two people
    b = np.array([5, 6, 7, 6, 7, 7])
    monkeypatch.setattr(intervals, "CELLS", 60)  # ten replicates at once, so several blocks
    weights, interval = weights_drawn(a, b, replicates=45)
    assert weights.shape == (45, 6)
    five, six, seven = weights[:, :3].T
    np.testing.assert_array_equal(five + six + seven, 3)
    np.testing.assert_array_equal(weights[:, 3:], np.stack([five * six, six * seven, five * seven], axis=1))
    assert len(np.unique(weights, axis=0)) > 5
    assert interval == pytest.approx(tuple(np.quantile(weights.sum(axis=1), [0.025, 0.975])))


def test_single_probes_weigh_their_persons_multiplicity():
    weights, _ = weights_drawn(np.array(["x", "y", "x"]), None, replicates=20)
    np.testing.assert_array_equal(weights[:, 0], weights[:, 2])
    np.testing.assert_array_equal(weights[:, 0] + weights[:, 1], 2)


def test_the_seed_decides():
    a, b = np.random.default_rng(0).integers(20, size=(2, 60))
    values = np.arange(60.0)
    first = mean_interval(values, a, b, seed=3)
    assert first == mean_interval(values, a, b, seed=3) != mean_interval(values, a, b, seed=4)


def test_it_is_the_slow_resampling_of_people():
    random = np.random.default_rng(1)
    a, b = random.integers(15, size=(2, 80))
    values = random.standard_normal(80) + a
    means = []
    for _ in range(3000):
        drawn = random.choice(15, 15).tolist()
        times = [drawn.count(a[p]) * (drawn.count(b[p]) if a[p] != b[p] else 1) for p in range(80)]
        means.append(np.average(values, weights=times))
    expected = np.quantile(means, [0.025, 0.975])
    found = clustered_bootstrap(weighted_mean(values), a, b, replicates=3000)
    np.testing.assert_allclose(found, expected, atol=0.06 * (expected[1] - expected[0]))


def test_any_statistic_of_weights():
    random = np.random.default_rng(2)
    a = random.integers(30, size=200)
    b = np.where(np.arange(200) % 2, a, random.integers(30, size=200))
    scores = random.standard_normal(200) + 2 * (a == b)

    def auc(weights):
        return np.array([roc_auc_score(a == b, scores, sample_weight=row) for row in weights])

    low, high = clustered_bootstrap(auc, a, b, replicates=100)
    assert 0.7 < low < roc_auc_score(a == b, scores) < high < 1


def coverage(sd_person, sd_pair, simulations=200, people=40, pairs=200):
    """Share of simulations whose interval holds the true mean 0: people resampled, pairs resampled."""
    random = np.random.default_rng(7)
    held = np.zeros(2)
    for seed in range(simulations):
        effect = sd_person * random.standard_normal(people)
        a = random.integers(people, size=pairs)
        b = np.where(random.random(pairs) < 0.5, a, (a + random.integers(1, people, size=pairs)) % people)
        values = effect[a] + effect[b] + sd_pair * random.standard_normal(pairs)
        for k, clusters in enumerate([(a, b), (np.arange(pairs), None)]):
            low, high = mean_interval(values, *clusters, replicates=300, seed=seed)
            held[k] += low <= 0 <= high
    return held / simulations


def test_people_resampled_cover_where_pairs_resampled_do_not():
    clustered, naive = coverage(sd_person=1.0, sd_pair=1.0)
    assert 0.90 <= clustered <= 0.99
    assert naive < 0.70


def test_it_errs_on_the_wide_side_where_people_do_not_matter():
    clustered, naive = coverage(sd_person=0.0, sd_pair=1.0)
    assert clustered >= 0.95
    assert 0.88 <= naive <= 0.99


def test_all_hits_are_not_certainty():
    people = np.repeat(np.arange(10), 50)
    assert mean_interval(np.ones(500, bool), people) == wilson(10, 10)
    assert mean_interval(np.zeros(500, bool), people) == wilson(0, 10)
    assert mean_interval(np.ones(2, bool), np.array([0, 2]), np.array([1, 3])) == wilson(2, 2)
    assert mean_interval(np.zeros(500), people) == (0, 0)  # numbers: two methods that never differ


def test_one_person_has_no_interval():
    assert np.isnan(mean_interval(np.array([1.0, 0.0]), np.array([4, 4]))).all()


def test_replicates_without_a_pair_are_left_out():
    # With two people and their one pair, half of the draws hold one person twice and so no pair.
    assert clustered_bootstrap(weighted_mean(np.array([3.0])), np.array([0]), np.array([1])) == (3, 3)
    with pytest.raises(ValueError, match="undefined in all 1000 replicates"):
        clustered_bootstrap(lambda w: np.full(len(w), np.nan), np.array([0]), np.array([1]))


def test_by_gap_by_hand():
    values = np.array([1, 0, 1, 1, 0, 1])
    gaps = np.array([0, 4.9, 5, 20, 9, 40])
    table = by_gap(values, gaps, [0, 5, 10, 15, 40])
    assert table["count"].tolist() == [2, 2, 0, 2]
    np.testing.assert_allclose(table["mean"], [0.5, 0.5, np.nan, 1])
    assert table["gap_from"].tolist() == [0, 5, 10, 15] and table["gap_to"].tolist() == [5, 10, 15, 40]
    assert (table["low"][0], table["high"][0]) == wilson(1, 2)
    assert table[["low", "high"]].iloc[2].isna().all()
    assert by_gap(values, gaps, [0, 10, np.inf])["count"].tolist() == [4, 2]


def test_by_gap_with_people():
    random = np.random.default_rng(4)
    a, b = random.integers(12, size=(2, 300))
    values, gaps = random.random(300), random.uniform(0, 30, 300)
    table = by_gap(values, gaps, [0, 10, 30], pd.Series(a, index=a), b)
    late = gaps >= 10
    assert tuple(table.iloc[1][["low", "high"]]) == mean_interval(values[late], a[late], b[late])


ONES = np.ones(3)
PEOPLE = np.arange(3)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: clustered_bootstrap(weighted_mean(ONES), PEOPLE, PEOPLE[:2]), "identities_b has 2"),
        (lambda: clustered_bootstrap(weighted_mean(ONES), PEOPLE[:0]), "hold no entry"),
        (lambda: mean_interval(ONES[:2], PEOPLE), "values has 2"),
        (lambda: mean_interval(ONES, PEOPLE, PEOPLE[:2]), "identities_b has 2"),
        (lambda: mean_interval(ONES * np.nan, PEOPLE), "rows 0, 1, 2"),
        (lambda: by_gap(ONES, ONES[:2], [0, 5]), "gaps has 2"),
        (lambda: by_gap(ONES, ONES, [0, 5], PEOPLE[:2]), "identities_a has 2"),
        (lambda: by_gap(ONES, np.array([1, np.nan, 2]), [0, 5]), r"unknown age.*rows 1"),
        (lambda: by_gap(ONES, np.array([1, 7, -2]), [0, 5]), "2 gaps lie outside the edges 0 … 5"),
        (lambda: by_gap(ONES, ONES, [0, 5, 5]), "rising"),
        (lambda: by_gap(ONES, ONES, [0]), "rising"),
        (lambda: by_gap(ONES / 2, ONES, [0, 5]), "give the identities"),
    ],
)
def test_errors_say_what_is_wrong(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("rate", [0.03, 0.97])
@pytest.mark.parametrize("kept", [True, False])
def test_the_share_of_hits_has_the_interval_of_the_bootstrap_to_the_bit(rate, kept, monkeypatch):
    """Whole numbers are added up by person, blocks or not; the general way weighs each pair in each replicate."""
    rng = np.random.default_rng(3)
    people, pairs = 40, 500
    a = rng.integers(0, people, pairs)
    b = np.where(rng.random(pairs) < 0.5, a, rng.integers(0, people, pairs))
    hits = rng.random(pairs) < rate
    if not kept:
        monkeypatch.setattr(intervals, "KEPT", 0)
        monkeypatch.setattr(intervals, "CELLS", 700)
    general = clustered_bootstrap(weighted_mean(hits), a, b, replicates=300, seed=5)
    assert mean_interval(hits, a, b, replicates=300, seed=5) == general
    assert mean_interval(hits.astype(int), a, b, replicates=300, seed=5) == general
    alone = clustered_bootstrap(weighted_mean(hits), a, replicates=300, seed=5)
    assert mean_interval(hits, a, replicates=300, seed=5) == alone


def test_differences_of_hits_have_the_interval_of_the_bootstrap_to_the_bit():
    rng = np.random.default_rng(4)
    a = rng.integers(0, 30, 400)
    b = np.where(rng.random(400) < 0.5, a, rng.integers(0, 30, 400))
    for odds in ((0.1, 0.8, 0.1), (0.7, 0.2, 0.1), (0.1, 0.3, 0.6)):
        change = rng.choice([-1, 0, 1], 400, p=odds).astype(np.int8)
        general = clustered_bootstrap(weighted_mean(change), a, b, replicates=200, seed=5)
        assert mean_interval(change, a, b, replicates=200, seed=5) == general
