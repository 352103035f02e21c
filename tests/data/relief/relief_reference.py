"""Reference of the frozen relief faces: a picture of each split and set, faces at the ends of what there is, lists.

Written once for a release, with ``python tests/data/relief/relief_reference.py`` after ``RELEASE`` in
``aifr_lib/data/relief/plan.py`` was raised; ``test_relief_frozen.py`` compares with it from then on. For a release that
has a reference, only what it lacks is added to it.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from aifr_lib.data import relief
from aifr_lib.data.images import Images
from aifr_lib.data.relief.cache import draw
from aifr_lib.data.relief.plan import Plan
from aifr_lib.faces.relief import Faces, render
from aifr_lib.faces.relief.parameters import ACTION_UNITS
from aifr_lib.files import atomic_write

FILE = Path(__file__).with_name("relief_reference.npz")
SIZE, ROWS = 48, 6
# Faces of what the plans' pictures hardly have: [age, what is fixed], one person each.
ENDS: tuple[tuple[float, dict[str, float]], ...] = (
    (2, {}),
    (7, {"gender": 0.0, "hair_length": 0.9}),
    (10, {"gender": 1.0}),
    (16, {"au25": 1.0}),
    (30, {"gender": 1.0, "beard": 1.0}),
    (40, {"gender": 1.0, "moustache": 1.0}),
    (55, {"gender": 1.0, "beard": 0.5, "moustache": 0.6}),
    (28, {"gender": 0.0, "tied": 1.0, "swept": 1.0, "hair_length": 0.8}),
    (35, {"gender": 0.0, "hair_length": 1.0, "wave": 1.0, "fringe": 1.0}),
    (33, {"skin_tone": -2.2}),
    (33, {"skin_tone": 2.2}),
    (50, {"skin_tone": 2.0, "gender": 1.0, "beard": 0.8}),
    (45, {"yaw": 60.0}),
    (45, {"yaw": -60.0, "pitch": 25.0}),
    (85, {"gender": 1.0}),
    (88, {"gender": 0.0, "weight": -2.0}),
    (60, {"weight": 2.5, "light_azimuth": 80.0}),
    (25, {"roll": 25.0, "blur": 2.5, "noise": 0.1, "quality": 20.0}),
    *((32.0, {unit: 1.0}) for unit in ACTION_UNITS),
)
COUNTS = {
    "relief-fgnet": {"people": 3, "pictures": 12},
    "relief-megaface": {"count": 6},
    "relief-logiface": {"subjects": 2, "pictures": 12},
    "relief-ijb": {"identities": 2},
    "relief-disfa": {"subjects": 1, "frames": 60},
    "relief-edema": {"subjects": 1, "days": 1, "frames": 3},
}
LISTED = {"relief-ijb": {"identities": 20}, "relief-edema": {"subjects": 3}, "relief-disfa": {"subjects": 2}}


def ends() -> np.ndarray:
    """uint8 [2 · ENDS, 48, 48, 3]: the faces of ``ENDS``, as portraits, then aligned."""
    faces = [Faces.sample([900 + k], [age], [k], **fixed) for k, (age, fixed) in enumerate(ENDS)]
    drawn = [render(face, SIZE, frame=frame)[0].numpy() for frame in ("portrait", "aligned") for face in faces]
    return np.stack(drawn)


def labels(every: dict[str, Plan]) -> dict[str, np.ndarray]:
    """The sets' own labels, and the lists that are made from them, by name."""
    found = {}
    for name, plan in every.items():
        own = plan.table()[:200][list(plan.labels)]
        kinds = {label: None if own[label].dtype.kind in "iuf" else str for label in own}
        found |= {f"{name}: {label}": own[label].to_numpy(kind) for label, kind in kinds.items()}
    ijb, edema, disfa = (unrendered(relief.set_plan(name, **LISTED[name])) for name in LISTED)
    templates, weighed = relief.templates(ijb, impostors=5), relief.pre_post(edema)
    smiles = relief.changes(disfa, "au12", per_subject=20)
    found |= {"templates": np.stack([templates.a, templates.b, templates.same])}
    return found | {"pre_post": np.stack([weighed.a, weighed.b]), "pre_post kilograms": weighed.d,
                    "changes": np.stack([smiles.a, smiles.b]), "changes of au12": smiles.d}  # fmt: skip


def plans() -> dict[str, Plan]:
    """A small plan of each split, view and set."""
    splits = [relief.split_plan(split, 3, 6) for split in relief.SPLITS]
    splits += [relief.split_plan("test", 3, 6, view="pose"), relief.split_plan("test", 3, 6, frame="portrait")]
    sets = [relief.set_plan(name, **COUNTS[name]) for name in relief.SETS]
    return {f"{plan.name} {plan.frame}": plan for plan in (*splits, *sets)}


def content() -> dict[str, np.ndarray]:
    """pixels uint8 [plans, 48, 48, 3] of the last of six rows, their parameters, and the rows of each pair list."""
    every = plans()
    tables = [plan.table()[:ROWS].select_dtypes("number") for plan in every.values()]
    columns = sorted(set.intersection(*(set(table) for table in tables)))
    found = {
        "version": np.array(relief.VERSION),
        "plans": np.array(list(every)),
        "columns": np.array(columns),
        "parameters": np.stack([table[columns].to_numpy(np.float64) for table in tables]),
        "pixels": np.stack([draw(plan, slice(ROWS - 1, ROWS), SIZE)[0].numpy() for plan in every.values()]),
    }
    found |= {"ends": ends(), **labels(every)}
    for name, one in relief.PAIR_LISTS.items():
        plan = relief.split_plan("test", 40, 6, view=one.view)
        pairs = relief.pairs(unrendered(plan), name, count=40)
        found[name] = np.stack([pairs.a, pairs.b])
    return found


def unrendered(plan: Plan) -> Images:
    """The pictures of a plan, black and of one pixel, for what needs their labels alone."""
    return Images(plan.name, relief.VERSION, np.zeros((len(plan), 1, 1, 3), np.uint8), plan.table())


def drift(reference: dict[str, np.ndarray], now: dict[str, np.ndarray]) -> str:
    """What differs between two contents, in words; empty where no pixel moved by more than one grey level."""
    if apart := sorted(set(reference) ^ set(now)):
        return f"{apart[0]} is only in one of them"
    for key in sorted(set(now) - {"parameters", "pixels", "ends"}):
        if reference[key].dtype.kind == "f":
            if not np.allclose(reference[key], now[key], rtol=1e-5, atol=1e-5):
                return f"{key} differs"
        elif not np.array_equal(reference[key], now[key]):
            return f"{key} differs"
    apart = ~np.isclose(reference["parameters"], now["parameters"], rtol=1e-5, atol=1e-5)
    if apart.any():
        plan, row, column = np.argwhere(apart)[0]
        return f"{now['columns'][column]} of picture {row} of {now['plans'][plan]} differs"
    for key, names in (("pixels", now["plans"]), ("ends", [*map(str, ENDS)] * 2)):
        levels = np.abs(reference[key].astype(int) - now[key]).max((1, 2, 3))
        if levels.max() > 1:
            return f"{names[levels.argmax()]}: {levels.max()} grey levels"
    return ""


def main() -> None:
    found, kept = content(), {}
    if FILE.exists():
        with np.load(FILE) as stored:
            kept = dict(stored) if str(stored["version"]) == relief.VERSION else {}
    with atomic_write(FILE) as path:
        np.savez_compressed(path, **(found | kept))


if __name__ == "__main__":
    main()
