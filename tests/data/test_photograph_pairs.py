import numpy as np
import pandas as pd
import pytest

from aifr_lib.data import photograph_pairs as lists
from aifr_lib.data.images import Images


def album(people=25, seed=0, ages=True):
    """Between one and seven pictures a person, at any age."""
    rng = np.random.default_rng(seed)
    counts = rng.integers(1, 8, people)
    identity = np.repeat(np.arange(people) * 3, counts)
    age = rng.integers(0, 70, len(identity)).astype(float) if ages else np.full(len(identity), np.nan)
    records = [f"{k:04d}" for k in range(len(identity))]
    labels = pd.DataFrame({"record": records, "identity": identity, "age": age})
    return Images("album", "1", np.zeros((len(labels), 2, 2, 3), np.uint8), labels)


def test_gap_bins_by_hand():
    gaps = np.array([0, 4, 5, 9.5, 10, 19, 20, 29, 30, 69, np.nan])
    assert lists.gap_bins(gaps).tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, -1]
    assert len(lists.GAP_NAMES) == len(lists.GAP_EDGES) - 1


@pytest.mark.parametrize("ages", [True, False])
def test_the_list_holds_all_genuine_pairs_and_matching_impostors(ages):
    images = album(people=80, ages=ages)
    pairs = lists.verification_list(images)
    identity, age = images.labels["identity"].to_numpy(), images.labels["age"].to_numpy()
    expected = {(i, j) for i in range(len(images)) for j in range(i) if identity[i] == identity[j]}
    assert {(max(a, b), min(a, b)) for a, b in zip(pairs.a[pairs.same], pairs.b[pairs.same], strict=True)} == expected
    assert (identity[pairs.a] == identity[pairs.b]).tolist() == pairs.same.tolist()
    assert len({*zip(pairs.a, pairs.b, strict=True)}) == len(pairs)

    # Nobody is in two folds.
    owner = pd.DataFrame({"who": identity[np.r_[pairs.a, pairs.b]], "fold": np.r_[pairs.fold, pairs.fold]})
    assert (owner.groupby("who")["fold"].nunique() == 1).all()

    # Of one fold and bin there are never more impostors than genuine pairs, rarely fewer.
    bins = lists.gap_bins(abs(age[pairs.a] - age[pairs.b]))
    groups = pd.DataFrame({"fold": pairs.fold, "bin": bins, "same": pairs.same}).groupby(["fold", "bin"])["same"]
    genuine, impostor = groups.sum(), groups.count() - groups.sum()
    assert (impostor <= genuine).all()
    assert impostor.sum() > 0.9 * genuine.sum()


def test_the_list_is_the_same_each_time_and_another_for_another_seed():
    images = album()
    first, again, other = (lists.verification_list(images, seed=seed) for seed in (0, 0, 1))
    assert (first.a == again.a).all()
    assert (first.b == again.b).all()
    assert {*zip(first.a, first.b, strict=True)} != {*zip(other.a, other.b, strict=True)}


def test_folds_hold_about_equally_many_genuine_pairs():
    pairs = lists.verification_list(album(people=120))
    counts = np.bincount(pairs.fold[pairs.same])
    assert len(counts) == 10
    assert counts.max() < 1.3 * counts.min()


def test_few_people_make_few_folds():
    assert set(lists.verification_list(album(people=5)).fold) == {0, 1}
    with pytest.raises(ValueError, match="3 people cannot fill two folds"):
        lists.verification_list(album(people=3))


def test_nobody_with_two_pictures_is_refused():
    images = album()
    lone = images.take(images.labels.drop_duplicates("identity").index.to_numpy())
    with pytest.raises(ValueError, match="nobody has two pictures"):
        lists.verification_list(lone)


def test_impostors_are_of_two_people_and_never_twice():
    images = album()
    identity = images.labels["identity"].to_numpy()
    a, b = lists.impostors(images, count=300, seed=4)
    assert len({*zip(a, b, strict=True)}) == 300
    assert (identity[a] != identity[b]).all()
    a, b = lists.impostors(images, count=10**9)
    everybody = sum(identity[i] != identity[j] for i in range(len(images)) for j in range(i))
    assert len(a) == everybody


def test_large_sets_get_the_same_genuine_pairs_and_impostors_that_match(monkeypatch):
    images = album(people=150)
    every = lists.verification_list(images)
    monkeypatch.setattr(lists, "LISTED", 100)
    pairs = lists.verification_list(images)
    assert {*zip(pairs.a[pairs.same], pairs.b[pairs.same], strict=True)} == {
        *zip(every.a[every.same], every.b[every.same], strict=True)
    }
    identity, age = images.labels["identity"].to_numpy(), images.labels["age"].to_numpy()
    assert ((identity[pairs.a] == identity[pairs.b]) == pairs.same).all()
    assert len({*zip(pairs.a, pairs.b, strict=True)}) == len(pairs)
    bins = lists.gap_bins(abs(age[pairs.a] - age[pairs.b]))
    for fold in range(10):
        for gap in range(5):
            here = (pairs.fold == fold) & (bins == gap)
            assert (here & pairs.same).sum() == (here & ~pairs.same).sum()
    a, b = lists.impostors(images, count=500)
    assert len({*zip(a, b, strict=True)}) == 500
    assert (identity[a] != identity[b]).all()
