"""Relief faces: parameters in, pictures of people who do not exist out."""

from aifr_lib.faces.relief.parameters import Faces
from aifr_lib.faces.relief.picture import check_size, landmarks, regions, render, sensitivity

__all__ = ["Faces", "check_size", "landmarks", "regions", "render", "sensitivity"]
