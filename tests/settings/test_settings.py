import shutil

import pytest
import yaml

from aifr_lib.files import atomic_write
from aifr_lib.names import ConfigError, choose, nearest, validate
from aifr_lib.settings import presets
from aifr_lib.settings.aad import Distillation
from aifr_lib.settings.presets import PRESETS, Preset, load_preset
from aifr_lib.settings.recognition import Recognition


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_loads(name):
    preset = load_preset(name)
    assert preset.name == name
    assert 0 in preset.alpha_sweep.alphas, "the sweep needs its baseline"


def texts(folder=presets.FOLDER):
    """Each part's text as it is read, behind the budgets."""
    shared = (folder / presets.BUDGETS).read_text(encoding="utf-8")
    parts = sorted(path for path in folder.glob("*.yaml") if path.name != presets.BUDGETS)
    return {path.stem: shared + path.read_text(encoding="utf-8") for path in parts}


def test_every_group_stands_in_one_part():
    groups = [group for text in texts().values() for group in yaml.safe_load(text)["smoke"]]
    assert sorted([*groups, "name"]) == sorted(Preset.model_fields)


@pytest.mark.parametrize("part", texts())
def test_no_anchor_and_no_key_is_defined_twice(part):
    """YAML lets the second take the place of the first and says nothing."""
    anchors = [token.value for token in yaml.scan(texts()[part]) if isinstance(token, yaml.AnchorToken)]
    assert len(set(anchors)) == len(anchors)
    nodes = [yaml.compose(texts()[part])]
    while nodes:
        node = nodes.pop()
        if isinstance(node, yaml.MappingNode):
            keys = [key.value for key, _ in node.value]
            assert len(set(keys)) == len(keys), f"{keys} at {node.start_mark}"
            nodes += [value for _, value in node.value]


@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        ("tml.yaml", "alphas: [0.0, 0.4, 0.9]", "alphass: [0]", r"tml\.yaml, lesson, .*did you mean 'alphas'"),
        ("tml.yaml", "lesson:", "lessn:", r"tml\.yaml: unknown size 'lessn'; did you mean 'lesson'"),
        ("generator.yaml", "latent_sets:", "latent_set:", r"generator\.yaml, smoke: .*; did you mean 'latent_sets'"),
        ("generator.yaml", "  latent_sets: {identities: 6,", "  # {", r"generator\.yaml, lesson: lacks 'latent_sets'"),
        ("tml.yaml", "alphas: [0.0, 0.4]", "alphas: [0.0, 0.4", r"tml\.yaml, line 4: not YAML"),
        ("tml.yaml", "train: *smoke", "train: *smok", r"tml\.yaml, line 10: not YAML: found undefined alias 'smok'"),
        ("budgets.yaml", "drops: []", "drops: [", r"budgets\.yaml, line \d+: not YAML"),
        ("relief.yaml", "\nlesson:\n", "\nsmoke:\n", r"relief\.yaml lacks the size 'lesson': it needs each of smoke, "),
    ],
)
def test_a_wrong_file_is_named_with_its_size_and_key(name, old, new, message, tmp_path, monkeypatch):
    shutil.copytree(presets.FOLDER, tmp_path, dirs_exist_ok=True)
    text = (tmp_path / name).read_text(encoding="utf-8")
    assert old in text
    (tmp_path / name).write_text(text.replace(old, new), encoding="utf-8")
    monkeypatch.setattr(presets, "FOLDER", tmp_path)
    with pytest.raises(ConfigError, match=rf"^presets/{message}"):
        load_preset("smoke")


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("budgets.yaml", b"", r"presets/budgets\.yaml lacks the key 'budgets'"),
        ("budgets.yaml", None, r"presets/budgets\.yaml cannot be read"),
        ("tml.yaml", b"smoke: \xff", r"presets/tml\.yaml cannot be read"),
        ("again.yaml", "tml.yaml", r"presets/tml\.yaml: 'alpha_sweep' stands in another file too"),
    ],
)
def test_files_that_cannot_be_used_are_named(file, content, message, tmp_path, monkeypatch):
    folder = shutil.copytree(presets.FOLDER, tmp_path / "presets")
    if content is None:
        (folder / file).unlink()
    else:
        (folder / file).write_bytes(content if isinstance(content, bytes) else (folder / content).read_bytes())
    monkeypatch.setattr(presets, "FOLDER", folder)
    with pytest.raises(ConfigError, match=message):
        load_preset("smoke")


def test_unknown_preset_names_the_nearest():
    with pytest.raises(ConfigError, match="unknown preset 'lessson'; did you mean 'lesson'"):
        load_preset("lessson")


def test_misspelt_key_names_the_nearest_and_nothing_is_guessed():
    with pytest.raises(ConfigError, match=r"unknown key 'alpha_sweep.train.epoch'; did you mean 'epochs'"):
        load_preset("smoke", {"alpha_sweep.train.epoch": 3})


