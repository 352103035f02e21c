"""A thread that writes checkpoints while the training goes on."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from aifr_lib.files import atomic_write

SHARE = 0.01  # of the time may go into saving


class Writer:
    """Writes states to ``path``, each in a thread, one at a time; the file there stays whole until the next one is.

    least: seconds between two. They are more where the loop stood still for longer than ``SHARE`` of them.
    """

    def __init__(self, path: Path, least: float) -> None:
        self.path, self.least = path, least
        self.saved, self.stood = time.perf_counter(), 0.0
        self.thread: threading.Thread | None = None
        self.error: Exception | None = None

    def due(self) -> bool:
        """Whether it is time for the next one. Errors: what writing the last one raised."""
        if self.thread is not None and self.thread.is_alive():
            return False
        self.finish()
        return time.perf_counter() - self.saved > max(self.least, self.stood / SHARE)

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, *_: object) -> None:
        # Whatever ended the training: nobody else writes here before this is done.
        if self.thread is not None:
            self.thread.join()

    def write(self, state: Mapping[str, Any], started: float) -> None:
        """Start to write a state, which nobody changes any more. started: since when the loop stood still for it.

        Errors: what writing the one before raised.
        """
        self.finish()
        self.thread = threading.Thread(target=self._write, args=(state,), name="checkpoint")
        self.thread.start()
        self.saved = time.perf_counter()
        self.stood = self.saved - started

    def finish(self) -> None:
        """Wait until what was started is on the disk. Errors: OSError that names the file where it cannot be."""
        if self.thread is not None:
            self.thread.join()
            self.thread = None
        if self.error is not None:
            error, self.error = self.error, None
            raise error

    def _write(self, state: Mapping[str, Any]) -> None:
        try:
            with atomic_write(self.path) as path:
                torch.save(state, path)
        except Exception as error:
            kept = " (the last checkpoint is whole: free some space and give the same command again)"
            if isinstance(error, OSError):
                there = kept if self.path.exists() else ""
                error = OSError(error.errno, f"{error.strerror}{there}", str(self.path))
            self.error = error
