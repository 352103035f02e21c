import math

import pandas as pd
import pytest
from conftest import make_images
from hypothesis import given, settings
from hypothesis import strategies as st
from stored_examples import examples

from aifr_lib.data import lists
from aifr_lib.data.faults import BadFile
from aifr_lib.data.lists import Listed, Pair

names = st.text(st.characters(blacklist_categories=["Cs", "Cc"], blacklist_characters="/"), min_size=1).filter(
    lambda name: name.strip() == name and name not in (".", "..") and not name.startswith("\ufeff")
)
ages = st.just(math.nan) | st.floats(0, 120, width=32)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 10**12), ages, st.sampled_from([-1, 0, 1])), min_size=1, max_size=6), st.data()
)
def test_image_lists_come_back(tmp_path_factory, rows, data):
    records = data.draw(st.lists(names, min_size=len(rows), max_size=len(rows), unique=True))
    written = [
        Listed(record, identity, age, gender) for record, (identity, age, gender) in zip(records, rows, strict=True)
    ]
    path = tmp_path_factory.mktemp("list") / "list.txt"
    lists.write_image_list(path, written)
    table = lists.read_image_list(path).to_pydict()
    assert table["record"] == records
    assert table["identity"] == [row.identity for row in written]
    assert table["gender"] == [row.gender for row in written]
    assert [repr(age) for age in table["age"]] == [repr(row.age) for row in written]


def test_a_list_as_mtlface_writes_it(tmp_path):
    (tmp_path / "list.txt").write_text("0 a/1.jpg 31 1\n0 a/2.jpg 60.5 0\n\n7 b.jpg\n")
    table = lists.read_image_list(tmp_path / "list.txt").to_pydict()
    assert table["record"] == ["a/1.jpg", "a/2.jpg", "b.jpg"]
    assert table["identity"] == [0, 0, 7]
    assert table["age"][:2] == [31, 60.5]
    assert math.isnan(table["age"][2])
    assert table["gender"] == [1, 0, -1]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("1 a b.jpg 30 1", "found 5 fields .put tabs between them"),
        ("1 a.jpg 30", "found 3 fields"),
        ("x a.jpg", "the id must be a whole number from 0, found 'x'"),
        ("-1 a.jpg", "the id must be a whole number"),
        ("1 a.jpg old 1", "the age must be 0 to 130 years or nan, found 'old'"),
        ("1 a.jpg 200 1", "found '200'"),
        ("1 a.jpg 30 m", "the gender must be 1"),
        ("1 ../a.jpg", "a path inside the list's folder was expected, found '../a.jpg'"),
        ("1 /etc/passwd", "a path inside"),
    ],
)
def test_a_wrong_line_is_named_and_all_are_found(tmp_path, line, message):
    path = tmp_path / "list.txt"
    path.write_text(f"0 good.jpg\n{line}\n0 better.jpg\n{line}\n")
    with pytest.raises(BadFile, match=f"list.txt, line 2: .*{message}"):
        lists.read_image_list(path)
    faults = []
    assert lists.read_image_list(path, faults.append).num_rows == 2
    assert [fault.record for fault in faults] == ["line 2", "line 4"]


def test_other_wrong_lists(tmp_path):
    path = tmp_path / "list.txt"
    for content, message in (
        (b"", "the list is empty"),
        (b"0 a.jpg\n0 b.jpg\n1 a.jpg\n", "a.jpg stands more than once"),
        (b"0 a.jpg\n0 \xff\xfe\n", "line 2: not UTF-8"),
        (b"0 " + b"a" * 70_000, "line 1: a line of more than"),
    ):
        path.write_bytes(content)
        with pytest.raises(BadFile, match=message):
            lists.read_image_list(path)
    with pytest.raises(ValueError, match="holds a tab"):
        lists.write_image_list(path, [Listed("a\tb.jpg", 0)])


def test_lfw_pairs_by_hand(tmp_path):
    path = tmp_path / "pairs.txt"
    path.write_bytes("2\t1\nZoë\t1\t12\nAnn\t3\tZoë\t4\nBob\t2\t3\nAnn\t1\tBob\t1\n".encode())
    assert lists.read_pairs(path) == [
        Pair("Zoë/Zoë_0001.jpg", "Zoë/Zoë_0012.jpg", True, 0),
        Pair("Ann/Ann_0003.jpg", "Zoë/Zoë_0004.jpg", False, 0),
        Pair("Bob/Bob_0002.jpg", "Bob/Bob_0003.jpg", True, 1),
        Pair("Ann/Ann_0001.jpg", "Bob/Bob_0001.jpg", False, 1),
    ]
    assert lists.read_pairs(path, suffix=".png")[0].a == "Zoë/Zoë_0001.png"
    path.write_text("1\nAnn\t1\t2\nAnn\t1\tBob\t2\n")
    assert [pair.fold for pair in lists.read_pairs(path)] == [0, 0]


@pytest.mark.parametrize("name", ["pairs.txt", "pairs.csv"])
def test_pairs_come_back(tmp_path, name):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / name).write_bytes(examples()[name])
    pairs = lists.read_pairs(tmp_path / "a" / name)
    lists.write_pairs(tmp_path / name, pairs)
    assert lists.read_pairs(tmp_path / name) == pairs
    lists.write_pairs(tmp_path / "other.csv", pairs)
    assert lists.read_pairs(tmp_path / "other.csv") == pairs


def test_a_csv_without_folds_gets_ten(tmp_path):
    path = tmp_path / "pairs.csv"
    path.write_text("same,b,a\n" + "".join(f"{n % 2},b{n}.jpg,a{n}.jpg\n" for n in range(21)))
    pairs = lists.read_pairs(path)
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
        lists.read_pairs(tmp_path / name)


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
        lists.write_pairs(tmp_path / "pairs.txt", pairs)


def test_pairs_over_images():
    images = make_images(identities=2, per_identity=2)
    pairs = [Pair("picture-003", "picture-000", False, 4), Pair("picture-001", "picture-000", True, 5)]
    found = lists.pairs_over(images, pairs, "mine")
    assert (found.a.tolist(), found.b.tolist()) == ([3, 1], [0, 0])
    assert (found.same.tolist(), found.fold.tolist()) == ([False, True], [4, 5])
    with pytest.raises(ValueError, match="mine: noise has no picture absent, gone"):
        lists.pairs_over(images, [*pairs, Pair("gone", "absent", True, 0)], "mine")
    assert isinstance(images.labels, pd.DataFrame)
