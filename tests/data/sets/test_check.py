import numpy as np
import pytest
from stored_examples import encoded, examples, faces, feature_file, jpegs, write_rec

from aifr_lib.data.formats import recordio
from aifr_lib.data.formats.faults import Doubt
from aifr_lib.data.formats.insightface_bin import write_bin
from aifr_lib.data.sets.check import check
from aifr_lib.data.sets.check_together import check_splits, check_together


def faults(path, **options):
    return [str(fault) for fault in check(path, progress=False, **options)]


@pytest.fixture
def rec(tmp_path):
    return write_rec(tmp_path / "train.rec")


def test_whole_files_have_no_faults(tmp_path, rec):
    for name, content in examples().items():
        path = tmp_path / "files" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
        if path.suffix not in (".jpg", ".png", ".bmp", ".json") and name not in ("list.txt", "property"):
            assert faults(path) == []
    assert faults(rec) == faults(tmp_path) == []
    (tmp_path / "train.idx").unlink()
    assert faults(rec) == []


def test_all_faults_of_a_rec_are_found_in_one_pass(tmp_path, rec):
    data = bytearray(rec.read_bytes())
    _, offsets = recordio.read_idx(tmp_path / "train.idx")
    second, third = (int(offsets[key]) for key in (2, 3))
    data[second : second + 4] = b"oops"  # the framing of record 2
    at = data.index(jpegs()[2])
    data[at + 400 : at + 700] = b"\xff" * 300  # the picture of record 3
    data[int(offsets[6]) + 8 + 24 : int(offsets[6]) + 8 + 28] = b"\0\0\xc0\x7f"  # the label of record 6 is NaN
    rec.write_bytes(data)
    (tmp_path / "property").write_text("8,112,96\n")
    found = faults(rec)
    for wanted in (
        f"record 2: byte {second}: a record begins with 0xced7230a",
        "record 3: cannot read the picture",
        "record 6: the label must be a whole number from 0 to 16777216, found nan",
        "record 0: the label record says 6 pictures, the file holds 5",
        "property: it says 8 identities, the pictures have 3",
        "property: it says pictures of 112×96, they are 112×112",
    ):
        assert sum(wanted in fault for fault in found) == 1, (wanted, found)
    assert len(found) == 6
    (tmp_path / "train.idx").unlink()
    assert any(f"byte {second}: a record begins" in fault for fault in faults(rec))
    assert any(f"record {2}: cannot read the picture" in fault for fault in faults(rec)), "record 1 lost its place"
    assert third > second


def test_an_idx_and_its_rec(tmp_path, rec):
    lines = (tmp_path / "train.idx").read_text().splitlines()
    (tmp_path / "train.idx").write_text("\n".join([*lines[:4], "4\t999996", *lines[6:]]))
    found = faults(rec)
    assert sum("train.idx does not list the record that begins here" in fault for fault in found) == 2
    assert sum("record 4: byte 999996: the head of a record should stand here" in fault for fault in found) == 1
    (tmp_path / "train.idx").write_text("0\t0\n0\t0\n")
    assert "line 2: key 0 stands more than once" in faults(rec)[0]


def test_label_gaps_and_pictures_of_two_sizes(tmp_path):
    path = tmp_path / "a.rec"
    with path.open("wb") as file:
        for label in (0, 1, 5, 6, 9):
            small = encoded("RGB", "JPEG", faces()[0][:50].copy())
            recordio.write_record(file, recordio.pack(float(label), 0, small if label == 6 else jpegs()[0]))
    assert faults(path) == [
        f"{path}: label gaps: 5 identities between 0 and 9 have no picture: 2–4, 7–8",
        f"{path}, record 3: the picture is 50×112, the first is 112×112",
    ]


@pytest.mark.parametrize("idx", [True, False])
@pytest.mark.parametrize("cut", [0, 3, 1000, 9001])
def test_a_rec_cut_short(rec, idx, cut):
    if not idx:
        rec.with_suffix(".idx").unlink()
    rec.write_bytes(rec.read_bytes()[:cut])
    assert faults(rec)


def test_a_bin(tmp_path):
    path = tmp_path / "a.bin"
    write_bin(
        path, [jpegs()[0], jpegs()[1][:500], np.zeros((0, 0, 3), np.uint8), faces()[0][::2].copy()], [True, False]
    )
    found = faults(path)
    assert [fault.split(": ")[0].split(", ")[1] for fault in found] == ["picture 1", "picture 2", "picture 3"]
    path.write_bytes(b"junk")
    assert "the pickle is damaged at byte 0" in faults(path)[0]


