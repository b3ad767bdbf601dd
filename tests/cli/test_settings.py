"""Variables of the environment are read when they say something."""

from pathlib import Path

import pytest

from watchkeeper.core.settings import Settings, data_folder


def test_an_empty_variable_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DATA", "LANGUAGE", "LABEL_DAYS"):
        monkeypatch.setenv(f"WATCHKEEPER_{name}", "")

    found = Settings()

    assert (found.data, found.language, found.label_days) == (Path("watchkeeper-data"), "en", 400)
    assert data_folder() == Path("watchkeeper-data")
