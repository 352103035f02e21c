"""Named sets through ``evaluate``: each brings what its protocol needs, and refuses what it cannot answer."""

from pathlib import Path

import numpy as np
import pytest
from named_examples import LOOSE, text, write
from PIL import Image

from aifr_lib.data import named
from aifr_lib.data.photograph_pairs import GAP_NAMES
from aifr_lib.evaluation.distractors import among_distractors
from aifr_lib.evaluation.templates import pool, verify_templates
from aifr_lib.experiments.measure import embedders
from aifr_lib.experiments.measure.evaluate import evaluate
from aifr_lib.experiments.measure.questions import PROTOCOLS, Question
from aifr_lib.names import ConfigError
from aifr_lib.settings.presets import load_preset


@pytest.fixture
def data(tmp_path, monkeypatch):
    monkeypatch.setenv("AIFR_DATA", str(tmp_path))
    return tmp_path


def face(path, person, number):
    """Noise over a rough pattern of each person's own."""
    rng = np.random.default_rng([person, number])
    pattern = np.random.default_rng(person).integers(60, 196, (8, 8, 3)).repeat(14, 0).repeat(14, 1)
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.clip(pattern + rng.integers(-60, 61, (112, 112, 3)), 0, 255).astype(np.uint8)
    Image.fromarray(pixels).save(path, quality=95)


def measured(name, **options):
    found = evaluate("pixels", Question(name, **options), preset=load_preset("smoke"), progress=False)
    return found, {tuple(row.keys.values())[2:] + (row.metric,): row.measured.mean for row in found.rows}


def embedded(images):
    return embedders.embeddings_of("pixels", images, load_preset("smoke"), progress=False)


