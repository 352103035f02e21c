"""The head of a relief face: growth as measured, signs of age in order, units that move their own region."""

from __future__ import annotations

import itertools
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from aifr_lib.faces.relief import Faces, render
from aifr_lib.faces.relief.ageing import AGES, LENGTHS, grown
from aifr_lib.faces.relief.anatomy import anatomy
from aifr_lib.faces.relief.parameters import ACTION_UNITS, IDENTITY
from aifr_lib.faces.relief.pose import to_plane
from aifr_lib.faces.relief.surface import skull

SIZE = 96
# Whoever is drawn looks ahead under an even light, before a plain wall, with bare ears and forehead.
CALM = {
    "pose": [0.0] * 3, "framing": [0.0] * 3, "action_units": [0.0] * len(ACTION_UNITS),
    "white_balance": [0.0] * 2, "light_azimuth": 0.0, "light_elevation": 20.0, "light_key": 0.9,
    "light_ambient": 0.3, "light_warmth": 0.0, "exposure": 0.0, "contrast": 0.0, "blur": 0.0, "noise": 0.0,
    "fringe": 0.0, "hair_length": 0.1, "beard": 0.0, "moustache": 0.0, "gaze_x": 0.0, "gaze_y": 0.0, "dye": 0.0,
    "weight": 0.0, "quality": 100.0,
}  # fmt: skip
MEAN = [0.0] * len(IDENTITY)


def calm(ages: list[float], seeds: list[int] | None = None, **fixed: object) -> Faces:
    return Faces.sample(seeds or [3] * len(ages), ages, [1] * len(ages), **{**CALM, **fixed})


def measures(faces: Faces) -> SimpleNamespace:
    return SimpleNamespace(**{name: value.squeeze() for name, value in anatomy(faces).items()})


def grey(faces: Faces, size: int = SIZE) -> np.ndarray:
    return render(faces, size).numpy().astype(float).mean(-1)


def place(faces: Faces, size: int = SIZE) -> tuple[np.ndarray, np.ndarray]:
    """Face coordinates (x, y) of each pixel of a head that looks straight ahead."""
    centre = (torch.arange(size) + 0.5) * (2 / size) - 1
    x, y = to_plane(SimpleNamespace(**anatomy(faces[:1])), centre.reshape(1, 1, size), centre.reshape(1, size, 1))
    x, y = (v.expand(1, size, size)[0].numpy() for v in (x, y))
    return x, y


def test_mean_lengths_are_those_of_the_table() -> None:
    ages = torch.tensor([0.0, 5.0, 18.0, 70.0, 18.0, 3.5, 9.0]).reshape(-1, 1, 1)
    gender = torch.tensor([0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 1.0]).reshape(-1, 1, 1)
    found = grown(ages, gender)
    for name, row in LENGTHS.items():
        value = found[name].flatten().tolist()
        expected = [row[0], row[2], row[5], row[5], row[6], (row[1] + row[2]) / 2, row[3]]
        assert value == pytest.approx(expected, rel=1e-5), name
    assert all(len(row) == len(AGES) + 1 for row in LENGTHS.values())


def test_proportions_of_the_grown_follow_the_canons() -> None:
    m = measures(calm([25, 25], identity=MEAN, gender=[0.0, 1.0]))
    head = m.chin_y - m.top_y
    halfway = (m.eye_y - m.top_y) / head
    assert bool(((halfway > 0.47) & (halfway < 0.53)).all())
    mouth = (m.mouth_y - m.nose_y) / (m.chin_y - m.nose_y)
    assert bool(((mouth > 0.29) & (mouth < 0.36)).all())
    # The eye is about as wide as the gap between the eyes; the head is five eyes wide, or somewhat less.
    assert torch.allclose(2 * m.eye_w, 2 * (m.eye_x - m.eye_w), rtol=0.1)
    assert bool(((m.skull_w / m.eye_w > 4.4) & (m.skull_w / m.eye_w < 5.2)).all())


def test_a_face_grows_down_and_forward() -> None:
    ages = [1.0, 3.0, 8.0, 14.0, 20.0]
    m = measures(calm(ages, identity=MEAN, gender=0.5))
    head = m.chin_y - m.top_y
    falling = {
        "place of the eyes": (m.eye_y - m.top_y) / head,
        "opening of the eyes": (m.lid_up + m.lid_low) / head,
        "size of the iris": m.iris_r / head,
        "breadth of the head": m.skull_w / head,
        "rise of the nose's tip": m.tip_up / m.nose_h,
    }
    rising = {
        "length of the nose": (m.nose_y - m.root_y) / head,
        "height of the bridge": m.bridge_h / head,
        "height of the nose": m.nose_h / head,
        "height of the chin": m.chin_h / head,
        "jaw under the mouth": (m.chin_y - m.mouth_y) / head,
        "width of the mouth": m.mouth_w / head,
    }
    for name, values in falling.items():
        assert bool((values.diff() < 0).all()), name
    for name, values in rising.items():
        assert bool((values.diff() > 0).all()), name
    pictures = grey(calm(ages, identity=MEAN, gender=0.5))
    assert all(np.abs(a - b).mean() > 2 for a, b in itertools.pairwise(pictures))


