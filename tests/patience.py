"""How long a test waits for what must come.

A test goes on as soon as it has come; the limit only says when to give up, so it is one for all and fits the slowest machine. What is
slow is shown by `make bench`, never by a test that waited too long.
"""

from __future__ import annotations

import time
from collections.abc import Callable

PATIENCE = 600.0
"""Seconds."""

PROMPT = 15.0
"""Seconds in which what must not hang has ended on any machine: several times its own bound, and far from what it would hang on."""


def wait_until(is_so: Callable[[], bool], *, what: str = "") -> None:
    """Look again and again until it is so."""
    deadline = time.monotonic() + PATIENCE
    while not is_so():
        assert time.monotonic() < deadline, f"not within {PATIENCE} s: {what or is_so}"
        time.sleep(0.02)
