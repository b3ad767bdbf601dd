"""Structured logs: JSON lines for machines, short coloured lines on a terminal. Never a token, a key or a payload."""

from __future__ import annotations

import logging
import os
import sys

import structlog
from structlog.typing import Processor

STEPS: list[Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.processors.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.StackInfoRenderer(),
]


def set_up_logs() -> None:
    is_terminal = sys.stderr.isatty()
    last: list[Processor] = (
        [structlog.dev.ConsoleRenderer()] if is_terminal else [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    )
    level = logging.DEBUG if os.environ.get("WATCHKEEPER_TRACE") == "1" else logging.INFO
    structlog.configure(
        processors=[*STEPS, *last],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s %(message)s")