def test_signs_of_age_come_one_after_another_and_never_go() -> None:
    years = [20.0, 30.0, 40.0, 50.0, 60.0, 70.0, 80.0]
    m = measures(calm(years, identity=MEAN, gender=0.0))
    signs = ("laugh_lines", "brow_lines", "crows_feet", "frown_lines", "bags", "sag", "marionette", "crepe",
             "lip_lines", "worn", "thinned")  # fmt: skip
    total = sum(getattr(m, name) for name in signs)
    for name in signs:
        assert bool((getattr(m, name).diff() >= 0).all()), name
    assert bool((total.diff() > 0.3).all())
    assert m.laugh_lines[1] > 0.15 and m.crepe[2] == 0 and m.lip_lines[2] == 0
    faces = calm(years, identity=MEAN, gender=0.0)
    pictures = grey(faces, 160)
    x, y = place(faces[1:2], 160)
    u, brow, nose, mouth = (float(v[1]) for v in (m.unit, m.brow_y, m.nose_y, m.mouth_y))
    forehead = (np.abs(x) < 24 * u) & (y > brow - 30 * u) & (y < brow - 12 * u)
    beside = (np.abs(np.abs(x) - 24 * u) < 10 * u) & (y > nose) & (y < mouth - 4 * u)
    for axis, where in ((1, forehead), (2, beside)):
        lines = np.abs(np.diff(pictures, axis=axis, prepend=0))[:, where].mean(1)
        assert (np.diff(lines) > 0).all() and lines[-1] > 1.4 * lines[0]


def test_people_stay_themselves_and_age_in_their_own_way() -> None:
    seeds = list(range(60))
    grown, young, old = (measures(calm([age] * 60, seeds, gender=0.0)) for age in (18.0, 25.0, 70.0))
    shape = ("eye_x", "eye_tilt", "nose_w", "bridge_h", "mouth_w", "jaw_w", "brow_arch", "lip_low", "cheek_w")
    for name in shape:
        assert np.corrcoef(getattr(young, name), getattr(old, name))[0, 1] > 0.8, name
    for name in ("sag", "laugh_lines", "spots"):
        # At 25 people differ already, since the years of onset do: before any onset they are alike.
        assert getattr(old, name).std() > 3 * getattr(grown, name).std() and getattr(old, name).std() > 0.12, name


def test_gender_and_weight_are_continuous() -> None:
    m = measures(calm([30] * 5, identity=MEAN, gender=[0.0, 0.25, 0.5, 0.75, 1.0]))
    for name in ("jaw_w", "brow_ridge", "nose_h", "brow_h", "chin_h", "bridge_h"):
        steps = getattr(m, name).diff()
        assert bool((steps > 0).all()) and steps.max() < 1.5 * steps.min(), name
    thin = measures(calm([30] * 3, identity=MEAN, gender=0.5, weight=[-2.0, 0.0, 2.0]))
    assert bool((thin.jaw_w.diff() > 0).all() and (thin.fullness.diff() > 0).all())


def test_skin_tones_are_even_and_all_else_goes_with_them() -> None:
    m = measures(calm([30] * 400, list(range(400)), tan=0.0))
    share = torch.histc(m.melanin, 5, 0, 1) / 400
    assert share.min() > 0.12 and share.max() < 0.28
    light = 0.21 * m.skin[0] + 0.72 * m.skin[1] + 0.07 * m.skin[2]
    assert light.min() < 0.08 and light.max() > 0.5
    assert np.corrcoef(light, m.melanin)[0, 1] < -0.95
    # Lips are redder than the skin of every tone, and dark skin goes with dark hair and eyes.
    assert bool((m.lips[0] / m.lips[1] > 1.1 * m.skin[0] / m.skin[1]).all())
    dark = m.melanin > 0.75
    assert float(m.hair.mean(0)[dark].max()) < 0.12 and float(m.iris.mean(0)[dark].mean()) < 0.04


