import pytest
import yaml

from aifr_lib.names import ConfigError
from aifr_lib.reporting import contents, papers

TABLES = sorted(papers.tables())


def test_27_tables_and_19_figures_of_four_papers():
    of_papers = [content for content in contents.load() if content.paper]
    assert (len(TABLES), len(of_papers) - len(TABLES)) == (27, 19)
    assert set(TABLES) <= {content.id for content in of_papers}
    assert {path.parent.name for path in papers.FOLDER.glob("*/*.yaml")} == set(papers.PARTS)


@pytest.mark.parametrize("id", TABLES)
def test_every_table_follows_the_schema_and_is_in_the_contents(id):
    content = contents.find(id)
    assert papers.load(id).rows and content.paper and content.source


def test_every_doubt_is_carried_over():
    assert sum(len(papers.load(id).flags) for id in TABLES) == 32


def test_every_number_is_carried_over():
    numbers = [
        cell
        for id in TABLES
        for row in papers.load(id).rows
        for column, cell in row.items()
        if column in papers.load(id).columns and isinstance(cell, float)
    ]
    assert len(numbers) == 472
    assert sum(numbers) == pytest.approx(21120.845)


@pytest.mark.parametrize(
    ("id", "row", "column", "expected"),
    [
        ("tml_table1", {"loss": "Transformer-ArcFace"}, "LFW", 99.38),
        ("tml_table2", {"train_data": "MS1MV2", "base": "arcface", "transformer": True}, "CALFW", 96.16),
        # Flagged cells stay as printed: a rotated row, a cell out of its pattern, a value of another table.
        ("tml_table3", {"train_data": "MS1MV2", "loss": "ArcFace"}, "CPLFW", 94.25),
        ("tml_table3", {"train_data": "WebFace4M", "loss": "CosFace [40]"}, "IJBB", None),
        ("tml_table4", {"loss": "Standard ArcFace Loss"}, "inter", 5.07),
        ("aad_table2", {"backbone": "MV2", "variant": "ad"}, "FGNET_LOO", 93.01),
        ("aad_table3", {"method": "MV1-AAD"}, "FGNET_LOO", 93.71),
        ("aad_table6", {"method": "MFNR"}, "IJBC", 0.916),
        ("comface_tableJ", {"method": "ImageNet [10]"}, "AU17", -0.023),
        ("comface_tableM", {"method": "StableRep [31]"}, "EdemaB_MAE", 1.439),
        ("mtlface_table2", {"method": "MTLFace", "dataset": "FG-NET"}, "age_accuracy", None),
        ("mtlface_intext", {"name": "D_img strides"}, "value", [2, 2, 2, 2, 1, 1]),
    ],
)
def test_cells_read_off_the_papers(id, row, column, expected):
    assert papers.value(id, row, column) == expected


def test_a_rotated_row_keeps_its_correction_beside_it():
    (flag,) = [flag for flag in papers.load("tml_table3").flags if flag.kind == "columns_swapped"]
    assert flag.corrected == {"CPLFW": 92.08, "CFPFP": 98.27, "IJBB": 94.25, "IJBC": 96.03}


def test_unknown_names_get_the_nearest():
    with pytest.raises(ConfigError, match="did you mean 'tml_table2'"):
        papers.load("tml_tabel2")
    with pytest.raises(ConfigError, match="did you mean 'AgeDB'"):
        papers.value("tml_table2", {"base": "arcface"}, "AgeDb")
    with pytest.raises(ConfigError, match="found 2 of 10"):
        papers.value("tml_table2", {"base": "arcface", "transformer": True}, "LFW")
    with pytest.raises(ConfigError, match="did you mean 'tml_fig6'"):
        contents.find("tml_fig66")


@pytest.mark.parametrize(
    "change", [{"sorce": "x"}, {"rows": [{"loss": "x"}]}, {"columns": ["loss", "LWF"]}, {"flags": [{}]}]
)
def test_a_file_against_the_schema_is_refused(change, monkeypatch, tmp_path):
    values = yaml.safe_load(papers.tables()["tml_table1"].read_text(encoding="utf-8"))
    (tmp_path / "tml").mkdir()
    (tmp_path / "tml" / "table1.yaml").write_text(yaml.safe_dump({**values, **change}))
    monkeypatch.setattr(papers, "tables", lambda: {"tml_table1": tmp_path / "tml" / "table1.yaml"})
    with pytest.raises(ConfigError, match=r"papers/tml/table1\.yaml"):
        papers.load.__wrapped__("tml_table1")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("paper: TML\ncontents: {tml_fig1: {kind: gallery", r"papers/tml/paper\.yaml is not YAML"),
        ("paper: TLM\ncontents: {}", r"papers/tml/paper\.yaml: 'paper'"),
        ("paper: TML\ncontent: {}", r"unknown key 'content'; did you mean 'contents'"),
    ],
)
def test_a_paper_file_that_is_wrong_is_named(text, message, monkeypatch, tmp_path):
    (tmp_path / "tml").mkdir()
    (tmp_path / "tml" / "paper.yaml").write_text(text)
    monkeypatch.setattr(papers, "FOLDER", tmp_path)
    with pytest.raises(ConfigError, match=message):
        papers._part("tml")


def test_contents_hold_every_id_of_the_papers_and_the_own_pages():
    listed = {content.id: content.paper for content in contents.load()}
    folder = {"TML": "tml", "AAD": "aad", "ComFace": "comface", "MTLFace": "mtlface"}
    assert all(id.startswith(folder[paper]) for id, paper in listed.items() if paper)
    assert {"tour", "real_photographs"} <= {id for id, paper in listed.items() if paper is None}
    assert contents.find("tour").notebook == "00_start_here"


def test_a_notebook_that_is_not_there_is_planned(tmp_path, monkeypatch):
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "notebooks" / "tml_alpha_sweep.py").touch()
    monkeypatch.setattr(contents, "repository_root", lambda: tmp_path)
    assert not contents.find("tml_fig6").planned
    assert contents.find("tml_table4").planned
