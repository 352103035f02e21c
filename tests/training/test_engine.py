import copy
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from functools import partial
from pathlib import Path
from threading import Event

import numpy as np
import pytest
import torch
from environments import importing
from noise_images import make_images
from torch import nn

from aifr_lib.data.loader import PairBatches, Rows
from aifr_lib.names import ConfigError
from aifr_lib.training import engine
from aifr_lib.training.checkpoints.writer import Writer
from aifr_lib.training.engine import CHECKPOINT, LOG, Frozen, NonFiniteLoss, Plan, Stopped, accelerator_for, fit

TESTS = Path(__file__).resolve().parents[1]
HERE = (TESTS.parent, TESTS)  # processes that a test starts import the tree that it is of


class Toy(nn.Module):
    """A small network with batch norm and dropout: state and randomness that a resume must bring back."""

    def __init__(self, classes=4, norm=True):
        super().__init__()
        layers = [nn.Conv2d(3, 8, 3, 2)]
        layers += [nn.BatchNorm2d(8), nn.ReLU(), nn.Dropout(0.2)] if norm else []
        self.body = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, classes))
        self.calls, self.at = 0, {}

    columns = ("images", "identity")

    def forward(self, batch, part):
        images, labels = batch["images"], batch["identity"]
        self.calls += 1
        if action := self.at.get(self.calls):
            action()
        loss = nn.functional.cross_entropy(self.body(images), labels)
        return {"loss": loss * (float("nan") if self.calls == self.at.get("nan") else 1.0)}


def run(out, *, toy=None, steps=12, images=None, settings=None, lr=0.1, device="cpu", **plan):
    images = images or make_images()
    if toy is None:
        torch.manual_seed(0)
        toy = Toy()
    optimiser = torch.optim.SGD(toy.parameters(), lr=lr, momentum=0.9)
    scalars = fit(
        toy,
        optimiser,
        lambda step: 1.0 if step < 8 else 0.1,
        Rows(images, (16, 16)),
        Plan(**{"steps": steps, "batch": 8, "seed": 3, "log_every": 4, "settings": settings or {}, **plan}),
        out,
        records=images.labels["record"].tolist(),
        device=device,
        progress=False,
    )
    return toy, scalars


def equal(a, b):
    return all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


def new_toy(**at):
    torch.manual_seed(0)
    toy = Toy()
    toy.at = at.pop("calls", {})
    toy.at.update(at)
    return toy


def test_loss_falls_on_a_tiny_set(tmp_path):
    run(tmp_path, steps=60)
    log = [json.loads(line) for line in (tmp_path / LOG).read_text().splitlines()]
    assert log[-1]["loss"] < 0.6 * log[0]["loss"]
    assert log[-1]["lr"] == pytest.approx(0.01)
    assert [line["step"] for line in log] == list(range(4, 61, 4))


@pytest.mark.parametrize("at", [3, 7])
def test_ctrl_c_saves_and_a_resume_is_bit_equal(tmp_path, at):
    whole, _ = run(tmp_path / "whole")
    toy = new_toy(calls={at: lambda: os.kill(os.getpid(), signal.SIGINT)})
    with pytest.raises(Stopped, match=f"stopped at step {at} of 12"):
        run(tmp_path / "cut", toy=toy)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    resumed, _ = run(tmp_path / "cut")
    assert resumed.calls == 12 - at
    assert equal(whole, resumed)
    logged = [json.loads(line)["step"] for line in (tmp_path / "cut" / LOG).read_text().splitlines()]
    assert logged == [4, 8, 12]


def test_a_finished_training_returns_at_once(tmp_path):
    whole, first = run(tmp_path)
    again, scalars = run(tmp_path)
    assert again.calls == 0 and scalars["loss"] == first["loss"]
    assert equal(whole, again)
    assert 0 < scalars["seconds"] < 2 * first["seconds"] and scalars["images_per_s"] > 0


def test_the_seconds_are_those_of_all_sittings(tmp_path):
    def slow():
        time.sleep(0.5)
        os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(Stopped):
        run(tmp_path, toy=new_toy(calls={6: slow}))
    _, scalars = run(tmp_path)
    assert scalars["seconds"] > 0.5
    assert scalars["images_per_s"] == pytest.approx(12 * 8 / scalars["seconds"])


