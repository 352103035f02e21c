"""The splits of the relief faces, and the sturdy cache that pictures are served from."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from aifr_lib.data import relief
from aifr_lib.data.relief import cache, plan, sheets
from aifr_lib.faces.relief import render
from aifr_lib.files import cache_dir
from aifr_lib.names import ConfigError

TINY = {"size": 24, "identities": 20, "per_identity": 4, "progress": False}


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIFR_CACHE", str(tmp_path / "cache"))


# The ages


def test_training_ages_are_narrow_about_centres_over_all_ages() -> None:
    faces = relief.split_faces("train", 600, 12)
    age = faces.age.numpy().reshape(600, 12)
    assert 4.0 < age.std(1, ddof=1).mean() < 5.5
    centre = age.mean(1)
    assert np.histogram(centre, bins=4, range=(0, 85))[0].min() > 100


def test_wide_training_and_unseen_people_span_decades() -> None:
    for split, span in (("train", "wide"), ("validation", "narrow"), ("test", "narrow")):
        age = relief.split_faces(split, 200, 6, span).age.numpy().reshape(200, 6)
        assert (age.max(1) - age.min(1)).min() > 45, split


def test_pose_pictures_are_frontal_profile_and_oblique_in_turn_at_narrow_ages() -> None:
    faces = relief.split_faces("test", 200, 6, view="pose")
    yaw = faces.pose[:, 0].numpy().reshape(200, 6)
    bands = np.abs(yaw)
    assert bands[:, ::3].max() <= 10 and bands[:, 1::3].min() >= 40 and bands[:, 1::3].max() <= 60
    assert bands[:, 2::3].min() >= 15 and bands[:, 2::3].max() <= 35
    side = np.sign(yaw)
    assert np.array_equal(side[:, 1], -side[:, 2]) and np.array_equal(side[:, 1], -side[:, 4])
    assert 60 < (side[:, 1] > 0).sum() < 140
    assert faces.age.numpy().reshape(200, 6).std(1).max() < 12


def test_every_kind_of_set_has_people_of_its_own() -> None:
    first = {plan.people(kind, 1).item() for kind in plan.KINDS}
    assert len(first) == len(plan.KINDS)
    assert min(first) >= 2 * 10 * plan.PEOPLE, "the people of the first release are others"
    assert max(first) + plan.PEOPLE <= sheets.OWN_IDENTITIES


def test_splits_share_nobody_and_a_smaller_load_is_the_start_of_a_larger() -> None:
    people = [set(relief.split_faces(s, 500, 1).identity_seed.tolist()) for s in relief.SPLITS]
    assert len(set.union(*people)) == 1500
    small, large = relief.split_faces("train", 3, 4), relief.split_faces("train", 9, 4)
    assert torch.equal(small.identity, large.identity[:12]) and torch.equal(small.age, large.age[:12])


# The cache


def test_load_renders_once_and_maps_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    first = relief.load("train", **TINY)
    assert first.pixels.shape == (80, 24, 24, 3) and isinstance(first.pixels, np.memmap)
    assert first.version == relief.VERSION and first.labels["record"].is_unique
    assert first.labels.columns[:3].tolist() == ["record", "identity", "age"]
    faces = relief.split_faces("train", 20, 4)
    assert np.array_equal(first.pixels, render(faces, 24, frame="aligned").numpy())
    for name, values in faces.table().items():
        assert np.array_equal(first.labels[name], values), name
    monkeypatch.setattr(cache, "render", lambda *_, **__: pytest.fail("rendered twice"))
    assert np.array_equal(relief.load("train", **TINY).pixels, first.pixels)


@pytest.mark.parametrize("damage", ["flip", "truncate", "missing", "version", "garbled", "list", "no sums"])
def test_a_damaged_cache_is_rendered_again(damage: str, caplog: pytest.LogCaptureFixture) -> None:
    good = np.array(relief.load("test", **TINY).pixels)
    (folder,) = (path for path in (cache_dir() / relief.VERSION).iterdir())
    file, about = folder / "pixels.npy", folder / "about.json"
    if damage == "flip":
        raw = bytearray(file.read_bytes())
        raw[-5] ^= 1
        file.write_bytes(raw)
    elif damage == "truncate":
        file.write_bytes(file.read_bytes()[:-100])
    elif damage == "missing":
        (folder / "labels.parquet").unlink()
    elif damage == "version":
        content = json.loads(about.read_text())
        content["spec"]["version"] = "relief-v9"
        about.write_text(json.dumps(content))
    elif damage == "no sums":
        about.write_text(json.dumps(json.loads(about.read_text()) | {"sha256": {}}))
    else:
        about.write_text({"garbled": "{", "list": "[]"}[damage])
    assert np.array_equal(relief.load("test", **TINY).pixels, good)
    assert "rendered again" in caplog.text and str(folder) in caplog.text


def test_an_interrupted_rendering_goes_on_where_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "PART", 16)
    calls = []

    def stops(faces: object, size: int, **options: object) -> torch.Tensor:
        calls.append(len(calls))
        if len(calls) == 4:
            raise KeyboardInterrupt
        return render(faces, size, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(cache, "render", stops)
    with pytest.raises(KeyboardInterrupt):
        relief.load("validation", **TINY)
    images = relief.load("validation", **TINY)
    assert len(calls) == 4 + 2  # three parts were kept, two remained
    assert [path.name for path in (cache_dir() / relief.VERSION).iterdir()] == [
        relief.digest("validation", size=24, identities=20, per_identity=4)
    ]
    monkeypatch.setenv("AIFR_CACHE", str(cache_dir() / "other"))
    assert np.array_equal(images.pixels, relief.load("validation", **TINY).pixels)


@pytest.mark.parametrize("damage", ["flip", "flag", "truncate", "empty", "other size"])
def test_a_damaged_part_of_an_interrupted_rendering_is_drawn_again(
    damage: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(cache, "PART", 64)
    plan = relief.split_plan("test", TINY["identities"], TINY["per_identity"])
    parts = cache_dir() / relief.VERSION / f"{plan.digest(TINY['size'])}.parts"
    file = parts / "000000000.npz"
    good = cache._part(parts, plan, 0, TINY["size"], compiled=False)
    raw = bytearray(file.read_bytes())
    if damage == "other size":
        np.savez(file, pixels=good[:, :8])
    else:
        # In the directory at the end of the archive, bit 0 of an entry's flags says that it is encrypted.
        raw[raw.rindex(b"PK\x01\x02") + 8 if damage == "flag" else len(raw) // 2] ^= 1
        file.write_bytes({"truncate": raw[:-100], "empty": b""}.get(damage, bytes(raw)))
    images = relief.load("test", **TINY)
    assert np.array_equal(images.pixels[:64], good)
    assert caplog.text.count("it is rendered again") == 1 and str(file) in caplog.text


def test_digest_names_parameters_not_pixels() -> None:
    base = {"size": 48, "identities": 20, "per_identity": 4}
    digests = {relief.digest("train", **base), relief.digest("train", **base, span="wide"),
               relief.digest("test", **base), relief.digest("train", **{**base, "size": 49})}  # fmt: skip
    digests |= {relief.digest("test", **base, view="pose"), relief.digest("test", **base, frame="portrait")}
    assert len(digests) == 6
    assert relief.digest("test", **base) == relief.digest("test", **base, span="wide")


def test_unknown_names_and_bad_counts() -> None:
    with pytest.raises(ConfigError, match=r"unknown split 'tets'; did you mean 'test'"):
        relief.load("tets", **TINY)
    with pytest.raises(ConfigError, match=r"unknown span 'narow'; did you mean 'narrow'"):
        relief.load("train", **TINY, span="narow")
    with pytest.raises(ConfigError, match=r"unknown view 'poes'; did you mean 'pose'"):
        relief.load("test", **TINY, view="poes")
    with pytest.raises(ConfigError, match=r"unknown frame 'alinged'; did you mean 'aligned'"):
        relief.load("test", **TINY, frame="alinged")
    with pytest.raises(ValueError, match=r"size 8: a relief face needs a side of 16 … 1024 pixels"):
        relief.load("train", **{**TINY, "size": 8})
    with pytest.raises(ValueError, match=r"identities 0: must lie in 1"):
        relief.load("train", **{**TINY, "identities": 0})
    with pytest.raises(ValueError, match=r"per_identity 0: must lie in 1"):
        relief.load("train", **{**TINY, "per_identity": 0})


def test_processes_that_want_the_same_pictures_at_once_all_get_them(tmp_path):
    script = (
        "from aifr_lib.data import relief\n"
        "images = relief.load('test', size=16, identities=150, per_identity=2, progress=False)\n"
        "print(images.pixels.sum(), images.labels['age'].sum())\n"
    )
    environment = {**os.environ, "AIFR_CACHE": str(tmp_path), "OMP_NUM_THREADS": "1"}
    started = [
        subprocess.Popen(
            [sys.executable, "-c", script], env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        for _ in range(2)
    ]
    results = [process.communicate() for process in started]
    assert [process.returncode for process in started] == [0, 0], results
    assert len({out for out, _ in results}) == 1
