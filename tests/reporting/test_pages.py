import re
from html.parser import HTMLParser

import pytest

from aifr_lib.reporting import claims, pages
from aifr_lib.reporting.artefacts import Artefact
from aifr_lib.reporting.rows import Row
from aifr_lib.reporting.runs import DataId, Git
from aifr_lib.reporting.seeds import student_t

NASTY = "<script>&"
ALPHAS = [tenth / 10 for tenth in range(10)]


def artefact(rows=(), **changes):
    values = {
        "id": "tml_fig6",
        "kind": "experiment",
        "preset": "classroom",
        "seeds": (0, 1),
        "data": DataId(name=NASTY, version="relief-v0", hash="ab" * 32),
        "device": "cpu",
        "versions": {"torch": "2"},
        "git": Git(sha="0123456789abcdef", dirty=True),
        "wall_s": 5400.0,
        "runs": ("a", "b"),
        "rows": rows,
        "verdict": "none",
    }
    return Artefact.model_validate({**values, **changes})


def text(html):
    """The text of a piece of HTML; fails where a tag is left open."""
    found, opened = [], []

    class Reader(HTMLParser):
        def handle_starttag(self, tag, attributes):
            opened.append(tag)

        def handle_endtag(self, tag):
            assert opened.pop() == tag

        def handle_data(self, data):
            found.append(data)

    Reader().feed(html)
    assert not opened
    return "".join(found)


def test_stamp_says_what_made_the_result_and_how_to_make_it_again():
    stamp = text(pages.stamp(artefact()))
    line, _, made = stamp.partition("Artefact:")
    for part in ("preset classroom", "relief-v0", "2 seeds", "cpu", "2 runs, 1.5 h in all"):
        assert part in line
    for part in (
        "tml_fig6.json",
        "Seeds: 0, 1",
        "commit 0123456789 and changes that were in no commit yet",
        "aifr show tml_fig6 --preset classroom",
        "aifr reproduce tml_fig6 --preset classroom",
        "2 runs: a b",
    ):
        assert part in made
    bare = text(pages.stamp(artefact(data=None, seeds=(), git=Git(), device=None, runs=("a",), wall_s=0)))
    assert "no data" in bare and "Drawn at: no known commit" in bare and "seed" not in bare.partition("Artefact")[0]
    several = (Git(sha="a" * 40, dirty=False), Git(sha="b" * 40, dirty=True))
    computed = text(pages.stamp(artefact(computed_at=several)))
    assert "Computed at: commit aaaaaaaaaa, commit bbbbbbbbbb and changes" in computed


def test_what_was_not_run_has_no_stamp():
    assert pages.stamp(artefact(runs=(), seeds=(), wall_s=0)) == ""


def test_commits_runs_and_artefact_are_links_where_the_repository_has_an_address(monkeypatch):
    assert "<a " not in pages.stamp(artefact())
    monkeypatch.setattr(pages, "repository_address", lambda: ("https://example.org/x", "trunk"))
    links = re.findall('href="([^"]*)"', pages.stamp(artefact()))
    folder = "https://example.org/x/tree/trunk/figures/classroom"
    commit = "https://example.org/x/commit/0123456789abcdef"
    assert links == [f"{folder}/tml_fig6", commit, f"{folder}/_runs/a", f"{folder}/_runs/b"]


def test_the_address_is_that_of_the_books_configuration(tmp_path, monkeypatch):
    monkeypatch.setattr(pages, "repository_root", lambda: tmp_path)
    pages.repository_address.cache_clear()
    assert pages.repository_address() == ("", "")
    theme = "sphinx: {config: {html_theme_options: {repository_url: https://example.org/x, repository_branch: trunk}}}"
    (tmp_path / "_config.yml").write_text(theme, encoding="utf-8")
    pages.repository_address.cache_clear()
    assert pages.repository_address() == ("https://example.org/x", "trunk")
    pages.repository_address.cache_clear()


def test_what_was_found_is_escaped_text():
    assert text(pages.found_box(["One.", NASTY])) == f"What was foundOne.{NASTY}"


def sweep():
    by_alpha = {a: {s: 90 + 3 * (a in (0.4, 0.5)) + 0.01 * s for s in range(5)} for a in ALPHAS}
    return [
        Row(
            keys={"alpha": alpha, "set": name},
            metric="accuracy",
            measured=student_t(by_alpha[alpha]),
        )
        for alpha in ALPHAS
        for name in ("relief-lfw", "relief-agedb")
    ]


def test_claim_box_says_verdict_claim_and_one_line_and_folds_every_comparison(tmp_path):
    for verdict in claims.judge_artefact(artefact(sweep()), tmp_path):
        short, _, folded = text(pages.claim_box(verdict)).partition(": p, what could have been seen")
        assert verdict.outcome == "supported" and short.startswith("supported")
        assert verdict.claim.statement in short and verdict.claim.source in short
        assert "after Holm" not in short and "Relief faces are not people" in folded
        assert all(f"{claims.link_said(verdict, one)[1:]}." in folded for one in verdict.comparisons)
        assert folded.count("would have been seen four times out of five") == len(verdict.comparisons)
        assert "after Holm over" in folded and "pooled over all arms" in folded and "(Levene, level 0.1)" in folded


def test_claim_box_of_an_untested_claim_gives_the_reason_and_folds_nothing():
    html = pages.claim_box(claims.judge(claims.find("tml_table4_ratio"), {}))
    assert text(html).startswith("untested") and "Its experiment has not been run here." in text(html)
    assert "<details" not in html


@pytest.mark.parametrize("preset", ["smoke", "lesson"])
def test_small_presets_say_that_they_give_no_verdict(preset):
    (box, *_) = [text(pages.claim_box(v)) for v in claims.judge_artefact(artefact(sweep(), preset=preset))]
    assert box.startswith("no verdict") and f"A {preset} run never gives a verdict" in box


def test_small_sizes_say_what_they_are_not_and_the_others_are_silent():
    assert "no evidence" in pages.banner("smoke") and "no verdict" in pages.banner("lesson")
    assert pages.banner("classroom") == pages.banner("paper") == ""
