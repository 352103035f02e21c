"""ComFace's trainings killed by the system (SIGKILL, no handler runs): the next sitting ends with equal bits."""

import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from aifr_lib.data.change_tasks import Task
from aifr_lib.data.images import ChangePairs, Images
from aifr_lib.data.photograph_pairs import genuine_pairs
from aifr_lib.models import encoders
from aifr_lib.models.encoders import Encoder
from aifr_lib.settings.comface import Pretraining, Stage, Transfer
from aifr_lib.training import comface, transfer
from aifr_lib.training.checkpoints.writer import Writer
from aifr_lib.training.engine import CHECKPOINT, Plan
from aifr_lib.training.objectives.comface import Comparing

ALONE = {"device": "cpu", "progress": False}
LEARNT = Pretraining(
    encoder="tiny", side=16, pictures=96, batch=4, lr=1e-3, looks=3, held_out=0.2,
    curriculum=(Stage(epoch=1, least=5.0), Stage(epoch=2, least=0.1)),
)  # fmt: skip
TUNED = Transfer(batch=4, epochs=2, rates=(1e-2,), pairs_per_epoch=16, target="scaled")
FOLD = 8  # steps of a fold


def tiny(side):
    network = torch.nn.Sequential(
        torch.nn.Conv2d(3, 6, 3, 2), torch.nn.BatchNorm2d(6), torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(2),
        torch.nn.Flatten(),
    )  # fmt: skip
    return Encoder(network, 24)


def people() -> Images:
    """Eight people whose brightness is the strength of the one attribute they have, and their age."""
    rows = [(who, "age", float(alpha)) for who in range(8) for alpha in (-5, -3, -1, 1, 3, 5)]
    labels = pd.DataFrame(rows, columns=["identity", "attribute", "alpha"])
    labels.insert(0, "record", [f"r{n}" for n in range(len(rows))])
    labels["age"] = 30 + 5 * labels["alpha"]
    pixels = np.random.default_rng(0).integers(0, 60, (len(rows), 16, 16, 3))
    pixels += (20 * (labels["alpha"].to_numpy() + 5)).astype(int)[:, None, None, None]
    return Images("people", "v1", pixels.astype(np.uint8), labels)


def learn(out: Path) -> dict[str, np.ndarray]:
    trained = comface.train(LEARNT, out, images=people(), **ALONE)
    weights = {name: value.numpy() for name, value in trained.network.state_dict().items()}
    return {**weights, "untrained": np.float64(trained.scalars["untrained"])}


def tune(out: Path) -> dict[str, np.ndarray]:
    images = people()
    a, b = genuine_pairs(images.labels["identity"].to_numpy())
    age = images.labels["age"].to_numpy()
    pairs = ChangePairs("aged", a, b, age[b] - age[a], "years")
    task = Task("age", images, "age", pairs, pairs)
    torch.manual_seed(0)
    begun = comface.comparer(LEARNT)
    found = {}
    for k, fold in enumerate(transfer.folds(TUNED, task)):
        part = transfer.fine_tune(TUNED, task, fold, begun, out / f"fold{k}", rate=1e-2, seed=0, **ALONE)
        found |= {f"best{k}": part.best, f"last{k}": part.last, f"mae{k}": np.array(list(part.mae.values()))}
    return found


SITTINGS = {"pretraining": (learn, Comparing, 7), "third fold": (tune, transfer.Change, 2 * FOLD + 5)}


def sit(what: str, out: Path) -> None:
    """One sitting that keeps every step and is killed in the middle of one."""
    run, objective, last = SITTINGS[what]
    forward, calls = objective.forward, iter(range(1, 10_000))

    def killing(self, *given):
        if self.training and next(calls) == last:
            os.kill(os.getpid(), signal.SIGKILL)
        return forward(self, *given)

    objective.forward = killing
    encoders.ENCODERS["tiny"] = tiny
    for recipe in (comface, transfer):
        recipe.Plan = partial(Plan, checkpoint_every=0)
    write = Writer.write

    def at_once(self, *given):  # else the kill races with the thread that writes
        write(self, *given)
        self.finish()

    Writer.due, Writer.write = (lambda self: True), at_once
    run(out)


@pytest.mark.parametrize("what", SITTINGS)
def test_a_kill_changes_nothing(what, tmp_path, monkeypatch):
    monkeypatch.setitem(encoders.ENCODERS, "tiny", tiny)
    tests = Path(__file__).resolve().parents[1]
    lines = (
        f"from pathlib import Path; import training.test_killed as t; t.sit({what!r}, Path({str(tmp_path / 'cut')!r}))"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (tests.parent, tests))), "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", lines], env=environment, timeout=300, check=False)
    assert done.returncode == -signal.SIGKILL
    kept = tmp_path / "cut" / ("fold2" if what == "third fold" else "") / CHECKPOINT
    assert torch.load(kept, weights_only=True)["step"] in range(4, 7), "some of it was kept, and not all"
    run = SITTINGS[what][0]
    whole, resumed = run(tmp_path / "whole"), run(tmp_path / "cut")
    assert whole.keys() == resumed.keys()
    for name, value in whole.items():
        np.testing.assert_array_equal(resumed[name], value, err_msg=name)
