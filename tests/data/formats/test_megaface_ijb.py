import json
import struct

import numpy as np
import pytest
from stored_examples import examples, feature_file

from aifr_lib.data.formats import ijb, megaface
from aifr_lib.data.formats.faults import BadFile


def test_a_feature_file_by_hand(tmp_path):
    path = tmp_path / "a_feature.bin"
    path.write_bytes(struct.pack("<4i3f", 3, 1, 4, 5, 0.5, -2, 8))
    assert megaface.read_features(path, 3).tolist() == [0.5, -2, 8]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "a header of 16 bytes"),
        (struct.pack("<4i", 2, 2, 4, 5), "header must be"),
        (struct.pack("<4i", 1 << 30, 1, 4, 5), "header must be"),
        (struct.pack("<4id", 1, 1, 8, 6, 0), "header must be"),
        (struct.pack("<4i2f", 3, 1, 4, 5, 0, 0), "3 numbers need 28 bytes, the file has 24"),
        (struct.pack("<4i2f", 2, 1, 4, 5, 0, np.nan), "NaN or infinity in place 1"),
        (struct.pack("<4i2f", 2, 1, 4, 5, 0, 1), "dimension 3 were expected, found 2"),
    ],
)
def test_wrong_features_are_named(tmp_path, content, message):
    path = tmp_path / "a.bin"
    path.write_bytes(content)
    with pytest.raises(BadFile, match=message):
        megaface.read_features(path, 3 if "expected" in message else None)


def test_many_feature_files_become_one_array(tmp_path):
    random = np.random.default_rng(0)
    vectors = random.standard_normal((5, 8)).astype(np.float32)
    for row, vector in enumerate(vectors):
        feature_file(tmp_path / f"p{row}" / "x.jpg_net.bin", vector)
    names = [f"p{row}/x.jpg" for row in range(5)]
    (tmp_path / "list.json").write_text(json.dumps({"path": names, "id": [3, 3, 4, 4, 5]}))
    paths, people = megaface.read_list(tmp_path / "list.json")
    assert people == ["3", "3", "4", "4", "5"]
    array = megaface.stack_features(tmp_path, paths, tmp_path / "all.npy", suffix="_net.bin")
    np.testing.assert_array_equal(array, vectors)
    assert isinstance(array, np.memmap)
    feature_file(tmp_path / "p3" / "x.jpg_net.bin", vectors[0, :5])
    with pytest.raises(BadFile, match=r"p3/x\.jpg_net\.bin: features of dimension 8 were expected, found 5"):
        megaface.stack_features(tmp_path, paths, tmp_path / "two.npy", suffix="_net.bin")
    with pytest.raises(BadFile, match=r"gone\.bin: cannot read"):
        megaface.stack_features(tmp_path, ["gone"], tmp_path / "two.npy", suffix=".bin")
    assert not (tmp_path / "two.npy").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[]", "was expected"),
        ('{"path": []}', "was expected"),
        ('{"path": ["a"], "id": [1, 2]}', "1 paths need as many ids"),
        ('{"path": ["a", 3]}', "path 1: a path must be a string"),
        ('{"path": ["a", "../b"]}', "path 1: a path inside"),
    ],
)
def test_wrong_kits_are_named(tmp_path, content, message):
    (tmp_path / "kit.json").write_text(content)
    with pytest.raises(BadFile, match=message):
        megaface.read_list(tmp_path / "kit.json")


@pytest.fixture
def files(tmp_path):
    for name, content in examples().items():
        (tmp_path / name).write_bytes(content)
    return tmp_path


def test_ijb_lists(files):
    media = ijb.read_media(files / "media.txt")
    assert media.to_dict("list") == {
        "record": ["1.jpg", "2.jpg", "3.jpg"],
        "template": [1, 1, 7],
        "media": [69544, 69544, 11],
    }
    for _ in range(2):  # the second time from the index
        pairs = ijb.read_template_pairs(files / "template_pairs.txt")
        assert pairs.to_dict("list") == {"a": [1, 1], "b": [7, 1], "same": [False, True]}
        assert pairs["same"].dtype == bool
    ijb.check_templates(media, pairs, "pairs")
    with pytest.raises(BadFile, match="pairs: 1 templates have no picture: 9"):
        ijb.check_templates(media, pairs.assign(b=[9, 1]), "pairs")
    records, points, score = ijb.read_landmarks(files / "points.txt")
    assert records == ["1.jpg"]
    assert points.shape == (1, 5, 2)
    np.testing.assert_allclose(points[0, 1], [73.5, 51.5])
    np.testing.assert_allclose(score, [0.998])


@pytest.mark.parametrize(
    ("name", "line", "message"),
    [
        ("media.txt", "4.jpg 1", "line 4: 'picture template media' between single spaces was expected, found 2"),
        ("media.txt", "../4.jpg 1 1", "line 4: a path inside"),
        ("media.txt", "4.jpg -1 1", "line 4: the template must be a whole number from 0"),
        ("media.txt", "4.jpg x 1", "line 4: the template"),
        ("template_pairs.txt", "1 1 2", "line 3: the label must be 1 or 0, found '2'"),
        ("template_pairs.txt", "1 1 1 1", "line 3: 'template template label'"),
        ("points.txt", "2.jpg" + " 1" * 10 + " nan", "line 2: coordinates and score must be numbers, found 'nan'"),
        ("points.txt", "2.jpg" + " 1" * 9, "line 2: 'picture, ten coordinates, score'"),
    ],
)
def test_wrong_ijb_lines_are_named(files, name, line, message):
    readers = {
        "media.txt": ijb.read_media,
        "template_pairs.txt": ijb.read_template_pairs,
        "points.txt": ijb.read_landmarks,
    }
    with (files / name).open("a") as file:
        file.write(line + "\n")
    with pytest.raises(BadFile, match=message):
        readers[name](files / name)
    (files / name).write_bytes(b"")
    with pytest.raises(BadFile, match=name):
        readers[name](files / name)
