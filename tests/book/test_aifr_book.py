"""The book's extension, on a book of one page."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from sphinx.application import Sphinx
from sphinx.util.docutils import docutils_namespace

from aifr_lib.data.named import table
from aifr_lib.reporting import artefacts, claims, contents, papers
from aifr_lib.reporting.artefacts import Artefact
from aifr_lib.reporting.rows import Measured, Row
from aifr_lib.reporting.runs import DataId, Git
from aifr_lib.settings.presets import load_preset

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "book" / "_ext"))
import aifr_book
import aifr_cover
import aifr_ways_out

EXTENSIONS = ["myst_parser", "aifr_book", "aifr_cover", "aifr_glossary", "aifr_ways_out"]


@pytest.fixture
def book(tmp_path):
    """Build a page of the given text (again, when called again) and return its HTML and the warnings."""

    def build(text: str | None = None) -> tuple[str, str]:
        if text is not None:
            (tmp_path / "index.md").write_text(text, encoding="utf-8")
        for paper in ("tml", "aad", "comface", "mtlface"):
            chapter = tmp_path / "book" / "papers" / f"{paper}.md"
            chapter.parent.mkdir(parents=True, exist_ok=True)
            if not chapter.exists():
                chapter.write_text(f"---\norphan: true\n---\n# {paper}\n", encoding="utf-8")
        warnings = tmp_path / "warnings.txt"
        with docutils_namespace(), warnings.open("w", encoding="utf-8") as stream:
            app = Sphinx(
                tmp_path,
                None,
                tmp_path / "out",
                tmp_path / "doctrees",
                "html",
                {"extensions": EXTENSIONS, "html_theme": "basic"},
                status=None,
                warning=stream,
            )
            app.build()
        page = (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
        said = re.sub(r".*not included in any toctree.*\n?|.*no title.*\n?", "", warnings.read_text(encoding="utf-8"))
        return page, said

    return build


def artefact(mean: float) -> Artefact:
    return Artefact(
        id="tml_fig6",
        kind="experiment",
        preset="classroom",
        seeds=(0, 1, 2),
        data=DataId(name="relief", version="relief-v0", hash="0" * 8),
        device="cpu",
        versions={"torch": "2"},
        git=Git(sha="abcdef0", dirty=False),
        wall_s=1.0,
        runs=("recognition-s0-0",),
        rows=(
            Row(
                keys={"alpha": 0.4, "set": "relief-agedb"},
                metric="accuracy",
                measured=Measured(mean=mean, per_seed={0: mean - 1, 1: mean, 2: mean + 1}),
            ),
        ),
        verdict="untested",
    )


def test_without_a_result_the_printed_numbers_stand_there(book):
    page, warnings = book("# P\n\n```{artefact} tml_table2\n```\n")
    assert warnings == ""
    assert "There is no result of ours for Table II here" in page
    assert page.count("<td>98.20</td>") + page.count("<td><p>98.20</p></td>") == 1
    assert "98.2<" not in page
    assert "<strong>96.00</strong>" in page
    assert "What is doubtful in this table" in page
    assert len(re.findall(r"<tr", page)) == 1 + len(papers.load("tml_table2").rows)


def test_a_figure_and_a_table_that_is_not_at_hand_have_no_numbers(book):
    page, warnings = book("# P\n\n```{artefact} tml_fig6\n```\n\n```{artefact} mtlface_table2\n```\n")
    assert warnings == ""
    assert "as a picture" in page and "nothing can be quoted" in page
    assert "<table" not in page


def test_a_result_is_shown_and_a_new_one_replaces_it_without_touching_the_page(book, tmp_path):
    root = tmp_path / "figures" / "classroom"
    text = "# P\n\n```{artefact} tml_fig6\n```\n"
    assert "There is no result of ours" in book(text)[0]

    artefacts.save(artefact(81.25), root)
    page, warnings = book()
    assert warnings == ""
    assert "81.2" in page and "relief pairs 30 years apart" in page and "abcdef0"[:7] in page
    assert "There is no result of ours" not in page

    artefacts.save(artefact(77.5), root)
    page, _ = book()
    assert "77.5" in page and "81.2" not in page


def test_a_drawn_figure_is_copied_with_words_for_who_cannot_see_it(book, tmp_path):
    folder = artefacts.save(artefact(81.25), tmp_path / "figures" / "classroom")
    (folder / "tml_fig6.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg"/>', encoding="utf-8")
    page, _ = book("# P\n\n```{artefact} tml_fig6\n```\n")
    assert 'src="_images/tml_fig6.svg"' in page
    assert f'alt="{contents.find("tml_fig6").picture}"' in page


def test_a_result_is_said_then_drawn_then_judged_then_listed(book, tmp_path):
    whole = artefact(81.25)
    rows = tuple(
        Row(keys={"alpha": alpha, "set": "relief-agedb"}, metric="accuracy", measured=whole.rows[0].measured)
        for alpha in (0.0, 0.4)
    )
    folder = artefacts.save(whole.model_copy(update={"rows": rows}), tmp_path / "figures" / "classroom")
    (folder / "tml_fig6.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg"/>', encoding="utf-8")
    page, warnings = book("# P\n\n```{artefact} tml_fig6\n```\n")
    assert warnings == ""
    marks = (
        "What was found",
        "is right on 81.2 %",
        "tml_fig6.svg",
        "aifr-claim",
        "<table",
        "All 2 numbers",
        "Again:",
    )
    places = [page.index(mark) for mark in marks]
    assert places == sorted(places)


COVER = """# Cover

