"""A training on one's own pictures, from a folder to the command that scores two of them; and what is refused."""

import json
import os
import signal
import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch
from filelock import FileLock
from models.foreign.test_foreign import CASES, pictures, randomised
from noise_images import make_images
from PIL import Image
from safetensors.torch import load_file
from typer.testing import CliRunner

from aifr_lib import models
from aifr_lib.cli import app
from aifr_lib.data.formats import image_records
from aifr_lib.data.formats.image_records import Labelled
from aifr_lib.data.formats.pictures import encode_jpeg
from aifr_lib.evaluation.embeddings import embed, normalise
from aifr_lib.experiments import own_faces, own_report
from aifr_lib.experiments.measure import embedders
from aifr_lib.experiments.measure.two_pictures import score_two
from aifr_lib.models.foreign import load
from aifr_lib.models.foreign.cards import Card, write_card
from aifr_lib.models.weights import save_weights
from aifr_lib.settings.own_faces import OwnFaces
from aifr_lib.settings.presets import load_preset
from aifr_lib.training.engine import Stopped
from aifr_lib.training.own_faces import save, start

PEOPLE, EACH = 20, 3
QUICK = ["-p", "train.batch=8", "-p", "train.epochs=2", "-p", "head_epochs=1", "-p", "held_out=0.4"]


def crops(people=PEOPLE, each=EACH, seed=0):
    """uint8 [people, each, 112, 112, 3]: noise over a rough pattern of each person's own."""
    rng = np.random.default_rng(seed)
    pattern = rng.integers(60, 196, (people, 1, 8, 8, 3)).repeat(14, 2).repeat(14, 3)
    return np.clip(pattern + rng.integers(-60, 61, (people, each, 112, 112, 3)), 0, 255).astype(np.uint8)


def write_folder(root, pictures, first=0):
    for person, own in enumerate(pictures, start=first):
        folder = root / f"person{person:02d}"
        folder.mkdir(parents=True)
        for number, pixels in enumerate(own):
            Image.fromarray(pixels).save(folder / f"{number}.png")
    return root


def write_network(path, **options):
    torch.manual_seed(0)
    network = models.build("mobilefacenet", input_hw=(32, 32), width=0.125, embedding=16, **options)
    save_weights(network.eval(), path)
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_folder(tmp_path_factory.mktemp("own") / "faces", crops())


@pytest.fixture(scope="module")
def init(tmp_path_factory):
    return write_network(tmp_path_factory.mktemp("own") / "net.safetensors")


def aifr(*arguments):
    result = CliRunner().invoke(app, [*map(str, arguments)], env={"COLUMNS": "200", "NO_COLOR": "1"})
    return SimpleNamespace(code=result.exit_code, out=result.stdout, err=result.stderr)


def train(data, out, *more):
    return aifr("train", "recognition", "--data", data, "--out", out, "--device", "cpu", *QUICK, *more)


@pytest.fixture(scope="module")
def trained(folder, init, tmp_path_factory):
    out = tmp_path_factory.mktemp("own") / "out"
    return out, train(folder, out, "--init", init)


def test_a_folder_becomes_a_network_thresholds_and_a_page(trained, folder, init):
    out, said = trained
    assert said.code == 0, said.err
    parts = [line.split(",") for line in (out / own_faces.PICTURES).read_text().splitlines()[1:]]
    people = {part: {person for _, person, where in parts if where == part} for _, _, part in parts}
    assert {part: len(who) for part, who in people.items()} == {"train": 9, "watched": 3, "held out": 8}
    assert len(set.union(*people.values())) == PEOPLE
    watched = [json.loads(line) for line in (out / own_faces.WATCHED).read_text().splitlines()]
    assert [line["step"] for line in watched] == [0, 3, 6]
    page = (out / own_faces.REPORT).read_text()
    assert "<img" in page and "8 people (24 pictures) held out" in page and "http" not in page
    # 24 held-out pictures of 8 people: 24 · 23 / 2 − 8 · 3 pairs of two people.
    assert "No threshold at 1 %: it needs 1,000 pairs of two people, here are 252. Hold out more people." in said.out
    assert str(out / own_faces.WEIGHTS) in said.out
    network = load(out / own_faces.WEIGHTS)
    assert network.kind.startswith("aifr-mobilefacenet")
    before = load_file(init)
    after = load_file(out / own_faces.WEIGHTS)
    assert before.keys() == after.keys()
    assert not torch.equal(before["stem.0.weight"], after["stem.0.weight"])


