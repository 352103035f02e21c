"""What a network weighs: parameters and multiply-adds, of which no picture and no training is needed."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from aifr_lib.reporting.runs import NO_PICTURES, DataId

NOTHING = DataId(name=NO_PICTURES, version="1", hash="none")


def count(network: nn.Module) -> int:
    """Parameters, of batch norms too; running statistics are none."""
    return sum(one.numel() for one in network.parameters())


def multiply_adds(network: nn.Module, input_hw: tuple[int, int]) -> float:
    """Multiply-adds of convolutions and linear layers for one picture, where its weights lie ("meta" will do)."""
    return counted(network, torch.zeros(1, 3, *input_hw, device=next(network.parameters()).device))


def counted(network: nn.Module, *given: Any) -> float:
    """Multiply-adds of one call."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(*given)
    return counter.get_total_flops() / 2  # torch counts a multiply-add as two operations
