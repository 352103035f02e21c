"""MTLFace's settings: the printed ones, and those that cannot be trained."""

from __future__ import annotations

import pytest

from aifr_lib.names import ConfigError, validate
from aifr_lib.reporting import papers
from aifr_lib.settings.mtlface import MultiTask
from aifr_lib.settings.presets import PRESETS, load_preset


def test_paper_preset_is_what_section_b_prints():
    printed = {row["name"]: row["value"] for row in papers.load("mtlface_intext").rows}
    group = load_preset("paper").mtlface
    for name, asked in (("SCAF", group.train), ("LCAF", group.large)):
        reading, train, drawing = asked.recognition, asked.recognition.train, asked.synthesis
        assert reading.in_steps and train.epochs == printed[f"iterations {name}"]
        assert [train.warmup, *train.drops] == printed[f"LR warm-up end / drops {name}"]
        assert (train.backbone, train.embedding) == ("iresnet50", 512)
        assert train.input_hw == (printed["image size"],) * 2 and train.batch == printed["batch size"]
        assert (train.loss, train.m, train.s) == ("cosface", printed["CosFace margin"], printed["CosFace scale"])
        assert (train.lr, train.momentum, train.schedule) == (0.1, 0.9, "step")
        assert reading.age_weight == printed["lambda_age AIFR"]
        assert reading.adversary_weight == printed["lambda_id AIFR"]
        assert drawing.adversarial_weight == printed["lambda_adv FAS"]
        assert drawing.identity_weight == printed["lambda_id FAS"]
        assert drawing.age_weight == printed["lambda_age FAS"]
        assert drawing.blocks == printed["ICBs in ICM"]
        assert (drawing.lr, drawing.critic_lr, drawing.betas) == (1e-4, None, (0.9, 0.99))
        in_code = train.weight_decay, train.dropout, reading.bounds, reading.afd, asked.schedule, drawing.averaging
        assert in_code == (5e-4, 0.5, (10, 20, 30, 40, 50, 60), "both", "joint", 0.0)
        inferred = drawing.condition, drawing.filters, drawing.share, drawing.widths, drawing.reduction
        assert inferred == ("icm", 128, 0.125, (256, 128, 64, 32), "mean")


@pytest.mark.parametrize("name", PRESETS)
def test_all_sizes_draw_seven_groups_of_whole_filters(name):
    asked = load_preset(name).mtlface.train
    assert len(asked.recognition.bounds) == 6
    assert (asked.synthesis.filters * asked.synthesis.share).is_integer()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"recognition": {"train": {}, "bounds": [20, 20]}}, r"bounds \[20.0, 20.0\] leave no age to some group"),
        ({"recognition": {"train": {}, "bounds": []}}, r"bounds \[\] leave no age"),
        ({"recognition": {"train": {}, "bounds": [0, 50]}}, "leave no age to some group"),
        ({"recognition": {"train": {}, "bounds": [50, 100]}}, "rising and between 0 and 100"),
        ({"recognition": {"train": {"alpha": 0.4}}}, "MTLFace has no transformer branch"),
        ({"recognition": {"train": {}, "age_weight": 0}}, "synthesis learns from the age head"),
        ({"synthesis": None, "schedule": "two_stage"}, "has no second stage"),
        ({"synthesis": {"epochs": 2}}, "a joint training has one length"),
        ({"synthesis": {"condition": "onehot"}}, "'synthesis.condition'"),
        ({"recognition": {"train": {}, "adf": "both"}}, "unknown key 'recognition.adf'; did you mean 'afd'"),
    ],
)
def test_what_cannot_be_trained_is_refused_with_what_to_do(change, message):
    validate(MultiTask, {"recognition": {"train": {}}}, "settings")
    with pytest.raises(ConfigError, match=message):
        validate(MultiTask, {"recognition": {"train": {}}, **change}, "settings")
