"""A tiny set in exactly the layout of each named data set, made of relief faces."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from stored_examples import jpegs, write_mat, write_rec

from aifr_lib.data.formats.insightface_bin import write_bin
from aifr_lib.data.named.table import table

AGES = (20, 50, 30)
PEOPLE = ("Zoë_Ångström", "Bob_Lee", "Ann_May", "Cy_Two")
LOOSE = "38.29 51.70 73.53 51.50 56.03 71.74 41.55 92.37 70.73 92.20"


def picture(path: Path, number: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(jpegs()[number % len(jpegs())])


def text(path: Path, *lines: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def rec(root: Path) -> None:
    write_rec(root / "train.rec")


def packed(name: str) -> Callable[[Path], None]:
    return lambda root: write_bin(root / name, jpegs() * 10, [pair % 2 == 0 for pair in range(30)])


def named_by(name: Callable[[int, str, int], str]) -> Callable[[Path], None]:
    """Pictures called ``name(number, person, age)``, upper and lower case endings in turns."""

    def make(root: Path) -> None:
        for number in range(len(PEOPLE) * len(AGES)):
            person = PEOPLE[number // len(AGES)]
            called = name(number, person, AGES[number % len(AGES)])
            picture(root / (called.replace(".jpg", ".JPG") if number % 2 else called), number)

    return make


def lfw(root: Path) -> None:
    for number, person in enumerate(PEOPLE):
        for k in (1, 2):
            picture(root / person / f"{person}_{k:04d}.jpg", number + k)
    a, b = PEOPLE[:2]
    text(root / "pairs.txt", "10\t1", *[f"{a}\t1\t2", f"{a}\t1\t{b}\t2"] * 10)


def two_lines(name: str, positive: Callable[[int], int]) -> Callable[[Path], None]:
    def make(root: Path) -> None:
        for person in PEOPLE:
            for k in (1, 2):
                picture(root / "aligned images" / f"{person}_{k:04d}.jpg", k)
        a, b = PEOPLE[:2]
        same = [line for k in range(20) for line in (f"{a}_0001.jpg\t{positive(k)}", f"{a}_0002.jpg\t{positive(k)}")]
        other = [line for _ in range(20) for line in (f"{a}_0001.jpg\t0", f"{b}_0001.jpg\t0")]
        text(root / name, *same, *other)

    return make


def cfp(root: Path) -> None:
    shots = {"frontal": range(1, 3), "profile": range(1, 3)}
    for view, numbers in shots.items():
        files = [f"Data/Images/{p:03d}/{view}/{k:02d}.jpg" for p in (1, 2) for k in numbers]
        for number, file in enumerate(files):
            picture(root / file, number)
        listed = [f"{number} ../{file}" for number, file in enumerate(files, 1)]
        text(root / "Protocol" / f"Pair_list_{view[0].upper()}.txt", *listed)
    for fold in range(1, 11):
        text(root / f"Protocol/Split/FP/{fold:02d}/same.txt", "1,1", "2,2")
        text(root / f"Protocol/Split/FP/{fold:02d}/diff.txt", "1,3", "4,2")


def cacd_vs(root: Path) -> None:
    for pair in (0, 1, 200, 399, 400, 3999):
        for side in (0, 1):
            picture(root / f"{pair:04d}_{side}.jpg", pair + side)


def imdb_wiki(root: Path) -> None:
    for part in ("imdb", "wiki"):
        for number in range(2):
            picture(root / f"{part}_crop" / f"0{number}/nm{number}.jpg", number)
        write_mat(root / f"{part}_crop" / f"{part}.mat", part)


def megaface_pack(kind: str) -> Callable[[Path], None]:
    def make(root: Path) -> None:
        names = ["Adam Brody/Adam_Brody_1.png", "Adam Brody/Adam_Brody_2.png", "Zoë Å/Zoë_1.png"]
        if kind == "megaface":
            names = ["719/71930300@N08/1.jpg_0.jpg", "719/71930300@N08/2.jpg_0.jpg", "720/7@N01/1.jpg_0.jpg"]
        for number, name in enumerate(names):
            picture(root / f"{kind}_images" / name, number)
        text(root / f"{kind}_lst", *names)
        noisy = names[1] if kind == "megaface" else names[1].split("/")[1]
        text(root / f"{kind}_noises.txt", "# noise", f"7\t{noisy}" if kind == "megaface" else noisy)

    return make


def ijb(name: str) -> Callable[[Path], None]:
    def make(root: Path) -> None:
        for number in range(1, 5):
            picture(root / "loose_crop" / f"{number}.jpg", number)
        text(root / f"meta/{name}_face_tid_mid.txt", "1.jpg 1 11", "2.jpg 1 12", "3.jpg 2 13", "4.jpg 3 14")
        text(root / f"meta/{name}_template_pair_label.txt", "1 2 1", "1 3 0")
        text(root / f"meta/{name}_name_5pts_score.txt", *[f"{k}.jpg {LOOSE} 0.9{k}" for k in range(1, 5)])

    return make


def disfa(root: Path) -> None:
    for subject in ("SN001", "SN002"):
        for frame in range(1, 5):
            picture(root / f"Frames_RightCamera/{subject}/{frame:04d}.jpg", frame)
        for unit in (1, 2, 4, 5, 6, 9, 12, 15, 17, 20, 25, 26):
            lines = [f"{frame},{(frame + unit) % 6}" for frame in range(1, 5)]
            text(root / f"ActionUnit_Labels/{subject}/{subject}_au{unit}.txt", *lines)


def edema(root: Path) -> None:
    rows = []
    for subject in ("p1", "p2"):
        for day in ("d1", "d2"):
            for phase, kilograms in (("pre", 71.5), ("post", 69.0)):
                rows.append(f"{subject},{day},{phase},{kilograms}")
                for k in range(2):
                    picture(root / subject / day / phase / f"{k}.jpg", k)
    text(root / "weights.csv", "subject,day,phase,kilograms", *rows)


def _thirty(number: int, person: str, age: int) -> str:
    return f"{number}_{person.replace('_', '')}_{age}_{'fm'[number % 2]}.jpg"


MAKERS: dict[str, Callable[[Path], None]] = {
    "ms1mv2": rec,
    "ms1mv3": rec,
    "webface4m": rec,
    "casia-webface": rec,
    "imdb-wiki": imdb_wiki,
    "lfw": lfw,
    "agedb": named_by(_thirty),
    "agedb-30": packed("agedb_30.bin"),
    "calfw": two_lines("pairs_CALFW.txt", lambda k: k // 2 + 1),
    "cplfw": two_lines("pairs_CPLFW.txt", lambda k: 1),
    "cfp-fp": cfp,
    "cacd": named_by(lambda number, person, age: f"{age}_{person}_{number:04d}.jpg"),
    "cacd-vs": cacd_vs,
    "morph": named_by(lambda number, person, age: f"{number // 3:06d}_{number % 3}{'MF'[number % 2]}{age}.jpg"),
    "fgnet": named_by(lambda number, person, age: f"images/{number // 3 + 1:03d}A{age:02d}.jpg"),
    "utkface": named_by(lambda number, person, age: f"{age}_{number % 2}_{number % 5}_2017{number:04d}.jpg.chip.jpg"),
    "facescrub": megaface_pack("facescrub"),
    "megaface": megaface_pack("megaface"),
    "ijbb": ijb("ijbb"),
    "ijbc": ijb("ijbc"),
    "disfa": disfa,
    "edema-a": edema,
    "edema-b": edema,
    "longitudinal": named_by(lambda number, person, age: f"{person}/{age}_{number}.jpg"),
}


def write(name: str, data: Path) -> Path:
    """The set ``name`` below the folder ``data``; returns its folder."""
    entry = table()[name]
    root = data / (entry.folder or name)
    root.mkdir(parents=True, exist_ok=True)
    MAKERS[name](root)
    return root
