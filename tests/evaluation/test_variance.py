"""The measure of TML Table IV against a loop over pictures, and what must be true of it."""

import numpy as np
import pytest

from aifr_lib.evaluation.variance import class_variance


def faces(seed=0):
    random = np.random.default_rng(seed)
    identities = random.permutation(np.repeat(np.arange(12), random.integers(2, 9, 12)))
    centres, spread = random.standard_normal((12, 5)), random.standard_normal((len(identities), 5))
    return centres[identities] + spread, identities


def loop(f, identities, power):
    mean = f.mean(axis=0)
    means = {c: f[identities == c].mean(axis=0) for c in set(identities)}
    intra = sum(np.linalg.norm(x - means[c]) ** power for x, c in zip(f, identities, strict=True)) / len(f)
    inter = sum(np.linalg.norm(means[c] - mean) ** power for c in identities) / len(f)
    return intra, inter


@pytest.mark.parametrize(("form", "power"), [("raw", 2), ("normalised", 2), ("root", 1)])
def test_it_is_the_plain_loop(form, power):
    f, identities = faces()
    unit = f / np.linalg.norm(f, axis=1, keepdims=True)
    intra, inter = loop(unit if form == "normalised" else f, identities, power)
    found = class_variance(f, identities, form)
    assert (found.intra, found.inter, found.ratio) == pytest.approx((intra, inter, inter / intra))
    assert (found.images, found.classes, found.left_out) == (len(f), 12, 0)


def test_both_parts_sum_to_the_total_variance():
    f, identities = faces(1)
    found = class_variance(f, identities)
    assert found.intra + found.inter == pytest.approx(f.var(axis=0).sum())


def test_by_hand():
    found = class_variance(np.array([[0.0], [2], [5], [7]]), np.array([0, 0, 1, 1]))
    assert (found.intra, found.inter, found.ratio) == (1, 6.25, 6.25)


def test_scale_changes_the_raw_form_only():
    f, identities = faces(2)
    assert class_variance(3 * f, identities).intra == pytest.approx(9 * class_variance(f, identities).intra)
    assert class_variance(3 * f, identities).ratio == pytest.approx(class_variance(f, identities).ratio)
    once, thrice = (class_variance(k * f, identities, "normalised").intra for k in (1, 3))
    assert once == pytest.approx(thrice)


def test_classes_of_one_picture_are_left_out():
    f, identities = faces(3)
    single = np.full((2, 5), 1e6)
    found = class_variance(np.concatenate([single, f]), np.concatenate([[100, 101], identities]))
    assert found.left_out == 2
    assert found.intra == pytest.approx(class_variance(f, identities).intra)
    assert found.inter == pytest.approx(class_variance(f, identities).inter)


@pytest.mark.parametrize(
    ("f", "identities", "form", "message"),
    [
        (np.eye(4), np.array([0, 0, 1, 1]), "normalized", "did you mean 'normalised'"),
        (np.eye(4), np.array([0, 0, 1, 2]), "raw", "1 classes have two pictures"),
        (np.eye(4), np.array([0, 0, 1]), "raw", "identities has 3"),
        (np.eye(4)[:0], np.zeros(0, int), "raw", "hold no entry"),
        (np.full((4, 2), np.inf), np.array([0, 0, 1, 1]), "raw", "4 of 4 rows"),
        (np.array([[0.0], [0], [1], [1]]), np.array([0, 0, 1, 1]), "raw", "every class is a point"),
    ],
)
def test_errors_say_what_is_wrong(f, identities, form, message):
    with pytest.raises(ValueError, match=message):
        class_variance(f, identities, form)