def test_wrong_type_names_the_key_and_the_value():
    with pytest.raises(ConfigError, match=r"unknown key 'relief_card.calibration.schooled.lrr'; did you mean 'lr'"):
        load_preset("classroom", {"relief_card.calibration.schooled.lrr": 0.1})
    with pytest.raises(ConfigError, match=r"'alpha_sweep.train.lr'.*'fast'"):
        load_preset("smoke", {"alpha_sweep.train.lr": "fast"})
    with pytest.raises(ConfigError, match=r"tour.*group of keys|tour.committed"):
        load_preset("smoke", {"tour.committed.deep": 1})


def test_override_reaches_the_value():
    preset = load_preset("smoke", {"alpha_sweep.train.clip": 0.05})
    assert preset.alpha_sweep.train.clip == 0.05
    assert preset.tour.train.clip == load_preset("smoke").tour.train.clip, "one key must not change another"


def test_a_rate_that_the_tuned_ones_would_override_is_refused():
    with pytest.raises(ConfigError, match=r"train.lr 0.05 would not be used: lr holds the rates, \[0.2, 0.2\]"):
        load_preset("classroom", {"alpha_sweep.train.lr": 0.05})


def test_drops_must_rise():
    with pytest.raises(ConfigError, match="drops must rise"):
        load_preset("smoke", {"alpha_sweep.train.drops": [3, 2]})


def test_micro_batches_must_divide_the_batch():
    with pytest.raises(ConfigError, match="a batch of 32 does not divide into 5 micro-batches"):
        load_preset("smoke", {"tour.train.accumulate": 5})
    with pytest.raises(ConfigError, match="batch norm needs two pictures in each micro-batch"):
        load_preset("smoke", {"tour.train.accumulate": 32})


def test_paper_preset_is_what_the_paper_prints():
    """TML section IV-B (optimiser), IV-C and Table I (MobileFaceNet on CASIA at 112×96); epochs are inferred."""
    train = load_preset("paper").alpha_sweep.train
    printed = {
        "data": "casia-webface",
        "backbone": "mobilefacenet",
        "input_hw": (112, 96),
        "loss": "arcface",
        "m": 0.45,
        "s": 64.0,
        "layers": 6,
        "heads": 8,
        "batch": 512,
        "lr": 0.1,
        "momentum": 0.9,
        "weight_decay": 5e-4,
        "schedule": "step",
        "drops": (10, 18, 22),
        "epochs": 24,
        "feedforward": 2048,
        "pos_encoding": "none",
        "classifier": "linear",
        "combine": "weighted",
    }
    assert {key: getattr(train, key) for key in printed} == printed


def test_presets_are_frozen():
    with pytest.raises(ValueError, match="frozen"):
        Recognition().lr = 1.0


def test_choose_suggests():
    with pytest.raises(ConfigError, match="unknown loss 'arcfase'; did you mean 'arcface'"):
        choose("loss", "arcfase", {"arcface": 1, "cosface": 2})


def test_atomic_write_keeps_the_old_file_when_the_write_fails(tmp_path):
    path = tmp_path / "result.json"
    path.write_text("old")
    with pytest.raises(OSError, match="disk full"), atomic_write(path) as temporary:
        temporary.write_text("half")
        raise OSError("disk full")
    assert path.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["result.json"]


def test_atomic_write_replaces_whole(tmp_path):
    with atomic_write(tmp_path / "new" / "result.json") as temporary:
        temporary.write_text("whole")
    result = tmp_path / "new" / "result.json"
    assert result.read_text() == "whole"
    (plain := tmp_path / "plain").touch()
    assert result.stat().st_mode == plain.stat().st_mode, "readable for whom any other new file is"


def test_nearest_of_very_many_shows_the_likeliest():
    message = nearest("table7", [f"table{i}" for i in range(6)] + [f"other{i}" for i in range(40)])
    assert message.startswith("; did you mean 'table")
    assert "46 are valid, among them" in message
    assert "other33" not in message
    assert nearest("zzz", ["a", "b"]) == " (valid: a, b)"


