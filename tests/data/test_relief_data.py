"""The data set of relief faces: ages, splits, folds, matched negatives, no shortcut, a sturdy cache."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from aifr_lib.config import ConfigError, cache_dir
from aifr_lib.data import relief
from aifr_lib.data.images import Images
from aifr_lib.faces.relief import render

TINY = {"size": 48, "identities": 20, "per_identity": 4, "progress": False}


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIFR_CACHE", str(tmp_path / "cache"))


def unseen(identities: int, per_identity: int = 6, size: int = 0) -> Images:
    """Test images; without pixels worth speaking of where only the labels matter."""
    faces = relief.split_faces("test", identities, per_identity)
    pixels = render(faces, size).numpy() if size else np.zeros((len(faces), 1, 1, 3), np.uint8)
    labels = pd.DataFrame({"identity": faces.identity_seed.numpy(), **faces.table()})
    labels.insert(0, "record", [str(k) for k in range(len(faces))])
    return Images("test", relief.VERSION, pixels, labels)


@pytest.fixture(scope="module")
def many() -> Images:
    return unseen(1000)


@pytest.fixture(scope="module")
def drawn() -> Iterator[Images]:
    threads = torch.get_num_threads()
    yield unseen(150, 4, size=32)
    torch.set_num_threads(threads)


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


def test_splits_share_nobody_and_a_smaller_load_is_the_start_of_a_larger() -> None:
    people = [set(relief.split_faces(s, 500, 1).identity_seed.tolist()) for s in relief.SPLITS]
    assert len(set.union(*people)) == 1500
    small, large = relief.split_faces("train", 3, 4), relief.split_faces("train", 9, 4)
    assert torch.equal(small.identity, large.identity[:12]) and torch.equal(small.age, large.age[:12])


# The lists


@pytest.mark.parametrize("name", relief.PAIR_LISTS)
def test_lists_are_balanced_distinct_and_disjoint_in_identity(many: Images, name: str) -> None:
    found = relief.pairs(many, name)
    assert len(found) == 6000 and found.same.sum() == 3000
    assert np.bincount(found.fold).tolist() == [600] * 10
    assert [int(found.same[found.fold == k].sum()) for k in range(10)] == [300] * 10
    identity = many.labels["identity"].to_numpy()
    assert np.array_equal(identity[found.a] == identity[found.b], found.same)
    members = [set(identity[found.a[found.fold == k]]) | set(identity[found.b[found.fold == k]]) for k in range(10)]
    assert sum(map(len, members)) == len(set.union(*members))
    assert len({frozenset(pair) for pair in zip(found.a.tolist(), found.b.tolist(), strict=True)}) == 6000


def test_aged_negatives_match_positives(many: Images) -> None:
    found = relief.pairs(many, "relief-agedb")
    label = {c: many.labels[c].to_numpy() for c in ("age", "gender", "skin_tone")}
    gap = np.abs(label["age"][found.a] - label["age"][found.b])
    assert gap.min() >= 30
    assert abs(gap[found.same].mean() - gap[~found.same].mean()) < 1.0
    assert np.array_equal(label["gender"][found.a], label["gender"][found.b])
    tone = np.abs(label["skin_tone"][found.a] - label["skin_tone"][found.b])
    assert np.quantile(tone[~found.same], 0.9) < 0.6


def test_lists_depend_on_the_seed_alone(many: Images) -> None:
    for name in relief.PAIR_LISTS:
        first, again, other = (relief.pairs(many, name, count=200, seed=s) for s in (0, 0, 1))
        assert np.array_equal(first.a, again.a) and np.array_equal(first.b, again.b)
        assert not np.array_equal(first.a, other.a)


def test_a_list_that_cannot_be_drawn_says_so_with_numbers() -> None:
    with pytest.raises(ValueError, match=r"relief-lfw, fold 0 of test: positives: 500 pairs wanted, \d+ exist"):
        relief.pairs(unseen(20, 4), "relief-lfw", count=10_000)
    with pytest.raises(ValueError, match=r"count 30: must be a positive multiple of 20"):
        relief.pairs(unseen(20, 4), "relief-lfw", count=30)
    with pytest.raises(ConfigError, match=r"unknown pair list 'relief-agebd'; did you mean 'relief-agedb'"):
        relief.pairs(unseen(20, 4), "relief-agebd")
    bare = unseen(20, 4)
    stripped = Images("orl", "1", bare.pixels, bare.labels[["record", "identity", "age"]])
    with pytest.raises(ValueError, match=r"orl: labels lack gender, skin_tone"):
        relief.pairs(stripped, "relief-agedb", count=20)


def test_tiny_sets_still_give_lists() -> None:
    for count in (22, 23, 24, 41):
        for name in relief.PAIR_LISTS:
            assert len(relief.pairs(unseen(count, 4), name, count=20)) == 20


def accuracy(features: np.ndarray, images: Images, name: str) -> float:
    """Ten folds, the threshold of best accuracy on the other nine, by trying every distance."""
    found = relief.pairs(images, name, count=600)
    distance = np.linalg.norm(features[found.a] - features[found.b], axis=1)
    hits = 0
    for fold in range(10):
        train = found.fold != fold
        order = np.argsort(distance[train])
        gain = np.cumsum(np.where(found.same[train][order], 1, -1))
        threshold = distance[train][order][gain.argmax()]
        hits += int(((distance[~train] <= threshold) == found.same[~train]).sum())
    return hits / 6


@pytest.mark.parametrize("name", relief.PAIR_LISTS)
def test_there_is_no_shortcut(drawn: Images, name: str) -> None:
    pixels = drawn.pixels.astype(np.float64)
    mean = pixels.mean((1, 2))
    blocks = pixels.reshape(len(pixels), 8, 4, 8, 4, 3).mean((2, 4)).reshape(len(pixels), -1)
    corners = np.concatenate([pixels[:, :4, :4].mean((1, 2)), pixels[:, :4, -4:].mean((1, 2))], 1)
    shortcuts = {
        "chromaticity": mean / mean.sum(1, keepdims=True),
        "8×8 pixels": blocks,
        "background": corners,
    }
    for what, features in shortcuts.items():
        # 600 pairs have a standard error of 2 points; the values lie near 52.
        assert accuracy(features, drawn, name) <= 60, what


# The cache


def test_load_renders_once_and_maps_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    first = relief.load("train", **TINY)
    assert first.pixels.shape == (80, 48, 48, 3) and isinstance(first.pixels, np.memmap)
    assert first.version == "relief-v0" and first.labels["record"].is_unique
    assert first.labels.columns[:3].tolist() == ["record", "identity", "age"]
    faces = relief.split_faces("train", 20, 4)
    assert np.array_equal(first.pixels[7], render(faces[7:8], 48)[0].numpy())
    for name, values in faces.table().items():
        assert np.array_equal(first.labels[name], values), name
    monkeypatch.setattr(relief, "render", lambda *_, **__: pytest.fail("rendered twice"))
    assert np.array_equal(relief.load("train", **TINY).pixels, first.pixels)


@pytest.mark.parametrize("damage", ["flip", "truncate", "missing", "version", "garbled"])
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
    else:
        about.write_text("{")
    assert np.array_equal(relief.load("test", **TINY).pixels, good)
    assert "rendered again" in caplog.text and str(folder) in caplog.text


def test_an_interrupted_rendering_goes_on_where_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relief, "PART", 16)
    calls = []

    def stops(faces: object, size: int, **options: object) -> torch.Tensor:
        calls.append(len(calls))
        if len(calls) == 4:
            raise KeyboardInterrupt
        return render(faces, size, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(relief, "render", stops)
    with pytest.raises(KeyboardInterrupt):
        relief.load("validation", **TINY)
    images = relief.load("validation", **TINY)
    assert len(calls) == 4 + 2  # three parts were kept, two remained
    assert np.array_equal(images.pixels, render(relief.split_faces("validation", 20, 4), 48).numpy())
    assert [path.name for path in (cache_dir() / relief.VERSION).iterdir()] == [
        relief.digest("validation", size=48, identities=20, per_identity=4)
    ]


def test_digest_names_parameters_not_pixels() -> None:
    base = {"size": 48, "identities": 20, "per_identity": 4}
    digests = {relief.digest("train", **base), relief.digest("train", **base, span="wide"),
               relief.digest("test", **base), relief.digest("train", **{**base, "size": 49})}  # fmt: skip
    assert len(digests) == 4
    assert relief.digest("test", **base) == relief.digest("test", **base, span="wide")


def test_unknown_names_and_bad_counts() -> None:
    with pytest.raises(ConfigError, match=r"unknown split 'tets'; did you mean 'test'"):
        relief.load("tets", **TINY)
    with pytest.raises(ConfigError, match=r"unknown span 'narow'; did you mean 'narrow'"):
        relief.load("train", **TINY, span="narow")
    with pytest.raises(ValueError, match=r"size 8: a relief face needs a side of at least 16"):
        relief.load("train", **{**TINY, "size": 8})
    with pytest.raises(ValueError, match=r"identities 0: must lie in 1"):
        relief.load("train", **{**TINY, "identities": 0})
    with pytest.raises(ValueError, match=r"per_identity 0: must lie in 1"):
        relief.load("train", **{**TINY, "per_identity": 0})


# Sheets and folders


def test_sheet_is_a_row_a_person_and_a_column_an_age() -> None:
    grid = relief.sheet(2, [3, 30, 80], 32, seed=4)
    assert grid.shape == (64, 96, 3) and grid.dtype == np.uint8
    assert np.array_equal(grid[:32, 32:64], relief.sheet(1, [30], 32, seed=4))
    assert not np.array_equal(grid, relief.sheet(2, [3, 30, 80], 32, seed=5))
    with pytest.raises(ValueError, match=r"a sheet of 0 identities and 1 ages"):
        relief.sheet(0, [30], 32, seed=0)


def test_folder_holds_pictures_and_all_their_parameters(tmp_path: Path) -> None:
    out = tmp_path / "faces"
    labels = relief.write_folder(out, 3, 2, 32, seed=11)
    read = pd.read_csv(out / "labels.csv")
    assert read.columns[:3].tolist() == ["file", "identity", "age"] and {"yaw", "au12", "skin_tone"} <= set(read)
    assert sorted(path.name for path in out.iterdir()) == sorted([*read["file"], "labels.csv"])
    assert np.allclose(read["age"], labels["age"]) and read["identity"].tolist() == [0, 0, 1, 1, 2, 2]
    assert all(Image.open(out / file).size == (32, 32) for file in read["file"])
    first = (out / read["file"][0]).read_bytes()
    relief.write_folder(out, 3, 2, 32, seed=11)
    assert (out / read["file"][0]).read_bytes() == first
    with pytest.raises(FileExistsError, match=r"already holds 00001_0000.png"):
        relief.write_folder(out, 1, 2, 32, seed=11)


def test_processes_that_want_the_same_pictures_at_once_all_get_them(tmp_path):
    script = (
        "from aifr_lib.data import relief\n"
        "images = relief.load('test', size=32, identities=1100, per_identity=2, progress=False)\n"
        "print(images.pixels.sum(), images.labels['age'].sum())\n"
    )
    environment = {**os.environ, "AIFR_CACHE": str(tmp_path), "OMP_NUM_THREADS": "1"}
    started = [
        subprocess.Popen(
            [sys.executable, "-c", script], env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        for _ in range(3)
    ]
    results = [process.communicate() for process in started]
    assert [process.returncode for process in started] == [0, 0, 0], results
    assert len({out for out, _ in results}) == 1
