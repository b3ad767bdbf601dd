"""The REST interface inside the test: Django's client, keys for the whole cast."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.platform import Platform
from tests.receiver import Receiver
from watchkeeper.core.clock import ManualClock


@pytest.fixture
def platform(db: None, clock: ManualClock, tmp_path: Path) -> Iterator[Platform]:
    with Receiver() as receiver:
        yield Platform(clock, tmp_path, receiver=receiver)
