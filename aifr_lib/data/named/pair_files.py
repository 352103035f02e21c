"""The lists of pairs as the makers of each set wrote them, by record (``folder.key`` of the picture's path)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from aifr_lib.data.formats.faults import BadFile
from aifr_lib.data.formats.folder import key
from aifr_lib.data.formats.image_list import inside
from aifr_lib.data.formats.lines import OnFault, parsed, whole
from aifr_lib.data.formats.pair_lists import Pair, folds, read_pairs
from aifr_lib.data.images import FOLDS


def lfw(path: Path, fault: OnFault) -> list[Pair]:
    """LFW's ``pairs.txt``."""
    return [pair._replace(a=key(pair.a), b=key(pair.b)) for pair in read_pairs(path, on_fault=fault)]


def two_lines(path: Path, fault: OnFault) -> list[Pair]:
    """CALFW and CPLFW: two lines ``picture label`` a pair, label 0 for two people.

    CALFW numbers the folds of the pairs of one person 1 … 10. Where no fold is given, each kind of pair is cut into
    ten runs in the order of the file (inferred).
    """

    def parse(text: str) -> tuple[str, int]:
        name, _, label = text.rpartition("\t" if "\t" in text else " ")
        if not name.strip():
            raise BadFile(f"'picture label' was expected, found '{text[:40]}'")
        return key(inside(name.strip())), whole(label.strip(), "the label")

    lines = list(parsed(path, parse, fault))
    if len(lines) % 2 or not lines:
        fault(BadFile(f"two lines a pair were expected, found {len(lines)} lines", path))
    pairs = []
    for number, ((a, first), (b, second)) in enumerate(zip(lines[::2], lines[1::2], strict=False)):
        if first != second:
            fault(BadFile(f"one label a pair was expected, found {first} and {second}", path, f"pair {number}"))
        pairs.append(Pair(a, b, first > 0, first - 1))
    given = {pair.fold for pair in pairs if pair.same} == set(range(FOLDS))
    for same in (True, False):
        places = [place for place, pair in enumerate(pairs) if pair.same == same]
        if not (same and given):
            for place, fold in zip(places, folds(len(places)), strict=True):
                pairs[place] = pairs[place]._replace(fold=int(fold))
    return pairs


def cfp(path: Path, fault: OnFault) -> list[Pair]:
    """CFP's frontal–profile split: ``01/same.txt`` and ``diff.txt`` hold ``i,j``, numbers in the lists of pictures."""
    frontal, profile = (_listed(path.parents[1] / f"Pair_list_{view}.txt", fault) for view in "FP")

    def parse(text: str) -> tuple[str, str]:
        i, _, j = text.partition(",")
        try:
            return frontal[whole(i.strip(), "the frontal picture")], profile[whole(j.strip(), "the picture in profile")]
        except KeyError as error:
            raise BadFile(f"picture {error.args[0]} does not stand in the lists Pair_list_F and Pair_list_P") from None

    pairs = []
    for fold in range(FOLDS):
        for same, name in ((True, "same.txt"), (False, "diff.txt")):
            file = path / f"{fold + 1:02d}" / name
            if not file.is_file():
                fault(BadFile("this file is missing", file))
                continue
            pairs += [Pair(a, b, same, fold) for a, b in parsed(file, parse, fault)]
    return pairs


def numbered(pictures: Iterable[str], root: Path, fault: OnFault) -> list[Pair]:
    """CACD-VS: its pictures ``0000_0``, ``0000_1`` … are the pairs; of each 400 the first 200 are of one person.

    Source: the makers' description: ten folds of 400 pairs, in order.
    """
    sides: dict[int, set[str]] = {}
    for name in pictures:
        sides.setdefault(int(name[:4]), set()).add(name)
    pairs = []
    for number, names in sorted(sides.items()):
        if len(names) == 2:
            a, b = sorted(names)
            pairs.append(Pair(a, b, number % 400 < 200, number // 400))
        else:
            fault(BadFile(f"two pictures of pair {number:04d} were expected, found {', '.join(names)} alone", root))
    return pairs


def _listed(path: Path, fault: OnFault) -> dict[int, str]:
    """``12 ../Data/Images/002/frontal/02.jpg`` → {12: "Data/Images/002/frontal/02"}."""

    def parse(text: str) -> tuple[int, str]:
        number, _, name = text.strip().partition(" ")
        return whole(number, "the number"), key(inside(name.strip().removeprefix("../")))

    return dict(parsed(path, parse, fault)) if path.is_file() else {}


FORMS: dict[str, Callable[[Path, OnFault], list[Pair]]] = {
    "lfw": lfw,
    "two-lines": two_lines,
    "cfp": cfp,
}
