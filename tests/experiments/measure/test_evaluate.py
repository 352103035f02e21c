"""One network through every protocol, from files on the disk to rows of numbers."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from aifr_lib import models
from aifr_lib.data.formats.insightface_bin import load_bin, write_bin
from aifr_lib.evaluation.verification import verify
from aifr_lib.experiments.measure.embedders import note_of
from aifr_lib.experiments.measure.evaluate import evaluate, write_embeddings
from aifr_lib.experiments.measure.questions import Question
from aifr_lib.models.foreign import load
from aifr_lib.models.weights import WeightsError, save_weights
from aifr_lib.names import ConfigError
from aifr_lib.settings.presets import load_preset

PEOPLE, EACH = 6, 4


def crops(people=PEOPLE, each=EACH, seed=0):
    """uint8 [people · each, 112, 112, 3]: noise over a rough pattern of each person's own."""
    rng = np.random.default_rng(seed)
    pattern = rng.integers(60, 196, (people, 1, 8, 8, 3)).repeat(14, 2).repeat(14, 3)
    noise = rng.integers(-60, 61, (people, each, 112, 112, 3))
    return np.clip(pattern + noise, 0, 255).astype(np.uint8).reshape(-1, 112, 112, 3)


@pytest.fixture
def folder(tmp_path):
    for row, pixels in enumerate(crops()):
        path = tmp_path / "faces" / f"p{row // EACH}" / f"p{row // EACH}_{row % EACH + 1:04d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
    return tmp_path / "faces"


@pytest.fixture
def weights(tmp_path):
    torch.manual_seed(0)
    network = models.build("mobilefacenet", input_hw=(32, 32), width=0.125, embedding=16)
    save_weights(network.eval(), tmp_path / "net.safetensors")
    return tmp_path / "net.safetensors"


def rows(weights, question, **given):
    found = evaluate(weights, question, preset=load_preset("smoke"), given=given, device="cpu", progress=False)
    return found, {(row.keys.get("distractors"), row.metric): row.measured.mean for row in found.rows}


def test_a_list_of_pairs_over_a_folder(folder, weights):
    pairs = folder.parent / "pairs.txt"
    same = [f"p{n}\t1\t{k}" for n in range(PEOPLE) for k in (2, 3)]
    different = [f"p{n}\t1\tp{(n + k) % PEOPLE}\t2" for n in range(PEOPLE) for k in (1, 2)]
    lines = [*same[:6], *different[:6], *same[6:], *different[6:]]
    pairs.write_text("\n".join(["2\t6", *lines]) + "\n")
    found, values = rows(weights, Question(folder, pairs=pairs))
    assert (found.pictures, found.people, found.embedder.about) == (24, 6, "aifr-mobilefacenet (this library)")
    assert values[None, "pairs"] == 24
    assert values[None, "accuracy"] > 80


def test_a_bin_is_verified_on_its_own_pairs(weights, tmp_path):
    pixels = crops()
    firsts = np.arange(0, len(pixels), EACH)
    pairs = [(a, a + 1, True) for a in firsts] + [(a, (a + EACH) % len(pixels), False) for a in firsts]
    order = [row for a, b, _ in pairs for row in (a, b)]
    write_bin(tmp_path / "six.bin", [pixels[row] for row in order], [same for *_, same in pairs])
    _, values = rows(weights, Question(tmp_path / "six.bin"))
    assert values[None, "pairs"] == 12
    network = load(weights)
    x = torch.from_numpy(pixels[order]).permute(0, 3, 1, 2).float().sub(127.5).div(128)
    with torch.no_grad():
        expected = (network.run(x) + network.run(x.flip(-1))).numpy()
    assert values[None, "accuracy"] == pytest.approx(verify(expected, load_bin(tmp_path / "six.bin")[1]).accuracy)
    with pytest.raises(ConfigError, match="names nobody"):
        rows(weights, Question(tmp_path / "six.bin", "loo"))


def test_distractors_from_pictures_and_from_a_file_of_features(folder, weights, tmp_path):
    for row, pixels in enumerate(crops(people=12, each=1, seed=5)):
        path = tmp_path / "distractors" / f"x{row}" / "a.png"
        path.parent.mkdir(parents=True)
        Image.fromarray(pixels).save(path)
    _, values = rows(weights, Question(folder, "distractors", distractors=tmp_path / "distractors"))
    assert set(values) == {(10, "rank-1"), (12, "rank-1")}
    np.save(tmp_path / "none.npy", np.full((10, 7), 1.0, np.float32))
    with pytest.raises(ValueError, match=r"none\.npy.*7"):
        rows(weights, Question(folder, "distractors", distractors=tmp_path / "none.npy"))


def test_templates_from_the_lists_of_ijb(weights, tmp_path):
    pixels = crops(people=10)
    for row, one in enumerate(pixels):
        (tmp_path / "crops").mkdir(exist_ok=True)
        Image.fromarray(one).save(tmp_path / "crops" / f"{row}.png")
    media = [f"{row}.png {row // 2} {row}" for row in range(len(pixels))]
    (tmp_path / "media.txt").write_text("\n".join(media) + "\n")
    listed = [(a, b) for a in range(20) for b in range(a + 1, 20)]
    (tmp_path / "pairs.txt").write_text("".join(f"{a} {b} {int(a // 2 == b // 2)}\n" for a, b in listed))
    question = Question(tmp_path / "crops", "templates", pairs=tmp_path / "pairs.txt", media=tmp_path / "media.txt")
    found, values = rows(weights, question)
    assert (found.pictures, found.people) == (40, None)
    assert values[None, "TAR@FAR=1e-1"] > 50


