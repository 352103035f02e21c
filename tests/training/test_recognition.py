import json
import math
import statistics
import zlib
from dataclasses import replace

import numpy as np
import pytest
import torch
from noise_images import make_images

from aifr_lib.models import weights
from aifr_lib.models.foreign.cards import Card, Carded
from aifr_lib.models.foreign.export import export_onnx
from aifr_lib.names import ConfigError
from aifr_lib.settings.presets import load_preset
from aifr_lib.settings.recognition import Recognition
from aifr_lib.training import recognition, sgd
from aifr_lib.training.engine import CHECKPOINT, LOG

SMALL = Recognition(
    backbone="mobilefacenet-fine",  # 2×2 cells, for a branch has nothing to relate in one
    input_hw=(16, 16),
    width=0.25,
    embedding=16,
    layers=1,
    heads=4,
    feedforward=32,
    batch=8,
    epochs=2,
    drops=(),
    lr=0.02,
)


def small(**change):
    return Recognition.model_validate({**SMALL.model_dump(), **change})


def test_step_schedule_is_the_papers():
    """TML section IV-B: a tenth after epochs 10, 18 and 22."""
    factor = sgd.rate(Recognition(), steps_per_epoch=100, steps=2400)
    assert [factor(step) for step in (0, 999, 1000, 1799, 1800, 2199, 2200, 2399)] == pytest.approx(
        [1, 1, 0.1, 0.1, 0.01, 0.01, 0.001, 0.001]
    )


def test_warm_up_is_linear_and_cosine_ends_at_nothing():
    factor = sgd.rate(Recognition(schedule="cosine", warmup=1), steps_per_epoch=4, steps=20)
    assert [factor(step) for step in range(4)] == [0.25, 0.5, 0.75, 1.0]
    for step in range(4, 20):
        assert factor(step) == pytest.approx(0.5 * (1 + math.cos(math.pi * (step - 4) / 16)))


def test_one_seed_starts_all_alphas_from_the_same_weights():
    starts = []
    for alpha in (0.0, 0.4, 0.9):
        torch.manual_seed(3)
        module = recognition.objective(small(alpha=alpha), 4)
        starts.append({**module.backbone.state_dict(), "head": module.head.weight})
    for other in starts[1:]:
        assert all(torch.equal(value, other[name]) for name, value in starts[0].items())


@pytest.mark.parametrize("loss", ["softmax", "cosface", "arcface", "adaface"])
@pytest.mark.parametrize("alpha", [0.0, 0.4])
def test_every_loss_learns_a_tiny_set(tmp_path, loss, alpha):
    images = make_images()
    trained = recognition.train(
        small(loss=loss, alpha=alpha, epochs=30, s=16, lr=0.02), tmp_path, device="cpu", progress=False, images=images
    )
    # Batches of a few pictures: the loss of a single one says little.
    logged = [json.loads(line)["loss_margin"] for line in (tmp_path / LOG).read_text(encoding="utf-8").splitlines()]
    assert statistics.median(logged) < {"softmax": 0.7}.get(loss, 3.0)
    assert not trained.backbone.training


def test_paper_preset_builds_and_takes_one_step(tmp_path):
    """The exact networks of Fig. 6 (MobileFaceNet, six-layer branch, 112×96), one step on noise."""
    train = load_preset("paper").alpha_sweep.train
    config = train.model_copy(update={"alpha": 0.4, "batch": 4, "epochs": 1, "precision": "no"})
    images = make_images(identities=2, per_identity=2, size=112)
    trained = recognition.train(config, tmp_path, device="cpu", progress=False, images=images)
    assert sum(p.numel() for p in trained.backbone.parameters()) == 999_680
    assert math.isfinite(trained.scalars["loss"])


def test_resnet100_with_the_branch_takes_one_step(tmp_path):
    """The exact network of Tables II and III, six-layer branch of 49 tokens, one step on noise."""
    preset = load_preset("paper")
    train = preset.verification.training(preset.alpha_sweep, "arcface", True, 0)
    config = train.model_copy(update={"batch": 2, "epochs": 1, "precision": "no"})
    images = make_images(identities=2, per_identity=1, size=112)
    trained = recognition.train(config, tmp_path, device="cpu", progress=False, images=images)
    assert sum(p.numel() for p in trained.backbone.parameters()) == 65_156_160
    assert math.isfinite(trained.scalars["loss_transformer"]) and trained.scalars["loss_margin"] > 0


