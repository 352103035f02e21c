"""Networks that are read in a training step that must leave them as they are."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn


@contextmanager
def still(*modules: nn.Module) -> Iterator[None]:
    """Modules in evaluation mode, their weights without gradient, while gradients pass through them; then as before."""
    modes = [(module, module.training) for one in modules for module in one.modules()]
    weights = [weight for one in modules for weight in one.parameters() if weight.requires_grad]
    for module, _ in modes:
        module.training = False
    for weight in weights:
        weight.requires_grad_(False)
    try:
        yield
    finally:
        for module, was in modes:
            module.training = was
        for weight in weights:
            weight.requires_grad_(True)
