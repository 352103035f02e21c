import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aifr_lib.data.formats import image_list
from aifr_lib.data.formats.faults import BadFile
from aifr_lib.data.formats.image_list import Listed

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
    image_list.write_image_list(path, written)
    table = image_list.read_image_list(path).to_pydict()
    assert table["record"] == records
    assert table["identity"] == [row.identity for row in written]
    assert table["gender"] == [row.gender for row in written]
    assert [repr(age) for age in table["age"]] == [repr(row.age) for row in written]


def test_a_list_as_mtlface_writes_it(tmp_path):
    (tmp_path / "list.txt").write_text("0 a/1.jpg 31 1\n0 a/2.jpg 60.5 0\n\n7 b.jpg\n")
    table = image_list.read_image_list(tmp_path / "list.txt").to_pydict()
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
        ("1 a.jpg old 1", "the age must be 0 to 120 years or nan, found 'old'"),
        ("1 a.jpg 121 1", "found '121'"),
        ("1 a.jpg 30 m", "the gender must be 1"),
        ("1 ../a.jpg", "a path inside the list's folder was expected, found '../a.jpg'"),
        ("1 /etc/passwd", "a path inside"),
    ],
)
def test_a_wrong_line_is_named_and_all_are_found(tmp_path, line, message):
    path = tmp_path / "list.txt"
    path.write_text(f"0 good.jpg\n{line}\n0 better.jpg\n{line}\n")
    with pytest.raises(BadFile, match=f"list.txt, line 2: .*{message}"):
        image_list.read_image_list(path)
    faults = []
    assert image_list.read_image_list(path, faults.append).num_rows == 2
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
            image_list.read_image_list(path)
    with pytest.raises(ValueError, match="holds a tab"):
        image_list.write_image_list(path, [Listed("a\tb.jpg", 0)])
