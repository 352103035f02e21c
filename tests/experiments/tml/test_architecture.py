"""What TML's network is made of: counted by hand, shapes of the paper, and where gradients stop."""

import pytest

from aifr_lib.experiments.jobs import gather, store_of
from aifr_lib.experiments.tml import architecture
from aifr_lib.reporting import papers
from aifr_lib.settings.presets import load_preset


@pytest.fixture(scope="module")
def preset():
    return load_preset("smoke")


@pytest.fixture(scope="module")
def runs(preset, tmp_path_factory):
    out = tmp_path_factory.mktemp("figures")
    return gather(store_of(preset, out), architecture.modules_jobs(preset), compute=True, fresh=False)


def test_shapes_and_counts_are_the_papers(runs):
    large, small = (architecture.walked(runs[architecture.MODULES], name)
                    for name in (architecture.RESNET, architecture.MOBILE))  # fmt: skip
    assert list(large)[:5] == ["stage 1", "stage 2", "stage 3", "stage 4", "last map O_f"]
    assert list(large)[-3:] == ["encoder T_S", "mean T_ε", "linear layer T_Nc"], "in the order of a step"
    assert [large[f"stage {number}"]["output"][1:] for number in range(1, 5)] == [[56, 56], [28, 28], [14, 14], [7, 7]]
    assert large["encoder T_S"]["output"] == [49, 512] and small["encoder T_S"]["output"] == [42, 512]
    kept = ("stage", "last", "embedding")
    assert sum(part["parameters"] for name, part in large.items() if name.startswith(kept)) == 65_156_160
    assert sum(part["parameters"] for name, part in small.items() if name.startswith(kept)) == 999_680
    assert large["encoder T_S"]["parameters"] == 18_914_304


def test_multiply_adds_of_the_encoder_by_hand(runs):
    tokens, width, hidden, layers = 49, 512, 2048, 6
    linear = tokens * width * (4 * width + 2 * hidden)
    attention = 2 * tokens * tokens * width
    counted = architecture.walked(runs[architecture.MODULES], architecture.RESNET)["encoder T_S"]["multiply_adds"]
    assert counted == layers * (linear + attention)


def test_the_transformer_pulls_at_the_convolutions_and_not_at_the_embedding_layer(runs):
    found = runs[architecture.MODULES].summary["gradients"]
    assert found["transformer"]["embedding layer"] == found["transformer"]["margin head"] == 0
    assert found["margin"]["encoder"] == found["margin"]["linear layer"] == 0
    assert all(found[loss]["convolutions"] > 0 and found[loss]["O_f"] > 0 for loss in ("margin", "transformer"))


def test_a_margin_head_has_no_bias_and_a_standard_block_nobody_to_tell_apart(runs):
    by_network = runs[architecture.MODULES].summary["variants"]
    for name, config in architecture.networks(load_preset("smoke")).items():
        width = architecture.walked(runs[architecture.MODULES], name)["last map O_f"]["output"][0]
        each = {variant: one["parameters_each"] for variant, one in by_network[name].items()}
        assert each == {"a": 0, "b": width + 1, "c": width}, config.backbone


def test_the_preset_paper_has_every_printed_setting(preset, runs):
    rows = {row.keys["setting"]: row for row in architecture.intext_rows(preset, runs) if row.keys["preset"] == "paper"}
    assert set(rows) == set(papers.load("tml_intext").machine)
    differing = [name for name, row in rows.items() if row.measured.mean != row.paper]
    assert differing == ["parameters of MobileFaceNet"]
    assert rows["parameters of MobileFaceNet"].measured.mean == pytest.approx(990_000, rel=0.01)


def test_every_drawing_is_drawn(preset, tmp_path):
    for experiment in (architecture.FIG2, architecture.FIG5, architecture.FIG8, architecture.INTEXT):
        artefact = experiment(preset, out=tmp_path)
        assert artefact.rows and artefact.verdict == "none" and artefact.seeds == (0,)
        drawn = tmp_path / experiment.id / f"{experiment.id}.svg"
        assert drawn.is_file() == (experiment is not architecture.INTEXT)
