"""Seconds of an ``aifr reproduce`` that finds nothing changed, with the start of Python."""

from __future__ import annotations

import subprocess
import sys
import time

from aifr_lib.reporting import scripts

WANTED = 5.0  # seconds a notebook


def reproduce(name: str) -> float:
    """Seconds of the command."""
    start = time.perf_counter()
    command = [sys.executable, "-m", "aifr_lib.cli", "reproduce", name, "--preset", "smoke"]
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


if __name__ == "__main__":
    main()