def test_outline_is_widest_at_the_temples_and_closes_at_the_chin() -> None:
    m = SimpleNamespace(**anatomy(calm([4, 30, 80], [1, 2, 3])))
    y = torch.linspace(0, 1, 200).reshape(1, -1, 1) * (m.chin_y - m.top_y) + m.top_y
    width, _ = skull(m, torch.zeros_like(y), y)
    assert bool((width > 0).all() and width.isfinite().all())
    middle = width[:, 40:100].amax(1)
    assert bool((width[:, 199] < 0.25 * middle[:, 0]).all() and (width[:, 150] < middle).all())


def region(m: SimpleNamespace, unit: str) -> tuple[float, float, float]:
    """(top, bottom, greatest distance from the middle) of what a unit moves, by its description in FACS."""
    u, forehead, chin = m.unit, m.brow_y - 42 * m.unit, m.chin_y + 8 * m.unit
    brows, nose, mouth = m.eye_y - 6 * u, m.nose_y + 6 * u, m.nose_y - 8 * u
    wide = m.eye_x + m.eye_w + 16 * u
    cheek = min(m.eye_y - 24 * u, m.brow_y - 5 * u)  # what raises the cheek draws the brow down, however high it lies
    return {
        "au1": (forehead, brows, wide), "au2": (forehead, brows, wide), "au4": (forehead, m.eye_y + 8 * u, wide),
        "au5": (m.eye_y - 20 * u, m.eye_y + 10 * u, wide), "au6": (cheek, nose + 6 * u, 2 * wide),
        "au9": (m.brow_y - 14 * u, m.mouth_y + 12 * u, wide), "au12": (m.eye_y - 4 * u, chin, 2 * wide),
        "au17": (mouth, chin, wide), "au20": (mouth, chin, wide), "au25": (mouth, chin, wide),
    }[unit]  # fmt: skip


def moved(unit: str, seed: int = 3) -> tuple[np.ndarray, SimpleNamespace]:
    faces = calm([30, 30], [seed] * 2, gender=0.0, **{unit: [0.0, 1.0]})
    a, b = grey(faces)
    return np.abs(a - b), SimpleNamespace(**{k: float(v[0]) for k, v in vars(measures(faces)).items() if v.dim() == 1})


@pytest.mark.parametrize("unit", ACTION_UNITS)
@pytest.mark.parametrize("seed", [3, 8])
def test_an_action_unit_changes_its_own_region(unit: str, seed: int) -> None:
    change, m = moved(unit, seed)
    x, y = place(calm([30], [seed]))
    top, bottom, wide = region(m, unit)
    inside = (y > top) & (y < bottom) & (np.abs(x) < wide)
    assert change.max() > 12
    assert change[inside].sum() > 0.75 * change.sum()
    assert inside.mean() < 0.45


def test_inner_and_outer_brow_are_raised_apart() -> None:
    x, y = place(calm([30]))
    inner, m = moved("au1")
    outer, _ = moved("au2")
    brow = (y > m.brow_y - 14 * m.unit) & (y < m.brow_y + 5 * m.unit)
    medial, lateral = brow & (np.abs(x) < m.eye_x), brow & (np.abs(x) > m.eye_x)
    assert inner[medial].sum() > 1.5 * inner[lateral].sum()
    assert outer[lateral].sum() > 1.3 * outer[medial].sum()


def test_units_move_what_their_names_say() -> None:
    pairs = {name: measures(calm([30, 30], gender=0.0, **{name: [0.0, 1.0]})) for name in ACTION_UNITS}

    def rise(unit: str, name: str) -> float:
        return float(getattr(pairs[unit], name).diff() / pairs[unit].unit[0])

    assert rise("au4", "brow_y") > 3 and rise("au4", "brow_gap") < -1.5
    assert rise("au5", "lid_up") > 2 and rise("au6", "lid_low") < -0.5
    assert rise("au9", "nose_y") < -2 and rise("au12", "mouth_w") > 4 and rise("au12", "corner") < -6
    assert rise("au17", "mouth_y") < -1.5 and rise("au17", "corner") > 3
    assert rise("au20", "mouth_w") > 5 and abs(rise("au20", "corner")) < 2 and rise("au25", "gap") > 6


def test_each_skin_has_a_texture_of_its_own_that_coarsens() -> None:
    pictures = grey(calm([25, 25, 75, 75], [1, 2, 1, 2], identity=MEAN, gender=0.0), 160)
    # Second differences along both axes leave the grain and take the shading of the cheek away.
    grain = np.diff(np.diff(pictures[:, 84:104, 54:68], axis=1), axis=2)
    rough = grain.std((1, 2))
    assert rough[2] > 1.2 * rough[0] and rough[3] > 1.2 * rough[1]
    young, other, old = (grain[k].ravel() for k in (0, 1, 2))
    assert np.corrcoef(young, old)[0, 1] > 0.5 > abs(np.corrcoef(young, other)[0, 1])