def by_hand(config, images):
    """SGD written out, step by step: the state after each step, as weights and momentum."""
    classes = images.labels["identity"].to_numpy()
    torch.manual_seed(config.seed)
    module = recognition.objective(config, len(set(classes))).to(memory_format=torch.channels_last).train()
    weights, momentum, states = list(module.parameters()), None, []
    per_epoch, factor = len(images) // config.batch, sgd.rate(config, len(images) // config.batch, 0)
    for step in range(round(config.epochs * per_epoch)):
        epoch, place = divmod(step, per_epoch)
        rows = np.random.default_rng((config.seed, epoch)).permutation(len(images))[place * config.batch :][
            : config.batch
        ]
        torch.manual_seed(zlib.crc32(f"{config.seed}/{step}/0".encode()))
        pixels = torch.from_numpy(images.pixels[rows]).permute(0, 3, 1, 2)
        pixels = (pixels.float() - 127.5) / 128
        pixels = torch.where(torch.rand(len(rows), 1, 1, 1) < 0.5, pixels.flip(-1), pixels)
        loss = module({"images": pixels, "identity": torch.from_numpy(classes[rows])})["loss"]
        slopes = torch.autograd.grad(loss, weights)
        with torch.no_grad():
            slopes = [
                slope.add(weight, alpha=config.weight_decay) for slope, weight in zip(slopes, weights, strict=True)
            ]
            old = momentum or [torch.zeros_like(slope) for slope in slopes]
            momentum = [config.momentum * m + slope for m, slope in zip(old, slopes, strict=True)]
            for weight, m in zip(weights, momentum, strict=True):
                weight.add_(m, alpha=-config.lr * factor(step))
        states.append(({name: value.clone() for name, value in module.state_dict().items()}, momentum))
    return states


@pytest.mark.parametrize("alpha", [0.0, 0.4])
def test_a_checkpoint_of_before_recipes_goes_on_to_the_bits_of_sgd_written_out(tmp_path, alpha):
    """Its layout is written down here, so that a change of the engine cannot take it along."""
    config, images = small(alpha=alpha, loss="adaface", epochs=3, drops=(2,)), make_images()
    states = by_hand(config, images)
    weights_then, momentum = states[2]
    group = {
        "lr": config.lr,
        "momentum": config.momentum,
        "dampening": 0,
        "weight_decay": config.weight_decay,
        "nesterov": False,
        "maximize": False,
        "foreach": None,
        "differentiable": False,
        "fused": None,
        "initial_lr": config.lr,
        "params": list(range(len(momentum))),
    }
    checkpoint = {
        "step": 3,
        "seconds": 1.0,
        "settings": {"recipe_version": recognition.RECIPE_VERSION, **config.model_dump(mode="json")},
        "objective": weights_then,
        "optimiser": {
            "state": {number: {"momentum_buffer": value} for number, value in enumerate(momentum)},
            "param_groups": [group],
        },
        "scaler": {},
    }
    (tmp_path / "old").mkdir()
    torch.save(checkpoint, tmp_path / "old" / CHECKPOINT)
    for out in ("old", "new"):
        recognition.train(config, tmp_path / out, device="cpu", progress=False, images=images)
        state = torch.load(tmp_path / out / CHECKPOINT, weights_only=True)
        assert state["step"] == len(states) == 6
        assert all(torch.equal(value, states[-1][0][name]) for name, value in state["objective"].items())


def test_saved_network_comes_back_the_same(tmp_path):
    trained = recognition.train(SMALL, tmp_path, device="cpu", progress=False, images=make_images())
    network, config = recognition.load(trained.weights)
    assert config == SMALL
    assert weights.digest(network.state_dict()) == trained.checksum
    x = torch.randn(2, 3, 16, 16)
    # The two lie in memory in different layouts, so their sums are rounded differently.
    torch.testing.assert_close(network(x), trained.backbone(x), rtol=1e-4, atol=1e-4)


def test_a_training_goes_on_with_its_own_pictures_alone(tmp_path):
    images = make_images()
    recognition.train(SMALL, tmp_path, device="cpu", progress=False, images=images)
    for change in ({"version": "v9"}, {"name": "others"}, {"labels": images.labels.iloc[::-1]}):
        with pytest.raises(ValueError, match=r"a run with other settings \(pictures "):
            recognition.train(SMALL, tmp_path, device="cpu", progress=False, images=replace(images, **change))


def test_a_file_of_another_origin_is_refused(tmp_path):
    weights.save_weights(torch.nn.Linear(2, 2), tmp_path / "other.safetensors")
    with pytest.raises(ValueError, match="names no settings"):
        recognition.load(tmp_path / "other.safetensors")


