"""Files written whole or not at all; folders that every process finds."""

import errno
import os
from pathlib import Path

import pytest

from aifr_lib import files


def test_files_that_belong_together_change_together(tmp_path):
    a, b = tmp_path / "a", tmp_path / "b"
    a.write_text("old")
    with pytest.raises(RuntimeError), files.atomic_writes(a, b) as (one, two):
        one.write_text("new")
        two.write_text("new")
        raise RuntimeError("stopped")
    assert a.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    with files.atomic_writes(a, b) as (one, two):
        one.write_text("new")
        two.write_text("new")
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"a": "new", "b": "new"}


def test_a_full_disk_is_said_whatever_the_writer_says(tmp_path, monkeypatch):
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(RuntimeError, match="unexpected pos"), files.atomic_write(tmp_path / "net.pt"):
        raise RuntimeError("unexpected pos 64 vs 0")
    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(OSError, match=r"No space left on device.*net\.pt"), files.atomic_write(tmp_path / "net.pt"):
        raise RuntimeError("unexpected pos 64 vs 0")
    assert not list(tmp_path.iterdir())


def test_folders_are_the_same_from_every_working_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AIFR_DATA", "data")
    monkeypatch.setenv("AIFR_CACHE", "~/cache")
    files.settle_folders()
    monkeypatch.chdir(tmp_path.parent)
    assert files.data_dir() == tmp_path / "data"
    assert files.cache_dir() == Path.home() / "cache"
    monkeypatch.delenv("AIFR_DATA")
    files.settle_folders()
    assert files.data_dir() is None