def test_a_list_and_a_folder(tmp_path):
    (tmp_path / "p0").mkdir()
    (tmp_path / "p0" / "1.jpg").write_bytes(jpegs()[0])
    (tmp_path / "p0" / "2.jpg").write_bytes(jpegs()[0][:-900])
    (tmp_path / "list.txt").write_text("0 p0/1.jpg\n0 p0/1.jpg\nx\n3 p0/9.jpg\n")
    found = "\n".join(faults(tmp_path / "list.txt"))
    for wanted in (
        "line 3: 'id path'",
        "p0/1.jpg stands more than once",
        "label gaps: 2 identities",
        "p0/9.jpg: cannot read",
    ):
        assert wanted in found
    assert len(faults(tmp_path)) == 1
    (tmp_path / "labels.csv").write_text("file,identity\np0/1.jpg,0\n")
    assert [fault for fault in faults(tmp_path) if "p0/2.jpg: labels.csv does not list this picture" in fault]
    (tmp_path / "labels.csv").write_text("file,identity\np0/7.jpg,0\n")
    assert "line 2: no file p0/7.jpg" in faults(tmp_path)[0]


def test_pairs_that_name_absent_files(tmp_path):
    (tmp_path / "lfw" / "Ann").mkdir(parents=True)
    (tmp_path / "lfw" / "Ann" / "Ann_0001.jpg").write_bytes(jpegs()[0])
    path = tmp_path / "pairs.txt"
    path.write_text("1\t2\nAnn\t1\t2\nAnn\t1\t1\nAnn\t1\tBob\t1\nBob\t1\tAnn\t1\n")
    assert len(faults(path)) == 2
    found = faults(path, pictures=tmp_path / "lfw")
    assert [fault for fault in found if "pair 1: Ann/Ann_0001.jpg is paired with itself" in fault]
    assert [fault for fault in found if "pair 3: the same pictures as pair 2" in fault]
    for name in ("Bob/Bob_0001.jpg", "Ann/Ann_0002.jpg"):
        assert [fault for fault in found if fault.endswith(f"{name}: no such picture, with any ending")]
    assert len(found) == 4
    (tmp_path / "lfw" / "Bob").mkdir()
    (tmp_path / "lfw" / "Bob" / "Bob_0001.PNG").write_bytes(encoded("RGB", "PNG"))
    assert len(faults(path, pictures=tmp_path / "lfw")) == 3


def test_people_in_two_splits(tmp_path):
    for name, people in (("train", "ann bob cid"), ("test", "cid dan"), ("more", "eve")):
        for person in people.split():
            (tmp_path / name / person).mkdir(parents=True)
            (tmp_path / name / person / "1.jpg").write_bytes(jpegs()[0])
    found = [str(fault) for fault in check_splits([tmp_path / name for name in ("train", "test", "more")])]
    assert found == [f"{tmp_path}/test: 1 identities stand in {tmp_path}/train too: cid"]
    write_rec(tmp_path / "a.rec")
    (tmp_path / "list.txt").write_text("2 x.jpg\n3 y.jpg\n")
    assert "1 identities stand in" in str(next(check_splits([tmp_path / "a.rec", tmp_path / "list.txt"])))
    (tmp_path / "pairs.csv").write_text("a,b,same\nx,y,1\n")
    with pytest.raises(ValueError, match="names no people"):
        list(check_splits([tmp_path / "pairs.csv"]))


def test_what_several_files_show_together(tmp_path):
    for name, size in (("a", 8), ("b", 8), ("c", 4)):
        feature_file(tmp_path / name, np.ones(size))
    paths = [tmp_path / name for name in "abc"]
    assert ["c: features of dimension 8 were expected, found 4" in str(fault) for fault in check_together(paths)] == [
        True
    ]
    (tmp_path / "media.txt").write_text("1.jpg 1 1\n")
    (tmp_path / "pairs.txt").write_text("1 2 0\n")
    found = list(check_together([tmp_path / "media.txt", tmp_path / "pairs.txt"]))
    assert "1 templates have no picture: 2" in str(found[0])


def test_pictures_of_nobody(tmp_path):
    (tmp_path / "set" / "ann").mkdir(parents=True)
    (tmp_path / "set" / "stray.jpg").write_bytes(jpegs()[0])
    (doubt,) = check(tmp_path / "set", progress=False)
    assert isinstance(doubt, Doubt) and "none of 1 pictures has an identity" in str(doubt)
    (tmp_path / "set" / "ann" / "1.jpg").write_bytes(jpegs()[0])
    (fault,) = check(tmp_path / "set", progress=False)
    assert not isinstance(fault, Doubt) and str(fault).startswith(
        f"{tmp_path / 'set' / 'stray.jpg'}: it has no identity"
    )