def test_run_again_it_returns_the_same(trained, folder, init):
    out, first = trained
    again = train(folder, out, "--init", init)
    checksum = [line for line in first.out.splitlines() if line.startswith("checksum")]
    assert again.code == 0 and checksum[0] in again.out


def test_other_settings_are_refused_by_name_and_change_nothing(trained, folder, init):
    out, _ = trained
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    said = train(folder, out, "--init", init, "-p", "train.lr=0.02", "-p", "held_out=0.35")
    assert said.code == 2
    assert "belongs to a run with other settings (held_out 0.4 → 0.35, pictures " in said.err
    assert ", train.lr 0.05 → 0.02); use another folder" in said.err
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before


def test_a_stop_and_a_resume_give_the_weights_of_an_unbroken_training(trained, folder, init, tmp_path, monkeypatch):
    unbroken = load_file(trained[0] / own_faces.WEIGHTS)
    settings = OwnFaces.model_validate(
        {"head_epochs": 1, "held_out": 0.4, "train": {**OwnFaces().train.model_dump(), "batch": 8, "epochs": 2}}
    )
    whole = own_faces.Watched.__call__

    def stopped_after_an_epoch(self, network, step):
        if step == 3:
            os.kill(os.getpid(), signal.SIGINT)
        return whole(self, network, step)

    monkeypatch.setattr(own_faces.Watched, "__call__", stopped_after_an_epoch)
    with pytest.raises(Stopped):
        own_faces.fine_tune(folder, tmp_path / "out", settings, init=init, device="cpu", progress=False)
    monkeypatch.undo()
    own = own_faces.fine_tune(folder, tmp_path / "out", settings, init=init, device="cpu", progress=False)
    assert [line["step"] for line in own.watched] == [0, 3, 6]
    resumed = load_file(own.weights)
    assert all(torch.equal(resumed[name], unbroken[name]) for name in unbroken)


def test_the_head_alone_is_trained_first_then_all_at_rates_of_their_own(folder, init, tmp_path):
    """In the first part the network stands still; its rate in the second is a share of the head's."""
    torch.manual_seed(0)
    settings = OwnFaces.model_validate(
        {
            "head_epochs": 2,
            "held_out": 0.4,
            "backbone_rate": 1e-12,
            "train": {**OwnFaces().train.model_dump(), "batch": 8, "epochs": 1, "weight_decay": 0.0},
        }
    )
    own = own_faces.fine_tune(folder, tmp_path, settings, init=init, device="cpu", progress=False)
    heads = [
        torch.load(tmp_path / part / "checkpoint.pt", weights_only=True)["objective"]["head.weight"]
        for part in ("head", "all")
    ]
    before, after = load_file(init), load_file(own.weights)
    learned = [name for name, value in before.items() if value.is_floating_point() and "running" not in name]
    assert all(torch.allclose(before[name], after[name], atol=1e-9) for name in learned)
    assert not torch.equal(*heads)
    first = torch.load(tmp_path / "head" / "checkpoint.pt", weights_only=True)["objective"]
    assert set(first) == {"head.weight"}


def test_a_public_mobilefacenet_keeps_its_names_and_its_card(tmp_path):
    """Weights under another toolkit's names, fed otherwise by a card: what comes out is read in the same way."""
    _, build, _ = CASES["mobilefacenet"]
    init, folder = tmp_path / "mobilefacenet.pth", write_folder(tmp_path / "faces", crops(10, 2))
    torch.save(randomised(build()).state_dict(), init)
    write_card(init, Card(colour="rgb", mean=(127.5,) * 3, std=(127.5,) * 3, flip=False, normalised=True))
    few = ["-p", "train.epochs=1", "-p", "train.batch=4"]
    said = train(folder, tmp_path / "out", "--init", init, *few)
    assert said.code == 0, said.err
    weights = tmp_path / "out" / own_faces.WEIGHTS
    assert load_file(weights).keys() == torch.load(init, weights_only=True).keys()
    network = load(weights)
    assert network.card == load(init).card
    (tmp_path / "out" / "weights.safetensors.yaml").write_text("colour: bgr\n")
    assert load(weights).card.colour == "bgr"  # a card beside the file stands over the one inside


@pytest.mark.parametrize("case", ["ir_se (TFace)", "mobilefacenet-xiaoccer", "vggface2", "mbf"])
@torch.no_grad()
def test_weights_of_each_layout_come_back_under_their_own_names(case, tmp_path):
    name, build, hw = CASES[case]
    torch.save(randomised(build()).state_dict(), tmp_path / "theirs.pth")
    begun = start(OwnFaces(), tmp_path / "theirs.pth")
    save(OwnFaces(), begun, tmp_path / "ours.safetensors", {})
    x = pictures(*hw, count=1)
    network = load(tmp_path / "ours.safetensors")
    assert network.card.layout == name
    torch.testing.assert_close(network.run(x), begun.network.eval()(x))