def test_ijb_brings_templates_pairs_and_the_detectors_scores(data):
    root, rng = data / "ijbc", np.random.default_rng(0)
    for row in range(40):
        # Every other picture of a template shows one of three other people: what the detector says of it decides.
        face(root / "loose_crop" / f"{row}.jpg", row // 4 if row % 2 else 60 + row // 2 % 3, row)
    score = np.where(np.arange(40) % 2, 0.9, 0.05 + 0.1 * rng.random(40))
    listed = [(a, b) for a in range(20) for b in range(a + 1, 20)]
    text(root / "meta/ijbc_face_tid_mid.txt", *[f"{row}.jpg {row // 2} {row}" for row in range(40)])
    text(root / "meta/ijbc_name_5pts_score.txt", *[f"{row}.jpg {LOOSE} {score[row]:.4f}" for row in range(40)])
    text(root / "meta/ijbc_template_pair_label.txt", *[f"{a} {b} {int(a // 2 == b // 2)}" for a, b in listed])
    found, values = measured("ijbc")
    loaded = named.load("ijbc", progress=False)
    lists = loaded.templates
    embeddings = embedded(loaded.images)

    def tar(scores):
        pooled = pool(embeddings[lists.row], lists.template, lists.media, scores=scores)
        return 100 * verify_templates(pooled, lists.a, lists.b, lists.same, fars=[0.1]).tar[0]

    weighed = tar(loaded.images.labels["score"].to_numpy()[lists.row])
    assert values["all", "all", "TAR@FAR=1e-1"] == pytest.approx(weighed)
    assert weighed > tar(None)
    assert (found.pictures, found.people) == (40, None)


def test_facescrub_is_sought_among_megaface_with_noise_and_without(data):
    root = data / "megaface"
    probes = [f"p{person}/p{person}_{k}.png" for person in range(5) for k in range(4)]
    listed = [f"7/{n}@N01/{n}.jpg" for n in range(12)]
    for row, name in enumerate(probes):
        face(root / "facescrub_images" / name, row // 4 if row != 3 else 50, row)
    for row, name in enumerate(listed):
        face(root / "megaface_images" / name, 100 + row if row != 4 else 0, 200 + row)
    text(root / "facescrub_lst", *probes)
    text(root / "megaface_lst", *listed)
    text(root / "facescrub_noises.txt", Path(probes[3]).name)
    text(root / "megaface_noises.txt", f"1\t{listed[4]}")
    found, values = measured("facescrub")
    assert (found.pictures, found.people) == (20, 5)
    images, distractors = (named.load(name, progress=False).images for name in ("facescrub", "megaface"))
    clean, keep = np.arange(20) != 3, np.arange(12) != 4
    identity = images.labels["identity"].to_numpy()
    expected = {
        "kept": among_distractors(embedded(images), identity, embedded(distractors)).rank1[-1],
        "left out": among_distractors(embedded(images)[clean], identity[clean], embedded(distractors), keep=keep).rank1[
            -1
        ],
    }
    for noise, rank1 in expected.items():
        assert values[noise, 12, "all", "rank-1"] == pytest.approx(rank1)
    assert expected["kept"] < expected["left out"]
    assert measured("facescrub", protocol="loo")[1]["all", "rank-1"] > 80


@pytest.mark.parametrize("protocol", ["verification", "loo", "change"])
def test_ages_give_numbers_by_age_gap_without_more_ado(data, protocol):
    for person in range(8):
        for number, age in enumerate((10, 13, 20, 45)):
            face(data / "morph" / f"{person:06d}_{number}M{age}.JPG", person, number)
    _, values = measured("morph", protocol=protocol)
    gaps = {key[-2] for key in values}
    assert {"all", GAP_NAMES[0], GAP_NAMES[1], GAP_NAMES[2], GAP_NAMES[4]} <= gaps


def test_changes_come_by_what_changes(data):
    rows = ["subject,day,phase,kilograms"]
    for subject in range(6):
        for day in range(2):
            for phase, kilograms in (("pre", 70 + day), ("post", 68)):
                rows.append(f"s{subject},d{day},{phase},{kilograms}")
                face(data / "edema-a" / f"s{subject}/d{day}/{phase}/1.jpg", subject, 2 * day + kilograms)
    text(data / "edema-a" / "weights.csv", *rows)
    found, values = measured("edema-a")
    assert found.people == 6
    assert values["kilograms", "all", "MAE of predicting no change, kg"] == pytest.approx(2.5)
    units = (1, 2, 4, 5, 6, 9, 12, 15, 17, 20, 25, 26)
    for subject in range(1, 6):
        for unit in units:
            name = f"ActionUnit_Labels/SN{subject:03d}/SN{subject:03d}_au{unit}.txt"
            text(data / "disfa" / name, *[f"{frame},{(frame * unit) % 6}" for frame in range(1, 5)])
        for frame in range(1, 5):
            face(data / "disfa" / f"Frames_RightCamera/SN{subject:03d}/{frame:04d}.jpg", subject, frame)
    _, values = measured("disfa")
    assert {key[0] for key in values} == {f"au{unit}" for unit in units} - {"au15", "au26"}
    assert values["au6", "all", "MAE of predicting no change, intensity 0–5"] == 0


@pytest.mark.parametrize(
    ("question", "message"),
    [
        ({"data": "agedb-30", "protocol": "loo"}, "agedb-30 is not measured by 'loo': verification fits"),
        ({"data": "ijbc", "protocol": "verification"}, "ijbc is not measured by 'verification': templates fits"),
        ({"data": "ijbc", "media": "media.txt"}, "ijbc brings its own --media"),
        ({"data": "disfa", "protocol": "loo"}, "change fits"),
        ({"data": "utkface"}, "utkface is not measured: it names nobody"),
        ({"data": "megaface"}, "it serves as --distractors megaface"),
        ({"data": "fgnet", "protocol": "distractors"}, "needs --distractors"),
        ({"data": "facescrub", "protocol": "loo", "distractors": "megaface"}, "no use for --distractors"),
        ({"data": "orl", "protocol": "chnage"}, "did you mean 'change'"),
    ],
)
def test_what_a_set_cannot_answer_is_refused_before_a_picture_is_read(question, message):
    with pytest.raises(ConfigError, match=message):
        Question(**question)


def test_a_packed_list_names_nobody(data):
    write("lfw", data)
    for path in (data / "lfw").iterdir():
        if path.is_dir():
            for one in path.iterdir():
                one.unlink()
    write("calfw", data)
    from named_examples import packed

    packed("lfw.bin")(data / "lfw")
    with pytest.raises(ConfigError, match=r"lfw\.bin holds a list of pairs and names nobody"):
        measured("lfw", protocol="loo")
    assert measured("lfw")[0].people is None
    assert measured("calfw")[0].people == 4


def test_each_named_set_has_protocols_that_exist():
    from aifr_lib.data.named.table import table

    for entry in table().values():
        assert set(entry.protocols) <= set(PROTOCOLS)
        assert entry.distractors is None or entry.distractors in table()
