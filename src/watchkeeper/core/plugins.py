"""Plugins by discovery: one module is one plugin, its file name is its key. Built-ins and third parties come through the same door.

Does not know what a plugin is for: the caller says how a module becomes one.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import entry_points
from types import ModuleType
from typing import TypeVar

Plugin = TypeVar("Plugin")


def plugin_modules(package: ModuleType, *, group: str) -> Iterator[tuple[str, ModuleType]]:
    """Keys and modules of a package (private names left out), then of the entry-point group. A key taken twice is an error."""
    seen: dict[str, str] = {}
    for key, module in _all_modules(package, group):
        if key in seen:
            raise LookupError(f"Two plugins are called {key!r}: {seen[key]} and {module.__name__}. Rename one of the files.")
        seen[key] = module.__name__
        yield key, module


def _all_modules(package: ModuleType, group: str) -> Iterator[tuple[str, ModuleType]]:
    for found in pkgutil.iter_modules(package.__path__):
        if not found.name.startswith("_"):
            yield found.name, importlib.import_module(f"{package.__name__}.{found.name}")
    for point in sorted(entry_points(group=group), key=lambda point: point.name):
        yield point.name, point.load()


def load_catalogue(package: ModuleType, *, group: str, build: Callable[[str, ModuleType], Plugin]) -> dict[str, Plugin]:
    """All plugins of a kind by key, sorted."""
    return {key: build(key, module) for key, module in sorted(plugin_modules(package, group=group), key=lambda pair: pair[0])}


def title_and_page(kind: str, key: str, module: ModuleType, *, parts: Sequence[str], hint: str = "") -> tuple[str, str]:
    """Of the docstring: its first line, and the rest. Raises LookupError for a module that lacks one of the parts, or where it is empty."""
    missing = [name for name in ("__doc__", *parts) if getattr(module, name, None) in (None, "", ())]
    if missing:
        raise LookupError(f"{kind} {key!r} ({module.__name__}) lacks {', '.join(missing)}. {hint}".strip())
    title, _, page = (module.__doc__ or "").strip().partition("\n")
    return title.rstrip("."), page.strip()
