import os

import pyarrow as pa
import pytest

from aifr_lib.data.formats import index


@pytest.fixture
def source(tmp_path, monkeypatch):
    monkeypatch.setenv("AIFR_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "list.txt"
    path.write_text("one")
    return path


class Maker:
    def __init__(self):
        self.count = 0

    def __call__(self):
        self.count += 1
        return pa.table({"record": ["a", "b"], "identity": [self.count, 2]}).replace_schema_metadata({b"mine": b"kept"})


def test_a_table_is_made_once_and_keeps_its_metadata(source):
    make = Maker()
    first, second = (index.cached("list", source, make) for _ in range(2))
    assert make.count == 1
    assert first.equals(second)
    assert second.schema.metadata[b"mine"] == b"kept"
    assert index.WATCHED not in second.schema.metadata
    assert index.cached("other", source, make)["identity"][0].as_py() == 2


@pytest.mark.parametrize("change", ["content", "time", "watched", "gone"])
def test_it_is_made_again_when_a_file_changes(source, change):
    make, beside = Maker(), source.with_suffix(".idx")
    beside.write_text("x")

    def get():
        return index.cached("list", source, make, lambda: [source, beside])

    get()
    get()
    if change == "content":
        source.write_text("another")
    elif change == "time":
        os.utime(source, ns=(1, 1))
    elif change == "watched":
        os.utime(beside, ns=(1, 1))
    else:
        beside.unlink()
    get()
    assert make.count == 2
    get()
    assert make.count == 2


def test_a_file_that_comes_later_counts_as_a_change(source):
    make, beside = Maker(), source.with_suffix(".idx")
    for _ in range(2):
        index.cached("list", source, make, lambda: [source, beside])
    beside.write_text("x")
    index.cached("list", source, make, lambda: [source, beside])
    assert make.count == 2


def test_a_damaged_index_is_made_again(source, caplog):
    make = Maker()
    index.cached("list", source, make)
    path = index.path_of("list", source)
    whole = path.read_bytes()
    for number, damaged in enumerate((b"", whole[: len(whole) // 2], b"PAR1" + bytes(40) + b"PAR1"), start=2):
        path.write_bytes(damaged)
        index.cached("list", source, make)
        assert make.count == number
        assert "is made again" in caplog.text
        caplog.clear()