```{cover-living}
```

```{cover-squares}
```

```{cover-found}
```

```{cover-generator}
```
"""


def photographs() -> Artefact:
    rows = tuple(
        Row(keys={"data": "fgnet", "embedder": name, "gap": gap}, metric="TAR@FAR=1e-2", measured=Measured(mean=mean))
        for name, gap, mean in (("sface", "0–4", 92.0), ("tour", "0–4", 16.0), ("sface", "30+", 24.0))
    )
    return artefact(0.0).model_copy(update={"id": "real_photographs", "rows": rows, "verdict": "none"})


def test_a_cover_without_results_says_so_and_has_its_squares(book):
    page, warnings = book(COVER)
    assert warnings == ""
    assert "have not been compared yet" in page and "No experiment has been run yet." in page
    assert "range-player" not in page and "generator" not in page.partition("aifr-keys")[2]
    assert page.count('class="aifr-square aifr-untested" role="img"') == len(claims.load())


def test_a_cover_shows_a_living_picture_and_what_was_found(book, tmp_path):
    root = tmp_path / "figures" / "classroom"
    artefacts.save(photographs(), root)
    artefacts.save(artefact(81.25).model_copy(update={"id": "tml_table4", "rows": ()}), root)
    folder = artefacts.save(artefact(0).model_copy(update={"id": "comface_figA", "rows": ()}), root)
    (folder / "comface_figA.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg"/>', encoding="utf-8")
    page, _ = book(COVER)
    assert 'data-label="0–4 years apart: SFace 92 % and our network (relief faces) 16 %"' in page
    assert 'data-label="30+ years apart: SFace 24 %"' in page
    assert len(re.findall("<li><p>", page.partition("aifr-lines")[2])) == 1
    assert "SFace accepts 92.0 % and then 24.0 %" in page
    assert "for research and teaching only" in page


def test_the_lines_of_a_cover_are_at_most_five_each_of_two_sentences(book, tmp_path, monkeypatch):
    from aifr_lib.experiments import EXPERIMENTS
    from aifr_lib.experiments.jobs import Experiment

    monkeypatch.setattr(Experiment, "finding", lambda self, _: f"{self.id} is at 89.5 % of it. And more. And yet more.")
    for id in aifr_cover.TOLD:
        assert EXPERIMENTS[id].found
        artefacts.save(artefact(81.25).model_copy(update={"id": id, "rows": ()}), tmp_path / "figures" / "classroom")
    page, _ = book("# C\n\n```{cover-found}\n```\n")
    lines = re.findall(r"<li><p>(.*?)</p></li>", page)
    assert [line.strip() for line in lines] == [f"{id} is at 89.5 % of it. And more." for id in aifr_cover.TOLD[:5]]


def test_a_misspelt_id_or_paper_is_an_error_with_the_nearest_name(book):
    assert "tml_fig6" in book("# P\n\n```{artefact} tml_fgi6\n```\n")[1]
    assert "no table or figure of a paper 'TLM'" in book("# P\n\n```{paper-contents} TLM\n```\n")[1]


@pytest.mark.parametrize("paper", ["TML", "AAD", "ComFace", "MTLFace"])
def test_the_contents_of_a_paper_name_every_table_and_figure(book, paper):
    page, warnings = book(f"# P\n\n```{{paper-contents}} {paper}\n```\n")
    assert warnings == ""
    ids = [content.id for content in contents.load() if content.paper == paper]
    assert ids and all(f">{id}<" in page for id in ids)
    assert ids


def test_the_scoreboard_has_a_verdict_on_every_claim(book):
    page, warnings = book("# P\n\n```{scoreboard}\n```\n")
    assert warnings == ""
    assert page.count('class="aifr-verdict') == len(claims.load())
    assert f"0 of {len(claims.load())} claims are tested so far." in page


def test_every_chapter_of_the_book_uses_ids_that_exist():
    chapters = Path(aifr_book.__file__).parents[1].rglob("*.md")
    ids = re.findall(r"```\{artefact\} (\S+)", "".join(path.read_text(encoding="utf-8") for path in chapters))
    assert ids and {content.id for content in contents.load()} >= set(ids)


def test_every_picture_of_the_background_chapter_is_drawn_once():
    import drawn

    chapters = (Path(aifr_book.__file__).parents[1] / "background").glob("*.md")
    names = re.findall(r"```\{drawn\} (\S+)", "".join(path.read_text(encoding="utf-8") for path in chapters))
    assert sorted(names) == sorted(drawn.PICTURES)


def test_a_picture_that_is_none_is_an_error_with_the_nearest_name(book):
    assert "margin_curves" in book("# P\n\n```{drawn} margin_curve\n```\n")[1]


def test_the_first_use_of_a_word_carries_its_definition_and_no_other_word_does(book, tmp_path):
    glossary = tmp_path / "book" / "background" / "glossary.md"
    glossary.parent.mkdir(parents=True)
    glossary.write_text(
        "---\norphan: true\n---\n# G\n\n:::{glossary}\nFAR\n  Strangers let in.\n\nprobe\n  Who is sought.\n\n"
        "linear probe\n  A reader.\n\nseed\n  A draw.\n:::\n".replace(":::", "```"),
        encoding="utf-8",
    )
    page, warnings = book(
        "# A probe\n\nIt is far from `FAR`. A linear\nprobe, probes, a probe, at FAR 1 %; birdseed, seed, {term}`seed`.\n"
    )
    assert warnings == ""
    marked = re.findall(r'<a class="aifr-term[^>]*title="([^"]*)">(.*?)</a>', page)
    found = [(title, re.sub("<.*?>", "", text)) for title, text in marked]
    assert found == [
        ("A reader.", "linear\nprobe"),
        ("Who is sought.", "probes"),
        ("Strangers let in.", "FAR"),
        ("A draw.", "seed"),
    ]


def test_bibtex_is_that_of_the_citation_file():
    cff = {"title": "A companion", "version": "1.2", "authors": [{"name": "The A and B group"}]}
    entry = aifr_ways_out.bibtex(cff, "2026", "")
    assert "author = {{The A and B group}}" in entry and "year = {2026}" in entry and "url" not in entry
    cff |= {"authors": [{"family-names": "Roe", "given-names": "Jo"}], "date-released": "2027-02-01"}
    entry = aifr_ways_out.bibtex(cff, "2026", "https://example.org/x")
    assert "author = {Roe, Jo}" in entry and "year = {2027}" in entry and "url = {https://example.org/x}" in entry


def test_links_to_the_repository_are_there_only_with_its_address():
    assert aifr_ways_out.elsewhere("notebooks/a.ipynb", "", "main") == []
    links = aifr_ways_out.elsewhere("notebooks/a.ipynb", "https://github.com/one/two", "main")
    assert [link["refuri"] for link in links] == [
        "https://github.com/one/two/blob/main/notebooks/a.ipynb",
        "https://colab.research.google.com/github/one/two/blob/main/notebooks/a.ipynb",
        "https://mybinder.org/v2/gh/one/two/main?urlpath=lab/tree/notebooks/a.ipynb",
    ]
    assert len(aifr_ways_out.elsewhere("notebooks/a.ipynb", "https://gitlab.com/one/two", "main")) == 1


def test_every_reference_leads_somewhere():
    from pybtex.database import parse_file

    entries = parse_file(str(Path(aifr_book.__file__).parents[1] / "references.bib")).entries
    assert [key for key, entry in entries.items() if not {"doi", "eprint", "url"} & set(entry.fields)] == []


def test_doubled_scripts_and_thebe_are_dropped():
    def script(filename, body=None):
        return SimpleNamespace(filename=filename, attributes={"body": body} if body else {})

    context = {
        "script_files": [
            script("a.js"),
            script(None, "let x = 1"),
            script("a.js"),
            script(None, "let x = 1"),
            script(None, 'const THEBE_JS_URL = "…"'),
            script("sphinx-thebe.js"),
            script(None, "let y = 2"),
        ]
    }
    aifr_book.clean_scripts(None, "index", "page.html", context, None)
    kept = [(one.filename, one.attributes.get("body")) for one in context["script_files"]]
    assert kept == [("a.js", None), (None, "let x = 1"), (None, "let y = 2")]


def test_a_damaged_result_stops_the_build_and_is_named(book, tmp_path):
    folder = artefacts.save(artefact(81.25), tmp_path / "figures" / "classroom")
    values = json.loads((folder / "tml_fig6.json").read_text(encoding="utf-8"))
    values["rows"][0]["measured"]["mean"] = 99.0
    (folder / "tml_fig6.json").write_text(json.dumps(values), encoding="utf-8")
    assert "tml_fig6.json" in book("# P\n\n```{artefact} tml_fig6\n```\n")[1]


def test_run_ledger_counts_the_runs_of_each_experiment(book):
    page, said = book("# A page\n\n```{run-ledger}\n```\n")
    assert not said
    cells = re.findall(r"<td><p>(.*?)</p></td>", page)
    at = next(i for i, cell in enumerate(cells) if "tml_fig6" in cell)
    sweep = load_preset("classroom").alpha_sweep
    runs = len(sweep.main) * len(sweep.main_seeds) + (len(sweep.alphas) - len(sweep.main)) * len(sweep.seeds)
    runs += len(sweep.main_seeds)  # without a branch a network is trained by a run of its own, and scored by another
    assert cells[at + 1 : at + 4] == [str(runs), "0", "not known yet"]
    assert re.search(r"0 of \d+ runs are stored", page)


@pytest.mark.parametrize("family", ["training", "verification", "ages", "lists", "change"])
def test_data_cards_show_every_set_of_a_family(book, family):
    page, _ = book(f"```{{data-cards}} {family}\n```\n")
    for entry in table.table().values():
        assert (f"<p>{entry.name}</p></th>" in page) == (entry.family == family)
    if family == "training":
        assert "5,822,653 pictures" in page and "AAD Table II" in page


def test_a_family_that_is_none_is_an_error(book):
    assert "no family 'trainign'" in book("```{data-cards} trainign\n```\n")[1]
