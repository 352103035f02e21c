import numpy as np
import pytest
from sklearn.metrics import roc_curve

from aifr_lib.evaluation import templates as module
from aifr_lib.evaluation.templates import pool, score_pairs, verify_templates


def gallery(seed=0, people=10, width=16):
    """Features, template ids and media ids of pictures in shuffled order; the person of a template is id // 10."""
    random = np.random.default_rng(seed)
    rows = []
    for person in range(people):
        centre = random.standard_normal(width)
        for template in range(3):
            for medium in range(random.integers(1, 4)):
                for _ in range(random.integers(1, 5)):
                    rows.append((centre + 1.5 * random.standard_normal(width), 10 * person + template, 7 * medium))
    order = random.permutation(len(rows))
    features, ids, media = (np.array([rows[k][part] for k in order]) for part in range(3))
    return features, ids, media, random.uniform(0.5, 1, len(rows))


def by_loop(features, ids, media, scores, keep_norm):
    vectors = []
    for template in np.unique(ids):
        total = 0
        for medium in np.unique(media[ids == template]):
            values = features[(ids == template) & (media == medium)]
            if not keep_norm:
                values = values / np.linalg.norm(values, axis=1, keepdims=True)
            total = total + (values * scores[(ids == template) & (media == medium), None]).mean(axis=0)
        vectors.append(total / np.linalg.norm(total))
    return np.array(vectors)


@pytest.mark.parametrize("keep_norm", [True, False])
@pytest.mark.parametrize("scored", [True, False])
def test_pooling_against_a_loop(keep_norm, scored):
    features, ids, media, scores = gallery()
    found = pool(features, ids, media, scores=scores if scored else None, keep_norm=keep_norm)
    np.testing.assert_array_equal(found.ids, np.unique(ids))
    expected = by_loop(features, ids, media, scores if scored else np.ones(len(ids)), keep_norm)
    np.testing.assert_allclose(found.vectors, expected, atol=1e-6)


def test_pooling_by_hand():
    # Two frames of one video count as much as one photograph; the other template holds the video alone.
    features = np.array([[1.0, 0], [3.0, 0], [0, 2.0], [0, 4.0]])
    found = pool(features, np.array([5, 5, 5, 2]), np.array([1, 1, 2, 1]))
    assert found.ids.tolist() == [2, 5]
    np.testing.assert_allclose(found.vectors, [[0, 1], np.array([2, 2]) / np.sqrt(8)], atol=1e-7)
    unit = pool(
        features, np.array([5, 5, 5, 2]), np.array([1, 1, 2, 1]), keep_norm=False, scores=np.array([1, 1, 3, 1])
    )
    np.testing.assert_allclose(unit.vectors, [[0, 1], np.array([1, 3]) / np.sqrt(10)], atol=1e-7)


def test_the_mirrored_picture_is_added():
    features, ids, media, _ = gallery(seed=1)
    mirrored = features[::-1].copy()
    np.testing.assert_array_equal(
        pool(features, ids, media, mirrored=mirrored).vectors, pool(features + mirrored, ids, media).vectors
    )


def listed_pairs(ids, seed=0):
    first, second = np.array([(a, b) for a in np.unique(ids) for b in np.unique(ids) if a < b]).T
    order = np.random.default_rng(seed).permutation(len(first))
    return first[order], second[order], (first // 10 == second // 10)[order]


@pytest.mark.parametrize("block", [1, 7, 100])
def test_the_size_of_a_block_changes_nothing(block, tmp_path, monkeypatch):
    features, ids, media, scores = gallery(seed=2)
    path = tmp_path / "features.npy"
    np.save(path, features.astype(np.float32))
    first, second, same = listed_pairs(ids)
    whole = pool(features.astype(np.float32), ids, media, scores=scores)
    expected = verify_templates(whole, first, second, same, fars=(0.01, 0.1))
    monkeypatch.setattr(module, "BLOCK", block)
    pooled = pool(path, ids, media, scores=scores)
    np.testing.assert_allclose(pooled.vectors, whole.vectors, atol=2e-7)
    np.testing.assert_array_equal(score_pairs(whole, first, second), expected.scores)
    np.testing.assert_array_equal(verify_templates(pooled, first, second, same, fars=(0.01, 0.1)).tar, expected.tar)


def test_rates_against_scikit_learn_and_the_people_of_pairs():
    features, ids, media, _ = gallery(seed=3, people=20)
    pooled = pool(features, ids, media)
    first, second, same = listed_pairs(ids)
    found = verify_templates(pooled, first, second, same)
    vector = dict(zip(pooled.ids, pooled.vectors.astype(float), strict=True))
    np.testing.assert_allclose(
        found.scores, [vector[a] @ vector[b] for a, b in zip(first, second, strict=True)], atol=1e-6
    )
    assert found.wanted == (1e-2, 1e-1)
    far, tar, _ = roc_curve(same, found.scores, drop_intermediate=False)
    for wanted, ours, reached in zip(found.wanted, found.tar, found.far, strict=True):
        nearest = np.abs(far - wanted).min()
        assert abs(reached - wanted) == pytest.approx(nearest)
        assert ours == pytest.approx(tar[np.isclose(np.abs(far - wanted), nearest)].max())
    # Genuine pairs join the three templates of each of 20 people; impostor pairs have no one person.
    assert len(np.unique(found.people[same])) == 20 and (found.people[~same] == -1).all()
    pairs = set(zip((first // 10)[same], found.people[same], strict=True))
    assert len(pairs) == 20


def test_errors_say_what_is_wrong():
    features, ids, media, scores = gallery(seed=4)
    pooled = pool(features, ids, media)
    first, second, same = listed_pairs(ids)
    with pytest.raises(ValueError, match=r"empty templates.*1 of .* unknown \(9999\)"):
        verify_templates(pooled, np.append(first, 0), np.append(second, 9999), np.append(same, False))
    with pytest.raises(ValueError, match=r"all .* pairs are impostor pairs"):
        verify_templates(pooled, first[~same], second[~same], same[~same])
    with pytest.raises(ValueError, match=r"second has 1"):
        score_pairs(pooled, first, second[:1])
    with pytest.raises(ValueError, match="hold no entry"):
        score_pairs(pooled, first[:0], second[:0])
    with pytest.raises(ValueError, match="media has 3"):
        pool(features, ids, media[:3])
    with pytest.raises(ValueError, match=r"must be \[N, D\], got \[0, 16\]"):
        pool(features[:0], ids[:0], media[:0])
    with pytest.raises(ValueError, match=r"mirrored features must be \[N, 16\]"):
        pool(features, ids, media, mirrored=features[:, :3])
    with pytest.raises(ValueError, match=r"detector scores: NaN or infinity in 1 of .* rows \(rows 2\)"):
        pool(features, ids, media, scores=np.where(np.arange(len(scores)) == 2, np.nan, scores))
    broken = np.where(np.arange(len(features))[:, None] == 3, np.nan, features)
    with pytest.raises(
        ValueError, match=rf"^features: 1 of \d+ rows of a block are NaN or infinite: 3 of template {ids[3]}$"
    ):
        pool(broken, ids, media)
    with pytest.raises(
        ValueError, match=rf"1 of \d+ rows of a block are zero and have no direction: 3 of template {ids[3]}$"
    ):
        pool(np.nan_to_num(broken), ids, media, keep_norm=False)
    with pytest.raises(ValueError, match=r"^sums of pictures: 1 of 1 templates are zero and have no direction: 1$"):
        pool(np.array([[1.0, 0], [-1.0, 0]]), np.array([1, 1]), np.array([1, 2]))
