import numpy as np
import pytest
from scipy.stats import pearsonr
from sklearn.metrics import mean_absolute_error

from aifr_lib.evaluation.change import change, subject_folds
from aifr_lib.evaluation.statistics import correlation_statistic


def test_by_hand():
    found = change(np.array([1.0, -2, 3, 0]), np.array([2.0, -2, -1, 0]), np.array([1, 1, 2, 2]))
    assert found.mae == pytest.approx(5 / 4) and found.error.tolist() == [1, 0, 4, 0]
    assert found.right.tolist() == [True, True, False, True] and found.accuracy == 75
    # Two subjects with means ½ and 2: a replicate is one of them or both.
    assert found.mae_interval == pytest.approx((0.5, 2))


def test_against_scikit_learn_and_scipy():
    random = np.random.default_rng(0)
    true = random.standard_normal(300) * 5 + 30
    predicted = true + random.standard_normal(300) * 4
    subjects = random.integers(0, 40, 300)
    directed = random.random(300) < 0.4
    found = change(predicted - 30, true - 30, subjects, directed=directed)
    assert found.mae == pytest.approx(mean_absolute_error(true, predicted))
    assert found.corr == pytest.approx(pearsonr(predicted, true).statistic)
    assert found.accuracy == pytest.approx(100 * ((predicted - 30)[directed] * (true - 30)[directed] > 0).mean())
    for value, ends in (
        (found.mae, found.mae_interval),
        (found.corr, found.corr_interval),
        (found.accuracy, found.accuracy_interval),
    ):
        assert ends.low < value < ends.high


def test_folds_are_measured_apart_and_averaged():
    random = np.random.default_rng(5)
    true, predicted = random.standard_normal((2, 90))
    subjects, fold = np.repeat(np.arange(30), 3), np.repeat(np.arange(3), [15, 30, 45])
    found = change(predicted, true, subjects, fold=fold)
    parts = [change(predicted[fold == k], true[fold == k], subjects[fold == k]) for k in range(3)]
    for name in ("mae", "corr", "accuracy"):
        assert getattr(found, name) == pytest.approx(np.mean([getattr(part, name) for part in parts]))
        ends = getattr(found, f"{name}_interval")
        assert ends.low < getattr(found, name) < ends.high
    perfect = change(true, true, subjects, fold=fold)
    assert perfect.accuracy == 100 and 80 < perfect.accuracy_interval.low < 100


def test_the_correlation_under_weights_is_that_of_repeated_rows():
    random = np.random.default_rng(1)
    x, y = random.standard_normal((2, 50)) + 1000
    weights = random.integers(0, 4, (5, 50)).astype(float)
    expected = [pearsonr(np.repeat(x, w.astype(int)), np.repeat(y, w.astype(int))).statistic for w in weights]
    np.testing.assert_allclose(correlation_statistic(x, y)(weights), expected)
    assert np.isnan(correlation_statistic(x, y)(np.zeros((1, 50)))).all()
    assert np.isnan(correlation_statistic(x, y)(np.eye(50)[:1])).all()


@pytest.mark.parametrize(("people", "least"), [(4, 0.65), (12, 0.8)])
def test_the_interval_over_few_subjects_in_folds_holds_the_truth(people, least):
    random, held = np.random.default_rng(0), 0
    subjects = np.repeat(np.arange(people), 10)
    for _ in range(150):
        own = np.abs(1 + 0.5 * random.standard_normal(people))[subjects]
        found = change(own, np.zeros(len(own)), subjects, fold=subjects % 4)
        low, high = found.mae_interval
        held += low <= 1.0088 <= high  # the mean of |1 + N(0, .5)|
    assert held / 150 > least


def test_what_is_undefined_is_not_a_number():
    constant = change(np.ones(6), np.arange(6.0) + 1, np.arange(6), directed=np.zeros(6, bool))
    assert np.isnan([constant.corr, *constant.corr_interval, constant.accuracy, *constant.accuracy_interval]).all()
    assert constant.mae == 2.5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((np.ones(3), np.ones(2), np.ones(3)), "true has 2"),
        ((np.ones(0), np.ones(0), np.ones(0)), "hold no entry"),
        ((np.array([1, np.nan]), np.ones(2), np.ones(2)), "predicted changes: NaN .*rows 1"),
        ((np.ones(2), np.array([np.inf, 1]), np.ones(2)), "true changes: NaN .*rows 0"),
    ],
)
def test_errors_say_what_is_wrong(arguments, message):
    with pytest.raises(ValueError, match=message):
        change(*arguments)


def test_folds_share_no_subject_and_test_each_once():
    subjects = np.random.default_rng(0).integers(100, 123, 400)
    folds = list(subject_folds(subjects, seed=3))
    assert len(folds) == 4
    assert np.sort(np.concatenate([fold.test for fold in folds])).tolist() == list(range(400))
    for fold in folds:
        assert np.sort(np.concatenate(fold)).tolist() == list(range(400))
        train, validation, test = (set(subjects[rows]) for rows in fold)
        assert not (train & validation or train & test or validation & test)
        assert len(test) in (5, 6) and len(validation) == 4
    again = list(subject_folds(subjects, seed=3))
    for one, other in zip(folds, again, strict=True):
        assert all(map(np.array_equal, one, other))
    assert not np.array_equal(folds[0].test, next(subject_folds(subjects, seed=4)).test)
    assert not len(next(subject_folds(subjects, validation=0)).validation)


@pytest.mark.parametrize(
    ("subjects", "options", "message"),
    [
        (np.arange(3), {}, "3 subjects cannot fill 4 folds"),
        (np.arange(3), {"folds": 2}, "at least 4"),
        (np.arange(9), {"folds": 1}, "two folds or more"),
        (np.arange(9), {"validation": 1}, "share below 1"),
    ],
)
def test_errors_of_folds(subjects, options, message):
    with pytest.raises(ValueError, match=message):
        next(subject_folds(subjects, **options))