def test_kill_9_then_resume_is_bit_equal(tmp_path):
    script = tmp_path / "train.py"
    script.write_text(
        textwrap.dedent(
            """
            import sys, time
            from pathlib import Path
            import training.test_engine as t
            toy = t.new_toy()
            for call in range(1, 13):
                toy.at[call] = lambda: time.sleep(0.25)
            t.run(Path(sys.argv[1]), toy=toy, checkpoint_every=0)
            """
        )
    )
    out = tmp_path / "cut"
    environment = importing(*HERE)
    process = subprocess.Popen([sys.executable, str(script), str(out)], env=environment)
    while not (out / CHECKPOINT).exists():
        assert process.poll() is None, "the training ended before it could be killed"
        time.sleep(0.02)
    time.sleep(0.3)
    process.kill()
    process.wait()
    step = torch.load(out / CHECKPOINT, weights_only=True)["step"]
    assert 0 < step < 12
    resumed, _ = run(out)
    assert resumed.calls == 12 - step
    assert equal(resumed, run(tmp_path / "whole")[0])


@pytest.fixture
def always_due(monkeypatch):
    """A checkpoint after each step."""
    monkeypatch.setattr(Writer, "due", lambda _: True)


def test_a_nan_names_the_batch_and_keeps_the_last_good_checkpoint(tmp_path, always_due):
    with pytest.raises(NonFiniteLoss, match=r"the loss is nan at step 5.*picture-\d{3}(, picture-\d{3}){7}"):
        run(tmp_path, toy=new_toy(nan=6))
    state = torch.load(tmp_path / CHECKPOINT, weights_only=True)
    assert state["step"] == 5
    assert all(value.isfinite().all() for value in state["objective"].values() if value.is_floating_point())


def test_weights_that_are_not_finite_never_replace_a_checkpoint(tmp_path):
    toy = new_toy()

    def poison():
        toy.body[0].bias.data.fill_(float("inf"))

    run(tmp_path, toy=toy, steps=4)
    before = (tmp_path / CHECKPOINT).read_bytes()
    toy = new_toy(calls={8: poison})
    with pytest.raises(NonFiniteLoss):
        run(tmp_path, toy=toy, steps=12)
    assert (tmp_path / CHECKPOINT).read_bytes() == before


def test_what_is_written_is_the_state_of_its_step(tmp_path, always_due, monkeypatch):
    """However long the disk takes: on a slow one each step has changed the weights before they are there."""
    save, written = torch.save, {}

    def slow(state, path):
        time.sleep(0.05)
        written[state["step"]] = copy.deepcopy(state)
        save(state, path)

    monkeypatch.setattr(torch, "save", slow)
    run(tmp_path / "whole", steps=5)
    whole = dict(written)
    assert list(whole) == [1, 2, 3, 4, 5]
    for step in (2, 4):
        run(tmp_path / str(step), steps=step)
        stored = torch.load(tmp_path / str(step) / CHECKPOINT, weights_only=True)
        for name, value in stored["objective"].items():
            assert torch.equal(whole[step]["objective"][name], value)
        for number, held in stored["optimiser"]["state"].items():
            assert torch.equal(whole[step]["optimiser"]["state"][number]["momentum_buffer"], held["momentum_buffer"])


