"""Small valid files of every format, made of relief faces, for tests, fuzzing and benchmarks."""

from __future__ import annotations

import io
import json
import pickle
import struct
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import scipy.io
from PIL import Image

from aifr_lib.data.formats import image_records, megaface, recordio
from aifr_lib.data.formats.faults import BadFile
from aifr_lib.data.formats.image_records import Labelled
from aifr_lib.data.formats.pictures import encode_jpeg
from aifr_lib.faces.relief import Faces, render


@lru_cache(maxsize=1)
def faces(people: int = 3, each: int = 2) -> np.ndarray:
    """uint8 [people × each, 112, 112, 3]; pictures of one person stand together."""
    seeds = np.repeat(np.arange(people), each).tolist()
    ages = [10.0 + 12 * k for k in range(len(seeds))]
    return render(Faces.sample(seeds, ages, list(range(len(seeds)))), 112).numpy()


@lru_cache(maxsize=1)
def jpegs() -> list[bytes]:
    """The faces as JPEG."""
    return [encode_jpeg(face) for face in faces()]


def labelled() -> list[Labelled]:
    """The faces for a ``.rec``: two pictures a person, ages known."""
    return [Labelled(data, row // 2, 10.0 + 12 * row, row % 2) for row, data in enumerate(jpegs())]


def write_rec(path: Path, *, idx: bool = True, label_record: bool = True) -> Path:
    items = labelled()
    image_records.write(path, iter(items), len(items), size=(112, 112), label_record=label_record, progress=False)
    if not idx:
        path.with_suffix(".idx").unlink()
    return path


def write_rows(path: Path) -> Path:
    """A ``.rec`` of a few bytes: records whole and in parts, with one label and with three, a label record first."""
    with path.open("wb") as file:
        recordio.write_record(file, recordio.pack([4.0, 6.0], 0, b""))
        recordio.write_record(file, recordio.pack(0.0, 1, b"x"))
        recordio.write_record(file, recordio.pack([1.0, 30.0, 1.0], 2, b"yz", image_records.AGED))
        recordio.write_record(file, recordio.pack(1.0, 3, recordio.MAGIC_BYTES))
    return path


def write_mat(path: Path, part: str) -> Path:
    """``imdb.mat`` or ``wiki.mat`` of five pictures, of which the first two can be used."""
    rows = [
        # born (MATLAB's day), taken, gender, score, second score: the last three cannot be used
        (719529.0, 2000, 1.0, 3.0, np.nan),
        (719529.0 + 3652, 2010, 0.0, 2.5, np.nan),
        (719529.0, 1960, np.nan, 3.0, np.nan),
        (719529.0, 2000, 1.0, -np.inf, np.nan),
        (719529.0, 2000, 1.0, 3.0, 2.0),
    ]
    born, taken, gender, score, second = map(np.array, zip(*rows, strict=True))
    columns = {
        "dob": born.astype(np.int32),
        "photo_taken": taken.astype(np.uint16),
        "full_path": np.array([f"0{k}/nm{k}.jpg" for k in range(len(rows))], dtype=object),
        "gender": gender,
        "name": np.array(["Zoë Å", "Bob", "Bob", "Bob", "Bob"], dtype=object),
        "face_score": score,
        "second_face_score": second,
    }
    scipy.io.savemat(path, {part: columns})
    return path


def write_weights(path: Path) -> Path:
    """Weights by name, pickled as Caffe's converters do."""
    path.write_bytes(pickle.dumps({"conv": np.ones((2, 3), np.float32), b"bias": np.arange(3)}, 2))
    return path


def feature_file(path: Path, values: Any) -> None:
    """A feature file of MegaFace as its development kit writes it: dimension, 1, 4, 5, then the numbers."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(struct.pack(f"<4i{len(values)}f", len(values), 1, 4, 5, *values))


def encoded(mode: str, kind: str, pixels: np.ndarray | None = None, **options: Any) -> bytes:
    """A face in a mode of Pillow and a file format."""
    out = io.BytesIO()
    Image.fromarray(faces()[0] if pixels is None else pixels).convert(mode).save(out, kind, **options)
    return out.getvalue()


def _exif(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def pickled(protocol: int, arrays: bool) -> bytes:
    """A ``.bin`` of three pairs; arrays are shrunk to 28 pixels to keep it small."""
    pictures = [face[::4, ::4].copy() for face in faces()] if arrays else jpegs()
    return pickle.dumps((pictures, [True, False, True]), protocol)


def python_2_bin() -> bytes:
    """The text pickle (protocol 0) that Python 2 makes of (list of str, list of bool)."""
    strings = "".join(f"S{repr(data)[1:]}\np{number}\na" for number, data in enumerate(jpegs()))
    return f"((lp90\n{strings}(lp91\nI01\naI00\naI01\natp92\n.".encode("ascii")


def examples() -> dict[str, bytes]:
    """Valid content of every text, picture and pickle format, by file name."""
    head = "10\t1\n" + "".join(f"Zoë_Ångström\t1\t{n + 1}\nAnn\t1\tBob\t{n}\n" for n in range(1, 11))
    files = {
        "pairs.txt": head.encode(),
        "pairs.csv": b'a,b,same,fold\na.jpg,b.jpg,1,0\n"c,d.jpg",e.jpg,0,1\n',
        "list.txt": "0\tann/å 1.jpg\t31.5\t1\n0\tann/2.jpg\t60\t1\n1\tbob/1.jpg\n".encode(),
        "media.txt": b"1.jpg 1 69544\n2.jpg 1 69544\n3.jpg 7 11\n",
        "template_pairs.txt": b"1 7 0\n1 1 1\n",
        "points.txt": b"1.jpg 38.3 51.7 73.5 51.5 56.0 71.7 41.5 92.4 70.7 92.2 0.998\n",
        "kit.json": json.dumps({"path": ["a/1.jpg", "b/2.jpg"], "id": ["a", "b"]}).encode(),
        "face_feature.bin": megaface.HEAD.pack(8, 1, 4, 5) + np.linspace(-1, 1, 8).astype("<f4").tobytes(),
        "property": b"3,112,112\n",
        "face.jpg": jpegs()[0],
        "grey.jpg": encoded("L", "JPEG"),
        "cmyk.jpg": encoded("CMYK", "JPEG"),
        "turned.jpg": encoded("RGB", "JPEG", exif=_exif(6)),
        "progressive.jpg": encoded("RGB", "JPEG", progressive=True),
        "face.png": encoded("RGB", "PNG", faces()[0][::4, ::4].copy()),
        "palette.png": encoded("P", "PNG", faces()[0][::4, ::4].copy()),
        "face.bmp": encoded("RGB", "BMP", faces()[0][::8, ::8].copy()),
    }
    for protocol in range(6):
        files[f"bytes{protocol}.bin"] = pickled(protocol, arrays=False)
        files[f"arrays{protocol}.bin"] = pickled(protocol, arrays=True)
    files["python2.bin"] = python_2_bin()
    return files


Reader = Callable[[Path], Any]


def readers() -> dict[str, tuple[Callable[[Path], Path], Reader]]:
    """By format: how to write a valid file into a folder, and how to read all of a file."""
    from aifr_lib.data import sets
    from aifr_lib.data.formats import ijb, image_list, insightface_bin, pair_lists, pictures, safe_pickle
    from aifr_lib.data.formats.stored import pixels_of
    from aifr_lib.data.named.annotated import read_mat
    from aifr_lib.data.sets import check

    def from_examples(name: str) -> Callable[[Path], Path]:
        def make(folder: Path) -> Path:
            path = folder / name
            path.write_bytes(examples()[name])
            return path

        return make

    def whole_rec(path: Path) -> Any:
        images = sets.load(path, progress=False)
        return images.pixels[:]

    def whole_bin(path: Path) -> Any:
        stored, same = insightface_bin.read_bin(path)
        return [pixels_of(picture) for picture in stored[:2]], same

    def rows(path: Path) -> Any:
        return image_records.read_table(path, progress=False)

    def weights(path: Path) -> Any:
        try:
            return safe_pickle.arrays(path.read_bytes())
        except safe_pickle.Forbidden as error:
            raise BadFile(str(error), path) from None

    def by_idx(path: Path) -> Any:
        return whole_rec(path.with_suffix(".rec"))

    def checked(path: Path) -> Any:
        rec = path.with_suffix(".rec") if path.suffix == ".idx" else path
        return [str(fault) for fault in check.check(rec, progress=False)]

    read = {
        "pairs.txt": pair_lists.read_pairs,
        "pairs.csv": pair_lists.read_pairs,
        "list.txt": image_list.read_image_list,
        "media.txt": ijb.read_media,
        "template_pairs.txt": ijb.read_template_pairs,
        "points.txt": ijb.read_landmarks,
        "kit.json": megaface.read_list,
        "face_feature.bin": megaface.read_features,
        "property": recordio.read_property,
    }
    table = {name: (from_examples(name), reader) for name, reader in read.items()}
    for name in examples():
        if name.endswith((".jpg", ".png", ".bmp")):
            table[name] = (from_examples(name), pictures.read_picture)
        elif name.endswith(".bin") and "feature" not in name:
            table[name] = (from_examples(name), whole_bin)
    table["train.rec"] = (lambda folder: write_rec(folder / "train.rec"), whole_rec)
    table["bare.rec"] = (lambda folder: write_rec(folder / "bare.rec", idx=False, label_record=False), whole_rec)
    table["train.idx"] = (lambda folder: write_rec(folder / "train.rec").with_suffix(".idx"), by_idx)
    table["rows.rec"] = (lambda folder: write_rows(folder / "rows.rec"), rows)
    table["wiki.mat"] = (lambda folder: write_mat(folder / "wiki.mat", "wiki"), lambda path: read_mat(path, "wiki"))
    table["weights.pkl"] = (lambda folder: write_weights(folder / "weights.pkl"), weights)
    for name in ("train.rec", "bare.rec", "train.idx", "list.txt", "pairs.txt", "bytes4.bin", "points.txt"):
        table[f"check {name}"] = (table[name][0], checked)
    table["kind of list.txt"] = (table["list.txt"][0], sets.kind_of)
    return table


def damage(data: bytes, random: np.random.Generator) -> bytes:
    """``data`` with a few bits flipped, cut, doubled, zeroed, or a number in it made enormous."""
    out = bytearray(data)
    for _ in range(int(random.integers(1, 4))):
        size = len(out)
        if not size:
            break
        at = int(random.integers(size))
        length = int(random.integers(1, 17))
        kind = int(random.integers(8))
        if kind <= 2:
            out[at] ^= 1 << int(random.integers(8))
        elif kind == 3:
            out[at] = int(random.integers(256))
        elif kind == 4:
            del out[at if random.random() < 0.5 else int(random.integers(min(size, 40))) :]
        elif kind == 5:
            del out[at : at + length]
        elif kind == 6:
            out[at:at] = out[at : at + length] if random.random() < 0.5 else random.bytes(length)
        else:
            huge = random.choice([0xFFFFFFFF, 0x7FFFFFFF, 0x80000000, 0x1FFFFFFF, 0])
            out[at : at + 4] = int(huge).to_bytes(4, "little" if random.random() < 0.5 else "big")
    return bytes(out)
