"""What only a GPU shows of a training; ``pytest -m cuda tests`` on a machine that has one, the last test with two."""

import os
import signal
import subprocess
import sys
import time
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest
import torch
from environments import importing
from noise_images import make_images
from torch import nn
from training.test_engine import Toy, duel, new_duel, new_toy, run

from aifr_lib.data.loader import Rows, ShuffledBatches, loader, mirrored, stream_of
from aifr_lib.settings.recognition import Recognition
from aifr_lib.training import engine, recognition
from aifr_lib.training.checkpoints.writer import Writer
from aifr_lib.training.engine import CHECKPOINT, Stopped

pytestmark = [pytest.mark.cuda, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")]

DEVICE = "cuda"
PLAN = {"log_every": 4, "checkpoint_every": 1e9}
STEPS, LOGGED = 12, 3
SMALL = Recognition(
    input_hw=(16, 16), width=0.25, embedding=16, layers=1, heads=4, feedforward=32, batch=8, epochs=3, drops=(), lr=0.02
)


@pytest.fixture
def checks(monkeypatch):
    """Losses at hand at each look at them. From the first look to the last, waiting for the GPU is an error."""
    look, found = engine.check_finite, []

    def watched(unchecked, records):
        torch.cuda.set_sync_debug_mode("default")
        found.append(len(unchecked))
        scalars = look(unchecked, records)
        torch.cuda.set_sync_debug_mode("error" if len(found) < LOGGED else "default")
        return scalars

    monkeypatch.setattr(engine, "check_finite", watched)
    yield found
    torch.cuda.set_sync_debug_mode("default")


def recogniser(**change):
    torch.manual_seed(0)
    return recognition.objective(Recognition.model_validate({**SMALL.model_dump(), **change}), classes=4)


CELLS = {"backbone": "mobilefacenet-fine"}  # a branch has nothing to relate in a map of one cell
OBJECTIVES = {
    "toy": new_toy,
    **{loss: partial(recogniser, loss=loss) for loss in ("softmax", "cosface", "arcface", "adaface")},
    "linear branch": partial(recogniser, alpha=0.4, **CELLS),
    "margin branch": partial(recogniser, alpha=0.4, loss="adaface", classifier="margin", **CELLS),
    "sum": partial(recogniser, combine="sum", **CELLS),
}


@pytest.mark.parametrize("precision", ["no", "bf16", "fp16"])
@pytest.mark.parametrize("name", OBJECTIVES)
def test_between_log_steps_nothing_waits_for_the_gpu(tmp_path, checks, name, precision):
    """fp16 too: its scaler leaves it to the fused step to skip what overflowed."""
    plan = {**PLAN, "accumulate": 2, "clip": 1.0, "precision": precision}
    module, scalars = run(tmp_path, toy=OBJECTIVES[name](), steps=STEPS, device=DEVICE, **plan)
    assert checks == [8] * LOGGED, "losses are read at log steps alone"
    assert next(module.parameters()).device.type == DEVICE and scalars["loss"] == scalars["loss"]


@pytest.mark.parametrize("precision", ["no", "bf16"])
@pytest.mark.parametrize("sampled", [1.0, 0.5])
@pytest.mark.parametrize("loss", ["arcface", "adaface"])
def test_nor_does_a_head_whose_people_are_shared_out(tmp_path, checks, loss, sampled, precision):
    torch.manual_seed(0)
    config = Recognition.model_validate({**SMALL.model_dump(), "loss": loss, "alpha": 0.4, **CELLS})
    module = recognition.sharded(config, 4, sampled)
    _, scalars = run(tmp_path, toy=module, steps=STEPS, device=DEVICE, **{**PLAN, "clip": 1.0, "precision": precision})
    assert checks == [4] * LOGGED and scalars["loss"] == scalars["loss"]


@pytest.mark.parametrize("accumulate", [1, 2])
def test_nor_do_parts_that_take_turns(tmp_path, checks, accumulate):
    module = new_duel()
    _, scalars = duel(tmp_path, module, STEPS, plan={**PLAN, "accumulate": accumulate}, device=DEVICE)
    assert checks == [8 * accumulate] * LOGGED and {"generator_loss", "critic_loss"} <= scalars.keys()
    assert next(module.teacher.network.parameters()).device.type == DEVICE


def test_batches_travel_pinned_and_as_bytes(tmp_path):
    rows = Rows(make_images(), (16, 16), ("age",))
    for batch in loader(rows, ShuffledBatches(len(rows), 8, seed=0, start=0, stop=2), pin=True):
        assert batch["images"].dtype == torch.uint8 and all(column.is_pinned() for column in batch.values())
    with closing(stream_of(rows, ShuffledBatches(len(rows), 8, seed=0, start=0, stop=2), pin=True)) as stream:
        assert all(column.is_pinned() for batch in stream for column in batch.values()), "from a thread, too"
    seen = []

    def inputs(pixels):
        seen.append((pixels.device.type, pixels.dtype))
        return mirrored(pixels)

    duel(tmp_path, steps=2, inputs=inputs, device=DEVICE)
    assert seen == [(DEVICE, torch.uint8)] * 4


def test_maps_are_channels_last_in_half_precision_and_steps_are_fused(tmp_path):
    maps = []
    module = recogniser(loss="adaface")
    for part in module.modules():
        if isinstance(part, nn.Conv2d):
            part.register_forward_hook(lambda conv, _, out: maps.append((conv.weight, out)))
    run(tmp_path, toy=module, steps=1, device=DEVICE, precision="bf16")
    wide = [(weight, out) for weight, out in maps if min(out.shape) > 1]
    assert wide and all(out.dtype == torch.bfloat16 for _, out in wide)
    assert all(one.is_contiguous(memory_format=torch.channels_last) for pair in wide for one in pair)
    state = torch.load(tmp_path / CHECKPOINT, weights_only=True)["optimiser"]
    assert all(group["fused"] for group in state["param_groups"])
    assert all(one["momentum_buffer"].device.type == DEVICE for one in state["state"].values())


def test_a_checkpoint_that_is_written_meanwhile_is_that_of_its_step(tmp_path, monkeypatch):
    """What the GPU computes while the disk is busy does not get into it."""
    monkeypatch.setattr(Writer, "due", lambda _: True)
    written, save = {}, torch.save

    def slow(state, path):
        time.sleep(0.05)
        written[state["step"]] = {name: value.clone() for name, value in state["objective"].items()}
        assert {value.device.type for value in written[state["step"]].values()} == {"cpu"}
        save(state, path)

    monkeypatch.setattr(torch, "save", slow)
    run(tmp_path / "whole", steps=6, device=DEVICE)
    whole = dict(written)
    run(tmp_path / "half", steps=3, device=DEVICE)
    half = torch.load(tmp_path / "half" / CHECKPOINT, weights_only=True)["objective"]
    assert set(whole) == set(range(1, 7))
    for name, value in half.items():
        torch.testing.assert_close(whole[3][name], value, rtol=1e-4, atol=1e-5)


def test_for_a_training_cudnn_measures_and_the_head_is_in_tf32(tmp_path):
    seen = []

    class Watched(Toy):
        def forward(self, batch, part):
            seen.append((torch.backends.cudnn.benchmark, torch.backends.cuda.matmul.fp32_precision))
            return super().forward(batch, part)

    for precision in ("bf16", "no"):
        torch.manual_seed(0)
        run(tmp_path / precision, toy=Watched(), steps=1, device=DEVICE, precision=precision)
    assert seen[0] == (True, "tf32") and seen[1][0] and seen[1][1] != "tf32"


def test_a_checkpoint_moves_between_cpu_and_gpu(tmp_path):
    for first, second in (("cpu", DEVICE), (DEVICE, "cpu")):
        out = tmp_path / first
        toy = new_toy(calls={6: lambda: os.kill(os.getpid(), signal.SIGINT)})
        with pytest.raises(Stopped):
            run(out, toy=toy, device=first)
        resumed, scalars = run(out, device=second)
        assert resumed.calls == 12 - 6 and next(resumed.parameters()).device.type == second
        assert scalars["loss"] == scalars["loss"]


def test_compiled_the_same_is_learnt(tmp_path):
    def bare():
        torch.manual_seed(0)
        return Toy(norm=False)

    (plain, _), (fused, _) = (
        run(tmp_path / str(compile), toy=bare(), steps=6, device=DEVICE, compile=compile) for compile in (False, True)
    )
    for a, b in zip(plain.parameters(), fused.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-2, atol=1e-3)


def in_each_process(out: Path) -> None:
    images = make_images()
    images.pixels[:, :, 8:] = images.pixels[:, :, 7::-1]  # symmetric, since each process draws its own mirroring
    config = SMALL.model_copy(update={"loss": "adaface"})
    recognition.train(config, out, device=DEVICE, progress=False, images=images)


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two GPUs")
def test_two_gpus_give_the_weights_of_one_batch_norm_and_adaface_included(tmp_path):
    script = tmp_path / "train.py"
    lines = ("import sys", "from pathlib import Path", "import training.test_cuda as t")
    script.write_text("\n".join([*lines, "t.in_each_process(Path(sys.argv[1]))"]))
    tests = Path(__file__).resolve().parents[1]
    environment = importing(tests.parent, tests, OMP_NUM_THREADS="1", NVIDIA_TF32_OVERRIDE="0")
    states = []
    for processes in (1, 2):
        launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", str(processes)]
        out = tmp_path / str(processes)
        subprocess.run([*launch, str(script), str(out)], env=environment, check=True, timeout=300)
        states.append(torch.load(out / CHECKPOINT, weights_only=True, map_location="cpu")["objective"])
    assert {"head.mean", "head.std"} <= states[0].keys() and any("running_var" in name for name in states[0])
    for name, value in states[0].items():
        torch.testing.assert_close(states[1][name], value, rtol=1e-3, atol=1e-4)
