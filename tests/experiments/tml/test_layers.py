"""Attention by layer as a face ages: shares by hand, rows of maps made up, a tiny network looked through."""

from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

from aifr_lib.data import relief
from aifr_lib.data.loader import to_input
from aifr_lib.experiments.tml import alpha_sweep, layers
from aifr_lib.faces.relief import render
from aifr_lib.reporting.rows import Measured, Row
from aifr_lib.reporting.runs import Run
from aifr_lib.settings.presets import load_preset
from aifr_lib.settings.tml import TransformerTraining
from aifr_lib.training import transformer_metric
from aifr_lib.training.engine import CHECKPOINT

PEOPLE, LAYERS, CELLS = 3, 2, (2, 2)


def run(scores, cells=CELLS):
    return {layers.LIFE: Run("k", None, scores, {"cells": list(cells)}, "cpu", {}, None, 0.0)}


def made_up():
    """The first layer follows the age alone, the second the person alone."""
    ages = np.linspace(0, 0.3, len(layers.AGES))
    received = np.full((PEOPLE, len(layers.AGES), LAYERS, 4), 0.25)
    received[:, :, 0, 0] += ages
    received[:, :, 0, 1:] -= ages[:, None] / 3
    for person in range(PEOPLE):
        received[person, :, 1] = np.roll([0.4, 0.2, 0.2, 0.2], person)
    rng = np.random.default_rng(0)
    stages = {f"stage{n}": rng.random((len(layers.AGES), 16 >> n, 16 >> n)) for n in range(1, 5)}
    pixels = rng.integers(0, 256, (len(layers.AGES), 16, 16, 3), dtype=np.uint8)
    return {"received": received, "changes": rng.random((len(layers.AGES), 4)), "pixels": pixels, **stages}


def test_the_network_is_a_run_of_the_sweep_and_its_branch_is_asked_for():
    preset = load_preset("smoke")
    (job,) = layers.layer_jobs(preset).values()
    assert job.needs["network"].spec == alpha_sweep.alpha_sweep_jobs(preset)[0.4, 0].spec
    assert job.needs["network"].leaves == (CHECKPOINT,)


def test_rows_tell_what_follows_the_age_from_what_follows_the_person():
    rows = {(row.keys["layer"], row.keys["pair"]): row.measured for row in layers.layer_rows(None, run(made_up()))}
    assert rows[1, layers.ONE].mean == pytest.approx(30) and rows[1, layers.TWO].mean == pytest.approx(0)
    assert rows[2, layers.ONE].mean == pytest.approx(0) and rows[2, layers.TWO].mean == pytest.approx(20)
    assert list(layers.layer_rows(None, {})) == []


def test_young_and_old_have_a_picture_and_every_age_a_frame():
    runs = run(made_up())
    figure = layers.layer_figure(None, runs)
    titles = [axis.get_title() for axis in figure.axes if axis.get_title()]
    plt.close(figure)
    assert titles == ["10 years", "changes with age", "layer 1", "layer 2", "80 years"]
    frames, labels = layers.age_frames(runs[layers.LIFE])
    assert len(set(frames)) == len(frames) == len(layers.AGES) and labels[0] == "10 years"
    words = ("the face", "stage 1", "stage 4", "changes with age", "layer 1", "layer 2")
    assert all(f">{one}<" in frames[0] for one in words)


def test_a_layer_that_looks_at_all_cells_alike_is_said_and_drawn_even():
    def row(layer, pair, mean):
        value = Measured(mean=mean, ci95=(mean - 0.01, mean + 0.01), interval="identities")
        return Row(keys={"layer": layer, "pair": pair}, metric=layers.MOVED, measured=value)

    rows = [row(1, layers.ONE, 5.0), row(1, layers.TWO, 4.0), row(2, layers.ONE, 0.01), row(2, layers.TWO, 0.01)]
    said = layers.found(SimpleNamespace(rows=rows))
    assert "of the attention of layer 1 moves" in said and "It depends on the age more than on the person." in said
    assert "Layer 2 gives each cell the same attention whoever is seen" in said
    axis = plt.figure().add_subplot()
    even = np.full((2, 3, 3), 1 / 9) + np.array([0, 1e-5])[:, None, None]
    layers.mapped(axis, "layer 2", even, 0)
    (image,) = axis.images
    assert image.norm(even[0]).data == pytest.approx(0.5, abs=1e-3)
    plt.close()


def test_maps_are_those_of_the_same_face_through_the_trained_network(tiny, tmp_path):
    config = TransformerTraining(train=load_preset("smoke", tiny).alpha_sweep.training(0.4, 0))
    torch.manual_seed(1)
    module = transformer_metric.objective(config, 8).eval()
    torch.save({"objective": module.state_dict()}, tmp_path / CHECKPOINT)
    result = layers.compute(config, PEOPLE, tmp_path)
    scores, summary = result.scores, result.summary
    assert scores["received"].shape == (PEOPLE, len(layers.AGES), 1, np.prod(summary["cells"]))
    assert scores["received"].sum(-1) == pytest.approx(1, abs=1e-5)
    pixels = render(relief.aged(PEOPLE, layers.AGES), 32, frame="aligned")
    assert np.array_equal(scores["pixels"], pixels[: len(layers.AGES)].numpy())
    with torch.inference_mode():
        person, at = 2, 5
        face = pixels[person * len(layers.AGES) + at : person * len(layers.AGES) + at + 1]
        maps = module.backbone.features(to_input(face))
        sequence = maps.flatten(2).transpose(1, 2)
        layer = module.branch.encoder[0]
        weights = layer.self_attn(sequence, sequence, sequence)[1][0].mean(0)
        own = module.backbone.stage_maps(to_input(pixels[at : at + 1]))[1][0].mean(0)
    assert scores["received"][person, at, 0] == pytest.approx(weights.numpy(), abs=1e-5)
    assert scores["stage2"][at] == pytest.approx(own.numpy(), abs=1e-5)
    assert scores["changes"].shape == (len(layers.AGES), np.prod(summary["cells"])) and scores["changes"].min() >= 0