def test_a_card_changes_what_the_network_sees(folder, weights):
    _, rgb = rows(weights, Question(folder, "loo"))
    (weights.parent / f"{weights.name}.yaml").write_text("colour: bgr\n")
    found, _ = rows(weights, Question(folder, "loo"))
    assert found.embedder.card.colour == "bgr"
    found, again = rows(weights, Question(folder, "loo"), colour="rgb")
    assert (found.embedder.card.colour, again) == ("rgb", rgb)


@pytest.mark.filterwarnings("ignore:`torch.jit")
def test_weights_that_give_nan_and_a_card_for_a_judge_are_refused(folder, weights):
    class Nan(nn.Module):
        def forward(self, x):
            return x.mean((2, 3)) * float("nan")

    path = weights.parent / "nan.pt"
    torch.jit.script(Nan()).save(path)
    with pytest.raises(ValueError, match=r"24 of 24 records are NaN or infinite: p0/p0_0001\.png"):
        rows(path, Question(folder, "loo"))
    with pytest.raises(ConfigError, match="pixels takes pictures in its own way: colour cannot be set"):
        rows("pixels", Question(folder, "loo"), colour="bgr")
    with pytest.raises(WeightsError, match="input_hw says 64×64"):
        rows(weights, Question(folder, "loo"), input_hw=(64, 64))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"protocol": "distracters"}, "unknown protocol 'distracters'; did you mean 'distractors'"),
        ({"protocol": "distractors"}, "protocol distractors needs --distractors"),
        ({"protocol": "loo", "pairs": "pairs.txt"}, "protocol loo has no use for --pairs"),
    ],
)
def test_a_question_that_makes_no_sense(options, message):
    with pytest.raises(ConfigError, match=message):
        Question("orl", **options)


def test_embeddings_are_written_once_and_sought_among_again(folder, weights, tmp_path):
    for row, pixels in enumerate(crops(people=12, each=1, seed=5)):
        path = tmp_path / "distractors" / f"x{row}" / "a.png"
        path.parent.mkdir(parents=True)
        Image.fromarray(pixels).save(path)
    preset = load_preset("smoke")
    shape = write_embeddings(weights, tmp_path / "distractors", tmp_path / "x.npy", preset=preset, progress=False)
    assert shape == (12, 16)
    _, from_file = rows(weights, Question(folder, "distractors", distractors=tmp_path / "x.npy"))
    _, from_pictures = rows(weights, Question(folder, "distractors", distractors=tmp_path / "distractors"))
    assert from_file == from_pictures
    with pytest.raises(ConfigError, match=r"must name a \.npy file"):
        write_embeddings(weights, folder, tmp_path / "x.bin", preset=preset)
    with pytest.raises(ConfigError, match="did you mean 'megaface'"):
        write_embeddings(weights, "megafase", tmp_path / "x.npy", preset=preset)


def test_leave_one_out_needs_two_people_and_no_folds(tmp_path, weights):
    for row, pixels in enumerate(crops(people=2, each=2)):
        path = tmp_path / "few" / f"p{row // 2}" / f"{row}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
    assert rows(weights, Question(tmp_path / "few", "loo"))[1][None, "probes"] == 4
    with pytest.raises(ValueError, match="2 people cannot fill two folds"):
        rows(weights, Question(tmp_path / "few", "verification"))


def test_distractors_of_another_network_are_refused(folder, weights, tmp_path, caplog):
    preset, out = load_preset("smoke"), tmp_path / "distractors.npy"
    write_embeddings(weights, folder, out, preset=preset, device="cpu", progress=False)
    question = Question(folder, "distractors", distractors=out)
    rows(weights, question)
    assert not caplog.text
    with pytest.raises(
        ValueError, match=r"distractors\.npy was made by another network, or was fed otherwise .colour rgb"
    ):
        rows(weights, question, colour="bgr")
    torch.manual_seed(1)
    other = models.build("mobilefacenet", input_hw=(32, 32), width=0.125, embedding=16)
    save_weights(other.eval(), tmp_path / "other.safetensors")
    with pytest.raises(ValueError, match=r"another network.*network sha256"):
        rows(tmp_path / "other.safetensors", question)
    note_of(out).write_text("none")
    with pytest.raises(ValueError, match="is no note"):
        rows(weights, question)
    note_of(out).unlink()
    rows(weights, question)
    assert "no note says which network made these" in caplog.text


def test_thresholds_at_a_rate_that_is_asked_for(folder, weights):
    found, _ = rows(weights, Question(folder))
    with_rates = evaluate(
        weights, Question(folder), preset=load_preset("smoke"), fars=(0.05, 0.1), device="cpu", progress=False
    )
    assert with_rates.rows[: len(found.rows)] == found.rows
    added = {row.metric: row.measured for row in with_rates.rows[len(found.rows) :]}
    thresholds = [added[f"threshold at FAR {far}"] for far in (0.05, 0.1)]
    assert all(one.ci95[0] <= one.mean <= one.ci95[1] for one in thresholds)
    assert thresholds[0].mean >= thresholds[1].mean
    with pytest.raises(ValueError, match=r"a false accept rate of 0.001 shows on 10,000 impostor pairs"):
        evaluate(weights, Question(folder), preset=load_preset("smoke"), fars=(0.001,), device="cpu", progress=False)
    with pytest.raises(ConfigError, match="goes with verification, not with loo"):
        evaluate(weights, Question(folder, protocol="loo"), preset=load_preset("smoke"), fars=(0.1,), device="cpu")
