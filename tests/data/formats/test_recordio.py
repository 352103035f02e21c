import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stored_examples import jpegs

from aifr_lib.data.formats import image_records, recordio
from aifr_lib.data.formats.faults import BadFile
from aifr_lib.data.formats.pictures import decode
from aifr_lib.data.formats.recordio import MAGIC_BYTES, RecordFile, pack, unpack, write_record


def slow_records(data: bytes) -> list[bytes]:
    """The format read once more, straight from its description, with nothing shared."""
    found, parts, at = [], [], 0
    while at < len(data):
        assert data[at : at + 4] == bytes([0x0A, 0x23, 0xD7, 0xCE])
        (word,) = struct.unpack("<I", data[at + 4 : at + 8])
        flag, length = word // 2**29, word % 2**29
        parts.append(data[at + 8 : at + 8 + length])
        at += 8 + length
        while at % 4:
            assert data[at] == 0
            at += 1
        if flag in (0, 3):
            found.append(data[0:0].join([parts[0], *(MAGIC_BYTES + part for part in parts[1:])]))
            parts = []
    return found


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.sampled_from([b"", b"a", b"xy", b"four", MAGIC_BYTES, MAGIC_BYTES[:2]])).map(b"".join)))
def test_records_come_back_whatever_they_hold(tmp_path_factory, payloads):
    path = tmp_path_factory.mktemp("rec") / "a.rec"
    with path.open("wb") as file:
        offsets = [write_record(file, payload) for payload in payloads]
    assert slow_records(path.read_bytes()) == payloads
    if payloads:
        file = RecordFile(path)
        assert [offset for offset, _ in file.scan()] == offsets
        assert [file.read(offset) for offset in offsets] == payloads


def test_a_file_written_by_hand_byte_by_byte(tmp_path):
    picture = jpegs()[0]
    header = bytes([0, 0, 0, 0]) + struct.pack("<f", 5.0) + (7).to_bytes(8, "little") + bytes(8)
    length = len(header) + len(picture)
    part = bytes([0x0A, 0x23, 0xD7, 0xCE]) + length.to_bytes(4, "little") + header + picture
    part += bytes(-len(part) % 4)
    # A second record whose picture, cut by the magic at a multiple of four, stands in three parts.
    labels = bytes([2, 0, 0, 0]) + bytes(4) + (8).to_bytes(8, "little") + bytes(8) + struct.pack("<2f", 6, 1)
    pieces = [labels + b"abcd", b"efgh", b"ij"]
    cut = b"".join(
        bytes([0x0A, 0x23, 0xD7, 0xCE]) + (cflag << 29 | len(piece)).to_bytes(4, "little") + piece
        for cflag, piece in zip((1, 2, 3), pieces, strict=True)
    ) + bytes(2)
    path = tmp_path / "hand.rec"
    path.write_bytes(part + cut)
    table = image_records.read_table(path, progress=False).to_pydict()
    assert table["key"] == [0, 1]
    assert table["identity"] == [5, 6]
    assert table["size"] == [len(picture), image_records.SPLIT]
    assert table["offset"] == [8 + 24, len(part)]
    record = unpack(RecordFile(path).read(0))
    assert (record.id, record.picture) == (7, picture)
    assert decode(record.picture).shape == (112, 112, 3)
    magic = bytes([0x0A, 0x23, 0xD7, 0xCE])
    assert unpack(RecordFile(path).read(len(part))).picture == b"abcd" + magic + b"efgh" + magic + b"ij"
    with (tmp_path / "again.rec").open("wb") as file:
        write_record(file, header + picture)
        write_record(file, labels + b"abcd" + magic + b"efgh" + magic + b"ij")
    assert (tmp_path / "again.rec").read_bytes() == path.read_bytes()


@given(st.lists(st.floats(width=32, allow_nan=False), max_size=5), st.integers(0, 2**64 - 1), st.binary(max_size=9))
def test_headers_come_back(labels, id, picture):
    record = unpack(pack(labels, id, picture))
    assert record.id == id
    if labels:
        assert record.labels.tolist() == labels
        assert record.picture == picture
    single = unpack(pack(3.0, id, picture))
    assert (single.labels.tolist(), single.picture) == ([3.0], picture)


