"""Draw the cover, ``book/_assets/cover.jpg``; run this when the version of relief faces changes."""

from pathlib import Path

from PIL import Image

from aifr_lib.data import relief
from aifr_lib.files import atomic_write

AGES = (5, 10, 16, 25, 40, 55, 68, 80)

if __name__ == "__main__":
    sheet = Image.fromarray(relief.sheet(identities=3, ages=AGES, size=144, seed=3))
    with atomic_write(Path(__file__).parent / "_assets" / "cover.jpg") as path:
        sheet.save(path, quality=88)
