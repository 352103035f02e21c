"""Verification lists of relief faces: balance, folds, matched negatives, background, errors with numbers."""

from __future__ import annotations

import numpy as np
import pytest
from relief_reference import unrendered

from aifr_lib.data import relief
from aifr_lib.data.images import Images
from aifr_lib.data.relief.cache import draw
from aifr_lib.names import ConfigError


def unseen(identities: int, per_identity: int = 6, view: str = "everyday") -> Images:
    return unrendered(relief.split_plan("test", identities, per_identity, view=view))


@pytest.fixture(scope="module")
def many() -> dict[str, Images]:
    return {view: unseen(1000, view=view) for view in relief.VIEWS}


@pytest.fixture(scope="module")
def drawn() -> dict[str, Images]:
    """24 pixels are enough for the colours of corners."""
    plans = {view: relief.split_plan("validation", 100, 6, view=view) for view in relief.VIEWS}
    return {
        view: Images(view, relief.VERSION, draw(plan, slice(None), 24).numpy(), plan.table())
        for view, plan in plans.items()
    }


def suited(images: dict[str, Images], name: str) -> Images:
    return images[relief.PAIR_LISTS[name].view]


def gaps(images: Images, name: str, found) -> np.ndarray:
    label = images.labels[name].to_numpy()
    return np.abs(label[found.a] - label[found.b])


@pytest.mark.parametrize("name", relief.PAIR_LISTS)
def test_lists_are_balanced_distinct_and_disjoint_in_identity(many: dict[str, Images], name: str) -> None:
    images = suited(many, name)
    found = relief.pairs(images, name)
    assert len(found) == 6000 and found.same.sum() == 3000
    assert np.bincount(found.fold).tolist() == [600] * 10
    assert [int(found.same[found.fold == k].sum()) for k in range(10)] == [300] * 10
    identity = images.labels["identity"].to_numpy()
    assert np.array_equal(identity[found.a] == identity[found.b], found.same)
    members = [set(identity[found.a[found.fold == k]]) | set(identity[found.b[found.fold == k]]) for k in range(10)]
    assert sum(map(len, members)) == len(set.union(*members))
    assert len({frozenset(pair) for pair in zip(found.a.tolist(), found.b.tolist(), strict=True)}) == 6000


@pytest.mark.parametrize("name", relief.PAIR_LISTS)
def test_negatives_match_positives(many: dict[str, Images], name: str) -> None:
    images = suited(many, name)
    found = relief.pairs(images, name)
    for label, close in {"age": 0.6, "yaw": 2.0}.items():
        gap = gaps(images, label, found)
        assert abs(gap[found.same].mean() - gap[~found.same].mean()) < close, label
        for side in (found.a, found.b):
            values = images.labels[label].to_numpy()[side]
            assert abs(values[found.same].mean() - values[~found.same].mean()) < close, label
    assert np.array_equal(*images.labels["gender"].to_numpy()[[found.a, found.b]])
    assert np.quantile(gaps(images, "skin_tone", found)[~found.same], 0.9) < 0.8


def test_each_list_keeps_its_rule(many: dict[str, Images]) -> None:
    found = {name: relief.pairs(suited(many, name), name) for name in relief.PAIR_LISTS}
    everyday, posed = many["everyday"], many["pose"]
    aged = found["relief-agedb"]
    assert gaps(everyday, "age", aged).min() >= 30
    assert everyday.labels["age"].to_numpy()[np.concatenate([aged.a, aged.b])].min() >= 16
    assert gaps(many["near"], "age", found["relief-near"]).max() <= 5
    older = gaps(everyday, "age", found["relief-calfw"])
    assert older.min() >= 10 and older.max() < 30
    random = gaps(everyday, "age", found["relief-lfw"])
    assert random.min() < 5 and random.max() > 60
    yaw = posed.labels["yaw"].to_numpy()
    sides = np.sort(np.abs(yaw[[found["relief-cfpfp"].a, found["relief-cfpfp"].b]]), axis=0)
    assert sides[0].max() <= 10 and sides[1].min() >= 40 and sides[1].max() <= 60
    turned = yaw[[found["relief-cplfw"].a, found["relief-cplfw"].b]]
    assert np.abs(turned).min() >= 15 and np.abs(turned[0] - turned[1]).min() >= 40


def test_a_negative_is_the_cheapest_that_is_left(many: dict[str, Images]) -> None:
    """The first negative of a fold had every picture of the fold to choose from."""
    images = many["everyday"]
    found = relief.pairs(images, "relief-agedb")
    label = {c: images.labels[c].to_numpy() for c in ("identity", "age", "gender", "skin_tone", "yaw")}
    people = set(label["identity"][found.a[found.fold == 0]]) | set(label["identity"][found.b[found.fold == 0]])
    positive, negative = np.flatnonzero((found.fold == 0) & found.same)[0], np.flatnonzero(~found.same)[0]
    keep, replaced = found.a[positive], found.b[positive]
    assert found.a[negative] == keep
    costs = {}
    for row in range(len(images)):
        fits = (
            label["identity"][row] in people
            and label["identity"][row] != label["identity"][keep]
            and label["gender"][row] == label["gender"][keep]
            and abs(label["age"][row] - label["age"][keep]) >= 30
        )
        if fits:
            apart = {c: abs(label[c][row] - label[c][replaced]) for c in ("age", "skin_tone", "yaw")}
            costs[row] = apart["age"] + 10 * apart["skin_tone"] + 0.2 * apart["yaw"]
    assert found.b[negative] == min(costs, key=costs.__getitem__)


def test_lists_depend_on_the_seed_alone(many: dict[str, Images]) -> None:
    for name in relief.PAIR_LISTS:
        first, again, other = (relief.pairs(suited(many, name), name, count=200, seed=s) for s in (0, 0, 1))
        assert np.array_equal(first.a, again.a) and np.array_equal(first.b, again.b)
        assert not np.array_equal(first.a, other.a)


def test_a_list_that_cannot_be_drawn_says_so_with_numbers() -> None:
    wanted = r"relief-lfw, fold 0 of relief-test: 500 positives .* wanted, \d+ exist among \d+ pictures of \d people"
    with pytest.raises(ValueError, match=wanted):
        relief.pairs(unseen(24, 4), "relief-lfw", count=10_000)
    with pytest.raises(ValueError, match=r"relief-cfpfp, fold 0 .* 0 exist .*\(view='pose'\)"):
        relief.pairs(unseen(40, 4), "relief-cfpfp", count=20)
    with pytest.raises(ValueError, match=r"relief-test: 12 people cannot fill 10 folds"):
        relief.pairs(unseen(12, 4), "relief-lfw", count=20)
    with pytest.raises(ValueError, match=r"count 30: must be a positive multiple of 20"):
        relief.pairs(unseen(20, 4), "relief-lfw", count=30)
    with pytest.raises(ConfigError, match=r"unknown pair list 'relief-agebd'; did you mean 'relief-agedb'"):
        relief.pairs(unseen(20, 4), "relief-agebd")
    bare = unseen(20, 4)
    stripped = Images("orl", "1", bare.pixels, bare.labels[["record", "identity", "age"]])
    with pytest.raises(ValueError, match=r"orl: labels lack gender, skin_tone, yaw"):
        relief.pairs(stripped, "relief-agedb", count=20)


def test_tiny_sets_still_give_lists() -> None:
    for count in (22, 23, 24, 41):
        for name in relief.PAIR_LISTS:
            assert len(relief.pairs(unseen(count, 6, relief.PAIR_LISTS[name].view), name, count=20)) == 20


def accuracy(features: np.ndarray, images: Images, name: str) -> float:
    """Ten folds, the threshold of best accuracy on the other nine, by trying every distance."""
    found = relief.pairs(images, name, count=600)
    distance = np.linalg.norm(features[found.a] - features[found.b], axis=1)
    hits = 0
    for fold in range(10):
        train = found.fold != fold
        order = np.argsort(distance[train])
        gain = np.cumsum(np.where(found.same[train][order], 1, -1))
        threshold = distance[train][order][gain.argmax()]
        hits += int(((distance[~train] <= threshold) == found.same[~train]).sum())
    return hits / 6


@pytest.mark.parametrize("name", relief.PAIR_LISTS)
def test_the_background_is_no_shortcut(drawn: dict[str, Images], name: str) -> None:
    images = suited(drawn, name)
    pixels = images.pixels.astype(np.float64)
    corners = np.concatenate([pixels[:, :4, :4].mean((1, 2)), pixels[:, :4, -4:].mean((1, 2))], 1)
    # 600 pairs have a standard error of 2 points; the values lie near 52.
    assert accuracy(corners, images, name) <= 60
