import math
import struct

import numpy as np
import pytest
from stored_examples import jpegs, labelled, write_rec

from aifr_lib.data.formats import image_records, recordio
from aifr_lib.data.formats.faults import BadFile
from aifr_lib.data.formats.image_records import Labelled


@pytest.mark.parametrize("idx", [True, False])
@pytest.mark.parametrize("label_record", [True, False])
def test_pictures_and_labels_come_back(tmp_path, idx, label_record):
    path = write_rec(tmp_path / "train.rec", idx=idx, label_record=label_record)
    table = image_records.read_table(path, progress=False).to_pydict()
    first = 1 if label_record else 0
    assert table["key"] == list(range(first, first + 6))
    assert table["identity"] == [0, 0, 1, 1, 2, 2]
    assert table["age"] == [10, 22, 34, 46, 58, 70]
    assert table["gender"] == [0, 1, 0, 1, 0, 1]
    data = path.read_bytes()
    assert [data[at : at + n] for at, n in zip(table["offset"], table["size"], strict=True)] == jpegs()


def test_the_label_record_is_what_insightface_reads(tmp_path):
    path = write_rec(tmp_path / "train.rec")
    keys, offsets = recordio.read_idx(tmp_path / "train.idx")
    file = recordio.RecordFile(path)
    records = {
        key: recordio.unpack(file.read(offset)) for key, offset in zip(keys.tolist(), offsets.tolist(), strict=True)
    }
    assert records[0].labels.tolist() == [7, 10]  # pictures + 1, last key + 1
    assert [records[key].labels.tolist() for key in (7, 8, 9)] == [[1, 3], [3, 5], [5, 7]]
    assert all(records[key].id == key for key in records)
    assert (tmp_path / "property").read_text() == "3,112,112\n"


def test_labels_of_other_writers(tmp_path):
    path = tmp_path / "a.rec"
    with path.open("wb") as file:
        for labels in (4.0, [5.0], [6.0, 1.0], [7.0, *range(14)], [8, math.nan, -1], [9, -3, 7]):
            recordio.write_record(file, recordio.pack(labels, 0, b"picture"))
    table = image_records.read_table(path, progress=False).to_pydict()
    assert table["identity"] == [4, 5, 6, 7, 8, 9]
    assert all(map(math.isnan, table["age"]))
    assert set(table["gender"]) == {-1}
    assert set(table["size"]) == {7}


def test_records_in_parts_are_found(tmp_path):
    magic = recordio.MAGIC_BYTES
    pictures = [b"ab", magic, b"abc" + magic, b"abcd" + magic * 2]
    path = tmp_path / "a.rec"
    with path.open("wb") as file:
        for number, picture in enumerate(pictures):
            recordio.write_record(file, recordio.pack(float(number), number, picture))
        # The magic as a label: the cut falls into the header.
        label = struct.unpack("<f", magic)[0]
        recordio.write_record(file, recordio.pack([9.0, label], 9, b"xyz"))
    table = image_records.read_table(path, progress=False).to_pydict()
    assert table["identity"] == [0, 1, 2, 3, 9]
    assert table["size"] == [2, image_records.SPLIT, 7, image_records.SPLIT, image_records.SPLIT]


@pytest.mark.parametrize(
    ("label", "message"),
    [
        (-1.0, "record 1: the label must be a whole number"),
        (0.5, "found 0.5"),
        (math.nan, "found nan"),
        (math.inf, "inf"),
        (1e30, "whole number from 0 to 16777216"),
    ],
)
@pytest.mark.filterwarnings("error")
def test_a_label_that_is_none(tmp_path, label, message):
    path = tmp_path / "a.rec"
    with path.open("wb") as file:
        recordio.write_record(file, recordio.pack(0.0, 0, b"x"))
        recordio.write_record(file, recordio.pack(label, 1, b"x"))
    with pytest.raises(BadFile, match=message):
        image_records.read_table(path, progress=False)


@pytest.mark.filterwarnings("error")
def test_a_label_of_bits_that_signal(tmp_path):
    """Rounding a signalling NaN warns."""
    path = tmp_path / "a.rec"
    with path.open("wb") as file:
        recordio.write_record(file, recordio.pack(7.0, 0, b"x"))
    path.write_bytes(path.read_bytes().replace(struct.pack("<f", 7), b"\x01\0\x80\x7f"))
    with pytest.raises(BadFile, match="found nan"):
        image_records.read_table(path, progress=False)


