import pickle

import numpy as np
import pytest
from PIL import Image
from stored_examples import encoded, faces, jpegs, labelled, write_rec

from aifr_lib.data import sets
from aifr_lib.data.formats import image_records
from aifr_lib.data.formats.faults import BadFile
from aifr_lib.data.formats.insightface_bin import read_bin, write_bin
from aifr_lib.data.formats.pair_lists import Pair, read_pairs, write_pairs
from aifr_lib.data.formats.pictures import decode
from aifr_lib.data.sets import convert as converting
from aifr_lib.data.sets.convert import convert


def run(*paths, **options):
    return convert(*paths, progress=False, **options)


@pytest.fixture
def rec(tmp_path):
    return write_rec(tmp_path / "a" / "train.rec")


def test_there_and_back_without_loss(tmp_path, rec):
    assert run(rec, tmp_path / "folder").pictures == 6
    run(tmp_path / "folder", tmp_path / "b" / "train.rec")
    run(tmp_path / "folder", tmp_path / "list.txt")
    run(tmp_path / "list.txt", tmp_path / "c" / "train.rec")
    for name in ("train.rec", "train.idx", "property"):
        assert (tmp_path / "b" / name).read_bytes() == (tmp_path / "a" / name).read_bytes()
        assert (tmp_path / "c" / name).read_bytes() == (tmp_path / "a" / name).read_bytes()
    run(tmp_path / "list.txt", tmp_path / "copy")
    assert (tmp_path / "copy" / "folder" / "0" / "00000001.jpg").read_bytes() == jpegs()[0]


def test_a_folder_that_was_begun_is_gone_on_with(tmp_path, rec, monkeypatch):
    put, count = converting._put, 0

    def stopping(path, data):
        nonlocal count
        count += 1
        if count == 4:
            raise KeyboardInterrupt
        put(path, data)

    monkeypatch.setattr(converting, "_put", stopping)
    with pytest.raises(KeyboardInterrupt):
        run(rec, tmp_path / "folder")
    written = sorted((tmp_path / "folder").rglob("*.jpg"))
    assert len(written) == 3
    assert not (tmp_path / "folder" / "labels.csv").exists()
    times = [path.stat().st_mtime_ns for path in written]
    monkeypatch.setattr(converting, "_put", put)
    run(rec, tmp_path / "folder")
    assert [path.stat().st_mtime_ns for path in written] == times
    written[0].unlink()
    assert run(rec, tmp_path / "folder").pictures == 6 and written[0].is_file(), "a finished folder is mended"
    assert sets.load(tmp_path / "folder", progress=False).labels["age"].tolist() == [10, 22, 34, 46, 58, 70]


def test_other_pictures_of_the_same_size_are_no_begun_folder(tmp_path):
    for name, colour in (("a", 0), ("b", 255)):
        (tmp_path / name / "ann").mkdir(parents=True)
        flat = np.full((112, 112, 3), colour, np.uint8)
        Image.fromarray(flat).save(tmp_path / name / "ann" / "0.bmp")
        run(tmp_path / name, tmp_path / f"{name}.txt")
        (tmp_path / f"{name}.txt").rename(tmp_path / name / "list.txt")
        text = (tmp_path / name / "list.txt").read_text().replace(f"{name}/ann", "ann")
        (tmp_path / name / "list.txt").write_text(text)
        run(tmp_path / name / "list.txt", tmp_path / "out")
        assert (tmp_path / "out" / "ann" / "0.bmp").read_bytes() == (tmp_path / name / "ann" / "0.bmp").read_bytes()


@pytest.mark.parametrize("mine", ["photo.png", "labels.csv", "000/other.jpg"])
def test_a_folder_with_something_else_is_left_alone(tmp_path, rec, mine):
    (tmp_path / "mine" / mine).parent.mkdir(parents=True)
    (tmp_path / "mine" / mine).write_text("precious")
    with pytest.raises(FileExistsError, match=f"already holds {mine.partition('.')[0]}"):
        run(rec, tmp_path / "mine")
    write_bin(tmp_path / "a.bin", [faces()[0], faces()[1]], [True])
    with pytest.raises(FileExistsError, match="name an empty folder"):
        run(tmp_path / "a.bin", tmp_path / "mine")
    assert [path.read_text() for path in (tmp_path / "mine").rglob("*") if path.is_file()] == ["precious"]


