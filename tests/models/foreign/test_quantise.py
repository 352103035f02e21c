"""Files of eight bits, and PReLU written as two ReLUs: the same function, on photographs."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from aifr_lib import models
from aifr_lib.data.formats.pictures import read_picture
from aifr_lib.data.loader import to_input
from aifr_lib.data.named import orl
from aifr_lib.faces.align import centre_crop
from aifr_lib.models import foreign
from aifr_lib.models.attention import Attended
from aifr_lib.models.foreign.cards import Card, Carded, fit
from aifr_lib.models.foreign.export import export_onnx, with_relu_pairs
from aifr_lib.models.foreign.quantise import quantise

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")


def student():
    torch.manual_seed(0)
    network = Attended(models.build("mobilefacenet", input_hw=(48, 48), width=0.125, embedding=16))
    with torch.no_grad():  # some steps in training mode: norms that have seen pictures
        for _ in range(20):
            network(torch.randn(8, 3, 48, 48))
    return network.eval()


def test_two_relus_are_a_prelu_and_the_network_itself_stays():
    network = student()
    for layer in network.modules():
        if isinstance(layer, torch.nn.PReLU):
            torch.nn.init.uniform_(layer.weight, -0.5, 1.5)
    rewritten = with_relu_pairs(network)
    x = torch.randn(4, 3, 48, 48)
    assert torch.allclose(rewritten(x), network(x), atol=1e-4)
    assert not any(isinstance(layer, torch.nn.PReLU) for layer in rewritten.modules())
    assert any(isinstance(layer, torch.nn.PReLU) for layer in network.modules())


def test_a_student_is_exported_quantised_and_run_on_photographs(tmp_path):
    if not orl.available():
        pytest.skip("ORL is not installed")
    photographs = np.stack([centre_crop(read_picture(path)) for path in orl.table()["path"][:40]])
    small = fit(torch.from_numpy(photographs).permute(0, 3, 1, 2).float(), (48, 48)).round().clamp(0, 255)
    faces = small.permute(0, 2, 3, 1).to(torch.uint8).contiguous().numpy()
    carded = Carded(student(), Card(input_hw=(48, 48)))
    for pairs in (False, True):
        whole, eight = tmp_path / f"{pairs}.onnx", tmp_path / f"{pairs}8.onnx"
        assert export_onnx(carded, whole, faces[:4], relu_pairs=pairs) < 1e-4
        quantise(whole, eight, faces[:20])
        filters = [one for one in onnx.load(eight).graph.initializer if len(one.dims) == 4 and one.dims[0] > 1]
        assert {one.data_type for one in filters} == {onnx.TensorProto.INT8}, "all filters are of eight bits"
        loaded = foreign.load(eight)
        assert loaded.card.input_hw == (48, 48)
        x = to_input(torch.from_numpy(photographs[20:]))
        expected, found = carded(x), loaded.run(x)
        assert found.shape == (20, 16) and float(F.cosine_similarity(expected, found).mean()) > 0.9


def test_pictures_of_another_size_cannot_tell_ranges(tmp_path):
    path = tmp_path / "a.onnx"
    export_onnx(Carded(student(), Card(input_hw=(48, 48))), path, np.zeros((2, 48, 48, 3), np.uint8) + 7)
    with pytest.raises(ValueError, match=r"\[3, 32, 32, 3\]: \[N, 48, 48, 3\] are needed"):
        quantise(path, tmp_path / "b.onnx", np.zeros((3, 32, 32, 3), np.uint8))
    assert not (tmp_path / "b.onnx").exists()
