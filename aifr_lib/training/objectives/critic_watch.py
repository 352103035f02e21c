"""A critic that has won is warned of: its loss stays at nothing, and the generator learns no more from it."""

from __future__ import annotations

import logging

import torch
from torch import Tensor, nn

LOG = logging.getLogger(__name__)
WON, PATIENCE = 1e-3, 100  # a loss below this, for so many steps


class CriticWatch(nn.Module):
    """Counts the steps since which a critic's loss has been below ``WON``; part of a training's state."""

    won: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("won", torch.tensor(0))

    @torch.no_grad()
    def see(self, loss: Tensor) -> None:
        """The critic's loss of one step."""
        self.won.copy_(torch.where(loss < WON, self.won + 1, 0))

    def warn(self, step: int) -> None:
        """Every ``PATIENCE`` steps, a warning where the critic has won for as long."""
        if step % PATIENCE == 0 and int(self.won) >= PATIENCE:
            LOG.warning(
                "step %d: the critic's loss has been below %g for %d steps, it tells every drawn face: lower its "
                "rate or its width, or raise the generator's rate",
                step, WON, int(self.won),
            )  # fmt: skip
