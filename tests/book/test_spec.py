"""The annotated papers: every named function exists, and everything inferred is a setting."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from aifr_lib.names import ConfigError
from aifr_lib.settings.recognition import Recognition

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "book" / "_ext"))
import aifr_spec  # noqa: E402

PAGES = {path.stem: path.read_text(encoding="utf-8") for path in sorted((ROOT / "book" / "spec").glob("*.md"))}
TAG = re.compile(r"\{(\w+)\}`([^`]+)`")
QUOTE = re.compile(r'"([^"]+)"')


def tags(page: str, name: str) -> list[str]:
    return [" ".join(text.split()) for tag, text in TAG.findall(PAGES[page]) if tag == name]


def test_all_four_papers_are_there():
    assert set(PAGES) == {"aad", "comface", "mtlface", "tml"}


@pytest.mark.parametrize("page", PAGES)
def test_every_named_function_exists_and_shows_lines(page):
    shown = [name for names in re.findall(r"\{annotated\} (.+)", PAGES[page]) for name in names.split()]
    assert len(shown) >= 4
    for name in shown:
        where, source = aifr_spec.lines(name)
        path, line = re.fullmatch(r"(.+), line (\d+)", where).groups()
        text = (ROOT / path).read_text(encoding="utf-8").splitlines()
        first = next(row for row in source.splitlines() if not row.startswith("@"))
        assert any(row.strip() == first.strip() for row in text[int(line) - 1 : int(line) + 3])
        assert '"""' not in source
    for name in tags(page, "reading"):
        assert callable(aifr_spec.resolve(name))


@pytest.mark.parametrize("page", PAGES)
def test_everything_inferred_is_a_setting_and_every_kind_of_tag_is_used(page):
    assert [aifr_spec.setting(name)[0] for name in tags(page, "inferred")]
    assert all(tags(page, name) for name in ("stated", "code", "inferred", "reading"))
    assert {name for name, _ in TAG.findall(PAGES[page])} <= {*aifr_spec.TAGS, "cite:p"}


@pytest.mark.parametrize("page", PAGES)
def test_quotations_are_short(page):
    assert [quote for quote in QUOTE.findall(PAGES[page]) if len(quote.split()) > 25] == []


def test_a_setting_is_shown_with_the_default_it_has():
    assert aifr_spec.setting("Recognition.epochs") == ("epochs", Recognition().epochs)
    assert aifr_spec.setting("Aad.teacher") == ("teacher", None)


def test_a_name_that_does_not_exist_is_refused_with_the_nearest():
    with pytest.raises(ConfigError, match=r"no .angular_los. in aifr_lib\.losses\.distillation.*angular_loss"):
        aifr_spec.lines("aifr_lib.losses.distillation.angular_los")
    with pytest.raises(ConfigError, match="no module"):
        aifr_spec.resolve("aifr_library.losses")
    with pytest.raises(ConfigError, match="pos_encoding"):
        aifr_spec.setting("Recognition.pos_encodings")
    with pytest.raises(ConfigError, match="is no function"):
        aifr_spec.lines("aifr_lib.models.attention.DROPPING")
