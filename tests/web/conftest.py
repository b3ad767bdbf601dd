"""Pages are asked for by the cast of the platform."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.platform import Platform
from watchkeeper.core.clock import ManualClock


@pytest.fixture
def platform(db: None, clock: ManualClock, tmp_path: Path) -> Platform:
    return Platform(clock, tmp_path)
