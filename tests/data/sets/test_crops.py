"""Aligning a folder: what is written, what is listed, and how an interrupted run goes on."""

import json

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from aifr_lib.data.formats import folder
from aifr_lib.data.sets import crops
from aifr_lib.faces import align
from aifr_lib.faces.align import Aligned
from aifr_lib.names import ConfigError


@pytest.fixture
def seen(monkeypatch):
    """A detector that finds as many faces as a picture's first level says; the pictures it was shown."""
    shown = []

    def detect(image):
        faces = int(image[0, 0, 0])
        shown.append(faces)
        if not faces:
            return None
        return Aligned(np.full((112, 112, 3), faces, np.uint8), align.TEMPLATE + 1, np.eye(2, 3), 0.98765, faces)

    monkeypatch.setattr(align, "align", detect)
    return shown


@pytest.fixture
def tree(tmp_path):
    for name, faces in {"ada/1.png": 1, "ada/2.BMP": 0, "bob/old.JPG": 0, "bob/young.png": 3}.items():
        path = tmp_path / "pictures" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((130, 120, 3), faces, np.uint8)).save(path)
    return tmp_path / "pictures"


def run(tree, out, **options):
    return crops.align_folder(tree, out, progress=False, **options)


def test_crops_labels_and_misses(tree, tmp_path, seen):
    (tree / "bob" / "torn.png").write_bytes(b"")
    report = run(tree, tmp_path / "out", size="112x96", skip_bad=True)
    assert (report.written, report.before, report.bad) == (4, 0, ("bob/torn.png",))
    assert (report.missed, report.several) == (("ada/2.BMP", "bob/old.JPG"), ("bob/young.png",))
    labels = pd.read_csv(tmp_path / "out" / "labels.csv")
    assert list(labels["file"]) == ["ada/1.png", "ada/2.png", "bob/old.png", "bob/young.png"]
    assert list(labels["found"]) == [True, False, False, True] and list(labels["faces"]) == [1, 0, 0, 3]
    assert labels["confidence"][0] == pytest.approx(0.9876, abs=1e-4)
    misses = pd.read_csv(tmp_path / "out" / "misses.csv").set_index("record")["problem"]
    assert dict(misses) == {
        "ada/2.BMP": "no face found: cropped in the centre",
        "bob/old.JPG": "no face found: cropped in the centre",
        "bob/torn.png": "unreadable: left out",
    }
    assert folder.read_picture(tmp_path / "out" / "bob" / "old.png").shape == (112, 96, 3)
    assert (folder.read_picture(tmp_path / "out" / "bob" / "young.png") == 3).all()
    # What was written is a folder like any other.
    assert list(folder.list_pictures(tmp_path / "out")["identity"]) == [0, 0, 1, 1]


def test_an_interrupted_run_goes_on_and_ends_as_an_unbroken_one(tree, tmp_path, seen, monkeypatch):
    whole, out = tmp_path / "whole", tmp_path / "out"
    run(tree, whole)
    detect = align.align

    def stop(image):
        if len(seen) == 6:
            raise KeyboardInterrupt
        return detect(image)

    monkeypatch.setattr(align, "align", stop)
    with pytest.raises(KeyboardInterrupt):
        run(tree, out)
    # The kill also cut the journal's last line.
    with (out / "align.jsonl").open("a") as journal:
        journal.write('{"record": "bob/o')
    monkeypatch.setattr(align, "align", detect)
    seen.clear()
    report = run(tree, out)
    assert (report.written, report.before, len(seen)) == (4, 2, 2)
    for name in ("labels.csv", "misses.csv", "align.jsonl"):
        assert (out / name).read_text() == (whole / name).read_text()
    first = json.loads((out / "align.jsonl").read_text().splitlines()[1])
    assert first["record"] == "ada/1.png" and np.allclose(first["points"], align.TEMPLATE + 1, atol=0.01)


def test_changed_pictures_and_lost_crops_are_done_again(tree, tmp_path, seen):
    out = tmp_path / "out"
    run(tree, out)
    seen.clear()
    assert run(tree, out).before == 4 and not seen
    (out / "ada" / "1.png").unlink()
    Image.fromarray(np.full((140, 120, 3), 2, np.uint8)).save(tree / "ada" / "2.BMP")
    report = run(tree, out)
    assert (report.before, sorted(seen), report.missed) == (2, [1, 2], ("bob/old.JPG",))


def test_a_folder_with_something_else_is_left_alone(tree, tmp_path, seen):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "labels.csv").write_text("precious")
    with pytest.raises(FileExistsError, match=r"mine already holds labels\.csv: name an empty folder"):
        run(tree, tmp_path / "mine")
    assert [path.read_text() for path in (tmp_path / "mine").iterdir()] == ["precious"]
    (tmp_path / "fresh" / ".git").mkdir(parents=True)
    (tmp_path / "fresh" / ".git" / "config").touch()
    assert run(tree, tmp_path / "fresh").written == 4


def test_what_would_overwrite_or_mix_is_refused(tree, tmp_path, seen):
    with pytest.raises(ValueError, match="lies in"):
        run(tree, tree / "crops")
    with pytest.raises(ConfigError, match="112x96"):
        run(tree, tmp_path / "out", size="112x95")
    run(tree, tmp_path / "out")
    with pytest.raises(ValueError, match=r"holds crops made otherwise .*112x112.*112x96"):
        run(tree, tmp_path / "out", size="112x96")
    Image.new("RGB", (20, 20)).save(tree / "ada" / "1.jpg")
    with pytest.raises(ValueError, match=r"would both become ada/1\.png"):
        run(tree, tmp_path / "other")