def test_folds_that_a_bin_cannot_hold_are_refused(tmp_path, rec):
    run(rec, tmp_path / "folder")
    names = [path.relative_to(tmp_path / "folder").as_posix() for path in sorted((tmp_path / "folder").rglob("*.jpg"))]
    pairs = [Pair(names[k], names[k + 1], k % 2 == 0, k // 2) for k in range(4)]
    write_pairs(tmp_path / "pairs.csv", pairs)
    with pytest.raises(ValueError, match=r"a \.bin has ten folds of equal size, the list has 2"):
        run(tmp_path / "folder", tmp_path / "a.bin", pairs=tmp_path / "pairs.csv")
    assert not (tmp_path / "a.bin").exists()


def test_people_of_a_folder_are_numbered_from_0(tmp_path):
    for person, row in (("zoë", 4), ("ann", 0), ("bob", 2)):
        (tmp_path / "set" / person).mkdir(parents=True)
        (tmp_path / "set" / person / "1.png").write_bytes(encoded("RGB", "PNG", faces()[row]))
    run(tmp_path / "set", tmp_path / "set.rec")
    images = sets.load(tmp_path / "set.rec", progress=False)
    np.testing.assert_array_equal(images.pixels[:], faces()[[0, 2, 4]])
    run(tmp_path / "set", tmp_path / "jpeg.rec", jpeg=95)
    records = image_records.read_table(tmp_path / "jpeg.rec", progress=False)
    assert records["identity"].to_pylist() == [0, 1, 2]
    data = (tmp_path / "jpeg.rec").read_bytes()
    assert all(data[at : at + 3] == b"\xff\xd8\xff" for at in records["offset"].to_pylist())


def test_pairs_become_a_bin_and_a_folder_again(tmp_path):
    for item, name in zip(labelled(), "abcdef", strict=True):
        (tmp_path / "set").mkdir(exist_ok=True)
        (tmp_path / "set" / f"{name}.jpg").write_bytes(item.picture)
    pairs = [Pair("a.jpg", "b.jpg", True, 2), Pair("a.jpg", "c.jpg", False, 0), Pair("e.jpg", "f.jpg", True, 1)]
    write_pairs(tmp_path / "pairs.csv", pairs)
    run(tmp_path / "set", tmp_path / "set.bin", pairs=tmp_path / "pairs.csv")
    pictures, same = read_bin(tmp_path / "set.bin")
    assert pictures == [jpegs()[row] for row in (0, 2, 4, 5, 0, 1)]  # by fold
    assert same.tolist() == [False, True, True]
    run(tmp_path / "set.bin", tmp_path / "again")
    run(tmp_path / "again", tmp_path / "again.bin", pairs=tmp_path / "again" / "pairs.csv")
    assert (tmp_path / "again.bin").read_bytes() == (tmp_path / "set.bin").read_bytes()
    write_pairs(tmp_path / "pairs.csv", [*pairs, Pair("a.jpg", "gone.jpg", True, 0)])
    with pytest.raises(BadFile, match=r"not there \(1\): gone\.jpg"):
        run(tmp_path / "set", tmp_path / "set.bin", pairs=tmp_path / "pairs.csv")


def test_pairs_txt_names_crops_that_are_png(tmp_path):
    for number, row in ((1, 0), (2, 1)):
        for person in ("Ann", "Bob"):
            file = tmp_path / "crops" / person / f"{person}_{number:04d}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(encoded("RGB", "PNG", faces()[row]))
    (tmp_path / "pairs.txt").write_text("1\nAnn\t1\t2\nAnn\t1\tBob\t2\n")
    assert run(tmp_path / "crops", tmp_path / "crops.bin", pairs=tmp_path / "pairs.txt").pictures == 4
    assert read_bin(tmp_path / "crops.bin")[1].tolist() == [True, False]


def test_arrays_of_a_bin_become_png(tmp_path):
    write_bin(tmp_path / "a.bin", [faces()[0], faces()[1]], [True])
    run(tmp_path / "a.bin", tmp_path / "a")
    assert [pair.a for pair in read_pairs(tmp_path / "a" / "pairs.csv")] == ["000000.png"]
    np.testing.assert_array_equal(decode((tmp_path / "a" / "000001.png").read_bytes()), faces()[1])
    write_bin(tmp_path / "b.bin", [faces()[0], faces()[1][..., 0]], [True])
    with pytest.raises(BadFile, match=r"b.bin, picture 1: an array uint8 \[H, W, 3\] was expected"):
        run(tmp_path / "b.bin", tmp_path / "b")


@pytest.mark.parametrize("shape", [(-1,), (-1, 1)])
def test_encoded_pictures_in_arrays_are_read_as_their_bytes(tmp_path, shape):
    packed = [np.frombuffer(data, np.uint8).reshape(shape) for data in jpegs()[:2]]
    (tmp_path / "a.bin").write_bytes(pickle.dumps((packed, [True]), protocol=2))
    assert read_bin(tmp_path / "a.bin")[0] == jpegs()[:2]
    run(tmp_path / "a.bin", tmp_path / "a")
    assert (tmp_path / "a" / "000001.jpg").read_bytes() == jpegs()[1]
    np.testing.assert_array_equal(sets.load(tmp_path / "a.bin").pixels[1], decode(jpegs()[1]))


def test_what_does_not_go_together(tmp_path, rec):
    run(rec, tmp_path / "folder")
    write_bin(tmp_path / "a.bin", jpegs()[:2], [True])
    (tmp_path / "lone").mkdir()
    (tmp_path / "lone" / "1.jpg").write_bytes(jpegs()[0])
    for source, target, message in (
        (rec, "x.rec", "is of kind 'rec' and cannot become 'rec'"),
        (rec, "x.txt", "convert it to a folder, then that to a list"),
        (rec, "x.zip", "must end in .rec, .bin, .txt or .lst"),
        (rec, "x.bin", "name their list with --pairs"),
        (tmp_path / "a.bin", "x.rec", "a .bin names no people"),
        (tmp_path / "folder", "elsewhere/x.txt", "a list names pictures below its own folder"),
        (tmp_path / "lone", "x.rec", "1.jpg: it has no identity"),
    ):
        with pytest.raises(ValueError, match=message):
            run(source, tmp_path / target)
        assert not (tmp_path / target).exists()


def test_a_rec_holds_pictures_of_one_size_that_can_be_read(tmp_path, rec):
    run(rec, tmp_path / "folder")
    picture = tmp_path / "folder" / "1" / "00000003.jpg"
    for content, message in (
        (encoded("RGB", "JPEG", faces()[0][:50].copy()), "50×112, the first is 112×112"),
        (b"", "empty"),
    ):
        picture.write_bytes(content)
        with pytest.raises(BadFile, match=rf"00000003\.jpg: .*{message}"):
            run(tmp_path / "folder", tmp_path / "x.rec")
        assert not list(tmp_path.glob("x.*"))


def test_a_set_stays_readable_where_another_is_not_finished_over_it(tmp_path, rec, monkeypatch):
    before = [sets.load(rec, progress=False).labels["identity"].tolist(), rec.read_bytes()]
    write = image_records.recordio.write_idx

    def stopped(path, *args):
        write(path, *args)
        raise OSError("no space left")

    monkeypatch.setattr(image_records.recordio, "write_idx", stopped)
    (tmp_path / "other" / "ann").mkdir(parents=True)
    (tmp_path / "other" / "ann" / "1.jpg").write_bytes(jpegs()[0])
    with pytest.raises(OSError, match="no space left"):
        run(tmp_path / "other", rec)
    assert [sets.load(rec, progress=False).labels["identity"].tolist(), rec.read_bytes()] == before
    assert sorted(path.name for path in rec.parent.iterdir()) == ["property", rec.stem + ".idx", rec.name]