def test_a_full_disk_stops_a_training_whose_last_checkpoint_is_whole(tmp_path):
    """The system takes no file longer than the first checkpoint any more: what a quota does, and a full disk."""
    script = tmp_path / "train.py"
    script.write_text(
        textwrap.dedent(
            """
            import resource, sys
            from pathlib import Path
            import training.test_engine as t
            from aifr_lib.training.checkpoints.writer import Writer
            out = Path(sys.argv[1])
            t.run(out, steps=4)
            resource.setrlimit(resource.RLIMIT_FSIZE, ((out / t.CHECKPOINT).stat().st_size // 2, -1))
            Writer.due = lambda self: True
            t.run(out, steps=12)
            """
        )
    )
    environment = importing(*HERE)
    command = [sys.executable, str(script), str(tmp_path / "out")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode and "OSError: [Errno" in done.stderr, done.stderr
    assert "the last checkpoint is whole: free some space and give the same command again" in done.stderr
    assert [path.name for path in (tmp_path / "out").glob("*.pt*")] == [CHECKPOINT]
    resumed, _ = run(tmp_path / "out")
    assert resumed.calls == 8 and equal(resumed, run(tmp_path / "whole")[0])


def test_the_longer_a_training_stands_still_for_saving_the_rarer_it_saves(tmp_path, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    writer = Writer(tmp_path / CHECKPOINT, least=30)
    now[0] = 31
    assert writer.due()
    for cost, least in ((0.1, 30), (2.0, 200)):
        started, now[0] = now[0], now[0] + cost
        writer.write({}, started)
        writer.finish()
        saved = now[0]
        now[0] = saved + least - 1
        assert not writer.due()
        now[0] = saved + least + 1
        assert writer.due()


def test_one_checkpoint_at_a_time(tmp_path, monkeypatch):
    gate, entered = Event(), Event()

    def held(state, path):
        entered.set()
        gate.wait(60)

    monkeypatch.setattr(torch, "save", held)
    writer = Writer(tmp_path / CHECKPOINT, least=0)
    writer.write({}, time.perf_counter())
    assert entered.wait(60) and not writer.due()
    gate.set()
    writer.finish()


def test_a_checkpoint_of_other_settings_or_shape_is_refused(tmp_path):
    run(tmp_path, steps=4, settings={"lr": 0.1})
    with pytest.raises(ValueError, match=r"other settings \(lr 0.1 → 0.2\)"):
        run(tmp_path, settings={"lr": 0.2})
    with pytest.raises(ValueError, match=r"body\.6\.weight"):
        run(tmp_path, toy=Toy(classes=5), settings={"lr": 0.1})


def test_a_checkpoint_that_does_not_name_its_pictures_is_gone_on_with(tmp_path):
    whole, _ = run(tmp_path, settings={"lr": 0.1})
    again, _ = run(tmp_path, settings={"lr": 0.1, "pictures": "toy v1"})
    assert again.calls == 0 and equal(whole, again)


def test_a_damaged_checkpoint_says_so(tmp_path):
    run(tmp_path, steps=4)
    whole = (tmp_path / CHECKPOINT).read_bytes()
    (tmp_path / CHECKPOINT).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=r"checkpoint\.pt cannot be read .* delete it to start afresh"):
        run(tmp_path)


def test_a_checkpoint_of_an_older_version_says_what_it_lacks(tmp_path):
    run(tmp_path, steps=4)
    state = torch.load(tmp_path / CHECKPOINT, weights_only=True)
    for other in ({name: value for name, value in state.items() if name != "seconds"}, [state]):
        torch.save(other, tmp_path / CHECKPOINT)
        with pytest.raises(ValueError, match=r"checkpoint\.pt .* lacks .*seconds.* delete it to start afresh"):
            run(tmp_path)


def test_micro_batches_give_the_gradient_of_the_whole_batch(tmp_path):
    images = make_images()
    # Symmetric pictures, so that the random mirroring, drawn per micro-batch, changes nothing.
    images.pixels[:, :, 8:] = images.pixels[:, :, 7::-1]
    weights = []
    for accumulate in (1, 4):
        torch.manual_seed(0)
        toy = Toy(norm=False)
        run(tmp_path / str(accumulate), toy=toy, steps=2, images=images, accumulate=accumulate)
        weights.append(torch.cat([value.flatten() for value in toy.state_dict().values()]))
    torch.testing.assert_close(*weights, rtol=1e-5, atol=1e-6)


def test_clipping_bounds_the_step(tmp_path):
    torch.manual_seed(0)
    before = torch.cat([value.flatten() for value in Toy(norm=False).state_dict().values()])
    torch.manual_seed(0)
    toy, _ = run(tmp_path, toy=Toy(norm=False), steps=1, clip=1e-3, lr=1.0)
    after = torch.cat([value.flatten() for value in toy.state_dict().values()])
    assert float((after - before).norm()) == pytest.approx(1e-3, rel=1e-3)


def test_a_device_that_is_not_here_is_refused():
    missing = "mps" if torch.cuda.is_available() else "cuda"
    with pytest.raises(ConfigError, match=rf"no device '{missing}' on this machine.*valid: cpu"):
        accelerator_for(missing, "no")


def test_bf16_autocast_trains(tmp_path):
    _, scalars = run(tmp_path, precision="bf16")
    assert np.isfinite(scalars["loss"])


def test_two_processes_give_the_weights_of_one(tmp_path):
    script = tmp_path / "both.py"
    script.write_text(
        textwrap.dedent(
            """
            import sys
            from pathlib import Path
            import torch
            import training.test_engine as t
            images = t.make_images()
            images.pixels[:, :, 8:] = images.pixels[:, :, 7::-1]
            torch.manual_seed(0)
            t.run(Path(sys.argv[1]), toy=t.Toy(norm=False), steps=3, images=images)
            """
        )
    )
    states = []
    for processes in (1, 2):
        out = tmp_path / str(processes)
        command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", str(processes)]
        environment = importing(*HERE, ACCELERATE_USE_CPU="true", OMP_NUM_THREADS="1")
        subprocess.run([*command, str(script), str(out)], check=True, env=environment, capture_output=True)
        states.append(torch.load(out / CHECKPOINT, weights_only=True)["objective"])
    for name, value in states[0].items():
        torch.testing.assert_close(states[1][name], value, rtol=1e-5, atol=1e-6)


class Duel(nn.Module):
    """A generator and a critic in turn, and a copy of the generator that follows it: a GAN in small."""

    parts, columns = ("generator", "critic"), ("images",)

    def __init__(self):
        super().__init__()
        self.generator = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 3, 1))
        self.critic = nn.Sequential(nn.Conv2d(3, 4, 3, 2), nn.ReLU(), nn.Dropout(0.2), nn.Flatten(), nn.Linear(196, 1))
        self.follower = copy.deepcopy(self.generator).requires_grad_(False)
        self.teacher = Frozen(nn.Sequential(nn.Conv2d(3, 2, 3), nn.BatchNorm2d(2)))
        self.at, self.calls, self.seen = {}, 0, []

    def forward(self, batch, part):
        images = batch["images"]
        drawn = self.generator(images)
        self.seen.append((part, images.detach().clone()))
        if part == "critic":
            return {"loss": (self.critic(drawn.detach()) - self.critic(images)).mean()}
        away = (self.teacher(drawn) - self.teacher(images)).square().mean()
        return {"loss": away - self.critic(drawn).mean(), "away": away.detach()}

    def after(self, step):
        for slow, quick in zip(self.follower.parameters(), self.generator.parameters(), strict=True):
            slow.lerp_(quick.detach(), 0.1)
        self.calls += 1
        if action := self.at.get(step):
            action()


