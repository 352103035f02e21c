"""The one training loop, of every recipe.

An *objective* is a module whose ``forward(batch, part)`` takes named columns and returns a dict of scalars with the key
"loss". Its parts (one, or a generator and its critic) take their step in turn on the same pictures. Everything random
at a micro-batch is drawn from (seed, its number, process), and the order of the pictures from (seed, epoch), so the
whole state of a training is: weights, optimisers, gradient scaler, step. That is what a checkpoint holds, and why a
resumed training gives the weights of an uninterrupted one, bit for bit on a CPU.
"""

from __future__ import annotations

import json
import signal
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from accelerate import Accelerator, DistributedDataParallelKwargs
from accelerate.state import AcceleratorState
from accelerate.utils import DDPCommunicationHookType
from filelock import Timeout
from torch import Tensor, distributed, nn
from torch.optim import Optimizer

from aifr_lib.data.loader import Batch, Batches, ShuffledBatches, mirrored, stream_of
from aifr_lib.files import locked
from aifr_lib.names import ConfigError, choose, nearest
from aifr_lib.progress import tqdm
from aifr_lib.training.checkpoints.state import (
    CHECKPOINT,
    LOG,
    WHOLE,
    Best,
    NonFiniteLoss,
    Shards,
    check_weights,
    last_logged,
    resume,
    shards_in,
    state_of,
    weights_of,
)
from aifr_lib.training.checkpoints.writer import Writer

TRAINING = "training.lock"
SMALL = 64  # pixels: below, a GPU waits for the host to start kernels more than it computes
Rate = Callable[[int], float]


class Names(Protocol):
    """The records of pictures, asked for one at a time: of millions of pictures a list of them is a gigabyte."""

    def __getitem__(self, row: int, /) -> Any: ...


class Stopped(KeyboardInterrupt):
    """Ctrl-C or SIGTERM arrived; the checkpoint of the last step is saved."""


@dataclass(frozen=True)
class Plan:
    """How long and in what portions to train.

    steps: optimiser steps. batch: images a step over all processes. accumulate: micro-batches a step.
    clip: largest gradient norm or None. precision: "no", "bf16" or "fp16".
    log_every: in steps. checkpoint_every: least seconds between two checkpoints; they are more where saving would take
    more than a hundredth of the time. evaluate_every: steps between two looks of ``evaluate``.
    patience: looks without a better value after which the training ends early; None: it never does.
    compile: whether ``torch.compile`` fuses the objective (on a GPU, for small pictures, by CUDA graphs).
    settings: what the run was asked to be; a checkpoint of other settings is refused.

    >>> plan = Plan(steps=180_000, batch=512, seed=0, accumulate=2, precision="bf16")
    >>> plan.batch // plan.accumulate  # pictures that are in the memory at a time, over all processes
    256
    """

    steps: int
    batch: int
    seed: int
    accumulate: int = 1
    clip: float | None = None
    precision: str = "no"
    log_every: int = 20
    checkpoint_every: float = 30.0
    evaluate_every: int = 100
    patience: int | None = None
    compile: bool = False
    settings: Mapping[str, Any] | None = None


class Frozen:
    """A network held apart from training: no gradient of its own, no step, no place in checkpoints or wrappers.

    An objective keeps a teacher as ``self.teacher = Frozen(network)``; being no module, it is not registered. ``fit``
    moves it to the device. Gradients pass through it: eq. 9 of AAD has the student's features finished by a teacher.
    """

    def __init__(self, network: nn.Module) -> None:
        self.network = network.eval().requires_grad_(False)

    def __call__(self, *given: Tensor) -> Tensor:
        return self.network(*given)


def accelerator_for(device: str | None, precision: str, accumulate: int = 1, parts: int = 1) -> Accelerator:
    """An Accelerator on ``device`` ("cpu", "cuda", None = the best there is), whatever an earlier run here used.

    Errors: ConfigError for a device that this machine does not have.
    """
    AcceleratorState._reset_state(reset_partial_state=True)
    gpu = device != "cpu" and torch.cuda.is_available()
    accelerator = Accelerator(
        cpu=device == "cpu",
        mixed_precision=precision,
        gradient_accumulation_steps=accumulate,
        kwargs_handlers=[together(gpu and precision == "bf16", parts)],
    )
    if device is not None and accelerator.device.type != device:
        here = {"cpu", accelerator.device.type}
        raise ConfigError(f"no device '{device}' on this machine{nearest(device, here)}")
    return accelerator


