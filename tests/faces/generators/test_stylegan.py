import io
import pickle

import numpy as np
import pytest
import torch
from torch import nn

from aifr_lib.faces.generators import stylegan
from aifr_lib.faces.generators.directions import Direction, edit

WIDTH, LAYERS, SIDE = 8, 5, 16


class Mapping(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(6, WIDTH)
        self.register_buffer("w_avg", torch.linspace(-1, 1, WIDTH))

    def forward(self, z, c):
        assert c is None
        return torch.tanh(self.layer(z))[:, None].repeat(1, LAYERS, 1)


class Synthesis(nn.Module):
    """Each layer paints a band of its own, so that a picture tells which layers were moved."""

    def __init__(self):
        super().__init__()
        self.paint = nn.Linear(WIDTH, 3)

    def forward(self, ws, noise_mode="random", force_fp32=False):
        assert noise_mode == "const", "another noise in each picture would be another face"
        assert force_fp32, "half precision does not run on a CPU"
        bands = self.paint(ws).transpose(1, 2)[..., None]
        return nn.functional.interpolate(bands, (SIDE, SIDE), mode="nearest")


class Network(nn.Module):
    """What NVIDIA's code makes of a file, in small."""

    def __init__(self, c_dim=0):
        super().__init__()
        self.z_dim, self.w_dim, self.num_ws, self.img_resolution, self.c_dim = 6, WIDTH, LAYERS, SIDE, c_dim
        self.mapping, self.synthesis = Mapping(), Synthesis()


@pytest.fixture
def network():
    torch.manual_seed(0)
    return Network()


@pytest.fixture
def direction():
    normal = np.zeros(WIDTH, np.float32)
    normal[2] = 1
    return Direction("age", normal, 0.5, {})


def test_a_seed_is_the_face_of_nvidias_script(network):
    generator = stylegan.adapt(network, name="small")
    assert (generator.width, generator.side, generator.layers, generator.inputs) == (WIDTH, SIDE, LAYERS, 6)
    z = torch.from_numpy(np.random.RandomState(7).randn(1, 6)).float()
    w = network.mapping(z, None)[:, 0].detach().numpy()
    average = np.linspace(-1, 1, WIDTH)
    assert generator.codes([7], psi=0.7) == pytest.approx(average + 0.7 * (w - average), abs=1e-6)
    assert generator.codes([3, 7], psi=1.0)[1:] == pytest.approx(w, abs=1e-6)
    assert generator.codes([3, 7]).shape == (2, WIDTH)


def test_pictures_are_nvidias_grey_levels(network):
    generator = stylegan.adapt(network)
    codes = generator.codes([1, 2])
    pictures = generator.synthesise(codes)
    assert pictures.shape == (2, SIDE, SIDE, 3)
    assert pictures.dtype == np.uint8
    colour = network.synthesis.paint(torch.from_numpy(codes[1])).detach().numpy()
    expected = np.clip(colour * 127.5 + 128, 0, 255).astype(np.uint8)
    assert (pictures[1] == expected).all()


def test_plain_codes_reach_every_layer_and_layered_codes_their_own(network):
    generator = stylegan.adapt(network)
    plain = generator.codes([4])
    layered = np.repeat(plain[:, None], LAYERS, axis=1)
    assert (generator.synthesise(plain) == generator.synthesise(layered)).all()
    layered[:, 0] += 1
    changed = (generator.synthesise(plain) != generator.synthesise(layered)).any(axis=(0, 2, 3))
    assert changed[: SIDE // LAYERS].all()
    assert not changed[SIDE // LAYERS + 1 :].any()


def test_truncation_may_stop_at_a_layer(network):
    generator = stylegan.adapt(network, truncated=2)
    codes = generator.codes([5], psi=0.5)
    assert codes.shape == (1, LAYERS, WIDTH)
    whole = stylegan.adapt(network)
    assert codes[:, :2] == pytest.approx(np.repeat(whole.codes([5], psi=0.5)[:, None], 2, axis=1), abs=1e-6)
    assert codes[:, 2:] == pytest.approx(np.repeat(whole.codes([5], psi=1.0)[:, None], 3, axis=1), abs=1e-6)


def test_an_exported_network_gives_the_same_faces_without_its_code(network, tmp_path):
    path = tmp_path / "small.torchscript"
    stylegan.export(network, path)
    opened = stylegan.open_generator(path)
    adapted = stylegan.adapt(network)
    assert (opened.name, opened.width, opened.side) == ("small", WIDTH, SIDE)
    codes = adapted.codes([0, 9], psi=0.6)
    assert opened.codes([0, 9], psi=0.6) == pytest.approx(codes, abs=1e-6)
    assert np.abs(opened.synthesise(codes).astype(int) - adapted.synthesise(codes)).max() <= 1


def test_versions_tell_weights_apart(network):
    before = stylegan.adapt(network).version
    assert before == stylegan.adapt(network).version
    with torch.no_grad():
        network.synthesis.paint.bias += 1e-3
    assert stylegan.adapt(network).version != before


def test_pickles_and_weights_alone_are_not_opened_and_the_way_is_named(network, tmp_path):
    class Hostile:
        def __reduce__(self):
            return (pytest.fail, ("the pickle was opened",))

    pickled, weights, other = tmp_path / "ffhq.pkl", tmp_path / "ffhq.pt", tmp_path / "faces.torchscript"
    pickled.write_bytes(pickle.dumps(Hostile()))
    torch.save(network.state_dict(), weights)
    other.write_bytes(b"not a network")
    for path, what in ((pickled, "a pickle"), (weights, "weights alone"), (other, "no file of a network")):
        with pytest.raises(ValueError, match=rf"{path.name} is .*{what}.*stylegan\.adapt"):
            stylegan.open_generator(path)
    with pytest.raises(FileNotFoundError, match=r"missing\.torchscript"):
        stylegan.open_generator(tmp_path / "missing.torchscript")


def test_torchscript_of_something_else_and_a_cut_file_are_refused(network, tmp_path):
    script = io.BytesIO()
    torch.jit.save(torch.jit.trace(nn.Linear(2, 2), torch.zeros(1, 2)), script)
    (tmp_path / "linear.pt").write_bytes(script.getvalue())
    stylegan.export(network, tmp_path / "whole.pt")
    content = (tmp_path / "whole.pt").read_bytes()
    (tmp_path / "cut.pt").write_bytes(content[: len(content) // 2])
    for name in ("linear.pt", "cut.pt"):
        with pytest.raises(ValueError, match=rf"{name} is no"):
            stylegan.open_generator(tmp_path / name)


def test_a_network_that_does_not_fit_is_named(network):
    with pytest.raises(TypeError, match=r"Linear is no StyleGAN generator: it has no z_dim, w_dim"):
        stylegan.adapt(nn.Linear(2, 2))
    with pytest.raises(ValueError, match="class labels"):
        stylegan.adapt(Network(c_dim=10))
    generator = stylegan.adapt(network)
    with pytest.raises(ValueError, match=r"codes \[B, 8\] or \[B, 5, 8\], got \[1, 9\]"):
        generator.synthesise(np.zeros((1, 9), np.float32))
    with pytest.raises(ValueError, match="no numbers"):
        generator.synthesise(np.full((1, WIDTH), np.nan, np.float32))


def test_moving_to_a_distance_and_moving_by_a_strength(network, direction):
    """InterFaceGAN's ``linear_interpolate`` for W codes, spelt out: w + (d − w·n) n."""
    codes = stylegan.adapt(network).codes([0, 1, 2])
    n = direction.normal
    for code, alpha in zip(codes, stylegan.alpha_at(codes, direction, distance=1.5), strict=True):
        moved = edit(code, direction, float(alpha))
        assert moved == pytest.approx(code + (1.5 - code @ n) * n, abs=1e-6)
        assert moved @ n == pytest.approx(1.5, abs=1e-6)
