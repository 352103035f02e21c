"""insightface's ``.bin`` verification sets: a pickle of (pictures, same), read without unpickling.

Pictures 2i and 2i + 1 are pair i, in the order of the protocol, which has ten contiguous folds. Each picture is encoded
(JPEG, PNG), as bytes or as the uint8 array [N] or [N, 1] that OpenCV's encoder gives, or a uint8 array [H, W, 3].
Source: insightface ``lfw2pack.py``, ``agedb2pack2.py`` and ``verification.py``.
"""

from __future__ import annotations

import hashlib
import mmap
import pickle
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from aifr_lib.data.formats.faults import BadFile
from aifr_lib.data.formats.pair_lists import folds, joined
from aifr_lib.data.formats.safe_pickle import Forbidden, loads
from aifr_lib.data.formats.stored import Members, StoredPixels, as_array
from aifr_lib.data.images import Images, Pairs
from aifr_lib.files import atomic_write

Picture = bytes | np.ndarray


def read_bin(path: str | Path) -> tuple[list[Picture], np.ndarray]:
    """The pictures (2 P of them: bytes of encoded ones, arrays [H, W, 3]) and ``same`` bool [P].

    Errors: BadFile for a pickle that is damaged, holds anything but plain data, or is no list of pairs;
    FileNotFoundError.
    """
    path = Path(path)
    with path.open("rb") as file:
        if not file.seek(0, 2):
            raise BadFile("the file is empty", path)
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            try:
                value = loads(data)
            except Forbidden as error:
                raise BadFile(str(error), path) from None
    if not isinstance(value, (tuple, list)) or len(value) != 2:
        raise BadFile("a pair (pictures, same) was expected", path)
    pictures, same = value
    if not isinstance(pictures, (list, tuple)) or not isinstance(same, (list, tuple, np.ndarray)):
        raise BadFile("two lists were expected: pictures, and whether each pair is one person", path)
    for number, answer in enumerate(same):
        if not (isinstance(answer, (bool, int, np.bool_, np.integer)) and answer in (0, 1)):
            raise BadFile("'same' must be True or False (1 or 0)", path, f"pair {number}")
    for number, picture in enumerate(pictures):
        if not isinstance(picture, (bytes, bytearray, np.ndarray)):
            raise BadFile(
                f"encoded bytes or an array was expected, found {type(picture).__name__}", path, f"picture {number}"
            )
    if len(pictures) != 2 * len(same) or not len(same):
        raise BadFile(f"{len(same)} pairs need {2 * len(same)} pictures (at least two), found {len(pictures)}", path)
    return [_unpacked(picture) for picture in pictures], np.array([bool(answer) for answer in same])


def _unpacked(picture: bytes | bytearray | np.ndarray) -> Picture:
    if not isinstance(picture, np.ndarray):
        return bytes(picture)
    encoded = picture.dtype == np.uint8 and picture.ndim in (1, 2) and max(picture.shape) == picture.size
    return picture.tobytes() if encoded else picture


def load_bin(path: str | Path) -> tuple[Images, Pairs]:
    """A ``.bin`` file as Images (decoded when asked for) and their Pairs in the order of the protocol.

    The file names nobody. Identities are inferred: genuine pairs and equal pictures join people, so that intervals can
    be clustered by person as far as the file tells.
    Errors: those of ``read_bin``; BadPicture if the first picture is broken (others: when they are read).
    """
    path = Path(path)
    pictures, same = read_bin(path)
    digest = hashlib.sha256()
    content = []
    for picture in pictures:
        content.append(hashlib.sha256(picture if isinstance(picture, bytes) else picture.tobytes()).digest())
        digest.update(content[-1])
    digest.update(same.tobytes())
    labels = pd.DataFrame(
        {
            "record": [f"{row:06d}" for row in range(len(pictures))],
            "identity": _people(content, same),
            "age": np.nan,
        }
    )
    pixels = as_array(StoredPixels(Members(path, pictures)))
    images = Images(path.stem, digest.hexdigest()[:16], pixels, labels)
    rows = np.arange(len(pictures))
    return images, Pairs(path.stem, rows[::2], rows[1::2], same, folds(len(same)))


def _people(content: list[bytes], same: np.ndarray) -> np.ndarray:
    _, picture = np.unique(np.array(content, dtype="S32"), return_inverse=True)
    return joined(picture.max() + 1, picture[::2][same], picture[1::2][same])[picture]


def write_bin(path: str | Path, pictures: Sequence[Picture], same: Sequence[bool] | np.ndarray) -> None:
    """Write a ``.bin`` file that insightface and everything after it reads (protocol 4: Python 3.4 and later).

    pictures: 2 P of them, encoded or uint8 [H, W, 3]; same: P answers.
    Errors: ValueError where the counts do not fit.
    """
    if len(pictures) != 2 * len(same) or not len(same):
        raise ValueError(f"{len(same)} pairs need {2 * len(same)} pictures (at least two), got {len(pictures)}")
    with atomic_write(path) as temporary, temporary.open("wb") as file:
        pickle.dump((list(pictures), [bool(answer) for answer in same]), file, protocol=4)
