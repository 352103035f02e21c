import os
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aifr_lib.data.formats.safe_pickle import Forbidden, arrays, loads

plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | st.binary() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.tuples(inner) | st.tuples(inner, inner, inner, inner),
    max_leaves=12,
)


@settings(max_examples=30, deadline=None)
@given(plain, st.integers(0, 5))
def test_plain_data_come_back_in_every_protocol(value, protocol):
    assert loads(pickle.dumps(value, protocol)) == value


@pytest.mark.parametrize("protocol", range(6))
def test_arrays_come_back_in_every_protocol(protocol):
    colour = np.random.default_rng(0).integers(0, 256, (4, 5, 3), dtype=np.uint8)
    value = (
        [colour, np.asfortranarray(colour), colour[:, ::2], np.zeros((0, 0, 3), np.uint8)],
        np.array([True, False]),
    )
    arrays, same = loads(pickle.dumps(value, protocol))
    for array, expected in zip([*arrays, same], [*value[0], value[1]], strict=True):
        assert array.dtype == expected.dtype
        np.testing.assert_array_equal(array, expected)
    assert loads(pickle.dumps([np.bool_(True), np.uint8(7), bytearray(b"ab")], protocol)) == [True, 7, b"ab"]


def test_strings_of_python_2_are_bytes():
    text = b"((lp0\nS'\\xff\\xd8\\x00q\\'\\n'\np1\naS\"a'b\"\na(lp2\nI01\naI00\natp3\n."
    assert loads(text) == ([b"\xff\xd8\x00q'\n", b"a'b"], [True, False])
    assert loads(b"\x80\x02]q\x00U\x03\xff\xd8\x01q\x01a]q\x02\x88a\x86.") == ([b"\xff\xd8\x01"], [True])
    old_array = (
        b"\x80\x02cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R(K\x01K\x02K\x01\x86"
        b"cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89U\x02\x07\x09tb."
    )
    assert loads(old_array).tolist() == [[7], [9]]


class Hostile:
    def __init__(self, call, *arguments):
        self.made = (call, arguments)

    def __reduce__(self):
        return self.made


@pytest.mark.parametrize("protocol", range(6))
def test_nothing_is_called(tmp_path, protocol):
    proof = tmp_path / "proof"
    for hostile in (
        Hostile(os.system, f"touch {proof}"),
        Hostile(eval, f"open({str(proof)!r}, 'w')"),
        Hostile(getattr, b"", "join"),
        np.array([proof], dtype=object),
        np.arange(3.0),
        np.dtype([("a", "u1")]),
        {"a": 1},
        {1, 2},
        Hostile,
        complex(1, 2),
    ):
        with pytest.raises(Forbidden, match="of the pickle"):
            loads(pickle.dumps(([hostile], [True]), protocol))
    assert not proof.exists()


def nested(instruction: bytes, depth: int) -> bytes:
    return b"]q\x00" + b"".join(
        b"(h" + bytes([n]) + b"h" + bytes([n]) + instruction + b"q" + bytes([n + 1]) for n in range(depth)
    )


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b".",
        b"\x80\x04.",
        b"N",
        b"(",
        b"(lp0\ng0\na.",
        b"h\x05.",
        b"\x85.",
        b"l.",
        b"K\x01K\x02a.",
        b"NNR.",
        b"cnumpy\ndtype\n.",
        b"cnumpy\ndtype\nU\x02f8\x85R.",
        b"cos\nsystem\n(S'ls'\ntR.",
        b"X\xff\xff\xff\x7fabc.",
        b"\x8e\xff\xff\xff\xff\xff\xff\xff\x7fabc.",
        b"\x8b\xff\xff\xff\x7fabc.",
        b"r\xff\xff\xff\x7f.",
        b"Nr\xff\xff\xff\x7fj\x00\x00\x00\x00.",
        b"(" * 100_000 + b"l" * 100_000 + b".",
        nested(b"t", 60) + b"\x8c\x01a\x93.",
        nested(b"t", 60) + b"\x85cnumpy\ndtype\nh\x3c\x85R.",
        b"cnumpy.core.numeric\n_frombuffer\n(C\x01acnumpy\ndtype\nU\x02u1\x85RJ\xff\xff\xff\x7f\x85U\x01CtR.",
        b"c_codecs\nencode\nq\x00X\x10\x27\x00\x00"
        + b"a" * 10_000
        + b"q\x01X\x06\x00\x00\x00latin1q\x02\x86q\x030("
        + b"h\x00h\x03R" * 100
        + b"l.",
    ],
    ids=range(24),
)
def test_damaged_and_hostile_pickles_end_soon(data):
    with pytest.raises(Forbidden):
        loads(data)


def test_shared_parts_cost_what_they_take_in_the_file():
    assert len(loads(nested(b"l", 60) + b".")) == 2


@pytest.mark.parametrize("protocol", range(6))
def test_arrays_by_name_come_back_in_every_protocol(protocol):
    value = {"w": np.linspace(0, 1, 6, dtype=np.float32).reshape(2, 3), "b": np.arange(3.0), "n": np.arange(4)}
    found = arrays(pickle.dumps(value, protocol))
    assert list(found) == list(value)
    for name, expected in value.items():
        assert found[name].dtype == expected.dtype
        np.testing.assert_array_equal(found[name], expected)
    assert arrays(pickle.dumps({}, protocol)) == {}


@pytest.mark.parametrize(
    "data",
    [
        pickle.dumps([np.zeros(2)]),
        pickle.dumps({1: np.zeros(2)}),
        pickle.dumps({("a",): np.zeros(2)}),
        pickle.dumps({"a": 1.0}),
        pickle.dumps({"a": np.array([None])}),
        pickle.dumps({"a": Hostile(os.getcwd)}),
        b"}q\x00X\x01\x00\x00\x00ah\x00s.",
        b"}X\x01\x00\x00\x00au.",
        b"(X\x01\x00\x00\x00ad.",
        b"]X\x01\x00\x00\x00aNs.",
        nested(b"l", 60) + b"X\x01\x00\x00\x00ad.",
    ],
    ids=range(11),
)
def test_what_is_no_dict_of_arrays_is_refused(data):
    with pytest.raises(Forbidden):
        arrays(data)