def new_duel():
    torch.manual_seed(0)
    return Duel()


def duel(out, module=None, steps=6, optimisers=None, plan=None, images=None, device="cpu", **options):
    module = module or new_duel()
    optimisers = optimisers or {
        "generator": torch.optim.Adam(module.generator.parameters(), 1e-2),
        "critic": torch.optim.SGD(module.critic.parameters(), 1e-2),
    }
    images = images or make_images()
    scalars = fit(
        module,
        optimisers,
        {"generator": lambda _: 1.0, "critic": lambda _: 0.5},
        Rows(images, (16, 16)),
        Plan(**{"steps": steps, "batch": 8, "seed": 3, "log_every": 2, **(plan or {})}),
        out,
        records=images.labels["record"].tolist(),
        device=device,
        progress=False,
        **options,
    )
    return module, scalars


@pytest.mark.parametrize("accumulate", [1, 2])
def test_two_parts_resume_to_equal_bits_with_their_momentum_copy(tmp_path, accumulate):
    plan = {"accumulate": accumulate}
    whole, scalars = duel(tmp_path / "whole", plan=plan)
    cut = new_duel()
    cut.at = {4: lambda: os.kill(os.getpid(), signal.SIGTERM)}
    with pytest.raises(Stopped, match="stopped at step 4 of 6"):
        duel(tmp_path / "cut", cut, plan=plan)
    resumed, _ = duel(tmp_path / "cut", plan=plan)
    assert equal(whole, resumed) and (resumed.calls, whole.calls) == (2, 6)
    assert not torch.equal(whole.follower[0].weight, whole.generator[0].weight)
    assert {"generator_loss", "generator_away", "critic_loss", "loss"} <= set(scalars)
    log = [json.loads(line) for line in (tmp_path / "whole" / LOG).read_text().splitlines()]
    assert [line["step"] for line in log] == [2, 4, 6] and "critic_loss" in log[0]


