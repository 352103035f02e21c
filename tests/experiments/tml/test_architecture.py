"""What TML's network is made of: counted by hand, shapes of the paper, and where gradients stop."""

import pytest

from aifr_lib.experiments.jobs import gather, store_of
from aifr_lib.experiments.tml import alpha_sweep, architecture, beyond, configurations
from aifr_lib.reporting import papers
from aifr_lib.settings.presets import PRESETS, load_preset
from aifr_lib.settings.tml import TransformerTraining
from aifr_lib.training import transformer_metric


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


def test_the_branch_of_resnet100_costs_less_than_a_tenth(runs, preset):
    artefact = architecture.FIG5(preset, compute=False)
    rows = tuple(architecture.fig5_rows(preset, runs))
    network, branch = architecture.costs(artefact.model_copy(update={"rows": rows}), architecture.RESNET)
    assert network > 12_000 and 0 < branch < 0.1 * network


def test_every_row_pair_of_the_paper_has_its_printed_settings():
    """Tables II and III: five pairs; Table I: the sweep. What the text gives, each training has."""
    paper, printed = load_preset("paper"), papers.load("tml_intext").machine
    trained = {
        (base, on): paper.verification.training(paper.alpha_sweep, base, on, 0)
        for base in paper.verification.bases
        for on in (False, True)
    }
    for (base, on), config in trained.items():
        given = architecture.settings_of(config)
        assert {name: printed[name]["value"] for name in given} == given, (base, on)
        assert config.backbone == "iresnet100" and config.input_hw == (112, 112)
        assert (config.alpha > 0) == on and config.classifier == "linear" and config.combine == "weighted"
    pairs = {(row["train_data"].lower(), row["base"]) for row in papers.load("tml_table2").rows}
    assert {(config.data, config.loss) for config in trained.values()} == pairs and len(pairs) == 5
    small = architecture.settings_of(paper.alpha_sweep.training(0.4, 0))
    assert (paper.alpha_sweep.train.data, paper.alpha_sweep.train.backbone) == ("casia-webface", "mobilefacenet")
    differing = {name for name, value in small.items() if printed[name]["value"] != value}
    assert differing == {"embedding", "tokens"} and small["tokens"] == 42, "112×96, and 0.99 million parameters"


@pytest.mark.parametrize("name", PRESETS)
def test_every_training_of_every_size_can_be_made(name):
    preset = load_preset(name)
    for jobs in (alpha_sweep.alpha_sweep_jobs, configurations.fig7_jobs, beyond.beyond_jobs, beyond.variant_jobs):
        for spec in {job.spec.key: job.spec for job in jobs(preset, seeds=[0]).values()}.values():
            given = {key: spec.values[key] for key in ("branch", "dropout")}
            transformer_metric.check(TransformerTraining(train={**spec.values["train"], "seed": 0}, **given))


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
