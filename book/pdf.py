"""Print the built book as one PDF (``make pdf``): every page of the toc, in its order, through headless Chromium.

``python book/pdf.py [FILE]``; without a file it is ``_build/book.pdf``.
"""

from __future__ import annotations

import os
import shutil
import sys
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import yaml

from aifr_lib.files import atomic_write

ROOT = Path(__file__).resolve().parents[1]
SITE = ROOT / "_build" / "html"
PDF = ROOT / "_build" / "book.pdf"

# The articles of all pages one after another in the first page, whose styles and formulas are those of the others too.
# Ids get the name of their page in front, and links between pages become links within the file.
JOIN = """async pages => {
  const here = new URL(".", location).href.replace(/book\\/$/, "");
  const name = url => url.slice(here.length).split(/[?#]/)[0].replace(/\\.html$/, "");
  const book = document.createElement("main");
  for (const page of pages) {
    const text = await (await fetch(`${here}${page}.html`)).text();
    const article = new DOMParser().parseFromString(text, "text/html").querySelector("article");
    const address = (node, attribute) => new URL(node.getAttribute(attribute), `${here}${page}.html`);
    article.querySelectorAll("script, .headerlink, .copybtn, .prev-next-area").forEach(node => node.remove());
    article.querySelectorAll("[id]").forEach(node => { node.id = `${page}#${node.id}`; });
    article.querySelectorAll("img").forEach(node => { node.src = address(node, "src").href; node.loading = "eager"; });
    article.querySelectorAll("a[href]").forEach(node => {
      const url = address(node, "href");
      if (!url.href.startsWith(here)) return;
      const to = name(url.href);
      if (pages.includes(to)) node.setAttribute("href", `#${encodeURIComponent(to + url.hash)}`);
      else node.removeAttribute("href");
    });
    article.id = page;
    article.style.breakBefore = book.childElementCount ? "page" : "auto";
    book.append(article);
  }
  book.className = "bd-content bd-article";
  document.body.replaceChildren(book);
  await MathJax.typesetPromise([book]);
  await Promise.all([...document.images].map(image => image.decode().catch(() => null)));
}"""
STYLE = """
  html, body, main.bd-content { display: block; background: #fff; font-size: 12.5px; }
  article { max-width: none; padding: 0; }
  table, .aifr-wide { min-width: 0 !important; }
  img, svg, tr, .range-player, .aifr-claim { break-inside: avoid; }
  h1, h2, h3 { break-after: avoid; }
  img, svg { max-height: 115mm; object-fit: contain; }
  .math { background: none !important; overflow: visible !important; }
  .range-player input, .aifr-ways-out, details.above-input { display: none !important; }
  pre { white-space: pre-wrap; }
"""
FOOTER = '<div style="width:100%;font-size:8px;text-align:center"><span class="pageNumber"></span></div>'


def pages() -> list[str]:
    """Every page of the book, in the order of ``_toc.yml``."""
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    chapters = [chapter for part in toc["parts"] for chapter in part["chapters"]]
    return [toc["root"], *(page["file"] for chapter in chapters for page in (chapter, *chapter.get("sections", ())))]


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Says nothing: a request is no news here."""


def write(target: Path = PDF) -> Path:
    """The PDF of what lies in ``_build/html``. Errors: SystemExit without a built book, Chromium or playwright."""
    missing = [page for page in pages() if not (SITE / f"{page}.html").is_file()]
    if missing:
        sys.exit(
            f"the PDF is made of the built book, and {missing[0]}.html is not there: run python book/build.py first"
        )
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if chromium is None:
        sys.exit("no Chromium here to print with: install it (on Debian: apt-get install chromium)")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        sys.exit("the PDF needs the package playwright: pip install -e '.[dev]'")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(SITE)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with sync_playwright() as tool:
        browser = tool.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(color_scheme="light")
        page.set_default_timeout(300_000)
        page.goto(f"http://127.0.0.1:{server.server_port}/{pages()[0]}.html", wait_until="networkidle")
        page.evaluate(JOIN, pages())
        page.add_style_tag(content=STYLE)
        margin = dict.fromkeys(("top", "bottom"), "18mm") | dict.fromkeys(("left", "right"), "16mm")
        content = page.pdf(
            format="A4",
            margin=margin,
            print_background=True,
            display_header_footer=True,
            header_template="<span></span>",
            footer_template=FOOTER,
            tagged=True,
            outline=True,
        )
        browser.close()
    server.shutdown()
    with atomic_write(target) as path:
        path.write_bytes(content)
    return target


if __name__ == "__main__":
    print(f"the book on paper: {os.path.relpath(write(*map(Path, sys.argv[1:2])))}")
