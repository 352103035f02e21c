"""Protocol P1 against a plain loop over folds and thresholds, the ROC against scikit-learn and by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score, roc_curve
from sklearn.model_selection import KFold

from aifr_lib.data.images import Pairs
from aifr_lib.evaluation.verification import THRESHOLDS, contiguous_folds, roc, tar_at_far, ten_fold, verify


def loop(distances, same, fold):
    """The protocol as one would write it down: each fold, each threshold, each pair."""
    accuracies, thresholds = [], []
    for f in np.unique(fold):
        best, chosen = -1.0, None
        for t in THRESHOLDS:
            accuracy = np.mean((distances[fold != f] < t) == same[fold != f])
            if accuracy > best:
                best, chosen = accuracy, t
        thresholds.append(chosen)
        accuracies.append(100 * np.mean((distances[fold == f] < chosen) == same[fold == f]))
    return np.array(accuracies), np.array(thresholds)


def distances_of(same, seed, spread=0.35):
    random = np.random.default_rng(seed)
    return np.clip(np.where(same, 1.0, 1.7) + spread * random.standard_normal(len(same)), 0, 4)


@pytest.mark.parametrize("seed", range(4))
def test_ten_fold_is_the_plain_loop(seed):
    random = np.random.default_rng(seed)
    same = random.random(300) < 0.5
    # Rounding makes ties between thresholds and distances that lie exactly on a threshold.
    distances = np.round(distances_of(same, seed), 2)
    fold = random.permutation(contiguous_folds(300))
    result = ten_fold(distances, same, fold)
    accuracies, thresholds = loop(distances, same, fold)
    np.testing.assert_allclose(result.fold_accuracy, accuracies)
    np.testing.assert_array_equal(result.fold_threshold, thresholds)
    assert result.accuracy == pytest.approx(accuracies.mean())
    assert result.std == pytest.approx(np.sqrt(np.mean((accuracies - accuracies.mean()) ** 2)))
    np.testing.assert_array_equal(result.correct, (distances < thresholds[fold]) == same)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**31), st.integers(2, 5), st.integers(12, 40))
def test_any_number_and_size_of_folds(seed, folds, count):
    random = np.random.default_rng(seed)
    same = np.arange(count) % 2 == 0
    distances = random.choice([0.0, 0.5, 0.505, 1.0, 3.995, 4.0], count)
    fold = np.concatenate([np.arange(folds), random.integers(folds, size=count - folds)]) + 7
    accuracies, thresholds = loop(distances, same, fold)
    result = ten_fold(distances, same, fold)
    np.testing.assert_allclose(result.fold_accuracy, accuracies)
    np.testing.assert_array_equal(result.fold_threshold, thresholds)


def test_a_case_by_hand():
    # Fold 0 learns from fold 1 (genuine .2, impostor .5): the lowest threshold that splits them is .21, and
    # it rejects fold 0's genuine pair at .3. Fold 1 learns .31 and decides both its pairs rightly.
    result = ten_fold(np.array([0.3, 1.0, 0.2, 0.5]), np.array([1, 0, 1, 0]), np.array([0, 0, 1, 1]))
    np.testing.assert_allclose(result.fold_threshold, [0.21, 0.31])
    np.testing.assert_allclose(result.fold_accuracy, [50, 100])
    assert (result.accuracy, result.std) == (75, 25)
    assert result.correct.tolist() == [False, True, True, True]


def test_separable_pairs_score_100_and_swapped_ones_near_50():
    same = np.arange(200) % 2 == 0
    assert ten_fold(np.where(same, 0.1, 3.0), same).accuracy == 100
    assert ten_fold(np.where(same, 3.0, 0.1), same).accuracy == 50


def test_both_conventions_decide_alike():
    same = np.random.default_rng(1).random(400) < 0.5
    distances = distances_of(same, 1)
    by_distance = ten_fold(distances, same)
    by_cosine = ten_fold(1 - distances / 2, same, convention="cosine")
    np.testing.assert_array_equal(by_distance.fold_accuracy, by_cosine.fold_accuracy)
    np.testing.assert_allclose(by_cosine.fold_threshold, 1 - by_distance.fold_threshold / 2)
    np.testing.assert_array_equal(by_distance.scores, by_cosine.scores)
    assert by_distance.scores.dtype == np.float32


def test_contiguous_folds_are_those_of_scikit_learn():
    for count in (20, 6000, 6007):
        expected = np.empty(count)
        for k, (_, test) in enumerate(KFold(10).split(np.zeros(count))):
            expected[test] = k
        np.testing.assert_array_equal(contiguous_folds(count), expected)


def people(seed=0):
    random = np.random.default_rng(seed)
    centres = random.standard_normal((30, 16))
    embeddings = (np.repeat(centres, 4, axis=0) + random.standard_normal((120, 16))).astype(np.float32)
    a, b = random.integers(120, size=(2, 500))
    b = np.where(np.arange(500) % 2 == 0, a // 4 * 4 + (a + 1) % 4, b)
    return embeddings, Pairs("toy", a, b, a // 4 == b // 4, contiguous_folds(500))


def test_verify_measures_normalised_embeddings():
    embeddings, pairs = people()
    unit = embeddings.astype(np.float64) / np.linalg.norm(embeddings.astype(np.float64), axis=1, keepdims=True)
    squared = ((unit[pairs.a] - unit[pairs.b]) ** 2).sum(axis=1)
    accuracies, thresholds = loop(squared, pairs.same, pairs.fold)
    result = verify(embeddings * 17, pairs)
    np.testing.assert_allclose(result.fold_accuracy, accuracies)
    np.testing.assert_array_equal(result.fold_threshold, thresholds)
    np.testing.assert_allclose(result.scores, 1 - squared / 2, atol=1e-6)
    assert verify(embeddings, pairs, convention="cosine").accuracy == result.accuracy


def test_roc_and_auc_are_those_of_scikit_learn():
    random = np.random.default_rng(3)
    same = random.random(700) < 0.3
    scores = np.round(random.standard_normal(700) + same, 1)  # many ties
    curve = roc(scores, same)
    far, tar, threshold = roc_curve(same, scores, drop_intermediate=False)
    np.testing.assert_allclose(curve.far, far)
    np.testing.assert_allclose(curve.tar, tar)
    np.testing.assert_array_equal(curve.threshold, threshold)
    np.testing.assert_allclose(curve.frr, 1 - tar)
    assert curve.auc == pytest.approx(roc_auc_score(same, scores))


def test_roc_by_hand():
    curve = roc(np.array([0.9, 0.8, 0.8, 0.1]), np.array([True, True, False, False]))
    np.testing.assert_allclose(curve.far, [0, 0, 0.5, 1])
    np.testing.assert_allclose(curve.tar, [0, 0.5, 1, 1])
    assert curve.auc == pytest.approx(0.875)  # of four (genuine, impostor) comparisons 3 are won and 1 is tied


@pytest.mark.parametrize("far", [0, 1e-4, 0.01, 0.013, 0.1, 0.5, 1])
def test_tar_at_far_is_the_best_of_the_nearest_points(far):
    random = np.random.default_rng(5)
    same = random.random(600) < 0.5
    scores = random.standard_normal(600) + 1.5 * same
    points = []
    for threshold in [np.inf, *np.unique(scores)]:
        accepted = scores >= threshold
        points.append((abs(accepted[~same].mean() - far), -accepted[same].mean(), threshold))
    found = tar_at_far(scores, same, far)
    assert found.tar == pytest.approx(-min(points)[1])
    accepted = scores >= found.threshold
    assert found.tar == pytest.approx(accepted[same].mean())
    assert found.far == pytest.approx(accepted[~same].mean())


def test_tar_at_far_with_too_few_impostors_says_which_far_it_reached():
    scores, same = np.array([0.9, 0.5, 0.7, 0.2]), np.array([True, True, False, False])
    assert tar_at_far(scores, same, 1e-4) == (0.5, 0.0, 0.9)
    assert tar_at_far(scores, same, 0.4)[:2] == (1.0, 0.5)


GOOD = np.array([0.1, 3.0] * 10)
SAME = np.array([True, False] * 10)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ten_fold(GOOD[:0], SAME[:0]), "hold no entry"),
        (lambda: ten_fold(GOOD[:5], SAME), "values has 5, same has 20"),
        (lambda: ten_fold(GOOD, np.ones(20, bool)), "all 20 pairs are genuine pairs"),
        (lambda: ten_fold(GOOD, np.zeros(20, bool)), "all 20 pairs are impostor pairs"),
        (lambda: ten_fold(np.where(np.arange(20) == 7, np.nan, GOOD), SAME), "rows 7"),
        (lambda: ten_fold(GOOD, SAME, np.zeros(20, int)), "one fold"),
        (lambda: ten_fold(GOOD - 1, SAME), "name the other convention"),
        (lambda: ten_fold(GOOD, SAME, convention="cosin"), "did you mean 'cosine'"),
        (lambda: roc(GOOD[:0], SAME[:0]), "hold no entry"),
        (lambda: roc(GOOD, SAME[:3]), "scores has 20, same has 3"),
        (lambda: roc(GOOD, ~SAME & SAME), "impostor pairs"),
        (lambda: roc(GOOD * np.inf, SAME), r"20 of 20 rows .*and 15 more"),
        (lambda: tar_at_far(GOOD, SAME, 10), "fraction"),
    ],
)
def test_errors_say_what_is_wrong(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_errors_of_verify():
    embeddings, pairs = people()
    with pytest.raises(ValueError, match=r"'toy' names rows .* but there are 50 embeddings"):
        verify(embeddings[:50], pairs)
    empty = Pairs("none", *(column[:0] for column in (pairs.a, pairs.b, pairs.same, pairs.fold)))
    with pytest.raises(ValueError, match="hold no entry"):
        verify(embeddings, empty)
    embeddings[3, 2] = np.nan
    with pytest.raises(ValueError, match=r"embeddings: 1 of 120 rows are NaN or infinite: 3"):
        verify(embeddings, pairs)
    embeddings[3] = 0
    with pytest.raises(ValueError, match=r"1 of 120 rows are zero and have no direction: 3"):
        verify(embeddings, pairs)


@pytest.mark.parametrize("listed", [True, False])
def test_single_precision_decides_every_pair_as_double_does(listed):
    """Also the pairs whose distance is a threshold to a few parts in ten million."""
    random = np.random.default_rng(6)
    count = 400
    first = random.standard_normal((count, 8))
    first /= np.linalg.norm(first, axis=1, keepdims=True)
    other = random.standard_normal((count, 8))
    other -= (other * first).sum(1, keepdims=True) * first
    other /= np.linalg.norm(other, axis=1, keepdims=True)
    cosine = (1 - random.choice(THRESHOLDS[60:140], count) / 2)[:, None]  # each on a threshold
    second = cosine * first + np.sqrt(1 - cosine**2) * other
    embeddings = np.stack([first, second], axis=1).reshape(-1, 8).astype(np.float32)
    order = np.arange(count) if listed else random.permutation(count)
    pairs = Pairs("p", 2 * order, 2 * order + 1, random.random(count) < 0.5, order % 10)
    single, double = (verify(embeddings.astype(kind), pairs) for kind in (np.float32, np.float64))
    assert (single.correct == double.correct).all() and single.accuracy == double.accuracy
    assert (single.fold_threshold == double.fold_threshold).all()
    assert single.scores == pytest.approx(double.scores, abs=1e-6)
