"""The one training loop.

An *objective* is a module whose ``forward(images, labels)`` returns a dict of scalars with the key "loss". Everything
random at a micro-batch is drawn from (seed, its number, process), and the order of the pictures from (seed, epoch), so
the whole state of a training is: weights, optimiser, gradient scaler, step. That is what a checkpoint holds, and why a
resumed training gives the weights of an uninterrupted one, bit for bit on a CPU.
"""

from __future__ import annotations

import json
import signal
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from torch import Tensor, distributed, nn
from torch.optim import Optimizer
from tqdm import tqdm

from aifr_lib.data.loader import Rows, ShuffledBatches, loader, random_flip, to_input
from aifr_lib.files import atomic_write
from aifr_lib.models.weights import compare_states
from aifr_lib.names import ConfigError, nearest

CHECKPOINT, LOG = "checkpoint.pt", "log.jsonl"
PARTS = {"step", "seconds", "settings", "objective", "optimiser", "scaler"}  # of a checkpoint


class NonFiniteLoss(RuntimeError):
    """The loss or a weight is no longer finite; the message names the step and the records of the batch."""


class Stopped(KeyboardInterrupt):
    """Ctrl-C or SIGTERM arrived; the checkpoint of the last step is saved."""


@dataclass(frozen=True)
class Plan:
    """How long and in what portions to train.

    steps: optimiser steps. batch: images a step over all processes. accumulate: micro-batches a step.
    clip: largest gradient norm or None. precision: "no", "bf16" or "fp16".
    log_every, checkpoint_every: in steps and in seconds. settings: what the run was asked to be; a checkpoint of other
    settings is refused.
    """

    steps: int
    batch: int
    seed: int
    accumulate: int = 1
    clip: float | None = None
    precision: str = "no"
    log_every: int = 20
    checkpoint_every: float = 30.0
    settings: Mapping[str, Any] | None = None


def accelerator_for(device: str | None, precision: str, accumulate: int = 1) -> Accelerator:
    """An Accelerator on ``device`` ("cpu", "cuda", None = the best there is), whatever an earlier run here used.

    Errors: ConfigError for a device that this machine does not have.
    """
    AcceleratorState._reset_state(reset_partial_state=True)
    accelerator = Accelerator(cpu=device == "cpu", mixed_precision=precision, gradient_accumulation_steps=accumulate)
    if device is not None and accelerator.device.type != device:
        here = {"cpu", accelerator.device.type}
        raise ConfigError(f"no device '{device}' on this machine{nearest(device, here)}")
    return accelerator


