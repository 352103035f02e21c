"""The whole state of a training, and how it goes on from there.

A checkpoint is one file over any number of processes: of what is shared out over them (``losses/sharded.py``) it holds
all, and each takes its own part.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, distributed, nn

from aifr_lib.files import atomic_write
from aifr_lib.losses.sharded import Sharded
from aifr_lib.models.weights import compare_states
from aifr_lib.names import changes

CHECKPOINT, LOG = "checkpoint.pt", "log.jsonl"
WHOLE = "all"  # the one part of an objective that has no others
HELD = {"step", "seconds", "settings", "objective", "optimiser", "scaler"}  # in every checkpoint
Shards = Mapping[str, tuple[Sharded, nn.Parameter]]  # by the parameter's name in the objective


class NonFiniteLoss(RuntimeError):
    """The loss or a weight is no longer finite at ``step``; the message names it, and the records of the batch."""

    def __init__(self, step: int, message: str) -> None:
        super().__init__(message)
        self.step = step


@dataclass
class Best:
    """The lowest value of ``evaluate`` so far (of equal ones the earliest), its step, the weights then."""

    value: float = float("inf")
    step: int = 0
    weights: dict[str, Tensor] | None = None


def copied(state: Any) -> Any:
    """A state that no later step changes: every tensor copied, to the CPU."""
    if isinstance(state, Tensor):
        return state.detach().to("cpu", copy=True)
    if isinstance(state, Mapping):
        return {name: copied(value) for name, value in state.items()}
    return type(state)(map(copied, state)) if isinstance(state, list | tuple) else state


def shards_in(objective: nn.Module) -> Shards:
    """What each process has a part of its own of."""
    return {
        f"{above}.{name}" if above else name: (module, parameter)
        for above, module in objective.named_modules()
        if isinstance(module, Sharded)
        for name, parameter in module.named_parameters()
    }


def weights_of(optimiser: Any) -> list[Tensor]:
    """The weights that an optimiser steps."""
    return [weight for group in optimiser.param_groups for weight in group["params"]]


def check_weights(objective: nn.Module, step: int, accelerator: Accelerator) -> None:
    """Errors: NonFiniteLoss, on every process at once, for a weight that is not finite on any."""
    state = {name: value for name, value in objective.state_dict().items() if value.is_floating_point()}
    finite = torch.stack([value.isfinite().all() for value in state.values()])
    if accelerator.num_processes > 1:
        everywhere = finite.to(torch.uint8)
        distributed.all_reduce(everywhere, distributed.ReduceOp.MIN)
        finite = everywhere.bool()
    for name, good in zip(state, finite.tolist(), strict=True):
        if not good:
            message = f"weight '{name}' is not finite after step {step}; the last good checkpoint is kept"
            raise NonFiniteLoss(step, message)


def state_of(
    objective: nn.Module,
    steppers: Mapping[str, Any],
    accelerator: Accelerator,
    settings: Mapping[str, Any] | None,
    step: int,
    seconds: float,
    best: Best,
) -> dict[str, Any]:
    """The whole state of a training as it is now, copied to the CPU, on the first process; on others it has gaps."""
    shards = shards_in(objective)
    states = {
        part: in_optimiser(stepper.state_dict(), stepper, shards, whole, copied) for part, stepper in steppers.items()
    }
    scaler = accelerator.scaler.state_dict() if accelerator.scaler is not None else {}
    kept = {}
    if best.weights is not None:
        kept = {
            "best": {
                "value": best.value,
                "step": best.step,
                "weights": in_weights(best.weights, shards, whole, Tensor.cpu),
            }
        }
    return {
        "step": step,
        "seconds": seconds,
        "settings": dict(settings or {}),
        "objective": in_weights(objective.state_dict(), shards, whole, copied),
        "optimiser": states[WHOLE] if set(states) == {WHOLE} else states,
        "scaler": scaler,
        **kept,
    }


def whole(sharded: Sharded, part: Tensor) -> Any:
    """For a checkpoint: all of what this process has a part of; None but on the first process."""
    return sharded.whole(part)


def own(sharded: Sharded, stored: Tensor) -> Tensor:
    """From a checkpoint: the part of this process."""
    return sharded.own(stored).clone()


def as_it_is(value: Any) -> Any:
    """The same."""
    return value


def in_weights(
    state: Mapping[str, Tensor],
    shards: Shards,
    how: Callable[[Sharded, Tensor], Any],
    rest: Callable[[Tensor], Tensor] = as_it_is,
) -> dict[str, Tensor]:
    """A state of an objective: ``how`` done to what is shared out, ``rest`` to the others."""
    return {name: how(shards[name][0], value) if name in shards else rest(value) for name, value in state.items()}


def in_optimiser(
    state: dict[str, Any],
    stepper: Any,
    shards: Shards,
    how: Callable[[Sharded, Tensor], Any],
    rest: Callable[[Any], Any] = as_it_is,
) -> dict[str, Any]:
    """A state of an optimiser: ``how`` done to what it keeps for each row of what is shared out, ``rest`` to the
    others.
    """
    of = {id(parameter): sharded for sharded, parameter in shards.values()}
    apart = {number: of[id(weight)] for number, weight in enumerate(weights_of(stepper)) if id(weight) in of}
    held = {}
    for number, kept in state["state"].items():
        sharded = apart.get(number)
        # A momentum has a row for each of the weight's; a count of steps has none.
        held[number] = {
            name: how(sharded, value) if sharded and isinstance(value, Tensor) and value.dim() else rest(value)
            for name, value in kept.items()
        }
    return {**state, "state": held}


def resume(
    out: Path,
    objective: nn.Module,
    steppers: Mapping[str, Any],
    accelerator: Accelerator,
    settings: Mapping[str, Any] | None,
) -> tuple[int, float, Best]:
    """Load ``out/checkpoint.pt`` where there is one; the step to go on from, the seconds spent so far, the best so far:
    0, 0 and none without.
    """
    path = out / CHECKPOINT
    if not path.exists():
        if accelerator.is_main_process:
            (out / LOG).unlink(missing_ok=True)
        accelerator.wait_for_everyone()
        return 0, 0.0, Best()
    shards = shards_in(objective)
    try:
        # Of what is shared out a process reads no more than its part.
        state = torch.load(path, map_location="cpu", weights_only=True, mmap=bool(shards))
    except Exception as error:
        raise ValueError(f"{path} cannot be read as a checkpoint ({error}); delete it to start afresh") from error
    if lacking := HELD - (state.keys() if isinstance(state, dict) else set()):
        missing = ", ".join(sorted(lacking))
        raise ValueError(f"{path} is no checkpoint of this version, it lacks {missing}; delete it to start afresh")
    wanted = dict(settings or {})
    # A checkpoint of an earlier version does not say which pictures it saw.
    found = {name: wanted[name] for name in ("pictures",) if name in wanted} | state["settings"]
    if said := changes(found, wanted):
        raise ValueError(f"{path} belongs to a run with other settings ({said}); use another folder or delete it")
    weights = in_weights(state["objective"], shards, own)
    compare_states(objective.state_dict(), weights, str(path))
    objective.load_state_dict(weights)
    states = {WHOLE: state["optimiser"]} if set(steppers) == {WHOLE} else state["optimiser"]
    if set(states) != set(steppers):
        raise ValueError(f"{path} holds optimisers of {sorted(states)}, wanted {sorted(steppers)}; use another folder")
    for part, stepper in steppers.items():
        stepper.load_state_dict(as_here(in_optimiser(states[part], stepper, shards, own), stepper))
    if state["scaler"] and accelerator.scaler is not None:
        accelerator.scaler.load_state_dict(state["scaler"])
    if accelerator.is_main_process:
        truncate_log(out / LOG, state["step"])
    accelerator.wait_for_everyone()  # what the others read next is the log as it is now
    best = Best(**state.get("best", {}))
    if best.weights is not None:
        best.weights = in_weights(best.weights, shards, own)
    return int(state["step"]), float(state["seconds"]), best


def as_here(state: dict[str, Any], stepper: Any) -> dict[str, Any]:
    """The state of an optimiser, to be stepped in this machine's way: a checkpoint may come from one with another."""
    ways = [{way: group[way] for way in ("fused", "foreach") if way in group} for group in stepper.param_groups]
    return {**state, "param_groups": [saved | way for saved, way in zip(state["param_groups"], ways, strict=True)]}


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
