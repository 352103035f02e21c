import re
from html.parser import HTMLParser

import pytest

from aifr_lib.reporting import claims, pages
from aifr_lib.reporting.artefacts import Artefact
from aifr_lib.reporting.rows import Measured, Row
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


def test_stamp_says_what_made_the_result():
    stamp = text(pages.stamp(artefact()))
    for part in (
        "preset classroom",
        "relief-v0",
        "seeds 0, 1",
        "cpu",
        "commit 0123456789",
        "uncommitted",
        "1.5 h",
    ):
        assert part in stamp
    bare = text(pages.stamp(artefact(data=None, seeds=(), git=Git(), device=None, runs=(), wall_s=0)))
    assert "no data" in bare and "drawn at no known commit" in bare and "no device" in bare
    several = (Git(sha="a" * 40, dirty=False), Git(sha="b" * 40, dirty=True))
    computed = text(pages.stamp(artefact(computed_at=several)))
    assert "computed at commit aaaaaaaaaa, commit bbbbbbbbbb with uncommitted changes · drawn at commit 01" in computed


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


def test_claim_box_holds_claim_verdict_reason_and_what_could_have_been_seen(tmp_path):
    for verdict in claims.judge_artefact(artefact(sweep()), tmp_path):
        box = text(pages.claim_box(verdict))
        assert verdict.outcome == "supported"
        assert verdict.claim.statement in box and verdict.claim.source in box
        assert "Our verdict: supported" in box
        assert all(claims.link_said(verdict, one) in box for one in verdict.comparisons)
        assert box.count("would have been seen four times out of five") == len(verdict.comparisons)
        assert "after Holm over" in box and "pooled over all arms" in box and "(Levene, level 0.1)" in box
        assert "Relief faces are not people" in box


def test_claim_box_of_an_untested_claim_gives_the_reason_and_no_size():
    verdict = claims.judge(claims.find("tml_table4_ratio"), {})
    box = text(pages.claim_box(verdict))
    assert "Our verdict: untested – no results of tml_table4." in box
    assert "would have been seen" not in box


@pytest.mark.parametrize("preset", ["smoke", "lesson"])
def test_small_presets_say_that_they_give_no_verdict(preset):
    (box, *_) = [text(pages.claim_box(v)) for v in claims.judge_artefact(artefact(sweep(), preset=preset))]
    assert "no verdict – " in box and f"a {preset} run never gives a verdict" in box


def test_table_sets_ours_beside_the_papers_and_escapes():
    measured = Measured(mean=91.234, ci95=(90.0, 92.5), interval="seeds", per_seed={0: 91.234})
    html = pages.artefact_table(
        artefact(
            [
                Row(keys={"alpha": 0.4}, metric="accuracy", measured=measured, paper=99.38, paper_source=NASTY),
                Row(keys={"set": NASTY}, metric=NASTY),
            ]
        )
    )
    assert NASTY not in html
    table = text(html)
    for part in (
        "91.23 [90, 92.5]",
        "99.38",
        "not run",
        "verification accuracy, %",
        "Student's t over seeds",
        NASTY,
    ):
        assert part in table
    assert html.count("<tr>") == 3


def test_a_column_that_no_row_fills_is_left_out():
    alone = Row(keys={"set": "relief-lfw"}, metric="accuracy", measured=Measured(mean=91.2, ci95=None))
    beside = Row(keys={"set": "relief-agedb"}, metric="accuracy", paper=99.38, paper_source="Table I")
    assert re.findall("<th>(.*?)</th>", pages.artefact_table(artefact([alone]))) == [
        "set",
        "measure",
        "ours [95 % interval]",
    ]
    html = pages.artefact_table(artefact([alone, beside]))
    assert "the paper, on its own data" in html and "<th>seeds</th>" not in html
    assert html.count("<td>") == 2 * html.count("<th>") == 8


def test_empty_table_is_still_a_table():
    assert "<tbody></tbody>" in pages.artefact_table(artefact())


def test_small_sizes_say_what_they_are_not_and_the_others_are_silent():
    assert "no evidence" in pages.banner("smoke") and "no verdict" in pages.banner("lesson")
    assert pages.banner("classroom") == pages.banner("paper") == ""
