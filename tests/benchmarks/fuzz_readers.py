"""Damaged files for every reader: only the named error may come, soon, and without much memory.

    python tests/benchmarks/fuzz_readers.py --seconds 60 [--seed 0]

Prints, for each reader, how many files were read, how many were refused by name, and what else happened.
"""

from __future__ import annotations

import argparse
import os
import resource
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "data"))

from stored_examples import damage, readers

from aifr_lib.data.formats.faults import BadFile

LONGEST = 10  # seconds for one file
MOST_MEMORY = 400_000  # KiB that the process may grow by; one picture of 64 million pixels is allowed


def one(path: Path, whole: bytes, read, random: np.random.Generator) -> str:
    """What happened to one damaged copy: read, refused, or the name of another exception."""
    path.write_bytes(damage(whole, random))
    try:
        read(path)
    except BadFile:
        return "refused"
    except Exception as error:
        traceback.print_exc()
        return type(error).__name__
    return "read"


def stop(*_: object) -> None:
    raise TimeoutError(f"longer than {LONGEST} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    signal.signal(signal.SIGALRM, stop)
    counts: dict[str, Counter[str]] = {}
    with tempfile.TemporaryDirectory() as name:
        os.environ["AIFR_CACHE"] = str(Path(name) / "cache")
        made = {}
        for number, (reader, (make, read)) in enumerate(readers().items()):
            folder = Path(name) / str(number)
            folder.mkdir()
            path = make(folder)
            read(path)
            made[reader] = (path, path.read_bytes(), read)
            counts[reader] = Counter()
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        end, round_ = time.monotonic() + options.seconds, 0
        while time.monotonic() < end:
            for number, (reader, (path, whole, read)) in enumerate(made.items()):
                signal.alarm(LONGEST)
                counts[reader][one(path, whole, read, np.random.default_rng((options.seed, round_, number)))] += 1
                signal.alarm(0)
            round_ += 1
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    for reader, count in counts.items():
        others = {what: n for what, n in count.items() if what not in ("read", "refused")}
        print(f"{reader:<24} read {count['read']:>6}  refused {count['refused']:>6}  other {others or 0}")
    total = sum(counts.values(), Counter())
    wrong = sum(n for what, n in total.items() if what not in ("read", "refused"))
    print(
        f"{sum(total.values())} damaged files: read {total['read']}, refused by name {total['refused']}, "
        f"anything else {wrong} (wanted ≤ 0); memory grew by {grown / 1024:.0f} MiB (wanted ≤ {MOST_MEMORY // 1024})"
    )
    sys.exit(bool(wrong or grown > MOST_MEMORY))


if __name__ == "__main__":
    main()
