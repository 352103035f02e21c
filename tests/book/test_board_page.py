"""The page of the board: found first, every mark explained."""

import sys
from pathlib import Path

from aifr_lib.experiments.measure import board

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "book" / "_ext"))
import aifr_board


def test_the_board_says_first_what_was_found_and_what_a_dagger_means():
    entries = board.read()
    html = [node.astext() for node in aifr_board.shown(entries)]
    assert "What was found" in html[0] and "SFace accepts most" in html[0]
    assert any("†: all succeed or all fail" in part for part in html)
    assert sum("<img" in part for part in html) == 1


def test_one_network_is_compared_with_nobody():
    (first, *_) = board.read()
    html = [node.astext() for node in aifr_board.shown([first])]
    assert not any("What was found" in part for part in html)


def test_the_best_of_both_is_named_once():
    entries = [one for one in board.read() if one.name in ("raw pixels", "our network (relief faces)")]
    rows = [row.model_copy(update={"keys": {**row.keys, "network": one.name}}) for one in entries for row in one.rows]
    said = aifr_board.found(rows, [one.name for one in entries])
    assert "our network (relief faces) accepts most" in said and "; no other network on more than" in said
    assert said.endswith("%.") and not set(said) & set("[]{}")
