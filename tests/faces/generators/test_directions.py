"""Directions in a latent space: the rule, the range of α, and every way a file can be wrong."""

from __future__ import annotations

import logging
import pickle

import numpy as np
import pytest

from aifr_lib.faces.generators import directions
from aifr_lib.faces.generators.directions import Direction, edit, load_directions, read_boundary, save_directions
from aifr_lib.names import ConfigError


def direction(width: int = 4, scale: float = 0.5) -> Direction:
    return Direction("age", np.arange(1.0, width + 1), scale, {"seed": 3})


def test_an_edit_is_the_code_and_alpha_scaled_normals() -> None:
    codes = np.random.default_rng(0).standard_normal((3, 4)).astype(np.float32)
    one = direction()
    moved = edit(codes, one, -2.5)
    length = np.sqrt(1 + 4 + 9 + 16)
    for row in range(3):
        for k in range(4):
            assert moved[row, k] == pytest.approx(codes[row, k] - 2.5 * 0.5 * (k + 1) / length, abs=1e-6)
    assert moved.dtype == np.float32
    np.testing.assert_array_equal(edit(codes, one, 0), codes)


def test_every_layer_of_an_extended_code_gets_the_same_offset() -> None:
    plus = np.random.default_rng(1).standard_normal((2, 7, 4)).astype(np.float32)
    offset = edit(plus, direction(), 3) - plus
    np.testing.assert_allclose(offset, np.broadcast_to(1.5 * direction().normal, plus.shape), atol=1e-6)


def test_alpha_is_relative_to_the_code_given() -> None:
    # InterFaceGAN's own tool would set the distance from the boundary, whatever the code's was.
    codes = 100 * np.ones((1, 4), dtype=np.float32)
    one = direction()
    assert ((edit(codes, one, 2) - codes) @ one.normal).item() == pytest.approx(1.0, abs=1e-4)


@pytest.mark.parametrize("alpha", [5.01, -7, float("inf")])
def test_alpha_outside_the_range_is_refused(alpha: float) -> None:
    with pytest.raises(ConfigError, match="strength α"):
        edit(np.zeros((1, 4), np.float32), direction(), alpha)


def test_alpha_outside_the_range_is_allowed_with_a_note(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        moved = edit(np.zeros((1, 4), np.float32), direction(), 7, beyond=True)
    assert "outside" in caplog.text
    np.testing.assert_allclose(moved, 3.5 * direction().normal[None], rtol=1e-6)
    with pytest.raises(ConfigError):
        edit(np.zeros((1, 4), np.float32), direction(), float("nan"), beyond=True)


def test_codes_of_another_network_are_refused() -> None:
    with pytest.raises(ValueError, match="another network"):
        edit(np.zeros((1, 5), np.float32), direction(), 1)


@pytest.mark.parametrize("shape", [(512,), (1, 512)])
def test_a_boundary_file_becomes_a_unit_vector(tmp_path, shape) -> None:
    values = np.random.default_rng(2).standard_normal(shape) * 7
    path = tmp_path / "stylegan_ffhq_smile_w_boundary.npy"
    np.save(path, values)
    read = read_boundary(path)
    assert read.name == "smile" and read.scale == 1
    np.testing.assert_allclose(read.normal, values.ravel() / np.linalg.norm(values), rtol=1e-5)


def hostile(tmp_path, kind: str):
    path = tmp_path / f"{kind}.npy"
    values = np.random.default_rng(0).standard_normal((1, 512))
    if kind == "pickled array":
        np.save(path, np.array([{"a": 1}], dtype=object))
    elif kind == "pickle":
        path.write_bytes(pickle.dumps(values))
    elif kind == "width":
        np.save(path, values[:, :511])
    elif kind == "layers":
        np.save(path, np.repeat(values, 18, 0))
    elif kind == "nan":
        np.save(path, np.where(np.arange(512) == 7, np.nan, values))
    elif kind == "zeros":
        np.save(path, values * 0)
    elif kind == "integers":
        np.save(path, np.ones((1, 512), dtype=int))
    elif kind == "archive":
        np.savez(path.with_suffix(""), values)
        path.with_suffix(".npz").rename(path)
    elif kind == "cut":
        np.save(path, values)
        path.write_bytes(path.read_bytes()[:-100])
    elif kind == "empty":
        path.write_bytes(b"")
    else:
        path.write_text("a direction, honestly")
    return path


@pytest.mark.parametrize(
    "kind",
    ["pickled array", "pickle", "width", "layers", "nan", "zeros", "integers", "archive", "cut", "empty", "text"],
)
def test_a_wrong_boundary_file_is_named(tmp_path, kind) -> None:
    path = hostile(tmp_path, kind)
    with pytest.raises(ValueError, match=path.name) as error:
        read_boundary(path)
    if kind.startswith("pickle"):
        assert "never opened" in str(error.value)


def test_a_missing_boundary_file_is_named(tmp_path) -> None:
    with pytest.raises(FileNotFoundError, match=r"none\.npy"):
        read_boundary(tmp_path / "none.npy")


def test_directions_survive_their_file(tmp_path) -> None:
    path = tmp_path / "directions.safetensors"
    saved = {"age": direction(512), "smile": Direction("smile", np.eye(512)[3], 2.0, {"r": 0.9})}
    save_directions(path, saved, {"seeds": [1, 2]})
    for name, read in load_directions(path).items():
        np.testing.assert_array_equal(read.normal, saved[name].normal)
        assert (read.name, read.scale, read.about) == (name, saved[name].scale, saved[name].about)


@pytest.mark.parametrize("harm", ["cut", "text", "width", "bare"])
def test_a_wrong_file_of_directions_is_named(tmp_path, harm) -> None:
    from safetensors.numpy import save_file

    path = tmp_path / "directions.safetensors"
    save_directions(path, {"age": direction(512 if harm != "width" else 18)}, {})
    if harm == "cut":
        path.write_bytes(path.read_bytes()[:-8])
    elif harm == "text":
        path.write_text("age: 1 2 3")
    elif harm == "bare":
        save_file({"age": np.ones(512, np.float32)}, path)
    with pytest.raises(ValueError, match=r"directions\.safetensors"):
        load_directions(path)


def test_the_committed_directions_are_unit_and_say_how_they_were_found() -> None:
    found = directions.found_directions()
    assert {"age", "smile", "weight"} <= set(found)
    for one in found.values():
        assert one.normal.shape == (512,) and np.linalg.norm(one.normal) == pytest.approx(1, abs=1e-5)
        assert one.about["reading"] and one.about["r"] > 0.45
