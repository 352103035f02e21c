"""Files that reach new lines of a reader, found by atheris: fuzz_readers.py damages at random, this one learns.

    pip install atheris
    python tests/benchmarks/fuzz_guided.py rows.rec FOLDER [-max_total_time=300, and what else libFuzzer knows]

The readers are those of tests/data/stored_examples.py. FOLDER gathers every file that reached something new; one that
brings a warning or anything but the named error ends the run and lies beside them as ``crash-…``. What was found once
is kept in tests/data/fuzzed, made small by ``fuzz_guided.py NAME NEW FOLDER -merge=1``, and read by the tests.
"""

from __future__ import annotations

import contextlib
import sys
import tempfile
import warnings
from pathlib import Path

import atheris
import pandas  # noqa: F401  what is imported from here on is watched with all that it imports
import pyarrow  # noqa: F401
import scipy.io  # noqa: F401

import aifr_lib.faces.relief  # noqa: F401

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "data"))

with atheris.instrument_imports(include=["aifr_lib.data.formats", "aifr_lib.data.named", "pickletools"]):
    from stored_examples import readers

    from aifr_lib.data.formats.faults import BadFile

    READERS = readers()


def main() -> None:
    name, folder, *options = sys.argv[1:]
    make, read = READERS[name]
    Path(folder).mkdir(parents=True, exist_ok=True)
    path = make(Path(tempfile.mkdtemp()))
    if "-merge=1" not in options:
        (Path(folder) / "example").write_bytes(path.read_bytes())
    warnings.simplefilter("error")

    def one(data: bytes) -> None:
        path.write_bytes(data)
        with contextlib.suppress(BadFile):
            read(path)

    atheris.Setup(
        [sys.argv[0], folder, f"-artifact_prefix={folder}/", "-rss_limit_mb=3000", "-timeout=10", *options], one
    )
    atheris.Fuzz()


if __name__ == "__main__":
    main()