def test_a_network_of_ones_own_from_scratch(folder, tmp_path):
    quick = ["-p", "train.width=0.125", "-p", "train.input_hw=[32,32]", "-p", "train.embedding=16"]
    said = train(folder, tmp_path, *quick)
    assert said.code == 0, said.err
    assert not (tmp_path / "head").exists()
    found = embedders.load(tmp_path / own_faces.WEIGHTS, load_preset("smoke"))
    assert found.about == "mobilefacenet trained by this library"


def test_two_pictures_are_scored_at_the_thresholds_of_the_weights(tmp_path, init):
    out = tmp_path / "out"
    data = write_folder(tmp_path / "faces", crops(40, 4))
    assert train(data, out, "--init", init, "-p", "train.epochs=1").code == 0
    pictures = [data / "person03" / "0.png", data / "person03" / "1.png", data / "person04" / "0.png"]
    weights = out / own_faces.WEIGHTS
    said = aifr("compare", pictures[0], pictures[1], "--weights", weights, "--json")
    found = json.loads(said.out)
    network = load(weights)
    pixels = np.stack([np.asarray(Image.open(path)) for path in pictures[:2]])
    a, b = normalise(embed(network.run, pixels))
    assert found["cosine"] == pytest.approx(float(a @ b), abs=1e-5)
    (threshold,) = found["thresholds"]  # 64 held-out pictures show 1 %, and not 0.1 %
    assert threshold["false_accept_rate"] == 0.01
    assert threshold["one_person"] == (found["cosine"] >= threshold["threshold"])
    by_hand = aifr("compare", pictures[0], pictures[2], "--weights", weights, "--threshold", "-1")
    assert "one person (threshold -1.000)" in by_hand.out
    assert "set for 1 % false accepts" in aifr("compare", *pictures[1:], "--weights", weights).out


def test_no_face_is_no_score(tmp_path, init):
    Image.fromarray(np.full((200, 160, 3), 90, np.uint8)).save(tmp_path / "wall.png")
    with pytest.raises(ValueError, match=r"wall.png: no face is found"):
        score_two(tmp_path / "wall.png", tmp_path / "wall.png", init, load_preset("smoke"))


