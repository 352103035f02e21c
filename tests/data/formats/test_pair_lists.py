import unicodedata

import pandas as pd
import pytest
from noise_images import make_images
from stored_examples import examples

from aifr_lib.data.formats import pair_lists as pair_lists
from aifr_lib.data.formats.faults import BadFile
from aifr_lib.data.formats.pair_lists import Pair
from aifr_lib.data.sets.check import check
from aifr_lib.data.sets.kinds import kind_of


def test_lfw_pairs_by_hand(tmp_path):
    path = tmp_path / "pairs.txt"
    path.write_bytes("2\t1\nZoë\t1\t12\nAnn\t3\tZoë\t4\nBob\t2\t3\nAnn\t1\tBob\t1\n".encode())
    assert pair_lists.read_pairs(path) == [
        Pair("Zoë/Zoë_0001.jpg", "Zoë/Zoë_0012.jpg", True, 0),
        Pair("Ann/Ann_0003.jpg", "Zoë/Zoë_0004.jpg", False, 0),
        Pair("Bob/Bob_0002.jpg", "Bob/Bob_0003.jpg", True, 1),
        Pair("Ann/Ann_0001.jpg", "Bob/Bob_0001.jpg", False, 1),
    ]
    path.write_text("1\nAnn\t1\t2\nAnn\t1\tBob\t2\n")
    assert [pair.fold for pair in pair_lists.read_pairs(path)] == [0, 0]


@pytest.mark.parametrize("name", ["pairs.txt", "pairs.csv"])
def test_pairs_come_back(tmp_path, name):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / name).write_bytes(examples()[name])
    pairs = pair_lists.read_pairs(tmp_path / "a" / name)
    pair_lists.write_pairs(tmp_path / name, pairs)
    assert pair_lists.read_pairs(tmp_path / name) == pairs
    pair_lists.write_pairs(tmp_path / "other.csv", pairs)
    assert pair_lists.read_pairs(tmp_path / "other.csv") == pairs


def test_a_csv_without_folds_gets_ten(tmp_path):
    path = tmp_path / "pairs.csv"
    path.write_text("same,b,a\n" + "".join(f"{n % 2},b{n}.jpg,a{n}.jpg\n" for n in range(21)))
    pairs = pair_lists.read_pairs(path)
    assert pairs[3] == Pair("a3.jpg", "b3.jpg", True, 1)
    assert [pair.fold for pair in pairs] == sorted([*range(10)] * 2 + [0])


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("pairs.txt", "", "line 1: the number of folds"),
        ("pairs.txt", "ten\n", "line 1: the number of folds"),
        ("pairs.txt", "1\t1\nAnn\t1\t2\n", "1 folds of 2 × 1 pairs were announced, 1 lines follow"),
        ("pairs.txt", "1\t1\nAnn\t1\n", "line 2: 'name n1 n2'"),
        ("pairs.txt", "1\t1\nAnn\t1\tx\n", "line 2: the number of the picture must be a whole number from 1"),
        ("pairs.txt", "1\t1\n..\t1\t2\n", "line 2: a path inside"),
        ("pairs.csv", "a,b\nx,y\n", "line 1: the column same is missing; found a, b"),
        ("pairs.csv", "a,b,same\nx,y,2\n", "line 2: same must be 1 or 0"),
        ("pairs.csv", "a,b,same\nx,y\n", "line 2: 3 fields were expected, found 2"),
        ("pairs.csv", "a,b,same,fold\nx,y,1,-1\n", "line 2: the fold must be"),
        ("pairs.csv", 'a,b,same\n"x,y,1\n', "line 2: not a line of a .csv"),
        ("pairs.csv", "a,b,same\n", "the list is empty"),
    ],
)
def test_wrong_pairs_are_named(tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(BadFile, match=message):
        pair_lists.read_pairs(tmp_path / name)


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        ([], "as many genuine as impostor"),
        ([Pair("a/a_0001.jpg", "a/a_0002.jpg", True, 0)], "as many genuine as impostor"),
        ([Pair("a.jpg", "b.jpg", True, 0), Pair("a.jpg", "c.jpg", False, 0)], "is not NAME/NAME_0001.jpg"),
        (
            [Pair("a/a_0001.jpg", "b/b_0001.jpg", True, 0), Pair("a/a_0001.jpg", "b/b_0001.jpg", False, 0)],
            "says by the names whether it is one person",
        ),
    ],
)
def test_pairs_that_pairs_txt_cannot_say(tmp_path, pairs, message):
    with pytest.raises(ValueError, match=message):
        pair_lists.write_pairs(tmp_path / "pairs.txt", pairs)


def test_pairs_over_images():
    images = make_images(identities=2, per_identity=2)
    pairs = [Pair("picture-003", "picture-000", False, 4), Pair("picture-001", "picture-000", True, 5)]
    found = pair_lists.pairs_over(images, pairs, "mine")
    assert (found.a.tolist(), found.b.tolist()) == ([3, 1], [0, 0])
    assert (found.same.tolist(), found.fold.tolist()) == ([False, True], [4, 5])
    with pytest.raises(ValueError, match=r"mine: the pairs name pictures that are not there \(2\): absent, gone"):
        pair_lists.pairs_over(images, [*pairs, Pair("gone", "absent", True, 0)], "mine")
    assert isinstance(images.labels, pd.DataFrame)


def test_endings_count_only_where_they_tell_two_pictures_apart():
    records = ["Zoë/1.JPG", "b.png", "b.jpg"]
    names = [unicodedata.normalize("NFD", "Zoë/1.jpg"), "b.jpg", "b.png"]
    assert pair_lists.rows_of(records, names, "mine").tolist() == [0, 2, 1]


def test_a_csv_by_any_case_of_its_ending_and_answers(tmp_path):
    (tmp_path / "P.CSV").write_text("a,b,same\nx/1,x/2,True\nx/1,y/1,false\nx/1,x/3,1\n")
    assert kind_of(tmp_path / "P.CSV") == "pairs"
    assert [pair.same for pair in pair_lists.read_pairs(tmp_path / "P.CSV")] == [True, False, True]


def test_a_wrong_header_is_one_fault(tmp_path):
    (tmp_path / "p.csv").write_text("img1,img2,same\n" + "x/1,x/2,1\n" * 9)
    assert [fault.record for fault in check(tmp_path / "p.csv")] == ["line 1"]
