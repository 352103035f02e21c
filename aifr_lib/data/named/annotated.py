"""Named sets whose labels stand in files beside the pictures: IMDB-WIKI, DISFA, Edema, MegaFace."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from aifr_lib.data.formats import mat
from aifr_lib.data.formats.faults import BadFile, Doubt
from aifr_lib.data.formats.folder import below, key, numbered
from aifr_lib.data.formats.image_list import inside
from aifr_lib.data.formats.lines import OnFault, parsed, whole
from aifr_lib.data.formats.lines import numbered as lines
from aifr_lib.data.images import OLDEST, UNKNOWN, Images
from aifr_lib.data.named import fgnet, orl
from aifr_lib.data.named.listings import Listing, check_ages, counted, images_of, named_pictures
from aifr_lib.data.named.table import NamedSet

LOG = logging.getLogger(__name__)
EPOCH = 719_529  # MATLAB's number of 1 January 1970
LABELLED = tuple(f"au{unit}" for unit in (1, 2, 4, 5, 6, 9, 12, 15, 17, 20, 25, 26))
OWN = {fgnet.NAME: fgnet, orl.NAME: orl}


def own(entry: NamedSet, root: Path, fault: OnFault) -> Listing:
    """FG-NET and ORL, which have readers of their own."""
    list(below(root, fault))  # its faults alone are wanted here
    module = OWN[entry.name]
    labels = fgnet.table(fault) if module is fgnet else orl.table()
    check_ages(labels, fault)
    return Listing(labels, counted(labels), lambda progress: module.load(progress=progress))


def imdb_wiki(entry: NamedSet, root: Path, fault: OnFault) -> Listing:
    """The list for training on ages: one face found, no second one, an age of 0 … 120 (inferred rule; see ``usable``).

    The age is that on July 1st of the year in which the picture was taken, as the makers count. How many pictures are
    left out is logged; their files need not be there. People are those of one name.
    """
    parts = []
    for part in ("imdb", "wiki"):
        path = root / f"{part}_crop" / f"{part}.mat"
        try:
            parts += [read_mat(path, part)] if path.is_file() else []
        except BadFile as error:
            fault(error)
    if not parts:
        return nothing(entry, root)
    rows = pd.concat(parts, ignore_index=True)
    good = usable(rows)
    LOG.info(
        "%s: %d of %d rows are left out (no or several faces, an age that cannot be)", root, (~good).sum(), len(rows)
    )
    kept = rows[good].drop_duplicates("file", ignore_index=True)
    # By their keys: crops that were aligned ahead are PNG files.
    there = {key(name): name for name in below(root, fault)}
    kept["file"] = kept["file"].map(lambda name: there.get(key(name), name))
    for file in kept["file"][~kept["file"].isin(there.values())]:
        fault(BadFile("the .mat lists this picture, and it is not there", root / file))
    labels = pd.DataFrame(
        {
            "record": kept["file"].map(key),
            "identity": numbered(kept["name"]),
            "subject": kept["name"],
            "age": kept["age"],
            "gender": kept["gender"].fillna(UNKNOWN).astype(int),
            "path": kept["file"].map(lambda name: str(root / name)),
        }
    )
    counts = {"pictures": len(rows)}
    return Listing(labels, counts, lambda progress: images_of(entry, root, labels, progress))


def usable(rows: pd.DataFrame) -> np.ndarray:
    """Which rows of ``read_mat`` serve: bool [N]."""
    one_face = np.isfinite(rows["face_score"]) & ~np.isfinite(rows["second_face_score"])
    return (one_face & rows["age"].between(0, OLDEST)).to_numpy()


def read_mat(path: Path, part: str) -> pd.DataFrame:
    """``imdb.mat`` or ``wiki.mat``: file (below the set's folder), name, age, gender, the scores of two faces.

    Errors: BadFile for a file that is no such table.
    """
    columns = mat.read_struct(path, part)
    if missing := [name for name in MAT_COLUMNS if name not in columns]:
        raise BadFile(f"the table '{part}' lacks {', '.join(missing)}", path)
    for name in MAT_COLUMNS:
        if not isinstance(columns[name], list if name in MAT_TEXTS else np.ndarray):
            raise BadFile(f"the column {name} must hold {'text' if name in MAT_TEXTS else 'numbers'}", path)
    if len({len(columns[name]) for name in MAT_COLUMNS}) != 1:
        raise BadFile("its columns differ in length", path)
    try:
        files = [f"{part}_crop/{inside(name if isinstance(name, str) else '')}" for name in columns["full_path"]]
    except BadFile as error:
        raise BadFile(error.problem, path) from None
    with np.errstate(invalid="ignore"):  # damaged numbers become unknown ages
        taken = np.where(np.isin(columns["photo_taken"], YEARS), columns["photo_taken"], np.nan)
        july = np.nan_to_num(taken - 1970).astype(np.int64).astype("datetime64[Y]").astype("datetime64[M]") + 6
        summer = np.where(np.isnan(taken), np.nan, july.astype("datetime64[D]").astype(np.int64) + EPOCH)
        ages = np.floor((summer - columns["dob"]) / 365.25)
    return pd.DataFrame(
        {
            "file": files,
            "name": [str(name) if isinstance(name, str) else "" for name in columns["name"]],
            "age": ages,
            "gender": columns["gender"],
            "face_score": columns["face_score"],
            "second_face_score": columns["second_face_score"],
        }
    )


MAT_COLUMNS = ("dob", "photo_taken", "full_path", "gender", "name", "face_score", "second_face_score")
MAT_TEXTS = ("full_path", "name")
YEARS = np.arange(1, 10_000)


def disfa(entry: NamedSet, root: Path, fault: OnFault) -> Listing:
    """Frames of the right camera and their action units 0 … 5, au1 … au26. A frame without labels is a fault."""
    labels = named_pictures(entry, root, fault)
    labels["frame"] = pd.to_numeric(labels["frame"])
    for unit in LABELLED:
        labels[unit] = np.nan
    for subject, rows in labels.groupby("subject").groups.items():
        for unit in LABELLED:
            path = root / "ActionUnit_Labels" / str(subject) / f"{subject}_{unit}.txt"
            if not path.is_file():
                fault(BadFile("this file of labels is missing", path))
                continue
            intensity = dict(parsed(path, _intensity, fault))
            labels.loc[rows, unit] = labels.loc[rows, "frame"].map(intensity)
            if absent := [str(frame) for frame in labels.loc[rows, "frame"] if frame not in intensity]:
                fault(BadFile(f"no label for {len(absent)} frames: {', '.join(absent[:5])}", path))
    labels = labels[labels[list(LABELLED)].notna().all(axis=1)].reset_index(drop=True)
    return Listing(labels, counted(labels), lambda progress: images_of(entry, root, labels, progress))


def _intensity(text: str) -> tuple[int, float]:
    frame, _, value = text.partition(",")
    intensity = whole(value.strip(), "the intensity")
    if intensity > 5:
        raise BadFile(f"an intensity of 0 to 5 was expected, found {intensity}")
    return whole(frame.strip(), "the frame"), float(intensity)


def edema(entry: NamedSet, root: Path, fault: OnFault) -> Listing:
    """Pictures by subject, day and phase, and the weight in kilograms of each such sitting."""
    labels = named_pictures(entry, root, fault)
    path = root / "weights.csv"
    weights = _weights(path, fault) if path.is_file() else {}
    sittings = list(zip(labels["subject"], labels["day"], labels["phase"].str.lower(), strict=True))
    for sitting in dict.fromkeys(sitting for sitting in sittings if sitting not in weights):
        fault(BadFile(f"no weight for subject, day, phase {', '.join(sitting)}", path))
    labels["phase"] = labels["phase"].str.lower()
    labels["kilograms"] = [weights.get(sitting, np.nan) for sitting in sittings]
    labels = labels[labels["kilograms"].notna()].reset_index(drop=True)
    return Listing(labels, counted(labels), lambda progress: images_of(entry, root, labels, progress))


def _weights(path: Path, fault: OnFault) -> dict[tuple[str, ...], float]:
    rows = ((number, [field.strip() for field in text.split(",")]) for number, text in lines(path))
    if next(rows, (0, []))[1] != ["subject", "day", "phase", "kilograms"]:
        fault(BadFile("the columns subject,day,phase,kilograms were expected", path, "line 1"))
        return {}
    weights: dict[tuple[str, ...], float] = {}
    for number, fields in rows:
        try:
            *sitting, kilograms = fields
            value = float(kilograms)
            if len(sitting) != 3 or not 0 < value < 500:
                raise ValueError
        except ValueError:
            fault(BadFile("subject,day,phase,kilograms (0 to 500) were expected", path, f"line {number}"))
            continue
        if tuple(sitting) in weights:
            fault(BadFile(f"{', '.join(sitting)} stands more than once", path, f"line {number}"))
        weights.setdefault(tuple(sitting), value)
    return weights


def listed(entry: NamedSet, root: Path, fault: OnFault) -> Listing:
    """Pictures that a list of MegaFace's test pack names, a path a line; ``noisy``, where a second list is there: it
    calls the picture so.
    """
    assert entry.listed is not None
    folder, path = root / entry.listed.pictures, root / entry.listed.list
    names = list(parsed(path, lambda text: inside(text.strip()), fault)) if path.is_file() else []
    there = {key(name): root / name for name in below(root, fault, entry.listed.pictures)} if names else {}
    places = [there.get(key(f"{entry.listed.pictures}/{name}"), folder / name) for name in names]
    for place in sorted(set(places) - set(there.values())):
        fault(BadFile(f"{path.name} lists this picture, and it is not there", place))
    labels = pd.DataFrame(
        {
            "record": [key(name) for name in names],
            "subject": [name.rpartition("/")[0] for name in names],
            "age": np.nan,
            "path": list(map(str, places)),
        }
    )
    labels["identity"] = numbered(labels["subject"])
    if (root / entry.listed.noisy).is_file():
        labels["noisy"] = _noisy(names, root / entry.listed.noisy, fault)
    return Listing(labels, {"pictures": len(labels)}, lambda progress: images_of(entry, root, labels, progress))


def _noisy(names: Sequence[str], path: Path, fault: OnFault) -> list[bool]:
    """Whether a list of noise names a picture; its lines may begin with a number and a tab, or be remarks (#)."""
    noise = {_plain(text.strip().split("\t")[-1]): number for number, text in lines(path) if not text.startswith("#")}
    called = [{_plain(name), _plain(Path(name).name)} & noise.keys() for name in names]
    if unlisted := noise.keys() - set().union(*called):
        kind = BadFile if len(unlisted) == len(noise) else Doubt
        first = f"line {min(noise[name] for name in unlisted)}"
        fault(kind(f"{len(unlisted)} of {len(noise)} lines name no listed picture, first this one", path, first))
    return [bool(one) for one in called]


def _plain(name: str) -> str:
    return key(name).replace(" ", "_")


def nothing(entry: NamedSet, root: Path) -> Listing:
    """Of a set whose annotation is missing, which is a fault already."""

    def images(progress: bool) -> Images:
        raise BadFile(f"no pictures. Expected {entry.place}", root)

    return Listing(pd.DataFrame(columns=["record", "path", "identity", "age"]), {}, images)