def test_parts_step_in_turn_on_the_same_pictures_as_a_loop_written_out(tmp_path):
    module, _ = duel(tmp_path, steps=2)
    seen = list(module.seen)
    assert [part for part, _ in seen] == ["generator", "critic"] * 2
    for (_, a), (_, b) in zip(seen[::2], seen[1::2], strict=True):
        assert torch.equal(a, b), "mirrored alike"
    slow = new_duel().to(memory_format=torch.channels_last)
    generator = torch.optim.Adam(slow.generator.parameters(), 1e-2)
    critic = torch.optim.SGD(slow.critic.parameters(), 0.5e-2)
    for step in range(2):
        for part, optimiser in (("generator", generator), ("critic", critic)):
            engine.seed_step(3, step, 0)
            torch.rand(8, 1, 1, 1)  # the mirroring's draw
            slow.zero_grad()
            slow({"images": seen[2 * step][1]}, part)["loss"].backward()
            optimiser.step()
        slow.after(step)
    assert equal(module, slow)


def test_a_teacher_is_held_apart(tmp_path):
    module = new_duel()
    before = {name: value.clone() for name, value in module.teacher.network.state_dict().items()}
    duel(tmp_path, module)
    assert all(torch.equal(value, before[name]) for name, value in module.teacher.network.state_dict().items())
    assert not module.teacher.network.training and all(p.grad is None for p in module.teacher.network.parameters())
    state = torch.load(tmp_path / CHECKPOINT, weights_only=True)
    assert not any("teacher" in name for name in state["objective"]) and set(state["optimiser"]) == set(Duel.parts)


def test_the_best_weights_are_kept_lowest_first_ties_the_earlier(tmp_path):
    values, at = {2: 0.7, 4: 0.3, 6: 0.3, 8: 0.9}, {}
    module = new_duel()

    def evaluate(step):
        assert not module.training
        at[step] = module.generator[0].weight.detach().clone()
        return values[step]

    options = {"steps": 8, "evaluate": evaluate, "plan": {"evaluate_every": 2}}
    _, scalars = duel(tmp_path, module, **options)
    assert list(at) == [2, 4, 6, 8] and (scalars["best"], scalars["best_step"]) == (0.3, 4)
    assert torch.equal(module.generator[0].weight, at[4])
    kept = torch.load(tmp_path / CHECKPOINT, weights_only=True)["best"]
    assert (kept["value"], kept["step"]) == (0.3, 4)
    at[2] = None
    again, scalars = duel(tmp_path, **options)
    assert torch.equal(again.generator[0].weight, at[4]) and scalars["best_step"] == 4
    assert at[2] is None, "a finished training is not evaluated again"
    with pytest.raises(ValueError, match="evaluation at step 6 gave NaN"):
        duel(tmp_path / "nan", evaluate=lambda _: float("nan"))


def test_a_training_ends_early_where_no_look_is_better(tmp_path):
    """Of ten looks the fourth is the best, and three more are waited for; also where it is broken off on the way."""
    values = dict(zip(range(2, 21, 2), (5, 4, 3, 1, 2, 2, 2, 0, 0, 0), strict=True))
    looks = []

    def evaluate(step):
        looks.append(step)
        return values[step]

    images = make_images()

    def train(**calls):
        toy = new_toy(**calls)
        optimiser = torch.optim.SGD(toy.parameters(), lr=0.01, momentum=0.9)
        plan = Plan(steps=20, batch=8, seed=0, evaluate_every=2, patience=3)
        rows, names = Rows(images, (16, 16)), images.labels["record"].tolist()
        return toy, fit(
            toy, optimiser, lambda _: 1.0, rows, plan, tmp_path, records=names, evaluate=evaluate, progress=False
        )

    with pytest.raises(Stopped, match="stopped at step 11 of 20"):
        train(calls={11: lambda: os.kill(os.getpid(), signal.SIGINT)})
    toy, scalars = train()
    assert looks == [2, 4, 6, 8, 10, 12, 14]
    assert (scalars["best"], scalars["best_step"]) == (1, 8)
    assert torch.load(tmp_path / CHECKPOINT, weights_only=True)["step"] == 14
    again, scalars = train()
    assert again.calls == 0 and scalars["best_step"] == 8 and equal(toy, again) and len(looks) == 7