def test_a_record_with_nothing_in_it(tmp_path):
    path = tmp_path / "a.rec"
    with path.open("wb") as file:
        recordio.write_record(file, recordio.pack(0.0, 0, b""))
    with pytest.raises(BadFile, match="record 0: it holds no picture, and is no label record"):
        image_records.read_table(path, progress=False)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("3\t1000000", r"record 3: byte 1000000: the head of a record should stand here; the file ends at"),
        ("3\t-4", "record 3: byte -4: records begin at multiples of four"),
        ("three\t8", "line 4: 'key TAB offset' was expected"),
        ("3\t2", "record 3: byte 2: records begin at multiples of four"),
        ("3\t4", "record 3: byte 4: a record begins with 0xced7230a"),
    ],
)
def test_an_idx_that_points_elsewhere(tmp_path, line, message):
    path = write_rec(tmp_path / "train.rec")
    lines = (tmp_path / "train.idx").read_text().splitlines()
    lines[3] = line
    (tmp_path / "train.idx").write_text("\n".join(lines))
    with pytest.raises(BadFile, match=message):
        image_records.read_table(path, progress=False)


def test_a_label_record_that_counts_otherwise(tmp_path):
    path = write_rec(tmp_path / "train.rec")
    lines = (tmp_path / "train.idx").read_text().splitlines()
    (tmp_path / "train.idx").write_text("\n".join(lines[:3] + lines[4:]))
    with pytest.raises(BadFile, match="record 0: the label record says 6 pictures, the file holds 5"):
        image_records.read_table(path, progress=False)


def test_vectorised_labels_equal_those_read_one_by_one(tmp_path):
    random = np.random.default_rng(0)
    path = tmp_path / "a.rec"
    with path.open("wb") as file:
        for key in range(300):
            labels = [float(random.integers(50)), float(random.integers(90)), float(random.integers(2))]
            picture = random.bytes(int(random.integers(0, 30))) + recordio.MAGIC_BYTES * int(random.integers(0, 2))
            id2 = image_records.AGED if key % 2 else int(random.integers(2)) << 32
            recordio.write_record(file, recordio.pack(labels if key % 3 else labels[0], key, picture + b".", id2))
    file = recordio.RecordFile(path)
    offsets = np.array([offset for offset, _ in file.scan()])
    columns, problems = image_records.examine(file, np.arange(300), offsets)
    assert not problems
    for row, offset in enumerate(offsets.tolist()):
        record = recordio.unpack(file.read(offset))
        assert columns["identity"][row] == record.labels[0]
        if len(record.labels) == 3 and record.id2 == image_records.AGED:
            assert (columns["age"][row], columns["gender"][row]) == tuple(record.labels[1:])
        else:
            assert np.isnan(columns["age"][row]) and columns["gender"][row] == -1
        if columns["size"][row] != image_records.SPLIT:
            at = columns["offset"][row]
            assert file.bytes[at : at + columns["size"][row]] == record.picture


def test_what_cannot_be_written(tmp_path):
    items = labelled()
    for wrong, message in (
        ([items[0], items[2], items[1]], "identity 0 comes back"),
        ([Labelled(b"x", -1)], "identity -1"),
        (items[:2], "3 pictures were promised, 2 came"),
    ):
        count = 3 if message.startswith("3") else len(wrong)
        with pytest.raises(ValueError, match=message):
            image_records.write(tmp_path / "a.rec", iter(wrong), count, size=(112, 112), progress=False)
        assert not list(tmp_path.iterdir())


def test_grouping_keeps_the_order_within_a_person():
    assert image_records.grouped([2, 0, 2, 0, 1]).tolist() == [1, 3, 4, 0, 2]


def test_labels_of_other_writers_are_no_ages(tmp_path):
    path = tmp_path / "a.rec"
    with path.open("wb") as file:
        recordio.write_record(file, recordio.pack([0.0, 57.3, 1.0], 0, b"picture"))
        recordio.write_record(file, recordio.pack([1.0, 31.0, 1.0], 1, b"picture", image_records.AGED))
    table = image_records.read_table(path, progress=False)
    assert table.column("identity").to_pylist() == [0, 1]
    assert np.isnan(table.column("age")[0].as_py()) and table.column("age")[1].as_py() == 31
    assert table.column("gender").to_pylist() == [-1, 1]
