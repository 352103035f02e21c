"""Write what the living page shows, into this folder: embeddings and pictures of people who do not exist.

Run this when the version of relief faces or the tour's network changes; it takes minutes, since the faces are drawn.

``faces.safetensors`` holds int8 embeddings [300 people, 6 ages, D] of test people, and [3, 16, D] of the strips;
``faces.webp`` the same 300 × 6 faces in rows of 60, ``strips.png`` the strips, without loss: a row a person.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.numpy import save_file

from aifr_lib.data.relief.plan import MAX_PER_IDENTITY, VERSION, people
from aifr_lib.evaluation.embeddings import embed
from aifr_lib.experiments.measure.embedders import COMMITTED, tour_network
from aifr_lib.faces.relief import Faces, render
from aifr_lib.files import atomic_write, repository_root
from aifr_lib.models import weights
from aifr_lib.settings.presets import load_preset

sys.path.append(str(Path(__file__).resolve().parents[1]))
from cover import STUDIO

HERE = Path(__file__).parent
PEOPLE, AGES = 300, (10, 20, 30, 40, 50, 60)
STRIPS, STRIP_AGES = 3, tuple(range(5, 81, 5))
COLUMNS = 60  # faces in a row of the sheet
FIRST_PICTURE = 5_000  # picture seeds beyond those of the test set
QUALITY = 50


def test_faces(count: int = PEOPLE) -> Faces:
    """Faces [count × 6]: the first people of the test split at each age, every picture with a light of its own."""
    who = people("test", count).repeat_interleave(len(AGES))
    place = torch.arange(len(AGES)).repeat(count)
    ages = [float(age) for age in AGES] * count
    return Faces.sample(who, ages, who * MAX_PER_IDENTITY + FIRST_PICTURE + place)


def strip_faces() -> Faces:
    """Faces [3 × 16]: of each person nothing changes but the years."""
    who = people("test", STRIPS).repeat_interleave(len(STRIP_AGES))
    return Faces.sample(who, [float(age) for age in STRIP_AGES] * STRIPS, who * MAX_PER_IDENTITY, **STUDIO)


def measured(faces: Faces) -> tuple[np.ndarray, np.ndarray]:
    """Pixels uint8 [N, S, S, 3] as the tour's network sees them, and its embeddings [N, D] of length 1."""
    network, trained = tour_network(load_preset("classroom"), "cpu")
    pixels = render(faces, trained.relief.size, frame="aligned").numpy()
    found = embed(network, pixels, input_hw=trained.input_hw)
    return pixels, found / np.linalg.norm(found, axis=1, keepdims=True)


def rounded(embeddings: np.ndarray) -> np.ndarray:
    """int8, each row by its own largest number: a cosine needs no scale."""
    return np.rint(127 * embeddings / np.abs(embeddings).max(axis=-1, keepdims=True)).astype(np.int8)


def sheet(pixels: np.ndarray, columns: int) -> Image.Image:
    """Pictures [N, S, S, 3] row by row."""
    rows = pixels.reshape(-1, columns, *pixels.shape[1:])
    return Image.fromarray(rows.transpose(0, 2, 1, 3, 4).reshape(-1, columns * pixels.shape[2], 3))


def write(folder: Path = HERE) -> None:
    """All three files."""
    pixels, embeddings = measured(test_faces())
    strip_pixels, strip_embeddings = measured(strip_faces())
    tables = {
        "faces": rounded(embeddings).reshape(PEOPLE, len(AGES), -1),
        "strips": rounded(strip_embeddings).reshape(STRIPS, len(STRIP_AGES), -1),
    }
    made = {"relief": VERSION, "network": weights.read_metadata(repository_root() / COMMITTED)["digest"]}
    with atomic_write(folder / "faces.safetensors") as path:
        save_file(tables, path, metadata=made)
    with atomic_write(folder / "faces.webp") as path:
        sheet(pixels, COLUMNS).save(path, "WEBP", quality=QUALITY, method=6)
    with atomic_write(folder / "strips.png") as path:
        sheet(strip_pixels, len(STRIP_AGES)).save(path, "PNG", optimize=True)


if __name__ == "__main__":
    write()
