"""People split so that nobody is in two groups; pictures that are there twice; sets that share people."""

import numpy as np
import pytest
from noise_images import make_images

from aifr_lib.data.images import Images
from aifr_lib.data.people import check_apart, digests, split_people, without_doubles

BOUNDS = {"most": 100, "each": 100, "seed": 0}


def test_nobody_is_in_two_groups_and_every_picture_in_one():
    images = make_images(identities=20, per_identity=3)
    groups = split_people(images, (0.15, 0.3), **BOUNDS)
    people = [set(images.labels["identity"].iloc[rows]) for rows in groups]
    assert [len(group) for group in people] == [11, 3, 6]
    assert set.union(*people) == set(range(20)) and sum(map(len, people)) == 20
    assert sorted(np.concatenate(groups)) == list(range(60))
    again = split_people(images, (0.15, 0.3), **BOUNDS)
    other = split_people(images, (0.15, 0.3), **{**BOUNDS, "seed": 1})
    assert all(map(np.array_equal, groups, again)) and not np.array_equal(groups[1], other[1])


def test_people_of_one_picture_are_trained_on_only():
    images = make_images(identities=12, per_identity=3)
    alone = images.take(np.flatnonzero(~np.isin(np.arange(36), [1, 2, 4, 5])))  # persons 0 and 1 keep one picture
    for seed in range(10):
        train, *others = split_people(alone, (0.3, 0.3), **{**BOUNDS, "seed": seed})
        identity = alone.labels["identity"].to_numpy()
        assert {0, 1} <= set(identity[train])
        assert all(np.unique(identity[rows], return_counts=True)[1].min() >= 2 for rows in others)


def test_of_large_groups_some_people_and_some_of_their_pictures():
    images = make_images(identities=20, per_identity=6)
    train, watched = split_people(images, (0.5,), most=4, each=2, seed=0)
    identity = images.labels["identity"].to_numpy()
    people, counts = np.unique(identity[watched], return_counts=True)
    assert len(people) == 4 and (counts == 2).all()
    assert len(train) == 16 * 6 and not set(identity[train]) & set(people)


@pytest.mark.parametrize("identities", [1, 5])
def test_too_few_people_are_counted(identities):
    images = make_images(identities=identities, per_identity=3)
    few = rf"noise has too few people \({identities}, with two pictures or more: {identities}\)"
    with pytest.raises(ValueError, match=few):
        split_people(images, (0.15, 0.3), **BOUNDS)


def test_people_of_one_picture_each_hold_nobody_out():
    images = make_images(identities=30, per_identity=1)
    with pytest.raises(ValueError, match=r"too few people \(30, with two pictures or more: 0\)"):
        split_people(images, (0.15, 0.3), **BOUNDS)


def double(images: Images, source: int, target: int) -> Images:
    images.pixels[target] = images.pixels[source]
    return images


def test_a_picture_that_is_there_twice_is_left_out_once():
    images, left_out = without_doubles(double(make_images(), 0, 2))
    assert len(images) == 15 and left_out == {"picture-002": "picture-000"}
    assert len(set(digests(images))) == 15
    same, nothing = without_doubles(make_images())
    assert len(same) == 16 and nothing == {}


def test_one_picture_under_two_people_is_refused():
    with pytest.raises(ValueError, match="picture-000 and picture-009 are one picture under two people"):
        without_doubles(double(make_images(), 0, 9))


def test_sets_that_share_people_or_pictures_are_told():
    images, others = make_images(seed=0), make_images(seed=1)
    with pytest.raises(ValueError, match=r"noise shares people with noise, such as 0 \(in all: 4\)"):
        check_apart(images, others)
    others.labels["identity"] += 100
    check_apart(images, others)
    others.pixels[3] = images.pixels[5]
    with pytest.raises(ValueError, match=r"shares pictures with noise \(in all: 1\)"):
        check_apart(images, others)