def fit(
    objective: nn.Module,
    optimiser: Optimizer,
    rate: Callable[[int], float],
    rows: Rows,
    plan: Plan,
    out: Path,
    *,
    records: Sequence[str],
    device: str | None = None,
    progress: bool = True,
) -> dict[str, float]:
    """Train ``objective`` in place for ``plan.steps`` steps; continue from ``out/checkpoint.pt`` where there is one.

    rate(step): the factor on each group's initial learning rate. rows: the pictures; records: their names.
    Returns the last logged scalars, the seconds of all sittings and the images per second.
    Errors: NonFiniteLoss, Stopped; ValueError for a checkpoint of other settings or another architecture.
    """
    out.mkdir(parents=True, exist_ok=True)
    accelerator = accelerator_for(device, plan.precision, plan.accumulate)
    objective.to(memory_format=torch.channels_last)
    prepared, stepper = accelerator.prepare(objective, optimiser)
    step, before = resume(out, objective, stepper, accelerator, plan)

    micro = plan.batch // plan.accumulate
    batches = ShuffledBatches(
        len(rows),
        micro,
        seed=plan.seed,
        start=step * plan.accumulate,
        stop=plan.steps * plan.accumulate,
        rank=accelerator.process_index,
        world=accelerator.num_processes,
    )
    on_gpu = accelerator.device.type == "cuda"
    stream = iter(loader(rows, batches, pin=on_gpu))
    # On a GPU reading a loss waits for the device, so losses are read at log steps only; on a CPU that costs nothing.
    check_every = plan.log_every if on_gpu else 1
    unchecked: list[tuple[int, Tensor, dict[str, Tensor]]] = []
    scalars = last_logged(out / LOG)
    first, started, saved = step, time.perf_counter(), time.perf_counter()
    objective.train()

    with (
        stop_signals() as stop,
        tqdm(
            total=plan.steps * plan.batch,
            initial=step * plan.batch,
            unit="img",
            unit_scale=True,
            desc="train",
            disable=not (progress and accelerator.is_main_process),
            mininterval=1.0,
        ) as bar,
    ):
        while step < plan.steps:
            for group in stepper.param_groups:
                group["lr"] = group["initial_lr"] * rate(step)
            for part in range(plan.accumulate):
                seed_step(plan.seed, step * plan.accumulate + part, accelerator.process_index)
                pixels, labels, batch_rows = next(stream)
                images = random_flip(to_input(pixels.to(accelerator.device, non_blocking=True)))
                labels = labels.to(accelerator.device, non_blocking=True)
                with accelerator.accumulate(prepared):
                    losses = prepared(images, labels)
                    accelerator.backward(losses["loss"])
                    if plan.clip is not None and accelerator.sync_gradients:
                        accelerator.clip_grad_norm_(prepared.parameters(), plan.clip)
                    stepper.step()
                    stepper.zero_grad()
                unchecked.append((step, batch_rows, {name: value.detach() for name, value in losses.items()}))
            step += 1
            bar.update(plan.batch)

            logging = step % plan.log_every == 0 or step == plan.steps
            checking = step % check_every == 0
            stopping = (checking or accelerator.num_processes == 1) and asked_anywhere(stop.asked, accelerator)
            saving = step == plan.steps or time.perf_counter() - saved > plan.checkpoint_every or stopping
            if logging or saving or checking:
                scalars = check_finite(unchecked, records)
                unchecked.clear()
            if logging and accelerator.is_main_process:
                speed = (step - first) * plan.batch / (time.perf_counter() - started)
                bar.set_postfix(loss=f"{scalars['loss']:.3f}", refresh=False)
                line = {"step": step, **scalars, "lr": stepper.param_groups[0]["lr"], "images_per_s": round(speed, 1)}
                with (out / LOG).open("a", encoding="utf-8") as log:
                    log.write(json.dumps(line) + "\n")
            if saving:
                saved = time.perf_counter()
                save(out, objective, stepper, accelerator, plan, step, before + saved - started)
            if stopping:
                raise Stopped(f"stopped at step {step} of {plan.steps}; run the same command again to go on")
    if accelerator.num_processes > 1:
        # Running statistics are those of the process that wrote the checkpoint: one network comes out, not several.
        for buffer in objective.buffers():
            distributed.broadcast(buffer, src=0)
    seconds = before + time.perf_counter() - started
    return {**scalars, "seconds": seconds, "images_per_s": step * plan.batch / max(seconds, 1e-9)}


def seed_step(seed: int, number: int, process: int) -> None:
    """Seed torch for one micro-batch; by a hash, because the CPU generator keeps only 32 bits of a seed."""
    torch.manual_seed(zlib.crc32(f"{seed}/{number}/{process}".encode()))


def check_finite(
    unchecked: Sequence[tuple[int, Tensor, dict[str, Tensor]]], records: Sequence[str]
) -> dict[str, float]:
    """The scalars of the last micro-batch, after one look at all losses since the last check."""
    losses = torch.stack([values["loss"] for _, _, values in unchecked])
    if not bool(losses.isfinite().all()):
        bad = int((~losses.isfinite()).nonzero()[0])
        step, rows, _ = unchecked[bad]
        names = ", ".join(records[row] for row in rows.tolist())
        raise NonFiniteLoss(
            f"the loss is {losses[bad].item()} at step {step}; the last good checkpoint is kept. "
            f"Lower the learning rate or look at the batch: {names}"
        )
    return {name: float(value) for name, value in unchecked[-1][2].items()}


class _Stop:
    asked = False


