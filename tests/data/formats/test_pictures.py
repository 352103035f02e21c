import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image
from stored_examples import encoded, examples, faces, jpegs

from aifr_lib.data.formats import pictures
from aifr_lib.data.formats.pictures import BadPicture, decode, decode_into, encode_jpeg, read_picture, size_of


def by_pillow(data: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("RGB"))


@pytest.mark.parametrize("name", ["face.jpg", "grey.jpg", "progressive.jpg", "face.png", "palette.png", "face.bmp"])
def test_pixels_are_those_of_another_decoder(name):
    data = examples()[name]
    np.testing.assert_array_equal(decode(data), by_pillow(data))
    assert size_of(data) == decode(data).shape[:2]


def test_cmyk_is_rgb_up_to_rounding():
    data = examples()["cmyk.jpg"]
    assert np.abs(decode(data).astype(int) - by_pillow(data)).max() <= 2


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_are_put_upright(kind, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture = faces()[0][:96, :64].copy()
    data = encoded("RGB", kind, picture, exif=exif, **({"subsampling": 0, "quality": 100} if kind == "JPEG" else {}))
    turns = {
        1: (0, False),
        2: (0, True),
        3: (2, False),
        4: (2, True),
        5: (3, True),
        6: (3, False),
        7: (1, True),
        8: (1, False),
    }
    quarter, mirrored = turns[orientation]
    stored = by_pillow(data)
    upright = np.rot90(stored[:, ::-1] if mirrored and orientation in (2, 4) else stored, quarter)
    if orientation in (5, 7):
        upright = np.rot90(stored[:, ::-1], 1 if orientation == 5 else 3)
    np.testing.assert_array_equal(decode(data), upright)
    assert size_of(data) == upright.shape[:2]
    out = np.empty(upright.shape, np.uint8)
    decode_into(data, out)
    np.testing.assert_array_equal(out, upright)


def claiming(width: int, height: int) -> bytes:
    """A JPEG whose header claims another size."""
    data = bytearray(jpegs()[0])
    at = data.index(b"\xff\xc0") + 5
    data[at : at + 4] = struct.pack(">HH", height, width)
    return bytes(data)


def png_claiming(width: int, height: int) -> bytes:
    data = bytearray(examples()["face.png"])
    data[16:24] = struct.pack(">II", width, height)
    data[29:33] = struct.pack(">I", zlib.crc32(bytes(data[12:29])))
    return bytes(data)


DEEP = (faces()[0][..., 0].astype(np.uint16) * 257).copy()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "it is empty"),
        (b"no picture", "no picture of a known kind: the bytes begin with b'no picture'"),
        (jpegs()[0][:-2], "cut short"),
        (jpegs()[0][: len(jpegs()[0]) // 2], "cut short"),
        (jpegs()[0][:30], "cut short"),
        (claiming(60000, 60000), "60000×60000 pixels: between 1 and 67108864"),
        (claiming(0, 112), "cannot read the picture"),
        (png_claiming(60000, 60000), "exceeds limit"),
        (png_claiming(9000, 9000), "9000×9000 pixels"),
        (png_claiming(0, 0), "no picture of a known kind"),
        (encoded("I;16", "PNG", DEEP), "more than 8 bits"),
        (encoded("I", "TIFF", DEEP), "more than 8 bits"),
    ],
    ids=range(12),
)
def test_what_is_refused(data, message, tmp_path):
    with pytest.raises(BadPicture, match=message):
        decode(data)
    (tmp_path / "x.jpg").write_bytes(data)
    with pytest.raises(BadPicture, match=r"x\.jpg"):
        read_picture(tmp_path / "x.jpg")


def test_sixteen_bits_of_colour_are_refused_too():
    rows = b"".join(b"\0" + bytes(2 * 3 * 4) for _ in range(4))
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", 4, 4, 16, 2, 0, 0, 0)), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    data = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body)) for name, body in chunks
    )
    with pytest.raises(BadPicture, match="more than 8 bits"):
        decode(data)


def test_rotten_data_are_not_guessed():
    data = bytearray(jpegs()[0])
    for at in range(len(data) // 2, len(data) // 2 + 40):
        data[at] = 0xFF
    with pytest.raises(BadPicture, match="cannot read the picture"):
        decode(bytes(data))


def test_a_picture_goes_into_its_place():
    out = np.zeros((2, 112, 112, 3), np.uint8)
    decode_into(jpegs()[3], out[1])
    np.testing.assert_array_equal(out[1], decode(jpegs()[3]))
    assert not out[0].any()
    for other in (np.zeros((112, 96, 3), np.uint8), np.zeros((200, 200, 3), np.uint8)):
        for data in (jpegs()[0], examples()["face.png"]):
            with pytest.raises(BadPicture):
                decode_into(data, other)


def test_an_encoded_picture_is_close():
    assert np.abs(decode(encode_jpeg(faces()[0], 100)).astype(int) - faces()[0]).max() <= 4
    assert len(encode_jpeg(faces()[0], 50)) < len(encode_jpeg(faces()[0], pictures.QUALITY))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(BadPicture, match=r"none\.jpg: cannot read the picture: No such file"):
        read_picture(tmp_path / "none.jpg")


def test_orientation_behind_a_segment_with_a_thumbnail():
    data = encoded("RGB", "JPEG", faces()[0][:80], exif=_turned())
    at = data.find(b"\xff\xe1")
    content = b"Photoshop 3.0\0" + b"8BIM\x04\x0c\0\0" + b"\xff\xd8\xff\xdb" + bytes(1 << 15)
    longer = data[:at] + 3 * (b"\xff\xed" + (2 + len(content)).to_bytes(2, "big") + content) + data[at:]
    assert decode(longer).shape == (112, 80, 3)
    assert np.array_equal(decode(longer), decode(data))
    assert size_of(longer) == (112, 80)


def _turned() -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif
