"""Profiles and statistics put together: what risks, pages, the library and `watchkeeper check` all say with the same words. Knows no Django."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from watchkeeper.analysis.check import check_files, check_tables
    from watchkeeper.analysis.check_report import CheckLimits, CheckReport
    from watchkeeper.analysis.files import CannotCheck

__all__ = ["CannotCheck", "CheckLimits", "CheckReport", "check_files", "check_tables"]
_HOMES = {"CannotCheck": "files", "CheckLimits": "check_report", "CheckReport": "check_report", "check_files": "check", "check_tables": "check"}


def __getattr__(name: str) -> Any:  # Any: whichever of __all__
    """The risks import this package and read no files: what does is loaded when it is asked for."""
    if name not in _HOMES:
        raise AttributeError(f"module 'watchkeeper.analysis' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"watchkeeper.analysis.{_HOMES[name]}"), name)
