"""What several tests of notebooks share."""

from pathlib import Path

import pytest


@pytest.fixture
def checkout(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout with one notebook, ``page``: the ``SCRIPT`` of the test's module."""
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "_toc.yml").touch()
    (tmp_path / "notebooks" / "page.py").write_text(request.module.SCRIPT)
    monkeypatch.chdir(tmp_path)
    return tmp_path
