"""Seconds of an ``aifr reproduce`` with nothing to compute: nothing changed, or executed on stored runs."""

from __future__ import annotations

import subprocess
import sys
import time

from aifr_lib.reporting import notebooks, scripts

WANTED = 5.0  # seconds a notebook


def reproduce(*names: str) -> float:
    """Seconds of the command, with the start of Python."""
    start = time.perf_counter()
    command = [sys.executable, "-m", "aifr_lib.cli", "reproduce", *names, "--preset", "smoke"]
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - start


def report(name: str, seconds: float) -> None:
    """One line, as a ratio of what is wanted."""
    ratio = seconds / WANTED
    print(f"{name}: ours {seconds:.2f} s, reference {WANTED:.0f} s, ratio {ratio:.2f} (wanted ≤ 1)")


def main() -> None:
    """Each notebook of the book at smoke."""
    for name in scripts.scripts():
        reproduce(name)
        report(f"reproduce {name}, nothing changed", reproduce(name))
        notebooks.default_output(name, "smoke").unlink()
        report(f"reproduce {name}, executed on stored runs", reproduce(name))


if __name__ == "__main__":
    main()