def test_missing_data_set_says_where_it_should_be(tmp_path, monkeypatch):
    monkeypatch.setenv("AIFR_DATA", str(tmp_path))
    with pytest.raises(FileNotFoundError, match=r"casia-webface: train\.rec.* or PERSON/picture\.jpg"):
        recognition.training_faces(small(data="casia-webface"))
    monkeypatch.delenv("AIFR_DATA")
    with pytest.raises(FileNotFoundError, match="AIFR_DATA is not set"):
        recognition.training_faces(small(data="casia-webface"))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"m": 0.2, "loss": "softmax"}, "loss 'softmax' has no margin: leave m out, it is 0.2"),
        ({"m": 1.6}, r"margin m 1.6: must lie within \[0, π/2\)"),
        ({"m": -0.1}, r"margin m -0.1: must lie within \[0, π/2\)"),
        ({"alpha": 1.0}, "less than 1"),
        ({"alpha": -0.1}, "greater than or equal to 0"),
        ({"layers": 0}, "greater than or equal to 1"),
    ],
)
def test_settings_that_make_no_sense_are_refused(change, says):
    with pytest.raises(ValueError, match=says):
        small(**change)


@pytest.mark.parametrize(
    ("change", "people", "says"),
    [
        ({"backbone": "mobilefacenet", "alpha": 0.4}, 4, "a map of one cell leaves a branch nothing to relate"),
        ({"heads": 7, "alpha": 0.4}, 4, "128 channels do not divide among 7 heads"),
        ({}, 1, "one class: a loss that tells people apart needs two"),
        ({"alpha": 0.4}, 1, "one class: a loss that tells people apart needs two"),
    ],
)
def test_what_cannot_be_trained_is_refused_before_the_first_step(tmp_path, change, people, says):
    images = make_images(identities=people, per_identity=16 // people)
    with pytest.raises(ConfigError, match=says):
        recognition.train(small(**change), tmp_path, device="cpu", progress=False, images=images)
    assert not (tmp_path / CHECKPOINT).exists() and not (tmp_path / LOG).exists()


def test_labels_that_the_head_does_not_have_are_refused_before_the_first_step(tmp_path):
    with pytest.raises(ValueError, match=r"label 3 of picture 12: the head tells 3 people apart, 0 to 2"):
        recognition.train(
            SMALL,
            tmp_path,
            device="cpu",
            progress=False,
            images=make_images(),
            make=lambda classes: recognition.objective(SMALL, classes - 1),
        )
    assert not (tmp_path / CHECKPOINT).exists()


def test_the_log_has_the_slopes_of_the_losses_and_they_change_no_weight(tmp_path, monkeypatch):
    checksums = []
    for every in (50, 2):
        monkeypatch.setattr(recognition, "LOG_EVERY", every)
        out = tmp_path / str(every)
        trained = recognition.train(small(alpha=0.4, epochs=4), out, device="cpu", progress=False, images=make_images())
        checksums.append(trained.checksum)
    assert checksums[0] == checksums[1]
    log = [json.loads(line) for line in (tmp_path / "2" / LOG).read_text(encoding="utf-8").splitlines()]
    assert [line["step"] for line in log if "slope_margin" in line] == [2, 4, 6, 8]
    assert all(line["slope_transformer"] > 0 for line in log)


def test_the_network_that_is_exported_is_the_same_with_the_branch_and_without(tmp_path):
    onnx = pytest.importorskip("onnx")
    config = small(alpha=0.4)
    torch.manual_seed(0)
    network = recognition.objective(config, 4).backbone.eval()
    pictures = make_images().pixels[:4]
    export_onnx(Carded(network, Card(input_hw=config.input_hw), "it"), tmp_path / "network.onnx", pictures)
    torch.manual_seed(0)
    plain = recognition.backbone(small()).eval()
    export_onnx(Carded(plain, Card(input_hw=config.input_hw), "it"), tmp_path / "plain.onnx", pictures)
    graphs = [onnx.load(tmp_path / name).graph for name in ("network.onnx", "plain.onnx")]
    assert [(one.op_type, *one.output) for one in graphs[0].node] == [
        (one.op_type, *one.output) for one in graphs[1].node
    ]
    assert [one.raw_data for one in graphs[0].initializer] == [one.raw_data for one in graphs[1].initializer]


def test_a_sum_of_losses_has_its_branch_at_any_alpha():
    """Eq. 12 has no α: at its default of 0 the branch must not go missing."""
    assert recognition.objective(SMALL.model_copy(update={"combine": "sum"}), 4).branch is not None
    assert recognition.objective(SMALL, 4).branch is None
