"""The built book in a real browser: what a reader sees, on a desk and on a phone, in light and dark."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
import yaml

from aifr_lib.reporting import claims

ROOT = Path(__file__).resolve().parents[2]
SITE = ROOT / "_build" / "html"
PHONE = {"width": 390, "height": 844}
DESK = {"width": 1280, "height": 800}

pytestmark = pytest.mark.browser


def toc_pages() -> list[str]:
    text = (ROOT / "_toc.yml").read_text(encoding="utf-8")
    return [yaml.safe_load(text)["root"], *re.findall(r"file: (\S+)", text)]


PAGES = toc_pages()


@pytest.fixture(scope="session")
def address():
    """The book, built if anything changed, behind a local server; once, where a file goes to one process (loadfile)."""
    command = [sys.executable, "book/build.py"]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stdout + built.stderr

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(SITE)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


@pytest.fixture(scope="module")
def context(browser):
    return browser.new_context()


@pytest.fixture
def visit(context, address):
    """Open a page; at the end of the test nothing may have gone wrong on it or left the local server."""
    troubles, inside = [], (address, "data:", "blob:")

    def open_page(name: str, viewport: dict[str, int] = DESK, color_scheme: str = "light"):
        page = context.new_page()
        page.set_viewport_size(viewport)
        page.emulate_media(color_scheme=color_scheme)
        page.on("console", lambda said: said.type == "error" and troubles.append(f"console: {said.text}"))
        page.on("pageerror", lambda error: troubles.append(f"script: {error}"))
        page.on("response", lambda got: got.status >= 400 and troubles.append(f"{got.status}: {got.url}"))
        page.on("request", lambda sent: sent.url.startswith(inside) or troubles.append(f"outside: {sent.url}"))
        page.goto(f"{address}/{name}.html", wait_until="networkidle")
        return page

    yield open_page
    for page in context.pages:
        page.close()
    assert troubles == []


def target_exists(url: str) -> bool:
    """Whether an address inside the book leads to a file and, with a fragment, to an element of it."""
    parts = urlsplit(url)
    path = SITE / unquote(parts.path).lstrip("/")
    if path.is_dir():
        path = path / "index.html"
    if not path.is_file():
        return False
    return not parts.fragment or f'id="{unquote(parts.fragment)}"' in path.read_text(encoding="utf-8")


# Text whose contrast with what lies under it is less than 3:1 (WCAG's bound for large text).
FAINT = """() => {
  const rgb = text => (text.match(/[\\d.]+/g) || []).map(Number);
  const light = ([r, g, b]) => [r, g, b].map(c => c / 255)
    .map(c => c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const under = node => {
    for (; node; node = node.parentElement) {
      const colour = rgb(getComputedStyle(node).backgroundColor);
      if (colour.length === 3 || colour[3] > 0.5) return colour;
    }
    return [255, 255, 255];
  };
  const kinds = 'p, li, td, th, h1, h2, h3, figcaption, label, dt, summary, .aifr-verdict, svg text';
  return [...document.querySelector('article').querySelectorAll(kinds)]
    .filter(node => node.textContent.trim() && node.getClientRects().length)
    .filter(node => {
      const style = getComputedStyle(node);
      const pair = [rgb(node instanceof SVGElement ? style.fill : style.color), under(node)];
      const [a, b] = pair.map(light).sort((x, y) => y - x);
      return (a + 0.05) / (b + 0.05) < 3;
    })
    .map(node => node.textContent.trim().slice(0, 60));
}"""


# Formulas that begin left of where their box can be scrolled to.
UNREACHABLE = """boxes => boxes.filter(box => {
  box.scrollLeft = 0;
  const formula = box.querySelector('mjx-math');
  return formula && formula.getBoundingClientRect().left < box.getBoundingClientRect().left - 1;
}).length"""


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_whole_fits_a_phone_and_is_readable_in_both_modes(visit, address, name):
    page = visit(name)
    assert page.locator("article h1").count() == 1

    links = page.eval_on_selector_all("a[href]", "links => links.map(link => link.href)")
    inside = {link for link in links if link.startswith(address)}
    assert inside and [link for link in inside if not target_exists(link)] == []

    poor = "images => images.filter(i => !(i.complete && i.naturalWidth && i.alt)).map(i => i.src.slice(0, 80))"
    assert page.eval_on_selector_all("article img", poor) == []

    formulas = page.locator("article .math")
    assert formulas.locator("mjx-container").count() == formulas.count()
    assert page.locator("mjx-merror").count() == 0
    # A long formula scrolls in its box, whose shadow says so; no box within hides its end.
    clipping = "boxes => boxes.filter(box => getComputedStyle(box).overflowX !== 'visible').length"
    assert page.eval_on_selector_all("article div.math mjx-container", clipping) == 0

    # What an empty output leaves where it has no form for a page.
    assert "<IPython." not in page.locator("article").inner_text()

    assert page.evaluate(FAINT) == []
    page.emulate_media(color_scheme="dark")
    page.set_viewport_size(PHONE)
    page.reload(wait_until="load")
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    assert page.evaluate(FAINT) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    assert page.eval_on_selector_all("article div.math", UNREACHABLE) == 0


def test_the_theme_button_changes_the_mode(visit):
    page = visit("book/index", color_scheme="light")
    background = "getComputedStyle(document.body).backgroundColor"
    before = page.evaluate(background)
    button = page.locator(".theme-switch-button:visible")
    seen = set()
    for _ in range(3):
        button.click()
        seen.add((page.evaluate("document.documentElement.dataset.theme"), page.evaluate(background)))
    assert {theme for theme, _ in seen} == {"light", "dark"}
    assert {colour for theme, colour in seen if theme == "dark"}.isdisjoint({before})


WITH_SLIDERS = [name for name in PAGES if "_executed" in name or ("/background/" in name and "glossary" not in name)]


@pytest.mark.parametrize("name", WITH_SLIDERS)
def test_sliders_move_their_frames(visit, name):
    page = visit(name)
    players = page.locator("article .range-player")
    assert players.count() > 0 or not name.endswith("00_start_here")
    for number in range(players.count()):
        player = players.nth(number)
        frames, slider = player.locator("img"), player.locator("input[type=range]")
        last = frames.count() - 1
        start = int(slider.get_attribute("value"))
        assert [number for number in range(last + 1) if frames.nth(number).is_visible()] == [start]
        slider.focus()
        page.keyboard.press("Home")
        assert [frames.nth(0).is_visible(), frames.nth(last).is_visible()] == [True, False]
        page.keyboard.press("End")
        assert [frames.nth(0).is_visible(), frames.nth(last).is_visible()] == [False, True]
        assert player.locator("output").inner_text() == frames.nth(last).get_attribute("data-label")
        page.keyboard.press("ArrowLeft")
        assert frames.nth(last - 1).is_visible()


@pytest.mark.parametrize("name", [page for page in PAGES if "_executed" in page])
def test_solutions_are_hidden_until_they_are_asked_for(visit, name):
    page = visit(name)
    solutions = page.locator("article .cell.tag_solution")
    for number in range(solutions.count()):
        solution = solutions.nth(number)
        assert not solution.is_visible()
        solution.locator("xpath=ancestor::details[1]/summary").click()
        assert solution.is_visible()


def test_a_word_of_the_glossary_explains_itself_to_mouse_and_keyboard(visit):
    page = visit("book/papers/tml")
    word, tip = page.locator("article a.aifr-term", has_text="embedding").first, page.locator("#aifr-tip")
    assert not tip.is_visible()
    word.hover()
    assert tip.inner_text().startswith("The list of numbers that a network makes of a face.")
    page.mouse.move(0, 0)
    assert not tip.is_visible()
    page.locator("article a.aifr-term").first.focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Shift+Tab")
    assert tip.is_visible()
    box = tip.bounding_box()
    assert box["x"] >= 0 and box["x"] + box["width"] <= DESK["width"]
    page.keyboard.press("Escape")
    assert not tip.is_visible()


def test_the_first_touch_of_a_word_shows_its_tip_and_the_second_follows_it(browser, address):
    context = browser.new_context(viewport=PHONE, has_touch=True, is_mobile=True)
    page = context.new_page()
    page.goto(f"{address}/book/background/measuring.html", wait_until="networkidle")
    word, tip = page.locator("article a.aifr-term").first, page.locator("#aifr-tip")
    word.tap()
    box = tip.bounding_box()
    assert box["x"] >= 0 and box["x"] + box["width"] <= PHONE["width"]
    word.tap()
    page.wait_for_url("**/glossary.html#*")
    context.close()


def test_copied_commands_have_no_prompt(visit, context, address):
    context.grant_permissions(["clipboard-read", "clipboard-write"], origin=address)
    page = visit("book/how-to/run")
    page.locator(".highlight-console .copybtn").first.click()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied.startswith("make book") and "$ " not in copied


@pytest.mark.parametrize("name", [page for page in PAGES if page.startswith("book/papers")])
def test_the_words_of_a_diagram_lie_within_it_and_within_their_boxes(visit, name):
    page = visit(name, PHONE)
    outside = """() => [...document.querySelectorAll('.aifr-diagram text')].filter(text => {
      const [at, all] = [text.getBBox(), text.ownerSVGElement.viewBox.baseVal];
      const [x, y] = [at.x + at.width / 2, at.y + at.height / 2];
      const boxes = [...text.ownerSVGElement.querySelectorAll('rect')].map(rect => rect.getBBox())
        .filter(b => b.x < x && x < b.x + b.width && b.y < y && y < b.y + b.height);
      const box = boxes.sort((a, b) => a.width * a.height - b.width * b.height)[0] || all;
      return at.x < box.x || at.x + at.width > box.x + box.width;
    }).map(text => text.textContent)"""
    assert page.evaluate(outside) == []


def test_files_of_a_result_and_the_notebook_can_be_saved(visit):
    page = visit("book/_executed/real_photographs")
    saved = page.locator(".aifr-ways-out a.download").evaluate_all("links => links.map(link => link.href)")
    assert {"real_photographs.ipynb", "real_photographs.csv"} <= {link.rsplit("/", 1)[1] for link in saved}
    assert page.locator(".aifr-ways-out a.external").count() == 0


@pytest.mark.parametrize("repository", ["", "https://github.com/one/two"])
def test_two_pages_from_a_folder_explain_words_offline_and_launch_where_a_repository_is_named(
    browser, tmp_path, repository
):
    shutil.copytree(
        ROOT / "book", tmp_path / "book", ignore=shutil.ignore_patterns("_executed", "_live", "node_modules")
    )
    (tmp_path / "book" / "_live").mkdir()
    (tmp_path / "book" / "_executed").mkdir()
    shutil.copy(ROOT / "notebooks" / "tml_architecture.ipynb", tmp_path / "book" / "_executed")
    for name in ("figures", "notebooks"):
        (tmp_path / name).symlink_to(ROOT / name)
    toc = {"format": "jb-book", "root": "book/background/glossary"}
    toc["chapters"] = [{"file": "book/_executed/tml_architecture"}]
    (tmp_path / "_toc.yml").write_text(yaml.safe_dump(toc), encoding="utf-8")
    config = (ROOT / "_config.yml").read_text(encoding="utf-8")
    named = re.sub('repository_url: ""', f'repository_url: "{repository}"', config)
    (tmp_path / "_config.yml").write_text(named, encoding="utf-8")
    command = [str(Path(sys.executable).with_name("jupyter-book")), "build", str(tmp_path), "-q"]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stdout + built.stderr

    context = browser.new_context(viewport=DESK, offline=True)
    page = context.new_page()
    page.goto((tmp_path / "_build" / "html" / "book" / "_executed" / "tml_architecture.html").as_uri())
    word, tip = page.locator("article a.aifr-term").first, page.locator("#aifr-tip")
    word.hover()
    assert tip.is_visible() and len(tip.inner_text()) > 20
    launch = page.locator(".aifr-ways-out a.external").evaluate_all("links => links.map(link => link.href)")
    button = page.locator(".btn-source-repository-button")
    if repository:
        assert [link.split("/")[2] for link in launch] == ["github.com", "colab.research.google.com", "mybinder.org"]
        assert button.first.get_attribute("href") == repository
    else:
        assert launch == [] and button.count() == 0
    context.close()


def test_the_book_prints_as_one_file(address, tmp_path):
    target = tmp_path / "book.pdf"
    command = [sys.executable, "book/pdf.py", str(target)]
    printed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert printed.returncode == 0, printed.stdout + printed.stderr
    sheets = len(re.findall(rb"/Type\s*/Page\b", target.read_bytes()))
    assert len(PAGES) < sheets < 20 * len(PAGES)


def test_the_cover_is_a_result_on_its_first_screen_and_has_four_doors(visit):
    page = visit("book/index")
    living, squares = page.locator(".aifr-cover .range-player"), page.locator(".aifr-squares")
    # Without the numbers of the photographs a sentence stands in the picture's place.
    first = [living if living.count() else page.locator(".aifr-cover .aifr-none"), squares.first, squares.last]
    for part in first:
        box = part.bounding_box()
        assert box["y"] >= 0 and box["y"] + box["height"] <= 800
    assert page.locator(".aifr-square[role=img]").count() == len(claims.load())
    assert page.locator(".sd-card").count() == 4
    assert 1 <= page.locator(".aifr-lines > li, article > section > .aifr-none").count() <= 5


@pytest.mark.parametrize("name", PAGES)
def test_code_is_read_without_scrolling_and_pictures_say_what_they_show(visit, name):
    page = visit(name)
    cut = "blocks => blocks.filter(b => b.scrollWidth > b.clientWidth + 1).map(b => b.textContent.slice(0, 80))"
    assert page.eval_on_selector_all("article .cell_input pre, article .output pre", cut) == []
    said = page.eval_on_selector_all("article img", "images => images.map(image => image.alt)")
    # Neither a file nor a path; a sentence may end in a number.
    assert [alt for alt in said if re.search(r"[/\\]\w+$|[.][a-z]+$", alt) or len(alt.split()) < 3] == []


def test_search_finds_a_page(visit):
    page = visit("search")
    page.goto(page.url + "?q=distillation", wait_until="networkidle")
    found = page.locator("#search-results li a")
    found.first.wait_for()
    assert any("aad" in (found.nth(number).get_attribute("href") or "") for number in range(found.count()))


def test_every_script_is_loaded_once_and_none_from_outside(address):
    pages = [SITE / f"{name}.html" for name in [*PAGES, "search"]]
    for path in pages:
        scripts = re.findall(r"<script[^>]*\bsrc=\"([^\"]+)\"", path.read_text(encoding="utf-8"))
        assert len(scripts) == len(set(scripts)), path
        assert not [source for source in scripts if "//" in source.split("?")[0] or "thebe" in source], path
