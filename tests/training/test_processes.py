"""Two processes do what one does: training, a stop, a checkpoint taken over, embeddings. One launch shows it all."""

import os
import signal
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from environments import importing
from noise_images import make_images
from torch import distributed, nn
from training.test_engine import duel, new_duel

from aifr_lib.data.images import Images
from aifr_lib.evaluation.embeddings import embed
from aifr_lib.losses import comface, margins
from aifr_lib.models import build, encoders
from aifr_lib.settings.comface import Pretraining
from aifr_lib.settings.recognition import Recognition
from aifr_lib.training import comface as pretraining
from aifr_lib.training import engine, recognition
from aifr_lib.training.engine import CHECKPOINT, Stopped
from aifr_lib.training.objectives.comface import OF_LIGHTLY

CONFIG = Recognition(
    input_hw=(16, 16), width=0.25, embedding=16, loss="adaface", batch=8, epochs=3, drops=(), lr=0.02, precision="no"
)
STOP = 3


def faces():
    """Symmetric pictures, since each process draws its own mirroring."""
    images = make_images()
    images.pixels[:, :, 8:] = images.pixels[:, :, 7::-1]
    return images


def without_norms(build_backbone):
    """Backbones without batch norm, whose statistics are those of each process's part of the batch."""

    def built(config):
        network = build_backbone(config)
        for part in list(network.modules()):
            for name, child in part.named_children():
                if isinstance(child, nn.BatchNorm2d | nn.BatchNorm1d):
                    setattr(part, name, nn.Identity())
        return network

    return built


def train(out: Path, stop_at: int | None = None) -> None:
    """Train into ``out``; ``stop_at``: the last process alone is told to stop there."""
    whole, objective = recognition.backbone, recognition.objective
    last = int(os.environ.get("RANK", 0)) == int(os.environ.get("WORLD_SIZE", 1)) - 1

    def watched(config, classes):
        module = objective(config, classes)
        calls = iter(range(1, 1000))

        def stop(*_):
            if next(calls) == stop_at and last:
                os.kill(os.getpid(), signal.SIGTERM)

        module.register_forward_pre_hook(stop)
        return module

    recognition.backbone, recognition.objective = without_norms(whole), watched
    try:
        recognition.train(CONFIG, out, device="cpu", progress=False, images=faces())
    except Stopped as stopped:
        assert f"stopped at step {stop_at} of" in str(stopped)
    finally:
        recognition.backbone, recognition.objective = whole, objective


def adversarial(out: Path) -> dict[str, float]:
    """Two parts over micro-batches; each process has an opinion of its own about which weights are best."""
    module = new_duel()
    module.generator[1] = nn.Identity()
    module.critic[2] = nn.Identity()
    module.follower[1] = nn.Identity()
    rank = int(os.environ.get("RANK", 0))
    plan = {"accumulate": 2, "evaluate_every": 1}
    module, scalars = duel(out, module, plan=plan, images=faces(), evaluate=lambda step: abs(step - 2 - 3 * rank))
    return {**scalars, **{name: value.clone() for name, value in module.state_dict().items()}}


SHARED = {
    "softmax": {"loss": "softmax"},
    "cosface": {"loss": "cosface", "clip": 0.5},
    "arcface, linear": {"loss": "arcface", "alpha": 0.4},
    "adaface, margin": {"loss": "adaface", "alpha": 0.4, "classifier": "margin", "accumulate": 2},
}


def share(out: Path, case: str, sampled: float | None, stop_at: int | None = None) -> None:
    """Train with the people shared out (``sampled`` None: not), without dropout, which each process draws itself."""
    branch = {"backbone": "mobilefacenet-fine", "layers": 1, "heads": 4, "feedforward": 32}
    # Two steps: after more of them a network without norms makes much of a last digit.
    more = {"s": 8.0, "lr": 0.002, "epochs": 1, **branch, **SHARED[case]}
    config = Recognition.model_validate({**CONFIG.model_dump(), **more})
    patch = pytest.MonkeyPatch()
    patch.setattr(recognition, "backbone", without_norms(recognition.backbone))
    whole = recognition.transformer
    patch.setattr(recognition, "transformer", lambda config, network, kind, _: whole(config, network, kind, 0.0))
    step = iter(range(1, 1000))
    stopped = engine.asked_anywhere
    patch.setattr(engine, "asked_anywhere", lambda asked, at: stopped((next(step) == stop_at, asked[1]), at))
    try:
        recognition.train(config, out, device="cpu", progress=False, images=faces(), sampled=sampled)
    except Stopped:
        assert stop_at is not None
    finally:
        patch.undo()


def checkpoint(out: Path) -> dict:
    return torch.load(out / CHECKPOINT, weights_only=True)


def embeddings(count: int, batch: int) -> np.ndarray:
    torch.manual_seed(1)
    network = build("mobilefacenet", input_hw=(16, 16), width=0.125, embedding=8).eval()
    pixels = np.random.default_rng(0).integers(0, 256, (count, 16, 16, 3), dtype=np.uint8)
    return embed(network, pixels, batch_size=batch)


