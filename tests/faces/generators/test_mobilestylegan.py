"""The offline generator itself: a handful of pictures, since one takes half a second."""

from __future__ import annotations

import importlib.util
from types import SimpleNamespace

import numpy as np
import pytest

from aifr_lib.faces.generators import mobilestylegan
from aifr_lib.names import ConfigError

needs_package = pytest.mark.skipif(mobilestylegan.missing() is not None, reason=mobilestylegan.missing() or "")


@pytest.fixture(scope="module")
def generator():
    return mobilestylegan.open_generator()


@needs_package
def test_a_seed_is_a_person_whoever_stands_beside(generator) -> None:
    together = generator.codes([3, 4, 5])
    np.testing.assert_array_equal(generator.codes([4])[0], together[1])
    assert together.shape == (3, 512) and together.dtype == np.float32
    assert np.linalg.norm(together[0] - together[2]) > 1


@needs_package
def test_truncation_draws_codes_towards_the_mean(generator) -> None:
    whole, half = generator.codes([7], psi=1.0), generator.codes([7], psi=0.5)
    np.testing.assert_allclose(half - generator.mean, (whole - generator.mean) / 2, atol=1e-5)
    np.testing.assert_allclose(generator.codes([7], psi=0.0)[0], generator.mean, atol=1e-6)
    z = np.random.default_rng(11).standard_normal((2000, 512), dtype=np.float32)
    assert np.abs(generator.mapped(z).mean(0) - generator.mean).max() < 0.15


@needs_package
def test_half_the_side_is_the_mean_of_every_four_pixels(generator) -> None:
    codes = generator.codes([1])
    small, large = generator.synthesise(codes)[0], mobilestylegan.MobileStyleGAN(1024).synthesise(codes)[0]
    assert large.shape == (1024, 1024, 3)
    means = large.astype(float).reshape(512, 2, 512, 2, 3).mean((1, 3))
    # The low band is averaged before it is clipped and rounded.
    assert np.abs(means - small).max() < 3 and np.abs(means - small).mean() < 0.6
    np.testing.assert_array_equal(generator.synthesise(codes)[0], small)


@needs_package
def test_wrong_codes_and_sides_are_refused(generator) -> None:
    for codes in (np.zeros((1, 511)), np.zeros(512), np.full((1, 512), np.nan)):
        with pytest.raises(ValueError, match="finite"):
            generator.synthesise(codes)
    with pytest.raises(ConfigError, match="side"):
        mobilestylegan.MobileStyleGAN(256)


def test_a_missing_package_is_named_with_the_command(monkeypatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"openvino and random-face: in the repository, pip install -e '\.\[real\]'"):
        mobilestylegan.MobileStyleGAN()


@pytest.mark.parametrize("harm", ["another file", "no file"])
def test_a_file_that_is_not_what_it_says_is_named(tmp_path, monkeypatch, harm) -> None:
    (tmp_path / "data").mkdir()
    for name in mobilestylegan.SHA256:
        if harm == "another file":
            (tmp_path / "data" / name).write_bytes(b"not a network")
    spec = SimpleNamespace(origin=str(tmp_path / "__init__.py"))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: spec)
    with pytest.raises(ValueError if harm == "another file" else ImportError, match=r"MappingNetwork\.xml"):
        mobilestylegan._files()