def together(half: bool, parts: int = 1) -> DistributedDataParallelKwargs:
    """How processes share gradients; ``half``: in bfloat16, half the bytes, where the maps are in it already.

    Buffers go their own way: running statistics play no part in a step, and those of one process are kept at the end.
    """
    return DistributedDataParallelKwargs(
        # The step of one part leaves the weights of the others without gradient.
        find_unused_parameters=parts > 1,
        broadcast_buffers=False,
        comm_hook=DDPCommunicationHookType.BF16 if half else DDPCommunicationHookType.NO,
    )


def fit(
    objective: nn.Module,
    optimisers: Optimizer | Mapping[str, Optimizer],
    rate: Rate | Mapping[str, Rate],
    rows: Any,
    plan: Plan,
    out: Path,
    *,
    records: Names,
    batches: Batches = ShuffledBatches,
    inputs: Callable[[Tensor], Tensor] = mirrored,
    evaluate: Callable[[int], float] | None = None,
    device: str | None = None,
    progress: bool = True,
) -> dict[str, float]:
    """Train ``objective`` in place for ``plan.steps`` steps; continue from ``out/checkpoint.pt`` where there is one.

    optimisers: one over all weights, or one for each part by name: a step is each part's in turn, on the same pictures
    and with the gradients of the others cleared. rate(step): the factor on each group's initial learning rate, for all
    parts or by part. objective.columns, where it has them, are those that its forward asks of a batch;
    objective.after(step), where it has it, follows each step (momentum copies, averaged weights).
    rows: the pictures (``data.loader.Rows`` and its like); records: their names, by row. batches: the order of them.
    inputs: stored pixels, uint8 [B, …, H, W, 3], to what the network sees. evaluate(step): a value of which the lowest
    is best, asked every ``plan.evaluate_every`` steps and at the end; the objective is left with the best weights.
    Returns the last logged scalars, the seconds of all sittings, the images per second, and with ``evaluate`` "best"
    and "best_step".
    Errors, before anything is trained: ConfigError for parts, columns or weights that do not fit, or a folder in which
    another process trains; ValueError for a checkpoint of other settings or another architecture. Then NonFiniteLoss
    and Stopped.
    """
    out.mkdir(parents=True, exist_ok=True)
    parts = dict(optimisers) if isinstance(optimisers, Mapping) else {WHOLE: optimisers}
    rates = rate if isinstance(rate, Mapping) else dict.fromkeys(parts, rate)
    check_parts(objective, parts, rates)
    check_columns(objective, rows)
    shards = shards_in(objective)
    if shards and plan.precision == "fp16":
        raise ConfigError("classes that are shared out go with bf16: in fp16 one process would skip a step alone")
    accelerator = accelerator_for(device, plan.precision, plan.accumulate, len(parts))
    on_gpu = accelerator.device.type == "cuda"
    # On a GPU reading a loss waits for the device, so losses are read at log steps only; on a CPU that costs nothing.
    check_every = plan.log_every if on_gpu else 1
    after = getattr(objective, "after", None)

    with alone_in(out, accelerator), quick_kernels(on_gpu, plan.precision):
        objective.to(memory_format=torch.channels_last)
        if on_gpu:
            for_cuda(objective, parts.values(), accelerator.num_processes)
        for teacher in frozen_in(objective):
            teacher.network.to(accelerator.device).to(memory_format=torch.channels_last)
        if shards:
            distribute = nn.parallel.DistributedDataParallel._set_params_and_buffers_to_ignore_for_model
            distribute(objective, list(shards))
        prepared, *made = accelerator.prepare(objective, *parts.values())
        steppers = dict(zip(parts, made, strict=True))
        graphs = (
            plan.compile
            and on_gpu
            and accelerator.num_processes == 1
            and max(getattr(rows, "hw", (SMALL + 1,))) <= SMALL
        )
        forward = torch.compile(prepared, mode="reduce-overhead" if graphs else None) if plan.compile else prepared
        for stepper in made:
            for group in stepper.param_groups:
                group.setdefault("initial_lr", group["lr"])
        step, before, best = resume(out, objective, steppers, accelerator, plan.settings)

        order = batches(
            len(rows),
            plan.batch // plan.accumulate,
            seed=plan.seed,
            start=step * plan.accumulate,
            stop=plan.steps * plan.accumulate,
            rank=accelerator.process_index,
            world=accelerator.num_processes,
        )
        unchecked: list[tuple[int, Tensor, dict[str, Tensor]]] = []
        scalars = last_logged(out / LOG)
        first, started = step, time.perf_counter()
        writer = Writer(out / CHECKPOINT, plan.checkpoint_every)
        objective.train()

        with (
            stop_signals() as stop,
            writer,
            closing(stream_of(rows, order, pin=on_gpu)) as stream,
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
            while step < plan.steps and not out_of_patience(best, step, plan):
                micro_batches = [on_device(next(stream), accelerator.device) for _ in range(plan.accumulate)]
                for part, stepper in steppers.items():
                    for group in stepper.param_groups:
                        group["lr"] = group["initial_lr"] * rates[part](step)
                    for number, micro in enumerate(micro_batches):
                        seed_step(plan.seed, step * plan.accumulate + number, accelerator.process_index)
                        batch = as_seen(micro, inputs)
                        with accelerator.accumulate(prepared):
                            if graphs:
                                torch.compiler.cudagraph_mark_step_begin()
                            losses = forward(batch, part)
                            accelerator.backward(losses["loss"])
                            if plan.clip is not None and accelerator.sync_gradients:
                                clip(accelerator, stepper, plan.clip, shards)
                            stepper.step()
                            for one in steppers.values():
                                one.zero_grad()
                        # The next replay of a CUDA graph writes over what the last one gave.
                        found = {
                            name: value.detach().clone() if graphs else value.detach() for name, value in losses.items()
                        }
                        unchecked.append((step, micro["row"], found if len(parts) == 1 else by_part(part, found)))
                step += 1
                if after is not None:
                    after(step)
                bar.update(plan.batch)

                checking = step % check_every == 0
                stopping = due = False
                if checking or accelerator.num_processes == 1:
                    asked = stop.asked, accelerator.is_main_process and writer.due()
                    stopping, due = asked_anywhere(asked, accelerator)
                if evaluate is not None and (step % plan.evaluate_every == 0 or step == plan.steps):
                    keep_best(best, objective, evaluate, step, accelerator)
                ending = step == plan.steps or out_of_patience(best, step, plan)
                saving = ending or due or stopping
                logging = step % plan.log_every == 0 or ending
                if logging or saving or checking:
                    scalars = check_finite(unchecked, records)
                    unchecked.clear()
                if logging and accelerator.is_main_process:
                    speed = (step - first) * plan.batch / (time.perf_counter() - started)
                    bar.set_postfix(loss=f"{scalars['loss']:.3f}", refresh=False)
                    rate_now = next(iter(steppers.values())).param_groups[0]["lr"]
                    line = {"step": step, **scalars, "lr": rate_now, "images_per_s": round(speed, 1)}
                    with (out / LOG).open("a", encoding="utf-8") as log:
                        log.write(json.dumps(line) + "\n")
                if saving:
                    now = time.perf_counter()
                    check_weights(objective, step, accelerator)
                    if accelerator.is_main_process or shards:
                        seconds = before + now - started
                        state = state_of(objective, steppers, accelerator, plan.settings, step, seconds, best)
                    if accelerator.is_main_process:
                        writer.write(state, now)
                    if ending or stopping:
                        writer.finish()
                if stopping:
                    raise Stopped(f"stopped at step {step} of {plan.steps}; run the same command again to go on")
        if best.weights is not None:
            objective.load_state_dict(best.weights)
            scalars |= {"best": best.value, "best_step": best.step}
        if accelerator.num_processes > 1:
            # Running statistics are those of the process that wrote the checkpoint: one network comes out, not several.
            for buffer in objective.buffers():
                distributed.broadcast(buffer, src=0)
    seconds = before + time.perf_counter() - started
    return {**scalars, "seconds": seconds, "images_per_s": step * plan.batch / max(seconds, 1e-9)}


def check_parts(objective: nn.Module, parts: Mapping[str, Optimizer], rates: Mapping[str, Rate]) -> None:
    """Errors: ConfigError unless the parts are those of the objective, each weight that needs gradient is stepped by
    exactly one, and none that lies outside the objective.
    """
    named = getattr(objective, "parts", tuple(parts))
    for part in (*parts, *rates):
        choose("part", part, dict.fromkeys(named))
    if lacking := (set(named) - set(parts)) | (set(parts) - set(rates)):
        raise ConfigError(f"no optimiser or no rate for the part {', '.join(sorted(lacking))}")
    names = {id(weight): name for name, weight in objective.named_parameters()}
    owner: dict[int, str] = {}
    for part, optimiser in parts.items():
        for weight in weights_of(optimiser):
            if id(weight) not in names:
                raise ConfigError(
                    f"the optimiser of '{part}' steps a weight {list(weight.shape)} that is none of the objective's: "
                    "make it over the weights of this objective"
                )
            if id(weight) in owner:
                raise ConfigError(
                    f"'{names[id(weight)]}' is stepped by two optimisers: '{owner[id(weight)]}' and '{part}'"
                )
            owner[id(weight)] = part
    left = [name for name, weight in objective.named_parameters() if weight.requires_grad and id(weight) not in owner]
    if left:
        raise ConfigError(f"no optimiser steps '{left[0]}' ({len(left)} weights): freeze them, or give them to a part")


def check_columns(objective: nn.Module, rows: Any) -> None:
    """Errors: ConfigError for a column of a batch that the objective asks for and the pictures do not have."""
    for column in getattr(objective, "columns", ()):
        if column not in rows.columns:
            raise ConfigError(f"the training asks for '{column}' of each picture{nearest(column, rows.columns)}")


@contextmanager
def alone_in(out: Path, accelerator: Accelerator) -> Iterator[None]:
    """Hold the folder of a training, one launch at a time; the lock of a process that dies is dropped.

    Errors: ConfigError where another process trains there.
    """
    if not accelerator.is_main_process:
        yield
        return
    try:
        with locked(out / TRAINING, wait=False):
            yield
    except Timeout:
        raise ConfigError(
            f"another process trains in {out}: wait for it or name another folder. Several processes train together "
            "where one launch starts them: torchrun --nproc-per-node N -m aifr_lib.cli train …, or accelerate launch"
        ) from None


def for_cuda(objective: nn.Module, optimisers: Iterable[Optimizer], processes: int) -> None:
    """What only pays, or only works, on CUDA: fused steps, and batch norm over the pictures of all processes."""
    for optimiser in optimisers:
        for group in optimiser.param_groups:
            if "fused" in group:
                group.update(fused=True, foreach=False)
                # What torch sets where a fused optimiser is made: fp16's scaler then asks the device, not the host.
                optimiser._step_supports_amp_scaling = True  # type: ignore[attr-defined]
    if processes > 1:
        nn.SyncBatchNorm.convert_sync_batchnorm(objective)


@contextmanager
def quick_kernels(on_gpu: bool, precision: str) -> Iterator[None]:
    """On a GPU, as long as a training takes: cuDNN tries its kernels once, as all batches are of one size; and where
    half precision was asked for, products in float32, those of the head, are taken in TF32.
    """
    cudnn, products = torch.backends.cudnn, torch.backends.cuda.matmul
    before = cudnn.benchmark, products.fp32_precision
    try:
        if on_gpu:
            cudnn.benchmark = True
            if precision != "no":
                products.fp32_precision = "tf32"
        yield
    finally:
        cudnn.benchmark, products.fp32_precision = before


def clip(accelerator: Accelerator, stepper: Any, most: float, shards: Shards) -> None:
    """Scale the gradients to a norm of at most ``most``, over all processes where each has rows of its own."""
    weights = weights_of(stepper)
    if not shards:
        accelerator.clip_grad_norm_(weights, most)
        return
    accelerator.unscale_gradients()
    apart = {id(parameter) for _, parameter in shards.values()}
    own, common = (
        [w.grad for w in weights if w.grad is not None and (id(w) in apart) == there] for there in (True, False)
    )
    square = nn.utils.get_total_norm(own).square()
    if accelerator.num_processes > 1:
        distributed.all_reduce(square)
    nn.utils.clip_grads_with_norm_(weights, most, (square + nn.utils.get_total_norm(common).square()).sqrt())


def frozen_in(objective: nn.Module) -> Iterator[Frozen]:
    """The teachers that an objective, or a module of it, holds apart."""
    for module in objective.modules():
        yield from (value for value in vars(module).values() if isinstance(value, Frozen))


def on_device(micro: Batch, device: torch.device) -> Batch:
    """A batch on the device, once for all parts and as stored, a byte a colour; which rows it holds stays here."""
    return {name: column if name == "row" else column.to(device, non_blocking=True) for name, column in micro.items()}


def as_seen(micro: Batch, inputs: Callable[[Tensor], Tensor]) -> Batch:
    """The columns of a batch for an objective: stored pixels (uint8) as the network sees them, all else as it is."""
    asked = {name: column for name, column in micro.items() if name != "row"}
    return {name: inputs(column) if column.dtype == torch.uint8 else column for name, column in asked.items()}


def by_part(part: str, losses: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The scalars of one of several parts: "loss", and all under the part's name."""
    return {"loss": losses["loss"], **{f"{part}_{name}": value for name, value in losses.items()}}


def keep_best(
    best: Best, objective: nn.Module, evaluate: Callable[[int], float], step: int, accelerator: Accelerator
) -> None:
    """Ask ``evaluate`` of the weights as they are; keep a copy of the best so far. Of several processes the first one's
    value counts, so that all keep the same. Errors: ValueError for NaN.
    """
    objective.eval()
    with torch.no_grad():
        value = float(evaluate(step))
    objective.train()
    if accelerator.num_processes > 1:
        first = torch.tensor(value, dtype=torch.float64, device=accelerator.device)
        distributed.broadcast(first, src=0)
        value = float(first)
    if value != value:
        raise ValueError(f"evaluation at step {step} gave NaN: it must give a number, the lower the better")
    if value < best.value:
        best.value, best.step = value, step
        best.weights = {name: tensor.detach().clone() for name, tensor in objective.state_dict().items()}


def out_of_patience(best: Best, step: int, plan: Plan) -> bool:
    """Whether ``plan.patience`` looks have passed since the best one."""
    return plan.patience is not None and step - best.step >= plan.patience * plan.evaluate_every


def seed_step(seed: int, number: int, process: int) -> None:
    """Seed torch for one micro-batch; by a hash, because the CPU generator keeps only 32 bits of a seed."""
    torch.manual_seed(zlib.crc32(f"{seed}/{number}/{process}".encode()))


def check_finite(unchecked: Sequence[tuple[int, Tensor, dict[str, Tensor]]], records: Names) -> dict[str, float]:
    """The scalars of the last micro-batch of each part, after one look at all losses since the last check."""
    losses = torch.stack([values["loss"] for _, _, values in unchecked])
    if not bool(losses.isfinite().all()):
        bad = int((~losses.isfinite()).nonzero()[0])
        step, rows, _ = unchecked[bad]
        names = ", ".join(records[row] for row in rows.flatten().tolist())
        raise NonFiniteLoss(
            step,
            f"the loss is {losses[bad].item()} at step {step}; the last good checkpoint is kept. "
            f"Lower the learning rate or look at the batch: {names}",
        )
    last: dict[str, Tensor] = {}
    for _, _, found in unchecked:
        last.update(found)
    return {name: float(value) for name, value in last.items()}


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


def asked_anywhere(asked: tuple[bool, ...], accelerator: Accelerator) -> list[bool]:
    """What any process was asked, to stop or to save: one that did it alone would leave the others waiting for it."""
    if accelerator.num_processes == 1:
        return list(asked)
    return accelerator.gather(torch.tensor([asked], device=accelerator.device)).any(0).tolist()
