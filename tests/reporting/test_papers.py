from pathlib import Path

import pytest
import yaml

from aifr_lib.names import ConfigError
from aifr_lib.reporting import contents, papers

TABLES = [entry for entry in papers.index() if entry.is_table]
FOLDER = Path(papers.__file__).parent


def test_index_holds_27_tables_and_19_figures():
    assert (len(TABLES), len(papers.index()) - len(TABLES)) == (27, 19)
    assert len({entry.id for entry in papers.index()}) == 46
    assert {path.stem for path in FOLDER.glob("*.yaml")} == {"index", *(entry.id for entry in TABLES)}


@pytest.mark.parametrize("entry", TABLES, ids=lambda entry: entry.id)
def test_every_table_follows_the_schema_and_the_index_counts_it(entry):
    table = papers.load(entry.id)
    assert (table.id, table.paper, table.source, table.at_hand) == (
        *(entry.id, entry.paper, entry.source, entry.at_hand),
    )
    assert (len(table.rows), len(table.flags)) == (entry.rows, entry.flags)


def test_every_number_is_carried_over():
    numbers = [
        cell
        for entry in TABLES
        for row in papers.load(entry.id).rows
        for column, cell in row.items()
        if column in papers.load(entry.id).columns and isinstance(cell, float)
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


def test_claims_are_carried_over():
    assert sum(len(papers.load(entry.id).claims) for entry in TABLES) == 31
    chain = papers.load("aad_table2").claims[0]
    assert chain.order == ["aad", "ad", "l2", "self"]
    assert chain.exceptions_strict["ad>l2"] == ["MV2/FGNET_LOO: ad=93.01 vs l2=93.41"]


def test_unknown_names_get_the_nearest():
    with pytest.raises(ConfigError, match="did you mean 'tml_table2'"):
        papers.load("tml_tabel2")
    with pytest.raises(ConfigError, match="did you mean 'AgeDB'"):
        papers.value("tml_table2", {"base": "arcface"}, "AgeDb")
    with pytest.raises(ConfigError, match="found 2 of 10"):
        papers.value("tml_table2", {"base": "arcface", "transformer": True}, "LFW")
    with pytest.raises(ConfigError, match="did you mean 'tml_fig6'"):
        contents.find("tml_fig66")


@pytest.mark.parametrize("change", [{"sorce": "x"}, {"rows": [{"loss": "x"}]}, {"paper": "XML"}, {"flags": [{}]}])
def test_a_file_against_the_schema_is_refused(change, monkeypatch, tmp_path):
    values = yaml.safe_load((FOLDER / "tml_table1.yaml").read_text(encoding="utf-8"))
    (tmp_path / "tml_table1.yaml").write_text(yaml.safe_dump({**values, **change}))
    monkeypatch.setattr(papers, "_path", lambda name: tmp_path / f"{name}.yaml")
    with pytest.raises(ConfigError, match=r"tml_table1\.yaml"):
        papers.load.__wrapped__("tml_table1")


def test_contents_hold_every_id_of_the_papers_and_the_own_pages():
    listed = {content.id: content.paper for content in contents.load()}
    assert {id: paper for id, paper in listed.items() if paper} == {entry.id: entry.paper for entry in papers.index()}
    assert {"tour", "real_photographs"} <= {id for id, paper in listed.items() if paper is None}
    assert contents.find("tour").notebook == "00_start_here"


def test_a_notebook_that_is_not_there_is_planned(tmp_path, monkeypatch):
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "notebooks" / "tml_alpha_sweep.py").touch()
    monkeypatch.setattr(contents, "repository_root", lambda: tmp_path)
    assert not contents.find("tml_fig6").planned
    assert contents.find("tml_table4").planned
