"""How often Python looks for cycles in what a long-running process holds."""

from __future__ import annotations

import gc


def collect_seldom() -> None:
    """Called once everything is imported: what is there then is never looked at again, the rest after 20,000 new objects instead of 700.

    The worker makes thousands of short-lived rows at a time: a sixth of its work was this search (tests/faults/test_thirty_days.py).
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 100)
