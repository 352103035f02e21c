import os
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stored_examples import examples, faces, jpegs, pickled

from aifr_lib.data.formats import insightface_bin
from aifr_lib.data.formats.faults import BadFile
from aifr_lib.data.formats.pictures import BadPicture, decode


@pytest.mark.parametrize("protocol", range(6))
def test_files_of_every_protocol(tmp_path, protocol):
    path = tmp_path / "lfw.bin"
    path.write_bytes(pickled(protocol, arrays=False))
    images, pairs = insightface_bin.load_bin(path)
    np.testing.assert_array_equal(images.pixels[:], np.stack([decode(data) for data in jpegs()]))
    assert (pairs.a.tolist(), pairs.b.tolist(), pairs.same.tolist()) == ([0, 2, 4], [1, 3, 5], [True, False, True])
    path.write_bytes(pickled(protocol, arrays=True))
    images, _ = insightface_bin.load_bin(path)
    np.testing.assert_array_equal(images.pixels[[5, 0]], faces()[[5, 0], ::4, ::4])


def test_a_file_of_python_2(tmp_path):
    path = tmp_path / "old.bin"
    path.write_bytes(examples()["python2.bin"])
    pictures, same = insightface_bin.read_bin(path)
    assert pictures == jpegs()
    assert same.tolist() == [True, False, True]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.binary(), st.binary(), st.booleans()), min_size=1))
def test_what_is_written_comes_back_to_us_and_to_pickle(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("bin") / "a.bin"
    written = [picture for a, b, _ in rows for picture in (a, b)]
    same = [one for _, _, one in rows]
    insightface_bin.write_bin(path, written, same)
    read, answers = insightface_bin.read_bin(path)
    assert (read, answers.tolist()) == (written, same)
    with path.open("rb") as file:
        assert pickle.load(file, encoding="bytes") == (written, same)  # as insightface reads it


def test_folds_are_contiguous_and_ten(tmp_path):
    path = tmp_path / "a.bin"
    insightface_bin.write_bin(path, [jpegs()[0]] * 46, [True] * 23)
    _, pairs = insightface_bin.load_bin(path)
    assert pairs.fold.tolist() == sorted([*range(10)] * 2 + [0, 1, 2])


def test_people_are_joined_by_genuine_pairs_and_equal_pictures(tmp_path):
    a, b, c, d, e, f = jpegs()
    path = tmp_path / "a.bin"
    insightface_bin.write_bin(path, [a, b, b, c, d, e, f, a], [True, True, False, False])
    person = insightface_bin.load_bin(path)[0].labels["identity"].tolist()
    assert person[0] == person[1] == person[2] == person[3] == person[7]
    assert len({person[0], person[4], person[5], person[6]}) == 4


class Hostile:
    def __init__(self, proof):
        self.proof = proof

    def __reduce__(self):
        return os.system, (f"touch {self.proof}",)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file is empty"),
        (b"no pickle", "of the pickle"),
        (pickle.dumps(([b"a", b"b"], [True]))[:-9], "of the pickle"),
        (pickle.dumps([b"a", b"b"]), "two lists were expected"),
        (pickle.dumps(([b"a", b"b", b"c"], [True])), "1 pairs need 2 pictures"),
        (pickle.dumps(([], [])), "at least two"),
        (pickle.dumps(([b"a", "b"], [True])), "picture 1: encoded bytes or an array was expected, found str"),
        (pickle.dumps(([b"a", b"b"], [2])), "pair 0: 'same' must be True or False"),
        (pickle.dumps(([b"a", b"b"], [[[]]])), "pair 0: 'same'"),
        (pickle.dumps(([np.zeros(3)], [True])), "arrays must be of whole numbers or bool, found 'f8'"),
    ],
)
def test_wrong_files_are_named(tmp_path, content, message):
    path = tmp_path / "a.bin"
    path.write_bytes(content)
    with pytest.raises(BadFile, match=message) as caught:
        insightface_bin.read_bin(path)
    assert str(path) in str(caught.value)


def test_a_hostile_pickle_is_refused_by_name_and_does_nothing(tmp_path):
    path = tmp_path / "evil.bin"
    path.write_bytes(pickle.dumps(([b"a", Hostile(tmp_path / "proof")], [True])))
    with pytest.raises(BadFile, match=r"evil\.bin: at byte \d+ of the pickle: it wants posix\.system"):
        insightface_bin.read_bin(path)
    assert not (tmp_path / "proof").exists()


def test_a_broken_picture_is_named_when_it_is_read(tmp_path):
    path = tmp_path / "a.bin"
    good, small = jpegs()[0], faces()[0][::2, ::2].copy()
    insightface_bin.write_bin(path, [good, good[:900], small, np.zeros((0, 0, 3), np.uint8)], [True, False])
    pixels = insightface_bin.load_bin(path)[0].pixels
    for row, message in ((1, "picture 1: cannot read.*cut short"), (2, "picture 2"), (3, "picture 3: an array uint8")):
        with pytest.raises(BadPicture, match=message):
            pixels[row]
    with pytest.raises(ValueError, match="2 pairs need 4 pictures"):
        insightface_bin.write_bin(path, [good], [True, False])


@pytest.mark.parametrize("dtype", ["i1", "i4", "i8", "u2", "bool"])
@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
def test_answers_of_any_width(tmp_path, dtype, protocol):
    same = np.array([1, 0, 1], dtype=dtype)
    for value in (same, list(same)):
        (tmp_path / "a.bin").write_bytes(pickle.dumps((jpegs(), value), protocol))
        assert insightface_bin.read_bin(tmp_path / "a.bin")[1].tolist() == [True, False, True]
    (tmp_path / "a.bin").write_bytes(pickle.dumps((jpegs(), same + same), protocol))
    if dtype != "bool":
        with pytest.raises(BadFile, match="must be True or False"):
            insightface_bin.read_bin(tmp_path / "a.bin")


def test_numbers_of_another_byte_order_are_refused(tmp_path):
    (tmp_path / "a.bin").write_bytes(pickle.dumps((jpegs(), np.array([1, 0, 1], ">i8"))))
    with pytest.raises(BadFile, match="little-endian"):
        insightface_bin.read_bin(tmp_path / "a.bin")
