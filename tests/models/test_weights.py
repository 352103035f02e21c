import re

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import nn

from aifr_lib import models
from aifr_lib.models import weights
from aifr_lib.models.weights import WeightsError


def net(width: float = 0.125, embedding: int = 8) -> nn.Module:
    return models.build("mobilefacenet", input_hw=(16, 16), width=width, embedding=embedding)


def states_equal(one: nn.Module, two: nn.Module) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), two.state_dict().values(), strict=True))


def test_round_trip(tmp_path):
    model, other = net().to(memory_format=torch.channels_last), net()
    path = tmp_path / "folder" / "net.safetensors"
    weights.save_weights(model, path, {"seed": "3"})
    header = weights.read_metadata(path)
    assert header["seed"] == "3" and header["architecture"] == "MobileFaceNet"
    assert weights.load_weights(other, path) == header
    assert states_equal(model, other)
    assert header["digest"] == weights.digest(model.state_dict()) == weights.digest(other.state_dict())
    assert list(path.parent.iterdir()) == [path]


def test_digest_sees_names_types_shapes_and_values_but_not_order_or_strides():
    a, b = torch.arange(6.0).view(2, 3), torch.tensor(4)
    reference = weights.digest({"a": a, "b": b})
    assert reference == weights.digest({"b": b, "a": a.t().contiguous().t()})
    changed = a.clone()
    changed[1, 2] += 1e-6
    others = [
        {"a": changed, "b": b},
        {"A": a, "b": b},
        {"a": a.view(3, 2), "b": b},
        {"a": a.view(torch.int32), "b": b},
        {"a": a},
        {"a": a.bfloat16(), "b": b},
    ]
    assert len({reference, *(weights.digest(state) for state in others)}) == 1 + len(others)


def test_another_architecture_lists_keys_shapes_and_what_the_file_holds(tmp_path):
    path = tmp_path / "net.safetensors"
    weights.save_weights(net(), path, {"architecture": "mobilefacenet of width .125"})
    resnet = models.build("iresnet18", input_hw=(16, 16), width=0.125, embedding=8)
    before = weights.digest(resnet.state_dict())
    with pytest.raises(WeightsError) as caught:
        weights.load_weights(resnet, path)
    message = str(caught.value)
    assert message.startswith(f"{path}, which holds mobilefacenet of width .125, does not fit IResNet:")
    missing, unexpected, shapes = message.split("\n")[1:]
    assert missing.startswith("  missing: stages.0.0.layers.") and re.search(r" and \d+ more$", missing)
    assert unexpected.startswith("  unexpected: ") and "pool.0.weight" not in missing
    assert "instead of" in shapes
    assert weights.digest(resnet.state_dict()) == before, "a failed load must leave the network alone"


def test_compare_states_by_hand():
    one = {"a": torch.zeros(2), "b": torch.zeros(3, 4), "c": torch.zeros(1)}
    two = {"a": torch.zeros(2), "b": torch.zeros(4, 3), "d": torch.zeros(1)}
    assert weights.compare_states(one, one, "x") is None
    with pytest.raises(WeightsError) as caught:
        weights.compare_states(one, two, "checkpoint.pt does not fit")
    assert str(caught.value).split("\n") == [
        "checkpoint.pt does not fit:",
        "  missing: c",
        "  unexpected: d",
        "  of another shape: b [4, 3] instead of [3, 4]",
    ]


def test_file_of_another_program_loads_without_digest(tmp_path):
    path = tmp_path / "plain.safetensors"
    model, other = net(), net()
    save_file(model.state_dict(), path)
    assert weights.load_weights(other, path) == {}
    assert states_equal(model, other)
    with pytest.raises(WeightsError, match="which holds an architecture it does not name"):
        weights.load_weights(net(embedding=9), path)


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> bytes:
    path = tmp_path_factory.mktemp("weights") / "net.safetensors"
    weights.save_weights(net(), path)
    return path.read_bytes()


@settings(max_examples=25, deadline=None)
@given(part=st.floats(0, 1, exclude_max=True))
def test_truncated_anywhere(whole, tmp_path_factory, part):
    path = tmp_path_factory.mktemp("cut") / "cut.safetensors"
    path.write_bytes(whole[: int(part * len(whole))])
    with pytest.raises(WeightsError, match=r"cut.safetensors is not a whole safetensors file"):
        weights.load_weights(net(), path)


@settings(max_examples=25, deadline=None)
@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_a_flipped_bit_never_loads_as_good_weights(whole, tmp_path_factory, place, bit):
    damaged = bytearray(whole)
    damaged[int(place * len(damaged))] ^= 1 << bit
    path = tmp_path_factory.mktemp("flip") / "flip.safetensors"
    path.write_bytes(damaged)
    model = net()
    before = weights.digest(model.state_dict())
    try:
        header = weights.load_weights(model, path)
    except WeightsError as error:
        assert str(path) in str(error)
        assert weights.digest(model.state_dict()) == before
    else:  # the flip hit the name of a header entry, such as the architecture's: the weights are whole
        assert "digest" not in header or weights.digest(model.state_dict()) == header["digest"]


def test_a_flipped_bit_in_the_data_is_found(whole, tmp_path):
    path = tmp_path / "flip.safetensors"
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(WeightsError, match="do not match the digest"):
        weights.load_weights(net(), path)


def test_not_a_weights_file(tmp_path):
    absent = tmp_path / "absent.safetensors"
    with pytest.raises(FileNotFoundError, match=r"absent\.safetensors"):
        weights.load_weights(net(), absent)
    with pytest.raises(WeightsError, match=re.escape(str(tmp_path))):
        weights.read_metadata(tmp_path)
    text = tmp_path / "notes.txt"
    text.write_text("these are not weights, but a page of notes\n" * 20)
    with pytest.raises(WeightsError, match=r"notes.txt is not a whole safetensors file"):
        weights.read_metadata(text)


def test_a_failed_write_keeps_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "net.safetensors"
    weights.save_weights(net(), path)
    old = path.read_bytes()

    def full(state, where, metadata):
        where.write_bytes(b"half")
        raise OSError("No space left on device")

    monkeypatch.setattr(weights, "save_file", full)
    with pytest.raises(OSError, match="No space left"):
        weights.save_weights(net(), path)
    assert path.read_bytes() == old and list(tmp_path.iterdir()) == [path]
