"""Bars: plain in a terminal and in a kernel that nobody watches, the front end's own where somebody does."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest
import tqdm.notebook
from tqdm import tqdm as plain

from aifr_lib import progress


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(progress.ALONE, raising=False)
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: SimpleNamespace(kernel=1)))


def test_a_terminal_and_a_shell_of_ipython_have_plain_bars(monkeypatch: pytest.MonkeyPatch) -> None:
    for shell in (None, SimpleNamespace()):
        monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda shell=shell: shell))
        assert type(progress.tqdm([1], disable=True)) is plain


def test_a_front_end_draws_its_own_and_keeps_the_arguments(kernel: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tqdm.notebook, "tqdm", lambda *args, **kwargs: (args, kwargs))
    assert progress.tqdm([1], desc="train") == (([1],), {"desc": "train"})


def test_a_kernel_that_runs_alone_has_plain_bars(kernel: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(progress.ALONE, "1")
    assert type(progress.tqdm([1], disable=True)) is plain


def test_a_bar_in_a_log_says_seldom_where_it_is_and_one_on_a_terminal_often(monkeypatch: pytest.MonkeyPatch) -> None:
    for terminal, seconds in ((False, progress.IN_A_LOG), (True, 1.0)):
        monkeypatch.setattr(sys, "stderr", SimpleNamespace(isatty=lambda t=terminal: t, write=len, flush=lambda: None))
        assert progress.tqdm([1], mininterval=1.0, desc="drawing").mininterval == seconds