def test_how_a_machine_steps_is_not_taken_over_with_a_checkpoint(tmp_path):
    """A checkpoint from a GPU, where steps are fused, goes on here as one from here."""
    whole, _ = duel(tmp_path / "whole")
    cut = new_duel()
    cut.at = {4: lambda: os.kill(os.getpid(), signal.SIGTERM)}
    with pytest.raises(Stopped):
        duel(tmp_path / "cut", cut)
    state = torch.load(tmp_path / "cut" / CHECKPOINT, weights_only=True)
    for part in Duel.parts:
        for group in state["optimiser"][part]["param_groups"]:
            group.update(fused=True, foreach=False)
    torch.save(state, tmp_path / "cut" / CHECKPOINT)
    resumed, _ = duel(tmp_path / "cut")
    assert equal(whole, resumed)
    state = torch.load(tmp_path / "cut" / CHECKPOINT, weights_only=True)
    assert not any(group["fused"] for part in Duel.parts for group in state["optimiser"][part]["param_groups"])


def test_for_cuda_keeps_the_weights_that_the_optimisers_hold():
    module = new_duel()
    optimisers = [torch.optim.Adam(module.generator.parameters()), torch.optim.RMSprop(module.critic.parameters())]
    before = dict(module.named_parameters())
    engine.for_cuda(module, optimisers, processes=2)
    assert isinstance(module.generator[1], nn.SyncBatchNorm)
    assert all(weight is before[name] for name, weight in module.named_parameters())
    (adam,), (other,) = (optimiser.param_groups for optimiser in optimisers)
    assert (adam["fused"], adam["foreach"]) == (True, False) and "fused" not in other
    made_so = torch.optim.Adam(module.critic.parameters(), fused=True)
    supports = "_step_supports_amp_scaling"
    assert getattr(optimisers[0], supports) == getattr(made_so, supports) and not hasattr(optimisers[1], supports)


def test_gpus_are_used_as_trainings_use_them():
    """What is set on a GPU is set back; half precision is what makes products and gradients coarser."""
    cudnn, products = torch.backends.cudnn, torch.backends.cuda.matmul
    before = cudnn.benchmark, products.fp32_precision
    for on_gpu, precision, wanted in (
        (False, "bf16", before),
        (True, "no", (True, before[1])),
        (True, "bf16", (True, "tf32")),
    ):
        with engine.quick_kernels(on_gpu, precision):
            assert (cudnn.benchmark, products.fp32_precision) == wanted
        assert (cudnn.benchmark, products.fp32_precision) == before
    kinds = engine.DDPCommunicationHookType
    assert [engine.together(half).comm_hook for half in (True, False)] == [kinds.BF16, kinds.NO]
    assert not engine.together(False).broadcast_buffers and engine.together(False, 2).find_unused_parameters


def test_pairs_of_a_persons_pictures_train_and_resume(tmp_path):
    images, seen = make_images(), []
    rows = Rows(images, (16, 16))

    class Pairs(Toy):
        def forward(self, batch, part):
            seen.append(batch["images"])
            assert bool((batch["identity"][:, 0] == batch["identity"][:, 1]).all())
            flat = {"images": batch["images"].flatten(0, 1), "identity": batch["identity"].flatten()}
            return super().forward(flat, part)

    def pairs(out, **at):
        torch.manual_seed(0)
        module = Pairs()
        module.at = at.get("at", {})
        fit(
            module,
            torch.optim.SGD(module.parameters(), 0.1),
            lambda _: 1.0,
            rows,
            Plan(steps=6, batch=4, seed=1),
            out,
            records=images.labels["record"].tolist(),
            batches=partial(PairBatches, rows.classes),
            device="cpu",
            progress=False,
        )
        return module

    whole = pairs(tmp_path / "whole")
    assert {tuple(images.shape) for images in seen} == {(4, 2, 3, 16, 16)}
    with pytest.raises(Stopped):
        pairs(tmp_path / "cut", at={3: lambda: os.kill(os.getpid(), signal.SIGINT)})
    assert equal(whole, pairs(tmp_path / "cut"))
    with pytest.raises(NonFiniteLoss, match=r"at step 1.*picture-\d{3}(, picture-\d{3}){7}"):
        pairs(tmp_path / "nan", at={"nan": 2})


