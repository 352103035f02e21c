"""Citations of the book as the reader of a plain notebook can read them: authors and year."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from aifr_lib.files import repository_root
from aifr_lib.names import choose

CITATION = re.compile(r"\{cite(?::[pt])?\}`([^`]+)`")


def spelt_out(text: str) -> str:
    """Markdown whose ``{cite}`KEY``` reads as it does in the book: [Huang et al., 2021].

    Errors: ConfigError for a key that ``book/references.bib`` lacks, with the nearest; ImportError without pybtex.
    """
    return CITATION.sub(lambda found: f"[{'; '.join(map(_authors_and_year, found[1].split(',')))}]", text)


def _authors_and_year(key: str) -> str:
    return choose("reference", key.strip(), references(repository_root() / "book" / "references.bib"))


@cache
def references(path: Path) -> dict[str, str]:
    """Authors and year of each entry of a BibTeX file, by its key. Errors: ImportError without pybtex."""
    try:
        from pybtex.database import parse_file
    except ImportError:
        raise ImportError("citations need the package pybtex: in the repository, pip install -e '.[book]'") from None
    found = {}
    for key, entry in parse_file(str(path)).entries.items():
        people = [(*one.rich_prelast_names, *one.rich_last_names) for one in entry.persons["author"]]
        names = [" ".join(map(str, parts)) for parts in people]
        authors = f"{names[0]} et al." if len(names) > 2 else " and ".join(names)
        found[key] = f"{authors}, {entry.fields['year']}"
    return found
