import logging

import numpy as np
import pytest

from aifr_lib.experiments.comface import galleries
from aifr_lib.experiments.generator import drawing
from aifr_lib.faces.generators import mobilestylegan, sources
from aifr_lib.names import ConfigError
from aifr_lib.reporting.runs import RunStore
from aifr_lib.settings.presets import load_preset


@pytest.fixture
def preset():
    return load_preset("smoke", {"comface_faces.sources": ["relief"]})


def test_strengths_are_the_papers_and_pass_through_zero():
    assert drawing.strengths(2.5) == galleries.SHOWN
    paper = drawing.strengths(0.1)
    assert len(paper) == 101
    assert (paper[0], paper[49], paper[50], paper[-1]) == (-5.0, -0.1, 0.0, 5.0)


@pytest.mark.parametrize("step", [0.3, 4.0, 3.3])
def test_a_step_that_misses_five_is_refused(step):
    with pytest.raises(ConfigError, match="lead from 0 to 5"):
        drawing.strengths(step)
    for key in ("comface_faces.step", "latent_sets.step"):
        with pytest.raises(ConfigError, match="lead from 0 to 5"):
            load_preset("smoke", {key: step})


def test_pictures_survive_a_run(tmp_path):
    rng = np.random.default_rng(0)
    smooth = [np.full((16, 16, 3), level, np.uint8) for level in rng.integers(0, 256, 5)]
    found = drawing.unpacked(drawing.packed([galleries.plots.picture(one) for one in smooth]))
    assert np.abs(found.astype(int) - np.stack(smooth)).max() <= 2


def test_a_gallery_is_its_sources_pictures_in_order(preset, tmp_path):
    result = galleries.FIG_A(preset, out=tmp_path)
    assert (result.kind, result.verdict, result.rows) == ("gallery", "none", ())
    assert (tmp_path / "comface_figA" / "comface_figA.svg").is_file()
    run = RunStore(tmp_path).load(result.runs[0])
    pictures = galleries.pictures_of(run)
    assert list(pictures) == ["weight", "age", "smile"]
    assert pictures["age"].shape == (1, 3, 64, 64, 3)
    source = sources.ReliefSource()
    for place, alpha in enumerate((-5.0, 0.0, 5.0)):
        drawn = source.render(0, "age", alpha)
        small = drawn.reshape(64, 4, 64, 4, 3).mean((1, 3))
        assert np.abs(small - pictures["age"][0, place]).mean() < 4
    assert (pictures["age"][0, 1] == pictures["smile"][0, 1]).all(), "α = 0 is one picture for all attributes"
    frames, labels, start = galleries.player_frames(run)
    assert (len(frames), labels[start]) == (3, "α = 0, unedited")


def test_what_cannot_be_drawn_is_said_and_the_rest_goes_on(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(mobilestylegan, "missing", lambda: "the photo-real generator needs openvino: pip install")
    both = load_preset("smoke", {"comface_faces.step": 5.0})
    with caplog.at_level(logging.WARNING):
        result = galleries.FIG_B(both, out=tmp_path)
    assert "latent is left out: the photo-real generator needs openvino" in caplog.text
    assert len(result.runs) == 1


def test_other_directions_are_other_runs(monkeypatch):
    both = load_preset("smoke")
    before = {name: job.spec.key for name, job in galleries.gallery_jobs("comface_figA", both).items()}
    directions = dict(galleries.found_directions())
    age = directions["age"]
    directions["age"] = type(age)(age.name, age.normal, age.scale * 1.1, age.about)
    monkeypatch.setattr(drawing, "found_directions", lambda: directions)
    after = {name: job.spec.key for name, job in galleries.gallery_jobs("comface_figA", both).items()}
    assert after["relief"] == before["relief"]
    assert after["latent"] != before["latent"]
    figures = {galleries.attributes("comface_figB", name) for name in ("relief", "latent")}
    assert ("gender", "yaw") in figures, "relief faces have no attribute that the figure's light could be"