def bare():
    torch.manual_seed(0)
    return Toy(norm=False)


def test_a_compiled_objective_trains_to_the_same_weights(tmp_path, monkeypatch):
    """Traced but not turned into machine code, which takes a minute and rounds otherwise."""
    traced = []

    def backend(graph, _):
        traced.append(graph)
        return graph

    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend=backend))
    plain, _ = run(tmp_path / "plain", toy=bare(), steps=3)
    fused, _ = run(tmp_path / "fused", toy=bare(), steps=3, compile=True)
    for a, b in zip(plain.parameters(), fused.parameters(), strict=True):
        torch.testing.assert_close(a, b)
    assert traced and set(plain.state_dict()) == set(fused.state_dict())


def test_what_does_not_fit_is_said_before_anything_is_trained(tmp_path):
    module = new_duel()
    adam = torch.optim.Adam(module.generator.parameters())
    every, some = (torch.optim.SGD(one, 0.1) for one in (module.parameters(), list(module.critic.parameters())[1:]))
    stray = torch.optim.SGD([torch.zeros(2)], 0.1)
    for optimisers, message in (
        ({"generator": adam, "critc": every}, "unknown part 'critc'; did you mean 'critic'"),
        ({"generator": adam}, "no optimiser or no rate for the part critic"),
        (
            {"generator": adam, "critic": every},
            r"'generator\.0\.weight' is stepped by two .*: 'generator' and 'critic'",
        ),
        ({"generator": adam, "critic": stray}, r"of 'critic' steps a weight \[2\] that is none of the objective's"),
        ({"generator": adam, "critic": some}, r"no optimiser steps 'critic\.0\.weight' \(1 weights\)"),
    ):
        with pytest.raises(ConfigError, match=message):
            duel(tmp_path, module, optimisers=optimisers)
    module.columns = ("images", "identiti")
    with pytest.raises(ConfigError, match="asks for 'identiti' of each picture; did you mean 'identity'"):
        duel(tmp_path, module)
    assert not (tmp_path / CHECKPOINT).exists() and not module.seen


def test_two_launches_do_not_train_into_one_folder(tmp_path):
    script = (
        "import sys, time, filelock; lock = filelock.FileLock(sys.argv[1]); lock.acquire(); print(1, flush=True); "
        "time.sleep(60)"
    )
    held = [sys.executable, "-c", script, str(tmp_path / engine.TRAINING)]
    with subprocess.Popen(held, stdout=subprocess.PIPE) as other:
        assert other.stdout.readline()
        with pytest.raises(ConfigError, match=r"another process trains in .*torchrun --nproc-per-node"):
            run(tmp_path)
        other.kill()
    run(tmp_path)


def test_a_checkpoint_of_one_optimiser_is_what_it_was(tmp_path):
    run(tmp_path)
    state = torch.load(tmp_path / CHECKPOINT, weights_only=True)
    assert set(state) == {"step", "seconds", "settings", "objective", "optimiser", "scaler"}
    assert set(state["optimiser"]) == {"state", "param_groups"}
    duel(tmp_path / "two")
    state = torch.load(tmp_path / "two" / CHECKPOINT, weights_only=True)
    torch.save({**state, "optimiser": {"generator": state["optimiser"]["generator"]}}, tmp_path / "two" / CHECKPOINT)
    with pytest.raises(ValueError, match=r"holds optimisers of \['generator'\], wanted \['critic', 'generator'\]"):
        duel(tmp_path / "two")