@contextmanager
def stop_signals() -> Iterator[_Stop]:
    """Turn the first Ctrl-C or SIGTERM into a request to stop after the step; a second one acts at once."""
    stop = _Stop()
    previous: dict[int, Any] = {}

    def ask(number: int, _frame: object) -> None:
        stop.asked = True
        signal.signal(number, previous[number])

    try:
        for number in (int(signal.SIGINT), int(signal.SIGTERM)):
            previous[number] = signal.signal(number, ask)
    except ValueError:  # Only the main thread may set handlers; elsewhere the default behaviour stays.
        pass
    try:
        yield stop
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def asked_anywhere(asked: bool, accelerator: Accelerator) -> bool:
    """Whether any process was asked to stop: one that stopped alone would leave the others waiting for its gradient."""
    if accelerator.num_processes == 1:
        return asked
    return bool(accelerator.gather(torch.tensor([asked], device=accelerator.device)).any())


def save(
    out: Path, objective: nn.Module, optimiser: Any, accelerator: Accelerator, plan: Plan, step: int, seconds: float
) -> None:
    """Write ``out/checkpoint.pt`` whole or not at all; refuse to replace a good one by weights that are not finite."""
    state = objective.state_dict()
    for name, value in state.items():
        if value.is_floating_point() and not bool(value.isfinite().all()):
            raise NonFiniteLoss(f"weight '{name}' is not finite after step {step}; the last good checkpoint is kept")
    if not accelerator.is_main_process:
        return
    scaler = accelerator.scaler.state_dict() if accelerator.scaler is not None else {}
    with atomic_write(out / CHECKPOINT) as path:
        torch.save(
            {
                "step": step,
                "seconds": seconds,
                "settings": dict(plan.settings or {}),
                "objective": state,
                "optimiser": optimiser.state_dict(),
                "scaler": scaler,
            },
            path,
        )


def resume(out: Path, objective: nn.Module, optimiser: Any, accelerator: Accelerator, plan: Plan) -> tuple[int, float]:
    """Load ``out/checkpoint.pt`` where there is one; (step to go on from, seconds spent so far), both 0 without."""
    path = out / CHECKPOINT
    if not path.exists():
        if accelerator.is_main_process:
            (out / LOG).unlink(missing_ok=True)
        accelerator.wait_for_everyone()
        return 0, 0.0
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise ValueError(f"{path} cannot be read as a checkpoint ({error}); delete it to start afresh") from error
    if lacking := PARTS - (state.keys() if isinstance(state, dict) else set()):
        missing = ", ".join(sorted(lacking))
        raise ValueError(f"{path} is no checkpoint of this version, it lacks {missing}; delete it to start afresh")
    wanted = dict(plan.settings or {})
    # A checkpoint of an earlier version does not say which pictures it saw.
    found = {name: wanted[name] for name in ("pictures",) if name in wanted} | state["settings"]
    if differing := sorted(key for key in wanted.keys() | found.keys() if wanted.get(key) != found.get(key)):
        changes = ", ".join(f"{key} {found.get(key)!r} → {wanted.get(key)!r}" for key in differing)
        raise ValueError(f"{path} belongs to a run with other settings ({changes}); use another folder or delete it")
    compare_states(objective.state_dict(), state["objective"], str(path))
    objective.load_state_dict(state["objective"])
    optimiser.load_state_dict(state["optimiser"])
    if state["scaler"] and accelerator.scaler is not None:
        accelerator.scaler.load_state_dict(state["scaler"])
    if accelerator.is_main_process:
        truncate_log(out / LOG, state["step"])
    accelerator.wait_for_everyone()  # what the others read next is the log as it is now
    return int(state["step"]), float(state["seconds"])


def last_logged(path: Path) -> dict[str, float]:
    """The scalars of the objective in the last line of a log; none without one."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    last = json.loads(lines[-1]) if lines else {}
    return {name: value for name, value in last.items() if name not in ("step", "lr", "images_per_s")}


def truncate_log(path: Path, step: int) -> None:
    """Drop what was logged after ``step``, and a last line cut short by a kill: those steps run again."""
    kept = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
        try:
            if json.loads(line)["step"] <= step:
                kept.append(line + "\n")
        except json.JSONDecodeError:
            break
    with atomic_write(path) as temporary:
        temporary.write_text("".join(kept), encoding="utf-8")
