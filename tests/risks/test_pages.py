from pathlib import Path

import pytest

from watchkeeper import risks
from watchkeeper.risks import _pages

DOCS = Path(__file__).parents[2] / "docs" / "risks"


def test_the_pages_in_the_checkout_are_up_to_date() -> None:
    assert _pages.stale(DOCS, _pages.pages(_pages.built_in())) == [], "run `make docs`"


def test_every_built_in_risk_has_a_page() -> None:
    assert {f"{key}.md" for key in risks.catalogue()} >= set(_pages.pages(_pages.built_in())) - {_pages.INDEX}


def test_writing_twice_changes_nothing(tmp_path: Path) -> None:
    _pages.main([str(tmp_path)])
    first = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    _pages.main([str(tmp_path)])

    assert first == {path.name: path.read_bytes() for path in tmp_path.iterdir()}


def test_the_check_names_what_is_out_of_date_and_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _pages.main([str(tmp_path)])
    (tmp_path / "no_owner.md").write_text("edited by hand")
    (tmp_path / "left_over.md").write_text("a risk that is gone")

    assert _pages.main([str(tmp_path), "--check"]) == 1
    assert "left_over.md, no_owner.md" in capsys.readouterr().err
    assert (tmp_path / "no_owner.md").read_text() == "edited by hand"


def test_writing_removes_the_page_of_a_risk_that_is_gone(tmp_path: Path) -> None:
    (tmp_path / "left_over.md").write_text("a risk that is gone")

    _pages.main([str(tmp_path)])

    assert _pages.main([str(tmp_path), "--check"]) == 0
    assert not (tmp_path / "left_over.md").exists()