def test_paper_preset_of_aad_trains_all_seventeen_rows_of_table_ii_as_printed():
    """AAD section IV-C: batch, rate, momentum, λ_n and its halving; decay and schedule are inferred."""
    from aifr_lib.losses.distillation import halved
    from aifr_lib.reporting import papers

    aad = load_preset("paper").aad
    names = {"iresnet90": "R90", "mobilenetv1": "MV1", "mobilenetv2": "MV2", "mobilefacenet": "MFN",
             "mobilefacenet-r": "MFNR"}  # fmt: skip
    made = {(names[entry.backbone], variant) for entry in aad.ledger for variant in entry.variants}
    printed = {(row["backbone"], row["variant"]) for row in papers.load("aad_table2").rows}
    assert made | {(names[aad.teacher.backbone], "teacher")} == printed and len(printed) == 17
    assert {entry.backbone: entry.embedding for entry in aad.ledger} == {
        "mobilenetv1": 512, "mobilenetv2": 256, "mobilefacenet": 512, "mobilefacenet-r": 512
    }  # fmt: skip
    for train in (aad.train, aad.teacher):
        stated = {"data": "ms1mv2", "input_hw": (112, 112), "batch": 512, "lr": 0.1, "momentum": 0.9}
        assert {name: getattr(train, name) for name in stated} == stated
        inferred = {"loss": "arcface", "m": 0.5, "s": 64.0, "weight_decay": 5e-4, "width": 1.0}
        assert {name: getattr(train, name) for name in inferred} == inferred
        per_epoch = 5_822_653 // 512  # pictures of ms1mv2
        assert round(train.epochs * per_epoch) == 240_000
        assert [round(drop * per_epoch) for drop in train.drops] == [100_000, 160_000, 220_000]
    weights = {name: (asked.mode, asked.last_weight, asked.masks) for name, asked in aad.variants.items()}
    assert weights == {"self": ("self", 1.0, "none"), "l2": ("l2", 0.001, "none"), "ad": ("ad", 1.0, "none"),
                       "aad": ("aad", 1.0, "own")}  # fmt: skip
    assert halved(1.0) == (0.125, 0.25, 0.5, 1.0) and all(asked.halving for asked in aad.variants.values())
    assert all((one.attention_weight, one.reduction, one.feedback) == (1.0, "mean", "student")
               for one in aad.variants.values())  # fmt: skip
    ages = aad.age_teacher
    assert (ages.ages, ages.attention, ages.dropout, ages.train.lr, ages.train.epochs) == (
        "imdb-wiki", "element", 0.1, 0.01, 60
    )  # fmt: skip


def test_teachers_and_students_of_classroom_learn_from_the_same_pictures_at_one_budget():
    aad = load_preset("classroom").aad
    assert aad.teacher.relief == aad.train.relief == aad.age_teacher.train.relief
    faces = aad.train.relief
    batches = faces.train_identities * faces.train_per_identity // aad.train.batch
    assert round(aad.train.epochs * batches) * aad.train.batch == 320_000
    compared = ("self", "l2", "ad", "aad", "ad_last_masks", "ad_last_others_masks")
    seeds = [
        {seed for one in aad.ledger if not one.length < 1 and name in one.variants for seed in one.seeds}
        for name in compared
    ]
    assert seeds == [{0, 1, 2, 3, 4}] * len(compared), "what the primary claims compare has the same seeds"


GIVEN = {"train": {}, "teacher": {}, "age_teacher": {"train": {}}, "mode": "aad", "masks": "own"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"masks": "none", "age_teacher": None}, "mode 'aad' needs masks"),
        ({"mode": "ad"}, "mode 'ad' with masks is 'aad'"),
        ({"mode": "kd"}, "mode 'kd' takes no masks"),
        ({"age_teacher": None}, "masks need an age teacher: give age_teacher"),
        ({"mode": "ad", "masks": "none"}, "an age teacher is given and masks is none"),
        ({"teacher": None}, "mode 'aad' needs one recognising teacher: give teacher or foreign"),
        ({"foreign": "net.onnx"}, "needs one recognising teacher: give teacher or foreign, not both"),
        ({"mode": "self", "masks": "none", "age_teacher": None}, "mode 'self' has no recognising teacher"),
        ({"mode": "kd", "masks": "none", "age_teacher": None, "teacher": None, "foreign": "net.onnx"},
         "kd needs the logits of a teacher of this library"),
        ({"mode": "kd", "masks": "none", "age_teacher": None, "teacher": {"relief": {"train_identities": 7}}},
         "kd compares logits of the same people"),
        ({"mode": "ad_last", "last": "map"}, "mode 'ad_last' compares embeddings: last 'map' belongs to l2, ad, aad"),
        ({"teacher": {"input_hw": [64, 64]}}, "the teacher sees 64×64 and the student 112×112: train both at one inp"),
        ({"age_teacher": {"train": {"input_hw": [64, 64]}}}, "the age_teacher sees 64×64 and the student 112×112"),
        ({"train": {"alpha": 0.4}}, "a student has no transformer branch"),
        ({"last_weight": -1.0}, "'last_weight': Input should be greater than or equal to 0"),
        ({"attention_weight": float("nan")}, "'attention_weight': Input should be a finite number"),
        ({"mod": "aad"}, "unknown key 'mod'; did you mean 'mode'"),
    ],
)  # fmt: skip
def test_a_student_that_cannot_be_trained_is_refused_with_what_to_do(change, message):
    validate(Distillation, GIVEN, "settings")
    with pytest.raises(ConfigError, match=message):
        validate(Distillation, {**GIVEN, **change}, "settings")


def test_a_ledger_names_variants_that_are_given():
    with pytest.raises(ConfigError, match="the ledger names variants that are not given: adl"):
        load_preset("smoke", {"aad.tried": ["adl"]})
