import pickle

import numpy as np
import pytest
import torch
from stored_examples import encoded, examples, faces, jpegs, labelled, write_rec

from aifr_lib.data import sets
from aifr_lib.data.formats.faults import BadFile
from aifr_lib.data.formats.image_list import Listed, write_image_list
from aifr_lib.data.formats.insightface_bin import write_bin
from aifr_lib.data.formats.pictures import BadPicture, decode
from aifr_lib.data.formats.stored import Members, StoredPixels
from aifr_lib.data.images import Images
from aifr_lib.data.loader import Rows, ShuffledBatches, loader
from aifr_lib.evaluation.embeddings import embed


@pytest.fixture
def pixels():
    return np.stack([decode(data) for data in jpegs()])


@pytest.fixture
def places(tmp_path):
    """The same six pictures as .rec, list and folder."""
    (tmp_path / "casia").mkdir()
    write_rec(tmp_path / "casia" / "train.rec")
    rows = []
    for row, item in enumerate(labelled()):
        record = f"folder/p{item.identity}/{row}.jpg"
        (tmp_path / record).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / record).write_bytes(item.picture)
        rows.append(Listed(record, item.identity, item.age, item.gender))
    write_image_list(tmp_path / "list.txt", rows)
    return {"rec": tmp_path / "casia", "list": tmp_path / "list.txt", "folder": tmp_path / "folder"}


@pytest.mark.parametrize("kind", ["rec", "list", "folder"])
def test_every_store_gives_the_same_pictures(places, pixels, kind):
    assert sets.kind_of(places[kind]) == kind
    first, second = (sets.load(places[kind], progress=False) for _ in range(2))  # scanned, then from the index
    for images in (first, second):
        np.testing.assert_array_equal(images.pixels[:], pixels)
        assert images.labels["identity"].tolist() == [0, 0, 1, 1, 2, 2]
        assert images.labels["record"].is_unique
        assert images.version == first.version
    if kind != "folder":
        assert first.labels["age"].tolist() == [10, 22, 34, 46, 58, 70]


@pytest.mark.parametrize(
    "key",
    [
        3, -1, slice(None), slice(4, 1, -2), [5, 0, 0], np.array([2, -2]), np.arange(6) % 2 == 0, [],
        (slice(None), slice(None), slice(8, -8)), ([1, 2], 5), (2, slice(3), 4, 0),
    ],
    ids=str,
)  # fmt: skip
def test_indexing_is_numpys(pixels, key):
    stored = StoredPixels(Members("here", jpegs()))
    assert (stored.shape, stored.dtype, stored.ndim, len(stored)) == (pixels.shape, pixels.dtype, 4, 6)
    expected = pixels[np.array(key, dtype=int) if key == [] else key] if isinstance(key, list) else pixels[key]
    np.testing.assert_array_equal(stored[key], expected)


@pytest.mark.parametrize("key", [6, -7, [0, 6], np.array([True]), "a"])
def test_wrong_indices(key):
    with pytest.raises((IndexError, ValueError, TypeError)):
        StoredPixels(Members("here", jpegs()))[key]


@pytest.mark.parametrize("workers", [0, 1, 2])
@pytest.mark.parametrize("hw", [(112, 112), (112, 96)])
def test_batches_for_training_are_those_of_an_array(places, pixels, workers, hw):
    images = sets.load(places["rec"], progress=False)
    array = Images(images.name, images.version, pixels, images.labels)
    found, expected = (
        list(loader(Rows(one, hw), ShuffledBatches(6, 3, seed=1, start=0, stop=5), pin=False, workers=count))
        for one, count in ((images, workers), (array, 0))
    )
    assert len(found) == len(expected) == 5
    for a, b in zip(found, expected, strict=True):
        assert set(a) == set(b) and all(torch.equal(a[name], b[name]) for name in a)
        assert a["images"].dtype == torch.uint8
        assert a["images"].shape == (3, *hw, 3)


