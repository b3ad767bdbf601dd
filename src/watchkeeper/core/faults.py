"""Named crash points: where a test kills the process. Free of charge unless WATCHKEEPER_CRASH_AT names one."""

from __future__ import annotations

import os
import signal

POINTS: tuple[str, ...] = (
    "receive: stored, before commit",
    "receive: stored, after commit",
    "apply: control rows before commit",
    "apply: control rows after commit",
    "apply: group written, not appended",
    "apply: appended, not marked",
    "apply: marked, before commit",
    "apply: marked, after commit",
    "watch: read, not stored",
    "watch: stored, before commit",
    "watch: stored, after commit",
    "evaluate: claimed, not evaluated",
    "evaluate: stored, before commit",
    "evaluate: stored, after commit",
    "seal: before commit",
    "seal: after commit",
    "deliver: claimed, not sent",
    "deliver: sent, not acknowledged",
    "deliver: acknowledged, before commit",
    "deliver: acknowledged, after commit",
)


def crash_point(name: str) -> None:
    """Kill this very process, with no chance to clean up, if the environment asks for it at this point."""
    if os.environ.get("WATCHKEEPER_CRASH_AT") == name:
        os.kill(os.getpid(), signal.SIGKILL)