@pytest.mark.parametrize("kind", ["rec", "csv"])
def test_other_layouts_are_taken_too(kind, tmp_path, init):
    pictures = crops(16, 3)
    if kind == "rec":
        encoded = map(encode_jpeg, np.concatenate(pictures))
        items = [Labelled(data, row // 3, 20.0, row % 3) for row, data in enumerate(encoded)]
        image_records.write(tmp_path / "train.rec", iter(items), len(items), size=(112, 112), progress=False)
        data = tmp_path / "train.rec"
    else:
        root = write_folder(tmp_path / "pictures", pictures)
        lines = [f"{path.relative_to(root)},{path.parent.name}" for path in sorted(root.rglob("*.png"))]
        data = root / "list.csv"
        data.write_text("\n".join(["file,identity", *lines]) + "\n")
    said = train(data, tmp_path / "out", "--init", init, "-p", "train.epochs=1")
    assert said.code == 0, said.err
    assert len((tmp_path / "out" / own_faces.PICTURES).read_text().splitlines()) == 49


def test_people_of_a_set_of_their_own_set_the_thresholds(folder, init, tmp_path):
    others = write_folder(tmp_path / "others", crops(12, 4, seed=9), first=50)
    said = train(folder, tmp_path / "out", "--init", init, "--val", others)
    assert said.code == 0, said.err
    parts = [line.split(",") for line in (tmp_path / "out" / own_faces.PICTURES).read_text().splitlines()[1:]]
    assert {person for _, person, part in parts if part == "held out"} == {f"person{n}" for n in range(50, 62)}
    # 48 pictures of 12 people show a rate of 1 %.
    assert "1 %" in said.out and "0.1 %" in said.out
    rows = [line for line in said.out.splitlines() if line.startswith("1 %")]
    assert float(rows[0].split()[2]) <= 1


def test_a_face_that_is_not_found_and_a_double_are_left_out_and_listed(tmp_path, monkeypatch):
    images = make_images(identities=20, per_identity=3)
    images.pixels[1] = images.pixels[0]
    images.labels["found"] = np.arange(60) != 5
    monkeypatch.setattr(own_faces.questions, "load", lambda data, progress: images)
    split = own_faces.split_of("own", OwnFaces(), None, False)
    assert split.left_out == {"picture-005": "no face found", "picture-001": "the same picture as picture-000"}
    assert len(split.train) + len(split.watched) + len(split.held_out) == 58
    images.labels["found"] = False
    with pytest.raises(ValueError, match="no face is found in any of 60 pictures"):
        own_faces.split_of("own", OwnFaces(), None, False)


def test_bad_input_is_told_before_anything_is_trained(folder, init, tmp_path):
    onnx = tmp_path / "net.onnx"
    onnx.write_bytes(b"\x08\x07")
    few = write_folder(tmp_path / "few", crops(1))
    alone = write_folder(tmp_path / "alone", crops(each=1))
    two = write_folder(tmp_path / "two", crops())
    Image.open(two / "person00" / "0.png").save(two / "person07" / "9.png")
    narrow = write_folder(tmp_path / "narrow", crops()[:, :, :, 8:-8])
    other = tmp_path / "other.pth"
    torch.save({"layer.weight": torch.zeros(3, 3)}, other)
    cases = [
        ((few, "--init", init), "few has too few people (1, with two pictures or more: 1): 4 with two pictures"),
        ((alone, "--init", init), "alone has too few people (20, with two pictures or more: 0)"),
        ((two, "--init", init), "person00/0.png and person07/9.png are one picture under two people: leave"),
        ((folder, "--init", init, "-p", "train.batch=64"), "the 27 pictures to train on do not fill one batch of 64"),
        ((folder, "--init", other), "fits no layout known here"),
        ((folder, "--init", tmp_path / "none.pth"), "no file of weights at"),
        ((folder, "--init", onnx), "is a network to be run and holds no weights to go on from"),
        ((narrow, "--init", init), "pictures of 112×96 are too narrow for an input of 32×32"),
        ((folder, "--init", init, "--val", folder), "faces shares people with faces, such as person00 (in all: 20)"),
        (
            (folder, "--init", init, "-p", "train.backbone=iresnet50"),
            "says what the network is: leave out train.b",
        ),
        ((folder, "--init", init, "-p", "epochs=3"), "unknown key 'epochs'; did you mean 'head_epochs'"),
        ((folder, "--init", init, "-p", "held_out=0.9"), "leave nobody to train on"),
        ((folder, "--init", init, "-p", "train.alpha=0.3"), "leave alpha at 0"),
        (("no-such-set", "--init", init), "unknown data 'no-such-set'"),
    ]
    for arguments, message in cases:
        said = train(arguments[0], tmp_path / "out", *arguments[1:])
        assert said.code == 2 and message in said.err, (arguments, said.err)
        assert not (tmp_path / "out" / own_faces.WEIGHTS).exists()
    alone = aifr("train", "recognition", "--init", init, "--out", tmp_path / "out")
    assert alone.code == 2 and "--init goes with --data" in alone.err
    other = aifr("train", "mtlface", "--data", folder, "--out", tmp_path / "out")
    assert other.code == 2 and "--data goes with the recipe recognition" in other.err


def test_two_trainings_in_one_folder_are_refused(folder, init, tmp_path):
    with FileLock(tmp_path / "training.lock"):
        said = train(folder, tmp_path, "--init", init)
    assert said.code == 2 and "another process trains in" in said.err


def test_tensorboard_hears_of_each_epoch_where_it_is_installed(tmp_path, monkeypatch):
    told = []

    class SummaryWriter:
        def __init__(self, folder):
            self.folder = folder

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def add_scalar(self, *given):
            told.append((self.folder, *given))

    board = ModuleType("torch.utils.tensorboard")
    board.SummaryWriter = SummaryWriter
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", board)
    monkeypatch.setattr(own_faces.importlib.util, "find_spec", lambda name: name == "tensorboard")
    own_faces._to_tensorboard(tmp_path, 3, 12.5)
    monkeypatch.setattr(own_faces.importlib.util, "find_spec", lambda name: None)
    own_faces._to_tensorboard(tmp_path, 6, 11.0)
    assert told == [(str(tmp_path), "watched people/error", 12.5, 3)]


@pytest.mark.parametrize(
    ("ends", "sentence"),
    [((0.1, 0.9), "The training helped"), ((-0.9, -0.1), "did harm"), ((-0.1, 0.9), "do not show whether")],
)
def test_the_page_says_what_the_interval_says(ends, sentence):
    own = SimpleNamespace(gain=(sum(ends) / 2, ends))
    assert sentence in own_report.said(own)