@pytest.mark.parametrize(
    ("payload", "message"),
    [(b"short", "header of 24 bytes, it has 5"), (struct.pack("<IfQQ", 9, 0, 0, 0) + b"abcd", "says 9 labels")],
)
def test_short_headers_are_named(payload, message):
    with pytest.raises(BadFile, match=message):
        unpack(payload)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: b"", "a record takes at least 8 bytes, the file has 0"),
        (lambda data: b"\0" + data[1:], "byte 0: a record begins with 0xced7230a"),
        (lambda data: data[:20], "byte 12: a record of 6 bytes is cut short: the file ends at 20"),
        (lambda data: data[:17], "byte 12: the head of a record should stand here"),
        (lambda data: data[:16] + struct.pack("<I", 4 << 29) + data[20:], "continuation flag must be 0 to 3, found 4"),
        (lambda data: data[:16] + struct.pack("<I", 3 << 29) + data[20:], "a part that continues another"),
        (lambda data: data[:4] + struct.pack("<I", 1 << 29 | 4) + data[8:], "a new record begins"),
    ],
)
def test_broken_framing_is_named(tmp_path, change, message):
    path = tmp_path / "a.rec"
    with path.open("wb") as file:
        write_record(file, b"four")
        write_record(file, b"sixsix")
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(BadFile, match=message) as caught:
        list(RecordFile(path).scan())
    assert str(path) in str(caught.value)


def test_the_way_past_damage(tmp_path):
    path = tmp_path / "a.rec"
    with path.open("wb") as file:
        offsets = [write_record(file, bytes([n]) * 10) for n in range(4)]
    data = bytearray(path.read_bytes())
    data[offsets[1]] = 0
    path.write_bytes(data)
    file = RecordFile(path)
    assert file.resume(offsets[1]) == offsets[2]
    assert file.resume(offsets[3]) is None


def test_idx_and_property_come_back(tmp_path):
    recordio.write_idx(tmp_path / "a.idx", [0, 7, 3], [0, 400, 96])
    keys, offsets = recordio.read_idx(tmp_path / "a.idx")
    assert (keys.tolist(), offsets.tolist()) == ([0, 7, 3], [0, 400, 96])
    (tmp_path / "property").write_text("85742,\x1d112, 112\n")
    assert recordio.read_property(tmp_path / "property") == (85742, 112, 112)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "there are none"),
        (b"0\t0\nx\t3\n", "line 2: 'key TAB offset' was expected, found b'x"),
        (b"0 0\n", "line 1"),
        (b"0\t0\n1\t8\n0\t16\n", "line 3: key 0 stands more than once"),
        (b"0\t99999999999999999999999\n", "line 1"),
        (b"\xff\xfe\0", "line 1"),
    ],
)
def test_a_wrong_idx_is_named(tmp_path, text, message):
    (tmp_path / "a.idx").write_bytes(text)
    with pytest.raises(BadFile, match=message):
        recordio.read_idx(tmp_path / "a.idx")


@pytest.mark.parametrize("text", ["", "ten,112,112", "10,112", "-1,112,112", "1" * 30 + ",112,112", "٣,112,112"])
def test_a_wrong_property_is_named(tmp_path, text):
    (tmp_path / "property").write_text(text)
    with pytest.raises(BadFile, match="identities,height,width"):
        recordio.read_property(tmp_path / "property")


def test_a_record_file_travels_by_its_path(tmp_path):
    import pickle

    path = tmp_path / "a.rec"
    with path.open("wb") as file:
        write_record(file, b"payload")
    sent = pickle.dumps(RecordFile(path))
    assert len(sent) < 500
    assert pickle.loads(sent).read(0) == b"payload"
    with pytest.raises(ValueError, match="at most"), (tmp_path / "b.rec").open("wb") as file:
        write_record(file, memoryview(np.broadcast_to(np.uint8(0), 1 << 29)))
