"""MATLAB 5 files against scipy's reader, and damaged ones."""

import struct
import zlib

import numpy as np
import pytest
import scipy.io
from stored_examples import write_mat

from aifr_lib.data.formats import mat
from aifr_lib.data.formats.faults import BadFile
from aifr_lib.data.named.annotated import MAT_TEXTS, read_mat


@pytest.mark.parametrize("compressed", [False, True])
def test_what_scipy_writes_is_read_as_scipy_reads_it(tmp_path, compressed):
    columns = {
        "small": np.arange(3, dtype=np.uint8),
        "years": np.array([1960, 2010], np.uint16),
        "days": np.array([[719529.5, -np.inf, np.nan]]),
        "single": np.float32(1.5),
        "word": "Zoë Å",
        "words": np.array(["a", "Zoë_Ångström", ""], dtype=object),
        "none": np.empty((0, 0)),
    }
    path = tmp_path / "table.mat"
    scipy.io.savemat(path, {"other": np.ones(3), "t": columns}, do_compression=compressed)
    theirs = scipy.io.loadmat(path, squeeze_me=True, variable_names=["t"])["t"]
    ours = mat.read_struct(path, "t")
    assert list(ours) == list(columns)
    assert ours.pop("words") == ["a", "Zoë_Ångström", ""] and ours.pop("word") == theirs["word"].item()
    for name, values in ours.items():
        np.testing.assert_array_equal(values, np.atleast_1d(theirs[name].item()), err_msg=name)


def test_text_as_matlab_stores_it():
    """In sixteen bits a letter, where scipy writes UTF-8."""
    letters = "Zoë".encode("utf-16-le")
    body = struct.pack("<2I8s", 6, 8, bytes([mat.CHAR])) + struct.pack("<2I2i", 5, 8, 1, 3) + struct.pack("<2I", 1, 0)
    assert mat._matrix(memoryview(body + struct.pack("<2I", 4, len(letters)) + letters)) == "Zoë"


def test_what_is_no_table_is_named(tmp_path):
    path = tmp_path / "a.mat"
    for value, name, problem in (
        (np.ones(3), "t", "'t' is no struct"),
        ({"a": 1.0}, "u", "holds no variable 'u'"),
        ({"a": {"b": {"c": 1.0}}}, "t", "one struct of numbers, text and cells of text was expected"),
        ({"a": 1 + 2j}, "t", None),
    ):
        scipy.io.savemat(path, {"t": value})
        if problem is None:
            assert mat.read_struct(path, name)["a"].tolist() == [1.0]
            continue
        with pytest.raises(BadFile, match=problem):
            mat.read_struct(path, name)


def test_a_variable_that_unpacks_to_very_much_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(mat, "LARGEST", 1000)
    path = tmp_path / "a.mat"
    scipy.io.savemat(path, {"t": {"a": np.zeros(1000)}}, do_compression=True)
    with pytest.raises(BadFile, match="unpacks to more than 1000 bytes"):
        mat.read_struct(path, "t")
    whole = path.read_bytes()
    path.write_bytes(whole[:128] + struct.pack("<2I", 15, 9) + zlib.compress(b"")[:9])
    with pytest.raises(BadFile, match="damaged"):
        mat.read_struct(path, "t")


def test_columns_of_another_kind_are_named(tmp_path):
    path = write_mat(tmp_path / "wiki.mat", "wiki")
    columns = mat.read_struct(path, "wiki")
    kept = {name: np.array(column, dtype=object if name in MAT_TEXTS else None) for name, column in columns.items()}
    for change, problem in (
        ({"dob": np.array(["x"] * 5, dtype=object)}, "column dob must hold numbers"),
        ({"name": np.ones(5)}, "column name must hold text"),
        ({"gender": np.ones(4)}, "differ in length"),
        ({"full_path": np.array(["../x"] * 5, dtype=object)}, "inside the list's folder"),
    ):
        scipy.io.savemat(path, {"wiki": kept | change})
        with pytest.raises(BadFile, match=problem):
            read_mat(path, "wiki")
    del kept["photo_taken"]
    scipy.io.savemat(path, {"wiki": kept})
    with pytest.raises(BadFile, match="'wiki' lacks photo_taken"):
        read_mat(path, "wiki")


@pytest.mark.filterwarnings("error")
def test_years_that_are_none_give_no_age(tmp_path):
    path = write_mat(tmp_path / "wiki.mat", "wiki")
    columns = mat.read_struct(path, "wiki")
    kept = {name: np.array(column, dtype=object if name in MAT_TEXTS else None) for name, column in columns.items()}
    kept["photo_taken"] = np.array([2000.0, np.nan, 1e300, -5.0, 1999.5])
    scipy.io.savemat(path, {"wiki": kept})
    assert read_mat(path, "wiki")["age"].tolist() == pytest.approx([30.0, *[np.nan] * 4], nan_ok=True)
