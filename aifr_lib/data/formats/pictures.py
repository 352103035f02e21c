"""Encoded pictures to RGB pixels: libjpeg-turbo for JPEG, Pillow for everything else.

A JPEG whose data are damaged is refused even where a decoder could guess the rest: grey blocks in a face are worse than
an error. Pictures come upright (EXIF orientation is applied); grey, palette and CMYK become RGB; transparency is
dropped; more than 8 bits a channel are refused, since nothing says which range of them holds the picture.
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import simplejpeg
from PIL import Image, ImageOps, UnidentifiedImageError

from aifr_lib.data.formats.faults import BadFile

JPEG = b"\xff\xd8\xff"
END = b"\xff\xd9"
EXIF = b"Exif\0\0"
ORIENTATION = 0x0112
# A damaged header can claim 65,535 × 65,535 pixels; no photograph of a face needs more than these (200 MB).
MAX_PIXELS = 1 << 26
QUALITY = 95


class BadPicture(BadFile):
    """Bytes that are no readable picture."""


def decode(data: bytes) -> np.ndarray:
    """An encoded picture as uint8 [H, W, 3], RGB, upright.

    Errors: BadPicture if it is empty, broken, cut short, larger than MAX_PIXELS or deeper than 8 bits.
    """
    try:
        if not data:
            raise ValueError("it is empty (0 bytes)")
        if not data.startswith(JPEG):
            return _by_pillow(data)
        height, width = simplejpeg.decode_jpeg_header(data)[:2]
        _check_size(width, height)
        return _upright(simplejpeg.decode_jpeg(data), data)
    except Exception as error:
        raise _refusal(error, data) from error


def decode_into(data: bytes, out: np.ndarray) -> None:
    """An encoded picture into ``out`` uint8 [H, W, 3], contiguous, without a copy where it is an upright JPEG.

    Errors: BadPicture as for ``decode``, and for a picture of another size than ``out``.
    """
    if not _is_upright_jpeg(data):
        found = decode(data)
        _check_fits(found, out)
        out[:] = found
        return
    try:
        found = simplejpeg.decode_jpeg(data, buffer=out)
    except Exception as error:
        raise _refusal(error, data) from error
    _check_fits(found, out)


def size_of(data: bytes) -> tuple[int, int]:
    """(height, width) of an encoded picture as ``decode`` gives it; of a JPEG only the header is read.

    Errors: BadPicture as for ``decode``.
    """
    if not _is_upright_jpeg(data):
        height, width = decode(data).shape[:2]
        return height, width
    try:
        height, width = simplejpeg.decode_jpeg_header(data)[:2]
        _check_size(width, height)
    except Exception as error:
        raise _refusal(error, data) from error
    return height, width


def encode_jpeg(pixels: np.ndarray, quality: int = QUALITY) -> bytes:
    """uint8 [H, W, 3] RGB as JPEG with colour at full resolution (4:4:4): a face of 112 pixels has none to spare."""
    return simplejpeg.encode_jpeg(np.ascontiguousarray(pixels), quality=quality, colorsubsampling="444")


def read_picture(path: str | Path) -> np.ndarray:
    """The picture in a file as ``decode`` gives it. Errors: BadPicture that names the file."""
    try:
        return decode(Path(path).read_bytes())
    except OSError as error:
        raise BadPicture(f"cannot read the picture: {error.strerror}", path) from error
    except BadPicture as error:
        raise BadPicture(error.problem, path) from error


def _refusal(error: Exception, data: bytes) -> BadPicture:
    """Each decoder fails in its own way on hostile bytes (OSError, SyntaxError, struct.error, …): one error for all."""
    if isinstance(error, BadPicture):
        return error
    cut = data.startswith(JPEG) and data.rfind(END) < 0
    hint = f" (cut short? its {len(data)} bytes hold no end of image)" if cut else ""
    return BadPicture(f"cannot read the picture: {error}{hint}")


def _by_pillow(data: bytes) -> np.ndarray:
    try:
        opened = Image.open(io.BytesIO(data))
    except UnidentifiedImageError:
        raise ValueError(f"it is no picture of a known kind: the bytes begin with {data[:16]!r}") from None
    with opened as image:
        _check_size(*image.size)
        raw = str(image.tile[0][3]) if image.tile else ""
        if image.mode.startswith(("I", "F")) or ";16" in raw:
            raise ValueError(f"mode {image.mode} has more than 8 bits a channel: save it with 8")
        return np.asarray(ImageOps.exif_transpose(image).convert("RGB"))


def _upright(pixels: np.ndarray, data: bytes) -> np.ndarray:
    if _is_upright_jpeg(data):
        return pixels
    with Image.open(io.BytesIO(data)) as image:
        orientation = image.getexif().get(ORIENTATION, 1)
    turned = Image.fromarray(pixels)
    turned.getexif()[ORIENTATION] = orientation
    return np.asarray(ImageOps.exif_transpose(turned))


def _check_size(width: int, height: int) -> None:
    if not 0 < width * height <= MAX_PIXELS:
        raise ValueError(f"{width}×{height} pixels: between 1 and {MAX_PIXELS} were expected")


def _check_fits(found: np.ndarray, wanted: np.ndarray) -> None:
    if found.shape != wanted.shape:
        raise BadPicture(
            f"the picture is {found.shape[0]}×{found.shape[1]}, the others of its set are "
            f"{wanted.shape[0]}×{wanted.shape[1]}: align them with 'aifr align'"
        )


def _is_upright_jpeg(data: bytes) -> bool:
    """Whether it is a JPEG without EXIF, which alone could say that it is to be turned."""
    # Anywhere: other segments, with thumbnails and tables of their own, may stand before it. Where the bytes lie there
    # by chance, the slower way finds no orientation.
    return data.startswith(JPEG) and EXIF not in data