def test_embeddings_are_the_same_whoever_decodes(places, pixels):
    images = sets.load(places["rec"], progress=False)

    def network(x):
        return x.mean(dim=(2, 3))

    alone, by_two = (embed(network, images, batch_size=2, input_hw=(112, 96), workers=count) for count in (0, 2))
    np.testing.assert_array_equal(alone, by_two)
    np.testing.assert_array_equal(alone, embed(network, pixels, batch_size=2, input_hw=(112, 96)))


def test_pixels_travel_to_another_process_by_their_path(places, pixels):
    stored = sets.load(places["rec"], progress=False).pixels
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(stored))[[4]], pixels[[4]])


def test_a_broken_picture_stops_with_its_record(places):
    rec = places["rec"] / "train.rec"
    images = sets.load(rec, progress=False)
    data = rec.read_bytes()
    at = data.index(jpegs()[3])
    with rec.open("r+b") as file:
        file.seek(at + 300)
        file.write(b"\xff" * 300)
    for workers in (0, 1):
        batches = ShuffledBatches(6, 6, seed=0, start=0, stop=1)
        with pytest.raises(BadPicture, match=r"train\.rec, record 4: cannot read the picture"):
            list(loader(Rows(images, (112, 112)), batches, pin=False, workers=workers))
    (places["folder"] / "p1" / "2.jpg").write_bytes(encoded("RGB", "PNG", faces()[0][:50].copy()))
    with pytest.raises(BadPicture, match=r"p1/2\.jpg: the picture is 50×112, the others of its set are 112×112"):
        sets.load(places["folder"], progress=False).pixels[:]
    (places["folder"] / "p1" / "2.jpg").unlink()
    with pytest.raises(BadPicture, match=r"p1/2\.jpg: cannot read the picture: No such file"):
        sets.load(places["list"], progress=False).pixels[:]


def test_a_bin_is_loaded_as_pictures(tmp_path, pixels):
    write_bin(tmp_path / "a.bin", jpegs(), [True, True, False])
    np.testing.assert_array_equal(sets.load(tmp_path / "a.bin").pixels[:], pixels)


def test_an_index_follows_its_files(places):
    folder = places["folder"]
    assert len(sets.load(folder, progress=False)) == 6
    (folder / "p9").mkdir()
    (folder / "p9" / "new.jpg").write_bytes(jpegs()[0])
    assert len(sets.load(folder, progress=False)) == 7
    (folder / "p0" / "0.jpg").unlink()
    assert len(sets.load(folder, progress=False)) == 6
    (places["rec"] / "train.idx").unlink()
    assert len(sets.load(places["rec"], progress=False)) == 6


def test_folders_without_people_and_files_of_other_kinds(places, tmp_path):
    for name, content in examples().items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "lone").mkdir()
    (tmp_path / "lone" / "a.jpg").write_bytes(jpegs()[0])
    with pytest.raises(ValueError, match=r"a\.jpg: it has no identity"):
        sets.load(tmp_path / "lone")
    with pytest.raises(ValueError, match="of kind 'pairs' and holds no pictures"):
        sets.load(tmp_path / "pairs.txt")
    with pytest.raises(FileNotFoundError, match="no data set at"):
        sets.load(tmp_path / "nothing")
    kinds = {
        "pairs.txt": "pairs", "pairs.csv": "pairs", "list.txt": "list", "media.txt": "ijb-media",
        "template_pairs.txt": "ijb-pairs", "points.txt": "ijb-landmarks", "face_feature.bin": "features",
        "bytes2.bin": "bin",
    }  # fmt: skip
    assert {name: sets.kind_of(tmp_path / name) for name in kinds} == kinds
    (tmp_path / "both").mkdir()
    for name in ("a.rec", "b.rec"):
        (tmp_path / "both" / name).touch()
    with pytest.raises(BadFile, match=r"both: 2 \.rec files in one folder: name one of them, such as a\.rec"):
        sets.kind_of(tmp_path / "both")
    (tmp_path / "poem.txt").write_text("Shall I compare thee")
    with pytest.raises(BadFile, match=r"of no known kind .*first line is 'Shall I compare thee'"):
        sets.kind_of(tmp_path / "poem.txt")
