import pytest

from aifr_lib.experiments import page


@pytest.mark.parametrize(("preset", "said"), [("smoke", 1), ("lesson", 1), ("classroom", 0), ("paper", 0)])
def test_a_page_of_a_small_size_opens_with_a_banner(preset, said, monkeypatch):
    shown = []
    monkeypatch.setattr(page, "display", shown.append)
    assert page.open_page(preset).settings.name == preset
    assert len(shown) == said
