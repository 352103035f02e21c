"""Likeness of pictures against slow sums; probes find what a matrix can find, and nothing where there is nothing."""

from __future__ import annotations

import math

import numpy as np
import pytest

from aifr_lib.evaluation.pictures import psnr, ssim
from aifr_lib.evaluation.probes import age_probe, identity_probe

RNG = np.random.default_rng(0)


def pictures(count=2, side=16):
    return np.random.default_rng(1).integers(0, 256, (count, side, side, 3), dtype=np.uint8)


def slow_ssim(one, other):
    x, y = (picture.astype(float) @ [0.299, 0.587, 0.114] for picture in (one, other))
    reach = range(-5, 6)
    bell = np.array([[math.exp(-(i * i + j * j) / (2 * 1.5**2)) for j in reach] for i in reach])
    bell /= bell.sum()
    found = []
    for row in range(5, x.shape[0] - 5):
        for column in range(5, x.shape[1] - 5):
            a, b = (part[row - 5 : row + 6, column - 5 : column + 6] for part in (x, y))
            ma, mb = (bell * a).sum(), (bell * b).sum()
            va, vb = (bell * (a - ma) ** 2).sum(), (bell * (b - mb) ** 2).sum()
            both = (bell * (a - ma) * (b - mb)).sum()
            light, structure = (0.01 * 255) ** 2, (0.03 * 255) ** 2
            found.append((2 * ma * mb + light) * (2 * both + structure)
                         / ((ma**2 + mb**2 + light) * (va + vb + structure)))  # fmt: skip
    return np.mean(found)


def test_ssim_and_psnr_against_slow_sums():
    one, other = pictures(), pictures()[:, ::-1].copy()
    other[0] = (one[0] * 0.7 + 20).astype(np.uint8)
    np.testing.assert_allclose(ssim(one, other), [slow_ssim(a, b) for a, b in zip(one, other, strict=True)], rtol=1e-6)
    np.testing.assert_allclose(ssim(one, one), 1)
    away = np.mean((one[1].astype(float) - other[1]) ** 2)
    assert psnr(one, other)[1] == pytest.approx(10 * math.log10(255**2 / away))


def test_pictures_that_cannot_be_compared_are_refused():
    with pytest.raises(ValueError, match="of one shape are compared"):
        psnr(pictures(), pictures(side=17))
    with pytest.raises(ValueError, match="wider and higher than 10 pixels"):
        ssim(pictures(side=10), pictures(side=10))


def test_a_probe_reads_an_age_that_is_there_and_none_that_is_not():
    features = RNG.normal(size=(300, 20))
    ages = 40 + 10 * features[:, 3] - 5 * features[:, 7]
    found = age_probe(features[:200], ages[:200], features[200:])
    assert np.abs(found - ages[200:]).mean() < 0.5
    nothing = age_probe(RNG.normal(size=(200, 20)), ages[:200], RNG.normal(size=(100, 20)))
    assert np.abs(nothing - ages[200:]).mean() > 5


def test_a_probe_tells_people_by_their_means_and_does_not_see_a_constant():
    people = RNG.normal(size=(30, 12))
    who = np.repeat(np.arange(100, 130), 5)
    features = np.column_stack([np.repeat(people, 5, 0) + 0.2 * RNG.normal(size=(150, 12)), np.full(150, 7.0)])
    last = np.arange(150) % 5 == 4
    found = identity_probe(features[~last], who[~last], features[last], penalty=1.0)
    assert (found == who[last]).mean() > 0.9


def test_probes_refuse_what_is_not_finite():
    features = np.ones((4, 2))
    features[1, 1] = np.nan
    with pytest.raises(ValueError, match="not finite"):
        age_probe(features, np.ones(4), np.ones((2, 2)))
    with pytest.raises(ValueError, match=r"\(4, 2\) and \(2, 3\)"):
        identity_probe(np.ones((4, 2)), np.ones(4), np.ones((2, 3)))
