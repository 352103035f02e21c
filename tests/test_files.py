"""Files written whole or not at all; folders that every process finds."""

import errno
import fcntl
import os
from pathlib import Path

import pytest
from filelock import Timeout

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


def test_a_lock_is_held_by_one_and_given_back(tmp_path):
    with files.locked(tmp_path / "lock"), pytest.raises(Timeout), files.locked(tmp_path / "lock", wait=False):
        pass
    with files.locked(tmp_path / "lock", wait=False):
        pass


@pytest.mark.parametrize("answer", [errno.ENOLCK, errno.EOPNOTSUPP])
def test_without_flock_a_file_holds_the_lock_and_that_is_said(tmp_path, monkeypatch, answer):
    def refuse(*_):
        raise OSError(answer, os.strerror(answer))

    monkeypatch.setattr(fcntl, "flock", refuse)
    said = r"no flock on this file system: .*lock\.held stands for the lock"
    with pytest.warns(UserWarning, match=said), files.locked(tmp_path / "lock", wait=False):
        assert (tmp_path / "lock.held").exists()
        with pytest.raises(Timeout), files.locked(tmp_path / "lock", wait=False):
            pass
    assert not (tmp_path / "lock.held").exists()
