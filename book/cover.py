"""Draw the cover, ``book/_assets/cover.jpg``; run this when the version of relief faces changes."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image

from aifr_lib.faces.relief import Faces, render
from aifr_lib.files import atomic_write

PEOPLE = ((21, 17), (18, 11))  # in rows; one smiles
AGES = (8.0, 30.0, 52.0, 74.0)
SIDE = 144
# One light from one side for all of them, so that nothing but the years changes along a person's four pictures.
STUDIO = {
    "light_azimuth": 20.0, "light_elevation": 25.0, "light_key": 0.95, "light_ambient": 0.3, "light_warmth": 0.2,
    "white_balance": [0.0, 0.0], "pose": [8.0, 0.0, 0.0], "framing": [0.0, 0.0, 0.0], "gaze_x": 0.0, "gaze_y": 0.0,
    "blur": 0.05, "noise": 0.0, "contrast": 0.0, "quality": 100.0,
}  # fmt: skip

if __name__ == "__main__":
    who = torch.tensor(PEOPLE).flatten().repeat_interleave(len(AGES))
    faces = Faces.sample(who, list(AGES) * (len(who) // len(AGES)), who * 100, **STUDIO)
    pictures = render(faces, SIDE).numpy().reshape(len(PEOPLE), -1, SIDE, SIDE, 3)
    sheet = np.concatenate([np.concatenate(list(row), axis=1) for row in pictures])
    with atomic_write(Path(__file__).parent / "_assets" / "cover.jpg") as path:
        Image.fromarray(sheet).save(path, quality=88)
