"""A short, repeatable run of what tests/benchmarks/fuzz_readers.py does for as long as one likes, and what
tests/benchmarks/fuzz_guided.py once found."""

import os
from pathlib import Path

import numpy as np
import pytest
from stored_examples import damage, readers

from aifr_lib.data.formats.faults import BadFile

COPIES = 12
FOUND = Path(__file__).parent / "fuzzed"


@pytest.mark.parametrize("name", list(readers()))
def test_damaged_files_are_read_or_refused_by_name(tmp_path, monkeypatch, name):
    monkeypatch.setenv("AIFR_CACHE", str(tmp_path / "cache"))
    make, read = readers()[name]
    path = make(tmp_path)
    whole = path.read_bytes()
    read(path)
    for number in range(COPIES):
        path.write_bytes(damage(whole, np.random.default_rng((5, number))))
        # Two copies of one length within a tick of the clock would look unchanged to the index.
        os.utime(path, ns=(number + 1, number + 1))
        try:
            read(path)
        except BadFile as fault:
            assert str(fault)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", sorted(folder.name for folder in FOUND.iterdir()))
def test_files_that_once_reached_something_new_are_read_or_refused_by_name(tmp_path, name):
    read = readers()[name][1]
    path = tmp_path / name
    for kept in sorted((FOUND / name).iterdir()):
        path.write_bytes(kept.read_bytes())
        try:
            read(path)
        except BadFile as fault:
            assert str(fault)