PEOPLE = torch.tensor([0, 1, 0, 2, 3, 1, 4, 5])


def contrasted(rank: int = 0, world: int = 1) -> dict[str, torch.Tensor]:
    """By loss the gradient of a network's weights, averaged over the processes, of which each holds its part of the
    pairs.
    """
    torch.manual_seed(2)
    network, given = nn.Linear(6, 5), torch.randn(2, len(PEOPLE), 6)
    own = slice(rank * len(PEOPLE) // world, (rank + 1) * len(PEOPLE) // world)
    several = world > 1
    losses = {
        "inter": lambda x, y: comface.inter_loss(x, y, PEOPLE[own]),
        "multi-positive": lambda x, y: comface.multi_positive_loss(torch.cat([x, y]), PEOPLE[own].repeat(2)),
    }
    if find_spec("lightly"):
        from lightly.loss import NTXentLoss

        losses["simclr"] = NTXentLoss(0.1, gather_distributed=several)
    found = {}
    for name, loss in losses.items():
        network.zero_grad()
        loss(*network(given[:, own])).backward()
        found[name] = network.weight.grad.clone()
        if several:
            distributed.all_reduce(found[name])
            found[name] /= world
    return found


def validated() -> dict[str, float]:
    """By method the validation loss of a network that is the same in every process."""
    patch = pytest.MonkeyPatch()
    patch.setitem(encoders.ENCODERS, "flat", lambda side: encoders.Encoder(nn.Sequential(nn.Flatten(), nn.Tanh()), 768))
    pixels = np.random.default_rng(4).integers(0, 256, (24, 16, 16, 3), dtype=np.uint8)
    labels = pd.DataFrame({"record": [f"r{n}" for n in range(24)], "identity": np.arange(24) // 4, "attribute": "age"})
    people = Images("people", "v1", pixels, labels.assign(alpha=np.arange(24.0) % 4, age=np.nan))
    found = {}
    for method in ("comface", "multi-positive", "moco", *(OF_LIGHTLY if find_spec("lightly") else ())):
        torch.manual_seed(5)
        config = Pretraining(method=method, encoder="flat", side=16, pictures=96, batch=4, queue=8, prototypes=6)
        module = pretraining.objective(config)
        look = pretraining.Validation(config, people, module)
        module.train()
        module.eval()
        with torch.no_grad():
            found[method] = look(0)
    patch.undo()
    return found


SHARES = [(19, 4), (8, 4), (3, 4), (16, 8)]


def in_each_process(out: Path) -> None:
    for number, case in enumerate(SHARED):
        share(out / f"shared-{number}", case, 1.0)
    share(out / "moved", "adaface, margin", 1.0, stop_at=1)
    share(out / "sampled", "cosface", 0.5)
    train(out / "two", stop_at=STOP)
    rank = distributed.get_rank()
    torch.save(adversarial(out / "duel"), out / f"duel-{rank}.pt")
    torch.save(contrasted(rank, 2), out / f"contrasted-{rank}.pt")
    torch.save(validated(), out / f"validated-{rank}.pt")
    assert distributed.get_world_size() == 2 and distributed.get_backend() == "gloo"
    for count, batch in SHARES:
        np.save(out / f"{count}-{batch}-{rank}.npy", embeddings(count, batch))
    head = margins.build("adaface", 4, 3)
    rows = torch.arange(12.0).view(6, 2)[rank::2].repeat(1, 2)
    head.train()
    head.quality(rows)
    torch.save({"mean": head.mean, "std": head.std}, out / f"head-{rank}.pt")


@pytest.fixture(scope="module")
def launched(tmp_path_factory):
    out = tmp_path_factory.mktemp("processes")
    script = out / "both.py"
    lines = ("import sys", "from pathlib import Path", "import training.test_processes as t")
    script.write_text("\n".join([*lines, "t.in_each_process(Path(sys.argv[1]))"]))
    tests = Path(__file__).resolve().parents[1]
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    environment = importing(tests.parent, tests, ACCELERATE_USE_CPU="true", OMP_NUM_THREADS="1")
    done = subprocess.run(
        [*launch, str(script), str(out)], env=environment, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return out


def test_two_processes_stop_together_with_the_weights_of_one_and_one_goes_on(launched, tmp_path):
    """One process alone was told to stop. AdaFace's running statistics are part of the state that is compared."""
    train(tmp_path / "one", stop_at=STOP)
    half, both = checkpoint(tmp_path / "one"), checkpoint(launched / "two")
    assert half["step"] == both["step"] == STOP
    assert {"head.mean", "head.std"} <= both["objective"].keys()
    for name, value in half["objective"].items():
        torch.testing.assert_close(both["objective"][name], value, rtol=1e-4, atol=1e-6)
    for out in (launched / "two", tmp_path / "one"):
        train(out)
    alone, whole = checkpoint(launched / "two"), checkpoint(tmp_path / "one")
    assert alone["step"] == whole["step"] == 6
    for name, value in whole["objective"].items():
        torch.testing.assert_close(alone["objective"][name], value, rtol=1e-4, atol=1e-6)


def plain(state: dict) -> dict[str, torch.Tensor]:
    """Weights and momenta of a training, named as those of one that shares nothing out."""
    weights = {
        name.replace("head.head", "head").replace("classifier.head", "classifier"): value
        for name, value in state["objective"].items()
    }
    momenta = {number: held["momentum_buffer"] for number, held in state["optimiser"]["state"].items()}
    return weights | {f"momentum {number}": value for number, value in momenta.items()}


def assert_alike(name: str, a: torch.Tensor, b: torch.Tensor) -> None:
    """To a thousandth of the largest entry: sums of other order, through a network without norms."""
    away, largest = float((a - b).abs().max()), float(b.abs().max())
    assert a.shape == b.shape and away <= 1e-3 * largest + 1e-6, (name, away, largest)


@pytest.mark.parametrize("case", SHARED)
def test_people_shared_out_over_two_processes_are_learnt_as_by_one(launched, tmp_path, case):
    share(tmp_path, case, None)
    one, both = plain(checkpoint(tmp_path)), plain(checkpoint(launched / f"shared-{list(SHARED).index(case)}"))
    assert one.keys() == both.keys() and one["head.weight"].shape == (4, 16)
    for name, value in one.items():
        assert_alike(name, both[name], value)


def test_a_checkpoint_of_two_processes_with_people_shared_out_goes_on_with_one(launched, tmp_path):
    case = "adaface, margin"
    assert checkpoint(launched / "moved")["step"] == 1
    share(launched / "moved", case, 1.0)
    share(tmp_path, case, None)
    one, moved = plain(checkpoint(tmp_path)), plain(checkpoint(launched / "moved"))
    for name, value in one.items():
        assert_alike(name, moved[name], value)
    with pytest.raises(ValueError, match=r"other settings \(sampled 1.0 → None\)"):
        share(launched / "moved", case, None)


def test_sampled_people_are_learnt(launched):
    state = checkpoint(launched / "sampled")
    assert state["step"] == 2 and state["objective"]["head.head.weight"].shape == (4, 16)
    assert state["objective"]["head.head.weight"].isfinite().all()


def test_parts_take_their_turns_in_two_processes_as_in_one(launched, tmp_path):
    one = adversarial(tmp_path)
    assert one["best_step"] == 2
    for rank in range(2):
        both = torch.load(launched / f"duel-{rank}.pt", weights_only=True)
        assert (both["best"], both["best_step"]) == (one["best"], 2), "the first process decides"
        for name, value in one.items():
            if isinstance(value, torch.Tensor):
                torch.testing.assert_close(both[name], value, rtol=1e-4, atol=1e-6)
    state, alone = checkpoint(launched / "duel"), checkpoint(tmp_path)
    assert state["step"] == alone["step"] == 6
    for name, value in alone["objective"].items():
        torch.testing.assert_close(state["objective"][name], value, rtol=1e-4, atol=1e-6)


def test_embeddings_of_two_processes_are_those_of_one_in_order(launched):
    for count, batch in SHARES:
        expected = embeddings(count, batch)
        for rank in range(2):
            assert np.array_equal(np.load(launched / f"{count}-{batch}-{rank}.npy"), expected), (count, batch, rank)


def test_adaface_sees_the_norms_of_all_processes(launched):
    one = margins.build("adaface", 4, 3).train()
    one.quality(torch.arange(12.0).view(6, 2).repeat(1, 2))
    for rank in range(2):
        stored = torch.load(launched / f"head-{rank}.pt", weights_only=True)
        torch.testing.assert_close(stored["mean"], one.mean)
        torch.testing.assert_close(stored["std"], one.std)


def test_negatives_of_all_processes_give_the_gradient_of_one(launched):
    expected = contrasted()
    assert {"inter", "multi-positive"} <= expected.keys()
    for rank in range(2):
        found = torch.load(launched / f"contrasted-{rank}.pt", weights_only=True)
        for name, gradient in expected.items():
            assert gradient.norm() > 1e-3
            torch.testing.assert_close(
                found[name], gradient, rtol=1e-4, atol=1e-6, msg=lambda text, n=name: f"{n} {text}"
            )


def test_each_of_two_processes_validates_a_comparison_as_one_would(launched):
    """Each asks the whole of what is held out: gathered, every negative would count twice."""
    expected = validated()
    assert {"comface", "multi-positive"} <= expected.keys() and all(np.isfinite(list(expected.values())))
    for rank in range(2):
        found = torch.load(launched / f"validated-{rank}.pt", weights_only=True)
        assert found == pytest.approx(expected, rel=1e-5), rank
