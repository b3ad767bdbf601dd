"""Pages are asked for by the cast of the platform, and read its clock."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.test import Client

from tests.platform import Platform
from watchkeeper.core.clock import ManualClock
from watchkeeper.web import page


@pytest.fixture
def platform(db: None, clock: ManualClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Platform:
    monkeypatch.setattr(page, "clock", lambda: clock)  # the border: pages read the platform's time in one place
    return Platform(clock, tmp_path)


@pytest.fixture
def owner(client: Client, platform: Platform) -> Client:
    client.force_login(platform.owner)
    return client
