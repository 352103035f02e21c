"""The data set of relief faces: splits, lists of pairs, and sets in the manner of those that the papers use.

    images = relief.load("test", size=64, identities=1000, per_identity=6)
    pairs = relief.pairs(images, "relief-agedb")
    probes = relief.load_set("relief-fgnet", size=64)

Training pictures of one identity lie within a few years (as in web-scraped training sets), test pictures span
decades: so there is an age problem to solve. ``span="wide"`` is the control in which there is none. No two splits or
sets share a person, and no set carries the name of a real one: relief-agedb is not AgeDB.
"""

from aifr_lib.data.relief.changes import changes, pre_post
from aifr_lib.data.relief.pairs import PAIR_LISTS, pairs
from aifr_lib.data.relief.plan import VERSION
from aifr_lib.data.relief.sheets import folder_plan, sheet, write_folder
from aifr_lib.data.relief.splits import (
    SETS,
    SPLITS,
    VIEWS,
    aged,
    digest,
    labels_only,
    load,
    load_set,
    set_digest,
    set_plan,
    split_faces,
    split_plan,
    undrawn,
)
from aifr_lib.data.relief.templates import templates
from aifr_lib.data.relief.wide import Wide, middles, wide, wide_plan

__all__ = [
    "PAIR_LISTS",
    "SETS",
    "SPLITS",
    "VERSION",
    "VIEWS",
    "Wide",
    "aged",
    "changes",
    "digest",
    "folder_plan",
    "labels_only",
    "load",
    "load_set",
    "middles",
    "pairs",
    "pre_post",
    "set_digest",
    "set_plan",
    "sheet",
    "split_faces",
    "split_plan",
    "templates",
    "undrawn",
    "wide",
    "wide_plan",
    "write_folder",
]
