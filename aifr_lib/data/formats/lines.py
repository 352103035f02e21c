"""Text files of one entry a line, read so that each fault has its line number."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeVar

from aifr_lib.data.formats.faults import BadFile, Doubt
from aifr_lib.files import atomic_write

LONGEST = 1 << 16  # bytes; what is longer is no list
T = TypeVar("T")
OnFault = Callable[[BadFile], None]


def raised(fault: BadFile) -> None:
    """An ``OnFault`` that stops at the first; a doubt is none."""
    if not isinstance(fault, Doubt):
        raise fault


def numbered(path: str | Path) -> Iterator[tuple[int, str]]:
    """(number, text) of each line of a UTF-8 file that is not blank. Errors: BadFile for other bytes, a long line."""
    with Path(path).open("rb") as file:
        number = 0
        while line := file.readline(LONGEST):
            number += 1
            if len(line) == LONGEST:
                raise BadFile(f"a line of more than {LONGEST} bytes: is this a text file?", path, f"line {number}")
            try:
                text = line.decode("utf-8-sig" if number == 1 else "utf-8").strip("\r\n")
            except UnicodeDecodeError as error:
                raise BadFile(f"not UTF-8 text: {error.reason}", path, f"line {number}") from None
            if text.strip():
                yield number, text


def parsed(path: str | Path, parse: Callable[[str], T], on_fault: OnFault | None = None) -> Iterator[T]:
    """What ``parse`` makes of each line. ``parse`` raises BadFile with the problem alone; it is raised with file and
    line, or given to ``on_fault`` and the line passed over.
    """
    for number, text in numbered(path):
        try:
            yield parse(text)
        except BadFile as error:
            fault = BadFile(error.problem, path, f"line {number}")
            if on_fault is None:
                raise fault from None
            on_fault(fault)


def write_lines(path: str | Path, lines: Iterable[str]) -> None:
    """Write a UTF-8 text file, whole or not at all."""
    with atomic_write(path) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as file:
        file.writelines(f"{line}\n" for line in lines)


def whole(text: str, what: str, low: int = 0) -> int:
    """A whole number of at most 18 digits from ``low``. Errors: BadFile that says what was expected."""
    digits = text[1:] if text.startswith("-") else text
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 18) or int(text) < low:
        raise BadFile(f"{what} must be a whole number from {low}, found '{text[:40]}'")
    return int(text)
